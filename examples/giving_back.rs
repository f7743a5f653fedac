//! What it costs to give back the room of files, in four ways, and what somebody who writes beside
//! it sees.
//!
//! ```text
//! cargo run --release --no-default-features --features bench --example giving_back
//! ```
//!
//! Fills files as long as segments, makes them durable, and lets go of their bytes: by removing
//! them, by cutting them in steps, the same with pauses, and by zeroing them in place, which is
//! what the store does. In turns; prints medians for a GiB, pauses among it, and how long another
//! thread waits that writes 1 MiB at a time. The folder is made in the working folder: that is the
//! disk which is measured.

#![expect(clippy::print_stdout, reason = "a measurement is printed")]
#![expect(clippy::disallowed_methods, reason = "it measures what a file system does by itself")]

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clipkeep::workload::{Beside, Outcome, Stopwatch, beside_a_writer, ratio};
use rustix::fs::FallocateFlags;

const FILE_BYTES: u64 = 128 << 20;
const FILES: u64 = 4;
const ROUNDS: usize = 5;
/// So much is cut off at a time.
const STEP_BYTES: u64 = 8 << 20;
const PAUSE: Duration = Duration::from_millis(10);

type Way = fn(&Path) -> Outcome<()>;

const WAYS: [(&str, Way); 4] = [
    ("removed", |path| Ok(fs::remove_file(path)?)),
    ("cut in steps of 8 MiB", |path| cut(path, Duration::ZERO)),
    ("the same, 10 ms apart", |path| cut(path, PAUSE)),
    ("zeroed in place", zero),
];

fn main() -> Outcome<()> {
    let dir = tempfile::tempdir_in(".")?;
    let mut rows: Vec<Vec<(Duration, Beside)>> = vec![Vec::new(); WAYS.len()];
    for _ in 0..ROUNDS {
        for ((_, way), row) in WAYS.iter().zip(&mut rows) {
            let files = fill(dir.path())?;
            let give_back = || {
                let watch = Stopwatch::start();
                files.iter().try_for_each(|path| way(path))?;
                File::open(dir.path())?.sync_all()?;
                Ok(watch.elapsed())
            };
            row.push(beside_a_writer(dir.path(), give_back)?);
            // What is zeroed is there still.
            for path in files.iter().filter(|path| path.exists()) {
                fs::remove_file(path)?;
            }
        }
    }
    for ((name, _), row) in WAYS.iter().zip(rows) {
        let median = |of: fn(&(Duration, Beside)) -> Duration| {
            let mut all: Vec<Duration> = row.iter().map(of).collect();
            all.sort_unstable();
            all.get(all.len() / 2).copied().unwrap_or_default().as_secs_f64() * 1e3
        };
        println!(
            "{name:22} {:5.0} ms/GiB, beside it 1 MiB until durable: p99 {:5.1} ms, at most {:5.1}",
            median(|(took, _)| *took) / ratio(FILES * FILE_BYTES, 1 << 30),
            median(|(_, beside)| beside.p99),
            median(|(_, beside)| beside.max),
        );
    }
    Ok(())
}

/// Makes the files, with bytes in them, durably.
fn fill(dir: &Path) -> Outcome<Vec<PathBuf>> {
    let piece = vec![7; 1 << 20];
    let mut files = Vec::new();
    for number in 0..FILES {
        let path = dir.join(format!("{number}.bytes"));
        let mut file = File::create_new(&path)?;
        rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, FILE_BYTES)?;
        for _ in (0..FILE_BYTES).step_by(piece.len()) {
            file.write_all(&piece)?;
        }
        file.sync_all()?;
        files.push(path);
    }
    Ok(files)
}

/// Cuts the file from its end, and removes what is left.
fn cut(path: &Path, pause: Duration) -> Outcome<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    for gone in (STEP_BYTES..=FILE_BYTES).step_by(usize::try_from(STEP_BYTES)?) {
        file.set_len(FILE_BYTES - gone)?;
        std::thread::park_timeout(pause);
    }
    Ok(fs::remove_file(path)?)
}

fn zero(path: &Path) -> Outcome<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    let flags = FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE;
    let zeroed = rustix::fs::fallocate(&file, flags, 0, FILE_BYTES);
    zeroed.map_err(|error| format!("zero in place: {error}; try a folder on ext4 or XFS"))?;
    Ok(file.sync_data()?)
}
