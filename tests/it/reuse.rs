//! The files of dropped segments: zeroed, kept and used again, or removed where that cannot be.

use std::io::{self, Write as _};

use clipkeep::vfs::Vfs as _;
use clipkeep::vfs::sim::SimOp;
use clipkeep::{ErrorKind, NewClip, PolicyScope, Retention, StoreOptions, VerifyDepth, WhenFull};

use crate::store_kit::{DAY, SEGMENT_BYTES, TestStore, camera, marked, minutes};

/// The files that are kept for new segments.
fn kept(t: &TestStore) -> Vec<String> {
    t.disk.files().into_iter().filter(|path| path.starts_with("spare/reuse-")).collect()
}

/// A store in which a clip marked "gone" is due, in a segment of its own.
fn due(change: impl FnOnce(StoreOptions) -> StoreOptions) -> TestStore {
    let t = TestStore::with(change);
    t.sealed_clip("door", 0, "gone");
    t.pass(11 * DAY);
    t
}

/// Sweeps, and asserts that the file is gone and not kept.
#[track_caller]
fn sweep_removes(t: &TestStore) {
    let report = t.store.sweep().unwrap();
    assert_eq!((report.segments_dropped, kept(t)), (1, Vec::new()), "{:?}", report.problems);
    assert_eq!(t.segment_files(), [""; 0]);
    assert_eq!(t.files_with("gone"), [""; 0]);
    assert_eq!(t.ledger().iter().filter(|line| line.kind == "segment-dropped").count(), 1);
}

#[test]
fn the_file_of_a_dropped_segment_is_zeroed_and_used_again() {
    let t = due(|options| options);
    t.sweep();
    assert_eq!((t.segment_files(), kept(&t).len()), (Vec::new(), 1));
    assert!(t.disk.contents(&kept(&t)[0]).unwrap().iter().all(|byte| *byte == 0));
    assert_eq!(t.store.stats().unwrap().reusable_bytes, SEGMENT_BYTES);
    t.disk.fail_from(SimOp::Create, 1, io::ErrorKind::Other);
    let clip = t.sealed_clip("door", 10, "new");
    t.disk.clear_faults();
    assert_eq!((t.segment_files().len(), kept(&t)), (1, Vec::new()));
    assert_eq!(t.store.stats().unwrap().reusable_bytes, 0);
    let t = t.reopen();
    assert!(t.reads_as(&clip, "new"));
    let faults = t.store.verify(VerifyDepth::Bytes, &mut |_| {}).unwrap().faults;
    assert!(faults.is_empty(), "{faults:?}");
}

#[test]
fn a_real_file_system_zeroes_and_uses_files_again() {
    let dir = tempfile::tempdir().unwrap();
    let t = TestStore::new();
    let options = t.options.clone().vfs(clipkeep::vfs::os::OsVfs::new(dir.path()));
    let store = options.clone().open(dir.path()).unwrap();
    let names = || {
        let names = clipkeep::vfs::os::OsVfs::new(dir.path()).list("spare").unwrap();
        names.into_iter().filter(|name| name.starts_with("reuse-")).collect::<Vec<_>>()
    };
    let append = |minute, bytes: Vec<u8>| {
        store.append(NewClip::new(&camera("door"), minutes(minute, minute + 1)), bytes).unwrap()
    };
    append(0, vec![7; 3_000_000]);
    store.seal().unwrap();
    t.pass(11 * DAY);
    assert!(store.sweep().unwrap().problems.is_empty());
    let [name] = &names()[..] else {
        let probe = clipkeep::vfs::os::OsVfs::new(dir.path()).create("probe", 4096).unwrap();
        let refused = probe.zero(0..4096).map_err(|error| error.kind());
        assert_eq!(refused, Err(io::ErrorKind::Unsupported), "it could have been kept");
        writeln!(io::stderr(), "SKIPPED reuse of files: this file system zeroes none").unwrap();
        return;
    };
    let path = format!("spare/{name}");
    let disk = clipkeep::vfs::os::OsVfs::new(dir.path());
    let file = disk.open(&path, false).unwrap();
    let mut bytes = vec![1; usize::try_from(SEGMENT_BYTES).unwrap()];
    file.read_at(0, &mut bytes).unwrap();
    assert!(bytes.iter().all(|byte| *byte == 0));
    assert!(file.allocated().unwrap() >= SEGMENT_BYTES);
    let clip = append(10, vec![9; 3_000_000]);
    assert_eq!(names(), [""; 0], "its file is the new segment's");
    drop(store);
    let store = options.open(dir.path()).unwrap();
    assert_eq!(store.read(clip.id()).unwrap().to_vec().unwrap(), vec![9; 3_000_000]);
}

#[test]
fn a_file_that_was_read_a_moment_ago_is_used_again() {
    let t = due(|options| options);
    let clip = t.store.clips(&camera("door"), minutes(0, 9)).unwrap().next().unwrap();
    assert!(t.reads_as(&clip, "gone"));
    assert_eq!(t.disk.stats().maps, 1, "its map is kept");
    t.sweep();
    assert_eq!((t.segment_files(), kept(&t).len()), (Vec::new(), 1));
    assert_eq!((t.disk.stats().maps, t.store.stats().unwrap().ghost_bytes), (0, 0));
    assert_eq!(t.files_with("gone"), [""; 0]);
}

#[test]
fn a_removed_file_that_was_read_a_moment_ago_takes_no_room() {
    let free = [false, true].map(|is_read| {
        let t = due(|options| options.reuse_max(0));
        let clip = t.store.clips(&camera("door"), minutes(0, 9)).unwrap().next().unwrap();
        assert!(!is_read || t.reads_as(&clip, "gone"));
        assert_eq!(t.disk.stats().maps, u64::from(is_read), "its map is kept");
        sweep_removes(&t);
        assert_eq!((t.disk.stats().maps, t.store.stats().unwrap().ghost_bytes), (0, 0));
        t.disk.space().unwrap().free
    });
    assert_eq!(free[0], free[1]);
}

#[test]
fn no_map_is_kept_of_a_file_without_a_name_whoever_has_the_segment() {
    for is_late in [false, true] {
        let t = due(|options| options);
        let clip = t.store.clips(&camera("door"), minutes(0, 9)).unwrap().next().unwrap();
        let copied = t.store.read_copied(clip.id()).unwrap();
        let mapped = t.store.read(clip.id()).unwrap();
        let late = is_late.then(|| mapped.clone());
        drop(mapped);
        sweep_removes(&t);
        assert_eq!(t.disk.stats().maps, u64::from(is_late), "the reader's own");
        drop(late);
        assert_eq!(t.disk.stats().maps, 0);
        assert_eq!(copied.to_vec().unwrap(), marked("gone", 20_000));
    }
}

#[test]
fn a_file_that_is_mapped_is_removed_and_its_bytes_stay() {
    let t = due(|options| options);
    let clip = t.store.clips(&camera("door"), minutes(0, 9)).unwrap().next().unwrap();
    let reader = t.store.read(clip.id()).unwrap();
    let chunk = reader.chunks(0..clip.len()).unwrap().next().unwrap().unwrap();
    drop(reader);
    sweep_removes(&t);
    assert!(chunk.starts_with(b"<gone><gone>"), "a reader's bytes changed");
    assert!(t.store.stats().unwrap().ghost_bytes > 0);
    drop(chunk);
    assert_eq!(t.store.stats().unwrap().ghost_bytes, 0);
}

#[test]
fn a_file_that_is_only_open_is_removed_and_can_be_read_on() {
    let t = due(|options| options.lease_segments_max(0));
    let clip = t.store.clips(&camera("door"), minutes(0, 9)).unwrap().next().unwrap();
    let reader = t.store.read(clip.id()).unwrap();
    t.store.sweep().unwrap();
    assert_eq!(kept(&t), [""; 0]);
    match reader.to_vec() {
        Ok(bytes) => assert!(bytes.starts_with(b"<gone><gone>"), "a reader's bytes changed"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Expired),
    }
}

#[test]
fn a_file_that_cannot_be_zeroed_is_removed() {
    for kind in [io::ErrorKind::Other, io::ErrorKind::StorageFull, io::ErrorKind::Unsupported] {
        let t = due(|options| options);
        t.disk.fail_after(SimOp::Zero, 1, kind);
        sweep_removes(&t);
        assert_eq!(t.store.problems().len(), usize::from(kind == io::ErrorKind::Other));
    }
}

#[test]
fn a_file_system_that_zeroes_nothing_is_asked_once() {
    let t = due(|options| options);
    t.disk.fail_after(SimOp::Zero, 1, io::ErrorKind::Unsupported);
    sweep_removes(&t);
    t.sealed_clip("door", 10, "next");
    t.pass(11 * DAY);
    t.sweep();
    assert_eq!((kept(&t), t.segment_files()), (Vec::new(), Vec::new()));
    assert_eq!(t.files_with("next"), [""; 0]);
}

#[test]
fn a_file_that_cannot_be_renamed_is_removed() {
    let t = due(|options| options);
    t.disk.fail_after(SimOp::Rename, 1, io::ErrorKind::Other);
    sweep_removes(&t);
}

#[test]
fn a_file_whose_zeros_cannot_be_synced_is_removed() {
    let t = due(|options| options);
    // Two copies of the ledger come first.
    t.disk.fail_after(SimOp::Sync, 3, io::ErrorKind::Other);
    sweep_removes(&t);
    assert_eq!(t.store.problems().len(), 1);
}

#[test]
fn a_file_that_cannot_even_be_removed_is_removed_by_the_next_sweep() {
    let t = due(|options| options);
    t.disk.fail_after(SimOp::Zero, 1, io::ErrorKind::Other);
    t.disk.fail_from(SimOp::Remove, 1, io::ErrorKind::Other);
    assert!(!t.store.sweep().unwrap().problems.is_empty());
    assert_eq!(t.files_with("gone").len(), 1);
    t.disk.clear_faults();
    t.sweep();
    assert_eq!((t.files_with("gone"), kept(&t)), (Vec::new(), Vec::new()));
    let t = t.reopen();
    assert_eq!(t.ledger().iter().filter(|line| line.kind == "segment-dropped").count(), 1);
}

#[test]
fn what_opening_cannot_remove_is_told_and_on_record_as_dropped_once_it_is_gone() {
    let t = TestStore::new();
    let own = Retention::days(3, 9).unwrap();
    t.store.add_camera(&camera("door")).unwrap();
    t.store.set_retention(Some(&camera("door")), own, PolicyScope::NewClips).unwrap();
    t.sealed_clip("door", 0, "gone");
    t.pass(11 * DAY);
    t.disk.fail_after(SimOp::Zero, 1, io::ErrorKind::Other);
    t.disk.fail_from(SimOp::Remove, 1, io::ErrorKind::Other);
    t.store.sweep().unwrap().problems.pop().unwrap();
    let drops = |t: &TestStore| -> Vec<String> {
        let lines = t.ledger().into_iter().filter(|line| line.kind == "segment-dropped");
        lines.map(|line| line.text).collect()
    };
    let t = t.reopen();
    assert_ne!(t.store.opening().problems.len(), 0, "{:?}", t.store.opening().problems);
    assert_eq!(t.files_with("gone"), ["spare/reuse-1.seg"]);
    assert_eq!(drops(&t), [""; 0], "its bytes are there");
    let disk = t.disk.clone();
    let t = t.reopen_with(|options| {
        disk.clear_faults();
        options
    });
    assert!(t.store.opening().problems.is_empty(), "{:?}", t.store.opening().problems);
    assert_eq!((t.files_with("gone"), kept(&t)), (Vec::new(), Vec::new()));
    assert_eq!(drops(&t), ["the file of segment 1 of class 1 is gone"]);
}

#[test]
fn a_folder_that_cannot_be_synced_leaves_a_removal_to_the_next_sweep() {
    for nth in 1..3 {
        let t = due(|options| options);
        t.disk.fail_after(SimOp::SyncDir, nth, io::ErrorKind::Other);
        let report = t.store.sweep().unwrap();
        assert_eq!((report.segments_dropped, report.problems.len()), (0, 1), "{nth}");
        sweep_removes(&t);
    }
}

#[test]
fn a_file_that_has_no_room_for_its_hole_is_removed() {
    let t = due(|options| options);
    let space = t.disk.space().unwrap();
    t.disk.set_capacity(space.total - space.free + 4096);
    sweep_removes(&t);
}

#[test]
fn a_file_with_a_sector_that_cannot_be_read_is_removed() {
    let t = due(|options| options);
    let path = t.segment_files().remove(0);
    t.disk.bad_sector(&path, 2 << 20..(2 << 20) + 512);
    sweep_removes(&t);
}

#[test]
fn opening_takes_over_what_is_blank_and_removes_what_is_not() {
    let t = TestStore::new();
    for (number, len) in [(70, SEGMENT_BYTES), (71, SEGMENT_BYTES), (72, 2 * SEGMENT_BYTES)] {
        t.disk.create(&format!("spare/reuse-{number}.seg"), len).unwrap();
    }
    let torn = t.disk.open("spare/reuse-71.seg", true).unwrap();
    torn.write_at(3 << 20, &[b"old"]).unwrap();
    drop(torn);
    let t = t.reopen();
    assert_eq!(kept(&t), ["spare/reuse-70.seg"]);
    assert_eq!(t.store.stats().unwrap().reusable_bytes, SEGMENT_BYTES);
    let problems = t.store.opening().problems;
    assert!(problems.is_empty(), "{problems:?}");
}

/// A process that is killed between zeroing a file and syncing it leaves zeros in memory alone, and
/// the next one puts on record that the segment is dropped.
#[test]
fn what_opening_takes_over_is_zero_for_good() {
    let t = due(|options| options);
    t.sweep();
    let path = kept(&t).remove(0);
    let file = t.disk.open(&path, true).unwrap();
    file.write_at(4096, &[&marked("gone", 100_000)]).unwrap();
    file.sync().unwrap();
    file.zero(0..SEGMENT_BYTES).unwrap();
    drop(file);
    let t = t.reopen();
    assert_eq!(kept(&t), std::slice::from_ref(&path));
    for _ in 0..20 {
        let bytes = t.disk.crash().contents(&path).unwrap();
        assert!(bytes.iter().all(|byte| *byte == 0), "old bytes came back");
    }
}

#[test]
fn opening_with_other_options_removes_what_no_longer_fits() {
    let options: [fn(StoreOptions) -> StoreOptions; 2] =
        [|options| options.segment_bytes(2 * SEGMENT_BYTES), |options| options.reuse_max(0)];
    for change in options {
        let t = due(|options| options);
        t.sweep();
        assert_eq!(kept(&t).len(), 1);
        let t = t.reopen_with(|options| options.read_only(true));
        assert_eq!(kept(&t).len(), 1, "who only reads removes nothing");
        let t = t.reopen_with(|options| change(options.read_only(false)));
        assert_eq!(kept(&t), [""; 0]);
        t.clip("door", 10, "new");
    }
}

#[test]
fn no_more_is_kept_than_asked_for() {
    let t = TestStore::with(|options| options.reuse_max(3 * SEGMENT_BYTES));
    for minute in 0..5 {
        t.sealed_clip("door", minute, "gone");
    }
    t.pass(11 * DAY);
    t.sweep();
    assert_eq!((kept(&t).len(), t.segment_files()), (3, Vec::new()));
    assert_eq!(t.files_with("gone"), [""; 0]);
}

#[test]
fn nobodys_clip_goes_early_while_files_are_kept() {
    let quota = 6 * SEGMENT_BYTES;
    let t = TestStore::with(|options| options.quota(quota).evidence_reserve(0));
    for minute in 0..5 {
        t.sized_clip("door", minute, "gone", 3_900_000);
    }
    t.store.seal().unwrap();
    t.pass(11 * DAY);
    t.sweep();
    assert!(kept(&t).len() >= 4, "{:?}", kept(&t));
    for minute in 10..15 {
        t.sized_clip("door", minute, "new", 3_900_000);
        let stats = t.store.stats().unwrap();
        let allocated = |path: &String| t.disk.open(path, false).unwrap().allocated().unwrap();
        let segments: u64 = t.segment_files().iter().map(allocated).sum();
        assert!(segments + stats.reusable_bytes <= quota, "{segments} {}", stats.reusable_bytes);
    }
    assert_eq!(t.listed(&camera("door")).len(), 5, "there was room for all");
    assert_eq!(t.store.stats().unwrap().promise_broken_clips, 0);
}

#[test]
fn a_sweep_gives_files_up_where_others_have_too_little_room() {
    let floor = 8 * SEGMENT_BYTES;
    let t = TestStore::with(|options| options.free_space_floor(floor));
    for minute in 0..2 {
        t.sealed_clip("door", minute, "gone");
    }
    t.pass(11 * DAY);
    t.sweep();
    let young = t.sealed_clip("door", 10, "young");
    assert_eq!(kept(&t).len(), 1);
    let space = t.disk.space().unwrap();
    t.disk.set_capacity(space.total - space.free + floor - 1);
    t.sweep();
    assert_eq!(kept(&t), [""; 0]);
    assert!(t.disk.space().unwrap().free >= floor);
    assert!(t.reads_as(&young, "young"), "a clip went in its place");
}

#[test]
fn what_is_kept_gives_way_to_all_else_on_a_full_disk() {
    let t = TestStore::with(|options| options.when_full(WhenFull::Refuse));
    for minute in 0..3 {
        t.sealed_clip("door", minute, "gone");
    }
    t.pass(11 * DAY);
    t.sweep();
    assert_eq!(kept(&t).len(), 3);
    // Not a byte is free: a new segment, and a larger reserve than there was.
    let space = t.disk.space().unwrap();
    t.disk.set_capacity(space.total - space.free);
    let clip = t.clip("door", 10, "new");
    assert_eq!(kept(&t).len(), 2);
    let t = t.reopen_with(|options| options.evidence_reserve(2 * SEGMENT_BYTES));
    assert!(t.reads_as(&clip, "new"));
    let reserve = t.disk.contents("spare/evidence-0.seg").map(|bytes| bytes.len());
    assert_eq!(reserve, usize::try_from(2 * SEGMENT_BYTES).ok());
    assert!(kept(&t).len() < 2, "{:?}", kept(&t));
}

#[test]
fn the_file_of_a_segment_whose_held_clips_were_moved_is_used_again() {
    let t = TestStore::new();
    let held = t.clip("door", 10, "held");
    t.sealed_clip("door", 20, "gone");
    t.keep("door", minutes(10, 11));
    t.pass(11 * DAY);
    assert_eq!(t.sweep().clips_moved, 1);
    assert_eq!((kept(&t).len(), t.files_with("gone")), (1, Vec::new()));
    assert!(t.reads_as(&held, "held"));
}

#[test]
fn a_segment_that_the_disk_once_failed_to_write_lends_its_file_to_nobody() {
    let t = TestStore::new();
    t.clip("door", 0, "first");
    t.disk.fail_after(SimOp::Sync, 1, io::ErrorKind::Other);
    t.clip("door", 1, "second");
    let t = t.reopen();
    assert_eq!(t.ledger().iter().filter(|line| line.kind == "segment-suspect").count(), 1);
    t.pass(11 * DAY);
    t.store.seal().unwrap();
    t.sweep();
    assert_eq!((t.segment_files(), kept(&t).len()), (Vec::new(), 1));
    assert_ne!(kept(&t), ["spare/reuse-1.seg"], "the first segment was the one that failed");
}

const NEXT: &str = "spare/reuse-next.seg";

/// Records as many clips as fill one segment, and begin the next one.
fn fill_one(t: &TestStore, first: u32) -> Vec<clipkeep::Clip> {
    (first..first + 2).map(|n| t.sized_clip("door", n, "full", 3_900_000)).collect()
}

#[test]
fn when_a_segment_is_full_the_file_of_the_next_one_is_made_ahead() {
    let t = TestStore::new();
    let mut clips = fill_one(&t, 0);
    assert_eq!((t.segment_files().len(), kept(&t)), (2, vec![NEXT.to_owned()]));
    assert_eq!(t.store.stats().unwrap().reusable_bytes, SEGMENT_BYTES);
    // Opening takes it over.
    let t = t.reopen();
    assert_eq!(kept(&t), [NEXT]);
    assert_eq!(t.store.stats().unwrap().reusable_bytes, SEGMENT_BYTES);
    // The first file that is made now is the one for the segment after the next.
    t.disk.fail_from(SimOp::Create, 1, io::ErrorKind::Other);
    clips.push(t.sized_clip("door", 2, "full", 3_900_000));
    t.disk.clear_faults();
    assert_eq!(
        (t.segment_files().len(), kept(&t)),
        (3, Vec::new()),
        "that failed, and cost nothing"
    );
    assert!(t.store.problems().is_empty(), "{:?}", t.store.problems());
    let t = t.reopen();
    assert!(clips.iter().all(|clip| t.reads_as(clip, "full")));
}

#[test]
fn no_file_is_made_ahead_where_one_is_kept_or_none_may_be() {
    let t = TestStore::new();
    (0..4).for_each(|minute| drop(t.sealed_clip("door", minute, "gone")));
    t.pass(11 * DAY);
    t.sweep();
    assert_eq!(kept(&t).len(), 4);
    fill_one(&t, 20_000);
    assert_eq!(kept(&t), ["spare/reuse-3.seg", "spare/reuse-4.seg"], "two were taken");
    fill_one(&t, 20_002);
    assert_eq!(kept(&t), [NEXT]);
    let t = TestStore::with(|options| options.reuse_max(0));
    fill_one(&t, 0);
    assert_eq!(kept(&t), [""; 0]);
}

/// Room that a file made ahead would take is footage that goes early, or a full disk.
#[test]
fn a_file_made_ahead_takes_no_room_that_anybody_needs() {
    let record = |quota: u64, reuse_max: u64| {
        let t = TestStore::with(|options| options.quota(quota).reuse_max(reuse_max));
        for n in 0..3 {
            t.sized_clip("door", n, "full", 3_900_000);
            let room = |path: &String| t.disk.open(path, false).unwrap().allocated().unwrap();
            let taken: u64 = t.segment_files().iter().chain(&kept(&t)).map(room).sum();
            assert!(taken <= quota, "{taken} of {quota}");
        }
        t
    };
    for quota in [2 * SEGMENT_BYTES, 3 * SEGMENT_BYTES, 4 * SEGMENT_BYTES] {
        for quota in [quota, quota + SEGMENT_BYTES - (300 << 10)] {
            let (with, without) = (record(quota, 1 << 30), record(quota, 0));
            assert_eq!(with.segment_files(), without.segment_files(), "with a quota of {quota}");
        }
    }
    let t = TestStore::new();
    t.sized_clip("door", 0, "full", 3_900_000);
    // Something else on a disk of which a part may be kept.
    t.disk.create("others", 32 * SEGMENT_BYTES).unwrap();
    let space = t.disk.space().unwrap();
    t.disk.set_capacity(space.total - space.free + 3 * SEGMENT_BYTES - (600 << 10));
    t.sized_clip("door", 1, "full", 3_900_000);
    assert_eq!(kept(&t), [""; 0], "somebody else may need the rest");
}

#[test]
fn a_file_that_was_made_ahead_gives_way() {
    let floor = 8 * SEGMENT_BYTES;
    let t = TestStore::with(|options| options.free_space_floor(floor));
    let clips = fill_one(&t, 0);
    assert_eq!(kept(&t), [NEXT]);
    let space = t.disk.space().unwrap();
    t.disk.set_capacity(space.total - space.free + floor - 1);
    t.sweep();
    assert_eq!(kept(&t), [""; 0]);
    assert!(clips.iter().all(|clip| t.reads_as(clip, "full")), "a clip went in its place");
}

#[test]
fn of_a_file_made_ahead_opening_takes_over_only_a_blank_one() {
    let t = TestStore::new();
    let made = t.disk.create(NEXT, SEGMENT_BYTES).unwrap();
    made.write_at(4096, &[b"a header that was cut off"]).unwrap();
    drop(made);
    let t = t.reopen();
    assert_eq!(kept(&t), [""; 0]);
    t.disk.create(NEXT, 2 * SEGMENT_BYTES).unwrap();
    let t = t.reopen();
    assert_eq!(kept(&t), [""; 0], "of another length");
    assert!(t.store.opening().problems.is_empty());
}
