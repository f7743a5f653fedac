//! Finding and reading: windows over what is stored, whole clips, and whether they are right.

use std::time::Duration;

use crate::Window;

use super::{Keeper, Latencies, Outcome, Stopwatch, Street};

/// Lookups of one length of window.
#[derive(Clone, Debug)]
pub struct Lookups {
    /// The window's length.
    pub window: Duration,
    /// How long each took.
    pub latencies: Latencies,
    /// How many clips they found altogether.
    pub found: u64,
}

/// How many lookups are timed together, so that the clock's own time does not count.
const BATCH: u32 = 16;

/// Looks `rounds` times 16 times for the clips of some camera in a window of `span` that lies
/// somewhere in the first `clips` of the street, and checks how many there are.
///
/// # Errors
///
/// The keeper's; when it finds other clips than were kept.
pub fn lookups(
    keeper: &mut dyn Keeper,
    street: &Street,
    clips: u64,
    span: Duration,
    rounds: u32,
) -> Outcome<Lookups> {
    let mut lookups = Lookups { window: span, latencies: Latencies::default(), found: 0 };
    for round in 0..rounds {
        let windows: Vec<(usize, Window)> = (0..BATCH)
            .map(|turn| pick(street, clips, span, u64::from(round * BATCH + turn)))
            .collect::<Outcome<_>>()?;
        let expected: u64 = windows.iter().map(|picked| count(street, clips, picked)).sum();
        let mut found = 0;
        let watch = Stopwatch::start();
        for (camera, window) in &windows {
            let camera = street.cameras().get(*camera).ok_or("no such camera")?;
            found += keeper.find(camera, *window)?.len();
        }
        lookups.latencies.record_batch(watch.elapsed(), BATCH);
        let found = u64::try_from(found)?;
        if found != expected {
            return Err(format!("{} found {found} of {expected} clips", keeper.name()).into());
        }
        lookups.found += found;
    }
    Ok(lookups)
}

/// A camera and a window that begins where a clip does.
fn pick(street: &Street, clips: u64, span: Duration, turn: u64) -> Outcome<(usize, Window)> {
    let cameras = u64::try_from(street.cameras().len())?;
    let camera = usize::try_from(street.pick(2 * turn, cameras))?;
    let room = street.span_of(clips).saturating_sub(span).as_micros();
    let step = street.clip_duration().as_micros().max(1);
    let turns = u64::try_from(room / step)?;
    let skip = u32::try_from(street.pick(2 * turn + 1, turns + 1))?;
    let start = street.begin().saturating_add(street.clip_duration().saturating_mul(skip));
    Ok((camera, Window::starting(start, span)?))
}

/// How many of a camera's clips are in a window that begins where a clip does, if the street has
/// `clips` clips.
fn count(street: &Street, clips: u64, (camera, window): &(usize, Window)) -> u64 {
    let step = street.clip_duration().as_micros().max(1);
    // In the last turn only the first cameras may have recorded.
    let before = u64::try_from(*camera).unwrap_or(u64::MAX);
    let end = window.end().min(street.end_of(clips.saturating_sub(before)));
    u64::try_from(end.since(window.start()).as_micros().div_ceil(step)).unwrap_or(u64::MAX)
}

/// Reads of whole clips.
#[derive(Clone, Debug, Default)]
pub struct Reads {
    /// How long each clip took.
    pub latencies: Latencies,
    /// How long until each clip's first bytes were there.
    pub first_byte: Latencies,
    /// Bytes of clips.
    pub bytes: u64,
    /// In all.
    pub wall: Duration,
}

impl Reads {
    /// Bytes of clips a second.
    #[must_use]
    pub fn bytes_per_second(&self) -> f64 {
        super::ratio(self.bytes, 1) / self.wall.as_secs_f64().max(1e-9)
    }

    /// Adds those of `other`.
    pub fn add(&mut self, other: &Self) {
        self.latencies.add(&other.latencies);
        self.first_byte.add(&other.first_byte);
        self.bytes += other.bytes;
        self.wall += other.wall;
    }
}

/// Reads clips `numbers` of the street, each byte of them.
///
/// # Errors
///
/// The keeper's; when a clip has another length than was kept.
pub fn reads(
    keeper: &mut dyn Keeper,
    street: &Street,
    numbers: impl IntoIterator<Item = u64>,
) -> Outcome<Reads> {
    let (mut reads, mut back) = (Reads::default(), Vec::with_capacity(street.clip_bytes()));
    for number in numbers {
        let take = street.take(number)?;
        let mut first = None;
        back.clear();
        let watch = Stopwatch::start();
        keeper.read(&take.camera, take.window.start(), &mut |piece| {
            if first.is_none() {
                first = Some(watch.elapsed());
            }
            // Whoever reads a clip does something with it: at the least it is copied somewhere.
            back.extend_from_slice(piece);
        })?;
        let took = watch.elapsed();
        let len = back.len();
        if len != take.bytes.len() {
            return Err(format!("{} read {len} bytes of clip {number}", keeper.name()).into());
        }
        reads.latencies.record(took);
        reads.first_byte.record(first.unwrap_or(took));
        reads.wall += took;
        reads.bytes += u64::try_from(len)?;
    }
    Ok(reads)
}

/// Reads `len` bytes somewhere in each of clips `numbers`, and checks them.
///
/// # Errors
///
/// The keeper's; when the bytes differ.
pub fn ranges(
    keeper: &mut dyn Keeper,
    street: &Street,
    numbers: impl IntoIterator<Item = u64>,
    len: usize,
) -> Outcome<Reads> {
    let (mut reads, mut back) = (Reads::default(), Vec::with_capacity(len));
    for number in numbers {
        let take = street.take(number)?;
        let room = take.bytes.len().saturating_sub(len);
        let from = usize::try_from(street.pick(number, u64::try_from(room)? + 1))?;
        let bytes = take.bytes.slice(from..from + len.min(take.bytes.len()));
        let range = u64::try_from(from)?..u64::try_from(from + bytes.len())?;
        let mut first = None;
        back.clear();
        let watch = Stopwatch::start();
        keeper.read_range(&take.camera, take.window.start(), range, &mut |piece| {
            if first.is_none() {
                first = Some(watch.elapsed());
            }
            back.extend_from_slice(piece);
        })?;
        let took = watch.elapsed();
        if back != bytes {
            return Err(format!("{} changed a range of clip {number}", keeper.name()).into());
        }
        reads.latencies.record(took);
        reads.first_byte.record(first.unwrap_or(took));
        reads.wall += took;
        reads.bytes += u64::try_from(back.len())?;
    }
    Ok(reads)
}

/// Checks that clips `numbers` read back byte for byte as they were kept.
///
/// # Errors
///
/// The keeper's; when a clip differs.
pub fn check(
    keeper: &mut dyn Keeper,
    street: &Street,
    numbers: impl IntoIterator<Item = u64>,
) -> Outcome<()> {
    for number in numbers {
        let take = street.take(number)?;
        let mut back = Vec::with_capacity(take.bytes.len());
        keeper.read(&take.camera, take.window.start(), &mut |piece| back.extend(piece))?;
        if back != take.bytes {
            return Err(format!("{} changed the bytes of clip {number}", keeper.name()).into());
        }
    }
    Ok(())
}
