//! A real process on a real disk, killed at any moment: what it had said over a pipe is compared
//! with what the next process finds.
//!
//! The test binary runs itself again as the recorder: eight cameras append, stream and hold while
//! a sweep runs without pause. A kill loses no page cache, so this proves the order of
//! acknowledgements and recovery on the real file system; power loss is for the simulated disk.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use clipkeep::{
    ClipId, Error, ErrorKind, HoldId, ManualClock, NewClip, NewHold, Result, Retention, Store,
    Timestamp, VerifyDepth, Window,
};

use super::stage;
use crate::crash::{below, number_from_environment};
use crate::world::{camera, footage};

const ROUNDS_DEFAULT: u64 = 10;
const CAMERAS: u64 = 8;
const FRAGMENT_BYTES: usize = 20_000;
const AT_MOST: Duration = Duration::from_mins(10);
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

/// Says one line, whole: `print!` would keep it from the pipe until the test ends. Answers whether
/// somebody listens.
fn say(line: &str) -> bool {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).is_ok()
}

/// Role: records, holds and sweeps until nobody listens.
pub(super) fn recorder(task: &str) {
    let mut task = task.splitn(3, ' ');
    let round: u64 = task.next().unwrap().parse().unwrap();
    let at: i64 = task.next().unwrap().parse().unwrap();
    let dir = Path::new(task.next().unwrap());
    let clock = clock_of(2 * round, Timestamp::from_micros(at));
    let store = open(dir, &clock);
    // Ends the line that the test harness has begun.
    say("");
    let numbers = AtomicU64::new(round * 1_000_000);
    thread::scope(|scope| {
        for number in 0..CAMERAS {
            let (store, numbers) = (&store, &numbers);
            scope.spawn(move || record(store, numbers, &format!("street-{number}")));
        }
        clock.advance(MINUTE);
        while say(&format!("clock {}", store.now().as_micros())) {
            store.sweep().expect("sweeping works");
            clock.advance(MINUTE);
        }
    });
}

/// One camera, for as long as somebody listens: a clip at once, which may be held, then one in fragments.
fn record(store: &Store, numbers: &AtomicU64, name: &str) -> Result<()> {
    let camera = camera(name);
    loop {
        let number = numbers.fetch_add(10, Ordering::Relaxed);
        let second = |offset| Timestamp::from_micros(i64::try_from(number + offset).unwrap() << 20);
        let window = Window::new(second(0), second(1))?;
        let len = 1 + usize::try_from(below(number, 1, 90_000)).unwrap();
        let clip = store.append(NewClip::new(&camera, window), footage(number, len))?;
        let received = clip.received().as_micros();
        if !say(&format!("clip {} {received} {number} {len}", clip.id())) {
            return Ok(());
        }
        if below(number, 2, 16) == 0 {
            let hold = store.place_hold(NewHold::new([camera.clone()], window))?;
            // A sweep may have been first if the clip was due by then.
            if store.now() < clip.received().saturating_add(AT_MOST) {
                say(&format!("held {} {}", clip.id(), hold.id));
            }
        }
        let mut recorder = store.record(NewClip::starting(&camera, second(2)))?;
        for fragment in 1..4 {
            // At the earliest: the clock may move while it is written.
            let received = store.now().as_micros();
            recorder.write(footage(number + fragment, FRAGMENT_BYTES), Duration::from_secs(1))?;
            let clip = recorder.clips()[0];
            say(&format!("part {clip} {received} {number} {fragment}"));
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
    /// Takes in a line; answers false for one that is not the recorder's, or not whole.
    fn hear(&mut self, line: &str) -> bool {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |word: &str| word.parse::<u64>().unwrap();
        let time = |word: &str| Timestamp::from_micros(word.parse().unwrap());
        match words[..] {
            ["clip", id, received, seed, len] => {
                let bytes = footage(number(seed), usize::try_from(number(len)).unwrap());
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
            _ => return false,
        }
        true
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

/// Runs a recorder until it has said `lines` lines, kills it, and hears the rest.
fn run_and_kill(dir: &Path, round: u64, lines: u64, witness: &mut Witness) {
    let task = format!("{round} {} {}", witness.clock.as_micros(), dir.display());
    let mut child = stage::command(&[], "recorder", &task)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let (mut heard, mut line) = (0, String::new());
    let mut killed = false;
    while out.read_line(&mut line).unwrap() > 0 {
        // A line that was cut off by the kill says nothing.
        if line.ends_with('\n') && witness.hear(line.trim_end()) {
            heard += 1;
        }
        if heard >= lines && !killed {
            child.kill().unwrap();
            killed = true;
        }
        line.clear();
    }
    child.wait().unwrap();
    assert!(killed, "the recorder ended by itself after {heard} lines");
}

#[test]
fn what_a_killed_process_acknowledged_is_there() {
    let rounds = number_from_environment("CLIPKEEP_KILL_ROUNDS").unwrap_or(ROUNDS_DEFAULT);
    let seed = number_from_environment("CLIPKEEP_CRASH_SEED").unwrap_or(1);
    let dir = tempfile::tempdir().unwrap();
    let clock = Timestamp::from_micros(1_700_000_000_000_000);
    let mut witness = Witness { clock, ..Witness::default() };
    for round in 0..rounds {
        let lines = 1 + below(seed, round, 250);
        run_and_kill(dir.path(), round, lines, &mut witness);
        let clock = clock_of(2 * round + 1, witness.clock);
        let store = open(dir.path(), &clock);
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
