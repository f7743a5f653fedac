//! Reading the ledger back: at opening, for verification, and for people.
//!
//! Owns the order of reading and repairing. Holds the bytes of one file at a time, of both copies
//! where they differ. Never writes to a ledger that it cannot read to the end.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::copy::{Copy, Loaded};
use super::scan::{self, Chain, FILE_LEN, Frame, Place, Scan};
use super::{Extent, Ledger};
use crate::barrier::Barrier;
use crate::format::entry::Entry;
use crate::types::{Error, ErrorKind, Result};

/// What opening found.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    /// How many entries were shown.
    pub(crate) entries: u64,
    /// What was rewritten, a sentence each.
    pub(crate) repairs: Vec<String>,
    /// What could not be, and files that are not the ledger's.
    pub(crate) problems: Vec<Error>,
    /// Why the history ends early, naming what and where.
    pub(crate) unreadable: Option<String>,
}

/// Goes through the files in order.
struct Walk {
    numbers: Vec<u32>,
    chain: Chain,
    torn: Option<u64>,
}

/// One file, read from both copies.
struct File {
    number: u32,
    loaded: [Loaded; 2],
    scan: Scan,
}

impl Walk {
    fn over(numbers: &[BTreeSet<u32>; 2]) -> Self {
        let union: BTreeSet<u32> = numbers.iter().flatten().copied().collect();
        Self { numbers: union.into_iter().collect(), chain: Chain::default(), torn: None }
    }

    /// Reads file `number`, which follows the ones read so far; shows `each` of its entries.
    fn read(
        &mut self,
        (copies, store): (&[Copy; 2], &[u8; 16]),
        number: u32,
        each: &mut dyn FnMut(Frame),
    ) -> File {
        let [a, b] = copies;
        let first = load(a, number, &Bytes::new());
        let second = load(b, number, &first.bytes);
        let loaded = [first, second];
        let mut scan = {
            let [a, b] = &loaded;
            scan::scan(store, [&a.bytes, &b.bytes], number, self.chain, self.torn, each)
        };
        if scan.stop.is_none() {
            scan.stop = lost_in_both(&loaded, scan.tail());
        }
        self.chain = scan.chain;
        self.torn = scan.torn;
        File { number, loaded, scan }
    }
}

impl File {
    /// What the copies should read as.
    fn image(&self, store: &[u8; 16]) -> Vec<u8> {
        let [a, b] = &self.loaded;
        self.scan.image([&a.bytes, &b.bytes], store, self.number)
    }

    /// Whether each of the two must be rewritten. A blank file that only one copy has is fine.
    fn differ(&self, store: &[u8; 16]) -> [bool; 2] {
        let [a, b] = &self.loaded;
        let copies = [&*a.bytes, &*b.bytes];
        let is_image = |of| self.scan.is_image(copies, of, store, self.number);
        let first = is_image(0);
        // Mostly both have the same, and then it is in memory once.
        let second = if std::ptr::eq(copies[0], copies[1]) { first } else { is_image(1) };
        [(a, first), (b, second)].map(|(loaded, is_image)| {
            let blank = self.scan.places.is_empty();
            let Some(len) = loaded.len else { return !blank };
            let whole = len == super::LEDGER_FILE_BYTES;
            // A blank file of the wrong length is made anew when it is needed.
            !is_image || !loaded.lost.is_empty() || (!whole && !blank)
        })
    }

    /// Position and place of the entries that `loaded` has not as they are in `image`.
    fn damaged<'a>(
        &'a self,
        loaded: &'a Loaded,
        image: &'a [u8],
    ) -> impl Iterator<Item = (u64, Place)> + 'a {
        let places = self.scan.places.iter().copied();
        (self.scan.start.position..).zip(places).filter(|(_, place)| {
            let bytes = image.get(place.range()).unwrap_or_default();
            !scan::has(&loaded.bytes, place.offset, bytes)
        })
    }

    /// What stops the replay here, with the place.
    fn stopped(&self, copy: &Copy) -> Option<String> {
        let why = self.scan.stop.as_ref()?;
        Some(format!("{why} ({})", copy.damage("ledger file".into(), self.number)))
    }
}

/// File `number` of `copy`; an error is as if none of it could be read.
fn load(copy: &Copy, number: u32, other: &Bytes) -> Loaded {
    let loaded = if copy.works() { copy.load(number, other) } else { Ok(Loaded::missing()) };
    loaded.unwrap_or_else(|error| Loaded {
        bytes: Bytes::new(),
        len: Some(super::LEDGER_FILE_BYTES),
        lost: (0..FILE_LEN).step_by(scan::FIRST_FRAME).collect(),
        cause: Some(error),
    })
}

/// A place behind `tail` that can be read in neither copy: nobody knows what stands there.
fn lost_in_both(loaded: &[Loaded; 2], tail: usize) -> Option<String> {
    let [a, b] = loaded;
    let unknown = |other: &Loaded, block: usize| other.len.is_none() || other.lost.contains(&block);
    let lost = a.lost.iter().find(|block| unknown(b, **block));
    let lost = lost.or_else(|| b.lost.iter().find(|block| unknown(a, **block)));
    let block = *lost?;
    (!Barrier::LedgerBothLost.test(block + scan::FIRST_FRAME <= tail))
        .then(|| format!("what stands at byte {block} can be read in neither copy"))
}

impl Ledger {
    /// Opens the files: the body of [`Ledger::open`].
    pub(super) fn replay(&mut self, visit: &mut dyn FnMut(&Entry)) -> Result<Replay> {
        let mut replay = Replay::default();
        let numbers = self.list(&mut replay)?;
        let mut walk = Walk::over(&numbers);
        let mut differing = Vec::new();
        // 1. Read everything once, writing nothing: only when the end is known is it known whether
        //    an incomplete batch is a torn last write.
        for number in walk.numbers.clone() {
            let (start, torn) = (walk.chain, walk.torn);
            let from = (&self.copies, &self.store);
            let file = walk.read(from, number, &mut |frame| visit(&frame.entry));
            if !file.scan.places.is_empty() {
                (self.number, self.tail) = (number, file.scan.tail());
                self.starts.insert(number, start);
            }
            if let Some(why) = file.stopped(&self.copies[0]) {
                self.unreadable = Some(why);
                break;
            }
            if file.differ(&self.store).contains(&true) {
                differing.push((number, start, torn));
            }
        }
        self.chain = walk.chain;
        replay.entries = walk.chain.position;
        if self.unreadable.is_none() {
            let known_durable = self.extent.known_durable;
            self.unreadable = too_short(walk.chain.position, known_durable, &walk.numbers);
        }
        // 2. Repair and go on where it ends.
        if self.writable && self.unreadable.is_none() {
            self.drop_unfinished_repair()?;
            for (number, chain, torn) in differing {
                let mut walk = Walk { numbers: vec![], chain, torn };
                let file = walk.read((&self.copies, &self.store), number, &mut drop);
                self.repair(&file, &mut replay);
            }
            self.resume(&mut replay);
        }
        replay.unreadable.clone_from(&self.unreadable);
        Ok(replay)
    }

    /// The numbers of both copies' files.
    fn list(&mut self, replay: &mut Replay) -> Result<[BTreeSet<u32>; 2]> {
        let mut numbers = [BTreeSet::new(), BTreeSet::new()];
        let extent = self.extent;
        for (copy, numbers) in self.copies.iter_mut().zip(&mut numbers) {
            match copy.list() {
                Ok((found, unknown)) => {
                    copy.count(&found);
                    *numbers = found;
                    numbers.retain(|number| extent.has(*number));
                    let foreign = unknown.into_iter().map(|name| {
                        let what = format!("{}/{name} is no ledger file: left alone", copy.dir());
                        Error::new(ErrorKind::Unsupported, what)
                    });
                    replay.problems.extend(foreign);
                }
                Err(error) => {
                    copy.fail();
                    replay.problems.push(error);
                }
            }
        }
        match replay.problems.last() {
            Some(error) if !self.copies.iter().any(Copy::works) => Err(error.clone()),
            _ => Ok(numbers),
        }
    }

    /// Rewrites one file where a copy differs from what both together say.
    fn repair(&mut self, file: &File, replay: &mut Replay) {
        let image = file.image(&self.store);
        // Copy a is durable again before copy b is touched: no crash can cost an entry that one
        // of them had.
        let both = file.loaded.iter().zip(file.differ(&self.store));
        for (copy, (loaded, differs)) in self.copies.iter_mut().zip(both) {
            if !copy.works() || !differs {
                continue;
            }
            let ready = if loaded.len.is_none() { copy.create_dir() } else { Ok(()) };
            match ready.and_then(|()| copy.repair(file.number, loaded, &image)) {
                Ok(()) => replay.repairs.push(repaired(copy, file, loaded, &image)),
                Err(error) => {
                    copy.fail();
                    replay.problems.push(error);
                }
            }
        }
    }

    /// Opens the last file of each copy for the next entries.
    fn resume(&mut self, replay: &mut Replay) {
        // What a process that was killed had written may be in memory only: it must be durable
        // before anybody acts on it. After a clean close that is known.
        let unsure = self.chain.position != self.extent.known_durable;
        for copy in self.copies.iter_mut().filter(|copy| copy.works()) {
            if let Err(error) = copy.resume(self.number, unsure) {
                copy.fail();
                replay.problems.push(error);
            }
        }
        if self.copies.iter().any(Copy::works) {
            // Without room each append tries again.
            drop(self.reserve());
        } else {
            self.poisoned = true;
        }
    }

    /// What it takes to verify the ledger while entries are appended to it.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            store: self.store,
            extent: self.extent,
            copies: self.copies.clone(),
            number: self.number,
            position: self.chain.position,
        }
    }

    /// Reads both copies from disk again: see [`Snapshot::verify`].
    #[cfg(test)]
    pub(super) fn verify(&self, visit: &mut dyn FnMut(&Entry, &[u8; 32])) -> Result<Vec<Error>> {
        self.snapshot().verify(&mut || None::<()>, visit)
    }

    /// Shows the entries from position `from` on, each with its hash, until `visit` says false.
    /// Reads no file before the one that has `from`.
    ///
    /// # Errors
    ///
    /// `Corrupt` where the ledger cannot be read on; what the system says of a folder.
    pub(crate) fn read(
        &self,
        from: u64,
        visit: &mut dyn FnMut(&Entry, &[u8; 32]) -> bool,
    ) -> Result<()> {
        let mut walk = Walk::over(&numbers(&self.copies, self.extent)?);
        // The files before the one that has it were checked when the ledger was opened.
        if let Some((first, start)) = self.starts.iter().rfind(|(_, start)| start.position <= from)
        {
            walk.numbers.retain(|number| number >= first);
            walk.chain = *start;
        }
        for number in walk.numbers.clone() {
            let mut wanted = Vec::new();
            let file = walk.read((&self.copies, &self.store), number, &mut |frame| {
                wanted.extend((frame.entry.position >= from).then_some(frame));
            });
            for frame in &wanted {
                if !visit(&frame.entry, &frame.hash) {
                    return Ok(());
                }
            }
            if let Some(why) = file.stopped(&self.copies[0]) {
                return Err(Error::corrupt(why));
            }
        }
        Ok(())
    }
}

/// The ledger as it was at one moment. Files before its last one are never written again; in the
/// last one, and behind it, an append may be under way.
#[derive(Debug)]
pub(crate) struct Snapshot {
    store: [u8; 16],
    extent: Extent,
    copies: [Copy; 2],
    /// The file that took the next entries.
    number: u32,
    /// How many entries were durable.
    position: u64,
}

impl Snapshot {
    /// Reads both copies from disk again: checks CRCs, chain, and that the copies are equal. Shows
    /// each entry with its hash and gives what is wrong.
    ///
    /// An append that is under way looks like damage to the last file. What is found there is said
    /// only if it is found once more while `still` keeps others from appending; `still` is not
    /// asked for otherwise.
    ///
    /// # Errors
    ///
    /// When a copy's folder cannot be read.
    pub(crate) fn verify<S>(
        &self,
        still: &mut dyn FnMut() -> Option<S>,
        visit: &mut dyn FnMut(&Entry, &[u8; 32]),
    ) -> Result<Vec<Error>> {
        let mut found = Vec::new();
        let mut walk = Walk::over(&numbers(&self.copies, self.extent)?);
        let mut stilled = None;
        for number in walk.numbers.clone() {
            let before = (walk.chain, walk.torn);
            let (copies, mut frames) = ((&self.copies, &self.store), Vec::new());
            let mut file = walk.read(copies, number, &mut |frame| frames.push(frame));
            let mut wrong = self.faults(&file);
            if !wrong.is_empty() && number >= self.number {
                stilled = stilled.or_else(&mut *still);
                (walk.chain, walk.torn) = before;
                frames.clear();
                file = walk.read(copies, number, &mut |frame| frames.push(frame));
                wrong = self.faults(&file);
            }
            for frame in &frames {
                visit(&frame.entry, &frame.hash);
            }
            found.extend(wrong);
            if file.scan.stop.is_some() {
                break;
            }
        }
        drop(stilled);
        if walk.chain.position < self.position {
            let (there, want) = (walk.chain.position, self.position);
            found.push(Error::corrupt(format!("ledger ends after {there} of {want} entries")));
        }
        Ok(found)
    }

    fn faults(&self, file: &File) -> Vec<Error> {
        if let Some(why) = file.stopped(&self.copies[0]) {
            return vec![Error::corrupt(why)];
        }
        let mut found = Vec::new();
        let both = file.loaded.iter().zip(file.differ(&self.store));
        for (copy, (loaded, differs)) in self.copies.iter().zip(both) {
            found.extend(loaded.cause.clone());
            if differs {
                found.extend(differences(copy, file, loaded, &file.image(&self.store)));
            }
        }
        found
    }
}

/// The numbers of both copies' files that are part of the ledger.
pub(super) fn numbers(copies: &[Copy; 2], extent: Extent) -> Result<[BTreeSet<u32>; 2]> {
    let mut numbers = [BTreeSet::new(), BTreeSet::new()];
    for (copy, numbers) in copies.iter().zip(&mut numbers) {
        *numbers = copy.list()?.0;
        numbers.retain(|number| extent.has(*number));
    }
    Ok(numbers)
}

/// Why a history of `entries` is not the whole one, if it is not.
fn too_short(entries: u64, known_durable: u64, numbers: &[u32]) -> Option<String> {
    if numbers.is_empty() {
        Some("both copies of the ledger are missing".into())
    } else if !Barrier::LedgerLength.test(entries >= known_durable) {
        Some(format!("the ledger ends after {entries} entries, but {known_durable} were durable"))
    } else if entries == 0 {
        Some("the ledger has no first entry".into())
    } else {
        None
    }
}

/// What was rewritten in `copy`.
fn repaired(copy: &Copy, file: &File, loaded: &Loaded, image: &[u8]) -> String {
    let (letter, number) = (copy.letter(), file.number);
    let other = if letter == "a" { "b" } else { "a" };
    let damaged = file.damaged(loaded, image).count();
    match (loaded.len, damaged) {
        (None, _) => format!("ledger copy {letter}: rebuilt file {number} from copy {other}"),
        (Some(_), 0) => format!("ledger copy {letter}: cleared an unfinished write, file {number}"),
        (Some(_), 1) => format!("ledger copy {letter}: rewrote 1 damaged entry from copy {other}"),
        (Some(_), n) => {
            format!("ledger copy {letter}: rewrote {n} damaged entries from copy {other}")
        }
    }
}

/// What is wrong in one copy of `file`.
fn differences(copy: &Copy, file: &File, loaded: &Loaded, image: &[u8]) -> Vec<Error> {
    if loaded.len.is_none() {
        return vec![copy.damage("ledger file is missing".into(), file.number)];
    }
    let mut errors: Vec<Error> = file
        .damaged(loaded, image)
        .map(|(position, place)| {
            let what = format!("ledger entry {position} is damaged");
            let offset = u64::try_from(place.offset).unwrap_or(u64::MAX);
            copy.damage(what, file.number).at_offset(offset)
        })
        .collect();
    if errors.is_empty() {
        errors.push(copy.damage("ledger file is damaged outside its entries".into(), file.number));
    }
    errors
}
