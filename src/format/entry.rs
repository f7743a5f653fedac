//! An entry of the ledger: one decision, chained to the one before.

use super::Damage;
use crate::types::{CameraId, ClassId, ClipId, HoldId, SegmentId, Timestamp, Window};

/// No encoded entry is longer.
pub(crate) const ENTRY_BYTES_MAX: usize = 256 * 1024;

/// A text in a hold or a decision is at most this many bytes.
pub(crate) const TEXT_BYTES_MAX: usize = 1024;
/// The most (camera, window) ranges of one hold.
pub(crate) const SCOPE_RANGES_MAX: usize = 1024;

/// The decision in an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The first entry of every ledger.
    StoreMade { store: [u8; 16] },
    /// Defines a class, or changes its retention.
    ClassSet { class: ClassId, at_least_us: u64, at_most_us: u64 },
    /// From now on the clips of this camera (of every camera without a class of its own, if
    /// `None`) go to this class.
    CameraClass { camera: Option<CameraId>, class: ClassId },
    /// The camera is hidden from lists (removed), or shown again.
    CameraHidden { camera: CameraId, hidden: bool },
    HoldPlaced(Box<HoldPlaced>),
    /// The hold goes on protecting until `grace_until`.
    HoldReleased { hold: HoldId, grace_until: Timestamp, actor: String, reason: String },
    /// Its deadline passed; it goes on protecting until `grace_until`.
    HoldLapsed { hold: HoldId, grace_until: Timestamp },
    /// From here on it protects nothing.
    HoldEnded { hold: HoldId },
    HoldNarrowed { hold: HoldId, scope: Vec<(CameraId, Window)>, actor: String, reason: String },
    HoldRenewed { hold: HoldId, deadline: Timestamp, actor: String, reason: String },
    /// A segment is complete; its Merkle root, so that nobody can swap bytes unseen.
    SegmentSealed { segment: SegmentId, class: ClassId, root: [u8; 32], parts: u32, payload_bytes: u64, newest_received: Timestamp },
    /// A write to it failed: what stands behind `durable_bytes` was never acknowledged.
    SegmentSuspect { segment: SegmentId, durable_bytes: u64 },
    /// Every clip that began in this segment and that no hold covers at this entry is expired.
    SegmentExpired { segment: SegmentId, reason: ExpiryReason, clips: u64, bytes: u64, newest_received: Timestamp },
    /// These clips are expired.
    ClipsExpired { reason: ExpiryReason, clips: Vec<ClipId> },
    /// Its owner deleted it; on this clip these holds end.
    ClipDeleted { clip: ClipId, camera: CameraId, window: Window, ended_holds: Vec<HoldId>, actor: String, reason: String },
    /// These held clips were copied, checked, and now live in segment `to`.
    ClipsMoved { to: SegmentId, clips: Vec<ClipId> },
    /// The bytes of these expired or deleted clips are gone from segment `segment`.
    ClipsErased { segment: SegmentId, clips: Vec<ClipId> },
    /// The file is gone.
    SegmentDropped { segment: SegmentId, class: ClassId },
    /// Somebody vouched for the wall clock: trusted time is `trusted` from here on.
    ClockConfirmed { trusted: Timestamp, actor: String },
    /// A layer above keeps its own decision here.
    Application { kind: u16, bytes: Vec<u8> },
}

/// Why clips were expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExpiryReason {
    /// Past `at_most`.
    Due,
    /// Between `at_least` and `at_most`, and the room was needed.
    Space,
    /// Before `at_least`: the promise was broken, because the store was full and told to drop the
    /// oldest.
    Early,
    /// No hold covers it any more and its own time was up.
    Released,
}

/// A hold, as it was placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HoldPlaced {
    pub(crate) hold: HoldId,
    /// `HoldCause::code` of the hold layer.
    pub(crate) cause: u8,
    pub(crate) scope: Vec<(CameraId, Window)>,
    pub(crate) deadline: Timestamp,
    /// Grace after release, in microseconds, where the caller set one ("order as written").
    pub(crate) grace_us: Option<u64>,
    pub(crate) reference: String,
    pub(crate) reason: String,
    pub(crate) actor: String,
    pub(crate) agency: String,
    pub(crate) idempotency_key: String,
}

/// One entry with its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// 0, 1, 2 ..
    pub(crate) position: u64,
    /// The position of the first entry of its batch: entries that were appended together, and that
    /// count only together.
    pub(crate) batch_start: u64,
    /// How many entries its batch has.
    pub(crate) batch_count: u32,
    /// Trusted time of the decision.
    pub(crate) at: Timestamp,
    /// [`Entry::hash`] of the entry before; zeros in the first.
    pub(crate) previous: [u8; 32],
    pub(crate) decision: Decision,
}

impl Entry {
    /// The framed bytes: length, CRC (salted with the store's id), position, time, previous hash,
    /// kind, payload; padded to 8.
    pub(crate) fn encode(&self, store: &[u8; 16]) -> Vec<u8> { unimplemented!() }
    /// Reads the entry at the start of `bytes` and tells how many bytes it takes. `Magic` where
    /// nothing was written yet (zeros).
    pub(crate) fn decode(bytes: &[u8], store: &[u8; 16]) -> Result<(Self, usize), Damage> { unimplemented!() }
    /// BLAKE3 of the framed bytes.
    pub(crate) fn hash(encoded: &[u8]) -> [u8; 32] { *blake3::hash(encoded).as_bytes() }
}

/// The fixed header of a ledger file: one 4 KiB block with magic, version, store id, copy number,
/// file number, the position of the first entry and the hash before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LedgerHeader {
    pub(crate) store: [u8; 16],
    pub(crate) number: u32,
    pub(crate) first_position: u64,
    pub(crate) previous: [u8; 32],
}

impl LedgerHeader {
    pub(crate) fn encode(&self) -> Vec<u8> { unimplemented!() }
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damage> { unimplemented!() }
}
