//! What a power cut decides about each thing that was not durable.
//!
//! Only choices, made by the seeded generator; what can be chosen about is known by `inode` and
//! `names`.

use super::content::Sectors;
use super::rng::Rng;

/// How a crash leans. With a coin for each item alone, a hundred pending items would practically
/// never all be kept or all be lost, and those are the likeliest crashes of a real disk.
#[derive(Clone, Copy, Debug)]
enum Mood {
    KeepAll,
    DropAll,
    Mixed,
}

/// The choices of one crash.
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

    /// Whether an item that is kept or dropped whole is kept.
    pub(super) fn keep(&mut self) -> bool {
        match self.mood {
            Mood::KeepAll => true,
            Mood::DropAll => false,
            Mood::Mixed => self.rng.coin(),
        }
    }

    /// Which of the sectors `written` are kept: all, none, or, torn, any of them.
    pub(super) fn sectors(&mut self, written: Sectors) -> Sectors {
        match self.mood {
            Mood::KeepAll => written,
            Mood::DropAll => 0,
            Mood::Mixed => match self.rng.below(3) {
                0 => written,
                1 => 0,
                _ => written & self.rng.next().to_le_bytes()[0],
            },
        }
    }
}
