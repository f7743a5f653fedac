//! Cuts a stream of fragmented MP4 into what becomes durable at once, however it was chunked.
//!
//! Owns the bytes that were pushed and not yet handed out: never more than the caller pushed
//! without asking for pieces, and an unfinished box is refused by its claimed size before it is
//! buffered.
//!
//! ```text
//! ftyp [free] moov | [styp][sidx][prft].. moof mdat | [prft] moof mdat | .. | mfra
//! `---- Init ----'   `------- Fragment ----------'   `-- Fragment ---'      dropped
//! ```

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use super::boxes::{BoxHeader, Fields, boxes, name};
use super::init::{InitSegment, MOOV_BYTES_MAX};
use super::stream_clock::StreamClock;
use super::{media_error, moof};
use crate::types::{Error, Result, Timestamp};

/// The largest fragment, and so the most bytes that wait for the end of one.
pub const FRAGMENT_BYTES_MAX: u64 = 64 << 20;
/// Seconds from 1900, where NTP counts from, to 1970.
const SECONDS_1900_TO_1970: u64 = 2_208_988_800;

/// What the parser found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// The stream begins, or goes on with another decoder set-up: time counts from 0 again.
    Init(InitSegment),
    /// One fragment, to be made durable at once.
    Fragment(Fragment),
}

/// One `moof mdat` with the boxes in front of it that belong to it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fragment {
    /// Exactly as received: `[styp][sidx][prft] moof mdat`.
    pub bytes: Bytes,
    /// From the start of the stream's media to the start of this fragment, by the reference track:
    /// the first video, else the first sound.
    pub start: Duration,
    /// How long it plays.
    pub duration: Duration,
    /// Whether decoding can start here: it begins with a key frame of the reference track.
    pub key: bool,
    /// Whether the stream's own clock was set before it: its media time goes back, or ahead by
    /// more than an hour. `start` goes on where the fragment before it ended.
    pub clock_set: bool,
    /// The wall clock at its start, where media time counts from 1970 instead of from the start
    /// of the stream. More trustworthy than `produced`.
    pub epoch: Option<Timestamp>,
    /// What the encoder's `prft` box says. Some encoders put in the time of the first sample,
    /// others the time when they had written the last, and the box does not tell which: take the
    /// earlier of this and `arrival - duration`.
    pub produced: Option<Timestamp>,
}

/// Takes a stream of fragmented MP4 in any chunking and gives its pieces.
///
/// # Example
///
/// ```
/// use clipkeep::media::FragmentParser;
///
/// let mut parser = FragmentParser::new();
/// parser.push(&[0, 0, 0, 16]);
/// assert!(parser.next()?.is_none());
/// assert_eq!(parser.finish(), 4);
///
/// let mut parser = FragmentParser::new();
/// parser.push(b"GIF89a and so on");
/// assert!(parser.next().is_err());
/// # Ok::<(), clipkeep::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct FragmentParser {
    buffer: BytesMut,
    /// Where in `buffer` the next box starts; what is before it belongs to the next piece.
    at: usize,
    /// Where in `buffer` a `moof` lies that has no `mdat` yet.
    moof: Option<(usize, usize)>,
    init: Option<InitSegment>,
    clock: StreamClock,
    started: bool,
    /// Bytes of the stream before `buffer`.
    consumed: u64,
    failed: Option<Error>,
}

impl FragmentParser {
    /// A parser at the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A parser for media segments that came without their init segment, as DASH and HLS send
    /// them: each in a request of its own, after one with `init`.
    #[must_use]
    pub fn resuming(init: InitSegment) -> Self {
        Self { init: Some(init), started: true, ..Self::default() }
    }

    /// Takes the next bytes of the stream. Call [`FragmentParser::next`] until it has no more
    /// before the next push: what is pushed and not asked for is kept in memory.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.failed.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next piece, `None` when more bytes are needed.
    ///
    /// # Errors
    ///
    /// `Media` when the stream is not fragmented MP4, is damaged, or a box is above its limit
    /// ([`FRAGMENT_BYTES_MAX`], [`MOOV_BYTES_MAX`]); the offset is that of the box in the stream.
    /// The pieces before it are good, nothing after it is: every later call says the same.
    #[expect(clippy::should_implement_trait, reason = "not an iterator: None means push more")]
    pub fn next(&mut self) -> Result<Option<Piece>> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        let parsed = self.parse();
        if let Err(error) = &parsed {
            self.failed = Some(error.clone());
            self.buffer = BytesMut::new();
            self.at = 0;
        }
        parsed
    }

    /// The newest init segment.
    #[must_use]
    pub fn init(&self) -> Option<&InitSegment> {
        self.init.as_ref()
    }

    /// Ends the stream and says how many bytes of an unfinished piece are lost: more than 0 when
    /// the sender was cut off.
    #[must_use]
    pub fn finish(self) -> u64 {
        // Whole boxes that wait for a fragment are no footage; a moof without its mdat is.
        let whole = if self.moof.is_some() { 0 } else { self.at };
        len_u64(self.buffer.len() - whole)
    }

    fn parse(&mut self) -> Result<Option<Piece>> {
        loop {
            let rest = self.buffer.get(self.at..).unwrap_or(&[]);
            let located = |error: Error| error.at_offset(self.consumed + len_u64(self.at));
            let Some(header) = BoxHeader::parse(rest).map_err(located)? else { return Ok(None) };
            let len = self.checked_len(header).map_err(located)?;
            if rest.len() < len {
                return Ok(None);
            }
            let piece = self.whole_box(header, len);
            let offset = self.consumed + len_u64(self.at);
            let piece = piece.map_err(|error| error.at_offset(offset))?;
            if piece.is_some() {
                return Ok(piece);
            }
        }
    }

    /// The length of the box, when this is a box that may come now and is not too large.
    fn checked_len(&self, header: BoxHeader) -> Result<usize> {
        let kind = name(header.kind);
        if !self.started && !FIRST_BOXES.contains(&&header.kind) {
            // By the few bytes that are there in every chunking.
            let looks = match self.buffer.first() {
                Some(0x47) => ", perhaps an MPEG transport stream",
                Some(0xFF) => ", perhaps a JPEG picture",
                _ => "",
            };
            return Err(media_error(format!("stream is not MP4{looks}: starts with box {kind}")));
        }
        match (&header.kind, &self.init, self.moof) {
            (b"mdat", None, None) => {
                return Err(media_error(
                    "plain MP4: media data before its index; send it as a finished clip",
                ));
            }
            (b"mdat", Some(_), None) => return Err(media_error("mdat without a moof before it")),
            (b"moof", None, _) => {
                return Err(media_error("moof without an init segment before it"));
            }
            (b"moof" | b"moov" | b"ftyp" | b"mfra", _, Some(_)) => {
                return Err(media_error(format!("moof without an mdat: {kind} follows")));
            }
            _ => {}
        }
        let Some(len) = header.len else {
            return Err(media_error(format!(
                "box {kind} has no size: no stream can go on after it"
            )));
        };
        let limit = if header.kind == *b"moov" { MOOV_BYTES_MAX } else { FRAGMENT_BYTES_MAX };
        if len_u64(self.at).saturating_add(len) > limit {
            return Err(media_error(format!("box {kind} of {len} bytes: above {limit}")));
        }
        usize::try_from(len)
            .map_err(|source| media_error(format!("box {kind} of {len} bytes")).caused_by(source))
    }

    /// Takes in the box at `at`, whose `len` bytes are all there.
    fn whole_box(&mut self, header: BoxHeader, len: usize) -> Result<Option<Piece>> {
        self.started = true;
        match &header.kind {
            b"ftyp" => {
                self.drop_front(self.at);
                self.at = len;
            }
            b"moov" => return self.init_piece(len).map(Some),
            b"moof" => {
                self.moof = Some((self.at, len));
                self.at += len;
            }
            b"mdat" => return self.fragment_piece(len).map(Some),
            // An index of a file that ends here, and whatever led up to no fragment.
            b"mfra" => {
                self.drop_front(self.at + len);
                self.at = 0;
            }
            _ => self.at += len,
        }
        Ok(None)
    }

    fn init_piece(&mut self, len: usize) -> Result<Piece> {
        let whole = self.buffer.get(..self.at + len).unwrap_or(&[]);
        let init = InitSegment::parse(Bytes::copy_from_slice(whole))?;
        if !init.is_fragmented() {
            return Err(media_error(
                "plain MP4: its moov announces no fragments; send it as a finished clip",
            ));
        }
        self.drop_front(self.at + len);
        self.at = 0;
        self.clock = StreamClock::default();
        self.init = Some(init.clone());
        Ok(Piece::Init(init))
    }

    fn fragment_piece(&mut self, len: usize) -> Result<Piece> {
        let (Some((moof_at, moof_len)), Some(init)) = (self.moof, &self.init) else {
            return Err(media_error("mdat without a moof before it"));
        };
        let moof = self.buffer.get(moof_at..moof_at + moof_len).unwrap_or(&[]);
        let tracks = moof::parse(moof, len_u64(len), init)?;
        let timing = self.clock.advance(init, &tracks);
        let bytes = self.buffer.split_to(self.at + len).freeze();
        self.consumed += len_u64(bytes.len());
        self.moof = None;
        self.at = 0;
        let produced = bytes.get(..moof_at).and_then(produced);
        Ok(Piece::Fragment(Fragment {
            bytes,
            start: timing.start,
            duration: timing.duration,
            key: timing.key,
            clock_set: timing.clock_set,
            epoch: timing.epoch,
            produced,
        }))
    }

    fn drop_front(&mut self, len: usize) {
        self.buffer.advance(len);
        self.consumed += len_u64(len);
    }
}

/// The boxes that a stream or a segment can start with.
const FIRST_BOXES: [&[u8; 4]; 13] = [
    b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"uuid", b"pdin",
    b"sidx", b"prft", b"emsg",
];

/// The wall clock of the first `prft` box in `bytes`.
fn produced(bytes: &[u8]) -> Option<Timestamp> {
    let prft = boxes(bytes).map_while(Result::ok).find(|found| found.kind == *b"prft")?;
    let mut fields = Fields::new(prft.body);
    fields.take(8)?;
    let ntp = fields.u64()?;
    let seconds = (ntp >> 32).checked_sub(SECONDS_1900_TO_1970)?;
    let fraction_us = ((ntp & 0xFFFF_FFFF) * 1_000_000) >> 32;
    i64::try_from(seconds * 1_000_000 + fraction_us).ok().map(Timestamp::from_micros)
}

fn len_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
