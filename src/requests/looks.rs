//! Who looked at footage that a request or a post is about.
//!
//! Looking must not wait for a disk, and a player asks for a clip many times. So a look is kept in
//! memory, and noted in the ledger a little later, together with others: once for each viewer and
//! clip and day of trusted time. Looks at footage that nobody asks about are forgotten: what a
//! resident watches is nobody's business.

use std::collections::{BTreeMap, BTreeSet};

use crate::{CameraId, Clip, ClipId, Window};

use super::desk::{Desk, Inside};
use super::event::Event;
use super::state::{Answer, State, day};
use super::text::Text;
use super::{AgencyId, HouseholdId, Refusal};

/// At most so many looks wait to be noted.
pub(super) const WAITING_MAX: usize = 20_000;
/// At most so many noted ones are remembered; behind that a look is noted again the same day.
const NOTED_MAX: usize = 100_000;
/// At most so many clips stand in one entry of the ledger, and so many entries in one batch.
const CLIPS_AN_ENTRY: usize = 500;
const ENTRIES_A_BATCH: usize = 64;

/// Somebody who looks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Viewer {
    /// What stands for them in the ledger: the id of a token, or the name of an agency. Never the
    /// name of a person.
    pub who: String,
    /// The agency, if it is one.
    pub agency: Option<AgencyId>,
}

/// The looks that are to be noted, and those that were.
#[derive(Debug, Default)]
pub(super) struct Looks {
    waiting: BTreeMap<(Viewer, ClipId), (CameraId, Window)>,
    noted: BTreeSet<(Viewer, ClipId)>,
    /// The day of trusted time that `noted` is of.
    day: i64,
}

/// What is to be noted: whose footage who looked at.
type Due = BTreeMap<(HouseholdId, Viewer), Vec<ClipId>>;

impl Looks {
    /// Another day has begun, or too much is remembered: looks are noted again.
    fn roll(&mut self, today: i64) {
        if self.day != today || self.noted.len() >= NOTED_MAX {
            (self.day, self.noted) = (today, BTreeSet::new());
        }
    }
}

impl Desk {
    /// Takes in that `viewer` is about to look at `clips`. Does not wait for a disk.
    ///
    /// # Errors
    ///
    /// `Over` when more looks wait to be noted than there is room for: then nobody may look until
    /// [`Desk::note_looks`] has noted them.
    pub fn looked(&self, viewer: &Viewer, clips: &[Clip]) -> Result<(), Refusal> {
        let today = day(self.store.trusted_now());
        let mut looks = self.looks.lock();
        looks.roll(today);
        for clip in clips {
            let key = (viewer.clone(), clip.id());
            if looks.noted.contains(&key) || looks.waiting.contains_key(&key) {
                continue;
            }
            if looks.waiting.len() >= WAITING_MAX {
                let message = "look: too many looks wait to be noted, try again";
                return Err(Refusal::Over(message.to_owned()));
            }
            looks.waiting.insert(key, (clip.camera().clone(), clip.possible_window()));
        }
        Ok(())
    }

    /// Notes the looks that were taken in, as far as a request or a post is about what was looked
    /// at. A daemon does this every few seconds and when it stops; the audit views do it first.
    ///
    /// # Errors
    ///
    /// `Store` when the ledger cannot be written: they wait on.
    ///
    /// # Durability
    ///
    /// In the ledger when this returns. A crash before it loses the looks of some seconds.
    pub fn note_looks(&self) -> Result<(), Refusal> {
        let today = day(self.store.trusted_now());
        let waiting = {
            let mut looks = self.looks.lock();
            looks.roll(today);
            std::mem::take(&mut looks.waiting)
        };
        if waiting.is_empty() {
            return Ok(());
        }
        let due = due(&self.inside.lock(), &waiting);
        let each = due.iter().flat_map(|((household, viewer), clips)| {
            clips.chunks(CLIPS_AN_ENTRY).map(move |clips| (*household, viewer, clips))
        });
        let each: Vec<(HouseholdId, &Viewer, &[ClipId])> = each.collect();
        for (batch, rest) in each.chunks(ENTRIES_A_BATCH).zip((0..).map(|n| n * ENTRIES_A_BATCH)) {
            if let Err(refusal) = self.note_batch(batch) {
                let missed = each.get(rest..).unwrap_or_default();
                let missed: BTreeSet<(Viewer, ClipId)> = keys(missed).collect();
                let waiting = waiting.into_iter().filter(|(key, _)| missed.contains(key));
                self.looks.lock().waiting.extend(waiting);
                return Err(refusal);
            }
            self.looks.lock().noted.extend(keys(batch));
        }
        Ok(())
    }

    fn note_batch(&self, batch: &[(HouseholdId, &Viewer, &[ClipId])]) -> Result<(), Refusal> {
        self.change(|_, change| {
            for (household, Viewer { who, agency }, clips) in batch {
                change.note(Event::Looked {
                    household: Text(*household),
                    who: who.clone(),
                    agency: agency.clone().map(Text),
                    clips: clips.iter().copied().map(Text).collect(),
                })?;
            }
            Ok(())
        })
    }
}

fn keys<'a>(
    looks: &'a [(HouseholdId, &Viewer, &[ClipId])],
) -> impl Iterator<Item = (Viewer, ClipId)> + 'a {
    looks
        .iter()
        .flat_map(|(_, viewer, clips)| clips.iter().map(|clip| (Viewer::clone(viewer), *clip)))
}

/// The looks at what a request or a post is about, by whose it is.
fn due(inside: &Inside, waiting: &BTreeMap<(Viewer, ClipId), (CameraId, Window)>) -> Due {
    let state = &inside.state;
    let mut due = Due::new();
    let mut about: BTreeMap<HouseholdId, About> = BTreeMap::new();
    for ((viewer, clip), (camera, window)) in waiting {
        let Some(household) = state.cameras.get(camera) else { continue };
        let about = about.entry(*household).or_insert_with(|| About::of(state, *household));
        if about.has(*clip, camera, window) {
            due.entry((*household, viewer.clone())).or_default().push(*clip);
        }
    }
    due
}

/// What of one home a request or a post is about.
#[derive(Debug, Default)]
struct About<'a> {
    asked: Vec<(&'a [CameraId], Window)>,
    clips: BTreeSet<ClipId>,
}

impl<'a> About<'a> {
    fn of(state: &'a State, household: HouseholdId) -> Self {
        let mut about = Self::default();
        let lasting = state.lasting.get(&household).into_iter().flatten();
        let over = lasting.filter(|id| !state.running.contains_key(id));
        for request in state.running.keys().chain(over).filter_map(|id| state.requests.get(id)) {
            let Some(asked) = request.asked.get(household) else { continue };
            let waits = asked.answer.is_pending() || asked.answer == Answer::Screening;
            if waits || !asked.more().orders.is_empty() {
                about.asked.push((&*asked.cameras, request.window));
            }
            if let Answer::Accepted { chosen, .. } | Answer::Disclosed { chosen } = &asked.answer {
                about.clips.extend(chosen.iter().map(|chosen| chosen.clip.0));
            }
        }
        let posts = state.posts.values().filter(|post| post.household == household);
        about.clips.extend(posts.filter(|post| !post.withdrawn).map(|post| post.clip));
        about
    }

    fn has(&self, clip: ClipId, camera: &CameraId, window: &Window) -> bool {
        let asked = |(cameras, asked): &(&[CameraId], Window)| {
            cameras.contains(camera) && asked.meets(window)
        };
        self.clips.contains(&clip) || self.asked.iter().any(asked)
    }
}
