//! A real file system under a daemon: an image, mounted in a mount namespace of the daemon alone.
//! It is unmounted, and its loop device let go, when the daemon ends, however it ends.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::kit::{Daemon, say};

/// XFS wants no less, and the others get the same.
const IMAGE_BYTES: u64 = 300 << 20;
const OWN_MOUNTS: [&str; 4] = ["unshare", "--mount", "--propagation", "private"];
/// `$0` is the folder. The store lies beside what a file system makes of its own.
const MOUNT: &str = "mount -o loop \"$0/image\" \"$0/disk\" && mkdir -p \"$0/disk/store\" \
                     && mount --bind \"$0/disk/store\" \"$0/store\"";

/// A daemon whose store is on a file system of its own, made by `mkfs`, and what is put into it
/// before. `None`, and said so, where this machine cannot mount one or may not.
pub(crate) fn daemon_on(
    mkfs: &[&str],
    settings: &[&str],
    fill: impl FnOnce(&Path),
) -> Option<Daemon> {
    let folder = tempfile::tempdir().unwrap();
    fill(&folder.path().join("before"));
    if let Err(why) = make(mkfs, &folder) {
        assert!(std::env::var_os("CLIPKEEP_KERNEL_REQUIRED").is_none(), "{why}");
        say(&format!("SKIPPED a daemon on a disk made by {}: {why}", mkfs[0]));
        return None;
    }
    let mount_and_run = format!("{MOUNT} && exec \"$@\"");
    let folder_text = folder.path().to_str().unwrap().to_owned();
    let wrapper = [&OWN_MOUNTS[..], &["sh", "-c", &mount_and_run, &folder_text]].concat();
    let daemon = Daemon::behind(&wrapper, folder, settings);
    daemon.until("/readyz", |answer| answer.status == 200);
    Some(daemon)
}

fn make(mkfs: &[&str], folder: &TempDir) -> Result<(), String> {
    let folder = folder.path();
    for name in ["disk", "store", "before"] {
        std::fs::create_dir_all(folder.join(name)).unwrap();
    }
    let image = folder.join("image");
    std::fs::File::create_new(&image).unwrap().set_len(IMAGE_BYTES).unwrap();
    run(Command::new(mkfs[0]).args(&mkfs[1..]).arg(image))?;
    let [unshare, options @ ..] = OWN_MOUNTS;
    let fill = format!("{MOUNT} && cp -a --sparse=never \"$0/before/.\" \"$0/store\"");
    run(Command::new(unshare).args(options).args(["sh", "-c", &fill]).arg(folder))
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("cannot run {program}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{program}: {}", said.trim())) }
}

/// Runs a line of shell where the daemon's disk is mounted; `$0` is the folder.
pub(crate) fn beside(daemon: &Daemon, line: &str) -> Output {
    let id = daemon.id().to_string();
    let mut command = Command::new("nsenter");
    command.args(["--target", &id, "--mount", "sh", "-c", line]).arg(daemon.folder.path());
    command.output().unwrap()
}
