//! When a clip began, from its file name and from what its boxes say: for importing recordings
//! that other recorders made.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::Offset;

use super::facts::ClipFacts;
use super::init::InitSegment;
use crate::types::{Error, Result, Timestamp};

/// Who says when a clip began, the most trustworthy first.
///
/// A person who names a time or a pattern knows better than any file. The recorder's own wall
/// clock, written for this purpose, comes next, then media time that counts from 1970. A file name
/// has whole seconds and may be in local time; `mvhd` has whole seconds, and recorders disagree on
/// whether it is the start or the end, so it comes last. The time a file was changed is not
/// listed: copying it would move the footage in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum StartSource {
    /// The caller said so.
    Given,
    /// The name of the file, by a pattern that the caller gave.
    Pattern,
    /// The `mtxi` box of `MediaMTX`.
    Recorder,
    /// Media time that counts from 1970.
    Media,
    /// The name of the file, in a form that a known recorder uses.
    Name,
    /// `mvhd` creation time.
    Created,
}

impl StartSource {
    /// How far off it may be for its resolution alone; the clock behind it may be off by more.
    #[must_use]
    pub fn uncertainty(self) -> Duration {
        match self {
            Self::Given | Self::Recorder | Self::Media => Duration::ZERO,
            Self::Pattern | Self::Name | Self::Created => Duration::from_secs(1),
        }
    }
}

/// When a clip began, and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartTime {
    /// The wall clock at its first picture.
    pub at: Timestamp,
    /// Who says so.
    pub source: StartSource,
}

/// The most trustworthy of `named` (from outside of the file) and what the file itself says.
#[must_use]
pub fn choose_start(
    named: impl IntoIterator<Item = StartTime>,
    facts: Option<&ClipFacts>,
) -> Option<StartTime> {
    let said = |source, at: Option<Timestamp>| at.map(|at| StartTime { at, source });
    let init = facts.map(ClipFacts::init);
    let within = [
        said(StartSource::Recorder, init.and_then(InitSegment::recorded)),
        said(StartSource::Media, facts.and_then(ClipFacts::epoch)),
        said(StartSource::Created, init.and_then(InitSegment::created)),
    ];
    named.into_iter().chain(within.into_iter().flatten()).min_by_key(|start| start.source)
}

/// What the name of a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedClip {
    /// When it began.
    pub start: Timestamp,
    /// The camera, where the name has one.
    pub camera: Option<String>,
}

/// The forms of date and time that names of known recorders end with, longer before shorter, with
/// the length of the text they stand for. `true`: always UTC, whatever the offset of the rest.
const STEM_FORMATS: [(&str, usize, bool); 9] = [
    ("%Y-%m-%d_%H-%M-%S-%6f", 26, false),
    ("%Y-%m-%d_%H-%M-%S", 19, false),
    ("%Y-%m-%dT%H-%M-%S", 19, false),
    ("%Y%m%d%H%M%S%z", 19, false),
    ("%Y%m%dT%H%M%SZ", 16, true),
    ("%Y%m%dT%H%M%S", 15, false),
    ("%Y%m%d_%H%M%S", 15, false),
    ("%Y%m%d-%H%M%S", 15, false),
    ("%Y%m%d%H%M%S", 14, false),
];

impl NamedClip {
    /// Reads `path` (with `/` between folders) in the forms of known recorders:
    ///
    /// - `front/20261123T184500Z.mp4`, as in `ffmpeg -f segment -strftime 1`;
    /// - `front@20261123184500+0000.mp4`, Frigate's cache;
    /// - `2026-11-23/18/front/45.00.mp4`, Frigate's recordings, always UTC;
    /// - `front/2026-11-23_18-45-00-123456.mp4`, `MediaMTX`;
    /// - `front_20261123_184500.mp4` and the like.
    ///
    /// Names without an offset are read as UTC plus `offset_seconds`.
    #[must_use]
    pub fn recognise(path: &str, offset_seconds: i32) -> Option<Self> {
        let folders: Vec<&str> = path.split('/').collect();
        let (file, folders) = folders.split_last()?;
        let stem = file.rsplit_once('.').map_or(*file, |(stem, _)| stem);
        if let [.., date, hour, camera] = folders
            && let Ok(start) = read("%Y-%m-%d/%H/%M.%S", &format!("{date}/{hour}/{stem}"), 0)
            && stem.len() == 5
        {
            return Some(Self { start, camera: camera_name(camera) });
        }
        STEM_FORMATS.iter().find_map(|(format, len, utc)| {
            let at = stem.len().checked_sub(*len)?;
            let (before, text) = stem.split_at_checked(at)?;
            if before.ends_with(|c: char| c.is_ascii_alphanumeric()) {
                return None;
            }
            let start = read(format, text, if *utc { 0 } else { offset_seconds }).ok()?;
            let before = before.trim_end_matches(['@', '_', '-', ' ', '.']);
            let camera = camera_name(before).or_else(|| camera_name(folders.last()?));
            Some(Self { start, camera })
        })
    }
}

fn camera_name(text: &str) -> Option<String> {
    (!text.is_empty() && !text.starts_with('.')).then(|| text.to_owned())
}

/// A form of file names that somebody gave, as for `strptime`, with `{camera}` for the camera.
///
/// # Example
///
/// ```
/// use clipkeep::media::NamePattern;
///
/// let pattern = NamePattern::new("{camera}/%Y-%m-%d/%H-%M-%S")?;
/// let named = pattern.read("/mnt/nvr/front/2026-11-23/18-45-00.mp4")?;
/// assert_eq!(named.start.to_string(), "2026-11-23T18:45:00Z");
/// assert_eq!(named.camera.as_deref(), Some("front"));
/// assert!(pattern.read("front/yesterday.mp4").is_err());
/// # Ok::<(), clipkeep::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct NamePattern {
    text: String,
    offset_seconds: i32,
}

const CAMERA: &str = "{camera}";

impl NamePattern {
    /// The pattern `text`. Its folders are matched with the last folders of a path; an extension
    /// need not be in it. `{camera}` stands at the beginning or end of a folder's or file's name.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when it has no conversion at all, or more than one `{camera}`.
    pub fn new(text: &str) -> Result<Self> {
        let cameras = text.matches(CAMERA).count();
        if !text.contains('%') || cameras > 1 {
            return Err(Error::invalid(format!(
                "name pattern {text:?}: want conversions like %Y%m%dT%H%M%S, one {CAMERA} at most"
            )));
        }
        Ok(Self { text: text.to_owned(), offset_seconds: 0 })
    }

    /// How many seconds east of UTC names without an offset are. Default: 0.
    #[must_use]
    pub fn utc_offset(mut self, seconds: i32) -> Self {
        self.offset_seconds = seconds;
        self
    }

    /// What `path` (with `/` between folders) says.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when it does not have this form.
    pub fn read(&self, path: &str) -> Result<NamedClip> {
        let wanted = self.text.split('/').count();
        let all: Vec<&str> = path.split('/').collect();
        let tail = all.get(all.len().saturating_sub(wanted)..).unwrap_or(&[]).join("/");
        let stem = match tail.rsplit_once('.') {
            Some((stem, extension)) if !extension.contains('/') => stem,
            _ => tail.as_str(),
        };
        let fits = self.fit(stem).or_else(|| self.fit(&tail));
        fits.ok_or_else(|| {
            Error::invalid(format!("file name {tail:?}: does not have the form {:?}", self.text))
        })
    }

    /// Tries all places where the camera's name can end.
    fn fit(&self, text: &str) -> Option<NamedClip> {
        let Some((before, after)) = self.text.split_once(CAMERA) else {
            let start = read(&self.text, text, self.offset_seconds).ok()?;
            return Some(NamedClip { start, camera: None });
        };
        let format = format!("{before}{after}");
        // The folders before the camera's are as many as in the pattern.
        let depth = before.matches('/').count();
        let folder_at: usize = text.split_inclusive('/').take(depth).map(str::len).sum();
        let folder = text.get(folder_at..)?.split('/').next()?;
        let leads = before.is_empty() || before.ends_with('/');
        let bounds = folder.char_indices().map(|(at, _)| at).chain([folder.len()]);
        bounds.rev().find_map(|at| {
            let camera = if leads { 0..at } else { at..folder.len() };
            let name = camera_name(folder.get(camera.clone())?)?;
            let left = text.get(..folder_at + camera.start)?;
            let right = text.get(folder_at + camera.end..)?;
            let start = read(&format, &format!("{left}{right}"), self.offset_seconds).ok()?;
            Some(NamedClip { start, camera: Some(name) })
        })
    }
}

/// Reads `text` by `format`; without an offset in it, as UTC plus `offset_seconds`.
fn read(
    format: &str,
    text: &str,
    offset_seconds: i32,
) -> std::result::Result<Timestamp, jiff::Error> {
    let parsed = strtime::parse(format, text)?;
    if let Ok(at) = parsed.to_timestamp() {
        return Ok(Timestamp::from_micros(at.as_microsecond()));
    }
    let local: DateTime = parsed.to_datetime()?;
    let at = Offset::from_seconds(offset_seconds)?.to_timestamp(local)?;
    Ok(Timestamp::from_micros(at.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::fixtures;

    fn named(start: &str, camera: Option<&str>) -> NamedClip {
        NamedClip { start: start.parse().unwrap(), camera: camera.map(str::to_owned) }
    }

    #[test]
    fn names_of_known_recorders_are_recognised() {
        let seconds = "2026-11-23T18:45:00Z";
        for (path, start, camera) in [
            ("clips/cam1/20261123T184500Z.mp4", seconds, Some("cam1")),
            ("/tmp/cache/front@20261123184500+0000.mp4", seconds, Some("front")),
            ("/tmp/cache/front@20261123194500+0100.mp4", seconds, Some("front")),
            ("recordings/2026-11-23/18/front/45.00.mp4", seconds, Some("front")),
            (
                "r/front/2026-11-23_18-45-00-123456.mp4",
                "2026-11-23T18:45:00.123456Z",
                Some("front"),
            ),
            ("front_20261123_184500.mp4", seconds, Some("front")),
            ("20261123-184500.mp4", seconds, None),
        ] {
            assert_eq!(NamedClip::recognise(path, 0), Some(named(start, camera)), "{path}");
        }
    }

    #[test]
    fn names_that_only_look_like_times_are_not_recognised() {
        for path in [
            "",
            "/",
            "clip.mp4",
            "front/20261323T184500Z.mp4",
            "x120261123184500.mp4",
            "2026-11-23/18/front/clip.mp4",
            "2026-11-23/25/front/45.00.mp4",
            "\u{e9}0261123T184500.mp4",
        ] {
            assert_eq!(NamedClip::recognise(path, 0), None, "{path}");
        }
    }

    #[test]
    fn local_names_are_shifted_but_names_in_utc_are_not() {
        let local = NamedClip::recognise("front/2026-11-23_18-45-00-000000.mp4", 3_600);
        assert_eq!(local, Some(named("2026-11-23T17:45:00Z", Some("front"))));
        let utc = NamedClip::recognise("front/20261123T184500Z.mp4", 3_600);
        assert_eq!(utc, Some(named("2026-11-23T18:45:00Z", Some("front"))));
    }

    #[test]
    fn a_given_pattern_finds_the_camera_in_front_behind_and_as_a_folder() {
        for (pattern, path) in [
            ("{camera}_%Y%m%d%H%M%S", "x/front_door_20261123184500.mp4"),
            ("%Y%m%d%H%M%S_{camera}", "20261123184500_front_door.mkv"),
            ("%Y/%m/%d/{camera}/%H%M%S.mp4", "/a/2026/11/23/front_door/184500.mp4"),
        ] {
            let found = NamePattern::new(pattern).unwrap().read(path).unwrap();
            assert_eq!(found, named("2026-11-23T18:45:00Z", Some("front_door")), "{pattern}");
        }
        assert!(NamePattern::new("no conversion").is_err());
        assert!(NamePattern::new("{camera}{camera}%s").is_err());
    }

    #[test]
    fn the_most_trustworthy_source_wins() {
        let at = |source, us| StartTime { at: Timestamp::from_micros(us), source };
        let (name, given) = (at(StartSource::Name, 1), at(StartSource::Given, 2));
        assert_eq!(choose_start([name, given], None), Some(given));
        let facts = ClipFacts::read(&fixtures::epoch()).unwrap();
        let media = at(StartSource::Media, 1_795_000_000_500_000);
        assert_eq!(choose_start([name], Some(&facts)), Some(media));
        assert_eq!(choose_start([name, given], Some(&facts)), Some(given));
        assert_eq!(choose_start([], None), None);
    }
}
