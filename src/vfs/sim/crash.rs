//! What a power cut decides about each thing that was not durable: the questions and the answers.
//!
//! Choices only: what can be chosen about is known by `inode` and `names`, and which choices one
//! crash makes is drawn here (a seed) or in `pattern` (one by one).

use std::ops::Range;

use super::blocks::{Block, Page};
use super::content::Sectors;
use super::garbage::Garbage;
use super::rng::Rng;

/// What becomes of one thing that was not durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It never happened.
    Drop,
    /// It reached the medium whole.
    Keep,
    /// Only these of the block's eight 512-byte sectors reached it; bit 0 is the first. Of what
    /// cannot be torn (names, lengths, extents) it is the same as `Keep`.
    Torn(u8),
    /// The block was allocated, its bytes never came: zeros. Else the same as `Keep`.
    Zero,
    /// The block was allocated and shows what stood there before. When
    /// [`super::SimVfs::show_deleted`] is on, that is bytes of a deleted file, also for space
    /// without any bytes; else noise for bytes, and zeros for space. Of names and lengths: `Keep`.
    Garbage,
}

/// One thing that was not durable when the power was cut.
#[derive(Debug)]
#[non_exhaustive]
pub struct SimPending<'a> {
    /// The file or the folder.
    pub path: &'a str,
    /// What was done to it.
    pub change: SimChange,
}

/// What was done to a file or a name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SimChange {
    /// The name was made.
    Made,
    /// The name was removed.
    Removed,
    /// The file was renamed to this.
    Renamed(String),
    /// The file got this length.
    Len(u64),
    /// These blocks got space.
    Allocated(Range<u64>),
    /// These blocks were given back.
    Punched(Range<u64>),
    /// These blocks were made zeros, and keep their space.
    Zeroed(Range<u64>),
    /// Bytes of one block were written.
    #[non_exhaustive]
    Written {
        /// The block's number.
        block: u64,
        /// The 512-byte sectors that the write touched; bit 0 is the first.
        sectors: u8,
        /// No byte of this block has ever been durable, so that it may show as zeros or garbage.
        fresh: bool,
    },
}

/// One crash as `inode` and `names` see it.
pub(super) struct Verdict<'a> {
    pub(super) choose: &'a mut dyn FnMut(&SimPending<'_>) -> Fate,
    pub(super) garbage: Garbage,
}

impl Verdict<'_> {
    pub(super) fn fate(&mut self, path: &str, change: SimChange) -> Fate {
        (self.choose)(&SimPending { path, change })
    }

    /// Whether something that cannot be torn is kept.
    pub(super) fn keeps(&mut self, path: &str, change: SimChange) -> bool {
        self.fate(path, change) != Fate::Drop
    }

    /// What of a write to `block` reaches the medium: an image, and which sectors of it.
    pub(super) fn image(&mut self, fate: Fate, block: u64, image: &Block) -> Option<Block> {
        match fate {
            Fate::Drop => None,
            Fate::Keep | Fate::Torn(_) => Some(Block::clone(image)),
            Fate::Zero => Some(Page::zeros()),
            Fate::Garbage => Some(self.garbage.block(block)),
        }
    }
}

/// How a crash leans. With a coin for each item alone, a hundred pending items would practically
/// never all be kept or all be lost, and those are the likeliest crashes of a real disk.
#[derive(Clone, Copy, Debug)]
enum Mood {
    KeepAll,
    DropAll,
    Mixed,
}

/// The choices of one seeded crash.
#[derive(Debug)]
pub(super) struct Fates {
    rng: Rng,
    mood: Mood,
}

impl Fates {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mood = match rng.below(8) {
            0 => Mood::KeepAll,
            1 => Mood::DropAll,
            _ => Mood::Mixed,
        };
        Self { rng, mood }
    }

    /// A seeded crash that is neither all kept nor all lost by decree.
    pub(super) fn mixed(seed: u64) -> Self {
        Self { rng: Rng::new(seed), mood: Mood::Mixed }
    }

    pub(super) fn choose(&mut self, change: &SimChange) -> Fate {
        match (self.mood, change) {
            (Mood::KeepAll, _) => Fate::Keep,
            (Mood::Mixed, SimChange::Written { sectors, fresh, .. }) => {
                self.written(*sectors, *fresh)
            }
            (Mood::Mixed, SimChange::Allocated(_)) => match self.rng.below(8) {
                0 => Fate::Garbage,
                1..4 => Fate::Keep,
                _ => Fate::Drop,
            },
            (Mood::Mixed, _) if self.rng.coin() => Fate::Keep,
            (Mood::DropAll | Mood::Mixed, _) => Fate::Drop,
        }
    }

    /// Kept, lost, torn anywhere, or, where nothing was durable before, any old bytes.
    fn written(&mut self, sectors: Sectors, fresh: bool) -> Fate {
        match self.rng.below(if fresh { 5 } else { 3 }) {
            0 => Fate::Keep,
            1 => Fate::Drop,
            2 => Fate::Torn(sectors & self.rng.next().to_le_bytes()[0]),
            3 => Fate::Zero,
            _ => Fate::Garbage,
        }
    }
}
