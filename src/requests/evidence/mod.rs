//! What an agency takes with it: a bundle of what was shared, which anybody can check offline.
//!
//! [`super::Desk::bundle`] makes it, [`check`] checks it with nothing but the file and a key. Their
//! common words are in `manifest`; docs/EVIDENCE.md says for people what is checked and what is
//! not claimed.

mod check;
mod death;
mod log;
mod make;
mod manifest;

pub use check::{Class, Finding, Report, check};
pub use death::check_certificate;
pub use make::{Trim, TrimError};
