//! The bytes of footage that have come in and are not in the store yet: a bound over all senders,
//! and a lower one over those of one camera, so that one never takes all.
//!
//! Whoever would go above a bound waits, and its socket with it. Those who wait hold what others
//! wait for, so one of them at a time may go above: it gets done and gives back what it has, and
//! then the next one may. So there is at most one clip more in memory than the bound says, and
//! nobody waits for somebody who waits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Mutex as FairMutex, Notify, OwnedMutexGuard};

use crate::CameraId;

use super::super::problem::Problem;

/// What a sender may always have: two pieces of a stream, so that many small ones never starve.
const FREE_BYTES: u64 = 64 << 10;

/// The account.
#[derive(Clone, Debug)]
pub(in crate::daemon) struct Memory(Arc<Account>);

#[derive(Debug)]
struct Account {
    max: u64,
    camera_max: u64,
    /// How long a sender waits.
    patience: Duration,
    used: Mutex<Used>,
    /// Told of each byte that is given back.
    freed: Notify,
    /// Who has it may go above.
    above: Arc<FairMutex<()>>,
}

#[derive(Debug, Default)]
struct Used {
    bytes: u64,
    cameras: BTreeMap<CameraId, u64>,
}

impl Memory {
    pub(super) fn new(max: u64, camera_max: u64, patience: Duration) -> Self {
        let (used, freed, above) = (Mutex::default(), Notify::new(), Arc::default());
        Self(Arc::new(Account { max, camera_max, patience, used, freed, above }))
    }

    /// An account of one sender of `camera`, with nothing in it.
    pub(super) fn share(&self, camera: &CameraId) -> Share {
        Share { of: Arc::clone(&self.0), camera: camera.clone(), bytes: 0, above: None }
    }

    /// What all senders have in memory.
    pub(in crate::daemon) fn used(&self) -> u64 {
        self.0.used.lock().bytes
    }
}

/// What one sender has in memory. Given back when it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    of: Arc<Account>,
    camera: CameraId,
    bytes: u64,
    above: Option<OwnedMutexGuard<()>>,
}

impl Share {
    /// What it has.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// States how many bytes this sender has now, and waits until it may have them.
    ///
    /// # Errors
    ///
    /// `unavailable` when that took too long: the disk stands still.
    pub(super) async fn set(&mut self, bytes: u64) -> Result<(), Problem> {
        if self.put(bytes, false) {
            return Ok(());
        }
        let patience = self.of.patience;
        let waited = tokio::time::timeout(patience, self.wait_for(bytes)).await;
        let gave_up = |_| Problem::unavailable("too much footage comes in at once", 2).closing();
        waited.map_err(gave_up)
    }

    /// States how many bytes this sender has now, where somebody has waited for them already.
    pub(super) fn state(&mut self, bytes: u64) {
        self.put(bytes, true);
    }

    /// Puts `bytes` down, unless they are too many and not `sure`.
    fn put(&mut self, bytes: u64, sure: bool) -> bool {
        let mut used = self.of.used.lock();
        let Used { bytes: all, cameras } = &mut *used;
        let of_camera = cameras.entry(self.camera.clone()).or_default();
        let more = bytes.saturating_sub(self.bytes);
        let fits = *all + more <= self.of.max && *of_camera + more <= self.of.camera_max;
        let may = self.above.is_some() || bytes <= self.bytes.max(FREE_BYTES);
        if !(sure || fits || may) {
            return false;
        }
        *all = (*all + bytes).saturating_sub(self.bytes);
        *of_camera = (*of_camera + bytes).saturating_sub(self.bytes);
        if *of_camera == 0 {
            cameras.remove(&self.camera);
        }
        drop(used);
        if bytes < self.bytes {
            // Whatever it keeps is less than it may always have.
            self.above = None;
            self.of.freed.notify_waiters();
        }
        self.bytes = bytes;
        true
    }

    async fn wait_for(&mut self, bytes: u64) {
        let of = Arc::clone(&self.of);
        let turn = Arc::clone(&of.above).lock_owned();
        tokio::pin!(turn);
        loop {
            let freed = of.freed.notified();
            tokio::pin!(freed);
            // From here on nothing that is given back is missed.
            freed.as_mut().enable();
            if self.put(bytes, false) {
                return;
            }
            tokio::select! {
                () = freed => {}
                above = &mut turn => {
                    self.above = Some(above);
                    return self.state(bytes);
                }
            }
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.state(0);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    const PATIENCE: Duration = Duration::from_mins(10);

    fn camera(name: &str) -> CameraId {
        name.parse().unwrap()
    }

    /// One attempt: `None` when it waits.
    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
        match future.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        }
    }

    fn in_time<T>(test: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.unwrap().block_on(test)
    }

    #[test]
    fn what_is_above_the_bound_waits_until_room_is_given_back() {
        in_time(async {
            let memory = Memory::new(1_000_000, 1_000_000, PATIENCE);
            let (mut a, mut b) = (memory.share(&camera("a")), memory.share(&camera("b")));
            let mut above = memory.share(&camera("c"));
            a.set(700_000).await.unwrap();
            above.set(400_000).await.unwrap();
            assert_eq!(memory.used(), 1_100_000, "one at a time may go above");
            {
                let mut waits = pin!(b.set(400_000));
                assert!(poll(waits.as_mut()).is_none());
                drop(a);
                assert!(poll(waits.as_mut()).is_some_and(|got| got.is_ok()));
            }
            assert_eq!(memory.used(), 800_000);
            drop((above, b));
            assert_eq!(memory.used(), 0);
        });
    }

    #[test]
    fn those_who_wait_for_one_another_get_done_one_by_one() {
        in_time(async {
            let memory = Memory::new(1_000_000, 1_000_000, PATIENCE);
            let shares = ["a", "b", "c", "d"].map(|name| memory.share(&camera(name)));
            let mut shares = shares.into_iter().collect::<Vec<_>>();
            for share in &mut shares {
                share.set(250_000).await.unwrap();
            }
            // Each has a half of what it needs, and nothing is left.
            while let Some(mut share) = shares.pop() {
                share.set(500_000).await.unwrap();
                assert!(memory.used() <= 1_250_000);
            }
            assert_eq!(memory.used(), 0);
        });
    }

    #[test]
    fn one_camera_does_not_take_the_room_of_the_others() {
        in_time(async {
            let memory = Memory::new(1_000_000, 300_000, PATIENCE);
            let mut all: Vec<_> = (0..3).map(|_| memory.share(&camera("a"))).collect();
            all[0].set(300_000).await.unwrap();
            all[1].set(200_000).await.unwrap();
            let (third, rest) = all.split_last_mut().unwrap();
            let mut waits = pin!(third.set(200_000));
            assert!(poll(waits.as_mut()).is_none(), "it has more than its part");
            memory.share(&camera("b")).set(300_000).await.unwrap();
            rest[1].set(FREE_BYTES).await.unwrap();
            assert!(poll(waits.as_mut()).is_some_and(|got| got.is_ok()));
        });
    }

    #[test]
    fn who_waits_for_too_long_is_told_to_try_again() {
        in_time(async {
            let memory = Memory::new(100_000, 100_000, Duration::from_millis(1));
            let (mut a, mut b) = (memory.share(&camera("a")), memory.share(&camera("b")));
            a.set(200_000).await.unwrap();
            assert_eq!(b.set(200_000).await.unwrap_err().code(), "unavailable");
            b.set(FREE_BYTES).await.unwrap();
        });
    }
}
