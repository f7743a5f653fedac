//! Cuts fragmented MP4 into clips, without ever holding more than one fragment.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use crate::cli::files;
use crate::media::{Fragment, FragmentParser, InitSegment, Piece};
use crate::types::{Error, Result};

/// How much of a file is read at once.
const READ_BYTES: usize = 256 << 10;
/// A hole in media time above this begins another clip: a clip is one stretch of time.
const HOLE_MAX: Duration = Duration::from_secs(1);

/// What becomes of the clips that a file is cut into.
pub(super) trait Sink {
    /// A clip begins, `start` after the beginning of the file, with the bytes of `init`.
    fn begin(&mut self, start: Duration, init: &InitSegment) -> Result<()>;
    /// A fragment of the clip that began last.
    fn fragment(&mut self, fragment: Fragment) -> Result<()>;
    /// The clip that began last is whole.
    fn end(&mut self) -> Result<()>;
}

/// How a file ended.
#[derive(Debug, Default)]
pub(super) struct End {
    /// Bytes of an unfinished fragment at its end.
    pub(super) lost_bytes: u64,
    /// Where it is no longer what it should be. What came before is good.
    pub(super) damage: Option<Error>,
}

/// Cuts `source` at key frames into clips of at most `split` (longer where key frames are further
/// apart), and hands them to `sink`.
///
/// # Errors
///
/// Those of `sink` and of reading; damage in the media is not one.
pub(super) fn cut(
    source: &mut impl Read,
    path: &Path,
    split: Duration,
    sink: &mut impl Sink,
) -> Result<End> {
    let mut cutter = Cutter { split, sink, init: None, open: None };
    let mut parser = FragmentParser::new();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = files::read_full(source, &mut buffer, path)?;
        parser.push(buffer.get(..read).unwrap_or(&[]));
        loop {
            match parser.next() {
                Ok(Some(piece)) => cutter.take(piece)?,
                Ok(None) => break,
                Err(damage) => {
                    cutter.end()?;
                    return Ok(End { lost_bytes: 0, damage: Some(damage) });
                }
            }
        }
        if read < buffer.len() {
            cutter.end()?;
            return Ok(End { lost_bytes: parser.finish(), damage: None });
        }
    }
}

struct Cutter<'a, S> {
    split: Duration,
    sink: &'a mut S,
    init: Option<InitSegment>,
    open: Option<Open>,
}

/// The clip that is being made.
struct Open {
    start: Duration,
    end: Duration,
}

impl<S: Sink> Cutter<'_, S> {
    fn take(&mut self, piece: Piece) -> Result<()> {
        match piece {
            Piece::Init(init) => {
                self.end()?;
                self.init = Some(init);
                Ok(())
            }
            Piece::Fragment(fragment) => self.fragment(fragment),
        }
    }

    fn fragment(&mut self, fragment: Fragment) -> Result<()> {
        let end = fragment.start.saturating_add(fragment.duration);
        let ends_clip = self.open.as_ref().is_some_and(|open| {
            let long = end.saturating_sub(open.start) > self.split;
            let hole = fragment.start.saturating_sub(open.end) > HOLE_MAX;
            (long && fragment.key) || hole || fragment.clock_set
        });
        if ends_clip {
            self.end()?;
        }
        if self.open.is_none() {
            // The parser gives no fragment before an init segment.
            let Some(init) = &self.init else { return Ok(()) };
            self.sink.begin(fragment.start, init)?;
            self.open = Some(Open { start: fragment.start, end });
        }
        if let Some(open) = &mut self.open {
            open.end = open.end.max(end);
        }
        self.sink.fragment(fragment)
    }

    fn end(&mut self) -> Result<()> {
        match self.open.take() {
            Some(_) => self.sink.end(),
            None => Ok(()),
        }
    }
}
