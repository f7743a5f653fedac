//! A partition file of the index, open for lookups.
//!
//! Owns the file and, of what is in it, the camera directory and the first start of each page: 8
//! bytes for 42 parts. A few pages are mapped, where the system can, and many are read; they are
//! checked each time that a lookup needs them: a map shows what the disk has now. Immutable: which
//! of its segments still count is what [`super::Timelines`] knows.

use std::io;
use std::ops::{Deref, Range};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::format::page::{PAGE_BYTES, PAGE_PARTS, PAGE_SUMMARIES, Page, Summaries, Summary};
use crate::format::page_part::PartBytes;
use crate::format::partition::{PartitionHead, Row};
use crate::format::{BLOCK_BYTES, Damage, name};
use crate::sync::Mutex;
use crate::types::{CameraId, Error, Result, SegmentId, Timestamp};
use crate::vfs::{Map, Vfs, VfsFile};

/// So many pages are read at once, at most.
pub(super) const READ_PAGES_MAX: usize = 25;
/// Longer stretches are copied: to map a page for the first time costs more than to copy it, and
/// whoever reads many reads them once.
const MAPPED_PAGES_MAX: usize = 8;

/// An open partition.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) number: u32,
    /// The length of its file.
    pub(crate) file_bytes: u64,
    /// The segments that it was made for.
    pub(crate) segments: Vec<SegmentId>,
    /// How many parts its pages have.
    pub(crate) parts: u32,
    path: PathBuf,
    file: Arc<dyn VfsFile>,
    /// All of the file; `None` where there are no maps.
    map: Option<Arc<dyn Map>>,
    head_bytes: u64,
    salt: [u8; 16],
    /// By id.
    cameras: Vec<(CameraId, Span)>,
    firsts: Vec<i64>,
    problem: Mutex<Option<Error>>,
}

/// Pages that stand together: as the map has them, or read.
enum Pages<'a> {
    Mapped(&'a [u8]),
    Read(Vec<u8>),
}

impl Deref for Pages<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(bytes) => bytes,
            Self::Read(bytes) => bytes,
        }
    }
}

/// The parts of one camera: the number of the first, how many there are, and when the first and the
/// last of them start, in µs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    first: usize,
    pub(super) parts: usize,
    /// The number of its first share of a page, of all that cameras have on pages.
    first_share: usize,
    pub(super) starts: (i64, i64),
}

impl Span {
    pub(super) const fn end(&self) -> usize {
        self.first.saturating_add(self.parts)
    }

    /// The pages on which it has parts.
    const fn pages(&self) -> Range<usize> {
        self.first / PAGE_PARTS..self.end().div_ceil(PAGE_PARTS)
    }
}

impl Partition {
    /// Opens partition `number` of store `store`; gives its rows too, which are kept by whoever
    /// trusts them.
    ///
    /// # Errors
    ///
    /// `Corrupt` when its head is damaged, or another store's or version's; `Io`.
    pub(crate) fn open(vfs: &dyn Vfs, number: u32, store: &[u8; 16]) -> Result<(Self, Vec<Row>)> {
        let name = name::partition(number);
        let path = vfs.display_path(&name);
        let fail = |error| Error::io("open index partition", &path, error);
        let damaged = |damage| {
            Error::corrupt("open index partition").at(&path).at_offset(0).caused_by(damage)
        };
        let file = vfs.open(&name, false).map_err(fail)?;
        let file_bytes = file.len().map_err(fail)?;
        let mut head = file.read_vec(0, PAGE_BYTES).map_err(fail)?;
        let head_bytes = PartitionHead::bytes_of(&head).map_err(damaged)?;
        if head_bytes > file_bytes {
            return Err(damaged(Damage::Short));
        }
        if head_bytes > BLOCK_BYTES {
            let len = usize::try_from(head_bytes).unwrap_or(PAGE_BYTES);
            head = file.read_vec(0, len).map_err(fail)?;
        }
        let head = PartitionHead::decode(&head).map_err(damaged)?;
        if head.store != *store {
            return Err(damaged(Damage::Field("store")));
        }
        let (mut first, mut first_share) = (0, 0);
        let mut cameras = Vec::with_capacity(head.cameras.len());
        for of in head.cameras {
            let parts = usize::try_from(of.parts).unwrap_or(usize::MAX);
            let span = Span { first, parts, first_share, starts: of.starts };
            first = span.end();
            first_share = first_share.saturating_add(span.pages().len());
            cameras.push((of.camera, span));
        }
        let opened = Self {
            number,
            file_bytes,
            segments: head.rows.iter().map(Row::segment).collect(),
            parts: u32::try_from(first).unwrap_or(u32::MAX),
            path,
            map: file.map(file_bytes).ok(),
            file,
            head_bytes,
            salt: head.salt,
            cameras,
            firsts: head.firsts,
            problem: Mutex::default(),
        };
        Ok((opened, head.rows))
    }

    /// Its rows again, as its file has them.
    ///
    /// # Errors
    ///
    /// As [`Partition::open`].
    pub(crate) fn rows(&self, vfs: &dyn Vfs, store: &[u8; 16]) -> Result<Vec<Row>> {
        let again = Self::open(vfs, self.number, store);
        again.map(|(_, rows)| rows).inspect_err(|error| self.note_problem(error))
    }

    /// The cameras that have parts here, in order, with where those are.
    pub(super) fn spans(&self) -> impl Iterator<Item = &(CameraId, Span)> {
        self.cameras.iter()
    }

    /// The camera at this place among them.
    pub(super) fn span_at(&self, place: usize) -> Option<&(CameraId, Span)> {
        self.cameras.get(place)
    }

    /// How many pages have parts.
    pub(super) const fn pages(&self) -> usize {
        self.firsts.len()
    }

    /// What the sums of its pages are salted with.
    pub(super) const fn salt(&self) -> &[u8; 16] {
        &self.salt
    }

    /// Puts the parts of the camera at `place` that start in `starts` behind `parts`, in order,
    /// without those on the pages `taken` and those in segments that are not to be kept. On the
    /// page after the one with the `parts_max`th of them, kept or not, it ends at the next start,
    /// and answers that.
    ///
    /// # Errors
    ///
    /// When a page cannot be read or is damaged; what was put there before is not all there is.
    pub(crate) fn range(
        &self,
        place: usize,
        starts: Range<Timestamp>,
        parts_max: usize,
        taken: &[Range<usize>],
        parts: &mut Vec<PartBytes>,
        keep: impl Fn(SegmentId) -> bool,
    ) -> Result<Option<Timestamp>> {
        let Some((_, span)) = self.span_at(place) else { return Ok(None) };
        let Range { start: mut number, end } = self.pages_of(span, &starts);
        let (mut found, mut newest) = (0, Timestamp::MIN);
        while number < end {
            if let Some(run) = taken.iter().find(|run| run.contains(&number)) {
                number = run.end;
                continue;
            }
            let next_taken = taken.iter().map(|run| run.start).find(|start| *start > number);
            let to = end.min(number + READ_PAGES_MAX).min(next_taken.unwrap_or(end));
            let bytes = self.read(number..to)?;
            // Not for the pages that are taken, which are all of them for most cameras of a hold.
            parts.reserve((to - number) * PAGE_PARTS);
            for (number, bytes) in (number..).zip(bytes.chunks_exact(PAGE_BYTES)) {
                let page = self.decoded(number, Page::decode(bytes, &self.salt, number))?;
                let base = number * PAGE_PARTS;
                let low = span.first.saturating_sub(base);
                let high = span.end().saturating_sub(base).min(page.len());
                let first = page.position(low, high, starts.start);
                let mut behind = page.position(first, high, starts.end);
                if found >= parts_max {
                    // What starts at the same instant belongs together.
                    let next = newest.saturating_add(Duration::from_micros(1));
                    behind = behind.min(page.position(first, high, next));
                }
                for run in page.runs(first..behind).filter(|run| keep(run.segment())) {
                    self.decoded(number, run.copy_into(parts))?;
                }
                if behind < high {
                    return Ok(page.start(behind).filter(|next| *next < starts.end));
                }
                found += behind - first;
                newest = page.start(behind.saturating_sub(1)).unwrap_or(newest).max(newest);
            }
            number = to;
        }
        Ok(None)
    }

    /// The pages of the camera at `place` for which their summaries may stand, as `stands` says, of
    /// those that have parts that start in `starts`; with the summaries. The other ones of them can
    /// be read.
    ///
    /// # Errors
    ///
    /// When a page, or one of summaries, cannot be read or is damaged.
    pub(super) fn summarised(
        &self,
        place: usize,
        starts: &Range<Timestamp>,
        mut stands: impl FnMut(&Summary) -> bool,
    ) -> Result<(Vec<Range<usize>>, Vec<Summary>)> {
        let (mut taken, mut summaries) = (Vec::<Range<usize>>::new(), Vec::new());
        let Some((_, span)) = self.span_at(place) else { return Ok((taken, summaries)) };
        let pages = self.pages_of(span, starts);
        let first_page = span.pages().start;
        let share_on = |page: usize| page.saturating_sub(first_page) + span.first_share;
        self.each_summary(share_on(pages.start)..share_on(pages.end), |share, summary| {
            if !stands(summary) {
                return;
            }
            let page = share - span.first_share + first_page;
            summaries.push(*summary);
            match taken.last_mut() {
                Some(run) if run.end == page => run.end = page + 1,
                _ => taken.push(page..page + 1),
            }
        })?;
        let behind = taken.iter().map(|run| run.end);
        let gaps_from = std::iter::once(pages.start).chain(behind).take(taken.len());
        let gaps_to = taken.iter().map(|run| run.start);
        let last = taken.last().map(|run| run.end..pages.end);
        for gap in gaps_from.zip(gaps_to).map(|(from, to)| from..to).chain(last) {
            self.check(gap)?;
        }
        Ok((taken, summaries))
    }

    /// What was found wrong with it, if anything was.
    pub(crate) fn problem(&self) -> Option<Error> {
        self.problem.lock().clone()
    }

    /// About how many bytes of memory this takes.
    pub(super) fn bytes(&self) -> usize {
        self.firsts.capacity() * size_of::<i64>()
            + self.segments.capacity() * size_of::<SegmentId>()
            + self.cameras.capacity() * size_of::<(CameraId, Span)>()
    }

    /// The pages on which parts of a camera stand that start in `starts`, and at most one more.
    fn pages_of(&self, span: &Span, starts: &Range<Timestamp>) -> Range<usize> {
        let (from_us, to_us) = (starts.start.as_micros(), starts.end.as_micros());
        if span.parts == 0 || span.starts.1 < from_us || span.starts.0 >= to_us {
            return 0..0;
        }
        let Range { start: low, end: behind } = span.pages();
        // Every page behind the first one begins with a part of this camera.
        let later = self.firsts.get(low + 1..behind).unwrap_or_default();
        // Clips mostly come at a steady pace.
        let pages = i64::try_from(behind - low).unwrap_or(i64::MAX);
        let pace = (span.starts.1 - span.starts.0) / pages;
        let guess = from_us.saturating_sub(span.starts.0) / pace.max(1);
        let begin = below(later, usize::try_from(guess).unwrap_or(0), from_us);
        let end = 1 + below(later, begin, to_us);
        low + begin..low + end
    }

    /// Hands the summary of each of `shares` that has one to `each`.
    fn each_summary(
        &self,
        shares: Range<usize>,
        mut each: impl FnMut(usize, &Summary),
    ) -> Result<()> {
        let (mut number, end) =
            (shares.start / PAGE_SUMMARIES, shares.end.div_ceil(PAGE_SUMMARIES));
        let behind = self.firsts.len();
        while number < end && !shares.is_empty() {
            let to = end.min(number + READ_PAGES_MAX);
            let bytes = self.read(behind + number..behind + to)?;
            for (number, bytes) in (number..).zip(bytes.chunks_exact(PAGE_BYTES)) {
                let decoded = Summaries::decode(bytes, &self.salt, behind + number);
                let summaries = self.decoded(behind + number, decoded)?;
                let base = number * PAGE_SUMMARIES;
                let low = shares.start.saturating_sub(base);
                let high = shares.end.saturating_sub(base).min(PAGE_SUMMARIES);
                for (at, summary) in summaries.within(low..high).enumerate() {
                    match summary {
                        Ok(Some(summary)) => each(base + low + at, &summary),
                        Ok(None) => {}
                        Err(damage) => return Err(self.damaged(behind + number, damage)),
                    }
                }
            }
            number = to;
        }
        Ok(())
    }

    /// Whether these pages can be read.
    fn check(&self, pages: Range<usize>) -> Result<()> {
        for from in pages.clone().step_by(READ_PAGES_MAX) {
            let bytes = self.read(from..pages.end.min(from + READ_PAGES_MAX))?;
            for (number, bytes) in (from..).zip(bytes.chunks_exact(PAGE_BYTES)) {
                self.decoded(number, Page::decode(bytes, &self.salt, number))?;
            }
        }
        Ok(())
    }

    fn read(&self, pages: Range<usize>) -> Result<Pages<'_>> {
        let map = self.map.as_ref().filter(|_| pages.len() <= MAPPED_PAGES_MAX);
        match map.map(|map| mapped(&**map, self.bytes_of(&pages))) {
            Some(Ok(bytes)) => Ok(Pages::Mapped(bytes)),
            Some(Err(error)) if error.kind() != io::ErrorKind::Unsupported => {
                Err(self.unread(pages.start, error))
            }
            Some(Err(_)) | None => {
                let mut bytes = Vec::new();
                self.copy(pages, &mut bytes).map(|()| Pages::Read(bytes))
            }
        }
    }

    /// Puts these pages into `bytes`, in place of what is there, to be looked at later: a map's
    /// would have to be asked for again then.
    pub(super) fn copy(&self, pages: Range<usize>, bytes: &mut Vec<u8>) -> Result<()> {
        bytes.clear();
        bytes.resize(pages.len() * PAGE_BYTES, 0);
        let read = self.file.read_at(self.offset_of(pages.start), bytes);
        read.map_err(|error| self.unread(pages.start, error))
    }

    #[cold]
    fn unread(&self, number: usize, error: io::Error) -> Error {
        let error = self.fail(number).caused_by(error);
        self.note_problem(&error);
        error
    }

    /// What was decoded of page `number`.
    pub(super) fn decoded<T>(
        &self,
        number: usize,
        decoded: std::result::Result<T, Damage>,
    ) -> Result<T> {
        decoded.map_err(|damage| self.damaged(number, damage))
    }

    #[cold]
    pub(super) fn damaged(&self, number: usize, damage: Damage) -> Error {
        let error = self.fail(number).caused_by(damage);
        self.note_problem(&error);
        error
    }

    fn bytes_of(&self, pages: &Range<usize>) -> Range<u64> {
        self.offset_of(pages.start)..self.offset_of(pages.end)
    }

    fn offset_of(&self, number: usize) -> u64 {
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        self.head_bytes.saturating_add(number.saturating_mul(BLOCK_BYTES))
    }

    fn fail(&self, number: usize) -> Error {
        let offset = self.offset_of(number);
        Error::corrupt("read index partition").at(&self.path).at_offset(offset)
    }

    fn note_problem(&self, error: &Error) {
        self.problem.lock().get_or_insert_with(|| error.clone());
    }
}

/// How many of `starts`, which rise, are below `bound`, if there are about `guess`: from there it
/// is looked for in steps that double. To halve a long list would wait for memory a dozen times.
fn below(starts: &[i64], guess: usize, bound: i64) -> usize {
    let is_below = |at: usize| starts.get(at).is_some_and(|start| *start < bound);
    let (mut low, mut high, mut step) = (guess.min(starts.len()), guess.min(starts.len()), 1);
    if is_below(low) {
        while is_below(high) {
            low = high + 1;
            high += step;
            step *= 2;
        }
    } else {
        while low > 0 && !is_below(low - 1) {
            high = low - 1;
            low = low.saturating_sub(step);
            step *= 2;
        }
    }
    let between = starts.get(low..high.min(starts.len())).unwrap_or_default();
    low + between.partition_point(|start| *start < bound)
}

/// The bytes `range` of a map, brought in.
fn mapped(map: &dyn Map, range: Range<u64>) -> io::Result<&[u8]> {
    map.populate(range.clone())?;
    let place = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
    let bytes = place.and_then(|(from, to)| map.bytes().get(from..to));
    bytes.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_is_guessed_as_many_are_below(
            mut starts in prop::collection::vec(-50..50_i64, 0..200),
            guess in 0..300_usize,
            bound in -60..60_i64,
        ) {
            starts.sort_unstable();
            let expected = starts.partition_point(|start| *start < bound);
            prop_assert_eq!(below(&starts, guess, bound), expected);
        }
    }
}
