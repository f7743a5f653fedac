//! The real kernel: processes killed at any moment, real file systems filled to the last byte, and
//! the limits that a system puts on a process.
//!
//! What the simulated disk cannot show: which calls of a real file system need new space, what
//! comes back when a file goes, which signal arrives. Every test ends with a line of `tally`, so
//! that one that could not run here is seen and counted.

#[cfg(feature = "bench")]
mod cache;
mod each_step;
mod full_disk;
mod image;
mod kill;
mod limits;
mod room;
mod stage;
mod tally;
