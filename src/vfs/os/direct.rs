//! Large writes past the page cache: footage goes to the disk once, and pushes out nothing that
//! people watch.
//!
//! Copying into the page cache and writing that back later costs more processor than everything
//! else in recording together, and a sync then waits for all of it. Owns the one aligned buffer
//! that such writes need, because the caller's bytes lie anywhere. Where the system refuses (file
//! systems without direct writes, no `/proc`), the caller writes through the cache as before: the
//! bytes and what a sync promises are the same.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};

use parking_lot::Mutex;
use rustix::fs::OFlags;

/// What direct writes are aligned to, in the file and in memory: no device asks for more.
const ALIGN: usize = 4096;
/// Below this the cache is as fast, and a system call more is not.
const BYTES_MIN: usize = 64 << 10;
/// What one system call writes: enough for the disk to be busy, little to keep in memory.
const BUF_BYTES: usize = 4 << 20;

/// The buffer of a store's direct writes. One is kept; writers of other classes who come at the
/// same time make one for themselves.
#[derive(Debug, Default)]
pub(super) struct DirectBuf(Mutex<Option<Vec<u8>>>);

impl DirectBuf {
    /// Writes all of `bufs` to `file` from `offset` on, past the page cache. Answers `false`, and
    /// may have written any part, when that cannot be done here and the cache must be used.
    ///
    /// # Errors
    ///
    /// What the system says; any part may have been written.
    pub(super) fn write(&self, file: &File, offset: u64, bufs: &[&[u8]]) -> io::Result<bool> {
        let len: usize = bufs.iter().map(|buf| buf.len()).sum();
        let start = usize::try_from(offset).unwrap_or(1);
        if len < BYTES_MIN || !len.is_multiple_of(ALIGN) || !start.is_multiple_of(ALIGN) {
            return Ok(false);
        }
        let Ok(direct) = reopen(file) else { return Ok(false) };
        let mut memory = self.0.lock().take().unwrap_or_else(|| vec![0; BUF_BYTES + ALIGN]);
        let from = memory.as_ptr().align_offset(ALIGN).min(ALIGN);
        let written = write_through(&direct, offset, bufs, &mut memory[from..from + BUF_BYTES]);
        *self.0.lock() = Some(memory);
        match written {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(false),
            done => done.map(|()| true),
        }
    }
}

/// The same file, opened once more: the flag belongs to an open file, and reads need it unset. By
/// descriptor, because a file may have been renamed.
fn reopen(file: &File) -> io::Result<File> {
    let flags = i32::try_from(OFlags::DIRECT.bits()).map_err(io::Error::other)?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    OpenOptions::new().write(true).custom_flags(flags).open(path)
}

/// Gathers `bufs` in `memory` and writes that whenever it is full.
fn write_through(
    direct: &File,
    mut offset: u64,
    bufs: &[&[u8]],
    memory: &mut [u8],
) -> io::Result<()> {
    let mut filled = 0;
    for mut buf in bufs.iter().copied() {
        while !buf.is_empty() {
            let (now, later) = buf.split_at(buf.len().min(memory.len() - filled));
            memory[filled..filled + now.len()].copy_from_slice(now);
            filled += now.len();
            buf = later;
            if filled == memory.len() {
                direct.write_all_at(memory, offset)?;
                offset = offset.saturating_add(u64::try_from(filled).unwrap_or(u64::MAX));
                filled = 0;
            }
        }
    }
    if filled == 0 { Ok(()) } else { direct.write_all_at(&memory[..filled], offset) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_of(len: usize) -> (tempfile::TempDir, File) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path).unwrap();
        file.write_all_at(&vec![7; len], 0).unwrap();
        (folder, file)
    }

    fn noise(len: usize) -> Vec<u8> {
        (0..len).map(|at| u8::try_from(at * 31 % 251).unwrap()).collect()
    }

    #[test]
    fn pieces_of_any_size_are_written_where_they_belong() {
        let len = BUF_BYTES + 3 * ALIGN;
        let (_folder, file) = file_of(len + 2 * ALIGN);
        let bytes = noise(len);
        let (one, rest) = bytes.split_at(77);
        let (two, three) = rest.split_at(BUF_BYTES - 100);
        let buf = DirectBuf::default();
        let offset = u64::try_from(ALIGN).unwrap();
        let done = buf.write(&file, offset, &[one, two, &[], three]).unwrap();
        assert_eq!(done, reopen(&file).is_ok(), "only a refusal of the system is a reason not to");
        if !done {
            return;
        }
        let mut back = vec![0; len + 2 * ALIGN];
        file.read_exact_at(&mut back, 0).unwrap();
        assert!(back[..ALIGN].iter().all(|byte| *byte == 7));
        assert!(back[ALIGN..ALIGN + len] == bytes);
        assert!(back[ALIGN + len..].iter().all(|byte| *byte == 7));
    }

    #[test]
    fn what_is_small_or_not_aligned_is_left_to_the_cache() {
        let (_folder, file) = file_of(BYTES_MIN * 2);
        let (buf, bytes) = (DirectBuf::default(), noise(BYTES_MIN + 1));
        assert!(!buf.write(&file, 0, &[&bytes[..ALIGN]]).unwrap());
        assert!(!buf.write(&file, 512, &[&bytes[..BYTES_MIN]]).unwrap());
        assert!(!buf.write(&file, 0, &[&bytes]).unwrap());
        let mut back = vec![0; BYTES_MIN];
        file.read_exact_at(&mut back, 0).unwrap();
        assert!(back.iter().all(|byte| *byte == 7), "nothing was written");
    }
}
