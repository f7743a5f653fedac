//! A hold at the last moment: on a clip that is long due, just before something that would take
//! it, and just after. Each way that a clip can go is one test.

use std::io;

use clipkeep::vfs::sim::SimOp;
use clipkeep::{
    Clip, ClockStatus, ErrorKind, HoldId, MissedReason, NewClip, NewHold, PolicyScope, Retention,
    WhenFull,
};

use crate::plug::Plug;
use crate::store_kit::{
    DAY, MINUTE, SEGMENT_BYTES, TestStore, at, camera, kind_of, marked, minutes,
};

/// The power fails, and the store is opened again.
fn cut_power(t: TestStore) -> TestStore {
    let disk = t.disk.crash();
    t.clock.reboot();
    let TestStore { clock, options, store, .. } = t;
    drop(store);
    let options = options.vfs(disk.clone());
    let store = options.clone().open("store").unwrap();
    TestStore { disk, clock, options, store }
}

/// The store in a process whose end the plug decides.
fn mortal(t: TestStore) -> (TestStore, Plug) {
    let TestStore { disk, clock, options, store } = t;
    drop(store);
    let plug = Plug::new(&disk, u64::MAX);
    let store = options.clone().vfs(plug.clone()).open("store").unwrap();
    (TestStore { disk, clock, options, store }, plug)
}

/// The process dies; the next one is on the same machine.
fn die(t: TestStore, plug: &Plug) -> TestStore {
    plug.pull();
    t.reopen()
}

/// A clip that is due, on which a hold was placed this moment, beside one that nobody holds.
fn held_at_last() -> (TestStore, Clip, Clip) {
    let t = TestStore::with(|options| options.when_full(WhenFull::DropOldest));
    let held = t.clip("door", 10, "held");
    let free = t.sealed_clip("door", 20, "free");
    t.pass(11 * DAY);
    t.keep("door", minutes(10, 11));
    (t, held, free)
}

/// The next sweep takes what is free, and never what is held; nor does any after a restart.
#[track_caller]
fn only_the_held_one_stays(t: TestStore, held: &Clip, free: &Clip) {
    t.sweep();
    assert!(t.reads_as(held, "held"));
    t.assert_gone(free);
    let t = t.reopen();
    t.sweep();
    assert!(t.reads_as(held, "held"));
    t.assert_gone(free);
    assert_eq!(t.files_with("free"), [""; 0]);
}

#[test]
fn a_hold_just_before_a_sweep_keeps_its_clip() {
    let (t, held, free) = held_at_last();
    only_the_held_one_stays(t, &held, &free);
}

#[test]
fn a_hold_just_before_the_process_dies_keeps_its_clip() {
    let (t, held, free) = held_at_last();
    let (t, plug) = mortal(t);
    t.keep("door", minutes(10, 11));
    only_the_held_one_stays(die(t, &plug), &held, &free);
}

#[test]
fn a_hold_just_before_a_power_cut_keeps_its_clip() {
    let (t, held, free) = held_at_last();
    only_the_held_one_stays(cut_power(t), &held, &free);
}

#[test]
fn a_hold_just_before_a_sweep_that_dies_anywhere_keeps_its_clip() {
    for changes in 0.. {
        let (t, held, free) = held_at_last();
        let (t, plug) = mortal(t);
        plug.pull_after(changes);
        drop(t.store.sweep());
        let died = plug.is_out();
        only_the_held_one_stays(die(t, &plug), &held, &free);
        if !died {
            assert!(changes > 10, "a sweep of {changes} changes");
            break;
        }
    }
}

#[test]
fn a_hold_just_before_the_disk_is_full_keeps_its_clip() {
    let (t, held, free) = held_at_last();
    let space = clipkeep::vfs::Vfs::space(&t.disk).unwrap();
    t.disk.set_capacity(space.total - space.free);
    for minute in 0..12 {
        let new = NewClip::new(&camera("yard"), minutes(1_400 + minute, 1_401 + minute));
        // Room is made at the expense of what is free, or it is refused.
        drop(t.store.append(new, marked("new", 900_000)));
        assert!(t.reads_as(&held, "held"));
    }
    t.disk.set_capacity(1 << 40);
    only_the_held_one_stays(t, &held, &free);
}

#[test]
fn a_hold_just_before_the_quota_is_reached_keeps_its_clip() {
    let (t, held, free) = held_at_last();
    let t = t.reopen_with(|options| options.quota(4 * SEGMENT_BYTES));
    for minute in 0..12 {
        let new = NewClip::new(&camera("yard"), minutes(1_400 + minute, 1_401 + minute));
        drop(t.store.append(new, marked("new", 2_000_000)));
        assert!(t.reads_as(&held, "held"));
    }
    let t = t.reopen_with(|options| options.quota(1 << 40));
    only_the_held_one_stays(t, &held, &free);
}

#[test]
fn a_hold_just_before_the_clock_steps_keeps_its_clip() {
    let year = 365 * DAY;
    for wall in [at(1440).saturating_add(3 * year), at(1440).saturating_sub(3 * year)] {
        let (t, held, free) = held_at_last();
        t.clock.step_wall(wall);
        assert!(!matches!(t.store.clock_status(), ClockStatus::Agrees));
        t.sweep();
        t.store.confirm_clock("ann").unwrap();
        // Its deadline is long past by now, and that alone ends no hold: an entry of a sweep does.
        assert!(t.reads_as(&held, "held"));
        t.assert_gone(&free);
        let t = t.reopen();
        assert!(t.reads_as(&held, "held"));
    }
}

#[test]
fn a_hold_just_before_its_policy_is_changed_keeps_its_clip() {
    let (t, held, free) = held_at_last();
    let minute = Retention::new(MINUTE, MINUTE).unwrap();
    t.store.set_retention(None, minute, PolicyScope::ExistingToo).unwrap();
    only_the_held_one_stays(t, &held, &free);
}

#[test]
fn a_hold_just_before_its_camera_is_removed_keeps_its_clip() {
    let (t, held, free) = held_at_last();
    t.store.remove_camera(&camera("door")).unwrap();
    only_the_held_one_stays(t, &held, &free);
}

#[test]
fn a_hold_just_before_its_owner_deletes_keeps_its_clip() {
    let (t, held, free) = held_at_last();
    let refused = t.store.delete_clip(held.id(), "owner", "");
    assert_eq!(kind_of(refused), ErrorKind::Held);
    only_the_held_one_stays(t, &held, &free);
}

/// The same clip when the hold comes one moment too late: the expiry is on record, whether or not
/// its file could be removed by then.
fn too_late(stays: bool) -> (TestStore, Clip, HoldId) {
    let t = TestStore::new();
    let gone = t.sealed_clip("door", 10, "gone");
    t.pass(11 * DAY);
    if stays {
        t.disk.fail_from(SimOp::Rename, 1, io::ErrorKind::Other);
        t.disk.fail_from(SimOp::Remove, 1, io::ErrorKind::Other);
    }
    drop(t.store.sweep());
    t.disk.clear_faults();
    assert_eq!(t.files_with("gone").len(), usize::from(stays));
    let receipt = t.store.place_hold(NewHold::new([camera("door")], minutes(10, 11))).unwrap();
    assert_eq!(receipt.clips, 0);
    let missed: Vec<_> = receipt.missed.iter().map(|missed| missed.reason).collect();
    assert_eq!(missed, [MissedReason::Expired], "the receipt says what it missed");
    (t, gone, receipt.id)
}

#[test]
fn a_hold_just_after_an_expiry_says_that_it_missed_and_brings_nothing_back() {
    for stays in [false, true] {
        for restart in [TestStore::reopen, cut_power] {
            let (t, gone, hold) = too_late(stays);
            t.assert_gone(&gone);
            let t = restart(t);
            t.assert_gone(&gone);
            assert!(t.store.hold(hold).unwrap().protects());
            t.sweep();
            t.assert_gone(&gone);
            assert_eq!(t.files_with("gone"), [""; 0]);
        }
    }
}

#[test]
fn a_release_on_a_full_disk_of_held_clips_frees_room_and_recording_goes_on_by_itself() {
    // No file for the next segment is made ahead.
    let t = TestStore::with(|options| options.evidence_reserve(0).reuse_max(0));
    for minute in 0..4 {
        t.sized_clip("door", 10 * minute, "held", 3_900_000);
    }
    t.store.seal().unwrap();
    let hold = t.keep("door", minutes(0, 60));
    t.pass(11 * DAY);
    t.sweep();
    let space = clipkeep::vfs::Vfs::space(&t.disk).unwrap();
    t.disk.set_capacity(space.total - space.free);
    let t = t.reopen();
    let new = || NewClip::new(&camera("door"), minutes(100, 101));
    let full = t.store.append(new(), marked("new", 3_900_000)).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::Full);
    t.release_keep(hold);
    t.sweep();
    assert_eq!(t.files_with("held"), [""; 0], "the next sweep gives the room back");
    let clip = t.store.append(new(), marked("new", 3_900_000)).unwrap();
    assert!(t.reads_as(&clip, "new"));
}
