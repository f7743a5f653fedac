//! The code's steps are the model's: a real store on a simulated disk is driven through seeded
//! histories, and everything that it does to the disk is followed in the model.
//!
//! `CLIPKEEP_PROTOCOL_SEED=<seed>` replays one history, `CLIPKEEP_PROTOCOL_SEEDS=<count>` tries
//! more than an ordinary run.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use clipkeep::vfs::Vfs as _;
use clipkeep::vfs::sim::SimVfs;
use clipkeep::{
    Clip, ClipId, ClipReader, Hold, HoldId, LedgerLine, ManualClock, NewClip, NewHold, Release,
    ReleaseCause, Retention, Store, StoreOptions, Timestamp, Window,
};

use super::follow::{Asked, Follower, there};
use super::state::{Clips, Entry, History, bit};
use super::steps::{Protocol, Rule, Step};
use super::watch::{Change, Watch, Watcher};
use crate::crash::{below, number_from_environment};
use crate::say::say;
use crate::store_kit::{SEGMENT_BYTES, camera, noise};

const START_US: i64 = 1_700_000_000_000_000;
/// What each hold covers, as in the model.
const COVERED: [[&str; 2]; 2] = [["a", "b"], ["b", "c"]];
/// Evidence segments get an id a try, and the model has ids for so many tries.
const SWEEPS_MAX: usize = 3;
const CRASHES_MAX: usize = 2;
const SEEDS_DEFAULT: u64 = 60;

/// Something that is asked in the middle of a sweep.
#[derive(Clone, Copy, Debug)]
enum Meanwhile {
    Place(usize),
    Release(usize),
    Delete(usize),
}

/// What the disk's changes are told to.
struct Listener {
    follower: Mutex<Follower>,
    plan: Mutex<Plan>,
    /// Wakes who waits for a decision of another thread.
    decided: Condvar,
    clips: Mutex<Vec<ClipId>>,
}

#[derive(Default)]
struct Plan {
    /// So many changes are left before the plug is pulled.
    allowed: Option<u64>,
    /// After so many changes to segments.
    meanwhile: Option<(u64, Meanwhile)>,
    store: Option<Store>,
    others: Vec<thread::JoinHandle<()>>,
    second_syncs: u64,
}

impl Watcher for Listener {
    fn before(&self) -> bool {
        let mut plan = self.plan.lock().unwrap();
        let Some(allowed) = &mut plan.allowed else { return true };
        let plugged = *allowed > 0;
        *allowed = allowed.saturating_sub(1);
        plugged
    }

    fn after(&self, change: Change) {
        self.follower.lock().unwrap().see(change);
        let ledger =
            matches!(change, Change::LedgerWrite | Change::LedgerSync | Change::SecondLedgerSync);
        let due = {
            let mut plan = self.plan.lock().unwrap();
            if change == Change::SecondLedgerSync {
                plan.second_syncs += 1;
                self.decided.notify_all();
            }
            match &mut plan.meanwhile {
                Some((0, what)) if !ledger => {
                    let what = *what;
                    plan.meanwhile = None;
                    plan.store.clone().map(|store| (what, store))
                }
                Some((left, _)) if !ledger => {
                    *left -= 1;
                    None
                }
                _ => None,
            }
        };
        if let Some((what, store)) = due {
            self.ask_meanwhile(what, &store);
        }
    }
}

impl Listener {
    fn ask(&self, what: Asked) {
        self.follower.lock().unwrap().ask(what);
    }

    /// What a process says behind the last change that it was allowed, nobody hears.
    fn answered(&self, what: Asked, done: bool) {
        if self.plan.lock().unwrap().allowed == Some(0) {
            return;
        }
        self.follower.lock().unwrap().answered(what, done);
    }

    fn place(&self, store: &Store, hold: usize) {
        self.ask(Asked::Place(hold));
        let cameras = COVERED[hold].map(camera);
        let placed = store.place_hold(NewHold::new(cameras, minute(0)));
        self.answered(Asked::Place(hold), placed.is_ok());
    }

    fn release(&self, store: &Store, hold: usize) {
        let Some(id) = hold_id(store, hold) else { return };
        self.ask(Asked::Release(hold));
        let released = store.release_hold(id, &Release::new(ReleaseCause::Owner, "ann"));
        self.answered(Asked::Release(hold), released.is_ok());
    }

    fn ask_meanwhile(&self, what: Meanwhile, store: &Store) {
        match what {
            Meanwhile::Place(hold) => {
                let known = store.holds().iter().any(|known| index_of(known) == hold);
                if !known {
                    self.place(store, hold);
                }
            }
            Meanwhile::Release(hold) => self.release(store, hold),
            Meanwhile::Delete(clip) => self.delete_beside(clip, store),
        }
    }

    /// Another thread deletes the clip, and waits for the sweep that asks for this.
    fn delete_beside(&self, clip: usize, store: &Store) {
        self.ask(Asked::Delete(clip));
        let id = self.clips.lock().unwrap()[clip];
        let before = self.plan.lock().unwrap().second_syncs;
        let finished = Arc::new(Mutex::new(false));
        let (done, other) = (Arc::clone(&finished), store.clone());
        let owner = thread::spawn(move || {
            other.delete_clip(id, "ann", "").ok();
            *done.lock().unwrap() = true;
        });
        let mut plan = self.plan.lock().unwrap();
        // It is refused, or its decision is synced and it waits for the sweep.
        while plan.second_syncs == before && !*finished.lock().unwrap() {
            let (guard, _) = self.decided.wait_timeout(plan, Duration::from_millis(1)).unwrap();
            plan = guard;
        }
        plan.others.push(owner);
        drop(plan);
        // Whoever has the ledger lets it go only when the catalog has followed.
        drop(store.problems());
    }
}

struct Run {
    seed: u64,
    draws: u64,
    disk: SimVfs,
    clock: ManualClock,
    listener: Arc<Listener>,
    watch: Watch,
    store: Option<Store>,
    clips: [ClipId; 3],
    reader: Option<ClipReader>,
    leased: bool,
    sweeps: usize,
    crashes: usize,
}

fn minute(number: u64) -> Window {
    let start = Timestamp::from_micros(START_US).saturating_add(Duration::from_mins(number));
    Window::starting(start, Duration::from_mins(1)).unwrap()
}

fn index_of(hold: &Hold) -> usize {
    usize::from(hold.scope().iter().all(|(camera, _)| camera.as_str() != "a"))
}

fn hold_id(store: &Store, hold: usize) -> Option<HoldId> {
    store.holds().iter().find(|known| index_of(known) == hold && known.protects()).map(Hold::id)
}

fn options(clock: &ManualClock) -> StoreOptions {
    let hours = |hours| Duration::from_hours(hours);
    Store::options()
        .clock(clock.clone())
        .retention(Retention::new(hours(1), hours(2)).unwrap())
        .segment_bytes(SEGMENT_BYTES)
        .evidence_reserve(0)
        .free_space_floor(0)
}

/// Three clips in two sealed segments, the second of them over the end of the first, all due.
fn record(seed: u64) -> (SimVfs, ManualClock, [ClipId; 3]) {
    let disk = SimVfs::new(seed);
    let clock = ManualClock::at(Timestamp::from_micros(START_US));
    let store = options(&clock).vfs(disk.clone()).open("sim").unwrap();
    let add = |name: &str, len| -> Clip {
        store.append(NewClip::new(&camera(name), minute(0)), noise(seed, len)).unwrap()
    };
    let clips = [add("a", 1_000_000), add("b", 4_600_000), add("c", 20_000)].map(|clip| clip.id());
    store.seal().unwrap();
    assert_eq!(store.segments().len(), 2);
    drop(store);
    // The room that sealing gave back: otherwise a power cut brings it back, and opening punches.
    for name in disk.list("segments").unwrap() {
        disk.open(&format!("segments/{name}"), true).unwrap().sync().unwrap();
    }
    clock.advance(Duration::from_hours(3));
    (disk, clock, clips)
}

impl Run {
    fn new(seed: u64, protocol: Protocol) -> Self {
        let (disk, clock, clips) = record(seed);
        let listener = Arc::new(Listener {
            follower: Mutex::new(Follower::new(protocol)),
            plan: Mutex::default(),
            decided: Condvar::new(),
            clips: Mutex::new(clips.to_vec()),
        });
        let watch = Watch::new(&SimVfs::new(0), listener.clone());
        let mut run = Self {
            seed,
            draws: 100,
            disk,
            clock,
            listener,
            watch,
            store: None,
            clips,
            reader: None,
            leased: false,
            sweeps: 0,
            crashes: 0,
        };
        // The model begins with an open store: closing changed nothing that it knows of.
        let quiet = Arc::new(Silence);
        run.watch = Watch::new(&run.disk, quiet);
        let opened = options(&run.clock).vfs(run.watch.clone()).open("sim").unwrap();
        drop(opened);
        run.watch = Watch::new(&run.disk, run.listener.clone());
        run.listener.follower.lock().unwrap().crash(Step::Kill);
        run.open(None);
        run
    }

    fn draw(&mut self, bound: u64) -> u64 {
        self.draws += 1;
        below(self.seed, self.draws, bound)
    }

    fn index(&mut self, bound: u64) -> usize {
        usize::try_from(self.draw(bound)).unwrap()
    }

    /// Opens the store; answers whether the plug was not pulled meanwhile.
    fn open(&mut self, allowed: Option<u64>) -> bool {
        self.listener.ask(Asked::Open);
        self.listener.plan.lock().unwrap().allowed = allowed;
        let opened = options(&self.clock).vfs(self.watch.clone()).open("sim");
        if self.is_unplugged() {
            self.watch.unplug();
            drop(opened);
            return false;
        }
        let store = opened.expect("a store opens");
        assert!(store.opening().problems.is_empty(), "{:?}", store.opening().problems);
        self.listener.plan.lock().unwrap().allowed = None;
        self.listener.plan.lock().unwrap().store = Some(store.clone());
        self.store = Some(store);
        self.listener.answered(Asked::Open, true);
        self.look();
        true
    }

    fn is_unplugged(&self) -> bool {
        self.listener.plan.lock().unwrap().allowed == Some(0)
    }

    /// Compares what can be seen of the store with the model.
    fn look(&mut self) {
        let store = self.store.clone().expect("it is open");
        let readable: Clips =
            (0..3).filter(|clip| store.clip(self.clips[*clip]).is_ok()).map(bit).sum();
        for clip in (0..3).filter(|clip| readable & bit(*clip) != 0) {
            store.read(self.clips[clip]).unwrap().to_vec().unwrap();
        }
        let holds = store.holds();
        let protecting = holds.iter().filter(|hold| hold.protects()).map(|h| bit(index_of(h)));
        let mut follower = self.listener.follower.lock().unwrap();
        follower.look_at_store(readable, protecting.sum());
        follower.look_at_disk(there(&self.disk.files()), None);
        drop(follower);
        if let Some(reader) = &self.reader {
            reader.to_vec().expect("what is leased stays");
        }
    }

    fn crash(&mut self) {
        let step = if self.draw(2) == 0 { Step::Kill } else { Step::CutPower };
        self.crashes += 1;
        self.watch.unplug();
        let others = {
            let mut plan = self.listener.plan.lock().unwrap();
            (plan.store, plan.meanwhile, plan.allowed) = (None, None, None);
            std::mem::take(&mut plan.others)
        };
        for other in others {
            other.join().unwrap();
        }
        (self.reader, self.store, self.leased) = (None, None, false);
        if step == Step::CutPower {
            self.disk = self.disk.crash();
            self.clock.reboot();
        }
        self.disk.set_capacity(1 << 40);
        self.watch = Watch::new(&self.disk, self.listener.clone());
        let ledger = self.ledger();
        let mut follower = self.listener.follower.lock().unwrap();
        follower.crash(step);
        follower.look_at_disk(there(&self.disk.files()), Some(&ledger));
    }

    /// What the ledger on the disk says, read without changing anything.
    fn ledger(&self) -> History {
        let options = options(&self.clock).read_only(true).vfs(self.disk.clone());
        let store = options.open("sim").expect("it can be looked at");
        let mut history = History::new();
        let mut holds = BTreeMap::new();
        let mut take = |line: LedgerLine| {
            if let Some(entry) = entry_of(&line, &self.clips, &mut holds) {
                history.apply(entry, false);
            }
            true
        };
        store.inspect_ledger(0, &mut take).expect("the ledger can be read");
        history
    }

    fn step(&mut self) {
        let store = self.store.clone().expect("it is open");
        match self.draw(10) {
            0 | 1 => {
                let hold = self.index(2);
                if !self.place(&store, hold) {
                    drop(store);
                    self.crash_and_open();
                    return;
                }
            }
            2 => {
                let hold = self.index(2);
                self.listener.release(&store, hold);
            }
            3 => self.delete(&store),
            4 => self.read(&store),
            5 if self.crashes < CRASHES_MAX => {
                drop(store);
                self.crash_and_open();
                return;
            }
            _ if self.sweeps < SWEEPS_MAX && !self.sweep(store) => {
                self.crash_and_open();
                return;
            }
            _ => {}
        }
        self.look();
    }

    /// Places a hold, if it was not; perhaps cut off before its sync. Answers whether it was not.
    fn place(&mut self, store: &Store, hold: usize) -> bool {
        if store.holds().iter().any(|known| index_of(known) == hold) {
            return true;
        }
        let cut = self.crashes < CRASHES_MAX && self.draw(4) == 0;
        self.listener.plan.lock().unwrap().allowed = cut.then_some(1);
        self.listener.place(store, hold);
        !cut
    }

    fn delete(&mut self, store: &Store) {
        let clip = self.index(3);
        self.listener.ask(Asked::Delete(clip));
        let deleted = store.delete_clip(self.clips[clip], "ann", "");
        self.listener.answered(Asked::Delete(clip), deleted.is_ok());
    }

    fn read(&mut self, store: &Store) {
        let mut follower = self.listener.follower.lock().unwrap();
        if self.reader.take().is_some() {
            follower.lease(Step::LetGo);
        } else if let (Ok(reader), false) = (store.read(self.clips[1]), self.leased) {
            follower.lease(Step::Lease);
            (self.reader, self.leased) = (Some(reader), true);
        }
    }

    /// A sweep, perhaps with something asked meanwhile, perhaps without room, perhaps cut off.
    /// Answers whether it was not.
    fn sweep(&mut self, store: Store) -> bool {
        self.sweeps += 1;
        let full = self.draw(4) == 0;
        if full {
            self.disk.set_capacity(0);
        }
        let cut = self.crashes < CRASHES_MAX && self.draw(2) == 0;
        let allowed = cut.then(|| self.draw(24));
        let at = self.draw(10);
        let meanwhile = match self.draw(8) {
            0 | 1 => Some(Meanwhile::Place(self.index(2))),
            2 | 3 => Some(Meanwhile::Release(self.index(2))),
            4 | 5 => Some(Meanwhile::Delete(self.index(3))),
            _ => None,
        };
        {
            let mut plan = self.listener.plan.lock().unwrap();
            plan.allowed = allowed.map(|allowed| allowed + 1);
            plan.meanwhile = meanwhile.map(|what| (at, what));
        }
        self.listener.ask(Asked::Sweep);
        let swept = store.sweep();
        drop(store);
        let others = std::mem::take(&mut self.listener.plan.lock().unwrap().others);
        for other in others {
            other.join().unwrap();
        }
        self.disk.set_capacity(1 << 40);
        if self.is_unplugged() {
            return false;
        }
        {
            let mut plan = self.listener.plan.lock().unwrap();
            (plan.allowed, plan.meanwhile) = (None, None);
        }
        self.listener.answered(Asked::Sweep, swept.is_ok());
        for clip in 0..3 {
            self.listener.answered(Asked::Delete(clip), false);
        }
        true
    }

    fn crash_and_open(&mut self) {
        self.crash();
        let allowed = (self.crashes < CRASHES_MAX).then(|| 1 + self.draw(60));
        if !self.open(allowed) {
            self.crash();
            assert!(self.open(None), "nothing stops it");
        }
    }
}

struct Silence;

impl Watcher for Silence {
    fn before(&self) -> bool {
        true
    }

    fn after(&self, _: Change) {}
}

/// The model's entry for a line of the ledger, if it has one.
fn entry_of(
    line: &LedgerLine,
    clips: &[ClipId; 3],
    holds: &mut BTreeMap<String, usize>,
) -> Option<Entry> {
    let text = line.text.as_str();
    let word_after = |word: &str| {
        let rest = &text[text.find(word)? + word.len()..];
        rest.split([' ', ':', ',']).next().map(str::to_owned)
    };
    let segment = || word_after("segment ")?.parse::<usize>().ok()?.checked_sub(1);
    let named = || -> Clips {
        let is_named = |clip: &usize| {
            let name = clips[*clip].to_string();
            text.split([' ', ',', ':']).any(|word| word == name)
        };
        (0..3).filter(is_named).map(bit).sum()
    };
    Some(match line.kind {
        "hold-placed" => {
            let hold = usize::from(!text.contains(" on a "));
            holds.insert(word_after("hold ")?, hold);
            Entry::Placed(hold)
        }
        "hold-ended" => Entry::Ended(*holds.get(&word_after("hold ")?)?),
        "segment-sealed" => Entry::Sealed(segment()?),
        "segment-expired" => Entry::Expired(segment()?),
        "segment-dropped" => Entry::Dropped(segment()?),
        "clips-moved" => Entry::Moved { to: segment()?, clips: named() },
        "clips-expired" => Entry::ClipsExpired(named()),
        "clip-deleted" => Entry::Deleted((0..3).find(|clip| named() == bit(*clip))?),
        "clips-erased" => Entry::Erased { segment: segment()?, clips: named() },
        _ => return None,
    })
}

/// One history; answers the kinds of steps that were sure to be seen, or why the model has none.
fn follow(seed: u64, protocol: Protocol) -> Result<BTreeMap<&'static str, usize>, String> {
    let mut run = Run::new(seed, protocol);
    if !seed.is_multiple_of(3) {
        // The hold that leaves something to expire, and something to move, in the first segment.
        let store = run.store.clone().expect("it is open");
        run.listener.place(&store, 1);
    }
    for _ in 0..14 {
        run.step();
        let follower = run.listener.follower.lock().unwrap();
        if let Some(lost) = &follower.lost {
            return Err(format!("{}\n{lost}", follower.story.join("\n")));
        }
    }
    let kinds = run.listener.follower.lock().unwrap().kinds();
    run.watch.unplug();
    run.listener.plan.lock().unwrap().store = None;
    Ok(kinds)
}

/// Every kind of step that the model has.
const KINDS: [&str; 20] = [
    "advance",
    "append",
    "copy: name",
    "copy: sync",
    "copy: sync name",
    "copy: write",
    "cut power",
    "kill",
    "lease",
    "let go",
    "no room",
    "open",
    "plan",
    "punch",
    "resync",
    "sync",
    "sync folder",
    "sync punched",
    "take in",
    "unlink",
];

#[test]
fn the_codes_steps_are_the_models() {
    let whole = Protocol { broken: None };
    let seeds = number_from_environment("CLIPKEEP_PROTOCOL_SEEDS").unwrap_or(SEEDS_DEFAULT);
    let seeds = match number_from_environment("CLIPKEEP_PROTOCOL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..seeds,
    };
    let one = seeds.clone().count() == 1;
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut histories = 0;
    for seed in seeds {
        match follow(seed, whole) {
            Ok(kinds) => {
                for (kind, count) in kinds {
                    *seen.entry(kind).or_default() += count;
                }
            }
            Err(why) => panic!("replay with CLIPKEEP_PROTOCOL_SEED={seed}\n{why}"),
        }
        histories += 1;
    }
    say(&format!("PROTOCOL conformance {histories} histories, steps {seen:?}"));
    let missing: Vec<_> = KINDS.iter().filter(|kind| !seen.contains_key(**kind)).collect();
    assert!(one || missing.is_empty(), "no store was seen to do {missing:?}");
}

#[test]
fn a_model_with_other_steps_is_not_what_the_code_does() {
    let rules = [
        Rule::FolderIsSyncedBeforeDone,
        Rule::CopyIsSyncedBeforeTheMove,
        Rule::CopyHasItsNameBeforeTheMove,
        Rule::SourceStaysUntilTheMoveIsOnRecord,
        Rule::PunchIsSyncedBeforeDone,
        Rule::HeldClipsAreSpared,
        Rule::RecoveryFinishesDrops,
        Rule::UnnamedCopiesExpireFirst,
    ];
    for rule in rules {
        let other = Protocol { broken: Some(rule) };
        let told = (0..SEEDS_DEFAULT).any(|seed| follow(seed, other).is_err());
        assert!(told, "a model that breaks {rule:?} explains everything");
    }
}
