//! Exports as real players see them: ffmpeg and ffprobe read what `clipkeep::media` wrote.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use clipkeep::media::{
    ClipFacts, Export, ExportClip, Format, Fragment, FragmentParser, InitSegment, Piece,
};
use clipkeep::{ErrorKind, Timestamp, Window};
use tempfile::TempDir;

const FORMATS: [Format; 2] = [Format::Mp4, Format::Fragmented];

/// Runs `program`, which comes with ffmpeg, and gives what it printed.
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| {
        panic!("{program} does not start ({error}): apt-get install ffmpeg")
    });
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && errors.is_empty(), "{program} {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The packets of a file's stream (`v` or `a`), in decode order: digests of their payloads.
fn payloads(path: &Path, stream: &str) -> Vec<String> {
    let map = format!("0:{stream}");
    let printed = run(
        "ffmpeg",
        &["-v", "error", "-ignore_editlist", "1", "-i", text(path), "-map", &map]
            .into_iter()
            .chain(["-c", "copy", "-f", "framemd5", "-"])
            .collect::<Vec<_>>(),
    );
    let lines = printed.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit(',').next().unwrap().trim().to_owned()).collect()
}

/// What ffprobe says of one entry, such as `format=duration`.
fn probed(path: &Path, entries: &str, more: &[&str]) -> String {
    let arguments = ["-v", "error", "-show_entries", entries, "-of", "csv=p=0"];
    let arguments: Vec<&str> =
        arguments.into_iter().chain(more.iter().copied()).chain([text(path)]).collect();
    run("ffprobe", &arguments).trim().to_owned()
}

fn seconds(path: &Path) -> f64 {
    probed(path, "format=duration", &[]).parse().unwrap()
}

/// When the packets of a stream are shown, in the order of the file.
fn times(path: &Path, stream: &str) -> Vec<f64> {
    let printed = probed(path, "packet=pts_time", &["-select_streams", stream]);
    // Side data adds empty fields and lines.
    let fields = printed.lines().map(|line| line.trim_end_matches(','));
    fields.filter(|field| !field.is_empty()).map(|field| field.parse().unwrap()).collect()
}

/// How many pictures a decoder makes of the file.
fn pictures(path: &Path) -> usize {
    let more = ["-count_frames", "-select_streams", "v:0"];
    probed(path, "stream=nb_read_frames", &more).trim_end_matches(',').parse().unwrap()
}

/// Decodes everything; `run` fails on the slightest complaint.
fn decode(path: &Path) {
    run("ffmpeg", &["-v", "warning", "-xerror", "-i", text(path), "-f", "null", "-"]);
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros((1_800_000_000 + seconds) * 1_000_000)
}

/// Clips of these fixtures, each at its second.
fn clips(fixtures: &[(&str, i64)]) -> Vec<ExportClip> {
    let clip = |(name, second): &(&str, i64)| {
        let bytes = Bytes::from(std::fs::read(fixture(name)).unwrap());
        ExportClip::new(at(*second), *name, Arc::new(bytes))
    };
    fixtures.iter().map(clip).collect()
}

struct Exported {
    path: PathBuf,
    plan: Export,
    _folder: TempDir,
}

fn export(clips: &[ExportClip], window: Option<Window>, format: Format) -> Exported {
    let plan = Export::plan(clips, window, format).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("export.mp4");
    let mut bytes = Vec::new();
    plan.write_to(&mut bytes).unwrap();
    assert_eq!(u64::try_from(bytes.len()).unwrap(), plan.len());
    std::fs::write(&path, bytes).unwrap();
    Exported { path, plan, _folder: folder }
}

fn assert_close(found: f64, wanted: f64) {
    assert!((found - wanted).abs() < 0.12, "{found} s, wanted {wanted}");
}

#[test]
fn one_clip_of_any_kind_plays_with_every_packet_of_its_pictures() {
    let all = ["av.mp4", "video.mp4", "epoch.mp4", "plain.mp4", "small.mp4", "absolute.mp4"];
    for name in all {
        for format in FORMATS {
            let out = export(&clips(&[(name, 0)]), None, format);
            decode(&out.path);
            assert_eq!(
                payloads(&out.path, "v"),
                payloads(&fixture(name), "v"),
                "{name} {format:?}"
            );
            assert_eq!(pictures(&out.path), pictures(&fixture(name)), "{name} {format:?}");
        }
    }
}

#[test]
fn sound_alone_plays_with_every_packet() {
    for format in FORMATS {
        let out = export(&clips(&[("audio.mp4", 0)]), None, format);
        decode(&out.path);
        assert_eq!(payloads(&out.path, "a"), payloads(&fixture("audio.mp4"), "a"), "{format:?}");
        assert_close(seconds(&out.path), 3.0);
    }
}

#[test]
fn other_codecs_are_joined_too() {
    for (name, codecs) in [("hevc.mp4", "hevc"), ("av1.mp4", "av1")] {
        for format in FORMATS {
            let out = export(&clips(&[(name, 0), (name, 1)]), None, format);
            decode(&out.path);
            assert_eq!(pictures(&out.path), 20, "{name} {format:?}");
            let codec = probed(&out.path, "stream=codec_name", &["-select_streams", "v:0"]);
            assert_eq!(codec.trim_end_matches(','), codecs);
        }
    }
}

#[test]
fn consecutive_recordings_become_one_file_without_a_seam() {
    let names = ["segment0.mp4", "segment1.mp4", "segment2.mp4"];
    let sources: Vec<String> =
        names.iter().flat_map(|name| payloads(&fixture(name), "v")).collect();
    let sounds: Vec<String> = names.iter().flat_map(|name| payloads(&fixture(name), "a")).collect();
    for format in FORMATS {
        let out = export(&clips(&[(names[0], 0), (names[1], 2), (names[2], 4)]), None, format);
        decode(&out.path);
        assert_eq!(payloads(&out.path, "v"), sources, "{format:?}");
        assert_eq!(payloads(&out.path, "a"), sounds, "{format:?}");
        assert_eq!(pictures(&out.path), 60);
        assert_close(seconds(&out.path), 6.0);
    }
}

#[test]
fn fragmented_and_plain_clips_of_one_camera_are_joined() {
    for format in FORMATS {
        let out = export(&clips(&[("av.mp4", 0), ("plain.mp4", 6)]), None, format);
        decode(&out.path);
        assert_eq!(pictures(&out.path), 100);
        assert_close(seconds(&out.path), 10.0);
    }
}

#[test]
fn a_gap_shows_in_the_duration_and_in_the_times_of_the_pictures() {
    for format in FORMATS {
        let out = export(&clips(&[("video.mp4", 0), ("video.mp4", 20)]), None, format);
        decode(&out.path);
        assert_close(seconds(&out.path), 24.0);
        let times = times(&out.path, "v:0");
        assert_eq!(times.len(), 80);
        assert_close(times[40] - times[0], 20.0);
        assert_eq!(out.plan.covered(), Window::new(at(0), at(24)).unwrap());
    }
}

#[test]
fn forty_joins_do_not_pull_sound_and_picture_apart() {
    let forty: Vec<(&str, i64)> = (0..40).map(|n| ("av.mp4", n * 6)).collect();
    for format in FORMATS {
        let out = export(&clips(&forty), None, format);
        decode(&out.path);
        let last = |stream| times(&out.path, stream).into_iter().fold(0.0, f64::max);
        assert_close(last("v:0"), last("a:0"));
        assert_eq!(pictures(&out.path), 2_400);
    }
}

#[test]
fn seeking_lands_on_the_picture_that_was_shown_then() {
    let frame = |path: &Path, second: f64| {
        let second = second.to_string();
        let arguments = ["-v", "error", "-ss", &second, "-i", text(path), "-frames:v", "1"];
        let arguments: Vec<&str> = arguments.into_iter().chain(["-an", "-f", "md5", "-"]).collect();
        run("ffmpeg", &arguments)
    };
    let wanted: Vec<(f64, String)> = [0.0, 1.0, 2.3, 4.0, 4.5, 5.0]
        .into_iter()
        .map(|second| (second, frame(&fixture("av.mp4"), second)))
        .collect();
    for format in FORMATS {
        let out = export(&clips(&[("av.mp4", 0), ("av.mp4", 20)]), None, format);
        for (second, wanted) in &wanted {
            assert_eq!(&frame(&out.path, *second), wanted, "{format:?} {second}");
            assert_eq!(&frame(&out.path, second + 20.0), wanted, "{format:?} {second} + 20");
        }
    }
}

#[test]
fn a_window_takes_whole_groups_and_says_so() {
    let window = Window::new(at(2), at(4)).unwrap();
    for format in FORMATS {
        let out = export(&clips(&[("av.mp4", 0)]), Some(window), format);
        decode(&out.path);
        assert_eq!((pictures(&out.path), out.plan.covered()), (20, window), "{format:?}");
        assert_close(seconds(&out.path), 2.0);
        assert_eq!(payloads(&out.path, "v"), payloads(&fixture("av.mp4"), "v")[20..40]);
    }
}

#[test]
fn a_recording_that_was_cut_off_plays_up_to_its_last_whole_fragment() {
    let whole = std::fs::read(fixture("av.mp4")).unwrap();
    for cut in [whole.len() / 2, whole.len() - 500, whole.len() * 9 / 10] {
        let clip = ExportClip::new(at(0), "cut", Arc::new(Bytes::copy_from_slice(&whole[..cut])));
        for format in FORMATS {
            let out = export(std::slice::from_ref(&clip), None, format);
            decode(&out.path);
            assert_eq!(pictures(&out.path) % 10, 0);
        }
    }
}

#[test]
fn the_index_is_in_front_so_that_playing_can_start_at_once() {
    let out = export(&clips(&[("av.mp4", 0)]), None, Format::Mp4);
    let bytes = std::fs::read(&out.path).unwrap();
    let find = |kind: &[u8]| bytes.windows(4).position(|four| four == kind).unwrap();
    assert!(find(b"moov") < find(b"mdat"));
    let facts = ClipFacts::read(&Bytes::from(bytes)).unwrap();
    assert_eq!(facts.init().created(), Some(at(0)));
    assert_eq!(facts.duration(), out.plan.duration());
}

#[test]
fn another_camera_set_up_within_the_window_is_refused() {
    let clips = clips(&[("video.mp4", 0), ("small.mp4", 4)]);
    let error = Export::plan(&clips, None, Format::Mp4).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Media);
    assert!(error.to_string().contains("small.mp4"), "{error}");
}

/// What ffmpeg makes of a fixture with these output options, in a folder of its own.
fn remuxed(options: &[&str], file: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (source, target) = (fixture("av.mp4"), folder.path().join(file));
    let head = ["-v", "error", "-i", text(&source), "-map", "0", "-c", "copy"];
    let all = head.iter().chain(options).copied().chain([text(&target)]);
    run("ffmpeg", &all.collect::<Vec<_>>());
    folder
}

/// The init segment and the fragments of a stream that comes in these files.
fn parsed(files: &[PathBuf]) -> (InitSegment, Vec<Fragment>) {
    let mut parser = FragmentParser::new();
    let (mut init, mut fragments) = (None, Vec::new());
    for file in files {
        for chunk in std::fs::read(file).unwrap().chunks(777) {
            parser.push(chunk);
            while let Some(piece) = parser.next().unwrap() {
                match piece {
                    Piece::Init(found) => init = Some(found),
                    Piece::Fragment(fragment) => fragments.push(fragment),
                }
            }
        }
    }
    assert_eq!(parser.finish(), 0, "an unfinished piece");
    (init.unwrap(), fragments)
}

/// The clip of these fragments, as a recorder that starts a clip with them would store it.
fn stored(init: &InitSegment, fragments: &[Fragment]) -> ExportClip {
    let mut bytes = init.bytes().to_vec();
    for fragment in fragments {
        bytes.extend_from_slice(&fragment.bytes);
    }
    let start = at(0).saturating_add(fragments[0].start);
    ExportClip::new(start, "stored", Arc::new(Bytes::from(bytes)))
}

#[test]
fn a_stream_cut_between_key_frames_is_joined_without_a_seam() {
    let options = ["-movflags", "empty_moov+default_base_moof+delay_moov", "-frag_duration"];
    let folder = remuxed(&[&options[..], &["300000"]].concat(), "s.mp4");
    let (init, fragments) = parsed(&[folder.path().join("s.mp4")]);
    assert!(fragments.iter().any(|fragment| !fragment.key), "all are keys");
    let mut expected = std::time::Duration::ZERO;
    // The last is sound alone, as ffmpeg ends its streams, and begins before the pictures end.
    let (last, pictures_too) = fragments.split_last().unwrap();
    for fragment in pictures_too {
        assert_eq!(fragment.start, expected, "fragments do not follow one another");
        expected += fragment.duration;
    }
    assert!(!last.key && last.start < expected);
    let whole = payloads(&fixture("av.mp4"), "v");
    let sounds = payloads(&fixture("av.mp4"), "a");
    for cut in [3, 7, 8, 12] {
        let clips = [stored(&init, &fragments[..cut]), stored(&init, &fragments[cut..])];
        for format in FORMATS {
            let out = export(&clips, None, format);
            decode(&out.path);
            assert_eq!(payloads(&out.path, "v"), whole, "{format:?} {cut}");
            assert_eq!(payloads(&out.path, "a"), sounds, "{format:?} {cut}");
            assert_eq!(pictures(&out.path), 60);
            let mut shown = times(&out.path, "v:0");
            shown.sort_by(f64::total_cmp);
            assert!(shown.windows(2).all(|pair| (pair[1] - pair[0] - 0.1).abs() < 0.001));
        }
    }
}

#[test]
fn segments_of_the_hls_muxer_are_fragments() {
    let options = ["-f", "hls", "-hls_time", "2", "-hls_segment_type", "fmp4"];
    let folder = remuxed(&options, "index.m3u8");
    let files = ["init.mp4", "index0.m4s", "index1.m4s", "index2.m4s"];
    let (init, fragments) = parsed(&files.map(|file| folder.path().join(file)));
    assert_eq!(fragments.len(), 3);
    assert!(fragments.iter().all(|fragment| fragment.key && &fragment.bytes[4..8] == b"styp"));
    let out = export(&[stored(&init, &fragments)], None, Format::Mp4);
    decode(&out.path);
    assert_eq!(payloads(&out.path, "v"), payloads(&fixture("av.mp4"), "v"));
}

#[test]
fn chunks_of_the_dash_muxer_are_a_fragment_a_picture() {
    let options = ["-f", "dash", "-seg_duration", "2", "-use_template", "1", "-use_timeline", "0"];
    let more = ["-ldash", "1", "-streaming", "1"];
    let folder = remuxed(&[&options[..], &more].concat(), "manifest.mpd");
    let files = ["init-stream0.m4s", "chunk-stream0-00001.m4s", "chunk-stream0-00002.m4s"];
    let (init, fragments) = parsed(&files.map(|file| folder.path().join(file)));
    assert_eq!(fragments.len(), 40);
    assert_eq!(fragments.iter().filter(|fragment| fragment.key).count(), 4);
    for format in FORMATS {
        let out = export(&[stored(&init, &fragments)], None, format);
        decode(&out.path);
        assert_eq!(payloads(&out.path, "v"), payloads(&fixture("av.mp4"), "v")[..40]);
    }
}
