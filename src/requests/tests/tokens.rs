//! Tokens of incidents and submissions: for how long they say something, and to whom.

use std::collections::HashSet;

use super::street::{DAY, HOUR, Street, agency, camera, hours, options, submission, whole};
use crate::requests::desk::Desk;
use crate::requests::event::Event;
use crate::requests::private::{Key, Records};
use crate::requests::{HouseholdId, Refusal, RequestId, Rules, Submission, Text};
use crate::vfs::sim::SimVfs;
use crate::{ErrorKind, NewClip, Window};

const FIRST: &str = "private/key-1.json";

fn has(street: &Street, path: &str) -> bool {
    street.disk.files().iter().any(|there| there == path)
}

/// Days go by, at whose end the desk is looked after.
fn pass(street: &Street, days: u32) {
    street.clock.advance(DAY * days);
    street.desk.settle().unwrap();
    assert_eq!(street.desk.disagreements(), Vec::<String>::new());
}

/// A submission about the hour that ended just now.
fn recent(street: &Street, key: &str) -> Submission {
    let now = street.desk.store().now();
    let window = Window::new(now.saturating_sub(HOUR), now).unwrap();
    Submission { window: window.into(), ..submission(key) }
}

fn ask(street: &Street, submission: &Submission) -> Result<RequestId, Refusal> {
    street.desk.submit(&agency(), submission).map(|view| view.request.0)
}

/// What somebody finds who has all files of the folder: every text that may be a token, and
/// whatever may be a key, as hexadecimal digits or as bytes.
fn found(disk: &SimVfs) -> (HashSet<String>, HashSet<[u8; 16]>) {
    let (mut tokens, mut keys) = (HashSet::new(), HashSet::new());
    for path in disk.files() {
        let bytes = disk.contents(&path).unwrap_or_default();
        for raw in bytes.windows(16).filter(|raw| raw.iter().any(|byte| *byte != 0)) {
            keys.insert(raw.try_into().unwrap());
        }
        for digits in bytes.split(|byte| !byte.is_ascii_hexdigit()) {
            let digits = std::str::from_utf8(digits).unwrap();
            if digits.len() == 64 {
                tokens.insert(digits.to_owned());
            } else if digits.len() == 32 {
                let byte = |at: usize| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap();
                keys.insert(std::array::from_fn(byte));
            }
        }
    }
    (tokens, keys)
}

/// How many of these three guesses somebody can confirm who has all files: the number of the
/// incident, the key of the submission, and all of it.
fn confirmed(disk: &SimVfs, guess: &Submission) -> usize {
    let (tokens, keys) = found(disk);
    let whole = serde_json::to_string(guess).unwrap();
    let confirmed: HashSet<String> = keys
        .into_iter()
        .flat_map(|key| {
            let marks = Key::found(key).marks(&agency(), guess, &whole);
            [marks.incident, marks.key, marks.fingerprint].map(|mark| mark.to_string())
        })
        .filter(|mark| tokens.contains(mark))
        .collect();
    confirmed.len()
}

#[test]
fn whoever_has_the_folder_can_confirm_a_guess_until_the_key_is_destroyed_and_never_after() {
    let street = Street::of(1);
    let request = street.open();
    street.desk.deny(HouseholdId(1), request).unwrap();
    pass(&street, 20);
    pass(&street, 4);
    assert!(!has(&street, "private/r1.json"), "the words are gone");
    let mut wrong = submission("k9");
    wrong.incident = "26-0001".to_owned();
    pass(&street, 95);
    assert_eq!(confirmed(&street.disk, &submission("k1")), 3, "or this test could not fail");
    assert_eq!(confirmed(&street.disk, &wrong), 0);
    let before = street.bytes(request);
    pass(&street, 1);
    for disk in [street.disk.clone(), street.disk.fork(1).crash()] {
        assert_eq!(confirmed(&disk, &submission("k1")), 0);
        assert!(!disk.files().iter().any(|path| path == FIRST));
    }
    assert_eq!(street.bytes(request), before, "its agency is told nothing of it");
    let audit = street.desk.audit().unwrap();
    assert_eq!(audit[0].what, "destroyed key 1 of the tokens of requests");
    let street = street.reopened();
    assert_eq!((street.bytes(request), street.answer(1)), (before, "denied"));
    assert_eq!(street.desk.audit().unwrap(), audit);
}

#[test]
fn an_incident_keeps_its_budget_and_a_submission_its_answer_over_a_change_of_key() {
    let street = Street::of(1);
    let first = submission("k1");
    assert_eq!(ask(&street, &first).unwrap(), RequestId(1));
    pass(&street, 59);
    let second = recent(&street, "k2");
    assert!(!has(&street, "private/key-2.json"));
    pass(&street, 1);
    assert_eq!(ask(&street, &second).unwrap(), RequestId(2));
    assert!(has(&street, FIRST) && has(&street, "private/key-2.json"));
    let street = street.reopened();
    let third = ask(&street, &recent(&street, "k3"));
    assert!(matches!(third, Err(Refusal::OverBudget(_))), "one under each key is two");
    let altered = |of: &Submission| Submission { words: String::new(), ..of.clone() };
    for (id, one) in [(RequestId(1), &first), (RequestId(2), &second)] {
        assert_eq!(ask(&street, one).unwrap(), id, "it came before");
        assert!(matches!(ask(&street, &altered(one)), Err(Refusal::Conflict(_))));
    }
    assert_eq!(street.desk.partners()[0].requests, 2);
    pass(&street, 60);
    assert!(!has(&street, FIRST) && has(&street, "private/key-2.json"));
    assert_eq!(ask(&street, &second).unwrap(), RequestId(2));
    assert_eq!(ask(&street, &recent(&street, "k3")).unwrap(), RequestId(3), "under a third key");
    assert!(matches!(ask(&street, &recent(&street, "k4")), Err(Refusal::OverBudget(_))));
    pass(&street, 120);
    assert!(!street.disk.files().iter().any(|path| path.starts_with("private/key")));
}

#[test]
fn a_submission_that_is_older_than_its_key_changes_nothing() {
    let street = Street::of(1);
    street.submit();
    pass(&street, 120);
    assert!(!has(&street, FIRST));
    let refused = ask(&street, &submission("k1")).unwrap_err();
    assert!(matches!(&refused, Refusal::Invalid(why) if why.contains("45 days")), "{refused}");
    // Also where windows may now lie further back than its key was kept.
    let Street { disk, clock, desk } = street;
    drop(desk);
    let rules = Rules { reach: DAY * 400, ..Rules::default() };
    let desk = Desk::open(options(&disk, &clock).open("store").unwrap(), rules).unwrap();
    let street = Street { disk, clock, desk };
    let entries = |street: &Street| street.desk.store().stats().unwrap().ledger_entries;
    let before = entries(&street);
    let mut other = submission("k2");
    for again in [&submission("k1"), &other] {
        let refused = ask(&street, again).unwrap_err();
        assert!(matches!(&refused, Refusal::Invalid(why) if why.contains("remember")), "{refused}");
    }
    assert_eq!(entries(&street), before);
    assert_eq!(street.desk.partners()[0].requests, 1);
    // It was submitted a day after midnight; what was later is not forgotten.
    other.window = hours(24, 25).into();
    assert_eq!(ask(&street, &other).unwrap(), RequestId(2));
}

#[test]
fn a_key_stays_while_a_request_under_it_runs() {
    let mut street = Street::of(1);
    street.desk.rules.answering = DAY * 30;
    street.submit();
    pass(&street, 59);
    let minute = Window::starting(street.desk.store().now(), HOUR / 60).unwrap();
    let clip = street.desk.store().append(NewClip::new(&camera(1), minute), &b"a clip"[..]);
    let clip = clip.unwrap();
    street.clock.advance(HOUR);
    let late = recent(&street, "k2");
    let request = ask(&street, &late).unwrap();
    street.desk.approve(request).unwrap();
    pass(&street, 29);
    street.desk.renew(&agency(), request).unwrap();
    pass(&street, 30);
    street.desk.accept(HouseholdId(1), request, &[whole(&clip)]).unwrap();
    pass(&street, 29);
    assert!(has(&street, FIRST));
    assert_eq!(ask(&street, &late).unwrap(), request, "it is running, and can be asked for");
    pass(&street, 1);
    assert!(!has(&street, FIRST));
}

#[test]
fn the_one_key_of_an_older_store_is_its_first_key() {
    let street = Street::of(1);
    // As that build wrote it: a key of which the ledger says nothing.
    let old = submission("k1");
    let whole = serde_json::to_string(&old).unwrap();
    let records = Records::open(street.desk.store().vfs()).unwrap();
    let (key, _) = records.make_key("key").unwrap();
    let paper = records.write("r1", &old).unwrap();
    let marks = key.marks(&agency(), &old, &whole);
    let note = |change: &mut crate::requests::desk::Change<'_, '_>| {
        let request = Text(RequestId(1));
        change.note(Event::Submitted {
            request,
            agency: Text(agency()),
            window: old.window,
            paper,
            incident: marks.incident,
            key: marks.key,
            fingerprint: marks.fingerprint,
            cost: 1,
            partner_by: 0,
            screened_by: Text(change.now().saturating_add(DAY)),
            words_days: 3,
            by_rule: false,
        })?;
        let (asked, holds) = (Vec::new(), Vec::new());
        change.note(Event::Matched { request, asked, holds, unheld: false })
    };
    street.desk.change(|_, change| note(change)).unwrap();
    let street = street.reopened();
    assert!(has(&street, "private/key.json"));
    assert_eq!(ask(&street, &old).unwrap(), RequestId(1));
    assert_eq!(ask(&street, &recent(&street, "k2")).unwrap(), RequestId(2));
    assert!(!has(&street, FIRST), "its period is not over");
    pass(&street, 60);
    assert!(matches!(ask(&street, &recent(&street, "k3")), Err(Refusal::OverBudget(_))));
    let mut other = recent(&street, "k3");
    other.incident = "another".to_owned();
    assert_eq!(ask(&street, &other).unwrap(), RequestId(3));
    assert!(has(&street, FIRST) && has(&street, "private/key.json"));
    pass(&street, 60);
    assert!(has(&street, FIRST) && !has(&street, "private/key.json"));
    assert_eq!(confirmed(&street.disk, &old), 0);
}

#[test]
fn a_desk_without_its_keys_is_not_opened() {
    for (cut, kind) in [(true, ErrorKind::NotFound), (false, ErrorKind::Corrupt)] {
        let street = Street::of(1);
        street.submit();
        let Street { disk, clock, desk } = street;
        drop(desk);
        let store = options(&disk, &clock).open("store").unwrap();
        let records = Records::open(store.vfs()).unwrap();
        if cut {
            records.destroy(&["key-1"]).unwrap();
        } else {
            records.make_key("key-1").unwrap();
        }
        let refusal = Desk::open(store.clone(), Rules::default()).unwrap_err();
        assert!(matches!(&refusal, Refusal::Store(error) if error.kind() == kind), "{refusal}");
    }
}
