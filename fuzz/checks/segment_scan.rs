//! The scan of a segment that was open when the machine stopped: a writer's records, then damage.
//!
//! Asserts against what the check knows it wrote: no header or tail is found that was not written
//! for its block, however a payload looks; every record of which header or tail is whole is found,
//! whatever lies before it; what was acknowledged counts; what a power cut tore does not; and
//! scanning twice says the same.
//!
//! The damage never takes its bytes from the input: a fuzzer sees both sides of a comparison and
//! would put in the right CRC, which nobody can who does not know the salt.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::choices::Choices;
use super::{BLOCK_LEN, KEY, index, put};
use crate::format::footer::Footer;
use crate::format::record::{RecordEnds, RecordHeader, chunk_crcs};
use crate::format::{BLOCK_BYTES, SegmentKey};
use crate::log::{Known, Scan, scan};
use crate::types::{CameraId, ClassId, ClipId, SegmentId, Timestamp};
use crate::vfs::{Map, VfsFile};

const CLIPS: u32 = 4;
const BLOCKS_MAX: u32 = 96;

/// Input: what a writer does, step by step, until a step that stops it; then damage to the end.
pub fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut writer = Writer::new(8 + choices.below(BLOCKS_MAX - 8));
    while !choices.is_empty() && writer.step(&mut choices) {}
    let known = writer.known(&mut choices);
    let mut image = writer.image.clone();
    while !choices.is_empty() {
        image.damage(&mut choices);
    }
    let first = Model { placed: &writer.placed, image: &image, known };
    let found = first.scan();
    first.check(&found);
    // Opening wipes what does not count and puts on record how far it was durable.
    let mut wiped = image.clone();
    for torn in &found.torn {
        for block in [torn.block, torn.last_block] {
            let start = index(block) * BLOCK_LEN;
            wiped.bytes[start..start + BLOCK_LEN].fill(0);
        }
    }
    let durable_bytes = u64::from(first.witnessed()) * BLOCK_BYTES;
    let second = Model { image: &wiped, known: Known { durable_bytes, ..known }, ..first };
    let again = second.scan();
    assert!(again.torn.is_empty(), "what was wiped is found again");
    assert_eq!(again.draft.footer(), found.draft.footer(), "scanning again finds something else");
}

/// A record that was written.
struct Placed {
    block: u32,
    header: RecordHeader,
    ends: RecordEnds,
    payload: Vec<u8>,
}

impl Placed {
    fn head_range(&self) -> Range<usize> {
        let start = index(self.block) * BLOCK_LEN;
        start..start + self.ends.head().len()
    }

    fn payload_range(&self) -> Range<usize> {
        let start = self.head_range().end;
        start..start + self.payload.len()
    }

    fn tail_range(&self) -> Range<usize> {
        let end = index(self.end()) * BLOCK_LEN;
        end - self.ends.tail().len()..end
    }

    /// The block that `range` is in.
    fn block_around(range: &Range<usize>) -> Range<usize> {
        let start = range.start / BLOCK_LEN * BLOCK_LEN;
        start..start + BLOCK_LEN
    }

    fn end(&self) -> u32 {
        self.block + self.header.blocks()
    }
}

/// Writes as an appender does, into an image.
struct Writer {
    image: Image,
    placed: Vec<Placed>,
    /// Next sequence, next offset and last place of each clip.
    clips: BTreeMap<u32, (u32, u64, u32)>,
    next_block: u32,
    durable_block: u32,
}

impl Writer {
    fn new(blocks: u32) -> Self {
        let image = Image { bytes: vec![0; index(blocks) * BLOCK_LEN], bad: Vec::new() };
        let clips = BTreeMap::new();
        Self { image, placed: Vec::new(), clips, next_block: 1, durable_block: 1 }
    }

    /// One step; false when the writer stops.
    fn step(&mut self, choices: &mut Choices<'_>) -> bool {
        match choices.below(8) {
            0..=3 => self.record(choices),
            4 => self.durable_block = self.next_block,
            // Room that a group took which never reached the disk.
            5 => self.next_block = (self.next_block + choices.below(4)).min(self.blocks() - 1),
            6 => self.stale(choices),
            _ => return false,
        }
        true
    }

    fn blocks(&self) -> u32 {
        u32::try_from(self.image.bytes.len() / BLOCK_LEN).unwrap()
    }

    fn record(&mut self, choices: &mut Choices<'_>) {
        let clip = choices.below(CLIPS);
        let how = choices.u8();
        let payload_bytes = choices.u16() % 9000;
        let (sequence, clip_offset, before) = self.clips.get(&clip).copied().unwrap_or_default();
        // The last of the clips began in another segment.
        let (home, sequence, clip_offset) = match (clip, sequence) {
            (3, 0) => (SegmentId(9), 5, 70_000),
            (3, _) => (SegmentId(9), sequence, clip_offset),
            _ => (KEY.segment, sequence, clip_offset),
        };
        let seconds = i64::from(sequence);
        let header = RecordHeader {
            clip: ClipId::new(home, clip),
            camera: CameraId::new(if clip == 0 { "door" } else { "yard" }).unwrap(),
            class: ClassId(3),
            first: sequence == 0,
            last: how & 1 != 0,
            continued: how & 3 == 2,
            media: 1,
            sequence,
            clip_offset,
            payload_bytes: u32::from(payload_bytes),
            start: Timestamp::from_micros(seconds * 1_000_000),
            end: Timestamp::from_micros((seconds + 1) * 1_000_000),
            received: Timestamp::from_micros(i64::from(self.next_block)),
            uncertainty_us: 0,
            previous: (before > 0).then_some((KEY.segment, before)),
            digest: [how; 32],
            durable_block: self.durable_block,
        };
        let block = self.next_block;
        if block + header.blocks() + 1 > self.blocks() {
            return;
        }
        let payload = payload(&header, usize::from(payload_bytes), how, block);
        let ends = header.ends(&chunk_crcs(&payload), &KEY, block);
        self.clips.insert(clip, (sequence + 1, clip_offset + u64::from(payload_bytes), block));
        let placed = Placed { block, header, ends, payload };
        put(&mut self.image.bytes, placed.head_range().start, placed.ends.head());
        put(&mut self.image.bytes, placed.payload_range().start, &placed.payload);
        put(&mut self.image.bytes, placed.tail_range().start, placed.ends.tail());
        self.next_block = placed.end();
        self.placed.push(placed);
    }

    /// What an earlier use of the file left behind.
    fn stale(&mut self, choices: &mut Choices<'_>) {
        let Some(last) = self.placed.last() else { return };
        let block = self.next_block;
        if block + 2 > self.blocks() {
            return;
        }
        let header = RecordHeader { payload_bytes: 0, durable_block: block, ..last.header.clone() };
        let old = forged(&header, choices.u8(), block);
        let end = index(block + 1) * BLOCK_LEN;
        put(&mut self.image.bytes, index(block) * BLOCK_LEN, old.head());
        put(&mut self.image.bytes, end - old.tail().len(), old.tail());
        self.next_block += 1;
    }

    /// What the ledger knows of the segment.
    fn known(&self, choices: &mut Choices<'_>) -> Known {
        let how = choices.u8();
        let durable_bytes = u64::from(self.durable_block) * BLOCK_BYTES;
        let failed = self.durable_block + choices.below(self.next_block - self.durable_block + 1);
        Known {
            durable_bytes: if how & 1 == 0 { 0 } else { durable_bytes },
            failed_at: (how & 2 != 0).then_some(u64::from(failed) * BLOCK_BYTES),
        }
    }
}

/// `len` bytes that look like footage, or like records of this very segment where blocks begin:
/// what a camera could send that knows everything but the salt, or read a record of elsewhere.
fn payload(header: &RecordHeader, len: usize, how: u8, block: u32) -> Vec<u8> {
    let mut bytes = junk(u64::from(how), len);
    let header_bytes = header.header_bytes();
    if how & 2 != 0 {
        let mut at = BLOCK_LEN - header_bytes.min(BLOCK_LEN);
        let mut inner = block + 1;
        while at < len {
            let forged_header = RecordHeader { durable_block: inner, ..header.clone() };
            let ends = forged(&forged_header, how, inner);
            put(&mut bytes, at - ends.tail().len(), ends.tail());
            put(&mut bytes, at, ends.head());
            (at, inner) = (at + BLOCK_LEN, inner + 1);
        }
    }
    bytes
}

/// A header that is right but for the salt, the segment, the store or the block.
fn forged(header: &RecordHeader, how: u8, block: u32) -> RecordEnds {
    let crcs = vec![0; header.payload_bytes.div_ceil(65_536).try_into().unwrap()];
    let (key, at) = match how >> 2 & 3 {
        0 => (SegmentKey { salt: [how; 16], ..KEY }, block),
        1 => (SegmentKey { segment: SegmentId(KEY.segment.0 + 1), ..KEY }, block),
        2 => (SegmentKey { store: [how; 16], ..KEY }, block),
        // Of a block that no stray write can bring it to: there it would be right.
        _ => (KEY, block + BLOCKS_MAX),
    };
    header.ends(&crcs, &key, at)
}

fn junk(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..len).map(|_| next()).collect()
}

/// The bytes of a segment on a disk that cannot read some of them.
#[derive(Clone, Debug)]
struct Image {
    bytes: Vec<u8>,
    /// Blocks that cannot be read.
    bad: Vec<Range<usize>>,
}

impl Image {
    fn damage(&mut self, choices: &mut Choices<'_>) {
        let blocks = u32::try_from(self.bytes.len() / BLOCK_LEN).unwrap();
        let (how, block) = (choices.below(5), choices.below(blocks));
        let at = index(block) * BLOCK_LEN + usize::from(choices.u16()) % BLOCK_LEN;
        let end = (at + 1 + usize::from(choices.u16())).min(self.bytes.len());
        match how {
            0 => self.bytes[at] ^= choices.u8().max(1),
            1 => self.bytes[at..end].fill(0),
            2 => {
                let junk = junk(u64::from(choices.u8()), end - at);
                put(&mut self.bytes, at, &junk);
            }
            3 => {
                let end = end.next_multiple_of(BLOCK_LEN).min(self.bytes.len());
                self.bad.push(index(block) * BLOCK_LEN..end);
            }
            // A write that went astray.
            _ => {
                let from = index(choices.below(blocks)) * BLOCK_LEN;
                let to = index(block) * BLOCK_LEN;
                self.bytes.copy_within(from..from + BLOCK_LEN, to);
            }
        }
    }

    /// Whether `range` reads as `bytes`.
    fn has(&self, range: &Range<usize>, bytes: &[u8]) -> bool {
        self.is_readable(range) && self.bytes[range.clone()] == *bytes
    }

    fn is_readable(&self, range: &Range<usize>) -> bool {
        self.bad.iter().all(|bad| range.end <= bad.start || bad.end <= range.start)
    }
}

/// What must be found in the image, known from what was written.
#[derive(Clone, Copy)]
struct Model<'a> {
    placed: &'a [Placed],
    image: &'a Image,
    known: Known,
}

impl<'a> Model<'a> {
    fn scan(&self) -> Scan {
        let len = u64::try_from(self.image.bytes.len()).unwrap();
        scan(self.image, &KEY, len, self.known).unwrap()
    }

    /// Records of which header or tail can be read.
    fn found(&self) -> impl Iterator<Item = &'a Placed> {
        self.placed.iter().filter(|placed| self.has_head(placed) || self.has_tail(placed))
    }

    fn has_head(&self, placed: &Placed) -> bool {
        self.can_read(&placed.head_range(), placed.ends.head())
    }

    fn has_tail(&self, placed: &Placed) -> bool {
        self.can_read(&placed.tail_range(), placed.ends.tail())
    }

    /// Whether a scan reads `bytes` in `range`; a block is read as a whole or not at all.
    fn can_read(&self, range: &Range<usize>, bytes: &[u8]) -> bool {
        self.image.is_readable(&Placed::block_around(range)) && self.image.has(range, bytes)
    }

    /// The block below which everything was acknowledged, as far as can still be told.
    fn witnessed(&self) -> u32 {
        let by_records = self.found().map(|found| found.header.durable_block).max().unwrap_or(0);
        by_records.max(u32::try_from(self.known.durable_bytes / BLOCK_BYTES).unwrap())
    }

    /// Whether a scan takes it although it was not acknowledged. A record without a payload whose
    /// header is gone may be a torn write.
    fn is_whole(&self, placed: &Placed) -> bool {
        self.image.is_readable(&(placed.head_range().start..placed.tail_range().end))
            && self.image.has(&placed.payload_range(), &placed.payload)
            && self.has_tail(placed)
            && (self.has_head(placed) || !placed.payload.is_empty())
    }

    fn check(&self, scan: &Scan) {
        let footer = scan.draft.footer();
        assert_eq!(Footer::decode(&footer.encode(&KEY), &KEY).as_ref(), Ok(&footer));
        let counted: BTreeSet<u32> = footer.records.iter().map(|record| record.block).collect();
        let torn: BTreeSet<u32> = scan.torn.iter().map(|torn| torn.block).collect();
        assert!(counted.is_disjoint(&torn));
        let found: BTreeSet<u32> = self.found().map(|found| found.block).collect();
        let all: BTreeSet<u32> = counted.union(&torn).copied().collect();
        assert_eq!(all, found, "other records are found than were written and are readable");
        let by_tail = self.found().filter(|p| counts_in(p, &counted) && !self.has_head(p));
        assert_eq!(scan.mended.len(), by_tail.count(), "damaged headers are told");
        self.check_each(&counted);
        self.check_end(scan, &counted);
    }

    /// Which of the found ones count.
    fn check_each(&self, counted: &BTreeSet<u32>) {
        let (witnessed, limit) = (self.witnessed(), self.known.failed_at.unwrap_or(u64::MAX));
        let readable: BTreeSet<u32> = self.found().map(|found| found.block).collect();
        for record in self.found() {
            let (block, clip) = (record.block, record.header.clip);
            let (acknowledged, whole) = (block < witnessed, self.is_whole(record));
            let written = u64::from(block) * BLOCK_BYTES < limit;
            let counts = counted.contains(&block);
            assert!(!acknowledged || !written || counts, "block {block} was acknowledged");
            assert!(acknowledged || whole || !counts, "block {block} is torn and counts");
            assert!(written || !counts, "block {block} lies behind a failed write");
            let before = || self.placed.iter().filter(|p| p.header.clip == clip && p.block < block);
            let sound = |p: &Placed| readable.contains(&p.block) && self.is_whole(p);
            let undamaged = whole && before().all(sound);
            assert!(!undamaged || !written || counts, "block {block} is whole and lost");
            let follows_torn =
                before().any(|p| readable.contains(&p.block) && !counts_in(p, counted));
            assert!(!follows_torn || !counts, "block {block} follows a torn record of its clip");
        }
    }

    fn check_end(&self, scan: &Scan, counted: &BTreeSet<u32>) {
        let ends = self.placed.iter().filter(|p| counts_in(p, counted)).map(Placed::end);
        assert!(scan.end_block >= ends.max().unwrap_or(1), "the next record would overwrite one");
        let witnessed = self.witnessed();
        assert!(scan.end_block >= witnessed, "what was acknowledged would be overwritten");
        let readable: BTreeSet<u32> = self.found().map(|found| found.block).collect();
        let lost = |p: &&Placed| p.block < witnessed && !readable.contains(&p.block);
        if let Some(lost) = self.placed.iter().find(lost) {
            assert!(!scan.problems.is_empty(), "block {} is lost and nobody says so", lost.block);
        }
    }
}

fn counts_in(placed: &Placed, counted: &BTreeSet<u32>) -> bool {
    counted.contains(&placed.block)
}

impl VfsFile for Image {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let start = index(offset);
        let range = start..start.saturating_add(buf.len());
        let bytes = self.bytes.get(range.clone()).ok_or(io::ErrorKind::UnexpectedEof)?;
        if !self.is_readable(&range) {
            return Err(io::Error::other("bad sector"));
        }
        buf.copy_from_slice(bytes);
        Ok(())
    }

    fn write_at(&self, _offset: u64, _bufs: &[&[u8]]) -> io::Result<()> {
        panic!("a scan writes")
    }

    fn sync(&self) -> io::Result<()> {
        panic!("a scan syncs")
    }

    fn len(&self) -> io::Result<u64> {
        Ok(u64::try_from(self.bytes.len()).unwrap())
    }

    fn allocated(&self) -> io::Result<u64> {
        self.len()
    }

    fn punch(&self, _range: Range<u64>) -> io::Result<()> {
        panic!("a scan punches")
    }

    fn zero(&self, _range: Range<u64>) -> io::Result<()> {
        panic!("a scan zeroes")
    }

    fn truncate(&self, _len: u64) -> io::Result<()> {
        panic!("a scan truncates")
    }

    fn map(&self, _len: u64) -> io::Result<Arc<dyn Map>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn drop_cache(&self, _range: Range<u64>) {}
}
