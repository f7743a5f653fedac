//! Bytes to values and back, for every file of a store: pure, no I/O, no clock.
//!
//! docs/FORMAT.md draws what these modules read and write, with a worked example of each; a test
//! compares it with them. Every decoder takes any bytes, never panics, never allocates by a length
//! it has not checked, and answers with [`Damage`].

#[cfg(test)]
pub(crate) mod arbitrary;
mod block;
mod bytes;
pub(crate) mod entry;
pub(crate) mod footer;
#[cfg(test)]
mod golden;
#[cfg(feature = "requests")]
pub(crate) mod leaf;
pub(crate) mod merkle;
pub(crate) mod name;
pub(crate) mod page;
pub(crate) mod page_part;
pub(crate) mod partition;
pub(crate) mod partition_writer;
mod payload;
mod piece;
#[cfg(test)]
mod properties;
pub(crate) mod record;
pub(crate) mod segment;
pub(crate) mod slot;

use std::fmt;

pub(crate) use block::BLOCK_LEN;

use crate::barrier::Barrier;
use crate::types::SegmentId;

/// Everything in a segment starts on a multiple of this many bytes.
pub(crate) const BLOCK_BYTES: u64 = 4096;
/// Each payload is checked in chunks of this many bytes: the most that one bad sector costs.
pub(crate) const CHUNK_BYTES: usize = 65_536;
/// A segment's size is a multiple of this many bytes.
pub(crate) const SEGMENT_UNIT_BYTES: u64 = 4 << 20;
/// The largest segment.
pub(crate) const SEGMENT_BYTES_MAX: u64 = 1 << 30;
/// The version that this build writes.
pub(crate) const VERSION: u16 = 1;

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// Too few bytes.
    Short,
    /// Not the magic number: never written, or something else.
    Magic,
    /// The checksum does not match.
    Checksum,
    /// The checksum matches but a field makes no sense; the name of the field.
    Field(&'static str),
    /// Written by a version, or with an incompatible feature, that this build does not know.
    Version(u16),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("too few bytes"),
            Self::Magic => f.write_str("wrong magic number"),
            Self::Checksum => f.write_str("checksum does not match"),
            Self::Field(name) => write!(f, "field {name} is out of range"),
            Self::Version(version) => write!(f, "unknown version or feature {version}"),
        }
    }
}

impl std::error::Error for Damage {}

/// The identity of one segment: what its header CRCs are salted with.
///
/// A record that was written for another store, another segment, another use of the same file, or
/// another block fails its CRC: stale data in reused space, a misdirected write, and a record that
/// somebody forged inside a payload are all rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentKey {
    pub(crate) store: [u8; 16],
    pub(crate) segment: SegmentId,
    pub(crate) salt: [u8; 16],
}

impl SegmentKey {
    /// CRC32 of store id, segment id (u32), salt, `block` (u32) and then `bytes`: what says that
    /// `bytes` were written for this block of this segment.
    pub(crate) fn crc(&self, block: u32, bytes: &[u8]) -> u32 {
        let mut crc = crc32fast::Hasher::new();
        crc.update(&self.store);
        crc.update(&self.segment.0.to_le_bytes());
        if Barrier::SaltInCrc.stands() {
            crc.update(&self.salt);
        }
        if Barrier::BlockInCrc.stands() {
            crc.update(&block.to_le_bytes());
        }
        crc.update(bytes);
        crc.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_depends_on_store_segment_use_and_block() {
        let key = SegmentKey { store: [1; 16], segment: SegmentId(2), salt: [3; 16] };
        let crc = key.crc(4, b"record");
        assert_ne!(SegmentKey { store: [9; 16], ..key }.crc(4, b"record"), crc);
        assert_ne!(SegmentKey { segment: SegmentId(9), ..key }.crc(4, b"record"), crc);
        assert_ne!(SegmentKey { salt: [9; 16], ..key }.crc(4, b"record"), crc);
        assert_ne!(key.crc(9, b"record"), crc);
        assert_ne!(key.crc(4, b"recorD"), crc);
    }
}
