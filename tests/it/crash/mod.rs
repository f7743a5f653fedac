//! The crash matrix: every scenario cut off before every change of the disk, in every way that what
//! was pending can go, and cut off again inside each recovery. `explore` says how.
//!
//! An ordinary run looks at some of the states. What more there is:
//!
//! - `CLIPKEEP_CRASH_STATES=680000`: so many distinct states in all, shared by the scenarios.
//! - `CLIPKEEP_CRASH_SEED=7`: other mixtures and another order, on other disks.
//! - `CLIPKEEP_CRASH_MINUTES=30`: the long run, with ever new seeds:
//!   `cargo test --release --all-features --test it ever_new_seeds`.
//! - `CLIPKEEP_CRASH_CASE=...`: one state again, step by step; a failure prints the whole command.
//!
//! Each scenario tells what it looked at in a line, and the last one all of them together, both
//! beginning with `CRASH MATRIX`, on the standard error, where the test runner does not hide it.

mod case;
mod explore;
mod found;
mod replay;
mod sim;

use std::sync::Mutex;
use std::time::Instant;

pub(crate) use explore::{Budget, Count, explore};

use crate::say::say;
use crate::scenarios;
use crate::world::World;

/// A run for so many states tries every end of every scenario, and every single fate but of those
/// in `PARTLY`.
const STATES_WHOLE: u64 = 680_000;
/// They write megabytes, each block of which has fates of its own, or open ten times as slowly: of
/// their single fates a run tries as many as it has time for, other ones with each seed.
const PARTLY: [&str; 15] = [
    "roll",
    "long_clip",
    "large_fragments",
    "fold",
    "merge",
    "hold_amid_sweep",
    "relocate",
    "relocate_long_clip",
    "expire_long_clip",
    "quota",
    "delete_long_clip",
    "ledger_roll",
    "full_at_append",
    "full_at_ledger",
    "full_at_each_step",
];
/// How many distinct states an ordinary run looks at.
const STATES_DEFAULT: u64 = 20_000;

/// A small generator: where to pull the plug.
pub(crate) fn below(seed: u64, salt: u64, bound: u64) -> u64 {
    let mut state = seed.wrapping_add(salt.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (state ^ (state >> 31)) % bound.max(1)
}

pub(crate) fn number_from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Life afterwards: recording, sweeping, and the same checks.
pub(crate) fn go_on(world: &mut World) {
    world.go_on().unwrap_or_else(|broken| panic!("{broken}"));
}

/// What all scenarios of this process have looked at so far.
struct Total {
    began: Option<Instant>,
    scenarios: u64,
    count: Count,
}

static TOTAL: Mutex<Total> = Mutex::new(Total { began: None, scenarios: 0, count: Count::NONE });

/// How many scenarios there are.
fn scenarios() -> u64 {
    u64::try_from(scenarios::ALL.len() + scenarios::DAMAGED.len()).expect("a few")
}

/// How many of `states` are for the scenario `name`. All have as many, but those whose every
/// opening reads a megabyte of holds, and so takes ten times as long, have a quarter of it.
fn share(states: u64, name: &str) -> u64 {
    const SLOW: [&str; 2] = ["ledger_roll", "full_at_ledger"];
    let quarters = if SLOW.contains(&name) { 1 } else { 4 };
    (states * quarters).div_ceil(4 * scenarios() - 6)
}

#[expect(clippy::disallowed_methods, reason = "how long it took is for a person to read")]
fn survives(name: &str) {
    let mut known = scenarios::ALL.iter().chain(&scenarios::DAMAGED);
    let (_, scenario) = known.find(|(known, _)| *known == name).expect("a scenario");
    let began = Instant::now();
    TOTAL.lock().unwrap().began.get_or_insert(began);
    let states = number_from_environment("CLIPKEEP_CRASH_STATES").unwrap_or(STATES_DEFAULT);
    let seed = number_from_environment("CLIPKEEP_CRASH_SEED").unwrap_or(0);
    let budget = Budget { states: share(states, name), seed, until: None };
    let count = explore(name, *scenario, budget).unwrap_or_else(|violation| panic!("{violation}"));
    say(&told(name, &count, began));
    let mut total = TOTAL.lock().unwrap();
    total.scenarios += 1;
    total.count.add(&count);
    if total.scenarios == scenarios() {
        let seconds = total.began.map_or(0, |began| began.elapsed().as_secs());
        say(&format!(
            "CRASH MATRIX: {} distinct states, {} scenarios, {seconds} seconds, \
             {} openings checked, {} of {} ends, {} of {} single fates, 0 violations, seed {seed}",
            total.count.distinct,
            scenarios(),
            total.count.checked,
            total.count.ends_tried,
            total.count.ends,
            total.count.singles_tried,
            total.count.singles
        ));
    }
    drop(total);
    assert!(count.distinct >= budget.states.min(count.changes), "it looked at too little");
    let all = count.ends_tried == count.ends && count.singles_tried == count.singles;
    assert!(all || !count.is_whole, "an end or a single fate was left out");
    if states >= STATES_WHOLE {
        assert_eq!(count.ends_tried, count.ends, "an end was left out");
        assert_eq!(count.is_whole, !PARTLY.contains(&name), "{} single fates", count.singles);
    }
}

fn told(name: &str, count: &Count, began: Instant) -> String {
    format!(
        "CRASH MATRIX {name}: {} distinct states of {} changes, {} openings checked, {} lived on, \
         {} of {} ends, {} of {} single fates, {:.1} seconds",
        count.distinct,
        count.changes,
        count.checked,
        count.lives,
        count.ends_tried,
        count.ends,
        count.singles_tried,
        count.singles,
        began.elapsed().as_secs_f32()
    )
}

/// A test for each scenario: what must survive, and the scenario's name.
macro_rules! survive {
    ($($behaviour:ident: $scenario:ident,)*) => {
        $(
            #[test]
            fn $behaviour() {
                survives(stringify!($scenario));
            }
        )*

        #[test]
        fn every_scenario_is_in_the_matrix() {
            let tested = [$(stringify!($scenario)),*];
            let known = scenarios::ALL.iter().chain(&scenarios::DAMAGED);
            assert!(known.map(|(name, _)| *name).eq(tested));
        }
    };
}

survive! {
    appended_clips_survive: append,
    fragments_of_a_recording_survive: stream,
    an_abandoned_recording_survives_up_to_its_last_fragment: abandoned_stream,
    clips_of_two_classes_survive: two_classes,
    clips_survive_when_segments_are_sealed_and_followed: roll,
    clips_survive_when_segments_are_sealed_by_age: seal_by_age,
    clips_survive_when_segments_are_sealed_by_hand: seal_by_hand,
    a_clip_over_the_end_of_a_segment_survives: long_clip,
    large_fragments_survive_whole_or_not_at_all: large_fragments,
    clips_survive_when_the_store_is_reopened_in_between: reopen,
    clips_survive_when_their_segments_are_folded: fold,
    clips_survive_when_partitions_are_merged: merge,
    holds_survive: hold,
    a_hold_of_many_ranges_survives: hold_many_ranges,
    a_held_clip_survives_a_sweep: hold_and_sweep,
    a_clip_survives_a_hold_that_comes_amid_a_sweep: hold_amid_sweep,
    a_clip_survives_as_long_as_a_hold_that_ends_by_itself: hold_lapses,
    what_a_narrowed_hold_still_covers_survives: narrow,
    a_released_clip_goes_after_its_grace_and_stays_gone: release,
    held_clips_survive_being_moved: relocate,
    a_held_clip_over_the_end_of_a_segment_survives_being_moved: relocate_long_clip,
    a_held_clip_survives_where_it_is_without_room_to_move: relocate_without_room,
    a_held_clip_survives_being_moved_into_the_reserve: relocate_into_reserve,
    a_held_clip_survives_the_release_of_its_neighbour: evidence_drains,
    expired_clips_stay_gone: expire,
    clips_of_many_expired_segments_stay_gone: expire_many,
    an_expired_clip_over_the_end_of_a_segment_stays_gone: expire_long_clip,
    clips_survive_a_sweep_in_the_middle_of_a_recording: sweep_while_recording,
    clips_within_their_promise_survive_a_full_quota: quota,
    clips_survive_in_files_that_are_used_again: reuse,
    clips_survive_in_files_that_a_quota_wants_back: reuse_in_quota,
    clips_survive_beside_files_that_are_given_back_in_steps: give_back,
    a_deleted_clip_stays_gone_and_its_neighbours_stay: delete,
    clips_deleted_from_a_sealed_segment_stay_gone: delete_sealed,
    a_deleted_clip_over_the_end_of_a_segment_stays_gone: delete_long_clip,
    a_held_clip_survives_its_owners_delete: delete_refused,
    clips_survive_a_change_of_policy_as_it_says: policy_change,
    clips_survive_the_removal_of_their_camera: camera_removed,
    holds_survive_when_the_ledger_goes_on_in_another_file: ledger_roll,
    clips_survive_a_disk_that_is_full: full_at_append,
    clips_survive_being_sealed_on_a_full_disk: full_at_seal,
    holds_survive_when_the_ledger_goes_on_on_a_full_disk: full_at_ledger,
    clips_survive_a_disk_that_is_full_at_any_step: full_at_each_step,
    clips_survive_clocks_that_jump: clock_steps,
    what_comes_after_an_outage_survives_as_long_as_all_else: outage,
    clips_survive_restarts_of_the_machine: trusted_time,
    holds_survive_damage_of_one_copy_of_the_ledger: ledger_copy_damaged,
    clips_survive_damage_of_their_footer: footer_damaged,
    clips_survive_damage_of_a_slot: slot_damaged,
}
