//! Lists of clips, single clips and timelines.

use super::*;
use crate::NewHold;

fn ids(page: &Value) -> Vec<String> {
    let clips = page["clips"].as_array().unwrap();
    clips.iter().map(|clip| clip["id"].as_str().unwrap().to_owned()).collect()
}

/// Every page of `path`, one after another.
fn all_pages(kit: &Kit, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut next = String::new();
    for _ in 0..50 {
        let page = kit.ok(&format!("{path}{next}")).json();
        found.extend(ids(&page));
        match page["next"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => return found,
        }
    }
    panic!("no last page: {found:?}");
}

#[test]
fn pages_in_both_orders_have_every_clip_once() {
    let kit = Kit::new();
    // Some of them start together, some overlap, one lies outside.
    for (second, seconds) in [(0, 10), (2, 2), (2, 2), (2, 30), (3, 1), (8, 4), (9, 2), (40, 1)] {
        kit.append(second, seconds, SEGMENTS[0], Media::FragmentedMp4);
    }
    let window = Window::new(at(1), at(20)).unwrap();
    let mut wanted: Vec<(Timestamp, String)> = kit
        .store
        .clips(&camera(), window)
        .unwrap()
        .map(|clip| (clip.window().start(), clip.id().to_string()))
        .collect();
    assert_eq!(wanted.len(), 7);
    wanted.sort();
    for limit in [1, 2, 3, 7, 100] {
        let paged = |order| {
            all_pages(&kit, &format!("{}&limit={limit}&order={order}", path("clips", 1, 20)))
        };
        let starts = |ids: &[String]| -> Vec<Timestamp> {
            ids.iter()
                .map(|id| kit.store.clip(id.parse().unwrap()).unwrap().window().start())
                .collect()
        };
        let (oldest, newest) = (paged("oldest"), paged("newest"));
        assert!(starts(&oldest).is_sorted());
        assert!(starts(&newest).is_sorted_by(|a, b| a >= b));
        for mut found in [oldest, newest] {
            found.sort();
            let mut all: Vec<&String> = wanted.iter().map(|(_, id)| id).collect();
            all.sort();
            assert_eq!(found.iter().collect::<Vec<_>>(), all, "{limit} a page");
        }
    }
}

#[test]
fn a_page_goes_on_where_it_was_when_clips_come_and_go() {
    let kit = Kit::with_segments();
    let first = kit.ok(&format!("{}&limit=1", path("clips", 0, 100))).json();
    kit.store.delete_clip(ids(&first)[0].parse().unwrap(), "ann", "why not").unwrap();
    kit.append(50, 2, SEGMENTS[0], Media::FragmentedMp4);
    let cursor = first["next"].as_str().unwrap();
    let rest = kit.ok(&format!("{}&cursor={cursor}", path("clips", 0, 100))).json();
    assert_eq!(ids(&rest).len(), 3, "two that were there, and the new one");
}

#[test]
fn without_a_window_all_clips_are_listed() {
    let kit = Kit::with_segments();
    assert_eq!(ids(&kit.ok("/v1/cameras/door/clips").json()).len(), 3);
    assert_eq!(ids(&kit.ok("/v1/cameras/nobody/clips").json()).len(), 0);
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let kit = Kit::with_segments();
    let clips = path("clips", 0, 6);
    for query in [
        format!("{clips}&limit=0"),
        format!("{clips}&limit=1001"),
        format!("{clips}&limit=x"),
        format!("{clips}&order=largest"),
        format!("{clips}&cursor=x"),
        format!("{clips}&cursor=1_"),
        format!("{clips}&cursor=99999999999999999999_1-1"),
        path("clips", 6, 0),
        path("clips", 6, 6),
        "/v1/cameras/door/clips?from=yesterday".to_owned(),
        "/v1/cameras/..%2F..%2Fetc/clips".to_owned(),
        "/v1/clips/x".to_owned(),
        "/v1/clips/1-2-3/media".to_owned(),
        "/v1/clips/-1/media".to_owned(),
        path("timeline", 0, 6) + "&buckets=0",
        path("timeline", 0, 6) + "&buckets=2001",
        "/v1/cameras/door/timeline".to_owned(),
        "/v1/cameras/door/window.mp4".to_owned(),
        path("window.mp4", 0, 6) + "&format=avi",
        path("window.mp4", 0, 6) + "&seconds=6",
        path("window.mp4", 0, 90_000),
        path("playlist.m3u8", 0, 90_000),
        path("playlist.m3u8", 7, 6),
    ] {
        assert_eq!(kit.problem(&query), (400, "invalid-input".to_owned()), "{query}");
    }
    for missing in ["/v1/clips/77-1", "/v1/clips/77-1/media"] {
        assert_eq!(kit.problem(missing).0, 404, "{missing}");
    }
}

#[test]
fn a_clip_says_what_it_is_and_until_when_it_is_kept() {
    let kit = Kit::new();
    let clip = kit.append(0, 2, SEGMENTS[0], Media::FragmentedMp4);
    let path = format!("/v1/clips/{}", clip.id());
    let shown = kit.ok(&path).json();
    assert_eq!(shown["start"], "2026-11-01T00:00:00Z");
    assert_eq!(shown["bytes"], SEGMENTS[0].len());
    assert_eq!(shown["media"], "fragmented-mp4");
    assert_eq!(shown["own_expiry"], "2026-11-12T00:00:00Z");
    assert_eq!(shown["holds"], serde_json::json!([]));
    let hold = NewHold::new([camera()], clip.window()).for_duration(Duration::from_hours(24 * 60));
    let receipt = kit.store.place_hold(hold).unwrap();
    let shown = kit.ok(&path).json();
    assert_eq!(shown["own_expiry"], "2026-11-12T00:00:00Z");
    assert!(shown["effective_expiry"].as_str().unwrap() > "2026-12-01T00:00:00Z");
    assert_eq!(shown["holds"], serde_json::json!([receipt.id.to_string()]));
}

#[test]
fn a_timeline_shows_what_is_there_what_is_held_and_what_goes() {
    let kit = Kit::with_segments();
    kit.append(20, 10, SEGMENTS[0], Media::FragmentedMp4);
    let held = Window::new(at(0), at(3)).unwrap();
    let receipt = kit.store.place_hold(NewHold::new([camera()], held)).unwrap();
    let shown = kit.ok(&(path("timeline", 0, 40) + "&buckets=20")).json();
    assert_eq!(shown["covered_seconds"], 16.0);
    assert_eq!(shown["covered"].as_array().unwrap().len(), 2);
    assert_eq!(shown["gaps"].as_array().unwrap().len(), 2);
    assert_eq!(shown["held"][0]["hold"], receipt.id.to_string());
    assert_eq!(shown["held"][0]["end"], at(3).to_string());
    let bucket = |index: usize| &shown["buckets"][index];
    assert_eq!((&bucket(0)["clips"], &bucket(0)["held_clips"]), (&1.into(), &1.into()));
    assert!(bucket(0).get("expires").is_none(), "held");
    assert_eq!(bucket(2)["expires"], "2026-11-12T00:00:00Z");
    assert_eq!(bucket(5)["clips"], 0);
    assert_eq!(shown["buckets"].as_array().unwrap().len(), 20);
}

#[test]
fn what_has_expired_is_on_no_list() {
    let kit = Kit::with_segments();
    let id = ids(&kit.ok("/v1/cameras/door/clips").json())[0].clone();
    kit.sweep_after_days(20);
    assert_eq!(ids(&kit.ok("/v1/cameras/door/clips").json()).len(), 0);
    assert_eq!(kit.ok(&path("timeline", 0, 6)).json()["covered_seconds"], 0.0);
    assert_eq!(kit.problem(&format!("/v1/clips/{id}")), (410, "expired".to_owned()));
    for route in ["window.mp4", "playlist.m3u8"] {
        assert_eq!(kit.problem(&path(route, 0, 6)), (404, "not-found".to_owned()));
    }
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let kit = Kit::new();
    let page = kit.ok("/");
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    for (path, kind) in [("/page/page.js", "text/javascript"), ("/page/page.css", "text/css")] {
        assert!(kit.ok(path).header("content-type").starts_with(kind));
        let text = String::from_utf8(kit.ok(path).body.to_vec()).unwrap();
        assert!(!text.contains("//cdn") && !text.contains("https:"), "{path}");
        assert!(String::from_utf8_lossy(&page.body).contains(&path[1..]));
    }
}
