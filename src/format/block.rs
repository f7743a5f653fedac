//! The frame of the four blocks that describe a file: store slot, segment header, trailer and
//! ledger header.
//!
//! ```text
//!  0        8      12   14                                            4096
//! +--------+------+----+---------------------------------- ... ---------+
//! | magic  | crc  | v  | fields, then zeros                              |
//! +--------+------+----+---------------------------------- ... ---------+
//! ```
//!
//! | offset | size | name    | meaning                                      |
//! |-------:|-----:|---------|----------------------------------------------|
//! |      0 |    8 | magic   | which of the four it is                      |
//! |      8 |    4 | crc     | CRC32 of bytes 12..4096; salted in a trailer |
//! |     12 |    2 | version | format version                               |
//! |     14 | 4082 |         | the fields of the block, then zeros          |
//!
//! These four places keep their meaning in every version, so that a build can always tell a newer
//! block (`Version`) from a damaged one (`Checksum`).

use super::bytes::{Reader, Writer};
use super::{BLOCK_BYTES, Damage, VERSION};
use crate::barrier::Barrier;

/// A block's length, for slices.
pub(crate) const BLOCK_LEN: usize = 4096;
const _: () = assert!(BLOCK_BYTES == 4096 && BLOCK_LEN == 4096);

/// What tells the blocks apart.
pub(super) type Magic = [u8; 8];

const CRC_OFFSET: usize = 8;
/// The first byte under the CRC.
const BODY_OFFSET: usize = 12;

/// A block's frame, ready for the fields; [`seal`] completes it.
pub(super) fn begin(magic: Magic) -> Writer {
    let mut block = Writer::with_capacity(BLOCK_LEN);
    block.put_slice(&magic);
    block.put_u32(0);
    block.put_u16(VERSION);
    block
}

/// Zeros up to the block's end, and `crc` of the body.
pub(super) fn seal(mut block: Writer, crc: impl Fn(&[u8]) -> u32) -> Vec<u8> {
    block.put_zeros(BLOCK_LEN - block.len());
    let crc = crc(&block.as_slice()[BODY_OFFSET..]);
    block.patch_u32(CRC_OFFSET, crc);
    block.finish()
}

/// Checks length, magic, CRC (which `barrier` names) and version of the block at the start of
/// `bytes`; the reader stands behind the version and ends with the block.
pub(super) fn open(
    bytes: &[u8],
    magic: Magic,
    barrier: Barrier,
    crc: impl Fn(&[u8]) -> u32,
) -> Result<Reader<'_>, Damage> {
    let mut fields = Reader::new(bytes.get(..BLOCK_LEN).ok_or(Damage::Short)?);
    if fields.take_array()? != magic {
        return Err(Damage::Magic);
    }
    let stored = fields.take_u32()?;
    let found = crc(bytes.get(BODY_OFFSET..BLOCK_LEN).ok_or(Damage::Short)?);
    if !barrier.test(found == stored) {
        return Err(Damage::Checksum);
    }
    match fields.take_u16()? {
        VERSION => Ok(fields),
        version => Err(Damage::Version(version)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_block_is_told_from_a_damaged_one() {
        let mut block = seal(begin(*b"CLIPTST\0"), crc32fast::hash);
        block[12] = 2;
        assert_eq!(
            open(&block, *b"CLIPTST\0", Barrier::LedgerHeaderCrc, crc32fast::hash).unwrap_err(),
            Damage::Checksum
        );
        let crc = crc32fast::hash(&block[BODY_OFFSET..]);
        block[CRC_OFFSET..BODY_OFFSET].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(
            open(&block, *b"CLIPTST\0", Barrier::LedgerHeaderCrc, crc32fast::hash).unwrap_err(),
            Damage::Version(2)
        );
    }
}
