//! The tests of what the outside can see, in one binary.
#![cfg(test)]

#[cfg(feature = "cli")]
mod cli;
mod clock;
mod crash;
mod damage;
mod delete;
mod faults;
mod figures;
mod find;
mod full;
mod holds;
mod holds_gate;
mod holds_limits;
mod holds_receipt;
mod kernel;
#[cfg(feature = "media")]
mod media;
mod plug;
mod read;
mod record;
mod record_stream;
mod reopen;
mod retention;
mod scenarios;
mod store_kit;
mod tidy;
mod together;
mod trouble;
mod world;
