//! The log: segments, how records get into them, and how they are read and scanned.
//!
//! Knows nothing of holds, expiry or the index: it stores records, tells what is durable, and gives
//! verified bytes back.

mod appender;
mod clip_slot;
mod draft;
mod fetch;
mod found;
mod group;
mod handle;
mod leader;
mod lease;
mod leftover;
mod mapping;
mod parts;
mod resume;
mod retire;
mod scan;
mod seal;
mod segment;

#[cfg(test)]
mod tests;

pub(crate) use appender::{Appender, Host, Published, Reached, Submission, Ticket};
pub(crate) use clip_slot::ClipSlot;
pub(crate) use draft::Draft;
pub(crate) use fetch::{FETCH_BYTES_MIN, Fetched, Fetches, fetch_range};
pub(crate) use found::{FoundSegment, Opened};
pub(crate) use handle::Handles;
pub(crate) use lease::{Lease, Leases};
pub(crate) use leftover::Leftover;
pub(crate) use mapping::Mapping;
pub(crate) use parts::{PartRecords, SealedParts};
pub(crate) use resume::{sync_found_seal, wipe_and_sync, write_tail_again};
pub(crate) use scan::{Known, Scan, scan};
pub(crate) use seal::{give_back_unused, seal_copy, seal_segment};
pub(crate) use segment::{FooterCache, Segment};

use crate::format::footer::Part;
use crate::format::page_part::PagePart;
use crate::types::{CameraId, SegmentId};

/// A part of a clip, as found in a segment.
#[derive(Clone, Debug)]
pub(crate) struct FoundPart {
    /// What the footer says; its `camera` and `records_start` mean nothing outside the footer.
    pub(crate) part: Part,
    pub(crate) camera: CameraId,
    /// Where the part's last payload byte ends in the clip.
    pub(crate) end_offset: u64,
    /// How many of its records have bytes of the clip: the last one may only end it.
    pub(crate) fragments: u32,
}

impl FoundPart {
    /// What the index keeps of it, and a list of clips says; it stands in `segment`.
    pub(crate) const fn on_page(&self, segment: SegmentId) -> PagePart {
        let part = &self.part;
        PagePart {
            start: part.start,
            segment,
            class: part.class,
            first: part.first,
            last: part.last,
            continued: part.continued,
            media: part.media,
            clip: part.clip,
            end: part.end,
            received: part.received,
            end_offset: self.end_offset,
            uncertainty_us: part.uncertainty_us,
            sequence: part.sequence,
            fragments: self.fragments,
            digest: part.digest,
        }
    }
}
