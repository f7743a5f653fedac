//! What a power cut may do on the simulated disk and what it may never do, over many seeds: both
//! must be seen, or a crash test on this disk could not fail.

use std::collections::BTreeSet;
use std::io::ErrorKind;

use super::*;

mod faults;
mod forks;
mod history;

const BLOCK: u64 = 4096;
const SEEDS: u64 = 300;

/// A disk with durable file `a` of `blocks` blocks of ones.
fn disk_with_ones(seed: u64, blocks: u8) -> (SimVfs, Arc<dyn VfsFile>) {
    let disk = SimVfs::new(seed);
    let len = u64::from(blocks) * BLOCK;
    let file = disk.create("a", len).unwrap();
    file.write_at(0, &[&vec![1; usize::from(blocks) * 4096]]).unwrap();
    file.sync().unwrap();
    disk.sync_dir("").unwrap();
    (disk, file)
}

/// What stands in `a` after a crash of each seed, `work` done to it before.
fn outcomes(blocks: u8, work: impl Fn(&SimVfs, &dyn VfsFile)) -> BTreeSet<Option<Vec<u8>>> {
    let crash = |seed| {
        let (disk, file) = disk_with_ones(seed, blocks);
        work(&disk, &*file);
        disk.crash().contents("a")
    };
    (0..SEEDS).map(crash).collect()
}

#[test]
fn synced_bytes_survive_every_crash() {
    let found = outcomes(2, |_, file| {
        file.write_at(100, &[&[2; 6000]]).unwrap();
        file.sync().unwrap();
    });
    let mut expected = vec![1; 8192];
    expected[100..6100].fill(2);
    assert_eq!(found, BTreeSet::from([Some(expected)]));
}

#[test]
fn unsynced_blocks_are_kept_or_lost_each_by_itself() {
    let found = outcomes(2, |_, file| file.write_at(0, &[&[2; 8192]]).unwrap());
    let whole = |first, second| Some([[first; 4096], [second; 4096]].concat());
    for expected in [whole(1, 1), whole(1, 2), whole(2, 1), whole(2, 2)] {
        assert!(found.contains(&expected));
    }
}

#[test]
fn unsynced_blocks_are_torn_at_sectors_and_nowhere_else() {
    let found = outcomes(1, |_, file| file.write_at(0, &[&[2; 4096]]).unwrap());
    let mut torn = 0;
    for bytes in found.into_iter().flatten() {
        let sectors: Vec<_> = bytes.chunks(512).map(|sector| sector[0]).collect();
        assert!(bytes.chunks(512).all(|sector| sector.iter().all(|byte| *byte == sector[0])));
        torn += usize::from(sectors.contains(&1) && sectors.contains(&2));
    }
    assert!(torn > 20, "{torn} torn outcomes in {SEEDS} seeds");
}

#[test]
fn a_crash_keeps_bytes_in_the_sectors_beside_a_write() {
    let found = outcomes(1, |_, file| file.write_at(512, &[&[2; 512]]).unwrap());
    let mut written = vec![1; 4096];
    written[512..1024].fill(2);
    assert_eq!(found, BTreeSet::from([Some(vec![1; 4096]), Some(written)]));
}

#[test]
fn a_later_write_can_survive_an_earlier_one() {
    let found = outcomes(8, |_, file| {
        file.write_at(0, &[&[2; 512]]).unwrap();
        file.write_at(7 * BLOCK, &[&[3; 512]]).unwrap();
    });
    let reordered = |bytes: &Vec<u8>| bytes[0] == 1 && bytes[7 * 4096] == 3;
    assert!(found.iter().flatten().any(reordered));
}

#[test]
fn an_unsynced_length_is_kept_or_lost_and_bytes_behind_the_end_never_show() {
    let found = outcomes(1, |_, file| file.write_at(BLOCK, &[&[2; 512]]).unwrap());
    let lens: BTreeSet<_> = found.iter().flatten().map(Vec::len).collect();
    assert_eq!(lens, BTreeSet::from([4096, 4608]));
    assert!(found.iter().flatten().any(|bytes| bytes[4096..].contains(&0)));
}

#[test]
fn bytes_whose_length_was_lost_do_not_come_back_when_the_file_grows() {
    for seed in 0..SEEDS {
        let (disk, file) = disk_with_ones(seed, 1);
        file.write_at(BLOCK, &[&[2; 4096]]).unwrap();
        let after = disk.crash();
        if after.contents("a").unwrap().len() == 4096 {
            after.open("a", true).unwrap().write_at(2 * BLOCK, &[b"x"]).unwrap();
            assert_eq!(after.contents("a").unwrap()[4096..8192], [0; 4096], "seed {seed}");
        }
    }
}

#[test]
fn an_unsynced_hole_or_cut_can_be_undone() {
    let punched = outcomes(1, |_, file| file.punch(0..BLOCK).unwrap());
    assert_eq!(punched, BTreeSet::from([Some(vec![1; 4096]), Some(vec![0; 4096])]));
    let cut = outcomes(1, |_, file| file.truncate(512).unwrap());
    assert_eq!(cut, BTreeSet::from([Some(vec![1; 4096]), Some(vec![1; 512])]));
}

#[test]
fn a_synced_hole_never_gives_its_bytes_back() {
    let found = outcomes(1, |_, file| {
        file.write_at(0, &[b"secret"]).unwrap();
        file.punch(0..BLOCK).unwrap();
        file.sync().unwrap();
    });
    assert_eq!(found, BTreeSet::from([Some(vec![0; 4096])]));
}

#[test]
fn bytes_of_a_failed_sync_are_read_but_never_become_durable() {
    let found = outcomes(2, |disk, file| {
        file.write_at(0, &[&[2; 512]]).unwrap();
        disk.fail_after(SimOp::Sync, 1, ErrorKind::Other);
        assert!(file.sync().is_err());
        file.write_at(BLOCK, &[&[3; 512]]).unwrap();
        file.sync().unwrap();
        assert_eq!(disk.contents("a").unwrap()[..512], [2; 512]);
    });
    let mut expected = vec![1; 8192];
    expected[4096..4608].fill(3);
    assert_eq!(found, BTreeSet::from([Some(expected)]));
}

#[test]
fn a_name_can_vanish_without_a_sync_of_its_folder() {
    let exists = |synced: bool| -> BTreeSet<bool> {
        let crash = |seed| {
            let disk = SimVfs::new(seed);
            disk.create("b", 1).unwrap().sync().unwrap();
            if synced {
                disk.sync_dir("").unwrap();
            }
            !disk.crash().files().is_empty()
        };
        (0..SEEDS).map(crash).collect()
    };
    assert_eq!(exists(false), BTreeSet::from([false, true]));
    assert_eq!(exists(true), BTreeSet::from([true]));
}

#[test]
fn a_removed_name_can_come_back_with_its_bytes_until_the_folder_is_synced() {
    let back = outcomes(1, |disk, _| disk.remove("a").unwrap());
    assert_eq!(back, BTreeSet::from([None, Some(vec![1; 4096])]));
    let gone = outcomes(1, |disk, _| {
        disk.remove("a").unwrap();
        disk.sync_dir("").unwrap();
    });
    assert_eq!(gone, BTreeSet::from([None]));
}

/// The files after a crash, over many seeds, of a rename from folder `x` to folder `y`.
fn renamed(synced: &[&str]) -> BTreeSet<Vec<String>> {
    let crash = |seed| {
        let disk = SimVfs::new(seed);
        disk.create_dir("x").unwrap();
        disk.create_dir("y").unwrap();
        disk.create("x/a", 1).unwrap().sync().unwrap();
        disk.sync_dir("x").unwrap();
        disk.sync_dir("y").unwrap();
        disk.rename("x/a", "y/a").unwrap();
        for dir in synced {
            disk.sync_dir(dir).unwrap();
        }
        disk.crash().files()
    };
    (0..SEEDS).map(crash).collect()
}

#[test]
fn a_rename_is_whole_and_durable_only_with_both_folders() {
    let (old, new) = (vec!["x/a".to_owned()], vec!["y/a".to_owned()]);
    let either = BTreeSet::from([old, new.clone()]);
    assert_eq!(renamed(&[]), either);
    assert_eq!(renamed(&["x"]), either);
    assert_eq!(renamed(&["y"]), either);
    assert_eq!(renamed(&["x", "y"]), BTreeSet::from([new]));
}

#[test]
fn no_crash_loses_a_renamed_file_to_the_next_one_of_its_name() {
    for seed in 0..SEEDS {
        let (disk, _) = disk_with_ones(seed, 1);
        disk.create_dir("y").unwrap();
        disk.sync_dir("y").unwrap();
        disk.rename("a", "y/a").unwrap();
        disk.create("a", BLOCK).unwrap();
        disk.sync_dir("").unwrap();
        let after = disk.crash();
        assert_eq!(after.contents("y/a").unwrap(), [1; 4096], "seed {seed}");
    }
}

#[test]
fn a_file_is_lost_with_its_unsynced_folder() {
    let crash = |seed| {
        let disk = SimVfs::new(seed);
        disk.create_dir("x/y").unwrap();
        disk.create("x/y/a", 1).unwrap().sync().unwrap();
        // Makes the names in `x/y` and its own durable, but not that of `x`.
        disk.sync_dir("x/y").unwrap();
        disk.crash().files()
    };
    let found: BTreeSet<_> = (0..SEEDS).map(crash).collect();
    assert_eq!(found, BTreeSet::from([vec![], vec!["x/y/a".to_owned()]]));
}

#[test]
fn a_failed_sync_of_a_folder_promises_nothing() {
    let crash = |seed| {
        let disk = SimVfs::new(seed);
        disk.create("b", 1).unwrap().sync().unwrap();
        disk.fail_after(SimOp::SyncDir, 1, ErrorKind::Other);
        assert!(disk.sync_dir("").is_err());
        !disk.crash().files().is_empty()
    };
    let found: BTreeSet<_> = (0..SEEDS).map(crash).collect();
    assert_eq!(found, BTreeSet::from([false, true]));
}

#[test]
fn after_a_sync_a_crash_keeps_exactly_what_reads_saw() {
    for seed in 0..SEEDS {
        let (disk, file) = disk_with_ones(seed, 6);
        let dice = SimVfs::new(seed);
        let mut throw = [0; 8];
        for _ in 0..30 {
            dice.random(&mut throw).unwrap();
            let [op, value, a, b, ..] = throw;
            let block = u64::from(a % 8) * BLOCK;
            let offset = block + u64::from(b) * 16;
            match op % 8 {
                0..4 => file.write_at(offset, &[&vec![value; usize::from(b) * 30]]).unwrap(),
                4 => file.punch(block..block + u64::from(b % 4) * BLOCK).unwrap(),
                5 => file.truncate(offset.min(file.len().unwrap())).unwrap(),
                _ => file.sync().unwrap(),
            }
        }
        file.sync().unwrap();
        let (seen, allocated) = (disk.contents("a"), file.allocated().unwrap());
        let after = disk.crash();
        assert_eq!(after.contents("a"), seen, "seed {seed}");
        assert_eq!(after.open("a", false).unwrap().allocated().unwrap(), allocated, "seed {seed}");
    }
}

/// A scripted history with a bit of everything; what a crash of it leaves.
fn history(seed: u64) -> Vec<(String, Vec<u8>)> {
    let (disk, file) = disk_with_ones(seed, 16);
    let mut bytes = [0; 2048];
    for round in 0..20_u64 {
        disk.random(&mut bytes).unwrap();
        file.write_at(round * 3000, &[&bytes]).unwrap();
        let _open = disk.create(&format!("f{round}"), 600).unwrap();
        if round % 7 == 3 {
            file.sync().unwrap();
            disk.sync_dir("").unwrap();
        }
    }
    file.punch(BLOCK..2 * BLOCK).unwrap();
    disk.remove("f1").unwrap();
    let after = disk.crash();
    after.files().into_iter().map(|path| (path.clone(), after.contents(&path).unwrap())).collect()
}

#[test]
fn the_same_seed_gives_the_same_history() {
    for seed in 0..20 {
        assert_eq!(history(seed), history(seed), "seed {seed}");
    }
    assert_ne!(history(1), history(2));
}

#[test]
fn a_crashed_disk_answers_nothing_and_holds_no_lock_of_the_next() {
    let (disk, file) = disk_with_ones(1, 1);
    let map = file.map(BLOCK).unwrap();
    let lock = disk.lock("LOCK", true).unwrap();
    let after = disk.crash();
    drop(after.lock("LOCK", true).unwrap());
    assert!(file.read_at(0, &mut [0]).is_err());
    assert!(file.write_at(0, &[b"x"]).is_err());
    assert!(file.sync().is_err());
    assert!(file.len().is_err() && file.allocated().is_err() && file.map(1).is_err());
    assert!(file.punch(0..BLOCK).is_err() && file.truncate(0).is_err());
    assert!(map.populate(0..1).is_err());
    assert!(disk.open("a", false).is_err() && disk.create("b", 0).is_err());
    assert!(disk.list("").is_err() && disk.sync_dir("").is_err() && disk.space().is_err());
    drop(lock);
    assert_eq!(after.contents("a").unwrap(), [1; 4096]);
}

#[test]
fn a_second_crash_takes_nothing_that_survived_the_first() {
    for seed in 0..SEEDS {
        let (disk, file) = disk_with_ones(seed, 4);
        file.write_at(0, &[&[2; 4 * 4096]]).unwrap();
        let once = disk.crash();
        let survived = once.contents("a");
        assert_eq!(once.crash().contents("a"), survived, "seed {seed}");
    }
}
