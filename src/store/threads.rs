//! The two optional threads: the sweeper, and the committer of `Durability::Grouped`.
//!
//! Everything they do can be done without them, one call at a time.

use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::types::{Error, ErrorKind, Result};

use super::{Durability, Inner};

/// The threads of a store, stopped together.
#[derive(Debug, Default)]
pub(super) struct Threads {
    stop: Arc<(Mutex<bool>, Condvar)>,
    handles: Mutex<Vec<JoinHandle<()>>>,
}

impl Threads {
    /// Starts what the options ask for.
    pub(super) fn start(inner: &Arc<Inner>) -> Result<Self> {
        let threads = Self::default();
        if inner.options.read_only {
            return Ok(threads);
        }
        if let Some(interval) = inner.options.sweeper {
            threads.every("clipkeep-sweeper", interval, inner, |inner| match inner.sweep() {
                Ok(report) => report.problems.into_iter().for_each(|error| inner.survived(error)),
                Err(error) => inner.survived(error),
            })?;
        }
        if let Durability::Grouped(interval) = inner.options.durability {
            threads.every("clipkeep-committer", interval, inner, |inner| {
                for appender in inner.all_appenders() {
                    appender.commit(appender.newest(), inner, true);
                }
            })?;
        }
        Ok(threads)
    }

    /// Runs `act` once an interval until the store is closed.
    fn every(
        &self,
        name: &str,
        interval: Duration,
        inner: &Arc<Inner>,
        act: impl Fn(&Inner) + Send + 'static,
    ) -> Result<()> {
        let inner: Weak<Inner> = Arc::downgrade(inner);
        let stop = Arc::clone(&self.stop);
        let run = move || {
            loop {
                let mut stopped = stop.0.lock();
                if !*stopped {
                    stop.1.wait_for(&mut stopped, interval);
                }
                if *stopped {
                    return;
                }
                drop(stopped);
                let Some(inner) = inner.upgrade() else { return };
                act(&inner);
            }
        };
        let handle = thread::Builder::new().name(name.to_owned()).spawn(run).map_err(|error| {
            Error::new(ErrorKind::Io, format!("start thread {name}")).caused_by(error)
        })?;
        self.handles.lock().push(handle);
        Ok(())
    }

    /// Stops them and waits until they have.
    pub(super) fn stop(&self) {
        *self.stop.0.lock() = true;
        self.stop.1.notify_all();
        for handle in self.handles.lock().drain(..) {
            if handle.thread().id() == thread::current().id() {
                // The last clone was dropped by a sweep's own thread: it ends by itself.
                continue;
            }
            // One that died of a bug of ours is no reason not to close and save what can be saved.
            drop(handle.join());
        }
    }
}
