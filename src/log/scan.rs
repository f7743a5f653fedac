//! The scan of a segment that was open when the machine stopped.
//!
//! Finds every record by its salted header, also behind damage, and decides which of them count.
//! Reads only; what must be wiped before the segment is written to again is listed, not done.

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;

use super::Draft;
use crate::barrier::Barrier;
use crate::format::record::{HEADER_BYTES_MAX, RecordHeader};
use crate::format::{BLOCK_BYTES, CHUNK_BYTES, SegmentKey};
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
    pub(crate) draft: Draft,
    /// The block behind the last record that counts, or that is known to have been acknowledged.
    pub(crate) end_block: u32,
    /// Everything below was acknowledged.
    witnessed_block: u32,
    /// The records that do not count: to be wiped before writing goes on, so that a later scan
    /// cannot find them.
    pub(crate) torn: Vec<Torn>,
    pub(crate) problems: Vec<Error>,
}

/// A record that does not count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Torn {
    pub(crate) block: u32,
    pub(crate) clip: ClipId,
}

struct Found {
    block: u32,
    header: RecordHeader,
    chunk_crcs: Vec<u32>,
}

/// Scans `len` bytes of a segment.
///
/// Which records count: a record carries the position up to which the segment was durable when it
/// was made, and the ledger may know of a higher one. Whatever lies below the highest such position
/// was acknowledged, so a bad payload there is damage: the record counts, and reading it gives an
/// error. Above it, a bad payload is a write that the power cut tore: the record does not count,
/// nor does what its clip has behind it.
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
    let limit = known.failed_at.unwrap_or(len).min(len);
    // The last block is the header's copy or a trailer.
    let records_end = len.saturating_sub(BLOCK_BYTES);
    let found = find_records(file, key, records_end)?;
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
    };
    let mut cut = BTreeSet::new();
    for record in found {
        let acknowledged = record.block < witnessed;
        scan.note_damage(record.block.min(witnessed));
        let offset = u64::from(record.block) * BLOCK_BYTES;
        let is_gap = !acknowledged && follows_a_gap(&record.header, key, &scan);
        let torn = !acknowledged && !payload_is_whole(file, &record);
        if offset >= limit || torn || is_gap || cut.contains(&record.header.clip) {
            cut.insert(record.header.clip);
            scan.torn.push(Torn { block: record.block, clip: record.header.clip });
            continue;
        }
        let end = record.block.saturating_add(record.header.blocks());
        scan.draft.add(&record.header, &record.chunk_crcs, record.block);
        scan.end_block = scan.end_block.max(end);
    }
    // What was acknowledged behind the last record that was found is not written over.
    scan.note_damage(scan.witnessed_block);
    Ok(scan)
}

impl Scan {
    /// Takes the records of `clip` at `blocks` off again: the draft, which ends at `end_block`, no
    /// longer has them.
    pub(crate) fn cut(&mut self, clip: ClipId, blocks: &[u32], end_block: u32) {
        self.torn.extend(blocks.iter().map(|block| Torn { block: *block, clip }));
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

/// Every valid record header up to `end`, in block order.
fn find_records(file: &dyn VfsFile, key: &SegmentKey, end: u64) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    let mut reader = Ahead::new(file, end);
    let mut block = 1_u32;
    while u64::from(block) * BLOCK_BYTES < end {
        let offset = u64::from(block) * BLOCK_BYTES;
        let decoded = RecordHeader::decode(reader.header_at(offset)?, key, block).ok();
        let fits = decoded.filter(|(header, _)| {
            offset.saturating_add(u64::from(header.blocks()) * BLOCK_BYTES) <= end
        });
        let Some((header, chunk_crcs)) = fits else {
            block = block.saturating_add(1);
            continue;
        };
        let next = block.saturating_add(header.blocks().max(1));
        found.push(Found { block, header, chunk_crcs });
        block = next;
    }
    Ok(found)
}

/// Whether every chunk of the record's payload matches its CRC.
fn payload_is_whole(file: &dyn VfsFile, record: &Found) -> bool {
    let Ok(header_bytes) = u64::try_from(record.header.header_bytes()) else { return false };
    let Ok(len) = usize::try_from(record.header.payload_bytes) else { return false };
    let mut payload = vec![0; len];
    let offset = u64::from(record.block) * BLOCK_BYTES + header_bytes;
    if file.read_at(offset, &mut payload).is_err() {
        return false;
    }
    let crcs = payload.chunks(CHUNK_BYTES).map(crc32fast::hash);
    Barrier::ScannedChunkCrc.test(crcs.eq(record.chunk_crcs.iter().copied()))
}

/// Reads headers through a large buffer, because most of a scan steps block by block over space
/// that was never written.
struct Ahead<'a> {
    file: &'a dyn VfsFile,
    end: u64,
    buf: Vec<u8>,
    start: u64,
}

/// How much the scan reads at a time.
const AHEAD_BYTES: usize = 256 * 1024;

impl<'a> Ahead<'a> {
    fn new(file: &'a dyn VfsFile, end: u64) -> Self {
        Self { file, end, buf: Vec::new(), start: 0 }
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

    fn fill(&mut self, offset: u64) -> io::Result<()> {
        let left = usize::try_from(self.end - offset).unwrap_or(usize::MAX);
        self.start = offset;
        self.buf.resize(left.min(AHEAD_BYTES), 0);
        if self.file.read_at(offset, &mut self.buf).is_ok() {
            return Ok(());
        }
        // A bad sector somewhere in the stretch: go block by block, so that it hides only itself.
        self.buf.resize(left.min(HEADER_BYTES_MAX), 0);
        match self.file.read_at(offset, &mut self.buf) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(error),
            Err(_) => {
                self.buf.fill(0);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}
