//! What an export is made of, part by part: bytes in memory, and ranges of the clips.
//!
//! Owns the boxes that were made anew, and none of the footage: a plan can be kept while the clips
//! that it is of are closed, and expire. Any range of the file is found by one binary search.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use crate::types::{Error, Result, Window};

/// A stretch of an export: where its bytes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportPart {
    /// These bytes.
    Memory(Bytes),
    /// These bytes of a clip, as they are stored.
    Clip {
        /// Its place among the clips that were given to `Export::plan`.
        clip: usize,
        /// Which of its bytes.
        range: Range<u64>,
    },
}

/// The plan of an export, without the clips that it is of.
///
/// # Example
///
/// ```
/// use std::sync::Arc;
/// use bytes::Bytes;
/// use clipkeep::Timestamp;
/// use clipkeep::media::{Export, ExportClip, ExportPart, Format};
///
/// let stored = Bytes::from_static(include_bytes!("../../../tests/fixtures/video.mp4"));
/// let clip = ExportClip::new(Timestamp::EPOCH, "42-7", Arc::new(stored.clone()));
/// let plan = Export::plan(&[clip], None, Format::Mp4)?.into_plan();
/// // The last 100 bytes of the file are samples of the clip, wherever they are in it.
/// let parts: Vec<ExportPart> = plan.parts(plan.len() - 100..plan.len())?.collect();
/// assert!(parts.iter().all(|part| matches!(part, ExportPart::Clip { clip: 0, .. })));
/// assert!(plan.parts(0..plan.len() + 1).is_err());
/// # Ok::<(), clipkeep::Error>(())
/// ```
#[derive(Clone)]
pub struct ExportPlan {
    memory: Bytes,
    parts: Vec<Part>,
    /// Where each part ends.
    ends: Vec<u64>,
    covered: Window,
    duration: Duration,
    digest: Option<[u8; 32]>,
}

impl ExportPlan {
    pub(super) fn new(
        parts: Parts,
        digests: &[Option<[u8; 32]>],
        covered: Window,
        duration: Duration,
    ) -> Self {
        let digest = parts.digest(digests);
        let Parts { memory, list: mut parts, mut ends } = parts;
        parts.shrink_to_fit();
        ends.shrink_to_fit();
        Self { memory: Bytes::from(memory), parts, ends, covered, duration, digest }
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

    /// What identifies every byte of the file, for a strong `ETag`: two plans with the same digest
    /// are of the same bytes, whatever version of this library made them. `None` when the bytes of
    /// a clip were not identified by [`ExportClip::digest`](super::ExportClip::digest).
    #[must_use]
    pub fn digest(&self) -> Option<[u8; 32]> {
        self.digest
    }

    /// How much memory the plan takes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let each = size_of::<Part>() + size_of::<u64>();
        self.memory.len() + self.parts.len() * each + size_of::<Self>()
    }

    /// What the bytes of `range` are made of, in order.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when the range goes past the end.
    pub fn parts(&self, range: Range<u64>) -> Result<impl Iterator<Item = ExportPart> + '_> {
        if range.start > range.end || range.end > self.len() {
            let len = self.len();
            return Err(Error::invalid(format!("range {range:?} of an export of {len} bytes")));
        }
        let mut at = range.start;
        let mut index = self.ends.partition_point(|&end| end <= at);
        Ok(std::iter::from_fn(move || {
            if at >= range.end {
                return None;
            }
            let (part, end) = (self.parts.get(index)?, *self.ends.get(index)?);
            let skip = at - (end - part.len());
            let len = range.end.min(end) - at;
            at += len;
            index += 1;
            Some(self.cut(part, skip, len))
        }))
    }

    /// `len` bytes of `part` from its byte `skip` on, all of which it has.
    fn cut(&self, part: &Part, skip: u64, len: u64) -> ExportPart {
        match part {
            Part::Memory(range) => {
                let skip = usize::try_from(skip).unwrap_or(usize::MAX);
                let start = range.start.saturating_add(skip).min(range.end);
                let len = usize::try_from(len).unwrap_or(usize::MAX);
                let end = start.saturating_add(len).min(range.end);
                ExportPart::Memory(self.memory.slice(start..end))
            }
            Part::Clip { clip, range } => {
                let start = range.start + skip;
                let clip = usize::try_from(*clip).unwrap_or(usize::MAX);
                ExportPart::Clip { clip, range: start..start + len }
            }
        }
    }
}

impl fmt::Debug for ExportPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExportPlan")
            .field("len", &self.len())
            .field("covered", &self.covered)
            .field("parts", &self.parts.len())
            .finish_non_exhaustive()
    }
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

/// The parts of an export, while they are put one after another.
#[derive(Debug, Default)]
pub(super) struct Parts {
    memory: Vec<u8>,
    list: Vec<Part>,
    ends: Vec<u64>,
}

impl Parts {
    pub(super) fn memory(&mut self, bytes: &[u8]) {
        let start = self.memory.len();
        self.memory.extend_from_slice(bytes);
        self.push(Part::Memory(start..self.memory.len()));
    }

    /// Adds bytes of a clip, to the last part where they follow it.
    pub(super) fn clip(&mut self, clip: u32, offset: u64, len: u64) {
        if let (Some(Part::Clip { clip: last, range }), Some(end)) =
            (self.list.last_mut(), self.ends.last_mut())
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
            self.list.push(part);
        }
    }

    /// A digest over all that decides what the bytes are: what is in memory, and for what is not,
    /// which bytes of which clip. `None` when one of the clips has no digest of its own.
    fn digest(&self, clips: &[Option<[u8; 32]>]) -> Option<[u8; 32]> {
        let mut hasher = blake3::Hasher::new();
        let memory_len = u64::try_from(self.memory.len()).unwrap_or(u64::MAX);
        hasher.update(&memory_len.to_le_bytes()).update(&self.memory);
        for part in &self.list {
            // Memory parts are stretches of `memory`, one after another: their lengths say where
            // each of them stands.
            hasher.update(&part.len().to_le_bytes());
            match part {
                Part::Memory(_) => {
                    hasher.update(&[0]);
                }
                Part::Clip { clip, range } => {
                    let digest = clips.get(usize::try_from(*clip).ok()?).copied().flatten()?;
                    hasher.update(&[1]);
                    hasher.update(&range.start.to_le_bytes());
                    hasher.update(&digest);
                }
            }
        }
        Some(*hasher.finalize().as_bytes())
    }
}
