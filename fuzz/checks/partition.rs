//! Partitions of the index: head and pages.
//!
//! Asserts that what is written is read back, that a head that is read has one spelling, and that
//! neither a count of 4 G nor a lying length becomes an allocation.

use std::collections::BTreeMap;

use super::choices::Choices;
use super::{BLOCK_LEN, KEY, STORE, index, memory, put};
use crate::format::SegmentKey;
use crate::format::partition::{self, Link, PAGE_PARTS, PagePart, PartitionHead, Row};
use crate::format::segment::{SegmentHeader, Trailer};
use crate::types::{CameraId, ClassId, ClipId, SegmentId, Timestamp};

const MAGIC: &[u8; 8] = b"CLIPIDX\0";
/// Where the length in blocks stands, and the first byte behind it.
const BLOCKS: usize = 16;
const COUNTS: usize = 20;
const FORGED: u8 = 0;

type Parts = BTreeMap<CameraId, Vec<PagePart>>;

/// Input: how, then the counts and the tables of a head, padded to whole blocks; or the choices of
/// a partition to write and of what is flipped in it.
pub fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    if choices.u8() & 1 == FORGED {
        read(&forged(choices.rest()));
        return;
    }
    let (rows, parts) = chosen(&mut choices);
    let mut bytes = partition::encode(STORE, KEY.salt, rows.clone(), &parts);
    let head = PartitionHead::decode(&bytes).unwrap();
    assert_eq!(head.rows, rows, "written and read back");
    assert_eq!(
        pages(&bytes, &head).concat(),
        parts.values().flatten().copied().collect::<Vec<_>>()
    );
    while !choices.is_empty() {
        let at = index(choices.u16()) % bytes.len();
        bytes[at] ^= choices.u8();
    }
    read(&bytes);
}

fn forged(tables: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; (COUNTS + tables.len()).next_multiple_of(BLOCK_LEN)];
    put(&mut bytes, 0, MAGIC);
    put(&mut bytes, 12, &1_u16.to_le_bytes());
    let blocks = u32::try_from(bytes.len() / BLOCK_LEN).unwrap();
    put(&mut bytes, BLOCKS, &blocks.to_le_bytes());
    put(&mut bytes, COUNTS, tables);
    let crc = crc32fast::hash(&bytes[12..]);
    put(&mut bytes, 8, &crc.to_le_bytes());
    bytes
}

/// Reads any bytes as a partition.
fn read(bytes: &[u8]) {
    let most = memory::for_reading(bytes.len());
    let Ok(head) = memory::within(most, || PartitionHead::decode(bytes)) else { return };
    assert_eq!(head.encode(), bytes[..head_bytes(bytes)], "one value has one spelling");
    let read = pages(bytes, &head);
    assert!(read.iter().all(|parts| parts.len() <= PAGE_PARTS));
}

fn head_bytes(bytes: &[u8]) -> usize {
    index(PartitionHead::bytes_of(bytes).unwrap())
}

/// The pages behind a head, as far as they can be read.
fn pages(bytes: &[u8], head: &PartitionHead) -> Vec<Vec<PagePart>> {
    let pages = (0..).zip(bytes[head_bytes(bytes)..].chunks(BLOCK_LEN));
    pages.filter_map(|(n, page)| partition::decode_page(page, &head.salt, n).ok()).collect()
}

/// A partition that a writer can make.
fn chosen(choices: &mut Choices<'_>) -> (Vec<Row>, Parts) {
    let rows = (0..choices.below(4)).map(|n| row(choices, SegmentId(10 + 3 * n))).collect();
    let mut parts = Parts::new();
    for camera in 0..choices.below(4) {
        let (count, step) = (1 + choices.below(400), 1 + i64::from(choices.u8()));
        let starts = (0..i64::from(count)).map(|n| (n * step, u32::from(choices.u8())));
        parts.insert(CameraId::new(&format!("c{camera}")).unwrap(), starts.collect());
    }
    (rows, parts)
}

fn row(choices: &mut Choices<'_>, segment: SegmentId) -> Row {
    let time = |choices: &mut Choices<'_>| Timestamp::from_micros(i64::from(choices.u32()));
    let header = SegmentHeader {
        key: SegmentKey { store: STORE, segment, salt: choices.array() },
        class: ClassId(u16::from(choices.u8())),
        segment_bytes: (4 << 20) * u64::from(1 + choices.below(64)),
        created: time(choices),
        boot_id: choices.array(),
        since_boot_us: choices.u64(),
    };
    let trailer = Trailer {
        header,
        footer_offset: 4096 * u64::from(1 + choices.below(900)),
        footer_bytes: 4096 * u64::from(1 + choices.below(100)),
        footer_crc: choices.u32(),
        root: choices.array(),
        sealed: time(choices),
        newest_received: time(choices),
        parts: choices.u32(),
        payload_bytes: choices.u64(),
    };
    let link = |choices: &mut Choices<'_>| Link {
        clip: ClipId::new(SegmentId(choices.u32()), choices.u32()),
        received: time(choices),
        tail: choices.u8() & 1 != 0,
        continued: choices.u8() & 1 != 0,
    };
    Row {
        trailer,
        file_bytes: choices.u64(),
        reach_us: choices.u64(),
        uncertainty_us: choices.u64(),
        links: (0..choices.below(4)).map(|_| link(choices)).collect(),
    }
}

/// The input that is this partition, put together anew at each mutation.
#[cfg(test)]
pub(super) fn input(partition: &[u8]) -> Vec<u8> {
    let head = &partition[..head_bytes(partition)];
    let end = head.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    [&[FORGED], &head[COUNTS..end]].concat()
}
