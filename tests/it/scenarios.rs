//! Short lives of a store, each around one thing that a crash or a failing disk may hit.
//!
//! A scenario goes on until the first error; what it was promised before, `World` remembers.

use std::time::Duration;

use clipkeep::{ReleaseCause, Result};

use crate::world::{LONG, World, minute};

pub(crate) type Scenario = fn(&mut World) -> Result<()>;

/// All of them, by name.
pub(crate) const ALL: [(&str, Scenario); 14] = [
    ("append", append),
    ("stream", stream),
    ("two_classes", two_classes),
    ("roll", roll),
    ("long_clip", long_clip),
    ("hold_and_sweep", hold_and_sweep),
    ("relocate", relocate),
    ("relocate_long_clip", relocate_long_clip),
    ("release", release),
    ("delete", delete),
    ("quota", quota),
    ("reopen", reopen),
    ("ledger_roll", ledger_roll),
    ("sweep_while_recording", sweep_while_recording),
];

pub(crate) fn append(world: &mut World) -> Result<()> {
    world.open()?;
    for at in 0..6 {
        world.add("porch", at, 20_000 + 50_000 * usize::try_from(at % 3).unwrap_or(0))?;
        world.add("garage", at, 900)?;
    }
    Ok(())
}

pub(crate) fn stream(world: &mut World) -> Result<()> {
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
}

pub(crate) fn two_classes(world: &mut World) -> Result<()> {
    world.open()?;
    world.set_class("garage", Duration::from_secs(2 * 3600 + 1))?;
    for at in 0..4 {
        world.add("porch", at, 40_000)?;
        world.add("garage", at, 40_000)?;
    }
    world.store().seal()?;
    world.add("porch", 9, 40_000).map(drop)
}

pub(crate) fn roll(world: &mut World) -> Result<()> {
    world.open()?;
    for at in 0..12 {
        world.add("porch", at, 900_000)?;
    }
    Ok(())
}

pub(crate) fn long_clip(world: &mut World) -> Result<()> {
    world.open()?;
    world.add("porch", 0, 3_000_000)?;
    world.add("garage", 0, 2_500_000)?;
    let mut porch = world.record("porch", 2)?;
    for _ in 0..4 {
        world.write("porch", &mut porch, 700_000)?;
    }
    world.finish(porch).map(drop)
}

pub(crate) fn hold_and_sweep(world: &mut World) -> Result<()> {
    world.open()?;
    for at in 0..4 {
        world.add("porch", at, 30_000)?;
        world.add("garage", at, 30_000)?;
    }
    world.hold("garage", minute(2))?;
    world.wait(LONG);
    world.sweep()?;
    world.add("porch", 200, 10_000).map(drop)
}

pub(crate) fn relocate(world: &mut World) -> Result<()> {
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
}

pub(crate) fn relocate_long_clip(world: &mut World) -> Result<()> {
    world.open()?;
    world.add("porch", 0, 3_000_000)?;
    world.add("garage", 0, 2_500_000)?;
    world.hold("garage", minute(0))?;
    world.wait(LONG);
    world.sweep()?;
    world.sweep().map(drop)
}

pub(crate) fn release(world: &mut World) -> Result<()> {
    world.open()?;
    world.add("porch", 0, 60_000)?;
    world.add("garage", 0, 60_000)?;
    world.wait(Duration::from_mins(10));
    let asked = world.request("garage", minute(0))?;
    let own = world.hold("porch", minute(0))?;
    world.wait(LONG);
    world.sweep()?;
    let grace = Duration::from_hours(24);
    world.release(asked, ReleaseCause::Denied, grace)?;
    world.wait(LONG);
    world.sweep()?;
    world.release(own, ReleaseCause::Owner, Duration::ZERO)?;
    world.sweep()?;
    world.wait(grace);
    world.sweep()?;
    world.sweep().map(drop)
}

pub(crate) fn delete(world: &mut World) -> Result<()> {
    world.open()?;
    let first = world.add("porch", 0, 60_000)?;
    world.add("garage", 0, 60_000)?;
    let last = world.add("porch", 1, 60_000)?;
    world.delete(first)?;
    world.store().seal()?;
    world.add("garage", 1, 60_000)?;
    world.delete(last)?;
    world.sweep().map(drop)
}

pub(crate) fn quota(world: &mut World) -> Result<()> {
    world.quota = Some(16 << 20);
    world.open()?;
    for at in 0..8 {
        world.add("porch", at, 900_000)?;
        world.add("garage", at, 300_000)?;
    }
    world.hold("garage", minute(1))?;
    world.wait(Duration::from_mins(90));
    for at in 100..112 {
        world.add("porch", at, 900_000)?;
        world.note_gone();
    }
    Ok(())
}

pub(crate) fn reopen(world: &mut World) -> Result<()> {
    for round in 0..3 {
        world.open()?;
        world.add("porch", round, 50_000)?;
        world.hold("porch", minute(round))?;
        world.add("garage", round, 50_000)?;
        world.close();
    }
    world.open()
}

pub(crate) fn ledger_roll(world: &mut World) -> Result<()> {
    world.open()?;
    world.add("porch", 0, 50_000)?;
    // Entries of about 50 KB, so that 1 MiB is soon full.
    for round in 0..24 {
        world.wide_hold(round)?;
    }
    world.hold("porch", minute(0))?;
    world.wait(LONG);
    world.sweep().map(drop)
}

pub(crate) fn sweep_while_recording(world: &mut World) -> Result<()> {
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
}
