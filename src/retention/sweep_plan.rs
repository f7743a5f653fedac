//! What a sweep would do, and why, for people and for the executor.
//!
//! Owns the words. The decisions are made in `plan`.

use std::fmt;

use crate::format::entry::ExpiryReason;
use crate::types::{ClassId, SegmentId, Timestamp};

/// What one sweep would drop, what it would keep although somebody might expect otherwise, and why.
///
/// The items are in the order in which they must be done. If one cannot be done, the later items of
/// its class must not be either: within a class the oldest goes first, and a later segment may hold
/// the tail of a clip of an earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepPlan {
    pub(crate) now: Timestamp,
    pub(crate) items: Vec<PlanItem>,
    pub(crate) kept: Vec<KeptItem>,
    pub(crate) freed_bytes: u64,
    pub(crate) short_bytes: u64,
    pub(crate) deferred: u64,
    pub(crate) deferred_bytes: u64,
}

impl SweepPlan {
    /// The trusted time that it was made for.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// What goes, in order.
    #[must_use]
    pub fn items(&self) -> &[PlanItem] {
        &self.items
    }

    /// What stays, by class and segment.
    #[must_use]
    pub fn kept(&self) -> &[KeptItem] {
        &self.kept
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The bytes on disk that it frees.
    #[must_use]
    pub fn freed_bytes(&self) -> u64 {
        self.freed_bytes
    }

    /// The bytes that are wanted and that it does not free, because what is left is held or
    /// promised. Not zero: recording stops.
    #[must_use]
    pub fn short_bytes(&self) -> u64 {
        self.short_bytes
    }

    /// How many due segments wait for the next sweep, because one sweep may not drop more.
    #[must_use]
    pub fn deferred(&self) -> u64 {
        self.deferred
    }

    /// The bytes of clips in the segments that wait.
    #[must_use]
    pub fn deferred_bytes(&self) -> u64 {
        self.deferred_bytes
    }
}

/// What is done to a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PlanAction {
    /// All its clips expire and the file goes.
    Drop,
    /// Its held clips are copied to an evidence segment; the others expire and the file goes.
    MoveHeldThenDrop,
    /// Of an evidence segment: the clips that no hold covers any more expire, the file stays.
    ExpireClips,
}

/// One segment of which something goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanItem {
    pub(crate) segment: SegmentId,
    pub(crate) class: ClassId,
    pub(crate) action: PlanAction,
    pub(crate) reason: ExpiryReason,
    pub(crate) clips: u64,
    pub(crate) bytes: u64,
    pub(crate) held_clips: u64,
    pub(crate) held_bytes: u64,
    pub(crate) due: Timestamp,
}

impl PlanItem {
    /// The segment.
    #[must_use]
    pub fn segment(&self) -> SegmentId {
        self.segment
    }

    /// Its class.
    #[must_use]
    pub fn class(&self) -> ClassId {
        self.class
    }

    /// What is done to it.
    #[must_use]
    pub fn action(&self) -> PlanAction {
        self.action
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> ExpiryReason {
        self.reason
    }

    /// How many clips expire; held ones are not among them.
    #[must_use]
    pub fn clips(&self) -> u64 {
        self.clips
    }

    /// The payload bytes of the clips that expire.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many held clips stay, here or in an evidence segment.
    #[must_use]
    pub fn held_clips(&self) -> u64 {
        self.held_clips
    }

    /// The payload bytes of the held clips that stay.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.held_bytes
    }

    /// When its newest clip passes `at_most`.
    #[must_use]
    pub fn due(&self) -> Timestamp {
        self.due
    }
}

impl fmt::Display for PlanItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment {} (class {}): ", self.segment, self.class)?;
        let clips = Clips(self.clips);
        match self.action {
            PlanAction::Drop => write!(f, "drop, {clips}")?,
            PlanAction::MoveHeldThenDrop => {
                write!(f, "move {} held, then drop, {clips}", Clips(self.held_clips))?;
            }
            PlanAction::ExpireClips => write!(f, "expire {clips}")?,
        }
        match self.reason {
            ExpiryReason::Due => write!(f, ", past at_most since {}", self.due),
            ExpiryReason::Space => write!(f, ", the room is needed, at_most at {}", self.due),
            ExpiryReason::Early => {
                write!(f, ", before at_least, because the store is full; at_most at {}", self.due)
            }
            ExpiryReason::Released => f.write_str(", held by nothing any more and past at_most"),
        }
    }
}

/// Why a segment stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeptReason {
    /// Its newest clip passes `at_most` only at `due`.
    NotDue {
        /// When that is.
        due: Timestamp,
    },
    /// Every clip in it is held, so dropping it would free nothing.
    AllHeld,
    /// It holds a part of a clip that began in an older segment, and that one stays.
    HoldsTail,
    /// It is due, but an older segment of its class is not: the oldest go first.
    BehindOlder,
    /// It is due, but this sweep drops as large a share as one sweep may.
    ShareLimit,
    /// Its room is needed, but `at_least` was promised and the store keeps the promise when full.
    PromiseKept,
    /// Its room is needed, but moving its held clips takes as much as dropping it frees.
    FreesNothing,
}

/// One segment that stays whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptItem {
    pub(crate) segment: SegmentId,
    pub(crate) class: ClassId,
    pub(crate) reason: KeptReason,
}

impl KeptItem {
    /// The segment.
    #[must_use]
    pub fn segment(&self) -> SegmentId {
        self.segment
    }

    /// Its class.
    #[must_use]
    pub fn class(&self) -> ClassId {
        self.class
    }

    /// Why it stays.
    #[must_use]
    pub fn reason(&self) -> KeptReason {
        self.reason
    }
}

impl fmt::Display for KeptItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment {} (class {}): keep, ", self.segment, self.class)?;
        match self.reason {
            KeptReason::NotDue { due } => write!(f, "due at {due}"),
            KeptReason::AllHeld => f.write_str("every clip in it is held"),
            KeptReason::HoldsTail => {
                f.write_str("it holds the tail of a clip of an older segment that stays")
            }
            KeptReason::BehindOlder => f.write_str("an older segment of its class stays"),
            KeptReason::ShareLimit => f.write_str("due, but one sweep may not drop more"),
            KeptReason::PromiseKept => f.write_str("at_least is promised, also when full"),
            KeptReason::FreesNothing => f.write_str("moving its held clips would free nothing"),
        }
    }
}

/// A number of clips, in words.
struct Clips(u64);

impl fmt::Display for Clips {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("1 clip"),
            count => write!(f, "{count} clips"),
        }
    }
}
