//! The crash matrix of single scenarios, as catchers.

use clipkeep::Result;

use crate::crash::{Budget, explore};
use crate::scenarios::{self, Scenario};
use crate::world::World;

use super::Catcher;

/// How many attempts a scenario has. Each looks further, with another seed.
const ATTEMPTS: u64 = 8;

/// Scenarios that only barriers need.
const OWN: [(&str, Scenario); 1] = [("make", make)];

/// Crashes of scenario `name`.
pub(super) fn of(name: &str) -> Catcher {
    let found = scenarios::ALL.iter().chain(&OWN).find(|(other, _)| *other == name);
    let (name, scenario) = *found.expect("there is such a scenario");
    let attempt = move |seed| {
        let budget = Budget { states: states(seed), seed, until: None };
        if let Err(violation) = explore(name, scenario, budget) {
            panic!("{violation}");
        }
    };
    Catcher {
        name: format!("crashes of {name}"),
        attempts: ATTEMPTS,
        states,
        attempt: Box::new(attempt),
        failed_before: Vec::new(),
    }
}

/// How many states attempt `number` looks at.
fn states(number: u64) -> u64 {
    64 << number
}

/// A store is made, and nothing else.
fn make(world: &mut World) -> Result<()> {
    world.open()
}
