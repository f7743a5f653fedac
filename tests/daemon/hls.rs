//! A recorder that can only push files.

use std::process::Command;
use std::time::Duration;

use clipkeep::{Clock as _, SystemClock, Timestamp};

use crate::kit::{Daemon, FRONT_DOOR, front_door, pieces, say};

/// The arguments of a push to `url`.
fn arguments<'a>(kind: &'a str, persistent: &'a str, url: &'a str) -> Vec<&'a str> {
    let mut all = vec!["-i", FRONT_DOOR, "-c", "copy", "-f", "hls", "-hls_time", "2"];
    all.extend(["-hls_segment_type", kind, "-method", "PUT", "-http_persistent", persistent, url]);
    all
}

fn ffmpeg(first: &[&str], rest: &[&str]) {
    let ran = Command::new("ffmpeg").args(["-v", "error"]).args(first).args(rest).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

fn push(daemon: &Daemon, kind: &str) {
    let url = daemon.url("/v1/cameras/front/hls/index.m3u8");
    // As fast as it was recorded: files of one push on connections of their own overtake one
    // another otherwise, which docs/HTTP.md says.
    ffmpeg(&["-re"], &arguments(kind, "0", &url));
}

#[test]
fn a_kept_connection_loses_nothing_though_nobody_reads_the_answers() {
    let mut daemon = Daemon::start();
    let pushes = 12;
    for n in 0..pushes {
        // Faster than it can be stored, so that everything is under way when ffmpeg closes.
        let url = daemon.url(&format!("/v1/cameras/c{n}/hls/index.m3u8"));
        ffmpeg(&[], &arguments("fmp4", "1", &url));
        let url = daemon.url(&format!("/v1/cameras/t{n}/hls/index.m3u8"));
        ffmpeg(&[], &arguments("mpegts", "1", &url));
    }
    for n in 0..pushes {
        daemon.until_durable(&format!("c{n}"), 5);
    }
    let all = |answer: &crate::kit::Answer| {
        let cameras = answer.json();
        let cameras = cameras["cameras"].as_array().unwrap();
        let clips = cameras.iter().filter(|camera| camera["id"].as_str().unwrap().starts_with('t'));
        clips.map(|camera| camera["clips"].as_u64().unwrap()).sum::<u64>() == 5 * pushes
    };
    daemon.until("/v1/cameras", all);
    let mut fragments = 0;
    for clip in daemon.stop_and_list() {
        if clip["media"] == "fragmented-mp4" {
            assert_eq!(clip["fragments"], 5, "{clip}");
            fragments += 5;
        }
    }
    assert_eq!(fragments, 5 * pushes);
    say(&format!("DAEMON PUSHES {} of {} segments, 0 lost", 2 * pushes, 10 * pushes));
}

#[test]
fn a_push_goes_on_after_a_restart_without_a_new_init_segment() {
    let mut daemon = Daemon::start();
    let pieces = pieces(&front_door());
    let put = |daemon: &Daemon, camera: &str, body: &[u8]| {
        daemon.ask("PUT", &format!("/v1/cameras/{camera}/hls/a.m4s"), &[], body)
    };
    for piece in &pieces[..3] {
        put(&daemon, "front", piece).ok();
    }
    daemon.restart();
    // What was there already is of another push, and so is what another camera sends.
    put(&daemon, "front", &pieces[1]).is_problem(412, "precondition-failed");
    put(&daemon, "garden", &pieces[3]).is_problem(412, "precondition-failed");
    for piece in &pieces[3..] {
        put(&daemon, "front", piece).ok();
    }
    let clips = daemon.stop_and_list();
    assert_eq!(clips.len(), 2, "{clips:?}");
    let bytes: Vec<_> =
        clips.iter().map(|clip| daemon.clip(clip["id"].as_str().unwrap())).collect();
    assert_eq!(bytes[0], pieces[..3].concat());
    assert_eq!(bytes[1], [&pieces[0][..], &pieces[3], &pieces[4], &pieces[5]].concat());
}

#[test]
fn ffmpeg_pushes_on_over_a_restart() {
    let mut daemon = Daemon::start();
    let url = daemon.url("/v1/cameras/front/hls/index.m3u8");
    let mut rest = arguments("fmp4", "1", &url);
    rest.splice(rest.len() - 1.., ["-ignore_io_errors", "1", &url]);
    let mut sender =
        Command::new("ffmpeg").args(["-v", "fatal", "-re"]).args(&rest).spawn().unwrap();
    daemon.until_durable("front", 2);
    daemon.restart_in_place();
    // Whatever was cut comes after the restart at the latest: of five, two before and the last.
    assert!(sender.wait().unwrap().success());
    daemon.until("/v1/cameras/front/clips", |answer| {
        answer.json()["clips"].as_array().is_some_and(|clips| clips.len() == 2)
    });
    let clips = daemon.stop_and_list();
    assert!(clips.iter().all(|clip| clip["fragments"].as_u64() >= Some(1)), "{clips:?}");
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

/// A playlist in which `segments` of two seconds each began at `time`.
fn playlist(time: &str, segments: &[&str]) -> String {
    let mut text = format!("#EXTM3U\n#EXT-X-PROGRAM-DATE-TIME:{time}\n");
    for segment in segments {
        text += &format!("#EXTINF:2.0,\n{segment}\n");
    }
    text
}

#[test]
fn the_times_of_a_playlist_place_the_segments() {
    let mut daemon = Daemon::start();
    let pieces = pieces(&front_door());
    let put = |camera: &str, name: &str, body: &[u8]| {
        daemon.ask("PUT", &format!("/v1/cameras/{camera}/hls/{name}"), &[], body).ok();
    };
    // As some recorders do: what is listed comes before or after.
    let listed = playlist("2024-01-01T18:00:00.250+0000", &["a0.m4s", "a1.m4s", "a2.m4s"]);
    put("front", "index.m3u8", listed.as_bytes());
    put("front", "init.mp4", &pieces[0]);
    for number in 0..3 {
        put("front", &format!("a{number}.m4s"), &pieces[1 + number]);
    }
    let clips = daemon.get("/v1/cameras/front/clips").ok().json();
    assert_eq!(clips["clips"].as_array().unwrap().len(), 1, "{clips}");
    assert_eq!(clips["clips"][0]["start"], "2024-01-01T18:00:00.25Z", "{clips}");
    assert_eq!(clips["clips"][0]["end"], "2024-01-01T18:00:06.25Z", "{clips}");
    daemon.stop_and_list();
}

/// The clips of `camera`: when each starts, and how far off that may be.
fn starts(daemon: &Daemon, camera: &str) -> Vec<(Timestamp, f64)> {
    let clips = daemon.get(&format!("/v1/cameras/{camera}/clips")).ok().json();
    let clips = clips["clips"].as_array().unwrap().iter();
    let start = |clip: &serde_json::Value| clip["start"].as_str().unwrap().parse().unwrap();
    clips.map(|clip| (start(clip), clip["uncertainty_seconds"].as_f64().unwrap())).collect()
}

#[test]
fn the_first_segment_began_its_own_length_before_it_had_arrived() {
    let daemon = Daemon::start();
    let pieces = pieces(&front_door());
    let put = |camera: &str, name: &str, body: &[u8]| {
        daemon.ask("PUT", &format!("/v1/cameras/{camera}/hls/{name}"), &[], body).ok();
    };
    // Two fragments of two seconds in a segment, and a playlist that comes afterwards, as with
    // ffmpeg. The one camera's says much the same as the arrival, the other's does not.
    for (camera, earlier_ms, clips) in [("near", 300, 1), ("far", 5_000, 2)] {
        put(camera, "init.mp4", &pieces[0]);
        let before = SystemClock.wall();
        put(camera, "a0.m4s", &pieces[1..3].concat());
        let after = SystemClock.wall();
        let length = Duration::from_secs(4);
        let [(start, uncertainty)] = starts(&daemon, camera)[..] else { panic!("one clip") };
        assert!(start >= before.saturating_sub(length), "{start} {before}");
        assert!(start <= after.saturating_sub(length), "{start} {after}");
        assert!((uncertainty - 5.0).abs() < 0.01, "{uncertainty}");

        let said = start.saturating_sub(Duration::from_millis(earlier_ms));
        let listed = format!("#EXTM3U\n#EXT-X-PROGRAM-DATE-TIME:{said}\n#EXTINF:4.0,\na0.m4s\n");
        put(camera, "index.m3u8", listed.as_bytes());
        put(camera, "a1.m4s", &pieces[3]);
        let found = starts(&daemon, camera);
        assert_eq!(found.len(), clips, "{found:?}");
        let next = said.saturating_add(length);
        assert!(clips == 1 || found.contains(&(next, 0.0)), "{next} {found:?}");
        assert!(found.contains(&(start, uncertainty)), "{found:?}");
    }
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
        // No playlist says when they began.
        assert_eq!(clip["uncertainty_seconds"].as_f64().unwrap().round(), 62.0, "{clip}");
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
