//! The scenarios, each for all keepers; recording in turns, round by round.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use clipkeep::workload::{Outcome, RawKeeper, Round, Street, Track, lookups, ratio};

use crate::child::{Job, STEADY};
use crate::memory::Memory;
use crate::process::Process;
use crate::spread::Spread;
use crate::{OWN, Options, RIVALS, Rival};

pub const SEED: u64 = 0x0c11_b4ee;
const CLIP_BYTES: usize = 2_000_000;
const TINY_CLIP_BYTES: usize = 2_000;
/// Clips in a looked-for window.
pub const WINDOW_CLIPS: u32 = 60;
/// Rounds of 16 lookups.
const FIND_ROUNDS: u32 = 500;
/// Longer than anything here is kept.
const LONG: Duration = Duration::from_hours(1000);
/// Clips that expire at once.
const BULK_CLIPS: u64 = 512;
/// How often, whatever the other rounds are.
const BULK_ROUNDS: u32 = 3;

/// The window that is looked for on `street`.
pub fn window_of(street: &Street) -> Duration {
    street.clip_duration() * WINDOW_CLIPS
}

/// What was measured of all keepers; the first ones are our own.
pub struct Measured {
    pub each: Vec<Track>,
    pub grouped: Vec<Track>,
    /// A commit a clip, while the oldest clips expire.
    pub steady: Vec<Track>,
    /// What each of the same has on the disk afterwards, of what it is to keep.
    pub steady_space: Vec<f64>,
    pub reads: Vec<ReadRow>,
    /// Without the raw limits.
    pub finds: Vec<FindRow>,
    pub vector: Lookups,
    /// Without the raw limits.
    pub bulk: Vec<BulkRow>,
    /// How each was set up, by its name; and where it was set up in another way, by what for.
    pub settings: Vec<(String, String)>,
}

/// Reading whole clips: after a new opening, and once more. Rates are MB/s.
#[derive(Default)]
pub struct ReadRow {
    pub cold: Spread,
    /// The slowest percent of each round's clips: what is told is the median of these, not the
    /// slowest percent of all rounds together.
    pub cold_p99: Spread,
    pub warm: Spread,
}

/// Lookups of windows: the median and the slowest percent of each round.
#[derive(Default)]
pub struct Lookups {
    pub p50: Spread,
    pub p99: Spread,
}

/// Looking for windows among many clips.
pub struct FindRow {
    pub name: String,
    pub opened: Spread,
    /// Of no round, for whoever knows no windows.
    pub lookups: Lookups,
}

/// Expiring all at once.
pub struct BulkRow {
    pub name: String,
    pub ms_per_gib: Spread,
    /// Left on the disk.
    pub disk_bytes: u64,
}

pub fn run(options: &Options) -> Outcome<Measured> {
    let folder = Folder::new(options, "memory")?;
    let mut run = Run { options, settings: Vec::new(), memory: Memory::new(&folder.0)? };
    let (grouped, reads) = run.ingest("16 a commit", 200, 16)?;
    let (each, _) = run.ingest("a commit each", 16, 1)?;
    let (steady, steady_space) = run.steady()?;
    let (finds, vector) = run.finds()?;
    let bulk = run.bulk()?;
    let settings = run.settings;
    Ok(Measured { each, grouped, steady, steady_space, reads, finds, vector, bulk, settings })
}

struct Run<'a> {
    options: &'a Options,
    settings: Vec<(String, String)>,
    memory: Memory,
}

impl Run<'_> {
    /// Starts the process of each of `rivals` in a folder of its own below `folder`, and notes how
    /// they are set up for `what`.
    fn start(
        &mut self,
        what: &str,
        rivals: impl Iterator<Item = &'static Rival>,
        folder: &Folder,
        job: &Job,
    ) -> Outcome<Vec<Process>> {
        let mut processes = Vec::new();
        for rival in rivals {
            let process = Process::start(rival, &folder.0.join(rival.name), job)?;
            self.note_settings(what, &process);
            processes.push(process);
        }
        Ok(processes)
    }

    fn note_settings(&mut self, what: &str, process: &Process) {
        let (name, settings) = (&process.name, &process.settings);
        if self.settings.iter().all(|(known, _)| known != name) {
            self.settings.push((name.clone(), settings.clone()));
        } else if self.settings.iter().all(|(_, known)| known != settings) {
            self.settings.push((format!("{name}, {what}"), settings.clone()));
        }
    }

    /// Records `group` clips a commit into all, A-B-A-B, and reads some of them back in as many
    /// rounds.
    fn ingest(
        &mut self,
        what: &str,
        cameras: u32,
        group: u64,
    ) -> Outcome<(Vec<Track>, Vec<ReadRow>)> {
        let folder = Folder::new(self.options, &format!("ingest-{group}"))?;
        let (rounds, clips) = (self.options.rounds, self.options.clips);
        let all = u64::from(rounds) * clips;
        let job = Job {
            cameras,
            clip_bytes: CLIP_BYTES,
            file_clips: all,
            tiny: false,
            each: group == 1,
            retention: LONG,
        };
        eprintln!("{what}: {all} clips for each of {}", RIVALS.len());
        let mut processes = self.start(what, RIVALS.iter(), &folder, &job)?;
        let mut tracks = tracks_of(&processes);
        for round in 0..u64::from(rounds) {
            for (process, track) in processes.iter_mut().zip(&mut tracks) {
                self.memory.fill()?;
                let answer = process.ask(&format!("keep {} {clips} {group}", round * clips))?;
                note_turn(track, &answer)?;
            }
        }
        let mut reads: Vec<ReadRow> = Vec::new();
        for round in 0..rounds {
            reads.resize_with(processes.len(), ReadRow::default);
            let rows = processes.iter_mut().zip(&mut tracks).zip(&mut reads);
            for ((process, track), row) in rows {
                self.memory.fill()?;
                let opening = process.ask("reopen 1")?;
                let [_, written] = opening[..] else { return Err("no opening".into()) };
                if round == 0 {
                    note_written(track, written);
                }
                row.note(&process.ask(&format!("read {all}"))?)?;
            }
        }
        Ok((tracks, reads))
    }

    /// Records a clip a commit into all, A-B-A-B, while their oldest clips expire.
    fn steady(&mut self) -> Outcome<(Vec<Track>, Vec<f64>)> {
        let folder = Folder::new(self.options, "steady")?;
        let street = Street::new(SEED, 16, CLIP_BYTES);
        let job = Job {
            cameras: 16,
            clip_bytes: CLIP_BYTES,
            file_clips: STEADY.sweep_every,
            tiny: false,
            each: true,
            retention: street.span_of(STEADY.kept),
        };
        let clips = self.options.clips.next_multiple_of(STEADY.sweep_every);
        let all = STEADY.kept + u64::from(self.options.rounds) * clips;
        eprintln!("beside expiry: {all} clips for each of {}", RIVALS.len());
        let mut processes = self.start("beside expiry", RIVALS.iter(), &folder, &job)?;
        let mut tracks = tracks_of(&processes);
        for process in &mut processes {
            // Until it is full, it does not count.
            process.ask(&format!("steady 0 {}", STEADY.kept))?;
        }
        for round in 0..u64::from(self.options.rounds) {
            let first = STEADY.kept + round * clips;
            for (process, track) in processes.iter_mut().zip(&mut tracks) {
                self.memory.fill()?;
                note_turn(track, &process.ask(&format!("steady {first} {clips}"))?)?;
            }
        }
        let kept = STEADY.kept * u64::try_from(CLIP_BYTES)?;
        let mut space = Vec::new();
        for process in &mut processes {
            let answer = process.ask(&format!("expired {all}"))?;
            let [disk_bytes] = answer[..] else { return Err("no space".into()) };
            space.push(ratio(disk_bytes, kept));
        }
        Ok((tracks, space))
    }

    /// Windows and openings, in turns; the vector in memory has its own.
    fn finds(&mut self) -> Outcome<(Vec<FindRow>, Lookups)> {
        let clips = self.options.lookups;
        let job = Job {
            cameras: 16,
            clip_bytes: TINY_CLIP_BYTES,
            file_clips: clips,
            tiny: true,
            each: false,
            retention: LONG,
        };
        let (folder, what) = (Folder::new(self.options, "find")?, "windows and openings");
        let mut processes = self.start(what, no_limits(), &folder, &job)?;
        let mut rows = Vec::new();
        for process in &mut processes {
            eprintln!("{clips} small clips: {}", process.name);
            process.ask(&format!("fill {clips}"))?;
            let name = process.name.clone();
            rows.push(FindRow { name, opened: Spread::default(), lookups: Lookups::default() });
        }
        let street = Street::new(SEED, 16, TINY_CLIP_BYTES).lasting(Duration::from_mins(1));
        let mut vector = (RawKeeper::open(&folder.0, false, 4096)?, Lookups::default());
        vector.0.note(&street.takes(0, clips)?);
        for _ in 0..self.options.rounds {
            for (process, row) in processes.iter_mut().zip(&mut rows) {
                let opening = process.ask("reopen 0")?;
                let [opened, _] = opening[..] else { return Err("no opening".into()) };
                row.opened.add_time(Duration::from_nanos(opened));
                let found = process.ask(&format!("find {clips} {FIND_ROUNDS}"))?;
                if let [p50, p99] = found[..] {
                    row.lookups.note(Duration::from_nanos(p50), Duration::from_nanos(p99));
                }
            }
            let (keeper, into) = (&mut vector.0, &mut vector.1);
            // As for the others: what a first lookup brings into the cache is not its own time.
            lookups(keeper, &street, clips, window_of(&street), FIND_ROUNDS / 4)?;
            let found = lookups(keeper, &street, clips, window_of(&street), FIND_ROUNDS)?.latencies;
            into.note(found.percentile(50.0), found.percentile(99.0));
        }
        Ok((rows, vector.1))
    }

    /// Bulk expiry: each round is a new store of each.
    fn bulk(&mut self) -> Outcome<Vec<BulkRow>> {
        let job = Job {
            cameras: 16,
            clip_bytes: CLIP_BYTES,
            file_clips: BULK_CLIPS,
            tiny: false,
            each: false,
            retention: Duration::from_hours(1),
        };
        let mut rows: Vec<BulkRow> = Vec::new();
        for round in 0..BULK_ROUNDS {
            eprintln!("bulk expiry, round {round}");
            for (number, rival) in no_limits().enumerate() {
                let folder = Folder::new(self.options, &format!("bulk-{}", rival.name))?;
                let mut process = Process::start(rival, &folder.0, &job)?;
                self.note_settings("bulk expiry", &process);
                self.memory.fill()?;
                let answer = process.ask(&format!("expire {BULK_CLIPS}"))?;
                let [bytes, took, disk_bytes] = answer[..] else { return Err("no expiry".into()) };
                if rows.len() == number {
                    let (name, ms_per_gib) = (process.name.clone(), Spread::default());
                    rows.push(BulkRow { name, ms_per_gib, disk_bytes });
                }
                let row = rows.get_mut(number).ok_or("no row")?;
                let seconds = Duration::from_nanos(took).as_secs_f64();
                row.ms_per_gib.add(seconds * 1e3 / ratio(bytes, 1 << 30));
                row.disk_bytes = disk_bytes;
            }
        }
        Ok(rows)
    }
}

/// An empty track for each of these.
fn tracks_of(processes: &[Process]) -> Vec<Track> {
    let track = |process: &Process| {
        let (name, settings) = (process.name.clone(), process.settings.clone());
        Track { name, settings, ..Track::default() }
    };
    processes.iter().map(track).collect()
}

/// All that a keeper wrote, closing included, stands in its last round.
fn note_written(track: &mut Track, written: u64) {
    for (back, round) in track.rounds.iter_mut().rev().enumerate() {
        round.written = Some(if back == 0 { written } else { 0 });
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

impl ReadRow {
    /// Takes in what a keeper's process answered in one round.
    fn note(&mut self, answer: &[u64]) -> Outcome<()> {
        let [cold, cold_wall, cold_p99, warm, warm_wall, _] = answer[..] else {
            return Err("no reads".into());
        };
        let rate = |bytes: u64, nanos: u64| {
            ratio(bytes, 1_000_000) / Duration::from_nanos(nanos).as_secs_f64().max(1e-9)
        };
        self.cold.add(rate(cold, cold_wall));
        self.cold_p99.add_time(Duration::from_nanos(cold_p99));
        self.warm.add(rate(warm, warm_wall));
        Ok(())
    }
}

impl Lookups {
    fn note(&mut self, p50: Duration, p99: Duration) {
        self.p50.add_time(p50);
        self.p99.add_time(p99);
    }
}

/// A folder for a stage, removed with what is in it when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(options: &Options, name: &str) -> Outcome<Self> {
        let path = options.dir.join(format!("rivals-{}-{name}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}
