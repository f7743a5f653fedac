//! A whole street under load: many cameras record at once with group commit, while a sweep runs
//! without pause and holds are placed. At the end every clip that must be there is read back.
//!
//! `cargo run --release --no-default-features --example street -- --seconds 60 --cameras 200`
//!
//! The clock of the store is moved on by a minute with every sweep, so that footage expires all the
//! time. Fails when anything is lost.

#![expect(clippy::print_stdout, reason = "an example tells what it found")]
#![expect(clippy::disallowed_methods, reason = "a load test paces and measures by real time")]

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use clipkeep::{
    CameraId, Clip, ClipId, ErrorKind, ManualClock, Media, NewClip, NewHold, Retention, Store,
    Timestamp, Window,
};

const FRAGMENT: Duration = Duration::from_secs(2);
const FRAGMENT_BYTES: usize = 64 * 1024;
const FRAGMENTS_A_CLIP: u32 = 15;
/// No camera writes faster than this, so that the load is the same on every fast disk.
const PACE: Duration = Duration::from_millis(100);
const MINUTE: Duration = Duration::from_mins(1);
const AT_MOST: Duration = Duration::from_mins(20);

type Failure = Box<dyn Error + Send + Sync>;

/// What one camera did, as it was acknowledged.
#[derive(Default)]
struct Log {
    clips: Vec<Clip>,
    held: Vec<ClipId>,
    fragments: u64,
    waits: Vec<Duration>,
}

fn main() -> Result<(), Failure> {
    let seconds = argument("--seconds")?.unwrap_or(60);
    let cameras = argument("--cameras")?.unwrap_or(200);
    let dir = tempfile::tempdir()?;
    let clock = ManualClock::at("2026-11-01T18:00:00Z".parse()?);
    let options = Store::options()
        .retention(Retention::new(AT_MOST / 2, AT_MOST)?)
        .segment_bytes(32 << 20)
        .segment_age(MINUTE)
        .sweep_share(100);
    let store = options.clone().clock(clock.clone()).open(dir.path())?;
    let over = AtomicBool::new(false);
    let logs = Mutex::new(Vec::new());
    let mut memory = Vec::new();
    let mut sweeps = 0_u64;
    thread::scope(|scope| -> Result<(), Failure> {
        let recorders: Vec<_> = (0..cameras)
            .map(|number| {
                let (store, over, logs) = (&store, &over, &logs);
                scope.spawn(move || -> Result<(), Failure> {
                    let mut log = Log::default();
                    let recorded = record(store, number, over, &mut log);
                    logs.lock().unwrap_or_else(PoisonError::into_inner).push(log);
                    recorded
                })
            })
            .collect();
        let begin = Instant::now();
        let mut swept = Ok(());
        while begin.elapsed() < Duration::from_secs(seconds) && swept.is_ok() {
            thread::sleep(Duration::from_millis(500));
            clock.advance(MINUTE);
            swept = store.sweep().map(drop);
            sweeps += 1;
            memory.push((begin.elapsed(), resident_kib()));
        }
        over.store(true, Ordering::Relaxed);
        for recorder in recorders {
            recorder.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        Ok(swept?)
    })?;
    let logs = logs.into_inner().unwrap_or_else(PoisonError::into_inner);
    let lost = count_lost(&store, &logs);
    report(&store, &logs, &memory, sweeps)?;
    store.close()?;
    // Once more after reopening: what was shown must not hang on this process.
    let store = options.clock(clock).open(dir.path())?;
    let lost_later = count_lost(&store, &logs);
    println!("lost: {lost}, after reopening: {lost_later}");
    if lost + lost_later > 0 { Err("clips were lost".into()) } else { Ok(()) }
}

/// The number behind the argument `name`.
fn argument(name: &str) -> Result<Option<u64>, Failure> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    Ok(arguments.nth(1).map(|number| number.parse()).transpose()?)
}

/// One camera, until it is over: clips of fragments, every twentieth of them held.
fn record(store: &Store, number: u64, over: &AtomicBool, log: &mut Log) -> Result<(), Failure> {
    let camera: CameraId = format!("street-{number}").parse()?;
    let mut start: Timestamp = "2026-11-01T18:00:00Z".parse()?;
    let fragment = bytes::Bytes::from(vec![u8::try_from(number % 251)?; FRAGMENT_BYTES]);
    while !over.load(Ordering::Relaxed) {
        let clip = NewClip::starting(&camera, start).media(Media::FragmentedMp4);
        let mut recorder = store.record(clip.init(&b"ftyp moov"[..]))?;
        for _ in 0..FRAGMENTS_A_CLIP {
            let begin = Instant::now();
            recorder.write(fragment.clone(), FRAGMENT)?;
            log.waits.push(begin.elapsed());
            log.fragments += 1;
            thread::sleep(PACE.saturating_sub(begin.elapsed()));
            if over.load(Ordering::Relaxed) {
                break;
            }
        }
        let clip = recorder.finish()?;
        start = clip.window().end();
        if u64::try_from(log.clips.len())? % 20 == number % 20 {
            store.place_hold(NewHold::new([camera.clone()], clip.window()))?;
            // A sweep may have been first if it was due by then.
            if store.now() < clip.received().saturating_add(AT_MOST) {
                log.held.push(clip.id());
            }
        }
        log.clips.push(clip);
    }
    Ok(())
}

/// How many clips cannot be read back whole although they must be there.
fn count_lost(store: &Store, logs: &[Log]) -> u64 {
    let now = store.now();
    let mut lost = 0;
    for log in logs {
        for clip in &log.clips {
            let due = clip.received().saturating_add(AT_MOST) <= now;
            let read = store.read(clip.id()).and_then(|reader| reader.to_vec());
            let whole = match read {
                Ok(bytes) => {
                    let all = store.clips(clip.camera(), clip.window());
                    let listed = all.is_ok_and(|mut all| all.any(|found| found.id() == clip.id()));
                    listed && u64::try_from(bytes.len()).is_ok_and(|len| len == clip.len())
                }
                Err(error) => {
                    due && error.kind() == ErrorKind::Expired && !log.held.contains(&clip.id())
                }
            };
            lost += u64::from(!whole);
        }
    }
    lost
}

/// Memory of this process, in KiB, as the kernel counts it; 0 where it does not say.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn report(
    store: &Store,
    logs: &[Log],
    memory: &[(Duration, u64)],
    sweeps: u64,
) -> Result<(), Failure> {
    let fragments: u64 = logs.iter().map(|log| log.fragments).sum();
    let clips: usize = logs.iter().map(|log| log.clips.len()).sum();
    let mib = (fragments * u64::try_from(FRAGMENT_BYTES)?) >> 20;
    let stats = store.stats()?;
    println!("{fragments} fragments, {mib} MiB, {clips} clips, {} readable now", stats.clips);
    println!("{} holds, {} clips held, {sweeps} sweeps", store.holds().len(), stats.held_clips);
    let mut waits: Vec<Duration> = logs.iter().flat_map(|log| log.waits.iter().copied()).collect();
    waits.sort_unstable();
    let at = |percent: usize| waits.get(waits.len() * percent / 100).copied().unwrap_or_default();
    println!("write of a fragment: p50 {:?}, p99 {:?}", at(50), at(99));
    let step = memory.len().div_ceil(12).max(1);
    for (after, kib) in memory.iter().step_by(step).chain(memory.last()) {
        println!("resident after {:3} s: {} MiB", after.as_secs(), kib >> 10);
    }
    println!("index: {} KiB; problems: {:?}", stats.index_bytes >> 10, store.problems());
    let window = Window::new(Timestamp::EPOCH, Timestamp::MAX)?;
    println!("first camera has {} clips", store.clips(&"street-0".parse()?, window)?.len());
    Ok(())
}
