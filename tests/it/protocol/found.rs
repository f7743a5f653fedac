//! What the model found in the code, as tests of the code.

use crate::scenarios;
use crate::world::World;

/// A copy of held clips that a crash left without a name in the ledger is removed at opening. When
/// that is cut off as well, the missing file was told as lost footage.
#[test]
fn a_copy_that_nothing_names_is_no_loss_when_its_removal_is_cut_off() {
    let named = |(name, _): &&(&str, _)| *name == "hold_and_sweep";
    let (_, hold_and_sweep) = scenarios::ALL.iter().find(named).unwrap();
    let mut whole = World::new(0, u64::MAX);
    hold_and_sweep(&mut whole).unwrap();
    let changes = whole.plug.changes();
    for first in changes / 2..changes {
        for second in 0.. {
            let mut world = World::new(0, first);
            hold_and_sweep(&mut world).expect_err("the plug is pulled");
            world.kill(second);
            let finished = world.open().is_ok() && world.plug.changes() < second;
            world.kill(u64::MAX);
            world.open().unwrap();
            let problems = world.store().opening().problems;
            assert!(problems.is_empty(), "cut at {first}, then at {second}: {problems:?}");
            if finished {
                break;
            }
        }
    }
}
