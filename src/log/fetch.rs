//! Records that are read past the page cache: what somebody looks at once must not push out what is
//! looked at often.
//!
//! Most footage that is watched at all is watched once, and much of it in whole clips. Through the
//! page cache that costs room for pages which nobody wants again. So the first reading of a stretch
//! goes past the cache, straight into memory of its own; a stretch that is wanted again while that
//! is remembered is brought into the cache, and stays there for the third who asks.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;

use super::Segment;
use super::segment::chunk_range;
use crate::format::CHUNK_BYTES;
use crate::format::footer::RecordRef;
use crate::types::{Result, SegmentId};

/// Stretches are remembered in units of so many bytes of a segment.
const UNIT_BYTES: u64 = 256 << 10;
/// A range that is shorter goes through the cache: the disk's answer takes longer than its bytes,
/// and the cache asks ahead. What it has of a record may be shorter.
pub(crate) const FETCH_BYTES_MIN: u64 = UNIT_BYTES;
/// So many units are remembered, the newest of those that share a place: 4 GiB of the log.
const UNITS: u64 = 1 << 14;
/// The units of a segment of the usual size: those of the next one have the places behind them.
const SEGMENT_UNITS: u64 = 512;

/// Which stretches were read past the cache, as far as that is remembered. Loses what is old, and
/// takes one for another at worst: both cost one reading of the other kind.
///
/// A unit has the id of the segment that was read there last; they count from 1.
#[derive(Debug)]
pub(crate) struct Fetches(Box<[AtomicU32]>);

impl Default for Fetches {
    fn default() -> Self {
        Self((0..UNITS).map(|_| AtomicU32::default()).collect())
    }
}

impl Fetches {
    /// Whether `range` of `segment` was read past the cache before, in part or as a whole.
    pub(crate) fn know(&self, segment: SegmentId, range: &Range<u64>) -> bool {
        self.units(segment, range).any(|unit| unit.load(Ordering::Relaxed) == segment.0)
    }

    fn note(&self, segment: SegmentId, range: &Range<u64>) {
        self.units(segment, range).for_each(|unit| unit.store(segment.0, Ordering::Relaxed));
    }

    /// The units whose middle is in `range`: of two stretches that follow one another none is in
    /// both. Where it has no unit's middle, being shorter than [`FETCH_BYTES_MIN`], the unit that
    /// has its own.
    fn units(&self, segment: SegmentId, range: &Range<u64>) -> impl Iterator<Item = &AtomicU32> {
        let unit = |offset: u64| offset.saturating_add(UNIT_BYTES / 2 - 1) / UNIT_BYTES;
        let before = u64::from(segment.0).wrapping_mul(SEGMENT_UNITS);
        let (first, behind) = (unit(range.start), unit(range.end));
        let own = if first < behind {
            first..behind
        } else {
            let middle = range.start.midpoint(range.end) / UNIT_BYTES;
            middle..middle + 1
        };
        own.filter_map(move |unit| {
            self.0.get(usize::try_from(before.wrapping_add(unit) % UNITS).ok()?)
        })
    }
}

/// Bytes of one record in memory, whole chunks of it; not checked yet.
#[derive(Clone, Debug)]
pub(crate) struct Fetched {
    segment: SegmentId,
    bytes: Bytes,
    /// Where they stand in the file.
    at: u64,
}

/// Where `part` of a record's payload stands in the file, with the chunks it begins and ends in.
pub(crate) fn fetch_range(record: &RecordRef, part: &Range<u64>) -> Range<u64> {
    let chunk = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX) / CHUNK_BYTES;
    let last = part.end.saturating_sub(1).max(part.start);
    chunk_range(record, chunk(part.start)).start..chunk_range(record, chunk(last)).end
}

impl Segment {
    /// Reads `part` of a record's payload past the page cache, and remembers that. `None` where
    /// that cannot be done now: the caller reads it chunk by chunk, which tells what is wrong.
    pub(crate) fn fetch(
        &self,
        fetches: &Fetches,
        record: &RecordRef,
        part: &Range<u64>,
    ) -> Option<Fetched> {
        let range = fetch_range(record, part);
        let bytes = self.file.read_through(range.clone()).ok().flatten()?;
        fetches.note(self.id, &range);
        Some(Fetched { segment: self.id, bytes, at: range.start })
    }

    /// Chunk `index` of a record's payload out of what was fetched of it, checked. `None` when that
    /// has not all of it.
    pub(crate) fn fetched_chunk(
        &self,
        fetched: &Fetched,
        record: &RecordRef,
        crcs: &[u32],
        index: usize,
    ) -> Option<Result<Bytes>> {
        let range = chunk_range(record, index);
        let start = usize::try_from(range.start.checked_sub(fetched.at)?).ok()?;
        let end = usize::try_from(range.end.checked_sub(fetched.at)?).ok()?;
        if fetched.segment != self.id || start >= end || end > fetched.bytes.len() {
            return None;
        }
        let chunk = fetched.bytes.slice(start..end);
        Some(self.check_chunk(&chunk, crcs, index, range.start).map(|()| chunk))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_known_and_what_stands_beside_it_is_not() {
        let fetches = Fetches::default();
        fetches.note(SegmentId(3), &(0..500_000));
        for known in [0..500_000, 100_000..600_000, 0..FETCH_BYTES_MIN] {
            assert!(fetches.know(SegmentId(3), &known), "{known:?}");
        }
        assert!(!fetches.know(SegmentId(3), &(500_000..1_000_000)), "the next stretch");
        assert!(!fetches.know(SegmentId(4), &(0..500_000)), "another segment");
        for start in (0..1 << 20).step_by(4096) {
            let some = fetches.units(SegmentId(1), &(start..start + FETCH_BYTES_MIN)).count();
            assert_eq!(some, 1, "from {start}");
        }
    }

    #[test]
    fn what_was_read_long_ago_is_forgotten() {
        let fetches = Fetches::default();
        let later = u32::try_from(UNITS / SEGMENT_UNITS).unwrap();
        fetches.note(SegmentId(1), &(0..1 << 20));
        fetches.note(SegmentId(2), &(0..1 << 20));
        fetches.note(SegmentId(1 + later), &(0..1 << 20));
        assert!(!fetches.know(SegmentId(1), &(0..1 << 20)));
        assert!(fetches.know(SegmentId(2), &(0..1 << 20)));
        assert!(fetches.know(SegmentId(1 + later), &(0..1 << 20)));
    }
}
