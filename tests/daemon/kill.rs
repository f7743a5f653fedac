//! kill -9 of the daemon while many cameras push, again and again, on one store.
//!
//! `CLIPKEEP_CRASH_SEED` decides at which moments.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::kit::{Answer, Daemon, clipkeep, front_door, pieces, say};

const STREAMS: usize = 50;
const ROUNDS: u64 = 3;
/// At most so many fragments more than one a stream are acknowledged before a kill.
const FRAGMENTS_MAX: u64 = 600;
/// The demo's five fragments of two seconds, in the unit of its media time.
const LOOP_UNITS: u64 = 10 * 10_240;

/// What the cameras push: the demo's fragments over and over, each later than the one before in
/// media time, and each with the numbers of camera and fragment in its last bytes, so that no two
/// are the same.
struct Footage(Vec<Vec<u8>>);

impl Footage {
    fn init(&self) -> &[u8] {
        &self.0[0]
    }

    fn fragment(&self, camera: usize, number: usize) -> Vec<u8> {
        let all = self.0.len() - 1;
        let mut bytes = self.0[1 + number % all].clone();
        let time = bytes.windows(4).position(|name| name == b"tfdt").unwrap() + 8;
        let there = u64::from_be_bytes(bytes[time..time + 8].try_into().unwrap());
        let later = there + u64::try_from(number / all).unwrap() * LOOP_UNITS;
        bytes[time..time + 8].copy_from_slice(&later.to_be_bytes());
        let marks = [camera, number].map(|mark| u32::try_from(mark).unwrap().to_be_bytes());
        let end = bytes.len();
        bytes[end - 8..].copy_from_slice(&marks.concat());
        bytes
    }
}

/// Lets all cameras push until `fragments` are acknowledged, and kills the daemon in the middle of
/// it. Answers how many of each camera were acknowledged, and how many were sent.
fn push_and_kill(
    daemon: &mut Daemon,
    footage: &Footage,
    start: &str,
    fragments: u64,
) -> (BTreeMap<String, u64>, Vec<usize>) {
    let sent: Vec<_> = (0..STREAMS).map(|_| AtomicUsize::new(0)).collect();
    let acknowledged = std::thread::scope(|scope| {
        for (camera, sent) in sent.iter().enumerate() {
            let path = format!("/v1/cameras/c{camera}/stream?start={start}");
            let mut push = daemon.push(&path, &[]);
            scope.spawn(move || {
                push.send(footage.init());
                // Ends when the daemon is gone.
                for number in 0.. {
                    sent.store(number + 1, Ordering::Relaxed);
                    if push.try_send(&footage.fragment(camera, number)).is_err() {
                        return;
                    }
                }
            });
        }
        let enough = |answer: &Answer| {
            let acknowledged = acknowledged(answer);
            acknowledged.len() == STREAMS && acknowledged.values().sum::<u64>() >= fragments
        };
        let acknowledged = acknowledged(&daemon.until("/metrics", enough));
        daemon.kill();
        acknowledged
    });
    (acknowledged, sent.iter().map(|sent| sent.load(Ordering::Relaxed)).collect())
}

/// How many fragments of each camera are durable, by the daemon's own count.
pub(crate) fn acknowledged(metrics: &Answer) -> BTreeMap<String, u64> {
    let text = metrics.text();
    let lines = text.lines().filter_map(|line| {
        let rest = line.strip_prefix("clipkeep_ingest_fragments_total{camera=\"")?;
        let (camera, count) = rest.split_once("\"} ")?;
        Some((camera.to_owned(), count.parse().unwrap()))
    });
    lines.collect()
}

/// How many of the fragments that `camera` sent from `start` on are there: byte for byte those that
/// were sent, in order, without a gap, and whole.
fn found(daemon: &Daemon, footage: &Footage, camera: usize, start: &str) -> (usize, usize) {
    let path = format!("/v1/cameras/c{camera}/clips?from={start}&seconds=86400&limit=1000");
    let list = daemon.get(&path).ok().json();
    let mut bytes = Vec::new();
    for clip in list["clips"].as_array().unwrap() {
        let id = clip["id"].as_str().unwrap();
        let clip = daemon.get(&format!("/v1/clips/{id}/media")).ok().body;
        bytes.extend_from_slice(clip.strip_prefix(footage.init()).expect("an init segment"));
    }
    let (mut rest, mut number) = (&bytes[..], 0);
    while !rest.is_empty() {
        let fragment = footage.fragment(camera, number);
        let after = rest.strip_prefix(&fragment[..]);
        rest = after.unwrap_or_else(|| panic!("c{camera}, {number}: not what was sent"));
        number += 1;
    }
    (number, bytes.len())
}

/// A number below `bound` that follows from `seed` and `round` (splitmix64).
fn below(seed: u64, round: u64, bound: u64) -> u64 {
    let mut mixed = seed.wrapping_add((round + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (mixed ^ (mixed >> 31)) % bound
}

#[test]
fn nothing_that_was_acknowledged_is_lost_when_the_daemon_is_killed_under_many_streams() {
    let seed = std::env::var("CLIPKEEP_CRASH_SEED").map_or(0, |seed| seed.parse().unwrap());
    let footage = Footage(pieces(&front_door()));
    let mut daemon = Daemon::start();
    let (mut promised, mut kept, mut kept_bytes) = (0, 0, 0);
    for round in 0..ROUNDS {
        let start = format!("2024-01-0{}T00:00:00Z", round + 1);
        let fragments = u64::try_from(STREAMS).unwrap() + below(seed, round, FRAGMENTS_MAX);
        let (acknowledged, sent) = push_and_kill(&mut daemon, &footage, &start, fragments);
        daemon.restart();
        for (camera, sent) in sent.into_iter().enumerate() {
            let wanted = acknowledged[&format!("c{camera}")];
            let (found, bytes) = found(&daemon, &footage, camera, &start);
            let said = format!("seed {seed}, round {round}, c{camera}: {found} of {wanted}");
            assert!(found >= usize::try_from(wanted).unwrap(), "{said}");
            assert!(found <= sent, "{said}: more than were sent");
            promised += wanted;
            kept += found;
            kept_bytes += bytes;
        }
    }
    for camera in 0..STREAMS {
        let path = format!("/v1/cameras/c{camera}/stream?start=2024-02-01T00:00:00Z");
        assert_eq!(daemon.ask("POST", &path, &[], &front_door()).ok().json()["fragments"], 5);
    }
    daemon.terminate();
    assert!(daemon.wait().success());
    clipkeep(&["verify", "--dir", daemon.store().to_str().unwrap()]);
    say(&format!(
        "DAEMON KILLS {ROUNDS} under {STREAMS} streams: {promised} fragments acknowledged, \
         {kept} there ({kept_bytes} bytes compared), 0 lost (seed {seed})"
    ));
}
