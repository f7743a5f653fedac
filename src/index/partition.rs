//! A partition file of the index, open for lookups.
//!
//! Owns the file and, of what is in it, the camera directory and the first start of each page: 8
//! bytes for 340 parts. Pages are read and checked when a lookup needs them. Immutable: which of
//! its segments still count is what [`super::Timelines`] knows.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::format::partition::{self, PAGE_BYTES, PAGE_PARTS, PagePart, PartitionHead, Row};
use crate::format::{BLOCK_BYTES, Damage, name};
use crate::sync::Mutex;
use crate::types::{CameraId, Error, Result};
use crate::vfs::{Vfs, VfsFile};

use super::CAMERA_BYTES;

/// An open partition.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) number: u32,
    /// The length of its file.
    pub(crate) file_bytes: u64,
    /// How many segments it was made for.
    pub(crate) rows: usize,
    /// How many parts its pages have.
    pub(crate) parts: u32,
    path: PathBuf,
    file: Arc<dyn VfsFile>,
    head_bytes: u64,
    salt: [u8; 16],
    cameras: BTreeMap<CameraId, Span>,
    firsts: Vec<i64>,
    problem: Mutex<Option<Error>>,
}

/// The parts of one camera: the number of the first, and how many there are.
#[derive(Clone, Copy, Debug)]
struct Span {
    first: usize,
    parts: usize,
}

impl Partition {
    /// Opens partition `number` of store `store`; gives its rows too, which are kept by whoever
    /// trusts them.
    ///
    /// # Errors
    ///
    /// `Corrupt` when its head is damaged, or another store's or version's; `Io`.
    pub(crate) fn open(vfs: &dyn Vfs, number: u32, store: &[u8; 16]) -> Result<(Self, Vec<Row>)> {
        let name = name::partition(number);
        let path = vfs.display_path(&name);
        let fail = |error| Error::io("open index partition", &path, error);
        let damaged = |damage| {
            Error::corrupt("open index partition").at(&path).at_offset(0).caused_by(damage)
        };
        let file = vfs.open(&name, false).map_err(fail)?;
        let file_bytes = file.len().map_err(fail)?;
        let mut head = vec![0; PAGE_BYTES];
        file.read_at(0, &mut head).map_err(fail)?;
        let head_bytes = PartitionHead::bytes_of(&head).map_err(damaged)?;
        if head_bytes > file_bytes {
            return Err(damaged(Damage::Short));
        }
        if head_bytes > BLOCK_BYTES {
            head = vec![0; usize::try_from(head_bytes).unwrap_or(PAGE_BYTES)];
            file.read_at(0, &mut head).map_err(fail)?;
        }
        let head = PartitionHead::decode(&head).map_err(damaged)?;
        if head.store != *store {
            return Err(damaged(Damage::Field("store")));
        }
        let mut first = 0;
        let mut cameras = BTreeMap::new();
        for (camera, parts) in head.cameras {
            let parts = usize::try_from(parts).unwrap_or(usize::MAX);
            cameras.insert(camera, Span { first, parts });
            first = first.saturating_add(parts);
        }
        let opened = Self {
            number,
            file_bytes,
            rows: head.rows.len(),
            parts: u32::try_from(first).unwrap_or(u32::MAX),
            path,
            file,
            head_bytes,
            salt: head.salt,
            cameras,
            firsts: head.firsts,
            problem: Mutex::default(),
        };
        Ok((opened, head.rows))
    }

    /// Its rows again, as its file has them.
    ///
    /// # Errors
    ///
    /// As [`Partition::open`].
    pub(crate) fn rows(&self, vfs: &dyn Vfs, store: &[u8; 16]) -> Result<Vec<Row>> {
        let again = Self::open(vfs, self.number, store);
        again.map(|(_, rows)| rows).inspect_err(|error| self.note_problem(error))
    }

    /// The cameras that have parts here, in order.
    pub(crate) fn cameras(&self) -> impl Iterator<Item = &CameraId> {
        self.cameras.keys()
    }

    /// Whether `camera` has parts here.
    pub(super) fn knows(&self, camera: &CameraId) -> bool {
        self.cameras.contains_key(camera)
    }

    /// Hands the parts of `camera` with `from_us <= start < to_us` to `each`, in order. After
    /// `parts_max` of them it ends at the next start, and answers that.
    ///
    /// # Errors
    ///
    /// When a page cannot be read or is damaged; what was handed out before is not all there is.
    pub(crate) fn range(
        &self,
        camera: &CameraId,
        (from_us, to_us): (i64, i64),
        parts_max: usize,
        mut each: impl FnMut(PagePart),
    ) -> Result<Option<i64>> {
        let Some(span) = self.cameras.get(camera).filter(|span| span.parts > 0) else {
            return Ok(None);
        };
        let end = span.first.saturating_add(span.parts);
        let (low, high) = (span.first / PAGE_PARTS, (end - 1) / PAGE_PARTS);
        // Every page behind the first one begins with a part of this camera.
        let later = self.firsts.get(low + 1..=high).unwrap_or_default();
        let begin = low + later.partition_point(|first| *first < from_us);
        let (mut found, mut newest) = (0, i64::MIN);
        for number in begin..=high {
            if number > low && self.firsts.get(number).is_some_and(|first| *first >= to_us) {
                break;
            }
            let page = self.page(number)?;
            let base = number * PAGE_PARTS;
            let own = span.first.saturating_sub(base)..end.saturating_sub(base).min(page.len());
            for (start, segment) in page.get(own).unwrap_or_default().iter().copied() {
                if start >= to_us {
                    return Ok(None);
                }
                if start < from_us {
                    continue;
                }
                if found >= parts_max && start != newest {
                    return Ok(Some(start));
                }
                (found, newest) = (found + 1, start);
                each((start, segment));
            }
        }
        Ok(None)
    }

    /// What was found wrong with it, if anything was.
    pub(crate) fn problem(&self) -> Option<Error> {
        self.problem.lock().clone()
    }

    /// About how many bytes of memory this takes.
    pub(super) fn bytes(&self) -> usize {
        self.firsts.capacity() * size_of::<i64>() + self.cameras.len() * CAMERA_BYTES
    }

    fn page(&self, number: usize) -> Result<Vec<PagePart>> {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let offset = self.head_bytes + u64::from(number) * BLOCK_BYTES;
        let fail = || Error::corrupt("read index partition").at(&self.path).at_offset(offset);
        let mut page = [0; PAGE_BYTES];
        let read = self.file.read_at(offset, &mut page).map_err(|error| fail().caused_by(error));
        let decode = || partition::decode_page(&page, &self.salt, number);
        let parts = read.and_then(|()| decode().map_err(|damage| fail().caused_by(damage)));
        parts.inspect_err(|error| self.note_problem(error))
    }

    fn note_problem(&self, error: &Error) {
        self.problem.lock().get_or_insert_with(|| error.clone());
    }
}
