//! Holds: what they protect, until when, and what becomes of it afterwards.

use std::time::Duration;

use clipkeep::{
    ErrorKind, HoldCause, HoldState, NewClip, NewHold, Release, ReleaseCause, Timestamp, Window,
};

use crate::store_kit::{
    DAY, HOUR, MINUTE, SEGMENT_BYTES, TestStore, at, camera, kind_of, marked, minutes, new_hold,
};

// HOLDS 2, rule 1
#[test]
fn set_releasing_one_of_two_overlapping_holds_keeps_the_clip() {
    let t = TestStore::new();
    let clip = t.sealed_clip("door", 10, "a");
    let (first, second) = (t.keep("door", minutes(0, 20)), t.keep("door", minutes(10, 30)));
    t.pass(11 * DAY);
    t.release_keep(first);
    t.sweep();
    assert!(t.reads_as(&clip, "a"));
    t.release_keep(second);
    t.sweep();
    t.assert_gone(&clip);
    assert_eq!(t.files_with("a"), [""; 0]);
}

// HOLDS 2, rule 1
#[test]
fn set_the_same_scope_held_twice_is_two_holds() {
    let t = TestStore::new();
    let clip = t.sealed_clip("door", 10, "a");
    let (first, second) = (t.keep("door", minutes(0, 20)), t.keep("door", minutes(0, 20)));
    assert_ne!(first, second);
    t.release_keep(second);
    t.pass(11 * DAY);
    t.sweep();
    assert!(t.reads_as(&clip, "a"));
}

// HOLDS 2, rule 2
#[test]
fn clock_release_resumes_the_original_clock() {
    let t = TestStore::new();
    let clip = t.sealed_clip("door", 10, "a");
    let own_expiry = t.store.explain(clip.id()).unwrap().own_expiry;
    let hold = t.keep("door", minutes(0, 20));
    t.pass(9 * DAY);
    t.release_keep(hold);
    let explained = t.store.explain(clip.id()).unwrap();
    assert_eq!((explained.own_expiry, explained.effective_expiry), (own_expiry, own_expiry));
    t.pass(DAY - MINUTE);
    t.sweep();
    assert!(t.reads_as(&clip, "a"));
    t.pass(MINUTE);
    t.sweep();
    t.assert_gone(&clip);
}

// HOLDS 2, rule 2
#[test]
fn clock_a_hold_shorter_than_retention_shortens_nothing() {
    let t = TestStore::new();
    let clip = t.sealed_clip("door", 10, "a");
    let hold = t.keep("door", minutes(0, 20));
    t.release_keep(hold);
    t.pass(10 * DAY - MINUTE);
    t.sweep();
    assert!(t.reads_as(&clip, "a"));
}

// HOLDS 2, rule 5
#[test]
fn readable_an_overdue_held_clip_is_listed_and_read_before_and_after_it_moves() {
    let t = TestStore::new();
    let held = t.clip("door", 10, "held");
    let other = t.sealed_clip("door", 20, "other");
    t.keep("door", minutes(10, 11));
    t.pass(20 * DAY);
    assert!(t.reads_as(&held, "held"));
    let report = t.sweep();
    assert_eq!((report.clips_moved, report.clips_expired), (1, 1));
    assert!(t.reads_as(&held, "held"));
    let moved = t.store.clip(held.id()).unwrap();
    assert_eq!(moved, held, "moving changes nothing that a caller sees");
    t.assert_gone(&other);
    let t = t.reopen();
    assert!(t.reads_as(&held, "held"));
    t.assert_gone(&other);
}

// HOLDS 2, rule 8
#[test]
fn late_a_clip_that_arrives_inside_a_held_window_is_born_held() {
    let t = TestStore::new();
    t.store.add_camera(&camera("door")).unwrap();
    let hold = t.keep("door", minutes(0, 60));
    t.pass(3 * DAY);
    let late = t.clip("door", 30, "late");
    let outside = t.sealed_clip("door", 60, "outside");
    assert_eq!(t.store.hold_receipt(hold).unwrap().clips, 1);
    t.pass(11 * DAY);
    t.sweep();
    assert!(t.reads_as(&late, "late"));
    t.assert_gone(&outside);
}

// HOLDS 2, rule 9
#[test]
fn uncertain_a_clip_is_held_if_it_may_have_been_in_the_window() {
    let t = TestStore::new();
    let window = Window::starting(at(100), MINUTE).unwrap();
    let new = |uncertainty| NewClip::new(&camera("door"), window).uncertainty(uncertainty).unwrap();
    let unsure = t.store.append(new(HOUR), marked("unsure", 5000)).unwrap();
    let sure = t.store.append(new(MINUTE), marked("sure", 5000)).unwrap();
    t.store.seal().unwrap();
    let hold = t.keep("door", minutes(150, 160));
    assert_eq!(t.store.hold_receipt(hold).unwrap().clips, 1);
    assert_eq!(t.store.clip(unsure.id()).unwrap().uncertainty(), HOUR);
    t.pass(11 * DAY);
    let t = t.reopen();
    t.sweep();
    assert_eq!(t.store.read(unsure.id()).unwrap().to_vec().unwrap(), marked("unsure", 5000));
    assert_eq!(kind_of(t.store.read(sure.id())), ErrorKind::Expired);
}

// HOLDS 2, rule 10
#[test]
fn future_a_request_for_a_future_window_is_refused() {
    let t = TestStore::new();
    t.clip("door", 10, "a");
    let before = t.position();
    for cause in
        [HoldCause::Request, HoldCause::Provisional, HoldCause::Disclosure, HoldCause::Order]
    {
        let reaching = new_hold(cause, "door", minutes(0, 1441));
        assert_eq!(kind_of(t.store.place_hold(reaching)), ErrorKind::InvalidInput, "{cause}");
    }
    assert_eq!(t.position(), before);
    t.hold(HoldCause::Request, "door", minutes(0, 1440));
}

// HOLDS 2, rule 10
#[test]
fn future_the_owners_keep_may_reach_forward() {
    let t = TestStore::new();
    t.store.add_camera(&camera("door")).unwrap();
    t.keep("door", minutes(1440, 3000));
    t.pass(HOUR);
    let clip = t.sealed_clip("door", 1450, "a");
    t.pass(11 * DAY);
    t.sweep();
    assert!(t.reads_as(&clip, "a"));
}

// HOLDS 2, rule 11
#[test]
fn recording_a_clip_being_recorded_is_bound_and_goes_on() {
    let t = TestStore::new();
    let mut recorder = t.store.record(NewClip::starting(&camera("door"), at(100))).unwrap();
    recorder.write(marked("a", 1000), MINUTE).unwrap();
    let hold = t.keep("door", minutes(90, 101));
    assert_eq!(t.store.hold_receipt(hold).unwrap().clips, 1);
    recorder.write(marked("a", 1002), MINUTE).unwrap();
    let clip = recorder.finish().unwrap();
    t.store.seal().unwrap();
    assert_eq!(clip.window(), minutes(100, 102));
    t.pass(11 * DAY);
    t.sweep();
    assert_eq!(t.store.read(clip.id()).unwrap().to_vec().unwrap().len(), 2002);
}

// HOLDS 2, rule 11
#[test]
fn recording_a_clip_that_starts_at_the_windows_end_is_not_bound() {
    let t = TestStore::new();
    let mut recorder = t.store.record(NewClip::starting(&camera("door"), at(101))).unwrap();
    recorder.write(marked("a", 1000), MINUTE).unwrap();
    let hold = t.keep("door", minutes(90, 101));
    assert_eq!(t.store.hold_receipt(hold).unwrap().clips, 0);
}

/// After a release for `cause` the hold of `held_for` still protects for `grace`, and no longer.
fn assert_grace(held_for: HoldCause, cause: ReleaseCause, grace: Duration) {
    let t = TestStore::new();
    let clip = t.sealed_clip("door", 10, "a");
    t.pass(10 * DAY - HOUR);
    let hold = t.hold(held_for, "door", minutes(0, 20));
    t.pass(2 * HOUR);
    let released = t.store.release_hold(hold, &Release::new(cause, "someone")).unwrap();
    if grace.is_zero() {
        assert_eq!(released.state(), HoldState::Ended);
    } else {
        let until = t.store.now().saturating_add(grace);
        assert_eq!(released.state(), HoldState::Grace { until });
        t.pass(grace - MINUTE);
        t.sweep();
        assert!(t.reads_as(&clip, "a"), "{cause}");
        t.pass(MINUTE);
    }
    t.sweep();
    t.assert_gone(&clip);
    assert_eq!(t.store.hold(hold).unwrap().state(), HoldState::Ended);
}

// HOLDS 2, rule 12
#[test]
fn grace_a_denied_request_protects_for_24_hours_more() {
    assert_grace(HoldCause::Request, ReleaseCause::Denied, DAY);
}

// HOLDS 2, rule 12
#[test]
fn grace_a_withdrawn_request_protects_for_72_hours_more() {
    assert_grace(HoldCause::Request, ReleaseCause::Withdrawn, 3 * DAY);
}

// HOLDS 2, rule 12
#[test]
fn grace_a_rejected_screening_protects_no_longer() {
    assert_grace(HoldCause::Provisional, ReleaseCause::Rejected, Duration::ZERO);
}

// HOLDS 2, rule 12
#[test]
fn grace_a_fetched_disclosure_protects_no_longer() {
    assert_grace(HoldCause::Disclosure, ReleaseCause::Disclosed, Duration::ZERO);
}

// HOLDS 2, rule 12
#[test]
fn grace_of_an_order_is_as_written() {
    let t = TestStore::new();
    let clip = t.sealed_clip("door", 10, "a");
    let order = new_hold(HoldCause::Order, "door", minutes(0, 20)).grace(2 * DAY);
    let hold = t.store.place_hold(order).unwrap().id;
    t.pass(11 * DAY);
    t.sweep();
    // The day of the order is over; its two written days begin when that is on record.
    assert!(matches!(t.store.hold(hold).unwrap().state(), HoldState::Grace { .. }));
    t.pass(2 * DAY - MINUTE);
    t.sweep();
    assert!(t.reads_as(&clip, "a"));
    t.pass(MINUTE);
    t.sweep();
    t.assert_gone(&clip);
}

// HOLDS 2, rules 12 and 18
#[test]
fn deadline_a_request_nobody_answers_lapses_and_keeps_its_grace() {
    let t = TestStore::new();
    let clip = t.sealed_clip("door", 10, "a");
    let request = NewHold::new([camera("door")], minutes(0, 20))
        .cause(HoldCause::Request)
        .reference("case 1");
    let receipt = t.store.place_hold(request).unwrap();
    assert_eq!(receipt.deadline, t.store.now().saturating_add(14 * DAY));
    t.pass(14 * DAY - MINUTE);
    assert_eq!(t.sweep().holds_lapsed, 0);
    t.pass(MINUTE);
    assert_eq!(t.sweep().holds_lapsed, 1);
    assert!(t.reads_as(&clip, "a"));
    t.pass(3 * DAY);
    let report = t.sweep();
    assert_eq!((report.holds_ended, report.clips_expired), (1, 1));
    t.assert_gone(&clip);
}

// HOLDS 2, rules 13 and 18
#[test]
fn deadline_a_hold_protects_until_its_end_is_on_record() {
    let t = TestStore::new();
    let clip = t.sealed_clip("door", 10, "a");
    let hold = t.hold(HoldCause::Disclosure, "door", minutes(0, 20));
    t.pass(20 * DAY);
    let t = t.reopen();
    assert_eq!(t.store.hold(hold).unwrap().state(), HoldState::Active);
    assert!(t.reads_as(&clip, "a"));
    assert_eq!(t.sweep().holds_lapsed, 1);
    t.assert_gone(&clip);
}

// HOLDS 2, rule 16
#[test]
fn neighbours_of_held_clips_expire_on_time_and_leave_no_byte() {
    let t = TestStore::new();
    let held: Vec<_> = (0..4).map(|n| t.clip("door", 10 + n, "held")).collect();
    for n in 0..40 {
        t.clip("door", 20 + n, "neighbour");
        t.clip("yard", 10 + n, "other-camera");
    }
    t.store.seal().unwrap();
    t.keep("door", minutes(10, 14));
    t.pass(10 * DAY);
    let report = t.sweep();
    assert_eq!((report.clips_expired, report.clips_moved), (80, 4));
    let readable = t.listed(&camera("door")).len() + t.listed(&camera("yard")).len();
    assert_eq!(readable, held.len(), "over-retained readable clips");
    assert_eq!(t.files_with("neighbour"), [""; 0]);
    assert_eq!(t.files_with("other-camera"), [""; 0]);
    assert_eq!(t.files_with("held").len(), 1);
    assert_eq!(t.store.stats().unwrap().expired_bytes, 0);
}

// HOLDS 2, rule 16
#[test]
fn neighbours_do_not_wait_behind_a_segment_that_is_wholly_held() {
    let t = TestStore::new();
    let held = t.sealed_clip("door", 10, "held");
    let younger = t.sealed_clip("door", 20, "younger");
    t.keep("door", minutes(10, 11));
    t.pass(10 * DAY);
    t.sweep();
    assert!(t.reads_as(&held, "held"));
    t.assert_gone(&younger);
    assert_eq!(t.files_with("younger"), [""; 0]);
}

// HOLDS 2, rule 16
#[test]
fn neighbours_whose_tail_is_in_a_wholly_held_segment_leave_no_byte() {
    let t = TestStore::new();
    let len = usize::try_from(SEGMENT_BYTES).unwrap();
    let spanning = t.sized_clip("door", 10, "spanning", len);
    let held = t.sealed_clip("door", 20, "held");
    assert_eq!(t.files_with("spanning").len(), 2);
    t.keep("door", minutes(20, 21));
    t.pass(10 * DAY);
    t.sweep();
    t.assert_gone(&spanning);
    assert!(t.reads_as(&held, "held"));
    assert_eq!(t.files_with("spanning"), [""; 0]);
}

// HOLDS 2, rule 16
#[test]
fn neighbours_beside_the_tail_of_a_held_clip_expire_and_leave_no_byte() {
    let t = TestStore::new();
    let held = t.sized_clip("door", 10, "held", 6_000_000);
    let neighbour = t.sealed_clip("door", 20, "neighbour");
    let younger = t.sealed_clip("door", 30, "younger");
    t.keep("door", minutes(10, 11));
    t.pass(10 * DAY);
    t.sweep();
    assert!(t.reads_as(&held, "held"));
    t.assert_gone(&neighbour);
    t.assert_gone(&younger);
    assert_eq!(t.files_with("neighbour"), [""; 0]);
    assert_eq!(t.files_with("younger"), [""; 0]);
    let t = t.reopen();
    assert!(t.reads_as(&held, "held"));
    t.assert_gone(&neighbour);
}

// HOLDS 2, rule 16
#[test]
fn neighbours_go_with_the_next_sweep_when_moving_the_held_failed() {
    use clipkeep::vfs::sim::SimOp;
    let t = TestStore::new();
    let held = t.clip("door", 10, "held");
    let neighbour = t.sealed_clip("door", 20, "neighbour");
    t.keep("door", minutes(10, 11));
    t.pass(10 * DAY);
    t.disk.fail_after(SimOp::Create, 1, std::io::ErrorKind::Other);
    let report = t.store.sweep().unwrap();
    assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
    t.assert_gone(&neighbour);
    t.sweep();
    assert!(t.reads_as(&held, "held"));
    assert_eq!(t.files_with("neighbour"), [""; 0]);
}

// HOLDS 2, rules 2 and 16
#[test]
fn clock_a_clip_that_expired_in_evidence_stays_gone_while_its_first_file_cannot_be_removed() {
    use clipkeep::vfs::sim::SimOp;
    let t = TestStore::new();
    let held = t.clip("door", 10, "held");
    t.sealed_clip("door", 20, "neighbour");
    let hold = t.keep("door", minutes(10, 11));
    t.pass(10 * DAY);
    let fail = std::io::ErrorKind::Other;
    // The first one is that of the evidence segment.
    t.disk.fail_from(SimOp::Rename, 2, fail);
    t.disk.fail_from(SimOp::Remove, 1, fail);
    assert!(!t.store.sweep().unwrap().problems.is_empty());
    t.disk.clear_faults();
    assert!(t.reads_as(&held, "held"));
    t.release_keep(hold);
    // The first file cannot be removed once more; the evidence segment, which comes next, goes.
    t.disk.fail_after(SimOp::Rename, 1, fail);
    t.disk.fail_after(SimOp::Remove, 1, fail);
    let report = t.store.sweep().unwrap();
    assert_eq!((report.problems.len(), report.segments_dropped), (1, 1));
    assert_eq!(t.files_with("held").len(), 1);
    t.assert_gone(&held);
    t.disk.fail_from(SimOp::Rename, 1, fail);
    t.disk.fail_from(SimOp::Remove, 1, fail);
    let t = t.reopen();
    assert_eq!(t.files_with("held").len(), 1);
    t.assert_gone(&held);
    t.disk.clear_faults();
    t.sweep();
    t.assert_gone(&held);
    assert_eq!(t.files_with("held"), [""; 0]);
}

// HOLDS 2, rule 17
#[test]
fn removed_camera_keeps_what_is_held() {
    let t = TestStore::new();
    let held = t.clip("door", 10, "held");
    let other = t.sealed_clip("door", 20, "other");
    t.keep("door", minutes(10, 11));
    t.store.remove_camera(&camera("door")).unwrap();
    assert_eq!(t.store.cameras(), []);
    t.pass(11 * DAY);
    t.sweep();
    let t = t.reopen();
    assert!(t.reads_as(&held, "held"));
    t.assert_gone(&other);
}

// HOLDS 2, rule 17
#[test]
fn removed_camera_can_still_be_held() {
    let t = TestStore::new();
    let clip = t.sealed_clip("door", 10, "a");
    t.store.remove_camera(&camera("door")).unwrap();
    let t = t.reopen();
    t.keep("door", minutes(10, 11));
    t.pass(11 * DAY);
    t.sweep();
    assert!(t.reads_as(&clip, "a"));
}

// HOLDS 2, rule 22
#[test]
fn explain_names_own_and_effective_expiry_and_every_hold() {
    let t = TestStore::new();
    let clip = t.sealed_clip("door", 10, "a");
    let free = t.store.explain(clip.id()).unwrap();
    assert_eq!(free.own_expiry, clip.received().saturating_add(10 * DAY));
    assert_eq!(free.effective_expiry, free.own_expiry);
    assert!(free.holds.is_empty());
    let keep = t.keep("door", minutes(0, 20));
    let request = t.hold(HoldCause::Request, "door", minutes(0, 20));
    t.keep("door", minutes(30, 40));
    let held = t.store.explain(clip.id()).unwrap();
    assert_eq!(held.own_expiry, free.own_expiry);
    assert_eq!(held.effective_expiry, t.store.now().saturating_add(365 * DAY));
    let ids: Vec<_> = held.holds.iter().map(clipkeep::Hold::id).collect();
    assert_eq!(ids, [keep, request]);
    t.release_keep(keep);
    // A day, and the 72 h after a lapse, still end before the clip's own time.
    assert_eq!(t.store.explain(clip.id()).unwrap().effective_expiry, free.own_expiry);
}

// HOLDS 2, rule 13
#[test]
fn clock_a_wall_clock_in_1970_neither_lapses_nor_freezes_a_hold() {
    let t = TestStore::new();
    let clip = t.sealed_clip("door", 10, "a");
    let hold = t.hold(HoldCause::Disclosure, "door", minutes(0, 20));
    t.clock.step_wall(Timestamp::EPOCH);
    t.clock.advance(DAY - MINUTE);
    t.store.sweep().unwrap();
    assert_eq!(t.store.hold(hold).unwrap().state(), HoldState::Active);
    t.clock.advance(MINUTE);
    t.store.sweep().unwrap();
    assert_eq!(t.store.hold(hold).unwrap().state(), HoldState::Ended);
    assert!(t.reads_as(&clip, "a"), "its own time is not up");
}
