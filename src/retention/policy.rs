//! How long clips are kept, and what gives way when the disk is full.
//!
//! Owns the limits of a retention and its spelling.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::types::{Error, Result, Timestamp};

const AT_MOST_MAX: Duration = Duration::from_hours(36_525 * 24);
const DAY_SECS: u64 = 86_400;

/// How long clips are kept: `at_least` is a promise to the resident, `at_most` one to everybody
/// who was filmed.
///
/// Between the two a clip goes only when its room is needed, oldest first. Past `at_most` it goes
/// in any case, unless a hold covers it. Before `at_least` see [`WhenFull`].
///
/// Default: 5 to 10 days. Ages count from when a clip's last bytes arrived, in trusted time.
/// Reads and prints as `5d..10d`, in whole days as `5..10 days`.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use clipkeep::Retention;
///
/// let retention: Retention = "12h..5d".parse()?;
/// assert_eq!(retention.at_least(), Duration::from_hours(12));
/// assert_eq!(Retention::days(5, 10)?.to_string(), "5..10 days");
/// assert!(Retention::days(10, 5).is_err());
/// # Ok::<(), clipkeep::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Retention {
    at_least: Duration,
    at_most: Duration,
}

impl Retention {
    /// Keeps clips for `at_least`, and no longer than `at_most`; in whole microseconds, what is
    /// finer is cut off.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when `at_most` is zero, shorter than `at_least`, or above 100 years.
    pub fn new(at_least: Duration, at_most: Duration) -> Result<Self> {
        if at_most > AT_MOST_MAX {
            return Err(Error::invalid(format!("retention at most {at_most:?}: above 100 years")));
        }
        if at_least > at_most {
            return Err(Error::invalid(format!(
                "retention at least {at_least:?}: longer than at most {at_most:?}"
            )));
        }
        let (at_least, at_most) = (whole_micros(at_least), whole_micros(at_most));
        if at_most.is_zero() {
            return Err(Error::invalid("retention at most zero: nothing would be kept"));
        }
        Ok(Self { at_least, at_most })
    }

    /// [`Retention::new`] in days of 24 hours: `days(5, 10)`.
    ///
    /// # Errors
    ///
    /// As for [`Retention::new`].
    pub fn days(at_least: u32, at_most: u32) -> Result<Self> {
        let days = |count: u32| Duration::from_secs(u64::from(count) * DAY_SECS);
        Self::new(days(at_least), days(at_most))
    }

    /// How long clips are promised to be kept.
    #[must_use]
    pub const fn at_least(&self) -> Duration {
        self.at_least
    }

    /// After how long clips are expired, unless they are held.
    #[must_use]
    pub const fn at_most(&self) -> Duration {
        self.at_most
    }

    /// The longest retention there is: for clips whose own is not known.
    pub(crate) const fn longest() -> Self {
        Self { at_least: AT_MOST_MAX, at_most: AT_MOST_MAX }
    }

    /// When clips whose newest bytes came at `received` are expired in any case.
    pub(crate) fn due(&self, received: Timestamp) -> Timestamp {
        received.saturating_add(self.at_most)
    }

    /// When clips whose newest bytes came at `received` have been kept as long as promised.
    pub(crate) fn promised_until(&self, received: Timestamp) -> Timestamp {
        received.saturating_add(self.at_least)
    }
}

impl Default for Retention {
    fn default() -> Self {
        let days = |count: u64| Duration::from_secs(count * DAY_SECS);
        Self { at_least: days(5), at_most: days(10) }
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (whole_days(self.at_least), whole_days(self.at_most)) {
            (Some(at_least), Some(at_most)) => write!(f, "{at_least}..{at_most} days"),
            _ => write!(f, "{}..{}", spelled(self.at_least), spelled(self.at_most)),
        }
    }
}

impl FromStr for Retention {
    type Err = Error;

    /// Reads `5d..10d`, with the units d, h, m, s, ms and us, or `5..10 days`.
    fn from_str(text: &str) -> Result<Self> {
        let refused = || {
            Error::invalid(format!("retention {text:?}: want LEAST..MOST, like 5d..10d or 12h..5d"))
        };
        let (bounds, unit) = match text.strip_suffix(" days") {
            Some(bounds) => (bounds, "d"),
            None => (text, ""),
        };
        let (at_least, at_most) = bounds.split_once("..").ok_or_else(refused)?;
        let read = |bound: &str| duration(&format!("{bound}{unit}")).ok_or_else(refused);
        Self::new(read(at_least)?, read(at_most)?)
    }
}

/// The units, longest first: a name and its microseconds.
const UNITS: [(&str, u64); 6] = [
    ("d", DAY_SECS * 1_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

/// A number and a unit, like `36h`.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, us) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
    Some(Duration::from_micros(number.parse::<u64>().ok()?.checked_mul(us)?))
}

/// In the longest unit that loses nothing.
fn spelled(duration: Duration) -> String {
    let total = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let longest = UNITS.into_iter().find(|(_, us)| total.is_multiple_of(*us));
    longest.map_or_else(String::new, |(name, us)| format!("{}{name}", total / us))
}

fn whole_days(duration: Duration) -> Option<u64> {
    let whole = duration.as_secs().is_multiple_of(DAY_SECS) && duration.subsec_nanos() == 0;
    whole.then_some(duration.as_secs() / DAY_SECS)
}

fn whole_micros(duration: Duration) -> Duration {
    Duration::from_micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}

/// What gives way when the store is full and everything that may go is gone. Default:
/// [`WhenFull::DropOldest`]. Held clips never give way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhenFull {
    /// Breaks the `at_least` promise of the oldest clips, on record and with an alarm, because the
    /// newest footage matters most.
    #[default]
    DropOldest,
    /// Keeps the promise and refuses new footage.
    Refuse,
}

impl WhenFull {
    /// A short stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DropOldest => "drop-oldest",
            Self::Refuse => "refuse",
        }
    }
}

impl fmt::Display for WhenFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for WhenFull {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "drop-oldest" => Ok(Self::DropOldest),
            "refuse" => Ok(Self::Refuse),
            _ => Err(Error::invalid(format!("when full {text:?}: want drop-oldest or refuse"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_retentions_are_refused() {
        let second = Duration::from_secs(1);
        assert!(Retention::new(Duration::ZERO, Duration::ZERO).is_err());
        assert!(Retention::new(Duration::ZERO, Duration::from_nanos(999)).is_err());
        assert!(Retention::new(second * 2, second).is_err());
        assert!(Retention::new(second, AT_MOST_MAX + second).is_err());
        assert!(Retention::new(Duration::MAX, Duration::MAX).is_err());
        assert!(Retention::days(u32::MAX, u32::MAX).is_err());
        assert!(Retention::new(Duration::ZERO, second).is_ok());
        assert!(Retention::new(second, second).is_ok());
    }

    #[test]
    fn prints_what_it_reads() {
        assert_eq!(Retention::default(), Retention::days(5, 10).unwrap());
        for (text, printed) in [
            ("5d..10d", "5..10 days"),
            ("5..10 days", "5..10 days"),
            ("0d..1d", "0..1 days"),
            ("12h..5d", "12h..5d"),
            ("90m..7201s", "90m..7201s"),
            ("1ms..1500us", "1ms..1500us"),
        ] {
            let retention: Retention = text.parse().unwrap();
            assert_eq!(retention.to_string(), printed);
            assert_eq!(printed.parse::<Retention>().unwrap(), retention);
        }
    }

    #[test]
    fn misspelled_retentions_are_refused() {
        for text in [
            "",
            "..",
            "5d",
            "5..10",
            "5d..",
            "..10d",
            "-1d..5d",
            "5d..10w",
            "5d..10d..15d",
            "d..d",
            "5 d..10d",
            "5d..10d days",
            "5D..10D",
            "18446744073709551615d..1d",
        ] {
            assert!(text.parse::<Retention>().is_err(), "{text:?}");
        }
    }
}
