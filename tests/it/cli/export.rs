//! `clipkeep get`.

use bytes::Bytes;
use clipkeep::media::ClipFacts;
use serde_json::json;

use super::{Bench, FRONT_DOOR, START};

const END: &str = "2024-01-01T18:01:00Z";

fn window(bench: &Bench, extra: &[&str]) -> super::Ran {
    let out = bench.path("out.mp4");
    let mut call = vec!["get", "--camera", "front", "--from", START, "--to", END, "--output"];
    call.push(out.to_str().unwrap());
    call.extend(extra);
    bench.run(&call)
}

#[test]
fn a_window_over_several_clips_is_one_playable_file() {
    let bench = Bench::with_store();
    for start in [START, "2024-01-01T18:00:20Z"] {
        bench.run(&["import", "--camera", "front", "--start", start, FRONT_DOOR]).ok();
    }
    let report = window(&bench, &["--json"]).ok().json();
    assert_eq!(report["clips"].as_array().unwrap().len(), 2);
    let gap = json!({"start": "2024-01-01T18:00:10Z", "end": "2024-01-01T18:00:20Z"});
    let tail = json!({"start": "2024-01-01T18:00:30Z", "end": END});
    assert_eq!(report["gaps"], json!([gap, tail]));
    let bytes = std::fs::read(bench.path("out.mp4")).unwrap();
    assert_eq!(report["bytes"], json!(bytes.len()));
    let facts = ClipFacts::read(&Bytes::from(bytes)).unwrap();
    assert_eq!(facts.duration().as_secs(), 30);
}

#[test]
fn an_existing_file_is_replaced_only_by_force() {
    let bench = Bench::with_clip();
    std::fs::write(bench.path("out.mp4"), b"mine").unwrap();
    let refused = window(&bench, &[]).exits(2);
    assert!(refused.stderr.contains("--force"), "{}", refused.stderr);
    assert_eq!(std::fs::read(bench.path("out.mp4")).unwrap(), b"mine");
    window(&bench, &["--force"]).ok();
    assert!(std::fs::read(bench.path("out.mp4")).unwrap().len() > 1_000);
}

#[test]
fn a_window_without_clips_says_what_is_kept_and_leaves_no_file() {
    let bench = Bench::with_clip();
    let out = bench.path("none.mp4");
    let ran = bench
        .run(&[
            "get",
            "-c",
            "front",
            "--from",
            "2023-01-01",
            "--to",
            "2023-01-02",
            "-o",
            out.to_str().unwrap(),
        ])
        .exits(3);
    assert!(ran.stderr.contains("2024-01-01T18:00:00Z"), "{}", ran.stderr);
    assert!(!out.exists());
}

#[test]
fn a_clip_goes_to_standard_output_alone() {
    let bench = Bench::with_clip();
    let id = bench.ids().remove(0);
    let output = bench.command(&["get", &id, "--output", "-"]).output().unwrap();
    let listed = bench.json(&["show", &id]);
    assert_eq!(listed["bytes"], json!(output.stdout.len()));
    assert_eq!(&output.stdout[4..8], b"ftyp");
}

#[test]
fn a_fragmented_export_can_be_recorded_again() {
    let bench = Bench::with_clip();
    let call = ["get", "-c", "front", "--from", START, "--to", END, "--format", "fmp4", "-o", "-"];
    let output = bench.command(&call).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let record = ["record", "--camera", "copy", "--start", START, "--json"];
    let ran = bench.run_with(&record, &output.stdout).ok();
    assert_eq!(ran.json()["lost_bytes"], json!(0));
    let copy = bench.json(&["ls", "--camera", "copy"]);
    assert_eq!(copy["clips"][0]["duration_seconds"], json!(10));
}

#[test]
fn a_clip_and_a_window_cannot_be_asked_for_at_once() {
    let bench = Bench::with_clip();
    window(&bench, &["1-0"]).exits(2);
    bench.run(&["get", "-c", "front", "-o", "x"]).exits(2);
    bench.run(&["get", "-o", "x"]).exits(2);
}
