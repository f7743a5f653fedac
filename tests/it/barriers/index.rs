//! Damage to a partition of the index that one test alone stands against.

use clipkeep::Clip;
use clipkeep::barrier::Barrier;
use clipkeep::vfs::Vfs;
use clipkeep::vfs::sim::SimVfs;

use crate::store_kit::{DAY, TestStore, camera, minutes};

use super::Catcher;
use super::kit::{flip, reopen, seeded};

const PARTITION: &str = "index/00000001.idx";
/// Where the rows begin, and the time in a row by which its segment expires.
const ROWS: usize = 72;
const NEWEST_RECEIVED: usize = 128;
const PAGE: usize = 4096;

/// What notices that one of these three is gone.
pub(super) fn catcher_of(barrier: Barrier) -> Catcher {
    match barrier {
        Barrier::IndexHeadCrc => Catcher::test("flipped_bit_in_a_head", flipped_bit_in_a_head),
        Barrier::IndexPageCrc => Catcher::test("flipped_bit_in_a_page", flipped_bit_in_a_page),
        _ => Catcher::test("partition_of_another_past", partition_of_another_past),
    }
}

/// Four clips in segments of their own, so that closing folds them.
fn folded(seed: u64, first: u32) -> (TestStore, Vec<Clip>) {
    let t = seeded(seed);
    let clips = add(&t, first);
    (t, clips)
}

fn add(t: &TestStore, first: u32) -> Vec<Clip> {
    (first..first + 4).map(|minute| t.sealed_clip("door", minute, "clip")).collect()
}

fn partition_of(disk: &SimVfs) -> Vec<u8> {
    disk.contents(PARTITION).expect("closing folds four segments")
}

/// A segment does not live longer because the time in its row is damaged.
fn flipped_bit_in_a_head(seed: u64) {
    let (t, clips) = folded(seed, 10);
    let t = reopen(t, |disk| {
        assert_eq!(partition_of(disk).len(), 3 * PAGE);
        flip(disk, PARTITION, ROWS + NEWEST_RECEIVED + 6);
    });
    t.pass(11 * DAY);
    t.sweep();
    t.assert_gone(&clips[0]);
}

/// A clip is found although its start in a page is damaged.
fn flipped_bit_in_a_page(seed: u64) {
    let (t, clips) = folded(seed, 10);
    let t = reopen(t, |disk| {
        assert_eq!(partition_of(disk).len(), 3 * PAGE);
        flip(disk, PARTITION, PAGE + 16 + 5);
    });
    assert_eq!(t.listed(&camera("door")).len(), clips.len());
}

/// An index from a copy of the store that went another way says nothing of this one.
fn partition_of_another_past(seed: u64) {
    let (ours, theirs) = (seeded(seed), seeded(seed));
    add(&theirs, 500);
    let clips = add(&ours, 10);
    let theirs = reopen(theirs, |_| ());
    let partition = partition_of(&theirs.disk);
    let t = reopen(ours, |disk| {
        disk.remove(PARTITION).unwrap();
        let len = u64::try_from(partition.len()).unwrap();
        disk.create(PARTITION, len).unwrap().write_at(0, &[&partition]).unwrap();
    });
    // The clips of the two pasts have the same ids, and other times.
    let listed = t.store.clips(&camera("door"), minutes(0, 2880)).unwrap();
    let times: Vec<_> = clips.iter().map(Clip::window).collect();
    assert_eq!(listed.map(|clip| clip.window()).collect::<Vec<_>>(), times);
}
