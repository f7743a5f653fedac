//! What opening reads while the ledger is replayed, on a thread of its own where there is one.
//!
//! The names in the store's folders are made durable and listed. Then the newest file of each class
//! (of up to [`CLASSES_MAX`]) is read, which mostly is the one that is not sealed, and has to be
//! scanned. The heads of the index are read by whoever comes to them first. None of it looks at
//! what the ledger says, and nothing is decided here: what counts, recovery says when both are
//! done.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use crate::format::name;
use crate::log::FoundSegment;
use crate::types::{ClassId, Error, ErrorKind, Result, SegmentId};
use crate::vfs::Vfs;

use super::folder::keep_names;
use super::partitions::Heads;

/// Of so many classes the newest file is read ahead, so that little is in memory.
const CLASSES_MAX: usize = 8;

/// Reads ahead in a store.
#[derive(Debug)]
pub(super) struct Ahead<'a> {
    vfs: &'a dyn Vfs,
    store: [u8; 16],
    heads: OnceLock<Result<Heads>>,
}

/// What was found in the folder of segments; nothing where nobody looked ahead.
#[derive(Debug, Default)]
pub(super) struct FoundFiles {
    /// The names in it.
    pub(super) names: Option<Vec<String>>,
    /// The files that were read, or why they could not be.
    read: BTreeMap<(ClassId, SegmentId), Result<FoundSegment>>,
}

impl<'a> Ahead<'a> {
    pub(super) fn of(vfs: &'a dyn Vfs, store: [u8; 16]) -> Self {
        Self { vfs, store, heads: OnceLock::new() }
    }

    /// Finds what is in the folders of a store that is to be written to, and does `beside`, which
    /// looks into none of those whose names are synced.
    ///
    /// # Errors
    ///
    /// When the names could not be made durable or listed: none of what was found counts.
    pub(super) fn find(&self, beside: &mut dyn FnMut()) -> Result<FoundFiles> {
        let mut found = None;
        self.vfs.beside(&mut || found = Some(self.find_files()), beside);
        found.unwrap_or_else(|| {
            Err(Error::new(ErrorKind::Io, "open store: the thread that reads ahead panicked"))
        })
    }

    fn find_files(&self) -> Result<FoundFiles> {
        let names = keep_names(self.vfs)?;
        let mut newest: BTreeMap<ClassId, SegmentId> = BTreeMap::new();
        for (class, id) in names.iter().filter_map(|found| name::parse_segment(found)) {
            let known = newest.entry(class).or_insert(id);
            *known = id.max(*known);
        }
        let read = |named| (named, FoundSegment::read(self.vfs, named, &self.store, true));
        let read = newest.into_iter().take(CLASSES_MAX).map(read).collect();
        self.read_heads();
        Ok(FoundFiles { names: Some(names), read })
    }

    /// Reads the heads of the index, unless somebody does already: then waits for that.
    pub(super) fn read_heads(&self) {
        self.heads.get_or_init(|| Heads::read(self.vfs, &self.store));
    }

    /// The heads of the index.
    ///
    /// # Errors
    ///
    /// When the folder cannot be listed.
    pub(super) fn into_heads(self) -> Result<Heads> {
        self.read_heads();
        self.heads.into_inner().unwrap_or_else(|| unreachable!("they were read"))
    }
}

impl FoundFiles {
    /// The file of this class and id, if it was read.
    pub(super) fn take(&mut self, named: (ClassId, SegmentId)) -> Option<Result<FoundSegment>> {
        self.read.remove(&named)
    }
}
