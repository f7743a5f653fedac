//! Storing finished clips: sizes, limits, durability, segments.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use clipkeep::vfs::sim::SimOp;
use clipkeep::{
    CameraId, ClipState, Durability, ErrorKind, Media, NewClip, PolicyScope, Retention, Window,
};

use crate::store_kit::{
    DAY, HOUR, MINUTE, SEGMENT_BYTES, TestStore, at, camera, kind_of, marked, minutes, noise,
};

#[test]
fn a_class_that_cannot_be_synced_costs_the_others_nothing() {
    let t = TestStore::with(|options| options.durability(Durability::Buffered));
    let other = Retention::days(5, 30).unwrap();
    t.store.set_retention(Some(&camera("yard")), other, PolicyScope::NewClips).unwrap();
    t.clip("door", 10, "door");
    let safe = t.clip("yard", 10, "yard");
    t.disk.fail_after(SimOp::Sync, 1, std::io::ErrorKind::Other);
    assert_eq!(kind_of(t.store.sync()), ErrorKind::Io);
    let store = t.options.clone().vfs(t.disk.crash()).open("store").unwrap();
    let bytes = store.read(safe.id()).unwrap().to_vec().unwrap();
    assert_eq!(bytes, marked("yard", bytes.len()));
}

#[test]
fn clips_of_all_sizes_come_back_as_they_were() {
    let t = TestStore::new();
    let mib = 1 << 20;
    let sizes = [
        1,
        2,
        4095,
        4096,
        4097,
        65_535,
        65_536,
        65_537,
        100_000,
        mib - 1,
        mib,
        mib + 1,
        3 * mib,
        4 * mib - 1,
        4 * mib,
        5 * mib + 7,
        9 * mib,
    ];
    let mut stored = Vec::new();
    for (minute, size) in (0..).zip(sizes) {
        let bytes = noise(u64::from(minute), size);
        let new = NewClip::new(&camera("door"), minutes(minute, minute + 1)).media(Media::Mp4);
        let clip = t.store.append(new, bytes.clone()).unwrap();
        assert_eq!(clip.len(), u64::try_from(size).unwrap());
        assert_eq!(clip.digest(), blake3::hash(&bytes).as_bytes());
        assert_eq!((clip.state(), clip.media()), (ClipState::Complete, Media::Mp4));
        assert_eq!(clip.window(), minutes(minute, minute + 1));
        stored.push((clip, bytes));
    }
    let same = |t: &TestStore| {
        for (clip, bytes) in &stored {
            assert!(t.store.read(clip.id()).unwrap().to_vec().unwrap() == *bytes, "{}", clip.len());
            assert!(t.store.read_copied(clip.id()).unwrap().to_vec().unwrap() == *bytes);
            assert_eq!(t.store.clip(clip.id()).unwrap(), *clip);
        }
    };
    same(&t);
    t.store.seal().unwrap();
    same(&t);
    same(&t.reopen());
}

#[test]
fn what_is_acknowledged_survives_a_power_cut() {
    let t = TestStore::new();
    let clip = t.sized_clip("door", 10, "a", 200_000);
    let disk = t.disk.crash();
    let options = t.options.clone().vfs(disk);
    drop(t.store);
    let store = options.open("store").unwrap();
    assert_eq!(store.read(clip.id()).unwrap().to_vec().unwrap(), marked("a", 200_000));
}

#[test]
fn empty_clips_are_refused() {
    let t = TestStore::new();
    let new = NewClip::new(&camera("door"), minutes(0, 1));
    assert_eq!(kind_of(t.store.append(new, Bytes::new())), ErrorKind::InvalidInput);
    assert!(t.listed(&camera("door")).is_empty());
}

#[test]
fn a_finished_clip_without_an_end_is_refused() {
    let t = TestStore::new();
    let new = NewClip::starting(&camera("door"), at(0));
    assert_eq!(kind_of(t.store.append(new, marked("a", 10))), ErrorKind::InvalidInput);
}

#[test]
fn clips_longer_than_the_cap_are_refused() {
    let t = TestStore::with(|options| options.clip_duration_max(10 * MINUTE));
    let new = |to| NewClip::new(&camera("door"), minutes(0, to));
    assert_eq!(kind_of(t.store.append(new(11), marked("a", 10))), ErrorKind::InvalidInput);
    t.store.append(new(10), marked("a", 10)).unwrap();
}

#[test]
fn clips_above_4_gib_are_refused_before_anything_is_written() {
    let t = TestStore::new();
    // Zeroed memory of this size is promised by the system and never touched.
    let huge = Bytes::from(vec![0; (4 << 30) + 1]);
    let written = t.disk.stats().bytes_written;
    let new = NewClip::new(&camera("door"), minutes(0, 1));
    assert_eq!(kind_of(t.store.append(new, huge)), ErrorKind::InvalidInput);
    assert_eq!(t.disk.stats().bytes_written, written);
}

/// A store in which a clip of minute 10 was stored half when the disk had no more room.
fn cut_off(before: impl FnOnce(&TestStore)) -> TestStore {
    let t = TestStore::new();
    t.sized_clip("door", 0, "first", 3_000_000);
    t.sweep();
    before(&t);
    t.disk.fail_from(SimOp::Create, 1, std::io::ErrorKind::StorageFull);
    let new = NewClip::new(&camera("door"), minutes(10, 11));
    assert_eq!(kind_of(t.store.append(new, marked("cut", 9_000_000))), ErrorKind::Full);
    t.disk.clear_faults();
    t
}

#[test]
fn of_a_clip_that_runs_out_of_room_halfway_nothing_is_left() {
    let t = cut_off(|_| ());
    assert_eq!(t.listed(&camera("door")).len(), 1);
    t.store.seal().unwrap();
    t.sweep();
    assert_eq!(t.files_with("cut"), [""; 0]);
    assert_eq!(t.reopen().listed(&camera("door")).len(), 1);
}

#[test]
fn a_hold_keeps_nothing_of_a_clip_that_was_never_stored() {
    let t = cut_off(|t| {
        t.keep("door", minutes(10, 11));
    });
    let half = t.store.clips(&camera("door"), minutes(10, 12)).unwrap();
    assert_eq!(half.count(), 0);
    t.store.seal().unwrap();
    t.sweep();
    assert_eq!(t.files_with("cut"), [""; 0]);
}

#[test]
fn a_clip_that_runs_out_of_room_halfway_does_not_hold_back_its_class() {
    let t = cut_off(|_| ());
    t.store.seal().unwrap();
    t.pass(10 * DAY);
    t.sweep();
    assert!(t.listed(&camera("door")).is_empty());
}

#[test]
fn cameras_of_any_allowed_name_and_no_other_are_recorded() {
    let t = TestStore::new();
    let long = "x".repeat(clipkeep::CAMERA_ID_BYTES_MAX);
    t.clip(&long, 0, "a");
    assert_eq!(t.store.cameras(), [camera(&long)]);
    for name in ["", "a/b", "a b", &"x".repeat(clipkeep::CAMERA_ID_BYTES_MAX + 1)] {
        assert_eq!(kind_of(name.parse::<CameraId>()), ErrorKind::InvalidInput, "{name:?}");
    }
}

#[test]
fn removed_cameras_record_nothing_until_they_are_added_again() {
    let t = TestStore::new();
    t.clip("door", 0, "a");
    t.store.remove_camera(&camera("door")).unwrap();
    let new = || NewClip::new(&camera("door"), minutes(1, 2));
    assert_eq!(kind_of(t.store.append(new(), marked("a", 10))), ErrorKind::NotFound);
    t.store.add_camera(&camera("door")).unwrap();
    t.store.append(new(), marked("a", 10)).unwrap();
}

#[test]
fn grouped_clips_are_durable_when_append_returns() {
    let t = TestStore::with(|options| options.durability(Durability::Grouped(HOUR)));
    let clip = t.clip("door", 10, "a");
    let options = t.options.clone().vfs(t.disk.crash());
    drop(t.store);
    let store = options.open("store").unwrap();
    assert_eq!(store.read(clip.id()).unwrap().to_vec().unwrap(), marked("a", 20_000));
}

#[test]
fn grouped_fragments_become_durable_within_the_interval() {
    let t = TestStore::with(|options| {
        options.durability(Durability::Grouped(Duration::from_millis(5)))
    });
    let mut recorder = t.store.record(NewClip::starting(&camera("door"), at(0))).unwrap();
    recorder.write(marked("a", 1000), MINUTE).unwrap();
    let gave_up = std::iter::repeat_with(thread::yield_now).take(50_000_000);
    for () in gave_up {
        if !recorder.clips().is_empty() {
            return;
        }
    }
    panic!("the committer wrote nothing");
}

#[test]
fn buffered_clips_are_readable_at_once_and_durable_after_sync() {
    let t = TestStore::with(|options| options.durability(Durability::Buffered));
    let clip = t.clip("door", 10, "a");
    assert!(t.reads_as(&clip, "a"));
    t.store.sync().unwrap();
    let options = t.options.clone().vfs(t.disk.crash());
    drop(t.store);
    let store = options.open("store").unwrap();
    assert_eq!(store.read(clip.id()).unwrap().to_vec().unwrap(), marked("a", 20_000));
}

#[test]
fn buffered_clips_cost_no_sync() {
    let t = TestStore::with(|options| options.durability(Durability::Buffered));
    t.clip("door", 0, "a");
    let before = t.disk.stats().syncs;
    for minute in 1..20 {
        t.clip("door", minute, "a");
    }
    assert_eq!(t.disk.stats().syncs, before);
}

#[test]
fn segments_roll_when_they_are_full() {
    let t = TestStore::new();
    for minute in 0..9 {
        t.sized_clip("door", minute, "a", 1_300_000);
    }
    assert_eq!(t.store.segments().len(), 3);
    assert!(t.store.stats().unwrap().file_bytes >= 3 * SEGMENT_BYTES);
}

#[test]
fn segments_roll_with_the_sweep_when_they_are_old() {
    let t = TestStore::with(|options| options.segment_age(HOUR));
    t.clip("door", 0, "a");
    t.pass(HOUR - MINUTE);
    t.sweep();
    assert_eq!(t.store.stats().unwrap().segments_sealed, 0);
    t.pass(MINUTE);
    t.sweep();
    assert_eq!(t.store.stats().unwrap().segments_sealed, 1);
    t.clip("door", 1, "b");
    assert_eq!(t.store.segments().len(), 2);
}

#[test]
fn a_retention_of_its_own_gives_a_camera_segments_of_its_own() {
    let t = TestStore::new();
    let short = Retention::days(1, 2).unwrap();
    t.store.set_retention(Some(&camera("yard")), short, PolicyScope::NewClips).unwrap();
    let door = t.clip("door", 0, "door");
    let yard = t.clip("yard", 0, "yard");
    t.store.seal().unwrap();
    assert_ne!(door.class(), yard.class());
    assert_ne!(t.files_with("door"), t.files_with("yard"));
    t.pass(2 * DAY);
    t.sweep();
    t.assert_gone(&yard);
    assert!(t.reads_as(&door, "door"));
    assert_eq!(t.reopen().store.retention(Some(&camera("yard"))), short);
}

#[test]
fn many_cameras_record_into_one_segment_at_the_same_time() {
    let t = TestStore::with(|options| options.segment_bytes(4 * SEGMENT_BYTES));
    let t = Arc::new(t);
    let fragments = |camera: u64| (0..12).map(move |n| noise(camera * 100 + n, 4000));
    let recorded: Vec<_> = (0..32)
        .map(|number| {
            let t = Arc::clone(&t);
            thread::spawn(move || {
                let camera = camera(&format!("camera-{number}"));
                let mut recorder = t.store.record(NewClip::starting(&camera, at(0))).unwrap();
                for fragment in fragments(number) {
                    recorder.write(fragment, Duration::from_secs(2)).unwrap();
                }
                (number, recorder.finish().unwrap())
            })
        })
        .map(|thread| thread.join().unwrap())
        .collect();
    let check = |t: &TestStore| {
        for (number, clip) in &recorded {
            let bytes: Vec<u8> = fragments(*number).flatten().collect();
            assert!(t.store.read(clip.id()).unwrap().to_vec().unwrap() == bytes);
            assert_eq!(clip.digest(), blake3::hash(&bytes).as_bytes());
            let end = at(0).saturating_add(Duration::from_secs(24));
            assert_eq!(clip.window(), Window::new(at(0), end).unwrap());
        }
    };
    check(&t);
    assert_eq!(t.store.segments().len(), 1);
    check(&Arc::into_inner(t).unwrap().reopen());
}

#[test]
fn a_segment_is_sealed_by_age_also_where_nobody_sweeps() {
    let t = TestStore::with(|options| options.segment_age(HOUR));
    let first = t.clip("door", 0, "a");
    t.pass(HOUR - MINUTE);
    t.clip("door", 1, "b");
    assert_eq!(t.store.segments().len(), 1);
    t.pass(MINUTE);
    let later = t.clip("door", 2, "c");
    let segments = t.store.segments();
    let sealed = segments.iter().map(|id| t.store.inspect_segment(*id).unwrap().sealed);
    assert_eq!(sealed.collect::<Vec<_>>(), [true, false]);
    assert!(t.reads_as(&first, "a") && t.reads_as(&later, "c"));
}
