//! The daemon's reading side as real players see it: ffmpeg, ffprobe, and a browser.

pub(crate) mod browser;
mod players;
mod stall;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clipkeep::media::{FragmentParser, Piece};
use clipkeep::{CameraId, Media, NewClip, Store, Timestamp, Window};
use tempfile::TempDir;

use crate::kit::Daemon;

/// A daemon with `settings` on a store in which `fill` has put what is to be watched.
fn over(settings: &[&str], fill: impl FnOnce(&Store)) -> Daemon {
    let mut daemon = Daemon::with(settings);
    daemon.kill();
    let store = Store::options().open(daemon.store()).unwrap();
    fill(&store);
    store.close().unwrap();
    let hello = daemon.hello.clone();
    daemon.restart();
    // Tokens are said once, at the first start.
    daemon.hello = hello;
    daemon
}

/// The same for whoever reaches the port.
fn open_to_all(fill: impl FnOnce(&Store)) -> Daemon {
    over(&["access.tokens=false"], fill)
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
    put_segments_at(store, at(second));
}

/// The same from `start` on.
pub(crate) fn put_segments_at(store: &Store, start: Timestamp) {
    for index in 0..3 {
        let start = start.saturating_add(Duration::from_secs(2 * index));
        let window = Window::starting(start, Duration::from_secs(2)).unwrap();
        let new = NewClip::new(&camera(), window);
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
