//! The resident's page in a real browser, as narrow as a telephone: answers by clicks.

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use clipkeep::requests::{Desk, NewHousehold, Place, Rules, Text};
use clipkeep::{Clock, Store, SystemClock, Timestamp, Uptime};
use serde_json::{Value, json};

use crate::kit::Daemon;
use crate::watch::browser::{Browser, relay};
use crate::watch::put_segments_at;

const PROBE: &str = include_str!("inbox.js");
/// How long a slow machine may take for all of it.
const PATIENCE: Duration = Duration::from_mins(3);
const MINUTE: Duration = Duration::from_mins(1);

/// The clocks of this machine, the wall clock some minutes ago.
#[derive(Debug)]
pub(crate) struct Ago(pub(crate) u32);

impl Clock for Ago {
    fn wall(&self) -> Timestamp {
        SystemClock.wall().saturating_sub(MINUTE * self.0)
    }

    fn uptime(&self) -> Uptime {
        SystemClock.uptime()
    }
}

/// A partner and a home that joined 50 minutes ago, and footage of 40 minutes ago: a request is
/// about what happened after its agency joined.
pub(crate) fn street(dir: &Path) {
    let store = Store::options().segment_bytes(4 << 20).clock(Ago(50)).open(dir).unwrap();
    let desk = Desk::open(store, Rules::default()).unwrap();
    desk.join_agency(&"springfield-pd".parse().unwrap(), "").unwrap();
    let place = Place { lat: 40.0123, lon: -75.0456 };
    let cameras = vec![(Text("front".parse().unwrap()), place)];
    let contact = "ann@example.org".to_owned();
    desk.join_household(&NewHousehold { cameras, contact }).unwrap();
    drop(desk);
    let store = Store::options().segment_bytes(4 << 20).open(dir).unwrap();
    put_segments_at(&store, Ago(40).wall());
    store.close().unwrap();
}

/// What the agency asks under `key`.
fn asking(key: &str) -> Value {
    json!({
        "key": key,
        "window": {"from": Ago(45).wall().to_string(), "to": Ago(25).wall().to_string()},
        "area": {"circle": {"center": {"lat": 40.012, "lon": -75.046}, "radius_m": 300.0}},
        "incident": "26-4471", "kind": "Package theft", "contact": "Officer Dunn, 555-0143",
        "words": "A parcel was taken from a porch.",
    })
}

/// The JSON that `token` gets; `null` where there is none.
fn ask(daemon: &Daemon, token: &str, method: &str, path: &str, body: &Value) -> Value {
    let bearer = format!("Authorization: Bearer {token}");
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = daemon.ask(method, path, &[&bearer], body.as_bytes()).ok();
    if answer.body.is_empty() { Value::Null } else { answer.json() }
}

#[test]
fn a_resident_answers_by_clicks_on_a_telephone() {
    let daemon = Daemon::over(&["requests.answer_ms=0"], street);
    daemon.until("/v1/agencies", |answer| answer.status == 200);
    let first = |role: &str| daemon.hello["tokens"][role].as_str().unwrap().to_owned();
    let (operator, resident) = (first("operator"), first("resident"));
    let wanted = json!({"role": "agency", "agency": "springfield-pd"});
    let made = ask(&daemon, &operator, "POST", "/v1/tokens", &wanted);
    let agency = made["token"].as_str().unwrap();
    let requests = "/v1/agencies/springfield-pd/requests";
    for (key, id) in [("k1", "r1"), ("k2", "r2")] {
        ask(&daemon, agency, "POST", requests, &asking(key));
        let approve = format!("/v1/requests/{id}/approve");
        ask(&daemon, &operator, "POST", &approve, &Value::Null);
    }
    let (reports, reported) = mpsc::channel();
    let probe = PROBE.replace("TOKEN", &resident);
    let address = relay(daemon.address.parse().unwrap(), probe, reports);
    let browser = Browser::narrow(&format!("http://{address}/inbox"));
    let report = reported.recv_timeout(PATIENCE).expect("the probe reports nothing");
    drop(browser);
    assert!(report["error"].is_null(), "{report:#}");
    // Who, what, why, until when, and that it is a choice, without sideways scrolling.
    let text = report["text"].as_str().unwrap();
    for said in ["springfield-pd", "Package theft", "A parcel was taken", "front", "your choice"] {
        assert!(text.contains(said), "{said}: {text}");
    }
    let wide = |name: &str| report[name].as_u64().unwrap();
    assert_eq!(wide("width"), 390);
    assert!(wide("content_width") <= wide("width"), "{report:#}");
    // Yes and no weigh the same, and nothing is chosen beforehand.
    assert_eq!(report["chosen_beforehand"], 0);
    assert_eq!(report["styles"][0], report["styles"][1], "{report:#}");
    assert_eq!(report["picture"], json!([160, 120]));
    // What was clicked is what was decided.
    let home = ask(&daemon, &resident, "GET", "/v1/households/h1/requests", &Value::Null);
    let answers: Vec<&Value> =
        home["requests"].as_array().unwrap().iter().map(|asked| &asked["answer"]).collect();
    assert_eq!(answers, ["accepted", "denied"], "{report:#}");
    let seen = ask(&daemon, agency, "GET", requests, &Value::Null);
    let shared = |index: usize| seen["requests"][index]["shared"].as_array().unwrap().len();
    assert_eq!((shared(0) + shared(1), seen["requests"][1]["status"].as_str()), (1, Some("open")));
    let homes = ask(&daemon, &resident, "GET", "/v1/households", &Value::Null);
    assert_eq!(homes["households"][0]["opted_out"], true);
}
