//! The workload of the benchmarks: that it measures what it says, and finds who cheats.

use std::time::Duration;

use clipkeep::vfs::sim::SimVfs;
use clipkeep::workload::{
    Commit, Ingest, Keeper, Outcome, Paced, RawKeeper, Steady, StoreKeeper, Street, Take, Together,
    bulk_expiry, bulk_expiry_beside, check, crowd, ingest, lookups, paced, ranges, reads,
    reopenings, space, steady, steady_turn,
};
use clipkeep::{CameraId, Timestamp, Window};

const CLIP_BYTES: usize = 40_000;

fn street() -> Street {
    Street::new(3, 4, CLIP_BYTES)
}

#[test]
fn every_keeper_gets_the_same_clips_and_gives_them_back() {
    let dir = tempfile::tempdir().unwrap();
    let street = street();
    let store = StoreKeeper::open(&dir.path().join("store"), &street, Commit::Grouped).unwrap();
    let raw = RawKeeper::open(dir.path(), false, 4 << 20).unwrap();
    let buffered = StoreKeeper::open(&dir.path().join("buffered"), &street, Commit::Grouped);
    let buffered = buffered.unwrap().buffered().unwrap();
    let mut keepers: Vec<Box<dyn Keeper>> =
        vec![Box::new(store), Box::new(raw), Box::new(buffered)];
    let plan = Ingest { rounds: 3, clips: 20, group: 5 };
    let tracks = ingest(dir.path(), &mut keepers, &street, &plan, &mut |_| ()).unwrap();
    for (track, keeper) in tracks.iter().zip(&mut keepers) {
        assert_eq!(track.bytes(), 60 * u64::try_from(CLIP_BYTES).unwrap());
        assert_eq!((track.rounds.len(), track.latencies.count()), (3, 12));
        check(keeper.as_mut(), &street, 0..60).unwrap();
        assert!(check(keeper.as_mut(), &street, [60]).is_err(), "{} makes clips up", track.name);
        lookups(keeper.as_mut(), &street, 60, Duration::from_secs(1), 2).unwrap();
        assert_eq!(reads(keeper.as_mut(), &street, 0..10).unwrap().bytes, 400_000);
    }
    // One sync a group is the least there is: whoever needs fewer has not made them durable.
    assert_eq!(tracks[1].syncs, Some(12));
    assert!(tracks[0].syncs.unwrap() >= 12);
    assert_eq!(tracks[2].name, "clipkeep, buffered");
}

/// Keeps the first byte of each clip and makes up the rest.
struct Cheat(Vec<Take>);

impl Keeper for Cheat {
    fn name(&self) -> String {
        "cheat".to_owned()
    }

    fn settings(&self) -> String {
        String::new()
    }

    fn keep(&mut self, group: &[Take]) -> Outcome<()> {
        self.0.extend_from_slice(group);
        Ok(())
    }

    fn find(&mut self, _: &CameraId, _: Window) -> Outcome<Vec<Window>> {
        Ok(Vec::new())
    }

    fn read(&mut self, _: &CameraId, start: Timestamp, each: &mut dyn FnMut(&[u8])) -> Outcome<()> {
        let take = self.0.iter().find(|take| take.window.start() == start).ok_or("lost")?;
        each(&take.bytes[..1]);
        each(&vec![0; take.bytes.len() - 1]);
        Ok(())
    }

    fn expire(&mut self, _: Timestamp) -> Outcome<()> {
        self.0.clear();
        Ok(())
    }

    fn disk_bytes(&self) -> Outcome<u64> {
        Ok(0)
    }
}

/// Keeps whole clips, and knows of no ranges.
struct Whole(Vec<Take>);

impl Keeper for Whole {
    fn name(&self) -> String {
        "whole".to_owned()
    }

    fn settings(&self) -> String {
        String::new()
    }

    fn keep(&mut self, group: &[Take]) -> Outcome<()> {
        self.0.extend_from_slice(group);
        Ok(())
    }

    fn find(&mut self, _: &CameraId, _: Window) -> Outcome<Vec<Window>> {
        Ok(Vec::new())
    }

    fn read(
        &mut self,
        camera: &CameraId,
        start: Timestamp,
        each: &mut dyn FnMut(&[u8]),
    ) -> Outcome<()> {
        let is_it = |take: &&Take| take.camera == *camera && take.window.start() == start;
        self.0.iter().find(is_it).ok_or("lost")?.bytes.chunks(9999).for_each(each);
        Ok(())
    }

    fn expire(&mut self, _: Timestamp) -> Outcome<()> {
        Ok(())
    }

    fn disk_bytes(&self) -> Outcome<u64> {
        Ok(0)
    }
}

#[test]
fn a_keeper_that_cheats_is_found() {
    let street = street();
    let mut cheat = Cheat(Vec::new());
    cheat.keep(&street.takes(0, 8).unwrap()).unwrap();
    assert!(check(&mut cheat, &street, [0]).is_err());
    assert!(lookups(&mut cheat, &street, 8, Duration::from_secs(1), 1).is_err());
}

#[test]
fn a_full_store_expires_while_it_records_and_keeps_what_is_held() {
    let dir = tempfile::tempdir().unwrap();
    // With so many cameras the very first clip is held.
    let street = Street::new(5, 16, 1_000_000);
    let plan =
        Steady { kept: 160, clips: 400, group: 4, sweep_every: 40, held_percent: 10, rounds: 2 };
    let kept = street.span_of(plan.kept);
    let store = dir.path().join("store");
    let mut store = StoreKeeper::keeping(&store, &street, Commit::Grouped, kept).unwrap();
    let mut raw = RawKeeper::open(dir.path(), false, 32 << 20).unwrap();
    let (own, limit) =
        steady(dir.path(), &mut store, &mut raw, &street, &plan, &mut |_| ()).unwrap();
    assert!(!own.sweeps.is_empty() && !limit.sweeps.is_empty());
    assert!(store.store().unwrap().stats().unwrap().held_clips > 0);
    assert_eq!(own.track.bytes(), 400_000_000);
}

#[test]
fn turns_beside_expiry_drop_what_is_due_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let street = Street::new(5, 16, 1_000_000);
    let plan =
        Steady { kept: 128, clips: 0, group: 1, sweep_every: 64, held_percent: 0, rounds: 1 };
    let kept = street.span_of(plan.kept);
    let mut store = StoreKeeper::keeping(dir.path(), &street, Commit::Each, kept).unwrap();
    let mut drops = 0;
    for numbers in [0..128, 128..320, 320..512] {
        let clips = numbers.end - numbers.start;
        let turn = steady_turn(&mut store, &street, &plan, numbers, &mut |_| ()).unwrap();
        assert_eq!((turn.track.bytes(), turn.track.rounds.len()), (clips * 1_000_000, 1));
        assert_eq!(turn.track.latencies.count(), clips);
        drops += turn.sweeps.len();
    }
    assert!(drops > 0, "nothing was dropped");
    let oldest = street.take(0).unwrap();
    assert_eq!(store.find(&oldest.camera, oldest.window).unwrap(), []);
    check(&mut store, &street, 512 - plan.kept..512).unwrap();
}

#[test]
fn a_hold_on_what_was_due_and_still_there_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    // A hold reaches back further than what is kept, into a segment that has not expired yet.
    let street = Street::new(5, 60, 1_000_000);
    let plan =
        Steady { kept: 120, clips: 200, group: 4, sweep_every: 40, held_percent: 10, rounds: 1 };
    let store = dir.path().join("store");
    let kept = street.span_of(plan.kept);
    let mut store = StoreKeeper::keeping(&store, &street, Commit::Grouped, kept).unwrap();
    let mut raw = RawKeeper::open(dir.path(), false, 16 << 20).unwrap();
    steady(dir.path(), &mut store, &mut raw, &street, &plan, &mut |_| ()).unwrap();
    let first = street.take(0).unwrap();
    let found = store.find(&first.camera, first.window).unwrap();
    assert_eq!(found, [first.window], "it is held");
}

#[test]
fn the_bare_disk_erases_what_is_due_or_writes_over_it() {
    let street = Street::new(5, 4, 400_000);
    let left_in_first = |keeper: fn(RawKeeper) -> RawKeeper| {
        let dir = tempfile::tempdir().unwrap();
        let mut raw = keeper(RawKeeper::open(dir.path(), false, 1 << 20).unwrap());
        // Two clips a file.
        raw.keep(&street.takes(0, 8).unwrap()).unwrap();
        raw.expire(street.end_of(4)).unwrap();
        let first = street.take(0).unwrap();
        assert_eq!(raw.find(&first.camera, first.window).unwrap(), []);
        check(&mut raw, &street, 4..8).unwrap();
        let left = std::fs::read(dir.path().join("buffered-0000.raw")).ok();
        let left = left.map(|bytes| bytes.iter().any(|byte| *byte != 0));
        raw.keep(&street.takes(8, 4).unwrap()).unwrap();
        check(&mut raw, &street, 4..12).unwrap();
        left
    };
    assert_eq!(left_in_first(|raw| raw), None, "the file is removed");
    assert_ne!(left_in_first(RawKeeper::zeroing), Some(true), "or zeroed, where that is possible");
    assert_eq!(left_in_first(RawKeeper::overwriting), Some(true));
}

#[test]
fn a_street_whose_last_turn_is_not_whole_is_looked_through() {
    let dir = tempfile::tempdir().unwrap();
    let street = Street::new(3, 4, 100);
    let mut vector = RawKeeper::open(dir.path(), false, 4096).unwrap();
    // The last turn has clips of two of four cameras, in a quarter of these windows.
    vector.note(&street.takes(0, 14).unwrap());
    let span = 2 * street.clip_duration();
    assert!(lookups(&mut vector, &street, 14, span, 20).unwrap().found > 0);
}

#[test]
fn bulk_expiry_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let street = Street::new(5, 4, 1_000_000);
    let mut store =
        StoreKeeper::keeping(dir.path(), &street, Commit::Grouped, Duration::from_hours(1))
            .unwrap();
    let bulk = bulk_expiry(&mut store, &street, 300, &mut |_| ()).unwrap();
    assert!(bulk.disk_bytes.1 - bulk.kept_bytes < 120_000_000, "{bulk:?}");
    let stats = store.store().unwrap().stats().unwrap();
    assert!(stats.reusable_bytes.abs_diff(bulk.kept_bytes) < 1 << 20, "{stats:?} {bulk:?}");
    assert_eq!(stats.clips, 0);
    let bulk = bulk_expiry_beside(&mut store, &street, 300, dir.path(), &mut |_| ()).unwrap();
    assert!(bulk.beside.is_some_and(|beside| beside.commits > 0), "{bulk:?}");
    assert_eq!(store.store().unwrap().stats().unwrap().clips, 0);
    let dir = tempfile::tempdir().unwrap();
    let store = StoreKeeper::keeping(dir.path(), &street, Commit::Grouped, Duration::from_hours(1));
    let mut store = store.unwrap().removing().unwrap();
    let bulk = bulk_expiry(&mut store, &street, 300, &mut |_| ()).unwrap();
    assert!(bulk.disk_bytes.1 < bulk.disk_bytes.0 - 200_000_000, "{bulk:?}");
    assert_eq!(store.store().unwrap().stats().unwrap().reusable_bytes, 0);
}

#[test]
fn writers_at_once_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let street = street();
    let store = StoreKeeper::open(&dir.path().join("store"), &street, Commit::Each).unwrap();
    let mut raw = RawKeeper::open(dir.path(), false, 4 << 20).unwrap();
    let plan = Together { writers: 4, clips: 3, fragment_bytes: 10_000, rounds: 2 };
    let crowd = crowd(&store, &mut raw, &street, &plan).unwrap();
    assert_eq!(crowd.own.latencies.count(), 2 * 4 * 3 * 4);
    let stats = store.store().unwrap().stats().unwrap();
    // A first clip of each of the four cameras comes before all others, and another in each round.
    assert_eq!((stats.clips, stats.live_bytes), (24 + 8 + 4, crowd.own.bytes() + 4 * 12));
    // The bare disk wrote as much with each sync as the store did, and as many syncs.
    let groups = crowd.bare_groups.count();
    assert_eq!(groups, crowd.bare.count());
    assert!(groups * crowd.group_bytes >= crowd.own.bytes() && groups <= 96);
    assert_eq!(crowd.all_bytes, 4 * u64::try_from(plan.fragment_bytes).unwrap());
    assert!(crowd.bare_all.count() * crowd.all_bytes >= crowd.own.bytes());
}

#[test]
fn cameras_at_their_pace_are_swept_and_read_beside() {
    let dir = tempfile::tempdir().unwrap();
    let street = Street::new(3, 4, 2_000_000);
    let kept = Duration::from_hours(1);
    let store_dir = dir.path().join("store");
    let store = StoreKeeper::keeping(&store_dir, &street, Commit::Grouped, kept).unwrap();
    let mut raw = RawKeeper::open(dir.path(), false, 4 << 20).unwrap();
    let mut plan = Paced {
        cameras: 4,
        fragment_bytes: 10_000,
        pace: Duration::from_millis(10),
        fragments: 3,
        rounds: 2,
        sweeps: 1,
        swept_clips: 70,
        readers: 2,
        filled_clips: 220,
    };
    store.record(&street.takes(0, plan.filled_clips).unwrap()).unwrap();
    let tracks = paced(&store, &mut raw, &street, &plan, kept).unwrap();
    assert_eq!((tracks.own.count(), tracks.bare.count()), (24, 24));
    assert_eq!(tracks.laps.len(), 24);
    assert!(tracks.segments_dropped >= 2, "{tracks:?}");
    assert_eq!(tracks.read_bytes, 2 * 2 * 30 * 2_000_000);
    let stats = store.store().unwrap().stats().unwrap();
    // A segment goes once all of it is due, and what was recorded beside is there.
    let least = plan.filled_clips - plan.swept_in_all() + 8;
    assert!((least..least + 70).contains(&stats.clips), "{}", stats.clips);
    // There is nothing left to sweep: to measure beside sweeps that drop nothing would be a lie.
    (plan.rounds, plan.filled_clips, plan.swept_clips, plan.readers) = (1, 300, 0, 0);
    assert!(paced(&store, &mut raw, &street, &plan, kept).is_err());
}

#[test]
fn a_range_is_cut_from_its_clip_whoever_keeps_it() {
    let dir = tempfile::tempdir().unwrap();
    let street = Street::new(3, 4, 300_000);
    let store = StoreKeeper::open(&dir.path().join("store"), &street, Commit::Grouped).unwrap();
    let raw = RawKeeper::open(dir.path(), false, 8 << 20).unwrap();
    let mut keepers: Vec<Box<dyn Keeper>> = vec![Box::new(store), Box::new(raw)];
    // In memory there are no direct writes.
    keepers.extend(
        RawKeeper::open(dir.path(), true, 8 << 20).map(|raw| -> Box<dyn Keeper> { Box::new(raw) }),
    );
    keepers.push(Box::new(Whole(Vec::new())));
    for keeper in &mut keepers {
        keeper.keep(&street.takes(0, 20).unwrap()).unwrap();
        let reads = ranges(keeper.as_mut(), &street, 0..20, 70_000).unwrap();
        assert_eq!(reads.bytes, 20 * 70_000, "{}", keeper.name());
        assert_eq!(ranges(keeper.as_mut(), &street, [3], 400_000).unwrap().bytes, 300_000);
    }
    let mut cheat = Cheat(street.takes(0, 1).unwrap());
    assert!(ranges(&mut cheat, &street, [0], 1000).is_err(), "made-up bytes are found");
}

#[test]
fn a_full_store_takes_what_its_clips_do_and_little_more() {
    let street = Street::new(5, 4, 200_000);
    let plan =
        Steady { kept: 800, clips: 800, group: 4, sweep_every: 40, held_percent: 1, rounds: 1 };
    let (disk, kept) = (SimVfs::new(1), street.span_of(plan.kept));
    let mut store =
        StoreKeeper::simulated(&disk, &street, Commit::Grouped, kept, 16 << 20).unwrap();
    let space = space(&mut store, &street, &plan, &mut |_| ()).unwrap();
    assert!(space.live_bytes >= 800 * 200_000, "{space:?}");
    let parts = space.live_bytes + space.expired_bytes + space.overhead_bytes;
    assert_eq!(space.disk_bytes, parts + space.reserved_bytes, "every byte has its place");
    assert!(space.growing() >= 1.0 && space.all() > space.growing(), "{space:?}");
}

/// The scenarios on the simulated disk, where nothing takes time: counts and promises alone.
#[test]
fn the_simulated_disk_runs_the_same_scenarios() {
    let street = Street::new(5, 4, 50_000);
    let (disk, kept) = (SimVfs::new(1), Duration::from_hours(1));
    let mut store = StoreKeeper::simulated(&disk, &street, Commit::Each, kept, 4 << 20).unwrap();
    store.keep(&street.takes(0, 200).unwrap()).unwrap();
    assert!(store.syncs().unwrap() >= 200);
    let hour = Duration::from_hours(1);
    assert!(lookups(&mut store, &street, 200, hour, 2).unwrap().found > 0);
    assert_eq!(reads(&mut store, &street, 0..200).unwrap().bytes, 10_000_000);
    let found = reopenings(&mut store, &street, 200, 2).unwrap();
    assert_eq!(found.len(), 4);
    check(&mut store, &street, 0..204).unwrap();
    store.expire(street.end_of(204)).unwrap();
    assert_eq!(store.store().unwrap().stats().unwrap().clips, 0);
}

#[test]
fn acknowledged_clips_are_there_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let street = street();
    let mut store = StoreKeeper::open(dir.path(), &street, Commit::Each).unwrap();
    store.keep(&street.takes(0, 20).unwrap()).unwrap();
    let found = reopenings(&mut store, &street, 20, 2).unwrap();
    assert_eq!(found.iter().filter(|one| one.killed).count(), 2);
    check(&mut store, &street, 0..24).unwrap();
}
