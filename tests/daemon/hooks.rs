//! What docs/HTTP.md tells users of other recorders to run, run as it stands there.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::kit::{Daemon, FRONT_DOOR};

const DOCUMENT: &str = include_str!("../../docs/HTTP.md");
/// A minute of a recorder that makes plain files.
const PLAIN: &str = "tests/fixtures/plain.mp4";

/// The text between the fences after `heading`, told where the daemon is and who may push.
fn documented(daemon: &Daemon, heading: &str, language: &str) -> String {
    let section = DOCUMENT.split_once(heading).expect(heading).1;
    let fenced = section.split_once(&format!("```{language}\n")).unwrap().1;
    let text = fenced.split_once("```").unwrap().0;
    let token = daemon.hello["tokens"]["camera"].as_str().unwrap();
    for wanted in ["127.0.0.1:9300", "CAMERA-TOKEN"] {
        assert!(text.contains(wanted), "{text}");
    }
    text.replace("127.0.0.1:9300", &daemon.address).replace("CAMERA-TOKEN", token)
}

fn run(command: &mut Command) {
    let ran = command.output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr) + String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && said.is_empty(), "{command:?}: {said}");
}

/// The clips of camera `front`.
fn clips(daemon: &Daemon) -> Vec<Value> {
    let token = daemon.hello["tokens"]["resident"].as_str().unwrap();
    let header = format!("Authorization: Bearer {token}");
    let list = daemon.ask("GET", "/v1/cameras/front/clips", &[&header], b"").ok().json();
    list["clips"].as_array().unwrap().clone()
}

fn put(from: &str, to: &Path) {
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    std::fs::copy(from, to).unwrap();
    run(Command::new("touch").args(["-d", "5 minutes ago"]).arg(to));
}

#[test]
fn what_mediamtx_runs_after_a_segment_stores_it() {
    let daemon = Daemon::with(&["access.tokens=true"]);
    let yaml = documented(&daemon, "MediaMTX, after each of its segments", "yaml");
    let folded = yaml.split_once("runOnRecordSegmentComplete: >-\n").unwrap().1;
    let line = folded.split_whitespace().collect::<Vec<_>>().join(" ");
    // MediaMTX puts its variables in, then splits the line as a shell does, which is all that the
    // shell here finds to do.
    let segment = daemon.folder.path().join("front/2026-11-23_18-45-00-123456.mp4");
    put(FRONT_DOOR, &segment);
    let mut hook = Command::new("sh");
    hook.args(["-c", &format!("exec {line}")]).env("MTX_PATH", "front");
    run(hook.env("MTX_SEGMENT_PATH", &segment));
    let clips = clips(&daemon);
    assert_eq!(clips.len(), 1, "{clips:?}");
    assert_eq!(clips[0]["media"], "fragmented-mp4");
}

#[test]
fn what_is_run_beside_frigate_stores_each_recording_once_at_its_time() {
    let daemon = Daemon::with(&["access.tokens=true"]);
    let recordings = daemon.folder.path().join("recordings");
    put(PLAIN, &recordings.join("2026-11-23/18/front/45.00.mp4"));
    put(PLAIN, &recordings.join("2026-11-23/18/front/45.10.mp4"));
    // This one is still being written.
    std::fs::copy(PLAIN, recordings.join("2026-11-23/18/front/45.20.mp4")).unwrap();
    let script = documented(&daemon, "Frigate has no hook", "sh");
    let script = script.replace("/media/frigate/recordings", recordings.to_str().unwrap());
    for _ in 0..2 {
        run(Command::new("sh").args(["-c", &script]));
        let clips = clips(&daemon);
        let starts: Vec<_> = clips.iter().map(|clip| clip["start"].as_str().unwrap()).collect();
        assert_eq!(starts, ["2026-11-23T18:45:00Z", "2026-11-23T18:45:10Z"]);
    }
}

#[test]
fn a_recording_that_was_not_taken_is_sent_again() {
    let mut daemon = Daemon::with(&["access.tokens=true"]);
    let recordings = daemon.folder.path().join("recordings");
    put(PLAIN, &recordings.join("2026-11-23/18/front/45.00.mp4"));
    let script = documented(&daemon, "Frigate has no hook", "sh").replace("--retry 5", "--retry 0");
    let script = script.replace("/media/frigate/recordings", recordings.to_str().unwrap());
    daemon.kill();
    assert!(!Command::new("sh").args(["-c", &script]).output().unwrap().status.success());
    let hello = daemon.hello.clone();
    daemon.restart_in_place();
    daemon.hello = hello;
    run(Command::new("sh").args(["-c", &script]));
    assert_eq!(clips(&daemon).len(), 1);
}
