//! What the ledger says, as a value: classes, holds, and what became of segments and clips.
//!
//! Built by replay and kept up by every decision that is made; nothing else changes it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::barrier::Barrier;
use crate::format::entry::{Decision, Entry, ExpiryReason};
use crate::hold::HoldSet;
use crate::retention::Retention;
use crate::types::{CameraId, CatchUps, ClassId, ClipId, SegmentId, Timestamp, Window};

/// The state that follows from the ledger's entries, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    pub(super) holds: Arc<HoldSet>,
    pub(super) classes: BTreeMap<ClassId, Retention>,
    pub(super) default_class: Option<ClassId>,
    pub(super) camera_classes: BTreeMap<CameraId, ClassId>,
    /// Every class that new clips of a camera ever went to; under `None` those of the default, and
    /// of cameras that never had a class of their own.
    pub(super) past_classes: BTreeMap<Option<CameraId>, BTreeSet<ClassId>>,
    /// Every camera that an entry names.
    pub(super) cameras: BTreeSet<CameraId>,
    pub(super) hidden: BTreeSet<CameraId>,
    /// Sealed segments that were not dropped, with their Merkle roots.
    pub(super) sealed: BTreeMap<SegmentId, (ClassId, [u8; 32])>,
    /// Suspect segments, with the end of their acknowledged bytes.
    pub(super) suspect: BTreeMap<SegmentId, u64>,
    /// Open segments, with the end of what is known to be durable in each.
    pub(super) durable: BTreeMap<SegmentId, u64>,
    /// When the newest record came of segments that were not dropped, as far as entries say.
    received: BTreeMap<SegmentId, Timestamp>,
    /// Expired segments that were not dropped, with the holds at each of their expiry entries: a
    /// clip that began there lives on only if every one of these covers it.
    pub(super) expired: BTreeMap<SegmentId, Vec<Arc<HoldSet>>>,
    /// Single clips that are expired or deleted.
    pub(super) gone: BTreeSet<ClipId>,
    /// Clips that live in an evidence segment.
    pub(super) moved: BTreeMap<ClipId, SegmentId>,
    /// Gone clips whose bytes were removed from a segment that stays.
    pub(super) erased: BTreeSet<(SegmentId, ClipId)>,
    /// The clips that their owners deleted, while anything of their age can still be there.
    pub(super) deleted: Vec<Deleted>,
    /// Per camera: the end of the newest window that was in `deleted` and is forgotten.
    deleted_until: BTreeMap<CameraId, Timestamp>,
    /// Per class: everything that was received up to here is expired.
    pub(super) expired_until: BTreeMap<ClassId, Timestamp>,
    /// The highest segment id that any entry names.
    pub(super) newest_segment: Option<SegmentId>,
    /// The newest trusted time that an entry tells of.
    pub(super) newest_at: Timestamp,
    /// How far trusted time lagged, and when.
    pub(super) catch_ups: CatchUps,
    /// Clips that were expired before their `at_least`.
    pub(super) early_clips: u64,
    /// Payload bytes that went with whole segments.
    pub(super) expired_bytes: u64,
}

/// A clip that its owner deleted.
#[derive(Clone, Debug)]
pub(super) struct Deleted {
    /// The segment in which the clip began.
    home: SegmentId,
    pub(super) camera: CameraId,
    pub(super) window: Window,
    /// Trusted time of the deletion.
    at: Timestamp,
}

impl History {
    /// Takes in one entry.
    pub(super) fn apply(&mut self, entry: &Entry) {
        self.note_time(entry.at);
        if is_about_holds(&entry.decision) {
            // Expiry entries share the set: any other entry must not copy it.
            Arc::make_mut(&mut self.holds).apply(entry);
        }
        match &entry.decision {
            Decision::ClassSet { class, at_least_us, at_most_us } => {
                self.set_class(*class, *at_least_us, *at_most_us);
            }
            Decision::CameraClass { camera: None, class } => {
                self.past_classes.entry(None).or_default().insert(*class);
                self.default_class = Some(*class);
            }
            Decision::CameraClass { camera: Some(camera), class } => {
                self.assign(camera, *class);
            }
            Decision::CameraHidden { camera, hidden } => {
                self.cameras.insert(camera.clone());
                if *hidden {
                    self.hidden.insert(camera.clone());
                } else {
                    self.hidden.remove(camera);
                }
            }
            Decision::SegmentSealed { segment, class, root, newest_received, .. } => {
                self.sealed.insert(*segment, (*class, *root));
                self.note_received(*segment, *newest_received);
                self.durable.remove(segment);
                self.note_segment(*segment);
            }
            Decision::SegmentSuspect { segment, durable_bytes } => {
                self.suspect.insert(*segment, *durable_bytes);
                self.note_received(*segment, entry.at);
                self.note_segment(*segment);
            }
            Decision::SegmentDurable { segment, durable_bytes } => {
                let known = self.durable.entry(*segment).or_default();
                *known = (*known).max(*durable_bytes);
                self.note_received(*segment, entry.at);
                self.note_segment(*segment);
            }
            Decision::SegmentExpired { segment, reason, clips, bytes, newest_received } => {
                self.expire_segment(*segment, *reason, *newest_received);
                self.expired_bytes += bytes;
                self.early_clips += if *reason == ExpiryReason::Early { *clips } else { 0 };
            }
            Decision::ClipsExpired { clips, .. } => self.gone.extend(clips),
            Decision::ClipDeleted { clip, camera, window, .. } => {
                self.gone.insert(*clip);
                let (camera, window) = (camera.clone(), *window);
                self.deleted.push(Deleted { home: clip.home, camera, window, at: entry.at });
            }
            Decision::ClipsMoved { to, clips } => {
                self.moved.extend(clips.iter().map(|clip| (*clip, *to)));
                self.note_segment(*to);
            }
            Decision::ClipsErased { segment, clips } => {
                self.erased.extend(clips.iter().map(|clip| (*segment, *clip)));
            }
            Decision::SegmentDropped { segment, .. } => self.drop_segment(*segment),
            Decision::ClockConfirmed { trusted, .. } => self.note_time(*trusted),
            Decision::ClockCaughtUp(jump) => {
                let jump = self.catch_ups.add(*jump);
                self.note_time(jump.trusted);
            }
            Decision::LedgerRepaired { next_segment, .. } => {
                self.note_segment(SegmentId(next_segment.0.saturating_sub(1)));
            }
            _ => {}
        }
    }

    fn note_time(&mut self, at: Timestamp) {
        self.newest_at = self.newest_at.max(at);
    }

    fn assign(&mut self, camera: &CameraId, class: ClassId) {
        // Known before, and without a class of its own: its clips so far went to the default.
        let earlier = match self.past_classes.get(&None) {
            Some(earlier) if self.cameras.contains(camera) => earlier.clone(),
            _ => BTreeSet::new(),
        };
        let past = self.past_classes.entry(Some(camera.clone())).or_insert(earlier);
        past.insert(class);
        self.cameras.insert(camera.clone());
        self.camera_classes.insert(camera.clone(), class);
    }

    fn set_class(&mut self, class: ClassId, at_least_us: u64, at_most_us: u64) {
        let (at_least, at_most) =
            (Duration::from_micros(at_least_us), Duration::from_micros(at_most_us));
        // An entry that this build would not have written keeps longer, never shorter.
        let retention =
            Retention::new(at_least.min(at_most), at_most).unwrap_or_else(|_| Retention::longest());
        self.classes.insert(class, retention);
    }

    fn expire_segment(&mut self, segment: SegmentId, reason: ExpiryReason, newest: Timestamp) {
        self.expired.entry(segment).or_default().push(Arc::clone(&self.holds));
        let class = self.sealed.get(&segment).filter(|_| reason != ExpiryReason::Released);
        if let Some((class, _)) = class {
            let until = self.expired_until.entry(*class).or_insert(Timestamp::MIN);
            *until = (*until).max(newest);
        }
        self.note_segment(segment);
    }

    /// Forgets what can matter no more once a segment's file is gone.
    fn drop_segment(&mut self, segment: SegmentId) {
        self.note_segment(segment);
        self.sealed.remove(&segment);
        self.suspect.remove(&segment);
        self.durable.remove(&segment);
        self.received.remove(&segment);
        self.expired.remove(&segment);
        self.erased.retain(|(erased, _)| *erased != segment);
        // A clip can be in two files: where it was recorded, until that one's drop succeeds, and in
        // an evidence segment. What became of it counts until the last of them is gone.
        let (sealed, suspect, expired) = (&self.sealed, &self.suspect, &self.expired);
        let exists =
            |id| sealed.contains_key(&id) || suspect.contains_key(&id) || expired.contains_key(&id);
        let matters = |clip: ClipId, to: Option<SegmentId>| {
            (clip.home != segment && to != Some(segment))
                || exists(clip.home)
                || to.is_some_and(exists)
        };
        let moved = &self.moved;
        self.gone.retain(|clip| matters(*clip, moved.get(clip).copied()));
        self.moved.retain(|clip, to| matters(*clip, Some(*to)));
        // Where everything of that age is expired, one position is enough to say so.
        let longest = self.classes.values().map(Retention::at_most).max();
        let forgotten = self.deleted.extract_if(.., |deleted| {
            let at = self.catch_ups.corrected(deleted.at);
            let kept_until = at.saturating_add(longest.unwrap_or(Duration::MAX));
            !exists(deleted.home) && kept_until <= self.newest_at
        });
        for Deleted { camera, window, .. } in forgotten {
            let until = self.deleted_until.entry(camera).or_insert(Timestamp::MIN);
            *until = (*until).max(window.end());
        }
    }

    fn note_received(&mut self, segment: SegmentId, received: Timestamp) {
        let known = self.received.entry(segment).or_insert(received);
        *known = (*known).max(received);
    }

    /// The segments that must have a file, as far as entries say, and what is known of their class;
    /// without those that are settled, which are mostly all. One that is expired may be gone.
    pub(super) fn expected_but(
        &self,
        is_settled: impl Fn(SegmentId) -> bool,
    ) -> BTreeMap<SegmentId, Option<ClassId>> {
        let unsealed = self.suspect.keys().chain(self.durable.keys()).map(|id| (*id, None));
        let sealed = self.sealed.iter().map(|(id, (class, _))| (*id, Some(*class)));
        let named = unsealed.chain(sealed).filter(|(id, _)| !self.expired.contains_key(id));
        named.filter(|(id, _)| !is_settled(*id)).collect()
    }

    /// When a segment whose file is missing is due; `newest` is when the newest record came that is
    /// found of what began in it. Of one that was never sealed the class is not known: it is kept
    /// as long as any.
    pub(super) fn missing_is_due(&self, segment: SegmentId, newest: Timestamp) -> Timestamp {
        let newest = newest.max(self.received.get(&segment).copied().unwrap_or(Timestamp::MIN));
        if let Some((class, _)) = self.sealed.get(&segment) {
            return self.due(*class, newest);
        }
        let due = self.classes.keys().map(|class| self.due(*class, newest)).max();
        due.unwrap_or(Timestamp::MAX)
    }

    fn note_segment(&mut self, segment: SegmentId) {
        self.newest_segment = self.newest_segment.max(Some(segment));
    }

    /// The class that new clips of `camera` go to.
    pub(super) fn class_of(&self, camera: Option<&CameraId>) -> ClassId {
        camera
            .and_then(|camera| self.camera_classes.get(camera))
            .copied()
            .or(self.default_class)
            .unwrap_or(ClassId(0))
    }

    /// Up to when clips of `camera` may have been received that are expired, whatever class they
    /// were recorded under.
    pub(super) fn expired_until_of(&self, camera: &CameraId) -> Timestamp {
        let own = self.past_classes.get(&Some(camera.clone()));
        let classes = own.into_iter().chain(self.past_classes.get(&None)).flatten();
        let until = classes.filter_map(|class| self.expired_until.get(class));
        let until = until.chain(self.deleted_until.get(camera)).max();
        until.copied().unwrap_or(Timestamp::MIN)
    }

    /// The retention of `class`. A class that the ledger does not name is kept for the longest
    /// time there is: missing metadata deletes nothing.
    pub(super) fn retention_of(&self, class: ClassId) -> Retention {
        self.classes.get(&class).copied().unwrap_or_else(Retention::longest)
    }

    /// When clips of `class` whose newest bytes were stamped `received` are expired in any case.
    pub(super) fn due(&self, class: ClassId, received: Timestamp) -> Timestamp {
        self.retention_of(class).due(self.catch_ups.corrected(received))
    }

    /// Whether `clip` of `camera` in `possible` window outlives the expiry entries of the segment
    /// it began in.
    pub(super) fn survives_expiry(
        &self,
        clip: ClipId,
        camera: &CameraId,
        possible: &Window,
    ) -> bool {
        let entries = self.expired.get(&clip.home);
        let held =
            |holds: &HoldSet| Barrier::ReplayHolds.stands() && holds.covers(camera, possible);
        entries.is_none_or(|entries| entries.iter().all(|holds| held(holds)))
    }
}

/// Whether the set of holds changes with this decision.
fn is_about_holds(decision: &Decision) -> bool {
    matches!(
        decision,
        Decision::HoldPlaced(_)
            | Decision::HoldReleased { .. }
            | Decision::HoldLapsed { .. }
            | Decision::HoldEnded { .. }
            | Decision::HoldNarrowed { .. }
            | Decision::HoldRenewed { .. }
            | Decision::ClockCaughtUp(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes in entries with these decisions.
    fn apply(history: &mut History, decisions: Vec<Decision>) {
        for decision in decisions {
            history.apply(&Entry {
                position: 0,
                at: Timestamp::EPOCH,
                previous: [0; 32],
                batch_start: 0,
                batch_count: 1,
                decision,
            });
        }
    }

    fn expired(segment: u32) -> Decision {
        Decision::SegmentExpired {
            segment: SegmentId(segment),
            reason: ExpiryReason::Due,
            clips: 1,
            bytes: 1,
            newest_received: Timestamp::EPOCH,
        }
    }

    fn sealed(segment: SegmentId, class: ClassId) -> Decision {
        Decision::SegmentSealed {
            segment,
            class,
            root: [0; 32],
            parts: 1,
            payload_bytes: 1,
            newest_received: Timestamp::EPOCH,
        }
    }

    #[test]
    fn a_moved_clip_that_expired_is_forgotten_with_the_last_of_its_files() {
        let clip = ClipId::new(SegmentId(3), 0);
        let (home, evidence) = (SegmentId(3), SegmentId(9));
        let dropped = |segment| Decision::SegmentDropped { segment, class: ClassId(0) };
        let reason = ExpiryReason::Released;
        let moved = vec![
            expired(3),
            sealed(evidence, ClassId::EVIDENCE),
            Decision::ClipsMoved { to: evidence, clips: vec![clip] },
            Decision::ClipsExpired { reason, clips: vec![clip] },
        ];
        for order in [[home, evidence], [evidence, home]] {
            let mut history = History::default();
            apply(&mut history, moved.clone());
            apply(&mut history, vec![dropped(order[0])]);
            assert!(history.gone.contains(&clip), "{order:?}");
            apply(&mut history, vec![dropped(order[1])]);
            assert!(history.gone.is_empty() && history.moved.is_empty(), "{order:?}");
        }
    }

    #[test]
    fn deleted_clips_are_forgotten_when_all_of_their_age_is_expired() {
        let camera: CameraId = "door".parse().unwrap();
        let window = Window::starting(Timestamp::EPOCH, Duration::from_secs(1)).unwrap();
        let mut history = History::default();
        let deleted = Decision::ClipDeleted {
            clip: ClipId::new(SegmentId(1), 0),
            camera: camera.clone(),
            window,
            ended_holds: Vec::new(),
            actor: String::new(),
            reason: String::new(),
        };
        let class = ClassId(0);
        let kept = Decision::ClassSet { class, at_least_us: 10, at_most_us: 10 };
        apply(&mut history, vec![kept, deleted]);
        let dropped = |segment| Decision::SegmentDropped { segment: SegmentId(segment), class };
        apply(&mut history, vec![dropped(1)]);
        assert_eq!(history.deleted.len(), 1, "footage of its age may still be there");
        history.newest_at = Timestamp::from_micros(10);
        apply(&mut history, vec![dropped(2)]);
        assert!(history.deleted.is_empty());
        assert_eq!(history.expired_until_of(&camera), window.end());
    }

    #[test]
    fn a_file_is_expected_of_every_segment_that_an_entry_names_until_it_is_expired() {
        let segment = SegmentId;
        let durable = |id| Decision::SegmentDurable { segment: segment(id), durable_bytes: 1 };
        let suspect = |id| Decision::SegmentSuspect { segment: segment(id), durable_bytes: 1 };
        let class = ClassId(7);
        let mut history = History::default();
        let entries = vec![suspect(1), durable(2), sealed(segment(3), class), suspect(4)];
        apply(&mut history, entries);
        apply(&mut history, vec![sealed(segment(4), class), durable(5), sealed(segment(6), class)]);
        let all = [(1, None), (2, None), (3, Some(class)), (4, Some(class)), (5, None)];
        let all = all.map(|(id, class)| (segment(id), class));
        apply(&mut history, vec![Decision::SegmentDropped { segment: segment(6), class }]);
        assert_eq!(history.expected_but(|_| false), BTreeMap::from(all));
        apply(&mut history, vec![expired(1), expired(2), expired(3), expired(7)]);
        assert_eq!(history.expected_but(|_| false), BTreeMap::from_iter(all[3..].to_vec()));
        let settled = history.expected_but(|id| id == segment(4));
        assert_eq!(settled, BTreeMap::from([all[4]]));
        assert!(history.expected_but(|_| true).is_empty());
    }

    #[test]
    fn expiries_share_one_set_of_holds() {
        let mut history = History::default();
        apply(&mut history, vec![expired(1), expired(2)]);
        let sets: Vec<_> = history.expired.values().flatten().collect();
        assert!(sets.iter().all(|set| Arc::ptr_eq(set, &history.holds)));
    }
}
