//! What newly allocated blocks show when their own bytes never came: what stood there before.
//!
//! File systems promise zeros there, by extents that are marked unwritten. Some have none (FAT and
//! its kin) and some modes break it (ext4 with `data=writeback`). The nastiest old bytes are whole
//! blocks of a deleted file at the same place: their checksums are right.

use std::ops::Range;
use std::sync::Arc;

use super::blocks::{BLOCK_LEN, Block, Blocks, Page};
use super::content::{narrow, wide};
use super::rng::Rng;

/// How many deleted files are remembered.
const DEAD_MAX: usize = 4;

/// The bytes of the files deleted last.
#[derive(Clone, Debug, Default)]
pub(super) struct Dead(Arc<Vec<Blocks>>);

impl Dead {
    pub(super) fn bury(&mut self, blocks: &Blocks) {
        if blocks.is_empty() {
            return;
        }
        let dead = Arc::make_mut(&mut self.0);
        if dead.len() == DEAD_MAX {
            dead.remove(0);
        }
        dead.push(blocks.clone());
    }
}

/// The old bytes that one crash finds.
#[derive(Debug)]
pub(super) struct Garbage {
    dead: Dead,
    rng: Rng,
}

impl Garbage {
    pub(super) fn new(dead: Dead, seed: u64) -> Self {
        Self { dead, rng: Rng::new(seed) }
    }

    /// What the disk had at a place that is now block `number` of a file.
    pub(super) fn block(&mut self, number: u64) -> Block {
        let dead = &self.dead.0;
        let start = narrow(self.rng.below(wide(dead.len())));
        let mut graves = dead.iter().cycle().skip(start).take(dead.len());
        let found = graves.find_map(|blocks| blocks.get(number).cloned());
        found.unwrap_or_else(|| self.noise())
    }

    fn noise(&mut self) -> Block {
        let mut bytes = [0; BLOCK_LEN];
        self.rng.fill(&mut bytes);
        Page::of(&bytes)
    }

    /// What the disk had at the places of blocks that got space: one deleted file, or zeros.
    pub(super) fn blocks(&mut self, range: &Range<u64>) -> Blocks {
        let mut blocks = Blocks::default();
        let pick = narrow(self.rng.below(wide(self.dead.0.len())));
        if let Some(dead) = self.dead.0.get(pick) {
            blocks.copy(dead, range);
        }
        blocks
    }
}
