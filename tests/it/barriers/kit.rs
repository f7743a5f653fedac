//! Stores on disks whose crashes differ from attempt to attempt, and what is done to their files.

use clipkeep::vfs::Vfs;
use clipkeep::vfs::sim::SimVfs;
use clipkeep::{ManualClock, NewHold, Result, Retention, Store, StoreOptions};

use crate::plug::Plug;
use crate::store_kit::{SEGMENT_BYTES, TestStore, at, camera, minutes};

/// Options as those of [`TestStore`], without a disk.
pub(super) fn options(clock: &ManualClock) -> StoreOptions {
    Store::options()
        .segment_bytes(SEGMENT_BYTES)
        .free_space_floor(0)
        .evidence_reserve(SEGMENT_BYTES)
        .retention(Retention::days(5, 10).unwrap())
        .clock(clock.clone())
}

/// A store on a disk whose fates follow from `seed`.
pub(super) fn seeded(seed: u64) -> TestStore {
    seeded_with(seed, |options| options)
}

pub(super) fn seeded_with(
    seed: u64,
    change: impl FnOnce(StoreOptions) -> StoreOptions,
) -> TestStore {
    let disk = SimVfs::new(seed);
    let clock = ManualClock::at(at(1440));
    let options = change(options(&clock).vfs(disk.clone()));
    let store = options.clone().open("store").unwrap();
    TestStore { disk, clock, options, store }
}

/// Cuts the power, does something to the disk, and opens the store again.
pub(super) fn cut_power(t: TestStore, meanwhile: impl FnOnce(&SimVfs)) -> TestStore {
    let disk = t.disk.crash();
    t.clock.reboot();
    let TestStore { clock, options, store, .. } = t;
    drop(store);
    meanwhile(&disk);
    let options = options.vfs(disk.clone());
    let store = options.clone().open("store").unwrap();
    TestStore { disk, clock, options, store }
}

/// Closes the store, does something to the disk, and opens it again.
pub(super) fn reopen(t: TestStore, meanwhile: impl FnOnce(&SimVfs)) -> TestStore {
    let disk = t.disk.clone();
    t.reopen_with(|options| {
        meanwhile(&disk);
        options
    })
}

/// The store in a process whose end the plug decides.
pub(super) fn mortal(t: TestStore) -> (TestStore, Plug) {
    let TestStore { disk, clock, options, store } = t;
    drop(store);
    let plug = Plug::new(&disk, u64::MAX);
    let store = options.clone().vfs(plug.clone()).open("store").unwrap();
    (TestStore { disk, clock, options, store }, plug)
}

/// The process dies; the next one is on the same machine.
pub(super) fn die(t: TestStore, plug: &Plug) -> TestStore {
    plug.pull();
    t.reopen()
}

/// Removes the files that begin with `path`, for good.
pub(super) fn lose(disk: &SimVfs, path: &str) {
    for lost in disk.files().into_iter().filter(|file| file.starts_with(path)) {
        disk.remove(&lost).unwrap();
        disk.sync_dir(lost.rsplit_once('/').unwrap().0).unwrap();
    }
}

/// Writes `bytes` at `offset` of a file, for good.
pub(super) fn overwrite(disk: &SimVfs, path: &str, offset: usize, bytes: &[u8]) {
    let file = disk.open(path, true).unwrap();
    file.write_at(u64::try_from(offset).unwrap(), &[bytes]).unwrap();
    file.sync().unwrap();
}

/// Flips a bit of a byte on the medium.
pub(super) fn flip(disk: &SimVfs, path: &str, offset: usize) {
    disk.corrupt(path, u64::try_from(offset).unwrap(), 1);
}

/// Where `needle` stands in `bytes`, each time.
pub(super) fn places(bytes: &[u8], needle: &[u8]) -> Vec<usize> {
    let windows = bytes.windows(needle.len()).enumerate();
    windows.filter(|(_, window)| *window == needle).map(|(at, _)| at).collect()
}

/// A hold over many ranges in which nothing was recorded: an entry of some 50 KB.
pub(super) fn wide_hold(store: &Store, round: u32) -> Result<()> {
    let start = 2_000 * (round + 1);
    let mut hold = NewHold::new([camera("door")], minutes(start, start + 1));
    for number in 1..900 {
        let start = start + 2 * number;
        hold = hold.also(&camera("door"), minutes(start, start + 1));
    }
    store.place_hold(hold).map(drop)
}
