//! Histories that the model found to go wrong, once, each as a plain test; and some that it must
//! never get wrong, whatever its seeds are.

use clipkeep::{HoldCause, WhenFull};

use super::run::live;
use super::step::{House, Pause, Step};

/// No quota, a reserve for evidence.
const HOUSE: House =
    House { quota: None, when_full: WhenFull::DropOldest, reserve: true, disk_seed: 1 };

/// Lives a history to its end.
#[track_caller]
fn lives(house: House, steps: &[Step]) {
    if let (Err(failure), _) = live(house, steps, None) {
        panic!("{failure}");
    }
}

fn append(kib: u16) -> Step {
    Step::Append { camera: 0, minutes_ago: 1, kib, unsure: false }
}

#[test]
fn a_deleted_clip_is_gone_and_not_unknown_when_its_segment_is_damaged() {
    lives(
        HOUSE,
        &[
            append(1152),
            Step::Tick(Pause::Minutes(10)),
            append(1),
            Step::Erase { clip: 0 },
            Step::Sweep,
            Step::FlipMetadata { file: 0, at: 1752, bit: 0 },
        ],
    );
}

#[test]
fn a_reader_that_outlives_its_clip_counts_against_the_quota() {
    let house = House { quota: Some(4), ..HOUSE };
    let mut steps = vec![append(3000), append(3000), Step::Seal, Step::Lease { clip: 0 }];
    steps.extend([append(3000); 6]);
    lives(house, &steps);
}

#[test]
fn a_held_clip_that_was_moved_is_read_without_a_readable_ledger() {
    let append = |minutes_ago| Step::Append { camera: 0, minutes_ago, kib: 60, unsure: false };
    let hold = Step::Place {
        camera: 0,
        cause: HoldCause::Keep,
        minutes_ago: 60,
        minutes: 5,
        key: None,
        hours: 100,
    };
    let wait = Step::Tick(Pause::Hours(9));
    lives(HOUSE, &[append(60), append(20), hold, wait, Step::Sweep, Step::LoseLedger { at: 0 }]);
}
