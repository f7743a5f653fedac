//! Files of dropped segments that are more than are kept: given back in steps, and room until then.

use std::io;
use std::time::Duration;

use clipkeep::StoreOptions;
use clipkeep::vfs::Vfs as _;
use clipkeep::vfs::sim::SimOp;

use crate::store_kit::{DAY, SEGMENT_BYTES, TestStore};

/// Of three steps each.
const LARGE_BYTES: u64 = 20 << 20;
/// What one sweep gives back at most, in files of one step each.
const STEPS_MAX: usize = 64;

fn spare(t: &TestStore) -> Vec<String> {
    t.disk.files().into_iter().filter(|path| path.starts_with("spare/reuse-")).collect()
}

/// Their bytes on the disk.
fn room(t: &TestStore) -> u64 {
    spare(t).iter().map(|path| t.disk.open(path, false).unwrap().allocated().unwrap()).sum()
}

/// A store that keeps the files of `kept` segments, with `count` that are due.
fn due(kept: u64, count: u32, change: impl Fn(StoreOptions) -> StoreOptions) -> TestStore {
    let t = TestStore::with(|options| {
        let options = change(options.sweep_share(100));
        options.reuse_max(kept * SEGMENT_BYTES)
    });
    for minute in 0..count {
        t.sealed_clip("door", minute, "gone");
    }
    t.pass(11 * DAY);
    t
}

/// One file of 20 MiB is kept, and `count` segments of as much are due.
fn due_in_large(count: u32) -> TestStore {
    due(LARGE_BYTES / SEGMENT_BYTES, count, |options| options.segment_bytes(LARGE_BYTES))
}

#[test]
fn a_sweep_gives_back_so_much_and_the_next_one_goes_on() {
    let count = 3 + STEPS_MAX + 6;
    let t = due(3, u32::try_from(count).unwrap(), |options| options);
    let report = t.sweep();
    assert_eq!(report.segments_dropped, u64::try_from(count).unwrap());
    assert_eq!((t.segment_files(), t.files_with("gone")), (Vec::new(), Vec::new()));
    assert_eq!(spare(&t).len(), 3 + 6);
    assert_eq!(t.store.stats().unwrap().reusable_bytes, (3 + 6) * SEGMENT_BYTES);
    t.sweep();
    assert_eq!(spare(&t).len(), 3);
    assert_eq!(t.store.stats().unwrap().reusable_bytes, 3 * SEGMENT_BYTES);
    t.sweep();
    assert_eq!(spare(&t).len(), 3, "what is kept stays");
}

#[test]
fn a_large_file_is_cut_before_it_is_removed() {
    let t = due_in_large(2);
    // The third step of the one file that is too many is its removal.
    t.disk.fail_from(SimOp::Remove, 1, io::ErrorKind::Other);
    t.sweep();
    assert_eq!((spare(&t).len(), room(&t)), (2, LARGE_BYTES + (4 << 20)));
    assert_eq!(t.store.problems().len(), 1, "{:?}", t.store.problems());
    t.disk.clear_faults();
    t.sweep();
    assert_eq!((spare(&t).len(), room(&t)), (1, LARGE_BYTES));
}

#[test]
fn a_file_that_cannot_be_cut_is_removed_at_once() {
    let t = due_in_large(2);
    t.disk.fail_from(SimOp::Punch, 1, io::ErrorKind::Other);
    t.sweep();
    assert_eq!((spare(&t).len(), room(&t)), (1, LARGE_BYTES));
    assert!(t.store.problems().is_empty(), "{:?}", t.store.problems());
}

/// A crash may leave two names of a file that is a segment again: only the one that is too many may
/// go, and nothing of the file.
#[test]
fn a_file_that_has_anything_in_it_is_not_cut() {
    let t = due_in_large(2);
    t.sweep();
    let path = "spare/reuse-9.seg";
    let file = t.disk.create(path, LARGE_BYTES).unwrap();
    file.write_at(0, &[b"a header"]).unwrap();
    let t = t.reopen();
    assert_eq!(spare(&t).len(), 2, "opening looks into none that is too many");
    t.sweep();
    assert_eq!(spare(&t).len(), 1);
    assert_eq!(file.len().unwrap(), LARGE_BYTES, "whoever has the file has lost some of it");
}

#[test]
fn on_a_real_disk_a_segment_with_a_second_name_in_spare_stays_whole() {
    let dir = tempfile::tempdir().unwrap();
    let t = due_in_large(0);
    let options = t.options.clone().vfs(clipkeep::vfs::os::OsVfs::new(dir.path()));
    let store = options.clone().open(dir.path()).unwrap();
    let window = crate::store_kit::minutes(0, 1);
    let new = clipkeep::NewClip::new(&crate::store_kit::camera("door"), window);
    let clip = store.append(new, vec![7; 3_000_000]).unwrap();
    drop(store);
    let disk = clipkeep::vfs::os::OsVfs::new(dir.path());
    disk.create("spare/reuse-900.seg", LARGE_BYTES).unwrap();
    let segment = disk.list("segments").unwrap().remove(0);
    let paths = [format!("segments/{segment}"), "spare/reuse-901.seg".to_owned()];
    std::fs::hard_link(dir.path().join(&paths[0]), dir.path().join(&paths[1])).unwrap();
    let store = options.open(dir.path()).unwrap();
    assert!(store.sweep().unwrap().problems.is_empty());
    let left = disk.list("spare").unwrap();
    assert!(!left.contains(&"reuse-901.seg".to_owned()), "{left:?}");
    assert_eq!(disk.open(&paths[0], false).unwrap().len().unwrap(), LARGE_BYTES);
    assert_eq!(store.read(clip.id()).unwrap().to_vec().unwrap(), vec![7; 3_000_000]);
}

#[test]
fn new_segments_take_what_is_to_be_given_back_before_a_file_is_made() {
    let t = due(1, 1 + u32::try_from(STEPS_MAX).unwrap() + 2, |options| options);
    t.sweep();
    let t = t.reopen();
    assert_eq!(spare(&t).len(), 3);
    assert_eq!(t.store.stats().unwrap().reusable_bytes, 3 * SEGMENT_BYTES);
    t.disk.fail_from(SimOp::Create, 1, io::ErrorKind::Other);
    let clips: Vec<_> =
        (100..103).map(|minute| t.sized_clip("door", minute, "new", 3_900_000)).collect();
    assert_eq!(spare(&t), [""; 0]);
    t.disk.clear_faults();
    let t = t.reopen();
    assert!(clips.iter().all(|clip| t.reads_as(clip, "new")));
}

#[test]
fn what_is_found_too_many_and_is_not_blank_is_no_segments_file() {
    let t = due(1, 1, |options| options);
    t.sweep();
    let file = t.disk.create("spare/reuse-9.seg", SEGMENT_BYTES).unwrap();
    file.write_at(1 << 20, &[b"old"]).unwrap();
    drop(file);
    let t = t.reopen();
    assert_eq!(spare(&t).len(), 2);
    let clips: Vec<_> =
        (100..102).map(|minute| t.sized_clip("door", minute, "new", 3_900_000)).collect();
    assert!(clips.iter().all(|clip| t.reads_as(clip, "new")));
    assert!(spare(&t).contains(&"spare/reuse-9.seg".to_owned()), "{:?}", spare(&t));
    t.sweep();
    assert!(!spare(&t).contains(&"spare/reuse-9.seg".to_owned()), "{:?}", spare(&t));
}

/// What a crash left between the rename and the zeros is looked at, however many are kept.
#[test]
fn a_file_whose_drop_is_not_on_record_is_looked_at_also_where_enough_are_kept() {
    let t = due(1, 2, |options| options);
    t.disk.fail_after(SimOp::Zero, 2, io::ErrorKind::Other);
    t.disk.fail_from(SimOp::Remove, 1, io::ErrorKind::Other);
    assert!(!t.store.sweep().unwrap().problems.is_empty());
    assert_eq!((spare(&t).len(), t.files_with("gone").len()), (2, 1));
    t.disk.clear_faults();
    let t = t.reopen();
    assert_eq!((spare(&t).len(), t.files_with("gone")), (1, Vec::new()));
    assert_eq!(t.ledger().iter().filter(|line| line.kind == "segment-dropped").count(), 2);
}

#[test]
fn what_is_to_be_given_back_gives_way_first() {
    let floor = 8 * SEGMENT_BYTES;
    let t = due(1, 1 + u32::try_from(STEPS_MAX).unwrap() + 2, |options| {
        options.free_space_floor(floor)
    });
    t.sweep();
    assert_eq!(spare(&t).len(), 3);
    let space = t.disk.space().unwrap();
    t.disk.set_capacity(space.total - space.free + floor - 2 * SEGMENT_BYTES);
    let t = t.reopen_with(|options| options.evidence_reserve(0));
    t.sized_clip("door", 100, "new", 3_900_000);
    assert!(t.disk.space().unwrap().free >= floor, "{:?}", spare(&t));
}

#[test]
fn while_nothing_is_deleted_nothing_is_given_back() {
    let t = due(1, 1 + u32::try_from(STEPS_MAX).unwrap() + 2, |options| options);
    t.sweep();
    let ledgers: Vec<String> =
        t.disk.files().into_iter().filter(|path| path.contains("ledger/")).collect();
    for path in &ledgers {
        t.disk.corrupt(path, 4096 + 20, 0xFF);
    }
    // Its thread would begin at once.
    let t = t.reopen_with(|options| options.sweeper(Duration::from_hours(1)));
    assert!(t.store.opening().deletion_frozen.is_some());
    t.store.sweep().unwrap_err();
    std::iter::repeat_with(std::thread::yield_now).take(100_000).for_each(drop);
    assert_eq!(spare(&t).len(), 3);
}

#[test]
fn the_sweepers_thread_gives_back_between_its_sweeps() {
    let count = 3 + u32::try_from(STEPS_MAX).unwrap() + 6;
    let t = due(3, count, |options| options);
    t.sweep();
    assert_eq!(spare(&t).len(), 3 + 6);
    // Long before its first sweep.
    let t = t.reopen_with(|options| options.sweeper(Duration::from_hours(1)));
    let mut looks = std::iter::repeat_with(std::thread::yield_now).take(10_000_000);
    assert!(looks.any(|()| spare(&t).len() == 3), "{:?}", spare(&t));
    assert_eq!(t.store.stats().unwrap().reusable_bytes, 3 * SEGMENT_BYTES);
}
