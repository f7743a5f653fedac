//! The same seed gives the same history, for the whole store: every call that it makes of the disk,
//! every byte of them, every failure and every choice of a crash.
//!
//! Without it a seed replays nothing. What breaks it is a clock, a source of randomness or the
//! order of a hash map that slipped past the seams.

use std::io;

use clipkeep::vfs::sim::{FailedSync, SimDamage, SimOp};

use crate::scenarios::{self, Scenario};
use crate::world::World;

/// Lives of each scenario.
const SEEDS: u64 = 4;

/// Lets a scenario run into trouble, cuts the power and opens what is left. What the disk heard.
fn life(scenario: Scenario, seed: u64) -> Vec<String> {
    // The first has no trouble before the power goes, so that all of a scenario is compared; the
    // others die in its midst, with much that is pending.
    let mut world = World::new(seed, if seed == 0 { u64::MAX } else { 40 + 13 * seed });
    world.disk.record_history(true);
    world.disk.show_deleted(true);
    if seed.is_multiple_of(2) {
        world.disk.set_failed_sync(FailedSync::ReadsOld);
    }
    if seed > 0 {
        world.disk.fail_by_odds(SimOp::Sync, 25, io::ErrorKind::Other);
        world.disk.fail_by_odds(SimOp::Write, 40, io::ErrorKind::Other);
        world.disk.fail_by_odds(SimOp::Create, 30, io::ErrorKind::StorageFull);
        world.disk.damage_by_odds(SimDamage::Misdirected, 60);
        world.disk.damage_by_odds(SimDamage::SectorLost, 90);
    }
    let mut outcomes = vec![format!("{:?}", scenario(&mut world))];
    world.lose_power(u64::MAX);
    outcomes.push(format!("{:?}", world.open()));
    if world.is_open() {
        outcomes.push(format!("{:?}", world.store().opening()));
        outcomes.push(format!("{:?}", world.store().sweep()));
    }
    world.close();
    let mut told = world.disk.history();
    told.extend(outcomes);
    told
}

#[test]
fn the_same_seed_gives_the_whole_store_the_same_history() {
    let mut decided = 0;
    for (name, scenario) in scenarios::ALL {
        for seed in 0..SEEDS {
            let (first, second) = (life(scenario, seed), life(scenario, seed));
            assert!(first.len() > 20, "{name}, seed {seed}: nothing happened: {first:#?}");
            let steps = first.iter().zip(&second);
            let same = steps.take_while(|(step, again)| step == again).count();
            assert!(
                same == first.len() && same == second.len(),
                "{name}, seed {seed}: the histories part after\n{}\nonce with\n{:?}\n\
                 and once with\n{:?}",
                first[same.saturating_sub(5)..same].join("\n"),
                first.get(same),
                second.get(same),
            );
            decided += first.iter().filter(|step| step.contains(" ! ")).count();
        }
    }
    assert!(decided > 100, "crashes and damage decided {decided} times: that proves little");
}

#[test]
fn another_seed_gives_another_history() {
    assert_ne!(life(scenarios::append, 1), life(scenarios::append, 2));
}
