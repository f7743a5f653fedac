//! Who did what, when and why: the ledger in words, as much of it as each may know.
//!
//! A home is told all that concerns its cameras. An agency is told what it did itself, and of
//! residents only what its view of the request shows anyway. The operator is told everything but
//! which clips.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::format::entry::{Decision, Entry};
use crate::{CameraId, ClipId, HoldId, Timestamp};

use super::desk::Desk;
use super::event::{Event, NOTE_KIND};
use super::text::Text;
use super::{AgencyId, HouseholdId, Refusal, RequestId};

/// No view has more lines: the newest.
const LINES_MAX: usize = 1_000;

/// Something that somebody did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AuditLine {
    /// When, by trusted time.
    pub at: Text<Timestamp>,
    /// Who: `operator`, `resident`, an agency, a token, `time`, `rule`, or the actor that the
    /// ledger names.
    pub who: String,
    /// What, in words.
    pub what: String,
    /// The request that it belongs to.
    pub request: Option<Text<RequestId>>,
    /// The home that it concerns, if it is one.
    pub household: Option<Text<HouseholdId>>,
    /// The clips that it concerns.
    pub clips: Vec<Text<ClipId>>,
}

/// A line, and who may know of it.
#[derive(Debug)]
struct Known {
    line: AuditLine,
    /// The homes that it concerns.
    homes: BTreeSet<HouseholdId>,
    /// The agency that knows it.
    agency: Option<AgencyId>,
}

impl Desk {
    /// What concerns a home, the newest first.
    ///
    /// # Errors
    ///
    /// `Store` when the ledger cannot be read, or who looked cannot be noted in it.
    pub fn audit_of_household(&self, id: HouseholdId) -> Result<Vec<AuditLine>, Refusal> {
        self.audit_where(|known| known.homes.contains(&id).then_some(known.line))
    }

    /// What an agency did and was told, the newest first. Residents are not named.
    ///
    /// # Errors
    ///
    /// As [`Desk::audit_of_household`].
    pub fn audit_of_agency(&self, id: &AgencyId) -> Result<Vec<AuditLine>, Refusal> {
        self.audit_where(|known| {
            let told = known.agency.as_ref() == Some(id);
            told.then_some(AuditLine { household: None, ..known.line })
        })
    }

    /// What everybody did, the newest first, without saying to which clips.
    ///
    /// # Errors
    ///
    /// As [`Desk::audit_of_household`].
    pub fn audit(&self) -> Result<Vec<AuditLine>, Refusal> {
        self.audit_where(|known| Some(AuditLine { clips: Vec::new(), ..known.line }))
    }

    fn audit_where(
        &self,
        may_know: impl Fn(Known) -> Option<AuditLine>,
    ) -> Result<Vec<AuditLine>, Refusal> {
        self.note_looks()?;
        let mut entries = Vec::new();
        self.store.ledger_entries(0, |entry| entries.push(entry.bytes))?;
        let (mut reader, mut lines) = (Reader::default(), Vec::new());
        for bytes in entries {
            let (entry, _) = Entry::decode(&bytes, &self.store.id())
                .map_err(|damage| crate::Error::corrupt("read ledger").caused_by(damage))?;
            lines.extend(reader.read(&entry).and_then(&may_know));
        }
        lines.reverse();
        lines.truncate(LINES_MAX);
        Ok(lines)
    }
}

/// What the entries before one say, as far as it takes to know whom that one concerns.
#[derive(Debug, Default)]
struct Reader {
    cameras: BTreeMap<CameraId, HouseholdId>,
    requests: BTreeMap<RequestId, Asking>,
    holds: BTreeMap<HoldId, BTreeSet<HouseholdId>>,
    posts: BTreeMap<super::PostId, HouseholdId>,
}

#[derive(Debug)]
struct Asking {
    agency: AgencyId,
    asked: BTreeSet<HouseholdId>,
    /// Those who share something in it now.
    sharing: BTreeSet<HouseholdId>,
}

impl Reader {
    /// What an entry says of somebody, if it does.
    fn read(&mut self, entry: &Entry) -> Option<Known> {
        let at = entry.at;
        match &entry.decision {
            Decision::Application { kind, bytes } if *kind == NOTE_KIND => {
                self.event(at, Event::decode(bytes).ok()?)
            }
            Decision::HoldPlaced(placed) => {
                let homes = self.homes_of(placed.scope.iter().map(|(camera, _)| camera));
                self.holds.insert(placed.hold, homes.clone());
                let until = placed.deadline;
                let what = format!("placed hold {} ({}) until {until}", placed.hold, why(placed));
                Some(known(at, &placed.actor, what).of(homes))
            }
            Decision::HoldReleased { hold, grace_until, actor, reason } => {
                let what = format!("released hold {hold} ({reason}), which ends {grace_until}");
                Some(known(at, actor, what).of(self.holds.get(hold)?.clone()))
            }
            Decision::HoldNarrowed { hold, scope, actor, reason } => {
                let still = self.homes_of(scope.iter().map(|(camera, _)| camera));
                let before = self.holds.insert(*hold, still.clone())?;
                // The others under it are not told that somebody is out of it.
                let out: BTreeSet<_> = before.difference(&still).copied().collect();
                let what = format!("took the home out of hold {hold} ({reason})");
                Some(known(at, actor, what).of(out)).filter(|known| !known.homes.is_empty())
            }
            Decision::HoldLapsed { hold, grace_until } => {
                let what = format!("hold {hold} ran out, and ends {grace_until}");
                Some(known(at, "time", what).of(self.holds.get(hold)?.clone()))
            }
            Decision::ClipDeleted { clip, camera, actor, reason, .. } => {
                let homes = self.homes_of([camera].into_iter());
                let what = format!("deleted a clip ({reason})");
                Some(known(at, actor, what).of(homes).clips([*clip]))
            }
            Decision::SegmentExpired { clips, reason, .. } if *clips > 0 => {
                Some(known(at, "time", format!("{clips} clips expired ({reason})")))
            }
            _ => None,
        }
    }

    fn homes_of<'a>(&self, cameras: impl Iterator<Item = &'a CameraId>) -> BTreeSet<HouseholdId> {
        cameras.filter_map(|camera| self.cameras.get(camera).copied()).collect()
    }

    /// What an event of ours says of somebody.
    fn event(&mut self, at: Timestamp, event: Event) -> Option<Known> {
        match event {
            Event::AgencyJoined { agency, .. } => Some(partner(at, agency.0, "made a partner")),
            Event::AgencySuspended { agency } => Some(partner(at, agency.0, "suspended")),
            Event::AgencyReinstated { agency } => Some(partner(at, agency.0, "reinstated")),
            Event::HouseholdJoined { household, cameras, .. } => {
                self.cameras.extend(cameras.into_iter().map(|camera| (camera.0, household.0)));
                Some(known(at, "operator", "registered the home".to_owned()).home(household.0))
            }
            Event::HouseholdOptedOut { household } => Some(home(at, "opted out", household.0)),
            Event::HouseholdOptedIn { household } => Some(home(at, "opted in", household.0)),
            Event::HouseholdLeft { household } => {
                self.cameras.retain(|_, home| *home != household.0);
                Some(home(at, "left", household.0))
            }
            Event::Posted { post, household, clip, .. } => {
                self.posts.insert(post.0, household.0);
                Some(home(at, "posted a clip", household.0).clips([clip.0]))
            }
            Event::PostWithdrawn { post } => {
                Some(home(at, "took a post out", *self.posts.get(&post.0)?))
            }
            Event::Submitted { request, agency, .. } => {
                let new = Asking {
                    agency: agency.0.clone(),
                    asked: BTreeSet::new(),
                    sharing: BTreeSet::new(),
                };
                self.requests.insert(request.0, new);
                let known = known(at, agency.0.as_str(), "asked".to_owned()).request(request.0);
                Some(known.told(agency.0))
            }
            Event::Matched { request, asked, .. } => {
                let asking = self.requests.get_mut(&request.0)?;
                asking.asked = asked.iter().map(|one| one.household.0).collect();
                let agency = asking.agency.as_str();
                let what = "asks for video, which is held while it is screened".to_owned();
                Some(known(at, agency, what).request(request.0).of(asking.asked.clone()))
            }
            Event::Looked { household, who, agency, clips } => {
                let known = known(at, &who, "looked at footage".to_owned()).home(household.0);
                let known = known.clips(clips.into_iter().map(|clip| clip.0));
                Some(Known { agency: agency.map(|agency| agency.0), ..known })
            }
            // No agency is told: whether an order stands would follow from it.
            Event::WordsDestroyed { request } => {
                let homes = self.requests.get(&request.0)?.asked.clone();
                let what = "destroyed the words of the request".to_owned();
                Some(known(at, "time", what).request(request.0).of(homes))
            }
            Event::TokenKeyDestroyed { number } => {
                let what = format!("destroyed key {number} of the tokens of requests");
                Some(known(at, "time", what))
            }
            Event::AskedLate { request, holds } => {
                let homes = holds.into_iter().map(|(home, _)| home.0).collect();
                let what = "let it through, now that there is room".to_owned();
                Some(known(at, "operator", what).request(request.0).of(homes))
            }
            other => self.course(at, &other).or_else(|| self.answer(at, &other)),
        }
    }

    /// What becomes of a request as a whole: its agency knows, and so does whoever is asked.
    fn course(&self, at: Timestamp, event: &Event) -> Option<Known> {
        let agency = |id: &Text<RequestId>| Some(self.requests.get(&id.0)?.agency.to_string());
        let (id, who, what) = match event {
            Event::Approved { request, by_rule: true, .. } => {
                (request, "rule".to_owned(), "let it through")
            }
            Event::Approved { request, .. } => (request, "operator".to_owned(), "let it through"),
            Event::Rejected { request, timed_out: true } => {
                (request, "time".to_owned(), "rejected it: nobody screened it")
            }
            Event::Rejected { request, .. } => (request, "operator".to_owned(), "rejected it"),
            Event::Renewed { request, .. } => (request, agency(request)?, "gave more time"),
            Event::Withdrawn { request } => (request, agency(request)?, "took it back"),
            Event::Closed { request } => (request, "time".to_owned(), "closed it"),
            _ => return None,
        };
        let asking = self.requests.get(&id.0)?;
        let known = known(at, &who, what.to_owned()).request(id.0).of(asking.asked.clone());
        Some(known.told(asking.agency.clone()))
    }

    /// What one home said, or what was done for it. Its agency knows what it sees in its view of
    /// the request, and of the rest nothing.
    fn answer(&mut self, at: Timestamp, event: &Event) -> Option<Known> {
        let said = |who: &str, what: &str, household: &Text<HouseholdId>| {
            known(at, who, what.to_owned()).home(household.0)
        };
        let (id, known, is_told) = match event {
            Event::Accepted { request, household, chosen, .. } => {
                self.requests.get_mut(&request.0)?.sharing.insert(household.0);
                let known = said("resident", "shared", household);
                (request, known.clips(chosen.iter().map(|one| one.clip.0)), true)
            }
            Event::Revoked { request, household } => {
                self.requests.get_mut(&request.0)?.sharing.remove(&household.0);
                (request, said("resident", "took back what was shared", household), true)
            }
            Event::Disclosed { request, household } => {
                let agency = self.requests.get(&request.0)?.agency.to_string();
                (request, said(&agency, "said that it has what was shared", household), true)
            }
            Event::Unfetched { request, household } => {
                self.requests.get_mut(&request.0)?.sharing.remove(&household.0);
                (request, said("time", "what was shared was not fetched", household), true)
            }
            Event::Fetched { request } => {
                let asking = self.requests.get(&request.0)?;
                let what = "fetched what is shared".to_owned();
                let known = known(at, asking.agency.as_str(), what);
                (request, known.of(asking.sharing.clone()), true)
            }
            Event::Denied { request, household, .. } => {
                (request, said("resident", "said no", household), false)
            }
            Event::DenialUndone { request, household, .. } => {
                (request, said("resident", "took the no back", household), false)
            }
            Event::Erasing { request, household, clip } => {
                let known = said("resident", "erases a clip that is asked for", household);
                (request, known.clips([clip.0]), false)
            }
            Event::Ordered { request, household, .. } => {
                (request, said("operator", "served a court's order", household), false)
            }
            Event::Noticed { request, household, reached } => {
                let what =
                    if *reached { "told the resident" } else { "did not reach the resident" };
                (request, said("operator", what, household), false)
            }
            _ => return None,
        };
        let agency = self.requests.get(&id.0).map(|asking| asking.agency.clone());
        Some(Known { agency: agency.filter(|_| is_told), ..known.request(id.0) })
    }
}

/// Why a hold was placed, in the words of its reference.
fn why(placed: &crate::format::entry::HoldPlaced) -> &str {
    if placed.reference.is_empty() { "by hand" } else { &placed.reference }
}

fn home(at: Timestamp, what: &str, household: HouseholdId) -> Known {
    known(at, "resident", what.to_owned()).home(household)
}

fn partner(at: Timestamp, agency: AgencyId, what: &str) -> Known {
    known(at, "operator", format!("{what}: {agency}")).told(agency)
}

fn known(at: Timestamp, who: &str, what: String) -> Known {
    let (request, household, clips) = (None, None, Vec::new());
    let line = AuditLine { at: Text(at), who: who.to_owned(), what, request, household, clips };
    Known { line, homes: BTreeSet::new(), agency: None }
}

impl Known {
    fn of(mut self, homes: BTreeSet<HouseholdId>) -> Self {
        self.homes = homes;
        self
    }

    fn home(mut self, home: HouseholdId) -> Self {
        self.line.household = Some(Text(home));
        self.homes.insert(home);
        self
    }

    fn request(mut self, id: RequestId) -> Self {
        self.line.request = Some(Text(id));
        self
    }

    fn clips(mut self, clips: impl IntoIterator<Item = ClipId>) -> Self {
        self.line.clips = clips.into_iter().map(Text).collect();
        self
    }

    fn told(mut self, agency: AgencyId) -> Self {
        self.agency = Some(agency);
        self
    }
}
