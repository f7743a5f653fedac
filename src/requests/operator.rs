//! What the operator may do: partners, households, orders; screening is in `screening`. No footage.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{CameraId, HoldCause, NewHold, Timestamp, Window};

use super::agency::withdraw;
use super::area::Place;
use super::desk::{ACTOR, Desk};
use super::event::Event;
use super::private::Records;
use super::resident::asked;
use super::state::Stage;
use super::text::Text;
use super::{AgencyId, HouseholdId, Refusal, RequestId};

/// A home with its cameras, as it is registered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewHousehold {
    /// Its cameras, each with a place that is only as exact as the household likes.
    pub cameras: Vec<(Text<CameraId>, Place)>,
    /// How to reach it. Personal: kept beside the ledger.
    pub contact: String,
}

/// What is personal about a household.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Profile(NewHousehold);

impl Profile {
    /// Where its cameras are.
    pub(super) fn places(&self) -> Vec<(CameraId, Place)> {
        self.0.cameras.iter().map(|(camera, place)| (camera.0.clone(), *place)).collect()
    }

    pub(super) fn contact(self) -> String {
        self.0.contact
    }
}

/// A partner department, as everybody may know it: what it knows of its requests itself, and only
/// once they have ended. How many homes were asked, and how many of them said no or nothing, is
/// told of no department: it chooses what it asks about, so that any number over its requests could
/// be one over the one home that it wants to know of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Partner {
    /// Its name.
    pub agency: Text<AgencyId>,
    /// When it joined.
    pub joined: Text<Timestamp>,
    /// Whether it may not ask at present.
    pub suspended: bool,
    /// How many requests it made.
    pub requests: u64,
    /// How many of them were rejected in screening, or not screened in time.
    pub rejected: u64,
    /// How many of them it took back, or were taken back for it when it was suspended.
    pub withdrawn: u64,
    /// How many of them came to their deadline.
    pub closed: u64,
    /// In how many of these something was shared with it.
    pub shared: u64,
}

impl Desk {
    /// Makes a department a partner from now on.
    ///
    /// # Errors
    ///
    /// `Conflict` when it is one already; `Invalid` for a contact above 256 bytes.
    pub fn join_agency(&self, agency: &AgencyId, contact: &str) -> Result<(), Refusal> {
        check_contact(contact)?;
        self.change(|inside, change| {
            if inside.state.agencies.contains_key(agency) {
                return Err(Refusal::Conflict(format!("agency {agency}: it joined before")));
            }
            let records = Records::open(self.store.vfs())?;
            let contact = records.write(&format!("agency-{agency}"), &contact)?;
            change.note(Event::AgencyJoined { agency: Text(agency.clone()), contact })
        })
    }

    /// Suspends a partner: it may neither ask nor fetch, and its running requests are withdrawn.
    ///
    /// # Errors
    ///
    /// `Unknown`. Suspending twice changes nothing.
    pub fn suspend_agency(&self, agency: &AgencyId) -> Result<(), Refusal> {
        self.change(|inside, change| {
            let state = &inside.state;
            let Some(known) = state.agencies.get(agency) else { return Err(unknown(agency)) };
            if known.suspended {
                return Ok(());
            }
            change.note(Event::AgencySuspended { agency: Text(agency.clone()) })
        })?;
        self.withdraw_suspended()
    }

    /// Withdraws what suspended agencies have running, one request at a time: all of it might be
    /// more than one batch of the ledger can have. What a crash leaves over, the next opening does.
    pub(super) fn withdraw_suspended(&self) -> Result<(), Refusal> {
        let running: Vec<RequestId> = {
            let inside = self.inside();
            let state = &inside.state;
            let running = state.running.keys().filter(|id| {
                let request = state.requests.get(*id);
                request.is_some_and(|one| {
                    state.agencies.get(&one.agency).is_some_and(|agency| agency.suspended)
                        && matches!(one.stage, Stage::Screening { .. } | Stage::Open { .. })
                })
            });
            running.copied().collect()
        };
        for id in running {
            self.change(|inside, change| match inside.state.requests.get(&id) {
                Some(request)
                    if matches!(request.stage, Stage::Screening { .. })
                        || request.open_until(change.now()).is_some() =>
                {
                    withdraw(change, id, request)
                }
                _ => Ok(()),
            })?;
        }
        Ok(())
    }

    /// Lets a suspended partner ask again. What was withdrawn stays so.
    ///
    /// # Errors
    ///
    /// `Unknown`.
    pub fn reinstate_agency(&self, agency: &AgencyId) -> Result<(), Refusal> {
        self.change(|inside, change| match inside.state.agencies.get(agency) {
            None => Err(unknown(agency)),
            Some(known) if !known.suspended => Ok(()),
            Some(_) => change.note(Event::AgencyReinstated { agency: Text(agency.clone()) }),
        })
    }

    /// Everybody who is or was a partner. Public.
    #[must_use]
    pub fn partners(&self) -> Vec<Partner> {
        let inside = self.inside();
        let agencies = inside.state.agencies.iter();
        agencies
            .map(|(id, agency)| Partner {
                agency: Text(id.clone()),
                joined: Text(agency.joined),
                suspended: agency.suspended,
                requests: agency.requests,
                rejected: agency.ended.rejected,
                withdrawn: agency.ended.withdrawn,
                closed: agency.ended.closed,
                shared: agency.ended.shared,
            })
            .collect()
    }

    /// Registers a household.
    ///
    /// # Errors
    ///
    /// `Invalid` without cameras, with more than 64, or with a place off the earth; `Conflict` for
    /// a camera that belongs to a household already.
    pub fn join_household(&self, new: &NewHousehold) -> Result<HouseholdId, Refusal> {
        const CAMERAS_MAX: usize = 64;
        check_contact(&new.contact)?;
        if !(1..=CAMERAS_MAX).contains(&new.cameras.len()) {
            let message = format!("household: want 1 to {CAMERAS_MAX} cameras");
            return Err(Refusal::Invalid(message));
        }
        new.cameras.iter().try_for_each(|(_, place)| place.check())?;
        let id = self.change(|inside, change| {
            let state = &inside.state;
            let mut seen = BTreeSet::new();
            for (camera, _) in &new.cameras {
                if state.cameras.contains_key(&camera.0) || !seen.insert(&camera.0) {
                    let message = format!("camera {}: it belongs to a household", camera.0);
                    return Err(Refusal::Conflict(message));
                }
            }
            let id = state.households.keys().next_back().copied().unwrap_or_default().next();
            let records = Records::open(self.store.vfs())?;
            let profile = records.write(&id.to_string(), &Profile(new.clone()))?;
            let cameras = new.cameras.iter().map(|(camera, _)| camera.clone()).collect();
            change.note(Event::HouseholdJoined { household: Text(id), cameras, profile })?;
            Ok(id)
        })?;
        let places = Profile(new.clone()).places();
        self.inside.lock().places.insert(id, places);
        Ok(id)
    }

    /// Serves a court order on all that a household is asked about in a request: see
    /// [`Desk::order_on`].
    ///
    /// # Errors
    ///
    /// As [`Desk::order_on`].
    pub fn order(
        &self,
        id: RequestId,
        household: HouseholdId,
        duration: Duration,
    ) -> Result<crate::HoldId, Refusal> {
        let scope = {
            let inside = self.inside();
            let (request, asked) = asked(&inside.state, household, id)?;
            let all = asked.cameras.iter().map(|camera| (camera.clone(), request.window));
            all.collect::<Vec<_>>()
        };
        self.order_on(id, household, &scope, duration)
    }

    /// Serves a court order on `scope`, which is of what a household is asked about in a request:
    /// that and nothing else is kept for `duration`, also against the resident. What the resident
    /// answers is not touched by it. Releasing the hold takes two persons.
    ///
    /// # Errors
    ///
    /// `Unknown`; `Invalid` for no scope, or one beyond the cameras and the window that the
    /// household is asked about (the court's order on anything else is a hold of its own); `Store`
    /// for a duration of nothing or above 10 years.
    pub fn order_on(
        &self,
        id: RequestId,
        household: HouseholdId,
        scope: &[(CameraId, Window)],
        duration: Duration,
    ) -> Result<crate::HoldId, Refusal> {
        self.change(|inside, change| {
            let (request, asked) = asked(&inside.state, household, id)?;
            let beyond = scope.iter().find(|(camera, window)| {
                !asked.cameras.contains(camera) || !request.window.contains(window)
            });
            if let Some((camera, window)) = beyond {
                return Err(Refusal::Invalid(format!(
                    "order on request {id}: {household} is not asked about {camera} {window}; \
                     place a hold for it"
                )));
            }
            let Some(((camera, window), rest)) = scope.split_first() else {
                return Err(Refusal::Invalid(format!("order on request {id}: want a scope")));
            };
            let first = NewHold::new([camera.clone()], *window);
            let hold = rest
                .iter()
                .fold(first, |hold, (camera, window)| hold.also(camera, *window))
                .cause(HoldCause::Order)
                .reference(format!("order on request {id}"))
                .actor(ACTOR)
                .agency(request.agency.as_str())
                .for_duration(duration);
            let hold = change.tx.place_hold(hold)?;
            let (request, household) = (Text(id), Text(household));
            change.note(Event::Ordered { request, household, hold: Text(hold) })?;
            Ok(hold)
        })
    }
}

fn unknown(agency: &AgencyId) -> Refusal {
    Refusal::Unknown(format!("agency {agency}: it never joined"))
}

fn check_contact(contact: &str) -> Result<(), Refusal> {
    const CONTACT_BYTES_MAX: usize = 256;
    if contact.len() <= CONTACT_BYTES_MAX {
        return Ok(());
    }
    Err(Refusal::Invalid(format!("contact: want at most {CONTACT_BYTES_MAX} bytes")))
}
