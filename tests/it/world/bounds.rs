//! What a store may take of its disk: bytes, and reads when it is opened.

use clipkeep::vfs::Vfs as _;

use super::World;
use crate::promises::Broken;

/// How the names of files begin that are kept for new segments.
const REUSABLE: &str = "spare/reuse-";

impl World {
    /// That a file which is kept for a new segment has nothing of the old one.
    pub(super) fn check_reusable(&self) -> std::result::Result<(), Broken> {
        for path in self.disk.files().iter().filter(|path| path.starts_with(REUSABLE)) {
            let written = self.disk.open(path, false).and_then(|file| file.written_from(0));
            let written = written.map_err(|error| format!("{path}: {error}"))?;
            if let Some(written) = written {
                return Err(format!("{path} has bytes of an old segment at {written:?}"));
            }
        }
        Ok(())
    }

    /// That segments take no more than the quota, removed ones that readers keep included, and
    /// files that are kept for new ones (I8).
    pub(super) fn check_quota(&self) -> std::result::Result<(), Broken> {
        let Some(quota) = self.record().quota else { return Ok(()) };
        let stats = self.store().stats().map_err(|error| format!("no figures: {error}"))?;
        let allocated = |path: &String| self.disk.open(path, false).and_then(|f| f.allocated());
        let files = self.segment_files();
        let kept = self.disk.files().into_iter().filter(|path| path.starts_with(REUSABLE));
        let files = files.into_iter().chain(kept);
        let used: u64 = files.filter_map(|path| allocated(&path).ok()).sum();
        if used + stats.ghost_bytes <= quota {
            return Ok(());
        }
        Err(format!("{used} bytes and {} of ghosts, over the quota {quota}", stats.ghost_bytes))
    }

    /// That opening read no more than its segments and open ends ask for, and what it moved (I10):
    /// it began when the disk had been read `before` times.
    pub(crate) fn check_opening_reads(&self, before: u64) -> std::result::Result<(), Broken> {
        const CHUNK_BYTES: u64 = 64 << 10;
        let reads = self.disk.stats().reads - before;
        let scanned = self.store().opening().segments_scanned;
        let stats = self.store().stats().map_err(|error| format!("no figures: {error}"))?;
        let stored = stats.live_bytes + stats.expired_bytes;
        let files = u64::try_from(self.segment_files().len()).unwrap();
        // 64: STORE and two copies of the ledger.
        let limit = 64 + 16 * files + 40 * scanned + 4 * stored.div_ceil(CHUNK_BYTES);
        if reads <= limit {
            return Ok(());
        }
        Err(format!("opening read {reads} times, {files} segments, {scanned} scanned: {limit}"))
    }

    fn segment_files(&self) -> Vec<String> {
        self.disk.files().into_iter().filter(|path| path.starts_with("segments/")).collect()
    }
}
