//! Whose is what: an agency reaches its own requests, a resident their own home.

use serde_json::json;

use super::*;

#[test]
fn an_agency_reaches_no_other_agencys_requests() {
    let mut kit = Kit::street(1);
    kit.open();
    kit.post("operator", "/v1/agencies", &json!({"agency": "shelby-pd"})).ok();
    kit.issue("shelby", "operator", &json!({"role": "agency", "agency": "shelby-pd"}));
    for path in [REQUESTS.to_owned(), format!("{REQUESTS}/r1"), format!("{REQUESTS}/r9")] {
        kit.get("shelby", &path).is_problem(403, "out-of-scope");
    }
    kit.tell("shelby", &format!("{REQUESTS}/r1/withdraw")).is_problem(403, "out-of-scope");
    // By its own name: one of another agency is as unknown as one of nobody.
    for id in ["r1", "r9"] {
        let own = format!("/v1/agencies/shelby-pd/requests/{id}");
        kit.get("shelby", &own).is_problem(404, "not-found");
    }
}

#[test]
fn an_agency_that_is_suspended_or_never_joined_asks_nothing() {
    let mut kit = Kit::street(1);
    kit.issue("nobody-pd", "operator", &json!({"role": "agency", "agency": "nobody-pd"}));
    let path = "/v1/agencies/nobody-pd/requests";
    kit.get("nobody-pd", path).is_problem(403, "not-a-partner");
    kit.open();
    kit.tell("operator", "/v1/agencies/springfield-pd/suspend").ok();
    kit.submit("k2").is_problem(403, "not-a-partner");
    assert_eq!(kit.asked(1)["answer"], "withdrawn");
    let public = kit.get("nobody", "/v1/agencies").ok().json();
    assert_eq!(public["agencies"][0]["suspended"], true, "{public}");
    assert_eq!(public["agencies"][0]["requests"], 1);
    kit.tell("operator", "/v1/agencies/springfield-pd/reinstate").ok();
    kit.submit("k2").ok();
}

#[test]
fn a_resident_reaches_no_other_home() {
    let kit = Kit::street(2);
    kit.open();
    for (method, path) in [
        ("GET", "/v1/households/h2/requests".to_owned()),
        ("POST", "/v1/households/h2/requests/r1/deny".to_owned()),
        ("POST", "/v1/households/h2/requests/r1/undo".to_owned()),
        ("POST", "/v1/households/h2/requests/r1/revoke".to_owned()),
        ("POST", "/v1/households/h2/opt-out".to_owned()),
        ("POST", "/v1/households/h2/opt-in".to_owned()),
        ("POST", "/v1/households/h2/leave".to_owned()),
        ("DELETE", format!("/v1/households/h2/clips/{}", kit.clip(2))),
    ] {
        let answer = kit.send("h1", method, &path, "", &Value::Null);
        answer.is_problem(403, "out-of-scope");
    }
    let clip = json!({"clip": kit.clip(2)});
    kit.post("h1", "/v1/households/h1/posts", &clip).is_problem(404, "not-found");
    let sharing = json!({"clips": [clip]});
    kit.post("h1", "/v1/households/h1/requests/r1/accept", &sharing)
        .is_problem(400, "invalid-input");
    let homes = kit.get("h1", "/v1/households").ok().json();
    assert_eq!(homes["households"].as_array().unwrap().len(), 1, "{homes}");
    assert_eq!(kit.asked(2)["answer"], "pending");
}

#[test]
fn an_agencys_token_names_its_agency_and_no_other_token_does() {
    let kit = Kit::empty();
    for wanted in [
        json!({"role": "agency"}),
        json!({"role": "agency", "agency": "Not A Name"}),
        json!({"role": "operator", "agency": "springfield-pd"}),
    ] {
        kit.post("operator", "/v1/tokens", &wanted).is_problem(400, "invalid-input");
    }
}

#[test]
fn while_the_desk_is_being_opened_requests_wait_and_footage_does_not() {
    let config = Config::new("unused", "", |_| None, &["access.tokens=false".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (access, _) = Access::open(false, 0, TokenFile::of(folder.path())).unwrap();
    let app = App::new(config, access, Metrics::new(), Progress::default());
    let options = Store::options().free_space_floor(0).vfs(SimVfs::new(1));
    app.open(options.open("store").unwrap());
    let kit = Kit { router: router::build(app), ..Kit::empty() };
    kit.get("nobody", "/v1/agencies").is_problem(503, "unavailable");
    kit.get("nobody", "/v1/cameras").ok();
}
