//! A store that is full: recording while the oldest clips expire, some of them held; and expiry of
//! much at once.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use crate::types::clock::cpu_time;
use crate::{Timestamp, Window};

use super::beside::beside_a_writer;
use super::ingest::track_of;
use super::{
    Beside, Keeper, Lap, Outcome, RawKeeper, Round, Space, Stopwatch, StoreKeeper, Street,
    Sweeping, Take, Track, counted,
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
    /// The commits. A sweep of the store runs beside them; one of whoever has no thread for it is
    /// not in their latencies, but in the wall time of the rounds.
    pub track: Track,
    /// The sweeps that dropped something.
    pub sweeps: Vec<Lap>,
    /// What the store took on the disk at the end.
    pub space: Space,
}

/// Fills the store and the raw limit, whose files are below `dir`, and goes on recording while both
/// expire.
///
/// # Errors
///
/// Theirs.
pub fn steady(
    dir: &Path,
    store: &mut StoreKeeper,
    raw: &mut RawKeeper,
    street: &Street,
    plan: &Steady,
    told: &mut dyn FnMut(u64),
) -> Outcome<(SteadyTrack, SteadyTrack)> {
    let mut own = SteadyTrack { track: track_of(store), ..SteadyTrack::default() };
    let mut limit = SteadyTrack { track: track_of(raw), ..SteadyTrack::default() };
    let mut held = Held::default();
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
        let share = Turn { dir: Some(dir), takes: &takes, plan, street, watch };
        for (is_store, track) in [(true, &mut own), (false, &mut limit)] {
            let mut scratch = SteadyTrack::default();
            let into = if round == 0 { &mut scratch } else { track };
            if is_store {
                let mut place = |keeper: &mut StoreKeeper, take: &Take| {
                    held.place_some(keeper, street, plan, take)
                };
                share.run(store, into, &mut place, told)?;
            } else {
                share.run(raw, into, &mut |_, _| Ok(()), told)?;
            }
        }
    }
    own.space = Space::of(store)?;
    held.check(store, street, plan)?;
    Ok((own, limit))
}

/// Records the clips `numbers` of `street` into one keeper while its oldest ones expire, as
/// [`steady`] does, in one round and with nothing held.
///
/// # Errors
///
/// The keeper's.
pub fn steady_turn(
    keeper: &mut dyn Keeper,
    street: &Street,
    plan: &Steady,
    numbers: Range<u64>,
    told: &mut dyn FnMut(u64),
) -> Outcome<SteadyTrack> {
    let mut steady = SteadyTrack { track: track_of(keeper), ..SteadyTrack::default() };
    let takes = street.takes(numbers.start, numbers.end.saturating_sub(numbers.start))?;
    let turn = Turn { dir: None, takes: &takes, plan, street, watch: Stopwatch::start() };
    turn.run(keeper, &mut steady, &mut |_, _| Ok(()), told)?;
    Ok(steady)
}

/// One keeper's turn.
struct Turn<'a> {
    /// Where the files are, if what is written to them is counted.
    dir: Option<&'a Path>,
    takes: &'a [Take],
    plan: &'a Steady,
    street: &'a Street,
    watch: Stopwatch,
}

impl Turn<'_> {
    fn run<K: Keeper + ?Sized>(
        &self,
        keeper: &mut K,
        steady: &mut SteadyTrack,
        hold: &mut dyn FnMut(&mut K, &Take) -> Outcome<()>,
        told: &mut dyn FnMut(u64),
    ) -> Outcome<()> {
        let mut round = Round::default();
        let mut sweeping = None;
        let before = self.dir.map(counted);
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
                self.sweep(keeper, last, steady, &mut sweeping)?;
            }
        }
        finish(&mut sweeping, steady)?;
        keeper.settle()?;
        round.wall = self.watch.elapsed().saturating_sub(began);
        round.cpu = cpu_time().saturating_sub(cpu);
        if let Some((before, after)) = before.zip(self.dir.map(counted)) {
            round.count(before, after);
        }
        steady.track.rounds.push(round);
        Ok(())
    }

    fn sweep<K: Keeper + ?Sized>(
        &self,
        keeper: &mut K,
        last: &Take,
        steady: &mut SteadyTrack,
        sweeping: &mut Option<Sweeping>,
    ) -> Outcome<()> {
        finish(sweeping, steady)?;
        let at = self.watch.elapsed();
        let before = last.window.end().saturating_sub(self.street.span_of(self.plan.kept));
        let disk = filled_bytes(keeper)?;
        let began = self.watch.elapsed();
        *sweeping = keeper.expire_beside(before, self.watch)?;
        let took = self.watch.elapsed().saturating_sub(began);
        if sweeping.is_none() && filled_bytes(keeper)? < disk {
            steady.sweeps.push(Lap { at, took });
        }
        Ok(())
    }
}

/// Waits for the sweep that is under way, if one is.
fn finish(sweeping: &mut Option<Sweeping>, steady: &mut SteadyTrack) -> Outcome<()> {
    let Some(sweeping) = sweeping.take() else { return Ok(()) };
    let swept = sweeping.join().map_err(|_panic| "the thread that sweeps panicked")??;
    steady.sweeps.extend(swept);
    Ok(())
}

/// What is on the disk and not room for what comes.
fn filled_bytes<K: Keeper + ?Sized>(keeper: &K) -> Outcome<u64> {
    Ok(keeper.disk_bytes()?.saturating_sub(keeper.kept_bytes()?))
}

/// Clips in a row, of one camera, that one hold covers.
const HELD_RUN: u64 = 4;

/// The numbers of the clips that holds cover.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Those that were not due when they were held: they must be there.
    sure: Vec<u64>,
    /// The others, of which some had not expired yet: with very many cameras.
    perhaps: Vec<u64>,
}

impl Held {
    /// Places a hold now and then, so that the wanted share of all clips is held.
    pub(super) fn place_some(
        &mut self,
        keeper: &StoreKeeper,
        street: &Street,
        plan: &Steady,
        take: &Take,
    ) -> Outcome<()> {
        if plan.held_percent == 0 {
            return Ok(());
        }
        let cameras = u64::try_from(street.cameras().len())?;
        let every = (100 * HELD_RUN / plan.held_percent).next_multiple_of(cameras).max(cameras);
        let run = cameras * (HELD_RUN - 1);
        if !take.number.is_multiple_of(every) || take.number < run {
            return Ok(());
        }
        let first = street.take(take.number - run)?;
        keeper.hold(&take.camera, Window::new(first.window.start(), take.window.end())?)?;
        for number in (0..HELD_RUN).map(|back| take.number - back * cameras) {
            let is_due = take.number - number >= plan.kept;
            if is_due { &mut self.perhaps } else { &mut self.sure }.push(number);
        }
        Ok(())
    }

    /// What is held must be there, byte for byte.
    pub(super) fn check_kept(&self, store: &mut StoreKeeper, street: &Street) -> Outcome<()> {
        super::check(store, street, self.sure.iter().copied())
    }

    /// The same, and what expired beside it must not be there.
    fn check(&self, store: &mut StoreKeeper, street: &Street, plan: &Steady) -> Outcome<()> {
        self.check_kept(store, street)?;
        let cameras = u64::try_from(street.cameras().len())?;
        let is_free = |number: &u64| !self.sure.contains(number) && !self.perhaps.contains(number);
        let oldest = (0..cameras).find(is_free).ok_or("all is held")?;
        let take = street.take(oldest)?;
        let is_due = plan.clips > plan.kept;
        if is_due && !store.find(&take.camera, take.window)?.is_empty() {
            return Err("a clip that is long due is still there".into());
        }
        Ok(())
    }
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
    /// What of the latter is room for what comes.
    pub kept_bytes: u64,
    /// How long it took after that to give back what is more than is kept, where that was waited
    /// for.
    pub given_back: Option<Duration>,
    /// How another writer did, if there was one.
    pub beside: Option<Beside>,
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
    let due = record_bulk(keeper, street, 0..clips, told)?;
    let before = keeper.disk_bytes()?;
    let watch = Stopwatch::start();
    keeper.expire(due)?;
    expired(keeper, street, 0..clips, (before, watch.elapsed(), None))
}

/// The same once more, after [`bulk_expiry`], beside somebody who writes to a file in `dir`.
///
/// # Errors
///
/// As [`bulk_expiry`].
pub fn bulk_expiry_beside(
    keeper: &mut dyn Keeper,
    street: &Street,
    clips: u64,
    dir: &Path,
    told: &mut dyn FnMut(u64),
) -> Outcome<Bulk> {
    let due = record_bulk(keeper, street, clips..2 * clips, told)?;
    // What came now came after all that has expired before.
    let due = due.saturating_add(Duration::from_hours(24));
    let before = keeper.disk_bytes()?;
    let (took, beside) = beside_a_writer(dir, || {
        let watch = Stopwatch::start();
        keeper.expire(due)?;
        Ok(watch.elapsed())
    })?;
    expired(keeper, street, clips..2 * clips, (before, took, Some(beside)))
}

/// Records clips in groups, and answers when all of them are due.
fn record_bulk(
    keeper: &mut dyn Keeper,
    street: &Street,
    clips: Range<u64>,
    told: &mut dyn FnMut(u64),
) -> Outcome<Timestamp> {
    const GROUP: u64 = 16;
    for first in clips.clone().step_by(usize::try_from(GROUP)?) {
        let takes = street.takes(first, GROUP.min(clips.end - first))?;
        keeper.keep(&takes)?;
        told(takes.iter().map(|take| take.bytes.len()).sum::<usize>().try_into()?);
    }
    // What recording has left to be done is no part of the expiry.
    keeper.settle()?;
    Ok(street.end_of(clips.end).saturating_add(Duration::from_hours(2)))
}

/// What it cost that the clips `clips` of `street` expired, of which none may be found.
pub(super) fn expired(
    keeper: &mut dyn Keeper,
    street: &Street,
    clips: Range<u64>,
    (before, took, beside): (u64, Duration, Option<Beside>),
) -> Outcome<Bulk> {
    const LOOKED_FOR: u64 = 16;
    let count = clips.end - clips.start;
    let some = street.picks(clips.start, LOOKED_FOR, count);
    for number in [0, count.saturating_sub(1)].into_iter().chain(some) {
        let take = street.take(clips.start + number)?;
        if !keeper.find(&take.camera, take.window)?.is_empty() {
            return Err(format!("{} still finds what it expired", keeper.name()).into());
        }
    }
    let bytes = count.saturating_mul(u64::try_from(street.clip_bytes())?);
    let (after, kept_bytes) = (keeper.disk_bytes()?, keeper.kept_bytes()?);
    Ok(Bulk { bytes, took, disk_bytes: (before, after), kept_bytes, given_back: None, beside })
}
