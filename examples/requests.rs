//! A city of requests: how long a submission takes, and how long opening takes afterwards.
//!
//! `cargo run --release --example requests -- [--requests N] [--cameras N] [--dir DIR] [--days N]`
//!
//! Homes with a camera each stand on a grid of 60 m; each request asks for a circle of 150 m around
//! one of them, some 19 homes, over an hour. Half of the requests are approved and denied by one
//! resident each. Then the desk is closed, and opened again by a process of its own, whose memory
//! is that of the opening alone: a day later, or so many days. After 15 of them every deadline has
//! passed while the hub was off, and opening puts that on record.

#![expect(clippy::print_stdout, reason = "an example tells what it found")]
#![expect(clippy::disallowed_methods, reason = "it measures by real time")]

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use clipkeep::requests::{
    AgencyId, Area, Desk, HouseholdId, NewHousehold, Place, Rules, Submission, Text,
};
use clipkeep::{ManualClock, Store, StoreOptions, Timestamp, Window};

type Failure = Box<dyn Error>;

const STEP_DEGREES: f64 = 60.0 / 111_195.0;
const ROW: u32 = 100;

fn main() -> Result<(), Failure> {
    let now: Timestamp = "2026-11-02T00:00:00Z".parse()?;
    let clock = ManualClock::at(now);
    let reopened = argument("--reopen", "");
    if !reopened.is_empty() {
        clock.advance(Duration::from_hours(24) * argument("--days", "1").parse()?);
        return reopen(Path::new(&reopened), &clock);
    }
    let requests = argument("--requests", "2000").parse()?;
    let cameras: u32 = argument("--cameras", "10000").parse()?;
    let dir = tempfile::tempdir_in(argument("--dir", "."))?;
    let desk = open(dir.path(), &clock)?;
    let agency: AgencyId = "springfield-pd".parse()?;
    desk.join_agency(&agency, "desk")?;
    for home in 0..cameras {
        let cameras = vec![(Text(format!("door-{home}").parse()?), place(home))];
        desk.join_household(&NewHousehold { cameras, contact: String::new() })?;
    }
    clock.advance(Duration::from_hours(24));
    let window = Window::starting(now, Duration::from_hours(1))?;
    let mut waits = Vec::new();
    for number in 0..requests {
        let center = place(number * 7919 % cameras);
        let submission = Submission {
            key: number.to_string(),
            window: window.into(),
            area: Area::Circle { center, radius_m: 150.0 },
            incident: number.to_string(),
            kind: "theft".to_owned(),
            contact: "officer".to_owned(),
            words: String::new(),
        };
        let begin = Instant::now();
        let view = desk.submit(&agency, &submission)?;
        waits.push(begin.elapsed());
        if number % 2 == 0 {
            desk.approve(view.request.0)?;
            desk.deny(HouseholdId(number * 7919 % cameras + 1), view.request.0)?;
        }
    }
    waits.sort_unstable();
    let at = |percent: usize| waits.get(waits.len() * percent / 100).copied().unwrap_or_default();
    println!("{requests} requests over {cameras} cameras");
    println!("submit: p50 {:?}, p99 {:?}", at(50), at(99));
    println!("peak memory of taking them in: {}", peak_memory()?);
    desk.store().clone().close()?;
    let ledger = bytes_in(&dir.path().join("ledger/a"))?;
    println!("ledger: {} MiB in each copy", ledger >> 20);
    drop(desk);
    let path = dir.path().display().to_string();
    let opened = Command::new(std::env::current_exe()?)
        .args(["--reopen", &path])
        .args(["--days", &argument("--days", "1")])
        .status()?;
    if opened.success() { Ok(()) } else { Err("opening failed".into()) }
}

/// Opens what was taken in, and says how long that takes.
fn reopen(dir: &Path, clock: &ManualClock) -> Result<(), Failure> {
    let begin = Instant::now();
    let store = options(clock).open(dir)?;
    let opened_store = begin.elapsed();
    let desk = Desk::open(store, rules())?;
    let (whole, entries) = (begin.elapsed(), desk.store().stats()?.ledger_entries);
    println!("opening: {whole:?}, of which the store {opened_store:?}; {entries} ledger entries");
    println!("peak memory of opening: {}", peak_memory()?);
    let wrong = desk.disagreements();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ").into()) }
}

fn options(clock: &ManualClock) -> StoreOptions {
    Store::options().segment_bytes(4 << 20).clock(clock.clone())
}

fn rules() -> Rules {
    let mut rules = Rules::default();
    rules.agency_day_budget = u64::MAX;
    rules
}

fn open(dir: &Path, clock: &ManualClock) -> Result<Desk, Failure> {
    Ok(Desk::open(options(clock).open(dir)?, rules())?)
}

/// The most memory that this process had, as the kernel counts it.
fn peak_memory() -> Result<String, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    Ok(line.unwrap_or_default().trim().to_owned())
}

/// The bytes of the files in a folder.
fn bytes_in(dir: &Path) -> Result<u64, Failure> {
    let sizes = std::fs::read_dir(dir)?.map(|file| Ok(file?.metadata()?.len()));
    sizes.collect::<Result<Vec<u64>, Failure>>().map(|sizes| sizes.iter().sum())
}

/// Where home number `home` stands.
fn place(home: u32) -> Place {
    let (row, column) = (f64::from(home / ROW), f64::from(home % ROW));
    Place { lat: 40.0 + row * STEP_DEGREES, lon: -75.0 + column * STEP_DEGREES }
}

/// The word behind the argument `name`.
fn argument(name: &str, or: &str) -> String {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1).unwrap_or_else(|| or.to_owned())
}
