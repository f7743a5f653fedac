//! A store on a simulated disk together with what it was heard to promise.
//!
//! Every step of a scenario goes through here, so that an acknowledgement is written down the
//! moment it is given, where no crash of the store can reach it, and what was asked before that is
//! known to be in doubt. `Moment` is all of it at one point of a run, with a disk of its own.

mod afterlife;
mod amid;
mod bounds;
mod holding;
mod moment;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use clipkeep::vfs::sim::SimVfs;
use clipkeep::vfs::{Space, Vfs as _};
use clipkeep::{
    CameraId, ClipId, ErrorKind, ManualClock, NewClip, PolicyScope, Recorder, Result, Retention,
    Store, StoreOptions, SweepReport, Timestamp, VerifyDepth, WhenFull, Window,
};

pub(crate) use moment::Moment;

use crate::plug::{Change, Plug};
use crate::promises::{Asked, Broken, Promised, Promises, Seen, usual};

/// Long enough for every clip of every scenario to be due.
pub(crate) const LONG: Duration = Duration::from_hours(3);
/// At the start of every recording.
const INIT: &[u8] = b"ftyp moov";
/// Where all scenarios begin.
const START_US: i64 = 1_700_000_000_000_000;
/// Room on a disk that nobody fills.
const ROOMY_BYTES: u64 = 1 << 40;

pub(crate) fn camera(name: &str) -> CameraId {
    name.parse().unwrap()
}

/// Minutes after the start of the scenario, for one minute each.
pub(crate) fn minute(number: u32) -> Window {
    minutes(number, 1)
}

/// `count` minutes from minute `first` on.
pub(crate) fn minutes(first: u32, count: u32) -> Window {
    let start = start().saturating_add(Duration::from_mins(u64::from(first)));
    Window::starting(start, Duration::from_mins(u64::from(count))).unwrap()
}

fn start() -> Timestamp {
    Timestamp::from_micros(START_US)
}

/// All of time that a scenario has.
pub(crate) fn always() -> Window {
    Window::new(Timestamp::EPOCH, Timestamp::MAX).unwrap()
}

/// Bytes that no other clip has.
pub(crate) fn footage(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// What a run has besides its disk.
#[derive(Clone, Debug)]
struct Record {
    promises: Arc<Promises>,
    /// The time that has really passed, whatever the clocks of the machine show.
    now: Timestamp,
    reboots: u32,
    clock: ManualClock,
    quota: Option<u64>,
    segment_bytes: u64,
    /// The files that are kept for new segments, if not as many as usual.
    kept_bytes: Option<u64>,
    reserve_bytes: u64,
    /// The size of the disk, as the scenario wants it.
    disk_bytes: u64,
    next_footage: u64,
}

pub(crate) struct World {
    pub(crate) disk: SimVfs,
    pub(crate) plug: Plug,
    record: Arc<Mutex<Record>>,
    store: Option<Store>,
}

impl World {
    pub(crate) fn new(seed: u64, allowed: u64) -> Self {
        let disk = SimVfs::new(seed);
        let record = Record {
            promises: Arc::new(Promises::new(start())),
            now: start(),
            reboots: 0,
            clock: ManualClock::at(start()),
            quota: None,
            segment_bytes: 4 << 20,
            kept_bytes: None,
            reserve_bytes: 4 << 20,
            disk_bytes: ROOMY_BYTES,
            next_footage: 0,
        };
        let plug = Plug::new(&disk, allowed);
        Self { plug, disk, record: Arc::new(Mutex::new(record)), store: None }
    }

    /// Lets `see` look at every change from the next opening on, with the moment before it.
    pub(crate) fn observe(&mut self, see: impl Fn(Change<'_>, Moment) + Send + Sync + 'static) {
        let (disk, record) = (self.disk.clone(), Arc::clone(&self.record));
        self.plug = Plug::observed(&self.disk, move |change| {
            let moment = Moment::of(&disk, &locked(&record));
            see(change, moment);
        });
    }

    /// This moment.
    pub(crate) fn moment(&self) -> Moment {
        Moment::of(&self.disk, &self.record())
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        locked(&self.record)
    }

    fn promises(&self) -> Arc<Promises> {
        Arc::clone(&self.record().promises)
    }

    /// Writes down a promise, or what is in doubt.
    fn note<T>(&self, change: impl FnOnce(&mut Promises) -> T) -> T {
        let mut record = self.record();
        let promises = Arc::make_mut(&mut record.promises);
        promises.version = promises.version.wrapping_add(1);
        change(promises)
    }

    /// Asks for something: it is in doubt until [`World::answered`].
    fn ask(&self, asked: Asked) {
        self.note(|promises| promises.asked.push(asked));
    }

    /// The last thing asked for has an answer, which promises this.
    fn answered<T>(&self, change: impl FnOnce(&mut Promises) -> T) -> T {
        self.note(|promises| {
            promises.asked.pop();
            change(promises)
        })
    }

    /// From here on what is due may expire.
    pub(crate) fn may_expire(&self) {
        let now = self.record().now;
        self.note(|promises| promises.swept = now);
    }

    fn next_footage(&self, len: usize) -> Bytes {
        let mut record = self.record();
        record.next_footage += 1;
        footage(record.next_footage, len).into()
    }

    /// A quota, which makes clips go early.
    pub(crate) fn set_quota(&self, bytes: u64) {
        self.record().quota = Some(bytes);
        self.may_be_tight();
    }

    /// Segments that are given back in several steps where no more than one file is kept.
    pub(crate) fn set_large_segments(&self) {
        const BYTES: u64 = 20 << 20;
        let mut record = self.record();
        (record.segment_bytes, record.kept_bytes) = (BYTES, Some(BYTES));
    }

    /// There may be too little room, so that clips go before their longest time.
    pub(crate) fn may_be_tight(&self) {
        self.note(|promises| promises.tight = true);
    }

    /// Another evidence reserve than the usual one.
    pub(crate) fn set_reserve(&self, bytes: u64) {
        self.record().reserve_bytes = bytes;
    }

    fn options(&self) -> StoreOptions {
        let record = self.record();
        let options = Store::options()
            .vfs(self.plug.clone())
            .clock(record.clock.clone())
            .retention(usual())
            .segment_bytes(record.segment_bytes)
            .segment_age(Duration::from_mins(10))
            .evidence_reserve(record.reserve_bytes)
            .free_space_floor(0)
            .when_full(WhenFull::Refuse);
        let options = match record.kept_bytes {
            Some(bytes) => options.reuse_max(bytes),
            None => options,
        };
        match record.quota {
            Some(quota) => options.quota(quota),
            None => options,
        }
    }

    pub(crate) fn open(&mut self) -> Result<()> {
        self.store = None;
        self.store = Some(self.options().open("sim")?);
        Ok(())
    }

    /// Opens it for many small reads: a map of the simulated disk is a copy of the whole file.
    pub(crate) fn open_copying(&mut self) -> Result<()> {
        self.store = None;
        self.store = Some(self.options().lease_segments_max(0).open("sim")?);
        Ok(())
    }

    pub(crate) fn close(&mut self) {
        self.store = None;
    }

    pub(crate) fn is_open(&self) -> bool {
        self.store.is_some()
    }

    pub(crate) fn store(&self) -> &Store {
        self.store.as_ref().expect("the scenario opened it")
    }

    /// Cameras that were never set otherwise are kept as usual.
    fn retention_of(&self, camera: &CameraId) -> Retention {
        self.promises().retentions.get(camera).copied().unwrap_or_else(usual)
    }

    pub(crate) fn add(&mut self, name: &str, at: u32, len: usize) -> Result<ClipId> {
        let camera = camera(name);
        let (window, bytes) = (minute(at), self.next_footage(len));
        // It may make room, and the first one after opening expires what is due.
        self.may_expire();
        let retention = self.retention_of(&camera);
        self.note(|promises| promises.cameras.insert(camera.clone()));
        self.ask(Asked::Append { camera: camera.clone(), window, bytes: bytes.clone() });
        let clip = self.store().append(NewClip::new(&camera, window), bytes.clone())?;
        let received = self.record().now;
        let promised = Promised { camera, window, bytes, whole: true, received, retention };
        self.answered(|promises| promises.clips.insert(clip.id(), promised));
        Ok(clip.id())
    }

    pub(crate) fn record_clip(&mut self, name: &str, at: u32) -> Result<Recorder> {
        let camera = camera(name);
        self.note(|promises| promises.cameras.insert(camera.clone()));
        self.store().record(NewClip::starting(&camera, minute(at).start()).init(INIT))
    }

    /// Writes a fragment and notes what is promised from then on.
    pub(crate) fn write(&mut self, name: &str, to: &mut Recorder, len: usize) -> Result<()> {
        let (camera, fragment) = (camera(name), self.next_footage(len));
        self.may_expire();
        let retention = self.retention_of(&camera);
        let known = to.clips().last().copied();
        let known = known.filter(|clip| self.promises().clips.contains_key(clip));
        let begun: Bytes = [INIT, &fragment].concat().into();
        // It adds to the clip, or begins another if that one expired.
        let (of, bytes) = (camera.clone(), fragment.clone());
        self.ask(Asked::Fragment { clip: known, camera: of.clone(), bytes });
        self.ask(Asked::Fragment { clip: None, camera: of, bytes: begun });
        let start = to.position();
        to.write(fragment.clone(), Duration::from_secs(2))?;
        let clip = *to.clips().last().expect("a fragment is durable");
        let window = Window::starting(start, Duration::from_secs(2)).unwrap();
        let received = self.record().now;
        self.answered(|promises| {
            promises.asked.pop();
            let begun = Promised {
                camera,
                window,
                bytes: Bytes::from_static(INIT),
                whole: false,
                received,
                retention,
            };
            let promised = promises.clips.entry(clip).or_insert(begun);
            promised.bytes = [&promised.bytes[..], &fragment].concat().into();
            promised.received = received;
        });
        Ok(())
    }

    pub(crate) fn finish(&mut self, recorder: Recorder) -> Result<ClipId> {
        let clip = recorder.finish()?;
        self.note(|promises| {
            if let Some(promised) = promises.clips.get_mut(&clip.id()) {
                (promised.whole, promised.window) = (true, clip.window());
            }
        });
        Ok(clip.id())
    }

    /// Moves new clips of a camera to a class of its own.
    pub(crate) fn set_class(&mut self, name: &str, at_most: Duration) -> Result<()> {
        self.set_retention(name, at_most, PolicyScope::NewClips)
    }

    pub(crate) fn set_retention(
        &mut self,
        name: &str,
        at_most: Duration,
        scope: PolicyScope,
    ) -> Result<()> {
        let camera = camera(name);
        self.store().add_camera(&camera)?;
        let retention = Retention::new(usual().at_least().min(at_most), at_most)?;
        let before = self.store().retention(Some(&camera));
        self.note(|promises| {
            promises.cameras.insert(camera.clone());
            promises.retentions.insert(camera.clone(), before);
            if scope == PolicyScope::ExistingToo {
                let stored = promises.clips.values_mut().filter(|clip| clip.camera == camera);
                stored.for_each(|clip| clip.retention = shorter(clip.retention, retention));
            }
        });
        self.ask(Asked::Retention { camera: camera.clone(), retention });
        self.store().set_retention(Some(&camera), retention, scope)?;
        self.answered(|promises| promises.retentions.insert(camera, retention));
        Ok(())
    }

    pub(crate) fn remove_camera(&mut self, name: &str) -> Result<()> {
        let camera = camera(name);
        self.ask(Asked::Hide);
        self.store().remove_camera(&camera)?;
        self.answered(|promises| promises.hidden.insert(camera));
        Ok(())
    }

    pub(crate) fn delete(&mut self, clip: ClipId) -> Result<()> {
        self.ask(Asked::Delete { clip });
        self.store().delete_clip(clip, "Ann", "a guest asked")?;
        self.answered(|promises| promises.gone.insert(clip));
        Ok(())
    }

    /// Deletes a clip although holds cover it.
    pub(crate) fn erase(&mut self, clip: ClipId) -> Result<()> {
        self.ask(Asked::Delete { clip });
        self.store().erase_clip(clip, "Ann", "deny and erase")?;
        self.answered(|promises| promises.gone.insert(clip));
        Ok(())
    }

    /// Asks for a deletion that must be refused.
    pub(crate) fn delete_in_vain(&mut self, clip: ClipId) -> Result<()> {
        match self.store().delete_clip(clip, "Ann", "a guest asked") {
            Ok(()) => panic!("a held clip was deleted"),
            Err(error) if error.kind() == ErrorKind::Held => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Sweeps, and notes which clips it acknowledged as gone.
    pub(crate) fn sweep(&mut self) -> Result<SweepReport> {
        self.may_expire();
        let report = self.store().sweep()?;
        self.note_gone();
        Ok(report)
    }

    /// Notes what cannot be read any more; that it was allowed to go is asserted.
    pub(crate) fn note_gone(&mut self) {
        self.try_note_gone().unwrap_or_else(|broken| panic!("{broken}"));
    }

    fn try_note_gone(&self) -> std::result::Result<(), Broken> {
        let promises = self.promises();
        let mut gone = Vec::new();
        for (id, promised) in &promises.clips {
            if promises.gone.contains(id) || self.store().clip(*id).is_ok() {
                continue;
            }
            if !promises.may_go(*id, promised) {
                return Err(format!("clip {id} went before its time"));
            }
            gone.push(*id);
        }
        if !gone.is_empty() {
            self.note(|promises| promises.gone.extend(gone));
        }
        Ok(())
    }

    /// Leaves no byte of room on the disk.
    pub(crate) fn fill_disk(&self) {
        self.resize_disk(0);
        self.note(|promises| promises.tight = true);
    }

    /// Leaves so much room on the disk.
    pub(crate) fn leave_room(&self, bytes: u64) {
        let Space { free, total } = self.disk.space().expect("it has power");
        self.resize_disk(total - free + bytes);
        self.note(|promises| promises.tight = true);
    }

    /// Gives the disk all the room there is.
    pub(crate) fn free_disk(&self) {
        self.resize_disk(ROOMY_BYTES);
    }

    fn resize_disk(&self, bytes: u64) {
        self.record().disk_bytes = bytes;
        self.disk.set_capacity(bytes);
    }

    /// No byte of room for now, or what the scenario wants.
    pub(crate) fn squeeze(&self, full: bool) {
        let bytes = if full { 0 } else { self.record().disk_bytes };
        self.disk.set_capacity(bytes);
    }

    /// Flips bits of a file on the medium; the store may tell of it from now on.
    pub(crate) fn damage(&self, path: &str, offset: u64) {
        self.disk.corrupt(path, offset, 0x40);
        self.note(|promises| promises.damaged = true);
    }

    /// Sets the wall clock alone.
    pub(crate) fn step_wall(&self, wall: Timestamp) {
        self.record().clock.step_wall(wall);
    }

    /// The machine was shut down and is started again.
    pub(crate) fn reboot(&mut self) {
        self.store = None;
        let mut record = self.record();
        record.clock.reboot();
        record.reboots += 1;
    }

    /// The machine was off for `off`, and its clock was not. What there was is older by that, which
    /// counts once the wall clock is believed.
    pub(crate) fn outage(&mut self, off: Duration) {
        use clipkeep::Clock as _;
        self.reboot();
        let wall = self.record().clock.wall();
        self.step_wall(wall.saturating_add(off));
        self.note(|promises| {
            for clip in promises.clips.values_mut() {
                clip.received = clip.received.saturating_sub(off);
            }
        });
    }

    /// Asserts that every promised clip can be read, in a store that was opened while changes
    /// were still failing.
    pub(crate) fn check_reads(&self) {
        let checked = self.promises().check_reads(self.store());
        checked.map_or_else(|broken| panic!("{broken}"), drop);
    }

    /// Asserts everything that was promised, on a disk without damage.
    pub(crate) fn check(&self) {
        self.check_quickly()
            .and_then(|_| self.check_deeply())
            .unwrap_or_else(|broken| panic!("{broken}"));
    }

    /// Everything that was promised, and what is shown.
    pub(crate) fn check_quickly(&self) -> std::result::Result<Seen, Broken> {
        self.check_quota()?;
        self.check_reusable()?;
        self.promises().check(self.store())
    }

    /// Every byte that the store has, and its ledger.
    pub(crate) fn check_deeply(&self) -> std::result::Result<(), Broken> {
        let report = self.store().verify(VerifyDepth::Bytes, &mut |_| {});
        let report = report.map_err(|error| format!("verify does not work: {error}"))?;
        if report.faults.is_empty() || self.promises().damaged {
            return Ok(());
        }
        Err(format!("verify: {:?}", report.faults))
    }

    /// What was in doubt is what the store has shown, from now on.
    pub(crate) fn settle(&self, seen: &Seen) {
        let mut record = self.record();
        record.promises = Arc::new(record.promises.settled(seen));
    }

    /// A store that was opened records at once. On a full disk it need not, and may let go for it
    /// of what is past its shortest time.
    pub(crate) fn grow(&mut self, full: bool) -> std::result::Result<(), Broken> {
        self.note(|promises| promises.tight |= full);
        match self.add("porch", 400, 3_000) {
            Err(error) if error.kind() != ErrorKind::Full => {
                Err(format!("recording does not go on: {error}"))
            }
            _ => Ok(()),
        }
    }

    /// The power fails, and the machine starts again, for `allowed` changes.
    pub(crate) fn lose_power(&mut self, allowed: u64) {
        self.plug.pull();
        self.store = None;
        self.disk = self.disk.crash();
        {
            let mut record = self.record();
            record.clock.reboot();
            record.reboots += 1;
        }
        self.plug = Plug::new(&self.disk, allowed);
    }

    /// The process is killed, and another one starts, for `allowed` changes.
    pub(crate) fn kill(&mut self, allowed: u64) {
        self.plug.pull();
        self.store = None;
        self.plug = Plug::new(&self.disk, allowed);
    }

    /// Lets time pass.
    pub(crate) fn wait(&self, by: Duration) {
        let mut record = self.record();
        record.clock.advance(by);
        record.now = record.now.saturating_add(by);
    }
}

fn locked(record: &Mutex<Record>) -> MutexGuard<'_, Record> {
    record.lock().unwrap_or_else(PoisonError::into_inner)
}

fn shorter(one: Retention, other: Retention) -> Retention {
    if one.at_most() < other.at_most() { one } else { other }
}
