//! Trusted time of a store, and the STORE file that carries it over a restart.

use std::sync::Arc;
use std::time::Duration;

use crate::barrier::Barrier;
use crate::format::name;
use crate::format::slot::StoreSlot;
use crate::retention::{ClockStatus, TrustedTime};
use crate::types::{CatchUp, Clip, Clock, Error, Result, Timestamp, Uptime};
use crate::vfs::VfsFile;

use super::{Inner, Store, policy};
use crate::format::entry::Decision;

/// A slot that is no older need not be written again: a running store sweeps, and so writes it,
/// about as often.
const SAVED_LATELY: Duration = Duration::from_mins(1);

/// The clock, what is believed of it, and where that is kept.
#[derive(Debug)]
pub(super) struct TimeKeeper {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) trusted: TrustedTime,
    /// The slot written last, and its file; `None` in a read-only store.
    pub(super) slot: StoreSlot,
    pub(super) file: Option<Arc<dyn VfsFile>>,
}

impl TimeKeeper {
    fn now(&mut self) -> Timestamp {
        self.trusted.observe(self.clock.wall(), self.clock.uptime())
    }
}

impl Store {
    /// Trusted time: the engine's own clock, by which everything expires. It never goes back, and
    /// the wall clock alone cannot move it far.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.inner.now()
    }

    /// How the machine's wall clock compares with trusted time.
    #[must_use]
    pub fn clock_status(&self) -> ClockStatus {
        let mut time = self.inner.time.lock();
        time.now();
        time.trusted.status()
    }

    /// The jumps of trusted time to a wall clock that had been doubted, in their order, without the
    /// first `known` ones. What was stamped while it lagged counts as younger by the jump; so do
    /// retention and the ends of holds.
    #[must_use]
    pub fn catch_ups(&self, known: usize) -> Vec<CatchUp> {
        self.inner.history.read().catch_ups.beyond(known).to_vec()
    }

    /// When `clip` is expired if nothing holds it: its retention from when its last bytes came.
    #[must_use]
    pub fn own_expiry(&self, clip: &Clip) -> Timestamp {
        self.inner.history.read().due(clip.class(), clip.received())
    }

    /// Vouches for the wall clock: trusted time follows it at once, however far ahead it is. What
    /// is due by then expires with the next sweeps. Answers the new trusted time.
    ///
    /// # Errors
    ///
    /// Why it could not be put on record; trusted time is then what it was.
    pub fn confirm_clock(&self, actor: &str) -> Result<Timestamp> {
        let (confirmed, (trusted, jump)) = {
            let time = self.inner.time.lock();
            let mut confirmed = time.trusted.clone();
            let trusted = confirmed.confirm(time.clock.wall(), time.clock.uptime());
            (confirmed, trusted)
        };
        let actor = policy::checked_text("actor", actor)?;
        let jump = jump.map(Decision::ClockCaughtUp);
        let confirmation = Decision::ClockConfirmed { trusted, actor };
        self.inner.decide(jump.into_iter().chain([confirmation]).collect())?;
        self.inner.time.lock().trusted = confirmed;
        self.inner.save_time()?;
        Ok(trusted)
    }
}

impl Inner {
    /// How long ago `earlier` was, by uptime.
    pub(super) fn since(&self, earlier: Uptime) -> Duration {
        let now = self.time.lock().clock.uptime();
        Duration::from_micros(now.since_boot_us.saturating_sub(earlier.since_boot_us))
    }

    /// Trusted time.
    pub(super) fn now(&self) -> Timestamp {
        self.time.lock().now()
    }

    /// Lets trusted time jump to a wall clock that has run evenly for as long as it was ahead. The
    /// jump is on record first: what was stamped meanwhile is younger by it than it looks.
    pub(super) fn catch_up(&self) -> Result<()> {
        let mut ledger = self.ledger.lock();
        let due = {
            let mut time = self.time.lock();
            time.now();
            time.trusted.due_catch_up()
        };
        if let Some(jump) = due {
            self.decide_locked(&mut ledger, vec![Decision::ClockCaughtUp(jump)])?;
            self.time.lock().trusted.catch_up(jump);
        }
        Ok(())
    }

    /// Saves trusted time at opening, unless the newest slot is of this boot, of the last minute,
    /// and says all that opening found: the next opening then comes to the same time by it, and to
    /// one that is at most that minute older after a power cut.
    pub(super) fn save_time_at_opening(&self) -> Result<()> {
        let ledger_position = self.ledger.lock().durable_position();
        let is_saved = {
            let mut time = self.time.lock();
            time.now();
            let (uptime, slot) = (time.clock.uptime(), &time.slot);
            let since_saved = uptime.since_boot_us.checked_sub(slot.since_boot_us);
            uptime.boot_id == slot.boot_id
                && since_saved.is_some_and(|us| Duration::from_micros(us) <= SAVED_LATELY)
                && slot.ledger_position == ledger_position
                && slot.lag_since == time.trusted.lag_since()
        };
        if is_saved { Ok(()) } else { self.save_time() }
    }

    /// Writes trusted time into the older slot of the STORE file, in place: needs no new space, and
    /// a torn write leaves the other slot.
    pub(super) fn save_time(&self) -> Result<()> {
        let ledger_position = self.ledger.lock().durable_position();
        self.write_slot(|slot| {
            // A damaged ledger may end earlier than it once did; that is not to be forgotten.
            slot.ledger_position = ledger_position.max(slot.ledger_position);
        })
    }

    /// Writes the older slot of the STORE file, with trusted time and what `change` makes of the
    /// rest, in place. Durable when it returns.
    pub(super) fn write_slot(&self, change: impl FnOnce(&mut StoreSlot)) -> Result<()> {
        let mut time = self.time.lock();
        let now = time.now();
        let uptime = time.clock.uptime();
        let Some(file) = time.file.clone() else { return Ok(()) };
        let mut slot = StoreSlot {
            generation: time.slot.generation + 1,
            high_water: now,
            boot_id: uptime.boot_id,
            since_boot_us: uptime.since_boot_us,
            wall: time.clock.wall(),
            lag_since: time.trusted.lag_since(),
            ..time.slot.clone()
        };
        change(&mut slot);
        let fail = |error| Error::io("write STORE", &self.vfs.display_path(name::STORE), error);
        file.write_at(StoreSlot::offset(slot.generation), &[&slot.encode()]).map_err(fail)?;
        if let Err(error) = Barrier::StoreSlotSync.sync(|| file.sync()) {
            // The file is not written again: the slot on disk is older, which keeps clips longer.
            time.file = None;
            return Err(fail(error));
        }
        time.slot = slot;
        Ok(())
    }
}
