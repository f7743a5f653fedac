//! ffmpeg and ffprobe fetch playlists and windows over HTTP, and find every picture in them.

use super::*;

/// The demo's stream: ten seconds, a fragment every two.
const STREAM: &str = "src/cli/demo/front-door.mp4";

/// Digests of the pictures' packets, as they are stored, in order.
fn packets(input: &str) -> Vec<String> {
    // Only an MP4 file has an edit list to ignore.
    let arguments = if input.contains("m3u8") {
        vec!["-v", "error", "-i", input]
    } else {
        vec!["-v", "error", "-ignore_editlist", "1", "-i", input]
    };
    let copied = [&arguments[..], &["-map", "0:v", "-c", "copy", "-f", "framemd5", "-"]].concat();
    let printed = run("ffmpeg", &copied);
    let lines = printed.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit(',').next().unwrap().trim().to_owned()).collect()
}

/// How many pictures a decoder makes of it, and that nothing in it offends one.
fn pictures(input: &str) -> usize {
    run("ffmpeg", &["-v", "error", "-xerror", "-i", input, "-f", "null", "-"]);
    let arguments = ["-v", "error", "-count_frames", "-select_streams", "v:0"];
    let entries = ["-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", input];
    let printed = run("ffprobe", &[&arguments[..], &entries[..]].concat());
    printed.lines().next().unwrap().trim_end_matches(',').parse().unwrap()
}

fn seconds(input: &str) -> f64 {
    let arguments = ["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", input];
    run("ffprobe", &arguments).trim().parse().unwrap()
}

#[test]
fn a_playlist_of_a_stream_that_was_cut_plays_without_a_seam() {
    let daemon = open_to_all(|store| record_stream(store, STREAM, 0, 2));
    let playlist = daemon.get(&window_path("playlist.m3u8", 0, 10)).ok().text();
    assert!(!playlist.contains("DISCONTINUITY"), "{playlist}");
    assert!(playlist.matches("#EXTINF").count() >= 3, "{playlist}");
    let url = daemon.url(&window_path("playlist.m3u8", 0, 10));
    assert_eq!(packets(&url), packets(STREAM));
    assert_eq!(pictures(&url), pictures(STREAM));
}

#[test]
fn a_playlist_over_gaps_and_recordings_has_every_packet() {
    let daemon = open_to_all(|store| {
        put_segments(store, 0);
        put_segments(store, 30);
    });
    let url = daemon.url(&window_path("playlist.m3u8", 0, 40));
    let once: Vec<String> =
        (0..3).flat_map(|index| packets(&format!("tests/fixtures/segment{index}.mp4"))).collect();
    assert_eq!(packets(&url), [once.clone(), once].concat());
    assert!(pictures(&url) > 0);
}

#[test]
fn a_window_decodes_whole_in_both_layouts() {
    let daemon = open_to_all(|store| put_segments(store, 0));
    for layout in ["mp4", "fmp4"] {
        let url = daemon.url(&format!("{}&format={layout}", window_path("window.mp4", 0, 6)));
        assert_eq!(pictures(&url), 60, "{layout}");
        assert!((seconds(&url) - 6.0).abs() < 0.12, "{layout}: {} s", seconds(&url));
    }
}

/// Not in a playlist: ffmpeg 5.1 cannot seek in ranges of fragments, nor in those it made itself.
/// The browser does.
#[test]
fn a_player_can_seek_in_a_window() {
    let daemon = open_to_all(|store| record_stream(store, STREAM, 0, 2));
    let whole = pictures(STREAM);
    for layout in ["mp4", "fmp4"] {
        let url = daemon.url(&format!("{}&format={layout}", window_path("window.mp4", 0, 10)));
        let seek = ["-v", "error", "-ss", "7", "-i", &url, "-map", "0:v", "-f", "framemd5", "-"];
        let printed = run("ffmpeg", &seek);
        let left = printed.lines().filter(|line| !line.starts_with('#')).count();
        assert!((whole / 5..whole / 2).contains(&left), "{layout}: {left} of {whole} after 7 s");
    }
}

#[test]
fn a_clip_plays_under_its_own_name() {
    let daemon = open_to_all(|store| record_stream(store, STREAM, 0, 100));
    let list = daemon.get("/v1/cameras/front/clips").ok().json();
    let id = list["clips"][0]["id"].as_str().unwrap();
    assert_eq!(packets(&daemon.url(&format!("/v1/clips/{id}/media.mp4"))), packets(STREAM));
}
