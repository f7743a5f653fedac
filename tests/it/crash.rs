//! Crashes of the whole store: at any change of the disk, by power loss or by a kill.
//!
//! Each scenario is run once to count its changes. Then, for each seed, the plug is pulled after a
//! number of changes that follows from the seed, the store is opened again, and everything that it
//! had promised is checked; opening itself is cut off in the same way and checked again. A failure
//! prints its seed: `CLIPKEEP_CRASH_SEED=<seed>` replays that one, `CLIPKEEP_CRASH_SEEDS=<count>`
//! tries more than the few of an ordinary run.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::scenarios::{self, Scenario};
use crate::world::{LONG, World};

/// How many seeds an ordinary run tries for each scenario.
const SEEDS_DEFAULT: u64 = 12;

/// A small generator: where to pull the plug.
pub(crate) fn below(seed: u64, salt: u64, bound: u64) -> u64 {
    let mut state = seed.wrapping_add(salt.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (state ^ (state >> 31)) % bound.max(1)
}

pub(crate) fn number_from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Pulls the plug of `scenario` at places that follow from the seeds.
fn survives(scenario: Scenario) {
    let mut world = World::new(0, u64::MAX);
    scenario(&mut world).expect("the scenario works when nothing fails");
    world.check();
    world.close();
    let changes = world.plug.changes();
    let seeds = number_from_environment("CLIPKEEP_CRASH_SEEDS").unwrap_or(SEEDS_DEFAULT);
    let seeds = match number_from_environment("CLIPKEEP_CRASH_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..seeds,
    };
    for seed in seeds {
        let tried = catch_unwind(AssertUnwindSafe(|| crash_once(scenario, seed, changes)));
        if let Err(panic) = tried {
            eprintln!("replay with CLIPKEEP_CRASH_SEED={seed}, scenario of {changes} changes");
            resume_unwind(panic);
        }
    }
}

pub(crate) fn crash_once(scenario: Scenario, seed: u64, changes: u64) {
    let allowed = below(seed, 1, changes + 1);
    let mut world = World::new(seed, allowed);
    // It fails where the plug is pulled, if not before its end.
    let outcome = scenario(&mut world);
    if outcome.is_ok() {
        world.note_gone();
    }
    // Opening is cut off, mostly early: recovery changes little.
    let allowed = below(seed, 2, 24);
    if below(seed, 3, 4) == 0 {
        world.kill(allowed);
    } else {
        world.lose_power(allowed);
    }
    let interrupted = world.open().is_err();
    if !interrupted {
        world.check_reads();
    }
    // A disk without any room left must not keep the store from opening.
    world.lose_power(u64::MAX);
    if world.disk.contents("STORE").is_some() {
        world.disk.set_capacity(0);
    }
    world.open().expect("a store opens on a full disk");
    world.check();
    let shown = world.shown();
    world.close();
    world.disk.set_capacity(1 << 40);
    world.open().expect("a store opens");
    world.check();
    assert_eq!(world.shown(), shown, "opening twice shows something else");
    // What is shown once stays, also when the power fails right after opening.
    world.lose_power(u64::MAX);
    world.open().expect("a store opens");
    assert_eq!(world.shown(), shown, "what was shown is lost with the power");
    go_on(&mut world);
}

/// Life afterwards: recording, sweeping, and the same checks.
pub(crate) fn go_on(world: &mut World) {
    // By now a full quota has clips that may go.
    world.wait(LONG);
    world.add("porch", 500, 30_000).expect("recording goes on");
    world.wait(LONG);
    world.sweep().expect("sweeping goes on");
    world.check();
    world.lose_power(u64::MAX);
    world.open().expect("a store opens");
    world.check();
}

#[test]
fn appended_clips_survive() {
    survives(scenarios::append);
}

#[test]
fn fragments_of_a_recording_survive() {
    survives(scenarios::stream);
}

#[test]
fn clips_of_two_classes_survive() {
    survives(scenarios::two_classes);
}

#[test]
fn clips_survive_when_segments_are_sealed_and_followed() {
    survives(scenarios::roll);
}

#[test]
fn a_clip_over_the_end_of_a_segment_survives() {
    survives(scenarios::long_clip);
}

#[test]
fn a_held_clip_survives_a_sweep() {
    survives(scenarios::hold_and_sweep);
}

#[test]
fn held_clips_survive_being_moved() {
    survives(scenarios::relocate);
}

#[test]
fn a_held_clip_over_the_end_of_a_segment_survives_being_moved() {
    survives(scenarios::relocate_long_clip);
}

#[test]
fn a_released_clip_goes_after_its_grace_and_stays_gone() {
    survives(scenarios::release);
}

#[test]
fn a_deleted_clip_stays_gone_and_its_neighbours_stay() {
    survives(scenarios::delete);
}

#[test]
fn clips_within_their_promise_survive_a_full_quota() {
    survives(scenarios::quota);
}

#[test]
fn clips_survive_when_the_store_is_reopened_in_between() {
    survives(scenarios::reopen);
}

#[test]
fn holds_survive_when_the_ledger_goes_on_in_another_file() {
    survives(scenarios::ledger_roll);
}

#[test]
fn clips_survive_a_sweep_in_the_middle_of_a_recording() {
    survives(scenarios::sweep_while_recording);
}
