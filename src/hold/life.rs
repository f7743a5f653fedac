//! One hold and its life: active, in its grace, ended.
//!
//! Owns what a caller sees of a hold. It changes only through the set, by ledger entries.

use std::time::Duration;

use super::HoldCause;
use super::scope::normalise;
use crate::format::entry::{Entry, HoldPlaced};
use crate::types::{CameraId, CatchUp, HoldId, Timestamp, Window};

/// Where a hold is in its life. It never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HoldState {
    /// It protects until it is released or its deadline passes.
    Active,
    /// Released or lapsed; it still protects until `until`, and gives nobody access.
    Grace {
        /// When its end is written down.
        until: Timestamp,
    },
    /// It protects nothing any more.
    Ended,
}

impl HoldState {
    /// A short stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Grace { .. } => "grace",
            Self::Ended => "ended",
        }
    }
}

/// A promise not to delete what some cameras recorded during some windows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    pub(super) id: HoldId,
    pub(super) cause: HoldCause,
    pub(super) scope: Vec<(CameraId, Window)>,
    pub(super) reference: String,
    pub(super) reason: String,
    pub(super) actor: String,
    pub(super) agency: String,
    pub(super) idempotency_key: String,
    pub(super) placed_at: Timestamp,
    pub(super) position: u64,
    pub(super) deadline: Timestamp,
    /// When the end that it has now was set.
    pub(super) end_set_at: Timestamp,
    pub(super) grace: Option<Duration>,
    pub(super) renewals: u32,
    pub(super) state: HoldState,
    pub(super) released: Option<Released>,
}

/// How its protection came to an end: by somebody, or (without an actor) by its deadline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Released {
    pub(super) at: Timestamp,
    pub(super) actor: String,
    pub(super) reason: String,
}

impl Hold {
    pub(super) fn new(placed: &HoldPlaced, entry: &Entry) -> Self {
        Self {
            id: placed.hold,
            // A cause of a later version: in doubt the strictest.
            cause: HoldCause::from_code(placed.cause).unwrap_or(HoldCause::Order),
            scope: normalise(placed.scope.clone()),
            reference: placed.reference.clone(),
            reason: placed.reason.clone(),
            actor: placed.actor.clone(),
            agency: placed.agency.clone(),
            idempotency_key: placed.idempotency_key.clone(),
            placed_at: entry.at,
            position: entry.position,
            deadline: placed.deadline,
            end_set_at: entry.at,
            grace: placed.grace_us.map(Duration::from_micros),
            renewals: 0,
            state: HoldState::Active,
            released: None,
        }
    }

    /// Its permanent id.
    #[must_use]
    pub fn id(&self) -> HoldId {
        self.id
    }

    /// What it is for.
    #[must_use]
    pub fn cause(&self) -> HoldCause {
        self.cause
    }

    /// What it covers, sorted by camera and start; windows of one camera neither overlap nor touch.
    #[must_use]
    pub fn scope(&self) -> &[(CameraId, Window)] {
        &self.scope
    }

    /// The case it belongs to; may be empty.
    #[must_use]
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// Why it was placed, in words; may be empty.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Who placed it; may be empty.
    #[must_use]
    pub fn actor(&self) -> &str {
        &self.actor
    }

    /// The agency it was placed for; may be empty.
    #[must_use]
    pub fn agency(&self) -> &str {
        &self.agency
    }

    /// When it was placed, by trusted time.
    #[must_use]
    pub fn placed_at(&self) -> Timestamp {
        self.placed_at
    }

    /// When it lapses unless it is released or renewed before, by trusted time.
    #[must_use]
    pub fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// How often its deadline was moved.
    #[must_use]
    pub fn renewals(&self) -> u32 {
        self.renewals
    }

    /// Where it is in its life.
    #[must_use]
    pub fn state(&self) -> HoldState {
        self.state
    }

    /// Whether it protects its scope: active, or in its grace.
    #[must_use]
    pub fn protects(&self) -> bool {
        self.state != HoldState::Ended
    }

    /// When it was released or lapsed; `None` while it is active.
    #[must_use]
    pub fn released_at(&self) -> Option<Timestamp> {
        self.released.as_ref().map(|released| released.at)
    }

    /// Who released it, both persons of an order joined by ` + `; empty while it is active and when
    /// it lapsed.
    #[must_use]
    pub fn released_by(&self) -> &str {
        self.released.as_ref().map_or("", |released| &released.actor)
    }

    /// Why it was released: the cause, then the words of whoever released it; `lapsed` when its
    /// deadline passed; empty while it is active.
    #[must_use]
    pub fn release_reason(&self) -> &str {
        self.released.as_ref().map_or("", |released| &released.reason)
    }

    /// The ledger position of its placing: a clip whose expiry stands before it was already gone.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Leaves the active state: protects until `until`. A second release or lapse (which nobody
    /// writes) may lengthen the grace, never shorten it.
    pub(super) fn release(&mut self, until: Timestamp, released: Released) {
        self.end_set_at = released.at;
        self.state = match self.state {
            HoldState::Active => HoldState::Grace { until },
            HoldState::Grace { until: old } => HoldState::Grace { until: old.max(until) },
            HoldState::Ended => return,
        };
        if self.released.is_none() {
            self.released = Some(released);
        }
    }

    /// Trusted time jumped by a lag during which the end was set.
    pub(super) fn catch_up(&mut self, jump: CatchUp) {
        self.end_set_at = self.end_set_at.saturating_add(jump.by);
        match &mut self.state {
            HoldState::Active => self.deadline = self.deadline.saturating_add(jump.by),
            HoldState::Grace { until } => *until = until.saturating_add(jump.by),
            HoldState::Ended => {}
        }
    }
}
