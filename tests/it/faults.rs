//! Operations of the disk that fail: what was acknowledged before stays, nothing is acknowledged
//! that is not there, and the store goes on as far as it can.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use clipkeep::vfs::sim::SimOp;

use crate::crash::{below, go_on, number_from_environment};
use crate::scenarios::{self, Scenario};
use crate::world::World;

/// How many seeds an ordinary run tries for each scenario and kind of operation.
const SEEDS_DEFAULT: u64 = 3;

/// Lets one operation fail in each run of each scenario.
fn survives_failing(op: SimOp) {
    let seeds = number_from_environment("CLIPKEEP_CRASH_SEEDS").unwrap_or(SEEDS_DEFAULT);
    let seeds = match number_from_environment("CLIPKEEP_CRASH_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..seeds,
    };
    for seed in seeds {
        for (name, scenario) in scenarios::ALL {
            let tried = catch_unwind(AssertUnwindSafe(|| fail_once(scenario, seed, op)));
            if let Err(panic) = tried {
                eprintln!("replay with CLIPKEEP_CRASH_SEED={seed}: {op:?} fails in {name}");
                resume_unwind(panic);
            }
        }
    }
}

fn fail_once(scenario: Scenario, seed: u64, op: SimOp) {
    let mut world = World::new(seed, u64::MAX);
    let error =
        if below(seed, 4, 2) == 0 { io::ErrorKind::StorageFull } else { io::ErrorKind::Other };
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
