//! The open files of segments: a bounded number, opened again by name when needed.
//!
//! Owns the descriptors. A store may have more segments than a process may have files open. Only
//! files of sealed segments are ever closed: nothing unsynced hangs on their descriptors.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use bytes::Bytes;

use crate::format::name;
use crate::sync::Mutex;
use crate::types::{ClassId, SegmentId};
use crate::vfs::{Map, Rest, Vfs, VfsFile};

/// The descriptors of all segments of a store.
#[derive(Debug)]
pub(crate) struct Handles {
    vfs: Arc<dyn Vfs>,
    open_max: usize,
    /// Sealed segments' files that are open, oldest first.
    open: Mutex<VecDeque<Weak<SegmentFile>>>,
}

impl Handles {
    pub(crate) fn new(vfs: Arc<dyn Vfs>, open_max: usize) -> Arc<Self> {
        Arc::new(Self { vfs, open_max, open: Mutex::default() })
    }

    pub(crate) fn vfs(&self) -> &dyn Vfs {
        &*self.vfs
    }

    /// Counts `file`, just opened or sealed, and closes the oldest ones.
    fn note_open(&self, file: Weak<SegmentFile>) {
        let mut close = Vec::new();
        {
            let mut open = self.open.lock();
            open.push_back(file);
            while open.len() > self.open_max {
                close.extend(open.pop_front());
            }
        }
        for file in close.iter().filter_map(Weak::upgrade) {
            file.close();
        }
    }
}

/// The file of one segment, open or not.
#[derive(Debug)]
pub(crate) struct SegmentFile {
    this: Weak<Self>,
    handles: Arc<Handles>,
    /// The class and the id in its name.
    named: (ClassId, SegmentId),
    writable: bool,
    slot: Mutex<Slot>,
}

#[derive(Debug)]
struct Slot {
    /// Open for as long as the cache likes.
    open: Option<Arc<dyn VfsFile>>,
    /// Open for as long as anybody uses it.
    used: Weak<dyn VfsFile>,
    /// Not to be closed: being written, or its name is gone.
    pinned: bool,
}

impl SegmentFile {
    /// A file that stays open until [`SegmentFile::unpin`].
    pub(super) fn pinned(
        handles: &Arc<Handles>,
        named: (ClassId, SegmentId),
        writable: bool,
        file: Arc<dyn VfsFile>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            handles: Arc::clone(handles),
            named,
            writable,
            slot: Mutex::new(Slot { used: Arc::downgrade(&file), open: Some(file), pinned: true }),
        })
    }

    /// A file of a sealed segment that is opened when it is needed.
    pub(super) fn closed(
        handles: &Arc<Handles>,
        named: (ClassId, SegmentId),
        writable: bool,
    ) -> Arc<Self> {
        let used: Weak<Self> = Weak::new();
        Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            handles: Arc::clone(handles),
            named,
            writable,
            slot: Mutex::new(Slot { open: None, used, pinned: false }),
        })
    }

    /// Its name in the store's folder: made when it is asked for, because a store may have many
    /// thousands and most are never asked for.
    pub(super) fn name(&self) -> String {
        let (class, id) = self.named;
        name::segment(class, id)
    }

    /// Its path for messages.
    pub(super) fn path(&self) -> PathBuf {
        self.handles.vfs.display_path(&self.name())
    }

    /// Leaves it to the cache whether it stays open: it is sealed and synced.
    pub(super) fn unpin(&self) {
        self.slot.lock().pinned = false;
        self.handles.note_open(Weak::clone(&self.this));
    }

    /// Keeps it open from now on, because its name is about to go.
    pub(super) fn pin(&self) -> io::Result<()> {
        let file = self.handle()?;
        let mut slot = self.slot.lock();
        (slot.open, slot.pinned) = (Some(file), true);
        Ok(())
    }

    /// The open file, for as long as the answer lives, whatever becomes of its name.
    pub(super) fn handle(&self) -> io::Result<Arc<dyn VfsFile>> {
        let mut slot = self.slot.lock();
        if let Some(file) = slot.open.clone().or_else(|| slot.used.upgrade()) {
            return Ok(file);
        }
        let file = self.handles.vfs.open(&self.name(), self.writable)?;
        slot.used = Arc::downgrade(&file);
        slot.open = Some(Arc::clone(&file));
        drop(slot);
        self.handles.note_open(Weak::clone(&self.this));
        Ok(file)
    }

    /// Whether it is open, by this or by somebody who uses it.
    pub(super) fn is_open(&self) -> bool {
        let slot = self.slot.lock();
        slot.open.is_some() || slot.used.strong_count() > 0
    }

    /// Whether somebody else than the cache has it open.
    pub(super) fn is_in_use(&self) -> bool {
        let slot = self.slot.lock();
        let cached = usize::from(slot.open.is_some());
        slot.used.strong_count() > cached
    }

    /// The open file, taken away, if nobody else has it: who asks next opens it by its name.
    pub(super) fn take_unused(&self) -> Option<Arc<dyn VfsFile>> {
        let mut slot = self.slot.lock();
        // Nobody takes a share of it but with this lock in hand.
        if slot.used.strong_count() > 1 {
            return None;
        }
        slot.pinned = false;
        slot.open.take()
    }

    /// Closes a file whose name is gone: nobody can read it from now on.
    pub(super) fn let_go(&self) {
        let mut slot = self.slot.lock();
        (slot.open, slot.pinned) = (None, false);
    }

    fn close(&self) {
        let mut slot = self.slot.lock();
        if !slot.pinned {
            slot.open = None;
        }
    }
}

impl VfsFile for SegmentFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.handle()?.read_at(offset, buf)
    }

    fn read_vec(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        self.handle()?.read_vec(offset, len)
    }

    fn write_at(&self, offset: u64, bufs: &[&[u8]]) -> io::Result<()> {
        self.handle()?.write_at(offset, bufs)
    }

    fn write_through(&self, offset: u64, bufs: &[&[u8]]) -> io::Result<()> {
        self.handle()?.write_through(offset, bufs)
    }

    fn write_beside(&self, offset: u64, first: &[u8], rest: &mut Rest<'_>) -> io::Result<()> {
        self.handle()?.write_beside(offset, first, rest)
    }

    fn read_through(&self, range: Range<u64>) -> io::Result<Option<Bytes>> {
        self.handle()?.read_through(range)
    }

    fn sync(&self) -> io::Result<()> {
        self.handle()?.sync()
    }

    fn len(&self) -> io::Result<u64> {
        self.handle()?.len()
    }

    fn written_from(&self, offset: u64) -> io::Result<Option<Range<u64>>> {
        self.handle()?.written_from(offset)
    }

    fn allocated(&self) -> io::Result<u64> {
        self.handle()?.allocated()
    }

    fn punch(&self, range: Range<u64>) -> io::Result<()> {
        self.handle()?.punch(range)
    }

    fn zero(&self, range: Range<u64>) -> io::Result<()> {
        self.handle()?.zero(range)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.handle()?.truncate(len)
    }

    fn map(&self, len: u64) -> io::Result<Arc<dyn Map>> {
        self.handle()?.map(len)
    }

    fn read_ahead(&self, allowed: bool) {
        if let Ok(file) = self.handle() {
            file.read_ahead(allowed);
        }
    }

    fn will_need(&self, range: Range<u64>) {
        if let Ok(file) = self.handle() {
            file.will_need(range);
        }
    }

    fn drop_cache(&self, range: Range<u64>) {
        if let Ok(file) = self.handle() {
            file.drop_cache(range);
        }
    }
}
