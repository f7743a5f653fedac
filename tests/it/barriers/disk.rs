//! What a power cut and a full disk leave of segments and reserves.

use std::io;

use clipkeep::vfs::sim::SimOp;
use clipkeep::{Durability, NewClip, Timestamp};

use crate::store_kit::{DAY, SEGMENT_BYTES, TestStore, camera, marked, minutes};

use super::kit::{cut_power, die, mortal, places, seeded, seeded_with};

/// What was acknowledged as buffered is durable when `Store::sync` returns.
pub(super) fn a_synced_store_keeps_what_was_buffered(seed: u64) {
    let t = seeded_with(seed, |options| options.durability(Durability::Buffered));
    let clip = t.clip("door", 10, "buffered");
    t.store.sync().unwrap();
    let t = cut_power(t, |_| ());
    assert!(t.reads_as(&clip, "buffered"));
}

/// What is erased on record is on the disk no more.
pub(super) fn erased_bytes_stay_erased(seed: u64) {
    let t = seeded(seed);
    let clip = t.clip("door", 10, "secret");
    let neighbour = t.sealed_clip("door", 20, "neighbour");
    t.store.delete_clip(clip.id(), "owner", "").unwrap();
    t.store.sync().unwrap();
    let t = cut_power(t, |_| ());
    t.sweep();
    assert!(t.reads_as(&neighbour, "neighbour"));
    assert_eq!(t.files_with("secret"), [""; 0]);
}

/// The file of a segment that is dropped on record has nothing of it any more.
pub(super) fn zeroed_bytes_stay_zeroed(seed: u64) {
    let t = seeded(seed);
    t.sealed_clip("door", 10, "secret");
    t.pass(11 * DAY);
    t.sweep();
    assert_eq!(t.store.stats().unwrap().reusable_bytes, SEGMENT_BYTES);
    assert_eq!(files_with_secret(&t), [""; 0]);
}

/// The same where it had to be removed from where it was to be kept.
pub(super) fn what_could_not_be_zeroed_stays_gone(seed: u64) {
    let t = seeded(seed);
    t.sealed_clip("door", 10, "secret");
    t.pass(11 * DAY);
    t.disk.fail_after(SimOp::Zero, 1, io::ErrorKind::Unsupported);
    t.sweep();
    assert_eq!(files_with_secret(&t), [""; 0]);
}

/// The files that have the bytes after a power cut, before a store is opened there.
fn files_with_secret(t: &TestStore) -> Vec<String> {
    let disk = t.disk.crash();
    let has = |path: &String| !places(&disk.contents(path).unwrap(), b"<secret>").is_empty();
    disk.files().into_iter().filter(has).collect()
}

/// What is set aside for held clips outlives a power cut, so that a full disk can move them.
pub(super) fn held_clips_move_on_a_full_disk(seed: u64) {
    let t = seeded(seed);
    let held = t.clip("door", 10, "held");
    t.sealed_clip("door", 20, "due");
    t.keep("door", minutes(10, 11));
    let t: TestStore = cut_power(t, |disk| disk.set_capacity(0));
    t.pass(11 * DAY);
    assert_eq!(t.store.sweep().unwrap().clips_moved, 1);
    assert_eq!(t.files_with("due"), [""; 0]);
    assert!(t.reads_as(&held, "held"));
}

/// The same of what was set aside anew, since no new segment has synced its folder.
pub(super) fn a_reserve_that_was_made_again_outlives_a_power_cut(seed: u64) {
    let t = seeded(seed);
    for (minute, days) in [(10, 6), (30, 5)] {
        t.clip("door", minute, "held");
        t.sealed_clip("door", minute + 10, "due");
        t.keep("door", minutes(minute, minute + 1));
        t.pass(days * DAY);
    }
    t.disk.set_capacity(0);
    assert_eq!(t.store.sweep().unwrap().clips_moved, 1);
    t.disk.set_capacity(1 << 40);
    t.store.sweep().unwrap();
    let t = cut_power(t, |disk| disk.set_capacity(0));
    t.pass(6 * DAY);
    assert_eq!(t.store.sweep().unwrap().clips_moved, 1);
    assert_eq!(t.files_with("due"), [""; 0]);
}

/// Trusted time does not go back behind what a sweep saw, though the wall clock does.
pub(super) fn trusted_time_does_not_go_back(seed: u64) {
    let t = seeded(seed);
    t.sealed_clip("door", 10, "old");
    t.sweep();
    t.pass(4 * DAY);
    // There is nothing to decide, so that no entry of the ledger has the time.
    t.sweep();
    let before = t.store.now();
    let clock = t.clock.clone();
    let t = cut_power(t, |_| clock.step_wall(Timestamp::EPOCH));
    assert!(t.store.now() >= before);
}

/// A clip that may be refused.
fn append(t: &TestStore, minute: u32) {
    let new = NewClip::new(&camera("door"), minutes(minute, minute + 1));
    drop(t.store.append(new, marked("new", 20_000)));
}

/// A segment that was made and never written to is no damage.
pub(super) fn a_segment_without_a_record_has_its_header(seed: u64) {
    let (t, plug) = mortal(seeded(seed));
    t.sealed_clip("door", 10, "before");
    // Its file, its header twice, a sync, its name, two folders; then the record.
    plug.pull_after(3 + seed % 5);
    append(&t, 20);
    plug.pull();
    let problems = cut_power(t, |_| ()).store.opening().problems;
    assert!(problems.is_empty(), "{problems:?}");
}

/// A clip that the process after a kill has shown is not lost with the power.
pub(super) fn what_was_found_unsynced_is_kept(seed: u64) {
    let (t, plug) = mortal(seeded(seed));
    t.clip("door", 10, "first");
    // It dies behind the write of the record, before its sync.
    plug.pull_after(1);
    append(&t, 20);
    let t = die(t, &plug);
    let shown = t.listed(&camera("door"));
    assert_eq!(shown.len(), 2);
    assert_eq!(cut_power(t, |_| ()).listed(&camera("door")), shown);
}

/// A seal that it has put on record is not lost either.
pub(super) fn a_seal_that_was_found_unsynced_is_kept(seed: u64) {
    let (t, plug) = mortal(seeded(seed));
    let clip = t.clip("door", 10, "sealed");
    // It dies behind the writes of footer and trailer, before their sync.
    plug.pull_after(2);
    drop(t.store.seal());
    let t = cut_power(die(t, &plug), |_| ());
    let problems = t.store.opening().problems;
    assert!(problems.is_empty(), "{problems:?}");
    assert!(t.reads_as(&clip, "sealed"));
}

/// Nor is a drop: the file does not come back.
pub(super) fn a_drop_that_was_found_unsynced_is_kept(seed: u64) {
    // A file that was to be kept for another segment would be removed for good by the next process.
    let (t, plug) = mortal(seeded_with(seed, |options| options.reuse_max(0)));
    let clip = t.sealed_clip("door", 10, "due");
    t.pass(11 * DAY);
    // It dies around the removal, which follows the writes and syncs of two ledger copies.
    plug.pull_after(4 + seed % 3);
    drop(t.store.sweep());
    let t = cut_power(die(t, &plug), |_| ());
    t.assert_gone(&clip);
    assert_eq!(t.files_with("due"), [""; 0]);
}
