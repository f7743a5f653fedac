//! Writers, readers, holders, an owner who deletes and a sweeper on one store, as threads that draw
//! what they do from a seed: on the simulated disk, where the power fails at the end, and on a real
//! file system.
//!
//! Each thread does a fixed number of things. What the store promised is checked by whoever sees
//! it, and once more at the end and after opening again. The seed decides what is done and the
//! system in which order: `CLIPKEEP_THREADS_SEED=<seed>` does the same things again,
//! `CLIPKEEP_THREADS_SEEDS=<count>` tries more. Every order of a few locks is tried in
//! `src/store/loom_tests.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use clipkeep::vfs::sim::SimVfs;
use clipkeep::{
    ClipId, ErrorKind, HoldId, ManualClock, NewClip, NewHold, Release, ReleaseCause, Retention,
    Store, StoreOptions, Timestamp, VerifyDepth, Window,
};

use crate::crash::{below, number_from_environment};
use crate::store_kit::{HOUR, MINUTE, SEGMENT_BYTES, camera, noise};

const CAMERAS: [&str; 3] = ["door", "yard", "gate"];
const CLIPS: u64 = 40;
const START_US: i64 = 1_700_000_000_000_000;

/// Draws of one thread.
struct Draws {
    seed: u64,
    count: u64,
}

impl Draws {
    fn below(&mut self, bound: u64) -> u64 {
        self.count += 1;
        below(self.seed, self.count, bound)
    }
}

/// What the store was heard to promise.
#[derive(Default)]
struct Heard {
    /// Acknowledged clips, with what their bytes follow from.
    written: BTreeMap<ClipId, u64>,
    /// Seen to be gone by somebody.
    gone: BTreeSet<ClipId>,
    /// Under each hold whose release nobody has asked for: what could be read under it.
    held: BTreeMap<HoldId, Vec<ClipId>>,
}

impl Heard {
    fn is_held(&self, clip: ClipId) -> bool {
        self.held.values().flatten().any(|held| *held == clip)
    }
}

struct Tried {
    seed: u64,
    store: Store,
    clock: ManualClock,
    heard: Mutex<Heard>,
}

fn minute(number: u64) -> Window {
    let start = Timestamp::from_micros(START_US).saturating_add(Duration::from_mins(number));
    Window::starting(start, MINUTE).unwrap()
}

fn bytes(number: u64) -> Vec<u8> {
    noise(number, 20_000 + usize::try_from(number % 7).unwrap() * 40_000)
}

fn options(clock: &ManualClock) -> StoreOptions {
    Store::options()
        .clock(clock.clone())
        .retention(Retention::new(HOUR, 2 * HOUR).unwrap())
        .segment_bytes(SEGMENT_BYTES)
        .segment_age(10 * MINUTE)
        .evidence_reserve(SEGMENT_BYTES)
        .free_space_floor(0)
        .lease_segments_max(2)
}

impl Tried {
    fn draws(&self, thread: u64) -> Draws {
        Draws { seed: self.seed, count: thread << 32 }
    }

    /// A clip that was acknowledged at some time.
    fn any_clip(&self, draws: &mut Draws) -> Option<ClipId> {
        let heard = self.heard.lock().unwrap();
        let bound = u64::try_from(heard.written.len()).unwrap();
        let nth = usize::try_from(draws.below(bound)).unwrap();
        heard.written.keys().nth(nth).copied()
    }

    fn write(&self, index: u64) {
        let name = CAMERAS[usize::try_from(index).unwrap()];
        for number in 0..CLIPS {
            let content = number * 3 + index;
            let new = NewClip::new(&camera(name), minute(number));
            let clip = self.store.append(new, bytes(content)).unwrap();
            self.heard.lock().unwrap().written.insert(clip.id(), content);
        }
    }

    fn read(&self, thread: u64) {
        let mut draws = self.draws(thread);
        for _ in 0..3 * CLIPS {
            if let Some(clip) = self.any_clip(&mut draws) {
                self.look_at(clip);
            }
        }
    }

    /// Reads one clip and compares with what was heard before and after.
    fn look_at(&self, clip: ClipId) {
        let (content, was_gone, was_held) = {
            let heard = self.heard.lock().unwrap();
            (heard.written[&clip], heard.gone.contains(&clip), heard.is_held(clip))
        };
        match self.store.read(clip).and_then(|reader| reader.to_vec()) {
            Ok(read) => {
                assert!(!was_gone, "clip {clip} came back");
                assert!(read == bytes(content), "clip {clip} changed");
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Expired, "{error}");
                let mut heard = self.heard.lock().unwrap();
                assert!(!(was_held && heard.is_held(clip)), "held clip {clip} is gone");
                heard.gone.insert(clip);
            }
        }
    }

    /// Places holds over two minutes of a camera, and after a while lets some go again.
    fn hold(&self, thread: u64) {
        let mut draws = self.draws(thread);
        let mut mine = Vec::new();
        for _ in 0..CLIPS / 2 {
            let name = camera(CAMERAS[usize::try_from(draws.below(3)).unwrap()]);
            self.store.add_camera(&name).unwrap();
            let first = draws.below(CLIPS);
            let window = Window::new(minute(first).start(), minute(first + 1).end()).unwrap();
            let id = self.store.place_hold(NewHold::new([name.clone()], window)).unwrap().id;
            // Whatever is there now was there when the hold was, or came under it.
            let covered: Vec<_> =
                self.store.clips(&name, window).unwrap().map(|clip| clip.id()).collect();
            self.heard.lock().unwrap().held.insert(id, covered.clone());
            mine.push(id);
            for clip in covered {
                let known = self.heard.lock().unwrap().written.contains_key(&clip);
                if known {
                    self.look_at(clip);
                }
            }
            if draws.below(2) == 0 {
                let which = draws.below(u64::try_from(mine.len()).unwrap());
                let id = mine.swap_remove(usize::try_from(which).unwrap());
                self.heard.lock().unwrap().held.remove(&id);
                let release = Release::new(ReleaseCause::Owner, "ann");
                self.store.release_hold(id, &release).unwrap();
            }
        }
    }

    fn delete(&self, thread: u64) {
        let mut draws = self.draws(thread);
        for _ in 0..CLIPS {
            let Some(clip) = self.any_clip(&mut draws) else { continue };
            let was_held = self.heard.lock().unwrap().is_held(clip);
            match self.store.delete_clip(clip, "ann", "") {
                Ok(()) => {
                    let mut heard = self.heard.lock().unwrap();
                    assert!(!(was_held && heard.is_held(clip)), "held clip {clip} was deleted");
                    heard.gone.insert(clip);
                    drop(heard);
                    self.look_at(clip);
                }
                Err(error) => {
                    let expected = [ErrorKind::Held, ErrorKind::Expired];
                    assert!(expected.contains(&error.kind()), "{error}");
                }
            }
        }
    }

    fn sweep(&self, thread: u64) {
        let mut draws = self.draws(thread);
        for _ in 0..CLIPS {
            self.clock.advance(MINUTE * u32::try_from(draws.below(20)).unwrap());
            let report = self.store.sweep().unwrap();
            assert!(report.problems.is_empty(), "{:?}", report.problems);
            self.store.plan_sweep().unwrap();
            self.store.stats().unwrap();
        }
    }

    /// Everybody at once, to the end.
    fn run(&self) {
        thread::scope(|scope| {
            for index in 0..3 {
                scope.spawn(move || self.write(index));
            }
            scope.spawn(|| self.read(4));
            scope.spawn(|| self.read(5));
            scope.spawn(|| self.hold(6));
            scope.spawn(|| self.hold(7));
            scope.spawn(|| self.delete(8));
            scope.spawn(|| self.sweep(9));
        });
        self.check();
    }

    /// Every clip that was ever acknowledged, and what the disk says.
    fn check(&self) {
        let written: Vec<ClipId> = self.heard.lock().unwrap().written.keys().copied().collect();
        assert_eq!(written.len(), usize::try_from(3 * CLIPS).unwrap());
        for clip in written {
            self.look_at(clip);
        }
        for hold in self.heard.lock().unwrap().held.keys() {
            assert!(self.store.hold(*hold).unwrap().protects(), "hold {hold} ended by itself");
        }
        assert!(self.store.problems().is_empty(), "{:?}", self.store.problems());
        let report = self.store.verify(VerifyDepth::Bytes, &mut |_| {}).unwrap();
        assert!(report.faults.is_empty(), "{:?}", report.faults);
    }

    /// Ends this process; `open` is the next one.
    fn again(self, open: impl FnOnce(StoreOptions) -> Store) -> Self {
        let Self { seed, store, clock, heard } = self;
        drop(store);
        let store = open(options(&clock));
        assert!(store.opening().problems.is_empty(), "{:?}", store.opening().problems);
        Self { seed, store, clock, heard }
    }
}

fn with_seeds(test: impl Fn(u64)) {
    let seeds = number_from_environment("CLIPKEEP_THREADS_SEEDS").unwrap_or(3);
    let seeds = match number_from_environment("CLIPKEEP_THREADS_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..seeds,
    };
    for seed in seeds {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| test(seed))) {
            eprintln!("the same things again with CLIPKEEP_THREADS_SEED={seed}");
            resume_unwind(panic);
        }
    }
}

fn begin(seed: u64, open: impl FnOnce(StoreOptions) -> Store) -> Tried {
    let clock = ManualClock::at(Timestamp::from_micros(START_US).saturating_add(2 * HOUR));
    let store = open(options(&clock));
    Tried { seed, store, clock, heard: Mutex::default() }
}

#[test]
fn threads_get_what_they_were_promised_on_a_simulated_disk_that_loses_power() {
    with_seeds(|seed| {
        let disk = SimVfs::new(seed);
        let tried = begin(seed, |options| options.vfs(disk.clone()).open("sim").unwrap());
        tried.run();
        let after = disk.crash();
        tried.clock.reboot();
        let tried = tried.again(|options| options.vfs(after.clone()).open("sim").unwrap());
        tried.check();
    });
}

#[test]
fn threads_get_what_they_were_promised_on_a_real_file_system() {
    with_seeds(|seed| {
        let dir = tempfile::tempdir().unwrap();
        let tried = begin(seed, |options| options.open(dir.path()).unwrap());
        tried.run();
        tried.again(|options| options.open(dir.path()).unwrap()).check();
    });
}
