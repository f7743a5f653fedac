//! Many cameras at once: a thread each, fragments one after the other without a pause, every write
//! durable before the next.

use std::sync::Mutex;
use std::time::Duration;

use crate::Window;
use crate::types::clock::cpu_time;

use super::{
    Keeper, Lap, Latencies, Outcome, RawKeeper, Round, Stopwatch, StoreKeeper, Street, Track,
};

/// How many record at once, and what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Together {
    /// Cameras that record at the same time; the street has at least as many.
    pub writers: u32,
    /// Clips that each records in a round, one after the other, behind one that is not counted.
    pub clips: u32,
    /// The size of a fragment.
    pub fragment_bytes: usize,
    /// In how many rounds, the store and the bare disk in turns.
    pub rounds: u32,
}

impl Together {
    /// Clips of each writer in a round, with the one that is not counted.
    fn clips_in_all(&self) -> u32 {
        self.clips.saturating_add(1)
    }

    /// Fragments of a clip.
    fn fragments(&self, clip_bytes: usize) -> usize {
        clip_bytes.div_ceil(self.fragment_bytes.max(1))
    }
}

/// What it was like, and what of it is the disk's.
#[derive(Clone, Debug, Default)]
pub struct Crowd {
    /// The store, with all writers at once.
    pub own: Track,
    /// One writer with the disk to itself, a sync after each fragment.
    pub bare: Latencies,
    /// The same with as many fragments before each sync as the store had: whoever waits for a sync
    /// waits for all these bytes, in any store.
    pub bare_groups: Latencies,
    /// The bytes of such a group.
    pub group_bytes: u64,
    /// The same with a fragment of each writer before each sync: so much is under way all the time,
    /// and no disk has it durable sooner.
    pub bare_all: Latencies,
    /// The bytes of that.
    pub all_bytes: u64,
}

/// Records from many threads, and the same bytes bare, in turns. A file of `raw`
/// must have room for a group.
///
/// # Errors
///
/// Theirs.
pub fn crowd(
    store: &StoreKeeper,
    raw: &mut RawKeeper,
    street: &Street,
    plan: &Together,
) -> Outcome<Crowd> {
    let fragments = Street::new(1, 1, plan.fragment_bytes);
    let mut crowd = Crowd { own: track_of(plan), ..Crowd::default() };
    warm_up(store, street)?;
    let mut next = 0;
    for round in 0..plan.rounds.max(1) {
        let syncs = store.counts().syncs;
        let written = together(store, street, plan, round, &mut crowd.own)?;
        let syncs = (store.counts().syncs - syncs).max(1);
        let group = written.div_ceil(syncs).max(1);
        crowd.own.syncs = Some(crowd.own.syncs.unwrap_or(0) + syncs);
        crowd.group_bytes = crowd.group_bytes.max(group * u64::try_from(plan.fragment_bytes)?);
        let commits = written.div_ceil(group);
        next = bare_syncs(raw, &fragments, next, commits, 1, &mut crowd.bare)?;
        next = bare_syncs(raw, &fragments, next, commits, group, &mut crowd.bare_groups)?;
        let all = u64::from(plan.writers.max(1));
        crowd.all_bytes = all * u64::try_from(plan.fragment_bytes)?;
        next = bare_syncs(raw, &fragments, next, written.div_ceil(all), all, &mut crowd.bare_all)?;
    }
    crowd.own.laps.sort_by_key(|lap| lap.at);
    Ok(crowd)
}

/// Makes the first segment and each camera known, as the bare disk's file is there: a store does so
/// once. The clips are of the day before all others.
pub(super) fn warm_up(store: &StoreKeeper, street: &Street) -> Outcome<()> {
    let start = street.begin().saturating_sub(Duration::from_hours(24));
    for camera in street.cameras() {
        let window = Window::starting(start, Duration::from_secs(1))?;
        store.store()?.append(crate::NewClip::new(camera, window), &b"a first clip"[..])?;
    }
    Ok(())
}

fn track_of(plan: &Together) -> Track {
    let name = format!("clipkeep, {} writers", plan.writers);
    let settings = format!("fragments of {} KiB, Synced", plan.fragment_bytes >> 10);
    Track { name, settings, ..Track::default() }
}

/// Records by fragment from many threads; each `write` is one latency, but for those of the first
/// clip of each writer: a machine on which one thread alone was at work takes some time until all
/// its processors are awake. Answers how many fragments there were, with those.
fn together(
    store: &StoreKeeper,
    street: &Street,
    plan: &Together,
    round: u32,
    track: &mut Track,
) -> Outcome<u64> {
    let all = Mutex::new((Latencies::default(), Vec::new()));
    let failed = Mutex::new(None);
    let (watch, cpu) = (Stopwatch::start(), cpu_time());
    let since = track.rounds.iter().map(|round| round.wall).sum::<Duration>();
    std::thread::scope(|scope| {
        for writer in 0..plan.writers {
            let (all, failed) = (&all, &failed);
            scope.spawn(move || match record(store, street, plan, round, writer, watch) {
                Ok((latencies, laps)) => {
                    let mut all = lock(all);
                    all.0.add(&latencies);
                    all.1.extend(laps);
                }
                Err(error) => *lock(failed) = Some(error.to_string()),
            });
        }
    });
    if let Some(error) = lock(&failed).take() {
        return Err(error.into());
    }
    // What is done in the background belongs to the round, and not to the bare disk's turn.
    store.store()?.settle();
    let all = lock(&all);
    track.latencies.add(&all.0);
    track.laps.extend(all.1.iter().map(|lap| Lap { at: since + lap.at, ..*lap }));
    let clips = u64::from(plan.writers) * u64::from(plan.clips_in_all());
    track.rounds.push(Round {
        bytes: clips * u64::try_from(street.clip_bytes())?,
        wall: watch.elapsed(),
        cpu: cpu_time().saturating_sub(cpu),
        ..Round::default()
    });
    Ok(clips * u64::try_from(plan.fragments(street.clip_bytes()))?)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// What one writer does in a round.
fn record(
    store: &StoreKeeper,
    street: &Street,
    plan: &Together,
    round: u32,
    writer: u32,
    watch: Stopwatch,
) -> Outcome<(Latencies, Vec<Lap>)> {
    let (mut latencies, mut laps) = (Latencies::default(), Vec::new());
    let cameras = u64::try_from(street.cameras().len())?;
    let clips = u64::from(plan.clips_in_all());
    for turn in 0..clips {
        let number = u64::from(round) * clips + turn;
        let take = street.take(number * cameras + u64::from(writer))?;
        let new = crate::NewClip::starting(&take.camera, take.window.start());
        let mut recorder = store.store()?.record(new)?;
        let pieces = plan.fragments(take.bytes.len());
        let duration = street.clip_duration() / u32::try_from(pieces)?.max(1);
        for piece in 0..pieces {
            let from = piece * plan.fragment_bytes;
            let to = take.bytes.len().min(from + plan.fragment_bytes);
            let at = watch.elapsed();
            recorder.write(take.bytes.slice(from..to), duration)?;
            let took = watch.elapsed().saturating_sub(at);
            if turn > 0 {
                latencies.record(took);
                laps.push(Lap { at, took });
            }
        }
        recorder.finish()?;
    }
    Ok((latencies, laps))
}

/// Writes `commits` groups of `group` fragments from number `first` on, with a sync each, and
/// nothing else; answers the number after the last one. Some more come first and do not count.
fn bare_syncs(
    raw: &mut RawKeeper,
    fragments: &Street,
    first: u64,
    commits: u64,
    group: u64,
    latencies: &mut Latencies,
) -> Outcome<u64> {
    const UNCOUNTED: u64 = 16;
    let mut next = first;
    for commit in 0..UNCOUNTED + commits {
        let takes = fragments.takes(next, group)?;
        next += group;
        let watch = Stopwatch::start();
        raw.keep(&takes)?;
        if commit >= UNCOUNTED {
            latencies.record(watch.elapsed());
        }
    }
    Ok(next)
}
