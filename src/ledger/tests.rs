//! What the ledger must never do, on a simulated disk that forgets what was not synced.
//!
//! The promise under test: an acknowledged batch is there after any crash, whole and in order; what
//! was not acknowledged is there whole or not at all; and a ledger that lost something says so
//! instead of going on.

use std::io;
use std::sync::Arc;

use super::scan::FIRST_FRAME;
use super::*;
use crate::types::HoldId;
use crate::vfs::sim::{SimOp, SimVfs};

const STORE: [u8; 16] = *b"a store of tests";
const A0: &str = "ledger/a/00000000.log";
const B0: &str = "ledger/b/00000000.log";

/// A count or offset of a test, for an index.
fn index(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

/// A length of a test, for a position or an offset.
fn wide(len: usize) -> u64 {
    u64::try_from(len).unwrap()
}

fn at(us: i64) -> Timestamp {
    Timestamp::from_micros(us)
}

fn ended(hold: u64) -> Decision {
    Decision::HoldEnded { hold: HoldId(hold) }
}

fn batch(holds: std::ops::Range<u64>) -> Vec<Decision> {
    holds.map(ended).collect()
}

/// A decision of about `len` bytes.
fn long(len: usize) -> Decision {
    Decision::Application { kind: 1, bytes: vec![7; len] }
}

fn vfs(disk: &SimVfs) -> Arc<dyn Vfs> {
    Arc::new(disk.clone())
}

fn create(disk: &SimVfs) -> Ledger {
    Ledger::create(vfs(disk), STORE, at(1), Vec::new()).unwrap()
}

struct Opened {
    ledger: Ledger,
    replay: Replay,
    seen: Vec<Decision>,
}

fn open_with(disk: &SimVfs, known_durable: u64, writable: bool) -> Opened {
    let mut seen = Vec::new();
    let mut visit = |entry: &Entry| {
        assert_eq!(entry.position, wide(seen.len()), "in order, none twice");
        seen.push(entry.decision.clone());
    };
    let (ledger, replay) =
        Ledger::open(vfs(disk), STORE, known_durable, writable, &mut visit).unwrap();
    assert_eq!(replay.entries, wide(seen.len()));
    Opened { ledger, replay, seen }
}

fn open(disk: &SimVfs) -> Opened {
    open_with(disk, 0, true)
}

/// Where entry `position` of file 0 stands when all behind the first are [`ended`].
fn offset_of(position: u64) -> u64 {
    let (first, each) = (96, 88);
    wide(FIRST_FRAME) + if position == 0 { 0 } else { first + (position - 1) * each }
}

/// The bytes of both copies' files, by number.
fn copies(disk: &SimVfs) -> [Vec<Option<Vec<u8>>>; 2] {
    [name::LEDGER_A, name::LEDGER_B]
        .map(|dir| (0..4).map(|number| disk.contents(&name::ledger(dir, number))).collect())
}

fn assert_equal_and_sound(disk: &SimVfs, ledger: &Ledger) {
    let [a, b] = copies(disk);
    assert!(a == b, "the copies differ");
    assert_eq!(ledger.verify(&mut |_, _| ()).unwrap().len(), 0);
}

#[test]
fn entries_come_back_in_order_and_chained() {
    let disk = SimVfs::new(1);
    let mut ledger = create(&disk);
    let first = ledger.append(at(2), batch(1..3)).unwrap();
    assert_eq!(first.iter().map(|entry| entry.position).collect::<Vec<_>>(), [1, 2]);
    ledger.append(at(3), batch(3..4)).unwrap();
    let mut previous = [0; 32];
    let mut count = 0;
    let mut chained = |entry: &Entry, hash: &[u8; 32]| {
        assert_eq!(entry.previous, previous);
        previous = *hash;
        count += 1;
        true
    };
    ledger.read(0, &mut chained).unwrap();
    assert_eq!(count, 4);
    let opened = open(&disk.crash());
    assert_eq!(opened.seen[1..], batch(1..4));
    assert_eq!(opened.seen[0], Decision::StoreMade { store: STORE });
    assert!(opened.replay.repairs.is_empty(), "{:?}", opened.replay.repairs);
}

#[test]
fn reading_from_a_position_begins_with_the_file_that_has_it() {
    let disk = SimVfs::new(1);
    let mut ledger = create(&disk);
    let mut next = 1;
    while ledger.number < 2 {
        next += wide(ledger.append(at(2), batch(next..next + 4000)).unwrap().len());
    }
    for ledger in [ledger, open(&disk).ledger] {
        for from in [0, ledger.starts[&1].position, next - 1] {
            let mut positions = Vec::new();
            ledger
                .read(from, &mut |entry, _| {
                    positions.push(entry.position);
                    true
                })
                .unwrap();
            assert_eq!((positions[0], wide(positions.len())), (from, next - from));
        }
    }
}

#[test]
fn a_reopened_ledger_goes_on_where_it_ended() {
    let disk = SimVfs::new(2);
    create(&disk).append(at(2), batch(1..3)).unwrap();
    let mut ledger = open(&disk).ledger;
    assert_eq!(ledger.append(at(3), batch(3..4)).unwrap()[0].position, 3);
    assert_equal_and_sound(&disk, &ledger);
    assert_eq!(open(&disk.crash()).seen[1..], batch(1..4));
}

#[test]
fn an_append_costs_one_write_and_one_sync_a_copy() {
    let disk = SimVfs::new(3);
    let mut ledger = create(&disk);
    ledger.defer(at(2), ended(1));
    let before = disk.stats();
    ledger.append(at(2), batch(2..100)).unwrap();
    let after = disk.stats();
    assert_eq!((after.writes - before.writes, after.syncs - before.syncs), (2, 2));
    assert_eq!(after.dir_syncs, before.dir_syncs);
}

#[test]
fn deferred_decisions_come_first_and_share_the_write() {
    let disk = SimVfs::new(4);
    let mut ledger = create(&disk);
    assert_eq!(ledger.defer(at(2), ended(1)), 1);
    assert_eq!(ledger.defer(at(2), ended(2)), 2);
    assert_eq!((ledger.position(), ledger.durable_position()), (3, 1));
    let appended = ledger.append(at(3), batch(3..4)).unwrap();
    assert_eq!(appended.len(), 1, "only what was appended");
    assert_eq!((appended[0].position, ledger.durable_position()), (3, 4));
    ledger.defer(at(4), ended(4));
    ledger.flush().unwrap();
    assert_eq!(open(&disk.crash()).seen[1..], batch(1..5));
}

#[test]
fn deferred_decisions_are_bounded() {
    let disk = SimVfs::new(5);
    let mut ledger = create(&disk);
    for hold in 0..wide(DEFERRED_MAX) {
        ledger.defer(at(2), ended(hold));
    }
    assert_eq!(ledger.durable_position(), 1 + wide(DEFERRED_MAX));
}

#[test]
fn the_ledger_rolls_to_the_next_file_with_whole_batches() {
    let disk = SimVfs::new(6);
    let mut ledger = create(&disk);
    for _ in 0..12 {
        ledger.append(at(2), vec![long(120_000), long(120_000)]).unwrap();
    }
    assert_equal_and_sound(&disk, &ledger);
    assert_eq!(ledger.allocated_bytes(), 2 * 4 * LEDGER_FILE_BYTES);
    let opened = open(&disk.crash());
    assert_eq!((opened.seen.len(), opened.replay.unreadable), (25, None));
    assert_eq!(opened.ledger.allocated_bytes(), 2 * 4 * LEDGER_FILE_BYTES);
}

#[test]
fn what_is_too_long_for_a_file_becomes_several_batches() {
    let disk = SimVfs::new(7);
    let mut ledger = create(&disk);
    let entries = ledger.append(at(2), vec![long(200_000); 12]).unwrap();
    let mut batches: Vec<_> = entries.iter().map(|entry| entry.batch_start).collect();
    batches.dedup();
    assert_eq!(batches, [1, 6, 11]);
    assert_eq!(open(&disk.crash()).seen.len(), 13);
}

#[test]
fn a_full_disk_takes_decisions_until_the_file_set_aside_is_used_up() {
    let disk = SimVfs::new(8);
    let mut ledger = create(&disk);
    disk.set_capacity(0);
    let mut taken = 0;
    let error = loop {
        match ledger.append(at(2), vec![long(100_000)]) {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((error.kind(), taken), (ErrorKind::Full, 20));
    assert!(ledger.problems().is_empty(), "{:?}", ledger.problems());
    disk.set_capacity(1 << 30);
    ledger.reserve().unwrap();
    ledger.append(at(2), vec![long(100_000)]).unwrap();
    assert_eq!(open(&disk.crash()).seen.len(), 22);
}

#[test]
fn a_full_disk_opens_repairs_and_takes_decisions() {
    let disk = SimVfs::new(9);
    create(&disk).append(at(2), batch(1..9)).unwrap();
    disk.set_capacity(0);
    disk.corrupt(A0, 4200, 1);
    let mut opened = open(&disk.crash());
    assert_eq!(opened.replay.repairs.len(), 1);
    opened.ledger.append(at(3), batch(9..10)).unwrap();
}

#[test]
fn damage_anywhere_in_one_copy_is_repaired_from_the_other() {
    let disk = SimVfs::new(10);
    let mut ledger = create(&disk);
    ledger.append(at(2), batch(1..9)).unwrap();
    ledger.append(at(3), batch(9..20)).unwrap();
    let written = offset_of(20);
    for (path, copy, other) in [(A0, "a", "b"), (B0, "b", "a")] {
        for offset in (0..written + 256).step_by(64) {
            disk.corrupt(path, offset, 0x41);
            let opened = open_with(&disk, 20, true);
            assert_eq!(opened.seen[1..], batch(1..20), "{path} at {offset}");
            let repairs = opened.replay.repairs;
            assert_eq!(repairs.len(), 1, "{path} at {offset}: {repairs:?}");
            if (wide(FIRST_FRAME)..written).contains(&offset) {
                let want = format!("ledger copy {copy}: rewrote 1 damaged entry from copy {other}");
                assert_eq!(repairs[0], want);
            }
            assert_equal_and_sound(&disk, &opened.ledger);
        }
    }
}

#[test]
fn different_damage_in_both_copies_costs_nothing() {
    let disk = SimVfs::new(11);
    create(&disk).append(at(2), batch(1..9)).unwrap();
    disk.corrupt(A0, offset_of(2) + 30, 1);
    disk.corrupt(B0, offset_of(3) + 30, 1);
    let opened = open_with(&disk, 9, true);
    assert_eq!(opened.seen[1..], batch(1..9));
    assert_eq!(opened.replay.repairs.len(), 2);
    assert_equal_and_sound(&disk, &opened.ledger);
}

#[test]
fn the_same_entry_lost_in_both_copies_stops_everything_behind_it() {
    for lost in 0..9_u64 {
        let disk = SimVfs::new(12);
        let mut ledger = create(&disk);
        (1..10).for_each(|hold| drop(ledger.append(at(2), batch(hold..hold + 1)).unwrap()));
        for path in [A0, B0] {
            disk.corrupt(path, offset_of(lost) + 40, 1);
        }
        let before = copies(&disk);
        let mut opened = open(&disk);
        assert_eq!(wide(opened.seen.len()), lost);
        let why = opened.replay.unreadable.unwrap();
        assert!(why.contains(&format!("entry {lost} is lost")), "{why}");
        assert!(why.contains("00000000.log"), "{why}");
        let error = opened.ledger.append(at(3), batch(1..2)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(opened.ledger.read(0, &mut |_, _| true).is_err());
        assert!(copies(&disk) == before, "an unreadable ledger is left as it is");
    }
}

#[test]
fn a_lost_end_is_noticed_by_the_known_position() {
    let disk = SimVfs::new(13);
    let mut ledger = create(&disk);
    ledger.append(at(2), batch(1..2)).unwrap();
    ledger.append(at(3), batch(2..3)).unwrap();
    for path in [A0, B0] {
        disk.corrupt(path, offset_of(2) + 40, 1);
    }
    let opened = open_with(&disk, 3, true);
    assert_eq!(opened.seen.len(), 2);
    assert!(opened.ledger.unreadable().unwrap().contains("3 were durable"));
    assert!(open_with(&disk, 2, true).ledger.unreadable().is_none(), "a torn last write");
}

#[test]
fn a_missing_copy_is_rebuilt() {
    for dir in [name::LEDGER_A, name::LEDGER_B] {
        let disk = SimVfs::new(14);
        let mut ledger = create(&disk);
        (0..12).for_each(|_| drop(ledger.append(at(2), vec![long(100_000)]).unwrap()));
        for number in 0..3 {
            disk.remove(&name::ledger(dir, number)).unwrap();
        }
        let opened = open_with(&disk, 13, true);
        assert_eq!(opened.seen.len(), 13);
        assert_eq!(opened.replay.repairs.len(), 2, "{:?}", opened.replay.repairs);
        assert_equal_and_sound(&disk, &opened.ledger);
        assert_eq!(open_with(&disk.crash(), 13, true).replay.repairs, [""; 0]);
    }
}

#[test]
fn short_and_long_files_are_made_whole() {
    let disk = SimVfs::new(15);
    create(&disk).append(at(2), batch(1..9)).unwrap();
    let file = disk.open(A0, true).unwrap();
    file.truncate(4200).unwrap();
    let file = disk.open(B0, true).unwrap();
    file.write_at(LEDGER_FILE_BYTES, &[b"appended by a stranger"]).unwrap();
    let opened = open_with(&disk, 9, true);
    assert_eq!(opened.seen[1..], batch(1..9));
    assert_equal_and_sound(&disk, &opened.ledger);
}

#[test]
fn a_ledger_without_files_is_not_made_anew() {
    let disk = SimVfs::new(16);
    let mut opened = open(&disk);
    assert!(opened.replay.unreadable.unwrap().contains("both copies"));
    assert!(opened.ledger.append(at(1), batch(1..2)).is_err());
    assert_eq!(disk.files(), [""; 0]);
}

#[test]
fn bad_sectors_in_one_copy_cost_nothing_and_in_both_are_told() {
    let disk = SimVfs::new(17);
    create(&disk).append(at(2), batch(1..9)).unwrap();
    disk.bad_sector(A0, 4096..8192);
    assert_eq!(open_with(&disk, 9, false).seen[1..], batch(1..9));
    disk.bad_sector(B0, 4096..8192);
    let opened = open_with(&disk, 9, true);
    assert!(opened.replay.unreadable.unwrap().contains("neither copy"));
}

#[test]
fn a_ledger_of_a_newer_build_is_not_acted_upon() {
    let disk = SimVfs::new(18);
    let mut ledger = create(&disk);
    ledger.append(at(2), batch(1..3)).unwrap();
    for path in [A0, B0] {
        let mut frame =
            disk.contents(path).unwrap()[index(offset_of(2))..index(offset_of(3))].to_vec();
        frame[56..58].copy_from_slice(&60_000_u16.to_le_bytes());
        let mut crc = crc32fast::Hasher::new();
        crc.update(&STORE);
        crc.update(&frame[8..]);
        frame[4..8].copy_from_slice(&crc.finalize().to_le_bytes());
        disk.open(path, true).unwrap().write_at(offset_of(2), &[&frame]).unwrap();
    }
    let opened = open(&disk);
    assert_eq!(opened.seen.len(), 1, "the batch is not whole for us");
    assert!(opened.replay.unreadable.unwrap().contains("newer build"));
}

#[test]
fn opening_read_only_writes_nothing() {
    let disk = SimVfs::new(19);
    create(&disk).append(at(2), batch(1..9)).unwrap();
    disk.corrupt(A0, 4096 + 100, 1);
    disk.corrupt(A0, offset_of(9) + 8, 1);
    let (before, stats) = (copies(&disk), disk.stats());
    let mut opened = open_with(&disk, 9, false);
    assert_eq!(opened.seen[1..], batch(1..9));
    assert_eq!(opened.ledger.append(at(3), vec![]).unwrap_err().kind(), ErrorKind::ReadOnly);
    assert_eq!(opened.ledger.verify(&mut |_, _| ()).unwrap().len(), 1);
    assert!(copies(&disk) == before);
    let after = disk.stats();
    assert_eq!((after.writes, after.syncs), (stats.writes, stats.syncs));
}

#[test]
fn a_copy_whose_sync_fails_is_left_alone_until_reopened() {
    for nth in [1, 2] {
        let disk = SimVfs::new(20);
        let mut ledger = create(&disk);
        ledger.append(at(2), batch(1..2)).unwrap();
        disk.fail_after(SimOp::Sync, nth, io::ErrorKind::Other);
        ledger.append(at(3), batch(2..3)).unwrap();
        assert_eq!(ledger.problems().len(), 1);
        let before = disk.stats();
        ledger.append(at(4), batch(3..4)).unwrap();
        assert_eq!(disk.stats().syncs, before.syncs + 1, "one copy is left");
        let opened = open_with(&disk.crash(), 4, true);
        assert_eq!(opened.seen[1..], batch(1..4));
    }
}

#[test]
fn when_both_copies_fail_nothing_is_acknowledged_until_reopened() {
    let disk = SimVfs::new(21);
    let mut ledger = create(&disk);
    ledger.append(at(2), batch(1..2)).unwrap();
    disk.fail_from(SimOp::Sync, 1, io::ErrorKind::Other);
    assert_eq!(ledger.append(at(3), batch(2..3)).unwrap_err().kind(), ErrorKind::Io);
    disk.clear_faults();
    assert_eq!(ledger.append(at(4), batch(3..4)).unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!((ledger.durable_position(), ledger.problems().len()), (2, 2));
    let disk = disk.crash();
    let mut opened = open_with(&disk, 2, true);
    assert!(opened.seen.len() >= 2);
    opened.ledger.append(at(5), batch(5..6)).unwrap();
    assert_equal_and_sound(&disk, &opened.ledger);
}

#[test]
fn a_copy_that_kept_an_unfinished_write_does_not_fork_the_history() {
    let disk = SimVfs::new(22);
    let mut ledger = create(&disk);
    ledger.append(at(2), batch(1..2)).unwrap();
    // Copy b keeps the first entry of a batch that never became durable, while copy a goes on.
    let batches = batch::seal(
        &STORE,
        ledger.chain,
        &[2, 3].map(|hold| Item { at: at(9), decision: ended(hold) }),
    );
    let torn = &batches.unwrap()[0].bytes[..88];
    disk.open(B0, true).unwrap().write_at(wide(ledger.tail), &[torn]).unwrap();
    ledger.copies[1].fail();
    ledger.append(at(3), batch(4..7)).unwrap();
    let opened = open_with(&disk, 5, true);
    assert_eq!(opened.seen[2..], batch(4..7));
    assert_equal_and_sound(&disk, &opened.ledger);
}

#[test]
fn copies_that_tell_different_histories_are_not_chosen_between() {
    let disk = SimVfs::new(23);
    create(&disk).append(at(2), batch(1..2)).unwrap();
    for (failed, hold) in [(1, 2), (0, 3)] {
        let mut ledger = open_with(&disk, 2, false).ledger;
        ledger.writable = true;
        ledger.copies[failed].fail();
        ledger.copies[1 - failed].resume(0, None).unwrap();
        ledger.append(at(3), batch(hold..hold + 1)).unwrap();
        // Hide what the other copy got from the second round.
        if failed == 1 {
            disk.rename(A0, "hidden").unwrap();
        }
    }
    disk.rename("hidden", A0).unwrap();
    let opened = open_with(&disk, 2, true);
    assert_eq!(opened.seen.len(), 2);
    assert!(opened.replay.unreadable.unwrap().contains("different histories from entry 2"));
}

#[test]
fn a_discarded_write_can_never_be_found_again() {
    let disk = SimVfs::new(24);
    let mut ledger = create(&disk);
    ledger.append(at(2), batch(1..2)).unwrap();
    ledger.append(at(2), batch(2..6)).unwrap();
    for path in [A0, B0] {
        disk.corrupt(path, offset_of(2) + 40, 1);
    }
    let opened = open_with(&disk, 2, true);
    assert_eq!(opened.seen[1..], batch(1..2));
    let [a, b] = copies(&disk);
    let tail = index(offset_of(2));
    assert!(a == b && a[0].as_ref().unwrap()[tail..].iter().all(|byte| *byte == 0));
}

#[test]
fn verify_names_the_copy_and_the_entry() {
    let disk = SimVfs::new(25);
    let mut ledger = create(&disk);
    ledger.append(at(2), batch(1..9)).unwrap();
    disk.corrupt(B0, offset_of(3) + 40, 1);
    let found = ledger.verify(&mut |_, _| ()).unwrap();
    assert_eq!(found.len(), 1);
    let offset = offset_of(3);
    let path = format!("sim:/{B0}");
    assert_eq!(found[0].to_string(), format!("ledger entry 3 is damaged: {path} at byte {offset}"));
}

#[test]
fn unknown_files_are_left_alone_and_told() {
    let disk = SimVfs::new(26);
    create(&disk).append(at(2), batch(1..9)).unwrap();
    drop(disk.create("ledger/a/notes.txt", 10).unwrap());
    let opened = open(&disk);
    assert_eq!(opened.replay.problems[0].kind(), ErrorKind::Unsupported);
    assert!(disk.files().contains(&"ledger/a/notes.txt".to_owned()));
}

#[test]
fn creation_that_a_crash_cut_short_can_be_tried_again() {
    for seed in 0..40 {
        for (op, most) in [(SimOp::Sync, 6), (SimOp::SyncDir, 8), (SimOp::Write, 2)] {
            for nth in 1..=most {
                let disk = SimVfs::new(seed);
                disk.fail_after(op, nth, io::ErrorKind::Other);
                drop(Ledger::create(vfs(&disk), STORE, at(1), Vec::new()));
                let disk = disk.crash();
                let mut ledger = create(&disk);
                ledger.append(at(2), batch(1..3)).unwrap();
                assert_eq!(open_with(&disk.crash(), 3, true).seen.len(), 3);
            }
        }
    }
}

#[test]
fn a_ledger_with_decisions_is_never_replaced() {
    let disk = SimVfs::new(27);
    create(&disk).append(at(2), batch(1..2)).unwrap();
    let error = Ledger::create(vfs(&disk), [9; 16], at(1), Vec::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(open(&disk).seen.len(), 2);
}

/// One history with a crash in it: appends batches until operation `nth` of kind `op` fails, cuts
/// the power, and checks what is there. Gives false when the operation was never reached.
fn crash_at(op: SimOp, nth: u64, seed: u64, entry_len: usize) -> bool {
    let disk = SimVfs::new(seed);
    let mut ledger = create(&disk);
    disk.fail_from(op, nth, io::ErrorKind::Other);
    let (mut sent, mut acknowledged) = (vec![1_usize], 1);
    let mut failed = false;
    for round in 0..8_usize {
        ledger.defer(at(2), ended(wide(round)));
        let count = 1 + (index(seed) + round) % 3;
        sent.push(count + 1);
        if ledger.append(at(3), vec![long(entry_len); count]).is_err() {
            failed = true;
            break;
        }
        acknowledged = ledger.durable_position();
    }
    let whole: Vec<u64> = sent
        .iter()
        .scan(0, |sum, count| {
            *sum += wide(*count);
            Some(*sum)
        })
        .collect();
    let disk = disk.crash();
    let mut opened = open_with(&disk, acknowledged, true);
    let context = format!("{op:?} {nth} seed {seed}: {:?}", opened.replay);
    assert!(opened.replay.unreadable.is_none(), "{context}");
    assert!(opened.replay.entries >= acknowledged, "acknowledged {acknowledged}; {context}");
    assert!(whole.contains(&opened.replay.entries), "half a batch; {context}");
    opened.ledger.append(at(4), batch(1..2)).unwrap();
    assert_equal_and_sound(&disk, &opened.ledger);
    let again = open_with(&disk.crash(), opened.ledger.durable_position(), true);
    assert_eq!(again.replay.entries, opened.replay.entries + 1, "{context}");
    failed || !ledger.problems().is_empty()
}

#[test]
fn a_crash_at_any_operation_keeps_whole_acknowledged_batches() {
    for op in [SimOp::Write, SimOp::Sync, SimOp::SyncDir, SimOp::Create] {
        for entry_len in [10, 5_000, 120_000] {
            for nth in 1..60 {
                let reached = (0..6).any(|seed| crash_at(op, nth, seed * 60 + nth, entry_len));
                if !reached {
                    break;
                }
            }
        }
    }
}

#[test]
fn a_crash_after_any_append_keeps_it() {
    for seed in 0..200 {
        crash_at(SimOp::Map, 1, seed, 700 + (index(seed) % 9) * 500);
    }
}

#[test]
fn a_crash_while_repairing_costs_nothing() {
    for seed in 0..30 {
        for (op, nth) in [(SimOp::Write, 1), (SimOp::Sync, 1), (SimOp::Write, 2), (SimOp::Sync, 2)]
        {
            let disk = SimVfs::new(seed);
            create(&disk).append(at(2), batch(1..30)).unwrap();
            disk.corrupt(A0, offset_of(2) + 30, 1);
            disk.corrupt(B0, offset_of(25) + 30, 1);
            disk.fail_from(op, nth, io::ErrorKind::Other);
            assert_eq!(open_with(&disk, 30, true).seen.len(), 30);
            let disk = disk.crash();
            let opened = open_with(&disk, 30, true);
            assert_eq!(opened.seen[1..], batch(1..30), "seed {seed} {op:?} {nth}");
            assert_equal_and_sound(&disk, &opened.ledger);
        }
    }
}

#[test]
fn what_was_shown_after_a_failed_sync_stays_when_the_power_fails_later() {
    for seed in 0..20 {
        let disk = SimVfs::new(seed);
        let mut ledger = create(&disk);
        disk.fail_from(SimOp::Sync, 1, io::ErrorKind::Other);
        // Over several blocks, so that no later write takes these bytes along.
        ledger.append(at(2), vec![long(20_000)]).unwrap_err();
        disk.clear_faults();
        drop(ledger);
        let mut opened = open(&disk);
        opened.ledger.append(at(3), batch(3..4)).unwrap();
        let after = open(&disk.crash());
        assert_eq!(after.replay.unreadable, None, "seed {seed}");
        assert_eq!(after.seen, [opened.seen, batch(3..4)].concat(), "seed {seed}");
    }
}
