//! Bytes that lie: nothing may panic, hang, or take memory for what is not there.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::types::Timestamp;

/// Everything that reads bytes, over `bytes`.
fn read_all(bytes: &[u8]) {
    let kind = probe(bytes);
    let mut parser = FragmentParser::new();
    let mut pieces = 0;
    for chunk in bytes.chunks(4_096) {
        parser.push(chunk);
        while let Ok(Some(piece)) = parser.next() {
            pieces += 1;
            if let Piece::Fragment(fragment) = piece {
                assert!(fragment.bytes.len() <= bytes.len());
            }
        }
    }
    assert!(pieces <= bytes.len() / 8, "{kind:?}: pieces from nothing");
    let bytes = Bytes::copy_from_slice(bytes);
    let facts = ClipFacts::read(&bytes);
    if let Ok(index) = ClipIndex::read(&bytes) {
        let index = Arc::new(index);
        let clip = |start| PlaylistClip::new(start, "garbage.mp4", Arc::clone(&index));
        let clips = [clip(Timestamp::EPOCH), clip(Timestamp::MAX)];
        if let Ok(playlist) = Playlist::plan(&clips, None) {
            assert!(playlist.to_string().len() <= 1_000 + 2_000 * index.fragments());
        }
    }
    for format in [Format::Mp4, Format::Fragmented] {
        let clip = ExportClip::new(Timestamp::EPOCH, "garbage", Arc::new(bytes.clone()));
        let planned = Export::plan(&[clip], None, format);
        assert!(planned.is_err() || facts.is_ok(), "exported what could not be read");
        if let Ok(export) = planned {
            let limit = bytes.len() * 40 + 10_000;
            assert!(export.len() <= u64::try_from(limit).unwrap(), "{} bytes", export.len());
            export.write_to(&mut Vec::new()).unwrap();
        }
    }
}

/// Where the sizes of boxes are, at any depth.
fn size_fields(bytes: &[u8]) -> Vec<usize> {
    let plausible = |at: &usize| {
        let kind = &bytes[at + 4..at + 8];
        kind.iter().all(u8::is_ascii_alphanumeric)
    };
    (0..bytes.len().saturating_sub(8)).filter(plausible).collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 96,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn arbitrary_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..4_000)) {
        read_all(&bytes);
    }

    #[test]
    fn flipped_bytes_are_survived(
        fixture in 0_usize..12,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..30),
    ) {
        let mut bytes = fixtures::all()[fixture].to_vec();
        // Most flips hit the indexes, which is where they can do harm.
        for (count, (index, value)) in flips.into_iter().enumerate() {
            let len = if count % 4 == 0 { bytes.len() } else { 2_500.min(bytes.len()) };
            bytes[index.index(len)] = value;
        }
        read_all(&bytes);
    }

    #[test]
    fn lies_about_sizes_are_survived(
        fixture in 0_usize..12,
        field in any::<prop::sample::Index>(),
        lie in prop::sample::select(vec![0_u32, 1, 2, 7, 8, 9, 0x7FFF_FFFF, u32::MAX]),
    ) {
        let mut bytes = fixtures::all()[fixture].to_vec();
        let fields = size_fields(&bytes);
        let at = *field.get(&fields);
        bytes[at..at + 4].copy_from_slice(&lie.to_be_bytes());
        read_all(&bytes);
    }

    #[test]
    fn every_cut_is_survived(fixture in 0_usize..12, cut in any::<prop::sample::Index>()) {
        let bytes = fixtures::all().swap_remove(fixture);
        read_all(&bytes[..cut.index(bytes.len())]);
    }

    #[test]
    fn every_chunking_gives_the_same_pieces(
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let bytes = fixtures::av();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.sort_unstable();
        let mut parsers = [FragmentParser::new(), FragmentParser::new()];
        let mut pieces = [Vec::new(), Vec::new()];
        let mut drain = |which: usize, bytes: &[u8]| {
            parsers[which].push(bytes);
            while let Some(piece) = parsers[which].next().unwrap() {
                pieces[which].push(piece);
            }
        };
        drain(0, &bytes);
        let mut start = 0;
        for cut in cuts {
            drain(1, &bytes[start..cut]);
            start = cut;
        }
        drain(1, &bytes[start..]);
        prop_assert_eq!(&pieces[0], &pieces[1]);
    }
}

#[test]
fn boxes_nested_100_000_deep_do_not_overflow_the_stack() {
    let depth = 100_000;
    for kind in [b"moov", b"trak", b"stsd", b"avc1", b"moof", b"meta"] {
        let mut bytes = Vec::new();
        for level in (0..depth).rev() {
            bytes.extend_from_slice(&u32::to_be_bytes(8 + level * 8));
            bytes.extend_from_slice(kind);
        }
        read_all(&bytes);
    }
}

#[test]
fn sample_entries_nested_in_sample_entries_do_not_overflow_the_stack() {
    let bytes = fixtures::video().to_vec();
    let at = bytes.windows(4).position(|kind| kind == b"avc1").unwrap() - 4;
    let entry = &bytes[at + 8..at + 86];
    let mut nested = Vec::new();
    let depth = 20_000_u32;
    for level in (0..depth).rev() {
        nested.extend_from_slice(&u32::to_be_bytes(86 + level * 86));
        nested.extend_from_slice(b"avc1");
        nested.extend_from_slice(entry);
    }
    let stsd = [&[0, 0, 0, 0, 0, 0, 0, 1], &nested[..]].concat();
    let parsed = codec::SampleEntry::parse(&stsd, TrackKind::Video).unwrap();
    assert_eq!(parsed.codec, "avc1");
}

#[test]
fn a_small_clip_cannot_claim_more_samples_than_it_has_bytes() {
    let bytes = fixtures::audio().to_vec();
    let trun = bytes.windows(4).position(|kind| kind == b"trun").unwrap();
    for count in [0x10_0000_u32, u32::MAX] {
        let mut lying = bytes.clone();
        // No fields of its own for each sample: only the count says how many there are.
        lying[trun + 4..trun + 8].copy_from_slice(&[0, 0, 0, 0]);
        lying[trun + 8..trun + 12].copy_from_slice(&count.to_be_bytes());
        let clip = ExportClip::new(Timestamp::EPOCH, "lie", Arc::new(Bytes::from(lying)));
        assert!(Export::plan(&[clip], None, Format::Mp4).is_err(), "{count}");
    }
}
