//! Opening the store with what the settings say.

use std::path::Path;
use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;

use crate::{Error, ErrorKind, Result, Retention, Store, StoreOptions, WhenFull};

use super::config::{Config, WhenFullName};
use super::disk::{Progress, WatchedDisk};

/// Whether there is no store in `dir` yet. The store itself refuses to be made among other things.
pub(super) fn is_new(dir: &Path) -> bool {
    !dir.join("STORE").exists()
}

/// Refuses to make a store where the settings say that there is one: on the empty mount point of a
/// disk that was not mounted, a new one would be taken for it, with new tokens and no holds.
///
/// # Errors
///
/// `NotFound`.
pub(super) fn may_be_made(config: &Config) -> Result<()> {
    if config.store.create || !is_new(&config.dir) {
        return Ok(());
    }
    let what = "open store: there is none here, and none is made (store.create = false): \
                is its disk mounted?";
    Err(Error::new(ErrorKind::NotFound, what).at(&config.dir))
}

/// Opens the store, counting its syncs into `syncs` and how far it has come into `progress`.
///
/// # Errors
///
/// Those of the store.
pub(super) async fn open(config: Config, syncs: Histogram, progress: Progress) -> Result<Store> {
    let disk = WatchedDisk::new(&config.dir, syncs, progress);
    let open = move || options(&config)?.vfs(disk).open(&config.dir);
    let opened = tokio::task::spawn_blocking(open).await;
    opened.map_err(|failed| Error::new(ErrorKind::Io, format!("open store: {failed}")))?
}

fn options(config: &Config) -> Result<StoreOptions> {
    let store = &config.store;
    let given = |bytes: u64| (bytes > 0).then_some(bytes);
    // What other recorders make is up to an hour long.
    let longest = Duration::from_hours(1);
    let mut options = Store::options()
        .clip_duration_max(longest)
        .retention(Retention::days(store.keep_days_at_least, store.keep_days_at_most)?)
        .free_space_floor(store.free_space_floor_bytes)
        .reuse_max(store.reuse_bytes_max)
        .segment_bytes(store.segment_bytes)
        .sweeper(Duration::from_secs(store.sweep_seconds))
        .when_full(match store.when_full {
            WhenFullName::DropOldest => WhenFull::DropOldest,
            WhenFullName::Refuse => WhenFull::Refuse,
        });
    if let Some(bytes) = given(store.quota_bytes) {
        options = options.quota(bytes);
    }
    if let Some(bytes) = given(store.hold_budget_bytes) {
        options = options.hold_budget(bytes);
    }
    if let Some(bytes) = given(store.agency_hold_budget_bytes) {
        options = options.agency_hold_budget(bytes);
    }
    Ok(options)
}
