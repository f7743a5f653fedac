//! The daemon as clients meet it: the real binary, real sockets, ffmpeg and curl.
//!
//! A binary of its own, because it needs features that the tests of the engine do without.
#![cfg(test)]
#![cfg(all(feature = "cli", feature = "daemon"))]
#![expect(
    clippy::disallowed_methods,
    clippy::float_cmp,
    clippy::format_push_string,
    clippy::large_stack_arrays,
    reason = "sockets have real deadlines, counts of whole seconds are exact, tests may be slow"
)]

mod access;
mod backup;
mod boxes;
mod clips;
mod connections;
mod enospc;
mod figures;
mod hls;
mod holds;
mod hooks;
mod image;
mod inbox;
mod kill;
mod kit;
mod readme;
mod requests;
mod service;
mod stream;
mod tls;
mod trouble;
mod typed;
mod walk;
mod watch;
