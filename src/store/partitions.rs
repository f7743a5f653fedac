//! Opening by the index: what its partitions say of sealed segments, as far as it can be trusted.
//!
//! A row stands for a segment's header, trailer and footer, so that none of them is read, but of
//! the newest segments (`super::ahead`). It counts only if the ledger has the very Merkle root that
//! the row has, and nothing else is known of the segment: one that is suspect or expired, or of
//! evidence, is opened as ever, and so is everything while the ledger cannot be read. So nothing
//! hangs on an index file being there, whole, or new.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::barrier::Barrier;
use crate::format::name;
use crate::format::partition::Row;
use crate::index::Partition;
use crate::log::{FoundPart, Segment};
use crate::types::{ClassId, ClipId, Error, ErrorKind, Result, SegmentId};
use crate::vfs::Vfs;

use super::history::History;
use super::unfinished::Unfinished;
use super::{Inner, OpenReport};

/// The rows of all partitions, and which of them were taken.
#[derive(Debug, Default)]
pub(super) struct FoundRows {
    /// What each segment's newest row says, and the partition it is in: those that were not asked
    /// for yet, the highest segment first.
    rows: Vec<(u32, Row)>,
    partitions: BTreeMap<u32, Arc<Partition>>,
    /// Partitions whose heads are damaged.
    damaged: Vec<u32>,
    /// The segments that were taken from each partition.
    taken: BTreeMap<u32, Vec<SegmentId>>,
    /// The clips in a segment that began elsewhere, or have parts elsewhere, if it has any.
    linked: BTreeMap<SegmentId, Vec<ClipId>>,
    /// Since the store was closed nobody can have given files more room than they had then.
    same_boot: bool,
}

/// A partition and its rows, or why its head cannot be read.
type Head = Result<(Partition, Vec<Row>)>;

/// The heads of the partitions as they are on the disk: nothing of it is trusted yet.
#[derive(Debug)]
pub(super) struct Heads {
    read: Vec<(u32, Head)>,
    /// Files that are none.
    unknown: Vec<Error>,
}

impl Heads {
    /// Reads the head of each partition.
    ///
    /// # Errors
    ///
    /// When the folder cannot be listed.
    pub(super) fn read(vfs: &dyn Vfs, store: &[u8; 16]) -> Result<Self> {
        let (numbers, unknown) = partition_numbers(vfs)?;
        let read = numbers.into_iter().map(|number| (number, Partition::open(vfs, number, store)));
        Ok(Self { read: read.collect(), unknown })
    }
}

impl FoundRows {
    /// The rows in these heads; none while the ledger cannot be read.
    pub(super) fn of(heads: Result<Heads>, inner: &Inner, report: &mut OpenReport) -> Result<Self> {
        let mut found = Self::default();
        if inner.deletion_frozen().is_some() {
            return Ok(found);
        }
        {
            let time = inner.time.lock();
            found.same_boot = time.slot.boot_id == time.clock.uptime().boot_id;
        }
        let heads = heads?;
        report.problems.extend(heads.unknown);
        for (number, read) in heads.read {
            match read {
                Ok((partition, rows)) => {
                    found.rows.extend(rows.into_iter().map(|row| (number, row)));
                    found.partitions.insert(number, Arc::new(partition));
                }
                Err(error) => {
                    report.repairs.push(format!("read footers in place of an index: {error}"));
                    found.damaged.push(number);
                }
            }
        }
        found.rows.sort_by_key(|(_, row)| row.segment());
        // Where a crash left a partition beside what it was merged into, the newer one counts.
        found.rows.dedup_by(|newer, older| {
            let is_same = newer.1.segment() == older.1.segment();
            if is_same {
                std::mem::swap(newer, older);
            }
            is_same
        });
        found.rows.reverse();
        Ok(found)
    }

    /// The row of the segment `id`, if it has one: segments are asked for in order.
    fn take_row(&mut self, id: SegmentId) -> Option<(u32, Row)> {
        while self.rows.pop_if(|(_, row)| row.segment() < id).is_some() {}
        self.rows.pop_if(|(_, row)| row.segment() == id)
    }

    /// Puts the segment `id` into the catalog as its row says; false when it must be opened. No
    /// segment may be asked for after a higher one.
    pub(super) fn shelve(
        &mut self,
        inner: &Inner,
        (id, class): (SegmentId, ClassId),
        unfinished: &mut Unfinished,
    ) -> bool {
        let Some((number, row)) = self.take_row(id) else { return false };
        let erased = {
            let history = inner.history.read();
            if !is_trusted(&history, &row, class) {
                return false;
            }
            history.erased.range((id, ClipId::new(SegmentId(0), 0))..).next().copied()
        };
        let Row { trailer, file_bytes, reach_us, uncertainty_us, links } = row;
        let segment = Segment::known(&inner.handles, trailer, !inner.options.read_only);
        let is_as_it_was = self.same_boot && erased.is_none_or(|(erased, _)| erased != id);
        let file_bytes = if is_as_it_was { file_bytes } else { inner.room_of(&segment) };
        unfinished.note_links(id, &links);
        let mut catalog = inner.catalog.write();
        catalog.add_segment(&segment, file_bytes, true);
        catalog.reach = catalog.reach.max(Duration::from_micros(reach_us));
        catalog.uncertainty = catalog.uncertainty.max(Duration::from_micros(uncertainty_us));
        for link in &links {
            catalog.note_received(link.clip, link.received);
            if link.tail {
                catalog.note_tail(link.clip, id);
            }
        }
        drop(catalog);
        self.taken.entry(number).or_default().push(id);
        if !links.is_empty() {
            self.linked.insert(id, links.into_iter().map(|link| link.clip).collect());
        }
        true
    }

    /// Notes what is in a segment that was not taken from a row.
    pub(super) fn note_parts(&mut self, segment: SegmentId, parts: &[FoundPart]) {
        let clips = parts.iter().map(|found| found.part.clip);
        self.linked.insert(segment, clips.filter(|clip| clip.home != segment).collect());
    }

    /// Whether bytes of a clip that is gone may be in a segment.
    pub(super) fn may_have_gone(&self, segment: SegmentId, history: &History) -> bool {
        let own = ClipId::new(segment, 0)..=ClipId::new(segment, u32::MAX);
        let linked = self.linked.get(&segment).into_iter().flatten();
        let linked = linked.filter(|clip| history.gone.contains(clip));
        let mut gone = history.gone.range(own).chain(linked);
        gone.any(|clip| !history.erased.contains(&(segment, *clip)))
    }

    /// Puts the partitions of which something was taken into the catalog, and removes the others.
    pub(super) fn settle(&mut self, inner: &Inner) {
        let mut useless = std::mem::take(&mut self.damaged);
        let mut catalog = inner.catalog.write();
        for (number, partition) in std::mem::take(&mut self.partitions) {
            match self.taken.remove(&number) {
                Some(taken) => {
                    catalog.timelines.add_partition(partition, BTreeSet::from_iter(taken));
                }
                None => useless.push(number),
            }
        }
        drop(catalog);
        for number in useless.into_iter().filter(|_| !inner.options.read_only) {
            inner.remove_partition_file(number);
        }
    }
}

/// Whether nothing is known of a segment but what its row says.
fn is_trusted(history: &History, row: &Row, class: ClassId) -> bool {
    let id = row.segment();
    let root = history.sealed.get(&id).map(|(_, root)| *root);
    let usual = row.trailer.header.class == class
        && class != ClassId::EVIDENCE
        && !history.suspect.contains_key(&id)
        && !history.expired.contains_key(&id);
    usual && Barrier::RootInIndex.test(root == Some(row.trailer.root))
}

/// The numbers of the partitions that there are, in order, and what else is there.
fn partition_numbers(vfs: &dyn Vfs) -> Result<(Vec<u32>, Vec<Error>)> {
    let names = match vfs.list(name::INDEX) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            return Err(Error::io("list index", &vfs.display_path(name::INDEX), error));
        }
    };
    let (mut numbers, mut unknown) = (Vec::new(), Vec::new());
    for found in names {
        match name::parse_partition(&found) {
            Some(number) => numbers.push(number),
            None => unknown.push(
                Error::new(ErrorKind::Unsupported, "open store: unknown file, left alone")
                    .at(&vfs.display_path(&format!("{}/{found}", name::INDEX))),
            ),
        }
    }
    numbers.sort_unstable();
    Ok((numbers, unknown))
}
