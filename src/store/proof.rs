//! What it takes to prove to somebody else what is on record: entries of the ledger as they stand
//! there, and the way from a clip to the root of its segment.

use std::sync::Arc;

use crate::log::Segment;
use crate::types::{ClipId, Error, Result, SegmentId, Timestamp};

use super::Store;

/// An entry of the ledger, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LedgerEntry {
    /// Its position, counted over all entries.
    pub position: u64,
    /// Trusted time of the decision.
    pub at: Timestamp,
    /// Its bytes: docs/FORMAT.md says of what.
    pub bytes: Vec<u8>,
}

/// That what is known of a part of a clip, its times and its digest among it, is under the Merkle
/// root of a sealed segment, which is in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClipProof {
    /// The segment that has the part.
    pub segment: SegmentId,
    /// The leaf: what its footer says of the part, the digest of the clip so far among it.
    pub leaf: Vec<u8>,
    /// Which leaf of the segment it is, and how many there are.
    pub place: (u64, u64),
    /// The hashes beside the way to the root.
    pub path: Vec<[u8; 32]>,
}

impl Store {
    /// The id of this store, which salts every checksum in it.
    #[must_use]
    pub fn id(&self) -> [u8; 16] {
        self.inner.uuid
    }

    /// Shows the entries of the ledger from `position` on, oldest first.
    ///
    /// # Errors
    ///
    /// `Corrupt` when the ledger cannot be read to its end; `Io`.
    pub fn ledger_entries(&self, position: u64, mut each: impl FnMut(LedgerEntry)) -> Result<()> {
        let inner = &self.inner;
        inner.ledger.lock().read(position, &mut |entry, _| {
            let bytes = entry.encode(&inner.uuid);
            each(LedgerEntry { position: entry.position, at: entry.at, bytes });
            true
        })
    }

    /// The ways from the parts of clip `id`, in their order, to the roots of their segments: one
    /// where it was not recorded over the end of a segment.
    ///
    /// # Errors
    ///
    /// As [`Store::clip`]; `InvalidInput` while a segment of it is still written to: seal it first.
    pub fn clip_proofs(&self, id: ClipId) -> Result<Vec<ClipProof>> {
        let located = self.inner.locate(id)?;
        let open = || {
            let message = format!("prove clip {id}: its segment is not sealed yet");
            Error::invalid(message)
        };
        let prove = |segment: &Arc<Segment>| {
            let found = segment.leaf_of(&self.inner.footers, id)?;
            let (leaf, place, path) = found.ok_or_else(open)?;
            Ok(ClipProof { segment: segment.id, leaf, place, path })
        };
        located.parts.iter().map(|(segment, _)| prove(segment)).collect()
    }
}
