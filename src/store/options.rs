//! The knobs of a store, each with its default and its cost.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::format::{SEGMENT_BYTES_MAX, SEGMENT_UNIT_BYTES};
use crate::retention::{Retention, WALL_BOUND_DEFAULT, WhenFull};
use crate::types::{Clock, Error, Result, SystemClock};
use crate::vfs::{Vfs, os::OsVfs};

use super::Store;

/// No option allows a longer clip.
pub(super) const CLIP_DURATION_LIMIT: Duration = Duration::from_hours(1);

/// When a write is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// When its bytes survive power loss. Writers that wait at the same time share one
    /// `fdatasync`.
    #[default]
    Synced,
    /// At once, from memory; the bytes are made durable within this interval, with all others that
    /// came meanwhile: above zero, at most an hour. A power cut loses at most that much. A clip's
    /// `finish` and `append` still wait until the clip is durable.
    Grouped(Duration),
    /// When its bytes are handed to the operating system; only sealing a segment and
    /// [`Store::sync`] make them durable. A crash of this process loses nothing, a power cut may
    /// lose the open segment's tail.
    Buffered,
}

/// How to open a store. Made by [`Store::options`], chained by value.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use clipkeep::{Durability, Retention, Store};
///
/// let dir = tempfile::tempdir()?;
/// let store = Store::options()
///     .retention(Retention::days(5, 10)?)
///     .quota(64 << 30)
///     .durability(Durability::Grouped(Duration::from_millis(500)))
///     .open(dir.path())?;
/// # store.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct StoreOptions {
    pub(crate) retention: Option<Retention>,
    pub(crate) quota: Option<u64>,
    pub(crate) free_space_floor: u64,
    pub(crate) when_full: WhenFull,
    pub(crate) segment_bytes: u64,
    pub(crate) segment_age: Duration,
    pub(crate) clip_duration_max: Duration,
    pub(crate) durability: Durability,
    pub(crate) hold_budget: Option<u64>,
    pub(crate) agency_hold_budget: Option<u64>,
    pub(crate) sweeper: Option<Duration>,
    pub(crate) sweep_share_percent: u8,
    pub(crate) evidence_reserve: u64,
    pub(crate) reuse_max: u64,
    pub(crate) clock_step_max: Duration,
    pub(crate) lease_segments_max: usize,
    pub(crate) read_only: bool,
    pub(crate) create: bool,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) vfs: Option<Arc<dyn Vfs>>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            retention: None,
            quota: None,
            free_space_floor: 256 << 20,
            when_full: WhenFull::default(),
            segment_bytes: 128 << 20,
            segment_age: Duration::from_hours(1),
            clip_duration_max: Duration::from_mins(10),
            durability: Durability::default(),
            hold_budget: None,
            agency_hold_budget: None,
            sweeper: None,
            sweep_share_percent: 25,
            evidence_reserve: 16 << 20,
            reuse_max: 4 << 30,
            clock_step_max: WALL_BOUND_DEFAULT,
            lease_segments_max: 64,
            read_only: false,
            create: true,
            clock: Arc::new(SystemClock),
            vfs: None,
        }
    }
}

impl StoreOptions {
    /// How long clips of cameras without a retention of their own are kept, for a store that is
    /// made by this call. Default: 5..10 days. An existing store keeps what its ledger says;
    /// [`Store::set_retention`] changes that.
    #[must_use]
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = Some(retention);
        self
    }

    /// The most bytes that the store's segments may take. Default: none, only the free-space floor
    /// counts.
    #[must_use]
    pub fn quota(mut self, bytes: u64) -> Self {
        self.quota = Some(bytes);
        self
    }

    /// Bytes of the file system that the store leaves free for everybody else. Default: 256 MiB.
    #[must_use]
    pub fn free_space_floor(mut self, bytes: u64) -> Self {
        self.free_space_floor = bytes;
        self
    }

    /// What to do when only clips younger than their `at_least` are left to make room. Default:
    /// [`WhenFull::DropOldest`].
    #[must_use]
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// The size of a segment, a multiple of 4 MiB up to 1 GiB. Default: 128 MiB. Smaller ones
    /// expire in finer steps and seal more often; each class of cameras keeps one open.
    #[must_use]
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// The age at which a segment is sealed even when it is not full, by the next sweep or the next
    /// write to it. Default: one hour. It bounds how late a clip's bytes go after its expiry; what
    /// is left of the segment stays unused.
    #[must_use]
    pub fn segment_age(mut self, age: Duration) -> Self {
        self.segment_age = age;
        self
    }

    /// The longest clip, between 1 s and 1 h. Default: 10 minutes. A recording that goes on longer
    /// continues as another clip; a finished clip that is longer is refused. Lookups look back this
    /// far.
    #[must_use]
    pub fn clip_duration_max(mut self, duration: Duration) -> Self {
        self.clip_duration_max = duration;
        self
    }

    /// When writes are acknowledged. Default: [`Durability::Synced`].
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// The most bytes that all holds together may cover. Default: no limit. Checked when a hold is
    /// placed; an old hold never gives way to a new one.
    #[must_use]
    pub fn hold_budget(mut self, bytes: u64) -> Self {
        self.hold_budget = Some(bytes);
        self
    }

    /// The most bytes that the holds of one agency may cover. Default: no limit.
    #[must_use]
    pub fn agency_hold_budget(mut self, bytes: u64) -> Self {
        self.agency_hold_budget = Some(bytes);
        self
    }

    /// Starts a thread that sweeps at this interval, and seals meanwhile what is full: where there
    /// is none, the writer that filled a segment does so before its call returns. Default: none;
    /// the owner calls [`Store::sweep`].
    #[must_use]
    pub fn sweeper(mut self, interval: Duration) -> Self {
        self.sweeper = Some(interval);
        self
    }

    /// The largest share of the stored bytes that one sweep may expire by age, in percent from 1
    /// to 100. Default: 25. At least 8 segments are always allowed. It slows down whatever makes
    /// everything due at once, so that somebody can notice.
    #[must_use]
    pub fn sweep_share(mut self, percent: u8) -> Self {
        self.sweep_share_percent = percent;
        self
    }

    /// Bytes kept allocated so that held clips can be moved when the disk is full: up to 1 GiB,
    /// rounded up to 4 MiB; 0 keeps none. Default: 16 MiB.
    #[must_use]
    pub fn evidence_reserve(mut self, bytes: u64) -> Self {
        self.evidence_reserve = bytes;
        self
    }

    /// The most bytes in files that are kept for new segments, those of dropped ones; 0 keeps none,
    /// and every dropped file is removed at once. Default: 4 GiB. In any case it is at most an
    /// eighth of the file system, and 64 files.
    ///
    /// What a sweep drops beyond that is zeroed as well, so that it takes no longer, and given back
    /// 8 MiB at a time: with pauses, by the sweeper's thread; without one, up to 64 times by each
    /// [`crate::Store::sweep`]. Until then it is room for new segments like what is kept.
    ///
    /// Such a file is zeroed without writing it, which costs a fraction of what its removal costs
    /// where the file system discards what is removed, and the next segment finds its room
    /// allocated. What was in it can be read by nobody from then on, through the store or past it;
    /// the medium itself keeps the old blocks until they are written again, as after a removal
    /// without discard. A file that a reader still has is removed as ever, and so are all where
    /// the file system zeroes no ranges.
    ///
    /// Where there is none, one file is made ahead when a segment is full, so that nobody waits for
    /// that of the next one.
    ///
    /// The price is room: to others the disk looks so much fuller. The store gives these files up
    /// before it expires anything early, before it goes under the free-space floor, and for
    /// whatever else it needs; together with the segments they stay within the quota.
    #[must_use]
    pub fn reuse_max(mut self, bytes: u64) -> Self {
        self.reuse_max = bytes;
        self
    }

    /// The longest forward step of the wall clock that is believed at once. Default: one hour.
    #[must_use]
    pub fn clock_step_max(mut self, step: Duration) -> Self {
        self.clock_step_max = step;
        self
    }

    /// How many segments readers may keep mapped at a time; further reads copy. Default: 64. A
    /// segment that is dropped while it is read keeps its room until the last reader lets it go:
    /// [`crate::Stats::ghost_bytes`] tells how much that is, and it counts against the quota. At
    /// most so many mapped segments are kept, and as many again that are read by copying: above
    /// that, reading the oldest of these is `Expired`.
    #[must_use]
    pub fn lease_segments_max(mut self, segments: usize) -> Self {
        self.lease_segments_max = segments;
        self
    }

    /// Opens for reading alone: any number of readers may, but none while a writer has the store.
    /// Nothing is written, not even what recovery would tidy up. Default: false.
    #[must_use]
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Whether to make the store when the folder has none. Default: true.
    #[must_use]
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// The clock to use. Default: [`SystemClock`].
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The file system to use instead of the real one: for the simulator.
    #[must_use]
    pub fn vfs(mut self, vfs: impl Vfs + 'static) -> Self {
        self.vfs = Some(Arc::new(vfs));
        self
    }

    /// Opens the store in folder `dir`, recovering what a crash left half done. The folder is made
    /// when there is none.
    ///
    /// # Errors
    ///
    /// `Locked` when another process has it, or this one by a store, recorder or reader that is
    /// left; `NotFound` when there is no store and [`StoreOptions::create`] is false; `Unsupported`
    /// for a store of a later version; `Corrupt` when neither slot of its `STORE` file can be read;
    /// `InvalidInput` for options out of range; `ReadOnly` when the folder cannot be written; `Io`,
    /// `Full`.
    ///
    /// A damaged segment or ledger is not an error here: [`Store::opening`] reports it.
    pub fn open(mut self, dir: impl Into<PathBuf>) -> Result<Store> {
        self.check()?;
        let vfs = self.vfs.get_or_insert_with(|| Arc::new(OsVfs::new(dir)));
        let vfs = Arc::clone(vfs);
        Store::open_with(self, vfs)
    }

    /// Refuses options that cannot work.
    fn check(&self) -> Result<()> {
        let segment_ok = self.segment_bytes >= SEGMENT_UNIT_BYTES
            && self.segment_bytes <= SEGMENT_BYTES_MAX
            && self.segment_bytes.is_multiple_of(SEGMENT_UNIT_BYTES);
        if !segment_ok {
            return Err(Error::invalid(format!(
                "segment size {}: want a multiple of 4 MiB from 4 MiB to 1 GiB",
                self.segment_bytes
            )));
        }
        let hour = Duration::from_hours(1);
        let longest = self.clip_duration_max;
        if longest < Duration::from_secs(1) || longest > CLIP_DURATION_LIMIT {
            return Err(Error::invalid("longest clip: want 1 second to 1 hour"));
        }
        if let Durability::Grouped(interval) = self.durability
            && (interval.is_zero() || interval > hour)
        {
            return Err(Error::invalid("interval of grouped commits: want above zero, to 1 hour"));
        }
        if self.segment_age.is_zero() || self.sweeper.is_some_and(|interval| interval.is_zero()) {
            return Err(Error::invalid("segment age and sweep interval must not be zero"));
        }
        if !(1..=100).contains(&self.sweep_share_percent) {
            return Err(Error::invalid("sweep share: want 1 to 100 percent"));
        }
        if self.evidence_reserve > SEGMENT_BYTES_MAX {
            return Err(Error::invalid("evidence reserve: want at most 1 GiB"));
        }
        if self.quota.is_some_and(|quota| quota < 2 * self.segment_bytes) {
            return Err(Error::invalid("quota: want at least two segments"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_interval_of_nothing_or_above_an_hour_is_refused() {
        let check = |us| {
            let durability = Durability::Grouped(Duration::from_micros(us));
            StoreOptions::default().durability(durability).check().is_ok()
        };
        let hour = 3_600_000_000;
        assert_eq!([0, 1, hour, hour + 1].map(check), [false, true, true, false]);
    }
}
