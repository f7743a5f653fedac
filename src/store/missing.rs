//! Segments whose files somebody took away, until their time is over.
//!
//! A clip that began in one may have its tail in another segment. What the clip covered cannot be
//! told any more, so a hold on anything that it can have covered protects the tail. Without such a
//! hold the missing segment expires like any other, on record: that ends what is told of it at each
//! opening, and lets go of the tails.

use std::sync::Arc;

use crate::format::entry::{Decision, ExpiryReason};
use crate::format::name;
use crate::log::{FoundPart, Segment};
use crate::types::{ClassId, Error, Result, SegmentId, Timestamp, Window};

use super::catalog::Catalog;
use super::{Inner, SweepReport};

/// The entry that a segment's file is gone, as it should be.
pub(super) fn dropped(segment: SegmentId, class: Option<ClassId>) -> Decision {
    // Of one that was never sealed nobody knows the class any more, and nobody asks for it.
    Decision::SegmentDropped { segment, class: class.unwrap_or(ClassId(0)) }
}

impl Inner {
    /// The error for a segment that has no file.
    pub(super) fn missing_error(
        &self,
        segment: SegmentId,
        class: Option<ClassId>,
        operation: &str,
    ) -> Error {
        let message = format!(
            "{operation}: segment {segment}, which the ledger names, is missing or unreadable"
        );
        let name = class.map(|class| name::segment(class, segment));
        let path = self.vfs.display_path(name.as_deref().unwrap_or(name::SEGMENTS));
        Error::corrupt(message).at(&path)
    }

    /// Expires the missing segments whose time is over. The caller has `sweeping`.
    pub(super) fn expire_missing(&self, report: &mut SweepReport) -> Result<()> {
        // With the ledger in hand: no hold comes between the look at the tails and the entry.
        let mut ledger = self.ledger.lock();
        let missing = self.catalog.read().missing.clone();
        let mut gone = Vec::new();
        for segment in missing {
            let newest_received = match self.over_since(segment) {
                Ok(Some(newest)) => newest,
                Ok(None) => continue,
                Err(error) => {
                    // What is left of its clips cannot be judged: it stays.
                    report.problems.push(error);
                    continue;
                }
            };
            let class = self.history.read().sealed.get(&segment).map(|(class, _)| *class);
            let reason = ExpiryReason::Due;
            let (clips, bytes) = (0, 0);
            let expired =
                Decision::SegmentExpired { segment, reason, clips, bytes, newest_received };
            self.decide_locked(&mut ledger, vec![expired])?;
            self.catalog.write().remove_segment(segment, &[]);
            gone.push(dropped(segment, class));
        }
        drop(ledger);
        for decision in gone {
            self.note(decision);
        }
        Ok(())
    }

    /// When the newest record came of the clips that began in a missing segment, if that is so long
    /// ago that they are due, and no hold protects what is left of them.
    fn over_since(&self, id: SegmentId) -> Result<Option<Timestamp>> {
        let now = self.now();
        let (history, catalog) = (self.history.read(), self.catalog.read());
        let mut newest = Timestamp::MIN;
        if history.missing_is_due(id, newest) > now {
            return Ok(None);
        }
        for shelved in catalog.tails_of(id) {
            for tail in self.tails_of(id, &shelved.segment)? {
                newest = newest.max(tail.part.received);
                let needed = catalog.is_needed(tail.part.clip, &shelved.segment);
                if needed && history.holds.covers(&tail.camera, &around(&tail, &catalog)) {
                    return Ok(None);
                }
            }
        }
        Ok((history.missing_is_due(id, newest) <= now).then_some(newest))
    }

    /// The parts in `segment` of clips that began in segment `home`.
    fn tails_of(&self, home: SegmentId, segment: &Arc<Segment>) -> Result<Vec<FoundPart>> {
        let mut parts = segment.parts(&self.footers)?;
        parts.retain(|found| found.part.clip.home == home);
        Ok(parts)
    }
}

/// Everything that the clip with this tail can have covered.
fn around(tail: &FoundPart, catalog: &Catalog) -> Window {
    let from = tail.part.start.saturating_sub(catalog.reach);
    Window::at_least_an_instant(from, tail.part.end).widened(catalog.uncertainty)
}
