//! A backup beside a running daemon, as docs/OPERATING.md tells to make it.

use crate::image::{beside, daemon_on};
use crate::kit::{clipkeep, front_door, pieces};

const DOCUMENT: &str = include_str!("../../docs/OPERATING.md");

#[test]
fn the_documented_backup_beside_a_daemon_has_what_was_acknowledged() {
    let settings = ["access.tokens=false", "store.free_space_floor_bytes=0"];
    let Some(daemon) = daemon_on(&["mkfs.btrfs", "-q"], &settings, |_| {}) else { return };
    let pieces = pieces(&front_door());
    let mut push = daemon.push("/v1/cameras/front/stream", &[]);
    push.send(&pieces[..4].concat());
    daemon.until_durable("front", 3);

    let section = DOCUMENT.split_once("**beside a running daemon**").unwrap().1;
    let lines = section.split("```").nth(1).unwrap().trim_start_matches("sh\n");
    for wanted in ["/srv/clips", "/backup/", "clipkeep verify"] {
        assert!(lines.contains(wanted), "{lines}");
    }
    let own = format!("{} verify", env!("CARGO_BIN_EXE_clipkeep"));
    let lines = lines.replace("clipkeep verify", &own).replace("/srv/clips", "$0/disk");
    let lines = lines.replace("/backup/", "$0/backup/");
    let ran = beside(&daemon, &format!("set -e\nmkdir $0/backup\n{lines}"));
    assert!(ran.status.success(), "{ran:?}");

    // The camera goes on, and the copy is of the moment at which it was made.
    push.send(&pieces[4]);
    push.finish().ok();
    let made = std::fs::read_dir(daemon.folder.path().join("backup")).unwrap();
    let [copy] = &made.map(|entry| entry.unwrap().path()).collect::<Vec<_>>()[..] else {
        panic!("one backup")
    };
    let dir = copy.to_str().unwrap();
    let listed = clipkeep(&["ls", "--json", "--dir", dir]);
    let listed: serde_json::Value = serde_json::from_slice(&listed).unwrap();
    let clip = &listed["clips"][0];
    assert_eq!((&clip["fragments"], &clip["state"]), (&3.into(), &"truncated".into()), "{listed}");
    let out = daemon.folder.path().join("clip");
    clipkeep(&["get", clip["id"].as_str().unwrap(), "-o", out.to_str().unwrap(), "--dir", dir]);
    assert!(std::fs::read(out).unwrap() == pieces[..4].concat(), "other bytes");
}
