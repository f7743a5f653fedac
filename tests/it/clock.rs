//! Wall clocks that lie.

use std::time::Duration;

use clipkeep::{Clip, ClockStatus, HoldCause, HoldState, Timestamp};

use crate::store_kit::{DAY, HOUR, MINUTE, TestStore, at, minutes, new_hold};

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn a_boot_in_1970_expires_nothing_early_and_everything_in_the_end() {
    let t = TestStore::new();
    let clip = t.sealed_clip("door", 0, "a");
    t.pass(DAY);
    let before = t.store.now();
    t.clock.reboot();
    t.clock.step_wall(Timestamp::EPOCH);
    let t = t.reopen();
    assert!(t.store.now() >= before);
    assert!(matches!(t.store.clock_status(), ClockStatus::WallBehind { .. }));
    t.clock.advance(9 * DAY - MINUTE);
    t.store.sweep().unwrap();
    assert!(t.reads_as(&clip, "a"));
    t.clock.advance(MINUTE);
    t.store.sweep().unwrap();
    t.assert_gone(&clip);
}

#[test]
fn clips_of_a_1970_boot_are_recorded_and_found() {
    let t = TestStore::new();
    t.sealed_clip("door", 0, "a");
    t.clock.reboot();
    t.clock.step_wall(Timestamp::EPOCH);
    let t = t.reopen();
    let late = t.sealed_clip("door", 10, "late");
    assert!(late.received() >= at(1440));
    assert!(t.reads_as(&late, "late"));
}

#[test]
fn a_step_of_a_year_forward_expires_nothing() {
    let t = TestStore::new();
    let clip = t.sealed_clip("door", 0, "a");
    t.clock.step_wall(at(1440).saturating_add(365 * DAY));
    let status = t.store.clock_status();
    assert!(matches!(status, ClockStatus::WallAhead { .. }), "{status}");
    t.store.sweep().unwrap();
    assert!(t.reads_as(&clip, "a"));
    let t = t.reopen();
    t.clock.advance(9 * DAY);
    t.store.sweep().unwrap();
    assert!(t.reads_as(&clip, "a"));
    t.clock.advance(DAY);
    t.store.sweep().unwrap();
    t.assert_gone(&clip);
}

#[test]
fn a_step_of_a_year_back_expires_nothing_early_and_freezes_nothing() {
    let t = TestStore::new();
    let clip = t.sealed_clip("door", 0, "a");
    t.clock.step_wall(at(1440).saturating_sub(365 * DAY));
    t.clock.advance(10 * DAY - MINUTE);
    t.store.sweep().unwrap();
    assert!(t.reads_as(&clip, "a"));
    t.clock.advance(MINUTE);
    t.store.sweep().unwrap();
    t.assert_gone(&clip);
}

#[test]
fn a_step_within_the_bound_is_believed() {
    let t = TestStore::new();
    t.clock.step_wall(at(1440).saturating_add(HOUR - MINUTE));
    assert_eq!(t.store.now(), at(1440).saturating_add(HOUR - MINUTE));
    assert_eq!(t.store.clock_status(), ClockStatus::Agrees);
}

#[test]
fn a_confirmed_step_counts_at_once_and_after_reopening() {
    let t = TestStore::new();
    let clip = t.sealed_clip("door", 0, "a");
    t.pass(MINUTE);
    assert_eq!(t.store.clock_status(), ClockStatus::Agrees);
    let later = at(1440).saturating_add(30 * DAY);
    t.clock.step_wall(later);
    assert_eq!(t.store.confirm_clock("ann").unwrap(), later);
    assert_eq!(t.store.clock_status(), ClockStatus::Agrees);
    let t = t.reopen();
    assert!(t.store.now() >= later);
    t.store.sweep().unwrap();
    t.assert_gone(&clip);
    let entry = t.ledger().into_iter().find(|line| line.kind == "clock-confirmed").unwrap();
    assert!(entry.text.contains("ann"), "{}", entry.text);
}

#[test]
fn confirming_a_clock_that_is_behind_moves_nothing_back() {
    let t = TestStore::new();
    t.pass(DAY);
    let now = t.store.now();
    t.clock.step_wall(Timestamp::EPOCH);
    assert!(t.store.confirm_clock("ann").unwrap() >= now);
    assert!(t.store.now() >= now);
}

#[test]
fn time_never_goes_back_over_reboots() {
    let mut t = TestStore::new();
    let mut last = t.store.now();
    for wall in ["2026-11-02T00:30:00Z", "1970-01-01T00:00:00Z", "2038-01-19T03:14:08Z"] {
        t.clock.reboot();
        t.clock.step_wall(time(wall));
        t = t.reopen();
        assert!(t.store.now() >= last, "{wall}");
        last = t.store.now();
        t.clock.advance(MINUTE);
        assert!(t.store.now() >= last.saturating_add(MINUTE), "{wall}");
        last = t.store.now();
    }
}

#[test]
fn a_store_lives_through_2038() {
    let t = TestStore::new();
    let clock = t.clock.clone();
    let start = time("2038-01-18T00:00:00Z");
    clock.step_wall(start);
    t.store.confirm_clock("ann").unwrap();
    let clip = t.sealed_clip("door", 0, "a");
    t.pass(9 * DAY);
    t.sweep();
    assert!(t.reads_as(&clip, "a"));
    let t = t.reopen();
    assert!(t.reads_as(&clip, "a"));
    t.pass(DAY);
    t.sweep();
    t.assert_gone(&clip);
}

#[test]
fn a_night_without_power_counts_when_the_clock_says_so() {
    let t = TestStore::new();
    t.clock.reboot();
    t.clock.step_wall(at(1440).saturating_add(HOUR / 2));
    let t = t.reopen();
    assert!(t.store.now() >= at(1440).saturating_add(HOUR / 2));
}

#[test]
fn a_frozen_wall_clock_does_not_freeze_expiry() {
    let t = TestStore::new();
    let clip = t.sealed_clip("door", 0, "a");
    for _ in 0..10 {
        t.clock.advance(DAY);
        t.clock.step_wall(at(1440));
        assert!(t.store.now() > at(1440).saturating_add(DAY - Duration::from_secs(1)));
    }
    t.store.sweep().unwrap();
    t.assert_gone(&clip);
}

#[test]
fn a_frozen_wall_clock_expires_nothing_early_and_everything_in_the_end() {
    let t = TestStore::new();
    let clip = t.sealed_clip("door", 0, "a");
    t.clock.freeze_wall(true);
    t.clock.advance(10 * DAY - MINUTE);
    t.store.sweep().unwrap();
    assert!(t.reads_as(&clip, "a"));
    t.clock.advance(MINUTE);
    t.store.sweep().unwrap();
    t.assert_gone(&clip);
}

#[test]
fn a_clock_that_jumps_years_to_and_fro_moves_no_deadline() {
    let t = TestStore::new();
    let clip = t.sealed_clip("door", 0, "a");
    let year = 365 * DAY;
    for day in 0..10 {
        let wall = if day % 2 == 0 {
            at(1440).saturating_add(3 * year)
        } else {
            at(1440).saturating_sub(20 * year)
        };
        t.clock.step_wall(wall);
        t.store.sweep().unwrap();
        assert!(t.reads_as(&clip, "a"), "day {day}");
        t.clock.advance(DAY);
    }
    t.store.sweep().unwrap();
    t.assert_gone(&clip);
}

#[test]
fn boots_without_a_battery_expire_nothing_early() {
    let mut t = TestStore::new();
    let clip = t.sealed_clip("door", 0, "a");
    for boot in 0..20 {
        t.clock.reboot_without_battery();
        t = t.reopen();
        t.store.sweep().unwrap();
        assert!(t.reads_as(&clip, "a"), "boot {boot}");
        t.clock.advance(10 * HOUR);
    }
    assert!(t.reads_as(&clip, "a"));
}

#[test]
fn a_reboot_between_two_sweeps_expires_nothing_early_and_everything_in_the_end() {
    for wall_after in ["1970-01-01T00:00:00Z", "2026-11-07T00:00:00Z", "2031-01-01T00:00:00Z"] {
        let t = TestStore::new();
        let clip = t.sealed_clip("door", 0, "a");
        t.pass(5 * DAY);
        t.sweep();
        t.clock.reboot();
        t.clock.step_wall(time(wall_after));
        let t = t.reopen();
        t.clock.advance(5 * DAY - MINUTE);
        t.store.sweep().unwrap();
        assert!(t.reads_as(&clip, "a"), "{wall_after}");
        t.clock.advance(MINUTE);
        t.store.sweep().unwrap();
        t.assert_gone(&clip);
    }
}

/// Two days without power, after which the wall clock is right and is not believed.
fn after_two_days_without_power() -> TestStore {
    without_power_for_two_days(TestStore::new())
}

fn without_power_for_two_days(t: TestStore) -> TestStore {
    let back = t.store.now().saturating_add(2 * DAY);
    t.clock.reboot();
    t.clock.step_wall(back);
    let t = t.reopen();
    assert!(matches!(t.store.clock_status(), ClockStatus::WallAhead { .. }));
    t
}

/// Lets `time` pass, with a sweep every hour.
fn sweep_hourly(t: &TestStore, time: Duration) {
    let hours = u32::try_from(time.as_secs() / 3600).unwrap();
    for _ in 0..hours {
        t.clock.advance(HOUR);
        t.store.sweep().unwrap();
    }
    t.clock.advance(time - HOUR * hours);
}

/// Asserts that `clip`, which came just now, is there for another `time` and then goes.
fn assert_lives_for(t: &TestStore, clip: &Clip, marker: &str, time: Duration) {
    sweep_hourly(t, time - MINUTE);
    t.store.sweep().unwrap();
    assert!(t.reads_as(clip, marker), "a minute before its time");
    t.clock.advance(MINUTE);
    t.store.sweep().unwrap();
    t.assert_gone(clip);
}

#[test]
fn what_comes_while_a_clock_is_doubted_is_kept_as_long_as_all_else() {
    let t = after_two_days_without_power();
    let clip = t.sealed_clip("door", 0, "a");
    let explained = t.store.explain(clip.id()).unwrap();
    sweep_hourly(&t, 3 * DAY);
    assert_eq!(t.store.clock_status(), ClockStatus::Agrees, "it is believed by now");
    let later = t.store.explain(clip.id()).unwrap();
    assert_eq!(later.own_expiry, explained.own_expiry.saturating_add(2 * DAY));
    assert_eq!(t.store.own_expiry(&clip), later.own_expiry);
    let said = t.ledger().into_iter().find(|line| line.kind == "clock-caught-up").unwrap();
    assert!(said.text.contains("by 172800 s"), "{}", said.text);
    assert_lives_for(&t, &clip, "a", 7 * DAY);
}

#[test]
fn what_came_before_an_outage_ages_during_it() {
    let t = TestStore::new();
    let clip = t.sealed_clip("door", 0, "a");
    t.pass(DAY);
    let t = without_power_for_two_days(t);
    // One day with power, two without, then seven; with the lag it may be longer, until it is made
    // up, which it is after two days.
    assert_lives_for(&t, &clip, "a", 7 * DAY);
}

#[test]
fn a_restart_while_a_clock_is_doubted_forgets_nothing_of_the_lag() {
    let mut t = after_two_days_without_power();
    let clip = t.sealed_clip("door", 0, "a");
    for _ in 0..3 {
        sweep_hourly(&t, DAY / 4);
        t = t.reopen();
    }
    // How long it has run evenly is counted anew.
    sweep_hourly(&t, 2 * DAY);
    let jumped = t.store.now();
    assert_eq!(t.store.clock_status(), ClockStatus::Agrees);
    let t = t.reopen();
    assert!(t.store.now() >= jumped);
    assert_lives_for(&t, &clip, "a", 10 * DAY - 3 * DAY / 4 - 2 * DAY);
}

#[test]
fn a_plan_that_makes_the_jump_is_kept_by_the_sweep() {
    let t = TestStore::new();
    let old = t.sealed_clip("door", 0, "old");
    t.pass(DAY);
    let t = without_power_for_two_days(t);
    let young = t.sealed_clip("door", 10, "young");
    t.clock.advance(7 * DAY);
    assert!(t.store.now() < t.store.explain(old.id()).unwrap().own_expiry, "the clock is doubted");
    let planned = t.store.plan_sweep().unwrap();
    assert_eq!(planned.items().len(), 1, "{planned:?}");
    t.sweep();
    t.assert_gone(&old);
    assert!(t.reads_as(&young, "young"));
}

#[test]
fn a_clock_that_is_confirmed_late_costs_nothing_of_what_came_before() {
    let t = after_two_days_without_power();
    let clip = t.sealed_clip("door", 0, "a");
    sweep_hourly(&t, DAY);
    t.store.confirm_clock("ann").unwrap();
    assert_eq!(t.store.clock_status(), ClockStatus::Agrees);
    assert_lives_for(&t, &clip, "a", 9 * DAY);
}

#[test]
fn a_clock_that_is_confirmed_after_an_outage_costs_nothing_that_comes_then() {
    let t = after_two_days_without_power();
    t.store.confirm_clock("ann").unwrap();
    let clip = t.sealed_clip("door", 0, "a");
    assert_lives_for(&t, &clip, "a", 10 * DAY);
}

#[test]
fn a_hold_that_is_placed_while_a_clock_is_doubted_lasts_as_long_as_it_was_promised() {
    let t = after_two_days_without_power();
    let clip = t.sealed_clip("door", 0, "a");
    let window = minutes(0, 1);
    let released = t.keep("door", window);
    t.release_keep(released);
    let asked = new_hold(HoldCause::Request, "door", window).for_duration(20 * DAY);
    let id = t.store.place_hold(asked).unwrap().id;
    let deadline = t.store.hold(id).unwrap().deadline();
    sweep_hourly(&t, 3 * DAY);
    let moved = t.store.hold(id).unwrap().deadline();
    assert_eq!(moved, deadline.saturating_add(2 * DAY));
    // What comes later is stamped right, and so are its ends.
    let later = new_hold(HoldCause::Request, "door", window).for_duration(DAY);
    let later = t.store.place_hold(later).unwrap().id;
    let until = t.store.hold(later).unwrap().deadline();
    assert_eq!(until, t.store.now().saturating_add(DAY));
    sweep_hourly(&t, 17 * DAY - MINUTE);
    t.store.sweep().unwrap();
    assert_eq!(t.store.hold(id).unwrap().state(), HoldState::Active);
    assert!(t.reads_as(&clip, "a"));
    t.clock.advance(MINUTE);
    t.store.sweep().unwrap();
    assert_ne!(t.store.hold(id).unwrap().state(), HoldState::Active);
}

#[test]
fn a_wrong_clock_that_stood_long_enough_to_be_believed_keeps_nothing_for_years() {
    let t = TestStore::new();
    t.pass(HOUR);
    t.clock.step_wall(t.store.now().saturating_add(20 * DAY));
    sweep_hourly(&t, 19 * DAY);
    let clip = t.sealed_clip("door", 10, "a");
    sweep_hourly(&t, 2 * DAY);
    assert_eq!(t.store.clock_status(), ClockStatus::Agrees, "wrong, and believed after 20 days");
    assert_lives_for(&t, &clip, "a", 8 * DAY);
}
