//! Record headers.
//!
//! Asserts that a record comes back as it was written, at its own block of its own segment only;
//! that nothing is read but under its right CRC and in its one spelling; and that no length in it
//! is believed before it is checked.

use super::choices::Choices;
use super::{KEY, index, memory, put};
use crate::format::record::{
    HEADER_BYTES_MAX, RECORD_PAYLOAD_BYTES_MAX, RecordHeader, chunk_count,
};
use crate::format::{Damage, SegmentKey};
use crate::types::{CameraId, ClassId, ClipId, SegmentId, Timestamp};

const MAGIC: &[u8; 4] = b"CLPR";
/// Where all records of this check stand.
const BLOCK: u32 = 77;
const WRITTEN: u8 = 0;
const FORGED: u8 = 1;

/// Input: how, then the choices of a record to write and of what is flipped in it; or a header from
/// byte 8 on, which gets magic and CRC; or all bytes of a header.
pub fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    match choices.u8() % 3 {
        WRITTEN => written(&mut choices),
        FORGED => read(&forged(choices.rest())),
        _ => read(choices.rest()),
    }
}

fn written(choices: &mut Choices<'_>) {
    let header = chosen(choices);
    let crcs: Vec<u32> = (0..chunk_count(header.payload_bytes)).map(|_| choices.u32()).collect();
    let bytes = header.encode(&crcs, &KEY, BLOCK);
    assert!(bytes.len() == header.header_bytes() && bytes.len() <= HEADER_BYTES_MAX);
    let behind = [&bytes[..], choices.bytes(16)].concat();
    let came_back = RecordHeader::decode(&behind, &KEY, BLOCK);
    assert_eq!(came_back, Ok((header, crcs)), "written and read back");
    // Elsewhere it is stale, misdirected or forged. Each differs in less than 32 bits together,
    // which no CRC32 misses.
    let xor = choices.u32().max(1);
    for (key, block) in [
        (KEY, BLOCK ^ xor),
        (SegmentKey { segment: SegmentId(KEY.segment.0 ^ xor), ..KEY }, BLOCK),
        (SegmentKey { salt: flip(KEY.salt, xor), ..KEY }, BLOCK),
        (SegmentKey { store: flip(KEY.store, xor), ..KEY }, BLOCK),
    ] {
        assert_eq!(RecordHeader::decode(&bytes, &key, block), Err(Damage::Checksum));
    }
    let mut damaged = bytes.clone();
    let at = index(choices.u16()) % bytes.len();
    // Another length would be another stretch under the CRC.
    if !(8..10).contains(&at) {
        damaged[at] ^= choices.u8().max(1);
        assert!(RecordHeader::decode(&damaged, &KEY, BLOCK).is_err(), "byte {at} flipped");
    }
    let cut = &bytes[..index(choices.u16()) % bytes.len()];
    assert!(RecordHeader::decode(cut, &KEY, BLOCK).is_err(), "cut to {}", cut.len());
}

fn flip(mut bytes: [u8; 16], xor: u32) -> [u8; 16] {
    let word = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]) ^ xor;
    put(&mut bytes, 4, &word.to_le_bytes());
    bytes
}

/// A record that a writer can make.
fn chosen(choices: &mut Choices<'_>) -> RecordHeader {
    const LETTERS: &[u8] = b"abcXYZ019_-.";
    let letters = 1 + index(choices.below(64));
    let letter = |byte: u8| char::from(LETTERS[usize::from(byte) % LETTERS.len()]);
    let text: String = choices.array::<64>().into_iter().take(letters).map(letter).collect();
    let camera = CameraId::new(&text.replacen('.', "x", 1)).unwrap();
    let sequence = choices.u32();
    let first = sequence == 0;
    let payload_bytes = choices.below(u32::try_from(RECORD_PAYLOAD_BYTES_MAX).unwrap() + 1);
    let time = |choices: &mut Choices<'_>| Timestamp::from_micros(choices.u64().cast_signed());
    let (a, b) = (time(choices), time(choices));
    let clip_offset = choices.u64().min(u64::MAX - u64::from(payload_bytes));
    let previous = (SegmentId(choices.u32()), choices.u32().max(1));
    let (last, continued) = (choices.flag(), choices.flag());
    RecordHeader {
        clip: ClipId::new(SegmentId(choices.u32()), choices.u32()),
        camera,
        class: ClassId(choices.u16()),
        first,
        last,
        continued: continued && !last,
        media: choices.u8(),
        sequence,
        clip_offset: if first { 0 } else { clip_offset },
        payload_bytes,
        start: a.min(b),
        end: a.max(b),
        received: time(choices),
        uncertainty_us: choices.u64(),
        previous: (!first && choices.flag()).then_some(previous),
        digest: choices.array(),
        durable_block: choices.below(BLOCK + 1),
    }
}

/// A header of these bytes, from its byte 8 on, with a right CRC over the length it claims.
fn forged(fields: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; (8 + fields.len()).max(130)];
    put(&mut bytes, 0, MAGIC);
    put(&mut bytes, 8, fields);
    let claimed = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let end = claimed.clamp(8, bytes.len());
    let crc = KEY.crc(BLOCK, &bytes[8..end]);
    put(&mut bytes, 4, &crc.to_le_bytes());
    bytes
}

fn read(bytes: &[u8]) {
    let most = memory::for_reading(HEADER_BYTES_MAX);
    match memory::within(most, || RecordHeader::decode(bytes, &KEY, BLOCK)) {
        Ok((header, crcs)) => {
            let len = header.header_bytes();
            assert_eq!(header.encode(&crcs, &KEY, BLOCK), bytes[..len], "one spelling");
            assert!(index(header.payload_bytes) <= RECORD_PAYLOAD_BYTES_MAX);
            assert!(header.start <= header.end && header.durable_block <= BLOCK);
            assert!(header.blocks() >= 1);
            let end = header.clip_offset.checked_add(u64::from(header.payload_bytes));
            assert!(end.is_some(), "a place in a clip that overflows");
        }
        Err(Damage::Version(_) | Damage::Field(_)) => {
            let len = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
            let crc = KEY.crc(BLOCK, &bytes[8..len]);
            assert_eq!(crc.to_le_bytes(), bytes[4..8], "said without a right CRC");
        }
        Err(Damage::Short | Damage::Magic | Damage::Checksum) => {}
    }
}

/// The input that is this header, forged anew at each mutation.
#[cfg(test)]
pub(super) fn input(header: &RecordHeader, crcs: &[u32]) -> Vec<u8> {
    [&[FORGED], &header.encode(crcs, &KEY, BLOCK)[8..]].concat()
}
