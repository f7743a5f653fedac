//! What the simulated disk does with names: make, rename, remove, list, sync.
//!
//! Each method is one call of `Vfs` and takes effect at once and whole.

use std::io;
use std::sync::Arc;

use super::content::BLOCK_BYTES;
use super::disk::Disk;
use super::fault::SimOp;
use super::inode::Inode;
use super::names::{Entry, InodeId};
use crate::vfs::path;

impl Disk {
    pub(super) fn create(&mut self, path: &str, len: u64) -> io::Result<InodeId> {
        self.begin(SimOp::Create, path)?;
        self.check_new(path)?;
        let bytes = len.checked_next_multiple_of(BLOCK_BYTES).ok_or(io::ErrorKind::FileTooLarge)?;
        self.reserve(bytes)?;
        self.take_name()?;
        let id = self.next_inode;
        self.next_inode += 1;
        self.inodes.insert(id, Arc::new(Inode::allocate(len)));
        self.names_mut().make(path, Entry::File(id));
        self.share(id);
        Ok(id)
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.begin(SimOp::Rename, from)?;
        // Both folders before both names, as systems do.
        self.check_folder(path::parent(from))?;
        self.check_folder(path::parent(to))?;
        let id = self.find_file(from)?;
        self.check_new(to)?;
        self.copy_on_write(1)?;
        self.names_mut().rename(from, to, Entry::File(id));
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &str) -> io::Result<()> {
        self.begin(SimOp::Remove, path)?;
        let id = self.find_file(path)?;
        self.copy_on_write(1)?;
        self.names_mut().remove(path);
        self.give_name();
        self.loose.insert(id);
        self.forget_unreachable();
        Ok(())
    }

    pub(super) fn list(&mut self, dir: &str) -> io::Result<Vec<String>> {
        self.begin(SimOp::List, dir)?;
        self.check_folder(dir)?;
        Ok(self.names.list(dir))
    }

    pub(super) fn create_dir(&mut self, dir: &str) -> io::Result<()> {
        self.begin(SimOp::Create, dir)?;
        let ends = dir.match_indices('/').map(|(end, _)| end).chain([dir.len()]);
        for folder in ends.map(|end| &dir[..end]) {
            match self.names.get(folder) {
                None => {
                    self.take_name()?;
                    self.names_mut().make(folder, Entry::Folder);
                }
                Some(Entry::Folder) => {}
                Some(Entry::File(_)) if folder == dir => {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                Some(Entry::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
            }
        }
        Ok(())
    }

    pub(super) fn sync_dir(&mut self, dir: &str) -> io::Result<()> {
        self.stats.dir_syncs += 1;
        self.check_powered()?;
        self.check_folder(dir)?;
        self.begin(SimOp::SyncDir, dir)?;
        self.names_mut().sync(dir);
        self.forget_unreachable();
        self.commit();
        Ok(())
    }

    pub(super) fn find_file(&self, path: &str) -> io::Result<InodeId> {
        self.check_folder(path::parent(path))?;
        match self.names.get(path) {
            Some(Entry::File(id)) => Ok(id),
            Some(Entry::Folder) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn check_new(&self, path: &str) -> io::Result<()> {
        self.check_folder(path::parent(path))?;
        match self.names.get(path) {
            None => Ok(()),
            Some(_) => Err(io::ErrorKind::AlreadyExists.into()),
        }
    }

    fn check_folder(&self, dir: &str) -> io::Result<()> {
        match self.names.get(dir) {
            Some(Entry::Folder) => Ok(()),
            Some(Entry::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => {
                // Looked up part by part: the first that is no folder decides.
                self.check_folder(path::parent(dir))?;
                Err(io::ErrorKind::NotFound.into())
            }
        }
    }
}
