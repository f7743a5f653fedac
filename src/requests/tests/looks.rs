//! Who looked at what, and who is told of it.

use super::street::{DAY, Street, agency};
use crate::requests::looks::WAITING_MAX;
use crate::requests::{HouseholdId, Refusal, Viewer};

fn token(id: &str) -> Viewer {
    Viewer { who: format!("token {id}"), agency: None }
}

/// The looks that a home is told of, oldest first: who, and at how many clips.
fn told(street: &Street, home: u32) -> Vec<(String, usize)> {
    let lines = street.desk.audit_of_household(HouseholdId(home)).unwrap();
    let looks = lines.into_iter().rev().filter(|line| line.what.starts_with("looked"));
    looks.map(|line| (line.who, line.clips.len())).collect()
}

fn entries(street: &Street) -> u64 {
    street.desk.store().stats().unwrap().ledger_entries
}

#[test]
fn a_look_at_what_is_asked_for_is_noted_once_a_day_for_each_viewer() {
    let street = Street::of(2);
    street.open();
    let clip = street.clip(1, 18);
    let before = entries(&street);
    for _ in 0..50 {
        street.desk.looked(&token("1"), std::slice::from_ref(&clip)).unwrap();
        street.desk.note_looks().unwrap();
    }
    assert_eq!(entries(&street), before + 1, "one entry, whatever a player asks for");
    street.desk.looked(&token("2"), std::slice::from_ref(&clip)).unwrap();
    assert_eq!(told(&street, 1), [("token 1".to_owned(), 1), ("token 2".to_owned(), 1)]);
    assert_eq!(told(&street, 2), [], "a neighbour is not told");
    street.clock.advance(DAY);
    street.desk.looked(&token("1"), &[clip]).unwrap();
    assert_eq!(told(&street, 1).len(), 3, "another day, another entry");
}

#[test]
fn what_a_resident_watches_that_nobody_asks_about_is_not_noted() {
    let street = Street::of(2);
    street.open();
    let later = street.record(1, 22);
    let before = entries(&street);
    street.desk.looked(&token("1"), std::slice::from_ref(&later)).unwrap();
    street.desk.note_looks().unwrap();
    assert_eq!(entries(&street), before);
    // Once it is posted it is.
    let post = street.desk.post(HouseholdId(1), later.id()).unwrap();
    street.desk.looked(&token("1"), std::slice::from_ref(&later)).unwrap();
    assert_eq!(told(&street, 1), [("token 1".to_owned(), 1)]);
    street.desk.withdraw_post(HouseholdId(1), post).unwrap();
    street.desk.looked(&token("2"), &[later]).unwrap();
    assert_eq!(told(&street, 1).len(), 1);
}

#[test]
fn an_agency_is_told_of_its_own_looks_and_of_no_residents() {
    let street = Street::of(1);
    let request = street.open();
    let heard = |street: &Street| {
        let lines = street.desk.audit_of_agency(&agency()).unwrap();
        serde_json::to_string(&lines).unwrap()
    };
    let before = (heard(&street), street.bytes(request));
    let clip = street.clip(1, 18);
    street.desk.looked(&token("1"), std::slice::from_ref(&clip)).unwrap();
    street.desk.note_looks().unwrap();
    assert_eq!((heard(&street), street.bytes(request)), before);
    street.desk.post(HouseholdId(1), clip.id()).unwrap();
    let own = Viewer { who: agency().to_string(), agency: Some(agency()) };
    street.desk.looked(&own, &[clip]).unwrap();
    street.desk.note_looks().unwrap();
    assert!(heard(&street).contains("looked at footage"));
    assert!(!heard(&street).contains("token 1") && !heard(&street).contains("h1"));
}

#[test]
fn too_many_looks_that_wait_to_be_noted_stop_the_looking() {
    let street = Street::of(1);
    street.open();
    let clip = street.clip(1, 18);
    for viewer in 0..WAITING_MAX {
        let viewer = token(&viewer.to_string());
        street.desk.looked(&viewer, std::slice::from_ref(&clip)).unwrap();
    }
    let refused = street.desk.looked(&token("one more"), std::slice::from_ref(&clip));
    assert!(matches!(refused, Err(Refusal::Over(_))));
    street.desk.looked(&token("7"), std::slice::from_ref(&clip)).unwrap();
    street.desk.note_looks().unwrap();
    street.desk.looked(&token("one more"), &[clip]).unwrap();
}

#[test]
fn looks_at_what_was_fetched_or_is_under_an_order_are_noted_also_later() {
    let street = Street::of(3);
    let request = street.open();
    let clips = [1, 2, 3].map(|home| street.clip(home, 18));
    street.accept(1, request).unwrap();
    street.desk.acknowledge(&agency(), request, &[clips[0].id()]).unwrap();
    street.desk.order(request, HouseholdId(2), 60 * DAY).unwrap();
    street.desk.withdraw(&agency(), request).unwrap();
    street.clock.advance(DAY);
    street.desk.looked(&token("1"), &clips).unwrap();
    assert_eq!(told(&street, 1), [("token 1".to_owned(), 1)], "it was fetched");
    assert_eq!(told(&street, 2), [("token 1".to_owned(), 1)], "it is under an order");
    assert_eq!(told(&street, 3), [], "nobody asks about it any more");
}
