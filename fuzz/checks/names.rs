//! Names and ids: whatever parses is the one spelling of what it says.
//!
//! Asserts that no two names mean the same file, because opening removes files by parsed names, and
//! that an id that was printed is read back as itself.

use super::choices::Choices;
use crate::format::name::{self, SpareName};
use crate::types::{
    CAMERA_ID_BYTES_MAX, CameraId, ClassId, ClipId, HoldId, SegmentId, Timestamp, Window,
};

/// Takes the bytes once as a text and once as numbers.
pub fn check(data: &[u8]) {
    if let Ok(text) = str::from_utf8(data) {
        parse(text);
    }
    let mut choices = Choices::new(data);
    print(ClassId(choices.u16()), SegmentId(choices.u32()), choices.u32(), choices.u64());
}

/// Whatever `text` is read as is written as `text`.
fn parse(text: &str) {
    let in_folder = |made: &str| made.rsplit_once('/').map(|(_, file)| file == text);
    if let Some((class, id)) = name::parse_segment(text) {
        assert_eq!(in_folder(&name::segment(class, id)), Some(true), "{text:?}");
    }
    if let Some(number) = name::parse_ledger(text) {
        assert_eq!(in_folder(&name::ledger(name::LEDGER_A, number)), Some(true), "{text:?}");
    }
    if let Some(number) = name::parse_partition(text) {
        assert_eq!(in_folder(&name::partition(number)), Some(true), "{text:?}");
    }
    if let Some(spare) = name::parse_spare(text) {
        assert_eq!(in_folder(&name::spare(spare)), Some(true), "{text:?}");
    }
    if let Ok(camera) = CameraId::new(text) {
        // It becomes part of addresses and of names of exported files.
        assert_eq!(camera.as_str(), text);
        assert!((1..=CAMERA_ID_BYTES_MAX).contains(&text.len()) && !text.starts_with('.'));
        assert!(text.bytes().all(|c| c.is_ascii_graphic() && !b"/\\:*?\"<>|".contains(&c)));
    }
    if let Ok(clip) = text.parse::<ClipId>() {
        assert_eq!(clip.to_string(), text);
    }
    if let Ok(hold) = text.parse::<HoldId>() {
        assert_eq!(hold.to_string(), text);
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        assert_eq!(at.to_string().parse::<Timestamp>().unwrap(), at, "{text:?}");
    }
    if let Some((start, end)) = text.split_once(' ')
        && let Ok(window) = Window::parse(start, end)
    {
        assert!(window.start() < window.end(), "{text:?}");
    }
}

/// Whatever is written is read as what it was made of.
fn print(class: ClassId, id: SegmentId, number: u32, wide: u64) {
    let file = |path: String| path.rsplit_once('/').unwrap().1.to_owned();
    assert_eq!(name::parse_segment(&file(name::segment(class, id))), Some((class, id)));
    assert_eq!(name::parse_ledger(&file(name::ledger(name::LEDGER_B, number))), Some(number));
    for spare in [SpareName::Ballast, SpareName::Evidence(number), SpareName::Segment(number)] {
        assert_eq!(name::parse_spare(&file(name::spare(spare))), Some(spare));
    }
    let clip = ClipId::new(id, number);
    assert_eq!(clip.to_string().parse::<ClipId>().unwrap(), clip);
    assert_eq!(HoldId(wide).to_string().parse::<HoldId>().unwrap(), HoldId(wide));
    let at = Timestamp::from_micros(wide.cast_signed());
    assert_eq!(at.to_string().parse::<Timestamp>().unwrap(), at);
}
