//! Tests of plain MP4: its samples become fragments, and damage becomes errors.

use bytes::Bytes;

use super::*;
use crate::media::boxes::boxes;
use crate::media::{ClipFacts, fixtures};
use crate::types::ErrorKind;

#[test]
fn a_plain_file_says_how_long_it_is() {
    let facts = ClipFacts::read(&fixtures::plain()).unwrap();
    assert_eq!(facts.duration().as_secs(), 4);
    assert_eq!(facts.init().codecs(), "avc1.64000a,mp4a.40.2");
    assert_eq!(facts.init().created(), None);
}

#[test]
fn a_moov_behind_the_media_is_found() {
    let bytes = fixtures::small();
    let mut in_order: Vec<_> = boxes(&bytes).map(|found| found.unwrap()).collect();
    in_order.sort_by_key(|found| found.kind == *b"moov");
    let moved: Vec<u8> = in_order.iter().flat_map(|found| found.whole).copied().collect();
    assert_ne!(moved, bytes);
    let (moved, facts) = (ClipFacts::read(&Bytes::from(moved)), ClipFacts::read(&bytes).unwrap());
    assert_eq!(moved.unwrap().duration(), facts.duration());
}

#[test]
fn files_without_their_index_are_refused() {
    for bytes in [Bytes::new(), fixtures::plain().slice(..500)] {
        assert_eq!(ClipFacts::read(&bytes).unwrap_err().kind(), ErrorKind::Media);
    }
}

#[test]
fn sample_tables_give_every_sample_once() {
    let bytes = fixtures::plain();
    let facts = ClipFacts::read(&bytes).unwrap();
    let len = ClipBytes::len(&bytes);
    let all: Vec<_> =
        facts.init().tracks().iter().map(|t| samples(t, len, 1_000).unwrap()).collect();
    assert_eq!(all[0].len(), 40);
    assert_eq!(all[0].iter().filter(|sample| sample.sync).count(), 4);
    assert!(all[0].iter().any(|sample| sample.composition != 0), "no B-frames");
    assert!(all[1].iter().all(|sample| sample.sync));
    let mut ranges: Vec<_> = all.iter().flatten().map(|s| (s.offset, u64::from(s.size))).collect();
    ranges.sort_unstable();
    assert!(ranges.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0), "overlap");
}

#[test]
fn a_file_that_was_cut_off_has_the_samples_before_the_cut() {
    let bytes = fixtures::plain();
    let facts = ClipFacts::read(&bytes).unwrap();
    let track = &facts.init().tracks()[0];
    let whole = samples(track, ClipBytes::len(&bytes), 1_000).unwrap();
    let cut = whole[20].offset + 1;
    assert_eq!(samples(track, cut, 1_000).unwrap(), whole[..20]);
}
