//! Writing past the page cache, from two aligned buffers in turns.
//!
//! What is recorded is read seldom and soon dropped: through the page cache it costs a copy page by
//! page, pushes out what people watch, and leaves the sync all the work. A direct write wants
//! aligned memory, so the bytes are copied all the same, but once and in large pieces, and while
//! one buffer is on its way to the disk the other is filled.
//!
//! Owns a second descriptor of the file, opened with the first direct write, and the buffers.
//! Promises nothing that a buffered write does not: the kernel drops what it has cached of a range
//! that is written directly, before and after, so readers and maps see the new bytes.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

use parking_lot::Mutex;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::memory::{BUFFER_BYTES, HugePage, MakePage};
use crate::vfs::Later;

/// What every file system's direct writes are aligned to, in the file and in memory.
pub(super) const ALIGN: usize = 4096;
/// What is copied, and written by one call, at a time.
const PIECE_BYTES: usize = 1 << 20;
const _: () = assert!(PIECE_BYTES <= BUFFER_BYTES && BUFFER_BYTES.is_multiple_of(ALIGN));
/// A smaller write is not worth it: the page cache takes it faster than the disk.
const DIRECT_BYTES_MIN: usize = 64 << 10;
/// How many buffers are kept while nobody writes.
const IDLE_BUFFERS_MAX: usize = 2;

/// Buffers for all files of a store. In a huge page, where there are any, a piece is one request to
/// the disk: in small pages a megabyte is two, and each of its pages is looked up.
#[derive(Debug)]
pub(super) struct Buffers {
    idle: Mutex<Vec<HugePage>>,
    make: MakePage,
}

impl Default for Buffers {
    fn default() -> Self {
        Self::made_by(HugePage::new)
    }
}

impl Buffers {
    /// Buffers of which every page is made by `make`.
    pub(super) fn made_by(make: MakePage) -> Self {
        Self { idle: Mutex::default(), make }
    }

    /// Hands out a buffer; `None` where the system has no memory to map.
    fn take(&self) -> Option<HugePage> {
        let idle = self.idle.lock().pop();
        idle.or_else(|| (self.make)().ok())
    }

    fn give_back(&self, buffer: HugePage) {
        let mut idle = self.idle.lock();
        if idle.len() < IDLE_BUFFERS_MAX {
            idle.push(buffer);
        }
    }

    /// Lends a buffer to `act`; `None` as in [`Buffers::take`].
    fn lend<T>(&self, act: impl FnOnce(&mut HugePage) -> T) -> Option<T> {
        let mut buffer = self.take()?;
        let done = act(&mut buffer);
        self.give_back(buffer);
        Some(done)
    }
}

/// The way past the page cache into one file.
#[derive(Debug)]
pub(super) struct DirectWriter {
    buffers: Arc<Buffers>,
    way: Mutex<Way>,
}

#[derive(Clone, Debug, Default)]
enum Way {
    #[default]
    Untried,
    Open(Arc<File>),
    /// The file system knows no direct writes, or the file was opened for reading alone.
    Refused,
}

impl Way {
    /// What the attempt to open a second descriptor leaves: `None` when there was none, because the
    /// file is not to be written.
    fn after(attempt: Option<io::Result<File>>) -> Self {
        match attempt {
            Some(Ok(file)) => Self::Open(Arc::new(file)),
            // What the system says for good. Of anything else, such as no descriptor to be had at
            // this moment, the next write may find that it has passed.
            Some(Err(error)) if error.raw_os_error() != Some(Errno::INVAL.raw_os_error()) => {
                Self::Untried
            }
            Some(Err(_)) | None => Self::Refused,
        }
    }
}

impl DirectWriter {
    pub(super) fn new(buffers: Arc<Buffers>) -> Self {
        Self { buffers, way: Mutex::default() }
    }

    /// Whether a write at `offset` of so many bytes can go this way, and is worth it.
    pub(super) fn takes(offset: u64, len: usize) -> bool {
        let aligned = usize::try_from(offset).is_ok_and(|offset| offset.is_multiple_of(ALIGN));
        aligned && len.is_multiple_of(ALIGN) && len >= DIRECT_BYTES_MIN
    }

    /// Writes `bufs`, for which [`DirectWriter::takes`] is true, to `file` from `offset` on.
    /// `Ok(false)` where this way is closed, or there is no memory for it: the caller then writes
    /// all of it through the cache.
    ///
    /// # Errors
    ///
    /// What the system says; any part of it may have been written.
    pub(super) fn write(&self, file: &File, offset: u64, bufs: &[&[u8]]) -> io::Result<bool> {
        let Some(direct) = self.open(file) else { return Ok(false) };
        let len: usize = bufs.iter().map(|buf| buf.len()).sum();
        let next = AtomicUsize::new(0);
        let write = |buffer: &mut HugePage| write_pieces(&direct, offset, bufs, &next, buffer);
        // Without a buffer of its own the second thread leaves all to this one.
        let beside = || self.buffers.lend(write).unwrap_or(Ok(()));
        let written = self.buffers.lend(|buffer| {
            if len > PIECE_BYTES {
                in_two_threads(|| write(buffer), &beside)
            } else {
                write(buffer)
            }
        });
        written.map_or(Ok(false), |written| self.outcome(written))
    }

    /// Writes `first` at `offset`, for which [`DirectWriter::takes`] is true, while another thread
    /// calls `rest`, and what that answers, in both. `Ok(false)` as in
    /// [`DirectWriter::write`].
    ///
    /// # Errors
    ///
    /// What the system says; any part of it may have been written.
    pub(super) fn write_beside(
        &self,
        file: &File,
        offset: u64,
        first: &[u8],
        rest: &mut (dyn FnMut() -> Arc<Vec<Later>> + Send),
    ) -> io::Result<bool> {
        let Some(direct) = self.open(file) else { return Ok(false) };
        let rest = Mutex::new(rest);
        let made = OnceLock::new();
        let call = || {
            let later = (rest.lock())();
            let next: Vec<_> = later.iter().map(|_| AtomicUsize::new(0)).collect();
            (later, next)
        };
        // Whoever comes second waits here until it is made.
        let made = || made.get_or_init(call);
        let write_rest = |buffer: &mut HugePage| {
            let (later, next) = made();
            later.iter().zip(next).try_for_each(|(later, next)| {
                write_pieces(&direct, later.offset, &later.bytes, next, buffer)
            })
        };
        let beside = || {
            made();
            self.buffers.lend(write_rest).unwrap_or(Ok(()))
        };
        let written = self.buffers.lend(|buffer| {
            let own = || {
                write_pieces(&direct, offset, &[first], &AtomicUsize::new(0), buffer)?;
                write_rest(buffer)
            };
            in_two_threads(own, &beside)
        });
        written.map_or(Ok(false), |written| self.outcome(written))
    }

    /// Closes this way where the system has just said that there is none.
    fn outcome(&self, written: io::Result<()>) -> io::Result<bool> {
        match written {
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
                *self.way.lock() = Way::Refused;
                Ok(false)
            }
            written => written.map(|()| true),
        }
    }

    fn open(&self, file: &File) -> Option<Arc<File>> {
        let mut way = self.way.lock();
        if matches!(*way, Way::Untried) {
            // By its descriptor and not by its name, which may be another file's by now.
            let name = format!("/proc/self/fd/{}", file.as_raw_fd());
            let flags = i32::try_from(OFlags::DIRECT.bits()).unwrap_or(0);
            // What was opened for reading alone could be opened so for writing, too.
            let writable = rustix::fs::fcntl_getfl(file).is_ok_and(|of| of.contains(OFlags::RDWR));
            let options = OpenOptions::new().write(true).custom_flags(flags).clone();
            *way = Way::after(writable.then(|| options.open(name)));
        }
        match &*way {
            Way::Open(file) => Some(Arc::clone(file)),
            Way::Untried | Way::Refused => None,
        }
    }

    /// Closes the second descriptor: nothing large will be written soon.
    pub(super) fn close(&self) {
        let mut way = self.way.lock();
        if matches!(*way, Way::Open(_)) {
            *way = Way::Untried;
        }
    }
}

/// Runs `own` here and `other` in a second thread, which share what there is to write. Where there
/// is no thread to be had, this one writes it all.
fn in_two_threads(
    own: impl FnOnce() -> io::Result<()>,
    other: &(impl Fn() -> io::Result<()> + Sync),
) -> io::Result<()> {
    thread::scope(|scope| {
        let second = thread::Builder::new().spawn_scoped(scope, other);
        let own = own();
        let Ok(second) = second else { return own };
        let panicked = || Err(io::Error::other("the thread that writes beside panicked"));
        own.and(second.join().unwrap_or_else(|_| panicked()))
    })
}

/// Takes one piece of `bufs` after the other, as long as there are any: copies it into `buffer`,
/// writes it.
fn write_pieces(
    file: &File,
    offset: u64,
    bufs: &[impl AsRef<[u8]>],
    next: &AtomicUsize,
    buffer: &mut HugePage,
) -> io::Result<()> {
    let len: usize = bufs.iter().map(|buf| buf.as_ref().len()).sum();
    loop {
        let start = next.fetch_add(1, Ordering::Relaxed).saturating_mul(PIECE_BYTES);
        if start >= len {
            return Ok(());
        }
        let (piece, _) = buffer.bytes_mut().split_at_mut(PIECE_BYTES.min(len - start));
        gather(bufs, start, piece);
        let at = offset.checked_add(u64::try_from(start).unwrap_or(u64::MAX));
        file.write_all_at(piece, at.ok_or(io::ErrorKind::FileTooLarge)?)?;
    }
}

/// Fills `piece` with what stands in `bufs`, put one behind the other, from `start` on.
fn gather(bufs: &[impl AsRef<[u8]>], mut start: usize, mut piece: &mut [u8]) {
    for buf in bufs {
        let buf = buf.as_ref();
        let Some(rest) = buf.get(start..) else {
            start -= buf.len();
            continue;
        };
        start = 0;
        let (now, later) = piece.split_at_mut(rest.len().min(piece.len()));
        now.copy_from_slice(rest.get(..now.len()).unwrap_or_default());
        piece = later;
        if piece.is_empty() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use bytes::Bytes;

    use super::*;

    fn noise(len: usize, seed: u8) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut bytes);
        bytes
    }

    /// A new file, and a way past the page cache into it.
    fn new_file(dir: &Path, buffers: Buffers) -> (File, DirectWriter) {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).open(dir.join("file")).unwrap();
        (file, DirectWriter::new(Arc::new(buffers)))
    }

    #[test]
    fn pieces_are_what_stands_in_the_buffers_one_behind_the_other() {
        let parts = [noise(700, 1), Vec::new(), noise(1, 2), noise(5000, 3)];
        let bufs: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let whole = parts.concat();
        for (start, len) in [(0, 5701), (0, 700), (699, 3), (700, 1), (701, 5000), (3000, 10)] {
            let mut piece = vec![0; len];
            gather(&bufs, start, &mut piece);
            assert_eq!(piece, whole[start..start + len], "{len} from {start}");
        }
    }

    #[test]
    fn what_is_not_whole_blocks_or_little_goes_through_the_cache() {
        assert!(DirectWriter::takes(8192, DIRECT_BYTES_MIN));
        assert!(!DirectWriter::takes(100, DIRECT_BYTES_MIN));
        assert!(!DirectWriter::takes(0, DIRECT_BYTES_MIN + 100));
        assert!(!DirectWriter::takes(0, DIRECT_BYTES_MIN - ALIGN));
    }

    #[test]
    fn a_descriptor_that_was_not_to_be_had_is_asked_for_again() {
        let failed = |error: Errno| {
            Way::after(Some(Err(io::Error::from_raw_os_error(error.raw_os_error()))))
        };
        for passing in [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::INTR] {
            assert!(matches!(failed(passing), Way::Untried), "{passing}");
        }
        assert!(matches!(failed(Errno::INVAL), Way::Refused), "it knows no direct writes");
        assert!(matches!(Way::after(None), Way::Refused), "it is only read");
    }

    #[test]
    fn what_is_made_beside_a_write_is_made_once_and_written_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let (file, writer) = new_file(dir.path(), Buffers::default());
        let (first, later) = (noise(PIECE_BYTES, 8), noise(2 * PIECE_BYTES + ALIGN, 9));
        let at = |pages: usize| u64::try_from(pages * ALIGN).unwrap();
        let mut calls = 0;
        let mut rest = || {
            calls += 1;
            let (front, back) = later.split_at(12_345);
            let bytes = [front, back].map(Bytes::copy_from_slice).to_vec();
            let last = Later { offset: at(0), bytes: vec![Bytes::from(noise(ALIGN, 10))] };
            Arc::new(vec![Later { offset: at(257), bytes }, last])
        };
        if writer.write_beside(&file, at(1), &first, &mut rest).unwrap() {
            assert_eq!(calls, 1);
            assert!(fs::read(&path).unwrap() == [noise(ALIGN, 10), first, later].concat());
        }
        assert!(writer.buffers.idle.lock().len() <= IDLE_BUFFERS_MAX);
    }

    #[test]
    fn without_a_second_buffer_one_thread_writes_all() {
        let dir = tempfile::tempdir().unwrap();
        let none = Buffers::made_by(|| Err(io::ErrorKind::OutOfMemory.into()));
        let (file, writer) = new_file(dir.path(), none);
        writer.buffers.give_back(HugePage::new().unwrap());
        let (bytes, later) = (noise(3 * PIECE_BYTES, 1), noise(2 * PIECE_BYTES, 2));
        if writer.write(&file, 0, &[&bytes]).unwrap() {
            assert!(fs::read(dir.path().join("file")).unwrap() == bytes);
        }
        let offset = u64::try_from(PIECE_BYTES).unwrap();
        let mut rest =
            || Arc::new(vec![Later { offset, bytes: vec![Bytes::copy_from_slice(&later)] }]);
        if writer.write_beside(&file, 0, &bytes[PIECE_BYTES..][..ALIGN], &mut rest).unwrap() {
            let written = fs::read(dir.path().join("file")).unwrap();
            assert!(written[..ALIGN] == bytes[PIECE_BYTES..][..ALIGN]);
            assert!(written[PIECE_BYTES..] == later);
        }
        assert_eq!(writer.buffers.idle.lock().len(), 1);
    }

    #[test]
    fn an_error_of_either_thread_is_told_and_so_is_that_one_panicked() {
        let full = || Err(io::ErrorKind::StorageFull.into());
        assert!(in_two_threads(|| Ok(()), &full).is_err());
        assert!(in_two_threads(full, &|| Ok(())).is_err());
        assert!(in_two_threads(|| Ok(()), &|| panic!("as it should")).is_err());
        in_two_threads(|| Ok(()), &|| Ok(())).unwrap();
    }

    #[test]
    fn a_write_that_fails_is_told_and_its_buffers_have_nothing_of_it_for_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let (file, writer) = new_file(dir.path(), Buffers::default());
        let (lost, bytes) = (noise(3 * PIECE_BYTES, 1), noise(2 * PIECE_BYTES + ALIGN, 2));
        let read_only = OpenOptions::new().read(true).open(dir.path().join("file")).unwrap();
        *writer.way.lock() = Way::Open(Arc::new(read_only));
        let failed = writer.write(&file, 0, &[&lost]).unwrap_err();
        assert_eq!(failed.raw_os_error(), Some(Errno::BADF.raw_os_error()));
        let failed = writer.write_beside(&file, 0, &lost, &mut || Arc::default()).unwrap_err();
        assert_eq!(failed.raw_os_error(), Some(Errno::BADF.raw_os_error()));
        assert!(matches!(*writer.way.lock(), Way::Open(_)), "another write may work");
        assert_ne!(writer.buffers.idle.lock().len(), 0, "they came back");
        writer.close();
        if writer.write(&file, 0, &[&bytes]).unwrap() {
            assert!(fs::read(dir.path().join("file")).unwrap() == bytes);
        }
    }

    #[test]
    fn a_way_that_the_system_does_not_know_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let (file, writer) = new_file(dir.path(), Buffers::default());
        assert!(!writer.outcome(Err(Errno::INVAL.into())).unwrap());
        assert!(!writer.write(&file, 0, &[&noise(DIRECT_BYTES_MIN, 1)]).unwrap());
        assert_eq!(file.metadata().unwrap().len(), 0, "all of it goes through the cache");
    }

    #[test]
    fn the_second_descriptor_is_closed_and_opened_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let (file, writer) = new_file(dir.path(), Buffers::default());
        let bytes = noise(3 * PIECE_BYTES + ALIGN, 7);
        let took = writer.write(&file, 0, &[&bytes[..100], &bytes[100..]]).unwrap();
        writer.close();
        assert!(!matches!(*writer.way.lock(), Way::Open(_)));
        assert_eq!(writer.write(&file, 0, &[&bytes]).unwrap(), took);
        if took {
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
        assert!(writer.buffers.idle.lock().len() <= IDLE_BUFFERS_MAX);
    }
}
