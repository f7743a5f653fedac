//! What a store should be: an ordered map of clips, a set of holds, a clock that only goes forward.
//!
//! Pure: it is told what was asked, what was answered and what time it is, and says what may, must
//! and must not be. It knows nothing of segments, files or ledgers, so where the promise leaves the
//! engine a choice (which clip goes first when room is wanted), it says "may" and then takes over
//! what is seen. What was asked and never answered is in doubt: both outcomes are right until
//! somebody has looked.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clipkeep::{
    CameraId, CatchUp, ClassId, ClipId, ClipState, HoldCause, HoldId, ReleaseCause, Retention,
    Timestamp, WhenFull,
};

use super::footage::INIT;

const HOUR: Duration = Duration::from_hours(1);

/// A half-open window in microseconds: the model compares times by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) start: i64,
    pub(crate) end: i64,
}

impl Span {
    pub(crate) fn of(window: clipkeep::Window) -> Self {
        Self { start: window.start().as_micros(), end: window.end().as_micros() }
    }

    pub(crate) fn meets(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    fn widened(self, by: Duration) -> Self {
        let by = i64::try_from(by.as_micros()).unwrap();
        Self { start: self.start.saturating_sub(by), end: self.end.saturating_add(by) }
    }
}

/// One deliberate mistake in the reference: whoever compares a store with it must notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    ForgetsHolds,
    ForgetsGrace,
    ForgetsReleases,
    ForgetsDeletes,
    ForgetsPolicies,
    ForgetsUncertainty,
    ClosedWindows,
    ExpiresAnHourLate,
    ForgetsLastFragment,
    ForgetsExpiries,
    ForgetsLags,
}

/// What became of a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Kept,
    /// Its deletion was asked for and not answered.
    Asked,
    /// It expired, or its owner deleted it.
    Gone {
        deleted: bool,
    },
}

/// What was sent after the acknowledged part of a clip, and was not answered.
#[derive(Clone, Debug)]
pub(crate) struct Unanswered {
    pub(crate) bytes: Vec<u8>,
    pub(crate) end: i64,
    /// Whether its end was sent too.
    pub(crate) last: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Clip {
    pub(crate) camera: CameraId,
    pub(crate) span: Span,
    pub(crate) unsure: Duration,
    /// What was acknowledged.
    pub(crate) bytes: Vec<u8>,
    pub(crate) unanswered: Option<Unanswered>,
    /// The footage in it, by number: what a search of the disk looks for.
    pub(crate) footage: Vec<u32>,
    pub(crate) state: ClipState,
    /// When its first and its newest bytes arrived.
    pub(crate) begun: Timestamp,
    pub(crate) received: Timestamp,
    /// When a sweep must have sealed the segments of its first and of its newest bytes.
    pub(crate) head_sealed: Option<Timestamp>,
    pub(crate) tail_sealed: Option<Timestamp>,
    pub(crate) class: ClassId,
    pub(crate) digest: [u8; 32],
    pub(crate) fate: Fate,
    /// The bytes at which bits were flipped on disk.
    pub(crate) flips: Vec<u64>,
}

impl Clip {
    pub(crate) fn is_listed(&self) -> bool {
        matches!(self.fate, Fate::Kept | Fate::Asked)
    }

    /// Everything it may cover, its camera's clock being what it is.
    pub(crate) fn possible(&self) -> Span {
        self.span.widened(self.unsure)
    }
}

/// A clip that was sent and not acknowledged: nothing, a part of it or all of it may be there.
#[derive(Clone, Debug)]
pub(crate) struct Unstored {
    pub(crate) camera: CameraId,
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) unsure: Duration,
    pub(crate) bytes: Vec<u8>,
    pub(crate) footage: u32,
    /// Whether all of it makes a complete clip.
    pub(crate) whole: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hold {
    pub(crate) cause: HoldCause,
    pub(crate) scope: Vec<(CameraId, Span)>,
    pub(crate) key: Option<u8>,
    pub(crate) placed: Timestamp,
    pub(crate) deadline: Timestamp,
    pub(crate) renewals: u32,
    /// When the end that it has was set.
    pub(crate) end_set: Timestamp,
    /// Until when it protects, once it was released.
    pub(crate) released_until: Option<Timestamp>,
    /// The end of its protection was seen.
    pub(crate) ended: bool,
    /// A release, a narrower scope or a later deadline that was asked for and not answered.
    pub(crate) asked_release: Option<Timestamp>,
    pub(crate) asked_scope: Option<Vec<(CameraId, Span)>>,
    pub(crate) asked_deadline: Option<Timestamp>,
    /// When the last of these was asked for.
    pub(crate) asked_at: Timestamp,
}

impl Hold {
    /// How long a hold of this cause protects after nobody answered.
    pub(crate) fn lapse_grace(&self) -> Duration {
        if self.cause == HoldCause::Request { 72 * HOUR } else { Duration::ZERO }
    }

    /// Until when it protects at the very least.
    pub(crate) fn sure_until(&self) -> Timestamp {
        if self.ended {
            return Timestamp::MIN;
        }
        let by_itself =
            self.released_until.unwrap_or_else(|| self.deadline.saturating_add(self.lapse_grace()));
        self.asked_release.map_or(by_itself, |until| until.min(by_itself))
    }
}

/// Whether a hold on `scope` covers `clip`.
fn covers(scope: &[(CameraId, Span)], clip: &Clip, flaw: Option<Flaw>) -> bool {
    let span = match flaw {
        Some(Flaw::ForgetsUncertainty) => clip.span,
        _ => clip.possible(),
    };
    scope.iter().any(|(camera, held)| *camera == clip.camera && held.meets(span))
}

/// The grace of a release, as HOLDS says it.
pub(crate) fn grace_of(cause: ReleaseCause) -> Duration {
    match cause {
        ReleaseCause::Denied => 24 * HOUR,
        ReleaseCause::Withdrawn => 72 * HOUR,
        _ => Duration::ZERO,
    }
}

/// Whether `release` is a reason to give up a hold for `cause`.
pub(crate) fn may_release(cause: HoldCause, release: ReleaseCause) -> bool {
    use ReleaseCause::{Ended, Owner, Rejected};
    match cause {
        HoldCause::Order => release == Ended,
        HoldCause::Keep => release == Owner,
        HoldCause::Provisional => true,
        _ => !matches!(release, Rejected | Ended),
    }
}

/// A change of retention that was asked for and not answered.
#[derive(Clone, Debug)]
pub(crate) struct AskedPolicy {
    pub(crate) camera: Option<CameraId>,
    pub(crate) retention: Retention,
    /// The class whose clips it is for, if it is for existing ones.
    pub(crate) class: Option<ClassId>,
}

/// Whether clips may have to go for want of room, and then which.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pressure {
    pub(crate) room_wanted: bool,
    pub(crate) when_full: WhenFull,
}

#[derive(Clone, Debug)]
pub(crate) struct Reference {
    pub(crate) flaw: Option<Flaw>,
    /// Trusted time, as last heard.
    pub(crate) now: Timestamp,
    /// What trusted time cannot have got beyond, whatever the wall clock showed.
    pub(crate) now_max: Timestamp,
    /// The jumps of trusted time that are on record.
    pub(crate) jumps: Vec<CatchUp>,
    /// Since when the wall clock was seen not to agree, if it does not.
    pub(crate) doubted_since: Option<Timestamp>,
    pub(crate) default_retention: Retention,
    pub(crate) retentions: BTreeMap<CameraId, Retention>,
    /// The retention of the classes that clips were seen in.
    pub(crate) classes: BTreeMap<ClassId, Retention>,
    pub(crate) clips: BTreeMap<ClipId, Clip>,
    pub(crate) unstored: Vec<Unstored>,
    pub(crate) holds: BTreeMap<HoldId, Hold>,
    pub(crate) unplaced: Vec<Hold>,
    pub(crate) asked_policies: Vec<AskedPolicy>,
    /// Clips that went before they were kept as long as promised.
    pub(crate) early: BTreeSet<ClipId>,
}

impl Reference {
    pub(crate) fn new(now: Timestamp, retention: Retention, flaw: Option<Flaw>) -> Self {
        Self {
            flaw,
            now,
            now_max: now,
            jumps: Vec::new(),
            doubted_since: None,
            default_retention: retention,
            retentions: BTreeMap::new(),
            classes: BTreeMap::new(),
            clips: BTreeMap::new(),
            unstored: Vec::new(),
            holds: BTreeMap::new(),
            unplaced: Vec::new(),
            asked_policies: Vec::new(),
            early: BTreeSet::new(),
        }
    }

    /// Trusted time jumped, and who was promised anything meanwhile gets as much more.
    pub(crate) fn jumped(&mut self, jump: CatchUp) {
        self.jumps.push(jump);
        if self.flaw == Some(Flaw::ForgetsLags) {
            return;
        }
        for hold in self.holds.values_mut().chain(&mut self.unplaced) {
            if jump.covers(hold.asked_at)
                && let Some(deadline) = &mut hold.asked_deadline
            {
                *deadline = deadline.saturating_add(jump.by);
            }
            if jump.covers(hold.end_set) {
                hold.end_set = hold.end_set.saturating_add(jump.by);
                match &mut hold.released_until {
                    Some(until) => *until = until.saturating_add(jump.by),
                    None => hold.deadline = hold.deadline.saturating_add(jump.by),
                }
            }
        }
    }

    /// When that came which is stamped `received`, by the trusted time of today.
    pub(crate) fn came(&self, received: Timestamp) -> Timestamp {
        let mut came = received;
        for jump in self.jumps.iter().filter(|_| self.flaw != Some(Flaw::ForgetsLags)) {
            if jump.since <= came && came < jump.trusted {
                came = came.saturating_add(jump.by);
            }
        }
        came
    }

    /// The retention that new clips of `camera` get.
    pub(crate) fn retention_of(&self, camera: &CameraId) -> Retention {
        self.retentions.get(camera).copied().unwrap_or(self.default_retention)
    }

    /// The shortest retention that `clip` may have, a policy in doubt being what it may be.
    fn shortest_retention(&self, clip: &Clip) -> (Duration, Duration) {
        let own = self.classes.get(&clip.class).copied().unwrap_or(self.default_retention);
        let asked = self.asked_policies.iter().filter(|asked| asked.class == Some(clip.class));
        let (mut least, mut most) = (own.at_least(), own.at_most());
        for asked in asked {
            least = least.min(asked.retention.at_least());
            most = most.min(asked.retention.at_most());
        }
        (least, most)
    }

    /// The longest time that `clip` may be kept for its own sake.
    fn longest_retention(&self, clip: &Clip) -> Duration {
        let own = self.classes.get(&clip.class).copied().unwrap_or(self.default_retention);
        let asked = self.asked_policies.iter().filter(|asked| asked.class == Some(clip.class));
        asked.map(|asked| asked.retention.at_most()).fold(own.at_most(), Duration::max)
    }

    /// The holds that protect `clip` for certain now.
    pub(crate) fn surely_held_by(&self, clip: &Clip) -> Vec<HoldId> {
        if self.flaw == Some(Flaw::ForgetsHolds) {
            return Vec::new();
        }
        let sure = self.holds.iter().filter(|(_, hold)| {
            let scope = hold.asked_scope.as_ref().unwrap_or(&hold.scope);
            self.now < hold.sure_until() && covers(scope, clip, self.flaw)
        });
        sure.map(|(id, _)| *id).collect()
    }

    /// Whether a hold may protect `clip`: one whose end nobody saw, or that may have been placed.
    pub(crate) fn may_be_held(&self, clip: &Clip) -> bool {
        if self.flaw == Some(Flaw::ForgetsHolds) {
            return false;
        }
        let placed = self.holds.values().filter(|hold| !hold.ended);
        let mut all = placed.chain(&self.unplaced);
        all.any(|hold| covers(&hold.scope, clip, self.flaw))
    }

    /// Why `clip`, which cannot be found any more, should still be there; `None` if it may be gone.
    pub(crate) fn should_be_there(&self, clip: &Clip, pressure: Pressure) -> Option<String> {
        if clip.fate == Fate::Asked {
            return None;
        }
        let holds = self.surely_held_by(clip);
        if !holds.is_empty() {
            let ids: Vec<String> = holds.iter().map(ToString::to_string).collect();
            return Some(format!("I2: it is held by {}", ids.join(", ")));
        }
        let (least, mut most) = self.shortest_retention(clip);
        if self.flaw == Some(Flaw::ExpiresAnHourLate) {
            most += HOUR;
        }
        if self.flaw == Some(Flaw::ForgetsExpiries) {
            most = Duration::MAX;
        }
        let came = self.came(clip.received);
        if came.saturating_add(most) <= self.now {
            return None;
        }
        if !pressure.room_wanted {
            return Some(format!("I3: it is kept until {}", came.saturating_add(most)));
        }
        let promised = came.saturating_add(least);
        if self.now < promised && pressure.when_full == WhenFull::Refuse {
            return Some(format!("I3: it was promised until {promised}"));
        }
        None
    }

    /// Whether `clip` went before its time because room was wanted.
    pub(crate) fn is_early(&self, clip: &Clip) -> bool {
        self.now < self.came(clip.received).saturating_add(self.shortest_retention(clip).0)
    }

    /// Whether `clip` is past its own time.
    pub(crate) fn is_overdue(&self, clip: &Clip) -> bool {
        self.came(clip.received).saturating_add(self.longest_retention(clip)) <= self.now
    }

    /// A sweep did all that it had to. Segments that are older than `segment_age` are sealed.
    pub(crate) fn swept(&mut self, segment_age: Duration) {
        let old = self.now.saturating_sub(segment_age);
        let now = self.now;
        for clip in self.clips.values_mut() {
            if clip.begun <= old {
                clip.head_sealed.get_or_insert(now);
            }
            if clip.received <= old && clip.state != ClipState::Recording {
                clip.tail_sealed.get_or_insert(now);
            }
        }
    }

    /// The newest bytes that can be in a segment sealed at `sealed`, or belong to a clip that began
    /// in one: until they are due, what lies beside them may stay.
    fn newest_beside(&self, sealed: Timestamp) -> Timestamp {
        let beside = self.clips.values().filter(|clip| clip.begun <= sealed);
        beside.map(|clip| self.came(clip.received)).max().unwrap_or(Timestamp::MAX)
    }

    /// Whether `clip` must be gone by now, as a sweep has just done all that it had to.
    pub(crate) fn must_be_gone(&self, clip: &Clip) -> bool {
        let Some(sealed) = clip.head_sealed else { return false };
        let latest = self.newest_beside(sealed).saturating_add(self.longest_retention(clip));
        latest <= self.now && !self.may_be_held(clip)
    }

    /// Whether no byte of `clip`, which is gone, may be in any file, as a sweep has just done all
    /// that it had to.
    pub(crate) fn must_be_erased(&self, clip: &Clip) -> bool {
        let Fate::Gone { deleted, .. } = clip.fate else { return false };
        let Some(sealed) = clip.tail_sealed else { return false };
        let latest = self.newest_beside(sealed).saturating_add(self.longest_retention(clip));
        deleted || latest <= self.now
    }

    /// The clips that a query must list, by start and id.
    pub(crate) fn listed(&self, camera: &CameraId, window: Span) -> Vec<ClipId> {
        let meets = |clip: &Clip| match self.flaw {
            Some(Flaw::ClosedWindows) => {
                clip.span.start <= window.end && window.start <= clip.span.end
            }
            _ => clip.span.meets(window),
        };
        let found = self.clips.iter().filter(|(_, clip)| clip.is_listed());
        let found = found.filter(|(_, clip)| clip.camera == *camera && meets(clip));
        let mut found: Vec<_> = found.map(|(id, clip)| (clip.span.start, *id)).collect();
        found.sort_unstable();
        found.into_iter().map(|(_, id)| id).collect()
    }

    /// The clips that a hold on `scope` covers now.
    pub(crate) fn covered(&self, hold: &Hold) -> Vec<ClipId> {
        let found = self.clips.iter().filter(|(_, clip)| clip.is_listed());
        let found = found.filter(|(_, clip)| covers(&hold.scope, clip, self.flaw));
        found.map(|(id, _)| *id).collect()
    }

    /// A release was acknowledged.
    pub(crate) fn release(&mut self, id: HoldId, cause: ReleaseCause) {
        if self.flaw == Some(Flaw::ForgetsReleases) {
            return;
        }
        let grace = match self.flaw {
            Some(Flaw::ForgetsGrace) => Duration::ZERO,
            _ => grace_of(cause),
        };
        let now = self.now;
        let hold = self.holds.get_mut(&id).expect("only what was placed is released");
        if hold.released_until.is_none() && !hold.ended {
            hold.released_until = Some(now.saturating_add(grace));
            hold.end_set = now;
        }
    }

    /// A deletion was acknowledged.
    pub(crate) fn delete(&mut self, id: ClipId) {
        if self.flaw == Some(Flaw::ForgetsDeletes) {
            return;
        }
        self.clips.get_mut(&id).expect("only what was stored is deleted").fate =
            Fate::Gone { deleted: true };
    }

    /// A new retention was acknowledged.
    pub(crate) fn retain(
        &mut self,
        camera: Option<CameraId>,
        retention: Retention,
        class: Option<ClassId>,
    ) {
        if self.flaw == Some(Flaw::ForgetsPolicies) {
            return;
        }
        if let Some(class) = class {
            self.classes.insert(class, retention);
        }
        match camera {
            Some(camera) => drop(self.retentions.insert(camera, retention)),
            None => self.default_retention = retention,
        }
    }

    /// More bytes of a clip were acknowledged: they arrived now.
    pub(crate) fn wrote(&mut self, id: ClipId, bytes: &[u8], end: i64, footage: u32) {
        let forgets = self.flaw == Some(Flaw::ForgetsLastFragment);
        let now = self.now;
        let clip = self.clips.get_mut(&id).expect("it was begun");
        if !forgets || clip.bytes.len() <= INIT.len() {
            clip.bytes.extend_from_slice(bytes);
        }
        clip.span.end = end;
        clip.footage.push(footage);
        clip.received = now;
        clip.digest = *blake3::hash(&clip.bytes).as_bytes();
    }

    /// All recordings ended with their process or their camera.
    pub(crate) fn cut_off_recordings(&mut self) {
        for clip in self.clips.values_mut().filter(|clip| clip.state == ClipState::Recording) {
            clip.state = ClipState::Truncated;
        }
    }
}
