//! When the words of a request end, and that they do.

use super::forge::no_trim;
use super::street::{DAY, SECRETS, Street, agency, submission, whole};
use crate::requests::{Chosen, HouseholdId, Refusal, RequestId};
use crate::{Release, ReleaseCause};

const PAPER: &str = "private/r1.json";

fn has_words(street: &Street) -> bool {
    street.disk.files().iter().any(|path| path == PAPER)
}

/// Whether the words of the agency are in any file at all.
fn are_somewhere(street: &Street) -> bool {
    let words = SECRETS[3].as_bytes();
    street.disk.files().iter().any(|path| {
        let bytes = street.disk.contents(path).unwrap_or_default();
        bytes.windows(words.len()).any(|part| part == words)
    })
}

/// One of the street's homes shares its clip, and the agency says that it has it.
fn fetched(street: &Street, home: u32, request: RequestId) {
    let clip = street.clip(home, 18);
    street.desk.accept(HouseholdId(home), request, &[whole(&clip)]).unwrap();
    street.desk.acknowledge(&agency(), request, &[clip.id()]).unwrap();
}

#[test]
fn words_are_destroyed_three_days_after_a_request_is_over_and_that_is_on_record() {
    let street = Street::of(2);
    let request = street.open();
    street.desk.deny(HouseholdId(1), request).unwrap();
    street.days(14);
    assert_eq!(street.view(request).status, "closed");
    street.days(2);
    assert!(has_words(&street) && are_somewhere(&street), "it was over two days ago");
    let before = street.bytes(request);
    street.days(1);
    assert!(!has_words(&street) && !are_somewhere(&street));
    assert_eq!(street.bytes(request), before, "its agency is told nothing of it");
    let asked = street.desk.asked(HouseholdId(1)).unwrap();
    assert!(asked[0].submission.is_none() && asked[0].words_gone.is_some());
    assert_eq!(asked[0].answer, "denied", "what was decided stays");
    let destroyed = "destroyed the words of the request";
    let told = |lines: Vec<crate::requests::AuditLine>| {
        lines.iter().filter(|line| line.what == destroyed).count()
    };
    assert_eq!(told(street.desk.audit_of_household(HouseholdId(2)).unwrap()), 1);
    assert_eq!(told(street.desk.audit().unwrap()), 1);
    assert_eq!(told(street.desk.audit_of_agency(&agency()).unwrap()), 0);
    let street = street.reopened();
    assert!(!has_words(&street));
    assert_eq!(street.desk.asked(HouseholdId(1)).unwrap(), asked);
    // A submission that is sent again is still the same one.
    let again = street.desk.submit(&agency(), &submission("k1")).unwrap();
    assert_eq!(again.request.0, request);
    assert!(!has_words(&street));
}

#[test]
fn words_stay_while_what_was_fetched_can_be_fetched_again() {
    let street = Street::of(2);
    let request = street.open();
    fetched(&street, 1, request);
    street.desk.withdraw(&agency(), request).unwrap();
    street.days(5);
    assert!(has_words(&street), "the clip has days to live");
    let mut bundle = Vec::new();
    street.desk.bundle(&agency(), request, &no_trim, &mut bundle).unwrap();
    assert!(String::from_utf8_lossy(&bundle).contains(SECRETS[3]));
    street.days(6);
    assert!(
        street
            .desk
            .store()
            .clips(&super::street::camera(1), super::street::hours(0, 24))
            .unwrap()
            .next()
            .is_none()
    );
    assert!(!has_words(&street));
    let gone = street.desk.bundle(&agency(), request, &no_trim, &mut bundle).unwrap_err();
    assert!(matches!(gone, Refusal::Over(_)), "{gone}");
}

#[test]
fn words_of_what_a_resident_keeps_for_ever_are_destroyed_after_ninety_days() {
    let street = Street::of(1);
    let request = street.open();
    street.desk.post(HouseholdId(1), street.clip(1, 18).id()).unwrap();
    fetched(&street, 1, request);
    street.days(14 + 89);
    assert!(has_words(&street) && street.is_held(&street.clip(1, 18)));
    street.days(2);
    assert!(!has_words(&street) && street.is_held(&street.clip(1, 18)));
    let gone = street.desk.bundle(&agency(), request, &no_trim, &mut Vec::new()).unwrap_err();
    assert!(matches!(gone, Refusal::Over(_)), "{gone}");
    assert_eq!(street.view(request).shared.len(), 1, "what it has it has");
}

#[test]
fn words_stay_while_an_order_on_the_request_stands() {
    let street = Street::of(1);
    let request = street.open();
    let hold = street.desk.order(request, HouseholdId(1), 60 * DAY).unwrap();
    street.days(30);
    assert!(has_words(&street), "the court may ask what it was about");
    let two = Release::new(ReleaseCause::Ended, "clerk").second_actor("judge");
    street.desk.store().release_hold(hold, &two).unwrap();
    street.days(1);
    assert!(!has_words(&street));
}

#[test]
fn words_of_a_request_that_nobody_screened_go_too_and_those_of_a_running_one_stay() {
    let street = Street::of(1);
    street.submit();
    street.days(2);
    assert_eq!(street.answer(1), "rejected");
    let mut other = submission("k2");
    other.incident = "another".to_owned();
    let second = street.desk.submit(&agency(), &other).unwrap().request.0;
    street.desk.approve(second).unwrap();
    street.days(3);
    let files = street.disk.files();
    assert!(!files.contains(&PAPER.to_owned()) && files.contains(&"private/r2.json".to_owned()));
}

#[test]
fn what_is_shared_later_is_fetched_although_what_was_fetched_before_has_died() {
    let street = Street::of(2);
    let request = street.open();
    fetched(&street, 1, request);
    street.days(12);
    let late = street.clip(2, 18);
    let chosen = [Chosen { clip: crate::requests::Text(late.id()), part: None }];
    street.desk.accept(HouseholdId(2), request, &chosen).unwrap();
    let mut bundle = Vec::new();
    street.desk.bundle(&agency(), request, &no_trim, &mut bundle).unwrap();
    let text = String::from_utf8_lossy(&bundle);
    assert!(text.contains("<clip of 2 at 18>") && !text.contains("<clip of 1 at 18>"));
    let report = crate::requests::evidence::check(
        std::io::Cursor::new(&bundle),
        &[street.desk.verifying_key().unwrap()],
    );
    assert_eq!(report.exit_code(), 0, "{report:?}");
}
