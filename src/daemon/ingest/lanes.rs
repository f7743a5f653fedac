//! Who sends at the moment: so many at a time, and one stream a camera.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::{CameraId, Clock as _, SystemClock};

use super::super::problem::Problem;

/// A sender that was silent for this long gives way to the next one: a camera that lost its
/// connection comes back long before the daemon notices that the old one is dead.
const SILENT_US: u64 = 5_000_000;

/// The senders.
#[derive(Debug)]
pub(in crate::daemon) struct Lanes {
    places: Arc<Semaphore>,
    places_max: u32,
    live: Arc<Mutex<BTreeMap<CameraId, Live>>>,
}

/// The stream of a camera.
#[derive(Debug)]
struct Live {
    number: u64,
    heard_us: u64,
    /// Told to give way.
    replaced: watch::Sender<bool>,
}

impl Lanes {
    pub(super) fn new(places_max: usize) -> Self {
        let places_max = u32::try_from(places_max.min(Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        let places = Arc::new(Semaphore::new(usize::try_from(places_max).unwrap_or(usize::MAX)));
        Self { places, places_max, live: Arc::default() }
    }

    /// A place among the senders.
    ///
    /// # Errors
    ///
    /// `unavailable` when there is none.
    pub(super) fn enter(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let full = |_| Problem::unavailable("too many senders at a time", 5).closing();
        Arc::clone(&self.places).try_acquire_owned().map_err(full)
    }

    /// Returns when there is no sender. Nobody can enter after that.
    pub(super) async fn all_left(&self) {
        // Only a closed semaphore fails, and then nobody is there either.
        if let Ok(all) = self.places.acquire_many(self.places_max).await {
            all.forget();
        }
    }

    /// How many streams there are.
    pub(in crate::daemon) fn live(&self) -> usize {
        self.live.lock().len()
    }

    /// Takes the lane of `camera`.
    ///
    /// # Errors
    ///
    /// `stream-busy` when another sender has it and was heard of lately.
    pub(super) fn take(&self, camera: &CameraId) -> Result<Lane, Problem> {
        let now = now_us();
        let mut live = self.live.lock();
        let number = match live.get(camera) {
            Some(other) if now.saturating_sub(other.heard_us) < SILENT_US => {
                let detail = format!("another sender pushes camera {camera}");
                return Err(Problem::new("stream-busy", detail).retry_after(5).closing());
            }
            Some(other) => {
                other.replaced.send_replace(true);
                other.number + 1
            }
            None => 0,
        };
        let (replaced, told) = watch::channel(false);
        live.insert(camera.clone(), Live { number, heard_us: now, replaced });
        Ok(Lane { live: Arc::clone(&self.live), camera: camera.clone(), number, told })
    }
}

/// The right to push one camera. Ends when it is dropped.
#[derive(Debug)]
pub(super) struct Lane {
    live: Arc<Mutex<BTreeMap<CameraId, Live>>>,
    camera: CameraId,
    number: u64,
    told: watch::Receiver<bool>,
}

impl Lane {
    /// The sender was heard of.
    pub(super) fn heard(&self) {
        if let Some(live) = self.live.lock().get_mut(&self.camera)
            && live.number == self.number
        {
            live.heard_us = now_us();
        }
    }

    /// Returns when another sender has taken the lane.
    pub(super) async fn replaced(&mut self) {
        // The one that tells goes only when it is replaced, too.
        self.told.wait_for(|told| *told).await.ok();
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let mut live = self.live.lock();
        if live.get(&self.camera).is_some_and(|live| live.number == self.number) {
            live.remove(&self.camera);
        }
    }
}

/// Time that nobody can set.
fn now_us() -> u64 {
    SystemClock.uptime().since_boot_us
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera() -> CameraId {
        "front".parse().unwrap()
    }

    #[test]
    fn one_camera_has_one_sender() {
        let lanes = Lanes::new(2);
        let lane = lanes.take(&camera()).unwrap();
        assert_eq!(lanes.take(&camera()).unwrap_err().code(), "stream-busy");
        lanes.take(&"garden".parse().unwrap()).unwrap();
        drop(lane);
        lanes.take(&camera()).unwrap();
    }

    #[test]
    fn a_silent_sender_gives_way_and_does_not_end_its_successor() {
        let lanes = Lanes::new(2);
        let old = lanes.take(&camera()).unwrap();
        lanes.live.lock().get_mut(&camera()).unwrap().heard_us = 0;
        let new = lanes.take(&camera()).unwrap();
        assert!(*old.told.borrow());
        old.heard();
        drop(old);
        assert!(!*new.told.borrow());
        assert_eq!(lanes.take(&camera()).unwrap_err().code(), "stream-busy");
        drop(new);
        assert_eq!(lanes.live(), 0);
    }

    #[test]
    fn there_are_so_many_places_and_no_more() {
        let lanes = Lanes::new(1);
        let place = lanes.enter().unwrap();
        assert_eq!(lanes.enter().unwrap_err().code(), "unavailable");
        drop(place);
        drop(lanes.enter().unwrap());
    }
}
