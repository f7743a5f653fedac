//! Holds, retention and the store's own figures over HTTP.

use serde_json::{Value, json};

use crate::kit::{Answer, Daemon, START, front_door};

fn with_clip() -> (Daemon, String) {
    let daemon = Daemon::start();
    let path = format!("/v1/cameras/front/clips?start={START}");
    let clip = daemon.ask("PUT", &path, &[], &front_door()).ok().json();
    let id = clip["id"].as_str().unwrap().to_owned();
    (daemon, id)
}

fn send(daemon: &Daemon, method: &str, path: &str, body: &Value) -> Answer {
    daemon.ask(method, path, &[], body.to_string().as_bytes())
}

fn evening(cause: &str) -> Value {
    json!({
        "scope": [{"camera": "front", "from": "2024-01-01T17:00:00Z", "to": "2024-01-01T19:00:00Z"}],
        "cause": cause, "reference": "case 19-4471", "reason": "asked for", "agency": "PD",
    })
}

#[test]
fn a_held_clip_is_not_deleted_until_its_hold_is_released() {
    let (daemon, clip) = with_clip();
    let receipt = send(&daemon, "POST", "/v1/holds", &evening("request")).ok().json();
    assert_eq!((&receipt["clips"], &receipt["hold"]), (&1.into(), &"h1".into()));
    let delete = || daemon.ask("DELETE", &format!("/v1/clips/{clip}?reason=mine"), &[], b"");
    delete().is_problem(409, "held");
    let release = json!({"cause": "disclosed", "reason": "handed over"});
    let released = send(&daemon, "POST", "/v1/holds/h1/release", &release).ok().json();
    assert_eq!(released["state"], "ended", "{released}");
    assert_eq!(delete().status, 204);
    daemon.get(&format!("/v1/clips/{clip}")).is_problem(410, "expired");
}

#[test]
fn a_key_places_a_hold_once_even_after_a_restart() {
    let (mut daemon, _) = with_clip();
    let place = |daemon: &Daemon, body: &Value| {
        let body = body.to_string().into_bytes();
        daemon.ask("POST", "/v1/holds", &["Idempotency-Key: k1"], &body)
    };
    assert_eq!(place(&daemon, &evening("request")).status, 201);
    daemon.restart();
    let again = place(&daemon, &evening("request"));
    assert_eq!((again.status, &again.json()["placed_before"]), (200, &true.into()));
    let mut other = evening("request");
    other["scope"][0]["to"] = "2024-01-01T20:00:00Z".into();
    place(&daemon, &other).is_problem(409, "conflict");
    assert_eq!(daemon.get("/v1/holds").ok().json()["holds"].as_array().unwrap().len(), 1);
}

#[test]
fn a_hold_is_shown_narrowed_and_renewed() {
    let (daemon, _) = with_clip();
    send(&daemon, "POST", "/v1/holds", &evening("request")).ok();
    let narrowed = json!({
        "scope": [{"camera": "front", "from": "2024-01-01T17:00:00Z", "to": "2024-01-01T18:00:05Z"}],
        "cause": "denied",
    });
    send(&daemon, "POST", "/v1/holds/h1/narrow", &narrowed).ok();
    let shown = daemon.get("/v1/holds/h1").ok().json();
    assert_eq!(shown["scope"][0]["to"], "2024-01-01T18:00:05Z");
    let renewed = send(&daemon, "POST", "/v1/holds/h1/renew", &json!({"seconds": 2_000_000})).ok();
    assert_eq!(renewed.json()["renewals"], 1);
    assert_eq!(daemon.get("/v1/holds/h1/receipt").ok().json()["clips"], 1);
    daemon.get("/v1/holds/h9").is_problem(404, "not-found");
    daemon.get("/v1/holds/nine").is_problem(400, "invalid-input");
}

#[test]
fn an_order_is_released_by_two() {
    let daemon = Daemon::with(&[]);
    let tokens = &daemon.hello["tokens"];
    let bearer = |token: &Value| format!("Bearer {}", token.as_str().unwrap());
    let first = bearer(&tokens["operator"]);
    let made = daemon.ask(
        "POST",
        "/v1/tokens",
        &[&format!("Authorization: {first}")],
        json!({"role": "operator"}).to_string().as_bytes(),
    );
    let second = bearer(&made.ok().json()["token"]);
    let send = |path: &str, headers: &[String], body: &Value| {
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        daemon.ask("POST", path, &headers, body.to_string().as_bytes())
    };
    let auth = format!("Authorization: {first}");
    daemon.ask("PUT", "/v1/cameras/front", &[&auth], b"").ok();
    let mut order = evening("order");
    order["seconds"] = 1_000_000.into();
    let one = [auth.clone()];
    send("/v1/holds", &one, &order).ok();
    let end = json!({"cause": "ended", "reason": "the case is closed"});
    send("/v1/holds/h1/release", &one, &end).is_problem(400, "invalid-input");
    let same = [auth.clone(), format!("Second-Authorization: {first}")];
    send("/v1/holds/h1/release", &same, &end).is_problem(403, "forbidden");
    let both = [auth, format!("Second-Authorization: {second}")];
    send("/v1/holds/h1/release", &both, &end).ok();
}

#[test]
fn a_resident_keeps_and_an_operator_does_not_end_it() {
    let daemon = Daemon::with(&[]);
    let token = |role: &str| {
        format!("Authorization: Bearer {}", daemon.hello["tokens"][role].as_str().unwrap())
    };
    let send = |role: &str, path: &str, body: &Value| {
        daemon.ask("POST", path, &[&token(role)], body.to_string().as_bytes())
    };
    daemon.ask("PUT", "/v1/cameras/front", &[&token("operator")], b"").ok();
    send("operator", "/v1/holds", &evening("keep")).is_problem(403, "forbidden");
    send("resident", "/v1/holds", &evening("order")).is_problem(403, "forbidden");
    send("resident", "/v1/holds", &evening("keep")).ok();
    let end = json!({"cause": "owner"});
    send("operator", "/v1/holds/h1/release", &end).is_problem(403, "forbidden");
    send("resident", "/v1/holds/h1/release", &end).ok();
}

#[test]
fn policies_plans_and_sweeps_are_there() {
    let (daemon, _) = with_clip();
    let week = json!({"at_least_seconds": 86_400, "at_most_seconds": 604_800});
    assert_eq!(send(&daemon, "PUT", "/v1/cameras/front/policy", &week).status, 204);
    let known = daemon.get("/v1/cameras").ok().json();
    assert_eq!(known["cameras"][0]["at_most_seconds"], 604_800);
    assert_eq!(daemon.get("/v1/policy").ok().json()["at_most_seconds"], 864_000);
    let wrong = json!({"at_least_seconds": 9, "at_most_seconds": 1});
    send(&daemon, "PUT", "/v1/policy", &wrong).is_problem(400, "invalid-input");
    assert!(daemon.get("/v1/plan").ok().json()["items"].as_array().unwrap().is_empty());
    assert_eq!(daemon.ask("POST", "/v1/sweep", &[], b"").ok().json()["clips_expired"], 0);
}

#[test]
fn the_store_is_checked_and_shown() {
    let (daemon, _) = with_clip();
    let started = send(&daemon, "POST", "/v1/verify", &json!({"depth": "bytes"}));
    assert_eq!(started.status, 202, "{}", started.text());
    let done = daemon.until("/v1/verify", |answer| answer.json()["state"] != "running").json();
    assert_eq!((&done["state"], &done["clips"]), (&"whole".into(), &1.into()));
    send(&daemon, "POST", "/v1/verify", &json!({"depth": "deep"})).is_problem(400, "invalid-input");
    assert_eq!(daemon.get("/v1/stats").ok().json()["clips"], 1);
    send(&daemon, "POST", "/v1/holds", &evening("request")).ok();
    let ledger = daemon.get("/v1/ledger?from=0&limit=1000").ok().json();
    let entries = ledger["entries"].as_array().unwrap();
    assert!(entries.iter().any(|entry| entry["kind"] == "hold-placed"), "{ledger}");
    daemon.get("/v1/ledger?limit=0").is_problem(400, "invalid-input");
    daemon.get("/v1/ledger?from=minus").is_problem(400, "invalid-input");
}
