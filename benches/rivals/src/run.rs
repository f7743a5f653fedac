//! The scenarios, each for all keepers in turns.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use clipkeep::workload::{
    Bulk, Ingest, Keeper, Lookups, Outcome, RawKeeper, Reads, Stopwatch, Street, Track,
    bulk_expiry, check, drop_caches, ingest, lookups, reads,
};

use crate::{MAKERS, Options, Plan, report};

const SEED: u64 = 0x0c11_b4ee;
const CLIP_BYTES: usize = 2_000_000;
const TINY_CLIP_BYTES: usize = 2_000;
/// Clips in a looked-for window.
pub const WINDOW_CLIPS: u32 = 60;

/// What was measured of all keepers; the first ones are our own.
pub struct Measured {
    pub each: Vec<Track>,
    pub grouped: Vec<Track>,
    pub cold: Vec<Reads>,
    pub warm: Vec<Reads>,
    /// Without the raw limits; the vector in memory apart.
    pub finds: Vec<(String, Lookups, Duration)>,
    pub vector: Lookups,
    pub bulk: Vec<(String, Bulk)>,
}

pub fn run(options: &Options) -> Outcome<String> {
    let run = Run { options };
    let plan = Ingest { rounds: options.rounds, clips: options.clips, group: 1 };
    let (each, _, _) = run.ingest("each", 16, &plan)?;
    let (grouped, cold, warm) = run.ingest("grouped", 200, &Ingest { group: 16, ..plan })?;
    let (finds, vector) = run.finds()?;
    let bulk = run.bulk()?;
    report::tables(options, &Measured { each, grouped, cold, warm, finds, vector, bulk })
}

struct Run<'a> {
    options: &'a Options,
}

impl Run<'_> {
    /// A folder for a stage, removed with what is in it when it is dropped.
    fn folder(&self, name: &str) -> Outcome<Folder> {
        let path = self.options.dir.join(format!("rivals-{}-{name}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Folder(path))
    }

    fn ingest(
        &self,
        name: &str,
        cameras: u32,
        plan: &Ingest,
    ) -> Outcome<(Vec<Track>, Vec<Reads>, Vec<Reads>)> {
        let folder = self.folder(name)?;
        let street = Street::new(SEED, cameras, CLIP_BYTES);
        let clips = u64::from(plan.rounds) * plan.clips;
        let mut keepers = Vec::new();
        for (number, make) in MAKERS.iter().enumerate() {
            let dir = folder.0.join(number.to_string());
            fs::create_dir_all(&dir)?;
            let made = Plan {
                dir: &dir,
                street: &street,
                clips,
                tiny: false,
                each: plan.group == 1,
                retention: Duration::from_hours(1000),
            };
            keepers.push(make(&made)?);
        }
        eprintln!("{name}: {clips} clips for each of {}", keepers.len());
        let tracks = ingest(&mut keepers, &street, plan, &mut |_| ())?;
        let numbers: Vec<u64> = (0..64).map(|turn| street.pick(turn, clips)).collect();
        let (mut cold, mut warm) = (Vec::new(), Vec::new());
        for keeper in &mut keepers {
            check(keeper.as_mut(), &street, numbers.iter().copied().take(16))?;
            drop_caches(&folder.0)?;
            cold.push(reads(keeper.as_mut(), &street, numbers.iter().copied())?);
            warm.push(reads(keeper.as_mut(), &street, numbers.iter().copied())?);
        }
        Ok((tracks, cold, warm))
    }

    fn finds(&self) -> Outcome<(Vec<(String, Lookups, Duration)>, Lookups)> {
        const ROUNDS: u32 = 500;
        let clips = self.options.lookups;
        let street = Street::new(SEED, 16, TINY_CLIP_BYTES).lasting(Duration::from_mins(1));
        let span = street.clip_duration() * WINDOW_CLIPS;
        let mut finds = Vec::new();
        for (number, make) in
            MAKERS.iter().enumerate().filter(|(number, _)| ![1, 2].contains(number))
        {
            let folder = self.folder(&format!("find-{number}"))?;
            let plan = Plan {
                dir: &folder.0,
                street: &street,
                clips,
                tiny: true,
                each: false,
                retention: Duration::from_hours(1000),
            };
            let mut keeper = make(&plan)?;
            eprintln!("{clips} small clips: {}", keeper.name());
            for first in (0..clips).step_by(1024) {
                keeper.keep(&street.takes(first, 1024.min(clips - first))?)?;
            }
            let name = keeper.name();
            drop(keeper);
            let watch = Stopwatch::start();
            let mut keeper = make(&plan)?;
            let opened = watch.elapsed();
            // What a first lookup brings into memory is not the lookup's own time.
            lookups(keeper.as_mut(), &street, clips, span, ROUNDS / 4)?;
            finds.push((name, lookups(keeper.as_mut(), &street, clips, span, ROUNDS)?, opened));
        }
        let folder = self.folder("vector")?;
        let mut vector = RawKeeper::open(&folder.0, false, 4096)?;
        vector.note(&street.takes(0, clips)?);
        let vector = lookups(&mut vector, &street, clips, span, ROUNDS)?;
        Ok((finds, vector))
    }

    fn bulk(&self) -> Outcome<Vec<(String, Bulk)>> {
        const CLIPS: u64 = 512;
        let street = Street::new(SEED, 16, CLIP_BYTES);
        let mut rows = Vec::new();
        for (number, make) in
            MAKERS.iter().enumerate().filter(|(number, _)| ![1, 2].contains(number))
        {
            let folder = self.folder(&format!("bulk-{number}"))?;
            let mut keeper: Box<dyn Keeper> = make(&Plan {
                dir: &folder.0,
                street: &street,
                clips: CLIPS,
                tiny: false,
                each: false,
                retention: Duration::from_hours(1),
            })?;
            eprintln!("bulk expiry: {}", keeper.name());
            let bulk = bulk_expiry(keeper.as_mut(), &street, CLIPS, &mut |_| ())?;
            rows.push((keeper.name(), bulk));
        }
        Ok(rows)
    }
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}
