//! A retention and clip storage engine for cameras: keeps clips for a promised time, finds them by
//! camera and window, deletes them on time, and never deletes one that a hold protects.
//!
//! # In a hub
//!
//! ```
//! use std::time::Duration;
//! use clipkeep::{CameraId, Media, NewClip, NewHold, Retention, Store, Window};
//!
//! # let dir = tempfile::tempdir()?;
//! # let folder = dir.path();
//! let store = Store::options().retention(Retention::days(5, 10)?).open(folder)?;
//!
//! // Record: a fragment is durable when `write` returns.
//! let camera: CameraId = "front-door".parse()?;
//! let start = "2026-11-23T18:00:00Z".parse()?;
//! let clip = NewClip::starting(&camera, start).media(Media::FragmentedMp4);
//! let mut recorder = store.record(clip.init(&b"ftyp moov"[..]))?;
//! recorder.write(&b"moof mdat"[..], Duration::from_secs(2))?;
//! let clip = recorder.finish()?;
//!
//! // Find and read.
//! let evening = Window::parse("2026-11-23T17:00:00Z", "2026-11-23T23:00:00Z")?;
//! for clip in store.clips(&camera, evening)? {
//!     let bytes = store.read(clip.id())?.to_vec()?;
//!     assert_eq!(bytes, b"ftyp moovmoof mdat");
//! }
//!
//! // Protect, and let the rest expire.
//! store.place_hold(NewHold::new([camera], evening).reference("case 19-4471"))?;
//! let report = store.sweep()?;
//! assert_eq!(report.clips_expired, 0);
//! assert!(store.delete_clip(clip.id(), "ann", "changed my mind").is_err(), "it is held");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Durability
//!
//! With [`Durability::Synced`], the default, what [`Recorder::write`], [`Recorder::finish`] and
//! [`Store::append`] have acknowledged survives power loss. What was not acknowledged may be lost,
//! and is never half shown. Every decision (a hold, its release, an expiry, a deletion) is on disk,
//! twice, when its call returns.
//!
//! # Time
//!
//! Clips are found by the time that their cameras say. They expire by the time that their bytes
//! arrived, on the store's own trusted time ([`Store::now`]): it never goes back, and a wall clock
//! that jumps neither expires nor keeps anything. Windows are half-open, times are microseconds.
//!
//! # Errors
//!
//! One opaque [`Error`] whose [`Error::kind`] says what the caller can do about it. Damage on disk
//! is an error for the bytes it struck and never data; what was found and survived is in
//! [`Store::opening`] and [`Store::problems`], for somebody to read. Nothing here panics on what a
//! disk or a caller gives it, prints, or changes anything of the process.
//!
//! # Threads
//!
//! A [`Store`] is a handle: clone it, send it, share it. Writers that wait at the same time share
//! one sync. Two threads are optional, a sweeper ([`StoreOptions::sweeper`]) and a committer
//! ([`Durability::Grouped`]); without them every call does its work before it returns. There is no
//! async: from async code, call the store on a pool for blocking work.
//!
//! # Features
//!
//! | feature | brings |
//! |---|---|
//! | none | the engine, for linking into a hub |
//! | `media` | `media`: cutting fragmented MP4 into clips, one playable MP4 for a window |
//! | `bench` | `workload`: a seeded workload over the store, and the raw limit of its disk |
//! | `evidence` | `evidence`: the ledger as a transparency log, containers of bundles |
//! | `requests` (default) | `requests`: from an agency's request to the resident's answer |
//! | `daemon` (default) | `daemon`: the store over HTTP, `clipkeep serve` |
//! | `cli` (default) | the `clipkeep` binary |
//! | `mutation` | for the tests of this crate alone: switches syncs and checks off |
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(not(feature = "mutation"))]
mod barrier;
#[cfg(feature = "mutation")]
pub mod barrier;
mod sync;
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
#[cfg(feature = "media")]
mod stored;
#[cfg(feature = "evidence")]
pub mod evidence;
#[cfg(feature = "requests")]
pub mod requests;
#[cfg(feature = "bench")]
pub mod workload;
#[cfg(any(feature = "cli", feature = "daemon"))]
mod ingest;
#[cfg(feature = "daemon")]
pub mod daemon;
#[cfg(feature = "cli")]
pub mod cli;
/// What the fuzz targets check, which must see private layers: in no build that anybody links.
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
#[path = "../fuzz/checks/mod.rs"]
pub mod fuzzing;

pub use format::entry::ExpiryReason;
pub use hold::{Hold, HoldCause, HoldState, NewHold, Release, ReleaseCause};
pub use retention::{
    ClockStatus, KeptItem, KeptReason, PlanAction, PlanItem, Retention, SweepPlan, WhenFull,
};
pub use store::{
    CameraStats, ClipProof, ClipReader, Clips, Durability, Explanation, Fault, HoldReceipt,
    LedgerEntry, LedgerLine, MissedRange, MissedReason, Note, OpenReport, PartReport, PolicyScope,
    Progress, Recorder, RepairReport, SegmentReport, Stats, Store, StoreOptions, SweepReport,
    Transaction, VerifyDepth, VerifyReport,
};
pub use types::{
    CAMERA_ID_BYTES_MAX, CameraId, CatchUp, ClassId, Clip, ClipId, ClipState, Clock, Error,
    ErrorKind, HoldId, ManualClock, Media, NewClip, Result, SegmentId, SystemClock, Timestamp,
    UNCERTAINTY_MAX, Uptime, Window,
};

/// The example of README.md, compiled and run with the other examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
