//! Who and what the workflow speaks of.
//!
//! Every id is either public by its nature (an agency's name) or a number that says nothing: ids
//! stand in the ledger, which is never erased.

use std::fmt;
use std::str::FromStr;

use super::Refusal;

/// A partner department: a short public name like `springfield-pd`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgencyId(String);

impl AgencyId {
    /// The agency called `name`: 1 to 64 lower-case letters, digits and `-`.
    ///
    /// # Errors
    ///
    /// `Invalid` otherwise.
    pub fn new(name: &str) -> Result<Self, Refusal> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if (1..=64).contains(&name.len()) && name.bytes().all(plain) {
            return Ok(Self(name.to_owned()));
        }
        Err(Refusal::Invalid(format!(
            "agency {name:?}: want 1 to 64 lower-case letters, digits and '-'"
        )))
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AgencyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for AgencyId {
    type Err = Refusal;

    fn from_str(name: &str) -> Result<Self, Refusal> {
        Self::new(name)
    }
}

/// Makes a numbered id whose text is its letter and its number.
macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident, $letter:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            /// The one that is given after this one.
            pub(super) fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&format!(concat!($letter, "{}"), self.0))
            }
        }

        impl FromStr for $name {
            type Err = Refusal;

            fn from_str(text: &str) -> Result<Self, Refusal> {
                let number = text.strip_prefix($letter).and_then(|digits| digits.parse().ok());
                // One text an id: no plus, no leading zeros.
                number.map(Self).filter(|id| id.to_string() == text).ok_or_else(|| {
                    Refusal::Invalid(format!(concat!($what, " {:?}: want ", $letter, "1"), text))
                })
            }
        }
    };
}

numbered! {
    /// A home with its cameras.
    HouseholdId, "h", "household"
}
numbered! {
    /// A request of an agency.
    RequestId, "r", "request"
}
numbered! {
    /// A clip that a resident put into the neighbourhood feed.
    PostId, "p", "post"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_back_and_have_one_text_each() {
        assert_eq!("r17".parse::<RequestId>().unwrap(), RequestId(17));
        assert_eq!(HouseholdId(3).to_string(), "h3");
        assert_eq!("springfield-pd".parse::<AgencyId>().unwrap().as_str(), "springfield-pd");
        for bad in ["r", "17", "r017", "r+1", "h3", "r-1", "r99999999999"] {
            assert!(bad.parse::<RequestId>().is_err(), "{bad}");
        }
        for bad in ["", "Springfield", "a b", "a/b", &"x".repeat(65)] {
            assert!(bad.parse::<AgencyId>().is_err(), "{bad}");
        }
    }
}
