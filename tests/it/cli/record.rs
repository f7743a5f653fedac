//! `clipkeep record`, and two processes at one store.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Bench, FRONT_DOOR, Running, START, fixture};

#[test]
fn a_stream_is_stored_as_it_comes() {
    let bench = Bench::new();
    let call = ["record", "--camera", "front", "--start", START, "--split", "4s", "--json"];
    let ran = bench.run_with(&call, &fixture(FRONT_DOOR)).ok();
    assert_eq!((&ran.json()["fragments"], &ran.json()["clips"]), (&json!(5), &json!(3)));
    assert!(ran.stderr.contains("made a new store"), "{}", ran.stderr);
    let listed = bench.json(&["ls"]);
    assert_eq!(listed["clips"][1]["start"], "2024-01-01T18:00:04Z");
    assert_eq!(listed["clips"][2]["state"], "complete");
}

#[test]
fn a_sender_that_vanishes_leaves_its_whole_fragments() {
    let bench = Bench::new();
    let whole = fixture(FRONT_DOOR);
    let call = ["record", "--camera", "front", "--start", START, "--json"];
    let ran = bench.run_with(&call, &whole[..whole.len() - 2_000]).ok();
    assert_eq!(ran.json()["fragments"], json!(4));
    assert!(ran.json()["lost_bytes"].as_u64().unwrap() > 0);
    assert_eq!(bench.json(&["ls"])["clips"][0]["duration_seconds"], json!(8));
}

#[test]
fn what_is_no_fragmented_mp4_is_refused() {
    let bench = Bench::new();
    let plain = fixture("tests/fixtures/plain.mp4");
    for input in [&b"GIF89a and so on"[..], &plain] {
        let ran = bench.run_with(&["record", "--camera", "a", "--json"], input).exits(7);
        assert_eq!(ran.error()["kind"], "media");
    }
    assert!(bench.ids().is_empty());
    assert_eq!(bench.run_with(&["record", "--camera", "a"], b"").ok().code, 0);
}

#[test]
fn damage_in_the_stream_keeps_what_came_before() {
    let bench = Bench::new();
    let mut stream = fixture(FRONT_DOOR);
    let third = stream.windows(4).enumerate().filter(|(_, w)| *w == b"moof").nth(2).unwrap().0;
    stream[third..third + 4].copy_from_slice(b"mdat");
    bench.run_with(&["record", "--camera", "a", "--start", START], &stream).exits(7);
    let clip = &bench.json(&["ls"])["clips"][0];
    assert_eq!((&clip["duration_seconds"], &clip["state"]), (&json!(4), &json!("complete")));
}

#[test]
fn fragments_out_of_order_are_kept_as_they_came_and_told() {
    let bench = Bench::new();
    let stream = fixture(FRONT_DOOR);
    let moofs = stream.windows(4).enumerate().filter(|(_, w)| *w == b"moof").map(|(at, _)| at - 4);
    let mut cuts: Vec<usize> = moofs.collect();
    cuts.push(stream.len());
    let part = |at: usize| &stream[cuts[at]..cuts[at + 1]];
    // The first fragment comes fourth.
    let late = [&stream[..cuts[0]], part(1), part(2), part(3), part(0), part(4)].concat();
    let call = ["record", "--camera", "front", "--start", START, "--json"];
    let ran = bench.run_with(&call, &late).ok();
    let json = ran.json();
    let counts = ["fragments", "clips", "clock_jumps"].map(|key| json[key].as_u64());
    assert_eq!(counts, [Some(5), Some(2), Some(1)]);
    // Both clips begin with the init segment; nothing else is added or left out.
    let bytes = |json: &Value| json["bytes"].as_u64().unwrap();
    let stored = bench.json(&["ls"])["clips"].as_array().unwrap().iter().map(bytes).sum::<u64>();
    let fragments = cuts[5].min(mfra(&stream)) - cuts[0];
    assert_eq!(stored, u64::try_from(2 * cuts[0] + fragments).unwrap());
}

/// Where the index behind the last fragment begins, which belongs to no fragment.
fn mfra(stream: &[u8]) -> usize {
    let at = stream.windows(4).position(|window| window == b"mfra");
    at.map_or(stream.len(), |at| at - 4)
}

#[test]
fn acknowledged_fragments_survive_kill_9() {
    let bench = Bench::with_store();
    let acks = bench.path("acks");
    let call = ["record", "--camera", "a", "--start", START, "--ack-file", acks.to_str().unwrap()];
    let child = bench.command(&call).stdin(Stdio::piped()).spawn().unwrap();
    let mut child = Running(child);
    let stream = fixture(FRONT_DOOR);
    // The input stays open: the recording ends by the kill alone.
    let mut input = child.0.stdin.take().unwrap();
    input.write_all(&stream[..stream.len() - 500]).unwrap();
    let acknowledged = wait_for(|| {
        let text = std::fs::read_to_string(&acks).unwrap_or_default();
        (text.lines().count() >= 3).then_some(text)
    });
    child.0.kill().unwrap();
    child.0.wait().unwrap();
    let newest = acknowledged.lines().last().unwrap();
    let (id, bytes) = newest.split_once(' ').unwrap();
    let clip = bench.json(&["show", id]);
    assert!(clip["bytes"].as_u64().unwrap() >= bytes.parse().unwrap(), "{newest}: {clip}");
    let out = bench.path("out.mp4");
    bench.run(&["get", id, "--output", out.to_str().unwrap()]).ok();
    let stored = std::fs::read(out).unwrap();
    assert!(stream.starts_with(&stored), "not a beginning of what was sent");
}

#[test]
fn a_second_process_is_told_that_the_store_is_locked() {
    let bench = Bench::with_store();
    let acks = bench.path("acks");
    let call = ["record", "--camera", "a", "--ack-file", acks.to_str().unwrap()];
    let mut child = Running(bench.command(&call).stdin(Stdio::piped()).spawn().unwrap());
    // It opens this file once it has the store.
    wait_for(|| acks.exists().then_some(()));
    let refused = bench.run(&["sweep", "--json"]).exits(5);
    assert_eq!(refused.error()["kind"], "locked");
    assert!(refused.error()["hint"].is_string());
    bench.run(&["ls"]).exits(5);
    drop(child.0.stdin.take());
    assert!(child.0.wait().unwrap().success());
    bench.run(&["sweep"]).ok();
}

/// Asks until there is an answer; gives up after a minute.
pub(super) fn wait_for<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    for _ in 0..1_200 {
        if let Some(answer) = ask() {
            return answer;
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
    panic!("nothing happened for a minute");
}

/// A live push, from the tool that people have. Where there is none there is nothing to test.
#[test]
fn ffmpeg_pipes_into_a_recording() {
    let bench = Bench::with_store();
    let mut sender = std::process::Command::new("ffmpeg");
    sender.args(["-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=128x96:rate=10"]);
    sender.args(["-t", "6", "-c:v", "libx264", "-g", "20", "-f", "mp4", "-movflags"]);
    sender.args(["+frag_keyframe+empty_moov+default_base_moof+delay_moov", "-"]);
    let Ok(mut sender) = sender.stdout(Stdio::piped()).spawn() else { return };
    let stream = sender.stdout.take().unwrap();
    let call = ["record", "--camera", "live", "--split", "4s", "--json"];
    let output = bench.command(&call).stdin(Stdio::from(stream)).output().unwrap();
    if !sender.wait().unwrap().success() {
        return;
    }
    let ran = super::Ran::new(&output).ok().json();
    assert_eq!((&ran["fragments"], &ran["lost_bytes"]), (&json!(3), &json!(0)));
    let clips = bench.json(&["ls"])["clips"].clone();
    assert_eq!(clips[0]["duration_seconds"], json!(4));
    // What comes faster than it plays still follows on, and says that its time is not certain.
    assert_eq!(clips[0]["end"], clips[1]["start"]);
    assert!(clips[0]["uncertainty_seconds"].as_f64().unwrap() >= 1.0);
}
