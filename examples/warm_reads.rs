//! How fast clips come that are in memory, and what of that is the memory's.
//!
//! ```text
//! cargo run --release --no-default-features --features bench --example warm_reads
//! ```
//!
//! Records clips into a store, reads some of them until they come from memory, and goes on in
//! turns: the same clips through the store; as many bytes of the same files, copied from a map; the
//! same with a CRC32 of each 64 KiB before it is copied, which is the least that whoever checks has
//! to do. With a number behind it, of so many clips: of more than the store keeps maps for, say.
//! Prints medians and the range. The folder is made in the working folder.

#![expect(clippy::print_stdout, reason = "a measurement is printed")]

use std::sync::Arc;
use std::time::Duration;

use clipkeep::vfs::os::OsVfs;
use clipkeep::vfs::{Map, Vfs as _};
use clipkeep::workload::{Commit, Keeper as _, Outcome, Stopwatch, StoreKeeper, Street, reads};

const CLIPS: u64 = 480;
const CLIP_BYTES: usize = 2_000_000;
/// Clips of a round, always the same ones.
const READ: u64 = 64;
const ROUNDS: usize = 15;
/// What the store checks at a time.
const CHUNK_BYTES: usize = 64 << 10;

fn main() -> Outcome<()> {
    let clips = std::env::args().nth(1).map_or(Ok(CLIPS), |clips| clips.parse())?;
    let dir = tempfile::tempdir_in(".")?;
    let street = Street::new(7, 16, CLIP_BYTES);
    let mut store = StoreKeeper::open(&dir.path().join("store"), &street, Commit::Grouped)?;
    for first in (0..clips).step_by(16) {
        store.keep(&street.takes(first, 16.min(clips - first))?)?;
    }
    store.store()?.seal()?;
    let numbers = street.picks(0, READ, clips);
    let maps = maps(&dir.path().join("store"))?;
    let places = places(&maps, numbers.len());
    let mut rates = [const { Vec::new() }; 3];
    // The first rounds bring it all into memory, and have the system sort its pages anew.
    for round in 0..ROUNDS + 3 {
        let own = reads(&mut store, &street, numbers.iter().copied())?.bytes_per_second();
        let bare = |checked| copy(&maps, &places, &street, &numbers, checked);
        let round_rates = [own, bare(false)?, bare(true)?];
        if round >= 3 {
            for (rates, rate) in rates.iter_mut().zip(round_rates) {
                rates.push(rate);
            }
        }
    }
    println!("{ROUNDS} rounds of {READ} clips of {CLIP_BYTES} bytes, of {clips}, in turns");
    let names = ["clipkeep", "a copy of a map", "CRC32 and copy of a map, 64 KiB at a time"];
    for (name, mut rates) in names.into_iter().zip(rates) {
        rates.sort_by(f64::total_cmp);
        let at = |part: usize| rates.get(part).copied().unwrap_or_default() / 1e6;
        println!("{name:42} {:5.0} MB/s ({:.0} to {:.0})", at(ROUNDS / 2), at(0), at(ROUNDS - 1));
    }
    Ok(())
}

/// Maps of the store's segments, brought into memory.
fn maps(dir: &std::path::Path) -> Outcome<Vec<Arc<dyn Map>>> {
    let vfs = OsVfs::new(dir);
    let mut maps = Vec::new();
    for name in vfs.list("segments")? {
        let file = vfs.open(&format!("segments/{name}"), false)?;
        let map = file.map(file.len()?)?;
        map.populate(0..file.len()?)?;
        maps.push(map);
    }
    Ok(maps)
}

/// Where as many bytes as a clip has begin, `count` times, not one behind the other.
fn places(maps: &[Arc<dyn Map>], count: usize) -> Vec<(usize, usize)> {
    let mut all = Vec::new();
    for (map, of) in maps.iter().enumerate() {
        let end = of.bytes().len().saturating_sub(2 * CLIP_BYTES);
        all.extend((0..end).step_by(CLIP_BYTES).map(|from| (map, from)));
    }
    (0..count).filter_map(|n| all.get(n * 7 % all.len().max(1)).copied()).collect()
}

/// Copies what stands there, and answers at what rate. Before each copy a clip of the street is
/// made, as it is before the store reads one: what is in the processor's caches is no advantage.
fn copy(
    maps: &[Arc<dyn Map>],
    places: &[(usize, usize)],
    street: &Street,
    numbers: &[u64],
    checked: bool,
) -> Outcome<f64> {
    let mut back: Vec<u8> = Vec::with_capacity(CLIP_BYTES);
    let (mut took, mut bytes) = (Duration::ZERO, 0.0);
    for ((map, from), number) in places.iter().zip(numbers) {
        let take = street.take(*number)?;
        let map = maps.get(*map).map_or(&[][..], |map| map.bytes());
        back.clear();
        let watch = Stopwatch::start();
        for chunk in map.get(*from..from + CLIP_BYTES).unwrap_or_default().chunks(CHUNK_BYTES) {
            if checked {
                std::hint::black_box(crc32fast::hash(chunk));
            }
            back.extend_from_slice(chunk);
        }
        took += watch.elapsed();
        std::hint::black_box((&back, take));
        bytes += f64::from(u32::try_from(back.len())?);
    }
    Ok(bytes / took.as_secs_f64())
}
