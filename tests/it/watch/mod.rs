//! The daemon's reading side as real players see it: ffmpeg, ffprobe, and a browser.

mod browser;
mod players;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clipkeep::media::{FragmentParser, Piece};
use clipkeep::{CameraId, Media, NewClip, Store, Timestamp, Window};
use tempfile::TempDir;

/// A daemon that is running, on a store of its own.
struct Daemon {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Daemon {
    /// Starts it on a store in which `fill` has put what is to be watched.
    fn over(fill: impl FnOnce(&Store)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("store");
        let store = Store::options().segment_bytes(4 << 20).open(&dir).unwrap();
        fill(&store);
        store.close().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_clipkeep"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CLIPKEEP_")) {
            command.env_remove(name);
        }
        let settings = ["--listen", "127.0.0.1:0", "--set", "access.tokens=false", "--json"];
        command.args(["serve", "--dir"]).arg(&dir).args(settings);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: serde_json::Value =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
        let url = said["listening"].as_str().unwrap();
        let address = url.strip_prefix("http://").unwrap().parse().unwrap();
        let daemon = Self { child, address, _folder: folder };
        daemon.wait_until_ready();
        daemon
    }

    /// It listens before its store is open.
    fn wait_until_ready(&self) {
        for _ in 0..10_000 {
            if self.get("/readyz").starts_with("HTTP/1.1 200") {
                return;
            }
            std::thread::yield_now();
        }
        panic!("the daemon does not become ready: {}", self.get("/readyz"));
    }

    /// The whole answer to a request, headers included.
    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

fn camera() -> CameraId {
    "front".parse().unwrap()
}

/// Second `second` of a day long past, so that every window lies in the past.
fn at(second: u64) -> Timestamp {
    let day: Timestamp = "2024-01-01T18:00:00Z".parse().unwrap();
    day.saturating_add(Duration::from_secs(second))
}

/// The path of `route` with the window from second `from` to second `to`.
fn window_path(route: &str, from: u64, to: u64) -> String {
    format!("/v1/cameras/front/{route}?from={}&to={}", at(from), at(to))
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// Stores the fixture segments, recordings of two seconds each, from `second` on.
fn put_segments(store: &Store, second: u64) {
    for index in 0..3 {
        let start = second + 2 * index;
        let new = NewClip::new(&camera(), Window::new(at(start), at(start + 2)).unwrap());
        let bytes = file(&format!("tests/fixtures/segment{index}.mp4"));
        store.append(new.media(Media::FragmentedMp4), bytes).unwrap();
    }
}

/// Records the stream in `name`, from `second` on, in clips of `fragments` each, as a daemon cuts
/// what a camera pushes.
fn record_stream(store: &Store, name: &str, second: u64, fragments: usize) {
    let mut parser = FragmentParser::new();
    parser.push(&file(name));
    let mut init = None;
    let mut parts = Vec::new();
    while let Some(piece) = parser.next().unwrap() {
        match piece {
            Piece::Init(found) => init = Some(found.bytes().clone()),
            Piece::Fragment(fragment) => parts.push(fragment),
        }
    }
    let init = init.unwrap();
    for clip in parts.chunks(fragments) {
        let start = at(second).saturating_add(clip[0].start);
        let new = NewClip::starting(&camera(), start).media(Media::FragmentedMp4);
        let mut recorder = store.record(new.init(init.clone())).unwrap();
        for fragment in clip {
            recorder.write(fragment.bytes.clone(), fragment.duration).unwrap();
        }
        recorder.finish().unwrap();
    }
}

/// Runs `program` and gives what it printed; the slightest complaint is a failure.
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| {
        panic!(
            "{program} does not start ({error}): tests/run installs it, or apt-get install ffmpeg"
        )
    });
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && errors.is_empty(), "{program} {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}
