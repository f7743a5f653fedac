//! The store's disk, watched: how long its syncs take, and how far opening has come.
//!
//! Owns the counting and nothing else: every call goes to the real file system as it is.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use prometheus_client::metrics::histogram::Histogram;

use crate::vfs::os::OsVfs;
use crate::vfs::{Lock, Map, Rest, Space, Vfs, VfsFile};

use super::metrics::Timer;

/// The folder whose files are looked at one by one when a store is opened.
const SEGMENTS: &str = "segments";

/// How far opening has come.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    listed: AtomicUsize,
    opened: AtomicUsize,
}

impl Progress {
    /// Segments that were looked at, and how many there are, as far as is known.
    pub(super) fn segments(&self) -> (usize, usize) {
        let listed = self.0.listed.load(Ordering::Relaxed);
        (self.0.opened.load(Ordering::Relaxed).min(listed), listed)
    }

    /// So many were found.
    pub(super) fn listed(&self, segments: usize) {
        self.0.listed.store(segments, Ordering::Relaxed);
    }

    /// One more was looked at.
    pub(super) fn opened(&self) {
        self.0.opened.fetch_add(1, Ordering::Relaxed);
    }
}

/// A file system whose calls are counted.
#[derive(Debug)]
pub(super) struct WatchedDisk {
    inner: OsVfs,
    syncs: Histogram,
    progress: Progress,
}

impl WatchedDisk {
    pub(super) fn new(dir: impl Into<PathBuf>, syncs: Histogram, progress: Progress) -> Self {
        Self { inner: OsVfs::new(dir), syncs, progress }
    }

    fn watched(&self, file: Arc<dyn VfsFile>) -> Arc<dyn VfsFile> {
        Arc::new(WatchedFile { inner: file, syncs: self.syncs.clone() })
    }

    fn note_listed(&self, dir: &str, names: &[String]) {
        if dir == SEGMENTS {
            self.progress.listed(names.len());
        }
    }
}

impl Vfs for WatchedDisk {
    fn open(&self, path: &str, write: bool) -> io::Result<Arc<dyn VfsFile>> {
        let file = self.inner.open(path, write)?;
        if path.starts_with(SEGMENTS) {
            self.progress.opened();
        }
        Ok(self.watched(file))
    }

    fn create(&self, path: &str, len: u64) -> io::Result<Arc<dyn VfsFile>> {
        Ok(self.watched(self.inner.create(path, len)?))
    }

    fn create_private(&self, path: &str, len: u64) -> io::Result<Arc<dyn VfsFile>> {
        Ok(self.watched(self.inner.create_private(path, len)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.inner.remove(path)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let names = self.inner.list(dir)?;
        self.note_listed(dir, &names);
        Ok(names)
    }

    fn create_dir(&self, dir: &str) -> io::Result<()> {
        self.inner.create_dir(dir)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.inner.sync_dir(dir)
    }

    fn sync_dirs(&self, dirs: &[&str]) -> io::Result<()> {
        self.inner.sync_dirs(dirs)
    }

    fn beside(&self, other: &mut (dyn FnMut() + Send), own: &mut dyn FnMut()) {
        self.inner.beside(other, own);
    }

    fn lock(&self, path: &str, exclusive: bool) -> io::Result<Box<dyn Lock>> {
        self.inner.lock(path, exclusive)
    }

    fn lock_holder(&self, path: &str) -> Option<u32> {
        self.inner.lock_holder(path)
    }

    fn space(&self) -> io::Result<Space> {
        self.inner.space()
    }

    fn memory_bytes(&self) -> Option<u64> {
        self.inner.memory_bytes()
    }

    fn open_files_max(&self) -> Option<u64> {
        self.inner.open_files_max()
    }

    fn random(&self, buf: &mut [u8]) -> io::Result<()> {
        self.inner.random(buf)
    }

    fn display_path(&self, path: &str) -> PathBuf {
        self.inner.display_path(path)
    }
}

/// A file whose syncs are timed.
#[derive(Debug)]
struct WatchedFile {
    inner: Arc<dyn VfsFile>,
    syncs: Histogram,
}

impl VfsFile for WatchedFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.inner.read_at(offset, buf)
    }

    fn read_vec(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        self.inner.read_vec(offset, len)
    }

    fn write_at(&self, offset: u64, bufs: &[&[u8]]) -> io::Result<()> {
        self.inner.write_at(offset, bufs)
    }

    fn write_through(&self, offset: u64, bufs: &[&[u8]]) -> io::Result<()> {
        self.inner.write_through(offset, bufs)
    }

    fn write_beside(&self, offset: u64, first: &[u8], rest: &mut Rest<'_>) -> io::Result<()> {
        self.inner.write_beside(offset, first, rest)
    }

    fn read_through(&self, range: std::ops::Range<u64>) -> io::Result<Option<Bytes>> {
        self.inner.read_through(range)
    }

    fn sync(&self) -> io::Result<()> {
        let timer = Timer::start();
        let synced = self.inner.sync();
        self.syncs.observe(timer.seconds());
        synced
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn written_from(&self, offset: u64) -> io::Result<Option<std::ops::Range<u64>>> {
        self.inner.written_from(offset)
    }

    fn allocated(&self) -> io::Result<u64> {
        self.inner.allocated()
    }

    fn punch(&self, range: std::ops::Range<u64>) -> io::Result<()> {
        self.inner.punch(range)
    }

    fn zero(&self, range: std::ops::Range<u64>) -> io::Result<()> {
        self.inner.zero(range)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.inner.truncate(len)
    }

    fn map(&self, len: u64) -> io::Result<Arc<dyn Map>> {
        self.inner.map(len)
    }

    fn read_ahead(&self, allowed: bool) {
        self.inner.read_ahead(allowed);
    }

    fn will_need(&self, range: std::ops::Range<u64>) {
        self.inner.will_need(range);
    }

    fn drop_cache(&self, range: std::ops::Range<u64>) {
        self.inner.drop_cache(range);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::{NewClip, Store, Timestamp, Window};

    /// Opens the store in `dir`; answers it, how far opening came, and the counts of its syncs.
    fn open(dir: &Path) -> (Store, (usize, usize), String) {
        let (syncs, progress) = (Histogram::new([1.0]), Progress::default());
        let disk = WatchedDisk::new(dir, syncs.clone(), progress.clone());
        let options = Store::options().segment_bytes(4 << 20).evidence_reserve(4 << 20);
        let store = options.free_space_floor(0).vfs(disk).open(dir).unwrap();
        let window = Window::starting(Timestamp::EPOCH, Duration::from_secs(1)).unwrap();
        let camera = "front".parse().unwrap();
        store.append(NewClip::new(&camera, window), vec![7; 1_000]).unwrap();
        let (mut registry, mut text) = (Registry::default(), String::new());
        registry.register("syncs", "", syncs);
        encode(&mut text, &registry).unwrap();
        (store, progress.segments(), text)
    }

    #[test]
    fn opening_counts_the_segments_that_it_looks_at_and_the_disk_its_syncs() {
        let dir = tempfile::tempdir().unwrap();
        let (store, seen, text) = open(dir.path());
        assert_eq!(seen, (0, 0));
        let syncs = text.lines().find_map(|line| line.strip_prefix("syncs_count ")).unwrap();
        assert!(syncs.parse::<u64>().unwrap() > 0, "{text}");
        drop(store);
        // One that was left open is looked at, whatever the index knows.
        let (_store, (opened, listed), _) = open(dir.path());
        let files = std::fs::read_dir(dir.path().join("segments")).unwrap().count();
        assert!(opened >= 1 && opened <= listed && listed <= files, "{opened} {listed} {files}");
    }

    #[test]
    fn what_the_disk_can_read_past_the_page_cache_it_can_when_it_is_watched() {
        let dir = tempfile::tempdir().unwrap();
        let bare = OsVfs::new(dir.path());
        let file = bare.create("a", 8192).unwrap();
        file.write_at(0, &[&[7; 8192]]).unwrap();
        file.sync().unwrap();
        let watched = WatchedDisk::new(dir.path(), Histogram::new([1.0]), Progress::default());
        let read = |vfs: &dyn Vfs| vfs.open("a", false).unwrap().read_through(100..5000).unwrap();
        assert_eq!(read(&watched), read(&bare));
        watched.sync_dirs(&[""]).unwrap();
    }
}
