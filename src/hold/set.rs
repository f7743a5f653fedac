//! The holds of a store, as its ledger tells them.
//!
//! Owns what is held, by whom, and until when. It is built by [`HoldSet::apply`] from ledger
//! entries alone, so that replay gives the same set on any day: protection ends only by a
//! `HoldEnded` or `HoldNarrowed` entry, never by the passing of time. [`HoldSet::due`] says which
//! entries time calls for; until somebody has written them, the hold protects.
//!
//! A clip's protection is a SET of hold ids, never a bit: releasing one hold frees only what no
//! other holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::life::Released;
use super::scope::{check_ranges, check_text, contains, normalise};
use super::timeline::Timeline;
use super::{Hold, HoldState, Release, ReleaseOutcome};
use crate::format::entry::{Decision, Entry, HoldPlaced};
use crate::types::{
    CameraId, CatchUp, CatchUps, Error, ErrorKind, HoldId, Result, Timestamp, Window,
};

/// All holds that were ever placed, and the lookup over those that protect.
///
/// Cheap to clone: holds and timelines are shared until they change.
///
/// Invariants, see [`HoldSet::check_invariants`]: `open` has exactly the holds that protect, each
/// with when time will call for an entry about it, and `ends` has the same by that time; the
/// timelines have exactly their ranges; `keys` points to active holds only.
#[derive(Clone, Debug, Default)]
pub(crate) struct HoldSet {
    holds: BTreeMap<HoldId, Arc<Hold>>,
    open: BTreeMap<HoldId, Timestamp>,
    ends: BTreeSet<(Timestamp, HoldId)>,
    cameras: BTreeMap<CameraId, Arc<Timeline>>,
    keys: BTreeMap<String, HoldId>,
    catch_ups: CatchUps,
}

impl HoldSet {
    /// Takes in one ledger entry, in ledger order; entries that are not about holds change nothing.
    ///
    /// It is tolerant of entries that should not exist, and then protects: one about an unknown
    /// hold frees nothing, a hold placed twice covers both scopes, narrowing to nothing is ignored.
    /// A clip that its owner deleted is no matter of this set: the holds go on for other clips.
    pub(crate) fn apply(&mut self, entry: &Entry) {
        match &entry.decision {
            Decision::HoldPlaced(placed) => self.place(placed, entry),
            Decision::HoldReleased { hold, grace_until, actor, reason } => {
                let (actor, reason) = (actor.clone(), reason.clone());
                let released = Released { at: entry.at, actor, reason };
                self.leave_active(*hold, *grace_until, released);
            }
            Decision::HoldLapsed { hold, grace_until } => {
                let (actor, reason) = (String::new(), "lapsed".to_owned());
                let released = Released { at: entry.at, actor, reason };
                self.leave_active(*hold, *grace_until, released);
            }
            Decision::HoldEnded { hold } => self.end(*hold),
            Decision::HoldNarrowed { hold, scope, .. }
                if !scope.is_empty() && self.open.contains_key(hold) =>
            {
                self.set_scope(*hold, normalise(scope.clone()));
            }
            Decision::HoldRenewed { hold: id, deadline, .. } => {
                if let Some(hold) = self.hold_mut(*id)
                    && hold.state == HoldState::Active
                {
                    hold.deadline = hold.deadline.max(*deadline);
                    hold.end_set_at = entry.at;
                    hold.renewals = hold.renewals.saturating_add(1);
                }
                self.note_end(*id);
            }
            Decision::ClockCaughtUp(jump) => self.catch_up(*jump),
            _ => {}
        }
    }

    /// Ends that were set while trusted time lagged lie too far back by the lag: they move with the
    /// jump, so that nothing is protected for a shorter time than it was promised.
    fn catch_up(&mut self, jump: CatchUp) {
        let jump = self.catch_ups.add(jump);
        for id in self.open.keys().copied().collect::<Vec<_>>() {
            let Some(hold) = self.holds.get_mut(&id) else { continue };
            if jump.covers(hold.end_set_at) {
                Arc::make_mut(hold).catch_up(jump);
                self.note_end(id);
            }
        }
    }

    /// Notes when time will call for an entry about hold `id`, or that it protects no more: after
    /// each change of its state, its deadline or its grace.
    fn note_end(&mut self, id: HoldId) {
        if let Some(before) = self.open.remove(&id) {
            self.ends.remove(&(before, id));
        }
        let end = self.get(id).and_then(|hold| match hold.state {
            HoldState::Active => Some(hold.deadline),
            HoldState::Grace { until } => Some(until),
            HoldState::Ended => None,
        });
        if let Some(end) = end {
            self.open.insert(id, end);
            self.ends.insert((end, id));
        }
    }

    fn place(&mut self, placed: &HoldPlaced, entry: &Entry) {
        let id = placed.hold;
        let mut hold = Hold::new(placed, entry);
        if let Some(old) = self.holds.get(&id) {
            hold.deadline = hold.deadline.max(old.deadline);
            hold.scope = normalise([hold.scope, old.scope.clone()].concat());
            self.set_scope(id, Vec::new());
            self.forget_key(id);
        }
        let mut scope = std::mem::take(&mut hold.scope);
        // One text a camera, however many holds are on it.
        for (camera, _) in &mut scope {
            if let Some((known, _)) = self.cameras.get_key_value(camera) {
                camera.clone_from(known);
            }
        }
        if !hold.idempotency_key.is_empty() {
            self.keys.insert(hold.idempotency_key.clone(), id);
        }
        self.holds.insert(id, Arc::new(hold));
        self.note_end(id);
        self.set_scope(id, scope);
    }

    fn leave_active(&mut self, id: HoldId, until: Timestamp, released: Released) {
        let Some(hold) = self.hold_mut(id) else { return };
        hold.release(until, released);
        self.note_end(id);
        self.forget_key(id);
    }

    fn end(&mut self, id: HoldId) {
        if !self.open.contains_key(&id) {
            return;
        }
        self.forget_key(id);
        let Some(hold) = self.hold_mut(id) else { return };
        hold.state = HoldState::Ended;
        let scope = hold.scope.clone();
        self.note_end(id);
        // What it covered stays on its record; only the lookup forgets it.
        self.unlist(id, &scope);
    }

    fn set_scope(&mut self, id: HoldId, scope: Vec<(CameraId, Window)>) {
        let listed = self.open.contains_key(&id);
        let Some(hold) = self.hold_mut(id) else { return };
        let old = std::mem::replace(&mut hold.scope, scope.clone());
        if listed {
            self.unlist(id, &old);
            for (camera, window) in scope {
                Arc::make_mut(self.cameras.entry(camera).or_default()).insert(&window, id);
            }
        }
    }

    fn unlist(&mut self, id: HoldId, scope: &[(CameraId, Window)]) {
        for (camera, window) in scope {
            let Some(timeline) = self.cameras.get_mut(camera) else { continue };
            let timeline = Arc::make_mut(timeline);
            timeline.remove(window, id);
            if timeline.is_empty() {
                self.cameras.remove(camera);
            }
        }
    }

    fn forget_key(&mut self, id: HoldId) {
        let Some(hold) = self.holds.get(&id) else { return };
        if self.keys.get(&hold.idempotency_key) == Some(&id) {
            self.keys.remove(&hold.idempotency_key);
        }
    }

    fn hold_mut(&mut self, id: HoldId) -> Option<&mut Hold> {
        self.holds.get_mut(&id).map(Arc::make_mut)
    }

    /// Whether any hold, active or in its grace, meets `window` of `camera`. For a clip ask with
    /// its possible window. O(log n) in the held ranges of the camera.
    pub(crate) fn covers(&self, camera: &CameraId, window: &Window) -> bool {
        self.on(camera).covers(window)
    }

    /// What is held of `camera`, for who asks of many windows.
    pub(crate) fn on(&self, camera: &CameraId) -> Held<'_> {
        Held { ranges: self.cameras.get(camera).map(AsRef::as_ref) }
    }

    /// The holds, active or in their grace, that meet `window` of `camera`; sorted, each once.
    pub(crate) fn covering(&self, camera: &CameraId, window: &Window) -> Vec<HoldId> {
        let mut holds = Vec::new();
        if let Some(timeline) = self.cameras.get(camera) {
            timeline.collect(window, &mut holds);
        }
        holds.sort_unstable();
        holds.dedup();
        holds
    }

    /// The holds that forbid even the owner to delete what `camera` recorded in `window`: orders,
    /// in their written grace too.
    pub(crate) fn blocks_owner(&self, camera: &CameraId, window: &Window) -> Vec<HoldId> {
        let mut holds = self.covering(camera, window);
        holds.retain(|id| self.get(*id).is_some_and(|hold| hold.cause.blocks_owner()));
        holds
    }

    /// The hold `id`, ended ones too.
    pub(crate) fn get(&self, id: HoldId) -> Option<&Hold> {
        self.holds.get(&id).map(AsRef::as_ref)
    }

    /// Every hold that was ever placed, by id.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Hold> {
        self.holds.values().map(AsRef::as_ref)
    }

    /// The active hold that was placed with this key. A hold that was released does not count: to
    /// answer with it would promise protection that is ending, so placing again makes a new one.
    pub(crate) fn by_key(&self, key: &str) -> Option<&Hold> {
        self.keys.get(key).and_then(|id| self.get(*id))
    }

    /// An id that no hold had before.
    pub(crate) fn next_id(&self) -> HoldId {
        self.holds.keys().next_back().map_or(HoldId(1), |last| HoldId(last.0.saturating_add(1)))
    }

    /// The decisions that time calls for at trusted time `now`, in id order.
    ///
    /// Grace after a lapse counts from `now`, when the lapse goes on record, not from the deadline:
    /// a store that was off at the deadline would otherwise lapse and end in one breath, and the
    /// grace would have helped nobody. It never ends earlier than deadline + grace.
    pub(crate) fn due(&self, now: Timestamp) -> Vec<Decision> {
        let mut decisions = Vec::new();
        // However many holds there are, a sweep looks at those whose time has come.
        let mut due: Vec<HoldId> =
            self.ends.range(..=(now, HoldId(u64::MAX))).map(|(_, id)| *id).collect();
        due.sort_unstable();
        for hold in due.into_iter().filter_map(|id| self.get(id)) {
            match hold.state {
                HoldState::Active if hold.deadline <= now => {
                    let grace = hold.cause.lapse_grace().max(hold.grace.unwrap_or_default());
                    let grace_until = now.saturating_add(grace);
                    decisions.push(Decision::HoldLapsed { hold: hold.id, grace_until });
                    if grace_until <= now {
                        decisions.push(Decision::HoldEnded { hold: hold.id });
                    }
                }
                HoldState::Grace { until } if until <= now => {
                    decisions.push(Decision::HoldEnded { hold: hold.id });
                }
                _ => {}
            }
        }
        decisions
    }

    /// What releasing hold `id` at trusted time `now` comes to.
    ///
    /// # Errors
    ///
    /// `NotFound` for an unknown hold; `InvalidInput` when `release` may not end it. Both also
    /// where the hold was released before, except that then an allowed release is no error.
    pub(crate) fn release(
        &self,
        id: HoldId,
        release: &Release,
        now: Timestamp,
    ) -> Result<ReleaseOutcome> {
        let hold = self.known(id)?;
        release.check(hold.cause)?;
        if hold.state != HoldState::Active {
            return Ok(ReleaseOutcome::AlreadyReleased);
        }
        let grace_until = now.saturating_add(release.cause().grace(hold.grace));
        let (actor, reason) = (release.actors(), release.full_reason());
        let mut decisions = vec![Decision::HoldReleased { hold: id, grace_until, actor, reason }];
        if grace_until <= now {
            decisions.push(Decision::HoldEnded { hold: id });
        }
        Ok(ReleaseOutcome::Append(decisions))
    }

    /// The decision that leaves hold `id` covering only `scope`.
    ///
    /// Giving up a part takes what giving up the whole takes: for an order, two persons and its
    /// end as the cause. The part goes free at once.
    ///
    /// # Errors
    ///
    /// `NotFound` for an unknown hold; `InvalidInput` when it has ended, when `scope` is empty or
    /// reaches beyond what it covers, or when `release` may not end it.
    pub(crate) fn narrow(
        &self,
        id: HoldId,
        scope: Vec<(CameraId, Window)>,
        release: &Release,
    ) -> Result<Decision> {
        let hold = self.known(id)?;
        release.check(hold.cause)?;
        check_ranges(&scope)?;
        if hold.state == HoldState::Ended {
            return Err(Error::invalid(format!("narrow hold {id}: it has ended")));
        }
        let scope = normalise(scope);
        if !contains(&hold.scope, &scope) {
            return Err(Error::invalid(format!("narrow hold {id}: widening is a new hold")));
        }
        let (actor, reason) = (release.actors(), release.full_reason());
        Ok(Decision::HoldNarrowed { hold: id, scope, actor, reason })
    }

    /// The decision that moves the deadline of hold `id` to `deadline`, later than it is.
    ///
    /// # Errors
    ///
    /// `NotFound` for an unknown hold; `InvalidInput` when it is not active, when it was renewed as
    /// often as its cause allows, or when `deadline` is not later or too late.
    pub(crate) fn renew(
        &self,
        id: HoldId,
        deadline: Timestamp,
        now: Timestamp,
        actor: &str,
        reason: &str,
    ) -> Result<Decision> {
        let hold = self.known(id)?;
        let refuse = |why: String| Err(Error::invalid(format!("renew hold {id}: {why}")));
        check_text("actor", actor)?;
        check_text("reason", reason)?;
        // A deadline that passed has lapsed the hold, even if nobody has written so yet.
        if hold.state != HoldState::Active || hold.deadline <= now {
            return refuse("it is not active any more".to_owned());
        }
        if hold.renewals >= hold.cause.renewals_max() {
            return refuse(format!("a {} hold was renewed as often as it may be", hold.cause));
        }
        if deadline <= hold.deadline {
            return refuse(format!("its deadline is {} already", hold.deadline));
        }
        let latest = match hold.cause.total_duration_max() {
            Some(total) => self.catch_ups.corrected(hold.placed_at).saturating_add(total),
            None => now.saturating_add(hold.cause.max_duration()),
        };
        if deadline > latest {
            return refuse(format!("want a deadline no later than {latest}"));
        }
        let (actor, reason) = (actor.to_owned(), reason.to_owned());
        Ok(Decision::HoldRenewed { hold: id, deadline, actor, reason })
    }

    fn known(&self, id: HoldId) -> Result<&Hold> {
        self.get(id).ok_or_else(|| Error::new(ErrorKind::NotFound, format!("hold {id}")))
    }

    /// What is broken, if anything is; for tests.
    #[cfg(test)]
    pub(crate) fn check_invariants(&self) -> std::result::Result<(), String> {
        let end = |hold: &Hold| match hold.state {
            HoldState::Grace { until } => until,
            _ => hold.deadline,
        };
        let protecting: BTreeMap<_, _> =
            self.iter().filter(|hold| hold.protects()).map(|hold| (hold.id, end(hold))).collect();
        if protecting != self.open {
            return Err(format!("open holds {:?}, should be {protecting:?}", self.open));
        }
        let ends: BTreeSet<_> = protecting.into_iter().map(|(id, end)| (end, id)).collect();
        if ends != self.ends {
            return Err(format!("ends {:?}, should be {ends:?}", self.ends));
        }
        let mut ranges = 0;
        for hold in self.iter() {
            if hold.scope != normalise(hold.scope.clone()) {
                return Err(format!("scope of {} is not normal", hold.id));
            }
            for (camera, window) in hold.scope.iter().filter(|_| hold.protects()) {
                ranges += 1;
                if !self.covering(camera, window).contains(&hold.id) {
                    return Err(format!("{} is not found on {camera} {window}", hold.id));
                }
            }
        }
        let mut listed = 0;
        for timeline in self.cameras.values() {
            timeline.check_invariants()?;
            listed += timeline.len();
        }
        if listed != ranges {
            return Err(format!("{listed} ranges listed, should be {ranges}"));
        }
        let active = |id: &HoldId| self.get(*id).is_some_and(|h| h.state == HoldState::Active);
        match self.keys.iter().find(|(_, id)| !active(id)) {
            Some((key, id)) => Err(format!("key {key:?} points to {id}, which is not active")),
            None => Ok(()),
        }
    }
}

/// What holds, active or in their grace, cover of one camera.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held<'a> {
    ranges: Option<&'a Timeline>,
}

impl Held<'_> {
    /// Whether any of them meets `window`.
    pub(crate) fn covers(self, window: &Window) -> bool {
        self.ranges.is_some_and(|ranges| ranges.covers(window))
    }

    /// Whether one of them covers everything in `window`.
    pub(crate) fn covers_all(self, window: &Window) -> bool {
        self.ranges.is_some_and(|ranges| ranges.contains(window))
    }
}

#[cfg(test)]
#[path = "set_tests.rs"]
mod tests;
