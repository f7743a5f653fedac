//! Moving held clips out of segments that expire, into evidence segments.
//!
//! 1. Each record's payload is read and checked against its chunk CRCs, and written with the same
//!    CRCs into an evidence segment allocated for just these clips (or, on a full disk, into the
//!    reserve). A chunk that is damaged already is copied as it is, so that it stays what it is:
//!    reported damage, and never data.
//! 2. The evidence segment is sealed, synced, and read back: every chunk, and the digest of every
//!    clip. A crash up to here leaves a copy that no entry names; opening removes it.
//! 3. The move is put on record, durable. From here on the copy counts.
//! 4. The catalog follows. The source goes with the sweep's next step.

use std::error::Error as _;
use std::sync::Arc;

use bytes::Bytes;

use crate::barrier::Barrier;
use crate::format::entry::{CLIPS_PER_ENTRY_MAX, Decision};
use crate::format::footer::{Footer, RecordRef};
use crate::format::record::{RecordHeader, chunk_count};
use crate::format::{BLOCK_BYTES, CHUNK_BYTES, SEGMENT_BYTES_MAX, SEGMENT_UNIT_BYTES};
use crate::log::{FoundPart, Known, PartRecords, Segment, seal_copy};
use crate::types::{ClassId, ClipId, Error, ErrorKind, Result, Timestamp};

use super::Inner;
use super::catalog::Located;
use super::gate::Removal;

/// An evidence segment is not made larger than this for more than one clip, so that one that is
/// partly released is soon wholly so.
const EVIDENCE_BYTES_MAX: u64 = 256 << 20;

/// What became of held clips that were to be moved.
#[derive(Debug, Default)]
pub(super) struct Moved {
    pub(super) clips: u64,
    pub(super) bytes: u64,
    /// Why some stay where they are; nothing is lost by that.
    pub(super) problems: Vec<Error>,
}

impl Inner {
    /// Moves `clips` to evidence segments. What cannot be moved stays where it is: for lack of room
    /// on the disk and in the reserve, because it is larger than a segment can be, or because it
    /// cannot be read or does not read back as it was. One such clip does not stop the others.
    pub(super) fn relocate(&self, clips: &[Located]) -> Moved {
        let mut moved = Moved::default();
        let mut rest = clips;
        while !rest.is_empty() {
            let (count, size) = self.next_group(rest);
            let (now, later) = rest.split_at(count);
            match self.move_group(now, size) {
                Ok(()) => moved.count(now),
                Err(error) if now.len() == 1 || error.kind() == ErrorKind::Full => {
                    moved.problems.push(error);
                }
                Err(_) => self.move_singly(now, &mut moved),
            }
            rest = later;
        }
        moved
    }

    /// How many of `clips` go into the next evidence segment, at least one, and its size.
    fn next_group(&self, clips: &[Located]) -> (usize, u64) {
        let (mut count, mut size) = (0, 2 * BLOCK_BYTES);
        for located in clips {
            let needed = self.copied_bytes(located);
            if count > 0 && size + needed > EVIDENCE_BYTES_MAX {
                break;
            }
            size += needed;
            count += 1;
        }
        (count, size)
    }

    fn move_singly(&self, clips: &[Located], moved: &mut Moved) {
        for located in clips {
            let one = std::slice::from_ref(located);
            match self.move_group(one, 2 * BLOCK_BYTES + self.copied_bytes(located)) {
                Ok(()) => moved.count(one),
                Err(error) => moved.problems.push(error),
            }
        }
    }

    /// The most bytes that the copy of a clip takes, its share of the footer included.
    fn copied_bytes(&self, located: &Located) -> u64 {
        let mut blocks = 0;
        let (mut records, mut chunks) = (0, 0);
        for (segment, found) in &located.parts {
            // A part that cannot be read now fails when it is copied.
            let Ok(Some((_, part))) = segment.part_of(&self.footers, found.part.clip) else {
                continue;
            };
            for record in &part.records {
                blocks += u64::from(record.end_block() - record.block);
                records += 1;
                chunks += usize::try_from(chunk_count(record.payload_bytes)).unwrap_or(0);
            }
        }
        let camera_bytes = located.clip.camera.as_str().len();
        blocks * BLOCK_BYTES + Footer::encoded_bytes(1, records, chunks, 1, camera_bytes)
    }

    fn move_group(&self, clips: &[Located], size: u64) -> Result<()> {
        let size = size.next_multiple_of(SEGMENT_UNIT_BYTES);
        if size > SEGMENT_BYTES_MAX {
            let message = "move held clip: larger than a segment can be, it stays where it is";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let allocated = self.allocate_segment(ClassId::EVIDENCE, size);
        let segment = match allocated {
            Err(error)
                if error.kind() == ErrorKind::Full && size <= self.options.evidence_reserve =>
            {
                // The reserve may be gone too; then the disk is what is full.
                self.segment_from_reserve().or(Err(error))?
            }
            allocated => allocated?,
        };
        let moved =
            self.copy_and_check(&segment, clips).and_then(|()| self.record_move(&segment, clips));
        if let Err(error) = moved {
            if self.ledger.lock().in_doubt() {
                // The move may be on record all the same: the next opening keeps the copy, or
                // removes it if no entry names it.
                return Err(error);
            }
            // Nothing names the copy, so it can go; if not now, then at the next opening.
            self.catalog.write().add_segment(&segment, size, false);
            let removal = Removal::File(Arc::clone(&segment));
            let removed = self.check_gone(removal).map(|proof| self.remove(vec![proof]));
            let problems = removed.map_or_else(|error| vec![error], |(_, problems)| problems);
            for problem in problems {
                self.survived(problem);
            }
            return Err(error);
        }
        Ok(())
    }

    /// Steps 1 and 2.
    fn copy_and_check(&self, segment: &Arc<Segment>, clips: &[Located]) -> Result<()> {
        let mut block = 1;
        for located in clips {
            let mut previous = None;
            for (source, found) in &located.parts {
                let Some((_, part)) = source.part_of(&self.footers, located.clip.id)? else {
                    continue;
                };
                for (index, record) in part.records.iter().enumerate() {
                    let mut copier = Copier { source, found, part: &part, record, index };
                    let blocks = copier.copy_to(segment, block, &mut previous)?;
                    block += blocks;
                }
            }
        }
        let now = self.now();
        seal_copy(segment, block, now)?;
        self.footers.keep(segment, segment.trailer().map_or(0, |trailer| trailer.footer_bytes));
        segment.file.drop_cache(0..u64::from(block) * BLOCK_BYTES);
        // Opened anew: what counts is what the next opening of the store will find.
        let named = (segment.class, segment.id);
        let copy = Segment::open(&self.handles, named, &self.uuid, Known::default(), false)?;
        let no_footer = copy.no_footer.filter(|_| Barrier::CopyFooter.stands());
        if let Some(problem) = no_footer.into_iter().chain(copy.problems).next() {
            return Err(problem);
        }
        clips.iter().try_for_each(|located| self.check_copy(&copy.segment, located))
    }

    /// Compares a moved clip with its source, chunk by chunk: what can be read there must read the
    /// same here, and what is damaged there must be reported as damaged here. A source that the
    /// disk cannot read is kept: it may be readable another time.
    fn check_copy(&self, copy: &Arc<Segment>, located: &Located) -> Result<()> {
        let differs = || {
            let message = format!(
                "move held clip {}: the copy does not read back as it was",
                located.clip.id
            );
            Error::corrupt(message).at(&copy.path())
        };
        let copied = copy.part_of(&self.footers, located.clip.id)?;
        let (_, copied) = copied.ok_or_else(differs)?;
        let mut copied_records = copied.records.iter();
        let mut hasher = blake3::Hasher::new();
        let mut whole = true;
        for (source, found) in &located.parts {
            let Some((_, part)) = source.part_of(&self.footers, found.part.clip)? else {
                return Err(differs());
            };
            for record in &part.records {
                let copied_record = copied_records.next().ok_or_else(differs)?;
                let crcs = part.crcs_of(record);
                let same = copied_record.clip_offset == record.clip_offset
                    && copied_record.payload_bytes == record.payload_bytes
                    && copied.crcs_of(copied_record) == crcs;
                if !Barrier::CopyRecords.test(same) {
                    return Err(differs());
                }
                for index in 0..crcs.len() {
                    let here = copy.read_chunk(copied_record, crcs, index);
                    match (source.read_chunk(record, crcs, index), here) {
                        (Ok(chunk), Ok(here)) if Barrier::CopyBytes.test(chunk == here) => {
                            hasher.update(&chunk);
                        }
                        (Err(error), _) if error.source().is_some() => return Err(error),
                        (Err(_), Err(_)) => whole = false,
                        _ => return Err(differs()),
                    }
                }
            }
        }
        let gapless = located.parts.iter().map(|(_, found)| found.part.payload_bytes).sum::<u64>()
            == located.clip.len;
        let digest = *hasher.finalize().as_bytes();
        let same = digest == located.clip.digest;
        if whole && gapless && !Barrier::CopyDigest.test(same) {
            let message =
                format!("move held clip {}: it does not match its digest", located.clip.id);
            return Err(Error::corrupt(message));
        }
        Ok(())
    }

    /// Steps 3 and 4, with the ledger in hand: a clip that its owner deleted meanwhile is not moved
    /// but erased, also from the copy.
    fn record_move(&self, segment: &Arc<Segment>, clips: &[Located]) -> Result<()> {
        let mut ledger = self.ledger.lock();
        let (gone, ids): (Vec<ClipId>, Vec<ClipId>) = {
            let catalog = self.catalog.read();
            clips
                .iter()
                .map(|located| located.clip.id)
                .partition(|id| !Barrier::MoveDeleted.test(!catalog.gone.contains(id)))
        };
        let mut decisions: Vec<Decision> = segment
            .trailer()
            .iter()
            .map(|trailer| super::host::sealed_entry(segment, trailer))
            .collect();
        decisions.extend(
            ids.chunks(CLIPS_PER_ENTRY_MAX)
                .map(|clips| Decision::ClipsMoved { to: segment.id, clips: clips.to_vec() }),
        );
        self.decide_locked(&mut ledger, decisions)?;
        let parts = segment.parts(&self.footers)?;
        let file_bytes = segment.file.allocated().unwrap_or(segment.header.segment_bytes);
        let mut catalog = self.catalog.write();
        catalog.add_segment(segment, file_bytes, false);
        catalog.moved.extend(ids.iter().map(|id| (*id, segment.id)));
        catalog.add_parts(segment.id, &parts);
        if !gone.is_empty() {
            catalog.to_erase.entry(segment.id).or_default().extend(gone);
        }
        Ok(())
    }
}

impl Moved {
    fn count(&mut self, clips: &[Located]) {
        self.clips += u64::try_from(clips.len()).unwrap_or(0);
        self.bytes += clips.iter().map(|located| located.clip.len).sum::<u64>();
    }
}

/// Copies one record.
struct Copier<'a> {
    source: &'a Arc<Segment>,
    found: &'a FoundPart,
    part: &'a PartRecords,
    record: &'a RecordRef,
    index: usize,
}

impl Copier<'_> {
    /// Writes the record at `block` of `to`; answers how many blocks it took.
    fn copy_to(
        &mut self,
        to: &Arc<Segment>,
        block: u32,
        previous: &mut Option<(crate::types::SegmentId, u32)>,
    ) -> Result<u32> {
        let crcs = self.part.crcs_of(self.record);
        let mut header = self.header();
        header.previous = *previous;
        header.durable_block = 0;
        let ends = header.ends(crcs, &to.header.key, block);
        let chunks: Vec<Bytes> = (0..crcs.len()).map(|index| self.chunk(crcs, index)).collect();
        let mut bufs: Vec<&[u8]> = vec![ends.head()];
        bufs.extend(chunks.iter().map(|chunk| &chunk[..]));
        bufs.extend([ends.padding(), ends.tail()]);
        to.file
            .write_through(u64::from(block) * BLOCK_BYTES, &bufs)
            .map_err(|error| Error::io("write evidence segment", &to.path(), error))?;
        to.with_draft(|draft| draft.add(&header, crcs, block));
        *previous = Some((to.id, block));
        Ok(header.blocks())
    }

    /// Chunk `index`, or, when it is damaged, what is left of it.
    fn chunk(&self, crcs: &[u32], index: usize) -> Bytes {
        if let Ok(chunk) = self.source.read_chunk(self.record, crcs, index) {
            return chunk;
        }
        let start = index * CHUNK_BYTES;
        let payload = usize::try_from(self.record.payload_bytes).unwrap_or(usize::MAX);
        let mut left = vec![0; payload.min(start + CHUNK_BYTES).saturating_sub(start)];
        let offset = u64::from(self.record.block) * BLOCK_BYTES
            + u64::from(self.record.header_bytes)
            + u64::try_from(start).unwrap_or(0);
        if self.source.file.read_at(offset, &mut left).is_err() {
            // Unreadable: zeros do not match the CRC either, so the damage stays reported. If by
            // chance they do, the chunk was all zeros.
            left.fill(0);
        }
        Bytes::from(left)
    }

    /// The record's header as it was written, or, when its copy is damaged too, from what the
    /// footer knows.
    fn header(&self) -> RecordHeader {
        let [head, tail] = self.source.headers_of(self.record);
        head.or(tail).unwrap_or_else(|_| self.header_from_footer())
    }

    fn header_from_footer(&self) -> RecordHeader {
        let part = &self.found.part;
        let is_last = self.index + 1 == self.part.records.len();
        let sequence = part.sequence.saturating_add(u32::try_from(self.index).unwrap_or(u32::MAX));
        let end: Timestamp = if is_last { part.end } else { part.start };
        RecordHeader {
            clip: part.clip,
            camera: self.found.camera.clone(),
            class: part.class,
            first: sequence == 0,
            last: part.last && is_last,
            continued: part.continued && is_last,
            media: part.media,
            sequence,
            clip_offset: self.record.clip_offset,
            payload_bytes: self.record.payload_bytes,
            start: part.start,
            end,
            received: part.received,
            uncertainty_us: part.uncertainty_us,
            previous: None,
            digest: part.digest,
            durable_block: 0,
        }
    }
}
