//! Crashes of whole scenarios, as catchers.

use clipkeep::Result;

use crate::crash::crash_once;
use crate::scenarios::{self, Scenario};
use crate::world::World;

use super::Catcher;

/// How many crashes a scenario has, each at another place.
const CRASHES: u64 = 600;

/// Scenarios that only barriers need.
const OWN: [(&str, Scenario); 1] = [("make", make)];

/// Crashes of scenario `name`.
pub(super) fn of(name: &str) -> Catcher {
    let found = scenarios::ALL.iter().chain(&OWN).find(|(other, _)| *other == name);
    let (_, scenario) = *found.expect("there is such a scenario");
    let mut world = World::new(0, u64::MAX);
    scenario(&mut world).expect("the scenario works when nothing fails");
    world.close();
    let changes = world.plug.changes();
    Catcher {
        name: format!("crashes of {name}"),
        attempts: CRASHES,
        attempt: Box::new(move |seed| crash_once(scenario, seed, changes)),
        failed_before: Vec::new(),
    }
}

/// A store is made, and nothing else.
fn make(world: &mut World) -> Result<()> {
    world.open()
}
