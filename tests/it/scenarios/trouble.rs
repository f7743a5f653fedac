//! A disk that is full, clocks that jump, and a medium that is damaged.

use std::time::Duration;

use clipkeep::{ErrorKind, ReleaseCause, Result, Timestamp};

use crate::world::{LONG, World, minute};

/// Adds clips until there is no room.
fn fill_up(world: &mut World, first: u32) -> Result<()> {
    for at in first..first + 20 {
        match world.add("porch", at, 900_000) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Full => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    panic!("the disk never got full");
}

/// The disk is full in the middle of recording, until something expires.
pub(super) fn full_at_append(world: &mut World) -> Result<()> {
    world.open()?;
    world.add("garage", 0, 300_000)?;
    world.leave_room(5 << 20);
    fill_up(world, 0)?;
    world.hold("porch", minute(1))?;
    world.wait(LONG);
    world.sweep()?;
    world.add("garage", 300, 30_000)?;
    world.free_disk();
    world.add("garage", 301, 30_000).map(drop)
}

pub(super) fn full_at_seal(world: &mut World) -> Result<()> {
    world.open()?;
    world.add("garage", 0, 30_000)?;
    world.add("porch", 0, 30_000)?;
    world.fill_disk();
    world.store().seal()?;
    world.close();
    world.open()?;
    world.free_disk();
    world.add("garage", 1, 30_000).map(drop)
}

/// The ledger goes on in another file on a disk without any room.
pub(super) fn full_at_ledger(world: &mut World) -> Result<()> {
    world.open()?;
    world.add("porch", 0, 30_000)?;
    for round in 0..15 {
        world.wide_hold(round)?;
    }
    world.fill_disk();
    for round in 15..24 {
        world.wide_hold(round)?;
    }
    let hold = world.hold("porch", minute(0))?;
    world.release(hold, ReleaseCause::Owner, Duration::ZERO)?;
    world.wait(LONG);
    world.sweep().map(drop)
}

/// What may be refused for want of room, and nothing else.
fn unless_full<T>(outcome: Result<T>) -> Result<()> {
    match outcome {
        Err(error) if error.kind() != ErrorKind::Full => Err(error),
        _ => Ok(()),
    }
}

/// There is room for less or more of it: the disk is full at another step each time. To hold, to
/// release and to sweep needs none.
pub(super) fn full_at_each_step(world: &mut World) -> Result<()> {
    world.open()?;
    for step in 0..6 {
        let first = 100 * step;
        world.leave_room(u64::from(step) * (2 << 20));
        unless_full(world.add("porch", first, 300_000))?;
        unless_full(world.add("garage", first, 900_000))?;
        let hold = world.hold("porch", minute(first))?;
        unless_full(world.store().seal())?;
        world.wait(LONG);
        world.sweep()?;
        unless_full(world.add("porch", first + 1, 30_000))?;
        world.release(hold, ReleaseCause::Owner, Duration::ZERO)?;
        world.sweep()?;
    }
    world.free_disk();
    world.add("garage", 1_000, 30_000).map(drop)
}

/// A boot in 1970, and a step of years: nothing goes before its time.
pub(super) fn clock_steps(world: &mut World) -> Result<()> {
    world.open()?;
    world.add("porch", 0, 30_000)?;
    world.close();
    world.reboot();
    world.step_wall(Timestamp::EPOCH);
    world.open()?;
    world.add("porch", 1, 30_000)?;
    world.sweep()?;
    world.step_wall("2031-01-01T00:00:00Z".parse()?);
    world.sweep()?;
    world.add("garage", 2, 30_000)?;
    world.close();
    world.reboot();
    world.open()?;
    world.add("garage", 3, 30_000)?;
    world.sweep().map(drop)
}

/// After an outage the wall clock is doubted, and believed once it has run evenly for as long. What
/// came meanwhile is kept as long as all else.
pub(super) fn outage(world: &mut World) -> Result<()> {
    let off = Duration::from_mins(90);
    world.open()?;
    world.add("porch", 0, 30_000)?;
    world.wait(Duration::from_mins(1));
    world.close();
    world.outage(off);
    world.open()?;
    world.add("porch", 1, 30_000)?;
    world.wait(off + Duration::from_mins(1));
    world.sweep()?;
    world.add("garage", 2, 30_000)?;
    world.wait(Duration::from_mins(25));
    world.sweep()?;
    world.close();
    world.reboot();
    world.open()?;
    world.sweep().map(drop)
}

/// Trusted time goes on over restarts of the process and of the machine.
pub(super) fn trusted_time(world: &mut World) -> Result<()> {
    world.open()?;
    world.add("porch", 0, 9_000)?;
    for round in 1..4 {
        world.wait(Duration::from_mins(25));
        world.sweep()?;
        world.close();
        world.reboot();
        world.open()?;
        world.add("porch", round, 9_000)?;
    }
    world.wait(Duration::from_mins(50));
    world.sweep().map(drop)
}

/// A bit of one copy of the ledger flips: the other one repairs it.
pub(super) fn ledger_copy_damaged(world: &mut World) -> Result<()> {
    world.open()?;
    world.add("porch", 0, 30_000)?;
    world.hold("porch", minute(0))?;
    world.close();
    world.damage("ledger/b/00000000.log", 4096 + 24);
    world.open()?;
    world.add("garage", 0, 30_000)?;
    world.close();
    world.damage("ledger/a/00000000.log", 4096 + 24);
    world.open()?;
    world.hold("garage", minute(0))?;
    world.wait(LONG);
    world.sweep().map(drop)
}

/// A sealed segment loses its footer: what is in it is found by scanning, and it is sealed again.
pub(super) fn footer_damaged(world: &mut World) -> Result<()> {
    world.open()?;
    world.add("porch", 0, 30_000)?;
    world.add("garage", 0, 30_000)?;
    world.store().seal()?;
    let segment = world.store().segments()[0];
    let report = world.store().inspect_segment(segment)?;
    world.close();
    // The footer stands behind the records: header, 30 KB and 30 KB in blocks.
    let last = report.parts.iter().map(|part| part.offset).max().unwrap_or(0);
    world.damage(&report.file, last + 9 * 4096 + 100);
    world.open()?;
    world.add("porch", 1, 30_000)?;
    world.hold("garage", minute(0))?;
    world.wait(LONG);
    world.sweep().map(drop)
}

/// One of the two slots of the STORE file is damaged: the older one counts.
pub(super) fn slot_damaged(world: &mut World) -> Result<()> {
    world.open()?;
    world.add("porch", 0, 30_000)?;
    world.close();
    world.damage("STORE", 40);
    world.open()?;
    world.add("porch", 1, 30_000)?;
    world.wait(LONG);
    world.sweep().map(drop)
}
