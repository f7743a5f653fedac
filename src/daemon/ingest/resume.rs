//! The init segment for a push that goes on without it: ffmpeg sends it once, and goes on with
//! media segments after the daemon was restarted, or after a silence in which the recording ended.
//!
//! Owns the rule when the newest clip of a camera is what a segment goes on with: it must be of the
//! same push by its media time, or its footage would be decoded with somebody else's set-up.

use std::time::Duration;

use bytes::Bytes;

use crate::media::{Fragment, FragmentParser, Piece};
use crate::{CameraId, Clock as _, Media, Result as StoreResult, Store, SystemClock, Window};

/// How long a push may have been away.
const AWAY_MAX: Duration = Duration::from_hours(24);
/// How far media time and the wall clock may part meanwhile.
const SLACK: Duration = Duration::from_mins(1);
/// How far a segment may begin before the last one ended: sound and pictures overlap.
const OVERLAP_MAX: Duration = Duration::from_secs(1);

/// Whether `file` begins as an init segment does.
pub(super) fn is_init(file: &[u8]) -> bool {
    matches!(file.get(4..8), Some(b"ftyp" | b"moov"))
}

/// The init segment of the newest clip of `camera`, when `segment` goes on where that ended.
///
/// # Errors
///
/// Those of the store. A clip that cannot be understood is no error: nothing goes on with it.
pub(super) fn init_for(
    store: &Store,
    camera: &CameraId,
    segment: &[u8],
) -> StoreResult<Option<Bytes>> {
    let now = SystemClock.wall();
    let window = Window::new(now.saturating_sub(AWAY_MAX), now.saturating_add(AWAY_MAX))?;
    let Some(clip) = store.clips(camera, window)?.next_back() else { return Ok(None) };
    if clip.media() != Media::FragmentedMp4 {
        return Ok(None);
    }
    let reader = store.read(clip.id())?;
    let mut parser = FragmentParser::new();
    let mut last = None;
    for chunk in reader.chunks(0..clip.len())? {
        parser.push(&chunk?);
        last = newest(&mut parser).or(last);
    }
    let Some(last) = last else { return Ok(None) };
    parser.push(segment);
    let Ok(Some(Piece::Fragment(next))) = parser.next() else { return Ok(None) };
    let away = now.since(clip.window().end());
    let init = parser.init().filter(|_| goes_on(&last, &next, away));
    Ok(init.map(|init| init.bytes().clone()))
}

/// The last fragment that `parser` has whole.
fn newest(parser: &mut FragmentParser) -> Option<Fragment> {
    let mut newest = None;
    while let Ok(Some(piece)) = parser.next() {
        if let Piece::Fragment(fragment) = piece {
            newest = Some(fragment);
        }
    }
    newest
}

/// Whether `next` is of the push that `last` was of, `away` before it.
fn goes_on(last: &Fragment, next: &Fragment, away: Duration) -> bool {
    let end = last.start.saturating_add(last.duration);
    !next.clock_set
        && next.start.saturating_add(OVERLAP_MAX) >= end
        && next.start.saturating_sub(end) <= away.saturating_add(SLACK)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(start_s: u64, clock_set: bool) -> Fragment {
        let mut parser = FragmentParser::new();
        parser.push(include_bytes!("../../cli/demo/front-door.mp4"));
        let mut fragment = newest(&mut parser).unwrap();
        fragment.start = Duration::from_secs(start_s);
        fragment.duration = Duration::from_secs(2);
        fragment.clock_set = clock_set;
        fragment
    }

    #[test]
    fn a_push_goes_on_where_it_was_or_as_much_later_as_it_was_away() {
        let last = fragment(100, false);
        let goes_on = |next: &Fragment, away_s| goes_on(&last, next, Duration::from_secs(away_s));
        assert!(goes_on(&fragment(102, false), 5));
        assert!(goes_on(&fragment(700, false), 600));
        assert!(!goes_on(&fragment(700, false), 5), "that is another push");
        assert!(!goes_on(&fragment(90, false), 5), "it was there already");
        assert!(!goes_on(&fragment(102, true), 5), "its clock began anew");
    }

    #[test]
    fn an_init_segment_is_told_by_its_first_box() {
        assert!(is_init(include_bytes!("../../cli/demo/front-door.mp4")));
        assert!(!is_init(b"\0\0\0\x18styp"));
        assert!(!is_init(b"moov"));
    }
}
