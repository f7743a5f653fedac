//! The repair of a ledger guesses nothing in favour of deletion: what it finds frees and removes
//! only what was decided for certain, and knowing of every hold that counted then.

use std::ops::Range;

use clipkeep::vfs::sim::{SimOp, SimVfs};
use clipkeep::{Clip, Error, HoldId, Release, ReleaseCause, RepairReport};

use crate::store_kit::{DAY, TestStore, minutes};

use super::kit::{cut_power, flip, overwrite, places, reopen, seeded};

const LEDGER: [&str; 2] = ["ledger/a/00000000.log", "ledger/b/00000000.log"];

/// Where the entry at `position` stands in a ledger file.
fn entry(file: &[u8], position: u64) -> Range<usize> {
    let number = |at: usize| u64::from_le_bytes(file[at + 8..at + 16].try_into().unwrap());
    let start = places(file, b"CLPE").into_iter().find(|at| number(*at) == position).unwrap();
    let payload_bytes = u32::from_le_bytes(file[start + 60..start + 64].try_into().unwrap());
    start..start + (80 + usize::try_from(payload_bytes).unwrap()).next_multiple_of(8)
}

/// Loses the entry at `position` in both copies.
fn lose_entry(disk: &SimVfs, position: u64) {
    for copy in LEDGER {
        let start = entry(&disk.contents(copy).unwrap(), position).start;
        flip(disk, copy, start + 20);
    }
}

/// The position of the newest entry.
fn newest(t: &TestStore) -> u64 {
    t.ledger().last().unwrap().position
}

fn repaired(t: TestStore) -> (TestStore, RepairReport) {
    assert!(t.store.opening().deletion_frozen.is_some(), "there is nothing to repair");
    let TestStore { disk, clock, options, store } = t;
    drop(store);
    let report = options.clone().repair_ledger("store", "operator", "bad sectors").unwrap();
    let store = options.clone().open("store").unwrap();
    assert_eq!(store.opening().deletion_frozen, None);
    (TestStore { disk, clock, options, store }, report)
}

/// The operator ends what the repair holds, and time passes.
fn let_go(t: &TestStore, holds: &[HoldId]) {
    for hold in holds {
        let release = Release::new(ReleaseCause::Ended, "operator").second_actor("lawyer");
        t.store.release_hold(*hold, &release).unwrap();
    }
    t.pass(11 * DAY);
    t.sweep();
}

/// Two stores that are the same up to their last entry: a hold on the clip in one, its deletion in
/// the other. Before it stands a hold of another time.
fn of_two_pasts(seed: u64) -> (TestStore, Clip, u64, Vec<u8>) {
    let (t, other) = (seeded(seed), seeded(seed));
    let clip = t.clip("door", 10, "kept");
    other.clip("door", 10, "kept");
    for t in [&t, &other] {
        t.keep("door", minutes(30, 31));
    }
    t.keep("door", minutes(10, 11));
    other.store.delete_clip(clip.id(), "owner", "-").unwrap();
    let position = newest(&t);
    assert_eq!(newest(&other), position);
    let file = other.disk.contents(LEDGER[0]).unwrap();
    let deletion = file[entry(&file, position)].to_vec();
    (t, clip, position, deletion)
}

/// Puts `bytes` over the beginning of the entry at `position` of one copy.
fn swap(disk: &SimVfs, copy: &str, position: u64, bytes: &[u8]) {
    let there = entry(&disk.contents(copy).unwrap(), position);
    assert!(bytes.len() <= there.len(), "it would hide what follows");
    overwrite(disk, copy, there.start, bytes);
}

pub(super) fn of_two_copies_that_differ_neither_deletes(seed: u64) {
    let (t, clip, position, deletion) = of_two_pasts(seed);
    // Not closed: that would put an entry behind it, by which the false one is found out.
    let t = cut_power(t, |disk| {
        swap(disk, LEDGER[0], position, &deletion);
        lose_entry(disk, position - 1);
    });
    let (t, _) = repaired(t);
    assert!(t.reads_as(&clip, "kept"));
}

pub(super) fn an_entry_that_nothing_follows_deletes_nothing(seed: u64) {
    let (t, clip, position, deletion) = of_two_pasts(seed);
    t.keep("door", minutes(40, 41));
    let t = reopen(t, |disk| {
        for copy in LEDGER {
            swap(disk, copy, position, &deletion);
        }
    });
    let (t, _) = repaired(t);
    assert!(t.reads_as(&clip, "kept"));
}

/// A hold that was lost may be what stood between the expiry and this clip.
pub(super) fn an_expiry_behind_a_loss_takes_nothing(seed: u64) {
    let t = seeded(seed);
    let clip = t.sealed_clip("door", 10, "kept");
    t.keep("door", minutes(30, 31));
    let lost = newest(&t);
    t.pass(11 * DAY);
    // The expiry is put on record, and the file stays.
    t.disk.fail_from(SimOp::Rename, 1, std::io::ErrorKind::Other);
    t.disk.fail_from(SimOp::Remove, 1, std::io::ErrorKind::Other);
    t.store.sync().unwrap();
    drop(t.store.sweep());
    assert!(newest(&t) > lost, "nothing is on record behind the hold");
    let t = reopen(t, |disk| {
        disk.clear_faults();
        lose_entry(disk, lost);
    });
    let (t, _) = repaired(t);
    assert!(t.reads_as(&clip, "kept"));
}

/// A clip with a hold on it, then a hold on another time, then the release of the first one in one
/// batch with a note, which is lost. Answers the clip and the positions of the other hold and note.
fn released_with_a_note(seed: u64) -> (TestStore, Clip, u64, u64) {
    let t = seeded(seed);
    let clip = t.sealed_clip("door", 10, "kept");
    let hold = t.keep("door", minutes(10, 11));
    t.keep("door", minutes(30, 31));
    let between = newest(&t);
    let noted = t.store.transact(|decisions| -> Result<u64, Error> {
        decisions.release_hold(hold, &Release::new(ReleaseCause::Owner, "owner"))?;
        decisions.note(7, b"the request was withdrawn".to_vec())
    });
    (t, clip, between, noted.unwrap())
}

pub(super) fn a_release_with_a_lost_companion_frees_nothing(seed: u64) {
    let (t, clip, _, note) = released_with_a_note(seed);
    let (t, report) = repaired(reopen(t, |disk| lose_entry(disk, note)));
    let_go(&t, &report.holds_placed);
    assert!(t.reads_as(&clip, "kept"));
}

pub(super) fn nor_does_one_behind_another_loss(seed: u64) {
    let (t, clip, between, note) = released_with_a_note(seed);
    let t = reopen(t, |disk| {
        lose_entry(disk, between);
        lose_entry(disk, note);
    });
    let (t, report) = repaired(t);
    let_go(&t, &report.holds_placed);
    assert!(t.reads_as(&clip, "kept"));
}

/// What a repair wrote before it failed is not taken for a part of the damaged ledger.
pub(super) fn a_repair_that_was_cut_off_adds_nothing(seed: u64) {
    let t = seeded(seed);
    t.clip("door", 10, "kept");
    t.keep("door", minutes(10, 11));
    let lost = newest(&t);
    t.keep("door", minutes(30, 31));
    let t = reopen(t, |disk| lose_entry(disk, lost));
    let TestStore { disk, options, store, .. } = t;
    drop(store);
    let found = |report: &RepairReport| {
        (report.entries_kept, report.entries_found_behind, report.entries_lost)
    };
    let before = options.clone().plan_ledger_repair("store").unwrap();
    // It fails where the new ledger's second copy is made.
    disk.fail_after(SimOp::Create, 3, std::io::ErrorKind::Other);
    options.clone().repair_ledger("store", "operator", "").unwrap_err();
    disk.clear_faults();
    let after = options.plan_ledger_repair("store").unwrap();
    assert_eq!(found(&after), found(&before));
}
