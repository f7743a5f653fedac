//! Two copies' bytes of one ledger file to the entries they hold together: pure, no I/O.
//!
//! Owns the rules by which a damaged, torn or contradicting copy is read. Never guesses: where an
//! entry is lost that somebody may have relied on, it stops and says so.
//!
//! Invariants of what comes out: positions follow one another, each entry names the hash of the
//! one before, and a batch is there with all its entries or not at all.

use std::ops::Range;

use super::LEDGER_FILE_BYTES;
use crate::barrier::Barrier;
use crate::format::entry::{Entry, LedgerHeader};
use crate::format::{BLOCK_BYTES, Damage};

/// Frames begin on multiples of this many bytes.
const FRAME_ALIGN: usize = 8;
/// The bytes of a ledger file, for buffers.
pub(super) const FILE_LEN: usize = 1 << 20;
/// Where a file's first frame stands: behind the header.
pub(super) const FIRST_FRAME: usize = 4096;

const _: () = assert!(LEDGER_FILE_BYTES == 1 << 20 && BLOCK_BYTES == 4096);
const _: () = assert!(FIRST_FRAME.is_multiple_of(FRAME_ALIGN) && FIRST_FRAME < FILE_LEN);

/// What the next entry must say of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Chain {
    /// Its position.
    pub(super) position: u64,
    /// The hash of the entry before it; zeros at the start.
    pub(super) hash: [u8; 32],
}

/// Where an entry stands in its file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) offset: usize,
    pub(super) len: usize,
    /// The copy it was read from, 0 or 1.
    source: usize,
}

impl Place {
    pub(super) fn range(self) -> Range<usize> {
        self.offset..self.offset + self.len
    }

    fn bytes(self, copies: [&[u8]; 2]) -> Option<&[u8]> {
        copies.get(self.source)?.get(self.range())
    }
}

/// An entry and where it stands.
#[derive(Debug)]
pub(super) struct Frame {
    place: Place,
    pub(super) entry: Entry,
    pub(super) hash: [u8; 32],
}

/// What one file says.
#[derive(Debug)]
pub(super) struct Scan {
    /// The chain before its first entry.
    pub(super) start: Chain,
    /// The entries of its complete batches, without what they say: a file may have thousands.
    pub(super) places: Vec<Place>,
    /// The chain behind the last of them.
    pub(super) chain: Chain,
    /// The first missing position of a last batch that is not there as a whole.
    pub(super) torn: Option<u64>,
    /// Why nothing from here on can be trusted.
    pub(super) stop: Option<String>,
}

impl Scan {
    /// Where the last complete batch ends.
    pub(super) fn tail(&self) -> usize {
        self.places.last().map_or(FIRST_FRAME, |place| place.offset + place.len)
    }

    /// The bytes that both copies of the file should have, in whole blocks, with zeros behind. None
    /// when it has no entries: then it is the file that waits for the next ones.
    pub(super) fn image(&self, copies: [&[u8]; 2], store: &[u8; 16], number: u32) -> Vec<u8> {
        if self.places.is_empty() {
            return Vec::new();
        }
        let mut image = vec![0; self.tail().next_multiple_of(FIRST_FRAME)];
        let header = header(store, number, self.start).encode();
        put(&mut image, 0, &header);
        for place in &self.places {
            if let Some(bytes) = place.bytes(copies) {
                put(&mut image, place.offset, bytes);
            }
        }
        image
    }

    /// Whether copy `of` reads as [`Scan::image`], without making that.
    pub(super) fn is_image(
        &self,
        copies: [&[u8]; 2],
        of: usize,
        store: &[u8; 16],
        number: u32,
    ) -> bool {
        let Some(copy) = copies.get(of) else { return false };
        if self.places.is_empty() {
            return first_written(copy, 0).is_none();
        }
        let header = header(store, number, self.start).encode();
        let mut end = FIRST_FRAME;
        has(copy, 0, &header)
            && self.places.iter().all(|place| {
                let between = copy.get(end.min(copy.len())..place.offset.min(copy.len()));
                end = place.range().end;
                between.is_some_and(|between| first_written(between, 0).is_none())
                    && place.bytes(copies).is_some_and(|bytes| has(copy, place.offset, bytes))
            })
            && first_written(copy, end).is_none()
    }
}

/// The header of file `number` whose first entry follows `chain`.
pub(super) fn header(store: &[u8; 16], number: u32, chain: Chain) -> LedgerHeader {
    LedgerHeader { store: *store, number, first_position: chain.position, previous: chain.hash }
}

/// The first of `offset`, `offset + 8` .. where `bytes` has anything but zeros.
pub(super) fn first_written(bytes: &[u8], offset: usize) -> Option<usize> {
    static ZEROS: [u8; FIRST_FRAME] = [0; FIRST_FRAME];
    let rest = bytes.get(offset..)?;
    // Whole blocks of zeros are passed over at the speed of memory: most of a file is empty.
    let block =
        rest.chunks(ZEROS.len()).position(|block| ZEROS.get(..block.len()) != Some(block))?;
    let at = block * ZEROS.len();
    let word = rest.get(at..)?.chunks(FRAME_ALIGN).position(|word| word.iter().any(|b| *b != 0))?;
    Some(offset + at + word * FRAME_ALIGN)
}

/// Whether `copy`, behind which zeros stand, has `bytes` at `offset`.
pub(super) fn has(copy: &[u8], offset: usize, bytes: &[u8]) -> bool {
    let there = copy.get(offset..).unwrap_or_default();
    let (own, rest) = bytes.split_at(bytes.len().min(there.len()));
    there.get(..own.len()) == Some(own) && rest.iter().all(|byte| *byte == 0)
}

fn put(image: &mut [u8], offset: usize, bytes: &[u8]) {
    let end = offset.saturating_add(bytes.len());
    if let Some(room) = image.get_mut(offset..end) {
        room.copy_from_slice(bytes);
    }
}

/// Reads file `number` from both copies, of each what is there before the zeros. `start` is the
/// chain behind the files before it; `torn` is what the scan of those said. `each` is shown every
/// entry of a complete batch, in order.
pub(super) fn scan(
    store: &[u8; 16],
    copies: [&[u8]; 2],
    number: u32,
    start: Chain,
    torn: Option<u64>,
    each: &mut dyn FnMut(Frame),
) -> Scan {
    let mut scanner = Scanner {
        store,
        copies,
        batch: Vec::new(),
        next: start,
        out: Scan { start, places: Vec::new(), chain: start, torn, stop: None },
        each,
    };
    match scanner.check_headers(number).and_then(|()| scanner.walk()) {
        Ok(()) => {}
        Err(Stop(why)) => scanner.out.stop = Some(why),
    }
    scanner.out
}

/// Why the ledger cannot be read on.
struct Stop(String);

struct Scanner<'a> {
    store: &'a [u8; 16],
    copies: [&'a [u8]; 2],
    /// The entries of a batch that is not complete yet.
    batch: Vec<Frame>,
    /// The chain behind them.
    next: Chain,
    out: Scan,
    each: &'a mut dyn FnMut(Frame),
}

impl Scanner<'_> {
    /// A damaged header is rebuilt from the chain; one that is whole must not contradict it.
    fn check_headers(&self, number: u32) -> Result<(), Stop> {
        for copy in self.copies {
            let header = match LedgerHeader::decode(copy) {
                Ok(header) => header,
                Err(damage @ (Damage::Version(_) | Damage::Field(_))) => {
                    return Err(Stop(format!("its header was written by a newer build: {damage}")));
                }
                Err(Damage::Short | Damage::Magic | Damage::Checksum) => continue,
            };
            if header.store != *self.store {
                return Err(Stop("its header is that of another store".into()));
            }
            if header.number != number {
                continue;
            }
            // A file is begun only when everything before it is durable.
            if header.first_position > self.next.position {
                return Err(Stop(lost(self.next.position, header.first_position)));
            }
        }
        Ok(())
    }

    fn walk(&mut self) -> Result<(), Stop> {
        let mut offset = FIRST_FRAME;
        while let Some(frame) = self.find(offset)? {
            let Range { start: at, end: behind } = frame.place.range();
            offset = if self.take(frame)? { behind } else { at + FRAME_ALIGN };
        }
        if !self.batch.is_empty() {
            // A batch never goes on in the next file, so the rest of it is nowhere.
            self.out.torn.get_or_insert(self.next.position);
        }
        Ok(())
    }

    /// Takes the next frame into the batch; false when it is none of ours: an entry from before
    /// can only be a copy of one inside a payload, found while probing past damage.
    fn take(&mut self, frame: Frame) -> Result<bool, Stop> {
        let entry = &frame.entry;
        let gap = self.out.torn.unwrap_or(self.next.position);
        if entry.position < gap {
            return Ok(false);
        }
        if !Barrier::LedgerGap.test(entry.batch_start <= gap) {
            // Its batch was begun when the lost entry was durable: this is no torn last write.
            return Err(Stop(lost(gap, entry.batch_start)));
        }
        if self.out.torn.is_some() || entry.position > gap {
            self.out.torn = Some(gap);
            return Ok(true);
        }
        if !Barrier::LedgerChain.test(entry.previous == self.next.hash) {
            return Err(Stop(format!("entry {gap} does not follow the one before it")));
        }
        let batch_end = entry.batch_end();
        let start = self.batch.first().map_or(gap, |first| first.entry.position);
        let count = self.batch.first().map_or(entry.batch_count, |first| first.entry.batch_count);
        if entry.batch_start != start || entry.batch_count != count {
            return Err(Stop(format!("entry {gap} does not belong to the batch it is in")));
        }
        self.next = Chain { position: gap.saturating_add(1), hash: frame.hash };
        self.batch.push(frame);
        if self.next.position == batch_end {
            self.out.places.extend(self.batch.iter().map(|frame| frame.place));
            self.batch.drain(..).for_each(&mut *self.each);
            self.out.chain = self.next;
        }
        Ok(true)
    }

    /// The first frame at or behind `offset` that is whole in either copy.
    fn find(&self, offset: usize) -> Result<Option<Frame>, Stop> {
        let mut at = offset;
        while at < FILE_LEN {
            if let Some(frame) = self.frame(at)? {
                return Ok(Some(frame));
            }
            let Some(next) = self.next_written(at.saturating_add(FRAME_ALIGN)) else { break };
            at = next;
        }
        Ok(None)
    }

    /// The first aligned place from `offset` on where either copy is not zero.
    fn next_written(&self, offset: usize) -> Option<usize> {
        self.copies.iter().filter_map(|copy| first_written(copy, offset)).min()
    }

    /// The frame at `offset`, from the copy where it is whole.
    fn frame(&self, offset: usize) -> Result<Option<Frame>, Stop> {
        let a = match self.decode(0, offset) {
            // As it mostly is: the same bytes say the same, and are hashed once.
            Ok(frame) if self.is_in_both(&frame) => return Ok(Some(frame)),
            a => a,
        };
        match (a, self.decode(1, offset)) {
            // Its checksum is right: it is no torn write, and nobody here knows what it decides.
            (Err(damage @ (Damage::Version(_) | Damage::Field(_))), _)
            | (_, Err(damage @ (Damage::Version(_) | Damage::Field(_)))) => {
                Err(Stop(format!("the entry at byte {offset} is of a newer build: {damage}")))
            }
            (Ok(a), Ok(b)) if a.hash == b.hash => Ok(Some(a)),
            (Ok(a), Ok(b)) => self.choose(a, b).map(Some),
            (Ok(frame), Err(_)) | (Err(_), Ok(frame)) => Ok(Some(frame)),
            (Err(_), Err(_)) => Ok(None),
        }
    }

    fn decode(&self, copy: usize, offset: usize) -> Result<Frame, Damage> {
        let bytes = self.copies.get(copy).and_then(|copy| copy.get(offset..));
        let bytes = bytes.ok_or(Damage::Short)?;
        let (entry, len) = Entry::decode(bytes, self.store)?;
        let hash = Entry::hash(bytes.get(..len).ok_or(Damage::Short)?);
        Ok(Frame { place: Place { offset, len, source: copy }, entry, hash })
    }

    /// Whether both copies have the bytes of `frame` at its place.
    fn is_in_both(&self, frame: &Frame) -> bool {
        let [a, b] = self.copies.map(|copy| copy.get(frame.place.range()));
        a.is_some() && a == b
    }

    /// Both copies have a whole but different entry at the same place: a copy that had failed kept
    /// a write that was never finished, while the other went on. The one that goes on counts.
    fn choose(&self, a: Frame, b: Frame) -> Result<Frame, Stop> {
        match (self.continues(&a), self.continues(&b)) {
            (true, true) => {
                let position = self.next.position;
                Err(Stop(format!("the copies tell different histories from entry {position} on")))
            }
            (false, true) => Ok(b),
            (_, false) => Ok(a),
        }
    }

    /// Whether the batch that `frame` is the next entry of is whole in the frame's own copy.
    fn continues(&self, frame: &Frame) -> bool {
        let mut chain = self.next;
        let mut offset = frame.place.offset;
        while chain.position < frame.entry.batch_end() {
            let Ok(member) = self.decode(frame.place.source, offset) else { return false };
            let follows = member.entry.position == chain.position
                && Barrier::LedgerCopyChain.test(member.entry.previous == chain.hash)
                && member.entry.batch_start == frame.entry.batch_start;
            if !follows {
                return false;
            }
            chain = Chain { position: chain.position.saturating_add(1), hash: member.hash };
            offset += member.place.len;
        }
        true
    }
}

/// Entry `position` is gone though entry `later`, made after it was durable, is there.
fn lost(position: u64, later: u64) -> String {
    format!("entry {position} is lost or damaged in both copies, yet entry {later} follows it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::arbitrary::STORE;
    use crate::format::entry::Decision;
    use crate::types::{HoldId, SegmentId, Timestamp};

    /// File 0 of a ledger with these decisions, up to where the last of them ends.
    fn file(decisions: impl IntoIterator<Item = Decision>) -> Vec<u8> {
        let mut bytes = header(&STORE, 0, Chain::default()).encode();
        let mut previous = [0; 32];
        for (position, decision) in (0..).zip(decisions) {
            let at = Timestamp::EPOCH;
            let (batch_start, batch_count) = (position, 1);
            let entry = Entry { position, batch_start, batch_count, at, previous, decision };
            let encoded = entry.encode(&STORE);
            previous = Entry::hash(&encoded);
            bytes.extend(encoded);
        }
        bytes
    }

    #[test]
    fn a_copy_that_ends_before_the_zeros_of_its_last_entry_is_whole() {
        let ended = (0..511).map(|hold| Decision::HoldEnded { hold: HoldId(hold) });
        let durable = Decision::SegmentDurable { segment: SegmentId(1), durable_bytes: 5 };
        let a = file(ended.chain([durable]));
        let cut = a.len() - 8;
        assert!(cut.is_multiple_of(FIRST_FRAME), "its last block has zeros alone");
        let mut b = a[..cut].to_vec();
        let is_image = |b: &[u8]| {
            let copies = [&a[..], b];
            let scan = scan(&STORE, copies, 0, Chain::default(), None, &mut drop);
            assert_eq!((scan.places.len(), scan.tail()), (512, a.len()));
            let bytes = [0, 1].map(|of| scan.is_image(copies, of, &STORE, 0));
            let image = scan.image(copies, &STORE, 0);
            assert_eq!(image[..a.len()], a);
            bytes
        };
        assert_eq!(is_image(&b), [true, true]);
        assert_eq!(is_image(&b[..cut - 8]), [true, false], "there it says something");
        b[cut - 20] ^= 1;
        assert_eq!(is_image(&b), [true, false]);
        b[cut - 20] ^= 1;
        b.extend([0; 16]);
        b[cut + 12] = 1;
        assert_eq!(is_image(&b), [true, false], "something stands behind it");
    }
}
