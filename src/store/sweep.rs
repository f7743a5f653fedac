//! The sweep: puts on record what expires, and lets it go.
//!
//! `retention::plan` decides with a reason for each item; this executes. For a segment that goes:
//!
//! 1. With the ledger in hand, the clips that a hold covers are found and spared; the expiry of the
//!    segment is put on record, durable. A hold is before this entry (its clips are spared) or
//!    after it (they are gone), never neither. From here on the others cannot be read.
//! 2. The spared clips are copied to an evidence segment, checked, and the move is put on record
//!    (see `relocate`). Until then they are read from where they are.
//! 3. The file is removed, through the gate.
//!
//! A crash in between leaves an expiry without its end; opening does steps 2 and 3 again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::barrier::Barrier;
use crate::format::entry::{CLIPS_PER_ENTRY_MAX, Decision, ExpiryReason};
use crate::ledger::Ledger;
use crate::log::Segment;
use crate::retention::{
    KeptReason, PlanAction, PlanInput, PlanItem, SegmentView, SpaceView, SweepPlan, plan,
};
use crate::sync::MutexGuard;
use crate::types::{ClassId, ClipId, Error, ErrorKind, Result, SegmentId};

use super::catalog::{Catalog, Located, Shelved};
use super::gate::{Gone, Removal};
use super::history::History;
use super::{Inner, Store, SweepReport};

/// So many decisions that stand for themselves are put on record at once: far less than the ledger
/// takes as one, however many there are.
const DECISIONS_TOGETHER_MAX: usize = 1024;
/// These many due segments may go in one sweep whatever their share of the store.
const SHARE_FREE_SEGMENTS: u32 = 8;

impl Store {
    /// What a sweep would do now, and why. Changes nothing, but that a wall clock which has proved
    /// itself is believed from here on, as by the sweep.
    ///
    /// # Errors
    ///
    /// `Corrupt` or `Io` when a segment's footer cannot be read.
    pub fn plan_sweep(&self) -> Result<SweepPlan> {
        if !self.inner.options.read_only && self.inner.deletion_frozen().is_none() {
            // Where that cannot be put on record now, the sweep will say why.
            self.inner.catch_up().ok();
        }
        self.inner.plan(&self.inner.space_view(0)?)
    }

    /// Expires what is due and lets it go: seals segments that are old enough, ends holds whose
    /// time is up, drops due segments, moves held clips to evidence segments, and removes the bytes
    /// of deleted clips that nobody reads any more. Gives back some of the room that is more than
    /// [`crate::StoreOptions::reuse_max`] keeps.
    ///
    /// # Errors
    ///
    /// `ReadOnly`; `Corrupt` when the ledger is unreadable (then nothing is deleted); `Io`. What
    /// goes wrong with one segment is a problem in the report, and the others are done.
    pub fn sweep(&self) -> Result<SweepReport> {
        let report = self.inner.sweep()?;
        self.inner.give_back();
        Ok(report)
    }
}

impl Inner {
    pub(super) fn sweep(&self) -> Result<SweepReport> {
        self.check_writable()?;
        if let Some(why) = self.deletion_frozen() {
            return Err(Error::corrupt(format!("sweep: nothing is deleted while {why}")));
        }
        let mut report = SweepReport::default();
        self.catch_up()?;
        let sealed_before = self.sealed_before();
        for appender in self.all_appenders() {
            // A segment that cannot be sealed stays readable; it is sealed at the next opening.
            report.problems.extend(appender.seal(self, sealed_before).err());
        }
        let sweeping = self.sweeping.lock();
        self.end_holds(&mut report)?;
        self.expire_missing(&mut report)?;
        self.execute(&self.space_view(0)?, &mut report)?;
        self.punch_around_held(&mut report);
        self.erase_waiting(&mut report);
        report.problems.extend(self.remove_unwanted().err());
        self.keep_partitions();
        drop(sweeping);
        self.keep_reserve();
        self.flush_ledger()?;
        self.save_time()?;
        Ok(report)
    }

    /// The part of a sweep that makes the room which `space` is short of. The caller has
    /// `sweeping`.
    pub(super) fn sweep_for_space(&self, space: &SpaceView) -> Result<SweepReport> {
        let mut report = SweepReport::default();
        self.end_holds(&mut report)?;
        self.execute(space, &mut report)?;
        self.erase_waiting(&mut report);
        for problem in &report.problems {
            self.survived(problem.clone());
        }
        Ok(report)
    }

    /// Puts on record the holds whose deadline or grace is over. Only these entries end their
    /// protection, not the passing of time.
    fn end_holds(&self, report: &mut SweepReport) -> Result<()> {
        loop {
            let mut ledger = self.ledger.lock();
            let due = self.history.read().holds.due(self.now());
            if due.is_empty() {
                return Ok(());
            }
            for due in due.chunks(DECISIONS_TOGETHER_MAX) {
                self.decide_locked(&mut ledger, due.to_vec())?;
                let lapses = due.iter().filter(|due| matches!(due, Decision::HoldLapsed { .. }));
                let lapses = lapses.count();
                report.holds_lapsed += u64::try_from(lapses).unwrap_or(0);
                report.holds_ended += u64::try_from(due.len() - lapses).unwrap_or(0);
            }
        }
    }

    /// The plan for this moment, which also makes the room that `space` is short of.
    fn plan(&self, space: &SpaceView) -> Result<SweepPlan> {
        let now = self.now();
        let history = self.history.read();
        let catalog = self.catalog.read();
        let mut segments = Vec::new();
        let mut blocked = BTreeSet::new();
        let recording: BTreeSet<SegmentId> =
            catalog.recording.iter().map(|clip| clip.home).collect();
        let oldest = oldest_segments(&catalog, space.short_bytes());
        for shelved in catalog.segments.values() {
            let segment = &shelved.segment;
            // A recording that has been silent for longer than any clip pins nothing.
            let silent =
                now.since(history.catch_ups.corrected(shelved.newest_received)) > catalog.reach;
            let recorded = recording.contains(&segment.id) && !silent;
            if catalog.writing.contains(&segment.id) || recorded {
                // Its clips are not finished; what is younger in its class waits for it.
                blocked.insert(segment.class);
            }
            if blocked.contains(&segment.class) {
                continue;
            }
            let due = history.due(segment.class, shelved.newest_received) <= now;
            let examined =
                due || oldest.contains(&segment.id) || segment.class == ClassId::EVIDENCE;
            segments.push(if examined {
                self.examine(&history, &catalog, shelved, now)?
            } else {
                glance(&history, shelved)
            });
        }
        Ok(plan(&PlanInput {
            now,
            segments,
            space: *space,
            when_full: self.options.when_full,
            share_max_percent: self.options.sweep_share_percent,
            share_free_segments: SHARE_FREE_SEGMENTS,
        }))
    }

    /// A segment that may go, clip by clip.
    fn examine(
        &self,
        history: &History,
        catalog: &Catalog,
        shelved: &Shelved,
        now: crate::types::Timestamp,
    ) -> Result<SegmentView> {
        let segment = &shelved.segment;
        let mut view = glance(history, shelved);
        (view.clips, view.payload_bytes) = (0, 0);
        for Located { clip, .. } in catalog.clips_of(&self.footers, segment)? {
            view.clips += 1;
            view.payload_bytes += clip.len;
            let held = history.holds.covers(&clip.camera, &clip.possible_window());
            if !Barrier::PlanHolds.test(!held) {
                view.held_clips += 1;
                view.held_bytes += clip.len;
            } else if view.evidence && history.due(clip.class, clip.received) <= now {
                view.expirable_clips += 1;
                view.expirable_bytes += clip.len;
            }
        }
        view.pinned_by_clips = segment.parts(&self.footers)?.iter().any(|found| {
            !view.evidence
                && found.part.clip.home != segment.id
                && catalog.is_needed(found.part.clip, segment)
        });
        Ok(view)
    }

    /// Plans, does what the plan says, and tells what came of it.
    fn execute(&self, space: &SpaceView, report: &mut SweepReport) -> Result<()> {
        // From plan to record with the ledger in hand: no hold or policy comes in between.
        let mut ledger = self.ledger.lock();
        let plan = self.plan(space)?;
        report.segments_deferred += plan.deferred();
        self.record_expiries(&mut ledger, &plan, report)?;
        drop(ledger);
        self.finish_expired(report);
        for item in plan.items().iter().filter(|item| item.action() == PlanAction::ExpireClips) {
            self.expire_evidence(item.segment(), report)?;
        }
        report.plan = Some(plan);
        Ok(())
    }

    /// Step 1 for all segments of the plan, in few ledger commits.
    fn record_expiries(
        &self,
        ledger: &mut MutexGuard<'_, Ledger>,
        plan: &SweepPlan,
        report: &mut SweepReport,
    ) -> Result<()> {
        let whole = |item: &&PlanItem| item.action() != PlanAction::ExpireClips;
        let items: Vec<&PlanItem> = plan.items().iter().filter(whole).collect();
        let mut groups = items.chunks(DECISIONS_TOGETHER_MAX);
        groups.try_for_each(|items| self.record_some_expiries(ledger, items, report))
    }

    /// The same for so many segments that they fit into one commit.
    fn record_some_expiries(
        &self,
        ledger: &mut MutexGuard<'_, Ledger>,
        items: &[&PlanItem],
        report: &mut SweepReport,
    ) -> Result<()> {
        let mut decisions = Vec::new();
        let mut spared = BTreeMap::new();
        for item in items {
            let history = self.history.read();
            let catalog = self.catalog.read();
            let Some(shelved) = catalog.segments.get(&item.segment()) else { continue };
            let mut held = BTreeSet::new();
            let (mut clips, mut bytes) = (0, 0);
            for Located { clip, .. } in catalog.clips_of(&self.footers, &shelved.segment)? {
                let covered = history.holds.covers(&clip.camera, &clip.possible_window());
                if Barrier::ExpiryHolds.test(!covered) {
                    clips += 1;
                    bytes += clip.len;
                } else {
                    held.insert(clip.id);
                }
            }
            report.note_expired(item, clips, bytes);
            decisions.push(Decision::SegmentExpired {
                segment: item.segment(),
                reason: item.reason(),
                clips,
                bytes,
                newest_received: shelved.newest_received,
            });
            spared.insert(item.segment(), held);
        }
        self.decide_locked(ledger, decisions)?;
        self.catalog.write().spared.extend(spared);
        Ok(())
    }

    /// Steps 2 and 3 for every segment whose expiry is on record. Each is done by itself; what
    /// cannot be finished now is tried again by the next sweep.
    pub(super) fn finish_expired(&self, report: &mut SweepReport) {
        // Whole files first: they may make the room that moving needs.
        self.remove_gone(report);
        let mut spared = Vec::new();
        for segment in self.expired_segments() {
            match self.catalog.read().clips_of(&self.footers, &segment) {
                Ok(clips) => spared.extend(clips),
                Err(error) => report.problems.push(error),
            }
        }
        if !spared.is_empty() {
            let moved = self.relocate(&spared);
            report.clips_moved += moved.clips;
            report.bytes_moved += moved.bytes;
            report.problems.extend(moved.problems);
            // It has the segments, and a file that somebody has is not used again.
            drop(spared);
            self.remove_gone(report);
        }
        // What stays has clips that could not be moved, or the tail of one that lives elsewhere.
        // What nobody holds will be punched out around them, which needs no room.
        let mut staying = self.expired_segments();
        staying.retain(|segment| {
            let whole = self.check_gone(Removal::File(Arc::clone(segment)));
            whole.is_err_and(|error| error.kind() == ErrorKind::Held)
        });
        self.punch_around(&staying, report);
    }

    /// The segments whose expiry is on record and whose files are still there.
    fn expired_segments(&self) -> Vec<Arc<Segment>> {
        let catalog = self.catalog.read();
        let ids = catalog.spared.keys();
        let found = ids.filter_map(|id| catalog.segments.get(id));
        found.map(|shelved| Arc::clone(&shelved.segment)).collect()
    }

    /// Removes the expired segments in which nothing is left.
    fn remove_gone(&self, report: &mut SweepReport) {
        let mut gone = Vec::new();
        for segment in self.expired_segments() {
            match self.check_gone(Removal::File(segment)) {
                Ok(proof) => gone.push(proof),
                // It has clips that must be moved, or the tail of one that lives elsewhere.
                Err(error) if error.kind() == ErrorKind::Held => {}
                Err(error) => report.problems.push(error),
            }
        }
        self.remove_and_tell(gone, report);
    }

    fn remove_and_tell(&self, gone: Vec<Gone>, report: &mut SweepReport) {
        let (count, problems) = self.remove(gone);
        report.segments_dropped += count;
        report.problems.extend(problems);
    }

    /// Punches what is gone out of segments that stay because everything that is left in them is
    /// held: they may have tails of clips that expired with an older segment.
    fn punch_around_held(&self, report: &mut SweepReport) {
        let kept = report.plan.iter().flat_map(SweepPlan::kept);
        let held = kept.filter(|kept| kept.reason() == KeptReason::AllHeld);
        let held: Vec<Arc<Segment>> = {
            let catalog = self.catalog.read();
            let shelved = held.filter_map(|kept| catalog.segments.get(&kept.segment()));
            shelved.map(|shelved| Arc::clone(&shelved.segment)).collect()
        };
        self.punch_around(&held, report);
    }

    /// Marks everything that is gone in segments that must stay to be punched out by
    /// [`Inner::erase_waiting`].
    fn punch_around(&self, segments: &[Arc<Segment>], report: &mut SweepReport) {
        for segment in segments {
            let waiting = || -> Result<BTreeSet<ClipId>> {
                let parts = segment.parts(&self.footers)?;
                let history = self.history.read();
                let catalog = self.catalog.read();
                let clips = parts.iter().map(|found| found.part.clip);
                Ok(clips
                    .filter(|clip| Barrier::PunchNeeded.test(!catalog.is_needed(*clip, segment)))
                    .filter(|clip| !history.erased.contains(&(segment.id, *clip)))
                    .collect())
            };
            match waiting() {
                Ok(clips) if clips.is_empty() => {}
                Ok(clips) => {
                    self.catalog.write().to_erase.entry(segment.id).or_default().extend(clips);
                }
                Err(error) => report.problems.push(error),
            }
        }
    }

    /// Expires the clips of an evidence segment that no hold covers any more and whose own time is
    /// up; the segment goes with its last clip.
    fn expire_evidence(&self, id: SegmentId, report: &mut SweepReport) -> Result<()> {
        let mut ledger = self.ledger.lock();
        let now = self.now();
        let (mut clips, mut bytes) = (Vec::new(), 0);
        {
            let history = self.history.read();
            let catalog = self.catalog.read();
            let Some(shelved) = catalog.segments.get(&id) else { return Ok(()) };
            for Located { clip, .. } in catalog.clips_of(&self.footers, &shelved.segment)? {
                let held = history.holds.covers(&clip.camera, &clip.possible_window());
                let free = Barrier::EvidenceHolds.test(!held);
                if free && history.due(clip.class, clip.received) <= now {
                    clips.push(clip.id);
                    bytes += clip.len;
                }
            }
        }
        for clips in clips.chunks(CLIPS_PER_ENTRY_MAX) {
            let reason = ExpiryReason::Released;
            let expired = Decision::ClipsExpired { reason, clips: clips.to_vec() };
            self.decide_locked(&mut ledger, vec![expired])?;
            // Before the ledger is let go: a hold that comes next must find them gone.
            let mut catalog = self.catalog.write();
            catalog.gone.extend(clips);
            catalog.to_erase.entry(id).or_default().extend(clips);
            report.clips_expired += u64::try_from(clips.len()).unwrap_or(0);
        }
        report.bytes_expired += bytes;
        Ok(())
    }

    /// Removes the bytes of gone clips from segments that stay, where nobody reads them; drops the
    /// segments in which nothing is left.
    pub(super) fn erase_waiting(&self, report: &mut SweepReport) {
        let waiting: Vec<(Arc<Segment>, BTreeSet<ClipId>)> = {
            let catalog = self.catalog.read();
            let sealed = |id: &SegmentId| {
                let shelved = catalog.segments.get(id)?;
                (!catalog.writing.contains(id)).then(|| Arc::clone(&shelved.segment))
            };
            let entries = catalog.to_erase.iter();
            entries.filter_map(|(id, clips)| Some((sealed(id)?, clips.clone()))).collect()
        };
        for (segment, clips) in waiting {
            let whole = self.check_gone(Removal::File(Arc::clone(&segment)));
            let proof = if whole.is_ok() {
                // A reader's map keeps the bytes of a removed file, so readers need not be waited
                // for.
                // The intent first, so that a missing file is never taken for a loss.
                if let Err(error) = self.decide(vec![emptied(&segment)]) {
                    report.problems.push(error);
                    continue;
                }
                drop(segment);
                whole
            } else {
                let (leased, free): (BTreeSet<_>, BTreeSet<_>) = clips
                    .into_iter()
                    .partition(|clip| !Barrier::PunchLease.test(!self.leases.is_leased(*clip)));
                report.clips_awaiting_readers += u64::try_from(leased.len()).unwrap_or(0);
                if free.is_empty() {
                    continue;
                }
                self.check_gone(Removal::Clips(segment, free))
            };
            match proof {
                Ok(proof) => self.remove_and_tell(vec![proof], report),
                Err(error) => report.problems.push(error),
            }
        }
    }
}

impl SweepReport {
    fn note_expired(&mut self, item: &PlanItem, clips: u64, bytes: u64) {
        self.clips_expired += clips;
        self.bytes_expired += bytes;
        if item.reason() == ExpiryReason::Early {
            self.clips_expired_early += clips;
        }
    }
}

/// The oldest segments that are worth a look when `short_bytes` of room are wanted: with the
/// others' clips not looked at, making room costs the same however large the store is. What a plan
/// says of those is checked again before it is put on record.
fn oldest_segments(catalog: &Catalog, short_bytes: u64) -> BTreeSet<SegmentId> {
    /// Looked at even if they are large.
    const SEGMENTS_MIN: usize = 8;
    if short_bytes == 0 {
        return BTreeSet::new();
    }
    let mut by_age: Vec<&Shelved> = catalog.segments.values().collect();
    by_age.sort_unstable_by_key(|shelved| (shelved.newest_received, shelved.segment.id));
    let mut bytes = 0_u64;
    let mut oldest = BTreeSet::new();
    for shelved in by_age {
        if oldest.len() >= SEGMENTS_MIN && bytes > short_bytes.saturating_mul(2) {
            break;
        }
        bytes = bytes.saturating_add(shelved.file_bytes);
        oldest.insert(shelved.segment.id);
    }
    oldest
}

/// The entry for a segment in which no clip is left: they went one by one, or it is a copy that was
/// cut off.
pub(super) fn emptied(segment: &Segment) -> Decision {
    Decision::SegmentExpired {
        segment: segment.id,
        reason: ExpiryReason::Released,
        clips: 0,
        bytes: 0,
        newest_received: segment.newest_received(),
    }
}

/// What is known of a segment without looking at its clips: enough while it is not due.
fn glance(history: &History, shelved: &Shelved) -> SegmentView {
    let segment = &shelved.segment;
    SegmentView {
        segment: segment.id,
        class: segment.class,
        retention: history.retention_of(segment.class),
        file_bytes: shelved.file_bytes,
        clips: segment.trailer().map_or(0, |trailer| u64::from(trailer.parts)),
        payload_bytes: segment.payload_bytes(),
        held_clips: 0,
        held_bytes: 0,
        newest_received: history.catch_ups.corrected(shelved.newest_received),
        pinned_by_clips: false,
        evidence: segment.class == ClassId::EVIDENCE,
        expirable_clips: 0,
        expirable_bytes: 0,
    }
}
