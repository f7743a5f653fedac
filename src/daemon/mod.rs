//! The standalone daemon: the store over HTTP, for cameras that push and people who look.
//!
//! Owns sockets, the async runtime, tokens and what is counted; no rule about footage. What may be
//! kept, held, read or deleted is the store's to say, through its public items only, on a bounded
//! pool of threads for blocking work: no call of the engine ever runs on an async worker.
//!
//! # Adding a route
//!
//! 1. Write the handler in a file of its own, with `#[utoipa::path(..)]` above it, taking
//!    `State(app): State<App>` and the extractors of `extract`. Answer `Result<_, Problem>`.
//! 2. Call the store through `App::read` (looking) or `App::write` (changing).
//! 3. Give the file a function `routes() -> OpenApiRouter<App>` with
//!    `.routes(routes!(handler))`, and merge it in `router::build`.
//! 4. Say in `access::rules` who may call it and whether it shows footage. A route without a row
//!    there answers 403 to everybody, and a test fails.
//! 5. Where the camera is not in the path as `{camera}`, check `Caller::sees` in the handler.

mod accept;
mod access;
mod app;
mod cameras;
mod config;
mod connection;
mod desk;
mod disk;
mod document;
pub(crate) mod extract;
mod health;
mod holds;
pub(crate) mod ingest;
mod inspect;
mod keeping;
mod keys;
mod log;
mod metrics;
mod observe;
mod opening;
mod pool;
mod problem;
mod router;
mod serve;
mod tls;
pub(crate) mod watch;

#[cfg(feature = "cli")]
pub(crate) use access::{NewToken, Role, TokenFile, TokenLine};
pub use config::Config;
pub use serve::{Started, serve};
