//! The kinds of hold and the reasons to release one, with the numbers that belong to each.
//!
//! Owns every duration of a hold's life. Decides nothing by itself.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::types::{Error, Result};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const YEARS_10: Duration = Duration::from_hours(3_653 * 24);

/// What a hold is for. It decides how long the hold may last, who can end it, and whether it stands
/// above the owner of the footage.
///
/// | cause | default | at most | renewals | blocks |
/// |---|---|---|---|---|
/// | provisional | 24 h | 24 h | none | automatic deletion |
/// | request | 14 days | 30 days, 90 in all | one | automatic deletion |
/// | disclosure | 30 days | 30 days | none | automatic deletion |
/// | order | must be given | 10 years | any number | everybody, the owner too |
/// | keep | 365 days | 10 years | any number | automatic deletion |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum HoldCause {
    /// A request that is being screened.
    Provisional,
    /// A request that waits for a resident's answer.
    Request,
    /// Clips that the resident chose to share, until they are fetched.
    Disclosure,
    /// A court order or preservation demand, served on the operator.
    Order,
    /// The owner's own "keep this".
    Keep,
}

impl HoldCause {
    const ALL: [Self; 5] =
        [Self::Provisional, Self::Request, Self::Disclosure, Self::Order, Self::Keep];

    /// The number that stands for it in the ledger.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Provisional => 1,
            Self::Request => 2,
            Self::Disclosure => 3,
            Self::Order => 4,
            Self::Keep => 5,
        }
    }

    /// The cause that `code` stands for; `None` for a code of a later version.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.code() == code)
    }

    /// A short stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Provisional => "provisional",
            Self::Request => "request",
            Self::Disclosure => "disclosure",
            Self::Order => "order",
            Self::Keep => "keep",
        }
    }

    /// How long it lasts when the caller does not say; `None` where the caller must.
    pub(crate) const fn default_duration(self) -> Option<Duration> {
        match self {
            Self::Provisional => Some(DAY),
            Self::Request => Some(Duration::from_hours(14 * 24)),
            Self::Disclosure => Some(Duration::from_hours(30 * 24)),
            Self::Order => None,
            Self::Keep => Some(Duration::from_hours(365 * 24)),
        }
    }

    /// The longest it may be placed for.
    pub(crate) const fn max_duration(self) -> Duration {
        match self {
            Self::Provisional => DAY,
            Self::Request | Self::Disclosure => Duration::from_hours(30 * 24),
            Self::Order | Self::Keep => YEARS_10,
        }
    }

    /// How far from its placing renewals may move the deadline; `None` where only
    /// [`HoldCause::max_duration`] counts, each time from the day of the renewal, because each
    /// renewal is a fresh act of the court or of the owner.
    pub(crate) const fn total_duration_max(self) -> Option<Duration> {
        match self {
            Self::Provisional => Some(DAY),
            Self::Request => Some(Duration::from_hours(90 * 24)),
            Self::Disclosure => Some(Duration::from_hours(30 * 24)),
            Self::Order | Self::Keep => None,
        }
    }

    /// How often it may be renewed.
    pub(crate) const fn renewals_max(self) -> u32 {
        match self {
            Self::Provisional | Self::Disclosure => 0,
            Self::Request => 1,
            Self::Order | Self::Keep => u32::MAX,
        }
    }

    /// Whether it stands above the owner's own wish to delete. Only a court does: every other hold
    /// protects the owner's choice, so it cannot be turned against the owner.
    pub(crate) const fn blocks_owner(self) -> bool {
        matches!(self, Self::Order)
    }

    /// How long it goes on protecting after its deadline passed unanswered.
    ///
    /// A request lapses because nobody answered; the agency may still be on its way to a court, and
    /// the resident may have been away: 72 h. Screening that ran out has no one waiting for it. The
    /// deadlines of the others are known to whoever set them, and an order that wants more time
    /// says so in its own grace.
    pub(crate) const fn lapse_grace(self) -> Duration {
        match self {
            Self::Request => Duration::from_hours(72),
            Self::Provisional | Self::Disclosure | Self::Order | Self::Keep => Duration::ZERO,
        }
    }

    /// Whether its window must lie in the past: a request for the future would be live access by
    /// parts. The owner's own hold may reach forward.
    pub(crate) const fn past_only(self) -> bool {
        !matches!(self, Self::Keep)
    }

    /// Whether it needs the case that it belongs to.
    pub(crate) const fn needs_reference(self) -> bool {
        matches!(self, Self::Provisional | Self::Request | Self::Order)
    }
}

impl fmt::Display for HoldCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for HoldCause {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|cause| cause.name() == text).ok_or_else(|| {
            Error::invalid(format!(
                "hold cause {text:?}: want provisional, request, disclosure, order or keep"
            ))
        })
    }
}

/// Why a hold is released. It decides how long the hold goes on protecting afterwards (its grace).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ReleaseCause {
    /// The resident said no. Grace 24 h, in which the resident may change their mind.
    Denied,
    /// The agency withdrew its request or was suspended. Grace 72 h.
    Withdrawn,
    /// Screening refused the request: only for a provisional hold. No grace.
    Rejected,
    /// The clips were handed over, or others were chosen instead. No grace.
    Disclosed,
    /// The order ended, with the grace that was written in it; or the screening ended, because a
    /// request hold took its place. The only cause that releases an order.
    Ended,
    /// The owner let it go. No grace. The only cause that releases a `keep`.
    Owner,
}

impl ReleaseCause {
    const ALL: [Self; 6] =
        [Self::Denied, Self::Withdrawn, Self::Rejected, Self::Disclosed, Self::Ended, Self::Owner];

    /// A short stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Withdrawn => "withdrawn",
            Self::Rejected => "rejected",
            Self::Disclosed => "disclosed",
            Self::Ended => "ended",
            Self::Owner => "owner",
        }
    }

    /// How long the hold goes on protecting; `written` is the grace in the order itself.
    pub(crate) fn grace(self, written: Option<Duration>) -> Duration {
        match self {
            Self::Denied => DAY,
            Self::Withdrawn => 72 * HOUR,
            Self::Rejected | Self::Disclosed | Self::Owner => Duration::ZERO,
            Self::Ended => written.unwrap_or_default(),
        }
    }

    /// Whether this is a reason to release a hold of `cause`. A cause without grace must not stand
    /// in for one with: rejecting a request that was approved would skip the resident's undo.
    pub(crate) fn releases(self, cause: HoldCause) -> bool {
        match cause {
            HoldCause::Order => self == Self::Ended,
            HoldCause::Keep => self == Self::Owner,
            HoldCause::Provisional => true,
            HoldCause::Request | HoldCause::Disclosure => {
                !matches!(self, Self::Rejected | Self::Ended)
            }
        }
    }
}

impl fmt::Display for ReleaseCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for ReleaseCause {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|cause| cause.name() == text).ok_or_else(|| {
            Error::invalid(format!(
                "release cause {text:?}: want denied, withdrawn, rejected, disclosed, ended or \
                 owner"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_come_back() {
        for cause in HoldCause::ALL {
            assert_eq!(HoldCause::from_code(cause.code()), Some(cause));
            assert_eq!(cause.name().parse::<HoldCause>().unwrap(), cause);
        }
        for cause in ReleaseCause::ALL {
            assert_eq!(cause.name().parse::<ReleaseCause>().unwrap(), cause);
        }
        assert_eq!(HoldCause::from_code(0), None);
        assert_eq!(HoldCause::from_code(6), None);
        assert!("Keep".parse::<HoldCause>().is_err());
    }

    #[test]
    fn every_default_is_within_its_limit() {
        for cause in HoldCause::ALL {
            let limit = cause.max_duration();
            assert!(cause.default_duration().is_none_or(|d| !d.is_zero() && d <= limit));
            assert!(cause.total_duration_max().is_none_or(|total| total >= limit));
        }
    }

    #[test]
    fn only_an_order_blocks_the_owner() {
        let above: Vec<_> = HoldCause::ALL.into_iter().filter(|c| c.blocks_owner()).collect();
        assert_eq!(above, [HoldCause::Order]);
    }

    #[test]
    fn grace_follows_the_cause() {
        let written = Some(HOUR);
        assert_eq!(ReleaseCause::Denied.grace(written), 24 * HOUR);
        assert_eq!(ReleaseCause::Withdrawn.grace(written), 72 * HOUR);
        assert_eq!(ReleaseCause::Rejected.grace(written), Duration::ZERO);
        assert_eq!(ReleaseCause::Disclosed.grace(written), Duration::ZERO);
        assert_eq!(ReleaseCause::Owner.grace(written), Duration::ZERO);
        assert_eq!(ReleaseCause::Ended.grace(written), HOUR);
        assert_eq!(ReleaseCause::Ended.grace(None), Duration::ZERO);
    }
}
