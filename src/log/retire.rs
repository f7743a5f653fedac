//! What becomes of a segment's file when its name goes: kept for whoever still reads it, or handed
//! over to be zeroed once nobody can.

use std::sync::Arc;

use super::Segment;
use crate::vfs::VfsFile;

impl Segment {
    /// Keeps the file open for as long as the segment is known, because its name is about to go:
    /// what is in it must still be told when the removal has to be tried again. Its map is kept for
    /// nobody any more: a file whose name is gone keeps its room for as long as it is mapped.
    pub(crate) fn note_removing(&self) {
        self.map_slot.close();
        // Where it cannot be opened there is nothing to keep.
        self.handle.pin().ok();
    }

    /// Whether its file is open now.
    pub(super) fn is_open(&self) -> bool {
        self.handle.is_open()
    }

    /// Lets its removed file go, although somebody may still want to read it.
    pub(super) fn let_go(&self) {
        self.handle.let_go();
    }

    /// Unmaps it unless somebody reads in it now: some of its bytes are about to go.
    pub(crate) fn let_kept_map_go(&self) {
        self.map_slot.let_kept_go();
    }

    /// Whether somebody has its bytes now, in a map or through a file that he opened. Another may
    /// come at any time: [`Segment::retire`] is what decides.
    pub(crate) fn is_in_use(&self) -> bool {
        self.map_slot.is_mapped() || self.handle.is_in_use()
    }

    /// Its open file, of which nobody else has anything: not the segment, not a map of it, not the
    /// open file. Its name is gone and the catalog does not have it any more, so that from here on
    /// nobody can come to it. Who has it already gets on: then the segment is handed back.
    pub(crate) fn retire(self: Arc<Self>) -> Result<Arc<dyn VfsFile>, Arc<Self>> {
        // From here on no weak reference finds it either.
        let segment = Arc::try_unwrap(self)?;
        segment.map_slot.close();
        let mapped = segment.map_slot.is_mapped();
        let file = if mapped { None } else { segment.handle.take_unused() };
        file.ok_or_else(|| Arc::new(segment))
    }
}
