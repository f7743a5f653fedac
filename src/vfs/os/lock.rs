//! The store's lock: `flock` on a file that is never removed, with the holder's process id in it.
//!
//! The kernel's lock decides; the id is for the message to whoever is refused, and no code may
//! conclude anything else from it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use crate::vfs::Lock;

#[derive(Debug)]
pub(super) struct OsLock {
    /// `None` for a reader of a folder in which no lock file can be made.
    file: Option<File>,
    exclusive: bool,
}

impl OsLock {
    /// Takes the lock at once or fails with `WouldBlock`.
    pub(super) fn take(path: &Path, exclusive: bool) -> io::Result<Self> {
        let file = if exclusive { Some(open_to_write(path)?) } else { open_to_read(path)? };
        if let Some(file) = &file {
            let operation = if exclusive {
                FlockOperation::NonBlockingLockExclusive
            } else {
                FlockOperation::NonBlockingLockShared
            };
            flock(file, operation)?;
            if exclusive {
                name_holder(file);
            }
        }
        Ok(Self { file, exclusive })
    }
}

impl Lock for OsLock {}

impl Drop for OsLock {
    fn drop(&mut self) {
        let Some(file) = &self.file else { return };
        if self.exclusive {
            // So that no later refusal names us. A killed process leaves its id: see `holder`.
            file.set_len(0).ok();
        }
        // Closing is not enough: a child being forked at this moment has the descriptor too.
        flock(file, FlockOperation::Unlock).ok();
    }
}

fn open_to_write(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

/// Opens the lock file for a reader; makes it if need be and possible.
///
/// A folder that was written to has one, since every writer makes it. Where there is none and none
/// can be made, the folder is a read-only mount or copy, or an owner's whom we cannot keep out
/// in any case: reading it needs no lock, and evidence on a read-only disk must stay readable.
fn open_to_read(path: &Path) -> io::Result<Option<File>> {
    match OpenOptions::new().read(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened.map(Some),
    }
    match open_to_write(path) {
        Err(error) if is_read_only(&error) => Ok(None),
        opened => opened.map(Some),
    }
}

fn is_read_only(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
}

/// Writes our id into the lock file. A full disk must not keep a store from opening, so a failure
/// only costs the name in somebody's message.
fn name_holder(file: &File) {
    if file.set_len(0).is_ok() {
        file.write_all_at(format!("{}\n", process::id()).as_bytes(), 0).ok();
    }
}

/// The process that the lock file names, unless it is gone.
pub(super) fn holder(path: &Path) -> Option<u32> {
    let text = fs::read_to_string(path).ok()?;
    // Without the line end it may be the first digits of a longer id.
    let id: u32 = text.strip_suffix('\n')?.parse().ok()?;
    match test_kill_process(Pid::from_raw(i32::try_from(id).ok()?)?) {
        Err(Errno::SRCH) => None,
        _ => Some(id),
    }
}
