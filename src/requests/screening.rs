//! Screening: whether residents are asked at all.
//!
//! Letting a request through asks all whom it matches, or nobody: where the hold budget has no room
//! for all of them the request is open all the same, because its agency would learn from anything
//! else that there is footage. The operator sees it, makes room, and lets it through once more.

use std::time::Duration;

use serde::Serialize;

use crate::{CameraId, HoldCause, HoldId, NewHold, ReleaseCause, Timestamp};

use super::agency::{Submission, hangs_on_footage};
use super::desk::{ACTOR, Change, Desk};
use super::event::Event;
use super::private::Records;
use super::state::{Answer, Request, Stage};
use super::text::Text;
use super::{AgencyId, HouseholdId, Refusal, RequestId};

/// A request that waits for the operator, as the operator sees it: the agency's words, and how many
/// households it would ask; no footage.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Screening {
    /// The request.
    pub request: Text<RequestId>,
    /// Who asks.
    pub agency: Text<AgencyId>,
    /// When it came.
    pub submitted: Text<Timestamp>,
    /// What it says.
    pub submission: Submission,
    /// How many households it matches that were not asked yet.
    pub households: usize,
    /// Nothing is held for them: the hold budget did not suffice, or it would ask more than 1,024
    /// cameras (then it matches nobody, whatever is done).
    pub unheld: bool,
    /// It was let through, and its agency is told that it is open; what is missing is room for the
    /// holds. Once there is, let it through again.
    pub open: bool,
}

/// What letting a request through came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Approval {
    /// How many households are asked now, with a hold each.
    pub asked: usize,
    /// How many are not, because the hold budget has no room for them. Nothing of them is held.
    pub not_asked: usize,
}

type Holds = Vec<(Text<HouseholdId>, Text<HoldId>)>;

impl Desk {
    /// The requests that wait for screening, and those that were let through and have nobody to ask
    /// for lack of room; oldest first.
    ///
    /// # Errors
    ///
    /// `Store` when a private record cannot be read.
    pub fn screening(&self) -> Result<Vec<Screening>, Refusal> {
        let records = Records::open(self.store.vfs())?;
        let inside = self.inside();
        let running = inside.state.running.keys();
        let requests = running.filter_map(|id| Some((id, inside.state.requests.get(id)?)));
        let waiting = requests.filter(|(_, request)| match request.stage {
            Stage::Screening { .. } => true,
            Stage::Open { .. } => request.lacks_room(),
            _ => false,
        });
        waiting
            .map(|(id, request)| {
                Ok(Screening {
                    request: Text(*id),
                    agency: Text(request.agency.clone()),
                    submitted: Text(request.submitted),
                    submission: records.read(&id.to_string(), request.paper)?,
                    households: request.to_ask().count(),
                    unheld: request.unheld || request.lacks_room(),
                    open: request.lacks_room(),
                })
            })
            .collect()
    }

    /// Lets a request through: each household that it matches gets a hold of its own and is asked.
    /// Where the hold budget has no room for all of them nobody is asked, and nothing held; the
    /// request is open all the same, and the deadline runs. Letting it through again asks them once
    /// there is room.
    ///
    /// # Errors
    ///
    /// `Unknown`; `Over` when it was screened already and everybody is asked; `Store` with
    /// `HoldBudget` when it is open already and there still is no room.
    pub fn approve(&self, id: RequestId) -> Result<Approval, Refusal> {
        self.change(|inside, change| {
            let Some(request) = inside.state.requests.get(&id) else { return Err(no_request(id)) };
            match &request.stage {
                Stage::Screening { .. } => {
                    let_through(change, id, request, self.rules.answering, false)
                }
                Stage::Open { .. } if request.lacks_room() => ask_late(change, id, request),
                _ => Err(Refusal::Over(format!("request {id}: it was screened already"))),
            }
        })
    }

    /// Refuses a request: its provisional holds end at once.
    ///
    /// # Errors
    ///
    /// `Unknown`; `Over` when it is not in screening any more.
    pub fn reject(&self, id: RequestId) -> Result<(), Refusal> {
        self.change(|inside, change| {
            let Some(request) = inside.state.requests.get(&id) else { return Err(no_request(id)) };
            let Stage::Screening { holds } = &request.stage else {
                return Err(Refusal::Over(format!("request {id}: it was screened already")));
            };
            for hold in holds {
                change.release(*hold, ReleaseCause::Rejected, ACTOR)?;
            }
            change.note(Event::Rejected { request: Text(id), timed_out: false })
        })
    }
}

impl Request {
    /// Whom it matches, with their cameras, and nobody has asked yet.
    fn to_ask(&self) -> impl Iterator<Item = (HouseholdId, &[CameraId])> {
        let waiting = self.asked.iter().filter(|(_, asked)| asked.answer == Answer::Screening);
        waiting.map(|(household, asked)| (*household, &*asked.cameras))
    }

    /// Whether it was let through, and some whom it matches are not asked for lack of room.
    pub(super) fn lacks_room(&self) -> bool {
        matches!(self.stage, Stage::Open { .. }) && self.to_ask().next().is_some()
    }
}

/// Opens a request that is in screening.
pub(super) fn let_through(
    change: &mut Change<'_, '_>,
    id: RequestId,
    request: &Request,
    answering: Duration,
    by_rule: bool,
) -> Result<Approval, Refusal> {
    let Stage::Screening { holds: provisional } = &request.stage else {
        return Err(Refusal::Over(format!("request {id}: it was screened already")));
    };
    let deadline = change.now().saturating_add(answering);
    let holds = match ask(change, id, request, answering) {
        Err(Refusal::Store(error)) if hangs_on_footage(&error) => Holds::new(),
        asked => asked?,
    };
    for hold in provisional {
        change.release(*hold, ReleaseCause::Ended, ACTOR)?;
    }
    let asked = holds.len();
    let (request_id, deadline) = (Text(id), Text(deadline));
    change.note(Event::Approved { request: request_id, deadline, holds, by_rule })?;
    Ok(Approval { asked, not_asked: request.to_ask().count() - asked })
}

/// Asks those who were not asked for lack of room. Its agency is not told, and its deadline stays.
fn ask_late(
    change: &mut Change<'_, '_>,
    id: RequestId,
    request: &Request,
) -> Result<Approval, Refusal> {
    let now = change.now();
    let Some(deadline) = request.open_until(now) else {
        return Err(Refusal::Over(format!("request {id}: it has ended already")));
    };
    let holds = ask(change, id, request, deadline.since(now))?;
    let asked = holds.len();
    change.note(Event::AskedLate { request: Text(id), holds })?;
    Ok(Approval { asked, not_asked: 0 })
}

/// Places a hold for each household that is to be asked: all of them or none.
fn ask(
    change: &mut Change<'_, '_>,
    id: RequestId,
    request: &Request,
    answering: Duration,
) -> Result<Holds, Refusal> {
    let hold = |cameras: Vec<CameraId>| {
        NewHold::new(cameras, request.window)
            .cause(HoldCause::Request)
            .reference(format!("request {id}"))
            .actor(ACTOR)
            .agency(request.agency.as_str())
            .for_duration(answering)
    };
    // Together first: each alone might fit into room that there is once.
    let all: Vec<CameraId> =
        request.to_ask().flat_map(|(_, cameras)| cameras.iter().cloned()).collect();
    if !all.is_empty() {
        change.tx.check_hold(hold(all))?;
    }
    let mut holds = Holds::new();
    for (household, cameras) in request.to_ask() {
        let placed = change.tx.place_hold(hold(cameras.to_vec()))?;
        holds.push((Text(household), Text(placed)));
    }
    Ok(holds)
}

fn no_request(id: RequestId) -> Refusal {
    Refusal::Unknown(format!("request {id}: there is none"))
}
