//! Every sync, checksum test and hold check is switched off in turn, and something must notice.
//!
//! `table` says what notices: crashes of a scenario, or a directed test. A barrier that nothing
//! misses is not needed or not tested, and either way this fails. The very same attempt must
//! succeed with the barrier in place, so that it is the barrier that was missed and nothing else.
//!
//! Prints a line a barrier that begins with `BARRIER `: its name, what caught its absence, and
//! after how many states. Everything follows from the numbers of the attempts, and
//! `CLIPKEEP_BARRIER=<name>` tries one barrier alone.

mod crashes;
mod damage;
mod disk;
mod forge;
mod holds;
mod index;
mod kit;
mod ledger;
mod meddler;
mod repair;
mod requests;
mod table;

use std::cell::Cell;
use std::fmt::Write as _;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, Once};
use std::thread;

use clipkeep::barrier::{Barrier, Without};

/// How many attempts a directed test has, where a power cut may by chance keep what was not synced.
const TEST_ATTEMPTS: u64 = 32;

/// One way to notice that a barrier is gone.
struct Catcher {
    name: String,
    attempts: u64,
    /// How many states of the disk an attempt looks at, at most.
    states: fn(u64) -> u64,
    /// Panics when what was promised is not kept. What happens in it follows from its number.
    attempt: Box<dyn Fn(u64)>,
    /// What must have failed before, for the barrier to be the last that stands.
    failed_before: Vec<Barrier>,
}

impl Catcher {
    fn test(name: &str, attempt: fn(u64)) -> Self {
        let (name, attempt) = (name.to_owned(), Box::new(attempt));
        let (attempts, states) = (TEST_ATTEMPTS, |_| 1);
        Self { name, attempts, states, attempt, failed_before: Vec::new() }
    }

    /// The same with `barrier` off from the start.
    fn behind(mut self, barrier: Barrier) -> Self {
        write!(self.name, ", without {barrier:?}").unwrap();
        self.failed_before.push(barrier);
        self
    }

    /// Runs attempt `number` with `barriers` off. Answers whether it failed, and whether anything
    /// went past the barriers.
    fn fails_without(&self, barriers: &[Barrier], number: u64) -> (bool, bool) {
        let without = Without::these(barriers);
        let failed = fails(|| (self.attempt)(number));
        (failed, without.passed() > 0)
    }
}

/// What became of a store without the barrier.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// An attempt failed, after at most so many states.
    Caught(u64),
    /// It fails with the barrier in place too: it says nothing.
    FailsAnyway(u64),
    Survived,
}

thread_local! {
    /// A panic of this thread is what is hoped for: it is not printed.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Whether `attempt` panics.
fn fails(attempt: impl FnOnce()) -> bool {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                print(panic);
            }
        }));
    });
    QUIET.set(true);
    let failed = catch_unwind(AssertUnwindSafe(attempt)).is_err();
    QUIET.set(false);
    failed
}

/// Takes `barrier` away until its catcher notices.
fn hunt(barrier: Barrier, catcher: &Catcher) -> Outcome {
    let mut off = catcher.failed_before.clone();
    off.push(barrier);
    let mut states = 0;
    for number in 0..catcher.attempts {
        states += (catcher.states)(number);
        if catcher.fails_without(&off, number) == (true, true) {
            let (anyway, _) = catcher.fails_without(&catcher.failed_before, number);
            return if anyway { Outcome::FailsAnyway(states) } else { Outcome::Caught(states) };
        }
    }
    Outcome::Survived
}

/// Hunts all of `barriers` on as many threads as there are cores: each has switches of its own.
fn hunt_all(barriers: &[Barrier]) -> Vec<(Barrier, String, Outcome)> {
    let queue = Mutex::new(barriers.iter());
    let found = Mutex::new(Vec::new());
    let next = || queue.lock().unwrap().next().copied();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(barrier) = next() {
                    let catcher = table::catcher_of(barrier);
                    let outcome = hunt(barrier, &catcher);
                    found.lock().unwrap().push((barrier, catcher.name, outcome));
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap();
    found.sort_by_key(|(barrier, ..)| *barrier);
    found
}

/// Past the capture of the test runner: the table is for whoever runs the tests.
fn say(lines: &str) {
    std::io::stdout().lock().write_all(lines.as_bytes()).unwrap();
}

#[test]
fn every_barrier_is_missed_when_it_is_gone() {
    let only = std::env::var("CLIPKEEP_BARRIER").ok();
    let meant =
        |barrier: &Barrier| only.as_ref().is_none_or(|name| *name == format!("{barrier:?}"));
    let barriers: Vec<Barrier> = Barrier::ALL.iter().copied().filter(meant).collect();
    assert!(!barriers.is_empty(), "there is no barrier {only:?}");
    let found = hunt_all(&barriers);
    let mut table = String::from("\n");
    let mut killed = 0;
    for (barrier, catcher, outcome) in &found {
        let states = match outcome {
            Outcome::Caught(states) => format!("{states:>4} states"),
            Outcome::FailsAnyway(states) => format!("{states:>4} FAILS WITH IT TOO"),
            Outcome::Survived => "     SURVIVED".to_owned(),
        };
        killed += usize::from(matches!(outcome, Outcome::Caught(_)));
        let (name, kind) = (format!("{barrier:?}"), format!("{:?}", barrier.kind()));
        writeln!(table, "BARRIER {name:<21} {kind:<8} {catcher:<60} {states}").unwrap();
    }
    say(&format!("{table}BARRIERS killed {killed} of {}\n", found.len()));
    assert_eq!(killed, found.len(), "nothing misses some barriers: see the table");
}

#[test]
fn a_barrier_that_is_off_is_off_on_its_thread_alone() {
    let clean = || fails(|| damage::flipped_bit_in_a_chunk(0));
    let off = Without::these(&[Barrier::ChunkCrc]);
    assert!(clean(), "it is off");
    assert!(!thread::spawn(clean).join().unwrap(), "another thread has it");
    drop(off);
    assert!(!clean(), "it stands again");
}

#[test]
fn a_barrier_that_nothing_went_past_is_not_caught() {
    let unrelated = Catcher::test("unrelated", |_| panic!("it always fails"));
    assert_eq!(hunt(Barrier::CommitSync, &unrelated), Outcome::Survived);
    let anyway = Catcher::test("anyway", |number| {
        damage::flipped_bit_in_a_chunk(number);
        panic!("it always fails");
    });
    assert_eq!(hunt(Barrier::CommitSync, &anyway), Outcome::FailsAnyway(1));
}
