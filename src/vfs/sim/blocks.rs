//! 4 KiB blocks by number: sparse, shared by copies until one writes, with hashes that are kept.
//!
//! A copy costs one reference for each 256 KiB, so that a test can copy a whole disk thousands of
//! times; a hash is made once for each block and each 256 KiB. Knows nothing of files.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::content::{narrow, wide};
use super::rng::mix;

/// [`super::content::BLOCK_BYTES`] as a length in memory.
pub(super) const BLOCK_LEN: usize = 4096;
/// Blocks that are copied and hashed together.
const CHUNK_LEN: usize = 64;
const CHUNK_BLOCKS: u64 = 64;

/// One block's bytes and their hash, once somebody asked for it.
#[derive(Debug)]
pub(super) struct Page {
    bytes: [u8; BLOCK_LEN],
    hash: OnceLock<u64>,
}

/// A page that copies of a file share.
pub(super) type Block = Arc<Page>;

#[derive(Clone, Debug)]
struct Chunk {
    slots: [Option<Block>; CHUNK_LEN],
    hash: OnceLock<u64>,
}

/// Blocks by number; one that is not there is all zeros.
#[derive(Clone, Debug, Default)]
pub(super) struct Blocks(BTreeMap<u64, Arc<Chunk>>);

impl Page {
    pub(super) fn of(bytes: &[u8; BLOCK_LEN]) -> Block {
        Arc::new(Self { bytes: *bytes, hash: OnceLock::new() })
    }

    pub(super) fn zeros() -> Block {
        static ZEROS: OnceLock<Block> = OnceLock::new();
        Arc::clone(ZEROS.get_or_init(|| Self::of(&[0; BLOCK_LEN])))
    }

    pub(super) fn bytes(&self) -> &[u8; BLOCK_LEN] {
        &self.bytes
    }

    /// The bytes to change, in a page that nobody else sees.
    pub(super) fn edit(block: &mut Block) -> &mut [u8; BLOCK_LEN] {
        let page = Arc::make_mut(block);
        page.hash.take();
        &mut page.bytes
    }

    /// Zero for zeros, so that a block of zeros and none are the same.
    fn hash(&self) -> u64 {
        *self.hash.get_or_init(|| {
            let (words, _) = self.bytes.as_chunks::<8>();
            let words = words.iter().map(|word| u64::from_le_bytes(*word));
            let (or, sum) = words.fold((0, 0_u64), |(or, sum), word| {
                (or | word, (sum.rotate_left(5) ^ word).wrapping_mul(0x517C_C1B7_2722_0A95))
            });
            if or == 0 { 0 } else { mix(sum) | 1 }
        })
    }
}

impl Clone for Page {
    /// A page is cloned to be changed: the hash would not last.
    fn clone(&self) -> Self {
        Self { bytes: self.bytes, hash: OnceLock::new() }
    }
}

impl Chunk {
    fn empty() -> Arc<Self> {
        Arc::new(Self { slots: [const { None }; CHUNK_LEN], hash: OnceLock::new() })
    }

    fn hash(&self, first: u64) -> u64 {
        *self.hash.get_or_init(|| {
            let numbered = (first..).zip(&self.slots);
            let pages = numbered.filter_map(|(number, slot)| Some((number, slot.as_ref()?.hash())));
            let told = pages.filter(|(_, hash)| *hash != 0);
            told.fold(0, |sum, (number, hash)| sum.wrapping_add(mix(mix(number) ^ hash)))
        })
    }
}

impl Blocks {
    pub(super) fn get(&self, number: u64) -> Option<&Block> {
        self.0.get(&(number / CHUNK_BLOCKS))?.slots.get(within(number))?.as_ref()
    }

    pub(super) fn set(&mut self, number: u64, block: Block) {
        *self.slot(number) = Some(block);
    }

    /// The bytes of a block to change; zeros where there was none.
    pub(super) fn edit(&mut self, number: u64) -> &mut [u8; BLOCK_LEN] {
        Page::edit(self.slot(number).get_or_insert_with(Page::zeros))
    }

    /// Forgets the blocks of `range`.
    pub(super) fn remove(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let touched = range.start / CHUNK_BLOCKS..range.end.div_ceil(CHUNK_BLOCKS);
        let chunks: Vec<u64> = self.0.range(touched).map(|(chunk, _)| *chunk).collect();
        for chunk in chunks {
            let first = chunk * CHUNK_BLOCKS;
            let last = first.saturating_add(CHUNK_BLOCKS);
            if range.start <= first && last <= range.end {
                self.0.remove(&chunk);
                continue;
            }
            for number in first.max(range.start)..last.min(range.end) {
                if self.get(number).is_some() {
                    *self.slot(number) = None;
                }
            }
        }
    }

    /// Takes over what `other` has in `range`.
    pub(super) fn copy(&mut self, other: &Self, range: &Range<u64>) {
        for (number, block) in other.iter().filter(|(number, _)| range.contains(number)) {
            self.set(number, Arc::clone(block));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The number of the first block from `number` on that is there.
    pub(super) fn next(&self, number: u64) -> Option<u64> {
        self.0.range(number / CHUNK_BLOCKS..).find_map(|(chunk, held)| {
            let first = chunk * CHUNK_BLOCKS;
            let skip = narrow(number.saturating_sub(first));
            let slot = held.slots.iter().skip(skip).position(Option::is_some)?;
            Some(first + wide(skip + slot))
        })
    }

    /// The blocks that are there, by number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Block)> {
        self.0.iter().flat_map(|(chunk, held)| {
            let numbered = (chunk * CHUNK_BLOCKS..).zip(&held.slots);
            numbered.filter_map(|(number, slot)| Some((number, slot.as_ref()?)))
        })
    }

    /// The same for the same bytes, whatever their history.
    pub(super) fn hash(&self) -> u64 {
        let chunks = self.0.iter().map(|(chunk, held)| held.hash(chunk * CHUNK_BLOCKS));
        chunks.fold(0, u64::wrapping_add)
    }

    fn slot(&mut self, number: u64) -> &mut Option<Block> {
        let chunk = self.0.entry(number / CHUNK_BLOCKS).or_insert_with(Chunk::empty);
        let chunk = Arc::make_mut(chunk);
        chunk.hash.take();
        &mut chunk.slots[within(number)]
    }
}

fn within(number: u64) -> usize {
    narrow(number % CHUNK_BLOCKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_follows_the_bytes_and_not_their_history() {
        let (mut one, mut other) = (Blocks::default(), Blocks::default());
        one.edit(3)[7] = 1;
        assert_ne!(one.hash(), other.hash());
        other.edit(3)[7] = 2;
        assert_ne!(one.hash(), other.hash());
        other.edit(3)[7] = 1;
        other.edit(200)[0] = 9;
        let _before = other.hash();
        other.edit(200)[0] = 0;
        assert_eq!(one.hash(), other.hash(), "a block of zeros is no block");
    }

    #[test]
    fn the_same_bytes_elsewhere_hash_otherwise() {
        let (mut one, mut other) = (Blocks::default(), Blocks::default());
        one.edit(3)[7] = 1;
        other.edit(4)[7] = 1;
        assert_ne!(one.hash(), other.hash());
    }

    #[test]
    fn a_range_is_removed_to_its_ends_and_no_further() {
        for range in [0..1, 10..70, 63..64, 64..128, 5..u64::MAX] {
            let mut blocks = Blocks::default();
            (0..200).for_each(|number| blocks.edit(number)[0] = 1);
            blocks.remove(range.clone());
            let left: Vec<u64> = blocks.iter().map(|(number, _)| number).collect();
            let expected: Vec<u64> = (0..200).filter(|number| !range.contains(number)).collect();
            assert_eq!(left, expected, "{range:?}");
            for from in [0, 1, 10, 63, 64, 69, 70, 127, 128, 199, 200, 9999] {
                let next = expected.iter().copied().find(|number| *number >= from);
                assert_eq!(blocks.next(from), next, "{range:?} from {from}");
            }
        }
    }
}
