//! The engine's own clock: monotone, and not to be moved far by the wall clock.
//!
//! Owns what is believed of the wall clock. Pure: it is told what the clocks show and answers with
//! the time to use. It never reads a clock and never goes back.
//!
//! A **line** runs from where trusted time began, by uptime alone. The wall clock is measured
//! against it:
//!
//! - At most `bound` (default 1 h) ahead: adopted at once. That is NTP, and short power cuts.
//! - Further ahead: not believed. Trusted time goes on by uptime until somebody confirms the wall
//!   clock, or until it has run evenly with the uptime for as long as it is ahead. An hour's outage
//!   is made up after an hour; after two days without power retention lags two days for two days; a
//!   wall clock that is a year wrong would have to stand unnoticed for a year. Footage is kept
//!   somewhat long rather than deleted early. Such a jump is not made here: it goes on record first
//!   ([`TrustedTime::due_catch_up`]), with the time since which stamps lag, so that what came in
//!   doubt is kept no shorter for it.
//! - Behind (a 1970 boot, a step back): ignored; trusted time goes on by uptime.
//!
//! When the wall clock has been believed, the line goes on from there. Each microsecond of uptime
//! vouches for at most one of wall time, so that whatever the wall clock does, trusted time never
//! gets further than `2 * uptime passed + bound` without a confirmation. A test holds it to that.
//!
//! What is not kept across a restart is how long the wall clock has run evenly, except since the
//! last slot: restarting makes a doubted clock wait again, which errs on the side of keeping.

use std::fmt;
use std::time::Duration;

use crate::types::{CatchUp, Timestamp, Uptime};

/// How far ahead a wall clock is believed without further evidence.
pub(crate) const WALL_BOUND_DEFAULT: Duration = Duration::from_hours(1);

/// The boot id of a system that has none.
const NO_BOOT_ID: [u8; 16] = [0; 16];

/// What the store thinks of the machine's wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClockStatus {
    /// It agrees with trusted time, within the bound.
    Agrees,
    /// It is ahead and not believed; nothing expires by it. If it is right, confirm it.
    WallAhead {
        /// How far it is ahead of trusted time.
        by: Duration,
        /// The next sweep believes it once it has run on evenly for this long.
        believed_after: Duration,
    },
    /// It is behind and ignored: trusted time never goes back.
    WallBehind {
        /// How far it is behind trusted time.
        by: Duration,
    },
}

impl fmt::Display for ClockStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agrees => f.write_str("the wall clock agrees"),
            Self::WallAhead { by, believed_after } => write!(
                f,
                "the wall clock is {} s ahead and not believed; if it is right, confirm it, or \
                 wait {} s",
                by.as_secs(),
                believed_after.as_secs()
            ),
            Self::WallBehind { by } => {
                write!(f, "the wall clock is {} s behind and ignored", by.as_secs())
            }
        }
    }
}

/// The state of trusted time. See the head of this file for the rules.
///
/// Invariants: `line <= trusted <= line + bound`, also when a behind wall clock is ignored.
#[derive(Clone, Debug)]
pub(crate) struct TrustedTime {
    bound: Duration,
    /// Where trusted time began, plus the uptime since.
    line: Timestamp,
    trusted: Timestamp,
    /// The clocks at the last observation.
    uptime: Uptime,
    wall: Timestamp,
    /// How far the wall clock was from the line, in microseconds, when its even run began.
    steady_from_us: i64,
    /// For how long it has stayed within the bound of that.
    steady_for: Duration,
    status: ClockStatus,
    /// Trusted time when the wall clock last agreed.
    in_step: Timestamp,
}

impl TrustedTime {
    /// The trusted time of a new store: there is nothing to doubt the wall clock by.
    pub(crate) fn fresh(wall: Timestamp, uptime: Uptime, bound: Duration) -> Self {
        Self {
            bound,
            line: wall,
            trusted: wall,
            uptime,
            wall,
            steady_from_us: 0,
            steady_for: Duration::ZERO,
            status: ClockStatus::Agrees,
            in_step: wall,
        }
    }

    /// Trusted time of an existing store: it stood at `high_water` when the clocks showed
    /// `boot_id`, `since_boot_us` and `wall_then`, and agreed with the wall clock last at
    /// `in_step`; now they show `wall` and `uptime`.
    pub(crate) fn resume(
        (high_water, in_step): (Timestamp, Timestamp),
        boot_id: [u8; 16],
        since_boot_us: u64,
        wall_then: Timestamp,
        bound: Duration,
        wall: Timestamp,
        uptime: Uptime,
    ) -> Self {
        let mut then = Uptime { boot_id, since_boot_us };
        if boot_id == NO_BOOT_ID && uptime.since_boot_us < since_boot_us {
            // Only a reboot sets the uptime back.
            then.since_boot_us = 0;
        }
        let mut time = Self::fresh(high_water, then, bound);
        (time.wall, time.in_step) = (wall_then, in_step);
        time.steady_from_us = offset_us(wall_then, high_water);
        time.observe(wall, uptime);
        time
    }

    /// Takes in what the clocks show and answers with trusted time, never less than before.
    ///
    /// May be told the clocks of several threads out of order: an older uptime moves nothing.
    pub(crate) fn observe(&mut self, wall: Timestamp, uptime: Uptime) -> Timestamp {
        let rebooted = uptime.boot_id != self.uptime.boot_id;
        if !rebooted && uptime.since_boot_us < self.uptime.since_boot_us {
            return self.trusted;
        }
        let elapsed = self.advance(uptime);
        let offset = offset_us(wall, self.line);
        if rebooted {
            self.credit_outage(wall, elapsed);
        }
        let drift = offset.saturating_sub(self.steady_from_us).unsigned_abs();
        if rebooted || Duration::from_micros(drift) > self.bound {
            (self.steady_from_us, self.steady_for) = (offset, Duration::ZERO);
        } else {
            self.steady_for = self.steady_for.saturating_add(elapsed);
        }
        let ahead = wall.since(self.line);
        if ahead <= self.steady_for {
            // Behind, or ahead for so long that it is believed. What vouched for it is used up. A
            // jump that is far goes on record first.
            if !ahead.is_zero() && wall.since(self.trusted) <= self.bound {
                self.believe(wall);
            }
        } else if ahead <= self.bound {
            self.trusted = self.trusted.max(wall);
        }
        self.wall = wall;
        self.note_status();
        self.trusted
    }

    /// The jump that is due because the wall clock has run evenly for as long as it was ahead at
    /// the last observation. It is made by [`TrustedTime::catch_up`], once it is on record.
    pub(crate) fn due_catch_up(&self) -> Option<CatchUp> {
        let due = self.wall.since(self.line) <= self.steady_for;
        let by = self.wall.since(self.trusted);
        (due && by > self.bound).then(|| CatchUp::new(self.in_step, self.wall, by))
    }

    /// Makes a jump that is on record.
    pub(crate) fn catch_up(&mut self, jump: CatchUp) {
        self.believe(jump.trusted.max(self.line));
        self.note_status();
    }

    /// Somebody vouches for the wall clock: trusted time goes on from it, or stays where it is if
    /// the wall clock is behind. Answers with trusted time and with the jump, if it is far; both
    /// for the ledger.
    pub(crate) fn confirm(
        &mut self,
        wall: Timestamp,
        uptime: Uptime,
    ) -> (Timestamp, Option<CatchUp>) {
        let (before, in_step) = (self.observe(wall, uptime), self.in_step);
        if wall > self.line {
            self.believe(wall);
        }
        self.note_status();
        let by = self.trusted.since(before);
        (self.trusted, (by > self.bound).then(|| CatchUp::new(in_step, self.trusted, by)))
    }

    /// Trusted time when the wall clock last agreed, if it does not now: what was stamped later
    /// lags.
    pub(crate) fn lag_since(&self) -> Option<Timestamp> {
        (self.status != ClockStatus::Agrees).then_some(self.in_step)
    }

    /// Trusted time when the wall clock last agreed.
    pub(crate) fn in_step(&self) -> Timestamp {
        self.in_step
    }

    /// What the last observation said of the wall clock.
    pub(crate) fn status(&self) -> ClockStatus {
        self.status
    }

    /// Lets the uptime since the last observation pass. After a reboot that is at least the time
    /// since the boot.
    fn advance(&mut self, uptime: Uptime) -> Duration {
        let before =
            if uptime.boot_id == self.uptime.boot_id { self.uptime.since_boot_us } else { 0 };
        let elapsed = Duration::from_micros(uptime.since_boot_us.saturating_sub(before));
        self.uptime = uptime;
        self.line = self.line.saturating_add(elapsed);
        self.trusted = self.trusted.saturating_add(elapsed);
        elapsed
    }

    /// After a reboot: the wall clock may say how long the machine was off, even if it is behind
    /// trusted time, as long as that is within the bound.
    fn credit_outage(&mut self, wall: Timestamp, elapsed: Duration) {
        let off = wall.since(self.wall).saturating_sub(elapsed);
        if off <= self.bound {
            let latest = self.line.saturating_add(self.bound);
            self.trusted = self.trusted.max(self.trusted.saturating_add(off).min(latest));
        }
    }

    fn believe(&mut self, wall: Timestamp) {
        // The line never overtakes the trusted time that it explains.
        self.line = wall;
        self.trusted = self.trusted.max(wall);
        (self.steady_from_us, self.steady_for) = (0, Duration::ZERO);
    }

    fn note_status(&mut self) {
        self.status = self.judge(self.wall);
        if self.status == ClockStatus::Agrees {
            self.in_step = self.trusted;
        }
    }

    fn judge(&self, wall: Timestamp) -> ClockStatus {
        let (ahead, behind) = (wall.since(self.trusted), self.trusted.since(wall));
        if !ahead.is_zero() && wall.since(self.line) > self.bound {
            let believed_after = wall.since(self.line).saturating_sub(self.steady_for);
            ClockStatus::WallAhead { by: ahead, believed_after }
        } else if behind > self.bound {
            ClockStatus::WallBehind { by: behind }
        } else {
            ClockStatus::Agrees
        }
    }
}

/// How far `wall` is ahead of `line`; negative where it is behind.
fn offset_us(wall: Timestamp, line: Timestamp) -> i64 {
    wall.as_micros().saturating_sub(line.as_micros())
}

#[cfg(test)]
#[path = "trusted_time_tests.rs"]
mod tests;
