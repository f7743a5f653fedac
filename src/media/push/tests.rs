//! Tests of the push parser: any chunking gives the same pieces.

use super::*;
use crate::media::fixtures;
use crate::types::ErrorKind;

fn pieces(bytes: &[u8], chunk: usize) -> (Vec<Piece>, Option<Error>, u64) {
    let mut parser = FragmentParser::new();
    let mut pieces = Vec::new();
    for chunk in bytes.chunks(chunk) {
        parser.push(chunk);
        loop {
            match parser.next() {
                Ok(Some(piece)) => pieces.push(piece),
                Ok(None) => break,
                Err(error) => return (pieces, Some(error), parser.finish()),
            }
        }
    }
    (pieces, None, parser.finish())
}

fn fragments(bytes: &[u8]) -> Vec<Fragment> {
    let (pieces, error, _) = pieces(bytes, bytes.len());
    assert!(error.is_none(), "{error:?}");
    let fragment = |piece| match piece {
        Piece::Fragment(fragment) => Some(fragment),
        Piece::Init(_) => None,
    };
    pieces.into_iter().filter_map(fragment).collect()
}

#[test]
fn every_chunking_gives_the_same_pieces() {
    let bytes = fixtures::av();
    let whole = pieces(&bytes, bytes.len());
    assert_eq!(whole.0.len(), 7);
    for chunk in [1, 7, 28, 1000, 32_768] {
        let chunked = pieces(&bytes, chunk);
        assert_eq!(chunked.0, whole.0, "chunks of {chunk}");
        assert_eq!(chunked.2, whole.2);
    }
}

#[test]
fn pieces_are_the_bytes_as_received() {
    let bytes = fixtures::av();
    let (pieces, error, lost) = pieces(&bytes, 999);
    assert!(error.is_none());
    assert_eq!(lost, 0, "mfra is no unfinished piece");
    let mut joined = Vec::new();
    for piece in &pieces {
        match piece {
            Piece::Init(init) => joined.extend_from_slice(init.bytes()),
            Piece::Fragment(fragment) => joined.extend_from_slice(&fragment.bytes),
        }
    }
    assert!(bytes.starts_with(&joined));
    assert_eq!(&bytes[joined.len() + 4..joined.len() + 8], b"mfra");
}

#[test]
fn fragments_follow_one_another_in_time_and_begin_with_a_key() {
    let found = fragments(&fixtures::av());
    let mut expected = Duration::ZERO;
    for fragment in &found {
        assert_eq!(fragment.start, expected);
        assert!(fragment.key);
        assert_eq!((fragment.epoch, fragment.produced), (None, None));
        expected += fragment.duration;
    }
    assert_eq!(expected, Duration::from_secs(6));
}

#[test]
fn media_time_since_1970_and_prft_are_seen() {
    let found = fragments(&fixtures::epoch());
    let start = Timestamp::from_micros(1_795_000_000_500_000);
    for (seconds, fragment) in (0..).zip(&found) {
        let at = start.saturating_add(Duration::from_secs(seconds));
        assert_eq!(fragment.epoch, Some(at));
        assert_eq!(fragment.start, Duration::from_secs(seconds));
        let produced = fragment.produced.unwrap();
        assert!(produced.since(at) < Duration::from_millis(1), "{produced}");
        assert_eq!(&fragment.bytes[4..8], b"prft");
    }
    assert_eq!(found.len(), 3);
}

#[test]
fn a_stream_that_was_cut_off_keeps_its_whole_fragments() {
    let bytes = fixtures::video();
    let whole = fragments(&bytes);
    let init_len = bytes.len() - whole.iter().map(|f| f.bytes.len()).sum::<usize>();
    let cut = bytes.len() - 200;
    let (found, error, lost) = pieces(&bytes[..cut], 100);
    assert!(error.is_none());
    assert!(found.len() > 3 && lost < u64::try_from(cut - init_len / 2).unwrap());
    let kept: usize = found
        .iter()
        .map(|piece| match piece {
            Piece::Init(init) => init.bytes().len(),
            Piece::Fragment(fragment) => fragment.bytes.len(),
        })
        .sum();
    assert!(kept <= cut);
}

#[test]
fn a_new_init_segment_begins_another_time() {
    let bytes = [fixtures::segment(0), fixtures::segment(1)].concat();
    let (found, error, lost) = pieces(&bytes, 500);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(lost, 0);
    let inits: Vec<_> = (0..).zip(&found).filter(|(_, p)| matches!(p, Piece::Init(_))).collect();
    assert_eq!(inits.len(), 2);
    let Piece::Fragment(first) = &found[inits[1].0 + 1] else { panic!("no fragment") };
    assert_eq!(first.start, Duration::ZERO);
}

#[test]
fn segments_without_init_need_a_parser_that_has_one() {
    let bytes = fixtures::video();
    let whole = pieces(&bytes, bytes.len()).0;
    let (Piece::Init(init), Piece::Fragment(second)) = (&whole[0], &whole[2]) else {
        panic!("unexpected pieces")
    };
    let mut parser = FragmentParser::new();
    parser.push(&second.bytes);
    assert_eq!(parser.next().unwrap_err().kind(), ErrorKind::Media);
    let mut parser = FragmentParser::resuming(init.clone());
    parser.push(&second.bytes);
    let Some(Piece::Fragment(found)) = parser.next().unwrap() else { panic!("no fragment") };
    assert_eq!(found.bytes, second.bytes);
}

#[test]
fn plain_files_and_other_media_are_refused_by_name() {
    let refused = |bytes: &[u8]| pieces(bytes, 100).1.unwrap();
    assert!(refused(&fixtures::plain()).to_string().contains("plain MP4"));
    assert!(refused(b"\xFF\xD8\xFF\xE0\0\x10JFIF").to_string().contains("JPEG"));
    let mut ts = vec![0; 1000];
    ts.chunks_mut(188).for_each(|packet| packet[0] = 0x47);
    assert!(refused(&ts).to_string().contains("MPEG transport"));
    for bytes in [&b"mdat too short to tell"[..], b"\0\0\0\x10mdat first...."] {
        assert_eq!(refused(bytes).kind(), ErrorKind::Media);
    }
}

#[test]
fn boxes_above_the_limits_are_refused_before_they_are_buffered() {
    let init = pieces(&fixtures::video(), 100).0.swap_remove(0);
    let Piece::Init(init) = init else { panic!("no init") };
    let limit = u32::try_from(FRAGMENT_BYTES_MAX).unwrap();
    for (kind, size, refused) in [
        (b"free", limit, false),
        (b"free", limit + 1, true),
        (b"moov", u32::try_from(MOOV_BYTES_MAX).unwrap() + 1, true),
        (b"moof", u32::MAX, true),
        (b"free", 0, true),
        (b"free", 7, true),
    ] {
        let mut parser = FragmentParser::resuming(init.clone());
        parser.push(&[&size.to_be_bytes()[..], kind].concat());
        assert_eq!(parser.next().is_err(), refused, "{size}");
    }
}

#[test]
fn many_small_boxes_cannot_add_up_to_more_than_one_large_one() {
    let init = InitSegment::parse(fixtures::video()).unwrap();
    let limit = u32::try_from(FRAGMENT_BYTES_MAX).unwrap();
    for (second, refused) in [(limit - 8, false), (limit - 7, true)] {
        let mut parser = FragmentParser::resuming(init.clone());
        parser.push(b"\0\0\0\x08free");
        parser.push(&[&second.to_be_bytes()[..], b"free"].concat());
        assert_eq!(parser.next().is_err(), refused, "{second}");
    }
}

#[test]
fn after_an_error_nothing_more_comes() {
    let mut bytes = fixtures::video().to_vec();
    let second = fragments(&bytes)[0].bytes.len();
    let moof = bytes.windows(4).position(|kind| kind == b"moof").unwrap() - 4;
    bytes[moof + second..moof + second + 4].fill(0);
    let mut parser = FragmentParser::new();
    parser.push(&bytes);
    assert!(matches!(parser.next(), Ok(Some(Piece::Init(_)))));
    assert!(matches!(parser.next(), Ok(Some(Piece::Fragment(_)))));
    let error = parser.next().unwrap_err();
    assert_eq!(error.offset(), u64::try_from(moof + second).ok());
    parser.push(&fixtures::video());
    assert_eq!(parser.next().unwrap_err().to_string(), error.to_string());
}
