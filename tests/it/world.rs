//! A store on a simulated disk together with what it was heard to promise.
//!
//! Every step of a scenario goes through here, so that an acknowledgement is written down the
//! moment it is given, where no crash of the store can reach it. After a crash `check` compares.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clipkeep::vfs::sim::SimVfs;
use clipkeep::{
    CameraId, ClipId, ErrorKind, HoldCause, HoldId, ManualClock, NewClip, NewHold, PolicyScope,
    Recorder, Release, ReleaseCause, Result, Retention, Store, StoreOptions, SweepReport,
    Timestamp, VerifyDepth, WhenFull, Window,
};

use crate::plug::Plug;

/// Long enough for every clip of every scenario to be due, holds' graces included.
pub(crate) const LONG: Duration = Duration::from_hours(3);
const AT_LEAST: Duration = Duration::from_hours(1);
const AT_MOST: Duration = Duration::from_hours(2);
/// Where all scenarios begin.
const START_US: i64 = 1_700_000_000_000_000;

pub(crate) fn camera(name: &str) -> CameraId {
    name.parse().unwrap()
}

/// Minutes after the start of the scenario, for one minute each.
pub(crate) fn minute(number: u32) -> Window {
    let start = Timestamp::from_micros(START_US)
        .saturating_add(Duration::from_secs(60 * u64::from(number)));
    Window::starting(start, Duration::from_mins(1)).unwrap()
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

/// A clip that was acknowledged.
#[derive(Clone, Debug)]
struct Promised {
    camera: CameraId,
    window: Window,
    /// What was acknowledged: all of it, or the beginning of a recording.
    bytes: Vec<u8>,
    whole: bool,
    received: Timestamp,
}

/// What a store shows: ids, lengths and digests of all clips.
pub(crate) type Shown = BTreeMap<ClipId, (u64, [u8; 32])>;

pub(crate) struct World {
    pub(crate) disk: SimVfs,
    pub(crate) plug: Plug,
    pub(crate) clock: ManualClock,
    pub(crate) quota: Option<u64>,
    store: Option<Store>,
    cameras: BTreeSet<CameraId>,
    promised: BTreeMap<ClipId, Promised>,
    /// Acknowledged as gone.
    gone: BTreeSet<ClipId>,
    /// Asked to be deleted, with no answer yet.
    doubtful: BTreeSet<ClipId>,
    /// Acknowledged holds with what they cover, and from when on they may be over.
    holds: BTreeMap<HoldId, (CameraId, Window, Timestamp)>,
    next_footage: u64,
}

impl World {
    pub(crate) fn new(seed: u64, allowed: u64) -> Self {
        let disk = SimVfs::new(seed);
        Self {
            plug: Plug::new(&disk, allowed),
            disk,
            clock: ManualClock::at(Timestamp::from_micros(START_US)),
            quota: None,
            store: None,
            cameras: BTreeSet::new(),
            promised: BTreeMap::new(),
            gone: BTreeSet::new(),
            doubtful: BTreeSet::new(),
            holds: BTreeMap::new(),
            next_footage: 0,
        }
    }

    fn options(&self) -> StoreOptions {
        let options = Store::options()
            .vfs(self.plug.clone())
            .clock(self.clock.clone())
            .retention(Retention::new(AT_LEAST, AT_MOST).unwrap())
            .segment_bytes(4 << 20)
            .segment_age(Duration::from_mins(10))
            .evidence_reserve(4 << 20)
            .free_space_floor(0)
            .when_full(WhenFull::Refuse);
        match self.quota {
            Some(quota) => options.quota(quota),
            None => options,
        }
    }

    pub(crate) fn open(&mut self) -> Result<()> {
        self.store = None;
        self.store = Some(self.options().open("sim")?);
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

    pub(crate) fn add(&mut self, name: &str, at: u32, len: usize) -> Result<ClipId> {
        let camera = camera(name);
        self.cameras.insert(camera.clone());
        self.next_footage += 1;
        let bytes = footage(self.next_footage, len);
        let clip = self.store().append(NewClip::new(&camera, minute(at)), bytes.clone())?;
        let (window, received) = (clip.window(), clip.received());
        let promised = Promised { camera, window, bytes, whole: true, received };
        self.promised.insert(clip.id(), promised);
        Ok(clip.id())
    }

    pub(crate) fn record(&mut self, name: &str, at: u32) -> Result<Recorder> {
        let camera = camera(name);
        self.cameras.insert(camera.clone());
        self.store().record(NewClip::starting(&camera, minute(at).start()).init(&b"ftyp moov"[..]))
    }

    /// Writes a fragment and notes what is promised from then on.
    pub(crate) fn write(&mut self, name: &str, to: &mut Recorder, len: usize) -> Result<()> {
        self.next_footage += 1;
        let bytes = footage(self.next_footage, len);
        let start = to.position();
        to.write(bytes.clone(), Duration::from_secs(2))?;
        let clip = *to.clips().last().expect("a fragment is durable");
        let window = Window::starting(start, Duration::from_secs(2)).unwrap();
        let received = self.store().now();
        let promised = self.promised.entry(clip).or_insert_with(|| Promised {
            camera: camera(name),
            window,
            bytes: b"ftyp moov".to_vec(),
            whole: false,
            received,
        });
        promised.bytes.extend_from_slice(&bytes);
        promised.received = received;
        Ok(())
    }

    pub(crate) fn finish(&mut self, recorder: Recorder) -> Result<ClipId> {
        let clip = recorder.finish()?;
        if let Some(promised) = self.promised.get_mut(&clip.id()) {
            promised.whole = true;
        }
        Ok(clip.id())
    }

    /// The owner's own hold.
    pub(crate) fn hold(&mut self, name: &str, window: Window) -> Result<HoldId> {
        let hold = NewHold::new([camera(name)], window).cause(HoldCause::Keep);
        self.place(name, window, hold)
    }

    /// A request of the police for what is recorded already.
    pub(crate) fn request(&mut self, name: &str, window: Window) -> Result<HoldId> {
        let hold = NewHold::new([camera(name)], window).cause(HoldCause::Request);
        self.place(name, window, hold.reference("case 19-4471"))
    }

    fn place(&mut self, name: &str, window: Window, hold: NewHold) -> Result<HoldId> {
        let receipt = self.store().place_hold(hold)?;
        self.holds.insert(receipt.id, (camera(name), window, Timestamp::MAX));
        Ok(receipt.id)
    }

    /// A hold over many ranges, in which nothing was ever recorded: a long ledger entry.
    pub(crate) fn wide_hold(&mut self, round: u32) -> Result<()> {
        let mut hold = NewHold::new([camera("porch")], minute(10_000 + 2_000 * round));
        for at in 1..900 {
            hold = hold.also(&camera("porch"), minute(10_000 + 2_000 * round + 2 * at));
        }
        self.store().place_hold(hold).map(drop)
    }

    /// Moves new clips of a camera to a class of its own.
    pub(crate) fn set_class(&mut self, name: &str, at_most: Duration) -> Result<()> {
        let camera = camera(name);
        self.store().add_camera(&camera)?;
        let retention = Retention::new(AT_LEAST, at_most)?;
        self.store().set_retention(Some(&camera), retention, PolicyScope::NewClips).map(drop)
    }

    /// Releases a hold, whose `grace` begins now.
    pub(crate) fn release(
        &mut self,
        hold: HoldId,
        cause: ReleaseCause,
        grace: Duration,
    ) -> Result<()> {
        let until = self.store().now().saturating_add(grace);
        self.holds.get_mut(&hold).expect("it was placed").2 = until;
        self.store().release_hold(hold, &Release::new(cause, "Ann")).map(drop)
    }

    pub(crate) fn delete(&mut self, clip: ClipId) -> Result<()> {
        self.doubtful.insert(clip);
        self.store().delete_clip(clip, "Ann", "a guest asked")?;
        self.gone.insert(clip);
        Ok(())
    }

    /// Sweeps, and notes which clips it acknowledged as gone.
    pub(crate) fn sweep(&mut self) -> Result<SweepReport> {
        let report = self.store().sweep()?;
        self.note_gone();
        Ok(report)
    }

    /// Notes what cannot be read any more; that it was allowed to go is asserted.
    pub(crate) fn note_gone(&mut self) {
        let now = self.store().now();
        for (id, promised) in &self.promised {
            if self.gone.contains(id) || self.store().clip(*id).is_ok() {
                continue;
            }
            assert!(self.may_go(*id, promised, now), "clip {id} went before its time");
            self.gone.insert(*id);
        }
    }

    fn may_go(&self, id: ClipId, promised: &Promised, now: Timestamp) -> bool {
        // Without want of room only what is past its longest time goes.
        let keep = if self.quota.is_some() { AT_LEAST } else { AT_MOST };
        let due = promised.received.saturating_add(keep) <= now;
        let held = self.holds.values().any(|(camera, window, until)| {
            *camera == promised.camera && window.meets(&promised.window) && now < *until
        });
        self.doubtful.contains(&id) || (due && !held)
    }

    /// Everything that the store shows, each clip read to its end.
    pub(crate) fn shown(&self) -> Shown {
        let mut shown = Shown::new();
        for camera in &self.cameras {
            for clip in self.store().clips(camera, always()).expect("clips can be listed") {
                let bytes = self.store().read(clip.id()).and_then(|reader| reader.to_vec());
                let bytes = bytes.unwrap_or_else(|e| panic!("listed clip {}: {e}", clip.id()));
                assert_eq!(clip.len(), u64::try_from(bytes.len()).unwrap());
                shown.insert(clip.id(), (clip.len(), *clip.digest()));
            }
        }
        shown
    }

    /// Asserts that every promised clip can be read, in a store that was opened while changes were
    /// still failing.
    pub(crate) fn check_reads(&self) {
        let (shown, now) = (self.shown(), self.store().now());
        for (id, promised) in &self.promised {
            self.check_clip(*id, promised, shown.contains_key(id), now);
        }
    }

    /// Asserts everything that was promised, on a disk without damage.
    pub(crate) fn check(&self) {
        let store = self.store();
        let opening = store.opening();
        assert!(opening.problems.is_empty(), "opening: {:?}", opening.problems);
        assert_eq!(opening.deletion_frozen, None);
        let now = store.now();
        let shown = self.shown();
        for (id, promised) in &self.promised {
            self.check_clip(*id, promised, shown.contains_key(id), now);
        }
        for (id, (_, _, until)) in &self.holds {
            let hold = store.hold(*id).unwrap_or_else(|e| panic!("hold {id} is lost: {e}"));
            assert!(hold.protects() || *until <= now, "hold {id} ended by itself");
        }
        let report = store.verify(VerifyDepth::Bytes, &mut |_| {}).expect("verify works");
        assert!(report.faults.is_empty(), "verify: {:?}", report.faults);
    }

    fn check_clip(&self, id: ClipId, promised: &Promised, listed: bool, now: Timestamp) {
        let read = self.store().read(id).and_then(|reader| reader.to_vec());
        if self.gone.contains(&id) {
            let kind = read.expect_err("an expired clip came back").kind();
            assert!(matches!(kind, ErrorKind::Expired | ErrorKind::NotFound), "{kind:?}");
            assert!(!listed, "expired clip {id} is listed");
            return;
        }
        match read {
            Ok(bytes) if promised.whole => assert!(bytes == promised.bytes, "clip {id} changed"),
            Ok(bytes) => assert!(bytes.starts_with(&promised.bytes), "recording {id} lost bytes"),
            Err(error) => {
                let may_go = self.may_go(id, promised, now);
                let gone = matches!(error.kind(), ErrorKind::Expired | ErrorKind::NotFound);
                assert!(may_go && gone, "acknowledged clip {id} is lost: {error}");
                return;
            }
        }
        assert!(listed, "clip {id} can be read but is not listed");
    }

    /// The power fails, and the machine starts again, for `allowed` changes.
    pub(crate) fn lose_power(&mut self, allowed: u64) {
        self.plug.pull();
        self.store = None;
        self.disk = self.disk.crash();
        self.clock.reboot();
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
        self.clock.advance(by);
    }
}
