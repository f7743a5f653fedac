//! Many cameras at once with real threads and files: the short form of `examples/street.rs`.

use std::thread;
use std::time::Duration;

use clipkeep::{
    ClipId, Clock as _, ManualClock, NewClip, NewHold, Retention, Store, Timestamp, Window,
};

use crate::world::{camera, footage};

const CAMERAS: u64 = 20;
const CLIPS: u64 = 12;
const AT_MOST: Duration = Duration::from_mins(20);

/// A clip as it was acknowledged: when it arrived, and the seed of its four fragments.
struct Kept {
    id: ClipId,
    received: Timestamp,
    seed: u64,
    held: bool,
}

fn fragment(seed: u64, number: u64) -> Vec<u8> {
    footage(10 * seed + number, 64 * 1024)
}

/// One camera: clips of four fragments, every third of them held as soon as it is complete.
fn record(store: &Store, number: u64) -> Vec<Kept> {
    let camera = camera(&format!("street-{number}"));
    let mut kept = Vec::new();
    for clip in 0..CLIPS {
        let seed = number * 1_000 + clip;
        let start = Timestamp::from_micros(i64::try_from(clip * 10_000_000).unwrap());
        let mut recorder = store.record(NewClip::starting(&camera, start)).unwrap();
        for number in 0..4 {
            recorder.write(fragment(seed, number), Duration::from_secs(2)).unwrap();
        }
        let done = recorder.finish().unwrap();
        let mut held = false;
        if clip % 3 == 0 {
            let window: Window = done.window();
            store.place_hold(NewHold::new([camera.clone()], window)).unwrap();
            // A sweep may have been first if it was due by then.
            held = store.now() < done.received().saturating_add(AT_MOST);
        }
        kept.push(Kept { id: done.id(), received: done.received(), seed, held });
    }
    kept
}

#[test]
fn a_busy_street_loses_nothing_while_it_sweeps() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::at("2026-11-23T18:00:00Z".parse().unwrap());
    let store = Store::options()
        .clock(clock.clone())
        .retention(Retention::new(AT_MOST / 2, AT_MOST).unwrap())
        .segment_bytes(8 << 20)
        .segment_age(Duration::from_mins(1))
        .sweep_share(100)
        .open(dir.path())
        .unwrap();
    let kept: Vec<Kept> = thread::scope(|scope| {
        let recorders: Vec<_> = (0..CAMERAS)
            .map(|number| {
                let store = &store;
                scope.spawn(move || record(store, number))
            })
            .collect();
        while recorders.iter().any(|recorder| !recorder.is_finished()) {
            clock.advance(Duration::from_mins(1));
            let report = store.sweep().unwrap();
            assert!(report.problems.is_empty(), "{:?}", report.problems);
        }
        recorders.into_iter().flat_map(|recorder| recorder.join().unwrap()).collect()
    });
    for clip in &kept {
        let due = clip.received.saturating_add(AT_MOST) <= clock.wall();
        match store.read(clip.id).and_then(|reader| reader.to_vec()) {
            Ok(bytes) => {
                let sent: Vec<u8> = (0..4).flat_map(|n| fragment(clip.seed, n)).collect();
                assert!(bytes == sent, "clip {} changed", clip.id);
            }
            Err(error) => assert!(due && !clip.held, "clip {} is lost: {error}", clip.id),
        }
    }
}
