//! Where a clip stands on its way into the log: what its recorder and the appender share.
//!
//! Owns the place of the clip's newest record, and why the clip cannot go on. Locked for moments
//! only, never across I/O.

use crate::sync::Mutex;
use crate::types::{ClipId, Error, Result, SegmentId};

/// Where a clip stands: shared by its recorder and its waiting records.
#[derive(Debug, Default)]
pub(crate) struct ClipSlot(pub(super) Mutex<ClipPlace>);

#[derive(Clone, Debug, Default)]
pub(super) struct ClipPlace {
    /// The clip's id and its newest record, once that is durable.
    pub(super) settled: Option<Place>,
    /// The same for its newest record that is placed but not yet written.
    pub(super) placed: Option<Place>,
    /// Why a record of the clip was lost: nothing may follow it.
    pub(super) broken: Option<Error>,
}

/// A record in the log, of which clip.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) clip: ClipId,
    pub(super) segment: SegmentId,
    pub(super) block: u32,
}

impl ClipSlot {
    /// The clip's id, once its first record is durable.
    pub(crate) fn id(&self) -> Option<ClipId> {
        self.0.lock().settled.map(|place| place.clip)
    }

    /// Answers the error with which a record of the clip was lost, if one was.
    pub(crate) fn check(&self) -> Result<()> {
        self.0.lock().broken.clone().map_or(Ok(()), Err)
    }
}
