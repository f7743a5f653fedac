//! Writes boxes.

use crate::media::boxes::FourCc;

/// Bytes of boxes being written, innermost last.
#[derive(Debug, Default)]
pub(super) struct BoxWriter {
    bytes: Vec<u8>,
}

impl BoxWriter {
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// A box of `kind` with what `body` writes.
    pub(super) fn boxed(&mut self, kind: FourCc, body: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.u32(0);
        self.raw(&kind);
        body(self);
        let len = u32::try_from(self.bytes.len() - start).unwrap_or(u32::MAX);
        self.patch(start, len);
    }

    /// A full box: with version and flags.
    pub(super) fn full(
        &mut self,
        kind: FourCc,
        version: u8,
        flags: u32,
        body: impl FnOnce(&mut Self),
    ) {
        self.boxed(kind, |out| {
            out.u32(u32::from(version) << 24 | flags);
            body(out);
        });
    }

    /// A full box that counts the entries that `body` writes.
    pub(super) fn table(&mut self, kind: FourCc, version: u8, body: impl FnOnce(&mut Self) -> u32) {
        self.full(kind, version, 0, |out| {
            let at = out.len();
            out.u32(0);
            let entries = body(out);
            out.patch(at, entries);
        });
    }

    /// Overwrites 4 bytes at `at`, which were written before.
    pub(super) fn patch(&mut self, at: usize, value: u32) {
        if let Some(target) = self.bytes.get_mut(at..at + 4) {
            target.copy_from_slice(&value.to_be_bytes());
        }
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn zeros(&mut self, len: usize) {
        self.bytes.resize(self.bytes.len() + len, 0);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.raw(&value.to_be_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.raw(&value.to_be_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.raw(&value.to_be_bytes());
    }

    pub(super) fn i32(&mut self, value: i32) {
        self.raw(&value.to_be_bytes());
    }

    pub(super) fn i64(&mut self, value: i64) {
        self.raw(&value.to_be_bytes());
    }
}
