//! A file system that tells of every change, as the model's steps see it, and can be unplugged.
//!
//! Wraps the simulated disk. What is written under `spare/` and to STORE is of no matter to the
//! protocol and is not told.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use clipkeep::vfs::sim::SimVfs;
use clipkeep::vfs::{Lock, Map, Space, Vfs, VfsFile};

/// A change of the disk. Segments are numbered as in the model, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    LedgerWrite,
    LedgerSync,
    /// The second copy follows the first.
    SecondLedgerSync,
    SegmentWrite(usize),
    SegmentSync(usize),
    SegmentPunch(usize),
    SegmentNamed(usize),
    SegmentRemoved(usize),
    FolderSync,
}

/// Who is told.
pub(super) trait Watcher: Send + Sync {
    /// Whether the process still runs; what it does afterwards does not reach the disk.
    fn before(&self) -> bool;
    /// A change was made. May use the store, unless the ledger was changed.
    fn after(&self, change: Change);
}

#[derive(Clone)]
pub(super) struct Watch(Arc<Watched>);

struct Watched {
    disk: SimVfs,
    watcher: Arc<dyn Watcher>,
    unplugged: AtomicBool,
    /// The present name of each file, by the name that it was opened under.
    names: Mutex<BTreeMap<String, Arc<Mutex<String>>>>,
}

impl Watch {
    pub(super) fn new(disk: &SimVfs, watcher: Arc<dyn Watcher>) -> Self {
        let (unplugged, names) = (AtomicBool::new(false), Mutex::default());
        Self(Arc::new(Watched { disk: disk.clone(), watcher, unplugged, names }))
    }

    /// From here on nothing is told and nothing reaches the disk.
    pub(super) fn unplug(&self) {
        self.0.unplugged.store(true, Ordering::SeqCst);
    }

    fn file(&self, path: &str, file: Arc<dyn VfsFile>) -> Arc<dyn VfsFile> {
        let mut names = self.0.names.lock().unwrap();
        let name = names.entry(path.to_owned()).or_default();
        *name.lock().unwrap() = path.to_owned();
        let name = Arc::clone(name);
        Arc::new(WatchedFile { watched: Arc::clone(&self.0), file, name })
    }
}

impl Watched {
    fn change<T>(
        &self,
        change: Option<Change>,
        make: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        if !self.unplugged.load(Ordering::SeqCst) && change.is_some() && !self.watcher.before() {
            self.unplugged.store(true, Ordering::SeqCst);
        }
        if self.unplugged.load(Ordering::SeqCst) {
            return Err(io::Error::other("the plug is out"));
        }
        let made = make()?;
        if let Some(change) = change {
            self.watcher.after(change);
        }
        Ok(made)
    }
}

/// The segment that a path is of: `segments/CC-IIII.seg`, whose ids count from 1.
pub(super) fn segment_of(path: &str) -> Option<usize> {
    let name = path.strip_prefix("segments/")?.strip_suffix(".seg")?;
    let (_, id) = name.split_once('-')?;
    id.trim_start_matches('0').parse::<usize>().ok()?.checked_sub(1)
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").finish_non_exhaustive()
    }
}

impl Vfs for Watch {
    fn open(&self, path: &str, write: bool) -> io::Result<Arc<dyn VfsFile>> {
        self.0.disk.open(path, write).map(|file| self.file(path, file))
    }

    fn create(&self, path: &str, len: u64) -> io::Result<Arc<dyn VfsFile>> {
        let made = self.0.change(None, || self.0.disk.create(path, len));
        made.map(|file| self.file(path, file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let gone = segment_of(from).map(Change::SegmentRemoved);
        let change = segment_of(to).map(Change::SegmentNamed).or(gone);
        self.0.change(change, || {
            self.0.disk.rename(from, to)?;
            let mut names = self.0.names.lock().unwrap();
            if let Some(name) = names.remove(from) {
                *name.lock().unwrap() = to.to_owned();
                names.insert(to.to_owned(), name);
            }
            Ok(())
        })
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let change = segment_of(path).map(Change::SegmentRemoved);
        self.0.change(change, || self.0.disk.remove(path))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.0.disk.list(dir)
    }

    fn create_dir(&self, dir: &str) -> io::Result<()> {
        self.0.change(None, || self.0.disk.create_dir(dir))
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        let change = (dir == "segments").then_some(Change::FolderSync);
        self.0.change(change, || self.0.disk.sync_dir(dir))
    }

    fn lock(&self, path: &str, exclusive: bool) -> io::Result<Box<dyn Lock>> {
        self.0.disk.lock(path, exclusive)
    }

    fn lock_holder(&self, path: &str) -> Option<u32> {
        self.0.disk.lock_holder(path)
    }

    fn space(&self) -> io::Result<Space> {
        self.0.disk.space()
    }

    fn random(&self, buf: &mut [u8]) -> io::Result<()> {
        self.0.disk.random(buf)
    }

    fn display_path(&self, path: &str) -> PathBuf {
        self.0.disk.display_path(path)
    }
}

struct WatchedFile {
    watched: Arc<Watched>,
    file: Arc<dyn VfsFile>,
    name: Arc<Mutex<String>>,
}

impl WatchedFile {
    /// What a change of this file is to the model: of the ledger's first copy, or of a segment.
    fn change(&self, ledger: Change, segment: fn(usize) -> Change) -> Option<Change> {
        let name = self.name.lock().unwrap();
        if name.starts_with("ledger/a/") {
            return Some(ledger);
        }
        if name.starts_with("ledger/b/") {
            return (ledger == Change::LedgerSync).then_some(Change::SecondLedgerSync);
        }
        segment_of(&name).map(segment)
    }
}

impl fmt::Debug for WatchedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WatchedFile").field(&self.name).finish()
    }
}

impl VfsFile for WatchedFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.file.read_at(offset, buf)
    }

    fn write_at(&self, offset: u64, bufs: &[&[u8]]) -> io::Result<()> {
        let change = self.change(Change::LedgerWrite, Change::SegmentWrite);
        self.watched.change(change, || self.file.write_at(offset, bufs))
    }

    fn sync(&self) -> io::Result<()> {
        let change = self.change(Change::LedgerSync, Change::SegmentSync);
        self.watched.change(change, || self.file.sync())
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
        let change = self.change(Change::LedgerWrite, Change::SegmentPunch);
        self.watched.change(change, || self.file.punch(range))
    }

    /// Of files in `spare/` alone.
    fn zero(&self, range: Range<u64>) -> io::Result<()> {
        self.watched.change(None, || self.file.zero(range))
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let change = self.change(Change::LedgerWrite, Change::SegmentWrite);
        self.watched.change(change, || self.file.truncate(len))
    }

    fn map(&self, len: u64) -> io::Result<Arc<dyn Map>> {
        self.file.map(len)
    }

    fn drop_cache(&self, range: Range<u64>) {
        self.file.drop_cache(range);
    }
}
