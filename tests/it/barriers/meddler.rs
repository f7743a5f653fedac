//! A file system that does something to what is written on its way to the disk.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use clipkeep::vfs::sim::SimVfs;
use clipkeep::vfs::{Lock, Map, Space, Vfs, VfsFile};

/// What is done to the bytes of a write, given their offset.
type Meddling = Box<dyn FnMut(u64, &mut Vec<u8>) + Send>;

/// The file system; clones share what it does.
#[derive(Clone)]
pub(super) struct Meddler {
    disk: SimVfs,
    /// To writes of files that were made under a name in `spare/`.
    meddling: Arc<Mutex<Meddling>>,
}

impl fmt::Debug for Meddler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meddler").finish_non_exhaustive()
    }
}

impl Meddler {
    pub(super) fn new(disk: &SimVfs) -> Self {
        Self { disk: disk.clone(), meddling: Arc::new(Mutex::new(Box::new(|_, _| ()))) }
    }

    /// From now on, `meddling` is done to what is written to new segments.
    pub(super) fn meddle(&self, meddling: impl FnMut(u64, &mut Vec<u8>) + Send + 'static) {
        *self.meddling.lock().unwrap() = Box::new(meddling);
    }
}

impl Vfs for Meddler {
    fn open(&self, path: &str, write: bool) -> io::Result<Arc<dyn VfsFile>> {
        self.disk.open(path, write)
    }

    fn create(&self, path: &str, len: u64) -> io::Result<Arc<dyn VfsFile>> {
        let file = self.disk.create(path, len)?;
        if !path.starts_with("spare/") {
            return Ok(file);
        }
        Ok(Arc::new(MeddlerFile { file, meddling: Arc::clone(&self.meddling) }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }

    fn create_dir(&self, dir: &str) -> io::Result<()> {
        self.disk.create_dir(dir)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }

    fn lock(&self, path: &str, exclusive: bool) -> io::Result<Box<dyn Lock>> {
        self.disk.lock(path, exclusive)
    }

    fn lock_holder(&self, path: &str) -> Option<u32> {
        self.disk.lock_holder(path)
    }

    fn space(&self) -> io::Result<Space> {
        self.disk.space()
    }

    fn random(&self, buf: &mut [u8]) -> io::Result<()> {
        self.disk.random(buf)
    }

    fn display_path(&self, path: &str) -> PathBuf {
        self.disk.display_path(path)
    }
}

struct MeddlerFile {
    file: Arc<dyn VfsFile>,
    meddling: Arc<Mutex<Meddling>>,
}

impl fmt::Debug for MeddlerFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeddlerFile").field("file", &self.file).finish_non_exhaustive()
    }
}

impl VfsFile for MeddlerFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.file.read_at(offset, buf)
    }

    fn write_at(&self, offset: u64, bufs: &[&[u8]]) -> io::Result<()> {
        let mut bytes = bufs.concat();
        (*self.meddling.lock().unwrap())(offset, &mut bytes);
        self.file.write_at(offset, &[&bytes])
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn written_from(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        self.file.written_from(offset)
    }

    fn allocated(&self) -> io::Result<u64> {
        self.file.allocated()
    }

    fn punch(&self, range: Range<u64>) -> io::Result<()> {
        self.file.punch(range)
    }

    fn zero(&self, range: Range<u64>) -> io::Result<()> {
        self.file.zero(range)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.truncate(len)
    }

    fn map(&self, len: u64) -> io::Result<Arc<dyn Map>> {
        self.file.map(len)
    }

    fn drop_cache(&self, range: Range<u64>) {
        self.file.drop_cache(range);
    }
}
