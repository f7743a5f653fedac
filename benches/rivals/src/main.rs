//! Clipkeep beside what else people keep clips in: the same clips, the same commits, in turns.
//!
//! `cargo run --release -- [--clips N] [--lookups N] [--rounds N] [--dir DIR] [--write FILE]`
//!
//! Prints tables; with `--write`, puts them between the `rivals` markers of a document. Every
//! keeper must give its clips back byte for byte, find each window's clips and lose what expired,
//! or the run fails: a figure of a keeper that cheats is none.

mod blobs;
mod files;
mod fjall_lsm;
mod key;
mod lmdb;
mod redb_tree;
mod report;
mod run;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clipkeep::workload::{Commit, Keeper, Outcome, RawKeeper, StoreKeeper, Street};

/// What one scenario wants to know of a keeper before it is made.
pub struct Plan<'a> {
    /// Its own, empty folder.
    pub dir: &'a Path,
    /// What will be recorded.
    pub street: &'a Street,
    /// How many clips of it.
    pub clips: u64,
    /// Clips are tiny, and only looked for.
    pub tiny: bool,
    /// A commit a clip, and not a group.
    pub each: bool,
    /// How long clips are kept, by those who know an age.
    pub retention: Duration,
}

/// Makes a keeper, or opens it again.
pub type Maker = fn(&Plan<'_>) -> Outcome<Box<dyn Keeper>>;

/// All of them, Clipkeep and the two raw limits first.
pub const MAKERS: [Maker; 8] = [
    clipkeep,
    |plan| raw(plan, false),
    |plan| raw(plan, true),
    files::open,
    blobs::open,
    lmdb::open,
    redb_tree::open,
    fjall_lsm::open,
];
/// How many of them are raw limits or Clipkeep itself.
pub const OWN: usize = 3;

fn clipkeep(plan: &Plan<'_>) -> Outcome<Box<dyn Keeper>> {
    let commit = if plan.each { Commit::Each } else { Commit::Together };
    Ok(Box::new(if plan.tiny {
        StoreKeeper::tiny(plan.dir, plan.street)?
    } else {
        StoreKeeper::keeping(plan.dir, plan.street, commit, plan.retention)?
    }))
}

fn raw(plan: &Plan<'_>, direct: bool) -> Outcome<Box<dyn Keeper>> {
    let clip = u64::try_from(plan.street.clip_bytes().next_multiple_of(4096))?;
    Ok(Box::new(RawKeeper::open(plan.dir, direct, plan.clips * clip)?))
}

/// What the command line asks for.
pub struct Options {
    /// Clips of 2 MB for each keeper and round.
    pub clips: u64,
    /// Clips among which some are looked for.
    pub lookups: u64,
    /// Turns of each keeper.
    pub rounds: u32,
    /// Where to measure.
    pub dir: PathBuf,
    /// The document to write the tables into.
    pub write: Option<PathBuf>,
}

fn options() -> Outcome<Options> {
    let mut options =
        Options { clips: 48, lookups: 100_000, rounds: 5, dir: PathBuf::from("."), write: None };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name}: what?"))?;
        match name.as_str() {
            "--clips" => options.clips = value.parse()?,
            "--lookups" => options.lookups = value.parse()?,
            "--rounds" => options.rounds = value.parse()?,
            "--dir" => options.dir = value.into(),
            "--write" => options.write = Some(value.into()),
            _ => return Err(format!("{name}: not known").into()),
        }
    }
    Ok(options)
}

fn main() -> Outcome<()> {
    let options = options()?;
    let tables = run::run(&options)?;
    println!("{tables}");
    match &options.write {
        Some(path) => report::put_between_markers(path, &tables),
        None => Ok(()),
    }
}
