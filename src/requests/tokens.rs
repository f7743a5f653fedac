//! What tells incidents and submissions apart, for as long as that is needed.
//!
//! The ledger is kept for ever, and has three tokens of each request: keyed hashes, from which it
//! follows whether two requests are about one incident and whether a submission came before. The
//! keys are private records. One is in use for a period of trusted time, is looked under for
//! another one, and is destroyed then: whoever has the whole folder and guesses the number of an
//! incident cannot find out any more whether he is right.
//!
//! Must never: forget a submission that could be taken in once more. A period is at least as long
//! as a window may lie back, so that what came under a destroyed key is too old to be asked again.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::{Timestamp, Window};

use super::agency::Submission;
use super::desk::{Change, Desk, Inside};
use super::event::Event;
use super::private::{Commitment, Key, Records};
use super::state::State;
use super::{AgencyId, Refusal, RequestId, Rules};

/// A key is in use for so long, and looked under for as long again.
const PERIOD: Duration = Duration::from_hours(60 * 24);

/// What the ledger says of keys, and what was submitted under those that are there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    /// By the number of the key.
    periods: BTreeMap<u32, Period>,
    /// The number of the key that was made last. What came before any was made is under key 0,
    /// which was the only one of a store that an early build made.
    newest: u32,
    /// When each agency last submitted something under a key that is destroyed.
    forgotten: BTreeMap<AgencyId, Timestamp>,
}

/// What was submitted under one key.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Period {
    /// What the key's record is compared with; none for key 0.
    key: Option<Commitment>,
    begun: Timestamp,
    /// Where in the ledger the last submission stands.
    last_position: u64,
    /// When each agency submitted last.
    last: BTreeMap<AgencyId, Timestamp>,
    /// By the token of the key that the agency gave: the request, and the token of the whole.
    submissions: BTreeMap<Commitment, (RequestId, Commitment)>,
    /// What was asked for about each incident; an incident is one agency's.
    incidents: BTreeMap<Commitment, Spent>,
}

/// What was asked for about an incident.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spent {
    pub(super) requests: usize,
    /// Square metre minutes.
    pub(super) cost: u64,
}

/// The three tokens of a submission under one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) incident: Commitment,
    pub(super) key: Commitment,
    pub(super) fingerprint: Commitment,
}

impl Key {
    /// The tokens of what `agency` submits, of which `whole` is the text.
    pub(super) fn marks(&self, agency: &AgencyId, submission: &Submission, whole: &str) -> Marks {
        let agency = agency.as_str();
        Marks {
            incident: self.token(&["incident", agency, &submission.incident]),
            key: self.token(&["key", agency, &submission.key]),
            fingerprint: self.token(&["submission", agency, whole]),
        }
    }
}

impl Tokens {
    pub(super) fn begin(&mut self, number: u32, key: Commitment, at: Timestamp) {
        self.newest = self.newest.max(number);
        self.periods.insert(number, Period::new(Some(key), at));
    }

    pub(super) fn destroy(&mut self, number: u32) {
        let Some(period) = self.periods.remove(&number) else { return };
        for (agency, last) in period.last {
            let before = self.forgotten.entry(agency).or_insert(last);
            *before = last.max(*before);
        }
    }

    /// Takes in a submission that is noted at `position`, at `at`.
    pub(super) fn submit(
        &mut self,
        (agency, request): (&AgencyId, RequestId),
        marks: Marks,
        cost: u64,
        (at, position): (Timestamp, u64),
    ) {
        let period = self.periods.entry(self.newest).or_insert_with(|| Period::new(None, at));
        period.last_position = position;
        period.last.insert(agency.clone(), at);
        period.submissions.insert(marks.key, (request, marks.fingerprint));
        let about = period.incidents.entry(marks.incident).or_default();
        about.requests += 1;
        about.cost = about.cost.saturating_add(cost);
    }

    /// Whether a private record is a key that is not destroyed.
    pub(super) fn is_named(&self, record: &str) -> bool {
        self.periods.keys().any(|number| name_of(*number) == record)
    }

    /// The keys that the ledger names.
    ///
    /// # Errors
    ///
    /// `NotFound` when one is missing, `Corrupt` when one is another than the ledger says: without
    /// it nobody could tell whether a submission came before.
    pub(super) fn keys(&self, records: &Records<'_>) -> crate::Result<BTreeMap<u32, Key>> {
        let periods = self.periods.iter();
        periods
            .map(|(number, period)| Ok((*number, records.key(&name_of(*number), period.key)?)))
            .collect()
    }

    /// The key that is in use at `now`, if there is one.
    fn in_use(&self, now: Timestamp, period: Duration) -> Option<u32> {
        let (number, newest) = self.periods.last_key_value()?;
        (now < newest.begun.saturating_add(period)).then_some(*number)
    }
}

impl Period {
    fn new(key: Option<Commitment>, begun: Timestamp) -> Self {
        let (last, submissions, incidents) = Default::default();
        Self { key, begun, last_position: 0, last, submissions, incidents }
    }
}

impl State {
    /// The keys that nobody needs any more at `now`: none of what came under them can be asked
    /// again, and none of it is still running.
    fn needless_keys(&self, now: Timestamp, period: Duration) -> Vec<u32> {
        let oldest = self.running.keys().next().and_then(|id| self.requests.get(id));
        let oldest = oldest.map_or(u64::MAX, |request| request.position);
        let needless = self.tokens.periods.iter().filter(|(_, one)| {
            one.begun.saturating_add(2 * period) <= now && one.last_position < oldest
        });
        needless.map(|(number, _)| *number).collect()
    }
}

impl Inside {
    /// The keys that are there, with what came under each.
    fn remembered(&self) -> impl Iterator<Item = (&Key, &Period)> {
        let periods = self.state.tokens.periods.iter();
        periods.filter_map(|(number, period)| Some((self.keys.get(number)?, period)))
    }

    /// The request that this submission made when it came before.
    ///
    /// # Errors
    ///
    /// `Conflict` when its key was used for another submission.
    pub(super) fn came_before(
        &self,
        agency: &AgencyId,
        submission: &Submission,
        whole: &str,
    ) -> Result<Option<RequestId>, Refusal> {
        for (key, period) in self.remembered() {
            let marks = key.marks(agency, submission, whole);
            match period.submissions.get(&marks.key) {
                None => {}
                Some((before, whole)) if *whole == marks.fingerprint => return Ok(Some(*before)),
                Some(_) => {
                    let (key, why) = (&submission.key, "it was used for another submission");
                    return Err(Refusal::Conflict(format!("key {key:?}: {why}")));
                }
            }
        }
        Ok(None)
    }

    /// What was asked for so far about the incident of this submission.
    pub(super) fn spent(&self, agency: &AgencyId, submission: &Submission) -> Spent {
        let mut spent = Spent::default();
        for (key, period) in self.remembered() {
            let incident = key.marks(agency, submission, "").incident;
            if let Some(about) = period.incidents.get(&incident) {
                spent.requests += about.requests;
                spent.cost = spent.cost.saturating_add(about.cost);
            }
        }
        spent
    }

    /// Checks that whatever `agency` asked about this window before is remembered. With the same
    /// rules it always is; where windows may lie further back than they might when a key was
    /// destroyed, what came under it must neither come in again nor be asked beyond its budget.
    ///
    /// # Errors
    ///
    /// `Invalid` for a window that it is not.
    pub(super) fn check_remembered(
        &self,
        agency: &AgencyId,
        window: Window,
    ) -> Result<(), Refusal> {
        match self.state.tokens.forgotten.get(agency) {
            Some(until) if window.start() < *until => Err(Refusal::Invalid(format!(
                "window: it begins before {until}, and what {agency} asked until then is not \
                 remembered any more"
            ))),
            _ => Ok(()),
        }
    }
}

impl Change<'_, '_> {
    /// The tokens of a submission that is taken in: under the key in use, which is made when there
    /// is none.
    ///
    /// # Durability
    ///
    /// A key that is made is on disk before the ledger names it, in one batch with the first
    /// submission under it. A crash before that: the next opening removes the record.
    pub(super) fn marks(
        &mut self,
        inside: &Inside,
        (rules, records): (&Rules, &Records<'_>),
        (agency, submission, whole): (&AgencyId, &Submission, &str),
    ) -> Result<Marks, Refusal> {
        let tokens = &inside.state.tokens;
        let in_use = tokens.in_use(self.now(), rules.period());
        if let Some(key) = in_use.and_then(|number| inside.keys.get(&number)) {
            return Ok(key.marks(agency, submission, whole));
        }
        let number = tokens.newest.saturating_add(1);
        let (key, commitment) = records.make_key(&name_of(number))?;
        let marks = key.marks(agency, submission, whole);
        self.note(Event::TokenKeyMade { number, key: commitment })?;
        self.made = Some((number, key));
        Ok(marks)
    }
}

impl Rules {
    /// For how long a key of tokens is in use.
    fn period(&self) -> Duration {
        self.reach.max(PERIOD)
    }
}

impl Desk {
    /// Destroys the keys of tokens that nobody needs any more.
    ///
    /// 1. That they are destroyed is noted in the ledger. A crash before it: they are there, and go
    ///    the next time.
    /// 2. Their records are removed, and the folder is synced. A crash before it: the next opening
    ///    removes the records of what the ledger says is destroyed.
    pub(super) fn destroy_keys(&self) -> Result<(), Refusal> {
        let (now, period) = (self.store.trusted_now(), self.rules.period());
        if self.inside().state.needless_keys(now, period).is_empty() {
            return Ok(());
        }
        let gone = self.change_now(|inside, change| {
            let gone = inside.state.needless_keys(change.now(), period);
            for number in &gone {
                change.note(Event::TokenKeyDestroyed { number: *number })?;
            }
            Ok(gone)
        })?;
        self.inside().keys.retain(|number, _| !gone.contains(number));
        let names: Vec<String> = gone.into_iter().map(name_of).collect();
        Ok(Records::open(self.store.vfs())?.destroy(&names)?)
    }
}

/// The record of a key.
fn name_of(number: u32) -> String {
    if number == 0 { "key".to_owned() } else { format!("key-{number}") }
}
