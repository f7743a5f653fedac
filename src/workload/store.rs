//! The store as a keeper of clips, on a clock that the street's calendar turns.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::vfs::Vfs as _;
use crate::vfs::os::OsVfs;
use crate::vfs::sim::SimVfs;
use crate::{
    CameraId, Durability, HoldReceipt, ManualClock, Media, NewClip, NewHold, Result, Retention,
    Store, StoreOptions, SweepReport, Timestamp, Window,
};

use super::writers::Writers;
use super::{Counting, Counts, Keeper, Lap, Outcome, Stopwatch, Street, Sweeping, Take};

/// How the store is told that clips must be durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// Each `append` waits for its own sync, or shares that of others who wait at the time.
    Each,
    /// Each clip of a group is appended by a thread of its own, as by its camera, and waits until
    /// it is durable: those that come meanwhile share the next sync.
    Together,
    /// The group is written first and then synced at once.
    Grouped,
}

/// The store, with its default options but for the retention, which is as long as all that is
/// recorded unless it is told otherwise.
#[derive(Debug)]
pub struct StoreKeeper {
    /// `None` only while it is opened again.
    store: Option<Store>,
    clock: ManualClock,
    vfs: Counting,
    disk: Disk,
    commit: Commit,
    retention: Duration,
    segment_bytes: u64,
    /// Whether files of dropped segments are kept.
    reuses: bool,
    /// Whether it writes through the page cache, as where there are no direct writes.
    is_buffered: bool,
    /// Those who append all of a group at once.
    writers: Writers,
}

/// What is below the store.
#[derive(Clone, Debug)]
enum Disk {
    /// A folder of this machine.
    Folder(PathBuf),
    /// The simulated disk of the tests: the same scenarios, without a disk's time.
    Simulated(SimVfs),
}

impl Disk {
    /// A way to it that nobody has cut.
    fn vfs(&self) -> Counting {
        match self {
            Self::Folder(dir) => Counting::over(OsVfs::new(dir)),
            Self::Simulated(disk) => Counting::over(disk.clone()),
        }
    }

    /// The name under which a store on it is opened.
    fn path(&self) -> &Path {
        match self {
            Self::Folder(dir) => dir,
            Self::Simulated(_) => Path::new("sim"),
        }
    }
}

/// The folder of the store in which it keeps its index.
const INDEX: &str = "index";
/// Unless a scenario wants other ones: the default of the store.
const SEGMENT_BYTES: u64 = 128 << 20;

/// No scenario takes as long.
const NO_SWEEP: Duration = Duration::from_hours(24 * 365);

impl StoreKeeper {
    /// A store in the new folder `dir` that keeps everything.
    ///
    /// # Errors
    ///
    /// Why it could not be made.
    pub fn open(dir: &Path, street: &Street, commit: Commit) -> Outcome<Self> {
        Self::keeping(dir, street, commit, Duration::from_hours(24 * 365))
    }

    /// A store in the new folder `dir` that keeps clips for `retention`.
    ///
    /// # Errors
    ///
    /// Why it could not be made.
    pub fn keeping(
        dir: &Path,
        street: &Street,
        commit: Commit,
        retention: Duration,
    ) -> Outcome<Self> {
        Self::with(Disk::Folder(dir.to_owned()), street, commit, retention, SEGMENT_BYTES)
    }

    /// A store on the simulated disk `disk`, in segments of `segment_bytes`.
    ///
    /// # Errors
    ///
    /// Why it could not be made.
    pub fn simulated(
        disk: &SimVfs,
        street: &Street,
        commit: Commit,
        retention: Duration,
        segment_bytes: u64,
    ) -> Outcome<Self> {
        Self::with(Disk::Simulated(disk.clone()), street, commit, retention, segment_bytes)
    }

    /// A store in the new folder `dir` for clips that are small, in segments that are, too: as many
    /// clips are in a segment as of real ones in a segment of the usual size.
    ///
    /// # Errors
    ///
    /// Why it could not be made.
    pub fn tiny(dir: &Path, street: &Street) -> Outcome<Self> {
        const TINY_SEGMENT_BYTES: u64 = 4 << 20;
        // Ten million clips of a minute, of 16 cameras, are more than a year of each.
        const TINY_RETENTION: Duration = Duration::from_hours(24 * 365 * 20);
        let disk = Disk::Folder(dir.to_owned());
        Self::with(disk, street, Commit::Grouped, TINY_RETENTION, TINY_SEGMENT_BYTES)
    }

    /// Removes the files of what expired from now on, and keeps none for new segments.
    ///
    /// # Errors
    ///
    /// Why it could not be opened again.
    pub fn removing(mut self) -> Outcome<Self> {
        self.reuses = false;
        self.reopen(false)?;
        Ok(self)
    }

    /// Writes through the page cache from now on, as on a file system that knows no direct writes.
    ///
    /// # Errors
    ///
    /// Why it could not be opened again.
    pub fn buffered(mut self) -> Outcome<Self> {
        self.is_buffered = true;
        self.reopen(false)?;
        Ok(self)
    }

    fn with(
        disk: Disk,
        street: &Street,
        commit: Commit,
        retention: Duration,
        segment_bytes: u64,
    ) -> Outcome<Self> {
        let mut keeper = Self {
            store: None,
            clock: ManualClock::at(street.begin()),
            vfs: disk.vfs(),
            disk,
            commit,
            retention,
            segment_bytes,
            reuses: true,
            is_buffered: false,
            writers: Writers::default(),
        };
        keeper.store = Some(keeper.options()?.open(keeper.disk.path())?);
        Ok(keeper)
    }

    fn options(&self) -> Result<StoreOptions> {
        let durability = match self.commit {
            Commit::Each | Commit::Together => Durability::Synced,
            Commit::Grouped => Durability::Buffered,
        };
        let options = Store::options();
        let options = if self.reuses { options } else { options.reuse_max(0) };
        // Its thread seals what is full; sweeps are the scenarios' own.
        let options = match &self.disk {
            Disk::Folder(_) => options.sweeper(NO_SWEEP),
            Disk::Simulated(_) => options,
        };
        Ok(options
            .retention(Retention::new(self.retention, self.retention)?)
            .durability(durability)
            .segment_bytes(self.segment_bytes)
            .sweep_share(100)
            .clock(self.clock.clone())
            .vfs(self.vfs.clone()))
    }

    /// The store.
    ///
    /// # Errors
    ///
    /// When a reopening has failed before.
    pub fn store(&self) -> Outcome<&Store> {
        self.store.as_ref().ok_or_else(|| "the store could not be opened again".into())
    }

    /// What was asked of the file system so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.vfs.counts()
    }

    /// Closes the store and opens it again; `killed` leaves it as `kill -9` would. Answers how long
    /// the opening alone took.
    ///
    /// # Errors
    ///
    /// Why it could not be closed or opened.
    pub fn reopen(&mut self, killed: bool) -> Outcome<Duration> {
        if let Some(store) = self.store.take() {
            if killed {
                self.vfs.cut();
            } else {
                store.close()?;
            }
        }
        self.open_again()
    }

    /// The same after a close, with the index taken away in between: opening then reads the footer
    /// of each segment.
    ///
    /// # Errors
    ///
    /// As [`StoreKeeper::reopen`].
    pub fn reopen_without_index(&mut self) -> Outcome<Duration> {
        if let Some(store) = self.store.take() {
            store.close()?;
        }
        let disk = self.disk.vfs();
        for name in disk.list(INDEX)? {
            disk.remove(&format!("{INDEX}/{name}"))?;
        }
        self.open_again()
    }

    fn open_again(&mut self) -> Outcome<Duration> {
        let vfs = self.disk.vfs();
        self.vfs = if self.is_buffered { vfs.buffered() } else { vfs };
        let options = self.options()?;
        let watch = Stopwatch::start();
        self.store = Some(options.open(self.disk.path())?);
        Ok(watch.elapsed())
    }

    /// Turns the clock on to `time`; never back.
    pub fn turn_to(&self, time: Timestamp) {
        use crate::Clock as _;
        let now = self.clock.wall();
        if time > now {
            self.clock.advance(time.since(now));
        }
    }

    /// Expires what is due.
    ///
    /// # Errors
    ///
    /// As [`Store::sweep`]; what a sweep survived is an error here.
    pub fn sweep(&self) -> Outcome<SweepReport> {
        swept(self.store()?)
    }

    /// Waits until what is more than is kept of the files of dropped segments is given back, and
    /// answers how long that took.
    ///
    /// # Errors
    ///
    /// When the store is closed.
    pub fn given_back(&self) -> Outcome<Duration> {
        let watch = Stopwatch::start();
        self.store()?.wait_for_room();
        Ok(watch.elapsed())
    }

    /// Holds what `camera` recorded in `window`.
    ///
    /// # Errors
    ///
    /// As [`Store::place_hold`].
    pub fn hold(&self, camera: &CameraId, window: Window) -> Outcome<HoldReceipt> {
        let hold = NewHold::new([camera.clone()], window).reference("benchmark");
        Ok(self.store()?.place_hold(hold)?)
    }

    /// As [`Keeper::keep`], while others read.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn record(&self, group: &[Take]) -> Outcome<()> {
        if self.commit == Commit::Together {
            return self.keep_together(group);
        }
        let store = self.store()?;
        for take in group {
            self.turn_to(take.window.end());
            store.append(Self::new_clip(take), take.bytes.clone())?;
        }
        if self.commit == Commit::Grouped {
            store.sync()?;
        }
        Ok(())
    }

    /// As [`Keeper::read_range`], while others record.
    ///
    /// # Errors
    ///
    /// The store's; when there is no such clip.
    pub fn read_of(
        &self,
        camera: &CameraId,
        start: Timestamp,
        range: Option<Range<u64>>,
        each: &mut dyn FnMut(&[u8]),
    ) -> Outcome<()> {
        let store = self.store()?;
        let window = Window::starting(start, Duration::from_micros(1))?;
        let mut clips = store.clips(camera, window)?;
        let clip = clips.find(|clip| clip.window().start() == start).ok_or("no such clip")?;
        let reader = store.read(clip.id())?;
        for chunk in reader.chunks(range.unwrap_or(0..clip.len()))? {
            each(&chunk?);
        }
        Ok(())
    }

    /// Appends all of `group` at once.
    fn keep_together(&self, group: &[Take]) -> Outcome<()> {
        let store = self.store()?;
        if let Some(newest) = group.iter().map(|take| take.window.end()).max() {
            self.turn_to(newest);
        }
        let clips = group.iter().map(|take| (Self::new_clip(take), take.bytes.clone()));
        self.writers.append(store, clips)
    }

    /// The clip of a take, ready to be appended.
    #[must_use]
    pub fn new_clip(take: &Take) -> NewClip {
        NewClip::new(&take.camera, take.window).media(Media::FragmentedMp4)
    }
}

/// What a sweep did; what it survived is an error here.
fn swept(store: &Store) -> Outcome<SweepReport> {
    let report = store.sweep()?;
    match report.problems.first() {
        Some(problem) => Err(problem.clone().into()),
        None => Ok(report),
    }
}

impl Keeper for StoreKeeper {
    fn name(&self) -> String {
        let ways = [(!self.reuses, ", removing files"), (self.is_buffered, ", buffered")];
        let ways = ways.into_iter().filter(|(is, _)| *is).map(|(_, way)| way);
        std::iter::once("clipkeep").chain(ways).collect()
    }

    fn settings(&self) -> String {
        let commit = match self.commit {
            Commit::Each => "Synced",
            Commit::Together => "Synced, a thread a clip of a group",
            Commit::Grouped => "Buffered and one sync a group",
        };
        format!("segments of {} MiB, CRC32 and BLAKE3, {commit}", self.segment_bytes >> 20)
    }

    fn keep(&mut self, group: &[Take]) -> Outcome<()> {
        self.record(group)
    }

    fn find(&mut self, camera: &CameraId, window: Window) -> Outcome<Vec<Window>> {
        Ok(self.store()?.clips(camera, window)?.map(|clip| clip.window()).collect())
    }

    fn read(
        &mut self,
        camera: &CameraId,
        start: Timestamp,
        each: &mut dyn FnMut(&[u8]),
    ) -> Outcome<()> {
        self.read_of(camera, start, None, each)
    }

    fn read_range(
        &mut self,
        camera: &CameraId,
        start: Timestamp,
        range: Range<u64>,
        each: &mut dyn FnMut(&[u8]),
    ) -> Outcome<()> {
        self.read_of(camera, start, Some(range), each)
    }

    fn expire(&mut self, before: Timestamp) -> Outcome<()> {
        self.turn_to(before.saturating_add(self.retention));
        self.sweep()?;
        Ok(())
    }

    fn expire_beside(&mut self, before: Timestamp, watch: Stopwatch) -> Outcome<Option<Sweeping>> {
        if matches!(self.disk, Disk::Simulated(_)) {
            return self.expire(before).map(|()| None);
        }
        self.turn_to(before.saturating_add(self.retention));
        let store = self.store()?.clone();
        Ok(Some(std::thread::spawn(move || {
            let at = watch.elapsed();
            let dropped = swept(&store)?.segments_dropped;
            let took = watch.elapsed().saturating_sub(at);
            Ok((dropped > 0).then_some(Lap { at, took }))
        })))
    }

    fn settle(&mut self) -> Outcome<()> {
        self.store()?.settle();
        Ok(())
    }

    fn let_go(&mut self) -> Outcome<()> {
        self.store()?.let_kept_maps_go();
        Ok(())
    }

    fn syncs(&self) -> Option<u64> {
        Some(self.counts().syncs)
    }

    fn disk_bytes(&self) -> Outcome<u64> {
        match &self.disk {
            Disk::Folder(dir) => Ok(super::allocated(dir)?),
            Disk::Simulated(_) => Ok(self.store()?.stats()?.file_bytes),
        }
    }

    fn kept_bytes(&self) -> Outcome<u64> {
        Ok(self.store()?.stats()?.reusable_bytes)
    }
}
