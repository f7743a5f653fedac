//! An entry of the ledger: one decision, chained to the one before; and the header of its file.
//!
//! ```text
//! ledger file:  0 [ header ] 4096 [ entry ][ entry ][ entry ] zeros ...
//!
//! header
//!  0        8    12 14 16       32   36   40       48                80                   4096
//! +--------+----+--+--+--------+----+----+--------+-----------------+---------- ... --------+
//! |CLIPLED.|crc |v |0 | store  |num | 0  | first  | previous        | zeros                 |
//! +--------+----+--+--+--------+----+----+--------+-----------------+---------- ... --------+
//!
//! entry
//!  0    4    8        16       24         56 58 60   64       72   76   80               to 8
//! +----+----+--------+--------+----------+--+--+----+--------+----+----+------ ... ------+---+
//! |CLPE|crc |position| at     | previous |k |0 |len |b.start |b.n | 0  | payload         | 0 |
//! +----+----+--------+--------+----------+--+--+----+--------+----+----+------ ... ------+---+
//! ```
//!
//! | offset | size | header           | meaning                                          |
//! |-------:|-----:|------------------|--------------------------------------------------|
//! |      0 |    8 | magic            | `CLIPLED\0`                                      |
//! |      8 |    4 | crc              | CRC32 of bytes 12..4096, not salted              |
//! |     12 |    2 | version          | 1                                                |
//! |     14 |    2 |                  | zero                                             |
//! |     16 |   16 | store            | id of the store                                  |
//! |     32 |    4 | number           | number of the file, also in its name             |
//! |     36 |    4 |                  | zero                                             |
//! |     40 |    8 | `first_position` | position of the file's first entry               |
//! |     48 |   32 | previous         | hash of the entry before it; zeros at position 0 |
//! |     80 | 4016 |                  | zeros                                            |
//!
//! | offset | size | entry           | meaning                                               |
//! |-------:|-----:|-----------------|-------------------------------------------------------|
//! |      0 |    4 | magic           | `CLPE`                                                |
//! |      4 |    4 | crc             | CRC32 of the store's id, then bytes 8 to the end      |
//! |      8 |    8 | position        | 0, 1, 2 .. across all files                           |
//! |     16 |    8 | at              | trusted time of the decision, µs since 1970           |
//! |     24 |   32 | previous        | BLAKE3 of the whole entry before; zeros at position 0 |
//! |     56 |    2 | kind            | which decision; `payload` has the table               |
//! |     58 |    2 | flags           | zero                                                  |
//! |     60 |    4 | `payload_bytes` | without the padding                                   |
//! |     64 |    8 | `batch_start`   | position of the first entry of its batch              |
//! |     72 |    4 | `batch_count`   | how many entries its batch has, at least 1            |
//! |     76 |    4 |                 | zero                                                  |
//! |     80 |    n | payload         | then zeros to a multiple of 8                         |
//!
//! A reader may skip nothing. It must reject another magic (zeros: the end of the ledger), a wrong
//! CRC, an unknown kind (as `Version`: a build must not act on a ledger that it does not
//! understand), nonzero flags, reserved or padding bytes, an entry longer than 256 KiB, a payload
//! with a byte too few or too many, and a first entry with a hash before it, and a batch that does
//! not contain its entry. A writer must zero flags, reserved and padding bytes. Position, chain and
//! whole batches are the ledger's to check.

use std::fmt;

use super::block::{self, Magic};
use super::bytes::{Reader, Writer, to_u32, to_usize};
use super::{BLOCK_BYTES, Damage};
use crate::barrier::Barrier;
use crate::types::{CameraId, CatchUp, ClassId, ClipId, HoldId, SegmentId, Timestamp, Window};

/// No encoded entry is longer.
pub(crate) const ENTRY_BYTES_MAX: usize = 256 * 1024;

/// A text in a hold or a decision is at most this many bytes.
pub(crate) const TEXT_BYTES_MAX: usize = 1024;
/// The most (camera, window) ranges of one hold.
pub(crate) const SCOPE_RANGES_MAX: usize = 1024;
/// The most clips that one entry lists.
pub(crate) const CLIPS_PER_ENTRY_MAX: usize = 4096;
/// The most holds that one entry ends.
pub(crate) const HOLDS_PER_ENTRY_MAX: usize = 4096;

const MAGIC: [u8; 4] = *b"CLPE";
const HEADER_MAGIC: Magic = *b"CLIPLED\0";
const CRC_OFFSET: usize = 4;
/// The first byte under the CRC.
const BODY_OFFSET: usize = 8;
/// What stands before the payload.
const FRAME_BYTES: usize = 80;
/// An entry's length is a multiple of this.
const ENTRY_UNIT_BYTES: usize = 8;
/// No payload is longer.
pub(super) const PAYLOAD_BYTES_MAX: usize = ENTRY_BYTES_MAX - FRAME_BYTES;
const _: () = assert!(ENTRY_BYTES_MAX.is_multiple_of(ENTRY_UNIT_BYTES));
const _: () = assert!(FRAME_BYTES == 4 + 4 + 8 + 8 + 32 + 2 + 2 + 4 + 8 + 4 + 4);
const _: () = assert!(BLOCK_BYTES.is_multiple_of(8), "entries begin behind the header block");

/// The decision in an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The first entry of every ledger.
    StoreMade {
        store: [u8; 16],
    },
    /// Defines a class, or changes its retention.
    ClassSet {
        class: ClassId,
        at_least_us: u64,
        at_most_us: u64,
    },
    /// From now on the clips of this camera (of every camera without a class of its own, if
    /// `None`) go to this class.
    CameraClass {
        camera: Option<CameraId>,
        class: ClassId,
    },
    /// The camera is hidden from lists (removed), or shown again.
    CameraHidden {
        camera: CameraId,
        hidden: bool,
    },
    HoldPlaced(Box<HoldPlaced>),
    /// The hold goes on protecting until `grace_until`.
    HoldReleased {
        hold: HoldId,
        grace_until: Timestamp,
        actor: String,
        reason: String,
    },
    /// Its deadline passed; it goes on protecting until `grace_until`.
    HoldLapsed {
        hold: HoldId,
        grace_until: Timestamp,
    },
    /// From here on it protects nothing.
    HoldEnded {
        hold: HoldId,
    },
    HoldNarrowed {
        hold: HoldId,
        scope: Vec<(CameraId, Window)>,
        actor: String,
        reason: String,
    },
    HoldRenewed {
        hold: HoldId,
        deadline: Timestamp,
        actor: String,
        reason: String,
    },
    /// A segment is complete; its Merkle root, so that nobody can swap bytes unseen.
    SegmentSealed {
        segment: SegmentId,
        class: ClassId,
        root: [u8; 32],
        parts: u32,
        payload_bytes: u64,
        newest_received: Timestamp,
    },
    /// A write to it failed: what stands behind `durable_bytes` was never acknowledged. What stands
    /// before was, though with buffered durability it may not have been synced.
    SegmentSuspect {
        segment: SegmentId,
        durable_bytes: u64,
    },
    /// Everything before `durable_bytes` was made durable and acknowledged, so what is unreadable
    /// there is damage and no torn write. What stands behind may have come later.
    SegmentDurable {
        segment: SegmentId,
        durable_bytes: u64,
    },
    /// Every clip that began in this segment and that no hold covers at this entry is expired.
    SegmentExpired {
        segment: SegmentId,
        reason: ExpiryReason,
        clips: u64,
        bytes: u64,
        newest_received: Timestamp,
    },
    /// These clips are expired.
    ClipsExpired {
        reason: ExpiryReason,
        clips: Vec<ClipId>,
    },
    /// Its owner deleted it; on this clip these holds end.
    ClipDeleted {
        clip: ClipId,
        camera: CameraId,
        window: Window,
        ended_holds: Vec<HoldId>,
        actor: String,
        reason: String,
    },
    /// These held clips were copied, checked, and now live in segment `to`.
    ClipsMoved {
        to: SegmentId,
        clips: Vec<ClipId>,
    },
    /// The bytes of these expired or deleted clips are gone from segment `segment`.
    ClipsErased {
        segment: SegmentId,
        clips: Vec<ClipId>,
    },
    /// The file is gone.
    SegmentDropped {
        segment: SegmentId,
        class: ClassId,
    },
    /// The ledger was written anew because entries of it were lost. What stands before is as it
    /// was; what stands behind was found behind the loss, under holds that protect everything.
    LedgerRepaired {
        /// How many entries are known to be lost.
        lost: u64,
        /// The hash of the last entry that was found.
        newest: [u8; 32],
        /// New segments get this id and those above: lower ones may have been used.
        next_segment: SegmentId,
        actor: String,
        reason: String,
    },
    /// Somebody vouched for the wall clock: trusted time is `trusted` from here on.
    ClockConfirmed {
        trusted: Timestamp,
        actor: String,
    },
    /// Trusted time jumped to a wall clock that had been doubted.
    ClockCaughtUp(CatchUp),
    /// A layer above keeps its own decision here.
    Application {
        kind: u16,
        bytes: Vec<u8>,
    },
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

impl ExpiryReason {
    /// The word for it in reports, ledgers and the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Space => "space",
            Self::Early => "early",
            Self::Released => "released",
        }
    }
}

impl fmt::Display for ExpiryReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
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
    /// The framed bytes: magic, CRC (salted with the store's id), position, time, previous hash,
    /// kind, payload; padded to 8.
    ///
    /// # Panics
    ///
    /// If [`Decision::check`] fails: such an entry could never be read, and a ledger that cannot be
    /// read deletes nothing any more.
    pub(crate) fn encode(&self, store: &[u8; 16]) -> Vec<u8> {
        assert_eq!(self.decision.check(), Ok(()), "an entry that no reader would take");
        let payload = self.decision.payload();
        assert!(payload.len() <= PAYLOAD_BYTES_MAX, "payload of {} bytes", payload.len());
        debug_assert!(self.position > 0 || self.previous == [0; 32], "nothing before the first");
        debug_assert!(self.is_in_its_batch(), "{} from {}", self.batch_count, self.batch_start);
        let mut entry = Writer::with_capacity(FRAME_BYTES + payload.len() + ENTRY_UNIT_BYTES);
        entry.put_slice(&MAGIC);
        entry.put_u32(0); // crc
        entry.put_u64(self.position);
        entry.put_timestamp(self.at);
        entry.put_slice(&self.previous);
        entry.put_u16(self.decision.kind());
        entry.put_u16(0); // flags
        entry.put_u32(to_u32(payload.len()));
        entry.put_u64(self.batch_start);
        entry.put_u32(self.batch_count);
        entry.put_u32(0);
        debug_assert_eq!(entry.len(), FRAME_BYTES);
        entry.put_slice(&payload);
        entry.pad_to(ENTRY_UNIT_BYTES);
        let crc = salted_crc(store, &entry.as_slice()[BODY_OFFSET..]);
        entry.patch_u32(CRC_OFFSET, crc);
        entry.finish()
    }

    /// Reads the entry at the start of `bytes` and tells how many bytes it takes. `Magic` where
    /// nothing was written yet (zeros).
    pub(crate) fn decode(bytes: &[u8], store: &[u8; 16]) -> Result<(Self, usize), Damage> {
        let mut fields = Reader::new(bytes);
        if fields.take_array()? != MAGIC {
            return Err(Damage::Magic);
        }
        let crc = fields.take_u32()?;
        let position = fields.take_u64()?;
        let at = fields.take_slice(8)?;
        let previous = fields.take_array()?;
        let kind = fields.take_u16()?;
        let flags = fields.take_u16()?;
        let payload_bytes = to_usize(fields.take_u32()?);
        if payload_bytes > PAYLOAD_BYTES_MAX {
            // Not under a checked CRC yet, so this is damage and not a field that makes no sense.
            return Err(Damage::Checksum);
        }
        let entry_bytes = (FRAME_BYTES + payload_bytes).next_multiple_of(ENTRY_UNIT_BYTES);
        let body = bytes.get(BODY_OFFSET..entry_bytes).ok_or(Damage::Short)?;
        if !Barrier::LedgerEntryCrc.test(salted_crc(store, body) == crc) {
            return Err(Damage::Checksum);
        }
        let at = Reader::new(at).take_timestamp("at")?;
        if flags != 0 {
            return Err(Damage::Field("flags"));
        }
        if position == 0 && previous != [0; 32] {
            return Err(Damage::Field("previous"));
        }
        let batch_start = fields.take_u64()?;
        let batch_count = fields.take_u32()?;
        fields.take_zeros(4, "reserved")?;
        let decision = Decision::take(kind, fields.take_slice(payload_bytes)?)?;
        fields.take_zeros(entry_bytes - FRAME_BYTES - payload_bytes, "padding")?;
        let entry = Self { position, batch_start, batch_count, at, previous, decision };
        if entry.is_in_its_batch() {
            Ok((entry, entry_bytes))
        } else {
            Err(Damage::Field("batch_start"))
        }
    }

    /// Whether the batch, which must not run past the last position, has this entry in it.
    fn is_in_its_batch(&self) -> bool {
        let end = self.batch_start.checked_add(u64::from(self.batch_count));
        self.batch_start <= self.position && end.is_some_and(|end| self.position < end)
    }

    /// The position behind its batch.
    pub(crate) fn batch_end(&self) -> u64 {
        self.batch_start.saturating_add(u64::from(self.batch_count))
    }

    /// BLAKE3 of the framed bytes.
    pub(crate) fn hash(encoded: &[u8]) -> [u8; 32] {
        *blake3::hash(encoded).as_bytes()
    }
}

/// CRC32 of the store's id and then `bytes`: an entry of another store does not pass.
fn salted_crc(store: &[u8; 16], bytes: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(store);
    crc.update(bytes);
    crc.finalize()
}

/// The fixed header of a ledger file: one 4 KiB block with magic, version, store id, file number,
/// the position of the first entry and the hash before it. Both copies have the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LedgerHeader {
    pub(crate) store: [u8; 16],
    pub(crate) number: u32,
    pub(crate) first_position: u64,
    pub(crate) previous: [u8; 32],
}

impl LedgerHeader {
    /// The header's 4 KiB.
    pub(crate) fn encode(&self) -> Vec<u8> {
        debug_assert!(self.first_position > 0 || self.previous == [0; 32], "nothing before 0");
        let mut header = block::begin(HEADER_MAGIC);
        header.put_u16(0);
        header.put_slice(&self.store);
        header.put_u32(self.number);
        header.put_u32(0);
        header.put_u64(self.first_position);
        header.put_slice(&self.previous);
        debug_assert_eq!(header.len(), 80, "the table above");
        block::seal(header, crc32fast::hash)
    }

    /// Reads the first block of a ledger file.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let mut fields =
            block::open(bytes, HEADER_MAGIC, Barrier::LedgerHeaderCrc, crc32fast::hash)?;
        fields.take_zeros(2, "reserved")?;
        let store = fields.take_array()?;
        let number = fields.take_u32()?;
        fields.take_zeros(4, "reserved")?;
        let first_position = fields.take_u64()?;
        let previous = fields.take_array()?;
        fields.finish_zeros("reserved")?;
        if first_position == 0 && previous != [0; 32] {
            return Err(Damage::Field("previous"));
        }
        Ok(Self { store, number, first_position, previous })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::arbitrary::STORE;

    fn entry(decision: Decision) -> Entry {
        Entry {
            position: 2,
            batch_start: 1,
            batch_count: 3,
            at: Timestamp::from_micros(5),
            previous: [6; 32],
            decision,
        }
    }

    /// What `decode` says of an entry with `bytes` put at `offset` and a right CRC.
    fn forged(decision: Decision, offset: usize, bytes: &[u8]) -> Damage {
        let mut entry = entry(decision).encode(&STORE);
        entry[offset..offset + bytes.len()].copy_from_slice(bytes);
        let crc = salted_crc(&STORE, &entry[BODY_OFFSET..]);
        entry[CRC_OFFSET..BODY_OFFSET].copy_from_slice(&crc.to_le_bytes());
        Entry::decode(&entry, &STORE).unwrap_err()
    }

    fn ended() -> Decision {
        Decision::HoldEnded { hold: HoldId(7) }
    }

    #[test]
    fn unwritten_room_is_the_end_of_the_ledger() {
        assert_eq!(Entry::decode(&[0; 64], &STORE), Err(Damage::Magic));
    }

    #[test]
    fn entry_of_another_store_is_rejected() {
        let bytes = entry(ended()).encode(&STORE);
        assert_eq!(Entry::decode(&bytes, &[0; 16]), Err(Damage::Checksum));
    }

    #[test]
    fn unknown_decision_is_a_newer_build_not_damage() {
        assert_eq!(forged(ended(), 56, &999u16.to_le_bytes()), Damage::Version(999));
        for kind in [0_u16, 6, 15, 22, 31, 41, 47, 50, 63, 65, u16::MAX] {
            let damage = forged(ended(), 56, &kind.to_le_bytes());
            assert_eq!(damage, Damage::Version(kind));
        }
    }

    #[test]
    fn fields_that_make_no_sense_are_rejected() {
        assert_eq!(forged(ended(), 58, &[1]), Damage::Field("flags"));
        assert_eq!(forged(ended(), 8, &[0]), Damage::Field("previous"));
        assert_eq!(forged(ended(), 64, &[3]), Damage::Field("batch_start"), "begins later");
        assert_eq!(forged(ended(), 72, &[1]), Damage::Field("batch_start"), "ends before");
        assert_eq!(forged(ended(), 72, &[0]), Damage::Field("batch_start"), "empty");
        assert_eq!(forged(ended(), 8, &[0xff; 16][..8]), Damage::Field("batch_start"));
        assert_eq!(forged(ended(), 76, &[1]), Damage::Field("reserved"));
        assert_eq!(forged(ended(), 16, &i64::MIN.to_le_bytes()), Damage::Field("at"));
        let hidden = Decision::CameraHidden { camera: "yard".parse().unwrap(), hidden: true };
        assert_eq!(forged(hidden.clone(), 85, &[2]), Damage::Field("hidden"));
        assert_eq!(forged(hidden.clone(), 87, &[1]), Damage::Field("padding"));
        assert_eq!(forged(hidden, 80, &[0]), Damage::Field("camera"));
    }

    #[test]
    fn payload_must_be_used_up_exactly() {
        let bytes = Decision::Application { kind: 1, bytes: vec![1; 8] };
        // One byte more than the length inside says, taken from the padding; one fewer.
        assert_eq!(forged(bytes.clone(), 60, &[15]), Damage::Field("payload"));
        assert_eq!(forged(bytes, 60, &[13]), Damage::Field("payload"));
    }

    #[test]
    fn limits_are_refused_before_they_are_written() {
        let clip = ClipId::new(SegmentId(1), 0);
        let moved = |count| Decision::ClipsMoved { to: SegmentId(9), clips: vec![clip; count] };
        assert_eq!(moved(CLIPS_PER_ENTRY_MAX).check(), Ok(()));
        assert_eq!(moved(CLIPS_PER_ENTRY_MAX + 1).check(), Err(Damage::Field("clips")));
        let released = |bytes| Decision::HoldReleased {
            hold: HoldId(1),
            grace_until: Timestamp::EPOCH,
            actor: "a".repeat(bytes),
            reason: String::new(),
        };
        assert_eq!(released(TEXT_BYTES_MAX).check(), Ok(()));
        assert_eq!(released(TEXT_BYTES_MAX + 1).check(), Err(Damage::Field("actor")));
        let window = Window::new(Timestamp::EPOCH, Timestamp::MAX).unwrap();
        let camera = CameraId::new(&"c".repeat(64)).unwrap();
        let narrowed = |ranges| Decision::HoldNarrowed {
            hold: HoldId(1),
            scope: vec![(camera.clone(), window); ranges],
            actor: String::new(),
            reason: String::new(),
        };
        assert_eq!(narrowed(SCOPE_RANGES_MAX + 1).check(), Err(Damage::Field("scope")));
        let largest = entry(narrowed(SCOPE_RANGES_MAX));
        assert_eq!(Entry::decode(&largest.encode(&STORE), &STORE).unwrap().0, largest);
    }

    #[test]
    fn limits_are_refused_where_they_are_read() {
        let clip = ClipId::new(SegmentId(1), 0);
        let erased = Decision::ClipsErased { segment: SegmentId(1), clips: vec![clip] };
        assert_eq!(forged(erased.clone(), 84, &u32::MAX.to_le_bytes()), Damage::Field("clips"));
        assert_eq!(forged(erased, 84, &2u32.to_le_bytes()), Damage::Field("payload"));
    }
}
