//! The files that a person names: what is imported, and what is written out.
//!
//! Owns every touch of the file system outside a store. Output is written under another name and
//! moved into place when it is whole: what bears the wanted name is complete or was there before.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::types::{Error, ErrorKind, Result};

/// How deep folders are followed, so that a loop of mounts ends.
const DEPTH_MAX: usize = 32;

/// Opens an existing file for reading.
///
/// # Errors
///
/// `NotFound`, or what the system says.
#[expect(clippy::disallowed_methods, reason = "a file that a person named, outside any store")]
pub(super) fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|source| missing("open", path, source))
}

/// The text of a file.
///
/// # Errors
///
/// `NotFound`, or what the system says.
#[cfg(feature = "daemon")]
pub(super) fn read_text(path: &Path) -> Result<String> {
    std::io::read_to_string(open(path)?)
        .map_err(|error| crate::types::Error::io("read", path, error))
}

/// The files at and below `path`, sorted by name; links to folders are not followed.
///
/// # Errors
///
/// `NotFound`, or what the system says.
pub(super) fn list(path: &Path, recursive: bool) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let is_dir = fs::metadata(path).map_err(|source| missing("find", path, source))?.is_dir();
    if is_dir {
        collect(path, recursive, DEPTH_MAX, &mut found)?;
    } else {
        found.push(path.to_owned());
    }
    Ok(found)
}

fn collect(dir: &Path, recursive: bool, depth: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    let listed = fs::read_dir(dir).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut entries = listed.map_err(|source| Error::io("list", dir, source))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let kind = entry.file_type().map_err(|source| Error::io("look at", &path, source))?;
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if kind.is_dir() && recursive && depth > 0 && !hidden {
            collect(&path, recursive, depth - 1, found)?;
        } else if !kind.is_dir() && !hidden {
            found.push(path);
        }
    }
    Ok(())
}

/// How many bytes the file at `path` has.
///
/// # Errors
///
/// `NotFound`, or what the system says.
pub(super) fn len(path: &Path) -> Result<u64> {
    fs::metadata(path).map(|data| data.len()).map_err(|source| missing("find", path, source))
}

/// Whether `dir` does not exist or has nothing in it.
pub(super) fn is_absent_or_empty(dir: &Path) -> bool {
    match fs::read_dir(dir) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Fills `buf` as far as `source` has bytes and says how far.
///
/// # Errors
///
/// What the system says, naming `path`.
pub(super) fn read_full(source: &mut impl Read, buf: &mut [u8], path: &Path) -> Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buf.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match source.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io("read", path, error)),
        }
    }
    Ok(filled)
}

/// Refuses to replace the file at `path` unless `force`.
///
/// # Errors
///
/// `InvalidInput` when it exists.
pub(super) fn check_free(path: &Path, force: bool) -> Result<()> {
    if force || fs::symlink_metadata(path).is_err() {
        return Ok(());
    }
    Err(Error::invalid(format!("write {}: it exists; --force replaces it", path.display())))
}

/// Writes the file at `path` with what `fill` gives: whole, or not at all.
///
/// Durability: the bytes and the name are on disk on return.
///
/// # Errors
///
/// `InvalidInput` when it exists and `force` is not given; those of `fill`; what the system says.
pub(super) fn write<T>(
    path: &Path,
    force: bool,
    fill: impl FnOnce(&mut dyn Write) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    write_synced(path, force, fill, File::sync_all)
}

/// The same; a test passes a `sync` of its own, which looks at what is there by then.
fn write_synced<T>(
    path: &Path,
    force: bool,
    fill: impl FnOnce(&mut dyn Write) -> anyhow::Result<T>,
    mut sync: impl FnMut(&File) -> io::Result<()>,
) -> anyhow::Result<T> {
    check_free(path, force)?;
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let mut part = tempfile::Builder::new()
        .prefix(".clipkeep-")
        .suffix(".part")
        .tempfile_in(dir)
        .map_err(|source| missing("write into", dir, source))?;
    let filled = fill(part.as_file_mut())?;
    sync(part.as_file()).map_err(|source| Error::io("write", path, source))?;
    let moved = if force { part.persist(path) } else { part.persist_noclobber(path) };
    moved.map_err(|failed| Error::io("write", path, failed.error))?;
    sync(&open(dir)?).map_err(|source| Error::io("write into", dir, source))?;
    Ok(filled)
}

/// Appends a line to the file at `path` each time it is told to.
///
/// # Errors
///
/// What the system says.
pub(super) fn append_to(path: &Path) -> Result<File> {
    let opened = fs::OpenOptions::new().append(true).create(true).open(path);
    opened.map_err(|source| missing("open", path, source))
}

/// Makes folder `dir` and its parents.
///
/// # Errors
///
/// What the system says.
pub(super) fn create_dir(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).map_err(|source| Error::io("make folder", dir, source))
}

/// An I/O error that tells a missing file from other trouble.
fn missing(operation: &str, path: &Path, source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::NotFound => {
            Error::new(ErrorKind::NotFound, operation).at(path).caused_by(source)
        }
        _ => Error::io(operation, path, source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.mp4");
        let failed = write(&path, false, |file| {
            file.write_all(b"half")?;
            Err::<(), _>(anyhow::anyhow!("the source ended"))
        });
        assert!(failed.is_err());
        assert!(is_absent_or_empty(dir.path()));
    }

    #[test]
    fn a_file_is_whole_before_it_has_its_name_and_the_name_is_on_disk_before_it_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.mp4");
        let whole = |file: &mut dyn Write| Ok(file.write_all(b"whole")?);
        let mut synced = Vec::new();
        write_synced(&path, false, whole, |file| {
            synced.push((file.metadata()?.len(), file.metadata()?.is_dir(), path.exists()));
            Ok(())
        })
        .unwrap();
        assert_eq!((synced[0], synced.len()), ((5, false, false), 2));
        assert!(synced[1].1 && synced[1].2, "the folder, when the name is in it");
        let failing = |file: &File| {
            if file.metadata()?.is_dir() { Ok(()) } else { Err(io::ErrorKind::Other.into()) }
        };
        let new = |file: &mut dyn Write| Ok(file.write_all(b"new")?);
        assert!(write_synced(&path, true, new, failing).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"whole");
    }

    #[test]
    fn an_existing_file_is_kept_unless_forced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.mp4");
        fs::write(&path, b"old").unwrap();
        let put = |force| write(&path, force, |file| Ok(file.write_all(b"new")?));
        assert!(put(false).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        put(true).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn folders_are_listed_in_order_without_hidden_files() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("b")).unwrap();
        for name in ["c.mp4", "a.mp4", ".hidden", "b/x.mp4"] {
            fs::write(dir.path().join(name), b"").unwrap();
        }
        let names = |recursive| -> Vec<_> {
            let found = list(dir.path(), recursive).unwrap();
            let inside = |path: PathBuf| path.strip_prefix(dir.path()).unwrap().to_owned();
            found.into_iter().map(|path| inside(path).display().to_string()).collect()
        };
        assert_eq!(names(true), ["a.mp4", "b/x.mp4", "c.mp4"]);
        assert_eq!(names(false), ["a.mp4", "c.mp4"]);
        assert_eq!(list(Path::new("/no/such"), true).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
