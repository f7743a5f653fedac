//! What was found in a segment of an earlier process, made durable before anything relies on it.
//!
//! To sync it is not enough: after a sync that failed the system takes the pages for clean, shows
//! them to the next process, and never writes them. What may have seen such a sync is written again
//! first; what a power cut leaves of that is what was there.

use std::ops::Range;

use crate::barrier::Barrier;
use crate::format::segment::Trailer;
use crate::format::{BLOCK_BYTES, BLOCK_LEN, CHUNK_BYTES};
use crate::types::{Error, Result};

use super::{Scan, Segment};

/// Overwrites the ends of records that do not count, so that they are never found again, and
/// makes the others durable: a process that was killed may have left them in the page cache.
///
/// # Errors
///
/// What the system says; then nothing may be written behind them.
pub(crate) fn wipe_and_sync(segment: &Segment, scan: &Scan) -> Result<()> {
    let zeros = [0; BLOCK_LEN];
    let fail = |error| Error::io("wipe torn records", &segment.path(), error);
    for torn in &scan.torn {
        let wipe = |block: u32| segment.file.write_at(u64::from(block) * BLOCK_BYTES, &[&zeros]);
        wipe(torn.block).map_err(fail)?;
        if torn.last_block != torn.block {
            wipe(torn.last_block).map_err(fail)?;
        }
    }
    write_tail_again(segment, scan)?;
    Barrier::WipeSync.sync(|| segment.file.sync()).map_err(fail)
}

/// Writes again the records of which nothing says that they are durable. Not synced.
///
/// # Errors
///
/// What the system says of writing.
pub(crate) fn write_tail_again(segment: &Segment, scan: &Scan) -> Result<()> {
    write_again(segment, scan.unwitnessed(), CHUNK_BYTES)
}

/// Makes the footer and trailer of a segment durable whose seal is not on record.
///
/// # Errors
///
/// What the system says; then the seal may not go on record.
pub(crate) fn sync_found_seal(segment: &Segment, trailer: &Trailer) -> Result<()> {
    let fail = |error| Error::io("sync sealed segment", &segment.path(), error);
    let behind = trailer.footer_offset.saturating_add(trailer.footer_bytes);
    let len = segment.file.len().map_err(fail)?;
    write_again(segment, trailer.footer_offset..behind, CHUNK_BYTES)?;
    write_again(segment, len.saturating_sub(BLOCK_BYTES)..len, BLOCK_LEN)?;
    Barrier::FoundSealSync.sync(|| segment.file.sync()).map_err(fail)
}

/// Blocks that cannot be read are left as they are.
fn write_again(segment: &Segment, range: Range<u64>, step: usize) -> Result<()> {
    let mut buf = vec![0; step];
    for offset in range.clone().step_by(step) {
        let end = range.end.min(offset.saturating_add(u64::try_from(step).unwrap_or(u64::MAX)));
        buf.truncate(usize::try_from(end - offset).unwrap_or(step));
        if segment.file.read_at(offset, &mut buf).is_ok() {
            let written = segment.file.write_at(offset, &[&buf]);
            written.map_err(|error| Error::io("write segment again", &segment.path(), error))?;
        } else if step > BLOCK_LEN {
            write_again(segment, offset..end, BLOCK_LEN)?;
        }
    }
    Ok(())
}
