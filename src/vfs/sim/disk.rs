//! The state of one simulated disk, behind one lock: files, names, locks, room, faults, counters.
//!
//! Each operation of the trait is one method here and takes effect at once and whole. A disk that
//! crashed answers everything with an error.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::sync::Arc;

use super::SimStats;
use super::content::BLOCK_BYTES;
use super::crash::{Fate, SimPending, Verdict};
use super::fault::{Faults, SimOp};
use super::garbage::{Dead, Garbage};
use super::inode::Inode;
use super::names::{Entry, InodeId, Names};
use super::rng::Rng;
use crate::vfs::{Space, path};

/// Room on a disk of which nothing else was said.
const CAPACITY_BYTES_DEFAULT: u64 = 1 << 40;

/// Who has a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    Writer,
    Readers(u64),
}

#[derive(Debug)]
pub(super) struct Disk {
    crashed: bool,
    /// Shared with forks until one changes it, as each file is.
    names: Arc<Names>,
    inodes: BTreeMap<InodeId, Arc<Inode>>,
    next_inode: InodeId,
    /// How many files and maps are open, by inode: they keep its bytes and its space.
    opens: BTreeMap<InodeId, u64>,
    /// Files that have lost their name: when nobody has one open and no crash can bring its name
    /// back, it is gone.
    loose: BTreeSet<InodeId>,
    locks: BTreeMap<String, Holder>,
    /// What deleted files left on the medium.
    dead: Dead,
    /// Whether garbage is bytes of deleted files.
    pub(super) show_deleted: bool,
    pub(super) capacity: u64,
    pub(super) faults: Faults,
    pub(super) stats: SimStats,
    /// For `random`, apart from the fates, so that drawing an id does not change a crash.
    entropy: Rng,
    fates: Rng,
}

impl Disk {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        Self {
            crashed: false,
            names: Arc::default(),
            inodes: BTreeMap::new(),
            next_inode: 1,
            opens: BTreeMap::new(),
            loose: BTreeSet::new(),
            locks: BTreeMap::new(),
            dead: Dead::default(),
            show_deleted: false,
            capacity: CAPACITY_BYTES_DEFAULT,
            faults: Faults::default(),
            stats: SimStats::default(),
            entropy: Rng::new(rng.next()),
            fates: Rng::new(rng.next()),
        }
    }

    /// The medium with another seed, nothing open on it and no names or files yet.
    fn bare(&self, seed: u64) -> Self {
        Self {
            next_inode: self.next_inode,
            dead: self.dead.clone(),
            show_deleted: self.show_deleted,
            capacity: self.capacity,
            ..Self::new(seed)
        }
    }

    /// A copy of what is durable and what is pending, with nothing open.
    pub(super) fn fork(&self, seed: u64) -> Self {
        let mut fork = self.bare(seed);
        fork.names = Arc::clone(&self.names);
        fork.inodes = self.inodes.clone();
        fork.crashed = self.crashed;
        fork.find_loose();
        fork
    }

    /// The seed of the next crash's choices.
    pub(super) fn draw(&mut self) -> u64 {
        self.fates.next()
    }

    /// Cuts the power: this disk fails from now on; what it leaves is returned.
    pub(super) fn crash(&mut self, choose: &mut dyn FnMut(&SimPending<'_>) -> Fate) -> Self {
        let seed = self.fates.next();
        let mut after = self.bare(seed);
        let dead = if self.show_deleted { self.dead.clone() } else { Dead::default() };
        let garbage = Garbage::new(dead, self.fates.next());
        let mut verdict = Verdict { choose, garbage };
        after.names = Arc::new(self.names.after_crash(&mut verdict));
        for (id, path) in self.names.reachable() {
            if let Some(inode) = self.inodes.get(&id) {
                let left = if inode.is_durable() {
                    Arc::clone(inode)
                } else {
                    Arc::new(inode.after_crash(path, &mut verdict))
                };
                after.inodes.insert(id, left);
            }
        }
        after.find_loose();
        self.crashed = true;
        after
    }

    /// How many things a crash would decide about.
    pub(super) fn pending(&self) -> usize {
        let ids = self.names.reachable().into_keys();
        let inodes = ids.filter_map(|id| self.inodes.get(&id));
        self.names.pending() + inodes.map(|inode| inode.pending()).sum::<usize>()
    }

    /// The same for the same durable names and files.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for (path, entry) in self.names.durable() {
            path.hash(&mut hasher);
            if let Entry::File(id) = entry {
                self.inodes.get(&id).map(|inode| inode.fingerprint()).hash(&mut hasher);
            }
        }
        hasher.finish()
    }

    pub(super) fn check_powered(&self) -> io::Result<()> {
        if self.crashed {
            Err(io::Error::other("simulated disk: the power was cut"))
        } else {
            Ok(())
        }
    }

    /// Starts an operation that can be made to fail.
    pub(super) fn begin(&mut self, op: SimOp, path: &str) -> io::Result<()> {
        self.check_powered()?;
        self.faults.strike(op, path)
    }

    /// The file of `id`: it exists for as long as somebody has it open.
    pub(super) fn inode(&self, id: InodeId) -> io::Result<&Inode> {
        let inode = self.inodes.get(&id).map(AsRef::as_ref);
        inode.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The same, to change it: apart from forks from now on.
    pub(super) fn inode_mut(&mut self, id: InodeId) -> io::Result<&mut Inode> {
        let inode = self.inodes.get_mut(&id).map(Arc::make_mut);
        inode.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn named(&self, path: &str) -> Option<&Inode> {
        match self.names.get(path)? {
            Entry::File(id) => self.inode(id).ok(),
            Entry::Folder => None,
        }
    }

    pub(super) fn named_mut(&mut self, path: &str) -> Option<&mut Inode> {
        match self.names.get(path)? {
            Entry::File(id) => self.inode_mut(id).ok(),
            Entry::Folder => None,
        }
    }

    /// The names, to change them: apart from forks from now on.
    fn names_mut(&mut self) -> &mut Names {
        Arc::make_mut(&mut self.names)
    }

    pub(super) fn files(&self) -> Vec<String> {
        self.names.files().map(|(path, _)| path.to_owned()).collect()
    }

    /// Finds a file by name and counts it as open until [`Disk::close`].
    pub(super) fn open(&mut self, path: &str) -> io::Result<InodeId> {
        self.check_powered()?;
        let id = self.find_file(path)?;
        self.share(id);
        Ok(id)
    }

    /// Counts one more user of an open file.
    pub(super) fn share(&mut self, id: InodeId) {
        *self.opens.entry(id).or_default() += 1;
    }

    pub(super) fn close(&mut self, id: InodeId) {
        if let Some(count) = self.opens.get_mut(&id) {
            *count -= 1;
            if *count == 0 {
                self.opens.remove(&id);
                if self.loose.contains(&id) {
                    self.forget_unreachable();
                }
            }
        }
    }

    pub(super) fn create(&mut self, path: &str, len: u64) -> io::Result<InodeId> {
        self.begin(SimOp::Create, path)?;
        self.check_new(path)?;
        let bytes = len.checked_next_multiple_of(BLOCK_BYTES).ok_or(io::ErrorKind::FileTooLarge)?;
        self.reserve(bytes)?;
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
        self.names_mut().rename(from, to, Entry::File(id));
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &str) -> io::Result<()> {
        self.begin(SimOp::Remove, path)?;
        let id = self.find_file(path)?;
        self.names_mut().remove(path);
        self.loose.insert(id);
        self.forget_unreachable();
        Ok(())
    }

    pub(super) fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.check_powered()?;
        self.check_folder(dir)?;
        Ok(self.names.list(dir))
    }

    pub(super) fn create_dir(&mut self, dir: &str) -> io::Result<()> {
        self.begin(SimOp::Create, dir)?;
        let ends = dir.match_indices('/').map(|(end, _)| end).chain([dir.len()]);
        for folder in ends.map(|end| &dir[..end]) {
            match self.names.get(folder) {
                None => self.names_mut().make(folder, Entry::Folder),
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
        self.faults.strike(SimOp::SyncDir, dir)?;
        self.names_mut().sync(dir);
        self.forget_unreachable();
        Ok(())
    }

    pub(super) fn lock(&mut self, path: &str, exclusive: bool) -> io::Result<()> {
        self.check_powered()?;
        if self.names.get(path).is_none() {
            let id = self.create(path, 0)?;
            self.close(id);
        }
        let holder = match (self.locks.get(path), exclusive) {
            (None, true) => Holder::Writer,
            (None, false) => Holder::Readers(1),
            (Some(Holder::Readers(count)), false) => Holder::Readers(count + 1),
            _ => return Err(io::ErrorKind::WouldBlock.into()),
        };
        self.locks.insert(path.to_owned(), holder);
        Ok(())
    }

    pub(super) fn unlock(&mut self, path: &str) {
        match self.locks.get_mut(path) {
            Some(Holder::Readers(count)) if *count > 1 => *count -= 1,
            _ => drop(self.locks.remove(path)),
        }
    }

    pub(super) fn has_writer(&self, path: &str) -> bool {
        self.locks.get(path) == Some(&Holder::Writer)
    }

    pub(super) fn space(&self) -> io::Result<Space> {
        self.check_powered()?;
        Ok(Space { free: self.capacity.saturating_sub(self.used()), total: self.capacity })
    }

    pub(super) fn random(&mut self, buf: &mut [u8]) -> io::Result<()> {
        self.check_powered()?;
        self.entropy.fill(buf);
        Ok(())
    }

    /// A number below `bound`, for a failure that leaves a part done.
    pub(super) fn choose(&mut self, bound: u64) -> u64 {
        self.fates.below(bound)
    }

    /// Fails unless `bytes` more can be allocated.
    pub(super) fn reserve(&self, bytes: u64) -> io::Result<()> {
        if bytes == 0 || bytes <= self.space()?.free {
            return Ok(());
        }
        Err(io::ErrorKind::StorageFull.into())
    }

    /// The space of all files that have a name or are open. What only a crash could bring back
    /// does not count, although its space then does again: `free` may drop to nothing.
    fn used(&self) -> u64 {
        let named = self.names.files().map(|(_, id)| id);
        let ids: BTreeSet<_> = named.chain(self.opens.keys().copied()).collect();
        let inodes = ids.iter().filter_map(|id| self.inodes.get(id));
        inodes.map(|inode| inode.live.allocated.count() * BLOCK_BYTES).sum()
    }

    fn find_file(&self, path: &str) -> io::Result<InodeId> {
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

    /// Finds the files without a name among all, after a fork or a crash.
    fn find_loose(&mut self) {
        let named: BTreeSet<_> = self.names.files().map(|(_, id)| id).collect();
        self.loose = self.inodes.keys().copied().filter(|id| !named.contains(id)).collect();
        self.forget_unreachable();
    }

    /// Forgets files that no name, no user and no crash can reach any more.
    fn forget_unreachable(&mut self) {
        if self.loose.is_empty() {
            return;
        }
        let reachable = self.names.reachable();
        let gone = |id: &InodeId| !self.opens.contains_key(id) && !reachable.contains_key(id);
        let gone: Vec<_> = self.loose.iter().copied().filter(gone).collect();
        for id in gone {
            self.loose.remove(&id);
            if let Some(inode) = self.inodes.remove(&id) {
                self.dead.bury(inode.remains());
            }
        }
    }
}
