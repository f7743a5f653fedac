//! The threads on which the engine is called: as many as configured, and no more.
//!
//! Two kinds of work with a bound each, so that slow readers never keep a camera from writing.
//! Writers wait for their turn, which is what makes the socket wait when the disk is slow; readers
//! are turned away after a while.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task;

use super::problem::Problem;

/// How long a reader waits for a thread.
const READ_WAIT: Duration = Duration::from_secs(10);

/// The bounds.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    readers: Arc<Semaphore>,
    writers: Arc<Semaphore>,
}

impl Pool {
    /// At most `readers` and `writers` calls at a time.
    pub(super) fn new(readers: usize, writers: usize) -> Self {
        let bound = |threads| Arc::new(Semaphore::new(threads));
        Self { readers: bound(readers), writers: bound(writers) }
    }

    /// Runs `work`, which only looks.
    ///
    /// # Errors
    ///
    /// `unavailable` when no thread came free in time.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = Arc::clone(&self.readers).acquire_owned();
        match tokio::time::timeout(READ_WAIT, turn).await {
            Ok(Ok(permit)) => run(permit, work).await,
            Ok(Err(_)) | Err(_) => Err(Problem::unavailable("all readers are busy", 1)),
        }
    }

    /// Runs `work`, which changes something, whenever its turn comes.
    ///
    /// # Errors
    ///
    /// `unavailable` when the daemon stops.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        match Arc::clone(&self.writers).acquire_owned().await {
            Ok(permit) => run(permit, work).await,
            Err(_) => Err(Problem::unavailable("the daemon stops", 5)),
        }
    }
}

/// The permit goes back when the work is done, even when nobody waits for its outcome any more.
async fn run<T: Send + 'static>(
    permit: OwnedSemaphorePermit,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let done = task::spawn_blocking(move || {
        let outcome = work();
        drop(permit);
        outcome
    });
    done.await.map_err(|failed| {
        tracing::error!(%failed, "a call of the store panicked");
        Problem::new("internal", "the call failed")
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn no_more_calls_than_the_bound_run_at_a_time() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let pool = Pool::new(1, 3);
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let calls: Vec<_> = (0..40)
            .map(|_| {
                let (pool, now, most) = (pool.clone(), Arc::clone(&now), Arc::clone(&most));
                runtime.spawn(async move {
                    pool.write(move || {
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::yield_now();
                        now.fetch_sub(1, Ordering::SeqCst);
                    })
                    .await
                    .unwrap();
                })
            })
            .collect();
        runtime.block_on(async {
            for call in calls {
                call.await.unwrap();
            }
        });
        assert!((1..=3).contains(&most.load(Ordering::SeqCst)));
    }

    #[test]
    fn readers_that_are_stuck_do_not_keep_a_writer_waiting() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let pool = Pool::new(1, 1);
        let (let_go, stuck) = mpsc::channel::<()>();
        let reader = pool.clone();
        let reading = runtime.spawn(async move { reader.read(move || stuck.recv()).await });
        assert_eq!(runtime.block_on(pool.write(|| 7)).unwrap(), 7);
        let_go.send(()).unwrap();
        runtime.block_on(reading).unwrap().unwrap().unwrap();
    }
}
