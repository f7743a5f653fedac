//! Leases: what keeps bytes valid while a reader holds them.
//!
//! A [`Lease`] keeps the blocks of one clip from being punched out; a map that somebody reads in,
//! or the open file of a segment that somebody still has in hand, keeps the bytes of a whole
//! segment alive after its name is gone. What is kept alive takes room on the disk until the last
//! of them is let go: it is counted, and bounded. There are so many maps and no more, because
//! bytes that were handed out are in them; removed files that are only open are let go, oldest
//! first, above the same number.
//!
//! Only the store that gave a lease knows of it, so each keeps the store's lock: nobody else opens
//! the folder, and erases or zeroes there, before the last reader of the store before is gone.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use super::Segment;
use super::mapping::{MapSlot, Maps};
use crate::sync::Mutex;
use crate::types::ClipId;
use crate::vfs::Lock;

/// The leases and maps of one store.
#[derive(Debug)]
pub(crate) struct Leases {
    clips: Mutex<BTreeMap<ClipId, usize>>,
    maps: Maps,
    /// Segments whose files were removed while somebody had them.
    ghosts: Mutex<Vec<Ghost>>,
    /// The store's.
    _lock: Arc<dyn Lock>,
}

/// A segment whose file has no name any more.
#[derive(Debug)]
struct Ghost {
    segment: Weak<Segment>,
    map_slot: Weak<MapSlot>,
    bytes: u64,
}

impl Ghost {
    /// Whether its bytes still take room: a file lives while it is open or mapped.
    fn is_kept(&self) -> bool {
        // A map outlives the segment.
        self.is_mapped() || self.segment.upgrade().is_some_and(|segment| segment.is_open())
    }

    fn is_mapped(&self) -> bool {
        self.map_slot.upgrade().is_some_and(|slot| slot.is_mapped())
    }

    /// Lets the open file go: what reads it is told that the clip has expired.
    fn let_go(&self) {
        if let Some(segment) = self.segment.upgrade() {
            segment.let_go();
        }
    }
}

impl Leases {
    /// For a store that holds `lock`; at most `maps_max` segments are read in by map at a time, and
    /// the maps of at most `kept_max` are kept for the next who read.
    pub(crate) fn new(lock: Arc<dyn Lock>, maps_max: usize, kept_max: usize) -> Arc<Self> {
        let (clips, ghosts) = (Mutex::new(BTreeMap::new()), Mutex::default());
        Arc::new(Self { clips, maps: Maps::new(maps_max, kept_max), ghosts, _lock: lock })
    }

    pub(super) fn maps(&self) -> &Maps {
        &self.maps
    }

    /// Lets all maps go that are kept and nobody reads in.
    #[cfg(feature = "bench")]
    pub(crate) fn let_kept_maps_go(&self) {
        self.maps.keep_at_most(0);
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
        let map_slot = Arc::downgrade(&segment.map_slot);
        let mut ghosts = self.ghosts.lock();
        ghosts.push(Ghost { segment: Arc::downgrade(segment), map_slot, bytes });
        ghosts.retain(Ghost::is_kept);
        let only_open: Vec<&Ghost> = ghosts.iter().filter(|ghost| !ghost.is_mapped()).collect();
        let too_many = only_open.len().saturating_sub(self.maps.max());
        only_open.iter().take(too_many).for_each(|ghost| ghost.let_go());
        ghosts.retain(Ghost::is_kept);
    }

    /// Bytes of removed files that readers keep alive.
    pub(crate) fn ghost_bytes(&self) -> u64 {
        let mut ghosts = self.ghosts.lock();
        ghosts.retain(Ghost::is_kept);
        ghosts.iter().map(|ghost| ghost.bytes).sum()
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
