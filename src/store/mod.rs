//! STUB of the public store API, to be replaced by merging `main`: signatures are final.
#![allow(missing_docs, clippy::all, unused)]
mod options;
mod report;
pub use options::*;
pub use report::*;
use crate::types::*;
use crate::hold::*;
use crate::retention::*;
use crate::vfs::Vfs;
use std::sync::Arc;
use std::time::Duration;
use bytes::Bytes;

#[derive(Clone, Debug)]
pub struct Store;

/// Where a change of retention applies.
pub enum PolicyScope { NewClips, ExistingToo }

impl Store {
    pub fn options() -> StoreOptions { StoreOptions::default() }
    pub(crate) fn open_with(options: StoreOptions, vfs: Arc<dyn Vfs>) -> Result<Self> { unimplemented!() }
    /// Stops threads, makes everything durable, saves trusted time. Dropping the last clone does the same without telling errors.
    pub fn close(self) -> Result<()> { unimplemented!() }
    pub fn opening(&self) -> OpenReport { unimplemented!() }
    /// trusted time now
    pub fn now(&self) -> Timestamp { unimplemented!() }
    pub fn clock_status(&self) -> ClockStatus { unimplemented!() }
    pub fn confirm_clock(&self, actor: &str) -> Result<Timestamp> { unimplemented!() }

    pub fn append(&self, clip: NewClip, bytes: impl Into<Bytes>) -> Result<Clip> { unimplemented!() }
    pub fn record(&self, clip: NewClip) -> Result<Recorder> { unimplemented!() }
    pub fn sync(&self) -> Result<()> { unimplemented!() }
    /// Seals all open segments with records (tests, shutdown before moving a disk)
    pub fn seal(&self) -> Result<()> { unimplemented!() }

    pub fn cameras(&self) -> Vec<CameraId> { unimplemented!() }          // not the removed ones
    pub fn add_camera(&self, camera: &CameraId) -> Result<()> { unimplemented!() } // known before its first clip; un-hides
    pub fn remove_camera(&self, camera: &CameraId) -> Result<()> { unimplemented!() } // hides
    /// owned, double-ended, exact-size iterator over a snapshot, by start
    pub fn clips(&self, camera: &CameraId, window: Window) -> Result<Clips> { unimplemented!() }
    pub fn clip(&self, id: ClipId) -> Result<Clip> { unimplemented!() }  // NotFound / Expired
    pub fn explain(&self, id: ClipId) -> Result<Explanation> { unimplemented!() }
    pub fn read(&self, id: ClipId) -> Result<ClipReader> { unimplemented!() }
    /// without maps: for export of evidence and suspect media
    pub fn read_copied(&self, id: ClipId) -> Result<ClipReader> { unimplemented!() }

    pub fn retention(&self, camera: Option<&CameraId>) -> Retention { unimplemented!() }
    pub fn set_retention(&self, camera: Option<&CameraId>, retention: Retention, scope: PolicyScope) -> Result<()> { unimplemented!() }
    pub fn plan_sweep(&self) -> Result<SweepPlan> { unimplemented!() }
    pub fn sweep(&self) -> Result<SweepReport> { unimplemented!() }

    pub fn place_hold(&self, hold: NewHold) -> Result<HoldReceipt> { unimplemented!() }
    pub fn hold(&self, id: HoldId) -> Result<Hold> { unimplemented!() }
    pub fn holds(&self) -> Vec<Hold> { unimplemented!() }
    /// what a hold covers now
    pub fn hold_receipt(&self, id: HoldId) -> Result<HoldReceipt> { unimplemented!() }
    pub fn release_hold(&self, id: HoldId, release: &Release) -> Result<Hold> { unimplemented!() }
    pub fn narrow_hold(&self, id: HoldId, scope: Vec<(CameraId, Window)>, actor: &str, reason: &str) -> Result<Hold> { unimplemented!() }
    pub fn renew_hold(&self, id: HoldId, duration: Duration, actor: &str, reason: &str) -> Result<Hold> { unimplemented!() }

    /// the owner's delete: Held if any hold covers it
    pub fn delete_clip(&self, id: ClipId, actor: &str, reason: &str) -> Result<()> { unimplemented!() }
    /// the owner's "deny and erase": ends the holds on this clip, except an order's (Held)
    pub fn erase_clip(&self, id: ClipId, actor: &str, reason: &str) -> Result<()> { unimplemented!() }
    /// an outcome for each
    pub fn delete_clips(&self, ids: &[ClipId], actor: &str, reason: &str) -> Vec<(ClipId, Result<()>)> { unimplemented!() }

    pub fn verify(&self, depth: VerifyDepth, progress: &mut dyn FnMut(Progress)) -> Result<VerifyReport> { unimplemented!() }
    pub fn stats(&self) -> Result<Stats> { unimplemented!() }
    pub fn segments(&self) -> Vec<SegmentId> { unimplemented!() }
    pub fn inspect_segment(&self, id: SegmentId) -> Result<SegmentReport> { unimplemented!() }
    /// ledger entries from position `from` on; `visit` answers whether to go on
    pub fn inspect_ledger(&self, from: u64, visit: &mut dyn FnMut(LedgerLine) -> bool) -> Result<()> { unimplemented!() }
}

/// How far a long job is.
#[derive(Clone, Copy, Debug)]
pub struct Progress { pub done_bytes: u64, pub total_bytes: u64 }

#[derive(Debug)]
pub struct Recorder;
impl Recorder {
    /// durable on return with Durability::Synced. Begins another clip (with the init bytes first) when the clip would pass clip_duration_max.
    pub fn write(&mut self, fragment: impl Into<Bytes>, duration: Duration) -> Result<()> { unimplemented!() }
    /// a new init segment: ends the clip, the next fragment begins another with these bytes first
    pub fn set_init(&mut self, init: impl Into<Bytes>) -> Result<()> { unimplemented!() }
    /// ends the clip at once and goes on with another at `start` (a gap, a clock step)
    pub fn restart_at(&mut self, start: Timestamp) -> Result<()> { unimplemented!() }
    /// the clips begun so far whose beginning is durable
    pub fn clips(&self) -> Vec<ClipId> { unimplemented!() }
    /// end of what was written so far, on the camera's clock
    pub fn position(&self) -> Timestamp { unimplemented!() }
    /// ends the last clip; dropping without it leaves a truncated clip
    pub fn finish(self) -> Result<Clip> { unimplemented!() }
}

#[derive(Debug)]
pub struct Clips;
impl Iterator for Clips { type Item = Clip; fn next(&mut self) -> Option<Clip> { unimplemented!() } }
impl DoubleEndedIterator for Clips { fn next_back(&mut self) -> Option<Clip> { unimplemented!() } }
impl ExactSizeIterator for Clips {}

/// Read + Seek + Send; positioned reads and zero-copy chunks
#[derive(Debug)]
pub struct ClipReader;
impl ClipReader {
    pub fn clip(&self) -> &Clip { unimplemented!() }
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> { unimplemented!() }
    /// verified chunks of at most 64 KiB covering `range`
    pub fn chunks(&self, range: std::ops::Range<u64>) -> impl Iterator<Item = Result<Bytes>> + '_ { std::iter::empty() }
    pub fn to_vec(&self) -> Result<Vec<u8>> { unimplemented!() }
}
impl std::io::Read for ClipReader { fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> { unimplemented!() } }
impl std::io::Seek for ClipReader { fn seek(&mut self, _: std::io::SeekFrom) -> std::io::Result<u64> { unimplemented!() } }
