//! The process of one keeper: it does what it is told line by line on standard input, and answers
//! each line with one line of numbers. Its first line says the keeper's name and settings.

use std::io::{BufRead as _, Write as _, stdin, stdout};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clipkeep::workload::{
    Ingest, Keeper, Outcome, Reads, Steady, Stopwatch, Street, Track, bulk_expiry, check, counted,
    drop_caches, ingest_from, lookups, reads, steady_turn,
};

use crate::{Plan, RIVALS, Rival};

/// The first argument of such a process.
pub const KEEPER: &str = "--keeper";
/// Between the name and the settings in its first line.
pub const TAB: char = '\t';
/// Clips that are recorded with one commit where recording is not measured.
const FILL_CLIPS: u64 = 1024;

/// Recording beside expiry: a commit a clip, and a sweep each 128 MB, which is a segment of
/// Clipkeep's, so that it drops one each time. How many clips a turn has is in the order for it.
pub const STEADY: Steady =
    Steady { kept: 128, clips: 0, group: 1, sweep_every: 64, held_percent: 0, rounds: 1 };

/// What a keeper's process is started for.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    pub cameras: u32,
    pub clip_bytes: usize,
    /// Clips for which a file of the raw limits has room.
    pub file_clips: u64,
    /// Clips are tiny, last a minute, and are only looked for.
    pub tiny: bool,
    /// A commit a clip.
    pub each: bool,
    /// How long clips are kept, by those who know an age.
    pub retention: Duration,
}

impl Job {
    pub fn street(&self) -> Street {
        let street = Street::new(crate::run::SEED, self.cameras, self.clip_bytes);
        if self.tiny { street.lasting(Duration::from_mins(1)) } else { street }
    }

    /// As arguments, in the order of [`Job::parse`].
    pub fn arguments(&self, rival: &Rival, dir: &Path) -> Outcome<Vec<String>> {
        let dir = dir.to_str().ok_or("a folder whose name is no text")?;
        Ok(vec![
            KEEPER.to_owned(),
            rival.name.to_owned(),
            dir.to_owned(),
            self.cameras.to_string(),
            self.clip_bytes.to_string(),
            self.file_clips.to_string(),
            u64::from(self.tiny).to_string(),
            u64::from(self.each).to_string(),
            nanos(self.retention)?.to_string(),
        ])
    }

    fn parse(numbers: &[String]) -> Outcome<Self> {
        let numbers: Vec<u64> =
            numbers.iter().map(|word| word.parse()).collect::<Result<_, _>>()?;
        let [cameras, clip_bytes, file_clips, tiny, each, retention] = numbers[..] else {
            return Err("arguments of a keeper's process".into());
        };
        let (cameras, clip_bytes) = (cameras.try_into()?, clip_bytes.try_into()?);
        let (tiny, each) = (tiny == 1, each == 1);
        let retention = Duration::from_nanos(retention);
        Ok(Self { cameras, clip_bytes, file_clips, tiny, each, retention })
    }
}

/// Serves until standard input ends.
pub fn run(arguments: &[String]) -> Outcome<()> {
    let [_, name, dir, numbers @ ..] = arguments else { return Err("no keeper is named".into()) };
    let rival = RIVALS.iter().find(|rival| rival.name == name).ok_or("no such keeper")?;
    let mut child = Child::open(rival, dir.into(), Job::parse(numbers)?)?;
    println!("{}{TAB}{}", child.keeper()?.name(), child.keeper()?.settings());
    for line in stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        let answer = child.obey(&words)?;
        let answer: Vec<String> = answer.iter().map(u64::to_string).collect();
        println!("{}", answer.join(" "));
        stdout().flush()?;
    }
    Ok(())
}

struct Child {
    rival: &'static Rival,
    dir: PathBuf,
    job: Job,
    street: Street,
    /// `None` only while it is opened again.
    keeper: Option<Box<dyn Keeper>>,
}

impl Child {
    fn open(rival: &'static Rival, dir: PathBuf, job: Job) -> Outcome<Self> {
        let street = job.street();
        let mut child = Self { rival, dir, job, street, keeper: None };
        child.keeper = Some(child.make()?);
        Ok(child)
    }

    fn make(&self) -> Outcome<Box<dyn Keeper>> {
        (self.rival.make)(&Plan {
            dir: &self.dir,
            street: &self.street,
            file_clips: self.job.file_clips,
            tiny: self.job.tiny,
            each: self.job.each,
            retention: self.job.retention,
        })
    }

    fn keeper(&mut self) -> Outcome<&mut dyn Keeper> {
        Ok(self.keeper.as_mut().ok_or("a keeper that is closed")?.as_mut())
    }

    fn obey(&mut self, words: &[&str]) -> Outcome<Vec<u64>> {
        let numbers: Vec<u64> =
            words.iter().skip(1).map(|word| word.parse()).collect::<Result<_, _>>()?;
        match (words.first().copied().unwrap_or_default(), &numbers[..]) {
            ("keep", [first, clips, group]) => self.keep(*first, *clips, *group),
            ("steady", [first, clips]) => self.steady(*first, *clips),
            ("expired", [clips]) => self.expired(*clips),
            ("fill", [clips]) => self.fill(*clips),
            ("reopen", [is_cold]) => self.reopen(*is_cold == 1),
            ("read", [clips]) => self.read(*clips),
            ("find", [clips, rounds]) => self.find(*clips, u32::try_from(*rounds)?),
            ("expire", [clips]) => self.expire(*clips),
            _ => Err(format!("{words:?}: not known").into()),
        }
    }

    /// Records in turn: bytes, time, processor's time, then how long each commit took.
    fn keep(&mut self, first: u64, clips: u64, group: u64) -> Outcome<Vec<u64>> {
        let plan = Ingest { rounds: 1, clips, group };
        let street = self.street.clone();
        let keeper = self.keeper.take().ok_or("a keeper that is closed")?;
        let mut keepers = [keeper];
        let tracks = ingest_from(&self.dir, &mut keepers, &street, &plan, first, &mut |_| ())?;
        let [keeper] = keepers;
        self.keeper = Some(keeper);
        figures_of(tracks.first().ok_or("no track")?)
    }

    /// Records in turn while what is older than [`Steady::kept`] clips expires: the same figures.
    fn steady(&mut self, first: u64, clips: u64) -> Outcome<Vec<u64>> {
        let street = self.street.clone();
        let numbers = first..first + clips;
        let steady = steady_turn(self.keeper()?, &street, &STEADY, numbers, &mut |_| ())?;
        figures_of(&steady.track)
    }

    /// After `clips` clips of which the oldest expired: the newest must be there, byte for byte,
    /// and the oldest gone, if it is due for so long that all of its file is due, too. What it has
    /// on the disk.
    fn expired(&mut self, clips: u64) -> Outcome<Vec<u64>> {
        let street = self.street.clone();
        let must_be_gone = self.rival.finds && clips > 2 * STEADY.kept;
        let keeper = self.keeper()?;
        let oldest = street.take(0)?;
        if must_be_gone && !keeper.find(&oldest.camera, oldest.window)?.is_empty() {
            return Err(format!("{} still finds what is long due", keeper.name()).into());
        }
        check(keeper, &street, clips - STEADY.kept / 2..clips)?;
        Ok(vec![keeper.disk_bytes()?])
    }

    fn fill(&mut self, clips: u64) -> Outcome<Vec<u64>> {
        for first in (0..clips).step_by(usize::try_from(FILL_CLIPS)?) {
            let takes = self.street.takes(first, FILL_CLIPS.min(clips - first))?;
            self.keeper()?.keep(&takes)?;
        }
        Ok(Vec::new())
    }

    /// Closes the keeper and opens it again, when it is to be cold with nothing of it cached: how
    /// long the opening took, and what this process had written when it was closed.
    fn reopen(&mut self, is_cold: bool) -> Outcome<Vec<u64>> {
        if self.rival.reopens {
            self.keeper = None;
        }
        let written = counted(&self.dir).written_bytes.unwrap_or(0);
        if is_cold {
            drop_caches(&self.dir)?;
        }
        let watch = Stopwatch::start();
        if self.rival.reopens {
            self.keeper = Some(self.make()?);
        }
        Ok(vec![nanos(watch.elapsed())?, written])
    }

    /// Reads some of the `clips` clips that it has, first whatever is not cached and then from
    /// memory, and checks others: bytes, time and the slowest percent of each.
    fn read(&mut self, clips: u64) -> Outcome<Vec<u64>> {
        let street = self.street.clone();
        let some = street.picks(0, 64, clips);
        let keeper = self.keeper()?;
        let cold = reads(keeper, &street, some.iter().copied())?;
        // Some bring into memory only what is wanted again.
        reads(keeper, &street, some.iter().copied())?;
        let warm = reads(keeper, &street, some)?;
        check(keeper, &street, street.picks(1000, 16, clips))?;
        let figures = |reads: &Reads| -> Outcome<[u64; 3]> {
            Ok([reads.bytes, nanos(reads.wall)?, nanos(reads.latencies.percentile(99.0))?])
        };
        Ok([figures(&cold)?, figures(&warm)?].concat())
    }

    /// Looks for windows: the median and the slowest percent.
    fn find(&mut self, clips: u64, rounds: u32) -> Outcome<Vec<u64>> {
        if !self.rival.finds {
            return Ok(Vec::new());
        }
        let (street, span) = (self.street.clone(), crate::run::window_of(&self.street));
        let keeper = self.keeper()?;
        // What a first lookup brings into memory is not the lookup's own time.
        lookups(keeper, &street, clips, span, rounds / 4)?;
        let found = lookups(keeper, &street, clips, span, rounds)?.latencies;
        Ok(vec![nanos(found.percentile(50.0))?, nanos(found.percentile(99.0))?])
    }

    /// Records and expires all: bytes, time, what is on the disk afterwards.
    fn expire(&mut self, clips: u64) -> Outcome<Vec<u64>> {
        let street = self.street.clone();
        let bulk = bulk_expiry(self.keeper()?, &street, clips, &mut |_| ())?;
        Ok(vec![bulk.bytes, nanos(bulk.took)?, bulk.disk_bytes.1])
    }
}

/// Of the one round of `track`: bytes, time, processor's time, then how long each commit took.
fn figures_of(track: &Track) -> Outcome<Vec<u64>> {
    let round = track.rounds.first().ok_or("no round")?;
    let mut figures = vec![round.bytes, nanos(round.wall)?, nanos(round.cpu)?];
    for lap in &track.laps {
        figures.push(nanos(lap.took)?);
    }
    Ok(figures)
}

fn nanos(took: Duration) -> Outcome<u64> {
    Ok(u64::try_from(took.as_nanos())?)
}
