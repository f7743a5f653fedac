//! One segment file: what is in it, and verified bytes out of it.
//!
//! Owns the file handle and, while the segment is open, its draft. Never writes: the appender does.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;

use super::found::{FoundSegment, Opened, read_block, read_footer};
use super::handle::SegmentFile;
use super::mapping::MapSlot;
use super::parts::LeafProof;
use super::{Draft, FoundPart, Handles, Known, PartRecords, SealedParts, scan};
use crate::barrier::Barrier;
use crate::format::footer::{Footer, RecordRef};
use crate::format::record::RecordHeader;
use crate::format::segment::{SegmentHeader, Trailer};
use crate::format::{BLOCK_BYTES, CHUNK_BYTES};
use crate::sync::{Mutex, RwLock};
use crate::types::{CameraId, ClassId, ClipId, Error, ErrorKind, Result, SegmentId, Timestamp};
use crate::vfs::VfsFile;

/// A segment that exists.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) id: SegmentId,
    pub(crate) class: ClassId,
    pub(crate) header: SegmentHeader,
    pub(crate) file: Arc<dyn VfsFile>,
    /// The same, as what may be closed and opened again.
    pub(super) handle: Arc<SegmentFile>,
    state: RwLock<State>,
    pub(super) map_slot: Arc<MapSlot>,
    /// Whether somebody has read clips in it through the page cache.
    watched: AtomicBool,
}

#[derive(Debug)]
enum State {
    /// Being written, or found unsealed.
    Open(Draft),
    /// Immutable; the footer is loaded when asked for.
    Sealed { trailer: Box<Trailer>, parts: Option<Arc<SealedParts>> },
}

impl Segment {
    /// A new, empty segment whose header is durable.
    pub(crate) fn fresh(
        handles: &Arc<Handles>,
        file: Arc<dyn VfsFile>,
        header: SegmentHeader,
    ) -> Arc<Self> {
        let file = SegmentFile::pinned(handles, (header.class, header.key.segment), true, file);
        Self::with(file, header, State::Open(Draft::default()))
    }

    /// A sealed segment whose trailer is known: nothing is read until somebody asks for its parts.
    pub(crate) fn known(
        handles: &Arc<Handles>,
        trailer: Box<Trailer>,
        writable: bool,
    ) -> Arc<Self> {
        let header = trailer.header.clone();
        let file = SegmentFile::closed(handles, (header.class, header.key.segment), writable);
        Self::with(file, header, State::Sealed { trailer, parts: None })
    }

    /// Opens the file of the class and the id that `named` has, sealed or not; one that is not is
    /// scanned with what is `known` of it.
    ///
    /// # Errors
    ///
    /// As [`FoundSegment::read`] and [`FoundSegment::open`].
    pub(crate) fn open(
        handles: &Arc<Handles>,
        named: (ClassId, SegmentId),
        store: &[u8; 16],
        known: Known,
        writable: bool,
    ) -> Result<Opened> {
        FoundSegment::read(handles.vfs(), named, store, writable)?.open(handles, known)
    }

    /// A sealed segment, with its footer.
    pub(super) fn sealed(
        handle: Arc<SegmentFile>,
        header: SegmentHeader,
        trailer: Trailer,
        footer: Footer,
    ) -> Arc<Self> {
        let parts = Some(Arc::new(SealedParts::new(footer)));
        Self::with(handle, header, State::Sealed { trailer: Box::new(trailer), parts })
    }

    /// One that is not sealed, with what a scan found in it.
    pub(super) fn unsealed(
        handle: Arc<SegmentFile>,
        header: SegmentHeader,
        draft: Draft,
    ) -> Arc<Self> {
        Self::with(handle, header, State::Open(draft))
    }

    fn with(handle: Arc<SegmentFile>, header: SegmentHeader, state: State) -> Arc<Self> {
        let file: Arc<dyn VfsFile> = Arc::<SegmentFile>::clone(&handle);
        Arc::new(Self {
            id: header.key.segment,
            class: header.class,
            file,
            handle,
            header,
            state: RwLock::new(state),
            map_slot: Arc::default(),
            watched: AtomicBool::new(false),
        })
    }

    /// Somebody reads clips in it through the page cache: what is there may be wanted again.
    #[inline]
    pub(crate) fn note_watched(&self) {
        // Mostly it is noted, and then nobody else's copy of it is taken away.
        if !self.is_watched() {
            self.watched.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn is_watched(&self) -> bool {
        self.watched.load(Ordering::Relaxed)
    }

    /// Its file's name in the store's folder.
    pub(crate) fn name(&self) -> String {
        self.handle.name()
    }

    /// Its file's path, for messages.
    pub(crate) fn path(&self) -> PathBuf {
        self.handle.path()
    }

    /// Whether it is sealed.
    pub(crate) fn is_sealed(&self) -> bool {
        matches!(*self.state.read(), State::Sealed { .. })
    }

    /// Its trailer, if it is sealed.
    pub(crate) fn trailer(&self) -> Option<Trailer> {
        match &*self.state.read() {
            State::Sealed { trailer, .. } => Some((**trailer).clone()),
            State::Open(_) => None,
        }
    }

    /// Where the records of a sealed segment end.
    pub(super) fn sealed_bytes(&self) -> Option<u64> {
        match &*self.state.read() {
            State::Sealed { trailer, .. } => Some(trailer.footer_offset),
            State::Open(_) => None,
        }
    }

    /// Trusted time when its newest record arrived.
    pub(crate) fn newest_received(&self) -> Timestamp {
        match &*self.state.read() {
            State::Sealed { trailer, .. } => trailer.newest_received,
            State::Open(draft) => draft.newest_received(),
        }
    }

    /// Payload bytes of all its records, expired or not.
    pub(crate) fn payload_bytes(&self) -> u64 {
        match &*self.state.read() {
            State::Sealed { trailer, .. } => trailer.payload_bytes,
            State::Open(draft) => draft.payload_bytes(),
        }
    }

    /// Changes the draft of an open segment; `None` once it is sealed.
    pub(crate) fn with_draft<T>(&self, change: impl FnOnce(&mut Draft) -> T) -> Option<T> {
        match &mut *self.state.write() {
            State::Open(draft) => Some(change(draft)),
            State::Sealed { .. } => None,
        }
    }

    /// Makes it sealed: its footer and trailer are durable.
    pub(crate) fn set_sealed(&self, trailer: Trailer, footer: Footer) {
        let parts = Some(Arc::new(SealedParts::new(footer)));
        *self.state.write() = State::Sealed { trailer: Box::new(trailer), parts };
        self.handle.unpin();
    }

    /// Lets go of the footer in memory; it is read again when needed.
    pub(super) fn forget_footer(&self) {
        if let State::Sealed { parts, .. } = &mut *self.state.write() {
            *parts = None;
        }
    }

    /// What `in_draft` says of an open segment, or `in_footer` of a sealed one. Which of them it is
    /// is asked once: between two questions a leader may seal it, and neither would find anything.
    fn look<T>(
        self: &Arc<Self>,
        cache: &FooterCache,
        in_draft: impl FnOnce(&Draft) -> T,
        in_footer: impl FnOnce(&Arc<SealedParts>) -> T,
    ) -> Result<T> {
        let trailer = match &*self.state.read() {
            State::Open(draft) => return Ok(in_draft(draft)),
            State::Sealed { parts: Some(parts), .. } => return Ok(in_footer(parts)),
            State::Sealed { trailer, .. } => trailer.clone(),
        };
        Ok(in_footer(&self.load_footer(cache, &trailer)?))
    }

    /// Reads the footer of a sealed segment again, or makes it again from the records, which say
    /// the same: one bad sector must neither hide clips nor stop a sweep.
    fn load_footer(
        self: &Arc<Self>,
        cache: &FooterCache,
        trailer: &Trailer,
    ) -> Result<Arc<SealedParts>> {
        let footer = match read_footer(&*self.file, &self.header.key, trailer) {
            Ok(footer) => footer,
            Err(error) => {
                let footer = self.footer_from_records(trailer)?;
                cache.note_problem(self.id, error.at(&self.path()));
                footer
            }
        };
        let loaded = Arc::new(SealedParts::new(footer));
        if let State::Sealed { parts, .. } = &mut *self.state.write() {
            *parts = Some(Arc::clone(&loaded));
        }
        cache.keep(self, trailer.footer_bytes);
        Ok(loaded)
    }

    /// The footer that a scan of the sealed records gives.
    fn footer_from_records(&self, trailer: &Trailer) -> Result<Footer> {
        // The scan leaves out the last block, which is a trailer elsewhere and a footer's here.
        let len = trailer.footer_offset.saturating_add(BLOCK_BYTES);
        let known = Known { durable_bytes: trailer.footer_offset, failed_at: None };
        let mut found = scan(&*self.file, &self.header.key, len, known)
            .map_err(|error| Error::io("scan segment", &self.path(), error))?;
        found.draft.mark_beginnings(|clip| self.header.is_home_of(clip));
        Ok(found.draft.footer())
    }

    /// The parts of `camera` that start in `starts`, in order.
    pub(crate) fn parts_in(
        self: &Arc<Self>,
        cache: &FooterCache,
        camera: &CameraId,
        starts: RangeInclusive<Timestamp>,
    ) -> Result<Vec<FoundPart>> {
        let in_draft = |draft: &Draft| draft.parts_in(camera, &starts);
        self.look(cache, in_draft, |parts| parts.within(camera, &starts))
    }

    /// The Merkle leaf of the part of `clip`; `None` while it is not sealed.
    pub(crate) fn leaf_of(
        self: &Arc<Self>,
        cache: &FooterCache,
        clip: ClipId,
    ) -> Result<Option<LeafProof>> {
        self.look(cache, |_| None, |parts| parts.leaf_of(clip))
    }

    /// Every part, in footer order.
    pub(crate) fn parts(self: &Arc<Self>, cache: &FooterCache) -> Result<Vec<FoundPart>> {
        self.look(cache, |draft| draft.parts().collect(), |parts| parts.all())
    }

    /// The part of clip `clip` with its records; `None` when it has none.
    pub(crate) fn part_of(
        self: &Arc<Self>,
        cache: &FooterCache,
        clip: ClipId,
    ) -> Result<Option<(FoundPart, PartRecords)>> {
        self.look(cache, |draft| draft.part_of(clip), |parts| parts.of(clip))
    }

    /// Its open file: readable for as long as the answer lives, whatever becomes of the name.
    ///
    /// # Errors
    ///
    /// `Expired` when the name is gone already: nothing is removed that is not expired.
    pub(crate) fn keep_open(&self) -> Result<Arc<dyn VfsFile>> {
        self.handle.handle().map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                self.gone()
            } else {
                Error::io("open segment", &self.path(), error)
            }
        })
    }

    fn gone(&self) -> Error {
        Error::new(ErrorKind::Expired, "read clip: it has expired").at(&self.path())
    }

    /// The header of a record as it stands before the payload, and as it stands in the tail; what
    /// is damaged there is an error.
    pub(crate) fn headers_of(&self, record: &RecordRef) -> [Result<RecordHeader>; 2] {
        let key = &self.header.key;
        let last = record.end_block().saturating_sub(1);
        let at = |block: u32, decode: &dyn Fn(&[u8]) -> Option<RecordHeader>, message: &str| {
            let offset = u64::from(block) * BLOCK_BYTES;
            let header = read_block(&*self.file, offset).and_then(|bytes| decode(&bytes));
            header.ok_or_else(|| Error::corrupt(message).at(&self.path()).at_offset(offset))
        };
        let head = |bytes: &[u8]| Some(RecordHeader::decode(bytes, key, record.block).ok()?.0);
        let tail = |bytes: &[u8]| {
            let (block, header, _) = RecordHeader::decode_tail(bytes, key, last).ok()?;
            (block == record.block).then_some(header)
        };
        [
            at(record.block, &head, "read record: its header is damaged"),
            at(last, &tail, "read record: its tail is damaged"),
        ]
    }

    /// Chunk `index` of a record's payload, checked, by copying.
    ///
    /// # Errors
    ///
    /// `Corrupt` when the checksum does not match or the sector cannot be read.
    pub(crate) fn read_chunk(
        &self,
        record: &RecordRef,
        crcs: &[u32],
        index: usize,
    ) -> Result<Bytes> {
        let range = chunk_range(record, index);
        let len = usize::try_from(range.end - range.start).unwrap_or(0);
        let buf = self
            .file
            .read_vec(range.start, len)
            .map_err(|error| self.unreadable(range.start, error))?;
        self.check_chunk(&buf, crcs, index, range.start)?;
        Ok(Bytes::from(buf))
    }

    pub(super) fn check_chunk(
        &self,
        bytes: &[u8],
        crcs: &[u32],
        index: usize,
        offset: u64,
    ) -> Result<()> {
        if Barrier::ChunkCrc.test(crcs.get(index) == Some(&crc32fast::hash(bytes))) {
            return Ok(());
        }
        let message = format!("read clip: {} bytes do not match their checksum", bytes.len());
        Err(Error::corrupt(message).at(&self.path()).at_offset(offset))
    }

    /// A read that failed: a bad sector is damage, not a failure of the machine.
    pub(super) fn unreadable(&self, offset: u64, error: io::Error) -> Error {
        if error.kind() == io::ErrorKind::NotFound {
            // Its name is gone, and it was let go for the sake of the room.
            return self.gone();
        }
        Error::corrupt("read clip: the disk cannot read it")
            .at(&self.path())
            .at_offset(offset)
            .caused_by(error)
    }
}

/// Where chunk `index` of a record's payload stands in the file.
pub(super) fn chunk_range(record: &RecordRef, index: usize) -> Range<u64> {
    let payload = u64::from(record.block) * BLOCK_BYTES + u64::from(record.header_bytes);
    let from = u64::try_from(index.saturating_mul(CHUNK_BYTES)).unwrap_or(u64::MAX);
    let to = from.saturating_add(u64::try_from(CHUNK_BYTES).unwrap_or(0));
    let end = u64::from(record.payload_bytes);
    payload + from.min(end)..payload + to.min(end)
}

/// Which footers stay in memory: the newest loaded, up to a number of bytes.
#[derive(Debug)]
pub(crate) struct FooterCache {
    bytes_max: u64,
    kept: Mutex<KeptFooters>,
}

#[derive(Debug, Default)]
struct KeptFooters {
    /// Whose footers, with the bytes of each, oldest first.
    segments: VecDeque<(Weak<Segment>, u64)>,
    /// The sum of them.
    bytes: u64,
    /// Footers that could not be read, each told once.
    problems: BTreeMap<SegmentId, Error>,
}

impl FooterCache {
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self { bytes_max, kept: Mutex::default() }
    }

    /// Footers that could not be read since the store was opened; what they list was found by
    /// scanning the records.
    pub(crate) fn problems(&self) -> Vec<Error> {
        self.kept.lock().problems.values().cloned().collect()
    }

    fn note_problem(&self, segment: SegmentId, error: Error) {
        self.kept.lock().problems.entry(segment).or_insert(error);
    }

    /// Counts the footer of `segment`, just loaded or made, and lets the oldest ones go.
    pub(crate) fn keep(&self, segment: &Arc<Segment>, bytes: u64) {
        let mut gone = Vec::new();
        {
            let mut kept = self.kept.lock();
            kept.segments.push_back((Arc::downgrade(segment), bytes));
            kept.bytes += bytes;
            while kept.bytes > self.bytes_max && kept.segments.len() > 1 {
                let Some((segment, bytes)) = kept.segments.pop_front() else { break };
                kept.bytes -= bytes;
                gone.push(segment);
            }
        }
        for segment in gone.iter().filter_map(Weak::upgrade) {
            segment.forget_footer();
        }
    }
}
