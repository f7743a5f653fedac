//! Progress of long work, on standard error, when that is a terminal.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar that counts bytes, or nothing at all when nobody could see it.
#[derive(Debug)]
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// A bar over `total` bytes; `what` says what is being done.
    pub(super) fn bytes(what: &'static str, total: u64) -> Self {
        let visible = io::stderr().is_terminal();
        let target =
            if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let template = "{prefix} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta} {msg}";
        let style =
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(Some(total), target).with_style(style);
        bar.set_prefix(what);
        if visible {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self(bar)
    }

    /// `done` bytes of `total` are through.
    pub(super) fn at(&self, done: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_position(done);
    }

    /// `more` bytes are through.
    pub(super) fn advance(&self, more: u64) {
        self.0.inc(more);
    }

    /// What is being worked on now.
    pub(super) fn note(&self, text: impl Into<String>) {
        self.0.set_message(text.into());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
