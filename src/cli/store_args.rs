//! The flags that say which store, and how to open it.
//!
//! What a store must remember (retention, holds) is in its ledger. The rest (quota, floor, when
//! full, segment size) belongs to the machine it runs on: a flag or a variable at each call.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum;

use super::exit;
use super::files;
use super::size::Size;
use super::when::{Span, parse_duration};
use crate::types::Error;
use crate::{Durability, OpenReport, Result, Retention, Store, StoreOptions, WhenFull};

/// Which store, for commands that only read it.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Dir {
    /// The store's folder
    #[arg(long = "dir", env = "CLIPKEEP_DIR", value_name = "DIR", help_heading = "Store")]
    pub(super) path: PathBuf,

    /// Print JSON, for scripts
    #[arg(long, help_heading = "Store")]
    pub(super) json: bool,
}

impl Dir {
    /// Opens the store without writing anything.
    pub(super) fn read(&self) -> anyhow::Result<Store> {
        self.open(Store::options().read_only(true).create(false))
    }

    fn open(&self, options: StoreOptions) -> anyhow::Result<Store> {
        let opened = options.open(&self.path);
        let store = opened.with_context(|| format!("cannot open store {}", self.path.display()))?;
        self.tell(&store.opening());
        Ok(store)
    }

    /// What the opening found, for whoever looks at standard error.
    fn tell(&self, report: &OpenReport) {
        let tell = |message: String| exit::warn(&message, self.json);
        if report.created {
            tell(format!("made a new store in {}", self.path.display()));
        }
        for repair in &report.repairs {
            tell(format!("repaired: {repair}"));
        }
        for problem in &report.problems {
            tell(format!("problem: {problem}"));
        }
        if let Some(reason) = &report.deletion_frozen {
            tell(format!("nothing is deleted until this is repaired: {reason}"));
        }
    }
}

/// Which store, and how, for commands that write to it.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct StoreArgs {
    #[command(flatten)]
    pub(super) dir: Dir,

    /// The most bytes that the store may take [default: no limit but the disk's]
    #[arg(long, env = "CLIPKEEP_QUOTA", value_name = "SIZE", help_heading = "Store")]
    quota: Option<Size>,

    /// Bytes of the disk that are left to others [default: 256MiB]
    #[arg(long, env = "CLIPKEEP_FREE_SPACE_FLOOR", value_name = "SIZE", help_heading = "Store")]
    free_space_floor: Option<Size>,

    /// The most bytes in files of dropped segments kept for new ones; 0 removes them
    /// [default: 4GiB, and never more than an eighth of the disk]
    #[arg(long, env = "CLIPKEEP_REUSE_MAX", value_name = "SIZE", help_heading = "Store")]
    reuse_max: Option<Size>,

    /// What gives way when only promised footage is left
    #[arg(long, env = "CLIPKEEP_WHEN_FULL", default_value = "drop-oldest", help_heading = "Store")]
    when_full: WhenFullFlag,

    /// Size of the log's files, a multiple of 4MiB [default: 128MiB]
    #[arg(long, env = "CLIPKEEP_SEGMENT_SIZE", value_name = "SIZE", help_heading = "Store")]
    segment_size: Option<Size>,

    /// When writes count as done: synced, grouped:500ms or buffered
    #[arg(long, env = "CLIPKEEP_DURABILITY", value_name = "HOW", help_heading = "Store")]
    durability: Option<DurabilityFlag>,

    /// The most bytes that all holds together may cover [default: no limit]
    #[arg(long, env = "CLIPKEEP_HOLD_BUDGET", value_name = "SIZE", help_heading = "Store")]
    hold_budget: Option<Size>,

    /// The most bytes that the holds of one agency may cover [default: no limit]
    #[arg(long, env = "CLIPKEEP_AGENCY_HOLD_BUDGET", value_name = "SIZE", help_heading = "Store")]
    agency_hold_budget: Option<Size>,
}

impl StoreArgs {
    /// Opens a store that must exist.
    pub(super) fn write(&self) -> anyhow::Result<Store> {
        self.dir.open(self.options().create(false))
    }

    /// As [`StoreArgs::write`], without writing anything; for what depends on the flags.
    pub(super) fn read(&self) -> anyhow::Result<Store> {
        self.dir.open(self.options().read_only(true).create(false))
    }

    /// Opens a store, making it when its folder is absent or empty: in a folder with other things
    /// a typing mistake is likelier than a wish.
    pub(super) fn write_or_create(
        &self,
        durability: Durability,
        sweeper: Option<Duration>,
    ) -> anyhow::Result<Store> {
        let mut options = self.options().create(files::is_absent_or_empty(&self.dir.path));
        options = options.durability(self.durability.map_or(durability, |flag| flag.0));
        if let Some(interval) = sweeper {
            options = options.sweeper(interval);
        }
        self.dir.open(options)
    }

    /// Makes a store, or opens the one that is there.
    pub(super) fn create(&self, retention: Retention) -> anyhow::Result<Store> {
        self.dir.open(self.options().create(true).retention(retention))
    }

    /// The same with these hold budgets, where no flag says another.
    #[cfg(all(feature = "daemon", feature = "requests"))]
    pub(super) fn or_hold_budgets(mut self, all: Option<u64>, agency: Option<u64>) -> Self {
        self.hold_budget = self.hold_budget.or(all.map(Size));
        self.agency_hold_budget = self.agency_hold_budget.or(agency.map(Size));
        self
    }

    fn options(&self) -> StoreOptions {
        let mut options = Store::options().when_full(self.when_full.into());
        if let Some(Size(bytes)) = self.quota {
            options = options.quota(bytes);
        }
        if let Some(Size(bytes)) = self.free_space_floor {
            options = options.free_space_floor(bytes);
        }
        if let Some(Size(bytes)) = self.reuse_max {
            options = options.reuse_max(bytes);
        }
        if let Some(Size(bytes)) = self.segment_size {
            options = options.segment_bytes(bytes);
        }
        if let Some(DurabilityFlag(durability)) = self.durability {
            options = options.durability(durability);
        }
        if let Some(Size(bytes)) = self.hold_budget {
            options = options.hold_budget(bytes);
        }
        if let Some(Size(bytes)) = self.agency_hold_budget {
            options = options.agency_hold_budget(bytes);
        }
        options
    }
}

/// [`WhenFull`] as a flag.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum WhenFullFlag {
    /// Break the promise of the oldest clips, on record and with an alarm
    DropOldest,
    /// Keep the promise and stop recording
    Refuse,
}

impl From<WhenFullFlag> for WhenFull {
    fn from(flag: WhenFullFlag) -> Self {
        match flag {
            WhenFullFlag::DropOldest => Self::DropOldest,
            WhenFullFlag::Refuse => Self::Refuse,
        }
    }
}

/// [`Durability`] as a flag.
#[derive(Clone, Copy, Debug)]
struct DurabilityFlag(Durability);

impl FromStr for DurabilityFlag {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let durability = match text.split_once(':').unwrap_or((text, "")) {
            ("synced", "") => Some(Durability::Synced),
            ("buffered", "") => Some(Durability::Buffered),
            ("grouped", interval) => parse_duration(interval).map(Durability::Grouped),
            _ => None,
        };
        durability.map(Self).ok_or_else(|| {
            Error::invalid(format!(
                "durability {text:?}: want synced, grouped:500ms (any interval) or buffered"
            ))
        })
    }
}

/// The span of time that commands look at.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct WindowArgs {
    /// From this time on (RFC 3339, local time, or `2h ago`)
    #[arg(long, value_name = "TIME")]
    pub(super) from: super::when::When,

    /// Up to this time, which is not included
    #[arg(long, value_name = "TIME")]
    pub(super) to: super::when::When,
}

impl WindowArgs {
    /// The window that they name.
    pub(super) fn window(&self) -> Result<crate::Window> {
        crate::Window::new(self.from.0, self.to.0)
    }
}

/// A duration flag's value, where one was given.
pub(super) fn given(span: Option<Span>) -> Option<Duration> {
    span.map(|Span(duration)| duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durability_is_spelled_out() {
        let parse = |text: &str| text.parse::<DurabilityFlag>().map(|flag| flag.0);
        assert_eq!(parse("synced").unwrap(), Durability::Synced);
        assert_eq!(parse("buffered").unwrap(), Durability::Buffered);
        let half = Durability::Grouped(Duration::from_millis(500));
        assert_eq!(parse("grouped:500ms").unwrap(), half);
        for text in ["", "grouped", "grouped:", "synced:1s", "fast"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
