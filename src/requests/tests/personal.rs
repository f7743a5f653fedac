//! What is personal is in private records alone, and can be destroyed.

use super::street::{SECRETS, Street, agency, camera, submission};
use crate::ErrorKind;
use crate::requests::{HouseholdId, NewHousehold, Place, Refusal, Text};
use crate::vfs::sim::SimOp;

/// The files in which one of the secrets stands.
fn files_with_secrets(street: &Street) -> Vec<String> {
    let has = |bytes: &[u8]| {
        SECRETS.iter().any(|secret| {
            bytes.windows(secret.len()).any(|part| part.eq_ignore_ascii_case(secret.as_bytes()))
        })
    };
    let files = street.disk.files().into_iter();
    files.filter(|path| street.disk.contents(path).is_some_and(|bytes| has(&bytes))).collect()
}

#[test]
fn names_words_and_places_are_in_no_file_but_private_records() {
    let street = Street::of(3);
    let request = street.open();
    street.accept(1, request).unwrap();
    street.desk.deny(HouseholdId(2), request).unwrap();
    street.desk.erase(HouseholdId(3), street.clip(3, 18).id()).unwrap();
    street.desk.store().seal().unwrap();
    let found = files_with_secrets(&street);
    assert_eq!(found.len(), 5, "an agency, three homes, a request: {found:?}");
    assert!(found.iter().all(|path| path.starts_with("private/")), "{found:?}");
    // Where the homes are: as text or as a number.
    let lat = 40.000_1_f64;
    for path in street.disk.files() {
        let bytes = street.disk.contents(&path).unwrap();
        let numbers = [lat.to_le_bytes(), lat.to_be_bytes()];
        let there = bytes.windows(7).any(|part| part == b"40.0001")
            || numbers.iter().any(|number| bytes.windows(8).any(|part| part == number));
        assert_eq!(there, path == "private/h1.json", "{path}");
    }
}

/// Somebody asks, a department joins, or a home.
fn act(street: &Street, kind: usize) -> Result<(), Refusal> {
    match kind {
        0 => street.desk.submit(&agency(), &submission("k1")).map(drop),
        1 => street.desk.join_agency(&"other-pd".parse()?, SECRETS[4]),
        _ => {
            let cameras = vec![(Text(camera(2)), Place { lat: 40.0, lon: -75.0 })];
            let home = NewHousehold { cameras, contact: SECRETS[2].to_owned() };
            street.desk.join_household(&home).map(drop)
        }
    }
}

#[test]
fn who_tries_again_while_the_ledger_is_in_doubt_writes_over_nothing_that_may_be_on_record() {
    for kind in 0..3 {
        let mut in_doubt = false;
        for nth in 1..=4 {
            let street = Street::of(1);
            street.disk.fail_from(SimOp::Sync, nth, std::io::ErrorKind::Other);
            drop(act(&street, kind));
            street.disk.clear_faults();
            // Whoever heard an error tries again, and the disk is well again.
            let poisoned = |error: &crate::Error| error.kind() == ErrorKind::Poisoned;
            in_doubt |= matches!(act(&street, kind), Err(Refusal::Store(e)) if poisoned(&e));
            // The process ends; what the disk has in memory stays.
            let street = street.reopened();
            assert_eq!(street.desk.disagreements(), Vec::<String>::new());
            for waiting in street.desk.screening().unwrap() {
                assert_eq!(waiting.submission, submission("k1"));
            }
            let before = street.desk.agency_views(&agency()).unwrap();
            let again = street.desk.submit(&agency(), &submission("k1")).unwrap();
            assert!(before.is_empty() || before == [again], "sync {nth}");
        }
        assert!(in_doubt, "otherwise nothing was tested of {kind}");
    }
}

#[test]
fn what_is_shown_to_people_about_trouble_names_nobody() {
    let street = Street::of(1);
    let mut bad = submission("k1");
    bad.key.clear();
    let refusal = street.desk.submit(&super::street::agency(), &bad).unwrap_err();
    let debug = format!("{refusal:?} {refusal} {:?}", street.desk);
    assert!(SECRETS.iter().all(|secret| !debug.contains(secret)), "{debug}");
}

#[test]
fn a_household_that_leaves_takes_what_is_personal_with_it() {
    let street = Street::of(2);
    let request = street.open();
    street.desk.post(HouseholdId(1), street.clip(1, 18).id()).unwrap();
    street.desk.leave(HouseholdId(1)).unwrap();
    street.desk.leave(HouseholdId(1)).unwrap();
    assert!(!street.disk.files().contains(&"private/h1.json".to_owned()));
    assert!(!street.is_held(&street.clip(1, 18)) && street.desk.feed().is_empty());
    assert_eq!(street.desk.disagreements(), Vec::<String>::new());
    let street = street.reopened();
    assert_eq!((street.answer(1), street.view(request).status), ("opted-out", "open"));
    let profile = crate::requests::NewHousehold {
        cameras: vec![(
            crate::requests::Text(super::street::camera(1)),
            crate::requests::Place { lat: 40.0, lon: -75.0 },
        )],
        contact: String::new(),
    };
    assert_eq!(street.desk.join_household(&profile).unwrap(), HouseholdId(3), "a new one");
}
