//! The model: random histories of a store, lived by the engine and by a reference side by side.
//!
//! `reference` is what a store should be, `step` what can happen, `histories` how often, `run` does
//! it to both, `check` has the invariants I1 to I14. A history that fails is shrunk and printed as
//! a numbered list, with the command that replays it. What was found once is in `found`.
//!
//! Plain proptest over a list of steps, not its state-machine crate: that one needs preconditions
//! on each transition so that shrinking stays valid; steps that name things modulo their number are
//! always valid, and shrink without them.

mod check;
mod deeds;
mod failing;
mod footage;
mod found;
mod harm;
mod histories;
mod reference;
mod restart;
mod run;
mod step;
mod tally;
mod upkeep;

use std::cell::RefCell;

use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};

use histories::histories;
use reference::Flaw;
use run::live;
use step::{House, Step};
use tally::Tally;

use crate::say::say;

/// Histories of an ordinary run.
const CASES: u64 = 150;

/// So many histories that failed are told, each shortened by at most so many tries.
const STORIES_MAX: usize = 4;
const SHRINKS_MAX: u32 = 2_000;

fn number_in(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text}: want a number")))
}

/// Lives the history that `seed` stands for, shrinks it if it fails, and says how to see it again.
fn try_seed(seed: u64, flaw: Option<Flaw>, shrink: u32) -> (Result<(), String>, Tally) {
    let config = Config {
        cases: 1,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        max_shrink_iters: shrink,
        ..Config::default()
    };
    let tally = RefCell::new(Tally::default());
    let tried = TestRunner::new(config).run(&histories(), |(house, steps)| {
        let (outcome, happened) = live(house, &steps, flaw);
        tally.borrow_mut().merge(&happened);
        outcome.map_err(|failure| TestCaseError::fail(failure.broken))
    });
    let outcome = match tried {
        Ok(()) => Ok(()),
        Err(TestError::Abort(reason)) => Err(format!("history {seed}: {reason}")),
        Err(TestError::Fail(reason, (house, steps))) => {
            let steps = if shrink > 0 { shortened(house, steps, flaw) } else { steps };
            Err(told(seed, &reason, house, &steps, flaw))
        }
    };
    (outcome, tally.into_inner())
}

/// A history that fails without every step that it can fail without: proptest takes whole scenes
/// away, this the steps in them.
fn shortened(house: House, mut steps: Vec<Step>, flaw: Option<Flaw>) -> Vec<Step> {
    let mut at = steps.len();
    while at > 0 {
        at -= 1;
        let mut fewer = steps.clone();
        fewer.remove(at);
        let lived = std::panic::catch_unwind(|| live(house, &fewer, flaw).0.is_ok());
        if !lived.unwrap_or(true) {
            steps = fewer;
        }
    }
    steps
}

/// The shortest history found that fails, for a person.
fn told(
    seed: u64,
    reason: &dyn std::fmt::Display,
    house: House,
    steps: &[Step],
    flaw: Option<Flaw>,
) -> String {
    let lived = std::panic::catch_unwind(|| live(house, steps, flaw).0);
    let story = if let Ok(Err(failure)) = lived {
        failure.to_string()
    } else {
        let lines = steps.iter().enumerate();
        let lines = lines.map(|(number, step)| format!("  {:>3}. {step}\n", number + 1));
        format!("{reason}\n  in a store with {house}:\n{}", lines.collect::<String>())
    };
    format!(
        "{story}\nas code: {house:?}\n{steps:?}\n\nsee it again:\nCLIPKEEP_MODEL_SEED={seed} \
         CLIPKEEP_MODEL_CASES=1 cargo test --all-features --test it model::histories_are -- \
         --nocapture\n"
    )
}

/// Prints what a run was, so that a small one is not taken for a large one.
fn print_count(histories: u64, tally: &Tally) {
    say(&format!(
        "MODEL steps {}, histories {histories}, crashes {} (power {}, kill {}, inside a call {}, \
         inside a recovery {}), corruptions {}, openings {}",
        tally.of("steps"),
        tally.of("power cuts") + tally.of("kills"),
        tally.of("power cuts"),
        tally.of("kills"),
        tally.of("cut off inside a call"),
        tally.of("cut off inside a recovery"),
        tally.of("corruptions"),
        tally.of("openings"),
    ));
    say(&format!("MODEL outcomes: {tally}"));
}

/// Everything that an ordinary run must have met, or it proves less than it says.
const MET: [&str; 43] = [
    "appends",
    "calls that failed",
    "calls that failed for a read",
    "cameras removed",
    "clean restarts",
    "clean sweeps",
    "clips deleted",
    "clips expired",
    "clips relocated",
    "cut off inside a call",
    "cut off inside a recovery",
    "due clips found gone",
    "early evictions",
    "faults ordered",
    "flipped bits of footage",
    "flipped bits of metadata",
    "flipped bits of one ledger copy",
    "fragments",
    "frozen deletions",
    "full disks",
    "gone clips searched for",
    "held clips that survived their expiry",
    "holds narrowed",
    "holds placed",
    "holds released",
    "holds renewed",
    "holds that came too late",
    "holds that lapsed",
    "jumps of trusted time",
    "keys used twice",
    "kills",
    "leases that outlived their clip",
    "ledgers lost",
    "openings with a read that failed",
    "policies of existing clips changed",
    "power cuts",
    "recordings cut off",
    "recordings finished",
    "reads that failed",
    "refused deletes",
    "refused for want of room",
    "unanswered clips that were there",
    "wall clocks not believed",
];

#[test]
fn histories_are_lived_as_the_reference_says() {
    let first = number_in("CLIPKEEP_MODEL_SEED").unwrap_or(1);
    let cases = number_in("CLIPKEEP_MODEL_CASES").unwrap_or(CASES);
    let mut tally = Tally::default();
    let mut stories = Vec::new();
    for seed in first..first.saturating_add(cases) {
        let (outcome, happened) = try_seed(seed, None, SHRINKS_MAX);
        tally.merge(&happened);
        stories.extend(outcome.err());
        if stories.len() >= STORIES_MAX {
            break;
        }
    }
    assert!(stories.is_empty(), "{}", stories.join("\n"));
    print_count(cases, &tally);
    if cases >= CASES {
        let unmet: Vec<_> = MET.iter().filter(|what| tally.of(what) == 0).collect();
        assert!(unmet.is_empty(), "never happened: {unmet:?}");
    }
}

/// Whether a reference with this mistake is found to differ from the store, in a history in which
/// one without it is not.
fn is_noticed(flaw: Flaw) {
    const CASES_MAX: u64 = 150;
    for seed in 1..=CASES_MAX {
        if let Err(story) = try_seed(seed, Some(flaw), 0).0 {
            let first = story.lines().next().unwrap_or_default().to_owned();
            println!("{flaw:?} noticed in history {seed}: {first}");
            let honest = try_seed(seed, None, 0).0;
            assert!(honest.is_ok(), "the flaw is not what was noticed: {honest:?}");
            return;
        }
    }
    panic!("a reference that {flaw:?} agrees with the store in {CASES_MAX} histories");
}

#[test]
fn a_reference_that_forgets_holds_is_noticed() {
    is_noticed(Flaw::ForgetsHolds);
}

#[test]
fn a_reference_that_forgets_releases_is_noticed() {
    is_noticed(Flaw::ForgetsReleases);
}

#[test]
fn a_reference_that_forgets_the_grace_of_a_release_is_noticed() {
    is_noticed(Flaw::ForgetsGrace);
}

#[test]
fn a_reference_that_forgets_deletes_is_noticed() {
    is_noticed(Flaw::ForgetsDeletes);
}

#[test]
fn a_reference_that_forgets_policies_is_noticed() {
    is_noticed(Flaw::ForgetsPolicies);
}

#[test]
fn a_reference_that_forgets_unsure_clocks_is_noticed() {
    is_noticed(Flaw::ForgetsUncertainty);
}

#[test]
fn a_reference_with_closed_windows_is_noticed() {
    is_noticed(Flaw::ClosedWindows);
}

#[test]
fn a_reference_that_keeps_an_hour_longer_is_noticed() {
    is_noticed(Flaw::ExpiresAnHourLate);
}

#[test]
fn a_reference_that_forgets_a_fragment_is_noticed() {
    is_noticed(Flaw::ForgetsLastFragment);
}

#[test]
fn a_reference_that_forgets_lags_is_noticed() {
    is_noticed(Flaw::ForgetsLags);
}

#[test]
fn a_reference_that_forgets_expiries_is_noticed() {
    is_noticed(Flaw::ForgetsExpiries);
}
