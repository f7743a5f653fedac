//! Footers of sealed segments.
//!
//! Asserts that a footer that is read has one spelling, that everything it points at is inside it,
//! and that neither a count of 4 G nor a lying length becomes an allocation.

use std::sync::Arc;

use super::choices::Choices;
use super::{BLOCK_LEN, KEY, index, memory, put};
use crate::format::footer::{Footer, Part, RecordRef};
use crate::format::record::{blocks, chunk_count};
use crate::log::SealedParts;
use crate::types::{CameraId, ClassId, ClipId, SegmentId, Timestamp};

const MAGIC: &[u8; 8] = b"CLIPFTR\0";
const COUNTS: usize = 48;
const HEADER_BYTES: usize = 72;
const FORGED: u8 = 0;

/// Input: how, then the counts and the tables of a footer, padded to whole blocks; or the choices
/// of one to write and of what is flipped in it.
pub fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    if choices.u8() & 1 == FORGED {
        read(&forged(&mut choices));
        return;
    }
    let footer = chosen(&mut choices);
    let mut bytes = footer.encode(&KEY);
    assert_eq!(Footer::decode(&bytes, &KEY).as_ref(), Ok(&footer), "written and read back");
    use_it(&footer);
    while !choices.is_empty() {
        let at = index(choices.u16()) % bytes.len();
        bytes[at] ^= choices.u8();
    }
    read(&bytes);
}

fn forged(choices: &mut Choices<'_>) -> Vec<u8> {
    let counts = choices.bytes(HEADER_BYTES - COUNTS);
    let tables = choices.rest();
    let mut bytes = vec![0; (HEADER_BYTES + tables.len()).next_multiple_of(BLOCK_LEN)];
    put(&mut bytes, 0, MAGIC);
    put(&mut bytes, 8, &1_u16.to_le_bytes());
    put(&mut bytes, 12, &KEY.segment.0.to_le_bytes());
    put(&mut bytes, 16, &KEY.store);
    put(&mut bytes, 32, &KEY.salt);
    put(&mut bytes, COUNTS, counts);
    put(&mut bytes, HEADER_BYTES, tables);
    bytes
}

fn read(bytes: &[u8]) {
    let most = memory::for_reading(bytes.len());
    if let Ok(footer) = memory::within(most, || Footer::decode(bytes, &KEY)) {
        assert_eq!(footer.encode(&KEY), bytes, "one value has one spelling");
        use_it(&footer);
    }
}

/// All that the store does with a footer.
fn use_it(footer: &Footer) {
    assert_eq!(footer.leaves().len(), footer.parts.len());
    assert_eq!(footer.root(), footer.root());
    let parts = Arc::new(SealedParts::new(footer.clone()));
    let all = parts.all();
    assert_eq!(all.len(), footer.parts.len(), "a part that nobody sees");
    for found in &all {
        let clip = found.part.clip;
        assert!(found.end_offset >= found.part.clip_offset);
        let start = found.part.start;
        let at = parts.within(&found.camera, &(start..=start));
        assert!(at.iter().any(|at| at.part == found.part), "a part that no lookup finds");
        let (of, records) = parts.of(clip).unwrap();
        assert_eq!(of.part.clip, clip);
        assert_eq!(records.records.len(), index(of.part.records_count));
        for record in &records.records {
            assert_eq!(records.crcs_of(record).len(), index(chunk_count(record.payload_bytes)));
        }
    }
}

/// A footer that a writer can make.
fn chosen(choices: &mut Choices<'_>) -> Footer {
    let mut footer = Footer::default();
    let cameras = 1 + choices.below(3);
    footer.cameras = (0..cameras).map(|n| CameraId::new(&format!("c{n}")).unwrap()).collect();
    let mut block = 1;
    for ordinal in 0..choices.below(6) {
        let how = choices.u8();
        let (first, count) = (how & 1 != 0, 1 + u32::from(how >> 4) % 4);
        let clip_offset = if first { 0 } else { u64::from(choices.u32()) };
        let records_start = u32::try_from(footer.records.len()).unwrap();
        let mut next = clip_offset;
        let mut payload = 0;
        for _ in 0..count {
            let payload_bytes = choices.u32() % 200_000;
            let chunks = chunk_count(payload_bytes);
            let chunks_start = u32::try_from(footer.chunk_crcs.len()).unwrap();
            footer.chunk_crcs.extend((0..chunks).map(|chunk| payload_bytes ^ chunk));
            let header_bytes = 128 + 4 * chunks;
            let clip_offset = next;
            footer.records.push(RecordRef {
                block,
                header_bytes,
                payload_bytes,
                chunks_start,
                clip_offset,
            });
            next += u64::from(payload_bytes);
            payload += u64::from(payload_bytes);
            block += blocks(header_bytes, payload_bytes);
        }
        let start = Timestamp::from_micros(i64::from(choices.u16()));
        footer.parts.push(Part {
            clip: ClipId::new(SegmentId(u32::from(choices.u8())), ordinal),
            camera: choices.below(cameras),
            class: ClassId(u16::from(choices.u8())),
            first,
            last: how & 2 != 0,
            continued: how & 6 == 4,
            media: how,
            sequence: if first { 0 } else { 1 + u32::from(choices.u8()) },
            clip_offset,
            start,
            end: Timestamp::from_micros(start.as_micros() + i64::from(choices.u16())),
            received: Timestamp::from_micros(i64::from(choices.u32())),
            uncertainty_us: choices.u64(),
            payload_bytes: payload,
            digest: choices.array(),
            records_start,
            records_count: count,
        });
    }
    footer.parts.sort_by_key(|part| (part.camera, part.start, part.clip));
    footer
}

/// The input that is this footer, put together anew at each mutation.
#[cfg(test)]
pub(super) fn input(footer: &Footer) -> Vec<u8> {
    let bytes = footer.encode(&KEY);
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    [&[FORGED], &bytes[COUNTS..end]].concat()
}
