//! What the daemon says while it runs: one line an event on standard error, for people or machines.
//!
//! No tokens and no personal data: ids of cameras, clips and tokens, codes and figures.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::config::{Log, LogFormat, LogLevel};

/// Begins to say things. A process that has a subscriber of its own keeps it.
pub(super) fn begin(log: &Log) {
    let level = match log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    // Who looked at footage is said whatever the level.
    let filter = Targets::new()
        .with_target("clipkeep", level)
        .with_target("clipkeep::access", LevelFilter::INFO)
        .with_default(LevelFilter::WARN);
    let to_stderr = fmt::layer().with_writer(std::io::stderr);
    let begun = match log.format {
        LogFormat::Json => {
            let layer = to_stderr.json().flatten_event(true);
            tracing_subscriber::registry().with(layer).with(filter).try_init()
        }
        LogFormat::Text => {
            let layer = to_stderr.with_ansi(false);
            tracing_subscriber::registry().with(layer).with(filter).try_init()
        }
    };
    if let Err(error) = begun {
        tracing::debug!(%error, "somebody else listens already");
    }
}
