//! Retention and clip storage engine for cameras.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod types;
pub mod vfs;
mod format;
mod log;
mod index;
mod ledger;
mod hold;
mod retention;
mod store;
#[cfg(feature = "media")]
pub mod media;
#[cfg(feature = "cli")]
pub mod cli;

pub use format::entry::ExpiryReason;
pub use hold::{Hold, HoldCause, HoldState, NewHold, Release, ReleaseCause};
pub use retention::{
    ClockStatus, KeptItem, KeptReason, PlanAction, PlanItem, Retention, SweepPlan, WhenFull,
};
pub use store::{
    CameraStats, ClipReader, Clips, Durability, Explanation, Fault, HoldReceipt, LedgerLine,
    MissedRange, MissedReason, OpenReport, PartReport, PolicyScope, Progress, Recorder,
    SegmentReport, Stats, Store, StoreOptions, SweepReport, VerifyDepth, VerifyReport,
};
pub use types::{
    CAMERA_ID_BYTES_MAX, CameraId, ClassId, Clip, ClipId, ClipState, Clock, Error, ErrorKind,
    HoldId, ManualClock, Media, NewClip, Result, SegmentId, SystemClock, Timestamp,
    UNCERTAINTY_MAX, Uptime, Window,
};
