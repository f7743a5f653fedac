//! Bytes of clips, windows and playlists: ranges, preconditions, and what expires meanwhile.

use axum::http::header::{IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE};

use super::*;

/// Every kind of answer that has bytes.
fn targets(kit: &Kit) -> Vec<String> {
    let clip = kit.store.clips(&camera(), Window::new(at(0), at(6)).unwrap()).unwrap();
    let id = { clip }.next().unwrap().id();
    vec![
        format!("/v1/clips/{id}/media"),
        format!("/v1/clips/{id}/media.mp4"),
        path("window.mp4", 0, 6),
        path("window.mp4", 1, 5) + "&format=fmp4",
        path("playlist.m3u8", 0, 6),
    ]
}

#[test]
fn sixty_random_ranges_of_each_are_what_the_whole_has_there() {
    let kit = Kit::with_segments();
    let seed = std::env::var("CLIPKEEP_SEED").map_or(7, |seed| seed.parse().unwrap());
    let mut random: u64 = seed;
    for path in targets(&kit) {
        let whole = kit.ok(&path).body;
        let len = u64::try_from(whole.len()).unwrap();
        for _ in 0..60 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let first = (random >> 20) % len;
            let last = first + (random >> 40) % (len - first);
            let range = format!("bytes={first}-{last}");
            let answer = kit.get(&path, &[(RANGE, range.clone())]);
            let replay = "CLIPKEEP_SEED={seed} cargo test --all-features --lib sixty_random";
            let what = format!("{path} {range}; again: {replay} with seed {seed}");
            assert_eq!(answer.status, StatusCode::PARTIAL_CONTENT, "{what}");
            let shown = format!("bytes {first}-{last}/{len}");
            assert_eq!(answer.header("content-range"), shown, "{what}");
            let at = |at| usize::try_from(at).unwrap();
            assert!(answer.body == whole[at(first)..=at(last)], "{what}");
        }
    }
}

#[test]
fn ranges_that_are_wrong_have_the_same_answers_everywhere() {
    let kit = Kit::with_segments();
    for path in targets(&kit) {
        let whole = kit.ok(&path);
        let len = whole.body.len();
        for (range, status, got) in [
            (format!("bytes={len}-"), 416, 0),
            (format!("bytes={}-", u64::MAX), 416, 0),
            ("bytes=-0".to_owned(), 416, 0),
            (format!("bytes=-{}", len + 1), 206, len),
            (format!("bytes=0-{}", len + 5), 206, len),
            (format!("bytes={}-", len - 1), 206, 1),
            ("bytes=9-2".to_owned(), 200, len),
            ("bytes=0-1,4-5".to_owned(), 200, len),
            ("lines=0-1".to_owned(), 200, len),
            ("bytes=x".to_owned(), 200, len),
        ] {
            let answer = kit.get(&path, &[(RANGE, range.clone())]);
            assert_eq!(answer.status.as_u16(), status, "{path} {range}");
            if status == 416 {
                assert_eq!(answer.header("content-range"), format!("bytes */{len}"));
                assert_eq!(answer.code(), "range-not-satisfiable");
            } else {
                assert_eq!(answer.body.len(), got, "{path} {range}");
                assert_eq!(answer.header("content-length"), got.to_string());
            }
            assert_eq!(answer.header("etag"), whole.header("etag"));
        }
    }
}

#[test]
fn head_says_what_get_would_and_sends_nothing() {
    let kit = Kit::with_segments();
    for path in targets(&kit) {
        let get = kit.ok(&path);
        let range = [(RANGE, "bytes=1-2".to_owned())];
        let head = kit.send(Method::HEAD, &path, &range);
        assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0), "{path}");
        for name in ["content-length", "etag", "content-type", "accept-ranges", "cache-control"] {
            assert_eq!(head.header(name), get.header(name), "{path} {name}");
            assert!(!head.header(name).is_empty(), "{path} {name}");
        }
        assert_eq!(head.header("content-length"), get.body.len().to_string());
    }
}

#[test]
fn preconditions_go_by_the_digest_of_the_bytes() {
    let kit = Kit::with_segments();
    for path in targets(&kit) {
        let tag = kit.ok(&path).header("etag").to_owned();
        let other = || "\"other\"".to_owned();
        let part = (RANGE, "bytes=0-9".to_owned());
        for (headers, status) in [
            (vec![(IF_NONE_MATCH, tag.clone())], 304),
            (vec![(IF_NONE_MATCH, other())], 200),
            (vec![(IF_MATCH, other())], 412),
            (vec![part.clone(), (IF_MATCH, tag.clone())], 206),
            (vec![part.clone(), (IF_RANGE, tag.clone())], 206),
            (vec![part.clone(), (IF_RANGE, other())], 200),
            (vec![part.clone(), (IF_RANGE, format!("W/{tag}"))], 200),
        ] {
            let answer = kit.get(&path, &headers);
            assert_eq!(answer.status.as_u16(), status, "{path} {headers:?}");
            if status == 304 {
                assert_eq!((answer.body.len(), answer.header("etag")), (0, tag.as_str()));
            }
        }
    }
    let clip = kit.store.clips(&camera(), Window::new(at(0), at(6)).unwrap()).unwrap();
    let clip = { clip }.next().unwrap();
    let digest = blake3::hash(SEGMENTS[0]).to_hex();
    let etag = kit.ok(&format!("/v1/clips/{}/media", clip.id())).header("etag").to_owned();
    assert_eq!(etag, format!("\"{digest}\""));
}

#[test]
fn footage_is_not_kept_in_caches() {
    let kit = Kit::with_segments();
    for path in targets(&kit) {
        assert_eq!(kit.ok(&path).header("cache-control"), "private, no-store");
    }
}

/// A clip of more bytes than wait for a socket, so that its answer is under way for a while.
fn large(kit: &Kit) -> (Clip, Vec<u8>) {
    let bytes: Vec<u8> = (0_u32..1_500_000).flat_map(|n| n.wrapping_mul(7).to_le_bytes()).collect();
    let mut recorder = kit.store.record(NewClip::starting(&camera(), at(0))).unwrap();
    for part in bytes.chunks(1 << 20) {
        recorder.write(Bytes::copy_from_slice(part), Duration::from_secs(1)).unwrap();
    }
    (recorder.finish().unwrap(), bytes)
}

/// Whoever sends an answer lets go of its clip behind the last byte, or learns by itself that
/// nobody takes it any more: everything of it runs on this runtime.
fn wait_for_senders(kit: &Kit) {
    let metrics = kit.runtime.metrics();
    while metrics.num_alive_tasks() > 0 {
        std::thread::yield_now();
    }
}

#[test]
fn a_clip_that_expires_while_it_is_read_is_read_to_its_end() {
    let kit = Kit::new();
    let (clip, bytes) = large(&kit);
    let path = format!("/v1/clips/{}/media", clip.id());
    let request = Request::get(&path).body(Body::empty()).unwrap();
    let answer = kit.runtime.block_on(kit.router.clone().oneshot(request)).unwrap();
    let mut body = answer.into_body();
    let first = kit.runtime.block_on(body.frame()).unwrap().unwrap().into_data().unwrap();
    kit.sweep_after_days(20);
    assert_eq!(kit.problem(&path), (410, "expired".to_owned()), "nobody else can read it");
    let rest = kit.runtime.block_on(body.collect()).unwrap().to_bytes();
    assert!([first, rest].concat() == bytes);
    wait_for_senders(&kit);
    assert_eq!(kit.store.stats().unwrap().ghost_bytes, 0, "and then it is let go");
}

#[test]
fn a_window_that_expires_while_it_is_read_is_read_to_its_end() {
    let kit = Kit::new();
    for index in 0..40 {
        kit.append(index * 6, 6, LONGER, Media::FragmentedMp4);
    }
    let path = path("window.mp4", 0, 240);
    let whole = kit.ok(&path).body;
    let request = Request::get(&path).body(Body::empty()).unwrap();
    let answer = kit.runtime.block_on(kit.router.clone().oneshot(request)).unwrap();
    kit.sweep_after_days(20);
    assert_eq!(kit.problem(&path), (404, "not-found".to_owned()));
    let read = kit.runtime.block_on(answer.into_body().collect()).unwrap().to_bytes();
    assert!(read == whole);
}

#[test]
fn the_bytes_of_a_sealed_clip_are_lent_to_each_answer_and_copied_for_none() {
    let kit = Kit::new();
    let (clip, bytes) = large(&kit);
    kit.store.seal().unwrap();
    let path = format!("/v1/clips/{}/media", clip.id());
    let pieces = || {
        let request = Request::get(&path).body(Body::empty()).unwrap();
        kit.runtime.block_on(async {
            let mut body = kit.router.clone().oneshot(request).await.unwrap().into_body();
            let mut pieces: Vec<Bytes> = Vec::new();
            while let Some(frame) = body.frame().await {
                pieces.push(frame.unwrap().into_data().unwrap());
            }
            pieces
        })
    };
    assert!(pieces().concat() == bytes, "the first reading is into memory of its own");
    let (one, other) = (pieces(), pieces());
    assert!(one.concat() == bytes);
    let places = |pieces: &[Bytes]| pieces.iter().map(|piece| piece.as_ptr()).collect::<Vec<_>>();
    assert_eq!(places(&one), places(&other), "both are there, and lie in the same memory");
}

#[test]
fn an_answer_that_nobody_takes_lets_go_of_its_clip() {
    let kit = Kit::new();
    let (clip, _) = large(&kit);
    let path = format!("/v1/clips/{}/media", clip.id());
    let request = Request::get(&path).body(Body::empty()).unwrap();
    let answer = kit.runtime.block_on(kit.router.clone().oneshot(request)).unwrap();
    kit.sweep_after_days(20);
    assert!(kit.store.stats().unwrap().ghost_bytes > 0, "while the answer is under way");
    drop(answer);
    wait_for_senders(&kit);
    assert_eq!(kit.store.stats().unwrap().ghost_bytes, 0);
}
