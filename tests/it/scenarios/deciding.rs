//! What people decide: deletions, policies, cameras that go, and a ledger that grows by it.

use std::time::Duration;

use clipkeep::{PolicyScope, Result};

use crate::world::{LONG, World, minute};

/// From the open segment, and from a sealed one.
pub(super) fn delete(world: &mut World) -> Result<()> {
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

/// Until nothing is left in the segment.
pub(super) fn delete_sealed(world: &mut World) -> Result<()> {
    world.open()?;
    let first = world.add("porch", 0, 9_000)?;
    let second = world.add("garage", 0, 9_000)?;
    world.store().seal()?;
    world.add("porch", 1, 9_000)?;
    world.delete(second)?;
    world.delete(first)?;
    world.sweep().map(drop)
}

pub(super) fn delete_long_clip(world: &mut World) -> Result<()> {
    world.open()?;
    world.add("porch", 0, 3_000_000)?;
    let long = world.add("garage", 0, 4_300_000)?;
    world.add("porch", 1, 9_000)?;
    world.delete(long)?;
    world.store().seal()?;
    world.sweep().map(drop)
}

/// A held clip is not deleted; its owner may end the hold on it.
pub(super) fn delete_refused(world: &mut World) -> Result<()> {
    world.open()?;
    let clip = world.add("porch", 0, 30_000)?;
    world.add("garage", 0, 30_000)?;
    world.hold("porch", minute(0))?;
    world.delete_in_vain(clip)?;
    world.store().seal()?;
    world.delete_in_vain(clip)?;
    world.wait(LONG);
    world.sweep()?;
    world.delete_in_vain(clip)?;
    world.erase(clip)?;
    world.sweep().map(drop)
}

pub(super) fn policy_change(world: &mut World) -> Result<()> {
    world.open()?;
    world.set_class("porch", Duration::from_secs(2 * 3600 + 7))?;
    world.add("porch", 0, 30_000)?;
    world.add("garage", 0, 30_000)?;
    world.wait(Duration::from_mins(50));
    world.set_retention("porch", Duration::from_mins(30), PolicyScope::ExistingToo)?;
    world.sweep()?;
    world.set_class("garage", Duration::from_mins(100))?;
    world.add("garage", 50, 30_000)?;
    world.wait(Duration::from_mins(80));
    world.sweep().map(drop)
}

/// A camera goes; its clips live out their time, and a hold on them stays.
pub(super) fn camera_removed(world: &mut World) -> Result<()> {
    world.open()?;
    world.add("porch", 0, 30_000)?;
    world.add("garage", 0, 30_000)?;
    world.add("garage", 1, 30_000)?;
    world.hold("garage", minute(0))?;
    world.remove_camera("garage")?;
    world.add("porch", 1, 30_000)?;
    world.wait(LONG);
    world.sweep().map(drop)
}

pub(super) fn ledger_roll(world: &mut World) -> Result<()> {
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
