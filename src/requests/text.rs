//! Ids and times of the engine in JSON: as their text.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Timestamp, Window};

/// A value that is written as its text and read back from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<T>(pub T);

impl<T: fmt::Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map(Text).map_err(D::Error::custom)
    }
}

/// A half-open window of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span {
    from: Text<Timestamp>,
    to: Text<Timestamp>,
}

impl Span {
    /// The same as a window; its last instant, if somebody wrote one that is empty.
    #[must_use]
    pub fn window(self) -> Window {
        Window::new(self.from.0, self.to.0).unwrap_or_else(|_| Window::last_instant())
    }
}

impl From<Window> for Span {
    fn from(window: Window) -> Self {
        Self { from: Text(window.start()), to: Text(window.end()) }
    }
}
