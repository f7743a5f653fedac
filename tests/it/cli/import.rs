//! `clipkeep import`.

use serde_json::json;

use super::{Bench, FRONT_DOOR, GARDEN, START, fixture};

#[test]
fn a_fragmented_file_is_cut_into_playable_clips() {
    let bench = Bench::with_store();
    let call = ["import", "--camera", "front", "--start", START, "--split", "4s", FRONT_DOOR];
    let report = bench.json(&call);
    let clips = report["files"][0]["clips"].as_array().unwrap();
    let starts: Vec<_> = clips.iter().map(|clip| clip["start"].as_str().unwrap()).collect();
    assert_eq!(starts, ["2024-01-01T18:00:00Z", "2024-01-01T18:00:04Z", "2024-01-01T18:00:08Z"]);
    let out = bench.path("part.mp4");
    for clip in clips {
        let id = clip["id"].as_str().unwrap();
        bench.run(&["get", id, "--output", out.to_str().unwrap(), "--force"]).ok();
        let bytes = std::fs::read(&out).unwrap();
        assert_eq!((&bytes[4..8], bytes.windows(4).any(|w| w == b"moov")), (&b"ftyp"[..], true));
    }
}

#[test]
fn the_same_file_again_is_skipped() {
    let bench = Bench::with_clip();
    let again = bench.json(&["import", "--camera", "front", "--start", START, FRONT_DOOR]);
    assert_eq!(again["files"][0]["clips"][0]["outcome"], "skipped");
    assert_eq!(bench.ids().len(), 1);
    let other = bench.json(&["import", "--camera", "front", "--start", START, GARDEN]);
    assert_eq!(other["files"][0]["clips"][0]["outcome"], "stored");
    assert_eq!(bench.ids().len(), 2);
}

#[test]
fn an_import_that_was_cut_off_goes_on_where_it_stopped() {
    let bench = Bench::with_store();
    let whole = fixture(FRONT_DOOR);
    let half = bench.path("half.mp4");
    std::fs::write(&half, &whole[..whole.len() / 2]).unwrap();
    let call = |path: &str| {
        bench.json(&["import", "--camera", "front", "--start", START, "--split", "2s", path])
    };
    let first = call(half.to_str().unwrap());
    assert!(first["files"][0]["lost_bytes"].as_u64().unwrap() > 0);
    let stored = first["files"][0]["clips"].as_array().unwrap().len();
    assert!((1..5).contains(&stored));
    let clips = call(FRONT_DOOR)["files"][0]["clips"].as_array().unwrap().clone();
    let skipped = clips.iter().filter(|clip| clip["outcome"] == "skipped").count();
    assert_eq!((clips.len(), skipped, bench.ids().len()), (5, stored, 5));
}

#[test]
fn a_bad_file_is_reported_and_the_others_go_on() {
    let bench = Bench::with_store();
    let folder = bench.path("in");
    std::fs::create_dir_all(folder.join("deep")).unwrap();
    std::fs::write(folder.join("a.txt"), b"not a video").unwrap();
    std::fs::write(folder.join("deep/20240101T180000Z.mp4"), fixture(FRONT_DOOR)).unwrap();
    let ran = bench.run(&["import", "--json", folder.to_str().unwrap(), "/no/such/file"]).exits(1);
    let report = ran.json();
    assert_eq!(report["failed"], json!(2));
    assert_eq!(report["files"][0]["error"]["kind"], "media");
    assert_eq!(report["files"][1]["camera"], "deep");
    assert_eq!(report["files"][1]["start_source"], "file-name");
    assert_eq!(report["files"][2]["error"]["kind"], "not-found");
    assert_eq!(bench.ids().len(), 1);
}

#[test]
fn plain_mp4_is_kept_whole_and_byte_for_byte() {
    let bench = Bench::with_store();
    let plain = "tests/fixtures/plain.mp4";
    bench.run(&["import", "--camera", "front", "--start", START, plain]).ok();
    let out = bench.path("out.mp4");
    bench.run(&["get", &bench.ids()[0], "--output", out.to_str().unwrap()]).ok();
    assert_eq!(std::fs::read(out).unwrap(), fixture(plain));
    assert_eq!(bench.json(&["ls"])["clips"][0]["media"], "mp4");
}

#[test]
fn a_dry_run_stores_nothing() {
    let bench = Bench::with_store();
    let call = ["import", "--dry-run", "--camera", "front", "--start", START, FRONT_DOOR];
    let report = bench.json(&call);
    assert_eq!(report["files"][0]["clips"][0]["id"], json!(null));
    assert!(bench.ids().is_empty());
    let before = Bench::new();
    before.run(&call).ok();
    assert!(!before.store().exists());
}

#[test]
fn names_are_read_by_a_pattern_in_the_given_zone() {
    let bench = Bench::with_store();
    let file = bench.path("front_door-01.02.2024_03h04.mp4");
    std::fs::write(&file, fixture(FRONT_DOOR)).unwrap();
    let path = file.to_str().unwrap();
    let wrong = bench.run(&["import", path]).exits(1);
    assert!(wrong.stdout.contains("--start"), "{}", wrong.stdout);
    let pattern = "{camera}-%d.%m.%Y_%Hh%M";
    let report = bench.json(&["import", "--pattern", pattern, path]);
    assert_eq!(report["files"][0]["camera"], "front_door");
    assert_eq!(report["files"][0]["start"], "2024-02-01T03:04:00Z");
    bench.run(&["import", "--pattern", "no conversion", path]).exits(2);
}

#[test]
fn a_store_is_made_only_in_a_new_or_empty_folder() {
    let bench = Bench::new();
    let made = bench.run(&["import", "--camera", "a", "--start", START, FRONT_DOOR]).ok();
    assert!(made.stderr.contains("made a new store"), "{}", made.stderr);
    let other = Bench::new();
    std::fs::create_dir(other.store()).unwrap();
    std::fs::write(other.store().join("letters.txt"), b"mine").unwrap();
    other.run(&["import", "--camera", "a", "--start", START, FRONT_DOOR]).exits(3);
    assert_eq!(std::fs::read_dir(other.store()).unwrap().count(), 1);
}
