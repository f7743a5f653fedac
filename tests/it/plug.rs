//! A plug to pull: a file system that stops doing anything after a given number of changes.
//!
//! Counts every operation that changes the simulated disk behind it, and tells of each before it is
//! done, so that a test can look at the disk between any two. What comes after the last one allowed
//! fails without reaching the disk, as if the process had died there; whether the machine lost its
//! power too is for the test to say, with `SimVfs::crash`.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use clipkeep::vfs::sim::{SimOp, SimVfs};
use clipkeep::vfs::{Lock, Map, Space, Vfs, VfsFile};

/// The file system of one process; clones share the plug.
#[derive(Clone, Debug)]
pub(crate) struct Plug {
    disk: SimVfs,
    changes: Arc<Changes>,
}

/// One operation that changes the disk, about to be done.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change<'a> {
    Create(&'a str, u64),
    Rename(&'a str, &'a str),
    Remove(&'a str),
    CreateDir(&'a str),
    SyncDir(&'a str),
    Write(&'a str, u64, usize),
    Sync(&'a str),
    Punch(&'a str, u64, u64),
    Zero(&'a str, u64, u64),
    Truncate(&'a str, u64),
}

impl fmt::Display for Change<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(path, len) => write!(f, "create {path}, {len} bytes allocated"),
            Self::Rename(from, to) => write!(f, "rename {from} to {to}"),
            Self::Remove(path) => write!(f, "remove {path}"),
            Self::CreateDir(path) => write!(f, "create folder {path:?}"),
            Self::SyncDir(path) => write!(f, "sync folder {path:?}"),
            Self::Write(path, at, len) => write!(f, "write {path} at {at}, {len} bytes"),
            Self::Sync(path) => write!(f, "sync {path}"),
            Self::Punch(path, start, end) => write!(f, "punch {path}, bytes {start} to {end}"),
            Self::Zero(path, start, end) => write!(f, "zero {path}, bytes {start} to {end}"),
            Self::Truncate(path, len) => write!(f, "truncate {path} to {len} bytes"),
        }
    }
}

impl Change<'_> {
    /// What it changes.
    fn path(&self) -> &str {
        match self {
            Self::Create(path, _)
            | Self::Rename(_, path)
            | Self::Remove(path)
            | Self::CreateDir(path)
            | Self::SyncDir(path)
            | Self::Write(path, ..)
            | Self::Sync(path)
            | Self::Punch(path, ..)
            | Self::Zero(path, ..)
            | Self::Truncate(path, _) => path,
        }
    }
}

/// Told of each change before it is done.
type Observer = Box<dyn Fn(Change<'_>) + Send + Sync>;

struct Changes {
    done: AtomicU64,
    allowed: AtomicU64,
    /// Syncs of files made under this name fail so many times.
    bad_syncs: Mutex<(&'static str, u64)>,
    before_lock: Mutex<Option<Act>>,
    before_change: Mutex<Option<Awaited>>,
    observer: Option<Observer>,
}

/// Something that happens before the change of a path that begins in one of these ways, when so
/// many came before.
struct Awaited {
    paths: &'static [&'static str],
    before: u64,
    act: Act,
}

/// Something that happens once.
struct Act(Box<dyn FnOnce() + Send>);

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").field("done", &self.done).finish_non_exhaustive()
    }
}

impl Changes {
    /// Counts one change; fails when the plug is out.
    fn next(&self, change: Change<'_>) -> io::Result<()> {
        if self.done.load(Ordering::SeqCst) >= self.allowed.load(Ordering::SeqCst) {
            return Err(io::Error::other("the plug is out"));
        }
        if let Some(Act(act)) = self.awaited(change) {
            act();
        }
        if let Some(observer) = &self.observer {
            observer(change);
        }
        self.done.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

impl Changes {
    /// What is to happen before this change; nothing waits any more by then, for it makes changes
    /// of its own.
    fn awaited(&self, change: Change<'_>) -> Option<Act> {
        let mut waiting = self.before_change.lock().unwrap();
        let meant = |path: &&str| change.path().starts_with(*path);
        let awaited = waiting.as_mut().filter(|next| next.paths.iter().any(meant))?;
        if awaited.before > 0 {
            awaited.before -= 1;
            return None;
        }
        waiting.take().map(|awaited| awaited.act)
    }
}

impl Plug {
    /// A process on `disk` that dies after `allowed` changes.
    pub(crate) fn new(disk: &SimVfs, allowed: u64) -> Self {
        Self::with(disk, allowed, None)
    }

    /// A process on `disk` that lives on; `observer` is told of each change before it is done.
    pub(crate) fn observed(
        disk: &SimVfs,
        observer: impl Fn(Change<'_>) + Send + Sync + 'static,
    ) -> Self {
        Self::with(disk, u64::MAX, Some(Box::new(observer)))
    }

    fn with(disk: &SimVfs, allowed: u64, observer: Option<Observer>) -> Self {
        let changes = Changes {
            done: AtomicU64::new(0),
            allowed: AtomicU64::new(allowed),
            bad_syncs: Mutex::new(("", 0)),
            before_lock: Mutex::new(None),
            before_change: Mutex::new(None),
            observer,
        };
        Self { disk: disk.clone(), changes: Arc::new(changes) }
    }

    /// Pulls the plug now.
    pub(crate) fn pull(&self) {
        self.changes.allowed.store(0, Ordering::SeqCst);
    }

    /// Pulls the plug after `more` changes from now on.
    pub(crate) fn pull_after(&self, more: u64) {
        let done = self.changes.done.load(Ordering::SeqCst);
        self.changes.allowed.store(done.saturating_add(more), Ordering::SeqCst);
    }

    /// Whether something failed, or would now, because the plug is out.
    pub(crate) fn is_out(&self) -> bool {
        self.changes.done.load(Ordering::SeqCst) >= self.changes.allowed.load(Ordering::SeqCst)
    }

    /// How many changes reached the disk.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.done.load(Ordering::SeqCst)
    }

    /// Lets the next `times` syncs fail, of files whose name began with `path` when opened.
    pub(crate) fn fail_syncs(&self, path: &'static str, times: u64) {
        *self.changes.bad_syncs.lock().unwrap() = (path, times);
    }

    /// Lets `act` happen before the next time the store's lock is asked for.
    pub(crate) fn before_lock(&self, act: impl FnOnce() + Send + 'static) {
        *self.changes.before_lock.lock().unwrap() = Some(Act(Box::new(act)));
    }

    /// Lets `act` happen before a change of a path that begins with one of `paths`, when `before`
    /// others of these have been. A file has the name here under which it was opened.
    pub(crate) fn before_change(
        &self,
        paths: &'static [&'static str],
        before: u64,
        act: impl FnOnce() + Send + 'static,
    ) {
        let act = Act(Box::new(act));
        *self.changes.before_change.lock().unwrap() = Some(Awaited { paths, before, act });
    }

    /// Lets it not happen any more.
    pub(crate) fn forget_change(&self) {
        let forgotten = self.changes.before_change.lock().unwrap().take();
        drop(forgotten);
    }

    fn file(&self, path: &str, file: Arc<dyn VfsFile>) -> Arc<dyn VfsFile> {
        let (path, disk) = (path.to_owned(), self.disk.clone());
        Arc::new(PlugFile { path, file, disk, changes: Arc::clone(&self.changes) })
    }
}

impl Vfs for Plug {
    fn open(&self, path: &str, write: bool) -> io::Result<Arc<dyn VfsFile>> {
        self.disk.open(path, write).map(|file| self.file(path, file))
    }

    fn create(&self, path: &str, len: u64) -> io::Result<Arc<dyn VfsFile>> {
        self.changes.next(Change::Create(path, len))?;
        self.disk.create(path, len).map(|file| self.file(path, file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.changes.next(Change::Rename(from, to))?;
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.changes.next(Change::Remove(path))?;
        self.disk.remove(path)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }

    fn create_dir(&self, dir: &str) -> io::Result<()> {
        self.changes.next(Change::CreateDir(dir))?;
        self.disk.create_dir(dir)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.changes.next(Change::SyncDir(dir))?;
        self.disk.sync_dir(dir)
    }

    fn lock(&self, path: &str, exclusive: bool) -> io::Result<Box<dyn Lock>> {
        let act = self.changes.before_lock.lock().unwrap().take();
        if let Some(Act(act)) = act {
            act();
        }
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

#[derive(Debug)]
struct PlugFile {
    path: String,
    file: Arc<dyn VfsFile>,
    disk: SimVfs,
    changes: Arc<Changes>,
}

impl VfsFile for PlugFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.file.read_at(offset, buf)
    }

    fn write_at(&self, offset: u64, bufs: &[&[u8]]) -> io::Result<()> {
        self.changes.next(Change::Write(
            &self.path,
            offset,
            bufs.iter().map(|buf| buf.len()).sum(),
        ))?;
        self.file.write_at(offset, bufs)
    }

    fn sync(&self) -> io::Result<()> {
        self.changes.next(Change::Sync(&self.path))?;
        let mut bad = self.changes.bad_syncs.lock().unwrap();
        if bad.1 > 0 && self.path.starts_with(bad.0) {
            bad.1 -= 1;
            // The disk itself fails it, so that it also forgets what was to be synced.
            self.disk.fail_after(SimOp::Sync, 1, io::ErrorKind::Other);
        }
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
        self.changes.next(Change::Punch(&self.path, range.start, range.end))?;
        self.file.punch(range)
    }

    fn zero(&self, range: Range<u64>) -> io::Result<()> {
        self.changes.next(Change::Zero(&self.path, range.start, range.end))?;
        self.file.zero(range)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.changes.next(Change::Truncate(&self.path, len))?;
        self.file.truncate(len)
    }

    fn map(&self, len: u64) -> io::Result<Arc<dyn Map>> {
        self.file.map(len)
    }

    fn drop_cache(&self, range: Range<u64>) {
        self.file.drop_cache(range);
    }
}
