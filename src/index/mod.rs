//! Which clips a camera has, by time: one timeline a camera.
//!
//! Owns the order of clip parts: those of the newest segments in memory, the others in partition
//! files. It is derived from footers and records and never the truth: losing it costs a scan. It
//! knows neither expiry nor holds.
//!
//! A part is a key (its start) and a value (the segment it stands in), kept apart, so that a search
//! touches keys only: 12 bytes a part, in memory or in a file. Of a file only the start of each
//! page and the camera directory are in memory. Callers see cameras, times and segment ids, never
//! runs, slots or pages.

mod partition;
mod timeline;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::types::{CameraId, Error, SegmentId, Timestamp};
pub(crate) use partition::Partition;
use timeline::Timeline;

/// A lookup answers about so many parts at a time, so that its answer stays small.
const SLICE_PARTS: usize = 8192;
/// What a camera's entry in the map takes beside its timeline: an estimate.
const CAMERA_BYTES: usize = 128;
/// What a segment takes that a partition answers for: an estimate.
const SERVED_BYTES: usize = 8;

/// The timelines of all cameras.
///
/// Invariants: no timeline is empty; each holds a (start, segment) pair at most once; the parts of
/// a segment are all in memory, or all in the one partition that serves it.
#[derive(Debug, Default)]
pub(crate) struct Timelines {
    cameras: BTreeMap<CameraId, Timeline>,
    partitions: BTreeMap<u32, Served>,
}

/// A partition, and which of its segments it answers for: the others are gone.
#[derive(Debug)]
struct Served {
    partition: Arc<Partition>,
    segments: BTreeSet<SegmentId>,
}

/// What a lookup found.
#[derive(Debug, Default)]
pub(crate) struct Slice {
    /// The parts, by (start, segment).
    pub(crate) parts: Vec<(Timestamp, SegmentId)>,
    /// Segments whose parts are not among them, because their partition cannot be read.
    pub(crate) unread: Vec<SegmentId>,
    /// Where to go on, if this is not all.
    pub(crate) next: Option<Timestamp>,
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

    /// The parts of `camera` that start in `[from, to)`, or the first of them. The caller looks
    /// back by the longest clip to find those that start earlier and reach into its window.
    pub(crate) fn range(&self, camera: &CameraId, from: Timestamp, to: Timestamp) -> Slice {
        let (from_us, to_us) = (from.as_micros(), to.as_micros());
        let mut slice = Slice::default();
        let mut next = None;
        if let Some(timeline) = self.cameras.get(camera) {
            let mut newest = i64::MIN;
            for (start, segment) in timeline.range(from_us, to_us) {
                if slice.parts.len() >= SLICE_PARTS && start != newest {
                    next = Some(start);
                    break;
                }
                newest = start;
                slice.parts.push(part((start, segment)));
            }
        }
        for Served { partition, segments } in self.partitions.values() {
            let before = slice.parts.len();
            let bounds = (from_us, to_us);
            let more = partition.range(camera, bounds, SLICE_PARTS, |(start, segment)| {
                if segments.contains(&SegmentId(segment)) {
                    slice.parts.push(part((start, segment)));
                }
            });
            if let Ok(more) = more {
                next = next.into_iter().chain(more).min();
            } else {
                slice.parts.truncate(before);
                slice.unread.extend(segments);
            }
        }
        if !self.partitions.is_empty() {
            slice.parts.sort_unstable();
        }
        if let Some(next) = next.map(Timestamp::from_micros) {
            slice.parts.retain(|(start, _)| *start < next);
            slice.next = Some(next);
        }
        slice
    }

    /// Whether `camera` has a part, or had one in a partition that is still there.
    pub(crate) fn knows(&self, camera: &CameraId) -> bool {
        self.cameras.contains_key(camera)
            || self.partitions.values().any(|served| served.partition.knows(camera))
    }

    /// The cameras of which it knows, in order.
    pub(crate) fn cameras(&self) -> BTreeSet<&CameraId> {
        let served = self.partitions.values().flat_map(|served| served.partition.cameras());
        self.cameras.keys().chain(served).collect()
    }

    /// Takes in a partition that answers for `segments` from now on.
    pub(crate) fn add_partition(
        &mut self,
        partition: Arc<Partition>,
        segments: BTreeSet<SegmentId>,
    ) {
        self.partitions.insert(partition.number, Served { partition, segments });
    }

    /// Takes a partition off: answers which segments it answered for.
    pub(crate) fn remove_partition(&mut self, number: u32) -> BTreeSet<SegmentId> {
        self.partitions.remove(&number).map_or_else(BTreeSet::new, |served| served.segments)
    }

    /// Forgets a segment that a partition answers for; false when none does.
    pub(crate) fn remove_served(&mut self, segment: SegmentId) -> bool {
        self.partitions.values_mut().any(|served| served.segments.remove(&segment))
    }

    /// Says that partition `number` answers for `segment`, of which no part is in memory any more.
    pub(crate) fn serve(&mut self, number: u32, segment: SegmentId) {
        if let Some(served) = self.partitions.get_mut(&number) {
            served.segments.insert(segment);
        }
    }

    /// The partitions with the segments that they answer for, oldest first.
    pub(crate) fn partitions(
        &self,
    ) -> impl Iterator<Item = (&Arc<Partition>, &BTreeSet<SegmentId>)> {
        self.partitions.values().map(|served| (&served.partition, &served.segments))
    }

    /// The bytes of all partition files.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.partitions().map(|(partition, _)| partition.file_bytes).sum()
    }

    /// What was found wrong with partitions.
    pub(crate) fn problems(&self) -> Vec<Error> {
        self.partitions().filter_map(|(partition, _)| partition.problem()).collect()
    }

    /// How many parts there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.cameras.values().map(Timeline::len).sum()
    }

    /// About how many bytes of memory this takes.
    pub(crate) fn bytes(&self) -> usize {
        let timelines: usize = self.cameras.values().map(Timeline::bytes).sum();
        let served = self
            .partitions()
            .map(|(partition, segments)| partition.bytes() + segments.len() * SERVED_BYTES);
        timelines + self.cameras.len() * CAMERA_BYTES + served.sum::<usize>()
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
    use crate::format::partition::encode;
    use crate::vfs::Vfs as _;
    use crate::vfs::sim::SimVfs;

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
        let found = timelines.range(&door, at(10), at(30)).parts;
        assert_eq!(found, [(at(10), SegmentId(1)), (at(20), SegmentId(1))]);
        assert_eq!(timelines.range(&door, at(30), at(10)).parts, [], "inverted");
        assert_eq!(timelines.range(&camera("none"), at(0), at(99)).parts, []);
        assert_eq!(timelines.cameras().into_iter().collect::<Vec<_>>(), [&door, &yard]);
    }

    #[test]
    fn a_camera_without_parts_is_forgotten() {
        let mut timelines = Timelines::default();
        let door = camera("door");
        timelines.insert(&door, at(10), SegmentId(1));
        assert!(!timelines.remove(&door, at(10), SegmentId(2)));
        assert!(timelines.remove(&door, at(10), SegmentId(1)));
        assert!(!timelines.remove(&door, at(10), SegmentId(1)));
        assert_eq!((timelines.cameras().len(), timelines.len(), timelines.bytes()), (0, 0, 0));
        assert!(!timelines.knows(&door));
        timelines.check_invariants();
    }

    /// All of a range, slice by slice, and in how many of them.
    fn whole(timelines: &Timelines, camera: &CameraId) -> (Vec<(Timestamp, SegmentId)>, usize) {
        let (mut parts, mut slices, mut from) = (Vec::new(), 0, Some(Timestamp::MIN));
        while let Some(begin) = from {
            let slice = timelines.range(camera, begin, Timestamp::MAX);
            assert!(slice.unread.is_empty());
            parts.extend(slice.parts);
            (slices, from) = (slices + 1, slice.next);
        }
        (parts, slices)
    }

    #[test]
    fn a_long_range_comes_in_slices_that_leave_nothing_out() {
        let mut timelines = Timelines::default();
        let door = camera("door");
        let all: Vec<_> = (0..6667)
            .flat_map(|start| [0, 1, 2].map(|segment| (at(start), SegmentId(segment))))
            .collect();
        for (start, segment) in &all {
            timelines.insert(&door, *start, *segment);
        }
        let (parts, slices) = whole(&timelines, &door);
        assert_eq!(parts, all);
        assert_eq!(slices, 3);
    }

    /// A partition of these parts on a disk of its own.
    fn partition(disk: &SimVfs, number: u32, parts: &[(&str, i64, u32)]) -> Arc<Partition> {
        let mut by_camera: BTreeMap<CameraId, Vec<(i64, u32)>> = BTreeMap::new();
        for (id, start, segment) in parts {
            by_camera.entry(camera(id)).or_default().push((*start, *segment));
        }
        let bytes = encode([7; 16], [9; 16], Vec::new(), &by_camera);
        let name = crate::format::name::partition(number);
        disk.create_dir(crate::format::name::INDEX).unwrap();
        let file = disk.create(&name, u64::try_from(bytes.len()).unwrap()).unwrap();
        file.write_at(0, &[&bytes]).unwrap();
        Arc::new(Partition::open(disk, number, &[7; 16]).unwrap().0)
    }

    #[test]
    fn memory_and_partitions_answer_as_one_timeline() {
        let disk = SimVfs::new(1);
        let mut timelines = Timelines::default();
        let (door, yard) = (camera("door"), camera("yard"));
        // The pages hold parts of segments 1 to 4 of two cameras, in turn; segment 4 is gone.
        let old: Vec<_> = (0..3000_u32)
            .flat_map(|n| [("door", n.into(), 1 + n % 2), ("yard", n.into(), 3 + n % 2)])
            .collect();
        let served = [1, 2, 3].map(SegmentId).into();
        timelines.add_partition(partition(&disk, 1, &old), served);
        let newer: Vec<_> = (2000..9000_i64).map(|n| ("door", n, 5)).collect();
        timelines.add_partition(partition(&disk, 2, &newer), [SegmentId(5)].into());
        for n in 8000..9500 {
            timelines.insert(&door, at(n), SegmentId(6));
        }
        let mut expected: Vec<_> = old
            .iter()
            .chain(&newer)
            .filter(|(id, ..)| *id == "door")
            .map(|(_, start, segment)| (at(*start), SegmentId(*segment)))
            .chain((8000..9500).map(|n| (at(n), SegmentId(6))))
            .collect();
        expected.sort_unstable();
        assert_eq!(whole(&timelines, &door).0, expected);
        for (from, to) in [(0, 1), (339, 341), (1990, 2010), (2999, 3001), (8999, 9600)] {
            let within = |(start, _): &&(Timestamp, SegmentId)| (at(from)..at(to)).contains(start);
            let part = expected.iter().filter(within).copied().collect::<Vec<_>>();
            assert_eq!(timelines.range(&door, at(from), at(to)).parts, part, "{from}..{to}");
        }
        let yards = whole(&timelines, &yard).0;
        assert_eq!(yards.len(), 1500);
        assert!(yards.iter().all(|(_, segment)| *segment == SegmentId(3)), "4 is gone");
        assert!(timelines.remove_served(SegmentId(3)));
        assert!(!timelines.remove_served(SegmentId(3)));
        assert_eq!(whole(&timelines, &yard).0, []);
    }

    #[test]
    fn a_damaged_page_says_which_segments_are_not_told_of() {
        let disk = SimVfs::new(1);
        let mut timelines = Timelines::default();
        let parts: Vec<_> = (0..1000_u32).map(|n| ("door", n.into(), 1 + n / 500)).collect();
        let served = partition(&disk, 1, &parts);
        timelines.add_partition(Arc::clone(&served), [1, 2].map(SegmentId).into());
        timelines.insert(&camera("door"), at(7), SegmentId(3));
        let page = u64::try_from(crate::format::partition::PAGE_BYTES).unwrap();
        let file = disk.open(&crate::format::name::partition(1), true).unwrap();
        file.write_at(2 * page + 100, &[&[0x55]]).unwrap();
        let slice = timelines.range(&camera("door"), at(0), at(300));
        assert_eq!((slice.parts.len(), slice.unread.len()), (301, 0), "another page");
        assert!(served.problem().is_none());
        let slice = timelines.range(&camera("door"), at(0), at(400));
        assert_eq!(slice.parts, [(at(7), SegmentId(3))]);
        assert_eq!(slice.unread, [SegmentId(1), SegmentId(2)]);
        assert!(served.problem().is_some());
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
