//! Tests of playlists: read back by a parser that is not ours.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use m3u8_rs::{MediaPlaylist, MediaPlaylistType};

use super::*;
use crate::media::fixtures;
use crate::types::{ErrorKind, Timestamp, Window};

fn at(ms: i64) -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000 + ms * 1_000)
}

fn window(from_ms: i64, to_ms: i64) -> Option<Window> {
    Window::new(at(from_ms), at(to_ms)).ok()
}

fn clip(start_ms: i64, name: &str, bytes: &Bytes) -> PlaylistClip {
    let index = ClipIndex::read(bytes).unwrap();
    PlaylistClip::new(at(start_ms), format!("{name}.mp4"), Arc::new(index))
}

/// The playlist as a client understands it.
fn parsed(playlist: &Playlist) -> MediaPlaylist {
    let text = playlist.to_string();
    m3u8_rs::parse_media_playlist_res(text.as_bytes()).unwrap_or_else(|_| panic!("{text}"))
}

/// Of each segment: clip, whether a discontinuity and an init segment are announced, and seconds.
fn shape(playlist: &MediaPlaylist) -> Vec<(String, bool, bool, f32)> {
    let segments = playlist.segments.iter();
    segments.map(|s| (s.uri.clone(), s.discontinuity, s.map.is_some(), s.duration)).collect()
}

/// `video.mp4`: four fragments of a second, each with a key frame; in two clips, as a recorder cuts
/// a stream: each with the init segment, and the clock goes on.
fn cut_stream() -> [Bytes; 2] {
    let bytes = fixtures::video();
    let index = ClipIndex::read(&bytes).unwrap();
    let of = |range: &std::ops::Range<u64>| {
        let at = |at| usize::try_from(at).unwrap();
        bytes.slice(at(range.start)..at(range.end))
    };
    let init = of(&index.inits[0].bytes);
    let part = |fragments: &[index::Fragment]| {
        let media: Vec<Bytes> = fragments.iter().map(|fragment| of(&fragment.bytes)).collect();
        Bytes::from([&init[..], &media.concat()].concat())
    };
    [part(&index.fragments[..2]), part(&index.fragments[2..])]
}

/// Says of every key frame in `moof` that it is none.
fn without_keys(bytes: &Bytes) -> Bytes {
    let mut bytes = bytes.to_vec();
    for kind in [b"trun", b"tfhd"] {
        let places: Vec<usize> =
            (0..bytes.len() - 4).filter(|&at| &bytes[at..at + 4] == kind).collect();
        for at in places {
            let flags = u32::from_be_bytes(bytes[at + 4..at + 8].try_into().unwrap());
            // The fixture says it with first_sample_flags, behind count and data offset.
            if kind == b"trun" && flags & 4 != 0 {
                bytes[at + 16..at + 20].copy_from_slice(&0x101_0000_u32.to_be_bytes());
            }
        }
    }
    Bytes::from(bytes)
}

#[test]
fn every_range_is_an_init_segment_or_whole_fragments_that_begin_with_a_key_frame() {
    for bytes in [fixtures::av(), fixtures::video(), fixtures::segment(0), fixtures::audio()] {
        let playlist = parsed(&Playlist::plan(&[clip(0, "a", &bytes)], None).unwrap());
        let map = playlist.segments[0].map.clone().unwrap().byte_range.unwrap();
        assert_eq!(map.offset, Some(0));
        let at = |at: u64| usize::try_from(at).unwrap();
        let init = bytes.slice(..at(map.length));
        let mut end = 0;
        for segment in &playlist.segments {
            let range = segment.byte_range.clone().unwrap();
            let start = at(range.offset.unwrap());
            let media = bytes.slice(start..start + at(range.length));
            assert_eq!(&media[4..8], b"moof");
            let alone = Bytes::from([&init[..], &media[..]].concat());
            let index = ClipIndex::read(&alone).unwrap();
            assert!(index.fragments[0].key);
            assert_eq!(
                index.fragments.last().unwrap().bytes.end,
                u64::try_from(alone.len()).unwrap()
            );
            assert!(start >= end);
            end = start + at(range.length);
        }
        assert!(playlist.end_list && playlist.independent_segments);
        assert_eq!(playlist.playlist_type, Some(MediaPlaylistType::Vod));
        let longest = playlist.segments.iter().map(|s| s.duration).fold(0.0, f32::max);
        let target = Duration::from_secs(playlist.target_duration);
        assert!(longest <= target.as_secs_f32(), "{longest}");
    }
}

#[test]
fn a_stream_that_was_cut_into_clips_goes_on_without_a_discontinuity() {
    let [first, second] = cut_stream();
    let clips = [clip(0, "a", &first), clip(2_000, "b", &second)];
    let playlist = parsed(&Playlist::plan(&clips, None).unwrap());
    assert_eq!(
        shape(&playlist),
        [("a.mp4".to_owned(), false, true, 2.0), ("b.mp4".to_owned(), false, false, 2.0)]
    );
    let dates: Vec<_> = playlist.segments.iter().map(|s| s.program_date_time.unwrap()).collect();
    assert_eq!(dates[0].timestamp_millis(), at(0).as_micros() / 1_000);
    assert_eq!(dates[1].timestamp_millis(), at(2_000).as_micros() / 1_000);
}

#[test]
fn gaps_new_recordings_and_other_decoder_set_ups_are_discontinuities_with_a_map() {
    let [first, second] = cut_stream();
    let cases = [
        ("a gap", [clip(0, "a", &first), clip(5_000, "b", &second)]),
        ("its clock starts again", [clip(0, "a", &first), clip(2_000, "b", &first)]),
        ("another set-up", [clip(0, "a", &first), clip(2_000, "b", &fixtures::hevc())]),
    ];
    for (why, clips) in cases {
        let playlist = parsed(&Playlist::plan(&clips, None).unwrap());
        let second = playlist.segments.iter().find(|segment| segment.uri == "b.mp4").unwrap();
        assert!(second.discontinuity && second.map.is_some(), "{why}");
        assert!(second.program_date_time.is_some(), "{why}");
        assert_eq!(playlist.segments.iter().filter(|s| s.discontinuity).count(), 1, "{why}");
    }
}

#[test]
fn a_clip_with_two_recordings_has_a_map_for_each_of_them() {
    let both = Bytes::from([&fixtures::segment(0)[..], &fixtures::segment(1)].concat());
    let playlist = parsed(&Playlist::plan(&[clip(0, "a", &both)], None).unwrap());
    let maps: Vec<_> =
        playlist.segments.iter().filter_map(|s| s.map.clone()?.byte_range?.offset).collect();
    assert_eq!(maps, [0, u64::try_from(fixtures::segment(0).len()).unwrap()]);
    let seconds: f32 = playlist.segments.iter().map(|s| s.duration).sum();
    assert!((seconds - 4.0).abs() < 0.001, "{seconds}");
}

#[test]
fn what_cannot_be_decoded_is_left_out_unless_the_clip_before_leads_up_to_it() {
    let [first, second] = cut_stream();
    let second = without_keys(&second);
    assert!(ClipIndex::read(&second).unwrap().fragments.iter().all(|fragment| !fragment.key));
    let together = [clip(0, "a", &first), clip(2_000, "b", &second)];
    let playlist = parsed(&Playlist::plan(&together, None).unwrap());
    assert_eq!(playlist.segments.last().unwrap().uri, "b.mp4");
    assert!(!playlist.independent_segments);
    let apart = [clip(0, "a", &first), clip(9_000, "b", &second)];
    let playlist = parsed(&Playlist::plan(&apart, None).unwrap());
    assert!(playlist.segments.iter().all(|segment| segment.uri == "a.mp4"));
    let error = Playlist::plan(&apart[1..], None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn only_segments_in_the_window_are_listed_and_the_start_is_said() {
    let bytes = fixtures::video();
    let playlist = Playlist::plan(&[clip(0, "a", &bytes)], window(2_500, 3_000)).unwrap();
    assert_eq!(playlist.covered(), window(2_000, 4_000).unwrap());
    assert!(playlist.to_string().contains("#EXT-X-START:TIME-OFFSET=0.500000,PRECISE=YES"));
    assert_eq!(parsed(&playlist).segments.len(), 1);
    let touching = Playlist::plan(&[clip(0, "a", &bytes)], window(4_000, 5_000));
    assert_eq!(touching.unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn the_segments_of_a_long_window_are_longer() {
    let bytes = fixtures::video();
    let clips: Vec<_> = (0..6_000).map(|n| clip(n * 4_000, "a", &bytes)).collect();
    let count = |window| parsed(&Playlist::plan(&clips, window).unwrap()).segments.len();
    assert_eq!(count(window(0, 8_000)), 4, "two seconds each");
    assert_eq!(count(None), 6_000, "a clip each");
}

#[test]
fn a_playlist_that_grows_has_no_end_and_no_segment_that_may_change() {
    let whole = fixtures::video();
    let index = ClipIndex::read(&whole).unwrap();
    let mut known: Vec<m3u8_rs::MediaSegment> = Vec::new();
    for fragment in &index.fragments {
        let so_far = whole.slice(..usize::try_from(fragment.bytes.end).unwrap());
        let Ok(playlist) = Playlist::plan(&[clip(0, "a", &so_far)], None).unwrap().still_growing()
        else {
            continue;
        };
        let playlist = parsed(&playlist);
        assert!(!playlist.end_list);
        assert_eq!(playlist.playlist_type, Some(MediaPlaylistType::Event));
        assert_eq!(playlist.segments[..known.len()], known, "what was announced has changed");
        known = playlist.segments;
    }
    assert_eq!(known.len(), 1, "four seconds: the last two may become longer");
}

#[test]
fn sound_that_reaches_over_the_last_picture_makes_no_segment_longer() {
    // Else there would be a hole in the picture at every join.
    for (number, bytes) in (0..3).map(|number| (number, fixtures::segment(number))) {
        let index = ClipIndex::read(&bytes).unwrap();
        assert_eq!(index.duration(), Duration::from_secs(2), "segment {number}");
        let playlist = parsed(&Playlist::plan(&[clip(0, "a", &bytes)], None).unwrap());
        let seconds: f32 = playlist.segments.iter().map(|s| s.duration).sum();
        assert!((seconds - 2.0).abs() < 0.001, "{seconds}");
    }
}

#[test]
fn a_clip_that_was_cut_off_is_listed_up_to_its_last_whole_fragment() {
    let bytes = fixtures::video();
    let index = ClipIndex::read(&bytes.slice(..bytes.len() - 500)).unwrap();
    assert_eq!((index.fragments(), index.duration()), (3, Duration::from_secs(3)));
}

#[test]
fn what_has_no_ranges_that_play_is_refused() {
    for bytes in [fixtures::plain(), Bytes::new(), Bytes::from_static(b"not a box at all")] {
        assert_eq!(ClipIndex::read(&bytes).unwrap_err().kind(), ErrorKind::Media);
    }
}

#[test]
fn a_uri_cannot_write_lines_of_its_own() {
    let bytes = fixtures::video();
    for uri in ["a\n#EXT-X-ENDLIST", "a\"b", "", "a\r"] {
        let index = Arc::new(ClipIndex::read(&bytes).unwrap());
        let clip = PlaylistClip::new(at(0), uri, index);
        assert_eq!(Playlist::plan(&[clip], None).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn a_clip_of_more_fragments_than_the_limit_is_refused() {
    let bytes = fixtures::video();
    let index = ClipIndex::read(&bytes).unwrap();
    let init = &bytes[..usize::try_from(index.inits[0].bytes.end).unwrap()];
    // The smallest fragment there can be: no tracks, no data.
    let empty = [&8_u32.to_be_bytes()[..], b"moof", &8_u32.to_be_bytes(), b"mdat"].concat();
    for (count, refused) in [(CLIP_FRAGMENTS_MAX, false), (CLIP_FRAGMENTS_MAX + 1, true)] {
        let many = Bytes::from([init, &empty.repeat(count)].concat());
        assert_eq!(ClipIndex::read(&many).is_err(), refused, "{count}");
    }
}
