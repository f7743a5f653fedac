//! Recording by fragment.

use std::time::Duration;

use bytes::Bytes;
use clipkeep::{Clip, ClipState, ErrorKind, Media, NewClip, Recorder};

use crate::store_kit::{
    DAY, MINUTE, SEGMENT_BYTES, TestStore, at, camera, kind_of, minutes, noise,
};

const SECOND: Duration = Duration::from_secs(1);

fn recorder(t: &TestStore) -> Recorder {
    let new = NewClip::starting(&camera("door"), at(0)).media(Media::FragmentedMp4);
    t.store.record(new.init(&b"init-one;"[..])).unwrap()
}

fn bytes(t: &TestStore, clip: &Clip) -> Vec<u8> {
    t.store.read(clip.id()).unwrap().to_vec().unwrap()
}

fn clips(t: &TestStore) -> Vec<Clip> {
    t.store.clips(&camera("door"), minutes(0, 2880)).unwrap().collect()
}

#[test]
fn fragments_are_readable_and_durable_as_they_come() {
    let t = TestStore::new();
    let mut recorder = recorder(&t);
    assert!(recorder.clips().is_empty());
    recorder.write(&b"one;"[..], SECOND).unwrap();
    recorder.write(&b"two;"[..], SECOND).unwrap();
    assert_eq!(recorder.position(), at(0).saturating_add(2 * SECOND));
    let [clip] = &clips(&t)[..] else { panic!("one clip") };
    assert_eq!(recorder.clips(), [clip.id()]);
    assert_eq!(
        (clip.state(), bytes(&t, clip)),
        (ClipState::Recording, b"init-one;one;two;".into())
    );
    let store = t.options.clone().vfs(t.disk.crash()).open("store").unwrap();
    let cut = store.clip(clip.id()).unwrap();
    assert_eq!((cut.state(), cut.window()), (ClipState::Truncated, clip.window()));
    assert_eq!(store.read(clip.id()).unwrap().to_vec().unwrap(), b"init-one;one;two;");
    assert_eq!(store.opening().clips_truncated, 1);
}

#[test]
fn a_list_says_what_was_recording_when_it_was_made() {
    let t = TestStore::new();
    let mut recorder = recorder(&t);
    recorder.write(&b"one;"[..], SECOND).unwrap();
    let listed = t.store.clips(&camera("door"), minutes(0, 2880)).unwrap();
    recorder.write(&b"two;"[..], SECOND).unwrap();
    recorder.finish().unwrap();
    let [clip] = &listed.collect::<Vec<_>>()[..] else { panic!("one clip") };
    assert_eq!((clip.state(), clip.len()), (ClipState::Recording, 13));
    assert_eq!((clips(&t)[0].state(), clips(&t)[0].len()), (ClipState::Complete, 17));
}

#[test]
fn the_record_that_only_ends_a_clip_is_no_fragment() {
    const MIB: usize = 1 << 20;
    let t = TestStore::new();
    let mut recorder = recorder(&t);
    for len in [5, MIB, 3, 4, MIB + MIB / 2] {
        recorder.write(noise(1, len), SECOND).unwrap();
    }
    assert_eq!(clips(&t)[0].fragments(), 6, "while it is recorded");
    // One a write, and the last is longer than 1 MiB.
    let ended = recorder.finish().unwrap();
    let cut = {
        let mut recorder = self::recorder(&t);
        recorder.write(&b"cut off"[..], SECOND).unwrap();
        recorder.clips()[0]
    };
    // Here the last record has bytes.
    let whole = t.clip("yard", 10, "whole");
    let held = t.keep("door", minutes(0, 1));
    let counted = |t: &TestStore| {
        [ended.id(), cut, whole.id()].map(|id| t.store.clip(id).map(|clip| clip.fragments()).ok())
    };
    assert_eq!((ended.fragments(), whole.fragments()), (6, 1));
    assert_eq!(counted(&t), [Some(6), Some(1), Some(1)], "in an open segment");
    t.store.seal().unwrap();
    assert_eq!(counted(&t), [Some(6), Some(1), Some(1)], "in a sealed one");
    t.pass(11 * DAY);
    t.sweep();
    assert!(t.store.hold(held).unwrap().protects());
    assert_eq!(counted(&t.reopen()), [Some(6), Some(1), None], "moved");
}

#[test]
fn a_recording_longer_than_the_cap_goes_on_as_another_clip_with_its_init() {
    let t = TestStore::with(|options| options.clip_duration_max(10 * SECOND));
    let mut recorder = recorder(&t);
    for n in 0_u8..25 {
        recorder.write(vec![b'a' + n], SECOND).unwrap();
    }
    let last = recorder.finish().unwrap();
    let all = clips(&t);
    let texts: Vec<_> =
        all.iter().map(|clip| String::from_utf8(bytes(&t, clip)).unwrap()).collect();
    assert_eq!(texts, ["init-one;abcdefghij", "init-one;klmnopqrst", "init-one;uvwxy"]);
    assert_eq!(all[2], last);
    let ends: Vec<_> = all.iter().map(|clip| clip.window().end()).collect();
    let at_second = |seconds: u32| at(0).saturating_add(SECOND * seconds);
    assert_eq!(ends, [at_second(10), at_second(20), at_second(25)]);
    assert!(all.iter().all(|clip| clip.state() == ClipState::Complete));
}

#[test]
fn new_init_bytes_begin_another_clip() {
    let t = TestStore::new();
    let mut recorder = recorder(&t);
    recorder.write(&b"one;"[..], SECOND).unwrap();
    recorder.set_init(&b"init-two;"[..]).unwrap();
    recorder.write(&b"two;"[..], SECOND).unwrap();
    recorder.finish().unwrap();
    let all: Vec<_> = clips(&t).iter().map(|clip| bytes(&t, clip)).collect();
    assert_eq!(all, [b"init-one;one;".to_vec(), b"init-two;two;".to_vec()]);
}

#[test]
fn a_gap_begins_another_clip() {
    let t = TestStore::new();
    let mut recorder = recorder(&t);
    recorder.write(&b"one;"[..], MINUTE).unwrap();
    recorder.restart_at(at(30)).unwrap();
    recorder.write(&b"two;"[..], MINUTE).unwrap();
    recorder.finish().unwrap();
    let windows: Vec<_> = clips(&t).iter().map(Clip::window).collect();
    assert_eq!(windows, [minutes(0, 1), minutes(30, 31)]);
}

#[test]
fn a_dropped_recording_is_a_truncated_clip_that_can_be_read() {
    let t = TestStore::new();
    let mut recorder = recorder(&t);
    recorder.write(&b"one;"[..], SECOND).unwrap();
    drop(recorder);
    let [clip] = &clips(&t)[..] else { panic!("one clip") };
    assert_eq!((clip.state(), bytes(&t, clip)), (ClipState::Truncated, b"init-one;one;".into()));
    let id = clip.id();
    let t = t.reopen();
    assert_eq!(t.store.clip(id).unwrap().state(), ClipState::Truncated);
}

#[test]
fn a_recording_without_fragments_stores_nothing() {
    let t = TestStore::new();
    assert_eq!(kind_of(recorder(&t).finish()), ErrorKind::InvalidInput);
    drop(recorder(&t));
    assert!(clips(&t).is_empty());
}

#[test]
fn a_refused_fragment_leaves_the_recording_as_it_was() {
    let t = TestStore::with(|options| options.clip_duration_max(MINUTE));
    let mut recorder = recorder(&t);
    recorder.write(&b"one;"[..], SECOND).unwrap();
    // Zeroed memory that is never touched.
    let large = Bytes::from(vec![0; (64 << 20) + 1]);
    assert_eq!(kind_of(recorder.write(Bytes::new(), SECOND)), ErrorKind::InvalidInput);
    assert_eq!(kind_of(recorder.write(large, SECOND)), ErrorKind::InvalidInput);
    assert_eq!(kind_of(recorder.write(&b"x"[..], MINUTE + SECOND)), ErrorKind::InvalidInput);
    recorder.write(&b"two;"[..], SECOND).unwrap();
    let clip = recorder.finish().unwrap();
    assert_eq!(bytes(&t, &clip), b"init-one;one;two;");
}

#[test]
fn init_bytes_that_fit_no_record_are_refused() {
    let t = TestStore::new();
    let new = || NewClip::starting(&camera("door"), at(0));
    assert_eq!(kind_of(t.store.record(new().init(Bytes::new()))), ErrorKind::InvalidInput);
    let long = vec![0; (1 << 20) + 1];
    assert_eq!(kind_of(t.store.record(new().init(long.clone()))), ErrorKind::InvalidInput);
    let mut recorder = recorder(&t);
    assert_eq!(kind_of(recorder.set_init(long)), ErrorKind::InvalidInput);
    recorder.write(&b"one;"[..], SECOND).unwrap();
    recorder.finish().unwrap();
}

#[test]
fn a_recording_that_outgrows_its_segment_stays_one_clip() {
    let t = TestStore::new();
    let mut recorder = recorder(&t);
    let mut whole = b"init-one;".to_vec();
    for n in 0..12 {
        let fragment = noise(n, 900_000);
        whole.extend_from_slice(&fragment);
        recorder.write(fragment, SECOND).unwrap();
    }
    let clip = recorder.finish().unwrap();
    assert!(t.store.segments().len() > 2);
    assert_eq!(clip.window().duration(), 12 * SECOND);
    assert_eq!(clip.digest(), blake3::hash(&whole).as_bytes());
    assert!(bytes(&t, &clip) == whole);
    let t = t.reopen();
    assert!(bytes(&t, &clip) == whole);
    assert_eq!(clips(&t), [clip]);
}

#[test]
fn a_fragment_larger_than_a_segment_is_taken() {
    let t = TestStore::new();
    let mut recorder = recorder(&t);
    let len = usize::try_from(2 * SEGMENT_BYTES).unwrap();
    recorder.write(noise(1, len), SECOND).unwrap();
    let clip = recorder.finish().unwrap();
    assert!(bytes(&t, &clip)[9..] == noise(1, len));
}

#[test]
fn a_recording_goes_on_in_its_segment_after_reopening() {
    let t = TestStore::new();
    let first = t.clip("door", 100, "first");
    let t = t.reopen();
    let second = t.clip("door", 101, "second");
    assert_eq!(t.store.segments().len(), 1);
    assert!(t.reads_as(&first, "first") && t.reads_as(&second, "second"));
}
