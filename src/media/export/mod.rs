//! One playable, seekable MP4 for a window over several clips.
//!
//! An export is a plan: parts of memory (the boxes, made anew) and ranges of the clips (the
//! samples, bit by bit as recorded). Its length, and any range of it, are known before its first
//! byte is sent, so that a server can answer `HEAD` and `Range`.
//!
//! Both formats are made from the same list of samples, whatever the clips are stored as. Moofs
//! are therefore written anew, not patched: a patched one could not drop the sound that overlaps
//! at a join, and a plain MP4 has none to patch.

mod fragmented;
mod groups;
mod movie;
mod mp4;
mod timeline;
mod writer;

use std::fmt;
use std::io::Write;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use self::timeline::Builder;
use super::recording::load;
use super::source::ClipBytes;
use super::{MICROS, media_error, rescale};
use crate::types::{Error, ErrorKind, Result, Timestamp, Window};

/// The most samples in one export: about a day of 25 pictures and 16 packets of sound a second.
/// Planning takes some 100 bytes of memory for each.
pub const EXPORT_SAMPLES_MAX: usize = 4 << 20;
/// How much of a clip is copied at once.
const COPY_BYTES: usize = 256 << 10;

/// How an export is laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// One index in front of the media: for people, and whatever player they have.
    #[default]
    Mp4,
    /// `ftyp moov sidx` and fragments: for pipes, browsers and re-ingest.
    Fragmented,
}

/// One stored clip, for [`Export::plan`].
#[derive(Clone, Debug)]
pub struct ExportClip {
    start: Timestamp,
    name: String,
    bytes: Arc<dyn ClipBytes>,
}

impl ExportClip {
    /// The clip with these `bytes`, whose first picture was taken at `start`. `name` is for
    /// messages.
    #[must_use]
    pub fn new(start: Timestamp, name: impl Into<String>, bytes: Arc<dyn ClipBytes>) -> Self {
        Self { start, name: name.into(), bytes }
    }
}

/// The plan of one MP4 file over several clips.
///
/// # Example
///
/// ```no_run
/// use std::sync::Arc;
/// use clipkeep::Timestamp;
/// use clipkeep::media::{ClipBytes, Export, ExportClip, Format};
///
/// # fn example(stored: Arc<dyn ClipBytes>, out: &mut dyn std::io::Write) -> clipkeep::Result<()> {
/// let start: Timestamp = "2026-11-23T18:00:00Z".parse()?;
/// let clips = [ExportClip::new(start, "42-7", stored)];
/// let export = Export::plan(&clips, None, Format::Mp4)?;
/// println!("{} bytes over {}", export.len(), export.covered());
/// export.write_to(out)?;
/// # Ok(())
/// # }
/// ```
pub struct Export {
    clips: Vec<Arc<dyn ClipBytes>>,
    memory: Vec<u8>,
    parts: Vec<Part>,
    /// Where each part ends.
    ends: Vec<u64>,
    covered: Window,
    duration: Duration,
}

/// Where a stretch of the export comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Memory(Range<usize>),
    Clip { clip: u32, range: Range<u64> },
}

impl Part {
    fn len(&self) -> u64 {
        match self {
            Self::Memory(range) => u64::try_from(range.len()).unwrap_or(u64::MAX),
            Self::Clip { range, .. } => range.end - range.start,
        }
    }
}

impl Export {
    /// Plans the file over `clips`, in order of their starts, or the part of it in `window`.
    ///
    /// A file cannot begin or end within a group of pictures: all groups that overlap the window
    /// are taken whole, and [`Export::covered`] says what that comes to. Gaps between clips stay
    /// gaps. Only the indexes of the clips are read. Of a clip that was cut off, all whole
    /// fragments are taken.
    ///
    /// # Errors
    ///
    /// `Media` when a clip is damaged, or needs another decoder set-up than the clips before it
    /// (the message names the clip and its time); `NotFound` when nothing is in the window;
    /// `InvalidInput` without clips; those of the sources.
    pub fn plan(clips: &[ExportClip], window: Option<Window>, format: Format) -> Result<Self> {
        if clips.is_empty() {
            return Err(Error::invalid("export: no clips"));
        }
        let mut in_order: Vec<(u32, &ExportClip)> = (0..).zip(clips).collect();
        in_order.sort_by_key(|(_, clip)| clip.start);
        let mut room = EXPORT_SAMPLES_MAX;
        let mut config = None;
        let mut builder = Builder::new(window);
        for (number, clip) in in_order {
            let named = |error: Error| {
                let at = format!("export clip {} at {}", clip.name, clip.start);
                Error::new(error.kind(), at).caused_by(error)
            };
            let loaded = load(clip.bytes.as_ref(), &mut room).map_err(named)?;
            if *config.get_or_insert(loaded.init.config_id()) != loaded.init.config_id() {
                return Err(media_error(format!(
                    "export clip {} at {}: its decoder configuration differs from that of the \
                     clips before it; export the parts separately",
                    clip.name, clip.start
                )));
            }
            builder.add(number, clip.start, &loaded).map_err(named)?;
        }
        let timeline = builder.finish()?;
        let groups = groups::group(&timeline);
        let mut plan = Plan::default();
        match format {
            Format::Mp4 => mp4::lay_out(&timeline, &groups, &mut plan),
            Format::Fragmented => fragmented::lay_out(&timeline, &groups, &mut plan)?,
        }
        let duration = timeline.tracks.iter().map(|track| {
            let us = rescale(track.end(), track.track.timescale(), MICROS);
            Duration::from_micros(u64::try_from(us).unwrap_or(0))
        });
        Ok(Self {
            clips: clips.iter().map(|clip| Arc::clone(&clip.bytes)).collect(),
            memory: plan.memory,
            parts: plan.parts,
            ends: plan.ends,
            covered: timeline.covered,
            duration: duration.max().unwrap_or_default(),
        })
    }

    /// How many bytes the file has.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "an export has at least one sample")]
    pub fn len(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// The window that is really shown: from the first picture to the end of the last.
    #[must_use]
    pub fn covered(&self) -> Window {
        self.covered
    }

    /// How long the file plays, gaps included.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// Writes the whole file to `out`.
    ///
    /// # Errors
    ///
    /// As [`Export::write_range`].
    pub fn write_to(&self, out: &mut dyn Write) -> Result<()> {
        self.write_range(0..self.len(), out)
    }

    /// Writes the bytes of `range` to `out`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when the range goes past the end; `Io` when `out` fails; those of the
    /// sources.
    pub fn write_range(&self, range: Range<u64>, out: &mut dyn Write) -> Result<()> {
        if range.start > range.end || range.end > self.len() {
            let len = self.len();
            return Err(Error::invalid(format!("range {range:?} of an export of {len} bytes")));
        }
        let mut buffer = Vec::new();
        let mut at = range.start;
        let mut index = self.ends.partition_point(|&end| end <= at);
        while at < range.end {
            let (Some(part), Some(&end)) = (self.parts.get(index), self.ends.get(index)) else {
                break;
            };
            let skip = at - (end - part.len());
            let len = range.end.min(end) - at;
            self.write_part(part, skip, len, &mut buffer, out)?;
            at += len;
            index += 1;
        }
        Ok(())
    }

    /// Fills `buf` with the bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// As [`Export::write_range`].
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let len = u64::try_from(buf.len()).unwrap_or(u64::MAX);
        self.write_range(offset..offset.saturating_add(len), &mut &mut *buf)
    }

    fn write_part(
        &self,
        part: &Part,
        skip: u64,
        len: u64,
        buffer: &mut Vec<u8>,
        out: &mut dyn Write,
    ) -> Result<()> {
        match part {
            Part::Memory(range) => {
                let start = range.start + usize::try_from(skip).unwrap_or(usize::MAX);
                let end = start.saturating_add(usize::try_from(len).unwrap_or(usize::MAX));
                write_all(out, self.memory.get(start..end).unwrap_or(&[]))
            }
            Part::Clip { clip, range } => {
                let index = usize::try_from(*clip).unwrap_or(usize::MAX);
                let Some(bytes) = self.clips.get(index) else { return Ok(()) };
                let (mut at, end) = (range.start + skip, range.start + skip + len);
                while at < end {
                    let step = usize::try_from(end - at).unwrap_or(usize::MAX).min(COPY_BYTES);
                    buffer.resize(step, 0);
                    bytes.read_at(at, buffer)?;
                    write_all(out, buffer)?;
                    at += u64::try_from(step).unwrap_or(u64::MAX);
                }
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Export")
            .field("len", &self.len())
            .field("covered", &self.covered)
            .field("parts", &self.parts.len())
            .finish_non_exhaustive()
    }
}

fn write_all(out: &mut dyn Write, bytes: &[u8]) -> Result<()> {
    out.write_all(bytes)
        .map_err(|source| Error::new(ErrorKind::Io, "write an export").caused_by(source))
}

/// The parts of an export, while they are put one after another.
#[derive(Debug, Default)]
struct Plan {
    memory: Vec<u8>,
    parts: Vec<Part>,
    ends: Vec<u64>,
}

impl Plan {
    fn memory(&mut self, bytes: &[u8]) {
        let start = self.memory.len();
        self.memory.extend_from_slice(bytes);
        self.push(Part::Memory(start..self.memory.len()));
    }

    /// Adds bytes of a clip, to the last part where they follow it.
    fn clip(&mut self, clip: u32, offset: u64, len: u64) {
        if let (Some(Part::Clip { clip: last, range }), Some(end)) =
            (self.parts.last_mut(), self.ends.last_mut())
            && (*last, range.end) == (clip, offset)
        {
            range.end += len;
            *end += len;
            return;
        }
        self.push(Part::Clip { clip, range: offset..offset + len });
    }

    fn push(&mut self, part: Part) {
        let len = part.len();
        if len > 0 {
            self.ends.push(self.ends.last().copied().unwrap_or(0) + len);
            self.parts.push(part);
        }
    }
}

#[cfg(test)]
mod tests;
