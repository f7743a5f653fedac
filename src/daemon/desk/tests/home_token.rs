//! Tokens of a home: for the cameras that it has, as long as it takes part.

use super::*;

/// A street of two homes, and a token of the first home for one who lives there.
fn street() -> Kit {
    let mut kit = Kit::street(2);
    let wanted = json!({"role": "resident", "household": "h1", "name": "hall tablet"});
    kit.issue("hall", "h1", &wanted);
    kit
}

#[test]
fn a_homes_token_is_for_its_cameras_and_its_requests_alone() {
    let kit = street();
    kit.open();
    kit.get("hall", "/v1/cameras/door-1/clips").ok();
    kit.get("hall", "/v1/households/h1/requests").ok();
    kit.get("hall", "/v1/cameras/door-2/clips").is_problem(403, "out-of-scope");
    kit.get("hall", &format!("/v1/clips/{}/media", kit.clip(2))).is_problem(403, "out-of-scope");
    kit.get("hall", "/v1/households/h2/requests").is_problem(403, "out-of-scope");
    let homes = kit.get("hall", "/v1/households").ok().json();
    assert_eq!(homes["households"].as_array().unwrap().len(), 1, "{homes}");
}

#[test]
fn what_it_hands_out_is_of_its_home_and_of_no_other() {
    let mut kit = street();
    kit.issue("phone", "hall", &json!({"role": "resident"}));
    kit.get("phone", "/v1/cameras/door-1/clips").ok();
    kit.get("phone", "/v1/cameras/door-2/clips").is_problem(403, "out-of-scope");
    let other = json!({"role": "resident", "household": "h2"});
    kit.post("hall", "/v1/tokens", &other).is_problem(403, "forbidden");
    kit.post("h1", "/v1/tokens", &other).is_problem(403, "forbidden");
    kit.post("operator", "/v1/tokens", &other).is_problem(403, "forbidden");
    let nobody = json!({"role": "camera", "household": "h9"});
    kit.post("operator", "/v1/tokens", &nobody).is_problem(404, "not-found");
    let known = kit.get("hall", "/v1/tokens").ok().json();
    let known = known["tokens"].as_array().unwrap();
    assert!(
        known.iter().all(|token| token["household"] == "h1" || token["cameras"][0] == "door-1")
    );
    assert!(known.iter().any(|token| token["name"] == "hall tablet"), "{known:?}");
}

#[test]
fn it_ends_when_its_home_leaves() {
    let kit = street();
    kit.tell("h1", "/v1/households/h1/leave").ok();
    kit.get("hall", "/v1/cameras/door-1/clips").is_problem(401, "token-invalid");
}
