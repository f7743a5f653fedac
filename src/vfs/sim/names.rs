//! The simulated folders: which names there are, and which of them a crash may take back.
//!
//! A rename is one item, as in every file system with a journal, but it is durable only when both
//! folders are synced. What was done to one name becomes durable in its order: no crash keeps a
//! later change of a name and forgets an earlier one.

use std::collections::{BTreeMap, BTreeSet};

use super::crash::{SimChange, Verdict};
use crate::vfs::path;

/// A file, apart from its names.
pub(super) type InodeId = u64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    File(InodeId),
    Folder,
}

/// A change of names that no `sync_dir` has made durable.
#[derive(Clone, Debug)]
enum Pending {
    Make { path: String, entry: Entry },
    Remove { path: String },
    Rename { from: String, to: String, entry: Entry, from_synced: bool, to_synced: bool },
}

#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    /// Path to entry, for all folders; the store's own folder has none.
    live: BTreeMap<String, Entry>,
    durable: BTreeMap<String, Entry>,
    pending: Vec<Pending>,
}

impl Names {
    pub(super) fn get(&self, path: &str) -> Option<Entry> {
        if path.is_empty() { Some(Entry::Folder) } else { self.live.get(path).copied() }
    }

    pub(super) fn make(&mut self, path: &str, entry: Entry) {
        self.push(Pending::Make { path: path.to_owned(), entry });
    }

    pub(super) fn remove(&mut self, path: &str) {
        self.push(Pending::Remove { path: path.to_owned() });
    }

    pub(super) fn rename(&mut self, from: &str, to: &str, entry: Entry) {
        let (from, to) = (from.to_owned(), to.to_owned());
        self.push(Pending::Rename { from, to, entry, from_synced: false, to_synced: false });
    }

    fn push(&mut self, pending: Pending) {
        pending.apply(&mut self.live);
        self.pending.push(pending);
    }

    /// All files, sorted by path.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, InodeId)> {
        files_of(&self.live)
    }

    /// The names in `dir`, sorted; folders end with `/`.
    pub(super) fn list(&self, dir: &str) -> Vec<String> {
        let mut names: Vec<String> = self
            .live
            .iter()
            .filter(|(path, _)| path::parent(path) == dir)
            .map(|(path, entry)| {
                let name = path.rsplit('/').next().unwrap_or(path);
                let end = if *entry == Entry::Folder { "/" } else { "" };
                format!("{name}{end}")
            })
            .collect();
        names.sort_unstable();
        names
    }

    /// Every file that has a name or might get one back, with one of its names.
    pub(super) fn reachable(&self) -> BTreeMap<InodeId, &str> {
        let pending = self.pending.iter().filter_map(|pending| match pending {
            Pending::Make { path, entry: Entry::File(id) }
            | Pending::Rename { to: path, entry: Entry::File(id), .. } => {
                Some((path.as_str(), *id))
            }
            _ => None,
        });
        let named = pending.chain(files_of(&self.durable)).chain(self.files());
        named.map(|(path, id)| (id, path)).collect()
    }

    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// What a crash would ask about, in that order.
    pub(super) fn changes(&self) -> impl Iterator<Item = SimChange> {
        self.pending.iter().map(|pending| pending.change().1)
    }

    /// The names that are durable, in order.
    pub(super) fn durable(&self) -> impl Iterator<Item = (&str, Entry)> {
        self.durable.iter().map(|(path, entry)| (path.as_str(), *entry))
    }

    /// Makes the names in `dir` durable, and the name of `dir` itself.
    pub(super) fn sync(&mut self, dir: &str) {
        let due = self.pending.iter_mut().map(|pending| pending.synced(dir)).collect();
        self.settle(due);
    }

    /// The folders as a power cut leaves them.
    pub(super) fn after_crash(&self, verdict: &mut Verdict<'_>) -> Self {
        let mut after = self.clone();
        let ask = |pending: &Pending| {
            let (path, change) = pending.change();
            verdict.keeps(path, change)
        };
        let kept = self.pending.iter().map(ask).collect();
        after.settle(kept);
        after.pending.clear();
        after.drop_orphans();
        after.live.clone_from(&after.durable);
        after
    }

    /// Makes the `due` changes durable, and each earlier change of a name that one of them is of.
    fn settle(&mut self, mut due: Vec<bool>) {
        let mut settled = BTreeSet::new();
        for (pending, due) in self.pending.iter().zip(&mut due).rev() {
            let paths = pending.paths();
            *due |= paths.iter().flatten().any(|path| settled.contains(*path));
            if *due {
                settled.extend(paths.into_iter().flatten().map(str::to_owned));
            }
        }
        let mut due = due.into_iter();
        let durable = &mut self.durable;
        self.pending.retain(|pending| {
            let due = due.next().unwrap_or(false);
            if due {
                pending.apply(durable);
            }
            !due
        });
    }

    /// Forgets what is in folders that are not there. Sorted, a folder stands before its content.
    fn drop_orphans(&mut self) {
        let mut kept = BTreeMap::new();
        for (path, entry) in std::mem::take(&mut self.durable) {
            let parent = path::parent(&path);
            if parent.is_empty() || kept.get(parent) == Some(&Entry::Folder) {
                kept.insert(path, entry);
            }
        }
        self.durable = kept;
    }
}

impl Pending {
    fn apply(&self, names: &mut BTreeMap<String, Entry>) {
        match self {
            Self::Make { path, entry } => {
                names.insert(path.clone(), *entry);
            }
            Self::Remove { path } => {
                names.remove(path);
            }
            Self::Rename { from, to, entry, .. } => {
                names.remove(from);
                names.insert(to.clone(), *entry);
            }
        }
    }

    /// What it is to the one who decides about it.
    fn change(&self) -> (&str, SimChange) {
        match self {
            Self::Make { path, .. } => (path, SimChange::Made),
            Self::Remove { path } => (path, SimChange::Removed),
            Self::Rename { from, to, .. } => (from, SimChange::Renamed(to.clone())),
        }
    }

    /// The names it is about.
    fn paths(&self) -> [Option<&str>; 2] {
        match self {
            Self::Make { path, .. } | Self::Remove { path } => [Some(path), None],
            Self::Rename { from, to, .. } => [Some(from), Some(to)],
        }
    }

    /// Notes that `dir` is synced; whether that makes the change durable.
    fn synced(&mut self, dir: &str) -> bool {
        match self {
            Self::Make { path, .. } => path::parent(path) == dir || path == dir,
            Self::Remove { path } => path::parent(path) == dir,
            Self::Rename { from, to, from_synced, to_synced, .. } => {
                *from_synced |= path::parent(from) == dir;
                *to_synced |= path::parent(to) == dir;
                *from_synced && *to_synced
            }
        }
    }
}

fn files_of(names: &BTreeMap<String, Entry>) -> impl Iterator<Item = (&str, InodeId)> {
    names.iter().filter_map(|(path, entry)| match entry {
        Entry::File(id) => Some((path.as_str(), *id)),
        Entry::Folder => None,
    })
}
