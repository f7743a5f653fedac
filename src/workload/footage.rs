//! Clips that can be made again from their number: the bytes of a street's cameras.
//!
//! Owns the noise that they are cut from, and the calendar of the street. The bytes do not
//! compress, so that no keeper gains by trying.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;

use super::Outcome;
use crate::{CameraId, Timestamp, Window};

/// What cuts of the noise are aligned to: a direct write takes them as they are.
const ALIGN: usize = 4096;
/// The noise is longer than a clip by this much: so many different clips there are.
const NOISE_BYTES: usize = 8 << 20;
/// What a camera sends a second: 2 Mbit, of which a clip's duration follows.
const CAMERA_BYTES_PER_SECOND: u64 = 250_000;
/// The first clip's start, in seconds since 1970: a Monday in 2026.
const BEGIN_SECONDS: i64 = 1_795_392_000;

/// A clip to keep.
#[derive(Clone, Debug)]
pub struct Take {
    /// Its number on the street, from 0 in the order of arrival.
    pub number: u64,
    /// Who recorded it.
    pub camera: CameraId,
    /// When.
    pub window: Window,
    /// Its bytes, cut from the noise without copying.
    pub bytes: Bytes,
    /// The same rounded up to whole blocks, for writes that pass the page cache by.
    pub blocks: Bytes,
}

/// Cameras that record clips of one size, all at once and without a gap.
#[derive(Clone, Debug)]
pub struct Street {
    seed: u64,
    cameras: Vec<CameraId>,
    clip_bytes: usize,
    clip_duration: Duration,
    noise: Bytes,
}

impl Street {
    /// The street that follows from `seed`.
    #[must_use]
    pub fn new(seed: u64, cameras: u32, clip_bytes: usize) -> Self {
        let clip_bytes = clip_bytes.max(1);
        let micros = u64::try_from(clip_bytes).unwrap_or(u64::MAX).saturating_mul(1_000_000)
            / CAMERA_BYTES_PER_SECOND;
        let cameras = (0..cameras.max(1)).filter_map(|n| format!("camera-{n:04}").parse().ok());
        Self {
            seed,
            cameras: cameras.collect(),
            clip_bytes,
            clip_duration: Duration::from_micros(micros.max(1000)),
            noise: noise(seed, NOISE_BYTES + clip_bytes.next_multiple_of(ALIGN)),
        }
    }

    /// The same with clips of `duration`, whatever their size: for clips that are only looked for,
    /// of which a lookup must meet as many as of real ones.
    #[must_use]
    pub fn lasting(self, duration: Duration) -> Self {
        Self { clip_duration: duration.max(Duration::from_millis(1)), ..self }
    }

    /// The cameras.
    #[must_use]
    pub fn cameras(&self) -> &[CameraId] {
        &self.cameras
    }

    /// The size of each clip.
    #[must_use]
    pub fn clip_bytes(&self) -> usize {
        self.clip_bytes
    }

    /// The duration of each clip.
    #[must_use]
    pub fn clip_duration(&self) -> Duration {
        self.clip_duration
    }

    /// The start of the first clips.
    #[must_use]
    pub fn begin(&self) -> Timestamp {
        Timestamp::EPOCH.saturating_add(Duration::from_secs(BEGIN_SECONDS.unsigned_abs()))
    }

    /// Until when `clips` of them reach.
    #[must_use]
    pub fn end_of(&self, clips: u64) -> Timestamp {
        self.begin().saturating_add(self.span_of(clips))
    }

    /// How long the street takes for `clips` of them.
    #[must_use]
    pub fn span_of(&self, clips: u64) -> Duration {
        let turns = clips.div_ceil(self.camera_count());
        self.clip_duration.saturating_mul(u32::try_from(turns).unwrap_or(u32::MAX))
    }

    /// How many clips the street records in `span`.
    #[must_use]
    pub fn clips_in(&self, span: Duration) -> u64 {
        let turns = span.as_micros() / self.clip_duration.as_micros().max(1);
        u64::try_from(turns).unwrap_or(u64::MAX).saturating_mul(self.camera_count())
    }

    /// Clip `number`: the same whenever it is asked for.
    ///
    /// # Errors
    ///
    /// When `number` lies beyond the end of time.
    pub fn take(&self, number: u64) -> Outcome<Take> {
        let camera = self.cameras.get(self.camera_of(number)).ok_or("a street without cameras")?;
        let turn = u32::try_from(number / self.camera_count())?;
        let start = self.begin().saturating_add(self.clip_duration.saturating_mul(turn));
        let (from, len) = (self.cut_of(number), self.clip_bytes);
        Ok(Take {
            number,
            camera: camera.clone(),
            window: Window::starting(start, self.clip_duration)?,
            bytes: self.noise.slice(from..from + len),
            blocks: self.noise.slice(from..from + len.next_multiple_of(ALIGN)),
        })
    }

    /// `count` clips from `first` on.
    ///
    /// # Errors
    ///
    /// As [`Street::take`].
    pub fn takes(&self, first: u64, count: u64) -> Outcome<Vec<Take>> {
        (first..first.saturating_add(count)).map(|number| self.take(number)).collect()
    }

    /// A number below `below` that follows from the seed and `turn`.
    #[must_use]
    pub fn pick(&self, turn: u64, below: u64) -> u64 {
        mix(self.seed ^ mix(turn)) % below.max(1)
    }

    /// `count` different numbers below `below`, or as many as there are: what is read twice is not
    /// cold the second time, for some keepers.
    #[must_use]
    pub fn picks(&self, turn: u64, count: u64, below: u64) -> Vec<u64> {
        let count = usize::try_from(count.min(below)).unwrap_or(usize::MAX);
        let mut seen = BTreeSet::new();
        let picked = (turn..).map(|turn| self.pick(turn, below));
        picked.filter(|number| seen.insert(*number)).take(count).collect()
    }

    fn camera_count(&self) -> u64 {
        u64::try_from(self.cameras.len()).unwrap_or(1).max(1)
    }

    fn camera_of(&self, number: u64) -> usize {
        usize::try_from(number % self.camera_count()).unwrap_or(0)
    }

    fn cut_of(&self, number: u64) -> usize {
        let cuts = NOISE_BYTES / ALIGN;
        let cut = mix(self.seed ^ number) % u64::try_from(cuts).unwrap_or(1);
        usize::try_from(cut).unwrap_or(0) * ALIGN
    }
}

/// `len` bytes of noise, the first of them where a page begins.
fn noise(seed: u64, len: usize) -> Bytes {
    let mut noise: Vec<u8> = Vec::with_capacity(len + 2 * ALIGN);
    let start = noise.as_ptr().align_offset(ALIGN).min(ALIGN);
    noise.resize(start, 0);
    let mut state = seed;
    while noise.len() < start + len {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        noise.extend(mix(state).to_le_bytes());
    }
    Bytes::from(noise).slice(start..start + len)
}

/// The finisher of `splitmix64`: numbers close to one another become unlike.
fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_clips() {
        let (one, other) = (Street::new(1, 3, 5000), Street::new(1, 3, 5000));
        assert_eq!(one.take(17).unwrap().bytes, other.take(17).unwrap().bytes);
        assert_ne!(one.take(17).unwrap().bytes, Street::new(2, 3, 5000).take(17).unwrap().bytes);
        assert_ne!(one.take(17).unwrap().bytes, one.take(18).unwrap().bytes);
    }

    #[test]
    fn clips_of_a_camera_follow_one_another_without_a_gap() {
        let street = Street::new(1, 3, 5000);
        let (first, next) = (street.take(4).unwrap(), street.take(7).unwrap());
        assert_eq!(first.camera, next.camera);
        assert_eq!(first.window.end(), next.window.start());
        assert_eq!(street.end_of(8), next.window.end());
    }

    #[test]
    fn picked_clips_differ() {
        let mut picked = Street::new(1, 3, 5000).picks(7, 30, 40);
        picked.sort_unstable();
        picked.dedup();
        assert_eq!(picked.len(), 30);
        assert!(picked.iter().all(|number| *number < 40), "{picked:?}");
        assert_eq!(Street::new(1, 3, 5000).picks(7, 30, 20).len(), 20, "there are no more");
    }

    #[test]
    fn clips_begin_where_a_direct_write_may() {
        let street = Street::new(1, 3, 5000);
        let take = street.take(5).unwrap();
        assert_eq!(take.blocks.as_ptr().align_offset(ALIGN), 0);
        assert_eq!(take.blocks.len(), 8192);
        assert!(take.blocks.starts_with(&take.bytes));
    }
}
