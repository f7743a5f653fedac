//! Folding: the parts of sealed segments go from memory to partition files, and small partitions
//! into larger ones.
//!
//! Done by the sweep and at close. A partition is derived, so none of its writes is synced and none
//! needs an order:
//!
//! 1. The file is written beside the old ones. A crash leaves it whole, torn or not at all; opening
//!    takes what can be trusted of it, and a torn page is found by the lookup that needs it.
//! 2. From now on lookups use it, and what it replaces in memory is let go.
//! 3. The files that it replaces are removed. A crash may bring them back: opening prefers the
//!    newest row of a segment, and removes a partition that it takes none of.
//!
//! [`FOLD_MIN`] partitions that are neighbours in time and about as large make one, so that their
//! number grows with the logarithm of the segments' up to a size, and a part is written once a
//! size. Neighbours, because a lookup asks each partition that has something of its window, and a
//! receipt adds up only what follows one another without a gap.
//!
//! A merge reads its partitions and writes the new one some pages at a time, so that their size
//! costs no memory. It takes time, which belongs to the sweep, and whoever makes room for recording
//! waits for that to end: so a merge looks whether somebody waits, before each part that it writes,
//! and then gives up. Its file is removed, and it is made at another sweep. To fold fresh segments
//! goes on to its end, since nothing else gets them out of memory; so many are few.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::format::footer::Part;
use crate::format::page_part::PagePart;
use crate::format::partition::{Link, Row};
use crate::index::{Merge, Partition};
use crate::log::{FoundPart, Segment};
use crate::types::{CameraId, ClassId, Error, Result, SegmentId, Timestamp};

use super::Inner;
use super::catalog::Catalog;
use super::history::History;
use super::new_partition::Stop;

/// So many segments, or partitions, are folded into one.
const FOLD_MIN: usize = 4;
/// At most so many segments at once: of a store that has no index yet.
const FOLD_MAX: usize = 64;
/// And of so many parts: they are in memory, 100 bytes each.
const FOLD_PARTS_MAX: u64 = 1 << 18;
/// No partition of more parts is made from others: a merge takes as much room again for a while, a
/// damaged partition has its footers read, and what makes room waits for the end of a fold.
const PARTS_MAX: u64 = 1 << 20;
/// A segment counts as at least so many parts, because its row is in memory while partitions are
/// merged, about 400 bytes.
const ROW_PARTS: u64 = 16;
/// More parts of segments that are gone do not stay in a partition, about: it says when somebody
/// was filmed, and takes room.
const GONE_PARTS_MAX: u64 = 1 << 17;
/// A sweep makes at most so many partitions.
const FOLDS_PER_SWEEP_MAX: usize = 64;

/// A partition, and the segments that it answers for.
type Served = (Arc<Partition>, BTreeSet<SegmentId>);

/// A thing to do for the index.
enum Upkeep {
    /// To let go of a partition: its number, what is wrong with it, and the segments that it
    /// answers for.
    Retire(u32, Option<Error>, Vec<Arc<Segment>>),
    /// To fold segments, with the room that each takes.
    Fold(Vec<(Arc<Segment>, u64)>),
    /// To make one of these partitions.
    Merge(Vec<Served>),
}

impl Inner {
    /// Brings the index on disk up to date, as far as there is room for it. What fails costs memory
    /// and time at the next opening, and is tried again. The caller has `sweeping`, and a ledger
    /// that can be read.
    pub(super) fn keep_partitions(&self) {
        // Those with which nothing can be done at this sweep.
        let mut passed = BTreeSet::new();
        for _ in 0..FOLDS_PER_SWEEP_MAX {
            if self.sweeping.is_wanted() {
                return;
            }
            let done = match self.next_upkeep(&passed) {
                None => return,
                Some(Upkeep::Retire(number, problem, segments)) => {
                    passed.insert(number);
                    Ok(self.retire(number, problem, &segments))
                }
                Some(Upkeep::Fold(fresh)) => self.fold(&fresh),
                Some(Upkeep::Merge(group)) => self.merge(&group).map(|merged| {
                    if !merged {
                        // There may be room for smaller ones.
                        passed.extend(group.iter().map(|(partition, _)| partition.number));
                    }
                    true
                }),
            };
            match done {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => return self.survived(error),
            }
        }
    }

    /// What is to be done next, of all but the partitions `passed`.
    fn next_upkeep(&self, passed: &BTreeSet<u32>) -> Option<Upkeep> {
        let (history, catalog) = (self.history.read(), self.catalog.read());
        let fresh = unfolded(&history, &catalog);
        next_retired(&catalog, passed)
            .or_else(|| (fresh.len() >= FOLD_MIN).then_some(Upkeep::Fold(fresh)))
            .or_else(|| next_merge(&catalog, passed).map(Upkeep::Merge))
    }

    fn fold(&self, fresh: &[(Arc<Segment>, u64)]) -> Result<bool> {
        let mut folded: BTreeMap<CameraId, Vec<PagePart>> = BTreeMap::new();
        let mut rows = Vec::new();
        for (segment, file_bytes) in fresh {
            match self.row_of(segment, *file_bytes) {
                Ok((row, parts)) => {
                    for found in parts {
                        let part = found.on_page(segment.id);
                        folded.entry(found.camera).or_default().push(part);
                    }
                    rows.push(row);
                }
                Err(error) => {
                    // It stays in memory, and the next opening tells of it again.
                    self.catalog.write().damaged.insert(segment.id);
                    self.survived(error);
                }
            }
        }
        rows.sort_unstable_by_key(Row::segment);
        for parts in folded.values_mut() {
            parts.sort_unstable_by_key(PagePart::key);
        }
        let count = |parts: &Vec<PagePart>| u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let cameras = folded.iter().map(|(camera, parts)| (camera.clone(), count(parts)));
        let written = self.write_partition(rows, cameras.collect(), |put| {
            folded.values().flatten().try_for_each(put)
        });
        let Some(partition) = written? else { return Ok(false) };
        let number = partition.number;
        let mut catalog = self.catalog.write();
        catalog.timelines.add_partition(partition, BTreeSet::new());
        drop(catalog);
        // A segment at a time, so that nobody waits long for the catalog.
        for (segment, _) in fresh {
            let parts = segment.parts(&self.footers)?;
            let mut catalog = self.catalog.write();
            let is_gone = !catalog.segments.contains_key(&segment.id);
            if is_gone || catalog.damaged.contains(&segment.id) {
                continue;
            }
            for found in &parts {
                catalog.timelines.remove(&found.camera, found.part.start, segment.id);
            }
            catalog.timelines.serve(number, segment.id);
            catalog.set_folded(segment.id, true);
        }
        Ok(true)
    }

    /// The row of a sealed segment, and its parts.
    fn row_of(&self, segment: &Arc<Segment>, file_bytes: u64) -> Result<(Row, Vec<FoundPart>)> {
        let Some(trailer) = segment.trailer() else {
            return Err(Error::corrupt("fold segment: it is not sealed").at(&segment.path()));
        };
        let parts = segment.parts(&self.footers)?;
        let (mut reach, mut uncertainty_us, mut links) = (Duration::ZERO, 0, Vec::new());
        for FoundPart { part, .. } in &parts {
            reach = reach.max(part.end.since(self.start_of(part)?));
            uncertainty_us = uncertainty_us.max(part.uncertainty_us);
            if !part.first || part.continued {
                links.push(Link {
                    clip: part.clip,
                    received: part.received,
                    tail: !part.first,
                    continued: part.continued,
                });
            }
        }
        let reach_us = u64::try_from(reach.as_micros()).unwrap_or(u64::MAX);
        Ok((Row { trailer: Box::new(trailer), file_bytes, reach_us, uncertainty_us, links }, parts))
    }

    /// When the clip of `part` begins, as far as that is known.
    fn start_of(&self, part: &Part) -> Result<Timestamp> {
        let home = if part.first { None } else { self.segment(part.clip.home) };
        let first = home.map(|home| home.part_of(&self.footers, part.clip)).transpose()?;
        Ok(first.flatten().map_or(part.start, |(first, _)| first.part.start.min(part.start)))
    }

    fn segment(&self, id: SegmentId) -> Option<Arc<Segment>> {
        self.catalog.read().segments.get(&id).map(|shelved| Arc::clone(&shelved.segment))
    }

    /// Makes one partition of several; false if there is no room for it, or somebody waits.
    fn merge(&self, group: &[Served]) -> Result<bool> {
        // Before anything is read: where there is no room, this is tried at each sweep.
        if !self.has_index_room(group.iter().map(bytes_left).sum())? {
            return Ok(false);
        }
        let mut rows = Vec::new();
        for (partition, segments) in group {
            let own = partition.rows(&*self.vfs, &self.uuid)?.into_iter();
            rows.extend(own.filter(|row| segments.contains(&row.segment())));
        }
        rows.sort_unstable_by_key(Row::segment);
        let mut merge = Merge::of(group);
        let cameras = match merge.counts(|| self.go_on()) {
            Ok(cameras) => cameras,
            Err(Stop::GiveWay) => return Ok(false),
            Err(Stop::Failed(error)) => return Err(error),
        };
        let written = self.write_partition(rows, cameras, |put| {
            merge.each(|part| {
                self.go_on()?;
                put(part)
            })
        });
        let Some(partition) = written? else { return Ok(false) };
        let mut catalog = self.catalog.write();
        let mut segments = BTreeSet::new();
        for (old, _) in group {
            segments.extend(catalog.timelines.remove_partition(old.number));
        }
        catalog.timelines.add_partition(partition, segments);
        drop(catalog);
        for (old, _) in group {
            self.remove_partition_file(old.number);
        }
        Ok(true)
    }

    /// Whether what takes long may go on: nobody waits for the sweep to end.
    fn go_on(&self) -> std::result::Result<(), Stop> {
        if self.sweeping.is_wanted() { Err(Stop::GiveWay) } else { Ok(()) }
    }

    /// Lets go of a partition, and takes the segments that it answers for back into memory, from
    /// their footers: they are folded again. Where a footer cannot be read it stays. Answers
    /// whether nobody waits: what is done by then is done.
    fn retire(&self, number: u32, problem: Option<Error>, segments: &[Arc<Segment>]) -> bool {
        for segment in segments {
            if self.sweeping.is_wanted() {
                return false;
            }
            if let Err(error) = self.unfold(segment) {
                self.survived(error);
                return true;
            }
        }
        if let Some(problem) = problem {
            self.survived(problem);
        }
        self.catalog.write().timelines.remove_partition(number);
        self.remove_partition_file(number);
        true
    }

    /// Takes the parts of a segment into memory, from its footer.
    fn unfold(&self, segment: &Arc<Segment>) -> Result<()> {
        let parts = segment.parts(&self.footers)?;
        let mut catalog = self.catalog.write();
        if catalog.timelines.remove_served(segment.id) {
            for found in &parts {
                catalog.timelines.insert(&found.camera, found.part.start, segment.id);
            }
            catalog.set_folded(segment.id, false);
        }
        Ok(())
    }
}

/// The oldest sealed segments of which no partition tells and one may, with the room that each
/// takes.
fn unfolded(history: &History, catalog: &Catalog) -> Vec<(Arc<Segment>, u64)> {
    let mut parts = 0_u64;
    let mut fresh = Vec::new();
    for (id, shelved) in &catalog.segments {
        let segment = &shelved.segment;
        let is_special = shelved.folded
            || segment.class == ClassId::EVIDENCE
            || catalog.writing.contains(id)
            || catalog.damaged.contains(id)
            || catalog.spared.contains_key(id)
            || history.expired.contains_key(id)
            || history.suspect.contains_key(id);
        let trailer = if is_special { None } else { segment.trailer() };
        let Some(trailer) = trailer else { continue };
        if history.sealed.get(id).map(|(_, root)| *root) != Some(trailer.root) {
            continue;
        }
        parts = parts.saturating_add(u64::from(trailer.parts));
        if fresh.len() >= FOLD_MAX || (fresh.len() >= FOLD_MIN && parts > FOLD_PARTS_MAX) {
            break;
        }
        fresh.push((Arc::clone(segment), shelved.file_bytes));
    }
    fresh
}

/// A partition that answers for no segment any more, or that is damaged.
fn next_retired(catalog: &Catalog, retired: &BTreeSet<u32>) -> Option<Upkeep> {
    let mut partitions = catalog.timelines.partitions();
    partitions.find_map(|(partition, segments)| {
        let problem = partition.problem();
        let useless = segments.is_empty() || problem.is_some();
        let found = segments.iter().filter_map(|id| catalog.segments.get(id));
        let found = || found.map(|shelved| Arc::clone(&shelved.segment)).collect();
        let is_next = useless && !retired.contains(&partition.number);
        is_next.then(|| Upkeep::Retire(partition.number, problem, found()))
    })
}

/// The partitions that should be one, of all but those `passed`: neighbours, or one of which more
/// than half is gone.
fn next_merge(catalog: &Catalog, passed: &BTreeSet<u32>) -> Option<Vec<Served>> {
    let partitions = catalog.timelines.partitions();
    let mut all: Vec<Served> =
        partitions.map(|(partition, segments)| (Arc::clone(partition), segments.clone())).collect();
    let hollow = |(partition, segments): &Served| {
        !passed.contains(&partition.number)
            && is_hollow(partition.parts, partition.segments.len(), segments.len())
    };
    if let Some(hollow) = all.iter().position(hollow) {
        return Some(vec![all.swap_remove(hollow)]);
    }
    all.sort_by_key(|(_, segments)| segments.first().copied());
    // One that is damaged and could not be retired, or has no room, keeps the others from nothing.
    let stays =
        |partition: &Partition| partition.problem().is_some() || passed.contains(&partition.number);
    let whole = all.split(|(partition, _)| stays(partition));
    whole.into_iter().find_map(|all| {
        let sizes: Vec<u64> = all.iter().map(|(partition, _)| size_of(partition)).collect();
        neighbours(&sizes).and_then(|these| all.get(these)).map(<[Served]>::to_vec)
    })
}

/// Whether a partition of so many parts, made for so many segments, should be written again without
/// those that are gone.
fn is_hollow(parts: u32, made_for: usize, left: usize) -> bool {
    let gone = made_for.saturating_sub(left);
    // As if all segments had as many.
    let gone_parts = share(parts.into(), gone, made_for);
    gone > left || gone_parts > GONE_PARTS_MAX
}

/// About how many bytes of a partition's file are for what it answers for.
fn bytes_left((partition, segments): &Served) -> u64 {
    share(partition.file_bytes, segments.len(), partition.segments.len())
}

/// What `some` of `all` segments have of something.
fn share(of: u64, some: usize, all: usize) -> u64 {
    let count = |segments: usize| u64::try_from(segments).unwrap_or(u64::MAX);
    of.saturating_mul(count(some)) / count(all).max(1)
}

/// How many parts a partition counts for.
fn size_of(partition: &Partition) -> u64 {
    let rows = u64::try_from(partition.segments.len()).unwrap_or(u64::MAX);
    u64::from(partition.parts).max(rows.saturating_mul(ROW_PARTS))
}

/// Which of partitions of these `sizes`, in the order of time, should be one: the smallest
/// [`FOLD_MIN`] neighbours; or fewer, where the next one does not fit, so that none comes that
/// fits better. None that is much larger than the others together is written again for them.
fn neighbours(sizes: &[u64]) -> Option<Range<usize>> {
    let sum_of = |group: &[u64]| group.iter().copied().fold(0, u64::saturating_add);
    let fits = |group: &[u64]| {
        let (sum, largest) = (sum_of(group), group.iter().max().copied().unwrap_or(0));
        sum <= PARTS_MAX && largest * 3 <= sum * 2
    };
    let several = sizes.windows(FOLD_MIN).enumerate().filter(|(_, group)| fits(group));
    let smallest = several.min_by_key(|(_, group)| sum_of(group)).map(|(start, _)| start);
    if let Some(start) = smallest {
        return Some(start..start + FOLD_MIN);
    }
    (2..FOLD_MIN).rev().find_map(|count| {
        let mut with_next = sizes.windows(count + 1);
        let start =
            with_next.position(|group| !fits(group) && group.get(..count).is_some_and(&fits))?;
        Some(start..start + count)
    })
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::format::arbitrary::{camera, sample_part, sample_partition};
    use crate::format::{name, partition};
    use crate::store::Store;
    use crate::types::ClipId;
    use crate::vfs::Vfs as _;
    use crate::vfs::sim::{SimOp, SimVfs};

    #[test]
    fn neighbours_of_about_one_size_become_one() {
        let (small, large) = (PARTS_MAX / 4, PARTS_MAX / 4 * 3);
        assert_eq!(neighbours(&[small; 4]), Some(0..4));
        assert_eq!(neighbours(&[small; 3]), None, "too few");
        assert_eq!(neighbours(&[large, small, small, small]), None, "too many parts");
        assert_eq!(neighbours(&[large, small, small, small, small, small]), Some(1..5));
        assert_eq!(neighbours(&[large, small, small]), None, "the newest wait for others");
        assert_eq!(neighbours(&[64, 47, 64, 47]), Some(0..4), "not quite of one size");
        assert_eq!(neighbours(&[1000, 4, 4, 4]), None, "written again for little");
        assert_eq!(neighbours(&[1000, 64, 64, 64, 4, 4, 4, 4]), Some(4..8), "the smallest first");
    }

    #[test]
    fn fewer_become_one_where_four_are_too_many() {
        let third = PARTS_MAX * 3 / 10;
        assert_eq!(neighbours(&[third; 3]), None, "a fourth may be smaller");
        assert_eq!(neighbours(&[third; 4]), Some(0..3));
        assert_eq!(neighbours(&[3 * third, third, third, third, third]), Some(1..4));
        let half = PARTS_MAX / 2;
        assert_eq!(neighbours(&[half, half, half]), Some(0..2));
        assert_eq!(neighbours(&[3 * third, third, 3 * third]), None);
    }

    #[test]
    fn partitions_do_not_grow_in_number_as_segments_do() {
        // What sweeps fold: always about as much, or now and then much, or much among little.
        for series in [&[63_104, 46_342][..], &[3200, 400, 250, 250], &[2000, 200, 200, 200]] {
            let (mut parts, mut written) = (Vec::<u64>::new(), 0);
            for turn in 0..1600 {
                parts.push(series[turn % series.len()]);
                while let Some(one) = neighbours(&parts) {
                    let sum: u64 = parts[one.clone()].iter().sum();
                    written += sum;
                    parts.splice(one, [sum]);
                }
            }
            let all: u64 = parts.iter().sum();
            let few = 15 + usize::try_from(2 * all / PARTS_MAX).unwrap();
            assert!(parts.len() <= few, "{} partitions of {series:?}", parts.len());
            assert!(written <= 8 * all, "each part is written {} times", written / all);
        }
    }

    #[test]
    fn what_has_no_room_is_passed_over() {
        let (_disk, store, all) = four_partitions();
        let catalog = store.inner.catalog.read();
        assert_eq!(next_merge(&catalog, &BTreeSet::new()).map(|group| group.len()), Some(4));
        let passed = BTreeSet::from([all[0].0.number]);
        assert!(next_merge(&catalog, &passed).is_none(), "too few are left");
    }

    #[test]
    fn a_partition_is_hollow_when_half_or_much_of_it_is_gone() {
        assert!(!is_hollow(1000, 10, 5));
        assert!(is_hollow(1000, 10, 4));
        assert!(!is_hollow(1 << 20, 800, 700), "as many as may stay");
        assert!(is_hollow(1 << 20, 800, 699));
        assert!(is_hollow(1000, 10, 0));
    }

    /// A store in whose index are four partitions of 6,000 parts each: more than one piece.
    fn four_partitions() -> (SimVfs, Store, Vec<Served>) {
        let disk = SimVfs::new(1);
        let options = Store::options().vfs(disk.clone()).evidence_reserve(0).free_space_floor(0);
        let store = options.open("store").unwrap();
        let inner = &store.inner;
        disk.create_dir(name::INDEX).unwrap();
        for number in 1..5 {
            let (segment, mut row) = (SegmentId(number), sample_partition().0.remove(0));
            row.trailer.header.key.segment = segment;
            let part = |n| PagePart { segment, clip: ClipId::new(segment, n), ..sample_part(n) };
            let parts = BTreeMap::from([(camera("door"), (0..6000).map(part).collect())]);
            let bytes = partition::encode(inner.uuid, [9; 16], vec![row], parts);
            let len = u64::try_from(bytes.len()).unwrap();
            let file = disk.create(&name::partition(number), len).unwrap();
            file.write_at(0, &[&bytes]).unwrap();
            let opened = Partition::open(&disk, number, &inner.uuid).unwrap().0;
            let mut catalog = inner.catalog.write();
            catalog.timelines.add_partition(Arc::new(opened), [segment].into());
        }
        let catalog = inner.catalog.read();
        let all = catalog.timelines.partitions();
        let all = all.map(|(partition, segments)| (Arc::clone(partition), segments.clone()));
        let all = all.collect();
        drop(catalog);
        (disk, store, all)
    }

    const FOUR: [&str; 4] = ["00000001.idx", "00000002.idx", "00000003.idx", "00000004.idx"];

    fn index_of(disk: &SimVfs) -> Vec<String> {
        disk.list(name::INDEX).unwrap()
    }

    #[test]
    fn a_merge_gives_way_to_who_waits_and_leaves_nothing() {
        let (disk, store, all) = four_partitions();
        let inner = &store.inner;
        for op in [SimOp::Read, SimOp::Write] {
            let turn = inner.sweeping.lock();
            let (calls, waits) = (AtomicUsize::new(0), Arc::clone(inner));
            // In the middle of a read of pages, or of the first write: a thread comes and waits.
            disk.slow_down(op, Duration::from_micros(1));
            let nth = if op == SimOp::Read { 6 } else { 1 };
            disk.on_wait(move |_| {
                if calls.fetch_add(1, Ordering::Relaxed) + 1 == nth {
                    let waiting = Arc::clone(&waits);
                    std::thread::spawn(move || drop(waiting.sweeping.lock()));
                    while !waits.sweeping.is_wanted() {
                        std::thread::yield_now();
                    }
                }
            });
            assert!(!inner.merge(&all).unwrap(), "{op:?}");
            assert_eq!(index_of(&disk), FOUR, "{op:?}");
            let waited = disk.waited();
            inner.keep_partitions();
            assert_eq!(disk.waited(), waited, "{op:?}: nothing is begun either");
            drop(turn);
            while inner.sweeping.is_wanted() {
                std::thread::yield_now();
            }
            disk.slow_down(op, Duration::ZERO);
            disk.on_wait(|_| ());
        }
        inner.keep_partitions();
        assert_eq!(index_of(&disk), ["00000005.idx"]);
        assert!(store.problems().is_empty(), "{:?}", store.problems());
    }

    #[test]
    fn a_merge_that_finds_no_room_or_fails_leaves_nothing() {
        let (disk, store, all) = four_partitions();
        let inner = &store.inner;
        let space = disk.space().unwrap();
        disk.set_capacity(space.total - space.free + (1 << 20));
        disk.slow_down(SimOp::Read, Duration::from_secs(1));
        assert!(!inner.merge(&all).unwrap(), "no room");
        assert_eq!(disk.waited(), Duration::ZERO, "nothing was read for it");
        disk.set_capacity(1 << 40);
        for nth in 1..4 {
            disk.fail_after(SimOp::Write, nth, io::ErrorKind::Other);
            assert!(inner.merge(&all).is_err(), "write {nth}");
            disk.clear_faults();
            assert_eq!(index_of(&disk), FOUR);
        }
        assert!(inner.merge(&all).unwrap());
        assert_eq!(index_of(&disk), ["00000005.idx"]);
    }
}
