//! Holds at the command line, and deletion against them.

use serde_json::json;

use super::{Bench, Ran};

const FROM: &str = "2024-01-01T17:00:00Z";
const TO: &str = "2024-01-01T19:00:00Z";

fn place(bench: &Bench, extra: &[&str]) -> Ran {
    let mut call = vec!["hold", "place", "--json", "--camera", "front", "--from", FROM];
    call.extend(["--to", TO, "--cause", "request", "--reference", "case 19-4471"]);
    call.extend(["--actor", "desk"]);
    call.extend(extra);
    bench.run(&call)
}

#[test]
fn a_receipt_says_what_is_covered_and_what_was_missed() {
    let bench = Bench::with_clip();
    let receipt = place(&bench, &[]).ok().json();
    assert_eq!((&receipt["id"], &receipt["clips"]), (&json!("h1"), &json!(1)));
    assert_eq!(receipt["bytes"], receipt["newly_pinned_bytes"]);
    let missed = receipt["missed"].as_array().unwrap();
    assert_eq!((missed.len(), &missed[0]["reason"]), (2, &json!("never-recorded")));
    let shown = bench.json(&["hold", "show", "h1"]);
    assert_eq!((&shown["hold"]["state"], &shown["covers"]["clips"]), (&json!("active"), &json!(1)));
    assert_eq!(bench.json(&["ls"])["clips"][0]["holds"], json!(["h1"]));
    let text = bench.run(&["hold", "show", "h1"]).ok().stdout;
    assert!(text.contains("case 19-4471") && text.contains("1 clip"), "{text}");
}

#[test]
fn a_held_clip_is_not_deleted_until_its_owner_ends_the_hold() {
    let bench = Bench::with_clip();
    place(&bench, &[]).ok();
    let id = bench.ids().remove(0);
    let refused = bench.run(&["delete", &id, "--actor", "resident", "--json"]).exits(4);
    assert_eq!(refused.error()["kind"], "held");
    assert_eq!(refused.json()["outcomes"][0]["deleted"], json!(false));
    bench.run(&["show", &id]).ok();
    bench.run(&["delete", &id, "--actor", "resident", "--end-holds"]).ok();
    bench.run(&["show", &id]).exits(3);
    let gone = bench.run(&["get", &id, "--output", "-", "--json"]).exits(3);
    assert_eq!(gone.error()["kind"], "expired");
}

#[test]
fn an_orders_clip_is_not_deleted_by_anybody() {
    let bench = Bench::with_clip();
    let mut call = vec!["hold", "place", "-c", "front", "--from", FROM, "--to", TO];
    call.extend([
        "--cause",
        "order",
        "--reference",
        "19-CV-12",
        "--for",
        "30d",
        "--actor",
        "court",
    ]);
    bench.run(&call).ok();
    let id = bench.ids().remove(0);
    bench.run(&["delete", &id, "--actor", "resident", "--end-holds"]).exits(4);
    bench.run(&["hold", "release", "h1", "--because", "ended", "--actor", "one"]).exits(2);
    let two = ["hold", "release", "h1", "--because", "ended", "--actor", "one", "--second-actor"];
    bench.run(&[&two[..], &["two"]].concat()).ok();
}

#[test]
fn some_deleted_and_some_not_is_told_one_by_one() {
    let bench = Bench::with_clip();
    let id = bench.ids().remove(0);
    let ran = bench.run(&["delete", "999-0", &id, "--actor", "resident", "--json"]).exits(1);
    let outcomes = ran.json()["outcomes"].clone();
    assert_eq!((&outcomes[0]["deleted"], &outcomes[1]["deleted"]), (&json!(false), &json!(true)));
}

#[test]
fn the_same_key_gives_the_same_hold_and_another_scope_a_conflict() {
    let bench = Bench::with_clip();
    let first = place(&bench, &["--key", "k"]).ok().json();
    let again = place(&bench, &["--key", "k"]).ok().json();
    assert_eq!((&first["id"], &again["placed_before"]), (&again["id"], &json!(true)));
    let other = place(&bench, &["--key", "k", "--camera", "garden"]);
    assert!([3, 4].contains(&other.code), "{}", other.stderr);
    assert_eq!(bench.json(&["hold", "list"])["holds"].as_array().unwrap().len(), 1);
}

#[test]
fn a_budget_refuses_what_would_pin_too_much() {
    let bench = Bench::with_clip();
    let refused = place(&bench, &["--hold-budget", "1KiB"]).exits(4);
    assert_eq!(refused.error()["kind"], "hold-budget");
    assert_eq!(bench.json(&["hold", "list"])["holds"], json!([]));
}

#[test]
fn a_hold_is_renewed_narrowed_and_released() {
    let bench = Bench::with_clip();
    let placed = place(&bench, &["--for", "7d"]).ok().json();
    let renewed =
        bench.json(&["hold", "renew", "h1", "--for", "14d", "--actor", "desk", "--reason", "x"]);
    assert!(renewed["deadline"].as_str() > placed["deadline"].as_str());
    let narrow = ["hold", "narrow", "h1", "-c", "front", "--from", FROM, "--to"];
    let narrowed = bench.json(
        &[&narrow[..], &["2024-01-01T18:30:00Z", "--because", "withdrawn", "--actor", "desk"]]
            .concat(),
    );
    assert_eq!(narrowed["scope"][0]["end"], "2024-01-01T18:30:00Z");
    let wider = bench.run(
        &[&narrow[..], &["2024-01-01T20:00:00Z", "--because", "withdrawn", "--actor", "desk"]]
            .concat(),
    );
    assert_eq!(wider.code, 2, "{}", wider.stderr);
    let release = ["hold", "release", "h1", "--because", "denied", "--actor", "resident"];
    let released = bench.json(&release);
    assert_eq!(
        (&released["state"], &released["released_by"]),
        (&json!("grace"), &json!("resident"))
    );
    assert_eq!(bench.json(&release)["released"], released["released"]);
}

#[test]
fn keep_is_the_owners_own_hold() {
    let bench = Bench::with_clip();
    let call = ["keep", "-c", "front", "--from", FROM, "--to", TO, "--actor", "me"];
    assert_eq!(bench.json(&call)["clips"], json!(1));
    assert_eq!(bench.json(&["hold", "list"])["holds"][0]["cause"], "keep");
    bench.run(&["hold", "release", "h1", "--because", "denied", "--actor", "me"]).exits(2);
    bench.run(&["hold", "release", "h1", "--because", "owner", "--actor", "me"]).ok();
}

#[test]
fn what_a_rule_forbids_places_nothing() {
    let bench = Bench::with_clip();
    let base = ["hold", "place", "-c", "front", "--actor", "desk", "--cause"];
    let calls: [&[&str]; 4] = [
        // No reference.
        &["request", "--from", FROM, "--to", TO],
        // A window in the future is live access by parts.
        &["request", "--reference", "r", "--from", FROM, "--to", "2199-01-01T00:00:00Z"],
        // An order says how long.
        &["order", "--reference", "r", "--from", FROM, "--to", TO],
        &["sometime", "--from", FROM, "--to", TO],
    ];
    for call in calls {
        bench.run(&[&base[..], call].concat()).exits(2);
    }
    assert_eq!(bench.json(&["hold", "list", "--all"])["holds"], json!([]));
}
