//! A disk that stands still while footage comes in: real sockets over a simulated disk, whose syncs
//! wait at a gate.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use axum_server::Handle;
use parking_lot::{Condvar, Mutex};
use rustix::net::sockopt::set_socket_send_buffer_size;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::super::access::{Access, TokenFile};
use super::super::disk::Progress;
use super::super::metrics::Metrics;
use super::super::serve::listen;
use super::*;
use crate::vfs::sim::{SimOp, SimVfs};
use crate::{Store, Window};

/// Ten seconds in five fragments.
const DEMO: &[u8] = include_bytes!("../../cli/demo/front-door.mp4");
/// Their length in the unit of their media time.
const LOOP_UNITS: u64 = 10 * 10_240;
/// When a daemon that reads nothing is believed to go on with that, and how long it may take to do
/// what it must.
const STANDSTILL: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_mins(2);
/// Where a stream goes, and when it began.
const STREAM: &str = "/v1/cameras/front/stream?start=2024-01-01T00:00:00Z";

/// Closed until it is opened, for good.
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn pass(&self) {
        self.opened.wait_while(&mut self.is_open.lock(), |is_open| !*is_open);
    }

    fn open(&self) {
        *self.is_open.lock() = true;
        self.opened.notify_all();
    }
}

/// A daemon on such a disk.
struct Slow {
    app: App,
    store: Store,
    gate: Arc<Gate>,
    address: SocketAddr,
    runtime: Runtime,
}

impl Drop for Slow {
    /// A test that failed must not wait for its own gate.
    fn drop(&mut self) {
        self.gate.open();
    }
}

impl Slow {
    fn with(settings: &[&str]) -> Self {
        let disk = SimVfs::new(1);
        let options = Store::options().segment_bytes(4 << 20).free_space_floor(0);
        let options = options.evidence_reserve(4 << 20).vfs(disk.clone());
        let store = options.open("store").unwrap();
        let gate = Arc::new(Gate::default());
        let waits = Arc::clone(&gate);
        disk.slow_down(SimOp::Sync, Duration::from_millis(1));
        disk.on_wait(move |_| waits.pass());
        let flags = ["http.listen=127.0.0.1:0", "access.tokens=false"].iter().chain(settings);
        let flags: Vec<String> = flags.map(ToString::to_string).collect();
        let config = Config::new("unused", "", |_| None, &flags).unwrap();
        let nowhere = TokenFile::of(std::path::Path::new("nowhere"));
        let (access, _) = Access::open(false, 0, nowhere).unwrap();
        let app = App::new(config, access, Metrics::new(), Progress::default());
        app.open(store.clone());
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let (address, _serving) = runtime.block_on(listen(&app, &Handle::new())).unwrap();
        Self { app, store, gate, address, runtime }
    }

    /// A connection on which a request was begun.
    fn ask(&self, head: &str) -> TcpStream {
        let mut socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.write_all(format!("{head}\r\nHost: x\r\nConnection: close\r\n").as_bytes()).unwrap();
        socket
    }

    fn in_memory(&self) -> u64 {
        self.app.intake().memory.used()
    }

    /// The bytes of all clips.
    fn stored_bytes(&self) -> usize {
        let cameras = self.store.stats().unwrap().cameras;
        usize::try_from(cameras.iter().map(|camera| camera.bytes).sum::<u64>()).unwrap()
    }
}

/// Waits until something `is_so`.
#[track_caller]
fn until(what: &str, is_so: impl Fn() -> bool) {
    let started = Timer::start();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "waited for ever: {what}");
        std::thread::yield_now();
    }
}

fn answer(socket: &mut TcpStream) -> (String, Value) {
    let mut said = String::new();
    socket.read_to_string(&mut said).unwrap();
    let (head, body) = said.split_once("\r\n\r\n").expect("an answer");
    (head.to_owned(), serde_json::from_str(body).unwrap())
}

/// The init segment of the demo, and `count` fragments that follow one another.
fn stream(count: usize) -> Vec<Vec<u8>> {
    let mut cuts: Vec<usize> = DEMO
        .windows(4)
        .enumerate()
        .filter(|(_, name)| *name == b"moof" || *name == b"mfra")
        .map(|(at, _)| at - 4)
        .collect();
    cuts.insert(0, 0);
    let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &DEMO[cut[0]..cut[1]]).collect();
    let mut all = vec![pieces[0].to_vec()];
    for number in 0..count {
        let mut bytes = pieces[1 + number % 5].to_vec();
        let time = bytes.windows(4).position(|name| name == b"tfdt").unwrap() + 8;
        let there = u64::from_be_bytes(bytes[time..time + 8].try_into().unwrap());
        let later = there + u64::try_from(number / 5).unwrap() * LOOP_UNITS;
        bytes[time..time + 8].copy_from_slice(&later.to_be_bytes());
        all.push(bytes);
    }
    all
}

#[test]
fn on_a_disk_that_stands_still_the_socket_waits_and_nothing_is_lost() {
    let slow = Slow::with(&[]);
    let pieces = stream(1_000);
    let mut body = Vec::new();
    for piece in &pieces {
        write!(body, "{:x}\r\n", piece.len()).unwrap();
        body.extend_from_slice(piece);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"0\r\n\r\n");
    let mut socket = slow.ask(&format!("POST {STREAM} HTTP/1.1"));
    socket.write_all(b"Transfer-Encoding: chunked\r\n\r\n").unwrap();
    // What waits lies in the sockets: without a bound, they would take all of it.
    set_socket_send_buffer_size(&socket, 64 << 10).unwrap();
    socket.set_write_timeout(Some(STANDSTILL)).unwrap();
    let mut sent = 0;
    loop {
        assert!(sent < body.len(), "everything was taken, and nothing of it is durable");
        match socket.write(&body[sent..]) {
            Ok(len) => sent += len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error} instead of waiting, after {sent} bytes"),
        }
    }
    assert!(slow.in_memory() <= 256 << 10, "{} bytes in memory", slow.in_memory());
    slow.gate.open();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(&body[sent..]).unwrap();
    let (head, said) = answer(&mut socket);
    assert!(head.starts_with("HTTP/1.1 200 "), "{head} {said}");
    assert_eq!((&said["fragments"], &said["dropped_bytes"]), (&1_000.into(), &0.into()));
    let day = Window::parse("2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z").unwrap();
    let mut kept = Vec::new();
    for clip in slow.store.clips(&"front".parse().unwrap(), day).unwrap() {
        let bytes = slow.store.read(clip.id()).unwrap().to_vec().unwrap();
        kept.extend_from_slice(bytes.strip_prefix(&pieces[0][..]).unwrap());
    }
    assert!(kept == pieces[1..].concat(), "{} bytes, not those that were sent", kept.len());
    assert_eq!(slow.in_memory(), 0);
}

#[test]
fn clips_for_which_there_is_no_memory_wait_and_are_all_stored() {
    let clip_bytes: u64 = 600_000;
    let slow = Slow::with(&[
        "ingest.memory_bytes_max=1000000",
        "ingest.clip_bytes_max=600000",
        "ingest.fragment_bytes_max=600000",
    ]);
    let mut picture = vec![0; usize::try_from(clip_bytes).unwrap()];
    picture[..4].copy_from_slice(&[0xFF, 0xD8, 0xFF, 0xE0]);
    let most = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..4)
            .map(|camera| {
                let path = format!("/v1/cameras/c{camera}/clips");
                let mut socket = slow.ask(&format!("PUT {path} HTTP/1.1"));
                let picture = &picture;
                scope.spawn(move || {
                    write!(socket, "Content-Length: {clip_bytes}\r\n\r\n").unwrap();
                    socket.write_all(picture).unwrap();
                    answer(&mut socket)
                })
            })
            .collect();
        // The second is the one that may go above; the others wait for it.
        let mut most = 0;
        while !senders.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            most = most.max(slow.in_memory());
            if most >= 2 * clip_bytes {
                slow.gate.open();
            }
            std::thread::yield_now();
        }
        for sender in senders {
            let (head, said) = sender.join().unwrap();
            assert!(head.starts_with("HTTP/1.1 201 "), "{head} {said}");
        }
        most
    });
    assert_eq!(most, 2 * clip_bytes, "more than the bound and one clip");
    assert_eq!(slow.in_memory(), 0);
}

#[test]
fn a_stop_waits_for_what_a_sender_that_is_gone_has_sent() {
    let slow = Slow::with(&[]);
    let body = stream(1).concat();
    let mut socket = slow.ask(&format!("POST {STREAM} HTTP/1.1"));
    write!(socket, "Content-Length: {}\r\n\r\n", body.len()).unwrap();
    socket.write_all(&body).unwrap();
    until("it came", || slow.in_memory() > 0);
    drop(socket);
    let app = slow.app.clone();
    let mut stop = slow.runtime.spawn(async move { app.intake().stop().await });
    slow.runtime.block_on(async {
        let early = tokio::time::timeout(Duration::from_millis(100), &mut stop).await;
        assert!(early.is_err(), "it did not wait for the disk");
        slow.gate.open();
        stop.await.unwrap();
    });
    assert_eq!(slow.stored_bytes(), body.len());
}

#[test]
fn what_a_sender_that_is_gone_has_left_with_its_kernel_comes_before_the_answers() {
    let slow = Slow::with(&[]);
    let mut socket = TcpStream::connect(slow.address).unwrap();
    // More than the daemon's kernel takes unread: the rest is in that of the sender, which gives it
    // up when an answer comes for a process that is gone.
    set_socket_send_buffer_size(&socket, 400 << 10).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    let mut sent = 0;
    for (camera, len) in [("first", 1_000), ("second", 300_000)] {
        let mut picture = vec![0; len];
        picture[..4].copy_from_slice(&[0xFF, 0xD8, 0xFF, 0xE0]);
        let head = format!("PUT /v1/cameras/{camera}/clips HTTP/1.1\r\nHost: x\r\n");
        write!(socket, "{head}Content-Length: {len}\r\n\r\n").unwrap();
        socket.write_all(&picture).unwrap();
        sent += len;
    }
    drop(socket);
    slow.gate.open();
    until("both are stored", || slow.stored_bytes() == sent);
}
