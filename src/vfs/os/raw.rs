//! A file with nothing between its owner and the disk: what benchmarks hold a store against.
//!
//! Owns no format, no retry and no promise. Never used by the engine.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, OFlags};

use super::file::{OsFile, Shared};
use super::remove_file;

/// A file whose blocks are allocated before it is written; removed when it is dropped.
#[derive(Debug)]
pub(crate) struct RawFile {
    file: File,
    /// The same file: it knows how to write many pieces.
    writer: OsFile,
    path: PathBuf,
}

impl RawFile {
    /// Makes the file with `len` bytes of room; `direct` passes the page cache by.
    ///
    /// # Errors
    ///
    /// What the system says: `InvalidInput` where the file system knows no direct writes.
    pub(crate) fn create(path: &Path, len: u64, direct: bool) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        let raw = Self {
            writer: OsFile::new(file.try_clone()?, &Shared::default()),
            file,
            path: path.to_owned(),
        };
        raw.writer.allocate(len)?;
        raw.file.sync_all()?;
        if !direct {
            return Ok(raw);
        }
        let flags = i32::try_from(OFlags::DIRECT.bits()).unwrap_or(0);
        let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)?;
        Ok(Self {
            writer: OsFile::new(file.try_clone()?, &Shared::default()),
            file,
            path: raw.keep(),
        })
    }

    /// Lets go of the file without removing it.
    fn keep(mut self) -> PathBuf {
        std::mem::take(&mut self.path)
    }

    /// Writes all of `bufs`, one after the other, in as few calls as the system allows.
    pub(crate) fn write_at(&self, offset: u64, bufs: &[&[u8]]) -> io::Result<()> {
        let mut slices: Vec<IoSlice<'_>> = bufs.iter().map(|buf| IoSlice::new(buf)).collect();
        self.writer.write_slices(offset, &mut slices).map(|_| ())
    }

    pub(crate) fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(bytes, offset)
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fdatasync(&self.file)?)
    }

    /// Forgets what of it is cached, so that the next reading is cold.
    pub(crate) fn drop_cache(&self) {
        rustix::fs::fadvise(&self.file, 0, None, Advice::DontNeed).ok();
    }
}

impl Drop for RawFile {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            remove_file(&self.path).ok();
        }
    }
}

/// Forgets what is cached of every file below `dir` that is on disk already.
pub(crate) fn drop_caches(dir: &Path) -> io::Result<()> {
    each_file(dir, &mut |path| {
        let file = OpenOptions::new().read(true).open(path)?;
        rustix::fs::fadvise(&file, 0, None, Advice::DontNeed).ok();
        Ok(())
    })
}

/// What the file system has allocated for the files below `dir`.
pub(crate) fn allocated(dir: &Path) -> io::Result<u64> {
    const STAT_BLOCK_BYTES: u64 = 512;
    let mut sum = 0_u64;
    each_file(dir, &mut |path| {
        use std::os::unix::fs::MetadataExt as _;
        let blocks = std::fs::metadata(path)?.blocks();
        sum = sum.saturating_add(blocks.saturating_mul(STAT_BLOCK_BYTES));
        Ok(())
    })?;
    Ok(sum)
}

fn each_file(dir: &Path, visit: &mut dyn FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        match entry.file_type()? {
            kind if kind.is_dir() => each_file(&entry.path(), visit)?,
            kind if kind.is_file() => visit(&entry.path())?,
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raw_file_reads_back_and_is_removed_when_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("raw");
        let file = RawFile::create(&path, 64 << 10, false).unwrap();
        file.write_at(4096, &[b"cl", b"ip"]).unwrap();
        file.sync().unwrap();
        let mut back = [0; 4];
        file.read_at(4096, &mut back).unwrap();
        assert_eq!(&back, b"clip");
        assert!(allocated(dir.path()).unwrap() >= 64 << 10);
        drop(file);
        assert!(!path.exists());
    }
}
