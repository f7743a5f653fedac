//! What recording costs beside the bare disk: rate and processor, in turns.
//!
//! ```text
//! cargo run --release --no-default-features --features bench --example recording
//! ```
//!
//! Three rows for each way of recording: the store, the bare disk, and the store with its writes
//! through the page cache, as where a file system knows no direct ones. Beside expiry the store,
//! the bare disk that zeroes what is due, and one that writes over it and erases nothing. With a
//! share of the clips held the store, and the bare disk, which holds nothing.
//! With its name (`each`, `group`, `small`, `expiry`, `held`) that way alone; but for the last two
//! with `own` behind it the store alone: for a profile of what it does. The folder is made in the
//! working folder: that is the disk which is measured.

#![expect(clippy::print_stdout, reason = "a measurement is printed")]

use std::path::Path;

use clipkeep::workload::{
    Commit, Ingest, Keeper, Outcome, RawKeeper, Steady, StoreKeeper, Street, Track, ingest, steady,
    steady_turn,
};

/// Its name, cameras, bytes of a clip, and clips of a round and of a commit.
const WAYS: [(&str, u32, usize, u64, u64); 3] = [
    ("each", 16, 2_000_000, 64, 1),
    ("group", 16, 2_000_000, 64, 16),
    ("small", 32, 200_000, 640, 32),
];
const ROUNDS: u32 = 8;
const SEGMENT_BYTES: u64 = 128 << 20;
/// Its name is that of a way, too: four clips of 2 MB a commit, in full stores.
const EXPIRY: &str = "expiry";
const STEADY: Steady =
    Steady { kept: 256, clips: 128, group: 4, sweep_every: 64, held_percent: 0, rounds: 8 };
/// The same with so many of a hundred clips held.
const HELD: &str = "held";
const HELD_PERCENTS: [u64; 3] = [0, 1, 10];

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let names: Vec<&str> = WAYS.iter().map(|(way, ..)| *way).chain([EXPIRY, HELD]).collect();
    if let Some(name) = args.first().filter(|name| !names.contains(&name.as_str())) {
        return Err(format!("{name}: no way of recording; say {}", names.join(", ")).into());
    }
    for (name, cameras, clip_bytes, clips, group) in WAYS {
        if args.first().is_some_and(|only| only != name) {
            continue;
        }
        let dir = tempfile::tempdir_in(".")?;
        let street = Street::new(7, cameras, clip_bytes);
        let commit = if group == 1 { Commit::Each } else { Commit::Together };
        let room = u64::from(ROUNDS) * clips * (u64::try_from(clip_bytes)? + 8192);
        let store = StoreKeeper::open(&dir.path().join("store"), &street, commit)?;
        let mut keepers: Vec<Box<dyn Keeper>> = vec![Box::new(store)];
        if args.len() < 2 {
            keepers.push(Box::new(RawKeeper::open(dir.path(), true, room)?));
            let buffered = StoreKeeper::open(&dir.path().join("buffered"), &street, commit)?;
            keepers.push(Box::new(buffered.buffered()?));
        }
        let plan = Ingest { rounds: ROUNDS, clips, group };
        let tracks = ingest(dir.path(), &mut keepers, &street, &plan, &mut |_| ())?;
        for track in &tracks {
            print(name, track, tracks.get(1));
        }
    }
    if args.first().is_none_or(|only| only == EXPIRY) {
        let dir = tempfile::tempdir_in(".")?;
        let tracks = beside_expiry(dir.path())?;
        for track in &tracks {
            print(EXPIRY, track, tracks.get(1));
        }
    }
    if args.first().is_none_or(|only| only == HELD) {
        for percent in HELD_PERCENTS {
            let dir = tempfile::tempdir_in(".")?;
            let (own, limit) = with_some_held(dir.path(), percent)?;
            let name = format!("{HELD} {percent} %");
            print(&name, &own, Some(&limit));
            print(&name, &limit, Some(&limit));
        }
    }
    Ok(())
}

/// The store with so many of a hundred clips held, and the bare disk that zeroes what is due.
fn with_some_held(dir: &Path, held_percent: u64) -> Outcome<(Track, Track)> {
    let street = Street::new(7, 16, 2_000_000);
    let plan = Steady { held_percent, clips: STEADY.clips * STEADY.rounds, ..STEADY };
    let folder = dir.join("store");
    let mut store =
        StoreKeeper::keeping(&folder, &street, Commit::Together, street.span_of(plan.kept))?;
    let mut raw = RawKeeper::open(dir, true, SEGMENT_BYTES)?.zeroing();
    let (own, limit) = steady(dir, &mut store, &mut raw, &street, &plan, &mut |_| ())?;
    Ok((own.track, limit.track))
}

/// The store, the bare disk that zeroes what is due, and the one that writes over it, each below
/// `dir` and full.
fn beside_expiry(dir: &Path) -> Outcome<Vec<Track>> {
    let street = Street::new(7, 16, 2_000_000);
    let kept = street.span_of(STEADY.kept);
    let folder = |name: &str| std::fs::create_dir(dir.join(name)).map(|()| dir.join(name));
    let store = StoreKeeper::keeping(&folder("store")?, &street, Commit::Together, kept)?;
    let zeroing = RawKeeper::open(&folder("zeroing")?, true, SEGMENT_BYTES)?.zeroing();
    let overwriting = RawKeeper::open(&folder("overwriting")?, true, SEGMENT_BYTES)?.overwriting();
    let mut keepers: [Box<dyn Keeper>; 3] =
        [Box::new(store), Box::new(zeroing), Box::new(overwriting)];
    let mut tracks: Vec<Track> = Vec::new();
    for round in 0..=STEADY.rounds {
        // The first round fills them.
        let first = if round == 0 { 0 } else { STEADY.kept + (round - 1) * STEADY.clips };
        let clips = if round == 0 { STEADY.kept } else { STEADY.clips };
        for (number, keeper) in keepers.iter_mut().enumerate() {
            let numbers = first..first + clips;
            let turn = steady_turn(keeper.as_mut(), &street, &STEADY, numbers, &mut |_| ())?.track;
            match tracks.get_mut(number) {
                _ if round == 0 => {}
                Some(track) => {
                    track.latencies.add(&turn.latencies);
                    track.rounds.extend(turn.rounds);
                }
                None => tracks.push(turn),
            }
        }
    }
    Ok(tracks)
}

fn print(name: &str, track: &Track, limit: Option<&Track>) {
    let of_limit = limit.map_or_else(String::new, |limit| {
        let (rate, least, most) = track.rate_against(limit);
        format!("{rate:.2} ({least:.2}..{most:.2}) of the limit, ")
    });
    let milliseconds = |percent| track.latencies.percentile(percent).as_secs_f64() * 1e3;
    println!(
        "{name:9} {:20} {:5.0} MB/s, {of_limit}{:.2} CPU s/GiB, {:.2} cores, a commit p50 {:.1} \
         ms, p99 {:.1} ms",
        track.name,
        track.bytes_per_second() / 1e6,
        track.cpu_seconds_per_gib(),
        track.cpu_seconds_per_gib() * track.bytes_per_second() / f64::from(1 << 30),
        milliseconds(50.0),
        milliseconds(99.0),
    );
}
