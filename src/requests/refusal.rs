//! Why something was refused, and what to do about it.

use std::error;
use std::fmt;

use crate::{Error, ErrorKind};

/// Why a command changed nothing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// It breaks a rule that the message names. Send it again, corrected.
    Invalid(String),
    /// There is no such agency, household, request or post, or not for whoever asks.
    Unknown(String),
    /// The agency is no partner, or is suspended.
    NotPartner(String),
    /// It is over: answered, withdrawn, or past its deadline.
    Over(String),
    /// The same key was used for another submission.
    Conflict(String),
    /// The agency has asked for as much as it may, about this incident or today.
    OverBudget(String),
    /// The store refused.
    Store(Error),
}

impl Refusal {
    /// A short stable name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid-input",
            Self::Unknown(_) => "not-found",
            Self::NotPartner(_) => "not-a-partner",
            Self::Over(_) => "over",
            Self::Conflict(_) => "conflict",
            Self::OverBudget(_) => "over-budget",
            Self::Store(error) => error.kind().name(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(message)
            | Self::Unknown(message)
            | Self::NotPartner(message)
            | Self::Over(message)
            | Self::Conflict(message)
            | Self::OverBudget(message) => f.write_str(message),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl error::Error for Refusal {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Store(error) => error.source(),
            _ => None,
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl From<Refusal> for Error {
    /// For callers who have one kind of error.
    fn from(refusal: Refusal) -> Self {
        let kind = match &refusal {
            Refusal::Store(error) => return error.clone(),
            Refusal::Invalid(_) => ErrorKind::InvalidInput,
            Refusal::Unknown(_) => ErrorKind::NotFound,
            Refusal::OverBudget(_) => ErrorKind::HoldBudget,
            Refusal::NotPartner(_) | Refusal::Over(_) | Refusal::Conflict(_) => ErrorKind::Conflict,
        };
        Self::new(kind, refusal.to_string())
    }
}
