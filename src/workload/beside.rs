//! Somebody else on the same disk: what another writer sees of what is done beside it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use crate::vfs::os::raw::RawFile;

use super::{Latencies, Outcome, Stopwatch};

/// How another writer did meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// How often it wrote 1 MiB and synced it.
    pub commits: u64,
    /// What 99 of 100 of these did not exceed.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

/// Runs `act` while another thread writes to a file of its own in `dir` and syncs it, again and
/// again; for a while longer than `act` takes if that is short, so that there are enough commits.
///
/// # Errors
///
/// That of `act`, or of the writer.
pub fn beside_a_writer<T>(dir: &Path, act: impl FnOnce() -> Outcome<T>) -> Outcome<(T, Beside)> {
    static PIECE: [u8; 1 << 20] = [7; 1 << 20];
    const FILE_BYTES: u64 = 256 << 20;
    const AT_LEAST: Duration = Duration::from_millis(500);
    let file = RawFile::create(&dir.join("beside.raw"), FILE_BYTES, false)?;
    let is_over = AtomicBool::new(false);
    let write = || -> std::io::Result<Latencies> {
        let (began, mut latencies) = (Stopwatch::start(), Latencies::default());
        let pieces = (0..FILE_BYTES).step_by(PIECE.len()).cycle();
        for offset in pieces {
            if is_over.load(Relaxed) && began.elapsed() >= AT_LEAST {
                break;
            }
            let watch = Stopwatch::start();
            file.write_at(offset, &[&PIECE])?;
            file.sync()?;
            latencies.record(watch.elapsed());
        }
        Ok(latencies)
    };
    std::thread::scope(|scope| {
        let writer = scope.spawn(write);
        let done = act();
        is_over.store(true, Relaxed);
        let latencies = writer.join().map_err(|_panic| "the writer beside panicked")??;
        let (p99, max) = (latencies.percentile(99.0), latencies.max());
        Ok((done?, Beside { commits: latencies.count(), p99, max }))
    })
}
