//! A whole street under load: many cameras record at once with group commit, while a sweep runs
//! without pause and holds are placed. At the end every clip that must be there is read back.
//!
//! `cargo run --release --no-default-features --example street -- --seconds 60 --cameras 200`
//!
//! The clock of the store is moved on by a minute with every sweep, so that footage expires all the
//! time. Fails when anything is lost.
//!
//! Memory is told twice. As live bytes of the heap, counted at every allocation and without what
//! this example itself writes down (what it remembers of each clip grows with time, and is no part
//! of the store): that is what the store needs, and the example fails when it grows. And as the
//! process has it from the kernel, which is the high-water mark of the system's allocator more than
//! of the store.

#![expect(clippy::print_stdout, reason = "an example tells what it found")]
#![expect(clippy::disallowed_methods, reason = "a load test paces and measures by real time")]

use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use clipkeep::{
    CameraId, Clip, ClipId, ErrorKind, ManualClock, Media, NewClip, NewHold, Release, ReleaseCause,
    Retention, Store, Timestamp, Window,
};
use peak_alloc::PeakAlloc;

const FRAGMENT: Duration = Duration::from_secs(2);
const FRAGMENT_BYTES: usize = 64 * 1024;
const FRAGMENTS_A_CLIP: u32 = 15;
/// No camera writes faster than this, so that the load is the same on every fast disk.
const PACE: Duration = Duration::from_millis(100);
const MINUTE: Duration = Duration::from_mins(1);
const AT_MOST: Duration = Duration::from_mins(20);

type Failure = Box<dyn Error + Send + Sync>;

/// Counts what is allocated and not yet freed.
#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// By how much the store's heap may differ between the second quarter of the time and the last.
const GROWTH_MAX_PERCENT: u64 = 10;

/// Waits are counted in steps of this many microseconds, up to a second.
const WAIT_STEP_US: u128 = 250;
const WAIT_STEPS: usize = 4_000;

/// What one camera did, as it was acknowledged.
struct Log {
    clips: Vec<Clip>,
    held: Vec<ClipId>,
    fragments: u64,
    /// How many fragments waited so many steps.
    waits: Vec<u32>,
}

impl Log {
    fn new() -> Self {
        Self { clips: Vec::new(), held: Vec::new(), fragments: 0, waits: vec![0; WAIT_STEPS] }
    }

    fn note_wait(&mut self, wait: Duration) {
        let step = usize::try_from(wait.as_micros() / WAIT_STEP_US).unwrap_or(WAIT_STEPS);
        if let Some(count) = self.waits.get_mut(step.min(WAIT_STEPS - 1)) {
            *count += 1;
        }
    }
}

/// The heap that the logs of all cameras take: bytes of lists and of the cameras' names.
static LOG_BYTES: AtomicU64 = AtomicU64::new(0);

/// The heap that a log took for one more clip: what its list grew by, and the camera's name.
fn log_bytes(grown_by: usize, clip: &Clip) -> u64 {
    let name = clip.camera().as_str().len().max(24);
    u64::try_from(grown_by * size_of::<Clip>() + name).unwrap_or(0)
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
                    let mut log = Log::new();
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
            memory.push(Memory::now(begin.elapsed()));
        }
        over.store(true, Ordering::Relaxed);
        for recorder in recorders {
            recorder.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        Ok(swept?)
    })?;
    let logs = logs.into_inner().unwrap_or_else(PoisonError::into_inner);
    let lost = count_lost(&store, &logs);
    report(&store, &logs, sweeps)?;
    let flat = report_memory(&memory);
    store.close()?;
    // Once more after reopening: what was shown must not hang on this process.
    let store = options.clock(clock).open(dir.path())?;
    let lost_later = count_lost(&store, &logs);
    println!("lost: {lost}, after reopening: {lost_later}");
    if lost + lost_later > 0 { Err("clips were lost".into()) } else { flat }
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
    let mut hold = None;
    while !over.load(Ordering::Relaxed) {
        let clip = NewClip::starting(&camera, start).media(Media::FragmentedMp4);
        let mut recorder = store.record(clip.init(&b"ftyp moov"[..]))?;
        for _ in 0..FRAGMENTS_A_CLIP {
            let begin = Instant::now();
            recorder.write(fragment.clone(), FRAGMENT)?;
            log.note_wait(begin.elapsed());
            log.fragments += 1;
            thread::sleep(PACE.saturating_sub(begin.elapsed()));
            if over.load(Ordering::Relaxed) {
                break;
            }
        }
        let clip = recorder.finish()?;
        start = clip.window().end();
        if u64::try_from(log.clips.len())? % 20 == number % 20 {
            // Each camera has one hold at a time, so that what is held does not grow for ever.
            if let Some(earlier) = hold.take() {
                store.release_hold(earlier, &Release::new(ReleaseCause::Owner, "street"))?;
                log.held.clear();
            }
            let receipt = store.place_hold(NewHold::new([camera.clone()], clip.window()))?;
            hold = Some(receipt.id);
            // A sweep may have been first if it was due by then.
            if store.now() < clip.received().saturating_add(AT_MOST) {
                log.held.push(clip.id());
            }
        }
        let before = log.clips.capacity();
        log.clips.push(clip.clone());
        let own = log_bytes(log.clips.capacity() - before, &clip);
        LOG_BYTES.fetch_add(own, Ordering::Relaxed);
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

/// Memory at one moment.
struct Memory {
    after: Duration,
    /// Live bytes of the heap, without what this example itself remembers.
    heap_kib: u64,
    resident_kib: u64,
}

impl Memory {
    fn now(after: Duration) -> Self {
        let live = u64::try_from(HEAP.current_usage()).unwrap_or(u64::MAX);
        let heap_kib = live.saturating_sub(LOG_BYTES.load(Ordering::Relaxed)) >> 10;
        Self { after, heap_kib, resident_kib: resident_kib() }
    }
}

/// Memory of this process, in KiB, as the kernel counts it; 0 where it does not say.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn report(store: &Store, logs: &[Log], sweeps: u64) -> Result<(), Failure> {
    let fragments: u64 = logs.iter().map(|log| log.fragments).sum();
    let clips: usize = logs.iter().map(|log| log.clips.len()).sum();
    let mib = (fragments * u64::try_from(FRAGMENT_BYTES)?) >> 20;
    let stats = store.stats()?;
    println!("{fragments} fragments, {mib} MiB, {clips} clips, {} readable now", stats.clips);
    println!("{} holds, {} clips held, {sweeps} sweeps", store.holds().len(), stats.held_clips);
    println!("write of a fragment: p50 {:?}, p99 {:?}", wait_of(logs, 50), wait_of(logs, 99));
    println!("index: {} KiB; problems: {:?}", stats.index_bytes >> 10, store.problems());
    let window = Window::new(Timestamp::EPOCH, Timestamp::MAX)?;
    println!("first camera has {} clips", store.clips(&"street-0".parse()?, window)?.len());
    Ok(())
}

/// Tells memory by quarters of the time; after the first of them what is kept is of full age. Fails
/// when the heap of the store grew from then on.
fn report_memory(memory: &[Memory]) -> Result<(), Failure> {
    let mut medians = Vec::new();
    for quarter in memory.chunks(memory.len().div_ceil(4).max(1)) {
        let mut heap: Vec<_> = quarter.iter().map(|at| at.heap_kib).collect();
        heap.sort_unstable();
        let (Some(least), Some(most)) = (heap.first(), heap.last()) else { continue };
        let median = heap.get(heap.len() / 2).copied().unwrap_or(0);
        let end = quarter.last().map_or(Duration::ZERO, |at| at.after);
        let resident = quarter.iter().map(|at| at.resident_kib).max().unwrap_or(0);
        println!(
            "until {:3} s: heap of the store {median} KiB (median; {least} to {most}), resident at \
             most {resident} KiB",
            end.as_secs()
        );
        medians.push(median);
    }
    let [_, full, .., last] = medians[..] else { return Ok(()) };
    if last * 100 > full * (100 + GROWTH_MAX_PERCENT) {
        return Err(format!("the heap of the store grew from {full} to {last} KiB").into());
    }
    Ok(())
}

/// So many percent of all fragments waited no longer than this.
fn wait_of(logs: &[Log], percent: u64) -> Duration {
    let all: u64 = logs.iter().map(|log| log.fragments).sum();
    let mut passed = 0;
    for step in 0..WAIT_STEPS {
        let here = logs.iter().filter_map(|log| log.waits.get(step));
        passed += here.map(|count| u64::from(*count)).sum::<u64>();
        if passed * 100 >= all * percent {
            let us =
                u64::try_from(WAIT_STEP_US).unwrap_or(0) * (u64::try_from(step).unwrap_or(0) + 1);
            return Duration::from_micros(us);
        }
    }
    Duration::from_secs(1)
}
