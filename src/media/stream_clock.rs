//! When the fragments of one stream play, from what their boxes say.

use std::time::Duration;

use super::init::{InitSegment, TrackKind};
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
    /// It has samples of the reference track; else what is said here is of another one.
    pub(super) reference: bool,
    /// Media time went back, or far ahead.
    pub(super) clock_set: bool,
    pub(super) epoch: Option<Timestamp>,
    /// The media time of its start by the stream's own clock, in microseconds: what a player sees.
    pub(super) media_us: i64,
}

/// Follows the media time of one stream.
#[derive(Clone, Debug, Default)]
pub(super) struct StreamClock {
    /// What is taken from a media time to get the time since the stream began.
    base_us: Option<i64>,
    last_start_us: i64,
    /// Where the last fragment ended, since the stream began.
    end_us: i64,
    tracks: Vec<TrackClock>,
}

/// What is known of one track.
#[derive(Clone, Copy, Debug)]
struct TrackClock {
    id: u32,
    /// From decoding its first sample to showing it, in ticks.
    lead: i64,
    /// The decode time to come: for streams that do not say it.
    next: u64,
}

impl StreamClock {
    /// The timing of a fragment with these `tracks`.
    pub(super) fn advance(&mut self, init: &InitSegment, tracks: &[TrackFragment]) -> Timing {
        let mut reference = None;
        for fragment in tracks {
            let Some(track) = init.track(fragment.track_id) else { continue };
            let shown = self.shown(fragment);
            if track.kind() == TrackKind::Other || fragment.samples.is_empty() {
                continue;
            }
            if reference.is_none() || track.id() == init.reference().id() {
                reference = Some((track, fragment, shown));
            }
        }
        let Some((track, fragment, shown)) = reference else {
            let start = from_micros(self.end_us);
            let duration = Duration::ZERO;
            let media_us = self.end_us.saturating_add(self.base_us.unwrap_or(0));
            let (key, reference, clock_set, epoch) = (false, false, false, None);
            return Timing { start, duration, key, reference, clock_set, epoch, media_us };
        };
        let shown = shown.saturating_add(track.edit_shift);
        let at_us = rescale(shown, track.timescale(), MICROS);
        let duration = i64::try_from(fragment.duration()).unwrap_or(i64::MAX);
        let duration_us = rescale(duration, track.timescale(), MICROS);
        let (start_us, clock_set) = self.place(at_us, duration_us);
        let is_reference = track.id() == init.reference().id();
        Timing {
            start: from_micros(start_us),
            duration: from_micros(duration_us),
            reference: is_reference,
            key: is_reference && fragment.samples.first().is_some_and(|sample| sample.sync),
            clock_set,
            epoch: (at_us > EPOCH_US_MIN).then(|| Timestamp::from_micros(at_us)),
            media_us: at_us,
        }
    }

    /// When the first sample of `fragment` is decoded, put off by how much its track's first
    /// sample of all was shown later: the start of a fragment does not jump with the reordering
    /// of B-frames, and one fragment starts where the last ended.
    fn shown(&mut self, fragment: &TrackFragment) -> i64 {
        let first = fragment.samples.first();
        let id = fragment.track_id;
        let index = self.tracks.iter().position(|track| track.id == id).unwrap_or_else(|| {
            let lead = first.map_or(0, |first| i64::from(first.composition));
            self.tracks.push(TrackClock { id, lead, next: 0 });
            self.tracks.len() - 1
        });
        let Some(track) = self.tracks.get_mut(index) else { return 0 };
        let decode_time = fragment.decode_time.unwrap_or(track.next);
        track.next = decode_time.saturating_add(fragment.duration());
        i64::try_from(decode_time).unwrap_or(i64::MAX).saturating_add(track.lead)
    }

    /// Microseconds since the stream began, for media time `at_us`, and whether its clock was set
    /// back, or far ahead: then it goes on where it was.
    fn place(&mut self, at_us: i64, duration_us: i64) -> (i64, bool) {
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
        (start_us, ahead || back)
    }
}

fn from_micros(us: i64) -> Duration {
    Duration::from_micros(u64::try_from(us).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::fixtures;
    use crate::media::moof::{Base, Sample};

    /// A fragment of one second of pictures that starts at `decode_time`, in ticks.
    fn second(decode_time: Option<u64>, composition: i32) -> Vec<TrackFragment> {
        let sample = Sample { offset: 0, size: 1, duration: 10_240, composition, sync: true };
        vec![TrackFragment { track_id: 1, decode_time, base: Base::Moof, samples: vec![sample] }]
    }

    fn starts(fragments: &[Vec<TrackFragment>]) -> Vec<u64> {
        let init = InitSegment::parse(fixtures::video()).unwrap();
        let mut clock = StreamClock::default();
        fragments.iter().map(|tracks| clock.advance(&init, tracks).start.as_secs()).collect()
    }

    #[test]
    fn streams_that_say_no_decode_times_go_on_where_they_ended() {
        assert_eq!(starts(&[second(None, 0), second(None, 0), second(None, 0)]), [0, 1, 2]);
    }

    #[test]
    fn a_pause_stays_but_a_clock_that_was_set_does_not_move_footage() {
        let at = |seconds: u64| second(Some(seconds * 10_240), 0);
        assert_eq!(starts(&[at(7), at(8), at(60)]), [0, 1, 53], "a pause");
        assert_eq!(starts(&[at(7), at(8), at(1_800_000_000), at(1_800_000_001)]), [0, 1, 2, 3]);
        assert_eq!(starts(&[at(700), at(701), at(0), at(1)]), [0, 1, 2, 3]);
        assert_eq!(starts(&[at(0), second(Some(u64::MAX), 0), second(Some(0), 0)]), [0, 1, 2]);
    }

    #[test]
    fn fragments_out_of_order_are_told() {
        let init = InitSegment::parse(fixtures::video()).unwrap();
        let mut clock = StreamClock::default();
        let set = [0, 1, 3, 2, 3].map(|seconds: u64| {
            let fragment = second(Some(seconds * 10_240), 0);
            clock.advance(&init, &fragment).clock_set
        });
        // Back by up to a second is how a second track begins, and moves nothing.
        assert_eq!(set, [false; 5]);
        let late = clock.advance(&init, &second(Some(0), 0));
        assert!(late.clock_set);
        assert_eq!(late.start, Duration::from_secs(4));
    }

    #[test]
    fn reordering_within_a_fragment_does_not_move_its_start() {
        assert_eq!(starts(&[second(Some(0), 2_048), second(Some(10_240), 9_000)]), [0, 1]);
    }

    #[test]
    fn a_fragment_without_samples_has_no_duration() {
        let init = InitSegment::parse(fixtures::video()).unwrap();
        let timing = StreamClock::default().advance(&init, &[]);
        assert_eq!((timing.start, timing.duration, timing.key), Default::default());
    }
}
