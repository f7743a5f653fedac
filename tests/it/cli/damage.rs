//! Damaged and forbidden stores.

use std::os::unix::fs::PermissionsExt as _;

use super::Bench;

/// The demo's store, whose segments are sealed, with one byte of one clip changed.
fn damaged() -> (Bench, String) {
    let bench = Bench::new();
    bench.run(&["demo", "--fast", "--dir", bench.store().to_str().unwrap()]).ok();
    let segments = bench.json(&["inspect", "store"])["segments"].clone();
    let segment = segments[0]["segment"].as_str().unwrap().to_owned();
    let shown = bench.json(&["inspect", "segment", &segment]);
    let path = bench.store().join(shown["file"].as_str().unwrap());
    let mut bytes = std::fs::read(&path).unwrap();
    let offset = usize::try_from(shown["parts"][0]["offset"].as_u64().unwrap()).unwrap();
    let media = bytes[offset..].windows(4).position(|window| window == b"mdat").unwrap();
    bytes[offset + media + 100] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    (bench, shown["parts"][0]["clip"].as_str().unwrap().to_owned())
}

#[test]
fn verify_finds_a_flipped_byte_and_says_where() {
    let (bench, id) = damaged();
    let report = bench.run(&["verify", "--json"]).exits(1).json();
    let faults = report["faults"].as_array().unwrap();
    assert!(faults.iter().any(|fault| fault["clip"] == id.as_str()), "{report}");
    let fault = &faults[0]["error"];
    assert_eq!(fault["kind"], "corrupt");
    assert!(fault["path"].is_string() && fault["offset"].is_u64(), "{fault}");
    assert!(bench.run(&["verify"]).exits(1).stdout.contains("FAULT"));
}

#[test]
fn damaged_bytes_are_not_handed_out() {
    let (bench, id) = damaged();
    let out = bench.path("out.mp4");
    bench.run(&["get", &id, "--output", out.to_str().unwrap()]).exits(7);
    assert!(!out.exists());
}

#[test]
fn a_folder_that_cannot_be_written_can_be_read() {
    let bench = Bench::with_clip();
    let lock = |mode| {
        let folders = ["", "segments", "ledger", "ledger/a", "ledger/b", "spare"];
        for folder in folders.map(|folder| bench.store().join(folder)) {
            if folder.exists() {
                let mode = std::fs::Permissions::from_mode(mode);
                std::fs::set_permissions(folder, mode).unwrap();
            }
        }
    };
    lock(0o555);
    // Root may write everywhere; then there is nothing to see.
    let enforced = std::fs::write(bench.store().join("probe"), b"").is_err();
    let (read, written) = (bench.run(&["ls"]), bench.run(&["camera", "add", "garden"]));
    lock(0o755);
    read.ok();
    if enforced {
        written.exits(5);
    }
}

#[test]
fn a_folder_that_is_no_store_is_left_alone() {
    let bench = Bench::new();
    std::fs::create_dir(bench.store()).unwrap();
    std::fs::write(bench.store().join("letters.txt"), b"mine").unwrap();
    for call in [&["ls"][..], &["sweep"], &["verify"]] {
        bench.run(call).exits(3);
    }
    assert_eq!(std::fs::read(bench.store().join("letters.txt")).unwrap(), b"mine");
    assert_eq!(std::fs::read_dir(bench.store()).unwrap().count(), 1);
}

#[test]
fn a_store_that_keeps_its_promise_says_that_it_is_full() {
    let bench = Bench::with_clip();
    let picture = bench.path("large.jpg");
    let mut bytes = vec![0x5A; 20 << 20];
    bytes[..3].copy_from_slice(&[0xFF, 0xD8, 0xFF]);
    std::fs::write(&picture, bytes).unwrap();
    let mut call = vec!["import", "--camera", "front", "--start", "2024-01-02", "--json"];
    call.extend(["--quota", "12MiB", "--when-full", "refuse", picture.to_str().unwrap()]);
    let ran = bench.run(&call).exits(1);
    assert_eq!(ran.json()["files"][0]["error"]["kind"], "full", "{}", ran.stdout);
    // What was there before is there still.
    let ids = bench.ids();
    let out = bench.path("out.mp4");
    bench.run(&["get", &ids[0], "--output", out.to_str().unwrap()]).ok();
}

/// Flips bytes of both copies of the ledger at `from`, a share of the way through its entries.
fn spoil_ledger(bench: &Bench) {
    for copy in ["a", "b"] {
        let path = bench.store().join(format!("ledger/{copy}/00000000.log"));
        let mut bytes = std::fs::read(&path).unwrap();
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        let middle = 4096 + (end - 4096) / 2;
        bytes[middle..middle + 200].fill(0x5a);
        std::fs::write(&path, bytes).unwrap();
    }
}

#[test]
fn a_damaged_ledger_is_repaired_by_command_and_nothing_goes_by_it() {
    let bench = Bench::new();
    bench.run(&["demo", "--fast", "--dir", bench.store().to_str().unwrap()]).ok();
    let clips = bench.ids().len();
    bench.run(&["repair", "--actor", "ann"]).exits(2);
    spoil_ledger(&bench);
    bench.run(&["sweep"]).exits(7);
    bench.run(&["repair"]).exits(2);
    let plan = bench.run(&["repair", "--dry-run", "--json"]).ok().json();
    assert!(plan["entries_lost"].as_u64().unwrap() > 0);
    bench.run(&["sweep"]).exits(7);
    let done = bench.run(&["repair", "--actor", "ann", "--reason", "bad disks", "--json"]).ok();
    assert_eq!(done.json(), plan);
    bench.run(&["sweep"]).ok();
    assert_eq!(bench.ids().len(), clips, "years after they were due, all are there");
    let hold = plan["holds_placed"][0].as_str().unwrap();
    bench.run(&["hold", "release", hold, "--because", "ended", "--actor", "ann"]).exits(2);
    let two = ["--actor", "ann", "--second-actor", "bob"];
    bench.run(&[&["hold", "release", hold, "--because", "ended"][..], &two].concat()).ok();
}
