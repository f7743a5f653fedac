//! One seeded workload for everything that measures: `clipkeep bench`, the benches, the rivals.
//!
//! A [`Street`] of cameras makes clips that can be made again from their numbers, so that what is
//! read back can be checked without keeping it. A [`Keeper`] keeps them: the store, the raw limit
//! of the disk, or a rival. The scenarios drive keepers in turn, round by round, so that whatever
//! else the machine does falls on all of them, and answer counts and latencies.
//!
//! Over the public store alone. Nothing here decides what a figure means, prints, or is linked
//! into a hub.
//!
//! ```
//! use clipkeep::workload::{Commit, Ingest, Keeper, StoreKeeper, Street, ingest};
//!
//! let dir = tempfile::tempdir()?;
//! let street = Street::new(7, 16, 20_000);
//! let store = StoreKeeper::open(dir.path(), &street, Commit::Each)?;
//! let mut keepers: Vec<Box<dyn Keeper>> = vec![Box::new(store)];
//! let plan = Ingest { rounds: 2, clips: 32, group: 1 };
//! let tracks = ingest(dir.path(), &mut keepers, &street, &plan, &mut |_| ())?;
//! assert_eq!(tracks[0].bytes(), 2 * 32 * 20_000);
//! # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//! ```

mod beside;
mod budget;
mod counting;
mod find;
mod footage;
mod growth;
mod ingest;
mod keeper;
mod laps;
mod paced;
mod raw;
mod reopen;
mod space;
mod steady;
mod store;
mod together;
mod writers;

use std::io;
use std::path::Path;

use crate::vfs::os::{raw as raw_file, usage};

pub use crate::types::Stopwatch;
pub use crate::vfs::os::usage::{Counted, Machine};
pub use beside::{Beside, beside_a_writer};
pub use budget::{Budget, budget};
pub use counting::{Counting, Counts};
pub use find::{Lookups, Reads, check, lookups, ranges, reads};
pub use footage::{Street, Take};
pub use growth::{Growth, fill, growth, slope};
pub use ingest::{Ingest, ingest, ingest_from};
pub use keeper::{Keeper, Outcome, Sweeping};
pub use laps::{Lap, Latencies, Round, Track, ratio};
pub use paced::{Paced, PacedTracks, paced};
pub use raw::RawKeeper;
pub use reopen::{Reopening, reopenings};
pub use space::{Space, space};
pub use steady::{Bulk, Steady, SteadyTrack, bulk_expiry, bulk_expiry_beside, steady, steady_turn};
pub use store::{Commit, StoreKeeper};
pub use together::{Crowd, Together, crowd};

/// What the kernel counted for this process so far; the device is the one that has `dir`.
#[must_use]
pub fn counted(dir: &Path) -> Counted {
    usage::counted(dir)
}

/// Lets the peak of memory count anew, where the kernel allows that.
pub fn forget_memory_peak() {
    usage::forget_memory_peak();
}

/// The machine, seen from folder `dir`.
///
/// # Errors
///
/// What the system says when `dir` cannot be looked at.
pub fn machine(dir: &Path) -> io::Result<Machine> {
    usage::machine(dir)
}

/// Forgets what is cached of the files below `dir`, so that the next reading is cold; what is in
/// somebody's map stays.
///
/// # Errors
///
/// What the system says.
pub fn drop_caches(dir: &Path) -> io::Result<()> {
    raw_file::drop_caches(dir)
}

/// How much of what was written to the files below `dir` is cached, as `(cached, looked at)` places
/// a MiB apart; `None` where the kernel does not tell.
///
/// # Errors
///
/// What the system says.
pub fn cached(dir: &Path) -> io::Result<Option<(u64, u64)>> {
    raw_file::cached(dir)
}

/// What the file system has allocated for the files below `dir`.
///
/// # Errors
///
/// What the system says.
pub fn allocated(dir: &Path) -> io::Result<u64> {
    raw_file::allocated(dir)
}
