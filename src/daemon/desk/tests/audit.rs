//! Who may know what of what was done.

use serde_json::json;

use super::*;

impl Kit {
    /// The lines of an audit view, oldest first, as "who: what".
    fn audit(&self, who: &str, path: &str) -> Vec<String> {
        let audit = self.get(who, path).ok().json();
        let lines = audit["lines"].as_array().unwrap().iter().rev();
        let text = |line: &Value| {
            let part = |name: &str| line[name].as_str().unwrap().to_owned();
            format!("{}: {}", part("who"), part("what"))
        };
        lines.map(text).collect()
    }
}

const AGENCY: &str = "/v1/agencies/springfield-pd/audit";

/// A street of three: one shares and is fetched, one says no, one opts out.
fn lived() -> Kit {
    let kit = Kit::street(3);
    kit.open();
    kit.share(1).ok();
    kit.says(2, "deny").ok();
    kit.tell("h3", "/v1/households/h3/opt-out").ok();
    let told = json!({"household": "h2", "reached": false});
    kit.post("operator", "/v1/requests/r1/noticed", &told).ok();
    kit.get("agency", &format!("{REQUESTS}/r1/bundle")).ok();
    let fetched = json!({"clips": [kit.clip(1)]});
    kit.post("agency", &format!("{REQUESTS}/r1/acknowledge"), &fetched).ok();
    kit
}

#[test]
fn a_resident_sees_who_asked_held_shared_and_fetched() {
    let kit = lived();
    let one = kit.audit("h1", "/v1/households/h1/audit");
    for line in [
        "operator: registered the home",
        "springfield-pd: asks for video, which is held while it is screened",
        "operator: let it through",
        "resident: shared",
        "springfield-pd: fetched what is shared",
        "springfield-pd: said that it has what was shared",
    ] {
        assert!(one.iter().any(|there| there == line), "{line}: {one:#?}");
    }
    assert!(one.iter().any(|line| line.starts_with("requests: placed hold")), "{one:#?}");
    let two = kit.audit("h2", "/v1/households/h2/audit");
    assert!(two.contains(&"resident: said no".to_owned()), "{two:#?}");
    assert!(two.contains(&"operator: did not reach the resident".to_owned()), "{two:#?}");
    // Nothing of the neighbours.
    assert!(!two.iter().any(|line| line.contains("shared") || line.contains("opted")), "{two:#?}");
    kit.get("h1", "/v1/households/h2/audit").is_problem(403, "out-of-scope");
}

#[test]
fn an_agencys_audit_tells_of_residents_only_what_they_shared() {
    let kit = lived();
    assert_eq!(
        kit.audit("agency", AGENCY),
        [
            "operator: made a partner: springfield-pd",
            "springfield-pd: asked",
            "operator: let it through",
            "resident: shared",
            "springfield-pd: fetched what is shared",
            "springfield-pd: said that it has what was shared",
        ]
    );
    let text = String::from_utf8(kit.get("agency", AGENCY).ok().body.to_vec()).unwrap();
    for home in 1..=3 {
        assert!(!text.contains(&format!("\"h{home}\"")), "{text}");
        assert!(!text.contains(&format!("door-{home}")), "{text}");
    }
}

#[test]
fn the_operator_sees_what_was_done_and_not_to_which_clips() {
    let kit = lived();
    let all = kit.audit("operator", "/v1/audit");
    for line in ["resident: said no", "resident: opted out", "resident: shared"] {
        assert!(all.contains(&line.to_owned()), "{line}: {all:#?}");
    }
    let audit = kit.get("operator", "/v1/audit").ok().json();
    let lines = audit["lines"].as_array().unwrap();
    assert!(lines.iter().all(|line| line["clips"].as_array().unwrap().is_empty()));
    let text = audit.to_string();
    assert!(!text.contains("Dunn") && !text.contains("ann@example") && !text.contains("parcel"));
}
