//! What is done to the disk behind the store's back: it fills up, fails, and forgets.

use clipkeep::vfs::Vfs;
use clipkeep::vfs::sim::SimOp;

use super::check;
use super::footage::pieces;
use super::run::{Checked, ROOMY, Run, demand};
use super::step::{Crash, Pause, Step};

/// A restart that loses nothing by itself.
pub(super) const KILLED: Crash =
    Crash { power: false, again_after: None, full: false, off: Pause::Seconds(1) };

/// Where the entries of a ledger file begin: its header is made anew from them.
const ENTRIES: usize = 4096;

impl Run {
    pub(crate) fn harm(&mut self, step: Step) -> Checked<String> {
        match step {
            Step::Fill { kib } => {
                let used = self.used();
                self.capacity = used + 1024 * u64::from(kib);
                self.disk.set_capacity(self.capacity);
                self.tally.count("full disks");
                Ok(String::new())
            }
            Step::Free => {
                self.capacity = ROOMY;
                self.disk.set_capacity(ROOMY);
                Ok(String::new())
            }
            Step::FlipPayload { clip, at, bit } => self.flip_payload(clip, at, bit),
            Step::FlipMetadata { file, at, bit } => self.flip_metadata(file, at, bit),
            Step::FlipLedger { second_copy, at, bit } => self.flip_ledger(second_copy, at, bit),
            Step::LoseLedger { at } => self.lose_ledger(at),
            Step::Fail { op, nth } => {
                self.disk.fail_after(op, u64::from(nth), std::io::ErrorKind::Other);
                self.is_troubled = true;
                self.tally.count("faults ordered");
                Ok(String::new())
            }
            Step::FailRead { op, nth, meanwhile } => self.fail_read(op, nth, meanwhile),
            Step::Cut { after, crash } => {
                self.plug.pull_after(u64::from(after) + 1);
                self.armed = Some(crash);
                self.is_troubled = true;
                Ok(String::new())
            }
            other => unreachable!("{other:?} does no harm"),
        }
    }

    /// Flips a bit of a clip where it is sealed, so that nothing may be lost but its chunk.
    fn flip_payload(&mut self, number: u8, at: u8, bit: u8) -> Checked<String> {
        let Some(id) = self.listed_clip(number) else { return Ok("there is none".to_owned()) };
        if self.is_troubled || self.is_frozen || self.store().seal().is_err() {
            return Ok("not now".to_owned());
        }
        let clip = &self.reference.clips[&id];
        let mut places = Vec::new();
        for path in self.segment_files() {
            let file = self.disk.contents(&path).unwrap_or_default();
            let own = pieces(&file).into_iter().filter(|(number, _)| clip.footage.contains(number));
            places.extend(own.filter_map(|(_, offset)| {
                let piece = file.get(offset..offset + 32)?;
                let within = position(&clip.bytes, piece)?;
                Some((path.clone(), offset, within))
            }));
        }
        let Some((path, offset, within)) = places.get(usize::from(at) * places.len() / 256) else {
            return Ok("it cannot be found".to_owned());
        };
        self.disk.corrupt(path, u64::try_from(*offset + 20).unwrap(), 1 << (bit % 8));
        let flip = u64::try_from(*within + 20).unwrap();
        self.reference.clips.get_mut(&id).unwrap().flips.push(flip);
        self.is_damaged = true;
        self.tally.count("corruptions");
        self.tally.count("flipped bits of footage");
        // Maps and caches of this process may have been checked before: the next one reads anew.
        let line = format!("clip {id} at byte {flip}");
        self.crash(KILLED)?;
        Ok(line)
    }

    /// Flips a bit of what describes clips in a sealed segment, once a file: all of it stands
    /// twice, so nothing may be lost.
    fn flip_metadata(&mut self, number: u8, at: u16, bit: u8) -> Checked<String> {
        if self.is_troubled || self.is_frozen || self.store().seal().is_err() {
            return Ok("not now".to_owned());
        }
        let files = self.segment_files();
        let Some(path) = files.get(usize::from(number) % files.len().max(1)).cloned() else {
            return Ok("there is none".to_owned());
        };
        if !self.flipped_files.insert(path.clone()) {
            return Ok("that one has its share".to_owned());
        }
        let file = self.disk.contents(&path).unwrap_or_default();
        let mut is_footage = vec![false; file.len()];
        for (_, offset) in pieces(&file) {
            let end = (offset + 32).min(file.len());
            is_footage[offset..end].fill(true);
        }
        let bytes = file.iter().zip(&is_footage).enumerate();
        let used: Vec<usize> = bytes
            .filter(|(_, (byte, is_footage))| **byte != 0 && !**is_footage)
            .map(|(offset, _)| offset)
            .collect();
        let offset = used[usize::from(at) % used.len()];
        self.disk.corrupt(&path, u64::try_from(offset).unwrap(), 1 << (bit % 8));
        self.is_damaged = true;
        self.tally.count("corruptions");
        self.tally.count("flipped bits of metadata");
        self.crash(KILLED)?;
        Ok(format!("{path} at byte {offset}"))
    }

    /// Flips a bit of one copy of the ledger: it is repaired from the other.
    fn flip_ledger(&mut self, second_copy: bool, at: u16, bit: u8) -> Checked<String> {
        if self.is_troubled || self.is_frozen {
            return Ok("not now".to_owned());
        }
        let prefix = if second_copy { "ledger/b/" } else { "ledger/a/" };
        let Some((path, offset)) = self.used_byte(prefix, usize::from(at), 0) else {
            return Ok("there is none".to_owned());
        };
        self.disk.corrupt(&path, offset, 1 << (bit % 8));
        self.tally.count("corruptions");
        self.tally.count("flipped bits of one ledger copy");
        self.crash(KILLED)?;
        demand(self.store().opening().deletion_frozen.is_none(), || {
            "I11: one damaged copy froze deletion".to_owned()
        })?;
        Ok(format!("{path} at byte {offset}"))
    }

    /// Damages both copies of the ledger at the same entries.
    fn lose_ledger(&mut self, at: u16) -> Checked<String> {
        if self.is_troubled || self.is_frozen {
            return Ok("not now".to_owned());
        }
        // Closed first: how far the ledger reached is then known, and no tail is in doubt.
        self.reopen()?;
        let places: Vec<_> = ["ledger/a/", "ledger/b/"]
            .iter()
            .filter_map(|prefix| self.used_byte(prefix, usize::from(at), ENTRIES))
            .collect();
        for (path, offset) in &places {
            for byte in 0..64 {
                self.disk.corrupt(path, offset + byte, 0x5a);
            }
        }
        self.is_frozen = true;
        self.tally.count("corruptions");
        self.tally.count("ledgers lost");
        self.crash(KILLED)?;
        check::unreadable_ledger_deletes_nothing(self)?;
        Ok(format!("{places:?}"))
    }

    /// The segment files of the store.
    pub(crate) fn segment_files(&self) -> Vec<String> {
        let files = self.disk.files().into_iter();
        files.filter(|path| path.starts_with("segments/")).collect()
    }

    /// Some byte of the first file under `prefix`, from offset `from` on, that is not zero.
    fn used_byte(&self, prefix: &str, at: usize, from: usize) -> Option<(String, u64)> {
        let path = self.disk.files().into_iter().find(|path| path.starts_with(prefix))?;
        let file = self.disk.contents(&path)?;
        let used: Vec<usize> = (from..file.len()).filter(|at| file[*at] != 0).collect();
        let offset = *used.get(at % used.len().max(1))?;
        Some((path, u64::try_from(offset).unwrap()))
    }
}

/// Where `piece` is in `bytes`, both of footage.
fn position(bytes: &[u8], piece: &[u8]) -> Option<usize> {
    bytes.chunks(32).position(|unit| unit == piece).map(|index| index * 32)
}

/// The operations that `Step::Fail` fails.
pub(crate) const FAILING: [SimOp; 7] = [
    SimOp::Write,
    SimOp::Sync,
    SimOp::SyncDir,
    SimOp::Create,
    SimOp::Rename,
    SimOp::Remove,
    SimOp::Punch,
];

/// The operations that `Step::FailRead` fails.
pub(crate) const LOOKING: [SimOp; 5] =
    [SimOp::Read, SimOp::Map, SimOp::Open, SimOp::List, SimOp::Len];

/// The bytes that files of the store take, named or kept alive by readers.
pub(crate) fn allocated(run: &Run, prefix: &str) -> u64 {
    let files = run.disk.files().into_iter().filter(|path| path.starts_with(prefix));
    files
        .filter_map(|path| run.disk.open(&path, false).and_then(|file| file.allocated()).ok())
        .sum()
}
