//! A point in time: microseconds since 1970-01-01T00:00:00Z.
//!
//! Owns the reading and writing of RFC 3339. Never reads a clock.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{Error, ErrorKind};

/// A point in time, in microseconds since 1970-01-01T00:00:00Z.
///
/// Prints as RFC 3339 in UTC and parses RFC 3339 with any offset. The range is that of RFC 3339:
/// years 0 to 9999.
///
/// # Example
///
/// ```
/// use clipkeep::Timestamp;
///
/// let at: Timestamp = "2026-11-23T18:30:00+01:00".parse()?;
/// assert_eq!(at.to_string(), "2026-11-23T17:30:00Z");
/// assert!("yesterday".parse::<Timestamp>().is_err());
/// # Ok::<(), clipkeep::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The first instant of year 0, in microseconds.
const MIN_US: i64 = -62_167_219_200_000_000;
/// The last microsecond that a calendar of four-digit years (and jiff) can name in every offset.
const MAX_US: i64 = 253_402_207_200_000_000;

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);
    /// The earliest time a `Timestamp` can name.
    pub const MIN: Self = Self(MIN_US);
    /// The latest time a `Timestamp` can name.
    pub const MAX: Self = Self(MAX_US);

    /// The time that lies `us` microseconds after 1970-01-01T00:00:00Z, clamped to
    /// [`Timestamp::MIN`]`..=`[`Timestamp::MAX`].
    #[must_use]
    pub const fn from_micros(us: i64) -> Self {
        if us < MIN_US {
            Self(MIN_US)
        } else if us > MAX_US {
            Self(MAX_US)
        } else {
            Self(us)
        }
    }

    /// The same of what was checked to be one: [`Timestamp::are_micros`].
    #[inline]
    pub(crate) const fn from_checked_micros(us: i64) -> Self {
        debug_assert!(Self::are_micros(us), "checked");
        Self(us)
    }

    /// Whether `us` is no earlier and no later than any time.
    #[inline]
    pub(crate) const fn are_micros(us: i64) -> bool {
        MIN_US <= us && us <= MAX_US
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// This time plus `by`, at most [`Timestamp::MAX`].
    #[must_use]
    pub fn saturating_add(self, by: Duration) -> Self {
        Self::from_micros(self.0.saturating_add(micros(by)))
    }

    /// This time less `by`, at least [`Timestamp::MIN`].
    #[must_use]
    pub fn saturating_sub(self, by: Duration) -> Self {
        Self::from_micros(self.0.saturating_sub(micros(by)))
    }

    /// The time from `earlier` to `self`; zero when `earlier` is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        let us = self.0.saturating_sub(earlier.0);
        Duration::from_micros(u64::try_from(us).unwrap_or(0))
    }
}

/// A duration in whole microseconds, saturating.
fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(at) => write!(f, "{at}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let at: jiff::Timestamp = text.parse().map_err(|source: jiff::Error| {
            Error::new(
                ErrorKind::InvalidInput,
                format!("read time {text:?}: want RFC 3339, like 2026-11-23T18:30:00Z"),
            )
            .caused_by(source)
        })?;
        let at = Self(at.as_microsecond());
        if at < Self::MIN || at > Self::MAX {
            return Err(Error::invalid(format!("read time {text:?}: outside years 0 to 9999")));
        }
        Ok(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_what_it_parses() {
        for text in ["1970-01-01T00:00:00Z", "2038-01-19T03:14:08.5Z", "0001-01-01T00:00:00Z"] {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Timestamp::MAX.saturating_add(Duration::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MIN.saturating_sub(Duration::MAX), Timestamp::MIN);
        assert_eq!(Timestamp::MIN.since(Timestamp::MAX), Duration::ZERO);
        assert!(Timestamp::MAX.to_string().starts_with("9999-"));
        assert!(Timestamp::MIN.to_string().parse::<Timestamp>().is_ok());
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in ["", "now", "2026-13-01T00:00:00Z", "2026-11-23", "2026-11-23T18:30:00"] {
            let error = text.parse::<Timestamp>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
        }
    }
}
