//! The long run: the matrix again and again with ever new seeds, until its time is over.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{Budget, explore, number_from_environment, scenarios, share};
use crate::say::say;

/// How many states a seed looks at, in all scenarios: few enough that a run of half an hour comes
/// to each of them several times.
const STATES_A_SEED: u64 = 40_000;

/// Without `CLIPKEEP_CRASH_MINUTES` a few seconds, so that this cannot rot.
#[test]
#[expect(clippy::disallowed_methods, reason = "it ends when its time is over")]
fn ever_new_seeds_survive() {
    let minutes = number_from_environment("CLIPKEEP_CRASH_MINUTES");
    let first = number_from_environment("CLIPKEEP_CRASH_SEED").unwrap_or(1_000);
    let length = minutes.map_or(Duration::from_secs(3), Duration::from_mins);
    let (began, next) = (Instant::now(), AtomicU64::new(0));
    let until = began + length;
    let (distinct, checked, failed) =
        (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let known: Vec<_> = scenarios::ALL.iter().chain(&scenarios::DAMAGED).collect();
    let count = super::scenarios();
    let work = || {
        while Instant::now() < until {
            // Each job is one scenario with one seed.
            let job = next.fetch_add(1, Ordering::SeqCst);
            let (name, scenario) = known[usize::try_from(job % count).expect("a few")];
            let seed = first + job / count;
            let states = share(STATES_A_SEED, name);
            let budget = Budget { states, seed, until: Some(until) };
            match explore(name, *scenario, budget) {
                Ok(count) => {
                    distinct.fetch_add(count.distinct, Ordering::SeqCst);
                    checked.fetch_add(count.checked, Ordering::SeqCst);
                }
                Err(violation) => {
                    failed.store(true, Ordering::SeqCst);
                    say(&format!("CRASH SIM violation: {violation}"));
                }
            }
            if job % count == count - 1 {
                say(&format!(
                    "CRASH SIM: {} seconds, seed {seed}, {} distinct states",
                    began.elapsed().as_secs(),
                    distinct.load(Ordering::SeqCst)
                ));
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..if minutes.is_some() { threads } else { 1 } {
            scope.spawn(work);
        }
    });
    say(&format!(
        "CRASH SIM: {} distinct states, {} openings checked, {} jobs of {count} scenarios from \
         seed {first}, {} seconds, {}",
        distinct.load(Ordering::SeqCst),
        checked.load(Ordering::SeqCst),
        next.load(Ordering::SeqCst),
        began.elapsed().as_secs(),
        if failed.load(Ordering::SeqCst) { "VIOLATIONS above" } else { "0 violations" }
    ));
    assert!(distinct.load(Ordering::SeqCst) > 0, "it looked at nothing");
    assert!(!failed.load(Ordering::SeqCst), "a promise was broken, see above");
}
