//! Writing a partition of the index, and removing one.

use std::io;
use std::sync::Arc;

use crate::format::name;
use crate::format::page_part::PagePart;
use crate::format::partition::Row;
use crate::format::partition_writer::PartitionWriter;
use crate::index::Partition;
use crate::types::{CameraId, Error, Result};

use super::Inner;
use super::reuse::Wanted;

/// The index never takes the last room: the ledger and held clips need it more.
const LEFT_BYTES: u64 = 8 << 20;

/// Why a partition was not written.
#[derive(Debug)]
pub(super) enum Stop {
    /// Somebody waits for what the sweep has.
    GiveWay,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Takes a part that is to be written.
pub(super) type Put<'a> = dyn FnMut(&PagePart) -> std::result::Result<(), Stop> + 'a;

impl Inner {
    /// Writes a partition of `rows` and of so many parts of each of `cameras`, which `feed` puts
    /// one by one, in order; `None` if there is no room for it, or if `feed` gives way.
    ///
    /// # Errors
    ///
    /// Why it could not be written. Nothing is left of it then.
    pub(super) fn write_partition(
        &self,
        rows: Vec<Row>,
        cameras: Vec<(CameraId, u32)>,
        feed: impl FnOnce(&mut Put<'_>) -> std::result::Result<(), Stop>,
    ) -> Result<Option<Arc<Partition>>> {
        let fail = |error| self.io("write index partition", name::INDEX, error);
        let mut salt = [0; 16];
        self.vfs.random(&mut salt).map_err(fail)?;
        let mut writer = PartitionWriter::new((self.uuid, salt), rows, cameras);
        let len = writer.file_bytes();
        if !self.has_index_room(len)? {
            return Ok(None);
        }
        self.vfs.create_dir(name::INDEX).map_err(fail)?;
        let names = self.vfs.list(name::INDEX).map_err(fail)?;
        let newest = names.iter().filter_map(|name| name::parse_partition(name)).max();
        let Some(number) = newest.unwrap_or(0).checked_add(1) else { return Ok(None) };
        let name = name::partition(number);
        self.give_way(Wanted::InQuota(len));
        let file = match self.create_file(&name, len) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(None),
            Err(error) => return Err(fail(error)),
        };
        let mut sink = |offset: u64, bytes: &[u8]| -> std::result::Result<(), Stop> {
            Ok(file.write_at(offset, &[bytes]).map_err(fail)?)
        };
        let all_put = feed(&mut |part| writer.put(part, &mut sink));
        let written = all_put.and_then(|()| writer.finish(&mut sink));
        let opened = written.and_then(|()| Ok(Partition::open(&*self.vfs, number, &self.uuid)?));
        if opened.is_err() {
            self.remove_partition_file(number);
        }
        match opened {
            Ok((partition, _)) => Ok(Some(Arc::new(partition))),
            Err(Stop::GiveWay) => Ok(None),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    /// Whether there is room for a partition of `len` bytes.
    pub(super) fn has_index_room(&self, len: u64) -> Result<bool> {
        let space = self.space_view(len)?;
        let wanted = space.floor_bytes.saturating_add(len).saturating_add(LEFT_BYTES);
        Ok(space.short_bytes() == 0 && space.free_bytes >= wanted)
    }

    /// Removes a partition's file; one that cannot be removed is removed by a later opening.
    pub(super) fn remove_partition_file(&self, number: u32) {
        let name = name::partition(number);
        match self.vfs.remove(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                self.survived(self.io("remove index partition", &name, error));
            }
            _ => {}
        }
    }
}
