//! What can be found: the segments that exist, the timelines over them, and which clips are gone.
//!
//! Rebuilt at opening from the index, footers, scans and the ledger. Decides nothing: it
//! follows what [`super::history`] says. [`super::lookup`] finds clips in it by camera and window.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::barrier::Barrier;
use crate::index::Timelines;
use crate::log::{FooterCache, FoundPart, Published, Segment};
use crate::types::{ClassId, Clip, ClipId, Error, ErrorKind, Result, SegmentId, Timestamp};

use super::options::CLIP_DURATION_LIMIT;

/// The clips and segments of an open store.
///
/// Invariant: a part is in `timelines` exactly if its segment is in `segments`, except that the
/// parts in an evidence segment come in when the move is on record.
#[derive(Debug)]
pub(super) struct Catalog {
    pub(super) segments: BTreeMap<SegmentId, Shelved>,
    pub(super) timelines: Timelines,
    /// Segments whose expiry is on record, with the clips that holds spared then.
    pub(super) spared: BTreeMap<SegmentId, BTreeSet<ClipId>>,
    /// Single clips that are expired or deleted and still have bytes somewhere.
    pub(super) gone: BTreeSet<ClipId>,
    /// Clips that live in an evidence segment.
    pub(super) moved: BTreeMap<ClipId, SegmentId>,
    /// Gone clips whose bytes must still be removed, by the segment they are in.
    pub(super) to_erase: BTreeMap<SegmentId, BTreeSet<ClipId>>,
    /// Segments that an appender writes to.
    pub(super) writing: BTreeSet<SegmentId>,
    /// Segments that cannot be looked into, because their files are missing or could not be opened:
    /// what began in them cannot be judged.
    pub(super) unopened: BTreeSet<SegmentId>,
    /// Those of them whose files are missing.
    pub(super) missing: BTreeSet<SegmentId>,
    /// Segments in which opening found something damaged, which it must tell again.
    pub(super) damaged: BTreeSet<SegmentId>,
    /// The segments in which clips have parts that began in another one, by that.
    tails: BTreeMap<SegmentId, BTreeSet<SegmentId>>,
    /// Clips that are being recorded.
    pub(super) recording: BTreeSet<ClipId>,
    /// No clip is longer: how far a lookup looks back.
    pub(super) reach: Duration,
    /// No clip's clock is less certain: how far a hold's lookup looks around.
    pub(super) uncertainty: Duration,
}

/// A segment with what the catalog knows of it.
#[derive(Debug)]
pub(super) struct Shelved {
    pub(super) segment: Arc<Segment>,
    /// Bytes that the file system has allocated for it.
    pub(super) file_bytes: u64,
    /// When the newest bytes of the clips that began here came, wherever they are.
    pub(super) newest_received: Timestamp,
    /// A partition of the index answers for its parts.
    pub(super) folded: bool,
}

/// A clip with the parts that it is stored as.
#[derive(Clone, Debug)]
pub(super) struct Located {
    pub(super) clip: Clip,
    /// In clip order, at least one.
    pub(super) parts: Vec<(Arc<Segment>, FoundPart)>,
}

impl Catalog {
    pub(super) fn new(reach: Duration) -> Self {
        Self {
            segments: BTreeMap::new(),
            timelines: Timelines::default(),
            spared: BTreeMap::new(),
            gone: BTreeSet::new(),
            moved: BTreeMap::new(),
            to_erase: BTreeMap::new(),
            writing: BTreeSet::new(),
            unopened: BTreeSet::new(),
            missing: BTreeSet::new(),
            damaged: BTreeSet::new(),
            tails: BTreeMap::new(),
            recording: BTreeSet::new(),
            reach,
            uncertainty: Duration::ZERO,
        }
    }

    /// Adds a segment; its parts come in by [`Catalog::add_parts`] or [`Catalog::add_record`].
    /// `folded`: a partition of the index answers for them.
    pub(super) fn add_segment(&mut self, segment: &Arc<Segment>, file_bytes: u64, folded: bool) {
        let newest_received = segment.newest_received();
        let segment = Arc::clone(segment);
        let shelved = Shelved { segment, file_bytes, newest_received, folded };
        self.segments.insert(shelved.segment.id, shelved);
    }

    /// Notes whether a partition answers for the parts of a segment.
    pub(super) fn set_folded(&mut self, segment: SegmentId, folded: bool) {
        if let Some(shelved) = self.segments.get_mut(&segment) {
            shelved.folded = folded;
        }
    }

    /// Puts the parts of a segment on their timelines.
    pub(super) fn add_parts(&mut self, segment: SegmentId, parts: &[FoundPart]) {
        for found in parts {
            let part = &found.part;
            self.timelines.insert(&found.camera, part.start, segment);
            self.reach = self.reach.max(part.end.since(part.start));
            self.uncertainty = self.uncertainty.max(Duration::from_micros(part.uncertainty_us));
            self.note_received(part.clip, part.received);
            self.note_tail(part.clip, segment);
        }
    }

    /// Notes that a part of `clip` stands in `segment`, if it began in another one.
    pub(super) fn note_tail(&mut self, clip: ClipId, segment: SegmentId) {
        if clip.home != segment {
            self.tails.entry(clip.home).or_default().insert(segment);
        }
    }

    /// The segments that have parts of clips which began in `home`, which is not one of them.
    pub(super) fn tails_of(&self, home: SegmentId) -> impl Iterator<Item = &Shelved> {
        let segments = self.tails.get(&home).into_iter().flatten();
        segments.filter_map(|id| self.segments.get(id))
    }

    /// Makes lookups reach back over the clips whose tails are among `parts`: they may be longer
    /// than any clip that is recorded now, and than any of their own parts. One whose beginning
    /// cannot be read may be as long as any: a bad sector must not keep a store from opening.
    pub(super) fn reach_over(&mut self, footers: &FooterCache, parts: &[FoundPart]) {
        for found in parts.iter().filter(|found| !found.part.first) {
            let clip = found.part.clip;
            let Some(home) = self.segments.get(&clip.home) else { continue };
            let reach = match home.segment.part_of(footers, clip) {
                Ok(Some((first, _))) => found.part.end.since(first.part.start),
                Ok(None) => continue,
                Err(_) => CLIP_DURATION_LIMIT,
            };
            self.reach = self.reach.max(reach);
        }
    }

    /// Takes in a record that was just written.
    pub(super) fn add_record(&mut self, segment: SegmentId, record: &Published) {
        if let Some(start) = record.new_part {
            self.timelines.insert(&record.camera, start, segment);
        }
        self.note_tail(record.clip, segment);
        if record.first {
            self.recording.insert(record.clip);
        }
        self.uncertainty = self.uncertainty.max(record.uncertainty);
        self.note_received(record.clip, record.received);
    }

    /// A clip lives as long as its newest bytes ask for, so the segment it began in must.
    pub(super) fn note_received(&mut self, clip: ClipId, received: Timestamp) {
        if let Some(home) = self.segments.get_mut(&clip.home) {
            home.newest_received = home.newest_received.max(received);
        }
    }

    /// Takes a segment off, with its parts.
    pub(super) fn remove_segment(&mut self, segment: SegmentId, parts: &[FoundPart]) {
        if !self.timelines.remove_served(segment) {
            for found in parts {
                self.timelines.remove(&found.camera, found.part.start, segment);
            }
        }
        let removed = self.segments.remove(&segment);
        self.tails.remove(&segment);
        if removed.is_some_and(|shelved| shelved.segment.class == ClassId::EVIDENCE) {
            // What began long ago is copied there: nothing else would take it off.
            self.tails.retain(|_, segments| !segments.remove(&segment) || !segments.is_empty());
        }
        self.spared.remove(&segment);
        self.to_erase.remove(&segment);
        self.unopened.remove(&segment);
        self.missing.remove(&segment);
        self.damaged.remove(&segment);
        // A clip can be in two files: where it was recorded, until that one's drop succeeds, and in
        // an evidence segment. What became of it counts until the last of them is gone.
        let (segments, unopened) = (&self.segments, &self.unopened);
        let exists = |id: SegmentId| segments.contains_key(&id) || unopened.contains(&id);
        let matters = |clip: ClipId, to: Option<SegmentId>| {
            (clip.home != segment && to != Some(segment))
                || exists(clip.home)
                || to.is_some_and(exists)
        };
        let moved = &self.moved;
        self.gone.retain(|clip| matters(*clip, moved.get(clip).copied()));
        self.moved.retain(|clip, to| matters(*clip, Some(*to)));
    }

    /// Whether the part of `clip` in `segment` belongs to a clip that can be read, and is the copy
    /// that counts.
    pub(super) fn is_live(&self, clip: ClipId, segment: &Segment) -> bool {
        if self.gone.contains(&clip) {
            return false;
        }
        match self.moved.get(&clip) {
            Some(to) => *to == segment.id,
            None => {
                segment.class != ClassId::EVIDENCE
                    && self.segments.contains_key(&clip.home)
                    && self.spared.get(&clip.home).is_none_or(|spared| spared.contains(&clip))
            }
        }
    }

    /// Whether `clip` can still be read where it was recorded.
    pub(super) fn is_at_home(&self, clip: ClipId) -> bool {
        let home = self.segments.get(&clip.home);
        home.is_some_and(|shelved| self.is_live(clip, &shelved.segment))
    }

    /// Whether the part of `clip` in `segment` must stay: it is live, or might turn out to be when
    /// the segment in which the clip began can be opened again.
    pub(super) fn is_needed(&self, clip: ClipId, segment: &Segment) -> bool {
        let unknown = self.unopened.contains(&clip.home)
            && segment.class != ClassId::EVIDENCE
            && !self.gone.contains(&clip)
            && !self.moved.contains_key(&clip);
        !Barrier::GateUnopened.test(!unknown) || self.is_live(clip, segment)
    }

    /// Notes that the bytes of a gone clip must be removed, wherever they are.
    pub(super) fn erase_later(&mut self, gone: &Located) {
        for (segment, _) in &gone.parts {
            self.to_erase.entry(segment.id).or_default().insert(gone.clip.id);
        }
    }

    /// The readable clip `id`.
    ///
    /// # Errors
    ///
    /// `NotFound` for an id that was never given, `Expired` for one that is gone; `newest` is the
    /// highest segment id ever used.
    pub(super) fn clip(
        &self,
        footers: &FooterCache,
        id: ClipId,
        newest: Option<SegmentId>,
    ) -> Result<Located> {
        let at = self.moved.get(&id).copied().unwrap_or(id.home);
        let Some(shelved) = self.segments.get(&at) else {
            if self.unopened.contains(&at) {
                let message = format!("clip {id}: its segment {at} is missing or unreadable");
                return Err(Error::corrupt(message));
            }
            // Segments count from 1.
            return Err(if id.home > SegmentId(0) && Some(id.home) <= newest {
                Error::new(ErrorKind::Expired, format!("clip {id}: it is expired or deleted"))
            } else {
                Error::new(ErrorKind::NotFound, format!("clip {id}: there is no such clip"))
            });
        };
        let part = shelved.segment.part_of(footers, id)?;
        // What is gone is gone also where its records cannot be found any more: punched out, they
        // are not in the footer that a scan makes in place of a damaged one.
        if !self.is_live(id, &shelved.segment) {
            return Err(Error::new(
                ErrorKind::Expired,
                format!("clip {id}: it is expired or deleted"),
            ));
        }
        let Some((first, _)) = part else {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("clip {id}: there is no such clip"),
            ));
        };
        if !first.part.first {
            return Err(Error::corrupt(format!("clip {id}: its beginning is damaged")));
        }
        self.locate(footers, &shelved.segment, &first)
    }

    /// The live clips that began in `segment` (in an evidence segment: that live there).
    pub(super) fn clips_of(
        &self,
        footers: &FooterCache,
        segment: &Arc<Segment>,
    ) -> Result<Vec<Located>> {
        let parts = segment.parts(footers)?;
        let first = |found: &FoundPart| found.part.first && self.is_live(found.part.clip, segment);
        parts.into_iter().filter(first).map(|found| self.locate(footers, segment, &found)).collect()
    }

    /// Finds moved clips without the entries that name them, which are unreadable: where a clip's
    /// own segment is gone, the copy in a sealed evidence segment is all there is of it.
    pub(super) fn find_held_copies(&mut self, footers: &FooterCache) -> Result<()> {
        let mut found = BTreeMap::new();
        for shelved in self.segments.values() {
            let segment = &shelved.segment;
            if segment.class != ClassId::EVIDENCE || !segment.is_sealed() {
                continue;
            }
            let parts = segment.parts(footers)?;
            let clips = parts.iter().map(|found| found.part.clip);
            let moved = clips.filter(|clip| !self.segments.contains_key(&clip.home));
            found.extend(moved.map(|clip| (clip, segment.id)));
        }
        self.moved.extend(found);
        Ok(())
    }
}
