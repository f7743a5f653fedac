//! Commands on a whole store, their JSON, and what they refuse.

use std::io::Read as _;
use std::process::Stdio;

use serde_json::{Value, json};

use super::{Bench, START};

fn has_fields(value: &Value, names: &[&str]) {
    for name in names {
        assert!(value.get(name).is_some(), "{name} is missing in {value}");
    }
}

#[test]
fn init_makes_a_store_once_and_keeps_its_retention() {
    let bench = Bench::new();
    let made = bench.json(&["init", "--retention", "12h..5d"]);
    assert_eq!(made["created"], json!(true));
    assert_eq!(made["retention"], json!({"at_least_seconds": 43_200, "at_most_seconds": 432_000}));
    let again = bench.json(&["init", "--retention", "1d..2d"]);
    assert_eq!((&again["created"], &again["retention"]), (&json!(false), &made["retention"]));
}

#[test]
fn commands_do_not_make_a_store_where_none_is() {
    let calls: [&[&str]; 9] = [
        &["ls"],
        &["show", "1-0"],
        &["plan"],
        &["sweep"],
        &["stats"],
        &["verify"],
        &["hold", "list"],
        &["policy", "show"],
        &["camera", "add", "front"],
    ];
    for call in calls {
        let bench = Bench::new();
        bench.run(call).exits(3);
        assert!(!bench.store().exists(), "{call:?}");
    }
}

#[test]
fn wrong_arguments_change_nothing_and_exit_2() {
    let bench = Bench::with_store();
    let calls: [&[&str]; 8] = [
        &["frobnicate"],
        &["ls", "--from", "soon"],
        &["ls", "--from", "2024-01-02T00:00:00Z", "--to", "2024-01-01T00:00:00Z"],
        &["show", "one"],
        &["init", "--retention", "10d..5d"],
        &["sweep", "--quota", "lots"],
        &["get", "1-0"],
        &[
            "hold", "place", "--camera", "../x", "--from", "2h ago", "--to", "now", "--cause",
            "keep",
        ],
    ];
    for call in calls {
        let ran = bench.run(call).exits(2);
        assert!(ran.stdout.is_empty() && !ran.stderr.is_empty(), "{call:?}");
    }
    assert_eq!(bench.json(&["camera", "list"])["cameras"], json!([]));
}

#[test]
fn errors_have_one_shape_in_json() {
    let bench = Bench::with_store();
    for call in [&["show", "7-7", "--json"][..], &["show", "one", "--json"], &["get", "--json"]] {
        let error = bench.run(call).error();
        has_fields(&error, &["kind", "message", "causes", "path", "offset", "hint"]);
    }
    let missing = bench.run(&["hold", "show", "h9", "--json"]).exits(3);
    assert_eq!(missing.error()["kind"], "not-found");
}

#[test]
fn clips_are_listed_by_camera_and_window() {
    let bench = Bench::with_clip();
    let all = bench.json(&["ls"]);
    let clip = &all["clips"][0];
    has_fields(clip, &["id", "received", "class", "fragments", "uncertainty_seconds"]);
    assert_eq!((&clip["camera"], &clip["start"]), (&json!("front"), &json!(START)));
    assert_eq!(clip["duration_seconds"], json!(10));
    assert_eq!((&clip["state"], &clip["media"]), (&json!("complete"), &json!("fragmented-mp4")));
    assert_eq!(clip["digest"].as_str().unwrap().len(), 64);
    let count = |args: &[&str]| bench.json(args)["clips"].as_array().unwrap().len();
    assert_eq!(count(&["ls", "--from", "2024-01-01T18:00:09Z"]), 1);
    assert_eq!(count(&["ls", "--from", "2024-01-01T18:00:10Z"]), 0);
    assert_eq!(count(&["ls", "--to", START]), 0);
    assert_eq!(count(&["ls", "--camera", "front", "--to", "2024-01-01 18:00:01"]), 1);
    assert_eq!(count(&["ls", "--camera", "nobody"]), 0);
    let text = bench.run(&["ls"]).ok().stdout;
    assert!(text.contains("2024-01-01 18:00:00Z") && text.contains("1 clip"), "{text}");
}

#[test]
fn show_explains_why_a_clip_is_kept() {
    let bench = Bench::with_clip();
    let id = bench.ids().remove(0);
    let shown = bench.json(&["show", &id]);
    has_fields(&shown, &["own_expiry", "effective_expiry", "retention"]);
    assert_eq!((&shown["holds"], &shown["own_expiry"]), (&json!([]), &shown["effective_expiry"]));
    assert!(bench.run(&["show", &id]).ok().stdout.contains("held by   nothing"));
}

#[test]
fn figures_and_plans_have_their_fields() {
    let bench = Bench::with_clip();
    let stats = bench.json(&["stats"]);
    has_fields(&stats, &["now", "clock", "live_bytes", "free_bytes", "deletion_frozen"]);
    assert_eq!((&stats["clips"], &stats["held_clips"]), (&json!(1), &json!(0)));
    assert_eq!(stats["cameras"][0]["camera"], "front");
    has_fields(&bench.json(&["plan"]), &["items", "kept", "freed_bytes", "short_bytes"]);
    let swept = bench.json(&["sweep"]);
    assert_eq!((&swept["clips_expired"], &swept["problems"]), (&json!(0), &json!([])));
    let whole = bench.json(&["verify"]);
    assert_eq!((&whole["faults"], &whole["clips"]), (&json!([]), &json!(1)));
    let segments = bench.json(&["inspect", "store"]);
    let id = segments["segments"][0]["segment"].as_str().unwrap().to_owned();
    let segment = bench.json(&["inspect", "segment", &id]);
    assert_eq!(segment["parts"][0]["camera"], "front");
    bench.run(&["inspect", "segment", "4000000"]).exits(3);
    let entries = bench.json(&["inspect", "ledger"]);
    assert!(entries["entries"].as_array().unwrap().len() >= 3);
    let later = bench.json(&["inspect", "ledger", "--from", "2"]);
    assert_eq!(later["entries"][0]["position"], json!(2));
    for call in
        [&["stats"][..], &["plan", "--kept"], &["sweep"], &["verify"], &["inspect", "store"]]
    {
        assert!(!bench.run(call).ok().stdout.is_empty(), "{call:?}");
    }
}

#[test]
fn policies_and_cameras_are_remembered() {
    let bench = Bench::with_store();
    bench.run(&["camera", "add", "garden"]).ok();
    bench.run(&["policy", "set", "1d..2d", "--camera", "garden"]).ok();
    let policy = bench.json(&["policy", "show"]);
    assert_eq!(policy["default"]["at_most_seconds"], json!(864_000));
    assert_eq!(policy["cameras"][0]["retention"]["at_most_seconds"], json!(172_800));
    bench.run(&["camera", "remove", "garden"]).ok();
    assert_eq!(bench.json(&["camera", "list"])["cameras"], json!([]));
    assert_eq!(bench.json(&["camera", "list", "--all"])["cameras"][0]["removed"], json!(true));
    bench.run(&["camera", "remove", "nobody"]).exits(3);
}

#[test]
fn the_clock_is_shown_and_can_be_vouched_for() {
    let bench = Bench::with_store();
    let status = bench.json(&["clock", "status"]);
    assert_eq!(status["clock"]["state"], "agrees");
    has_fields(&bench.json(&["clock", "confirm", "--actor", "j.doe"]), &["now", "clock"]);
    bench.run(&["clock", "confirm"]).exits(2);
}

#[test]
fn a_reader_that_leaves_ends_the_command_quietly() {
    let bench = Bench::with_store();
    let mut child = bench.command(&["completions", "zsh"]).spawn().unwrap();
    let mut first = [0; 16];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}

#[test]
fn a_reader_that_was_never_there_is_no_panic() {
    let bench = Bench::with_clip();
    for call in [&["ls", "--json"][..], &["stats"], &["--help"], &["inspect", "ledger"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = bench.command(call).stdout(Stdio::from(writer)).spawn().unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{call:?}");
    }
}

#[test]
fn reading_commands_write_nothing() {
    let bench = Bench::with_clip();
    let files = |dir: &std::path::Path| -> Vec<(std::path::PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        let mut open = vec![dir.to_owned()];
        while let Some(dir) = open.pop() {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    found.push((path.clone(), std::fs::read(path).unwrap()));
                }
            }
        }
        found.sort();
        found
    };
    let before = files(&bench.store());
    let id = bench.ids().remove(0);
    let calls: [&[&str]; 8] = [
        &["show", &id],
        &["plan"],
        &["stats"],
        &["verify"],
        &["hold", "list"],
        &["policy", "show"],
        &["clock", "status"],
        &["inspect", "store"],
    ];
    for call in calls {
        bench.run(call).ok();
    }
    assert!(before == files(&bench.store()), "a reading command changed a file");
}

#[test]
fn help_documents_the_exit_codes_and_completions_know_every_command() {
    let bench = Bench::new();
    let help = bench.run(&["--help"]).ok().stdout;
    for code in 0..=7 {
        assert!(help.contains(&format!("\n  {code}  ")), "{code}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = bench.run(&["completions", shell]).ok().stdout;
        for command in ["import", "record", "hold", "sweep"] {
            assert!(script.contains(command), "{shell} {command}");
        }
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let bench = Bench::new();
    let pages = bench.path("man");
    bench.run(&["man", pages.to_str().unwrap()]).ok();
    for name in ["clipkeep", "clipkeep-import", "clipkeep-hold-place", "clipkeep-inspect-ledger"] {
        let page = std::fs::read_to_string(pages.join(format!("{name}.1"))).unwrap();
        assert!(page.contains(".TH") && page.contains("DESCRIPTION"), "{name}");
    }
}
