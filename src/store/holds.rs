//! Placing, changing and ending holds, and explaining them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::format::entry::{Decision, HoldPlaced};
use crate::format::page::Summary;
use crate::hold::{Hold, HoldState, NewHold, Release, ReleaseOutcome};
use crate::types::{CameraId, Clip, ClipId, Error, ErrorKind, HoldId, Result, Timestamp, Window};

use super::catalog::Catalog;
use super::lookup::Found;
use super::receipt::Survey;
use super::{Explanation, HoldReceipt, Inner, Store};

impl Store {
    /// Places a hold: from here on nothing removes a clip that it covers, not even one that
    /// arrives later, until the hold ends. It gives nobody access to anything.
    ///
    /// The same idempotency key with the same scope and cause answers the hold placed before.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a hold that breaks a rule of its cause; `NotFound` for an unknown camera;
    /// `Conflict` for a key used with another scope; `HoldBudget` when it would cover more bytes
    /// than allowed; `ReadOnly`; `Corrupt` when the ledger is unreadable, or when there is a budget
    /// and what counts against it cannot be read. After an error nothing is placed. Without a
    /// budget, clips that cannot be counted are held all the same: see [`HoldReceipt::uncounted`].
    ///
    /// # Durability
    ///
    /// One ledger entry, whatever the hold covers, on disk when this returns. Works on a full disk.
    pub fn place_hold(&self, hold: NewHold) -> Result<HoldReceipt> {
        let inner = &self.inner;
        inner.check_writable()?;
        // Held to the end: the receipt must be of this position of the ledger.
        let mut ledger = inner.ledger.lock();
        let now = inner.now();
        let set = inner.history.read().holds.clone();
        let placed = hold.into_placed(set.next_id(), now)?;
        if let Some(before) = set.by_key(&placed.idempotency_key) {
            return inner.placed_before(before, &placed);
        }
        for (camera, _) in &placed.scope {
            inner.check_camera(camera)?;
        }
        // One look at what it covers serves both: nothing of it goes while the ledger is in hand.
        let survey = inner.check_budget(&placed)?;
        let id = placed.hold;
        // Otherwise all holds that there ever were would be copied to add this one.
        drop(set);
        inner.decide_locked(&mut ledger, vec![Decision::HoldPlaced(Box::new(placed))])?;
        let hold = inner.hold(id)?;
        Ok(inner.receipt_of(&hold, survey))
    }

    /// The hold `id`, also after it ended.
    ///
    /// # Errors
    ///
    /// `NotFound` for an id that was never given.
    pub fn hold(&self, id: HoldId) -> Result<Hold> {
        self.inner.hold(id)
    }

    /// Every hold that ever was, by id.
    #[must_use]
    pub fn holds(&self) -> Vec<Hold> {
        self.inner.history.read().holds.iter().cloned().collect()
    }

    /// What hold `id` covers now, in the form of the receipt of its placing.
    ///
    /// # Errors
    ///
    /// `NotFound` for an id that was never given.
    pub fn hold_receipt(&self, id: HoldId) -> Result<HoldReceipt> {
        let hold = self.inner.hold(id)?;
        Ok(HoldReceipt { placed_before: true, ..self.inner.receipt(&hold) })
    }

    /// Releases a hold. It goes on protecting for the grace of its cause; then what it covered
    /// resumes its own clock, which never stopped. Releasing twice answers the same as once.
    ///
    /// # Errors
    ///
    /// `NotFound`; `InvalidInput` when the release is not one for this cause (an order needs two
    /// persons); `ReadOnly`; `Corrupt` when the ledger is unreadable.
    pub fn release_hold(&self, id: HoldId, release: &Release) -> Result<Hold> {
        let mut ledger = self.inner.ledger.lock();
        let now = self.inner.now();
        let outcome = self.inner.history.read().holds.release(id, release, now)?;
        match outcome {
            ReleaseOutcome::Append(decisions) => {
                self.inner.decide_locked(&mut ledger, decisions)?;
            }
            ReleaseOutcome::AlreadyReleased => {}
        }
        self.inner.hold(id)
    }

    /// Narrows a hold to `scope`, a part of what it covers. The rest is free at once. Whoever may
    /// release the hold may narrow it: `release` says who and why.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when `scope` is not a part of the present one (widening is a new hold);
    /// otherwise as [`Store::release_hold`].
    pub fn narrow_hold(
        &self,
        id: HoldId,
        scope: Vec<(CameraId, Window)>,
        release: &Release,
    ) -> Result<Hold> {
        let mut ledger = self.inner.ledger.lock();
        let decision = self.inner.history.read().holds.narrow(id, scope, release)?;
        self.inner.decide_locked(&mut ledger, vec![decision])?;
        self.inner.hold(id)
    }

    /// Moves the deadline of an active hold to `duration` from now.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when its cause does not allow it (a request: once, 90 days in all);
    /// otherwise as [`Store::release_hold`].
    pub fn renew_hold(
        &self,
        id: HoldId,
        duration: Duration,
        actor: &str,
        reason: &str,
    ) -> Result<Hold> {
        let mut ledger = self.inner.ledger.lock();
        let now = self.inner.now();
        let deadline = now.saturating_add(duration);
        let decision = self.inner.history.read().holds.renew(id, deadline, now, actor, reason)?;
        self.inner.decide_locked(&mut ledger, vec![decision])?;
        self.inner.hold(id)
    }

    /// Why clip `id` is kept, and until when.
    ///
    /// # Errors
    ///
    /// As [`Store::clip`].
    pub fn explain(&self, id: ClipId) -> Result<Explanation> {
        let clip = self.inner.locate(id)?.clip;
        let history = self.inner.history.read();
        let retention = history.retention_of(clip.class);
        let own_expiry = history.due(clip.class, clip.received);
        let ids = history.holds.covering(&clip.camera, &clip.possible_window());
        let holds: Vec<Hold> =
            ids.iter().filter_map(|id| history.holds.get(*id)).cloned().collect();
        let last = holds.iter().map(protects_until).max();
        let effective_expiry = own_expiry.max(last.unwrap_or(own_expiry));
        Ok(Explanation { clip: id, retention, own_expiry, effective_expiry, holds })
    }
}

/// When a hold protects no more, if nobody does anything about it.
fn protects_until(hold: &Hold) -> Timestamp {
    match hold.state() {
        HoldState::Active => hold.deadline().saturating_add(hold.cause().lapse_grace()),
        HoldState::Grace { until } => until,
        HoldState::Ended => Timestamp::MIN,
    }
}

impl Inner {
    pub(super) fn hold(&self, id: HoldId) -> Result<Hold> {
        let history = self.history.read();
        let hold = history.holds.get(id).cloned();
        hold.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("hold {id}: there is no such hold"))
        })
    }

    /// The answer to a placing whose key was used before.
    fn placed_before(&self, before: &Hold, placed: &HoldPlaced) -> Result<HoldReceipt> {
        if before.scope() != placed.scope || before.cause().code() != placed.cause {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "place hold: key {:?} was used for hold {} with another scope or cause",
                    placed.idempotency_key,
                    before.id()
                ),
            ));
        }
        Ok(HoldReceipt { placed_before: true, ..self.receipt(before) })
    }

    /// Refuses a hold that would cover more than the budgets allow. Answers what it would cover, as
    /// far as that is known: without a budget, what cannot be read is no reason not to protect it.
    pub(super) fn check_budget(&self, placed: &HoldPlaced) -> Result<Survey> {
        let history = self.history.read();
        // One look at the catalog for all sums, so that a clip has one length in them.
        let catalog = self.catalog.read();
        let set = &history.holds;
        let survey = self.survey(&history, &catalog, &placed.scope, set);
        let mut problems = survey.uncounted.clone();
        let protecting = || set.iter().filter(|hold| hold.protects());
        let mut bytes_of = |holds: &[&Hold]| -> BTreeMap<ClipId, u64> {
            let mut lens = BTreeMap::new();
            for hold in holds {
                self.each_covered(&catalog, hold.scope(), &mut problems, |clip| {
                    lens.insert(clip.id, clip.len);
                });
            }
            lens
        };
        let all = self.options.hold_budget.map(|budget| {
            let held: u64 = bytes_of(&protecting().collect::<Vec<_>>()).values().sum();
            (budget, held, survey.newly_pinned_bytes, "all holds".to_owned())
        });
        let agency = self.options.agency_hold_budget.filter(|_| !placed.agency.is_empty());
        let agency = agency.map(|budget| {
            let own: Vec<_> = protecting().filter(|hold| hold.agency() == placed.agency).collect();
            let own = bytes_of(&own);
            let mut more = 0_u64;
            self.each_covered(&catalog, &placed.scope, &mut Vec::new(), |clip| {
                if !own.contains_key(&clip.id) {
                    more = more.saturating_add(clip.len);
                }
            });
            (budget, own.values().sum(), more, format!("holds of agency {}", placed.agency))
        });
        for (budget, held, more, whose) in all.into_iter().chain(agency) {
            if let Some(error) = problems.first() {
                return Err(error.clone());
            }
            refuse_above(budget, held, more, &whose)?;
        }
        Ok(survey)
    }

    /// Hands each readable clip that a hold with this scope covers to `each`, once; `problems` gets
    /// why others cannot be told. One at a time, because a hold may cover millions.
    fn each_covered(
        &self,
        catalog: &Catalog,
        scope: &[(CameraId, Window)],
        problems: &mut Vec<Error>,
        mut each: impl FnMut(Clip),
    ) {
        for index in 0..scope.len() {
            self.each_found(
                catalog,
                (scope, index),
                problems,
                |_| false,
                |found| {
                    if let Found::Clip(clip) = found {
                        each(clip);
                    }
                },
            );
        }
    }

    /// The same of the range `index` of `scope`, without what those before it cover, except that
    /// where `stands` says so `each` gets the summary of a page in place of its clips.
    pub(super) fn each_found(
        &self,
        catalog: &Catalog,
        (scope, index): (&[(CameraId, Window)], usize),
        problems: &mut Vec<Error>,
        stands: impl Fn(&Summary) -> bool,
        mut each: impl FnMut(Found<'_>),
    ) {
        let Some((camera, window)) = scope.get(index) else { return };
        let around = window.widened(catalog.uncertainty);
        // Two windows of one camera, which stand together in a scope, may both meet a clip.
        let before = scope.get(..index).unwrap_or_default().iter().rev();
        let before = before.take_while(|(other, _)| other == camera);
        let before: Vec<&Window> = before.map(|(_, other)| other).collect();
        let is_new = |possible: &Window| before.iter().all(|other| !possible.meets(other));
        let is_whole =
            |sum: &Summary| window.contains(&sum.window) && is_new(&sum.window) && stands(sum);
        let within = (camera, around);
        catalog.each_found(&self.footers, within, problems, is_whole, |found| match &found {
            Found::Page(_) => each(found),
            Found::Clip(clip) => {
                let possible = clip.possible_window();
                if possible.meets(window) && is_new(&possible) {
                    each(found);
                }
            }
        });
    }
}

fn refuse_above(budget: u64, held: u64, more: u64, whose: &str) -> Result<()> {
    // What pins nothing more is no load, also where the budget was made smaller since.
    if more == 0 || held.saturating_add(more) <= budget {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::HoldBudget,
        format!(
            "place hold: {whose} cover {held} bytes, this one {more} more, and the budget is \
             {budget}: narrow it, or release another"
        ),
    ))
}
