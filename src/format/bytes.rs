//! Fixed-width little-endian fields, taken from bytes and put into bytes.
//!
//! Owns the only integer conversions of `format`. [`Reader`] never panics and never allocates by a
//! length that it has not seen the bytes of; [`Writer`] asserts what only a bug of ours can break.

use super::Damage;
use crate::types::{CAMERA_ID_BYTES_MAX, CameraId, ClipId, SegmentId, Timestamp};

const _: () = assert!(usize::BITS >= 32, "a u32 count from disk must fit an index");
const _: () = assert!(CAMERA_ID_BYTES_MAX <= 255, "a camera id's length is one byte");

/// Takes fields from the front of a slice.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// How many bytes are left.
    pub(super) const fn len(&self) -> usize {
        self.rest.len()
    }

    /// The next `len` bytes.
    pub(super) fn take_slice(&mut self, len: usize) -> Result<&'a [u8], Damage> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(Damage::Short)?;
        self.rest = rest;
        Ok(head)
    }

    /// The next `N` bytes, by value.
    pub(super) fn take_array<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(Damage::Short)?;
        self.rest = rest;
        Ok(*head)
    }

    pub(super) fn take_u8(&mut self) -> Result<u8, Damage> {
        Ok(u8::from_le_bytes(self.take_array()?))
    }

    pub(super) fn take_u16(&mut self) -> Result<u16, Damage> {
        Ok(u16::from_le_bytes(self.take_array()?))
    }

    pub(super) fn take_u32(&mut self) -> Result<u32, Damage> {
        Ok(u32::from_le_bytes(self.take_array()?))
    }

    pub(super) fn take_u64(&mut self) -> Result<u64, Damage> {
        Ok(u64::from_le_bytes(self.take_array()?))
    }

    /// A time in microseconds; one that [`Timestamp`] would clamp is damage, not the clamped time.
    pub(super) fn take_timestamp(&mut self, field: &'static str) -> Result<Timestamp, Damage> {
        let us = i64::from_le_bytes(self.take_array()?);
        let at = Timestamp::from_micros(us);
        if at.as_micros() == us { Ok(at) } else { Err(Damage::Field(field)) }
    }

    pub(super) fn take_clip(&mut self) -> Result<ClipId, Damage> {
        Ok(ClipId::new(SegmentId(self.take_u32()?), self.take_u32()?))
    }

    /// A camera id of `len` bytes.
    pub(super) fn take_camera(&mut self, len: usize) -> Result<CameraId, Damage> {
        let text = str::from_utf8(self.take_slice(len)?).ok();
        text.and_then(|text| CameraId::new(text).ok()).ok_or(Damage::Field("camera"))
    }

    /// Skips `len` bytes that must be zero.
    pub(super) fn take_zeros(&mut self, len: usize, field: &'static str) -> Result<(), Damage> {
        if self.take_slice(len)?.iter().all(|byte| *byte == 0) {
            Ok(())
        } else {
            Err(Damage::Field(field))
        }
    }

    /// All that is left must be zero.
    pub(super) fn finish_zeros(mut self, field: &'static str) -> Result<(), Damage> {
        self.take_zeros(self.rest.len(), field)
    }

    /// Nothing may be left.
    pub(super) const fn finish(self, field: &'static str) -> Result<(), Damage> {
        if self.rest.is_empty() { Ok(()) } else { Err(Damage::Field(field)) }
    }
}

/// Puts fields behind one another.
#[derive(Debug)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes) }
    }

    pub(super) const fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn put_slice(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn put_u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(super) fn put_u16(&mut self, value: u16) {
        self.put_slice(&value.to_le_bytes());
    }

    pub(super) fn put_u32(&mut self, value: u32) {
        self.put_slice(&value.to_le_bytes());
    }

    pub(super) fn put_u64(&mut self, value: u64) {
        self.put_slice(&value.to_le_bytes());
    }

    pub(super) fn put_timestamp(&mut self, at: Timestamp) {
        self.put_slice(&at.as_micros().to_le_bytes());
    }

    pub(super) fn put_clip(&mut self, clip: ClipId) {
        self.put_u32(clip.home.0);
        self.put_u32(clip.ordinal);
    }

    /// The length of a camera id, in one byte.
    pub(super) fn put_camera_len(&mut self, camera: &CameraId) {
        let len = camera.as_str().len();
        self.put_u8(u8::try_from(len).expect("a CameraId has at most 64 bytes"));
    }

    pub(super) fn put_zeros(&mut self, len: usize) {
        self.bytes.resize(self.bytes.len().saturating_add(len), 0);
    }

    /// Zeros up to the next multiple of `unit`.
    pub(super) fn pad_to(&mut self, unit: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(unit), 0);
    }

    /// Replaces the four bytes at `offset`, which were put before.
    pub(super) fn patch_u32(&mut self, offset: usize, value: u32) {
        self.bytes[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// A count from disk as an index.
pub(super) fn to_usize(count: u32) -> usize {
    usize::try_from(count).expect("usize has at least 32 bits")
}

/// A count of things in memory, each of which takes bytes in a file of at most 1 GiB.
pub(super) fn to_u32(count: usize) -> u32 {
    u32::try_from(count).expect("a segment or an entry lists less than 2^32 things")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reader_takes_what_writer_puts() {
        let mut writer = Writer::with_capacity(64);
        writer.put_u8(1);
        writer.put_u16(0x0203);
        writer.put_u32(0x0405_0607);
        writer.put_u64(0x0809_0a0b_0c0d_0e0f);
        writer.put_timestamp(Timestamp::MIN);
        writer.pad_to(8);
        let bytes = writer.finish();
        assert_eq!(bytes[..3], [1, 3, 2], "little-endian");

        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.take_u8(), Ok(1));
        assert_eq!(reader.take_u16(), Ok(0x0203));
        assert_eq!(reader.take_u32(), Ok(0x0405_0607));
        assert_eq!(reader.take_u64(), Ok(0x0809_0a0b_0c0d_0e0f));
        assert_eq!(reader.take_timestamp("at"), Ok(Timestamp::MIN));
        assert_eq!(reader.finish_zeros("padding"), Ok(()));
    }

    #[test]
    fn reader_never_reads_past_the_end() {
        let mut reader = Reader::new(&[1, 2, 3]);
        assert_eq!(reader.take_u32(), Err(Damage::Short));
        assert_eq!(reader.take_slice(usize::MAX), Err(Damage::Short));
        assert_eq!(reader.take_slice(3), Ok(&[1, 2, 3][..]), "a failed take takes nothing");
        assert_eq!(reader.finish("rest"), Ok(()));
    }

    #[test]
    fn time_beyond_the_calendar_is_damage_not_clamped() {
        let bytes = i64::MAX.to_le_bytes();
        assert_eq!(Reader::new(&bytes).take_timestamp("at"), Err(Damage::Field("at")));
    }
}
