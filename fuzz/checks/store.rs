//! A whole store on a simulated disk that fails when the input says so, beside a model of what it
//! promised.
//!
//! Asserts that what was acknowledged is readable and byte-identical until it may go; that a held
//! clip stays; that nothing goes before its time; that what went does not come back; that queries
//! show what can be read and nothing that nobody recorded; and, where no fault struck, that what is
//! due does go.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use super::choices::Choices;
use super::index;
use crate::vfs::Vfs as _;
use crate::vfs::sim::{SimOp, SimVfs};
use crate::{
    CameraId, Clip, ClipId, ErrorKind, HoldCause, HoldId, ManualClock, NewClip, NewHold, Release,
    ReleaseCause, Retention, Store, StoreOptions, Timestamp, VerifyDepth, WhenFull, Window,
};

const STEPS_MAX: u32 = 60;
const CAMERAS: [&str; 3] = ["porch", "yard", "shed"];
const START_US: i64 = 1_700_000_000_000_000;
const AT_LEAST: Duration = Duration::from_hours(1);
const AT_MOST: Duration = Duration::from_hours(2);
const MINUTE: Duration = Duration::from_mins(1);
/// What can fail: everything that changes the disk.
const FAULTS: [SimOp; 7] = [
    SimOp::Write,
    SimOp::Sync,
    SimOp::SyncDir,
    SimOp::Create,
    SimOp::Rename,
    SimOp::Remove,
    SimOp::Punch,
];

/// Input: a seed for crashes, then operations.
pub fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut world = World::new(u64::from(choices.u8()));
    for _ in 0..STEPS_MAX {
        if choices.is_empty() {
            break;
        }
        world.step(&mut choices);
    }
    world.end();
}

/// A clip of which something was acknowledged.
#[derive(Clone, Debug)]
struct Promised {
    camera: CameraId,
    window: Window,
    bytes: Vec<u8>,
    received: Timestamp,
    /// All of its bytes were acknowledged; else the clip may have more.
    whole: bool,
}

struct Held {
    camera: CameraId,
    window: Window,
    /// Its end was asked for, whether or not that was answered.
    released: bool,
}

/// What the world saw of the store.
struct World {
    disk: SimVfs,
    clock: ManualClock,
    store: Option<Store>,
    /// Since the beginning: all that trusted time may show.
    elapsed: Duration,
    promised: BTreeMap<ClipId, Promised>,
    holds: BTreeMap<HoldId, Held>,
    gone: BTreeSet<ClipId>,
    /// Asked to be deleted.
    doubtful: BTreeSet<ClipId>,
    /// What was recorded without an answer: it may be there, as far as it was written.
    unanswered: Vec<(CameraId, Vec<u8>)>,
    /// A fault was ordered, so that calls may fail and work may wait.
    faulty: bool,
    /// There was little room, so that clips may go as soon as their shortest time is over.
    cramped: bool,
    next_footage: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            disk: SimVfs::new(seed),
            clock: ManualClock::at(Timestamp::from_micros(START_US)),
            store: None,
            elapsed: Duration::ZERO,
            promised: BTreeMap::new(),
            holds: BTreeMap::new(),
            gone: BTreeSet::new(),
            doubtful: BTreeSet::new(),
            unanswered: Vec::new(),
            faulty: false,
            cramped: false,
            next_footage: 0,
        };
        world.open();
        world
    }

    fn options(&self) -> StoreOptions {
        Store::options()
            .vfs(self.disk.clone())
            .clock(self.clock.clone())
            .retention(Retention::new(AT_LEAST, AT_MOST).unwrap())
            .segment_bytes(4 << 20)
            .segment_age(Duration::from_mins(10))
            .evidence_reserve(4 << 20)
            .free_space_floor(0)
            .sweep_share(100)
            .when_full(WhenFull::Refuse)
    }

    /// Opens the store. Where a fault keeps it from opening, it opens once that is over.
    fn open(&mut self) {
        self.store = None;
        let opened = self.options().open("sim").or_else(|error| {
            assert!(self.faulty, "a store on a sound disk does not open: {error}");
            self.disk.clear_faults();
            self.disk.set_capacity(1 << 40);
            self.options().open("sim")
        });
        let store = opened.unwrap_or_else(|e| panic!("a store does not open: {e}"));
        assert_eq!(store.opening().deletion_frozen, None, "the ledger became unreadable");
        self.store = Some(store);
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(START_US).saturating_add(self.elapsed)
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.below(16) {
            0..=2 => self.append(choices),
            3 | 4 => self.record(choices),
            5 => self.hold(choices),
            6 => self.release(choices),
            7 => self.delete(choices),
            8 | 9 => self.wait(choices),
            10 => self.sweep(),
            11 => self.fault(choices),
            12 => self.check_all(),
            13 => self.full(choices),
            14 => self.reopen(choices.flag()),
            _ => self.seal(),
        }
        // Want of room makes many calls sweep; what a later hold covers may be gone by then.
        self.note_gone();
    }

    fn footage(&mut self, choices: &mut Choices<'_>) -> Vec<u8> {
        let how = choices.u8();
        let len = 1 + (usize::from(choices.u8()) << (how % 13));
        self.next_footage += 1;
        let mut state = self.next_footage.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
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

    fn append(&mut self, choices: &mut Choices<'_>) {
        let (camera, window) = (camera(choices), window(choices, 1));
        let bytes = self.footage(choices);
        match self.store().append(NewClip::new(&camera, window), bytes.clone()) {
            Ok(clip) => {
                assert_eq!(clip.window(), window);
                self.promise(clip.id(), camera, window, bytes, true);
            }
            Err(error) => {
                self.allow(&error);
                self.unanswered.push((camera, bytes));
            }
        }
    }

    fn record(&mut self, choices: &mut Choices<'_>) {
        let (camera, start) = (camera(choices), window(choices, 1).start());
        let new = NewClip::starting(&camera, start).init(&b"ftyp moov"[..]);
        let Ok(mut recorder) = self.store().record(new) else { return assert!(self.faulty) };
        let mut bytes = b"ftyp moov".to_vec();
        for _ in 0..choices.below(4) {
            let fragment = self.footage(choices);
            bytes.extend_from_slice(&fragment);
            if let Err(error) = recorder.write(fragment, Duration::from_secs(2)) {
                self.allow(&error);
                self.unanswered.push((camera.clone(), bytes));
                return;
            }
            let id = *recorder.clips().last().unwrap();
            let window = Window::new(start, recorder.position()).unwrap();
            self.promise(id, camera.clone(), window, bytes.clone(), false);
        }
        if bytes.len() > 9 && choices.flag() {
            match recorder.finish() {
                Ok(clip) => self.promised.get_mut(&clip.id()).unwrap().whole = true,
                Err(error) => self.allow(&error),
            }
        }
    }

    fn promise(
        &mut self,
        id: ClipId,
        camera: CameraId,
        window: Window,
        bytes: Vec<u8>,
        whole: bool,
    ) {
        // By trusted time: it may lag while the wall clock is doubted, and make that up later.
        let received = self.store().now();
        self.promised.insert(id, Promised { camera, window, bytes, received, whole });
    }

    /// An error is an answer where something was made to fail.
    fn allow(&self, error: &crate::Error) {
        assert!(self.faulty, "fails on a sound disk: {error}");
    }

    fn hold(&mut self, choices: &mut Choices<'_>) {
        let (camera, window) = (camera(choices), window(choices, 20));
        let hold = NewHold::new([camera.clone()], window).cause(HoldCause::Keep);
        match self.store().place_hold(hold) {
            Ok(receipt) => {
                self.holds.insert(receipt.id, Held { camera, window, released: false });
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let kept = self.promised.iter().filter(|(id, _)| !self.gone.contains(id));
                let known = kept.into_iter().any(|(_, promised)| promised.camera == camera);
                assert!(!known, "{error}");
            }
            Err(error) => self.allow(&error),
        }
    }

    fn release(&mut self, choices: &mut Choices<'_>) {
        let open: Vec<HoldId> =
            self.holds.iter().filter(|(_, held)| !held.released).map(|(id, _)| *id).collect();
        let Some(id) = open.get(index(choices.below(256)) % open.len().max(1)) else { return };
        let released = self.store().release_hold(*id, &Release::new(ReleaseCause::Owner, "Ann"));
        self.holds.get_mut(id).unwrap().released = true;
        if let Err(error) = released {
            self.allow(&error);
        }
    }

    fn delete(&mut self, choices: &mut Choices<'_>) {
        let ids: Vec<ClipId> = self.promised.keys().copied().collect();
        let Some(id) = ids.get(index(choices.below(256)) % ids.len().max(1)) else { return };
        let deleted = self.store().delete_clip(*id, "Ann", "a guest asked");
        match deleted.map_err(|error| error.kind()) {
            Ok(()) => {
                assert!(!self.is_held(&self.promised[id]), "deleted though it is held");
                self.gone.insert(*id);
            }
            Err(ErrorKind::Held) => {}
            Err(ErrorKind::Expired | ErrorKind::NotFound) => {
                assert!(self.gone.contains(id) || self.may_go(*id), "it is lost");
            }
            Err(kind) => {
                assert!(self.faulty, "{kind:?}");
                self.doubtful.insert(*id);
            }
        }
    }

    fn wait(&mut self, choices: &mut Choices<'_>) {
        let by = MINUTE * choices.below(100);
        self.clock.advance(by);
        self.elapsed += by;
        assert!(self.store().now() <= self.now(), "trusted time runs ahead");
    }

    fn sweep(&mut self) {
        if let Err(error) = self.store().sweep() {
            self.allow(&error);
        }
    }

    fn seal(&mut self) {
        if let Err(error) = self.store().seal() {
            self.allow(&error);
        }
    }

    fn fault(&mut self, choices: &mut Choices<'_>) {
        let op = FAULTS[index(choices.below(7))];
        let nth = u64::from(1 + choices.below(20));
        self.faulty = true;
        if choices.flag() {
            self.disk.fail_from(op, nth, io::ErrorKind::Other);
        } else {
            self.disk.fail_after(op, nth, io::ErrorKind::Other);
        }
    }

    /// Leaves so many blocks of room.
    fn full(&mut self, choices: &mut Choices<'_>) {
        let space = self.disk.space().unwrap();
        let room = u64::from(choices.u8()) * 65_536;
        self.disk.set_capacity(space.total - space.free + room);
        self.faulty = true;
        self.cramped = true;
    }

    /// Ends the process, or the machine; faults are over with it.
    fn reopen(&mut self, power: bool) {
        self.disk.clear_faults();
        self.disk.set_capacity(1 << 40);
        if power {
            // The store dies with the power, not in good order before it.
            let after = self.disk.crash();
            self.store = None;
            self.disk = after;
            self.clock.reboot();
        }
        self.open();
        self.note_gone();
        self.check_all();
    }

    fn is_held(&self, promised: &Promised) -> bool {
        self.holds.values().any(|held| {
            !held.released && held.camera == promised.camera && held.window.meets(&promised.window)
        })
    }

    fn may_go(&self, id: ClipId) -> bool {
        let promised = &self.promised[&id];
        let keep = if self.cramped { AT_LEAST } else { AT_MOST };
        let due = promised.received.saturating_add(keep) <= self.now();
        self.doubtful.contains(&id) || (due && !self.is_held(promised))
    }

    /// Notes what cannot be found any more; it was allowed to go.
    fn note_gone(&mut self) {
        let missing: Vec<ClipId> = self.promised.keys().copied().collect();
        for id in missing {
            if self.gone.contains(&id) || self.store().clip(id).is_ok() {
                continue;
            }
            assert!(self.may_go(id), "clip {id} went before its time\n{}", self.decisions());
            self.gone.insert(id);
        }
    }

    /// What the store put on record, for whoever looks into a finding.
    fn decisions(&self) -> String {
        let mut lines = format!("by the model it is {}", self.now());
        let read = self.store().inspect_ledger(0, &mut |line| {
            write!(lines, "\n{} {} {}", line.position, line.at, line.text).is_ok()
        });
        if let Err(error) = read {
            lines.push_str(&error.to_string());
        }
        lines
    }

    fn check_all(&mut self) {
        self.note_gone();
        let mut listed = BTreeMap::new();
        for name in CAMERAS {
            let camera = CameraId::new(name).unwrap();
            let always = Window::new(Timestamp::EPOCH, Timestamp::MAX).unwrap();
            for clip in self.store().clips(&camera, always).expect("clips can be listed") {
                assert_eq!(*clip.camera(), camera);
                listed.insert(clip.id(), clip);
            }
        }
        for (id, promised) in &self.promised {
            self.check_clip(*id, promised, listed.remove(id));
        }
        for clip in listed.into_values() {
            self.check_unanswered(&clip);
        }
        for (id, held) in &self.holds {
            let hold = self.store().hold(*id).expect("an acknowledged hold is there");
            assert!(held.released || hold.protects(), "hold {id} ended by itself");
        }
    }

    fn check_clip(&self, id: ClipId, promised: &Promised, listed: Option<Clip>) {
        let read = self.store().read(id).and_then(|reader| reader.to_vec());
        if self.gone.contains(&id) {
            assert!(listed.is_none() && read.is_err(), "clip {id} came back");
            return;
        }
        let bytes = read.unwrap_or_else(|e| panic!("acknowledged clip {id} is lost: {e}"));
        assert!(bytes.starts_with(&promised.bytes), "clip {id} changed");
        assert!(!promised.whole || bytes.len() == promised.bytes.len(), "clip {id} grew");
        let listed = listed.expect("what can be read is listed");
        assert_eq!(listed.window().start(), promised.window.start());
        assert_eq!(index(listed.len()), bytes.len());
        let near = self.store().clips(&promised.camera, promised.window).expect("listed");
        assert!(near.into_iter().any(|clip| clip.id() == id), "not found in its own window");
    }

    /// A clip that was never acknowledged is, if it is there, the beginning of what was recorded.
    fn check_unanswered(&self, clip: &Clip) {
        let read = self.store().read(clip.id()).and_then(|reader| reader.to_vec());
        let bytes = read.expect("what is listed can be read");
        let known = self
            .unanswered
            .iter()
            .any(|(camera, tried)| camera == clip.camera() && tried.starts_with(&bytes));
        assert!(known, "clip {} of {} bytes was never recorded", clip.id(), bytes.len());
    }

    /// The disk is sound again: everything is as it should be, and what is due goes.
    fn end(&mut self) {
        self.reopen(true);
        let report = self.store().verify(VerifyDepth::Bytes, &mut |_| {}).expect("verify works");
        assert!(report.faults.is_empty(), "verify: {:?}", report.faults);
        let wait = Duration::from_hours(3);
        self.clock.advance(wait);
        self.elapsed += wait;
        let sound = !self.faulty;
        self.faulty = false;
        for _ in 0..3 {
            self.sweep();
            self.note_gone();
        }
        self.check_all();
        let kept = |(id, promised): (&ClipId, &Promised)| {
            !self.gone.contains(id) && !self.is_held(promised)
        };
        let overdue = self.promised.iter().find(|found| kept(*found));
        assert!(!sound || overdue.is_none(), "{overdue:?} is overdue and still there");
        let porch = CameraId::new(CAMERAS[0]).unwrap();
        let window = Window::starting(self.now(), MINUTE).unwrap();
        self.store()
            .append(NewClip::new(&porch, window), &b"goes on"[..])
            .expect("recording goes on");
    }
}

fn camera(choices: &mut Choices<'_>) -> CameraId {
    CameraId::new(CAMERAS[index(choices.below(3))]).unwrap()
}

/// Some minutes of the first hours.
fn window(choices: &mut Choices<'_>, minutes: u32) -> Window {
    let start = Timestamp::from_micros(START_US).saturating_add(MINUTE * choices.below(200));
    Window::starting(start, MINUTE * minutes).unwrap()
}
