//! Operations of the disk that fail: what was acknowledged before stays, nothing is acknowledged
//! that is not there, and the store goes on as far as it can.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use std::sync::mpsc;
use std::time::Duration;

use clipkeep::vfs::sim::{FailedSync, SimOp};
use clipkeep::{Clip, ErrorKind, LedgerLine, NewClip, ReleaseCause};

use crate::crash::{below, go_on, number_from_environment};
use crate::scenarios::{self, Scenario};
use crate::world::{LONG, World, camera, footage, minute};

/// How many seeds an ordinary run tries for each scenario and kind of operation.
const SEEDS_DEFAULT: u64 = 1;

/// Lets one operation fail in each run of each scenario.
fn survives_failing(op: SimOp) {
    survives(op, fail_once);
}

/// Runs each scenario with something that goes wrong with `op`.
fn survives(op: SimOp, go_wrong: fn(Scenario, u64, SimOp)) {
    let seeds = number_from_environment("CLIPKEEP_CRASH_SEEDS").unwrap_or(SEEDS_DEFAULT);
    let seeds = match number_from_environment("CLIPKEEP_CRASH_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..seeds,
    };
    for seed in seeds {
        for (name, scenario) in scenarios::ALL {
            let tried = catch_unwind(AssertUnwindSafe(|| go_wrong(scenario, seed, op)));
            if let Err(panic) = tried {
                eprintln!("replay with CLIPKEEP_CRASH_SEED={seed}: {op:?} fails in {name}");
                resume_unwind(panic);
            }
        }
    }
}

fn fail_once(scenario: Scenario, seed: u64, op: SimOp) {
    fail_once_in(World::new(seed, u64::MAX), scenario, seed, op);
}

/// The same where a sync that fails has written some of its blocks.
fn fail_once_in_part(scenario: Scenario, seed: u64, op: SimOp) {
    for (number, mode) in (0_u64..).zip([FailedSync::ReadsNew, FailedSync::ReadsOld]) {
        let world = World::new(2 * seed + number, u64::MAX);
        world.disk.set_failed_sync_writes(true);
        world.disk.set_failed_sync(mode);
        fail_once_in(world, scenario, 2 * seed + number, op);
    }
}

fn fail_once_in(mut world: World, scenario: Scenario, seed: u64, op: SimOp) {
    let error =
        if below(seed, 4, 2) == 0 { io::ErrorKind::StorageFull } else { io::ErrorKind::Other };
    if error == io::ErrorKind::StorageFull {
        // A store that is told so makes room.
        world.may_be_tight();
    }
    world.disk.fail_after(op, 1 + below(seed, 5, 40), error);
    // Some operations that fail are errors of the scenario, some the store survives.
    let outcome = scenario(&mut world);
    world.disk.clear_faults();
    if world.is_open() {
        world.note_gone();
        world.check_reads();
    } else if outcome.is_err() {
        world.open().expect("a store opens when nothing fails any more");
        world.check_reads();
    }
    world.lose_power(u64::MAX);
    world.open().expect("a store opens");
    world.check();
    go_on(&mut world);
}

/// Lets one operation fail while the store is opened, and sweeps if it opens all the same: what
/// could not be looked at is no reason to delete anything.
fn fail_once_at_opening(scenario: Scenario, seed: u64, op: SimOp) {
    for number in 0..4 {
        let mut world = World::new(seed, u64::MAX);
        scenario(&mut world).expect("nothing fails yet");
        world.kill(u64::MAX);
        world.disk.fail_after(op, 1 + below(seed, number, 30), io::ErrorKind::Other);
        if world.open().is_ok() {
            // What is in a file that could not be looked at is not shown now, and is not gone.
            world.may_expire();
            world.store().sweep().ok();
        }
        world.disk.clear_faults();
        world.lose_power(u64::MAX);
        world.open().expect("a store opens when nothing fails any more");
        world.check();
        go_on(&mut world);
    }
}

#[test]
fn a_file_that_cannot_be_opened_at_opening_loses_nothing() {
    survives(SimOp::Open, fail_once_at_opening);
}

#[test]
fn a_folder_that_cannot_be_listed_at_opening_loses_nothing() {
    survives(SimOp::List, fail_once_at_opening);
}

#[test]
fn a_length_that_is_not_told_at_opening_loses_nothing() {
    survives(SimOp::Len, fail_once_at_opening);
}

#[test]
fn a_failed_read_at_opening_loses_nothing() {
    survives(SimOp::Read, fail_once_at_opening);
}

#[test]
fn a_failed_sync_that_wrote_some_blocks_loses_nothing() {
    survives(SimOp::Sync, fail_once_in_part);
}

#[test]
fn a_failed_map_loses_nothing() {
    survives_failing(SimOp::Map);
}

#[test]
fn a_failed_opening_of_a_file_loses_nothing() {
    survives_failing(SimOp::Open);
}

#[test]
fn a_failed_listing_loses_nothing() {
    survives_failing(SimOp::List);
}

#[test]
fn a_failed_question_for_a_length_loses_nothing() {
    survives_failing(SimOp::Len);
}

#[test]
fn a_failed_write_loses_nothing() {
    survives_failing(SimOp::Write);
}

#[test]
fn a_failed_sync_loses_nothing() {
    survives_failing(SimOp::Sync);
}

#[test]
fn a_failed_sync_of_a_folder_loses_nothing() {
    survives_failing(SimOp::SyncDir);
}

#[test]
fn a_failed_creation_loses_nothing() {
    survives_failing(SimOp::Create);
}

#[test]
fn a_failed_rename_loses_nothing() {
    survives_failing(SimOp::Rename);
}

#[test]
fn a_failed_removal_loses_nothing() {
    survives_failing(SimOp::Remove);
}

#[test]
fn a_failed_punch_loses_nothing() {
    survives_failing(SimOp::Punch);
}

#[test]
fn a_failed_read_loses_nothing() {
    survives_failing(SimOp::Read);
}

/// Eight cameras append four clips each at the same time, while `bad` syncs of segments fail from
/// the `after`th clip on. Answers what was acknowledged, and the errors of the rest.
fn append_in_threads(world: &World, bad: u64) -> (Vec<(Clip, Vec<u8>)>, Vec<clipkeep::Error>) {
    let (sender, answers) = mpsc::channel();
    world.plug.fail_syncs("spare/", bad);
    std::thread::scope(|scope| {
        for number in 0..8_u32 {
            let (store, sender) = (world.store().clone(), sender.clone());
            scope.spawn(move || {
                for at in 0..4 {
                    let camera = camera(&format!("street-{number}"));
                    let bytes = footage(u64::from(100 * number + at), 70_000);
                    let clip = NewClip::new(&camera, minute(at));
                    let answer = store.append(clip, bytes.clone()).map(|clip| (clip, bytes));
                    sender.send(answer).expect("somebody listens");
                }
            });
        }
    });
    drop(sender);
    let (done, failed): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    (done.into_iter().flatten().collect(), failed.into_iter().filter_map(Result::err).collect())
}

fn assert_readable(world: &World, clips: &[(Clip, Vec<u8>)]) {
    for (clip, bytes) in clips {
        let read = world.store().read(clip.id()).and_then(|reader| reader.to_vec());
        assert!(read.expect("an acknowledged clip is there") == *bytes, "clip {}", clip.id());
    }
}

#[test]
fn a_group_whose_sync_fails_lands_in_a_fresh_segment() {
    let mut world = World::new(1, u64::MAX);
    world.open().unwrap();
    world.add("porch", 0, 5_000).unwrap();
    let (done, failed) = append_in_threads(&world, 1);
    assert_eq!((done.len(), failed.len()), (32, 0));
    assert_eq!(world.store().problems().len(), 1);
    assert!(world.store().segments().len() >= 2);
    assert_readable(&world, &done);
    world.lose_power(u64::MAX);
    world.open().unwrap();
    assert_readable(&world, &done);
    world.check();
    go_on(&mut world);
}

#[test]
fn two_segments_that_fail_in_a_row_stop_recording_and_wake_every_writer() {
    let mut world = World::new(2, u64::MAX);
    world.open().unwrap();
    world.add("porch", 0, 5_000).unwrap();
    let (done, failed) = append_in_threads(&world, u64::MAX);
    assert_eq!((done.len(), failed.len()), (0, 32));
    assert!(failed.iter().all(|error| error.kind() == ErrorKind::Poisoned), "{failed:?}");
    assert!(world.store().stats().unwrap().recording_stopped.is_some());
    // What is stored can be read and held all the same.
    world.check_reads();
    world.hold("porch", minute(0)).unwrap();
    world.plug.fail_syncs("", 0);
    world.lose_power(u64::MAX);
    world.open().unwrap();
    assert_eq!(world.store().stats().unwrap().recording_stopped, None);
    world.check();
    go_on(&mut world);
}

#[test]
fn one_failing_copy_of_the_ledger_stops_nothing_and_is_told() {
    for copy in ["ledger/a", "ledger/b"] {
        let mut world = World::new(3, u64::MAX);
        world.open().unwrap();
        world.add("porch", 0, 5_000).unwrap();
        world.plug.fail_syncs(copy, u64::MAX);
        world.hold("porch", minute(0)).unwrap();
        let problems = world.store().problems();
        assert!(problems[0].path().unwrap().to_str().unwrap().contains(copy), "{problems:?}");
        world.wait(LONG);
        world.sweep().unwrap();
        world.check_reads();
        world.lose_power(u64::MAX);
        world.open().unwrap();
        world.check();
    }
}

#[test]
fn both_failing_copies_of_the_ledger_delete_nothing() {
    let mut world = World::new(4, u64::MAX);
    world.open().unwrap();
    let clip = world.add("porch", 0, 5_000).unwrap();
    world.store().seal().unwrap();
    world.wait(LONG);
    world.plug.fail_syncs("ledger", u64::MAX);
    world.store().sweep().expect_err("a decision that is on no record is none");
    world.store().delete_clip(clip, "Ann", "").expect_err("nor is this one");
    world.store().read(clip).expect("what was not acknowledged as gone is there");
    world.add("porch", 1, 5_000).expect("recording goes on");
}

#[test]
fn a_move_that_may_be_on_record_keeps_the_copy() {
    let mut doubtful = 0;
    for nth in 1..40 {
        let mut world = World::new(nth, u64::MAX);
        world.open().unwrap();
        world.add("porch", 0, 60_000).unwrap();
        world.add("garage", 0, 60_000).unwrap();
        world.hold("garage", minute(0)).unwrap();
        world.store().seal().unwrap();
        world.wait(LONG);
        world.disk.fail_from(SimOp::Sync, nth, io::ErrorKind::Other);
        let swept = world.sweep();
        world.disk.clear_faults();
        // The copy is there, and both copies of the ledger failed when the move was written.
        doubtful += u64::from(swept.is_err() && segment_files(&world).len() > 1);
        world.check_reads();
        // Killed, not powered off: all that was written is there, synced or not.
        world.kill(u64::MAX);
        world.open().unwrap();
        world.check();
        go_on(&mut world);
    }
    assert!(doubtful > 0, "no move failed");
}

#[test]
fn recording_resumes_when_a_full_disk_has_room_again() {
    for nth in 1..6 {
        let mut world = World::new(nth, u64::MAX);
        world.open().unwrap();
        world.disk.fail_from(SimOp::Create, nth, io::ErrorKind::StorageFull);
        let full = (0..30).find_map(|at| world.add("porch", at, 900_000).err());
        assert_eq!(full.expect("it gets full").kind(), ErrorKind::Full);
        world.check_reads();
        world.disk.clear_faults();
        world.add("porch", 40, 900_000).expect("recording resumes by itself");
        world.lose_power(u64::MAX);
        world.open().unwrap();
        world.check();
    }
}

#[test]
fn holds_come_and_go_on_a_disk_that_is_full_to_the_last_byte() {
    let mut world = World::new(5, u64::MAX);
    world.open().unwrap();
    for at in 0..6 {
        world.add("porch", at, 1_200_000).unwrap();
        world.add("garage", at, 300_000).unwrap();
    }
    world.disk.set_capacity(0);
    let error = (10..20).find_map(|at| world.add("porch", at, 1_200_000).err());
    assert_eq!(error.expect("it is full").kind(), ErrorKind::Full);
    let hold = world.hold("garage", minute(2)).unwrap();
    world.release(hold, ReleaseCause::Owner, Duration::ZERO).unwrap();
    world.hold("garage", minute(3)).unwrap();
    world.wait(LONG);
    world.sweep().expect("expiry needs no room");
    world.lose_power(u64::MAX);
    world.open().expect("opening needs no room");
    world.check();
    world.disk.set_capacity(1 << 40);
    go_on(&mut world);
}

#[test]
fn a_file_that_was_removed_before_its_folder_failed_is_done_by_the_next_sweep() {
    let mut world = World::new(6, u64::MAX);
    world.open().unwrap();
    world.add("porch", 0, 60_000).unwrap();
    world.store().seal().unwrap();
    world.wait(LONG);
    world.disk.fail_after(SimOp::SyncDir, 1, io::ErrorKind::Other);
    let first = world.store().sweep();
    assert!(first.is_err() || !first.unwrap().problems.is_empty(), "the failure is told");
    let second = world.sweep().expect("the next sweep finishes it");
    assert!(second.problems.is_empty(), "{:?}", second.problems);
    assert_eq!(world.store().segments(), []);
    world.lose_power(u64::MAX);
    world.open().unwrap();
    world.check();
}

#[test]
fn a_removal_that_fails_does_not_stop_the_others() {
    let mut world = World::new(7, u64::MAX);
    world.open().unwrap();
    for at in 0..3 {
        world.add("porch", at, 60_000).unwrap();
        world.store().seal().unwrap();
    }
    world.wait(LONG);
    // It can neither be kept for another segment nor be removed.
    for op in [SimOp::Rename, SimOp::Remove] {
        world.disk.fail_after(op, 1, io::ErrorKind::Other);
    }
    let report = world.sweep().expect("one failure is a problem in the report");
    assert!(report.segments_dropped >= 2);
    assert_eq!(report.problems.len(), 1);
    assert!(world.sweep().unwrap().problems.is_empty());
    assert_eq!(world.store().segments(), []);
}

#[test]
fn the_tail_of_a_held_clip_stays_while_its_beginning_cannot_be_read() {
    let mut world = World::new(8, u64::MAX);
    world.open().unwrap();
    world.add("porch", 0, 3_000_000).unwrap();
    world.add("garage", 0, 4_300_000).unwrap();
    world.hold("garage", minute(0)).unwrap();
    world.store().seal().unwrap();
    world.close();
    let [home, tail] = &segment_files(&world)[..] else { panic!("two segments") };
    let end = u64::try_from(world.disk.contents(home).unwrap().len()).unwrap();
    world.disk.bad_sector(home, 0..4096);
    world.disk.bad_sector(home, end - 4096..end);
    world.wait(LONG);
    world.open().unwrap();
    assert_eq!(world.store().opening().problems.len(), 1);
    world.store().sweep().unwrap();
    assert!(world.disk.files().contains(tail), "half of a held clip was removed");
    assert!(world.disk.files().contains(home));
}

#[test]
fn an_expired_segment_that_could_not_be_opened_once_does_not_come_back() {
    let mut unopened = 0;
    for nth in 1..60 {
        let mut world = World::new(nth, u64::MAX);
        world.open().unwrap();
        let clip = world.add("porch", 0, 60_000).unwrap();
        world.store().seal().unwrap();
        world.wait(LONG);
        for op in [SimOp::Rename, SimOp::Remove] {
            world.disk.fail_from(op, 1, io::ErrorKind::Other);
        }
        world.sweep().expect("the expiry is on record").problems.pop().expect("and its file stays");
        world.store().clip(clip).expect_err("it is expired");
        world.lose_power(u64::MAX);
        for op in [SimOp::Rename, SimOp::Remove] {
            world.disk.fail_from(op, 1, io::ErrorKind::Other);
        }
        // Two in a row: the header of a segment stands twice.
        world.disk.fail_after(SimOp::Read, nth, io::ErrorKind::Other);
        world.disk.fail_after(SimOp::Read, nth + 1, io::ErrorKind::Other);
        // Whether it opens depends on what could not be read.
        let opened = world.open().is_ok();
        unopened += u64::from(opened && world.store().segments().is_empty());
        world.lose_power(u64::MAX);
        world.open().unwrap();
        world.check();
    }
    assert!(unopened > 0, "its segment could be opened each time");
}

#[test]
fn a_seal_of_a_dead_process_is_put_on_record_once_it_is_durable() {
    let mut world = World::new(1, u64::MAX);
    world.open().unwrap();
    world.add("porch", 0, 60_000).unwrap();
    // It dies behind the writes of footer and trailer, before their sync.
    world.plug.pull_after(2);
    world.store().seal().unwrap_err();
    for (bad_syncs, problems, sealed) in [(1, 1, 0), (0, 0, 1), (0, 0, 1)] {
        world.kill(u64::MAX);
        world.plug.fail_syncs("segments/", bad_syncs);
        world.open().unwrap();
        let found = world.store().opening().problems;
        assert_eq!(found.len(), problems, "{found:?}");
        let mut on_record = 0;
        let mut count = |line: LedgerLine| {
            on_record += u32::from(line.kind == "segment-sealed");
            true
        };
        world.store().inspect_ledger(0, &mut count).unwrap();
        assert_eq!(on_record, sealed, "with {bad_syncs} failing syncs");
    }
    world.check();
}

#[test]
fn a_clip_erased_from_a_segment_that_could_not_be_sealed_is_no_damage() {
    let mut world = World::new(9, u64::MAX);
    world.open().unwrap();
    let clip = world.add("porch", 0, 60_000).unwrap();
    world.add("garage", 0, 60_000).unwrap();
    world.plug.fail_syncs("spare/", 1);
    world.store().seal().unwrap();
    assert_eq!(world.store().problems().len(), 1, "it could not be sealed");
    world.delete(clip).unwrap();
    let [segment] = &segment_files(&world)[..] else { panic!("one segment") };
    let (bytes, deleted) = (world.disk.contents(segment).unwrap(), footage(1, 60_000));
    for part in [&deleted[..64], &deleted[30_000..30_064], &deleted[59_936..]] {
        assert!(!bytes.windows(64).any(|window| window == part), "its bytes are there");
    }
    world.lose_power(u64::MAX);
    world.open().unwrap();
    world.check();
    go_on(&mut world);
}

#[test]
fn a_clip_erased_before_its_segment_lost_the_footer_is_no_damage() {
    let mut world = World::new(10, u64::MAX);
    world.open().unwrap();
    let clip = world.add("porch", 0, 60_000).unwrap();
    world.add("garage", 0, 60_000).unwrap();
    world.store().seal().unwrap();
    world.delete(clip).unwrap();
    world.close();
    let [segment] = &segment_files(&world)[..] else { panic!("one segment") };
    // Two clips of 15 and 15 blocks behind the header: the footer is next.
    world.disk.corrupt(segment, 31 * 4096 + 40, 1);
    world.open().unwrap();
    let opening = world.store().opening();
    assert_eq!(opening.problems.len(), 1, "the footer alone: {:?}", opening.problems);
    assert!(opening.repairs.iter().any(|repair| repair.contains("footer")), "{opening:?}");
    world.check_reads();
    world.close();
    world.open().unwrap();
    world.check();
}

fn segment_files(world: &World) -> Vec<String> {
    world.disk.files().into_iter().filter(|path| path.starts_with("segments/")).collect()
}
