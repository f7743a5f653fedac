//! The scenarios, each for all keepers; recording in turns, round by round.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use clipkeep::workload::{Lookups, Outcome, RawKeeper, Round, Street, Track, lookups, ratio};

use crate::child::Job;
use crate::process::Process;
use crate::{OWN, Options, RIVALS, Rival};

pub const SEED: u64 = 0x0c11_b4ee;
const CLIP_BYTES: usize = 2_000_000;
const TINY_CLIP_BYTES: usize = 2_000;
/// Clips in a looked-for window.
pub const WINDOW_CLIPS: u32 = 60;
/// Rounds of 16 lookups.
const FIND_ROUNDS: u32 = 500;
/// Clips that expire at once.
const BULK_CLIPS: u64 = 512;

/// The window that is looked for on `street`.
pub fn window_of(street: &Street) -> Duration {
    street.clip_duration() * WINDOW_CLIPS
}

/// What was measured of all keepers; the first ones are our own.
pub struct Measured {
    pub each: Vec<Track>,
    pub grouped: Vec<Track>,
    pub reads: Vec<ReadRow>,
    /// Without the raw limits.
    pub finds: Vec<FindRow>,
    pub vector: Lookups,
    /// Without the raw limits.
    pub bulk: Vec<BulkRow>,
}

/// Reading whole clips: after a new opening, and once more.
pub struct ReadRow {
    pub cold_bytes_per_second: f64,
    pub cold_p99: Duration,
    pub warm_bytes_per_second: f64,
}

/// Looking for windows among many clips.
pub struct FindRow {
    pub name: String,
    pub opened: Duration,
    /// The median and the slowest percent; `None` of whoever knows no windows.
    pub lookups: Option<(Duration, Duration)>,
}

/// Expiring all at once.
pub struct BulkRow {
    pub name: String,
    pub bytes: u64,
    pub took: Duration,
    /// Left on the disk.
    pub disk_bytes: u64,
}

impl ReadRow {
    pub fn cold_mb(&self) -> f64 {
        self.cold_bytes_per_second / 1e6
    }

    pub fn warm_mb(&self) -> f64 {
        self.warm_bytes_per_second / 1e6
    }
}

impl BulkRow {
    /// How long a GiB takes.
    pub fn ms_per_gib(&self) -> f64 {
        self.took.as_secs_f64() * 1e3 / ratio(self.bytes, 1 << 30)
    }
}

pub fn run(options: &Options) -> Outcome<Measured> {
    let run = Run { options };
    let (each, _) = run.ingest("each", 16, 1)?;
    let (grouped, reads) = run.ingest("grouped", 200, 16)?;
    let finds = run.finds()?;
    let vector = run.vector()?;
    let bulk = run.bulk()?;
    Ok(Measured { each, grouped, reads, finds, vector, bulk })
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

    /// Records `group` clips a commit into all, A-B-A-B, and reads some of them back.
    fn ingest(&self, name: &str, cameras: u32, group: u64) -> Outcome<(Vec<Track>, Vec<ReadRow>)> {
        let folder = self.folder(name)?;
        let (rounds, clips) = (self.options.rounds, self.options.clips);
        let all = u64::from(rounds) * clips;
        let job = Job {
            cameras,
            clip_bytes: CLIP_BYTES,
            clips: all,
            tiny: false,
            each: group == 1,
            retention_hours: 1000,
        };
        eprintln!("{name}: {all} clips for each of {}", RIVALS.len());
        let (mut processes, mut tracks) = (Vec::new(), Vec::new());
        for rival in RIVALS {
            let process = Process::start(rival, &folder.0.join(rival.name), &job)?;
            let (name, settings) = (process.name.clone(), process.settings.clone());
            tracks.push(Track { name, settings, ..Track::default() });
            processes.push(process);
        }
        for round in 0..u64::from(rounds) {
            for (process, track) in processes.iter_mut().zip(&mut tracks) {
                let answer = process.ask(&format!("keep {} {clips} {group}", round * clips))?;
                note_turn(track, &answer)?;
            }
        }
        let mut reads = Vec::new();
        for (process, track) in processes.iter_mut().zip(&mut tracks) {
            let opening = process.ask("reopen 1")?;
            let [_, written] = opening[..] else { return Err("no opening".into()) };
            // All that it wrote, closing included; it stands in the last round.
            let others = track.rounds.iter_mut().rev().skip(1);
            others.for_each(|round| round.written = Some(0));
            track.rounds.last_mut().ok_or("no round")?.written = Some(written);
            let answer = process.ask(&format!("read {all}"))?;
            reads.push(read_row(&answer)?);
        }
        Ok((tracks, reads))
    }

    fn finds(&self) -> Outcome<Vec<FindRow>> {
        let clips = self.options.lookups;
        let job = Job {
            cameras: 16,
            clip_bytes: TINY_CLIP_BYTES,
            clips,
            tiny: true,
            each: false,
            retention_hours: 1000,
        };
        let mut rows = Vec::new();
        for rival in no_limits() {
            let folder = self.folder(&format!("find-{}", rival.name))?;
            let mut process = Process::start(rival, &folder.0, &job)?;
            eprintln!("{clips} small clips: {}", process.name);
            process.ask(&format!("fill {clips}"))?;
            let [opened, _] = process.ask("reopen 0")?[..] else { return Err("no opening".into()) };
            let found = process.ask(&format!("find {clips} {FIND_ROUNDS}"))?;
            let lookups = match found[..] {
                [p50, p99] => Some((Duration::from_nanos(p50), Duration::from_nanos(p99))),
                _ => None,
            };
            let (name, opened) = (process.name.clone(), Duration::from_nanos(opened));
            rows.push(FindRow { name, opened, lookups });
        }
        Ok(rows)
    }

    /// The same windows in a vector in memory.
    fn vector(&self) -> Outcome<Lookups> {
        let clips = self.options.lookups;
        let street = Street::new(SEED, 16, TINY_CLIP_BYTES).lasting(Duration::from_mins(1));
        let folder = self.folder("vector")?;
        let mut vector = RawKeeper::open(&folder.0, false, 4096)?;
        vector.note(&street.takes(0, clips)?);
        lookups(&mut vector, &street, clips, window_of(&street), FIND_ROUNDS)
    }

    fn bulk(&self) -> Outcome<Vec<BulkRow>> {
        let job = Job {
            cameras: 16,
            clip_bytes: CLIP_BYTES,
            clips: BULK_CLIPS,
            tiny: false,
            each: false,
            retention_hours: 1,
        };
        let mut rows = Vec::new();
        for rival in no_limits() {
            let folder = self.folder(&format!("bulk-{}", rival.name))?;
            let mut process = Process::start(rival, &folder.0, &job)?;
            eprintln!("bulk expiry: {}", process.name);
            let answer = process.ask(&format!("expire {BULK_CLIPS}"))?;
            let [bytes, took, disk_bytes] = answer[..] else { return Err("no expiry".into()) };
            let (name, took) = (process.name.clone(), Duration::from_nanos(took));
            rows.push(BulkRow { name, bytes, took, disk_bytes });
        }
        Ok(rows)
    }
}

fn no_limits() -> impl Iterator<Item = &'static Rival> {
    RIVALS.iter().enumerate().filter(|(number, _)| !(1..OWN).contains(number)).map(|(_, one)| one)
}

/// A turn of recording, as the keeper's process tells it.
fn note_turn(track: &mut Track, answer: &[u64]) -> Outcome<()> {
    let [bytes, wall, cpu, commits @ ..] = answer else { return Err("no turn".into()) };
    let (wall, cpu) = (Duration::from_nanos(*wall), Duration::from_nanos(*cpu));
    track.rounds.push(Round { bytes: *bytes, wall, cpu, ..Round::default() });
    for nanos in commits {
        track.latencies.record(Duration::from_nanos(*nanos));
    }
    Ok(())
}

fn read_row(answer: &[u64]) -> Outcome<ReadRow> {
    let [cold, cold_wall, cold_p99, warm, warm_wall, _] = answer[..] else {
        return Err("no reads".into());
    };
    let rate = |bytes: u64, nanos: u64| {
        ratio(bytes, 1) / Duration::from_nanos(nanos).as_secs_f64().max(1e-9)
    };
    Ok(ReadRow {
        cold_bytes_per_second: rate(cold, cold_wall),
        cold_p99: Duration::from_nanos(cold_p99),
        warm_bytes_per_second: rate(warm, warm_wall),
    })
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}
