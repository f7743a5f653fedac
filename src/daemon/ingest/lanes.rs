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
    /// How many a camera has of them.
    of_cameras: Arc<Mutex<BTreeMap<CameraId, usize>>>,
    of_camera_max: usize,
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
    pub(super) fn new(places_max: usize, of_camera_max: usize) -> Self {
        let places_max = u32::try_from(places_max.min(Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        let places = Arc::new(Semaphore::new(usize::try_from(places_max).unwrap_or(usize::MAX)));
        let (of_cameras, live) = (Arc::default(), Arc::default());
        Self { places, places_max, of_cameras, of_camera_max, live }
    }

    /// A place among the senders, and among those of `camera`.
    ///
    /// # Errors
    ///
    /// `unavailable` when there is none.
    pub(super) fn enter(&self, camera: &CameraId) -> Result<Place, Problem> {
        let full = |detail: String| Problem::unavailable(detail, 5).closing();
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_none| full("too many senders at a time".to_owned()))?;
        let mut taken = self.of_cameras.lock();
        let of_camera = taken.entry(camera.clone()).or_default();
        if *of_camera >= self.of_camera_max {
            return Err(full(format!("too many senders of camera {camera} at a time")));
        }
        *of_camera += 1;
        let of_cameras = Arc::clone(&self.of_cameras);
        Ok(Place { of_cameras, camera: camera.clone(), _among_all: place })
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

/// A place among the senders. Free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    of_cameras: Arc<Mutex<BTreeMap<CameraId, usize>>>,
    camera: CameraId,
    _among_all: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.of_cameras.lock();
        if let Some(of_camera) = taken.get_mut(&self.camera) {
            *of_camera -= 1;
            if *of_camera == 0 {
                taken.remove(&self.camera);
            }
        }
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
        let lanes = Lanes::new(2, 2);
        let lane = lanes.take(&camera()).unwrap();
        assert_eq!(lanes.take(&camera()).unwrap_err().code(), "stream-busy");
        lanes.take(&"garden".parse().unwrap()).unwrap();
        drop(lane);
        lanes.take(&camera()).unwrap();
    }

    #[test]
    fn a_silent_sender_gives_way_and_does_not_end_its_successor() {
        let lanes = Lanes::new(2, 2);
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
        let lanes = Lanes::new(1, 1);
        let place = lanes.enter(&camera()).unwrap();
        let garden: CameraId = "garden".parse().unwrap();
        assert_eq!(lanes.enter(&garden).unwrap_err().code(), "unavailable");
        drop(place);
        drop(lanes.enter(&garden).unwrap());
    }

    #[test]
    fn one_camera_does_not_take_all_places() {
        let lanes = Lanes::new(3, 2);
        let places = [lanes.enter(&camera()).unwrap(), lanes.enter(&camera()).unwrap()];
        assert_eq!(lanes.enter(&camera()).unwrap_err().code(), "unavailable");
        drop(lanes.enter(&"garden".parse().unwrap()).unwrap());
        drop(places);
        drop(lanes.enter(&camera()).unwrap());
        assert!(lanes.of_cameras.lock().is_empty());
    }
}
