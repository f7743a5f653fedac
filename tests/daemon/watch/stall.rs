//! Clients that take their time, or never come back.

#![expect(clippy::disallowed_methods, reason = "patience is measured by a clock that really runs")]

use std::io::ErrorKind;
use std::time::Instant;

use super::*;

/// More bytes than sockets and queues of both sides hold together.
const LARGE: usize = 48 << 20;

#[test]
fn who_takes_nothing_of_an_answer_is_disconnected() {
    let settings = ["access.tokens=false", "http.body_idle_seconds=1"];
    let daemon = over(&settings, |store| {
        let window = Window::new(at(0), at(60)).unwrap();
        store.append(NewClip::new(&camera(), window), vec![7; LARGE]).unwrap();
    });
    let list = daemon.get("/v1/cameras/front/clips").ok().json();
    let id = list["clips"][0]["id"].as_str().unwrap();
    let mut stalled = daemon.connect();
    write!(stalled, "GET /v1/clips/{id}/media HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    // Nothing is read: what the daemon has sent fills the sockets, and then it waits.
    stalled.set_nonblocking(true).unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        // A byte that nobody asked for: a connection that is no more is reset by it.
        let ended = match stalled.write(b"\n") {
            Ok(_) => stalled.take_error().unwrap(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => stalled.take_error().unwrap(),
            Err(error) => Some(error),
        };
        if let Some(error) = ended {
            let kinds = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
            assert!(kinds.contains(&error.kind()), "{error}");
            return;
        }
        assert!(Instant::now() < deadline, "still connected after a minute of nothing");
        std::thread::yield_now();
    }
}

#[test]
fn who_reads_slowly_gets_everything() {
    let settings = ["access.tokens=false", "http.body_idle_seconds=1"];
    let daemon = over(&settings, |store| {
        let window = Window::new(at(0), at(60)).unwrap();
        store.append(NewClip::new(&camera(), window), vec![7; LARGE]).unwrap();
    });
    let list = daemon.get("/v1/cameras/front/clips").ok().json();
    let id = list["clips"][0]["id"].as_str().unwrap();
    let mut slow = daemon.connect();
    let request =
        format!("GET /v1/clips/{id}/media HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    slow.write_all(request.as_bytes()).unwrap();
    let started = Instant::now();
    let (mut got, mut buffer) = (0, vec![0; 1 << 20]);
    loop {
        let read = slow.read(&mut buffer).unwrap();
        if read == 0 {
            break;
        }
        got += read;
        // Three times as long as the patience of the daemon, for all of it together.
        let due = Duration::from_nanos(u64::try_from(got * 3_000_000_000 / LARGE).unwrap());
        while started.elapsed() < due {
            std::thread::yield_now();
        }
    }
    assert!(got > LARGE, "{got} bytes with the headers");
}
