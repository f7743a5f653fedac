//! A part as the pages of a partition have it: what a list of clips says of it.
//!
//! | offset | size | part             | meaning                                               |
//! |-------:|-----:|------------------|-------------------------------------------------------|
//! |      0 |    8 | start            | µs since 1970; it and what follows are of the footer  |
//! |      8 |    4 | segment          | the id of the segment in which it stands              |
//! |     12 |    2 | class            | retention class                                       |
//! |     14 |    1 | flags            | 1 first, 2 last, 4 continued                          |
//! |     15 |    1 | media            |                                                       |
//! |     16 |    8 | clip             | home, ordinal                                         |
//! |     24 |    8 | end              |                                                       |
//! |     32 |    8 | received         | trusted time when its newest record came              |
//! |     40 |    8 | `end_offset`     | where its last byte ends in the clip                  |
//! |     48 |    8 | `uncertainty_us` |                                                       |
//! |     56 |    4 | sequence         | of its first record                                   |
//! |     60 |    4 | fragments        | how many of its records have bytes of the clip        |
//! |     64 |   32 | digest           | of the clip's bytes up to the end of this part        |

use std::fmt;

use crate::types::{ClassId, ClipId, SegmentId, Timestamp, Window};

use super::{Damage, record};

pub(super) const PART_BYTES: usize = 96;

const START: usize = 0;
const SEGMENT: usize = 8;
const CLASS: usize = 12;
const FLAGS: usize = 14;
const MEDIA: usize = 15;
const CLIP: usize = 16;
const END: usize = 24;
const RECEIVED: usize = 32;
const END_OFFSET: usize = 40;
const UNCERTAINTY: usize = 48;
const SEQUENCE: usize = 56;
const FRAGMENTS: usize = 60;
const DIGEST: usize = 64;

/// A part with all its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PagePart {
    pub(crate) start: Timestamp,
    /// The segment that it stands in.
    pub(crate) segment: SegmentId,
    pub(crate) class: ClassId,
    pub(crate) first: bool,
    pub(crate) last: bool,
    pub(crate) continued: bool,
    pub(crate) media: u8,
    pub(crate) clip: ClipId,
    pub(crate) end: Timestamp,
    pub(crate) received: Timestamp,
    pub(crate) end_offset: u64,
    pub(crate) uncertainty_us: u64,
    /// Sequence number of its first record.
    pub(crate) sequence: u32,
    pub(crate) fragments: u32,
    pub(crate) digest: [u8; 32],
}

impl PagePart {
    /// What the parts of one camera are sorted by.
    pub(crate) const fn key(&self) -> (Timestamp, SegmentId, ClipId) {
        (self.start, self.segment, self.clip)
    }

    /// Whether it is a clip from its first record to its last, where that began.
    pub(crate) fn is_whole(&self) -> bool {
        self.first && self.last && self.clip.home == self.segment
    }

    /// The time it covers, if it is all there is of its clip. One that was cut off inside its first
    /// fragment covers at least an instant.
    #[inline]
    pub(crate) const fn window(&self) -> Window {
        Window::at_least_an_instant(self.start, self.end)
    }
}

/// A part as it stands on a page, checked. A lookup finds many and little is asked of each: a field
/// is decoded when it is asked for, and nothing can fail then.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartBytes([u8; PART_BYTES]);

impl PartBytes {
    /// The bytes of `part`.
    pub(crate) fn of(part: &PagePart) -> Self {
        let mut bytes = [0; PART_BYTES];
        let mut rest = bytes.as_mut_slice();
        let mut put = |field: &[u8]| {
            let (place, behind) = std::mem::take(&mut rest).split_at_mut(field.len());
            place.copy_from_slice(field);
            rest = behind;
        };
        put(&part.start.as_micros().to_le_bytes());
        put(&part.segment.0.to_le_bytes());
        put(&part.class.0.to_le_bytes());
        put(&[record::flags(part.first, part.last, part.continued), part.media]);
        put(&part.clip.home.0.to_le_bytes());
        put(&part.clip.ordinal.to_le_bytes());
        put(&part.end.as_micros().to_le_bytes());
        put(&part.received.as_micros().to_le_bytes());
        put(&part.end_offset.to_le_bytes());
        put(&part.uncertainty_us.to_le_bytes());
        put(&part.sequence.to_le_bytes());
        put(&part.fragments.to_le_bytes());
        put(&part.digest);
        debug_assert!(rest.is_empty(), "the table above");
        Self(bytes)
    }

    /// These bytes of a page, of which [`check`] found nothing wrong.
    #[inline]
    pub(super) const fn checked(bytes: &[u8; PART_BYTES]) -> Self {
        Self(*bytes)
    }

    pub(super) const fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// All its fields.
    #[inline]
    pub(crate) fn part(&self) -> PagePart {
        let Self(bytes) = self;
        let (first, last, continued) = record::flags_of(self.flags());
        PagePart {
            start: self.start(),
            segment: self.segment(),
            class: ClassId(u16::from_le_bytes(field(bytes, CLASS))),
            first,
            last,
            continued,
            media: field::<1>(bytes, MEDIA)[0],
            clip: self.clip(),
            end: time(bytes, END),
            received: time(bytes, RECEIVED),
            end_offset: u64::from_le_bytes(field(bytes, END_OFFSET)),
            uncertainty_us: u64::from_le_bytes(field(bytes, UNCERTAINTY)),
            sequence: u32::from_le_bytes(field(bytes, SEQUENCE)),
            fragments: u32::from_le_bytes(field(bytes, FRAGMENTS)),
            digest: field(bytes, DIGEST),
        }
    }

    #[inline]
    pub(crate) fn start(&self) -> Timestamp {
        time(&self.0, START)
    }

    #[inline]
    pub(crate) fn segment(&self) -> SegmentId {
        segment_of(&self.0)
    }

    #[inline]
    pub(crate) fn clip(&self) -> ClipId {
        let number = |offset| u32::from_le_bytes(field(&self.0, offset));
        ClipId::new(SegmentId(number(CLIP)), number(CLIP + 4))
    }

    /// Whether it has the first record of its clip.
    #[inline]
    pub(crate) fn is_first(&self) -> bool {
        record::flags_of(self.flags()).0
    }

    /// Whether it has the last record of its clip.
    #[inline]
    pub(crate) fn is_last(&self) -> bool {
        record::flags_of(self.flags()).1
    }

    /// As [`PagePart::key`].
    #[inline]
    pub(crate) fn key(&self) -> (Timestamp, SegmentId, ClipId) {
        (self.start(), self.segment(), self.clip())
    }

    /// As [`PagePart::window`].
    #[inline]
    pub(crate) fn window(&self) -> Window {
        Window::at_least_an_instant(self.start(), time(&self.0, END))
    }

    #[inline]
    fn flags(&self) -> u8 {
        field::<1>(&self.0, FLAGS)[0]
    }
}

impl fmt::Debug for PartBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.part().fmt(f)
    }
}

/// Whether all of these are parts, as far as that can be seen.
#[inline]
pub(super) fn check(parts: &[[u8; PART_BYTES]]) -> Result<(), Damage> {
    // No branch for each: mostly all of them are.
    let sound = parts.iter().fold(true, |sound, part| {
        let times = [START, END, RECEIVED].map(|offset| is_time(part, offset));
        sound & times.iter().all(|is_time| *is_time) & has_known_flags(part)
    });
    if sound { Ok(()) } else { Err(Damage::Field(wrong_in(parts))) }
}

/// The name of the first field that is wrong.
#[cold]
fn wrong_in(parts: &[[u8; PART_BYTES]]) -> &'static str {
    for part in parts {
        for (offset, name) in [(START, "start"), (END, "end"), (RECEIVED, "received")] {
            if !is_time(part, offset) {
                return name;
            }
        }
        if !has_known_flags(part) {
            return "flags";
        }
    }
    "part"
}

#[inline]
fn is_time(bytes: &[u8; PART_BYTES], offset: usize) -> bool {
    Timestamp::are_micros(micros(bytes, offset))
}

#[inline]
fn has_known_flags(bytes: &[u8; PART_BYTES]) -> bool {
    record::are_flags(field::<1>(bytes, FLAGS)[0])
}

#[inline]
pub(super) fn start_of(bytes: &[u8; PART_BYTES]) -> i64 {
    micros(bytes, START)
}

#[inline]
pub(super) fn segment_of(bytes: &[u8; PART_BYTES]) -> SegmentId {
    SegmentId(u32::from_le_bytes(field(bytes, SEGMENT)))
}

#[inline]
fn time(bytes: &[u8; PART_BYTES], offset: usize) -> Timestamp {
    Timestamp::from_checked_micros(micros(bytes, offset))
}

#[inline]
fn micros(bytes: &[u8; PART_BYTES], offset: usize) -> i64 {
    i64::from_le_bytes(field(bytes, offset))
}

/// The bytes of a part from `offset` on.
#[inline]
fn field<const N: usize>(bytes: &[u8; PART_BYTES], offset: usize) -> [u8; N] {
    let found = bytes.get(offset..).and_then(<[u8]>::first_chunk);
    found.copied().unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::arbitrary::sample_part;

    #[test]
    fn every_field_comes_back_from_its_bytes() {
        let usual = sample_part(5);
        let tail = PagePart { first: false, last: false, continued: true, ..usual };
        let cut = PagePart { end: usual.start, last: false, ..usual };
        let moved = PagePart { segment: SegmentId(9), ..usual };
        for part in [usual, tail, cut, moved] {
            let bytes = PartBytes::of(&part);
            assert_eq!(bytes.part(), part);
            assert_eq!(format!("{bytes:?}"), format!("{part:?}"));
            assert_eq!((bytes.key(), bytes.window()), (part.key(), part.window()));
            assert_eq!((bytes.is_first(), bytes.is_last()), (part.first, part.last));
            assert_eq!(check(&[bytes.0]), Ok(()));
        }
    }

    #[test]
    fn what_no_part_can_say_is_named() {
        let sound = PartBytes::of(&sample_part(5)).0;
        let with = |offset: usize, bytes: &[u8]| {
            let mut part = sound;
            part[offset..offset + bytes.len()].copy_from_slice(bytes);
            check(&[sound, part, sound])
        };
        let beyond = (Timestamp::MAX.as_micros() + 1).to_le_bytes();
        for (offset, name) in [(START, "start"), (END, "end"), (RECEIVED, "received")] {
            assert_eq!(with(offset, &Timestamp::MAX.as_micros().to_le_bytes()), Ok(()));
            assert_eq!(with(offset, &beyond), Err(Damage::Field(name)));
            assert_eq!(with(offset, &i64::MIN.to_le_bytes()), Err(Damage::Field(name)));
        }
        assert_eq!(with(FLAGS, &[8]), Err(Damage::Field("flags")));
        assert_eq!(with(FLAGS, &[7]), Ok(()));
    }
}
