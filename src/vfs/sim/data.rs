//! What the simulated disk does with the bytes of one file: read, write, sync, give back, map.
//!
//! Each method is one call of `VfsFile` and takes effect at once and whole, but for what an
//! ordered failure leaves.

use std::io;
use std::ops::Range;

use super::content::{BLOCK_BYTES, Content, SECTOR_BYTES, blocks_of, narrow, wide};
use super::disk::Disk;
use super::fault::{Effect, SimDamage, SimOp};
use super::names::InodeId;
use crate::vfs::{check_punch, check_zero};

/// A file as a map shows it.
#[derive(Debug, Default)]
pub(super) struct Mapped {
    pub(super) content: Content,
    /// What cannot be read of it.
    pub(super) bad: Vec<Range<u64>>,
}

impl Disk {
    pub(super) fn read(
        &mut self,
        (id, path): (InodeId, &str),
        offset: u64,
        buf: &mut [u8],
    ) -> io::Result<()> {
        self.stats.reads += 1;
        self.begin(SimOp::Read, path)?;
        let inode = self.inode(id)?;
        let range = range_of(offset, buf.len())?;
        if range.end > inode.live.len && !range.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        inode.check_readable(&range)?;
        inode.live.read(offset, buf);
        Ok(())
    }

    pub(super) fn write(
        &mut self,
        (id, path): (InodeId, &str),
        offset: u64,
        mut bytes: Vec<u8>,
    ) -> io::Result<()> {
        let range = range_of(offset, bytes.len())?;
        let missing = self.inode(id)?.missing(&range);
        self.reserve(missing)?;
        let blocks = blocks_of(&range);
        self.copy_on_write((blocks.end - blocks.start).saturating_sub(missing / BLOCK_BYTES))?;
        let struck = self.strike(SimOp::Write)?;
        if let Some(Effect::Damage(SimDamage::Misdirected)) = struck
            && self.misdirect(id, &range, &bytes)?
        {
            self.stats.bytes_written += wide(bytes.len());
            return Ok(());
        }
        let done = self.outcome(struck, SimOp::Write, path);
        if done.is_err() {
            let part = self.choose(wide(bytes.len()) + 1);
            bytes.truncate(narrow(part));
        }
        self.stats.bytes_written += wide(bytes.len());
        self.inode_mut(id)?.write(offset, &bytes);
        if let Some(Effect::Damage(damage)) = struck
            && !bytes.is_empty()
        {
            let at = offset + self.faults.choose(wide(bytes.len()));
            self.harm((id, path), at, damage)?;
        }
        done
    }

    /// Harms what was just written at `at`.
    fn harm(&mut self, (id, path): (InodeId, &str), at: u64, damage: SimDamage) -> io::Result<()> {
        let bit = self.faults.choose(8);
        let inode = self.inode_mut(id)?;
        match damage {
            SimDamage::Misdirected => return Ok(()),
            SimDamage::BitFlipped => inode.corrupt(at, 1 << bit),
            SimDamage::SectorLost => {
                let sector = at - at % wide(SECTOR_BYTES);
                inode.bad.push(sector..sector + wide(SECTOR_BYTES));
            }
        }
        self.history.note(|| format!("! {damage:?} at {at} of {path} by the next write"));
        Ok(())
    }

    /// Writes `bytes` that were meant for `range` of a file over other blocks, of it or of another
    /// one, at the same place in a block: on the medium, at once. `false` when there are none.
    fn misdirect(&mut self, id: InodeId, range: &Range<u64>, bytes: &[u8]) -> io::Result<bool> {
        let meant = blocks_of(range);
        let found: Vec<_> = self
            .named_inodes()
            .flat_map(|(other, inode)| {
                inode.live.blocks.iter().map(move |(block, _)| (other, block))
            })
            .filter(|(other, block)| *other != id || !meant.contains(block))
            .collect();
        let pick = narrow(self.faults.choose(wide(found.len())));
        let Some((other, block)) = found.get(pick).copied() else { return Ok(false) };
        let at = block * BLOCK_BYTES + range.start % BLOCK_BYTES;
        self.inode_mut(id)?.extend(range);
        self.inode_mut(other)?.scribble(at, bytes);
        let landed = self.path_of(other);
        self.history.note(|| format!("! the next write lands at {at} of {landed}"));
        Ok(true)
    }

    pub(super) fn sync(&mut self, (id, path): (InodeId, &str)) -> io::Result<()> {
        self.stats.syncs += 1;
        self.inode(id)?;
        let struck = self.strike(SimOp::Sync)?;
        let done = self.outcome(struck, SimOp::Sync, path);
        let failed_sync = self.failed_sync.reads;
        let written = if done.is_err() { self.written_by_a_failed_sync(id)? } else { Vec::new() };
        let inode = self.inode_mut(id)?;
        match done {
            Ok(()) => inode.sync(),
            Err(_) => inode.fail_sync(failed_sync, &written),
        }
        if done.is_ok() {
            self.commit();
        }
        done
    }

    /// Of each pending item of a file, whether a sync that fails writes it all the same.
    fn written_by_a_failed_sync(&mut self, id: InodeId) -> io::Result<Vec<bool>> {
        let pending = self.inode(id)?.pending();
        let some = self.failed_sync.writes;
        Ok((0..pending).map(|_| some && self.faults.choose(2) == 1).collect())
    }

    pub(super) fn len(&mut self, (id, path): (InodeId, &str)) -> io::Result<u64> {
        self.begin(SimOp::Len, path)?;
        Ok(self.inode(id)?.live.len)
    }

    /// Blocks that are there, or cannot be read.
    pub(super) fn written_from(
        &mut self,
        (id, path): (InodeId, &str),
        offset: u64,
    ) -> io::Result<Option<Range<u64>>> {
        self.begin(SimOp::Len, path)?;
        let inode = self.inode(id)?;
        let is_bad = |block| inode.bad.iter().any(|bad| blocks_of(bad).contains(&block));
        let end = inode.live.len.div_ceil(BLOCK_BYTES);
        let there = |block: &u64| inode.live.blocks.get(*block).is_some() || is_bad(*block);
        let next = |from: u64| {
            let bad = inode.bad.iter().map(blocks_of).filter(|bad| bad.end > from);
            let bad = bad.map(|bad| bad.start.max(from)).min();
            inode.live.blocks.next(from).into_iter().chain(bad).min()
        };
        let Some(first) = next(offset / BLOCK_BYTES).filter(|first| *first < end) else {
            return Ok(None);
        };
        let behind = (first..end).find(|block| !there(block)).unwrap_or(end);
        let range = offset.max(first * BLOCK_BYTES)..inode.live.len.min(behind * BLOCK_BYTES);
        Ok((!range.is_empty()).then_some(range))
    }

    pub(super) fn allocated(&mut self, (id, path): (InodeId, &str)) -> io::Result<u64> {
        self.begin(SimOp::Len, path)?;
        Ok(self.inode(id)?.live.allocated.count() * BLOCK_BYTES)
    }

    pub(super) fn punch(
        &mut self,
        (id, path): (InodeId, &str),
        range: &Range<u64>,
    ) -> io::Result<()> {
        check_punch(range)?;
        self.begin(SimOp::Punch, path)?;
        self.copy_on_write(1)?;
        self.inode_mut(id)?.punch(range);
        Ok(())
    }

    pub(super) fn zero(
        &mut self,
        (id, path): (InodeId, &str),
        range: &Range<u64>,
    ) -> io::Result<()> {
        check_zero(range, self.inode(id)?.live.len)?;
        self.begin(SimOp::Zero, path)?;
        self.check_unmapped(id)?;
        self.reserve(self.inode(id)?.missing(range))?;
        self.copy_on_write(1)?;
        self.inode_mut(id)?.zero(range);
        Ok(())
    }

    pub(super) fn truncate(&mut self, (id, path): (InodeId, &str), len: u64) -> io::Result<()> {
        self.begin(SimOp::Punch, path)?;
        self.check_unmapped(id)?;
        if len > self.inode(id)?.live.len {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.copy_on_write(1)?;
        self.inode_mut(id)?.truncate(len);
        Ok(())
    }

    pub(super) fn map(&mut self, (id, path): (InodeId, &str), len: u64) -> io::Result<()> {
        self.begin(SimOp::Map, path)?;
        let inode = self.inode(id)?;
        if len > inode.live.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.share_map(id);
        Ok(())
    }

    /// What a map shows; nothing of a file that is gone with its disk.
    pub(super) fn mapped(&self, id: InodeId) -> Mapped {
        self.inode(id).map_or_else(
            |_gone| Mapped::default(),
            |inode| Mapped { content: inode.live.clone(), bad: inode.bad.clone() },
        )
    }

    pub(super) fn populate(
        &mut self,
        (id, path): (InodeId, &str),
        range: &Range<u64>,
    ) -> io::Result<()> {
        self.begin(SimOp::Map, path)?;
        self.inode(id)?.check_readable(range)
    }
}

fn range_of(offset: u64, len: usize) -> io::Result<Range<u64>> {
    let end = offset.checked_add(wide(len)).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(offset..end)
}
