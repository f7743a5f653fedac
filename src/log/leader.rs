//! The leader of a commit: places, writes, syncs and seals while nobody else may.
//!
//! Owns the open segment for as long as the appender has lent it. Never decides what may be
//! deleted.

use std::sync::Arc;
use std::time::Duration;

use super::Segment;
use super::appender::{Appender, Host, Published, Reached, Submission};
use super::clip_slot::Place;
use super::group::Group;
use super::leftover::Leftover;
use crate::barrier::Barrier;
use crate::format::BLOCK_BYTES;
use crate::format::footer::Footer;
use crate::format::record::{RecordHeader, chunk_count};
use crate::types::{ClipId, Error, ErrorKind, Result, Timestamp};

/// The segment that the class writes to.
#[derive(Debug)]
pub(super) struct OpenSegment {
    pub(super) segment: Arc<Segment>,
    pub(super) next_block: u32,
    /// Everything below is published: written, and durable if its writers asked for that.
    published_block: u32,
    /// Everything below is durable.
    durable_block: u32,
    next_ordinal: u32,
    created: Timestamp,
}

/// A record with its place, not yet written.
pub(super) struct Placed {
    pub(super) block: u32,
    pub(super) header: RecordHeader,
}

/// The one who writes, while `committing` is set.
pub(super) struct Leader<'a> {
    pub(super) appender: &'a Appender,
    pub(super) host: &'a dyn Host,
    pub(super) open: Option<OpenSegment>,
    pub(super) sync: bool,
    /// That of the clip whose records are not summed yet.
    pub(super) hasher: Option<&'a mut blake3::Hasher>,
    /// How many submissions of the group are written.
    pub(super) settled: usize,
    /// What is to be done later, of former groups of this leader too.
    pub(super) leftover: Leftover,
    /// Whether it had full segments before this group.
    pub(super) had_full: bool,
}

impl Leader<'_> {
    /// Writes all of `group`, over as many segments as it takes. After a failed write the rest of
    /// the group goes to a fresh segment, once.
    pub(super) fn write_group(&mut self, group: &mut [Submission]) -> Result<()> {
        let mut retried = false;
        loop {
            let rest = group.get_mut(self.settled..).unwrap_or_default();
            let Err(error) = self.write_rest(rest) else { return Ok(()) };
            let rest = group.get(self.settled..).unwrap_or_default();
            for submission in rest {
                submission.slot.0.lock().placed = None;
            }
            if self.abandon(&error) && !retried {
                retried = true;
                continue;
            }
            // Without room nothing is broken: writing resumes when there is some again.
            let error = if retried && error.kind() != ErrorKind::Full {
                Error::new(
                    ErrorKind::Poisoned,
                    "write segment: two in a row failed, recording stopped",
                )
                .caused_by(error)
            } else {
                error
            };
            break_all(rest, &error);
            return Err(error);
        }
    }

    /// Lets go of the open segment after a write to it failed: it is never written or synced
    /// again. Answers whether there was one.
    fn abandon(&mut self, cause: &Error) -> bool {
        let Some(open) = self.open.take() else { return false };
        self.host.suspect(&open.segment, open.reached(), cause);
        true
    }

    fn write_rest(&mut self, rest: &mut [Submission]) -> Result<()> {
        // With nobody who sweeps, recording itself keeps to the age at which segments are sealed.
        self.seal_aged(self.host.sealed_before())?;
        let mut placed = Vec::new();
        let mut written = 0;
        let mut waiting = 0;
        // Up to here there is room in the open segment: a fragment that fits one stands in one.
        let mut sure = 0;
        for index in 0..rest.len() {
            let broken = rest.get(index).is_none_or(|record| record.slot.0.lock().broken.is_some());
            if broken {
                // Its clip lost a record before this one; the recorder was told.
                self.flush(&mut placed, rest.get_mut(written..index).unwrap_or_default())?;
                self.settled += 1;
                written = index + 1;
                continue;
            }
            if index >= sure {
                let fragment = fragment_at(rest, index);
                let one = fragment.get(..1).unwrap_or_default();
                let fresh = !self.has_room_for(fragment, waiting)
                    && (self.would_fit(fragment) || !self.has_room_for(one, waiting));
                if fresh {
                    self.flush(&mut placed, rest.get_mut(written..index).unwrap_or_default())?;
                    written = index;
                    waiting = 0;
                    self.roll()?;
                }
                let fragment = fragment_at(rest, index);
                if self.has_room_for(fragment, waiting) {
                    sure = index + fragment.len();
                }
            }
            let Some(submission) = rest.get(index) else { break };
            let record = self.place(submission)?;
            waiting = if placed.is_empty() { 0 } else { waiting } + waiting_bytes(&record.header);
            placed.push(record);
        }
        self.flush(&mut placed, rest.get_mut(written..).unwrap_or_default())
    }

    /// Goes on in a new segment. The full one is sealed when nobody waits for the leader: a new one
    /// takes long enough. What is not durable in it is made so at once, whoever asks for it later;
    /// and where there is no room for a new one all that are full are sealed before: then they may
    /// go.
    fn roll(&mut self) -> Result<()> {
        if self.open.as_ref().is_some_and(|open| !open.is_durable()) {
            self.seal()?;
        }
        self.leftover.extend(self.open.take());
        let mut made = self.host.new_segment(self.appender.class());
        if made.as_ref().is_err_and(|error| error.kind() == ErrorKind::Full) {
            let sealed = self.leftover.seal_full(self.host);
            let waited = self.appender.wait_for_others(usize::from(self.had_full));
            if sealed || waited {
                made = self.host.new_segment(self.appender.class());
            }
        }
        self.open = Some(OpenSegment::new(made?));
        Ok(())
    }

    /// Whether the open segment takes these records of one clip, with its footer still fitting
    /// behind them. `waiting` is what the footer needs for records that are placed but not yet in
    /// the draft.
    fn has_room_for(&self, records: &[Submission], waiting: u64) -> bool {
        let (Some(open), Some(first)) = (&self.open, records.first()) else { return false };
        let end = u64::from(open.next_block) * BLOCK_BYTES + blocks_of(records) * BLOCK_BYTES;
        let (camera, chunks) = (&first.header.camera, chunks_of(records));
        let footer = open
            .segment
            .with_draft(|draft| draft.footer_bytes_with(camera, records.len(), chunks))
            .unwrap_or(u64::MAX);
        let trailer = BLOCK_BYTES;
        end.saturating_add(footer).saturating_add(waiting).saturating_add(trailer)
            <= open.segment.header.segment_bytes
    }

    /// Whether an empty segment as long as the open one would take these records of one clip.
    fn would_fit(&self, records: &[Submission]) -> bool {
        let (Some(open), Some(first)) = (&self.open, records.first()) else { return true };
        let (camera, chunks) = (first.header.camera.as_str(), chunks_of(records));
        let footer = Footer::encoded_bytes(1, records.len(), chunks, 1, camera.len());
        let header_and_trailer = 2 * BLOCK_BYTES;
        header_and_trailer.saturating_add(blocks_of(records) * BLOCK_BYTES).saturating_add(footer)
            <= open.segment.header.segment_bytes
    }

    /// Gives a record its place, its clip id and its header, but for the sums.
    fn place(&mut self, submission: &Submission) -> Result<Placed> {
        let lost = || Error::new(ErrorKind::Io, "place record: its clip has no beginning");
        let open = self.open.as_mut().ok_or_else(lost)?;
        let mut header = submission.header.clone();
        let mut place = submission.slot.0.lock();
        let block = open.next_block;
        if header.first {
            header.clip = ClipId::new(open.segment.id, open.next_ordinal);
            open.next_ordinal += 1;
        } else {
            let before = place.placed.or(place.settled).ok_or_else(lost)?;
            header.clip = before.clip;
            header.previous = Some((before.segment, before.block));
        }
        header.durable_block = open.durable_block;
        open.next_block = block.saturating_add(header.blocks());
        place.placed = Some(Place { clip: header.clip, segment: open.segment.id, block });
        Ok(Placed { block, header })
    }

    /// Writes the placed records, syncs, and publishes them.
    ///
    /// 1. Headers, payloads and tails are written. A crash here leaves records that nobody was
    ///    promised; the scan takes the whole ones.
    /// 2. `fdatasync`. After it the records survive power loss.
    /// 3. Draft and index learn of them; only now can a reader find them.
    fn flush(&mut self, placed: &mut Vec<Placed>, submissions: &mut [Submission]) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if placed.is_empty() {
            return Ok(());
        }
        let segment = Arc::clone(&open.segment);
        let start = placed.first().map_or(0, |first| u64::from(first.block) * BLOCK_BYTES);
        let fail = |error| Error::io("write segment", &segment.path(), error).at_offset(start);
        let mut group = Group { segment: &segment, records: placed, submissions };
        let written = match &mut self.hasher {
            Some(hasher) if self.sync => group.write_while_summing(hasher),
            _ => group.write(self.sync),
        };
        written.map_err(fail)?;
        if self.sync {
            Barrier::CommitSync.sync(|| segment.file.sync()).map_err(fail)?;
            open.durable_block = open.next_block;
        }
        open.published_block = open.next_block;
        let published = publish(&segment, placed, submissions);
        self.host.published(&segment, &published);
        self.settled += placed.len();
        placed.clear();
        Ok(())
    }

    /// Syncs the open segment.
    pub(super) fn sync_open(&mut self) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if open.is_durable() {
            return Ok(());
        }
        let segment = Arc::clone(&open.segment);
        match Barrier::OpenSegmentSync.sync(|| segment.file.sync()) {
            Ok(()) => {
                open.durable_block = open.next_block;
                Ok(())
            }
            Err(error) => {
                let error = Error::io("sync segment", &segment.path(), error);
                self.abandon(&error);
                Err(error)
            }
        }
    }

    /// Seals the open segment if it has records and is at least as old as `created_before` says.
    pub(super) fn seal_aged(&mut self, created_before: Timestamp) -> Result<()> {
        let aged = self.open.as_ref().is_some_and(|open| {
            open.created <= created_before
                && !open.segment.with_draft(|draft| draft.is_empty()).unwrap_or(true)
        });
        if aged { self.seal() } else { Ok(()) }
    }

    /// Seals the open segment.
    fn seal(&mut self) -> Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        self.leftover.seal(&open, self.host)
    }
}

/// The records of `rest` from `index` to the end of the fragment that goes on or begins there.
fn fragment_at(rest: &[Submission], index: usize) -> &[Submission] {
    let rest = rest.get(index..).unwrap_or_default();
    let end = rest.iter().position(|submission| !submission.header.continued);
    rest.get(..=end.unwrap_or(rest.len())).unwrap_or(rest)
}

fn blocks_of(records: &[Submission]) -> u64 {
    records.iter().map(|record| u64::from(record.header.blocks())).sum()
}

fn chunks_of(records: &[Submission]) -> usize {
    let chunks = |record: &Submission| chunk_count(record.header.payload_bytes);
    records.iter().map(|record| usize::try_from(chunks(record)).unwrap_or(usize::MAX)).sum()
}

/// Tells the clips of records that were lost why.
pub(super) fn break_all(lost: &[Submission], error: &Error) {
    for submission in lost {
        submission.slot.0.lock().broken.get_or_insert_with(|| error.clone());
    }
}

/// Footer bytes that a record may cost which is not in the draft yet.
fn waiting_bytes(header: &RecordHeader) -> u64 {
    let chunks = chunk_count(header.payload_bytes);
    let one = Footer::encoded_bytes(1, 1, 0, 1, header.camera.as_str().len());
    one.min(BLOCK_BYTES).saturating_add(u64::from(chunks) * 4)
}

/// Puts durable records into the draft and their clips' slots.
fn publish(segment: &Segment, placed: &[Placed], submissions: &[Submission]) -> Vec<Published> {
    let mut published = Vec::with_capacity(placed.len());
    segment.with_draft(|draft| {
        for (record, submission) in placed.iter().zip(submissions) {
            let new_part = draft.add(&record.header, &submission.chunk_crcs, record.block);
            let mut place = submission.slot.0.lock();
            let (clip, block) = (record.header.clip, record.block);
            place.settled = Some(Place { clip, segment: segment.id, block });
            published.push(Published {
                camera: record.header.camera.clone(),
                clip: record.header.clip,
                received: record.header.received,
                new_part,
                uncertainty: Duration::from_micros(record.header.uncertainty_us),
                first: record.header.first,
            });
        }
    });
    published
}

impl OpenSegment {
    fn new(segment: Arc<Segment>) -> Self {
        Self::found(segment, 1, 0)
    }

    /// All of it below `next_block` is durable; the next clip gets number `next_ordinal`.
    pub(super) fn found(segment: Arc<Segment>, next_block: u32, next_ordinal: u32) -> Self {
        let created = segment.header.created;
        let (published_block, durable_block) = (next_block, next_block);
        Self { segment, next_block, published_block, durable_block, next_ordinal, created }
    }

    /// Whether all that was written to it is durable.
    pub(super) const fn is_durable(&self) -> bool {
        self.durable_block == self.next_block
    }

    pub(super) fn reached(&self) -> Reached {
        Reached {
            published_bytes: u64::from(self.published_block) * BLOCK_BYTES,
            durable_bytes: u64::from(self.durable_block) * BLOCK_BYTES,
        }
    }
}
