//! Clips whose time is up, or whose room is wanted.

use std::time::Duration;

use clipkeep::Result;

use crate::world::{LONG, World, minute};

pub(super) fn expire(world: &mut World) -> Result<()> {
    world.open()?;
    for at in 0..3 {
        world.add("porch", at, 30_000)?;
    }
    world.wait(LONG);
    world.sweep()?;
    world.add("porch", 200, 30_000)?;
    world.sweep().map(drop)
}

/// Several segments go in one sweep, those of two classes among them.
pub(super) fn expire_many(world: &mut World) -> Result<()> {
    world.open()?;
    world.set_class("garage", Duration::from_secs(2 * 3600 + 1))?;
    for round in 0..4 {
        world.add("porch", round, 9_000)?;
        world.add("garage", round, 9_000)?;
        world.store().seal()?;
    }
    world.wait(LONG);
    world.add("porch", 200, 9_000)?;
    world.sweep()?;
    world.sweep().map(drop)
}

pub(super) fn expire_long_clip(world: &mut World) -> Result<()> {
    world.open()?;
    world.add("porch", 0, 3_000_000)?;
    world.add("garage", 0, 4_300_000)?;
    world.add("porch", 1, 9_000)?;
    world.wait(LONG);
    world.sweep()?;
    world.sweep().map(drop)
}

pub(super) fn sweep_while_recording(world: &mut World) -> Result<()> {
    world.open()?;
    world.add("garage", 0, 60_000)?;
    let mut porch = world.record_clip("porch", 0)?;
    world.write("porch", &mut porch, 60_000)?;
    world.wait(LONG);
    world.sweep()?;
    world.write("porch", &mut porch, 60_000)?;
    world.finish(porch)?;
    world.hold("porch", minute(0))?;
    world.wait(LONG);
    world.sweep().map(drop)
}

/// The quota wants the room of what may go before its longest time.
pub(super) fn quota(world: &mut World) -> Result<()> {
    world.set_quota(16 << 20);
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

/// Files of dropped segments are kept, and new segments are made of them.
pub(super) fn reuse(world: &mut World) -> Result<()> {
    world.open()?;
    for at in 0..2 {
        world.add("porch", at, 9_000)?;
        world.store().seal()?;
    }
    world.wait(LONG);
    world.sweep()?;
    world.add("porch", 200, 9_000)?;
    world.store().seal()?;
    world.add("porch", 201, 9_000)?;
    world.store().seal()?;
    world.wait(LONG);
    world.sweep()?;
    world.add("porch", 400, 9_000).map(drop)
}

/// A quota that has room for two segments and no more: each new one is in the file of an old one.
pub(super) fn reuse_in_quota(world: &mut World) -> Result<()> {
    world.set_quota(8 << 20);
    world.open()?;
    for at in 0..3 {
        world.add("porch", at, 30_000)?;
        world.store().seal()?;
        world.wait(Duration::from_mins(90));
        world.note_gone();
    }
    Ok(())
}

/// Of four dropped segments one file is kept, one used at once, and two are given back in steps.
pub(super) fn give_back(world: &mut World) -> Result<()> {
    world.set_large_segments();
    world.open()?;
    for at in 0..4 {
        world.add("porch", at, 9_000)?;
        world.store().seal()?;
    }
    world.wait(LONG);
    world.sweep()?;
    world.add("porch", 200, 9_000)?;
    world.store().seal()?;
    world.add("porch", 201, 9_000).map(drop)
}
