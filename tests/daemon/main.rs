//! The daemon as clients meet it: the real binary, real sockets, ffmpeg and curl.
//!
//! A binary of its own, because it needs features that the tests of the engine do without.
#![cfg(all(test, feature = "cli", feature = "daemon"))]

mod access;
mod clips;
mod hls;
mod holds;
mod kit;
mod stream;
mod tls;
mod trouble;
mod watch;
