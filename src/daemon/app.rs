//! What all handlers share: the store, the pool it is called on, settings, tokens and counters.

use std::sync::{Arc, OnceLock};

use crate::requests::Desk;
use crate::{Result as StoreResult, Store};

use super::access::Access;
use super::config::Config;
use super::ingest::Intake;
use super::inspect::Check;
use super::keys::Keys;
use super::metrics::Metrics;
use super::pool::Pool;
use super::problem::Problem;

/// A handle; clones share everything.
#[derive(Clone, Debug)]
pub(super) struct App(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    pool: Pool,
    /// Empty until the store is open.
    store: OnceLock<Store>,
    /// Empty until the requests are read from the ledger.
    desk: OnceLock<Arc<Desk>>,
    access: Access,
    metrics: Metrics,
    intake: Intake,
    keys: Keys,
    check: Check,
}

impl App {
    /// The state of a daemon whose store is not open yet.
    pub(super) fn new(config: Config, access: Access) -> Self {
        let pool = Pool::new(config.http.reader_threads, config.http.writer_threads);
        let ingest = &config.ingest;
        let intake = Intake::new(ingest.senders_max, ingest.memory_bytes_max);
        let (store, metrics) = (OnceLock::new(), Metrics::new());
        Self(Arc::new(Inner {
            config,
            pool,
            store,
            desk: OnceLock::new(),
            access,
            metrics,
            intake,
            keys: Keys::default(),
            check: Check::default(),
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
        let opening = || Problem::unavailable("the store is being opened", 1);
        self.0.store.get().cloned().ok_or_else(opening)
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
