//! Finding clips by camera and window.

use std::time::Duration;

use clipkeep::{Clip, ClipId, NewClip, Timestamp, Window};
use proptest::prelude::*;

use crate::store_kit::{DAY, MINUTE, TestStore, at, camera, kind_of, marked, minutes};

fn found(t: &TestStore, window: Window) -> Vec<ClipId> {
    t.store.clips(&camera("door"), window).unwrap().map(|clip| clip.id()).collect()
}

fn ids(clips: &[&Clip]) -> Vec<ClipId> {
    clips.iter().map(|clip| clip.id()).collect()
}

#[test]
fn ids_that_were_never_given_are_not_found() {
    let t = TestStore::new();
    let clip = t.clip("door", 10, "a");
    assert_eq!(clip.id().to_string(), "1-0");
    for never in ["0-0", "1-1", "2-0"] {
        let never: ClipId = never.parse().unwrap();
        assert_eq!(kind_of(t.store.clip(never)), clipkeep::ErrorKind::NotFound, "{never}");
    }
}

#[test]
fn windows_are_half_open_on_both_sides() {
    let t = TestStore::new();
    let new = NewClip::new(&camera("door"), minutes(10, 20));
    let clip = t.store.append(new, marked("a", 10)).unwrap();
    let us = Duration::from_micros(1);
    let window = |start, end| Window::new(start, end).unwrap();
    let meets = |window| found(&t, window) == [clip.id()];
    assert!(!meets(window(at(0), at(10))));
    assert!(meets(window(at(0), at(10).saturating_add(us))));
    assert!(meets(window(at(20).saturating_sub(us), at(30))));
    assert!(!meets(window(at(20), at(30))));
    assert!(meets(window(at(15), at(15).saturating_add(us))));
    assert!(meets(window(Timestamp::MIN, Timestamp::MAX)));
}

#[test]
fn lists_are_double_ended_and_know_their_length() {
    let t = TestStore::new();
    let all: Vec<_> = (0..6).map(|n| t.clip("door", n, "a").id()).collect();
    let mut list = t.store.clips(&camera("door"), minutes(0, 60)).unwrap();
    assert_eq!(list.len(), 6);
    assert_eq!(list.next().unwrap().id(), all[0]);
    assert_eq!(list.next_back().unwrap().id(), all[5]);
    assert_eq!(list.len(), 4);
    let rest: Vec<_> = list.by_ref().rev().map(|clip| clip.id()).collect();
    assert_eq!(rest, [all[4], all[3], all[2], all[1]]);
    assert!(list.next().is_none() && list.next_back().is_none());
}

#[test]
fn a_list_is_a_snapshot() {
    let t = TestStore::new();
    let first = t.sealed_clip("door", 10, "a");
    let list = t.store.clips(&camera("door"), minutes(0, 60)).unwrap();
    t.clip("door", 20, "b");
    t.pass(11 * DAY);
    t.sweep();
    t.assert_gone(&first);
    let listed: Vec<_> = list.map(|clip| clip.id()).collect();
    assert_eq!(listed, [first.id()]);
}

#[test]
fn clips_that_arrive_out_of_order_are_listed_by_their_start() {
    let t = TestStore::new();
    let late = t.sealed_clip("door", 30, "a");
    let early = t.sealed_clip("door", 10, "b");
    let middle = t.clip("door", 20, "c");
    let order = ids(&[&early, &middle, &late]);
    assert_eq!(found(&t, minutes(0, 60)), order);
    assert_eq!(found(&t.reopen(), minutes(0, 60)), order);
}

#[test]
fn clips_with_the_same_start_are_each_found_once() {
    let t = TestStore::new();
    let same = [t.clip("door", 10, "a"), t.clip("door", 10, "b"), t.sealed_clip("door", 10, "c")];
    let other = t.clip("door", 10, "d");
    let all = ids(&[&same[0], &same[1], &same[2], &other]);
    assert_eq!(found(&t, minutes(0, 60)), all);
    assert_eq!(t.store.stats().unwrap().clips, 4);
    let t = t.reopen();
    assert_eq!(found(&t, minutes(0, 60)), all);
    assert!(t.reads_as(&same[1], "b"));
}

#[test]
fn a_clip_over_several_segments_is_found_once_wherever_the_window_meets_it() {
    let t = TestStore::with(|options| options.clip_duration_max(60 * MINUTE));
    let mut recorder = t.store.record(NewClip::starting(&camera("door"), at(0))).unwrap();
    for _ in 0..10 {
        recorder.write(marked("a", 1_000_000), 5 * MINUTE).unwrap();
    }
    let clip = recorder.finish().unwrap();
    assert!(t.store.segments().len() >= 3);
    for minute in [0, 10, 25, 40, 49] {
        assert_eq!(found(&t, minutes(minute, minute + 1)), [clip.id()], "minute {minute}");
    }
    assert!(found(&t, minutes(50, 60)).is_empty());
}

#[test]
fn clips_longer_than_a_lowered_cap_are_still_found_and_held() {
    let t = TestStore::with(|options| options.clip_duration_max(60 * MINUTE));
    let mut recorder = t.store.record(NewClip::starting(&camera("door"), at(0))).unwrap();
    for _ in 0..10 {
        recorder.write(marked("a", 1_000_000), 5 * MINUTE).unwrap();
    }
    let clip = recorder.finish().unwrap();
    let t = t.reopen_with(|options| options.clip_duration_max(MINUTE));
    assert_eq!(t.store.clip(clip.id()).unwrap(), clip);
    for minute in [0, 10, 25, 40, 49] {
        assert_eq!(found(&t, minutes(minute, minute + 1)), [clip.id()], "minute {minute}");
    }
    t.keep("door", minutes(48, 49));
    t.store.seal().unwrap();
    t.pass(11 * DAY);
    t.sweep();
    assert!(t.reads_as(&clip, "a") || t.store.read(clip.id()).unwrap().to_vec().is_ok());
}

#[test]
fn an_unknown_camera_has_no_clips() {
    let t = TestStore::new();
    t.clip("door", 0, "a");
    assert_eq!(t.store.clips(&camera("attic"), minutes(0, 60)).unwrap().len(), 0);
}

#[test]
fn cameras_do_not_see_each_others_clips() {
    let t = TestStore::new();
    let door = t.clip("door", 0, "a");
    t.clip("door-2", 0, "b");
    t.clip("doo", 0, "c");
    assert_eq!(found(&t, minutes(0, 60)), [door.id()]);
}

#[test]
fn an_id_that_was_never_given_is_not_found() {
    let t = TestStore::new();
    let given = t.clip("door", 0, "a").id();
    let other = TestStore::new();
    other.clip("door", 0, "a");
    for n in 0..3 {
        other.sized_clip("door", n, "a", 3_900_000);
    }
    let last = other.sized_clip("door", 9, "a", 10).id();
    assert_ne!(last, given);
    let error = t.store.clip(last).unwrap_err();
    assert_eq!(error.kind(), clipkeep::ErrorKind::NotFound);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Clips of random windows in random order, some sealed, queried before and after reopening.
    #[test]
    fn queries_answer_what_a_naive_list_answers(
        clips in prop::collection::vec((0_u32..500, 1_u32..10, 0_u32..8), 1..40),
        queries in prop::collection::vec((0_u32..510, 1_u32..60), 1..30),
    ) {
        let t = TestStore::new();
        let mut model = Vec::new();
        for (start, len, seal) in clips {
            let window = minutes(start, start + len);
            let new = NewClip::new(&camera("door"), window);
            model.push((window.start(), t.store.append(new, marked("a", 50)).unwrap()));
            if seal == 0 {
                t.store.seal().unwrap();
            }
        }
        model.sort_by_key(|(start, clip)| (*start, clip.id()));
        let expected = |query: Window| -> Vec<ClipId> {
            let meeting = model.iter().filter(|(_, clip)| clip.window().meets(&query));
            meeting.map(|(_, clip)| clip.id()).collect()
        };
        let queries: Vec<_> =
            queries.into_iter().map(|(start, len)| minutes(start, start + len)).collect();
        for query in &queries {
            prop_assert_eq!(found(&t, *query), expected(*query));
        }
        let t = t.reopen();
        for query in &queries {
            prop_assert_eq!(found(&t, *query), expected(*query));
        }
    }
}
