//! Figures of a store: where its bytes are, and whether its promise is kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::format::{BLOCK_BYTES, name};
use crate::log::Segment;
use crate::types::{CameraId, Result};

use super::{CameraStats, Inner, Stats, Store};

impl Store {
    /// Counts everything. Reads every footer: for people and for metrics every minute, not for
    /// each request.
    ///
    /// # Errors
    ///
    /// `Corrupt` or `Io` when a footer cannot be read.
    pub fn stats(&self) -> Result<Stats> {
        self.inner.stats()
    }
}

impl Inner {
    fn stats(&self) -> Result<Stats> {
        let (ledger_entries, ledger_bytes, deletion_frozen) = {
            let ledger = self.ledger.lock();
            let frozen = ledger.unreadable().map(str::to_owned);
            (ledger.position(), ledger.allocated_bytes(), frozen)
        };
        let poisoned = self.all_appenders().iter().find_map(|appender| appender.poisoned());
        let space = self.disk_space()?;
        let spare_bytes = self.spare_bytes();
        let (now, clock) = {
            let mut time = self.time.lock();
            let (wall, uptime) = (time.clock.wall(), time.clock.uptime());
            (time.trusted.observe(wall, uptime), time.trusted.status())
        };
        let mut stats = Stats {
            now,
            clock,
            clips: 0,
            live_bytes: 0,
            held_clips: 0,
            held_bytes: 0,
            expired_bytes: 0,
            overhead_bytes: 0,
            reserved_bytes: spare_bytes + ledger_bytes,
            reusable_bytes: self.reuse_bytes(),
            file_bytes: spare_bytes + ledger_bytes,
            ghost_bytes: self.leases.ghost_bytes(),
            free_bytes: space.free,
            segments_sealed: 0,
            segments_open: 0,
            ledger_entries,
            holds_active: 0,
            index_bytes: 0,
            promise_broken_clips: 0,
            segments_expired_bytes: 0,
            deletion_frozen,
            recording_stopped: poisoned.map(|error| error.to_string()),
            cameras: Vec::new(),
        };
        self.count_clips(&mut stats)?;
        let accounted = stats.live_bytes + stats.expired_bytes + stats.reserved_bytes;
        stats.overhead_bytes = stats.file_bytes.saturating_sub(accounted);
        Ok(stats)
    }

    fn count_clips(&self, stats: &mut Stats) -> Result<()> {
        let history = self.history.read();
        let catalog = self.catalog.read();
        stats.index_bytes = u64::try_from(catalog.timelines.bytes()).unwrap_or(u64::MAX);
        stats.file_bytes += catalog.timelines.file_bytes();
        stats.promise_broken_clips = history.early_clips;
        stats.segments_expired_bytes = history.expired_bytes;
        let protecting = history.holds.iter().filter(|hold| hold.protects()).count();
        stats.holds_active = u64::try_from(protecting).unwrap_or(u64::MAX);
        let mut cameras: BTreeMap<CameraId, CameraStats> = BTreeMap::new();
        let known = history.cameras.iter().chain(catalog.timelines.cameras());
        for camera in known {
            let class = history.class_of(Some(camera));
            cameras.entry(camera.clone()).or_insert_with(|| CameraStats {
                camera: camera.clone(),
                class,
                retention: history.retention_of(class),
                removed: history.hidden.contains(camera),
                clips: 0,
                bytes: 0,
                oldest: None,
                newest: None,
            });
        }
        for shelved in catalog.segments.values() {
            let segment = &shelved.segment;
            stats.file_bytes += shelved.file_bytes;
            if segment.is_sealed() {
                stats.segments_sealed += 1;
            } else {
                stats.segments_open += 1;
                let used = self.used_bytes(segment)?;
                stats.reserved_bytes += shelved.file_bytes.saturating_sub(used);
            }
            for found in segment.parts(&self.footers)? {
                let erased = history.erased.contains(&(segment.id, found.part.clip));
                if catalog.is_live(found.part.clip, segment) {
                    stats.live_bytes += found.part.payload_bytes;
                } else if !erased {
                    stats.expired_bytes += found.part.payload_bytes;
                }
            }
            for located in catalog.clips_of(&self.footers, segment)? {
                let clip = located.clip;
                stats.clips += 1;
                if history.holds.covers(&clip.camera, &clip.possible_window()) {
                    stats.held_clips += 1;
                    stats.held_bytes += clip.len;
                }
                let Some(camera) = cameras.get_mut(&clip.camera) else { continue };
                camera.clips += 1;
                camera.bytes += clip.len;
                let (start, end) = (clip.window.start(), clip.window.end());
                camera.oldest = Some(camera.oldest.map_or(start, |oldest| oldest.min(start)));
                camera.newest = Some(camera.newest.map_or(end, |newest| newest.max(end)));
            }
        }
        stats.cameras = cameras.into_values().collect();
        Ok(())
    }

    /// The bytes of an open segment up to the end of its last record. Not asked of the appender: it
    /// may be at work, and in a store opened for reading there is none.
    fn used_bytes(&self, segment: &Arc<Segment>) -> Result<u64> {
        let mut used = BLOCK_BYTES;
        for found in segment.parts(&self.footers)? {
            let part = segment.part_of(&self.footers, found.part.clip)?;
            let last = part.and_then(|(_, part)| part.records.last().copied());
            used = used.max(last.map_or(0, |last| u64::from(last.end_block()) * BLOCK_BYTES));
        }
        Ok(used)
    }

    /// What the files in `spare/` take.
    fn spare_bytes(&self) -> u64 {
        let names = self.vfs.list(name::SPARE).unwrap_or_default();
        let sizes = names.iter().filter_map(|found| {
            let path = name::spare(name::parse_spare(found)?);
            self.vfs.open(&path, false).and_then(|file| file.allocated()).ok()
        });
        sizes.sum()
    }
}
