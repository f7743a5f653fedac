//! A full disk that gives room back, and what a store does with it: goes on at the expense of the
//! oldest, waits until somebody else frees some, gives back what it removed, and reads.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use clipkeep::vfs::Vfs as _;
use clipkeep::vfs::os::OsVfs;
use clipkeep::{Clip, ErrorKind, WhenFull};

use super::image::{self, Disk};
use super::room::{DAY, LARGE, Room, SEGMENT_BYTES, SMALL};

macro_rules! on_each_file_system {
    ($($name:ident $kind:literal $role:literal)*) => {
        $(#[test]
        fn $name() {
            image::play_on($kind, $role);
        })*
    };
}

on_each_file_system! {
    a_full_ext4_records_at_the_expense_of_the_oldest "ext4" "go on when full"
    a_full_xfs_records_at_the_expense_of_the_oldest "xfs" "go on when full"
    a_full_btrfs_records_at_the_expense_of_the_oldest "btrfs" "go on when full"
    recording_waits_for_room_on_ext4 "ext4" "wait for room"
    recording_waits_for_room_on_xfs "xfs" "wait for room"
    recording_waits_for_room_on_btrfs "btrfs" "wait for room"
    what_is_removed_gives_its_blocks_back_on_ext4 "ext4" "give back"
    what_is_removed_gives_its_blocks_back_on_xfs "xfs" "give back"
    what_is_removed_gives_its_blocks_back_on_btrfs "btrfs" "give back"
    maps_can_be_read_on_a_full_ext4 "ext4" "read when full"
    maps_can_be_read_on_a_full_xfs "xfs" "read when full"
    maps_can_be_read_on_a_full_btrfs "btrfs" "read when full"
}

#[test]
fn room_that_is_not_counted_is_taken_where_it_is_given() {
    image::play_where_nothing_is_counted("take what is not counted");
}

/// Role: whether there is room for a file is asked by allocating it. XFS and btrfs count what was
/// just removed only later, but how much later is up to them; this one counts nothing at any time.
pub(super) fn take_what_is_not_counted(folder: &str) {
    image::mount_uncounted(folder);
    let disk = OsVfs::new(folder);
    assert_eq!(disk.space().unwrap().free, 0);
    let file = disk.create("segment", SEGMENT_BYTES).expect("there is room, whatever is counted");
    assert!(file.allocated().unwrap() >= SEGMENT_BYTES);
}

/// Role: new segments cost as many of the oldest ones as they are large, and no more.
pub(super) fn go_on(folder: &str) {
    const SEGMENTS: usize = 8;
    // What a sealed segment does not use was given back, so that two make room for a new one; and
    // where the file system refuses that room all the same, it is two more.
    const DROPS_MAX: usize = 4;
    let disk = Disk::mount(folder);
    let mut room = Room::new(&disk.store(), |options| options.when_full(WhenFull::DropOldest));
    let mut clips: Vec<Clip> = (0..SEGMENTS).map(|_| room.append(LARGE).unwrap()).collect();
    disk.fill();
    for round in 0..3 * SEGMENTS {
        let clip = room.append(LARGE).unwrap_or_else(|error| panic!("round {round}: {error:?}"));
        clips.push(clip);
        let is_there = |clip: &&Clip| room.store().read(clip.id()).is_ok();
        let kept = clips.iter().filter(is_there).count();
        let newest = clips.split_off(clips.len() - kept);
        assert!(newest.iter().all(|clip| is_there(&clip)), "round {round}: not the oldest went");
        assert!(clips.len() <= DROPS_MAX, "round {round}: {} segments went", clips.len());
        for gone in &clips {
            room.forget(gone);
        }
        clips = newest;
    }
    assert!(clips.len() >= SEGMENTS / 2, "{} of {SEGMENTS} are left", clips.len());
    room.check();
    room.reopen();
    room.check();
    room.verify();
}

/// Role: a recorder that was refused is taken again once there is room, by the same store.
pub(super) fn wait_for_room(folder: &str) {
    let disk = Disk::mount(folder);
    let mut room = Room::new(&disk.store(), |options| options);
    for _ in 0..3 {
        disk.fill();
        assert_eq!(room.record_until_refused(), ErrorKind::Full);
        assert_eq!(room.append(LARGE).expect_err("there is no room").kind(), ErrorKind::Full);
        room.check();
        disk.make_room();
        room.append(LARGE).expect("there is room again");
        room.check();
    }
    assert_eq!(room.store().stats().unwrap().recording_stopped, None);
    room.reopen();
    room.check();
    room.verify();
}

/// Role: deleted clips give back the blocks that they had in the middle of a file, and expired ones
/// their whole file, on a disk that has none.
pub(super) fn give_back(folder: &str) {
    let disk = Disk::mount(folder);
    let mut room = Room::new(&disk.store(), |options| options);
    room.append(SMALL).unwrap();
    let large = room.append(LARGE).unwrap();
    room.append(SMALL).unwrap();
    room.store().seal().unwrap();
    disk.fill();
    let before = allocated(&disk);
    room.store().delete_clip(large.id(), "ann", "not mine").unwrap();
    room.forget(&large);
    let punched = before - allocated(&disk);
    let large_bytes = u64::try_from(LARGE).unwrap();
    assert!(punched >= large_bytes - 8192, "{punched} bytes came back");
    room.check();
    disk.sync();
    // Btrfs gives room back only where a whole piece that was allocated at once is gone: the record
    // headers that stay keep theirs until the segment goes.
    if disk.kind() != "btrfs" {
        let taken = disk.append("ballast/after", 4096);
        assert!(taken >= large_bytes / 3, "others could take {taken} bytes");
    }
    disk.fill();
    room.pass(DAY * 11);
    let report = room.store().sweep().unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    room.forget_what_is_not_held();
    assert_eq!(allocated(&disk), 0);
    room.check();
    room.reopen();
    room.check();
}

/// The blocks of all segments.
fn allocated(disk: &Disk) -> u64 {
    const STAT_BLOCK_BYTES: u64 = 512;
    let segments = fs::read_dir(disk.store().join("segments")).unwrap();
    segments.map(|entry| entry.unwrap().metadata().unwrap().blocks() * STAT_BLOCK_BYTES).sum()
}

/// Role: clips of sealed segments are read through maps while no page can be written back anywhere
/// new, also after their file is gone.
pub(super) fn read(folder: &str) {
    let disk = Disk::mount(folder);
    let mut room = Room::new(&disk.store(), |options| options);
    let clip = room.append(LARGE).unwrap();
    room.store().seal().unwrap();
    let reader = room.store().read(clip.id()).unwrap();
    disk.fill();
    drop_caches();
    room.check();
    room.pass(DAY * 11);
    room.store().sweep().unwrap();
    disk.fill();
    let bytes = reader.to_vec().expect("a reader is a lease");
    room.assert_is(&clip, &bytes);
    assert!(fs::read_dir(disk.store().join("segments")).unwrap().next().is_none());
}

/// Makes the kernel forget clean pages, so that the next read is one of the disk.
fn drop_caches() {
    let path = Path::new("/proc/sys/vm/drop_caches");
    fs::write(path, "1").unwrap_or_else(|error| eprintln!("pages stay in memory: {error}"));
}
