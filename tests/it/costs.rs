//! What the store asks of a disk, in calls and bytes: a guard against growing slower that no noise
//! of a machine can blur.
//!
//! Syncs and names are counted to the one; bytes have a bound above what headers and padding take.
//! Whoever makes the store ask for less lowers the number here.

use std::time::Duration;

use clipkeep::vfs::os::OsVfs;
use clipkeep::vfs::sim::SimVfs;
use clipkeep::workload::{Counting, Counts, StoreKeeper, Street};
use clipkeep::{
    Clock as _, Durability, ManualClock, NewClip, NewHold, Retention, Store, StoreOptions, Window,
};

const SEGMENT_BYTES: u64 = 16 << 20;
const HOUR: Duration = Duration::from_hours(1);

/// A store on a simulated disk, whose calls are counted.
struct Bench {
    street: Street,
    clock: ManualClock,
    disk: SimVfs,
    counting: Counting,
    store: Store,
}

impl Bench {
    fn new(clip_bytes: usize, durability: Durability) -> Self {
        Self::of(Street::new(1, 8, clip_bytes), durability)
    }

    fn of(street: Street, durability: Durability) -> Self {
        let (clock, disk) = (ManualClock::at(street.begin()), SimVfs::new(1));
        let counting = Counting::over(disk.clone());
        let store = options(&clock, &counting).durability(durability).open("sim").unwrap();
        let bench = Self { street, clock, disk, counting, store };
        // The first clip of each camera and of the store costs more: names, classes, a segment.
        bench.record(0, 8);
        bench.store.sync().unwrap();
        bench
    }

    /// Records clips `first..first + count` of the street.
    fn record(&self, first: u64, count: u64) {
        for take in self.street.takes(first, count).unwrap() {
            self.store.append(StoreKeeper::new_clip(&take), take.bytes).unwrap();
        }
    }

    /// What `act` asks of the disk.
    fn cost_of<T>(&self, act: impl FnOnce(&Self) -> T) -> Counts {
        let before = self.counting.counts();
        act(self);
        since(before, self.counting.counts())
    }

    fn all(&self) -> Window {
        Window::new(self.street.begin(), self.street.end_of(100_000)).unwrap()
    }
}

fn options(clock: &ManualClock, counting: &Counting) -> StoreOptions {
    Store::options()
        .clock(clock.clone())
        .retention(Retention::new(HOUR, 2 * HOUR).unwrap())
        .segment_bytes(SEGMENT_BYTES)
        .sweep_share(100)
        .free_space_floor(0)
        .vfs(counting.clone())
}

fn since(before: Counts, after: Counts) -> Counts {
    Counts {
        writes: after.writes - before.writes,
        bytes_written: after.bytes_written - before.bytes_written,
        reads: after.reads - before.reads,
        bytes_read: after.bytes_read - before.bytes_read,
        syncs: after.syncs - before.syncs,
        dir_syncs: after.dir_syncs - before.dir_syncs,
        creates: after.creates - before.creates,
        opens: after.opens - before.opens,
        removes: after.removes - before.removes,
        punches: after.punches - before.punches,
        zeros: after.zeros - before.zeros,
        maps: after.maps - before.maps,
        populates: after.populates - before.populates,
        bytes_populated: after.bytes_populated - before.bytes_populated,
    }
}

#[test]
fn a_durable_clip_is_one_write_and_one_sync() {
    let bench = Bench::new(200_000, Durability::Synced);
    let cost = bench.cost_of(|bench| bench.record(8, 10));
    println!("10 clips of 200 kB: {cost:?}");
    assert_eq!((cost.writes, cost.syncs, cost.dir_syncs), (10, 10, 0));
    assert_eq!((cost.reads, cost.creates, cost.opens), (0, 0, 0));
    // A header, a checksum a 64 KiB and the rest of a block.
    assert!(cost.bytes_written <= 10 * (200_000 + 2 * 4096), "{cost:?}");
}

#[test]
fn a_group_of_clips_shares_one_sync() {
    let bench = Bench::new(200_000, Durability::Buffered);
    let cost = bench.cost_of(|bench| {
        bench.record(8, 30);
        bench.store.sync().unwrap();
    });
    println!("30 clips in one group: {cost:?}");
    assert_eq!((cost.writes, cost.syncs), (30, 1));
}

#[test]
fn a_small_fragment_costs_a_block_more_than_its_bytes() {
    let bench = Bench::new(200_000, Durability::Synced);
    let camera = &bench.street.cameras()[0];
    let start = bench.street.end_of(8);
    let mut recorder = bench.store.record(NewClip::starting(camera, start)).unwrap();
    let cost = bench.cost_of(|_| {
        for _ in 0..10 {
            recorder.write(vec![1; 30_000], Duration::from_secs(1)).unwrap();
        }
    });
    println!("10 fragments of 30 kB: {cost:?}");
    assert_eq!((cost.writes, cost.syncs), (10, 10));
    assert!(cost.bytes_written <= 10 * 32_768, "{cost:?}");
}

#[test]
fn a_new_segment_costs_the_same_whatever_the_last_one_has() {
    let costs = [(20_000, 1400), (1_000_000, 28)].map(|(clip_bytes, clips)| {
        let bench = Bench::new(clip_bytes, Durability::Buffered);
        let before = bench.store.stats().unwrap().segments_sealed;
        let cost = bench.cost_of(|bench| bench.record(8, clips));
        let sealed = bench.store.stats().unwrap().segments_sealed - before;
        println!("{sealed} seals over {clips} clips of {clip_bytes}: {cost:?}");
        assert!(sealed >= 1);
        (cost.syncs, cost.dir_syncs, cost.creates, sealed)
    });
    for (syncs, dir_syncs, creates, sealed) in costs {
        assert_eq!(creates, sealed);
        // The seal; the fresh segment's header, and its name in two folders.
        assert!(syncs <= 3 * sealed, "{syncs} syncs for {sealed} seals");
        assert!(dir_syncs <= 2 * sealed, "{dir_syncs} folder syncs for {sealed} seals");
    }
}

#[test]
fn expiry_costs_by_the_segment_and_not_by_the_clip() {
    let costs = [(20_000, 1400), (1_000_000, 28)].map(|(clip_bytes, clips)| {
        let bench = Bench::new(clip_bytes, Durability::Buffered);
        bench.record(8, clips);
        bench.store.seal().unwrap();
        bench.clock.advance(3 * HOUR);
        let mut dropped = 0;
        let cost = bench.cost_of(|bench| {
            let report = bench.store.sweep().unwrap();
            assert_eq!(report.clips_expired, clips + 8);
            dropped = report.segments_dropped;
        });
        println!("{dropped} segments with {clips} clips dropped: {cost:?}");
        (dropped, cost)
    });
    for (dropped, cost) in costs {
        // Zeroed and kept, which is a sync each, and a sync of both folders for all of them.
        assert_eq!((cost.removes, cost.zeros), (0, dropped));
        assert!(cost.syncs <= 5 + dropped, "{cost:?}");
        assert_eq!(cost.dir_syncs, 2, "{cost:?}");
        assert_eq!(cost.punches, 0);
        assert!(cost.bytes_written <= 64 << 10, "{cost:?}");
    }
}

/// What the segments take that are made after an expiry: their files are there already.
#[test]
fn a_segment_in_a_file_that_was_kept_allocates_nothing() {
    let bench = Bench::new(1_000_000, Durability::Buffered);
    bench.record(8, 28);
    bench.store.seal().unwrap();
    bench.clock.advance(3 * HOUR);
    let dropped = bench.store.sweep().unwrap().segments_dropped;
    assert_eq!(dropped, 3);
    let cost = bench.cost_of(|bench| {
        bench.record(36, 28);
        bench.store.seal().unwrap();
    });
    println!("2 segments in files that were kept: {cost:?}");
    // Each is opened once, and its name is made durable in two folders.
    assert_eq!((cost.creates, cost.removes, cost.zeros), (0, 0, 0));
    assert_eq!((cost.opens, cost.dir_syncs), (2, 4));
    // The header, the bytes, the seal.
    assert!(cost.syncs <= 3 * 2, "{cost:?}");
}

/// What a reader of a whole clip asks for who comes after others: a call a chunk, and no map.
#[test]
fn a_warm_clip_needs_no_new_map() {
    let bench = Bench::new(2_000_000, Durability::Buffered);
    bench.store.seal().unwrap();
    let clip = bench.store.clips(&bench.street.cameras()[3], bench.all()).unwrap().next().unwrap();
    let read = || bench.store.read(clip.id()).unwrap().to_vec().unwrap().len();
    // Past the page cache, and then into it.
    assert_eq!((read(), read()), (2_000_000, 2_000_000));
    let cost = bench.cost_of(|_| read());
    println!("a clip of 2 MB, warm: {cost:?}");
    assert_eq!((cost.opens, cost.reads, cost.maps), (0, 0, 0));
    assert_eq!(cost.populates, 31);
    assert_eq!(cost.bytes_populated, 2_000_000);
}

/// A household has a few holds, a city many: what a sweep asks of the disk does not tell how many.
#[test]
fn ten_thousand_holds_ask_no_more_of_a_sweep() {
    let costs = [0, 10_000].map(|holds| {
        let bench = Bench::of(Street::new(1, 8, 20_000), Durability::Buffered);
        bench.record(8, 1400);
        bench.store.seal().unwrap();
        let later = bench.street.end_of(100_000);
        for hold in 0..holds {
            let camera = &bench.street.cameras()[hold % 8];
            let start = later.saturating_add(Duration::from_secs(u64::try_from(hold).unwrap()));
            let window = Window::starting(start, Duration::from_mins(1)).unwrap();
            bench.store.place_hold(NewHold::new([camera.clone()], window)).unwrap();
        }
        bench.clock.advance(3 * HOUR);
        let cost = bench.cost_of(|bench| {
            let report = bench.store.sweep().unwrap();
            assert_eq!((report.clips_expired, report.segments_dropped), (1408, 2));
        });
        let active = bench.store.stats().unwrap().holds_active;
        println!("a sweep beside {active} holds: {cost:?}");
        assert_eq!(active, u64::try_from(holds).unwrap());
        cost
    });
    assert_eq!(costs[0], costs[1]);
}

#[test]
fn a_lookup_asks_the_disk_for_nothing_once_its_footers_are_known() {
    let bench = Bench::new(20_000, Durability::Buffered);
    bench.record(8, 1400);
    bench.store.seal().unwrap();
    let camera = &bench.street.cameras()[3];
    let first = bench.cost_of(|bench| bench.store.clips(camera, bench.all()).unwrap().count());
    println!("a first lookup: {first:?}");
    let again = bench.cost_of(|bench| bench.store.clips(camera, bench.all()).unwrap().count());
    assert_eq!(again, Counts::default());
}

#[test]
fn a_hold_is_two_syncs_whatever_it_covers() {
    let bench = Bench::new(20_000, Durability::Buffered);
    bench.record(8, 1400);
    let cameras = bench.street.cameras().to_vec();
    let cost = bench.cost_of(|bench| {
        let hold = NewHold::new(cameras, bench.all());
        assert_eq!(bench.store.place_hold(hold).unwrap().clips, 1408);
    });
    println!("a hold over 1408 clips: {cost:?}");
    assert_eq!((cost.writes, cost.syncs, cost.dir_syncs), (2, 2, 0));
    assert!(cost.bytes_written <= 2 * 4096, "{cost:?}");
}

#[test]
fn opening_reads_what_describes_the_segments_and_none_of_the_clips() {
    let bench = Bench::new(1_000_000, Durability::Buffered);
    bench.record(8, 140);
    bench.store.seal().unwrap();
    let segments = bench.store.stats().unwrap().segments_sealed;
    let Bench { clock, disk, counting, store, .. } = bench;
    store.close().unwrap();
    drop(counting);
    let counting = Counting::over(disk);
    let store = options(&clock, &counting).open("sim").unwrap();
    let cost = counting.counts();
    println!("opening {segments} segments: {cost:?}");
    assert_eq!(store.stats().unwrap().clips, 148);
    assert!(segments >= 9);
    // Header, trailer and footer of each, and two copies of the ledger as they are allocated.
    assert!(cost.reads <= 16 + 3 * segments, "{cost:?}");
    assert!(cost.bytes_read <= (4 << 20) + 16 * 1024 * segments, "{cost:?}");
}

/// A store whose segments, all of them sealed, are folded, and opened anew: no footer is known.
fn folded(segments: u64) -> Bench {
    let street = Street::new(1, 8, 20_000).lasting(Duration::from_mins(1));
    let bench = Bench::of(street, Durability::Buffered);
    for number in 0..segments {
        bench.record(8 + 400 * number, 400);
        bench.store.seal().unwrap();
    }
    bench.store.sweep().unwrap();
    let Bench { street, clock, disk, counting, store } = bench;
    store.close().unwrap();
    drop(counting);
    let counting = Counting::over(disk.clone());
    let store = options(&clock, &counting).open("sim").unwrap();
    Bench { street, clock, disk, counting, store }
}

#[test]
fn a_lookup_over_folded_segments_maps_pages_and_reads_no_footer() {
    let bench = folded(8);
    let camera = &bench.street.cameras()[3];
    let clips: Vec<_> = bench.store.clips(camera, bench.all()).unwrap().collect();
    assert_eq!(clips.len(), 401);
    let window = Window::new(clips[200].window().start(), clips[259].window().end()).unwrap();
    let cost = bench.cost_of(|bench| {
        assert_eq!(bench.store.clips(camera, window).unwrap().count(), 60);
    });
    println!("60 clips out of {} in folded segments: {cost:?}", clips.len());
    assert_eq!((cost.opens, cost.reads), (0, 0));
    // 42 parts a page, the page before, and what a clip may be longer.
    assert!((1..=6 * 4096).contains(&cost.bytes_populated), "{cost:?}");
}

#[test]
fn a_hold_over_folded_segments_reads_summaries_and_no_footer() {
    let costs = [8, 16].map(|segments| {
        let bench = folded(segments);
        let cameras = bench.street.cameras().to_vec();
        let clips = 8 + 400 * segments;
        let cost = bench.cost_of(|bench| {
            let hold = NewHold::new(cameras, bench.all());
            assert_eq!(bench.store.place_hold(hold).unwrap().clips, clips);
        });
        println!("a hold over {clips} clips in folded segments: {cost:?}");
        cost
    });
    for cost in costs {
        assert_eq!((cost.opens, cost.writes, cost.syncs, cost.reads), (0, 2, 2, 0));
        // Of each of 8 cameras: one page of summaries, and the pages at both ends of its own ones,
        // which others have parts on too.
        assert!((1..=8 * 5 * 4096).contains(&cost.bytes_populated), "{cost:?}");
    }
}

/// What opening asks of a disk with so many sealed segments that a sweep or closing has folded.
fn cost_of_opening(segments: u64, damage: fn(&SimVfs)) -> Counts {
    let bench = Bench::new(20_000, Durability::Buffered);
    for number in 0..segments {
        bench.record(8 * (number + 1), 8);
        bench.store.seal().unwrap();
        if number % 16 == 15 {
            bench.store.sweep().unwrap();
        }
    }
    let Bench { clock, disk, counting, store, .. } = bench;
    store.close().unwrap();
    drop(counting);
    damage(&disk);
    let counting = Counting::over(disk);
    let store = options(&clock, &counting).open("sim").unwrap();
    let cost = counting.counts();
    println!("opening {segments} segments by the index: {cost:?}");
    assert_eq!(store.stats().unwrap().segments_sealed, segments);
    cost
}

#[test]
fn opening_costs_by_the_partition_and_not_by_the_segment() {
    // Four to the second and to the third: one partition each.
    let (few, many) = (cost_of_opening(16, |_| ()), cost_of_opening(64, |_| ()));
    // A head of more than a block is read in two.
    assert!(many.reads <= few.reads + 1, "{few:?} {many:?}");
    assert_eq!(many.opens, few.opens, "the newest segment is opened, and no other one");
    assert!(many.bytes_read <= few.bytes_read + 8 * 4096, "{few:?} {many:?}");
}

#[test]
fn a_folded_segment_whose_end_cannot_be_read_is_not_scanned() {
    let whole = cost_of_opening(16, |_| ());
    let damaged = cost_of_opening(16, |disk| {
        let newest = disk.files().into_iter().filter(|path| path.starts_with("segments/")).max();
        let newest = newest.unwrap();
        let len = u64::try_from(disk.contents(&newest).unwrap().len()).unwrap();
        disk.bad_sector(&newest, len - 4096..len);
    });
    assert_eq!(damaged, whole, "it is known from the index, and looked at no further");
}

/// What comes between a close and the next opening, and how often opening writes then.
#[test]
fn opening_writes_the_time_unless_the_close_has_just_said_it() {
    let bench = Bench::new(20_000, Durability::Buffered);
    bench.store.seal().unwrap();
    let Bench { clock, disk, store, .. } = bench;
    store.close().unwrap();
    let minute = Duration::from_mins(1);
    let writes_after = |between: &dyn Fn(&ManualClock)| {
        between(&clock);
        let counting = Counting::over(disk.clone());
        let store = options(&clock, &counting).open("sim").unwrap();
        let cost = counting.counts();
        store.close().unwrap();
        cost.writes
    };
    assert_eq!(writes_after(&|_| ()), 0, "the slot says it all");
    assert_eq!(writes_after(&|clock| clock.advance(minute)), 0, "a running store waits as long");
    assert_eq!(writes_after(&|clock| clock.advance(minute + minute)), 1, "it is old");
    // Started again, and up for as long as the machine was before.
    let reboot = |clock: &ManualClock| {
        let before = clock.uptime().since_boot_us;
        clock.reboot();
        let behind = before.saturating_sub(clock.uptime().since_boot_us);
        clock.advance(Duration::from_micros(behind));
    };
    assert_eq!(writes_after(&reboot), 1, "it is of another boot");
    let year = Duration::from_hours(365 * 24);
    let ahead = |clock: &ManualClock| clock.step_wall(clock.wall().saturating_add(year));
    assert_eq!(writes_after(&ahead), 1, "since when time lags is not in it");
    assert_eq!(writes_after(&|_| ()), 0, "now it is");
}

#[test]
fn a_scan_reads_the_headers_of_long_records_and_not_the_records() {
    let bytes_read = |clips| {
        let bench = Bench::new(1_000_000, Durability::Buffered);
        bench.record(8, clips);
        let Bench { clock, disk, store, .. } = bench;
        store.close().unwrap();
        let counting = Counting::over(disk);
        let store = options(&clock, &counting).open("sim").unwrap();
        assert_eq!(store.opening().segments_scanned, 1);
        counting.counts().bytes_read
    };
    let (few, many) = (bytes_read(1), bytes_read(7));
    assert!(many <= few + 6 * 3 * 4096, "{few} {many}");
}

#[test]
fn a_read_brings_in_the_clip_and_little_else() {
    let bench = Bench::new(1_000_000, Durability::Buffered);
    bench.record(8, 28);
    bench.store.seal().unwrap();
    let camera = &bench.street.cameras()[0];
    let clip = bench.store.clips(camera, bench.all()).unwrap().next().unwrap();
    let cost = bench.cost_of(|bench| {
        assert_eq!(bench.store.read(clip.id()).unwrap().to_vec().unwrap().len(), 1_000_000);
    });
    println!("a clip of 1 MB: {cost:?}");
    let asked = cost.bytes_read + cost.bytes_populated;
    assert!((1_000_000..=1_200_000).contains(&asked), "{cost:?}");
    assert_eq!((cost.writes, cost.syncs), (0, 0));
}

#[test]
fn a_clip_is_read_past_the_cache_first_and_into_it_when_it_is_wanted_again() {
    let bench = Bench::new(1_000_000, Durability::Buffered);
    bench.record(8, 28);
    bench.store.seal().unwrap();
    let camera = &bench.street.cameras()[0];
    let clips: Vec<_> = bench.store.clips(camera, bench.all()).unwrap().collect();
    let read = |clip: usize, len: usize| {
        bench.cost_of(|bench| {
            let reader = bench.store.read(clips[clip].id()).unwrap();
            reader.read_at(0, &mut vec![0; len]).unwrap();
        })
    };
    let (first, again) = (read(0, 1_000_000), read(0, 1_000_000));
    println!("a clip of 1 MB: {first:?}, and again: {again:?}");
    assert_eq!((first.reads, first.bytes_populated), (1, 0));
    assert_eq!((again.reads, again.bytes_populated), (0, 1_000_000));
    let (little, whole) = (read(1, 100_000), read(1, 1_000_000));
    assert_eq!((little.reads, little.bytes_populated), (0, 131_072), "little is asked ahead for");
    assert_eq!((whole.reads, whole.bytes_populated), (1, 0), "little is no reading of the clip");
}

#[test]
fn opening_reads_of_an_open_segment_what_was_written_and_no_more_the_next_time() {
    // A real file system: reading may make blocks that nobody wrote look as if somebody had.
    let dir = tempfile::tempdir().unwrap();
    let street = Street::new(1, 8, 100_000);
    let clock = ManualClock::at(street.begin());
    let reads = || {
        let counting = Counting::over(OsVfs::new(dir.path()));
        let store = options(&clock, &counting).open(dir.path()).unwrap();
        let cost = counting.counts();
        (store, cost)
    };
    let (store, _) = reads();
    for take in street.takes(0, 20).unwrap() {
        store.append(StoreKeeper::new_clip(&take), take.bytes).unwrap();
    }
    store.close().unwrap();
    for time in 0..3 {
        let (store, cost) = reads();
        println!("opening 20 clips of 100 kB, time {time}: {cost:?}");
        assert_eq!(store.stats().unwrap().clips, 20);
        assert!(cost.bytes_read <= 2_500_000, "time {time}: {cost:?}");
        store.close().unwrap();
    }
}
