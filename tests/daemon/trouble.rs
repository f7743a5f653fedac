//! Trouble: what must not happen when clients, the disk or the power misbehave.

use std::io::{Read as _, Write as _};
use std::process::Command;

use serde_json::Value;

use crate::kill::acknowledged;
use crate::kit::{Answer, Daemon, START, clipkeep, front_door, pieces};

#[test]
fn headers_that_never_end_are_given_up() {
    let daemon = Daemon::with(&["access.tokens=false", "http.header_seconds=1"]);
    let mut slow = daemon.connect();
    slow.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ").unwrap();
    let mut rest = Vec::new();
    // The connection is closed, with or without a word.
    slow.read_to_end(&mut rest).ok();
    assert!(!rest.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&rest));
    let mut silent = daemon.connect();
    silent.read_to_end(&mut rest).ok();
    assert_eq!(daemon.get("/healthz").status, 200);
}

#[test]
fn headers_without_end_are_refused() {
    let daemon = Daemon::start();
    let mut stream = daemon.connect();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Big: ").unwrap();
    while stream.write_all(&[b'x'; 65536]).is_ok() {}
    // What the daemon said may have been destroyed by the reset that ended the connection, so it is
    // asked again, with no more than it wants to read.
    let mut stream = daemon.connect();
    let mut head = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Big: ".to_vec();
    head.resize(64 << 10, b'x');
    stream.write_all(&head).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("HTTP/1.1 431 "), "{said}");
    assert_eq!(daemon.get("/healthz").status, 200);
}

#[test]
fn what_is_no_route_no_method_and_no_json_is_a_problem_document() {
    let daemon = Daemon::start();
    daemon.get("/nowhere").is_problem(404, "no-such-route");
    daemon.ask("PATCH", "/v1/holds", &[], b"").is_problem(405, "method-not-allowed");
    for garbage in ["", "{", "[]", "{\"cause\": 7}", "{\"surprise\": 1}", &"[".repeat(60_000)] {
        let answer = daemon.ask("POST", "/v1/holds", &[], garbage.as_bytes());
        answer.is_problem(400, "invalid-input");
    }
    let large = vec![b' '; 70_000];
    daemon.ask("POST", "/v1/holds", &[], &large).is_problem(413, "too-large");
}

#[test]
fn many_idle_connections_keep_nobody_out() {
    let daemon = Daemon::start();
    let idle: Vec<_> = (0..400).map(|_| daemon.connect()).collect();
    let path = format!("/v1/cameras/front/stream?start={START}");
    assert_eq!(daemon.ask("POST", &path, &[], &front_door()).ok().json()["fragments"], 5);
    drop(idle);
}

#[test]
fn a_folder_of_other_things_is_not_made_a_store() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("letter.txt"), b"dear Ann").unwrap();
    let ran = Command::new(env!("CARGO_BIN_EXE_clipkeep"))
        .args(["serve", "--listen", "127.0.0.1:0", "--dir", folder.path().to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(2), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn where_a_store_must_be_none_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let settings = ["--listen", "127.0.0.1:0", "--set", "store.create=false"];
    let ran = Command::new(env!("CARGO_BIN_EXE_clipkeep"))
        .args(["serve", "--dir", folder.path().to_str().unwrap()])
        .args(settings)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.code(), Some(3), "{said}");
    assert!(said.contains("is its disk mounted?"), "{said}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "not even tokens");
    // The one that is there is opened.
    let mut daemon = Daemon::start();
    daemon.kill();
    daemon.set("store.create=false");
    daemon.restart();
}

#[test]
fn beyond_loopback_nothing_starts_without_tls_and_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    let ran = Command::new(env!("CARGO_BIN_EXE_clipkeep"))
        .args(["serve", "--listen", "0.0.0.0:0", "--dir", dir.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(2));
    assert!(!dir.exists());
}

#[test]
fn the_printed_settings_are_a_file_that_it_takes() {
    let printed = String::from_utf8(clipkeep(&["serve", "--print-config"])).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clipkeep.toml");
    std::fs::write(&file, printed + "\nsurprise = 1\n").unwrap();
    let ran = Command::new(env!("CARGO_BIN_EXE_clipkeep"))
        .args(["serve", "--dir", "x", "--config", file.to_str().unwrap()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.code(), Some(2), "{said}");
    assert!(said.contains("log.surprise"), "the rest of the file was taken: {said}");
}

#[test]
fn the_api_document_is_served() {
    let daemon = Daemon::start();
    let document = daemon.get("/openapi.json").ok().json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert!(document["paths"]["/v1/holds"]["post"].is_object());
    let info = &document["info"];
    assert_eq!((&info["title"], &info["contact"]), (&"Clipkeep".into(), &Value::Null), "{info}");
    assert_eq!(info["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(info["license"]["name"], env!("CARGO_PKG_LICENSE"));
}

#[test]
fn a_stop_under_load_loses_nothing_that_was_acknowledged() {
    let streams = 20;
    let mut daemon = Daemon::start();
    let pieces = pieces(&front_door());
    let started = std::sync::Barrier::new(streams + 1);
    let acknowledged = std::thread::scope(|scope| {
        for n in 0..streams {
            let mut push = daemon.push(&format!("/v1/cameras/c{n}/stream?start={START}"), &[]);
            let (pieces, started) = (&pieces, &started);
            scope.spawn(move || {
                push.send(&pieces[0]);
                push.send(&pieces[1]);
                started.wait();
                // Until it is told to stop, as a camera does.
                while pieces[2..].iter().all(|piece| push.try_send(piece).is_ok()) {}
            });
        }
        started.wait();
        let all = |answer: &Answer| acknowledged(answer).len() == streams;
        let acknowledged = acknowledged(&daemon.until("/metrics", all));
        let id = daemon.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        acknowledged
    });
    assert!(daemon.wait().success());
    let clips = daemon.list();
    for clip in &clips {
        assert_eq!(clip["state"], "complete", "{clip}");
    }
    for (camera, fragments) in acknowledged {
        let of = clips.iter().filter(|clip| clip["camera"] == camera.as_str());
        let stored: u64 = of.map(|clip| clip["fragments"].as_u64().unwrap()).sum();
        assert!(stored >= fragments, "{camera}: {stored} of {fragments}");
    }
}

#[test]
fn a_stop_waits_for_nobody_who_stalls() {
    let mut daemon = Daemon::with(&["access.tokens=false", "http.stop_seconds=2"]);
    let pieces = pieces(&front_door());
    let mut stalled = daemon.push(&format!("/v1/cameras/front/stream?start={START}"), &[]);
    stalled.send(&[&pieces[0][..], &pieces[1], &pieces[2][..700]].concat());
    let mut half = daemon.push_as("PUT", "/v1/cameras/garden/clips", &[]);
    half.send(&front_door()[..1_000]);
    let mut slow = daemon.connect();
    slow.write_all(b"GET /v1/cameras HTTP/1.1\r\nHost: x\r\nX-Slow: ").unwrap();
    daemon.until_durable("front", 1);
    daemon.terminate();
    // Two bounds of two seconds, and much patience with a busy machine.
    let ended = daemon.wait_for(std::time::Duration::from_secs(40));
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
    let clips = daemon.list();
    assert_eq!(clips.len(), 1, "{clips:?}");
    assert_eq!((&clips[0]["state"], &clips[0]["fragments"]), (&"complete".into(), &1.into()));
}

#[test]
fn a_full_store_is_read_exported_and_held_all_the_same() {
    let settings = ["access.tokens=false", "store.quota_bytes=12582912", "store.when_full=refuse"];
    let daemon = Daemon::with(&settings);
    let first = format!("/v1/cameras/front/stream?start={START}");
    daemon.ask("POST", &first, &[], &front_door()).ok();
    let mut push = daemon.push("/v1/cameras/filler/stream", &[]);
    while push.try_send(&front_door()).is_ok() {}
    push.answer().is_problem(507, "full");
    let window = format!("from={START}&seconds=10");
    let file = daemon.get(&format!("/v1/cameras/front/window.mp4?{window}")).ok();
    assert_eq!(file.header("content-length"), Some(&*file.body.len().to_string()));
    let list = daemon.get(&format!("/v1/cameras/front/playlist.m3u8?{window}")).ok();
    assert!(list.text().starts_with("#EXTM3U"));
    let wanted = format!(
        "{{\"scope\": [{{\"camera\": \"front\", \"from\": \"{START}\", \
         \"to\": \"2024-01-01T18:00:10Z\"}}], \"cause\": \"request\", \"reference\": \"full\", \
         \"agency\": \"PD\", \"reason\": \"asked for\"}}"
    );
    let held = daemon.ask("POST", "/v1/holds", &[], wanted.as_bytes()).ok().json();
    assert_eq!(held["clips"], 1, "{held}");
}
