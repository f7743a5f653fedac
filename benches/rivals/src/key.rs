//! Keys and values that the key-value rivals share: a clip's camera and start, its end and length.

use std::time::Duration;

use clipkeep::workload::{Outcome, Take};
use clipkeep::{CameraId, Timestamp, Window};

/// Camera, then start in big-endian, so that keys of one camera stand in order of time.
pub fn key(camera: &CameraId, start: Timestamp) -> Vec<u8> {
    let mut key = camera.as_str().as_bytes().to_vec();
    key.push(0);
    key.extend(start.as_micros().to_be_bytes());
    key
}

/// The end of a clip: what a lookup has to know of it besides its key.
pub fn end_of(take: &Take) -> [u8; 8] {
    take.window.end().as_micros().to_le_bytes()
}

/// The window of a clip, from its key and value.
pub fn window(key: &[u8], end: &[u8]) -> Outcome<Window> {
    let start = key.get(key.len().saturating_sub(8)..).ok_or("a short key")?;
    let (start, end) = (i64::from_be_bytes(start.try_into()?), i64::from_le_bytes(end.try_into()?));
    Ok(Window::new(Timestamp::from_micros(start), Timestamp::from_micros(end))?)
}

/// The first and last key of which the clips of `camera` in `window` may be.
pub fn range(camera: &CameraId, window: Window, longest: Duration) -> (Vec<u8>, Vec<u8>) {
    (key(camera, window.start().saturating_sub(longest)), key(camera, window.end()))
}
