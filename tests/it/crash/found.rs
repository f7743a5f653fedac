//! Crash states that once broke a promise, each by the behaviour that it asks for.

use super::case::Fall;
use super::explore::{Run, fallen};
use super::replay::history;
use crate::scenarios;

/// Replays a state that a run of the matrix once found.
fn survives(case: &str) {
    let (lines, ended) = history(&case.parse().unwrap());
    ended.unwrap_or_else(|broken| panic!("{broken}\n{}", lines.join("\n")));
}

/// A killed process may leave names in memory alone: that of STORE when it had just made the store,
/// that of a segment when it had just made one. The next process stores a clip, the power fails.
#[test]
fn a_clip_stored_after_a_kill_survives_a_power_cut() {
    let (_, scenario) = scenarios::ALL[0];
    let run = Run::of(scenario, 0).unwrap();
    for (changes, moment) in run.moments.iter().enumerate() {
        let mut world = fallen(moment, Fall::Kill).world();
        world.open().unwrap();
        world.add("porch", 400, 3_000).unwrap();
        let mut world = fallen(&world.moment(), Fall::Power(1)).world();
        let opened = world.open();
        opened.unwrap_or_else(|error| panic!("killed after {changes} changes: {error}"));
        world.check();
    }
}

/// The write that begins a ledger is cut off, and shows what stood there before on the disk: that
/// is no ledger of somebody else, and must not keep a store from ever being made there.
#[test]
fn a_store_is_made_where_the_power_failed_while_one_was_made() {
    survives("append/0/5:1/12:55");
    survives("delete/0/22:0/28:51");
}

/// A copy of held clips that no entry names is removed by opening, and is not missed when the power
/// fails in the middle of that.
#[test]
fn a_copy_that_was_cut_off_is_not_missed_once_it_is_removed() {
    survives("hold_and_sweep/0/92:0/34:kill");
    survives("narrow/0/89:kill/36:13");
}

/// Of a long clip that was cut off in its second segment the first record there was wiped, and the
/// process killed before the next one was: a clip that nobody was promised must not be shown with
/// bytes that are lost.
#[test]
fn a_clip_that_was_cut_off_is_not_shown_with_a_gap() {
    survives("long_clip/0/68:1420/5:kill");
}

/// The power failed while a hold of six hours was being placed, and it was found by the opening: it
/// protects like one that was acknowledged, and ends when it was to end.
#[test]
fn a_hold_that_was_cut_off_and_found_ends_on_its_day() {
    survives("hold_lapses/1011/59:12");
}
