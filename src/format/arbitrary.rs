//! Sample and random values of every structure, for the tests of this and later layers.
//!
//! The samples are also what tests/golden/v1 and the examples of docs/FORMAT.md hold: change none.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::SegmentKey;
use super::entry::{Decision, Entry, ExpiryReason, HoldPlaced, LedgerHeader};
use super::footer::{Footer, Part, RecordRef};
use super::page_part::PagePart;
use super::partition::{self, Link, Row};
use super::record::{RECORD_PAYLOAD_BYTES_MAX, RecordHeader, blocks, chunk_count};
use super::segment::{SegmentHeader, Trailer};
use super::slot::StoreSlot;
use crate::types::{CameraId, CatchUp, ClassId, ClipId, HoldId, SegmentId, Timestamp, Window};

/// The id of the store in samples.
pub(crate) const STORE: [u8; 16] = *b"sample store id.";

/// The segment in samples.
pub(crate) const KEY: SegmentKey =
    SegmentKey { store: STORE, segment: SegmentId(42), salt: *b"sample salt, 16." };

/// The last block of the sample segment, which has 4 MiB.
pub(crate) const LAST_BLOCK: u32 = 1023;

/// 2026-11-23T18:00:00Z and `seconds`.
pub(crate) const fn time(seconds: i64) -> Timestamp {
    Timestamp::from_micros((1_795_456_800 + seconds) * 1_000_000)
}

pub(crate) fn camera(text: &str) -> CameraId {
    CameraId::new(text).unwrap()
}

pub(crate) fn sample_slot() -> StoreSlot {
    StoreSlot {
        store: STORE,
        generation: 5,
        created: time(-86_400),
        high_water: time(60),
        boot_id: [0xb0; 16],
        since_boot_us: 3_600_000_000,
        wall: time(61),
        ledger_position: 21,
        ledger_first: 0,
        ledger_repair: 0,
        lag_since: None,
    }
}

pub(crate) fn sample_segment_header() -> SegmentHeader {
    SegmentHeader {
        key: KEY,
        class: ClassId(3),
        segment_bytes: 4 << 20,
        created: time(-1),
        boot_id: [0xb0; 16],
        since_boot_us: 3_540_000_000,
    }
}

/// The first record of a clip, with a payload of one chunk.
pub(crate) fn sample_record() -> RecordHeader {
    RecordHeader {
        clip: ClipId::new(SegmentId(42), 7),
        camera: camera("yard"),
        class: ClassId(3),
        first: true,
        last: false,
        continued: false,
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

/// One clip of two records (one of two chunks, one that only ends it), and a part of another.
pub(crate) fn sample_footer() -> Footer {
    let whole = Part {
        clip: ClipId::new(SegmentId(42), 7),
        camera: 0,
        class: ClassId(3),
        first: true,
        last: true,
        continued: false,
        media: 1,
        sequence: 0,
        clip_offset: 0,
        start: time(0),
        end: time(2),
        received: time(3),
        uncertainty_us: 250_000,
        payload_bytes: 70_000,
        digest: [0xd2; 32],
        records_start: 1,
        records_count: 2,
    };
    let tail = Part {
        clip: ClipId::new(SegmentId(41), 9),
        camera: 1,
        first: false,
        sequence: 8,
        clip_offset: 123_456,
        payload_bytes: 1000,
        records_start: 0,
        records_count: 1,
        ..whole.clone()
    };
    let record = |block, payload_bytes, chunks_start, clip_offset| RecordRef {
        block,
        header_bytes: 128 + 4 * chunk_count(payload_bytes),
        payload_bytes,
        chunks_start,
        clip_offset,
    };
    Footer {
        parts: vec![whole, tail],
        records: vec![
            record(1, 1000, 0, 123_456),
            record(2, 70_000, 1, 0),
            record(20, 0, 3, 70_000),
        ],
        chunk_crcs: vec![0xc0, 0xc1, 0xc2],
        cameras: vec![camera("yard"), camera("door")],
    }
}

/// The trailer over the sample footer, which stands at block 21.
pub(crate) fn sample_trailer() -> Trailer {
    let footer = sample_footer().encode(&KEY);
    Trailer {
        header: sample_segment_header(),
        footer_offset: 21 * 4096,
        footer_bytes: 4096,
        footer_crc: KEY.crc(21, &footer),
        root: sample_footer().root(),
        sealed: time(600),
        newest_received: time(3),
        parts: 2,
        payload_bytes: 71_000,
    }
}

/// A whole clip of a second in segment 42, `n` seconds after the first.
pub(crate) fn sample_part(n: u32) -> PagePart {
    let (segment, second) = (SegmentId(42), i64::from(n));
    PagePart {
        start: time(second),
        segment,
        class: ClassId(3),
        first: true,
        last: true,
        continued: false,
        media: 2,
        clip: ClipId::new(segment, n),
        end: time(second + 1),
        received: time(second + 2),
        end_offset: 70_000,
        uncertainty_us: 250_000,
        sequence: 0,
        fragments: 2,
        digest: [0xd1; 32],
    }
}

/// The rows of a partition, and its parts: 45 of one camera, so that it has two pages.
pub(crate) fn sample_partition() -> (Vec<Row>, BTreeMap<CameraId, Vec<PagePart>>) {
    let mut other = sample_trailer();
    other.header.key.segment = SegmentId(43);
    let link = |ordinal, tail, continued| Link {
        clip: ClipId::new(SegmentId(41), ordinal),
        received: time(4),
        tail,
        continued,
    };
    let row = |trailer, links| Row {
        trailer: Box::new(trailer),
        file_bytes: 98_304,
        reach_us: 2_000_000,
        uncertainty_us: 250_000,
        links,
    };
    let rows = vec![
        row(sample_trailer(), vec![link(9, true, false)]),
        row(other, vec![link(10, false, true), link(11, true, true)]),
    ];
    let mut gate: Vec<PagePart> = (0..45).map(sample_part).collect();
    // The last one goes on in the next segment.
    let whole = sample_part(44);
    gate[44] = PagePart { last: false, continued: true, ..whole };
    let segment = SegmentId(43);
    gate.push(PagePart { segment, first: false, start: whole.end, sequence: 2, ..whole });
    let yard = vec![PagePart { class: ClassId(0), ..sample_part(100) }];
    (rows, BTreeMap::from([(camera("gate"), gate), (camera("yard"), yard)]))
}

pub(crate) fn sample_partition_bytes() -> Vec<u8> {
    let (rows, parts) = sample_partition();
    partition::encode(STORE, KEY.salt, rows, parts)
}

pub(crate) fn sample_ledger_header() -> LedgerHeader {
    LedgerHeader { store: STORE, number: 0, first_position: 0, previous: [0; 32] }
}

/// One decision of each kind.
pub(crate) fn sample_decisions() -> Vec<Decision> {
    let (class, actor) = (ClassId(3), "resident".to_owned());
    let mut decisions = vec![
        Decision::StoreMade { store: STORE },
        Decision::ClassSet { class, at_least_us: 432_000_000_000, at_most_us: 864_000_000_000 },
        Decision::CameraClass { camera: Some(camera("yard")), class },
        Decision::CameraClass { camera: None, class: ClassId(0) },
        Decision::CameraHidden { camera: camera("shed"), hidden: true },
    ];
    decisions.extend(sample_hold_decisions());
    decisions.extend(sample_log_decisions());
    decisions.push(Decision::ClockConfirmed { trusted: time(90), actor });
    decisions.push(Decision::Application { kind: 7, bytes: b"a layer above".to_vec() });
    // Kinds that came later go to the end: what stands before must stay the same bytes.
    decisions.push(Decision::SegmentDurable { segment: SegmentId(45), durable_bytes: 16_384 });
    decisions.push(Decision::LedgerRepaired {
        lost: 2,
        newest: [0x1e; 32],
        next_segment: SegmentId(10_046),
        actor: "operator".to_owned(),
        reason: "bad sectors".to_owned(),
    });
    let lag = std::time::Duration::from_hours(48);
    decisions.push(Decision::ClockCaughtUp(CatchUp::new(time(90), time(345_600), lag)));
    decisions
}

fn sample_window() -> Window {
    Window::new(time(0), time(3600)).unwrap()
}

fn sample_hold_decisions() -> Vec<Decision> {
    let hold = HoldId(1);
    let scope = vec![(camera("yard"), sample_window()), (camera("door"), sample_window())];
    let (actor, reason) = ("resident".to_owned(), "case closed".to_owned());
    vec![
        Decision::HoldPlaced(Box::new(HoldPlaced {
            hold,
            cause: 2,
            scope: scope.clone(),
            deadline: time(604_800),
            grace_us: Some(86_400_000_000),
            reference: "19-4471".to_owned(),
            reason: "burglary \u{2013} rear".to_owned(),
            actor: "officer 12".to_owned(),
            agency: "precinct 9".to_owned(),
            idempotency_key: "k-1".to_owned(),
        })),
        Decision::HoldNarrowed {
            hold,
            scope: scope[..1].to_vec(),
            actor: actor.clone(),
            reason: String::new(),
        },
        Decision::HoldRenewed {
            hold,
            deadline: time(1_209_600),
            actor: actor.clone(),
            reason: reason.clone(),
        },
        Decision::HoldReleased { hold, grace_until: time(700_000), actor, reason },
        Decision::HoldLapsed { hold: HoldId(2), grace_until: time(700_000) },
        Decision::HoldEnded { hold },
    ]
}

fn sample_log_decisions() -> Vec<Decision> {
    let clips = vec![ClipId::new(SegmentId(42), 7), ClipId::new(SegmentId(41), 9)];
    let (segment, class, newest_received) = (SegmentId(42), ClassId(3), time(3));
    vec![
        Decision::SegmentSealed {
            segment,
            class,
            root: sample_footer().root(),
            parts: 2,
            payload_bytes: 71_000,
            newest_received,
        },
        Decision::SegmentSuspect { segment: SegmentId(43), durable_bytes: 8192 },
        Decision::SegmentExpired {
            segment,
            reason: ExpiryReason::Due,
            clips: 1,
            bytes: 70_000,
            newest_received,
        },
        Decision::ClipsExpired { reason: ExpiryReason::Released, clips: clips.clone() },
        Decision::ClipDeleted {
            clip: clips[0],
            camera: camera("yard"),
            window: sample_window(),
            ended_holds: vec![HoldId(1), HoldId(2)],
            actor: "resident".to_owned(),
            reason: "case closed".to_owned(),
        },
        Decision::ClipsMoved { to: SegmentId(44), clips: clips.clone() },
        Decision::ClipsErased { segment, clips },
        Decision::SegmentDropped { segment, class },
    ]
}

/// The sample decisions as a chain.
pub(crate) fn sample_entries() -> Vec<Entry> {
    let mut previous = [0; 32];
    let mut entries = Vec::new();
    for (position, decision) in (0..).zip(sample_decisions()) {
        // The first five make the store and are one batch; each later one is alone.
        let (batch_start, batch_count) = if position < 5 { (0, 5) } else { (position, 1) };
        let entry = Entry { position, batch_start, batch_count, at: time(3), previous, decision };
        previous = Entry::hash(&entry.encode(&STORE));
        entries.push(entry);
    }
    entries
}

pub(crate) fn timestamps() -> impl Strategy<Value = Timestamp> {
    prop_oneof![any::<i64>(), Just(0), Just(1_795_456_800_000_000)].prop_map(Timestamp::from_micros)
}

pub(crate) fn windows() -> impl Strategy<Value = Window> {
    (timestamps(), timestamps())
        .prop_filter_map("not empty", |(a, b)| Window::new(a.min(b), a.max(b)).ok())
}

pub(crate) fn camera_ids() -> impl Strategy<Value = CameraId> {
    let letters = prop::sample::select(b"abcXYZ019._-".to_vec());
    prop::collection::vec(letters, 1..=64).prop_filter_map("no dot first", |text| {
        CameraId::new(std::str::from_utf8(&text).unwrap()).ok()
    })
}

pub(crate) fn clip_ids() -> impl Strategy<Value = ClipId> {
    any::<(u32, u32)>().prop_map(|(home, ordinal)| ClipId::new(SegmentId(home), ordinal))
}

pub(crate) fn keys() -> impl Strategy<Value = SegmentKey> {
    any::<([u8; 16], u32, [u8; 16])>().prop_map(|(store, segment, salt)| SegmentKey {
        store,
        segment: SegmentId(segment),
        salt,
    })
}

pub(crate) fn slots() -> impl Strategy<Value = StoreSlot> {
    let lag = prop::option::of(timestamps().prop_filter("no lag", |at| *at != Timestamp::EPOCH));
    let times = (timestamps(), timestamps(), timestamps(), lag);
    let ledger = any::<(u64, u32, u32)>();
    (any::<([u8; 16], u64, [u8; 16], u64)>(), ledger, times).prop_map(|(plain, ledger, times)| {
        let (store, generation, boot_id, since_boot_us) = plain;
        let (ledger_position, ledger_first, ledger_repair) = ledger;
        let (created, high_water, wall, lag_since) = times;
        StoreSlot {
            store,
            generation,
            created,
            high_water,
            boot_id,
            since_boot_us,
            wall,
            ledger_position,
            ledger_first,
            ledger_repair,
            lag_since,
        }
    })
}

pub(crate) fn segment_headers() -> impl Strategy<Value = SegmentHeader> {
    (keys(), 1_u64..=256, timestamps(), any::<(u16, [u8; 16], u64)>()).prop_map(
        |(key, units, created, (class, boot_id, since_boot_us))| SegmentHeader {
            key,
            class: ClassId(class),
            segment_bytes: units << 22,
            created,
            boot_id,
            since_boot_us,
        },
    )
}

/// Trailers for a segment whose last block is [`LAST_BLOCK`].
pub(crate) fn trailers() -> impl Strategy<Value = Trailer> {
    let place =
        (1..u64::from(LAST_BLOCK)).prop_flat_map(|at| (Just(at), 1..=u64::from(LAST_BLOCK) - at));
    let plain = any::<(u32, [u8; 32], u32, u64)>();
    (segment_headers(), place, plain, timestamps(), timestamps()).prop_map(
        |(
            header,
            (at, blocks),
            (footer_crc, root, parts, payload_bytes),
            sealed,
            newest_received,
        )| {
            Trailer {
                header,
                footer_offset: at * 4096,
                footer_bytes: blocks * 4096,
                footer_crc,
                root,
                sealed,
                newest_received,
                parts,
                payload_bytes,
            }
        },
    )
}

/// Records for block [`LAST_BLOCK`].
pub(crate) fn records() -> impl Strategy<Value = RecordHeader> {
    let max = u32::try_from(RECORD_PAYLOAD_BYTES_MAX).unwrap();
    let place = (0..4_u32, 0..=max, 0..u64::MAX / 2, prop::option::of((any::<u32>(), 1..u32::MAX)));
    let what = (clip_ids(), camera_ids(), any::<(u16, bool, u8, u64, [u8; 32])>());
    let times = (timestamps(), timestamps(), timestamps(), 0..=LAST_BLOCK);
    (place, what, times).prop_map(|(place, what, times)| {
        let (sequence, payload_bytes, clip_offset, previous) = place;
        let (clip, camera, (class, last, media, uncertainty_us, digest)) = what;
        let (a, b, received, durable_block) = times;
        let first = sequence == 0;
        RecordHeader {
            clip,
            camera,
            class: ClassId(class),
            first,
            last,
            continued: !last && digest[0] % 2 == 1,
            media,
            sequence,
            clip_offset: if first { 0 } else { clip_offset },
            payload_bytes,
            start: a.min(b),
            end: a.max(b),
            received,
            uncertainty_us,
            previous: previous
                .filter(|_| !first)
                .map(|(segment, block)| (SegmentId(segment), block)),
            digest,
            durable_block,
        }
    })
}

/// Footers of parts with one to three records each.
pub(crate) fn footers() -> impl Strategy<Value = Footer> {
    let cameras = prop::collection::btree_set(camera_ids(), 1..5)
        .prop_map(|set| set.into_iter().rev().collect::<Vec<_>>());
    let payloads = prop::collection::vec(0_u32..200_000, 1..4);
    let part = (clip_ids(), any::<u32>(), timestamps(), timestamps(), any::<bool>(), payloads);
    (cameras, prop::collection::vec((part, any::<[u8; 32]>()), 0..12)).prop_map(footer_of)
}

type PartDraw = (ClipId, u32, Timestamp, Timestamp, bool, Vec<u32>);

fn footer_of((cameras, draws): (Vec<CameraId>, Vec<(PartDraw, [u8; 32])>)) -> Footer {
    let mut footer = Footer { cameras, ..Footer::default() };
    let count = u32::try_from(footer.cameras.len()).unwrap();
    let mut block = 1;
    for ((clip, number, a, b, last, payloads), digest) in draws {
        let first = number % 2 == 0;
        let clip_offset = if first { 0 } else { u64::from(number) };
        let records_start = u32::try_from(footer.records.len()).unwrap();
        let mut next = clip_offset;
        for payload_bytes in &payloads {
            let chunks = chunk_count(*payload_bytes);
            let chunks_start = u32::try_from(footer.chunk_crcs.len()).unwrap();
            footer.chunk_crcs.extend((0..chunks).map(|chunk| number ^ chunk));
            let (header_bytes, payload_bytes) = (128 + 4 * chunks, *payload_bytes);
            footer.records.push(RecordRef {
                block,
                header_bytes,
                payload_bytes,
                chunks_start,
                clip_offset: next,
            });
            next += u64::from(payload_bytes);
            block += blocks(header_bytes, payload_bytes);
        }
        footer.parts.push(Part {
            clip,
            camera: number % count,
            class: ClassId(3),
            first,
            last,
            continued: !last && digest[0] % 2 == 1,
            media: 1,
            sequence: if first { 0 } else { number & 0xffff },
            clip_offset,
            start: a.min(b),
            end: a.max(b),
            received: b,
            uncertainty_us: u64::from(number),
            payload_bytes: next - clip_offset,
            digest,
            records_start,
            records_count: u32::try_from(payloads.len()).unwrap(),
        });
    }
    footer.parts.sort_by_key(|part| (part.camera, part.start, part.clip));
    footer
}

/// Decisions of every kind, with random contents where a kind has room for them.
pub(crate) fn decisions() -> impl Strategy<Value = Decision> {
    let texts = || prop::collection::vec(any::<char>(), 0..40).prop_map(String::from_iter);
    let scope = || prop::collection::vec((camera_ids(), windows()), 0..8);
    let clips = || prop::collection::vec(clip_ids(), 0..50);
    let placed = (
        any::<(u64, u8, Option<u64>)>(),
        scope(),
        timestamps(),
        [texts(), texts(), texts(), texts(), texts()],
    )
        .prop_map(|((hold, cause, grace_us), scope, deadline, texts)| {
            let [reference, reason, actor, agency, idempotency_key] = texts;
            Decision::HoldPlaced(Box::new(HoldPlaced {
                hold: HoldId(hold),
                cause,
                scope,
                deadline,
                grace_us,
                reference,
                reason,
                actor,
                agency,
                idempotency_key,
            }))
        });
    let narrowed =
        (any::<u64>(), scope(), texts(), texts()).prop_map(|(hold, scope, actor, reason)| {
            Decision::HoldNarrowed { hold: HoldId(hold), scope, actor, reason }
        });
    let deleted = (clip_ids(), camera_ids(), windows(), any::<Vec<u64>>(), texts(), texts())
        .prop_map(|(clip, camera, window, holds, actor, reason)| Decision::ClipDeleted {
            clip,
            camera,
            window,
            ended_holds: holds.into_iter().map(HoldId).collect(),
            actor,
            reason,
        });
    let expired = (0_usize..4, clips()).prop_map(|(reason, clips)| Decision::ClipsExpired {
        reason: [
            ExpiryReason::Due,
            ExpiryReason::Space,
            ExpiryReason::Early,
            ExpiryReason::Released,
        ][reason],
        clips,
    });
    let application =
        any::<(u16, Vec<u8>)>().prop_map(|(kind, bytes)| Decision::Application { kind, bytes });
    prop_oneof![
        prop::sample::select(sample_decisions()),
        placed,
        narrowed,
        deleted,
        expired,
        application
    ]
}

pub(crate) fn entries() -> impl Strategy<Value = Entry> {
    let batch = (1..u64::MAX / 2, 0..1000_u32, 1..1000_u32);
    (batch, timestamps(), any::<[u8; 32]>(), decisions()).prop_map(
        |((batch_start, index, behind), at, previous, decision)| Entry {
            position: batch_start + u64::from(index),
            batch_start,
            batch_count: index + behind,
            at,
            previous,
            decision,
        },
    )
}
