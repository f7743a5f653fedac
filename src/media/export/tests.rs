//! Tests of exports: what a window becomes, and that no picture is changed on the way.

use bytes::Bytes;

use super::*;
use crate::media::fixtures;

fn at(us: i64) -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000 + us)
}

fn clip(start_us: i64, bytes: Bytes) -> ExportClip {
    ExportClip::new(at(start_us), format!("at {start_us}"), Arc::new(bytes))
}

fn segments() -> Vec<ExportClip> {
    (0_i64..).zip(0..3).map(|(at, index)| clip(at * 2_000_000, fixtures::segment(index))).collect()
}

fn bytes_of(export: &Export) -> Bytes {
    let mut bytes = Vec::new();
    export.write_to(&mut bytes).unwrap();
    Bytes::from(bytes)
}

const FORMATS: [Format; 2] = [Format::Mp4, Format::Fragmented];

#[test]
fn any_range_is_what_the_whole_file_has_there() {
    for format in FORMATS {
        let export = Export::plan(&segments(), None, format).unwrap();
        let whole = bytes_of(&export);
        assert_eq!(ClipBytes::len(&whole), export.len());
        for (start, end) in [(0, 1), (0, 5_000), (3_000, 3_000), (2_999, 40_001), (45_000, 50_000)]
        {
            let mut part = vec![0; end - start];
            export.read_at(u64::try_from(start).unwrap(), &mut part).unwrap();
            assert_eq!(part, whole[start..end]);
        }
        let mut past = vec![0; 2];
        assert!(export.read_at(export.len() - 1, &mut past).is_err());
    }
}

#[test]
fn an_export_can_be_exported_again_with_the_same_samples() {
    for format in FORMATS {
        let export = Export::plan(&segments(), None, format).unwrap();
        let mut room = EXPORT_SAMPLES_MAX;
        let loaded = load(&bytes_of(&export), &mut room).unwrap();
        let counts: Vec<_> = loaded.recordings[0].tracks.iter().map(Vec::len).collect();
        assert_eq!((loaded.recordings.len(), counts), (1, vec![60, 95]), "{format:?}");
        assert_eq!(loaded.init.config_id(), {
            load(&fixtures::segment(0), &mut room).unwrap().init.config_id()
        });
    }
}

#[test]
fn clips_in_any_order_give_the_same_file() {
    let forward = segments();
    let backward: Vec<_> = forward.iter().rev().cloned().collect();
    for format in FORMATS {
        let files = [&forward, &backward]
            .map(|clips| bytes_of(&Export::plan(clips, None, format).unwrap()));
        assert!(files[0] == files[1]);
    }
}

#[test]
fn a_gap_stays_and_an_overlap_is_put_behind() {
    for (second_us, seconds) in [(10_000_000, 12), (2_000_000, 4), (1_500_000, 4)] {
        let clips = [clip(0, fixtures::segment(0)), clip(second_us, fixtures::segment(1))];
        for format in FORMATS {
            let export = Export::plan(&clips, None, format).unwrap();
            let millis = export.duration().as_millis();
            assert!((seconds * 1000..seconds * 1000 + 100).contains(&millis), "{millis}");
        }
    }
}

#[test]
fn the_packet_that_primes_the_decoder_is_dropped_at_a_join() {
    let mut room = EXPORT_SAMPLES_MAX;
    let once = load(&fixtures::av(), &mut room).unwrap().recordings[0].tracks[1].len();
    for (format, late_us) in [(Format::Mp4, 0), (Format::Fragmented, 0), (Format::Mp4, 20_000)] {
        let clips = [clip(0, fixtures::av()), clip(6_000_000 + late_us, fixtures::av())];
        let export = Export::plan(&clips, None, format).unwrap();
        let loaded = load(&bytes_of(&export), &mut room).unwrap();
        let sound = &loaded.recordings[0].tracks[1];
        assert_eq!(sound.len(), 2 * once - 1, "{format:?}");
        assert!(sound.iter().all(|timed| timed.sample.duration > 512));
    }
}

#[test]
fn sound_does_not_drift_from_the_picture_over_many_joins() {
    let clips: Vec<_> = (0..40).map(|n| clip(n * 2_000_000, fixtures::segment(1))).collect();
    for format in FORMATS {
        let export = Export::plan(&clips, None, format).unwrap();
        let mut room = EXPORT_SAMPLES_MAX;
        let loaded = load(&bytes_of(&export), &mut room).unwrap();
        let recording = &loaded.recordings[0];
        let ends = [0, 1].map(|index| {
            let track = &loaded.init.tracks()[index];
            let end = recording.tracks[index].last().unwrap().end() + track.edit_shift;
            rescale(end, track.timescale(), 1_000)
        });
        assert_eq!(recording.tracks[0].len(), 800);
        assert!((ends[0] - ends[1]).abs() <= 70, "{format:?}: {ends:?} ms");
    }
}

#[test]
fn only_groups_that_overlap_the_window_are_taken() {
    let window = Window::new(at(1_200_000), at(3_000_000)).unwrap();
    for format in FORMATS {
        let export = Export::plan(&segments(), Some(window), format).unwrap();
        assert_eq!(export.covered(), Window::new(at(1_000_000), at(3_000_000)).unwrap());
        assert!(export.duration().as_millis().abs_diff(2_000) < 100, "{:?}", export.duration());
    }
    let outside = Window::new(at(60_000_000), at(61_000_000)).unwrap();
    let error = Export::plan(&segments(), Some(outside), Format::Mp4).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn another_decoder_set_up_is_refused_by_clip_and_time() {
    let clips = [clip(0, fixtures::video()), clip(9_000_000, fixtures::small())];
    let error = Export::plan(&clips, None, Format::Mp4).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Media);
    let text = error.to_string();
    assert!(text.contains("clip at 9000000 at 2027-01-15T08:00:09Z"), "{text}");
    assert!(text.contains("export the parts separately"), "{text}");
}

#[test]
fn a_clip_that_was_cut_off_is_exported_up_to_its_last_whole_fragment() {
    let bytes = fixtures::video();
    let cut = bytes.slice(..bytes.len() - 500);
    for format in FORMATS {
        let export = Export::plan(&[clip(0, cut.clone())], None, format).unwrap();
        assert_eq!(export.covered().duration().as_secs(), 3);
    }
}

#[test]
fn absolute_data_offsets_are_followed_also_when_the_clip_began_later() {
    let bytes = fixtures::absolute();
    let whole = Export::plan(&[clip(0, bytes.clone())], None, Format::Mp4).unwrap();
    // A clip that a recorder cut from the middle of a stream: init segment, second fragment.
    let moofs: Vec<usize> =
        (0..bytes.len() - 4).filter(|&at| &bytes[at..at + 4] == b"moof").map(|at| at - 4).collect();
    let later = [&bytes[..moofs[0]], &bytes[moofs[1]..]].concat();
    let later = Export::plan(&[clip(0, later.into())], None, Format::Mp4).unwrap();
    assert_eq!(whole.covered().duration().as_secs(), 2);
    assert_eq!(later.covered().duration().as_secs(), 1);
    let (whole, later) = (bytes_of(&whole), bytes_of(&later));
    assert_eq!(whole[whole.len() - 1000..], later[later.len() - 1000..]);
}

#[test]
fn two_recordings_in_one_clip_follow_one_another() {
    let both = [fixtures::segment(0), fixtures::segment(1)].concat();
    let export = Export::plan(&[clip(0, both.into())], None, Format::Mp4).unwrap();
    assert_eq!(export.covered(), Window::new(at(0), at(4_000_000)).unwrap());
}

#[test]
fn a_gap_longer_than_a_sample_can_last_is_refused() {
    let clips = [clip(0, fixtures::video()), clip(300_000_000_000_000, fixtures::video())];
    let error = Export::plan(&clips, None, Format::Mp4).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Media);
}

#[test]
fn a_clip_whose_clock_is_set_again_and_again_is_refused() {
    let bytes = fixtures::video();
    let moof = bytes.windows(4).position(|kind| kind == b"moof").unwrap() - 4;
    let next = bytes[moof + 8..].windows(4).position(|kind| kind == b"moof").unwrap() + moof + 4;
    let mut hostile = bytes[..moof].to_vec();
    // The same fragment, so the same decode time, over and over.
    (0..1_100).for_each(|_| hostile.extend_from_slice(&bytes[moof..next]));
    let error = Export::plan(&[clip(0, hostile.into())], None, Format::Mp4).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Media);
}

#[test]
fn a_decode_time_that_no_clock_reaches_is_a_clock_that_was_set() {
    let original = fixtures::video();
    let tfdt = |bytes: &[u8], from: usize| {
        from + bytes[from..].windows(4).position(|kind| kind == b"tfdt").unwrap() + 4
    };
    let second = tfdt(&original, tfdt(&original, 0));
    assert_eq!(original[second], 1, "the fixture says its decode times in 64 bits");
    for decode_time in [u64::MAX, i64::MAX.unsigned_abs(), i64::MAX.unsigned_abs() - 1000] {
        let mut bytes = original.to_vec();
        bytes[second + 4..second + 12].copy_from_slice(&decode_time.to_be_bytes());
        for format in FORMATS {
            let export = Export::plan(&[clip(0, bytes.clone().into())], None, format).unwrap();
            assert_eq!(export.covered(), Window::new(at(0), at(4_000_000)).unwrap());
            assert_eq!(export.duration().as_secs(), 4, "{decode_time} {format:?}");
            let again = Export::plan(&[clip(0, bytes_of(&export))], None, format).unwrap();
            assert_eq!(again.covered(), export.covered());
        }
    }
}

/// The segments, each identified by its bytes, but with other bytes for the one at `swapped`.
fn identified(swapped: Option<usize>) -> Vec<ExportClip> {
    let digest = |index: usize| match swapped {
        Some(swapped) if swapped == index => [0xFF; 32],
        _ => *blake3::hash(&fixtures::segment(index)).as_bytes(),
    };
    segments().into_iter().enumerate().map(|(index, clip)| clip.digest(digest(index))).collect()
}

#[test]
fn a_plan_is_identified_by_all_that_decides_its_bytes() {
    let digest = |clips: &[ExportClip], window, format| {
        Export::plan(clips, window, format).unwrap().into_plan().digest()
    };
    let window = Window::new(at(1_200_000), at(3_000_000)).ok();
    let mut seen = Vec::new();
    for format in FORMATS {
        for window in [None, window] {
            let first = digest(&identified(None), window, format).unwrap();
            assert_eq!(digest(&identified(None), window, format), Some(first));
            seen.push(first);
            seen.push(digest(&identified(Some(1)), window, format).unwrap());
        }
        assert_eq!(digest(&segments(), None, format), None, "nobody said what its bytes are");
        // A clip of which the window shows nothing decides nothing.
        let same = digest(&identified(Some(2)), window, format);
        assert_eq!(same, digest(&identified(None), window, format));
    }
    let all = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), all);
}

#[test]
fn a_plan_outlives_its_clips_and_names_each_byte_of_them() {
    for format in FORMATS {
        let export = Export::plan(&segments(), None, format).unwrap();
        let whole = bytes_of(&export);
        let plan = export.into_plan();
        let len = usize::try_from(plan.len()).unwrap();
        assert!(plan.memory_bytes() < len / 4, "{} for {len}", plan.memory_bytes());
        for range in [0..len, 0..0, len - 1..len, 700..len - 700] {
            let wanted = u64::try_from(range.start).unwrap()..u64::try_from(range.end).unwrap();
            let parts = plan.parts(wanted).unwrap().map(|part| match part {
                ExportPart::Memory(bytes) => bytes,
                ExportPart::Clip { clip, range } => {
                    let at = |at: u64| usize::try_from(at).unwrap();
                    fixtures::segment(clip).slice(at(range.start)..at(range.end))
                }
            });
            assert_eq!(parts.collect::<Vec<_>>().concat(), whole[range.clone()], "{range:?}");
        }
        let len = plan.len();
        assert!(plan.parts(0..len + 1).is_err() && plan.parts(len + 1..len + 1).is_err());
    }
}

#[test]
fn a_decoder_change_says_which_two_windows_are_one_file_each() {
    use std::error::Error as _;
    // The second clip begins before the first has ended: its pictures are 4 s, from 3 s on.
    let clips = [clip(0, fixtures::video()), clip(3_000_000, fixtures::small())];
    let error = Export::plan(&clips, None, Format::Mp4).unwrap_err();
    let change = *error.source().unwrap().downcast_ref::<DecoderChange>().unwrap();
    assert_eq!(change, DecoderChange { at: at(3_000_000), resume: at(4_000_000) });
    assert!(change.to_string().contains("ends at 2027-01-15T08:00:03Z"), "{change}");
    for (window, clips) in
        [(at(0)..change.at, &clips[..1]), (change.resume..at(5_000_000), &clips[1..])]
    {
        let window = Window::new(window.start, window.end).unwrap();
        assert!(Export::plan(clips, Some(window), Format::Mp4).is_ok());
    }
}

#[test]
fn a_server_can_ask_for_fewer_samples_than_the_limit() {
    for (room, refused) in [(60 + 95 + 3, false), (100, true)] {
        let planned = Export::plan_at_most(room, &segments(), None, Format::Mp4);
        assert_eq!(planned.is_err(), refused, "{room}");
    }
}
