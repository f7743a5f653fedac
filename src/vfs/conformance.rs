//! What the trait promises, tested alike on the real file system and on the simulated disk: a
//! simulation that differs from the real thing proves nothing.
//!
//! Durability is not here: no test can cut the power of the machine it runs on. See `sim::tests`.

use std::io::ErrorKind;
use std::sync::Arc;

use bytes::Bytes;

use super::os::OsVfs;
use super::sim::SimVfs;
use super::{Later, Vfs, VfsFile};

const BLOCK: u64 = 4096;

/// Makes each function a test of its name in a module for each implementation.
macro_rules! on_both {
    ($($name:ident)*) => {
        mod os {
            $(#[test]
            fn $name() {
                let folder = tempfile::tempdir().unwrap();
                super::$name(&super::OsVfs::new(folder.path()));
            })*
        }
        mod sim {
            $(#[test]
            fn $name() {
                super::$name(&super::SimVfs::new(1));
            })*
        }
    };
}

on_both! {
    paths_out_of_the_store_are_refused_by_every_call
    a_missing_file_is_not_found
    a_missing_folder_is_not_found
    a_folder_is_not_a_file
    a_new_file_is_zero_and_allocated
    what_was_written_is_found_and_all_else_is_zero
    an_empty_file_can_be_made
    creating_never_replaces
    what_is_written_is_read_by_every_handle
    many_buffers_are_written_in_order
    what_is_written_through_is_seen_by_every_handle_and_map
    anything_can_be_written_through
    what_is_written_beside_is_written_and_the_rest_with_it
    writing_past_the_end_makes_the_file_longer
    reading_past_the_end_is_an_error_and_not_a_short_read
    a_read_only_handle_cannot_change_the_file
    renaming_moves_the_bytes
    renaming_never_replaces
    an_open_file_outlives_its_name
    a_removed_name_can_be_used_again
    folders_are_made_with_their_parents
    a_list_is_sorted_and_marks_folders
    punched_blocks_read_zero_and_are_freed
    punching_past_the_end_keeps_the_length
    punching_parts_of_blocks_is_refused
    zeroed_blocks_read_zero_and_keep_their_space
    zeroing_outside_the_file_or_parts_of_blocks_is_refused
    truncating_frees_and_never_grows
    a_map_shows_the_bytes_and_survives_removal
    a_map_never_goes_past_the_end
    populating_outside_the_map_is_refused
    dropping_the_cache_changes_nothing
    one_writer_excludes_all_others
    readers_share_the_lock_and_exclude_a_writer
    the_lock_file_stays_and_names_the_writer
    syncs_of_what_exists_succeed
    space_shrinks_by_what_is_allocated
    random_bytes_differ
}

fn filled(vfs: &dyn Vfs, path: &str, blocks: u8) -> Arc<dyn VfsFile> {
    let file = vfs.create(path, u64::from(blocks) * BLOCK).unwrap();
    for block in 0..blocks {
        file.write_at(u64::from(block) * BLOCK, &[&[block + 1; 4096]]).unwrap();
    }
    file
}

fn read(file: &dyn VfsFile, offset: u64, len: usize) -> Vec<u8> {
    let mut buf = vec![0xEE; len];
    file.read_at(offset, &mut buf).unwrap();
    assert!(file.read_vec(offset, len).unwrap() == buf);
    buf
}

fn kind<T>(result: std::io::Result<T>) -> ErrorKind {
    result.map(|_| "a success").unwrap_err().kind()
}

fn paths_out_of_the_store_are_refused_by_every_call(vfs: &dyn Vfs) {
    filled(vfs, "a", 1);
    for bad in ["/etc/passwd", "../a", "x/../a", "./a", "a/", "x//a"] {
        assert_eq!(kind(vfs.open(bad, false)), ErrorKind::InvalidInput, "{bad}");
        assert_eq!(kind(vfs.create(bad, 0)), ErrorKind::InvalidInput, "{bad}");
        assert_eq!(kind(vfs.rename(bad, "b")), ErrorKind::InvalidInput, "{bad}");
        assert_eq!(kind(vfs.rename("a", bad)), ErrorKind::InvalidInput, "{bad}");
        assert_eq!(kind(vfs.remove(bad)), ErrorKind::InvalidInput, "{bad}");
        assert_eq!(kind(vfs.list(bad)), ErrorKind::InvalidInput, "{bad}");
        assert_eq!(kind(vfs.create_dir(bad)), ErrorKind::InvalidInput, "{bad}");
        assert_eq!(kind(vfs.sync_dir(bad)), ErrorKind::InvalidInput, "{bad}");
        assert_eq!(kind(vfs.lock(bad, true)), ErrorKind::InvalidInput, "{bad}");
    }
    assert_eq!(vfs.list("").unwrap(), ["a"]);
}

fn a_missing_file_is_not_found(vfs: &dyn Vfs) {
    assert_eq!(kind(vfs.open("a", false)), ErrorKind::NotFound);
    assert_eq!(kind(vfs.open("a", true)), ErrorKind::NotFound);
    assert_eq!(kind(vfs.remove("a")), ErrorKind::NotFound);
    assert_eq!(kind(vfs.rename("a", "b")), ErrorKind::NotFound);
    assert_eq!(vfs.lock_holder("a"), None);
}

fn a_missing_folder_is_not_found(vfs: &dyn Vfs) {
    filled(vfs, "a", 1);
    assert_eq!(kind(vfs.create("x/a", 0)), ErrorKind::NotFound);
    assert_eq!(kind(vfs.rename("a", "x/a")), ErrorKind::NotFound);
    assert_eq!(kind(vfs.list("x")), ErrorKind::NotFound);
    assert_eq!(kind(vfs.sync_dir("x")), ErrorKind::NotFound);
    assert_eq!(vfs.list("").unwrap(), ["a"]);
}

fn a_folder_is_not_a_file(vfs: &dyn Vfs) {
    vfs.create_dir("x").unwrap();
    filled(vfs, "a", 1);
    assert_eq!(kind(vfs.open("x", false)), ErrorKind::IsADirectory);
    assert_eq!(kind(vfs.create("x", 0)), ErrorKind::AlreadyExists);
    assert_eq!(kind(vfs.rename("a", "x")), ErrorKind::AlreadyExists);
    assert_eq!(kind(vfs.remove("x")), ErrorKind::IsADirectory);
    assert_eq!(kind(vfs.list("a")), ErrorKind::NotADirectory);
    assert_eq!(kind(vfs.open("a/b", false)), ErrorKind::NotADirectory);
    assert!(vfs.create_dir("a").is_err());
    assert!(vfs.create_dir("a/b").is_err());
}

fn a_new_file_is_zero_and_allocated(vfs: &dyn Vfs) {
    let file = vfs.create("a", 5 * BLOCK + 7).unwrap();
    assert_eq!(file.len().unwrap(), 5 * BLOCK + 7);
    assert!(file.allocated().unwrap() >= 5 * BLOCK + 7);
    assert!(read(&*file, 0, 5 * 4096 + 7).iter().all(|byte| *byte == 0));
}

fn what_was_written_is_found_and_all_else_is_zero(vfs: &dyn Vfs) {
    let file = vfs.create("a", 64 * BLOCK).unwrap();
    let writes = [(0, true), (5 * BLOCK + 9, false), (40 * BLOCK, true), (64 * BLOCK - 4, false)];
    for (offset, synced) in writes {
        file.write_at(offset, &[b"clip"]).unwrap();
        if synced {
            file.sync().unwrap();
        }
        for file in [&file, &vfs.open("a", false).unwrap()] {
            let (mut at, mut zeros) = (0, 0..0);
            while let Some(found) = file.written_from(at).unwrap() {
                assert!(found.start >= at && at < found.end, "{found:?} from {at}");
                zeros = at..found.start;
                let len = usize::try_from(zeros.end - zeros.start).unwrap();
                assert!(read(&**file, zeros.start, len).iter().all(|byte| *byte == 0));
                at = found.end;
            }
            let len = usize::try_from(64 * BLOCK - at).unwrap();
            assert!(read(&**file, at, len).iter().all(|byte| *byte == 0), "{zeros:?} and behind");
        }
    }
    assert_eq!(file.written_from(64 * BLOCK).unwrap(), None);
    assert_eq!(file.written_from(99 * BLOCK).unwrap(), None);
    let inside = file.written_from(5 * BLOCK + 10).unwrap().unwrap();
    assert_eq!(inside.start, 5 * BLOCK + 10);
    assert_eq!(filled(vfs, "b", 0).written_from(0).unwrap(), None);
}

/// Else nothing would be gained where a simulated disk is scanned.
#[test]
fn a_simulated_disk_knows_the_blocks_that_were_written() {
    let vfs = SimVfs::new(1);
    let file = vfs.create("a", 64 * BLOCK).unwrap();
    assert_eq!(file.written_from(0).unwrap(), None);
    file.write_at(5 * BLOCK + 9, &[b"clip"]).unwrap();
    assert_eq!(file.written_from(0).unwrap(), Some(5 * BLOCK..6 * BLOCK));
    vfs.bad_sector("a", 9 * BLOCK..9 * BLOCK + 512);
    assert_eq!(file.written_from(6 * BLOCK).unwrap(), Some(9 * BLOCK..10 * BLOCK));
    file.punch(5 * BLOCK..6 * BLOCK).unwrap();
    assert_eq!(file.written_from(0).unwrap(), Some(9 * BLOCK..10 * BLOCK));
}

fn an_empty_file_can_be_made(vfs: &dyn Vfs) {
    let file = vfs.create("a", 0).unwrap();
    assert_eq!((file.len().unwrap(), file.allocated().unwrap()), (0, 0));
    assert!(file.map(0).unwrap().bytes().is_empty());
}

fn creating_never_replaces(vfs: &dyn Vfs) {
    filled(vfs, "a", 1);
    assert_eq!(kind(vfs.create("a", 0)), ErrorKind::AlreadyExists);
    assert_eq!(read(&*vfs.open("a", false).unwrap(), 0, 4096), [1; 4096]);
}

fn what_is_written_is_read_by_every_handle(vfs: &dyn Vfs) {
    let writer = filled(vfs, "a", 2);
    let reader = vfs.open("a", false).unwrap();
    let second = vfs.open("a", true).unwrap();
    second.write_at(4000, &[b"across the blocks' border ".repeat(8).as_slice()]).unwrap();
    let bytes = read(&*reader, 3999, 210);
    assert_eq!(bytes[0], 1);
    assert_eq!(&bytes[1..209], b"across the blocks' border ".repeat(8));
    assert_eq!(bytes[209], 2);
    assert_eq!(read(&*writer, 3999, 210), bytes);
}

fn many_buffers_are_written_in_order(vfs: &dyn Vfs) {
    let file = vfs.create("a", 0).unwrap();
    let parts: Vec<Vec<u8>> = (0..=255_u8).map(|n| vec![n; usize::from(n) * 3 % 50]).collect();
    let bufs: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    file.write_at(10, &bufs).unwrap();
    let expected = parts.concat();
    assert_eq!(read(&*file, 10, expected.len()), expected);
    assert_eq!(file.len().unwrap(), 10 + u64::try_from(expected.len()).unwrap());
    file.write_at(5, &[]).unwrap();
    file.write_at(1 << 20, &[&[], &[]]).unwrap();
    assert_eq!(read(&*file, 10, expected.len()), expected);
}

fn what_is_written_through_is_seen_by_every_handle_and_map(vfs: &dyn Vfs) {
    const LEN: u64 = 640 * BLOCK;
    let file = vfs.create("a", LEN).unwrap();
    let old = vec![1; usize::try_from(LEN).unwrap()];
    // In the page cache, not yet on the disk, and looked at.
    file.write_at(0, &[&old]).unwrap();
    let map = file.map(LEN).unwrap();
    map.populate(0..LEN).unwrap();
    assert!(map.bytes() == old);
    drop(map);

    let sector = |number: usize| [u8::try_from(number % 251 + 2).unwrap(); 512];
    let new: Vec<u8> = (0..600 * 8).flat_map(sector).collect();
    let (front, back) = new.split_at(1_000_001);
    file.write_through(8 * BLOCK, &[front, &[], back]).unwrap();
    let second = vfs.open("a", false).unwrap();
    assert!(read(&*second, 8 * BLOCK, new.len()) == new);
    let map = second.map(LEN).unwrap();
    map.populate(0..LEN).unwrap();
    assert!(map.bytes()[8 * 4096..608 * 4096] == new);
    assert!(
        map.bytes()[..8 * 4096].iter().chain(&map.bytes()[608 * 4096..]).all(|byte| *byte == 1)
    );

    file.write_at(9 * BLOCK, &[b"later"]).unwrap();
    assert_eq!(read(&*second, 9 * BLOCK, 5), b"later");
    file.sync().unwrap();
}

fn what_is_written_beside_is_written_and_the_rest_with_it(vfs: &dyn Vfs) {
    let file = vfs.create("a", 600 * BLOCK).unwrap();
    file.write_at(0, &[&vec![1; 600 * 4096]]).unwrap();
    let sector = |number: usize| [u8::try_from(number % 251 + 2).unwrap(); 512];
    let large: Vec<u8> = (0..300 * 8).flat_map(sector).collect();
    let mut calls = 0;
    let mut rest = || {
        calls += 1;
        let bytes = vec![Bytes::from(vec![4; 100]), Bytes::from(vec![5; 8092])];
        vec![
            Later { offset: 310 * BLOCK, bytes },
            Later { offset: 7 * BLOCK, bytes: vec![Bytes::from(vec![6; 4096])] },
        ]
    };
    file.write_beside(8 * BLOCK, &large, &mut rest).unwrap();
    file.write_beside(500 * BLOCK, &[], &mut rest).unwrap();
    assert_eq!(calls, 2, "also with nothing to write first");
    assert!(read(&*file, 8 * BLOCK, large.len()) == large);
    assert_eq!(read(&*file, 310 * BLOCK + 99, 2), [4, 5]);
    for (block, byte) in [(6, 1), (7, 6), (308, 1), (309, 1), (311, 5), (312, 1), (500, 1)] {
        assert_eq!(read(&*file, block * BLOCK, 1), [byte], "block {block}");
    }
    let reader = vfs.open("a", false).unwrap();
    assert!(reader.write_beside(0, &large, &mut Vec::new).is_err());
    file.sync().unwrap();
}

fn anything_can_be_written_through(vfs: &dyn Vfs) {
    let file = filled(vfs, "a", 64);
    file.write_through(10, &[b"a little"]).unwrap();
    file.write_through(BLOCK, &[]).unwrap();
    file.write_through(3 * BLOCK + 1, &[&vec![7; 30 * 4096]]).unwrap();
    assert_eq!(read(&*file, 10, 8), b"a little");
    assert!(read(&*file, 3 * BLOCK + 1, 30 * 4096).iter().all(|byte| *byte == 7));
    assert!(vfs.open("a", false).unwrap().write_through(0, &[&vec![1; 64 * 4096]]).is_err());
    assert_eq!(read(&*file, 5, 1), [1]);
}

fn writing_past_the_end_makes_the_file_longer(vfs: &dyn Vfs) {
    let file = filled(vfs, "a", 1);
    file.write_at(3 * BLOCK, &[b"end"]).unwrap();
    assert_eq!(file.len().unwrap(), 3 * BLOCK + 3);
    assert!(read(&*file, BLOCK, 8192).iter().all(|byte| *byte == 0));
    assert!(file.write_at(u64::MAX - 1, &[b"end"]).is_err());
}

fn reading_past_the_end_is_an_error_and_not_a_short_read(vfs: &dyn Vfs) {
    let file = filled(vfs, "a", 1);
    assert_eq!(kind(file.read_at(4000, &mut [0; 97])), ErrorKind::UnexpectedEof);
    assert_eq!(kind(file.read_vec(4000, 97)), ErrorKind::UnexpectedEof);
    assert_eq!(kind(file.read_at(1 << 40, &mut [0; 1])), ErrorKind::UnexpectedEof);
    assert_eq!(read(&*file, 4000, 96), [1; 96]);
    file.read_at(4096, &mut []).unwrap();
}

fn a_read_only_handle_cannot_change_the_file(vfs: &dyn Vfs) {
    filled(vfs, "a", 1);
    let file = vfs.open("a", false).unwrap();
    assert!(file.write_at(0, &[b"x"]).is_err());
    assert!(file.punch(0..BLOCK).is_err());
    assert!(file.truncate(0).is_err());
    assert_eq!(read(&*file, 0, 4096), [1; 4096]);
}

fn renaming_moves_the_bytes(vfs: &dyn Vfs) {
    vfs.create_dir("x").unwrap();
    let file = filled(vfs, "a", 1);
    vfs.rename("a", "x/b").unwrap();
    file.write_at(0, &[b"!"]).unwrap();
    assert_eq!(kind(vfs.open("a", false)), ErrorKind::NotFound);
    assert_eq!(read(&*vfs.open("x/b", false).unwrap(), 0, 2), [b'!', 1]);
}

fn renaming_never_replaces(vfs: &dyn Vfs) {
    filled(vfs, "a", 1);
    filled(vfs, "b", 2);
    assert_eq!(kind(vfs.rename("a", "b")), ErrorKind::AlreadyExists);
    assert_eq!(vfs.open("a", false).unwrap().len().unwrap(), BLOCK);
    assert_eq!(vfs.open("b", false).unwrap().len().unwrap(), 2 * BLOCK);
}

fn an_open_file_outlives_its_name(vfs: &dyn Vfs) {
    let file = filled(vfs, "a", 1);
    vfs.remove("a").unwrap();
    assert_eq!(kind(vfs.open("a", false)), ErrorKind::NotFound);
    assert_eq!(read(&*file, 0, 4096), [1; 4096]);
    file.write_at(0, &[b"x"]).unwrap();
    file.sync().unwrap();
}

fn a_removed_name_can_be_used_again(vfs: &dyn Vfs) {
    let old = filled(vfs, "a", 1);
    vfs.remove("a").unwrap();
    let new = vfs.create("a", BLOCK).unwrap();
    assert_eq!(read(&*old, 0, 1), [1]);
    assert_eq!(read(&*new, 0, 1), [0]);
}

fn folders_are_made_with_their_parents(vfs: &dyn Vfs) {
    vfs.create_dir("").unwrap();
    vfs.create_dir("x/y/z").unwrap();
    vfs.create_dir("x/y").unwrap();
    filled(vfs, "x/y/z/a", 1);
    assert_eq!(vfs.list("x").unwrap(), ["y/"]);
    assert_eq!(vfs.list("x/y/z").unwrap(), ["a"]);
}

fn a_list_is_sorted_and_marks_folders(vfs: &dyn Vfs) {
    assert!(vfs.list("").unwrap().is_empty());
    for name in ["b", "a", "c.log", "c"] {
        filled(vfs, name, 0);
    }
    vfs.create_dir("b2/inner").unwrap();
    filled(vfs, "b2/hidden", 0);
    assert_eq!(vfs.list("").unwrap(), ["a", "b", "b2/", "c", "c.log"]);
}

fn punched_blocks_read_zero_and_are_freed(vfs: &dyn Vfs) {
    let file = filled(vfs, "a", 8);
    file.sync().unwrap();
    let before = file.allocated().unwrap();
    file.punch(2 * BLOCK..5 * BLOCK).unwrap();
    file.sync().unwrap();
    assert!(read(&*file, 2 * BLOCK, 3 * 4096).iter().all(|byte| *byte == 0));
    assert_eq!(read(&*file, 2 * BLOCK - 1, 1), [2]);
    assert_eq!(read(&*file, 5 * BLOCK, 1), [6]);
    assert_eq!(file.len().unwrap(), 8 * BLOCK);
    assert!(file.allocated().unwrap() + 3 * BLOCK <= before);
}

fn punching_past_the_end_keeps_the_length(vfs: &dyn Vfs) {
    let file = filled(vfs, "a", 2);
    file.punch(BLOCK..9 * BLOCK).unwrap();
    file.punch(0..0).unwrap();
    assert_eq!(file.len().unwrap(), 2 * BLOCK);
    assert_eq!(read(&*file, 0, 4096), [1; 4096]);
}

fn punching_parts_of_blocks_is_refused(vfs: &dyn Vfs) {
    let file = filled(vfs, "a", 2);
    assert_eq!(kind(file.punch(1..BLOCK)), ErrorKind::InvalidInput);
    assert_eq!(kind(file.punch(0..BLOCK + 512)), ErrorKind::InvalidInput);
    #[expect(clippy::reversed_empty_ranges, reason = "what a caller could get wrong")]
    let reversed = file.punch(BLOCK..0);
    assert_eq!(kind(reversed), ErrorKind::InvalidInput);
    assert_eq!(read(&*file, 0, 4096), [1; 4096]);
}

fn zeroed_blocks_read_zero_and_keep_their_space(vfs: &dyn Vfs) {
    let file = filled(vfs, "a", 8);
    let before = file.allocated().unwrap();
    if !zeroes(&*file, 2 * BLOCK..5 * BLOCK) {
        return;
    }
    let second = vfs.open("a", false).unwrap();
    assert!(read(&*second, 2 * BLOCK, 3 * 4096).iter().all(|byte| *byte == 0));
    assert_eq!(read(&*second, 2 * BLOCK - 1, 1), [2]);
    assert_eq!(read(&*second, 5 * BLOCK, 1), [6]);
    file.sync().unwrap();
    assert_eq!((file.len().unwrap(), file.allocated().unwrap()), (8 * BLOCK, before));
    file.punch(BLOCK..7 * BLOCK).unwrap();
    file.zero(0..8 * BLOCK).unwrap();
    file.sync().unwrap();
    assert_eq!(file.allocated().unwrap(), before, "what was given back is there again");
    assert_eq!(file.written_from(0).unwrap(), None, "nothing is there that somebody wrote");
    file.write_at(3 * BLOCK, &[b"new"]).unwrap();
    assert_eq!(read(&*second, 3 * BLOCK, 4), b"new\0");
}

fn zeroing_outside_the_file_or_parts_of_blocks_is_refused(vfs: &dyn Vfs) {
    let file = filled(vfs, "a", 2);
    file.write_at(2 * BLOCK, &[b"end"]).unwrap();
    for range in [1..BLOCK, 0..BLOCK + 512, 0..4 * BLOCK, 4 * BLOCK..5 * BLOCK] {
        assert_eq!(kind(file.zero(range.clone())), ErrorKind::InvalidInput, "{range:?}");
    }
    assert!(vfs.open("a", false).unwrap().zero(0..BLOCK).is_err(), "it was opened for reading");
    assert_eq!(read(&*file, 2 * BLOCK - 1, 4), [2, b'e', b'n', b'd']);
    if !zeroes(&*file, BLOCK..3 * BLOCK) {
        return;
    }
    assert_eq!(file.len().unwrap(), 2 * BLOCK + 3);
    assert_eq!(read(&*file, BLOCK - 1, 4), [1, 0, 0, 0]);
}

/// Whether the file system of the tests can do it; if not, that is said aloud.
fn zeroes(file: &dyn VfsFile, range: std::ops::Range<u64>) -> bool {
    let done = file.zero(range);
    if done.as_ref().is_err_and(|error| error.kind() == ErrorKind::Unsupported) {
        println!("skipped: this file system zeroes no ranges");
        return false;
    }
    done.unwrap();
    true
}

fn truncating_frees_and_never_grows(vfs: &dyn Vfs) {
    let file = filled(vfs, "a", 4);
    file.truncate(BLOCK + 10).unwrap();
    file.sync().unwrap();
    assert_eq!(file.len().unwrap(), BLOCK + 10);
    assert_eq!(file.allocated().unwrap(), 2 * BLOCK);
    assert_eq!(kind(file.truncate(2 * BLOCK)), ErrorKind::InvalidInput);
    file.write_at(2 * BLOCK - 1, &[b"x"]).unwrap();
    assert_eq!(read(&*file, BLOCK + 9, 2), [2, 0]);
}

fn a_map_shows_the_bytes_and_survives_removal(vfs: &dyn Vfs) {
    let file = filled(vfs, "a", 3);
    file.sync().unwrap();
    let map = vfs.open("a", false).unwrap().map(2 * BLOCK + 5).unwrap();
    drop(file);
    vfs.remove("a").unwrap();
    vfs.sync_dir("").unwrap();
    map.populate(100..2 * BLOCK + 5).unwrap();
    map.populate(0..100).unwrap();
    assert_eq!(map.bytes().len(), 2 * 4096 + 5);
    assert_eq!((map.bytes()[0], map.bytes()[4096], map.bytes()[8196]), (1, 2, 3));
}

fn a_map_never_goes_past_the_end(vfs: &dyn Vfs) {
    let file = filled(vfs, "a", 1);
    assert_eq!(kind(file.map(BLOCK + 1)), ErrorKind::UnexpectedEof);
    assert_eq!(kind(file.map(u64::MAX)), ErrorKind::UnexpectedEof);
}

fn populating_outside_the_map_is_refused(vfs: &dyn Vfs) {
    let map = filled(vfs, "a", 2).map(BLOCK).unwrap();
    assert_eq!(kind(map.populate(0..BLOCK + 1)), ErrorKind::InvalidInput);
    assert_eq!(kind(map.populate(u64::MAX - 1..u64::MAX)), ErrorKind::InvalidInput);
    map.populate(BLOCK..BLOCK).unwrap();
}

fn dropping_the_cache_changes_nothing(vfs: &dyn Vfs) {
    let file = filled(vfs, "a", 2);
    file.drop_cache(0..2 * BLOCK);
    file.drop_cache(5..5);
    file.drop_cache(0..u64::MAX);
    assert_eq!(read(&*file, 0, 4096), [1; 4096]);
}

fn one_writer_excludes_all_others(vfs: &dyn Vfs) {
    let lock = vfs.lock("LOCK", true).unwrap();
    assert_eq!(kind(vfs.lock("LOCK", true)), ErrorKind::WouldBlock);
    assert_eq!(kind(vfs.lock("LOCK", false)), ErrorKind::WouldBlock);
    drop(lock);
    drop(vfs.lock("LOCK", true).unwrap());
}

fn readers_share_the_lock_and_exclude_a_writer(vfs: &dyn Vfs) {
    let first = vfs.lock("LOCK", false).unwrap();
    let second = vfs.lock("LOCK", false).unwrap();
    drop(first);
    assert_eq!(kind(vfs.lock("LOCK", true)), ErrorKind::WouldBlock);
    drop(second);
    drop(vfs.lock("LOCK", true).unwrap());
}

fn the_lock_file_stays_and_names_the_writer(vfs: &dyn Vfs) {
    let lock = vfs.lock("LOCK", true).unwrap();
    assert!(vfs.lock("LOCK", true).is_err());
    assert!(vfs.lock_holder("LOCK").is_some_and(|id| id == 1 || id == std::process::id()));
    drop(lock);
    assert_eq!(vfs.lock_holder("LOCK"), None);
    assert_eq!(vfs.list("").unwrap(), ["LOCK"]);
}

fn syncs_of_what_exists_succeed(vfs: &dyn Vfs) {
    vfs.create_dir("x/y").unwrap();
    filled(vfs, "x/y/a", 1).sync().unwrap();
    vfs.open("x/y/a", false).unwrap().sync().unwrap();
    for dir in ["x/y", "x/y", "x", ""] {
        vfs.sync_dir(dir).unwrap();
    }
}

fn space_shrinks_by_what_is_allocated(vfs: &dyn Vfs) {
    let space = vfs.space().unwrap();
    assert!(space.free > 0 && space.free <= space.total);
    // Beyond any disk, and short of the lengths that no file system takes.
    let refused = kind(vfs.create("big", 1 << 43));
    assert!(matches!(refused, ErrorKind::StorageFull | ErrorKind::FileTooLarge), "{refused}");
    assert!(vfs.list("").unwrap().is_empty(), "a refused file leaves no name");
}

fn random_bytes_differ(vfs: &dyn Vfs) {
    let (mut first, mut second) = ([0; 61], [0; 61]);
    vfs.random(&mut first).unwrap();
    vfs.random(&mut second).unwrap();
    vfs.random(&mut []).unwrap();
    assert_ne!(first, second);
}

/// One call, drawn from `throw`, told as text: what it answered, and what can be seen after it.
fn any_call(vfs: &dyn Vfs, throw: [u8; 8]) -> String {
    const PATHS: [&str; 6] = ["a", "b", "x", "x/a", "x/y/b", "x/../a"];
    let [op, first, second, block, blocks, byte, ..] = throw;
    let path = PATHS[usize::from(first) % PATHS.len()];
    let other = PATHS[usize::from(second) % PATHS.len()];
    let start = u64::from(block % 6) * BLOCK;
    let range = start..start + u64::from(blocks % 4) * BLOCK;
    let on_file = |call: &dyn Fn(&dyn VfsFile) -> std::io::Result<()>| {
        vfs.open(path, true).and_then(|file| call(&*file))
    };
    let done = match op % 12 {
        0 | 1 => vfs.create(path, range.end + u64::from(byte)).map(drop),
        2 => vfs.create_dir(path),
        // Folders are never renamed, so the trait says nothing about it.
        3 if vfs.list(path).is_ok() => Ok(()),
        3 => vfs.rename(path, other),
        4 => vfs.remove(path),
        5 => vfs.sync_dir(path),
        6 => on_file(&|file| file.punch(range.clone())),
        7 => on_file(&|file| file.truncate(range.end + u64::from(byte))),
        8 => on_file(&|file| file.sync()),
        9 => on_file(&|file| file.map(range.end).and_then(|map| map.populate(range.clone()))),
        _ => on_file(&|file| {
            let bytes = vec![byte; usize::from(blocks) * 40];
            file.write_at(start + u64::from(second) * 9, &[&bytes, &bytes])
        }),
    };
    let seen = vfs.open(path, false).and_then(|file| {
        let len = file.len()?;
        let mut bytes = vec![0; usize::try_from(len).unwrap()];
        file.read_at(0, &mut bytes)?;
        Ok((len, crc32fast::hash(&bytes)))
    });
    let lists = ["", "x", "x/y"].map(|dir| vfs.list(dir).map_err(|error| error.kind()));
    let (done, seen) = (done.map_err(|error| error.kind()), seen.map_err(|error| error.kind()));
    format!("{throw:?} {path} {other}: {done:?}, then {seen:?} {lists:?}")
}

#[test]
fn any_history_is_answered_alike_by_both() {
    for seed in 0..60 {
        let folder = tempfile::tempdir().unwrap();
        let (os, sim, dice) = (OsVfs::new(folder.path()), SimVfs::new(1), SimVfs::new(seed));
        for call in 0..60 {
            let mut throw = [0; 8];
            dice.random(&mut throw).unwrap();
            let (real, simulated) = (any_call(&os, throw), any_call(&sim, throw));
            assert_eq!(real, simulated, "seed {seed}, call {call}");
        }
    }
}
