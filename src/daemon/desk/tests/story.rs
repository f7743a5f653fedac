//! The whole way over HTTP: asked, screened, answered, fetched.

use serde_json::json;

use super::*;
use crate::requests::evidence;

#[test]
fn what_a_resident_shares_is_fetched_in_a_bundle_that_can_be_checked() {
    let kit = Kit::street(3);
    let view = kit.submit("k1").ok().json();
    assert_eq!(view["status"], "received");
    let waiting = kit.get("operator", "/v1/screening").ok().json();
    assert_eq!(waiting["screening"][0]["households"], 3, "{waiting}");
    assert_eq!(kit.asked(1)["answer"], "screening");
    kit.tell("operator", "/v1/requests/r1/approve").ok();
    let asked = kit.asked(1);
    assert_eq!(asked["answer"], "pending");
    assert_eq!(asked["agency"], "springfield-pd");
    assert_eq!(asked["submission"]["kind"], "package theft");
    assert_eq!(asked["holds"].as_array().unwrap().len(), 1);
    kit.share(1).ok();
    kit.says(2, "deny").ok();
    let shared = kit.get("agency", &format!("{REQUESTS}/r1")).ok().json();
    assert_eq!(shared["shared"][0]["clip"], kit.clip(1));
    assert_eq!(shared["shared"].as_array().unwrap().len(), 1);
    let bundle = kit.get("agency", &format!("{REQUESTS}/r1/bundle")).ok();
    assert_eq!(bundle.headers["content-type"], "application/zip");
    let key = kit.get("nobody", "/v1/key").ok().json()["key"].as_str().unwrap().parse().unwrap();
    let report = evidence::check(&*bundle.body, &[key]);
    assert!(report.findings.is_empty() && report.clips.len() == 1, "{report:?}");
    let fetched = json!({"clips": [kit.clip(1)]});
    kit.post("agency", &format!("{REQUESTS}/r1/acknowledge"), &fetched).ok();
    assert_eq!(kit.asked(1)["answer"], "disclosed");
    kit.says(1, "revoke").is_problem(409, "over");
}

#[test]
fn a_part_is_fetched_as_a_part() {
    let kit = Kit::street(1);
    kit.open();
    let (from, to) = (at(18), at(18).saturating_add(Duration::from_secs(1)));
    let part = json!({"from": from.to_string(), "to": to.to_string()});
    let sharing = json!({"clips": [{"clip": kit.clip(1), "part": part}]});
    kit.post("h1", "/v1/households/h1/requests/r1/accept", &sharing).ok();
    assert_eq!(kit.asked(1)["chosen"][0]["part"], part);
    let bundle = kit.get("agency", &format!("{REQUESTS}/r1/bundle")).ok();
    let name = format!("derived/{}.mp4", kit.clip(1));
    let found = bundle.body.windows(name.len()).any(|bytes| bytes == name.as_bytes());
    assert!(found && !bundle.body.windows(6).any(|bytes| bytes == b"clips/"));
}

#[test]
fn a_denial_is_undone_and_a_yes_is_taken_back() {
    let kit = Kit::street(2);
    kit.open();
    kit.says(1, "deny").ok();
    assert_eq!(kit.asked(1)["answer"], "denied");
    kit.says(1, "undo").ok();
    assert_eq!(kit.asked(1)["answer"], "pending");
    kit.share(2).ok();
    kit.says(2, "revoke").ok();
    assert_eq!(kit.asked(2)["answer"], "denied");
    kit.get("agency", &format!("{REQUESTS}/r1/bundle")).is_problem(409, "over");
    kit.says(2, "deny").is_problem(409, "over");
}

#[test]
fn who_opts_out_is_asked_no_more_in_one_step() {
    let kit = Kit::street(2);
    kit.open();
    kit.tell("h1", "/v1/households/h1/opt-out").ok();
    assert_eq!(kit.asked(1)["answer"], "opted-out");
    assert!(kit.asked(1)["holds"].as_array().unwrap().is_empty());
    let homes = kit.get("h1", "/v1/households").ok().json();
    assert_eq!(homes["households"][0]["opted_out"], true, "{homes}");
    kit.tell("h2", "/v1/households/h2/leave").ok();
    kit.get("h2", "/v1/households/h2/requests").is_problem(404, "not-found");
}

#[test]
fn a_clip_that_is_asked_for_can_be_denied_and_erased() {
    let kit = Kit::street(1);
    kit.open();
    let clip = kit.clip(1);
    kit.send("h1", "DELETE", &format!("/v1/clips/{clip}"), "", &Value::Null)
        .is_problem(409, "held");
    let erase = format!("/v1/households/h1/clips/{clip}");
    kit.send("h1", "DELETE", &erase, "", &Value::Null).ok();
    kit.get("h1", &format!("/v1/clips/{clip}/media")).is_problem(410, "expired");
    kit.store.seal().unwrap();
    kit.store.sweep().unwrap();
    let certificate = kit.get("operator", &format!("/v1/clips/{clip}/certificate"));
    let key = kit.get("nobody", "/v1/key").ok().json()["key"].as_str().unwrap().parse().unwrap();
    let (report, why) = evidence::check_certificate(&certificate.ok().body, &[key]);
    assert!(report.findings.is_empty(), "{report:?}");
    assert!(why.unwrap().starts_with("deleted"));
}

#[test]
fn an_order_keeps_a_clip_from_its_resident_too() {
    let kit = Kit::street(1);
    kit.open();
    let order = json!({"household": "h1", "seconds": 864_000});
    let hold = kit.post("operator", "/v1/requests/r1/order", &order).ok().json();
    let erase = format!("/v1/households/h1/clips/{}", kit.clip(1));
    kit.send("h1", "DELETE", &erase, "", &Value::Null).is_problem(409, "held");
    // Two operators release an order, whoever served it.
    let release = format!("/v1/holds/{}/release", hold["hold"].as_str().unwrap());
    let alone = kit.post("operator", &release, &json!({"cause": "ended"}));
    assert!(alone.status >= 400);
}

#[test]
fn a_hold_that_a_request_relies_on_is_not_released_by_hand() {
    let kit = Kit::street(1);
    kit.open();
    let hold = kit.asked(1)["holds"][0].as_str().unwrap().to_owned();
    let path = format!("/v1/holds/{hold}/release");
    for (who, cause) in [("operator", "withdrawn"), ("h1", "denied"), ("h1", "disclosed")] {
        kit.post(who, &path, &json!({"cause": cause})).is_problem(403, "forbidden");
    }
    kit.post("operator", &format!("/v1/holds/{hold}/renew"), &json!({"seconds": 60}))
        .is_problem(403, "forbidden");
    assert_eq!(kit.asked(1)["answer"], "pending");
}

#[test]
fn a_post_is_seen_by_neighbours_and_partners_until_it_is_taken_out() {
    let kit = Kit::street(2);
    let posted = kit.post("h1", "/v1/households/h1/posts", &json!({"clip": kit.clip(1)}));
    assert_eq!(posted.ok().json()["post"], "p1");
    for who in ["h2", "agency"] {
        assert_eq!(kit.get(who, "/v1/feed").ok().json()["posts"][0]["clip"], kit.clip(1));
        assert_eq!(kit.get(who, "/v1/feed/p1/media").ok().body, SEGMENT);
    }
    let path = "/v1/households/h1/posts/p1";
    kit.send("h2", "DELETE", path, "", &Value::Null).is_problem(403, "out-of-scope");
    kit.send("h1", "DELETE", path, "", &Value::Null).ok();
    kit.get("agency", "/v1/feed/p1/media").is_problem(404, "not-found");
    assert!(kit.get("h2", "/v1/feed").ok().json()["posts"].as_array().unwrap().is_empty());
}

#[test]
fn a_submission_is_taken_once_and_an_altered_one_is_refused() {
    let kit = Kit::street(1);
    let first = kit.submit("k1").ok();
    let again = kit.submit("k1");
    assert_eq!((again.status, &again.body), (201, &first.body));
    let mut altered = asking();
    altered["words"] = json!("something else");
    kit.send("agency", "POST", REQUESTS, "k1", &altered).is_problem(409, "conflict");
    kit.post("agency", REQUESTS, &asking()).is_problem(400, "invalid-input");
    let mut keyed = asking();
    keyed["key"] = json!("k2");
    kit.send("agency", "POST", REQUESTS, "k3", &keyed).is_problem(400, "invalid-input");
    let list = kit.get("agency", REQUESTS).ok().json();
    assert_eq!(list["requests"].as_array().unwrap().len(), 1, "{list}");
}

#[test]
fn a_request_out_of_bounds_is_told_what_to_do() {
    let kit = Kit::street(1);
    let ask = |name: &str, value: Value| {
        let mut asking = asking();
        asking[name] = value;
        kit.send("agency", "POST", REQUESTS, "k1", &asking)
    };
    let span = |from, to| json!({"from": at(from).to_string(), "to": at(to).to_string()});
    for bad in [span(20, 17), span(1, 23), span(17, 40)] {
        ask("window", bad).is_problem(400, "invalid-input");
    }
    let center = json!({"lat": 40.0, "lon": -75.0});
    let circle = |radius_m: f64| json!({"circle": {"center": center, "radius_m": radius_m}});
    for bad in [circle(10.0), circle(9_000.0), circle(-1.0), json!({"street": "Oak"})] {
        ask("area", bad).is_problem(400, "invalid-input");
    }
    ask("incident", json!("")).is_problem(400, "invalid-input");
    ask("camera", json!("door-1")).is_problem(400, "invalid-input");
    assert!(kit.get("agency", REQUESTS).ok().json()["requests"].as_array().unwrap().is_empty());
}
