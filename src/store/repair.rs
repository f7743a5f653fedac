//! Repair of a ledger that cannot be read: an act of the operator, never of opening.
//!
//! What is lost cannot be known, so nothing is concluded from its absence. The new ledger has what
//! was whole before the first loss as it was; then holds of its own, orders on every camera that is
//! known and for all of time; then what was found behind the loss. An expiry behind the loss
//! therefore spares everything that is still there: whoever held it may be among what was lost.
//! Only the operator ends these holds. The damaged files stay beside the new ones.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::barrier::Barrier;
use crate::format::entry::{CLIPS_PER_ENTRY_MAX, Decision, Entry, HoldPlaced, SCOPE_RANGES_MAX};
use crate::hold::HoldCause;
use crate::ledger::{Ledger, Salvage};
use crate::retention::Retention;
use crate::types::{
    CameraId, ClassId, ClipId, Error, HoldId, Result, SegmentId, Timestamp, Window,
};

use super::history::History;
use super::policy::{checked_text, class_set};
use super::{Inner, RepairReport, StoreOptions};

/// Ids of holds and segments go on so far above the highest that is known, and the number of lost
/// entries: what was lost may have used some, and no id may mean two things.
const ID_GAP: u32 = 10_000;

impl StoreOptions {
    /// Writes the ledger of the store in `dir` anew when it cannot be read: from everything in it
    /// that is whole, with holds over all cameras and all of time in place of what is lost. From
    /// then on the store places and releases holds and sweeps again; what was recorded, and what
    /// these cameras record from now on, expires only after the operator has released those holds.
    ///
    /// Classes whose retention is lost get [`StoreOptions::retention`] if it is set; otherwise they
    /// are kept for the longest time there is.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when the ledger can be read, `Unsupported` when a newer build wrote it,
    /// `Locked`, `ReadOnly`, `Full`, `Io`: then the store is as it was.
    ///
    /// # Durability
    ///
    /// The repair counts, as a whole, from one write of the STORE file on; a crash before it leaves
    /// the damaged ledger in force, and the repair can be tried again.
    pub fn repair_ledger(
        mut self,
        dir: impl Into<PathBuf>,
        actor: &str,
        reason: &str,
    ) -> Result<RepairReport> {
        let (actor, reason) = (checked_text("actor", actor)?, checked_text("reason", reason)?);
        (self.create, self.sweeper) = (false, None);
        let store = self.open(dir)?;
        let report = store.inner.repair_ledger(&actor, &reason)?;
        store.close()?;
        Ok(report)
    }

    /// What [`StoreOptions::repair_ledger`] would find and do. Changes nothing.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn plan_ledger_repair(self, dir: impl Into<PathBuf>) -> Result<RepairReport> {
        let store = self.read_only(true).open(dir)?;
        let salvage = store.inner.salvage()?;
        Ok(store.inner.compose(salvage, "", "")?.report)
    }
}

/// A ledger to be written.
struct Composed {
    decisions: Vec<(Timestamp, Decision)>,
    report: RepairReport,
}

impl Inner {
    /// The segment to go on with when `newest` is the highest that is known of. While the ledger
    /// cannot be read, entries of higher ones that are gone may be lost.
    pub(super) fn segment_after(&self, newest: Option<SegmentId>) -> SegmentId {
        let next = newest.map_or(SegmentId(1), SegmentId::next);
        if self.deletion_frozen().is_none() {
            return next;
        }
        let entries = self.time.lock().slot.ledger_position;
        let lost = u32::try_from(entries).unwrap_or(u32::MAX);
        SegmentId(next.0.saturating_add(ID_GAP).saturating_add(lost))
    }

    fn salvage(&self) -> Result<Salvage> {
        let ledger = self.ledger.lock();
        if ledger.unreadable().is_none() {
            return Err(Error::invalid(
                "repair ledger: it can be read, there is nothing to repair",
            ));
        }
        ledger.salvage()
    }

    fn repair_ledger(&self, actor: &str, reason: &str) -> Result<RepairReport> {
        self.check_writable()?;
        let Composed { decisions, report } = self.compose(self.salvage()?, actor, reason)?;
        let mut ledger = self.ledger.lock();
        // 1. Files from here on do not count: whatever becomes of the writes below, the damaged
        //    ledger stays in force, and the next try leaves out what this one wrote.
        let first = ledger.repair_number()?;
        Barrier::RepairMark.sync(|| self.write_slot(|slot| slot.ledger_repair = first))?;
        // 2. The new ledger, durable in both copies.
        let new = Ledger::rewrite(self.vfs.clone(), self.uuid, first, decisions)?;
        // 3. It counts. The other slot says so when this store is closed, or opened again, which is
        //    before anything is decided: no lost slot brings the damaged ledger back then.
        let ledger_position = new.durable_position();
        self.write_slot(|slot| {
            (slot.ledger_first, slot.ledger_repair) = (first, 0);
            slot.ledger_position = ledger_position;
        })?;
        *ledger = new;
        Ok(report)
    }

    /// The decisions of the new ledger.
    fn compose(&self, salvage: Salvage, actor: &str, reason: &str) -> Result<Composed> {
        let now = self.now();
        let Salvage { before, behind, lost, newest } = salvage;
        let behind: Vec<Entry> = behind
            .into_iter()
            .filter(|found| found.whole_batch || !may_take_away(&found.entry.decision))
            .map(|found| found.entry)
            .collect();
        let mut history = History::default();
        for entry in before.iter().chain(&behind) {
            history.apply(entry);
        }
        let copies = self.unnamed_copies(&history)?;
        let cameras = self.cameras_of(&history, &behind, &copies);
        let holds = protect(&cameras, &history, lost, now, actor)?;
        let (classes, classes_kept_longest) = self.classes_without(&history);
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let report = RepairReport {
            entries_kept: count(before.len()),
            entries_found_behind: count(behind.len()),
            entries_lost: lost,
            holds_placed: holds.iter().map(|hold| hold.hold).collect(),
            cameras: count(cameras.len()),
            copies_named: count(copies.values().map(BTreeMap::len).sum()),
            classes_kept_longest,
        };
        let used = history.newest_segment.max(self.newest_segment()).unwrap_or(SegmentId(0));
        let repaired = Decision::LedgerRepaired {
            lost,
            newest,
            next_segment: SegmentId(used.0.saturating_add(ID_GAP)),
            actor: actor.to_owned(),
            reason: reason.to_owned(),
        };
        let made = before.is_empty().then_some(Decision::StoreMade { store: self.uuid });
        let as_it_was = |entry: Entry| (entry.at, entry.decision);
        let mut decisions: Vec<(Timestamp, Decision)> = Vec::new();
        decisions.extend(made.map(|made| (now, made)));
        decisions.extend(before.into_iter().map(as_it_was));
        // The holds come before what was found behind the loss: its expiries spare what they cover.
        decisions.push((now, repaired));
        let holds = holds.into_iter().filter(|_| Barrier::RepairHolds.stands());
        decisions.extend(holds.map(|hold| (now, Decision::HoldPlaced(Box::new(hold)))));
        decisions.extend(behind.into_iter().map(as_it_was));
        decisions.extend(classes.into_iter().map(|class| (now, class)));
        decisions.extend(moved(copies).map(|moved| (now, moved)));
        Ok(Composed { decisions, report })
    }

    /// Clips in evidence segments that no entry names: the entry may be what was lost, and the
    /// segment the only place where they still are.
    fn unnamed_copies(
        &self,
        history: &History,
    ) -> Result<BTreeMap<SegmentId, BTreeMap<ClipId, CameraId>>> {
        let segments: Vec<_> = {
            let catalog = self.catalog.read();
            catalog.segments.values().map(|shelved| shelved.segment.clone()).collect()
        };
        let mut unnamed: BTreeMap<SegmentId, BTreeMap<ClipId, CameraId>> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        // Of two copies the newer one: a clip moves on only when its copy was checked.
        let evidence = segments.iter().rev().filter(|segment| segment.class == ClassId::EVIDENCE);
        for segment in evidence.filter(|segment| segment.trailer().is_some()) {
            for found in segment.parts(&self.footers)? {
                let clip = found.part.clip;
                let known = history.moved.contains_key(&clip) || history.gone.contains(&clip);
                if !known && (seen.insert(clip) || unnamed.contains_key(&segment.id)) {
                    unnamed.entry(segment.id).or_default().insert(clip, found.camera);
                }
            }
        }
        Ok(unnamed)
    }

    /// Every camera that anything still knows of.
    fn cameras_of(
        &self,
        history: &History,
        behind: &[Entry],
        copies: &BTreeMap<SegmentId, BTreeMap<ClipId, CameraId>>,
    ) -> BTreeSet<CameraId> {
        let mut cameras = self.known_cameras();
        cameras.extend(history.cameras.iter().cloned());
        cameras.extend(copies.values().flat_map(BTreeMap::values).cloned());
        for hold in history.holds.iter() {
            cameras.extend(hold.scope().iter().map(|(camera, _)| camera.clone()));
        }
        for entry in behind {
            if let Decision::ClipDeleted { camera, .. } = &entry.decision {
                cameras.insert(camera.clone());
            }
        }
        cameras
    }

    /// What the classes need whose retention is lost, and those that are left without.
    fn classes_without(&self, history: &History) -> (Vec<Decision>, Vec<ClassId>) {
        let mut decisions = Vec::new();
        let mut without: BTreeSet<ClassId> = {
            let catalog = self.catalog.read();
            let classes = catalog.segments.values().map(|shelved| shelved.segment.class);
            classes.filter(|class| *class != ClassId::EVIDENCE).collect()
        };
        without.extend(history.camera_classes.values());
        without.extend(history.default_class);
        without.retain(|class| !history.classes.contains_key(class));
        if let Some(retention) = self.options.retention {
            decisions.extend(without.iter().map(|class| class_set(*class, retention)));
            without.clear();
        }
        if history.default_class.is_none() {
            let newest = history.classes.keys().chain(&without).max().map_or(0, |class| class.0);
            let class = ClassId(newest.saturating_add(1));
            let retention = self.options.retention.unwrap_or_else(Retention::longest);
            decisions.push(class_set(class, retention));
            decisions.push(Decision::CameraClass { camera: None, class });
            if self.options.retention.is_none() {
                without.insert(class);
            }
        }
        (decisions, without.into_iter().collect())
    }
}

/// Holds on everything, in place of those that may be lost.
///
/// They are orders, because an order may be what was lost. They last as long as any hold can that
/// was placed before: then it would be over too.
fn protect(
    cameras: &BTreeSet<CameraId>,
    history: &History,
    lost: u64,
    now: Timestamp,
    actor: &str,
) -> Result<Vec<HoldPlaced>> {
    let deadline = now.saturating_add(HoldCause::Order.max_duration());
    let window = Window::new(Timestamp::MIN, deadline)?;
    let newest = history.holds.next_id().0.saturating_add(lost);
    let first = newest.saturating_add(u64::from(ID_GAP));
    let cameras: Vec<&CameraId> = cameras.iter().collect();
    let holds = cameras.chunks(SCOPE_RANGES_MAX).zip(first..).map(|(cameras, id)| HoldPlaced {
        hold: HoldId(id),
        cause: HoldCause::Order.code(),
        scope: cameras.iter().map(|camera| ((*camera).clone(), window)).collect(),
        deadline,
        grace_us: None,
        reference: "ledger-repair".to_owned(),
        reason: "entries of the ledger are lost, holds may be among them".to_owned(),
        actor: actor.to_owned(),
        agency: String::new(),
        idempotency_key: String::new(),
    });
    Ok(holds.collect())
}

/// The entries that say again where these clips are.
fn moved(
    copies: BTreeMap<SegmentId, BTreeMap<ClipId, CameraId>>,
) -> impl Iterator<Item = Decision> {
    copies.into_iter().flat_map(|(to, clips)| {
        let clips: Vec<ClipId> = clips.into_keys().collect();
        let lists: Vec<Vec<ClipId>> =
            clips.chunks(CLIPS_PER_ENTRY_MAX).map(<[_]>::to_vec).collect();
        lists.into_iter().map(move |clips| Decision::ClipsMoved { to, clips })
    })
}

/// Whether a decision frees or removes anything. One whose companions are lost may never have been
/// made: then it is left out.
fn may_take_away(decision: &Decision) -> bool {
    matches!(
        decision,
        Decision::HoldReleased { .. }
            | Decision::HoldLapsed { .. }
            | Decision::HoldEnded { .. }
            | Decision::HoldNarrowed { .. }
            | Decision::SegmentExpired { .. }
            | Decision::ClipsExpired { .. }
            | Decision::ClipDeleted { .. }
            | Decision::ClockConfirmed { .. }
            | Decision::ClockCaughtUp(_)
    )
}
