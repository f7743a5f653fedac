//! The tests of what the outside can see, in one binary.
#![cfg(test)]

#[cfg(feature = "cli")]
mod cli;
#[cfg(feature = "media")]
mod media;
mod tidy;
