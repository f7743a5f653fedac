//! What the store tells its callers: receipts, reports and figures. Plain values, no behaviour.

use std::time::Duration;

use crate::hold::Hold;
use crate::retention::{ClockStatus, Retention, SweepPlan};
use crate::types::{CameraId, ClassId, ClipId, Error, HoldId, SegmentId, Timestamp, Window};

/// What a hold covers at the moment it was placed. Printed on paper, it is the proof that the clips
/// were asked for in time.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HoldReceipt {
    /// The hold's id.
    pub id: HoldId,
    /// The ledger entry that placed it: decisions before it win, decisions after it lose.
    pub position: u64,
    /// Trusted time when it was placed.
    pub placed: Timestamp,
    /// Trusted time when it ends by itself.
    pub deadline: Timestamp,
    /// How many clips it covers now. Clips that arrive later inside its windows are held as well.
    pub clips: u64,
    /// The bytes of those clips.
    pub bytes: u64,
    /// The bytes among them that no other hold covered before.
    pub newly_pinned_bytes: u64,
    /// The parts of its windows with no clip.
    pub missed: Vec<MissedRange>,
    /// Until when ordinary retention would have kept the first of the covered clips to expire.
    pub kept_anyway_until: Option<Timestamp>,
    /// Whether this call placed it, or an earlier one with the same idempotency key.
    pub placed_before: bool,
    /// Why the figures are not the whole of it: segments whose metadata cannot be read. What is in
    /// them is held like the rest; empty when everything was counted.
    pub uncounted: Vec<Error>,
}

/// What a repair of the ledger found and did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RepairReport {
    /// Entries before the first loss: they count as they did.
    pub entries_kept: u64,
    /// Entries that were found behind it, and are taken over.
    pub entries_found_behind: u64,
    /// Entries that are known to be lost. More may have stood at the end.
    pub entries_lost: u64,
    /// The holds that now protect everything: release them when those that were lost are placed
    /// again.
    pub holds_placed: Vec<HoldId>,
    /// How many cameras they cover.
    pub cameras: u64,
    /// Clips in evidence segments whose move was not on record any more, and is again.
    pub copies_named: u64,
    /// Classes whose retention is lost: what is in them is kept for the longest time there is.
    pub classes_kept_longest: Vec<ClassId>,
}

/// A part of a hold's window without footage, and what is known of why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MissedRange {
    /// The camera.
    pub camera: CameraId,
    /// The part of the window.
    pub window: Window,
    /// Why there is nothing.
    pub reason: MissedReason,
}

/// Why a part of a window has no footage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MissedReason {
    /// The store still has everything it received from that time, and has nothing.
    NeverRecorded,
    /// It lies before the point up to which footage has expired: if there was any, it is gone.
    Expired,
    /// It lies in the future.
    NotYet,
    /// Nobody can tell: a segment's metadata cannot be read, see [`HoldReceipt::uncounted`].
    Unreadable,
}

/// Why a clip is kept, and until when.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// The clip.
    pub clip: ClipId,
    /// The retention it was recorded under.
    pub retention: Retention,
    /// When it is due by its own age: no hold moves this.
    pub own_expiry: Timestamp,
    /// When it is due counting the holds on it: the latest of its own expiry and the end of the
    /// last hold with its grace. A hold can be renewed, released early, or placed anew.
    pub effective_expiry: Timestamp,
    /// The holds on it.
    pub holds: Vec<Hold>,
}

/// What a sweep did.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SweepReport {
    /// What it had planned.
    pub plan: Option<SweepPlan>,
    /// Segments whose files are gone.
    pub segments_dropped: u64,
    /// Clips that are gone from every interface.
    pub clips_expired: u64,
    /// Their bytes.
    pub bytes_expired: u64,
    /// Of these, clips that went before their `at_least`: a promise broken for lack of room.
    pub clips_expired_early: u64,
    /// Held clips that were moved to an evidence segment.
    pub clips_moved: u64,
    /// Their bytes.
    pub bytes_moved: u64,
    /// Holds whose deadline passed.
    pub holds_lapsed: u64,
    /// Holds that ended: their grace is over.
    pub holds_ended: u64,
    /// Segments that are due but must wait for the next sweep (see `StoreOptions::sweep_share`).
    pub segments_deferred: u64,
    /// Clips whose bytes must wait for a reader to let go of them.
    pub clips_awaiting_readers: u64,
    /// What went wrong with single segments; the others were done.
    pub problems: Vec<Error>,
}

/// Bytes by state, and whether the promise is kept.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// Trusted time of these figures.
    pub now: Timestamp,
    /// How the wall clock compares with trusted time.
    pub clock: ClockStatus,
    /// Clips that can be read.
    pub clips: u64,
    /// Their payload bytes.
    pub live_bytes: u64,
    /// Clips under a hold.
    pub held_clips: u64,
    /// Their payload bytes.
    pub held_bytes: u64,
    /// Payload bytes that are expired or deleted, but still inside a file.
    pub expired_bytes: u64,
    /// File bytes that are no payload: headers, padding, footers.
    pub overhead_bytes: u64,
    /// Bytes allocated and not yet used: open segments, spare files, the evidence reserve, the
    /// ballast, the ledger's own room.
    pub reserved_bytes: u64,
    /// Those of them in files of dropped segments that are kept for new ones, or wait to be given
    /// back: see [`crate::StoreOptions::reuse_max`].
    pub reusable_bytes: u64,
    /// All bytes that the file system has allocated for the store.
    pub file_bytes: u64,
    /// Bytes of removed files that readers keep alive.
    pub ghost_bytes: u64,
    /// Bytes free on the file system.
    pub free_bytes: u64,
    /// Segments that are sealed.
    pub segments_sealed: u64,
    /// Segments that are open for writing.
    pub segments_open: u64,
    /// Entries in the ledger.
    pub ledger_entries: u64,
    /// Holds that protect something, grace included.
    pub holds_active: u64,
    /// Memory that the index takes, in bytes.
    pub index_bytes: u64,
    /// Clips that were expired before their `at_least` since the store was made.
    pub promise_broken_clips: u64,
    /// Payload bytes that expired with whole segments since the store was made.
    pub segments_expired_bytes: u64,
    /// What stops deletion altogether: an unreadable ledger, if so.
    pub deletion_frozen: Option<String>,
    /// What stops recording, if anything does.
    pub recording_stopped: Option<String>,
    /// Each camera.
    pub cameras: Vec<CameraStats>,
}

/// The figures of one camera.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CameraStats {
    /// The camera.
    pub camera: CameraId,
    /// The class its new clips go to.
    pub class: ClassId,
    /// How long its new clips are kept.
    pub retention: Retention,
    /// Whether it was removed: it is hidden, and its clips live out their time.
    pub removed: bool,
    /// Its readable clips.
    pub clips: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When its oldest readable clip starts.
    pub oldest: Option<Timestamp>,
    /// When its newest readable clip ends.
    pub newest: Option<Timestamp>,
}

/// How deep [`crate::Store::verify`] looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum VerifyDepth {
    /// Every file that the ledger says must exist does, with its length.
    Presence,
    /// Also: every header, footer and trailer, and every Merkle root against the ledger.
    Headers,
    /// Also: every byte of every clip against its checksums and its digest.
    Bytes,
}

/// What [`crate::Store::verify`] found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Segments looked at.
    pub segments: u64,
    /// Clips looked at.
    pub clips: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Ledger entries whose chain was checked.
    pub ledger_entries: u64,
    /// Everything that is not as it should be; empty means whole.
    pub faults: Vec<Fault>,
}

/// Something that is not as it should be.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Fault {
    /// The segment, if it is in one.
    pub segment: Option<SegmentId>,
    /// The clip, if it is in one.
    pub clip: Option<ClipId>,
    /// What and where.
    pub error: Error,
}

/// What opening a store found and did.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct OpenReport {
    /// Whether the store was made by this call.
    pub created: bool,
    /// Segments that were open when the store was last used, now scanned.
    pub segments_scanned: u64,
    /// Clips that end at their last durable fragment because their recording was cut off.
    pub clips_truncated: u64,
    /// Half-done drops that were finished.
    pub drops_finished: u64,
    /// What was repaired, in sentences.
    pub repairs: Vec<String>,
    /// What is damaged or strange and was left alone.
    pub problems: Vec<Error>,
    /// Why nothing is deleted until somebody repairs the ledger, if so.
    pub deletion_frozen: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// One entry of the ledger, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LedgerLine {
    /// Its place in the ledger.
    pub position: u64,
    /// Trusted time of the decision.
    pub at: Timestamp,
    /// The kind of decision, a short stable name.
    pub kind: &'static str,
    /// The decision in a sentence.
    pub text: String,
    /// BLAKE3 of the entry, which the next entry repeats.
    pub hash: [u8; 32],
}

/// One segment, for a person.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SegmentReport {
    /// Its id.
    pub segment: SegmentId,
    /// Its class.
    pub class: ClassId,
    /// Its file in the store's folder.
    pub file: String,
    /// The length of the file.
    pub file_bytes: u64,
    /// Whether it is sealed.
    pub sealed: bool,
    /// When it was made, by trusted time.
    pub created: Timestamp,
    /// When its newest record arrived, by trusted time.
    pub newest_received: Timestamp,
    /// The Merkle root over its parts, once it is sealed.
    pub root: Option<[u8; 32]>,
    /// Its clips, or the parts of clips that it has.
    pub parts: Vec<PartReport>,
}

/// The part of a clip that is in one segment, for a person.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PartReport {
    /// The clip.
    pub clip: ClipId,
    /// Its camera.
    pub camera: CameraId,
    /// The time the part covers.
    pub start: Timestamp,
    /// The end of that time.
    pub end: Timestamp,
    /// Whether the clip begins here.
    pub first: bool,
    /// Whether the clip is complete with this part.
    pub last: bool,
    /// Records in the part.
    pub records: u32,
    /// Payload bytes in the part.
    pub bytes: u64,
    /// The byte offset of its first record in the file.
    pub offset: u64,
    /// Whether it is expired or deleted and waits for its removal.
    pub gone: bool,
}
