//! A file system that counts what is asked of it, and that can be cut off as by `kill -9`.
//!
//! Owns counters alone; every call goes to the file system below unchanged, but for direct writes
//! where those are to be refused.

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use bytes::Bytes;

use crate::vfs::{Lock, Map, Rest, Space, Vfs, VfsFile};

/// How often a file system was asked for what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls of `write_at`.
    pub writes: u64,
    /// The bytes they wrote.
    pub bytes_written: u64,
    /// Calls of `read_at` and the like.
    pub reads: u64,
    /// The bytes they read.
    pub bytes_read: u64,
    /// Syncs of files.
    pub syncs: u64,
    /// Syncs of folders.
    pub dir_syncs: u64,
    /// Files made.
    pub creates: u64,
    /// Files opened.
    pub opens: u64,
    /// Names removed.
    pub removes: u64,
    /// Ranges given back.
    pub punches: u64,
    /// Ranges made zeros that keep their room.
    pub zeros: u64,
    /// Maps made.
    pub maps: u64,
    /// How often maps were asked to bring something in.
    pub populates: u64,
    /// The bytes of it.
    pub bytes_populated: u64,
}

/// Counts over another file system. Clones share the counters.
#[derive(Clone, Debug)]
pub struct Counting {
    below: Arc<dyn Vfs>,
    tally: Arc<Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    writes: AtomicU64,
    bytes_written: AtomicU64,
    reads: AtomicU64,
    bytes_read: AtomicU64,
    syncs: AtomicU64,
    dir_syncs: AtomicU64,
    creates: AtomicU64,
    opens: AtomicU64,
    removes: AtomicU64,
    punches: AtomicU64,
    zeros: AtomicU64,
    maps: AtomicU64,
    populates: AtomicU64,
    bytes_populated: AtomicU64,
    is_cut: AtomicBool,
    /// Whether direct writes go through the page cache.
    is_buffered: AtomicBool,
}

impl Tally {
    /// Refuses changes once the process is taken for dead.
    fn check(&self) -> io::Result<()> {
        if self.is_cut.load(Relaxed) { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    }

    fn written(&self, bufs: &[&[u8]]) -> io::Result<()> {
        self.one(&self.writes)?;
        let bytes: usize = bufs.iter().map(|buf| buf.len()).sum();
        self.bytes_written.fetch_add(u64::try_from(bytes).unwrap_or(0), Relaxed);
        Ok(())
    }

    fn one(&self, counter: &AtomicU64) -> io::Result<()> {
        self.check()?;
        counter.fetch_add(1, Relaxed);
        Ok(())
    }
}

impl Counting {
    /// Counts what `below` is asked for.
    #[must_use]
    pub fn over(below: impl Vfs + 'static) -> Self {
        Self { below: Arc::new(below), tally: Arc::default() }
    }

    /// Writes through the page cache whatever is to go past it, as below a file system that knows
    /// no direct writes.
    #[must_use]
    pub fn buffered(self) -> Self {
        self.tally.is_buffered.store(true, Relaxed);
        self
    }

    /// The counts so far; calls that failed are in.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let tally = &self.tally;
        Counts {
            writes: tally.writes.load(Relaxed),
            bytes_written: tally.bytes_written.load(Relaxed),
            reads: tally.reads.load(Relaxed),
            bytes_read: tally.bytes_read.load(Relaxed),
            syncs: tally.syncs.load(Relaxed),
            dir_syncs: tally.dir_syncs.load(Relaxed),
            creates: tally.creates.load(Relaxed),
            opens: tally.opens.load(Relaxed),
            removes: tally.removes.load(Relaxed),
            punches: tally.punches.load(Relaxed),
            zeros: tally.zeros.load(Relaxed),
            maps: tally.maps.load(Relaxed),
            populates: tally.populates.load(Relaxed),
            bytes_populated: tally.bytes_populated.load(Relaxed),
        }
    }

    /// From now on nothing is changed any more, as if the process were killed: what was written
    /// stays as it is, also what a store would tidy up while it closes.
    pub fn cut(&self) {
        self.tally.is_cut.store(true, Relaxed);
    }

    fn file(&self, file: Arc<dyn VfsFile>) -> Arc<dyn VfsFile> {
        Arc::new(CountingFile { file, tally: Arc::clone(&self.tally) })
    }
}

impl Vfs for Counting {
    fn open(&self, path: &str, write: bool) -> io::Result<Arc<dyn VfsFile>> {
        self.tally.opens.fetch_add(1, Relaxed);
        Ok(self.file(self.below.open(path, write)?))
    }

    fn create(&self, path: &str, len: u64) -> io::Result<Arc<dyn VfsFile>> {
        self.tally.one(&self.tally.creates)?;
        Ok(self.file(self.below.create(path, len)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.tally.check()?;
        self.below.rename(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.tally.one(&self.tally.removes)?;
        self.below.remove(path)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.below.list(dir)
    }

    fn create_dir(&self, dir: &str) -> io::Result<()> {
        self.tally.check()?;
        self.below.create_dir(dir)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.tally.one(&self.tally.dir_syncs)?;
        self.below.sync_dir(dir)
    }

    fn sync_dirs(&self, dirs: &[&str]) -> io::Result<()> {
        dirs.iter().try_for_each(|_| self.tally.one(&self.tally.dir_syncs))?;
        self.below.sync_dirs(dirs)
    }

    fn beside(&self, other: &mut (dyn FnMut() + Send), own: &mut dyn FnMut()) {
        self.below.beside(other, own);
    }

    fn lock(&self, path: &str, exclusive: bool) -> io::Result<Box<dyn Lock>> {
        self.below.lock(path, exclusive)
    }

    fn lock_holder(&self, path: &str) -> Option<u32> {
        self.below.lock_holder(path)
    }

    fn space(&self) -> io::Result<Space> {
        self.below.space()
    }

    fn memory_bytes(&self) -> Option<u64> {
        self.below.memory_bytes()
    }

    fn open_files_max(&self) -> Option<u64> {
        self.below.open_files_max()
    }

    fn random(&self, buf: &mut [u8]) -> io::Result<()> {
        self.below.random(buf)
    }

    fn display_path(&self, path: &str) -> PathBuf {
        self.below.display_path(path)
    }
}

#[derive(Debug)]
struct CountingFile {
    file: Arc<dyn VfsFile>,
    tally: Arc<Tally>,
}

impl VfsFile for CountingFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.tally.reads.fetch_add(1, Relaxed);
        self.tally.bytes_read.fetch_add(u64::try_from(buf.len()).unwrap_or(0), Relaxed);
        self.file.read_at(offset, buf)
    }

    fn read_vec(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        self.tally.reads.fetch_add(1, Relaxed);
        self.tally.bytes_read.fetch_add(u64::try_from(len).unwrap_or(0), Relaxed);
        self.file.read_vec(offset, len)
    }

    fn write_at(&self, offset: u64, bufs: &[&[u8]]) -> io::Result<()> {
        self.tally.written(bufs)?;
        self.file.write_at(offset, bufs)
    }

    fn write_through(&self, offset: u64, bufs: &[&[u8]]) -> io::Result<()> {
        self.tally.written(bufs)?;
        if self.tally.is_buffered.load(Relaxed) {
            return self.file.write_at(offset, bufs);
        }
        self.file.write_through(offset, bufs)
    }

    fn write_beside(&self, offset: u64, first: &[u8], rest: &mut Rest<'_>) -> io::Result<()> {
        if self.tally.is_buffered.load(Relaxed) {
            self.write_at(offset, &[first])?;
            return rest().iter().try_for_each(|later| self.write_at(later.offset, &later.bufs()));
        }
        self.tally.written(&[first])?;
        let mut counted = Ok(());
        let mut count = || {
            let rest = rest();
            counted = rest.iter().try_for_each(|later| self.tally.written(&later.bufs()));
            rest
        };
        self.file.write_beside(offset, first, &mut count).and(counted)
    }

    fn read_through(&self, range: Range<u64>) -> io::Result<Option<Bytes>> {
        let len = range.end.saturating_sub(range.start);
        let read = self.file.read_through(range)?;
        if read.is_some() {
            self.tally.reads.fetch_add(1, Relaxed);
            self.tally.bytes_read.fetch_add(len, Relaxed);
        }
        Ok(read)
    }

    fn sync(&self) -> io::Result<()> {
        self.tally.one(&self.tally.syncs)?;
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
        self.tally.one(&self.tally.punches)?;
        self.file.punch(range)
    }

    fn zero(&self, range: Range<u64>) -> io::Result<()> {
        self.tally.one(&self.tally.zeros)?;
        self.file.zero(range)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.tally.check()?;
        self.file.truncate(len)
    }

    fn map(&self, len: u64) -> io::Result<Arc<dyn Map>> {
        self.tally.maps.fetch_add(1, Relaxed);
        Ok(Arc::new(CountingMap { map: self.file.map(len)?, tally: Arc::clone(&self.tally) }))
    }

    fn read_ahead(&self, allowed: bool) {
        self.file.read_ahead(allowed);
    }

    fn will_need(&self, range: Range<u64>) {
        self.file.will_need(range);
    }

    fn drop_cache(&self, range: Range<u64>) {
        self.file.drop_cache(range);
    }
}

#[derive(Debug)]
struct CountingMap {
    map: Arc<dyn Map>,
    tally: Arc<Tally>,
}

impl Map for CountingMap {
    fn bytes(&self) -> &[u8] {
        self.map.bytes()
    }

    fn populate(&self, range: Range<u64>) -> io::Result<()> {
        self.tally.populates.fetch_add(1, Relaxed);
        self.tally.bytes_populated.fetch_add(range.end.saturating_sub(range.start), Relaxed);
        self.map.populate(range)
    }

    fn kept(self: Arc<Self>) -> Option<Arc<dyn Map>> {
        let map = Arc::clone(&self.map).kept()?;
        Some(Arc::new(Self { map, tally: Arc::clone(&self.tally) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::sim::SimVfs;

    #[test]
    fn what_is_asked_for_is_counted_and_handed_on() {
        let disk = SimVfs::new(1);
        let counting = Counting::over(disk.clone());
        let file = counting.create("file", 8192).unwrap();
        file.write_at(0, &[b"door", b" opens"]).unwrap();
        file.sync().unwrap();
        counting.sync_dir("").unwrap();
        let mut back = [0; 4];
        file.read_at(0, &mut back).unwrap();
        let expected = Counts {
            writes: 1,
            bytes_written: 10,
            reads: 1,
            bytes_read: 4,
            syncs: 1,
            dir_syncs: 1,
            creates: 1,
            ..Counts::default()
        };
        assert_eq!(counting.counts(), expected);
        assert!(disk.contents("file").unwrap().starts_with(b"door opens"));
    }

    #[test]
    fn a_cut_file_system_changes_no_more() {
        let disk = SimVfs::new(1);
        let counting = Counting::over(disk.clone());
        let file = counting.create("file", 4096).unwrap();
        counting.cut();
        assert!(file.write_at(0, &[b"late"]).is_err());
        assert!(file.sync().is_err());
        assert!(file.truncate(0).is_err());
        assert!(file.punch(0..4096).is_err());
        assert!(file.zero(0..4096).is_err());
        assert!(counting.create("other", 4096).is_err());
        assert!(counting.rename("file", "other").is_err());
        assert!(counting.remove("file").is_err());
        assert_eq!(disk.contents("file").unwrap(), vec![0; 4096]);
        assert!(file.read_at(0, &mut [0; 4]).is_ok());
    }
}
