//! Which camera a file is of, and when it began.

use std::path::Path;

use crate::media::{ClipFacts, NamePattern, NamedClip, StartSource, StartTime, choose_start};
use crate::types::{Error, Result};
use crate::{CameraId, Timestamp};

/// What the flags say of all files.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) camera: Option<CameraId>,
    pub(super) start: Option<Timestamp>,
    pub(super) pattern: Option<NamePattern>,
    pub(super) offset_seconds: i32,
}

/// Where a file's footage belongs.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) camera: CameraId,
    pub(super) start: Timestamp,
    pub(super) source: StartSource,
}

impl Names {
    /// Where the file at `path` belongs, given what its boxes say: as `facts` of the whole file, or
    /// as `told` by whoever read it as a stream.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when nothing tells the camera or the start, or the name breaks the pattern.
    pub(super) fn origin(
        &self,
        path: &Path,
        facts: Option<&ClipFacts>,
        told: Vec<StartTime>,
    ) -> Result<Origin> {
        let text = path.to_string_lossy().replace('\\', "/");
        let by_pattern = self.pattern.as_ref().map(|pattern| pattern.read(&text)).transpose()?;
        let by_name = NamedClip::recognise(&text, self.offset_seconds);
        let said = |at: Option<Timestamp>, source| at.map(|at| StartTime { at, source });
        let start_of = |named: &Option<NamedClip>| named.as_ref().map(|named| named.start);
        let named = [
            said(self.start, StartSource::Given),
            said(start_of(&by_pattern), StartSource::Pattern),
            said(start_of(&by_name), StartSource::Name),
        ];
        let start =
            choose_start(named.into_iter().flatten().chain(told), facts).ok_or_else(|| {
                Error::invalid(
                    "nothing tells when it began: give --start, or --pattern for its name",
                )
            })?;
        let camera = match &self.camera {
            Some(camera) => camera.clone(),
            None => camera_of(by_pattern.or(by_name))?,
        };
        Ok(Origin { camera, start: start.at, source: start.source })
    }
}

fn camera_of(named: Option<NamedClip>) -> Result<CameraId> {
    let name = named.and_then(|named| named.camera);
    let name = name.ok_or_else(|| {
        Error::invalid("nothing tells which camera it is of: give --camera, or --pattern")
    })?;
    CameraId::new(&name)
}

/// Who says when a clip began, in words that scripts can rely on.
pub(super) fn source_name(source: StartSource) -> &'static str {
    match source {
        StartSource::Given => "flag",
        StartSource::Pattern => "pattern",
        StartSource::Recorder => "recorder",
        StartSource::Media => "media-time",
        StartSource::Name => "file-name",
        StartSource::Created => "creation-time",
    }
}

/// Seconds east of UTC: `+01:00`, `-05:30`, `Z`.
pub(super) fn offset(text: &str) -> Result<i32> {
    let refused = || Error::invalid(format!("offset {text:?}: want +HH:MM, like +01:00 or -05:30"));
    if text == "Z" {
        return Ok(0);
    }
    let (sign, rest) = match text.split_at_checked(1) {
        Some(("+", rest)) => (1, rest),
        Some(("-", rest)) => (-1, rest),
        _ => return Err(refused()),
    };
    let (hours, minutes) = rest.split_once(':').ok_or_else(refused)?;
    let number = |part: &str, below: i32| -> Option<i32> {
        let plain = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        if plain { part.parse().ok().filter(|n| *n < below) } else { None }
    };
    let (hours, minutes) = number(hours, 24).zip(number(minutes, 60)).ok_or_else(refused)?;
    Ok(sign * (hours * 3_600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names { camera: None, start: None, pattern: None, offset_seconds: 0 }
    }

    #[test]
    fn a_flag_beats_the_name_of_the_file() {
        let path = Path::new("front/20261123T184500Z.mp4");
        let named = names().origin(path, None, Vec::new()).unwrap();
        assert_eq!((named.camera.as_str(), named.source), ("front", StartSource::Name));
        let flags = Names {
            camera: Some(CameraId::new("garden").unwrap()),
            start: Some(Timestamp::EPOCH),
            ..names()
        };
        let given = flags.origin(path, None, Vec::new()).unwrap();
        assert_eq!((given.camera.as_str(), given.start), ("garden", Timestamp::EPOCH));
    }

    #[test]
    fn what_nothing_tells_is_asked_for() {
        let missing = names().origin(Path::new("clip.mp4"), None, Vec::new()).unwrap_err();
        assert!(missing.to_string().contains("--start"), "{missing}");
        let start = Names { start: Some(Timestamp::EPOCH), ..names() };
        let missing = start.origin(Path::new("clip.mp4"), None, Vec::new()).unwrap_err();
        assert!(missing.to_string().contains("--camera"), "{missing}");
    }

    #[test]
    fn offsets_are_read_strictly() {
        assert_eq!(offset("+01:00").unwrap(), 3_600);
        assert_eq!(offset("-05:30").unwrap(), -19_800);
        assert_eq!(offset("Z").unwrap(), 0);
        for text in ["", "+1", "01:00", "+24:00", "+01:60", "+01:00:00", "\u{e9}"] {
            assert!(offset(text).is_err(), "{text}");
        }
    }
}
