//! Sealing: the footer and trailer that make a segment immutable.

use std::sync::Weak;

use crate::barrier::Barrier;
use crate::format::BLOCK_BYTES;
use crate::format::footer::Footer;
use crate::format::segment::Trailer;
use crate::types::{Error, Result, Timestamp};

use super::Segment;

/// Seals a segment whose records end at `end_block`: the footer goes behind them, the trailer into
/// the last block of the file, all in space that is allocated already. What lies between was never
/// used and is given back.
///
/// # Errors
///
/// What the system says; the segment stays open, and its records are as safe as they were.
pub(crate) fn seal_segment(segment: &Segment, end_block: u32, now: Timestamp) -> Result<Trailer> {
    let fail = |error| Error::io("seal segment", &segment.path(), error);
    let file_bytes = segment.file.len().map_err(fail)?;
    let (trailer, footer) = write_ends(segment, end_block, now, Some(file_bytes))?;
    Barrier::SealSync.sync(|| segment.file.sync()).map_err(fail)?;
    segment.set_sealed(trailer.clone(), footer);
    give_back_unused(segment, &trailer, file_bytes);
    Ok(trailer)
}

/// Lets the records of sealed segments out of the page cache: they are read later, if at all. But
/// where somebody has watched clips already, all stays: the system cannot tell what was read from
/// what was written, and takes first what nobody has read. It takes as long as there are pages,
/// milliseconds: nobody should wait for it.
pub(super) fn leave_cache(sealed: &[Weak<Segment>]) {
    for segment in sealed.iter().filter_map(Weak::upgrade).filter(|one| !one.is_watched()) {
        if let Some(trailer) = segment.trailer() {
            segment.file.drop_cache(0..trailer.footer_offset);
        }
    }
}

/// Gives back the room between the footer of a sealed segment and its trailer, which was never
/// used. Not synced: room that a power cut brings back is given back again at opening.
pub(crate) fn give_back_unused(segment: &Segment, trailer: &Trailer, file_bytes: u64) {
    let used = trailer.footer_offset.saturating_add(trailer.footer_bytes);
    let unused = used..file_bytes.saturating_sub(BLOCK_BYTES);
    if !unused.is_empty() {
        // Space that could not be given back is only space.
        segment.file.punch(unused).ok();
    }
}

/// Seals an evidence segment: the trailer goes right behind the footer, and the file is cut there,
/// so that holding clips costs hardly more than the clips.
///
/// # Errors
///
/// As [`seal_segment`].
pub(crate) fn seal_copy(segment: &Segment, end_block: u32, now: Timestamp) -> Result<Trailer> {
    let fail = |error| Error::io("seal evidence segment", &segment.path(), error);
    let (trailer, footer) = write_ends(segment, end_block, now, None)?;
    let file_bytes = trailer.footer_offset + trailer.footer_bytes + BLOCK_BYTES;
    segment.file.truncate(file_bytes).map_err(fail)?;
    Barrier::EvidenceSync.sync(|| segment.file.sync()).map_err(fail)?;
    segment.set_sealed(trailer.clone(), footer);
    Ok(trailer)
}

/// Writes footer and trailer, the latter into the last block of `file_bytes` or right behind the
/// footer. The trailer vouches for the footer by its CRC, so one sync of both is enough.
fn write_ends(
    segment: &Segment,
    end_block: u32,
    now: Timestamp,
    file_bytes: Option<u64>,
) -> Result<(Trailer, Footer)> {
    let fail = |error| Error::io("seal segment", &segment.path(), error);
    let key = &segment.header.key;
    let facts = segment.with_draft(|draft| {
        draft.mark_beginnings(|clip| segment.header.is_home_of(clip));
        (draft.footer(), draft.payload_bytes(), draft.newest_received())
    });
    let Some((footer, payload_bytes, newest_received)) = facts else {
        return Err(Error::corrupt("seal segment: it is sealed already").at(&segment.path()));
    };
    let bytes = footer.encode(key);
    let footer_offset = u64::from(end_block) * BLOCK_BYTES;
    let footer_bytes = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let trailer = Trailer {
        header: segment.header.clone(),
        footer_offset,
        footer_bytes,
        footer_crc: key.crc(end_block, &bytes),
        root: footer.root(),
        sealed: now,
        newest_received,
        parts: u32::try_from(footer.parts.len()).unwrap_or(u32::MAX),
        payload_bytes,
    };
    let behind = footer_offset + footer_bytes;
    let trailer_offset = file_bytes.map_or(behind, |bytes| bytes.saturating_sub(BLOCK_BYTES));
    if trailer_offset < behind {
        return Err(Error::corrupt("seal segment: no room for its footer").at(&segment.path()));
    }
    let block = u32::try_from(trailer_offset / BLOCK_BYTES).unwrap_or(u32::MAX);
    segment.file.write_at(footer_offset, &[&bytes]).map_err(fail)?;
    segment.file.write_at(trailer_offset, &[&trailer.encode(key, block)]).map_err(fail)?;
    Ok((trailer, footer))
}
