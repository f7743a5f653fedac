//! How fast one camera may send: so many bytes a second, and as many at once.
//!
//! Whoever is faster is read no faster: its socket waits, and nothing is refused. A camera that
//! sends what it had kept back for a day leaves the network and the disk to the others.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::{CameraId, Clock as _, SystemClock};

/// How much may come at once, in time: what is below is not worth a wait.
const BURST_US: u64 = 1_000_000;

/// The accounts of the cameras that send now.
#[derive(Debug)]
pub(super) struct Paces {
    bytes_per_second: u64,
    live: Mutex<BTreeMap<CameraId, Arc<Mutex<u64>>>>,
}

impl Paces {
    /// `bytes_per_second` 0: no limit.
    pub(super) fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second, live: Mutex::default() }
    }

    /// The account of `camera`, shared by all its senders.
    pub(super) fn of(&self, camera: &CameraId) -> Pace {
        let mut live = self.live.lock();
        // Those that nobody else has are of nobody who sends.
        live.retain(|_, account| Arc::strong_count(account) > 1);
        let used_up_to_us = Arc::clone(live.entry(camera.clone()).or_default());
        Pace { bytes_per_second: self.bytes_per_second, used_up_to_us }
    }
}

/// The account of one camera.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    bytes_per_second: u64,
    /// The time up to which its bytes are used up.
    used_up_to_us: Arc<Mutex<u64>>,
}

impl Pace {
    /// So many bytes came. Returns when more may be read.
    pub(super) async fn came(&self, bytes: usize) {
        let wait = self.wait(bytes, SystemClock.uptime().since_boot_us);
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    fn wait(&self, bytes: usize, now_us: u64) -> Duration {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let Some(us) = bytes.saturating_mul(1_000_000).checked_div(self.bytes_per_second) else {
            return Duration::ZERO;
        };
        let mut up_to = self.used_up_to_us.lock();
        *up_to = (*up_to).max(now_us).saturating_add(us);
        Duration::from_micros((*up_to - now_us).saturating_sub(BURST_US))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera(name: &str) -> CameraId {
        name.parse().unwrap()
    }

    #[test]
    fn a_second_comes_at_once_and_the_rest_at_the_rate() {
        let paces = Paces::new(1_000);
        let (one, other) = (paces.of(&camera("a")), paces.of(&camera("a")));
        assert_eq!(one.wait(600, 7), Duration::ZERO);
        assert_eq!(other.wait(400, 7), Duration::ZERO);
        assert_eq!(one.wait(500, 7), Duration::from_millis(500), "both are one camera");
        assert_eq!(one.wait(1_000, 1_500_007), Duration::ZERO);
        assert_eq!(paces.of(&camera("b")).wait(1_000, 7), Duration::ZERO, "each for itself");
    }

    #[test]
    fn without_a_rate_nobody_waits_and_accounts_are_forgotten() {
        let paces = Paces::new(0);
        assert_eq!(paces.of(&camera("a")).wait(usize::MAX, 7), Duration::ZERO);
        let kept = paces.of(&camera("b"));
        assert_eq!(paces.live.lock().len(), 1);
        drop(kept);
    }
}
