//! MP4 bytes to facts and back: what a stream says of itself, and one playable file for a window.
//!
//! Pure: no file, no socket, no clock, no store. Bytes come from callers as slices or through
//! [`ClipBytes`]; every parser takes any bytes, answers with `ErrorKind::Media` when they are not
//! what they claim, never panics, and never allocates by a length it has not checked.
//!
//! Footage is never re-encoded and never rewritten in place: samples are copied bit by bit, only
//! the tables around them are made anew, and only in exports.

mod boxes;
mod codec;
mod export;
mod facts;
mod hls;
mod init;
mod moof;
mod plain;
mod probe;
mod push;
mod recording;
mod source;
mod start_time;
mod stream_clock;
mod transport;

pub use export::{
    DecoderChange, EXPORT_SAMPLES_MAX, Export, ExportClip, ExportPart, ExportPlan, Format,
};
pub use facts::ClipFacts;
pub use hls::{CLIP_FRAGMENTS_MAX, ClipIndex, Playlist, PlaylistClip};
pub use init::{ConfigId, InitSegment, MOOV_BYTES_MAX, Track, TrackKind};
pub use probe::{Kind, probe};
pub use push::{FRAGMENT_BYTES_MAX, Fragment, FragmentParser, Piece};
pub use source::{ClipBytes, SeekBytes};
pub use start_time::{NamePattern, NamedClip, StartSource, StartTime, choose_start};
pub use transport::transport_duration;

use crate::types::{Error, ErrorKind};

/// An error about bytes that are not the media they should be.
fn media_error(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Media, message)
}

/// `value` ticks of a clock of `from` ticks a second, in ticks of one of `to` a second, rounded
/// down and clamped: what a file claims can be as large as it likes.
fn rescale(value: i64, from: u32, to: u32) -> i64 {
    let scaled = (i128::from(value) * i128::from(to)).div_euclid(i128::from(from.max(1)));
    i64::try_from(scaled).unwrap_or(if scaled < 0 { i64::MIN } else { i64::MAX })
}

/// Ticks a second of a clock that counts microseconds.
const MICROS: u32 = 1_000_000;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod garbage_tests;
