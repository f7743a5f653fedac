//! An open file, a map and a lock of the simulated disk: each a share in the disk that ends when
//! it is dropped. What they do is in `data` and `disk`.

use std::io;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parking_lot::Mutex;
use rustix::io::Errno;

use super::content::narrow;
use super::data::Mapped;
use super::disk::Disk;
use super::history::digest;
use super::names::InodeId;
use crate::vfs::{Lock, Map, READ_THROUGH_BYTES_MAX, VfsFile};

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

    fn file(&self) -> (InodeId, &str) {
        (self.id, &self.path)
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
        let (path, len) = (&self.handle.path, buf.len());
        let done = disk.read(self.handle.file(), offset, buf);
        disk.told(done, |read| match read {
            Some(()) => format!("read {path} {offset}+{len} {}", digest(buf)),
            None => format!("read {path} {offset}+{len}"),
        })
    }

    fn write_at(&self, offset: u64, bufs: &[&[u8]]) -> io::Result<()> {
        let mut disk = self.handle.disk.lock();
        let (path, len) = (&self.handle.path, bufs.iter().map(|buf| buf.len()).sum::<usize>());
        disk.stats.writes += 1;
        let done = disk
            .check_powered()
            .and_then(|()| self.check_writable())
            .and_then(|()| disk.write(self.handle.file(), offset, bufs.concat()));
        disk.told(done, |_| format!("write {path} {offset}+{len} {}", digest(&bufs.concat())))
    }

    fn read_through(&self, range: Range<u64>) -> io::Result<Option<Bytes>> {
        let len = range.end.saturating_sub(range.start);
        if len > READ_THROUGH_BYTES_MAX {
            return Ok(None);
        }
        let mut bytes = vec![0; narrow(len)];
        self.read_at(range.start, &mut bytes)?;
        Ok(Some(Bytes::from(bytes)))
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.handle.disk.lock();
        let done = disk.sync(self.handle.file());
        disk.told(done, |_| format!("sync {}", self.handle.path))
    }

    fn len(&self) -> io::Result<u64> {
        let mut disk = self.handle.disk.lock();
        let done = disk.len(self.handle.file());
        disk.told(done, |len| format!("len {}: {len:?}", self.handle.path))
    }

    fn written_from(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        let mut disk = self.handle.disk.lock();
        let done = disk.written_from(self.handle.file(), offset);
        let path = &self.handle.path;
        disk.told(done, |found| format!("written from {offset} {path}: {found:?}"))
    }

    fn allocated(&self) -> io::Result<u64> {
        let mut disk = self.handle.disk.lock();
        let done = disk.allocated(self.handle.file());
        disk.told(done, |bytes| format!("allocated {}: {bytes:?}", self.handle.path))
    }

    fn punch(&self, range: Range<u64>) -> io::Result<()> {
        let mut disk = self.handle.disk.lock();
        let done = self.check_writable().and_then(|()| disk.punch(self.handle.file(), &range));
        disk.told(done, |_| format!("punch {} {}..{}", self.handle.path, range.start, range.end))
    }

    fn zero(&self, range: Range<u64>) -> io::Result<()> {
        let mut disk = self.handle.disk.lock();
        let done = self.check_writable().and_then(|()| disk.zero(self.handle.file(), &range));
        disk.told(done, |_| format!("zero {} {}..{}", self.handle.path, range.start, range.end))
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut disk = self.handle.disk.lock();
        let done = self.check_writable().and_then(|()| disk.truncate(self.handle.file(), len));
        disk.told(done, |_| format!("truncate {} to {len}", self.handle.path))
    }

    /// The map is a copy of the file as it is when first populated: the promise that nobody writes
    /// the range any more makes the difference invisible, and it needs no `unsafe`.
    fn map(&self, len: u64) -> io::Result<Arc<dyn Map>> {
        let mut disk = self.handle.disk.lock();
        let done = disk.map(self.handle.file(), len);
        disk.told(done, |_| format!("map {} 0..{len}", self.handle.path))?;
        let handle = Handle::new(&self.handle.disk, self.handle.id, &self.handle.path);
        Ok(Arc::new(SimMap { handle, len, bytes: OnceLock::new() }))
    }

    fn drop_cache(&self, _range: Range<u64>) {}
}

#[derive(Debug)]
struct SimMap {
    handle: Handle,
    len: u64,
    bytes: OnceLock<Vec<u8>>,
}

impl Drop for SimMap {
    fn drop(&mut self) {
        self.handle.disk.lock().unmap(self.handle.id);
    }
}

impl Map for SimMap {
    fn bytes(&self) -> &[u8] {
        self.bytes.get_or_init(|| {
            let Mapped { content, bad } = self.handle.disk.lock().mapped(self.handle.id);
            let mut bytes = content.bytes(self.len);
            for bad in &bad {
                let bad = narrow(bad.start.min(self.len))..narrow(bad.end.min(self.len));
                bytes[bad].fill(UNREADABLE);
            }
            bytes
        })
    }

    fn populate(&self, range: Range<u64>) -> io::Result<()> {
        if range.start > range.end || range.end > self.len {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut disk = self.handle.disk.lock();
        let done = disk.populate(self.handle.file(), &range);
        let path = &self.handle.path;
        disk.told(done, |_| format!("populate {path} {}..{}", range.start, range.end))?;
        drop(disk);
        // What goes bad later is in memory already.
        self.bytes();
        Ok(())
    }

    /// The next reader's map is a copy of its own: the pages of the last one may have been dropped.
    fn kept(self: Arc<Self>) -> Option<Arc<dyn Map>> {
        let Handle { disk, id, path } = &self.handle;
        disk.lock().share_map(*id);
        let handle = Handle::new(disk, *id, path);
        Some(Arc::new(Self { handle, len: self.len, bytes: OnceLock::new() }))
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
