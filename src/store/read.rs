//! Getting clips out: lists of them, and their bytes.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::format::CHUNK_BYTES;
use crate::format::footer::RecordRef;
use crate::log::{
    FETCH_BYTES_MIN, Fetched, Fetches, Lease, Mapping, PartRecords, Segment, fetch_range,
};
use crate::types::{CameraId, Clip, ClipId, Error, ErrorKind, Result, Window};

use super::catalog::Located;
use super::lookup::Listed;
use super::{Inner, Store};

impl Store {
    /// The readable clips of `camera` that overlap `window`, oldest first: a snapshot, which later
    /// recordings and expiries do not change. Turn it round with `rev`.
    ///
    /// Overdue clips under a hold are among them. A camera that the store does not know has none.
    ///
    /// # Errors
    ///
    /// `Corrupt` or `Io` when a segment's footer cannot be read.
    pub fn clips(&self, camera: &CameraId, window: Window) -> Result<Clips> {
        let inner = &self.inner;
        inner.catalog.read().clips(&inner.footers, camera, window).map(Clips)
    }

    /// The bytes of clip `id`, always checked: what nobody has read lately past the page cache, so
    /// that it pushes out nothing, and the rest from the cache, without copying where that is safe.
    /// They stay valid and unchanged while the reader or any chunk of it lives, whatever
    /// expires meanwhile.
    ///
    /// # Errors
    ///
    /// As [`Store::clip`].
    pub fn read(&self, id: ClipId) -> Result<ClipReader> {
        self.inner.reader(id, true)
    }

    /// The same, copied from the disk and never mapped: for evidence, and for media that are
    /// suspected.
    ///
    /// # Errors
    ///
    /// As [`Store::clip`].
    pub fn read_copied(&self, id: ClipId) -> Result<ClipReader> {
        self.inner.reader(id, false)
    }

    /// Keeps no map that nobody reads in: the system lets go of no page of a file that is mapped,
    /// and who measures cold reading wants that.
    #[cfg(feature = "bench")]
    pub(crate) fn let_kept_maps_go(&self) {
        self.inner.leases.let_kept_maps_go();
    }
}

impl Inner {
    /// A reader of clip `id`. The lease is taken while the catalog is locked, so that the clip
    /// cannot be erased between being found and being leased.
    pub(super) fn reader(&self, id: ClipId, mapped: bool) -> Result<ClipReader> {
        let newest = self.newest_segment();
        let catalog = self.catalog.read();
        let located = catalog.clip(&self.footers, id, newest)?;
        let lease = self.leases.lease(id);
        drop(catalog);
        let mut pieces = Vec::new();
        self.open_pieces(&located, mapped, &mut pieces)?;
        let (course, fetches) = (Box::default(), Arc::clone(&self.fetches));
        Ok(ClipReader { clip: located.clip, pieces, lease, fetches, position: 0, course })
    }

    fn open_pieces(&self, located: &Located, mapped: bool, pieces: &mut Vec<Piece>) -> Result<()> {
        for (segment, found) in &located.parts {
            let Some((_, records)) = segment.part_of(&self.footers, found.part.clip)? else {
                continue;
            };
            // While it is in hand it is kept open when its name goes.
            segment.keep_open()?;
            let mapping = if mapped { segment.mapping(&self.leases) } else { None };
            let records = Arc::new(records);
            pieces.extend(records.records.iter().filter(|record| record.payload_bytes > 0).map(
                |record| Piece {
                    segment: Arc::clone(segment),
                    record: *record,
                    records: Arc::clone(&records),
                    mapping: mapping.clone(),
                },
            ));
        }
        Ok(())
    }
}

/// The clips of one camera in a window: see [`Store::clips`].
#[derive(Clone, Debug)]
pub struct Clips(Listed);

impl Iterator for Clips {
    type Item = Clip;

    #[inline]
    fn next(&mut self) -> Option<Clip> {
        self.0.next()
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0.len(), Some(self.0.len()))
    }
}

impl DoubleEndedIterator for Clips {
    #[inline]
    fn next_back(&mut self) -> Option<Clip> {
        self.0.next_back()
    }
}

impl ExactSizeIterator for Clips {}
impl std::iter::FusedIterator for Clips {}

/// The bytes of one clip: `Read` and `Seek`, positioned reads, and chunks without copying.
///
/// Every byte is checked before it is handed out; a damaged chunk is an error for its range alone.
#[derive(Clone)]
pub struct ClipReader {
    clip: Clip,
    /// In clip order; a gap between them is a record that was lost to damage.
    pieces: Vec<Piece>,
    lease: Arc<Lease>,
    fetches: Arc<Fetches>,
    position: u64,
    course: Box<Course>,
}

/// One record of the clip.
#[derive(Clone, Debug)]
struct Piece {
    segment: Arc<Segment>,
    record: RecordRef,
    records: Arc<PartRecords>,
    mapping: Option<Arc<Mapping>>,
}

impl Piece {
    fn end(&self) -> u64 {
        self.record.clip_offset + u64::from(self.record.payload_bytes)
    }

    /// Which bytes of its payload are in `range` of the clip.
    fn part(&self, range: &Range<u64>) -> Range<u64> {
        let offset = self.record.clip_offset;
        let inside = |at: u64| at.clamp(offset, self.end()) - offset;
        inside(range.start)..inside(range.end)
    }
}

/// How the bytes of a range come in.
#[derive(Clone)]
enum Way {
    /// Past the page cache, with what was fetched last.
    Past(Option<Fetched>),
    /// Through it.
    Through(Ahead),
}

impl Way {
    /// Lets go of what was fetched: its memory may be lent again.
    fn let_go(&mut self) {
        if let Self::Past(fetched) = self {
            *fetched = None;
        }
    }
}

/// Which chunk of a record has the byte `inside` of its payload, and where in the chunk.
fn chunk_of(inside: u64) -> (usize, usize) {
    let inside = usize::try_from(inside).unwrap_or(usize::MAX);
    (inside / CHUNK_BYTES, inside % CHUNK_BYTES)
}

/// How far the disk is asked to read ahead of somebody who reads a clip in order.
///
/// A chunk at a time, each waits for the disk by itself: cold reads then take as long as there are
/// chunks. Doubled from [`AHEAD_MIN`] with every step, unless it is known that all is wanted.
#[derive(Clone, Debug, Default)]
struct Ahead {
    /// Up to where it was asked to.
    to: u64,
    step: u64,
}

const AHEAD_MIN: u64 = 256 << 10;
const AHEAD_MAX: u64 = 4 << 20;

impl Ahead {
    /// For reading of `range`, which is wanted whole.
    fn of(range: &Range<u64>) -> Self {
        Self { to: range.start, step: AHEAD_MAX }
    }

    /// Somebody is about to read at `offset`: what to ask the disk for now, up to `end`.
    fn reading(&mut self, offset: u64, end: u64) -> Option<Range<u64>> {
        let near = self.to.saturating_sub(offset) <= self.step / 2;
        let behind = offset > self.to || offset.saturating_add(AHEAD_MAX) < self.to;
        if behind {
            *self = Self { to: offset, step: 0 };
        } else if !near {
            return None;
        }
        self.step = (self.step * 2).clamp(AHEAD_MIN, AHEAD_MAX);
        let from = self.to;
        self.to = offset.saturating_add(self.step).min(end).max(from);
        (from < self.to).then_some(from..self.to)
    }
}

/// What `Read` has in hand of a clip that is read in order.
#[derive(Clone, Default)]
struct Course {
    /// What is left of the chunk that was read last, checked: it begins at the reader's position.
    chunk: Bytes,
    /// The stretch that is being read, and how; whoever reads elsewhere begins another.
    stretch: Option<(Range<u64>, Way)>,
}

impl Course {
    /// The stretch that has `position`, of a clip of `len` bytes. Each is twice as long as the one
    /// before it, up to [`AHEAD_MAX`], as far as they follow one another: somebody who looks at the
    /// beginning only makes the disk read little.
    fn stretch_at(&self, position: u64, len: u64) -> Range<u64> {
        // The last chunk of a stretch may reach behind it.
        let near = |end: u64| (end..end + FETCH_BYTES_MIN).contains(&position);
        let before = self.stretch.as_ref().map(|(range, _)| range);
        let step = match before.filter(|range| near(range.end)) {
            Some(range) => ((range.end - range.start) * 2).clamp(AHEAD_MIN, AHEAD_MAX),
            None => AHEAD_MIN,
        };
        position..position.saturating_add(step).min(len)
    }
}

impl ClipReader {
    /// The clip.
    #[must_use]
    pub fn clip(&self) -> &Clip {
        &self.clip
    }

    /// The record that has the byte at `offset`, and where in its payload that stands.
    fn place_of(&self, offset: u64) -> Result<(&Piece, u64)> {
        let index = self.pieces.partition_point(|piece| piece.end() <= offset);
        let piece = self.pieces.get(index);
        let inside = piece.and_then(|piece| offset.checked_sub(piece.record.clip_offset));
        piece.zip(inside).ok_or_else(|| {
            let next = piece.map_or(self.clip.len, |piece| piece.record.clip_offset);
            Error::corrupt(format!(
                "read clip {}: bytes {offset}..{next} of it are lost",
                self.clip.id
            ))
        })
    }

    /// The chunk that has the byte at `offset`, from there on; at most 64 KiB.
    fn chunk_at(&self, offset: u64) -> Result<Bytes> {
        let (piece, inside) = self.place_of(offset)?;
        let (index, skip) = chunk_of(inside);
        let crcs = piece.records.crcs_of(&piece.record);
        piece.segment.note_watched();
        let mapped = piece
            .mapping
            .as_ref()
            .map(|map| piece.segment.map_chunk(map, &self.lease, &piece.record, crcs, index));
        let chunk = match mapped {
            Some(Err(error)) if error.kind() == ErrorKind::Unsupported => None,
            Some(chunk) => Some(chunk?),
            None => None,
        };
        let chunk = match chunk {
            Some(chunk) => chunk,
            None => piece.segment.read_chunk(&piece.record, crcs, index)?,
        };
        Ok(chunk.slice(skip.min(chunk.len())..))
    }

    /// How to read `range`: a long one of which nothing was read lately past the page cache, record
    /// by record, unless its records are short; little, and what is wanted again, through it.
    fn way_to(&self, range: &Range<u64>) -> Way {
        let len = |part: &Range<u64>| part.end - part.start;
        let count = self.parts_in(range).count();
        let mean_min = u64::try_from(count).unwrap_or(u64::MAX).saturating_mul(FETCH_BYTES_MIN / 2);
        let is_long = range.end.saturating_sub(range.start) >= mean_min.max(FETCH_BYTES_MIN);
        let long = self.parts_in(range).find(|(_, part)| len(part) >= FETCH_BYTES_MIN);
        let telling = long.or_else(|| self.parts_in(range).max_by_key(|(_, part)| len(part)));
        let is_new = telling.is_some_and(|(piece, part)| is_long && !self.knows(piece, &part));
        if is_new { Way::Past(None) } else { Way::Through(Ahead::of(range)) }
    }

    /// Whether `part` of a record was read past the page cache lately.
    fn knows(&self, piece: &Piece, part: &Range<u64>) -> bool {
        self.fetches.know(piece.segment.id, &fetch_range(&piece.record, part))
    }

    /// The records that have bytes of `range`, with what it has of their payload.
    fn parts_in(&self, range: &Range<u64>) -> impl Iterator<Item = (&Piece, Range<u64>)> {
        let first = self.pieces.partition_point(|piece| piece.end() <= range.start);
        let pieces = self.pieces.get(first..).unwrap_or_default();
        let inside = pieces.iter().take_while(|piece| piece.record.clip_offset < range.end);
        inside.map(|piece| (piece, piece.part(range)))
    }

    /// The next chunk of a range that ends at `end`.
    fn next_chunk(&self, way: &mut Way, offset: u64, end: u64) -> Result<Bytes> {
        if let Way::Past(fetched) = way {
            if let Some(chunk) = self.fetched_chunk(fetched, offset, end) {
                return chunk;
            }
            // Chunk by chunk, what is wrong costs no more than one chunk.
            *way = Way::Through(Ahead::of(&(offset..end)));
        }
        if let Way::Through(ahead) = way {
            self.will_need(ahead.reading(offset, end).as_ref());
        }
        self.chunk_at(offset)
    }

    /// The chunk that has the byte at `offset` of what was fetched, or is fetched now as far as
    /// `end`; `None` where it must be read another way.
    fn fetched_chunk(
        &self,
        fetched: &mut Option<Fetched>,
        offset: u64,
        end: u64,
    ) -> Option<Result<Bytes>> {
        let (piece, inside) = self.place_of(offset).ok()?;
        let (index, skip) = chunk_of(inside);
        let crcs = piece.records.crcs_of(&piece.record);
        let chunk_in = |one: &Fetched| piece.segment.fetched_chunk(one, &piece.record, crcs, index);
        let there = fetched.as_ref().and_then(chunk_in);
        let chunk = if let Some(chunk) = there {
            chunk
        } else {
            // Its memory may be lent again, unless somebody still has a chunk of it.
            *fetched = None;
            let part = piece.part(&(offset..end));
            if self.knows(piece, &part) {
                // Somebody comes back to it.
                return None;
            }
            let next = piece.segment.fetch(&self.fetches, &piece.record, &part)?;
            chunk_in(fetched.insert(next))?
        };
        Some(chunk.map(|chunk| chunk.slice(skip.min(chunk.len())..)))
    }

    /// The chunk at the position, for somebody who reads on from there.
    fn next_in_order(&mut self) -> io::Result<Bytes> {
        let position = self.position;
        let last = self.course.stretch.take_if(|(range, _)| range.contains(&position));
        let (range, mut way) = last.unwrap_or_else(|| {
            let range = self.course.stretch_at(position, self.clip.len);
            match self.way_to(&range) {
                // The disk is asked ahead of it to the end of the clip, more and more.
                Way::Through(_) => (position..self.clip.len, Way::Through(Ahead::default())),
                past @ Way::Past(_) => (range, past),
            }
        });
        let chunk = self.next_chunk(&mut way, position, range.end);
        let behind = chunk.as_ref().map_or(0, Bytes::len);
        let is_done = position.saturating_add(u64::try_from(behind).unwrap_or(0)) >= range.end;
        if chunk.is_err() {
            // Whoever tries again shall not find the same bytes in memory.
            way = Way::Through(Ahead::default());
        } else if is_done {
            way.let_go();
        }
        self.course.stretch = Some((range, way));
        chunk.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Reads exactly `buf.len()` bytes at `offset`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` past the end of the clip; `Corrupt` for a damaged chunk.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let len = u64::try_from(buf.len()).unwrap_or(u64::MAX);
        let mut rest = buf;
        for chunk in self.chunks(offset..offset.saturating_add(len))? {
            let chunk = chunk?;
            let (now, later) = rest.split_at_mut(chunk.len().min(rest.len()));
            now.copy_from_slice(&chunk);
            rest = later;
        }
        Ok(())
    }

    /// The bytes in `range`, in chunks of at most 64 KiB, without copying where that is safe. A
    /// damaged chunk is an error in its place; the next item is the chunk behind it.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when the range is not inside the clip.
    pub fn chunks(&self, range: Range<u64>) -> Result<impl Iterator<Item = Result<Bytes>> + '_> {
        if range.start > range.end || range.end > self.clip.len {
            return Err(Error::invalid(format!(
                "read clip {}: bytes {}..{} of {}",
                self.clip.id, range.start, range.end, self.clip.len
            )));
        }
        let mut offset = range.start;
        let mut way = self.way_to(&range);
        Ok(std::iter::from_fn(move || {
            if offset >= range.end {
                return None;
            }
            let left = usize::try_from(range.end - offset).unwrap_or(usize::MAX);
            let chunk = self.next_chunk(&mut way, offset, range.end);
            let chunk = chunk.map(|chunk| chunk.slice(..chunk.len().min(left)));
            offset = match &chunk {
                Ok(chunk) => offset + u64::try_from(chunk.len().max(1)).unwrap_or(1),
                Err(_) => self.behind_damage(offset).min(range.end),
            };
            Some(chunk)
        }))
    }

    /// Has the disk begin to read `range`.
    fn will_need(&self, range: Option<&Range<u64>>) {
        for (piece, part) in range.into_iter().flat_map(|range| self.parts_in(range)) {
            piece.segment.will_need(&piece.record, &part);
        }
    }

    /// Where the next chunk begins behind a damaged one at `offset`.
    fn behind_damage(&self, offset: u64) -> u64 {
        let index = self.pieces.partition_point(|piece| piece.end() <= offset);
        let Some(piece) = self.pieces.get(index) else { return self.clip.len };
        if piece.record.clip_offset > offset {
            return piece.record.clip_offset;
        }
        let chunk = u64::try_from(CHUNK_BYTES).unwrap_or(u64::MAX);
        let inside = offset - piece.record.clip_offset;
        (piece.record.clip_offset + (inside / chunk + 1) * chunk).min(piece.end())
    }

    /// All bytes of the clip, copied.
    ///
    /// # Errors
    ///
    /// `Corrupt` for a damaged chunk.
    pub fn to_vec(&self) -> Result<Vec<u8>> {
        /// More than that is not allocated before there is something for it.
        const CAPACITY_MAX: u64 = 64 << 20;
        let capacity = usize::try_from(self.clip.len.min(CAPACITY_MAX)).unwrap_or(0);
        let mut bytes = Vec::with_capacity(capacity);
        for chunk in self.chunks(0..self.clip.len)? {
            bytes.extend_from_slice(&chunk?);
        }
        Ok(bytes)
    }
}

impl fmt::Debug for ClipReader {
    /// Without the segments: they have megabytes to say.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClipReader")
            .field("clip", &self.clip)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

impl Read for ClipReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() || self.position >= self.clip.len {
            return Ok(0);
        }
        if self.course.chunk.is_empty() {
            self.course.chunk = self.next_in_order()?;
        }
        let chunk = &mut self.course.chunk;
        let len = chunk.len().min(buf.len());
        let (now, _) = buf.split_at_mut(len);
        now.copy_from_slice(&chunk.split_to(len));
        self.position += u64::try_from(len).unwrap_or(0);
        Ok(len)
    }
}

impl Seek for ClipReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.clip.len.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        let position = position.ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "seek in clip: before its first byte")
        })?;
        if position != self.position {
            self.course.chunk.clear();
        }
        if let Some((range, way)) = &mut self.course.stretch
            && !range.contains(&position)
        {
            way.let_go();
        }
        self.position = position;
        Ok(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_in_order_asks_for_each_byte_once_and_for_more_at_a_time() {
        const LEN: u64 = 20 << 20;
        let mut ahead = Ahead::default();
        let mut asked = Vec::new();
        for offset in (0..LEN).step_by(CHUNK_BYTES) {
            asked.extend(ahead.reading(offset, LEN));
            assert!(asked.last().is_some_and(|last| last.end > offset), "before it is read");
        }
        assert_eq!(asked.first(), Some(&(0..AHEAD_MIN)), "little, as long as little is read");
        assert!(asked.windows(2).all(|two| two[0].end == two[1].start), "{asked:?}");
        assert_eq!(asked.last().map(|last| last.end), Some(LEN), "and nothing behind the end");
        assert!(asked.len() < 20, "{} times", asked.len());
    }

    #[test]
    fn reading_elsewhere_begins_anew_with_little() {
        let mut ahead = Ahead::of(&(0..AHEAD_MAX));
        assert_eq!(ahead.reading(0, 99 << 20), Some(0..AHEAD_MAX));
        assert_eq!(ahead.reading(50 << 20, 99 << 20), Some(50 << 20..(50 << 20) + AHEAD_MIN));
        assert_eq!(ahead.reading(1 << 20, 99 << 20), Some(1 << 20..(1 << 20) + AHEAD_MIN));
        assert_eq!(ahead.reading(98 << 20, 98 << 20), None, "there is nothing more");
    }
}
