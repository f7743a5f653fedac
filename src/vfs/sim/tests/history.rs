//! That a disk can tell what happened to it, and that a seed tells the same twice.

use std::io::ErrorKind;

use super::super::rng::Rng;
use super::*;

/// A life of a disk with every kind of trouble, over two crashes.
fn life(seed: u64) -> Vec<String> {
    let mut disk = SimVfs::new(seed);
    disk.record_history(true);
    disk.show_deleted(true);
    let mut dice = Rng::new(seed);
    for _ in 0..3 {
        disk.fail_by_odds(SimOp::Sync, 5, ErrorKind::Other);
        disk.fail_by_odds(SimOp::Write, 9, ErrorKind::Other);
        disk.damage_by_odds(SimDamage::Misdirected, 7);
        disk.damage_by_odds(SimDamage::BitFlipped, 8);
        disk.damage_by_odds(SimDamage::SectorLost, 15);
        for _ in 0..60 {
            let path = format!("{}", dice.below(4));
            let file =
                disk.create(&path, dice.below(3) * BLOCK).or_else(|_| disk.open(&path, true));
            let Ok(file) = file else { continue };
            let mut bytes = vec![0; 5000];
            disk.random(&mut bytes).unwrap();
            file.write_at(dice.below(3 * BLOCK), &[&bytes]).ok();
            if dice.coin() {
                file.sync().ok();
            }
            match dice.below(5) {
                0 => disk.remove(&path).unwrap(),
                1 => drop(disk.rename(&path, "renamed").ok()),
                2 => disk.sync_dir("").unwrap(),
                _ => drop(file.read_at(0, &mut [0; 4096]).ok()),
            }
        }
        disk = disk.crash();
    }
    disk.history()
}

#[test]
fn the_same_seed_tells_the_same_history_with_all_its_trouble() {
    for seed in 0..20 {
        let (first, second) = (life(seed), life(seed));
        for (step, again) in first.iter().zip(&second) {
            assert_eq!(step, again, "seed {seed}");
        }
        assert_eq!(first.len(), second.len(), "seed {seed}");
    }
    assert_ne!(life(1), life(2));
    let all = (0..20).flat_map(life).collect::<Vec<_>>().join("\n");
    let troubles =
        ["FAILED", "lands at", "power is cut", "! Torn", "! Garbage", "! Zero", "! Drop", "! Keep"];
    for trouble in troubles {
        assert!(all.contains(trouble), "no {trouble} in 20 lives");
    }
}

#[test]
fn a_history_reads_as_what_was_done() {
    let disk = SimVfs::new(1);
    disk.create("before", 0).unwrap();
    disk.record_history(true);
    let file = disk.create("a", BLOCK).unwrap();
    file.write_at(10, &[b"ab", b"c"]).unwrap();
    disk.fail_after(SimOp::Sync, 1, ErrorKind::TimedOut);
    assert!(file.sync().is_err());
    file.read_at(10, &mut [0; 3]).unwrap();
    let _after = disk.crash_pattern(1);
    let digest = super::super::history::digest(b"abc");
    let expected = [
        "    1 create a of 4096".to_owned(),
        format!("    2 write a 10+3 {digest}"),
        "    3 sync a: FAILED: simulated fault: Sync of a".to_owned(),
        format!("    4 read a 10+3 {digest}"),
    ];
    assert_eq!(disk.history(), expected);
}

#[test]
fn a_history_goes_on_after_a_crash_with_what_it_decided() {
    let (disk, file) = disk_with_ones(1, 1);
    disk.record_history(true);
    file.write_at(0, &[&[2; 512]]).unwrap();
    let after = disk.crash_pattern(1);
    after.list("").unwrap();
    let told = after.history();
    assert_eq!(told.len(), 4, "{told:#?}");
    assert!(told[1].ends_with("! the power is cut"), "{}", told[1]);
    assert!(told[2].contains("! Drop: a Written { block: 0, sectors: 1, fresh: false }"));
    assert!(told[3].ends_with("list \"\": 1"));
    after.record_history(false);
    assert!(after.history().is_empty());
}
