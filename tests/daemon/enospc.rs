//! A real file system that is full to the last byte, under a daemon that records and is watched.
//!
//! An image is mounted in a mount namespace of the daemon alone: it is unmounted, and its loop
//! device let go, when the daemon ends, however it ends.

use std::path::Path;
use std::process::{Command, Output};

use crate::kill::acknowledged;
use crate::kit::{Daemon, START, front_door, pieces, say};

/// XFS wants no less, and the others get the same.
const IMAGE_BYTES: u64 = 300 << 20;
const OWN_MOUNTS: [&str; 4] = ["unshare", "--mount", "--propagation", "private"];
/// `$0` is the folder. The store lies beside what a file system makes of its own.
const MOUNT: &str = "mount -o loop \"$0/image\" \"$0/disk\" && mkdir -p \"$0/disk/store\" \
                     && mount --bind \"$0/disk/store\" \"$0/store\"";
/// Fills the disk, again and again, because what was not written back yet may turn out to need
/// less; says how many bytes the last attempt could write.
const FILL: &str = "for n in 1 2 3; do cat /dev/zero > $0/disk/ballast$n; \
                    dd if=/dev/zero bs=512 of=$0/disk/rest$n; sync -f $0/disk; done; \
                    cat /dev/zero > $0/disk/last; sync -f $0/disk; stat -c %s $0/disk/last";

/// Makes the image, and sees whether this machine can mount it and may.
fn make(folder: &Path) -> Result<(), String> {
    for name in ["disk", "store"] {
        std::fs::create_dir(folder.join(name)).unwrap();
    }
    let image = folder.join("image");
    std::fs::File::create_new(&image).unwrap().set_len(IMAGE_BYTES).unwrap();
    run(Command::new("mkfs.ext4").args(["-q", "-m", "0"]).arg(image))?;
    let [unshare, options @ ..] = OWN_MOUNTS;
    run(Command::new(unshare).args(options).args(["sh", "-c", MOUNT]).arg(folder))
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("cannot run {program}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{program}: {}", said.trim())) }
}

/// Runs a line of shell where the daemon's disk is mounted; `$0` is the folder.
fn beside(daemon: &Daemon, line: &str) -> Output {
    let id = daemon.id().to_string();
    let mut command = Command::new("nsenter");
    command.args(["--target", &id, "--mount", "sh", "-c", line]).arg(daemon.folder.path());
    command.output().unwrap()
}

#[test]
fn a_real_disk_that_is_full_stops_ingest_and_nothing_else_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    if let Err(why) = make(folder.path()) {
        assert!(std::env::var_os("CLIPKEEP_KERNEL_REQUIRED").is_none(), "{why}");
        return say(&format!("SKIPPED a daemon on a full disk: {why}"));
    }
    let mount_and_run = format!("{MOUNT} && exec \"$@\"");
    let folder_text = folder.path().to_str().unwrap().to_owned();
    let wrapper = [&OWN_MOUNTS[..], &["sh", "-c", &mount_and_run, &folder_text]].concat();
    let settings = ["access.tokens=false", "store.when_full=refuse", "ingest.clip_seconds=4"];
    let floor = ["store.free_space_floor_bytes=0"];
    let daemon = Daemon::behind(&wrapper, folder, &[&settings[..], &floor].concat());
    daemon.until("/readyz", |answer| answer.status == 200);
    let first = format!("/v1/cameras/front/stream?start={START}");
    daemon.ask("POST", &first, &[], &front_door()).ok();

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
