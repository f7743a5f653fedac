//! Forks and crashes one by one: that each goes its own way, and that none is left out.

use std::collections::BTreeSet;

use super::*;

#[test]
fn a_fork_and_its_origin_do_not_see_each_other() {
    let (disk, file) = disk_with_ones(1, 2);
    let fork = disk.fork(2);
    file.write_at(0, &[&[2; 4096]]).unwrap();
    disk.remove("a").unwrap();
    assert_eq!(fork.contents("a").unwrap(), [1; 8192]);
    fork.open("a", true).unwrap().write_at(0, &[&[3; 10]]).unwrap();
    fork.create("b", BLOCK).unwrap();
    assert_eq!(disk.files(), Vec::<String>::new());
    let mut seen = [0; 1];
    file.read_at(0, &mut seen).unwrap();
    assert_eq!(seen, [2]);
    let _after = fork.crash();
    assert!(disk.list("").is_ok(), "the power of a fork is its own");
}

#[test]
fn a_fork_has_what_is_pending_and_no_lock() {
    let (disk, file) = disk_with_ones(1, 1);
    file.write_at(0, &[&[2; 4096]]).unwrap();
    let lock = disk.lock("LOCK", true).unwrap();
    let fork = disk.fork(9);
    assert_eq!(fork.pending(), disk.pending());
    drop(fork.lock("LOCK", true).unwrap());
    drop(lock);
    assert_eq!(fork.contents("a").unwrap(), [2; 4096], "a killed process loses nothing");
    assert_eq!(fork.crash_pattern(1).contents("a").unwrap(), [1; 4096]);
}

#[test]
fn forks_crash_by_their_own_seed() {
    let (disk, file) = disk_with_ones(1, 8);
    file.write_at(0, &[&vec![2; 8 * 4096]]).unwrap();
    let crash = |seed| disk.fork(seed).crash().contents("a");
    assert_eq!(crash(3), crash(3));
    let found: BTreeSet<_> = (0..SEEDS).map(crash).collect();
    assert!(found.len() > 100, "{} ways in {SEEDS}", found.len());
}

#[test]
fn all_subsets_of_a_few_pending_items_are_crashes_of_their_own() {
    let (disk, file) = disk_with_ones(1, 3);
    for block in 0..3 {
        file.write_at(block * BLOCK, &[&[2; 4096]]).unwrap();
    }
    assert_eq!(disk.pending(), 3);
    let contents = |n| {
        let bytes = disk.fork(0).crash_pattern(n).contents("a").unwrap();
        [bytes[0], bytes[4096], bytes[8192]]
    };
    assert_eq!((contents(0), contents(1)), ([2; 3], [1; 3]));
    let subsets: BTreeSet<_> = (0..8).map(contents).collect();
    assert_eq!(subsets.len(), 8);
}

#[test]
fn each_of_many_pending_items_is_once_the_only_one_kept_and_lost() {
    let (disk, file) = disk_with_ones(1, 10);
    file.write_at(0, &[&vec![2; 10 * 4096]]).unwrap();
    let kept = |n| {
        let bytes = disk.fork(0).crash_pattern(n).contents("a").unwrap();
        bytes.chunks(4096).map(|block| block == [2; 4096]).collect::<Vec<_>>()
    };
    let found: BTreeSet<_> = (0..disk.crash_patterns()).map(kept).collect();
    for one in 0..10 {
        let alone: Vec<bool> = (0..10).map(|block| block == one).collect();
        assert!(found.contains(&alone));
        assert!(found.contains(&alone.iter().map(|kept| !kept).collect::<Vec<_>>()));
    }
}

#[test]
fn a_write_to_new_blocks_is_also_torn_zero_and_garbage() {
    let disk = SimVfs::new(1);
    let file = disk.create("a", BLOCK).unwrap();
    file.sync().unwrap();
    disk.sync_dir("").unwrap();
    file.write_at(0, &[&[2; 4096]]).unwrap();
    let crash = |n| disk.fork(0).crash_pattern(n).contents("a").unwrap();
    let found: BTreeSet<_> = (0..disk.crash_patterns()).map(crash).collect();
    let whole = |bytes: &&Vec<u8>| bytes.iter().all(|byte| *byte == bytes[0]);
    assert!(found.contains(&vec![2; 4096]) && found.contains(&vec![0; 4096]));
    let torn = |bytes: &&Vec<u8>| bytes.contains(&0) && bytes.contains(&2);
    assert!(found.iter().filter(|bytes| torn(bytes)).count() >= 3);
    assert!(found.iter().any(|bytes| !whole(&bytes) && bytes.iter().any(|byte| *byte > 2)));
}

#[test]
fn what_was_durable_is_never_garbage() {
    let (disk, file) = disk_with_ones(1, 1);
    file.write_at(0, &[&[2; 4096]]).unwrap();
    for n in 0..disk.crash_patterns() + SEEDS {
        let bytes = disk.fork(0).crash_pattern(n).contents("a").unwrap();
        assert!(bytes.iter().all(|byte| [1, 2].contains(byte)), "pattern {n}");
    }
}

#[test]
fn garbage_is_a_deleted_file_when_asked_for() {
    let (disk, file) = disk_with_ones(1, 2);
    drop(file);
    disk.remove("a").unwrap();
    disk.sync_dir("").unwrap();
    let crash = || {
        let fork = disk.fork(0);
        let file = fork.create("b", 2 * BLOCK).unwrap();
        file.write_at(0, &[&[2; 10]]).unwrap();
        let garbage = |_: &SimPending<'_>| Fate::Garbage;
        fork.crash_choosing(&mut { garbage }).contents("b").unwrap()
    };
    assert_ne!(crash(), [1; 8192]);
    disk.show_deleted(true);
    assert_eq!(crash(), [1; 8192]);
}

#[test]
fn the_fingerprint_is_of_what_is_durable() {
    let (disk, file) = disk_with_ones(1, 2);
    let before = disk.fingerprint();
    file.write_at(0, &[&[2; 512]]).unwrap();
    assert_eq!(disk.fingerprint(), before, "nothing was synced");
    assert_eq!(disk.fork(1).crash_pattern(1).fingerprint(), before);
    assert_ne!(disk.fork(1).crash_pattern(0).fingerprint(), before);
    file.sync().unwrap();
    let (other, file) = disk_with_ones(2, 2);
    file.write_at(0, &[&[2; 512]]).unwrap();
    file.sync().unwrap();
    assert_eq!(disk.fingerprint(), other.fingerprint(), "the same bytes by another history");
    let of = |work: &dyn Fn(&SimVfs)| {
        let fork = disk.fork(1);
        work(&fork);
        fork.fingerprint()
    };
    let changed = [
        of(&|fork| fork.corrupt("a", 5000, 1)),
        of(&|fork| fork.bad_sector("a", 0..512)),
        of(&|fork| {
            fork.rename("a", "b").unwrap();
            fork.sync_dir("").unwrap();
        }),
        of(&|fork| {
            let file = fork.open("a", true).unwrap();
            file.truncate(8191).unwrap();
            file.sync().unwrap();
        }),
        disk.fingerprint(),
    ];
    assert_eq!(BTreeSet::from(changed).len(), changed.len());
}
