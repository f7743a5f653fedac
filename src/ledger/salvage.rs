//! Repairing a ledger that cannot be read: what is still whole in it, and writing it anew.
//!
//! Owns the reading past damage and the order of the writes. What the entries mean, and what must
//! be protected because some are lost, is the store's to say. The damaged files are never written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::batch::{self, Item};
use super::replay::numbers;
use super::scan::{Chain, FIRST_FRAME};
use super::{Extent, Ledger};
use crate::barrier::Barrier;
use crate::format::Damage;
use crate::format::entry::{Decision, Entry};
use crate::types::{Error, ErrorKind, Result, Timestamp};
use crate::vfs::Vfs;

/// Entries begin on multiples of this many bytes.
const FRAME_ALIGN: usize = 8;

/// What is still whole in a ledger.
#[derive(Debug, Default)]
pub(crate) struct Salvage {
    /// The entries before the first loss: a history without holes, in whole batches.
    pub(crate) before: Vec<Entry>,
    /// What was found behind the first loss, in order, with holes.
    pub(crate) behind: Vec<Found>,
    /// How many entries are known to be lost. There may have been more at the end.
    pub(crate) lost: u64,
    /// The hash of the last entry that was found.
    pub(crate) newest: [u8; 32],
}

/// An entry behind the first loss.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) entry: Entry,
    /// Every entry that was decided together with it was found too.
    pub(crate) whole_batch: bool,
}

/// Each entry that is whole in either copy, with its hash, by position. `None` where the copies
/// tell of different ones, so that neither can be believed.
type Frames = BTreeMap<u64, Option<(Entry, [u8; 32])>>;

impl Ledger {
    /// Everything that is still whole in the ledger. Writes nothing.
    ///
    /// # Errors
    ///
    /// `Unsupported` when an entry is of a newer build: it must be left to that; what the system
    /// says of a folder.
    pub(crate) fn salvage(&self) -> Result<Salvage> {
        let mut frames = Frames::new();
        let numbers: BTreeSet<u32> =
            numbers(&self.copies, self.extent)?.into_iter().flatten().collect();
        for number in numbers {
            for copy in &self.copies {
                // What cannot be read at all is lost, in this copy.
                let Ok(loaded) = copy.load(number, &Bytes::new()) else { continue };
                self.collect(&loaded.bytes, &mut frames)?;
            }
        }
        Ok(self.sort_out(frames))
    }

    fn collect(&self, bytes: &[u8], frames: &mut Frames) -> Result<()> {
        let mut offset = FIRST_FRAME;
        while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
            match Entry::decode(rest, &self.store) {
                Ok((entry, len)) => {
                    let hash = Entry::hash(rest.get(..len).unwrap_or_default());
                    add(frames, entry, hash);
                    offset += len;
                }
                Err(damage @ (Damage::Version(_) | Damage::Field(_))) => {
                    let what = format!("repair ledger: an entry is of a newer build: {damage}");
                    return Err(Error::new(ErrorKind::Unsupported, what));
                }
                Err(Damage::Short | Damage::Magic | Damage::Checksum) => offset += FRAME_ALIGN,
            }
        }
        Ok(())
    }

    fn sort_out(&self, frames: Frames) -> Salvage {
        let mut entries: BTreeMap<u64, (Entry, [u8; 32])> =
            frames.into_iter().filter_map(|(position, found)| Some((position, found?))).collect();
        drop_unlinked(&mut entries);
        let end = entries.last_key_value().map_or(0, |(position, _)| position.saturating_add(1));
        let found = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        let mut salvage = Salvage {
            lost: end.max(self.extent.known_durable).saturating_sub(found),
            newest: entries.last_key_value().map_or([0; 32], |(_, (_, hash))| *hash),
            ..Salvage::default()
        };
        let unbroken = unbroken(&entries);
        let whole: BTreeSet<u64> = whole_batches(&entries);
        for (position, (entry, _)) in entries {
            if position < unbroken {
                salvage.before.push(entry);
            } else {
                let whole_batch = Barrier::SalvageBatch.test(whole.contains(&entry.batch_start));
                salvage.behind.push(Found { entry, whole_batch });
            }
        }
        salvage
    }

    /// The number of the first file of a repair: behind all that are of the ledger.
    ///
    /// # Errors
    ///
    /// `Full` when all numbers are used; what the system says of a folder.
    pub(crate) fn repair_number(&self) -> Result<u32> {
        if self.extent.repair != 0 {
            return Ok(self.extent.repair);
        }
        let mut newest = self.extent.first;
        for copy in &self.copies {
            newest = newest.max(copy.list()?.0.last().copied().unwrap_or(0));
        }
        let next = newest.checked_add(1);
        next.ok_or_else(|| Error::new(ErrorKind::Full, "repair ledger: all file numbers used"))
    }

    /// Removes the files of a repair that does not count: a ledger that can be read again, from a
    /// backup, needs their numbers. The STORE file must say so before the next entry is written.
    pub(super) fn drop_unfinished_repair(&mut self) -> Result<()> {
        let first = std::mem::take(&mut self.extent.repair);
        for copy in self.copies.iter_mut().filter(|copy| first != 0 && copy.works()) {
            copy.remove_from(first)?;
        }
        Ok(())
    }

    /// Writes a ledger of these decisions, from file `first` on, in both copies. Durable when it
    /// returns. What an earlier try left there is replaced. It counts when the STORE file says so.
    ///
    /// # Errors
    ///
    /// `Full`, `Io`: then nothing counts. `InvalidInput` for a text that is too long.
    pub(crate) fn rewrite(
        vfs: Arc<dyn Vfs>,
        store: [u8; 16],
        first: u32,
        decisions: Vec<(Timestamp, Decision)>,
    ) -> Result<Self> {
        let extent = Extent { first, ..Extent::default() };
        let mut ledger = Self::empty(vfs, store, extent, true);
        let items: Vec<Item> =
            decisions.into_iter().map(|(at, decision)| Item { at, decision }).collect();
        let mut batches = batch::seal(&store, Chain::default(), &items, 0)?.into_iter();
        let Some(head) = batches.next() else { return Err(Error::corrupt("repair ledger")) };
        let bytes = head.with_header(&store, first);
        for copy in &mut ledger.copies {
            // 1. The folder may be what was lost.
            copy.create_dir()?;
            // 2. Nothing of an earlier try stays, or its entries would be found behind these.
            copy.remove_from(first)?;
            // 3. The first file, its name too, and room for the next.
            copy.create(first, &bytes)?;
            copy.reserve(first.saturating_add(1))?;
        }
        ledger.tail = bytes.len();
        ledger.starts.insert(first, ledger.chain);
        ledger.chain = head.end;
        for batch in batches {
            ledger.write(&batch)?;
        }
        // A copy that failed is not whole, and it is the copies that this is about.
        match ledger.problems.pop() {
            Some(error) => Err(error),
            None => Ok(ledger),
        }
    }
}

fn add(frames: &mut Frames, entry: Entry, hash: [u8; 32]) {
    let known = frames.entry(entry.position).or_insert_with(|| Some((entry, hash)));
    if known.as_ref().is_some_and(|(_, other)| !Barrier::SalvageCopies.test(*other == hash)) {
        *known = None;
    }
}

/// Drops each entry that the one behind it does not follow: it was found inside the payload of a
/// damaged one, where anybody may have put it.
fn drop_unlinked(entries: &mut BTreeMap<u64, (Entry, [u8; 32])>) {
    let previous: BTreeMap<u64, [u8; 32]> =
        entries.iter().map(|(position, (entry, _))| (*position, entry.previous)).collect();
    entries.retain(|position, (_, hash)| {
        let next = previous.get(&position.saturating_add(1));
        next.is_none_or(|previous| Barrier::SalvageLink.test(previous == hash))
    });
}

/// Up to which position the history has no hole and ends with a whole batch. The hash alone says
/// what follows what: it is over the position and the batch, too.
fn unbroken(entries: &BTreeMap<u64, (Entry, [u8; 32])>) -> u64 {
    let mut last = Chain::default().hash;
    let mut end = 0;
    for (position, (entry, hash)) in entries {
        if !Barrier::SalvageChain.test(entry.previous == last) {
            break;
        }
        last = *hash;
        let next = position.saturating_add(1);
        if Barrier::SalvageWhole.test(next == entry.batch_end()) {
            end = next;
        }
    }
    end
}

/// The batches of which every entry is there, by their first position.
fn whole_batches(entries: &BTreeMap<u64, (Entry, [u8; 32])>) -> BTreeSet<u64> {
    let mut counts: BTreeMap<(u64, u32), u32> = BTreeMap::new();
    for (entry, _) in entries.values() {
        *counts.entry((entry.batch_start, entry.batch_count)).or_default() += 1;
    }
    counts.into_iter().filter(|((_, want), have)| want == have).map(|((at, _), _)| at).collect()
}
