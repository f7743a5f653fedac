//! The appender of one class: group commit into the class's open segment.
//!
//! Writers submit records and wait; one of them, the leader, places, writes and syncs the records
//! of all. Owns the open segment of the class. Never decides what may be deleted.
//!
//! Locks: `state` is held only to move records in and outcomes out, never across I/O. While
//! `committing` is set the leader alone owns `open`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::clip_slot::{ClipSlot, Place};
use super::{Segment, seal_segment};
use crate::barrier::Barrier;
use crate::format::BLOCK_BYTES;
use crate::format::footer::Footer;
use crate::format::record::{RecordEnds, RecordHeader};
use crate::format::segment::Trailer;
use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::types::{CameraId, ClassId, ClipId, Error, ErrorKind, Result, SegmentId, Timestamp};

/// A submitter that would exceed this many waiting payload bytes commits before it goes on: memory
/// stays bounded whatever the number of cameras.
const GROUP_BYTES_MAX: usize = 32 << 20;

/// What the appender needs of the store around it.
pub(crate) trait Host: Send + Sync {
    /// Makes a new, empty segment whose header and name are durable, making room if need be.
    fn new_segment(&self, class: ClassId) -> Result<Arc<Segment>>;
    /// These records are durable (or written, without `Durability::Synced`).
    fn published(&self, segment: &Arc<Segment>, records: &[Published]);
    /// The segment is sealed.
    fn sealed(&self, segment: &Arc<Segment>, trailer: &Trailer);
    /// A write to it failed.
    fn suspect(&self, segment: &Arc<Segment>, reached: Reached, cause: &Error);
    /// Trusted time.
    fn now(&self) -> Timestamp;
    /// A segment made at or before this time takes no more records.
    fn sealed_before(&self) -> Timestamp;
}

/// How far the writing of a segment got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reached {
    /// Everything below is published; what stands behind was never acknowledged.
    pub(crate) published_bytes: u64,
    /// Everything below survives power loss.
    pub(crate) durable_bytes: u64,
}

/// A record that became part of the log.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub(crate) camera: CameraId,
    pub(crate) clip: ClipId,
    pub(crate) received: Timestamp,
    /// The start of the part, if the record began one.
    pub(crate) new_part: Option<Timestamp>,
    pub(crate) uncertainty: Duration,
    pub(crate) first: bool,
}

/// A record on its way into the log.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) slot: Arc<ClipSlot>,
    /// `clip`, `previous` and `durable_block` are filled in by the leader.
    pub(crate) header: RecordHeader,
    pub(crate) chunk_crcs: Vec<u32>,
    pub(crate) payload: Bytes,
}

/// The place of a submission in the queue: everything up to it can be waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

/// The appender of one class.
#[derive(Debug)]
pub(crate) struct Appender {
    class: ClassId,
    state: Mutex<State>,
    /// Who waits for the end of the group that is being written, and who for the one after it, in
    /// turns: with the end of a group none wakes but those who are in it, and one who leads the
    /// next.
    ended: [Condvar; 2],
}

/// Invariant: `settled <= submitted`, and the queue has the submissions between them unless a
/// leader has taken it.
#[derive(Debug, Default)]
struct State {
    queue: Vec<Submission>,
    queue_bytes: usize,
    submitted: u64,
    settled: u64,
    /// Everything up to here was taken out of the queue by a leader.
    taken: u64,
    /// How many groups were taken.
    groups: usize,
    /// A leader is at work and has taken `open`.
    committing: bool,
    open: Option<OpenSegment>,
    /// Two segments in a row failed: nothing more is written until the store is opened again.
    poisoned: Option<Error>,
}

/// The segment that the class writes to.
#[derive(Debug)]
struct OpenSegment {
    segment: Arc<Segment>,
    next_block: u32,
    /// Everything below is published: written, and durable if its writers asked for that.
    published_block: u32,
    /// Everything below is durable.
    durable_block: u32,
    next_ordinal: u32,
    created: Timestamp,
}

/// A record with its place and what stands around its payload, not yet written.
struct Placed {
    block: u32,
    ends: RecordEnds,
    header: RecordHeader,
}

impl Appender {
    pub(crate) fn new(class: ClassId) -> Self {
        let ended = [Condvar::new(), Condvar::new()];
        Self { class, state: Mutex::new(State::default()), ended }
    }

    /// Goes on writing to a segment that recovery found open: records end below `next_block`, and
    /// the next clip that begins there gets number `next_ordinal`.
    pub(crate) fn resume(&self, segment: Arc<Segment>, next_block: u32, next_ordinal: u32) {
        let created = segment.header.created;
        let (published_block, durable_block) = (next_block, next_block);
        let open = OpenSegment {
            segment,
            next_block,
            published_block,
            durable_block,
            next_ordinal,
            created,
        };
        self.state.lock().open = Some(open);
    }

    /// Queues the records of one fragment, in order. Nothing is durable yet.
    ///
    /// # Errors
    ///
    /// `Poisoned` after two segments in a row could not be written.
    pub(crate) fn submit(
        &self,
        records: Vec<Submission>,
        host: &dyn Host,
        sync: bool,
    ) -> Result<Ticket> {
        let bytes: usize = records.iter().map(|record| record.payload.len()).sum();
        let (ticket, full) = {
            let mut state = self.state.lock();
            if let Some(error) = &state.poisoned {
                return Err(error.clone());
            }
            state.submitted += u64::try_from(records.len()).unwrap_or(0);
            state.queue_bytes += bytes;
            state.queue.extend(records);
            (Ticket(state.submitted), state.queue_bytes > GROUP_BYTES_MAX)
        };
        if full {
            self.commit(ticket, host, sync);
        }
        Ok(ticket)
    }

    /// Waits until everything up to `ticket` is settled: written (and durable if `sync`), or lost.
    /// Leads the commit when nobody else does. What became of a clip, its [`ClipSlot::check`] says.
    pub(crate) fn commit(&self, ticket: Ticket, host: &dyn Host, sync: bool) {
        let mut state = self.state.lock();
        while state.settled < ticket.0 {
            if state.committing {
                self.wait(&mut state, ticket);
                continue;
            }
            state.committing = true;
            let group = std::mem::take(&mut state.queue);
            state.taken = state.submitted;
            state.groups = state.groups.wrapping_add(1);
            state.queue_bytes = 0;
            if let Some(error) = &state.poisoned {
                // Submitted before the appender was poisoned: lost like what the leader had.
                break_all(&group, error);
            } else {
                let open = state.open.take();
                drop(state);
                let mut leader = Leader { class: self.class, host, open, sync, settled: 0 };
                let outcome = leader.write_group(&group);
                state = self.state.lock();
                state.open = leader.open;
                state.poisoned = outcome.err().filter(|error| error.kind() == ErrorKind::Poisoned);
            }
            state.settled += u64::try_from(group.len()).unwrap_or(0);
            self.end(&mut state);
        }
    }

    /// Waits for the end of the group in which everything up to `ticket` is, or comes to be.
    fn wait(&self, state: &mut MutexGuard<'_, State>, ticket: Ticket) {
        let [even, odd] = &self.ended;
        let is_later = ticket.0 > state.taken;
        let is_even = state.groups.is_multiple_of(2) != is_later;
        if is_even { even.wait(state) } else { odd.wait(state) }
    }

    /// Lets go of the lead, and wakes who was in the group and one who can lead the next. Whoever
    /// comes in between may lead it instead: at the end of that group one more is woken.
    fn end(&self, state: &mut State) {
        state.committing = false;
        let [even, odd] = &self.ended;
        let (this, next) = if state.groups.is_multiple_of(2) { (even, odd) } else { (odd, even) };
        this.notify_all();
        next.notify_one();
    }

    /// The newest ticket handed out.
    pub(crate) fn newest(&self) -> Ticket {
        Ticket(self.state.lock().submitted)
    }

    /// Makes everything written so far durable, whatever the durability of its writers.
    ///
    /// # Errors
    ///
    /// As [`Appender::commit`].
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method as a value is of one lifetime, and every leader has its own"
    )]
    pub(crate) fn sync(&self, host: &dyn Host) -> Result<()> {
        self.commit(self.newest(), host, true);
        self.lead(host, |leader| leader.sync_open())
    }

    /// Seals the open segment if it has records and is at least as old as `created_before` says.
    ///
    /// # Errors
    ///
    /// As [`Appender::commit`].
    pub(crate) fn seal(&self, host: &dyn Host, created_before: Timestamp) -> Result<()> {
        self.commit(self.newest(), host, true);
        self.lead(host, |leader| leader.seal_aged(created_before))
    }

    /// Runs `act` as the leader of an empty group.
    fn lead(&self, host: &dyn Host, act: impl FnOnce(&mut Leader<'_>) -> Result<()>) -> Result<()> {
        let mut state = self.state.lock();
        while state.committing {
            // Behind all that was submitted: with those who come to be in the next group.
            self.wait(&mut state, Ticket(u64::MAX));
        }
        if let Some(error) = &state.poisoned {
            return Err(error.clone());
        }
        state.committing = true;
        let open = state.open.take();
        drop(state);
        let mut leader = Leader { class: self.class, host, open, sync: true, settled: 0 };
        let outcome = act(&mut leader);
        let mut state = self.state.lock();
        state.open = leader.open;
        self.end(&mut state);
        outcome
    }

    /// What stops this appender for good, if anything does.
    pub(crate) fn poisoned(&self) -> Option<Error> {
        self.state.lock().poisoned.clone()
    }

    /// The open segment with how far it got, unless a leader is at work on it.
    pub(crate) fn reached(&self) -> Option<(SegmentId, Reached)> {
        let state = self.state.lock();
        state.open.as_ref().map(|open| (open.segment.id, open.reached()))
    }
}

/// The one who writes, while `committing` is set.
struct Leader<'a> {
    class: ClassId,
    host: &'a dyn Host,
    open: Option<OpenSegment>,
    sync: bool,
    /// How many submissions of the group are written.
    settled: usize,
}

impl Leader<'_> {
    /// Writes all of `group`, over as many segments as it takes. After a failed write the rest of
    /// the group goes to a fresh segment, once.
    fn write_group(&mut self, group: &[Submission]) -> Result<()> {
        let mut retried = false;
        loop {
            let rest = group.get(self.settled..).unwrap_or_default();
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

    fn write_rest(&mut self, rest: &[Submission]) -> Result<()> {
        // With nobody who sweeps, recording itself keeps to the age at which segments are sealed.
        self.seal_aged(self.host.sealed_before())?;
        let mut placed = Vec::new();
        let mut written = 0;
        let mut waiting = 0;
        // Up to here there is room in the open segment: a fragment that fits one stands in one.
        let mut sure = 0;
        for (index, submission) in rest.iter().enumerate() {
            if submission.slot.0.lock().broken.is_some() {
                // Its clip lost a record before this one; the recorder was told.
                self.flush(&mut placed, rest.get(written..index).unwrap_or_default())?;
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
                    self.flush(&mut placed, rest.get(written..index).unwrap_or_default())?;
                    written = index;
                    waiting = 0;
                    if self.open.is_some() {
                        self.seal()?;
                    }
                    self.open = Some(OpenSegment::new(self.host.new_segment(self.class)?));
                }
                if self.has_room_for(fragment, waiting) {
                    sure = index + fragment.len();
                }
            }
            let record = self.place(submission)?;
            waiting = if placed.is_empty() { 0 } else { waiting } + waiting_bytes(&record.header);
            placed.push(record);
        }
        self.flush(&mut placed, rest.get(written..).unwrap_or_default())
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

    /// Gives a record its place, its clip id and its header.
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
        let ends = header.ends(&submission.chunk_crcs, &open.segment.header.key, block);
        Ok(Placed { block, ends, header })
    }

    /// Writes the placed records in one go, syncs, and publishes them.
    ///
    /// 1. One vectored write of headers, payloads and tails. A crash here leaves records that
    ///    nobody was promised; the scan takes the whole ones.
    /// 2. `fdatasync`. After it the records survive power loss.
    /// 3. Draft and index learn of them; only now can a reader find them.
    fn flush(&mut self, placed: &mut Vec<Placed>, submissions: &[Submission]) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if placed.is_empty() {
            return Ok(());
        }
        let segment = Arc::clone(&open.segment);
        let start = placed.first().map_or(0, |first| u64::from(first.block) * BLOCK_BYTES);
        let mut bufs: Vec<&[u8]> = Vec::with_capacity(placed.len() * 4);
        for (record, submission) in placed.iter().zip(submissions) {
            let ends = &record.ends;
            bufs.extend([ends.head(), &submission.payload, ends.padding(), ends.tail()]);
        }
        let fail = |error| Error::io("write segment", &segment.path, error).at_offset(start);
        // What is synced next need not be in the page cache; what is not must not wait for a disk.
        let written = if self.sync {
            segment.file.write_through(start, &bufs)
        } else {
            segment.file.write_at(start, &bufs)
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
    fn sync_open(&mut self) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if open.durable_block == open.next_block {
            return Ok(());
        }
        let segment = Arc::clone(&open.segment);
        match Barrier::OpenSegmentSync.sync(|| segment.file.sync()) {
            Ok(()) => {
                open.durable_block = open.next_block;
                Ok(())
            }
            Err(error) => {
                let error = Error::io("sync segment", &segment.path, error);
                self.abandon(&error);
                Err(error)
            }
        }
    }

    /// Seals the open segment if it has records and is at least as old as `created_before` says.
    fn seal_aged(&mut self, created_before: Timestamp) -> Result<()> {
        let aged = self.open.as_ref().is_some_and(|open| {
            open.created <= created_before
                && !open.segment.with_draft(|draft| draft.is_empty()).unwrap_or(true)
        });
        if aged { self.seal() } else { Ok(()) }
    }

    /// Seals the open segment.
    ///
    /// 1. The footer goes behind the last record, the trailer into the last block, in allocated
    ///    space. A crash before the sync leaves an open segment, which is scanned.
    /// 2. `fdatasync`. The trailer vouches for the footer by its CRC, so one sync is enough.
    /// 3. What lies between footer and trailer was never used and is given back.
    /// 4. The store learns of it and puts the Merkle root into the ledger.
    fn seal(&mut self) -> Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        match seal_segment(&open.segment, open.next_block, self.host.now()) {
            Ok(trailer) => {
                self.host.sealed(&open.segment, &trailer);
                Ok(())
            }
            Err(error) => {
                // Its records are safe if they were synced: the next opening scans them.
                self.host.suspect(&open.segment, open.reached(), &error);
                if open.durable_block == open.next_block { Ok(()) } else { Err(error) }
            }
        }
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
    records.iter().map(|record| record.chunk_crcs.len()).sum()
}

/// Tells the clips of records that were lost why.
fn break_all(lost: &[Submission], error: &Error) {
    for submission in lost {
        submission.slot.0.lock().broken.get_or_insert_with(|| error.clone());
    }
}

/// Footer bytes that a record may cost which is not in the draft yet.
fn waiting_bytes(header: &RecordHeader) -> u64 {
    let chunks = crate::format::record::chunk_count(header.payload_bytes);
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
        let created = segment.header.created;
        Self {
            segment,
            next_block: 1,
            published_block: 1,
            durable_block: 1,
            next_ordinal: 0,
            created,
        }
    }

    fn reached(&self) -> Reached {
        Reached {
            published_bytes: u64::from(self.published_block) * BLOCK_BYTES,
            durable_bytes: u64::from(self.durable_block) * BLOCK_BYTES,
        }
    }
}
