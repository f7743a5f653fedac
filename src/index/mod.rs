//! Which clips a camera has, by time: one timeline a camera.
//!
//! Owns the order of clip parts: those of the newest segments in memory, the others in partition
//! files. It is derived from footers and records and never the truth: losing it costs a scan. It
//! knows neither expiry nor holds.
//!
//! In memory a part is a key (its start) and a value (the segment it stands in), kept apart, so
//! that a search touches keys only: 12 bytes a part, and footers tell the rest. A file has all that
//! a list of clips says of a part; of it only the start of each page and the camera directory are
//! in memory. Callers see cameras, times and parts, never runs, slots or pages.

mod merge;
mod partition;
mod timeline;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use crate::format::page::Summary;
use crate::format::page_part::PartBytes;
use crate::types::{CameraId, Error, SegmentId, Timestamp};
pub(crate) use merge::Merge;
pub(crate) use partition::Partition;
use timeline::Timeline;

/// A lookup answers about so many parts in memory at a time, so that its answer stays small.
const SLICE_PARTS: usize = 8192;
/// And so many of each partition, of which it tells more.
const SLICE_PAGE_PARTS: usize = 1024;
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
    /// Where the partitions have parts of each camera, by the start of the first: with many of them
    /// a lookup must not ask each.
    stretches: BTreeMap<CameraId, Vec<Stretch>>,
}

/// The parts of a camera in one partition: the starts of the first and the last of them, in µs.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    starts: (i64, i64),
    partition: u32,
    /// Which of the partition's cameras it is: found once, and not by its name at each lookup.
    place: u32,
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
    /// The parts of which only this is known, by (start, segment).
    pub(crate) noted: Vec<(Timestamp, SegmentId)>,
    /// The parts that partitions tell of, by (start, segment, clip).
    pub(crate) told: Vec<PartBytes>,
    /// Segments whose parts are not among them, because their partition cannot be read.
    pub(crate) unread: Vec<SegmentId>,
    /// Where to go on, if this is not all.
    pub(crate) next: Option<Timestamp>,
}

/// Pages of partitions for which their summaries stand, so that their parts are not asked for.
#[derive(Debug, Default)]
pub(crate) struct Taken(BTreeMap<u32, Vec<Range<usize>>>);

impl Taken {
    fn of(&self, partition: u32) -> &[Range<usize>] {
        self.0.get(&partition).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
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

    /// The parts of `camera` that start in `starts` and are not on pages `taken`, or the first of
    /// them. The caller looks back by the longest clip to find those that start earlier and reach
    /// into its window.
    pub(crate) fn range(
        &self,
        camera: &CameraId,
        starts: Range<Timestamp>,
        taken: &Taken,
    ) -> Slice {
        let mut slice = Slice::default();
        if let Some(timeline) = self.cameras.get(camera) {
            let mut newest = i64::MIN;
            for pair in timeline.range(starts.start.as_micros(), starts.end.as_micros()) {
                if slice.noted.len() >= SLICE_PARTS && pair.0 != newest {
                    slice.next = Some(Timestamp::from_micros(pair.0));
                    break;
                }
                newest = pair.0;
                slice.noted.push((Timestamp::from_micros(pair.0), SegmentId(pair.1)));
            }
        }
        let mut stretches = 0;
        for stretch in self.stretches_of(camera, &starts) {
            // By the start of the first: a part behind `next` comes with the next slice.
            let end = slice.next.unwrap_or(starts.end);
            let served = self.partitions.get(&stretch.partition);
            let Some(Served { partition, segments }) = served.filter(|_| stretch.begins(end))
            else {
                continue;
            };
            let (before, taken) = (slice.told.len(), taken.of(stretch.partition));
            let within = starts.start..end;
            let has = |segment: SegmentId| segments.contains(&segment);
            let told = &mut slice.told;
            stretches += 1;
            let place = stretch.place();
            let more = partition.range(place, within, SLICE_PAGE_PARTS, taken, told, has);
            if let Ok(more) = more {
                slice.next = more.or(slice.next);
            } else {
                slice.told.truncate(before);
                slice.unread.extend(segments);
            }
        }
        if let Some(next) = slice.next {
            slice.noted.retain(|(start, _)| *start < next);
            slice.told.retain(|part| part.start() < next);
        }
        if stretches > 1 {
            slice.told.sort_unstable_by_key(PartBytes::key);
        }
        slice
    }

    /// Finds the pages of `camera` with parts that start in `starts` for which their summaries may
    /// stand, as `stands` says: hands those to `each` and answers the pages. The first page may
    /// have parts that start earlier, and the last one later: `stands` sees to it that the caller
    /// wants all of a page. A partition of which anything needed is damaged has none.
    pub(crate) fn take_pages(
        &self,
        camera: &CameraId,
        starts: &Range<Timestamp>,
        stands: impl Fn(&Summary) -> bool,
        mut each: impl FnMut(&Summary),
    ) -> Taken {
        let mut taken = Taken::default();
        for stretch in self.stretches_of(camera, starts) {
            let Some(served) = self.partitions.get(&stretch.partition) else { continue };
            if served.partition.problem().is_some() {
                continue;
            }
            let found = served.partition.summarised(stretch.place(), starts, |summary| {
                served.has_all(summary.segments) && stands(summary)
            });
            let Ok((pages, summaries)) = found else { continue };
            if !pages.is_empty() {
                taken.0.insert(stretch.partition, pages);
                summaries.iter().for_each(&mut each);
            }
        }
        taken
    }

    fn stretches_of(
        &self,
        camera: &CameraId,
        starts: &Range<Timestamp>,
    ) -> impl Iterator<Item = Stretch> {
        let all = self.stretches.get(camera).map_or(&[][..], Vec::as_slice);
        let (from, end) = (starts.start.as_micros(), starts.end);
        let begun = all.iter().take_while(move |stretch| stretch.begins(end));
        begun.filter(move |stretch| stretch.starts.1 >= from).copied()
    }

    /// Whether `camera` has a part, or had one in a partition that is still there.
    pub(crate) fn knows(&self, camera: &CameraId) -> bool {
        self.cameras.contains_key(camera) || self.stretches.contains_key(camera)
    }

    /// The cameras of which it knows, in order.
    pub(crate) fn cameras(&self) -> BTreeSet<&CameraId> {
        self.cameras.keys().chain(self.stretches.keys()).collect()
    }

    /// Takes in a partition that answers for `segments` from now on.
    pub(crate) fn add_partition(
        &mut self,
        partition: Arc<Partition>,
        segments: BTreeSet<SegmentId>,
    ) {
        // Both are in order, so that no camera has to be searched for.
        let mut known = self.stretches.iter_mut().peekable();
        let mut new = Vec::new();
        for ((camera, span), place) in partition.spans().zip(0..) {
            let stretch = Stretch { starts: span.starts, partition: partition.number, place };
            while known.next_if(|(other, _)| *other < camera).is_some() {}
            if let Some((_, stretches)) = known.next_if(|(other, _)| *other == camera) {
                let behind = stretches.partition_point(|other| other.starts <= stretch.starts);
                stretches.insert(behind, stretch);
            } else {
                new.push((camera.clone(), vec![stretch]));
            }
        }
        self.stretches.extend(new);
        self.partitions.insert(partition.number, Served { partition, segments });
    }

    /// Takes a partition off: answers which segments it answered for.
    pub(crate) fn remove_partition(&mut self, number: u32) -> BTreeSet<SegmentId> {
        self.stretches.retain(|_, stretches| {
            stretches.retain(|stretch| stretch.partition != number);
            !stretches.is_empty()
        });
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
        let stretches = self.stretches.values().map(|of| of.len() * size_of::<Stretch>());
        timelines
            + (self.cameras.len() + self.stretches.len()) * CAMERA_BYTES
            + served.sum::<usize>()
            + stretches.sum::<usize>()
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

impl Stretch {
    fn place(&self) -> usize {
        usize::try_from(self.place).unwrap_or(usize::MAX)
    }

    /// Whether its first part starts before `end`.
    const fn begins(&self, end: Timestamp) -> bool {
        self.starts.0 < end.as_micros()
    }
}

impl Served {
    /// Whether it answers for each segment of its partition from the lower to the higher one.
    fn has_all(&self, (low, high): (SegmentId, SegmentId)) -> bool {
        let made_for = &self.partition.segments;
        if made_for.len() == self.segments.len() {
            return true;
        }
        let place = |bound| made_for.partition_point(|id| *id < bound);
        low <= high && self.segments.range(low..=high).count() == place(high.next()) - place(low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::arbitrary::{sample_part, sample_partition};
    use crate::format::page_part::PagePart;
    use crate::format::partition::encode;
    use crate::types::ClipId;
    use crate::vfs::Vfs as _;
    use crate::vfs::sim::SimVfs;

    fn camera(id: &str) -> CameraId {
        CameraId::new(id).unwrap()
    }

    fn at(us: i64) -> Timestamp {
        Timestamp::from_micros(us)
    }

    fn range(timelines: &Timelines, camera: &CameraId, from: i64, to: i64) -> Slice {
        timelines.range(camera, at(from)..at(to), &Taken::default())
    }

    /// Where the parts of a slice are, whoever tells of them.
    fn places(slice: Slice) -> Vec<(Timestamp, SegmentId)> {
        let told = slice.told.iter().map(|part| (part.start(), part.segment()));
        let mut places: Vec<_> = slice.noted.into_iter().chain(told).collect();
        places.sort_unstable();
        places
    }

    #[test]
    fn a_range_is_half_open_and_of_one_camera() {
        let mut timelines = Timelines::default();
        let (door, yard) = (camera("door"), camera("yard"));
        for us in [10, 20, 30] {
            timelines.insert(&door, at(us), SegmentId(1));
        }
        timelines.insert(&yard, at(20), SegmentId(2));
        let found = |camera, from, to| places(range(&timelines, camera, from, to));
        assert_eq!(found(&door, 10, 30), [(at(10), SegmentId(1)), (at(20), SegmentId(1))]);
        assert_eq!(found(&door, 30, 10), [], "inverted");
        assert_eq!(found(&camera("none"), 0, 99), []);
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
            let slice = timelines.range(camera, begin..Timestamp::MAX, &Taken::default());
            assert!(slice.unread.is_empty());
            (slices, from) = (slices + 1, slice.next);
            parts.extend(places(slice));
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
        let mut by_camera: BTreeMap<CameraId, Vec<PagePart>> = BTreeMap::new();
        for (id, start, segment) in parts {
            let (start, end, segment) = (at(*start), at(*start + 1), SegmentId(*segment));
            let clip = ClipId::new(segment, 0);
            let part = PagePart { start, segment, clip, end, ..sample_part(0) };
            by_camera.entry(camera(id)).or_default().push(part);
        }
        let ids: BTreeSet<SegmentId> =
            by_camera.values().flatten().map(|part| part.segment).collect();
        let (mut rows, sample) = (Vec::new(), sample_partition().0.remove(0));
        for id in ids {
            rows.push(sample.clone());
            rows.last_mut().unwrap().trailer.header.key.segment = id;
        }
        let bytes = encode([7; 16], [9; 16], rows, by_camera);
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
            assert_eq!(places(range(&timelines, &door, from, to)), part, "{from}..{to}");
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
        partition(&disk, 1, &parts);
        let served = damage_page(&disk, 9);
        timelines.add_partition(Arc::clone(&served), [1, 2].map(SegmentId).into());
        timelines.insert(&camera("door"), at(7), SegmentId(3));
        let slice = range(&timelines, &camera("door"), 0, 300);
        assert_eq!((slice.noted.len(), slice.told.len(), slice.unread.len()), (1, 300, 0));
        assert!(served.problem().is_none(), "another page");
        let slice = range(&timelines, &camera("door"), 0, 400);
        assert_eq!(slice.unread, [SegmentId(1), SegmentId(2)]);
        assert_eq!(places(slice), [(at(7), SegmentId(3))]);
        assert!(served.problem().is_some());
    }

    /// Damages a page of partition 1, whose head has one block, and opens it.
    fn damage_page(disk: &SimVfs, number: u64) -> Arc<Partition> {
        let file = disk.open(&crate::format::name::partition(1), true).unwrap();
        file.write_at((1 + number) * 4096 + 100, &[&[0x55]]).unwrap();
        Arc::new(Partition::open(disk, 1, &[7; 16]).unwrap().0)
    }

    /// How many clips the summaries of taken pages stand for, and how many are told one by one.
    fn counted(timelines: &Timelines, from: i64, to: i64, segment: u32) -> (u32, usize) {
        let (door, mut clips) = (camera("door"), 0);
        let stands = |sum: &Summary| sum.segments.0 >= SegmentId(segment);
        let starts = at(from)..at(to);
        let taken = timelines.take_pages(&door, &starts, stands, |sum| clips += sum.clips);
        (clips, timelines.range(&door, starts, &taken).told.len())
    }

    #[test]
    fn a_summary_stands_for_its_page_or_each_clip_is_told() {
        let disk = SimVfs::new(1);
        let mut timelines = Timelines::default();
        // 21 pages of one camera and the first clips of the next one's; segments of 100 clips.
        let door = (0..900_u32).map(|n| ("door", n.into(), 1 + n / 100));
        let parts: Vec<_> = door.chain([("yard", 0, 1)]).collect();
        let served = partition(&disk, 1, &parts);
        timelines.add_partition(served, (1..10).map(SegmentId).collect());
        assert_eq!(counted(&timelines, 0, 900, 1), (900, 0), "also where it has two cameras");
        assert_eq!(counted(&timelines, 0, 900, 5), (11 * 42 + 18, 420), "as the caller says");
        let served = damage_page(&disk, 3);
        timelines.remove_partition(1);
        timelines.add_partition(Arc::clone(&served), (1..10).map(SegmentId).collect());
        assert_eq!(counted(&timelines, 0, 900, 1), (900, 0), "no page of clips is asked");
        assert!(served.problem().is_none());
        assert_eq!(counted(&timelines, 0, 900, 5), (0, 0), "some clips cannot be told");
        assert!(served.problem().is_some());
        assert_eq!(counted(&timelines, 420, 840, 1), (0, 420), "nothing is counted twice");
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
