//! Finished clips: stored whole or not at all, and once.

use std::process::Command;

use crate::kit::{Daemon, FRONT_DOOR, START, front_door};

fn path() -> String {
    format!("/v1/cameras/front/clips?start={START}")
}

#[test]
fn curl_puts_a_file_and_the_store_has_its_bytes() {
    let mut daemon = Daemon::start();
    let ran = Command::new("curl")
        .args(["-sS", "--fail", "-T", FRONT_DOOR, &daemon.url(&path())])
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let clips = daemon.stop_and_list();
    assert_eq!(clips[0]["start"], START);
    assert_eq!(daemon.clip(clips[0]["id"].as_str().unwrap()), front_door());
}

#[test]
fn the_same_clip_is_stored_once_even_after_a_restart() {
    let mut daemon = Daemon::start();
    let first = daemon.ask("PUT", &path(), &[], &front_door());
    assert_eq!(first.status, 201, "{}", first.text());
    let location = first.header("location").unwrap().to_owned();
    assert_eq!(daemon.ask("PUT", &path(), &[], &front_door()).status, 200);
    daemon.restart();
    let again = daemon.ask("PUT", &path(), &[], &front_door());
    assert_eq!((again.status, again.header("location")), (200, Some(&*location)));
    assert_eq!(daemon.stop_and_list().len(), 1);
}

#[test]
fn a_key_stores_a_clip_without_a_start_once_and_is_for_one_body() {
    let mut daemon = Daemon::start();
    let put = |daemon: &Daemon, body: &[u8]| {
        daemon.ask("PUT", "/v1/cameras/front/clips", &["Idempotency-Key: a1"], body)
    };
    let first = put(&daemon, &front_door()).ok().json();
    let other = std::fs::read("src/cli/demo/garden.mp4").unwrap();
    for _ in 0..2 {
        assert_eq!(put(&daemon, &front_door()).ok().json()["id"], first["id"]);
        put(&daemon, &other).is_problem(409, "conflict");
        daemon.restart();
    }
    assert_eq!(daemon.stop_and_list().len(), 1);
}

#[test]
fn a_wrong_digest_stores_nothing_and_a_right_one_does() {
    let mut daemon = Daemon::start();
    let wrong = "Content-Digest: sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:";
    daemon.ask("PUT", &path(), &[wrong], &front_door()).is_problem(400, "digest-mismatch");
    for broken in ["sha-256=abc", "sha-256=:abc:", "sha-256=::"] {
        let header = format!("Content-Digest: {broken}");
        daemon.ask("PUT", &path(), &[&header], &front_door()).is_problem(400, "invalid-input");
    }
    let sum = format!("openssl dgst -sha256 -binary {FRONT_DOOR} | openssl base64 -A");
    let sum = Command::new("sh").args(["-c", &sum]).output().unwrap().stdout;
    let right =
        format!("Content-Digest: md5=:AA==:, sha-256=:{}:", String::from_utf8(sum).unwrap());
    assert_eq!(daemon.ask("PUT", &path(), &[&right], &front_door()).status, 201);
    assert_eq!(daemon.stop_and_list().len(), 1);
}

#[test]
fn a_body_that_is_cut_off_stores_nothing() {
    let mut daemon = Daemon::start();
    let body = front_door();
    let length = format!("Content-Length: {}", body.len());
    let mut stream = daemon.connect();
    let head = format!("PUT {} HTTP/1.1\r\nHost: x\r\n{length}\r\n\r\n", path());
    std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
    std::io::Write::write_all(&mut stream, &body[..body.len() / 2]).unwrap();
    drop(stream);
    daemon.until("/metrics", |answer| {
        answer.text().contains("clipkeep_ingest_aborted_total{code=\"body-cut-off\"} 1")
    });
    assert!(daemon.stop_and_list().is_empty());
}

#[test]
fn what_is_no_media_is_refused() {
    let mut daemon = Daemon::start();
    for garbage in [&b"GIF89a"[..], b"", &[0; 4096], b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"] {
        daemon.ask("PUT", &path(), &[], garbage).is_problem(400, "media");
    }
    let nested: Vec<u8> = (1..=1_000_u32)
        .rev()
        .flat_map(|depth| [&(depth * 8).to_be_bytes()[..], b"moov"].concat())
        .collect();
    daemon.ask("PUT", &path(), &[], &nested).is_problem(400, "media");
    assert!(daemon.stop_and_list().is_empty());
}

#[test]
fn a_picture_and_a_transport_stream_are_clips() {
    let daemon = Daemon::start();
    let made = |name: &str, args: &[&str]| {
        let out = daemon.folder.path().join(name);
        let ran = Command::new("ffmpeg")
            .args(["-v", "error", "-i", FRONT_DOOR])
            .args(args)
            .arg(&out)
            .output()
            .unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        std::fs::read(out).unwrap()
    };
    let picture = made("a.jpg", &["-frames:v", "1"]);
    let stream = made("a.ts", &["-c", "copy"]);
    let put = |body: &[u8]| daemon.ask("PUT", &path(), &[], body).ok().json();
    let picture = put(&picture);
    assert_eq!(
        (&picture["media"], &picture["end"]),
        (&"jpeg".into(), &"2024-01-01T18:00:01Z".into())
    );
    let stream = put(&stream);
    assert_eq!(
        (&stream["media"], &stream["end"]),
        (&"mpeg-ts".into(), &"2024-01-01T18:00:10Z".into())
    );
}

#[test]
fn a_clip_above_the_limit_is_refused_before_it_is_sent() {
    let settings = ["access.tokens=false", "ingest.clip_bytes_max=100000"];
    let daemon = Daemon::with(&settings);
    let mut stream = daemon.connect();
    let head = format!("PUT {} HTTP/1.1\r\nHost: x\r\nContent-Length: 100001\r\n\r\n", path());
    std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
    crate::kit::Push { stream }.answer().is_problem(413, "too-large");
    let mut push = daemon.push_as("PUT", &path(), &[]);
    while push.try_send(&[0xFF; 10_000]).is_ok() {}
    push.answer().is_problem(413, "too-large");
}

#[test]
fn names_that_are_paths_name_nothing() {
    let daemon = Daemon::start();
    for camera in ["..%2f..%2fetc", "%2e%2e", ".hidden", "a%00b", "a%20b", &"x".repeat(65)] {
        let answer = daemon.ask("PUT", &format!("/v1/cameras/{camera}/clips"), &[], &front_door());
        assert_eq!(answer.status, 400, "{camera}: {}", answer.text());
    }
    for path in ["/v1/cameras/../../etc/passwd", "//etc/passwd", "/v1/clips/../stats"] {
        assert_eq!(daemon.get(path).status, 404, "{path}");
    }
}

#[test]
fn a_file_says_when_it_began_unless_somebody_knows_better() {
    let daemon = Daemon::start();
    let put = |query: &str, headers: &[&str]| {
        let path = format!("/v1/cameras/front/clips{query}");
        daemon.ask("PUT", &path, headers, &front_door()).ok().json()["start"].clone()
    };
    assert_eq!(put("?name=front/20240501T101112Z.mp4", &[]), "2024-05-01T10:11:12Z");
    let header = ["X-Start-Time: 2024-05-02T00:00:00Z"];
    assert_eq!(put("?name=front/20240501T101112Z.mp4", &header), "2024-05-02T00:00:00Z");
    let query = put("?start=2024-05-03T00:00:00Z", &header);
    assert_eq!(query, "2024-05-03T00:00:00Z");
    daemon
        .ask("PUT", "/v1/cameras/front/clips?start=soon", &[], &front_door())
        .is_problem(400, "invalid-input");
}
