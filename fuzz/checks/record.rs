//! Record headers and tails.
//!
//! Asserts that a record comes back as it was written, at its own block of its own segment only,
//! from its header and from its tail;
//! that nothing is read but under its right CRC and in its one spelling; and that no length in it
//! is believed before it is checked.

use super::choices::Choices;
use super::{BLOCK_LEN, KEY, index, memory, put};
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
const TAIL: u8 = 3;

/// Input: how, then the choices of a record to write and of what is flipped in it; or a header from
/// byte 8 on, which gets magic and CRC; or all bytes of a header; or the two lengths of a tail and
/// its header from byte 8 on.
pub fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    match choices.u8() % 4 {
        WRITTEN => written(&mut choices),
        FORGED => read(&forged(choices.rest())),
        TAIL => {
            let ending = choices.array::<4>();
            read_tail(&last_block(&forged(choices.rest()), b"CLPT", &ending));
        }
        _ => {
            read(choices.rest());
            read_tail(&last_block(&[], &[], choices.rest()));
        }
    }
}

fn written(choices: &mut Choices<'_>) {
    let header = chosen(choices);
    let crcs: Vec<u32> = (0..chunk_count(header.payload_bytes)).map(|_| choices.u32()).collect();
    let bytes = header.encode(&crcs, &KEY, BLOCK);
    assert!(bytes.len() == header.header_bytes() && bytes.len() <= HEADER_BYTES_MAX);
    let behind = [&bytes[..], choices.bytes(16)].concat();
    let came_back = RecordHeader::decode(&behind, &KEY, BLOCK);
    assert_eq!(came_back, Ok((header.clone(), crcs.clone())), "written and read back");
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
    written_tail(&header, &crcs, choices);
}

fn written_tail(header: &RecordHeader, crcs: &[u32], choices: &mut Choices<'_>) {
    let ends = header.ends(crcs, &KEY, BLOCK);
    let whole = ends.head().len() + ends.padding().len() + ends.tail().len();
    let blocks = index(header.blocks());
    assert_eq!(whole + index(header.payload_bytes), blocks * BLOCK_LEN, "not whole blocks");
    let mut bytes = last_block(ends.tail(), &[], &[]);
    let last = BLOCK + header.blocks() - 1;
    let came_back = RecordHeader::decode_tail(&bytes, &KEY, last);
    assert_eq!(came_back, Ok((BLOCK, header.clone(), crcs.to_vec())), "written and read back");
    let xor = choices.u32().max(1);
    assert!(RecordHeader::decode_tail(&bytes, &KEY, last ^ xor).is_err(), "a block elsewhere");
    let stale = SegmentKey { salt: flip(KEY.salt, xor), ..KEY };
    assert!(RecordHeader::decode_tail(&bytes, &stale, last).is_err(), "an earlier use");
    let from_end = 1 + index(choices.u16()) % ends.tail().len();
    let at = ends.tail().len() - from_end;
    // Other lengths would be other stretches under the CRC.
    if !(8..10).contains(&at) && !(3..5).contains(&from_end) {
        bytes[BLOCK_LEN - from_end] ^= choices.u8().max(1);
        assert!(RecordHeader::decode_tail(&bytes, &KEY, last).is_err(), "byte {at} flipped");
    }
}

/// A block that ends with these pieces.
fn last_block(header: &[u8], magic: &[u8], ending: &[u8]) -> Vec<u8> {
    let pieces = [header, magic, ending].concat();
    let left_out = pieces.len().saturating_sub(BLOCK_LEN);
    let zeros = vec![0; BLOCK_LEN.saturating_sub(pieces.len())];
    [&zeros, &pieces[left_out..]].concat()
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

/// Reads a block as the last one of a record that ends at block [`BLOCK`].
fn read_tail(bytes: &[u8]) {
    let most = memory::for_reading(HEADER_BYTES_MAX);
    if let Ok((block, header, crcs)) =
        memory::within(most, || RecordHeader::decode_tail(bytes, &KEY, BLOCK))
    {
        let ends = header.ends(&crcs, &KEY, block);
        assert!(bytes.ends_with(ends.tail()), "one spelling");
        assert_eq!(block + header.blocks() - 1, BLOCK, "it leads elsewhere");
    }
}

/// The input that is a tail with this header.
#[cfg(test)]
pub(super) fn tail_input(header: &RecordHeader, crcs: &[u32]) -> Vec<u8> {
    let block = BLOCK + 1 - header.blocks();
    let tail = header.ends(crcs, &KEY, block).tail().to_vec();
    let (head, ending) = tail.split_at(tail.len() - 8);
    [&[TAIL], &ending[4..], &head[8..]].concat()
}

/// The input that is this header, forged anew at each mutation.
#[cfg(test)]
pub(super) fn input(header: &RecordHeader, crcs: &[u32]) -> Vec<u8> {
    [&[FORGED], &header.encode(crcs, &KEY, BLOCK)[8..]].concat()
}
