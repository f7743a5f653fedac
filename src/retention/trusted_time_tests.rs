//! Clocks that lie, and what trusted time must not make of them.

use proptest::prelude::*;

use super::*;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const YEAR: Duration = Duration::from_hours(365 * 24);

fn start() -> Timestamp {
    "2026-11-30T00:00:00Z".parse().unwrap()
}

fn up(boot: u8, passed: Duration) -> Uptime {
    let since_boot_us = u64::try_from(passed.as_micros()).unwrap();
    Uptime { boot_id: [boot; 16], since_boot_us }
}

fn fresh() -> TrustedTime {
    TrustedTime::fresh(start(), up(1, Duration::ZERO), HOUR)
}

/// Observes the clocks, and makes the jump that is due then.
fn see(time: &mut TrustedTime, wall: Timestamp, uptime: Uptime) -> Timestamp {
    time.observe(wall, uptime);
    if let Some(jump) = time.due_catch_up() {
        time.catch_up(jump);
    }
    time.trusted
}

/// Lets `passed` go by in steps of a minute, with the wall clock `ahead` of the true time.
fn run(time: &mut TrustedTime, from: Duration, passed: Duration, ahead: Duration) -> Timestamp {
    let mut now = time.trusted;
    for minute in 1..=u32::try_from(passed.as_secs() / 60).unwrap() {
        let at = from + Duration::from_mins(1) * minute;
        now = see(time, start().saturating_add(at + ahead), up(1, at));
    }
    now
}

#[test]
fn a_good_wall_clock_is_followed() {
    let mut time = fresh();
    assert_eq!(run(&mut time, Duration::ZERO, DAY, Duration::ZERO), start().saturating_add(DAY));
    assert_eq!(time.status(), ClockStatus::Agrees);
}

#[test]
fn a_small_step_ahead_is_adopted_and_a_slew_followed() {
    let mut time = fresh();
    let ahead = Duration::from_mins(59);
    let wall = start().saturating_add(ahead);
    assert_eq!(time.observe(wall, up(1, Duration::ZERO)), wall);
    let slewed = wall.saturating_add(DAY + Duration::from_millis(500));
    assert_eq!(time.observe(slewed, up(1, DAY)), slewed);
    assert_eq!(time.status(), ClockStatus::Agrees);
}

#[test]
fn small_steps_do_not_add_up_to_a_large_one() {
    let mut time = fresh();
    let mut now = start();
    for n in 1..1_000 {
        now = time.observe(start().saturating_add(Duration::from_mins(30) * n), up(1, HOUR));
    }
    assert!(now <= start().saturating_add(HOUR * 3), "{now}");
}

#[test]
fn a_year_ahead_is_not_believed_for_a_year() {
    let mut time = fresh();
    let now = run(&mut time, Duration::ZERO, 30 * DAY, YEAR);
    assert_eq!(now, start().saturating_add(30 * DAY));
    assert_eq!(
        time.status(),
        ClockStatus::WallAhead { by: YEAR, believed_after: 335 * DAY + Duration::from_mins(1) }
    );
}

#[test]
fn two_days_without_power_are_made_up_after_two_days() {
    let off = 2 * DAY;
    let boot = Duration::from_secs(20);
    let wall = start().saturating_add(off);
    let mut time =
        TrustedTime::resume((start(), start()), [1; 16], 0, start(), HOUR, wall, up(2, boot));
    assert_eq!(time.trusted, start().saturating_add(boot));
    let later = |passed| (wall.saturating_add(passed), up(2, boot + passed));
    let (wall, uptime) = later(DAY);
    assert_eq!(time.observe(wall, uptime), start().saturating_add(DAY + boot));
    assert_eq!((time.due_catch_up(), time.lag_since()), (None, Some(start())));
    let (wall, uptime) = later(2 * DAY);
    let lagging = start().saturating_add(2 * DAY + boot);
    assert_eq!(time.observe(wall, uptime), lagging, "it does not jump before that is on record");
    let jump = time.due_catch_up().unwrap();
    assert_eq!(jump, CatchUp::new(start(), wall, wall.since(lagging)));
    time.catch_up(jump);
    assert_eq!(time.observe(wall, uptime), wall);
    assert_eq!((time.status(), time.lag_since()), (ClockStatus::Agrees, None));
}

#[test]
fn what_lags_began_when_the_wall_clock_last_agreed() {
    let mut time = fresh();
    run(&mut time, Duration::ZERO, DAY, Duration::ZERO);
    run(&mut time, DAY, HOUR, 2 * DAY);
    assert_eq!(time.lag_since(), Some(start().saturating_add(DAY)));
    // A restart remembers it, and a wall clock that has come back ends it.
    let (then, wall) = (start().saturating_add(DAY + HOUR), start().saturating_add(3 * DAY + HOUR));
    let slot = (then, start().saturating_add(DAY));
    let since = u64::try_from((DAY + HOUR).as_micros()).unwrap();
    let at = up(1, DAY + 2 * HOUR);
    let wall_now = wall.saturating_add(HOUR);
    let mut time = TrustedTime::resume(slot, [1; 16], since, wall, HOUR, wall_now, at);
    assert_eq!(time.lag_since(), Some(start().saturating_add(DAY)));
    time.observe(start().saturating_add(DAY + 3 * HOUR), up(1, DAY + 3 * HOUR));
    assert_eq!(time.lag_since(), None);
}

#[test]
fn a_boot_in_1970_neither_sets_back_nor_stops_time() {
    let boot = Duration::from_secs(20);
    let wall = Timestamp::EPOCH.saturating_add(boot);
    let mut time =
        TrustedTime::resume((start(), start()), [1; 16], 0, start(), HOUR, wall, up(2, boot));
    assert_eq!(time.trusted, start().saturating_add(boot));
    assert!(matches!(time.status(), ClockStatus::WallBehind { .. }));
    let wall = Timestamp::EPOCH.saturating_add(DAY);
    assert_eq!(time.observe(wall, up(2, DAY)), start().saturating_add(DAY));
}

#[test]
fn after_a_1970_boot_the_corrected_clock_makes_up_a_short_outage() {
    let boot = Duration::from_secs(20);
    let epoch = Timestamp::EPOCH;
    let mut time =
        TrustedTime::resume((start(), start()), [1; 16], 0, start(), HOUR, epoch, up(2, boot));
    let right = start().saturating_add(Duration::from_mins(10));
    assert_eq!(time.observe(right, up(2, boot * 2)), right);
}

#[test]
fn passing_2038_is_nothing_special() {
    let eve: Timestamp = "2038-01-19T03:14:07Z".parse().unwrap();
    let mut time = TrustedTime::fresh(eve, up(1, Duration::ZERO), HOUR);
    let second = Duration::from_secs(1);
    let wall = eve.saturating_add(second);
    assert_eq!(time.observe(wall, up(1, second)), wall);
    // A 32-bit clock wraps to 1901.
    let wrapped = "1901-12-13T20:45:52Z".parse().unwrap();
    assert_eq!(time.observe(wrapped, up(1, 2 * second)), eve.saturating_add(2 * second));
}

#[test]
fn a_step_back_by_a_year_is_ignored() {
    let mut time = fresh();
    assert_eq!(
        time.observe(start().saturating_sub(YEAR), up(1, HOUR)),
        start().saturating_add(HOUR)
    );
    assert_eq!(time.status(), ClockStatus::WallBehind { by: YEAR + HOUR });
}

#[test]
fn a_frozen_wall_clock_does_not_freeze_time() {
    let mut time = fresh();
    assert_eq!(time.observe(start(), up(1, 10 * DAY)), start().saturating_add(10 * DAY));
}

#[test]
fn a_clock_frozen_in_the_future_is_never_believed_for_standing_still() {
    let mut time = fresh();
    let frozen = start().saturating_add(20 * DAY);
    for hour in 1..=15 * 24 {
        let now = time.observe(frozen, up(1, HOUR * hour));
        assert_eq!(now, start().saturating_add(HOUR * hour));
    }
}

#[test]
fn a_reboot_between_two_observations_passes_at_least_the_new_uptime() {
    let mut time = fresh();
    time.observe(start().saturating_add(DAY), up(1, DAY));
    let frozen = start().saturating_sub(YEAR);
    assert_eq!(time.observe(frozen, up(2, HOUR)), start().saturating_add(DAY + HOUR));
}

#[test]
fn a_short_outage_counts_even_if_the_wall_clock_is_behind_trusted_time() {
    let slow = start().saturating_sub(DAY);
    let wall = slow.saturating_add(Duration::from_mins(10));
    let boot = up(2, Duration::from_mins(1));
    let time = TrustedTime::resume((start(), start()), [1; 16], 0, slow, HOUR, wall, boot);
    assert_eq!(time.trusted, start().saturating_add(Duration::from_mins(10)));
}

#[test]
fn a_restart_within_one_boot_counts_the_even_run_since_the_slot() {
    let ahead = start().saturating_add(2 * DAY);
    let resume = |passed| {
        let wall = ahead.saturating_add(passed);
        let at = (start(), start());
        let mut time = TrustedTime::resume(at, [1; 16], 0, ahead, HOUR, wall, up(1, passed));
        see(&mut time, wall, up(1, passed))
    };
    assert_eq!(resume(DAY), start().saturating_add(DAY));
    assert_eq!(resume(2 * DAY), ahead.saturating_add(2 * DAY));
}

#[test]
fn without_boot_ids_a_smaller_uptime_at_opening_is_a_reboot() {
    let then = u64::try_from(DAY.as_micros()).unwrap();
    let wall = Timestamp::EPOCH;
    let time =
        TrustedTime::resume((start(), start()), NO_BOOT_ID, then, start(), HOUR, wall, up(0, HOUR));
    assert_eq!(time.trusted, start().saturating_add(HOUR));
}

#[test]
fn an_observation_out_of_order_moves_nothing() {
    let mut time = fresh();
    let now = time.observe(start().saturating_add(2 * HOUR), up(1, 2 * HOUR));
    assert_eq!(time.observe(start().saturating_add(HOUR), up(1, HOUR)), now);
    assert_eq!(time.observe(start().saturating_add(2 * HOUR), up(1, 2 * HOUR)), now);
}

#[test]
fn a_confirmed_clock_is_believed_at_once_and_never_sets_back() {
    let mut time = fresh();
    let wall = start().saturating_add(YEAR);
    assert_eq!(time.observe(wall, up(1, HOUR)), start().saturating_add(HOUR));
    let jump = CatchUp::new(start(), wall, YEAR.saturating_sub(HOUR));
    assert_eq!(time.confirm(wall, up(1, HOUR)), (wall, Some(jump)));
    assert_eq!(time.status(), ClockStatus::Agrees);
    assert_eq!(time.confirm(start(), up(1, HOUR)), (wall, None));
    assert!(matches!(time.status(), ClockStatus::WallBehind { .. }));
}

#[test]
fn the_ends_of_time_do_not_overflow() {
    for from in [Timestamp::MIN, Timestamp::MAX] {
        let uptime = |boot| Uptime { boot_id: [boot; 16], since_boot_us: u64::MAX };
        let mut time = TrustedTime::resume(
            (from, from),
            [1; 16],
            0,
            Timestamp::MIN,
            Duration::MAX,
            from,
            uptime(1),
        );
        for wall in [Timestamp::MIN, Timestamp::MAX] {
            time.observe(wall, uptime(2));
            time.confirm(wall, uptime(3));
        }
        assert_eq!(time.trusted, Timestamp::MAX);
    }
}

proptest! {
    /// Whatever the wall clock shows: trusted time never goes back, never falls behind the uptime,
    /// and never gets further than twice the uptime and the bound.
    #[test]
    fn no_wall_clock_drives_time(
        steps in prop::collection::vec(
            (0..200_u64, prop_oneof![-100..100_i64, -9_000..9_000_i64], any::<bool>(), 0..20_u8),
            1..200,
        ),
    ) {
        let minute = Duration::from_mins(1);
        let mut time = fresh();
        let (mut uptime, mut elapsed, mut boot) = (Duration::ZERO, Duration::ZERO, 1);
        let (mut last, mut offset) = (start(), 0_i64);
        for (minutes, step, stepped, reboot) in steps {
            let passed = minute * u32::try_from(minutes).unwrap();
            if reboot == 0 {
                (boot, uptime) = (boot + 1, Duration::ZERO);
            }
            uptime += passed;
            elapsed += passed;
            if stepped {
                offset += step * 60_000_000;
            }
            let truth = start().saturating_add(elapsed);
            let wall = Timestamp::from_micros(truth.as_micros() + offset);
            let before = time.trusted;
            let now = time.observe(wall, up(boot, uptime));
            // By itself it gets no further ahead of the uptime than the bound allows.
            prop_assert!(now <= before.saturating_add(passed + HOUR));
            let now = see(&mut time, wall, up(boot, uptime)).max(now);
            prop_assert!(now >= last.saturating_add(passed));
            prop_assert!(now >= truth);
            prop_assert!(now <= start().saturating_add(2 * elapsed + HOUR));
            prop_assert!(time.line <= now && now <= time.line.saturating_add(HOUR));
            last = now;
        }
    }
}
