//! When the fragments of one stream play, from what their boxes say.

use std::time::Duration;

use super::init::{InitSegment, Track, TrackKind};
use super::moof::TrackFragment;
use super::{MICROS, rescale};
use crate::types::Timestamp;

/// A media time after this many microseconds (September 2001) counts from 1970, not from the start
/// of the stream.
pub(super) const EPOCH_US_MIN: i64 = 1_000_000_000_000_000;
/// A jump in media time of more than this (an hour) is a stream that set its clock, not a pause.
pub(super) const JUMP_US_MAX: i64 = 3_600_000_000;

/// When a fragment plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timing {
    pub(super) start: Duration,
    pub(super) duration: Duration,
    /// Decoding can start at its first picture (its first sound where there are no pictures).
    pub(super) key: bool,
    pub(super) epoch: Option<Timestamp>,
}

/// Follows the media time of one stream.
#[derive(Clone, Debug, Default)]
pub(super) struct StreamClock {
    /// What is taken from a media time to get the time since the stream began.
    base_us: Option<i64>,
    last_start_us: i64,
    /// Where the last fragment ended, since the stream began.
    end_us: i64,
    /// Decode times to come, by track id: for streams that do not say them.
    next_decode: Vec<(u32, u64)>,
}

impl StreamClock {
    /// The timing of a fragment with these `tracks`.
    pub(super) fn advance(&mut self, init: &InitSegment, tracks: &[TrackFragment]) -> Timing {
        let mut reference = None;
        for fragment in tracks {
            let Some(track) = init.track(fragment.track_id) else { continue };
            let decode_time = self.decode_time(fragment);
            if track.kind() == TrackKind::Other || fragment.samples.is_empty() {
                continue;
            }
            if reference.is_none() || track.id() == init.reference().id() {
                reference = Some((track, fragment, decode_time));
            }
        }
        let Some((track, fragment, decode_time)) = reference else {
            let start = from_micros(self.end_us);
            return Timing { start, duration: Duration::ZERO, key: false, epoch: None };
        };
        let at_us = presentation_us(track, fragment, decode_time);
        let duration = i64::try_from(fragment.duration()).unwrap_or(i64::MAX);
        let duration_us = rescale(duration, track.timescale(), MICROS);
        let start_us = self.place(at_us, duration_us);
        let is_reference = track.id() == init.reference().id();
        Timing {
            start: from_micros(start_us),
            duration: from_micros(duration_us),
            key: is_reference && fragment.samples.first().is_some_and(|sample| sample.sync),
            epoch: (at_us > EPOCH_US_MIN).then(|| Timestamp::from_micros(at_us)),
        }
    }

    /// The decode time of `fragment`: what it says, else where the one before it ended.
    fn decode_time(&mut self, fragment: &TrackFragment) -> u64 {
        let id = fragment.track_id;
        let known = self.next_decode.iter().position(|(track, _)| *track == id);
        let expected = known.and_then(|at| self.next_decode.get(at)).map_or(0, |(_, next)| *next);
        let decode_time = fragment.decode_time.unwrap_or(expected);
        let next = decode_time.saturating_add(fragment.duration());
        match known.and_then(|at| self.next_decode.get_mut(at)) {
            Some(entry) => entry.1 = next,
            None => self.next_decode.push((id, next)),
        }
        decode_time
    }

    /// Microseconds since the stream began, for media time `at_us`. A stream whose clock jumps
    /// back, or far ahead, goes on where it was.
    fn place(&mut self, at_us: i64, duration_us: i64) -> i64 {
        let base_us = *self.base_us.get_or_insert(at_us);
        let mut start_us = at_us.saturating_sub(base_us);
        let ahead = start_us.saturating_sub(self.end_us) > JUMP_US_MAX;
        // The first fragment of a second track may start a little before the first of all.
        let slack_us = i64::from(MICROS);
        let back = start_us < self.last_start_us.saturating_sub(slack_us);
        if ahead || back {
            self.base_us = Some(at_us.saturating_sub(self.end_us));
            start_us = self.end_us;
        }
        let start_us = start_us.max(0);
        self.last_start_us = start_us;
        self.end_us = self.end_us.max(start_us.saturating_add(duration_us));
        start_us
    }
}

/// The presentation time of a fragment's first sample, in microseconds of media time.
fn presentation_us(track: &Track, fragment: &TrackFragment, decode_time: u64) -> i64 {
    let composition = fragment.samples.first().map_or(0, |sample| i64::from(sample.composition));
    let decode_time = i64::try_from(decode_time).unwrap_or(i64::MAX);
    let ticks = decode_time.saturating_add(composition).saturating_add(track.edit_shift);
    rescale(ticks, track.timescale(), MICROS)
}

fn from_micros(us: i64) -> Duration {
    Duration::from_micros(u64::try_from(us).unwrap_or(0))
}
