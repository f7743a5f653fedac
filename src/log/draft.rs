//! The parts of a segment that is still open, kept in memory until its footer is written.
//!
//! Owns nothing on disk. Built record by record by the appender, or by the scan of a segment that
//! was open when the machine stopped.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::format::footer::{Footer, Part, RecordRef};
use crate::format::record::RecordHeader;
use crate::types::{CameraId, ClipId, Timestamp};

use super::parts::fragments_of;
use super::{FoundPart, PartRecords};

/// The parts of one open segment.
///
/// Invariants: `by_clip` has exactly the clips of `parts`; the counts are the sums over `parts`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    /// By camera, start of the part, and clip: the order of a footer.
    parts: BTreeMap<(CameraId, Timestamp, ClipId), DraftPart>,
    by_clip: BTreeMap<ClipId, (CameraId, Timestamp)>,
    cameras: BTreeMap<CameraId, usize>,
    camera_bytes: usize,
    records: usize,
    chunks: usize,
    payload_bytes: u64,
    newest_received: Timestamp,
}

#[derive(Clone, Debug)]
struct DraftPart {
    part: Part,
    records: Vec<RecordRef>,
    chunk_crcs: Vec<u32>,
    /// What it was before the fragment that is continued: the part, and how many records and
    /// chunks.
    before: Option<(Part, usize, usize)>,
}

impl Draft {
    /// Adds the record that stands at `block`. Answers the part's start if the part is new.
    pub(crate) fn add(
        &mut self,
        header: &RecordHeader,
        chunk_crcs: &[u32],
        block: u32,
    ) -> Option<Timestamp> {
        let known = self.by_clip.get(&header.clip).cloned();
        let (camera, start) =
            known.clone().unwrap_or_else(|| (header.camera.clone(), header.start));
        if known.is_none() {
            self.by_clip.insert(header.clip, (camera.clone(), start));
            if !self.cameras.contains_key(&camera) {
                self.camera_bytes += camera.as_str().len();
            }
            *self.cameras.entry(camera.clone()).or_default() += 1;
        }
        let part = self
            .parts
            .entry((camera, start, header.clip))
            .or_insert_with(|| DraftPart::beginning_with(header));
        part.add(header, chunk_crcs, block);
        self.records += 1;
        self.chunks += chunk_crcs.len();
        self.payload_bytes += u64::from(header.payload_bytes);
        self.newest_received = self.newest_received.max(header.received);
        known.is_none().then_some(start)
    }

    /// Makes the part of each clip that `is_home` here the clip's beginning, also where its first
    /// record was lost: otherwise one bad sector would hide all that the clip has behind it.
    pub(crate) fn mark_beginnings(&mut self, is_home: impl Fn(ClipId) -> bool) {
        for ((.., clip), draft) in &mut self.parts {
            draft.part.first |= is_home(*clip);
        }
    }

    /// Takes the unfinished fragment at the end of `clip` off again; answers its records.
    pub(crate) fn cut_continued(&mut self, clip: ClipId) -> Vec<RecordRef> {
        let Some((camera, start)) = self.by_clip.get(&clip).cloned() else { return Vec::new() };
        let key = (camera, start, clip);
        let Some(draft) = self.parts.get_mut(&key).filter(|draft| draft.part.continued) else {
            return Vec::new();
        };
        let chunks = draft.chunk_crcs.len();
        let cut = draft.cut_continued();
        self.records -= cut.len();
        self.chunks -= chunks - draft.chunk_crcs.len();
        self.payload_bytes -= cut.iter().map(|record| u64::from(record.payload_bytes)).sum::<u64>();
        if draft.records.is_empty() {
            self.parts.remove(&key);
            self.by_clip.remove(&clip);
            self.forget_part_of(&key.0);
        }
        let received = self.parts.values().map(|draft| draft.part.received);
        self.newest_received = received.max().unwrap_or_default();
        cut
    }

    fn forget_part_of(&mut self, camera: &CameraId) {
        let Some(parts) = self.cameras.get_mut(camera) else { return };
        *parts -= 1;
        if *parts == 0 {
            self.cameras.remove(camera);
            self.camera_bytes -= camera.as_str().len();
        }
    }

    /// The block behind the last record.
    pub(crate) fn end_block(&self) -> u32 {
        let records = self.parts.values().flat_map(|draft| &draft.records);
        records.map(RecordRef::end_block).max().unwrap_or(1)
    }

    /// The most bytes that the footer may take once `records` more records with `chunks` chunks, of
    /// one clip of camera `camera`, are in.
    pub(crate) fn footer_bytes_with(
        &self,
        camera: &CameraId,
        records: usize,
        chunks: usize,
    ) -> u64 {
        Footer::encoded_bytes(
            self.parts.len() + 1,
            self.records + records,
            self.chunks + chunks,
            self.cameras.len() + 1,
            self.camera_bytes + camera.as_str().len(),
        )
    }

    /// The footer of these parts.
    pub(crate) fn footer(&self) -> Footer {
        let mut footer =
            Footer { cameras: self.cameras.keys().cloned().collect(), ..Footer::default() };
        for ((camera, ..), draft) in &self.parts {
            let index = footer.cameras.binary_search(camera).unwrap_or_default();
            let records_start = count(footer.records.len());
            let chunks_start = count(footer.chunk_crcs.len());
            footer.records.extend(draft.records.iter().map(|record| RecordRef {
                chunks_start: record.chunks_start + chunks_start,
                ..*record
            }));
            footer.chunk_crcs.extend(&draft.chunk_crcs);
            let records_count = count(draft.records.len());
            let camera = count(index);
            footer.parts.push(Part { camera, records_start, records_count, ..draft.part.clone() });
        }
        footer
    }

    /// The parts of `camera` that start in `starts`, in order.
    pub(crate) fn parts_in(
        &self,
        camera: &CameraId,
        starts: &RangeInclusive<Timestamp>,
    ) -> Vec<FoundPart> {
        let from = (camera.clone(), *starts.start(), ClipId::MIN);
        let to = (camera.clone(), *starts.end(), ClipId::MAX);
        self.parts.range(from..=to).map(|((camera, ..), draft)| draft.found(camera)).collect()
    }

    /// Every part.
    pub(crate) fn parts(&self) -> impl Iterator<Item = FoundPart> + '_ {
        self.parts.iter().map(|((camera, ..), draft)| draft.found(camera))
    }

    /// The part of clip `clip`.
    pub(crate) fn part_of(&self, clip: ClipId) -> Option<(FoundPart, PartRecords)> {
        let (camera, start) = self.by_clip.get(&clip)?;
        let draft = self.parts.get(&(camera.clone(), *start, clip))?;
        let records = PartRecords::of_draft(draft.records.clone(), draft.chunk_crcs.clone());
        Some((draft.found(camera), records))
    }

    /// Payload bytes of all records.
    pub(crate) fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }

    /// Trusted time when the newest record arrived; [`Timestamp::EPOCH`] when there is none.
    pub(crate) fn newest_received(&self) -> Timestamp {
        self.newest_received
    }

    /// Whether it has no record.
    pub(crate) fn is_empty(&self) -> bool {
        self.records == 0
    }
}

impl DraftPart {
    fn beginning_with(header: &RecordHeader) -> Self {
        let part = Part {
            clip: header.clip,
            camera: 0,
            class: header.class,
            first: header.first,
            last: header.last,
            continued: header.continued,
            media: header.media,
            sequence: header.sequence,
            clip_offset: header.clip_offset,
            start: header.start,
            end: header.end,
            received: header.received,
            uncertainty_us: header.uncertainty_us,
            payload_bytes: 0,
            digest: header.digest,
            records_start: 0,
            records_count: 0,
        };
        Self { part, records: Vec::new(), chunk_crcs: Vec::new(), before: None }
    }

    fn add(&mut self, header: &RecordHeader, chunk_crcs: &[u32], block: u32) {
        if header.continued && self.before.is_none() {
            self.before = Some((self.part.clone(), self.records.len(), self.chunk_crcs.len()));
        }
        if !header.continued {
            self.before = None;
        }
        self.records.push(RecordRef {
            block,
            header_bytes: u32::try_from(header.header_bytes()).unwrap_or(u32::MAX),
            payload_bytes: header.payload_bytes,
            chunks_start: count(self.chunk_crcs.len()),
            clip_offset: header.clip_offset,
        });
        self.chunk_crcs.extend_from_slice(chunk_crcs);
        self.part.payload_bytes += u64::from(header.payload_bytes);
        self.part.last |= header.last;
        self.part.continued = header.continued;
        self.part.end = self.part.end.max(header.end);
        self.part.received = self.part.received.max(header.received);
        self.part.digest = header.digest;
    }

    /// Takes the unfinished fragment off again, and answers its records.
    fn cut_continued(&mut self) -> Vec<RecordRef> {
        let Some((part, records, chunks)) = self.before.take() else { return Vec::new() };
        self.part = part;
        self.chunk_crcs.truncate(chunks);
        self.records.split_off(records)
    }

    fn found(&self, camera: &CameraId) -> FoundPart {
        let end_offset = self
            .records
            .last()
            .map_or(0, |record| record.clip_offset + u64::from(record.payload_bytes));
        FoundPart {
            part: Part { records_count: count(self.records.len()), ..self.part.clone() },
            camera: camera.clone(),
            end_offset,
            fragments: count(fragments_of(&self.records)),
        }
    }
}

/// A count inside one segment, which is far below 4 G.
fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
