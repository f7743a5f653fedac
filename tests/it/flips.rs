//! One flipped bit anywhere in any file of a store: what it may cost, and that it is told.
//!
//! A store with every kind of file (STORE, both ledger copies, sealed segments, a partition of the
//! index over them, a segment of held clips that were moved, an open one, what is in reserve) is
//! closed; then one bit is flipped, and the store is opened on a disk of its own. Whatever bit it
//! was, no wrong byte is handed out, no hold is lost, nothing is deleted, and at most one chunk of
//! one clip cannot be read, which the error names.
//!
//! What a byte is follows from the structure that it stands in, whatever its value: the zeros of a
//! header are as much under its checksum as its magic. Bits are taken at even distances over
//! everything that was ever written, and two in each chunk of footage. `CLIPKEEP_FLIPS=23` takes a
//! bit of one byte in 23 of what is no footage, zeros and padding like the rest, and
//! `CLIPKEEP_FLIPS=all` one of every byte.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use clipkeep::vfs::sim::SimVfs;
use clipkeep::{
    Clip, ClipId, ErrorKind, Fault, HoldId, ManualClock, NewClip, Store, StoreOptions, VerifyDepth,
};

use crate::store_kit::{DAY, TestStore, at, camera, minutes, noise};

const BLOCK: usize = 4096;
const CHUNK: usize = 64 << 10;
const RECORD: usize = 1 << 20;
const FRAGMENT: usize = 80_000;
/// Of what is no footage, one byte in so many is tried, and of its zeros one in so many.
const STRIDE: usize = 23;
const ZERO_STRIDE: usize = 149;

/// A closed store with files of every kind.
struct Closed {
    disk: SimVfs,
    clock: ManualClock,
    options: StoreOptions,
    clips: BTreeMap<ClipId, (Clip, Vec<u8>)>,
    holds: Vec<HoldId>,
}

/// What a flipped bit hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// The chunk that begins at this byte of a clip.
    Footage(ClipId, usize),
    /// The header of a record in an open segment: its tail has it again.
    OpenHeader,
    /// What describes a segment: headers, footers, trailers.
    Segment,
    Ledger,
    /// Derived: whoever finds it damaged reads elsewhere.
    Index,
    Store,
    /// Behind the payload of a record, up to the next block: it proves nothing and nobody reads it.
    Padding,
    /// Never written, or read by nobody: the room behind what was written, the reserve, and the
    /// second header of an open segment, which counts only where the first is damaged.
    Unused,
}

/// What cannot be read any more.
#[derive(Debug, Default, PartialEq, Eq)]
struct Lost {
    /// Chunks, by the byte of their clip at which they begin.
    chunks: Vec<(ClipId, usize)>,
    /// Clips of which nothing is found.
    unlisted: Vec<ClipId>,
    /// Clips that are shown with another length or window.
    changed: Vec<ClipId>,
}

fn closed() -> Closed {
    let t = TestStore::new();
    let mut clips = BTreeMap::new();
    let mut add = |t: &TestStore, name: &str, minute: u32, len: usize| {
        let bytes = noise(u64::from(minute) + 1, len);
        let new = NewClip::new(&camera(name), minutes(minute, minute + 1));
        let clip = t.store.append(new, bytes.clone()).unwrap();
        clips.insert(clip.id(), (clip, bytes));
    };
    add(&t, "door", 10, 200_000);
    let gone = t.sealed_clip("yard", 11, "gone");
    let held = t.keep("door", minutes(10, 11));
    t.pass(11 * DAY);
    t.sweep();
    t.assert_gone(&gone);
    add(&t, "door", 20, 1_300_000);
    add(&t, "yard", 21, 70_000);
    add(&t, "door", 22, 900);
    t.store.seal().unwrap();
    for minute in 23..26 {
        add(&t, "door", minute, 900);
        t.store.seal().unwrap();
    }
    add(&t, "yard", 30, 150_000);
    add(&t, "yard", 32, 66_000);
    let mut recorder = t.store.record(NewClip::starting(&camera("door"), at(31))).unwrap();
    let bytes = noise(99, 3 * FRAGMENT);
    for fragment in bytes.chunks(FRAGMENT) {
        recorder.write(fragment.to_vec(), Duration::from_secs(2)).unwrap();
    }
    let clip = recorder.finish().unwrap();
    clips.insert(clip.id(), (clip, bytes));
    let also = t.keep("yard", minutes(32, 33));
    let TestStore { disk, clock, options, store } = t;
    drop(store);
    Closed { disk, clock, options, clips, holds: vec![held, also] }
}

impl Closed {
    /// Every byte of `path` that may be flipped, by what it hits.
    fn kinds(&self, path: &str) -> BTreeMap<Kind, Vec<usize>> {
        let file = self.disk.contents(path).unwrap();
        let of = match path.split('/').next() {
            Some("segments") => self.kinds_of_segment(&file),
            Some("ledger") => kinds_of_ledger(&file),
            // Every byte of these is under a checksum.
            Some("index") => vec![Kind::Index; file.len()],
            Some("STORE") => vec![Kind::Store; file.len()],
            _ => vec![Kind::Unused; file.len()],
        };
        let mut kinds: BTreeMap<Kind, Vec<usize>> = BTreeMap::new();
        for (offset, kind) in of.into_iter().enumerate() {
            kinds.entry(kind).or_default().push(offset);
        }
        kinds
    }

    /// What the bytes of a segment are: its header, its records, its footer and trailer.
    fn kinds_of_segment(&self, file: &[u8]) -> Vec<Kind> {
        let mut of = vec![Kind::Unused; file.len()];
        of[..BLOCK].fill(Kind::Segment);
        let trailer = &file[file.len() - BLOCK..];
        let sealed = trailer.starts_with(b"CLIPEND\0");
        let mut end = file.len() - BLOCK;
        if sealed {
            of[end..].fill(Kind::Segment);
            let (offset, bytes) = (number(trailer, 16, 8), number(trailer, 24, 8));
            of[offset..offset + bytes].fill(Kind::Segment);
            end = offset;
        } else {
            assert_eq!(*trailer, file[..BLOCK], "the header stands twice until it is sealed");
        }
        let mut at = BLOCK;
        while at < end && file[at..].starts_with(b"CLPR") {
            let payload = at + number(&file[at..], 8, 2);
            let behind = payload + number(&file[at..], 28, 4);
            let next = behind.next_multiple_of(BLOCK);
            of[at..payload].fill(Kind::Segment);
            of[behind..next].fill(Kind::Padding);
            at = next;
        }
        for (id, start, payload) in self.records_in(file) {
            if !sealed {
                let header = payload.start - payload.start % BLOCK..payload.start;
                of[header].fill(Kind::OpenHeader);
            }
            for at in payload.clone().step_by(CHUNK) {
                let chunk = Kind::Footage(id, start + at - payload.start);
                of[at..payload.end.min(at + CHUNK)].fill(chunk);
            }
        }
        assert!(is_blank(file, &of, at..end), "records are left out behind byte {at}");
        of
    }

    /// The records in a segment's file: whose, from which byte of the clip on, and where the
    /// payload is. A recording of fragments has a record for each.
    fn records_in(&self, file: &[u8]) -> Vec<(ClipId, usize, Range<usize>)> {
        let mut records = Vec::new();
        for (id, (clip, bytes)) in &self.clips {
            let each = record_bytes(clip);
            for (number, payload) in bytes.chunks(each).enumerate() {
                let needle = &payload[..64];
                let blocks = (0..file.len()).step_by(BLOCK);
                // A payload begins behind a header, somewhere in the first block of its record.
                let found = blocks.filter_map(|at| {
                    let block = &file[at..file.len().min(at + BLOCK + needle.len())];
                    let within = block.windows(needle.len()).position(|here| here == needle)?;
                    (within < BLOCK).then_some(at + within)
                });
                let found = found.map(|at| (*id, number * each, at..at + payload.len()));
                records.extend(found);
            }
        }
        records
    }

    /// The bytes to try of one kind in `file`.
    fn picked(kind: Kind, offsets: &[usize], file: &[u8]) -> Vec<usize> {
        match (kind, stride_asked_for()) {
            (Kind::Footage(..), _) => vec![offsets[0], offsets[offsets.len() * 2 / 3]],
            // Its ends and some between.
            (Kind::Unused, _) | (Kind::Padding, None) => {
                offsets.iter().copied().step_by(offsets.len() / 5 + 1).collect()
            }
            (_, Some(stride)) => offsets.iter().copied().step_by(stride).collect(),
            (_, None) => {
                let (zeros, others): (Vec<usize>, Vec<usize>) =
                    offsets.iter().partition(|at| file[**at] == 0);
                let zeros = zeros.into_iter().step_by(ZERO_STRIDE);
                others.into_iter().step_by(STRIDE).chain(zeros).collect()
            }
        }
    }

    /// Opens the store on a disk of its own with one bit flipped.
    fn flipped(&self, path: &str, offset: usize) -> TestStore {
        let disk = self.disk.fork(1);
        disk.corrupt(path, u64::try_from(offset).unwrap(), 1 << (offset % 8));
        // Without maps: each is a copy of the whole file here.
        let options = self.options.clone().vfs(disk.clone()).lease_segments_max(0);
        let store = options.clone().open("store").unwrap();
        TestStore { disk, clock: self.clock.clone(), options, store }
    }

    /// What of the clips cannot be read. What can be read is right.
    fn lost(&self, store: &Store) -> Lost {
        let mut lost = Lost::default();
        for (id, (clip, bytes)) in &self.clips {
            let Ok(reader) = store.read(*id) else {
                lost.unlisted.push(*id);
                continue;
            };
            let (len, window) = (reader.clip().len(), reader.clip().window());
            if (len, window) != (clip.len(), clip.window()) {
                lost.changed.push(*id);
            }
            let starts = chunk_starts(clip);
            let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
            for (start, end) in starts.iter().zip(ends) {
                let mut chunk = vec![0; end - start];
                match reader.read_at(u64::try_from(*start).unwrap(), &mut chunk) {
                    Ok(()) => assert!(chunk == bytes[*start..end], "clip {id}: wrong at {start}"),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Corrupt, "clip {id}: {error}");
                        lost.chunks.push((*id, *start));
                    }
                }
            }
        }
        lost
    }

    /// Flips one bit and judges what becomes of the store.
    fn judge(&self, path: &str, offset: usize, kind: Kind) {
        let t = self.flipped(path, offset);
        assert_eq!(t.store.opening().deletion_frozen, None);
        let lost = self.lost(&t.store);
        for hold in &self.holds {
            assert!(t.store.hold(*hold).unwrap().protects(), "hold {hold} ended");
        }
        let opening = t.store.opening();
        let faults = t.store.verify(VerifyDepth::Bytes, &mut |_| ()).unwrap().faults;
        let told = opening.problems.len() + opening.repairs.len() + faults.len();
        match kind {
            Kind::Footage(id, chunk) => {
                assert_eq!(lost, Lost { chunks: vec![(id, chunk)], ..Lost::default() });
                let named = |fault: &&Fault| {
                    fault.clip == Some(id)
                        && fault.error.path().is_some()
                        && fault.error.offset().is_some()
                };
                assert!(faults.iter().any(|fault| named(&fault)), "not named: {faults:?}");
            }
            Kind::OpenHeader => {
                assert_eq!(lost, Lost::default());
                assert!(!opening.problems.is_empty(), "opening does not tell");
            }
            Kind::Index => {
                assert_eq!(lost, Lost::default());
                let clips = |name| t.store.clips(&camera(name), minutes(0, 2880)).unwrap().count();
                assert_eq!(clips("door") + clips("yard"), self.clips.len(), "not all are listed");
            }
            _ => {
                assert_eq!(lost, Lost::default());
                // A lost slot of STORE is what a power cut leaves: it is written again, unsaid.
                let silent = matches!(kind, Kind::Padding | Kind::Unused | Kind::Store);
                assert!(told > 0 || silent, "nobody is told");
            }
        }
        self.goes_on(t, &lost);
    }

    /// The store goes on to record, and whatever was whole stays so.
    fn goes_on(&self, t: TestStore, lost: &Lost) {
        let new = t.clip("door", 700, "new");
        t.sweep_as_far_as_it_goes();
        let t = t.reopen();
        assert!(t.reads_as(&new, "new"));
        assert_eq!(self.lost(&t.store), *lost, "more is lost later");
        assert_eq!(t.store.opening().deletion_frozen, None);
    }
}

/// `CLIPKEEP_FLIPS`: a number, or `all`.
fn stride_asked_for() -> Option<usize> {
    let asked = std::env::var("CLIPKEEP_FLIPS").ok()?;
    let stride = if asked == "all" { 1 } else { asked.parse().expect("a number, or all") };
    Some(stride)
}

/// What the bytes of a ledger file are: its header, and one entry behind the other.
fn kinds_of_ledger(file: &[u8]) -> Vec<Kind> {
    let mut of = vec![Kind::Unused; file.len()];
    let mut at = if file.starts_with(b"CLIPLED\0") { BLOCK } else { 0 };
    while file[at..].starts_with(b"CLPE") {
        at += (80 + number(&file[at..], 60, 4)).next_multiple_of(8);
    }
    of[..at].fill(Kind::Ledger);
    assert!(is_blank(file, &of, at..file.len()), "entries are left out behind byte {at}");
    of
}

/// The number in `len` bytes at `at`.
fn number(bytes: &[u8], at: usize, len: usize) -> usize {
    let mut wide = [0; 8];
    wide[..len].copy_from_slice(&bytes[at..at + len]);
    usize::try_from(u64::from_le_bytes(wide)).unwrap()
}

/// Whether there is nothing in `range` but zeros that nobody wrote.
fn is_blank(file: &[u8], of: &[Kind], range: Range<usize>) -> bool {
    range.into_iter().all(|at| file[at] == 0 && of[at] == Kind::Unused)
}

/// A recording has a record for each fragment; what comes at once has one for each MiB.
fn record_bytes(clip: &Clip) -> usize {
    if clip.fragments() > 2 { FRAGMENT } else { RECORD }
}

/// The bytes of a clip at which its chunks begin.
fn chunk_starts(clip: &Clip) -> BTreeSet<usize> {
    let len = usize::try_from(clip.len()).unwrap();
    let records = (0..len).step_by(record_bytes(clip));
    let chunks = |start: usize| (start..len.min(start + record_bytes(clip))).step_by(CHUNK);
    records.flat_map(chunks).collect()
}

impl TestStore {
    /// A sweep that may tell of damage.
    fn sweep_as_far_as_it_goes(&self) {
        drop(self.store.sweep().unwrap());
    }
}

#[test]
fn a_flipped_bit_anywhere_costs_one_chunk_of_one_clip_at_most() {
    let closed = closed();
    let mut tried: BTreeMap<&str, u32> = BTreeMap::new();
    let mut bad = Vec::new();
    for path in closed.disk.files() {
        let file = closed.disk.contents(&path).unwrap();
        for (kind, offsets) in closed.kinds(&path) {
            for offset in Closed::picked(kind, &offsets, &file) {
                let judged = catch_unwind(AssertUnwindSafe(|| closed.judge(&path, offset, kind)));
                if judged.is_err() {
                    bad.push(format!("bit {} of byte {offset} of {path}: {kind:?}", offset % 8));
                }
                let name = match kind {
                    Kind::Footage(..) => "footage",
                    Kind::OpenHeader => "headers of open segments",
                    Kind::Segment => "segments",
                    Kind::Ledger => "ledger",
                    Kind::Index => "index",
                    Kind::Store => "STORE",
                    Kind::Padding => "padding",
                    Kind::Unused => "unused",
                };
                *tried.entry(name).or_default() += 1;
            }
        }
    }
    assert!(bad.is_empty(), "{} bits:\n{}", bad.len(), bad.join("\n"));
    assert_eq!(tried.len(), 8, "a kind of byte is missing: {tried:?}");
    crate::say::say(&format!("FLIPS bits flipped: {}, {tried:?}", tried.values().sum::<u32>()));
}
