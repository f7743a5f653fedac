//! Times and durations as people type them.
//!
//! Owns the spellings. [`parse_at`] and [`parse_duration`] are pure; only [`When`] reads the clock
//! and the machine's time zone, because a flag cannot be given them.

use std::str::FromStr;
use std::time::Duration;

use jiff::civil;
use jiff::tz::TimeZone;

use crate::types::{Clock, Error, ErrorKind, Result, SystemClock, Timestamp};

/// A time given as a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct When(pub(super) Timestamp);

impl FromStr for When {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse_at(text, SystemClock.wall(), &TimeZone::system()).map(Self)
    }
}

/// A duration given as a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span(pub(super) Duration);

impl FromStr for Span {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse_duration(text).map(Self).ok_or_else(|| {
            Error::invalid(format!(
                "duration {text:?}: want a number and s, m, h, d or w, like 90m"
            ))
        })
    }
}

/// The time that `text` names at `now` in `zone`.
///
/// # Errors
///
/// `InvalidInput`, also for a local time that the zone's clock change skips or shows twice: there
/// only an offset tells which is meant, and a guess could hold the wrong hour.
pub(super) fn parse_at(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp> {
    let text = text.trim();
    if text == "now" {
        return Ok(now);
    }
    if let Some(span) = text.strip_suffix("ago") {
        let span = parse_duration(span).ok_or_else(|| unreadable(text))?;
        return Ok(now.saturating_sub(span));
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let local = local(text, today(now, zone)?).ok_or_else(|| unreadable(text))?;
    let at = zone.to_ambiguous_timestamp(local).unambiguous().map_err(|source| {
        Error::new(
            ErrorKind::InvalidInput,
            format!("time {text:?}: the clocks change then; give an offset, like {local}+01:00"),
        )
        .caused_by(source)
    })?;
    Ok(Timestamp::from_micros(at.as_microsecond()))
}

/// The duration that `text` names: `90s`, `1h30m`, `14 days`.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at_checked(digits)?;
        let after = after.trim_start();
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at_checked(letters)?;
        let ms = number.parse::<u64>().ok()?.checked_mul(unit_ms(unit)?)?;
        total = total.checked_add(Duration::from_millis(ms))?;
        rest = after.trim_start();
    }
    Some(total)
}

fn unit_ms(unit: &str) -> Option<u64> {
    let seconds = match unit {
        "ms" => return Some(1),
        "s" | "sec" | "second" | "seconds" => 1,
        "m" | "min" | "minute" | "minutes" => 60,
        "h" | "hour" | "hours" => 3_600,
        "d" | "day" | "days" => 86_400,
        "w" | "week" | "weeks" => 7 * 86_400,
        _ => return None,
    };
    Some(seconds * 1_000)
}

/// The local date and time that `text` names, where today is `today`.
fn local(text: &str, today: civil::Date) -> Option<civil::DateTime> {
    let (day, rest) = match text.split_once(' ').unwrap_or((text, "")) {
        ("today", rest) => (today, rest),
        ("yesterday", rest) => (today.yesterday().ok()?, rest),
        (date, rest) if looks_like_date(date) => (date.parse().ok()?, rest),
        _ => match text.split_once('T') {
            Some((date, time)) if looks_like_date(date) => (date.parse().ok()?, time),
            _ => return Some(today.to_datetime(clock_time(text)?)),
        },
    };
    let time = if rest.is_empty() { civil::Time::midnight() } else { clock_time(rest)? };
    Some(day.to_datetime(time))
}

fn looks_like_date(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    text.len() == 10 && text.split('-').count() == 3 && text.split('-').all(digits)
}

/// `18:30`, `18:30:05` or `18:30:05.25`.
fn clock_time(text: &str) -> Option<civil::Time> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b':' | b'.'));
    if plain && text.contains(':') { text.parse().ok() } else { None }
}

fn today(now: Timestamp, zone: &TimeZone) -> Result<civil::Date> {
    let now = jiff::Timestamp::from_microsecond(now.as_micros()).map_err(|source| {
        Error::new(ErrorKind::InvalidInput, "the machine's clock is out of range").caused_by(source)
    })?;
    Ok(zone.to_datetime(now).date())
}

fn unreadable(text: &str) -> Error {
    Error::invalid(format!(
        "time {text:?}: want RFC 3339 (2026-11-23T18:30:00Z), local time (2026-11-23 18:30, 18:30, \
         yesterday 18:30), or counted back (2h ago, now)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Result<String> {
        let now = "2026-11-23T20:15:30Z".parse().unwrap();
        parse_at(text, now, &TimeZone::get("Europe/Berlin").unwrap()).map(|at| at.to_string())
    }

    #[test]
    fn every_spelling_is_read() {
        let spellings = [
            ("now", "2026-11-23T20:15:30Z"),
            ("2026-11-23T18:30:00Z", "2026-11-23T18:30:00Z"),
            ("2026-11-23T18:30:00+01:00", "2026-11-23T17:30:00Z"),
            ("2026-11-23 18:30", "2026-11-23T17:30:00Z"),
            ("2026-11-23 18:30:05", "2026-11-23T17:30:05Z"),
            ("2026-07-01T18:30", "2026-07-01T16:30:00Z"),
            ("2026-11-23", "2026-11-22T23:00:00Z"),
            ("18:30", "2026-11-23T17:30:00Z"),
            ("today 06:00", "2026-11-23T05:00:00Z"),
            ("yesterday 18:30", "2026-11-22T17:30:00Z"),
            ("yesterday", "2026-11-21T23:00:00Z"),
            ("2h ago", "2026-11-23T18:15:30Z"),
            ("1h30m ago", "2026-11-23T18:45:30Z"),
            ("3 days ago", "2026-11-20T20:15:30Z"),
            (" 90s ago ", "2026-11-23T20:14:00Z"),
        ];
        for (text, expected) in spellings {
            assert_eq!(at(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_advice() {
        for text in [
            "",
            "ago",
            "x ago",
            "-2h ago",
            "soon",
            "25:00",
            "2026-13-01",
            "18",
            "1830",
            "2026-11-23 18",
            "99999999999999999999d ago",
            "tomorrow",
        ] {
            let error = at(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
            assert!(error.to_string().contains("RFC 3339"), "{text}: {error}");
        }
    }

    #[test]
    fn a_local_time_that_comes_twice_or_never_is_refused() {
        for text in ["2026-10-25 02:30", "2026-03-29 02:30"] {
            assert!(at(text).unwrap_err().to_string().contains("give an offset"), "{text}");
        }
        assert_eq!(at("2026-10-25T02:30:00+01:00").unwrap(), "2026-10-25T01:30:00Z");
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(parse_duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_duration("14 days"), Some(Duration::from_hours(14 * 24)));
        assert_eq!(parse_duration("1w 2d"), Some(Duration::from_hours(9 * 24)));
        for text in ["", "5", "h", "5x", "1.5h", "-1h", "18446744073709551615d"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
