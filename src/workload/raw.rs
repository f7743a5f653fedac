//! The raw limit of a disk: the same bytes into preallocated files, CRC32, the same syncs, and
//! nothing else.
//!
//! It promises no more than that and finds nothing after a restart: it is what a store would be if
//! keeping clips were free. Where clips are is a vector in memory for each camera.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::vfs::os::raw::RawFile;
use crate::{CameraId, Timestamp, Window};

use super::{Keeper, Outcome, Street, Take};

const BLOCK_BYTES: u64 = 4096;
/// Clips that are written with one sync where writing is not measured.
const FILL_CLIPS: u64 = 16;

/// The raw limit, buffered or past the page cache.
#[derive(Debug)]
pub struct RawKeeper {
    dir: PathBuf,
    /// What the names of its files begin with.
    prefix: String,
    direct: bool,
    file_bytes: u64,
    /// Oldest first; the last one is written to, from `next` on.
    files: VecDeque<Written>,
    next: u64,
    made: u64,
    syncs: u64,
    clips: BTreeMap<CameraId, VecDeque<Place>>,
    buf: Vec<u8>,
    /// What becomes of files of which all is due.
    due: Due,
    /// Those that are written to again.
    free: Vec<RawFile>,
}

/// What becomes of a file of which all is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Removed,
    Zeroed,
    Overwritten,
}

#[derive(Debug)]
struct Written {
    number: u64,
    file: RawFile,
    newest: Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    window: Window,
    file: u64,
    offset: u64,
    len: usize,
    crc: u32,
}

impl RawKeeper {
    /// Writes files of `file_bytes` in the existing folder `dir`; `direct` passes the page cache
    /// by.
    ///
    /// # Errors
    ///
    /// When there is no room, or the file system knows no direct writes.
    pub fn open(dir: &Path, direct: bool, file_bytes: u64) -> Outcome<Self> {
        Self::named(dir, if direct { "direct" } else { "buffered" }, direct, file_bytes)
    }

    fn named(dir: &Path, prefix: &str, direct: bool, file_bytes: u64) -> Outcome<Self> {
        let mut keeper = Self {
            dir: dir.to_owned(),
            prefix: prefix.to_owned(),
            direct,
            file_bytes,
            files: VecDeque::new(),
            next: 0,
            made: 0,
            syncs: 0,
            clips: BTreeMap::new(),
            buf: Vec::new(),
            due: Due::Removed,
            free: Vec::new(),
        };
        keeper.begin_file()?;
        Ok(keeper)
    }

    /// Zeroes the files of which all is due from now on, and writes to them again, in place of
    /// removing them, where the file system can.
    #[must_use]
    pub fn zeroing(mut self) -> Self {
        self.due = Due::Zeroed;
        self
    }

    /// Writes over the files of which all is due from now on: what was in them can be read until
    /// then. Whoever keeps footage may not do so; nobody can expire for less.
    #[must_use]
    pub fn overwriting(mut self) -> Self {
        self.due = Due::Overwritten;
        self
    }

    fn begin_file(&mut self) -> Outcome<()> {
        let path = self.dir.join(format!("{}-{:04}.raw", self.prefix, self.made));
        let file = match self.free.pop() {
            Some(file) => file,
            None => RawFile::create(&path, self.file_bytes, self.direct)?,
        };
        self.files.push_back(Written { number: self.made, file, newest: Timestamp::MIN });
        self.made += 1;
        self.next = 0;
        Ok(())
    }

    /// Writes as many of `group` as the file has room for, in one call, and answers how many.
    fn put(&mut self, group: &[Take]) -> Outcome<usize> {
        const PIECES_MAX: usize = 512;
        let current = self.files.back_mut().ok_or("no file to write to")?;
        let (mut offset, mut pieces) = (self.next, Vec::new());
        for take in group.iter().take(PIECES_MAX) {
            let blocks = u64::try_from(take.blocks.len())?;
            if offset + blocks > self.file_bytes {
                break;
            }
            let crc = crc32fast::hash(&take.bytes);
            let (window, len) = (take.window, take.bytes.len());
            let place = Place { window, file: current.number, offset, len, crc };
            self.clips.entry(take.camera.clone()).or_default().push_back(place);
            current.newest = current.newest.max(window.end());
            pieces.push(&take.blocks[..]);
            offset += blocks;
        }
        current.file.write_at(self.next, &pieces)?;
        self.next = offset;
        Ok(pieces.len())
    }

    /// Another one, beside the files of this one, with `clips` clips of `street`. The names of its
    /// files begin with `prefix`.
    ///
    /// # Errors
    ///
    /// As [`RawKeeper::open`].
    pub(super) fn filled(&self, prefix: &str, street: &Street, clips: u64) -> Outcome<Self> {
        let clip = u64::try_from(street.clip_bytes())?.next_multiple_of(BLOCK_BYTES);
        let mut keeper = Self::named(&self.dir, prefix, self.direct, clips * clip)?;
        for first in (0..clips).step_by(usize::try_from(FILL_CLIPS)?) {
            keeper.keep(&street.takes(first, FILL_CLIPS.min(clips - first))?)?;
        }
        keeper.drop_cache();
        Ok(keeper)
    }

    /// Remembers clips as if they were written: a vector in memory to look things up in, which no
    /// store can be faster than.
    pub fn note(&mut self, takes: &[Take]) {
        for take in takes {
            let len = take.bytes.len();
            let place = Place { window: take.window, file: u64::MAX, offset: 0, len, crc: 0 };
            self.clips.entry(take.camera.clone()).or_default().push_back(place);
        }
    }

    fn place_of(&self, camera: &CameraId, start: Timestamp) -> Outcome<Place> {
        let places = self.clips.get(camera).ok_or("no such camera")?;
        let at = places.partition_point(|place| place.window.start() < start);
        Ok(*places.get(at).ok_or("no such clip")?)
    }

    /// Reads `range` of the clip at `place`.
    fn fetch(&mut self, place: Place, range: Range<usize>) -> Outcome<&[u8]> {
        let written = self.files.iter().find(|written| written.number == place.file);
        let file = &written.ok_or("its file is gone")?.file;
        // A direct read wants an aligned buffer and whole blocks.
        let align = usize::try_from(BLOCK_BYTES)?;
        let first = if self.direct { range.start / align * align } else { range.start };
        let len = range.end.saturating_sub(first);
        let read = if self.direct { len.next_multiple_of(align) } else { len };
        if self.buf.len() < read + align {
            self.buf.resize(read + align, 0);
        }
        let from = self.buf.as_ptr().align_offset(align);
        let buf = self.buf.get_mut(from..from + read).ok_or("a buffer cannot be aligned")?;
        file.read_at(place.offset + u64::try_from(first)?, buf)?;
        Ok(buf.get(range.start - first..len).unwrap_or_default())
    }

    fn sync(&mut self) -> Outcome<()> {
        self.syncs += 1;
        Ok(self.files.back().ok_or("no file to sync")?.file.sync()?)
    }

    /// Forgets what of its files is cached.
    pub fn drop_cache(&self) {
        self.files.iter().for_each(|written| written.file.drop_cache());
    }
}

impl Keeper for RawKeeper {
    fn name(&self) -> String {
        let kind = if self.direct { "O_DIRECT" } else { "buffered" };
        let due = if self.due == Due::Overwritten { ", nothing erased" } else { "" };
        format!("raw limit, {kind}{due}")
    }

    fn settings(&self) -> String {
        let due = match self.due {
            Due::Removed => "",
            Due::Zeroed => ", zeroed and used again when all in them is due",
            Due::Overwritten => ", written over when all in them is due",
        };
        format!("preallocated files of {} MiB{due}, CRC32, fdatasync", self.file_bytes >> 20)
    }

    fn keep(&mut self, group: &[Take]) -> Outcome<()> {
        let mut rest = group;
        while !rest.is_empty() {
            let put = self.put(rest)?;
            self.sync()?;
            rest = rest.get(put..).unwrap_or_default();
            if !rest.is_empty() {
                self.begin_file()?;
            }
        }
        Ok(())
    }

    fn find(&mut self, camera: &CameraId, window: Window) -> Outcome<Vec<Window>> {
        let Some(places) = self.clips.get(camera) else { return Ok(Vec::new()) };
        let first = places.partition_point(|place| place.window.end() <= window.start());
        let found = places.range(first..).map(|place| place.window);
        Ok(found.take_while(|found| found.start() < window.end()).collect())
    }

    fn read(
        &mut self,
        camera: &CameraId,
        start: Timestamp,
        each: &mut dyn FnMut(&[u8]),
    ) -> Outcome<()> {
        let place = self.place_of(camera, start)?;
        let bytes = self.fetch(place, 0..place.len)?;
        if crc32fast::hash(bytes) != place.crc {
            return Err("checksum of a raw clip".into());
        }
        each(bytes);
        Ok(())
    }

    /// Not checked: there is one checksum a clip.
    fn read_range(
        &mut self,
        camera: &CameraId,
        start: Timestamp,
        range: Range<u64>,
        each: &mut dyn FnMut(&[u8]),
    ) -> Outcome<()> {
        let place = self.place_of(camera, start)?;
        let range = usize::try_from(range.start)?..usize::try_from(range.end)?.min(place.len);
        each(self.fetch(place, range)?);
        Ok(())
    }

    fn expire(&mut self, before: Timestamp) -> Outcome<()> {
        while self.files.len() > 1 && self.files.front().is_some_and(|old| old.newest <= before) {
            let gone = self.files.pop_front().ok_or("a file that was there")?;
            let is_free = match self.due {
                Due::Removed => false,
                Due::Zeroed => gone.file.zero(self.file_bytes)?,
                Due::Overwritten => true,
            };
            self.free.extend(is_free.then_some(gone.file));
        }
        for places in self.clips.values_mut() {
            while places.front().is_some_and(|place| place.window.end() <= before) {
                places.pop_front();
            }
        }
        Ok(())
    }

    fn syncs(&self) -> Option<u64> {
        Some(self.syncs)
    }

    fn disk_bytes(&self) -> Outcome<u64> {
        let files = u64::try_from(self.files.len())?;
        Ok(files.saturating_mul(self.file_bytes).saturating_add(self.kept_bytes()?))
    }

    fn kept_bytes(&self) -> Outcome<u64> {
        Ok(u64::try_from(self.free.len())?.saturating_mul(self.file_bytes))
    }
}
