//! The pieces that payloads of ledger entries are made of.
//!
//! | piece  | bytes                                                     |
//! |--------|-----------------------------------------------------------|
//! | time   | i64, µs since 1970                                        |
//! | camera | length u8, id                                             |
//! | text   | length u16 (at most 1024), UTF-8                          |
//! | window | start time, end time                                      |
//! | scope  | count u16 (at most 1024), then a camera and a window each |
//! | clip   | home u32, ordinal u32                                     |
//! | clips  | count u32 (at most 4096), then clips                      |
//! | holds  | count u32 (at most 4096), then u64 each                   |
//! | reason | 1 due, 2 space, 3 early, 4 released                       |
//! | u8     | as a yes or no: 1 or 0                                    |

use super::Damage;
use super::bytes::{Reader, Writer, to_u32, to_usize};
use super::entry::{
    CLIPS_PER_ENTRY_MAX, ExpiryReason, HOLDS_PER_ENTRY_MAX, SCOPE_RANGES_MAX, TEXT_BYTES_MAX,
};
use crate::types::{CameraId, ClipId, HoldId, Window};

type Scope = [(CameraId, Window)];

pub(super) fn put_camera(out: &mut Writer, camera: &CameraId) {
    out.put_camera_len(camera);
    out.put_slice(camera.as_str().as_bytes());
}

pub(super) fn take_camera(fields: &mut Reader<'_>) -> Result<CameraId, Damage> {
    let len = usize::from(fields.take_u8()?);
    fields.take_camera(len)
}

pub(super) fn put_window(out: &mut Writer, window: Window) {
    out.put_timestamp(window.start());
    out.put_timestamp(window.end());
}

pub(super) fn take_window(fields: &mut Reader<'_>) -> Result<Window, Damage> {
    let (start, end) = (fields.take_timestamp("window")?, fields.take_timestamp("window")?);
    Window::new(start, end).ok().ok_or(Damage::Field("window"))
}

pub(super) fn put_scope(out: &mut Writer, scope: &Scope) {
    out.put_u16(u16::try_from(scope.len()).unwrap_or(u16::MAX));
    for (camera, window) in scope {
        put_camera(out, camera);
        put_window(out, *window);
    }
}

pub(super) fn take_scope(fields: &mut Reader<'_>) -> Result<Vec<(CameraId, Window)>, Damage> {
    let count = usize::from(fields.take_u16()?);
    at_most(count, SCOPE_RANGES_MAX, "scope")?;
    (0..count).map(|_| Ok((take_camera(fields)?, take_window(fields)?))).collect()
}

pub(super) fn put_clips(out: &mut Writer, clips: &[ClipId]) {
    out.put_u32(to_u32(clips.len()));
    for clip in clips {
        out.put_clip(*clip);
    }
}

pub(super) fn take_clips(fields: &mut Reader<'_>) -> Result<Vec<ClipId>, Damage> {
    let count = to_usize(fields.take_u32()?);
    at_most(count, CLIPS_PER_ENTRY_MAX, "clips")?;
    (0..count).map(|_| fields.take_clip()).collect()
}

pub(super) fn take_holds(fields: &mut Reader<'_>) -> Result<Vec<HoldId>, Damage> {
    let count = to_usize(fields.take_u32()?);
    at_most(count, HOLDS_PER_ENTRY_MAX, "holds")?;
    (0..count).map(|_| fields.take_u64().map(HoldId)).collect()
}

pub(super) fn put_text(out: &mut Writer, text: &str) {
    // `check` has refused longer ones before this is called.
    out.put_u16(u16::try_from(text.len()).unwrap_or(u16::MAX));
    out.put_slice(text.as_bytes());
}

pub(super) fn take_text(fields: &mut Reader<'_>, field: &'static str) -> Result<String, Damage> {
    let len = usize::from(fields.take_u16()?);
    at_most(len, TEXT_BYTES_MAX, field)?;
    let text = str::from_utf8(fields.take_slice(len)?).ok();
    text.map(str::to_owned).ok_or(Damage::Field(field))
}

pub(super) fn take_reason(fields: &mut Reader<'_>) -> Result<ExpiryReason, Damage> {
    match fields.take_u8()? {
        1 => Ok(ExpiryReason::Due),
        2 => Ok(ExpiryReason::Space),
        3 => Ok(ExpiryReason::Early),
        4 => Ok(ExpiryReason::Released),
        _ => Err(Damage::Field("reason")),
    }
}

pub(super) fn take_bool(fields: &mut Reader<'_>, field: &'static str) -> Result<bool, Damage> {
    match fields.take_u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Damage::Field(field)),
    }
}

pub(super) fn text_fits(text: &str, field: &'static str) -> Result<(), Damage> {
    at_most(text.len(), TEXT_BYTES_MAX, field)
}

pub(super) const fn at_most(count: usize, limit: usize, field: &'static str) -> Result<(), Damage> {
    if count <= limit { Ok(()) } else { Err(Damage::Field(field)) }
}
