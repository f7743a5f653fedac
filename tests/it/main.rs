//! The tests of what the outside can see, in one binary.
#![cfg(test)]

mod clock;
mod damage;
mod delete;
mod find;
mod full;
mod holds;
mod holds_gate;
mod holds_limits;
mod holds_receipt;
mod read;
mod record;
mod record_stream;
mod reopen;
mod retention;
mod store_kit;
mod trouble;
