//! Failures to order: the nth operation of a kind, or any of them by odds, goes wrong.
//!
//! Says when and how; what a failed operation leaves behind is known by `data` and `disk`.

use std::io;

use super::rng::Rng;

/// A kind of operation that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SimOp {
    /// `open`.
    Open,
    /// `list`.
    List,
    /// `len` and `allocated`.
    Len,
    /// `read_at`.
    Read,
    /// `write_at`. Any part of the bytes is written.
    Write,
    /// A file's `sync`. Its unsynced bytes never become durable: see [`FailedSync`].
    Sync,
    /// `sync_dir`. The names stay as they were: a crash decides about them.
    SyncDir,
    /// `create` and `create_dir`.
    Create,
    /// `rename`.
    Rename,
    /// `remove`.
    Remove,
    /// `punch` and `truncate`. Nothing is done.
    Punch,
    /// `zero`. Nothing is done.
    Zero,
    /// `map` and `populate`.
    Map,
}

impl SimOp {
    /// Whether it changes nothing, so that a disk that has turned read-only does it too.
    pub(super) const fn only_looks(self) -> bool {
        matches!(self, Self::Open | Self::List | Self::Len | Self::Read | Self::Map)
    }
}

/// What is read after a failed sync of a file, where the disk holds the old bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailedSync {
    /// The new bytes, from pages that pass for clean: ext4 and xfs.
    #[default]
    ReadsNew,
    /// The old bytes: btrfs.
    ReadsOld,
}

/// What a failed sync of a file does.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SyncFailure {
    pub(super) reads: FailedSync,
    /// Some of the blocks are written.
    pub(super) writes: bool,
}

/// What a write can do to the medium unnoticed: it reports success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SimDamage {
    /// The bytes land at the same place of other 4 KiB blocks that hold data, of the same file or
    /// another one, on the medium at once. The file that was meant gets the length and the space,
    /// and reads as before. Where no other block holds data, the write goes where it should.
    Misdirected,
    /// One bit of the bytes is another.
    BitFlipped,
    /// One sector of them can never be read.
    SectorLost,
}

/// How an operation goes wrong.
#[derive(Clone, Copy, Debug)]
pub(super) enum Effect {
    Fail(io::ErrorKind),
    /// It fails, and the whole disk takes no changes from then on.
    ReadOnly,
    Damage(SimDamage),
}

/// When a failure strikes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Trigger {
    /// Once, when so many operations have been spared.
    Once { spared: u64 },
    /// Always, from then on.
    From { spared: u64 },
    /// One in so many, by the seed.
    Odds { one_in: u64 },
}

impl Trigger {
    /// At the `nth` operation from now on; 1 is the next.
    pub(super) fn once(nth: u64) -> Self {
        Self::Once { spared: nth.saturating_sub(1) }
    }

    /// At the `nth` operation from now on and all after it.
    pub(super) fn from(nth: u64) -> Self {
        Self::From { spared: nth.saturating_sub(1) }
    }
}

/// The failures still to come.
#[derive(Debug)]
pub(super) struct Faults {
    armed: Vec<(SimOp, Trigger, Effect)>,
    rng: Rng,
}

impl Faults {
    pub(super) fn new(seed: u64) -> Self {
        Self { armed: Vec::new(), rng: Rng::new(seed) }
    }

    pub(super) fn arm(&mut self, op: SimOp, trigger: Trigger, effect: Effect) {
        self.armed.push((op, trigger, effect));
    }

    pub(super) fn clear(&mut self) {
        self.armed.clear();
    }

    /// Counts one operation; how it goes wrong, if it does.
    pub(super) fn strike(&mut self, op: SimOp) -> Option<Effect> {
        let mut struck = None;
        let rng = &mut self.rng;
        self.armed.retain_mut(|(armed, trigger, effect)| {
            if *armed != op {
                return true;
            }
            let (strikes, stays) = match trigger {
                Trigger::Once { spared: 0 } => (true, false),
                Trigger::From { spared: 0 } => (true, true),
                Trigger::Once { spared } | Trigger::From { spared } => {
                    *spared -= 1;
                    (false, true)
                }
                Trigger::Odds { one_in } => (rng.below(*one_in) == 0, true),
            };
            if strikes {
                struck = Some(*effect);
            }
            stays
        });
        struck
    }

    /// A number below `bound`, for what a failure does.
    pub(super) fn choose(&mut self, bound: u64) -> u64 {
        self.rng.below(bound)
    }
}
