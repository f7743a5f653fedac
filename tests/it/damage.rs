//! Damage: local, reported, never returned as data, never a reason to delete.

use std::ops::Range;

use clipkeep::vfs::sim::{SimDamage, SimOp, SimVfs};
use clipkeep::{Clip, ErrorKind, HoldId, NewClip, NewHold, VerifyDepth};

use crate::store_kit::{
    DAY, SEGMENT_BYTES, TestStore, at, camera, kind_of, marked, minutes, noise,
};

/// The segment file of the only sealed segment and a clip of 200,000 bytes in it, whose payload
/// begins at the given offset.
fn sealed(t: &TestStore) -> (String, Clip, Vec<u8>, u64) {
    let bytes = noise(3, 200_000);
    let new = NewClip::new(&camera("door"), minutes(0, 1));
    let clip = t.store.append(new, bytes.clone()).unwrap();
    t.clip("door", 10, "other");
    t.store.seal().unwrap();
    let path = t.segment_files().remove(0);
    let file = t.disk.contents(&path).unwrap();
    let payload = file.windows(64).position(|window| window == &bytes[..64]).unwrap();
    (path, clip, bytes, u64::try_from(payload).unwrap())
}

fn scramble(t: &TestStore, path: &str, range: Range<u64>) {
    for offset in range {
        t.disk.corrupt(path, offset, 0x5a);
    }
}

/// What a check of every byte finds.
fn faults(t: &TestStore) -> usize {
    t.store.verify(VerifyDepth::Bytes, &mut |_| ()).unwrap().faults.len()
}

#[test]
fn a_flipped_bit_costs_its_chunk_and_no_more() {
    let t = TestStore::new();
    let (path, clip, bytes, payload) = sealed(&t);
    assert_eq!(faults(&t), 0);
    t.disk.corrupt(&path, payload + 70_000, 1);
    let t = t.reopen();
    for reader in [t.store.read(clip.id()).unwrap(), t.store.read_copied(clip.id()).unwrap()] {
        assert_eq!(kind_of(reader.to_vec()), ErrorKind::Corrupt);
        let chunks: Vec<_> = reader.chunks(0..200_000).unwrap().collect();
        let good: Vec<_> = chunks.iter().map(Result::is_ok).collect();
        assert_eq!(good, [true, false, true, true]);
        assert!(*chunks[0].as_ref().unwrap() == bytes[..65_536]);
        assert!(*chunks[2].as_ref().unwrap() == bytes[131_072..196_608]);
        let error = reader.read_at(70_000, &mut [0; 1]).unwrap_err();
        assert!(error.path().is_some() && error.offset().is_some(), "{error}");
    }
    assert_eq!(faults(&t), 1);
    assert!(t.store.verify(VerifyDepth::Headers, &mut |_| ()).unwrap().faults.is_empty());
}

#[test]
fn a_bad_sector_costs_its_chunk_and_no_more() {
    let t = TestStore::new();
    let (path, clip, bytes, payload) = sealed(&t);
    t.disk.bad_sector(&path, payload..payload + 512);
    let reader = t.store.read_copied(clip.id()).unwrap();
    assert_eq!(kind_of(reader.read_at(0, &mut [0; 1])), ErrorKind::Corrupt);
    let mut rest = vec![0; 200_000 - 65_536];
    reader.read_at(65_536, &mut rest).unwrap();
    assert!(rest == bytes[65_536..]);
    let other = t.store.clips(&camera("door"), minutes(10, 11)).unwrap().next().unwrap();
    assert!(t.reads_as(&other, "other"));
}

/// A store with one sealed clip of 2,500,000 bytes: its segment's file, the clip, its bytes, and
/// where they begin in the file.
fn long() -> (TestStore, String, Clip, Vec<u8>, u64) {
    let t = TestStore::new();
    let bytes = noise(3, 2_500_000);
    let new = NewClip::new(&camera("door"), minutes(0, 1));
    let clip = t.store.append(new, bytes.clone()).unwrap();
    t.store.seal().unwrap();
    let path = t.segment_files().remove(0);
    let file = t.disk.contents(&path).unwrap();
    let payload = file.windows(64).position(|window| window == &bytes[..64]).unwrap();
    (t, path, clip, bytes, u64::try_from(payload).unwrap())
}

#[test]
fn a_clip_out_of_a_kept_map_fails_chunk_by_chunk() {
    for bad_sector in [false, true] {
        let (t, path, clip, bytes, payload) = long();
        // The first reading goes past the page cache.
        assert!(t.store.read(clip.id()).unwrap().to_vec().unwrap() == bytes);
        let damaged = payload + 5 * 65_536 + 1000;
        if bad_sector {
            t.disk.bad_sector(&path, damaged..damaged + 512);
        } else {
            t.disk.corrupt(&path, damaged, 1);
        }
        let reads = t.disk.stats().reads;
        let reader = t.store.read(clip.id()).unwrap();
        let chunks: Vec<_> = reader.chunks(0..2_500_000).unwrap().collect();
        assert_eq!(t.disk.stats().reads, reads, "all out of a map");
        assert_eq!(chunks.len(), bytes.chunks(65_536).len());
        for (number, (chunk, bytes)) in chunks.iter().zip(bytes.chunks(65_536)).enumerate() {
            match chunk {
                Ok(chunk) => assert!(*chunk == *bytes, "chunk {number}"),
                Err(error) => {
                    assert_eq!((number, error.kind()), (5, ErrorKind::Corrupt));
                    assert_eq!(error.offset(), Some(damaged - 1000));
                }
            }
        }
        assert!(chunks[5].is_err());
    }
}

#[test]
fn what_became_damaged_after_one_reader_is_found_by_the_next() {
    let (t, path, clip, bytes, payload) = long();
    for _ in 0..2 {
        assert!(t.store.read(clip.id()).unwrap().to_vec().unwrap() == bytes);
    }
    assert_eq!(t.disk.stats().maps, 1, "the next reader has the same map");
    t.disk.corrupt(&path, payload + 70_000, 1);
    let reader = t.store.read(clip.id()).unwrap();
    assert_eq!(kind_of(reader.to_vec()), ErrorKind::Corrupt);
    let good = reader.chunks(0..2_500_000).unwrap().flatten().count();
    assert_eq!(good, bytes.chunks(65_536).len() - 1);
}

#[test]
fn a_damaged_record_header_in_a_sealed_segment_costs_nothing() {
    let t = TestStore::new();
    let (path, clip, bytes, payload) = sealed(&t);
    scramble(&t, &path, 4096..payload);
    let t = t.reopen();
    assert!(t.store.read(clip.id()).unwrap().to_vec().unwrap() == bytes);
}

/// A store with two sealed segments of which the first is damaged at `range` by `damage`.
fn damaged(range: impl FnOnce(&[u8]) -> Range<u64>) -> (TestStore, Clip, Clip, Vec<u8>) {
    let t = TestStore::new();
    let (path, clip, bytes, _) = sealed(&t);
    let later = t.sealed_clip("door", 20, "later");
    let range = range(&t.disk.contents(&path).unwrap());
    scramble(&t, &path, range);
    (t.reopen(), clip, later, bytes)
}

#[test]
fn a_damaged_trailer_is_reported_and_its_clips_are_scanned() {
    let (t, clip, later, bytes) = damaged(|_| SEGMENT_BYTES - 4096..SEGMENT_BYTES);
    assert!(!t.store.opening().problems.is_empty() || t.store.opening().segments_scanned > 0);
    assert!(t.store.read(clip.id()).unwrap().to_vec().unwrap() == bytes);
    assert!(t.reads_as(&later, "later"));
}

#[test]
fn a_damaged_footer_is_reported_and_its_clips_are_scanned() {
    let (t, clip, later, bytes) = damaged(|file| {
        // Behind the records the footer is the last thing before the zeros and the trailer.
        let blocks = file.chunks(4096).collect::<Vec<_>>();
        let used = |block: &&[u8]| block.iter().any(|byte| *byte != 0);
        let last = blocks[..blocks.len() - 1].iter().rposition(used).unwrap();
        let start = u64::try_from(last * 4096).unwrap();
        start..start + 64
    });
    let problems = t.store.opening().problems;
    assert!(!problems.is_empty());
    assert!(problems.iter().all(|error| error.path().is_some()), "{problems:?}");
    assert!(t.store.read(clip.id()).unwrap().to_vec().unwrap() == bytes);
    assert!(t.reads_as(&later, "later"));
}

#[test]
fn a_deleted_clip_is_gone_and_not_unknown_when_nothing_tells_of_its_record() {
    let t = TestStore::new();
    let clip = t.clip("door", 10, "deleted");
    t.sealed_clip("door", 20, "other");
    t.store.delete_clip(clip.id(), "owner", "").unwrap();
    let path = t.segment_files().remove(0);
    let file = t.disk.contents(&path).unwrap();
    let footer = file.windows(8).position(|window| window == b"CLIPFTR\0").unwrap();
    let footer = u64::try_from(footer).unwrap();
    scramble(&t, &path, 4096..4160);
    scramble(&t, &path, footer..footer + 64);
    let t = t.reopen();
    assert!(!t.store.opening().problems.is_empty());
    t.assert_gone(&clip);
}

#[test]
fn a_damaged_header_block_is_made_up_for_by_its_copy() {
    let (t, clip, later, bytes) = damaged(|_| 0..4096);
    assert!(!t.store.opening().problems.is_empty());
    assert!(t.store.read(clip.id()).unwrap().to_vec().unwrap() == bytes);
    assert!(t.reads_as(&later, "later"));
}

#[test]
fn a_damaged_record_in_an_open_segment_does_not_hide_later_ones() {
    let t = TestStore::new();
    let clips: Vec<_> = (0..5).map(|n| t.clip("door", n, "a")).collect();
    let path = t.segment_files().remove(0);
    // The second record takes the five blocks from block 1 + 5 on.
    scramble(&t, &path, 6 * 4096..11 * 4096);
    let t = t.reopen();
    let readable: Vec<_> = clips.iter().map(|clip| t.reads_as(clip, "a")).collect();
    assert_eq!(readable, [true, false, true, true, true]);
    assert!(!t.store.opening().problems.is_empty());
    let new = t.clip("door", 9, "new");
    assert!(t.reopen().reads_as(&new, "new"));
}

#[test]
fn a_missing_segment_is_reported_and_the_rest_works() {
    use clipkeep::vfs::Vfs;
    let t = TestStore::new();
    let (lost, kept) = (t.sealed_clip("door", 0, "lost"), t.sealed_clip("door", 1, "kept"));
    t.disk.remove(&t.files_with("lost")[0]).unwrap();
    assert_eq!(faults(&t), 1, "also while the store is open");
    let t = t.reopen();
    let problems = t.store.opening().problems;
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].kind(), ErrorKind::Corrupt);
    assert!(t.reads_as(&kept, "kept"));
    assert!(t.store.read(lost.id()).is_err());
    assert_eq!(faults(&t), 1);
    t.clip("door", 2, "new");
    t.pass(11 * DAY);
    t.sweep();
    t.assert_gone(&kept);
}

#[test]
fn a_lost_beginning_does_not_cost_the_tail_before_its_time() {
    use clipkeep::vfs::Vfs;
    let t = TestStore::new();
    t.sized_clip("door", 0, "spanning", 6_000_000);
    let kept = t.sealed_clip("door", 20, "kept");
    t.keep("door", minutes(20, 21));
    let files = t.files_with("spanning");
    t.disk.remove(&files[0]).unwrap();
    let t = t.reopen();
    t.pass(DAY);
    drop(t.store.sweep().unwrap());
    assert_eq!(t.files_with("spanning").len(), 1);
    assert!(t.reads_as(&kept, "kept"));
}

/// A clip over two segments, of which somebody took away the first.
fn beheaded(held: bool) -> (TestStore, Clip, Option<HoldId>) {
    use clipkeep::vfs::Vfs;
    let t = TestStore::new();
    let clip = t.sized_clip("door", 10, "spanning", 6_000_000);
    t.sealed_clip("yard", 20, "neighbour");
    let hold = held.then(|| t.keep("door", minutes(10, 11)));
    let files = t.files_with("spanning");
    assert_eq!(files.len(), 2);
    t.disk.remove(&files[0]).unwrap();
    (t.reopen(), clip, hold)
}

#[test]
fn the_tail_of_a_held_clip_stays_when_its_beginning_was_taken_away() {
    let (t, clip, hold) = beheaded(true);
    assert_eq!(t.store.opening().problems.len(), 1, "{:?}", t.store.opening().problems);
    assert_eq!(kind_of(t.store.clip(clip.id())), ErrorKind::Corrupt);
    assert_eq!(faults(&t), 1);
    t.pass(11 * DAY);
    for _ in 0..3 {
        t.sweep();
    }
    assert_eq!(t.files_with("spanning").len(), 1, "half of a held clip was removed");
    assert_eq!(t.files_with("neighbour"), [""; 0]);
    let t = t.reopen();
    assert_eq!(t.store.opening().problems.len(), 1);
    assert_eq!(t.files_with("spanning").len(), 1);
    t.release_keep(hold.unwrap());
    t.sweep();
    assert!(t.segment_files().is_empty());
    assert_eq!(kind_of(t.store.clip(clip.id())), ErrorKind::Expired);
    assert!(t.reopen().store.opening().problems.is_empty());
}

#[test]
fn a_segment_that_was_taken_away_is_told_until_its_time_is_over() {
    let (t, _, _) = beheaded(false);
    let t = t.reopen();
    assert_eq!(t.store.opening().problems.len(), 1);
    t.pass(9 * DAY);
    t.sweep();
    assert_eq!(t.files_with("spanning").len(), 1);
    t.pass(2 * DAY);
    t.sweep();
    assert!(t.segment_files().is_empty());
    let t = t.reopen();
    assert!(t.store.opening().problems.is_empty(), "{:?}", t.store.opening().problems);
    assert_eq!(faults(&t), 0);
}

/// A store whose only segment could not be sealed.
fn unsealed() -> TestStore {
    let t = TestStore::new();
    t.clip("door", 0, "a");
    t.disk.fail_after(SimOp::Sync, 1, std::io::ErrorKind::Other);
    t.store.seal().unwrap();
    assert_eq!(t.store.problems().len(), 1);
    t
}

#[test]
fn a_segment_that_was_never_sealed_is_told_when_it_is_missing() {
    use clipkeep::vfs::Vfs;
    let t = unsealed();
    t.disk.remove(&t.segment_files()[0]).unwrap();
    let t = t.reopen();
    assert_eq!(t.store.opening().problems.len(), 1, "{:?}", t.store.opening().problems);
    assert_eq!(faults(&t), 1);
    t.pass(11 * DAY);
    t.sweep();
    let t = t.reopen();
    assert!(t.store.opening().problems.is_empty(), "{:?}", t.store.opening().problems);
    assert_eq!(faults(&t), 0);
}

#[test]
fn a_segment_that_cannot_be_opened_is_told_once_and_not_taken_for_missing() {
    let t = TestStore::new();
    t.sealed_clip("door", 0, "a");
    let file = t.segment_files().remove(0);
    let len = u64::try_from(t.disk.contents(&file).unwrap().len()).unwrap();
    t.disk.bad_sector(&file, 0..len);
    let mut t = t;
    for _ in 0..2 {
        t = t.reopen();
        assert_eq!(t.store.opening().problems.len(), 1, "{:?}", t.store.opening().problems);
        t.pass(11 * DAY);
        t.sweep();
        assert!(t.ledger().iter().all(|line| line.kind != "segment-dropped"), "its file is there");
    }
    assert!(t.disk.files().contains(&file));
}

#[test]
fn a_segment_that_was_never_sealed_and_is_expired_and_gone_is_put_on_record_as_dropped() {
    use clipkeep::vfs::Vfs;
    let t = unsealed();
    t.pass(11 * DAY);
    t.disk.fail_from(SimOp::Remove, 1, std::io::ErrorKind::Other);
    t.store.sweep().unwrap().problems.pop().unwrap();
    t.disk.clear_faults();
    t.disk.remove(&t.segment_files()[0]).unwrap();
    let drops =
        |t: &TestStore| t.ledger().iter().filter(|line| line.kind == "segment-dropped").count();
    assert_eq!(drops(&t), 0);
    let mut t = t;
    for _ in 0..2 {
        t = t.reopen();
        assert!(t.store.opening().problems.is_empty(), "{:?}", t.store.opening().problems);
        assert_eq!(drops(&t), 1, "once");
    }
}

#[test]
fn unknown_files_are_left_alone_and_reported() {
    use clipkeep::vfs::Vfs;
    let t = TestStore::new();
    let clip = t.clip("door", 0, "a");
    let strange = ["segments/notes.txt", "segments/0000-1.seg", "spare/movie.mp4"];
    for path in strange {
        t.disk.create(path, 4096).unwrap();
    }
    let t = t.reopen();
    assert_eq!(t.store.opening().problems.len(), 3, "{:?}", t.store.opening().problems);
    t.pass(11 * DAY);
    t.store.seal().unwrap();
    t.sweep();
    t.assert_gone(&clip);
    let t = t.reopen();
    for path in strange {
        assert!(t.disk.files().contains(&path.to_owned()), "{path}");
    }
}

#[test]
fn a_segment_of_another_store_is_left_alone_and_reported() {
    use clipkeep::vfs::Vfs;
    let other = TestStore::with(|options| options.vfs(clipkeep::vfs::sim::SimVfs::new(9)));
    drop(other);
    let (a, b) = (TestStore::new(), TestStore::new());
    b.sealed_clip("door", 0, "foreign");
    let clip = a.sealed_clip("door", 0, "a");
    let path = b.segment_files().remove(0);
    let bytes = b.disk.contents(&path).unwrap();
    let foreign = "segments/0000-000000ff.seg";
    let file = a.disk.create(foreign, u64::try_from(bytes.len()).unwrap()).unwrap();
    file.write_at(0, &[&bytes]).unwrap();
    let a = a.reopen();
    assert_eq!(a.store.opening().problems.len(), 1, "{:?}", a.store.opening().problems);
    a.pass(11 * DAY);
    a.sweep();
    a.assert_gone(&clip);
    assert!(a.disk.files().contains(&foreign.to_owned()));
}

#[test]
fn a_truncated_segment_is_reported_and_the_rest_works() {
    use clipkeep::vfs::Vfs;
    let t = TestStore::new();
    let cut = t.sealed_clip("door", 0, "cut");
    let kept = t.sealed_clip("door", 1, "kept");
    for len in [8192, 4096, 100, 0] {
        let path =
            t.files_with("cut").first().cloned().unwrap_or("segments/0000-00000001.seg".into());
        t.disk.open(&path, true).unwrap().truncate(len).unwrap();
        let again = t.store.clone();
        drop(again);
    }
    let t = t.reopen();
    assert!(!t.store.opening().problems.is_empty());
    assert!(t.reads_as(&kept, "kept"));
    assert!(t.store.read(cut.id()).is_err());
    t.clip("door", 2, "new");
}

/// Scrambles the entries of one copy of the ledger, behind the first ones.
fn scramble_ledger(t: &TestStore, copy: &str) {
    let path = format!("ledger/{copy}/00000000.log");
    let bytes = t.disk.contents(&path).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    let end = u64::try_from(end).unwrap();
    scramble(t, &path, end - 100..end);
}

#[test]
fn one_damaged_copy_of_the_ledger_is_repaired_from_the_other() {
    for copy in ["a", "b"] {
        let t = TestStore::new();
        let held = t.clip("door", 10, "held");
        t.sealed_clip("door", 20, "free");
        let hold = t.keep("door", minutes(10, 11));
        t.store.sync().unwrap();
        scramble_ledger(&t, copy);
        let t = t.reopen();
        let opening = t.store.opening();
        assert!(!opening.repairs.is_empty(), "copy {copy}");
        assert_eq!(opening.deletion_frozen, None);
        assert!(t.store.hold(hold).unwrap().protects());
        t.pass(11 * DAY);
        t.sweep();
        assert!(t.reads_as(&held, "held"));
        let t = t.reopen();
        assert!(t.store.opening().repairs.is_empty());
        assert_eq!(faults(&t), 0);
    }
}

#[test]
fn an_unreadable_ledger_deletes_nothing_and_goes_on_recording() {
    let t = TestStore::new();
    let held = t.clip("door", 10, "held");
    let due = t.sealed_clip("door", 20, "due");
    t.keep("door", minutes(10, 11));
    t.sweep();
    scramble_ledger(&t, "a");
    scramble_ledger(&t, "b");
    let t = t.reopen();
    assert!(t.store.opening().deletion_frozen.is_some());
    assert!(t.store.stats().unwrap().deletion_frozen.is_some());
    t.pass(300 * DAY);
    assert_eq!(kind_of(t.store.sweep()), ErrorKind::Corrupt);
    let hold = NewHold::new([camera("door")], minutes(0, 60));
    assert_eq!(kind_of(t.store.place_hold(hold)), ErrorKind::Corrupt);
    assert_eq!(kind_of(t.store.delete_clip(due.id(), "o", "")), ErrorKind::Corrupt);
    assert_eq!(kind_of(t.store.erase_clip(due.id(), "o", "")), ErrorKind::Corrupt);
    assert!(t.reads_as(&held, "held") && t.reads_as(&due, "due"));
    let new = t.clip("door", 30, "new");
    assert!(t.reads_as(&new, "new"));
    let mut recorder = t.store.record(NewClip::starting(&camera("yard"), at(0))).unwrap();
    recorder.write(marked("b", 100), std::time::Duration::from_secs(1)).unwrap();
    recorder.finish().unwrap();
    let t = t.reopen();
    assert!(t.store.opening().deletion_frozen.is_some());
    assert!(t.reads_as(&held, "held") && t.reads_as(&due, "due") && t.reads_as(&new, "new"));
}

#[test]
fn no_clip_id_is_given_twice_while_the_ledger_cannot_be_read() {
    let t = TestStore::new();
    let gone = t.sealed_clip("door", 10, "gone");
    t.pass(11 * DAY);
    t.sweep();
    t.assert_gone(&gone);
    // Nothing is left that tells of its segment.
    for path in t.disk.files().into_iter().filter(|path| path.starts_with("ledger/")) {
        scramble(&t, &path, 4096..4160);
    }
    let mut given = vec![gone.id()];
    let mut t = t;
    for minute in [20, 30] {
        t = t.reopen();
        assert!(t.store.opening().deletion_frozen.is_some());
        let new = t.clip("door", minute, "new").id();
        assert!(given.iter().all(|id| *id < new), "{new} after {given:?}");
        given.push(new);
    }
}

#[test]
fn an_unreadable_ledger_is_not_overcome_by_a_full_quota() {
    let t = TestStore::with(|options| options.quota(3 * SEGMENT_BYTES));
    let clips: Vec<_> = (0..3).map(|n| t.sized_clip("door", n, "a", 3_900_000)).collect();
    t.keep("door", minutes(0, 1));
    t.store.sync().unwrap();
    scramble_ledger(&t, "a");
    scramble_ledger(&t, "b");
    let t = t.reopen();
    let new = NewClip::new(&camera("door"), minutes(50, 51));
    let refused = t.store.append(new, marked("new", 3_900_000)).unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Full | ErrorKind::Corrupt), "{refused:?}");
    assert!(clips.iter().all(|clip| t.reads_as(clip, "a")));
}

#[test]
fn held_clips_with_damage_move_with_their_damage() {
    let t = TestStore::new();
    let (path, clip, bytes, payload) = sealed(&t);
    t.keep("door", minutes(0, 1));
    t.disk.corrupt(&path, payload + 70_000, 1);
    let t = t.reopen();
    t.pass(11 * DAY);
    t.sweep();
    assert_eq!(t.files_with("other"), [""; 0]);
    let reader = t.store.read(clip.id()).unwrap();
    let chunks: Vec<_> = reader.chunks(0..200_000).unwrap().map(|chunk| chunk.is_ok()).collect();
    assert_eq!(chunks, [true, false, true, true]);
    let mut head = vec![0; 65_536];
    reader.read_at(0, &mut head).unwrap();
    assert!(head == bytes[..65_536]);
}

#[test]
fn a_copy_that_was_damaged_on_its_way_does_not_replace_a_source_with_damage() {
    let mut refused = 0;
    for (seed, nth) in (0..8).flat_map(|seed| (1..12).map(move |nth| (seed, nth))) {
        let disk = SimVfs::new(seed);
        let t = TestStore::with(|options| options.vfs(disk.clone()));
        let t = TestStore { disk, ..t };
        let (path, clip, _, payload) = sealed(&t);
        t.keep("door", minutes(0, 1));
        t.disk.corrupt(&path, payload + 10_000, 1);
        let t = t.reopen();
        t.pass(11 * DAY);
        t.disk.damage_after(SimDamage::BitFlipped, nth);
        refused += t.store.sweep().unwrap().problems.len();
        let reader = t.store.read_copied(clip.id()).unwrap();
        let good: Vec<_> = reader.chunks(0..200_000).unwrap().map(|chunk| chunk.is_ok()).collect();
        assert_eq!(good, [false, true, true, true], "disk {seed}, write {nth}");
    }
    assert!(refused > 0, "no write of a copy was damaged");
}
