//! What an agency hears over HTTP has the same bytes, headers and sizes whatever there is.

use serde_json::json;

use super::*;

/// Why nothing comes from the one home that there is, or might be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Silence {
    NoCamera,
    NoClips,
    OptedOut,
    Expired,
    Denied,
    Unanswered,
    OptedOutLater,
    Erased,
    Unreached,
    NoRoom,
}

const ALL: [Silence; 10] = [
    Silence::NoCamera,
    Silence::NoClips,
    Silence::OptedOut,
    Silence::Expired,
    Silence::Denied,
    Silence::Unanswered,
    Silence::OptedOutLater,
    Silence::Erased,
    Silence::Unreached,
    Silence::NoRoom,
];

/// What becomes of a request, as far as the agency and the operator have it in their hands.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Course {
    Approved,
    Rejected,
    NotScreened,
    Withdrawn,
    Suspended,
}

/// A home, or none, on the day before the request.
fn street(silence: Silence) -> Kit {
    let settings = match silence {
        Silence::NoRoom => vec!["store.hold_budget_bytes=1".to_owned()],
        _ => Vec::new(),
    };
    let mut kit = Kit::with(&settings);
    if silence != Silence::NoCamera {
        kit.home(1);
    }
    if !matches!(silence, Silence::NoCamera | Silence::NoClips) {
        kit.record(1);
    }
    match silence {
        Silence::OptedOut => drop(kit.tell("h1", "/v1/households/h1/opt-out").ok()),
        // It is gone in another way, and gone.
        Silence::Expired => erase(&kit),
        _ => {}
    }
    kit.clock.advance(DAY);
    kit
}

fn erase(kit: &Kit) {
    let path = format!("/v1/households/h1/clips/{}", kit.clip(1));
    kit.send("h1", "DELETE", &path, "", &Value::Null).ok();
}

/// What each route of an agency answers now, and two that are none of an agency.
fn all(kit: &Kit) -> [Answer; 9] {
    let fetched = json!({"clips": ["1-1"]});
    [
        kit.get("agency", REQUESTS),
        kit.get("agency", &format!("{REQUESTS}/r1")),
        kit.get("agency", &format!("{REQUESTS}/r1/bundle")),
        kit.post("agency", &format!("{REQUESTS}/r1/acknowledge"), &fetched),
        kit.get("agency", "/v1/feed"),
        kit.get("agency", "/v1/agencies"),
        kit.get("agency", "/v1/agencies/springfield-pd/audit"),
        kit.get("agency", "/v1/households/h1/requests"),
        kit.get("agency", "/v1/cameras"),
    ]
}

/// What the home does once it is asked.
fn live(kit: &Kit, silence: Silence) {
    match silence {
        Silence::Denied => drop(kit.says(1, "deny").ok()),
        Silence::OptedOutLater => drop(kit.tell("h1", "/v1/households/h1/opt-out").ok()),
        Silence::Unreached => {
            let told = json!({"household": "h1", "reached": false});
            kit.post("operator", "/v1/requests/r1/noticed", &told).ok();
        }
        Silence::Erased => erase(kit),
        _ => {}
    }
}

/// Everything that the agency hears of one request from beginning to end.
fn heard(silence: Silence, course: Course) -> Vec<Answer> {
    let kit = street(silence);
    let mut heard = vec![kit.submit("k1"), kit.submit("k1")];
    heard.extend(all(&kit));
    match course {
        Course::Rejected => drop(kit.tell("operator", "/v1/requests/r1/reject").ok()),
        Course::NotScreened => {}
        _ => {
            let approved = kit.tell("operator", "/v1/requests/r1/approve").ok().json();
            let not_asked = u32::from(silence == Silence::NoRoom);
            assert_eq!(approved["not_asked"], not_asked, "{silence:?}");
            heard.extend(all(&kit));
            live(&kit, silence);
        }
    }
    heard.extend(all(&kit));
    let days = if course == Course::Approved { 30 } else { 4 };
    for day in 1..=days {
        kit.clock.advance(DAY);
        kit.store.sweep().unwrap();
        match (course, day) {
            (Course::Approved, 12 | 13) => {
                heard.push(kit.tell("agency", &format!("{REQUESTS}/r1/renew")));
            }
            (Course::Withdrawn, 1 | 2) => {
                heard.push(kit.tell("agency", &format!("{REQUESTS}/r1/withdraw")));
            }
            (Course::Suspended, 1) => {
                kit.tell("operator", "/v1/agencies/springfield-pd/suspend").ok();
            }
            (Course::Suspended, 3) => {
                kit.tell("operator", "/v1/agencies/springfield-pd/reinstate").ok();
            }
            _ => {}
        }
        heard.extend(all(&kit));
    }
    heard.push(kit.tell("agency", &format!("{REQUESTS}/r1/withdraw")));
    heard
}

#[test]
fn an_agency_hears_the_same_over_http_whatever_there_is() {
    let courses = [
        (Course::Approved, "closed"),
        (Course::Rejected, "rejected"),
        (Course::NotScreened, "rejected"),
        (Course::Withdrawn, "withdrawn"),
        (Course::Suspended, "withdrawn"),
    ];
    for (course, ends) in courses {
        let unanswered = heard(Silence::Unanswered, course);
        let least = if course == Course::Approved { 250 } else { 50 };
        assert!(unanswered.len() > least, "{} answers", unanswered.len());
        let status = format!("\"status\":\"{ends}\"");
        let says = |answer: &Answer| String::from_utf8_lossy(&answer.body).contains(&status);
        assert!(unanswered.iter().any(says), "{course:?} does not come to its end");
        for silence in ALL {
            let heard = heard(silence, course);
            let differs = heard.iter().zip(&unanswered).find(|(one, two)| one != two);
            assert!(differs.is_none(), "{silence:?} is told apart in {course:?}: {differs:#?}");
            assert_eq!(heard.len(), unanswered.len());
        }
    }
}

#[test]
fn what_is_shared_is_heard() {
    // Otherwise the test above could not fail.
    let kit = Kit::street(1);
    kit.open();
    let before = kit.get("agency", &format!("{REQUESTS}/r1"));
    kit.share(1).ok();
    assert_ne!(kit.get("agency", &format!("{REQUESTS}/r1")), before);
}
