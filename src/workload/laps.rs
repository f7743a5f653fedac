//! What was measured: rounds with their cost, and latencies with their percentiles.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::Counted;

/// `part / whole`; zero where there is no whole.
#[must_use]
pub fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { float(part) / float(whole) }
}

/// A whole number as a fraction; above 2^53 the last digits are lost.
fn float(number: u64) -> f64 {
    let high = u32::try_from(number >> 32).unwrap_or(u32::MAX);
    let low = u32::try_from(number & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    f64::from(high) * 4_294_967_296.0 + f64::from(low)
}

/// One timed operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lap {
    /// When it began, since the scenario did.
    pub at: Duration,
    /// How long it took.
    pub took: Duration,
}

/// How long operations took: percentiles in constant memory, to three digits.
#[derive(Clone)]
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        const MINUTE_NANOS: u64 = 60_000_000_000;
        Self(
            Histogram::new_with_bounds(1, MINUTE_NANOS, 3)
                .expect("the lower bound is 1, the upper one twice that, the digits below 6"),
        )
    }
}

impl Latencies {
    /// Counts one.
    pub fn record(&mut self, took: Duration) {
        self.record_many(took, 1);
    }

    /// Counts `count` operations that took `all` together: for what is shorter than a clock's tick.
    pub fn record_batch(&mut self, all: Duration, count: u32) {
        self.record_many(all / count.max(1), u64::from(count));
    }

    fn record_many(&mut self, took: Duration, count: u64) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.0.saturating_record_n(nanos.max(1), count);
    }

    /// Adds those of `other`.
    pub fn add(&mut self, other: &Self) {
        // Both have the same bounds, so nothing of it can be out of range.
        self.0.add(&other.0).ok();
    }

    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// What `percent` of them did not exceed: `50.0` is the median.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_percentile(percent))
    }

    /// The longest.
    #[must_use]
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.0.max())
    }
}

impl fmt::Debug for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latencies")
            .field("count", &self.count())
            .field("p50", &self.percentile(50.0))
            .field("p99", &self.percentile(99.0))
            .field("max", &self.max())
            .finish()
    }
}

/// What one round of a keeper cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Bytes of clips.
    pub bytes: u64,
    /// Time on the wall.
    pub wall: Duration,
    /// Time of the processors.
    pub cpu: Duration,
    /// Bytes that the process made the kernel send to the disk, where the kernel counts them.
    pub written: Option<u64>,
    /// Bytes that the whole device was sent meanwhile, by anybody: the file system's own are in.
    pub device: Option<u64>,
}

impl Round {
    /// Bytes of clips a second.
    #[must_use]
    pub fn bytes_per_second(&self) -> f64 {
        let seconds = self.wall.as_secs_f64();
        if seconds > 0.0 { ratio(self.bytes, 1) / seconds } else { 0.0 }
    }

    /// Notes what the kernel counted from `before` to `after`.
    pub(super) fn count(&mut self, before: Counted, after: Counted) {
        let less = |after: Option<u64>, before: Option<u64>| {
            after.zip(before).map(|(after, before)| after.saturating_sub(before))
        };
        self.written = less(after.written_bytes, before.written_bytes);
        self.device = less(after.device_written_bytes, before.device_written_bytes);
    }
}

/// Everything that was measured of one keeper in one scenario.
#[derive(Clone, Debug, Default)]
pub struct Track {
    /// Whose.
    pub name: String,
    /// How it was set up.
    pub settings: String,
    /// Round by round; the same round of another keeper ran right before or after.
    pub rounds: Vec<Round>,
    /// Of each commit.
    pub latencies: Latencies,
    /// The commits over time.
    pub laps: Vec<Lap>,
    /// Syncs, where the keeper can tell.
    pub syncs: Option<u64>,
}

impl Track {
    /// Bytes of clips in all rounds.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.rounds.iter().map(|round| round.bytes).sum()
    }

    /// The median round's bytes a second.
    #[must_use]
    pub fn bytes_per_second(&self) -> f64 {
        median(self.rounds.iter().map(Round::bytes_per_second).collect())
    }

    /// Seconds of processors for a GiB of clips.
    #[must_use]
    pub fn cpu_seconds_per_gib(&self) -> f64 {
        let cpu: Duration = self.rounds.iter().map(|round| round.cpu).sum();
        let gib = ratio(self.bytes(), 1 << 30);
        if gib > 0.0 { cpu.as_secs_f64() / gib } else { 0.0 }
    }

    /// Bytes sent to the disk for each byte of clips, where the kernel counts them.
    #[must_use]
    pub fn written_per_byte(&self) -> Option<f64> {
        let written: Option<u64> = self.rounds.iter().map(|round| round.written).sum();
        written.map(|written| ratio(written, self.bytes()))
    }

    /// Bytes sent to the whole device for each byte of clips, where the kernel counts them.
    #[must_use]
    pub fn device_per_byte(&self) -> Option<f64> {
        let written: Option<u64> = self.rounds.iter().map(|round| round.device).sum();
        written.map(|written| ratio(written, self.bytes()))
    }

    /// The median of this one's rate over that of `other`, round by round, with the smallest and
    /// the largest.
    #[must_use]
    pub fn rate_against(&self, other: &Self) -> (f64, f64, f64) {
        let pairs = self.rounds.iter().zip(&other.rounds);
        let mut ratios: Vec<f64> = pairs
            .map(|(own, its)| own.bytes_per_second() / its.bytes_per_second().max(1.0))
            .collect();
        ratios.sort_by(f64::total_cmp);
        let least = ratios.first().copied().unwrap_or_default();
        let most = ratios.last().copied().unwrap_or_default();
        (median(ratios), least, most)
    }
}

/// The middle one; of two middle ones the mean.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let above = figures.get(figures.len() / 2).copied().unwrap_or_default();
    let below = figures.get(figures.len().saturating_sub(1) / 2).copied().unwrap_or_default();
    f64::midpoint(below, above)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_what_was_recorded() {
        let mut latencies = Latencies::default();
        for micros in 1..=1000 {
            latencies.record(Duration::from_micros(micros));
        }
        let median = latencies.percentile(50.0).as_nanos();
        assert!((499_000..=501_000).contains(&median), "{median}");
        assert!(latencies.percentile(99.0) >= Duration::from_micros(989));
        assert!(latencies.max() >= Duration::from_millis(1));
        assert_eq!(latencies.count(), 1000);
    }

    #[test]
    fn a_ratio_of_rates_is_the_median_of_its_rounds() {
        let round = |bytes| Round { bytes, wall: Duration::from_secs(1), ..Round::default() };
        let track = |bytes: [u64; 3]| Track {
            rounds: bytes.into_iter().map(round).collect(),
            ..Track::default()
        };
        let (median, least, most) = track([50, 90, 10]).rate_against(&track([100, 100, 100]));
        assert!((median - 0.5).abs() < 1e-9 && (least - 0.1).abs() < 1e-9);
        assert!((most - 0.9).abs() < 1e-9);
    }

    #[test]
    fn large_numbers_are_as_large_as_fractions() {
        assert!((ratio(1 << 40, 1 << 30) - 1024.0).abs() < 1e-9);
        assert!(ratio(5, 0).abs() < 1e-9);
    }
}
