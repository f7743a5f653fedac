//! The log: segments, how records get into them, and how they are read and scanned.
//!
//! Knows nothing of holds, expiry or the index: it stores records, tells what is durable, and gives
//! verified bytes back.

mod appender;
mod draft;
mod lease;
mod scan;
mod seal;
mod segment;

pub(crate) use appender::{Appender, ClipSlot, Host, Published, Submission, Ticket};
pub(crate) use draft::Draft;
pub(crate) use lease::{Lease, Leases, Mapping};
pub(crate) use scan::{Scan, scan};
pub(crate) use seal::{seal_copy, seal_segment};
pub(crate) use segment::{FooterCache, Opened, Segment};

use crate::format::footer::{Part, RecordRef};
use crate::types::CameraId;

/// A part of a clip, as found in a segment.
#[derive(Clone, Debug)]
pub(crate) struct FoundPart {
    /// What the footer says; its `camera` and `records_start` mean nothing outside the footer.
    pub(crate) part: Part,
    pub(crate) camera: CameraId,
    /// Where the part's last payload byte ends in the clip.
    pub(crate) end_offset: u64,
}

/// The records of one part, with their chunk CRCs (`RecordRef::chunks_start` counts from here).
#[derive(Clone, Debug)]
pub(crate) struct PartRecords {
    pub(crate) records: Vec<RecordRef>,
    pub(crate) chunk_crcs: Vec<u32>,
}

impl PartRecords {
    /// The chunk CRCs of `record`.
    pub(crate) fn crcs_of(&self, record: &RecordRef) -> &[u32] {
        let start = usize::try_from(record.chunks_start).unwrap_or(usize::MAX);
        let chunks = crate::format::record::chunk_count(record.payload_bytes);
        let end = start.saturating_add(usize::try_from(chunks).unwrap_or(usize::MAX));
        self.chunk_crcs.get(start..end).unwrap_or(&[])
    }
}
