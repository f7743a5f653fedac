//! An open file, a map and a lock of the simulated disk: each a share in the disk that ends when
//! it is dropped.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::io::Errno;

use super::content::{BLOCK_BYTES, narrow, wide};
use super::disk::Disk;
use super::fault::SimOp;
use super::names::InodeId;
use crate::vfs::{Lock, Map, VfsFile, check_punch};

/// What is read through a map where the disk has a bad sector: not data, and not zeros, which
/// could pass for data.
const UNREADABLE: u8 = 0xBD;

/// Keeps a file's bytes and space for as long as it lives.
#[derive(Debug)]
pub(super) struct Handle {
    disk: Arc<Mutex<Disk>>,
    id: InodeId,
    /// The name it was opened by, for messages.
    path: String,
}

impl Handle {
    /// `id` has been counted as open for it.
    pub(super) fn new(disk: &Arc<Mutex<Disk>>, id: InodeId, path: &str) -> Self {
        Self { disk: Arc::clone(disk), id, path: path.to_owned() }
    }

    fn share(&self, disk: &mut Disk) -> Self {
        disk.share(self.id);
        Self::new(&self.disk, self.id, &self.path)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.disk.lock().close(self.id);
    }
}

#[derive(Debug)]
pub(super) struct SimFile {
    handle: Handle,
    write: bool,
}

impl SimFile {
    pub(super) fn new(handle: Handle, write: bool) -> Self {
        Self { handle, write }
    }

    fn check_writable(&self) -> io::Result<()> {
        if self.write { Ok(()) } else { Err(Errno::BADF.into()) }
    }
}

impl VfsFile for SimFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let mut disk = self.handle.disk.lock();
        disk.stats.reads += 1;
        disk.begin(SimOp::Read, &self.handle.path)?;
        let inode = disk.inode(self.handle.id)?;
        let range = range_of(offset, buf.len())?;
        if range.end > inode.live.len && !range.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        inode.check_readable(&range)?;
        inode.live.read(offset, buf);
        Ok(())
    }

    fn write_at(&self, offset: u64, bufs: &[&[u8]]) -> io::Result<()> {
        let mut disk = self.handle.disk.lock();
        disk.stats.writes += 1;
        disk.check_powered()?;
        self.check_writable()?;
        let mut bytes = bufs.concat();
        let range = range_of(offset, bytes.len())?;
        let missing = disk.inode(self.handle.id)?.missing(&range);
        disk.reserve(missing)?;
        let done = disk.begin(SimOp::Write, &self.handle.path);
        if done.is_err() {
            let part = disk.choose(wide(bytes.len()) + 1);
            bytes.truncate(narrow(part));
        }
        disk.stats.bytes_written += wide(bytes.len());
        disk.inode_mut(self.handle.id)?.write(offset, &bytes);
        done
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.handle.disk.lock();
        disk.stats.syncs += 1;
        disk.check_powered()?;
        let done = disk.begin(SimOp::Sync, &self.handle.path);
        let inode = disk.inode_mut(self.handle.id)?;
        match done {
            Ok(()) => inode.sync(),
            Err(_) => inode.fail_sync(),
        }
        done
    }

    fn len(&self) -> io::Result<u64> {
        let disk = self.handle.disk.lock();
        disk.check_powered()?;
        Ok(disk.inode(self.handle.id)?.live.len)
    }

    fn allocated(&self) -> io::Result<u64> {
        let disk = self.handle.disk.lock();
        disk.check_powered()?;
        Ok(disk.inode(self.handle.id)?.live.allocated.count() * BLOCK_BYTES)
    }

    fn punch(&self, range: Range<u64>) -> io::Result<()> {
        check_punch(&range)?;
        self.check_writable()?;
        let mut disk = self.handle.disk.lock();
        disk.begin(SimOp::Punch, &self.handle.path)?;
        disk.inode_mut(self.handle.id)?.punch(&range);
        Ok(())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        let mut disk = self.handle.disk.lock();
        disk.begin(SimOp::Punch, &self.handle.path)?;
        let inode = disk.inode_mut(self.handle.id)?;
        if len > inode.live.len {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        inode.truncate(len);
        Ok(())
    }

    /// The map is a copy of the file as it is now: the promise that nobody writes the range any
    /// more makes the difference invisible, and it needs no `unsafe`.
    fn map(&self, len: u64) -> io::Result<Arc<dyn Map>> {
        let mut disk = self.handle.disk.lock();
        disk.begin(SimOp::Map, &self.handle.path)?;
        let inode = disk.inode(self.handle.id)?;
        if len > inode.live.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = inode.live.bytes(len);
        for bad in &inode.bad {
            let bad = narrow(bad.start.min(len))..narrow(bad.end.min(len));
            bytes[bad].fill(UNREADABLE);
        }
        Ok(Arc::new(SimMap { handle: self.handle.share(&mut disk), bytes }))
    }

    fn drop_cache(&self, _range: Range<u64>) {}
}

#[derive(Debug)]
struct SimMap {
    handle: Handle,
    bytes: Vec<u8>,
}

impl Map for SimMap {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn populate(&self, range: Range<u64>) -> io::Result<()> {
        if range.start > range.end || range.end > wide(self.bytes.len()) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut disk = self.handle.disk.lock();
        disk.begin(SimOp::Map, &self.handle.path)?;
        disk.inode(self.handle.id)?.check_readable(&range)
    }
}

/// A lock in the disk's own table.
#[derive(Debug)]
pub(super) struct SimLock {
    disk: Arc<Mutex<Disk>>,
    path: String,
}

impl SimLock {
    /// The disk has granted the lock at `path`.
    pub(super) fn new(disk: &Arc<Mutex<Disk>>, path: &str) -> Self {
        Self { disk: Arc::clone(disk), path: path.to_owned() }
    }
}

impl Lock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.lock().unlock(&self.path);
    }
}

fn range_of(offset: u64, len: usize) -> io::Result<Range<u64>> {
    let end = offset.checked_add(wide(len)).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(offset..end)
}
