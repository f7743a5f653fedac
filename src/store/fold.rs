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

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::format::footer::Part;
use crate::format::name;
use crate::format::page::PagePart;
use crate::format::partition::{self, Link, Row};
use crate::index::Partition;
use crate::log::{FoundPart, Segment};
use crate::types::{CameraId, ClassId, Error, Result, SegmentId, Timestamp};

use super::Inner;
use super::catalog::Catalog;
use super::history::History;
use super::reuse::Wanted;

/// So many segments, or partitions, are folded into one.
const FOLD_MIN: usize = 4;
/// At most so many segments at once: of a store that has no index yet.
const FOLD_MAX: usize = 64;
/// No partition of more parts is made from others: what is being folded is in memory, 200 bytes a
/// part.
const PARTS_MAX: u64 = 1 << 18;
/// The index never takes the last room: the ledger and held clips need it more.
const LEFT_BYTES: u64 = 8 << 20;
/// A sweep makes at most so many partitions.
const FOLDS_PER_SWEEP_MAX: usize = 64;

/// A partition in the making.
#[derive(Debug, Default)]
struct Folded {
    rows: Vec<Row>,
    parts: BTreeMap<CameraId, Vec<PagePart>>,
}

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
        let mut retired = BTreeSet::new();
        for _ in 0..FOLDS_PER_SWEEP_MAX {
            let done = match self.next_upkeep(&retired) {
                None => return,
                Some(Upkeep::Retire(number, problem, segments)) => {
                    retired.insert(number);
                    self.retire(number, problem, &segments);
                    Ok(true)
                }
                Some(Upkeep::Fold(fresh)) => self.fold(&fresh),
                Some(Upkeep::Merge(group)) => self.merge(&group),
            };
            match done {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => return self.survived(error),
            }
        }
    }

    /// Removes a partition's file; one that cannot be removed is removed by a later opening.
    pub(super) fn remove_partition_file(&self, number: u32) {
        let name = name::partition(number);
        match self.vfs.remove(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                self.survived(self.io("remove index partition", &name, error));
            }
            _ => {}
        }
    }

    /// What is to be done next, after the partitions `retired`.
    fn next_upkeep(&self, retired: &BTreeSet<u32>) -> Option<Upkeep> {
        let (history, catalog) = (self.history.read(), self.catalog.read());
        let fresh = unfolded(&history, &catalog);
        next_retired(&catalog, retired)
            .or_else(|| (fresh.len() >= FOLD_MIN).then_some(Upkeep::Fold(fresh)))
            .or_else(|| next_merge(&catalog).map(Upkeep::Merge))
    }

    fn fold(&self, fresh: &[(Arc<Segment>, u64)]) -> Result<bool> {
        let mut folded = Folded::default();
        for (segment, file_bytes) in fresh {
            match self.row_of(segment, *file_bytes) {
                Ok((row, parts)) => {
                    for found in parts {
                        let part = found.on_page(segment.id);
                        folded.parts.entry(found.camera).or_default().push(part);
                    }
                    folded.rows.push(row);
                }
                Err(error) => {
                    // It stays in memory, and the next opening tells of it again.
                    self.catalog.write().damaged.insert(segment.id);
                    self.survived(error);
                }
            }
        }
        let Some(partition) = self.write_partition(&mut folded)? else { return Ok(false) };
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

    fn merge(&self, group: &[Served]) -> Result<bool> {
        let mut folded = Folded::default();
        for (partition, segments) in group {
            let mut rows = partition.rows(&*self.vfs, &self.uuid)?;
            rows.retain(|row| segments.contains(&row.segment()));
            folded.rows.extend(rows);
            for camera in partition.cameras() {
                let (mut parts, all) = (Vec::new(), Timestamp::MIN..Timestamp::MAX);
                let counts = |segment: SegmentId| segments.contains(&segment);
                partition.range(camera, all, usize::MAX, &[], &mut parts, counts)?;
                if !parts.is_empty() {
                    folded.parts.entry(camera.clone()).or_default().extend(parts);
                }
            }
        }
        let Some(partition) = self.write_partition(&mut folded)? else { return Ok(false) };
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

    /// Writes a partition; `None` if there is no room for it.
    fn write_partition(&self, folded: &mut Folded) -> Result<Option<Arc<Partition>>> {
        folded.rows.sort_unstable_by_key(Row::segment);
        for parts in folded.parts.values_mut() {
            parts.sort_unstable_by_key(PagePart::key);
        }
        let fail = |error| self.io("write index partition", name::INDEX, error);
        let mut salt = [0; 16];
        self.vfs.random(&mut salt).map_err(fail)?;
        let rows = std::mem::take(&mut folded.rows);
        let parts = std::mem::take(&mut folded.parts);
        let bytes = partition::encode(self.uuid, salt, rows, parts);
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let space = self.space_view(len)?;
        let wanted = space.floor_bytes.saturating_add(len).saturating_add(LEFT_BYTES);
        if space.short_bytes() > 0 || space.free_bytes < wanted {
            return Ok(None);
        }
        self.vfs.create_dir(name::INDEX).map_err(fail)?;
        let names = self.vfs.list(name::INDEX).map_err(fail)?;
        let newest = names.iter().filter_map(|name| name::parse_partition(name)).max();
        let Some(number) = newest.unwrap_or(0).checked_add(1) else { return Ok(None) };
        let name = name::partition(number);
        self.give_way(Wanted::InQuota(len));
        let file = match self.create_file(&name, len) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(None),
            Err(error) => return Err(fail(error)),
        };
        let written = file.write_at(0, &[&bytes]).map_err(fail);
        let opened = written.and_then(|()| Partition::open(&*self.vfs, number, &self.uuid));
        if opened.is_err() {
            self.remove_partition_file(number);
        }
        opened.map(|(partition, _)| Some(Arc::new(partition)))
    }

    /// Lets go of a partition, and takes the segments that it answers for back into memory, from
    /// their footers: they are folded again. Where a footer cannot be read it stays.
    fn retire(&self, number: u32, problem: Option<Error>, segments: &[Arc<Segment>]) {
        if let Err(error) = segments.iter().try_for_each(|segment| self.unfold(segment)) {
            return self.survived(error);
        }
        if let Some(problem) = problem {
            self.survived(problem);
        }
        self.catalog.write().timelines.remove_partition(number);
        self.remove_partition_file(number);
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
        if fresh.len() >= FOLD_MAX || (fresh.len() >= FOLD_MIN && parts > PARTS_MAX) {
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

/// The partitions that should be one: neighbours, or one of which more than half is gone.
fn next_merge(catalog: &Catalog) -> Option<Vec<Served>> {
    let partitions = catalog.timelines.partitions();
    let mut all: Vec<Served> =
        partitions.map(|(partition, segments)| (Arc::clone(partition), segments.clone())).collect();
    let is_hollow = |(partition, segments): &Served| segments.len() * 2 < partition.segments.len();
    if let Some(hollow) = all.iter().position(is_hollow) {
        return Some(vec![all.swap_remove(hollow)]);
    }
    all.sort_by_key(|(_, segments)| segments.first().copied());
    // One that is damaged and could not be retired keeps the others from nothing.
    let whole = all.split(|(partition, _)| partition.problem().is_some());
    whole.into_iter().find_map(|all| {
        let parts: Vec<u32> = all.iter().map(|(partition, _)| partition.parts).collect();
        neighbours(&parts).and_then(|these| all.get(these)).map(<[Served]>::to_vec)
    })
}

/// Which of partitions with so many `parts`, in the order of time, should be one: the smallest
/// [`FOLD_MIN`] neighbours; or fewer, where the next one does not fit, so that none comes that
/// fits better. None that is much larger than the others together is written again for them.
fn neighbours(parts: &[u32]) -> Option<Range<usize>> {
    let sum_of = |group: &[u32]| group.iter().copied().map(u64::from).sum::<u64>();
    let fits = |group: &[u32]| {
        let (sum, largest) = (sum_of(group), group.iter().max().copied().unwrap_or(0));
        sum <= PARTS_MAX && u64::from(largest) * 3 <= sum * 2
    };
    let several = parts.windows(FOLD_MIN).enumerate().filter(|(_, group)| fits(group));
    let smallest = several.min_by_key(|(_, group)| sum_of(group)).map(|(start, _)| start);
    if let Some(start) = smallest {
        return Some(start..start + FOLD_MIN);
    }
    (2..FOLD_MIN).rev().find_map(|count| {
        let mut with_next = parts.windows(count + 1);
        let start =
            with_next.position(|group| !fits(group) && group.get(..count).is_some_and(&fits))?;
        Some(start..start + count)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_of_about_one_size_become_one() {
        let (small, large) = (1 << 16, 3 << 16);
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
        let third = 80_000;
        assert_eq!(neighbours(&[third; 3]), None, "a fourth may be smaller");
        assert_eq!(neighbours(&[third; 4]), Some(0..3));
        assert_eq!(neighbours(&[3 * third, third, third, third, third]), Some(1..4));
        assert_eq!(neighbours(&[130_000, 130_000, 130_000]), Some(0..2));
        assert_eq!(neighbours(&[3 * third, third, 3 * third]), None);
    }

    #[test]
    fn partitions_do_not_grow_in_number_as_segments_do() {
        // What sweeps fold: always about as much, or now and then much, or much among little.
        for series in [&[63_104_u32, 46_342][..], &[3200, 400, 250, 250], &[2000, 200, 200, 200]] {
            let (mut parts, mut written) = (Vec::new(), 0);
            for turn in 0..400 {
                parts.push(series[turn % series.len()]);
                while let Some(one) = neighbours(&parts) {
                    let sum: u32 = parts[one.clone()].iter().sum();
                    written += u64::from(sum);
                    parts.splice(one, [sum]);
                }
            }
            let all: u64 = parts.iter().copied().map(u64::from).sum();
            let few = 12 + usize::try_from(2 * all / PARTS_MAX).unwrap();
            assert!(parts.len() <= few, "{} partitions of {series:?}", parts.len());
            assert!(written <= 6 * all, "each part is written {} times", written / all);
        }
    }
}
