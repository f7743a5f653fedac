//! The pages of a partition: its parts, and a summary of what each camera has on a page.
//!
//! ```text
//! page                                           summaries
//!  0    4    8    12   16         4048  4096      0    4    8    12   16           4096
//! +----+----+----+----+--- ... --+----+         +----+----+----+----+----- ... --+
//! |crc |page|part| 0  | 42 parts | 0  |         |crc |page|sums| 0  | 85 summaries |
//! +----+----+----+----+--- ... --+----+         +----+----+----+----+----- ... --+
//! ```
//!
//! | offset | size | page    | meaning                                                        |
//! |-------:|-----:|---------|----------------------------------------------------------------|
//! |      0 |    4 | crc     | CRC32 of the head's salt, then bytes 4..4096                   |
//! |      4 |    4 | page    | its number, from 0; summaries count on behind the last page    |
//! |      8 |    4 | count   | how many parts it has: 42, but for the last page; or summaries |
//! |     12 |    4 |         | zero                                                           |
//! |     16 |   96 | part    | each; or each summary, 48                                      |
//! |     .. |      |         | zero                                                           |
//!
//! | offset | size | summary  | meaning                                                       |
//! |-------:|-----:|----------|---------------------------------------------------------------|
//! |      0 |    8 | bytes    | of all clips of the share                                     |
//! |      8 |    8 | received | when the first of them came                                   |
//! |     16 |    8 | from     | together they cover all from here ..                          |
//! |     24 |    8 | to       | .. to here, as far as their clocks are certain                |
//! |     32 |    4 | lowest   | the lowest segment in which one of them stands                |
//! |     36 |    4 | highest  | the highest                                                   |
//! |     40 |    4 | clips    | how many they are                                             |
//! |     44 |    2 | class    | of all of them                                                |
//! |     46 |    2 |          | zero                                                          |
//!
//! There is a summary for each share, which is what one camera has on one page, in the order of
//! the parts: a page on which a camera ends and another one begins has two, or more. A summary is
//! zero where it could not stand for its share: where that has parts of more than one class, a
//! part that is not a whole clip, or a gap between clips.

use std::ops::Range;
use std::time::Duration;

use super::Damage;
use super::bytes::{Reader, Writer, to_u32, to_usize};
use super::page_part::{self, PART_BYTES, PagePart, PartBytes, segment_of, start_of};
use crate::barrier::Barrier;
use crate::types::{ClassId, SegmentId, Timestamp, Window};

/// The length of a page.
pub(crate) const PAGE_BYTES: usize = 4096;
/// A page has at most this many parts.
pub(crate) const PAGE_PARTS: usize = 42;
/// A page of summaries has at most this many.
pub(crate) const PAGE_SUMMARIES: usize = 85;

const HEADER_BYTES: usize = 16;
const SUMMARY_BYTES: usize = 48;

const _: () = assert!(PAGE_BYTES >= HEADER_BYTES + PAGE_PARTS * PART_BYTES);
const _: () = assert!(PAGE_BYTES == HEADER_BYTES + PAGE_SUMMARIES * SUMMARY_BYTES);

/// What stands for all clips that a camera has on a page, if they follow one another without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) clips: u32,
    pub(crate) bytes: u64,
    /// When the first of them came.
    pub(crate) received: Timestamp,
    /// What they cover together, as far as their clocks are certain.
    pub(crate) window: Window,
    /// The lowest and the highest segment that one of them stands in.
    pub(crate) segments: (SegmentId, SegmentId),
    pub(crate) class: ClassId,
}

impl Summary {
    /// The summary of these parts of one camera; `None` where it could not stand for them.
    pub(crate) fn of(parts: &[PagePart]) -> Option<Self> {
        let first = parts.first()?;
        let possible =
            |part: &PagePart| part.window().widened(Duration::from_micros(part.uncertainty_us));
        let mut sum = Self {
            clips: 0,
            bytes: 0,
            received: first.received,
            window: possible(first),
            segments: (first.segment, first.segment),
            class: first.class,
        };
        for part in parts {
            let window = possible(part);
            let touches = window.start() <= sum.window.end() && sum.window.start() <= window.end();
            if !part.is_whole() || part.class != sum.class || !touches {
                return None;
            }
            let (start, end) = (window.start().min(sum.window.start()), window.end());
            sum.window = Window::new(start, end.max(sum.window.end())).ok()?;
            sum.clips += 1;
            sum.bytes = sum.bytes.checked_add(part.end_offset)?;
            sum.received = sum.received.min(part.received);
            let (low, high) = sum.segments;
            sum.segments = (low.min(part.segment), high.max(part.segment));
        }
        Some(sum)
    }

    #[inline]
    fn take(bytes: &[u8; SUMMARY_BYTES]) -> Result<Option<Self>, Damage> {
        if bytes == &[0; SUMMARY_BYTES] {
            return Ok(None);
        }
        let time = |offset, name| {
            let us = i64::from_le_bytes(field(bytes, offset));
            let at = Timestamp::from_micros(us);
            if at.as_micros() == us { Ok(at) } else { Err(Damage::Field(name)) }
        };
        let number = |offset| u32::from_le_bytes(field(bytes, offset));
        let (received, from, to) = (time(8, "received")?, time(16, "from")?, time(24, "to")?);
        if from >= to {
            return Err(Damage::Field("to"));
        }
        if field(bytes, 46) != [0; 2] {
            return Err(Damage::Field("reserved"));
        }
        Ok(Some(Self {
            clips: number(40),
            bytes: u64::from_le_bytes(field(bytes, 0)),
            received,
            window: Window::at_least_an_instant(from, to),
            segments: (SegmentId(number(32)), SegmentId(number(36))),
            class: ClassId(u16::from_le_bytes(field(bytes, 44))),
        }))
    }

    fn put(summary: Option<&Self>, out: &mut Writer) {
        let Some(sum) = summary else { return out.put_zeros(SUMMARY_BYTES) };
        let before = out.len();
        out.put_u64(sum.bytes);
        out.put_timestamp(sum.received);
        out.put_timestamp(sum.window.start());
        out.put_timestamp(sum.window.end());
        out.put_u32(sum.segments.0.0);
        out.put_u32(sum.segments.1.0);
        out.put_u32(sum.clips);
        out.put_u16(sum.class.0);
        out.put_u16(0);
        debug_assert_eq!(out.len() - before, SUMMARY_BYTES, "the table above");
    }
}

/// The bytes of page `number`.
pub(super) fn encode_parts(salt: &[u8; 16], number: usize, parts: &[PagePart]) -> Vec<u8> {
    encode(salt, number, parts.len(), |page| {
        for part in parts {
            page.put_slice(PartBytes::of(part).as_slice());
        }
    })
}

/// The bytes of a page of summaries, which counts on behind the last page of parts.
pub(super) fn encode_summaries(
    salt: &[u8; 16],
    number: usize,
    summaries: &[Option<Summary>],
) -> Vec<u8> {
    encode(salt, number, summaries.len(), |page| {
        for summary in summaries {
            Summary::put(summary.as_ref(), page);
        }
    })
}

fn encode(salt: &[u8; 16], number: usize, count: usize, put: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut page = Writer::with_capacity(PAGE_BYTES);
    page.put_u32(0);
    page.put_u32(to_u32(number));
    page.put_u32(to_u32(count));
    page.put_u32(0);
    put(&mut page);
    page.pad_to(PAGE_BYTES);
    debug_assert_eq!(page.len(), PAGE_BYTES, "no more than fit");
    let crc = crc_of(salt, &page.as_slice()[4..]);
    page.patch_u32(0, crc);
    page.finish()
}

fn crc_of(salt: &[u8; 16], body: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(salt);
    crc.update(body);
    crc.finalize()
}

/// What a whole page has behind its header, and how many things are in it.
fn checked<'a>(
    bytes: &'a [u8],
    salt: &[u8; 16],
    number: usize,
) -> Result<(&'a [u8], usize), Damage> {
    let bytes = bytes.get(..PAGE_BYTES).ok_or(Damage::Short)?;
    let mut fields = Reader::new(bytes);
    let crc = fields.take_u32()?;
    let body = bytes.get(4..).unwrap_or_default();
    if !Barrier::IndexPageCrc.test(crc_of(salt, body) == crc) {
        return Err(Damage::Checksum);
    }
    if to_usize(fields.take_u32()?) != number {
        return Err(Damage::Field("page"));
    }
    let count = to_usize(fields.take_u32()?);
    fields.take_zeros(4, "reserved")?;
    Ok((fields.take_slice(PAGE_BYTES - HEADER_BYTES)?, count))
}

/// The parts of one page, each decoded when it is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page<'a> {
    parts: &'a [[u8; PART_BYTES]],
}

impl<'a> Page<'a> {
    /// Page `number` of a partition with this salt.
    pub(crate) fn decode(bytes: &'a [u8], salt: &[u8; 16], number: usize) -> Result<Self, Damage> {
        let (body, count) = checked(bytes, salt, number)?;
        let (parts, _) = body.as_chunks::<PART_BYTES>();
        Ok(Self { parts: parts.get(..count).ok_or(Damage::Field("parts"))? })
    }

    /// How many parts it has.
    pub(crate) const fn len(&self) -> usize {
        self.parts.len()
    }

    /// Where the first of its parts is that starts at `from` or later, among those from `low` to
    /// below `high`, which are of one camera.
    pub(crate) fn position(&self, low: usize, high: usize, from: Timestamp) -> usize {
        let own = self.parts.get(low..high).unwrap_or_default();
        low + own.partition_point(|part| start_of(part) < from.as_micros())
    }

    /// These of its parts, in runs that stand in one segment; none where they go behind the last.
    #[inline]
    pub(crate) fn runs(&self, range: Range<usize>) -> impl Iterator<Item = Run<'a>> {
        let parts = self.parts.get(range).unwrap_or_default();
        parts.chunk_by(|one, next| segment_of(one) == segment_of(next)).map(Run)
    }

    /// When part `index` starts.
    pub(crate) fn start(&self, index: usize) -> Option<Timestamp> {
        self.parts.get(index).map(|part| Timestamp::from_micros(start_of(part)))
    }

    /// All of its parts.
    #[cfg(test)]
    pub(crate) fn parts(&self) -> Result<Vec<PagePart>, Damage> {
        let mut parts = Vec::new();
        self.runs(0..self.len()).try_for_each(|run| run.copy_into(&mut parts))?;
        Ok(parts.iter().map(PartBytes::part).collect())
    }
}

/// Parts that follow one another on a page and stand in the same segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run<'a>(&'a [[u8; PART_BYTES]]);

impl Run<'_> {
    /// The segment.
    pub(crate) fn segment(&self) -> SegmentId {
        self.0.first().map_or(SegmentId(0), segment_of)
    }

    /// How many they are.
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// Puts them behind `parts`, if all of them can be parts.
    #[inline]
    pub(crate) fn copy_into(&self, parts: &mut Vec<PartBytes>) -> Result<(), Damage> {
        page_part::check(self.0)?;
        parts.extend(self.0.iter().map(PartBytes::checked));
        Ok(())
    }
}

/// The bytes of a summary from `offset` on.
#[inline]
fn field<const N: usize>(bytes: &[u8; SUMMARY_BYTES], offset: usize) -> [u8; N] {
    let found = bytes.get(offset..).and_then(<[u8]>::first_chunk);
    found.copied().unwrap_or([0; N])
}

/// The summaries of one page, each decoded when it is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summaries<'a> {
    summaries: &'a [[u8; SUMMARY_BYTES]],
}

impl<'a> Summaries<'a> {
    /// The summaries of page `number` of a partition with this salt.
    pub(crate) fn decode(bytes: &'a [u8], salt: &[u8; 16], number: usize) -> Result<Self, Damage> {
        let (body, count) = checked(bytes, salt, number)?;
        let (summaries, _) = body.as_chunks::<SUMMARY_BYTES>();
        Ok(Self { summaries: summaries.get(..count).ok_or(Damage::Field("summaries"))? })
    }

    /// These of its summaries, as far as there are so many.
    #[inline]
    pub(crate) fn within(
        &self,
        range: Range<usize>,
    ) -> impl Iterator<Item = Result<Option<Summary>, Damage>> {
        let end = range.end.min(self.summaries.len());
        self.summaries.get(range.start..end).unwrap_or_default().iter().map(Summary::take)
    }

    /// All of its summaries.
    #[cfg(test)]
    pub(crate) fn all(&self) -> Result<Vec<Option<Summary>>, Damage> {
        self.summaries.iter().map(Summary::take).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::arbitrary::sample_part;
    use crate::types::ClipId;

    const SALT: [u8; 16] = [9; 16];

    /// Clips of a minute, one after the other, in segments of ten.
    fn parts(count: u32) -> Vec<PagePart> {
        let part = |n: u32| {
            let (start, segment) =
                (Timestamp::from_micros(60_000_000 * i64::from(n)), SegmentId(7 + n / 10));
            let end = start.saturating_add(Duration::from_mins(1));
            let received = end.saturating_add(Duration::from_secs(u64::from(n % 3)));
            let clip = ClipId::new(segment, n % 10);
            PagePart { start, segment, clip, end, received, end_offset: 1000, ..sample_part(n) }
        };
        (0..count).map(part).collect()
    }

    #[test]
    fn a_full_page_is_read_part_by_part() {
        let parts = parts(42);
        let bytes = encode_parts(&SALT, 3, &parts);
        assert_eq!(bytes.len(), PAGE_BYTES);
        let page = Page::decode(&bytes, &SALT, 3).unwrap();
        assert_eq!(page.parts().unwrap(), parts);
        let mut run = Vec::new();
        page.runs(35..42).for_each(|one| one.copy_into(&mut run).unwrap());
        assert!(run.iter().map(PartBytes::part).eq(parts[35..].iter().copied()));
        let segments = page.runs(5..25).map(|run| (run.segment(), run.0.len()));
        assert!(segments.eq([(SegmentId(7), 5), (SegmentId(8), 10), (SegmentId(9), 5)]));
        assert_eq!((page.len(), page.runs(40..43).count()), (42, 0));
        assert_eq!((page.start(41), page.start(42)), (Some(parts[41].start), None));
        for at in [0, 1, 17, 41] {
            assert_eq!(page.position(0, 42, parts[at].start), at);
        }
        assert_eq!(page.position(20, 30, parts[0].start), 20);
        assert_eq!(page.position(20, 30, parts[41].start), 30);
    }

    #[test]
    fn a_flipped_bit_of_a_page_is_found() {
        let parts = parts(5);
        let sums = [Summary::of(&parts), None];
        let (page, last) = (encode_parts(&SALT, 0, &parts), encode_summaries(&SALT, 1, &sums));
        let summaries = Summaries::decode(&last, &SALT, 1).unwrap();
        assert_eq!(summaries.all().unwrap(), sums);
        assert!(summaries.within(1..2).eq([Ok(sums[1])]), "one of them");
        assert!(summaries.within(1..PAGE_SUMMARIES).eq([Ok(sums[1])]), "no more than there are");
        assert_eq!(summaries.within(5..9).count(), 0);
        for byte in 0..PAGE_BYTES {
            let flipped = |page: &[u8]| {
                let mut page = page.to_vec();
                page[byte] ^= 4;
                page
            };
            assert!(Page::decode(&flipped(&page), &SALT, 0).is_err(), "byte {byte}");
            assert!(Summaries::decode(&flipped(&last), &SALT, 1).is_err(), "byte {byte}");
        }
    }

    #[test]
    fn a_page_of_another_partition_or_place_is_rejected() {
        let bytes = encode_parts(&SALT, 0, &parts(2));
        let damage = |bytes: &[u8], salt, number| Page::decode(bytes, salt, number).err();
        assert_eq!(damage(&bytes, &[7; 16], 0), Some(Damage::Checksum));
        assert_eq!(damage(&bytes, &SALT, 1), Some(Damage::Field("page")));
        assert_eq!(damage(&bytes[..PAGE_BYTES - 1], &SALT, 0), Some(Damage::Short));
    }

    #[test]
    fn a_summary_is_the_sum_of_clips_that_touch() {
        let parts = parts(42);
        let sum = Summary::of(&parts).unwrap();
        assert_eq!((sum.clips, sum.bytes, sum.class), (42, 42_000, parts[0].class));
        assert_eq!(sum.segments, (SegmentId(7), SegmentId(11)));
        assert_eq!(sum.received, parts.iter().map(|part| part.received).min().unwrap());
        let uncertain = Duration::from_micros(parts[0].uncertainty_us);
        let all = Window::new(parts[0].start, parts[41].end).unwrap().widened(uncertain);
        assert_eq!(sum.window, all);
    }

    #[test]
    fn what_is_no_sum_of_whole_clips_has_no_summary() {
        let without = |change: fn(&mut PagePart)| {
            let mut parts = parts(9);
            change(&mut parts[4]);
            Summary::of(&parts)
        };
        assert!(without(|_| ()).is_some());
        assert_eq!(without(|part| part.first = false), None, "a tail");
        assert_eq!(without(|part| part.last = false), None, "a beginning");
        assert_eq!(without(|part| part.clip.home = SegmentId(2)), None, "of another segment");
        assert_eq!(without(|part| part.class = ClassId(9)), None, "another class");
        let mut parts = parts(9);
        parts.remove(4);
        assert_eq!(Summary::of(&parts), None, "a gap");
        assert_eq!(Summary::of(&[]), None);
    }
}
