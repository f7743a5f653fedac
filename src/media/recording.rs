//! The samples of one stored clip, however it is stored: fragmented, plain, or cut off.

use std::ops::Range;

use super::init::{InitSegment, Track, TrackKind};
use super::moof::{self, Sample};
use super::plain::{self, INDEX_BYTES_MAX, box_at, read_range};
use super::source::ClipBytes;
use super::stream_clock::JUMP_US_MAX;
use super::{MICROS, media_error, rescale};
use crate::types::Result;

/// The most times that the clock of a clip may be set: more is no recording but an attack on the
/// memory of its reader.
const RECORDINGS_MAX: usize = 1_000;

/// Decode times beyond this are read as this: no clock reaches it, and what follows must still have
/// room to be later.
const DECODE_TIME_MAX: i64 = i64::MAX / 2;

/// A sample and when it is decoded, in ticks of its track, by the clock of its stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimedSample {
    pub(super) sample: Sample,
    pub(super) decode_time: i64,
}

impl TimedSample {
    pub(super) fn end(&self) -> i64 {
        self.decode_time.saturating_add(i64::from(self.sample.duration))
    }

    pub(super) fn presentation(&self) -> i64 {
        self.decode_time.saturating_add(i64::from(self.sample.composition))
    }
}

/// A stretch of one clip with one clock: media time in it means the same everywhere.
#[derive(Clone, Debug)]
pub(super) struct Recording {
    /// It begins where the clip begins; else where the recording before it ends.
    pub(super) starts_clip: bool,
    /// Samples in decode order, of each track of video or sound, in the order of the `moov`.
    pub(super) tracks: Vec<Vec<TimedSample>>,
}

impl Recording {
    fn new(starts_clip: bool, tracks: usize) -> Self {
        Self { starts_clip, tracks: vec![Vec::new(); tracks] }
    }

    fn is_empty(&self) -> bool {
        self.tracks.iter().all(Vec::is_empty)
    }
}

/// What [`load`] found in a clip.
#[derive(Debug)]
pub(super) struct LoadedClip {
    pub(super) init: InitSegment,
    pub(super) recordings: Vec<Recording>,
}

/// Reads the index of `bytes`, leaving its media alone, and takes `room` samples at most.
///
/// A clip that was cut off gives its whole fragments.
///
/// # Errors
///
/// `Media` when it has no `moov`, is encrypted, changes its decoder set-up within, or its boxes
/// lie; those of the source.
pub(super) fn load(bytes: &dyn ClipBytes, room: &mut usize) -> Result<LoadedClip> {
    let mut loader = Loader { bytes, room, init: None, moof: None, recordings: Vec::new() };
    let mut at = 0;
    while let Some((header, end)) = box_at(bytes, at)? {
        if end > bytes.len() && header.kind != *b"mdat" {
            break;
        }
        match &header.kind {
            b"moov" => loader.moov(at..end)?,
            b"moof" => loader.moof = Some(at..end),
            b"mdat" if end <= bytes.len() => {
                loader.mdat(at + header.header_len..end).map_err(|error| error.at_offset(at))?;
            }
            _ => {}
        }
        at = end;
    }
    let init = loader.init.ok_or_else(|| media_error("no whole moov box"))?;
    let mut recordings = loader.recordings;
    recordings.retain(|recording| !recording.is_empty());
    check_bytes(bytes.len(), &recordings)?;
    Ok(LoadedClip { init, recordings })
}

struct Loader<'a> {
    bytes: &'a dyn ClipBytes,
    room: &'a mut usize,
    init: Option<InitSegment>,
    moof: Option<Range<u64>>,
    recordings: Vec<Recording>,
}

impl Loader<'_> {
    fn moov(&mut self, at: Range<u64>) -> Result<()> {
        let start = at.start;
        let moov = read_range(self.bytes, at.start, at.end, INDEX_BYTES_MAX)?;
        let init = InitSegment::parse(moov).map_err(|error| error.at_offset(start))?;
        if init.tracks().iter().any(|track| track.entry.encrypted) {
            return Err(media_error("encrypted tracks cannot be exported").at_offset(start));
        }
        if self.init.as_ref().is_some_and(|first| first.config_id() != init.config_id()) {
            return Err(media_error("its decoder configuration changes within").at_offset(start));
        }
        let played = || init.tracks().iter().filter(|track| track.kind() != TrackKind::Other);
        let mut recording = Recording::new(self.init.is_none(), played().count());
        for (track, timed) in played().zip(&mut recording.tracks) {
            let samples = plain::samples(track, self.bytes.len(), *self.room)?;
            take_room(self.room, samples.len())?;
            append(timed, 0, samples);
        }
        self.init = Some(init);
        self.begin(recording)
    }

    fn begin(&mut self, recording: Recording) -> Result<()> {
        if self.recordings.len() == RECORDINGS_MAX {
            return Err(media_error(format!("more than {RECORDINGS_MAX} recordings in one clip")));
        }
        self.recordings.push(recording);
        Ok(())
    }

    /// Begins another recording when the reference track, the one at `index`, would go back in
    /// time to `start` or jump far ahead to it: its clock was set.
    fn split_at_jump(&mut self, index: usize, start: i64, timescale: u32) -> Result<()> {
        let Some(newest) = self.recordings.last() else { return Ok(()) };
        let Some(last) = newest.tracks.get(index).and_then(|samples| samples.last()) else {
            return Ok(());
        };
        let ahead_us = rescale(start.saturating_sub(last.end()), timescale, MICROS);
        if start <= last.decode_time || ahead_us > JUMP_US_MAX {
            return self.begin(Recording::new(false, newest.tracks.len()));
        }
        Ok(())
    }

    /// Takes the samples of the fragment whose data fills `data`.
    fn mdat(&mut self, data: Range<u64>) -> Result<()> {
        let (Some(at), Some(init)) = (self.moof.take(), &self.init) else { return Ok(()) };
        let moof = read_range(self.bytes, at.start, at.end, INDEX_BYTES_MAX)?;
        let fragments = moof::parse(&moof, data.end - data.start, init)?;
        let played = init.tracks().iter().filter(|track| track.kind() != TrackKind::Other);
        let ids: Vec<u32> = played.map(Track::id).collect();
        let (reference, timescale) = (init.reference().id(), init.reference().timescale());
        let pictures = fragments.iter().find(|fragment| fragment.track_id == reference);
        let start = pictures.and_then(|pictures| pictures.decode_time).map(reckoned);
        if let (Some(start), Some(index)) = (start, ids.iter().position(|id| *id == reference)) {
            self.split_at_jump(index, start, timescale)?;
        }
        let Some(recording) = self.recordings.last_mut() else { return Ok(()) };
        for fragment in fragments {
            let Some(index) = ids.iter().position(|id| *id == fragment.track_id) else { continue };
            let Some(timed) = recording.tracks.get_mut(index) else { continue };
            let samples = fragment
                .placed(at.start, &data)
                .ok_or_else(|| media_error("moof: its samples lie outside of its mdat"))?;
            take_room(self.room, samples.len())?;
            let expected = timed.last().map_or(0, TimedSample::end);
            append(timed, fragment.decode_time.map_or(expected, reckoned), samples);
        }
        Ok(())
    }
}

fn reckoned(decode_time: u64) -> i64 {
    i64::try_from(decode_time).unwrap_or(i64::MAX).min(DECODE_TIME_MAX)
}

fn append(timed: &mut Vec<TimedSample>, start: i64, samples: Vec<Sample>) {
    let mut decode_time = start;
    for sample in samples {
        let next = TimedSample { sample, decode_time };
        decode_time = next.end();
        timed.push(next);
    }
}

fn take_room(room: &mut usize, samples: usize) -> Result<()> {
    let left = room.checked_sub(samples);
    *room = left.ok_or_else(|| media_error("too many samples for one export: ask for less"))?;
    Ok(())
}

/// No sample may share its bytes with another: else a small clip could make a huge export.
fn check_bytes(len: u64, recordings: &[Recording]) -> Result<()> {
    let samples = recordings.iter().flat_map(|recording| recording.tracks.iter().flatten());
    let total: u64 = samples.map(|timed| u64::from(timed.sample.size)).sum();
    if total > len {
        return Err(media_error(format!("samples of {total} bytes in a clip of {len}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::fixtures;

    #[test]
    fn samples_that_share_their_bytes_are_refused() {
        let bytes = fixtures::video();
        let mut room = 1_000;
        let loaded = load(&bytes, &mut room).unwrap();
        assert_eq!(room, 960);
        let len = ClipBytes::len(&bytes);
        assert!(check_bytes(len, &loaded.recordings).is_ok());
        let twice = [loaded.recordings.clone(), loaded.recordings].concat();
        assert!(check_bytes(len, &twice).is_err());
    }

    #[test]
    fn more_samples_than_there_is_room_for_are_refused() {
        for bytes in [fixtures::video(), fixtures::small()] {
            assert!(load(&bytes, &mut 19).is_err());
        }
    }
}
