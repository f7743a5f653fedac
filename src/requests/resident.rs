//! What a resident may do and see: a household and its own cameras.
//!
//! Accepting and denying weigh the same. Saying nothing says nothing.

use serde::Serialize;

use crate::{
    CameraId, Clip, ClipId, ClipState, ErrorKind, HoldCause, HoldId, NewHold, Release,
    ReleaseCause, Timestamp, Window,
};

use super::agency::Submission;
use super::asked::Asked;
use super::desk::{ACTOR, Change, Desk, Inside};
use super::event::{Chosen, Event, Receipt};
use super::private::Records;
use super::state::{Answer, Household, Request, Stage, State};
use super::text::{Span, Text};
use super::{AgencyId, HouseholdId, PostId, Refusal, RequestId};

/// At most this many clips are shared in one answer.
const CHOSEN_MAX: usize = 1024;

/// A request as a resident sees it who is asked, or was.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AskedView {
    /// The request.
    pub request: Text<RequestId>,
    /// Who asks.
    pub agency: Text<AgencyId>,
    /// What the agency says: what happened, and whom to call. None while it is screened, and once
    /// its words are destroyed.
    pub submission: Option<Submission>,
    /// When its words were destroyed, if they were.
    pub words_gone: Option<Text<Timestamp>>,
    /// The time that it is about.
    pub window: Span,
    /// The cameras that it is about.
    pub cameras: Vec<Text<CameraId>>,
    /// `screening`, `pending`, `accepted`, `denied`, `opted-out`, `lapsed`, `withdrawn`,
    /// `rejected`, `not-asked`, `disclosed` or `unfetched`.
    pub answer: &'static str,
    /// Until when the answer can be given, or taken back, or what was shared can be fetched.
    pub until: Option<Text<Timestamp>>,
    /// What was shared.
    pub chosen: Vec<Chosen>,
    /// Every hold of it on these cameras, from the moment that it is placed.
    pub holds: Vec<Text<HoldId>>,
}

/// A clip in the neighbourhood feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FeedItem {
    /// The post.
    pub post: Text<PostId>,
    /// The clip.
    pub clip: Text<ClipId>,
    /// When it was posted.
    pub posted: Text<Timestamp>,
}

impl Desk {
    /// Shares these clips, or parts of them, with the agency that asked. Everything else that the
    /// request held goes free at once.
    ///
    /// # Errors
    ///
    /// `Unknown` when the household is not asked in `id`; `Over` when it answered, or the deadline
    /// passed; `Invalid` for no clip, or one that the request is not about; `Store` for a clip that
    /// is gone.
    pub fn accept(
        &self,
        household: HouseholdId,
        id: RequestId,
        chosen: &[Chosen],
    ) -> Result<(), Refusal> {
        self.change(|inside, change| {
            let (request, asked, hold) = pending(inside, change, household, id)?;
            let clips = self.check_chosen(request, asked, chosen)?;
            let receipt = self.receipt(&clips)?;
            let disclosure = change.tx.place_hold(
                hold_on(&clips)?
                    .cause(HoldCause::Disclosure)
                    .reference(format!("request {id}"))
                    .actor(ACTOR)
                    .agency(request.agency.as_str())
                    .for_duration(self.rules.fetching),
            )?;
            change.release(hold, ReleaseCause::Disclosed, ACTOR)?;
            let until = change.now().saturating_add(self.rules.fetching);
            change.note(Event::Accepted {
                request: Text(id),
                household: Text(household),
                chosen: chosen.to_vec(),
                hold: Text(disclosure),
                until: Text(until),
                receipt,
            })
        })
    }

    /// What a hold on these clips covers today.
    fn receipt(&self, clips: &[Clip]) -> Result<Receipt, Refusal> {
        let mut kept_anyway_until = Timestamp::MAX;
        for clip in clips {
            let own_expiry = self.store.explain(clip.id())?.own_expiry;
            kept_anyway_until = kept_anyway_until.min(own_expiry);
        }
        Ok(Receipt {
            clips: u64::try_from(clips.len()).unwrap_or(u64::MAX),
            bytes: clips.iter().map(Clip::len).fold(0, u64::saturating_add),
            kept_anyway_until: Text(kept_anyway_until),
        })
    }

    /// What is chosen must be there, and must be what the request is about.
    fn check_chosen(
        &self,
        request: &Request,
        asked: &Asked,
        chosen: &[Chosen],
    ) -> Result<Vec<Clip>, Refusal> {
        if !(1..=CHOSEN_MAX).contains(&chosen.len()) {
            let message = format!("accept: want 1 to {CHOSEN_MAX} clips; to share none, deny");
            return Err(Refusal::Invalid(message));
        }
        let mut clips: Vec<Clip> = Vec::new();
        for one in chosen {
            let clip = self.store.clip(one.clip.0)?;
            let refuse =
                |why: &str| Err(Refusal::Invalid(format!("accept: clip {} {why}", one.clip.0)));
            if !asked.cameras.contains(clip.camera())
                || !clip.possible_window().meets(&request.window)
            {
                return refuse("is not what the request is about");
            }
            if clip.state() == ClipState::Recording {
                return refuse("is still being recorded");
            }
            if clips.iter().any(|before| before.id() == clip.id()) {
                return refuse("is chosen twice");
            }
            if let Some(part) = one.part.map(Span::window)
                && !(clip.window().contains(&part) && part.meets(&request.window))
            {
                return refuse("has no such part in the time asked about");
            }
            clips.push(clip);
        }
        Ok(clips)
    }

    /// Says no. What the request held goes free after the time to undo; the agency sees nothing of
    /// it.
    ///
    /// # Errors
    ///
    /// As [`Desk::accept`].
    pub fn deny(&self, household: HouseholdId, id: RequestId) -> Result<(), Refusal> {
        self.change(|inside, change| {
            let (_, _, hold) = pending(inside, change, household, id)?;
            change.release(hold, ReleaseCause::Denied, ACTOR)?;
            let undo_until = change.now().saturating_add(self.rules.undo);
            let (request, household) = (Text(id), Text(household));
            change.note(Event::Denied { request, household, undo_until: Text(undo_until) })
        })
    }

    /// Takes a denial back: the request waits for an answer again.
    ///
    /// # Errors
    ///
    /// `Unknown`; `Over` when there is no denial that can be taken back any more.
    pub fn undo_denial(&self, household: HouseholdId, id: RequestId) -> Result<(), Refusal> {
        self.change(|inside, change| {
            let (request, asked) = asked(&inside.state, household, id)?;
            let now = change.now();
            let (Answer::Denied { undo_until }, Some(deadline)) =
                (&asked.answer, request.open_until(now))
            else {
                return Err(Refusal::Over(format!("request {id}: nothing to take back")));
            };
            if *undo_until <= now {
                return Err(Refusal::Over(format!("request {id}: it was too long ago")));
            }
            let hold = NewHold::new(asked.cameras.iter().cloned(), request.window)
                .cause(HoldCause::Request)
                .reference(format!("request {id}"))
                .actor(ACTOR)
                .agency(request.agency.as_str())
                .for_duration(deadline.since(now));
            let hold = change.tx.place_hold(hold)?;
            let (request, household) = (Text(id), Text(household));
            change.note(Event::DenialUndone { request, household, hold: Text(hold) })
        })
    }

    /// Takes back what was shared, before it was fetched.
    ///
    /// # Errors
    ///
    /// `Unknown`; `Over` when nothing is shared, or the agency has it.
    pub fn revoke(&self, household: HouseholdId, id: RequestId) -> Result<(), Refusal> {
        self.change(|inside, change| {
            let (_, asked) = asked(&inside.state, household, id)?;
            let Answer::Accepted { hold, .. } = asked.answer else {
                return Err(Refusal::Over(format!("request {id}: nothing to take back")));
            };
            revoke(change, household, id, hold)
        })
    }

    /// Deletes a clip of the household's own, also while requests hold it ("deny and erase"): for
    /// this clip they are answered. Only a court order stands above it.
    ///
    /// # Errors
    ///
    /// `Unknown` for a clip of somebody else; `Store` with `Held` under an order, with `Expired`
    /// when it is gone.
    pub fn erase(&self, household: HouseholdId, clip: ClipId) -> Result<(), Refusal> {
        self.change(|inside, change| {
            let found = self.own_clip(&inside.state, household, clip)?;
            let orders = self.store.explain(clip)?.holds;
            if orders.iter().any(|hold| hold.cause() == HoldCause::Order) {
                let message = format!("erase clip {clip}: a court order covers it");
                return Err(crate::Error::new(ErrorKind::Held, message).into());
            }
            for id in inside.state.running.keys() {
                let Some(request) = inside.state.requests.get(id) else { continue };
                let Some(asked) = request.asked.get(household) else { continue };
                if !asked.is_about(request, &found) {
                    continue;
                }
                let (request, household_id) = (Text(*id), Text(household));
                let clip = Text(clip);
                change.note(Event::Erasing { request, household: household_id, clip })?;
                if let Answer::Accepted { hold, chosen, .. } = &asked.answer
                    && chosen.iter().all(|chosen| chosen.clip == clip)
                {
                    revoke(change, household, *id, *hold)?;
                }
            }
            Ok(())
        })?;
        // From here on it goes, whatever happens: opening the desk goes on with what is noted.
        Ok(self.store.erase_clip(clip, "resident", "deny and erase")?)
    }

    /// Is not asked any more, in one step: what waits for an answer is over, and its holds end.
    ///
    /// # Errors
    ///
    /// `Unknown`. Opting out twice changes nothing.
    pub fn opt_out(&self, household: HouseholdId) -> Result<(), Refusal> {
        self.change(|inside, change| {
            if self::household(&inside.state, household)?.opted_out {
                return Ok(());
            }
            let_go(&inside.state, change, household)?;
            change.note(Event::HouseholdOptedOut { household: Text(household) })
        })
    }

    /// Leaves altogether: as if it opted out, and then what is personal about it is destroyed. Its
    /// clips stay its cameras' and die on their own day; its posts are taken out.
    ///
    /// # Errors
    ///
    /// `Unknown`. Leaving twice changes nothing.
    pub fn leave(&self, household: HouseholdId) -> Result<(), Refusal> {
        self.change(|inside, change| {
            if self::household(&inside.state, household)?.left {
                return Ok(());
            }
            let_go(&inside.state, change, household)?;
            let posts = inside.state.posts.iter();
            for (id, post) in posts.filter(|(_, post)| post.household == household) {
                if !post.withdrawn {
                    change.release(post.hold, ReleaseCause::Owner, ACTOR)?;
                    change.note(Event::PostWithdrawn { post: Text(*id) })?;
                }
            }
            change.note(Event::HouseholdLeft { household: Text(household) })
        })?;
        self.inside.lock().places.remove(household);
        // If this is cut off, the next opening does it.
        Ok(Records::open(self.store.vfs())?.destroy(&[household.to_string()])?)
    }

    /// May be asked again, by requests that come from now on.
    ///
    /// # Errors
    ///
    /// `Unknown`.
    pub fn opt_in(&self, household: HouseholdId) -> Result<(), Refusal> {
        self.change(|inside, change| {
            if !self::household(&inside.state, household)?.opted_out {
                return Ok(());
            }
            change.note(Event::HouseholdOptedIn { household: Text(household) })
        })
    }

    /// Puts a clip into the neighbourhood feed, until it is taken out again. No request has
    /// anything to do with it.
    ///
    /// # Errors
    ///
    /// `Unknown` for a clip of somebody else; `Store` for one that is gone.
    pub fn post(&self, household: HouseholdId, clip: ClipId) -> Result<PostId, Refusal> {
        self.change(|inside, change| {
            let found = self.own_clip(&inside.state, household, clip)?;
            let post = inside.state.posts.keys().next_back().copied().unwrap_or_default().next();
            let hold = hold_on(&[found])?.cause(HoldCause::Keep).actor(ACTOR);
            let hold = change.tx.place_hold(hold)?;
            change.note(Event::Posted {
                post: Text(post),
                household: Text(household),
                clip: Text(clip),
                hold: Text(hold),
            })?;
            Ok(post)
        })
    }

    /// Takes a clip out of the feed.
    ///
    /// # Errors
    ///
    /// `Unknown` for a post of somebody else. Doing it twice changes nothing.
    pub fn withdraw_post(&self, household: HouseholdId, id: PostId) -> Result<(), Refusal> {
        self.change(|inside, change| {
            let post = inside.state.posts.get(&id).filter(|post| post.household == household);
            match post {
                None => Err(Refusal::Unknown(format!("post {id}: there is none of yours"))),
                Some(post) if post.withdrawn => Ok(()),
                Some(post) => {
                    change.release(post.hold, ReleaseCause::Owner, ACTOR)?;
                    change.note(Event::PostWithdrawn { post: Text(id) })
                }
            }
        })
    }

    /// What neighbours and partners see: clips that residents posted and did not take out.
    #[must_use]
    pub fn feed(&self) -> Vec<FeedItem> {
        let inside = self.inside();
        let posts = inside.state.posts.iter().filter(|(_, post)| !post.withdrawn);
        // The resident may have deleted the clip since.
        let there = posts.filter(|(_, post)| self.store.clip(post.clip).is_ok());
        there
            .map(|(id, post)| FeedItem {
                post: Text(*id),
                clip: Text(post.clip),
                posted: Text(post.posted),
            })
            .collect()
    }

    /// The clip of a post that was not taken out.
    ///
    /// # Errors
    ///
    /// `Unknown` for a post that is not in the feed.
    pub fn posted(&self, id: PostId) -> Result<ClipId, Refusal> {
        let inside = self.inside();
        let post = inside.state.posts.get(&id).filter(|post| !post.withdrawn);
        post.map(|post| post.clip)
            .ok_or_else(|| Refusal::Unknown(format!("post {id}: it is not in the feed")))
    }

    /// Everything that a household is or was asked, oldest first, from the moment that something
    /// of it is held.
    ///
    /// # Errors
    ///
    /// `Unknown`; `Store` when a private record cannot be read.
    pub fn asked(&self, household: HouseholdId) -> Result<Vec<AskedView>, Refusal> {
        let records = Records::open(self.store.vfs())?;
        let now = self.store.trusted_now();
        let inside = self.inside();
        self::household(&inside.state, household)?;
        let mut views = Vec::new();
        for (id, request) in &inside.state.requests {
            let Some(asked) = request.asked.get(household) else { continue };
            let submission = match asked.answer {
                Answer::Screening | Answer::Rejected | Answer::NotAsked => None,
                _ if request.words_gone.is_some() => None,
                _ => Some(records.read(&id.to_string(), request.paper)?),
            };
            views.push(request.asked_view(*id, asked, submission, now));
        }
        Ok(views)
    }

    fn own_clip(
        &self,
        state: &State,
        household: HouseholdId,
        clip: ClipId,
    ) -> Result<Clip, Refusal> {
        let own = self::household(state, household)?;
        let found = self.store.clip(clip)?;
        if own.cameras.contains(found.camera()) {
            return Ok(found);
        }
        Err(Refusal::Unknown(format!("clip {clip}: there is none of yours")))
    }
}

impl Asked {
    /// Whether `clip` is what this household is asked about.
    fn is_about(&self, request: &Request, clip: &Clip) -> bool {
        self.cameras.contains(clip.camera()) && clip.possible_window().meets(&request.window)
    }
}

impl Request {
    fn asked_view(
        &self,
        id: RequestId,
        asked: &Asked,
        submission: Option<Submission>,
        now: Timestamp,
    ) -> AskedView {
        let mut holds = asked.more().orders.clone();
        let mut shared = Vec::new();
        let (answer, until) = match &asked.answer {
            Answer::Screening => {
                if let Stage::Screening { holds: provisional } = &self.stage {
                    holds.extend(provisional);
                }
                ("screening", None)
            }
            Answer::Pending { hold } => {
                holds.push(*hold);
                match self.open_until(now) {
                    Some(deadline) => ("pending", Some(deadline)),
                    None => ("lapsed", None),
                }
            }
            Answer::Accepted { hold, chosen, until } => {
                holds.push(*hold);
                shared.clone_from(chosen);
                ("accepted", Some(*until))
            }
            Answer::Denied { undo_until } if now < *undo_until => ("denied", Some(*undo_until)),
            Answer::Denied { .. } => ("denied", None),
            Answer::OptedOut => ("opted-out", None),
            Answer::Lapsed => ("lapsed", None),
            Answer::Withdrawn => ("withdrawn", None),
            Answer::Rejected => ("rejected", None),
            Answer::NotAsked => ("not-asked", None),
            Answer::Disclosed { chosen } => {
                shared.clone_from(chosen);
                ("disclosed", None)
            }
            Answer::Unfetched => ("unfetched", None),
        };
        AskedView {
            request: Text(id),
            agency: Text(self.agency.clone()),
            submission,
            words_gone: self.words_gone.map(Text),
            window: self.window.into(),
            cameras: asked.cameras.iter().cloned().map(Text).collect(),
            answer,
            until: until.map(Text),
            chosen: shared,
            holds: holds.into_iter().map(Text).collect(),
        }
    }
}

/// Lets go of all that waits for an answer of `household`.
fn let_go(
    state: &State,
    change: &mut Change<'_, '_>,
    household: HouseholdId,
) -> Result<(), Refusal> {
    for id in state.running.keys() {
        let Some(request) = state.requests.get(id) else { continue };
        let Some(asked) = request.asked.get(household) else { continue };
        match (&asked.answer, &request.stage) {
            (Answer::Pending { hold }, _) => change.release(*hold, ReleaseCause::Owner, ACTOR)?,
            (Answer::Screening, Stage::Screening { holds }) => leave_holds(change, holds, asked)?,
            _ => {}
        }
    }
    Ok(())
}

fn household(state: &State, id: HouseholdId) -> Result<&Household, Refusal> {
    let known = state.households.get(&id);
    known.ok_or_else(|| Refusal::Unknown(format!("household {id}: there is none")))
}

/// What household `household` is asked in request `id`.
pub(super) fn asked(
    state: &State,
    household: HouseholdId,
    id: RequestId,
) -> Result<(&Request, &Asked), Refusal> {
    let request = state.requests.get(&id);
    let asked = request.and_then(|request| Some((request, request.asked.get(household)?)));
    asked.ok_or_else(|| Refusal::Unknown(format!("request {id}: {household} is not asked in it")))
}

/// The same where the answer can still be given.
fn pending<'a>(
    inside: &'a Inside,
    change: &Change<'_, '_>,
    household: HouseholdId,
    id: RequestId,
) -> Result<(&'a Request, &'a Asked, HoldId), Refusal> {
    let (request, asked) = asked(&inside.state, household, id)?;
    match asked.answer {
        Answer::Pending { hold } if request.open_until(change.now()).is_some() => {
            Ok((request, asked, hold))
        }
        _ => Err(Refusal::Over(format!("request {id}: there is no answer to give any more"))),
    }
}

fn revoke(
    change: &mut Change<'_, '_>,
    household: HouseholdId,
    id: RequestId,
    hold: HoldId,
) -> Result<(), Refusal> {
    change.release(hold, ReleaseCause::Denied, ACTOR)?;
    change.note(Event::Revoked { request: Text(id), household: Text(household) })
}

/// Takes the cameras of a household out of provisional holds.
fn leave_holds(
    change: &mut Change<'_, '_>,
    holds: &[HoldId],
    asked: &Asked,
) -> Result<(), Refusal> {
    for id in holds {
        let Some(hold) = change.tx.hold(*id) else { continue };
        let (own, rest): (Vec<_>, Vec<_>) =
            hold.scope().iter().cloned().partition(|(camera, _)| asked.cameras.contains(camera));
        let leave = Release::new(ReleaseCause::Owner, ACTOR);
        if rest.is_empty() {
            change.release(*id, ReleaseCause::Owner, ACTOR)?;
        } else if !own.is_empty() {
            change.tx.narrow_hold(*id, rest, &leave)?;
        }
    }
    Ok(())
}

/// A hold on `clips` and, as far as a window can say so, on nothing else: on the middle of each.
fn hold_on(clips: &[Clip]) -> Result<NewHold, Refusal> {
    let middle = |clip: &Clip| {
        let half = clip.window().duration() / 2;
        let start = clip.window().start().saturating_add(half);
        Window::new(start, start.saturating_add(std::time::Duration::from_micros(1)))
    };
    let mut hold = NewHold::new([], Window::last_instant());
    for clip in clips {
        hold = hold.also(clip.camera(), middle(clip)?);
    }
    Ok(hold)
}
