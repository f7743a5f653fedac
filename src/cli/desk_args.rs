//! The flags that say which store's desk, and by which rules it decides.

use super::store_args::StoreArgs;
use crate::requests::{Desk, Rules};
use crate::types::Error;

/// Which store, and the rules of its desk.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct DeskArgs {
    #[command(flatten)]
    store: StoreArgs,

    /// The settings of `clipkeep serve`: its bounds of requests and its hold budgets count here
    /// too, and so do its variables
    #[cfg(feature = "daemon")]
    #[arg(long, env = "CLIPKEEP_CONFIG", value_name = "FILE", help_heading = "Store")]
    config: Option<std::path::PathBuf>,
}

impl DeskArgs {
    /// The desk of a store that may be written.
    pub(super) fn desk(&self) -> anyhow::Result<Desk> {
        // First the rules: a mistake in them leaves the store alone.
        let (store, rules) = self.settings()?;
        Ok(Desk::open(store.write()?, rules).map_err(Error::from)?)
    }

    #[cfg(feature = "daemon")]
    fn settings(&self) -> anyhow::Result<(StoreArgs, Rules)> {
        let text = self.config.as_deref().map(super::files::read_text).transpose()?;
        let environment = |name: &str| std::env::var(name).ok();
        let config = crate::daemon::Config::new("", &text.unwrap_or_default(), environment, &[])?;
        let (all, agency) = config.hold_budgets();
        Ok((self.store.clone().or_hold_budgets(all, agency), config.rules()?))
    }

    #[cfg(not(feature = "daemon"))]
    #[expect(clippy::unnecessary_wraps, reason = "with the daemon there are settings to read")]
    fn settings(&self) -> anyhow::Result<(StoreArgs, Rules)> {
        Ok((self.store.clone(), Rules::default()))
    }
}
