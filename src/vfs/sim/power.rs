//! Cutting the power of a simulated disk, and copying the disk to cut it in more than one way.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::SimVfs;
use super::crash::{Fate, Fates, SimChange, SimPending, Verdict};
use super::disk::Disk;
use super::garbage::{Dead, Garbage};
use super::names::Entry;
use super::pattern::Pattern;

impl SimVfs {
    /// Cuts the power. Returns the disk as the next boot finds it: without locks, faults and
    /// counts, with its capacity and its bad sectors.
    ///
    /// This disk and all that is open on it fail from now on. Bytes already mapped stay readable.
    #[must_use]
    pub fn crash(&self) -> Self {
        let mut disk = self.disk.lock();
        let mut fates = Fates::new(disk.draw());
        Self::of(disk.crash(&mut |pending| fates.choose(&pending.change)))
    }

    /// The same, with the fate of each pending item chosen by the caller: names first, then the
    /// files by the order of their making, each in the order of what was done to it.
    #[must_use]
    pub fn crash_choosing(&self, choose: &mut dyn FnMut(&SimPending<'_>) -> Fate) -> Self {
        Self::of(self.disk.lock().crash(choose))
    }

    /// The same, the `n`th way that it can go. 0 keeps all that is pending, 1 drops all. Then,
    /// of up to six items, every choice of which are kept; of more, each one alone dropped and
    /// each one alone kept. Then each write torn in three ways and as zeros and garbage, with all
    /// others kept and dropped. From [`SimVfs::crash_patterns`] on, without end, mixtures
    /// drawn from `n`.
    #[must_use]
    pub fn crash_pattern(&self, n: u64) -> Self {
        self.crash_pattern_telling(n, &mut |_, _| {})
    }

    /// The same; `tell` hears what becomes of each pending item: for a person who replays a crash.
    #[must_use]
    pub fn crash_pattern_telling(
        &self,
        n: u64,
        tell: &mut dyn FnMut(&SimPending<'_>, Fate),
    ) -> Self {
        let items = self.disk.lock().changes();
        let mut pattern = Pattern::nth(n, &items);
        let mut item = 0..;
        self.crash_choosing(&mut |pending| {
            let item = item.next().unwrap_or(usize::MAX);
            let fate = pattern.fate(item, &pending.change);
            tell(pending, fate);
            fate
        })
    }

    /// How many crash patterns there are before the mixtures begin.
    #[must_use]
    pub fn crash_patterns(&self) -> u64 {
        Pattern::count(&self.disk.lock().changes())
    }

    /// How many things a power cut would decide about.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.disk.lock().pending()
    }

    /// A copy of this disk as it is now, durable and pending, that goes its own way and crashes by
    /// its own `seed`. Nothing is open or locked on it and no failure is ordered: it is also what
    /// a killed process leaves to the next one. Costs about one reference for each file. The copy
    /// of a disk without power has none.
    #[must_use]
    pub fn fork(&self, seed: u64) -> Self {
        Self::of(self.disk.lock().fork(seed))
    }

    /// A hash of what is durable: names, lengths, space, bytes and bad sectors, but not what is
    /// pending, nor the seed. Of two crashes of one disk with the same fingerprint, a test need
    /// look at one only.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.disk.lock().fingerprint()
    }
}

impl Disk {
    /// The medium with another seed, nothing open on it and no names or files yet.
    fn bare(&self, seed: u64) -> Self {
        let mut bare = Self::new(seed);
        bare.next_inode = self.next_inode;
        bare.dead = self.dead.clone();
        bare.show_deleted = self.show_deleted;
        bare.room = self.room.clone();
        bare.failed_sync = self.failed_sync;
        bare.history = self.history.clone();
        bare
    }

    /// A copy of what is durable and what is pending, with nothing open.
    pub(super) fn fork(&self, seed: u64) -> Self {
        let mut fork = self.bare(seed);
        fork.names = Arc::clone(&self.names);
        fork.inodes = self.inodes.clone();
        (fork.crashed, fork.read_only) = (self.crashed, self.read_only);
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
        after.history.note(|| "! the power is cut".to_owned());
        let noted = &mut after.history;
        let choose = &mut |pending: &SimPending<'_>| {
            let fate = choose(pending);
            noted.note(|| format!("! {fate:?}: {} {:?}", pending.path, pending.change));
            fate
        };
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

    /// The same things, in the order in which a crash asks about them.
    fn changes(&self) -> Vec<SimChange> {
        let ids = self.names.reachable().into_keys();
        let inodes = ids.filter_map(|id| self.inodes.get(&id));
        self.names.changes().chain(inodes.flat_map(|inode| inode.changes())).collect()
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

    /// Finds the files without a name among all, after a fork or a crash.
    fn find_loose(&mut self) {
        let named: BTreeSet<_> = self.names.files().map(|(_, id)| id).collect();
        self.loose = self.inodes.keys().copied().filter(|id| !named.contains(id)).collect();
        self.forget_unreachable();
    }
}
