//! Fragments of several records whose writing a crash cut off: they count whole or not at all.
//!
//! Judged once, when the store is opened, before anything is written to the segments in question:
//! afterwards nobody can tell what was lost from what was never there. Where damage may have taken
//! the missing records, what is left stays, as a truncated clip.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::format::BLOCK_BYTES;
use crate::format::partition::Link;
use crate::log::{FoundPart, Segment};
use crate::types::{ClipId, Result, SegmentId};

use super::delete::never_whole;
use super::open::Unsealed;
use super::{Inner, OpenReport};

/// The newest part of a clip whose last record asks for another one.
#[derive(Clone, Copy, Debug)]
struct Cut {
    segment: SegmentId,
    /// The fragment began in an earlier segment: it is longer than one.
    straddles: bool,
}

/// What opening has found of unfinished fragments.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    cuts: BTreeMap<ClipId, Cut>,
    /// Segments in which something is damaged.
    damaged: BTreeSet<SegmentId>,
}

impl Unfinished {
    /// Takes in the parts of a segment; segments come oldest first.
    pub(super) fn note_parts(&mut self, segment: SegmentId, parts: &[FoundPart]) {
        for found in parts {
            let clip = found.part.clip;
            let straddles = self.cuts.remove(&clip).is_some();
            if found.part.continued {
                self.cuts.insert(clip, Cut { segment, straddles });
            }
        }
    }

    /// The same of a segment of which the index tells.
    pub(super) fn note_links(&mut self, segment: SegmentId, links: &[Link]) {
        for link in links {
            let straddles = self.cuts.remove(&link.clip).is_some();
            if link.continued {
                self.cuts.insert(link.clip, Cut { segment, straddles });
            }
        }
    }

    /// Says that something in `segment` is damaged.
    pub(super) fn note_damaged(&mut self, segment: SegmentId) {
        self.damaged.insert(segment);
    }

    /// Whether records behind those in `segment` may have been lost, there or in a later segment of
    /// its class.
    fn in_doubt(&self, inner: &Inner, segment: SegmentId) -> Result<bool> {
        let catalog = inner.catalog.read();
        let lost =
            self.damaged.range(segment..).next().or(catalog.unopened.range(segment..).next());
        if lost.is_some() {
            return Ok(true);
        }
        let class = catalog.segments.get(&segment).map(|shelved| shelved.segment.class);
        let later = catalog.segments.range(segment..).map(|(_, shelved)| &shelved.segment);
        for segment in later.filter(|segment| Some(segment.class) == class) {
            if has_gap(inner, segment)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Inner {
    /// Takes off what was cut off and can be judged. Of a recording that is its last fragment; a
    /// clip that is one fragment goes altogether, and that goes on record where it has parts in
    /// sealed segments.
    pub(super) fn drop_unfinished(
        &self,
        unfinished: &Unfinished,
        unsealed: &mut [Unsealed],
        report: &mut OpenReport,
    ) -> Result<()> {
        let mut never = Vec::new();
        for (clip, cut) in &unfinished.cuts {
            let counts = self.catalog.read().is_at_home(*clip);
            if !counts || unfinished.in_doubt(self, cut.segment)? {
                continue;
            }
            let open = unsealed.iter_mut().find(|found| found.segment.id == cut.segment);
            match open {
                Some(found) if !cut.straddles => self.cut_fragment(*clip, found),
                _ => never.push(*clip),
            }
            report.repairs.push(format!(
                "clip {clip}: dropped its last fragment, of which only a part was written; it was \
                 never acknowledged"
            ));
        }
        self.drop_clips(&never, report);
        Ok(())
    }

    /// Takes the unfinished fragment off the draft; its records are wiped like torn ones.
    fn cut_fragment(&self, clip: ClipId, found: &mut Unsealed) {
        let segment = &found.segment;
        let cut = segment.with_draft(|draft| {
            let part = draft.part_of(clip).map(|(part, _)| part);
            (part, draft.cut_continued(clip), draft.part_of(clip).is_none(), draft.end_block())
        });
        let Some((Some(part), records, emptied, end_block)) = cut else { return };
        if emptied {
            let mut catalog = self.catalog.write();
            catalog.timelines.remove(&part.camera, part.part.start, segment.id);
        }
        found.scan.cut(clip, &records, end_block);
    }

    /// Puts on record that `clips` were never stored whole. Where that fails they are gone until
    /// the next opening, which judges them again.
    fn drop_clips(&self, clips: &[ClipId], report: &mut OpenReport) {
        for clip in clips {
            let located = match self.locate(*clip) {
                // Its media time is what the last record brings: it has whole fragments too.
                Ok(located) if located.parts.iter().any(|(_, found)| has_time(found)) => continue,
                Ok(located) => located,
                Err(error) => {
                    report.problems.push(error);
                    continue;
                }
            };
            if !self.options.read_only && self.deletion_frozen().is_none() {
                report.problems.extend(self.decide(vec![never_whole(&located.clip)]).err());
            }
            let mut catalog = self.catalog.write();
            catalog.gone.insert(*clip);
            catalog.erase_later(&located);
        }
    }
}

fn has_time(found: &FoundPart) -> bool {
    found.part.start < found.part.end
}

/// Whether there is room between the records of a sealed segment, or behind them, which no record
/// of its footer takes.
fn has_gap(inner: &Inner, segment: &Arc<Segment>) -> Result<bool> {
    let Some(trailer) = segment.trailer() else { return Ok(false) };
    let mut records = Vec::new();
    for found in segment.parts(&inner.footers)? {
        if let Some((_, part)) = segment.part_of(&inner.footers, found.part.clip)? {
            records.extend(part.records);
        }
    }
    records.sort_unstable_by_key(|record| record.block);
    let mut next = 1;
    for record in &records {
        if record.block != next {
            return Ok(true);
        }
        next = record.end_block();
    }
    Ok(u64::from(next) * BLOCK_BYTES != trailer.footer_offset)
}
