//! One open file of the real file system. It holds a descriptor, and one more for what is written
//! past the page cache, and no other state, so that two handles of one file never disagree.

use std::fs::File;
use std::io::{self, IoSlice};
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::fs::{Advice, FallocateFlags, FsWord, IFlags, SeekFrom};
use rustix::io::{Errno, retry_on_intr};

use super::direct::{Buffers, DirectWriter};
use super::map::OsMap;
use super::memory::ReadMemory;
use crate::vfs::{Map, Rest, VfsFile, check_punch, check_zero};

/// How many buffers one system call takes; the kernel's limit is 1024.
const BUFS_PER_CALL: usize = 64;

/// What is written at a time where zeros stand in for a missing system call.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// What `statfs` says of ext4 (and of ext2 and ext3), and of btrfs.
const EXT4: FsWord = 0xEF53;
const BTRFS: FsWord = 0x9123_683E;

/// btrfs gives a punched extent back when nothing of it is used any more, so they are made small.
const BTRFS_EXTENT_BYTES: u64 = 1 << 20;

/// `stat` counts in these, whatever the file system's own block is.
const STAT_BLOCK_BYTES: u64 = 512;

/// What all files of a store have in common.
#[derive(Debug, Default)]
pub(super) struct Shared {
    buffers: Arc<Buffers>,
    memory: Arc<ReadMemory>,
}

#[derive(Debug)]
pub(super) struct OsFile {
    file: File,
    direct: DirectWriter,
    memory: Arc<ReadMemory>,
}

impl OsFile {
    pub(super) fn new(file: File, shared: &Shared) -> Self {
        let direct = DirectWriter::new(Arc::clone(&shared.buffers));
        Self { file, direct, memory: Arc::clone(&shared.memory) }
    }

    /// Gives an empty file `len` bytes and their blocks.
    pub(super) fn allocate(&self, len: u64) -> io::Result<()> {
        if len == 0 {
            return Ok(());
        }
        let kind = rustix::fs::fstatfs(&self.file)?.f_type;
        if kind == EXT4 {
            self.check_free(len)?;
        }
        self.write_in_place();
        let step = if kind == BTRFS { BTRFS_EXTENT_BYTES } else { len };
        let mut start = 0;
        while start < len {
            let end = len.min(start.saturating_add(step));
            let flags = FallocateFlags::empty();
            match retry_on_intr(|| rustix::fs::fallocate(&self.file, flags, start, end - start)) {
                // Only written blocks are sure to exist on such a file system.
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => self.write_zeros(start..end)?,
                done => done?,
            }
            start = end;
        }
        Ok(())
    }

    /// ext4 would take every free block before it says that there are too few, and a recording that
    /// needs one at that moment would fail. Root's reserve is counted as free: what may be used of
    /// it is for the system to say. XFS and btrfs are not asked: they count what was just removed
    /// only later, while an allocation waits for it.
    fn check_free(&self, len: u64) -> io::Result<()> {
        let stat = rustix::fs::fstatvfs(&self.file)?;
        let free = stat.f_frsize.saturating_mul(stat.f_bfree);
        if len > free { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    /// Asks for blocks that are overwritten where they are, while the file is still empty. btrfs
    /// would write each change of a block to a new one, for which a full disk has no room, also in
    /// an allocated file. Other file systems do not know the wish, and need not.
    fn write_in_place(&self) {
        if let Ok(flags) = rustix::fs::ioctl_getflags(&self.file) {
            rustix::fs::ioctl_setflags(&self.file, flags | IFlags::NOCOW).ok();
        }
    }

    pub(super) fn write_zeros(&self, range: Range<u64>) -> io::Result<()> {
        let mut offset = range.start;
        while offset < range.end {
            let rest = usize::try_from(range.end - offset).unwrap_or(usize::MAX);
            let chunk = &ZEROS[..rest.min(ZEROS.len())];
            self.file.write_all_at(chunk, offset)?;
            offset += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        }
        Ok(())
    }

    /// `pwritev` until all of `slices` is written: it may write less than it was given.
    pub(super) fn write_slices(
        &self,
        mut offset: u64,
        mut slices: &mut [IoSlice<'_>],
    ) -> io::Result<u64> {
        // Empty buffers at the front would make a finished write look like one that wrote nothing.
        IoSlice::advance_slices(&mut slices, 0);
        while !slices.is_empty() {
            let written = retry_on_intr(|| rustix::io::pwritev(&self.file, slices, offset))?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            IoSlice::advance_slices(&mut slices, written);
            offset = offset
                .checked_add(u64::try_from(written).unwrap_or(u64::MAX))
                .ok_or(io::ErrorKind::FileTooLarge)?;
        }
        Ok(offset)
    }
}

impl VfsFile for OsFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buf, offset)
    }

    fn read_vec(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            let at = offset.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            let mut read = || rustix::io::pread(&self.file, spare_capacity(&mut bytes), at);
            if retry_on_intr(&mut read)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        bytes.truncate(len);
        Ok(bytes)
    }

    fn write_at(&self, mut offset: u64, bufs: &[&[u8]]) -> io::Result<()> {
        for bufs in bufs.chunks(BUFS_PER_CALL) {
            let mut slices = [IoSlice::new(&[]); BUFS_PER_CALL];
            for (slice, buf) in slices.iter_mut().zip(bufs) {
                *slice = IoSlice::new(buf);
            }
            offset = self.write_slices(offset, &mut slices[..bufs.len()])?;
        }
        Ok(())
    }

    fn write_through(&self, offset: u64, bufs: &[&[u8]]) -> io::Result<()> {
        let len = bufs.iter().map(|buf| buf.len()).sum();
        if DirectWriter::takes(offset, len) && self.direct.write(&self.file, offset, bufs)? {
            return Ok(());
        }
        self.write_at(offset, bufs)
    }

    fn write_beside(&self, offset: u64, first: &[u8], rest: &mut Rest<'_>) -> io::Result<()> {
        let mut made = None;
        let mut once = || Arc::clone(made.get_or_insert_with(|| Arc::new(rest())));
        if DirectWriter::takes(offset, first.len())
            && self.direct.write_beside(&self.file, offset, first, &mut once)?
        {
            return Ok(());
        }
        self.write_at(offset, &[first])?;
        once().iter().try_for_each(|later| self.write_at(later.offset, &later.bufs()))
    }

    fn read_through(&self, range: Range<u64>) -> io::Result<Option<Bytes>> {
        self.memory.read(&self.file, range)
    }

    fn sync(&self) -> io::Result<()> {
        // Not retried, also not when interrupted: the kernel may have dropped the pages.
        Ok(rustix::fs::fdatasync(&self.file)?)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn written_from(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        // To these calls what is allocated and not written is a hole.
        match rustix::fs::seek(&self.file, SeekFrom::Data(offset)) {
            Ok(start) => Ok(Some(start..rustix::fs::seek(&self.file, SeekFrom::Hole(start))?)),
            Err(Errno::NXIO) => Ok(None),
            Err(Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => {
                let len = self.len()?;
                Ok((offset < len).then_some(offset..len))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn allocated(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.blocks().saturating_mul(STAT_BLOCK_BYTES))
    }

    fn punch(&self, range: Range<u64>) -> io::Result<()> {
        check_punch(&range)?;
        if range.is_empty() {
            return Ok(());
        }
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let len = range.end - range.start;
        match retry_on_intr(|| rustix::fs::fallocate(&self.file, flags, range.start, len)) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                self.write_zeros(range.start..range.end.min(self.len()?))
            }
            done => Ok(done?),
        }
    }

    fn zero(&self, range: Range<u64>) -> io::Result<()> {
        check_zero(&range, self.len()?)?;
        if range.is_empty() {
            return Ok(());
        }
        let len = range.end - range.start;
        // As in `allocate`: at most what is not allocated of the range is missing.
        if rustix::fs::fstatfs(&self.file)?.f_type == EXT4 {
            self.check_free(self.len()?.saturating_sub(self.allocated()?).min(len))?;
        }
        let flags = FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE;
        match retry_on_intr(|| rustix::fs::fallocate(&self.file, flags, range.start, len)) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Err(io::ErrorKind::Unsupported.into()),
            done => Ok(done?),
        }
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        if len > self.len()? {
            // Growing would leave a hole, into which a later write could fail for want of space.
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.file.set_len(len)
    }

    fn map(&self, len: u64) -> io::Result<Arc<dyn Map>> {
        if len > self.len()? {
            // Touching a page past the end kills the process.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Arc::new(OsMap::new(&self.file, len)?))
    }

    fn read_ahead(&self, allowed: bool) {
        let advice = if allowed { Advice::Normal } else { Advice::Random };
        rustix::fs::fadvise(&self.file, 0, None, advice).ok();
    }

    fn will_need(&self, range: Range<u64>) {
        // To the system a length of 0 means "to the end", so an empty range asks for nothing.
        let len = NonZeroU64::new(range.end.saturating_sub(range.start));
        if len.is_some() {
            rustix::fs::fadvise(&self.file, range.start, len, Advice::WillNeed).ok();
        }
    }

    fn drop_cache(&self, range: Range<u64>) {
        self.direct.close();
        // As in `will_need`.
        let len = NonZeroU64::new(range.end.saturating_sub(range.start));
        if len.is_some() {
            rustix::fs::fadvise(&self.file, range.start, len, Advice::DontNeed).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::vfs::Later;

    #[test]
    fn without_memory_for_pages_all_goes_through_the_cache() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let mut options = File::options();
        let file = options.read(true).write(true).create_new(true).open(&path).unwrap();
        let no_page = || Err(io::ErrorKind::OutOfMemory.into());
        let shared = Shared {
            buffers: Arc::new(Buffers::made_by(no_page)),
            memory: Arc::new(ReadMemory::made_by(no_page)),
        };
        let file = OsFile::new(file, &shared);
        let mut bytes = vec![0; 6 << 20];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        let (through, beside) = bytes.split_at(3 << 20);
        file.write_through(0, &[&through[..1000], &through[1000..]]).unwrap();
        let (first, later) = beside.split_at(1 << 20);
        let mut calls = 0;
        let mut rest = || {
            calls += 1;
            vec![Later { offset: 4 << 20, bytes: vec![Bytes::copy_from_slice(later)] }]
        };
        file.write_beside(3 << 20, first, &mut rest).unwrap();
        assert_eq!(calls, 1);
        assert!(fs::read(&path).unwrap() == bytes);
        assert!(file.read_through(0..4096).unwrap().is_none());
    }
}
