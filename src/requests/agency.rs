//! What an agency may do and see.
//!
//! The view of a request is made from its own words, its stage and what residents shared, and from
//! nothing else: whatever else there is, or is not, it has the same bytes.

use serde::{Deserialize, Serialize};

use crate::{CameraId, ErrorKind, HoldCause, HoldId, NewHold, ReleaseCause, Timestamp, Window};

use super::area::Area;
use super::desk::{ACTOR, Change, Desk, Inside};
use super::event::{self, Event};
use super::private::Records;
use super::state::{Agency, Answer, Request, Stage, State, day};
use super::text::{Span, Text};
use super::tokens::Spent;
use super::{AgencyId, HouseholdId, Refusal, RequestId, Rules};

/// A request asks at most this many cameras: what one hold and one batch of the ledger can have.
const CAMERAS_MAX: usize = 1024;

/// What an agency asks: nothing of it can be changed afterwards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// Repeating a submission with the same key answers the same request: 1 to 128 bytes.
    pub key: String,
    /// The time asked about.
    pub window: Span,
    /// The area asked about.
    pub area: Area,
    /// The number of the incident: 1 to 128 bytes.
    pub incident: String,
    /// What kind of incident it is: 1 to 128 bytes.
    pub kind: String,
    /// How residents reach the officer: 1 to 256 bytes.
    pub contact: String,
    /// What residents are told, in words: at most 4096 bytes.
    #[serde(default)]
    pub words: String,
}

/// A request as its agency sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AgencyView {
    /// The request.
    pub request: Text<RequestId>,
    /// When it was taken in.
    pub submitted: Text<Timestamp>,
    /// The time asked about.
    pub window: Span,
    /// `received`, `rejected`, `open`, `closed` or `withdrawn`.
    pub status: &'static str,
    /// Until when residents may answer, once it is open.
    pub deadline: Option<Text<Timestamp>>,
    /// What residents shared and was not taken back.
    pub shared: Vec<Shared>,
}

/// A clip that was shared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct Shared {
    /// The clip.
    pub clip: Text<crate::ClipId>,
    /// Only this part of it, if its resident chose so.
    pub part: Option<Span>,
    /// Until when it can be fetched; none once it was acknowledged.
    pub until: Option<Text<Timestamp>>,
}

impl Submission {
    fn check(&self) -> Result<(), Refusal> {
        let bounds = [
            ("key", &self.key, 1, 128),
            ("incident", &self.incident, 1, 128),
            ("kind of incident", &self.kind, 1, 128),
            ("contact", &self.contact, 1, 256),
            ("words", &self.words, 0, 4096),
        ];
        for (what, text, least, most) in bounds {
            let bad = text.chars().any(|char| char.is_control() && char != '\n');
            if !(least..=most).contains(&text.len()) || bad {
                return Err(Refusal::Invalid(format!(
                    "{what} of {} bytes: want {least} to {most}, without control characters",
                    text.len()
                )));
            }
        }
        Ok(())
    }
}

impl Desk {
    /// Takes in a request. It is screened first; meanwhile provisional holds keep what it matches,
    /// and nobody sees anything of that. The same submission with the same key again answers the
    /// same request and changes nothing.
    ///
    /// # Errors
    ///
    /// `NotPartner`; `Invalid` for what breaks [`Rules`]; `OverBudget`; `Conflict` for a key that
    /// was used for something else. All of them follow from what the agency itself said and did.
    pub fn submit(
        &self,
        agency: &AgencyId,
        submission: &Submission,
    ) -> Result<AgencyView, Refusal> {
        let id = self.change(|inside, change| self.take_in(inside, change, agency, submission))?;
        self.agency_view(agency, id)
    }

    fn take_in(
        &self,
        inside: &Inside,
        change: &mut Change<'_, '_>,
        agency: &AgencyId,
        submission: &Submission,
    ) -> Result<RequestId, Refusal> {
        let state = &inside.state;
        let Agency { joined, partner_by, .. } = *partner(state, agency)?;
        submission.check()?;
        let whole = serde_json::to_string(submission)
            .map_err(|error| Refusal::Invalid(error.to_string()))?;
        if let Some(before) = inside.came_before(agency, submission, &whole)? {
            return Ok(before);
        }
        let window = submission.window.window();
        self.rules.check_window(window, change.now())?;
        if window.start() < joined {
            let message = format!("window: it begins before {agency} joined, at {joined}");
            return Err(Refusal::Invalid(message));
        }
        inside.check_remembered(agency, window)?;
        let size = submission.area.square_metres()?;
        self.rules.check_area(size)?;
        let cost = Rules::cost(size, window);
        let about = inside.spent(agency, submission);
        self.check_budgets(state, agency, about, cost, change.now())?;
        let today = state.by_rule.get(&(agency.clone(), day(change.now()))).copied();
        let by_rule = self.rules.by_rule.as_ref().is_some_and(|rule| {
            rule.lets_through(&submission.kind, size, window, change.now(), today.unwrap_or(0))
        });
        let request = state.requests.keys().next_back().copied().unwrap_or_default().next();
        let records = Records::open(self.store.vfs())?;
        let paper = records.write(&request.to_string(), submission)?;
        let mut asked = matching(inside, &submission.area);
        let cameras: Vec<CameraId> =
            asked.iter().flat_map(|(_, cameras)| cameras).cloned().collect();
        let hold = if cameras.len() <= CAMERAS_MAX {
            hold_all(change, request, agency, cameras, window)?
        } else {
            // Nobody is asked, the operator is told, and the agency hears what it always hears.
            asked.clear();
            Provisional::Refused
        };
        let what = (agency, submission, whole.as_str());
        let marks = change.marks(inside, (&self.rules, &records), what)?;
        change.note(Event::Submitted {
            request: Text(request),
            agency: Text(agency.clone()),
            window: window.into(),
            paper,
            incident: marks.incident,
            key: marks.key,
            fingerprint: marks.fingerprint,
            cost,
            partner_by,
            screened_by: Text(change.now().saturating_add(self.rules.screening)),
            words_days: self.rules.words_days,
            by_rule,
        })?;
        change.note(Event::Matched {
            request: Text(request),
            asked: asked
                .into_iter()
                .map(|(household, cameras)| event::Asked {
                    household: Text(household),
                    cameras: cameras.into_iter().map(Text).collect(),
                })
                .collect(),
            unheld: hold == Provisional::Refused,
            holds: hold.ids(),
        })?;
        Ok(request)
    }

    /// Refuses what goes beyond the budgets: only the agency's own requests count.
    fn check_budgets(
        &self,
        state: &State,
        agency: &AgencyId,
        about: Spent,
        cost: u64,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if about.requests >= self.rules.per_incident {
            let message = format!("incident: there were {} requests already", about.requests);
            return Err(Refusal::OverBudget(message));
        }
        let today = state.days.get(&(agency.clone(), day(now))).copied().unwrap_or_default();
        let budgets = [
            ("incident", about.cost, self.rules.incident_budget),
            ("today", today, self.rules.agency_day_budget),
        ];
        for (what, spent, budget) in budgets {
            if cost.saturating_add(spent) > budget {
                return Err(Refusal::OverBudget(format!(
                    "{what}: {cost} square metre minutes more than the {spent} asked for so far \
                     would be above {budget}: ask for a smaller area or a shorter window"
                )));
            }
        }
        Ok(())
    }

    /// Takes a request back. What was shared and not fetched is not shared any more.
    ///
    /// # Errors
    ///
    /// `Unknown` for a request of somebody else; `Over` when it has ended.
    pub fn withdraw(&self, agency: &AgencyId, id: RequestId) -> Result<AgencyView, Refusal> {
        self.change(|inside, change| {
            let request = own(&inside.state, agency, id)?;
            withdraw(change, id, request)
        })?;
        self.agency_view(agency, id)
    }

    /// Gives residents more time, once; whoever has not answered is told again.
    ///
    /// # Errors
    ///
    /// `NotPartner`; `Unknown`; `Over` when it is not open, or was renewed before.
    pub fn renew(&self, agency: &AgencyId, id: RequestId) -> Result<AgencyView, Refusal> {
        self.change(|inside, change| {
            partner(&inside.state, agency)?;
            let request = own(&inside.state, agency, id)?;
            let Some(deadline) = request.open_until(change.now()).filter(|_| !request.renewed)
            else {
                return Err(Refusal::Over(format!("request {id}: it cannot be renewed any more")));
            };
            let deadline = deadline.saturating_add(self.rules.answering);
            for asked in request.asked.values() {
                if let Answer::Pending { hold } = asked.answer {
                    change.tx.renew_hold(hold, deadline, ACTOR, "renewed")?;
                }
            }
            change.note(Event::Renewed { request: Text(id), deadline: Text(deadline) })
        })?;
        self.agency_view(agency, id)
    }

    /// Notes that the agency is handed what is shared now, so that residents see who took what. Its
    /// view does not change by it.
    ///
    /// # Errors
    ///
    /// `NotPartner`; `Unknown`; `Over` when nothing is shared.
    pub fn hand_over(&self, agency: &AgencyId, id: RequestId) -> Result<(), Refusal> {
        self.change(|inside, change| {
            partner(&inside.state, agency)?;
            let request = own(&inside.state, agency, id)?;
            if request.shared(change.now()).is_empty() {
                return Err(Refusal::Over(format!("request {id}: nothing is shared")));
            }
            change.note(Event::Fetched { request: Text(id) })
        })
    }

    /// Acknowledges that these clips were fetched: the holds of those households end all of whose
    /// shared clips are among them. Repeating it changes nothing.
    ///
    /// # Errors
    ///
    /// `NotPartner`; `Unknown` for a request of somebody else, or a clip that is not shared in it.
    pub fn acknowledge(
        &self,
        agency: &AgencyId,
        id: RequestId,
        clips: &[crate::ClipId],
    ) -> Result<AgencyView, Refusal> {
        self.change(|inside, change| {
            partner(&inside.state, agency)?;
            let request = own(&inside.state, agency, id)?;
            let shared = request.shared(change.now());
            if let Some(clip) =
                clips.iter().find(|clip| !shared.iter().any(|shared| shared.clip.0 == **clip))
            {
                return Err(Refusal::Unknown(format!("clip {clip}: not shared in {id}")));
            }
            for (household, asked) in &request.asked {
                if let Answer::Accepted { hold, chosen, .. } = &asked.answer
                    && chosen.iter().all(|chosen| clips.contains(&chosen.clip.0))
                {
                    change.release(*hold, ReleaseCause::Disclosed, ACTOR)?;
                    let household = Text(*household);
                    change.note(Event::Disclosed { request: Text(id), household })?;
                }
            }
            Ok(())
        })?;
        self.agency_view(agency, id)
    }

    /// What the agency sees of a request of its own, also while it is suspended.
    ///
    /// # Errors
    ///
    /// `Unknown` for a request of somebody else, or of nobody.
    pub fn agency_view(&self, agency: &AgencyId, id: RequestId) -> Result<AgencyView, Refusal> {
        let now = self.store.trusted_now();
        let inside = self.inside();
        let request = own(&inside.state, agency, id)?;
        let suspended = partner(&inside.state, agency).is_err();
        Ok(request.view(id, now, suspended))
    }

    /// The requests of an agency, oldest first.
    ///
    /// # Errors
    ///
    /// `NotPartner` when it never was one.
    pub fn agency_views(&self, agency: &AgencyId) -> Result<Vec<AgencyView>, Refusal> {
        let now = self.store.trusted_now();
        let inside = self.inside();
        if !inside.state.agencies.contains_key(agency) {
            return Err(not_partner(agency));
        }
        let suspended = partner(&inside.state, agency).is_err();
        let own = inside.state.requests.iter().filter(|(_, request)| request.agency == *agency);
        Ok(own.map(|(id, request)| request.view(*id, now, suspended)).collect())
    }
}

impl Request {
    /// Until when it is open, if it is.
    pub(super) fn open_until(&self, now: Timestamp) -> Option<Timestamp> {
        match self.stage {
            Stage::Open { deadline } if now < deadline => Some(deadline),
            _ => None,
        }
    }

    /// What is shared at `now`, in an order that follows from the clips alone.
    pub(super) fn shared(&self, now: Timestamp) -> Vec<Shared> {
        let mut shared = Vec::new();
        for asked in self.asked.values() {
            let (chosen, until) = match &asked.answer {
                Answer::Accepted { chosen, until, .. } if now < *until => (chosen, Some(*until)),
                Answer::Disclosed { chosen } => (chosen, None),
                _ => continue,
            };
            shared.extend(chosen.iter().map(|chosen| Shared {
                clip: chosen.clip,
                part: chosen.part,
                until: until.map(Text),
            }));
        }
        shared.sort_unstable();
        shared
    }

    fn view(&self, id: RequestId, now: Timestamp, suspended: bool) -> AgencyView {
        let (status, deadline) = match &self.stage {
            Stage::Screening { .. } if self.screened_by <= now => ("rejected", None),
            Stage::Screening { .. } => ("received", None),
            Stage::Rejected => ("rejected", None),
            Stage::Open { deadline } if now < *deadline => ("open", Some(*deadline)),
            Stage::Open { .. } | Stage::Closed => ("closed", None),
            Stage::Withdrawn => ("withdrawn", None),
        };
        AgencyView {
            request: Text(id),
            submitted: Text(self.submitted),
            window: self.window.into(),
            status,
            deadline: deadline.map(Text),
            shared: if suspended { Vec::new() } else { self.shared(now) },
        }
    }
}

/// `agency`, if it is a partner that is not suspended.
pub(super) fn partner<'a>(state: &'a State, agency: &AgencyId) -> Result<&'a Agency, Refusal> {
    let known = state.agencies.get(agency).filter(|known| !known.suspended);
    known.ok_or_else(|| not_partner(agency))
}

fn not_partner(agency: &AgencyId) -> Refusal {
    Refusal::NotPartner(format!("agency {agency}: no partner, or suspended"))
}

/// The request `id` of `agency`: one of another agency is as unknown as one of nobody.
fn own<'a>(state: &'a State, agency: &AgencyId, id: RequestId) -> Result<&'a Request, Refusal> {
    let own = state.requests.get(&id).filter(|request| request.agency == *agency);
    own.ok_or_else(|| Refusal::Unknown(format!("request {id}: there is none of {agency}")))
}

/// Ends a request that is screened or open.
pub(super) fn withdraw(
    change: &mut Change<'_, '_>,
    id: RequestId,
    request: &Request,
) -> Result<(), Refusal> {
    let mut holds = Vec::new();
    match &request.stage {
        Stage::Screening { holds: provisional } => holds.extend(provisional),
        Stage::Open { .. } if request.open_until(change.now()).is_some() => {}
        _ => return Err(Refusal::Over(format!("request {id}: it has ended already"))),
    }
    for asked in request.asked.values() {
        match &asked.answer {
            Answer::Pending { hold } | Answer::Accepted { hold, .. } => holds.push(*hold),
            _ => {}
        }
    }
    for hold in holds {
        change.release(hold, ReleaseCause::Withdrawn, ACTOR)?;
    }
    change.note(Event::Withdrawn { request: Text(id) })
}

/// The households that may be asked, with those of their cameras that lie in `area`. Who opted out
/// is left out before anything is compared.
fn matching(inside: &Inside, area: &Area) -> Vec<(HouseholdId, Vec<CameraId>)> {
    inside.places.inside(area, |id| {
        inside.state.households.get(&id).is_some_and(|household| !household.opted_out)
    })
}

/// Whether a hold was refused for what there is: too much, or something that cannot be counted. An
/// agency must not be told, not even by what becomes of its request.
pub(super) fn hangs_on_footage(error: &crate::Error) -> bool {
    matches!(error.kind(), ErrorKind::HoldBudget | ErrorKind::Corrupt | ErrorKind::Io)
}

/// What became of the provisional hold of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Provisional {
    Held(HoldId),
    NothingToHold,
    /// The hold budget does not suffice, or it would ask too many: for the operator to see, because
    /// from a refusal the agency would learn that there is footage.
    Refused,
}

impl Provisional {
    fn ids(self) -> Vec<Text<HoldId>> {
        match self {
            Self::Held(hold) => vec![Text(hold)],
            Self::NothingToHold | Self::Refused => Vec::new(),
        }
    }
}

/// A provisional hold on all of `cameras`.
fn hold_all(
    change: &mut Change<'_, '_>,
    request: RequestId,
    agency: &AgencyId,
    cameras: Vec<CameraId>,
    window: Window,
) -> Result<Provisional, Refusal> {
    if cameras.is_empty() {
        return Ok(Provisional::NothingToHold);
    }
    let hold = NewHold::new(cameras, window)
        .cause(HoldCause::Provisional)
        .reference(format!("request {request}"))
        .actor(ACTOR)
        .agency(agency.as_str());
    match change.tx.place_hold(hold) {
        Ok(hold) => Ok(Provisional::Held(hold)),
        Err(error) if hangs_on_footage(&error) => Ok(Provisional::Refused),
        Err(error) => Err(error.into()),
    }
}
