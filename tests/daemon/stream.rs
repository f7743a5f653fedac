//! Live streams: what is durable when, and what is left when things go wrong.

use std::process::{Command, Stdio};

use crate::kit::{Daemon, FRONT_DOOR, START, front_door, pieces};

const STREAM: &str = "/v1/cameras/front/stream";

#[test]
fn a_stream_is_cut_into_clips_that_play_by_themselves() {
    let mut daemon = Daemon::with(&["access.tokens=false", "ingest.clip_seconds=4"]);
    let answer = daemon.ask("POST", &format!("{STREAM}?start={START}"), &[], &front_door()).ok();
    assert_eq!(answer.json()["clips"], 3);
    assert_eq!(answer.json()["fragments"], 5);
    assert_eq!(answer.json()["dropped_bytes"], 0);
    let (clips, pieces) = (daemon.stop_and_list(), pieces(&front_door()));
    let starts: Vec<_> = clips.iter().map(|clip| clip["start"].as_str().unwrap()).collect();
    assert_eq!(
        starts,
        ["2024-01-01T18:00:00Z", "2024-01-01T18:00:04Z", "2024-01-01T18:00:08Z"],
        "{clips:?}"
    );
    let bytes: Vec<_> =
        clips.iter().map(|clip| daemon.clip(clip["id"].as_str().unwrap())).collect();
    assert_eq!(bytes[0], [&pieces[0][..], &pieces[1], &pieces[2]].concat());
    assert_eq!(bytes[2], [&pieces[0][..], &pieces[5]].concat());
}

#[test]
fn any_chunking_gives_the_same_clips() {
    let mut daemon = Daemon::start();
    let mut push = daemon.push(&format!("{STREAM}?start={START}"), &[]);
    for chunk in front_door().chunks(777) {
        push.send(chunk);
    }
    assert_eq!(push.finish().ok().json()["fragments"], 5);
    let clips = daemon.stop_and_list();
    assert_eq!(clips.len(), 1);
    assert_eq!(daemon.clip(clips[0]["id"].as_str().unwrap()), pieces(&front_door()).concat());
}

#[test]
fn what_a_client_that_leaves_without_the_answer_has_sent_is_kept() {
    let mut daemon = Daemon::start();
    let (pushes, file) = (24, daemon.folder.path().join("sent.mp4"));
    let copy = |to: &[&str]| {
        let ran = Command::new("ffmpeg")
            .args(["-v", "error", "-y", "-i", FRONT_DOOR, "-c", "copy", "-f", "mp4"])
            .args(["-movflags", "+frag_keyframe+empty_moov+default_base_moof+delay_moov"])
            .args(to)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    };
    copy(&[file.to_str().unwrap()]);
    let sent = pieces(&std::fs::read(file).unwrap());
    assert!(sent.len() > 5);
    for n in 0..pushes {
        let camera = format!("/v1/cameras/c{n}/stream");
        copy(&["-method", "POST", &daemon.url(&camera)]);
    }
    for n in 0..pushes {
        daemon.until_durable(&format!("c{n}"), sent.len() - 1);
    }
    let clips = daemon.stop_and_list();
    assert_eq!(clips.len(), pushes, "{clips:?}");
    for clip in clips {
        assert_eq!(clip["state"], "complete", "{clip}");
        assert_eq!(daemon.clip(clip["id"].as_str().unwrap()), sent.concat(), "{clip}");
    }
}

#[test]
fn a_fragment_is_durable_before_the_stream_ends() {
    let mut daemon = Daemon::start();
    let pieces = pieces(&front_door());
    let mut push = daemon.push(&format!("{STREAM}?start={START}"), &[]);
    push.send(&[&pieces[0][..], &pieces[1], &pieces[2], &pieces[3][..100]].concat());
    daemon.until("/metrics", |answer| {
        answer.text().contains("clipkeep_ingest_fragments_total{camera=\"front\"} 2")
    });
    daemon.kill();
    let clips = daemon.list();
    assert_eq!(clips[0]["state"], "truncated");
    let id = clips[0]["id"].as_str().unwrap();
    assert_eq!(daemon.clip(id), [&pieces[0][..], &pieces[1], &pieces[2]].concat());
}

#[test]
fn a_sender_that_is_cut_off_leaves_a_truncated_clip_and_may_come_back() {
    let mut daemon = Daemon::start();
    let pieces = pieces(&front_door());
    let mut push = daemon.push(&format!("{STREAM}?start={START}"), &[]);
    push.send(&[&pieces[0][..], &pieces[1], &pieces[2][..50]].concat());
    daemon
        .until("/metrics", |answer| answer.text().contains("fragments_total{camera=\"front\"} 1"));
    drop(push);
    daemon.until("/metrics", |answer| answer.text().contains("clipkeep_ingest_streams 0"));
    let again = format!("{STREAM}?start=2024-01-01T18:00:10Z");
    daemon.ask("POST", &again, &[], &front_door()).ok();
    let states: Vec<_> =
        daemon.stop_and_list().iter().map(|clip| clip["state"].to_string()).collect();
    assert_eq!(states, ["\"truncated\"", "\"complete\""]);
}

#[test]
fn a_second_sender_of_a_camera_is_refused_while_the_first_sends() {
    let daemon = Daemon::start();
    let pieces = pieces(&front_door());
    let mut first = daemon.push(STREAM, &[]);
    first.send(&[&pieces[0][..], &pieces[1]].concat());
    daemon.until("/metrics", |answer| answer.text().contains("clipkeep_ingest_streams 1"));
    daemon.ask("POST", STREAM, &[], &front_door()).is_problem(409, "stream-busy");
    first.send(&pieces[2]);
    assert_eq!(first.finish().ok().json()["fragments"], 2);
}

#[test]
fn another_decoder_set_up_begins_another_clip() {
    let mut daemon = Daemon::start();
    let garden = std::fs::read("src/cli/demo/garden.mp4").unwrap();
    let body = [front_door(), garden.clone()].concat();
    let answer = daemon.ask("POST", STREAM, &[], &body).ok().json();
    assert_eq!(answer["clips"], 2);
    let clips = daemon.stop_and_list();
    let bytes: Vec<_> =
        clips.iter().map(|clip| daemon.clip(clip["id"].as_str().unwrap())).collect();
    assert!(bytes.contains(&pieces(&front_door()).concat()), "{clips:?}");
    assert!(bytes.contains(&pieces(&garden).concat()), "{clips:?}");
}

#[test]
fn garbage_ends_a_stream_and_costs_nothing_that_came_before() {
    let daemon = Daemon::start();
    let pieces = pieces(&front_door());
    let mut push = daemon.push(STREAM, &[]);
    push.send(&[&pieces[0][..], &pieces[1]].concat());
    push.try_send(b"\0\0\0\0mdatthis box has no size and cannot be believed").ok();
    push.answer().is_problem(400, "media");
    let cameras = daemon.get("/v1/cameras").ok().json();
    assert_eq!(cameras["cameras"][0]["bytes"], pieces[0].len() + pieces[1].len());
}

#[test]
fn a_fragment_without_end_is_refused_before_it_fills_the_memory() {
    let daemon = Daemon::with(&["access.tokens=false", "ingest.fragment_bytes_max=1000000"]);
    let pieces = pieces(&front_door());
    let mut push = daemon.push(STREAM, &[]);
    push.send(&pieces[0]);
    push.send(&pieces[1][..pieces[1].windows(4).position(|four| four == b"mdat").unwrap() - 4]);
    push.send(b"\x03\0\0\0mdat");
    while push.try_send(&[7; 65536]).is_ok() {}
    push.answer().is_problem(413, "too-large");
    assert_eq!(daemon.get("/healthz").status, 200);
}

#[test]
fn an_empty_body_is_no_stream_and_no_error() {
    let mut daemon = Daemon::start();
    assert_eq!(daemon.ask("POST", STREAM, &[], b"").ok().json()["fragments"], 0);
    assert!(daemon.stop_and_list().is_empty());
}

#[test]
fn a_stop_finishes_what_is_being_recorded_and_says_so() {
    let mut daemon = Daemon::start();
    let pieces = pieces(&front_door());
    let mut push = daemon.push(&format!("{STREAM}?start={START}"), &[]);
    push.send(&[&pieces[0][..], &pieces[1], &pieces[2][..100]].concat());
    daemon
        .until("/metrics", |answer| answer.text().contains("fragments_total{camera=\"front\"} 1"));
    daemon.terminate();
    push.answer().is_problem(503, "unavailable");
    assert!(daemon.wait().success());
    let clips = daemon.list();
    assert_eq!((clips.len(), &clips[0]["state"]), (1, &"complete".into()));
}

#[test]
fn a_sender_that_falls_silent_is_let_go() {
    let daemon = Daemon::with(&["access.tokens=false", "http.body_idle_seconds=1"]);
    let mut push = daemon.push(STREAM, &[]);
    push.send(&pieces(&front_door())[0]);
    push.answer().is_problem(408, "body-timeout");
}

#[test]
fn a_full_store_says_so_and_keeps_what_it_has() {
    let settings = [
        "access.tokens=false",
        "store.quota_bytes=12582912",
        "store.when_full=refuse",
        "ingest.clip_seconds=4",
    ];
    let mut daemon = Daemon::with(&settings);
    let body = front_door().repeat(500);
    assert!(body.len() > 12 << 20, "{}", body.len());
    let mut push = daemon.push(STREAM, &[]);
    for chunk in body.chunks(65536) {
        if push.try_send(chunk).is_err() {
            break;
        }
    }
    push.answer().is_problem(507, "full");
    assert_eq!(daemon.get("/healthz").status, 200);
    let stored = daemon.until("/metrics", |_| true).text();
    let acknowledged: u64 = stored
        .lines()
        .find_map(|line| line.strip_prefix("clipkeep_ingest_bytes_total{camera=\"front\"} "))
        .unwrap()
        .parse()
        .unwrap();
    let init = u64::try_from(pieces(&front_door())[0].len()).unwrap();
    let kept: u64 =
        daemon.stop_and_list().iter().map(|clip| clip["bytes"].as_u64().unwrap() - init).sum();
    assert_eq!(kept, acknowledged, "everything that was acknowledged, and nothing else");
}
