//! Everything at the same time, on threads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};

use clipkeep::{Clip, ErrorKind, NewClip, VerifyDepth};

use crate::store_kit::{HOUR, SEGMENT_BYTES, TestStore, camera, marked, minutes};

const CAMERAS: [&str; 3] = ["door", "yard", "gate"];
const CLIPS: u32 = 60;

fn marker(name: &str, minute: u32) -> String {
    format!("{name}-{minute}")
}

fn record(t: &TestStore, name: &str) {
    for minute in 0..CLIPS {
        let new = NewClip::new(&camera(name), minutes(minute, minute + 1));
        t.store.append(new, marked(&marker(name, minute), 300_000)).unwrap();
    }
}

/// Reads whatever is listed: it is as it was, or gone meanwhile.
fn read(t: &TestStore, name: &str) {
    for clip in t.store.clips(&camera(name), minutes(0, CLIPS)).unwrap() {
        match t.store.read(clip.id()).and_then(|reader| reader.to_vec()) {
            Ok(read) => assert!(read == bytes_of(&clip)),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Expired, "{error}"),
        }
    }
}

fn bytes_of(clip: &Clip) -> Vec<u8> {
    let minute = clip.window().start().since(crate::store_kit::at(0)).as_secs() / 60;
    marked(&marker(clip.camera().as_str(), u32::try_from(minute).unwrap()), 300_000)
}

/// Holds every tenth minute of a camera; answers the clips that were there afterwards.
fn hold(t: &TestStore, name: &str) -> Vec<Clip> {
    let mut held = Vec::new();
    for minute in (0..CLIPS).step_by(10) {
        let window = minutes(minute, minute + 1);
        t.store.add_camera(&camera(name)).unwrap();
        t.keep(name, window);
        held.extend(t.store.clips(&camera(name), window).unwrap());
        read(t, name);
    }
    held
}

#[test]
fn recording_reading_holding_deleting_and_sweeping_do_not_disturb_one_another() {
    let t = TestStore::with(|options| options.quota(8 * SEGMENT_BYTES).lease_segments_max(2));
    let done = AtomicBool::new(false);
    let held: Vec<Clip> = thread::scope(|scope| {
        let t = &t;
        let recorders = CAMERAS.map(|name| scope.spawn(move || record(t, name)));
        let holders = CAMERAS.map(|name| scope.spawn(move || hold(t, name)));
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                t.clock.advance(HOUR);
                t.sweep();
                t.store.plan_sweep().unwrap();
                t.store.stats().unwrap();
            }
        });
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let listed = t.store.clips(&camera("gate"), minutes(5, 8)).unwrap();
                let ids: Vec<_> = listed.map(|clip| clip.id()).collect();
                drop(t.store.delete_clips(&ids, "owner", ""));
                read(t, "gate");
            }
        });
        let held: Vec<_> = holders.into_iter().map(ScopedJoinHandle::join).collect();
        let recorded: Vec<_> = recorders.into_iter().map(ScopedJoinHandle::join).collect();
        // Before anybody's panic is passed on: the others wait for it.
        done.store(true, Ordering::Relaxed);
        for recorder in recorded {
            recorder.unwrap();
        }
        held.into_iter().flat_map(Result::unwrap).collect()
    });
    let check = |t: &TestStore| {
        for clip in &held {
            assert!(t.store.read(clip.id()).unwrap().to_vec().unwrap() == bytes_of(clip));
        }
        for name in CAMERAS {
            for clip in t.store.clips(&camera(name), minutes(0, CLIPS)).unwrap() {
                assert!(t.store.read(clip.id()).unwrap().to_vec().unwrap() == bytes_of(&clip));
            }
        }
    };
    check(&t);
    assert!(t.store.problems().is_empty(), "{:?}", t.store.problems());
    check(&t.reopen());
}

#[test]
fn verifying_finds_no_fault_while_holds_are_placed() {
    let t = TestStore::new();
    t.sealed_clip("door", 0, "a");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..300 {
                t.keep("door", minutes(0, 1));
            }
            done.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) {
            let report = t.store.verify(VerifyDepth::Headers, &mut |_| ()).unwrap();
            assert!(report.faults.is_empty(), "{:?}", report.faults);
        }
    });
}
