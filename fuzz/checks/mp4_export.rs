//! One playable file for a window over clips of arbitrary fragments.
//!
//! Asserts that an export has the length it announced, that any range of it is what the whole has
//! there, that it is not much larger than what it was made of, and that it is itself a clip: with
//! the same decoder set-up and, exported again, no more media than it had.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::choices::Choices;
use super::index;
use crate::media::{ClipFacts, Export, ExportClip, Format, FragmentParser, Piece};
use crate::types::{ErrorKind, Timestamp, Window};

/// Streams of real encoders: sound and pictures, pictures alone, sound alone.
const STREAMS: [&[u8]; 3] = [
    include_bytes!("../../tests/fixtures/segment0.mp4"),
    include_bytes!("../../tests/fixtures/video.mp4"),
    include_bytes!("../../tests/fixtures/audio.mp4"),
];
const CLIPS_MAX: u32 = 4;
const FRAGMENTS_MAX: u32 = 4;
const FORMATS: [Format; 2] = [Format::Mp4, Format::Fragmented];

/// Input: which stream, the window, then clip by clip its start and fragments.
pub fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    let how = choices.u8();
    let source = Source::of(STREAMS[usize::from(how) % STREAMS.len()]);
    let window = (how & 0x80 != 0).then(|| {
        let start = at(&mut choices);
        Window::new(start, Timestamp::from_micros(start.as_micros() + 1 + us(&mut choices)))
    });
    let mut bytes = 0;
    let mut clips = Vec::new();
    for number in 0..=choices.below(CLIPS_MAX) {
        let start = at(&mut choices);
        let clip = source.clip(&mut choices);
        bytes += clip.len();
        clips.push(ExportClip::new(start, format!("clip {number}"), Arc::new(clip)));
    }
    exported(&clips, bytes, window.and_then(Result::ok));
}

/// Some hundreds of milliseconds to some hours.
fn us(choices: &mut Choices<'_>) -> i64 {
    let how = choices.u8();
    i64::from(choices.u16()) << (how % 24)
}

fn at(choices: &mut Choices<'_>) -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000 + us(choices))
}

/// A real init segment, and the tracks that its fragments may have.
struct Source {
    init: Bytes,
    fragments: Vec<Bytes>,
    tracks: Vec<u32>,
}

impl Source {
    fn of(stream: &'static [u8]) -> Self {
        let mut parser = FragmentParser::new();
        parser.push(stream);
        let (mut init, mut fragments, mut tracks) = (Bytes::new(), Vec::new(), Vec::new());
        while let Some(piece) = parser.next().expect("a fixture") {
            match piece {
                Piece::Init(found) => {
                    tracks = found.tracks().iter().map(crate::media::Track::id).collect();
                    init = found.bytes().clone();
                }
                Piece::Fragment(fragment) => fragments.push(fragment.bytes),
            }
        }
        Self { init, fragments, tracks }
    }

    /// The init segment and fragments, real ones and made ones, perhaps cut off.
    fn clip(&self, choices: &mut Choices<'_>) -> Bytes {
        let mut clip = self.init.to_vec();
        for _ in 0..choices.below(FRAGMENTS_MAX + 1) {
            match choices.below(4) {
                0 => clip.extend_from_slice(&self.fragments[self.which(choices)]),
                1 => clip.extend_from_slice(&self.patched(choices)),
                _ => clip.extend_from_slice(&self.made(choices)),
            }
        }
        let lost = match choices.u8() {
            0..=200 => 0,
            few => usize::from(few - 200) * 7,
        };
        clip.truncate(clip.len().saturating_sub(lost));
        clip.into()
    }

    fn which(&self, choices: &mut Choices<'_>) -> usize {
        usize::from(choices.u8()) % self.fragments.len()
    }

    /// A real fragment, a few bytes of whose `moof` are changed.
    fn patched(&self, choices: &mut Choices<'_>) -> Vec<u8> {
        let mut bytes = self.fragments[self.which(choices)].to_vec();
        let len = bytes.len().min(400);
        for _ in 0..choices.below(4) {
            let at = usize::from(choices.u16()) % len;
            bytes[at] = choices.u8();
        }
        bytes
    }

    /// `moof mdat` with up to two runs of samples whose every field the input says.
    fn made(&self, choices: &mut Choices<'_>) -> Vec<u8> {
        let (mut trafs, mut sizes) = (Vec::new(), 0_usize);
        for _ in 0..=choices.below(2) {
            let track = self.tracks[usize::from(choices.u8()) % self.tracks.len()];
            let (traf, bytes) = traf(choices, track);
            trafs.extend(traf);
            sizes += bytes;
        }
        let mfhd = boxed(*b"mfhd", &[0; 8]);
        let mut moof = boxed(*b"moof", &[mfhd, trafs].concat());
        let data_offset = u32::try_from(moof.len() + 8).unwrap();
        patch_offsets(&mut moof, data_offset);
        // Every sample has bytes that no other has, as far as a byte a place can say.
        let media: Vec<u8> = (0..sizes).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
        [moof, boxed(*b"mdat", &media)].concat()
    }
}

/// Stands for a data offset until the length of the `moof` is known.
const OFFSET_MARK: u32 = 0x7E57_0FF5;

/// One `traf`, and how many bytes its samples have.
fn traf(choices: &mut Choices<'_>, track: u32) -> (Vec<u8>, usize) {
    let how = choices.u8();
    let tfhd = [&0x2_0000_u32.to_be_bytes()[..], &track.to_be_bytes()].concat();
    let mut traf = boxed(*b"tfhd", &tfhd);
    if how & 1 == 0 {
        let time = choices.u64() >> (choices.u8() % 64);
        let tfdt = [&0x0100_0000_u32.to_be_bytes()[..], &time.to_be_bytes()].concat();
        traf.extend(boxed(*b"tfdt", &tfdt));
    }
    let count = choices.below(9);
    // Offset, and of each sample: duration, size, flags, composition; of version 0 or 1.
    let flags: u32 = 0x1 | 0xF00 | u32::from(how & 2) << 23;
    let mut trun = [flags.to_be_bytes(), count.to_be_bytes(), OFFSET_MARK.to_be_bytes()].concat();
    let mut bytes = 0;
    for _ in 0..count {
        let (size, sync) = (u32::from(choices.u8()), choices.flag());
        let (duration, composition) = if how & 4 == 0 {
            (u32::from(choices.u16()), u32::from(choices.u16()))
        } else {
            (choices.u32(), choices.u32())
        };
        let sample_flags: u32 = if sync { 0x0200_0000 } else { 0x0101_0000 };
        for field in [duration, size, sample_flags, composition] {
            trun.extend_from_slice(&field.to_be_bytes());
        }
        bytes += index(size);
    }
    traf.extend(boxed(*b"trun", &trun));
    (boxed(*b"traf", &traf), bytes)
}

/// Puts the place of the media where the marks are: for one `traf` behind the other.
fn patch_offsets(moof: &mut [u8], first: u32) {
    let mark = OFFSET_MARK.to_be_bytes();
    let places: Vec<usize> = (0..moof.len() - 4).filter(|at| moof[*at..*at + 4] == mark).collect();
    let mut offset = first;
    for at in places {
        moof[at..at + 4].copy_from_slice(&offset.to_be_bytes());
        let count = u32::from_be_bytes(moof[at - 4..at].try_into().unwrap());
        for sample in 0..index(count) {
            let size = at + 4 + sample * 16 + 4;
            // An input that has the mark's bytes in it: what stands there is no table of samples.
            let Some(size) = moof.get(size..size + 4) else { return };
            offset = offset.wrapping_add(u32::from_be_bytes(size.try_into().unwrap()));
        }
    }
}

fn boxed(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(8 + body.len()).unwrap();
    [&len.to_be_bytes()[..], &kind, body].concat()
}

/// Exports `clips`, which have `bytes` together, in both formats; whether that can be done.
pub(super) fn exported(clips: &[ExportClip], bytes: usize, window: Option<Window>) -> bool {
    let planned = FORMATS.map(|format| Export::plan(clips, window, format));
    for export in planned.iter().flatten() {
        check_one(export, bytes);
    }
    for error in planned.iter().filter_map(|planned| planned.as_ref().err()) {
        assert!(matches!(error.kind(), ErrorKind::Media | ErrorKind::NotFound), "{error}");
    }
    planned.iter().any(Result::is_ok)
}

fn check_one(export: &Export, bytes: usize) {
    let limit = u64::try_from(bytes * 40 + 10_000).unwrap();
    assert!(export.len() <= limit, "{} bytes out of {bytes}", export.len());
    let whole = range_of(export, 0..export.len());
    assert_eq!(u64::try_from(whole.len()).unwrap(), export.len(), "not as long as announced");
    for (from, to) in [(1, 2), (1, 3), (2, 5), (4, 5)] {
        let range = export.len() * from / 5..export.len() * to / 5;
        let wanted = &whole[index(range.start)..index(range.end)];
        assert_eq!(range_of(export, range), wanted, "another byte in a range");
    }
    let whole = Bytes::from(whole);
    let facts = ClipFacts::read(&whole).expect("an export is a clip");
    if facts.duration().is_zero() {
        // Samples that do not last: there is no window in which to look for them.
        return;
    }
    let clip = || ExportClip::new(export.covered().start(), "export", Arc::new(whole.clone()));
    for format in FORMATS {
        let again = Export::plan(&[clip()], None, format).unwrap_or_else(|error| {
            let (covered, duration) = (export.covered(), export.duration());
            let plays = facts.duration();
            panic!(
                "an export of {duration:?} ({plays:?}) over {covered} cannot be exported: {error}"
            )
        });
        let again = Bytes::from(range_of(&again, 0..again.len()));
        let its = ClipFacts::read(&again).expect("an export of an export is a clip");
        assert_eq!(its.init().config_id(), facts.init().config_id());
        // Sound that overlaps may be dropped and tracks mixed anew; no byte is invented.
        assert!(media(&again) <= media(&whole), "exported again, with more media");
    }
}

fn range_of(export: &Export, range: Range<u64>) -> Vec<u8> {
    let mut bytes = Vec::new();
    export.write_range(range, &mut bytes).expect("clips in memory can be read");
    bytes
}

/// How many bytes stand in the `mdat` boxes of a file.
fn media(file: &[u8]) -> usize {
    let (mut media, mut rest) = (0, file);
    while let (Some(size), Some(kind)) = (rest.first_chunk::<4>(), rest.get(4..8)) {
        let (head, len) = match u32::from_be_bytes(*size) {
            1 => (16, index(u64::from_be_bytes(rest[8..16].try_into().unwrap()))),
            size => (8, index(size)),
        };
        assert!(len >= head && len <= rest.len(), "a box of an export that does not fit");
        if kind == b"mdat" {
            media += len - head;
        }
        rest = &rest[len..];
    }
    media
}
