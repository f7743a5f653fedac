//! A record: one fragment of one clip.

use super::{Damage, SegmentKey};
use crate::types::{CameraId, ClassId, ClipId, SegmentId, Timestamp};

/// The most payload bytes in one record; a longer fragment becomes several records.
pub(crate) const RECORD_PAYLOAD_BYTES_MAX: usize = 1 << 20;

/// What stands before a record's payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) clip: ClipId,
    pub(crate) camera: CameraId,
    /// The class under which the clip was recorded, also in an evidence segment.
    pub(crate) class: ClassId,
    /// The first record of its clip.
    pub(crate) first: bool,
    /// The last record of its clip: the clip is complete.
    pub(crate) last: bool,
    /// `Media::code`.
    pub(crate) media: u8,
    /// 0, 1, 2 .. in the clip.
    pub(crate) sequence: u32,
    /// Where the payload stands in the clip's bytes.
    pub(crate) clip_offset: u64,
    pub(crate) payload_bytes: u32,
    /// The time that this fragment covers; `start == end` in a record that only ends a clip.
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    /// Trusted time when it arrived.
    pub(crate) received: Timestamp,
    pub(crate) uncertainty_us: u64,
    /// Where the clip's record before this one is: segment and block; `None` in the first.
    pub(crate) previous: Option<(SegmentId, u32)>,
    /// BLAKE3 of the clip's bytes from its first up to the end of this payload.
    pub(crate) digest: [u8; 32],
    /// All blocks of this segment below this one were durable when this record was made.
    pub(crate) durable_block: u32,
}

impl RecordHeader {
    /// The bytes of header and chunk CRC table: the payload begins right behind them.
    pub(crate) fn header_bytes(&self) -> usize { unimplemented!() }
    /// How many 4 KiB blocks the whole record takes.
    pub(crate) fn blocks(&self) -> u32 { unimplemented!() }
    /// Header and CRC table; `chunk_crcs` are [`chunk_crcs`] of the payload.
    pub(crate) fn encode(&self, chunk_crcs: &[u32], key: &SegmentKey, block: u32) -> Vec<u8> { unimplemented!() }
    /// Reads what stands at block `block`: `bytes` begin there and hold at least the header
    /// (`HEADER_BYTES_MAX` bytes are always enough). Gives the header and its chunk CRCs.
    pub(crate) fn decode(bytes: &[u8], key: &SegmentKey, block: u32) -> Result<(Self, Vec<u32>), Damage> { unimplemented!() }
}

/// No header with its CRC table is longer.
pub(crate) const HEADER_BYTES_MAX: usize = 4096;

/// The CRC32 of each 64 KiB chunk of `payload`, the last one shorter.
pub(crate) fn chunk_crcs(payload: &[u8]) -> Vec<u32> { unimplemented!() }

/// How many chunks a payload of `payload_bytes` has.
pub(crate) fn chunk_count(payload_bytes: u32) -> u32 { unimplemented!() }
