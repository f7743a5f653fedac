//! The daemon as clients meet it: the real binary, real sockets, ffmpeg and curl.
//!
//! A binary of its own, because it needs features that the tests of the engine do without.
#![cfg(all(test, feature = "cli", feature = "daemon"))]

mod kit;
mod stream;
mod watch;
