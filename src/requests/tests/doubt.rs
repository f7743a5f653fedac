//! What is asked and answered while the wall clock is doubted gets the time that it was promised.

use super::street::{DAY, HOUR, Street};
use crate::requests::{HouseholdId, RequestId};
use crate::{ClockStatus, Timestamp};

/// A street whose machine was off for two days: its clock is right, and is not believed.
fn after_two_days_without_power(homes: u32) -> Street {
    let street = Street::of(homes);
    let back = street.desk.store().now().saturating_add(2 * DAY);
    street.clock.reboot();
    street.clock.step_wall(back);
    let street = street.reopened();
    let status = street.desk.store().clock_status();
    assert!(matches!(status, ClockStatus::WallAhead { .. }), "{status}");
    street
}

/// Lets hours pass, with a sweep and a look at what has ended in each.
fn pass(street: &Street, hours: u32) {
    for _ in 0..hours {
        street.clock.advance(HOUR);
        street.desk.store().sweep().unwrap();
        street.desk.settle().unwrap();
        assert_eq!(street.desk.disagreements(), Vec::<String>::new());
    }
}

fn deadline(street: &Street, request: RequestId) -> Timestamp {
    street.view(request).deadline.unwrap().0
}

#[test]
fn a_deadline_that_was_set_in_doubt_comes_when_it_was_promised() {
    let street = after_two_days_without_power(2);
    let request = street.open();
    let promised = deadline(&street, request);
    let hours = u32::try_from(street.desk.rules.answering.as_secs() / 3600).unwrap();
    pass(&street, 47);
    assert_eq!(deadline(&street, request), promised);
    pass(&street, 1);
    assert_eq!(street.desk.store().clock_status(), ClockStatus::Agrees);
    assert_eq!(deadline(&street, request), promised.saturating_add(2 * DAY));
    pass(&street, hours - 49);
    assert_eq!((street.view(request).status, street.answer(1)), ("open", "pending"));
    assert!(street.is_held(&street.clip(1, 18)));
    pass(&street, 1);
    assert_eq!((street.view(request).status, street.answer(1)), ("closed", "lapsed"));
}

#[test]
fn what_was_answered_in_doubt_can_be_undone_and_fetched_as_long_as_was_promised() {
    let street = after_two_days_without_power(2);
    let request = street.open();
    pass(&street, 36);
    street.accept(1, request).unwrap();
    street.desk.deny(HouseholdId(2), request).unwrap();
    let until = |street: &Street| street.view(request).shared[0].until.unwrap().0;
    let promised = until(&street);
    // Twelve hours later the clock is believed; the day to undo it ends twelve hours after that.
    pass(&street, 23);
    assert_eq!(street.desk.store().clock_status(), ClockStatus::Agrees);
    assert_eq!(until(&street), promised.saturating_add(2 * DAY));
    assert!(street.is_held(&street.clip(2, 18)));
    let answer = street.answer(2);
    street.desk.undo_denial(HouseholdId(2), request).unwrap();
    assert_eq!((answer, street.answer(2)), ("denied", "pending"));
}

#[test]
fn a_desk_that_is_opened_again_knows_the_same_deadlines() {
    let street = after_two_days_without_power(2);
    let request = street.open();
    street.accept(1, request).unwrap();
    pass(&street, 60);
    let (before, bytes) = (deadline(&street, request), street.bytes(request));
    let street = street.reopened();
    assert_eq!((deadline(&street, request), street.bytes(request)), (before, bytes));
    assert_eq!(street.desk.disagreements(), Vec::<String>::new());
}

#[test]
fn a_request_that_waits_for_screening_in_doubt_is_not_rejected_for_the_lag() {
    let street = after_two_days_without_power(1);
    pass(&street, 40);
    let request = street.submit().request.0;
    pass(&street, 20);
    assert_eq!(street.desk.store().clock_status(), ClockStatus::Agrees);
    assert_eq!(street.view(request).status, "received");
    street.desk.approve(request).unwrap();
}
