//! Room: new segment files, the quota, and what is kept in reserve for a full disk.

use std::error::Error as _;
use std::io;
use std::sync::Arc;

use crate::barrier::Barrier;
use crate::format::name::{self, SpareName};
use crate::format::segment::SegmentHeader;
use crate::format::{BLOCK_BYTES, SEGMENT_BYTES_MAX, SEGMENT_UNIT_BYTES, SegmentKey};
use crate::ledger::Ledger;
use crate::log::{Segment, give_back_unused};
use crate::retention::SpaceView;
use crate::types::{ClassId, Error, ErrorKind, Result, SegmentId};
use crate::vfs::{Space, VfsFile};

use super::Inner;
use super::reuse::Wanted;

/// Given up when the ledger needs a new file on a full disk.
const BALLAST_BYTES: u64 = 4 << 20;
/// The spare file that held clips are moved to when nothing else can be allocated.
const EVIDENCE_SPARE: SpareName = SpareName::Evidence(0);

impl Inner {
    /// Makes a new segment whose header and name are durable.
    ///
    /// 1. The file is made in `spare/` and allocated in full, or is there already, zeroed, because
    ///    it was another's (see `reuse`): a crash leaves a spare file, which opening removes or
    ///    keeps, as nothing in `spare/` was ever promised to anybody.
    /// 2. The header goes into the first block and a copy into the last one; sync.
    /// 3. The rename into `segments/`; both folders are synced. Only now can records go in.
    pub(super) fn allocate_segment(&self, class: ClassId, bytes: u64) -> Result<Arc<Segment>> {
        let id = self.take_segment_id();
        if let Some((spare, file)) = self.take_reusable(bytes) {
            return self.adopt_file(class, id, &spare, &file, bytes);
        }
        self.give_way(Wanted::InQuota(bytes));
        let spare = name::spare(SpareName::Segment(id.0));
        let file = self
            .create_file(&spare, bytes)
            .map_err(|error| self.io("create segment", &spare, error))?;
        self.adopt_file(class, id, &spare, &file, bytes)
    }

    /// Makes a segment from the evidence reserve, which is already allocated: the way that needs no
    /// new space. The file is longer than what goes in; sealing cuts it.
    pub(super) fn segment_from_reserve(&self) -> Result<Arc<Segment>> {
        let spare = name::spare(EVIDENCE_SPARE);
        let file =
            self.vfs.open(&spare, true).map_err(|error| self.io("open reserve", &spare, error))?;
        let bytes = file.len().map_err(|error| self.io("open reserve", &spare, error))?;
        self.give_way(Wanted::InQuota(bytes));
        self.adopt_file(ClassId::EVIDENCE, self.take_segment_id(), &spare, &file, bytes)
    }

    fn take_segment_id(&self) -> SegmentId {
        let mut next = self.next_segment.lock();
        let id = *next;
        *next = id.next();
        id
    }

    /// Writes the header of a spare file and moves it to its place among the segments. When that
    /// fails the file is removed again, as far as it goes: it holds no record, and space that a
    /// failed try keeps would make the next one fail too. No sync: what is left over, opening
    /// removes or finds empty.
    fn adopt_file(
        &self,
        class: ClassId,
        id: SegmentId,
        spare: &str,
        file: &Arc<dyn VfsFile>,
        bytes: u64,
    ) -> Result<Arc<Segment>> {
        let name = name::segment(class, id);
        let fail = |error| self.io("create segment", &name, error);
        let moved = self.write_header(class, id, file, bytes).and_then(|header| {
            self.vfs.rename(spare, &name).map_err(fail)?;
            Ok(header)
        });
        let header = match moved {
            Ok(header) => header,
            Err(error) => {
                self.vfs.remove(spare).ok();
                return Err(error);
            }
        };
        let named = Barrier::SegmentNameSync.sync(|| self.vfs.sync_dir(name::SEGMENTS));
        let old_gone = || Barrier::SegmentOldNameSync.sync(|| self.vfs.sync_dir(name::SPARE));
        if let Err(error) = named.and_then(|()| old_gone()) {
            self.vfs.remove(&name).ok();
            return Err(fail(error));
        }
        Ok(Segment::fresh(&self.handles, Arc::clone(file), header))
    }

    /// Makes both copies of a new segment's header durable.
    fn write_header(
        &self,
        class: ClassId,
        id: SegmentId,
        file: &Arc<dyn VfsFile>,
        bytes: u64,
    ) -> Result<SegmentHeader> {
        let name = name::segment(class, id);
        let fits = (SEGMENT_UNIT_BYTES..=SEGMENT_BYTES_MAX).contains(&bytes)
            && bytes.is_multiple_of(SEGMENT_UNIT_BYTES);
        if !fits {
            let message = format!("create segment: a file of {bytes} bytes cannot be one");
            return Err(Error::invalid(message).at(&self.vfs.display_path(&name)));
        }
        let mut salt = [0; 16];
        self.vfs.random(&mut salt).map_err(|error| self.io("create segment", &name, error))?;
        let uptime = self.time.lock().clock.uptime();
        let header = SegmentHeader {
            key: SegmentKey { store: self.uuid, segment: id, salt },
            class,
            segment_bytes: bytes,
            created: self.now(),
            boot_id: uptime.boot_id,
            since_boot_us: uptime.since_boot_us,
        };
        let block = header.encode();
        file.write_at(0, &[&block])
            .and_then(|()| file.write_at(bytes - BLOCK_BYTES, &[&block]))
            .and_then(|()| Barrier::HeaderSync.sync(|| file.sync()))
            .map_err(|error| self.io("create segment", &name, error))?;
        Ok(header)
    }

    /// Makes a new segment, and the room for it.
    ///
    /// A file system may refuse room that it counts as free: btrfs counts what only its metadata
    /// may use. Then the oldest segments go as if nothing were free, in a few steps, because some
    /// of what they took may be somebody else's by now.
    ///
    /// # Errors
    ///
    /// As [`Inner::make_room`] and [`Inner::allocate_segment`].
    pub(super) fn segment_for_records(&self, class: ClassId, bytes: u64) -> Result<Arc<Segment>> {
        const REFUSALS_MAX: usize = 4;
        self.make_room(bytes)?;
        let mut made = self.allocate_segment(class, bytes);
        for _ in 0..REFUSALS_MAX {
            if !made.as_ref().is_err_and(is_disk_full) || !self.drop_as_if_none_were_free(bytes)? {
                break;
            }
            made = self.allocate_segment(class, bytes);
        }
        made
    }

    /// Answers whether anything went.
    fn drop_as_if_none_were_free(&self, wanted: u64) -> Result<bool> {
        let mut view = self.space_view(wanted)?;
        view.free_bytes = view.free_bytes.min(view.floor_bytes);
        let sweeping = self.sweeping.lock();
        let dropped = self.sweep_for_space(&view)?;
        drop(sweeping);
        Ok(dropped.segments_dropped > 0)
    }

    /// Makes room for `wanted` bytes more, by dropping what retention allows.
    ///
    /// # Errors
    ///
    /// `Full` when only held or promised clips are left.
    fn make_room(&self, wanted: u64) -> Result<()> {
        let before = self.space_view(wanted)?;
        if before.short_bytes() == 0 {
            return Ok(());
        }
        let sweeping = self.sweeping.lock();
        let ghosts = self.leases.ghost_bytes();
        // Moving held clips takes somewhat more room than their bytes, so that one plan may not be
        // enough. Each round drops a segment, so there is an end to it.
        let mut view = before;
        let dropped = loop {
            let dropped = self.sweep_for_space(&view);
            view = self.space_view(wanted)?;
            // XFS and btrfs give the room of removed files back some time later, and whoever
            // allocates waits for it. To drop more until they count it would break promises.
            let freed = before.used_bytes.saturating_sub(view.used_bytes);
            let freed = freed.saturating_sub(self.leases.ghost_bytes().saturating_sub(ghosts));
            view.free_bytes = view.free_bytes.max(before.free_bytes.saturating_add(freed));
            let progress = dropped.as_ref().is_ok_and(|report| report.segments_dropped > 0);
            if view.short_bytes() == 0 || !progress {
                break dropped;
            }
        };
        drop(sweeping);
        if view.short_bytes() == 0 {
            return dropped.map(drop);
        }
        let error = Error::new(
            ErrorKind::Full,
            format!(
                "record: no room, {} bytes short; what is left is held, promised or still being \
                 recorded: raise the quota, free the disk, or release holds",
                view.short_bytes()
            ),
        );
        Err(match dropped {
            Ok(_) => error,
            Err(cause) => error.caused_by(cause),
        })
    }

    /// The bytes that a segment's file takes, once what it never used is given back: a power cut
    /// may have brought that back.
    pub(super) fn room_of(&self, segment: &Segment) -> u64 {
        /// What a file system may count beside the file's own blocks.
        const SLACK_BYTES: u64 = 64 << 10;
        let allocated = || segment.file.allocated().unwrap_or(segment.header.segment_bytes);
        let bytes = allocated();
        let Some(trailer) = segment.trailer().filter(|_| !self.options.read_only) else {
            return bytes;
        };
        let used = trailer.footer_offset + trailer.footer_bytes + BLOCK_BYTES;
        let is_copy = segment.class == ClassId::EVIDENCE;
        if is_copy || bytes <= used.saturating_add(SLACK_BYTES) {
            return bytes;
        }
        give_back_unused(segment, &trailer, segment.header.segment_bytes);
        allocated()
    }

    /// How much room there is for `wanted` bytes more. Removed files that readers keep alive take
    /// room as before; those that are kept for new segments are room.
    pub(super) fn space_view(&self, wanted: u64) -> Result<SpaceView> {
        let space = self.disk_space()?;
        Ok(SpaceView {
            used_bytes: self.taken_bytes(),
            quota_bytes: self.options.quota,
            free_bytes: space.free.saturating_add(self.reuse_bytes()),
            floor_bytes: self.options.free_space_floor,
            wanted_bytes: wanted,
        })
    }

    /// What segments, the index, and removed files that readers keep alive take.
    pub(super) fn taken_bytes(&self) -> u64 {
        let catalog = self.catalog.read();
        let named: u64 = catalog.segments.values().map(|shelved| shelved.file_bytes).sum();
        let named = named.saturating_add(catalog.timelines.file_bytes());
        drop(catalog);
        named.saturating_add(self.leases.ghost_bytes())
    }

    pub(super) fn disk_space(&self) -> Result<Space> {
        self.vfs.space().map_err(|error| self.io("ask for free space", "", error))
    }

    /// Makes again what is kept in reserve, as far as there is room: the evidence segment, the
    /// ballast, and the ledger's next file, which comes first and may take the ballast's room.
    /// Files that are kept for new segments give way to all of it, and to the free-space floor.
    pub(super) fn keep_reserve(&self) {
        self.give_way(Wanted::Beside(0));
        let reserved = self.reserve_for_ledger(&mut self.ledger.lock());
        if let Err(error) = reserved {
            return self.survived(error);
        }
        self.keep_spare(EVIDENCE_SPARE, self.options.evidence_reserve);
        self.keep_spare(SpareName::Ballast, BALLAST_BYTES);
    }

    /// Sets the ledger's next file aside, if need be in the room of what is kept for new segments,
    /// and then in that of the ballast: also when thousands of holds are placed between two sweeps.
    /// No sync in between: where the room comes back late, whoever allocates waits for it, and
    /// ballast that a crash brings back is ballast.
    pub(super) fn reserve_for_ledger(&self, ledger: &mut Ledger) -> Result<()> {
        let is_full = |reserved: &Result<()>| {
            reserved.as_ref().is_err_and(|error| error.kind() == ErrorKind::Full)
        };
        let mut reserved = ledger.reserve();
        while is_full(&reserved) && self.is_short_of(0) && self.give_up_one() {
            reserved = ledger.reserve();
        }
        if !is_full(&reserved) {
            return reserved;
        }
        let ballast = name::spare(SpareName::Ballast);
        match self.vfs.remove(&ballast) {
            Ok(()) => ledger.reserve(),
            Err(_) => reserved,
        }
    }

    /// Makes a spare file of `bytes`, unless it is there already. One of another size, from other
    /// options or an older build, is replaced; without bytes there is none.
    fn keep_spare(&self, spare: SpareName, bytes: u64) {
        let name = name::spare(spare);
        let bytes = bytes.next_multiple_of(SEGMENT_UNIT_BYTES);
        if let Ok(file) = self.vfs.open(&name, false) {
            if file.len().is_ok_and(|len| len == bytes) {
                return;
            }
            drop(file);
            if let Err(error) = self.vfs.remove(&name) {
                return self.survived(self.io("remove reserve", &name, error));
            }
        }
        if bytes == 0 {
            return;
        }
        self.give_way(Wanted::Beside(bytes + 1));
        if !self.vfs.space().is_ok_and(|space| space.free > bytes) {
            return;
        }
        let made = self.create_file(&name, bytes);
        let synced = made.and_then(|file| Barrier::ReserveSync.sync(|| file.sync()));
        let named = || Barrier::ReserveNameSync.sync(|| self.vfs.sync_dir(name::SPARE));
        match synced.and_then(|()| named()) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {}
            Err(error) => self.survived(self.io("make reserve", &name, error)),
        }
    }

    pub(super) fn io(&self, operation: &str, name: &str, error: io::Error) -> Error {
        Error::io(operation, &self.vfs.display_path(name), error)
    }
}

/// Whether the file system has no room, rather than this process no right to more.
fn is_disk_full(error: &Error) -> bool {
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|source| {
        matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    })
}
