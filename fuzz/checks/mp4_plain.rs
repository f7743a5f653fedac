//! Finished files, plain or fragmented, as they are imported: facts, and an export of them.
//!
//! Asserts what `exported` does of every export, that what can be exported has facts, and that no
//! claimed count becomes memory.

use std::sync::Arc;

use bytes::Bytes;

use super::{memory, mp4_export};
use crate::media::{ClipFacts, ExportClip};
use crate::types::Timestamp;

/// Input: the file.
pub fn check(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    // As `mp4_push`, and what recordings of one file hold apart.
    let most = data.len().saturating_mul(192).saturating_add(64 << 10);
    let facts = memory::within(most, || ClipFacts::read(&bytes));
    let clip = ExportClip::new(Timestamp::EPOCH, "file", Arc::new(bytes));
    let exported = mp4_export::exported(&[clip], data.len(), None);
    match facts {
        Ok(facts) => assert!(facts.init().reference().timescale() > 0),
        Err(error) => assert!(!exported, "exported what could not be read: {error}"),
    }
}
