//! Reading clips, also while they expire.

use std::io::{Read, Seek, SeekFrom};

use bytes::Bytes;
use clipkeep::vfs::Vfs;
use clipkeep::{Clip, ErrorKind, NewClip, WhenFull};

use crate::store_kit::{DAY, SEGMENT_BYTES, TestStore, camera, kind_of, marked, minutes, noise};

/// A clip of 2,500,000 bytes in a sealed segment.
fn large(t: &TestStore) -> (Clip, Vec<u8>) {
    let bytes = noise(5, 2_500_000);
    let new = NewClip::new(&camera("door"), minutes(0, 1));
    let clip = t.store.append(new, bytes.clone()).unwrap();
    (clip, bytes)
}

#[test]
fn ranges_come_back_at_any_offset() {
    let t = TestStore::new();
    let (clip, bytes) = large(&t);
    for sealed in [false, true] {
        if sealed {
            t.store.seal().unwrap();
        }
        let reader = t.store.read(clip.id()).unwrap();
        for (offset, len) in [
            (0, 0),
            (0, 1),
            (65_535, 2),
            (65_536, 65_536),
            (1, 200_000),
            (1_048_575, 2),
            (2_499_999, 1),
            (2_500_000, 0),
            (0, 2_500_000),
        ] {
            let mut buf = vec![0; len];
            reader.read_at(u64::try_from(offset).unwrap(), &mut buf).unwrap();
            assert!(buf == bytes[offset..offset + len], "{offset} + {len}, sealed: {sealed}");
        }
    }
}

#[test]
fn ranges_outside_the_clip_are_refused() {
    let t = TestStore::new();
    let (clip, _) = large(&t);
    let reader = t.store.read(clip.id()).unwrap();
    for offset in [2_500_000, 2_499_999, u64::MAX] {
        assert_eq!(kind_of(reader.read_at(offset, &mut [0; 2])), ErrorKind::InvalidInput);
    }
    assert!(reader.chunks(0..2_500_001).is_err());
    #[expect(clippy::reversed_empty_ranges, reason = "a caller's mistake")]
    let reversed = reader.chunks(5..4).is_err();
    assert!(reversed);
}

#[test]
fn chunks_begin_and_end_where_asked() {
    let t = TestStore::new();
    let (clip, bytes) = large(&t);
    t.store.seal().unwrap();
    let reader = t.store.read(clip.id()).unwrap();
    for (from, to) in [(0, 2_500_000), (12_345, 1_234_567), (65_537, 65_539), (7, 7)] {
        let range = u64::try_from(from).unwrap()..u64::try_from(to).unwrap();
        let chunks: Vec<Bytes> = reader.chunks(range).unwrap().map(Result::unwrap).collect();
        assert!(chunks.iter().all(|chunk| !chunk.is_empty() && chunk.len() <= 65_536));
        assert!(chunks.concat() == bytes[from..to], "{from}..{to}");
    }
}

#[test]
fn a_reader_reads_and_seeks_like_a_file() {
    let t = TestStore::new();
    let (clip, bytes) = large(&t);
    let mut reader = t.store.read(clip.id()).unwrap();
    let mut whole = Vec::new();
    reader.read_to_end(&mut whole).unwrap();
    assert!(whole == bytes);
    assert_eq!(reader.seek(SeekFrom::End(-10)).unwrap(), 2_499_990);
    let mut tail = Vec::new();
    reader.read_to_end(&mut tail).unwrap();
    assert_eq!(tail, bytes[2_499_990..]);
    reader.seek(SeekFrom::Start(100)).unwrap();
    assert_eq!(reader.seek(SeekFrom::Current(-50)).unwrap(), 50);
    let mut four = [0; 4];
    reader.read_exact(&mut four).unwrap();
    assert_eq!(four, bytes[50..54]);
    assert!(reader.seek(SeekFrom::Current(-1000)).is_err());
    reader.seek(SeekFrom::Start(u64::MAX)).unwrap();
    assert_eq!(reader.read(&mut four).unwrap(), 0);
}

#[test]
fn reading_in_small_steps_reads_and_checks_each_chunk_once() {
    let t = TestStore::new();
    let (clip, bytes) = large(&t);
    t.store.seal().unwrap();
    for mapped in [false, true] {
        let clip = clip.id();
        let reader = if mapped { t.store.read(clip) } else { t.store.read_copied(clip) };
        let (mut reader, mut back) = (reader.unwrap(), Vec::new());
        let before = t.disk.stats().reads;
        for step in bytes.chunks(1000) {
            let mut buf = vec![0; step.len()];
            reader.read_exact(&mut buf).unwrap();
            back.extend_from_slice(&buf);
            if back.len() == 1_300_000 {
                let mut other = reader.clone();
                other.seek(SeekFrom::Current(-1_000_000)).unwrap();
                other.read_exact(&mut buf).unwrap();
                assert!(buf == bytes[300_000..301_000], "elsewhere, by a clone");
            }
        }
        assert!(back == bytes, "mapped: {mapped}");
        let reads = t.disk.stats().reads - before;
        assert!(reads <= 50, "{reads} for 39 chunks, mapped: {mapped}");
    }
}

#[test]
fn a_range_over_two_records_is_fetched_from_each_at_once() {
    let t = TestStore::new();
    let (clip, bytes) = large(&t);
    t.store.seal().unwrap();
    let reader = t.store.read_copied(clip.id()).unwrap();
    let (from, len) = ((1 << 20) - 150_000, 300_000);
    let mut buf = vec![0; len];
    let before = t.disk.stats().reads;
    reader.read_at(u64::try_from(from).unwrap(), &mut buf).unwrap();
    assert_eq!(t.disk.stats().reads - before, 2, "and not chunk by chunk");
    assert!(buf == bytes[from..from + len]);
}

#[test]
fn reading_in_order_stops_at_a_damaged_chunk_and_goes_on_behind_it() {
    let t = TestStore::new();
    let (clip, bytes) = large(&t);
    t.store.seal().unwrap();
    // In the sixth chunk of the first record, which begins behind the segment's header.
    t.disk.corrupt(&t.segment_files()[0], 350_000, 0x41);
    for mapped in [false, true] {
        let clip = clip.id();
        let reader = if mapped { t.store.read(clip) } else { t.store.read_copied(clip) };
        let (mut reader, mut before) = (reader.unwrap(), vec![0; 5 * 65_536]);
        reader.read_exact(&mut before).unwrap();
        assert!(before == bytes[..before.len()], "mapped: {mapped}");
        for _ in 0..2 {
            let error = reader.read(&mut [0; 100]).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::InvalidData, "mapped: {mapped}");
            assert_eq!(reader.stream_position().unwrap(), 5 * 65_536, "nothing was read");
        }
        reader.seek(SeekFrom::Current(65_536)).unwrap();
        let mut behind = Vec::new();
        reader.read_to_end(&mut behind).unwrap();
        assert!(behind == bytes[6 * 65_536..], "mapped: {mapped}");
    }
}

#[test]
fn a_reader_survives_the_sweep_that_removes_its_file() {
    let t = TestStore::new();
    let (clip, bytes) = large(&t);
    t.store.seal().unwrap();
    let mapped = t.store.read(clip.id()).unwrap();
    let copied = t.store.read_copied(clip.id()).unwrap();
    let chunk = mapped.chunks(0..1000).unwrap().next().unwrap().unwrap();
    t.pass(11 * DAY);
    t.sweep();
    t.assert_gone(&clip);
    assert!(t.segment_files().is_empty());
    assert!(t.store.stats().unwrap().ghost_bytes >= 2_500_000);
    assert!(mapped.to_vec().unwrap() == bytes);
    assert!(copied.to_vec().unwrap() == bytes);
    drop((mapped, copied));
    assert_eq!(chunk, bytes[..1000]);
    assert!(t.store.stats().unwrap().ghost_bytes > 0, "the chunk keeps the map");
    drop(chunk);
    assert_eq!(t.store.stats().unwrap().ghost_bytes, 0);
}

#[test]
fn what_readers_keep_alive_is_counted_also_where_nothing_is_mapped() {
    let t = TestStore::new();
    let (clip, bytes) = large(&t);
    t.store.seal().unwrap();
    let file_bytes = t.store.stats().unwrap().file_bytes;
    let copied = t.store.read_copied(clip.id()).unwrap();
    t.pass(11 * DAY);
    t.sweep();
    let stats = t.store.stats().unwrap();
    assert_eq!(stats.file_bytes + stats.ghost_bytes, file_bytes);
    assert!(copied.to_vec().unwrap() == bytes);
    drop(copied);
    assert_eq!(t.store.stats().unwrap().ghost_bytes, 0);
}

#[test]
fn of_removed_segments_that_are_not_mapped_only_so_many_are_kept_for_readers() {
    let t = TestStore::with(|options| options.lease_segments_max(2));
    let clips: Vec<_> = (0..5).map(|minute| t.sealed_clip("door", minute, "read")).collect();
    let readers: Vec<_> =
        clips.iter().map(|clip| t.store.read_copied(clip.id()).unwrap()).collect();
    let file_bytes = t.store.stats().unwrap().file_bytes;
    t.pass(11 * DAY);
    t.sweep();
    let (gone, kept) = readers.split_at(3);
    for reader in gone {
        assert_eq!(kind_of(reader.to_vec()), ErrorKind::Expired);
    }
    for reader in kept {
        assert!(reader.to_vec().is_ok(), "the newest are read to their end");
    }
    assert!(t.store.stats().unwrap().ghost_bytes <= file_bytes / 5 * 2);
    drop(readers);
    assert_eq!(t.store.stats().unwrap().ghost_bytes, 0);
}

#[test]
fn a_quota_counts_what_readers_keep_alive() {
    let quota = 4 * SEGMENT_BYTES;
    let t = TestStore::with(|options| options.quota(quota).when_full(WhenFull::DropOldest));
    let mut readers = Vec::new();
    for minute in 0..12 {
        let clip = t.sized_clip("door", minute, "a", 3_500_000);
        if minute < 3 {
            readers.push(t.store.read(clip.id()).unwrap());
        }
        // What the disk really has: names and ghosts, without spare files and the ledger.
        let stats = t.store.stats().unwrap();
        let files = t.segment_files().into_iter();
        let named = files.map(|path| t.disk.open(&path, false).unwrap().allocated().unwrap());
        let named: u64 = named.sum();
        assert!(named + stats.ghost_bytes <= quota, "{named} and {} ghosts", stats.ghost_bytes);
    }
    assert!(t.store.stats().unwrap().ghost_bytes > 2 * SEGMENT_BYTES);
    for reader in &readers {
        assert!(reader.to_vec().unwrap() == marked("a", 3_500_000));
    }
    drop(readers);
    assert_eq!(t.store.stats().unwrap().ghost_bytes, 0);
    t.sized_clip("door", 20, "a", 3_500_000);
}

#[test]
fn a_reader_survives_the_store() {
    let t = TestStore::new();
    let (clip, bytes) = large(&t);
    t.store.seal().unwrap();
    let reader = t.store.read(clip.id()).unwrap();
    drop(t.store);
    assert!(reader.to_vec().unwrap() == bytes);
}

/// Another opening knows nothing of the reader: what it deletes it would erase in its hands, and
/// what it drops it would zero.
#[test]
fn nobody_opens_a_store_while_a_reader_of_the_one_before_is_left() {
    let t = TestStore::new();
    let (clip, bytes) = large(&t);
    t.store.seal().unwrap();
    let reader = t.store.read(clip.id()).unwrap();
    let chunk = reader.chunks(0..1000).unwrap().next().unwrap().unwrap();
    t.store.clone().close().unwrap();
    let options = t.options;
    drop(t.store);
    let open = || options.clone().open("store");
    assert_eq!(kind_of(open()), ErrorKind::Locked);
    drop(reader);
    assert_eq!(kind_of(open()), ErrorKind::Locked, "a chunk is left");
    assert!(chunk[..] == bytes[..1000]);
    drop(chunk);
    let store = open().unwrap();
    assert!(store.read(clip.id()).unwrap().to_vec().unwrap() == bytes);
}

#[test]
fn a_deleted_clip_is_punched_only_when_its_reader_has_let_go() {
    let t = TestStore::new();
    let (clip, bytes) = large(&t);
    let neighbour = t.sealed_clip("yard", 0, "neighbour");
    let marker_clip = t.clip("door", 10, "deleted");
    t.clip("yard", 10, "neighbour-too");
    t.store.seal().unwrap();
    let reader = t.store.read(marker_clip.id()).unwrap();
    let large_reader = t.store.read(clip.id()).unwrap();
    t.store.delete_clip(marker_clip.id(), "owner", "").unwrap();
    t.assert_gone(&marker_clip);
    assert_eq!(t.sweep().clips_awaiting_readers, 1);
    assert_eq!(t.files_with("deleted").len(), 1);
    assert_eq!(reader.to_vec().unwrap(), marked("deleted", 20_000));
    drop(reader);
    assert_eq!(t.sweep().clips_awaiting_readers, 0);
    assert_eq!(t.files_with("deleted"), [""; 0]);
    assert!(t.reads_as(&neighbour, "neighbour"));
    assert!(large_reader.to_vec().unwrap() == bytes);
}

#[test]
fn above_the_limit_of_mapped_segments_reads_copy() {
    let t = TestStore::with(|options| options.lease_segments_max(1));
    let clips: Vec<_> = (0..2).map(|n| t.sealed_clip("door", n, "a")).collect();
    let readers: Vec<_> = clips.iter().map(|clip| t.store.read(clip.id()).unwrap()).collect();
    let reads = t.disk.stats().reads;
    assert_eq!(readers[0].to_vec().unwrap(), marked("a", 20_000));
    assert_eq!(t.disk.stats().reads, reads, "mapped");
    assert_eq!(readers[1].to_vec().unwrap(), marked("a", 20_000));
    assert!(t.disk.stats().reads > reads, "copied");
    t.pass(11 * DAY);
    t.sweep();
    assert!(readers.iter().all(|reader| reader.to_vec().unwrap() == marked("a", 20_000)));
}

#[test]
fn a_few_maps_are_kept_and_give_way_to_readers() {
    const KEPT_MAX: u64 = 4;
    for (segments_max, kept_max) in [(64, KEPT_MAX), (2, 2), (1, 1), (0, 0)] {
        let t = TestStore::with(|options| options.lease_segments_max(segments_max));
        let clips: Vec<_> = (0..6).map(|n| t.sealed_clip("door", n, "a")).collect();
        assert!(clips.iter().all(|clip| t.reads_as(clip, "a")));
        assert_eq!(t.disk.stats().maps, kept_max, "of {segments_max}");
        let reads = t.disk.stats().reads;
        let readers: Vec<_> = clips[..segments_max.min(6)]
            .iter()
            .map(|clip| t.store.read(clip.id()).unwrap())
            .collect();
        assert!(readers.iter().all(|reader| reader.to_vec().unwrap() == marked("a", 20_000)));
        assert_eq!(t.disk.stats().reads, reads, "all mapped");
        assert!(t.disk.stats().maps <= u64::try_from(segments_max).unwrap());
        drop(readers);
        let disk = t.disk.clone();
        t.store.close().unwrap();
        assert_eq!(disk.stats().maps, 0, "closing lets them go");
    }
}

#[cfg(feature = "bench")]
#[test]
fn the_map_that_was_read_in_last_is_kept_longest() {
    let disk = clipkeep::vfs::sim::SimVfs::new(1);
    let counting = clipkeep::workload::Counting::over(disk);
    let t = TestStore::with(|options| options.vfs(counting.clone()));
    let clips: Vec<_> = (0..5).map(|n| t.sealed_clip("door", n, "a")).collect();
    let maps = |read: &[usize]| {
        let before = counting.counts().maps;
        assert!(read.iter().all(|clip| t.reads_as(&clips[*clip], "a")));
        counting.counts().maps - before
    };
    assert_eq!(maps(&[0, 1, 2, 3]), 4);
    assert_eq!(maps(&[1, 0, 3, 2]), 0, "all of them are kept");
    assert_eq!(maps(&[4]), 1, "and now the second goes");
    assert_eq!(maps(&[0, 3, 2, 4]), 0);
    assert_eq!(maps(&[1]), 1);
}

#[test]
fn what_is_punched_out_is_in_no_map_that_is_kept() {
    let t = TestStore::new();
    let (clip, neighbour) = (t.clip("door", 0, "deleted"), t.clip("yard", 0, "neighbour"));
    t.store.seal().unwrap();
    assert!(t.reads_as(&clip, "deleted"));
    assert_eq!(t.disk.stats().maps, 1);
    t.store.delete_clip(clip.id(), "owner", "").unwrap();
    t.sweep();
    assert_eq!((t.disk.stats().maps, t.files_with("deleted")), (0, Vec::new()));
    assert!(t.reads_as(&neighbour, "neighbour"));
    assert_eq!(t.disk.stats().maps, 1, "it is kept as before");
}

#[test]
fn a_reader_of_a_clip_being_recorded_sees_what_was_durable() {
    let t = TestStore::new();
    let mut recorder =
        t.store.record(NewClip::starting(&camera("door"), crate::store_kit::at(0))).unwrap();
    let second = std::time::Duration::from_secs(1);
    recorder.write(&b"one;"[..], second).unwrap();
    let reader = t.store.read(recorder.clips()[0]).unwrap();
    recorder.write(&b"two;"[..], second).unwrap();
    assert_eq!(reader.to_vec().unwrap(), b"one;");
    assert_eq!(t.store.read(recorder.clips()[0]).unwrap().to_vec().unwrap(), b"one;two;");
}

/// A clip of 40 fragments of 50,000 bytes, in a sealed segment.
fn fragmented(t: &TestStore) -> (Clip, Vec<u8>) {
    let bytes = noise(6, 2_000_000);
    let new = NewClip::starting(&camera("door"), crate::store_kit::at(0));
    let mut recorder = t.store.record(new).unwrap();
    for fragment in bytes.chunks(50_000) {
        recorder.write(fragment.to_vec(), std::time::Duration::from_secs(1)).unwrap();
    }
    let clip = recorder.finish().unwrap();
    t.store.seal().unwrap();
    (clip, bytes)
}

#[test]
fn short_fragments_are_not_fetched_one_by_one() {
    let t = TestStore::new();
    let (clip, bytes) = fragmented(&t);
    let mut reader = t.store.read(clip.id()).unwrap();
    let before = t.disk.stats().reads;
    assert!(reader.to_vec().unwrap() == bytes);
    let mut back = Vec::new();
    reader.read_to_end(&mut back).unwrap();
    assert!(back == bytes);
    assert_eq!(t.disk.stats().reads, before, "mapped");
}

#[test]
fn whoever_goes_to_and_fro_reads_through_the_cache() {
    let t = TestStore::new();
    let (clip, bytes) = large(&t);
    t.store.seal().unwrap();
    let mut reader = t.store.read(clip.id()).unwrap();
    // In order up to where a stretch has parts of two records.
    reader.read_exact(&mut vec![0; 900_000]).unwrap();
    let before = t.disk.stats().reads;
    let mut buf = [0; 4000];
    for turn in 0..50 {
        for place in [950_000, 1_200_000] {
            let from = place + turn * 1000;
            reader.seek(SeekFrom::Start(u64::try_from(from).unwrap())).unwrap();
            reader.read_exact(&mut buf).unwrap();
            assert!(buf == bytes[from..from + 4000]);
        }
    }
    let reads = t.disk.stats().reads - before;
    assert!(reads <= 4, "{reads} for a hundred steps");
}
