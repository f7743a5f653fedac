//! Runs a profile, stage by stage, and collects what was measured. No figure is judged here.

use std::path::Path;
use std::time::Duration;

use super::profile::{
    CLIP_BYTES, FRAGMENT_BYTES, LARGE_CLIP_BYTES, Plan, Profile, RANGE_BYTES, SMALL_CLIP_BYTES,
    TINY_CLIP_BYTES,
};
use crate::cli::progress::Bar;
use crate::workload::{
    Budget, Bulk, Commit, Crowd, Ingest, Keeper, Lookups, Machine, Outcome, Paced, PacedTracks,
    RawKeeper, Reads, Reopening, Space, Steady, SteadyTrack, Stopwatch, StoreKeeper, Street, Track,
    budget, bulk_expiry, bulk_expiry_beside, cached, check, counted, crowd, drop_caches, fill,
    forget_memory_peak, ingest, lookups, machine, paced, ranges, reads, reopenings, space, steady,
};
use crate::{CameraId, NewHold, Window};

/// Everything that a run measured.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) profile: Profile,
    pub(super) machine: Machine,
    pub(super) took: Duration,
    pub(super) each: Vec<Track>,
    pub(super) grouped: Vec<Track>,
    pub(super) small: Vec<Track>,
    pub(super) large: Vec<Track>,
    /// The most memory while groups were recorded, the footage of the benchmark included.
    pub(super) memory_peak_bytes: Option<u64>,
    /// What of the groups was cached afterwards, by name: `(cached, looked at)`.
    pub(super) cached: Vec<(String, (u64, u64))>,
    pub(super) budget: Budget,
    pub(super) crowd: Crowd,
    pub(super) paced: Vec<PacedRow>,
    pub(super) steady: Vec<SteadyPair>,
    pub(super) space: Space,
    pub(super) bulk: Vec<(String, Bulk)>,
    pub(super) reads: Vec<ReadRow>,
    pub(super) finds: Finds,
}

/// Cameras at their own pace, and what happened beside them.
#[derive(Clone, Debug)]
pub(super) struct PacedRow {
    /// In JSON.
    pub(super) name: &'static str,
    /// For people.
    pub(super) beside: &'static str,
    pub(super) plan: Paced,
    pub(super) tracks: PacedTracks,
}

/// Recording beside expiry, the store and the raw limit.
#[derive(Clone, Debug)]
pub(super) struct SteadyPair {
    pub(super) held_percent: u64,
    pub(super) own: SteadyTrack,
    pub(super) limit: SteadyTrack,
}

/// Reads of one keeper.
#[derive(Clone, Debug)]
pub(super) struct ReadRow {
    pub(super) name: String,
    pub(super) cold: bool,
    /// Of a range of each clip, and not of all of it.
    pub(super) is_range: bool,
    pub(super) reads: Reads,
}

impl ReadRow {
    /// What was read, and whose.
    pub(super) fn what(&self) -> String {
        let temperature = if self.cold { "cold" } else { "warm" };
        let range = if self.is_range { ", 256 KiB of each" } else { "" };
        format!("{temperature}{range}: {}", self.name)
    }
}

/// What was measured on a store of many small clips.
#[derive(Clone, Debug)]
pub(super) struct Finds {
    pub(super) clips: u64,
    pub(super) lookups: Vec<Lookups>,
    /// The same windows in a vector in memory.
    pub(super) vector: Vec<Lookups>,
    pub(super) index_bytes: u64,
    pub(super) hold_took: Duration,
    pub(super) hold_syncs: u64,
    pub(super) hold_clips: u64,
    pub(super) reopenings: Vec<Reopening>,
}

/// A seed for everything: another one would measure the same.
pub(super) const SEED: u64 = 0x0c11_b4ee;
/// What clips last that are looked for: a lookup looks back as far as the longest clip may last, so
/// clips of milliseconds would make it look at thousands.
pub(super) const MINUTE: Duration = Duration::from_mins(1);
/// Segments, and so the files of the raw limit where it expires.
const SEGMENT_BYTES: u64 = 128 << 20;

/// Runs `plan`, which is that of `profile`, in the empty folder `dir`.
pub(super) fn run(profile: Profile, plan: &Plan, dir: &Path) -> Outcome<Measured> {
    let watch = Stopwatch::start();
    let stage = Stages { dir, plan };
    let machine = machine(dir)?;
    let each = stage.ingest("a commit a clip", &plan.each, CLIP_BYTES, Commit::Each, 0)?;
    forget_memory_peak();
    let reads = plan.read_clips;
    let grouped =
        stage.ingest("grouped commits", &plan.grouped, CLIP_BYTES, Commit::Together, reads)?;
    let small = stage.ingest("small clips", &plan.small, SMALL_CLIP_BYTES, Commit::Together, 0)?;
    let large = stage.ingest("large clips", &plan.large, LARGE_CLIP_BYTES, Commit::Together, 0)?;
    let direct = is_direct_better(&grouped.tracks);
    let crowd = stage.together(direct)?;
    let paced = [
        ("alone", "alone", plan.paced(false, false)),
        ("beside_sweeps", "beside a sweep a second", plan.paced(true, false)),
        ("beside_readers", "beside 4 readers", plan.paced(false, true)),
    ];
    let paced = paced.into_iter().map(|(name, beside, plan)| {
        let tracks = stage.paced(beside, &plan, direct)?;
        Ok(PacedRow { name, beside, plan, tracks })
    });
    let paced = paced.collect::<Outcome<_>>()?;
    let percents = plan.held_percents.iter();
    let steady = percents.map(|held| stage.steady(*held, direct)).collect::<Outcome<_>>()?;
    Ok(Measured {
        profile,
        machine,
        each: each.tracks,
        grouped: grouped.tracks,
        small: small.tracks,
        large: large.tracks,
        memory_peak_bytes: grouped.memory_peak_bytes,
        cached: grouped.cached,
        budget: stage.budget()?,
        crowd,
        paced,
        steady,
        space: stage.space()?,
        bulk: stage.bulk(direct)?,
        reads: grouped.reads,
        finds: stage.finds()?,
        took: watch.elapsed(),
    })
}

/// The raw limit is the better of two ways; the keepers are the store, buffered, direct.
fn is_direct_better(tracks: &[Track]) -> bool {
    match tracks {
        [_, buffered, direct] => direct.bytes_per_second() > buffered.bytes_per_second(),
        _ => false,
    }
}

/// What recording into the store and both raw limits brought.
struct Ingested {
    tracks: Vec<Track>,
    /// While it was recorded, before anything was read: what is read in maps counts as memory,
    /// although it is the system's cache.
    memory_peak_bytes: Option<u64>,
    cached: Vec<(String, (u64, u64))>,
    reads: Vec<ReadRow>,
}

struct Stages<'a> {
    dir: &'a Path,
    plan: &'a Plan,
}

impl Stages<'_> {
    /// A folder of its own for a stage; removed when the stage is over, so that it has room.
    fn folder(&self) -> Outcome<tempfile::TempDir> {
        Ok(tempfile::tempdir_in(self.dir)?)
    }

    /// Records into the store and both raw limits, checks what is there, and reads `read_clips`.
    fn ingest(
        &self,
        what: &'static str,
        plan: &Ingest,
        clip_bytes: usize,
        commit: Commit,
        read_clips: u64,
    ) -> Outcome<Ingested> {
        let folder = self.folder()?;
        let street = Street::new(SEED, self.plan.cameras, clip_bytes);
        let clips = u64::from(plan.rounds) * plan.clips;
        let file_bytes = file_bytes_for(clips, clip_bytes);
        let dirs = ["store", "buffered", "direct"].map(|name| folder.path().join(name));
        let [store, buffered, direct] = &dirs;
        std::fs::create_dir(buffered)?;
        std::fs::create_dir(direct)?;
        let store = StoreKeeper::open(store, &street, commit)?;
        let mut keepers: Vec<Box<dyn Keeper>> =
            vec![Box::new(store), Box::new(RawKeeper::open(buffered, false, file_bytes)?)];
        // Some file systems know no direct writes; the limit is then the other one.
        if let Ok(direct) = RawKeeper::open(direct, true, file_bytes) {
            keepers.push(Box::new(direct));
        }
        let shares = u64::try_from(keepers.len())?;
        let bar = Bar::bytes(what, shares * clips * u64::try_from(clip_bytes)?);
        let tracks =
            ingest(self.dir, &mut keepers, &street, plan, &mut |bytes| bar.advance(bytes))?;
        let memory_peak_bytes = counted(self.dir).memory_peak_bytes;
        let mut kept = Vec::new();
        for (keeper, dir) in keepers.iter().zip(&dirs) {
            kept.extend(cached(dir)?.map(|cached| (keeper.name(), cached)));
        }
        let some = street.picks(0, 8, clips);
        for keeper in &mut keepers {
            check(keeper.as_mut(), &street, some.iter().copied())?;
        }
        let reads = read_all(folder.path(), &mut keepers, &street, (clips, &some), read_clips)?;
        Ok(Ingested { tracks, memory_peak_bytes, cached: kept, reads })
    }

    fn together(&self, direct: bool) -> Outcome<Crowd> {
        let folder = self.folder()?;
        let plan = self.plan.together();
        let street = Street::new(SEED, plan.writers, CLIP_BYTES);
        let store = StoreKeeper::open(&folder.path().join("store"), &street, Commit::Each)?;
        let _bar = Bar::bytes("all at once", 0);
        let fragments = CLIP_BYTES.div_ceil(FRAGMENT_BYTES);
        let clips = u64::from(plan.writers * plan.clips * plan.rounds);
        // Of the bare disk, twice as groups and once as some single ones.
        let fragments = 3 * clips * u64::try_from(fragments)?;
        let mut raw =
            RawKeeper::open(folder.path(), direct, file_bytes_for(fragments, FRAGMENT_BYTES))?;
        crowd(&store, &mut raw, &street, &plan)
    }

    fn paced(&self, beside: &'static str, plan: &Paced, direct: bool) -> Outcome<PacedTracks> {
        let folder = self.folder()?;
        let street = Street::new(SEED, self.plan.cameras, CLIP_BYTES);
        let kept = Duration::from_hours(1);
        let dir = folder.path().join("store");
        let store = StoreKeeper::keeping(&dir, &street, Commit::Together, kept)?;
        let bar = Bar::bytes("at their pace", plan.filled_clips * u64::try_from(CLIP_BYTES)?);
        for first in (0..plan.filled_clips).step_by(16) {
            let takes = street.takes(first, 16.min(plan.filled_clips - first))?;
            store.record(&takes)?;
            bar.advance(takes.iter().map(|take| take.bytes.len()).sum::<usize>().try_into()?);
        }
        bar.note(beside);
        let fragments = u64::from(plan.cameras * plan.fragments * plan.rounds);
        let file_bytes = file_bytes_for(fragments, FRAGMENT_BYTES);
        let mut raw = RawKeeper::open(folder.path(), direct, file_bytes)?;
        paced(&store, &mut raw, &street, plan, kept)
    }

    /// One clip in a hundred is held.
    fn space(&self) -> Outcome<Space> {
        let folder = self.folder()?;
        let street = Street::new(SEED, self.plan.cameras, CLIP_BYTES);
        let clips = self.plan.space_clips;
        let plan =
            Steady { kept: clips, clips, group: 16, sweep_every: 64, held_percent: 1, rounds: 1 };
        let kept = street.span_of(clips);
        let dir = folder.path().join("store");
        let mut store = StoreKeeper::keeping(&dir, &street, Commit::Grouped, kept)?;
        let bar = Bar::bytes("space", 2 * clips * u64::try_from(CLIP_BYTES)?);
        space(&mut store, &street, &plan, &mut |bytes| bar.advance(bytes))
    }

    fn budget(&self) -> Outcome<Budget> {
        const CLIPS: u64 = 128;
        budget(&Street::new(SEED, self.plan.cameras, CLIP_BYTES), CLIPS)
    }

    fn steady(&self, held_percent: u64, direct: bool) -> Outcome<SteadyPair> {
        let folder = self.folder()?;
        let street = Street::new(SEED, self.plan.cameras, CLIP_BYTES);
        let plan = Steady {
            kept: self.plan.steady_kept,
            clips: self.plan.steady_clips,
            group: 4,
            sweep_every: 64,
            held_percent,
            rounds: u64::from(self.plan.each.rounds),
        };
        let kept = street.span_of(plan.kept);
        let dir = folder.path().join("store");
        let mut store = StoreKeeper::keeping(&dir, &street, Commit::Together, kept)?;
        let mut raw = RawKeeper::open(folder.path(), direct, SEGMENT_BYTES)?.zeroing();
        let clips = 2 * (plan.kept + plan.clips);
        let bar = Bar::bytes("beside expiry", clips * u64::try_from(CLIP_BYTES)?);
        bar.note(format!("{held_percent} % held"));
        let mut told = |bytes| bar.advance(bytes);
        let (own, limit) = steady(folder.path(), &mut store, &mut raw, &street, &plan, &mut told)?;
        Ok(SteadyPair { held_percent, own, limit })
    }

    fn bulk(&self, direct: bool) -> Outcome<Vec<(String, Bulk)>> {
        let street = Street::new(SEED, self.plan.cameras, CLIP_BYTES);
        let clips = self.plan.bulk_clips;
        let bar = Bar::bytes("bulk expiry", 6 * clips * u64::try_from(CLIP_BYTES)?);
        let folder = self.folder()?;
        let hour = Duration::from_hours(1);
        let dir = folder.path().join("store");
        let mut own = StoreKeeper::keeping(&dir, &street, Commit::Grouped, hour)?;
        let dir = folder.path().join("removing");
        let removing = StoreKeeper::keeping(&dir, &street, Commit::Grouped, hour)?;
        let mut removing = removing.removing()?;
        let mut limit = RawKeeper::open(folder.path(), direct, SEGMENT_BYTES)?;
        let keepers: [&mut dyn Keeper; 3] = [&mut own, &mut removing, &mut limit];
        let mut rows = Vec::new();
        for keeper in keepers {
            let bulk = bulk_expiry(keeper, &street, clips, &mut |bytes| bar.advance(bytes))?;
            rows.push((keeper.name(), bulk));
            let beside = &mut |bytes| bar.advance(bytes);
            let bulk = bulk_expiry_beside(keeper, &street, clips, folder.path(), beside)?;
            rows.push((format!("{}, beside a writer", keeper.name()), bulk));
        }
        Ok(rows)
    }

    /// Everything that depends on how many clips there are.
    fn finds(&self) -> Outcome<Finds> {
        let folder = self.folder()?;
        let (dir, clips) = (folder.path().join("store"), self.plan.lookup_clips);
        let street = Street::new(SEED, self.plan.cameras, TINY_CLIP_BYTES).lasting(MINUTE);
        let mut store = StoreKeeper::tiny(&dir, &street)?;
        let mut vector = RawKeeper::open(folder.path(), false, 4096)?;
        let bar = Bar::bytes("many clips", clips * u64::try_from(TINY_CLIP_BYTES)?);
        fill(&mut store, &mut vector, &street, 0..clips, &mut |bytes| bar.advance(bytes))?;
        let mut finds = Finds {
            clips,
            lookups: Vec::new(),
            vector: Vec::new(),
            index_bytes: store.store()?.stats()?.index_bytes,
            hold_took: Duration::ZERO,
            hold_syncs: 0,
            hold_clips: 0,
            reopenings: Vec::new(),
        };
        bar.note("lookups");
        // Ten minutes, an hour, a day.
        for count in [10, 60, 1440] {
            let (span, rounds) = (street.clip_duration() * count, self.plan.lookup_rounds);
            let rounds = if count > 1000 { rounds / 8 } else { rounds };
            finds.lookups.push(lookups(&mut store, &street, clips, span, rounds)?);
            finds.vector.push(lookups(&mut vector, &street, clips, span, rounds)?);
        }
        bar.note("holds");
        hold_all(&store, &street, clips, &mut finds)?;
        bar.note("openings");
        finds.reopenings = reopenings(&mut store, &street, clips, self.plan.reopenings)?;
        Ok(finds)
    }
}

/// One hold over all clips of all cameras.
fn hold_all(store: &StoreKeeper, street: &Street, clips: u64, finds: &mut Finds) -> Outcome<()> {
    let cameras: Vec<CameraId> = street.cameras().to_vec();
    let window = Window::new(street.begin(), street.end_of(clips))?;
    let syncs = store.counts().syncs;
    let watch = Stopwatch::start();
    let receipt = store.store()?.place_hold(NewHold::new(cameras, window))?;
    finds.hold_took = watch.elapsed();
    finds.hold_syncs = store.counts().syncs - syncs;
    finds.hold_clips = receipt.clips;
    if receipt.clips != clips {
        return Err(format!("a hold over {clips} clips covers {}", receipt.clips).into());
    }
    Ok(())
}

/// Reads some clips of every keeper, first cold and then warm, and cold ranges of other ones; of
/// none that was `read` already. Each time in turns, some clips of each keeper.
fn read_all(
    dir: &Path,
    keepers: &mut [Box<dyn Keeper>],
    street: &Street,
    (clips, read): (u64, &[u64]),
    count: u64,
) -> Outcome<Vec<ReadRow>> {
    const TURNS: usize = 4;
    let mut picked = street.picks(1000, 2 * count, clips);
    picked.retain(|number| !read.contains(number));
    let (numbers, others) = picked.split_at(picked.len().div_ceil(2));
    let mut all = Vec::new();
    if others.is_empty() {
        return Ok(all);
    }
    for (cold, is_range) in [(true, false), (false, false), (true, true)] {
        let names = keepers.iter().map(|keeper| keeper.name());
        let row = |name| ReadRow { name, cold, is_range, reads: Reads::default() };
        let mut rows: Vec<ReadRow> = names.map(row).collect();
        let numbers = if is_range { others } else { numbers };
        for some in numbers.chunks(numbers.len().div_ceil(TURNS)) {
            for (keeper, row) in keepers.iter_mut().zip(&mut rows) {
                let keeper = keeper.as_mut();
                if cold {
                    keeper.let_go()?;
                    drop_caches(dir)?;
                } else {
                    reads(keeper, street, some.iter().copied())?;
                }
                row.reads.add(&if is_range {
                    ranges(keeper, street, some.iter().copied(), RANGE_BYTES)?
                } else {
                    reads(keeper, street, some.iter().copied())?
                });
            }
        }
        all.append(&mut rows);
    }
    Ok(all)
}

/// Room for `clips` in one file.
fn file_bytes_for(clips: u64, clip_bytes: usize) -> u64 {
    let clip = clip_bytes.next_multiple_of(4096);
    clips.saturating_mul(u64::try_from(clip).unwrap_or(u64::MAX)).max(4096)
}
