//! Budgets, renewals, keys, scopes: what a hold may not be.

use std::time::Duration;

use clipkeep::vfs::sim::SimOp;
use clipkeep::{
    ErrorKind, HoldCause, HoldState, NewHold, Release, ReleaseCause, StoreOptions, Window,
};

use crate::store_kit::{DAY, TestStore, at, camera, kind_of, minutes, new_hold};

fn budgeted(change: impl FnOnce(StoreOptions) -> StoreOptions) -> TestStore {
    let t = TestStore::with(change);
    for minute in [10, 20, 30] {
        t.sized_clip("door", minute, "a", 1000);
    }
    t
}

// HOLDS 2, rule 15
#[test]
fn budget_of_all_holds_refuses_what_is_above_it_and_places_nothing() {
    let t = budgeted(|options| options.hold_budget(2000));
    t.keep("door", minutes(10, 21));
    let position = t.position();
    let more = NewHold::new([camera("door")], minutes(30, 31));
    let error = t.store.place_hold(more).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HoldBudget);
    for number in ["2000", "1000"] {
        assert!(error.to_string().contains(number), "{error}");
    }
    assert_eq!((t.store.holds().len(), t.position()), (1, position));
    let stats = t.store.stats().unwrap();
    assert_eq!((stats.held_clips, stats.holds_active), (2, 1));
}

// HOLDS 2, rule 15
#[test]
fn budget_counts_a_clip_once_however_many_hold_it() {
    let t = budgeted(|options| options.hold_budget(2000));
    for _ in 0..5 {
        t.keep("door", minutes(10, 21));
    }
    assert_eq!(t.store.holds().len(), 5);
}

// HOLDS 2, rule 15
#[test]
fn budget_comes_back_when_a_hold_ends() {
    let t = budgeted(|options| options.hold_budget(2000));
    let hold = t.keep("door", minutes(10, 21));
    t.release_keep(hold);
    t.keep("door", minutes(20, 31));
}

// HOLDS 2, rule 15
#[test]
fn budget_of_an_agency_binds_that_agency_alone() {
    let t = budgeted(|options| options.agency_hold_budget(1000));
    let request = |agency, minute| {
        let hold = new_hold(HoldCause::Request, "door", minutes(minute, minute + 1)).agency(agency);
        t.store.place_hold(hold)
    };
    request("north", 10).unwrap();
    request("north", 10).unwrap();
    assert_eq!(kind_of(request("north", 20)), ErrorKind::HoldBudget);
    request("south", 20).unwrap();
    t.keep("door", minutes(0, 60));
    assert_eq!(t.store.holds().len(), 4);
}

// HOLDS 2, rule 18
#[test]
fn renewal_of_a_request_is_one_and_within_90_days() {
    let t = budgeted(|options| options);
    let hold = NewHold::new([camera("door")], minutes(0, 60))
        .cause(HoldCause::Request)
        .reference("case 1");
    let receipt = t.store.place_hold(hold).unwrap();
    let renew = |days: u32| t.store.renew_hold(receipt.id, days * DAY, "clerk", "still asked for");
    assert_eq!(kind_of(renew(91)), ErrorKind::InvalidInput);
    assert_eq!(kind_of(renew(14)), ErrorKind::InvalidInput, "no later than it is");
    let renewed = renew(90).unwrap();
    assert_eq!(renewed.deadline(), receipt.placed.saturating_add(90 * DAY));
    assert_eq!(renewed.renewals(), 1);
    t.pass(80 * DAY);
    assert_eq!(kind_of(renew(10)), ErrorKind::InvalidInput);
    assert_eq!(t.sweep().holds_lapsed, 0);
    t.pass(10 * DAY);
    assert_eq!(t.sweep().holds_lapsed, 1);
}

// HOLDS 2, rule 18
#[test]
fn renewal_of_screening_and_disclosure_is_refused_and_of_keep_and_order_is_not() {
    let t = budgeted(|options| options);
    let renew = |cause| {
        let id = t.hold(cause, "door", minutes(0, 60));
        t.store.renew_hold(id, 20 * DAY, "clerk", "")
    };
    for cause in [HoldCause::Provisional, HoldCause::Disclosure] {
        assert_eq!(kind_of(renew(cause)), ErrorKind::InvalidInput);
    }
    for cause in [HoldCause::Keep, HoldCause::Order] {
        assert_eq!(renew(cause).unwrap().state(), HoldState::Active);
    }
}

// HOLDS 2, rule 18
#[test]
fn renewal_of_a_hold_whose_deadline_passed_is_refused() {
    let t = budgeted(|options| options);
    let id = t.hold(HoldCause::Order, "door", minutes(0, 60));
    t.pass(DAY);
    assert_eq!(kind_of(t.store.renew_hold(id, 9 * DAY, "clerk", "")), ErrorKind::InvalidInput);
}

// HOLDS 2, rule 19
#[test]
fn key_with_the_same_scope_answers_the_same_hold() {
    let t = budgeted(|options| options);
    let hold = || new_hold(HoldCause::Request, "door", minutes(0, 60)).idempotency_key("k1");
    let first = t.store.place_hold(hold()).unwrap();
    t.pass(DAY / 2);
    let t = t.reopen();
    let position = t.position();
    let second = t.store.place_hold(hold()).unwrap();
    assert_eq!((second.id, second.position), (first.id, first.position));
    assert_eq!((second.placed, second.deadline), (first.placed, first.deadline));
    assert_eq!((second.clips, second.bytes), (first.clips, first.bytes));
    assert!(second.placed_before && !first.placed_before);
    assert_eq!(t.position(), position);
}

// HOLDS 2, rule 19
#[test]
fn key_with_another_scope_or_cause_is_a_conflict() {
    let t = budgeted(|options| options);
    let hold = |cause, to| new_hold(cause, "door", minutes(0, to)).idempotency_key("k1");
    t.store.place_hold(hold(HoldCause::Request, 60)).unwrap();
    let position = t.position();
    let other_scope = t.store.place_hold(hold(HoldCause::Request, 59));
    assert_eq!(kind_of(other_scope), ErrorKind::Conflict);
    let other_cause = t.store.place_hold(hold(HoldCause::Disclosure, 60));
    assert_eq!(kind_of(other_cause), ErrorKind::Conflict);
    assert_eq!(t.position(), position);
}

// HOLDS 2, rule 19
#[test]
fn key_of_a_released_hold_places_a_new_one() {
    let t = budgeted(|options| options);
    let hold = || NewHold::new([camera("door")], minutes(0, 60)).idempotency_key("k1");
    let first = t.store.place_hold(hold()).unwrap();
    t.release_keep(first.id);
    let second = t.store.place_hold(hold()).unwrap();
    assert_ne!(second.id, first.id);
    assert!(!second.placed_before);
}

// HOLDS 2, rule 19
#[test]
fn releasing_twice_answers_the_same_record() {
    let t = budgeted(|options| options);
    let id = t.hold(HoldCause::Request, "door", minutes(0, 60));
    let first = t.store.release_hold(id, &Release::new(ReleaseCause::Denied, "ann")).unwrap();
    let position = t.position();
    t.pass(DAY / 2);
    let second = t.store.release_hold(id, &Release::new(ReleaseCause::Withdrawn, "bob")).unwrap();
    assert_eq!(second, first);
    assert_eq!(t.position(), position);
}

// HOLDS 2, rule 20
#[test]
fn narrowing_frees_the_rest_at_once() {
    let t = TestStore::new();
    let kept = t.clip("door", 10, "kept");
    let freed = t.sealed_clip("door", 20, "freed");
    let id = t.keep("door", minutes(0, 60));
    t.pass(11 * DAY);
    let release = Release::new(ReleaseCause::Owner, "owner");
    let scope = vec![(camera("door"), minutes(10, 11))];
    let narrowed = t.store.narrow_hold(id, scope.clone(), &release).unwrap();
    assert_eq!(narrowed.scope(), scope);
    t.sweep();
    t.assert_gone(&freed);
    let t = t.reopen();
    assert!(t.reads_as(&kept, "kept"));
}

// HOLDS 2, rule 20
#[test]
fn widening_is_refused_in_every_direction() {
    let t = budgeted(|options| options);
    t.clip("yard", 10, "b");
    let id = t.keep("door", minutes(10, 20));
    let position = t.position();
    let release = Release::new(ReleaseCause::Owner, "owner");
    for (name, window) in [
        ("door", minutes(9, 20)),
        ("door", minutes(10, 21)),
        ("door", minutes(30, 31)),
        ("yard", minutes(10, 20)),
    ] {
        let widened = t.store.narrow_hold(id, vec![(camera(name), window)], &release);
        assert_eq!(kind_of(widened), ErrorKind::InvalidInput, "{name} {window}");
    }
    let nothing = t.store.narrow_hold(id, Vec::new(), &release);
    assert_eq!(kind_of(nothing), ErrorKind::InvalidInput);
    assert_eq!(t.position(), position);
}

// HOLDS 2, rule 21
#[test]
fn invalid_holds_are_typed_errors_and_change_nothing() {
    let t = budgeted(|options| options);
    let position = t.position();
    let request = || new_hold(HoldCause::Request, "door", minutes(0, 60));
    let long = "x".repeat(100_000);
    for (hold, why) in [
        (request().for_duration(Duration::ZERO), "zero duration"),
        (request().for_duration(31 * DAY), "too long"),
        (request().for_duration(Duration::MAX), "endless"),
        (request().reason(&long), "reason"),
        (request().reference(""), "no reference"),
        (request().reference(&long), "reference"),
        (request().actor(&long), "actor"),
        (request().agency(&long), "agency"),
        (request().idempotency_key(&long), "key"),
        (request().reason("bell\u{7}"), "control character"),
        (request().grace(DAY), "grace is for orders"),
        (NewHold::new([], minutes(0, 60)), "no camera"),
        (NewHold::new(std::iter::repeat_n(camera("door"), 5000), minutes(0, 60)), "too many"),
    ] {
        assert_eq!(kind_of(t.store.place_hold(hold)), ErrorKind::InvalidInput, "{why}");
    }
    let unknown = NewHold::new([camera("door"), camera("attic")], minutes(0, 60));
    assert_eq!(kind_of(t.store.place_hold(unknown)), ErrorKind::NotFound);
    assert_eq!(kind_of(Window::new(at(5), at(5))), ErrorKind::InvalidInput);
    assert_eq!(kind_of(Window::new(at(6), at(5))), ErrorKind::InvalidInput);
    assert_eq!(t.position(), position);
    assert!(t.store.holds().is_empty());
}

// HOLDS 2, rule 21
#[test]
fn invalid_releases_and_renewals_change_nothing() {
    let t = budgeted(|options| options);
    let id = t.hold(HoldCause::Request, "door", minutes(0, 60));
    let unknown = t.keep("door", minutes(0, 1));
    t.release_keep(unknown);
    let position = t.position();
    for release in [
        Release::new(ReleaseCause::Rejected, "ann"),
        Release::new(ReleaseCause::Ended, "ann"),
        Release::new(ReleaseCause::Denied, ""),
        Release::new(ReleaseCause::Denied, "ann").reason("x".repeat(100_000)),
    ] {
        assert_eq!(kind_of(t.store.release_hold(id, &release)), ErrorKind::InvalidInput);
    }
    assert_eq!(kind_of(t.store.renew_hold(id, Duration::ZERO, "", "")), ErrorKind::InvalidInput);
    let ended = t.store.renew_hold(unknown, 400 * DAY, "", "");
    assert_eq!(kind_of(ended), ErrorKind::InvalidInput);
    assert_eq!(t.position(), position);
}

#[test]
fn more_holds_than_the_ledger_takes_at_once_end_by_the_same_entries_in_memory_and_on_disk() {
    const HOLDS: usize = 6_000;
    let t = TestStore::new();
    t.clip("door", 10, "a");
    for _ in 0..HOLDS {
        let hold = NewHold::new([camera("door")], minutes(10, 11)).for_duration(DAY);
        t.store.place_hold(hold).unwrap();
    }
    let ended = |t: &TestStore| {
        t.store.holds().iter().filter(|hold| hold.state() == HoldState::Ended).count()
    };
    t.pass(DAY);
    // The third write of each copy fails, and with it the sweep.
    t.disk.fail_from(SimOp::Write, 5, std::io::ErrorKind::Other);
    t.store.sweep().unwrap_err();
    t.disk.clear_faults();
    let some = ended(&t);
    assert!(some > 0 && some < HOLDS, "{some}");
    let t = t.reopen();
    assert_eq!(ended(&t), some);
    assert_eq!(t.sweep().holds_ended, u64::try_from(HOLDS - some).unwrap());
    assert_eq!(ended(&t), HOLDS);
    assert_eq!(ended(&t.reopen()), HOLDS);
}
