//! What only the real file system can show: its own fallbacks, its locks, its maps.

use super::*;
use crate::vfs::Vfs;

#[test]
fn populating_a_lost_page_is_an_error_and_not_a_signal() {
    let folder = tempfile::tempdir().unwrap();
    let vfs = OsVfs::new(folder.path());
    let file = vfs.create("a", 8192).unwrap();
    let map = file.map(8192).unwrap();
    // Against the rules, and the one way to lose a page without a broken disk.
    file.truncate(4096).unwrap();
    map.populate(0..4096).unwrap();
    let error = map.populate(4096..8192).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(Errno::IO.raw_os_error()));
}

#[test]
fn a_kept_map_shows_what_the_file_has_by_then() {
    let folder = tempfile::tempdir().unwrap();
    let vfs = OsVfs::new(folder.path());
    let file = vfs.create("a", 8192).unwrap();
    file.write_at(0, &[&[1; 8192]]).unwrap();
    let map = file.map(8192).unwrap();
    map.populate(0..8192).unwrap();
    let kept = map.kept().unwrap();
    file.punch(0..4096).unwrap();
    kept.populate(0..8192).unwrap();
    assert_eq!((kept.bytes()[0], kept.bytes()[4096]), (0, 1));
}

#[test]
fn the_fallback_rename_never_replaces() {
    let folder = tempfile::tempdir().unwrap();
    let vfs = OsVfs::new(folder.path());
    vfs.create("a", 1).unwrap();
    vfs.create("b", 2).unwrap();
    let (a, b, c) = (folder.path().join("a"), folder.path().join("b"), folder.path().join("c"));
    let refused = vfs.rename_checked(&a, &b).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
    vfs.rename_checked(&a, &c).unwrap();
    assert_eq!(vfs.rename_checked(&a, &c).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(vfs.list("").unwrap(), ["b", "c"]);
}

#[test]
fn a_reader_needs_no_lock_file_where_none_can_be_made() {
    let missing = tempfile::tempdir().unwrap().path().join("proc");
    assert!(OsVfs::new(missing).lock("LOCK", false).is_err(), "there is no such folder at all");
    // Nobody can make a file there, not even root, whose powers defeat a read-only mode.
    let readable = OsVfs::new("/sys/kernel");
    drop(readable.lock("LOCK", false).unwrap());
    assert!(readable.lock("LOCK", true).is_err());
}

#[test]
fn a_lock_file_that_names_no_living_process_names_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let vfs = OsVfs::new(folder.path());
    for text in ["", "12", "-1\n", "0\n", "2147483647\n", "99999999999\n", "x\n"] {
        fs::write(folder.path().join("LOCK"), text).unwrap();
        assert_eq!(vfs.lock_holder("LOCK"), None, "{text:?}");
    }
}

#[test]
fn a_lock_outlives_no_holder_and_works_across_handles() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (OsVfs::new(folder.path()), OsVfs::new(folder.path()));
    let lock = first.lock("LOCK", true).unwrap();
    assert_eq!(second.lock("LOCK", false).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert_eq!(second.lock_holder("LOCK"), Some(std::process::id()));
    drop(lock);
    drop(second.lock("LOCK", false).unwrap());
}

#[test]
fn folders_are_synced_together_also_where_one_is_elsewhere_or_missing() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let vfs = OsVfs::new(folder.path());
    vfs.create_dir("here").unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), folder.path().join("there")).unwrap();
    vfs.sync_dirs(&["", "here", "there"]).unwrap();
    assert_eq!(*vfs.named.lock(), ["", "here", "there"].map(str::to_owned).into());
    let vfs = OsVfs::new(folder.path());
    let missing = vfs.sync_dirs(&["", "missing"]).unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    assert!(!vfs.named.lock().contains("missing"));
}

#[test]
fn what_stands_beside_something_is_done_once_and_by_another_thread() {
    let vfs = OsVfs::new(Path::new("."));
    let (mut other, mut own) = (Vec::new(), Vec::new());
    let id = || std::thread::current().id();
    vfs.beside(&mut || other.push(id()), &mut || own.push(id()));
    assert_eq!((other.len(), own.as_slice()), (1, [id()].as_slice()));
    assert_ne!(other, own);
    vfs.beside(&mut || panic!("as a test wants it"), &mut || own.push(id()));
    assert_eq!(own.len(), 2, "whatever becomes of the other");
}

#[test]
fn zeros_stand_in_for_missing_allocation_and_holes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    fs::write(&path, vec![7; 300_000]).unwrap();
    let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    OsFile::new(file, &Shared::default()).write_zeros(1..200_001).unwrap();
    let bytes = fs::read(&path).unwrap();
    assert_eq!((bytes[0], bytes[200_001], bytes.len()), (7, 7, 300_000));
    assert!(bytes[1..200_001].iter().all(|byte| *byte == 0));
}

#[test]
fn a_name_that_is_not_text_is_still_listed() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let name = std::ffi::OsStr::from_bytes(b"bad\xFFname");
    fs::write(folder.path().join(name), b"").unwrap();
    assert_eq!(OsVfs::new(folder.path()).list("").unwrap(), ["bad\u{FFFD}name"]);
}

#[test]
fn messages_name_the_path_that_people_can_open() {
    let vfs = OsVfs::new("/srv/clips");
    assert_eq!(vfs.display_path("segments/a"), Path::new("/srv/clips/segments/a"));
    assert_eq!(vfs.display_path(""), Path::new("/srv/clips"));
}
