//! A camera hub in one file, with the library alone: eight cameras record at once, old footage
//! expires by itself, and a hold keeps an hour of the street while a request waits.
//!
//! `cargo run --no-default-features --example hub`
//!
//! Days pass in seconds: the store is given a clock that the example moves. A real hub leaves the
//! clock alone, and asks for a sweep each minute.

#![expect(clippy::print_stdout, reason = "an example tells what it does")]

use std::error::Error;
use std::thread;
use std::time::Duration;

use clipkeep::{
    CameraId, Clip, Clock, HoldCause, ManualClock, Media, NewClip, NewHold, Retention, Store,
    Timestamp, Window,
};

const CAMERAS: [&str; 8] =
    ["front-door", "street", "garage", "garden", "hall", "side-gate", "attic", "cellar"];
const DAY: Duration = Duration::from_hours(24);
const FRAGMENT: Duration = Duration::from_secs(2);

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let clock = ManualClock::at("2026-11-01T18:00:00Z".parse()?);
    let store = Store::options()
        .retention(Retention::days(5, 10)?)
        .segment_bytes(4 << 20)
        .clock(clock.clone())
        .sweeper(Duration::from_millis(50))
        .open(dir.path())?;

    // Day 1: every camera on a thread of its own. They share the log, and its syncs.
    let day_1 = clock.wall();
    let recorded = record_all(&store, day_1)?;
    let bytes: u64 = recorded.iter().map(Clip::len).sum();
    println!("day 1    {} cameras recorded {bytes} bytes, all durable", recorded.len());

    // Day 2: somebody asks for an hour of the street. The owner has not answered yet.
    clock.advance(DAY);
    let hour = Window::new(day_1, day_1.saturating_add(Duration::from_hours(1)))?;
    let street: CameraId = "street".parse()?;
    let request = NewHold::new([street.clone()], hour)
        .cause(HoldCause::Request)
        .reference("case 19-4471")
        .agency("Northside PD");
    let receipt = store.place_hold(request)?;
    println!("day 2    clips that hold {} covers: {}", receipt.id, receipt.clips);

    // Day 12: everything of day 1 is overdue. Only what the hold covers is still there.
    clock.advance(10 * DAY);
    record_all(&store, clock.wall())?;
    store.sweep()?;
    for camera in [&street, &"garage".parse()?] {
        let clips = store.clips(camera, hour)?;
        println!("day 12   clips of day 1 from {camera}: {}", clips.len());
        for clip in clips {
            let why = store.explain(clip.id())?;
            let bytes = store.read(clip.id())?.to_vec()?;
            println!("         {} bytes, holds on it: {}", bytes.len(), why.holds.len());
        }
    }
    let kept = store.clips(&street, hour)?.len();
    let others = store.clips(&"garage".parse()?, hour)?.len();

    let stats = store.stats()?;
    println!("         {} clips, {} bytes on disk", stats.clips, stats.file_bytes);
    let problems = store.problems();
    store.close()?;
    if (kept, others) != (1, 0) || !problems.is_empty() {
        return Err(format!("kept {kept} held and {others} others: {problems:?}").into());
    }
    Ok(())
}

/// Records ten seconds with every camera at once, and answers the clips.
fn record_all(store: &Store, start: Timestamp) -> Result<Vec<Clip>, Box<dyn Error>> {
    let cameras = CAMERAS.iter().map(|name| name.parse()).collect::<Result<Vec<_>, _>>()?;
    thread::scope(|scope| {
        let threads: Vec<_> = cameras
            .iter()
            .map(|camera| scope.spawn(move || record(store, camera, start)))
            .collect();
        let mut clips = Vec::new();
        for thread in threads {
            let Ok(recorded) = thread.join() else { return Err("a camera's thread died".into()) };
            clips.push(recorded?);
        }
        Ok(clips)
    })
}

/// What a camera's thread does: each fragment survives a power cut once `write` returns.
fn record(store: &Store, camera: &CameraId, start: Timestamp) -> clipkeep::Result<Clip> {
    let clip = NewClip::starting(camera, start).media(Media::FragmentedMp4);
    let mut recorder = store.record(clip.init(vec![0; 1200]))?;
    for second in 0..5_u8 {
        recorder.write(vec![second; 200_000], FRAGMENT)?;
    }
    recorder.finish()
}
