//! Maps of segments: shared by all who read one, and kept a while for those who come next.
//!
//! Of a new map the system has entered no page in the tables of this process yet, and to enter them
//! takes as long as to check what is on them. So when the last reader of a segment is done, its map
//! is kept. Nothing but the map: what was found good in it is checked again for the next reader,
//! because a page may have been dropped meanwhile and read anew. A kept map is nobody's. It counts
//! neither as a reader nor against the number of readers, and whoever wants the file lets it go.
//!
//! Locks: a slot's, and then that of the list of slots; never those of two slots. Bytes are
//! unmapped with the slot's lock in hand, so that a slot which says that there is no map is
//! right.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;

use super::fetch::fetch_range;
use super::segment::chunk_range;
use super::{Lease, Leases, Segment};
use crate::format::BLOCK_BYTES;
use crate::format::footer::RecordRef;
use crate::sync::Mutex;
use crate::types::{Error, ErrorKind, Result};
use crate::vfs::Map;

/// How many maps one store has.
#[derive(Debug)]
pub(super) struct Maps {
    /// At most so many at a time; those that are kept are let go for those that are read in.
    max: usize,
    /// At most so many are kept.
    kept_max: usize,
    /// Those that somebody reads in.
    used: AtomicUsize,
    /// Whose maps are kept, the oldest first. A slot may stand here without one.
    kept: Mutex<VecDeque<Weak<MapSlot>>>,
}

impl Maps {
    pub(super) fn new(max: usize, kept_max: usize) -> Self {
        Self { max, kept_max, used: AtomicUsize::new(0), kept: Mutex::default() }
    }

    pub(super) fn max(&self) -> usize {
        self.max
    }

    /// Counts one more that is read in, unless there are as many as allowed.
    fn take_place(&self) -> bool {
        let is_free = self.used.fetch_add(1, Ordering::Relaxed) < self.max;
        if !is_free {
            self.give_place();
        }
        is_free
    }

    fn give_place(&self) {
        self.used.fetch_sub(1, Ordering::Relaxed);
    }

    /// `slot` keeps its map from now on, or does not any more.
    fn note(&self, slot: &Arc<MapSlot>, keeps: bool) {
        let slot = Arc::downgrade(slot);
        let mut kept = self.kept.lock();
        kept.retain(|other| other.strong_count() > 0 && !other.ptr_eq(&slot));
        if keeps {
            kept.push_back(slot);
        }
    }

    /// Lets the oldest go of those that are kept, until no more are left than may be.
    fn let_some_go(&self) {
        let places = self.max.saturating_sub(self.used.load(Ordering::Relaxed));
        self.keep_at_most(self.kept_max.min(places));
    }

    /// Lets the oldest go above `count`. Called with no slot's lock in hand.
    pub(super) fn keep_at_most(&self, count: usize) {
        loop {
            let oldest = {
                let mut kept = self.kept.lock();
                if kept.len() <= count {
                    return;
                }
                kept.pop_front()
            };
            if let Some(slot) = oldest.and_then(|slot| slot.upgrade()) {
                slot.let_kept_go();
            }
        }
    }
}

/// The map of one segment.
#[derive(Debug, Default)]
pub(super) struct MapSlot(Mutex<Slot>);

#[derive(Debug, Default)]
struct Slot {
    /// What all share who read now.
    shared: Weak<Mapping>,
    /// How many of these are alive: one that is being let go may stand beside a new one.
    mapped: usize,
    /// The map that nobody reads in; only while there is no other.
    kept: Option<Arc<dyn Map>>,
    /// The file is about to go: no map is kept any more.
    is_closed: bool,
}

impl MapSlot {
    /// The map, of `len` bytes, which `map` makes if there is none; `None` where it cannot, or when
    /// as many are read in as are allowed.
    pub(super) fn mapping(
        self: &Arc<Self>,
        leases: &Arc<Leases>,
        len: u64,
        map: impl FnOnce() -> io::Result<Arc<dyn Map>>,
    ) -> Option<Arc<Mapping>> {
        let maps = leases.maps();
        let mut slot = self.0.lock();
        if let Some(mapping) = slot.shared.upgrade() {
            return Some(mapping);
        }
        if !maps.take_place() {
            return None;
        }
        let map = if let Some(kept) = slot.kept.take() {
            maps.note(self, false);
            kept
        } else if let Ok(map) = map() {
            map
        } else {
            maps.give_place();
            return None;
        };
        slot.mapped += 1;
        let mapping = Arc::new(Mapping {
            map: Some(map),
            verified: (0..=len / BLOCK_BYTES / 64).map(|_| AtomicU64::default()).collect(),
            slot: Arc::clone(self),
            leases: Arc::clone(leases),
        });
        slot.shared = Arc::downgrade(&mapping);
        drop(slot);
        maps.let_some_go();
        Some(mapping)
    }

    /// Whether somebody reads in it.
    pub(super) fn is_mapped(&self) -> bool {
        self.0.lock().mapped > 0
    }

    /// Unmaps the file, unless somebody reads in it.
    pub(super) fn let_kept_go(&self) {
        self.0.lock().kept = None;
    }

    /// The same, and with the last reader's map from now on.
    pub(super) fn close(&self) {
        let mut slot = self.0.lock();
        slot.is_closed = true;
        slot.kept = None;
    }

    /// A reader's map comes back: kept for the next one, if it is the only one.
    fn put_back(self: &Arc<Self>, map: Arc<dyn Map>, maps: &Maps) {
        let mut slot = self.0.lock();
        if slot.is_closed || slot.mapped > 1 {
            drop(map);
        } else {
            slot.kept = map.kept();
            maps.note(self, slot.kept.is_some());
        }
        slot.mapped -= 1;
    }
}

/// A mapped segment, shared by all who read it, which remembers the chunks already checked.
#[derive(Debug)]
pub(crate) struct Mapping {
    /// `None` only while this is dropped.
    map: Option<Arc<dyn Map>>,
    /// One bit a block: the chunk that begins in it is good. Not one a chunk CRC: those have other
    /// numbers in a draft than in the footer, and a reader may have its records from either.
    verified: Vec<AtomicU64>,
    slot: Arc<MapSlot>,
    leases: Arc<Leases>,
}

impl Mapping {
    /// Brings `range` of the file into memory.
    fn populate(&self, range: Range<u64>) -> io::Result<()> {
        self.map.as_ref().map_or(Ok(()), |map| map.populate(range))
    }

    /// Bytes of the file; empty for a range outside it. Populate it first.
    fn bytes(&self, range: Range<usize>) -> &[u8] {
        let map = self.map.as_ref();
        map.and_then(|map| map.bytes().get(range)).unwrap_or(&[])
    }

    /// Whether the chunk that begins in `block` was found good in this map before.
    fn is_verified(&self, block: u64) -> bool {
        self.word(block).is_some_and(|word| word.load(Ordering::Relaxed) >> (block % 64) & 1 == 1)
    }

    /// Remembers that the chunk that begins in `block` is good.
    fn set_verified(&self, block: u64) {
        if let Some(word) = self.word(block) {
            word.fetch_or(1 << (block % 64), Ordering::Relaxed);
        }
    }

    fn word(&self, block: u64) -> Option<&AtomicU64> {
        self.verified.get(usize::try_from(block / 64).ok()?)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let maps = self.leases.maps();
        maps.give_place();
        if let Some(map) = self.map.take() {
            self.slot.put_back(map, maps);
        }
        maps.let_some_go();
    }
}

impl Segment {
    /// Its map, if it is sealed and `leases` allow one more.
    pub(crate) fn mapping(&self, leases: &Arc<Leases>) -> Option<Arc<Mapping>> {
        let len = self.sealed_bytes()?;
        self.map_slot.mapping(leases, len, || self.file.map(len))
    }

    /// Has the system begin to read `part` of a record's payload into its cache, whole chunks of
    /// it: they come to be checked whole.
    pub(crate) fn will_need(&self, record: &RecordRef, part: &Range<u64>) {
        self.file.will_need(fetch_range(record, part));
    }

    /// Chunk `index` of a record's payload, checked once a map, without copying. The bytes keep
    /// `mapping` and `lease` alive.
    ///
    /// It is brought in each time, also where it was before: a page that the system has dropped
    /// meanwhile, and that the disk cannot read again, is an error here and a signal when it is
    /// touched.
    ///
    /// # Errors
    ///
    /// As [`Segment::read_chunk`]; `Unsupported` where a map cannot be populated safely.
    pub(crate) fn map_chunk(
        &self,
        mapping: &Arc<Mapping>,
        lease: &Arc<Lease>,
        record: &RecordRef,
        crcs: &[u32],
        index: usize,
    ) -> Result<Bytes> {
        let range = chunk_range(record, index);
        mapping.populate(range.clone()).map_err(|error| {
            if error.kind() == io::ErrorKind::Unsupported {
                Error::new(ErrorKind::Unsupported, "map segment").at(&self.path())
            } else {
                self.unreadable(range.start, error)
            }
        })?;
        let start = usize::try_from(range.start).unwrap_or(usize::MAX);
        let end = usize::try_from(range.end).unwrap_or(usize::MAX);
        // No two chunks begin in the same block, wherever the record's place was taken from.
        if !mapping.is_verified(range.start / BLOCK_BYTES) {
            self.check_chunk(mapping.bytes(start..end), crcs, index, range.start)?;
            mapping.set_verified(range.start / BLOCK_BYTES);
        }
        let (mapping, lease) = (Arc::clone(mapping), Arc::clone(lease));
        Ok(Bytes::from_owner(MappedChunk { mapping, start, end, _lease: lease }))
    }
}

/// Bytes of a map with everything that keeps them valid.
struct MappedChunk {
    mapping: Arc<Mapping>,
    start: usize,
    end: usize,
    _lease: Arc<Lease>,
}

impl AsRef<[u8]> for MappedChunk {
    fn as_ref(&self) -> &[u8] {
        self.mapping.bytes(self.start..self.end)
    }
}
