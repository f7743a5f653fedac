//! Disks that refuse, stores of other versions, sweeps that fail half-way.

use std::io::ErrorKind as IoKind;

use clipkeep::vfs::Vfs;
use clipkeep::vfs::sim::{Fate, SimOp};
use clipkeep::{ErrorKind, HoldCause, NewClip, NewHold};

use crate::store_kit::{DAY, TestStore, camera, kind_of, marked, minutes};

/// Overwrites `bytes` of both slots of the STORE file at `offset` and mends their checksums, as
/// docs/FORMAT.md says: CRC32 of bytes 12..4096 at byte 8.
fn patch_store(t: &TestStore, offset: usize, bytes: &[u8]) {
    let file = t.disk.open("STORE", true).unwrap();
    let mut contents = t.disk.contents("STORE").unwrap();
    for slot in contents.chunks_mut(4096) {
        if slot.starts_with(b"CLIPSTO\0") {
            slot[offset..offset + bytes.len()].copy_from_slice(bytes);
            let crc = crc32fast::hash(&slot[12..]);
            slot[8..12].copy_from_slice(&crc.to_le_bytes());
        }
    }
    file.write_at(0, &[&contents]).unwrap();
}

#[test]
fn a_store_of_a_later_version_is_not_opened_and_not_touched() {
    let t = TestStore::new();
    t.clip("door", 0, "a");
    let options = t.options.clone();
    patch_store(&t, 12, &2_u16.to_le_bytes());
    drop(t.store);
    patch_store_kept(&t.disk);
    let files = |disk: &clipkeep::vfs::sim::SimVfs| -> Vec<_> {
        disk.files().iter().map(|path| disk.contents(path)).collect()
    };
    let before = files(&t.disk);
    let error = options.clone().open("store").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("version 2"), "{error}");
    assert_eq!(kind_of(options.read_only(true).open("store")), ErrorKind::Unsupported);
    assert!(files(&t.disk) == before);
}

/// Closing the store wrote a slot of this version; a later one that wrote both would not.
fn patch_store_kept(disk: &clipkeep::vfs::sim::SimVfs) {
    let slots = disk.contents("STORE").unwrap();
    let versions: Vec<_> = slots.chunks(4096).map(|slot| slot[12]).collect();
    assert!(versions.contains(&2), "{versions:?}");
}

#[test]
fn a_store_without_a_readable_slot_is_corrupt_and_not_made_anew() {
    let t = TestStore::new();
    t.clip("door", 0, "a");
    let options = t.options.clone();
    drop(t.store);
    for offset in [100, 4196] {
        t.disk.corrupt("STORE", offset, 1);
    }
    assert_eq!(kind_of(options.open("store")), ErrorKind::Corrupt);
    assert!(!t.disk.files().is_empty());
}

#[test]
fn one_damaged_slot_is_survived() {
    for offset in [100, 4196] {
        let t = TestStore::new();
        let clip = t.clip("door", 0, "a");
        let options = t.options.clone();
        drop(t.store);
        t.disk.corrupt("STORE", offset, 1);
        let store = options.open("store").unwrap();
        assert_eq!(store.read(clip.id()).unwrap().to_vec().unwrap(), marked("a", 20_000));
    }
}

#[test]
fn a_disk_that_turns_read_only_refuses_clips_and_goes_on_reading() {
    let t = TestStore::new();
    let clip = t.clip("door", 0, "a");
    for op in [SimOp::Write, SimOp::Create, SimOp::Sync, SimOp::Rename, SimOp::Remove] {
        t.disk.fail_from(op, 1, IoKind::ReadOnlyFilesystem);
    }
    let new = NewClip::new(&camera("door"), minutes(1, 2));
    assert!(t.store.append(new, marked("b", 10)).is_err());
    assert!(t.reads_as(&clip, "a"));
    let hold = clipkeep::NewHold::new([camera("door")], minutes(0, 1));
    assert!(t.store.place_hold(hold).is_err());
    assert_eq!(t.store.holds(), []);
    t.disk.clear_faults();
    let t = t.reopen();
    assert!(t.reads_as(&clip, "a"));
    let new = t.clip("door", 9, "new");
    assert!(t.reads_as(&new, "new"));
}

#[test]
fn a_folder_that_cannot_be_written_is_read_only() {
    let t = TestStore::new();
    let options = t.options.clone();
    drop(t.store);
    t.disk.set_read_only(true);
    assert_eq!(kind_of(options.clone().open("store")), ErrorKind::ReadOnly);
    options.read_only(true).open("store").unwrap();
}

#[test]
fn one_failed_write_costs_nobody_a_clip() {
    for op in [SimOp::Write, SimOp::Sync] {
        let t = TestStore::new();
        let first = t.clip("door", 0, "first");
        t.disk.fail_after(op, 1, IoKind::Other);
        let second = t.clip("door", 1, "second");
        assert!(!t.store.problems().is_empty(), "survived and said");
        assert!(t.reads_as(&first, "first") && t.reads_as(&second, "second"));
        let t = t.reopen();
        assert!(t.reads_as(&first, "first") && t.reads_as(&second, "second"));
        assert_eq!(t.listed(&camera("door")).len(), 2);
    }
}

#[test]
fn two_failed_writes_stop_recording_loudly_until_it_is_opened_again() {
    let t = TestStore::new();
    let first = t.clip("door", 0, "first");
    t.disk.fail_from(SimOp::Write, 1, IoKind::Other);
    let new = |minute| NewClip::new(&camera("door"), minutes(minute, minute + 1));
    assert!(t.store.append(new(1), marked("a", 10)).is_err());
    t.disk.clear_faults();
    let stopped = t.store.append(new(2), marked("a", 10));
    let stats = t.store.stats().unwrap();
    assert_eq!(stopped.is_err(), stats.recording_stopped.is_some());
    assert!(t.reads_as(&first, "first"));
    let t = t.reopen();
    let again = t.clip("door", 9, "again");
    assert!(t.reads_as(&again, "again"));
}

#[test]
fn a_sweep_that_cannot_remove_a_file_removes_it_the_next_time() {
    for nth in 1..=3 {
        for op in [SimOp::Remove, SimOp::SyncDir] {
            let t = TestStore::new();
            let clips: Vec<_> = (0..3).map(|n| t.sealed_clip("door", n, "a")).collect();
            t.sweep();
            t.pass(10 * DAY);
            if op == SimOp::Remove {
                // What can be kept for another segment is not removed.
                t.disk.fail_from(SimOp::Rename, 1, IoKind::Other);
            }
            t.disk.fail_after(op, nth, IoKind::Other);
            drop(t.store.sweep());
            for clip in &clips {
                t.assert_gone(clip);
            }
            t.disk.clear_faults();
            t.sweep();
            assert!(t.segment_files().is_empty(), "{op:?} {nth}");
            assert_eq!(t.store.stats().unwrap().expired_bytes, 0);
            let t = t.reopen();
            assert!(t.store.opening().problems.is_empty(), "{:?}", t.store.opening().problems);
        }
    }
}

#[test]
fn a_clip_whose_bytes_cannot_be_punched_is_gone_and_punched_later() {
    let t = TestStore::new();
    let (clip, other) = (t.clip("door", 0, "deleted"), t.sealed_clip("door", 1, "other"));
    t.disk.fail_after(SimOp::Punch, 1, IoKind::Other);
    t.store.delete_clip(clip.id(), "owner", "").unwrap();
    t.assert_gone(&clip);
    assert!(!t.store.problems().is_empty());
    t.sweep();
    assert_eq!(t.files_with("deleted"), [""; 0]);
    assert!(t.reads_as(&other, "other"));
}

#[test]
fn maps_that_fail_are_replaced_by_copies() {
    for kind in [IoKind::Unsupported, IoKind::OutOfMemory] {
        let t = TestStore::new();
        let clip = t.sealed_clip("door", 0, "a");
        t.disk.fail_after(SimOp::Map, 1, kind);
        assert!(t.reads_as(&clip, "a"), "{kind}");
    }
}

#[test]
fn a_failed_relocation_loses_nothing_at_any_step() {
    for op in [SimOp::Create, SimOp::Write, SimOp::Sync, SimOp::Rename, SimOp::SyncDir, SimOp::Read]
    {
        for nth in 1..8 {
            let t = TestStore::new();
            let held = t.clip("door", 10, "held");
            let free = t.sealed_clip("door", 20, "free");
            t.keep("door", minutes(10, 11));
            t.sweep();
            t.pass(10 * DAY);
            t.disk.fail_after(op, nth, IoKind::Other);
            drop(t.store.sweep());
            t.disk.clear_faults();
            assert!(t.reads_as(&held, "held"), "{op:?} {nth}");
            drop(t.store.sweep());
            let t = t.reopen();
            assert!(t.reads_as(&held, "held"), "{op:?} {nth} reopened");
            t.sweep();
            t.assert_gone(&free);
            assert_eq!(t.files_with("free"), [""; 0], "{op:?} {nth}");
        }
    }
}

/// After a sync that failed, the system shows the new bytes to the next process as if they were on
/// the disk: what that one finds must be on the disk before it records on behind it.
#[test]
fn what_a_killed_process_could_not_sync_is_no_damage_after_a_power_cut() {
    let t = TestStore::new();
    t.clip("door", 0, "synced");
    t.disk.fail_from(SimOp::Sync, 1, IoKind::Other);
    // From then on the ledger takes nothing, so that it does not say which segment is suspect.
    let hold = NewHold::new([camera("door")], minutes(0, 1)).cause(HoldCause::Keep);
    assert!(t.store.place_hold(hold).is_err());
    let lost = NewClip::new(&camera("door"), minutes(1, 2));
    assert!(t.store.append(lost, marked("unsynced", 30_000)).is_err());
    // As it is at this moment, with nobody to close it; then a disk that works.
    let killed = t.disk.fork(1);
    let store = t.options.clone().vfs(killed.clone()).open("store").unwrap();
    let later = NewClip::new(&camera("door"), minutes(2, 3));
    store.append(later, marked("later", 30_000)).unwrap();
    let disk = killed.crash_choosing(&mut |_| Fate::Drop);
    drop(store);
    let store = t.options.clone().vfs(disk).open("store").unwrap();
    assert!(store.opening().problems.is_empty(), "{:?}", store.opening().problems);
    let listed: Vec<_> = store.clips(&camera("door"), minutes(0, 3)).unwrap().collect();
    assert!(listed.len() >= 2, "{listed:?}");
    for clip in listed {
        store.read(clip.id()).unwrap().to_vec().unwrap();
    }
}
