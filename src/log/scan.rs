//! The scan of a segment that was open when the machine stopped.
//!
//! Finds every record by its salted header, also behind damage, and decides which of them count.
//! Reads only; what must be wiped before the segment is written to again is listed, not done.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::Draft;
use crate::format::record::{HEADER_BYTES_MAX, RecordHeader};
use crate::format::{BLOCK_BYTES, CHUNK_BYTES, SegmentKey};
use crate::types::{ClipId, Error};
use crate::vfs::VfsFile;

/// What a scan found.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) draft: Draft,
    /// The block behind the last record that counts.
    pub(crate) end_block: u32,
    /// Blocks where a header stands that does not count: to be wiped before writing goes on, so
    /// that a later scan cannot find them.
    pub(crate) stale_blocks: Vec<u32>,
    /// Where the last record of each clip stands.
    pub(crate) last_blocks: BTreeMap<ClipId, u32>,
    pub(crate) problems: Vec<Error>,
}

struct Found {
    block: u32,
    header: RecordHeader,
    chunk_crcs: Vec<u32>,
}

/// Scans `len` bytes of a segment. Records behind `durable_bytes`, when the ledger gives it, were
/// never acknowledged and do not count.
///
/// Which records count: a record carries the position up to which the segment was durable when it
/// was made. Whatever lies below the highest such position was acknowledged, so a bad payload there
/// is damage: the record counts, and reading it gives an error. Above it, a bad payload is a write
/// that the power cut tore: the record does not count, nor does what its clip has behind it.
///
/// # Errors
///
/// Only what the system says of the file as a whole; unreadable sectors are problems, not errors.
pub(crate) fn scan(
    file: &dyn VfsFile,
    key: &SegmentKey,
    len: u64,
    durable_bytes: Option<u64>,
) -> io::Result<Scan> {
    let mut problems = Vec::new();
    let limit = durable_bytes.unwrap_or(len).min(len);
    // The last block is the header's copy or a trailer.
    let records_end = len.saturating_sub(BLOCK_BYTES);
    let found = find_records(file, key, records_end)?;
    let witnessed = found.iter().map(|found| found.header.durable_block).max().unwrap_or(0);
    let mut scan = Scan {
        draft: Draft::default(),
        end_block: 1,
        stale_blocks: Vec::new(),
        last_blocks: BTreeMap::new(),
        problems: Vec::new(),
    };
    let mut cut = BTreeSet::new();
    let mut expected_block = 1;
    for record in found {
        let offset = u64::from(record.block) * BLOCK_BYTES;
        let acknowledged = record.block < witnessed;
        if record.block > expected_block && expected_block < witnessed {
            problems.push(
                Error::corrupt(format!(
                    "scan segment: {} blocks of records are damaged",
                    record.block - expected_block
                ))
                .at_offset(u64::from(expected_block) * BLOCK_BYTES),
            );
        }
        let is_gap = !acknowledged && follows_a_gap(&record.header, &scan);
        let torn = !acknowledged && !payload_is_whole(file, &record);
        if offset >= limit || torn || is_gap || cut.contains(&record.header.clip) {
            cut.insert(record.header.clip);
            scan.stale_blocks.push(record.block);
            continue;
        }
        let end = record.block.saturating_add(record.header.blocks());
        scan.draft.add(&record.header, &record.chunk_crcs, record.block);
        scan.last_blocks.insert(record.header.clip, record.block);
        scan.end_block = scan.end_block.max(end);
        expected_block = end;
    }
    scan.problems = problems;
    Ok(scan)
}

/// Whether the clip of `header` has a record in this segment, but not the one just before it.
fn follows_a_gap(header: &RecordHeader, scan: &Scan) -> bool {
    let known = scan.draft.part_of(header.clip);
    known.is_some_and(|(found, _)| found.end_offset != header.clip_offset)
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
    file.read_at(offset, &mut payload).is_ok()
        && payload.chunks(CHUNK_BYTES).map(crc32fast::hash).eq(record.chunk_crcs.iter().copied())
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
