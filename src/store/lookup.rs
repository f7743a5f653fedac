//! Finding clips by camera and window.
//!
//! What partitions of the index tell of parts is all that a list of clips says of them, so footers
//! are read only for segments that are not folded. Whoever removes bytes starts from a clip's
//! segment instead, and has its footers read: [`Catalog::locate`].

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::format::page::Summary;
use crate::format::page_part::{PagePart, PartBytes};
use crate::index::{Slice, Taken};
use crate::log::{FooterCache, FoundPart, Segment};
use crate::types::{
    CameraId, ClassId, Clip, ClipId, ClipState, Error, Media, Result, SegmentId, Timestamp, Window,
};

use super::catalog::{Catalog, Located};

/// What a lookup found: a clip, or all clips of a page, for which its summary stands.
pub(super) enum Found<'a> {
    Clip(Clip),
    Page(&'a Summary),
}

impl Catalog {
    /// The readable clips of `camera` that overlap `window`, by start and id.
    pub(super) fn clips(
        &self,
        footers: &FooterCache,
        camera: &CameraId,
        window: Window,
    ) -> Result<Listed> {
        let (mut problems, mut clips) = (Vec::new(), Vec::new());
        let none = Taken::default();
        self.each_slice(footers, (camera, window), &none, &mut problems, |slice| {
            // Mostly there is one, and it is the list.
            if clips.is_empty() { clips = slice } else { clips.extend(slice) }
        });
        if let Some(problem) = problems.into_iter().next() {
            return Err(problem);
        }
        let key = |clip: &PartBytes| (clip.start(), clip.clip());
        if !clips.is_sorted_by_key(key) {
            clips.sort_unstable_by_key(key);
        }
        let cut = clips.iter().filter(|clip| !clip.is_last()).map(PartBytes::clip);
        let recording = cut.filter(|id| self.recording.contains(id)).collect();
        let left = 0..clips.len();
        Ok(Listed { camera: camera.clone(), clips, left, recording })
    }

    /// Hands the same to `each`, in no order and one at a time, as far as footers can be read;
    /// `problems` gets why for the others. Where `stands` says that the summary of what is on a
    /// page may stand for its clips, `each` gets that.
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
            each(Found::Page(summary));
        });
        self.each_slice(footers, (camera, window), &taken, problems, |slice| {
            let clips = slice.iter().map(|clip| self.clip_of(camera, &clip.part()));
            clips.for_each(|clip| each(Found::Clip(clip)));
        });
    }

    /// Hands the clips to `each`, many at a time, each as one part. Those on the pages `taken` are
    /// not among them.
    fn each_slice(
        &self,
        footers: &FooterCache,
        (camera, window): (&CameraId, Window),
        taken: &Taken,
        problems: &mut Vec<Error>,
        mut each: impl FnMut(Vec<PartBytes>),
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
            let mut parts = std::mem::take(&mut slice.told);
            parts.append(&mut self.read_parts(footers, camera, &starts, &slice, problems));
            self.leave_clips(footers, (camera, window), &mut living, problems, &mut parts);
            each(parts);
        }
    }

    /// Leaves of `parts` the clips that can be read and meet `window`, each as one part.
    fn leave_clips(
        &self,
        footers: &FooterCache,
        (camera, window): (&CameraId, Window),
        living: &mut Living<'_>,
        problems: &mut Vec<Error>,
        parts: &mut Vec<PartBytes>,
    ) {
        // Those that end before it are taken off at once: mostly none of the others goes.
        let ends_before =
            |part: &&PartBytes| part.is_last() && part.window().end() <= window.start();
        parts.drain(..parts.iter().take_while(ends_before).count());
        let mut is_clip = |part: &PartBytes| {
            part.is_first() && part.is_last() && living.has(part) && part.window().meets(&window)
        };
        if parts.iter().all(&mut is_clip) {
            return;
        }
        parts.retain_mut(|first| {
            if !first.is_first() || !living.has(first) {
                return false;
            }
            if !first.is_last() {
                match self.whole_from(footers, camera, &first.part()) {
                    Ok(whole) => *first = PartBytes::of(&whole),
                    Err(error) => {
                        problems.push(error);
                        return false;
                    }
                }
            }
            first.window().meets(&window)
        });
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
    ) -> Vec<PartBytes> {
        let mut read = Vec::new();
        let mut take = |id: SegmentId, first: Timestamp, last: Timestamp| {
            let Some(shelved) = self.segments.get(&id) else { return };
            match shelved.segment.parts_in(footers, camera, first..=last) {
                Ok(parts) => {
                    read.extend(parts.iter().map(|found| PartBytes::of(&found.on_page(id))));
                }
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

    /// The clip of `camera` that begins with the live part `first`, which is not its last, as one
    /// part.
    fn whole_from(
        &self,
        footers: &FooterCache,
        camera: &CameraId,
        first: &PagePart,
    ) -> Result<PagePart> {
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
            let is_own = |part: &&PartBytes| part.clip() == first.clip && !part.is_first();
            let own = tails.filter(|part| is_own(part) && living.has(part));
            parts.extend(own.map(PartBytes::part));
        }
        parts.sort_by_key(|part| part.sequence);
        Ok(whole_of(&parts))
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
        Ok(Located { clip: self.clip_of(camera, &whole_of(&pages)), parts })
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
            places.extend(slice.told.iter().map(|part| (part.start(), part.segment())));
            let starts = from..begin.unwrap_or(end);
            let read = self.read_parts(footers, camera, &starts, &slice, &mut problems);
            places.extend(read.iter().map(|part| (part.start(), part.segment())));
        }
        places.sort_unstable();
        places.dedup();
        problems.into_iter().next().map_or(Ok(places), Err)
    }

    /// The clip that is `whole` in one part.
    fn clip_of(&self, camera: &CameraId, whole: &PagePart) -> Clip {
        clip_of(camera, whole, |id| self.recording.contains(&id))
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

/// Clips as a lookup leaves them: each as one part, made into a clip when it is asked for. Whoever
/// counts them, or wants a few, does not pay for all.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    camera: CameraId,
    clips: Vec<PartBytes>,
    /// Which of them were not handed out yet.
    left: Range<usize>,
    /// Those of them that were being recorded.
    recording: Vec<ClipId>,
}

impl Listed {
    #[inline]
    fn clip(&self, at: usize) -> Option<Clip> {
        let whole = self.clips.get(at)?.part();
        Some(clip_of(&self.camera, &whole, |id| self.recording.contains(&id)))
    }

    #[inline]
    pub(super) fn next(&mut self) -> Option<Clip> {
        let at = self.left.next()?;
        self.clip(at)
    }

    #[inline]
    pub(super) fn next_back(&mut self) -> Option<Clip> {
        let at = self.left.next_back()?;
        self.clip(at)
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.left.len()
    }
}

/// The clip that `parts` are, in clip order and at least one, as if it had only one.
fn whole_of(parts: &[PagePart]) -> PagePart {
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
        unreachable!("a clip has a part")
    };
    PagePart {
        last: parts.iter().any(|part| part.last),
        end: parts.iter().map(|part| part.end).max().unwrap_or(first.end),
        received: parts.iter().map(|part| part.received).max().unwrap_or_default(),
        end_offset: last.end_offset,
        fragments: parts.iter().map(|part| part.fragments).sum(),
        digest: last.digest,
        ..*first
    }
}

/// The clip that is `whole` in one part; `is_recording` is asked where it has no end.
#[inline]
fn clip_of(camera: &CameraId, whole: &PagePart, is_recording: impl FnOnce(ClipId) -> bool) -> Clip {
    let state = match whole.last {
        true => ClipState::Complete,
        false if is_recording(whole.clip) => ClipState::Recording,
        false => ClipState::Truncated,
    };
    Clip {
        id: whole.clip,
        camera: camera.clone(),
        window: whole.window(),
        received: whole.received,
        len: whole.end_offset,
        media: Media::from_code(whole.media),
        state,
        digest: whole.digest,
        uncertainty_us: whole.uncertainty_us,
        class: whole.class,
        fragments: whole.fragments,
    }
}

/// Tells which of many parts are live. Mostly the next one stands in the same segment.
struct Living<'a> {
    catalog: &'a Catalog,
    /// Whether nothing is known of any single clip: none is gone, and none moved.
    is_plain: bool,
    /// The last segment, and whether clips that began there are live if nothing is known of them.
    last: Option<(SegmentId, bool)>,
}

impl<'a> Living<'a> {
    fn of(catalog: &'a Catalog) -> Self {
        let is_plain = catalog.gone.is_empty() && catalog.moved.is_empty();
        Self { catalog, is_plain, last: None }
    }

    /// Whether `part` belongs to a clip that can be read, and is the copy that counts: as
    /// [`Catalog::is_live`].
    #[inline]
    fn has(&mut self, part: &PartBytes) -> bool {
        let id = part.segment();
        let is_usual = match self.last {
            Some((last, is_usual)) if last == id => is_usual,
            _ => self.turn_to(id),
        };
        (is_usual && self.is_plain && part.clip().home == id) || self.has_apart(part, is_usual)
    }

    /// The next parts stand in segment `id`.
    fn turn_to(&mut self, id: SegmentId) -> bool {
        let shelved = self.catalog.segments.get(&id);
        let is_usual = shelved.is_some_and(|one| one.segment.class != ClassId::EVIDENCE)
            && !self.catalog.spared.contains_key(&id);
        self.last = Some((id, is_usual));
        is_usual
    }

    fn has_apart(&self, part: &PartBytes, is_usual: bool) -> bool {
        let (catalog, id, clip) = (self.catalog, part.segment(), part.clip());
        if is_usual && clip.home == id && !catalog.moved.contains_key(&clip) {
            return !catalog.gone.contains(&clip);
        }
        let shelved = catalog.segments.get(&id);
        shelved.is_some_and(|shelved| catalog.is_live(clip, &shelved.segment))
    }
}
