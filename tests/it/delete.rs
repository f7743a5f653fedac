//! The owner's delete, where no hold is concerned.

use clipkeep::{ErrorKind, MissedReason, NewClip, NewHold};

use crate::store_kit::{DAY, TestStore, at, camera, kind_of, marked, minutes};

#[test]
fn a_deleted_clip_is_gone_at_once_and_for_good() {
    let t = TestStore::new();
    let (clip, other) = (t.clip("door", 0, "deleted"), t.sealed_clip("door", 1, "other"));
    t.store.delete_clip(clip.id(), "owner", "mine").unwrap();
    t.assert_gone(&clip);
    assert_eq!(t.files_with("deleted"), [""; 0]);
    let t = t.reopen();
    t.assert_gone(&clip);
    assert!(t.reads_as(&other, "other"));
    assert_eq!(t.store.stats().unwrap().clips, 1);
}

#[test]
fn a_clip_deleted_from_an_open_segment_goes_when_that_is_sealed() {
    let t = TestStore::new();
    let (clip, other) = (t.clip("door", 0, "deleted"), t.clip("door", 1, "other"));
    t.store.delete_clip(clip.id(), "owner", "").unwrap();
    t.assert_gone(&clip);
    t.clip("door", 2, "more");
    t.pass(DAY);
    t.sweep();
    assert_eq!(t.files_with("deleted"), [""; 0]);
    assert!(t.reads_as(&other, "other"));
}

#[test]
fn a_clip_deleted_from_an_open_segment_goes_also_after_reopening() {
    let t = TestStore::new();
    let (clip, other) = (t.clip("door", 0, "deleted"), t.clip("door", 1, "other"));
    t.store.delete_clip(clip.id(), "owner", "").unwrap();
    let t = t.reopen();
    t.assert_gone(&clip);
    t.pass(DAY);
    t.sweep();
    assert_eq!(t.files_with("deleted"), [""; 0]);
    assert!(t.reads_as(&other, "other"));
}

#[test]
fn a_clip_over_several_segments_goes_from_all_of_them() {
    let t = TestStore::new();
    let clip = t.sized_clip("door", 0, "deleted", 9_000_000);
    let other = t.sealed_clip("door", 1, "other");
    t.store.delete_clip(clip.id(), "owner", "").unwrap();
    assert_eq!(t.files_with("deleted"), [""; 0]);
    assert!(t.reads_as(&other, "other"));
    t.assert_gone(&clip);
    let t = t.reopen();
    t.assert_gone(&clip);
    assert!(t.reads_as(&other, "other"));
}

#[test]
fn a_clip_being_recorded_cannot_be_deleted() {
    let t = TestStore::new();
    let mut recorder = t.store.record(NewClip::starting(&camera("door"), at(0))).unwrap();
    recorder.write(marked("a", 100), std::time::Duration::from_secs(1)).unwrap();
    let id = recorder.clips()[0];
    assert_eq!(kind_of(t.store.delete_clip(id, "owner", "")), ErrorKind::InvalidInput);
    recorder.finish().unwrap();
    t.store.delete_clip(id, "owner", "").unwrap();
}

#[test]
fn deleting_twice_says_that_it_is_gone() {
    let t = TestStore::new();
    let clip = t.sealed_clip("door", 0, "a");
    t.clip("door", 1, "b");
    t.store.delete_clip(clip.id(), "owner", "").unwrap();
    assert_eq!(kind_of(t.store.delete_clip(clip.id(), "owner", "")), ErrorKind::Expired);
    assert_eq!(kind_of(t.store.erase_clip(clip.id(), "owner", "")), ErrorKind::Expired);
}

#[test]
fn overlong_words_delete_nothing() {
    let t = TestStore::new();
    let clip = t.sealed_clip("door", 0, "a");
    let position = t.position();
    let long = "x".repeat(100_000);
    assert_eq!(kind_of(t.store.delete_clip(clip.id(), &long, "")), ErrorKind::InvalidInput);
    assert_eq!(kind_of(t.store.erase_clip(clip.id(), "o", &long)), ErrorKind::InvalidInput);
    assert_eq!(t.position(), position);
    assert!(t.reads_as(&clip, "a"));
}

#[test]
fn a_hold_on_a_deleted_clip_says_that_it_is_gone_and_only_there() {
    let t = TestStore::new();
    let clip = t.sealed_clip("door", 10, "a");
    t.store.delete_clip(clip.id(), "owner", "").unwrap();
    let t = t.reopen();
    let receipt = t.store.place_hold(NewHold::new([camera("door")], minutes(0, 20))).unwrap();
    let gone: Vec<_> = receipt
        .missed
        .iter()
        .filter(|missed| missed.reason == MissedReason::Expired)
        .map(|missed| missed.window)
        .collect();
    assert_eq!(gone, [clip.window()]);
}

#[test]
fn deleting_the_last_clip_of_a_segment_removes_its_file() {
    let t = TestStore::new();
    let clips = [t.clip("door", 0, "a"), t.sealed_clip("door", 1, "a")];
    for clip in &clips {
        t.store.delete_clip(clip.id(), "owner", "").unwrap();
    }
    assert!(t.segment_files().is_empty());
    let t = t.reopen();
    for clip in &clips {
        t.assert_gone(clip);
    }
    assert!(t.store.opening().problems.is_empty(), "{:?}", t.store.opening().problems);
}

#[test]
fn a_held_clip_in_an_evidence_segment_can_be_erased() {
    let t = TestStore::new();
    let clip = t.clip("door", 10, "held");
    t.sealed_clip("door", 20, "free");
    t.keep("door", minutes(10, 11));
    t.pass(11 * DAY);
    t.sweep();
    t.store.erase_clip(clip.id(), "owner", "").unwrap();
    t.assert_gone(&clip);
    assert_eq!(t.files_with("held"), [""; 0]);
    t.reopen().assert_gone(&clip);
}
