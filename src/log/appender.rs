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

use super::Segment;
use super::clip_slot::ClipSlot;
use super::leader::{Leader, OpenSegment, break_all};
use super::leftover::Leftover;
use crate::format::record::{RecordHeader, chunk_crcs};
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
    /// A segment was full: makes ready what the next one needs, if that costs nobody anything.
    fn make_ahead(&self) {}
    /// Takes over what a leader of `class` has left to be done, and has [`Appender::finish`] called
    /// with it soon; or gives it back.
    fn take_over(&self, _class: ClassId, leftover: Leftover) -> Option<Leftover> {
        Some(leftover)
    }
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
    /// Empty, as the header's digest is, until [`Submission::take_sums`].
    pub(crate) chunk_crcs: Vec<u32>,
    pub(crate) payload: Bytes,
    pub(crate) is_summed: bool,
}

impl Submission {
    /// Takes the checksums of its payload, and the digest of its clip up to there: `hasher` has
    /// seen what comes before.
    pub(crate) fn take_sums(&mut self, hasher: &mut blake3::Hasher) {
        if std::mem::replace(&mut self.is_summed, true) {
            return;
        }
        hasher.update(&self.payload);
        self.header.digest = *hasher.finalize().as_bytes();
        self.chunk_crcs = chunk_crcs(&self.payload);
    }
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
    /// Who waits until nothing is left over.
    finished: Condvar,
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
    /// How many leaders have left full segments over, which they seal now.
    unfinished: usize,
    /// Two segments in a row failed: nothing more is written until the store is opened again.
    poisoned: Option<Error>,
}

impl State {
    /// What became of the records of `group` is known.
    fn settle(&mut self, group: &[Submission]) {
        self.settled += u64::try_from(group.len()).unwrap_or(0);
    }
}

/// Counts off what is done, also when a bug of ours ends the thread that does it: others would wait
/// for it.
struct Done<'a> {
    appender: &'a Appender,
    had_full: bool,
}

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.appender.count_full(&mut self.appender.state.lock(), self.had_full, false);
    }
}

impl Appender {
    pub(crate) fn new(class: ClassId) -> Self {
        let ended = [Condvar::new(), Condvar::new()];
        Self { class, state: Mutex::new(State::default()), ended, finished: Condvar::new() }
    }

    /// Goes on writing to a segment that recovery found open: records end below `next_block`, and
    /// the next clip that begins there gets number `next_ordinal`.
    pub(crate) fn resume(&self, segment: Arc<Segment>, next_block: u32, next_ordinal: u32) {
        let open = OpenSegment::found(segment, next_block, next_ordinal);
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

    /// Writes the records of one fragment at once and makes them durable, if nobody else is at work
    /// or waits: their sums are taken while their payloads are on their way to the disk. Answers
    /// their ticket, or nothing if they must be summed and queued as others are.
    pub(crate) fn lead_unsummed(
        &self,
        records: &mut Vec<Submission>,
        hasher: &mut blake3::Hasher,
        host: &dyn Host,
    ) -> Option<Ticket> {
        let mut state = self.state.lock();
        if state.committing || !state.queue.is_empty() || state.poisoned.is_some() {
            return None;
        }
        let mut group = std::mem::take(records);
        state.submitted += u64::try_from(group.len()).unwrap_or(0);
        let ticket = Ticket(state.submitted);
        let mut leftover = Leftover::default();
        drop(self.write(state, &mut group, Some(hasher), host, true, &mut leftover));
        self.leave(leftover, host);
        Some(ticket)
    }

    /// Waits until everything up to `ticket` is settled: written (and durable if `sync`), or lost.
    /// Leads the commit when nobody else does. What became of a clip, its [`ClipSlot::check`] says.
    pub(crate) fn commit(&self, ticket: Ticket, host: &dyn Host, sync: bool) {
        let mut state = self.state.lock();
        let mut leftover = Leftover::default();
        while state.settled < ticket.0 {
            if state.committing {
                self.wait(&mut state, ticket);
                continue;
            }
            let mut group = std::mem::take(&mut state.queue);
            state.queue_bytes = 0;
            if let Some(error) = &state.poisoned {
                // Submitted before the appender was poisoned: lost like what the leader had.
                break_all(&group, error);
                state.settle(&group);
                self.end(&mut state);
            } else {
                state = self.write(state, &mut group, None, host, sync, &mut leftover);
            }
        }
        drop(state);
        self.leave(leftover, host);
    }

    /// Writes `group`, all that was submitted and not taken yet, as its leader. What is left to be
    /// done is in `leftover` then.
    fn write<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        group: &mut [Submission],
        hasher: Option<&mut blake3::Hasher>,
        host: &dyn Host,
        sync: bool,
        leftover: &mut Leftover,
    ) -> MutexGuard<'a, State> {
        state.committing = true;
        state.taken = state.submitted;
        state.groups = state.groups.wrapping_add(1);
        let open = state.open.take();
        drop(state);
        let had_full = leftover.has_full();
        let (appender, settled, before) = (self, 0, std::mem::take(leftover));
        let mut leader =
            Leader { appender, host, open, sync, hasher, settled, leftover: before, had_full };
        let outcome = leader.write_group(group);
        let open = leader.open;
        *leftover = leader.leftover;
        let mut state = self.state.lock();
        state.open = open;
        self.count_full(&mut state, had_full, leftover.has_full());
        state.poisoned = outcome.err().filter(|error| error.kind() == ErrorKind::Poisoned);
        state.settle(group);
        self.end(&mut state);
        state
    }

    /// Waits for the end of the group in which everything up to `ticket` is, or comes to be.
    fn wait(&self, state: &mut MutexGuard<'_, State>, ticket: Ticket) {
        let [even, odd] = &self.ended;
        let is_later = ticket.0 > state.taken;
        let is_even = state.groups.is_multiple_of(2) != is_later;
        if is_even { even.wait(state) } else { odd.wait(state) }
    }

    /// Has what a leader has left over done: by a thread of the store, or else here.
    fn leave(&self, leftover: Leftover, host: &dyn Host) {
        let rest = if leftover.is_empty() { None } else { host.take_over(self.class, leftover) };
        if let Some(leftover) = rest {
            self.finish(leftover, host);
        }
    }

    /// Does what a leader has left over, and wakes who waits for that.
    pub(crate) fn finish(&self, leftover: Leftover, host: &dyn Host) {
        let _done = Done { appender: self, had_full: leftover.has_full() };
        leftover.finish(host);
    }

    /// Counts off what is not to be done: nobody waits for it any more. The next opening seals it.
    pub(crate) fn give_up(&self, leftover: &Leftover) {
        self.count_full(&mut self.state.lock(), leftover.has_full(), false);
    }

    /// Somebody had full segments left over or not `before`, and has `now`.
    fn count_full(&self, state: &mut State, before: bool, now: bool) {
        state.unfinished += usize::from(now);
        state.unfinished -= usize::from(before);
        if before && !now {
            self.finished.notify_all();
        }
    }

    /// Waits until nobody has full segments left over but the caller, who counts as `own`. Whether
    /// anybody had.
    pub(super) fn wait_for_others(&self, own: usize) -> bool {
        let mut state = self.state.lock();
        let had_others = state.unfinished > own;
        while state.unfinished > own {
            self.finished.wait(&mut state);
        }
        had_others
    }

    /// Waits until no full segment is left over.
    #[cfg(feature = "bench")]
    pub(crate) fn settle(&self) {
        self.wait_for_others(0);
    }

    pub(super) const fn class(&self) -> ClassId {
        self.class
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
    /// Those that are full already are sealed too, when it returns.
    ///
    /// # Errors
    ///
    /// As [`Appender::commit`].
    pub(crate) fn seal(&self, host: &dyn Host, created_before: Timestamp) -> Result<()> {
        self.commit(self.newest(), host, true);
        let sealed = self.lead(host, |leader| leader.seal_aged(created_before));
        self.wait_for_others(0);
        sealed
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
        let (appender, leftover) = (self, Leftover::default());
        let mut leader = Leader {
            appender,
            host,
            open,
            sync: true,
            hasher: None,
            settled: 0,
            leftover,
            had_full: false,
        };
        let outcome = act(&mut leader);
        let (open, leftover) = (leader.open, leader.leftover);
        let mut state = self.state.lock();
        state.open = open;
        self.count_full(&mut state, false, leftover.has_full());
        self.end(&mut state);
        drop(state);
        self.leave(leftover, host);
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
