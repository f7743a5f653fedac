//! One history, lived by a store on a simulated disk and by the reference, side by side.
//!
//! Owns both and what connects them: what the process has open, what was done to disk and clock,
//! and the transcript. The operations are in `deeds`, the restarts in `restart`, the judgement in
//! `check`.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use clipkeep::vfs::Vfs;
use clipkeep::vfs::sim::SimVfs;
use clipkeep::{
    CameraId, Clip, ClipId, ClipReader, ClipState, Error, ErrorKind, HoldId, HoldState,
    ManualClock, Recorder, Retention, Store, StoreOptions, Timestamp, Window,
};

use super::check;
use super::reference::{Clip as Expected, Fate, Flaw, Pressure, Reference, Span};
use super::step::{CAMERAS, Crash, House, Step};
use super::tally::Tally;
use crate::plug::Plug;

pub(crate) const HOUR: Duration = Duration::from_hours(1);
pub(crate) const SEGMENT_BYTES: u64 = 4 << 20;
pub(crate) const SEGMENT_AGE: Duration = Duration::from_mins(10);
/// A disk that nobody has filled.
pub(crate) const ROOMY: u64 = 1 << 40;
const START_US: i64 = 1_700_000_000_000_000;

/// What a store did that it must not, and which invariant says so.
#[derive(Debug)]
pub(crate) struct Broken(pub(crate) String);

pub(crate) type Checked<T = ()> = Result<T, Broken>;

/// Fails with a sentence unless `is_so`.
pub(crate) fn demand(is_so: bool, sentence: impl FnOnce() -> String) -> Checked {
    if is_so { Ok(()) } else { Err(Broken(sentence())) }
}

/// A history that a store did not live as it should.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) broken: String,
    transcript: Vec<String>,
    house: House,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n  in a store with {}:", self.broken, self.house)?;
        for (number, line) in self.transcript.iter().enumerate() {
            writeln!(f, "  {:>3}. {line}", number + 1)?;
        }
        Ok(())
    }
}

/// A recorder and what the model knows of it.
pub(crate) struct Recording {
    pub(crate) recorder: Recorder,
    pub(crate) camera: CameraId,
    pub(crate) clip: Option<ClipId>,
}

pub(crate) struct Run {
    pub(crate) house: House,
    pub(crate) disk: SimVfs,
    pub(crate) plug: Plug,
    pub(crate) clock: ManualClock,
    pub(crate) store: Option<Store>,
    pub(crate) reference: Reference,
    pub(crate) recordings: Vec<Recording>,
    /// Readers that are kept, each with the bytes it must go on giving.
    pub(crate) leases: Vec<(ClipId, ClipReader, Vec<u8>)>,
    pub(crate) tally: Tally,
    pub(crate) transcript: Vec<String>,
    /// What the wall clock would show if nobody had touched it.
    pub(crate) right_time: Timestamp,
    pub(crate) wall_stands: Option<Timestamp>,
    pub(crate) capacity: u64,
    /// Faults were ordered since the last opening, so that calls may fail.
    pub(crate) is_troubled: bool,
    pub(crate) armed: Option<Crash>,
    /// Both copies of the ledger are damaged.
    pub(crate) is_frozen: bool,
    pub(crate) is_damaged: bool,
    pub(crate) flipped_files: BTreeSet<String>,
    /// Cameras that are removed, or may be.
    pub(crate) away: BTreeSet<CameraId>,
    pub(crate) next_footage: u32,
}

pub(crate) fn start() -> Timestamp {
    Timestamp::from_micros(START_US)
}

pub(crate) fn camera(number: u8) -> CameraId {
    CAMERAS[usize::from(number) % CAMERAS.len()].parse().unwrap()
}

pub(crate) fn base_retention() -> Retention {
    Retention::new(HOUR, 2 * HOUR).unwrap()
}

/// Lives `steps` and says what went wrong, if anything did, and what happened.
pub(crate) fn live(
    house: House,
    steps: &[Step],
    flaw: Option<Flaw>,
) -> (Result<(), Failure>, Tally) {
    let mut run = Run::new(house, flaw);
    let outcome = run.begin().and_then(|()| {
        steps.iter().try_for_each(|step| run.live(*step))?;
        run.end()
    });
    let failure = |Broken(broken)| Failure { broken, transcript: run.transcript.clone(), house };
    (outcome.map_err(failure), run.tally)
}

impl Run {
    fn new(house: House, flaw: Option<Flaw>) -> Self {
        let disk = SimVfs::new(house.disk_seed);
        Self {
            house,
            plug: Plug::new(&disk, u64::MAX),
            disk,
            clock: ManualClock::at(start()),
            store: None,
            reference: Reference::new(start(), base_retention(), flaw),
            recordings: Vec::new(),
            leases: Vec::new(),
            tally: Tally::default(),
            transcript: Vec::new(),
            right_time: start(),
            wall_stands: None,
            capacity: ROOMY,
            is_troubled: false,
            armed: None,
            is_frozen: false,
            is_damaged: false,
            flipped_files: BTreeSet::new(),
            away: BTreeSet::new(),
            next_footage: 0,
        }
    }

    pub(crate) fn options(&self) -> StoreOptions {
        let options = Store::options()
            .vfs(self.plug.clone())
            .clock(self.clock.clone())
            .retention(base_retention())
            .segment_bytes(SEGMENT_BYTES)
            .segment_age(SEGMENT_AGE)
            .evidence_reserve(if self.house.reserve { SEGMENT_BYTES } else { 0 })
            .free_space_floor(0)
            .sweep_share(100)
            .when_full(self.house.when_full);
        match self.house.quota {
            Some(segments) => options.quota(u64::from(segments) * SEGMENT_BYTES),
            None => options,
        }
    }

    pub(crate) fn store(&self) -> &Store {
        self.store.as_ref().expect("it is open between steps")
    }

    fn begin(&mut self) -> Checked {
        self.reference.now_max = start().saturating_add(HOUR);
        let opened = self.options().open("model");
        self.store = Some(opened.map_err(|error| Broken(format!("a new store: {error:?}")))?);
        for number in 0..CAMERAS.len() {
            let camera = camera(u8::try_from(number).unwrap());
            self.store().add_camera(&camera).map_err(|error| Broken(format!("{error:?}")))?;
        }
        self.look()
    }

    fn live(&mut self, step: Step) -> Checked {
        self.tally.count("steps");
        self.transcript.push(step.to_string());
        let outcome = self.apply(step)?;
        if let Some(line) = self.transcript.last_mut()
            && !outcome.is_empty()
        {
            line.push_str(" -> ");
            line.push_str(&outcome);
        }
        if self.plug.is_out() {
            let crash = self.armed.expect("a plug is only out when it was to be pulled");
            self.tally.count("cut off inside a call");
            self.note("the plug is out");
            return self.crash(crash);
        }
        self.look()
    }

    /// Everything is checked once more, by another process.
    fn end(&mut self) -> Checked {
        self.transcript.push("the end".to_owned());
        self.reopen()?;
        check::acknowledged_is_readable(self)?;
        check::whole_store_verifies(self)
    }

    pub(crate) fn note(&mut self, what: &str) {
        if let Some(line) = self.transcript.last_mut() {
            line.push_str("; ");
            line.push_str(what);
        }
    }

    /// Lets time pass on all clocks.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.clock.advance(time);
        self.right_time = self.right_time.saturating_add(time);
        self.reference.now_max = self.reference.now_max.saturating_add(2 * time);
        if let Some(wall) = self.wall_stands {
            self.clock.step_wall(wall);
        }
    }

    pub(crate) fn pressure(&self) -> Pressure {
        let room_wanted = self.house.quota.is_some() || self.capacity != ROOMY;
        Pressure { room_wanted, when_full: self.house.when_full }
    }

    pub(crate) fn used(&self) -> u64 {
        self.capacity.saturating_sub(self.disk.space().map_or(0, |space| space.free))
    }

    /// Whether a call may fail with `error` now, for no fault of the store.
    pub(crate) fn may_fail(&self, error: &Error) -> bool {
        match error.kind() {
            ErrorKind::Io | ErrorKind::Poisoned => self.is_troubled,
            ErrorKind::Full => self.is_troubled || self.pressure().room_wanted,
            // Holds that nobody can read any more are refused too, and so is what needs them.
            ErrorKind::Corrupt | ErrorKind::NotFound => self.is_frozen,
            _ => false,
        }
    }

    /// Accepts an error that had to be expected.
    pub(crate) fn excuse(&mut self, error: &Error, what: &str) -> Checked<String> {
        demand(self.may_fail(error), || format!("{what} failed for no reason: {error:?}"))?;
        if error.kind() == ErrorKind::Full {
            self.tally.count("refused for want of room");
        } else if self.is_frozen {
            self.tally.count("refused while the ledger is unreadable");
        } else {
            self.tally.count("calls that failed");
        }
        Ok(format!("{:?}", error.kind()))
    }

    /// Looks at everything that may have changed, takes over what may be so, and checks the rest.
    pub(crate) fn look(&mut self) -> Checked {
        check::time_goes_forward(self)?;
        check::jumps_are_on_record(self)?;
        self.look_at_holds()?;
        self.look_at_clips()?;
        self.adopt_strangers()?;
        check::every_query_equals_the_model(self)?;
        check::gone_is_unreadable(self)?;
        check::policies_are_kept(self)?;
        check::quota_is_kept(self)
    }

    fn look_at_holds(&mut self) -> Checked {
        if self.is_frozen {
            return Ok(());
        }
        let now = self.reference.now;
        let ids: Vec<HoldId> = self.reference.holds.keys().copied().collect();
        for id in ids {
            let found = self.store().hold(id);
            let found = found.map_err(|error| Broken(format!("I2: hold {id} is lost: {error}")))?;
            let hold = self.reference.holds.get_mut(&id).unwrap();
            let forgets = self.reference.flaw == Some(Flaw::ForgetsReleases);
            match found.state() {
                HoldState::Active => demand(hold.released_until.is_none() || forgets, || {
                    format!("hold {id} was released and is active")
                })?,
                HoldState::Grace { until } if hold.released_until.is_none() => {
                    demand(now >= hold.deadline && until >= hold.sure_until(), || {
                        format!("I2: hold {id} lapsed before its time")
                    })?;
                    self.tally.count("holds that lapsed");
                    hold.released_until = Some(until);
                    hold.end_set = until.saturating_sub(hold.lapse_grace());
                }
                HoldState::Grace { until } => {
                    let known = hold.released_until;
                    let in_doubt = hold.asked_release.is_some();
                    demand(known == Some(until) || in_doubt, || {
                        format!("I2: hold {id} protects until {until}, not {known:?}")
                    })?;
                }
                HoldState::Ended if !hold.ended => {
                    demand(now >= hold.sure_until(), || {
                        format!("I2: hold {id} ended before {}", hold.sure_until())
                    })?;
                    hold.ended = true;
                }
                HoldState::Ended => {}
            }
        }
        Ok(())
    }

    fn look_at_clips(&mut self) -> Checked {
        let listed = self.reference.clips.iter().filter(|(_, clip)| clip.is_listed());
        let ids: Vec<ClipId> = listed.map(|(id, _)| *id).collect();
        for id in ids {
            match self.store().clip(id) {
                Ok(found) => {
                    self.settle(&found);
                    check::clip_is_what_was_stored(self, &found)?;
                }
                Err(error) => self.note_gone(id, &error)?,
            }
        }
        Ok(())
    }

    /// Judges that a clip cannot be found any more.
    fn note_gone(&mut self, id: ClipId, error: &Error) -> Checked {
        demand(error.kind() == ErrorKind::Expired, || {
            format!("I1: acknowledged clip {id} is lost: {error:?}")
        })?;
        check::may_be_gone(self, id)?;
        let (pressure, reference) = (self.pressure(), &mut self.reference);
        let clip = reference.clips[&id].clone();
        let deleted = clip.fate == Fate::Asked;
        if !deleted && pressure.room_wanted && reference.is_early(&clip) {
            reference.early.insert(id);
            self.tally.count("early evictions");
        } else if !deleted {
            self.tally.count("clips expired");
        }
        reference.clips.get_mut(&id).unwrap().fate = Fate::Gone { deleted };
        self.note(&format!("clip {id} is gone"));
        Ok(())
    }

    /// What was not answered is settled by what is there, if that is one of the possible outcomes;
    /// `check` says whether it is.
    fn settle(&mut self, found: &Clip) {
        let clip = self.reference.clips.get_mut(&found.id()).unwrap();
        let Some(unanswered) = clip.unanswered.clone() else { return };
        let len = usize::try_from(found.len()).unwrap();
        let more = len.saturating_sub(clip.bytes.len()).min(unanswered.bytes.len());
        clip.bytes.extend_from_slice(&unanswered.bytes[..more]);
        clip.digest = *blake3::hash(&clip.bytes).as_bytes();
        let end = found.window().end().as_micros();
        if end <= unanswered.end {
            clip.span.end = end.max(clip.span.end);
        }
        clip.received = clip.received.max(found.received());
        if unanswered.last && found.state() == ClipState::Complete {
            clip.state = ClipState::Complete;
        }
        clip.unanswered = Some(super::reference::Unanswered {
            bytes: unanswered.bytes[more..].to_vec(),
            ..unanswered
        });
    }

    /// Takes over clips that nobody was told of, if they are of what was sent and not answered.
    fn adopt_strangers(&mut self) -> Checked {
        for number in 0..CAMERAS.len() {
            let camera = camera(u8::try_from(number).unwrap());
            let found = self.list(&camera, check::always())?;
            for clip in found {
                if !self.reference.clips.contains_key(&clip.id()) {
                    self.adopt(&clip)?;
                }
            }
        }
        Ok(())
    }

    fn adopt(&mut self, found: &Clip) -> Checked {
        let id = found.id();
        let bytes = self.store().read_copied(id).and_then(|reader| reader.to_vec());
        let bytes = bytes.map_err(|error| Broken(format!("unknown clip {id}: {error:?}")))?;
        let fits = |sent: &super::reference::Unstored| {
            sent.camera == *found.camera()
                && sent.start == found.window().start().as_micros()
                && found.window().end().as_micros() <= sent.end
                && sent.bytes.starts_with(&bytes)
                && (found.state() != ClipState::Complete
                    || (sent.whole && sent.bytes.len() == bytes.len()))
        };
        let at = self.reference.unstored.iter().position(fits);
        let at = at.ok_or_else(|| Broken(format!("clip {id} is of nothing that was sent")))?;
        let sent = self.reference.unstored.remove(at);
        self.tally.count("unanswered clips that were there");
        self.note(&format!("clip {id} of {} bytes is there", bytes.len()));
        self.reference.clips.insert(
            id,
            Expected {
                camera: sent.camera,
                span: Span::of(found.window()),
                unsure: sent.unsure,
                digest: *blake3::hash(&bytes).as_bytes(),
                bytes,
                unanswered: None,
                footage: vec![sent.footage],
                state: found.state(),
                begun: found.received(),
                received: found.received(),
                head_sealed: None,
                tail_sealed: None,
                class: found.class(),
                fate: Fate::Kept,
                flips: Vec::new(),
            },
        );
        self.learn_class(id)
    }

    /// The retention of a clip's class is that of its camera when it was recorded.
    pub(crate) fn learn_class(&mut self, id: ClipId) -> Checked {
        let reference = &mut self.reference;
        let clip = &reference.clips[&id];
        let retention = reference.retention_of(&clip.camera);
        let known = *reference.classes.entry(clip.class).or_insert(retention);
        let in_doubt = self.is_frozen || !reference.asked_policies.is_empty();
        demand(known == retention || in_doubt, || {
            format!("clip {id} went to a class of {known}, its camera's is {retention}")
        })
    }

    /// The clips of `camera` in `window`.
    pub(crate) fn list(&self, camera: &CameraId, window: Window) -> Checked<Vec<Clip>> {
        let found = self.store().clips(camera, window);
        found
            .map(Iterator::collect)
            .map_err(|error| Broken(format!("I5: {camera} cannot be listed: {error:?}")))
    }
}
