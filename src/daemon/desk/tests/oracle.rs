//! What an agency hears over HTTP has the same bytes, headers and sizes whatever there is.

use serde_json::json;

use super::*;

/// Why nothing comes from the one home that there is, or might be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Silence {
    NoCamera,
    NoClips,
    OptedOut,
    Denied,
    Unanswered,
    OptedOutLater,
    Erased,
    Unreached,
    NoRoom,
}

const ALL: [Silence; 9] = [
    Silence::NoCamera,
    Silence::NoClips,
    Silence::OptedOut,
    Silence::Denied,
    Silence::Unanswered,
    Silence::OptedOutLater,
    Silence::Erased,
    Silence::Unreached,
    Silence::NoRoom,
];

/// Everything that the agency hears of one request from beginning to end.
fn heard(silence: Silence) -> Vec<Answer> {
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
    if silence == Silence::OptedOut {
        kit.tell("h1", "/v1/households/h1/opt-out").ok();
    }
    kit.clock.advance(DAY);
    let mut heard = vec![kit.submit("k1"), kit.submit("k1")];
    let all = |kit: &Kit| {
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
    };
    heard.extend(all(&kit));
    let approved = kit.tell("operator", "/v1/requests/r1/approve").ok().json();
    assert_eq!(approved["not_asked"], u32::from(silence == Silence::NoRoom), "{silence:?}");
    heard.extend(all(&kit));
    match silence {
        Silence::Denied => drop(kit.says(1, "deny").ok()),
        Silence::OptedOutLater => drop(kit.tell("h1", "/v1/households/h1/opt-out").ok()),
        Silence::Unreached => {
            let told = json!({"household": "h1", "reached": false});
            kit.post("operator", "/v1/requests/r1/noticed", &told).ok();
        }
        Silence::Erased => {
            let path = format!("/v1/households/h1/clips/{}", kit.clip(1));
            kit.send("h1", "DELETE", &path, "", &Value::Null).ok();
        }
        _ => {}
    }
    heard.extend(all(&kit));
    for day in 1..=30 {
        kit.clock.advance(DAY);
        kit.store.sweep().unwrap();
        if matches!(day, 12 | 13) {
            heard.push(kit.tell("agency", &format!("{REQUESTS}/r1/renew")));
        }
        heard.extend(all(&kit));
    }
    heard.push(kit.tell("agency", &format!("{REQUESTS}/r1/withdraw")));
    heard
}

#[test]
fn an_agency_hears_the_same_over_http_whatever_there_is() {
    let unanswered = heard(Silence::Unanswered);
    assert!(unanswered.len() > 250, "{} answers", unanswered.len());
    for silence in ALL {
        let heard = heard(silence);
        let differs = heard.iter().zip(&unanswered).find(|(one, two)| one != two);
        assert!(differs.is_none(), "{silence:?} is told apart: {differs:#?}");
        assert_eq!(heard.len(), unanswered.len());
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
