//! The bytes of a simulated file, in memory: sparse, in 4 KiB blocks that copies share.
//!
//! Knows nothing of durability; a file has two of these (see `inode`).

use std::ops::Range;
use std::sync::Arc;

use super::blocks::{BLOCK_LEN, Block, Blocks, Page};
use super::extents::Extents;

/// The unit of allocation and of one pending write.
pub(super) const BLOCK_BYTES: u64 = 4096;
/// The unit that a disk writes whole or not at all.
pub(super) const SECTOR_BYTES: usize = 512;
const _: () = assert!(BLOCK_LEN / SECTOR_BYTES == 8 && BLOCK_LEN.is_multiple_of(SECTOR_BYTES));

/// Which of a block's eight sectors: bit 0 is the first.
pub(super) type Sectors = u8;

/// What a file holds at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pub(super) len: u64,
    /// Blocks not in it are zeros. While data can come before the length that covers it, some may
    /// lie behind `len`; `forget_behind_end` ends that.
    pub(super) blocks: Blocks,
    /// Block numbers with space on the disk, also those without bytes yet, also behind `len`.
    pub(super) allocated: Extents,
}

/// The part of a byte range that lies in one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) block: u64,
    /// Where in the block.
    pub(super) within: Range<usize>,
    /// Where in the caller's buffer.
    pub(super) at: Range<usize>,
}

/// Cuts `len` bytes at `offset` into the blocks they touch; the end must not overflow.
pub(super) fn pieces(offset: u64, len: usize) -> impl Iterator<Item = Piece> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at == len {
            return None;
        }
        let position = offset + wide(at);
        let start = narrow(position % BLOCK_BYTES);
        let count = (len - at).min(BLOCK_LEN - start);
        at += count;
        let within = start..start + count;
        Some(Piece { block: position / BLOCK_BYTES, within, at: at - count..at })
    })
}

/// The sectors that the bytes `within` of a block touch.
pub(super) fn sectors(within: &Range<usize>) -> Sectors {
    let touched = within.start / SECTOR_BYTES..within.end.div_ceil(SECTOR_BYTES);
    touched.fold(0, |sectors, sector| sectors | 1 << sector)
}

/// The blocks that `range` touches.
pub(super) fn blocks_of(range: &Range<u64>) -> Range<u64> {
    range.start / BLOCK_BYTES..range.end.div_ceil(BLOCK_BYTES)
}

impl Content {
    /// Copies out what stands at `offset`; zeros where there is nothing, also behind the end.
    pub(super) fn read(&self, offset: u64, buf: &mut [u8]) {
        for piece in pieces(offset, buf.len()) {
            match self.blocks.get(piece.block) {
                Some(block) => buf[piece.at].copy_from_slice(&block.bytes()[piece.within]),
                None => buf[piece.at].fill(0),
            }
        }
    }

    /// All bytes. Blocks that were never written cost no copying.
    pub(super) fn bytes(&self, len: u64) -> Vec<u8> {
        let mut bytes = vec![0; narrow(len)];
        for (number, block) in self.blocks.iter() {
            let start = narrow((number * BLOCK_BYTES).min(len));
            let count = BLOCK_LEN.min(bytes.len() - start);
            bytes[start..start + count].copy_from_slice(&block.bytes()[..count]);
        }
        bytes
    }

    /// The image of `piece.block` with `bytes` written into it; stores it and returns it.
    pub(super) fn write(&mut self, piece: &Piece, bytes: &[u8]) -> Block {
        let block = if let Ok(whole) = bytes.try_into() {
            Page::of(whole)
        } else {
            let mut block = self.blocks.get(piece.block).cloned().unwrap_or_else(Page::zeros);
            Page::edit(&mut block)[piece.within.clone()].copy_from_slice(bytes);
            block
        };
        self.blocks.set(piece.block, Arc::clone(&block));
        self.allocated.insert(piece.block..piece.block + 1);
        self.len = self.len.max(piece.block * BLOCK_BYTES + wide(piece.within.end));
        block
    }

    /// Takes `sectors` of `image` as what block `block` holds; the length stays.
    pub(super) fn set_sectors(&mut self, block: u64, image: &Block, sectors: Sectors) {
        self.allocated.insert(block..block + 1);
        if sectors == Sectors::MAX {
            self.blocks.set(block, Arc::clone(image));
            return;
        }
        let target = self.blocks.edit(block);
        for sector in (0..8).filter(|sector| sectors & (1 << sector) != 0) {
            let bytes = sector * SECTOR_BYTES..(sector + 1) * SECTOR_BYTES;
            target[bytes.clone()].copy_from_slice(&image.bytes()[bytes]);
        }
    }

    /// Gives the blocks of `blocks` back; they read as zeros.
    pub(super) fn punch(&mut self, blocks: Range<u64>) {
        self.blocks.remove(blocks.clone());
        self.allocated.remove(blocks);
    }

    /// Sets the length; what a shorter one cuts off is gone, also if the file grows again.
    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.len {
            self.punch(len.div_ceil(BLOCK_BYTES)..u64::MAX);
        }
        self.len = len;
        self.forget_behind_end();
    }

    /// Zeroes what stands behind the end: blocks can become durable before the length does.
    pub(super) fn forget_behind_end(&mut self) {
        let end = self.len.div_ceil(BLOCK_BYTES);
        self.blocks.remove(end..u64::MAX);
        let within = narrow(self.len % BLOCK_BYTES);
        let last = within > 0 && self.blocks.get(end - 1).is_some();
        if last {
            self.blocks.edit(end - 1)[within..].fill(0);
        }
    }

    /// Flips the bits `xor` of the byte at `offset`, also when the length is still to come.
    pub(super) fn flip(&mut self, offset: u64, xor: u8) {
        self.blocks.edit(offset / BLOCK_BYTES)[narrow(offset % BLOCK_BYTES)] ^= xor;
    }
}

/// Flips the bits `xor` of one byte of a block's image.
pub(super) fn flip_in(image: &mut Block, within: u64, xor: u8) {
    Page::edit(image)[narrow(within)] ^= xor;
}

/// A simulated file is held in memory, so its lengths and offsets fit; a longer one saturates and
/// then fails to be allocated.
pub(super) fn narrow(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The length of something in memory as a file counts it.
pub(super) fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(block: u64, within: Range<usize>, at: Range<usize>) -> Piece {
        Piece { block, within, at }
    }

    #[test]
    fn the_two_names_of_the_block_length_agree() {
        assert_eq!(wide(BLOCK_LEN), BLOCK_BYTES);
    }

    #[test]
    fn a_range_is_cut_at_every_block() {
        let cut: Vec<_> = pieces(4000, 4300).collect();
        assert_eq!(
            cut,
            [
                piece(0, 4000..4096, 0..96),
                piece(1, 0..4096, 96..4192),
                piece(2, 0..108, 4192..4300),
            ]
        );
        assert_eq!(pieces(4096, 0).count(), 0);
    }

    #[test]
    fn a_write_names_the_sectors_it_touches() {
        assert_eq!(sectors(&(0..4096)), 0b1111_1111);
        assert_eq!(sectors(&(0..1)), 0b0000_0001);
        assert_eq!(sectors(&(511..513)), 0b0000_0011);
        assert_eq!(sectors(&(3584..4096)), 0b1000_0000);
    }

    #[test]
    fn cut_off_bytes_do_not_come_back_when_the_file_grows() {
        let mut content = Content::default();
        content.write(&piece(0, 0..4096, 0..4096), &[7; 4096]);
        content.set_len(100);
        content.set_len(4096);
        let mut bytes = [1; 4096];
        content.read(0, &mut bytes);
        assert!(bytes[..100].iter().all(|byte| *byte == 7));
        assert!(bytes[100..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_copy_does_not_see_later_writes() {
        let mut content = Content::default();
        content.write(&piece(0, 0..1, 0..1), &[1]);
        let copy = content.clone();
        content.write(&piece(0, 0..1, 0..1), &[2]);
        assert_eq!((copy.bytes(1), content.bytes(1)), (vec![1], vec![2]));
    }
}
