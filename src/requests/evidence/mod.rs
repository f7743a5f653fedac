//! What an agency takes with it: a bundle of what was shared, which anybody can check offline.
//!
//! [`super::Desk::bundle`] makes it, [`check`] checks it with nothing but the file and a key. Their
//! common words are in `manifest`; docs/EVIDENCE.md says for people what is checked and what is
//! not claimed.

mod account;
mod bundle;
mod check;
mod death;
mod footage;
mod log;
mod make;
mod manifest;
#[cfg(feature = "media")]
mod mp4;
mod paper;
mod retention;
mod story;

pub use account::{EarlyEviction, EarlyReason, RetentionAccount};
pub use bundle::{Bundle, BundleReader};
pub use check::{Class, Finding, Report, check};
pub use death::check_certificate;
pub use footage::{Footage, Trim, TrimError};
#[cfg(feature = "media")]
pub use mp4::Mp4;
pub use retention::{RETENTION_PROOF_BYTES_MAX, check_retention, is_retention_proof};
