//! What a rule lets through without a person.

use super::street::{DAY, HOUR, Street, agency, hours, submission};
use crate::requests::{Area, ByRule, Desk, HouseholdId, Place, Rules, Submission};

/// A street of `homes` homes whose operator lets thefts through by rule, two a day.
fn street(homes: u32) -> Street {
    let Street { disk, clock, desk } = Street::of(homes);
    let store = desk.store().clone();
    drop(desk);
    let mut rule = ByRule::of(vec!["theft".to_owned()]);
    rule.a_day = 2;
    let rules = Rules { by_rule: Some(rule), ..Rules::default() };
    Street { disk, clock, desk: Desk::open(store, rules).unwrap() }
}

/// A request within all bounds of the rule.
fn narrow(key: &str) -> Submission {
    let mut narrow = submission(key);
    narrow.incident = format!("incident of {key}");
    narrow.window = hours(18, 19).into();
    narrow
}

#[test]
fn a_request_within_a_rule_is_let_through_without_a_person_and_on_record_as_that() {
    let street = street(2);
    let view = street.desk.submit(&agency(), &narrow("k1")).unwrap();
    assert_eq!(view.status, "received", "what its agency hears first is what it always hears");
    street.desk.settle().unwrap();
    assert_eq!(street.view(view.request.0).status, "open");
    assert_eq!((street.answer(1), street.answer(2)), ("pending", "pending"));
    assert!(street.desk.screening().unwrap().is_empty());
    assert_eq!(street.desk.notices().unwrap().len(), 2);
    let who = |lines: Vec<crate::requests::AuditLine>| {
        let through = lines.into_iter().find(|line| line.what == "let it through");
        through.map(|line| line.who)
    };
    for lines in [
        street.desk.audit().unwrap(),
        street.desk.audit_of_agency(&agency()).unwrap(),
        street.desk.audit_of_household(HouseholdId(2)).unwrap(),
    ] {
        assert_eq!(who(lines).as_deref(), Some("rule"));
    }
    assert_eq!(street.desk.disagreements(), Vec::<String>::new());
    let street = street.reopened();
    assert_eq!((street.view(view.request.0).status, street.answer(1)), ("open", "pending"));
    street.days(14);
    assert_eq!((street.view(view.request.0).status, street.answer(1)), ("closed", "lapsed"));
}

#[test]
fn what_is_beyond_a_rule_waits_for_a_person() {
    let street = street(1);
    let mut wide = narrow("k1");
    wide.area = Area::Circle { center: Place { lat: 40.0, lon: -75.0 }, radius_m: 350.0 };
    let mut other = narrow("k2");
    other.kind = "noise".to_owned();
    for beyond in [wide, other, Submission { window: hours(17, 20).into(), ..narrow("k3") }] {
        street.desk.submit(&agency(), &beyond).unwrap();
    }
    // Two a day, and not a third; the next day again.
    for key in ["k4", "k5", "k6"] {
        street.desk.submit(&agency(), &narrow(key)).unwrap();
    }
    street.clock.advance(HOUR);
    street.desk.settle().unwrap();
    let waiting = |street: &Street| {
        let waiting = street.desk.screening().unwrap().into_iter();
        waiting.map(|one| one.submission.key).collect::<Vec<_>>()
    };
    assert_eq!(waiting(&street), ["k1", "k2", "k3", "k6"]);
    street.clock.advance(DAY);
    street.desk.submit(&agency(), &narrow("k7")).unwrap();
    street.desk.settle().unwrap();
    assert!(waiting(&street).is_empty(), "the others ran out, and this one went through");
    assert_eq!(street.desk.disagreements(), Vec::<String>::new());
}

#[test]
fn a_rule_that_comes_too_late_lets_nothing_through() {
    let street = street(1);
    let request = street.desk.submit(&agency(), &narrow("k1")).unwrap().request.0;
    street.clock.advance(DAY);
    assert_eq!(street.view(request).status, "rejected", "that is what its agency was told");
    street.desk.settle().unwrap();
    assert_eq!((street.view(request).status, street.answer(1)), ("rejected", "rejected"));
}
