//! A half-open interval of time.

use std::fmt;
use std::time::Duration;

use super::{Error, Timestamp};

/// A half-open interval of time, `[start, end)`, never empty.
///
/// A clip is in a window if they overlap by at least one microsecond; two windows that only touch
/// do not meet.
///
/// # Example
///
/// ```
/// use clipkeep::Window;
///
/// let evening = Window::parse("2026-11-23T18:00:00Z", "2026-11-23T22:00:00Z")?;
/// let night = Window::parse("2026-11-23T22:00:00Z", "2026-11-24T06:00:00Z")?;
/// assert!(!evening.meets(&night));
/// assert!(Window::new(night.end(), night.start()).is_err());
/// # Ok::<(), clipkeep::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Window {
    start: Timestamp,
    end: Timestamp,
}

impl Window {
    /// The window `[start, end)`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when `end` is not after `start`.
    pub fn new(start: Timestamp, end: Timestamp) -> Result<Self, Error> {
        if start < end {
            Ok(Self { start, end })
        } else {
            Err(Error::invalid(format!("window {start} to {end}: the end must be after the start")))
        }
    }

    /// The window that starts at `start` and lasts `duration`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when `duration` is below one microsecond.
    pub fn starting(start: Timestamp, duration: Duration) -> Result<Self, Error> {
        Self::new(start, start.saturating_add(duration))
    }

    /// The last microsecond that a timestamp can name.
    pub(crate) const fn last_instant() -> Self {
        Self { start: Timestamp::from_micros(Timestamp::MAX.as_micros() - 1), end: Timestamp::MAX }
    }

    /// From `start` to `end`, but at least one microsecond.
    #[inline]
    pub(crate) const fn at_least_an_instant(start: Timestamp, end: Timestamp) -> Self {
        let (start_us, end_us) = (start.as_micros(), end.as_micros());
        if start_us < end_us {
            Self { start, end }
        } else if start_us < Timestamp::MAX.as_micros() {
            Self { start, end: Timestamp::from_micros(start_us + 1) }
        } else {
            Self::last_instant()
        }
    }

    /// The window between two RFC 3339 times.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when either is no time, or `end` is not after `start`.
    pub fn parse(start: &str, end: &str) -> Result<Self, Error> {
        Self::new(start.parse()?, end.parse()?)
    }

    /// The first instant in the window.
    #[must_use]
    pub const fn start(&self) -> Timestamp {
        self.start
    }

    /// The first instant after the window.
    #[must_use]
    pub const fn end(&self) -> Timestamp {
        self.end
    }

    /// How long the window is.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.end.since(self.start)
    }

    /// Whether the two windows overlap by at least one microsecond.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// Whether `other` lies wholly in this window.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// The window widened by `by` on both sides, saturating at the ends of time.
    #[must_use]
    pub fn widened(&self, by: Duration) -> Self {
        Self { start: self.start.saturating_sub(by), end: self.end.saturating_add(by) }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.start, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(start: i64, end: i64) -> Window {
        Window::new(Timestamp::from_micros(start), Timestamp::from_micros(end)).unwrap()
    }

    #[test]
    fn touching_windows_do_not_meet() {
        assert!(!window(0, 5).meets(&window(5, 9)));
        assert!(!window(5, 9).meets(&window(0, 5)));
        assert!(window(0, 6).meets(&window(5, 9)));
        assert!(window(0, 9).contains(&window(0, 9)));
    }

    #[test]
    fn empty_and_inverted_windows_are_refused() {
        let at = Timestamp::EPOCH;
        assert!(Window::new(at, at).is_err());
        assert!(Window::starting(at, Duration::ZERO).is_err());
        assert!(Window::starting(Timestamp::MAX, Duration::from_secs(1)).is_err());
    }
}
