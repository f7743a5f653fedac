//! The two slots of the STORE file.

use super::{Damage, BLOCK_BYTES};
use crate::types::Timestamp;

/// The length of the STORE file: two slots, written in turn.
pub(crate) const STORE_BYTES: u64 = 2 * BLOCK_BYTES;

/// What the STORE file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoreSlot {
    /// The store's own random id.
    pub(crate) store: [u8; 16],
    /// Goes up by one at each write; the valid slot with the higher one counts.
    pub(crate) generation: u64,
    /// When the store was made.
    pub(crate) created: Timestamp,
    /// Trusted time when the slot was written: it never goes below this.
    pub(crate) high_water: Timestamp,
    /// The boot during which it was written.
    pub(crate) boot_id: [u8; 16],
    /// Uptime when it was written.
    pub(crate) since_boot_us: u64,
    /// Wall clock when it was written.
    pub(crate) wall: Timestamp,
    /// How many ledger entries were known to be durable when the slot was written.
    pub(crate) ledger_position: u64,
}

impl StoreSlot {
    /// The slot's 4 KiB.
    pub(crate) fn encode(&self) -> Vec<u8> { unimplemented!() }
    /// Reads one slot.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damage> { unimplemented!() }
    /// The byte offset of the slot that generation `generation` goes to.
    pub(crate) fn offset(generation: u64) -> u64 { (generation % 2) * BLOCK_BYTES }
    /// The newest valid slot of a whole STORE file; an error only if neither is valid (the more
    /// telling of the two: `Version` before `Checksum` before the others).
    pub(crate) fn newest(file: &[u8]) -> Result<Self, Damage> { unimplemented!() }
}
