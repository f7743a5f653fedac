//! The one error of the library: what failed, where, and what the caller can do.

use std::error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What the caller can do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The arguments are wrong; nothing was changed. Call again, corrected.
    InvalidInput,
    /// The named clip, camera, hold or store does not exist.
    NotFound,
    /// The clip existed and its expiry or deletion is on record; it does not come back.
    Expired,
    /// A hold protects the clip; it cannot be removed until the hold ends.
    Held,
    /// The hold would pin more bytes than its budget allows; nothing was placed.
    HoldBudget,
    /// The same idempotency key was used before with another scope.
    Conflict,
    /// The store was opened read-only, or became so after a failed write.
    ReadOnly,
    /// Another process has the store open, or this one has: a store, recorder or reader of it is
    /// left.
    Locked,
    /// There is no room, and nothing that may be dropped to make some.
    Full,
    /// The bytes are not the media they were said to be.
    Media,
    /// Bytes on disk are damaged; the path and offset say where.
    Corrupt,
    /// The operating system refused; `source` says why.
    Io,
    /// An earlier failure stopped this writer; reopen the store.
    Poisoned,
    /// The store or file is of a version or kind that this build cannot handle.
    Unsupported,
}

impl ErrorKind {
    /// A short stable name, for logs and `--json`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid-input",
            Self::NotFound => "not-found",
            Self::Expired => "expired",
            Self::Held => "held",
            Self::HoldBudget => "hold-budget",
            Self::Conflict => "conflict",
            Self::ReadOnly => "read-only",
            Self::Locked => "locked",
            Self::Full => "full",
            Self::Media => "media",
            Self::Corrupt => "corrupt",
            Self::Io => "io",
            Self::Poisoned => "poisoned",
            Self::Unsupported => "unsupported",
        }
    }
}

/// The error of every operation of the library.
///
/// [`Error::kind`] says what the caller can do. The message names the operation and the object;
/// [`Error::path`] and [`Error::offset`] say where on disk. The cause, when there is one, is
/// [`std::error::Error::source`] and is not repeated in the message.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    path: Option<PathBuf>,
    offset: Option<u64>,
    source: Option<std::sync::Arc<dyn error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind`; `message` names the operation and the object, lower case, no full stop.
    /// For what stands above the engine, and for those who implement a trait of this crate.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self(Box::new(Inner { kind, message, path: None, offset: None, source: None }))
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    pub(crate) fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }

    /// An I/O error at `path`; a full disk becomes `Full`, a read-only one `ReadOnly`.
    #[must_use]
    pub fn io(operation: &str, path: &Path, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => ErrorKind::Full,
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                ErrorKind::ReadOnly
            }
            _ => ErrorKind::Io,
        };
        Self::new(kind, operation).at(path).caused_by(source)
    }

    /// Adds where on disk it happened.
    #[must_use]
    pub fn at(mut self, path: &Path) -> Self {
        self.0.path = Some(path.to_owned());
        self
    }

    /// Adds the byte offset in the file.
    #[must_use]
    pub(crate) fn at_offset(mut self, offset: u64) -> Self {
        self.0.offset = Some(offset);
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl error::Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(std::sync::Arc::new(source));
        self
    }

    /// What the caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The file or folder it happened at, when there is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// The byte offset in [`Error::path`], when there is one.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        self.0.offset
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if let Some(path) = &self.0.path {
            write!(f, ": {}", path.display())?;
        }
        if let Some(offset) = self.0.offset {
            write!(f, " at byte {offset}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)?;
        match &self.0.source {
            Some(source) => write!(f, " ({source})"),
            None => Ok(()),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.0.source.as_deref().map(|source| {
            let source: &(dyn error::Error + 'static) = source;
            source
        })
    }
}

/// The result of every fallible operation of the library.
pub type Result<T> = std::result::Result<T, Error>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_says_where_and_does_not_repeat_the_source() {
        let error = Error::io(
            "write segment",
            Path::new("segments/00-0001.seg"),
            io::Error::new(io::ErrorKind::StorageFull, "no space"),
        )
        .at_offset(4096);
        assert_eq!(error.kind(), ErrorKind::Full);
        assert_eq!(error.to_string(), "write segment: segments/00-0001.seg at byte 4096");
        assert_eq!(error::Error::source(&error).unwrap().to_string(), "no space");
    }
}
