//! Every way to delete something, tried on what is held.

use std::sync::Barrier;
use std::thread;

use clipkeep::{
    Clip, ErrorKind, HoldCause, NewClip, NewHold, PolicyScope, Release, ReleaseCause, Retention,
    WhenFull, Window,
};

use crate::store_kit::{
    DAY, MINUTE, SEGMENT_BYTES, TestStore, at, camera, kind_of, marked, minutes,
};

/// A held clip and a free one in a segment of their own, both overdue.
fn overdue() -> (TestStore, Clip, Clip) {
    let t = TestStore::new();
    let held = t.clip("door", 10, "held");
    let free = t.sealed_clip("door", 20, "free");
    t.keep("door", minutes(10, 11));
    t.pass(11 * DAY);
    (t, held, free)
}

// HOLDS 2, rule 3
#[test]
fn bypass_by_sweeping_again_and_again() {
    let (t, held, free) = overdue();
    for _ in 0..5 {
        t.sweep();
        t.pass(DAY);
    }
    assert!(t.reads_as(&held, "held"));
    t.assert_gone(&free);
}

// HOLDS 2, rule 3
#[test]
fn bypass_by_reopening_again_and_again() {
    let (mut t, held, _) = overdue();
    for _ in 0..3 {
        t = t.reopen();
        t.sweep();
    }
    assert!(t.reads_as(&held, "held"));
}

// HOLDS 2, rule 3
#[test]
fn bypass_by_shortening_the_retention_of_existing_clips() {
    let t = TestStore::new();
    let held = t.clip("door", 10, "held");
    let free = t.sealed_clip("door", 20, "free");
    t.keep("door", minutes(10, 11));
    t.pass(DAY);
    let hour = Retention::new(MINUTE, MINUTE).unwrap();
    t.store.set_retention(None, hour, PolicyScope::ExistingToo).unwrap();
    t.sweep();
    assert!(t.reads_as(&held, "held"));
    t.assert_gone(&free);
}

// HOLDS 2, rule 3
#[test]
fn bypass_by_deleting_the_clip() {
    let (t, held, _) = overdue();
    let position = t.position();
    assert_eq!(kind_of(t.store.delete_clip(held.id(), "owner", "")), ErrorKind::Held);
    assert_eq!(t.position(), position);
    assert!(t.reads_as(&held, "held"));
}

// HOLDS 2, rule 3
#[test]
fn bypass_by_erasing_what_an_order_covers() {
    let t = TestStore::new();
    let clip = t.sealed_clip("door", 10, "a");
    t.hold(HoldCause::Order, "door", minutes(0, 20));
    t.hold(HoldCause::Request, "door", minutes(0, 20));
    assert_eq!(kind_of(t.store.erase_clip(clip.id(), "owner", "")), ErrorKind::Held);
    assert!(t.reads_as(&clip, "a"));
}

// HOLDS 2, rule 3
#[test]
fn bypass_by_erasing_in_the_written_grace_of_an_order() {
    let t = TestStore::new();
    let clip = t.sealed_clip("door", 10, "a");
    let order = crate::store_kit::new_hold(HoldCause::Order, "door", minutes(0, 20)).grace(DAY);
    let id = t.store.place_hold(order).unwrap().id;
    let release = Release::new(ReleaseCause::Ended, "ann").second_actor("bob");
    t.store.release_hold(id, &release).unwrap();
    assert_eq!(kind_of(t.store.erase_clip(clip.id(), "owner", "")), ErrorKind::Held);
}

// HOLDS 2, rule 3
#[test]
fn bypass_by_one_person_releasing_an_order() {
    let t = TestStore::new();
    t.clip("door", 10, "a");
    let id = t.hold(HoldCause::Order, "door", minutes(0, 20));
    let alone = Release::new(ReleaseCause::Ended, "ann");
    let same = alone.clone().second_actor("ANN ");
    let denied = Release::new(ReleaseCause::Denied, "ann").second_actor("bob");
    for release in [alone, same, denied] {
        assert_eq!(kind_of(t.store.release_hold(id, &release)), ErrorKind::InvalidInput);
    }
    assert!(t.store.hold(id).unwrap().protects());
}

// HOLDS 2, rule 3
#[test]
fn bypass_by_removing_the_camera_and_adding_it_again() {
    let (t, held, free) = overdue();
    t.store.remove_camera(&camera("door")).unwrap();
    t.sweep();
    t.store.add_camera(&camera("door")).unwrap();
    t.sweep();
    assert!(t.reads_as(&held, "held"));
    t.assert_gone(&free);
}

// HOLDS 2, rules 3 and 14
#[test]
fn bypass_by_filling_the_quota() {
    let t = TestStore::with(|options| options.quota(4 * SEGMENT_BYTES));
    let held = t.sized_clip("door", 10, "held", 3_000_000);
    t.keep("door", minutes(10, 11));
    for n in 0..20 {
        t.sized_clip("door", 100 + n, "filler", 3_000_000);
    }
    assert!(t.reads_as(&held, "held"));
    assert!(t.reopen().reads_as(&held, "held"));
}

// HOLDS 2, rules 3 and 14
#[test]
fn bypass_by_filling_the_disk() {
    let t = TestStore::with(|options| options.when_full(WhenFull::DropOldest));
    let held = t.sized_clip("door", 10, "held", 3_000_000);
    t.keep("door", minutes(10, 11));
    t.sweep();
    let used = 8 * SEGMENT_BYTES;
    t.disk.set_capacity(used + 5 * SEGMENT_BYTES);
    let window = Window::starting(at(100), MINUTE).unwrap();
    for _ in 0..40 {
        let new = NewClip::new(&camera("door"), window);
        drop(t.store.append(new, marked("filler", 3_000_000)));
        t.store.sweep().unwrap();
    }
    assert!(t.reads_as(&held, "held"));
    assert!(t.reopen().reads_as(&held, "held"));
}

// HOLDS 2, rule 3
#[test]
fn erasing_ends_request_holds_on_this_clip_alone() {
    let t = TestStore::new();
    let denied = t.clip("door", 10, "denied");
    let other = t.sealed_clip("door", 12, "other");
    let hold = t.hold(HoldCause::Request, "door", minutes(0, 20));
    t.store.erase_clip(denied.id(), "owner", "not mine to give").unwrap();
    t.assert_gone(&denied);
    assert_eq!(t.files_with("denied"), [""; 0]);
    assert!(t.store.hold(hold).unwrap().protects());
    t.pass(DAY - MINUTE);
    let t = t.reopen();
    t.assert_gone(&denied);
    assert!(t.reads_as(&other, "other"));
    let entry = t.ledger().into_iter().find(|line| line.kind == "clip-deleted").unwrap();
    assert!(entry.text.contains("not mine to give"), "{}", entry.text);
}

// HOLDS 2, rule 4
#[test]
fn bulk_delete_answers_for_each_clip_and_skips_none() {
    let t = TestStore::new();
    let (free, held) = (t.clip("door", 10, "free"), t.clip("door", 20, "held"));
    let (expired, last) = (t.clip("yard", 10, "expired"), t.sealed_clip("door", 30, "last"));
    t.keep("door", minutes(20, 21));
    t.store.delete_clip(expired.id(), "owner", "").unwrap();
    let ids = [free.id(), held.id(), expired.id(), last.id()];
    let outcomes = t.store.delete_clips(&ids, "owner", "cleaning up");
    let kinds: Vec<_> =
        outcomes.into_iter().map(|(id, outcome)| (id, outcome.err().map(|e| e.kind()))).collect();
    let expected = [
        (free.id(), None),
        (held.id(), Some(ErrorKind::Held)),
        (expired.id(), Some(ErrorKind::Expired)),
        (last.id(), None),
    ];
    assert_eq!(kinds, expected);
    t.assert_gone(&free);
    t.assert_gone(&last);
    assert!(t.reads_as(&held, "held"));
}

// HOLDS 2, rule 7
#[test]
fn racing_a_hold_is_before_the_sweep_or_told_that_it_missed() {
    for _ in 0..40 {
        let t = TestStore::new();
        let clip = t.sealed_clip("door", 10, "a");
        t.pass(11 * DAY);
        let together = Barrier::new(2);
        let receipt = thread::scope(|scope| {
            let sweep = scope.spawn(|| {
                together.wait();
                t.store.sweep().unwrap();
            });
            together.wait();
            let hold = NewHold::new([camera("door")], minutes(10, 11));
            let receipt = t.store.place_hold(hold).unwrap();
            sweep.join().unwrap();
            receipt
        });
        t.sweep();
        if receipt.clips == 1 {
            assert!(t.reads_as(&clip, "a"), "promised and lost");
        } else {
            t.assert_gone(&clip);
            assert_eq!(receipt.missed.len(), 1);
        }
    }
}

// HOLDS 2, rule 14
#[test]
fn full_store_gives_up_due_then_between_then_promised_clips_and_never_held_ones() {
    let t = TestStore::with(|options| options.quota(6 * SEGMENT_BYTES));
    let fill = |minute, marker| t.sized_clip("door", minute, marker, 3_900_000);
    let held = fill(1, "held");
    t.keep("door", minutes(1, 2));
    let due = fill(2, "due");
    t.pass(4 * DAY);
    let between = fill(3, "between");
    t.pass(6 * DAY);
    let promised = fill(4, "promised");
    let promised_too = fill(5, "promised-too");
    // One more segment than the quota has: what is due goes first.
    let next = fill(6, "next");
    let newest = fill(7, "newest");
    t.assert_gone(&due);
    assert!(t.reads_as(&between, "between"));
    fill(8, "one-more");
    t.assert_gone(&between);
    assert!(t.reads_as(&promised, "promised"));
    assert_eq!(t.store.stats().unwrap().promise_broken_clips, 0);
    fill(9, "and-more");
    t.assert_gone(&promised);
    assert!(t.reads_as(&promised_too, "promised-too"));
    assert!(t.reads_as(&next, "next") && t.reads_as(&newest, "newest"));
    assert!(t.reads_as(&held, "held"));
    assert_eq!(t.store.stats().unwrap().promise_broken_clips, 1);
    let early = t.ledger().into_iter().filter(|line| line.text.contains("early")).count();
    assert_eq!(early, 1);
}

// HOLDS 2, rule 14
#[test]
fn full_store_that_keeps_its_promise_refuses_new_footage() {
    let t = TestStore::with(|options| options.quota(3 * SEGMENT_BYTES).when_full(WhenFull::Refuse));
    let kept: Vec<_> = (0..3).map(|n| t.sized_clip("door", n, "kept", 3_900_000)).collect();
    let new = || NewClip::new(&camera("door"), minutes(50, 51));
    assert_eq!(kind_of(t.store.append(new(), marked("new", 3_900_000))), ErrorKind::Full);
    assert!(kept.iter().all(|clip| t.reads_as(clip, "kept")));
    t.pass(6 * DAY);
    t.store.append(new(), marked("new", 3_900_000)).unwrap();
    t.assert_gone(&kept[0]);
}

// HOLDS 2, rule 14
#[test]
fn full_store_of_held_clips_stops_recording_and_still_takes_holds() {
    let t = TestStore::with(|options| options.quota(3 * SEGMENT_BYTES));
    let held: Vec<_> = (0..3).map(|n| t.sized_clip("door", n, "held", 3_900_000)).collect();
    let hold = t.keep("door", minutes(0, 10));
    let new = NewClip::new(&camera("door"), minutes(50, 51));
    let error = t.store.append(new.clone(), marked("new", 3_900_000)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full);
    assert!(held.iter().all(|clip| t.reads_as(clip, "held")));
    t.hold(HoldCause::Request, "door", minutes(0, 1));
    t.release_keep(hold);
    t.store.append(new, marked("new", 3_900_000)).unwrap();
    assert!(t.reads_as(&held[0], "held"), "the request still holds it");
    t.assert_gone(&held[1]);
}

#[test]
fn whoever_looks_through_the_ledger_may_use_the_store() {
    let t = TestStore::new();
    t.clip("door", 10, "a");
    let before = t.position();
    let mut lines = 0;
    t.store
        .inspect_ledger(0, &mut |_| {
            lines += 1;
            t.keep("door", minutes(10, 11));
            true
        })
        .unwrap();
    assert_eq!((lines, t.position()), (before, 2 * before));
}
