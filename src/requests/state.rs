//! Where every request stands, as the notes in the ledger tell it.
//!
//! Built by [`State::apply`] alone, in the order of the ledger, so that it is the same on any day
//! and after any crash. It decides nothing and knows no time: the methods of [`super::Desk`] do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::{CameraId, ClipId, HoldId, Timestamp, Window};

use super::asked::{Asked, AskedHomes};
use super::event::{Chosen, Event};
use super::private::Commitment;
use super::text::Text;
use super::tokens::{Marks, Tokens};
use super::{AgencyId, HouseholdId, PostId, RequestId};

/// Everything that the notes say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) agencies: BTreeMap<AgencyId, Agency>,
    pub(super) households: BTreeMap<HouseholdId, Household>,
    pub(super) cameras: BTreeMap<CameraId, HouseholdId>,
    pub(super) requests: BTreeMap<RequestId, Request>,
    /// What was submitted before, and about which incidents.
    pub(super) tokens: Tokens,
    pub(super) posts: BTreeMap<PostId, Post>,
    /// What each agency asked for on each day of trusted time, in square metre minutes.
    pub(super) days: BTreeMap<(AgencyId, i64), u64>,
    /// How many requests of each agency on each day of trusted time no person screens.
    pub(super) by_rule: BTreeMap<(AgencyId, i64), u32>,
    /// What was signed of the log: size and root.
    pub(super) checkpoints: BTreeMap<u64, String>,
    /// Who cosigned these: by size, the lines of witnesses by their keys.
    pub(super) cosignatures: BTreeMap<u64, BTreeMap<String, String>>,
    /// Where in the ledger the notes of checkpoints and cosignatures stand: they are about the log
    /// and no decision.
    pub(super) log_notes: BTreeSet<u64>,
    /// The requests that time can change, with when it does next.
    pub(super) running: BTreeMap<RequestId, Timestamp>,
    /// The same by time.
    pub(super) due: BTreeSet<(Timestamp, RequestId)>,
    /// The requests that time changes no more and whose words are still there, by when these may
    /// go.
    pub(super) over: BTreeSet<(Timestamp, RequestId)>,
    /// The requests in which a home has shared something that was fetched, or is under a court's
    /// order, also when they are over.
    pub(super) lasting: BTreeMap<HouseholdId, BTreeSet<RequestId>>,
}

const WORDS_DAY: Duration = Duration::from_hours(24);

/// The day of trusted time that `at` is in.
pub(super) fn day(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(86_400_000_000)
}

/// A partner department.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Agency {
    pub(super) joined: Timestamp,
    /// Where in the ledger it became a partner, or was last reinstated.
    pub(super) partner_by: u64,
    pub(super) contact: Commitment,
    pub(super) suspended: bool,
    pub(super) requests: u64,
    pub(super) ended: Ended,
}

/// How an agency's requests ended: what it knows itself, and nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) rejected: u64,
    pub(super) withdrawn: u64,
    pub(super) closed: u64,
    /// Those of the closed ones in which something was shared then.
    pub(super) shared: u64,
}

/// A home with its cameras.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Household {
    pub(super) cameras: Vec<CameraId>,
    pub(super) profile: Commitment,
    pub(super) opted_out: bool,
    /// Its profile is destroyed.
    pub(super) left: bool,
}

/// A request and what became of it with each household.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) agency: AgencyId,
    pub(super) window: Window,
    pub(super) paper: Commitment,
    pub(super) submitted: Timestamp,
    /// When screening is over at the latest.
    pub(super) screened_by: Timestamp,
    /// When the deadline that it has was set.
    pub(super) opened: Timestamp,
    /// No person screens it.
    pub(super) by_rule: bool,
    /// Position of its submission in the ledger.
    pub(super) position: u64,
    pub(super) stage: Stage,
    pub(super) unheld: bool,
    pub(super) renewed: bool,
    /// When anything last happened to it.
    pub(super) changed: Timestamp,
    pub(super) words_days: u32,
    /// When its words were destroyed.
    pub(super) words_gone: Option<Timestamp>,
    pub(super) asked: AskedHomes,
}

/// Where a request stands as a whole: all that its agency is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Screening, under provisional holds.
    Screening {
        holds: Vec<HoldId>,
    },
    Rejected,
    /// Residents may answer until the deadline.
    Open {
        deadline: Timestamp,
    },
    Withdrawn,
    Closed,
}

/// What a household said, or what became of it instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Not asked yet: the request is in screening, or there is no room for the hold.
    Screening,
    /// Has not answered.
    Pending {
        hold: HoldId,
    },
    Accepted {
        hold: HoldId,
        chosen: Vec<Chosen>,
        until: Timestamp,
    },
    Denied {
        undo_until: Timestamp,
    },
    OptedOut,
    Lapsed,
    Withdrawn,
    Rejected,
    /// The request was open and there was no room to hold what it was about.
    NotAsked,
    Disclosed {
        chosen: Vec<Chosen>,
    },
    Unfetched,
}

/// A clip in the neighbourhood feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Post {
    pub(super) household: HouseholdId,
    pub(super) clip: ClipId,
    pub(super) hold: HoldId,
    pub(super) posted: Timestamp,
    pub(super) withdrawn: bool,
}

impl Answer {
    /// Whether the resident can still say something.
    pub(super) fn is_pending(&self) -> bool {
        matches!(self, Self::Pending { .. })
    }
}

impl State {
    /// Takes in what happened at trusted time `at`, noted at `position`. Tolerant of events that
    /// should not be there: one about something unknown changes nothing.
    pub(super) fn apply(&mut self, event: Event, at: Timestamp, position: u64) {
        match event {
            event @ (Event::AgencyJoined { .. }
            | Event::AgencySuspended { .. }
            | Event::AgencyReinstated { .. }) => self.apply_to_agency(event, at, position),
            Event::HouseholdJoined { household, cameras, profile } => {
                let cameras: Vec<CameraId> = cameras.into_iter().map(|camera| camera.0).collect();
                self.cameras.extend(cameras.iter().map(|camera| (camera.clone(), household.0)));
                let new = Household { cameras, profile, opted_out: false, left: false };
                self.households.insert(household.0, new);
            }
            Event::HouseholdOptedOut { household } => self.opt_out(household.0),
            Event::HouseholdLeft { household } => self.leave(household.0),
            Event::HouseholdOptedIn { household } => {
                if let Some(household) = self.households.get_mut(&household.0) {
                    household.opted_out = false;
                }
            }
            event @ Event::Submitted { .. } => self.submit(event, at, position),
            Event::Matched { request, asked, holds, unheld } => {
                let Some(request) = self.requests.get_mut(&request.0) else { return };
                // One text a camera, however many requests are about it.
                let cameras = &self.cameras;
                let known = |camera: CameraId| match cameras.get_key_value(&camera) {
                    Some((known, _)) => known.clone(),
                    None => camera,
                };
                let asked = asked.into_iter().map(|asked| {
                    let cameras = asked.cameras.into_iter().map(|camera| known(camera.0));
                    (asked.household.0, Asked::new(cameras.collect()))
                });
                request.asked = AskedHomes::new(asked);
                request.unheld = unheld;
                let holds = holds.into_iter().map(|hold| hold.0).collect();
                request.stage = Stage::Screening { holds };
            }
            event @ (Event::Checkpointed { .. } | Event::Cosigned { .. }) => {
                self.apply_to_log(event, position);
            }
            Event::TokenKeyMade { number, key } => self.tokens.begin(number, key, at),
            Event::TokenKeyDestroyed { number } => self.tokens.destroy(number),
            Event::Posted { post, household, clip, hold } => {
                let (household, clip, hold) = (household.0, clip.0, hold.0);
                let new = Post { household, clip, hold, posted: at, withdrawn: false };
                self.posts.insert(post.0, new);
            }
            Event::PostWithdrawn { post } => {
                if let Some(post) = self.posts.get_mut(&post.0) {
                    post.withdrawn = true;
                }
            }
            Event::Rejected { request, .. } => self.end(request.0, &Stage::Rejected, at),
            Event::Withdrawn { request } => self.end(request.0, &Stage::Withdrawn, at),
            Event::Closed { request } => self.end(request.0, &Stage::Closed, at),
            event @ (Event::Approved { .. }
            | Event::AskedLate { .. }
            | Event::Renewed { .. }
            | Event::WordsDestroyed { .. }) => self.apply_to_course(event, at),
            other => self.answer(other, at),
        }
    }

    /// What becomes of a request that is let through, and of its words.
    fn apply_to_course(&mut self, event: Event, at: Timestamp) {
        match event {
            Event::WordsDestroyed { request: Text(id) } => {
                if let Some(request) = self.requests.get_mut(&id) {
                    request.words_gone = Some(at);
                    self.over.remove(&(request.words_until(), id));
                }
            }
            Event::Approved { request: Text(id), deadline, holds, .. } => {
                let Some(request) = self.requests.get_mut(&id) else { return };
                (request.stage, request.opened) = (Stage::Open { deadline: deadline.0 }, at);
                request.unheld = false;
                request.ask(holds);
                self.note_running(id, at);
            }
            Event::AskedLate { request, holds } => {
                if let Some(request) = self.requests.get_mut(&request.0) {
                    request.ask(holds);
                }
            }
            Event::Renewed { request: Text(id), deadline } => {
                let Some(request) = self.requests.get_mut(&id) else { return };
                (request.stage, request.opened) = (Stage::Open { deadline: deadline.0 }, at);
                request.renewed = true;
                for asked in request.asked.values_mut() {
                    asked.tell_anew();
                }
                self.note_running(id, at);
            }
            _ => {}
        }
    }

    fn apply_to_agency(&mut self, event: Event, at: Timestamp, position: u64) {
        match event {
            Event::AgencyJoined { agency, contact } => {
                let (joined, partner_by) = (at, position);
                let (suspended, requests, ended) = (false, 0, Ended::default());
                let new = Agency { joined, partner_by, contact, suspended, requests, ended };
                self.agencies.insert(agency.0, new);
            }
            Event::AgencySuspended { agency } => {
                if let Some(agency) = self.agencies.get_mut(&agency.0) {
                    agency.suspended = true;
                }
            }
            Event::AgencyReinstated { agency } => {
                if let Some(agency) = self.agencies.get_mut(&agency.0) {
                    (agency.suspended, agency.partner_by) = (false, position);
                }
            }
            _ => {}
        }
    }

    fn apply_to_log(&mut self, event: Event, position: u64) {
        self.log_notes.insert(position);
        match event {
            Event::Checkpointed { size, root } => {
                self.checkpoints.insert(size, root);
            }
            Event::Cosigned { size, witness, line } => {
                self.cosignatures.entry(size).or_default().insert(witness, line);
            }
            _ => {}
        }
    }

    fn leave(&mut self, id: HouseholdId) {
        self.opt_out(id);
        self.cameras.retain(|_, household| *household != id);
        if let Some(household) = self.households.get_mut(&id) {
            household.left = true;
            household.cameras.clear();
        }
    }

    /// Whatever waits for this household is over.
    fn opt_out(&mut self, household: HouseholdId) {
        if let Some(household) = self.households.get_mut(&household) {
            household.opted_out = true;
        }
        for id in self.running.keys() {
            let Some(request) = self.requests.get_mut(id) else { continue };
            let asked = request.asked.get_mut(household);
            let waiting = asked
                .filter(|asked| asked.answer.is_pending() || asked.answer == Answer::Screening);
            if let Some(asked) = waiting {
                asked.answer = Answer::OptedOut;
            }
        }
    }

    fn submit(&mut self, event: Event, at: Timestamp, position: u64) {
        let Event::Submitted {
            request,
            agency,
            window,
            paper,
            incident,
            key,
            fingerprint,
            cost,
            screened_by,
            words_days,
            by_rule,
            ..
        } = event
        else {
            return;
        };
        if let Some(agency) = self.agencies.get_mut(&agency.0) {
            agency.requests += 1;
        }
        let marks = Marks { incident, key, fingerprint };
        self.tokens.submit((&agency.0, request.0), marks, cost, (at, position));
        let today = self.days.entry((agency.0.clone(), day(at))).or_default();
        *today = today.saturating_add(cost);
        if by_rule {
            let today = self.by_rule.entry((agency.0.clone(), day(at))).or_default();
            *today = today.saturating_add(1);
        }
        let new = Request {
            agency: agency.0,
            window: window.window(),
            paper,
            submitted: at,
            screened_by: screened_by.0,
            opened: at,
            by_rule,
            position,
            stage: Stage::Screening { holds: Vec::new() },
            unheld: false,
            renewed: false,
            changed: at,
            words_days,
            words_gone: None,
            asked: AskedHomes::default(),
        };
        self.requests.insert(request.0, new);
        self.note_running(request.0, at);
    }

    /// A request is over as a whole; who had not answered is not asked any more. What was accepted
    /// can be fetched on after the deadline, and not after a withdrawal.
    fn end(&mut self, id: RequestId, stage: &Stage, at: Timestamp) {
        let Some(request) = self.requests.get_mut(&id) else { return };
        for asked in request.asked.values_mut() {
            let over = match (&asked.answer, stage) {
                (Answer::Pending { .. }, Stage::Closed) => Answer::Lapsed,
                (Answer::Screening, Stage::Closed) => Answer::NotAsked,
                (
                    Answer::Pending { .. } | Answer::Screening | Answer::Accepted { .. },
                    Stage::Withdrawn,
                ) => Answer::Withdrawn,
                (Answer::Screening, Stage::Rejected) => Answer::Rejected,
                _ => continue,
            };
            asked.answer = over;
        }
        request.stage = stage.clone();
        if let Some(agency) = self.agencies.get_mut(&request.agency) {
            agency.ended.count(request);
        }
        self.note_running(id, at);
    }

    /// What one household said, or what became of it.
    fn answer(&mut self, event: Event, at: Timestamp) {
        let Some((id, household)) = about(&event) else { return };
        let Some(request) = self.requests.get_mut(&id) else { return };
        let Some(asked) = request.asked.get_mut(household) else { return };
        if matches!(event, Event::Accepted { .. } | Event::Denied { .. }) {
            asked.answered = at;
        }
        match event {
            Event::Accepted { chosen, hold, until, .. } => {
                asked.answer = Answer::Accepted { hold: hold.0, chosen, until: until.0 };
            }
            Event::Denied { undo_until, .. } => {
                asked.answer = Answer::Denied { undo_until: undo_until.0 };
            }
            Event::DenialUndone { hold, .. } => asked.answer = Answer::Pending { hold: hold.0 },
            Event::Revoked { .. } => {
                // Too late to be taken back once more.
                asked.answer = Answer::Denied { undo_until: Timestamp::MIN };
            }
            Event::Disclosed { .. } => {
                self.lasting.entry(household).or_default().insert(id);
                if let Answer::Accepted { chosen, .. } = &asked.answer {
                    asked.answer = Answer::Disclosed { chosen: chosen.clone() };
                }
            }
            Event::Unfetched { .. } => asked.answer = Answer::Unfetched,
            Event::Erasing { clip, .. } => {
                asked.more_mut().erased.insert(clip.0);
                if let Answer::Accepted { chosen, .. } = &mut asked.answer {
                    chosen.retain(|chosen| chosen.clip != clip);
                }
            }
            Event::Ordered { hold, .. } => {
                self.lasting.entry(household).or_default().insert(id);
                asked.more_mut().orders.push(hold.0);
            }
            Event::Noticed { reached: true, .. } => asked.told = true,
            Event::Noticed { reached: false, .. } => {
                let more = asked.more_mut();
                more.unreached = more.unreached.saturating_add(1);
                more.tried = Some(at);
            }
            _ => {}
        }
        self.note_running(id, at);
    }

    /// Keeps `running`, `due` and `over` right: screening and deadlines run out, and so does what
    /// waits to be fetched.
    pub(super) fn note_running(&mut self, id: RequestId, at: Timestamp) {
        if let Some(before) = self.running.remove(&id) {
            self.due.remove(&(before, id));
        }
        let Some(request) = self.requests.get_mut(&id) else { return };
        self.over.remove(&(request.words_until(), id));
        request.changed = at;
        if let Some(next) = request.next_due() {
            self.running.insert(id, next);
            self.due.insert((next, id));
        } else if request.words_gone.is_none() {
            self.over.insert((request.words_until(), id));
        }
    }
}

impl Ended {
    /// Counts a request that has just ended.
    fn count(&mut self, request: &Request) {
        match request.stage {
            Stage::Rejected => self.rejected += 1,
            Stage::Withdrawn => self.withdrawn += 1,
            Stage::Closed => {
                self.closed += 1;
                let shares = |asked: &Asked| {
                    matches!(asked.answer, Answer::Accepted { .. } | Answer::Disclosed { .. })
                };
                self.shared += u64::from(request.asked.values().any(shares));
            }
            Stage::Screening { .. } | Stage::Open { .. } => {}
        }
    }
}

impl Request {
    /// These are asked from now on.
    fn ask(&mut self, holds: Vec<(Text<HouseholdId>, Text<HoldId>)>) {
        for (household, hold) in holds {
            if let Some(asked) = self.asked.get_mut(household.0) {
                asked.answer = Answer::Pending { hold: hold.0 };
            }
        }
    }

    /// When its words may go, if nothing more happens to it.
    pub(super) fn words_until(&self) -> Timestamp {
        self.changed.saturating_add(WORDS_DAY * self.words_days)
    }

    /// When time changes something of it next.
    fn next_due(&self) -> Option<Timestamp> {
        let stage = match self.stage {
            Stage::Screening { .. } if self.by_rule => Some(self.submitted),
            Stage::Screening { .. } => Some(self.screened_by),
            Stage::Open { deadline } => Some(deadline),
            _ => None,
        };
        let fetching = self.asked.values().filter_map(|asked| match asked.answer {
            Answer::Accepted { until, .. } => Some(until),
            _ => None,
        });
        stage.into_iter().chain(fetching).min()
    }
}

/// The request and household that an answer is about.
fn about(event: &Event) -> Option<(RequestId, HouseholdId)> {
    match event {
        Event::Accepted { request, household, .. }
        | Event::Denied { request, household, .. }
        | Event::DenialUndone { request, household, .. }
        | Event::Revoked { request, household }
        | Event::Disclosed { request, household }
        | Event::Unfetched { request, household }
        | Event::Erasing { request, household, .. }
        | Event::Ordered { request, household, .. }
        | Event::Noticed { request, household, .. } => Some((request.0, household.0)),
        _ => None,
    }
}
