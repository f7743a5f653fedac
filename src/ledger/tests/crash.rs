//! Histories of the ledger with a crash in them: what was acknowledged is there, in whole batches.

use super::*;

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
fn what_a_failed_sync_left_in_memory_is_durable_before_anything_follows_it() {
    for seed in 0..20 {
        let disk = SimVfs::new(seed);
        let mut ledger = create(&disk);
        disk.fail_from(SimOp::Sync, 1, io::ErrorKind::Other);
        // Over several blocks: what follows is not written into the same ones.
        ledger.append(at(2), batch(1..201)).unwrap_err();
        disk.clear_faults();
        drop(ledger);
        // Another process sees the batch, although no disk has it.
        let mut opened = open_with(&disk, 1, true);
        assert_eq!(opened.seen[1..], batch(1..201));
        opened.ledger.append(at(3), batch(201..202)).unwrap();
        let again = open_with(&disk.crash(), 202, true);
        assert_eq!((again.replay.unreadable, again.seen.len()), (None, 202), "seed {seed}");
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
fn decisions_stay_together_behind_more_deferred_ones_than_fit() {
    for nth in 1..12 {
        let disk = SimVfs::new(nth);
        let mut ledger = create(&disk);
        for _ in 0..7 {
            ledger.defer(at(2), long(200_000));
        }
        disk.fail_from(SimOp::Write, nth, io::ErrorKind::Other);
        let appended = ledger.append(at(3), vec![long(150_000); 4]);
        let acknowledged = appended.as_ref().map_or(0, Vec::len);
        disk.clear_faults();
        let seen = open(&disk.crash()).seen;
        let there = seen.iter().filter(|decision| **decision == long(150_000)).count();
        assert!([0, 4].contains(&there) && there >= acknowledged, "write {nth}: {there}");
        let noted = seen.iter().filter(|decision| **decision == long(200_000)).count();
        assert!(wide(noted) + 1 >= ledger.durable_position().min(8), "write {nth}: {noted}");
    }
}
