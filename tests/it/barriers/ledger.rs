//! What the two copies of the ledger owe one another: each must do alone when the other is lost.
//!
//! One copy hides what the other forgets, so a sync that is missing shows only where the other copy
//! is damaged as well, at any time after the call that promised both.

use clipkeep::vfs::sim::SimVfs;
use clipkeep::{HoldId, NewHold};

use crate::plug::Plug;
use crate::store_kit::{TestStore, camera, minutes};

use super::kit::{cut_power, die, flip, lose, mortal, places, reopen, seeded, wide_hold};

const FILE: &str = "00000000.log";
const NEXT: &str = "00000001.log";

fn held(seed: u64) -> (TestStore, HoldId) {
    let t = seeded(seed);
    t.clip("door", 10, "held");
    let hold = t.keep("door", minutes(10, 11));
    (t, hold)
}

#[track_caller]
fn still_holds(t: &TestStore, hold: HoldId) {
    assert_eq!(t.store.opening().deletion_frozen, None);
    assert!(t.store.hold(hold).unwrap().protects());
}

/// A decision is in each copy when it is acknowledged.
pub(super) fn copy_a_does_alone(seed: u64) {
    let (t, hold) = held(seed);
    still_holds(&cut_power(t, |disk| lose(disk, "ledger/b/")), hold);
}

pub(super) fn copy_b_does_alone(seed: u64) {
    let (t, hold) = held(seed);
    still_holds(&cut_power(t, |disk| lose(disk, "ledger/a/")), hold);
}

/// What is set aside for the ledger outlives a power cut, so that a full disk takes decisions.
pub(super) fn room_is_set_aside(seed: u64) {
    let (t, _) = held(seed);
    let t = cut_power(t, |disk| disk.set_capacity(0));
    fill(&t);
}

/// A file that was repaired from the other copy is durable: that one may be damaged next.
pub(super) fn a_repair_lasts(seed: u64) {
    let (t, hold) = held(seed);
    let bytes = t.disk.contents(&format!("ledger/a/{FILE}")).unwrap();
    let entry = *places(&bytes, b"CLPE").last().unwrap();
    let t = reopen(t, |disk| flip(disk, &format!("ledger/a/{FILE}"), entry + 16));
    assert!(!t.store.opening().repairs.is_empty());
    let t = cut_power(t, |disk| flip(disk, &format!("ledger/b/{FILE}"), entry + 16));
    still_holds(&t, hold);
}

/// The same of a file that was made again.
pub(super) fn a_rebuilt_file_lasts(seed: u64) {
    let (t, hold) = held(seed);
    let t = reopen(t, |disk| lose(disk, &format!("ledger/a/{FILE}")));
    assert!(!t.store.opening().repairs.is_empty());
    still_holds(&cut_power(t, |disk| lose(disk, "ledger/b/")), hold);
}

/// What the opening after a kill shows, neither a power cut nor the loss of a copy takes back.
pub(super) fn what_a_killed_process_left_lasts(seed: u64) {
    let (t, plug) = mortal(held(seed).0);
    // It dies between the writes and syncs of the two copies.
    plug.pull_after(1 + seed % 4);
    let hold = NewHold::new([camera("door")], minutes(20, 21));
    let placed = t.store.place_hold(hold).is_ok();
    let t = die(t, &plug);
    let shown = t.store.holds().len();
    assert!(shown == 2 || !placed, "an acknowledged hold is lost");
    shows_as_many_without_copy_b(t, shown);
}

#[track_caller]
fn shows_as_many_without_copy_b(t: TestStore, shown: usize) {
    let t = cut_power(t, |disk| lose(disk, "ledger/b/"));
    assert_eq!(t.store.opening().deletion_frozen, None);
    assert_eq!(t.store.holds().len(), shown, "a hold that was shown is lost");
}

/// The same where the ledger had just gone on in a file whose name was in memory only.
pub(super) fn a_file_that_a_killed_process_began_gets_its_name(seed: u64) {
    let (t, plug) = mortal(found_blank(seed));
    t.disk.set_capacity(0);
    let (mut round, mut entry) = (0, 0);
    while !begun(&t.disk) {
        let before = used(&t.disk);
        if 1 << 20 < before + entry {
            // It dies behind the sync of the first batch in the new file of copy a.
            plug.pull_after(2);
        }
        wide_hold(&t.store, round).ok();
        entry = used(&t.disk) - before;
        round += 1;
    }
    let t = die(t, &plug);
    let shown = t.store.holds().len();
    shows_as_many_without_copy_b(t, shown);
}

/// How much of the first file of copy a has entries.
fn used(disk: &SimVfs) -> usize {
    let bytes = disk.contents(&format!("ledger/a/{FILE}")).unwrap();
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

/// Decides until the ledger goes on in its next file.
fn fill(t: &TestStore) {
    let mut round = 0;
    while !begun(&t.disk) {
        wide_hold(&t.store, round).unwrap();
        round += 1;
    }
}

/// Whether copy a has gone on in its next file.
fn begun(disk: &SimVfs) -> bool {
    let bytes = disk.contents(&format!("ledger/a/{NEXT}")).unwrap_or_default();
    bytes.iter().any(|byte| *byte != 0)
}

/// The ledger goes on in a file whose name a killed process left in memory.
pub(super) fn a_file_that_was_found_blank_gets_its_name(seed: u64) {
    let t = found_blank(seed);
    t.disk.set_capacity(0);
    fill(&t);
    let hold = t.keep("door", minutes(20, 21));
    still_holds(&cut_power(t, |disk| lose(disk, "ledger/b/")), hold);
}

/// A store whose copy a has a blank next file, the name of which is not durable.
fn found_blank(seed: u64) -> TestStore {
    let (t, _) = held(seed);
    let TestStore { disk, clock, options, store } = t;
    drop(store);
    lose(&disk, &format!("ledger/a/{NEXT}"));
    lose(&disk, &format!("ledger/b/{NEXT}"));
    // Killed a little later each time, until it was killed right behind the making of the file.
    for allowed in 0.. {
        let plug = Plug::new(&disk, allowed);
        drop(options.clone().vfs(plug.clone()).open("store"));
        if disk.files().contains(&format!("ledger/a/{NEXT}")) {
            break;
        }
    }
    assert!(!disk.files().contains(&format!("ledger/b/{NEXT}")));
    let store = options.clone().open("store").unwrap();
    TestStore { disk, clock, options, store }
}
