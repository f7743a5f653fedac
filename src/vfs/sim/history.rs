//! What was asked of a disk and what it answered, a line each, for a failing test to print.
//!
//! Bytes stand in it as hashes, so that two histories of the same lines are the same history.

use std::io;

use super::disk::Disk;
use super::rng::mix;

/// The lines so far, when somebody wants them.
#[derive(Clone, Debug, Default)]
pub(super) struct History(Option<Vec<String>>);

impl History {
    /// Starts anew, or stops and forgets.
    pub(super) fn record(&mut self, record: bool) {
        self.0 = record.then(Vec::new);
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.0.clone().unwrap_or_default()
    }

    /// Adds a line; `line` is not even made when nobody wants it.
    pub(super) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.0 {
            let number = lines.len() + 1;
            lines.push(format!("{number:>5} {}", line()));
        }
    }
}

impl Disk {
    /// Notes a call with its outcome, and hands the outcome on.
    pub(super) fn told<T>(
        &mut self,
        done: io::Result<T>,
        call: impl FnOnce(Option<&T>) -> String,
    ) -> io::Result<T> {
        self.history.note(|| match &done {
            Ok(value) => call(Some(value)),
            Err(error) => format!("{}: FAILED: {error}", call(None)),
        });
        done
    }
}

/// Eight hexadecimal digits that differ when the bytes do.
pub(super) fn digest(bytes: &[u8]) -> String {
    let hash = bytes.chunks(8).fold(0, |hash, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        mix(hash ^ u64::from_le_bytes(word)).rotate_left(7)
    });
    format!("#{:08x}", hash >> 32)
}
