//! The integration tests: one binary, so that what they share is built once.
#![cfg(test)]

#[cfg(feature = "cli")]
mod cli;
#[cfg(feature = "media")]
mod media;
