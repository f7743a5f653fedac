//! Sample and random values of every structure, for the tests of this and later layers.

use super::SegmentKey;
use super::record::RecordHeader;
use crate::types::{CameraId, ClassId, ClipId, SegmentId, Timestamp};

/// The id of the store in samples.
pub(crate) const STORE: [u8; 16] = *b"sample store id.";

/// The segment in samples.
pub(crate) const KEY: SegmentKey =
    SegmentKey { store: STORE, segment: SegmentId(42), salt: *b"sample salt, 16." };

/// 2026-11-23T18:00:00Z and `seconds`.
pub(crate) const fn time(seconds: i64) -> Timestamp {
    Timestamp::from_micros((1_795_456_800 + seconds) * 1_000_000)
}

/// The first record of a clip, with a payload of one chunk.
pub(crate) fn sample_record() -> RecordHeader {
    RecordHeader {
        clip: ClipId::new(SegmentId(42), 7),
        camera: CameraId::new("yard").unwrap(),
        class: ClassId(3),
        first: true,
        last: false,
        media: 1,
        sequence: 0,
        clip_offset: 0,
        payload_bytes: 1000,
        start: time(0),
        end: time(2),
        received: time(3),
        uncertainty_us: 250_000,
        previous: None,
        digest: [0xd1; 32],
        durable_block: 5,
    }
}
