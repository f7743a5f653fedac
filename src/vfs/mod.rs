//! What the engine asks of a file system, in one trait: the seam for the simulated disk.
//!
//! Paths are relative to the store's folder, with `/` between the parts; an absolute one, or one
//! with an empty part, `.` or `..`, is `InvalidInput` everywhere. Each call states its durability;
//! nothing here caches or retries. `os` is the real one and the only place with `std::fs`, maps
//! and `unsafe`; `sim` is the simulated disk of the tests. A third must pass `conformance`.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

mod path;

pub mod os;
pub mod sim;

#[cfg(test)]
mod conformance;

/// So much is read past the page cache in one call, at most: the payload of a record.
pub const READ_THROUGH_BYTES_MAX: u64 = 1 << 20;

/// A folder of files, as the engine needs it.
pub trait Vfs: Send + Sync + fmt::Debug {
    /// Opens an existing file for reading, and for writing when `write`.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is none; what the system says otherwise.
    fn open(&self, path: &str, write: bool) -> io::Result<Arc<dyn VfsFile>>;

    /// Makes a new file of exactly `len` bytes, all zero, with its blocks really allocated
    /// (`fallocate`), so that later writes inside it need no new space.
    ///
    /// Durability: none, neither data nor name, until [`VfsFile::sync`] and [`Vfs::sync_dir`].
    ///
    /// # Errors
    ///
    /// `AlreadyExists`; `StorageFull`, after which no file is left behind.
    fn create(&self, path: &str, len: u64) -> io::Result<Arc<dyn VfsFile>>;

    /// [`Vfs::create`] for a secret: where files have owners, only this one's may read it.
    ///
    /// # Errors
    ///
    /// As [`Vfs::create`].
    fn create_private(&self, path: &str, len: u64) -> io::Result<Arc<dyn VfsFile>> {
        self.create(path, len)
    }

    /// Renames a file inside the store, replacing none: `AlreadyExists` if `to` exists.
    ///
    /// Durability: none until [`Vfs::sync_dir`] of both folders.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file's name. Its bytes live on while it is open or mapped.
    ///
    /// Durability: none until [`Vfs::sync_dir`].
    ///
    /// # Errors
    ///
    /// `NotFound`, or what the system says.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// The names in folder `dir` (`""` is the store's own), sorted; folders end with `/`.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn list(&self, dir: &str) -> io::Result<Vec<String>>;

    /// Makes folder `dir` and its parents when they do not exist.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn create_dir(&self, dir: &str) -> io::Result<()>;

    /// Makes the names in folder `dir` durable (and the name of `dir` itself in its parent).
    ///
    /// # Errors
    ///
    /// What the system says; the caller must take the names as not durable.
    fn sync_dir(&self, dir: &str) -> io::Result<()>;

    /// [`Vfs::sync_dir`] of several folders, without syncing any of them twice.
    ///
    /// # Errors
    ///
    /// As [`Vfs::sync_dir`]; the names in none of them are to be taken as durable.
    fn sync_dirs(&self, dirs: &[&str]) -> io::Result<()> {
        dirs.iter().try_for_each(|dir| self.sync_dir(dir))
    }

    /// Does `other` and `own`, each once: at the same time, on a thread of its own, where the
    /// system can, and else one after the other. Whoever finds that `other` was not done to its end
    /// knows that it panicked.
    fn beside(&self, other: &mut (dyn FnMut() + Send), own: &mut dyn FnMut()) {
        other();
        own();
    }

    /// Takes the store's lock for as long as the returned value lives: exclusive for a writer,
    /// shared for readers. The file at `path` is made if need be and never removed.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when somebody else has it.
    fn lock(&self, path: &str, exclusive: bool) -> io::Result<Box<dyn Lock>>;

    /// The process that holds the lock at `path` exclusively, for the message to a refused
    /// opener; `None` when unknown. Says nothing about whether the lock could be had.
    fn lock_holder(&self, path: &str) -> Option<u32>;

    /// Bytes free for this process, and bytes in all, on the file system of the store.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn space(&self) -> io::Result<Space>;

    /// How much memory the machine has, in bytes, where that is known.
    fn memory_bytes(&self) -> Option<u64> {
        None
    }

    /// How many files this process may have open, when there is a limit.
    fn open_files_max(&self) -> Option<u64> {
        None
    }

    /// Fills `buf` with randomness: from the system, or from the seed of a simulation.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn random(&self, buf: &mut [u8]) -> io::Result<()>;

    /// The path of `path` for messages to people.
    fn display_path(&self, path: &str) -> std::path::PathBuf;
}

/// A lock that ends when it is dropped.
pub trait Lock: Send + Sync + fmt::Debug {}

/// Room on a file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Free for this process.
    pub free: u64,
    /// In all.
    pub total: u64,
}

/// One open file. All calls may be made from several threads.
#[expect(clippy::len_without_is_empty, reason = "a length can fail, and nobody asks for emptiness")]
pub trait VfsFile: Send + Sync + fmt::Debug {
    /// Reads exactly `buf.len()` bytes at `offset`.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` past the end; what the system says for an unreadable sector.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;

    /// Reads exactly `len` bytes at `offset` into memory of their own, which nobody has to fill
    /// with zeros before, where the system can.
    ///
    /// # Errors
    ///
    /// As [`VfsFile::read_at`].
    fn read_vec(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.read_at(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// Writes all of `bufs`, one after the other, from `offset` on.
    ///
    /// Durability: none until [`VfsFile::sync`].
    ///
    /// # Errors
    ///
    /// What the system says; any part of it may have been written.
    fn write_at(&self, offset: u64, bufs: &[&[u8]]) -> io::Result<()>;

    /// [`VfsFile::write_at`] for what is synced next: past the page cache where the system can, so
    /// that the sync has little to do and what people watch stays cached. Whole blocks of 4 KiB,
    /// or it goes the ordinary way.
    ///
    /// Durability: none until [`VfsFile::sync`].
    ///
    /// # Errors
    ///
    /// What the system says; any part of it may have been written.
    fn write_through(&self, offset: u64, bufs: &[&[u8]]) -> io::Result<()> {
        self.write_at(offset, bufs)
    }

    /// Writes `first` at `offset`, as [`VfsFile::write_through`] does, and what `rest` answers,
    /// which is made and written while `first` is on its way to the disk, where the system can: in
    /// any order.
    ///
    /// Durability: none until [`VfsFile::sync`].
    ///
    /// # Errors
    ///
    /// What the system says; any part of it may have been written, and `rest` called or not.
    fn write_beside(&self, offset: u64, first: &[u8], rest: &mut Rest<'_>) -> io::Result<()> {
        self.write_through(offset, &[first])?;
        rest().iter().try_for_each(|later| self.write_through(later.offset, &later.bufs()))
    }

    /// Reads `range`, at most [`READ_THROUGH_BYTES_MAX`], past the page cache into memory of its
    /// own: what is read once then pushes out nothing. That memory is bounded, and given back with
    /// the last of the bytes. `None` where the system cannot, or has no memory for it now; the
    /// caller then reads another way.
    ///
    /// # Errors
    ///
    /// As [`VfsFile::read_at`].
    fn read_through(&self, _range: Range<u64>) -> io::Result<Option<Bytes>> {
        Ok(None)
    }

    /// Makes everything written to this file durable (`fdatasync`).
    ///
    /// # Errors
    ///
    /// What the system says. After an error nobody knows what is on disk, and a later `Ok` says
    /// nothing about the earlier writes: never call it again on this file.
    fn sync(&self) -> io::Result<()>;

    /// The file's length in bytes.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn len(&self) -> io::Result<u64>;

    /// The first bytes from `offset` on that somebody wrote, as far as that is known, in one
    /// stretch: what lies before them reads as zeros, or all up to the file's end where there are
    /// none. So allocated blocks that nobody wrote need not be read.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn written_from(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        let len = self.len()?;
        Ok((offset < len).then_some(offset..len))
    }

    /// The bytes that the file system has allocated for it.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn allocated(&self) -> io::Result<u64>;

    /// Gives the blocks of `range` back and makes it read as zeros; where the file system cannot,
    /// overwrites it with zeros. `range` is aligned to 4 KiB.
    ///
    /// Durability: none until [`VfsFile::sync`].
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a range that is not aligned, with nothing done; what the system says
    /// otherwise, and then any part of it may be done.
    fn punch(&self, range: Range<u64>) -> io::Result<()>;

    /// Makes `range` read as zeros without writing any, keeps its blocks, and allocates those that
    /// are missing: as if the file had just been made, and none of the old bytes can be read any
    /// more. `range` is aligned to 4 KiB and ends inside the file, or in its last block. Never
    /// called on a file that is mapped.
    ///
    /// Durability: none until [`VfsFile::sync`]; until then a crash may leave any part of it done.
    ///
    /// # Errors
    ///
    /// `Unsupported` where the file system cannot, and `InvalidInput` for another range, with
    /// nothing done; `StorageFull` when there is no room for the missing blocks; what the system
    /// says otherwise. Any part of it may be done then.
    fn zero(&self, range: Range<u64>) -> io::Result<()>;

    /// Cuts the file to `len` bytes, giving the rest back. Never called on a file that is mapped.
    ///
    /// Durability: none until [`VfsFile::sync`].
    ///
    /// # Errors
    ///
    /// `InvalidInput` when the file is shorter than that; what the system says otherwise.
    fn truncate(&self, len: u64) -> io::Result<()>;

    /// Maps `0..len` of the file, which nobody writes any more, for reading.
    ///
    /// # Errors
    ///
    /// `Unsupported` where there are no maps; the caller then reads with `read_at`.
    /// `UnexpectedEof` when the file is shorter.
    fn map(&self, len: u64) -> io::Result<Arc<dyn Map>>;

    /// Says whether the system may read ahead of what is read: it does, unless it was told. Reading
    /// ahead of what was written last fills memory with zeros, and makes them look as if they had
    /// been written to [`VfsFile::written_from`]. A hint.
    fn read_ahead(&self, _allowed: bool) {}

    /// Has the system begin to read `range` into its cache, without waiting. A hint.
    fn will_need(&self, _range: Range<u64>) {}

    /// Tells the system that `range` will not be read soon, so that recording does not push out
    /// what people watch. A hint.
    fn drop_cache(&self, range: Range<u64>);
}

/// Makes what [`VfsFile::write_beside`] writes later. Called once.
pub type Rest<'a> = dyn FnMut() -> Vec<Later> + Send + 'a;

/// Bytes that are written together, one behind the other.
#[derive(Clone, Debug)]
pub struct Later {
    /// Where they go.
    pub offset: u64,
    /// The bytes, in order.
    pub bytes: Vec<Bytes>,
}

impl Later {
    /// The same as [`VfsFile::write_at`] takes it.
    #[must_use]
    pub fn bufs(&self) -> Vec<&[u8]> {
        self.bytes.iter().map(|bytes| &bytes[..]).collect()
    }
}

/// A read-only view of a file that stays valid when the file's name is gone.
pub trait Map: Send + Sync + fmt::Debug {
    /// All mapped bytes. Touch only what [`Map::populate`] has just said `Ok` of.
    fn bytes(&self) -> &[u8];

    /// Brings `range` into memory now, so that a bad sector is an error here and not a signal
    /// later. Piece by piece, unless [`VfsFile::will_need`] has asked for it before.
    ///
    /// # Errors
    ///
    /// `Unsupported` where the system cannot; the caller then reads with [`VfsFile::read_at`].
    /// `InvalidInput` for a range outside the map; what the system says for an unreadable sector.
    fn populate(&self, range: Range<u64>) -> io::Result<()>;

    /// What of it may be kept for whoever maps the file again, once nobody has any of its bytes:
    /// a map that shows what the file has by then. `None`, unless it can.
    fn kept(self: Arc<Self>) -> Option<Arc<dyn Map>> {
        None
    }
}

/// Ranges are of whole blocks of this size.
const RANGE_ALIGN: u64 = 4096;

/// What every [`VfsFile::punch`] asks of its range: file systems free whole blocks only, and the
/// parts of blocks at its ends would stay allocated unnoticed.
fn check_punch(range: &Range<u64>) -> io::Result<()> {
    let aligned = range.start.is_multiple_of(RANGE_ALIGN) && range.end.is_multiple_of(RANGE_ALIGN);
    if aligned && range.start <= range.end {
        return Ok(());
    }
    let message = format!("not a range of whole blocks: {}..{}", range.start, range.end);
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

/// What every [`VfsFile::zero`] asks of its range: blocks behind the end would be allocated for
/// nobody.
fn check_zero(range: &Range<u64>, len: u64) -> io::Result<()> {
    check_punch(range)?;
    if range.end <= len.next_multiple_of(RANGE_ALIGN) {
        return Ok(());
    }
    let message = format!("not in a file of {len} bytes: {}..{}", range.start, range.end);
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}
