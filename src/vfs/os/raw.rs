//! A file with nothing between its owner and the disk: what benchmarks hold a store against.
//!
//! Owns no format, no retry and no promise. Never used by the engine.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, OFlags, SeekFrom};
use rustix::io::{Errno, ReadWriteFlags};

use super::file::{OsFile, Shared};
use super::remove_file;
use crate::vfs::VfsFile as _;

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

    /// Makes its first `len` bytes zeros, in place and durably; false where the file system cannot.
    pub(crate) fn zero(&self, len: u64) -> io::Result<bool> {
        match self.writer.zero(0..len) {
            Ok(()) => self.sync().map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(false),
            Err(error) => Err(error),
        }
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

/// How much of the files below `dir` is cached, of `(cached, looked at)` places a MiB apart; `None`
/// where the kernel does not tell.
pub(crate) fn cached(dir: &Path) -> io::Result<Option<(u64, u64)>> {
    const STEP: u64 = 1 << 20;
    let (mut cached, mut all, mut is_known) = (0, 0, true);
    each_file(dir, &mut |path| {
        let file = OpenOptions::new().read(true).open(path)?;
        // To ask for a byte must not bring in its neighbours.
        rustix::fs::fadvise(&file, 0, None, Advice::Random).ok();
        for offset in (0..file.metadata()?.len()).step_by(usize::try_from(STEP).unwrap_or(1)) {
            // What nobody has written is read without a disk, cached or not.
            match rustix::fs::seek(&file, SeekFrom::Data(offset)) {
                Err(Errno::NXIO) => break,
                Ok(data) if data > offset => continue,
                _ => {}
            }
            let mut byte = [0; 1];
            let mut into = [IoSliceMut::new(&mut byte)];
            match rustix::io::preadv2(&file, &mut into, offset, ReadWriteFlags::NOWAIT) {
                Ok(_) => cached += 1,
                Err(Errno::AGAIN) => {}
                Err(_) => is_known = false,
            }
            all += 1;
        }
        Ok(())
    })?;
    Ok(is_known.then_some((cached, all)))
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

    #[test]
    fn what_passes_the_page_cache_by_is_not_cached() {
        // The folder of the build: in memory there is no page cache to pass by.
        let dir = tempfile::tempdir_in(".").unwrap();
        let bytes = vec![7; 4 << 20];
        for (direct, wanted) in [(false, 4), (true, 0)] {
            // A half of it stays unwritten: that is neither cached nor not.
            let Ok(file) = RawFile::create(&dir.path().join("raw"), 8 << 20, direct) else {
                println!("skipped: this file system knows no direct writes");
                return;
            };
            let aligned = bytes.as_ptr().align_offset(4096);
            file.write_at(0, &[&bytes[aligned..aligned + (2 << 20)]]).unwrap();
            file.write_at(2 << 20, &[&bytes[aligned..aligned + (1 << 20)]]).unwrap();
            file.write_at(3 << 20, &[&bytes[aligned..aligned + (1 << 20)]]).unwrap();
            file.sync().unwrap();
            let Some((cached, all)) = cached(dir.path()).unwrap() else { return };
            assert_eq!((cached, all), (wanted, 4), "direct: {direct}");
        }
    }
}
