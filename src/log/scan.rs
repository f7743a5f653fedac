//! The scan of a segment that was open when the machine stopped.
//!
//! Finds every record by its salted header, or by the copy of that in its tail, also behind damage,
//! and decides which of them count.
//! Reads only; what must be wiped before the segment is written to again is listed, not done.

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;

use super::Draft;
use crate::barrier::Barrier;
use crate::format::footer::RecordRef;
use crate::format::record::{HEADER_BYTES_MAX, RecordHeader};
use crate::format::{BLOCK_BYTES, BLOCK_LEN, CHUNK_BYTES, SegmentKey};
use crate::types::{ClipId, Error};
use crate::vfs::VfsFile;

/// What is known of a segment before it is scanned.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known {
    /// Everything below was acknowledged, as far as anything but the records themselves says so.
    pub(crate) durable_bytes: u64,
    /// A write at this place failed: nothing from here on was acknowledged.
    pub(crate) failed_at: Option<u64>,
}

impl Known {
    /// The seal is on record, so every record in it was acknowledged.
    pub(crate) const SEALED: Self = Self { durable_bytes: u64::MAX, failed_at: None };
}

/// What a scan found.
#[derive(Debug)]
pub(crate) struct Scan {
    /// What the records that count make; a segment that is opened takes it.
    pub(crate) draft: Draft,
    /// The block behind the last record that counts, or that is known to have been acknowledged.
    pub(crate) end_block: u32,
    /// Everything below was acknowledged.
    witnessed_block: u32,
    /// The records that do not count: to be wiped before writing goes on, so that a later scan
    /// cannot find them.
    pub(crate) torn: Vec<Torn>,
    /// What was lost.
    pub(crate) problems: Vec<Error>,
    /// Damage that took nothing: headers that were read from tails.
    pub(crate) mended: Vec<Error>,
}

/// A record that does not count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Torn {
    pub(crate) block: u32,
    /// Its last block, which has its tail.
    pub(crate) last_block: u32,
    pub(crate) clip: ClipId,
}

#[derive(Debug)]
struct Found {
    block: u32,
    header: RecordHeader,
    chunk_crcs: Vec<u32>,
    /// Its header is damaged: this is the copy in its tail.
    by_tail: bool,
}

impl Found {
    fn end_block(&self) -> u32 {
        self.block.saturating_add(self.header.blocks().max(1))
    }
}

/// The records that a segment's file has: which of them count, only [`Records::judge`] says.
#[derive(Debug)]
pub(super) struct Records {
    found: Vec<Found>,
    /// How many bytes of the segment were scanned.
    len: u64,
}

/// Scans `len` bytes of a segment, as [`Records::find`] and [`Records::judge`] do.
///
/// # Errors
///
/// Only what the system says of the file as a whole; unreadable sectors are problems, not errors.
pub(crate) fn scan(
    file: &dyn VfsFile,
    key: &SegmentKey,
    len: u64,
    known: Known,
) -> io::Result<Scan> {
    Records::find(file, key, len).map(|records| records.judge(file, key, known))
}

impl Records {
    /// Finds the records in the first `len` bytes of a segment.
    ///
    /// # Errors
    ///
    /// Only what the system says of the file as a whole.
    pub(super) fn find(file: &dyn VfsFile, key: &SegmentKey, len: u64) -> io::Result<Self> {
        let found = find_records(file, key, records_end(len))?;
        Ok(Self { found, len })
    }

    /// Decides which records count, by what is `known` of the segment.
    ///
    /// Which records count: a record carries the position up to which the segment was durable when
    /// it was made, and the ledger may know of a higher one. Whatever lies below the highest such
    /// position was acknowledged, so a bad payload there is damage: the record counts, and reading
    /// it gives an error. Above it, a bad payload or tail is a write that the power cut tore: the
    /// record does not count, nor does what its clip has behind it. That a block cannot be read
    /// says nothing of how it was written: then what can be read of the record decides.
    pub(super) fn judge(self, file: &dyn VfsFile, key: &SegmentKey, known: Known) -> Scan {
        let Self { found, len } = self;
        let (limit, records_end) = (known.failed_at.unwrap_or(len).min(len), records_end(len));
        let by_records = found.iter().map(|found| found.header.durable_block).max().unwrap_or(0);
        let on_record = u32::try_from(known.durable_bytes / BLOCK_BYTES).unwrap_or(u32::MAX);
        let witnessed = by_records.max(on_record);
        let mut scan = Scan {
            draft: Draft::default(),
            end_block: 1,
            witnessed_block: if u64::from(witnessed) * BLOCK_BYTES <= records_end {
                witnessed
            } else {
                0
            },
            torn: Vec::new(),
            problems: Vec::new(),
            mended: Vec::new(),
        };
        let mut cut = BTreeSet::new();
        for record in found {
            let acknowledged = record.block < witnessed;
            scan.note_damage(record.block.min(witnessed));
            let offset = u64::from(record.block) * BLOCK_BYTES;
            let is_gap = !acknowledged && follows_a_gap(&record.header, key, &scan);
            let state = if acknowledged { State::Whole } else { state_of(file, key, &record) };
            if offset >= limit
                || state == State::Torn
                || is_gap
                || cut.contains(&record.header.clip)
            {
                let (block, clip) = (record.block, record.header.clip);
                cut.insert(clip);
                scan.torn.push(Torn { block, last_block: record.end_block() - 1, clip });
                continue;
            }
            if state == State::Unreadable {
                let message =
                    "scan segment: blocks of the newest records cannot be read, they are kept";
                scan.problems.push(Error::corrupt(message).at_offset(offset));
            }
            if record.by_tail {
                let message =
                    "scan segment: a record's header is damaged, read its copy in the tail";
                scan.mended.push(Error::corrupt(message).at_offset(offset));
            }
            scan.draft.add(&record.header, &record.chunk_crcs, record.block);
            scan.end_block = scan.end_block.max(record.end_block());
        }
        // What was acknowledged behind the last record that was found is not written over.
        scan.note_damage(scan.witnessed_block);
        scan
    }
}

/// The last block is the header's copy or a trailer.
fn records_end(len: u64) -> u64 {
    len.saturating_sub(BLOCK_BYTES)
}

impl Scan {
    /// Takes these records of `clip` off again: the draft, which ends at `end_block`, no longer has
    /// them.
    pub(crate) fn cut(&mut self, clip: ClipId, records: &[RecordRef], end_block: u32) {
        self.torn.extend(records.iter().map(|record| Torn {
            block: record.block,
            last_block: record.end_block() - 1,
            clip,
        }));
        self.end_block = end_block.max(self.witnessed_block);
    }

    /// Where records are that count and of which nothing says that they are durable.
    pub(super) fn unwitnessed(&self) -> Range<u64> {
        u64::from(self.witnessed_block) * BLOCK_BYTES..u64::from(self.end_block) * BLOCK_BYTES
    }

    /// Whether records that count stand behind one that does not: wiped, it would leave a hole that
    /// the next scan takes for damage.
    pub(crate) fn has_holes(&self) -> bool {
        self.torn.iter().any(|torn| torn.block < self.end_block)
    }

    /// Tells of the blocks from the end of what was found up to `block`, which were acknowledged,
    /// and passes over them.
    fn note_damage(&mut self, block: u32) {
        if block <= self.end_block {
            return;
        }
        let blocks = block - self.end_block;
        self.problems.push(
            Error::corrupt(format!("scan segment: {blocks} blocks of records are damaged"))
                .at_offset(u64::from(self.end_block) * BLOCK_BYTES),
        );
        self.end_block = block;
    }
}

/// Whether a record of the clip that should stand before this one in this segment does not count:
/// the one just before it, or, where the clip has none here yet, the one that this one names.
fn follows_a_gap(header: &RecordHeader, key: &SegmentKey, scan: &Scan) -> bool {
    match scan.draft.part_of(header.clip) {
        Some((found, _)) => found.end_offset != header.clip_offset,
        None => header.previous.is_some_and(|(segment, _)| segment == key.segment),
    }
}

/// Every record up to `end` of which header or tail is valid, in block order.
fn find_records(file: &dyn VfsFile, key: &SegmentKey, end: u64) -> io::Result<Vec<Found>> {
    let mut found: Vec<Found> = Vec::new();
    file.read_ahead(false);
    let mut reader = Ahead::new(file, end);
    let mut block = 1_u32;
    // Everything below belongs to a record that was found: no other begins there.
    let mut taken = 1_u32;
    while u64::from(block) * BLOCK_BYTES < end {
        let Some(written) = reader.written_from(u64::from(block) * BLOCK_BYTES) else { break };
        block = u32::try_from(written / BLOCK_BYTES).unwrap_or(u32::MAX);
        if written >= end {
            break;
        }
        let bytes = reader.header_at(written)?;
        match record_at(bytes, key, block, end).or_else(|| ending_at(bytes, key, block, taken)) {
            Some(record) => {
                block = record.end_block();
                taken = block;
                found.push(record);
            }
            None => block = block.saturating_add(1),
        }
    }
    file.read_ahead(true);
    Ok(found)
}

/// The record that begins at `block`, where `bytes` are, and fits below `end`.
fn record_at(bytes: &[u8], key: &SegmentKey, block: u32, end: u64) -> Option<Found> {
    let (header, chunk_crcs) = RecordHeader::decode(bytes, key, block).ok()?;
    let record = Found { block, header, chunk_crcs, by_tail: false };
    (u64::from(record.end_block()) * BLOCK_BYTES <= end).then_some(record)
}

/// The record that ends with `block`, where `bytes` are, and begins at `from` or behind it.
fn ending_at(bytes: &[u8], key: &SegmentKey, block: u32, from: u32) -> Option<Found> {
    let (block, header, chunk_crcs) = RecordHeader::decode_tail(bytes, key, block).ok()?;
    (block >= from).then_some(Found { block, header, chunk_crcs, by_tail: true })
}

/// What a record is like of which nothing says that it was acknowledged.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Whole,
    /// Whole, as far as it can be read.
    Unreadable,
    Torn,
}

/// Whether all of the record reached the disk: every chunk of its payload, and both its ends. A
/// header that is damaged all the same, although the rest is there, is no torn write: it shares its
/// sector with the beginning of the payload, if there is one.
fn state_of(file: &dyn VfsFile, key: &SegmentKey, record: &Found) -> State {
    let header_bytes = record.header.header_bytes();
    let (Ok(blocks), Ok(payload_bytes)) =
        (usize::try_from(record.header.blocks()), usize::try_from(record.header.payload_bytes))
    else {
        return State::Torn;
    };
    let mut bytes = vec![0; blocks * BLOCK_LEN];
    let unreadable = read_what_can_be(file, u64::from(record.block) * BLOCK_BYTES, &mut bytes);
    let is_read = |from: usize, to: usize| {
        !unreadable.iter().any(|block| block * BLOCK_LEN < to && from < (block + 1) * BLOCK_LEN)
    };
    let payload = bytes.get(header_bytes..header_bytes + payload_bytes).unwrap_or_default();
    let mut from = header_bytes;
    let chunks_are_right =
        payload.chunks(CHUNK_BYTES).zip(&record.chunk_crcs).all(|(chunk, crc)| {
            let to = from + chunk.len();
            let right = !is_read(from, to) || crc32fast::hash(chunk) == *crc;
            from = to;
            right
        }) && payload.chunks(CHUNK_BYTES).len() == record.chunk_crcs.len();
    let last_block = bytes.get(bytes.len() - BLOCK_LEN..).unwrap_or_default();
    let tail = RecordHeader::decode_tail(last_block, key, record.end_block() - 1);
    let has_tail = !is_read(bytes.len() - BLOCK_LEN, bytes.len())
        || tail.is_ok_and(|(block, header, _)| (block, &header) == (record.block, &record.header));
    let is_whole = Barrier::ScannedChunkCrc.test(chunks_are_right)
        && has_tail
        && !(record.by_tail && payload.is_empty());
    match (is_whole, unreadable.is_empty()) {
        (true, true) => State::Whole,
        (true, false) => State::Unreadable,
        (false, _) => State::Torn,
    }
}

/// Reads `bytes` from `offset` on, and answers which blocks of them cannot be read. A read that
/// fails is tried again, block by block.
fn read_what_can_be(file: &dyn VfsFile, offset: u64, bytes: &mut [u8]) -> Vec<usize> {
    if file.read_at(offset, bytes).is_ok() {
        return Vec::new();
    }
    let mut at = offset;
    let mut unreadable = Vec::new();
    for (number, block) in bytes.chunks_mut(BLOCK_LEN).enumerate() {
        if file.read_at(at, block).is_err() {
            block.fill(0);
            unreadable.push(number);
        }
        at = at.saturating_add(BLOCK_BYTES);
    }
    unreadable
}

/// Reads headers through a buffer, which grows while they stand close together, as those of small
/// clips do, and passes over space that was never written.
struct Ahead<'a> {
    file: &'a dyn VfsFile,
    end: u64,
    buf: Vec<u8>,
    start: u64,
    /// How much is read at a time, the rest of a header not counted.
    step: usize,
    /// A stretch that was written.
    written: Range<u64>,
}

/// How much the scan reads at a time at first, and where a header is far behind what was read.
const STEP_BYTES_MIN: usize = 8 * 1024;
/// And at most.
const STEP_BYTES_MAX: usize = 256 * 1024;
/// Gaps between what was written are read along with it up to this length; a header that stands no
/// further behind what was read is close to it.
const GAP_BYTES: u64 = 64 * 1024;

impl<'a> Ahead<'a> {
    fn new(file: &'a dyn VfsFile, end: u64) -> Self {
        Self { file, end, buf: Vec::new(), start: 0, step: STEP_BYTES_MIN, written: 0..0 }
    }

    /// The first block from the one at `offset` on that was written, as far as that is known.
    fn written_from(&mut self, offset: u64) -> Option<u64> {
        if !self.written.contains(&offset) {
            // Where nobody can say, all of it is read.
            let found = self.file.written_from(offset);
            self.written = found.unwrap_or(Some(offset..self.end))?;
        }
        Some(offset.max(self.written.start / BLOCK_BYTES * BLOCK_BYTES))
    }

    /// Bytes that begin at `offset` and hold a whole header, if the file goes on that far; none
    /// where the disk cannot read.
    fn header_at(&mut self, offset: u64) -> io::Result<&[u8]> {
        let header_end = offset.saturating_add(u64::try_from(HEADER_BYTES_MAX).unwrap_or(0));
        let buffered = self.start..self.start + u64::try_from(self.buf.len()).unwrap_or(0);
        if offset < buffered.start || header_end.min(self.end) > buffered.end {
            self.fill(offset)?;
        }
        let from = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
        Ok(self.buf.get(from..).unwrap_or_default())
    }

    /// How much to look at from `offset` on: what was written, but small gaps with what lies
    /// between them.
    fn ahead_from(&mut self, offset: u64) -> usize {
        let ahead = |written: &Range<u64>| narrow(written.end.saturating_sub(offset));
        // Behind the end of what is known to be written the buffer has zeros: to its own end.
        while ahead(&self.written) < self.step + HEADER_BYTES_MAX {
            match self.file.written_from(self.written.end) {
                Ok(Some(next)) if next.start - self.written.end <= GAP_BYTES => {
                    self.written.end = next.end;
                }
                _ => break,
            }
        }
        // A header that begins there may go on behind.
        ahead(&self.written).min(self.step) + HEADER_BYTES_MAX
    }

    fn fill(&mut self, offset: u64) -> io::Result<()> {
        let left = narrow(self.end - offset);
        let behind = self.start.saturating_add(u64::try_from(self.buf.len()).unwrap_or(0));
        let is_close = !self.buf.is_empty() && offset <= behind.saturating_add(GAP_BYTES);
        self.step = if is_close { (self.step * 4).min(STEP_BYTES_MAX) } else { STEP_BYTES_MIN };
        self.start = offset;
        let ahead = self.ahead_from(offset);
        if self.read(offset, left.min(ahead)).is_ok() {
            return Ok(());
        }
        // A bad sector somewhere in the stretch: go block by block, so that it hides only itself.
        // The next stretch is short: a disk may take seconds to say that it cannot read.
        self.step = STEP_BYTES_MIN;
        match self.read(offset, left.min(HEADER_BYTES_MAX)) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(error),
            Err(_) => {
                self.buf.fill(0);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Fills the buffer with `len` bytes from `offset` on. What was not written is zeros and is not
    /// read: in memory it would count as written, for this scan and for the next one.
    fn read(&mut self, offset: u64, len: usize) -> io::Result<()> {
        self.buf.resize(len, 0);
        let there = narrow(self.written.end.saturating_sub(offset)).min(len);
        let (there, behind) = self.buf.split_at_mut(there);
        behind.fill(0);
        self.file.read_at(offset, there)
    }
}

fn narrow(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}
