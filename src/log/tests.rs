//! Segments on a simulated disk: what is found in them again, and by whom; and how an appender goes
//! from one to the next.

use std::sync::Arc;

use crate::format::record::{RecordHeader, chunk_crcs};
use crate::format::segment::SegmentHeader;
use crate::format::{BLOCK_BYTES, SegmentKey, name};
use crate::sync::Mutex;
use crate::types::{ClassId, ClipId, Error, ErrorKind, Result, SegmentId, Timestamp};
use crate::vfs::Vfs;
use crate::vfs::sim::SimVfs;

use super::{
    Appender, ClipSlot, FooterCache, Handles, Host, Leases, Leftover, Published, Reached, Segment,
    Submission, seal_segment,
};
use crate::format::segment::Trailer;

const STORE: [u8; 16] = [7; 16];
const SEGMENT_BYTES: u64 = 4 << 20;
const HOME: SegmentId = SegmentId(7);

/// One open segment and who writes to it.
struct Written {
    disk: SimVfs,
    segment: Arc<Segment>,
    next_block: u32,
    durable_block: u32,
    footers: FooterCache,
    leases: Arc<Leases>,
}

/// The name of the segment's file.
fn file_name() -> String {
    name::segment(ClassId(0), HOME)
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

/// `len` bytes of which no two chunks are alike.
fn footage(seed: u8, len: usize) -> Vec<u8> {
    let bytes = (0_u64..).map(|at| at.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()[7] ^ seed);
    bytes.take(len).collect()
}

impl Written {
    fn new() -> Self {
        let disk = SimVfs::new(1);
        let handles = Handles::new(Arc::new(disk.clone()), 1);
        Self::on(&disk, &handles, HOME)
    }

    fn on(disk: &SimVfs, handles: &Arc<Handles>, id: SegmentId) -> Self {
        let vfs = handles.vfs();
        let file_name = name::segment(ClassId(0), id);
        for dir in [name::SEGMENTS, name::SPARE] {
            vfs.create_dir(dir).unwrap();
        }
        let header = SegmentHeader {
            key: SegmentKey { store: STORE, segment: id, salt: [9; 16] },
            class: ClassId(0),
            segment_bytes: SEGMENT_BYTES,
            created: time(0),
            boot_id: [0; 16],
            since_boot_us: 0,
        };
        let file = vfs.create(&file_name, SEGMENT_BYTES).unwrap();
        file.write_at(0, &[&header.encode()]).unwrap();
        file.write_at(SEGMENT_BYTES - BLOCK_BYTES, &[&header.encode()]).unwrap();
        let segment = Segment::fresh(handles, file, header);
        let footers = FooterCache::new(1 << 20);
        let leases = Leases::new(Arc::from(vfs.lock(name::LOCK, false).unwrap()), 4, 4);
        Self { disk: disk.clone(), segment, next_block: 1, durable_block: 1, footers, leases }
    }

    /// Writes the record `sequence` of clip `ordinal`, all of them of `payload`'s length; answers
    /// its block.
    fn write(&mut self, ordinal: u32, sequence: u32, payload: &[u8]) -> u32 {
        let block = self.next_block;
        let header = RecordHeader {
            clip: ClipId::new(self.segment.id, ordinal),
            camera: "porch".parse().unwrap(),
            class: ClassId(0),
            first: sequence == 0,
            last: false,
            continued: false,
            media: 0,
            sequence,
            clip_offset: u64::from(sequence) * u64::try_from(payload.len()).unwrap(),
            payload_bytes: u32::try_from(payload.len()).unwrap(),
            start: time(i64::from(sequence)),
            end: time(i64::from(sequence) + 1),
            received: time(100),
            uncertainty_us: 0,
            previous: (sequence > 0).then_some((self.segment.id, 1)),
            digest: [0; 32],
            durable_block: self.durable_block,
        };
        let crcs = chunk_crcs(payload);
        let ends = header.ends(&crcs, &self.segment.header.key, block);
        let record = [ends.head(), payload, ends.padding(), ends.tail()];
        self.segment.file.write_at(u64::from(block) * BLOCK_BYTES, &record).unwrap();
        self.segment.with_draft(|draft| draft.add(&header, &crcs, block));
        self.next_block += header.blocks();
        block
    }

    fn seal(&self) {
        seal_segment(&self.segment, self.next_block, time(200)).unwrap();
    }
}

#[test]
fn a_segment_that_is_sealed_while_it_is_asked_still_answers() {
    for _ in 0..50 {
        let mut written = Written::new();
        written.write(0, 0, b"one");
        let clip = ClipId::new(HOME, 0);
        std::thread::scope(|scope| {
            let sealing = scope.spawn(|| written.seal());
            while !sealing.is_finished() {
                let found = written.segment.part_of(&written.footers, clip).unwrap();
                assert!(found.is_some(), "neither the draft nor the footer had it");
                assert_eq!(written.segment.parts(&written.footers).unwrap().len(), 1);
            }
        });
    }
}

#[test]
fn a_chunk_checked_through_the_draft_vouches_for_no_other() {
    let mut written = Written::new();
    let block = written.write(0, 0, &footage(1, 70_000));
    written.write(1, 0, &footage(2, 70_000));
    let (before, after) = (ClipId::new(HOME, 0), ClipId::new(HOME, 1));
    let in_draft = written.segment.part_of(&written.footers, after).unwrap().unwrap().1;
    written.seal();
    written.disk.corrupt(&file_name(), u64::from(block) * BLOCK_BYTES + 4_000, 1);
    let mapping = written.segment.mapping(&written.leases).unwrap();
    let lease = written.leases.lease(after);
    let record = in_draft.records[0];
    let crcs = in_draft.crcs_of(&record);
    written.segment.map_chunk(&mapping, &lease, &record, crcs, 0).unwrap();
    let in_footer = written.segment.part_of(&written.footers, before).unwrap().unwrap().1;
    let record = in_footer.records[0];
    let crcs = in_footer.crcs_of(&record);
    let damaged = written.segment.map_chunk(&mapping, &lease, &record, crcs, 0).unwrap_err();
    assert_eq!(damaged.kind(), ErrorKind::Corrupt);
}

#[test]
fn a_footer_that_became_unreadable_is_made_again_from_the_records() {
    let mut written = Written::new();
    for ordinal in 0..3 {
        written.write(ordinal, 0, &footage(4, 70_000));
        written.write(ordinal, 1, &footage(5, 70_000));
    }
    written.seal();
    let trailer = written.segment.trailer().unwrap();
    let before = written.segment.parts(&written.footers).unwrap();
    written.segment.forget_footer();
    let footer = trailer.footer_offset..trailer.footer_offset + trailer.footer_bytes;
    written.disk.bad_sector(&file_name(), footer);
    for _ in 0..2 {
        let after = written.segment.parts(&written.footers).unwrap();
        let parts = |found: &[super::FoundPart]| -> Vec<_> {
            found.iter().map(|found| (found.part.clone(), found.end_offset)).collect()
        };
        assert_eq!(parts(&after), parts(&before));
        written.segment.forget_footer();
    }
    let (_, part) =
        written.segment.part_of(&written.footers, before[2].part.clip).unwrap().unwrap();
    let record = part.records[1];
    let chunk = written.segment.read_chunk(&record, part.crcs_of(&record), 1).unwrap();
    assert_eq!(chunk[..], footage(5, 70_000)[65_536..]);
    assert_eq!(written.footers.problems().len(), 1, "it is told once");
}

#[test]
fn sealed_segments_share_a_bounded_number_of_open_files() {
    let disk = SimVfs::new(1);
    let mut segments: Vec<Written> = Vec::new();
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let handles = Handles::new(vfs, 2);
    for number in 1..=4 {
        let mut written = Written::on(&disk, &handles, SegmentId(number));
        written.write(0, 0, &footage(6, 70_000));
        written.seal();
        segments.push(written);
    }
    let open = |segments: &[Written]| segments.iter().filter(|of| of.segment.is_open()).count();
    assert_eq!(open(&segments), 2);
    for written in &segments {
        let clip = ClipId::new(written.segment.id, 0);
        let (_, part) = written.segment.part_of(&written.footers, clip).unwrap().unwrap();
        let record = part.records[0];
        written.segment.read_chunk(&record, part.crcs_of(&record), 0).unwrap();
        assert!(open(&segments) <= 2);
    }
}

#[test]
fn a_segment_whose_name_is_gone_is_read_on_by_those_who_have_it_open() {
    let disk = SimVfs::new(1);
    let handles = Handles::new(Arc::new(disk.clone()), 0);
    let mut written = Written::on(&disk, &handles, HOME);
    written.write(0, 0, &footage(6, 70_000));
    written.seal();
    let (_, part) =
        written.segment.part_of(&written.footers, ClipId::new(HOME, 0)).unwrap().unwrap();
    let record = part.records[0];
    let reader = written.segment.keep_open().unwrap();
    disk.remove(&written.segment.name()).unwrap();
    written.segment.read_chunk(&record, part.crcs_of(&record), 0).unwrap();
    drop(reader);
    let late = written.segment.keep_open().unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Expired);
}

/// A store around an appender, which notes whether the segments before were sealed when another one
/// was made.
struct Maker {
    disk: SimVfs,
    handles: Arc<Handles>,
    made: Mutex<Vec<Arc<Segment>>>,
    sealed_before: Mutex<Vec<bool>>,
    /// There is no room for another one until those before are sealed.
    is_full: bool,
}

impl Maker {
    fn new(is_full: bool) -> Self {
        let disk = SimVfs::new(1);
        let handles = Handles::new(Arc::new(disk.clone()), 4);
        Self { disk, handles, made: Mutex::default(), sealed_before: Mutex::default(), is_full }
    }
}

impl Host for Maker {
    fn new_segment(&self, _: ClassId) -> Result<Arc<Segment>> {
        let mut made = self.made.lock();
        let sealed = made.iter().all(|segment| segment.is_sealed());
        self.sealed_before.lock().push(sealed);
        if self.is_full && !sealed {
            return Err(Error::new(ErrorKind::Full, "no room"));
        }
        let id = SegmentId(u32::try_from(made.len() + 1).unwrap());
        let segment = Written::on(&self.disk, &self.handles, id).segment;
        made.push(Arc::clone(&segment));
        Ok(segment)
    }

    fn published(&self, _: &Arc<Segment>, _: &[Published]) {}

    fn sealed(&self, _: &Arc<Segment>, _: &Trailer) {}

    fn suspect(&self, segment: &Arc<Segment>, _: Reached, cause: &Error) {
        panic!("{}: {cause}", segment.id);
    }

    fn now(&self) -> Timestamp {
        time(200)
    }

    fn sealed_before(&self) -> Timestamp {
        Timestamp::MIN
    }
}

/// Writes a clip of a megabyte.
fn write_clip(appender: &Appender, host: &dyn Host, number: i64, sync: bool) {
    let slot = Arc::new(ClipSlot::default());
    let header = RecordHeader { last: true, ..header(number) };
    let (chunk_crcs, payload) = (Vec::new(), footage(7, 1_000_000).into());
    let mut record =
        Submission { slot: Arc::clone(&slot), header, chunk_crcs, payload, is_summed: false };
    record.take_sums(&mut blake3::Hasher::new());
    let ticket = appender.submit(vec![record], host, sync).unwrap();
    appender.commit(ticket, host, sync);
    slot.check().unwrap();
}

/// Writes as many clips as need two segments, one commit each; answers whether all segments before
/// were sealed whenever another one was made.
fn write_two_segments(host: &Maker, sync: bool) -> Vec<bool> {
    let appender = Appender::new(ClassId(0));
    (0..6).for_each(|number| write_clip(&appender, host, number, sync));
    let made = host.made.lock();
    assert_eq!(made.len(), 2);
    assert!(made[0].is_sealed() && !made[1].is_sealed(), "nobody waits for it for long");
    host.sealed_before.lock().clone()
}

/// The header of a clip's first record, of a megabyte.
fn header(number: i64) -> RecordHeader {
    RecordHeader {
        clip: ClipId::new(SegmentId(0), 0),
        camera: "porch".parse().unwrap(),
        class: ClassId(0),
        first: true,
        last: false,
        continued: false,
        media: 0,
        sequence: 0,
        clip_offset: 0,
        payload_bytes: 1_000_000,
        start: time(number),
        end: time(number + 1),
        received: time(100),
        uncertainty_us: 0,
        previous: None,
        digest: [0; 32],
        durable_block: 0,
    }
}

#[test]
fn nobody_waits_for_the_seal_of_a_full_segment() {
    assert_eq!(write_two_segments(&Maker::new(false), true), [true, false]);
}

#[test]
fn what_is_not_durable_in_a_full_segment_is_made_so_before_the_next_one() {
    assert_eq!(write_two_segments(&Maker::new(false), false), [true, true]);
}

#[test]
fn a_full_segment_is_sealed_at_once_where_there_is_no_room_for_another() {
    assert_eq!(write_two_segments(&Maker::new(true), true), [true, false, true]);
}

/// A store that learns of the first seal late: when it has learned of the second one.
struct Late {
    maker: Maker,
    began: std::sync::mpsc::Sender<()>,
    second: (Mutex<std::sync::mpsc::Sender<()>>, Mutex<std::sync::mpsc::Receiver<()>>),
    seals: Mutex<Vec<SegmentId>>,
}

impl Host for Late {
    fn new_segment(&self, class: ClassId) -> Result<Arc<Segment>> {
        self.maker.new_segment(class)
    }

    fn published(&self, _: &Arc<Segment>, _: &[Published]) {}

    fn sealed(&self, segment: &Arc<Segment>, _: &Trailer) {
        if segment.id == SegmentId(1) {
            self.began.send(()).unwrap();
            self.second.1.lock().recv().unwrap();
            // Whoever does not wait for it is most likely through by then.
            (0..10_000).for_each(|_| std::thread::yield_now());
        } else {
            self.second.0.lock().send(()).unwrap();
        }
        self.seals.lock().push(segment.id);
    }

    fn suspect(&self, segment: &Arc<Segment>, reached: Reached, cause: &Error) {
        self.maker.suspect(segment, reached, cause);
    }

    fn now(&self) -> Timestamp {
        self.maker.now()
    }

    fn sealed_before(&self) -> Timestamp {
        self.maker.sealed_before()
    }
}

#[test]
fn whoever_asks_for_a_seal_has_the_full_segments_sealed_too() {
    let ((began, waits), (send, receive)) =
        (std::sync::mpsc::channel(), std::sync::mpsc::channel());
    let second = (Mutex::new(send), Mutex::new(receive));
    let host = Late { maker: Maker::new(false), began, second, seals: Mutex::default() };
    let appender = Appender::new(ClassId(0));
    std::thread::scope(|scope| {
        scope.spawn(|| (0..6).for_each(|number| write_clip(&appender, &host, number, true)));
        waits.recv().unwrap();
        appender.seal(&host, Timestamp::MAX).unwrap();
        assert_eq!(*host.seals.lock(), [SegmentId(2), SegmentId(1)]);
    });
}

/// A store that takes over what is left, and has no room for a third segment before the first one
/// is sealed.
struct Taking {
    maker: Maker,
    left: Mutex<Vec<Leftover>>,
    short: std::sync::mpsc::Sender<()>,
}

impl Taking {
    fn new() -> (Self, std::sync::mpsc::Receiver<()>) {
        let (short, is_short) = std::sync::mpsc::channel();
        (Self { maker: Maker::new(false), left: Mutex::default(), short }, is_short)
    }

    fn is_sealed(&self, number: usize) -> bool {
        self.maker.made.lock()[number].is_sealed()
    }

    /// Does what was left, late: whoever does not wait for it is most likely through by then.
    fn finish_late(&self, appender: &Appender) {
        (0..10_000).for_each(|_| std::thread::yield_now());
        let left = std::mem::take(&mut *self.left.lock());
        for leftover in left {
            appender.finish(leftover, self);
        }
    }
}

impl Host for Taking {
    fn new_segment(&self, class: ClassId) -> Result<Arc<Segment>> {
        if self.maker.made.lock().len() == 2 && !self.is_sealed(0) {
            self.short.send(()).unwrap();
            return Err(Error::new(ErrorKind::Full, "no room"));
        }
        self.maker.new_segment(class)
    }

    fn published(&self, _: &Arc<Segment>, _: &[Published]) {}

    fn sealed(&self, _: &Arc<Segment>, _: &Trailer) {}

    fn suspect(&self, segment: &Arc<Segment>, reached: Reached, cause: &Error) {
        self.maker.suspect(segment, reached, cause);
    }

    fn now(&self) -> Timestamp {
        self.maker.now()
    }

    fn sealed_before(&self) -> Timestamp {
        self.maker.sealed_before()
    }

    fn take_over(&self, class: ClassId, leftover: Leftover) -> Option<Leftover> {
        assert_eq!(class, ClassId(0));
        self.left.lock().push(leftover);
        None
    }
}

#[test]
fn a_seal_waits_for_what_somebody_took_over() {
    let (host, _is_short) = Taking::new();
    let appender = Appender::new(ClassId(0));
    (0..6).for_each(|number| write_clip(&appender, &host, number, true));
    assert_eq!((host.left.lock().len(), host.is_sealed(0)), (1, false));
    std::thread::scope(|scope| {
        let asks = scope.spawn(|| {
            appender.seal(&host, Timestamp::MAX).unwrap();
            host.is_sealed(0)
        });
        host.finish_late(&appender);
        // What the seal itself left over.
        host.finish_late(&appender);
        assert!(asks.join().unwrap(), "it was asked for");
    });
    assert!(host.is_sealed(1));
}

#[test]
fn whoever_has_no_room_waits_for_what_somebody_took_over() {
    let (host, is_short) = Taking::new();
    let appender = Appender::new(ClassId(0));
    std::thread::scope(|scope| {
        let (host, appender) = (&host, &appender);
        scope.spawn(move || {
            is_short.recv().unwrap();
            host.finish_late(appender);
        });
        (0..9).for_each(|number| write_clip(appender, host, number, true));
    });
    assert_eq!(host.maker.made.lock().len(), 3);
}
