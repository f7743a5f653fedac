//! When the segments of a pushed playlist began, by its `EXT-X-PROGRAM-DATE-TIME`.
//!
//! A recorder that pushes files sends a segment first and the playlist that lists it later, so what
//! counts most is what the playlist says of its end: that is where the segment begins that comes
//! next. Owns what the newest playlist of each camera said, and what of it may be believed. Without
//! such a time, or with one that cannot be, its arrival places a segment as before.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::{CameraId, Timestamp};

/// The most cameras whose playlists are remembered: the last in the alphabet go first.
const CAMERAS_MAX: usize = 4_096;
/// The most segments of one playlist that are: the oldest go first.
const SEGMENTS_MAX: usize = 64;
/// How far the end of the newest playlist and a segment's arrival may part before the push is
/// believed to have paused in between.
const APART_MAX: Duration = Duration::from_mins(1);

/// What the newest playlists said, by camera.
#[derive(Clone, Debug, Default)]
pub(in crate::daemon) struct Announced(Arc<Mutex<BTreeMap<CameraId, Timetable>>>);

impl Announced {
    /// Takes note of a playlist.
    pub(super) fn playlist(&self, camera: &CameraId, bytes: &[u8]) {
        let Some(timetable) = Timetable::read(bytes) else { return };
        let mut all = self.0.lock();
        all.insert(camera.clone(), timetable);
        if all.len() > CAMERAS_MAX {
            all.pop_last();
        }
    }

    /// When the segment `file` began, which arrived, whole, at `arrival`.
    pub(super) fn start_of(
        &self,
        camera: &CameraId,
        file: &str,
        arrival: Timestamp,
    ) -> Option<Timestamp> {
        let all = self.0.lock();
        let timetable = all.get(camera)?;
        let listed = timetable.segments.iter().rev().find(|(name, _)| name == file);
        if let Some((_, start)) = listed {
            return Some(*start);
        }
        let apart = timetable.end.since(arrival).max(arrival.since(timetable.end));
        (apart <= APART_MAX).then_some(timetable.end)
    }
}

/// What one playlist said.
#[derive(Debug, PartialEq, Eq)]
struct Timetable {
    /// The names of segments and when they began, in order.
    segments: Vec<(String, Timestamp)>,
    /// When the last of them ended.
    end: Timestamp,
}

impl Timetable {
    /// `None` without a time in it. A time counts for the segment after it; the others follow.
    fn read(playlist: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(playlist).ok()?;
        let (mut segments, mut length) = (Vec::new(), Duration::ZERO);
        let mut at: Option<Timestamp> = None;
        for line in text.lines().map(str::trim) {
            if let Some(time) = line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:") {
                at = time.parse().ok();
            } else if line == "#EXT-X-DISCONTINUITY" {
                // Nobody says how long nothing was recorded.
                at = None;
            } else if let Some(seconds) = line.strip_prefix("#EXTINF:") {
                length = seconds_of(seconds.split(',').next()?)?;
            } else if let (Some(start), false) = (at, line.is_empty() || line.starts_with('#')) {
                let path = line.split('?').next()?;
                segments.push((path.rsplit('/').next()?.to_owned(), start));
                at = Some(start.saturating_add(length));
            } else if !line.is_empty() && !line.starts_with('#') {
                segments.clear();
            }
        }
        segments.drain(..segments.len().saturating_sub(SEGMENTS_MAX));
        Some(Self { segments, end: at? })
    }
}

fn seconds_of(text: &str) -> Option<Duration> {
    let seconds: f64 = text.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As ffmpeg writes it: no colon in the offset.
    const PLAYLIST: &[u8] = b"#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:4\n\
        #EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:4.000000,\n\
        #EXT-X-PROGRAM-DATE-TIME:2026-11-23T18:30:40.500+0000\nlive/index0.m4s\n\
        #EXTINF:3.500000,\nlive/index1.m4s?key=1\n";

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn camera() -> CameraId {
        "front".parse().unwrap()
    }

    #[test]
    fn listed_segments_begin_when_the_playlist_says_and_the_next_where_it_ends() {
        let announced = Announced::default();
        let start = |file| announced.start_of(&camera(), file, at("2026-11-23T18:30:55Z"));
        assert_eq!(start("index0.m4s"), None);
        announced.playlist(&camera(), PLAYLIST);
        assert_eq!(start("index0.m4s"), Some(at("2026-11-23T18:30:40.5Z")));
        assert_eq!(start("index1.m4s"), Some(at("2026-11-23T18:30:44.5Z")));
        assert_eq!(start("index2.m4s"), Some(at("2026-11-23T18:30:48Z")));
    }

    #[test]
    fn a_push_that_paused_is_placed_by_its_arrival() {
        let announced = Announced::default();
        announced.playlist(&camera(), PLAYLIST);
        let late = at("2026-11-23T18:40:00Z");
        assert_eq!(announced.start_of(&camera(), "index2.m4s", late), None);
        let other = "garden".parse().unwrap();
        assert_eq!(announced.start_of(&other, "index0.m4s", late), None);
    }

    #[test]
    fn a_playlist_without_a_time_or_with_garbage_says_nothing() {
        for bytes in [
            &b"#EXTM3U\n#EXTINF:4,\na.ts\n"[..],
            b"#EXTM3U\n#EXT-X-PROGRAM-DATE-TIME:yesterday\n#EXTINF:4,\na.ts\n",
            b"#EXTM3U\n#EXT-X-PROGRAM-DATE-TIME:2026-11-23T18:30:40Z\n#EXTINF:-4,\na.ts\n",
            b"#EXTM3U\n#EXT-X-PROGRAM-DATE-TIME:2026-11-23T18:30:40Z\n#EXTINF:1e99,\na.ts\n",
            b"\xFF\xFE",
            b"",
        ] {
            assert_eq!(Timetable::read(bytes), None);
        }
    }

    #[test]
    fn behind_a_discontinuity_only_a_new_time_counts() {
        let start = "#EXT-X-PROGRAM-DATE-TIME:2026-11-23T18:30:40Z\n#EXTINF:4,\na.ts\n";
        let silent = format!("{start}#EXT-X-DISCONTINUITY\n#EXTINF:4,\nb.ts\n");
        assert_eq!(Timetable::read(silent.as_bytes()), None);
        let again = start.replace("18:30", "18:50").replace("a.ts", "b.ts");
        let both = format!("{start}#EXT-X-DISCONTINUITY\n{again}");
        let read = Timetable::read(both.as_bytes()).unwrap();
        assert_eq!(read.segments[1], ("b.ts".to_owned(), at("2026-11-23T18:50:40Z")));
        assert_eq!(read.end, at("2026-11-23T18:50:44Z"));
    }
}
