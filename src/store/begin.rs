//! The beginning of an opening: what is read while the names in the store's folders are made
//! durable.
//!
//! Looks into no folder whose names are synced meanwhile, but for STORE: what a process that was
//! killed left there counts only when the sync is done.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::ledger::{Extent, Ledger};
use crate::log::{FooterCache, Handles, Leases};
use crate::sync::{Mutex, RwLock};
use crate::types::{Result, SegmentId};
use crate::vfs::{Lock, Vfs};

use super::catalog::Catalog;
use super::folder::Opener;
use super::history::History;
use super::partitions::FoundRows;
use super::turn::Turn;
use super::{Inner, OpenReport, StoreOptions};

/// Footers of sealed segments that stay in memory: what a lookup over some hours needs.
const FOOTER_CACHE_BYTES: u64 = 16 << 20;
/// Sealed segments whose files stay open, where the process may have twice as many files.
const OPEN_SEGMENTS_MAX: usize = 512;

impl Inner {
    /// Steps 1 and 2, and the heads of the index: all that needs no look into the folders whose
    /// names are made durable meanwhile.
    pub(super) fn begin(
        options: StoreOptions,
        vfs: Arc<dyn Vfs>,
        lock: Arc<dyn Lock>,
        report: &mut OpenReport,
    ) -> Result<(Arc<Self>, FoundRows)> {
        let time = Opener { options: &options, vfs: &*vfs }.open_time()?;
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
        let inner = Arc::new(Self {
            time: Mutex::new(time),
            ledger: Mutex::new(ledger),
            history: RwLock::new(history),
            catalog: RwLock::new(Catalog::new(options.clip_duration_max)),
            footers: FooterCache::new(FOOTER_CACHE_BYTES),
            handles: Handles::new(Arc::clone(&vfs), open_segments_max(&*vfs)),
            leases: Leases::new(Arc::clone(&lock), options.lease_segments_max),
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
        });
        let rows = FoundRows::read(&inner, report)?;
        Ok((inner, rows))
    }
}

/// A quarter of the files that the process may have is for what cannot be closed: the ledger, open
/// segments, readers of what was removed; another is for the program around the store.
fn open_segments_max(vfs: &dyn Vfs) -> usize {
    let half = vfs.open_files_max().map(|files| usize::try_from(files / 2).unwrap_or(usize::MAX));
    half.unwrap_or(usize::MAX).min(OPEN_SEGMENTS_MAX)
}
