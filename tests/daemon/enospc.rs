//! A real file system that is full to the last byte, under a daemon that records and is watched.

use std::time::Duration;

use clipkeep::Clock as _;
use clipkeep::requests::evidence;
use serde_json::{Value, json};

use crate::image::{beside, daemon_on};
use crate::inbox::{Ago, street};
use crate::kill::acknowledged;
use crate::kit::{Daemon, Push, START, front_door, pieces, say};
use crate::requests::{REQUESTS, asking};

/// Fills the disk, again and again, because what was not written back yet may turn out to need
/// less; says how many bytes the last attempt could write.
const FILL: &str = "for n in 1 2 3; do cat /dev/zero > $0/disk/ballast$n; \
                    dd if=/dev/zero bs=512 of=$0/disk/rest$n; sync -f $0/disk; done; \
                    cat /dev/zero > $0/disk/last; sync -f $0/disk; stat -c %s $0/disk/last";

/// A fragment with 4 MiB more in its last picture, as a NAL unit that says nothing, of bytes among
/// which one too many or too few is seen.
fn large(fragment: &[u8]) -> Vec<u8> {
    const FILLER_BYTES: u32 = 4 << 20;
    let mut bytes = fragment.to_vec();
    let box_at = |name: &[u8; 4]| bytes.windows(4).position(|four| four == name).unwrap();
    let (trun, mdat) = (box_at(b"trun"), box_at(b"mdat"));
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!(number(trun + 4), 0x205, "of each sample the size alone");
    let last = trun + 20 + 4 * (usize::try_from(number(trun + 8)).unwrap() - 1);
    let grown = [last, mdat - 4].map(|at| (at, number(at) + FILLER_BYTES));
    for (at, len) in grown {
        bytes[at..at + 4].copy_from_slice(&len.to_be_bytes());
    }
    bytes.extend_from_slice(&(FILLER_BYTES - 4).to_be_bytes());
    bytes.push(12);
    let missing = fragment.len() + usize::try_from(FILLER_BYTES).unwrap() - bytes.len();
    bytes.extend((1..=251).cycle().take(missing));
    bytes
}

/// A clip, a window and a bundle of evidence, of which somebody has begun to read: each is larger
/// than what the sockets and the daemon's queue hold together.
struct Exports {
    paths: [String; 3],
    begun: [Push; 3],
    clip: Vec<u8>,
    /// As it was read while there was room.
    window: Vec<u8>,
}

impl Exports {
    fn begin(daemon: &Daemon) -> Self {
        let post = |path: &str, body: &Value| {
            daemon.ask("POST", path, &[], body.to_string().as_bytes()).ok();
        };
        let mut whole = pieces(&front_door());
        for fragment in &mut whole[1..] {
            *fragment = large(fragment);
        }
        let clip = whole.concat();
        let start = Ago(35).wall();
        for start in [start, start.saturating_add(Duration::from_secs(10))] {
            daemon.ask("POST", &format!("/v1/cameras/front/stream?start={start}"), &[], &clip).ok();
        }
        let window = format!("from={start}&seconds=20");
        let clips = daemon.get(&format!("/v1/cameras/front/clips?{window}")).ok().json();
        let ids: Vec<&Value> =
            clips["clips"].as_array().unwrap().iter().map(|clip| &clip["id"]).collect();
        assert_eq!(ids.len(), 2, "{clips}");
        post(REQUESTS, &asking());
        post("/v1/requests/r1/approve", &Value::Null);
        let chosen: Vec<Value> = ids.iter().map(|id| json!({"clip": id})).collect();
        post("/v1/households/h1/requests/r1/accept", &json!({"clips": chosen}));
        let paths = [
            format!("/v1/clips/{}/media", ids[0].as_str().unwrap()),
            format!("/v1/cameras/front/window.mp4?{window}"),
            format!("{REQUESTS}/r1/bundle"),
        ];
        let window = daemon.get(&paths[1]).ok().body;
        let begun = paths.each_ref().map(|path| daemon.begin(path));
        Self { paths, begun, clip, window }
    }

    /// Reads the rest of them.
    fn end(self, daemon: &Daemon) {
        // An answer that is on its way as a whole has no connection any more.
        let open = "clipkeep_http_connections ";
        let metrics = daemon.get("/metrics").ok().text();
        let line = metrics.lines().find_map(|line| line.strip_prefix(open)).unwrap();
        assert!(line.parse::<u32>().unwrap() > 3, "{line} connections");
        let [clip, window, bundle] = self.begun.map(|begun| begun.answer().ok());
        for answer in [&clip, &window, &bundle] {
            let said = answer.header("content-length").unwrap();
            assert_eq!(said, answer.body.len().to_string());
        }
        assert!(clip.body == self.clip, "the clip has other bytes");
        assert!(window.body.len() > 2 * 5 * (4 << 20), "{}", window.body.len());
        assert!(window.body == self.window, "the window has other bytes");
        assert!(daemon.get(&self.paths[1]).ok().body == self.window, "a new one has other bytes");
        let key = daemon.get("/v1/key").ok().json()["key"].as_str().unwrap().parse().unwrap();
        let report = evidence::check(&*bundle.body, &[key]);
        assert!(report.findings.is_empty() && report.clips.len() == 2, "{report:?}");
    }
}

#[test]
fn a_real_disk_that_is_full_stops_ingest_and_nothing_else_until_there_is_room() {
    let settings = [
        "access.tokens=false",
        "store.when_full=refuse",
        "store.free_space_floor_bytes=0",
        "store.segment_bytes=16777216",
        "ingest.clip_seconds=10",
        "requests.answer_ms=0",
        // The exports stand still while the disk is filled.
        "http.body_idle_seconds=600",
    ];
    let mkfs = ["mkfs.ext4", "-q", "-m", "0"];
    let Some(daemon) = daemon_on(&mkfs, &settings, street) else { return };
    let first = format!("/v1/cameras/front/stream?start={START}");
    daemon.ask("POST", &first, &[], &front_door()).ok();
    let exports = Exports::begin(&daemon);

    // Full to the last byte while a camera pushes: what was set aside is used up, then it ends.
    let pieces = pieces(&front_door());
    let mut push = daemon.push("/v1/cameras/filler/stream", &[]);
    push.send(&[&pieces[0][..], &pieces[1]].concat());
    daemon.until_durable("filler", 1);
    let filled = beside(&daemon, FILL);
    assert_eq!(String::from_utf8_lossy(&filled.stdout).trim(), "0", "{filled:?}");
    while pieces[2..].iter().all(|piece| push.try_send(piece).is_ok()) {}
    push.answer().is_problem(507, "full");
    daemon.get("/readyz").is_problem(503, "unavailable");
    let promised = acknowledged(&daemon.get("/metrics").ok());

    // What was being read goes on, and is whole.
    exports.end(&daemon);

    // What is there is shown, exported and held all the same.
    let window = format!("from={START}&seconds=10");
    let file = daemon.get(&format!("/v1/cameras/front/window.mp4?{window}")).ok();
    assert_eq!(file.header("content-length"), Some(&*file.body.len().to_string()));
    let wanted = format!(
        "{{\"scope\": [{{\"camera\": \"front\", \"from\": \"{START}\", \
         \"to\": \"2024-01-01T18:00:10Z\"}}], \"cause\": \"request\", \"reference\": \"full\", \
         \"agency\": \"PD\", \"reason\": \"asked for\"}}"
    );
    let held = daemon.ask("POST", "/v1/holds", &[], wanted.as_bytes()).ok().json();
    assert!(held["clips"].as_u64() >= Some(1), "{held}");

    // With room again it records by itself, and nothing that was acknowledged is missing.
    assert!(
        beside(&daemon, "rm -f $0/disk/ballast* $0/disk/rest* $0/disk/last && sync -f $0/disk")
            .status
            .success()
    );
    let again = "/v1/cameras/front/stream?start=2024-01-02T18:00:00Z";
    let took = daemon.ask("POST", again, &[], &front_door()).ok().json();
    assert_eq!(took["fragments"], 5, "{took}");
    daemon.until("/readyz", |answer| answer.status == 200);
    let mut bytes = 0;
    let mut fragments = 0;
    let mut next = "/v1/cameras/filler/clips?limit=1000".to_owned();
    loop {
        let page = daemon.get(&next).ok().json();
        for clip in page["clips"].as_array().unwrap() {
            let id = clip["id"].as_str().unwrap();
            let media = daemon.get(&format!("/v1/clips/{id}/media")).ok().body;
            fragments += crate::kit::pieces(&media).len() - 1;
            bytes += media.len();
        }
        let Some(cursor) = page["next"].as_str() else { break };
        next = format!("/v1/cameras/filler/clips?limit=1000&cursor={cursor}");
    }
    let wanted = usize::try_from(promised["filler"]).unwrap();
    assert!(fragments >= wanted, "{fragments} of {wanted}");
    say(&format!(
        "DAEMON FULL disk (ext4): {wanted} fragments acknowledged until it was full, \
         {fragments} there ({bytes} bytes), recording went on"
    ));
}
