//! Bytes to values and back, for every file of a store: pure, no I/O, no clock.
//!
//! docs/FORMAT.md draws what these modules read and write. Every decoder takes any bytes, never
//! panics, never allocates by a length it has not checked, and answers with [`Damage`].

pub(crate) mod entry;
pub(crate) mod footer;
pub(crate) mod merkle;
pub(crate) mod name;
pub(crate) mod record;
pub(crate) mod segment;
pub(crate) mod slot;

use std::fmt;

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
