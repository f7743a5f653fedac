//! Cameras as they are: each sends a fragment now and then, by the clock, whether the one before is
//! durable or not.
//!
//! Latencies count from when a fragment was due and not from when its turn came, so that a store
//! which falls behind is seen to. The bare disk gets the same fragments at the same times, from one
//! writer, in turns; and where there are readers, as many of clips in files of their own.

use std::sync::Mutex;
use std::time::Duration;

use crate::{CameraId, NewClip, Timestamp};

use super::together::warm_up;
use super::{Keeper as _, Lap, Latencies, Outcome, RawKeeper, Stopwatch, StoreKeeper, Street};

/// Clips that a reader reads while a camera sends one fragment: at one a second 20 MB/s of clips of
/// 2 MB, somebody who looks for something.
const READS_A_FRAGMENT: u32 = 10;

/// How many cameras, for how long, and what happens meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paced {
    /// Cameras of the street that record.
    pub cameras: u32,
    /// The size of a fragment.
    pub fragment_bytes: usize,
    /// How often each camera sends one; each at a time of its own within that.
    pub pace: Duration,
    /// Fragments of each camera in a round.
    pub fragments: u32,
    /// In how many rounds, the store and the bare disk in turns.
    pub rounds: u32,
    /// Sweeps in a round.
    pub sweeps: u32,
    /// Clips that are due at each of them: as many as a segment has, or somewhat more.
    pub swept_clips: u64,
    /// Readers, of whom each reads ten clips while a camera sends one fragment.
    pub readers: u32,
    /// Clips that were recorded before, to be read and swept: more than all sweeps drop.
    pub filled_clips: u64,
}

/// What it was like.
#[derive(Clone, Debug, Default)]
pub struct PacedTracks {
    /// Of the store, from when each fragment was due.
    pub own: Latencies,
    /// Of one writer on the bare disk, beside as many readers as the store has; what is due at the
    /// same time shares a sync.
    pub bare: Latencies,
    /// The sweeps that dropped something, all rounds one after the other.
    pub sweeps: Vec<Lap>,
    /// The fragments of the store over the same time.
    pub laps: Vec<Lap>,
    /// Segments that the sweeps dropped.
    pub segments_dropped: u64,
    /// Bytes that the readers read.
    pub read_bytes: u64,
}

impl Paced {
    /// How long a round takes.
    fn round(&self) -> Duration {
        self.pace * self.fragments
    }

    /// Clips that all sweeps of all rounds drop.
    #[must_use]
    pub fn swept_in_all(&self) -> u64 {
        u64::from(self.rounds) * u64::from(self.sweeps) * self.swept_clips
    }

    /// When each camera sends its fragments, within the time that one of them has.
    fn phases(&self, street: &Street) -> Vec<Duration> {
        let micros = u64::try_from(self.pace.as_micros()).unwrap_or(u64::MAX);
        let phase = |camera| Duration::from_micros(street.pick(u64::from(camera), micros));
        (0..self.cameras).map(phase).collect()
    }
}

/// Records at the pace of cameras into the store, which has the clips of `plan.filled_clips`
/// already and keeps clips for `kept`, and into the bare disk.
///
/// # Errors
///
/// Theirs; when sweeps were wanted and dropped nothing.
pub fn paced(
    store: &StoreKeeper,
    raw: &mut RawKeeper,
    street: &Street,
    plan: &Paced,
    kept: Duration,
) -> Outcome<PacedTracks> {
    let mut tracks = PacedTracks::default();
    let fragments = Street::new(1, 1, plan.fragment_bytes);
    if plan.filled_clips == 0 {
        warm_up(store, street)?;
    }
    let clips = plan.filled_clips / u64::from(plan.readers.max(1));
    let mut bare_readers = (0..plan.readers)
        .map(|reader| raw.filled(&format!("reader-{reader}"), street, clips))
        .collect::<Outcome<Vec<_>>>()?;
    for round in 0..plan.rounds {
        let turn = Turn { store, street, fragments: &fragments, plan, kept, round };
        turn.own(&mut tracks)?;
        store.store()?.settle();
        turn.bare_beside(&mut bare_readers, raw, &mut tracks.bare)?;
    }
    if plan.sweeps > 0 && tracks.segments_dropped == 0 {
        return Err("sweeps were to drop segments, and dropped none".into());
    }
    tracks.laps.sort_by_key(|lap| lap.at);
    Ok(tracks)
}

/// One round.
struct Turn<'a> {
    store: &'a StoreKeeper,
    street: &'a Street,
    fragments: &'a Street,
    plan: &'a Paced,
    kept: Duration,
    round: u32,
}

impl Turn<'_> {
    /// All cameras, a thread each, and the sweeper.
    fn own(&self, tracks: &mut PacedTracks) -> Outcome<()> {
        let watch = Stopwatch::start();
        let failed = Mutex::new(None);
        let shared = Mutex::new(tracks);
        let note = |done: Outcome<()>| {
            if let Err(error) = done {
                *lock(&failed) = Some(error.to_string());
            }
        };
        std::thread::scope(|scope| {
            for (camera, phase) in self.street.cameras().iter().zip(self.plan.phases(self.street)) {
                let (shared, note) = (&shared, &note);
                scope.spawn(move || note(self.record(camera, phase, watch, shared)));
            }
            for reader in 0..self.plan.readers {
                let (shared, note) = (&shared, &note);
                scope.spawn(move || note(self.read(reader, watch, shared)));
            }
            scope.spawn(|| note(self.sweep(watch, &shared)));
        });
        match lock(&failed).take() {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    /// What one camera does: a clip a round.
    fn record(
        &self,
        camera: &CameraId,
        phase: Duration,
        watch: Stopwatch,
        shared: &Mutex<&mut PacedTracks>,
    ) -> Outcome<()> {
        let (mut latencies, mut laps) = (Latencies::default(), Vec::new());
        let mut recorder = None;
        for turn in 0..self.plan.fragments {
            let bytes = self.fragments.take(u64::from(turn))?.bytes;
            let due = self.plan.pace * turn + phase;
            wait_until(watch, due);
            let recorder = match &mut recorder {
                Some(recorder) => recorder,
                none => {
                    let new = NewClip::starting(camera, self.start());
                    none.insert(self.store.store()?.record(new)?)
                }
            };
            recorder.write(bytes, self.plan.pace)?;
            let took = watch.elapsed().saturating_sub(due);
            latencies.record(took);
            laps.push(Lap { at: self.since() + due, took });
        }
        if let Some(recorder) = recorder {
            recorder.finish()?;
        }
        let mut tracks = lock(shared);
        tracks.own.add(&latencies);
        tracks.laps.extend(laps);
        Ok(())
    }

    /// What one reader does. What is read was not swept: sweeps go on from the oldest.
    fn read(&self, reader: u32, watch: Stopwatch, shared: &Mutex<&mut PacedTracks>) -> Outcome<()> {
        let mut read_bytes = 0;
        for turn in 0..self.plan.fragments * READS_A_FRAGMENT {
            wait_until(watch, self.plan.pace / READS_A_FRAGMENT * turn);
            let swept = self.plan.swept_in_all();
            let turn = u64::from(turn * self.plan.readers + reader);
            let number = swept + self.street.pick(turn, self.plan.filled_clips - swept);
            let take = self.street.take(number)?;
            self.store.read_of(&take.camera, take.window.start(), None, &mut |piece| {
                read_bytes += piece.len();
            })?;
        }
        lock(shared).read_bytes += u64::try_from(read_bytes)?;
        Ok(())
    }

    /// Lets a segment become due and sweeps it, as often as the plan says.
    fn sweep(&self, watch: Stopwatch, shared: &Mutex<&mut PacedTracks>) -> Outcome<()> {
        let sweeps = self.plan.sweeps;
        for sweep in 0..sweeps {
            // In the middle, so that the last one is over before the fragments are.
            wait_until(watch, self.plan.round() / (2 * sweeps) * (2 * sweep + 1));
            let due = u64::from(self.round * sweeps + sweep + 1) * self.plan.swept_clips;
            self.store.turn_to(self.street.end_of(due).saturating_add(self.kept));
            let at = watch.elapsed();
            let dropped = self.store.sweep()?.segments_dropped;
            let took = watch.elapsed().saturating_sub(at);
            let mut tracks = lock(shared);
            tracks.segments_dropped += dropped;
            if dropped > 0 {
                tracks.sweeps.push(Lap { at: self.since() + at, took });
            }
        }
        Ok(())
    }

    /// The bare disk, with the readers beside the one who writes.
    fn bare_beside(
        &self,
        readers: &mut [RawKeeper],
        raw: &mut RawKeeper,
        latencies: &mut Latencies,
    ) -> Outcome<()> {
        let watch = Stopwatch::start();
        std::thread::scope(|scope| {
            let reading: Vec<_> = readers
                .iter_mut()
                .map(|raw| scope.spawn(move || self.read_bare(raw, watch)))
                .collect();
            let written = self.bare(raw, watch, latencies);
            for reader in reading {
                reader.join().map_err(|_panic| "a reader of the bare disk panicked")??;
            }
            written
        })
    }

    /// What one reader of the bare disk does: as [`Turn::read`], of the clips in its file.
    fn read_bare(&self, raw: &mut RawKeeper, watch: Stopwatch) -> Outcome<()> {
        let clips = self.plan.filled_clips / u64::from(self.plan.readers.max(1));
        for turn in 0..self.plan.fragments * READS_A_FRAGMENT {
            wait_until(watch, self.plan.pace / READS_A_FRAGMENT * turn);
            let take = self.street.take(self.street.pick(u64::from(turn), clips))?;
            raw.read(&take.camera, take.window.start(), &mut |_| ())?;
        }
        Ok(())
    }

    /// One writer to which all cameras send: what is due is written with one sync.
    fn bare(
        &self,
        raw: &mut RawKeeper,
        watch: Stopwatch,
        latencies: &mut Latencies,
    ) -> Outcome<()> {
        let phases = self.plan.phases(self.street);
        let turns = (0..self.plan.fragments).map(|turn| self.plan.pace * turn);
        let mut due: Vec<Duration> =
            turns.flat_map(|turn| phases.iter().map(move |phase| turn + *phase)).collect();
        due.sort_unstable();
        let mut number = u64::from(self.round) * u64::try_from(due.len())?;
        let mut rest = &due[..];
        while let Some(first) = rest.first() {
            wait_until(watch, *first);
            let now = watch.elapsed();
            let group = rest.partition_point(|due| *due <= now).max(1);
            let (these, later) = rest.split_at(group);
            let takes = self.fragments.takes(number, u64::try_from(group)?)?;
            raw.keep(&takes)?;
            let done = watch.elapsed();
            for due in these {
                latencies.record(done.saturating_sub(*due));
            }
            number += u64::try_from(group)?;
            rest = later;
        }
        Ok(())
    }

    /// When this round begins, where rounds of the store follow one another.
    fn since(&self) -> Duration {
        self.plan.round() * self.round
    }

    /// The start of this round's clips: behind all that was there before.
    fn start(&self) -> Timestamp {
        self.street.end_of(self.plan.filled_clips).saturating_add(self.since())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A camera sends by the clock: there is no condition to wait for.
fn wait_until(watch: Stopwatch, due: Duration) {
    loop {
        let wait = due.saturating_sub(watch.elapsed());
        if wait.is_zero() {
            return;
        }
        // Whoever unparks this thread meanwhile meant something else.
        std::thread::park_timeout(wait);
    }
}
