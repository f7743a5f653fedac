//! Whom to tell of what: follows from the ledger alone, with the tries that failed and when the
//! next one is.
//!
//! Sending is for who has the network. That somebody could not be reached is noted and shown to
//! the operator; it is never an answer.

use std::time::Duration;

use serde::Serialize;

use crate::Timestamp;

use super::asked::Asked;
use super::desk::Desk;
use super::event::Event;
use super::operator::Profile;
use super::private::Records;
use super::text::Text;
use super::{AgencyId, HouseholdId, Refusal, RequestId};

/// How long after each try that failed the next one is; the last of them for ever. So a request
/// that is open for 28 days leaves some 35 entries in the ledger for a home that nobody reaches.
const NEXT_TRY: [Duration; 6] = [
    Duration::from_mins(1),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(8),
    Duration::from_hours(24),
];

/// A home that is to be told of a request that waits for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Notice {
    /// The request.
    pub request: Text<RequestId>,
    /// Who asks.
    pub agency: Text<AgencyId>,
    /// Who is to be told.
    pub household: Text<HouseholdId>,
    /// How to reach them. Personal.
    pub contact: String,
    /// Until when they can answer.
    pub deadline: Text<Timestamp>,
    /// How often it was tried since the request was opened or renewed, without reaching them.
    pub unreached: u32,
    /// When the next try is; none for who was not tried yet: at once.
    pub next_try: Option<Text<Timestamp>>,
}

impl Desk {
    /// The homes that wait to be told, whether their next try is due or not: those who may answer
    /// and were not reached since the request was opened or renewed.
    ///
    /// # Errors
    ///
    /// `Store` when a private record cannot be read.
    pub fn notices(&self) -> Result<Vec<Notice>, Refusal> {
        let records = Records::open(self.store.vfs())?;
        let now = self.store.trusted_now();
        let inside = self.inside();
        let mut notices = Vec::new();
        for id in inside.state.running.keys() {
            let Some(request) = inside.state.requests.get(id) else { continue };
            let Some(deadline) = request.open_until(now) else { continue };
            for (household, asked) in &request.asked {
                if !asked.answer.is_pending() || asked.told {
                    continue;
                }
                let Some(known) = inside.state.households.get(household) else { continue };
                let profile: Profile = records.read(&household.to_string(), known.profile)?;
                notices.push(Notice {
                    request: Text(*id),
                    agency: Text(request.agency.clone()),
                    household: Text(*household),
                    contact: profile.contact(),
                    deadline: Text(deadline),
                    unreached: asked.more().unreached,
                    next_try: asked.next_try().map(Text),
                });
            }
        }
        Ok(notices)
    }

    /// The same without those whose next try is still to come.
    ///
    /// # Errors
    ///
    /// As [`Desk::notices`].
    pub fn notices_due(&self) -> Result<Vec<Notice>, Refusal> {
        let now = self.store.trusted_now();
        let mut notices = self.notices()?;
        notices.retain(|notice| notice.next_try.is_none_or(|at| at.0 <= now));
        Ok(notices)
    }

    /// Notes that a household was told of a request, or could not be reached. Neither is an answer.
    ///
    /// # Errors
    ///
    /// `Unknown`.
    pub fn noticed(
        &self,
        id: RequestId,
        household: HouseholdId,
        reached: bool,
    ) -> Result<(), Refusal> {
        self.change(|inside, change| {
            let request = inside.state.requests.get(&id);
            if request.is_none_or(|request| request.asked.get(household).is_none()) {
                return Err(Refusal::Unknown(format!("request {id}: it is not about {household}")));
            }
            change.note(Event::Noticed { request: Text(id), household: Text(household), reached })
        })
    }
}

impl Asked {
    /// When it is tried again; none when it was not tried yet.
    fn next_try(&self) -> Option<Timestamp> {
        let failed = usize::try_from(self.more().unreached).unwrap_or(usize::MAX);
        let wait = NEXT_TRY.get(failed.saturating_sub(1)).or(NEXT_TRY.last())?;
        self.more().tried.map(|tried| tried.saturating_add(*wait))
    }
}
