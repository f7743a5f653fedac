//! The footer of a sealed segment: everything an index or a reader needs, without the records.

use super::{Damage, SegmentKey};
use crate::types::{CameraId, ClassId, ClipId, Timestamp};

/// The records of one clip that stand in one segment: the whole clip, or the part of it that was
/// recorded while this segment was open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) clip: ClipId,
    /// Index into [`Footer::cameras`].
    pub(crate) camera: u32,
    pub(crate) class: ClassId,
    /// Has the clip's first record.
    pub(crate) first: bool,
    /// Has the clip's last record.
    pub(crate) last: bool,
    pub(crate) media: u8,
    /// Sequence number of the part's first record.
    pub(crate) sequence: u32,
    /// Where the part's first payload byte stands in the clip.
    pub(crate) clip_offset: u64,
    /// The time the part covers.
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    /// Trusted time when its newest record arrived.
    pub(crate) received: Timestamp,
    pub(crate) uncertainty_us: u64,
    pub(crate) payload_bytes: u64,
    /// BLAKE3 of the clip's bytes from its first up to the end of this part.
    pub(crate) digest: [u8; 32],
    /// The part's records: this many of [`Footer::records`] from `records_start` on.
    pub(crate) records_start: u32,
    pub(crate) records_count: u32,
}

/// One record, as the footer lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordRef {
    /// Block at which it starts.
    pub(crate) block: u32,
    /// Bytes from there to its payload.
    pub(crate) header_bytes: u32,
    pub(crate) payload_bytes: u32,
    /// Index of its first chunk CRC in [`Footer::chunk_crcs`].
    pub(crate) chunks_start: u32,
    /// Where its payload stands in the clip's bytes.
    pub(crate) clip_offset: u64,
}

/// What a sealed segment says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Footer {
    /// Sorted by (camera, start, clip).
    pub(crate) parts: Vec<Part>,
    /// Grouped by part, in clip order.
    pub(crate) records: Vec<RecordRef>,
    /// A copy of the records' CRC tables, so that a bad sector in a record's header costs no more
    /// than the payload bytes in that sector.
    pub(crate) chunk_crcs: Vec<u32>,
    /// The camera directory, in the order of [`Part::camera`].
    pub(crate) cameras: Vec<CameraId>,
}

impl Footer {
    /// The encoded length for these counts, with `camera_bytes` the sum of the cameras' id
    /// lengths, rounded up to whole blocks: lets the writer reserve the room.
    pub(crate) fn encoded_bytes(parts: usize, records: usize, chunks: usize, cameras: usize, camera_bytes: usize) -> u64 { unimplemented!() }
    /// The footer's bytes, padded with zeros to whole blocks.
    pub(crate) fn encode(&self, key: &SegmentKey) -> Vec<u8> { unimplemented!() }
    /// Reads a footer; checks that every index and range in it is inside it and that parts are
    /// sorted. The CRC over `bytes` is the trailer's to check (`footer_crc = crc(bytes)`).
    pub(crate) fn decode(bytes: &[u8], key: &SegmentKey) -> Result<Self, Damage> { unimplemented!() }
    /// The Merkle root over the parts, in their order: `merkle::root` of each encoded part's leaf.
    pub(crate) fn root(&self) -> [u8; 32] { unimplemented!() }
}
