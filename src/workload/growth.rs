//! How cost grows with the number of clips: one store, measured each time it has grown to a size.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use crate::{CameraId, NewHold, Release, ReleaseCause, Window};

use super::steady::expired;
use super::{
    Bulk, Keeper, Outcome, RawKeeper, Stopwatch, StoreKeeper, Street, lookups, ratio, reopenings,
};

/// What a store of one size costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Growth {
    /// Clips that are in it.
    pub clips: u64,
    /// The median opening after a close.
    pub opening: Duration,
    /// The median opening after a kill.
    pub opening_killed: Duration,
    /// The median lookup of ten minutes, an hour and a day of one camera.
    pub lookups: [Duration; 3],
    /// The same in a vector in memory.
    pub lookups_vector: [Duration; 3],
    /// A hold over all clips, until its receipt is there.
    pub hold: Duration,
    /// The median sweep that finds nothing due.
    pub sweep: Duration,
    /// What the index takes in memory.
    pub index_bytes: u64,
}

/// The windows that are looked for; of a camera that has not recorded for so long, all it has.
const WINDOWS: [Duration; 3] =
    [Duration::from_mins(10), Duration::from_hours(1), Duration::from_hours(24)];

/// Openings of each kind, and sweeps, of which the median counts.
const TIMES: u32 = 3;
/// Rounds of 16 lookups.
const LOOKUP_ROUNDS: u32 = 200;
/// A store that is in use sweeps each minute: hardly anything waits to be folded into its index.
const SWEPT_EVERY: u64 = 100 * GROUP;
/// Clips that are recorded before each sync.
const GROUP: u64 = 1024;

/// Grows a store in the empty folder `dir` to each of `sizes`, ascending, and measures it there.
/// At last all that is in it expires at once, which is answered, too. `told` learns of each group's
/// bytes.
///
/// # Errors
///
/// The store's; when a lookup, a hold or an opening does not find what was recorded, or when what
/// expired is found.
pub fn growth(
    dir: &Path,
    street: &Street,
    sizes: &[u64],
    told: &mut dyn FnMut(u64),
) -> Outcome<(Vec<Growth>, Bulk)> {
    let mut store = StoreKeeper::tiny(&dir.join("store"), street)?;
    let mut vector = RawKeeper::open(dir, false, 4096)?;
    let (mut clips, mut stages) = (0, Vec::new());
    for size in sizes.iter().copied() {
        fill(&mut store, &mut vector, street, clips..size, told)?;
        clips = clips.max(size);
        let mut stage = Growth { clips, ..Growth::default() };
        measure(&mut store, &mut vector, street, &mut stage)?;
        // Each opening had one clip more recorded before it.
        for number in clips..clips + 2 * u64::from(TIMES) {
            vector.note(&[street.take(number)?]);
        }
        clips += 2 * u64::from(TIMES);
        stages.push(stage);
    }
    let bulk = expire_all(&mut store, street, clips)?;
    Ok((stages, bulk))
}

/// Expires all of `clips` at once.
fn expire_all(store: &mut StoreKeeper, street: &Street, clips: u64) -> Outcome<Bulk> {
    store.settle()?;
    let (due, before) = (street.end_of(clips), store.disk_bytes()?);
    let watch = Stopwatch::start();
    store.expire(due)?;
    let took = watch.elapsed();
    let left = store.store()?.stats()?.clips;
    if left > 0 {
        return Err(format!("{left} of {clips} clips are due and still there").into());
    }
    let given_back = store.given_back()?;
    let bulk = expired(store, street, 0..clips, (before, took, None))?;
    Ok(Bulk { given_back: Some(given_back), ..bulk })
}

/// Records the clips of these numbers into the store, and notes them in the vector; sweeps now and
/// then, and at the end. `told` learns of each group's bytes.
///
/// # Errors
///
/// The store's; when a sweep expires any of them.
pub fn fill(
    store: &mut StoreKeeper,
    vector: &mut RawKeeper,
    street: &Street,
    numbers: Range<u64>,
    told: &mut dyn FnMut(u64),
) -> Outcome<()> {
    let mut swept = numbers.start;
    for first in numbers.clone().step_by(usize::try_from(GROUP)?) {
        let takes = street.takes(first, GROUP.min(numbers.end - first))?;
        store.keep(&takes)?;
        vector.note(&takes);
        if first - swept >= SWEPT_EVERY {
            sweep(store)?;
            swept = first;
        }
        told(takes.iter().map(|take| take.bytes.len()).sum::<usize>().try_into()?);
    }
    sweep(store).map(drop)
}

fn measure(
    store: &mut StoreKeeper,
    vector: &mut RawKeeper,
    street: &Street,
    stage: &mut Growth,
) -> Outcome<()> {
    let clips = stage.clips;
    let into = stage.lookups.iter_mut().zip(&mut stage.lookups_vector);
    for (window, (own, bare)) in WINDOWS.into_iter().zip(into) {
        let median = |keeper: &mut dyn Keeper| {
            let found = lookups(keeper, street, clips, window, LOOKUP_ROUNDS);
            found.map(|found| found.latencies.percentile(50.0))
        };
        (*own, *bare) = (median(store)?, median(vector)?);
    }
    stage.hold = hold_all(store, street, stage.clips)?;
    let mut sweeps = Vec::new();
    for _ in 0..TIMES {
        sweeps.push(sweep(store)?);
    }
    stage.sweep = median(sweeps);
    stage.index_bytes = store.store()?.stats()?.index_bytes;
    let openings = reopenings(store, street, stage.clips, TIMES)?;
    let of_kind = |killed: bool| {
        let kind = openings.iter().filter(|opening| opening.killed == killed);
        median(kind.map(|opening| opening.took).collect())
    };
    (stage.opening, stage.opening_killed) = (of_kind(false), of_kind(true));
    Ok(())
}

/// A sweep that must find nothing due.
fn sweep(store: &StoreKeeper) -> Outcome<Duration> {
    let watch = Stopwatch::start();
    let report = store.sweep()?;
    let took = watch.elapsed();
    if report.clips_expired > 0 {
        return Err("a sweep expired clips of which none is due".into());
    }
    Ok(took)
}

/// One hold over all clips of all cameras, which ends again.
fn hold_all(store: &StoreKeeper, street: &Street, clips: u64) -> Outcome<Duration> {
    let cameras: Vec<CameraId> = street.cameras().to_vec();
    let window = Window::new(street.begin(), street.end_of(clips))?;
    let watch = Stopwatch::start();
    let receipt = store.store()?.place_hold(NewHold::new(cameras, window))?;
    let took = watch.elapsed();
    if receipt.clips != clips {
        return Err(format!("a hold over {clips} clips covers {}", receipt.clips).into());
    }
    store.store()?.release_hold(receipt.id, &Release::new(ReleaseCause::Owner, "benchmark"))?;
    Ok(took)
}

fn median(mut took: Vec<Duration>) -> Duration {
    took.sort_unstable();
    took.get(took.len() / 2).copied().unwrap_or_default()
}

/// The exponent with which `costs` grow: 0 does not grow at all, 1 is in proportion. The slope of
/// the line that fits best, both axes logarithmic; `None` of fewer than two sizes.
#[must_use]
pub fn slope(costs: &[(u64, f64)]) -> Option<f64> {
    let points: Vec<(f64, f64)> =
        costs.iter().map(|(size, cost)| (ratio(*size, 1).ln(), cost.max(1e-9).ln())).collect();
    let count = ratio(u64::try_from(points.len()).ok()?, 1);
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let along: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    let across: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    (across > 1e-9).then(|| along / across)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slope_is_the_power_with_which_costs_grow() {
        let costs = |power: f64| {
            [10_u64, 1000, 100_000].map(|size| (size, 3.0 * ratio(size, 1).powf(power)))
        };
        for power in [0.0, 0.5, 1.0, 2.0] {
            assert!((slope(&costs(power)).unwrap() - power).abs() < 1e-6, "{power}");
        }
        assert_eq!(slope(&[(10, 1.0)]), None, "one size has no slope");
    }

    #[test]
    fn a_store_that_grows_is_measured_at_each_size() {
        let dir = tempfile::tempdir().unwrap();
        let street = Street::new(1, 4, 500).lasting(Duration::from_mins(1));
        let mut bytes = 0;
        let (stages, expiry) =
            growth(dir.path(), &street, &[300, 1500], &mut |more| bytes += more).unwrap();
        assert_eq!(expiry.bytes, 500 * 1506, "six more were recorded to be opened");
        // So few clips are less than what is kept of their files.
        assert!(expiry.disk_bytes.0 >= 4096 * 1506 && !expiry.took.is_zero());
        assert_eq!(stages.iter().map(|stage| stage.clips).collect::<Vec<_>>(), [300, 1500]);
        assert_eq!(bytes, 500 * (1500 - 6), "six were recorded to be opened");
        assert!(stages.iter().all(|stage| stage.index_bytes > 0 && !stage.opening.is_zero()));
    }
}
