//! Retention and clip storage engine for cameras.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod types;
pub mod vfs;
mod format;
#[cfg(feature = "media")]
pub mod media;

pub use types::{
    CAMERA_ID_BYTES_MAX, CameraId, ClassId, Clip, ClipId, ClipState, Clock, Error, ErrorKind,
    HoldId, ManualClock, Media, NewClip, Result, SegmentId, SystemClock, Timestamp,
    UNCERTAINTY_MAX, Uptime, Window,
};
