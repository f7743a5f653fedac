//! The header and the trailer of a segment.
//!
//! Asserts that either is read only under its right CRC and in its one spelling, that a trailer
//! belongs to its segment and its block, and that where it says the footer is, a footer can be.

use super::choices::Choices;
use super::{BLOCK_LEN, KEY, put, u32_at};
use crate::format::segment::{SegmentHeader, Trailer};
use crate::format::{BLOCK_BYTES, Damage, SEGMENT_BYTES_MAX, SEGMENT_UNIT_BYTES};

const HEADER_MAGIC: &[u8; 8] = b"CLIPSEG\0";
const TRAILER_MAGIC: &[u8; 8] = b"CLIPEND\0";
/// The last block of a segment of 4 MiB.
const LAST_BLOCK: u32 = 1023;
/// Where the fields of each begin and end, and the copy of the header in a trailer.
const FIELDS: usize = 12;
const HEADER_END: usize = 112;
const TRAILER_END: usize = 96;
const COPY: std::ops::Range<usize> = 128..1152;

/// Input: the fields of a header, those of a trailer, and then `offset xor` three bytes each: what
/// is changed in both before they get their CRCs.
pub fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut header = vec![0; BLOCK_LEN];
    put(&mut header, 0, HEADER_MAGIC);
    put(&mut header, FIELDS, choices.bytes(HEADER_END - FIELDS));
    let mut trailer = vec![0; BLOCK_LEN];
    put(&mut trailer, 0, TRAILER_MAGIC);
    put(&mut trailer, FIELDS, choices.bytes(TRAILER_END - FIELDS));
    let mut changes = Vec::new();
    while !choices.is_empty() {
        changes.push((usize::from(choices.u16()), choices.u8()));
    }
    change(&mut header, &changes);
    seal(&mut header, crc32fast::hash);
    read_header(&header);
    // Once with the header that belongs there, once with what came of the fields.
    for copy in [own_header(), header] {
        let mut trailer = trailer.clone();
        put(&mut trailer, COPY.start, &copy[..COPY.len()]);
        change(&mut trailer, &changes);
        seal(&mut trailer, |body| KEY.crc(LAST_BLOCK, body));
        read_trailer(&trailer);
    }
    read_header(data);
    read_trailer(data);
}

fn change(block: &mut [u8], changes: &[(usize, u8)]) {
    for (at, xor) in changes {
        if let Some(byte) = block.get_mut(*at) {
            *byte ^= xor;
        }
    }
}

fn seal(block: &mut [u8], crc: impl Fn(&[u8]) -> u32) {
    let crc = crc(&block[FIELDS..]);
    put(block, 8, &crc.to_le_bytes());
}

/// Block 0 of the segment of all inputs.
fn own_header() -> Vec<u8> {
    let header = SegmentHeader {
        key: KEY,
        class: crate::types::ClassId(3),
        segment_bytes: SEGMENT_UNIT_BYTES,
        created: crate::types::Timestamp::from_micros(1),
        boot_id: [4; 16],
        since_boot_us: 5,
    };
    header.encode()
}

fn read_header(bytes: &[u8]) {
    match SegmentHeader::decode(bytes) {
        Ok(header) => {
            // A compatible feature of a newer build may use what is zero today.
            if u32_at(bytes, 20) == 0 {
                assert_eq!(header.encode(), bytes[..BLOCK_LEN], "one value has one spelling");
            }
            let len = header.segment_bytes;
            assert!((SEGMENT_UNIT_BYTES..=SEGMENT_BYTES_MAX).contains(&len));
            assert!(len.is_multiple_of(SEGMENT_UNIT_BYTES));
            assert_eq!(crc32fast::hash(&bytes[FIELDS..BLOCK_LEN]), u32_at(bytes, 8));
        }
        Err(Damage::Version(_) | Damage::Field(_)) => {
            assert_eq!(crc32fast::hash(&bytes[FIELDS..BLOCK_LEN]), u32_at(bytes, 8));
        }
        Err(Damage::Short | Damage::Magic | Damage::Checksum) => {}
    }
}

fn read_trailer(bytes: &[u8]) {
    let Ok(trailer) = Trailer::decode(bytes, &KEY, LAST_BLOCK) else {
        if let Ok(other) = Trailer::decode_unkeyed(bytes, LAST_BLOCK) {
            assert_ne!(other.header.key, KEY, "read without its key, refused with it");
        }
        return;
    };
    assert_eq!(KEY.crc(LAST_BLOCK, &bytes[FIELDS..BLOCK_LEN]), u32_at(bytes, 8));
    assert_eq!(trailer.header.key, KEY, "a trailer of another segment");
    let compatible = u32_at(bytes, COPY.start + 20);
    if compatible == 0 {
        assert_eq!(trailer.encode(&KEY, LAST_BLOCK), bytes[..BLOCK_LEN], "one spelling");
    }
    assert_eq!(Trailer::decode_unkeyed(bytes, LAST_BLOCK), Ok(trailer.clone()));
    assert!(Trailer::decode(bytes, &KEY, LAST_BLOCK - 1).is_err(), "at another block");
    let end = trailer.footer_offset + trailer.footer_bytes;
    assert!(trailer.footer_offset >= BLOCK_BYTES && end > trailer.footer_offset);
    assert!(end <= u64::from(LAST_BLOCK) * BLOCK_BYTES, "a footer beyond the trailer");
    assert_eq!(u64::from(trailer.footer_block()) * BLOCK_BYTES, trailer.footer_offset);
}

/// The input that is this header and this trailer.
#[cfg(test)]
pub(super) fn input(header: &SegmentHeader, trailer: &Trailer) -> Vec<u8> {
    let (header, trailer) = (header.encode(), trailer.encode(&KEY, LAST_BLOCK));
    [&header[FIELDS..HEADER_END], &trailer[FIELDS..TRAILER_END]].concat()
}
