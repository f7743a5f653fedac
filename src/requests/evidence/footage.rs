//! What a bundle must know of the media that clips are made of: how a part is cut, and which codec
//! it is.

use std::error;
use std::fmt;

use crate::{ClipReader, Result, Window};

/// Why a part could not be cut.
pub type TrimError = Box<dyn error::Error + Send + Sync>;

/// What knows the media that clips are made of. A function that cuts is enough; then no codec is
/// stated.
pub trait Footage: Send + Sync {
    /// Cuts a window out of a clip, as one file of its own. The same clip and window give the same
    /// bytes.
    ///
    /// # Errors
    ///
    /// When that cannot be done.
    fn cut(&self, clip: &ClipReader, part: Window)
    -> std::result::Result<Box<dyn Trim>, TrimError>;

    /// The codecs of a clip, as in the `codecs` parameter of RFC 6381; `None` where its bytes do
    /// not say.
    fn codecs(&self, _clip: &ClipReader) -> Option<String> {
        None
    }
}

impl fmt::Debug for dyn Footage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Footage")
    }
}

impl<F> Footage for F
where
    F: Fn(&ClipReader, Window) -> std::result::Result<Vec<u8>, TrimError> + Send + Sync,
{
    fn cut(
        &self,
        clip: &ClipReader,
        part: Window,
    ) -> std::result::Result<Box<dyn Trim>, TrimError> {
        Ok(Box::new(self(clip, part)?))
    }
}

/// What was cut out of a clip: a file of its own, which need not be in memory.
pub trait Trim: Send + Sync + fmt::Debug {
    /// How many bytes it has.
    fn len(&self) -> u64;

    /// Whether it has none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buf` with its bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// Those of the clip; `InvalidInput` past its end.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()>;
}

impl Trim for Vec<u8> {
    fn len(&self) -> u64 {
        u64::try_from(Vec::len(self)).unwrap_or(u64::MAX)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let begin = usize::try_from(offset).unwrap_or(usize::MAX);
        let wanted = begin.checked_add(buf.len()).and_then(|end| self.get(begin..end));
        let wanted = wanted.ok_or_else(|| crate::Error::invalid("read a part: past its end"))?;
        buf.copy_from_slice(wanted);
        Ok(())
    }
}
