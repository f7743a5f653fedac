//! Block 0 of a segment, its header, and its last block, the trailer.

use super::{Damage, SegmentKey};
use crate::types::{ClassId, SegmentId, Timestamp};

/// Block 0 of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) key: SegmentKey,
    pub(crate) class: ClassId,
    /// The length of the file when it was made.
    pub(crate) segment_bytes: u64,
    /// Trusted time when it was made.
    pub(crate) created: Timestamp,
    /// The boot during which it was made, and the uptime then.
    pub(crate) boot_id: [u8; 16],
    pub(crate) since_boot_us: u64,
    // on disk also: version, incompatible and compatible feature flags, cipher id and key id (0)
}

impl SegmentHeader {
    /// The header's 4 KiB.
    pub(crate) fn encode(&self) -> Vec<u8> { unimplemented!() }
    /// Reads block 0.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damage> { unimplemented!() }
}

/// The last block of a sealed segment: it says where the footer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trailer {
    /// A copy of block 0, so that a sealed segment survives its loss.
    pub(crate) header: SegmentHeader,
    /// Byte offset of the footer, a multiple of 4 KiB; the end of the records.
    pub(crate) footer_offset: u64,
    pub(crate) footer_bytes: u64,
    pub(crate) footer_crc: u32,
    /// The Merkle root over the footer's parts.
    pub(crate) root: [u8; 32],
    /// Trusted time when it was sealed.
    pub(crate) sealed: Timestamp,
    /// Trusted time when its newest record arrived.
    pub(crate) newest_received: Timestamp,
    pub(crate) parts: u32,
    pub(crate) payload_bytes: u64,
}

impl Trailer {
    /// The trailer's 4 KiB, salted with the segment's key and `block`, its own block number.
    pub(crate) fn encode(&self, key: &SegmentKey, block: u32) -> Vec<u8> { unimplemented!() }
    /// Reads the last block of a segment whose block 0 is lost: takes the key from the header that
    /// is embedded here.
    pub(crate) fn decode_unkeyed(bytes: &[u8]) -> Result<Self, Damage> { unimplemented!() }
    /// Reads the last block of a segment.
    pub(crate) fn decode(bytes: &[u8], key: &SegmentKey, block: u32) -> Result<Self, Damage> { unimplemented!() }
}
