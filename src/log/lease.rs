//! Leases: what keeps bytes valid while a reader holds them.
//!
//! A [`Lease`] keeps the blocks of one clip from being punched out; a [`Mapping`], or the open file
//! of a segment that somebody still has in hand, keeps the bytes of a whole segment alive after its
//! name is gone. What is kept alive takes room on the disk until the last of them is let go: it is
//! counted, and bounded. There are so many mappings and no more, because bytes that were handed out
//! are in them; removed files that are only open are let go, oldest first, above the same number.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use super::Segment;
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
    /// Segments whose files were removed while somebody had them.
    ghosts: Mutex<Vec<Ghost>>,
}

/// A segment whose file has no name any more.
#[derive(Debug)]
struct Ghost {
    segment: Weak<Segment>,
    mapping: Weak<Mapping>,
    bytes: u64,
}

impl Ghost {
    /// Whether its bytes still take room: a file lives while it is open or mapped.
    fn is_kept(&mut self) -> bool {
        let Some(segment) = self.segment.upgrade() else { return self.is_mapped() };
        // Whoever has the segment may have mapped it since; that map may outlive it.
        self.mapping = segment.live_mapping();
        self.is_mapped() || segment.is_open()
    }

    fn is_mapped(&self) -> bool {
        self.mapping.strong_count() > 0
    }

    /// Lets the open file go: what reads it is told that the clip has expired.
    fn let_go(&self) {
        if let Some(segment) = self.segment.upgrade() {
            segment.let_go();
        }
    }
}

impl Leases {
    pub(crate) fn new(mappings_max: usize) -> Arc<Self> {
        let clips = Mutex::new(BTreeMap::new());
        let (mappings, ghosts) = (AtomicUsize::new(0), Mutex::default());
        Arc::new(Self { clips, mappings, mappings_max, ghosts })
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

    /// Counts the `bytes` of a segment whose file was removed, for as long as anybody has it; lets
    /// the oldest of those go that too many have.
    pub(crate) fn note_removed(&self, segment: &Arc<Segment>, bytes: u64) {
        let (segment, mapping) = (Arc::downgrade(segment), segment.live_mapping());
        let mut ghosts = self.ghosts.lock();
        ghosts.push(Ghost { segment, mapping, bytes });
        ghosts.retain_mut(Ghost::is_kept);
        let only_open: Vec<&Ghost> = ghosts.iter().filter(|ghost| !ghost.is_mapped()).collect();
        let too_many = only_open.len().saturating_sub(self.mappings_max);
        only_open.iter().take(too_many).for_each(|ghost| ghost.let_go());
        ghosts.retain_mut(Ghost::is_kept);
    }

    /// Bytes of removed files that readers keep alive.
    pub(crate) fn ghost_bytes(&self) -> u64 {
        let mut ghosts = self.ghosts.lock();
        ghosts.retain_mut(Ghost::is_kept);
        ghosts.iter().map(|ghost| ghost.bytes).sum()
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
}

impl Drop for Mapping {
    fn drop(&mut self) {
        self.leases.mappings.fetch_sub(1, Ordering::Relaxed);
    }
}
