//! A stored clip as `media` reads it.
//!
//! The one place where the engine and `media` meet: neither knows of the other, and whoever has
//! both needs no adapter of its own.

use crate::media::ClipBytes;
use crate::{ClipReader, Result};

/// The bytes of the clip as it was when it was opened.
impl ClipBytes for ClipReader {
    fn len(&self) -> u64 {
        self.clip().len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        Self::read_at(self, offset, buf)
    }
}
