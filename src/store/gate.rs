//! The gate: the one place that can remove the bytes of clips.
//!
//! [`Inner::remove`] is the only function in the crate that removes or zeroes a segment's file or
//! punches records out of one, and it takes a [`Gone`], which only [`Inner::check_gone`] can make:
//! after it has found that nothing in there belongs to a clip that can be read.
//! Expiry, quota, a full disk, the owner's delete and recovery all come through here. There is no
//! flag and no role that goes around it.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use crate::barrier::Barrier;
use crate::format::entry::{CLIPS_PER_ENTRY_MAX, Decision};
use crate::format::footer::RecordRef;
use crate::format::{BLOCK_BYTES, name};
use crate::log::Segment;
use crate::types::{ClipId, Error, ErrorKind, Result, SegmentId};
use crate::vfs::VfsFile;

use super::Inner;
use super::reuse::{ReuseRoom, is_blank, reuse_path};

/// So many files lose their names and are zeroed before their drops go on record.
const TOGETHER_MAX: usize = 256;

/// What is to be removed.
#[derive(Debug)]
pub(super) enum Removal {
    /// The whole file.
    File(Arc<Segment>),
    /// The records of these clips in a segment that stays.
    Clips(Arc<Segment>, BTreeSet<ClipId>),
}

/// Proof that nothing readable is in the thing to be removed. Cannot be made anywhere else.
#[derive(Debug)]
pub(super) struct Gone {
    removal: Removal,
    /// The records whose payloads go, for `Removal::Clips`.
    records: Vec<RecordRef>,
}

impl Inner {
    /// Looks at everything that `removal` would remove.
    ///
    /// A clip counts as gone only if the ledger says so: its expiry or deletion is on record, or
    /// its move to an evidence segment is. A clip whose beginning is in a file that could not be
    /// opened is not gone: nobody can say what holds cover it. Holds that were on record before its
    /// expiry have spared it then (see `sweep`), so what is gone here no hold covers; and what is
    /// gone never comes back, so the answer stays true when the locks are let go.
    ///
    /// # Errors
    ///
    /// `Held` if anything in there can still be read; `Corrupt` if the ledger is unreadable, or the
    /// footer that says what is in there.
    pub(super) fn check_gone(&self, removal: Removal) -> Result<Gone> {
        let frozen = self.deletion_frozen();
        if let Some(why) = frozen.filter(|_| Barrier::GateLedger.stands()) {
            let message = format!("remove clips: nothing is deleted while {why}");
            return Err(Error::corrupt(message));
        }
        let catalog = self.catalog.read();
        let mut records = Vec::new();
        match &removal {
            Removal::File(segment) => {
                for found in segment.parts(&self.footers)? {
                    let needed = catalog.is_needed(found.part.clip, segment);
                    if !Barrier::GateFile.test(!needed) {
                        return Err(still_there(found.part.clip, segment));
                    }
                }
            }
            Removal::Clips(segment, clips) => {
                for clip in clips {
                    if !Barrier::GateClips.test(!catalog.is_needed(*clip, segment)) {
                        return Err(still_there(*clip, segment));
                    }
                    if let Some((_, part)) = segment.part_of(&self.footers, *clip)? {
                        records.extend(part.records);
                    }
                }
            }
        }
        Ok(Gone { removal, records })
    }

    /// Removes what the proofs are for, and puts it on record. Answers how many files went, and
    /// what could not be removed: one failure does not stop the rest, and the next sweep tries
    /// again. No more than [`TOGETHER_MAX`] are in between when a crash comes.
    pub(super) fn remove(&self, gone: Vec<Gone>) -> (u64, Vec<Error>) {
        let (mut count, mut problems) = (0, Vec::new());
        let mut left = gone.into_iter().peekable();
        while left.peek().is_some() {
            let (removed, failed) = self.remove_together(left.by_ref().take(TOGETHER_MAX));
            count += removed;
            problems.extend(failed);
            if left.peek().is_some() {
                // What is on record, opening need not look at.
                problems.extend(self.flush_ledger().err());
            }
        }
        if !self.reuse.lock().surplus.is_empty() {
            self.leftovers.note_surplus();
        }
        (count, problems)
    }

    /// The same of some:
    ///
    /// 1. Files lose their names, or are renamed into `spare/` where they can be used again (see
    ///    `reuse`); payloads of clips in files that stay are zeroed and synced.
    /// 2. The folders are synced. A crash before it may bring a file back, as it was: its expiry is
    ///    on record, so opening removes it again.
    /// 3. Files in `spare/` that nobody has any more are zeroed, all of them, and then synced; the
    ///    others are removed there, and the folder is synced. A crash before it leaves a file with
    ///    bytes in it, which opening removes.
    /// 4. The ledger notes that it is done. A crash before that finds nothing to repeat, which
    ///    opening notes.
    fn remove_together(&self, gone: impl Iterator<Item = Gone>) -> (u64, Vec<Error>) {
        let (mut done, mut files, mut problems) = (Vec::new(), Vec::new(), Vec::new());
        problems.extend(self.remove_unwanted().err());
        let mut room = self.reuse_room();
        for Gone { removal, records } in gone {
            match removal {
                Removal::File(segment) => match self.take_name(&segment, &mut room) {
                    Ok(is_spare) => files.push((segment, is_spare)),
                    Err(error) => problems.push(error),
                },
                Removal::Clips(segment, clips) => match erase(&segment, &records) {
                    Ok(()) => {
                        self.note_erased(&segment, &clips);
                        let clips: Vec<ClipId> = clips.into_iter().collect();
                        done.extend(clips.chunks(CLIPS_PER_ENTRY_MAX).map(|clips| {
                            Decision::ClipsErased { segment: segment.id, clips: clips.to_vec() }
                        }));
                    }
                    Err(error) => problems.push(error),
                },
            }
        }
        if let Err(error) = self.sync_names(&files) {
            // They stay in the catalog, so that the next sweep syncs the folders again.
            problems.push(error);
            files.clear();
        }
        let count = u64::try_from(files.len()).unwrap_or(0);
        let (dropped, failed) = self.let_files_go(files, room.kept_max);
        done.extend(dropped);
        problems.extend(failed);
        for decision in done {
            self.note(decision);
        }
        (count, problems)
    }

    /// Takes a segment's name away; one that is gone already was removed by a try before. Whether
    /// its file is in `spare/` now.
    fn take_name(&self, segment: &Segment, room: &mut ReuseRoom) -> Result<bool> {
        segment.note_removing();
        if self.reuse.lock().is_unwanted(segment.id) {
            // A try before got as far as the rename.
            return Ok(true);
        }
        if self.is_reusable(segment, room) {
            self.reuse.lock().note_renamed(segment.id);
            if self.vfs.rename(&segment.name(), &reuse_path(segment.id)).is_ok() {
                return Ok(true);
            }
        }
        match self.vfs.remove(&segment.name()) {
            Ok(()) => {
                self.reuse.lock().note_removed(segment.id);
                Ok(false)
            }
            // A rename that was said to have failed may be done all the same.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(self.reuse.lock().is_unwanted(segment.id))
            }
            Err(error) => {
                // It stands where it stood, so that the next try begins anew.
                self.reuse.lock().note_removed(segment.id);
                Err(Error::io("remove segment", &segment.path(), error))
            }
        }
    }

    fn sync_names(&self, files: &[(Arc<Segment>, bool)]) -> Result<()> {
        if files.is_empty() {
            return Ok(());
        }
        Barrier::DropSync
            .sync(|| self.vfs.sync_dir(name::SEGMENTS))
            .map_err(|error| self.io("sync folder", name::SEGMENTS, error))?;
        if files.iter().all(|(_, is_spare)| !is_spare) {
            return Ok(());
        }
        Barrier::ReuseNameSync
            .sync(|| self.vfs.sync_dir(name::SPARE))
            .map_err(|error| self.io("sync folder", name::SPARE, error))
    }

    /// Takes files without their names off the catalog. Answers what is to be noted: of one that
    /// is still in `spare/`, with its bytes, nothing.
    fn let_files_go(
        &self,
        files: Vec<(Arc<Segment>, bool)>,
        kept_max: u64,
    ) -> (Vec<Decision>, Option<Error>) {
        let (mut done, mut unused, mut doubtful) = (Vec::new(), Vec::new(), Vec::new());
        for (segment, is_spare) in files {
            let parts = segment.parts(&self.footers).unwrap_or_default();
            let (id, class) = (segment.id, segment.class);
            let mut catalog = self.catalog.write();
            let file_bytes = catalog.segments.get(&id).map_or(0, |found| found.file_bytes);
            catalog.remove_segment(id, &parts);
            drop(catalog);
            let dropped = Decision::SegmentDropped { segment: id, class };
            let kept = if is_spare { segment.retire() } else { Err(segment) };
            match kept {
                Ok(file) => unused.push((id, file, dropped)),
                Err(segment) => {
                    self.leases.note_removed(&segment, file_bytes);
                    if is_spare { doubtful.push(dropped) } else { done.push(dropped) }
                }
            }
        }
        for (zeroed, dropped) in self.zero_all(unused, kept_max) {
            if zeroed { done.push(dropped) } else { doubtful.push(dropped) }
        }
        match self.remove_unwanted() {
            Ok(()) => {
                done.extend(doubtful);
                (done, None)
            }
            Err(error) => (done, Some(error)),
        }
    }

    /// Zeroes files in `spare/` that nobody has; of each, whether that is done, for good. All are
    /// zeroed before the first is synced, so that one commit of the file system's journal covers
    /// them.
    fn zero_all(
        &self,
        files: Vec<(SegmentId, Arc<dyn VfsFile>, Decision)>,
        kept_max: u64,
    ) -> Vec<(bool, Decision)> {
        let bytes = self.options.segment_bytes;
        let zeroed: Vec<io::Result<()>> =
            files.iter().map(|(_, file, _)| file.zero(0..bytes)).collect();
        let synced = zeroed.into_iter().zip(files).map(|(zeroed, (segment, file, dropped))| {
            let done = zeroed.and_then(|()| {
                sync_zeros(&*file)?;
                is_blank(&*file, bytes)
            });
            match done {
                Ok(true) => {
                    self.reuse.lock().note_zeroed(segment, bytes, kept_max);
                    return (true, dropped);
                }
                // One that is not blank now has a sector that cannot be read.
                Ok(false) => {}
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {}
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                    self.reuse.lock().note_refused();
                }
                Err(error) => {
                    self.survived(self.io("zero segment", &reuse_path(segment), error));
                }
            }
            (false, dropped)
        });
        synced.collect()
    }

    /// The catalog's side of an erasure.
    fn note_erased(&self, segment: &Arc<Segment>, clips: &BTreeSet<ClipId>) {
        let allocated = segment.file.allocated();
        let mut catalog = self.catalog.write();
        if let Some(waiting) = catalog.to_erase.get_mut(&segment.id) {
            waiting.retain(|clip| !clips.contains(clip));
            if waiting.is_empty() {
                catalog.to_erase.remove(&segment.id);
            }
        }
        if let (Ok(allocated), Some(shelved)) = (allocated, catalog.segments.get_mut(&segment.id)) {
            shelved.file_bytes = allocated;
        }
    }
}

/// Makes the zeros of a file in `spare/` durable: only then may its drop go on record.
pub(super) fn sync_zeros(file: &dyn VfsFile) -> io::Result<()> {
    Barrier::ReuseZeroSync.sync(|| file.sync())
}

/// Erases the payloads of records, for good when it returns, and gives their blocks back.
///
/// The headers stay, their copies go. They say no more than the footer does, and a segment without
/// a footer is scanned: there a record of which no header is left looks like damage to what was
/// acknowledged. The header's block is written in place, and whatever a power cut leaves of that
/// write, it leaves the header's bytes as they were.
fn erase(segment: &Segment, records: &[RecordRef]) -> Result<()> {
    let fail = |error| Error::io("erase clips", &segment.path(), error);
    let zeros = [0; 4096];
    segment.let_kept_map_go();
    for record in records.iter().filter(|record| record.payload_bytes > 0) {
        let payload = u64::from(record.block) * BLOCK_BYTES + u64::from(record.header_bytes);
        let end = u64::from(record.end_block()) * BLOCK_BYTES;
        let own_blocks = payload.next_multiple_of(BLOCK_BYTES)..end;
        let beside_header = usize::try_from(own_blocks.start - payload).unwrap_or(zeros.len());
        let beside_header = zeros.get(..beside_header).unwrap_or(&zeros);
        if !own_blocks.is_empty() {
            segment.file.punch(own_blocks).map_err(fail)?;
        }
        segment.file.write_at(payload, &[beside_header]).map_err(fail)?;
    }
    Barrier::PunchSync.sync(|| segment.file.sync()).map_err(fail)
}

fn still_there(clip: ClipId, segment: &Segment) -> Error {
    let message = format!("remove segment: clip {clip} in it is not expired");
    Error::new(ErrorKind::Held, message).at(&segment.path())
}
