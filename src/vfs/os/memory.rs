//! Reading past the page cache, into a bounded number of huge pages.
//!
//! A direct read has the disk put the bytes where they are wanted: no pages to find, to keep and to
//! push out again. What it is read into is lent out as [`Bytes`], and comes back with the last of
//! them; when all is lent, the next reader goes through the cache.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::sync::Arc;

use bytes::Bytes;
use memmap2::{Advice, MmapMut};
use parking_lot::Mutex;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::direct::ALIGN;
use crate::vfs::READ_THROUGH_BYTES_MAX;

/// So many buffers are lent at a time, for all files of a store.
const LENT_MAX: usize = 8;
/// The length of a huge page, where there are any: what goes into one page is one request to the
/// disk, and in small pages a megabyte is two or more.
pub(super) const BUFFER_BYTES: usize = 2 << 20;
/// How many are kept while nobody reads.
const IDLE_MAX: usize = 2;

const _: () = assert!(READ_THROUGH_BYTES_MAX == 1 << 20 && BUFFER_BYTES >= (1 << 20) + 2 * ALIGN);

/// What makes a page. It is [`HugePage::new`]; tests run out of memory.
pub(super) type MakePage = fn() -> io::Result<HugePage>;

/// What is read into past the page cache.
#[derive(Debug)]
pub(super) struct ReadMemory {
    lent: Mutex<Lent>,
    make: MakePage,
}

#[derive(Debug, Default)]
struct Lent {
    count: usize,
    idle: Vec<HugePage>,
}

/// [`BUFFER_BYTES`] of memory in one page, where the system has such pages.
#[derive(Debug)]
pub(super) struct HugePage {
    map: MmapMut,
    /// Where in the map a huge page can begin.
    start: usize,
}

/// A buffer that somebody has, with what was read into it.
#[derive(Debug)]
struct Loan {
    /// `None` only when it is given back.
    buffer: Option<HugePage>,
    memory: Arc<ReadMemory>,
    /// What of the buffer was wanted.
    range: Range<usize>,
}

impl Default for ReadMemory {
    fn default() -> Self {
        Self::made_by(HugePage::new)
    }
}

impl ReadMemory {
    /// Memory of which every page is made by `make`.
    pub(super) fn made_by(make: MakePage) -> Self {
        Self { lent: Mutex::default(), make }
    }

    fn lend(self: &Arc<Self>) -> Option<Loan> {
        let mut lent = self.lent.lock();
        if lent.count >= LENT_MAX {
            return None;
        }
        let buffer = lent.idle.pop().or_else(|| (self.make)().ok())?;
        lent.count += 1;
        Some(Loan { buffer: Some(buffer), memory: Arc::clone(self), range: 0..0 })
    }

    /// Reads `range` of `file`, or answers `None` where that is not possible now.
    ///
    /// # Errors
    ///
    /// What the system says; `UnexpectedEof` past the end.
    pub(super) fn read(
        self: &Arc<Self>,
        file: &File,
        range: Range<u64>,
    ) -> io::Result<Option<Bytes>> {
        let narrow = |len: u64| usize::try_from(len).unwrap_or(usize::MAX);
        let (before, len) =
            (narrow(range.start) % ALIGN, narrow(range.end.saturating_sub(range.start)));
        if len > narrow(READ_THROUGH_BYTES_MAX) {
            return Ok(None);
        }
        // The descriptor is for this read alone: a store has more segments than a process may have
        // descriptors.
        let Some((direct, mut loan)) = open(file).zip(self.lend()) else { return Ok(None) };
        loan.range = before..before + len;
        let start = range.start - u64::try_from(before).unwrap_or(0);
        match loan.fill(&direct, start) {
            // It knows no direct reads, whatever it said when it was opened.
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => Ok(None),
            filled => filled.map(|()| Some(Bytes::from_owner(loan))),
        }
    }
}

impl Loan {
    /// Reads from `offset` on, until all is there that is wanted.
    fn fill(&mut self, file: &File, mut offset: u64) -> io::Result<()> {
        let wanted = self.range.end;
        let all = self.buffer.as_mut().map(HugePage::bytes_mut).unwrap_or_default();
        let mut buf = all.get_mut(..wanted.next_multiple_of(ALIGN)).unwrap_or_default();
        let mut there = 0;
        while there < wanted {
            match file.read_at(buf, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    there += read;
                    offset = offset.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
                    buf = buf.get_mut(read..).unwrap_or_default();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let mut lent = self.memory.lent.lock();
        lent.count -= 1;
        if lent.idle.len() < IDLE_MAX {
            lent.idle.extend(self.buffer.take());
        }
    }
}

impl AsRef<[u8]> for Loan {
    fn as_ref(&self) -> &[u8] {
        let filled = self.buffer.as_ref().and_then(|page| page.bytes().get(self.range.clone()));
        filled.unwrap_or_default()
    }
}

impl HugePage {
    /// New memory, of which nothing is taken before it is touched.
    ///
    /// # Errors
    ///
    /// When the system has no memory to map.
    pub(super) fn new() -> io::Result<Self> {
        // A map begins at any page: in one of twice the length a huge page has room.
        let map = MmapMut::map_anon(2 * BUFFER_BYTES)?;
        // A wish: without it the pages are small.
        map.advise(Advice::HugePage).ok();
        let start = map.as_ptr().align_offset(BUFFER_BYTES).min(BUFFER_BYTES);
        Ok(Self { map, start })
    }

    fn bytes(&self) -> &[u8] {
        self.map.get(self.start..self.start + BUFFER_BYTES).unwrap_or_default()
    }

    /// All of it, of any content.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        self.map.get_mut(self.start..self.start + BUFFER_BYTES).unwrap_or_default()
    }
}

/// The same file, for direct reads; `None` where the file system, or the system, has none.
fn open(file: &File) -> Option<File> {
    // By its descriptor and not by its name, which may be another file's by now.
    let name = format!("/proc/self/fd/{}", file.as_raw_fd());
    let flags = i32::try_from(OFlags::DIRECT.bits()).unwrap_or(0);
    OpenOptions::new().read(true).custom_flags(flags).open(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_of(len: usize) -> (File, Vec<u8>) {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&bytes, 0).unwrap();
        (file, bytes)
    }

    #[test]
    fn memory_begins_where_a_huge_page_does_and_is_as_long() {
        let mut pages: Vec<_> = (0..3).map(|_| HugePage::new().unwrap()).collect();
        for (page, fill) in pages.iter_mut().zip(1..) {
            let bytes = page.bytes_mut();
            assert_eq!((bytes.len(), bytes.as_ptr().align_offset(BUFFER_BYTES)), (BUFFER_BYTES, 0));
            bytes.fill(fill);
        }
        let is_own = |(page, fill): (&HugePage, u8)| page.bytes().iter().all(|byte| *byte == fill);
        assert!(pages.iter().zip(1..).all(is_own));
    }

    #[test]
    fn any_range_is_read_as_it_stands_in_the_file() {
        let (file, bytes) = file_of(3 * BUFFER_BYTES + 100);
        let memory = Arc::new(ReadMemory::default());
        let max = usize::try_from(READ_THROUGH_BYTES_MAX).unwrap();
        for range in [0..1, 1..4097, 4095..4097, 5000..5000 + max, bytes.len() - 10..bytes.len()] {
            let wanted = u64::try_from(range.start).unwrap()..u64::try_from(range.end).unwrap();
            let read = memory.read(&file, wanted).unwrap();
            // Not on every file system.
            if let Some(read) = read {
                assert!(read == bytes[range.clone()], "{range:?}");
            }
        }
        let end = u64::try_from(bytes.len()).unwrap();
        assert!(memory.read(&file, 0..READ_THROUGH_BYTES_MAX + 1).unwrap().is_none());
        assert!(!matches!(memory.read(&file, end - 1..end + 1), Ok(Some(_))));
        assert_eq!(memory.lent.lock().count, 0, "all came back");
    }

    #[test]
    fn without_memory_nothing_is_lent_and_nothing_counts_as_lent() {
        let (file, _) = file_of(ALIGN);
        let memory = Arc::new(ReadMemory::made_by(|| Err(io::ErrorKind::OutOfMemory.into())));
        for _ in 0..=LENT_MAX {
            assert!(memory.read(&file, 0..10).unwrap().is_none());
        }
        memory.lent.lock().idle.push(HugePage::new().unwrap());
        assert!(memory.lend().is_some(), "as soon as there is some");
    }

    #[test]
    fn a_read_that_fails_gives_its_memory_back_for_the_next() {
        let (file, bytes) = file_of(5 * ALIGN);
        let memory = Arc::new(ReadMemory::default());
        let mut loan = memory.lend().unwrap();
        loan.range = 10..bytes.len() + 1;
        // Through the cache, so that no file system answers otherwise.
        let error = loan.fill(&file, 0).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        drop(loan);
        let idle = |memory: &ReadMemory| {
            let lent = memory.lent.lock();
            (lent.count, lent.idle.len())
        };
        assert_eq!(idle(&memory), (0, 1));
        let mut loan = memory.lend().unwrap();
        assert_eq!(idle(&memory), (1, 0), "the same");
        loan.range = 10..20;
        loan.fill(&file, u64::try_from(ALIGN).unwrap()).unwrap();
        assert_eq!(loan.as_ref(), &bytes[ALIGN + 10..ALIGN + 20]);
    }

    #[test]
    fn so_much_is_lent_and_no_more_until_some_of_it_comes_back() {
        let memory = Arc::new(ReadMemory::default());
        let mut loans: Vec<Loan> = std::iter::from_fn(|| memory.lend()).collect();
        assert_eq!(loans.len(), LENT_MAX);
        assert!(memory.lend().is_none());
        loans.pop();
        assert!(memory.lend().is_some());
        drop(loans);
        assert!(memory.lent.lock().idle.len() <= IDLE_MAX);
    }
}
