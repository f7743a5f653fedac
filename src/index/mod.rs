//! Which clips a camera has, by time: one timeline a camera.
//!
//! Owns the order of clip parts in memory. It is derived from footers and records and never the
//! truth: losing it costs a scan. It knows neither expiry nor holds, and reads no file.
//!
//! A part is a key (its start) and a value (the segment it stands in), kept apart, so that a search
//! touches keys only: 12 bytes a part. Callers see cameras, times and segment ids, never runs or
//! slots. So old time can move to disk behind the same calls: a [`timeline::Timeline`] then keeps
//! its newest runs here and, for the runs before, only their first key and where in a partition
//! file they stand; `range` visits those through the map and then these.

mod timeline;

use std::collections::BTreeMap;

use crate::types::{CameraId, SegmentId, Timestamp};
use timeline::Timeline;

/// What a camera's entry in the map takes beside its timeline: an estimate.
const CAMERA_BYTES: usize = 128;

/// The timelines of all cameras.
///
/// Invariants: no timeline is empty; each holds a (start, segment) pair at most once.
#[derive(Debug, Default)]
pub(crate) struct Timelines {
    cameras: BTreeMap<CameraId, Timeline>,
}

impl Timelines {
    /// Notes that a part of `camera` that starts at `start` stands in `segment`. Noting it again
    /// changes nothing.
    pub(crate) fn insert(&mut self, camera: &CameraId, start: Timestamp, segment: SegmentId) {
        // A camera is new once and has thousands of clips: its id is copied only then.
        if let Some(timeline) = self.cameras.get_mut(camera) {
            timeline.insert(start.as_micros(), segment.0);
        } else {
            let mut timeline = Timeline::default();
            timeline.insert(start.as_micros(), segment.0);
            self.cameras.insert(camera.clone(), timeline);
        }
    }

    /// Forgets a part; false when it was not noted.
    pub(crate) fn remove(
        &mut self,
        camera: &CameraId,
        start: Timestamp,
        segment: SegmentId,
    ) -> bool {
        let Some(timeline) = self.cameras.get_mut(camera) else { return false };
        let removed = timeline.remove(start.as_micros(), segment.0);
        if timeline.len() == 0 {
            self.cameras.remove(camera);
        }
        removed
    }

    /// The parts of `camera` that start in `[from, to)`, by (start, segment). The caller looks back
    /// by the longest clip to find those that start earlier and reach into its window.
    pub(crate) fn range(
        &self,
        camera: &CameraId,
        from: Timestamp,
        to: Timestamp,
    ) -> impl DoubleEndedIterator<Item = (Timestamp, SegmentId)> {
        let timeline = self.cameras.get(camera);
        let parts = timeline.map(|timeline| timeline.range(from.as_micros(), to.as_micros()));
        parts.into_iter().flatten().map(part)
    }

    /// The earliest part of `camera`.
    pub(crate) fn first(&self, camera: &CameraId) -> Option<(Timestamp, SegmentId)> {
        self.cameras.get(camera).and_then(Timeline::first).map(part)
    }

    /// The cameras that have a part, in order.
    pub(crate) fn cameras(&self) -> impl Iterator<Item = &CameraId> {
        self.cameras.keys()
    }

    /// How many parts there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.cameras.values().map(Timeline::len).sum()
    }

    /// About how many bytes of memory this takes.
    pub(crate) fn bytes(&self) -> usize {
        let timelines: usize = self.cameras.values().map(Timeline::bytes).sum();
        timelines + self.cameras.len() * CAMERA_BYTES
    }

    /// Panics where an invariant does not hold: for tests.
    #[cfg(test)]
    pub(crate) fn check_invariants(&self) {
        for timeline in self.cameras.values() {
            assert!(timeline.len() > 0, "no timeline is empty");
            timeline.check_invariants();
        }
    }
}

fn part((start_us, segment): (i64, u32)) -> (Timestamp, SegmentId) {
    (Timestamp::from_micros(start_us), SegmentId(segment))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera(id: &str) -> CameraId {
        CameraId::new(id).unwrap()
    }

    fn at(us: i64) -> Timestamp {
        Timestamp::from_micros(us)
    }

    #[test]
    fn a_range_is_half_open_and_of_one_camera() {
        let mut timelines = Timelines::default();
        let (door, yard) = (camera("door"), camera("yard"));
        for us in [10, 20, 30] {
            timelines.insert(&door, at(us), SegmentId(1));
        }
        timelines.insert(&yard, at(20), SegmentId(2));
        let found: Vec<_> = timelines.range(&door, at(10), at(30)).collect();
        assert_eq!(found, [(at(10), SegmentId(1)), (at(20), SegmentId(1))]);
        assert_eq!(timelines.range(&door, at(30), at(10)).count(), 0, "inverted");
        assert_eq!(timelines.range(&camera("none"), at(0), at(99)).count(), 0);
        assert_eq!(timelines.cameras().collect::<Vec<_>>(), [&door, &yard]);
    }

    #[test]
    fn a_camera_without_parts_is_forgotten() {
        let mut timelines = Timelines::default();
        let door = camera("door");
        timelines.insert(&door, at(10), SegmentId(1));
        assert!(!timelines.remove(&door, at(10), SegmentId(2)));
        assert!(timelines.remove(&door, at(10), SegmentId(1)));
        assert!(!timelines.remove(&door, at(10), SegmentId(1)));
        assert_eq!((timelines.cameras().count(), timelines.len(), timelines.bytes()), (0, 0, 0));
        assert_eq!(timelines.first(&door), None);
        timelines.check_invariants();
    }

    #[test]
    fn a_part_of_200_cameras_appended_in_turn_takes_16_bytes_at_most() {
        let mut timelines = Timelines::default();
        let cameras: Vec<_> = (0..200).map(|n| camera(&format!("camera-{n}"))).collect();
        for n in 0..5_000_i64 {
            for camera in &cameras {
                timelines.insert(camera, at(n * 10_000_000), SegmentId(7));
            }
        }
        assert_eq!(timelines.len(), 1_000_000);
        assert!(timelines.bytes() <= 16_000_000, "{} bytes", timelines.bytes());
    }
}
