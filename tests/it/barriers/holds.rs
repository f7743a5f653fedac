//! What a hold, a reader or an unreadable ledger keeps, whoever asks for its removal.

use std::sync::mpsc;
use std::thread;

use clipkeep::{ErrorKind, HoldCause, KeptReason, NewClip, WhenFull};

use crate::store_kit::{DAY, SEGMENT_BYTES, TestStore, camera, kind_of, marked, minutes};

use super::damage::about_to_move;
use super::kit::{overwrite, reopen, seeded, seeded_with};

/// A plan lets alone a segment in which everything is held.
pub(super) fn a_plan_knows_what_is_held(seed: u64) {
    let t = seeded(seed);
    t.sealed_clip("door", 10, "held");
    t.keep("door", minutes(10, 11));
    t.pass(11 * DAY);
    let plan = t.store.plan_sweep().unwrap();
    assert!(plan.items().is_empty());
    assert_eq!(plan.kept()[0].reason(), KeptReason::AllHeld);
}

/// A held clip outlives the segment that it is in.
pub(super) fn a_held_clip_outlives_its_segment(seed: u64) {
    let t = seeded(seed);
    let held = t.clip("door", 10, "held");
    let due = t.sealed_clip("door", 20, "due");
    t.keep("door", minutes(10, 11));
    t.pass(11 * DAY);
    t.sweep();
    t.assert_gone(&due);
    assert!(t.reads_as(&held, "held"));
}

/// Of two clips in an evidence segment the one that is still held stays.
pub(super) fn a_held_clip_outlives_its_neighbour_in_evidence(seed: u64) {
    let t = seeded(seed);
    let (held, freed) = (t.clip("door", 10, "held"), t.clip("door", 20, "freed"));
    t.sealed_clip("door", 30, "due");
    t.keep("door", minutes(10, 11));
    let hold = t.keep("door", minutes(20, 21));
    t.pass(11 * DAY);
    assert_eq!(t.sweep().clips_moved, 2);
    t.release_keep(hold);
    t.sweep();
    t.assert_gone(&freed);
    assert!(t.reads_as(&held, "held"));
}

/// Where a held clip cannot be moved, for there is no room, it stays where it is.
pub(super) fn a_held_clip_that_cannot_be_moved_stays(seed: u64) {
    drop(swept_on_a_full_disk(seed));
}

/// And its neighbours are removed around it.
pub(super) fn neighbours_go_where_a_held_clip_stays(seed: u64) {
    let t = swept_on_a_full_disk(seed);
    assert_eq!(t.files_with("due"), [""; 0]);
}

fn swept_on_a_full_disk(seed: u64) -> TestStore {
    let t = seeded_with(seed, |options| options.evidence_reserve(0));
    let held = t.clip("door", 10, "held");
    t.sealed_clip("door", 20, "due");
    t.keep("door", minutes(10, 11));
    t.pass(11 * DAY);
    t.disk.set_capacity(0);
    t.store.sweep().unwrap();
    assert!(t.reads_as(&held, "held"));
    t
}

/// What somebody reads is not punched out under the reader.
pub(super) fn a_reader_reads_on(seed: u64) {
    let t = seeded(seed);
    let read = t.clip("door", 10, "read");
    t.sealed_clip("door", 20, "neighbour");
    let reader = t.store.read_copied(read.id()).unwrap();
    t.store.delete_clip(read.id(), "owner", "").unwrap();
    t.sweep();
    assert!(reader.to_vec().unwrap() == marked("read", 20_000));
}

/// An unreadable ledger deletes nothing, not even what it says is deleted.
pub(super) fn an_unreadable_ledger_finishes_no_deletion(seed: u64) {
    let t =
        seeded_with(seed, |options| options.quota(2 * SEGMENT_BYTES).when_full(WhenFull::Refuse));
    let deleted = t.clip("door", 10, "deleted");
    t.clip("door", 20, "neighbour");
    // Its bytes wait until the segment is sealed.
    t.store.delete_clip(deleted.id(), "owner", "").unwrap();
    t.keep("door", minutes(30, 31));
    let t = reopen(t, |disk| {
        for copy in ["ledger/a/00000000.log", "ledger/b/00000000.log"] {
            let bytes = disk.contents(copy).unwrap();
            let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
            overwrite(disk, copy, end - 100, &[0x5a; 100]);
        }
    });
    assert!(t.store.opening().deletion_frozen.is_some());
    for minute in 40..43 {
        // Without room for all of them: some are refused once nothing can be let go.
        let new = NewClip::new(&camera("door"), minutes(minute, minute + 1));
        drop(t.store.append(new, marked("new", 3_900_000)));
    }
    assert_eq!(t.files_with("deleted").len(), 1);
}

/// What began in a file that cannot be opened may be held, and stays.
pub(super) fn the_tail_of_an_unknown_clip_stays(seed: u64) {
    let t = seeded(seed);
    t.sized_clip("door", 10, "spanning", 6_000_000);
    t.store.seal().unwrap();
    t.keep("door", minutes(10, 11));
    let [first, second]: [String; 2] = t.segment_files().try_into().unwrap();
    let t = reopen(t, |disk| {
        for block in [0, usize::try_from(SEGMENT_BYTES).unwrap() - 4096] {
            overwrite(disk, &first, block, &[0x5a; 4096]);
        }
    });
    t.pass(30 * DAY);
    for _ in 0..2 {
        t.store.sweep().unwrap();
    }
    assert!(t.files_with("spanning").contains(&second));
}

pub(super) fn an_owner_cannot_delete_what_is_held(seed: u64) {
    let t = seeded(seed);
    let clip = t.clip("door", 10, "held");
    t.keep("door", minutes(10, 11));
    assert_eq!(kind_of(t.store.delete_clip(clip.id(), "owner", "")), ErrorKind::Held);
    assert!(t.reads_as(&clip, "held"));
}

pub(super) fn an_owner_cannot_end_an_order(seed: u64) {
    let t = seeded(seed);
    let clip = t.clip("door", 10, "held");
    t.hold(HoldCause::Order, "door", minutes(10, 11));
    assert_eq!(kind_of(t.store.erase_clip(clip.id(), "owner", "")), ErrorKind::Held);
    assert!(t.reads_as(&clip, "held"));
}

/// A clip that its owner erases while it is being copied does not live on in the copy.
pub(super) fn a_clip_erased_while_it_moves_is_gone(seed: u64) {
    let (t, meddler, held) = about_to_move(seed);
    let (store, id) = (t.store.clone(), held.id());
    let (erasing, erased) = mpsc::channel();
    let mut once = Some(erasing);
    meddler.meddle(move |_, bytes| {
        let Some(erasing) = once.take_if(|_| bytes.len() > 20_000) else { return };
        let eraser = store.clone();
        let thread = thread::spawn(move || eraser.erase_clip(id, "owner", ""));
        // It is on record as soon as nobody can find it; its bytes wait for the sweep.
        while store.clip(id).is_ok() {
            thread::yield_now();
        }
        erasing.send(thread).unwrap();
    });
    t.store.sweep().unwrap();
    meddler.meddle(|_, _| ());
    erased.recv().unwrap().join().unwrap().unwrap();
    t.sweep();
    t.assert_gone(&held);
    assert_eq!(t.files_with("held"), [""; 0]);
}
