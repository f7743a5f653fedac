//! What is found unreadable in a segment that was still open: damage where it was acknowledged, and
//! a torn write where it was not. Neither goes without a word.

use std::io;
use std::time::Duration;

use clipkeep::vfs::sim::{Fate, SimOp, SimVfs};
use clipkeep::{Clip, ClipState, Durability, ErrorKind, NewClip, VerifyDepth};

use crate::store_kit::{DAY, TestStore, at, camera, marked, minutes};

/// Where the first byte of `marker` stands in the only segment.
fn place_of(store: &TestStore, marker: &str) -> (String, u64) {
    let needle = format!("<{marker}>").into_bytes();
    let path = store.segment_files().pop().unwrap();
    let bytes = store.disk.contents(&path).unwrap();
    let at = bytes.windows(needle.len()).position(|window| window == needle).unwrap();
    (path, u64::try_from(at).unwrap())
}

/// A byte of the header of the record that begins in the block of `at`, and one of its tail.
fn ends_of(disk: &SimVfs, path: &str, at: u64) -> (u64, u64) {
    let bytes = disk.contents(path).unwrap();
    let first = at - at % 4096;
    let ending = |end: &u64| bytes[usize::try_from(*end).unwrap() - 8..].starts_with(b"CLPT");
    let end = (first + 4096..).step_by(4096).find(ending).unwrap();
    (first + 40, end - 20)
}

/// Flips a bit in both copies of the header of the record that begins in the block of `at`.
fn lose_header(disk: &SimVfs, path: &str, at: u64) {
    let (head, tail) = ends_of(disk, path, at);
    disk.corrupt(path, head, 1);
    disk.corrupt(path, tail, 1);
}

/// Loses power with all that was written on the medium but for a bit at `offset` of `path`, and
/// opens the store again.
fn lose_power_and_flip(store: TestStore, path: &str, offset: u64) -> TestStore {
    lose_power_and(store, |disk| disk.corrupt(path, offset, 1))
}

/// The same with `damage` done to the medium.
fn lose_power_and(store: TestStore, damage: impl FnOnce(&SimVfs)) -> TestStore {
    let disk = store.disk.crash_choosing(&mut |_| Fate::Keep);
    damage(&disk);
    let options = store.options.clone().vfs(disk.clone());
    let opened = options.clone().open("store").unwrap();
    TestStore { disk, clock: store.clock, options, store: opened }
}

fn append(store: &TestStore, minute: u32, marker: &str) -> clipkeep::Result<Clip> {
    let window = minutes(minute, minute + 1);
    store.store.append(NewClip::new(&camera("porch"), window), marked(marker, 30_000))
}

fn append_bytes(store: &TestStore, minute: u32, marker: &str, len: usize) -> Clip {
    let window = minutes(minute, minute + 1);
    store.store.append(NewClip::new(&camera("porch"), window), marked(marker, len)).unwrap()
}

#[test]
fn a_flipped_bit_in_a_closed_store_is_damage_and_shortens_no_clip() {
    let store = TestStore::new();
    let clip = append(&store, 0, "alone").unwrap();
    let (path, at) = place_of(&store, "alone");
    let disk = store.disk.clone();
    let store = store.reopen_with(|options| {
        disk.corrupt(&path, at + 20_000, 1);
        options
    });
    let found = store.store.clip(clip.id()).unwrap();
    assert_eq!(found.len(), 30_000, "{:?}", store.store.opening());
    let error = store.store.read(clip.id()).unwrap().to_vec().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn a_lost_header_in_a_closed_store_is_told_and_not_written_over() {
    let store = TestStore::new();
    append(&store, 0, "early").unwrap();
    append(&store, 1, "lost").unwrap();
    let (path, at) = place_of(&store, "lost");
    let disk = store.disk.clone();
    let store = store.reopen_with(|options| {
        lose_header(&disk, &path, at);
        options
    });
    let problems = store.store.opening().problems;
    assert!(problems[0].to_string().contains("blocks of records are damaged"), "{problems:?}");
    append(&store, 2, "later").unwrap();
    assert_eq!(place_of(&store, "lost"), (path, at), "its bytes are still there");
}

/// How many faults a check of every byte finds.
fn faults(store: &TestStore) -> usize {
    store.store.verify(VerifyDepth::Bytes, &mut |_| ()).unwrap().faults.len()
}

#[test]
fn a_flipped_bit_in_a_header_costs_nothing_and_is_told() {
    let store = TestStore::new();
    let clips = [0, 1, 2].map(|minute| append(&store, minute, "hit").unwrap());
    let (path, at) = place_of(&store, "hit");
    let at = at + 8 * 4096;
    let disk = store.disk.clone();
    let mut store = store.reopen_with(|options| {
        disk.corrupt(&path, ends_of(&disk, &path, at).0, 1);
        options
    });
    let problem = &store.store.opening().problems[0];
    assert!(problem.to_string().contains("header is damaged"), "{problem}");
    assert_eq!(problem.offset(), Some(at - at % 4096));
    for _ in 0..2 {
        assert!(clips.iter().all(|clip| store.reads_as(clip, "hit")));
        assert_eq!(faults(&store), 1);
        append(&store, 3, "later").unwrap();
        store.store.seal().unwrap();
        store = store.reopen();
        assert!(store.store.opening().problems.is_empty(), "the footer has it again");
    }
}

#[test]
fn a_flipped_bit_in_a_tail_costs_nothing_and_verify_tells() {
    let store = TestStore::new();
    let clip = append(&store, 0, "hit").unwrap();
    let (path, at) = place_of(&store, "hit");
    let disk = store.disk.clone();
    let store = store.reopen_with(|options| {
        disk.corrupt(&path, ends_of(&disk, &path, at).1, 1);
        options
    });
    assert!(store.store.opening().problems.is_empty(), "{:?}", store.store.opening());
    assert!(store.reads_as(&clip, "hit"));
    assert_eq!(faults(&store), 1);
}

#[test]
fn a_bad_sector_under_a_header_costs_its_chunk_and_no_more() {
    let store = TestStore::new();
    let clip = append_bytes(&store, 0, "hit", 200_000);
    append(&store, 1, "after").unwrap();
    let (path, at) = place_of(&store, "hit");
    let disk = store.disk.clone();
    let store = store.reopen_with(|options| {
        disk.bad_sector(&path, at - at % 4096..at + 512);
        options
    });
    assert!(!store.store.opening().problems.is_empty(), "the damage is told");
    let reader = store.store.read(clip.id()).unwrap();
    let chunks: Vec<_> = reader.chunks(0..200_000).unwrap().collect();
    let good: Vec<_> = chunks.iter().map(Result::is_ok).collect();
    assert_eq!(good, [false, true, true, true]);
}

#[test]
fn a_read_that_fails_once_at_opening_loses_nothing_of_the_last_group() {
    for nth in 1..200 {
        let store = TestStore::new();
        let clip = append_bytes(&store, 0, "last", 400_000);
        let disk = store.disk.crash_choosing(&mut |_| Fate::Keep);
        let options = store.options.clone().vfs(disk.clone());
        let before = disk.stats().reads;
        disk.fail_after(SimOp::Read, nth, io::ErrorKind::Other);
        drop(options.clone().open("store"));
        disk.clear_faults();
        let opened = options.open("store").unwrap();
        let bytes = opened.read(clip.id()).and_then(|reader| reader.to_vec());
        let len = bytes.ok().map(|bytes| bytes.len());
        assert_eq!(len, Some(400_000), "read number {nth} failed");
        if disk.stats().reads < before + nth {
            return;
        }
    }
}

#[test]
fn a_bad_sector_in_the_last_group_costs_its_chunk_and_no_more() {
    let store = TestStore::new();
    let clip = append_bytes(&store, 0, "last", 200_000);
    let (path, at) = place_of(&store, "last");
    let sector = (at + 2 * 65_536 + 20_000) / 512 * 512;
    let store = lose_power_and(store, |disk| disk.bad_sector(&path, sector..sector + 512));
    let told = format!("{:?}", store.store.opening().problems);
    assert!(told.contains("cannot be read"), "{told}");
    let reader = store.store.read(clip.id()).unwrap();
    let good: Vec<_> = reader.chunks(0..200_000).unwrap().map(|chunk| chunk.is_ok()).collect();
    assert_eq!(good, [true, true, false, true]);
}

#[test]
fn a_bad_sector_in_a_torn_record_brings_nothing_back() {
    let store = TestStore::new();
    let clip = append_bytes(&store, 0, "torn", 200_000);
    let (path, at) = place_of(&store, "torn");
    let store = lose_power_and(store, |disk| {
        disk.bad_sector(&path, at + 65_536 * 2..at + 65_536 * 2 + 512);
        disk.corrupt(&path, at + 20_000, 1);
    });
    assert_eq!(store.listed(clip.camera()), []);
}

#[test]
fn a_flipped_bit_in_a_header_of_the_last_group_costs_nothing_after_a_power_cut() {
    let store = TestStore::new();
    let clip = append(&store, 0, "last").unwrap();
    let (path, at) = place_of(&store, "last");
    let head = ends_of(&store.disk, &path, at).0;
    let store = lose_power_and_flip(store, &path, head);
    assert!(store.reads_as(&clip, "last"), "{:?}", store.store.opening());
    assert!(!store.store.opening().problems.is_empty(), "the damage is told");
}

#[test]
fn a_record_without_its_tail_is_torn_if_nobody_was_promised_it() {
    let store = TestStore::with(|options| options.durability(Durability::Buffered));
    let kept = append(&store, 0, "kept").unwrap();
    append(&store, 1, "torn").unwrap();
    let (path, at) = place_of(&store, "torn");
    let tail = ends_of(&store.disk, &path, at).1;
    let store = lose_power_and_flip(store, &path, tail);
    assert_eq!(store.listed(kept.camera()), [kept.id()]);
    assert!(store.store.opening().problems.is_empty(), "{:?}", store.store.opening());
    assert_eq!(faults(&store), 0);
}

#[test]
fn a_record_without_footage_is_torn_if_its_header_is_not_there() {
    let store = TestStore::new();
    let mut recorder = store.store.record(NewClip::starting(&camera("porch"), at(0))).unwrap();
    recorder.write(marked("only", 30_000), Duration::from_secs(2)).unwrap();
    let clip = recorder.finish().unwrap();
    let (path, at) = place_of(&store, "only");
    let head = ends_of(&store.disk, &path, at + 8 * 4096).0;
    let disk = store.disk.crash_choosing(&mut |_| Fate::Keep);
    let options = store.options.clone().vfs(disk.clone());
    drop(options.clone().open("store").unwrap());
    disk.corrupt(&path, head, 1);
    let opened = options.open("store").unwrap();
    assert_eq!(opened.clip(clip.id()).unwrap().state(), ClipState::Complete, "it was acknowledged");
    let store = lose_power_and_flip(store, &path, head);
    let found = store.store.clip(clip.id()).unwrap();
    assert_eq!((found.len(), found.state()), (30_000, ClipState::Truncated));
    assert_eq!(faults(&store), 0, "what was torn is no damage");
}

#[test]
fn the_tail_of_a_torn_record_is_wiped_with_it() {
    let store = TestStore::new();
    append(&store, 0, "torn").unwrap();
    let (path, at) = place_of(&store, "torn");
    let store = lose_power_and_flip(store, &path, at + 20_000);
    let bytes = store.disk.contents(&path).unwrap();
    assert!(!bytes.windows(4).any(|window| window == b"CLPT"), "a tail leads to what is gone");
    let clip = append_bytes(&store, 1, "new", 5_000);
    let (_, at) = place_of(&store, "new");
    let disk = store.disk.clone();
    let store = store.reopen_with(|options| {
        disk.corrupt(&path, ends_of(&disk, &path, at).0, 1);
        options
    });
    assert!(store.reads_as(&clip, "new"));
    assert_eq!(store.listed(clip.camera()), [clip.id()]);
}

#[test]
fn a_closed_store_that_was_only_looked_at_takes_no_more_entries() {
    let store = TestStore::new();
    append(&store, 0, "one").unwrap();
    let store = store.reopen();
    let before = store.position();
    let store = store.reopen();
    assert_eq!(store.position(), before);
}

#[test]
fn a_torn_record_is_dropped_and_told() {
    let store = TestStore::new();
    append(&store, 0, "kept").unwrap();
    let clip = append(&store, 1, "torn").unwrap();
    let (path, at) = place_of(&store, "torn");
    let store = lose_power_and_flip(store, &path, at + 20_000);
    let repairs = store.store.opening().repairs;
    let told = format!("torn records of clip {}", clip.id());
    assert!(repairs.iter().any(|repair| repair.contains(&told)), "{repairs:?}");
    let store = store.reopen();
    assert_eq!(store.store.opening().repairs, Vec::<String>::new(), "it is told once");
}

#[test]
fn what_was_published_before_a_failed_write_is_found_again() {
    let store = TestStore::with(|options| options.durability(Durability::Buffered));
    let clip = append(&store, 0, "published").unwrap();
    store.disk.fail_after(SimOp::Write, 1, io::ErrorKind::Other);
    append(&store, 1, "elsewhere").expect("it goes to a fresh segment");
    assert!(store.reads_as(&clip, "published"));
    let store = store.reopen();
    assert!(store.reads_as(&clip, "published"), "{:?}", store.store.opening());
}

#[test]
fn a_sealed_segment_whose_footer_is_lost_is_read_and_reported_by_verify() {
    let store = TestStore::new();
    let clip = store.sealed_clip("porch", 0, "sealed");
    let path = store.segment_files().pop().unwrap();
    let bytes = store.disk.contents(&path).unwrap();
    let footer = bytes.windows(8).position(|window| window == b"CLIPFTR\0").unwrap();
    store.disk.corrupt(&path, u64::try_from(footer).unwrap() + 40, 1);
    let report = store.store.verify(VerifyDepth::Headers, &mut |_| ()).unwrap();
    assert_eq!(report.faults.len(), 1, "{report:?}");
    assert!(store.reads_as(&clip, "sealed"));
}

#[test]
fn a_clip_that_lost_its_first_header_is_found_and_its_rest_is_kept() {
    let store = TestStore::new();
    let clip = store.sized_clip("porch", 0, "headless", 1_500_000);
    store.sized_clip("garage", 0, "other", 2_200_000);
    let (path, at) = place_of(&store, "headless");
    let disk = store.disk.clone();
    let store = store.reopen_with(|options| {
        lose_header(&disk, &path, at);
        options
    });
    let rest = |store: &TestStore| {
        let reader = store.store.read(clip.id()).unwrap();
        let chunks: Vec<_> = reader.chunks(0..reader.clip().len()).unwrap().collect();
        assert!(chunks[0].is_err(), "the lost bytes are an error");
        let good = chunks.iter().flatten().map(bytes::Bytes::len).sum::<usize>();
        assert!(good > 400_000, "{good} bytes");
        good
    };
    assert_eq!(store.listed(clip.camera()), [clip.id()]);
    let good = rest(&store);
    store.store.seal().unwrap();
    let store = store.reopen();
    assert_eq!(rest(&store), good, "from the footer");
    store.keep("porch", minutes(0, 1));
    store.pass(11 * DAY);
    store.sweep();
    assert_ne!(store.segment_files(), [path], "it was moved");
    assert_eq!(rest(&store), good, "from its copy");
    let store = store.reopen();
    assert_eq!(store.listed(clip.camera()), [clip.id()]);
}

#[test]
fn of_a_clip_of_several_records_that_was_cut_off_nothing_is_left() {
    let store = TestStore::new();
    let kept = append(&store, 0, "kept").unwrap();
    store.sized_clip("porch", 1, "cut", 2_500_000);
    let (path, at) = place_of(&store, "cut");
    let store = lose_power_and_flip(store, &path, at + 1_500_000);
    assert_eq!(store.listed(kept.camera()), [kept.id()], "{:?}", store.store.opening());
    let later = append(&store, 2, "later").unwrap();
    let store = store.reopen();
    assert_eq!(store.listed(kept.camera()), [kept.id(), later.id()]);
    assert!(store.store.opening().problems.is_empty(), "{:?}", store.store.opening());
}

#[test]
fn of_a_fragment_of_several_records_that_was_cut_off_nothing_is_left() {
    let store = TestStore::new();
    let mut recorder = store.store.record(NewClip::starting(&camera("porch"), at(0))).unwrap();
    recorder.write(marked("first", 30_000), Duration::from_secs(2)).unwrap();
    recorder.write(marked("second", 1_500_000), Duration::from_secs(2)).unwrap();
    let (path, place) = place_of(&store, "second");
    let clip = recorder.clips()[0];
    std::mem::forget(recorder);
    let store = lose_power_and_flip(store, &path, place + 1_400_000);
    let found = store.store.clip(clip).unwrap();
    assert_eq!((found.len(), found.state()), (30_000, ClipState::Truncated));
    assert_eq!(found.window().end(), at(0).saturating_add(Duration::from_secs(2)));
    let bytes = store.store.read(clip).unwrap().to_vec().unwrap();
    assert_eq!(bytes, marked("first", 30_000));
    assert_eq!(found.digest(), blake3::hash(&bytes).as_bytes());
    store.store.seal().unwrap();
    let report = store.store.verify(VerifyDepth::Bytes, &mut |_| ()).unwrap();
    assert!(report.faults.is_empty(), "{report:?}");
}

#[test]
fn damage_to_a_clip_of_several_records_does_not_hide_it() {
    let store = TestStore::new();
    let clip = store.sized_clip("porch", 0, "large", 2_500_000);
    append(&store, 1, "after").unwrap();
    let (path, place) = place_of(&store, "large");
    // The header of its third record.
    let third = place - place % 4096 + 2 * (1 << 20) + 2 * 4096;
    let store = lose_power_and(store, |disk| lose_header(disk, &path, third));
    assert!(!store.store.opening().problems.is_empty(), "the damage is told");
    let mut store = store;
    for _ in 0..2 {
        let found = store.store.clip(clip.id()).unwrap();
        assert_eq!((found.len(), found.state()), (2 << 20, ClipState::Truncated));
        store.store.seal().unwrap();
        store = store.reopen();
    }
}

#[test]
fn a_torn_record_between_others_is_not_told_as_damage_later() {
    let store = TestStore::with(|options| options.durability(Durability::Buffered));
    append(&store, 0, "torn").unwrap();
    append(&store, 1, "whole").unwrap();
    let (path, at) = place_of(&store, "torn");
    let mut store = lose_power_and_flip(store, &path, at + 20_000);
    assert_eq!(store.listed(&camera("porch")).len(), 1);
    for minute in 2..5 {
        append(&store, minute, "later").unwrap();
        store.store.sync().unwrap();
        let disk = store.disk.crash_choosing(&mut |_| Fate::Keep);
        let options = store.options.clone().vfs(disk.clone());
        let opened = options.clone().open("store").unwrap();
        store = TestStore { disk, clock: store.clock, options, store: opened };
        assert!(store.store.opening().problems.is_empty(), "{:?}", store.store.opening());
    }
}
