//! Files that are made and removed: what is left when one step of it fails, and the reserves.

use std::io;

use clipkeep::vfs::sim::SimOp;
use clipkeep::{ErrorKind, NewClip, Store};

use crate::store_kit::{DAY, SEGMENT_BYTES, TestStore, camera, kind_of, minutes};

/// The files in `spare/` with their lengths.
fn spares(store: &TestStore) -> Vec<(String, usize)> {
    let files = store.disk.files().into_iter().filter(|path| path.starts_with("spare/"));
    files
        .map(|path| {
            let len = store.disk.contents(&path).unwrap().len();
            (path, len)
        })
        .collect()
}

#[test]
fn a_segment_that_cannot_be_made_leaves_nothing_behind() {
    for op in [SimOp::Write, SimOp::Sync, SimOp::Rename, SimOp::SyncDir] {
        for nth in 1..3 {
            let store = TestStore::new();
            store.sealed_clip("porch", 0, "before");
            let (segments, spare) = (store.segment_files(), spares(&store));
            store.disk.fail_after(op, nth, io::ErrorKind::Other);
            for minute in 1..3 {
                let clip = NewClip::new(&camera("porch"), minutes(minute, minute + 1));
                drop(store.store.append(clip, &b"bytes"[..]));
            }
            assert_eq!(spares(&store), spare, "{op:?} {nth}");
            assert!(store.segment_files().len() <= segments.len() + 2, "{op:?} {nth}");
            let store = store.reopen();
            store.clip("porch", 9, "after");
        }
    }
}

#[test]
fn without_a_reserve_there_is_no_reserve_file() {
    let store = TestStore::with(|options| options.evidence_reserve(0));
    assert_eq!(spares(&store).len(), 1, "the ballast alone: {:?}", spares(&store));
}

#[test]
fn a_reserve_of_another_size_is_replaced() {
    let store = TestStore::new();
    let one = usize::try_from(SEGMENT_BYTES).unwrap();
    let lens = |store: &TestStore| -> Vec<usize> {
        let mut lens: Vec<usize> = spares(store).into_iter().map(|(_, len)| len).collect();
        lens.sort_unstable();
        lens
    };
    assert_eq!(lens(&store), [one, one]);
    let store = store.reopen_with(|options| options.evidence_reserve(3 * SEGMENT_BYTES));
    assert_eq!(lens(&store), [one, 3 * one]);
    let store = store.reopen_with(|options| options.evidence_reserve(0));
    assert_eq!(lens(&store), [one]);
}

#[test]
fn a_reserve_larger_than_any_segment_is_refused() {
    let options = Store::options().evidence_reserve((1 << 30) + 1);
    let error = options.open("nowhere").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_file_is_on_record_as_dropped_only_once_its_folder_is_synced() {
    let store = TestStore::new();
    let clip = store.sealed_clip("porch", 0, "gone");
    store.pass(11 * DAY);
    store.disk.fail_from(SimOp::SyncDir, 1, io::ErrorKind::Other);
    drop(store.store.sweep());
    assert_eq!(store.files_with("gone"), Vec::<String>::new());
    let dropped = |store: &TestStore| {
        store.ledger().iter().filter(|line| line.kind == "segment-dropped").count()
    };
    assert_eq!(dropped(&store), 0);
    let TestStore { disk, clock, options, store } = store;
    drop(store);
    // The name may come back: nothing can be relied on in that folder.
    assert_eq!(kind_of(options.clone().open("store")), ErrorKind::Io);
    disk.clear_faults();
    let store = options.clone().open("store").unwrap();
    let store = TestStore { disk, clock, options, store };
    assert_eq!(dropped(&store), 1);
    store.assert_gone(&clip);
}
