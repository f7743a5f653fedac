//! The end of a request's words: what was asked, by whom and why.
//!
//! They are personal, of the officer and of whom they are about, and kept while somebody may still
//! decide or prove something by them. Then they are destroyed with their salt, and what the ledger
//! has of them says nothing any more.

use std::time::Duration;

use crate::{HoldState, Timestamp};

use super::desk::Desk;
use super::event::Event;
use super::private::Records;
use super::state::{Answer, Request, State};
use super::text::Text;
use super::{Refusal, RequestId};

/// However long a clip that was fetched is kept, a bundle of it can be made again for no longer.
const WORDS_MOST: Duration = Duration::from_hours(90 * 24);
/// At most so many are destroyed at once: one batch of the ledger, and one sync of the folder.
const WORDS_AT_ONCE: usize = 64;

impl Desk {
    /// Destroys the words of requests that are over, some at a time.
    ///
    /// 1. That they are destroyed is noted in the ledger. A crash before it: they are there, and go
    ///    the next time.
    /// 2. Their records are removed, and the folder is synced. A crash before it: the next opening
    ///    removes the records of what the ledger says is destroyed.
    pub(super) fn destroy_words(&self) -> Result<(), Refusal> {
        let now = self.store.trusted_now();
        if self.without_need(&self.inside().state, now).is_empty() {
            return Ok(());
        }
        let gone = self.change_now(|inside, change| {
            let gone = self.without_need(&inside.state, change.now());
            for id in &gone {
                change.note(Event::WordsDestroyed { request: Text(*id) })?;
            }
            Ok(gone)
        })?;
        let names: Vec<String> = gone.iter().map(ToString::to_string).collect();
        Ok(Records::open(self.store.vfs())?.destroy(&names)?)
    }

    /// The requests whose words nobody needs any more at `now`.
    fn without_need(&self, state: &State, now: Timestamp) -> Vec<RequestId> {
        let over = state.over.range(..=(now, RequestId(u32::MAX))).map(|(_, id)| *id);
        let needless =
            over.filter(|id| state.requests.get(id).is_some_and(|one| !self.is_needed(one, now)));
        needless.take(WORDS_AT_ONCE).collect()
    }

    /// Whether a court's order on a request that is over stands, or what was fetched of it is still
    /// there, so that it can be fetched again.
    fn is_needed(&self, request: &Request, now: Timestamp) -> bool {
        let stands = |hold| {
            self.store.hold(hold).is_ok_and(|hold| match hold.state() {
                HoldState::Active => now < hold.deadline(),
                HoldState::Grace { until } => now < until,
                HoldState::Ended => false,
            })
        };
        let may_fetch = now < request.changed.saturating_add(WORDS_MOST);
        request.asked.values().any(|asked| {
            let fetched = match &asked.answer {
                Answer::Disclosed { chosen } if may_fetch => chosen.as_slice(),
                _ => &[],
            };
            asked.more().orders.iter().any(|hold| stands(*hold))
                || fetched.iter().any(|one| self.store.clip(one.clip.0).is_ok())
        })
    }
}
