//! A simulated disk in memory that forgets what was not synced: for tests and simulators.
//!
//! It keeps apart, for each file and each folder, what is durable and what is pending. The same
//! seed and the same calls give the same history, which the disk can write down.
//!
//! **Crashes.** Names, lengths, space and the bytes of each 4 KiB block that one write touched
//! are items of their own; until the matching sync they persist in any order, as in real file
//! systems. A crash keeps or drops each. Bytes can also be torn at 512-byte sectors; in a block
//! that has never been durable they can be zeros or garbage too: noise or, on request, old bytes
//! of deleted files, then also in new space without bytes. What a crash chooses follows from a seed
//! ([`SimVfs::crash`]), from a number ([`SimVfs::crash_pattern`]) or from the caller
//! ([`SimVfs::crash_choosing`]). Three orders are kept, as journals keep them: a rename is one
//! item, changes of one name persist in their order, and what is in a lost folder is lost.
//!
//! **Faults.** By countdown or by odds, any operation fails; a write lands elsewhere, flips a bit
//! or loses a sector; the disk turns read-only. A failed write leaves a prefix. A failed sync loses
//! its bytes for good, all of them or those of some blocks, and reads see the new ones or the old
//! ones. Bytes, names and the reserve of copy-on-write run out apart. Sectors go bad and bits flip,
//! across crashes. Slowness moves a clock of the test.
//!
//! **Not modelled.** A sector is never torn inside, and a crash never harms what was durable,
//! though some drives do both. A sync keeps its promise: drives that lie are not simulated. There
//! is no page cache beside the file: what is damaged on the medium is read damaged at once, but
//! through a map that was made before. Clearing a bad sector by writing it, quotas and access
//! rights are missing.
//!
//! ```
//! use clipkeep::vfs::Vfs;
//! use clipkeep::vfs::sim::SimVfs;
//!
//! # fn main() -> std::io::Result<()> {
//! let disk = SimVfs::new(7);
//! let file = disk.create("clip", 4096)?;
//! file.write_at(0, &[b"door opens"])?;
//! file.sync()?;
//! disk.sync_dir("")?;
//! file.write_at(0, &[b"door shuts"])?;
//!
//! let after = disk.crash();
//! let clip = after.contents("clip").unwrap_or_default();
//! assert!(clip.starts_with(b"door opens") || clip.starts_with(b"door shuts"));
//! assert!(file.sync().is_err()); // the disk it was on has no power
//! # Ok(())
//! # }
//! ```

mod blocks;
mod content;
mod control;
mod crash;
mod data;
mod disk;
mod extents;
mod fault;
mod file;
mod folders;
mod garbage;
mod history;
mod inode;
mod locks;
mod names;
mod pattern;
mod power;
mod rng;
mod room;
mod slow;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Lock, Space, Vfs, VfsFile, path};
use disk::Disk;
use file::{Handle, SimFile, SimLock};
use history::digest;

pub use crash::{Fate, SimChange, SimPending};
pub use fault::{FailedSync, SimDamage, SimOp};

/// A simulated disk. Clones share it.
#[derive(Clone, Debug)]
pub struct SimVfs {
    disk: Arc<Mutex<Disk>>,
}

/// How often a simulated disk was asked for what, failed calls included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SimStats {
    /// Calls of `write_at`.
    pub writes: u64,
    /// The bytes they wrote.
    pub bytes_written: u64,
    /// Calls of `sync` on files.
    pub syncs: u64,
    /// Calls of `sync_dir`.
    pub dir_syncs: u64,
    /// Calls of `read_at`.
    pub reads: u64,
    /// Maps that are alive now.
    pub maps: u64,
}

impl SimVfs {
    /// An empty disk of 1 TiB whose crashes and randomness follow from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::of(Disk::new(seed))
    }

    fn of(disk: Disk) -> Self {
        Self { disk: Arc::new(Mutex::new(disk)) }
    }

    /// The paths of all files, sorted.
    #[must_use]
    pub fn files(&self) -> Vec<String> {
        self.disk.lock().files()
    }

    /// All bytes of a file, as reads would see them if none failed.
    #[must_use]
    pub fn contents(&self, path: &str) -> Option<Vec<u8>> {
        self.disk.lock().named(path).map(|inode| inode.live.bytes(inode.live.len))
    }

    /// What the disk was asked for since it was made.
    #[must_use]
    pub fn stats(&self) -> SimStats {
        self.disk.lock().stats
    }
}

impl Vfs for SimVfs {
    fn open(&self, path: &str, write: bool) -> io::Result<Arc<dyn VfsFile>> {
        let mut disk = self.disk.lock();
        let done = path::file(path).and_then(|path| disk.open(path, write));
        let id =
            disk.told(done, |_| format!("open {path}{}", if write { " to write" } else { "" }))?;
        Ok(Arc::new(SimFile::new(Handle::new(&self.disk, id, path), write)))
    }

    fn create(&self, path: &str, len: u64) -> io::Result<Arc<dyn VfsFile>> {
        let mut disk = self.disk.lock();
        let done = path::file(path).and_then(|path| disk.create(path, len));
        let id = disk.told(done, |_| format!("create {path} of {len}"))?;
        Ok(Arc::new(SimFile::new(Handle::new(&self.disk, id, path), true)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let paths = path::file(from).and_then(|from| Ok((from, path::file(to)?)));
        let done = paths.and_then(|(from, to)| disk.rename(from, to));
        disk.told(done, |_| format!("rename {from} to {to}"))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let done = path::file(path).and_then(|path| disk.remove(path));
        disk.told(done, |_| format!("remove {path}"))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let mut disk = self.disk.lock();
        let done = path::folder(dir).and_then(|dir| disk.list(dir));
        disk.told(done, |names| format!("list {dir:?}: {}", names.map_or(0, Vec::len)))
    }

    fn create_dir(&self, dir: &str) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let done = path::folder(dir).and_then(|dir| disk.create_dir(dir));
        disk.told(done, |_| format!("create folder {dir:?}"))
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let done = path::folder(dir).and_then(|dir| disk.sync_dir(dir));
        disk.told(done, |_| format!("sync folder {dir:?}"))
    }

    fn lock(&self, path: &str, exclusive: bool) -> io::Result<Box<dyn Lock>> {
        let mut disk = self.disk.lock();
        let done = path::file(path).and_then(|path| disk.lock(path, exclusive));
        let how = if exclusive { "alone" } else { "shared" };
        disk.told(done, |_| format!("lock {path} {how}"))?;
        Ok(Box::new(SimLock::new(&self.disk, path)))
    }

    /// Always process 1, so that no history depends on where it runs.
    fn lock_holder(&self, path: &str) -> Option<u32> {
        self.disk.lock().has_writer(path).then_some(1)
    }

    fn space(&self) -> io::Result<Space> {
        let mut disk = self.disk.lock();
        let done = disk.space();
        disk.told(done, |space| format!("space: {:?}", space.map(|space| space.free)))
    }

    fn random(&self, buf: &mut [u8]) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let done = disk.random(buf);
        disk.told(done, |_| format!("random {}", digest(buf)))
    }

    fn display_path(&self, path: &str) -> PathBuf {
        PathBuf::from("sim:").join(path)
    }
}

#[cfg(test)]
mod tests;
