//! The files of dropped segments that are kept for new ones: all zeros, allocated, in `spare/`.
//!
//! Where the file system discards what it frees, removing a file stalls the disk for everybody;
//! zeroing it in place does not, and the next segment needs no room. The gate puts files in, new
//! segments take them out. What is kept is room, not data: it is given up, file by file, before
//! anything expires early and whenever something else has no room. None of it is believed: opening
//! takes over only what the file system says is free of data.
//!
//! Where none is kept, one is made ahead when a segment is full, and kept under its own name. What
//! is more than may be kept is given back, in steps (see `surplus`).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use crate::barrier::Barrier;
use crate::format::name::{self, SpareName};
use crate::log::Segment;
use crate::types::{Result, SegmentId};
use crate::vfs::VfsFile;

use super::Inner;
use super::gate::sync_zeros;

/// At most so many files are kept, because opening looks at each.
const FILES_MAX: u64 = 64;
/// They take at most this part of the file system.
const PART: u64 = 8;

/// A file that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kept {
    /// Made ahead for the next segment; nothing was ever in it.
    Next,
    /// That of a dropped segment.
    Of(SegmentId),
}

impl Kept {
    fn path(self) -> String {
        match self {
            Self::Next => name::spare(SpareName::Next),
            Self::Of(segment) => reuse_path(segment),
        }
    }
}

/// The files; all are as long as a new segment is.
#[derive(Debug, Default)]
pub(super) struct Reuse {
    /// Zeroed for good, or as new.
    kept: BTreeSet<Kept>,
    /// More than are kept, zeroed for good as well, and how much is left of each.
    pub(super) surplus: BTreeMap<SegmentId, u64>,
    /// In `spare/`, not zeroed, to be removed.
    unwanted: BTreeSet<SegmentId>,
    /// The file system zeroes no ranges.
    refused: bool,
}

/// What a removal may add.
#[derive(Debug, Default)]
pub(super) struct ReuseRoom {
    /// How many are kept at most.
    pub(super) kept_max: u64,
    /// How many more may be zeroed, to be kept or given back in steps.
    files: u64,
    /// What the quota leaves beside all segments and files.
    quota_bytes: Option<u64>,
    /// What is free above the floor: what was given back of a file is allocated again.
    free_bytes: u64,
}

/// What is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A segment or a part of the index, which count against the quota.
    InQuota(u64),
    /// Something else.
    Beside(u64),
}

impl Reuse {
    /// The file of `segment` comes to `spare/`: until it is zeroed, it must go.
    pub(super) fn note_renamed(&mut self, segment: SegmentId) {
        self.unwanted.insert(segment);
    }

    /// It did not: it was removed where it was.
    pub(super) fn note_removed(&mut self, segment: SegmentId) {
        self.unwanted.remove(&segment);
    }

    /// Whether the file of `segment` may be in `spare/` with its bytes.
    pub(super) fn is_unwanted(&self, segment: SegmentId) -> bool {
        self.unwanted.contains(&segment)
    }

    /// It is all zeros for good, and of `bytes`; no more than `kept_max` are kept.
    pub(super) fn note_zeroed(&mut self, segment: SegmentId, bytes: u64, kept_max: u64) {
        self.unwanted.remove(&segment);
        if self.kept_count() < kept_max {
            self.kept.insert(Kept::Of(segment));
        } else {
            self.surplus.insert(segment, bytes);
        }
    }

    fn kept_count(&self) -> u64 {
        u64::try_from(self.kept.len()).unwrap_or(u64::MAX)
    }

    /// Takes a file of `bytes` off the list, for a new segment; and whether anybody has looked into
    /// it.
    fn take(&mut self, bytes: u64) -> Option<(Kept, bool)> {
        let kept = self.kept.pop_first().map(|kept| (kept, true));
        kept.or_else(|| {
            let whole = self.surplus.iter().find(|(_, left)| **left == bytes);
            let segment = *whole?.0;
            self.surplus.remove(&segment);
            Some((Kept::Of(segment), false))
        })
    }

    /// Takes a file off the list that is to go: first what goes anyway.
    fn take_last(&mut self) -> Option<Kept> {
        let surplus = self.surplus.pop_last().map(|(segment, _)| Kept::Of(segment));
        surplus.or_else(|| self.kept.pop_first())
    }

    /// No other file need be tried.
    pub(super) fn note_refused(&mut self) {
        self.refused = true;
    }
}

pub(super) fn reuse_path(segment: SegmentId) -> String {
    name::spare(SpareName::Reuse(segment.0))
}

impl Inner {
    /// The bytes of all files that are kept, and what is left of those that are given back.
    pub(super) fn reuse_bytes(&self) -> u64 {
        let reuse = self.reuse.lock();
        let surplus: u64 = reuse.surplus.values().sum();
        reuse.kept_count().saturating_mul(self.options.segment_bytes).saturating_add(surplus)
    }

    /// How many files may be kept in all, on a file system of `total_bytes`.
    pub(super) fn reuse_files_max(&self, total_bytes: u64) -> u64 {
        let bytes_max = self.options.reuse_max.min(total_bytes / PART);
        (bytes_max / self.options.segment_bytes).min(FILES_MAX)
    }

    /// How many more files may be zeroed: none where the disk is short of room, but for one that
    /// somebody waits for, and else as many as there are, since what is more than is kept is given
    /// back.
    pub(super) fn reuse_room(&self) -> ReuseRoom {
        let (has_any, refused) = {
            let reuse = self.reuse.lock();
            (!reuse.kept.is_empty() || !reuse.surplus.is_empty(), reuse.refused)
        };
        let Some(space) = self.disk_space().ok().filter(|_| !refused) else {
            return ReuseRoom::default();
        };
        let kept_max = self.reuse_files_max(space.total);
        let is_short = space.free < self.options.free_space_floor;
        let files = match (kept_max, is_short) {
            (0, _) => 0,
            (_, true) => u64::from(!has_any),
            (_, false) => u64::MAX,
        };
        let taken = || self.taken_bytes().saturating_add(self.reuse_bytes());
        let quota_bytes = self.options.quota.map(|quota| quota.saturating_sub(taken()));
        let free_bytes = space.free.saturating_sub(self.options.free_space_floor);
        ReuseRoom { kept_max, files, quota_bytes, free_bytes }
    }

    /// Whether the file of a segment that goes can be another's: one that was damaged, or that the
    /// disk once failed to write, cannot, nor can one that somebody reads.
    pub(super) fn is_reusable(&self, segment: &Segment, room: &mut ReuseRoom) -> bool {
        let bytes = self.options.segment_bytes;
        if room.files == 0 || segment.header.segment_bytes != bytes || segment.is_in_use() {
            return false;
        }
        let file_bytes = {
            let (history, catalog) = (self.history.read(), self.catalog.read());
            let harmed =
                history.suspect.contains_key(&segment.id) || catalog.damaged.contains(&segment.id);
            let shelved = catalog.segments.get(&segment.id).filter(|_| !harmed);
            let Some(shelved) = shelved else { return false };
            shelved.file_bytes
        };
        // What was given back of it is allocated again.
        let quota_bytes = room.quota_bytes.map(|left| (left + file_bytes).checked_sub(bytes));
        let free_bytes = room.free_bytes.checked_sub(bytes.saturating_sub(file_bytes));
        let fits = quota_bytes != Some(None) && free_bytes.is_some();
        if !fits || !segment.file.len().is_ok_and(|len| len == bytes) {
            return false;
        }
        room.files -= 1;
        room.quota_bytes = quota_bytes.flatten();
        room.free_bytes = free_bytes.unwrap_or(0);
        true
    }

    /// Takes over the file that was found in `spare/` if it can be used again: it is as long as a
    /// segment, allocated, and nothing in it was ever written since it was zeroed. So what a crash
    /// left half zeroed does not count, nor does a file to which a crash gave this name back while
    /// it is a segment: that has a header. A process that was killed may have zeroed it and not
    /// synced it: that is done first, because the drop of that segment goes on record now. What
    /// does not count is removed later in the opening, and stays while nothing is deleted.
    ///
    /// Where `kept_max` are kept already and the drop is on record, it is zeroed, and nobody looks.
    pub(super) fn keep_found(&self, number: u32, kept_max: u64) {
        let (segment, bytes) = (SegmentId(number), self.options.segment_bytes);
        let is_dropped =
            self.deletion_frozen().is_none() && !self.history.read().expired.contains_key(&segment);
        let is_full = self.reuse.lock().kept_count() >= kept_max;
        let is_surplus = kept_max > 0 && is_full && is_dropped;
        let is_zeroed = |file: &dyn VfsFile| sync_zeros(file).is_ok();
        let found = || self.find_blank(Kept::Of(segment)).is_some_and(|file| is_zeroed(&*file));
        let keeps = kept_max > 0 && (is_surplus || found());
        let mut reuse = self.reuse.lock();
        if keeps {
            reuse.note_zeroed(segment, bytes, kept_max);
        } else {
            reuse.unwanted.insert(segment);
        }
    }

    /// The same of the file that was made ahead: it was no segment, and has nothing to be synced.
    pub(super) fn keep_found_next(&self, kept_max: u64) {
        let may = self.reuse.lock().kept_count() < kept_max;
        if may && self.find_blank(Kept::Next).is_some() {
            self.reuse.lock().kept.insert(Kept::Next);
        } else {
            // It never had a clip. One that stays is found again.
            self.vfs.remove(&Kept::Next.path()).ok();
        }
    }

    /// The file, if it has nothing that anybody wrote.
    fn find_blank(&self, kept: Kept) -> Option<Arc<dyn VfsFile>> {
        let file = self.vfs.open(&kept.path(), false).ok();
        file.filter(|file| is_blank(&**file, self.options.segment_bytes).unwrap_or(false))
    }

    /// Makes a file for the next segment, if none is kept and there is room that nobody else wants:
    /// when the open segment is full, everybody waits for the new one. Nothing is promised of it,
    /// so nothing is synced, and it gives way as all that are kept do.
    ///
    /// Its name belongs to whoever made it, then to the list of those that are kept, then to
    /// whoever took it from there, until it is renamed or removed: nobody else may remove it, or
    /// the next who makes one would have another file renamed in its place.
    pub(super) fn make_ahead(&self) {
        let bytes = self.options.segment_bytes;
        let room = self.reuse_room();
        let fits = room.files > 0
            // One more may be on its way to be a segment, and count as neither.
            && room.quota_bytes.is_none_or(|left| left >= bytes.saturating_mul(2))
            && room.free_bytes >= bytes.saturating_mul(2);
        let has_any = {
            let reuse = self.reuse.lock();
            !reuse.kept.is_empty() || !reuse.surplus.is_empty()
        };
        if !fits || has_any {
            return;
        }
        // What fails leaves nothing behind: somebody else makes one, or its room is gone, or
        // whatever it was; whoever needs the next segment is told.
        if self.vfs.create(&Kept::Next.path(), bytes).is_ok() {
            self.reuse.lock().kept.insert(Kept::Next);
        }
    }

    /// A file of `bytes` for a new segment, and its name.
    pub(super) fn take_reusable(&self, bytes: u64) -> Option<(String, Arc<dyn VfsFile>)> {
        if bytes != self.options.segment_bytes {
            return None;
        }
        loop {
            let (kept, is_known) = self.reuse.lock().take(bytes)?;
            let path = kept.path();
            // Where somebody has read a file, zeros in the page cache may look like data.
            let fits = |file: &dyn VfsFile| {
                if is_known {
                    file.len().is_ok_and(|len| len == bytes)
                } else {
                    is_blank(file, bytes).unwrap_or(false)
                }
            };
            match self.vfs.open(&path, true) {
                Ok(file) if fits(&*file) => return Some((path, file)),
                _ => self.let_go(kept),
            }
        }
    }

    /// A file that is no use, and was taken from the list, is removed: that of a segment with the
    /// next drop, and counted by nobody until then.
    fn let_go(&self, kept: Kept) {
        match kept {
            Kept::Of(segment) => self.reuse.lock().note_renamed(segment),
            Kept::Next => drop(self.vfs.remove(&kept.path())),
        }
    }

    /// Makes a file; where the disk has no room for it, in that of files that are kept.
    pub(super) fn create_file(&self, path: &str, len: u64) -> io::Result<Arc<dyn VfsFile>> {
        loop {
            let made = self.vfs.create(path, len);
            let is_full =
                made.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::StorageFull);
            if !is_full || !self.is_short_of(len) || !self.give_up_one() {
                return made;
            }
        }
    }

    /// Gives up as many files as it takes for what is `wanted`, and no more than are there.
    pub(super) fn give_way(&self, wanted: Wanted) {
        let Ok(space) = self.disk_space() else { return };
        let (quota_bytes, disk_bytes) = match wanted {
            Wanted::InQuota(bytes) => (bytes, bytes),
            Wanted::Beside(bytes) => (0, bytes),
        };
        let needed = self.options.free_space_floor.saturating_add(disk_bytes);
        let mut free = space.free;
        loop {
            let taken = || self.taken_bytes().saturating_add(self.reuse_bytes());
            let over = |quota: u64| taken().saturating_add(quota_bytes) > quota;
            let is_short = free < needed || self.options.quota.is_some_and(over);
            if !is_short || !self.give_up_one() {
                return;
            }
            // Some file systems count what was removed only later.
            free = free.saturating_add(self.options.segment_bytes);
        }
    }

    /// Whether the store's own file system may be what has no room for `bytes`: the ledger's second
    /// copy, or the index, may be on another disk, which no file in `spare/` helps.
    pub(super) fn is_short_of(&self, bytes: u64) -> bool {
        let enough = bytes.saturating_add(self.options.segment_bytes);
        !self.disk_space().is_ok_and(|space| space.free >= enough)
    }

    /// Gives up one file; whether there was one.
    pub(super) fn give_up_one(&self) -> bool {
        let Some(kept) = self.reuse.lock().take_last() else { return false };
        let path = kept.path();
        if let Err(error) = self.vfs.remove(&path) {
            self.let_go(kept);
            self.survived(self.io("remove spare", &path, error));
        }
        true
    }

    /// Removes the files that came to `spare/` and were not zeroed, for good when it returns: what
    /// is in them has expired. While nothing may be deleted, they stay.
    pub(super) fn remove_unwanted(&self) -> Result<()> {
        let unwanted = self.reuse.lock().unwanted.clone();
        if unwanted.is_empty() || self.deletion_frozen().is_some() {
            return Ok(());
        }
        for segment in &unwanted {
            let path = reuse_path(*segment);
            match self.vfs.remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(self.io("remove spare", &path, error));
                }
                _ => {}
            }
        }
        Barrier::ReuseGoneSync
            .sync(|| self.vfs.sync_dir(name::SPARE))
            .map_err(|error| self.io("sync folder", name::SPARE, error))?;
        self.reuse.lock().unwanted.retain(|segment| !unwanted.contains(segment));
        Ok(())
    }
}

/// Whether a file is of `bytes`, all allocated, and has nothing that anybody wrote.
pub(super) fn is_blank(file: &dyn VfsFile, bytes: u64) -> io::Result<bool> {
    Ok(file.len()? == bytes && file.allocated()? >= bytes && file.written_from(0)?.is_none())
}

#[cfg(test)]
mod tests {
    use crate::store::Store;
    use crate::vfs::Vfs as _;
    use crate::vfs::sim::SimVfs;

    const SEGMENT_BYTES: u64 = 4 << 20;

    /// Two classes may be full at the same time: while one has taken the file and writes its
    /// header, the other one makes the next file ahead.
    #[test]
    fn a_file_that_was_taken_keeps_its_name_until_it_is_a_segment() {
        let disk = SimVfs::new(1);
        let options = Store::options().vfs(disk.clone()).segment_bytes(SEGMENT_BYTES);
        let store = options.evidence_reserve(0).free_space_floor(0).open("store").unwrap();
        store.inner.make_ahead();
        let (path, file) = store.inner.take_reusable(SEGMENT_BYTES).unwrap();
        (0..2).for_each(|_| store.inner.make_ahead());
        file.write_at(0, &[b"a header"]).unwrap();
        assert_eq!(disk.contents(&path).unwrap()[..8], *b"a header", "another file has its name");
        assert!(store.inner.take_reusable(SEGMENT_BYTES).is_none(), "there is one file");
        disk.rename(&path, "segments/0000-00000007.seg").unwrap();
        store.inner.make_ahead();
        assert!(store.inner.take_reusable(SEGMENT_BYTES).is_some());
    }
}
