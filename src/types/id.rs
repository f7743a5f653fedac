//! The ids of cameras, clips, holds, segments and classes.

use std::fmt;
use std::str::FromStr;

use smol_str::SmolStr;

use super::{Error, Result};

/// The most bytes in a camera id.
pub const CAMERA_ID_BYTES_MAX: usize = 64;

/// The immutable id of a camera: 1 to 64 ASCII letters, digits, `.`, `_` or `-`, not starting with
/// a dot.
///
/// # Example
///
/// ```
/// use clipkeep::CameraId;
///
/// let camera: CameraId = "front-door".parse()?;
/// assert_eq!(camera.as_str(), "front-door");
/// assert!("../../etc".parse::<CameraId>().is_err());
/// # Ok::<(), clipkeep::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CameraId(SmolStr);

impl CameraId {
    /// The id with this text.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when `text` is empty, too long, or has other characters.
    pub fn new(text: &str) -> Result<Self> {
        let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
        if text.is_empty() || text.len() > CAMERA_ID_BYTES_MAX {
            return Err(Error::invalid(format!(
                "camera id of {} bytes: want 1 to {CAMERA_ID_BYTES_MAX}",
                text.len()
            )));
        }
        if !text.bytes().all(plain) || text.starts_with('.') {
            return Err(Error::invalid(format!(
                "camera id {text:?}: want letters, digits, '.', '_' or '-', not a dot first"
            )));
        }
        Ok(Self(text.into()))
    }

    /// The text of the id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CameraId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for CameraId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

/// The number of a segment: never used twice in a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(pub u32);

impl SegmentId {
    /// The id after this one.
    #[must_use]
    pub(crate) fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The number of a retention class: cameras with the same retention share its segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassId(pub u16);

impl ClassId {
    /// The class of evidence segments, which hold only held clips.
    pub const EVIDENCE: Self = Self(u16::MAX);
}

impl fmt::Display for ClassId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::EVIDENCE { f.write_str("evidence") } else { write!(f, "{}", self.0) }
    }
}

/// The permanent id of a clip: the segment it began in and its number there.
///
/// It stays the same when a hold moves the clip to an evidence segment. Prints as `42-7`.
///
/// # Example
///
/// ```
/// use clipkeep::ClipId;
///
/// let id: ClipId = "42-7".parse()?;
/// assert_eq!(id.to_string(), "42-7");
/// # Ok::<(), clipkeep::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClipId {
    /// The segment in which the clip began.
    pub(crate) home: SegmentId,
    /// The clip's number among those that began there.
    pub(crate) ordinal: u32,
}

impl ClipId {
    pub(crate) const MIN: Self = Self::new(SegmentId(0), 0);
    pub(crate) const MAX: Self = Self::new(SegmentId(u32::MAX), u32::MAX);

    pub(crate) const fn new(home: SegmentId, ordinal: u32) -> Self {
        Self { home, ordinal }
    }
}

impl fmt::Display for ClipId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}-{}", self.home.0, self.ordinal))
    }
}

impl FromStr for ClipId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parsed = text.split_once('-').and_then(|(home, ordinal)| {
            Some(Self::new(SegmentId(decimal(home)?), decimal(ordinal)?))
        });
        parsed.ok_or_else(|| {
            Error::invalid(format!("clip id {text:?}: want SEGMENT-NUMBER, like 42-7"))
        })
    }
}

/// The permanent id of a hold. Prints as `h7`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldId(pub(crate) u64);

impl fmt::Display for HoldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("h{}", self.0))
    }
}

impl FromStr for HoldId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let number = text.strip_prefix('h').and_then(decimal);
        number
            .map(Self)
            .ok_or_else(|| Error::invalid(format!("hold id {text:?}: want hNUMBER, like h7")))
    }
}

/// A decimal number without sign, so that each id has one spelling.
fn decimal<T: FromStr>(text: &str) -> Option<T> {
    let canonical = !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'));
    if canonical { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn camera_ids_cannot_name_a_path() {
        let long = "x".repeat(CAMERA_ID_BYTES_MAX + 1);
        for text in ["", "..", ".hidden", "a/b", "a\\b", "a b", "a\u{7}", "caf\u{e9}", &long] {
            assert!(CameraId::new(text).is_err(), "{text:?}");
        }
        assert!(CameraId::new(&"x".repeat(CAMERA_ID_BYTES_MAX)).is_ok());
    }

    #[test]
    fn ids_have_one_spelling() {
        for text in ["", "-", "1", "1-", "-1", "01-2", "1-02", "+1-2", "1-2-3", "4294967296-0"] {
            assert!(text.parse::<ClipId>().is_err(), "{text}");
        }
        for text in ["", "h", "7", "h07", "H7", "h18446744073709551616"] {
            assert!(text.parse::<HoldId>().is_err(), "{text}");
        }
        assert_eq!("h7".parse::<HoldId>().unwrap(), HoldId(7));
    }
}
