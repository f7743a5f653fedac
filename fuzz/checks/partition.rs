//! Partitions of the index: head, pages and summaries.
//!
//! Asserts that what is written is read back, that a head that is read has one spelling, that a
//! page whose checksum is right says what it says without a panic, and that neither a count of 4 G
//! nor a lying length becomes an allocation.

use std::collections::BTreeMap;

use super::choices::Choices;
use super::{BLOCK_LEN, KEY, STORE, index, memory, put};
use crate::format::SegmentKey;
use crate::format::page::{PAGE_PARTS, PAGE_SUMMARIES, Page, Summaries, Summary};
use crate::format::page_part::{PagePart, PartBytes};
use crate::format::partition::{self, Link, PartitionHead, Row};
use crate::format::segment::{SegmentHeader, Trailer};
use crate::types::{CameraId, ClassId, ClipId, SegmentId, Timestamp};

const MAGIC: &[u8; 8] = b"CLIPIDX\0";
/// Where the length in blocks stands, and the first byte behind it.
const BLOCKS: usize = 16;
const COUNTS: usize = 20;
const FORGED: u8 = 0;
const FORGED_PAGE: u8 = 2;

type Parts = BTreeMap<CameraId, Vec<PagePart>>;

/// Input: how, then the counts and the tables of a head, padded to whole blocks; or what a page has
/// behind its number; or the choices of a partition to write and of what is flipped in it.
pub fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    match choices.u8() & 3 {
        FORGED => return read(&forged(choices.rest())),
        FORGED_PAGE => return read_page(&forged_page(choices.rest())),
        _ => {}
    }
    let (rows, parts) = chosen(&mut choices);
    let mut bytes = partition::encode(STORE, KEY.salt, rows.clone(), parts.clone());
    let head = PartitionHead::decode(&bytes).unwrap();
    assert_eq!(head.rows, rows, "written and read back");
    let all: Vec<PagePart> = parts.values().flatten().copied().collect();
    let read_back = pages(&bytes, &head);
    assert_eq!(read_back.concat(), all);
    assert_eq!(summaries(&bytes, &head), shares(&parts), "one for what a camera has on a page");
    while !choices.is_empty() {
        let at = index(choices.u16()) % bytes.len();
        bytes[at] ^= choices.u8();
    }
    read(&bytes);
}

/// The summary of what each camera has on each page.
fn shares(parts: &Parts) -> Vec<Option<Summary>> {
    let owned = parts.iter().flat_map(|(camera, parts)| parts.iter().map(move |of| (camera, *of)));
    let pages: Vec<_> = owned.collect();
    let shares = pages.chunks(PAGE_PARTS).flat_map(|page| page.chunk_by(|a, b| a.0 == b.0));
    shares.map(|of| Summary::of(&of.iter().map(|(_, part)| *part).collect::<Vec<_>>())).collect()
}

fn forged(tables: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; (COUNTS + tables.len()).next_multiple_of(BLOCK_LEN)];
    put(&mut bytes, 0, MAGIC);
    put(&mut bytes, 12, &3_u16.to_le_bytes());
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
    assert!(summaries(bytes, &head).len() <= PAGE_SUMMARIES * (bytes.len() / BLOCK_LEN));
}

/// Page 0 with this count and these fields, padded, and a right checksum.
fn forged_page(fields: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; BLOCK_LEN];
    put(&mut bytes, 8, &fields[..fields.len().min(BLOCK_LEN - 8)]);
    let mut crc = crc32fast::Hasher::new();
    crc.update(&KEY.salt);
    crc.update(&bytes[4..]);
    put(&mut bytes, 0, &crc.finalize().to_le_bytes());
    bytes
}

/// Reads a page as one of parts and as one of summaries.
fn read_page(bytes: &[u8]) {
    if let Ok(page) = Page::decode(bytes, &KEY.salt, 0) {
        let mut parts = Vec::new();
        let read = page.runs(0..page.len()).map(|run| run.copy_into(&mut parts));
        assert!(read.flatten().count() <= page.len());
        let parts: Vec<PagePart> = parts.iter().map(PartBytes::part).collect();
        let summary = Summary::of(&parts);
        assert!(summary.is_none_or(|sum| usize::try_from(sum.clips).unwrap() == parts.len()));
    }
    if let Ok(summaries) = Summaries::decode(bytes, &KEY.salt, 0) {
        assert!(summaries.within(0..usize::MAX).count() <= PAGE_SUMMARIES);
    }
}

fn head_bytes(bytes: &[u8]) -> usize {
    index(PartitionHead::bytes_of(bytes).unwrap())
}

/// The pages behind a head, as far as they can be read.
fn pages(bytes: &[u8], head: &PartitionHead) -> Vec<Vec<PagePart>> {
    let pages = (0..head.firsts.len()).zip(bytes[head_bytes(bytes)..].chunks(BLOCK_LEN));
    pages.filter_map(|(n, page)| parts_of(Page::decode(page, &head.salt, n).ok()?)).collect()
}

/// Its parts, if all can be read.
fn parts_of(page: Page<'_>) -> Option<Vec<PagePart>> {
    let mut parts = Vec::new();
    page.runs(0..page.len()).try_for_each(|run| run.copy_into(&mut parts)).ok()?;
    Some(parts.iter().map(PartBytes::part).collect())
}

/// The summaries behind the pages, as far as they can be read.
fn summaries(bytes: &[u8], head: &PartitionHead) -> Vec<Option<Summary>> {
    let blocks = bytes[head_bytes(bytes)..].chunks(BLOCK_LEN).enumerate().skip(head.firsts.len());
    let read = blocks.filter_map(|(n, page)| {
        let summaries = Summaries::decode(page, &head.salt, n).ok()?;
        summaries.within(0..PAGE_SUMMARIES).collect::<Result<Vec<_>, _>>().ok()
    });
    read.flatten().collect()
}

/// A partition that a writer can make.
fn chosen(choices: &mut Choices<'_>) -> (Vec<Row>, Parts) {
    let rows = (0..choices.below(4)).map(|n| row(choices, SegmentId(10 + 3 * n))).collect();
    let mut parts = Parts::new();
    for camera in 0..choices.below(4) {
        let (count, step) = (1 + choices.below(120), 1 + i64::from(choices.u8()));
        let chosen = (0..i64::from(count)).map(|n| part(choices, n * step));
        parts.insert(CameraId::new(&format!("c{camera}")).unwrap(), chosen.collect());
    }
    (rows, parts)
}

fn part(choices: &mut Choices<'_>, start_us: i64) -> PagePart {
    let (segment, flags) = (SegmentId(u32::from(choices.u8())), choices.u8());
    let start = Timestamp::from_micros(start_us);
    PagePart {
        start,
        segment,
        class: ClassId(u16::from(flags >> 7)),
        first: flags & 1 == 0,
        last: flags & 2 == 0,
        continued: flags & 4 != 0,
        media: flags >> 3 & 3,
        clip: ClipId::new(SegmentId(segment.0 + u32::from(flags & 64)), u32::from(choices.u8())),
        end: Timestamp::from_micros(start_us + i64::from(choices.u8())),
        received: Timestamp::from_micros(i64::from(choices.u8())),
        end_offset: u64::from(choices.u8()),
        uncertainty_us: u64::from(flags & 32),
        sequence: 0,
        fragments: 1,
        digest: [flags; 32],
    }
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
    let trailer = Box::new(Trailer {
        header,
        footer_offset: 4096 * u64::from(1 + choices.below(900)),
        footer_bytes: 4096 * u64::from(1 + choices.below(100)),
        footer_crc: choices.u32(),
        root: choices.array(),
        sealed: time(choices),
        newest_received: time(choices),
        parts: choices.u32(),
        payload_bytes: choices.u64(),
    });
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

/// The input that is block `block` of this partition, as page 0.
#[cfg(test)]
pub(super) fn page_input(partition: &[u8], block: usize) -> Vec<u8> {
    let page = &partition[block * BLOCK_LEN..(block + 1) * BLOCK_LEN];
    let end = page.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    [&[FORGED_PAGE], &page[8..end]].concat()
}
