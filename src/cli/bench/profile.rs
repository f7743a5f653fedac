//! How much each profile records, keeps and looks for, and the room that it needs.

use std::time::Duration;

use clap::ValueEnum;

use crate::workload::{Ingest, Paced, Together};

/// What the box is meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Profile {
    /// 16 cameras, 100,000 clips: under three minutes, figures to look at
    Quick,
    /// 16 cameras, 100,000 clips: figures to rely on
    Hub,
    /// 200 cameras, 1,000,000 clips
    Street,
    /// 500 cameras, 10,000,000 clips
    City,
}

/// The size of most clips.
pub(super) const CLIP_BYTES: usize = 2_000_000;
/// The size of small ones.
pub(super) const SMALL_CLIP_BYTES: usize = 200_000;
/// The size of large ones.
pub(super) const LARGE_CLIP_BYTES: usize = 20_000_000;
/// The size of those that are only looked for: each takes one block.
pub(super) const TINY_CLIP_BYTES: usize = 2_000;
/// A fragment of a camera that streams, a second of 2 Mbit/s.
pub(super) const FRAGMENT_BYTES: usize = 256 << 10;
/// What is read of a clip by range.
pub(super) const RANGE_BYTES: usize = 256 << 10;
/// Clips that are due at each sweep beside cameras: somewhat more than a segment has.
const SWEPT_CLIPS: u64 = 68;
/// Readers beside cameras.
const READERS: u32 = 4;

/// What a profile does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Cameras that record at once.
    pub(super) cameras: u32,
    /// A commit a clip.
    pub(super) each: Ingest,
    /// A commit a group of clips.
    pub(super) grouped: Ingest,
    /// The same with small clips.
    pub(super) small: Ingest,
    /// The same with large ones.
    pub(super) large: Ingest,
    /// Clips of each camera and round when all record at once.
    pub(super) together_clips: u32,
    /// How often each camera sends a fragment where they send at their own pace.
    pub(super) pace: Duration,
    /// Fragments of each camera and round there.
    pub(super) paced_fragments: u32,
    /// Clips that are kept while older ones expire.
    pub(super) steady_kept: u64,
    /// Clips that are recorded meanwhile.
    pub(super) steady_clips: u64,
    /// Held clips among a hundred, one run each.
    pub(super) held_percents: Vec<u64>,
    /// Clips that are kept where space is looked at; as many are recorded once more.
    pub(super) space_clips: u64,
    /// Clips that expire at once.
    pub(super) bulk_clips: u64,
    /// Clips among which some are looked for.
    pub(super) lookup_clips: u64,
    /// Rounds of 16 lookups for each length of window.
    pub(super) lookup_rounds: u32,
    /// Clips that are read.
    pub(super) read_clips: u64,
    /// Openings after a close, and as many after a kill.
    pub(super) reopenings: u32,
}

impl Profile {
    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Hub => "hub",
            Self::Street => "street",
            Self::City => "city",
        }
    }

    /// What it does, with `cameras` in place of its own number of them.
    pub(super) fn plan(self, cameras: Option<u32>) -> Plan {
        let (usual, lookup_clips) = match self {
            Self::Quick | Self::Hub => (16, 100_000),
            Self::Street => (200, 1_000_000),
            Self::City => (500, 10_000_000),
        };
        let rounds = if self == Self::Quick { 3 } else { 7 };
        let quick = self == Self::Quick;
        let is_crowded = cameras.unwrap_or(usual) > 64;
        Plan {
            cameras: cameras.unwrap_or(usual),
            each: Ingest { rounds, clips: if quick { 48 } else { 128 }, group: 1 },
            grouped: Ingest { rounds, clips: if quick { 96 } else { 256 }, group: 16 },
            small: Ingest { rounds, clips: if quick { 480 } else { 1280 }, group: 32 },
            large: Ingest { rounds, clips: if quick { 8 } else { 24 }, group: 4 },
            together_clips: if is_crowded { 1 } else { 4 },
            pace: Duration::from_secs(1),
            paced_fragments: if quick { 4 } else { 8 },
            steady_kept: if quick { 256 } else { 1024 },
            steady_clips: if quick { 384 } else { 2048 },
            held_percents: if quick { vec![0, 1] } else { vec![0, 1, 10] },
            space_clips: if quick { 1024 } else { 4096 },
            bulk_clips: if quick { 512 } else { 2048 },
            lookup_clips,
            lookup_rounds: if quick { 400 } else { 2000 },
            read_clips: if quick { 96 } else { 512 },
            reopenings: if quick { 3 } else { 7 },
        }
    }
}

impl Plan {
    /// All cameras at once, without a pause.
    pub(super) fn together(&self) -> Together {
        Together {
            writers: self.cameras.min(200),
            clips: self.together_clips,
            fragment_bytes: FRAGMENT_BYTES,
            rounds: self.each.rounds,
        }
    }

    /// All cameras at their own pace, beside sweeps or readers.
    pub(super) fn paced(&self, sweeps: bool, readers: bool) -> Paced {
        let mut paced = Paced {
            cameras: self.cameras,
            fragment_bytes: FRAGMENT_BYTES,
            pace: self.pace,
            fragments: self.paced_fragments,
            rounds: self.each.rounds,
            // One with each fragment: a segment a second.
            sweeps: if sweeps { self.paced_fragments } else { 0 },
            swept_clips: SWEPT_CLIPS,
            readers: if readers { READERS } else { 0 },
            filled_clips: if readers { 256 } else { 0 },
        };
        if sweeps {
            paced.filled_clips += paced.swept_in_all() + SWEPT_CLIPS;
        }
        paced
    }

    /// The most bytes that it has on the disk at one time, with room for what is preallocated.
    pub(super) fn room_bytes(&self) -> u64 {
        let clip = u64::try_from(CLIP_BYTES).unwrap_or(u64::MAX);
        let ingest = 3 * u64::from(self.grouped.rounds) * self.grouped.clips * clip;
        let steady = 2 * 2 * self.steady_kept * clip;
        let bulk = 3 * self.bulk_clips * clip;
        let large = u64::try_from(LARGE_CLIP_BYTES).unwrap_or(u64::MAX);
        let large = 3 * u64::from(self.large.rounds) * self.large.clips * large;
        let together = self.together();
        let clips = together.writers * together.clips * together.rounds;
        let together = 3 * u64::from(clips) * clip;
        let paced = self.paced(true, false);
        let fragments = u64::from(paced.cameras * paced.fragments * paced.rounds);
        let fragment = u64::try_from(FRAGMENT_BYTES).unwrap_or(u64::MAX);
        let paced = paced.filled_clips * clip + 2 * fragments * fragment;
        let space = self.space_clips * clip / 8 * 9;
        let tiny = tiny_clips_bytes(self.lookup_clips);
        [ingest, steady, bulk, large, together, paced, space, tiny]
            .into_iter()
            .fold(0, u64::max)
            .saturating_add(SLACK_BYTES)
    }
}

/// Room for what is preallocated, and for whatever a stage leaves behind for a while.
pub(super) const SLACK_BYTES: u64 = 2 << 30;

/// What `clips` of [`TINY_CLIP_BYTES`] take on the disk: a block each, and their share of a footer.
pub(super) const fn tiny_clips_bytes(clips: u64) -> u64 {
    clips * (4096 + 200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_needs_more_room_than_it_records_at_a_time() {
        let city = Profile::City.plan(None);
        assert!(city.room_bytes() > city.lookup_clips * 4096);
        let quick = Profile::Quick.plan(None);
        assert!(quick.room_bytes() < 8 << 30);
    }
}
