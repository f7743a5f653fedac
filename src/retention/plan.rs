//! Decides what a sweep drops, and with which reason.
//!
//! Pure: the same input gives the same plan, in the same order, whatever the order of the segments.
//! It never counts a held clip as freed and never plans to lose one. It acts on nothing.
//!
//! The rules, in order:
//!
//! 1. **Due.** A segment whose newest clip is past `at_most` goes, but the due segments of one
//!    sweep may not exceed a share of all live bytes: a wrong policy or clock then costs a share
//!    before somebody notices, not everything.
//! 2. **Space.** If room is wanted, the oldest segments past `at_least` go, over all classes.
//! 3. **Early.** If that is not enough, the oldest before `at_least`, or nothing (`Refuse`).
//! 4. **Evidence.** Clips there that nothing holds any more and whose own time is up expire.
//!
//! Within a class segments go strictly oldest first, so that a clip never outlives a younger one of
//! its class and one position tells what is left of the class. Segments that are wholly held (or
//! that only keep the tail of such a clip) do not block the younger ones: no clip in them could
//! expire, and one court order must not prolong the life of everybody else's footage.

use std::collections::BTreeMap;

use super::sweep_plan::{KeptItem, KeptReason, PlanAction, PlanItem, SweepPlan};
use super::{Retention, WhenFull};
use crate::format::entry::ExpiryReason;
use crate::types::{ClassId, SegmentId, Timestamp};

/// A sealed segment, as far as its end is concerned.
#[derive(Clone, Debug)]
pub(crate) struct SegmentView {
    pub(crate) segment: SegmentId,
    pub(crate) class: ClassId,
    pub(crate) retention: Retention,
    /// Allocated on disk: what dropping the file frees.
    pub(crate) file_bytes: u64,
    /// Live clips that began here.
    pub(crate) clips: u64,
    /// Their bytes.
    pub(crate) payload_bytes: u64,
    /// Those of them that a hold covers, and their bytes.
    pub(crate) held_clips: u64,
    pub(crate) held_bytes: u64,
    /// When the newest bytes of the clips that began here came, wherever these bytes are.
    pub(crate) newest_received: Timestamp,
    /// It holds parts of live clips that began in an older segment of its class. If that one stays,
    /// the file does: dropping it expires its own clips, and its room is given back around the tail.
    pub(crate) pinned_by_clips: bool,
    /// It is an evidence segment.
    pub(crate) evidence: bool,
    /// Of an evidence segment: clips that no hold covers and whose own time is up, and their bytes.
    pub(crate) expirable_clips: u64,
    pub(crate) expirable_bytes: u64,
}

/// How much room there is, and how much is wanted.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_field_names, reason = "units go last in names")]
pub(crate) struct SpaceView {
    /// What the store occupies, and what it may.
    pub(crate) used_bytes: u64,
    pub(crate) quota_bytes: Option<u64>,
    /// What the file system has left, and what the store leaves to others.
    pub(crate) free_bytes: u64,
    pub(crate) floor_bytes: u64,
    /// What is about to be written.
    pub(crate) wanted_bytes: u64,
}

impl SpaceView {
    /// How many bytes must be freed first.
    pub(crate) fn short_bytes(&self) -> u64 {
        let over_quota = self.quota_bytes.map_or(0, |quota| {
            self.used_bytes.saturating_add(self.wanted_bytes).saturating_sub(quota)
        });
        let below_floor =
            self.floor_bytes.saturating_add(self.wanted_bytes).saturating_sub(self.free_bytes);
        over_quota.max(below_floor)
    }
}

/// Everything that a plan depends on.
#[derive(Clone, Debug)]
pub(crate) struct PlanInput {
    /// Trusted time.
    pub(crate) now: Timestamp,
    /// The sealed segments, in any order.
    pub(crate) segments: Vec<SegmentView>,
    pub(crate) space: SpaceView,
    pub(crate) when_full: WhenFull,
    /// Due segments of one sweep have at most this share of all live bytes, in percent ..
    pub(crate) share_max_percent: u8,
    /// .. but this many may go in any case, so that a small store expires at all.
    pub(crate) share_free_segments: u32,
}

/// Decides what a sweep at `input.now` would drop.
pub(crate) fn plan(input: &PlanInput) -> SweepPlan {
    let mut planner = Planner::new(input);
    planner.expire_evidence();
    planner.drop_due();
    planner.make_room(ExpiryReason::Space);
    match input.when_full {
        WhenFull::DropOldest => planner.make_room(ExpiryReason::Early),
        WhenFull::Refuse => {}
    }
    planner.finish()
}

/// What was decided about a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Open,
    Goes,
    /// Stays, and the younger of its class may go before it.
    Stays(KeptReason),
}

struct Planner<'a> {
    input: &'a PlanInput,
    /// The segments of each class but evidence, oldest first.
    classes: BTreeMap<ClassId, Class<'a>>,
    evidence: Vec<&'a SegmentView>,
    items: Vec<PlanItem>,
    short_bytes: u64,
    freed_bytes: u64,
    share_reached: bool,
}

struct Class<'a> {
    segments: Vec<(&'a SegmentView, Fate)>,
    /// Everything before this one has its fate.
    head: usize,
    /// An older segment than the head stays, so tails of its clips must.
    has_stayed: bool,
}

impl<'a> Class<'a> {
    /// The oldest segment that may go next. Passes by what cannot go but does not block.
    fn head(&mut self) -> Option<&'a SegmentView> {
        while let Some((view, fate)) = self.segments.get_mut(self.head) {
            if *fate == Fate::Open {
                let nothing_expires = view.held_clips >= view.clips;
                if view.pinned_by_clips && self.has_stayed && nothing_expires {
                    *fate = Fate::Stays(KeptReason::HoldsTail);
                } else if view.clips > 0 && view.held_clips >= view.clips {
                    *fate = Fate::Stays(KeptReason::AllHeld);
                } else {
                    return Some(view);
                }
            }
            self.has_stayed |= *fate != Fate::Goes;
            self.head += 1;
        }
        None
    }

    fn decide(&mut self, fate: Fate) {
        if let Some((_, open)) = self.segments.get_mut(self.head) {
            *open = fate;
        }
    }
}

impl<'a> Planner<'a> {
    fn new(input: &'a PlanInput) -> Self {
        let mut classes: BTreeMap<ClassId, Class<'a>> = BTreeMap::new();
        let mut evidence = Vec::new();
        for view in &input.segments {
            if view.evidence {
                evidence.push(view);
                continue;
            }
            let class = classes.entry(view.class).or_insert_with(|| Class {
                segments: Vec::new(),
                head: 0,
                has_stayed: false,
            });
            class.segments.push((view, Fate::Open));
        }
        for class in classes.values_mut() {
            class.segments.sort_by_key(|(view, _)| view.segment);
        }
        evidence.sort_by_key(|view| view.segment);
        Self {
            input,
            classes,
            evidence,
            items: Vec::new(),
            short_bytes: input.space.short_bytes(),
            freed_bytes: 0,
            share_reached: false,
        }
    }

    fn expire_evidence(&mut self) {
        for view in self.evidence.clone() {
            if view.expirable_clips == 0 {
                continue;
            }
            self.items.push(PlanItem {
                segment: view.segment,
                class: view.class,
                action: PlanAction::ExpireClips,
                reason: ExpiryReason::Released,
                clips: view.expirable_clips,
                bytes: view.expirable_bytes,
                held_clips: view.held_clips,
                held_bytes: view.held_bytes,
                due: view.retention.due(view.newest_received),
            });
            self.freed(view.expirable_bytes);
        }
    }

    /// The head of a class that is `ready` and whose `age` is the earliest; ties go to the lower
    /// class.
    fn oldest_head(
        &mut self,
        ready: impl Fn(&SegmentView) -> bool,
        age: impl Fn(&SegmentView) -> Timestamp,
    ) -> Option<&'a SegmentView> {
        let heads = self.classes.values_mut().filter_map(Class::head);
        heads.filter(|view| ready(view)).min_by_key(|view| (age(view), view.class))
    }

    /// Rule 1.
    fn drop_due(&mut self) {
        let now = self.input.now;
        let due = |view: &SegmentView| view.retention.due(view.newest_received);
        let live: u128 = self.input.segments.iter().map(|v| u128::from(v.payload_bytes)).sum();
        let allowed = live.saturating_mul(u128::from(self.input.share_max_percent));
        let (mut count, mut bytes) = (0_u32, 0_u128);
        while let Some(view) = self.oldest_head(|view| due(view) <= now, due) {
            let next = bytes.saturating_add(u128::from(unheld_bytes(view)));
            if count >= self.input.share_free_segments && next.saturating_mul(100) > allowed {
                self.share_reached = true;
                return;
            }
            (count, bytes) = (count.saturating_add(1), next);
            self.drop_head(view, ExpiryReason::Due);
        }
    }

    /// Rules 2 and 3: drops the oldest until there is room. A due segment that the share limit kept
    /// may go here too, because what is wanted bounds this.
    fn make_room(&mut self, reason: ExpiryReason) {
        let now = self.input.now;
        let ready = |view: &SegmentView| reason == ExpiryReason::Early || past_promise(view, now);
        while self.freed_bytes < self.short_bytes {
            let Some(view) = self.oldest_head(ready, |view| view.newest_received) else { return };
            if view.file_bytes <= view.held_bytes {
                self.keep_head(view, KeptReason::FreesNothing);
            } else if past_promise(view, now) {
                self.drop_head(view, ExpiryReason::Space);
            } else {
                self.drop_head(view, reason);
            }
        }
    }

    fn drop_head(&mut self, view: &SegmentView, reason: ExpiryReason) {
        let action =
            if view.held_clips > 0 { PlanAction::MoveHeldThenDrop } else { PlanAction::Drop };
        self.items.push(PlanItem {
            segment: view.segment,
            class: view.class,
            action,
            reason,
            clips: view.clips.saturating_sub(view.held_clips),
            bytes: unheld_bytes(view),
            held_clips: view.held_clips,
            held_bytes: view.held_bytes,
            due: view.retention.due(view.newest_received),
        });
        // The held clips need their room again, elsewhere.
        self.freed(view.file_bytes.saturating_sub(view.held_bytes));
        self.decide(view, Fate::Goes);
    }

    fn keep_head(&mut self, view: &SegmentView, reason: KeptReason) {
        self.decide(view, Fate::Stays(reason));
    }

    fn decide(&mut self, view: &SegmentView, fate: Fate) {
        if let Some(class) = self.classes.get_mut(&view.class) {
            class.decide(fate);
        }
    }

    fn freed(&mut self, bytes: u64) {
        self.freed_bytes = self.freed_bytes.saturating_add(bytes);
    }

    fn finish(self) -> SweepPlan {
        let short_bytes = self.short_bytes.saturating_sub(self.freed_bytes);
        let mut kept = Vec::new();
        let (mut deferred, mut deferred_bytes) = (0_u64, 0_u64);
        for class in self.classes.values() {
            let mut blocked = false;
            for (view, fate) in &class.segments {
                let reason = match fate {
                    Fate::Goes => continue,
                    Fate::Stays(reason) => *reason,
                    Fate::Open => self.reason_to_keep(view, short_bytes, &mut blocked),
                };
                if reason == KeptReason::ShareLimit {
                    deferred = deferred.saturating_add(1);
                    deferred_bytes = deferred_bytes.saturating_add(unheld_bytes(view));
                }
                kept.push(KeptItem { segment: view.segment, class: view.class, reason });
            }
        }
        for view in self.evidence.iter().filter(|view| view.expirable_clips == 0) {
            let due = view.retention.due(view.newest_received);
            let all_held = view.held_clips > 0 && view.held_clips >= view.clips;
            let reason = if all_held { KeptReason::AllHeld } else { KeptReason::NotDue { due } };
            kept.push(KeptItem { segment: view.segment, class: view.class, reason });
        }
        kept.sort_by_key(|item| (item.class, item.segment));
        SweepPlan {
            now: self.input.now,
            items: self.items,
            kept,
            freed_bytes: self.freed_bytes,
            short_bytes,
            deferred,
            deferred_bytes,
        }
    }

    /// Why a segment that no rule took stays. `blocked` tells whether one before it in its class
    /// stays and blocks.
    fn reason_to_keep(
        &self,
        view: &SegmentView,
        short_bytes: u64,
        blocked: &mut bool,
    ) -> KeptReason {
        let now = self.input.now;
        let due = view.retention.due(view.newest_received);
        if view.clips > 0 && view.held_clips >= view.clips {
            return KeptReason::AllHeld;
        }
        let behind = std::mem::replace(blocked, *blocked || due > now);
        if due <= now {
            // Not behind a segment that is not due: then only the share limit kept it.
            return if behind || !self.share_reached {
                KeptReason::BehindOlder
            } else {
                KeptReason::ShareLimit
            };
        }
        if short_bytes > 0 && self.input.when_full == WhenFull::Refuse && !past_promise(view, now) {
            return KeptReason::PromiseKept;
        }
        KeptReason::NotDue { due }
    }
}

/// The bytes of the clips that expire with it.
fn unheld_bytes(view: &SegmentView) -> u64 {
    view.payload_bytes.saturating_sub(view.held_bytes)
}

/// Whether its clips have been kept as long as promised.
fn past_promise(view: &SegmentView, now: Timestamp) -> bool {
    // A segment without a clip of its own breaks no promise.
    view.clips == 0 || view.retention.promised_until(view.newest_received) <= now
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
