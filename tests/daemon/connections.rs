//! Connections: a bound with an answer, little memory for those that wait, an end to those that
//! trickle.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::kit::{Daemon, START, front_door, say};

#[test]
fn above_the_limit_a_connection_is_told_so_and_a_place_that_comes_free_is_used() {
    let daemon = Daemon::with(&["access.tokens=false", "http.connections_max=3"]);
    let hold_one = || {
        let mut stream = daemon.connect();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).unwrap();
        (stream, first)
    };
    let mut held = Vec::new();
    // The one that asked whether it is ready may not be gone yet.
    while held.len() < 3 {
        let (stream, first) = hold_one();
        if first == *b"HTTP/1.1 200" {
            held.push(stream);
        }
    }
    let mut over = daemon.connect();
    let mut said = String::new();
    over.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("HTTP/1.1 503 "), "{said}");
    assert!(said.contains("\r\nretry-after: 5\r\n"), "{said}");
    assert!(said.contains("\"code\":\"unavailable\""), "{said}");
    held.pop();
    daemon.until("/metrics", |answer| {
        answer.status == 200
            && !answer.text().contains("clipkeep_http_connections_refused_total 0\n")
    });
}

#[test]
fn ten_thousand_idle_connections_take_little_memory_and_keep_nobody_out() {
    let wanted = 10_000;
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).ok();
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    // The daemon has the same limit as this process, in which other tests run.
    let count = usize::try_from(files.saturating_sub(2_000)).unwrap().min(wanted);
    assert!(count > 0, "the limit of open files is {files}");
    if count < wanted {
        say(&format!("SKIPPED in part: {count} connections: {files} files may be open"));
    }
    let daemon = Daemon::with(&[
        "access.tokens=false",
        "http.connections_max=10100",
        "http.header_seconds=600",
    ]);
    let before = daemon.resident_kib();
    let mut idle: Vec<TcpStream> = (0..count).map(|_| daemon.connect()).collect();
    // Every second one has asked something before it fell idle.
    for stream in idle.iter_mut().step_by(2) {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
    }
    let open = |answer: &crate::kit::Answer| {
        let text = answer.text();
        let line = text.lines().find_map(|line| line.strip_prefix("clipkeep_http_connections "));
        line.is_some_and(|open| open.parse::<usize>().unwrap() >= count)
    };
    daemon.until("/metrics", open);
    let each =
        (daemon.resident_kib().saturating_sub(before)) * 1024 / u64::try_from(count).unwrap();
    say(&format!(
        "DAEMON IDLE connections {count}: {each} bytes of memory each, {before} KiB without them"
    ));
    assert!(each < 32 << 10, "{each} bytes for each of {count} connections");
    let path = format!("/v1/cameras/front/stream?start={START}");
    assert_eq!(daemon.ask("POST", &path, &[], &front_door()).ok().json()["fragments"], 5);
}

#[test]
fn one_camera_does_not_take_all_places() {
    let settings = ["access.tokens=false", "ingest.camera_senders_max=2"];
    let daemon = Daemon::with(&settings);
    let path = format!("/v1/cameras/front/clips?start={START}");
    let mut slow: Vec<_> = (0..2).map(|_| daemon.push_as("PUT", &path, &[])).collect();
    let half = &front_door()[..10_000];
    for push in &mut slow {
        push.send(half);
    }
    // Until both were let in, a third one is as good as they are.
    let held = "clipkeep_ingest_memory_bytes 20000\n";
    daemon.until("/metrics", |answer| answer.text().contains(held));
    let third = daemon.ask("PUT", &path, &[], &front_door());
    third.is_problem(503, "unavailable");
    assert!(third.text().contains("camera front"), "{}", third.text());
    let other = path.replace("front", "garden");
    daemon.ask("PUT", &other, &[], &front_door()).ok();
    drop(slow);
}

#[test]
fn a_body_that_trickles_is_given_up() {
    let settings = ["access.tokens=false", "http.body_seconds=1", "http.body_idle_seconds=1"];
    let daemon = Daemon::with(&settings);
    let paths = ["clips", "hls/init.mp4", "stream"].map(|at| format!("/v1/cameras/front/{at}"));
    for path in &paths {
        let mut push = daemon.push_as("PUT", path, &[]);
        // A piece now and then, so that it is never silent.
        let bytes = front_door();
        let mut pieces = bytes.chunks(1);
        while push.try_send(pieces.next().unwrap()).is_ok() {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        push.answer().is_problem(408, "body-timeout");
    }
}
