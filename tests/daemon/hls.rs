//! A recorder that can only push files.

use std::process::Command;

use crate::kit::{Daemon, FRONT_DOOR, front_door, pieces};

fn push(daemon: &Daemon, kind: &str) {
    let ran = Command::new("ffmpeg")
        // As fast as it was recorded: files of one push on connections of their own overtake one
        // another otherwise, which docs/HTTP.md says.
        .args(["-v", "error", "-re", "-i", FRONT_DOOR, "-c", "copy", "-f", "hls"])
        .args(["-hls_time", "2"])
        .args(["-hls_segment_type", kind, "-method", "PUT", "-http_persistent", "0"])
        .arg(daemon.url("/v1/cameras/front/hls/index.m3u8"))
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn fragmented_segments_become_one_recording() {
    let mut daemon = Daemon::start();
    push(&daemon, "fmp4");
    daemon.until_durable("front", 5);
    let clips = daemon.stop_and_list();
    assert_eq!(clips.len(), 1, "{clips:?}");
    assert_eq!(clips[0]["state"], "complete");
    assert_eq!(clips[0]["duration_seconds"].as_f64().unwrap().round(), 10.0);
}

#[test]
fn transport_segments_become_clips() {
    let mut daemon = Daemon::start();
    push(&daemon, "mpegts");
    daemon.until("/v1/cameras", |answer| answer.json()["cameras"][0]["clips"] == 5);
    let clips = daemon.stop_and_list();
    assert_eq!(clips.len(), 5, "{clips:?}");
    for clip in clips {
        assert_eq!(clip["media"], "mpeg-ts");
        assert_eq!(clip["duration_seconds"].as_f64().unwrap().round(), 2.0, "{clip}");
    }
}

#[test]
fn a_segment_without_its_init_segment_is_told_so() {
    let daemon = Daemon::start();
    let pieces = pieces(&front_door());
    let put = |name: &str, body: &[u8]| {
        daemon.ask("PUT", &format!("/v1/cameras/front/hls/{name}"), &[], body)
    };
    put("a0.m4s", &pieces[1]).is_problem(412, "precondition-failed");
    put("init.mp4", &pieces[0]).ok();
    put("a0.m4s", &pieces[1]).ok();
    put("a.exe", b"x").is_problem(415, "unsupported-media");
}
