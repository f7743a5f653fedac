//! One simulated file: what the disk is sure to hold, what it may hold, and what reads see.
//!
//! Invariant: with every pending item applied to `durable`, in order, the result is `live` (but
//! for data that a failed sync gave up, which only `live` has). Names are not its business.

use std::io;
use std::ops::Range;

use rustix::io::Errno;

use super::blocks::{Block, Blocks, Page};
use super::content::{
    BLOCK_BYTES, Content, Sectors, blocks_of, flip_in, narrow, pieces, sectors, wide,
};
use super::crash::{Fate, SimChange, Verdict};
use super::fault::FailedSync;
use super::rng::mix;

/// Something done to a file that no sync has made durable. Real file systems persist these in any
/// order, so a crash decides about each by itself.
#[derive(Clone, Debug)]
pub(super) enum Pending {
    /// Bytes of one block. A sector carries all that it held in memory at the time of the write.
    Data { block: u64, image: Block, sectors: Sectors },
    /// A new length.
    Len(u64),
    /// Blocks got space.
    Alloc(Range<u64>),
    /// Blocks lost their bytes and their space.
    Punch(Range<u64>),
    /// Blocks lost their bytes.
    Zero(Range<u64>),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    /// What reads see.
    pub(super) live: Content,
    durable: Content,
    pending: Vec<Pending>,
    /// A failed sync gave data up: `live` has bytes that `durable` never gets.
    lost: bool,
    /// Byte ranges that cannot be read, whatever is written there.
    pub(super) bad: Vec<Range<u64>>,
}

impl Inode {
    /// A new file, all zero, with its blocks.
    pub(super) fn allocate(len: u64) -> Self {
        let mut inode = Self::default();
        inode.push(Pending::Alloc(0..len.div_ceil(BLOCK_BYTES)));
        inode.push(Pending::Len(len));
        inode
    }

    fn push(&mut self, pending: Pending) {
        pending.apply(&mut self.live);
        self.pending.push(pending);
    }

    /// How many bytes of space a write there needs that the file does not have.
    pub(super) fn missing(&self, range: &Range<u64>) -> u64 {
        if range.is_empty() {
            return 0;
        }
        let blocks = blocks_of(range);
        (blocks.end - blocks.start - self.live.allocated.count_in(blocks)) * BLOCK_BYTES
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        let len = self.live.len;
        self.allocate_for(&(offset..offset + wide(bytes.len())));
        for piece in pieces(offset, bytes.len()) {
            let image = self.live.write(&piece, &bytes[piece.at.clone()]);
            let sectors = sectors(&piece.within);
            self.pending.push(Pending::Data { block: piece.block, image, sectors });
        }
        if self.live.len > len {
            self.pending.push(Pending::Len(self.live.len));
        }
    }

    /// The space and the length that a write to `range` needs, without its bytes.
    pub(super) fn extend(&mut self, range: &Range<u64>) {
        self.allocate_for(range);
        if range.end > self.live.len {
            self.push(Pending::Len(range.end));
        }
    }

    fn allocate_for(&mut self, range: &Range<u64>) {
        if range.is_empty() {
            return;
        }
        for gap in self.live.allocated.gaps(&blocks_of(range)) {
            self.push(Pending::Alloc(gap));
        }
    }

    /// Writes over what is on the medium, and over what would become it. The length stays.
    pub(super) fn scribble(&mut self, offset: u64, bytes: &[u8]) {
        let count = bytes.len().min(narrow(self.live.len.saturating_sub(offset)));
        for piece in pieces(offset, count) {
            let bytes = &bytes[piece.at.clone()];
            for content in [&mut self.live, &mut self.durable] {
                content.blocks.edit(piece.block)[piece.within.clone()].copy_from_slice(bytes);
            }
            for pending in &mut self.pending {
                if let Pending::Data { block, image, .. } = pending
                    && *block == piece.block
                {
                    Page::edit(image)[piece.within.clone()].copy_from_slice(bytes);
                }
            }
        }
    }

    pub(super) fn punch(&mut self, range: &Range<u64>) {
        self.push(Pending::Punch(blocks_of(range)));
    }

    /// In three steps, of which a crash may keep any: a file system with a journal does a long
    /// range in several transactions, and what stands at the ends of a file matters most.
    pub(super) fn zero(&mut self, range: &Range<u64>) {
        self.allocate_for(range);
        let Range { start, end } = blocks_of(range);
        let (first, last) = ((start + 1).min(end), end.saturating_sub(1).max(start + 1).min(end));
        for part in [start..first, first..last, last..end] {
            if !part.is_empty() {
                self.push(Pending::Zero(part));
            }
        }
    }

    pub(super) fn truncate(&mut self, len: u64) {
        self.push(Pending::Len(len));
    }

    /// Makes all that is pending durable.
    pub(super) fn sync(&mut self) {
        for pending in self.pending.drain(..) {
            pending.apply(&mut self.durable);
        }
        self.durable.forget_behind_end();
    }

    /// A sync that failed: the bytes are never written, but for the items that `written` says were.
    /// Either the system takes their pages for clean, so that they are read on, or it drops them.
    /// Lengths and extents stay pending: the journal has them.
    pub(super) fn fail_sync(&mut self, mode: FailedSync, written: &[bool]) {
        let durable = &mut self.durable;
        let mut written = written.iter();
        self.pending.retain(|pending| {
            let written = written.next().is_some_and(|written| *written);
            let is_data = matches!(pending, Pending::Data { .. });
            if is_data && written {
                pending.apply(durable);
            }
            !is_data
        });
        match mode {
            FailedSync::ReadsNew => self.lost = true,
            FailedSync::ReadsOld => {
                self.live = self.durable.clone();
                self.pending.iter().for_each(|pending| pending.apply(&mut self.live));
                self.live.forget_behind_end();
            }
        }
    }

    /// Whether a crash changes nothing, so that both sides of it can share this.
    pub(super) fn is_durable(&self) -> bool {
        self.pending.is_empty() && !self.lost
    }

    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// What a crash would ask about, in that order.
    pub(super) fn changes(&self) -> impl Iterator<Item = SimChange> {
        self.pending.iter().map(|pending| pending.change(&self.durable))
    }

    /// The same for the same durable length, space, bytes and bad sectors.
    pub(super) fn fingerprint(&self) -> u64 {
        let extents = self.durable.allocated.ranges();
        let bad = self.bad.iter().map(|bad| (bad.start, bad.end));
        let shape = extents.chain([(u64::MAX, self.durable.len)]).chain(bad);
        shape.fold(self.durable.blocks.hash(), |sum, (start, end)| mix(mix(sum ^ start) ^ end))
    }

    /// The file as a power cut leaves it.
    pub(super) fn after_crash(&self, path: &str, verdict: &mut Verdict<'_>) -> Self {
        let mut durable = self.durable.clone();
        for (pending, change) in self.pending.iter().zip(self.changes()) {
            let fate = verdict.fate(path, change);
            match pending {
                Pending::Data { block, image, sectors } => {
                    let kept = if let Fate::Torn(kept) = fate { sectors & kept } else { *sectors };
                    if kept != 0
                        && let Some(image) = verdict.image(fate, *block, image)
                    {
                        durable.set_sectors(*block, &image, kept);
                    }
                }
                Pending::Alloc(range) if fate == Fate::Garbage => {
                    pending.apply(&mut durable);
                    durable.blocks.copy(&verdict.garbage.blocks(range), range);
                }
                metadata => {
                    if fate != Fate::Drop {
                        metadata.apply(&mut durable);
                    }
                }
            }
        }
        durable.forget_behind_end();
        let (bad, live) = (self.bad.clone(), durable.clone());
        Self { live, durable, pending: Vec::new(), lost: false, bad }
    }

    /// What the medium holds, for the file's next owner.
    pub(super) fn remains(&self) -> &Blocks {
        &self.durable.blocks
    }

    /// Fails when part of `range` cannot be read.
    pub(super) fn check_readable(&self, range: &Range<u64>) -> io::Result<()> {
        let bad = self.bad.iter().any(|bad| bad.start < range.end && range.start < bad.end);
        if bad { Err(Errno::IO.into()) } else { Ok(()) }
    }

    /// Flips bits on the medium: in what is durable, and in what would become it.
    pub(super) fn corrupt(&mut self, offset: u64, xor: u8) {
        if offset >= self.live.len {
            return;
        }
        self.live.flip(offset, xor);
        self.durable.flip(offset, xor);
        for pending in &mut self.pending {
            if let Pending::Data { block, image, .. } = pending
                && *block == offset / BLOCK_BYTES
            {
                flip_in(image, offset % BLOCK_BYTES, xor);
            }
        }
    }
}

impl Pending {
    /// What it is to the one who decides about it.
    fn change(&self, durable: &Content) -> SimChange {
        match self {
            Self::Data { block, sectors, .. } => {
                let fresh = durable.blocks.get(*block).is_none();
                SimChange::Written { block: *block, sectors: *sectors, fresh }
            }
            Self::Len(len) => SimChange::Len(*len),
            Self::Alloc(blocks) => SimChange::Allocated(blocks.clone()),
            Self::Punch(blocks) => SimChange::Punched(blocks.clone()),
            Self::Zero(blocks) => SimChange::Zeroed(blocks.clone()),
        }
    }

    fn apply(&self, content: &mut Content) {
        match self {
            Self::Data { block, image, sectors } => content.set_sectors(*block, image, *sectors),
            Self::Len(len) => content.set_len(*len),
            Self::Alloc(blocks) => content.allocated.insert(blocks.clone()),
            Self::Punch(blocks) => content.punch(blocks.clone()),
            Self::Zero(blocks) => content.blocks.remove(blocks.clone()),
        }
    }
}
