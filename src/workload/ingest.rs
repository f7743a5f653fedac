//! Recording: the same clips into every keeper, in turns, each commit timed.

use std::path::Path;

use crate::types::clock::cpu_time;

use super::{Keeper, Lap, Outcome, Round, Stopwatch, Street, Take, Track, counted};

/// How much is recorded, and in what portions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ingest {
    /// How often every keeper has its turn.
    pub rounds: u32,
    /// Clips a turn.
    pub clips: u64,
    /// Clips a commit.
    pub group: u64,
}

/// Records into all keepers, A-B-A-B, whose files are below `dir`. `told` hears of the bytes of
/// each commit.
///
/// # Errors
///
/// That of a keeper.
pub fn ingest(
    dir: &Path,
    keepers: &mut [Box<dyn Keeper>],
    street: &Street,
    plan: &Ingest,
    told: &mut dyn FnMut(u64),
) -> Outcome<Vec<Track>> {
    ingest_from(dir, keepers, street, plan, 0, told)
}

/// The same from clip `first` of the street on, for keepers that have those before it.
///
/// # Errors
///
/// As [`ingest`].
pub fn ingest_from(
    dir: &Path,
    keepers: &mut [Box<dyn Keeper>],
    street: &Street,
    plan: &Ingest,
    first: u64,
    told: &mut dyn FnMut(u64),
) -> Outcome<Vec<Track>> {
    let mut tracks: Vec<Track> = keepers.iter().map(|keeper| track_of(keeper.as_ref())).collect();
    let watch = Stopwatch::start();
    for round in 0..u64::from(plan.rounds) {
        for (keeper, track) in keepers.iter_mut().zip(&mut tracks) {
            let first = first + round * plan.clips;
            let takes = street.takes(first, plan.clips)?;
            let before = counted(dir);
            turn(keeper.as_mut(), &takes, plan, watch, track, told)?;
            let after = counted(dir);
            if let Some(round) = track.rounds.last_mut() {
                round.count(before, after);
            }
        }
    }
    for (keeper, track) in keepers.iter().zip(&mut tracks) {
        track.syncs = keeper.syncs();
    }
    Ok(tracks)
}

pub(super) fn track_of(keeper: &dyn Keeper) -> Track {
    Track { name: keeper.name(), settings: keeper.settings(), ..Track::default() }
}

fn turn(
    keeper: &mut dyn Keeper,
    takes: &[Take],
    plan: &Ingest,
    watch: Stopwatch,
    track: &mut Track,
    told: &mut dyn FnMut(u64),
) -> Outcome<()> {
    let mut round = Round::default();
    let (began, cpu) = (watch.elapsed(), cpu_time());
    for group in takes.chunks(usize::try_from(plan.group)?.max(1)) {
        let at = watch.elapsed();
        keeper.keep(group)?;
        let took = watch.elapsed().saturating_sub(at);
        track.latencies.record(took);
        track.laps.push(Lap { at, took });
        let bytes = group.iter().map(|take| take.bytes.len()).sum::<usize>();
        let bytes = u64::try_from(bytes)?;
        round.bytes += bytes;
        told(bytes);
    }
    keeper.settle()?;
    round.wall = watch.elapsed().saturating_sub(began);
    round.cpu = cpu_time().saturating_sub(cpu);
    track.rounds.push(round);
    Ok(())
}
