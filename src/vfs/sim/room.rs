//! How much a disk can hold, in three budgets that run out apart: blocks, names, and the reserve
//! of a file system that writes every change to a new place.

use std::io;

use super::content::BLOCK_BYTES;
use super::disk::Disk;
use crate::vfs::Space;

/// Room on a disk of which nothing else was said.
const CAPACITY_BYTES_DEFAULT: u64 = 1 << 40;

#[derive(Clone, Debug)]
pub(super) struct Room {
    /// For blocks of files, in bytes.
    pub(super) capacity: u64,
    /// How many more names can be made.
    pub(super) names: Option<u64>,
    pub(super) reserve: Option<Reserve>,
    /// How many free bytes are told of at most, whatever can be allocated.
    pub(super) counted_max: Option<u64>,
}

/// Blocks that only changes without new data may use while the disk is full, until a sync gives
/// back what they replaced.
#[derive(Clone, Debug)]
pub(super) struct Reserve {
    bytes: u64,
    left: u64,
}

impl Reserve {
    pub(super) fn new(bytes: u64) -> Self {
        Self { bytes, left: bytes }
    }
}

impl Default for Room {
    fn default() -> Self {
        Self { capacity: CAPACITY_BYTES_DEFAULT, names: None, reserve: None, counted_max: None }
    }
}

impl Disk {
    pub(super) fn space(&self) -> io::Result<Space> {
        self.check_powered()?;
        let free = self.free().min(self.room.counted_max.unwrap_or(u64::MAX));
        Ok(Space { free, total: self.room.capacity })
    }

    /// What can be allocated.
    fn free(&self) -> u64 {
        self.room.capacity.saturating_sub(self.used())
    }

    /// Fails unless `bytes` more can be allocated.
    pub(super) fn reserve(&self, bytes: u64) -> io::Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        self.check_powered()?;
        if bytes <= self.free() {
            return Ok(());
        }
        Err(io::ErrorKind::StorageFull.into())
    }

    /// Takes the room for one more name.
    pub(super) fn take_name(&mut self) -> io::Result<()> {
        if let Some(names) = &mut self.room.names {
            *names = names.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
        }
        Ok(())
    }

    pub(super) fn give_name(&mut self) {
        if let Some(names) = &mut self.room.names {
            *names += 1;
        }
    }

    /// Takes room for a change of `blocks` that exist: none, but where changes go to a new place.
    pub(super) fn copy_on_write(&mut self, blocks: u64) -> io::Result<()> {
        let Some(left) = self.room.reserve.as_ref().map(|reserve| reserve.left) else {
            return Ok(());
        };
        let bytes = blocks * BLOCK_BYTES;
        self.check_powered()?;
        if bytes <= self.free() {
            return Ok(());
        }
        let left = left.checked_sub(bytes).ok_or(io::ErrorKind::StorageFull)?;
        if let Some(reserve) = &mut self.room.reserve {
            reserve.left = left;
        }
        Ok(())
    }

    /// A sync: what changes have replaced is free again.
    pub(super) fn commit(&mut self) {
        if let Some(reserve) = &mut self.room.reserve {
            reserve.left = reserve.bytes;
        }
    }
}
