//! Clipkeep beside what else people keep clips in: the same clips, the same commits, in turns.
//!
//! `cargo run --release -- [--clips N] [--lookups N] [--rounds N] [--dir DIR] [--write FILE]`
//!
//! RocksDB and raft-engine take long to build, so they are asked for: `--features
//! rocksdb,raft-engine`. RocksDB is C++ and wants a compiler and libclang, by Debian's names `g++`
//! and `libclang-dev`.
//!
//! Prints tables; with `--write`, puts them between the `rivals` markers of a document, and a chart
//! beside it. Every keeper must give its clips back byte for byte, find each window's clips and
//! lose what expired, or the run fails: a figure of a keeper that cheats is none.
//!
//! Each keeper lives in a process of its own, this program started anew with `--keeper NAME`, that
//! is stopped while others have their turn: what a keeper does in the background takes its own
//! time, and the kernel counts what it writes for it alone. Before each turn free memory is filled
//! with what nobody needs, so that nobody pays for memory that the machine has given away.

mod blobs;
mod chart;
mod child;
mod files;
mod fjall_lsm;
mod key;
mod lmdb;
mod memory;
mod process;
#[cfg(feature = "raft-engine")]
mod raft;
mod redb_tree;
mod report;
#[cfg(feature = "rocksdb")]
mod rocks;
mod run;
mod spread;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clipkeep::workload::{Commit, Keeper, Outcome, RawKeeper, StoreKeeper, Street};

/// What one scenario wants to know of a keeper before it is made.
pub struct Plan<'a> {
    /// Its own, empty folder.
    pub dir: &'a Path,
    /// What will be recorded.
    pub street: &'a Street,
    /// How many clips a file of the raw limits has room for.
    pub file_clips: u64,
    /// Clips are tiny, and only looked for.
    pub tiny: bool,
    /// A commit a clip, and not a group.
    pub each: bool,
    /// How long clips are kept, by those who know an age.
    pub retention: Duration,
}

/// Makes a keeper, or opens it again.
pub type Maker = fn(&Plan<'_>) -> Outcome<Box<dyn Keeper>>;

/// A keeper by the name that the command line has for it.
pub struct Rival {
    pub name: &'static str,
    pub make: Maker,
    /// Whether it finds again what it kept before it was closed. The raw limits find nothing.
    pub reopens: bool,
    /// Whether it can be asked for a window of time.
    pub finds: bool,
}

const fn rival(name: &'static str, make: Maker) -> Rival {
    Rival { name, make, reopens: true, finds: true }
}

const fn limit(name: &'static str, make: Maker) -> Rival {
    Rival { name, make, reopens: false, finds: false }
}

/// All of them, Clipkeep and the two raw limits first.
pub const RIVALS: &[Rival] = &[
    rival("clipkeep", clipkeep),
    limit("buffered", |plan| raw(plan, false)),
    limit("direct", |plan| raw(plan, true)),
    rival("files", files::open),
    rival("blobs", blobs::open),
    rival("lmdb", lmdb::open),
    rival("redb", redb_tree::open),
    rival("fjall", fjall_lsm::open),
    #[cfg(feature = "rocksdb")]
    rival("rocksdb", rocks::open),
    #[cfg(feature = "raft-engine")]
    Rival { name: "raft-engine", make: raft::open, reopens: true, finds: false },
];
/// How many of them are raw limits or Clipkeep itself.
pub const OWN: usize = 3;
/// Those that are built in only when they are asked for, and whether they are.
pub const FEATURES: [(&str, bool); 2] =
    [("rocksdb", cfg!(feature = "rocksdb")), ("raft-engine", cfg!(feature = "raft-engine"))];

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
    Ok(Box::new(RawKeeper::open(plan.dir, direct, plan.file_clips * clip)?.zeroing()))
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

fn options(arguments: &[String]) -> Outcome<Options> {
    let mut options =
        Options { clips: 48, lookups: 100_000, rounds: 5, dir: PathBuf::from("."), write: None };
    for pair in arguments.chunks(2) {
        let [name, value] = pair else { return Err(format!("{}: what?", pair[0]).into()) };
        match name.as_str() {
            "--clips" => options.clips = at_least(name, value, 1)?,
            "--lookups" => options.lookups = at_least(name, value, 1000)?,
            "--rounds" => options.rounds = u32::try_from(at_least(name, value, 1)?)?,
            "--dir" => options.dir = value.into(),
            "--write" => options.write = Some(value.into()),
            _ => return Err(format!("{name}: not known").into()),
        }
    }
    Ok(options)
}

/// The number that an option has.
fn at_least(name: &str, value: &str, least: u64) -> Outcome<u64> {
    let number = value.parse().ok().filter(|number| *number >= least);
    Ok(number.ok_or_else(|| format!("{name} {value}: wants a number from {least} on"))?)
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == child::KEEPER) {
        return child::run(&arguments);
    }
    let options = options(&arguments)?;
    let document = options.write.as_deref().map(report::Document::find).transpose()?;
    let measured = run::run(&options)?;
    let tables = report::tables(&options, &measured)?;
    println!("{tables}");
    document.map_or(Ok(()), |document| document.put(&tables, &chart::chart(&measured)))
}
