//! Who gives up a hold, and why.
//!
//! Owns the rule that an order takes two persons. Changes nothing by itself.

use super::scope::check_text;
use super::{HoldCause, ReleaseCause};
use crate::format::entry::Decision;
use crate::types::{Error, Result};

/// Somebody's wish to end a hold, or a part of it.
///
/// An order takes two different persons: one alone, by mistake or under pressure, cannot lift it.
///
/// # Example
///
/// ```
/// use clipkeep::{Release, ReleaseCause};
///
/// let release = Release::new(ReleaseCause::Ended, "j.doe")
///     .second_actor("m.roe")
///     .reason("order 19-CV-12 expired");
/// ```
#[derive(Clone, Debug)]
pub struct Release {
    cause: ReleaseCause,
    actor: String,
    second_actor: Option<String>,
    reason: String,
}

impl Release {
    /// A release because of `cause` by `actor`.
    #[must_use]
    pub fn new(cause: ReleaseCause, actor: impl Into<String>) -> Self {
        Self { cause, actor: actor.into(), second_actor: None, reason: String::new() }
    }

    /// The second person, required for an order. Default: none.
    #[must_use]
    pub fn second_actor(mut self, actor: impl Into<String>) -> Self {
        self.second_actor = Some(actor.into());
        self
    }

    /// Why, in words. Default: empty.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    pub(crate) fn cause(&self) -> ReleaseCause {
        self.cause
    }

    /// As the ledger keeps it: both names, joined by ` + `.
    pub(crate) fn actors(&self) -> String {
        match &self.second_actor {
            Some(second) => format!("{} + {second}", self.actor),
            None => self.actor.clone(),
        }
    }

    /// As the ledger keeps it: the cause, and the words behind it.
    pub(crate) fn full_reason(&self) -> String {
        if self.reason.is_empty() {
            self.cause.name().to_owned()
        } else {
            format!("{}: {}", self.cause, self.reason)
        }
    }

    /// Whether it may end a hold of `cause`, wholly or in part.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when the cause does not fit, nobody is named, one person is missing for an
    /// order, or a text breaks its limit.
    pub(crate) fn check(&self, cause: HoldCause) -> Result<()> {
        check_text("actor", &self.actors())?;
        check_text("reason", &self.full_reason())?;
        if !self.cause.releases(cause) {
            return Err(Error::invalid(format!(
                "release {cause} hold as {}: not a reason to release it",
                self.cause
            )));
        }
        if self.actor.trim().is_empty() {
            return Err(Error::invalid(format!("release {cause} hold: want an actor")));
        }
        if cause == HoldCause::Order && !self.has_two_persons() {
            return Err(Error::invalid("release order hold: want two different actors"));
        }
        Ok(())
    }

    fn has_two_persons(&self) -> bool {
        let first = self.actor.trim().to_lowercase();
        self.second_actor.as_ref().is_some_and(|second| {
            let second = second.trim().to_lowercase();
            !second.is_empty() && second != first
        })
    }
}

/// What releasing a hold comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReleaseOutcome {
    /// These decisions, in one commit.
    Append(Vec<Decision>),
    /// It was released, lapsed or ended before: nothing to write, the old record stands.
    AlreadyReleased,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::entry::TEXT_BYTES_MAX;

    #[test]
    fn an_order_takes_two_different_persons() {
        let one = Release::new(ReleaseCause::Ended, "Ann");
        assert!(one.check(HoldCause::Order).is_err());
        for same in ["Ann", " ann ", "ANN", "", " "] {
            assert!(one.clone().second_actor(same).check(HoldCause::Order).is_err(), "{same:?}");
        }
        assert!(one.second_actor("Bob").check(HoldCause::Order).is_ok());
    }

    #[test]
    fn only_its_end_releases_an_order_and_only_its_owner_a_keep() {
        use ReleaseCause::{Denied, Disclosed, Ended, Owner, Rejected, Withdrawn};
        for cause in [Denied, Disclosed, Ended, Owner, Rejected, Withdrawn] {
            let release = Release::new(cause, "Ann").second_actor("Bob");
            assert_eq!(release.check(HoldCause::Order).is_ok(), cause == Ended, "{cause}");
            assert_eq!(release.check(HoldCause::Keep).is_ok(), cause == Owner, "{cause}");
        }
    }

    #[test]
    fn a_cause_without_grace_cannot_skip_a_requests_undo() {
        let rejected = Release::new(ReleaseCause::Rejected, "Ann");
        assert!(rejected.check(HoldCause::Provisional).is_ok());
        assert!(rejected.check(HoldCause::Request).is_err());
    }

    #[test]
    fn nameless_and_overlong_releases_are_refused() {
        assert!(Release::new(ReleaseCause::Denied, " ").check(HoldCause::Request).is_err());
        let half = "x".repeat(TEXT_BYTES_MAX / 2);
        let joined = Release::new(ReleaseCause::Denied, &half).second_actor(&half);
        assert!(joined.check(HoldCause::Request).is_err());
    }
}
