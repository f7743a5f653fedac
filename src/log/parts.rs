//! The parts of a sealed segment, as its footer lists them.
//!
//! Owns the decoded footer, shared by all who read from it. Immutable.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::format::footer::{Footer, Part, RecordRef};
use crate::format::merkle;
use crate::types::{CameraId, ClipId, Timestamp};

use super::FoundPart;

/// The bytes of a leaf, which of how many it is, and the hashes beside its way to the root.
pub(crate) type LeafProof = (Vec<u8>, (u64, u64), Vec<[u8; 32]>);

/// A footer with what it takes to find a clip in it.
#[derive(Debug)]
pub(crate) struct SealedParts {
    footer: Footer,
    /// Indexes of its parts, by clip.
    by_clip: Vec<usize>,
    /// Indexes of its cameras, by id: a footer may list them in any order.
    by_camera: Vec<usize>,
}

impl SealedParts {
    pub(crate) fn new(footer: Footer) -> Self {
        let mut by_clip: Vec<usize> = (0..footer.parts.len()).collect();
        by_clip.sort_unstable_by_key(|index| footer.parts.get(*index).map(|part| part.clip));
        let mut by_camera: Vec<usize> = (0..footer.cameras.len()).collect();
        by_camera.sort_unstable_by_key(|index| footer.cameras.get(*index));
        Self { footer, by_clip, by_camera }
    }

    /// Every part, in footer order.
    pub(crate) fn all(&self) -> Vec<FoundPart> {
        self.footer.parts.iter().filter_map(|part| self.found(part)).collect()
    }

    /// The parts of `camera` that start in `starts`, in order.
    pub(crate) fn within(
        &self,
        camera: &CameraId,
        starts: &RangeInclusive<Timestamp>,
    ) -> Vec<FoundPart> {
        let Some(index) = self.index_of(camera) else { return Vec::new() };
        let key = |part: &Part| (position(part.camera), part.start);
        let from = self.footer.parts.partition_point(|part| key(part) < (index, *starts.start()));
        let here = self.footer.parts.get(from..).unwrap_or_default().iter();
        here.take_while(|part| key(part) <= (index, *starts.end()))
            .filter_map(|part| self.found(part))
            .collect()
    }

    /// The part of `clip` with its records, which share this footer.
    pub(crate) fn of(self: &Arc<Self>, clip: ClipId) -> Option<(FoundPart, PartRecords)> {
        let clip_at = |index: &usize| self.footer.parts.get(*index).map(|part| part.clip);
        let at = self.by_clip.binary_search_by_key(&Some(clip), clip_at).ok()?;
        let part = self.footer.parts.get(*self.by_clip.get(at)?)?;
        let records = self.footer.records_of(part).unwrap_or_default().to_vec();
        let records = PartRecords { records, crcs: ChunkCrcs::OfSegment(Arc::clone(self)) };
        Some((self.found(part)?, records))
    }

    /// The Merkle leaf of the part of `clip`, its place among the leaves, and the way to the root.
    pub(crate) fn leaf_of(&self, clip: ClipId) -> Option<LeafProof> {
        let index = self.footer.parts.iter().position(|part| part.clip == clip)?;
        let leaf = self.footer.leaf_bytes(self.footer.parts.get(index)?);
        let leaves = self.footer.leaves();
        let number = |index: usize| u64::try_from(index).unwrap_or(u64::MAX);
        let place = (number(index), number(leaves.len()));
        Some((leaf, place, merkle::path(index, &leaves)))
    }

    fn index_of(&self, camera: &CameraId) -> Option<usize> {
        let camera_at = |index: &usize| self.footer.cameras.get(*index);
        let at = self.by_camera.binary_search_by_key(&Some(camera), camera_at).ok()?;
        self.by_camera.get(at).copied()
    }

    fn found(&self, part: &Part) -> Option<FoundPart> {
        let camera = self.footer.cameras.get(position(part.camera))?.clone();
        let records = self.footer.records_of(part)?;
        let last = records.last()?;
        let end_offset = last.clip_offset + u64::from(last.payload_bytes);
        let fragments = u32::try_from(fragments_of(records)).unwrap_or(u32::MAX);
        Some(FoundPart { part: part.clone(), camera, end_offset, fragments })
    }
}

/// The records of one part, with their chunk CRCs.
#[derive(Clone, Debug)]
pub(crate) struct PartRecords {
    /// Their `chunks_start` means nothing outside: ask [`PartRecords::crcs_of`].
    pub(crate) records: Vec<RecordRef>,
    crcs: ChunkCrcs,
}

#[derive(Clone, Debug)]
enum ChunkCrcs {
    /// Of an open segment: those of this part alone.
    OfPart(Vec<u32>),
    /// Of a sealed one: those in its footer.
    OfSegment(Arc<SealedParts>),
}

impl PartRecords {
    /// The records of a part in an open segment, whose chunks are counted from its own first one.
    pub(crate) fn of_draft(records: Vec<RecordRef>, chunk_crcs: Vec<u32>) -> Self {
        Self { records, crcs: ChunkCrcs::OfPart(chunk_crcs) }
    }

    /// The chunk CRCs of `record`.
    pub(crate) fn crcs_of(&self, record: &RecordRef) -> &[u32] {
        let crcs = match &self.crcs {
            ChunkCrcs::OfPart(crcs) => crcs,
            ChunkCrcs::OfSegment(parts) => &parts.footer.chunk_crcs,
        };
        let start = position(record.chunks_start);
        let chunks = crate::format::record::chunk_count(record.payload_bytes);
        crcs.get(start..start.saturating_add(position(chunks))).unwrap_or_default()
    }
}

/// How many of the records of a part have bytes: all but one behind them that only ends the clip.
pub(super) fn fragments_of(records: &[RecordRef]) -> usize {
    let ends_only = records.last().is_some_and(|last| last.payload_bytes == 0);
    records.len() - usize::from(ends_only)
}

fn position(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::arbitrary::sample_footer;

    #[test]
    fn parts_are_found_whatever_order_the_cameras_are_listed_in() {
        let footer = sample_footer();
        assert!(!footer.cameras.is_sorted(), "the sample of old files shows such a directory");
        let parts = SealedParts::new(footer.clone());
        for part in &footer.parts {
            let camera = &footer.cameras[position(part.camera)];
            let found = parts.within(camera, &(part.start..=part.start));
            assert_eq!(found.iter().map(|found| &found.part).collect::<Vec<_>>(), [part]);
        }
    }
}
