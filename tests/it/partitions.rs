//! The index on disk: made by sweeps and at close, used at opening, and never missed.

use std::time::Duration;

use clipkeep::vfs::Vfs;
use clipkeep::vfs::sim::SimVfs;
use clipkeep::{Clip, ErrorKind, Hold, HoldReceipt, NewClip, NewHold, Stats, Store, Window};

use crate::store_kit::{DAY, MINUTE, TestStore, at, camera, marked, minutes};

const PAGE: u64 = 4096;

/// The partition files on a disk.
fn partitions(disk: &SimVfs) -> Vec<String> {
    disk.files().into_iter().filter(|path| path.starts_with("index/")).collect()
}

fn remove_index(disk: &SimVfs) {
    for path in partitions(disk) {
        disk.remove(&path).unwrap();
    }
}

/// Clips of two cameras, each in a sealed segment of its own, from this minute on.
fn add(t: &TestStore, first: u32, count: u32) -> Vec<Clip> {
    let name = |minute| if minute % 2 == 0 { "door" } else { "yard" };
    (first..first + count)
        .map(|minute| t.sealed_clip(name(minute), minute, &format!("clip {minute}")))
        .collect()
}

fn assert_there(t: &TestStore, clips: &[Clip]) {
    for clip in clips {
        let minute = clip.window().start().since(at(0)).as_secs() / 60;
        assert!(t.reads_as(clip, &format!("clip {minute}")), "{}", clip.id());
        assert_eq!(t.store.clip(clip.id()).unwrap(), *clip);
    }
}

/// Closes the store, does something to its disk, and opens it again.
fn reopened(t: TestStore, meanwhile: impl FnOnce(&SimVfs)) -> TestStore {
    let disk = t.disk.clone();
    t.reopen_with(|options| {
        meanwhile(&disk);
        options
    })
}

#[test]
fn four_sealed_segments_make_a_partition_and_four_partitions_a_larger_one() {
    let t = TestStore::new();
    let mut clips = add(&t, 0, 3);
    t.sweep();
    assert!(partitions(&t.disk).is_empty(), "three are few enough to read");
    clips.extend(add(&t, 3, 1));
    t.sweep();
    assert_eq!(partitions(&t.disk), ["index/00000001.idx"]);
    for round in 1..4 {
        clips.extend(add(&t, 4 * round, 4));
        t.sweep();
    }
    assert_eq!(partitions(&t.disk), ["index/00000005.idx"], "one of four, and of what is new");
    assert_there(&t, &clips);
    let t = t.reopen();
    assert!(t.store.opening().repairs.is_empty(), "{:?}", t.store.opening().repairs);
    assert_there(&t, &clips);
}

/// The partitions on a disk, and what is in them.
fn index(disk: &SimVfs) -> Vec<(String, Vec<u8>)> {
    let paths = partitions(disk).into_iter();
    paths.map(|path| (path.clone(), disk.contents(&path).unwrap())).collect()
}

/// After opening these partitions answer for every segment: there is none that a sweep would fold,
/// which would be one that was read without the index.
fn assert_all_by_index(t: &TestStore, expected: &[(String, Vec<u8>)]) {
    for when in ["at once", "after a sweep"] {
        let found = index(&t.disk);
        let names: Vec<_> = found.iter().map(|(name, _)| name).collect();
        assert!(found == expected, "{when}: {names:?}");
        t.sweep();
    }
}

#[test]
fn partitions_beside_what_they_were_merged_into_are_removed() {
    let t = TestStore::new();
    let (mut clips, mut old) = (Vec::new(), Vec::new());
    for round in 0..4 {
        old = index(&t.disk);
        clips.extend(add(&t, 4 * round, 4));
        t.sweep();
    }
    assert_eq!(old.len(), 3);
    let merged = index(&t.disk);
    let t = reopened(t, |disk| {
        for (path, bytes) in &old {
            let file = disk.create(path, u64::try_from(bytes.len()).unwrap()).unwrap();
            file.write_at(0, &[bytes]).unwrap();
        }
    });
    assert_all_by_index(&t, &merged);
    assert_there(&t, &clips);
}

#[test]
fn an_older_segment_may_stand_in_a_newer_partition() {
    let t = TestStore::new();
    let mut clips = add(&t, 0, 4);
    t.sweep();
    clips.extend(add(&t, 4, 4));
    t.sweep();
    t.disk.corrupt(&partitions(&t.disk)[0], PAGE + 16, 4);
    assert_there(&t, &clips);
    t.sweep();
    assert_eq!(partitions(&t.disk), ["index/00000002.idx", "index/00000003.idx"]);
    let whole = index(&t.disk);
    let t = t.reopen();
    assert_all_by_index(&t, &whole);
    assert_there(&t, &clips);
}

#[test]
fn rows_of_segments_that_are_gone_hide_no_others() {
    let t = TestStore::new();
    add(&t, 0, 2);
    t.pass(6 * DAY);
    let young = add(&t, 10, 4);
    t.sweep();
    let whole = index(&t.disk);
    t.pass(5 * DAY);
    t.sweep();
    assert_eq!(t.segment_files().len(), young.len());
    let t = t.reopen();
    assert_all_by_index(&t, &whole);
    assert_there(&t, &young);
}

#[test]
fn closing_leaves_the_next_opening_fewer_than_four_footers_to_read() {
    let t = TestStore::new();
    let clips = add(&t, 0, 5);
    let t = t.reopen();
    assert_eq!(partitions(&t.disk).len(), 1);
    assert_there(&t, &clips);
}

/// What a store says of itself but for the room that it takes.
fn said(store: &Store) -> (Stats, Vec<Clip>, Vec<(u64, u64)>) {
    let mut stats = store.stats().unwrap();
    (stats.file_bytes, stats.overhead_bytes, stats.free_bytes, stats.index_bytes) = (0, 0, 0, 0);
    let cameras = store.cameras();
    let clips = |camera| store.clips(camera, minutes(0, 2880)).unwrap();
    let clips = cameras.iter().flat_map(clips).collect();
    let receipts = store.holds().into_iter().map(|hold| {
        let receipt = store.hold_receipt(hold.id()).unwrap();
        (receipt.clips, receipt.bytes)
    });
    (stats, clips, receipts.collect())
}

#[test]
fn opening_by_the_index_finds_what_opening_by_footers_does() {
    let t = TestStore::new();
    let mut clips = add(&t, 0, 3);
    // Over several segments, and longer than any of its parts; its clock is uncertain.
    let new = NewClip::starting(&camera("door"), at(100)).uncertainty(MINUTE).unwrap();
    let mut recorder = t.store.record(new).unwrap();
    for _ in 0..9 {
        recorder.write(marked("long", 900_000), Duration::from_secs(40)).unwrap();
    }
    let long = recorder.finish().unwrap();
    clips.extend(add(&t, 10, 6));
    t.store.delete_clip(clips[1].id(), "owner", "no more").unwrap();
    t.keep("door", minutes(0, 11));
    t.keep("door", minutes(106, 107));
    let t = t.reopen();
    assert!(!partitions(&t.disk).is_empty());
    let by_index = said(&t.store);
    let t = reopened(t, remove_index);
    assert_eq!(format!("{:?}", said(&t.store)), format!("{by_index:?}"));
    assert_eq!(t.store.clip(long.id()).unwrap(), long);
    assert_eq!(by_index.2[1], (1, long.len()), "the end of a long clip is held");
    assert_eq!(kind(&t, &clips[1]), Some(ErrorKind::Expired));
}

fn kind(t: &TestStore, clip: &Clip) -> Option<ErrorKind> {
    t.store.clip(clip.id()).err().map(|error| error.kind())
}

#[test]
fn an_index_that_is_gone_is_not_missed_and_made_again() {
    let t = TestStore::new();
    let clips = add(&t, 0, 6);
    t.sweep();
    let t = reopened(t, remove_index);
    assert!(t.store.opening().problems.is_empty() && t.store.opening().repairs.is_empty());
    assert_there(&t, &clips);
    t.sweep();
    assert_eq!(partitions(&t.disk).len(), 1);
}

#[test]
fn a_damaged_head_costs_the_reading_of_footers() {
    let t = TestStore::new();
    let clips = add(&t, 0, 6);
    t.sweep();
    let damage = |disk: &SimVfs| disk.corrupt(&partitions(disk)[0], 100, 4);
    let t = reopened(t, damage);
    assert_eq!(t.store.opening().repairs.len(), 1, "{:?}", t.store.opening().repairs);
    assert!(t.store.opening().problems.is_empty(), "{:?}", t.store.opening().problems);
    assert_there(&t, &clips);
    assert!(partitions(&t.disk).is_empty(), "it is of no use any more");
    let t = t.reopen();
    assert!(t.store.opening().repairs.is_empty());
    assert_eq!(partitions(&t.disk).len(), 1);
    assert_there(&t, &clips);
}

#[test]
fn a_partition_of_an_older_version_is_refused_and_made_again() {
    let t = TestStore::new();
    let clips = add(&t, 0, 6);
    t.sweep();
    let t = reopened(t, |disk| {
        let path = &partitions(disk)[0];
        let mut head = disk.contents(path).unwrap();
        head.truncate(4096 * usize::from(head[16]));
        head[12] = 1;
        let crc = crc32fast::hash(&head[12..]);
        head[8..12].copy_from_slice(&crc.to_le_bytes());
        disk.open(path, true).unwrap().write_at(0, &[&head]).unwrap();
    });
    let repairs = t.store.opening().repairs;
    assert!(repairs.len() == 1 && repairs[0].contains("index"), "{repairs:?}");
    assert!(partitions(&t.disk).is_empty());
    assert_there(&t, &clips);
    let t = t.reopen();
    assert!(t.store.opening().repairs.is_empty());
    assert_eq!(partitions(&t.disk).len(), 1);
    assert_there(&t, &clips);
}

/// Footage without a gap, twenty clips a segment, enough for pages of one camera alone; two of its
/// clips are gone, some are held, one has its end in the next segment.
fn street(t: &TestStore) {
    let clip = |name, minute, len| {
        let window = Window::starting(at(minute), MINUTE).unwrap();
        t.store.append(NewClip::new(&camera(name), window), marked("clip", len)).unwrap()
    };
    let mut clips = Vec::new();
    for minute in 0..220 {
        let len = if minute == 150 { 5_000_000 } else { 9000 + usize::try_from(minute).unwrap() };
        clips.push(clip("door", minute, len));
        clip("yard", 2 * minute, 9000);
        if minute % 20 == 19 {
            t.store.seal().unwrap();
        }
    }
    t.store.delete_clip(clips[100].id(), "owner", "no more").unwrap();
    t.keep("door", minutes(30, 40));
    t.keep("door", minutes(170, 300));
}

/// The receipts of holds on a camera, and on many windows of it.
fn receipts(t: &TestStore) -> Vec<HoldReceipt> {
    let holds = [
        NewHold::new([camera("door"), camera("yard")], minutes(0, 440)),
        NewHold::new([camera("door")], minutes(45, 199)),
        NewHold::new([camera("door")], minutes(10, 90)).also(&camera("door"), minutes(80, 130)),
    ];
    holds.map(|hold| t.store.place_hold(hold.actor("owner")).unwrap()).into()
}

#[test]
fn a_receipt_by_summaries_is_the_receipt_by_clips() {
    let [by_index, by_footers] = [false, true].map(|without| {
        let t = TestStore::new();
        street(&t);
        let t = t.reopen();
        assert_eq!(partitions(&t.disk).len(), 1);
        let t = if without { reopened(t, remove_index) } else { t.reopen() };
        let placed = receipts(&t);
        let again: Vec<_> = t.store.holds().iter().map(Hold::id).collect();
        let again = again.into_iter().map(|id| t.store.hold_receipt(id).unwrap());
        format!("{placed:#?} {:#?}", again.collect::<Vec<_>>())
    });
    assert_eq!(by_index, by_footers);
}

#[test]
fn a_damaged_summary_makes_a_receipt_count_clip_by_clip() {
    let t = TestStore::new();
    street(&t);
    let t = t.reopen();
    let path = partitions(&t.disk).remove(0);
    let whole = |t: &TestStore| {
        let id = t.keep("door", minutes(0, 440));
        let receipt = t.store.hold_receipt(id).unwrap();
        t.release_keep(id);
        assert!(receipt.uncounted.is_empty(), "{:?}", receipt.uncounted);
        (receipt.clips, receipt.bytes, format!("{:?}", receipt.missed))
    };
    let before = whole(&t);
    let len = u64::try_from(t.disk.contents(&path).unwrap().len()).unwrap();
    t.disk.bad_sector(&path, len - PAGE..len);
    assert_eq!(whole(&t), before);
    assert_eq!(t.store.problems().len(), 1, "{:?}", t.store.problems());
    t.sweep();
    assert_eq!(whole(&t), before);
    let t = t.reopen();
    assert_eq!(whole(&t), before);
    assert!(t.store.problems().is_empty(), "{:?}", t.store.problems());
}

#[test]
fn a_damaged_page_costs_a_lookup_the_footers_and_is_told_and_mended() {
    let t = TestStore::new();
    let clips = add(&t, 0, 6);
    let t = t.reopen();
    let before = partitions(&t.disk);
    t.disk.corrupt(&before[0], PAGE + 16, 4);
    let damaged = t.disk.contents(&before[0]);
    assert_there(&t, &clips);
    assert_eq!(t.store.problems().len(), 1);
    assert!(t.store.problems()[0].path().unwrap().ends_with(&before[0]));
    t.sweep();
    let after = partitions(&t.disk);
    assert_eq!(after.len(), 1);
    assert!(t.disk.contents(&after[0]) != damaged, "another one was written");
    let t = t.reopen();
    assert!(t.store.opening().repairs.is_empty());
    assert_there(&t, &clips);
    assert!(t.store.problems().is_empty(), "{:?}", t.store.problems());
}

#[test]
fn an_unreadable_sector_of_the_index_hides_no_held_clip() {
    let t = TestStore::new();
    let clips = add(&t, 0, 4);
    t.sweep();
    t.disk.bad_sector(&partitions(&t.disk)[0], PAGE..2 * PAGE);
    let hold = NewHold::new([camera("door"), camera("yard")], minutes(0, 4)).actor("owner");
    assert_eq!(t.store.place_hold(hold).unwrap().clips, 4);
    t.pass(11 * DAY);
    t.sweep();
    assert_there(&t, &clips);
}

#[test]
fn a_segment_that_cannot_be_read_at_all_does_not_keep_the_store_from_opening() {
    let t = TestStore::new();
    let clips = add(&t, 0, 3);
    let mut recorder = t.store.record(NewClip::starting(&camera("door"), at(100))).unwrap();
    while t.segment_files().len() < 5 {
        recorder.write(marked("long", 900_000), Duration::from_secs(40)).unwrap();
    }
    let home = t.segment_files()[3].clone();
    t.sweep();
    assert_eq!(partitions(&t.disk).len(), 1, "the beginning of the long clip is in it");
    recorder.finish().unwrap();
    let t = reopened(t, |disk| {
        let len = u64::try_from(disk.contents(&home).unwrap().len()).unwrap();
        disk.bad_sector(&home, 0..len);
    });
    assert_there(&t, &clips);
    assert!(t.store.clips(&camera("yard"), minutes(0, 200)).is_ok());
}

#[test]
fn what_expired_is_gone_although_a_partition_lists_it() {
    let t = TestStore::new();
    let old = add(&t, 0, 3);
    t.pass(6 * DAY);
    let young = add(&t, 10, 3);
    t.sweep();
    assert_eq!(partitions(&t.disk).len(), 1);
    t.pass(5 * DAY);
    t.sweep();
    let t = t.reopen();
    for clip in &old {
        t.assert_gone(clip);
    }
    assert_there(&t, &young);
    t.pass(6 * DAY);
    t.sweep();
    for clip in &young {
        t.assert_gone(clip);
    }
    assert!(partitions(&t.disk).is_empty(), "with the last of its segments");
}

#[test]
fn a_partition_of_which_most_is_gone_is_written_anew() {
    let t = TestStore::new();
    add(&t, 0, 5);
    t.pass(6 * DAY);
    let young = add(&t, 10, 3);
    t.sweep();
    let before = partitions(&t.disk);
    t.pass(5 * DAY);
    t.sweep();
    let after = partitions(&t.disk);
    assert_eq!((before.len(), after.len()), (1, 1));
    assert_ne!(after, before);
    assert_there(&t, &young);
    assert_there(&t.reopen(), &young);
}

#[test]
fn the_bytes_of_a_clip_deleted_while_it_is_read_go_at_the_next_opening() {
    let t = TestStore::new();
    add(&t, 0, 3);
    // Over two segments, each of which has a clip that stays.
    t.clip("yard", 9, "stays");
    let long = t.sized_clip("door", 10, "gone", 5_000_000);
    t.clip("yard", 11, "stays");
    t.store.seal().unwrap();
    t.sweep();
    assert_eq!(partitions(&t.disk).len(), 1);
    let reader = t.store.read(long.id()).unwrap();
    let read: Vec<_> = reader.chunks(0..long.len()).unwrap().collect();
    t.store.delete_clip(long.id(), "owner", "no more").unwrap();
    assert_eq!(t.files_with("gone").len(), 2);
    let TestStore { disk, clock, options, store } = t;
    drop(store);
    drop((reader, read));
    let store = options.clone().open("store").unwrap();
    let t = TestStore { disk, clock, options, store };
    t.assert_gone(&long);
    assert_eq!(t.files_with("gone"), Vec::<String>::new());
    let room = t.store.stats().unwrap().file_bytes;
    assert_eq!(t.reopen().store.stats().unwrap().file_bytes, room, "what was punched stays so");
}

#[test]
fn a_full_disk_has_no_partition_and_everything_else() {
    let t = TestStore::new();
    let clips = add(&t, 0, 5);
    let space = t.disk.space().unwrap();
    t.disk.set_capacity(space.total - space.free);
    t.sweep();
    assert!(partitions(&t.disk).is_empty());
    let t = t.reopen();
    assert!(t.store.problems().is_empty(), "{:?}", t.store.problems());
    assert_there(&t, &clips);
    t.disk.set_capacity(1 << 40);
    t.sweep();
    assert_eq!(partitions(&t.disk).len(), 1);
}

#[test]
fn a_store_opened_for_reading_uses_the_index_and_leaves_it_alone() {
    let t = TestStore::new();
    let clips = add(&t, 0, 5);
    let (disk, mut before) = (t.disk.clone(), 0);
    let t = t.reopen_with(|options| {
        before = disk.fingerprint();
        options.read_only(true)
    });
    assert_eq!(partitions(&t.disk).len(), 1);
    assert_there(&t, &clips);
    let damaged = partitions(&t.disk).remove(0);
    let t = reopened(t, |disk| disk.corrupt(&damaged, 100, 4));
    assert_there(&t, &clips);
    t.disk.corrupt(&damaged, 100, 4);
    drop(t.store);
    assert_eq!(t.disk.fingerprint(), before);
}

#[test]
fn a_file_in_the_index_that_is_not_ours_is_told_and_left_alone() {
    let t = TestStore::new();
    add(&t, 0, 4);
    let t = reopened(t, |disk| {
        disk.create("index/notes.txt", PAGE).unwrap();
    });
    let problems = t.store.opening().problems;
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].kind(), ErrorKind::Unsupported);
    t.sweep();
    assert!(partitions(&t.disk).contains(&"index/notes.txt".to_owned()));
}
