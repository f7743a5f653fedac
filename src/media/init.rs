//! The init segment: what `ftyp moov` says of the tracks that follow.
//!
//! Owns the reading of `moov` and its tracks, of fragmented and plain files alike. Keeps the bytes
//! as they were received: they are part of the footage.

use std::fmt;

use bytes::Bytes;

use super::boxes::{Fields, Mp4Box, boxes, find, find_path};
use super::codec::SampleEntry;
use super::{media_error, rescale};
use crate::types::{Result, Timestamp};

/// The largest `moov` of a stream: real ones have 1 to 2 KB.
pub const MOOV_BYTES_MAX: u64 = 8 << 20;
/// The most tracks a `moov` may have.
const TRACKS_MAX: usize = 64;
/// Seconds from 1904, where MP4 counts from, to 1970.
pub(super) const SECONDS_1904_TO_1970: i64 = 2_082_844_800;

/// What a track holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TrackKind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
    /// Anything else: never exported.
    Other,
}

/// Names one decoder set-up: two recordings with the same one can be joined in one file.
///
/// A digest of each track's codec configuration, size and timescale. Hints that differ between two
/// recordings of the same camera, such as bit rates, are left out, and so are edit lists, which
/// only shift the presentation.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConfigId([u8; 32]);

impl fmt::Display for ConfigId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(8).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ConfigId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConfigId({self})")
    }
}

/// What fragments of a track inherit from `trex`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SampleDefaults {
    pub(super) duration: u32,
    pub(super) size: u32,
    pub(super) flags: u32,
}

/// The boxes of a track that an export takes over as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TrackBoxes {
    pub(super) tkhd: Bytes,
    pub(super) mdhd: Bytes,
    pub(super) hdlr: Bytes,
    /// `vmhd` or `smhd`.
    pub(super) media_header: Bytes,
    pub(super) stbl: Bytes,
}

/// One track of a stream or file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    id: u32,
    kind: TrackKind,
    timescale: u32,
    pub(super) entry: SampleEntry,
    /// What to add to a decode time plus composition offset to get the presentation time, in
    /// ticks: the edit list in one number.
    pub(super) edit_shift: i64,
    pub(super) defaults: SampleDefaults,
    pub(super) boxes: TrackBoxes,
}

impl Track {
    /// Its number in the stream.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// What it holds.
    #[must_use]
    pub fn kind(&self) -> TrackKind {
        self.kind
    }

    /// Ticks of its clock in a second; never 0.
    #[must_use]
    pub fn timescale(&self) -> u32 {
        self.timescale
    }

    /// Its codec as in the `codecs` parameter of RFC 6381, such as `avc1.64001f`.
    #[must_use]
    pub fn codec(&self) -> &str {
        &self.entry.codec
    }

    /// Width of its pictures in pixels, 0 for sound.
    #[must_use]
    pub fn width(&self) -> u16 {
        self.entry.width
    }

    /// Height of its pictures in pixels, 0 for sound.
    #[must_use]
    pub fn height(&self) -> u16 {
        self.entry.height
    }
}

/// `ftyp moov`: what a player must have before the first fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitSegment {
    bytes: Bytes,
    tracks: Vec<Track>,
    /// An index into `tracks`, which never change.
    reference: usize,
    fragmented: bool,
    config: ConfigId,
    created: Option<Timestamp>,
    recorded: Option<Timestamp>,
}

impl InitSegment {
    /// Reads `bytes`, which hold a whole `moov` and perhaps boxes before it.
    ///
    /// # Errors
    ///
    /// `Media` when there is no whole `moov`, or it has no track of video or sound.
    pub fn parse(bytes: Bytes) -> Result<Self> {
        let moov = find(&bytes, *b"moov").ok_or_else(|| media_error("no whole moov box"))?;
        let mvhd = MovieHeader::parse(moov)?;
        let mut tracks = Vec::new();
        for trak in boxes(moov.body) {
            let trak = trak?;
            if trak.kind == *b"trak" {
                if tracks.len() == TRACKS_MAX {
                    return Err(media_error(format!("moov: more than {TRACKS_MAX} tracks")));
                }
                tracks.push(track(&bytes, trak, mvhd.timescale)?);
            }
        }
        let first = |kind| tracks.iter().position(|track: &Track| track.kind == kind);
        let reference = first(TrackKind::Video).or_else(|| first(TrackKind::Audio));
        let reference = reference.ok_or_else(|| media_error("moov: no track of video or sound"))?;
        let mvex = find(moov.body, *b"mvex");
        if let Some(mvex) = mvex {
            read_defaults(mvex, &mut tracks);
        }
        let config = config_id(&tracks);
        let (created, recorded) = (mvhd.created, recording_time(moov));
        Ok(Self { tracks, reference, fragmented: mvex.is_some(), config, created, recorded, bytes })
    }

    /// The bytes as received.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Its tracks, in the order of the file.
    #[must_use]
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// The track that says when things happen: the first video, else the first with sound.
    #[must_use]
    pub fn reference(&self) -> &Track {
        &self.tracks[self.reference]
    }

    /// Whether fragments follow; else the `moov` indexes everything.
    #[must_use]
    pub fn is_fragmented(&self) -> bool {
        self.fragmented
    }

    /// What decoders must be set up with.
    #[must_use]
    pub fn config_id(&self) -> ConfigId {
        self.config
    }

    /// When the file says it was made, in whole seconds; many cameras leave it out.
    #[must_use]
    pub fn created(&self) -> Option<Timestamp> {
        self.created
    }

    /// The wall clock at its first sample, by the box `moov/udta/mtxi` that `MediaMTX` writes.
    #[must_use]
    pub fn recorded(&self) -> Option<Timestamp> {
        self.recorded
    }

    /// The `codecs` parameter of its media type: `avc1.64001f,mp4a.40.2`.
    #[must_use]
    pub fn codecs(&self) -> String {
        let played = self.tracks.iter().filter(|track| track.kind != TrackKind::Other);
        played.map(Track::codec).collect::<Vec<_>>().join(",")
    }

    pub(super) fn track(&self, id: u32) -> Option<&Track> {
        self.tracks.iter().find(|track| track.id == id)
    }
}

/// What is used of `mvhd`.
#[derive(Clone, Copy, Debug)]
struct MovieHeader {
    timescale: u32,
    created: Option<Timestamp>,
}

impl MovieHeader {
    fn parse(moov: Mp4Box<'_>) -> Result<Self> {
        let read = || {
            let mut fields = Fields::new(find(moov.body, *b"mvhd")?.body);
            let wide = fields.version_flags()?.0 == 1;
            let created = fields.u32_or_u64(wide)?;
            fields.u32_or_u64(wide)?;
            Some(Self { timescale: fields.u32()?.max(1), created: since_1904(created) })
        };
        read().ok_or_else(|| media_error("moov: no mvhd"))
    }
}

/// A time in seconds since 1904; `None` for 0 and what lies before 1970, which nobody means.
fn since_1904(seconds: u64) -> Option<Timestamp> {
    let unix = i64::try_from(seconds).ok()?.checked_sub(SECONDS_1904_TO_1970)?;
    let us = unix.checked_mul(1_000_000)?;
    (us > 0).then(|| Timestamp::from_micros(us))
}

/// The wall clock in the private box of `MediaMTX`: version and flags, stream id (16 bytes),
/// segment number (8), decode time (8), nanoseconds since 1970 (8).
fn recording_time(moov: Mp4Box<'_>) -> Option<Timestamp> {
    let mut fields = Fields::new(find_path(moov.body, &[b"udta", b"mtxi"])?.body);
    fields.take(4 + 16 + 8 + 8)?;
    let us = fields.i64()? / 1_000;
    (us > 0).then(|| Timestamp::from_micros(us))
}

fn track(file: &Bytes, trak: Mp4Box<'_>, movie_timescale: u32) -> Result<Track> {
    read_track(file, trak, movie_timescale)
        .ok_or_else(|| media_error("trak: a header is missing or cut short"))
}

fn read_track(file: &Bytes, trak: Mp4Box<'_>, movie_timescale: u32) -> Option<Track> {
    let keep = |found: Option<Mp4Box<'_>>| Some(file.slice_ref(found?.whole));
    let tkhd = find(trak.body, *b"tkhd")?;
    let mut fields = Fields::new(tkhd.body);
    let wide = fields.version_flags()?.0 == 1;
    fields.take(if wide { 16 } else { 8 })?;
    let id = fields.u32()?;

    let mdia = find(trak.body, *b"mdia")?;
    let mdhd = find(mdia.body, *b"mdhd")?;
    let mut fields = Fields::new(mdhd.body);
    let wide = fields.version_flags()?.0 == 1;
    fields.take(if wide { 16 } else { 8 })?;
    let timescale = fields.u32().filter(|&timescale| timescale > 0)?;

    let hdlr = find(mdia.body, *b"hdlr")?;
    let mut fields = Fields::new(hdlr.body);
    fields.take(8)?;
    let kind = match &fields.four_cc()? {
        b"vide" => TrackKind::Video,
        b"soun" => TrackKind::Audio,
        _ => TrackKind::Other,
    };

    let minf = find(mdia.body, *b"minf")?;
    let header = find(minf.body, *b"vmhd").or_else(|| find(minf.body, *b"smhd"));
    let stbl = find(minf.body, *b"stbl")?;
    let entry = find(stbl.body, *b"stsd").and_then(|stsd| SampleEntry::parse(stsd.body, kind));
    let entry = match kind {
        TrackKind::Other => entry.unwrap_or_default(),
        TrackKind::Video | TrackKind::Audio => entry?,
    };
    let edit_shift = edit_shift(trak, movie_timescale, timescale).unwrap_or(0);
    let boxes = TrackBoxes {
        tkhd: keep(Some(tkhd))?,
        mdhd: keep(Some(mdhd))?,
        hdlr: keep(Some(hdlr))?,
        media_header: keep(header).unwrap_or_default(),
        stbl: keep(Some(stbl))?,
    };
    Some(Track {
        id,
        kind,
        timescale,
        entry,
        edit_shift,
        defaults: SampleDefaults::default(),
        boxes,
    })
}

/// The edit list in one number: leading empty edits delay the track, the first real edit skips
/// its beginning (AAC priming, the composition offset of streams with B-frames).
fn edit_shift(trak: Mp4Box<'_>, movie_timescale: u32, timescale: u32) -> Option<i64> {
    let mut fields = Fields::new(find_path(trak.body, &[b"edts", b"elst"])?.body);
    let wide = fields.version_flags()?.0 == 1;
    let entries = fields.u32()?;
    let mut delay: i64 = 0;
    for _ in 0..entries {
        let duration = i64::try_from(fields.u32_or_u64(wide)?).ok()?;
        let media_time = if wide { fields.i64()? } else { i64::from(fields.i32()?) };
        fields.u32()?;
        if media_time >= 0 {
            return rescale(delay, movie_timescale, timescale).checked_sub(media_time);
        }
        delay = delay.checked_add(duration)?;
    }
    None
}

fn read_defaults(mvex: Mp4Box<'_>, tracks: &mut [Track]) {
    let read = |trex: Mp4Box<'_>| {
        let mut fields = Fields::new(trex.body);
        fields.version_flags()?;
        let id = fields.u32()?;
        fields.u32()?;
        let (duration, size, flags) = (fields.u32()?, fields.u32()?, fields.u32()?);
        Some((id, SampleDefaults { duration, size, flags }))
    };
    for child in boxes(mvex.body).map_while(Result::ok).filter(|child| child.kind == *b"trex") {
        if let Some((id, defaults)) = read(child) {
            tracks.iter_mut().filter(|t| t.id == id).for_each(|t| t.defaults = defaults);
        }
    }
}

fn config_id(tracks: &[Track]) -> ConfigId {
    let mut hasher = blake3::Hasher::new();
    for track in tracks.iter().filter(|track| track.kind != TrackKind::Other) {
        let entry = &track.entry;
        let len = u64::try_from(entry.config.len()).unwrap_or(u64::MAX);
        hasher.update(&track.timescale.to_le_bytes());
        hasher.update(&entry.width.to_le_bytes());
        hasher.update(&entry.height.to_le_bytes());
        hasher.update(&len.to_le_bytes());
        hasher.update(&entry.config);
    }
    ConfigId(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests;
