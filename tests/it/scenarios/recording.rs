//! Clips coming in: whole and by fragments, over one segment and over several.

use std::time::Duration;

use clipkeep::Result;

use crate::world::World;

pub(crate) fn append(world: &mut World) -> Result<()> {
    world.open()?;
    for at in 0..6 {
        world.add("porch", at, 20_000 + 50_000 * usize::try_from(at % 3).unwrap_or(0))?;
        world.add("garage", at, 900)?;
    }
    Ok(())
}

pub(super) fn stream(world: &mut World) -> Result<()> {
    world.open()?;
    let mut porch = world.record_clip("porch", 0)?;
    let mut garage = world.record_clip("garage", 0)?;
    for _ in 0..4 {
        world.write("porch", &mut porch, 70_000)?;
        world.write("garage", &mut garage, 3_000)?;
    }
    world.finish(porch)?;
    world.write("garage", &mut garage, 3_000)?;
    world.finish(garage).map(drop)
}

/// A camera vanishes, and comes back as another recording.
pub(super) fn abandoned_stream(world: &mut World) -> Result<()> {
    world.open()?;
    let mut first = world.record_clip("porch", 0)?;
    world.write("porch", &mut first, 30_000)?;
    world.write("porch", &mut first, 30_000)?;
    drop(first);
    let mut second = world.record_clip("porch", 1)?;
    world.write("porch", &mut second, 5_000)?;
    world.store().seal()?;
    world.write("porch", &mut second, 5_000)?;
    world.finish(second).map(drop)
}

pub(super) fn two_classes(world: &mut World) -> Result<()> {
    world.open()?;
    world.set_class("garage", Duration::from_secs(2 * 3600 + 1))?;
    for at in 0..4 {
        world.add("porch", at, 40_000)?;
        world.add("garage", at, 40_000)?;
    }
    world.store().seal()?;
    world.add("porch", 9, 40_000).map(drop)
}

/// Segments are sealed because they are full, and followed.
pub(super) fn roll(world: &mut World) -> Result<()> {
    world.open()?;
    for at in 0..9 {
        world.add("porch", at, 900_000)?;
    }
    Ok(())
}

pub(super) fn seal_by_age(world: &mut World) -> Result<()> {
    world.open()?;
    for round in 0..3 {
        world.add("porch", 2 * round, 30_000)?;
        world.add("garage", 2 * round, 3_000)?;
        world.wait(Duration::from_mins(11));
        world.sweep()?;
    }
    world.add("porch", 9, 30_000).map(drop)
}

pub(super) fn seal_by_hand(world: &mut World) -> Result<()> {
    world.open()?;
    for round in 0..3 {
        world.add("porch", round, 9_000)?;
        world.add("garage", round, 9_000)?;
        world.store().seal()?;
    }
    world.add("porch", 9, 9_000)?;
    world.close();
    Ok(())
}

pub(super) fn long_clip(world: &mut World) -> Result<()> {
    world.open()?;
    world.add("porch", 0, 3_000_000)?;
    world.add("garage", 0, 4_300_000)?;
    let mut porch = world.record_clip("porch", 2)?;
    for _ in 0..4 {
        world.write("porch", &mut porch, 700_000)?;
    }
    world.finish(porch).map(drop)
}

pub(super) fn reopen(world: &mut World) -> Result<()> {
    for round in 0..3 {
        world.open()?;
        world.add("porch", round, 50_000)?;
        world.hold("porch", crate::world::minute(round))?;
        world.add("garage", round, 50_000)?;
        world.close();
    }
    world.open()
}

/// Fragments of several records, and a clip that is longer than a segment.
pub(super) fn large_fragments(world: &mut World) -> Result<()> {
    world.open()?;
    let mut porch = world.record_clip("porch", 0)?;
    world.write("porch", &mut porch, 1_200_000)?;
    world.add("garage", 0, 2_200_000)?;
    world.write("porch", &mut porch, 1_200_000)?;
    world.add("garage", 1, 4_700_000)?;
    world.finish(porch)?;
    world.add("garage", 2, 9_000).map(drop)
}

/// Clips in sealed segments, so many that a partition is made of each four.
fn add_sealed(world: &mut World, first: u32, count: u32) -> Result<()> {
    for at in first..first + count {
        world.add(if at % 3 == 0 { "garage" } else { "porch" }, at, 900)?;
        world.store().seal()?;
    }
    Ok(())
}

/// Segments are folded into a partition of the index, by which the store is opened, and expire.
pub(super) fn fold(world: &mut World) -> Result<()> {
    world.open()?;
    add_sealed(world, 0, 3)?;
    world.add("porch", 3, 4_300_000)?;
    world.store().seal()?;
    world.sweep()?;
    world.hold("porch", crate::world::minute(1))?;
    world.close();
    world.open()?;
    add_sealed(world, 5, 2)?;
    world.wait(crate::world::LONG);
    world.sweep()?;
    world.close();
    world.open()
}

/// Partitions are merged, by a sweep and at close.
pub(super) fn merge(world: &mut World) -> Result<()> {
    world.open()?;
    for round in 0..3 {
        add_sealed(world, 4 * round, 4)?;
        world.sweep()?;
    }
    add_sealed(world, 12, 4)?;
    world.hold("garage", crate::world::minute(6))?;
    world.close();
    world.open()?;
    world.wait(crate::world::LONG);
    world.sweep().map(drop)
}
