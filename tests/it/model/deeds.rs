//! The operations of a step, done to the store and told to the reference.
//!
//! Each answers what came of it in a few words, for the transcript. Restarts are in `restart`,
//! time, policy and sweeps in
//! `upkeep`, what is done to the disk in `harm`.

use std::time::Duration;

use clipkeep::{
    Clip, ClipId, ClipState, ErrorKind, HoldCause, HoldId, HoldReceipt, NewClip, NewHold, Release,
    ReleaseCause, Timestamp, Window,
};

use super::check;
use super::footage::{INIT, footage};
use super::reference::{Clip as Expected, Fate, Hold, Span, Unanswered, Unstored, may_release};
use super::run::{Broken, Checked, HOUR, Recording, Run, camera, demand, start};
use super::step::Step;

pub(super) const MINUTE: Duration = Duration::from_mins(1);
const FRAGMENT: Duration = Duration::from_secs(2);
/// How far a camera whose clock is unsure may be off.
const UNSURE: Duration = Duration::from_mins(20);
const NOTHING: &str = "there is none";

pub(super) fn minutes(count: u16) -> Duration {
    MINUTE * u32::from(count)
}

impl Run {
    pub(crate) fn apply(&mut self, step: Step) -> Checked<String> {
        match step {
            Step::Append { camera, minutes_ago, kib, unsure } => {
                self.append(camera, minutes_ago, kib, unsure)
            }
            Step::Begin { camera, minutes_ago } => self.begin_recording(camera, minutes_ago),
            Step::Write { recording, kib } => self.write(recording, kib),
            Step::Finish { recording } => self.finish(recording),
            Step::DropRecording { recording } => Ok(self.drop_recording(recording)),
            Step::Query { camera: of, minutes_ago, minutes: long } => {
                let from = self.ago(minutes_ago);
                let window = Window::starting(from, minutes(long.max(1))).unwrap();
                self.tally.count("queries");
                check::query_equals_the_model(self, &camera(of), window)?;
                Ok(String::new())
            }
            Step::QueryBeside { clip, before } => match self.any_clip(clip) {
                Some(id) => self.query_beside(id, before),
                None => Ok(NOTHING.to_owned()),
            },
            Step::Read { clip, reading } => match self.any_clip(clip) {
                Some(id) => check::reading_is_right(self, id, reading),
                None => Ok(NOTHING.to_owned()),
            },
            Step::Lease { clip } => self.lease(clip),
            Step::EndLease { lease } => self.end_lease(lease),
            Step::Place { .. } => self.place(step),
            Step::Narrow { hold, keep_percent } => self.narrow(hold, keep_percent),
            Step::Release { hold, cause } => self.release(hold, cause),
            Step::Renew { hold, hours } => self.renew(hold, hours),
            Step::Delete { clip } => self.delete(clip, false),
            Step::Erase { clip } => self.delete(clip, true),
            Step::Tick(pause) => self.tick(pause),
            Step::Wall(wall) => Ok(self.step_wall(wall)),
            Step::ConfirmClock => self.confirm_clock(),
            Step::RemoveCamera { camera } => self.remove_camera(camera),
            Step::Retain { camera, choice, existing } => self.retain(camera, choice, existing),
            Step::Sweep => self.sweep(),
            Step::Seal => match self.store().seal() {
                Ok(()) => Ok(String::new()),
                Err(error) => self.excuse(&error, "sealing"),
            },
            Step::Reopen => self.reopen().map(|()| String::new()),
            Step::Crash(crash) => self.crash(crash).map(|()| String::new()),
            harm => self.harm(harm),
        }
    }

    fn ago(&self, minutes_ago: u16) -> Timestamp {
        self.reference.now.saturating_sub(minutes(minutes_ago))
    }

    /// A clip that was ever stored, gone ones too.
    fn any_clip(&self, number: u8) -> Option<ClipId> {
        let clips = &self.reference.clips;
        clips.keys().nth(usize::from(number) % clips.len().max(1)).copied()
    }

    /// A clip that can be read.
    pub(crate) fn listed_clip(&self, number: u8) -> Option<ClipId> {
        let listed = self.reference.clips.iter().filter(|(_, clip)| clip.is_listed());
        let ids: Vec<ClipId> = listed.map(|(id, _)| *id).collect();
        ids.get(usize::from(number) % ids.len().max(1)).copied()
    }

    fn any_hold(&self, number: u8) -> Option<HoldId> {
        let holds = &self.reference.holds;
        holds.keys().nth(usize::from(number) % holds.len().max(1)).copied()
    }

    fn new_footage(&mut self, kib: u16) -> (u32, Vec<u8>) {
        self.next_footage += 1;
        (self.next_footage, footage(self.next_footage, 1024 * usize::from(kib.max(1))))
    }

    fn query_beside(&mut self, id: ClipId, before: bool) -> Checked<String> {
        self.tally.count("queries");
        let clip = &self.reference.clips[&id];
        let (start, end) = (clip.span.start, clip.span.end);
        let hour = i64::try_from(HOUR.as_micros()).unwrap();
        let (start, end) = if before { (start - hour, start) } else { (end, end + hour) };
        let window = Window::new(Timestamp::from_micros(start), Timestamp::from_micros(end));
        check::query_equals_the_model(self, &clip.camera.clone(), window.unwrap())?;
        Ok(format!("clip {id}"))
    }

    fn append(&mut self, of: u8, ago: u16, kib: u16, unsure: bool) -> Checked<String> {
        self.tally.count("appends");
        let camera = camera(of);
        if let Some(excuse) = self.bring_back(&camera)? {
            return Ok(excuse);
        }
        let window = Window::starting(self.ago(ago.max(1)), MINUTE).unwrap();
        let (number, bytes) = self.new_footage(kib);
        let unsure = if unsure { UNSURE } else { Duration::ZERO };
        let new = NewClip::new(&camera, window).uncertainty(unsure).unwrap();
        let stored = self.store().append(new, bytes.clone());
        let span = Span::of(window);
        match stored {
            Ok(clip) => {
                self.expect(&clip, bytes, ClipState::Complete, number)?;
                self.reference.clips.get_mut(&clip.id()).unwrap().unsure = unsure;
                Ok(format!("clip {}", clip.id()))
            }
            Err(error) => {
                self.reference.unstored.push(Unstored {
                    camera,
                    start: span.start,
                    end: span.end,
                    unsure,
                    bytes,
                    footage: number,
                    whole: true,
                });
                self.excuse(&error, "append")
            }
        }
    }

    /// A new clip was acknowledged, of which `bytes` are there.
    fn expect(&mut self, clip: &Clip, bytes: Vec<u8>, state: ClipState, footage: u32) -> Checked {
        let (id, now) = (clip.id(), self.store().now());
        self.reference.now = now;
        let expected = Expected {
            camera: clip.camera().clone(),
            span: Span::of(clip.window()),
            unsure: Duration::ZERO,
            digest: *blake3::hash(&bytes).as_bytes(),
            bytes,
            unanswered: None,
            footage: vec![footage],
            state,
            begun: now,
            received: now,
            head_sealed: None,
            tail_sealed: None,
            class: clip.class(),
            fate: Fate::Kept,
            flips: Vec::new(),
        };
        let before = self.reference.clips.insert(id, expected);
        demand(before.is_none(), || format!("clip id {id} was given twice"))?;
        self.learn_class(id)
    }

    fn begin_recording(&mut self, of: u8, ago: u16) -> Checked<String> {
        const RECORDINGS_MAX: usize = 4;
        if self.recordings.len() >= RECORDINGS_MAX {
            return Ok("enough are being recorded".to_owned());
        }
        let camera = camera(of);
        if let Some(excuse) = self.bring_back(&camera)? {
            return Ok(excuse);
        }
        let new = NewClip::starting(&camera, self.ago(ago.max(10))).init(&INIT[..]);
        match self.store().record(new) {
            Ok(recorder) => {
                self.recordings.push(Recording { recorder, camera, clip: None });
                Ok(String::new())
            }
            Err(error) => self.excuse(&error, "beginning to record"),
        }
    }

    fn write(&mut self, number: u8, kib: u16) -> Checked<String> {
        if self.recordings.is_empty() {
            return Ok(NOTHING.to_owned());
        }
        self.tally.count("fragments");
        let at = usize::from(number) % self.recordings.len();
        let (footage, bytes) = self.new_footage(kib);
        let recording = &mut self.recordings[at];
        let from = recording.recorder.position();
        let written = recording.recorder.write(bytes.clone(), FRAGMENT);
        let end = from.saturating_add(FRAGMENT).as_micros();
        let (camera, before) = (recording.camera.clone(), recording.clip);
        if let Err(error) = written {
            // Of the clip that it was for, or of one that it began.
            self.recordings.remove(at);
            if let Some(id) = before {
                let clip = self.reference.clips.get_mut(&id).unwrap();
                clip.state = ClipState::Truncated;
                clip.unanswered = Some(Unanswered { bytes: bytes.clone(), end, last: false });
                clip.footage.push(footage);
            }
            self.reference.unstored.push(Unstored {
                camera,
                start: from.as_micros(),
                end,
                unsure: Duration::ZERO,
                bytes: [&INIT[..], &bytes].concat(),
                footage,
                whole: false,
            });
            return self.excuse(&error, "writing a fragment");
        }
        let id = *recording.recorder.clips().last().expect("a fragment is durable");
        recording.clip = Some(id);
        if before == Some(id) {
            self.reference.now = self.store().now();
            self.reference.wrote(id, &bytes, end, footage);
            return Ok(format!("clip {id}"));
        }
        if let Some(before) = before {
            self.reference.clips.get_mut(&before).unwrap().state = ClipState::Truncated;
        }
        let clip = self.store().clip(id);
        let clip = clip.map_err(|error| Broken(format!("I1: new clip {id} is lost: {error:?}")))?;
        self.expect(&clip, [&INIT[..], &bytes].concat(), ClipState::Recording, footage)?;
        Ok(format!("begins clip {id}"))
    }

    fn finish(&mut self, number: u8) -> Checked<String> {
        if self.recordings.is_empty() {
            return Ok(NOTHING.to_owned());
        }
        let at = usize::from(number) % self.recordings.len();
        let Recording { recorder, clip, .. } = self.recordings.remove(at);
        let finished = recorder.finish();
        let now = self.store().now();
        let Some(id) = clip else {
            let kind = finished.err().map(|error| error.kind());
            demand(kind == Some(ErrorKind::InvalidInput), || {
                format!("finishing a recording without a fragment: {kind:?}")
            })?;
            return Ok("nothing was recorded".to_owned());
        };
        self.reference.now = now;
        let expected = self.reference.clips.get_mut(&id).unwrap();
        match finished {
            Ok(_) => {
                (expected.state, expected.received) = (ClipState::Complete, now);
                self.tally.count("recordings finished");
                Ok(format!("clip {id} is complete"))
            }
            Err(error) => {
                expected.state = ClipState::Truncated;
                let end = expected.span.end;
                expected.unanswered = Some(Unanswered { bytes: Vec::new(), end, last: true });
                self.excuse(&error, "finishing a recording")
            }
        }
    }

    fn drop_recording(&mut self, number: u8) -> String {
        if self.recordings.is_empty() {
            return NOTHING.to_owned();
        }
        let at = usize::from(number) % self.recordings.len();
        let recording = self.recordings.remove(at);
        if let Some(clip) = recording.clip.and_then(|id| self.reference.clips.get_mut(&id)) {
            clip.state = ClipState::Truncated;
            self.tally.count("recordings cut off");
        }
        String::new()
    }

    fn lease(&mut self, number: u8) -> Checked<String> {
        const LEASES_MAX: usize = 3;
        let Some(id) = self.listed_clip(number) else { return Ok(NOTHING.to_owned()) };
        let clip = &self.reference.clips[&id];
        if self.leases.len() >= LEASES_MAX || !clip.flips.is_empty() {
            return Ok("not that one".to_owned());
        }
        let bytes = clip.bytes.clone();
        let reader = self.store().read(id);
        let reader = reader.map_err(|error| Broken(format!("I1: read {id}: {error:?}")))?;
        self.leases.push((id, reader, bytes));
        self.tally.count("leases");
        Ok(format!("clip {id}"))
    }

    fn end_lease(&mut self, number: u8) -> Checked<String> {
        if self.leases.is_empty() {
            return Ok(NOTHING.to_owned());
        }
        check::leases_are_kept(self)?;
        let at = usize::from(number) % self.leases.len();
        let (id, ..) = self.leases.remove(at);
        if !self.reference.clips[&id].is_listed() {
            self.tally.count("leases that outlived their clip");
        }
        Ok(format!("clip {id}"))
    }

    fn place(&mut self, step: Step) -> Checked<String> {
        let Step::Place { camera: of, cause, minutes_ago, minutes: long, key, hours } = step else {
            unreachable!("only holds are placed");
        };
        let camera = camera(of);
        // The same key names the same window, so that it can be used twice.
        let from = key.map_or(self.ago(minutes_ago), |key| {
            start().saturating_sub(HOUR).saturating_add(minutes(u16::from(key) * 10))
        });
        let window = Window::starting(from, minutes(long.max(1))).unwrap();
        let window = if key.is_some() { Window::starting(from, HOUR).unwrap() } else { window };
        let duration = HOUR * u32::from(hours);
        let mut new = NewHold::new([camera.clone()], window)
            .cause(cause)
            .reference("case 19-4471")
            .actor("Ann")
            .for_duration(duration);
        if let Some(key) = key {
            new = new.idempotency_key(format!("key {key}"));
        }
        let now = self.reference.now;
        let deadline = now.saturating_add(duration);
        let latest = if cause == HoldCause::Keep { deadline } else { now };
        let too_long = cause == HoldCause::Provisional && hours > 24;
        let is_valid = hours > 0 && !too_long && window.end() <= latest;
        let hold = Hold {
            cause,
            scope: vec![(camera, Span::of(window))],
            key,
            placed: now,
            deadline,
            end_set: now,
            renewals: 0,
            released_until: None,
            ended: false,
            asked_release: None,
            asked_scope: None,
            asked_deadline: None,
            asked_at: now,
        };
        let active = |(_, hold): &(&HoldId, &Hold)| {
            key.is_some() && hold.key == key && hold.released_until.is_none() && !hold.ended
        };
        let before = self.reference.holds.iter().find(active);
        let before = before
            .map(|(id, before)| (*id, before.cause == hold.cause && before.scope == hold.scope));
        let placed = self.store().place_hold(new);
        self.placed(hold, is_valid, before, placed)
    }

    fn placed(
        &mut self,
        hold: Hold,
        is_valid: bool,
        before: Option<(HoldId, bool)>,
        placed: clipkeep::Result<HoldReceipt>,
    ) -> Checked<String> {
        let refused = |kind: ErrorKind| placed.as_ref().is_err_and(|error| error.kind() == kind);
        if !is_valid {
            demand(refused(ErrorKind::InvalidInput), || {
                format!("a hold that is none: {placed:?}")
            })?;
            return Ok("is not one".to_owned());
        }
        if let Some((id, is_same)) = before
            && !self.is_frozen
        {
            let right = match &placed {
                Ok(receipt) => is_same && receipt.id == id && receipt.placed_before,
                Err(error) => !is_same && error.kind() == ErrorKind::Conflict,
            };
            self.tally.count("keys used twice");
            demand(right, || format!("a key that hold {id} was placed with: {placed:?}"))?;
            return Ok(format!("was hold {id}"));
        }
        match placed {
            // What is known of an unreadable ledger can still be told, and nothing is decided.
            Ok(receipt) if self.is_frozen && receipt.placed_before => {
                Ok(format!("was hold {}", receipt.id))
            }
            Err(error) if self.is_frozen && error.kind() == ErrorKind::Conflict => {
                Ok("the key was used".to_owned())
            }
            Ok(receipt) => {
                let id = receipt.id;
                demand(!self.is_frozen, || "I11: a hold on an unreadable ledger".to_owned())?;
                check::receipt_is_right(self, &hold, &receipt)?;
                self.tally.count("holds placed");
                let before = self.reference.holds.insert(id, hold);
                demand(before.is_none(), || format!("hold id {id} was given twice"))?;
                Ok(format!("hold {id} on {} clips", receipt.clips))
            }
            Err(error) => {
                self.reference.unplaced.push(hold);
                self.excuse(&error, "placing a hold")
            }
        }
    }

    fn narrow(&mut self, number: u8, keep_percent: u8) -> Checked<String> {
        let Some(id) = self.any_hold(number) else { return Ok(NOTHING.to_owned()) };
        let hold = &self.reference.holds[&id];
        let (camera, span) = hold.scope[0].clone();
        let kept = (span.end - span.start) / 100 * i64::from(keep_percent.clamp(1, 100));
        let window = Window::new(
            Timestamp::from_micros(span.start),
            Timestamp::from_micros(span.start + kept),
        );
        let window = window.unwrap();
        let scope = vec![(camera.clone(), Span::of(window))];
        let is_over = hold.ended;
        let cause = match hold.cause {
            HoldCause::Order => ReleaseCause::Ended,
            HoldCause::Keep => ReleaseCause::Owner,
            _ => ReleaseCause::Withdrawn,
        };
        let release = Release::new(cause, "Ann").second_actor("Bob");
        let narrowed = self.store().narrow_hold(id, vec![(camera, window)], &release);
        let hold = self.reference.holds.get_mut(&id).unwrap();
        match narrowed {
            Ok(_) => {
                demand(!is_over, || format!("hold {id} is over and was narrowed"))?;
                hold.scope = scope;
                self.tally.count("holds narrowed");
                Ok(format!("hold {id}"))
            }
            Err(error) if is_over && error.kind() == ErrorKind::InvalidInput => {
                Ok(format!("hold {id} is over"))
            }
            Err(error) => {
                hold.asked_scope = Some(scope);
                self.excuse(&error, "narrowing a hold")
            }
        }
    }

    fn release(&mut self, number: u8, cause: ReleaseCause) -> Checked<String> {
        let Some(id) = self.any_hold(number) else { return Ok(NOTHING.to_owned()) };
        let is_valid = may_release(self.reference.holds[&id].cause, cause);
        let release = Release::new(cause, "Ann").second_actor("Bob");
        match self.store().release_hold(id, &release) {
            Ok(_) => {
                demand(is_valid, || format!("hold {id} was released as {cause}"))?;
                self.reference.release(id, cause);
                self.tally.count("holds released");
                Ok(format!("hold {id}"))
            }
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                demand(!is_valid, || format!("hold {id} cannot be released: {error}"))?;
                Ok("is no reason".to_owned())
            }
            Err(error) => {
                let grace = super::reference::grace_of(cause);
                let until = self.reference.now.saturating_add(grace);
                let asked_at = self.reference.now;
                let hold = self.reference.holds.get_mut(&id).unwrap();
                (hold.asked_release, hold.asked_at) = (Some(until), asked_at);
                self.excuse(&error, "releasing a hold")
            }
        }
    }

    fn renew(&mut self, number: u8, hours: u16) -> Checked<String> {
        let Some(id) = self.any_hold(number) else { return Ok(NOTHING.to_owned()) };
        let now = self.reference.now;
        let deadline = now.saturating_add(HOUR * u32::from(hours));
        let renewed = self.store().renew_hold(id, HOUR * u32::from(hours), "Ann", "no answer yet");
        let hold = self.reference.holds.get_mut(&id).unwrap();
        match renewed {
            Ok(_) => {
                let once = matches!(hold.cause, HoldCause::Request);
                let never = matches!(hold.cause, HoldCause::Provisional | HoldCause::Disclosure);
                let may = hold.released_until.is_none()
                    && !hold.ended
                    && now < hold.deadline
                    && hold.deadline < deadline
                    && !never
                    && !(once && hold.renewals > 0);
                demand(may, || format!("hold {id} was renewed"))?;
                (hold.deadline, hold.renewals) = (deadline, hold.renewals + 1);
                hold.end_set = now;
                self.tally.count("holds renewed");
                Ok(format!("hold {id}"))
            }
            Err(error) if error.kind() == ErrorKind::InvalidInput => Ok("refused".to_owned()),
            Err(error) => {
                (hold.asked_deadline, hold.asked_at) = (Some(deadline), now);
                self.excuse(&error, "renewing a hold")
            }
        }
    }

    fn delete(&mut self, number: u8, and_erase: bool) -> Checked<String> {
        let Some(id) = self.any_clip(number) else { return Ok(NOTHING.to_owned()) };
        let deleted = if and_erase {
            self.store().erase_clip(id, "Ann", "denied")
        } else {
            self.store().delete_clip(id, "Ann", "a guest asked")
        };
        let clip = &self.reference.clips[&id];
        let holds = self.reference.surely_held_by(clip);
        let is_order = |id: &HoldId| self.reference.holds[id].cause == HoldCause::Order;
        let blocked = if and_erase { holds.iter().any(is_order) } else { !holds.is_empty() };
        match deleted {
            Ok(()) => {
                demand(clip.is_listed() && clip.state != ClipState::Recording, || {
                    format!("clip {id} was deleted, and is {:?}, {:?}", clip.fate, clip.state)
                })?;
                demand(!blocked, || format!("I2: clip {id} was deleted, held by {holds:?}"))?;
                demand(!self.is_frozen, || "I11: deleted on an unreadable ledger".to_owned())?;
                self.reference.delete(id);
                self.tally.count("clips deleted");
                Ok(format!("clip {id}"))
            }
            Err(error) => match error.kind() {
                ErrorKind::Held => {
                    demand(self.reference.may_be_held(clip), || {
                        format!("nothing holds clip {id}: {error}")
                    })?;
                    self.tally.count("refused deletes");
                    Ok(format!("clip {id} is held"))
                }
                ErrorKind::Expired => {
                    demand(!clip.is_listed(), || format!("I1: clip {id} is lost: {error}"))?;
                    Ok(format!("clip {id} is gone already"))
                }
                ErrorKind::InvalidInput => {
                    demand(clip.state == ClipState::Recording, || format!("{id}: {error}"))?;
                    Ok(format!("clip {id} is being recorded"))
                }
                _ => {
                    if clip.is_listed() && !blocked {
                        self.reference.clips.get_mut(&id).unwrap().fate = Fate::Asked;
                    }
                    self.excuse(&error, "deleting a clip")
                }
            },
        }
    }
}
