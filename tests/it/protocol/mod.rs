//! The protocol of holds, expiry, moving, dropping and recovery: every interleaving of a small
//! model, to a stated bound, and a comparison of the code's steps with the model's.
//!
//! `CLIPKEEP_PROTOCOL_BOUND=<sweeps>,<deletes>,<power cuts>,<kills>,<leases>` looks further than an
//! ordinary run.

mod conformance;
mod crash;
mod explore;
mod follow;
mod found;
mod invariants;
mod quiet;
mod state;
mod steps;
mod sweep;
mod watch;

use explore::Explored;
use state::{Left, State};
use steps::{Protocol, RULES};

use crate::say::say;

/// How much happens at most in the states that an ordinary run looks at: each of two holds is
/// placed and released once, at any moment, and besides.
const BOUNDS: [Left; 2] = [
    Left { sweeps: 1, deletes: 1, power_cuts: 1, kills: 1, leases: 0 },
    Left { sweeps: 1, deletes: 1, power_cuts: 0, kills: 0, leases: 1 },
];
/// What is enough to see that a rule is broken, the smallest first.
const SMALL_BOUNDS: [Left; 3] = [
    Left { sweeps: 1, deletes: 1, power_cuts: 1, kills: 0, leases: 0 },
    Left { sweeps: 1, deletes: 1, power_cuts: 0, kills: 0, leases: 1 },
    Left { sweeps: 1, deletes: 0, power_cuts: 1, kills: 1, leases: 0 },
];

/// The bounds that the environment asks for.
fn bounds() -> Vec<Left> {
    let Ok(asked) = std::env::var("CLIPKEEP_PROTOCOL_BOUND") else { return BOUNDS.to_vec() };
    let numbers: Vec<u8> = asked.split(',').map(|number| number.parse().unwrap()).collect();
    let [sweeps, deletes, power_cuts, kills, leases] = numbers[..] else {
        panic!("want five numbers, not {asked:?}");
    };
    vec![Left { sweeps, deletes, power_cuts, kills, leases }]
}

#[test]
fn no_interleaving_breaks_a_promise() {
    for bound in bounds() {
        let whole = Protocol { broken: None };
        let explored = whole.explore(&State::new(bound)).unwrap_or_else(|found| panic!("{found}"));
        let Explored { states, transitions, depth, quiet_sweeps, .. } = explored;
        say(&format!(
            "PROTOCOL states {states}, transitions {transitions}, all of them to depth {depth}, \
             {quiet_sweeps} quiet sweeps, {bound:?}"
        ));
        assert!(states > 10_000, "the model does not do what it should");
    }
}

/// A model that cannot fail proves nothing.
#[test]
fn no_rule_of_the_protocol_can_be_broken_unnoticed() {
    let mut unnoticed = Vec::new();
    for rule in RULES {
        let broken = Protocol { broken: Some(rule) };
        let found = SMALL_BOUNDS.iter().find_map(|bound| broken.explore(&State::new(*bound)).err());
        match found {
            Some(found) => println!("without {rule:?}: {found}\n"),
            None => unnoticed.push(rule),
        }
    }
    let (killed, all) = (RULES.len() - unnoticed.len(), RULES.len());
    say(&format!("PROTOCOL mutants {killed} of {all} killed"));
    assert!(unnoticed.is_empty(), "nobody misses {unnoticed:?}");
}
