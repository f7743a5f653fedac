//! Everything at the same time, on threads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use clipkeep::vfs::sim::SimVfs;
use clipkeep::{Clip, ErrorKind, ManualClock, NewClip, Store, VerifyDepth};

use crate::plug::{Change, Plug};
use crate::store_kit::{HOUR, SEGMENT_BYTES, TestStore, at, camera, marked, minutes};

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

/// What the disk saw since it was to look.
#[derive(Default)]
struct Seen {
    is_looking: bool,
    begun: u64,
    syncs: u64,
}

/// A sync of the first lasts until all others have come, and a while: whoever comes while the disk
/// is at work shares the next sync, and nobody waits for a turn of their own.
#[test]
fn two_hundred_writers_share_a_few_syncs() {
    const WRITERS: u64 = 200;
    let seen = Arc::new((Mutex::new(Seen::default()), Condvar::new()));
    let plug = Plug::observed(&SimVfs::new(1), {
        let seen = Arc::clone(&seen);
        move |change| {
            let (seen, changed) = &*seen;
            let mut seen = seen.lock().unwrap();
            if seen.is_looking && matches!(change, Change::Sync(_)) {
                seen.syncs += 1;
                let seen = changed.wait_while(seen, |seen| seen.begun < WRITERS).unwrap();
                drop(changed.wait_timeout(seen, Duration::from_millis(50)).unwrap());
            }
        }
    });
    let clock = ManualClock::at(at(0));
    let store = Store::options().clock(clock).free_space_floor(0).vfs(plug).open("sim").unwrap();
    let append = |writer: u64, minute: u32| {
        let new = NewClip::new(&camera(&format!("{writer}")), minutes(minute, minute + 1));
        store.append(new, marked("x", 2000)).unwrap();
    };
    // A camera's first clip costs more: its name.
    (0..WRITERS).for_each(|writer| append(writer, 0));
    seen.0.lock().unwrap().is_looking = true;
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (append, seen) = (&append, &seen);
            scope.spawn(move || {
                seen.0.lock().unwrap().begun += 1;
                seen.1.notify_all();
                append(writer, 1);
            });
        }
    });
    let syncs = seen.0.lock().unwrap().syncs;
    assert!((2..=20).contains(&syncs), "{syncs} syncs for {WRITERS} writers");
}
