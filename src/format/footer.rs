//! The footer of a sealed segment: everything an index or a reader needs, without the records.
//!
//! ```text
//!  0        72                                                        whole blocks
//! +--------+-------------+----------------+----------------+---------+-------+
//! | header | parts x 112 | records x 24   | chunk crcs x 4 | cameras | zeros |
//! +--------+-------------+----------------+----------------+---------+-------+
//! ```
//!
//! | offset | size | header         | meaning                        |
//! |-------:|-----:|----------------|--------------------------------|
//! |      0 |    8 | magic          | `CLIPFTR\0`                    |
//! |      8 |    2 | version        | 1                              |
//! |     10 |    2 |                | zero                           |
//! |     12 |    4 | segment        | id of the segment              |
//! |     16 |   16 | store          | id of the store                |
//! |     32 |   16 | salt           | salt of the segment            |
//! |     48 |    4 | parts          | how many                       |
//! |     52 |    4 | records        | how many                       |
//! |     56 |    4 | `chunk_crcs`   | how many                       |
//! |     60 |    4 | cameras        | how many                       |
//! |     64 |    4 | `camera_bytes` | sum of the camera ids' lengths |
//! |     68 |    4 |                | zero                           |
//!
//! | offset | size | part             | meaning                                               |
//! |-------:|-----:|------------------|-------------------------------------------------------|
//! |      0 |    4 | home             | clip id: the segment it began in                      |
//! |      4 |    4 | ordinal          | clip id: its number there                             |
//! |      8 |    4 | camera           | index into the camera directory                       |
//! |     12 |    2 | class            | class under which the clip was recorded               |
//! |     14 |    1 | flags            | 1 the clip begins in it, 2 has the clip's last record,|
//! |        |      |                  | 4 its last record is continued in the clip's next one |
//! |     15 |    1 | media            | `Media` code                                          |
//! |     16 |    4 | sequence         | of its first record                                   |
//! |     20 |    4 | `records_start`  | index of its first record                             |
//! |     24 |    4 | `records_count`  | how many, at least 1                                  |
//! |     28 |    4 |                  | zero                                                  |
//! |     32 |    8 | `clip_offset`    | where its first payload byte stands in the clip       |
//! |     40 |    8 | start            | of the time it covers, µs since 1970                  |
//! |     48 |    8 | end              | of that time, not before start                        |
//! |     56 |    8 | received         | trusted time its newest record came                   |
//! |     64 |    8 | `uncertainty_us` | of the camera's clock, µs                             |
//! |     72 |    8 | `payload_bytes`  | sum over its records                                  |
//! |     80 |   32 | digest           | BLAKE3 of the clip's bytes up to the end of this part |
//!
//! | offset | size | record          | meaning                              |
//! |-------:|-----:|-----------------|--------------------------------------|
//! |      0 |    4 | block           | where it starts, at least 1          |
//! |      4 |    4 | `header_bytes`  | from there to its payload            |
//! |      8 |    4 | `payload_bytes` | at most 1 MiB                        |
//! |     12 |    4 | `chunks_start`  | index of its first chunk CRC         |
//! |     16 |    8 | `clip_offset`   | where its payload stands in the clip |
//!
//! A chunk CRC is a u32; a camera is its length (u8) and its id.
//!
//! A reader may skip nothing, but reads only what the trailer's `footer_crc` proves. It must reject
//! another magic, version or key, a length that is not the counts' sum in whole blocks, nonzero
//! reserved bytes, an index or range that leaves its table, parts out of the order (camera index,
//! start, clip), a record in no part or in two, records of a part that overlap, go back, or do not
//! add up to its payload, sequence 0 without flag 1 or at another clip offset than 0, and a camera
//! listed twice. Flag 1 may stand at a later sequence: when a clip's first record was lost before
//! the seal, the part in its home segment is where the clip begins, so that the rest is found. A
//! writer must zero the reserved bytes and the rest of the last block.
//!
//! # The Merkle root
//!
//! One leaf a part, in their order. A leaf's bytes say what the part is and not where it stands, so
//! that a proof made for this segment still holds when a hold moves the part to another: no block
//! numbers, table indexes, header lengths or camera index.
//!
//! | size | leaf            | meaning                                                         |
//! |-----:|-----------------|-----------------------------------------------------------------|
//! |    8 | tag             | `CLIPPRT` and the leaf version, 1                               |
//! |    8 | home, ordinal   | clip id                                                         |
//! |    2 | class           |                                                                 |
//! |    1 | flags           | as above                                                        |
//! |    1 | media           |                                                                 |
//! |    4 | sequence        |                                                                 |
//! |   48 | times           | the six from `clip_offset` to `payload_bytes`                   |
//! |   32 | digest          |                                                                 |
//! |    1 | `camera_bytes`  | length of the camera id                                         |
//! |    c | camera          | the camera id itself                                            |
//! |    4 | `records_count` |                                                                 |
//! |      | for each        | `clip_offset` (8), `payload_bytes` (4), its chunk CRCs (4 each) |

use super::bytes::{Reader, Writer, to_u32, to_usize};
use super::record::{self, HEADER_BYTES_MAX, HEADER_BYTES_MIN, RECORD_PAYLOAD_BYTES_MAX};
use super::{BLOCK_BYTES, Damage, SEGMENT_BYTES_MAX, SegmentKey, VERSION, merkle};
use crate::types::{CameraId, ClassId, ClipId, SegmentId, Timestamp};

const MAGIC: [u8; 8] = *b"CLIPFTR\0";
pub(super) const LEAF_TAG: [u8; 8] = *b"CLIPPRT\x01";
const HEADER_BYTES: usize = 72;
const PART_BYTES: usize = 112;
const RECORD_BYTES: usize = 24;
const CRC_BYTES: usize = 4;
const _: () = assert!(PART_BYTES <= 128, "a part must stay small: there is one a clip");
const _: () = assert!(HEADER_BYTES == 72 && PART_BYTES == 112 && RECORD_BYTES == 24);

/// The records of one clip that stand in one segment: the whole clip, or the part of it that was
/// recorded while this segment was open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) clip: ClipId,
    /// Index into [`Footer::cameras`].
    pub(crate) camera: u32,
    pub(crate) class: ClassId,
    /// The clip begins in this part: it has its first record, or that one was lost.
    pub(crate) first: bool,
    /// Has the clip's last record.
    pub(crate) last: bool,
    /// The fragment of its last record goes on in the clip's next one.
    pub(crate) continued: bool,
    pub(crate) media: u8,
    /// Sequence number of the part's first record.
    pub(crate) sequence: u32,
    /// Where the part's first payload byte stands in the clip.
    pub(crate) clip_offset: u64,
    /// The time the part covers.
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    /// Trusted time when its newest record arrived.
    pub(crate) received: Timestamp,
    pub(crate) uncertainty_us: u64,
    pub(crate) payload_bytes: u64,
    /// BLAKE3 of the clip's bytes from its first up to the end of this part.
    pub(crate) digest: [u8; 32],
    /// The part's records: this many of [`Footer::records`] from `records_start` on.
    pub(crate) records_start: u32,
    pub(crate) records_count: u32,
}

/// One record, as the footer lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordRef {
    /// Block at which it starts.
    pub(crate) block: u32,
    /// Bytes from there to its payload.
    pub(crate) header_bytes: u32,
    pub(crate) payload_bytes: u32,
    /// Index of its first chunk CRC in [`Footer::chunk_crcs`].
    pub(crate) chunks_start: u32,
    /// Where its payload stands in the clip's bytes.
    pub(crate) clip_offset: u64,
}

/// What a sealed segment says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Footer {
    /// Sorted by (camera, start, clip).
    pub(crate) parts: Vec<Part>,
    /// Grouped by part, in clip order.
    pub(crate) records: Vec<RecordRef>,
    /// A copy of the records' CRC tables, so that a bad sector in a record's header costs no more
    /// than the payload bytes in that sector.
    pub(crate) chunk_crcs: Vec<u32>,
    /// The camera directory, in the order of [`Part::camera`].
    pub(crate) cameras: Vec<CameraId>,
}

impl Footer {
    /// The encoded length for these counts, with `camera_bytes` the sum of the cameras' id
    /// lengths, rounded up to whole blocks: lets the writer reserve the room.
    pub(crate) fn encoded_bytes(
        parts: usize,
        records: usize,
        chunks: usize,
        cameras: usize,
        camera_bytes: usize,
    ) -> u64 {
        let bytes =
            [(parts, PART_BYTES), (records, RECORD_BYTES), (chunks, CRC_BYTES), (cameras, 1)]
                .iter()
                .map(|(count, each)| count.saturating_mul(*each))
                .fold(HEADER_BYTES.saturating_add(camera_bytes), usize::saturating_add);
        u64::try_from(bytes).unwrap_or(u64::MAX).div_ceil(BLOCK_BYTES).saturating_mul(BLOCK_BYTES)
    }

    /// The footer's bytes, padded with zeros to whole blocks.
    pub(crate) fn encode(&self, key: &SegmentKey) -> Vec<u8> {
        debug_assert_eq!(self.check(), Ok(()), "a footer that no reader would take");
        let camera_bytes = self.cameras.iter().map(|camera| camera.as_str().len()).sum();
        let mut footer = Writer::with_capacity(HEADER_BYTES + self.parts.len() * PART_BYTES);
        footer.put_slice(&MAGIC);
        footer.put_u16(VERSION);
        footer.put_u16(0);
        footer.put_u32(key.segment.0);
        footer.put_slice(&key.store);
        footer.put_slice(&key.salt);
        footer.put_u32(to_u32(self.parts.len()));
        footer.put_u32(to_u32(self.records.len()));
        footer.put_u32(to_u32(self.chunk_crcs.len()));
        footer.put_u32(to_u32(self.cameras.len()));
        footer.put_u32(to_u32(camera_bytes));
        footer.put_u32(0);
        debug_assert_eq!(footer.len(), HEADER_BYTES);
        self.parts.iter().for_each(|part| part.put(&mut footer));
        self.records.iter().for_each(|record| record.put(&mut footer));
        self.chunk_crcs.iter().for_each(|crc| footer.put_u32(*crc));
        for camera in &self.cameras {
            footer.put_camera_len(camera);
            footer.put_slice(camera.as_str().as_bytes());
        }
        footer.pad_to(super::block::BLOCK_LEN);
        footer.finish()
    }

    /// Reads a footer; checks that every index and range in it is inside it and that parts are
    /// sorted. The CRC over `bytes` is the trailer's to check (`footer_crc`, salted with the
    /// footer's first block).
    pub(crate) fn decode(bytes: &[u8], key: &SegmentKey) -> Result<Self, Damage> {
        let mut fields = Reader::new(bytes);
        if fields.take_array()? != MAGIC {
            return Err(Damage::Magic);
        }
        let version = fields.take_u16()?;
        if version != VERSION {
            return Err(Damage::Version(version));
        }
        fields.take_zeros(2, "reserved")?;
        let segment = SegmentId(fields.take_u32()?);
        let of = SegmentKey { store: fields.take_array()?, segment, salt: fields.take_array()? };
        if of != *key {
            return Err(Damage::Field("segment"));
        }
        let parts = to_usize(fields.take_u32()?);
        let records = to_usize(fields.take_u32()?);
        let chunks = to_usize(fields.take_u32()?);
        let cameras = to_usize(fields.take_u32()?);
        let camera_bytes = to_usize(fields.take_u32()?);
        fields.take_zeros(4, "reserved")?;
        // From here on every count is bounded by the bytes at hand.
        let expected = Self::encoded_bytes(parts, records, chunks, cameras, camera_bytes);
        match u64::try_from(bytes.len()).unwrap_or(u64::MAX).cmp(&expected) {
            std::cmp::Ordering::Less => return Err(Damage::Short),
            std::cmp::Ordering::Equal => {}
            std::cmp::Ordering::Greater => return Err(Damage::Field("length")),
        }
        let footer = Self {
            parts: (0..parts).map(|_| Part::take(&mut fields)).collect::<Result<_, _>>()?,
            records: (0..records)
                .map(|_| RecordRef::take(&mut fields))
                .collect::<Result<_, _>>()?,
            chunk_crcs: (0..chunks).map(|_| fields.take_u32()).collect::<Result<_, _>>()?,
            cameras: (0..cameras)
                .map(|_| {
                    let len = usize::from(fields.take_u8()?);
                    fields.take_camera(len)
                })
                .collect::<Result<_, _>>()?,
        };
        fields.finish_zeros("padding")?;
        if footer.cameras.iter().map(|camera| camera.as_str().len()).sum::<usize>() != camera_bytes
        {
            return Err(Damage::Field("camera_bytes"));
        }
        footer.check()?;
        Ok(footer)
    }

    /// The Merkle root over the parts, in their order: `merkle::root` of [`Footer::leaves`].
    pub(crate) fn root(&self) -> [u8; 32] {
        merkle::root(&self.leaves())
    }

    /// The Merkle leaf of each part, in their order; the table above says of what.
    pub(crate) fn leaves(&self) -> Vec<[u8; 32]> {
        self.parts.iter().map(|part| merkle::leaf(&self.leaf_bytes(part))).collect()
    }

    /// What the Merkle leaf of `part` is made of; the table above has it field by field.
    pub(crate) fn leaf_bytes(&self, part: &Part) -> Vec<u8> {
        let camera = self.cameras.get(to_usize(part.camera));
        let mut leaf = Writer::with_capacity(256);
        leaf.put_slice(&LEAF_TAG);
        leaf.put_clip(part.clip);
        leaf.put_u16(part.class.0);
        leaf.put_u8(record::flags(part.first, part.last, part.continued));
        leaf.put_u8(part.media);
        leaf.put_u32(part.sequence);
        part.put_content(&mut leaf);
        // `check` says that there is one; a root over a footer without it proves nothing anyway.
        match camera {
            Some(camera) => {
                leaf.put_camera_len(camera);
                leaf.put_slice(camera.as_str().as_bytes());
            }
            None => leaf.put_u8(0),
        }
        leaf.put_u32(part.records_count);
        for record in self.records_of(part).unwrap_or_default() {
            leaf.put_u64(record.clip_offset);
            leaf.put_u32(record.payload_bytes);
            self.crcs_of(record).unwrap_or_default().iter().for_each(|crc| leaf.put_u32(*crc));
        }
        leaf.finish()
    }

    /// The records of `part`; `None` if its range leaves the table.
    pub(crate) fn records_of(&self, part: &Part) -> Option<&[RecordRef]> {
        slice(&self.records, part.records_start, part.records_count)
    }

    /// The chunk CRCs of `record`; `None` if its range leaves the table.
    pub(crate) fn crcs_of(&self, record: &RecordRef) -> Option<&[u32]> {
        slice(&self.chunk_crcs, record.chunks_start, record::chunk_count(record.payload_bytes))
    }

    /// What must be true of a footer, where it is written and where it is read.
    fn check(&self) -> Result<(), Damage> {
        let sorted = self.parts.is_sorted_by(|a, b| a.key() < b.key());
        if !sorted {
            return Err(Damage::Field("parts"));
        }
        let mut cameras: Vec<&CameraId> = self.cameras.iter().collect();
        cameras.sort_unstable();
        if !cameras.is_sorted_by(|a, b| a < b) {
            return Err(Damage::Field("cameras"));
        }
        self.records.iter().try_for_each(|record| self.check_record(record))?;
        self.parts.iter().try_for_each(|part| self.check_part(part))?;
        self.check_tiling()
    }

    fn check_record(&self, record: &RecordRef) -> Result<(), Damage> {
        let header_bytes = to_usize(record.header_bytes);
        if !(HEADER_BYTES_MIN..=HEADER_BYTES_MAX).contains(&header_bytes) {
            return Err(Damage::Field("header_bytes"));
        }
        if to_usize(record.payload_bytes) > RECORD_PAYLOAD_BYTES_MAX {
            return Err(Damage::Field("payload_bytes"));
        }
        let end = u64::from(record.end_block()) * BLOCK_BYTES;
        if record.block == 0 || end > SEGMENT_BYTES_MAX {
            return Err(Damage::Field("block"));
        }
        if self.crcs_of(record).is_none() {
            return Err(Damage::Field("chunks_start"));
        }
        Ok(())
    }

    fn check_part(&self, part: &Part) -> Result<(), Damage> {
        let field = |holds: bool, name| if holds { Ok(()) } else { Err(Damage::Field(name)) };
        field(to_usize(part.camera) < self.cameras.len(), "camera")?;
        field(part.records_count > 0, "records_count")?;
        let records = self.records_of(part).ok_or(Damage::Field("records_start"))?;
        field(part.first || part.sequence > 0, "sequence")?;
        field(part.sequence.checked_add(part.records_count - 1).is_some(), "sequence")?;
        field(part.sequence > 0 || part.clip_offset == 0, "clip_offset")?;
        field(part.start <= part.end, "end")?;
        // A record that was lost to a bad sector before the seal leaves a gap, never an overlap.
        let mut next = part.clip_offset;
        let mut payload_bytes = 0_u64;
        for (index, record) in records.iter().enumerate() {
            let bytes = u64::from(record.payload_bytes);
            field(record.clip_offset >= next, "clip_offset")?;
            field(index > 0 || record.clip_offset == part.clip_offset, "clip_offset")?;
            next = record.clip_offset.checked_add(bytes).ok_or(Damage::Field("clip_offset"))?;
            payload_bytes = payload_bytes.saturating_add(bytes);
        }
        field(payload_bytes == part.payload_bytes, "payload_bytes")
    }

    /// Every record belongs to exactly one part.
    fn check_tiling(&self) -> Result<(), Damage> {
        let mut ranges: Vec<(u32, u32)> =
            self.parts.iter().map(|part| (part.records_start, part.records_count)).collect();
        ranges.sort_unstable();
        let mut next = 0;
        for (start, count) in ranges {
            if to_usize(start) != next {
                return Err(Damage::Field("records_start"));
            }
            next += to_usize(count);
        }
        if next == self.records.len() { Ok(()) } else { Err(Damage::Field("records_count")) }
    }
}

impl Part {
    /// What parts are sorted by.
    const fn key(&self) -> (u32, Timestamp, ClipId) {
        (self.camera, self.start, self.clip)
    }

    fn put(&self, out: &mut Writer) {
        let before = out.len();
        out.put_clip(self.clip);
        out.put_u32(self.camera);
        out.put_u16(self.class.0);
        out.put_u8(record::flags(self.first, self.last, self.continued));
        out.put_u8(self.media);
        out.put_u32(self.sequence);
        out.put_u32(self.records_start);
        out.put_u32(self.records_count);
        out.put_u32(0);
        self.put_content(out);
        debug_assert_eq!(out.len() - before, PART_BYTES);
    }

    /// The last 80 bytes of a part, which its leaf has too.
    fn put_content(&self, out: &mut Writer) {
        out.put_u64(self.clip_offset);
        out.put_timestamp(self.start);
        out.put_timestamp(self.end);
        out.put_timestamp(self.received);
        out.put_u64(self.uncertainty_us);
        out.put_u64(self.payload_bytes);
        out.put_slice(&self.digest);
    }

    fn take(fields: &mut Reader<'_>) -> Result<Self, Damage> {
        let clip = fields.take_clip()?;
        let camera = fields.take_u32()?;
        let class = ClassId(fields.take_u16()?);
        let (first, last, continued) = record::take_flags(fields)?;
        let media = fields.take_u8()?;
        let sequence = fields.take_u32()?;
        let records_start = fields.take_u32()?;
        let records_count = fields.take_u32()?;
        fields.take_zeros(4, "reserved")?;
        Ok(Self {
            clip,
            camera,
            class,
            first,
            last,
            continued,
            media,
            sequence,
            clip_offset: fields.take_u64()?,
            start: fields.take_timestamp("start")?,
            end: fields.take_timestamp("end")?,
            received: fields.take_timestamp("received")?,
            uncertainty_us: fields.take_u64()?,
            payload_bytes: fields.take_u64()?,
            digest: fields.take_array()?,
            records_start,
            records_count,
        })
    }
}

impl RecordRef {
    /// The block behind it.
    pub(crate) fn end_block(&self) -> u32 {
        self.block.saturating_add(record::blocks(self.header_bytes, self.payload_bytes))
    }

    fn put(&self, out: &mut Writer) {
        out.put_u32(self.block);
        out.put_u32(self.header_bytes);
        out.put_u32(self.payload_bytes);
        out.put_u32(self.chunks_start);
        out.put_u64(self.clip_offset);
    }

    fn take(fields: &mut Reader<'_>) -> Result<Self, Damage> {
        Ok(Self {
            block: fields.take_u32()?,
            header_bytes: fields.take_u32()?,
            payload_bytes: fields.take_u32()?,
            chunks_start: fields.take_u32()?,
            clip_offset: fields.take_u64()?,
        })
    }
}

/// `count` elements of `table` from `start` on.
fn slice<T>(table: &[T], start: u32, count: u32) -> Option<&[T]> {
    table.get(to_usize(start)..)?.get(..to_usize(count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::arbitrary::{KEY, sample_footer};

    /// What `check` names when `change` was made to the sample footer.
    fn damage(change: fn(&mut Footer)) -> &'static str {
        let mut footer = sample_footer();
        change(&mut footer);
        match footer.check() {
            Err(Damage::Field(field)) => field,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn index_or_range_that_leaves_its_table_is_rejected() {
        assert_eq!(damage(|footer| footer.parts[1].camera = 2), "camera");
        assert_eq!(damage(|footer| footer.parts[0].records_count = 3), "records_start");
        assert_eq!(damage(|footer| footer.parts[0].records_start = u32::MAX), "records_start");
        assert_eq!(damage(|footer| footer.records[1].chunks_start = 2), "chunks_start");
        assert_eq!(damage(|footer| footer.records[0].chunks_start = u32::MAX), "chunks_start");
        assert_eq!(damage(|footer| footer.records[0].block = 0), "block");
        assert_eq!(damage(|footer| footer.records[0].block = 1 << 18), "block");
        assert_eq!(damage(|footer| footer.records[0].header_bytes = 4097), "header_bytes");
        assert_eq!(damage(|footer| footer.records[0].header_bytes = 127), "header_bytes");
        assert_eq!(damage(|footer| footer.records[0].payload_bytes += 1 << 20), "payload_bytes");
    }

    #[test]
    fn unsorted_parts_are_rejected() {
        assert_eq!(damage(|footer| footer.parts.swap(0, 1)), "parts");
        assert_eq!(damage(|footer| footer.parts.push(footer.parts[1].clone())), "parts");
        assert_eq!(damage(|footer| footer.cameras[1] = footer.cameras[0].clone()), "cameras");
    }

    #[test]
    fn record_belongs_to_exactly_one_part() {
        assert_eq!(damage(|footer| footer.parts[1].records_count = 0), "records_count");
        assert_eq!(damage(|footer| footer.records.push(footer.records[2])), "records_count");
        let shared = |footer: &mut Footer| {
            footer.parts[1] = Part { camera: 1, ..footer.parts[0].clone() };
        };
        assert_eq!(damage(shared), "records_start");
    }

    #[test]
    fn part_says_what_its_records_say() {
        assert_eq!(damage(|footer| footer.parts[0].payload_bytes -= 1), "payload_bytes");
        assert_eq!(damage(|footer| footer.parts[1].clip_offset += 1), "clip_offset");
        assert_eq!(damage(|footer| footer.records[2].clip_offset -= 1), "clip_offset");
        assert_eq!(damage(|footer| footer.parts[1].sequence = 0), "sequence");
        assert_eq!(damage(|footer| footer.parts[0].end = Timestamp::MIN), "end");
    }

    #[test]
    fn clip_whose_first_record_was_lost_begins_at_a_later_one() {
        let mut footer = sample_footer();
        (footer.parts[0].sequence, footer.parts[1].first) = (1, true);
        assert_eq!(Footer::decode(&footer.encode(&KEY), &KEY), Ok(footer));
    }

    #[test]
    fn record_lost_before_the_seal_leaves_a_gap() {
        let mut footer = sample_footer();
        footer.records[2].clip_offset += 5000;
        assert_eq!(footer.check(), Ok(()));
    }

    #[test]
    fn counts_beyond_the_bytes_are_refused_before_any_allocation() {
        let key = crate::format::arbitrary::KEY;
        for offset in [48, 52, 56, 60, 64] {
            let mut bytes = sample_footer().encode(&key);
            bytes[offset..offset + 4].copy_from_slice(&u32::MAX.to_le_bytes());
            assert_eq!(Footer::decode(&bytes, &key), Err(Damage::Short), "{offset}");
        }
        assert_eq!(Footer::encoded_bytes(usize::MAX, 1, 1, 1, 1), u64::MAX, "saturates");
        assert_eq!(Footer::encoded_bytes(0, 0, 0, 0, 0), BLOCK_BYTES);
    }

    #[test]
    fn segment_without_records_has_a_footer() {
        let key = crate::format::arbitrary::KEY;
        let empty = Footer::default();
        assert_eq!(Footer::decode(&empty.encode(&key), &key), Ok(empty.clone()));
        assert_eq!(empty.root(), merkle::root(&[]));
    }
}
