//! Several decisions that count together or not at all, and the notes of a layer above.
//!
//! A layer that keeps its own state over holds (requests, for one) must never have a state without
//! its hold, nor a hold without its state, whenever the power goes. So it decides inside
//! [`Store::transact`]: nobody else decides meanwhile, and everything becomes one batch of the
//! ledger, with one sync.

use std::fmt;
use std::sync::Arc;

use crate::format::entry::{Decision, HoldPlaced};
use crate::hold::{Hold, HoldSet, HoldState, NewHold, Release, ReleaseOutcome};
use crate::types::{CameraId, Error, ErrorKind, HoldId, Result, Timestamp, Window};

use super::{Inner, Store};

/// What a layer above wrote into the ledger: see [`Transaction::note`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note {
    /// Its position in the ledger, counted over all entries.
    pub position: u64,
    /// Trusted time when it was written.
    pub at: Timestamp,
    /// Which layer it is of.
    pub kind: u16,
    /// What that layer wrote.
    pub bytes: Vec<u8>,
}

/// Decisions that are being made: see [`Store::transact`].
pub struct Transaction<'a> {
    inner: &'a Inner,
    now: Timestamp,
    /// The holds as they were before it.
    holds: Arc<HoldSet>,
    next_hold: HoldId,
    /// Where the first of its decisions will stand in the ledger.
    position: u64,
    decisions: Vec<Decision>,
}

impl Store {
    /// Runs `decide`, and makes what it decided durable as one: after a crash either all of it
    /// counts or nothing. While it runs nobody else decides anything, so what it reads of holds
    /// stays true; recording and reading go on. It must not call a method of the store that
    /// decides something itself: that would wait for this one for ever.
    ///
    /// # Errors
    ///
    /// What `decide` says, with nothing changed; `ReadOnly`; `Corrupt` when the ledger is
    /// unreadable; `Io` and `Full` when it cannot be written, and `Poisoned` from the former on,
    /// without asking `decide`.
    ///
    /// # Durability
    ///
    /// One batch of ledger entries, on disk when this returns. Works on a full disk.
    pub fn transact<T, E: From<Error>>(
        &self,
        decide: impl FnOnce(&mut Transaction<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let inner = &*self.inner;
        inner.check_writable()?;
        let mut ledger = inner.ledger.lock();
        // What failed before may be on record all the same: the next opening tells. Until then
        // nothing is decided anew, lest a layer above writes over what that decision names.
        ledger.check_writable()?;
        let holds = Arc::clone(&inner.history.read().holds);
        let next_hold = holds.next_id();
        let (now, position, decisions) = (inner.now(), ledger.position(), Vec::new());
        let mut transaction = Transaction { inner, now, holds, next_hold, position, decisions };
        let answer = decide(&mut transaction)?;
        let decisions = std::mem::take(&mut transaction.decisions);
        // Otherwise all holds that there ever were would be copied to change one.
        drop(transaction);
        inner.decide_locked(&mut ledger, decisions)?;
        Ok(answer)
    }

    /// Shows the notes in the ledger from `position` on, oldest first.
    ///
    /// # Errors
    ///
    /// `Corrupt` when the ledger cannot be read to its end; `Io`.
    pub fn notes(&self, position: u64, mut each: impl FnMut(Note)) -> Result<()> {
        let ledger = self.inner.ledger.lock();
        ledger.read(position, &mut |entry, _| {
            if let Decision::Application { kind, bytes } = &entry.decision {
                let (position, at) = (entry.position, entry.at);
                each(Note { position, at, kind: *kind, bytes: bytes.clone() });
            }
            true
        })
    }

    /// The file system that it is on: for layers above that keep records of their own beside it.
    #[cfg(feature = "requests")]
    pub(crate) fn vfs(&self) -> &dyn crate::vfs::Vfs {
        &*self.inner.vfs
    }

    /// Trusted time now: the one that deadlines run on.
    #[must_use]
    pub fn trusted_now(&self) -> Timestamp {
        self.inner.now()
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Transaction");
        shown.field("now", &self.now).field("decisions", &self.decisions).finish_non_exhaustive()
    }
}

impl Transaction<'_> {
    /// Trusted time of everything that is decided in it.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The hold `id` as it was before the transaction.
    #[must_use]
    pub fn hold(&self, id: HoldId) -> Option<&Hold> {
        self.holds.get(id)
    }

    /// Places a hold. Its idempotency key is not looked at, and its cameras need not be known to
    /// the store yet, whose clips may come later: both are for the layer above to judge.
    ///
    /// # Errors
    ///
    /// As [`Store::place_hold`]; nothing is placed then, and the transaction may go on.
    pub fn place_hold(&mut self, hold: NewHold) -> Result<HoldId> {
        let id = self.next_hold;
        let placed: HoldPlaced = hold.into_placed(id, self.now)?;
        self.inner.check_budget(&placed)?;
        self.next_hold = HoldId(id.0.saturating_add(1));
        self.decisions.push(Decision::HoldPlaced(Box::new(placed)));
        Ok(id)
    }

    /// Whether there is room in the budgets for a hold, which is not placed. Several that are
    /// placed in one transaction are each measured against the holds before it: whoever places
    /// them asks first about one that covers them all.
    ///
    /// # Errors
    ///
    /// As [`Store::place_hold`].
    pub fn check_hold(&self, hold: NewHold) -> Result<()> {
        let placed: HoldPlaced = hold.into_placed(self.next_hold, self.now)?;
        self.inner.check_budget(&placed).map(drop)
    }

    /// Releases a hold that was placed before the transaction.
    ///
    /// # Errors
    ///
    /// As [`Store::release_hold`].
    pub fn release_hold(&mut self, id: HoldId, release: &Release) -> Result<()> {
        match self.holds.release(id, release, self.now)? {
            ReleaseOutcome::Append(decisions) => self.decisions.extend(decisions),
            ReleaseOutcome::AlreadyReleased => {}
        }
        Ok(())
    }

    /// Narrows a hold that was placed before the transaction.
    ///
    /// # Errors
    ///
    /// As [`Store::narrow_hold`].
    pub fn narrow_hold(
        &mut self,
        id: HoldId,
        scope: Vec<(CameraId, Window)>,
        release: &Release,
    ) -> Result<()> {
        self.decisions.push(self.holds.narrow(id, scope, release)?);
        Ok(())
    }

    /// Moves the deadline of a hold that was placed before the transaction.
    ///
    /// # Errors
    ///
    /// As [`Store::renew_hold`].
    pub fn renew_hold(
        &mut self,
        id: HoldId,
        deadline: Timestamp,
        actor: &str,
        reason: &str,
    ) -> Result<()> {
        self.decisions.push(self.holds.renew(id, deadline, self.now, actor, reason)?);
        Ok(())
    }

    /// Puts on record that the deadline of a hold has passed, as the next sweep would. A hold that
    /// is not active any more, or not yet due, stays as it is.
    pub fn lapse_hold(&mut self, id: HoldId) {
        let due = self
            .holds
            .get(id)
            .filter(|hold| hold.state() == HoldState::Active && hold.deadline() <= self.now);
        if let Some(hold) = due {
            let grace_until = self.now.saturating_add(hold.cause().lapse_grace());
            self.decisions.push(Decision::HoldLapsed { hold: id, grace_until });
            if grace_until <= self.now {
                self.decisions.push(Decision::HoldEnded { hold: id });
            }
        }
    }

    /// Writes a note of a layer above, `kind` saying of which. Answers where it will stand in the
    /// ledger.
    ///
    /// # Errors
    ///
    /// `InvalidInput` above 200 KiB.
    pub fn note(&mut self, kind: u16, bytes: Vec<u8>) -> Result<u64> {
        const NOTE_BYTES_MAX: usize = 200 << 10;
        if bytes.len() > NOTE_BYTES_MAX {
            let message =
                format!("write note: {} bytes, want at most {NOTE_BYTES_MAX}", bytes.len());
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let before = u64::try_from(self.decisions.len()).unwrap_or(u64::MAX);
        self.decisions.push(Decision::Application { kind, bytes });
        Ok(self.position.saturating_add(before))
    }
}
