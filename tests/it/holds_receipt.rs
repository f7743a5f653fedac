//! What the receipt of a hold says, and a hold that comes too late.

use clipkeep::{HoldCause, HoldReceipt, MissedRange, MissedReason, NewClip, NewHold, Window};

use crate::store_kit::{DAY, MINUTE, TestStore, at, camera, marked, minutes, new_hold};

fn missed(receipt: &HoldReceipt) -> Vec<(Window, MissedReason)> {
    receipt.missed.iter().map(|MissedRange { window, reason, .. }| (*window, *reason)).collect()
}

fn minute_clip(t: &TestStore, minute: u32, len: usize) {
    let window = Window::starting(at(minute), MINUTE).unwrap();
    t.store.append(NewClip::new(&camera("door"), window), marked("a", len)).unwrap();
}

// HOLDS 2, rule 23
#[test]
fn receipt_counts_clips_bytes_gaps_and_the_days_left() {
    let t = TestStore::new();
    minute_clip(&t, 10, 1000);
    t.pass(DAY);
    minute_clip(&t, 12, 500);
    let position = t.position();
    let receipt = t.store.place_hold(new_hold(HoldCause::Request, "door", minutes(9, 14))).unwrap();
    assert_eq!((receipt.clips, receipt.bytes, receipt.newly_pinned_bytes), (2, 1500, 1500));
    assert_eq!(receipt.position, u64::try_from(position).unwrap());
    assert_eq!(receipt.placed, t.store.now());
    assert_eq!(receipt.kept_anyway_until, Some(at(1440).saturating_add(10 * DAY)));
    assert!(!receipt.placed_before);
    let never = MissedReason::NeverRecorded;
    let gaps = [(minutes(9, 10), never), (minutes(11, 12), never), (minutes(13, 14), never)];
    assert_eq!(missed(&receipt), gaps);
}

// HOLDS 2, rule 23
#[test]
fn receipt_counts_only_bytes_that_no_other_hold_pins_as_newly_pinned() {
    let t = TestStore::new();
    minute_clip(&t, 10, 1000);
    minute_clip(&t, 12, 500);
    t.keep("door", minutes(10, 11));
    let receipt = t.store.place_hold(NewHold::new([camera("door")], minutes(0, 20))).unwrap();
    assert_eq!((receipt.clips, receipt.bytes, receipt.newly_pinned_bytes), (2, 1500, 500));
    let again = t.store.hold_receipt(receipt.id).unwrap();
    assert_eq!((again.clips, again.position), (2, receipt.position));
}

// HOLDS 2, rule 23
#[test]
fn receipt_says_of_a_future_part_that_it_has_not_happened_yet() {
    let t = TestStore::new();
    minute_clip(&t, 1439, 1000);
    let receipt = t.store.place_hold(NewHold::new([camera("door")], minutes(1439, 1450))).unwrap();
    assert_eq!(missed(&receipt), [(minutes(1440, 1450), MissedReason::NotYet)]);
}

// HOLDS 2, rule 23
#[test]
fn receipt_of_a_window_without_clips_has_nothing_pinned() {
    let t = TestStore::new();
    t.store.add_camera(&camera("door")).unwrap();
    let receipt = t.store.place_hold(NewHold::new([camera("door")], minutes(0, 10))).unwrap();
    assert_eq!((receipt.clips, receipt.bytes, receipt.kept_anyway_until), (0, 0, None));
    assert_eq!(missed(&receipt), [(minutes(0, 10), MissedReason::NeverRecorded)]);
}

// HOLDS 2, rules 6 and 23
#[test]
fn expired_a_hold_after_the_expiry_says_so_and_brings_nothing_back() {
    let t = TestStore::new();
    let gone = t.sealed_clip("door", 10, "gone");
    t.pass(10 * DAY);
    t.sweep();
    let receipt = t.store.place_hold(NewHold::new([camera("door")], minutes(10, 11))).unwrap();
    assert_eq!(receipt.clips, 0);
    assert_eq!(missed(&receipt), [(minutes(10, 11), MissedReason::Expired)]);
    let t = t.reopen();
    t.assert_gone(&gone);
    let again = t.store.hold_receipt(receipt.id).unwrap();
    assert_eq!(missed(&again), [(minutes(10, 11), MissedReason::Expired)]);
}

// HOLDS 2, rule 6
#[test]
fn expired_a_hold_before_the_expiry_is_on_record_wins_however_overdue_the_clip_is() {
    let t = TestStore::new();
    let clip = t.sealed_clip("door", 10, "a");
    t.pass(300 * DAY);
    let receipt = t.store.place_hold(NewHold::new([camera("door")], minutes(10, 11))).unwrap();
    assert_eq!(receipt.clips, 1);
    t.sweep();
    let t = t.reopen();
    t.sweep();
    assert!(t.reads_as(&clip, "a"));
}

// HOLDS 2, rule 6
#[test]
fn expired_a_later_hold_does_not_bring_a_clip_back_whose_file_is_still_there() {
    use clipkeep::vfs::sim::SimOp;
    let t = TestStore::new();
    let gone = t.sealed_clip("door", 10, "gone");
    t.pass(10 * DAY);
    t.disk.fail_from(SimOp::Rename, 1, std::io::ErrorKind::Other);
    t.disk.fail_from(SimOp::Remove, 1, std::io::ErrorKind::Other);
    drop(t.store.sweep());
    t.disk.clear_faults();
    assert_eq!(t.files_with("gone").len(), 1, "the file could not be removed");
    let receipt = t.store.place_hold(NewHold::new([camera("door")], minutes(10, 11))).unwrap();
    assert_eq!(receipt.clips, 0);
    t.assert_gone(&gone);
    let t = t.reopen();
    t.assert_gone(&gone);
    assert_eq!(t.files_with("gone"), [""; 0]);
}

// HOLDS 2, rule 23
#[test]
fn expired_is_said_of_a_camera_whose_retention_was_changed_since() {
    use clipkeep::{PolicyScope, Retention};
    let t = TestStore::new();
    t.sealed_clip("door", 10, "gone");
    t.pass(10 * DAY);
    t.sweep();
    let longer = Retention::days(5, 30).unwrap();
    t.store.set_retention(Some(&camera("door")), longer, PolicyScope::NewClips).unwrap();
    let receipt = t.store.place_hold(NewHold::new([camera("door")], minutes(10, 11))).unwrap();
    assert_eq!(missed(&receipt), [(minutes(10, 11), MissedReason::Expired)]);
}
