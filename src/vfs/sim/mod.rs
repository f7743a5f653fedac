//! A simulated disk in memory that forgets what was not synced: for tests and simulators.
//!
//! It keeps apart, for each file and each folder, what is durable and what is pending. A crash
//! decides about every pending item by itself, by a seeded generator: bytes of a 4 KiB block are
//! kept, dropped or torn at 512-byte sectors; lengths, allocations, punched holes and names are
//! kept or dropped. Real file systems do persist them in any order between two syncs. The same
//! seed and the same calls give the same history.
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
mod crash;
mod disk;
mod extents;
mod fault;
mod file;
mod garbage;
mod inode;
mod names;
mod pattern;
mod rng;

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Lock, Space, Vfs, VfsFile, path};
use crash::Fates;
use disk::Disk;
use file::{Handle, SimFile, SimLock};
use pattern::Pattern;

pub use crash::{Fate, SimChange, SimPending};
pub use fault::SimOp;

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

    /// Cuts the power. Returns the disk as the next boot finds it: without locks, faults and
    /// counts, with its capacity and its bad sectors.
    ///
    /// This disk and all that is open on it fail from now on. Bytes already mapped stay readable.
    #[must_use]
    pub fn crash(&self) -> Self {
        let mut disk = self.disk.lock();
        let mut fates = Fates::new(disk.draw());
        Self::of(disk.crash(&mut |pending| fates.choose(&pending.change)))
    }

    /// The same, with the fate of each pending item chosen by the caller: names first, then the
    /// files by the order of their making, each in the order of what was done to it.
    #[must_use]
    pub fn crash_choosing(&self, choose: &mut dyn FnMut(&SimPending<'_>) -> Fate) -> Self {
        Self::of(self.disk.lock().crash(choose))
    }

    /// The same, the `n`th way that it can go. 0 keeps all that is pending, 1 drops all. Then,
    /// of up to six items, every choice of which are kept; of more, each one alone dropped and
    /// each one alone kept. Then each write torn in three ways and as zeros and garbage, with all
    /// others kept and dropped. From [`SimVfs::crash_patterns`] on, without end, mixtures
    /// drawn from `n`.
    #[must_use]
    pub fn crash_pattern(&self, n: u64) -> Self {
        let items = self.changes();
        let mut pattern = Pattern::nth(n, &items);
        let mut item = 0..;
        self.crash_choosing(&mut |pending| {
            let item = item.next().unwrap_or(usize::MAX);
            pattern.fate(item, &pending.change)
        })
    }

    /// How many crash patterns there are before the mixtures begin.
    #[must_use]
    pub fn crash_patterns(&self) -> u64 {
        Pattern::count(&self.changes())
    }

    /// How many things a power cut would decide about.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.disk.lock().pending()
    }

    /// What a power cut would decide about, in the order in which it asks.
    fn changes(&self) -> Vec<SimChange> {
        let mut changes = Vec::new();
        let mut fork = self.disk.lock().fork(0);
        let _after = fork.crash(&mut |pending| {
            changes.push(pending.change.clone());
            Fate::Drop
        });
        changes
    }

    /// A copy of this disk as it is now, durable and pending, that goes its own way and crashes by
    /// its own `seed`. Nothing is open or locked on it and no failure is ordered: it is also what
    /// a killed process leaves to the next one. Costs about one reference for each file.
    #[must_use]
    pub fn fork(&self, seed: u64) -> Self {
        Self::of(self.disk.lock().fork(seed))
    }

    /// A hash of what is durable: names, lengths, space, bytes and bad sectors. Two disks with
    /// the same history of the same fingerprint are taken for the same.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.disk.lock().fingerprint()
    }

    /// Whether a crash may show old bytes of deleted files in blocks whose own bytes never came,
    /// as some modes of some file systems do. Off, garbage is noise: a test that searches the
    /// disk for deleted footage cannot blame the store for what a file system resurrects.
    pub fn show_deleted(&self, show: bool) {
        self.disk.lock().show_deleted = show;
    }

    /// Lets the `nth` operation of kind `op` from now on fail with `error`, once; 1 is the next.
    pub fn fail_after(&self, op: SimOp, nth: u64, error: io::ErrorKind) {
        self.disk.lock().faults.arm(op, nth, error, false);
    }

    /// Lets the `nth` operation of kind `op` from now on and all after it fail with `error`.
    pub fn fail_from(&self, op: SimOp, nth: u64, error: io::ErrorKind) {
        self.disk.lock().faults.arm(op, nth, error, true);
    }

    /// Takes back all failures that were ordered and have not struck.
    pub fn clear_faults(&self) {
        self.disk.lock().faults.clear();
    }

    /// Sets the disk's size. Less than is in use leaves no room, and takes none away.
    pub fn set_capacity(&self, bytes: u64) {
        self.disk.lock().capacity = bytes;
    }

    /// Flips the bits `xor` of the byte at `offset` of a file, on the medium: also in what is
    /// still to be synced. Nothing happens where there is no such byte.
    pub fn corrupt(&self, path: &str, offset: u64, xor: u8) {
        if let Some(inode) = self.disk.lock().named_mut(path) {
            inode.corrupt(offset, xor);
        }
    }

    /// Makes all reads of the bytes `range` of a file fail with EIO, across crashes. Writing them
    /// still works and does not heal them. Nothing happens where there is no such file.
    pub fn bad_sector(&self, path: &str, range: Range<u64>) {
        if let Some(inode) = self.disk.lock().named_mut(path) {
            inode.bad.push(range);
        }
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
        let id = self.disk.lock().open(path::file(path)?)?;
        Ok(Arc::new(SimFile::new(Handle::new(&self.disk, id, path), write)))
    }

    fn create(&self, path: &str, len: u64) -> io::Result<Arc<dyn VfsFile>> {
        let id = self.disk.lock().create(path::file(path)?, len)?;
        Ok(Arc::new(SimFile::new(Handle::new(&self.disk, id, path), true)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.lock().rename(path::file(from)?, path::file(to)?)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.disk.lock().remove(path::file(path)?)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.disk.lock().list(path::folder(dir)?)
    }

    fn create_dir(&self, dir: &str) -> io::Result<()> {
        self.disk.lock().create_dir(path::folder(dir)?)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.disk.lock().sync_dir(path::folder(dir)?)
    }

    fn lock(&self, path: &str, exclusive: bool) -> io::Result<Box<dyn Lock>> {
        self.disk.lock().lock(path::file(path)?, exclusive)?;
        Ok(Box::new(SimLock::new(&self.disk, path)))
    }

    /// Always process 1, so that no history depends on where it runs.
    fn lock_holder(&self, path: &str) -> Option<u32> {
        self.disk.lock().has_writer(path).then_some(1)
    }

    fn space(&self) -> io::Result<Space> {
        self.disk.lock().space()
    }

    fn random(&self, buf: &mut [u8]) -> io::Result<()> {
        self.disk.lock().random(buf)
    }

    fn display_path(&self, path: &str) -> PathBuf {
        PathBuf::from("sim:").join(path)
    }
}

#[cfg(test)]
mod tests;
