//! The two optional threads: the sweeper, which also seals what is full, and the committer of
//! `Durability::Grouped`.
//!
//! Everything they do can be done without them, one call at a time.

use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::types::{Error, ErrorKind, Result, monotonic};

use super::leftovers::{Leftovers, Next};
use super::surplus::STEP_PAUSE;
use super::{Durability, Inner};

/// Ends the taking of what leaders leave, also when a bug of ours ends the thread.
struct Taking(Arc<Leftovers>, Weak<Inner>);

impl Drop for Taking {
    fn drop(&mut self) {
        for (class, leftover) in self.0.end() {
            if let Some(inner) = self.1.upgrade() {
                inner.appender(class).give_up(&leftover);
            }
        }
    }
}

/// The threads of a store, stopped together.
#[derive(Debug, Default)]
pub(super) struct Threads {
    stop: Arc<(Mutex<bool>, Condvar)>,
    leftovers: Arc<Leftovers>,
    handles: Mutex<Vec<JoinHandle<()>>>,
}

impl Threads {
    /// Starts what the options ask for.
    pub(super) fn start(inner: &Arc<Inner>) -> Result<Self> {
        let threads = Self { leftovers: Arc::clone(&inner.leftovers), ..Self::default() };
        if inner.options.read_only {
            return Ok(threads);
        }
        if let Some(interval) = inner.options.sweeper {
            threads.sweep_every(interval, inner)?;
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

    /// Sweeps once an interval until the store is closed. Meanwhile it does what leaders leave, and
    /// gives room back.
    fn sweep_every(&self, interval: Duration, inner: &Arc<Inner>) -> Result<()> {
        let (inner, leftovers) = (Arc::downgrade(inner), Arc::clone(&self.leftovers));
        leftovers.begin();
        let run = move || {
            let leftovers = Taking(leftovers, Weak::clone(&inner));
            let mut slept = monotonic();
            // Opening may have found what is to be given back.
            let mut step_at = Some(slept);
            loop {
                let next = leftovers.0.next(slept.saturating_add(interval), step_at);
                let Some(inner) = inner.upgrade() else { return };
                match next {
                    Next::Stop => return,
                    Next::Finish(class, left) => inner.appender(class).finish(left, &*inner),
                    Next::Sweep => {
                        match inner.sweep() {
                            Ok(report) => {
                                report.problems.into_iter().for_each(|error| inner.survived(error));
                            }
                            Err(error) => inner.survived(error),
                        }
                        slept = monotonic();
                    }
                    Next::GiveBack => {
                        let goes_on = inner.give_back_step();
                        step_at = goes_on.then(|| monotonic().saturating_add(STEP_PAUSE));
                    }
                }
            }
        };
        self.start_thread("clipkeep-sweeper", run)
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
        self.start_thread(name, run)
    }

    fn start_thread(&self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<()> {
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
        self.leftovers.stop();
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
