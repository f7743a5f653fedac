//! The world of the demo: four cameras, a clock turned by hand, and a store.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::marks;
use crate::types::{Error, Result};
use crate::{
    CameraId, ClipId, Durability, ManualClock, Media, NewClip, Retention, Store, Timestamp, Window,
};

/// The cameras and what they see: real H.264, ten seconds each.
pub(super) const CAMERAS: [(&str, &[u8]); 4] = [
    ("front-door", include_bytes!("front-door.mp4")),
    ("garden", include_bytes!("garden.mp4")),
    ("garage", include_bytes!("garage.mp4")),
    ("street", include_bytes!("street.mp4")),
];
/// The camera that the police ask for.
pub(super) const HELD_CAMERA: &str = "front-door";
/// How many days there are.
pub(super) const DAYS: u32 = 12;
/// How long each clip is.
const CLIP: Duration = Duration::from_secs(10);
const MINUTE: Duration = Duration::from_mins(1);
/// Between two looks at whether anything is to be done.
const TICK: Duration = Duration::from_mins(15);
/// From sweep to sweep, so that a segment has what came between two of them: a segment's clips
/// expire together, and half a day is how late the first of them may go.
const SEGMENT_AGE: Duration = Duration::from_hours(12);
const SEGMENT_BYTES: u64 = 4 << 20;
/// Enough for the evening, and not more: a demo should not fill a small disk.
const EVIDENCE_RESERVE: u64 = 4 << 20;

/// A clip that came in.
#[derive(Clone, Debug)]
pub(super) struct Arrived {
    pub(super) id: ClipId,
    pub(super) camera: &'static str,
    pub(super) start: Timestamp,
    pub(super) digest: [u8; 32],
    /// What its bytes can be found by.
    pub(super) mark: String,
}

/// The store and everything around it.
#[derive(Debug)]
pub(super) struct Scenario {
    dir: PathBuf,
    clock: ManualClock,
    now: Timestamp,
    /// Ticks between two clips of a camera.
    every: u64,
    ticks: u64,
    store: Store,
    arrived: Vec<Arrived>,
}

impl Scenario {
    /// Day 1, midnight, an empty store.
    pub(super) fn open(dir: &Path, fast: bool) -> Result<Self> {
        let now = day_start(1);
        let clock = ManualClock::at(now);
        let store = options(&clock, Durability::Buffered).open(dir)?;
        let every = if fast { 8 } else { 2 };
        let dir = dir.to_owned();
        Ok(Self { dir, clock, now, every, ticks: 0, store, arrived: Vec::new() })
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    pub(super) fn arrived(&self) -> &[Arrived] {
        &self.arrived
    }

    /// How many clips have come in.
    pub(super) fn clips(&self) -> u64 {
        u64::try_from(self.arrived.len()).unwrap_or(u64::MAX)
    }

    /// Lets time pass until `clock` of day `day`: clips come in, and at a quarter to noon and to
    /// midnight the store is swept.
    pub(super) fn run_to(&mut self, day: u32, clock: &str) -> Result<()> {
        let end = at(day, clock)?;
        while self.now < end {
            let tick = day_start(1).saturating_add(TICK * u32::try_from(self.ticks).unwrap_or(0));
            if tick > end {
                self.advance_to(end);
                break;
            }
            self.advance_to(tick);
            if self.ticks.is_multiple_of(self.every) {
                self.record(tick)?;
            }
            if self.ticks % 48 == 47 {
                self.sweep()?;
            }
            self.ticks += 1;
        }
        Ok(())
    }

    /// One pass over what is due.
    pub(super) fn sweep(&self) -> Result<()> {
        let report = self.store.sweep()?;
        match report.problems.into_iter().next() {
            Some(problem) => Err(problem),
            None => Ok(()),
        }
    }

    /// Closes the store and opens it again, as for the days in between.
    pub(super) fn restart(self) -> Result<Self> {
        self.reopen(Durability::Buffered)
    }

    /// Closes the store and opens it again; from here on every write waits for the disk.
    pub(super) fn restart_synced(self) -> Result<Self> {
        self.reopen(Durability::Synced)
    }

    /// Closes the store and says whether that went well.
    pub(super) fn close(self) -> Result<()> {
        self.store.close()
    }

    /// The clips of `camera` in that evening.
    pub(super) fn in_evening(&self, camera: &str) -> impl Iterator<Item = &Arrived> {
        let evening = evening().ok();
        self.arrived.iter().filter(move |clip| {
            clip.camera == camera && evening.is_some_and(|evening| is_in(&evening, clip.start))
        })
    }

    /// All other clips of day 1: the same camera before and after, and the other cameras.
    pub(super) fn neighbours(&self) -> impl Iterator<Item = &Arrived> {
        let evening = evening().ok();
        self.arrived.iter().filter(move |clip| {
            let held = clip.camera == HELD_CAMERA
                && evening.is_some_and(|evening| is_in(&evening, clip.start));
            clip.start < day_start(2) && !held
        })
    }

    fn reopen(self, durability: Durability) -> Result<Self> {
        // The lock goes with the last handle, so the old one must be gone before.
        self.store.close()?;
        let store = options(&self.clock, durability).open(&self.dir)?;
        Ok(Self { store, ..self })
    }

    fn advance_to(&mut self, to: Timestamp) {
        self.clock.advance(to.since(self.now));
        self.now = self.now.max(to);
    }

    /// One clip of each camera, which began at `start` and comes in when it is over.
    fn record(&mut self, start: Timestamp) -> Result<()> {
        let window = Window::starting(start, CLIP)?;
        self.advance_to(window.end());
        for (name, media) in CAMERAS {
            let mark = marks::mark(name, start);
            let bytes = marks::stamp(media, &mark);
            let digest = *blake3::hash(&bytes).as_bytes();
            let new = NewClip::new(&camera(name)?, window).media(Media::FragmentedMp4);
            let id = self.store.append(new, bytes)?.id();
            self.arrived.push(Arrived { id, camera: name, start, digest, mark });
        }
        Ok(())
    }
}

/// The evening that the police ask for: day 1, 18:00 to 22:00.
pub(super) fn evening() -> Result<Window> {
    Window::new(at(1, "18:00")?, at(1, "22:00")?)
}

/// How the demo's store is opened.
fn options(clock: &ManualClock, durability: Durability) -> crate::StoreOptions {
    Store::options()
        .retention(Retention::default())
        .segment_bytes(SEGMENT_BYTES)
        .segment_age(SEGMENT_AGE)
        .evidence_reserve(EVIDENCE_RESERVE)
        .free_space_floor(SEGMENT_BYTES)
        .durability(durability)
        .clock(clock.clone())
}

/// The id of the camera called `name`.
pub(super) fn camera(name: &str) -> Result<CameraId> {
    CameraId::new(name)
}

/// Midnight at the beginning of day `day`, of 1 to 12.
pub(super) fn day_start(day: u32) -> Timestamp {
    // 2026-11-01T00:00:00Z.
    let first = Timestamp::from_micros(1_793_491_200_000_000);
    first.saturating_add(MINUTE * (24 * 60) * day.saturating_sub(1))
}

/// `clock` (`HH:MM`) of day `day`.
fn at(day: u32, clock: &str) -> Result<Timestamp> {
    let parsed = clock.split_once(':').and_then(|(hours, minutes)| {
        Some(hours.parse::<u32>().ok()? * 60 + minutes.parse::<u32>().ok()?)
    });
    let minutes = parsed.ok_or_else(|| Error::invalid(format!("time of day {clock:?}")))?;
    Ok(day_start(day).saturating_add(MINUTE * minutes))
}

fn is_in(window: &Window, at: Timestamp) -> bool {
    window.start() <= at && at < window.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_begin_at_midnight() {
        assert_eq!(day_start(1).to_string(), "2026-11-01T00:00:00Z");
        assert_eq!(at(6, "09:30").unwrap().to_string(), "2026-11-06T09:30:00Z");
        assert!(at(6, "nine").is_err());
    }
}
