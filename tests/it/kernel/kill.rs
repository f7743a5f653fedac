//! A real process on a real disk, killed at any moment: what it had acknowledged, written down in
//! another folder, is compared with what the next process finds.
//!
//! The test binary runs itself again as the recorder: eight cameras append, stream and hold while
//! a sweep runs without pause. It is killed after a number of acknowledgements that follows from
//! the seed, or while it opens the store. A kill loses no page cache, so this proves the order of
//! acknowledgements and recovery on the real file system; power loss is for the simulated disk.
//!
//! `CLIPKEEP_KILL_ROUNDS=<count>` kills more often than an ordinary run,
//! `CLIPKEEP_CRASH_SEED=<seed>` at other moments.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use clipkeep::{
    ClipId, Error, ErrorKind, HoldId, ManualClock, NewClip, NewHold, Result, Retention, Store,
    Timestamp, VerifyDepth, Window,
};
use parking_lot::Mutex;

use super::{stage, tally};
use crate::crash::{below, number_from_environment};
use crate::world::{camera, footage};

const ROUNDS_DEFAULT: u64 = 30;
/// One round of so many is over before the recorder has said anything.
const OPENING_EVERY: u64 = 5;
const CAMERAS: u64 = 8;
const FRAGMENT_BYTES: usize = 20_000;
const AT_MOST: Duration = Duration::from_mins(10);
/// The signal that cannot be caught.
const SIGKILL: i32 = 9;
const MINUTE: Duration = Duration::from_mins(1);

fn open(dir: &Path, clock: &ManualClock) -> Store {
    Store::options()
        .clock(clock.clone())
        .retention(Retention::new(AT_MOST / 2, AT_MOST).unwrap())
        .segment_bytes(4 << 20)
        .segment_age(MINUTE)
        .evidence_reserve(4 << 20)
        .free_space_floor(0)
        .open(dir)
        .expect("a store that was cut off opens")
}

/// The clock of process number `boot`, which no other process shares.
fn clock_of(boot: u64, at: Timestamp) -> ManualClock {
    let clock = ManualClock::at(at);
    (0..boot).for_each(|_| clock.reboot());
    clock
}

/// Where a recorder writes down what was acknowledged, and tells whoever listens.
struct Acks(Mutex<File>);

impl Acks {
    /// Writes one line down for good, then tells of it. Answers whether somebody listens.
    fn say(&self, line: &str) -> bool {
        let mut file = self.0.lock();
        file.write_all(format!("{line}\n").as_bytes()).unwrap();
        file.sync_data().unwrap();
        drop(file);
        // Not by `print!`, which would keep it until the test ends.
        let mut out = std::io::stdout().lock();
        out.write_all(b"\n").and_then(|()| out.flush()).is_ok()
    }
}

fn acks_file(dir: &Path, round: u64) -> PathBuf {
    dir.join(format!("acks-{round}"))
}

/// Role: records, holds and sweeps until nobody listens.
pub(super) fn recorder(task: &str) {
    let mut task = task.splitn(3, ' ');
    let round: u64 = task.next().unwrap().parse().unwrap();
    let at: i64 = task.next().unwrap().parse().unwrap();
    let dir = Path::new(task.next().unwrap());
    let clock = clock_of(2 * round, Timestamp::from_micros(at));
    let acks = Acks(Mutex::new(File::create_new(acks_file(dir, round)).unwrap()));
    let store = open(&dir.join("store"), &clock);
    let numbers = AtomicU64::new(round * 1_000_000);
    thread::scope(|scope| {
        for number in 0..CAMERAS {
            let (store, acks, numbers) = (&store, &acks, &numbers);
            scope.spawn(move || record(store, acks, numbers, &format!("street-{number}")));
        }
        clock.advance(MINUTE);
        while acks.say(&format!("clock {}", store.now().as_micros())) {
            store.sweep().expect("sweeping works");
            clock.advance(MINUTE);
        }
    });
}

/// One camera, for as long as somebody listens: a clip at once, which may be held, then one in
/// fragments.
fn record(store: &Store, acks: &Acks, numbers: &AtomicU64, name: &str) -> Result<()> {
    let camera = camera(name);
    loop {
        let number = numbers.fetch_add(10, Ordering::Relaxed);
        let second = |offset| Timestamp::from_micros(i64::try_from(number + offset).unwrap() << 20);
        let window = Window::new(second(0), second(1))?;
        let len = 1 + usize::try_from(below(number, 1, 90_000)).unwrap();
        let clip = store.append(NewClip::new(&camera, window), footage(number, len))?;
        let received = clip.received().as_micros();
        let digest = blake3::Hash::from_bytes(*clip.digest());
        if !acks.say(&format!("clip {} {received} {number} {len} {digest}", clip.id())) {
            return Ok(());
        }
        if below(number, 2, 16) == 0 {
            let hold = store.place_hold(NewHold::new([camera.clone()], window))?;
            // A sweep may have been first if the clip was due by then.
            if store.now() < clip.received().saturating_add(AT_MOST) {
                acks.say(&format!("held {} {}", clip.id(), hold.id));
            }
        }
        let mut recorder = store.record(NewClip::starting(&camera, second(2)))?;
        for fragment in 1..4 {
            // At the earliest: the clock may move while it is written.
            let received = store.now().as_micros();
            recorder.write(footage(number + fragment, FRAGMENT_BYTES), Duration::from_secs(1))?;
            let clip = recorder.clips()[0];
            acks.say(&format!("part {clip} {received} {number} {fragment}"));
        }
        recorder.finish()?;
    }
}

/// What was heard of a clip.
struct Heard {
    received: Timestamp,
    bytes: Vec<u8>,
    whole: bool,
}

/// All that was heard from all recorders.
#[derive(Default)]
struct Witness {
    clips: BTreeMap<ClipId, Heard>,
    held: BTreeMap<ClipId, HoldId>,
    gone: BTreeSet<ClipId>,
    clock: Timestamp,
}

impl Witness {
    /// Takes in a line.
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |word: &str| word.parse::<u64>().unwrap();
        let time = |word: &str| Timestamp::from_micros(word.parse().unwrap());
        match words[..] {
            ["clip", id, received, seed, len, digest] => {
                let bytes = footage(number(seed), usize::try_from(number(len)).unwrap());
                assert_eq!(blake3::hash(&bytes).to_string(), digest, "the digest of clip {id}");
                let heard = Heard { received: time(received), bytes, whole: true };
                self.clips.insert(id.parse().unwrap(), heard);
            }
            ["part", id, received, seed, fragment] => {
                let heard = self.clips.entry(id.parse().unwrap());
                let heard = heard.or_insert(Heard {
                    received: Timestamp::MIN,
                    bytes: Vec::new(),
                    whole: false,
                });
                heard.received = time(received);
                let seed = number(seed) + number(fragment);
                heard.bytes.extend_from_slice(&footage(seed, FRAGMENT_BYTES));
            }
            ["held", id, hold] => {
                self.held.insert(id.parse().unwrap(), hold.parse().unwrap());
            }
            ["clock", at] => self.clock = time(at),
            _ => panic!("the recorder wrote {line:?}"),
        }
    }

    fn check(&mut self, store: &Store) {
        assert!(store.opening().problems.is_empty(), "{:?}", store.opening().problems);
        // The recorder may have moved its clock without being heard.
        let now = self.clock.saturating_add(MINUTE);
        for (id, heard) in &self.clips {
            let read = store.read(*id).and_then(|reader| reader.to_vec());
            if self.gone.contains(id) {
                assert!(read.is_err(), "clip {id} came back");
                continue;
            }
            match read {
                Ok(bytes) if heard.whole => assert!(bytes == heard.bytes, "clip {id} changed"),
                Ok(bytes) => assert!(bytes.starts_with(&heard.bytes), "recording {id} lost bytes"),
                Err(error) => {
                    self.check_may_go(*id, heard, now, &error);
                    self.gone.insert(*id);
                }
            }
        }
        for (clip, hold) in &self.held {
            assert!(store.hold(*hold).unwrap().protects(), "hold {hold} on {clip} is lost");
        }
        let faults = store.verify(VerifyDepth::Bytes, &mut |_| {}).unwrap().faults;
        assert!(faults.is_empty(), "{faults:?}");
    }

    fn check_may_go(&self, id: ClipId, heard: &Heard, now: Timestamp, error: &Error) {
        let due = heard.received.saturating_add(AT_MOST) <= now;
        let gone = matches!(error.kind(), ErrorKind::Expired | ErrorKind::NotFound);
        let hold = self.held.get(&id);
        let received = heard.received;
        assert!(
            due && gone && hold.is_none(),
            "clip {id} of {received} under {hold:?} is lost at {now}: {error}"
        );
    }
}

/// Runs a recorder until it has said `lines` lines, or, for none, for as long as `patience` says,
/// kills it, and hears what it has written down.
fn run_and_kill(dir: &Path, round: u64, lines: u64, patience: u64, witness: &mut Witness) {
    let task = format!("{round} {} {}", witness.clock.as_micros(), dir.display());
    let mut child = stage::command(&[], "recorder", &task)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    (0..patience).for_each(|_| thread::yield_now());
    let (mut said, mut line) = (0, String::new());
    while said < lines {
        line.clear();
        assert!(out.read_line(&mut line).unwrap() > 0, "the recorder ended after {said} lines");
        said += 1;
    }
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(SIGKILL), "the recorder ended by itself");
    let acks = std::fs::read_to_string(acks_file(dir, round)).unwrap_or_default();
    // A line that was cut off by the kill says nothing.
    let whole = acks.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    let heard = whole.inspect(|line| witness.hear(line)).count();
    assert!(heard > 0 || lines == 0, "nothing was written down");
}

#[test]
fn what_a_killed_process_acknowledged_is_there() {
    tally::unless_missing(None, "a loop of kills", kill_and_check);
}

fn kill_and_check() {
    let rounds = number_from_environment("CLIPKEEP_KILL_ROUNDS").unwrap_or(ROUNDS_DEFAULT);
    let seed = number_from_environment("CLIPKEEP_CRASH_SEED").unwrap_or(1);
    let dir = tempfile::tempdir().unwrap();
    let clock = Timestamp::from_micros(1_700_000_000_000_000);
    let mut witness = Witness { clock, ..Witness::default() };
    for round in 0..rounds {
        let (lines, patience) = if round % OPENING_EVERY == OPENING_EVERY - 1 {
            (0, below(seed, round, 40_000))
        } else {
            // The test harness says some before the recorder does.
            (10 + below(seed, round, 250), 0)
        };
        run_and_kill(dir.path(), round, lines, patience, &mut witness);
        let clock = clock_of(2 * round + 1, witness.clock);
        let store = open(&dir.path().join("store"), &clock);
        witness.check(&store);
        eprintln!(
            "round {round}: {} clips heard of, {} held, {} gone",
            witness.clips.len(),
            witness.held.len(),
            witness.gone.len()
        );
    }
    assert!(!witness.held.is_empty() && !witness.clips.is_empty());
}
