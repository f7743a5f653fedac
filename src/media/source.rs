//! Where the bytes of a clip come from: a slice, a store's reader, a file.

use std::fmt;
use std::io::{Read, Seek, SeekFrom};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::types::{Error, ErrorKind, Result};

/// The bytes of one stored clip, readable at any offset from any thread.
pub trait ClipBytes: Send + Sync + fmt::Debug {
    /// How many bytes there are.
    fn len(&self) -> u64;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buf` with the bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// Those of the source; `InvalidInput` when the range goes past the end.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()>;
}

impl ClipBytes for Bytes {
    fn len(&self) -> u64 {
        u64::try_from(Bytes::len(self)).unwrap_or(u64::MAX)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let wanted = start.checked_add(buf.len()).and_then(|end| self.get(start..end));
        buf.copy_from_slice(wanted.ok_or_else(|| past_the_end(offset, buf.len()))?);
        Ok(())
    }
}

/// Makes clip bytes of anything that reads and seeks, such as a file.
pub struct SeekBytes<R> {
    len: u64,
    inner: Mutex<R>,
}

impl<R: Read + Seek> SeekBytes<R> {
    /// The bytes of `inner` from its first to its last.
    ///
    /// # Errors
    ///
    /// `Io` when its end cannot be found.
    pub fn new(mut inner: R) -> Result<Self> {
        let len = inner.seek(SeekFrom::End(0)).map_err(|source| {
            Error::new(ErrorKind::Io, "find the length of a clip").caused_by(source)
        })?;
        Ok(Self { len, inner: Mutex::new(inner) })
    }
}

impl<R> fmt::Debug for SeekBytes<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeekBytes").field("len", &self.len).finish_non_exhaustive()
    }
}

impl<R: Read + Seek + Send> ClipBytes for SeekBytes<R> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let wanted = u64::try_from(buf.len()).unwrap_or(u64::MAX);
        if offset.checked_add(wanted).is_none_or(|end| end > self.len) {
            return Err(past_the_end(offset, buf.len()));
        }
        let mut inner = self.inner.lock();
        let read = inner.seek(SeekFrom::Start(offset)).and_then(|_| inner.read_exact(buf));
        read.map_err(|source| {
            Error::new(ErrorKind::Io, "read a clip").at_offset(offset).caused_by(source)
        })
    }
}

fn past_the_end(offset: u64, len: usize) -> Error {
    Error::invalid(format!("read {len} bytes of a clip: past its end")).at_offset(offset)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn both_sources_read_the_same_and_refuse_what_is_past_the_end() {
        let slice = Bytes::from_static(b"0123456789");
        let seek = SeekBytes::new(Cursor::new(slice.clone())).unwrap();
        let sources: [&dyn ClipBytes; 2] = [&slice, &seek];
        for source in sources {
            let mut buf = [0; 4];
            source.read_at(6, &mut buf).unwrap();
            assert_eq!((&buf, source.len()), (b"6789", 10));
            for offset in [7, 10, u64::MAX] {
                assert!(source.read_at(offset, &mut buf).is_err(), "{offset}");
            }
        }
    }
}
