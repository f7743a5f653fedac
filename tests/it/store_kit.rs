//! A store on a simulated disk with a clock that moves when told, and clips whose bytes can be
//! searched for.
//!
//! The clips are of one day, [`at`] minute 0 to 1439; the clock starts on the next day, so that
//! every window lies in the past.

use std::time::Duration;

use clipkeep::vfs::sim::SimVfs;
use clipkeep::{
    CameraId, Clip, ClipId, ClockStatus, ErrorKind, HoldCause, HoldId, LedgerLine, ManualClock,
    NewClip, NewHold, Release, ReleaseCause, Retention, Store, StoreOptions, SweepReport,
    Timestamp, Window,
};

/// The segments of the tests: the smallest there are.
pub(crate) const SEGMENT_BYTES: u64 = 4 << 20;
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_hours(1);
pub(crate) const DAY: Duration = Duration::from_hours(24);

/// Minute `minute` of the day of the clips.
pub(crate) fn at(minute: u32) -> Timestamp {
    let day: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
    day.saturating_add(MINUTE * minute)
}

/// The window from minute `from` to minute `to`.
pub(crate) fn minutes(from: u32, to: u32) -> Window {
    Window::new(at(from), at(to)).unwrap()
}

pub(crate) fn camera(name: &str) -> CameraId {
    name.parse().unwrap()
}

/// `len` bytes in which `marker` stands every few bytes.
pub(crate) fn marked(marker: &str, len: usize) -> Vec<u8> {
    format!("<{marker}>").bytes().cycle().take(len).collect()
}

/// `len` bytes that do not repeat, from `seed`.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// A store, its disk and its clock.
#[derive(Debug)]
pub(crate) struct TestStore {
    pub(crate) disk: SimVfs,
    pub(crate) clock: ManualClock,
    pub(crate) options: StoreOptions,
    pub(crate) store: Store,
}

impl TestStore {
    /// Keeps clips 5 to 10 days.
    pub(crate) fn new() -> Self {
        Self::with(|options| options)
    }

    /// The same with some options changed.
    pub(crate) fn with(change: impl FnOnce(StoreOptions) -> StoreOptions) -> Self {
        let disk = SimVfs::new(1);
        let clock = ManualClock::at(at(1440));
        let options = Store::options()
            .segment_bytes(SEGMENT_BYTES)
            .free_space_floor(0)
            .evidence_reserve(SEGMENT_BYTES)
            .retention(Retention::days(5, 10).unwrap())
            .vfs(disk.clone())
            .clock(clock.clone());
        let options = change(options);
        let store = options.clone().open("store").unwrap();
        Self { disk, clock, options, store }
    }

    /// Closes the store and opens it again.
    pub(crate) fn reopen(self) -> Self {
        self.reopen_with(|options| options)
    }

    pub(crate) fn reopen_with(self, change: impl FnOnce(StoreOptions) -> StoreOptions) -> Self {
        let Self { disk, clock, options, store } = self;
        drop(store);
        let options = change(options);
        let store = options.clone().open("store").unwrap();
        Self { disk, clock, options, store }
    }

    /// Lets time pass, for all clocks alike.
    pub(crate) fn pass(&self, time: Duration) {
        self.clock.advance(time);
        assert_eq!(self.store.clock_status(), ClockStatus::Agrees);
    }

    /// A clip of 30 s and 20,000 bytes that began at `minute`.
    pub(crate) fn clip(&self, name: &str, minute: u32, marker: &str) -> Clip {
        self.sized_clip(name, minute, marker, 20_000)
    }

    pub(crate) fn sized_clip(&self, name: &str, minute: u32, marker: &str, len: usize) -> Clip {
        let window = Window::starting(at(minute), MINUTE / 2).unwrap();
        self.store.append(NewClip::new(&camera(name), window), marked(marker, len)).unwrap()
    }

    /// A clip in a segment of its own.
    pub(crate) fn sealed_clip(&self, name: &str, minute: u32, marker: &str) -> Clip {
        let clip = self.clip(name, minute, marker);
        self.store.seal().unwrap();
        clip
    }

    /// Whether all bytes of `clip` can be read and are those of `marker`.
    pub(crate) fn reads_as(&self, clip: &Clip, marker: &str) -> bool {
        let Ok(reader) = self.store.read(clip.id()) else { return false };
        let bytes = reader.to_vec().unwrap();
        let listed: Vec<ClipId> = self.listed(clip.camera());
        assert!(listed.contains(&clip.id()), "{} can be read but is not listed", clip.id());
        bytes == marked(marker, bytes.len())
    }

    /// The clips of a camera that can be found.
    pub(crate) fn listed(&self, camera: &CameraId) -> Vec<ClipId> {
        self.store.clips(camera, minutes(0, 2880)).unwrap().map(|clip| clip.id()).collect()
    }

    /// Asserts that `clip` is gone from every interface.
    #[track_caller]
    pub(crate) fn assert_gone(&self, clip: &Clip) {
        let id = clip.id();
        assert_eq!(kind_of(self.store.read(id)), ErrorKind::Expired);
        assert_eq!(kind_of(self.store.read_copied(id)), ErrorKind::Expired);
        assert_eq!(kind_of(self.store.clip(id)), ErrorKind::Expired);
        assert_eq!(kind_of(self.store.explain(id)), ErrorKind::Expired);
        assert!(!self.listed(clip.camera()).contains(&id));
    }

    /// The files in which `marker` can be found.
    pub(crate) fn files_with(&self, marker: &str) -> Vec<String> {
        let needle = format!("<{marker}>").into_bytes();
        let has = |path: &String| {
            let bytes = self.disk.contents(path).unwrap();
            bytes.windows(needle.len()).any(|window| window == needle)
        };
        self.disk.files().into_iter().filter(has).collect()
    }

    /// A sweep without any problem.
    pub(crate) fn sweep(&self) -> SweepReport {
        let report = self.store.sweep().unwrap();
        assert!(report.problems.is_empty(), "{:?}", report.problems);
        report
    }

    /// The `keep` hold of a camera's owner.
    pub(crate) fn keep(&self, name: &str, window: Window) -> HoldId {
        self.store.place_hold(NewHold::new([camera(name)], window).actor("owner")).unwrap().id
    }

    pub(crate) fn hold(&self, cause: HoldCause, name: &str, window: Window) -> HoldId {
        self.store.place_hold(new_hold(cause, name, window)).unwrap().id
    }

    /// Lets the owner's `keep` hold go: it has no grace.
    pub(crate) fn release_keep(&self, id: HoldId) {
        self.store.release_hold(id, &Release::new(ReleaseCause::Owner, "owner")).unwrap();
    }

    /// The ledger, from the disk.
    pub(crate) fn ledger(&self) -> Vec<LedgerLine> {
        let mut lines = Vec::new();
        self.store
            .inspect_ledger(0, &mut |line| {
                lines.push(line);
                true
            })
            .unwrap();
        lines
    }

    /// How many entries the ledger has.
    pub(crate) fn position(&self) -> usize {
        self.ledger().len()
    }

    /// The paths of the segment files.
    pub(crate) fn segment_files(&self) -> Vec<String> {
        self.disk.files().into_iter().filter(|path| path.starts_with("segments/")).collect()
    }
}

/// A hold that any cause may be placed with.
pub(crate) fn new_hold(cause: HoldCause, name: &str, window: Window) -> NewHold {
    NewHold::new([camera(name)], window)
        .cause(cause)
        .reference("case 19-4471")
        .actor("screener")
        .for_duration(DAY)
}

/// Why something was refused.
#[track_caller]
pub(crate) fn kind_of<T>(result: clipkeep::Result<T>) -> ErrorKind {
    result.err().expect("it was not refused").kind()
}
