//! A store that is full: recording while the oldest clips expire, some of them held; and expiry of
//! much at once.

use std::time::Duration;

use crate::types::clock::cpu_time;
use crate::{Timestamp, Window};

use super::ingest::track_of;
use super::{
    Keeper, Lap, Outcome, RawKeeper, Round, Space, Stopwatch, StoreKeeper, Street, Take, Track,
};

/// How much is recorded, kept and held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steady {
    /// Clips that are kept: older ones are due.
    pub kept: u64,
    /// Clips that are recorded after the store is full.
    pub clips: u64,
    /// Clips a commit.
    pub group: u64,
    /// Clips between two sweeps.
    pub sweep_every: u64,
    /// Held clips among a hundred.
    pub held_percent: u64,
    /// In how many rounds, raw limit and store in turns.
    pub rounds: u64,
}

/// What recording beside expiry was like.
#[derive(Clone, Debug, Default)]
pub struct SteadyTrack {
    /// The commits, sweeps not in their latencies but in the wall time of the rounds.
    pub track: Track,
    /// The sweeps that dropped something.
    pub sweeps: Vec<Lap>,
    /// What the store took on the disk at the end.
    pub space: Space,
}

/// Fills the store and the raw limit, and goes on recording while both expire.
///
/// # Errors
///
/// Theirs.
pub fn steady(
    store: &mut StoreKeeper,
    raw: &mut RawKeeper,
    street: &Street,
    plan: &Steady,
    told: &mut dyn FnMut(u64),
) -> Outcome<(SteadyTrack, SteadyTrack)> {
    let mut own = SteadyTrack { track: track_of(store), ..SteadyTrack::default() };
    let mut limit = SteadyTrack { track: track_of(raw), ..SteadyTrack::default() };
    let mut kept_for_holds = Vec::new();
    let watch = Stopwatch::start();
    let rounds = plan.rounds.max(1);
    let turn = plan.clips / rounds;
    // The first turn fills what is kept, and is not counted.
    let turns = (0..=rounds).map(|round| match round {
        0 => (0, plan.kept),
        round => (plan.kept + (round - 1) * turn, turn),
    });
    for (round, (first, count)) in turns.enumerate() {
        let takes = street.takes(first, count)?;
        let share = Turn { takes: &takes, plan, street, watch };
        for (is_store, track) in [(true, &mut own), (false, &mut limit)] {
            let mut scratch = SteadyTrack::default();
            let into = if round == 0 { &mut scratch } else { track };
            if is_store {
                let mut hold = |keeper: &mut StoreKeeper, take: &Take| {
                    kept_for_holds.extend(hold_some(keeper, street, plan, take)?);
                    Ok(())
                };
                share.run(store, into, &mut hold, told)?;
            } else {
                share.run(raw, into, &mut |_, _| Ok(()), told)?;
            }
        }
    }
    own.space = Space::of(store)?;
    check_held(store, street, plan, &kept_for_holds)?;
    Ok((own, limit))
}

/// One keeper's turn.
struct Turn<'a> {
    takes: &'a [Take],
    plan: &'a Steady,
    street: &'a Street,
    watch: Stopwatch,
}

impl Turn<'_> {
    fn run<K: Keeper>(
        &self,
        keeper: &mut K,
        steady: &mut SteadyTrack,
        hold: &mut dyn FnMut(&mut K, &Take) -> Outcome<()>,
        told: &mut dyn FnMut(u64),
    ) -> Outcome<()> {
        let mut round = Round::default();
        let (began, cpu) = (self.watch.elapsed(), cpu_time());
        for group in self.takes.chunks(usize::try_from(self.plan.group)?.max(1)) {
            let at = self.watch.elapsed();
            keeper.keep(group)?;
            let took = self.watch.elapsed().saturating_sub(at);
            steady.track.latencies.record(took);
            steady.track.laps.push(Lap { at, took });
            let bytes = group.iter().map(|take| take.bytes.len()).sum::<usize>();
            let bytes = u64::try_from(bytes)?;
            round.bytes += bytes;
            told(bytes);
            let Some(last) = group.last() else { continue };
            for take in group {
                hold(keeper, take)?;
            }
            if last.number % self.plan.sweep_every.max(1) < self.plan.group {
                self.sweep(keeper, last, steady)?;
            }
        }
        round.wall = self.watch.elapsed().saturating_sub(began);
        round.cpu = cpu_time().saturating_sub(cpu);
        steady.track.rounds.push(round);
        Ok(())
    }

    fn sweep<K: Keeper>(
        &self,
        keeper: &mut K,
        last: &Take,
        steady: &mut SteadyTrack,
    ) -> Outcome<()> {
        let at = self.watch.elapsed();
        let before = last.window.end().saturating_sub(self.street.span_of(self.plan.kept));
        let disk = keeper.disk_bytes()?;
        let began = self.watch.elapsed();
        keeper.expire(before)?;
        let took = self.watch.elapsed().saturating_sub(began);
        if keeper.disk_bytes()? < disk {
            steady.sweeps.push(Lap { at, took });
        }
        Ok(())
    }
}

/// Clips in a row, of one camera, that one hold covers.
const HELD_RUN: u64 = 4;

/// Places a hold now and then, so that the wanted share of all clips is held.
pub(super) fn hold_some(
    keeper: &StoreKeeper,
    street: &Street,
    plan: &Steady,
    take: &Take,
) -> Outcome<Option<u64>> {
    if plan.held_percent == 0 {
        return Ok(None);
    }
    let cameras = u64::try_from(street.cameras().len())?;
    let every = (100 * HELD_RUN / plan.held_percent).next_multiple_of(cameras).max(cameras);
    let run = cameras * (HELD_RUN - 1);
    if !take.number.is_multiple_of(every) || take.number < run {
        return Ok(None);
    }
    let first = street.take(take.number - run)?;
    keeper.hold(&take.camera, Window::new(first.window.start(), take.window.end())?)?;
    Ok(Some(take.number))
}

/// What is held must be there, byte for byte, and what expired beside it must not.
fn check_held(
    store: &mut StoreKeeper,
    street: &Street,
    plan: &Steady,
    held: &[u64],
) -> Outcome<()> {
    super::check(store, street, held.iter().copied())?;
    let cameras = u64::try_from(street.cameras().len())?;
    let oldest = (0..cameras).find(|number| !held.contains(number)).ok_or("all is held")?;
    let take = street.take(oldest)?;
    let is_due = plan.clips > plan.kept;
    if is_due && !store.find(&take.camera, take.window)?.is_empty() {
        return Err("a clip that is long due is still there".into());
    }
    Ok(())
}

/// What expiring much at once cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bulk {
    /// Bytes of clips that went.
    pub bytes: u64,
    /// Until their room was free again.
    pub took: Duration,
    /// What was on the disk before and after.
    pub disk_bytes: (u64, u64),
}

/// Records `clips` in groups, lets all of them become due, and expires them at once.
///
/// # Errors
///
/// The keeper's; when a clip is found afterwards.
pub fn bulk_expiry(
    keeper: &mut dyn Keeper,
    street: &Street,
    clips: u64,
    told: &mut dyn FnMut(u64),
) -> Outcome<Bulk> {
    const GROUP: u64 = 16;
    for first in (0..clips).step_by(usize::try_from(GROUP)?) {
        let takes = street.takes(first, GROUP.min(clips - first))?;
        keeper.keep(&takes)?;
        told(takes.iter().map(|take| take.bytes.len()).sum::<usize>().try_into()?);
    }
    let before = keeper.disk_bytes()?;
    let due: Timestamp = street.end_of(clips).saturating_add(Duration::from_hours(2));
    let watch = Stopwatch::start();
    keeper.expire(due)?;
    let took = watch.elapsed();
    let first = street.take(0)?;
    if !keeper.find(&first.camera, first.window)?.is_empty() {
        return Err(format!("{} still finds what it expired", keeper.name()).into());
    }
    let bytes = clips.saturating_mul(u64::try_from(street.clip_bytes())?);
    Ok(Bulk { bytes, took, disk_bytes: (before, keeper.disk_bytes()?) })
}
