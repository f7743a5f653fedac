//! Replays every kept seed through its target, in the ordinary test run and without nightly Rust.
//!
//! `FUZZ_TARGET=NAME` in the environment replays one target only.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::TARGETS;

/// Seeds are kept small, so that the repository stays small and a run of them is quick.
const SEED_BYTES_MAX: u64 = 16 * 1024;
const ALL_SEEDS_BYTES_MAX: u64 = 300 * 1024;

pub(super) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(name)
}

/// The names in a folder of `fuzz`.
fn names_in(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn target_names() -> BTreeSet<String> {
    TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect()
}

#[test]
fn every_kept_seed_passes_its_target() {
    let wanted = std::env::var("FUZZ_TARGET").ok();
    let (mut targets, mut seeds) = (0, 0);
    for (name, check) in TARGETS {
        if wanted.as_deref().is_some_and(|wanted| wanted != *name) {
            continue;
        }
        let Some(check) = check else { continue };
        let kept = folder("seeds").join(name);
        let files = names_in(&kept);
        assert!(!files.is_empty(), "target {name} has no seeds in {}", kept.display());
        for file in files {
            let data = fs::read(kept.join(&file)).unwrap();
            let passed = std::panic::catch_unwind(|| check(&data));
            assert!(
                passed.is_ok(),
                "fuzz/seeds/{name}/{file} fails; FUZZ_TARGET={name} cargo test --all-features \
                 --lib every_kept_seed"
            );
            seeds += 1;
        }
        targets += 1;
    }
    let all = TARGETS.len();
    // Not by `println!`, which a passing test keeps to itself.
    writeln!(
        std::io::stdout().lock(),
        "\nFUZZ SEEDS replayed {targets} of {all} targets, {seeds} seeds"
    )
    .unwrap();
    let expected = if wanted.is_some() { 1 } else { built() };
    assert_eq!(targets, expected, "targets that this build has");
}

/// How many targets this build can have: each but those whose feature is left out.
fn built() -> usize {
    let left_out = |name: &str| match name {
        "bundle" | "request" => !cfg!(feature = "requests"),
        "http" => !cfg!(feature = "daemon"),
        "note" | "tree" => !cfg!(feature = "evidence"),
        _ => name.starts_with("mp4_") && !cfg!(feature = "media"),
    };
    TARGETS.iter().filter(|(name, _)| !left_out(name)).count()
}

#[test]
fn every_folder_of_seeds_has_a_target() {
    assert_eq!(names_in(&folder("seeds")), target_names());
}

#[test]
fn every_target_can_be_run_by_libfuzzer() {
    let files: BTreeSet<String> = target_names().iter().map(|name| format!("{name}.rs")).collect();
    assert_eq!(names_in(&folder("fuzz_targets")), files);
    let manifest = fs::read_to_string(folder("Cargo.toml")).unwrap();
    for name in target_names() {
        assert!(manifest.contains(&format!("[[bin]]\nname = \"{name}\"\n")), "{name}");
        let entry = fs::read_to_string(folder("fuzz_targets").join(format!("{name}.rs"))).unwrap();
        assert!(entry.contains(&format!("clipkeep::fuzzing::{name}::check(data)")), "{name}");
    }
}

#[test]
fn seeds_stay_small() {
    let mut all = 0;
    for name in target_names() {
        let kept = folder("seeds").join(&name);
        for file in names_in(&kept) {
            let len = fs::metadata(kept.join(&file)).unwrap().len();
            assert!(len <= SEED_BYTES_MAX, "fuzz/seeds/{name}/{file} has {len} bytes");
            all += len;
        }
    }
    assert!(all <= ALL_SEEDS_BYTES_MAX, "{all} bytes of seeds");
}
