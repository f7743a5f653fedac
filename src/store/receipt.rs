//! The receipt of a hold: what it covers, what it missed, and why.

use crate::hold::Hold;
use crate::types::{CameraId, Timestamp, Window};

use super::history::History;
use super::{HoldReceipt, Inner, MissedRange, MissedReason};

impl Inner {
    /// What `hold` covers at this moment. Never fails: the hold is in force, whatever can be
    /// counted.
    pub(super) fn receipt(&self, hold: &Hold) -> HoldReceipt {
        let mut uncounted = Vec::new();
        let covered = self.covered(&self.catalog.read(), hold.scope(), &mut uncounted);
        let now = self.now();
        let history = self.history.read();
        let mut missed = Vec::new();
        for (camera, window) in hold.scope() {
            let of_camera = covered.values().filter(|located| located.clip.camera == *camera);
            let mut windows: Vec<Window> =
                of_camera.map(|located| located.clip.possible_window()).collect();
            windows.sort_unstable();
            for gap in gaps(*window, &windows) {
                explain_gap(&history, camera, gap, now, &mut missed);
            }
        }
        if !uncounted.is_empty() {
            // What cannot be read may be there: nobody is told that it is not.
            let past = missed.iter_mut().filter(|range| range.reason != MissedReason::NotYet);
            past.for_each(|range| range.reason = MissedReason::Unreadable);
        }
        let expiries = covered
            .values()
            .map(|located| history.retention_of(located.clip.class).due(located.clip.received));
        HoldReceipt {
            id: hold.id(),
            position: hold.position(),
            placed: hold.placed_at(),
            deadline: hold.deadline(),
            clips: u64::try_from(covered.len()).unwrap_or(u64::MAX),
            bytes: covered.values().map(|located| located.clip.len).sum(),
            newly_pinned_bytes: 0,
            missed,
            kept_anyway_until: expiries.min(),
            placed_before: false,
            uncounted,
        }
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
