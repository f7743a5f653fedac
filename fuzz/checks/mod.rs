//! What each fuzz target asserts, in the one place that libFuzzer and the ordinary tests both call.
//!
//! Compiled into the library itself, because the layers below the store are private, but only with
//! `--cfg fuzzing`, which `cargo fuzz` sets, and for tests: no build that anybody links has it. A
//! check takes any bytes, asserts properties by panicking, and does the same each time.

#![expect(clippy::unwrap_used, reason = "a check says what is wrong by panicking")]
#![expect(clippy::panic, reason = "a check says what is wrong by panicking")]

mod choices;
mod memory;

#[cfg(feature = "requests")]
pub mod bundle;
pub mod entry;
pub mod footer;
#[cfg(feature = "daemon")]
pub mod http;
pub mod ledger_replay;
#[cfg(feature = "media")]
pub mod mp4_export;
#[cfg(feature = "media")]
pub mod mp4_init;
#[cfg(feature = "media")]
pub mod mp4_plain;
#[cfg(feature = "media")]
pub mod mp4_push;
pub mod names;
#[cfg(feature = "evidence")]
pub mod note;
pub mod partition;
pub mod record;
#[cfg(feature = "requests")]
pub mod request;
pub mod segment_ends;
pub mod segment_scan;
pub mod slot;
pub mod store;
#[cfg(feature = "evidence")]
pub mod tree;

#[cfg(test)]
mod replay;
#[cfg(test)]
mod seeds;

use crate::format::SegmentKey;
use crate::types::SegmentId;

/// One target: its name, which is that of its file and of its folder of seeds, and its check. A
/// check is missing where the features of this build leave out what it is for.
pub type Target = (&'static str, Option<fn(&[u8])>);

/// A check that is there with the feature that it needs.
macro_rules! with {
    ($feature:literal, $check:path) => {{
        #[cfg(feature = $feature)]
        {
            let check: fn(&[u8]) = $check;
            Some(check)
        }
        #[cfg(not(feature = $feature))]
        {
            None
        }
    }};
}

/// Every target there is.
pub const TARGETS: &[Target] = &[
    ("bundle", with!("requests", bundle::check)),
    ("entry", Some(entry::check)),
    ("footer", Some(footer::check)),
    ("http", with!("daemon", http::check)),
    ("ledger_replay", Some(ledger_replay::check)),
    ("mp4_export", with!("media", mp4_export::check)),
    ("mp4_init", with!("media", mp4_init::check)),
    ("mp4_plain", with!("media", mp4_plain::check)),
    ("mp4_push", with!("media", mp4_push::check)),
    ("names", Some(names::check)),
    ("note", with!("evidence", note::check)),
    ("partition", Some(partition::check)),
    ("record", Some(record::check)),
    ("request", with!("requests", request::check)),
    ("segment_ends", Some(segment_ends::check)),
    ("segment_scan", Some(segment_scan::check)),
    ("slot", Some(slot::check)),
    ("store", Some(store::check)),
    ("tree", with!("evidence", tree::check)),
];

/// The store of all inputs.
const STORE: [u8; 16] = *b"store of fuzzing";

/// The segment of all inputs.
const KEY: SegmentKey =
    SegmentKey { store: STORE, segment: SegmentId(0x2a), salt: *b"salt of fuzzing." };

/// The length of a block, for slices.
const BLOCK_LEN: usize = 4096;

/// Puts `bytes` at `offset` of `into`, as far as there is room.
fn put(into: &mut [u8], offset: usize, bytes: &[u8]) {
    let room = into.get_mut(offset..).unwrap_or_default();
    let len = room.len().min(bytes.len());
    room[..len].copy_from_slice(&bytes[..len]);
}

/// The little-endian number at `offset`.
fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(bytes[offset..offset + 4].try_into().unwrap())
}

/// A whole number of a check as a length: checks never count beyond what memory holds.
fn index(number: impl TryInto<usize>) -> usize {
    number.try_into().unwrap_or(usize::MAX)
}
