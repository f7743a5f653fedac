//! The tests of what the outside can see, in one binary.
#![cfg(test)]
#![expect(clippy::similar_names, reason = "a hold and what is held are the words of the trade")]
#![expect(clippy::unchecked_time_subtraction, reason = "a test that underflows has failed")]

#[cfg(feature = "bench")]
mod allocations;
#[cfg(feature = "mutation")]
mod barriers;
#[cfg(feature = "cli")]
mod cli;
mod clock;
mod concurrency;
#[cfg(feature = "bench")]
mod costs;
mod crash;
mod damage;
mod delete;
mod faults;
mod figures;
mod find;
mod flips;
mod full;
mod history;
mod holds;
mod holds_gate;
mod holds_limits;
mod holds_receipt;
mod kernel;
mod last_moment;
#[cfg(feature = "media")]
mod media;
mod model;
mod partitions;
mod plug;
mod promises;
mod protocol;
mod read;
mod record;
mod record_stream;
mod reopen;
mod repair;
#[cfg(feature = "requests")]
mod requests;
mod retention;
mod reuse;
mod say;
mod scenarios;
mod spare;
mod store_kit;
mod surplus;
mod tidy;
mod together;
mod torn;
mod trouble;
#[cfg(feature = "bench")]
mod workload;
mod world;
