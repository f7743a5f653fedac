//! How long the daemon takes to make a fragment durable, while many cameras push at once.
//!
//! ```text
//! cargo build --release && cargo run --release --example ingest_load -- target/release/clipkeep
//! ```
//!
//! 200 cameras (or as many as the second argument says) push 2 Mbit/s each: a fragment of half a
//! megabyte every two seconds, each in a request of its own over a kept connection, so that the
//! answer says that it is durable. In turns with it, round by round, one writer gives the same
//! bytes at the same pace to a plain file, with one `fdatasync` a fragment: what the disk takes.

#![expect(clippy::print_stdout, reason = "a measurement is printed")]

mod daemon;

use std::fs::{self, File};
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use daemon::{Daemon, Outcome, now};

const ROUNDS: u32 = 3;
const ROUND: Duration = Duration::from_secs(20);
/// The length of a fragment: what half a megabyte is at 2 Mbit/s.
const FRAGMENT: Duration = Duration::from_secs(2);
const FRAGMENT_BYTES: usize = 500_000;
/// Five fragments of two seconds behind their init segment.
const FRONT_DOOR: &str = "src/cli/demo/front-door.mp4";

fn main() -> Outcome<()> {
    let mut args = std::env::args().skip(1);
    let binary = args.next().unwrap_or_else(|| "target/release/clipkeep".to_owned());
    let cameras: u32 = args.next().map_or(Ok(200), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let daemon = Daemon::start(&binary, &folder.path().join("store"), &["log.level=warn"])?;
    let (init, fragment) = footage()?;
    let (mut all, mut all_bare) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let mut pushed = push(daemon.address, cameras, round, &init, &fragment)?;
        println!("round {round}: clipkeep {}", said(&mut pushed));
        let mut bare = bare(folder.path(), cameras, &fragment)?;
        println!("round {round}: one file {}", said(&mut bare));
        all.append(&mut pushed);
        all_bare.append(&mut bare);
    }
    let expected = u64::try_from(all.len())?;
    println!("{cameras} cameras, {expected} fragments acknowledged: clipkeep {}", said(&mut all));
    println!("the same to one file: {}", said(&mut all_bare));
    println!(
        "p99 against that: {:.1}",
        at(&all, 99).as_secs_f64() / at(&all_bare, 99).as_secs_f64()
    );
    let stored = stored(daemon.address)?;
    if stored != expected {
        return Err(format!("{stored} fragments are stored, of {expected} acknowledged").into());
    }
    Ok(())
}

/// An init segment, and one fragment with as many bytes of data as it takes.
fn footage() -> Outcome<(Vec<u8>, Vec<u8>)> {
    let file = fs::read(FRONT_DOOR)?;
    let find = |from: usize, kind: &[u8]| {
        let rest = file.get(from..)?;
        rest.windows(4).position(|four| four == kind).map(|at| from + at)
    };
    let moof = find(0, b"moof").ok_or("no moof")? - 4;
    let mdat = find(moof, b"mdat").ok_or("no mdat")? - 4;
    let next = find(mdat, b"moof").ok_or("no second moof")? - 4;
    let init = file.get(..moof).ok_or("no init segment")?.to_vec();
    let mut fragment = file.get(moof..next).ok_or("no fragment")?.to_vec();
    // What no sample names is data all the same.
    fragment.resize(FRAGMENT_BYTES, 0x5A);
    let len = u32::try_from(FRAGMENT_BYTES - (mdat - moof))?.to_be_bytes();
    fragment.get_mut(mdat - moof..mdat - moof + 4).ok_or("no mdat")?.copy_from_slice(&len);
    Ok((init, fragment))
}

/// The times from the first byte of each fragment to its answer.
fn push(
    address: SocketAddr,
    cameras: u32,
    round: u32,
    init: &[u8],
    fragment: &[u8],
) -> Outcome<Vec<Duration>> {
    thread::scope(|scope| {
        let senders: Vec<_> = (0..cameras)
            .map(|camera| {
                // As cameras do, they do not all send at the same moment.
                let late = FRAGMENT * camera / cameras;
                let name = format!("/v1/cameras/r{round}c{camera}/hls");
                scope.spawn(move || {
                    wait(late);
                    push_one(address, &name, init, fragment)
                })
            })
            .collect();
        let mut all = Vec::new();
        for sender in senders {
            all.append(&mut sender.join().map_err(|_panicked| "a sender panicked")??);
        }
        Ok(all)
    })
}

fn push_one(
    address: SocketAddr,
    path: &str,
    init: &[u8],
    fragment: &[u8],
) -> Outcome<Vec<Duration>> {
    let mut connection = TcpStream::connect(address)?;
    ask(&mut connection, "PUT", &format!("{path}/init.mp4"), init)?;
    let mut fragment = fragment.to_vec();
    let tfdt = fragment.windows(4).position(|four| four == b"tfdt").ok_or("no tfdt")? + 8;
    let wide = fragment.get(tfdt - 4) == Some(&1);
    let scale = timescale(init)?;
    let mut times = Vec::new();
    let begun = now();
    for number in 0..u32::try_from(ROUND.as_secs() / FRAGMENT.as_secs())? {
        wait((FRAGMENT * number).saturating_sub(begun.elapsed()));
        let time = u64::from(number) * 2 * u64::from(scale);
        if wide {
            fragment.get_mut(tfdt..tfdt + 8).ok_or("short")?.copy_from_slice(&time.to_be_bytes());
        } else {
            let time = u32::try_from(time)?.to_be_bytes();
            fragment.get_mut(tfdt..tfdt + 4).ok_or("short")?.copy_from_slice(&time);
        }
        let sent = now();
        ask(&mut connection, "PUT", &format!("{path}/{number}.m4s"), &fragment)?;
        times.push(sent.elapsed());
    }
    Ok(times)
}

/// Ticks a second of the first track.
fn timescale(init: &[u8]) -> Outcome<u32> {
    let at = init.windows(4).position(|four| four == b"mdhd").ok_or("no mdhd")?;
    let at = at + if init.get(at + 4) == Some(&1) { 24 } else { 16 };
    let ticks: [u8; 4] = init.get(at..at + 4).ok_or("a short mdhd")?.try_into()?;
    Ok(u32::from_be_bytes(ticks))
}

/// The same fragments at the same pace into one plain file.
#[expect(clippy::disallowed_methods, reason = "what a store is compared with")]
fn bare(folder: &Path, cameras: u32, fragment: &[u8]) -> Outcome<Vec<Duration>> {
    let path = folder.join("bare");
    let mut file = File::create(&path)?;
    let pace = FRAGMENT / cameras;
    let mut times = Vec::new();
    let begun = now();
    for number in 0..cameras * u32::try_from(ROUND.as_secs() / FRAGMENT.as_secs())? {
        wait((pace * number).saturating_sub(begun.elapsed()));
        let sent = now();
        file.write_all(fragment)?;
        file.sync_data()?;
        times.push(sent.elapsed());
    }
    fs::remove_file(path)?;
    Ok(times)
}

/// One request that must succeed, and the body of its answer.
fn ask(connection: &mut TcpStream, method: &str, path: &str, body: &[u8]) -> Outcome<Vec<u8>> {
    match daemon::ask(connection, method, path, "", body)? {
        (200..300, answer) => Ok(answer),
        (status, _) => Err(format!("{path}: {status}").into()),
    }
}

/// How many fragments the daemon itself counts as durable.
fn stored(address: SocketAddr) -> Outcome<u64> {
    let text = ask(&mut TcpStream::connect(address)?, "GET", "/metrics", b"")?;
    let text = String::from_utf8(text)?;
    let lines = text.lines().filter(|line| line.starts_with("clipkeep_ingest_fragments_total{"));
    let counts = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    Ok(counts.sum())
}

fn said(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let [p50, p99] = [50, 99].map(|percent| at(times, percent));
    let max = times.last().copied().unwrap_or_default();
    format!("p50 {p50:.1?}, p99 {p99:.1?}, max {max:.1?} of {}", times.len())
}

/// The time that `percent` of the sorted `times` do not exceed.
fn at(times: &[Duration], percent: usize) -> Duration {
    times
        .get((times.len() * percent / 100).min(times.len().max(1) - 1))
        .copied()
        .unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "cameras send at a pace")]
fn wait(time: Duration) {
    thread::sleep(time);
}
