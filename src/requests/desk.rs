//! The desk: everything that is decided about requests goes over it.
//!
//! Owns the state and its changes. What the agency, the resident and the operator may do is in
//! files of their own, all of them methods of [`Desk`].

use std::collections::{BTreeMap, BTreeSet};

use crate::store::{Store, Transaction};
use crate::sync::{Mutex, MutexGuard};
use crate::{
    ClipId, Error, ErrorKind, Hold, HoldCause, HoldId, HoldState, Release, ReleaseCause, Timestamp,
};

use super::event::{Event, NOTE_KIND};
use super::looks::Looks;
use super::operator::Profile;
use super::places::Places;
use super::private::{Key, Records};
use super::screening::let_through;
use super::state::{Answer, Stage, State};
use super::text::Text;
use super::{HouseholdId, Refusal, RequestId, Rules};

/// Requests over one store. Use one desk a store: it keeps in memory what the ledger says.
#[derive(Debug)]
pub struct Desk {
    pub(super) store: Store,
    pub(super) rules: Rules,
    /// Taken before anything of the store is.
    pub(super) inside: Mutex<Inside>,
    /// Apart, because who looks must not wait for what is being decided. Never held while anything
    /// else is taken.
    pub(super) looks: Mutex<Looks>,
}

/// What is under the desk's lock.
#[derive(Debug, Default)]
pub(super) struct Inside {
    pub(super) state: State,
    /// Where cameras are, roughly: from the private records.
    pub(super) places: Places,
    /// The keys of tokens that are not destroyed, by their numbers.
    pub(super) keys: BTreeMap<u32, Key>,
    /// How many jumps of trusted time `state` has taken in.
    catch_ups: usize,
}

impl Inside {
    /// Takes in what trusted time jumped by meanwhile.
    fn catch_up(&mut self, store: &Store) {
        for jump in store.catch_ups(self.catch_ups) {
            self.state.catch_up(jump);
            self.catch_ups += 1;
        }
    }
}

/// A change that is being decided: the store's transaction, and what to note in it.
#[derive(Debug)]
pub(super) struct Change<'a, 'b> {
    pub(super) tx: &'a mut Transaction<'b>,
    events: Vec<(Event, u64)>,
    /// The key of tokens that was made for it.
    pub(super) made: Option<(u32, Key)>,
}

impl Change<'_, '_> {
    pub(super) fn now(&self) -> Timestamp {
        self.tx.now()
    }

    /// Notes what happened.
    pub(super) fn note(&mut self, event: Event) -> Result<(), Refusal> {
        let bytes = event.encode().map_err(|error| Refusal::Invalid(error.to_string()))?;
        let position = self.tx.note(NOTE_KIND, bytes)?;
        self.events.push((event, position));
        Ok(())
    }

    /// Releases a hold of ours; one that is over already stays so.
    pub(super) fn release(
        &mut self,
        hold: HoldId,
        cause: ReleaseCause,
        actor: &str,
    ) -> Result<(), Refusal> {
        Ok(self.tx.release_hold(hold, &Release::new(cause, actor))?)
    }
}

impl Desk {
    /// Opens the desk of `store`: reads what the ledger says of requests, destroys private records
    /// of decisions that a crash prevented, and goes on erasing what residents had begun to erase.
    ///
    /// # Errors
    ///
    /// `Invalid` for rules that [`Rules::check`] refuses; `Store` when the ledger or a private
    /// record cannot be read, or a note is of a later version.
    pub fn open(store: Store, rules: Rules) -> Result<Self, Refusal> {
        rules.check()?;
        let mut state = State::default();
        let mut wrong = None;
        store.notes(0, |note| {
            if note.kind != NOTE_KIND || wrong.is_some() {
                return;
            }
            match Event::decode(&note.bytes) {
                Ok(event) => state.apply(event, note.at, note.position),
                Err(error) => {
                    let message = format!("ledger entry {}: an unknown note", note.position);
                    wrong = Some(Error::new(ErrorKind::Unsupported, message).caused_by(error));
                }
            }
        })?;
        if let Some(error) = wrong {
            return Err(error.into());
        }
        let records = Records::open(store.vfs())?;
        records.sweep(|name| is_named(&state, name))?;
        let keys = state.tokens.keys(&records)?;
        let mut places = Places::default();
        for (id, household) in state.households.iter().filter(|(_, home)| !home.left) {
            let profile: Profile = records.read(&id.to_string(), household.profile)?;
            places.insert(*id, profile.places());
        }
        let inside = Mutex::new(Inside { state, places, keys, catch_ups: 0 });
        let desk = Self { store, rules, inside, looks: Mutex::default() };
        desk.resume_erasing()?;
        desk.withdraw_suspended()?;
        desk.settle()?;
        Ok(desk)
    }

    /// The store underneath.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Whether a request or a post relies on `hold`: it is ended by them alone. What a court
    /// ordered is not among them.
    #[must_use]
    pub fn relies_on(hold: &Hold) -> bool {
        hold.actor() == ACTOR && hold.cause() != HoldCause::Order
    }

    /// What the desk knows, with the deadlines that count now. Ask for the time before this: a jump
    /// of trusted time that comes in between then makes no deadline look over that is not.
    pub(super) fn inside(&self) -> MutexGuard<'_, Inside> {
        let mut inside = self.inside.lock();
        inside.catch_up(&self.store);
        inside
    }

    /// Decides something: what `decide` notes and does with holds is durable as one when this
    /// returns, and nothing of it happened when this fails.
    pub(super) fn change<T>(
        &self,
        decide: impl FnOnce(&Inside, &mut Change<'_, '_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.settle()?;
        self.change_now(decide)
    }

    pub(super) fn change_now<T>(
        &self,
        decide: impl FnOnce(&Inside, &mut Change<'_, '_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mut inside = self.inside.lock();
        let (answer, events, made, at) = self.store.transact(|tx| {
            // While this decides, trusted time does not jump.
            inside.catch_up(&self.store);
            let at = tx.now();
            let mut change = Change { tx, events: Vec::new(), made: None };
            let answer = decide(&inside, &mut change)?;
            Ok::<_, Refusal>((answer, change.events, change.made, at))
        })?;
        inside.keys.extend(made);
        for (event, position) in events {
            inside.state.apply(event, at, position);
        }
        Ok(answer)
    }

    /// Ends what trusted time has ended: screening (also what a rule lets through), deadlines, the
    /// time to fetch, the words of requests that are over, and keys of tokens. Every command does
    /// this first; a daemon does it now and then.
    ///
    /// # Errors
    ///
    /// `Store` when the ledger cannot be written.
    pub fn settle(&self) -> Result<(), Refusal> {
        let now = self.store.trusted_now();
        // After weeks without power there may be more to end than one batch of the ledger takes.
        while !self.inside().state.ended(now, 1).is_empty() {
            self.change_now(|inside, change| {
                let due = inside.state.ended(now, HOLDS_AT_ONCE);
                let some = at_once(due.iter().map(|due| inside.state.holds_of(due)));
                for due in due.iter().take(some) {
                    end(&inside.state, change, due, &self.rules)?;
                }
                Ok(())
            })?;
        }
        self.destroy_words()?;
        self.destroy_keys()
    }

    /// What does not agree between requests and holds: nothing, ever. For tests and checks.
    #[must_use]
    pub fn disagreements(&self) -> Vec<String> {
        let now = self.store.trusted_now();
        let inside = self.inside();
        let (needed, mut found) = inside.state.needed();
        for (hold, until, what) in &needed {
            // Past its time the hold may have lapsed before the request is settled.
            let protects = self.store.hold(*hold).is_ok_and(|hold| hold.protects());
            if !protects && now < *until {
                found.push(format!("{what} without its hold {hold}"));
            }
        }
        let mut caused: BTreeSet<HoldId> = needed.iter().map(|(hold, ..)| *hold).collect();
        let requests = inside.state.requests.values();
        caused
            .extend(requests.flat_map(|r| r.asked.values()).flat_map(|asked| &asked.more().orders));
        caused.extend(inside.state.posts.values().map(|post| post.hold));
        let ours = self.store.holds().into_iter().filter(|hold| hold.actor() == ACTOR);
        for hold in ours.filter(|hold| hold.state() == HoldState::Active) {
            if !caused.contains(&hold.id()) && now < hold.deadline() {
                found.push(format!("hold {} without a request", hold.id()));
            }
        }
        found
    }

    /// Erases the clips whose erasing was noted and then interrupted.
    fn resume_erasing(&self) -> Result<(), Refusal> {
        let erasing: Vec<ClipId> = {
            let inside = self.inside.lock();
            let asked = inside.state.requests.values().flat_map(|request| request.asked.values());
            asked.flat_map(|asked| asked.more().erased.iter().copied()).collect()
        };
        erasing.into_iter().try_for_each(|clip| self.erase_noted(clip))
    }

    /// Erases a clip whose erasing is noted; one that is gone is gone.
    pub(super) fn erase_noted(&self, clip: ClipId) -> Result<(), Refusal> {
        match self.store.erase_clip(clip, "resident", "deny and erase") {
            // An order came in between: the court has the last word.
            Err(error)
                if !matches!(
                    error.kind(),
                    ErrorKind::Expired | ErrorKind::NotFound | ErrorKind::Held
                ) =>
            {
                Err(error.into())
            }
            _ => Ok(()),
        }
    }
}

/// Who places the holds of this layer, as the ledger has it.
pub(super) const ACTOR: &str = "requests";

/// What is ended in one batch of the ledger has about as many holds at most; one request may have
/// as many alone.
const HOLDS_AT_ONCE: usize = 1024;

/// Something that time has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Screening(RequestId),
    Rule(RequestId),
    Deadline(RequestId),
    Fetching(RequestId, HouseholdId),
}

impl State {
    /// The holds that requests need now, until when and for what; and what cannot be.
    fn needed(&self) -> (Vec<(HoldId, Timestamp, String)>, Vec<String>) {
        let (mut needed, mut wrong) = (Vec::new(), Vec::new());
        for (id, request) in &self.requests {
            if let Stage::Screening { holds } = &request.stage {
                let until = request.screened_by;
                let all_left = request.asked.values().all(|asked| asked.answer == Answer::OptedOut);
                let holds = holds.iter().filter(|_| !all_left);
                needed.extend(holds.map(|hold| (*hold, until, format!("{id}: screening"))));
            }
            for (household, asked) in &request.asked {
                let what = format!("{id} of {household}");
                match (&asked.answer, &request.stage) {
                    (Answer::Pending { hold }, Stage::Open { deadline }) => {
                        needed.push((*hold, *deadline, what));
                    }
                    (Answer::Pending { .. }, _) => {
                        wrong.push(format!("{what}: it is asked although that is over"));
                    }
                    (Answer::Accepted { hold, until, .. }, _) => {
                        needed.push((*hold, *until, what));
                    }
                    _ => {}
                }
            }
        }
        (needed, wrong)
    }

    /// How many holds something that has ended has at most.
    fn holds_of(&self, due: &Due) -> usize {
        match due {
            Due::Screening(id) | Due::Rule(id) | Due::Deadline(id) => {
                self.requests.get(id).map_or(0, |request| request.asked.len())
            }
            Due::Fetching(..) => 1,
        }
    }

    /// What time has ended at `now`: as many as are wanted, and the rest of the last request.
    fn ended(&self, now: Timestamp, wanted: usize) -> Vec<Due> {
        let mut ended = Vec::new();
        for (_, id) in self.due.range(..=(now, RequestId(u32::MAX))) {
            if ended.len() >= wanted {
                break;
            }
            let Some(request) = self.requests.get(id) else { continue };
            match &request.stage {
                Stage::Screening { .. } if request.screened_by <= now => {
                    ended.push(Due::Screening(*id));
                }
                Stage::Screening { .. } if request.by_rule => ended.push(Due::Rule(*id)),
                Stage::Open { deadline } if *deadline <= now => ended.push(Due::Deadline(*id)),
                _ => {}
            }
            for (household, asked) in &request.asked {
                if matches!(&asked.answer, Answer::Accepted { until, .. } if *until <= now) {
                    ended.push(Due::Fetching(*id, *household));
                }
            }
        }
        ended
    }
}

/// How many of the things that have ended, each with so many holds, are put on record at once.
fn at_once(holds: impl Iterator<Item = usize>) -> usize {
    let mut so_far = 0_usize;
    let fits = holds.take_while(|more| {
        let is_first = so_far == 0;
        so_far = so_far.saturating_add(more.saturating_add(1));
        is_first || so_far <= HOLDS_AT_ONCE
    });
    fits.count()
}

/// Puts on record that something has ended, with the holds that end with it.
fn end(
    state: &State,
    change: &mut Change<'_, '_>,
    due: &Due,
    rules: &Rules,
) -> Result<(), Refusal> {
    match due {
        Due::Rule(id) => match state.requests.get(id) {
            Some(request) => let_through(change, *id, request, rules.answering, true).map(drop),
            None => Ok(()),
        },
        Due::Screening(id) => {
            if let Some(Stage::Screening { holds }) = state.requests.get(id).map(|r| &r.stage) {
                for hold in holds {
                    change.release(*hold, ReleaseCause::Rejected, ACTOR)?;
                }
            }
            change.note(Event::Rejected { request: Text(*id), timed_out: true })
        }
        Due::Deadline(id) => {
            let asked = state.requests.get(id).into_iter().flat_map(|r| r.asked.values());
            for asked in asked {
                if let Answer::Pending { hold } = asked.answer {
                    change.tx.lapse_hold(hold);
                }
            }
            change.note(Event::Closed { request: Text(*id) })
        }
        Due::Fetching(id, household) => {
            let asked = state.requests.get(id).and_then(|r| r.asked.get(*household));
            if let Some(Answer::Accepted { hold, .. }) = asked.map(|asked| &asked.answer) {
                change.tx.lapse_hold(*hold);
            }
            change.note(Event::Unfetched { request: Text(*id), household: Text(*household) })
        }
    }
}

/// Whether a private record belongs to something that happened.
fn is_named(state: &State, name: &str) -> bool {
    let household =
        name.parse().is_ok_and(|id| state.households.get(&id).is_some_and(|home| !home.left));
    let request = name.parse().is_ok_and(|id| {
        state.requests.get(&id).is_some_and(|request| request.words_gone.is_none())
    });
    let agency = name.strip_prefix("agency-").and_then(|id| id.parse().ok());
    let agency = agency.is_some_and(|id| state.agencies.contains_key(&id));
    household || request || agency || state.tokens.is_named(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_goes_on_record_in_parts_that_the_ledger_takes() {
        let at_once = |holds: &[usize]| at_once(holds.iter().copied());
        assert_eq!(at_once(&[]), 0);
        assert_eq!(at_once(&[1024]), 1, "one request is never too much");
        assert_eq!(at_once(&[1024, 0]), 1);
        assert_eq!(at_once(&[0; 2000]), HOLDS_AT_ONCE);
        assert_eq!(at_once(&[19; 2000]), HOLDS_AT_ONCE / 20);
    }
}
