//! A partition in the making: its parts come one by one, its bytes go in pieces.
//!
//! The head stands before the pages, so how many parts each camera has must be known before the
//! first of them comes; with that each byte has its place. In memory are the head, which has 8
//! bytes a page, two pieces and one page, however many parts there are. The head is the last that
//! is written: a partition that was cut off has none.

use super::bytes::to_usize;
use super::page::{self, PAGE_BYTES, PAGE_PARTS, PAGE_SUMMARIES, Summary};
use super::page_part::PagePart;
use super::partition::{CameraParts, PartitionHead, Row, page_bytes};
use crate::types::CameraId;

/// So many bytes are written at once, at most, but for the head; each piece ends at a multiple of
/// that. It is a huge page: what is written so the system may keep, and map, as one.
const PIECE_BYTES: u64 = 2 << 20;

/// Where bytes of the file go, and what they are.
pub(crate) type Sink<'a, E> = dyn FnMut(u64, &[u8]) -> Result<(), E> + 'a;

/// Writes a partition.
#[derive(Debug)]
pub(crate) struct PartitionWriter {
    /// As long as it will be; the starts of cameras and pages are filled in as parts come.
    head: PartitionHead,
    /// How many pages have parts, and how many have summaries.
    pages: (usize, usize),
    /// The camera whose parts come, and how many of them came.
    camera: (usize, u32),
    /// The parts of the page that is being filled.
    page: Vec<PagePart>,
    /// Where the share of the camera begins on it.
    share: usize,
    /// The summaries of the page of them that is being filled.
    summaries: Vec<Option<Summary>>,
    full_pages: Piece,
    full_summaries: Piece,
}

/// Pages that stand together and were not handed out yet.
#[derive(Debug)]
struct Piece {
    offset: u64,
    bytes: Vec<u8>,
    /// The number of the next page.
    next: usize,
}

impl PartitionWriter {
    /// Of a partition of so many parts of each of `cameras`, which are in order and of which none
    /// has none; `rows` are in order.
    pub(crate) fn new(
        (store, salt): ([u8; 16], [u8; 16]),
        rows: Vec<Row>,
        cameras: Vec<(CameraId, u32)>,
    ) -> Self {
        let (mut parts, mut shares) = (0, 0);
        for (_, count) in &cameras {
            let end = parts + to_usize(*count);
            shares += end.div_ceil(PAGE_PARTS) - parts / PAGE_PARTS;
            parts = end;
        }
        let pages = (parts.div_ceil(PAGE_PARTS), shares.div_ceil(PAGE_SUMMARIES));
        let cameras = cameras.into_iter();
        let cameras = cameras.map(|(camera, parts)| CameraParts { camera, parts, starts: (0, 0) });
        let firsts = Vec::with_capacity(pages.0);
        let head = PartitionHead { store, salt, rows, cameras: cameras.collect(), firsts };
        let behind = head.encoded_bytes(pages.0);
        Self {
            full_pages: Piece::at(behind, 0),
            full_summaries: Piece::at(behind + page_bytes(pages.0), pages.0),
            head,
            pages,
            camera: (0, 0),
            page: Vec::with_capacity(PAGE_PARTS),
            share: 0,
            summaries: Vec::with_capacity(PAGE_SUMMARIES),
        }
    }

    /// How long the file will be.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.head.encoded_bytes(self.pages.0) + page_bytes(self.pages.0 + self.pages.1)
    }

    /// Takes the next part: of the first camera that has not all of its parts, which rise.
    ///
    /// # Errors
    ///
    /// What `sink` answers.
    ///
    /// # Panics
    ///
    /// When more parts come than were announced.
    pub(crate) fn put<E>(&mut self, part: &PagePart, sink: &mut Sink<'_, E>) -> Result<(), E> {
        let start = part.start.as_micros();
        let Some(of) = self.head.cameras.get_mut(self.camera.0) else {
            unreachable!("all parts have come")
        };
        if self.camera.1 == 0 {
            of.starts.0 = start;
        }
        of.starts.1 = start;
        self.camera.1 += 1;
        let is_last = self.camera.1 == of.parts;
        if self.page.is_empty() {
            self.head.firsts.push(start);
        }
        self.page.push(*part);
        let is_full = self.page.len() == PAGE_PARTS;
        if is_last || is_full {
            self.end_share(sink)?;
        }
        if is_last {
            self.camera = (self.camera.0 + 1, 0);
        }
        if is_full { self.end_page(sink) } else { Ok(()) }
    }

    /// Writes what is left, and the head.
    ///
    /// # Errors
    ///
    /// What `sink` answers.
    ///
    /// # Panics
    ///
    /// When fewer parts came than were announced.
    pub(crate) fn finish<E>(mut self, sink: &mut Sink<'_, E>) -> Result<(), E> {
        assert_eq!(self.camera.0, self.head.cameras.len(), "all parts have come");
        if !self.page.is_empty() {
            self.end_page(sink)?;
        }
        if !self.summaries.is_empty() {
            self.end_summaries(sink)?;
        }
        debug_assert_eq!(self.full_pages.next, self.pages.0, "the head counts them");
        debug_assert_eq!(self.full_summaries.next, self.pages.0 + self.pages.1, "and these");
        self.full_pages.write(sink)?;
        self.full_summaries.write(sink)?;
        sink(0, &self.head.encode())
    }

    fn end_share<E>(&mut self, sink: &mut Sink<'_, E>) -> Result<(), E> {
        let share = self.page.get(self.share..).unwrap_or_default();
        self.summaries.push(Summary::of(share));
        self.share = self.page.len();
        if self.summaries.len() == PAGE_SUMMARIES { self.end_summaries(sink) } else { Ok(()) }
    }

    fn end_summaries<E>(&mut self, sink: &mut Sink<'_, E>) -> Result<(), E> {
        let number = self.full_summaries.next;
        let page = page::encode_summaries(&self.head.salt, number, &self.summaries);
        self.summaries.clear();
        self.full_summaries.put(&page, sink)
    }

    fn end_page<E>(&mut self, sink: &mut Sink<'_, E>) -> Result<(), E> {
        let page = page::encode_parts(&self.head.salt, self.full_pages.next, &self.page);
        self.page.clear();
        self.share = 0;
        self.full_pages.put(&page, sink)
    }
}

impl Piece {
    fn at(offset: u64, next: usize) -> Self {
        Self { offset, bytes: Vec::new(), next }
    }

    fn put<E>(&mut self, page: &[u8], sink: &mut Sink<'_, E>) -> Result<(), E> {
        self.bytes.extend_from_slice(page);
        self.next += 1;
        if self.end().is_multiple_of(PIECE_BYTES) { self.write(sink) } else { Ok(()) }
    }

    fn write<E>(&mut self, sink: &mut Sink<'_, E>) -> Result<(), E> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        sink(self.offset, &self.bytes)?;
        self.offset = self.end();
        self.bytes.clear();
        Ok(())
    }

    /// Where its bytes end in the file.
    fn end(&self) -> u64 {
        self.offset + page_bytes(self.bytes.len() / PAGE_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::format::arbitrary::{STORE, camera, sample_part, sample_partition};
    use crate::format::partition::encode;
    use crate::types::Timestamp;

    const SALT: [u8; 16] = [9; 16];

    /// So many clips of each camera, some of them with a gap before them.
    fn parts(counts: &[usize]) -> BTreeMap<CameraId, Vec<PagePart>> {
        let part = |n: usize| {
            let n = u32::try_from(n).unwrap();
            let gap = i64::from(n % 50 == 49);
            let start = Timestamp::from_micros(2_000_000 * i64::from(n) + gap);
            PagePart { start, end: start.saturating_add(Duration::from_secs(2)), ..sample_part(n) }
        };
        let cameras = counts.iter().enumerate();
        cameras
            .map(|(id, count)| (camera(&format!("c{id}")), (0..*count).map(part).collect()))
            .collect()
    }

    /// What is written, checked to be in pieces that nowhere overlap.
    fn written(rows: Vec<Row>, parts: &BTreeMap<CameraId, Vec<PagePart>>) -> Vec<u8> {
        let count = |parts: &Vec<PagePart>| u32::try_from(parts.len()).unwrap();
        let counts = parts.iter().map(|(camera, parts)| (camera.clone(), count(parts)));
        let mut writer = PartitionWriter::new((STORE, SALT), rows, counts.collect());
        let mut file = vec![0xee; usize::try_from(writer.file_bytes()).unwrap()];
        let mut left = file.len();
        let mut sink = |offset: u64, bytes: &[u8]| {
            let len = u64::try_from(bytes.len()).unwrap();
            let of_one_piece = offset / PIECE_BYTES == (offset + len - 1) / PIECE_BYTES;
            assert!(offset == 0 || of_one_piece, "{len} bytes at {offset}");
            let offset = usize::try_from(offset).unwrap();
            let place = &mut file[offset..offset + bytes.len()];
            assert!(place.iter().all(|byte| *byte == 0xee), "written once");
            place.copy_from_slice(bytes);
            left -= bytes.len();
            Ok::<(), ()>(())
        };
        parts.values().flatten().try_for_each(|part| writer.put(part, &mut sink)).unwrap();
        writer.finish(&mut sink).unwrap();
        assert_eq!(left, 0, "all of it");
        file
    }

    #[test]
    fn what_goes_in_pieces_is_what_is_encoded_at_once() {
        let rows = sample_partition().0;
        let shapes: [&[usize]; 9] = [
            &[],
            &[1],
            &[PAGE_PARTS],
            &[PAGE_PARTS + 1, PAGE_PARTS - 1, 1],
            &[10, 32, 42, 84, 3, 39, 1],
            &[PAGE_PARTS * PAGE_SUMMARIES, 1],
            &[1; 200],
            &[17_000, 25_000, 9000, 200],
            &[5, 42 * 85 * 3 - 5, 77],
        ];
        for shape in shapes {
            let parts = parts(shape);
            let whole = encode(STORE, SALT, rows.clone(), parts.clone());
            assert!(written(rows.clone(), &parts) == whole, "{shape:?}");
        }
    }

    #[test]
    fn what_a_sink_refuses_ends_it() {
        let parts = parts(&[PAGE_PARTS]);
        let counts = parts.keys().map(|camera| (camera.clone(), 42)).collect();
        let mut writer = PartitionWriter::new((STORE, SALT), sample_partition().0, counts);
        let mut refusing = |_: u64, _: &[u8]| Err("no room");
        parts.values().flatten().try_for_each(|part| writer.put(part, &mut refusing)).unwrap();
        assert_eq!(writer.finish(&mut refusing), Err("no room"));
    }
}
