//! What expires, when, with which reason, and that nothing of it is left.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use clipkeep::{ExpiryReason, KeptReason, NewClip, PlanAction, PolicyScope, Retention, WhenFull};

use crate::store_kit::{
    DAY, HOUR, MINUTE, SEGMENT_BYTES, TestStore, at, camera, kind_of, marked, minutes,
};

#[test]
fn nothing_expires_before_its_time_and_everything_then() {
    let t = TestStore::new();
    let clip = t.sealed_clip("door", 0, "a");
    t.pass(10 * DAY - Duration::from_secs(1));
    assert_eq!(t.sweep().clips_expired, 0);
    assert!(t.reads_as(&clip, "a"));
    t.pass(Duration::from_secs(1));
    let report = t.sweep();
    assert_eq!((report.clips_expired, report.bytes_expired), (1, 20_000));
    assert_eq!((report.segments_dropped, report.clips_expired_early), (1, 0));
    t.assert_gone(&clip);
    assert_eq!(t.files_with("a"), [""; 0]);
}

#[test]
fn age_counts_from_when_a_clip_came_not_from_its_own_times() {
    let t = TestStore::new();
    t.pass(30 * DAY);
    let backfilled = t.sealed_clip("door", 0, "a");
    t.pass(9 * DAY);
    t.sweep();
    assert!(t.reads_as(&backfilled, "a"));
}

#[test]
fn a_camera_whose_clock_is_years_ahead_keeps_nothing_alive() {
    let t = TestStore::new();
    let far = at(0).saturating_add(3650 * DAY);
    let window = clipkeep::Window::starting(far, MINUTE).unwrap();
    let new = NewClip::new(&camera("door"), window);
    let clip = t.store.append(new, marked("a", 1000)).unwrap();
    t.store.seal().unwrap();
    t.pass(10 * DAY);
    t.sweep();
    t.assert_gone(&clip);
}

#[test]
fn the_plan_says_what_goes_and_why_and_changes_nothing() {
    let t = TestStore::new();
    t.sealed_clip("door", 0, "due");
    t.pass(5 * DAY);
    let held = t.sealed_clip("door", 1, "held");
    t.keep("door", minutes(1, 2));
    t.clip("door", 2, "mixed");
    t.pass(5 * DAY);
    t.store.seal().unwrap();
    t.sealed_clip("door", 3, "young");
    let position = t.position();
    let plan = t.store.plan_sweep().unwrap();
    assert_eq!(t.store.plan_sweep().unwrap(), plan);
    let [item] = plan.items() else { panic!("one item: {plan:?}") };
    assert_eq!((item.reason(), item.action()), (ExpiryReason::Due, PlanAction::Drop));
    assert_eq!((item.clips(), item.bytes()), (1, 20_000));
    assert!(item.to_string().contains("past at_most"), "{item}");
    let reasons: Vec<_> = plan.kept().iter().map(clipkeep::KeptItem::reason).collect();
    assert!(reasons.iter().any(|reason| matches!(reason, KeptReason::NotDue { .. })));
    assert!(plan.freed_bytes() > 0);
    assert_eq!(t.position(), position);
    assert_eq!(t.sweep().plan.unwrap().items(), plan.items());
    assert!(t.reads_as(&held, "held"));
}

#[test]
fn the_plan_names_segments_that_are_wholly_held() {
    let t = TestStore::new();
    t.sealed_clip("door", 0, "held");
    t.keep("door", minutes(0, 1));
    t.pass(11 * DAY);
    let plan = t.store.plan_sweep().unwrap();
    assert!(plan.is_empty());
    assert_eq!(plan.kept()[0].reason(), KeptReason::AllHeld);
}

#[test]
fn sweeping_gives_the_room_back() {
    let t = TestStore::with(|options| options.reuse_max(0));
    let empty = t.store.stats().unwrap();
    for minute in 0..6 {
        t.sized_clip("door", minute, "a", 3_900_000);
    }
    t.store.seal().unwrap();
    t.pass(10 * DAY);
    t.sweep();
    assert!(t.segment_files().is_empty());
    let stats = t.store.stats().unwrap();
    assert_eq!((stats.clips, stats.live_bytes, stats.expired_bytes), (0, 0, 0));
    assert!(stats.free_bytes >= empty.free_bytes - SEGMENT_BYTES);
}

#[test]
fn one_sweep_takes_no_more_than_its_share() {
    let t = TestStore::with(|options| options.sweep_share(10));
    for minute in 0..30 {
        t.sealed_clip("door", minute, "a");
    }
    t.pass(10 * DAY);
    let report = t.sweep();
    assert_eq!((report.clips_expired, report.segments_deferred), (8, 22));
    assert!(t.store.plan_sweep().unwrap().deferred() > 0);
    for _ in 0..3 {
        t.sweep();
    }
    assert!(t.listed(&camera("door")).is_empty());
}

#[test]
fn at_least_is_kept_when_room_is_wanted_and_what_is_older_goes() {
    let t = TestStore::with(|options| options.quota(4 * SEGMENT_BYTES).when_full(WhenFull::Refuse));
    let old = t.sized_clip("door", 0, "old", 3_900_000);
    t.pass(5 * DAY);
    let young: Vec<_> = (1..4).map(|n| t.sized_clip("door", n, "young", 3_900_000)).collect();
    assert!(t.reads_as(&old, "old"), "nothing goes before its room is wanted");
    t.sized_clip("door", 10, "new", 3_900_000);
    t.assert_gone(&old);
    assert!(young.iter().all(|clip| t.reads_as(clip, "young")));
    let new = NewClip::new(&camera("door"), minutes(11, 12));
    let refused = t.store.append(new, marked("more", 3_900_000));
    assert_eq!(kind_of(refused), clipkeep::ErrorKind::Full);
    let space = t.ledger().into_iter().filter(|line| line.kind == "segment-expired");
    let texts: Vec<_> = space.map(|line| line.text).collect();
    assert_eq!(texts.len(), 1);
    assert!(texts[0].contains("space"), "{texts:?}");
}

#[test]
fn a_broken_promise_is_counted_and_on_record() {
    let t = TestStore::with(|options| options.quota(2 * SEGMENT_BYTES));
    let first = t.sized_clip("door", 0, "first", 3_900_000);
    t.sized_clip("door", 1, "second", 3_900_000);
    t.sized_clip("door", 2, "third", 3_900_000);
    t.assert_gone(&first);
    assert_eq!(t.store.stats().unwrap().promise_broken_clips, 1);
    let t = t.reopen();
    assert_eq!(t.store.stats().unwrap().promise_broken_clips, 1);
    let entry = t.ledger().into_iter().find(|line| line.kind == "segment-expired").unwrap();
    assert!(entry.text.contains("early"), "{}", entry.text);
}

#[test]
fn a_policy_for_new_clips_leaves_old_ones_their_time() {
    let t = TestStore::new();
    let old = t.sealed_clip("door", 0, "old");
    let short = Retention::new(HOUR, HOUR).unwrap();
    t.store.set_retention(None, short, PolicyScope::NewClips).unwrap();
    let new = t.sealed_clip("door", 1, "new");
    t.pass(HOUR);
    t.sweep();
    assert!(t.reads_as(&old, "old"));
    t.assert_gone(&new);
    t.pass(10 * DAY);
    t.sweep();
    t.assert_gone(&old);
}

#[test]
fn a_policy_for_existing_clips_counts_at_once_and_after_reopening() {
    let t = TestStore::new();
    let old = t.sealed_clip("door", 0, "old");
    t.pass(HOUR);
    let short = Retention::new(HOUR, HOUR).unwrap();
    t.store.set_retention(None, short, PolicyScope::ExistingToo).unwrap();
    assert!(t.reads_as(&old, "old"), "only a sweep expires");
    let t = t.reopen();
    assert_eq!(t.store.retention(None), short);
    t.sweep();
    t.assert_gone(&old);
}

#[test]
fn a_longer_policy_for_existing_clips_keeps_them_longer() {
    let t = TestStore::new();
    let clip = t.sealed_clip("door", 0, "a");
    let long = Retention::days(5, 30).unwrap();
    t.store.set_retention(None, long, PolicyScope::ExistingToo).unwrap();
    t.pass(29 * DAY);
    t.sweep();
    assert!(t.reads_as(&clip, "a"));
}

#[test]
fn a_policy_for_the_existing_clips_of_one_camera_spares_those_of_others() {
    let t = TestStore::new();
    t.sealed_clip("door", 0, "a");
    let short = Retention::new(HOUR, HOUR).unwrap();
    let door = camera("door");
    let refused = t.store.set_retention(Some(&door), short, PolicyScope::ExistingToo);
    assert_eq!(kind_of(refused), clipkeep::ErrorKind::InvalidInput);
    assert_eq!(t.store.retention(Some(&door)), Retention::days(5, 10).unwrap());
}

#[test]
fn a_policy_for_existing_clips_spares_those_of_cameras_that_have_left_the_class() {
    let t = TestStore::new();
    let (door, yard) = (camera("door"), camera("yard"));
    let month = Retention::days(5, 30).unwrap();
    for camera in [&door, &yard] {
        t.store.set_retention(Some(camera), month, PolicyScope::NewClips).unwrap();
    }
    let old = t.sealed_clip("yard", 0, "yard");
    let week = Retention::days(5, 7).unwrap();
    t.store.set_retention(Some(&yard), week, PolicyScope::NewClips).unwrap();
    let t = t.reopen();
    let day = Retention::days(1, 1).unwrap();
    let refused = t.store.set_retention(Some(&door), day, PolicyScope::ExistingToo);
    assert_eq!(kind_of(refused), clipkeep::ErrorKind::InvalidInput);
    t.pass(20 * DAY);
    t.sweep();
    assert!(t.reads_as(&old, "yard"));
}

#[test]
fn a_policy_for_existing_clips_of_the_default_spares_cameras_that_were_without_a_class() {
    let t = TestStore::new();
    let old = t.sealed_clip("door", 0, "door");
    let month = Retention::days(5, 30).unwrap();
    t.store.set_retention(Some(&camera("door")), month, PolicyScope::NewClips).unwrap();
    let t = t.reopen();
    let day = Retention::days(1, 1).unwrap();
    let refused = t.store.set_retention(None, day, PolicyScope::ExistingToo);
    assert_eq!(kind_of(refused), clipkeep::ErrorKind::InvalidInput);
    t.pass(2 * DAY);
    t.sweep();
    assert!(t.reads_as(&old, "door"));
}

#[test]
fn a_policy_for_existing_clips_of_the_default_is_no_matter_of_cameras_that_never_used_it() {
    let t = TestStore::new();
    let month = Retention::days(5, 30).unwrap();
    t.store.set_retention(Some(&camera("door")), month, PolicyScope::NewClips).unwrap();
    let longer = Retention::days(5, 20).unwrap();
    t.store.set_retention(None, longer, PolicyScope::ExistingToo).unwrap();
    assert_eq!(t.store.retention(None), longer);
}

#[test]
fn the_sweeper_thread_expires_what_is_due() {
    let t = TestStore::with(|options| options.sweeper(Duration::from_millis(2)));
    let clip = t.sealed_clip("door", 0, "a");
    t.clock.advance(10 * DAY);
    for () in std::iter::repeat_with(thread::yield_now).take(50_000_000) {
        if t.segment_files().is_empty() {
            return t.assert_gone(&clip);
        }
    }
    panic!("the sweeper thread expired nothing");
}

#[test]
fn after_a_month_of_recording_only_what_may_be_there_can_be_found() {
    let t = TestStore::new();
    t.store.add_camera(&camera("door")).unwrap();
    t.keep("door", minutes(0, 24));
    let mut clips = Vec::new();
    for hour in (0..24 * 30).step_by(4) {
        let marker = format!("hour-{hour:03}");
        clips.push((hour, marker.clone(), t.sized_clip("door", hour * 2, &marker, 3000)));
        t.pass(4 * HOUR);
        t.sweep();
    }
    let files: Vec<Vec<u8>> =
        t.disk.files().iter().map(|path| t.disk.contents(path).unwrap()).collect();
    let on_disk = markers_in(&files, b"<hour-");
    for (hour, marker, clip) in clips {
        let age = 24 * 30 - hour;
        if hour * 2 < 24 || age < 240 {
            assert!(t.reads_as(&clip, &marker), "{marker}");
            assert!(on_disk.contains(marker.as_bytes()), "{marker}");
        } else if age > 248 {
            t.assert_gone(&clip);
            assert!(!on_disk.contains(marker.as_bytes()), "{marker}");
        }
    }
}

/// What stands in any of `files` behind `start`, three bytes more, without the angle bracket.
fn markers_in(files: &[Vec<u8>], start: &[u8]) -> BTreeSet<Vec<u8>> {
    let windows = files.iter().flat_map(|bytes| bytes.windows(start.len() + 3));
    windows.filter(|window| window.starts_with(start)).map(|window| window[1..].to_vec()).collect()
}
