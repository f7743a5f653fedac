//! Leases: what keeps bytes valid while a reader holds them.
//!
//! A [`Lease`] keeps the blocks of one clip from being punched out; a [`Mapping`] keeps the bytes
//! of a whole segment alive after its file is gone. Both are counted, and mappings are bounded.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::format::BLOCK_BYTES;
use crate::sync::Mutex;
use crate::types::ClipId;
use crate::vfs::Map;

/// The leases and mappings of one store.
#[derive(Debug)]
pub(crate) struct Leases {
    clips: Mutex<BTreeMap<ClipId, usize>>,
    mappings: AtomicUsize,
    mappings_max: usize,
    ghost_bytes: AtomicU64,
}

impl Leases {
    pub(crate) fn new(mappings_max: usize) -> Arc<Self> {
        let clips = Mutex::new(BTreeMap::new());
        let (mappings, ghost_bytes) = (AtomicUsize::new(0), AtomicU64::new(0));
        Arc::new(Self { clips, mappings, mappings_max, ghost_bytes })
    }

    /// Takes a lease on `clip`.
    pub(crate) fn lease(self: &Arc<Self>, clip: ClipId) -> Arc<Lease> {
        *self.clips.lock().entry(clip).or_default() += 1;
        Arc::new(Lease { clip, leases: Arc::clone(self) })
    }

    /// Whether somebody reads `clip` now.
    pub(crate) fn is_leased(&self, clip: ClipId) -> bool {
        self.clips.lock().contains_key(&clip)
    }

    /// Bytes of removed files that mappings keep alive.
    pub(crate) fn ghost_bytes(&self) -> u64 {
        self.ghost_bytes.load(Ordering::Relaxed)
    }

    /// Wraps a new map; `None` when as many as allowed are alive already.
    pub(crate) fn mapping(
        self: &Arc<Self>,
        map: impl FnOnce() -> io::Result<Arc<dyn Map>>,
        file_bytes: u64,
    ) -> io::Result<Option<Arc<Mapping>>> {
        let taken = self.mappings.fetch_add(1, Ordering::Relaxed);
        let mapped = if taken < self.mappings_max { map().map(Some) } else { Ok(None) };
        match mapped {
            Ok(Some(map)) => Ok(Some(Arc::new(Mapping {
                map,
                verified: (0..=file_bytes / BLOCK_BYTES / 64)
                    .map(|_| AtomicU64::default())
                    .collect(),
                file_bytes,
                ghost: AtomicU64::new(0),
                leases: Arc::clone(self),
            }))),
            other => {
                self.mappings.fetch_sub(1, Ordering::Relaxed);
                other.map(|_| None)
            }
        }
    }
}

/// Keeps the bytes of one clip in place for as long as it lives.
#[derive(Debug)]
pub(crate) struct Lease {
    clip: ClipId,
    leases: Arc<Leases>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut clips = self.leases.clips.lock();
        if let Some(count) = clips.get_mut(&self.clip) {
            *count -= 1;
            if *count == 0 {
                clips.remove(&self.clip);
            }
        }
    }
}

/// A mapped segment, shared by all who read it, which remembers the chunks already checked.
#[derive(Debug)]
pub(crate) struct Mapping {
    map: Arc<dyn Map>,
    /// One bit a block: the chunk that begins in it is good. Not one a chunk CRC: those have other
    /// numbers in a draft than in the footer, and a reader may have its records from either.
    verified: Vec<AtomicU64>,
    file_bytes: u64,
    /// `file_bytes` once the file is removed.
    ghost: AtomicU64,
    leases: Arc<Leases>,
}

impl Mapping {
    /// Brings `range` of the file into memory.
    pub(crate) fn populate(&self, range: Range<u64>) -> io::Result<()> {
        self.map.populate(range)
    }

    /// Bytes of the file; empty for a range outside it. Populate it first.
    pub(crate) fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.map.bytes().get(range).unwrap_or(&[])
    }

    /// Whether the chunk that begins in `block` was found good in this map before.
    pub(crate) fn is_verified(&self, block: u64) -> bool {
        self.word(block).is_some_and(|word| word.load(Ordering::Relaxed) >> (block % 64) & 1 == 1)
    }

    /// Remembers that the chunk that begins in `block` is good.
    pub(crate) fn set_verified(&self, block: u64) {
        if let Some(word) = self.word(block) {
            word.fetch_or(1 << (block % 64), Ordering::Relaxed);
        }
    }

    fn word(&self, block: u64) -> Option<&AtomicU64> {
        self.verified.get(usize::try_from(block / 64).ok()?)
    }

    /// Counts the file's bytes as a ghost: its name is gone, this map keeps it.
    pub(crate) fn file_is_removed(&self) {
        if self.ghost.swap(self.file_bytes, Ordering::Relaxed) == 0 {
            self.leases.ghost_bytes.fetch_add(self.file_bytes, Ordering::Relaxed);
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        self.leases.ghost_bytes.fetch_sub(*self.ghost.get_mut(), Ordering::Relaxed);
        self.leases.mappings.fetch_sub(1, Ordering::Relaxed);
    }
}
