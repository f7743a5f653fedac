//! The text of a media playlist over stored clips, and the rules that make players agree on it.
//!
//! - Every segment begins with a key frame, unless the clip before leads up to it.
//! - Where the stream's clock does not go on (a gap, another recording, a camera that set its
//!   clock) or its decoder needs another set-up, `EXT-X-DISCONTINUITY` says so.
//! - `EXT-X-MAP` always has a `BYTERANGE`, also where it begins at 0: without one, ffmpeg keeps the
//!   end of the last range it asked for and hangs.
//! - Ranges always say where they begin: "after the last one" is about another file after a join.
//! - `EXT-X-PROGRAM-DATE-TIME` has milliseconds and `Z`, at the start of each clip and after each
//!   discontinuity: clips are anchored by their own starts, so that errors do not add up.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::index::{ClipIndex, Fragment};
use crate::types::{Error, ErrorKind, Result, Timestamp, Window};

/// A stream that pauses for longer than this has a gap.
const GAP_MAX: Duration = Duration::from_millis(500);
/// The clock of a stream that goes on is not off by more than this from one clip to the next:
/// sound reaches over the end of its pictures by a packet or two.
const CLOCK_SLACK_US: u64 = 100_000;
/// How long segments are at least, where key frames allow it: for a short window, and for one of a
/// day or more. A player keeps a list of all of them.
const SEGMENT_MIN: Range<Duration> = Duration::from_secs(2)..Duration::from_secs(10);
/// Above about this many segments they become longer.
const SEGMENTS_SOFT_MAX: u32 = 3_600;

/// One stored clip, for [`Playlist::plan`].
#[derive(Clone, Debug)]
pub struct PlaylistClip {
    start: Timestamp,
    uri: String,
    index: Arc<ClipIndex>,
}

impl PlaylistClip {
    /// The clip whose first picture was taken at `start`, whose bytes are at `uri`. Players go by
    /// names: let it end in `.mp4` or `.m4s`.
    #[must_use]
    pub fn new(start: Timestamp, uri: impl Into<String>, index: Arc<ClipIndex>) -> Self {
        Self { start, uri: uri.into(), index }
    }
}

/// An HLS media playlist over byte ranges of stored clips; its `Display` is the playlist's text.
///
/// # Example
///
/// ```
/// use std::sync::Arc;
/// use bytes::Bytes;
/// use clipkeep::media::{ClipIndex, Playlist, PlaylistClip};
///
/// let stored = Bytes::from_static(include_bytes!("../../../tests/fixtures/video.mp4"));
/// let index = Arc::new(ClipIndex::read(&stored)?);
/// let start = "2026-11-23T18:00:00Z".parse()?;
/// let playlist = Playlist::plan(&[PlaylistClip::new(start, "42-7.mp4", index)], None)?;
/// assert!(playlist.to_string().contains("#EXT-X-PROGRAM-DATE-TIME:2026-11-23T18:00:00.000Z"));
/// # Ok::<(), clipkeep::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Playlist {
    uris: Vec<String>,
    segments: Vec<Segment>,
    covered: Window,
    /// From the start of the first segment to what was asked for.
    skip: Duration,
    ended: bool,
}

/// One segment, and what is said before it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Segment {
    clip: usize,
    bytes: Range<u64>,
    wall: Window,
    key: bool,
    discontinuity: bool,
    /// Where its init segment is, when another one is in force.
    map: Option<Range<u64>>,
    date: bool,
}

impl Playlist {
    /// The playlist over `clips`, in order of their starts, or of the segments of them that overlap
    /// `window`. It begins at the key frame before the window; gaps between clips stay gaps.
    ///
    /// # Errors
    ///
    /// `NotFound` when nothing is in the window; `InvalidInput` when a URI has a quote or a control
    /// character in it.
    pub fn plan(clips: &[PlaylistClip], window: Option<Window>) -> Result<Self> {
        if let Some(bad) = clips.iter().find(|clip| !is_quotable(&clip.uri)) {
            return Err(Error::invalid(format!("playlist: not a URI: {:?}", bad.uri)));
        }
        let mut in_order: Vec<(usize, &PlaylistClip)> = clips.iter().enumerate().collect();
        in_order.sort_by_key(|(_, clip)| clip.start);
        let target = segment_min(clips, window);
        let mut planner = Planner { window, segments: Vec::new(), tail: None };
        for (number, clip) in in_order {
            for stretch in stretches(&clip.index.fragments, target) {
                planner.add(number, clip, &stretch);
            }
        }
        let segments = planner.segments;
        let covered = covered(&segments).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "playlist: no key frame in the window")
        })?;
        let skip = window.map_or(Duration::ZERO, |window| window.start().since(covered.start()));
        let uris = clips.iter().map(|clip| clip.uri.clone()).collect();
        Ok(Self { uris, segments, covered, skip, ended: true })
    }

    /// The same while its last clip is being recorded: without its last segment, which may become
    /// longer, and without an end, so that a player asks again.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no whole segment yet.
    pub fn still_growing(mut self) -> Result<Self> {
        self.segments.pop();
        self.covered = covered(&self.segments).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "playlist: no whole segment yet, ask again")
        })?;
        self.ended = false;
        Ok(self)
    }

    /// The window that is really shown: from the first picture to the end of the last.
    #[must_use]
    pub fn covered(&self) -> Window {
        self.covered
    }

    fn segment(&self, f: &mut fmt::Formatter<'_>, segment: &Segment) -> fmt::Result {
        let uri = self.uris.get(segment.clip).map_or("", String::as_str);
        if segment.discontinuity {
            writeln!(f, "#EXT-X-DISCONTINUITY")?;
        }
        if let Some(map) = &segment.map {
            let (start, len) = (map.start, map.end - map.start);
            writeln!(f, "#EXT-X-MAP:URI=\"{uri}\",BYTERANGE=\"{len}@{start}\"")?;
        }
        if segment.date {
            writeln!(f, "#EXT-X-PROGRAM-DATE-TIME:{}", Millis(segment.wall.start()))?;
        }
        let (start, len) = (segment.bytes.start, segment.bytes.end - segment.bytes.start);
        writeln!(f, "#EXTINF:{},", Seconds(segment.wall.duration()))?;
        writeln!(f, "#EXT-X-BYTERANGE:{len}@{start}")?;
        writeln!(f, "{uri}")
    }
}

impl fmt::Display for Playlist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let longest = self.segments.iter().map(|segment| segment.wall.duration()).max();
        // Rounded up: no segment may be longer than this says.
        let target = longest.unwrap_or_default().saturating_add(Duration::from_nanos(999_999_999));
        writeln!(f, "#EXTM3U")?;
        writeln!(f, "#EXT-X-VERSION:7")?;
        writeln!(f, "#EXT-X-TARGETDURATION:{}", target.as_secs().max(1))?;
        writeln!(f, "#EXT-X-MEDIA-SEQUENCE:0")?;
        writeln!(f, "#EXT-X-PLAYLIST-TYPE:{}", if self.ended { "VOD" } else { "EVENT" })?;
        if self.segments.iter().all(|segment| segment.key) {
            writeln!(f, "#EXT-X-INDEPENDENT-SEGMENTS")?;
        }
        if self.ended && !self.skip.is_zero() {
            writeln!(f, "#EXT-X-START:TIME-OFFSET={},PRECISE=YES", Seconds(self.skip))?;
        }
        for segment in &self.segments {
            self.segment(f, segment)?;
        }
        if self.ended { writeln!(f, "#EXT-X-ENDLIST") } else { Ok(()) }
    }
}

/// Seconds with six digits.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0.as_secs(), self.0.subsec_micros())
    }
}

/// A time with three digits: more are not in the grammar of all players.
struct Millis(Timestamp);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = self.0.as_micros();
        let second = Timestamp::from_micros(us.div_euclid(1_000_000).saturating_mul(1_000_000));
        let text = second.to_string();
        let whole = text.strip_suffix('Z').unwrap_or(&text);
        write!(f, "{whole}.{:03}Z", us.rem_euclid(1_000_000) / 1_000)
    }
}

fn is_quotable(uri: &str) -> bool {
    !uri.is_empty() && !uri.chars().any(|c| c == '"' || c.is_control())
}

/// How long segments are to be.
fn segment_min(clips: &[PlaylistClip], window: Option<Window>) -> Duration {
    let stored = clips
        .iter()
        .map(|clip| clip.index.duration())
        .fold(Duration::ZERO, std::time::Duration::saturating_add);
    let shown = window.map_or(stored, |window| window.duration().min(stored));
    (shown / SEGMENTS_SOFT_MAX).clamp(SEGMENT_MIN.start, SEGMENT_MIN.end)
}

fn covered(segments: &[Segment]) -> Option<Window> {
    let end = segments.iter().map(|segment| segment.wall.end()).max()?;
    Window::new(segments.first()?.wall.start(), end).ok()
}

/// Fragments that follow one another in a clip and become one segment.
struct Stretch<'a> {
    fragments: &'a [Fragment],
    /// Where the next segment begins, when it goes on with this one.
    until: Option<Duration>,
}

/// Splits `fragments` where a segment can begin, and where one must end.
fn stretches(fragments: &[Fragment], target: Duration) -> impl Iterator<Item = Stretch<'_>> {
    let mut rest = fragments;
    std::iter::from_fn(move || {
        let first = rest.first()?;
        let mut end = first.end();
        let mut until = None;
        let mut taken = 1;
        for next in rest.iter().skip(1) {
            let broken = breaks(first, next, end);
            let due = next.key && (!first.key || next.start.saturating_sub(first.start) >= target);
            if broken || due {
                until = (!broken).then_some(next.start);
                break;
            }
            end = end.max(next.end());
            taken += 1;
        }
        let (fragments, behind) = rest.split_at(taken);
        rest = behind;
        Some(Stretch { fragments, until })
    })
}

/// Whether `next` cannot be in one segment with what begins with `first` and ends at `end`.
fn breaks(first: &Fragment, next: &Fragment, end: Duration) -> bool {
    next.init != first.init || next.clock_set || next.start.saturating_sub(end) > GAP_MAX
}

/// Where what was planned so far ends.
struct Tail {
    init: [u8; 32],
    wall: Timestamp,
    media_us: i64,
}

struct Planner {
    window: Option<Window>,
    segments: Vec<Segment>,
    tail: Option<Tail>,
}

impl Planner {
    /// Adds the segment of `stretch`, if it is wanted and can be decoded.
    fn add(&mut self, number: usize, clip: &PlaylistClip, stretch: &Stretch<'_>) {
        let (Some(first), Some(last)) = (stretch.fragments.first(), stretch.fragments.last())
        else {
            return;
        };
        let Some(init) = clip.index.inits.get(first.init) else { return };
        let end = stretch.fragments.iter().map(Fragment::end).max().unwrap_or_default();
        let at = |offset: Duration| clip.start.saturating_add(offset);
        let wall = Window::new(at(first.start), at(stretch.until.unwrap_or(end)));
        let Ok(wall) = wall else { return };
        if self.window.is_some_and(|window| !window.meets(&wall)) {
            return;
        }
        let goes_on = !first.clock_set
            && self.tail.as_ref().is_some_and(|tail| {
                tail.init == init.digest
                    && tail.media_us.abs_diff(first.media_us) <= CLOCK_SLACK_US
                    && tail.wall.since(wall.start()) <= GAP_MAX
                    && wall.start().since(tail.wall) <= GAP_MAX
            });
        if !first.key && !goes_on {
            return;
        }
        let same_clip = self.segments.last().is_some_and(|segment| segment.clip == number);
        self.segments.push(Segment {
            clip: number,
            bytes: first.bytes.start..last.bytes.end,
            wall,
            key: first.key,
            discontinuity: !goes_on && self.tail.is_some(),
            map: (!goes_on).then(|| init.bytes.clone()),
            date: !goes_on || !same_clip,
        });
        let media_end = |fragment: &Fragment| {
            let us = i64::try_from(fragment.end().saturating_sub(fragment.start).as_micros())
                .unwrap_or(i64::MAX);
            fragment.media_us.saturating_add(us)
        };
        let media_us = stretch.fragments.iter().map(media_end).max().unwrap_or(first.media_us);
        self.tail = Some(Tail { init: init.digest, wall: wall.end(), media_us });
    }
}
