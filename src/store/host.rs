//! What the appenders need of the store: new segments, and a place to tell what happened.

use std::sync::Arc;

use crate::format::BLOCK_BYTES;
use crate::format::entry::Decision;
use crate::format::segment::Trailer;
use crate::log::{Host, Leftover, Published, Reached, Segment};
use crate::types::{ClassId, Error, Result, Timestamp};

use super::Inner;

impl Host for Inner {
    fn new_segment(&self, class: ClassId) -> Result<Arc<Segment>> {
        let segment = self.segment_for_records(class, self.options.segment_bytes)?;
        let mut catalog = self.catalog.write();
        catalog.add_segment(&segment, self.options.segment_bytes, false);
        catalog.writing.insert(segment.id);
        Ok(segment)
    }

    fn published(&self, segment: &Arc<Segment>, records: &[Published]) {
        let mut catalog = self.catalog.write();
        for record in records {
            catalog.add_record(segment.id, record);
        }
    }

    fn sealed(&self, segment: &Arc<Segment>, trailer: &Trailer) {
        // While it counts as being written no sweep looks at it: were its drop put on record before
        // its seal, the ledger would go on to name a segment that is gone.
        self.note(sealed_entry(segment, trailer));
        let file_bytes = segment.file.allocated().unwrap_or(segment.header.segment_bytes);
        let mut catalog = self.catalog.write();
        catalog.writing.remove(&segment.id);
        if let Some(shelved) = catalog.segments.get_mut(&segment.id) {
            shelved.file_bytes = file_bytes;
        }
        drop(catalog);
        self.footers.keep(segment, trailer.footer_bytes);
    }

    fn suspect(&self, segment: &Arc<Segment>, reached: Reached, cause: &Error) {
        self.survived(cause.clone());
        let segment = segment.id;
        let Reached { published_bytes, durable_bytes } = reached;
        let decisions = vec![
            Decision::SegmentSuspect { segment, durable_bytes: published_bytes },
            Decision::SegmentDurable { segment, durable_bytes },
        ];
        if let Err(error) = self.decide(decisions) {
            // The next opening then scans the segment to its end, and finds at most records that
            // nobody was promised.
            self.survived(error);
        }
        // Last, as for a seal.
        self.catalog.write().writing.remove(&segment);
    }

    fn now(&self) -> Timestamp {
        Self::now(self)
    }

    fn sealed_before(&self) -> Timestamp {
        Self::sealed_before(self)
    }

    fn make_ahead(&self) {
        Self::make_ahead(self);
    }

    fn take_over(&self, class: ClassId, leftover: Leftover) -> Option<Leftover> {
        self.leftovers.put(class, leftover)
    }
}

impl Inner {
    /// A segment made at or before this time is old enough to be sealed.
    pub(super) fn sealed_before(&self) -> Timestamp {
        self.now().saturating_sub(self.options.segment_age)
    }

    /// Notes how far each open segment is durable, so that what is found unreadable there later is
    /// known to be damage and no torn write.
    pub(super) fn note_durable(&self) {
        for (segment, reached) in self.all_appenders().iter().filter_map(|open| open.reached()) {
            let durable_bytes = reached.durable_bytes;
            let known = self.history.read().durable.get(&segment).copied();
            if durable_bytes > known.unwrap_or(BLOCK_BYTES) {
                self.note(Decision::SegmentDurable { segment, durable_bytes });
            }
        }
    }
}

/// The entry that puts a sealed segment's Merkle root on record.
pub(super) fn sealed_entry(segment: &Segment, trailer: &Trailer) -> Decision {
    Decision::SegmentSealed {
        segment: segment.id,
        class: segment.class,
        root: trailer.root,
        parts: trailer.parts,
        payload_bytes: trailer.payload_bytes,
        newest_received: trailer.newest_received,
    }
}
