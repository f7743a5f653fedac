//! The ledger: the small, append-only, hash-chained history of decisions, kept twice.
//!
//! Owns the folders `ledger/a` and `ledger/b`. Both have the same files with the same bytes: 1 MiB
//! each, allocated in full, a header block and then entries one behind the other. The file after
//! the current one is set aside in advance, so that a decision needs no new space on a full disk.
//!
//! Invariants:
//!
//! 1. Entries that are appended together are one batch: written at once, inside one file, and at
//!    replay either all there or not at all.
//! 2. A batch is written only when the one before it is durable in every copy that works. So an
//!    entry that is missing in front of a later batch was lost, not torn: the ledger is then
//!    unreadable, which means record and read, but place no hold and delete nothing.
//! 3. A copy that failed to write or sync is not touched again until the store is reopened.
//! 4. Nothing here removes or overwrites an entry of a complete batch.

mod batch;
mod copy;
mod replay;
mod salvage;
mod scan;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::format::entry::{Decision, Entry, LedgerHeader};
use crate::format::{Damage, name};
use crate::types::{Error, ErrorKind, Result, Timestamp};
use crate::vfs::Vfs;
use batch::{Batch, Item};
use copy::Copy;
pub(crate) use replay::Replay;
pub(crate) use salvage::Salvage;
use scan::{Chain, FILE_LEN, FIRST_FRAME, Frame};

/// Each file of the ledger is this long.
pub(crate) const LEDGER_FILE_BYTES: u64 = 1 << 20;
/// So many deferred decisions wait at most; the next one writes them.
pub(crate) const DEFERRED_MAX: usize = 1024;

/// What the STORE file says of the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The number of its first file. Those before are what is left of a damaged one.
    pub(crate) first: u32,
    /// Files from this number on are of a repair that does not count; 0: there is none.
    pub(crate) repair: u32,
    /// How many entries there must be at least.
    pub(crate) known_durable: u64,
}

impl Extent {
    /// Whether file `number` is part of the ledger.
    fn has(&self, number: u32) -> bool {
        number >= self.first && (self.repair == 0 || number < self.repair)
    }
}

/// The ledger of an open store.
#[derive(Debug)]
pub(crate) struct Ledger {
    store: [u8; 16],
    extent: Extent,
    copies: [Copy; 2],
    writable: bool,
    /// Number of the file that takes the next entries.
    number: u32,
    /// Where in it they go.
    tail: usize,
    /// The chain behind the last durable entry.
    chain: Chain,
    /// The chain before each file that has entries.
    starts: BTreeMap<u32, Chain>,
    /// Decisions that wait for the next write, oldest first.
    deferred: Vec<Item>,
    /// Why its history cannot be read to the end.
    unreadable: Option<String>,
    /// No copy works any more.
    poisoned: bool,
    problems: Vec<Error>,
}

impl Ledger {
    /// Makes the ledger of a new store, with its first batch: that the store was made, and the
    /// `defaults` it was made with.
    ///
    /// Both copies are durable when it returns, names included. What an earlier try left, at most
    /// its first batch, is replaced.
    ///
    /// # Errors
    ///
    /// `Corrupt` when there is a ledger already; `Full`, `Io`.
    pub(crate) fn create(
        vfs: Arc<dyn Vfs>,
        store: [u8; 16],
        at: Timestamp,
        defaults: Vec<Decision>,
    ) -> Result<Self> {
        let mut ledger = Self::empty(vfs, store, Extent::default(), true);
        let decisions = [Decision::StoreMade { store }].into_iter().chain(defaults);
        let items: Vec<Item> = decisions.map(|decision| Item { at, decision }).collect();
        let mut batches = batch::seal(&store, ledger.chain, &items, items.len())?;
        let Some(first) = batches.pop() else { return Err(Error::corrupt("make ledger")) };
        let head = first.with_header(&store, 0);
        ledger.copies.iter().try_for_each(check_unused)?;
        for copy in &mut ledger.copies {
            // 1. The folder. A crash from here on leaves a ledger of at most one batch in either
            //    copy, and no STORE file that names it: the next try begins again at step 2.
            copy.create_dir()?;
            // 2. Nothing of an earlier try stays.
            remove_remains(copy)?;
            // 3. The first file with the first batch: file and folder are synced.
            copy.create(0, &head)?;
            // 4. Room for the entries after it, synced too.
            copy.reserve(1)?;
        }
        ledger.tail = head.len();
        ledger.starts.insert(0, ledger.chain);
        ledger.chain = first.end;
        Ok(ledger)
    }

    /// Opens the ledger and shows every entry of it, in order, to `visit`: those that can be relied
    /// on, up to the first damage that is in both copies.
    ///
    /// When `writable`, what is damaged in one copy is rewritten from the other, and a last write
    /// that a crash cut short is zeroed. An unreadable ledger is left as it is.
    ///
    /// # Errors
    ///
    /// Only when neither copy's folder can be read at all; damage is in the [`Replay`].
    pub(crate) fn open(
        vfs: Arc<dyn Vfs>,
        store: [u8; 16],
        extent: Extent,
        writable: bool,
        visit: &mut dyn FnMut(&Entry),
    ) -> Result<(Self, Replay)> {
        let mut ledger = Self::empty(vfs, store, extent, writable);
        let replay = ledger.replay(visit)?;
        Ok((ledger, replay))
    }

    fn empty(vfs: Arc<dyn Vfs>, store: [u8; 16], extent: Extent, writable: bool) -> Self {
        let copies = [Copy::new(Arc::clone(&vfs), name::LEDGER_A), Copy::new(vfs, name::LEDGER_B)];
        Self {
            store,
            extent,
            copies,
            writable,
            number: extent.first,
            tail: FIRST_FRAME,
            chain: Chain::default(),
            starts: BTreeMap::new(),
            deferred: Vec::new(),
            unreadable: None,
            poisoned: false,
            problems: Vec::new(),
        }
    }

    /// Queues a decision in memory and gives its position. It becomes durable with the next
    /// [`Ledger::append`] or [`Ledger::flush`], before what that appends; a crash before then
    /// loses it, so only what can be found out again may be deferred.
    pub(crate) fn defer(&mut self, at: Timestamp, decision: Decision) -> u64 {
        let position = self.position();
        if self.poisoned {
            // Nothing takes it any more; the next opening finds it out again.
            return position;
        }
        self.deferred.push(Item { at, decision });
        if self.deferred.len() >= DEFERRED_MAX
            && let Err(error) = self.flush()
            && self.problems.len() < DEFERRED_MAX
        {
            self.problems.push(error);
        }
        position
    }

    /// Appends the deferred decisions and then these, and gives the entries of `decisions`. These
    /// are one batch: all of them count or none, also after a crash. The deferred ones share it, as
    /// far as they fit into one file ([`LEDGER_FILE_BYTES`] less a block); the others, of which
    /// each stands for itself, go before it.
    ///
    /// Durable in every copy that works when it returns. After an error nothing is acknowledged:
    /// the next open tells whether the batch is there.
    ///
    /// # Errors
    ///
    /// `Corrupt` when the ledger is unreadable, `ReadOnly`, `InvalidInput` for an entry that is too
    /// long or decisions that do not fit into one file, `Full` when the current file is used up and
    /// there is no room for another (after both nothing was written), `Io` when the last copy
    /// failed, `Poisoned` from then on.
    pub(crate) fn append(&mut self, at: Timestamp, decisions: Vec<Decision>) -> Result<Vec<Entry>> {
        self.check_writable()?;
        let together = decisions.len();
        let mut items = self.deferred.clone();
        items.extend(decisions.into_iter().map(|decision| Item { at, decision }));
        let mut entries = Vec::new();
        for batch in batch::seal(&self.store, self.chain, &items, together)? {
            self.write(&batch)?;
            self.deferred.drain(..batch.entries.len().min(self.deferred.len()));
            entries = batch.entries;
        }
        // The decisions are durable. Where there is no room for the next file, each append tries
        // again.
        drop(self.reserve());
        entries.drain(..entries.len().saturating_sub(together));
        Ok(entries)
    }

    /// Makes the deferred decisions durable.
    ///
    /// # Errors
    ///
    /// As [`Ledger::append`].
    pub(crate) fn flush(&mut self) -> Result<()> {
        if self.deferred.is_empty() {
            return Ok(());
        }
        self.append(Timestamp::EPOCH, Vec::new()).map(drop)
    }

    /// Sets the next file aside in every copy that works, unless that is done.
    ///
    /// # Errors
    ///
    /// `Full` when there is no room, `Io`; appending goes on for as long as the current file lasts.
    pub(crate) fn reserve(&mut self) -> Result<()> {
        self.check_writable()?;
        let next = self.next_number()?;
        for copy in self.copies.iter_mut().filter(|copy| copy.works()) {
            copy.reserve(next)?;
        }
        Ok(())
    }

    /// How many entries there are, deferred ones included.
    pub(crate) fn position(&self) -> u64 {
        let waiting = u64::try_from(self.deferred.len()).unwrap_or(u64::MAX);
        self.chain.position.saturating_add(waiting)
    }

    /// How many entries are durable.
    pub(crate) fn durable_position(&self) -> u64 {
        self.chain.position
    }

    /// The bytes that the files of both copies take.
    pub(crate) fn allocated_bytes(&self) -> u64 {
        self.copies.iter().map(Copy::allocated_bytes).sum()
    }

    /// Why the history cannot be read to its end, when it cannot.
    pub(crate) fn unreadable(&self) -> Option<&str> {
        self.unreadable.as_deref()
    }

    /// Whether the last append failed in both copies: what it was for may be on record or not, and
    /// only the next opening tells.
    pub(crate) fn in_doubt(&self) -> bool {
        self.poisoned
    }

    /// What failed since opening: each is a copy that is not written any more.
    pub(crate) fn problems(&self) -> &[Error] {
        &self.problems
    }

    /// Whether it takes anything now.
    ///
    /// # Errors
    ///
    /// As [`Ledger::append`]: `Corrupt`, `Poisoned`, `ReadOnly`.
    pub(crate) fn check_writable(&self) -> Result<()> {
        if self.unreadable.is_some() {
            return Err(Error::corrupt(
                "ledger unreadable: nothing is deleted and no hold can be placed until it is \
                 repaired",
            ));
        }
        if self.poisoned {
            return Err(Error::new(
                ErrorKind::Poisoned,
                "append to ledger: both copies failed earlier",
            ));
        }
        if !self.writable {
            return Err(Error::new(ErrorKind::ReadOnly, "append to ledger: opened read-only"));
        }
        Ok(())
    }

    /// Writes one batch to each copy that works.
    fn write(&mut self, batch: &Batch) -> Result<()> {
        let rolls = self.tail.saturating_add(batch.bytes.len()) > FILE_LEN;
        let (number, head) = if rolls {
            // 1. Both copies have the next file: mostly since the last time. A crash here leaves
            //    blank files.
            self.make_room()?;
            let number = self.next_number()?;
            (number, batch.with_header(&self.store, number))
        } else {
            (self.number, Vec::new())
        };
        let offset = u64::try_from(self.tail).unwrap_or(u64::MAX);
        let mut failure = None;
        // 2. Write and sync copy a, then copy b: at any instant at most one of them is in flux, so
        //    that a sector torn by power loss has its earlier entries in the other. A crash before
        //    the first sync leaves no batch, part of one (replay discards it) or all of it; after
        //    that sync it is there.
        for copy in self.copies.iter_mut().filter(|copy| copy.works()) {
            let written = if rolls {
                copy.roll(number, &head)
            } else {
                copy.write(number, offset, &batch.bytes)
            };
            if let Err(error) = written {
                copy.fail();
                self.problems.push(error.clone());
                failure = Some(error);
            }
        }
        // 3. It counts if one copy has it.
        if let Some(error) = failure
            && !self.copies.iter().any(Copy::works)
        {
            self.poisoned = true;
            return Err(error);
        }
        if rolls {
            self.starts.insert(number, self.chain);
        }
        self.number = number;
        self.tail = if rolls { head.len() } else { self.tail + batch.bytes.len() };
        self.chain = batch.end;
        Ok(())
    }

    /// Sees to it that a copy has room for the next file: one is enough to go on.
    fn make_room(&mut self) -> Result<()> {
        let reserved = self.reserve();
        let mut working = self.copies.iter().filter(|copy| copy.works());
        if working.any(Copy::has_next) { Ok(()) } else { reserved }
    }

    fn next_number(&self) -> Result<u32> {
        let next = self.number.checked_add(1);
        next.ok_or_else(|| Error::new(ErrorKind::Full, "append to ledger: all file numbers used"))
    }
}

/// Fails unless `copy` has at most what a [`Ledger::create`] that was cut off leaves.
fn check_unused(copy: &Copy) -> Result<()> {
    let (numbers, _) = copy.list()?;
    for number in numbers {
        let loaded = copy.load(number, &Bytes::new())?;
        if number > 1 || !loaded.lost.is_empty() || goes_on(&loaded.bytes, number) {
            return Err(copy.damage("make ledger: there is one already".into(), number));
        }
    }
    Ok(())
}

/// Whether file `number` has entries behind the first batch. Header and first batch are one write:
/// where the header is not whole, that write was cut off, and whatever else stands there is what a
/// power cut made of it.
fn goes_on(bytes: &[u8], number: u32) -> bool {
    let header = match LedgerHeader::decode(bytes) {
        Ok(header) => header,
        Err(damage) => return matches!(damage, Damage::Version(_) | Damage::Field(_)),
    };
    let mut first = 0;
    let mut each = |frame: Frame| {
        if first == 0 {
            first = frame.entry.batch_end();
        }
    };
    let scan = scan::scan(&header.store, [bytes, bytes], number, Chain::default(), None, &mut each);
    let torn = scan.torn.is_some() && first > 0;
    number > 0 || scan.stop.is_some() || torn || scan.chain.position > first
}

/// Removes what an earlier [`Ledger::create`] left in `copy`, which is unused.
fn remove_remains(copy: &mut Copy) -> Result<()> {
    let (numbers, _) = copy.list()?;
    copy.count(&numbers);
    numbers.into_iter().try_for_each(|number| copy.remove(number))
}
