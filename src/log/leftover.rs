//! What a leader leaves to be done when nobody waits for it any more: the seals of full segments.
//!
//! Owns those segments until they are sealed. Done by the leader itself, after its group has been
//! answered, or by whoever takes it over ([`Host::take_over`]).

use std::sync::{Arc, Weak};

use super::appender::Host;
use super::leader::OpenSegment;
use super::seal::leave_cache;
use super::{Segment, seal_segment};
use crate::types::Result;

/// What is to be done.
#[derive(Debug, Default)]
pub(crate) struct Leftover {
    /// Full segments, to be sealed. All that is in them is published.
    full: Vec<OpenSegment>,
    /// Sealed ones, to leave the page cache. They are not kept for that: their room may be wanted
    /// before.
    sealed: Vec<Weak<Segment>>,
}

impl Leftover {
    /// A segment is full, and all that is in it is published.
    pub(super) fn extend(&mut self, full: Option<OpenSegment>) {
        self.full.extend(full);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.full.is_empty() && self.sealed.is_empty()
    }

    /// Whether there are full segments to be sealed.
    pub(super) fn has_full(&self) -> bool {
        !self.full.is_empty()
    }

    /// Does it. Others may lead meanwhile: they write elsewhere.
    pub(super) fn finish(mut self, host: &dyn Host) {
        if self.seal_full(host) {
            host.make_ahead();
        }
        leave_cache(&self.sealed);
    }

    /// Seals what is full; whether there was anything. What cannot be sealed is told to the store:
    /// its records are as safe as they were, and the next opening scans them.
    pub(super) fn seal_full(&mut self, host: &dyn Host) -> bool {
        let full = std::mem::take(&mut self.full);
        for open in &full {
            self.seal(open, host).ok();
        }
        !full.is_empty()
    }

    /// Seals a segment.
    ///
    /// 1. The footer goes behind the last record, the trailer into the last block, in allocated
    ///    space. A crash before the sync leaves an open segment, which is scanned.
    /// 2. `fdatasync`. The trailer vouches for the footer by its CRC, so one sync is enough.
    /// 3. What lies between footer and trailer was never used and is given back.
    /// 4. The store learns of it and puts the Merkle root into the ledger.
    pub(super) fn seal(&mut self, open: &OpenSegment, host: &dyn Host) -> Result<()> {
        match seal_segment(&open.segment, open.next_block, host.now()) {
            Ok(trailer) => {
                host.sealed(&open.segment, &trailer);
                self.sealed.push(Arc::downgrade(&open.segment));
                Ok(())
            }
            Err(error) => {
                // Its records are safe if they were synced: the next opening scans them.
                host.suspect(&open.segment, open.reached(), &error);
                if open.is_durable() { Ok(()) } else { Err(error) }
            }
        }
    }
}
