//! The integration tests: one binary, so that what they share is built once.
#![cfg(test)]

#[cfg(feature = "cli")]
mod cli;
mod crash;
mod faults;
mod figures;
mod kernel;
#[cfg(feature = "media")]
mod media;
mod plug;
mod scenarios;
mod world;
