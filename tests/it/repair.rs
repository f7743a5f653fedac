//! Repair of a ledger that cannot be read: nothing is concluded from what is lost.

use clipkeep::vfs::Vfs;
use clipkeep::vfs::sim::SimVfs;
use clipkeep::{ErrorKind, HoldId, NewHold, Release, ReleaseCause, RepairReport, Window};

use crate::plug::Plug;
use crate::store_kit::{DAY, TestStore, at, camera, kind_of, marked, minutes};

const COPIES: [&str; 2] = ["ledger/a/", "ledger/b/"];

fn ledger_files(disk: &SimVfs) -> Vec<String> {
    let ours = |path: &String| COPIES.iter().any(|copy| path.starts_with(copy));
    disk.files().into_iter().filter(ours).collect()
}

/// Damages the entry at `position` in both copies.
fn lose(disk: &SimVfs, position: u64) {
    let mut needle = b"CLPE....".to_vec();
    needle.extend(position.to_le_bytes());
    let mut lost = 0;
    for path in ledger_files(disk) {
        let bytes = disk.contents(&path).unwrap();
        let here = |window: &[u8]| window[..4] == needle[..4] && window[8..] == needle[8..];
        for at in bytes.windows(needle.len()).enumerate().filter(|(_, w)| here(w)).map(|(at, _)| at)
        {
            disk.corrupt(&path, u64::try_from(at).unwrap() + 4, 0xff);
            lost += 1;
        }
    }
    assert_eq!(lost, 2, "entry {position} stood once in each copy");
}

/// The position of the last entry of this kind.
fn position_of(t: &TestStore, kind: &str) -> u64 {
    t.store.sync().unwrap();
    t.ledger().iter().rfind(|line| line.kind == kind).expect("it was written").position
}

fn repair(t: TestStore) -> (TestStore, RepairReport) {
    let TestStore { disk, clock, options, store } = t;
    drop(store);
    let report = options.clone().repair_ledger("store", "operator", "bad sectors").unwrap();
    let store = options.clone().open("store").unwrap();
    let opening = store.opening();
    assert_eq!(opening.deletion_frozen, None, "{:?}", opening.problems);
    (TestStore { disk, clock, options, store }, report)
}

fn release(t: &TestStore, holds: &[HoldId]) {
    for hold in holds {
        t.store
            .release_hold(
                *hold,
                &Release::new(ReleaseCause::Ended, "operator").second_actor("lawyer"),
            )
            .unwrap();
    }
}

/// A store in which the hold on the clip "lost" is lost, between those on two others.
fn with_a_lost_hold() -> TestStore {
    let t = TestStore::new();
    for (minute, marker) in [(10, "before"), (20, "lost"), (30, "behind"), (40, "free")] {
        t.sealed_clip("door", minute, marker);
    }
    t.keep("door", minutes(10, 11));
    let lost = t.keep("door", minutes(20, 21));
    t.keep("door", minutes(30, 31));
    let position = t.store.hold(lost).unwrap().position();
    t.store.sync().unwrap();
    lose(&t.disk, position);
    let t = t.reopen();
    assert!(t.store.opening().deletion_frozen.is_some());
    t
}

fn clips_with(t: &TestStore) -> Vec<&'static str> {
    let kept = ["before", "lost", "behind", "free"].into_iter();
    kept.filter(|marker| {
        let clips = t.store.clips(&camera("door"), minutes(0, 2880)).unwrap();
        clips
            .map(|clip| t.store.read(clip.id()).unwrap().to_vec().unwrap())
            .any(|bytes| bytes == marked(marker, bytes.len()))
    })
    .collect()
}

#[test]
fn what_a_lost_hold_may_have_covered_stays_until_the_operator_says_so() {
    let (t, report) = repair(with_a_lost_hold());
    assert_eq!((report.entries_lost, report.holds_placed.len(), report.cameras), (1, 1, 1));
    assert!(report.entries_found_behind > 0 && report.classes_kept_longest.is_empty());
    t.pass(300 * DAY);
    t.sweep();
    assert_eq!(clips_with(&t), ["before", "lost", "behind", "free"]);
    release(&t, &report.holds_placed);
    t.sweep();
    assert_eq!(clips_with(&t), ["before", "behind"]);
    assert!(t.files_with("lost").is_empty() && t.files_with("free").is_empty());
    let t = t.reopen();
    assert_eq!(clips_with(&t), ["before", "behind"]);
}

#[test]
fn a_repaired_store_takes_holds_releases_them_and_sweeps() {
    let (t, report) = repair(with_a_lost_hold());
    let again = t.keep("door", minutes(20, 21));
    assert!(again > report.holds_placed[0]);
    t.clip("yard", 50, "new");
    t.pass(12 * DAY);
    t.sweep();
    assert!(t.files_with("new").is_empty(), "a camera that came later is not held");
    release(&t, &report.holds_placed);
    t.sweep();
    assert_eq!(clips_with(&t), ["before", "lost", "behind"]);
}

#[test]
fn no_id_of_a_lost_entry_is_used_again() {
    let (t, report) = repair(with_a_lost_hold());
    let ten_thousand: HoldId = "h10000".parse().unwrap();
    assert!(report.holds_placed[0] > ten_thousand);
    let clip = t.clip("yard", 50, "new");
    assert!(clip.id() > "10000-0".parse().unwrap(), "{}", clip.id());
}

#[test]
fn a_store_without_any_ledger_keeps_everything_it_has() {
    let t = TestStore::new();
    let held = t.sealed_clip("door", 10, "held");
    let free = t.sealed_clip("yard", 20, "free");
    t.keep("door", minutes(10, 11));
    t.store.sync().unwrap();
    let TestStore { disk, clock, options, store } = t;
    drop(store);
    for path in ledger_files(&disk) {
        disk.remove(&path).unwrap();
    }
    let store = options.clone().open("store").unwrap();
    assert!(store.opening().deletion_frozen.is_some());
    let (t, report) = repair(TestStore { disk, clock, options, store });
    assert_eq!((report.entries_kept, report.entries_found_behind, report.cameras), (0, 0, 2));
    t.pass(100 * DAY);
    t.sweep();
    assert!(t.reads_as(&held, "held") && t.reads_as(&free, "free"));
    release(&t, &report.holds_placed);
    t.sweep();
    assert!(t.files_with("free").is_empty(), "the options say how long it was to be kept");
}

#[test]
fn classes_whose_retention_is_lost_are_kept_unless_the_operator_gives_one() {
    let t = TestStore::new();
    t.sealed_clip("door", 10, "kept");
    t.store.sync().unwrap();
    let position = position_of(&t, "class-set");
    lose(&t.disk, position);
    let TestStore { disk, clock, options, store } = t;
    drop(store);
    let unset = clipkeep::Store::options()
        .vfs(disk.clone())
        .clock(clock.clone())
        .segment_bytes(4 << 20)
        .free_space_floor(0);
    let report = unset.clone().repair_ledger("store", "operator", "").unwrap();
    assert!(!report.classes_kept_longest.is_empty());
    let store = unset.clone().open("store").unwrap();
    let t = TestStore { disk, clock, options, store };
    release(&t, &report.holds_placed);
    t.pass(1000 * DAY);
    t.sweep();
    assert!(!t.files_with("kept").is_empty());
}

#[test]
fn held_clips_whose_move_is_lost_are_found_in_their_evidence_segment() {
    let t = TestStore::new();
    let held = t.clip("door", 10, "held");
    let neighbour = t.sealed_clip("door", 20, "neighbour");
    t.keep("door", minutes(10, 11));
    t.pass(11 * DAY);
    t.sweep();
    assert!(t.reads_as(&held, "held"));
    let position = position_of(&t, "clips-moved");
    lose(&t.disk, position);
    let t = t.reopen();
    assert!(t.store.opening().deletion_frozen.is_some());
    let (t, report) = repair(t);
    assert_eq!(report.copies_named, 1);
    assert!(t.reads_as(&held, "held"));
    t.assert_gone(&neighbour);
    t.sweep();
    let t = t.reopen();
    assert!(t.reads_as(&held, "held"));
}

#[test]
fn what_its_owner_deleted_stays_gone() {
    let t = TestStore::new();
    let deleted = t.clip("door", 10, "deleted");
    t.sealed_clip("door", 20, "other");
    let lost = t.keep("door", minutes(20, 21));
    let position = t.store.hold(lost).unwrap().position();
    t.store.delete_clip(deleted.id(), "owner", "a guest asked").unwrap();
    t.store.sync().unwrap();
    lose(&t.disk, position);
    let (t, _) = repair(t);
    t.assert_gone(&deleted);
    t.sweep();
    assert!(t.files_with("deleted").is_empty());
}

#[test]
fn a_ledger_that_can_be_read_is_not_repaired() {
    let t = TestStore::new();
    t.clip("door", 10, "a");
    let TestStore { disk, options, store, .. } = t;
    drop(store);
    assert_eq!(kind_of(options.clone().repair_ledger("store", "o", "")), ErrorKind::InvalidInput);
    assert_eq!(kind_of(options.clone().plan_ledger_repair("store")), ErrorKind::InvalidInput);
    disk.corrupt("ledger/a/00000000.log", 4100, 1);
    assert_eq!(kind_of(options.repair_ledger("store", "o", "")), ErrorKind::InvalidInput);
}

#[test]
fn a_plan_changes_nothing() {
    let t = with_a_lost_hold();
    let TestStore { disk, options, store, .. } = t;
    drop(store);
    let image = |disk: &SimVfs| -> Vec<_> {
        disk.files().into_iter().map(|path| (disk.contents(&path), path)).collect()
    };
    let before = image(&disk);
    let plan = options.clone().plan_ledger_repair("store").unwrap();
    assert!(image(&disk) == before);
    let report = options.repair_ledger("store", "operator", "").unwrap();
    assert_eq!(plan, report);
}

#[test]
fn a_repair_that_is_cut_off_anywhere_can_be_tried_again() {
    let mut cuts = 0;
    for allowed in 0_u64.. {
        let TestStore { disk, clock, options, store } = with_a_lost_hold();
        drop(store);
        let plug = Plug::new(&disk, allowed);
        let tried = options.clone().vfs(plug.clone()).repair_ledger("store", "operator", "");
        plug.pull();
        let disk = disk.crash();
        clock.reboot();
        let options = options.vfs(disk.clone());
        let store = options.clone().open("store").unwrap();
        let frozen = store.opening().deletion_frozen.is_some();
        assert!(tried.is_err() || !frozen, "{allowed}: acknowledged, and not in force");
        let t = TestStore { disk, clock, options, store };
        let t = if frozen { repair(t).0 } else { t };
        t.pass(300 * DAY);
        t.sweep();
        assert_eq!(clips_with(&t), ["before", "lost", "behind", "free"], "{allowed} changes");
        let t = t.reopen();
        assert_eq!(t.store.opening().deletion_frozen, None);
        cuts += u64::from(frozen);
        if tried.is_ok() {
            break;
        }
    }
    assert!(cuts > 10, "the repair was cut off {cuts} times");
}

#[test]
fn a_ledger_that_came_back_from_a_backup_goes_on_past_a_repair_that_was_cut_off() {
    let TestStore { disk, clock, options, store } = with_a_lost_hold();
    drop(store);
    let damaged: Vec<(String, Vec<u8>)> = ledger_files(&disk)
        .into_iter()
        .map(|path| (path.clone(), disk.contents(&path).unwrap()))
        .collect();
    // It fails where the new ledger's second copy is made.
    disk.fail_after(clipkeep::vfs::sim::SimOp::Create, 3, std::io::ErrorKind::Other);
    assert_eq!(kind_of(options.clone().repair_ledger("store", "o", "")), ErrorKind::Io);
    disk.clear_faults();
    // What was damaged is made good: the bit is flipped back.
    for (path, bytes) in &damaged {
        for (at, window) in bytes.windows(16).enumerate() {
            if window[..4] == *b"CLPE" && crc_is_flipped(bytes, at) {
                disk.corrupt(path, u64::try_from(at).unwrap() + 4, 0xff);
            }
        }
    }
    let store = options.clone().open("store").unwrap();
    assert_eq!(store.opening().deletion_frozen, None);
    let t = TestStore { disk, clock, options, store };
    let holds: Vec<HoldId> = (0..120).map(|round| wide_hold(&t, round)).collect();
    let t = t.reopen();
    assert_eq!(t.store.opening().deletion_frozen, None);
    assert!(holds.iter().all(|hold| t.store.hold(*hold).unwrap().protects()));
    assert!(ledger_files(&t.disk).iter().any(|path| path.ends_with("00000002.log")));
}

/// Whether the entry at `at` is the one that `lose` damaged: that of the hold on minute 20.
fn crc_is_flipped(bytes: &[u8], at: usize) -> bool {
    let start = u64::try_from(at_us(20)).unwrap().to_le_bytes();
    let end = (at + 400).min(bytes.len());
    let next = bytes[at + 4..end].windows(4).position(|w| w == b"CLPE").unwrap_or(end - at);
    bytes[at..(at + next).min(end)].windows(8).any(|window| window == start)
}

fn at_us(minute: u32) -> i64 {
    at(minute).as_micros()
}

/// A hold over many ranges: a long entry.
fn wide_hold(t: &TestStore, round: u32) -> HoldId {
    let window = |n: u32| Window::new(at(3_000 * round + 2 * n), at(3_000 * round + 2 * n + 1));
    let mut hold = NewHold::new([camera("door")], window(0).unwrap()).actor("owner");
    for n in 1..900 {
        hold = hold.also(&camera("door"), window(n).unwrap());
    }
    t.store.place_hold(hold).unwrap().id
}
