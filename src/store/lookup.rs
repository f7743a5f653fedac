//! Finding clips by camera and window.
//!
//! What partitions of the index tell of parts is all that a list of clips says of them, so footers
//! are read only for segments that are not folded. Whoever removes bytes starts from a clip's
//! segment instead, and has its footers read: [`Catalog::locate`].

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::format::page::{PagePart, Summary};
use crate::index::{Slice, Taken};
use crate::log::{FooterCache, FoundPart, Segment};
use crate::types::{
    CameraId, ClassId, Clip, ClipId, ClipState, Error, Media, Result, SegmentId, Timestamp, Window,
};

use super::catalog::{Catalog, Located};

/// A list of clips has room for so many before it grows: an hour of clips of a minute.
const CLIPS_USUAL: usize = 64;

/// What a lookup found: a clip, or all clips of a page, for which its summary stands.
pub(super) enum Found<'a> {
    Clip(Clip),
    Page(&'a CameraId, &'a Summary),
}

impl Catalog {
    /// The readable clips of `camera` that overlap `window`, by start and id.
    pub(super) fn clips(
        &self,
        footers: &FooterCache,
        camera: &CameraId,
        window: Window,
    ) -> Result<Vec<Clip>> {
        let (mut problems, mut clips) = (Vec::new(), Vec::with_capacity(CLIPS_USUAL));
        let none = Taken::default();
        self.each_clip(footers, camera, window, &none, &mut problems, |clip| clips.push(clip));
        let key = |clip: &Clip| (clip.window.start(), clip.id);
        if !clips.is_sorted_by_key(key) {
            clips.sort_unstable_by_key(key);
        }
        problems.into_iter().next().map_or(Ok(clips), Err)
    }

    /// Hands the same to `each`, in no order and one at a time, as far as footers can be read;
    /// `problems` gets why for the others. Where `stands` says that the summary of a page may stand
    /// for its clips, `each` gets that.
    pub(super) fn each_found(
        &self,
        footers: &FooterCache,
        (camera, window): (&CameraId, Window),
        problems: &mut Vec<Error>,
        stands: impl Fn(&Summary) -> bool,
        mut each: impl FnMut(Found<'_>),
    ) {
        let starts = self.first_start(window)..window.end();
        let stands = |sum: &Summary| self.is_all_live(sum) && stands(sum);
        let taken = self.timelines.take_pages(camera, &starts, stands, |summary| {
            each(Found::Page(camera, summary));
        });
        let each = |clip| each(Found::Clip(clip));
        self.each_clip(footers, camera, window, &taken, problems, each);
    }

    fn each_clip(
        &self,
        footers: &FooterCache,
        camera: &CameraId,
        window: Window,
        taken: &Taken,
        problems: &mut Vec<Error>,
        mut each: impl FnMut(Clip),
    ) {
        let mut begin = Some(self.first_start(window));
        let mut living = Living::of(self);
        while let Some(from) = begin {
            let mut slice = self.timelines.range(camera, from..window.end(), taken);
            begin = slice.next;
            if !slice.unread.is_empty() && !taken.is_empty() {
                // Footers would tell of the clips again for which a summary stood.
                slice.unread.clear();
                problems.extend(self.timelines.problems());
            }
            let starts = from..slice.next.unwrap_or(window.end());
            let told = std::mem::take(&mut slice.told);
            let read = self.read_parts(footers, camera, &starts, &slice, problems);
            for first in told.iter().chain(&read) {
                if !first.first || !living.has(first) {
                    continue;
                }
                match self.clip_from(footers, camera, first) {
                    Ok(clip) if clip.window.meets(&window) => each(clip),
                    Ok(_) => {}
                    Err(error) => problems.push(error),
                }
            }
        }
    }

    /// Clips that start earlier end before `window`.
    fn first_start(&self, window: Window) -> Timestamp {
        window.start().saturating_sub(self.reach)
    }

    /// The parts of `camera` in `slice` of which footers tell, because no partition does or it is
    /// damaged. The slice is all that starts in `starts`.
    fn read_parts(
        &self,
        footers: &FooterCache,
        camera: &CameraId,
        starts: &Range<Timestamp>,
        slice: &Slice,
        problems: &mut Vec<Error>,
    ) -> Vec<PagePart> {
        let mut read = Vec::new();
        let mut take = |id: SegmentId, first: Timestamp, last: Timestamp| {
            let Some(shelved) = self.segments.get(&id) else { return };
            match shelved.segment.parts_in(footers, camera, first..=last) {
                Ok(parts) => read.extend(parts.iter().map(|found| found.on_page(id))),
                Err(error) => problems.push(error),
            }
        };
        let mut noted = slice.noted.iter().peekable();
        while let Some((first, id)) = noted.next() {
            // Mostly the next ones stand in the same segment: its footer is searched once.
            let same = || noted.next_if(|(_, next)| next == id);
            let last = std::iter::from_fn(same).last().map_or(first, |(start, _)| start);
            take(*id, *first, *last);
        }
        let last = starts.end.saturating_sub(Duration::from_micros(1));
        slice.unread.iter().for_each(|id| take(*id, starts.start, last));
        read
    }

    /// The clip of `camera` that begins with the live part `first`.
    fn clip_from(
        &self,
        footers: &FooterCache,
        camera: &CameraId,
        first: &PagePart,
    ) -> Result<Clip> {
        if first.last {
            return Ok(clip_of(camera, first, first, ClipState::Complete));
        }
        let mut parts = vec![*first];
        let mut living = Living::of(self);
        let (mut begin, end) = (Some(first.start), self.last_start(first.start));
        while let Some(from) = begin {
            let slice = self.timelines.range(camera, from..end, &Taken::default());
            begin = slice.next;
            let (starts, mut problems) = (from..begin.unwrap_or(end), Vec::new());
            let read = self.read_parts(footers, camera, &starts, &slice, &mut problems);
            if let Some(error) = problems.into_iter().next() {
                return Err(error);
            }
            let tails = slice.told.iter().chain(&read);
            let is_own = |part: &&PagePart| part.clip == first.clip && !part.first;
            parts.extend(tails.filter(|part| is_own(part) && living.has(part)));
        }
        parts.sort_by_key(|part| part.sequence);
        Ok(self.describe(camera, &parts))
    }

    /// The end of the times at which parts start of a clip that starts at `start`.
    fn last_start(&self, start: Timestamp) -> Timestamp {
        start.saturating_add(self.reach).saturating_add(Duration::from_micros(1))
    }

    /// The clip that begins with the live part `first` in `segment`, as footers tell of it: a wrong
    /// page of the index hides no part that is to be removed, or kept.
    pub(super) fn locate(
        &self,
        footers: &FooterCache,
        segment: &Arc<Segment>,
        first: &FoundPart,
    ) -> Result<Located> {
        let (id, camera) = (first.part.clip, &first.camera);
        let mut parts = vec![(Arc::clone(segment), first.clone())];
        if !first.part.last {
            for (start, segment) in self.places_behind(footers, camera, first.part.start)? {
                let Some(shelved) = self.segments.get(&segment) else { continue };
                if !self.is_live(id, &shelved.segment) {
                    continue;
                }
                for found in shelved.segment.parts_in(footers, camera, start..=start)? {
                    if found.part.clip == id && !found.part.first {
                        parts.push((Arc::clone(&shelved.segment), found));
                    }
                }
            }
            parts.sort_by_key(|(_, found)| found.part.sequence);
        }
        let pages: Vec<PagePart> =
            parts.iter().map(|(segment, found)| found.on_page(segment.id)).collect();
        Ok(Located { clip: self.describe(camera, &pages), parts })
    }

    /// Where the parts of `camera` stand that may be of a clip that starts at `start`.
    fn places_behind(
        &self,
        footers: &FooterCache,
        camera: &CameraId,
        start: Timestamp,
    ) -> Result<Vec<(Timestamp, SegmentId)>> {
        let (mut places, mut problems) = (Vec::new(), Vec::new());
        let (mut begin, end) = (Some(start), self.last_start(start));
        while let Some(from) = begin {
            let mut slice = self.timelines.range(camera, from..end, &Taken::default());
            begin = slice.next;
            places.append(&mut slice.noted);
            places.extend(slice.told.iter().map(|part| (part.start, part.segment)));
            let starts = from..begin.unwrap_or(end);
            let read = self.read_parts(footers, camera, &starts, &slice, &mut problems);
            places.extend(read.iter().map(|part| (part.start, part.segment)));
        }
        places.sort_unstable();
        places.dedup();
        problems.into_iter().next().map_or(Ok(places), Err)
    }

    /// The clip made of `parts`, in clip order and at least one.
    fn describe(&self, camera: &CameraId, parts: &[PagePart]) -> Clip {
        let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
            unreachable!("a clip has a part")
        };
        let end = parts.iter().map(|part| part.end).max().unwrap_or(first.end);
        let state = if parts.iter().any(|part| part.last) {
            ClipState::Complete
        } else if self.recording.contains(&first.clip) {
            ClipState::Recording
        } else {
            ClipState::Truncated
        };
        let window = PagePart { end, ..*first }.window();
        let received = parts.iter().map(|part| part.received).max().unwrap_or_default();
        let fragments = parts.iter().map(|part| part.fragments).sum();
        Clip { window, received, fragments, ..clip_of(camera, first, last, state) }
    }

    /// Whether all clips for which a summary would stand can be read, where they were recorded.
    fn is_all_live(&self, sum: &Summary) -> bool {
        let (low, high) = sum.segments;
        let clips = || ClipId::new(low, 0)..=ClipId::new(high, u32::MAX);
        low <= high
            && sum.class != ClassId::EVIDENCE
            && self.spared.range(low..=high).next().is_none()
            && self.gone.range(clips()).next().is_none()
            && self.moved.range(clips()).next().is_none()
    }
}

/// The clip from its part `first` to its part `last`, as far as these two tell of it.
fn clip_of(camera: &CameraId, first: &PagePart, last: &PagePart, state: ClipState) -> Clip {
    Clip {
        id: first.clip,
        camera: camera.clone(),
        window: first.window(),
        received: first.received,
        len: last.end_offset,
        media: Media::from_code(first.media),
        state,
        digest: last.digest,
        uncertainty: Duration::from_micros(first.uncertainty_us),
        class: first.class,
        fragments: first.fragments,
    }
}

/// Tells which of many parts are live. Mostly the next one stands in the same segment.
struct Living<'a> {
    catalog: &'a Catalog,
    /// The last segment, and whether clips that began there are live if nothing is known of them.
    last: Option<(SegmentId, bool)>,
}

impl<'a> Living<'a> {
    const fn of(catalog: &'a Catalog) -> Self {
        Self { catalog, last: None }
    }

    /// Whether `part` belongs to a clip that can be read, and is the copy that counts: as
    /// [`Catalog::is_live`].
    fn has(&mut self, part: &PagePart) -> bool {
        let (catalog, id) = (self.catalog, part.segment);
        let is_usual = self.last.filter(|(last, _)| *last == id).map_or_else(
            || {
                let shelved = catalog.segments.get(&id);
                let usual = shelved.is_some_and(|one| one.segment.class != ClassId::EVIDENCE);
                usual && !catalog.spared.contains_key(&id)
            },
            |(_, is_usual)| is_usual,
        );
        self.last = Some((id, is_usual));
        if is_usual && part.clip.home == id && !catalog.moved.contains_key(&part.clip) {
            return !catalog.gone.contains(&part.clip);
        }
        let shelved = catalog.segments.get(&id);
        shelved.is_some_and(|shelved| catalog.is_live(part.clip, &shelved.segment))
    }
}
