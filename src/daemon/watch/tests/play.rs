//! Windows and playlists: which clips they are made of, and what happens when these change.

use super::*;

#[test]
fn a_window_is_given_by_its_end_or_its_length() {
    let kit = Kit::with_segments();
    for route in ["window.mp4", "playlist.m3u8", "timeline"] {
        let by_end = kit.ok(&path(route, 0, 6));
        let by_length = kit.ok(&format!("/v1/cameras/door/{route}?from={}&seconds=6", at(0)));
        assert_eq!(by_end.body, by_length.body, "{route}");
    }
}

#[test]
fn a_window_says_what_it_really_covers() {
    let kit = Kit::with_segments();
    let answer = kit.ok(&path("window.mp4", 1, 3));
    assert_eq!(answer.header("content-type"), "video/mp4");
    assert_eq!(answer.header("clipkeep-covered"), format!("{}/{}", at(1), at(3)));
    let name = "inline; filename=\"door_20261101T000001Z.mp4\"";
    assert_eq!(answer.header("content-disposition"), name);
}

#[test]
fn a_window_is_another_file_when_its_clips_change() {
    let kit = Kit::with_segments();
    let path = path("window.mp4", 0, 60);
    let before = kit.ok(&path);
    assert_eq!(kit.ok(&path).header("etag"), before.header("etag"));
    let clip = kit.append(10, 2, SEGMENTS[1], Media::FragmentedMp4);
    let longer = kit.ok(&path);
    assert!(longer.body.len() > before.body.len());
    assert_ne!(longer.header("etag"), before.header("etag"));
    kit.store.delete_clip(clip.id(), "ann", "why not").unwrap();
    let again = kit.ok(&path);
    assert!(again.body == before.body && again.header("etag") == before.header("etag"));
}

#[test]
fn a_change_of_the_decoder_set_up_is_a_conflict_that_says_what_to_ask_for() {
    let kit = Kit::with_segments();
    kit.append(6, 1, OTHER, Media::FragmentedMp4);
    let answer = kit.get(&path("window.mp4", 0, 7), &[]);
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (409, "decoder-change"));
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert_eq!(detail.matches(&at(6).to_string()).count(), 2, "{detail}");
    kit.ok(&path("window.mp4", 0, 6));
    kit.ok(&path("window.mp4", 6, 7));
    // A playlist can say it.
    let text = kit.ok(&path("playlist.m3u8", 0, 7)).body;
    assert_eq!(String::from_utf8_lossy(&text).matches("#EXT-X-MAP").count(), 4);
}

#[test]
fn every_range_of_a_playlist_is_bytes_that_its_uri_has() {
    let kit = Kit::with_segments();
    let answer = kit.ok(&path("playlist.m3u8", 0, 6));
    assert_eq!(answer.header("content-type"), "application/vnd.apple.mpegurl");
    assert!(answer.header("clipkeep-codecs").starts_with("avc1."));
    let (_, playlist) = m3u8_rs::parse_media_playlist(&answer.body).unwrap();
    assert!(playlist.end_list);
    let mut ranges = Vec::new();
    for segment in &playlist.segments {
        let map = segment.map.iter().map(|map| (map.uri.clone(), map.byte_range.clone()));
        ranges.extend(map);
        ranges.push((segment.uri.clone(), segment.byte_range.clone()));
    }
    assert_eq!(ranges.len(), 6, "three recordings, each with its init segment");
    for (uri, range) in ranges {
        let (start, len) = range.map(|range| (range.offset.unwrap(), range.length)).unwrap();
        let path = uri.replace("../../", "/v1/");
        let range = format!("bytes={start}-{}", start + len - 1);
        let part = kit.get(&path, &[(axum::http::header::RANGE, range)]);
        assert_eq!(part.status, StatusCode::PARTIAL_CONTENT, "{path}");
        assert_eq!(u64::try_from(part.body.len()).unwrap(), len);
        let kind = &part.body[4..8];
        assert!(kind == b"ftyp" || kind == b"moof", "{kind:?}");
    }
}

#[test]
fn clips_without_fragments_are_one_file_and_no_playlist() {
    let kit = Kit::new();
    let clip = kit.append(0, 4, PLAIN, Media::Mp4);
    assert_eq!(kit.problem(&path("playlist.m3u8", 0, 4)), (400, "media".to_owned()));
    kit.ok(&path("window.mp4", 0, 4));
    // Beside others it is left out, and the answer says so.
    kit.append(4, 2, SEGMENTS[0], Media::FragmentedMp4);
    let answer = kit.ok(&path("playlist.m3u8", 0, 6));
    assert_eq!(answer.header("clipkeep-left-out"), clip.id().to_string());
}

#[test]
fn what_is_no_video_is_an_error_that_names_the_clip() {
    let kit = Kit::new();
    let clip = kit.append(0, 2, b"\xFF\xD8\xFF\xE0 a still picture, say", Media::Jpeg);
    let answer = kit.get(&path("window.mp4", 0, 2), &[]);
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "media"));
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains(&clip.id().to_string()), "{detail}");
    let media = kit.ok(&format!("/v1/clips/{}/media", clip.id()));
    assert_eq!(media.header("content-type"), "image/jpeg");
}

#[test]
fn a_clip_that_is_being_recorded_can_be_watched_so_far() {
    let kit = Kit::new();
    let mut parser = crate::media::FragmentParser::new();
    parser.push(STREAM);
    let mut recorder = None;
    let mut last_end = false;
    let mut lens = Vec::new();
    while let Some(piece) = parser.next().unwrap() {
        match piece {
            crate::media::Piece::Init(init) => {
                let new = NewClip::starting(&camera(), at(0)).media(Media::FragmentedMp4);
                recorder = Some(kit.store.record(new.init(init.bytes().clone())).unwrap());
            }
            crate::media::Piece::Fragment(fragment) => {
                let recorder = recorder.as_mut().unwrap();
                recorder.write(fragment.bytes, fragment.duration).unwrap();
                let answer = kit.get(&path("playlist.m3u8", 0, 60), &[]);
                if answer.status == StatusCode::OK {
                    last_end = String::from_utf8_lossy(&answer.body).contains("ENDLIST");
                }
                lens.push(kit.ok(&path("window.mp4", 0, 60)).body.len());
            }
        }
    }
    assert!(!last_end, "while it is recorded, a player asks again");
    assert!(lens.is_sorted_by(|a, b| a < b), "each fragment can be seen at once: {lens:?}");
    recorder.unwrap().finish().unwrap();
    let whole = kit.ok(&path("playlist.m3u8", 0, 60)).body;
    assert!(String::from_utf8_lossy(&whole).contains("ENDLIST"));
}
