//! The beginning of an opening: what is read while the names in the store's folders are made
//! durable.
//!
//! Looks into no folder whose names are synced meanwhile: what a process that was killed left there
//! counts only when the sync is done.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::ledger::{Extent, Ledger};
use crate::log::{FooterCache, Handles, Leases};
use crate::sync::{Mutex, RwLock};
use crate::types::{Result, SegmentId};
use crate::vfs::{Lock, Vfs};

use super::catalog::Catalog;
use super::history::History;
use super::time::TimeKeeper;
use super::turn::Turn;
use super::{Inner, OpenReport, StoreOptions};

/// Footers of sealed segments that stay in memory: what a lookup over some hours needs.
const FOOTER_CACHE_BYTES: u64 = 16 << 20;
/// Sealed segments whose files stay open, where the process may have twice as many files.
const OPEN_SEGMENTS_MAX: usize = 512;

impl Inner {
    /// Step 2, and what is to become of the store: all that needs no look into the folders whose
    /// names are made durable meanwhile.
    pub(super) fn begin(
        options: StoreOptions,
        vfs: Arc<dyn Vfs>,
        lock: Arc<dyn Lock>,
        time: TimeKeeper,
        report: &mut OpenReport,
    ) -> Result<Arc<Self>> {
        let uuid = time.slot.store;
        let extent = Extent {
            first: time.slot.ledger_first,
            repair: time.slot.ledger_repair,
            known_durable: time.slot.ledger_position,
        };
        let mut history = History::default();
        let (ledger, replay) =
            Ledger::open(Arc::clone(&vfs), uuid, extent, !options.read_only, &mut |entry| {
                history.apply(entry);
            })?;
        report.take_replay(replay);
        let kept_maps = kept_maps_max(vfs.memory_bytes(), options.segment_bytes);
        Ok(Arc::new(Self {
            time: Mutex::new(time),
            ledger: Mutex::new(ledger),
            history: RwLock::new(history),
            catalog: RwLock::new(Catalog::new(options.clip_duration_max)),
            footers: FooterCache::new(FOOTER_CACHE_BYTES),
            handles: Handles::new(Arc::clone(&vfs), open_segments_max(&*vfs)),
            leases: Leases::new(Arc::clone(&lock), options.lease_segments_max, kept_maps),
            fetches: Arc::default(),
            appenders: Mutex::default(),
            leftovers: Arc::default(),
            next_segment: Mutex::new(SegmentId(0)),
            reuse: Mutex::default(),
            sweeping: Turn::new(),
            swept: AtomicBool::new(false),
            opening: Mutex::default(),
            problems: Mutex::default(),
            _lock: lock,
            uuid,
            vfs,
            options,
        }))
    }
}

/// A quarter of the files that the process may have is for what cannot be closed: the ledger, open
/// segments, readers of what was removed; another is for the program around the store.
fn open_segments_max(vfs: &dyn Vfs) -> usize {
    let half = vfs.open_files_max().map(|files| usize::try_from(files / 2).unwrap_or(usize::MAX));
    half.unwrap_or(usize::MAX).min(OPEN_SEGMENTS_MAX)
}

/// How many maps are kept that nobody reads in, of segments of `segment_bytes` on a machine with so
/// much memory. Each may have all pages of a segment in the tables of this process, which count as
/// its memory then, although the system takes them back as it does any cached page: an eighth of
/// the machine's, and a few where nobody knows how much that is.
fn kept_maps_max(memory_bytes: Option<u64>, segment_bytes: u64) -> usize {
    const PART: u64 = 8;
    const MOST: u64 = 16;
    const UNKNOWN: u64 = 4;
    let maps = memory_bytes.map(|bytes| bytes / PART / segment_bytes.max(1));
    usize::try_from(maps.map_or(UNKNOWN, |maps| maps.clamp(1, MOST))).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_with_little_memory_keeps_few_maps() {
        let segment = 128 << 20;
        assert_eq!(kept_maps_max(Some(256 << 20), segment), 1);
        assert_eq!(kept_maps_max(Some(4 << 30), segment), 4);
        assert_eq!(kept_maps_max(Some(64 << 30), segment), 16);
        assert_eq!(kept_maps_max(None, segment), 4);
        let real = crate::vfs::os::OsVfs::new("").memory_bytes();
        assert!(real.is_some_and(|bytes| bytes > 16 << 20), "{real:?}");
    }
}
