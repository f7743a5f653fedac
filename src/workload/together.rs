//! Many cameras at once: a thread each, fragments as they come, every write durable before the
//! next.

use std::sync::Mutex;

use crate::types::clock::cpu_time;

use super::{
    Keeper, Lap, Latencies, Outcome, RawKeeper, Round, Stopwatch, StoreKeeper, Street, Track,
};

/// How many record at once, and what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Together {
    /// Cameras that record at the same time; the street has at least as many.
    pub writers: u32,
    /// Clips that each records, one after the other.
    pub clips: u32,
    /// The size of a fragment.
    pub fragment_bytes: usize,
}

/// Records by fragment from many threads; each `write` is one latency.
///
/// # Errors
///
/// The store's.
pub fn together(store: &StoreKeeper, street: &Street, plan: &Together) -> Outcome<Track> {
    let name = format!("clipkeep, {} writers", plan.writers);
    let settings = format!("fragments of {} KiB, Synced", plan.fragment_bytes >> 10);
    let track = Mutex::new(Track { name, settings, ..Track::default() });
    let failed = Mutex::new(None);
    let syncs = store.counts().syncs;
    let (watch, cpu) = (Stopwatch::start(), cpu_time());
    std::thread::scope(|scope| {
        for writer in 0..plan.writers {
            let (track, failed) = (&track, &failed);
            scope.spawn(move || {
                let recorded = record(store, street, plan, writer, watch);
                match recorded {
                    Ok((latencies, laps)) => {
                        let mut track = lock(track);
                        track.latencies.add(&latencies);
                        track.laps.extend(laps);
                    }
                    Err(error) => *lock(failed) = Some(error.to_string()),
                }
            });
        }
    });
    if let Some(error) = lock(&failed).take() {
        return Err(error.into());
    }
    let mut track = lock(&track).clone();
    track.laps.sort_by_key(|lap| lap.at);
    let clips = u64::from(plan.writers) * u64::from(plan.clips);
    track.rounds.push(Round {
        bytes: clips * u64::try_from(street.clip_bytes())?,
        wall: watch.elapsed(),
        cpu: cpu_time().saturating_sub(cpu),
        written: None,
    });
    track.syncs = Some(store.counts().syncs - syncs);
    Ok(track)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// What one writer does.
fn record(
    store: &StoreKeeper,
    street: &Street,
    plan: &Together,
    writer: u32,
    watch: Stopwatch,
) -> Outcome<(Latencies, Vec<Lap>)> {
    let (mut latencies, mut laps) = (Latencies::default(), Vec::new());
    let cameras = u64::try_from(street.cameras().len())?;
    for turn in 0..u64::from(plan.clips) {
        let take = street.take(turn * cameras + u64::from(writer))?;
        let new = crate::NewClip::starting(&take.camera, take.window.start());
        let mut recorder = store.store()?.record(new)?;
        let pieces = take.bytes.len().div_ceil(plan.fragment_bytes.max(1));
        let duration = street.clip_duration() / u32::try_from(pieces)?.max(1);
        for piece in 0..pieces {
            let from = piece * plan.fragment_bytes;
            let to = take.bytes.len().min(from + plan.fragment_bytes);
            let at = watch.elapsed();
            recorder.write(take.bytes.slice(from..to), duration)?;
            let took = watch.elapsed().saturating_sub(at);
            latencies.record(took);
            laps.push(Lap { at, took });
        }
        recorder.finish()?;
    }
    Ok((latencies, laps))
}

/// How long it takes to write fragments of `fragment_bytes` with a sync each, and nothing else.
///
/// # Errors
///
/// What the system says.
pub fn bare_syncs(raw: &mut RawKeeper, street: &Street, commits: u64) -> Outcome<Latencies> {
    let mut latencies = Latencies::default();
    for number in 0..commits {
        let take = street.take(number)?;
        let watch = Stopwatch::start();
        raw.keep(std::slice::from_ref(&take))?;
        latencies.record(watch.elapsed());
    }
    Ok(latencies)
}
