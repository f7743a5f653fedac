//! Holds: placed, narrowed, released, running out; and held clips on their way to evidence
//! segments and out of them.

use std::time::Duration;

use clipkeep::{ReleaseCause, Result};

use crate::world::{LONG, World, minute, minutes};

pub(super) fn hold(world: &mut World) -> Result<()> {
    world.open()?;
    for at in 0..3 {
        world.add("porch", at, 12_000)?;
        world.add("garage", at, 12_000)?;
        world.hold("porch", minute(at))?;
    }
    world.store().seal()?;
    world.hold("garage", minutes(0, 3))?;
    world.add("garage", 3, 12_000).map(drop)
}

pub(super) fn hold_many_ranges(world: &mut World) -> Result<()> {
    world.open()?;
    for at in 0..4 {
        world.add("porch", 2 * at, 9_000)?;
    }
    world.hold_all("porch", (0..200).map(|at| minute(4 * at)).collect())?;
    world.wait(LONG);
    world.sweep()?;
    world.hold("porch", minute(900)).map(drop)
}

pub(super) fn hold_and_sweep(world: &mut World) -> Result<()> {
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

/// A hold comes while a sweep is at work: while it seals, before the expiry is on record, and later
/// beside it, while it moves held clips and removes files. Also over a clip in evidence, that
/// nothing else holds any more.
pub(super) fn hold_amid_sweep(world: &mut World) -> Result<()> {
    world.open()?;
    // What is recorded is over by then, as with every camera: what a receipt says of footage that
    // is gone goes by when it came.
    world.wait(Duration::from_mins(10));
    let mut amid = 0;
    for (round, nth) in (0..).zip([0, 2, 4, 7, 11]) {
        let first = 100 * round;
        world.add("porch", first, 30_000)?;
        world.add("garage", first, 30_000)?;
        world.add("porch", first + 1, 9_000)?;
        let held = world.hold("garage", minute(first))?;
        world.wait(LONG);
        amid += u32::from(world.sweep_with_hold(nth, "porch", minute(first))?);
        world.release(held, ReleaseCause::Owner, Duration::ZERO)?;
        amid += u32::from(world.sweep_with_hold(nth, "garage", minute(first))?);
    }
    assert!(amid > 5, "only {amid} holds came while something changed");
    Ok(())
}

/// A hold ends by itself, and what it held goes.
pub(super) fn hold_lapses(world: &mut World) -> Result<()> {
    world.open()?;
    world.add("porch", 0, 30_000)?;
    world.add("garage", 0, 30_000)?;
    world.hold_for("porch", minute(0), 2 * LONG)?;
    world.wait(LONG);
    world.sweep()?;
    world.wait(LONG);
    world.sweep()?;
    world.sweep().map(drop)
}

pub(super) fn narrow(world: &mut World) -> Result<()> {
    world.open()?;
    for at in 0..4 {
        world.add("porch", at, 30_000)?;
    }
    let hold = world.hold("porch", minutes(0, 4))?;
    world.narrow(hold, "porch", minutes(1, 2))?;
    world.wait(LONG);
    world.sweep()?;
    world.narrow(hold, "porch", minute(1))?;
    world.sweep()?;
    world.sweep().map(drop)
}

/// With grace and without.
pub(super) fn release(world: &mut World) -> Result<()> {
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

pub(super) fn relocate(world: &mut World) -> Result<()> {
    world.open()?;
    for at in 0..5 {
        world.add("porch", at, 600_000)?;
        world.add("garage", at, 300_000)?;
    }
    world.hold("garage", minute(1))?;
    world.hold("porch", minute(3))?;
    world.wait(LONG);
    world.sweep()?;
    world.sweep().map(drop)
}

pub(super) fn relocate_long_clip(world: &mut World) -> Result<()> {
    world.open()?;
    world.add("porch", 0, 3_000_000)?;
    world.add("garage", 0, 4_300_000)?;
    world.hold("garage", minute(0))?;
    world.wait(LONG);
    world.sweep()?;
    world.sweep().map(drop)
}

/// There is no room to move a held clip to: it stays, and what nobody holds goes around it; later
/// there is room.
pub(super) fn relocate_without_room(world: &mut World) -> Result<()> {
    world.set_reserve(0);
    world.open()?;
    world.add("porch", 0, 30_000)?;
    world.add("garage", 0, 30_000)?;
    world.add("porch", 1, 30_000)?;
    world.hold("garage", minute(0))?;
    world.wait(LONG);
    world.fill_disk();
    world.sweep()?;
    world.free_disk();
    world.sweep()?;
    world.sweep().map(drop)
}

/// The disk is full, and the reserve is what held clips are moved to.
pub(super) fn relocate_into_reserve(world: &mut World) -> Result<()> {
    world.open()?;
    for at in 0..3 {
        world.add("porch", at, 300_000)?;
        world.add("garage", at, 30_000)?;
    }
    world.hold("garage", minute(1))?;
    world.wait(LONG);
    world.fill_disk();
    world.sweep()?;
    world.sweep()?;
    world.free_disk();
    world.sweep().map(drop)
}

/// An evidence segment loses one clip after the other.
pub(super) fn evidence_drains(world: &mut World) -> Result<()> {
    world.open()?;
    for at in 0..3 {
        world.add("porch", at, 30_000)?;
        world.add("garage", at, 30_000)?;
    }
    let first = world.hold("garage", minute(0))?;
    let second = world.hold("garage", minute(2))?;
    world.wait(LONG);
    world.sweep()?;
    world.release(first, ReleaseCause::Owner, Duration::ZERO)?;
    world.sweep()?;
    world.release(second, ReleaseCause::Owner, Duration::ZERO)?;
    world.sweep()?;
    world.add("porch", 300, 30_000).map(drop)
}
