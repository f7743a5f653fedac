//! The state of one simulated disk, behind one lock: files, names, locks, room, faults, counters.
//!
//! Owns who uses which file and when an operation fails; what operations do is in `folders` and
//! `data`. A disk that crashed answers everything with an error.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use rustix::io::Errno;

use super::SimStats;
use super::content::BLOCK_BYTES;
use super::fault::{Effect, Faults, SimOp, SyncFailure};
use super::garbage::Dead;
use super::history::History;
use super::inode::Inode;
use super::locks::Locks;
use super::names::{Entry, InodeId, Names};
use super::rng::Rng;
use super::room::Room;
use super::slow::Delays;

#[derive(Debug)]
pub(super) struct Disk {
    pub(super) crashed: bool,
    /// No change is taken any more, as after an error that a file system could not live with.
    pub(super) read_only: bool,
    /// Shared with forks until one changes it, as each file is.
    pub(super) names: Arc<Names>,
    pub(super) inodes: BTreeMap<InodeId, Arc<Inode>>,
    pub(super) next_inode: InodeId,
    /// How many files and maps are open, by inode: they keep its bytes and its space.
    opens: BTreeMap<InodeId, u64>,
    /// How many maps of each file are alive.
    maps: BTreeMap<InodeId, u64>,
    /// Files that have lost their name: when nobody has one open and no crash can bring its name
    /// back, it is gone.
    pub(super) loose: BTreeSet<InodeId>,
    locks: Locks,
    /// What deleted files left on the medium.
    pub(super) dead: Dead,
    /// Whether garbage is bytes of deleted files.
    pub(super) show_deleted: bool,
    pub(super) room: Room,
    pub(super) failed_sync: SyncFailure,
    pub(super) faults: Faults,
    pub(super) delays: Delays,
    pub(super) stats: SimStats,
    pub(super) history: History,
    /// For `random`, apart from the fates, so that drawing an id does not change a crash.
    entropy: Rng,
    pub(super) fates: Rng,
}

impl Disk {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let (entropy, fates) = (Rng::new(rng.next()), Rng::new(rng.next()));
        Self {
            crashed: false,
            read_only: false,
            names: Arc::default(),
            inodes: BTreeMap::new(),
            next_inode: 1,
            opens: BTreeMap::new(),
            maps: BTreeMap::new(),
            loose: BTreeSet::new(),
            locks: Locks::default(),
            dead: Dead::default(),
            show_deleted: false,
            room: Room::default(),
            failed_sync: SyncFailure::default(),
            faults: Faults::new(rng.next()),
            delays: Delays::default(),
            stats: SimStats::default(),
            history: History::default(),
            entropy,
            fates,
        }
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
        let struck = self.strike(op)?;
        self.outcome(struck, op, path)
    }

    /// The same, with what goes wrong still to be done.
    pub(super) fn strike(&mut self, op: SimOp) -> io::Result<Option<Effect>> {
        self.check_powered()?;
        self.delays.wait(op);
        if self.read_only && !op.only_looks() {
            return Err(Errno::ROFS.into());
        }
        Ok(self.faults.strike(op))
    }

    /// What a failure means for the operation itself.
    pub(super) fn outcome(
        &mut self,
        struck: Option<Effect>,
        op: SimOp,
        path: &str,
    ) -> io::Result<()> {
        match struck {
            None | Some(Effect::Damage(_)) => Ok(()),
            Some(Effect::Fail(kind)) => {
                Err(io::Error::new(kind, format!("simulated fault: {op:?} of {path}")))
            }
            Some(Effect::ReadOnly) => {
                self.read_only = true;
                Err(Errno::ROFS.into())
            }
        }
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

    /// The files that have a name.
    pub(super) fn named_inodes(&self) -> impl Iterator<Item = (InodeId, &Inode)> {
        self.names.files().filter_map(|(_, id)| Some((id, self.inode(id).ok()?)))
    }

    /// A file's name, for messages.
    pub(super) fn path_of(&self, id: InodeId) -> String {
        let found = self.names.files().find(|(_, named)| *named == id);
        found.map_or_else(String::new, |(path, _)| path.to_owned())
    }

    /// The names, to change them: apart from forks from now on.
    pub(super) fn names_mut(&mut self) -> &mut Names {
        Arc::make_mut(&mut self.names)
    }

    pub(super) fn files(&self) -> Vec<String> {
        self.names.files().map(|(path, _)| path.to_owned()).collect()
    }

    /// Finds a file by name and counts it as open until [`Disk::close`].
    pub(super) fn open(&mut self, path: &str, write: bool) -> io::Result<InodeId> {
        self.begin(SimOp::Open, path)?;
        let id = self.find_file(path)?;
        if write && self.read_only {
            return Err(Errno::ROFS.into());
        }
        self.share(id);
        Ok(id)
    }

    /// Counts one more user of an open file.
    pub(super) fn share(&mut self, id: InodeId) {
        *self.opens.entry(id).or_default() += 1;
    }

    /// Counts one more map, which uses the file too.
    pub(super) fn share_map(&mut self, id: InodeId) {
        self.share(id);
        *self.maps.entry(id).or_default() += 1;
        self.stats.maps += 1;
    }

    /// One map less; what it used of the file is let go apart from it.
    pub(super) fn unmap(&mut self, id: InodeId) {
        if let Some(count) = self.maps.get_mut(&id) {
            *count -= 1;
            self.stats.maps -= 1;
        }
    }

    /// What the promise of a map forbids as long as there is one.
    pub(super) fn check_unmapped(&self, id: InodeId) -> io::Result<()> {
        match self.maps.get(&id) {
            None | Some(0) => Ok(()),
            Some(_) => Err(io::ErrorKind::ResourceBusy.into()),
        }
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

    pub(super) fn lock(&mut self, path: &str, exclusive: bool) -> io::Result<()> {
        self.check_powered()?;
        if self.names.get(path).is_none() {
            let id = self.create(path, 0)?;
            self.close(id);
        }
        self.locks.take(path, exclusive)
    }

    pub(super) fn unlock(&mut self, path: &str) {
        self.locks.give_back(path);
    }

    pub(super) fn has_writer(&self, path: &str) -> bool {
        self.locks.has_writer(path)
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

    /// The space of all files that have a name or are open. What only a crash could bring back
    /// does not count, although its space then does again: `free` may drop to nothing.
    pub(super) fn used(&self) -> u64 {
        let named = self.names.files().map(|(_, id)| id);
        let ids: BTreeSet<_> = named.chain(self.opens.keys().copied()).collect();
        let inodes = ids.iter().filter_map(|id| self.inodes.get(id));
        inodes.map(|inode| inode.live.allocated.count() * BLOCK_BYTES).sum()
    }

    /// Forgets files that no name, no user and no crash can reach any more.
    pub(super) fn forget_unreachable(&mut self) {
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
