//! The limits that a system puts on a process: the size of its files, their number, its memory, a
//! disk mounted for reading alone, a folder of somebody else.
//!
//! A store either works within them or says with a typed error what it ran into; nothing that it
//! acknowledged before is lost.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use clipkeep::{ClipId, Durability, ErrorKind, NewClip, Result, Store, StoreOptions, Window};

use super::image::{self, Disk};
use super::{stage, tally};
use crate::world::{camera, footage, minute};

const SEGMENT_BYTES: u64 = 4 << 20;
const CLIP_BYTES: usize = 600_000;
/// Less than a segment.
const FILE_BYTES_MAX: &str = "--fsize=2097152";
const NOBODY: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

fn options() -> StoreOptions {
    Store::options().segment_bytes(SEGMENT_BYTES).evidence_reserve(0).free_space_floor(0)
}

/// Clip number `number`, which is the same in every process.
fn append(store: &Store, number: u32, len: usize) -> Result<ClipId> {
    let clip = NewClip::new(&camera("door"), minute(number));
    store.append(clip, footage(u64::from(number), len)).map(|clip| clip.id())
}

/// The clips of the store in order, each of which must read as it was appended.
fn read_all(store: &Store) -> Vec<ClipId> {
    let all = Window::new(minute(0).start(), minute(1_000_000).end()).unwrap();
    let clips = store.clips(&camera("door"), all).unwrap();
    let read = clips.enumerate().map(|(number, clip)| {
        let bytes = store.read(clip.id()).unwrap().to_vec().unwrap();
        assert!(bytes == footage(u64::try_from(number).unwrap(), bytes.len()), "clip {number}");
        clip.id()
    });
    read.collect()
}

/// Appends clips from `first` on, and tells of each over standard output once it is acknowledged.
fn append_until_refused(store: &Store, first: u32) -> ErrorKind {
    for number in first.. {
        match append(store, number, CLIP_BYTES) {
            // By itself on a line: the test harness may have begun one.
            Ok(id) => println!("\nappended {id}"),
            Err(error) => return error.kind(),
        }
    }
    unreachable!("a limit was set")
}

fn appended(said: &str) -> Vec<ClipId> {
    let ids = said.lines().filter_map(|line| line.strip_prefix("appended "));
    ids.map(|id| id.parse().unwrap()).collect()
}

/// What is missing to run `program`, if it is.
fn missing(program: &str) -> Option<String> {
    let tried = Command::new(program).arg("--version").output();
    tried.err().map(|error| format!("cannot run {program}: {error}"))
}

#[test]
fn a_limit_of_the_file_size_is_refused_and_costs_nothing() {
    tally::unless_missing(missing("prlimit"), "a limit of the file size, signal ignored", || {
        let dir = tempfile::tempdir().unwrap();
        let before = append(&options().open(dir.path()).unwrap(), 0, CLIP_BYTES).unwrap();
        let ignored = ["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh", "prlimit", FILE_BYTES_MAX];
        let said = stage::play(&ignored, "append within a file size", as_text(dir.path()));
        let kept = read_all(&options().open(dir.path()).unwrap());
        assert_eq!(kept, [&[before], &appended(&said)[..]].concat());
    });
}

/// Role: appends until the system refuses. That is no reason to drop what is there.
pub(super) fn append_within_a_file_size(dir: &str) {
    let store = options().open(dir).unwrap();
    assert_eq!(append_until_refused(&store, 1), ErrorKind::Full);
    assert_eq!(append_until_refused(&store, 100), ErrorKind::Full);
    assert!(read_all(&store).len() > 1, "the open segment took some");
    assert_eq!(store.stats().unwrap().promise_broken_clips, 0);
}

#[test]
fn the_signal_of_the_file_size_is_like_any_kill() {
    tally::unless_missing(missing("prlimit"), "a limit of the file size, with its signal", || {
        const SIGXFSZ: i32 = 25;
        let dir = tempfile::tempdir().unwrap();
        let before = append(&options().open(dir.path()).unwrap(), 0, CLIP_BYTES).unwrap();
        let limited = ["prlimit", FILE_BYTES_MAX];
        let role = "append within a file size";
        let output = stage::command(&limited, role, as_text(dir.path())).output().unwrap();
        assert_eq!(output.status.signal(), Some(SIGXFSZ), "{}", output.status);
        let appended = appended(&String::from_utf8_lossy(&output.stdout));
        assert!(!appended.is_empty(), "it was killed before it did anything");
        let store = options().open(dir.path()).unwrap();
        assert!(store.opening().problems.is_empty(), "{:?}", store.opening().problems);
        assert_eq!(read_all(&store), [&[before], &appended[..]].concat());
    });
}

#[test]
fn few_descriptors_are_enough_for_many_segments() {
    tally::unless_missing(missing("prlimit"), "64 descriptors for 200 segments", || {
        let dir = tempfile::tempdir().unwrap();
        let store = options().durability(Durability::Buffered).open(dir.path()).unwrap();
        for number in 0..200 {
            append(&store, number, 10_000).unwrap();
            store.seal().unwrap();
        }
        drop(store);
        stage::play(&["prlimit", "--nofile=64"], "use few descriptors", as_text(dir.path()));
        assert_eq!(read_all(&options().open(dir.path()).unwrap()).len(), 201);
    });
}

/// Role: opens, reads every segment, records, sweeps; and leaves the program around the store
/// descriptors of its own, also while more readers are open than there are descriptors.
pub(super) fn use_few_descriptors(dir: &str) {
    let store = options().open(dir).unwrap();
    assert!(store.opening().problems.is_empty(), "{:?}", store.opening().problems);
    let clips = read_all(&store);
    let own: Vec<_> = (0..8).map(|_| tempfile::tempfile()).collect();
    assert!(own.iter().all(std::result::Result::is_ok), "the store took all descriptors");
    drop(own);
    let readers: Vec<_> = clips.iter().map(|clip| store.read(*clip).unwrap()).collect();
    assert!(readers.len() > 64, "there are more segments than descriptors");
    for reader in readers {
        assert_eq!(reader.to_vec().unwrap().len(), 10_000);
    }
    append(&store, 200, CLIP_BYTES).unwrap();
    let report = store.sweep().unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert_eq!(read_all(&store).len(), 201);
}

#[test]
fn little_memory_is_enough_for_many_clips() {
    const CLIPS: u32 = 20_000;
    tally::unless_missing(missing("prlimit"), "64 MiB of memory for 20,000 clips", || {
        let dir = tempfile::tempdir().unwrap();
        let store = many_clips().open(dir.path()).unwrap();
        for number in 0..CLIPS {
            let new = NewClip::starting(&camera("door"), minute(number).start());
            let mut recorder = store.record(new).unwrap();
            let bytes = footage(u64::from(number), 3_000);
            // Left unfinished, as finishing waits for the disk: each is as long as it is durable.
            recorder.write(bytes, Duration::from_mins(1)).unwrap();
        }
        drop(store);
        // Pages of files are the kernel's to take back, so what is limited is all other memory.
        let limited = ["prlimit", "--data=67108864"];
        stage::play(&limited, "use little memory", as_text(dir.path()));
    });
}

fn many_clips() -> StoreOptions {
    options().segment_bytes(32 << 20).durability(Durability::Buffered)
}

/// Role: opens, reads everything, records what is as large as a segment, sweeps.
pub(super) fn use_little_memory(dir: &str) {
    let store = many_clips().open(dir).unwrap();
    assert_eq!(read_all(&store).len(), 20_000);
    for number in 20_000..20_020 {
        append(&store, number, 2_000_000).unwrap();
    }
    store.sweep().unwrap();
    assert_eq!(read_all(&store).len(), 20_020);
}

#[test]
fn a_disk_mounted_for_reading_alone_is_read() {
    image::play_on("ext4", "read a read-only disk");
}

/// Role: a store on such a disk is refused to a writer, and can be read.
pub(super) fn read_a_read_only_disk(folder: &str) {
    let disk = Disk::mount(folder);
    let store = options().open(disk.store()).unwrap();
    append(&store, 0, CLIP_BYTES).unwrap();
    store.close().unwrap();
    disk.remount_read_only();
    let refused = options().open(disk.store()).map(drop).expect_err("nothing can be written");
    assert_eq!(refused.kind(), ErrorKind::ReadOnly, "{refused:?}");
    let store = options().read_only(true).open(disk.store()).unwrap();
    assert_eq!(read_all(&store).len(), 1);
    let refused = append(&store, 1, CLIP_BYTES).expect_err("nothing can be written");
    assert_eq!(refused.kind(), ErrorKind::ReadOnly, "{refused:?}");
}

#[test]
fn a_folder_of_somebody_else_is_refused() {
    let own = std::env::current_exe().unwrap();
    let mut probe = Command::new(NOBODY[0]);
    let probe = probe.args(&NOBODY[1..]).arg(own).arg("--list").output();
    let missing = match probe {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(format!("cannot run setpriv: {error}")),
    };
    tally::unless_missing(missing, "a folder of somebody else", || {
        let dir = tempfile::tempdir().unwrap();
        let store = options().open(dir.path()).unwrap();
        append(&store, 0, CLIP_BYTES).unwrap();
        store.close().unwrap();
        let allow = |mode| std::fs::set_permissions(dir.path(), Permissions::from_mode(mode));
        allow(0o700).unwrap();
        stage::play(&NOBODY, "open what is closed", as_text(dir.path()));
        allow(0o755).unwrap();
        stage::play(&NOBODY, "open what may be read", as_text(dir.path()));
    });
}

/// Role: may not even look into the folder.
pub(super) fn open_what_is_closed(dir: &str) {
    for read_only in [false, true] {
        let opened = options().create(false).read_only(read_only).open(dir).map(drop);
        let refused = opened.expect_err("it is closed");
        assert_eq!(refused.kind(), ErrorKind::ReadOnly, "{refused:?}");
        assert!(refused.path().is_some_and(|path| path.starts_with(dir)), "{refused:?}");
    }
}

/// Role: may read the folder and not write.
pub(super) fn open_what_may_be_read(dir: &str) {
    let refused = options().open(dir).map(drop).expect_err("it cannot be written");
    assert_eq!(refused.kind(), ErrorKind::ReadOnly, "{refused:?}");
    assert_eq!(read_all(&options().read_only(true).open(dir).unwrap()).len(), 1);
}

fn as_text(path: &Path) -> &str {
    path.to_str().expect("temporary folders have plain names")
}
