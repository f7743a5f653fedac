//! Puts the samples of several clips on one timeline.
//!
//! Every clip is anchored where its own start says, so that what its media clock is off by does
//! not add up over many clips:
//!
//! - A gap between two clips stays a gap: the last sample before it lasts longer.
//! - Two clips that overlap are put one after the other; nothing of the picture is dropped. The
//!   clip after them is anchored to its own start again, as soon as there is room.
//! - Sound that overlaps at a join by more than half a packet is dropped: encoders begin each
//!   recording with a packet that only primes the decoder. The rest of the overlap shortens the
//!   packet before it, so that sound stays in step with the picture over any number of joins.

use std::ops::Range;
use std::time::Duration;

use crate::media::init::{Track, TrackKind};
use crate::media::moof::Sample;
use crate::media::recording::{LoadedClip, Recording, TimedSample};
use crate::media::{MICROS, media_error, rescale};
use crate::types::{Error, ErrorKind, Result, Timestamp, Window};

/// A sample on the timeline of the export.
#[derive(Clone, Copy, Debug)]
pub(super) struct OutSample {
    pub(super) clip: u32,
    pub(super) sample: Sample,
    /// In ticks of its track; presentation time 0 is where the export begins.
    pub(super) decode_time: i64,
}

/// One track of the export.
#[derive(Debug)]
pub(super) struct OutTrack {
    /// As in the first clip.
    pub(super) track: Track,
    pub(super) samples: Vec<OutSample>,
}

impl OutTrack {
    /// Decode time of the first sample: below 0 where composition offsets or priming precede.
    pub(super) fn start(&self) -> i64 {
        self.samples.first().map_or(0, |first| first.decode_time)
    }

    /// Decode time at the end of the last sample.
    pub(super) fn decode_end(&self) -> i64 {
        self.samples
            .last()
            .map_or(0, |last| last.decode_time.saturating_add(i64::from(last.sample.duration)))
    }

    /// Ticks from the beginning of the export to the end of the last sample to be shown, which
    /// need not be the last to be decoded.
    pub(super) fn end(&self) -> i64 {
        let ends = self.samples.iter().map(|out| {
            let shown = out.decode_time.saturating_add(i64::from(out.sample.composition));
            shown.saturating_add(i64::from(out.sample.duration))
        });
        ends.max().unwrap_or(0)
    }
}

/// All that an export shows, in order.
#[derive(Debug)]
pub(super) struct Timeline {
    pub(super) tracks: Vec<OutTrack>,
    /// Which of `tracks` says when things happen.
    pub(super) reference: usize,
    pub(super) covered: Window,
}

/// Builds a [`Timeline`], clip by clip in order of their starts.
#[derive(Debug, Default)]
pub(super) struct Builder {
    tracks: Vec<OutTrack>,
    reference: usize,
    window: Option<Window>,
    /// The wall clock at the beginning of the export.
    origin: Option<Timestamp>,
    /// Where the newest recording ends by the wall clock.
    recording_end: Timestamp,
    covered_end: Timestamp,
}

/// The pictures of one recording that are wanted.
struct Kept {
    /// Indices into the samples of the reference track.
    first: usize,
    end: usize,
    /// From decoding a key frame to showing it, in ticks.
    lead: i64,
    /// Presentation of the first, and end of the last, in ticks of media time.
    from: i64,
    until: i64,
    wall: Window,
}

/// A recording that begins within this of the end of the one before goes on with it.
const JOIN_MAX: Duration = Duration::from_millis(500);
/// Two anchors within a millisecond of one another are the same: clip starts are rounded.
const SNAP_PER_SECOND: u32 = 1_000;

impl Builder {
    /// A timeline of all, or of the groups of pictures that overlap `window`.
    pub(super) fn new(window: Option<Window>) -> Self {
        Self { window, ..Self::default() }
    }

    /// Where what was added so far ends by the wall clock.
    pub(super) fn recorded_until(&self) -> Timestamp {
        self.recording_end
    }

    /// Adds the clip with number `clip`, which starts at `start`.
    pub(super) fn add(&mut self, clip: u32, start: Timestamp, loaded: &LoadedClip) -> Result<()> {
        let played: Vec<&Track> =
            loaded.init.tracks().iter().filter(|t| t.kind() != TrackKind::Other).collect();
        if self.tracks.is_empty() {
            let reference = loaded.init.reference().id();
            self.reference = played.iter().position(|t| t.id() == reference).unwrap_or(0);
            let empty = |track: &&Track| OutTrack { track: (*track).clone(), samples: Vec::new() };
            self.tracks = played.iter().map(empty).collect();
        }
        for recording in &loaded.recordings {
            let start = if recording.starts_clip { start } else { self.recording_end };
            self.add_recording(clip, start, recording, &played)?;
        }
        Ok(())
    }

    fn add_recording(
        &mut self,
        clip: u32,
        start: Timestamp,
        recording: &Recording,
        played: &[&Track],
    ) -> Result<()> {
        let pictures = recording.tracks.get(self.reference).map_or(&[][..], Vec::as_slice);
        let Some(reference) = played.get(self.reference) else { return Ok(()) };
        let timescale = reference.timescale();
        let Some(kept) = self.keep(pictures, start, reference) else { return Ok(()) };
        let origin = *self.origin.get_or_insert(kept.wall.start());
        let wanted = rescale(offset_us(origin, kept.wall.start()), MICROS, timescale);
        let anchor = self.anchor(wanted, kept.lead, timescale);
        self.covered_end = self.covered_end.max(kept.wall.end());

        for (index, track) in played.iter().enumerate() {
            let samples = recording.tracks.get(index).map_or(&[][..], Vec::as_slice);
            let samples = if index == self.reference {
                samples.get(kept.first..kept.end).unwrap_or(&[])
            } else {
                samples
            };
            let same = |value| rescale(value, timescale, track.timescale());
            // Sound reaches over both ends of its pictures: cut it only where pictures are cut.
            let from = if kept.first == 0 { i64::MIN } else { same(kept.from) };
            let until = if kept.end == pictures.len() { i64::MAX } else { same(kept.until) };
            let shift = same(anchor).saturating_sub(same(kept.from));
            let shift = shift.saturating_add(track.edit_shift);
            let Some(out) = self.tracks.get_mut(index) else { continue };
            for timed in samples {
                let shown = timed.presentation().saturating_add(track.edit_shift);
                let shown_end = shown.saturating_add(i64::from(timed.sample.duration));
                if index == self.reference || (shown_end >= from && shown < until) {
                    let decode_time = timed.decode_time.saturating_add(shift);
                    let next = OutSample { clip, sample: timed.sample, decode_time };
                    out.join(next)?;
                }
            }
        }
        Ok(())
    }

    /// Which pictures are wanted: whole groups, from a key frame to the next, that overlap the
    /// window. Pictures before the first key frame are wanted only where the recording before
    /// leads up to them.
    fn keep(&mut self, pictures: &[TimedSample], start: Timestamp, track: &Track) -> Option<Kept> {
        let zero = pictures.first()?.decode_time;
        let wall = |decode_time: i64| {
            let us = rescale(decode_time.saturating_sub(zero), track.timescale(), MICROS);
            Timestamp::from_micros(start.as_micros().saturating_add(us))
        };
        // A key frame is shown this much after it is decoded, and a recording that begins between
        // two key frames has the same delay: without it, its first pictures would be misplaced by
        // the few frames that B-frames reorder.
        let lead = i64::from(first_key(pictures)?.sample.composition);
        let shown = |at: i64| at.saturating_add(lead).saturating_add(track.edit_shift);
        let continues = self.origin.is_some() && start.since(self.recording_end) < JOIN_MAX;
        let mut kept: Option<Kept> = None;
        let mut until = zero;
        for group in groups_of_pictures(pictures) {
            let (Some(first), Some(last)) =
                (pictures.get(group.start), pictures.get(group.end - 1))
            else {
                break;
            };
            let from = first.decode_time;
            until = pictures.get(group.end).map_or(last.end(), |next| next.decode_time);
            let decodable = first.sample.sync || continues;
            let window = Window::new(wall(from), wall(until)).ok();
            let wanted = window.filter(|window| self.window.is_none_or(|w| w.meets(window)));
            if let (true, Some(window)) = (decodable, wanted) {
                let kept = kept.get_or_insert(Kept {
                    first: group.start,
                    end: group.end,
                    lead,
                    from: shown(from),
                    until: shown(until),
                    wall: window,
                });
                kept.end = group.end;
                kept.until = shown(until);
                kept.wall = Window::new(kept.wall.start(), window.end()).unwrap_or(kept.wall);
            }
        }
        self.recording_end = wall(until);
        kept
    }

    /// Where on the timeline the first picture of a recording goes: where it wants to, or behind
    /// the last picture before it. Without pictures, sound that overlaps is dropped instead.
    fn anchor(&self, wanted: i64, lead: i64, timescale: u32) -> i64 {
        let out = self.tracks.get(self.reference);
        let pictures =
            |out: &&OutTrack| out.track.kind() == TrackKind::Video && !out.samples.is_empty();
        let Some(out) = out.filter(pictures) else { return wanted };
        let earliest = out.decode_end().saturating_add(lead);
        let snap = i64::from(timescale / SNAP_PER_SECOND);
        if wanted <= earliest.saturating_add(snap) { earliest } else { wanted }
    }

    /// The finished timeline.
    ///
    /// # Errors
    ///
    /// `NotFound` when nothing is in the window.
    pub(super) fn finish(self) -> Result<Timeline> {
        let Self { tracks, reference, origin, covered_end, .. } = self;
        let covered = origin.and_then(|origin| Window::new(origin, covered_end).ok());
        let covered = covered.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "export: no group of pictures in the window")
        })?;
        Ok(Timeline { tracks, reference, covered })
    }
}

impl OutTrack {
    /// Adds `next` and lets the sample before it last until then.
    ///
    /// # Errors
    ///
    /// `Media` when the gap between them is longer than a sample can last.
    fn join(&mut self, next: OutSample) -> Result<()> {
        if let Some(last) = self.samples.last_mut() {
            let step = next.decode_time.saturating_sub(last.decode_time);
            let overlap = i64::from(last.sample.duration).saturating_sub(step);
            let half = i64::from(last.sample.duration / 2).max(1);
            let is_sound = self.track.kind() == TrackKind::Audio;
            if is_sound && (overlap > half || step < 0) {
                return Ok(());
            }
            last.sample.duration = u32::try_from(step).map_err(|source| {
                media_error(format!(
                    "a gap of {} s is too long for one file; export the parts separately",
                    step / i64::from(self.track.timescale())
                ))
                .caused_by(source)
            })?;
        }
        self.samples.push(next);
        Ok(())
    }
}

/// The first key frame; without any, the first picture of all.
fn first_key(pictures: &[TimedSample]) -> Option<&TimedSample> {
    pictures.iter().find(|timed| timed.sample.sync).or(pictures.first())
}

/// Splits `pictures` before every key frame.
fn groups_of_pictures(pictures: &[TimedSample]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = pictures.get(start..).filter(|rest| !rest.is_empty())?;
        let len = rest.iter().skip(1).position(|timed| timed.sample.sync);
        let group = start..start + len.map_or(rest.len(), |len| len + 1);
        start = group.end;
        Some(group)
    })
}

/// Microseconds from `origin` to `at`, below 0 when `at` is earlier.
fn offset_us(origin: Timestamp, at: Timestamp) -> i64 {
    at.as_micros().saturating_sub(origin.as_micros())
}
