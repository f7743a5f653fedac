//! The payload of each ledger entry: a [`Decision`] to bytes and back.
//!
//! | kind | decision         | payload                                                       |
//! |-----:|------------------|---------------------------------------------------------------|
//! |    1 | `StoreMade`      | store 16                                                      |
//! |    2 | `ClassSet`       | class u16, `at_least_us` u64, `at_most_us` u64                |
//! |    3 | `CameraClass`    | camera, or an empty one for all; class u16                    |
//! |    4 | `CameraHidden`   | camera, hidden u8                                             |
//! |    5 | `LedgerRepaired` | lost u64, newest 32, next segment u32, actor text, reason      |
//! |      |                  | text                                                          |
//! |   16 | `HoldPlaced`     | hold u64, cause u8, scope, deadline time, has grace u8, grace |
//! |      |                  | u64 (0 if not), reference, reason, actor, agency, key: texts  |
//! |   17 | `HoldReleased`   | hold u64, grace until time, actor text, reason text           |
//! |   18 | `HoldLapsed`     | hold u64, grace until time                                    |
//! |   19 | `HoldEnded`      | hold u64                                                      |
//! |   20 | `HoldNarrowed`   | hold u64, scope, actor text, reason text                      |
//! |   21 | `HoldRenewed`    | hold u64, deadline time, actor text, reason text              |
//! |   32 | `SegmentSealed`  | segment u32, class u16, root 32, parts u32, bytes u64, newest |
//! |      |                  | received time                                                 |
//! |   33 | `SegmentSuspect` | segment u32, durable bytes u64                                |
//! |   34 | `SegmentExpired` | segment u32, reason u8, clips u64, bytes u64, newest received |
//! |      |                  | time                                                          |
//! |   35 | `ClipsExpired`   | reason u8, clips                                              |
//! |   36 | `ClipDeleted`    | clip, camera, window, holds, actor text, reason text          |
//! |   37 | `ClipsMoved`     | to u32, clips                                                 |
//! |   38 | `ClipsErased`    | segment u32, clips                                            |
//! |   39 | `SegmentDropped` | segment u32, class u16                                        |
//! |   40 | `SegmentDurable` | segment u32, durable bytes u64                                |
//! |   48 | `ClockConfirmed` | trusted time, actor text                                      |
//! |   49 | `ClockCaughtUp`  | since time, trusted time, by u64 in µs                        |
//! |   64 | `Application`    | kind u16, length u32, bytes                                   |
//!
//! What these are made of: `piece`. Nothing is aligned and nothing is optional; a byte too many or
//! too few is `Field("payload")`. A number once given to a kind is never given to another.

use std::time::Duration;

use super::Damage;
use super::bytes::{Reader, Writer, to_u32, to_usize};
use super::entry::{
    CLIPS_PER_ENTRY_MAX, Decision, ExpiryReason, HOLDS_PER_ENTRY_MAX, HoldPlaced,
    PAYLOAD_BYTES_MAX, SCOPE_RANGES_MAX, TEXT_BYTES_MAX,
};
use super::piece::{
    at_most, put_camera, put_clips, put_scope, put_text, put_window, take_bool, take_camera,
    take_clips, take_holds, take_reason, take_scope, take_text, take_window, text_fits,
};
use crate::types::{CAMERA_ID_BYTES_MAX, CatchUp, ClassId, HoldId, SegmentId};

/// The most bytes that a caller may put into an `Application` entry.
pub(super) const APPLICATION_BYTES_MAX: usize = PAYLOAD_BYTES_MAX - 2 - 4;
const RANGE_BYTES_MAX: usize = 1 + CAMERA_ID_BYTES_MAX + 16;

const _: () = assert!(TEXT_BYTES_MAX < 65_536 && SCOPE_RANGES_MAX < 65_536);
const _: () = assert!(
    8 + 1 + 2 + SCOPE_RANGES_MAX * RANGE_BYTES_MAX + 8 + 1 + 8 + 5 * (2 + TEXT_BYTES_MAX)
        <= PAYLOAD_BYTES_MAX,
    "the largest hold fits an entry"
);
const _: () = assert!(
    64 + RANGE_BYTES_MAX + 8 * (CLIPS_PER_ENTRY_MAX + HOLDS_PER_ENTRY_MAX) + 2 * TEXT_BYTES_MAX
        <= PAYLOAD_BYTES_MAX,
    "the longest lists fit an entry"
);

mod kind {
    pub(super) const STORE_MADE: u16 = 1;
    pub(super) const CLASS_SET: u16 = 2;
    pub(super) const CAMERA_CLASS: u16 = 3;
    pub(super) const CAMERA_HIDDEN: u16 = 4;
    pub(super) const LEDGER_REPAIRED: u16 = 5;
    pub(super) const HOLD_PLACED: u16 = 16;
    pub(super) const HOLD_RELEASED: u16 = 17;
    pub(super) const HOLD_LAPSED: u16 = 18;
    pub(super) const HOLD_ENDED: u16 = 19;
    pub(super) const HOLD_NARROWED: u16 = 20;
    pub(super) const HOLD_RENEWED: u16 = 21;
    pub(super) const SEGMENT_SEALED: u16 = 32;
    pub(super) const SEGMENT_SUSPECT: u16 = 33;
    pub(super) const SEGMENT_EXPIRED: u16 = 34;
    pub(super) const CLIPS_EXPIRED: u16 = 35;
    pub(super) const CLIP_DELETED: u16 = 36;
    pub(super) const CLIPS_MOVED: u16 = 37;
    pub(super) const CLIPS_ERASED: u16 = 38;
    pub(super) const SEGMENT_DROPPED: u16 = 39;
    pub(super) const SEGMENT_DURABLE: u16 = 40;
    pub(super) const CLOCK_CONFIRMED: u16 = 48;
    pub(super) const CLOCK_CAUGHT_UP: u16 = 49;
    pub(super) const APPLICATION: u16 = 64;
}

impl Decision {
    /// The fixed number of this kind of decision.
    pub(super) const fn kind(&self) -> u16 {
        match self {
            Self::StoreMade { .. } => kind::STORE_MADE,
            Self::ClassSet { .. } => kind::CLASS_SET,
            Self::CameraClass { .. } => kind::CAMERA_CLASS,
            Self::CameraHidden { .. } => kind::CAMERA_HIDDEN,
            Self::LedgerRepaired { .. } => kind::LEDGER_REPAIRED,
            Self::HoldPlaced(_) => kind::HOLD_PLACED,
            Self::HoldReleased { .. } => kind::HOLD_RELEASED,
            Self::HoldLapsed { .. } => kind::HOLD_LAPSED,
            Self::HoldEnded { .. } => kind::HOLD_ENDED,
            Self::HoldNarrowed { .. } => kind::HOLD_NARROWED,
            Self::HoldRenewed { .. } => kind::HOLD_RENEWED,
            Self::SegmentSealed { .. } => kind::SEGMENT_SEALED,
            Self::SegmentSuspect { .. } => kind::SEGMENT_SUSPECT,
            Self::SegmentExpired { .. } => kind::SEGMENT_EXPIRED,
            Self::ClipsExpired { .. } => kind::CLIPS_EXPIRED,
            Self::ClipDeleted { .. } => kind::CLIP_DELETED,
            Self::ClipsMoved { .. } => kind::CLIPS_MOVED,
            Self::ClipsErased { .. } => kind::CLIPS_ERASED,
            Self::SegmentDropped { .. } => kind::SEGMENT_DROPPED,
            Self::SegmentDurable { .. } => kind::SEGMENT_DURABLE,
            Self::ClockConfirmed { .. } => kind::CLOCK_CONFIRMED,
            Self::ClockCaughtUp(_) => kind::CLOCK_CAUGHT_UP,
            Self::Application { .. } => kind::APPLICATION,
        }
    }

    /// Whether every text and list is within its limit, so that an entry of it can be written and
    /// read; `Field` names the one that is not.
    pub(crate) fn check(&self) -> Result<(), Damage> {
        match self {
            Self::HoldPlaced(hold) => {
                at_most(hold.scope.len(), SCOPE_RANGES_MAX, "scope")?;
                text_fits(&hold.reference, "reference")?;
                text_fits(&hold.reason, "reason")?;
                text_fits(&hold.actor, "actor")?;
                text_fits(&hold.agency, "agency")?;
                text_fits(&hold.idempotency_key, "idempotency_key")
            }
            Self::HoldNarrowed { scope, actor, reason, .. } => {
                at_most(scope.len(), SCOPE_RANGES_MAX, "scope")?;
                text_fits(actor, "actor")?;
                text_fits(reason, "reason")
            }
            Self::HoldReleased { actor, reason, .. }
            | Self::HoldRenewed { actor, reason, .. }
            | Self::LedgerRepaired { actor, reason, .. } => {
                text_fits(actor, "actor")?;
                text_fits(reason, "reason")
            }
            Self::ClipDeleted { ended_holds, actor, reason, .. } => {
                at_most(ended_holds.len(), HOLDS_PER_ENTRY_MAX, "holds")?;
                text_fits(actor, "actor")?;
                text_fits(reason, "reason")
            }
            Self::ClipsExpired { clips, .. }
            | Self::ClipsMoved { clips, .. }
            | Self::ClipsErased { clips, .. } => at_most(clips.len(), CLIPS_PER_ENTRY_MAX, "clips"),
            Self::ClockConfirmed { actor, .. } => text_fits(actor, "actor"),
            Self::Application { bytes, .. } => {
                at_most(bytes.len(), APPLICATION_BYTES_MAX, "application")
            }
            Self::StoreMade { .. }
            | Self::ClassSet { .. }
            | Self::CameraClass { .. }
            | Self::CameraHidden { .. }
            | Self::HoldLapsed { .. }
            | Self::HoldEnded { .. }
            | Self::SegmentSealed { .. }
            | Self::SegmentSuspect { .. }
            | Self::SegmentExpired { .. }
            | Self::SegmentDropped { .. }
            | Self::SegmentDurable { .. }
            | Self::ClockCaughtUp(_) => Ok(()),
        }
    }

    /// The payload's bytes.
    pub(super) fn payload(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(64);
        match self {
            Self::StoreMade { store } => out.put_slice(store),
            Self::ClassSet { class, at_least_us, at_most_us } => {
                out.put_u16(class.0);
                out.put_u64(*at_least_us);
                out.put_u64(*at_most_us);
            }
            Self::CameraClass { camera, class } => {
                match camera {
                    Some(camera) => put_camera(&mut out, camera),
                    None => out.put_u8(0),
                }
                out.put_u16(class.0);
            }
            Self::CameraHidden { camera, hidden } => {
                put_camera(&mut out, camera);
                out.put_u8(u8::from(*hidden));
            }
            Self::LedgerRepaired { lost, newest, next_segment, actor, reason } => {
                out.put_u64(*lost);
                out.put_slice(newest);
                out.put_u32(next_segment.0);
                put_text(&mut out, actor);
                put_text(&mut out, reason);
            }
            Self::ClockConfirmed { trusted, actor } => {
                out.put_timestamp(*trusted);
                put_text(&mut out, actor);
            }
            Self::ClockCaughtUp(jump) => {
                out.put_timestamp(jump.since);
                out.put_timestamp(jump.trusted);
                out.put_u64(u64::try_from(jump.by.as_micros()).unwrap_or(u64::MAX));
            }
            Self::Application { kind, bytes } => {
                out.put_u16(*kind);
                out.put_u32(to_u32(bytes.len()));
                out.put_slice(bytes);
            }
            Self::HoldPlaced(_)
            | Self::HoldReleased { .. }
            | Self::HoldLapsed { .. }
            | Self::HoldEnded { .. }
            | Self::HoldNarrowed { .. }
            | Self::HoldRenewed { .. } => self.put_hold(&mut out),
            Self::SegmentSealed { .. }
            | Self::SegmentSuspect { .. }
            | Self::SegmentExpired { .. }
            | Self::SegmentDropped { .. }
            | Self::SegmentDurable { .. } => self.put_segment(&mut out),
            Self::ClipsExpired { .. }
            | Self::ClipDeleted { .. }
            | Self::ClipsMoved { .. }
            | Self::ClipsErased { .. } => self.put_clips(&mut out),
        }
        out.finish()
    }

    /// Kinds 16 to 31.
    fn put_hold(&self, out: &mut Writer) {
        match self {
            Self::HoldPlaced(placed) => {
                out.put_u64(placed.hold.0);
                out.put_u8(placed.cause);
                put_scope(out, &placed.scope);
                out.put_timestamp(placed.deadline);
                out.put_u8(u8::from(placed.grace_us.is_some()));
                out.put_u64(placed.grace_us.unwrap_or(0));
                put_text(out, &placed.reference);
                put_text(out, &placed.reason);
                put_text(out, &placed.actor);
                put_text(out, &placed.agency);
                put_text(out, &placed.idempotency_key);
            }
            Self::HoldReleased { hold, grace_until: at, actor, reason }
            | Self::HoldRenewed { hold, deadline: at, actor, reason } => {
                out.put_u64(hold.0);
                out.put_timestamp(*at);
                put_text(out, actor);
                put_text(out, reason);
            }
            Self::HoldLapsed { hold, grace_until } => {
                out.put_u64(hold.0);
                out.put_timestamp(*grace_until);
            }
            Self::HoldEnded { hold } => out.put_u64(hold.0),
            Self::HoldNarrowed { hold, scope, actor, reason } => {
                out.put_u64(hold.0);
                put_scope(out, scope);
                put_text(out, actor);
                put_text(out, reason);
            }
            _ => debug_assert!(false, "kind {} is not about a hold", self.kind()),
        }
    }

    /// Kinds 32 to 34, 39 and 40.
    fn put_segment(&self, out: &mut Writer) {
        match self {
            Self::SegmentSealed { segment, class, root, parts, payload_bytes, newest_received } => {
                out.put_u32(segment.0);
                out.put_u16(class.0);
                out.put_slice(root);
                out.put_u32(*parts);
                out.put_u64(*payload_bytes);
                out.put_timestamp(*newest_received);
            }
            Self::SegmentSuspect { segment, durable_bytes }
            | Self::SegmentDurable { segment, durable_bytes } => {
                out.put_u32(segment.0);
                out.put_u64(*durable_bytes);
            }
            Self::SegmentExpired { segment, reason, clips, bytes, newest_received } => {
                out.put_u32(segment.0);
                out.put_u8(reason.code());
                out.put_u64(*clips);
                out.put_u64(*bytes);
                out.put_timestamp(*newest_received);
            }
            Self::SegmentDropped { segment, class } => {
                out.put_u32(segment.0);
                out.put_u16(class.0);
            }
            _ => debug_assert!(false, "kind {} is not about a segment", self.kind()),
        }
    }

    /// Kinds 35 to 38.
    fn put_clips(&self, out: &mut Writer) {
        match self {
            Self::ClipsExpired { reason, clips } => {
                out.put_u8(reason.code());
                put_clips(out, clips);
            }
            Self::ClipDeleted { clip, camera, window, ended_holds, actor, reason } => {
                out.put_clip(*clip);
                put_camera(out, camera);
                put_window(out, *window);
                out.put_u32(to_u32(ended_holds.len()));
                for hold in ended_holds {
                    out.put_u64(hold.0);
                }
                put_text(out, actor);
                put_text(out, reason);
            }
            Self::ClipsMoved { to: segment, clips } | Self::ClipsErased { segment, clips } => {
                out.put_u32(segment.0);
                put_clips(out, clips);
            }
            _ => debug_assert!(false, "kind {} is not about clips", self.kind()),
        }
    }

    /// The decision of kind `kind` in `payload`, all of which it must use up.
    pub(super) fn take(kind: u16, payload: &[u8]) -> Result<Self, Damage> {
        let mut fields = Reader::new(payload);
        let decision = match kind {
            16..=31 => take_hold(kind, &mut fields),
            32..=47 => take_log(kind, &mut fields),
            _ => take_other(kind, &mut fields),
        };
        // The CRC covers a payload that ends too early, so this is wrong, not short.
        let decision = decision.map_err(|damage| match damage {
            Damage::Short => Damage::Field("payload"),
            other => other,
        })?;
        fields.finish("payload")?;
        Ok(decision)
    }
}

impl ExpiryReason {
    const fn code(self) -> u8 {
        match self {
            Self::Due => 1,
            Self::Space => 2,
            Self::Early => 3,
            Self::Released => 4,
        }
    }
}

fn take_hold(kind: u16, fields: &mut Reader<'_>) -> Result<Decision, Damage> {
    // The kind comes first: an unknown one is `Version`, whatever its payload holds.
    if !(kind::HOLD_PLACED..=kind::HOLD_RENEWED).contains(&kind) {
        return Err(Damage::Version(kind));
    }
    let hold = HoldId(fields.take_u64()?);
    Ok(match kind {
        kind::HOLD_PLACED => Decision::HoldPlaced(Box::new(take_placed(hold, fields)?)),
        kind::HOLD_RELEASED => Decision::HoldReleased {
            hold,
            grace_until: fields.take_timestamp("grace_until")?,
            actor: take_text(fields, "actor")?,
            reason: take_text(fields, "reason")?,
        },
        kind::HOLD_LAPSED => {
            Decision::HoldLapsed { hold, grace_until: fields.take_timestamp("grace_until")? }
        }
        kind::HOLD_ENDED => Decision::HoldEnded { hold },
        kind::HOLD_NARROWED => Decision::HoldNarrowed {
            hold,
            scope: take_scope(fields)?,
            actor: take_text(fields, "actor")?,
            reason: take_text(fields, "reason")?,
        },
        kind::HOLD_RENEWED => Decision::HoldRenewed {
            hold,
            deadline: fields.take_timestamp("deadline")?,
            actor: take_text(fields, "actor")?,
            reason: take_text(fields, "reason")?,
        },
        _ => return Err(Damage::Version(kind)),
    })
}

fn take_placed(hold: HoldId, fields: &mut Reader<'_>) -> Result<HoldPlaced, Damage> {
    let cause = fields.take_u8()?;
    let scope = take_scope(fields)?;
    let deadline = fields.take_timestamp("deadline")?;
    let grace_us = match (take_bool(fields, "grace_us")?, fields.take_u64()?) {
        (true, us) => Some(us),
        (false, 0) => None,
        (false, _) => return Err(Damage::Field("grace_us")),
    };
    Ok(HoldPlaced {
        hold,
        cause,
        scope,
        deadline,
        grace_us,
        reference: take_text(fields, "reference")?,
        reason: take_text(fields, "reason")?,
        actor: take_text(fields, "actor")?,
        agency: take_text(fields, "agency")?,
        idempotency_key: take_text(fields, "idempotency_key")?,
    })
}

fn take_log(kind: u16, fields: &mut Reader<'_>) -> Result<Decision, Damage> {
    Ok(match kind {
        kind::SEGMENT_SEALED => Decision::SegmentSealed {
            segment: SegmentId(fields.take_u32()?),
            class: ClassId(fields.take_u16()?),
            root: fields.take_array()?,
            parts: fields.take_u32()?,
            payload_bytes: fields.take_u64()?,
            newest_received: fields.take_timestamp("newest_received")?,
        },
        kind::SEGMENT_SUSPECT => Decision::SegmentSuspect {
            segment: SegmentId(fields.take_u32()?),
            durable_bytes: fields.take_u64()?,
        },
        kind::SEGMENT_DURABLE => Decision::SegmentDurable {
            segment: SegmentId(fields.take_u32()?),
            durable_bytes: fields.take_u64()?,
        },
        kind::SEGMENT_EXPIRED => Decision::SegmentExpired {
            segment: SegmentId(fields.take_u32()?),
            reason: take_reason(fields)?,
            clips: fields.take_u64()?,
            bytes: fields.take_u64()?,
            newest_received: fields.take_timestamp("newest_received")?,
        },
        kind::CLIPS_EXPIRED => {
            Decision::ClipsExpired { reason: take_reason(fields)?, clips: take_clips(fields)? }
        }
        kind::CLIP_DELETED => Decision::ClipDeleted {
            clip: fields.take_clip()?,
            camera: take_camera(fields)?,
            window: take_window(fields)?,
            ended_holds: take_holds(fields)?,
            actor: take_text(fields, "actor")?,
            reason: take_text(fields, "reason")?,
        },
        kind::CLIPS_MOVED => {
            Decision::ClipsMoved { to: SegmentId(fields.take_u32()?), clips: take_clips(fields)? }
        }
        kind::CLIPS_ERASED => Decision::ClipsErased {
            segment: SegmentId(fields.take_u32()?),
            clips: take_clips(fields)?,
        },
        kind::SEGMENT_DROPPED => Decision::SegmentDropped {
            segment: SegmentId(fields.take_u32()?),
            class: ClassId(fields.take_u16()?),
        },
        _ => return Err(Damage::Version(kind)),
    })
}

fn take_other(kind: u16, fields: &mut Reader<'_>) -> Result<Decision, Damage> {
    Ok(match kind {
        kind::STORE_MADE => Decision::StoreMade { store: fields.take_array()? },
        kind::CLASS_SET => Decision::ClassSet {
            class: ClassId(fields.take_u16()?),
            at_least_us: fields.take_u64()?,
            at_most_us: fields.take_u64()?,
        },
        kind::CAMERA_CLASS => Decision::CameraClass {
            camera: match usize::from(fields.take_u8()?) {
                0 => None,
                len => Some(fields.take_camera(len)?),
            },
            class: ClassId(fields.take_u16()?),
        },
        kind::CAMERA_HIDDEN => Decision::CameraHidden {
            camera: take_camera(fields)?,
            hidden: take_bool(fields, "hidden")?,
        },
        kind::LEDGER_REPAIRED => Decision::LedgerRepaired {
            lost: fields.take_u64()?,
            newest: fields.take_array()?,
            next_segment: SegmentId(fields.take_u32()?),
            actor: take_text(fields, "actor")?,
            reason: take_text(fields, "reason")?,
        },
        kind::CLOCK_CONFIRMED => Decision::ClockConfirmed {
            trusted: fields.take_timestamp("trusted")?,
            actor: take_text(fields, "actor")?,
        },
        kind::CLOCK_CAUGHT_UP => {
            let (since, trusted) =
                (fields.take_timestamp("since")?, fields.take_timestamp("trusted")?);
            let by = Duration::from_micros(fields.take_u64()?);
            Decision::ClockCaughtUp(CatchUp::new(since, trusted, by))
        }
        kind::APPLICATION => Decision::Application {
            kind: fields.take_u16()?,
            bytes: {
                let len = to_usize(fields.take_u32()?);
                fields.take_slice(len)?.to_vec()
            },
        },
        _ => return Err(Damage::Version(kind)),
    })
}
