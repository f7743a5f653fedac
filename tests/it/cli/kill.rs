//! kill -9 of the real binary while it records, again and again, on one store.
//!
//! What it acknowledges goes to a file outside the store, and is compared after each kill.
//! `CLIPKEEP_KILL_ROUNDS` says how often; the moments follow from `CLIPKEEP_CRASH_SEED`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::Stdio;

use super::record::wait_for;
use super::{Bench, FRONT_DOOR, Running, fixture};
use crate::crash::{below, number_from_environment};

const ROUNDS_DEFAULT: u64 = 12;
/// At most so many fragments are acknowledged before a kill.
const FRAGMENTS_MAX: u64 = 60;

/// The newest acknowledged length of each clip.
fn acknowledged(text: &str) -> BTreeMap<String, u64> {
    // The last line may be cut off: then nobody was told.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let line = |line: &str| {
        let (id, bytes) = line.split_once(' ').unwrap();
        (id.to_owned(), bytes.parse().unwrap())
    };
    whole.lines().map(line).collect()
}

/// Records `stream` over and over until `fragments` are acknowledged, and kills the process there.
fn record_and_kill(bench: &Bench, camera: &str, stream: &[u8], fragments: u64) -> String {
    let acks = bench.path(&format!("acks-{camera}"));
    let call = ["record", "--camera", camera, "--ack-file", acks.to_str().unwrap()];
    let mut child = Running(bench.command(&call).stdin(Stdio::piped()).spawn().unwrap());
    let mut input = child.0.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // Ends when the process that reads is gone.
        scope.spawn(move || while input.write_all(stream).is_ok() {});
        wait_for(|| {
            let text = std::fs::read_to_string(&acks).unwrap_or_default();
            (u64::try_from(text.lines().count()).unwrap() >= fragments).then_some(())
        });
        child.0.kill().unwrap();
        child.0.wait().unwrap();
    });
    std::fs::read_to_string(&acks).unwrap()
}

#[test]
fn killed_at_any_moment_the_binary_loses_nothing_it_acknowledged() {
    let rounds = number_from_environment("CLIPKEEP_KILL_ROUNDS").unwrap_or(ROUNDS_DEFAULT);
    let seed = number_from_environment("CLIPKEEP_CRASH_SEED").unwrap_or(0);
    let bench = Bench::with_store();
    let stream = fixture(FRONT_DOOR);
    let mut promised: BTreeMap<String, u64> = BTreeMap::new();
    let mut holds = Vec::new();
    for round in 0..rounds {
        let camera = format!("camera-{}", round % 3);
        let fragments = below(seed, round, FRAGMENTS_MAX) + 1;
        let acks = record_and_kill(&bench, &camera, &stream, fragments);
        promised.extend(acknowledged(&acks));
        for (id, bytes) in &promised {
            let clip = bench.json(&["show", id]);
            let kept = clip["bytes"].as_u64().unwrap();
            assert!(kept >= *bytes, "seed {seed}, round {round}: {id} has {kept} of {bytes} bytes");
        }
        let window = ["--camera", &camera, "--from", "1h ago", "--to", "now", "--json"];
        holds.push(bench.run(&[&["keep"][..], &window].concat()).ok().json()["id"].clone());
        bench.run(&["sweep"]).ok();
    }
    let listed = bench.json(&["hold", "list"]).to_string();
    assert!(holds.iter().all(|hold| listed.contains(hold.as_str().unwrap())), "{listed}");
    let report = bench.run(&["verify", "--json"]).ok().json();
    assert_eq!(report["faults"].as_array().unwrap().len(), 0);
    assert!(promised.len() >= usize::try_from(rounds).unwrap(), "{} clips", promised.len());
    for id in promised.keys() {
        let out = bench.path("out.mp4");
        bench.run(&["get", id, "--force", "--output", out.to_str().unwrap()]).ok();
        assert!(stream.starts_with(&std::fs::read(out).unwrap()), "{id} is not what was sent");
    }
}
