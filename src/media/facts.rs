//! What a finished file says of itself, whatever way it is stored: for importing it.

use std::time::Duration;

use super::init::{InitSegment, Track, TrackKind};
use super::recording::{Recording, TimedSample, load};
use super::source::ClipBytes;
use super::stream_clock::EPOCH_US_MIN;
use super::{EXPORT_SAMPLES_MAX, MICROS, rescale};
use crate::types::{Result, Timestamp};

/// What a finished clip says of itself, fragmented or plain.
///
/// # Example
///
/// ```
/// use bytes::Bytes;
/// use clipkeep::media::ClipFacts;
///
/// assert!(ClipFacts::read(&Bytes::from_static(b"GIF89a")).is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClipFacts {
    init: InitSegment,
    duration: Duration,
    epoch: Option<Timestamp>,
}

impl ClipFacts {
    /// Reads the indexes of `bytes`, leaving its media alone. A clip that was cut off counts up to
    /// its last whole fragment.
    ///
    /// # Errors
    ///
    /// `Media` when it is no MP4, is damaged, encrypted, or changes its decoder set-up within;
    /// those of the source.
    pub fn read(bytes: &dyn ClipBytes) -> Result<Self> {
        let mut room = EXPORT_SAMPLES_MAX;
        let loaded = load(bytes, &mut room)?;
        let played = loaded.init.tracks().iter().filter(|track| track.kind() != TrackKind::Other);
        let reference = loaded.init.reference();
        let index = played.clone().position(|track| track.id() == reference.id()).unwrap_or(0);
        let pictures = |recording: &Recording| recording.tracks.get(index).cloned();
        let pictures: Vec<Vec<TimedSample>> =
            loaded.recordings.iter().filter_map(pictures).collect();
        let duration_us: i64 = pictures.iter().map(|samples| played_us(reference, samples)).sum();
        let epoch = pictures.first().and_then(|samples| epoch(reference, samples));
        let duration = Duration::from_micros(u64::try_from(duration_us).unwrap_or(0));
        Ok(Self { duration, epoch, init: loaded.init })
    }

    /// Its tracks and what else its `moov` says.
    #[must_use]
    pub fn init(&self) -> &InitSegment {
        &self.init
    }

    /// How long its pictures play (its sound, where it has none), gaps within it included.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// The wall clock at its start, where its media time counts from 1970.
    #[must_use]
    pub fn epoch(&self) -> Option<Timestamp> {
        self.epoch
    }
}

/// Microseconds from the first of `samples` to the end of the last.
fn played_us(track: &Track, samples: &[TimedSample]) -> i64 {
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return 0 };
    rescale(last.end().saturating_sub(first.decode_time), track.timescale(), MICROS).max(0)
}

fn epoch(track: &Track, samples: &[TimedSample]) -> Option<Timestamp> {
    let shown = samples.first()?.presentation().saturating_add(track.edit_shift);
    let us = rescale(shown, track.timescale(), MICROS);
    (us > EPOCH_US_MIN).then(|| Timestamp::from_micros(us))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::fixtures;

    #[test]
    fn fragmented_and_plain_clips_say_how_long_they_are() {
        for (bytes, seconds) in [
            (fixtures::av(), 6),
            (fixtures::plain(), 4),
            (fixtures::absolute(), 2),
            (fixtures::segment(1), 2),
        ] {
            let facts = ClipFacts::read(&bytes).unwrap();
            assert_eq!((facts.duration(), facts.epoch()), (Duration::from_secs(seconds), None));
        }
    }

    #[test]
    fn media_time_since_1970_is_the_start() {
        let facts = ClipFacts::read(&fixtures::epoch()).unwrap();
        assert_eq!(facts.epoch(), Some(Timestamp::from_micros(1_795_000_000_500_000)));
        assert_eq!(facts.duration(), Duration::from_secs(3));
    }

    #[test]
    fn a_clip_that_was_cut_off_counts_up_to_its_last_whole_fragment() {
        let bytes = fixtures::video();
        let cut = bytes.slice(..bytes.len() - 500);
        assert_eq!(ClipFacts::read(&cut).unwrap().duration(), Duration::from_secs(3));
    }
}
