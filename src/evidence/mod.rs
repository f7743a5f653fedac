//! What lets somebody else check what a store did, later, elsewhere and offline.
//!
//! Owns the transparency log over the ledger (a Merkle tree as RFC 6962 has it, signed checkpoints
//! in the text formats of C2SP) and the container of evidence bundles. It knows bytes, hashes and
//! signatures; what an entry means is for the layers above. Nothing here claims more than that
//! bytes are those that were committed to at a time by the holder of a key.

mod archive;
mod checkpoint;
mod key;
mod tree;

pub use archive::{Archive, ArchiveError, ArchiveMember, ArchivePiece, ArchiveReader, Measure};
pub use checkpoint::{Checkpoint, Cosignature, NoteError};
pub use key::{SigningKey, VerifyingKey};
pub use tree::{Hash, Tree, leaf_hash, verify_consistency, verify_inclusion};
