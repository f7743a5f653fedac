//! One of the ledger's two copies: a folder of files of one size, numbered from 0.
//!
//! Owns the files it writes to. Every call says what is durable when it returns. A copy that failed
//! once is not used again until the store is reopened: after a failed sync nobody knows what is on
//! disk.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::LEDGER_FILE_BYTES;
use super::scan::FILE_LEN;
use crate::barrier::Barrier;
use crate::format::{BLOCK_BYTES, name};
use crate::types::{Error, ErrorKind, Result};
use crate::vfs::{Vfs, VfsFile};

/// Bad places of a file are found in steps of this many bytes.
const BLOCK_LEN: usize = 4096;

const _: () = assert!(BLOCK_BYTES == 4096);

/// One folder of ledger files. A clone is for reading alone.
#[derive(Clone, Debug)]
pub(super) struct Copy {
    vfs: Arc<dyn Vfs>,
    dir: &'static str,
    /// The file that takes the next entries.
    file: Option<Arc<dyn VfsFile>>,
    /// The file after it: allocated, all zero, its name durable.
    next: Option<Arc<dyn VfsFile>>,
    /// How many files the folder has.
    files: u64,
    /// It failed since it was opened.
    failed: bool,
}

/// What is in a file of a copy.
#[derive(Debug)]
pub(super) struct Loaded {
    /// Whole blocks, at most [`FILE_LEN`] bytes; zeros stand behind them.
    pub(super) bytes: Bytes,
    /// `None` when there is no such file.
    pub(super) len: Option<u64>,
    /// Offsets of the blocks that cannot be read.
    pub(super) lost: Vec<usize>,
    /// Why, for the first of them.
    pub(super) cause: Option<Error>,
}

impl Loaded {
    /// There is no such file.
    pub(super) fn missing() -> Self {
        Self { bytes: Bytes::new(), len: None, lost: Vec::new(), cause: None }
    }
}

impl Copy {
    pub(super) fn new(vfs: Arc<dyn Vfs>, dir: &'static str) -> Self {
        Self { vfs, dir, file: None, next: None, files: 0, failed: false }
    }

    /// The folder's name.
    pub(super) fn dir(&self) -> &'static str {
        self.dir
    }

    /// `a` or `b`.
    pub(super) fn letter(&self) -> &'static str {
        self.dir.rsplit('/').next().unwrap_or(self.dir)
    }

    pub(super) fn works(&self) -> bool {
        !self.failed
    }

    /// Never to be used again; lets go of its files.
    pub(super) fn fail(&mut self) {
        self.failed = true;
        self.file = None;
        self.next = None;
    }

    pub(super) fn allocated_bytes(&self) -> u64 {
        self.files.saturating_mul(LEDGER_FILE_BYTES)
    }

    pub(super) fn has_next(&self) -> bool {
        self.next.is_some()
    }

    /// An error of this copy at file `number`.
    pub(super) fn error(&self, operation: &str, number: u32, source: io::Error) -> Error {
        Error::io(operation, &self.vfs.display_path(&name::ledger(self.dir, number)), source)
    }

    /// Damage in this copy's file `number`.
    pub(super) fn damage(&self, what: String, number: u32) -> Error {
        Error::corrupt(what).at(&self.vfs.display_path(&name::ledger(self.dir, number)))
    }

    fn dir_error(&self, operation: &str, source: io::Error) -> Error {
        Error::io(operation, &self.vfs.display_path(self.dir), source)
    }

    /// The numbers of the files that are there, and what else is in the folder.
    pub(super) fn list(&self) -> Result<(BTreeSet<u32>, Vec<String>)> {
        let names = match self.vfs.list(self.dir) {
            Ok(names) => names,
            Err(source) if source.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(self.dir_error("list ledger copy", source)),
        };
        let mut numbers = BTreeSet::new();
        let mut unknown = Vec::new();
        for name in names {
            match name::parse_ledger(&name) {
                Some(number) => drop(numbers.insert(number)),
                None => unknown.push(name),
            }
        }
        Ok((numbers, unknown))
    }

    /// Takes note of how many files the folder has.
    pub(super) fn count(&mut self, numbers: &BTreeSet<u32>) {
        self.files = u64::try_from(numbers.len()).unwrap_or(u64::MAX);
    }

    /// Reads file `number`, as much of it as can be read. `other` is what the other copy has of it,
    /// if that was read before: mostly the same, and then it is in memory once.
    pub(super) fn load(&self, number: u32, other: &Bytes) -> Result<Loaded> {
        let mut loaded = Loaded::missing();
        let file = match self.vfs.open(&name::ledger(self.dir, number), false) {
            Ok(file) => file,
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(loaded),
            Err(source) => return Err(self.error("open ledger file", number, source)),
        };
        let len = file.len().map_err(|e| self.error("read length of ledger file", number, e))?;
        loaded.len = Some(len);
        // Where nobody can say that nothing was written, all of it is read.
        let end = written_end(&*file).unwrap_or(len).min(len);
        let end = usize::try_from(end).unwrap_or(FILE_LEN).min(FILE_LEN);
        let blocks = end.next_multiple_of(BLOCK_LEN);
        if other.len() == blocks && reads_as(&*file, end, other) {
            loaded.bytes = other.clone();
            return Ok(loaded);
        }
        let mut whole = vec![0; blocks];
        let bytes = whole.get_mut(..end).unwrap_or_default();
        if file.read_at(0, bytes).is_ok() {
            loaded.bytes = whole.into();
            return Ok(loaded);
        }
        // A bad sector somewhere: each block alone, so that it costs no more than itself.
        let mut offset = 0;
        for block in bytes.chunks_mut(BLOCK_LEN) {
            let at = u64::try_from(offset).unwrap_or(u64::MAX);
            if let Err(source) = file.read_at(at, block) {
                block.fill(0);
                loaded.lost.push(offset);
                let error = self.error("read ledger file", number, source).at_offset(at);
                loaded.cause.get_or_insert(error);
            }
            offset += block.len();
        }
        loaded.bytes = whole.into();
        Ok(loaded)
    }

    /// Makes file `number` out of nothing, with `head` at its start, and goes on there. Durable:
    /// bytes and name, not the folder's own name.
    pub(super) fn create(&mut self, number: u32, head: &[u8]) -> Result<()> {
        self.next = Some(self.allocate(number)?);
        self.roll(number, head)
    }

    /// Goes on in file `number`, which exists. `rewrite` when its bytes may not be durable yet.
    ///
    /// To sync them is not enough: after a sync that failed the system takes the pages for clean,
    /// shows them to the next process, and never writes them.
    pub(super) fn resume(&mut self, number: u32, rewrite: bool) -> Result<()> {
        let file = self.vfs.open(&name::ledger(self.dir, number), true);
        let file = file.map_err(|source| self.error("open ledger file", number, source))?;
        if rewrite {
            self.write_again(number, &*file)?;
            let synced = Barrier::LedgerResumeSync.sync(|| file.sync());
            synced.map_err(|source| self.error("sync ledger file", number, source))?;
            Barrier::LedgerResumeDirSync.sync(|| self.sync_dir())?;
        }
        self.file = Some(file);
        Ok(())
    }

    /// Writes what is in a file into it once more, block by block: what a power cut leaves of that
    /// is what was there.
    fn write_again(&self, number: u32, file: &dyn VfsFile) -> Result<()> {
        let loaded = self.load(number, &Bytes::new())?;
        let zeros = [0; BLOCK_LEN];
        let mut offset = 0;
        for block in loaded.bytes.chunks(BLOCK_LEN) {
            if block != zeros && !loaded.lost.contains(&offset) {
                let at = u64::try_from(offset).unwrap_or(u64::MAX);
                let written = file.write_at(at, &[block]);
                written.map_err(|source| self.error("write ledger file again", number, source))?;
            }
            offset += block.len();
        }
        Ok(())
    }

    /// Sets file `number` aside for later entries, unless that is done. Durable.
    pub(super) fn reserve(&mut self, number: u32) -> Result<()> {
        if self.next.is_some() {
            return Ok(());
        }
        let file = match self.blank(number) {
            Some(file) => file,
            None => self.allocate(number)?,
        };
        self.next = Some(file);
        Ok(())
    }

    /// File `number` if it was set aside before. Its name may not be durable; `roll` sees to that.
    fn blank(&self, number: u32) -> Option<Arc<dyn VfsFile>> {
        let file = self.vfs.open(&name::ledger(self.dir, number), true).ok()?;
        let whole = file.len().ok()? == LEDGER_FILE_BYTES;
        let allocated = file.allocated().ok()? >= LEDGER_FILE_BYTES;
        (whole && allocated).then_some(file)
    }

    /// A new, empty file `number`. What has that name now is a blank file of the wrong size: the
    /// replay has read every file, and `number` is behind the last one with entries.
    fn allocate(&mut self, number: u32) -> Result<Arc<dyn VfsFile>> {
        let path = name::ledger(self.dir, number);
        // 1. Remove what a crash left of an earlier try. A crash here: nothing was in it.
        match self.vfs.remove(&path) {
            Ok(()) => self.files = self.files.saturating_sub(1),
            Err(source) if source.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(self.error("remove blank ledger file", number, source)),
        }
        // 2. Allocate. A crash here leaves no file, or a short one for step 1.
        let file = self.vfs.create(&path, LEDGER_FILE_BYTES);
        let file = file.map_err(|source| self.error("allocate ledger file", number, source))?;
        self.files = self.files.saturating_add(1);
        // 3. Make the allocation and the name durable, so that the room outlives a crash.
        let synced = Barrier::LedgerAllocateSync.sync(|| file.sync());
        synced.map_err(|source| self.error("sync ledger file", number, source))?;
        Barrier::LedgerAllocateDirSync.sync(|| self.sync_dir())?;
        Ok(file)
    }

    /// Writes `bytes` at `offset` of the current file. Durable.
    pub(super) fn write(&self, number: u32, offset: u64, bytes: &[u8]) -> Result<()> {
        let Some(file) = &self.file else { return Err(self.no_file(number)) };
        let failed = |what, source| self.error(what, number, source).at_offset(offset);
        file.write_at(offset, &[bytes]).map_err(|source| failed("write ledger file", source))?;
        let barrier =
            if self.dir == name::LEDGER_A { Barrier::LedgerSyncA } else { Barrier::LedgerSyncB };
        barrier.sync(|| file.sync()).map_err(|source| failed("sync ledger file", source))
    }

    /// Goes on in the file that was set aside, `number`: `head` is its header and first batch.
    /// Durable: bytes and name.
    pub(super) fn roll(&mut self, number: u32, head: &[u8]) -> Result<()> {
        let Some(next) = self.next.take() else { return Err(self.no_file(number)) };
        self.file = Some(next);
        self.write(number, 0, head)?;
        Barrier::LedgerRollDirSync.sync(|| self.sync_dir())
    }

    /// Makes file `number` read as `image` where it differs from `loaded`. Durable.
    pub(super) fn repair(&mut self, number: u32, loaded: &Loaded, image: &[u8]) -> Result<()> {
        if loaded.len.is_none() {
            let file = self.allocate(number)?;
            let write = file.write_at(0, &[image]);
            let write = write.and_then(|()| Barrier::LedgerRebuildSync.sync(|| file.sync()));
            return write.map_err(|source| self.error("rebuild ledger file", number, source));
        }
        let failed = |source| self.error("repair ledger file", number, source);
        let file = self.vfs.open(&name::ledger(self.dir, number), true).map_err(failed)?;
        for offset in (0..FILE_LEN).step_by(BLOCK_LEN) {
            let at = u64::try_from(offset).unwrap_or(u64::MAX);
            let short = loaded.len.is_some_and(|len| at.saturating_add(BLOCK_BYTES) > len);
            let new = block_of(image, offset);
            if new != block_of(&loaded.bytes, offset) || short || loaded.lost.contains(&offset) {
                file.write_at(at, &[new]).map_err(failed)?;
            }
        }
        if loaded.len.is_some_and(|len| len > LEDGER_FILE_BYTES) {
            file.truncate(LEDGER_FILE_BYTES).map_err(failed)?;
        }
        Barrier::LedgerRepairSync.sync(|| file.sync()).map_err(failed)
    }

    /// Removes file `number`; durable with the next [`Copy::sync_dir`].
    pub(super) fn remove(&mut self, number: u32) -> Result<()> {
        let removed = self.vfs.remove(&name::ledger(self.dir, number));
        removed.map_err(|source| self.error("remove ledger file", number, source))?;
        self.files = self.files.saturating_sub(1);
        Ok(())
    }

    /// Removes every file from number `first` on; durable with the first file made after that.
    pub(super) fn remove_from(&mut self, first: u32) -> Result<()> {
        let (numbers, _) = self.list()?;
        self.count(&numbers);
        for number in numbers.range(first..) {
            self.remove(*number)?;
        }
        Ok(())
    }

    /// Makes the folder and its parent, durable.
    pub(super) fn create_dir(&self) -> Result<()> {
        let parent = self.dir.rsplit_once('/').map_or("", |(parent, _)| parent);
        let made = self.vfs.create_dir(self.dir);
        let synced = || Barrier::LedgerFolderSync.sync(|| self.vfs.sync_dir(parent));
        let made = made.and_then(|()| synced());
        made.map_err(|source| self.dir_error("make ledger folder", source))
    }

    fn sync_dir(&self) -> Result<()> {
        let synced = self.vfs.sync_dir(self.dir);
        synced.map_err(|source| self.dir_error("sync ledger folder", source))
    }

    fn no_file(&self, number: u32) -> Error {
        let path = self.vfs.display_path(&name::ledger(self.dir, number));
        Error::new(ErrorKind::Full, "no room set aside for ledger file").at(&path)
    }
}

/// The block at `offset` of bytes that end with a whole block and have zeros behind.
fn block_of(bytes: &[u8], offset: usize) -> &[u8] {
    static ZEROS: [u8; BLOCK_LEN] = [0; BLOCK_LEN];
    bytes.get(offset..offset + BLOCK_LEN).unwrap_or(&ZEROS)
}

/// Whether the first `end` bytes of `file` are those of `other`, and zeros stand behind them there.
/// A piece at a time: opening a store should not need memory for both copies.
fn reads_as(file: &dyn VfsFile, end: usize, other: &[u8]) -> bool {
    const PIECE_LEN: usize = 16 * BLOCK_LEN;
    let Some((whole, rest)) = other.split_at_checked(end) else { return false };
    let mut piece = vec![0; PIECE_LEN];
    let mut offset = 0;
    whole.chunks(PIECE_LEN).all(|other| {
        let piece = piece.get_mut(..other.len()).unwrap_or_default();
        let read = file.read_at(offset, piece);
        offset += u64::try_from(other.len()).unwrap_or(u64::MAX);
        read.is_ok() && piece == other
    }) && rest.iter().all(|byte| *byte == 0)
}

/// Where the last bytes end that were written.
fn written_end(file: &dyn VfsFile) -> io::Result<u64> {
    let mut end = 0;
    while let Some(written) = file.written_from(end)? {
        end = written.end;
    }
    Ok(end)
}
