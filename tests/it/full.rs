//! A full disk, at every step.

use std::io::ErrorKind as IoKind;

use clipkeep::vfs::sim::SimOp;
use clipkeep::{Clip, ErrorKind, HoldCause, NewClip, Release, ReleaseCause, WhenFull};

use crate::store_kit::{
    DAY, SEGMENT_BYTES, TestStore, at, camera, kind_of, marked, minutes, new_hold,
};

/// What is in use on the disk of `t`.
fn used(t: &TestStore) -> u64 {
    let stats = t.store.stats().unwrap();
    (1 << 40) - stats.free_bytes
}

#[test]
fn a_full_disk_still_opens_holds_releases_expires_and_reopens() {
    let t = TestStore::new();
    let held = t.clip("door", 10, "held");
    let free = t.sealed_clip("door", 20, "free");
    t.sweep();
    t.disk.set_capacity(used(&t));
    let t = t.reopen();
    let hold = t.hold(HoldCause::Request, "door", minutes(10, 11));
    t.keep("door", minutes(10, 11));
    t.store.release_hold(hold, &Release::new(ReleaseCause::Denied, "ann")).unwrap();
    t.pass(11 * DAY);
    t.sweep();
    t.assert_gone(&free);
    assert_eq!(t.files_with("free"), [""; 0]);
    let t = t.reopen();
    assert!(t.reads_as(&held, "held"));
    assert!(t.store.problems().is_empty(), "{:?}", t.store.problems());
}

#[test]
fn a_full_disk_takes_thousands_of_holds() {
    let t = TestStore::new();
    t.clip("door", 10, "a");
    t.sweep();
    t.disk.set_capacity(used(&t));
    for number in 0..3000 {
        let hold = t.keep("door", minutes(0, 20));
        t.release_keep(hold);
        if number % 500 == 0 {
            t.sweep();
        }
    }
    assert!(t.disk.files().contains(&"ledger/a/00000001.log".to_owned()), "over several files");
    assert_eq!(t.store.holds().len(), 3000);
    assert_eq!(t.reopen().store.holds().len(), 3000);
}

#[test]
fn a_full_disk_takes_thousands_of_holds_between_two_sweeps() {
    let t = TestStore::new();
    t.clip("door", 10, "a");
    t.sweep();
    t.disk.set_capacity(used(&t));
    for _ in 0..100 {
        let wide = (0..700).fold(new_hold(HoldCause::Request, "door", minutes(0, 1)), |hold, n| {
            hold.also(&camera("door"), minutes(2 * n + 2, 2 * n + 3))
        });
        t.store.place_hold(wide).unwrap();
    }
    assert!(t.disk.files().contains(&"ledger/a/00000002.log".to_owned()), "over several files");
    assert_eq!(t.reopen().store.holds().len(), 100);
}

#[test]
fn room_that_is_counted_as_free_but_refused_is_made() {
    // No file for the next segment is made ahead.
    let t = TestStore::with(|options| options.reuse_max(0));
    let clips: Vec<Clip> = (0..4).map(|n| t.sized_clip("door", n, "old", 3_900_000)).collect();
    t.disk.fail_after(SimOp::Create, 1, IoKind::StorageFull);
    let new = t.sized_clip("door", 5, "new", 3_900_000);
    t.assert_gone(&clips[0]);
    // What sealed segments did not use was given back, so it takes two for a new one.
    assert!(t.reads_as(&clips[2], "old") && t.reads_as(&clips[3], "old"));
    assert!(t.reads_as(&new, "new"));
}

#[test]
fn room_that_is_counted_late_costs_no_more_clips() {
    // No file for the next segment is made ahead.
    let t = TestStore::with(|options| options.reuse_max(0));
    let clips: Vec<Clip> = (0..6).map(|n| t.sized_clip("door", n, "old", 3_900_000)).collect();
    t.disk.set_capacity(used(&t));
    t.disk.set_counted_room(Some(0));
    let new = t.sized_clip("door", 7, "new", 3_900_000);
    t.assert_gone(&clips[0]);
    // What sealed segments did not use was given back, so it takes two for a new one.
    assert!(clips[2..].iter().all(|clip| t.reads_as(clip, "old")));
    assert!(t.reads_as(&new, "new"));
}

#[test]
fn a_limit_of_the_process_is_no_reason_to_drop_clips() {
    let t = TestStore::new();
    let oldest = t.sealed_clip("door", 1, "oldest");
    t.disk.fail_from(SimOp::Create, 1, IoKind::FileTooLarge);
    let new = NewClip::new(&camera("door"), minutes(10, 11));
    assert_eq!(kind_of(t.store.append(new, marked("new", 1_000))), ErrorKind::Full);
    assert!(t.reads_as(&oldest, "oldest"));
}

#[test]
fn without_the_room_to_move_held_clips_they_stay_and_the_others_go() {
    let t = TestStore::with(|options| options.evidence_reserve(0));
    let held = t.clip("door", 10, "held");
    let free = t.sealed_clip("door", 20, "free");
    t.keep("door", minutes(10, 11));
    t.sweep();
    t.disk.fail_from(SimOp::Create, 1, IoKind::StorageFull);
    t.pass(11 * DAY);
    let report = t.store.sweep().unwrap();
    assert!(report.problems.iter().any(|error| error.kind() == ErrorKind::Full));
    assert!(t.reads_as(&held, "held"));
    t.assert_gone(&free);
    assert_eq!(t.files_with("free"), [""; 0]);
    drop(t.store.sweep().unwrap());
    let t = t.reopen();
    assert!(t.reads_as(&held, "held"));
    t.assert_gone(&free);
}

#[test]
fn held_clips_move_when_there_is_room_again() {
    let t = TestStore::with(|options| options.evidence_reserve(0));
    let held = t.clip("door", 10, "held");
    t.sealed_clip("door", 20, "free");
    t.keep("door", minutes(10, 11));
    t.sweep();
    t.disk.fail_from(SimOp::Create, 1, IoKind::StorageFull);
    t.pass(11 * DAY);
    drop(t.store.sweep().unwrap());
    t.disk.clear_faults();
    assert_eq!(t.sweep().clips_moved, 1);
    assert!(t.reads_as(&held, "held"));
    let t = t.reopen();
    assert!(t.reads_as(&held, "held"));
}

#[test]
fn recording_stops_at_the_floor_and_resumes_when_there_is_room() {
    let t = TestStore::with(|options| options.when_full(WhenFull::Refuse));
    let first = t.sized_clip("door", 0, "first", 3_900_000);
    t.disk.set_capacity(used(&t) + SEGMENT_BYTES / 2);
    let new = || NewClip::new(&camera("door"), minutes(10, 11));
    assert_eq!(kind_of(t.store.append(new(), marked("new", 3_900_000))), ErrorKind::Full);
    assert!(t.reads_as(&first, "first"));
    t.disk.set_capacity(1 << 40);
    t.store.append(new(), marked("new", 3_900_000)).unwrap();
}

#[test]
fn recording_goes_on_at_the_expense_of_the_oldest() {
    let t = TestStore::new();
    t.sweep();
    t.disk.set_capacity(used(&t) + 3 * SEGMENT_BYTES);
    let clips: Vec<Clip> = (0..10).map(|n| t.sized_clip("door", n, "a", 3_900_000)).collect();
    let kept = clips.iter().filter(|clip| t.store.read(clip.id()).is_ok()).count();
    assert!((2..=3).contains(&kept), "{kept}");
    assert!(t.reads_as(&clips[9], "a"));
    assert_eq!(t.store.stats().unwrap().promise_broken_clips, 10 - u64::try_from(kept).unwrap());
}

/// One story with everything in it. Every step may fail; what it acknowledged must hold.
fn story(t: &TestStore) -> Vec<(Clip, &'static str)> {
    let mut kept = Vec::new();
    let window = |minute| NewClip::new(&camera("door"), minutes(minute, minute + 1));
    if let Ok(clip) = t.store.append(window(0), marked("first", 2_000_000)) {
        kept.push((clip, "first"));
    }
    if let Ok(mut recorder) = t.store.record(NewClip::starting(&camera("door"), at(5))) {
        let second = std::time::Duration::from_secs(1);
        let written = (0..6).try_for_each(|_| recorder.write(marked("second", 800_000), second));
        if written.is_ok()
            && let Ok(clip) = recorder.finish()
        {
            kept.push((clip, "second"));
        }
    }
    drop(t.store.seal());
    let held = t.store.place_hold(new_hold(HoldCause::Order, "door", minutes(0, 10))).is_ok();
    t.clock.advance(DAY / 2);
    drop(t.store.append(window(20), marked("third", 2_000_000)));
    drop(t.store.sweep());
    if !held {
        kept.clear();
    }
    kept
}

#[test]
fn a_disk_that_fills_up_at_any_step_costs_nothing_that_was_held() {
    let needed = {
        let t = TestStore::new();
        let before = used(&t);
        story(&t);
        used(&t) - before
    };
    let steps = 16;
    for step in 0..=steps {
        let t = TestStore::new();
        t.disk.set_capacity(used(&t) + needed * step / steps);
        let kept = story(&t);
        for (clip, _) in &kept {
            assert!(t.store.read(clip.id()).unwrap().to_vec().is_ok(), "step {step}");
        }
        let t = t.reopen();
        for (clip, marker) in &kept {
            let bytes = t.store.read(clip.id()).unwrap().to_vec().unwrap();
            let len = usize::try_from(clip.len()).unwrap();
            assert!(bytes.len() == len && bytes.starts_with(&marked(marker, 100)), "step {step}");
        }
    }
}

#[test]
fn a_disk_that_refuses_any_one_file_costs_nothing_that_was_held() {
    for nth in 1..12 {
        let t = TestStore::new();
        t.disk.fail_after(SimOp::Create, nth, IoKind::StorageFull);
        let kept = story(&t);
        t.disk.clear_faults();
        let t = t.reopen();
        for (clip, _) in &kept {
            assert!(t.store.read(clip.id()).unwrap().to_vec().is_ok(), "create {nth}");
        }
    }
}

#[test]
fn the_room_that_moving_held_clips_takes_is_made_too() {
    let t = TestStore::new();
    let mut held = Vec::new();
    for n in 0..3 {
        held.push(t.sized_clip("door", n, "held", 50_000));
        t.keep("door", minutes(n, n + 1));
        t.sized_clip("yard", n, "filler", 3_600_000);
        t.store.seal().unwrap();
    }
    let file_bytes = |id| t.store.inspect_segment(id).unwrap().file_bytes;
    let sizes: Vec<u64> = t.store.segments().into_iter().map(file_bytes).collect();
    // By its bytes alone, dropping the first segment is exactly enough.
    let quota = sizes.iter().sum::<u64>() + SEGMENT_BYTES - (sizes[0] - 50_000);
    let t = t.reopen_with(|options| options.quota(quota));
    t.sized_clip("yard", 10, "new", 3_600_000);
    assert!(held.iter().all(|clip| t.reads_as(clip, "held")));
}
