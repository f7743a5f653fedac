//! Crashes of the whole store: at any change of the disk, by power loss or by a kill.
//!
//! Each scenario is run once to count its changes. Then, for each seed, the plug is pulled after a
//! number of changes that follows from the seed, the store is opened again, and everything that it
//! had promised is checked; opening itself is cut off in the same way and checked again. A failure
//! prints its seed: `CLIPKEEP_CRASH_SEED=<seed>` replays that one, `CLIPKEEP_CRASH_SEEDS=<count>`
//! tries more than the few of an ordinary run.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use clipkeep::{ReleaseCause, Result, VerifyDepth};

use crate::world::{LONG, World, minute};

/// How many seeds an ordinary run tries for each scenario: about a second each.
const SEEDS_DEFAULT: u64 = 24;

type Scenario = fn(&mut World) -> Result<()>;

/// A small generator: where to pull the plug.
fn below(seed: u64, salt: u64, bound: u64) -> u64 {
    let mut state = seed.wrapping_add(salt.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (state ^ (state >> 31)) % bound.max(1)
}

fn number_from_environment(name: &str) -> Option<u64> {
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

fn crash_once(scenario: Scenario, seed: u64, changes: u64) {
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

/// Life after the crash: recording, sweeping, and the same checks.
fn go_on(world: &mut World) {
    world.add("porch", 500, 30_000).expect("recording goes on");
    world.wait(LONG);
    world.sweep().expect("sweeping goes on");
    world.check();
    let faults = world.store().verify(VerifyDepth::Bytes, &mut |_| {}).expect("verify").faults;
    assert!(faults.is_empty(), "{faults:?}");
    world.lose_power(u64::MAX);
    world.open().expect("a store opens");
    world.check();
}

#[test]
fn appended_clips_survive() {
    survives(|world| {
        world.open()?;
        for at in 0..6 {
            world.add("porch", at, 20_000 + 50_000 * usize::try_from(at % 3).unwrap_or(0))?;
            world.add("garage", at, 900)?;
        }
        Ok(())
    });
}

#[test]
fn fragments_of_a_recording_survive() {
    survives(|world| {
        world.open()?;
        let mut porch = world.record("porch", 0)?;
        let mut garage = world.record("garage", 0)?;
        for _ in 0..4 {
            world.write("porch", &mut porch, 70_000)?;
            world.write("garage", &mut garage, 3_000)?;
        }
        world.finish(porch)?;
        world.write("garage", &mut garage, 3_000)?;
        world.finish(garage).map(drop)
    });
}

#[test]
fn clips_of_two_classes_survive() {
    survives(|world| {
        world.open()?;
        world.set_class("garage", Duration::from_secs(2 * 3600 + 1))?;
        for at in 0..4 {
            world.add("porch", at, 40_000)?;
            world.add("garage", at, 40_000)?;
        }
        world.store().seal()?;
        world.add("porch", 9, 40_000).map(drop)
    });
}

#[test]
fn clips_survive_when_segments_are_sealed_and_followed() {
    survives(|world| {
        world.open()?;
        for at in 0..12 {
            world.add("porch", at, 900_000)?;
        }
        Ok(())
    });
}

#[test]
fn a_clip_over_the_end_of_a_segment_survives() {
    survives(|world| {
        world.open()?;
        world.add("porch", 0, 3_000_000)?;
        world.add("garage", 0, 2_500_000)?;
        let mut porch = world.record("porch", 2)?;
        for _ in 0..4 {
            world.write("porch", &mut porch, 700_000)?;
        }
        world.finish(porch).map(drop)
    });
}

#[test]
fn a_held_clip_survives_a_sweep() {
    survives(|world| {
        world.open()?;
        for at in 0..4 {
            world.add("porch", at, 30_000)?;
            world.add("garage", at, 30_000)?;
        }
        world.hold("garage", minute(2))?;
        world.wait(LONG);
        world.sweep()?;
        world.add("porch", 200, 10_000).map(drop)
    });
}

#[test]
fn held_clips_survive_being_moved() {
    survives(|world| {
        world.open()?;
        for at in 0..5 {
            world.add("porch", at, 1_200_000)?;
            world.add("garage", at, 600_000)?;
        }
        world.hold("garage", minute(1))?;
        world.hold("porch", minute(3))?;
        world.wait(LONG);
        world.sweep()?;
        world.sweep().map(drop)
    });
}

#[test]
fn a_held_clip_over_the_end_of_a_segment_survives_being_moved() {
    survives(|world| {
        world.open()?;
        world.add("porch", 0, 3_000_000)?;
        world.add("garage", 0, 2_500_000)?;
        world.hold("garage", minute(0))?;
        world.wait(LONG);
        world.sweep()?;
        world.sweep().map(drop)
    });
}

#[test]
fn a_released_clip_goes_after_its_grace_and_stays_gone() {
    survives(|world| {
        world.open()?;
        world.add("porch", 0, 60_000)?;
        world.add("garage", 0, 60_000)?;
        world.wait(Duration::from_secs(600));
        let asked = world.request("garage", minute(0))?;
        let own = world.hold("porch", minute(0))?;
        world.wait(LONG);
        world.sweep()?;
        let grace = Duration::from_secs(24 * 3600);
        world.release(asked, ReleaseCause::Denied, grace)?;
        world.wait(LONG);
        world.sweep()?;
        world.release(own, ReleaseCause::Owner, Duration::ZERO)?;
        world.sweep()?;
        world.wait(grace);
        world.sweep()?;
        world.sweep().map(drop)
    });
}

#[test]
fn a_deleted_clip_stays_gone_and_its_neighbours_stay() {
    survives(|world| {
        world.open()?;
        let first = world.add("porch", 0, 60_000)?;
        world.add("garage", 0, 60_000)?;
        let last = world.add("porch", 1, 60_000)?;
        world.delete(first)?;
        world.store().seal()?;
        world.add("garage", 1, 60_000)?;
        world.delete(last)?;
        world.sweep().map(drop)
    });
}

#[test]
fn clips_within_their_promise_survive_a_full_quota() {
    survives(|world| {
        world.quota = Some(16 << 20);
        world.open()?;
        for at in 0..8 {
            world.add("porch", at, 900_000)?;
            world.add("garage", at, 300_000)?;
        }
        world.hold("garage", minute(1))?;
        world.wait(Duration::from_secs(90 * 60));
        for at in 100..112 {
            world.add("porch", at, 900_000)?;
            world.note_gone();
        }
        Ok(())
    });
}

#[test]
fn clips_survive_when_the_store_is_reopened_in_between() {
    survives(|world| {
        for round in 0..3 {
            world.open()?;
            world.add("porch", round, 50_000)?;
            world.hold("porch", minute(round))?;
            world.add("garage", round, 50_000)?;
            world.close();
        }
        world.open()
    });
}

#[test]
fn holds_survive_when_the_ledger_goes_on_in_another_file() {
    survives(|world| {
        world.open()?;
        world.add("porch", 0, 50_000)?;
        // Entries of about 50 KB, so that 1 MiB is soon full.
        for round in 0..24 {
            world.wide_hold(round)?;
        }
        world.hold("porch", minute(0))?;
        world.wait(LONG);
        world.sweep().map(drop)
    });
}

#[test]
fn clips_survive_a_sweep_in_the_middle_of_a_recording() {
    survives(|world| {
        world.open()?;
        world.add("garage", 0, 60_000)?;
        let mut porch = world.record("porch", 0)?;
        world.write("porch", &mut porch, 60_000)?;
        world.wait(LONG);
        world.sweep()?;
        world.write("porch", &mut porch, 60_000)?;
        world.finish(porch)?;
        world.hold("porch", minute(0))?;
        world.wait(LONG);
        world.sweep().map(drop)
    });
}
