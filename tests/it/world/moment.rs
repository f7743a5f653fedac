//! One point of a run, to go on from in as many ways as there are.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use clipkeep::vfs::sim::SimVfs;
use clipkeep::{Clock as _, ManualClock};

use super::{Record, World, start};
use crate::plug::Plug;

/// The randomness of a disk after a fork: the same in every run.
const FORK_SEED: u64 = 77;

/// A run at one point: a disk that goes its own way, and what was promised by then.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    pub(crate) disk: SimVfs,
    record: Record,
}

impl Moment {
    pub(super) fn of(disk: &SimVfs, record: &Record) -> Self {
        let mut record = record.clone();
        record.clock = clock_like(&record.clock, record.reboots);
        Self { disk: disk.fork(FORK_SEED), record }
    }

    /// What tells apart the promises of two moments of a run.
    pub(crate) fn version(&self) -> u64 {
        self.record.promises.version
    }

    /// The machine without power, started again: `n` says how the crash goes.
    pub(crate) fn powered_off(&self, n: u64) -> Self {
        let mut after = Self::of(&self.disk, &self.record);
        after.disk = after.disk.crash_pattern(n);
        after.record.clock.reboot();
        after.record.reboots += 1;
        after
    }

    /// The process killed: what it had written, the system has.
    pub(crate) fn killed(&self) -> Self {
        Self::of(&self.disk, &self.record)
    }

    /// A world that goes on from here.
    pub(crate) fn world(self) -> World {
        let plug = Plug::new(&self.disk, u64::MAX);
        World { disk: self.disk, plug, record: Arc::new(Mutex::new(self.record)), store: None }
    }
}

/// A clock of its own that shows what `clock` does, on a machine booted as often.
fn clock_like(clock: &ManualClock, reboots: u32) -> ManualClock {
    let (wall, uptime) = (clock.wall(), clock.uptime());
    let copy = ManualClock::at(start());
    (0..reboots).for_each(|_| copy.reboot());
    copy.advance(Duration::from_micros(uptime.since_boot_us - copy.uptime().since_boot_us));
    copy.step_wall(wall);
    copy
}
