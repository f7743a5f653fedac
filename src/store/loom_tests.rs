//! Every order of the locks, up to a bound, for a few threads on a real store over the simulated
//! disk: that nobody waits for ever, and that what each is told is true.
//!
//! `loom` runs each test once for every way in which threads can take turns at the locks of
//! `crate::sync`, with at most two or three turns (`preemptions`) taken away from one that could go
//! on. A deadlock, a lost wake-up or a failed assertion ends with the order that led there
//! (`LOOM_LOG=trace`). Built with `--cfg loom` only: `tests/run` does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use loom::thread;

use super::Store;
use crate::hold::{HoldCause, NewHold};
use crate::retention::Retention;
use crate::types::{
    CameraId, Clip, ClipId, ErrorKind, ManualClock, NewClip, Result, Timestamp, Window,
};
use crate::vfs::sim::{SimOp, SimVfs};

/// The engine has buffers on the stack that are larger than `loom`'s own threads take.
const STACK_WORDS: usize = 1 << 18;
const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

/// A store that is made anew for every order.
struct Tried {
    disk: SimVfs,
    clock: ManualClock,
    store: Store,
}

impl Tried {
    fn new() -> Self {
        Self::sealing_at(Duration::from_hours(1))
    }

    /// Segments are sealed at this age.
    fn sealing_at(age: Duration) -> Self {
        let disk = SimVfs::new(1);
        let clock = ManualClock::at(START);
        let hour = Duration::from_hours(1);
        let store = Store::options()
            .vfs(disk.clone())
            .clock(clock.clone())
            .retention(Retention::new(hour, hour).unwrap())
            .segment_bytes(4 << 20)
            .segment_age(age)
            .evidence_reserve(0)
            .free_space_floor(0)
            .open("loom")
            .unwrap();
        Self { disk, clock, store }
    }

    /// A clip in a sealed segment, past its time.
    fn due_clip(&self) -> Clip {
        let clip = append(&self.store, 0).unwrap();
        self.store.seal().unwrap();
        self.clock.advance(Duration::from_hours(2));
        clip
    }
}

fn camera() -> CameraId {
    "door".parse().unwrap()
}

fn minute(number: u64) -> Window {
    let start = START.saturating_add(Duration::from_mins(number));
    Window::starting(start, Duration::from_mins(1)).unwrap()
}

fn bytes(number: u64) -> Vec<u8> {
    number.to_le_bytes().repeat(50)
}

fn append(store: &Store, number: u64) -> Result<Clip> {
    store.append(NewClip::new(&camera(), minute(number)), bytes(number))
}

/// Tries every order of `test`, which runs on a thread with room for the engine.
fn try_all(name: &str, preemptions: usize, test: fn()) {
    let orders = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&orders);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 1_000_000;
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        beside(test).join().unwrap();
    });
    let orders = orders.load(Ordering::Relaxed);
    assert!(orders > 1, "{name}: nothing was tried");
    eprintln!("LOOM {name}: {orders} orders, at most {preemptions} preemptions");
}

fn beside<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> thread::JoinHandle<T> {
    thread::Builder::new().stack_size(STACK_WORDS).spawn(run).unwrap()
}

#[test]
fn loom_every_writer_of_a_group_is_woken() {
    try_all("group commit", 2, || {
        let tried = Tried::new();
        let store = tried.store.clone();
        let other = beside(move || append(&store, 1).unwrap().id());
        let clips = [append(&tried.store, 2).unwrap().id(), other.join().unwrap()];
        for (clip, number) in clips.into_iter().zip([2, 1]) {
            assert_eq!(tried.store.read(clip).unwrap().to_vec().unwrap(), bytes(number));
        }
    });
}

#[test]
fn loom_a_writer_that_leads_before_it_has_its_sums_leaves_nobody_waiting() {
    try_all("leading at once", 2, || {
        let tried = Tried::new();
        let large = vec![7; 600 << 10];
        let store = tried.store.clone();
        let other = beside(move || append(&store, 1).unwrap().id());
        let new = NewClip::new(&camera(), minute(2));
        let clip = tried.store.append(new, large.clone()).unwrap();
        let small = tried.store.read(other.join().unwrap()).unwrap();
        assert_eq!(small.to_vec().unwrap(), bytes(1));
        assert!(tried.store.read(clip.id()).unwrap().to_vec().unwrap() == large);
        assert_eq!(clip.digest(), blake3::hash(&large).as_bytes());
    });
}

#[test]
fn loom_a_leaders_failure_reaches_every_writer() {
    try_all("a leader's failure", 3, || {
        let tried = Tried::new();
        append(&tried.store, 0).unwrap();
        // This sync fails and all that follow: the fresh segment is no way out either.
        tried.disk.fail_from(SimOp::Sync, 1, std::io::ErrorKind::Other);
        let store = tried.store.clone();
        let other = beside(move || append(&store, 1).is_err());
        let own = append(&tried.store, 2).is_err();
        assert!(own && other.join().unwrap(), "a write that is nowhere was acknowledged");
        tried.disk.clear_faults();
        let clips = tried.store.clips(&camera(), minute(1)).unwrap();
        assert_eq!(clips.count(), 0);
    });
}

#[test]
fn loom_one_failed_sync_loses_nothing_acknowledged() {
    try_all("one failed sync", 2, || {
        let tried = Tried::new();
        append(&tried.store, 0).unwrap();
        tried.disk.fail_after(SimOp::Sync, 1, std::io::ErrorKind::Other);
        let store = tried.store.clone();
        let other = beside(move || append(&store, 1));
        let clips = [append(&tried.store, 2), other.join().unwrap()];
        for clip in clips.into_iter().flatten() {
            tried.store.read(clip.id()).unwrap().to_vec().unwrap();
        }
    });
}

#[test]
fn loom_a_hold_is_before_a_sweep_or_told_that_it_missed() {
    /// In how many orders the hold was first, and in how many the sweep.
    static KEPT: AtomicUsize = AtomicUsize::new(0);
    static MISSED: AtomicUsize = AtomicUsize::new(0);
    try_all("hold against sweep", 3, || {
        let tried = Tried::new();
        let clip = tried.due_clip().id();
        let store = tried.store.clone();
        let sweep = beside(move || store.sweep().unwrap().problems.len());
        let hold = NewHold::new([camera()], minute(0)).cause(HoldCause::Keep);
        let receipt = tried.store.place_hold(hold).unwrap();
        assert_eq!(sweep.join().unwrap(), 0);
        match tried.store.read(clip) {
            Ok(reader) => {
                assert_eq!(receipt.clips, 1, "kept, and the receipt does not say so");
                assert_eq!(reader.to_vec().unwrap(), bytes(0));
                KEPT.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Expired);
                assert_eq!((receipt.clips, receipt.missed.len()), (0, 1), "promised and lost");
                MISSED.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let outcomes = [&KEPT, &MISSED].map(|outcome| outcome.load(Ordering::Relaxed));
    eprintln!("LOOM kept {}, missed {}", outcomes[0], outcomes[1]);
    assert!(outcomes.iter().all(|count| *count > 0), "one of them was always first");
}

#[test]
fn loom_a_sweep_drops_no_segment_before_its_seal_is_on_record() {
    try_all("seal against sweep", 3, || {
        // The sweep itself does not seal it: it is due, and not old.
        let Tried { disk, clock, store } = Tried::sealing_at(Duration::from_hours(24));
        append(&store, 0).unwrap();
        clock.advance(Duration::from_hours(2));
        let sweeper = store.clone();
        let sweep = beside(move || sweeper.sweep().unwrap().problems.len());
        store.seal().unwrap();
        assert_eq!(sweep.join().unwrap(), 0);
        drop(store);
        let again = Store::options().vfs(disk).clock(clock).evidence_reserve(0).free_space_floor(0);
        let problems = again.open("loom").unwrap().opening().problems;
        assert!(problems.is_empty(), "{problems:?}");
    });
}

#[test]
fn loom_a_reader_gets_all_its_bytes_or_none() {
    try_all("lease against drop", 3, || {
        let tried = Tried::new();
        let clip = tried.due_clip().id();
        let store = tried.store.clone();
        let sweep = beside(move || store.sweep().unwrap().problems.len());
        read_all_or_none(&tried.store, clip);
        assert_eq!(sweep.join().unwrap(), 0);
    });
}

#[test]
fn loom_a_reader_keeps_a_deleted_clip_from_being_punched() {
    try_all("lease against punch", 3, || {
        let tried = Tried::new();
        let clip = append(&tried.store, 0).unwrap().id();
        append(&tried.store, 1).unwrap();
        tried.store.seal().unwrap();
        let store = tried.store.clone();
        let owner = beside(move || store.delete_clip(clip, "ann", "").unwrap());
        read_all_or_none(&tried.store, clip);
        owner.join().unwrap();
        assert_eq!(tried.store.read(clip).unwrap_err().kind(), ErrorKind::Expired);
    });
}

fn read_all_or_none(store: &Store, clip: ClipId) {
    match store.read(clip) {
        Ok(reader) => assert_eq!(reader.to_vec().unwrap(), bytes(0)),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Expired, "{error}"),
    }
}
