//! What the store asks of the heap: a guard against growing slower that no noise of a machine can
//! blur, beside that of `costs`.
//!
//! Counts are those of the calling thread, on a real disk: the simulated one asks the heap for its
//! files. Whoever makes the store ask for less lowers the number here.

use std::time::Duration;

use allocation_counter::{AllocationInfo, measure};
use clipkeep::workload::{Commit, Keeper as _, StoreKeeper, Street};
use clipkeep::{NewClip, Retention, Store, Window};
use tempfile::TempDir;

const HOUR: Duration = Duration::from_hours(1);

fn street(clip_bytes: usize) -> Street {
    Street::new(1, 8, clip_bytes).lasting(Duration::from_mins(1))
}

/// A store with so many small clips, folded into its index as far as they are sealed.
fn folded(clips: u64) -> (TempDir, StoreKeeper, Street) {
    let (dir, street) = (tempfile::tempdir().unwrap(), street(2000));
    let mut store = StoreKeeper::tiny(dir.path(), &street).unwrap();
    for first in (0..clips).step_by(1000) {
        store.keep(&street.takes(first, 1000).unwrap()).unwrap();
    }
    store.settle().unwrap();
    store.sweep().unwrap();
    (dir, store, street)
}

fn told(what: &str, cost: AllocationInfo) -> AllocationInfo {
    println!("{what}: {} allocations, {} bytes", cost.count_total, cost.bytes_total);
    cost
}

#[test]
fn a_durable_clip_is_not_copied_to_the_heap() {
    let (dir, street) = (tempfile::tempdir().unwrap(), street(200_000));
    let mut store = StoreKeeper::open(dir.path(), &street, Commit::Each).unwrap();
    store.keep(&street.takes(0, 16).unwrap()).unwrap();
    let takes = street.takes(16, 16).unwrap();
    let cost = told("16 clips of 200 kB", measure(|| store.keep(&takes).unwrap()));
    assert!(cost.count_total <= 16 * 14, "{cost:?}");
    assert!(cost.bytes_total <= 16 * 3072, "{cost:?}");
}

#[test]
fn a_fragment_is_not_copied_to_the_heap() {
    let (dir, street) = (tempfile::tempdir().unwrap(), street(200_000));
    let mut store = StoreKeeper::open(dir.path(), &street, Commit::Each).unwrap();
    store.keep(&street.takes(0, 16).unwrap()).unwrap();
    let (camera, start) = (&street.cameras()[0], street.end_of(16));
    let mut recorder = store.store().unwrap().record(NewClip::starting(camera, start)).unwrap();
    let second = Duration::from_secs(1);
    recorder.write(street.take(20).unwrap().bytes, second).unwrap();
    let fragments = street.takes(24, 16).unwrap().into_iter().map(|take| take.bytes);
    let fragments: Vec<_> = fragments.collect();
    let cost = told(
        "16 fragments of 200 kB",
        measure(|| {
            for bytes in fragments {
                recorder.write(bytes, second).unwrap();
            }
        }),
    );
    assert!(cost.count_total <= 16 * 11, "{cost:?}");
    assert!(cost.bytes_total <= 16 * 2560, "{cost:?}");
}

#[test]
fn a_lookup_asks_for_the_same_whatever_else_is_there() {
    let costs = [2000, 20_000].map(|clips| {
        let (_dir, store, street) = folded(clips);
        let camera = &street.cameras()[3];
        let start = street.begin().saturating_add(2 * HOUR);
        let hour = Window::starting(start, HOUR).unwrap();
        let store = store.store().unwrap();
        told(
            &format!("an hour among {clips} clips"),
            measure(|| {
                assert_eq!(store.clips(camera, hour).unwrap().count(), 60);
            }),
        )
    });
    for cost in costs {
        assert!(cost.count_total <= 1, "{cost:?}");
        // 96 bytes each, and of three pages what is not in the window.
        assert!(cost.bytes_total <= 3 * 4096 + 1024, "{cost:?}");
    }
}

#[test]
fn a_clip_is_read_in_place() {
    let (dir, street) = (tempfile::tempdir().unwrap(), street(2_000_000));
    let mut store = StoreKeeper::open(dir.path(), &street, Commit::Each).unwrap();
    store.keep(&street.takes(0, 8).unwrap()).unwrap();
    // A segment that is written to has no map.
    store.store().unwrap().seal().unwrap();
    let take = street.take(3).unwrap();
    let read = || {
        let mut bytes = 0;
        let start = take.window.start();
        store.read_of(&take.camera, start, None, &mut |piece| bytes += piece.len()).unwrap();
        assert_eq!(bytes, 2_000_000);
    };
    // Past the page cache, and then into it.
    read();
    read();
    let cost = told("a clip of 2 MB, warm", measure(read));
    assert!(cost.count_total <= 31 + 16, "{cost:?}");
    assert!(cost.bytes_total <= 4608, "{cost:?}");
}

#[test]
fn a_sweep_with_nothing_due_asks_by_the_segment_and_not_by_the_clip() {
    for clips in [2000, 20_000] {
        let (_dir, store, _street) = folded(clips);
        let sweep = || assert_eq!(store.sweep().unwrap().clips_expired, 0);
        let cost = told(&format!("a sweep of {clips} clips"), measure(sweep));
        // A few lists of the segments, 500 clips each, that grow.
        assert!(cost.count_total <= 24 + clips / 800, "{cost:?}");
        assert!(cost.bytes_total <= 4096 + clips * 3 / 2, "{cost:?}");
    }
}

#[test]
fn opening_asks_by_the_segment_and_not_by_the_clip() {
    let costs = [20_000, 80_000].map(|clips| {
        let (dir, store, _street) = folded(clips);
        let segments = store.store().unwrap().stats().unwrap().segments_sealed;
        drop(store);
        let year = Duration::from_hours(24 * 365 * 20);
        // Read alone, it reads all on this thread.
        let options = || {
            let retention = Retention::new(year, year).unwrap();
            Store::options().retention(retention).read_only(true)
        };
        let cost = measure(|| drop(options().open(dir.path()).unwrap()));
        (segments, told(&format!("opening {segments} segments"), cost))
    });
    let [(few, small), (many, large)] = costs;
    let more = large.count_total.saturating_sub(small.count_total);
    assert!(many >= few + 40, "{few} and {many} segments");
    assert!(more <= (many - few) * 15, "{more} more for {} more", many - few);
    let more = large.bytes_total.saturating_sub(small.bytes_total);
    assert!(more <= (many - few) * 2816, "{more} bytes more for {} more", many - few);
}
