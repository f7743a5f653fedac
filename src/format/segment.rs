//! Block 0 of a segment, its header, and its last block, the trailer.
//!
//! ```text
//! header
//!  0        8    12 14 16   20   24   28   32     48     64 66  72      80      88     104   112
//! +--------+----+--+--+----+----+----+----+------+------+--+---+-------+-------+------+-----+-...
//! |CLIPSEG.|crc |v |ci|inco|comp|key |segm|store | salt |cl| 0 | bytes |created| boot |uptim| 0
//! +--------+----+--+--+----+----+----+----+------+------+--+---+-------+-------+------+-----+-...
//! ```
//!
//! | offset | size | name            | meaning                                                |
//! |-------:|-----:|-----------------|--------------------------------------------------------|
//! |      0 |    8 | magic           | `CLIPSEG\0`                                            |
//! |      8 |    4 | crc             | CRC32 of bytes 12..4096, not salted: it holds the salt |
//! |     12 |    2 | version         | 1                                                      |
//! |     14 |    2 | cipher          | 0, not encrypted; all else reserved                    |
//! |     16 |    4 | incompatible    | feature bits a reader must know; none yet              |
//! |     20 |    4 | compatible      | feature bits a reader may ignore; none yet             |
//! |     24 |    4 | `cipher_key`    | 0; the key's id where there is a cipher                |
//! |     28 |    4 | segment         | id of the segment                                      |
//! |     32 |   16 | store           | id of the store                                        |
//! |     48 |   16 | salt            | random, new at each use of the file                    |
//! |     64 |    2 | class           | retention class; 65535 for evidence                    |
//! |     66 |    6 |                 | zero                                                   |
//! |     72 |    8 | `segment_bytes` | length of the file, a multiple of 4 MiB up to 1 GiB    |
//! |     80 |    8 | created         | trusted time, µs since 1970                            |
//! |     88 |   16 | `boot_id`       | the boot during which it was made                      |
//! |    104 |    8 | `since_boot_us` | uptime then, µs                                        |
//! |    112 | 3984 |                 | zeros                                                  |
//!
//! ```text
//! trailer
//!  0        8    12 14 16       24       32   36   40    72     80     88    96  128    1152 4096
//! +--------+----+--+--+--------+--------+----+----+-----+------+------+-----+---+--------+-...-+
//! |CLIPEND.|crc |v |0 |footer @|footer n|fcrc|part|root |sealed|newest|bytes| 0 | header | 0   |
//! +--------+----+--+--+--------+--------+----+----+-----+------+------+-----+---+--------+-...-+
//! ```
//!
//! | offset | size | name              | meaning                                            |
//! |-------:|-----:|-------------------|----------------------------------------------------|
//! |      0 |    8 | magic             | `CLIPEND\0`                                        |
//! |      8 |    4 | crc               | CRC32 of bytes 12..4096, salted with its own block |
//! |     12 |    2 | version           | 1                                                  |
//! |     14 |    2 |                   | zero                                               |
//! |     16 |    8 | `footer_offset`   | byte offset of the footer; the records end here    |
//! |     24 |    8 | `footer_bytes`    | length of the footer, whole blocks                 |
//! |     32 |    4 | `footer_crc`      | CRC32 of the footer, salted with its first block   |
//! |     36 |    4 | parts             | how many parts the footer lists                    |
//! |     40 |   32 | root              | Merkle root over the parts                         |
//! |     72 |    8 | sealed            | trusted time, µs since 1970                        |
//! |     80 |    8 | `newest_received` | trusted time its newest record came, µs since 1970 |
//! |     88 |    8 | `payload_bytes`   | sum over its parts                                 |
//! |     96 |   32 |                   | zeros                                              |
//! |    128 | 1024 | header            | the first 1024 bytes of block 0, whose rest is 0   |
//! |   1152 | 2944 |                   | zeros                                              |
//!
//! A sealed segment so survives the loss of block 0: the copy has block 0's own CRC, and the key in
//! it checks the rest. Until it is sealed, the last block of a segment is a plain copy of block 0.
//!
//! A reader may skip the reserved bytes of a header that has a compatible bit it does not know; it
//! skips nothing else. It must reject another magic, a wrong CRC, another version, an incompatible
//! bit, a cipher (the last three as `Version`), nonzero reserved bytes, a length that no
//! segment can have, and a footer that is not whole blocks between block 0 and the trailer. A
//! writer must zero the reserved bytes.

use super::block::{self, BLOCK_LEN, Magic};
use super::{BLOCK_BYTES, Damage, SEGMENT_BYTES_MAX, SEGMENT_UNIT_BYTES, SegmentKey};
use crate::barrier::Barrier;
use crate::types::{ClassId, ClipId, SegmentId, Timestamp};

const HEADER_MAGIC: Magic = *b"CLIPSEG\0";
const TRAILER_MAGIC: Magic = *b"CLIPEND\0";

/// No field of a header stands behind this many bytes: what a trailer keeps of it.
const HEADER_COPY_BYTES: usize = 1024;
/// Where it keeps them.
const HEADER_COPY_OFFSET: usize = 128;

const _: () = assert!(HEADER_COPY_OFFSET + HEADER_COPY_BYTES <= BLOCK_LEN);
const _: () = assert!(SEGMENT_UNIT_BYTES.is_multiple_of(BLOCK_BYTES));
const _: () = assert!(SEGMENT_BYTES_MAX.is_multiple_of(SEGMENT_UNIT_BYTES));

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
}

impl SegmentHeader {
    /// Whether what this segment has of `clip` is the beginning of all that there is of it: it
    /// began here, or it was moved here as a whole.
    pub(crate) fn is_home_of(&self, clip: ClipId) -> bool {
        self.class == ClassId::EVIDENCE || clip.home == self.key.segment
    }

    /// The header's 4 KiB.
    pub(crate) fn encode(&self) -> Vec<u8> {
        debug_assert!(is_segment_length(self.segment_bytes), "{} bytes", self.segment_bytes);
        let mut header = block::begin(HEADER_MAGIC);
        header.put_u16(0); // cipher
        header.put_u32(0); // incompatible
        header.put_u32(0); // compatible
        header.put_u32(0); // cipher_key
        header.put_u32(self.key.segment.0);
        header.put_slice(&self.key.store);
        header.put_slice(&self.key.salt);
        header.put_u16(self.class.0);
        header.put_zeros(6);
        header.put_u64(self.segment_bytes);
        header.put_timestamp(self.created);
        header.put_slice(&self.boot_id);
        header.put_u64(self.since_boot_us);
        debug_assert_eq!(header.len(), 112, "the table above");
        block::seal(header, crc32fast::hash)
    }

    /// Reads block 0.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let mut fields =
            block::open(bytes, HEADER_MAGIC, Barrier::SegmentHeaderCrc, crc32fast::hash)?;
        let cipher = fields.take_u16()?;
        let incompatible = fields.take_u32()?;
        let compatible = fields.take_u32()?;
        let cipher_key = fields.take_u32()?;
        if cipher != 0 {
            return Err(Damage::Version(cipher));
        }
        if incompatible != 0 {
            // The low bits name the feature as far as they fit; high ones alone still say "newer".
            return Err(Damage::Version(u16::try_from(incompatible).unwrap_or(u16::MAX)));
        }
        if cipher_key != 0 {
            return Err(Damage::Field("cipher_key"));
        }
        let segment = SegmentId(fields.take_u32()?);
        let key = SegmentKey { store: fields.take_array()?, segment, salt: fields.take_array()? };
        let class = ClassId(fields.take_u16()?);
        let reserved = fields.take_slice(6)?;
        let header = Self {
            key,
            class,
            segment_bytes: fields.take_u64()?,
            created: fields.take_timestamp("created")?,
            boot_id: fields.take_array()?,
            since_boot_us: fields.take_u64()?,
        };
        if !is_segment_length(header.segment_bytes) {
            return Err(Damage::Field("segment_bytes"));
        }
        if compatible == 0 {
            if reserved != [0; 6] {
                return Err(Damage::Field("reserved"));
            }
            fields.finish_zeros("reserved")?;
        }
        Ok(header)
    }
}

/// Whether a segment can have this many bytes.
const fn is_segment_length(bytes: u64) -> bool {
    bytes > 0 && bytes <= SEGMENT_BYTES_MAX && bytes.is_multiple_of(SEGMENT_UNIT_BYTES)
}

/// Reads the part of block 0 that a trailer keeps.
fn header_from_copy(copy: &[u8]) -> Result<SegmentHeader, Damage> {
    let mut block = [0; BLOCK_LEN];
    block.get_mut(..copy.len()).ok_or(Damage::Short)?.copy_from_slice(copy);
    SegmentHeader::decode(&block)
}

/// The last block of a sealed segment: it says where the footer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trailer {
    /// What block 0 says, so that a sealed segment survives its loss.
    pub(crate) header: SegmentHeader,
    /// Byte offset of the footer, a multiple of 4 KiB; the end of the records.
    pub(crate) footer_offset: u64,
    pub(crate) footer_bytes: u64,
    /// [`SegmentKey::crc`] of the footer's bytes at [`Trailer::footer_block`].
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
    pub(crate) fn encode(&self, key: &SegmentKey, block: u32) -> Vec<u8> {
        debug_assert!(self.footer_fits(block), "footer outside the segment");
        debug_assert_eq!(self.header.key, *key, "a trailer of its own segment");
        let mut trailer = block::begin(TRAILER_MAGIC);
        trailer.put_u16(0);
        trailer.put_u64(self.footer_offset);
        trailer.put_u64(self.footer_bytes);
        trailer.put_u32(self.footer_crc);
        trailer.put_u32(self.parts);
        trailer.put_slice(&self.root);
        trailer.put_timestamp(self.sealed);
        trailer.put_timestamp(self.newest_received);
        trailer.put_u64(self.payload_bytes);
        debug_assert_eq!(trailer.len(), 96, "the table above");
        trailer.put_zeros(HEADER_COPY_OFFSET - trailer.len());
        trailer.put_slice(&self.header.encode()[..HEADER_COPY_BYTES]);
        block::seal(trailer, |body| key.crc(block, body))
    }

    /// Reads the last block of a segment.
    pub(crate) fn decode(bytes: &[u8], key: &SegmentKey, block: u32) -> Result<Self, Damage> {
        let crc = |body: &[u8]| key.crc(block, body);
        let mut fields = block::open(bytes, TRAILER_MAGIC, Barrier::TrailerCrc, crc)?;
        fields.take_zeros(2, "reserved")?;
        let footer_offset = fields.take_u64()?;
        let footer_bytes = fields.take_u64()?;
        let footer_crc = fields.take_u32()?;
        let parts = fields.take_u32()?;
        let root = fields.take_array()?;
        let sealed = fields.take_timestamp("sealed")?;
        let newest_received = fields.take_timestamp("newest_received")?;
        let payload_bytes = fields.take_u64()?;
        fields.take_zeros(32, "reserved")?;
        let header = header_from_copy(fields.take_slice(HEADER_COPY_BYTES)?)?;
        fields.finish_zeros("reserved")?;
        let trailer = Self {
            header,
            footer_offset,
            footer_bytes,
            footer_crc,
            root,
            sealed,
            newest_received,
            parts,
            payload_bytes,
        };
        if trailer.header.key != *key {
            return Err(Damage::Field("header"));
        }
        if trailer.footer_fits(block) { Ok(trailer) } else { Err(Damage::Field("footer_offset")) }
    }

    /// Reads the last block of a sealed segment whose block 0 is lost: the header in it has a CRC
    /// of its own, and the key in that checks the trailer.
    pub(crate) fn decode_unkeyed(bytes: &[u8], block: u32) -> Result<Self, Damage> {
        let copy = HEADER_COPY_OFFSET..HEADER_COPY_OFFSET + HEADER_COPY_BYTES;
        let header = header_from_copy(bytes.get(copy).ok_or(Damage::Short)?)?;
        Self::decode(bytes, &header.key, block)
    }

    /// The block at which the footer starts: what `footer_crc` is salted with.
    pub(crate) fn footer_block(&self) -> u32 {
        u32::try_from(self.footer_offset / BLOCK_BYTES).unwrap_or(u32::MAX)
    }

    /// Whether a sealed segment of full length can have it.
    pub(super) fn is_possible(&self) -> bool {
        let last = (self.header.segment_bytes / BLOCK_BYTES).checked_sub(1);
        let last = last.and_then(|last| u32::try_from(last).ok());
        is_segment_length(self.header.segment_bytes)
            && last.is_some_and(|last| self.footer_fits(last))
    }

    /// Whether the footer is whole blocks between block 0 and the trailer at `block`.
    fn footer_fits(&self, block: u32) -> bool {
        self.footer_offset.is_multiple_of(BLOCK_BYTES)
            && self.footer_bytes.is_multiple_of(BLOCK_BYTES)
            && self.footer_offset >= BLOCK_BYTES
            && self.footer_bytes > 0
            && self
                .footer_offset
                .checked_add(self.footer_bytes)
                .is_some_and(|end| end <= u64::from(block) * BLOCK_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::arbitrary::{KEY, LAST_BLOCK, sample_segment_header, sample_trailer};

    /// The sample header with `bytes` put at `offset` and a right CRC.
    fn header_with(offset: usize, bytes: &[u8]) -> Result<SegmentHeader, Damage> {
        let mut block = sample_segment_header().encode();
        block[offset..offset + bytes.len()].copy_from_slice(bytes);
        let crc = crc32fast::hash(&block[12..]);
        block[8..12].copy_from_slice(&crc.to_le_bytes());
        SegmentHeader::decode(&block)
    }

    /// The sample trailer with `bytes` put at `offset` and a right CRC.
    fn trailer_with(offset: usize, bytes: &[u8]) -> Result<Trailer, Damage> {
        let mut block = sample_trailer().encode(&KEY, LAST_BLOCK);
        block[offset..offset + bytes.len()].copy_from_slice(bytes);
        let crc = KEY.crc(LAST_BLOCK, &block[12..]);
        block[8..12].copy_from_slice(&crc.to_le_bytes());
        Trailer::decode(&block, &KEY, LAST_BLOCK)
    }

    #[test]
    fn encrypted_or_incompatible_segment_is_of_a_newer_build() {
        assert_eq!(header_with(12, &[2]), Err(Damage::Version(2)));
        assert_eq!(header_with(14, &[1]), Err(Damage::Version(1)), "cipher");
        assert_eq!(header_with(16, &[4]), Err(Damage::Version(4)), "incompatible");
        assert_eq!(header_with(19, &[0x80]), Err(Damage::Version(u16::MAX)), "high bit");
        assert_eq!(header_with(24, &[1]), Err(Damage::Field("cipher_key")));
    }

    #[test]
    fn compatible_feature_may_use_reserved_bytes() {
        assert_eq!(header_with(66, &[1]), Err(Damage::Field("reserved")));
        assert_eq!(header_with(112, &[1]), Err(Damage::Field("reserved")));
        assert_eq!(header_with(4095, &[1]), Err(Damage::Field("reserved")));
        assert_eq!(header_with(20, &[1]), Ok(sample_segment_header()));
        let mut feature = sample_segment_header().encode()[20..].to_vec();
        (feature[0], feature[4000]) = (1, 9);
        assert_eq!(header_with(20, &feature), Ok(sample_segment_header()));
    }

    #[test]
    fn length_that_no_segment_can_have_is_rejected() {
        for bytes in [0, 1, SEGMENT_UNIT_BYTES + 4096, SEGMENT_BYTES_MAX + SEGMENT_UNIT_BYTES] {
            assert_eq!(header_with(72, &bytes.to_le_bytes()), Err(Damage::Field("segment_bytes")));
        }
        assert!(header_with(72, &SEGMENT_BYTES_MAX.to_le_bytes()).is_ok());
    }

    #[test]
    fn trailer_cannot_point_outside_its_segment() {
        let outside = Err(Damage::Field("footer_offset"));
        for offset in [0, 4095, 1023 * 4096, 1024 * 4096, u64::MAX - 4095] {
            assert_eq!(trailer_with(16, &offset.to_le_bytes()), outside, "{offset}");
        }
        for bytes in [0, 4095, 1003 * 4096, u64::MAX - 4095] {
            assert_eq!(trailer_with(24, &bytes.to_le_bytes()), outside, "{bytes}");
        }
        assert!(trailer_with(24, &(1002_u64 * 4096).to_le_bytes()).is_ok(), "up to the trailer");
        assert_eq!(trailer_with(14, &[1]), Err(Damage::Field("reserved")));
        assert_eq!(trailer_with(4095, &[1]), Err(Damage::Field("reserved")));
    }

    #[test]
    fn trailer_of_another_segment_or_block_is_rejected() {
        let block = sample_trailer().encode(&KEY, LAST_BLOCK);
        let stale = SegmentKey { salt: [0; 16], ..KEY };
        assert_eq!(Trailer::decode(&block, &stale, LAST_BLOCK), Err(Damage::Checksum));
        assert_eq!(Trailer::decode(&block, &KEY, LAST_BLOCK - 1), Err(Damage::Checksum));
    }

    #[test]
    fn trailer_alone_gives_the_lost_header_back() {
        let bytes = sample_trailer().encode(&KEY, LAST_BLOCK);
        assert_eq!(Trailer::decode_unkeyed(&bytes, LAST_BLOCK), Ok(sample_trailer()));
        assert_eq!(sample_trailer().header, sample_segment_header());
    }

    #[test]
    fn damaged_trailer_gives_no_header() {
        let bytes = sample_trailer().encode(&KEY, LAST_BLOCK);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(Trailer::decode_unkeyed(&damaged, LAST_BLOCK).is_err(), "byte {at}");
        }
        assert_eq!(Trailer::decode_unkeyed(&bytes[..100], LAST_BLOCK), Err(Damage::Short));
    }

    #[test]
    fn copy_of_block_0_in_an_unsealed_segment_is_no_trailer() {
        let block = sample_segment_header().encode();
        assert!(Trailer::decode_unkeyed(&block, LAST_BLOCK).is_err());
        assert_eq!(Trailer::decode(&block, &KEY, LAST_BLOCK), Err(Damage::Magic));
    }

    #[test]
    fn trailer_with_the_header_of_another_segment_is_rejected() {
        let mut other = sample_segment_header();
        other.key.segment = other.key.segment.next();
        let copy = &other.encode()[..HEADER_COPY_BYTES];
        assert_eq!(trailer_with(HEADER_COPY_OFFSET, copy), Err(Damage::Field("header")));
    }
}
