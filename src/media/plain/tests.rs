use super::*;
use crate::media::fixtures;
use crate::types::ErrorKind;

#[test]
fn a_plain_file_says_how_long_it_is() {
    let movie = Movie::read(&fixtures::plain()).unwrap();
    assert_eq!(movie.duration().as_secs(), 4);
    assert_eq!(movie.init().codecs(), "avc1.64000a,mp4a.40.2");
    assert_eq!(movie.created(), None);
}

#[test]
fn a_moov_behind_the_media_is_found() {
    let bytes = fixtures::small();
    let mut in_order: Vec<_> = boxes(&bytes).map(|found| found.unwrap()).collect();
    in_order.sort_by_key(|found| found.kind == *b"moov");
    let moved: Vec<u8> = in_order.iter().flat_map(|found| found.whole).copied().collect();
    assert_ne!(moved, bytes);
    assert_eq!(Movie::read(&Bytes::from(moved)).unwrap(), Movie::read(&bytes).unwrap());
}

#[test]
fn fragmented_files_and_headless_ones_are_refused() {
    for bytes in [fixtures::av(), Bytes::new(), fixtures::plain().slice(..500)] {
        assert_eq!(Movie::read(&bytes).unwrap_err().kind(), ErrorKind::Media);
    }
}

#[test]
fn sample_tables_give_every_sample_once() {
    let bytes = fixtures::plain();
    let movie = Movie::read(&bytes).unwrap();
    let len = ClipBytes::len(&bytes);
    let all: Vec<_> =
        movie.init().tracks().iter().map(|t| samples(t, len, 1_000).unwrap()).collect();
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
    let movie = Movie::read(&bytes).unwrap();
    let track = &movie.init().tracks()[0];
    let whole = samples(track, ClipBytes::len(&bytes), 1_000).unwrap();
    let cut = whole[20].offset + 1;
    assert_eq!(samples(track, cut, 1_000).unwrap(), whole[..20]);
}
