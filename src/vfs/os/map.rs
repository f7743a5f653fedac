//! A read-only map of a file, with the only `unsafe` of the crate.
//!
//! A page that cannot be read is a signal when it is touched, and that signal kills the process.
//! So pages are brought in by `populate`, where the same failure is an ordinary error.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use memmap2::{Advice, Mmap, MmapOptions};
use rustix::io::Errno;

use crate::vfs::Map;

#[derive(Debug)]
pub(super) struct OsMap {
    map: Mmap,
}

impl OsMap {
    /// Maps `0..len`; the caller has checked that the file is that long.
    pub(super) fn new(file: &File, len: u64) -> io::Result<Self> {
        // More than the address space holds: the caller reads by copy, as it would without maps.
        let len = usize::try_from(len)
            .map_err(|error| io::Error::new(io::ErrorKind::Unsupported, error))?;
        map_file(file, len).map(|map| Self { map }).map_err(|error| {
            match error.raw_os_error().map(Errno::from_raw_os_error) {
                Some(Errno::NODEV | Errno::NOSYS | Errno::NOMEM) => {
                    io::Error::new(io::ErrorKind::Unsupported, error)
                }
                _ => error,
            }
        })
    }
}

#[expect(unsafe_code, reason = "a map is the only way to hand out stored bytes without a copy")]
fn map_file(file: &File, len: usize) -> io::Result<Mmap> {
    // SAFETY: the trait's contract makes mapped bytes immutable for as long as anybody has some of
    // them: only sealed ranges are mapped; no file is truncated or zeroed while it is mapped, be it
    // that its map is only kept (`Segment::retire` lets that go, and answers the file of an
    // unmapped segment alone); records are punched out only when nobody has a lease on their clip,
    // and then nobody has a reference to their bytes; the store's lock, which each lease keeps, has
    // nobody else open the folder and write there; and removing the name leaves the pages valid.
    unsafe { MmapOptions::new().len(len).map(file) }
}

impl OsMap {
    /// Where `range` begins in the map, and how long it is.
    fn inside(&self, range: Range<u64>) -> io::Result<(usize, usize)> {
        let start = usize::try_from(range.start).ok();
        let end = usize::try_from(range.end).ok().filter(|end| *end <= self.map.len());
        let inside = start.zip(end).and_then(|(start, end)| Some((start, end.checked_sub(start)?)));
        inside.ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }
}

impl Map for OsMap {
    fn bytes(&self) -> &[u8] {
        &self.map
    }

    fn populate(&self, range: Range<u64>) -> io::Result<()> {
        let (start, len) = self.inside(range)?;
        if len == 0 {
            return Ok(());
        }
        loop {
            let Err(error) = self.map.advise_range(Advice::PopulateRead, start, len) else {
                return Ok(());
            };
            return Err(match error.raw_os_error().map(Errno::from_raw_os_error) {
                Some(Errno::INTR | Errno::AGAIN) => continue,
                // Kernels before 5.14 do not know this advice.
                Some(Errno::INVAL) => io::Error::new(io::ErrorKind::Unsupported, error),
                // The kernel's word for a page whose reading failed.
                Some(Errno::FAULT) => Errno::IO.into(),
                _ => error,
            });
        }
    }

    fn kept(self: Arc<Self>) -> Option<Arc<dyn Map>> {
        Some(self)
    }
}
