//! Where the fragments of one stored clip lie, and when each plays.
//!
//! Read once from the clip's `moof` boxes, a few bytes for each fragment; never holds footage. A
//! clip that is complete never changes, so its index can be kept.

use std::ops::Range;
use std::time::Duration;

use crate::media::init::{InitSegment, TrackKind};
use crate::media::plain::{INDEX_BYTES_MAX, box_at, read_range};
use crate::media::source::ClipBytes;
use crate::media::stream_clock::StreamClock;
use crate::media::{MOOV_BYTES_MAX, media_error, moof};
use crate::types::{Error, Result};

/// The most fragments of one clip that are looked at: ten minutes of a fragment for every picture
/// and every packet of sound, twice over.
pub const CLIP_FRAGMENTS_MAX: usize = 1 << 16;

/// Where the fragments of a stored clip of fragmented MP4 lie, and when each plays.
///
/// # Example
///
/// ```
/// use bytes::Bytes;
/// use clipkeep::media::ClipIndex;
///
/// let stored = Bytes::from_static(include_bytes!("../../../tests/fixtures/video.mp4"));
/// let index = ClipIndex::read(&stored)?;
/// assert_eq!((index.fragments(), index.duration().as_secs()), (4, 4));
/// assert!(ClipIndex::read(&Bytes::from_static(b"GIF89a")).is_err());
/// # Ok::<(), clipkeep::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClipIndex {
    pub(super) inits: Vec<Init>,
    pub(super) fragments: Vec<Fragment>,
    codecs: String,
}

/// `ftyp moov` in a clip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Init {
    pub(super) bytes: Range<u64>,
    /// Of its bytes: two clips with the same one need no other set-up between them.
    pub(super) digest: [u8; 32],
}

/// One `moof mdat` in a clip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fragment {
    /// Which of the inits it needs.
    pub(super) init: usize,
    pub(super) bytes: Range<u64>,
    /// From the start of the clip.
    pub(super) start: Duration,
    pub(super) duration: Duration,
    /// The media time of its start, by the stream's own clock.
    pub(super) media_us: i64,
    /// Decoding can start here.
    pub(super) key: bool,
    /// It has pictures (sound, in a stream without): else it is the sound behind the last of them,
    /// and makes nothing longer.
    reference: bool,
    /// The stream's own clock was set before it.
    pub(super) clock_set: bool,
}

impl Fragment {
    pub(super) fn end(&self) -> Duration {
        if self.reference { self.start.saturating_add(self.duration) } else { self.start }
    }
}

impl ClipIndex {
    /// Reads where the fragments of `bytes` lie, leaving its media alone. Of a clip that was cut
    /// off, or is still being recorded, all whole fragments count.
    ///
    /// # Errors
    ///
    /// `Media` when it is not fragmented MP4 (a plain MP4 can be exported, but has no ranges that
    /// play by themselves), is encrypted, or its boxes lie; those of the source.
    pub fn read(bytes: &dyn ClipBytes) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let mut at = 0;
        while let Some((header, end)) = box_at(bytes, at)? {
            if end > bytes.len() {
                break;
            }
            let taken = match &header.kind {
                b"ftyp" => {
                    reader.ftyp = Some(at);
                    Ok(())
                }
                b"moov" => reader.moov(at..end),
                b"moof" => {
                    reader.moof = Some(at..end);
                    Ok(())
                }
                b"mdat" => reader.mdat(at + header.header_len, end),
                _ => Ok(()),
            };
            taken.map_err(|error: Error| error.at_offset(at))?;
            at = end;
        }
        reader.finish()
    }

    /// How many fragments there are.
    #[must_use]
    pub fn fragments(&self) -> usize {
        self.fragments.len()
    }

    /// From the start of the clip to the end of its last picture (sound, in a stream without), by
    /// the stream's own clock.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.fragments.iter().map(Fragment::end).max().unwrap_or_default()
    }

    /// The `codecs` parameter of its media type, such as `avc1.64001f,mp4a.40.2`.
    #[must_use]
    pub fn codecs(&self) -> &str {
        &self.codecs
    }
}

struct Reader<'a> {
    bytes: &'a dyn ClipBytes,
    ftyp: Option<u64>,
    init: Option<InitSegment>,
    moof: Option<Range<u64>>,
    clock: StreamClock,
    /// Where the stream of the newest init begins in the clip, and where what was found ends.
    stream_start: Duration,
    end: Duration,
    found: ClipIndex,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a dyn ClipBytes) -> Self {
        let found = ClipIndex { inits: Vec::new(), fragments: Vec::new(), codecs: String::new() };
        Self {
            bytes,
            ftyp: None,
            init: None,
            moof: None,
            clock: StreamClock::default(),
            stream_start: Duration::ZERO,
            end: Duration::ZERO,
            found,
        }
    }

    fn moov(&mut self, at: Range<u64>) -> Result<()> {
        let start = self.ftyp.take().unwrap_or(at.start);
        let whole = read_range(self.bytes, start, at.end, MOOV_BYTES_MAX)?;
        let init = InitSegment::parse(whole.clone())?;
        if !init.is_fragmented() {
            return Err(media_error("a plain MP4: no range of it plays by itself; export it"));
        }
        if init.tracks().iter().any(|track| track.entry.encrypted) {
            return Err(media_error("encrypted tracks cannot be played"));
        }
        if self.found.inits.is_empty() {
            self.found.codecs = init.codecs();
        }
        if self.found.inits.len() == CLIP_FRAGMENTS_MAX {
            return Err(media_error("too many moov boxes in one clip"));
        }
        let digest = *blake3::hash(&whole).as_bytes();
        self.found.inits.push(Init { bytes: start..at.end, digest });
        self.stream_start = self.end;
        self.clock = StreamClock::default();
        self.init = Some(init);
        Ok(())
    }

    /// Takes the fragment whose `mdat` has its data from `data` to `end`.
    fn mdat(&mut self, data: u64, end: u64) -> Result<()> {
        let (Some(at), Some(init)) = (self.moof.take(), &self.init) else { return Ok(()) };
        if self.found.fragments.len() == CLIP_FRAGMENTS_MAX {
            return Err(media_error(format!("more than {CLIP_FRAGMENTS_MAX} fragments in a clip")));
        }
        let read = read_range(self.bytes, at.start, at.end, INDEX_BYTES_MAX)?;
        let mut tracks = moof::parse(&read, end - data, init)?;
        tracks.retain(|fragment| {
            init.track(fragment.track_id).is_some_and(|track| track.kind() != TrackKind::Other)
        });
        let timing = self.clock.advance(init, &tracks);
        let fragment = Fragment {
            init: self.found.inits.len() - 1,
            bytes: at.start..end,
            start: self.stream_start.saturating_add(timing.start),
            duration: timing.duration,
            media_us: timing.media_us,
            key: timing.key,
            reference: timing.reference,
            clock_set: timing.clock_set,
        };
        self.end = self.end.max(fragment.end());
        self.found.fragments.push(fragment);
        Ok(())
    }

    fn finish(mut self) -> Result<ClipIndex> {
        if self.found.inits.is_empty() {
            return Err(media_error("no whole moov box: not fragmented MP4"));
        }
        self.found.fragments.shrink_to_fit();
        Ok(self.found)
    }
}
