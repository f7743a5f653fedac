//! How fast whole clips come from the disk and from memory, against the bare disk.
//!
//! ```text
//! cargo run --release --no-default-features --features bench --example cold_reads
//! ```
//!
//! Records the same clips into a store and into files with nothing around them, which are read
//! through the page cache and past it (`O_DIRECT`); then, round by round and in turns, forgets what
//! is cached, reads some clips of each, and reads them again until they come from memory. Prints
//! medians, and the first bytes' percentiles over all rounds. The folder is made in the working
//! folder: that is the disk which is measured.

#![expect(clippy::print_stdout, reason = "a measurement is printed")]

use clipkeep::workload::{
    Commit, Keeper, Latencies, Outcome, RawKeeper, Reads, StoreKeeper, Street, drop_caches, reads,
};

const CLIPS: u64 = 240;
const CLIP_BYTES: usize = 2_000_000;
/// Clips of a round; the next round reads other ones.
const READ: u64 = 24;
const ROUNDS: u64 = CLIPS / READ;

/// What was measured of one keeper.
#[derive(Default)]
struct Row {
    name: String,
    cold: Vec<f64>,
    /// Against the best of the others in the same round.
    ratio: Vec<f64>,
    warm: Vec<f64>,
    first: Latencies,
    whole: Latencies,
}

fn main() -> Outcome<()> {
    let dir = tempfile::tempdir_in(".")?;
    let street = Street::new(7, 16, CLIP_BYTES);
    let room = CLIPS * (u64::try_from(CLIP_BYTES)? + 4096);
    let mut keepers: Vec<Box<dyn Keeper>> = vec![
        Box::new(StoreKeeper::open(&dir.path().join("store"), &street, Commit::Grouped)?),
        Box::new(RawKeeper::open(dir.path(), false, room)?),
        Box::new(RawKeeper::open(dir.path(), true, room)?),
    ];
    for keeper in &mut keepers {
        for first in (0..CLIPS).step_by(16) {
            keeper.keep(&street.takes(first, 16.min(CLIPS - first))?)?;
        }
    }
    let mut rows: Vec<Row> =
        keepers.iter().map(|keeper| Row { name: keeper.name(), ..Row::default() }).collect();
    for round in 0..ROUNDS {
        let numbers = || (0..READ).map(|turn| round + turn * ROUNDS);
        let mut cold = Vec::new();
        for (keeper, row) in keepers.iter_mut().zip(&mut rows) {
            drop_caches(dir.path())?;
            let read: Reads = reads(keeper.as_mut(), &street, numbers())?;
            cold.push(read.bytes_per_second());
            row.whole.add(&read.latencies);
            row.first.add(&read.first_byte);
            // What is read once need not be in memory then; and the system sorts pages anew when
            // they are touched for the second time.
            for _ in 0..2 {
                reads(keeper.as_mut(), &street, numbers())?;
            }
            row.warm.push(reads(keeper.as_mut(), &street, numbers())?.bytes_per_second());
            keeper.let_go()?;
        }
        for (at, row) in rows.iter_mut().enumerate() {
            let others = cold.iter().enumerate().filter(|(other, _)| *other != at);
            let best = others.map(|(_, rate)| *rate).fold(1.0, f64::max);
            row.cold.extend(cold.get(at));
            row.ratio.extend(cold.get(at).map(|rate| rate / best));
        }
    }
    println!("{ROUNDS} rounds of {READ} clips of {CLIP_BYTES} bytes for each, in turns");
    for row in rows {
        let Row { name, cold, ratio, warm, first, whole } = row;
        println!(
            "{name:20} cold {:5.0} MB/s, {:.2} of the best of the others; clip p50 {:?} p99 {:?}; \
             first bytes p50 {:?} p99 {:?}; warm {:5.0} MB/s",
            median(cold) / 1e6,
            median(ratio),
            whole.percentile(50.0),
            whole.percentile(99.0),
            first.percentile(50.0),
            first.percentile(99.0),
            median(warm) / 1e6,
        );
    }
    Ok(())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}
