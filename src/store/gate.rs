//! The gate: the one place that can remove the bytes of clips.
//!
//! [`Inner::remove`] is the only function in the crate that removes a segment's file or punches
//! records out of one, and it takes a [`Gone`], which only [`Inner::check_gone`] can make: after it
//! has found that nothing in there belongs to a clip that can be read.
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
use crate::types::{ClipId, Error, ErrorKind, Result};

use super::Inner;

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
    /// again.
    ///
    /// 1. Files lose their names; payloads of clips in files that stay are zeroed and synced.
    /// 2. The folder is synced. A crash before it may bring a file back: its expiry is on record,
    ///    so opening removes it again.
    /// 3. The ledger notes that it is done. A crash before that repeats step 1, which finds
    ///    nothing.
    pub(super) fn remove(&self, gone: Vec<Gone>) -> (u64, Vec<Error>) {
        let (mut done, mut files, mut problems) = (Vec::new(), Vec::new(), Vec::new());
        for Gone { removal, records } in gone {
            match removal {
                Removal::File(segment) => match self.unlink(&segment) {
                    Ok(()) => files.push(segment),
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
        if !files.is_empty()
            && let Err(error) = Barrier::DropSync.sync(|| self.vfs.sync_dir(name::SEGMENTS))
        {
            // They stay in the catalog, so that the next sweep syncs the folder again.
            problems.push(self.io("sync folder", name::SEGMENTS, error));
            files.clear();
        }
        let count = u64::try_from(files.len()).unwrap_or(0);
        for segment in files {
            let parts = segment.parts(&self.footers).unwrap_or_default();
            let mut catalog = self.catalog.write();
            let file_bytes = catalog.segments.get(&segment.id).map_or(0, |found| found.file_bytes);
            catalog.remove_segment(segment.id, &parts);
            drop(catalog);
            self.leases.note_removed(&segment, file_bytes);
            done.push(Decision::SegmentDropped { segment: segment.id, class: segment.class });
        }
        for decision in done {
            self.note(decision);
        }
        (count, problems)
    }

    /// Takes a segment's name away; one that is gone already was removed by a try before.
    fn unlink(&self, segment: &Segment) -> Result<()> {
        segment.note_removing();
        match self.vfs.remove(&segment.name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::io("remove segment", &segment.path, error))
            }
            _ => Ok(()),
        }
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

/// Erases the payloads of records, for good when it returns, and gives their blocks back.
///
/// The headers stay, their copies go. They say no more than the footer does, and a segment without
/// a footer is scanned: there a record of which no header is left looks like damage to what was
/// acknowledged. The header's block is written in place, and whatever a power cut leaves of that
/// write, it leaves the header's bytes as they were.
fn erase(segment: &Segment, records: &[RecordRef]) -> Result<()> {
    let fail = |error| Error::io("erase clips", &segment.path, error);
    let zeros = [0; 4096];
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
    Error::new(ErrorKind::Held, message).at(&segment.path)
}
