//! Criterion benches over the workload: what a change costs, in isolation, on one machine.
//!
//! `cargo bench` compares with the run before. How the store stands against its disk, only
//! `clipkeep bench` tells: it measures both in turns.

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use clipkeep::vfs::sim::SimVfs;
use clipkeep::workload::{Commit, Keeper, RawKeeper, Stopwatch, StoreKeeper, Street};
use clipkeep::{ManualClock, NewHold, Store, Window};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const SEED: u64 = 1;
const CLIP_BYTES: usize = 200_000;
/// The disk that is measured: that of the working folder.
const DISK: &str = ".";

fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(DISK).expect("the working folder takes a folder")
}

fn store(dir: &Path, street: &Street, commit: Commit) -> StoreKeeper {
    StoreKeeper::open(dir, street, commit).expect("a new store opens")
}

/// One durable clip, beside the raw limit; and without a disk, which leaves the processor's part.
fn append(criterion: &mut Criterion) {
    let street = Street::new(SEED, 16, CLIP_BYTES);
    let mut group = criterion.benchmark_group("append 200 kB");
    group.throughput(Throughput::Bytes(200_000)).sample_size(20);
    let dir = folder();
    let mut durable = store(&dir.path().join("store"), &street, Commit::Each);
    let mut raw = RawKeeper::open(dir.path(), false, 256 << 20).expect("there is room");
    let keepers: [(&str, &mut dyn Keeper); 2] = [("durable", &mut durable), ("raw", &mut raw)];
    for (name, keeper) in keepers {
        let mut number = 0;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let take = street.take(number).expect("time goes on");
                number += 1;
                keeper.keep(&[take]).expect("a clip is kept");
            });
        });
    }
    group.bench_function("without a disk", |bencher| {
        bencher.iter_batched(
            || {
                let clock = ManualClock::at(street.begin());
                let store = Store::options().clock(clock).segment_bytes(16 << 20);
                store.vfs(SimVfs::new(SEED)).open("sim").expect("a new store opens")
            },
            |store| {
                for take in street.takes(0, 16).expect("time goes on") {
                    let clip = StoreKeeper::new_clip(&take);
                    store.append(clip, take.bytes).expect("a clip is kept");
                }
                store
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

/// Lookups of three lengths, a hold over everything, a warm read.
fn find(criterion: &mut Criterion) {
    const CLIPS: u64 = 20_000;
    let street = Street::new(SEED, 16, 2_000).lasting(Duration::from_mins(1));
    let dir = folder();
    let mut store = StoreKeeper::tiny(dir.path(), &street).expect("a new store opens");
    for first in (0..CLIPS).step_by(1000) {
        store.keep(&street.takes(first, 1000).expect("time goes on")).expect("clips are kept");
    }
    let mut group = criterion.benchmark_group("find among 20,000");
    for clips in [10_u32, 60, 1440] {
        let span = street.clip_duration() * clips;
        let camera = street.cameras()[3].clone();
        let mut turn = 0;
        group.bench_function(format!("window of {clips}"), |bencher| {
            bencher.iter(|| {
                turn += 1;
                // Among what is sealed: the newest clips are in the open segment's draft.
                let skip = u32::try_from(street.pick(turn, 600)).expect("a small number");
                let start = street.begin().saturating_add(street.clip_duration() * skip);
                let window = Window::starting(start, span).expect("a window");
                black_box(store.find(&camera, window).expect("a lookup").len())
            });
        });
    }
    let everything = Window::new(street.begin(), street.end_of(CLIPS)).expect("a window");
    group.sample_size(10).measurement_time(Duration::from_secs(3));
    group.bench_function("a hold over all", |bencher| {
        bencher.iter(|| {
            let hold = NewHold::new(street.cameras().to_vec(), everything);
            black_box(store.store().expect("an open store").place_hold(hold).expect("a hold"))
        });
    });
    group.finish();
}

/// A sweep that drops what is due, beside no holds and beside 10,000 on other footage; without a
/// disk, so that what is left is the store's own time.
fn sweep(criterion: &mut Criterion) {
    const CLIPS: u64 = 700;
    const HOUR: Duration = Duration::from_hours(1);
    let mut group = criterion.benchmark_group(format!("sweep {CLIPS} clips"));
    group.sample_size(10);
    for holds in [0_u32, 10_000] {
        let street = Street::new(SEED, 8, 20_000);
        let disk = SimVfs::new(SEED);
        let mut store = StoreKeeper::simulated(&disk, &street, Commit::Grouped, HOUR, 16 << 20)
            .expect("a store");
        store.keep(&street.takes(0, 8).expect("time goes on")).expect("clips are kept");
        // On each camera, of the time before it began to record: none of what is swept is held,
        // however long this goes on.
        for (hold, camera) in (0..holds).zip(street.cameras().iter().cycle()) {
            let before = Duration::from_secs(60 + u64::from(hold));
            let start = street.begin().saturating_sub(before);
            let window = Window::starting(start, Duration::from_mins(1)).expect("a window");
            store.hold(camera, window).expect("a hold");
        }
        let mut next = 8;
        group.bench_function(format!("beside {holds} holds"), |bencher| {
            bencher.iter_custom(|times| {
                let mut took = Duration::ZERO;
                for _ in 0..times {
                    store.keep(&street.takes(next, CLIPS).expect("time goes on")).expect("kept");
                    next += CLIPS;
                    store.store().expect("an open store").seal().expect("it is sealed");
                    store.turn_to(street.end_of(next).saturating_add(HOUR));
                    let watch = Stopwatch::start();
                    let report = store.sweep().expect("a sweep");
                    took += watch.elapsed();
                    assert!(report.clips_expired >= CLIPS, "{report:?}");
                    // Time for what is recorded next.
                    next += street.clips_in(HOUR).next_multiple_of(8);
                }
                took
            });
        });
    }
    group.finish();
}

fn read(criterion: &mut Criterion) {
    let street = Street::new(SEED, 16, 2_000_000);
    let dir = folder();
    let mut store = store(dir.path(), &street, Commit::Grouped);
    store.keep(&street.takes(0, 128).expect("time goes on")).expect("clips are kept");
    let mut group = criterion.benchmark_group("read 2 MB");
    group.throughput(Throughput::Bytes(2_000_000));
    let mut turn = 0;
    group.bench_function("warm, verified", |bencher| {
        bencher.iter(|| {
            turn += 1;
            let take = street.take(street.pick(turn, 32)).expect("time goes on");
            let mut len = 0;
            store
                .read(&take.camera, take.window.start(), &mut |piece| len += piece.len())
                .expect("a clip is read");
            assert_eq!(len, take.bytes.len());
        });
    });
    group.finish();
}

/// Opening after a close, after a kill, and without an index; with 20,000 clips, or as many as
/// `CLIPKEEP_OPEN_CLIPS` says, which take 4 KiB each on the disk.
fn open(criterion: &mut Criterion) {
    let clips = std::env::var("CLIPKEEP_OPEN_CLIPS").ok();
    let clips = clips.map_or(20_000, |clips| clips.parse().expect("a number of clips"));
    let street = Street::new(SEED, 16, 2_000).lasting(Duration::from_mins(1));
    let dir = folder();
    let mut store = StoreKeeper::tiny(dir.path(), &street).expect("a new store opens");
    for first in (0..clips).step_by(1000) {
        store.keep(&street.takes(first, 1000).expect("time goes on")).expect("clips are kept");
    }
    let mut group = criterion.benchmark_group(format!("open {clips} clips"));
    group.sample_size(10);
    for (name, killed) in [("after a close", false), ("after a kill", true)] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|times| {
                (0..times).map(|_| store.reopen(killed).expect("it opens")).sum()
            });
        });
    }
    group.bench_function("without an index", |bencher| {
        bencher.iter_custom(|times| {
            (0..times).map(|_| store.reopen_without_index().expect("it opens")).sum()
        });
    });
    group.finish();
}

criterion_group!(benches, append, find, sweep, read, open);
criterion_main!(benches);
