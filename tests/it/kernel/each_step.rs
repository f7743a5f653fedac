//! A disk that somebody else fills to the last byte before each step of a store's life.
//!
//! Each step either works or is refused with `Full`, as it says; then everything acknowledged must
//! be there, in the store that is open and in one that is opened on the full disk.

use std::fs;

use clipkeep::{Clip, ErrorKind, HoldCause, HoldId, NewHold, Release, ReleaseCause, Store};

use super::image::{self, Disk};
use super::room::{DAY, LARGE, Room, SMALL};
use crate::world::minute;

const ROLE: &str = "fill at each step";

#[test]
fn ext4_filled_at_each_step_loses_nothing() {
    image::play_on("ext4", ROLE);
}

#[test]
fn xfs_filled_at_each_step_loses_nothing() {
    image::play_on("xfs", ROLE);
}

#[test]
fn btrfs_filled_at_each_step_loses_nothing() {
    image::play_on("btrfs", ROLE);
}

/// What the steps hand on.
struct Story {
    room: Room,
    /// In one segment: a clip that is held once a step says so, and one that never is.
    held: Clip,
    free: Clip,
    /// The owner's hold, which is released; the court's stays.
    keep: Option<HoldId>,
}

/// A step of a store's life: its name, what is done before the disk is full, and the step itself.
type Step = (&'static str, Option<fn(&mut Story)>, fn(&mut Story));

const STEPS: [Step; 13] = [
    ("open", None, |story| story.room.reopen()),
    // The open segment has its room already.
    ("append to the open segment", None, |story| drop(story.room.append(SMALL).unwrap())),
    ("append to a new segment", None, |story| {
        let refused = (0..3).find_map(|_| story.room.append(LARGE).err());
        assert_eq!(refused.expect("there is no room").kind(), ErrorKind::Full);
    }),
    ("record", Some(|story| drop(story.room.append(LARGE).unwrap())), |story| {
        assert_eq!(story.room.record_until_refused(), ErrorKind::Full);
    }),
    ("seal", Some(|story| drop(story.room.append(SMALL).unwrap())), |story| {
        story.room.store().seal().unwrap();
    }),
    ("place holds", None, |story| {
        let held = story.held.clone();
        story.room.hold(HoldCause::Order, &held).unwrap();
        story.keep = Some(story.room.hold(HoldCause::Keep, &held).unwrap());
    }),
    ("place and release holds until the ledger needs another file", None, fill_the_ledger),
    ("release a hold", None, |story| {
        let keep = story.keep.take().expect("it was placed");
        let release = Release::new(ReleaseCause::Owner, "ann");
        story.room.store().release_hold(keep, &release).unwrap();
        story.room.forget_hold(keep);
    }),
    ("delete", None, |story| {
        let free = story.free.clone();
        story.room.store().delete_clip(free.id(), "ann", "not mine").unwrap();
        story.room.forget(&free);
    }),
    ("sweep many segments", None, sweep_all_but_what_is_held),
    ("sweep one segment, with nothing but the reserve to move to", Some(hold_another), |story| {
        sweep_all_but_what_is_held(story);
    }),
    ("verify", None, |story| story.room.verify()),
    ("close", None, |story| story.room.reopen()),
];

/// Role: fills the disk before each step and checks after it.
pub(super) fn play(folder: &str) {
    let disk = Disk::mount(folder);
    a_new_store_is_refused(&disk);
    let mut room = Room::new(&disk.store(), |options| options);
    let (held, free) = (room.append(SMALL).unwrap(), room.append(SMALL).unwrap());
    let mut story = Story { room, held, free, keep: None };
    for (name, prepare, step) in STEPS {
        if let Some(prepare) = prepare {
            disk.make_room();
            prepare(&mut story);
        }
        disk.fill();
        eprintln!("{name}: {} bytes free", disk.free_bytes());
        step(&mut story);
        story.room.check();
        disk.fill();
        story.room.reopen();
        story.room.check();
    }
    disk.make_room();
    story.room.append(LARGE).expect("there is room again, and nobody opened the store anew");
    story.room.verify();
}

/// A full disk has no room for a store, says so, and keeps nothing that is in the way later.
fn a_new_store_is_refused(disk: &Disk) {
    disk.fill();
    let refused = Store::options().open(disk.store()).map(drop);
    assert_eq!(refused.expect_err("there is no room").kind(), ErrorKind::Full);
    disk.make_room();
}

/// More decisions than the current file of the ledger takes, and the next one, without a sweep.
fn fill_the_ledger(story: &mut Story) {
    const RANGES: u32 = 900;
    const FAR: u32 = 100_000;
    let ledger = story.room.folder().join("ledger/a");
    let files = || fs::read_dir(&ledger).unwrap().count();
    let before = files();
    let held = story.held.clone();
    while files() < before + 2 {
        let mut hold = NewHold::new([held.camera().clone()], held.window());
        for number in 1..=RANGES {
            hold = hold.also(held.camera(), minute(FAR + 2 * number));
        }
        let hold = story.room.store().place_hold(hold).unwrap();
        let release = Release::new(ReleaseCause::Owner, "ann");
        story.room.store().release_hold(hold.id, &release).unwrap();
    }
}

/// A segment with one clip that is held and one that is not.
fn hold_another(story: &mut Story) {
    story.room.append(SMALL).unwrap();
    let held = story.room.append(SMALL).unwrap();
    story.room.store().seal().unwrap();
    story.room.hold(HoldCause::Order, &held).unwrap();
}

/// All is due; what is held is moved, what is not goes.
fn sweep_all_but_what_is_held(story: &mut Story) {
    story.room.pass(DAY * 11);
    let report = story.room.store().sweep().unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert_eq!(report.clips_moved, 1, "{report:?}");
    story.room.forget_what_is_not_held();
}
