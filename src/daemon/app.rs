//! What all handlers share: the store, the pool it is called on, settings, tokens and counters.

use std::sync::{Arc, OnceLock};

use tokio::sync::Mutex as FairMutex;

use crate::requests::Desk;
use crate::vfs::Vfs as _;
use crate::vfs::os::OsVfs;
use crate::{Result as StoreResult, Stats, Store};

use super::accept::Places;
use super::access::Access;
use super::config::Config;
use super::disk::Progress;
use super::ingest::Intake;
use super::inspect::Check;
use super::keys::Keys;
use super::metrics::{Metrics, Timer};
use super::pool::Pool;
use super::problem::Problem;

/// A handle; clones share everything.
#[derive(Clone, Debug)]
pub(super) struct App(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    pool: Pool,
    places: Places,
    /// Empty until the store is open.
    store: OnceLock<Store>,
    /// Empty until the requests are read from the ledger.
    desk: OnceLock<Arc<Desk>>,
    access: Access,
    metrics: Metrics,
    intake: Intake,
    keys: Keys,
    check: Check,
    progress: Progress,
    /// The store's figures, and since when they are known.
    figures: FairMutex<Option<(Timer, Arc<Stats>)>>,
}

impl App {
    /// The state of a daemon whose store is not open yet.
    pub(super) fn new(
        config: Config,
        access: Access,
        metrics: Metrics,
        progress: Progress,
    ) -> Self {
        let pool = Pool::new(config.http.reader_threads, config.http.writer_threads);
        let intake = Intake::new(&config);
        let (store, keys) = (OnceLock::new(), Keys::of(&config.dir));
        let places = Places::new(connections_max(&config));
        Self(Arc::new(Inner {
            config,
            pool,
            places,
            store,
            desk: OnceLock::new(),
            access,
            metrics,
            intake,
            keys,
            check: Check::default(),
            progress,
            figures: FairMutex::default(),
        }))
    }

    /// Takes the open store: from here on requests are answered.
    pub(super) fn open(&self, store: Store) {
        // A second store can only be a mistake of ours, and the first is in use.
        let first = self.0.store.set(store).is_ok();
        debug_assert!(first, "the store was opened twice");
    }

    /// The store.
    ///
    /// # Errors
    ///
    /// `unavailable` while it is being opened.
    pub(super) fn store(&self) -> Result<Store, Problem> {
        self.0.store.get().cloned().ok_or_else(|| Problem::opening(self.0.progress.segments()))
    }

    /// The store's figures, a second old at most: to count them reads every footer, and everybody
    /// may ask whether the daemon is ready.
    ///
    /// # Errors
    ///
    /// Those of the store; `unavailable` while it opens or all readers are busy.
    pub(super) async fn figures(&self) -> Result<Arc<Stats>, Problem> {
        let mut kept = self.0.figures.lock().await;
        match &*kept {
            Some((since, stats)) if since.seconds() < FIGURES_SECONDS => Ok(Arc::clone(stats)),
            _ => {
                let fresh = Arc::new(self.read(Store::stats).await?);
                *kept = Some((Timer::start(), Arc::clone(&fresh)));
                Ok(fresh)
            }
        }
    }

    /// Takes the desk that was opened over the store. Whoever comes second has the same.
    pub(super) fn open_desk(&self, desk: Desk) -> Arc<Desk> {
        Arc::clone(self.0.desk.get_or_init(|| Arc::new(desk)))
    }

    /// The desk of requests.
    ///
    /// # Errors
    ///
    /// `unavailable` while it is being opened.
    pub(super) fn desk(&self) -> Result<Arc<Desk>, Problem> {
        let opening = || Problem::unavailable("the desk of requests is being opened", 1);
        self.0.desk.get().cloned().ok_or_else(opening)
    }

    /// Calls the store for something that changes nothing.
    ///
    /// # Errors
    ///
    /// Those of `work`; `unavailable` while the store opens or all readers are busy.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> StoreResult<T> + Send + 'static,
    ) -> Result<T, Problem> {
        let store = self.store()?;
        self.0.pool.read(move || work(&store)).await?.map_err(Problem::from)
    }

    /// Calls the store for something that changes it.
    ///
    /// # Errors
    ///
    /// Those of `work`; `unavailable` while the store opens.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> StoreResult<T> + Send + 'static,
    ) -> Result<T, Problem> {
        let store = self.store()?;
        self.0.pool.write(move || work(&store)).await?.map_err(Problem::from)
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.0.pool
    }

    pub(super) fn places(&self) -> &Places {
        &self.0.places
    }

    pub(super) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(super) fn access(&self) -> &Access {
        &self.0.access
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(super) fn intake(&self) -> &Intake {
        &self.0.intake
    }

    pub(super) fn check(&self) -> &Check {
        &self.0.check
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.0.keys
    }
}

/// How old figures may be.
const FIGURES_SECONDS: f64 = 1.0;
/// Descriptors that are left to the store, tokens, certificates, the log, the runtime: the store
/// takes at most half of what the process may have, and at most this.
const OTHER_FILES_MAX: u64 = 640;

/// As many connections as the settings say, and as the process may have descriptors for.
fn connections_max(config: &Config) -> usize {
    let wanted = config.http.connections_max;
    let Some(files) = OsVfs::new(&config.dir).open_files_max() else { return wanted };
    let possible = files.saturating_sub((files / 2).min(OTHER_FILES_MAX)).max(1);
    let possible = usize::try_from(possible).unwrap_or(usize::MAX);
    if possible < wanted {
        tracing::warn!(
            possible,
            wanted,
            files,
            "fewer connections at a time than http.connections_max: raise the limit of open files"
        );
    }
    wanted.min(possible)
}
