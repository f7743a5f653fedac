//! Sizes and durations as people read and type them.

use std::str::FromStr;
use std::time::Duration;

use crate::types::{Error, Result};

/// The units that are printed and read, largest first.
const UNITS: [(&str, u64); 4] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
const DECIMAL_UNITS: [(&str, u64); 4] =
    [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("KB", 1_000)];

/// A number of bytes given as a flag: `64GiB`, `500MB`, `4194304`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(pub(super) u64);

impl FromStr for Size {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse(text).map(Self).ok_or_else(|| {
            Error::invalid(format!("size {text:?}: want a number and a unit, like 64GiB or 500MB"))
        })
    }
}

fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let unit = unit.trim();
    let is_unit = |(name, _): &(&str, u64)| {
        // `64G` is `64GiB`: those who mean powers of ten say GB.
        name.eq_ignore_ascii_case(unit)
            || name.strip_suffix("iB").is_some_and(|short| short.eq_ignore_ascii_case(unit))
    };
    let factor = match unit {
        "" | "B" => 1,
        _ => UNITS.iter().chain(&DECIMAL_UNITS).find(|unit| is_unit(unit))?.1,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// `bytes` with one decimal in the largest unit that leaves a whole number before it.
pub(super) fn bytes(bytes: u64) -> String {
    let Some((name, unit)) = UNITS.into_iter().find(|(_, unit)| bytes >= *unit) else {
        return format!("{bytes} B");
    };
    let tenths = (u128::from(bytes) * 10 + u128::from(unit) / 2) / u128::from(unit);
    format!("{}.{} {name}", tenths / 10, tenths % 10)
}

/// `duration` in its two largest units: `9d 4h`, `1m 30s`, `2.5s`.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    let two = |first: u64, first_unit: &str, second: u64, second_unit: &str| {
        if second == 0 {
            format!("{first}{first_unit}")
        } else {
            format!("{first}{first_unit} {second}{second_unit}")
        }
    };
    match (days, hours, minutes) {
        (1.., _, _) => two(days, "d", hours, "h"),
        (0, 1.., _) => two(hours, "h", minutes, "m"),
        (0, 0, 1..) => two(minutes, "m", rest, "s"),
        _ => match duration.subsec_millis() / 100 {
            0 => format!("{rest}s"),
            tenths => format!("{rest}.{tenths}s"),
        },
    }
}

/// `count` of what is called `noun`, in words: `1 clip`, `2 clips`.
pub(super) fn count(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_both_systems() {
        assert_eq!("64GiB".parse::<Size>().unwrap(), Size(64 << 30));
        assert_eq!("64G".parse::<Size>().unwrap(), Size(64 << 30));
        assert_eq!("500 MB".parse::<Size>().unwrap(), Size(500_000_000));
        assert_eq!("4194304".parse::<Size>().unwrap(), Size(4 << 20));
        for text in ["", "GiB", "-1", "1.5GiB", "1XB", "18446744073709551615KiB"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_printed_with_one_decimal() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(64 << 30), "64.0 GiB");
        assert!(bytes(u64::MAX).ends_with(" TiB"));
    }

    #[test]
    fn durations_are_printed_in_two_units() {
        assert_eq!(duration(Duration::from_millis(2_500)), "2.5s");
        assert_eq!(duration(Duration::from_secs(90)), "1m 30s");
        assert_eq!(duration(Duration::from_hours(1)), "1h");
        assert_eq!(duration(Duration::from_hours(9 * 24 + 4)), "9d 4h");
        assert_eq!(duration(Duration::ZERO), "0s");
    }
}
