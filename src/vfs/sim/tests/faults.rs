//! What goes wrong on the simulated disk while it has power: failures, damage, fullness, slowness.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::time::Duration;

use super::*;

#[test]
fn the_nth_operation_fails_once_or_from_then_on() {
    let (disk, file) = disk_with_ones(1, 1);
    disk.fail_after(SimOp::Read, 2, ErrorKind::TimedOut);
    let mut buf = [0; 8];
    file.read_at(0, &mut buf).unwrap();
    assert_eq!(file.read_at(0, &mut buf).unwrap_err().kind(), ErrorKind::TimedOut);
    file.read_at(0, &mut buf).unwrap();

    disk.fail_from(SimOp::Create, 2, ErrorKind::StorageFull);
    disk.create("b", 0).unwrap();
    for _ in 0..3 {
        assert_eq!(disk.create("c", 0).unwrap_err().kind(), ErrorKind::StorageFull);
    }
    disk.clear_faults();
    disk.create("c", 0).unwrap();
}

#[test]
fn every_operation_can_be_made_to_fail() {
    let (disk, file) = disk_with_ones(1, 1);
    let map = file.map(1).unwrap();
    let failing = |op, call: &dyn Fn() -> io::Result<()>| {
        disk.fail_after(op, 1, ErrorKind::Deadlock);
        assert_eq!(call().unwrap_err().kind(), ErrorKind::Deadlock, "{op:?}");
    };
    failing(SimOp::Open, &|| disk.open("a", false).map(drop));
    failing(SimOp::List, &|| disk.list("").map(drop));
    failing(SimOp::Len, &|| file.len().map(drop));
    failing(SimOp::Len, &|| file.allocated().map(drop));
    failing(SimOp::Read, &|| file.read_at(0, &mut [0]));
    failing(SimOp::Write, &|| file.write_at(0, &[b"x"]));
    failing(SimOp::Sync, &|| file.sync());
    failing(SimOp::SyncDir, &|| disk.sync_dir(""));
    failing(SimOp::Create, &|| disk.create("b", 1).map(drop));
    failing(SimOp::Create, &|| disk.create_dir("x"));
    failing(SimOp::Rename, &|| disk.rename("a", "b"));
    failing(SimOp::Remove, &|| disk.remove("a"));
    failing(SimOp::Punch, &|| file.punch(0..BLOCK));
    failing(SimOp::Punch, &|| file.truncate(0));
    failing(SimOp::Map, &|| file.map(1).map(drop));
    failing(SimOp::Map, &|| map.populate(0..1));
    assert_eq!((disk.files(), file.len().unwrap()), (vec!["a".to_owned()], BLOCK));
}

#[test]
fn a_failed_write_leaves_any_part_of_it() {
    let parts: BTreeSet<usize> = (0..SEEDS)
        .map(|seed| {
            let (disk, file) = disk_with_ones(seed, 1);
            disk.fail_after(SimOp::Write, 1, ErrorKind::Other);
            assert!(file.write_at(0, &[&[2; 4], &[2; 4]]).is_err());
            disk.contents("a").unwrap().iter().take_while(|byte| **byte == 2).count()
        })
        .collect();
    assert_eq!(parts, (0..=8).collect());
}

#[test]
fn a_full_disk_refuses_new_blocks_and_takes_writes_into_allocated_ones() {
    let disk = SimVfs::new(1);
    disk.set_capacity(4 * BLOCK);
    let file = disk.create("a", 3 * BLOCK).unwrap();
    assert_eq!(disk.create("b", 2 * BLOCK).map(drop).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(disk.files(), ["a"]);
    let other = disk.create("b", BLOCK).unwrap();
    file.write_at(0, &[&[1; 3 * 4096]]).unwrap();
    assert_eq!(other.write_at(BLOCK, &[b"x"]).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(disk.space().unwrap(), Space { free: 0, total: 4 * BLOCK });
    file.punch(0..BLOCK).unwrap();
    other.write_at(BLOCK, &[b"x"]).unwrap();
    // The hole was given away: only what is allocated can be written at any time.
    assert_eq!(file.write_at(0, &[b"x"]).unwrap_err().kind(), ErrorKind::StorageFull);
}

#[test]
fn a_removed_file_frees_its_space_when_the_last_map_ends() {
    let disk = SimVfs::new(1);
    disk.set_capacity(BLOCK);
    let file = disk.create("a", BLOCK).unwrap();
    let map = file.map(BLOCK).unwrap();
    drop(file);
    disk.remove("a").unwrap();
    assert_eq!(disk.space().unwrap().free, 0);
    drop(map);
    assert_eq!(disk.space().unwrap().free, BLOCK);
}

#[test]
fn flipped_bits_are_on_the_medium() {
    for seed in 0..SEEDS {
        let (disk, file) = disk_with_ones(seed, 2);
        file.write_at(BLOCK, &[&[1; 4096]]).unwrap();
        disk.corrupt("a", 7, 0x80);
        disk.corrupt("a", BLOCK + 7, 0x80);
        disk.corrupt("a", 2 * BLOCK, 0x80);
        disk.corrupt("none", 0, 0x80);
        let mut expected = vec![1; 8192];
        (expected[7], expected[4096 + 7]) = (0x81, 0x81);
        assert_eq!(disk.contents("a").unwrap(), expected, "seed {seed}");
        assert_eq!(disk.crash().contents("a").unwrap(), expected, "seed {seed}");
    }
}

#[test]
fn a_bad_sector_fails_its_reads_and_no_others_also_after_a_crash() {
    let (disk, _) = disk_with_ones(1, 2);
    disk.bad_sector("a", 512..1024);
    let after = disk.crash();
    let file = after.open("a", true).unwrap();
    let mut buf = [0; 512];
    file.read_at(0, &mut buf).unwrap();
    file.read_at(1024, &mut buf).unwrap();
    assert!(file.read_at(1023, &mut buf).is_err());
    assert!(file.read_at(1, &mut buf).is_err());
    let map = file.map(BLOCK).unwrap();
    map.populate(1024..BLOCK).unwrap();
    assert!(map.populate(0..BLOCK).is_err());
    assert_ne!(map.bytes()[512], 1, "what cannot be read is not data");
    file.write_at(512, &[&[3; 512]]).unwrap();
    assert!(file.read_at(512, &mut buf).is_err());
}

#[test]
fn every_call_is_counted() {
    let (disk, file) = disk_with_ones(1, 1);
    file.write_at(0, &[b"ab", b"c"]).unwrap();
    file.read_at(0, &mut [0; 3]).unwrap();
    let expected = SimStats {
        writes: 2,
        bytes_written: 4099,
        syncs: 1,
        dir_syncs: 1,
        reads: 1,
        ..SimStats::default()
    };
    assert_eq!(disk.stats(), expected);
    assert_eq!(disk.crash().stats(), SimStats::default());
}

#[test]
fn a_mostly_empty_segment_costs_little_memory() {
    let disk = SimVfs::new(1);
    let files: Vec<_> = (0..64).map(|n| disk.create(&format!("{n}"), 64 << 20).unwrap()).collect();
    for file in &files {
        file.write_at(63 << 20, &[b"footer"]).unwrap();
        file.sync().unwrap();
    }
    assert_eq!(disk.space().unwrap().total - disk.space().unwrap().free, 64 * (64 << 20));
}

#[test]
fn failures_by_odds_follow_from_the_seed_and_come_about_as_often_as_said() {
    let failures = |seed| -> Vec<bool> {
        let (disk, file) = disk_with_ones(seed, 1);
        disk.fail_by_odds(SimOp::Read, 4, ErrorKind::TimedOut);
        (0..400).map(|_| file.read_at(0, &mut [0]).is_err()).collect()
    };
    assert_eq!(failures(7), failures(7));
    assert_ne!(failures(7), failures(8));
    let struck = failures(7).iter().filter(|failed| **failed).count();
    assert!((60..140).contains(&struck), "{struck} of 400");
}

#[test]
fn odds_of_one_operation_leave_the_others_alone() {
    let (disk, file) = disk_with_ones(1, 1);
    disk.fail_by_odds(SimOp::Sync, 1, ErrorKind::Other);
    file.read_at(0, &mut [0]).unwrap();
    file.write_at(0, &[b"x"]).unwrap();
    assert!(file.sync().is_err());
    disk.clear_faults();
    file.sync().unwrap();
}

#[test]
fn after_a_failed_sync_reads_see_the_new_bytes_or_the_old_as_the_file_system_has_it() {
    for (mode, read) in [(FailedSync::ReadsNew, 2), (FailedSync::ReadsOld, 1)] {
        let (disk, file) = disk_with_ones(1, 1);
        disk.set_failed_sync(mode);
        file.write_at(0, &[&[2; 4096]]).unwrap();
        file.write_at(BLOCK, &[&[3; 100]]).unwrap();
        disk.fail_after(SimOp::Sync, 1, ErrorKind::Other);
        assert!(file.sync().is_err());
        assert_eq!(disk.contents("a").unwrap()[..4096], [read; 4096], "{mode:?}");
        assert_eq!(file.len().unwrap(), BLOCK + 100, "the length is in the journal");
        file.sync().unwrap();
        let after = disk.crash().contents("a").unwrap();
        assert_eq!(after[..4096], [1; 4096], "{mode:?}");
        assert_eq!(after[4096..], [0; 100], "{mode:?}");
    }
}

#[test]
fn a_failed_sync_may_have_written_any_of_its_blocks() {
    for mode in [FailedSync::ReadsNew, FailedSync::ReadsOld] {
        let left: BTreeSet<Vec<u8>> = (0..SEEDS)
            .map(|seed| {
                let (disk, file) = disk_with_ones(seed, 2);
                disk.set_failed_sync(mode);
                disk.set_failed_sync_writes(true);
                file.write_at(0, &[&[2; 2 * 4096]]).unwrap();
                disk.fail_after(SimOp::Sync, 1, ErrorKind::Other);
                assert!(file.sync().is_err());
                let read = disk.contents("a").unwrap();
                file.sync().unwrap();
                let after = disk.crash().contents("a").unwrap();
                let expected = if mode == FailedSync::ReadsOld { &after[..] } else { &[2; 8192] };
                assert_eq!(read, expected, "seed {seed}, {mode:?}");
                assert_eq!(after[..4096], [after[0]; 4096], "a block is whole");
                vec![after[0], after[4096]]
            })
            .collect();
        let every_way = [[1, 1], [1, 2], [2, 1], [2, 2]].map(Vec::from);
        assert_eq!(left, BTreeSet::from(every_way), "{mode:?}");
    }
}

#[test]
fn after_a_failed_sync_that_reads_old_a_crash_keeps_what_reads_saw() {
    for seed in 0..SEEDS {
        let (disk, file) = disk_with_ones(seed, 2);
        disk.set_failed_sync(FailedSync::ReadsOld);
        file.write_at(0, &[&[2; 4096]]).unwrap();
        disk.fail_after(SimOp::Sync, 1, ErrorKind::Other);
        assert!(file.sync().is_err());
        file.write_at(BLOCK, &[&[3; 4096]]).unwrap();
        file.sync().unwrap();
        let seen = disk.contents("a");
        assert_eq!(disk.crash().contents("a"), seen, "seed {seed}");
    }
}

#[test]
fn a_misdirected_write_reports_success_and_lands_on_other_data() {
    let landed: BTreeSet<(bool, bool)> = (0..SEEDS)
        .map(|seed| {
            let (disk, file) = disk_with_ones(seed, 3);
            let other = disk.create("b", 2 * BLOCK).unwrap();
            other.write_at(0, &[&[1; 2 * 4096]]).unwrap();
            other.sync().unwrap();
            disk.sync_dir("").unwrap();
            disk.damage_after(SimDamage::Misdirected, 1);
            file.write_at(BLOCK + 10, &[&[2; 20]]).unwrap();
            let meant = &disk.contents("a").unwrap()[4096..8192];
            assert_eq!(meant, [1; 4096], "seed {seed}");
            let hit = |path| {
                let bytes = disk.contents(path).unwrap();
                let found = bytes.chunks(4096).find(|block| block.contains(&2));
                found.inspect(|block| assert_eq!(block[10..30], [2; 20])).is_some()
            };
            let hit = (hit("a"), hit("b"));
            let before = (disk.contents("a"), disk.contents("b"));
            let after = disk.crash();
            assert_eq!((after.contents("a"), after.contents("b")), before, "it is on the medium");
            hit
        })
        .collect();
    assert_eq!(landed, BTreeSet::from([(true, false), (false, true)]));
}

#[test]
fn a_misdirected_write_at_the_end_still_makes_its_file_longer() {
    let (disk, file) = disk_with_ones(1, 1);
    disk.damage_after(SimDamage::Misdirected, 1);
    file.write_at(BLOCK, &[&[2; 100]]).unwrap();
    let bytes = disk.contents("a").unwrap();
    assert_eq!((bytes.len(), &bytes[..100]), (4196, &[2; 100][..]));
    assert_eq!(bytes[4096..], [0; 100]);
    file.write_at(BLOCK, &[&[3; 100]]).unwrap();
    assert_eq!(disk.contents("a").unwrap()[4096..], [3; 100], "the next goes where it should");
}

#[test]
fn a_disk_that_turned_read_only_takes_no_change_and_still_reads() {
    let (disk, file) = disk_with_ones(1, 1);
    file.write_at(0, &[&[2; 512]]).unwrap();
    disk.turn_read_only_after(SimOp::Sync, 1);
    let refused = |done: io::Result<()>| {
        assert_eq!(done.unwrap_err().kind(), ErrorKind::ReadOnlyFilesystem);
    };
    refused(file.sync());
    refused(file.sync());
    refused(file.write_at(0, &[b"x"]));
    refused(file.punch(0..BLOCK));
    refused(file.truncate(0));
    refused(disk.create("b", 0).map(drop));
    refused(disk.create_dir("x"));
    refused(disk.rename("a", "b"));
    refused(disk.remove("a"));
    refused(disk.sync_dir(""));
    refused(disk.open("a", true).map(drop));
    refused(disk.lock("LOCK", true).map(drop));
    let mut read = [0; 1];
    assert_eq!((disk.list("").unwrap(), file.len().unwrap()), (vec!["a".to_owned()], BLOCK));
    disk.open("a", false).unwrap().read_at(0, &mut read).unwrap();
    assert_eq!((read, file.map(1).unwrap().bytes()), ([2], &[2_u8][..]));
    assert_eq!(disk.fork(1).crash_pattern(1).contents("a").unwrap(), [1; 4096]);
    disk.crash().create("b", 0).unwrap();
}

#[test]
fn names_run_out_apart_from_bytes() {
    let (disk, file) = disk_with_ones(1, 1);
    disk.set_name_room(Some(1));
    disk.create("b", 0).unwrap();
    assert_eq!(disk.create("c", 0).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(disk.create_dir("d").unwrap_err().kind(), ErrorKind::StorageFull);
    file.write_at(BLOCK, &[&[2; 4096]]).unwrap();
    disk.rename("a", "e").unwrap();
    disk.remove("b").unwrap();
    disk.create("c", 0).unwrap();
    assert_eq!(disk.files(), ["c", "e"]);
}

#[test]
fn bytes_run_out_apart_from_names() {
    let (disk, _) = disk_with_ones(1, 1);
    disk.set_capacity(BLOCK);
    assert_eq!(disk.create("b", 1).unwrap_err().kind(), ErrorKind::StorageFull);
    disk.create("b", 0).unwrap();
    disk.rename("b", "c").unwrap();
    disk.remove("c").unwrap();
}

#[test]
fn a_full_copy_on_write_disk_removes_only_while_its_reserve_lasts() {
    let (disk, file) = disk_with_ones(1, 2);
    disk.create("b", 0).unwrap();
    disk.set_reserve(Some(2 * BLOCK));
    file.write_at(0, &[&[2; 4096]]).unwrap();
    disk.set_capacity(2 * BLOCK);
    file.write_at(0, &[&[3; 4096]]).unwrap();
    file.write_at(BLOCK, &[&[3; 1]]).unwrap();
    let full = |done: io::Result<()>| assert_eq!(done.unwrap_err().kind(), ErrorKind::StorageFull);
    full(file.write_at(0, &[b"x"]));
    full(file.punch(0..BLOCK));
    full(file.truncate(0));
    full(disk.rename("b", "c"));
    full(disk.remove("b"));
    file.sync().unwrap();
    file.truncate(0).unwrap();
    disk.remove("b").unwrap();
}

#[test]
fn a_slow_disk_moves_the_clock_and_nothing_else() {
    let (disk, file) = disk_with_ones(1, 1);
    let clock = crate::types::ManualClock::at(crate::types::Timestamp::EPOCH);
    let moved = clock.clone();
    disk.slow_down(SimOp::Sync, Duration::from_secs(3));
    disk.on_wait(move |wait| moved.advance(wait));
    file.write_at(0, &[b"x"]).unwrap();
    file.sync().unwrap();
    file.sync().unwrap();
    assert_eq!(disk.waited(), Duration::from_secs(6));
    let wall = crate::types::Clock::wall(&clock);
    assert_eq!(wall, crate::types::Timestamp::EPOCH.saturating_add(Duration::from_secs(6)));
}

#[test]
fn a_kept_map_shows_what_the_file_has_by_then_and_keeps_it_from_being_zeroed() {
    let (disk, file) = disk_with_ones(1, 2);
    let map = file.map(2 * BLOCK).unwrap();
    map.populate(0..2 * BLOCK).unwrap();
    let kept = map.kept().unwrap();
    disk.corrupt("a", 5, 1);
    kept.populate(0..BLOCK).unwrap();
    assert_eq!(kept.bytes()[..6], [1, 1, 1, 1, 1, 0]);
    assert_eq!(file.zero(0..BLOCK).unwrap_err().kind(), ErrorKind::ResourceBusy);
    assert_eq!(file.truncate(BLOCK).unwrap_err().kind(), ErrorKind::ResourceBusy);
    drop(kept);
    file.zero(0..BLOCK).unwrap();
    file.truncate(BLOCK).unwrap();
}

#[test]
fn what_was_populated_is_read_though_its_sector_goes_bad() {
    let (disk, file) = disk_with_ones(1, 2);
    let map = file.map(2 * BLOCK).unwrap();
    map.populate(0..BLOCK).unwrap();
    disk.bad_sector("a", 0..512);
    assert_eq!(map.bytes()[..4096], [1; 4096]);
    assert!(map.populate(0..BLOCK).is_err());
    map.populate(512..2 * BLOCK).unwrap();
    disk.fail_after(SimOp::Map, 1, ErrorKind::Other);
    assert!(map.populate(BLOCK..2 * BLOCK).is_err());
    map.populate(BLOCK..2 * BLOCK).unwrap();
}

#[test]
fn a_bit_that_flips_in_a_write_is_wrong_for_good() {
    for seed in 0..SEEDS {
        let (disk, file) = disk_with_ones(seed, 2);
        disk.damage_after(SimDamage::BitFlipped, 1);
        file.write_at(4000, &[&[1; 200]]).unwrap();
        let read = disk.contents("a").unwrap();
        let wrong: Vec<usize> = (0..read.len()).filter(|at| read[*at] != 1).collect();
        assert_eq!(wrong.len(), 1, "seed {seed}");
        assert!((4000..4200).contains(&wrong[0]), "seed {seed}");
        assert_eq!((read[wrong[0]] ^ 1).count_ones(), 1, "seed {seed}");
        file.sync().unwrap();
        assert_eq!(disk.crash().contents("a").unwrap(), read, "seed {seed}");
    }
}

#[test]
fn a_sector_lost_by_a_write_is_found_by_the_one_who_reads_it() {
    let found: BTreeSet<u64> = (0..SEEDS)
        .map(|seed| {
            let (disk, file) = disk_with_ones(seed, 1);
            disk.damage_after(SimDamage::SectorLost, 1);
            file.write_at(1000, &[&[2; 1000]]).unwrap();
            file.sync().unwrap();
            let after = disk.crash().open("a", false).unwrap();
            let fails = |sector: &u64| after.read_at(sector * 512, &mut [0; 512]).is_err();
            let lost: Vec<u64> = (0..8).filter(fails).collect();
            assert_eq!(lost.len(), 1, "seed {seed}");
            lost[0]
        })
        .collect();
    assert_eq!(found, BTreeSet::from([1, 2, 3]));
}
