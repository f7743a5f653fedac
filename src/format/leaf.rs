//! A leaf of a segment's Merkle tree, read again: what a proof says of one part of a clip.
//!
//! The table in `footer` has its bytes field by field; [`super::footer::Footer::leaf_bytes`] writes
//! them. A reader may skip nothing: it rejects another tag, flags that do not exist, a time beyond
//! the calendar, and a byte too many or too few.

use super::bytes::{Reader, to_usize};
use super::footer::LEAF_TAG;
use super::{Damage, record};
use crate::types::{CameraId, ClipId, Timestamp};

/// What a leaf says of its part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) clip: ClipId,
    pub(crate) camera: CameraId,
    /// The clip begins in this part.
    pub(crate) first: bool,
    /// It has the clip's last record.
    pub(crate) last: bool,
    pub(crate) media: u8,
    pub(crate) sequence: u32,
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) received: Timestamp,
    pub(crate) uncertainty_us: u64,
    /// BLAKE3 of the clip's bytes from its first up to the end of this part.
    pub(crate) digest: [u8; 32],
    /// Where its last payload byte stands in the clip, and one more.
    pub(crate) end_offset: u64,
}

impl Leaf {
    /// Reads the bytes that a leaf is the hash of.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let mut fields = Reader::new(bytes);
        if fields.take_array()? != LEAF_TAG {
            return Err(Damage::Magic);
        }
        let clip = fields.take_clip()?;
        fields.take_u16()?; // class
        let (first, last, _) = record::take_flags(&mut fields)?;
        let media = fields.take_u8()?;
        let sequence = fields.take_u32()?;
        let mut end_offset = fields.take_u64()?;
        let start = fields.take_timestamp("start")?;
        let end = fields.take_timestamp("end")?;
        let received = fields.take_timestamp("received")?;
        let uncertainty_us = fields.take_u64()?;
        fields.take_u64()?; // payload bytes
        let digest = fields.take_array()?;
        let camera_bytes = usize::from(fields.take_u8()?);
        let camera = fields.take_camera(camera_bytes)?;
        for _ in 0..fields.take_u32()? {
            let clip_offset = fields.take_u64()?;
            let payload_bytes = fields.take_u32()?;
            let chunks = to_usize(record::chunk_count(payload_bytes));
            fields.take_slice(chunks.saturating_mul(4))?;
            end_offset = clip_offset
                .checked_add(u64::from(payload_bytes))
                .ok_or(Damage::Field("clip_offset"))?;
        }
        fields.finish("rest")?;
        Ok(Self {
            clip,
            camera,
            first,
            last,
            media,
            sequence,
            start,
            end,
            received,
            uncertainty_us,
            digest,
            end_offset,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::arbitrary;

    #[test]
    fn a_leaf_says_what_its_part_says_and_takes_no_byte_more_or_less() {
        let footer = arbitrary::sample_footer();
        assert!(!footer.parts.is_empty());
        for part in &footer.parts {
            let bytes = footer.leaf_bytes(part);
            let leaf = Leaf::decode(&bytes).unwrap();
            let records = footer.records_of(part).unwrap();
            let last = records.last().unwrap();
            let camera = &footer.cameras[to_usize(part.camera)];
            let end_offset = last.clip_offset + u64::from(last.payload_bytes);
            let want = Leaf {
                clip: part.clip,
                camera: camera.clone(),
                first: part.first,
                last: part.last,
                media: part.media,
                sequence: part.sequence,
                start: part.start,
                end: part.end,
                received: part.received,
                uncertainty_us: part.uncertainty_us,
                digest: part.digest,
                end_offset,
            };
            assert_eq!(leaf, want);
            for cut in 0..bytes.len() {
                assert!(Leaf::decode(&bytes[..cut]).is_err(), "cut at {cut}");
            }
            assert!(Leaf::decode(&[&bytes[..], &[0]].concat()).is_err());
            let mut other = bytes.clone();
            other[0] ^= 1;
            assert_eq!(Leaf::decode(&other), Err(Damage::Magic));
        }
    }

    #[test]
    fn a_leaf_that_claims_endless_records_is_damage_and_takes_no_memory() {
        let footer = arbitrary::sample_footer();
        let part = &footer.parts[0];
        let mut bytes = footer.leaf_bytes(part);
        let head = 8 + 8 + 2 + 1 + 1 + 4 + 48 + 32 + 1;
        let at = head + footer.cameras[to_usize(part.camera)].as_str().len();
        bytes[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(Leaf::decode(&bytes).is_err());
    }
}
