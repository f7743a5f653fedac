//! One playable, seekable MP4 for a window over several clips.
//!
//! An export is a plan ([`ExportPlan`]) with the clips that it is of. Its length, and any range of
//! it, are known before its first byte is sent, so that a server can answer `HEAD` and `Range`.
//!
//! Both formats are made from the same list of samples, whatever the clips are stored as. Moofs
//! are therefore written anew, not patched: a patched one could not drop the sound that overlaps
//! at a join, and a plain MP4 has none to patch.

mod fragmented;
mod groups;
mod movie;
mod mp4;
mod plan;
mod timeline;
mod writer;

pub use plan::{ExportPart, ExportPlan};

use std::error;
use std::fmt;
use std::io::Write;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use self::plan::Parts;
use self::timeline::Builder;
use super::init::ConfigId;
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
    digest: Option<[u8; 32]>,
}

impl ExportClip {
    /// The clip with these `bytes`, whose first picture was taken at `start`. `name` is for
    /// messages.
    #[must_use]
    pub fn new(start: Timestamp, name: impl Into<String>, bytes: Arc<dyn ClipBytes>) -> Self {
        Self { start, name: name.into(), bytes, digest: None }
    }

    /// What identifies its bytes, such as the digest that the store took of them: see
    /// [`ExportPlan::digest`].
    #[must_use]
    pub fn digest(mut self, digest: [u8; 32]) -> Self {
        self.digest = Some(digest);
        self
    }
}

/// Why several clips cannot be one file: the source of the error of [`Export::plan`].
///
/// One file has one decoder set-up. The clips up to `at` can be one file, and those from
/// `resume` on another.
///
/// # Example
///
/// ```
/// use std::error::Error as _;
/// use clipkeep::media::{DecoderChange, Export};
///
/// let error = Export::plan(&[], None, Default::default()).unwrap_err();
/// let change = error.source().and_then(|source| source.downcast_ref::<DecoderChange>());
/// assert!(change.is_none(), "there was nothing to export at all");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecoderChange {
    /// Where the first clip with another decoder set-up begins.
    pub at: Timestamp,
    /// Where all clips with the set-up before it have ended: later than `at` where they overlap.
    pub resume: Timestamp,
}

impl fmt::Display for DecoderChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, resume } = self;
        write!(f, "the decoder configuration changes: ask for what ends at {at}")?;
        write!(f, ", and for what starts at {resume}, each by itself")
    }
}

impl error::Error for DecoderChange {}

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
    plan: ExportPlan,
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
    /// (the message names the clip and its time, the source is a [`DecoderChange`]); `NotFound`
    /// when nothing is in the window; `InvalidInput` without clips; those of the sources.
    pub fn plan(clips: &[ExportClip], window: Option<Window>, format: Format) -> Result<Self> {
        Self::plan_at_most(EXPORT_SAMPLES_MAX, clips, window, format)
    }

    /// The same for a file of at most `samples_max` pictures and packets of sound: for a server,
    /// whose memory is shared by all who ask. More than [`EXPORT_SAMPLES_MAX`] it never is.
    ///
    /// # Errors
    ///
    /// As [`Export::plan`]; `Media` also when the clips have more samples than that.
    pub fn plan_at_most(
        samples_max: usize,
        clips: &[ExportClip],
        window: Option<Window>,
        format: Format,
    ) -> Result<Self> {
        if clips.is_empty() {
            return Err(Error::invalid("export: no clips"));
        }
        let mut in_order: Vec<(u32, &ExportClip)> = (0..).zip(clips).collect();
        in_order.sort_by_key(|(_, clip)| clip.start);
        let mut room = samples_max.min(EXPORT_SAMPLES_MAX);
        let mut config = None;
        let mut builder = Builder::new(window);
        for (number, clip) in in_order {
            let named = |error: Error| {
                let at = format!("export clip {} at {}", clip.name, clip.start);
                Error::new(error.kind(), at).caused_by(error)
            };
            let loaded = load(clip.bytes.as_ref(), &mut room).map_err(named)?;
            let own = loaded.init.config_id();
            check_config(*config.get_or_insert(own), own, clip, builder.recorded_until())?;
            builder.add(number, clip.start, &loaded).map_err(named)?;
        }
        let timeline = builder.finish()?;
        let groups = groups::group(&timeline);
        let mut parts = Parts::default();
        match format {
            Format::Mp4 => mp4::lay_out(&timeline, &groups, &mut parts),
            Format::Fragmented => fragmented::lay_out(&timeline, &groups, &mut parts)?,
        }
        let duration = timeline.tracks.iter().map(|track| {
            let us = rescale(track.end(), track.track.timescale(), MICROS);
            Duration::from_micros(u64::try_from(us).unwrap_or(0))
        });
        let duration = duration.max().unwrap_or_default();
        let digests: Vec<_> = clips.iter().map(|clip| clip.digest).collect();
        let plan = ExportPlan::new(parts, &digests, timeline.covered, duration);
        Ok(Self { clips: clips.iter().map(|clip| Arc::clone(&clip.bytes)).collect(), plan })
    }

    /// The plan without the clips: for keeping it, when the clips must not be kept open with it.
    #[must_use]
    pub fn into_plan(self) -> ExportPlan {
        self.plan
    }

    /// How many bytes the file has.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "an export has at least one sample")]
    pub fn len(&self) -> u64 {
        self.plan.len()
    }

    /// The window that is really shown: from the first picture to the end of the last.
    #[must_use]
    pub fn covered(&self) -> Window {
        self.plan.covered()
    }

    /// How long the file plays, gaps included.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.plan.duration()
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
        let mut buffer = Vec::new();
        for part in self.plan.parts(range)? {
            match part {
                ExportPart::Memory(bytes) => write_all(out, &bytes)?,
                ExportPart::Clip { clip, range } => {
                    let Some(bytes) = self.clips.get(clip) else { continue };
                    copy(bytes.as_ref(), range, &mut buffer, out)?;
                }
            }
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
}

impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Export").field("plan", &self.plan).finish_non_exhaustive()
    }
}

/// That `clip` has the decoder set-up of those before it, which have been recorded `until` then.
fn check_config(first: ConfigId, own: ConfigId, clip: &ExportClip, until: Timestamp) -> Result<()> {
    if first == own {
        return Ok(());
    }
    let (name, at) = (&clip.name, clip.start);
    let change = DecoderChange { at, resume: until.max(at) };
    Err(media_error(format!(
        "export clip {name} at {at}: its decoder configuration differs from that of the clips \
         before it; export the parts separately"
    ))
    .caused_by(change))
}

/// Copies `range` of a clip through `buffer`, so that memory does not grow with the range.
fn copy(
    bytes: &dyn ClipBytes,
    range: Range<u64>,
    buffer: &mut Vec<u8>,
    out: &mut dyn Write,
) -> Result<()> {
    let mut at = range.start;
    while at < range.end {
        let step = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(COPY_BYTES);
        buffer.resize(step, 0);
        bytes.read_at(at, buffer)?;
        write_all(out, buffer)?;
        at += u64::try_from(step).unwrap_or(u64::MAX);
    }
    Ok(())
}

fn write_all(out: &mut dyn Write, bytes: &[u8]) -> Result<()> {
    out.write_all(bytes)
        .map_err(|source| Error::new(ErrorKind::Io, "write an export").caused_by(source))
}

#[cfg(test)]
mod tests;
