//! Damage that one checksum alone stands against: flipped bits, writes to wrong places, bytes of an
//! earlier use of the space, and bytes that somebody swapped.

use clipkeep::vfs::Vfs;
use clipkeep::vfs::sim::SimVfs;
use clipkeep::{Clip, ErrorKind, VerifyDepth};

use crate::store_kit::{DAY, SEGMENT_BYTES, TestStore, at, camera, kind_of, marked, minutes};

use super::forge::{crc32, invisible, key_of, salted, swap_a_byte};
use super::kit::{cut_power, flip, overwrite, places, reopen, seeded, seeded_with};
use super::meddler::Meddler;

const SEGMENT: &str = "segments/0000-00000001.seg";
const LEDGER: [&str; 2] = ["ledger/a/00000000.log", "ledger/b/00000000.log"];
/// How long the clips of [`TestStore::clip`] are.
const CLIP_BYTES: usize = 20_000;

fn faults(t: &TestStore, depth: VerifyDepth) -> usize {
    t.store.verify(depth, &mut |_| ()).unwrap().faults.len()
}

fn header_of(t: &TestStore, marker: &str) -> usize {
    let segment = t.disk.contents(SEGMENT).unwrap();
    let payload = places(&segment, &marked(marker, CLIP_BYTES))[0];
    payload - payload % 4096
}

/// A slot with another time in it is not taken for the newest one.
pub(super) fn flipped_bit_in_the_store_file(seed: u64) {
    let t = seeded(seed);
    t.sweep();
    let t = reopen(t, |disk| {
        let slots = disk.contents("STORE").unwrap();
        let newest = usize::from(slots[32] < slots[4096 + 32]) * 4096;
        flip(disk, "STORE", newest + 48 + 6);
    });
    assert!(t.store.now() <= at(1440));
}

/// A segment whose salt is damaged in block 0 is read by the copy of its header.
pub(super) fn flipped_bit_in_a_segment_header(seed: u64) {
    let t = seeded(seed);
    let clip = t.clip("door", 10, "kept");
    let t = reopen(t, |disk| flip(disk, SEGMENT, 50));
    assert!(t.reads_as(&clip, "kept"));
}

/// A segment does not live longer because the time in its trailer is damaged.
pub(super) fn flipped_bit_in_a_trailer(seed: u64) {
    let t = seeded(seed);
    let clip = t.sealed_clip("door", 10, "due");
    let trailer = usize::try_from(SEGMENT_BYTES).unwrap() - 4096;
    let t = reopen(t, |disk| flip(disk, SEGMENT, trailer + 80 + 6));
    t.pass(11 * DAY);
    t.sweep();
    t.assert_gone(&clip);
}

/// A clip whose checksum in the footer is damaged is found in its records.
pub(super) fn flipped_bit_in_a_footer(seed: u64) {
    let t = seeded(seed);
    let clip = t.sealed_clip("door", 10, "kept");
    let crc = crc32(&[&marked("kept", CLIP_BYTES)]).to_le_bytes();
    let at = *places(&t.disk.contents(SEGMENT).unwrap(), &crc).last().unwrap();
    let t = reopen(t, |disk| flip(disk, SEGMENT, at));
    assert!(t.reads_as(&clip, "kept"));
}

/// A clip is not shown at another time because its header is damaged.
pub(super) fn flipped_bit_in_a_record_header(seed: u64) {
    let t = seeded(seed);
    let clip = t.clip("door", 10, "timed");
    let header = header_of(&t, "timed");
    let t = reopen(t, |disk| flip(disk, SEGMENT, header + 43));
    let found = t.store.clips(&camera("door"), minutes(0, 1440)).unwrap();
    assert!(found.into_iter().all(|found| found.window() == clip.window()));
}

pub(super) fn flipped_bit_in_a_chunk(seed: u64) {
    let t = seeded(seed);
    let clip = t.clip("door", 10, "flipped");
    let header = header_of(&t, "flipped");
    flip(&t.disk, SEGMENT, header + 4096);
    assert_eq!(kind_of(t.store.read_copied(clip.id()).unwrap().to_vec()), ErrorKind::Corrupt);
}

/// A record of an earlier use of the space is not found in a segment that has it now.
pub(super) fn stale_record(seed: u64) {
    let (before, now) = (seeded(seed), seeded(seed));
    // The same store and segment, only with another salt.
    now.disk.random(&mut [0; 1]).unwrap();
    for t in [&before, &now] {
        t.clip("door", 10, "first");
    }
    before.clip("door", 20, "stale");
    let start = header_of(&before, "stale");
    let stale = before.disk.contents(SEGMENT).unwrap()[start..start + 6 * 4096].to_vec();
    let t = reopen(now, |disk| overwrite(disk, SEGMENT, start, &stale));
    assert_eq!(t.listed(&camera("door")).len(), 1);
}

/// A record that was written over another one is not taken for it.
pub(super) fn misdirected_record(seed: u64) {
    let t = seeded(seed);
    let strayed = t.clip("door", 10, "strayed");
    let lost = t.clip("door", 20, "lost");
    t.clip("door", 30, "last");
    let (from, to) = (header_of(&t, "strayed"), header_of(&t, "lost"));
    let bytes = t.disk.contents(SEGMENT).unwrap()[from..from + 5 * 4096].to_vec();
    let t = reopen(t, |disk| overwrite(disk, SEGMENT, to, &bytes));
    assert!(t.store.read(lost.id()).is_err());
    assert!(!t.store.opening().problems.is_empty());
    let found = t.store.clip(strayed.id()).unwrap();
    assert_eq!((found.len(), found.fragments()), (strayed.len(), strayed.fragments()));
}

/// A damaged header of one ledger copy costs nothing.
pub(super) fn flipped_bit_in_a_ledger_header(seed: u64) {
    let t = held_twice(seed, 10);
    let t = reopen(t, |disk| flip(disk, LEDGER[0], 40));
    assert_eq!(t.store.opening().deletion_frozen, None);
    assert!(t.store.holds().iter().all(clipkeep::Hold::protects));
}

/// Nor does a damaged entry.
pub(super) fn flipped_bit_in_a_ledger_entry(seed: u64) {
    let t = held_twice(seed, 10);
    let entry = entries(&t).pop().unwrap();
    let t = reopen(t, |disk| flip(disk, LEDGER[0], entry + 16));
    assert_eq!(t.store.opening().deletion_frozen, None);
    assert!(t.store.holds().iter().all(clipkeep::Hold::protects));
}

/// Two holds, of which the first is of `minute`. Everything else is the same in every such store.
fn held_twice(seed: u64, minute: u32) -> TestStore {
    let t = seeded(seed);
    t.clip("door", 10, "held");
    t.keep("door", minutes(minute, minute + 1));
    t.keep("door", minutes(30, 31));
    t
}

/// Where the entries of the ledger stand.
fn entries(t: &TestStore) -> Vec<usize> {
    places(&t.disk.contents(LEDGER[0]).unwrap(), b"CLPE")
}

/// An entry that was swapped in both copies for one that is whole in itself is noticed.
pub(super) fn swapped_ledger_entry(seed: u64) {
    let (t, other) = (held_twice(seed, 10), held_twice(seed, 12));
    let (right, wrong) = (t.disk.contents(LEDGER[0]).unwrap(), other.disk.contents(LEDGER[0]));
    let wrong = wrong.unwrap();
    let places = entries(&t);
    let swapped = places.windows(2).find(|pair| right[pair[0]..pair[1]] != wrong[pair[0]..pair[1]]);
    let (start, end) = (swapped.unwrap()[0], swapped.unwrap()[1]);
    let t = reopen(t, |disk| {
        for copy in LEDGER {
            overwrite(disk, copy, start, &wrong[start..end]);
        }
    });
    assert!(t.store.opening().deletion_frozen.is_some());
}

/// Where the copies differ, that one counts which follows from what is before it.
pub(super) fn ledger_copy_of_another_past(seed: u64) {
    let (t, other) = (held_twice(seed, 10), held_twice(seed, 12));
    let wrong = other.disk.contents(LEDGER[0]).unwrap();
    let (start, end) = (entries(&t).pop().unwrap(), wrong.len());
    let t = reopen(t, |disk| overwrite(disk, LEDGER[0], start, &wrong[start..end]));
    assert_eq!(t.store.opening().deletion_frozen, None);
    assert_eq!(t.store.holds().len(), 2);
}

/// An entry that is lost in both copies is not taken for the end of the ledger.
pub(super) fn lost_entry_before_another(seed: u64) {
    let t = held_twice(seed, 10);
    let places = entries(&t);
    let lost = places[places.len() - 2];
    let t = cut_power(t, |disk| {
        for copy in LEDGER {
            flip(disk, copy, lost + 16);
        }
    });
    assert!(t.store.opening().deletion_frozen.is_some());
}

/// Nor is the last one, if it was durable when the store was closed.
pub(super) fn lost_end_of_the_ledger(seed: u64) {
    let t = held_twice(seed, 10);
    let last = entries(&t).pop().unwrap();
    let t = reopen(t, |disk| {
        for copy in LEDGER {
            overwrite(disk, copy, last, &[0; 200]);
        }
    });
    assert!(t.store.opening().deletion_frozen.is_some());
}

/// What can be read in neither copy may have been an entry.
pub(super) fn unreadable_end_of_the_ledger(seed: u64) {
    let t = held_twice(seed, 10);
    let t = reopen(t, |disk| {
        for copy in LEDGER {
            disk.bad_sector(copy, 65_536..66_048);
        }
    });
    assert!(t.store.opening().deletion_frozen.is_some());
}

/// A segment of another store is not taken in.
pub(super) fn segment_of_another_store(seed: u64) {
    let (t, other) = (seeded(seed), seeded(seed + 1_000));
    t.sealed_clip("door", 10, "own");
    other.sealed_clip("door", 20, "foreign");
    let foreign = other.disk.contents(SEGMENT).unwrap();
    let t = reopen(t, |disk| overwrite(disk, SEGMENT, 0, &foreign));
    assert_eq!(t.listed(&camera("door")), []);
    assert!(!t.store.opening().problems.is_empty());
}

/// A sealed segment, and the bytes of one that differs from it in the footage alone.
fn twins(seed: u64) -> (TestStore, Clip, Vec<u8>) {
    let (t, other) = (seeded(seed), seeded(seed));
    let clip = t.sealed_clip("door", 10, "right");
    other.sealed_clip("door", 10, "wrong");
    let wrong = other.disk.contents(SEGMENT).unwrap();
    t.store.sync().unwrap();
    (t, clip, wrong)
}

/// A segment that was swapped for another while the store was closed is reported.
pub(super) fn swapped_segment(seed: u64) {
    let (t, _, wrong) = twins(seed);
    let t = reopen(t, |disk| overwrite(disk, SEGMENT, 0, &wrong));
    assert!(!t.store.opening().problems.is_empty());
}

/// So is one that was swapped while it was open.
pub(super) fn segment_swapped_while_open(seed: u64) {
    let (t, _, wrong) = twins(seed);
    assert_eq!(faults(&t, VerifyDepth::Headers), 0);
    overwrite(&t.disk, SEGMENT, 0, &wrong);
    assert_ne!(faults(&t, VerifyDepth::Headers), 0);
}

/// No footer is made for records that are not those of the seal.
pub(super) fn swapped_segment_without_its_footer(seed: u64) {
    let (t, _, mut wrong) = twins(seed);
    let trailer = wrong.len() - 4096;
    wrong[trailer..].fill(0);
    let t = reopen(t, |disk| overwrite(disk, SEGMENT, 0, &wrong));
    let repairs = t.store.opening().repairs;
    assert!(!repairs.iter().any(|repair| repair.contains("wrote its footer")), "{repairs:?}");
}

pub(super) fn damaged_record_header_is_told_by_verify(seed: u64) {
    let t = seeded(seed);
    t.sealed_clip("door", 10, "headless");
    let header = header_of(&t, "headless");
    assert_eq!(faults(&t, VerifyDepth::Headers), 0);
    flip(&t.disk, SEGMENT, header + 43);
    assert_ne!(faults(&t, VerifyDepth::Headers), 0);
}

/// A clip of which a byte was swapped, with every checksum right.
fn forged(seed: u64) -> (TestStore, Clip) {
    let t = seeded(seed);
    let clip = t.clip("door", 10, "forged");
    t.clip("door", 20, "other");
    let bytes = marked("forged", CLIP_BYTES);
    (reopen(t, |disk| swap_a_byte(disk, SEGMENT, &bytes)), clip)
}

pub(super) fn forged_byte_is_told_by_verify(seed: u64) {
    let (t, clip) = forged(seed);
    assert_ne!(t.store.read(clip.id()).unwrap().to_vec().unwrap(), marked("forged", CLIP_BYTES));
    assert_ne!(faults(&t, VerifyDepth::Bytes), 0);
}

/// A held clip that does not match its digest is not moved: its source is the evidence.
pub(super) fn forged_clip_stays_where_it_is(seed: u64) {
    let (t, _) = forged(seed);
    t.keep("door", minutes(10, 11));
    t.store.seal().unwrap();
    t.pass(11 * DAY);
    let report = t.store.sweep().unwrap();
    assert!(report.clips_moved == 0 && !report.problems.is_empty());
}

/// A store over a file system that can meddle, with a held clip that is about to be moved.
pub(super) fn about_to_move(seed: u64) -> (TestStore, Meddler, Clip) {
    let disk = SimVfs::new(seed);
    let meddler = Meddler::new(&disk);
    let t = seeded_with(seed, |options| options.vfs(meddler.clone()));
    let t = TestStore { disk, ..t };
    let held = t.clip("door", 10, "held");
    t.sealed_clip("door", 20, "due");
    t.keep("door", minutes(10, 11));
    t.pass(11 * DAY);
    (t, meddler, held)
}

/// A copy whose footer was damaged on its way does not replace its source.
pub(super) fn copy_without_a_footer(seed: u64) {
    let (t, meddler, _) = about_to_move(seed);
    meddler.meddle(|_, bytes| {
        if bytes.starts_with(b"CLIPFTR\0") {
            bytes[100] ^= 1;
        }
    });
    let report = t.store.sweep().unwrap();
    assert!(report.clips_moved == 0 && !report.problems.is_empty());
}

/// A copy that differs in bits which no CRC32 sees does not replace its source.
pub(super) fn copy_with_an_invisible_change(seed: u64) {
    let (t, meddler, held) = about_to_move(seed);
    meddler.meddle(|_, bytes| {
        if bytes.len() > CLIP_BYTES {
            for (byte, bits) in bytes[8192..].iter_mut().zip(invisible()) {
                *byte ^= bits;
            }
        }
    });
    t.store.sweep().unwrap();
    assert!(t.reads_as(&held, "held"));
}

/// Nor does one whose footer has other checksums, though the footer itself is whole.
pub(super) fn copy_with_other_checksums(seed: u64) {
    let (t, meddler, held) = about_to_move(seed);
    let right = crc32(&[&marked("held", CLIP_BYTES)]).to_le_bytes();
    let (mut key, mut footer_crc) = (Vec::new(), [0; 4]);
    meddler.meddle(move |offset, bytes| {
        let block = usize::try_from(offset / 4096).unwrap();
        match bytes.get(..8) {
            Some(b"CLIPSEG\0") => key = key_of(bytes),
            Some(b"CLIPFTR\0") => {
                let at = places(bytes, &right)[0];
                bytes[at] ^= 1;
                footer_crc = salted(&key, block, bytes);
            }
            Some(b"CLIPEND\0") => {
                bytes[32..36].copy_from_slice(&footer_crc);
                let crc = salted(&key, block, &bytes[12..]);
                bytes[8..12].copy_from_slice(&crc);
            }
            _ => {}
        }
    });
    t.store.sweep().unwrap();
    meddler.meddle(|_, _| ());
    assert!(t.reopen().reads_as(&held, "held"));
}
