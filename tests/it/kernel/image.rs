//! A small file system in a file, and what fills it.
//!
//! The file is sparse and in a temporary folder. It is mounted in a mount namespace of one child
//! process alone, so that it is unmounted and its loop device let go when that process ends,
//! however it ends.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::{stage, tally};

/// XFS wants no less.
const IMAGE_BYTES: u64 = 300 << 20;
/// What starts a process that may mount something for itself.
const OWN_MOUNTS: [&str; 4] = ["unshare", "--mount", "--propagation", "private"];

/// Plays `role` in a process that may mount a new file system of `kind`: see [`Disk::mount`].
pub(super) fn play_on(kind: &str, role: &str) {
    let name = format!("{role} on {kind}");
    let folder = tempfile::tempdir().unwrap();
    let missing = make(kind, &folder).err();
    tally::unless_missing(missing, &name, || {
        let said = stage::play(&OWN_MOUNTS, role, folder.path().to_str().unwrap());
        eprintln!("{said}");
    });
}

/// Mounts a file system in memory that has no bound, and so counts nothing as free.
const UNCOUNTED: [&str; 6] = ["mount", "-t", "tmpfs", "-o", "size=0", "none"];

/// Plays `role` in a process that may mount such a file system: see [`mount_uncounted`].
pub(super) fn play_where_nothing_is_counted(role: &str) {
    let folder = tempfile::tempdir().unwrap();
    let task = folder.path().to_str().unwrap();
    let [unshare, options @ ..] = OWN_MOUNTS;
    let missing = run(Command::new(unshare).args(options).args(UNCOUNTED).arg(task)).err();
    tally::unless_missing(missing, &format!("{role} on tmpfs"), || {
        eprintln!("{}", stage::play(&OWN_MOUNTS, role, task));
    });
}

/// Mounts it over `folder` for this process alone.
pub(super) fn mount_uncounted(folder: &str) {
    let [mount, options @ ..] = UNCOUNTED;
    run(Command::new(mount).args(options).arg(folder)).unwrap();
}

/// Makes a file system in a file and mounts it once, to see whether this machine can and may.
fn make(kind: &str, folder: &TempDir) -> Result<(), String> {
    let (image, disk) = (folder.path().join("image"), folder.path().join("disk"));
    fs::File::create_new(&image).unwrap().set_len(IMAGE_BYTES).unwrap();
    fs::create_dir(&disk).unwrap();
    let mut mkfs = Command::new(format!("mkfs.{kind}"));
    if kind == "ext4" {
        // No share for root alone: whether a test may use it would depend on who runs it.
        mkfs.args(["-m", "0"]);
    }
    run(mkfs.arg("-q").arg(&image))?;
    let [unshare, options @ ..] = OWN_MOUNTS;
    let mut probe = Command::new(unshare);
    run(probe.args(options).args(["mount", "-o", "loop"]).arg(&image).arg(&disk))
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("cannot run {program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    Err(format!("{program}: {}", said.join(", ")))
}

/// A mounted file system: the folder of a store, and files with which others fill it.
pub(super) struct Disk {
    root: PathBuf,
}

impl Disk {
    /// Mounts the image in `folder` for this process alone.
    pub(super) fn mount(folder: &str) -> Self {
        let folder = Path::new(folder);
        let root = folder.join("disk");
        let mut mount = Command::new("mount");
        run(mount.args(["-o", "loop"]).arg(folder.join("image")).arg(&root)).unwrap();
        let disk = Self { root };
        fs::create_dir(disk.ballast()).unwrap();
        disk
    }

    pub(super) fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    /// The name of its file system.
    pub(super) fn kind(&self) -> String {
        let mut stat = Command::new("stat");
        let output = stat.args(["-f", "-c", "%T"]).arg(&self.root).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn ballast(&self) -> PathBuf {
        self.root.join("ballast")
    }

    /// Bytes that anybody may still take, as the system counts them.
    pub(super) fn free_bytes(&self) -> u64 {
        let stat = rustix::fs::statvfs(&self.root).unwrap();
        stat.f_bavail * stat.f_frsize
    }

    /// Fills it to the last byte, as another program would.
    pub(super) fn fill(&self) {
        // Again, because what was freed before may come back late.
        for round in 0..2 {
            for bytes in [1 << 20, 64 << 10, 4096, 1] {
                self.append(&format!("ballast/{round}"), bytes);
            }
        }
        // Some file systems keep small files among the names, in room of their own.
        let full = (0..u32::MAX).find(|number| !self.add_small_file(*number));
        assert!(full.is_some());
        assert_eq!(self.append("ballast/0", 1), 0, "the disk is not full");
    }

    /// Takes the ballast away, and waits until its room has come back.
    pub(super) fn make_room(&self) {
        fs::remove_dir_all(self.ballast()).unwrap();
        fs::create_dir(self.ballast()).unwrap();
        self.sync();
    }

    /// From now on nothing can be written.
    pub(super) fn remount_read_only(&self) {
        run(Command::new("mount").args(["-o", "remount,ro"]).arg(&self.root)).unwrap();
    }

    /// Makes everything durable, and lets the file system finish what it does later.
    pub(super) fn sync(&self) {
        let root = OpenOptions::new().read(true).open(&self.root).unwrap();
        rustix::fs::syncfs(root).unwrap();
    }

    fn add_small_file(&self, number: u32) -> bool {
        let path = self.ballast().join(format!("small-{number}"));
        unless_full(fs::write(path, [0x5A; 1500])).is_some()
    }

    /// Appends pieces of `bytes` to a file until none goes in any more, not even once the others
    /// are written back. Answers how many bytes went in.
    pub(super) fn append(&self, name: &str, bytes: usize) -> u64 {
        let piece = vec![0x5A; bytes];
        let file = OpenOptions::new().append(true).create(true).open(self.root.join(name));
        let Some(mut file) = unless_full(file) else { return 0 };
        let before = file.metadata().unwrap().size();
        let mut seen = before;
        loop {
            while unless_full(file.write(&piece)).is_some() {}
            unless_full(file.sync_all());
            let size = file.metadata().unwrap().size();
            if size == seen {
                return size - before;
            }
            seen = size;
        }
    }
}

/// What came of writing to a disk that may be full.
#[track_caller]
fn unless_full<T>(result: io::Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) if error.kind() == io::ErrorKind::StorageFull => None,
        Err(error) => panic!("{error}"),
    }
}
