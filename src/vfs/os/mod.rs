//! The real file system: a folder of a Linux file system, through `std::fs` and `rustix`.
//!
//! The only module that touches files, and the only one with `unsafe` (in `map`). It turns each
//! call of the trait into the system calls that keep its promise, and does nothing else: no
//! caching, no retrying of failed writes or syncs, no opinion on what a file means. New files get
//! the permissions that the process's umask leaves.

mod direct;
mod file;
mod lock;
mod map;
mod memory;
#[cfg(feature = "bench")]
pub(crate) mod raw;
#[cfg(feature = "bench")]
pub(crate) mod usage;

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;
use rustix::fs::{CWD, RenameFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::rand::GetRandomFlags;

use super::{Lock, Space, Vfs, VfsFile, path};
use file::{OsFile, Shared};
use lock::OsLock;

/// A store's folder on a real disk: what a store uses unless told otherwise.
#[derive(Debug)]
pub struct OsVfs {
    root: PathBuf,
    /// Folders whose own name this process has made durable. Only what was synced here counts: a
    /// folder found on opening may be the unsynced work of a process that was killed.
    named: Mutex<BTreeSet<String>>,
    /// Makes "is there one already" and "rename" one step, where the system cannot.
    renaming: Mutex<()>,
    /// For what goes past the page cache.
    shared: Shared,
}

impl OsVfs {
    /// The file system of the store in folder `root`. Touches no disk yet; `create_dir("")` makes
    /// the folder.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            named: Mutex::default(),
            renaming: Mutex::default(),
            shared: Shared::default(),
        }
    }

    fn file_path(&self, path: &str) -> io::Result<PathBuf> {
        Ok(self.root.join(path::file(path)?))
    }

    fn folder_path(&self, dir: &str) -> io::Result<PathBuf> {
        // Joining "" would add a slash, which people would see in messages.
        if dir.is_empty() { Ok(self.root.clone()) } else { self.file_path(dir) }
    }

    /// Makes a file of `len` bytes as `options` say.
    fn create_with(
        &self,
        path: &str,
        len: u64,
        options: &OpenOptions,
    ) -> io::Result<Arc<dyn VfsFile>> {
        let path = self.file_path(path)?;
        let file = OsFile::new(options.open(&path)?, &self.shared);
        match file.allocate(len) {
            Ok(()) => Ok(Arc::new(file)),
            Err(error) => {
                // A part-allocated file would be taken for a whole one later. That it could not
                // be filled is the error to report, also when it cannot be removed either.
                remove_file(&path).ok();
                Err(error)
            }
        }
    }

    /// Renames without replacing, for file systems that have no `RENAME_NOREPLACE`.
    ///
    /// Only the process with the store's lock renames, and this mutex keeps its threads apart. A
    /// hard link and an unlink would refuse an existing name by themselves, but a crash between
    /// the two leaves one file with two names: a spare that is also a live segment.
    #[expect(clippy::disallowed_methods, reason = "this is the module that touches files")]
    fn rename_checked(&self, from: &Path, to: &Path) -> io::Result<()> {
        let _renaming = self.renaming.lock();
        match fs::symlink_metadata(to) {
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::rename(from, to),
            Err(error) => Err(error),
        }
    }
}

/// A number that is as wide as the machine's words are.
fn word(number: impl TryInto<u64>) -> u64 {
    number.try_into().unwrap_or(u64::MAX)
}

impl Vfs for OsVfs {
    fn open(&self, path: &str, write: bool) -> io::Result<Arc<dyn VfsFile>> {
        let file = OpenOptions::new().read(true).write(write).open(self.file_path(path)?)?;
        if !file.metadata()?.is_file() {
            // The system opens a folder for reading, and only the first read would say so.
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Arc::new(OsFile::new(file, &self.shared)))
    }

    fn create(&self, path: &str, len: u64) -> io::Result<Arc<dyn VfsFile>> {
        self.create_with(path, len, OpenOptions::new().read(true).write(true).create_new(true))
    }

    fn create_private(&self, path: &str, len: u64) -> io::Result<Arc<dyn VfsFile>> {
        let mut options = OpenOptions::new();
        self.create_with(path, len, options.read(true).write(true).create_new(true).mode(0o600))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.file_path(from)?, self.file_path(to)?);
        match rustix::fs::renameat_with(CWD, &from, CWD, &to, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => self.rename_checked(&from, &to),
            done => Ok(done?),
        }
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        remove_file(&self.file_path(path)?)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.folder_path(dir)?)? {
            let entry = entry?;
            // A name that is not UTF-8 cannot be one of ours; made readable, it can be reported.
            let name = entry.file_name().into_string();
            let mut name = name.unwrap_or_else(|name| name.to_string_lossy().into_owned());
            // The folder tells what most names are. Links are followed: part of a store may be put
            // on another disk.
            let is_dir = match entry.file_type() {
                Ok(kind) if !kind.is_symlink() => kind.is_dir(),
                _ => fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_dir()),
            };
            if is_dir {
                name.push('/');
            }
            names.push(name);
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create_dir(&self, dir: &str) -> io::Result<()> {
        fs::create_dir_all(self.folder_path(dir)?)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.sync_dirs(&[dir])
    }

    fn sync_dirs(&self, dirs: &[&str]) -> io::Result<()> {
        let mut parents = BTreeSet::new();
        // Those below first: then they are there when the folders that have their names are synced.
        for dir in dirs.iter().copied().collect::<BTreeSet<_>>().into_iter().rev() {
            let folder = self.folder_path(dir)?;
            if !parents.contains(&folder) {
                sync_folder(&folder)?;
            }
            if self.named.lock().contains(dir) {
                continue;
            }
            // Part of a store may be put on another disk, and its name is there then.
            let is_here = fs::symlink_metadata(&folder)?.is_dir();
            match folder.parent().filter(|_| !dir.is_empty() && is_here) {
                Some(parent) if !parents.insert(parent.to_owned()) => {}
                Some(parent) => sync_folder(parent)?,
                None => match sync_folder(&folder.join("..")) {
                    // Whoever may not look into the parent folder did not make the store's folder
                    // in it.
                    Err(error)
                        if dir.is_empty() && error.kind() == io::ErrorKind::PermissionDenied => {}
                    done => done?,
                },
            }
            self.named.lock().insert(dir.to_owned());
        }
        Ok(())
    }

    fn beside(&self, other: &mut (dyn FnMut() + Send), own: &mut dyn FnMut()) {
        // Whoever begins it has it: the thread, or where there is none to be had, this one.
        let other = Mutex::new(other);
        let do_other = || (other.lock())();
        thread::scope(|scope| {
            let second = thread::Builder::new().spawn_scoped(scope, do_other);
            if second.is_err() {
                do_other();
            }
            own();
            second.ok().and_then(|second| second.join().ok());
        });
    }

    fn lock(&self, path: &str, exclusive: bool) -> io::Result<Box<dyn Lock>> {
        Ok(Box::new(OsLock::take(&self.file_path(path)?, exclusive)?))
    }

    fn lock_holder(&self, path: &str) -> Option<u32> {
        lock::holder(&self.file_path(path).ok()?)
    }

    fn space(&self) -> io::Result<Space> {
        let stat = rustix::fs::statvfs(&self.root)?;
        Ok(Space {
            free: stat.f_frsize.saturating_mul(stat.f_bavail),
            total: stat.f_frsize.saturating_mul(stat.f_blocks),
        })
    }

    fn memory_bytes(&self) -> Option<u64> {
        let info = rustix::system::sysinfo();
        Some(word(info.totalram).saturating_mul(u64::from(info.mem_unit)))
    }

    fn open_files_max(&self) -> Option<u64> {
        rustix::process::getrlimit(rustix::process::Resource::Nofile).current
    }

    fn random(&self, buf: &mut [u8]) -> io::Result<()> {
        let mut filled = 0;
        while filled < buf.len() {
            let rest = &mut buf[filled..];
            filled +=
                retry_on_intr(|| rustix::rand::getrandom(&mut *rest, GetRandomFlags::empty()))?;
        }
        Ok(())
    }

    fn display_path(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.root.clone() } else { self.root.join(path) }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the module that touches files")]
fn remove_file(path: &Path) -> io::Result<()> {
    fs::remove_file(path)
}

#[expect(clippy::disallowed_methods, reason = "this is the module that touches files")]
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests;
