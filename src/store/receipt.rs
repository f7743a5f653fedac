//! The receipt of a hold: what it covers, what it missed, and why.

use std::collections::BTreeMap;

use crate::format::page::Summary;
use crate::hold::{Hold, HoldSet};
use crate::types::{CameraId, Error, Timestamp, Window};

use super::catalog::Catalog;
use super::history::History;
use super::lookup::Found;
use super::{HoldReceipt, Inner, MissedRange, MissedReason};

/// What a scope covers at one moment.
#[derive(Debug)]
pub(super) struct Survey {
    at: Timestamp,
    covered: Covered,
    /// Bytes of it that no hold covers.
    pub(super) newly_pinned_bytes: u64,
    /// Why others cannot be told.
    pub(super) uncounted: Vec<Error>,
}

impl Inner {
    /// What `scope` covers now, beside what `holds` cover.
    pub(super) fn survey(
        &self,
        history: &History,
        catalog: &Catalog,
        scope: &[(CameraId, Window)],
        holds: &HoldSet,
    ) -> Survey {
        let mut uncounted = Vec::new();
        let (mut covered, mut newly_pinned_bytes) = (Covered::default(), 0_u64);
        for (index, (camera, _)) in scope.iter().enumerate() {
            // Looked up once: a page or a clip must cost no search by its camera's name.
            let held = holds.on(camera);
            let mut windows = covered.windows.remove(camera).unwrap_or_default();
            // The clips of a page are all held, or none of them is, or each is looked at.
            let stands = |sum: &Summary| held.covers_all(&sum.window) || !held.covers(&sum.window);
            self.each_found(catalog, (scope, index), &mut uncounted, stands, |found| {
                let sum = match &found {
                    Found::Page(sum) => Sum::of_page(sum, history),
                    Found::Clip(clip) => {
                        let due = history.due(clip.class, clip.received);
                        let window = clip.possible_window();
                        Sum { clips: 1, bytes: clip.len, due, window }
                    }
                };
                if !held.covers(&sum.window) {
                    newly_pinned_bytes = newly_pinned_bytes.saturating_add(sum.bytes);
                }
                covered.add(&sum);
                join(&mut windows, sum.window);
            });
            covered.windows.insert(camera.clone(), windows);
        }
        Survey { at: self.now(), covered, newly_pinned_bytes, uncounted }
    }

    /// What `hold` covers at this moment. Never fails: the hold is in force, whatever can be
    /// counted.
    pub(super) fn receipt(&self, hold: &Hold) -> HoldReceipt {
        let (history, catalog) = (self.history.read(), self.catalog.read());
        let survey = self.survey(&history, &catalog, hold.scope(), &history.holds);
        drop((history, catalog));
        // What it covers was pinned when it was placed.
        self.receipt_of(hold, Survey { newly_pinned_bytes: 0, ..survey })
    }

    /// The receipt of `hold`, of whose scope this is the survey.
    pub(super) fn receipt_of(&self, hold: &Hold, survey: Survey) -> HoldReceipt {
        let Survey { at, covered, newly_pinned_bytes, uncounted } = survey;
        let history = self.history.read();
        let mut missed = Vec::new();
        for (camera, window) in hold.scope() {
            for gap in gaps(*window, &covered.windows_of(camera)) {
                explain_gap(&history, camera, gap, at, &mut missed);
            }
        }
        if !uncounted.is_empty() {
            // What cannot be read may be there: nobody is told that it is not.
            let past = missed.iter_mut().filter(|range| range.reason != MissedReason::NotYet);
            past.for_each(|range| range.reason = MissedReason::Unreadable);
        }
        HoldReceipt {
            id: hold.id(),
            position: hold.position(),
            placed: hold.placed_at(),
            deadline: hold.deadline(),
            clips: covered.clips,
            bytes: covered.bytes,
            newly_pinned_bytes,
            missed,
            kept_anyway_until: covered.first_due,
            placed_before: false,
            uncounted,
        }
    }
}

/// A clip, or several that follow one another without a gap.
struct Sum {
    clips: u64,
    bytes: u64,
    /// When the own time of the first of them is over.
    due: Timestamp,
    window: Window,
}

impl Sum {
    fn of_page(sum: &Summary, history: &History) -> Self {
        let due = history.due(sum.class, sum.received);
        Self { clips: sum.clips.into(), bytes: sum.bytes, due, window: sum.window }
    }
}

/// What a hold covers, summed: a hold may cover millions of clips.
#[derive(Debug, Default)]
struct Covered {
    clips: u64,
    bytes: u64,
    first_due: Option<Timestamp>,
    /// What the clips of each camera cover, with those that touch put together.
    windows: BTreeMap<CameraId, Vec<Window>>,
}

impl Covered {
    /// Adds all of it but its window.
    fn add(&mut self, sum: &Sum) {
        self.clips += sum.clips;
        self.bytes = self.bytes.saturating_add(sum.bytes);
        self.first_due = Some(self.first_due.map_or(sum.due, |first| first.min(sum.due)));
    }

    /// What is covered of `camera`, sorted.
    fn windows_of(&self, camera: &CameraId) -> Vec<Window> {
        let mut windows = self.windows.get(camera).cloned().unwrap_or_default();
        windows.sort_unstable();
        windows
    }
}

/// Adds `window` to what `windows` cover, where it goes on with the last of them.
fn join(windows: &mut Vec<Window>, window: Window) {
    match windows.last_mut() {
        Some(last) if last.start() <= window.start() && window.start() <= last.end() => {
            let end = last.end().max(window.end());
            *last = Window::new(last.start(), end).unwrap_or(*last);
        }
        _ => windows.push(window),
    }
}

/// The parts of `window` that none of the sorted `windows` covers.
fn gaps(window: Window, windows: &[Window]) -> Vec<Window> {
    let mut gaps = Vec::new();
    let mut covered_to = window.start();
    for covered in windows {
        let gap_end = covered.start().min(window.end());
        gaps.extend(Window::new(covered_to, gap_end).ok());
        covered_to = covered_to.max(covered.end());
    }
    gaps.extend(Window::new(covered_to, window.end()).ok());
    gaps
}

/// Splits a gap where its reason changes: what its owner deleted, what is expired, what was never
/// recorded, what has not happened yet.
fn explain_gap(
    history: &History,
    camera: &CameraId,
    gap: Window,
    now: Timestamp,
    missed: &mut Vec<MissedRange>,
) {
    let deleted = history.deleted.iter().filter(|deleted| deleted.camera == *camera);
    let mut deleted: Vec<Window> = deleted.map(|deleted| deleted.window).collect();
    deleted.sort_unstable();
    let others = gaps(gap, &deleted);
    let deleted = gaps(gap, &others).into_iter().map(|window| (window, true));
    let mut pieces: Vec<(Window, bool)> = others.iter().map(|window| (*window, false)).collect();
    pieces.extend(deleted);
    pieces.sort_unstable();
    let expired_until = history.expired_until_of(camera);
    for (piece, is_deleted) in pieces {
        let expired_to = if is_deleted { piece.end() } else { expired_until };
        let first = expired_to.clamp(piece.start(), piece.end());
        let second = now.clamp(first, piece.end());
        let parts = [
            (piece.start(), first, MissedReason::Expired),
            (first, second, MissedReason::NeverRecorded),
            (second, piece.end(), MissedReason::NotYet),
        ];
        missed.extend(parts.into_iter().filter_map(|(start, end, reason)| {
            let window = Window::new(start, end).ok()?;
            Some(MissedRange { camera: camera.clone(), window, reason })
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(start: i64, end: i64) -> Window {
        Window::new(Timestamp::from_micros(start), Timestamp::from_micros(end)).unwrap()
    }

    #[test]
    fn gaps_are_what_no_clip_covers() {
        let clips = [window(0, 3), window(2, 5), window(7, 8), window(20, 30)];
        assert_eq!(gaps(window(1, 10), &clips), [window(5, 7), window(8, 10)]);
        assert_eq!(gaps(window(2, 4), &clips), []);
        assert_eq!(gaps(window(10, 12), &[]), [window(10, 12)]);
    }
}
