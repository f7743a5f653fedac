//! The Merkle tree over a segment's parts: RFC 6962's shape with BLAKE3.

/// A leaf's hash.
pub(crate) fn leaf(bytes: &[u8]) -> [u8; 32] { unimplemented!() }
/// The root over leaf hashes.
pub(crate) fn root(leaves: &[[u8; 32]]) -> [u8; 32] { unimplemented!() }
