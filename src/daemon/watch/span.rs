//! The window that a query asks for: `from` with `to`, or with `seconds`.

use std::time::Duration;

use serde::Deserialize;
use utoipa::IntoParams;

use crate::Window;

use super::super::extract;
use super::super::problem::Problem;

/// The longest window that is shown as one file or playlist.
pub(crate) const SHOWN_MAX: Duration = Duration::from_hours(24);
/// The longest window at all: a hundred years.
const SECONDS_MAX: u32 = 3_155_760_000;

/// A window: `from` with either `to` or `seconds`.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Span {
    /// Its start (RFC 3339).
    #[param(example = "2026-11-23T18:00:00Z")]
    from: String,
    /// Its end (RFC 3339), which is not included.
    to: Option<String>,
    /// How long it is, instead of `to`.
    #[param(minimum = 1, maximum = 3_155_760_000_u32)]
    seconds: Option<u32>,
}

impl Span {
    /// The window.
    ///
    /// # Errors
    ///
    /// `invalid-input` when one of them is no time, the window would be empty, or not exactly one
    /// of `to` and `seconds` is given.
    pub(crate) fn window(&self) -> Result<Window, Problem> {
        match (&self.to, self.seconds) {
            (Some(to), None) => extract::window(&self.from, to),
            (None, Some(seconds @ 1..=SECONDS_MAX)) => {
                let from = extract::time("from", &self.from)?;
                let window = Window::starting(from, Duration::from_secs(seconds.into()));
                window.map_err(|error| Problem::invalid(error.to_string()))
            }
            (None, Some(_)) => Err(Problem::invalid(format!("seconds: want 1 to {SECONDS_MAX}"))),
            (Some(_), Some(_)) => Err(Problem::invalid("give to or seconds, not both")),
            (None, None) => Err(Problem::invalid("give to or seconds")),
        }
    }

    /// The same for something that is shown whole.
    ///
    /// # Errors
    ///
    /// `invalid-input` also for windows above [`SHOWN_MAX`].
    pub(crate) fn shown(&self) -> Result<Window, Problem> {
        let window = self.window()?;
        if window.duration() > SHOWN_MAX {
            let hours = SHOWN_MAX.as_secs() / 3_600;
            let detail = format!("the window is longer than {hours} hours: ask for parts of it");
            return Err(Problem::invalid(detail));
        }
        Ok(window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: &str, to: Option<&str>, seconds: Option<u32>) -> Span {
        Span { from: from.to_owned(), to: to.map(str::to_owned), seconds }
    }

    const FROM: &str = "2026-11-23T18:00:00Z";
    const TO: &str = "2026-11-23T18:01:00Z";

    #[test]
    fn a_window_is_given_by_its_end_or_its_length() {
        let by_end = span(FROM, Some(TO), None).window().unwrap();
        assert_eq!(span(FROM, None, Some(60)).window().unwrap(), by_end);
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for wrong in [
            span(FROM, None, None),
            span(FROM, Some(TO), Some(60)),
            span(FROM, Some(FROM), None),
            span(TO, Some(FROM), None),
            span(FROM, None, Some(0)),
            span(FROM, None, Some(u32::MAX)),
            span("", None, Some(1)),
            span("yesterday", None, Some(1)),
            span(FROM, Some("x"), None),
            span("9999-12-30T22:00:00Z", None, Some(SECONDS_MAX)),
        ] {
            assert_eq!(wrong.window().unwrap_err().code(), "invalid-input", "{wrong:?}");
        }
    }

    #[test]
    fn what_is_shown_whole_has_a_limit() {
        let hours = |hours: u32| span(FROM, None, Some(hours * 3_600)).shown();
        assert!(hours(24).is_ok());
        assert!(hours(25).is_err());
    }
}
