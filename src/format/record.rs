//! A record: one fragment of one clip.
//!
//! ```text
//!  block b                                                         block b + blocks()
//! +--------+-----------+---------+-----------+-------- ... -------+-------+-----------+
//! | fields | camera id | to 8: 0 | chunk crcs|      payload       | zeros | tail      |
//! +--------+-----------+---------+-----------+-------- ... -------+-------+-----------+
//!  0        120                               header_bytes
//!
//!  0    4    8  10 11 12 14 15 16   20   24   28   32     40     48     56     64
//! +----+----+--+-+-+--+-+-+----+----+----+----+------+------+------+------+------+
//! |magi|crc |hb|v|f|cl|m|c|home|ordi|sequ|payl|offset| start|  end | recvd| uncer|
//! +----+----+--+-+-+--+-+-+----+----+----+----+------+------+------+------+------+
//!  72   76   80   84   88                        120
//! +----+----+----+----+-------------------------+
//! |psgm|pblk|dura| 0  | digest                  |
//! +----+----+----+----+-------------------------+
//! ```
//!
//! | offset | size | name               | meaning                                               |
//! |-------:|-----:|--------------------|-------------------------------------------------------|
//! |      0 |    4 | magic              | `CLPR`                                                |
//! |      4 |    4 | crc                | CRC32 of bytes 8..`header_bytes`, salted with block b |
//! |      8 |    2 | `header_bytes`     | up to the payload: fields, camera id, CRC table       |
//! |     10 |    1 | version            | 1                                                     |
//! |     11 |    1 | flags              | 1 first of its clip, 2 last, 4 continued, see below   |
//! |     12 |    2 | class              | class under which the clip was recorded               |
//! |     14 |    1 | media              | `Media` code                                          |
//! |     15 |    1 | `camera_bytes`     | length of the camera id, 1 to 64                      |
//! |     16 |    4 | home               | clip id: the segment it began in                      |
//! |     20 |    4 | ordinal            | clip id: its number there                             |
//! |     24 |    4 | sequence           | 0, 1, 2 .. in the clip; 0 exactly where first         |
//! |     28 |    4 | `payload_bytes`    | at most 1 MiB; 0 in a record that only ends a clip    |
//! |     32 |    8 | `clip_offset`      | where the payload stands in the clip's bytes          |
//! |     40 |    8 | start              | of the time it covers, µs since 1970                  |
//! |     48 |    8 | end                | of that time, not before start                        |
//! |     56 |    8 | received           | trusted time it arrived                               |
//! |     64 |    8 | `uncertainty_us`   | of the camera's clock, µs                             |
//! |     72 |    4 | `previous_segment` | where the clip's record before this one is ..         |
//! |     76 |    4 | `previous_block`   | .. and its block; 0 (and segment 0) for none          |
//! |     80 |    4 | `durable_block`    | all blocks below were durable; not above b            |
//! |     84 |    4 |                    | zero                                                  |
//! |     88 |   32 | digest             | BLAKE3 of the clip's bytes up to the payload's end    |
//! |    120 |    c | camera             | the camera id, then zeros to a multiple of 8          |
//! |        |   4n | `chunk_crcs`       | plain CRC32 of each 64 KiB of payload                 |
//!
//! A record ends with its header once more, so that no flipped bit and no bad sector takes both:
//!
//! | offset | size | tail               | meaning                                               |
//! |-------:|-----:|--------------------|-------------------------------------------------------|
//! |      0 |    h | header             | the header above with its CRC table, byte for byte    |
//! |      h |    4 | magic              | `CLPT`                                                |
//! |    h+4 |    2 | `header_bytes`     | h                                                     |
//! |    h+6 |    2 | blocks             | how many the whole record takes                       |
//!
//! The tail is the end of the record's last block, in the room that the payload leaves there, or in
//! one more block. It has no CRC of its own: that of the header, salted with the block to which
//! `blocks` leads back, says that it was written for this record and at this place.
//!
//! A fragment that needs several records is whole or not there: each but its last is continued,
//! which says that it counts only with the clip's next record. The bytes of a clip that count end
//! behind its last record that is not continued.
//!
//! A reader may skip the bytes between the payload and the tail; they prove nothing. It may take
//! the header from the tail when the first one is damaged, and only then; a tail that does not fit
//! the header in it, in its length or its blocks, is none. Of a header it must reject another
//! magic, a wrong CRC, another version, an unknown flag, nonzero reserved or padding bytes, a
//! `header_bytes` that is not the sum of its pieces, an invalid camera id, a payload above 1 MiB,
//! `first` at any sequence but 0 or with a clip offset or a previous record, `last` that is
//! continued, an end before the start, a clip offset that overflows, and a previous block of 0 with
//! a segment. A writer must zero the reserved bytes and those before the tail. Whoever follows
//! `previous` must bound the walk: nothing here proves that it ends.

use super::block::BLOCK_LEN;
use super::bytes::{Reader, Writer, to_u32, to_usize};
use super::{BLOCK_BYTES, CHUNK_BYTES, Damage, SegmentKey};
use crate::barrier::Barrier;
use crate::types::{CAMERA_ID_BYTES_MAX, CameraId, ClassId, ClipId, SegmentId, Timestamp};

/// The most payload bytes in one record; a longer fragment becomes several records.
pub(crate) const RECORD_PAYLOAD_BYTES_MAX: usize = 1 << 20;

/// No header with its CRC table is longer.
pub(crate) const HEADER_BYTES_MAX: usize = 4096;

const MAGIC: [u8; 4] = *b"CLPR";
const RECORD_VERSION: u8 = 1;
const FIRST: u8 = 1;
const LAST: u8 = 2;
const CONTINUED: u8 = 4;
const CRC_OFFSET: usize = 4;
/// The first byte under the CRC.
const BODY_OFFSET: usize = 8;
/// Where the camera id begins.
const FIELDS_BYTES: usize = 120;
/// A camera id is padded to a multiple of this.
const CAMERA_UNIT_BYTES: usize = 8;
/// The header of a record with the shortest camera id and no payload.
pub(super) const HEADER_BYTES_MIN: usize = FIELDS_BYTES + CAMERA_UNIT_BYTES;
const CHUNKS_MAX: usize = RECORD_PAYLOAD_BYTES_MAX.div_ceil(CHUNK_BYTES);
const PAYLOAD_MAX: u32 = 1 << 20;
const CHUNK: u32 = 1 << 16;

const TAIL_MAGIC: [u8; 4] = *b"CLPT";
/// What the tail has behind the header.
const ENDING_BYTES: usize = 8;
static ZEROS: [u8; BLOCK_LEN] = [0; BLOCK_LEN];

const _: () = assert!(PAYLOAD_MAX == 1_048_576 && RECORD_PAYLOAD_BYTES_MAX == 1_048_576);
const _: () = assert!(CHUNK == 65_536 && CHUNK_BYTES == 65_536);
const _: () = assert!(
    FIELDS_BYTES + CAMERA_ID_BYTES_MAX.next_multiple_of(CAMERA_UNIT_BYTES) + 4 * CHUNKS_MAX
        <= HEADER_BYTES_MAX
);
/// A header or a tail is torn as a whole or not at all, and header and tail find room in one block.
const _: () = assert!(
    FIELDS_BYTES
        + CAMERA_ID_BYTES_MAX.next_multiple_of(CAMERA_UNIT_BYTES)
        + 4 * CHUNKS_MAX
        + ENDING_BYTES
        <= 512
);

/// What stands before a record's payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) clip: ClipId,
    pub(crate) camera: CameraId,
    /// The class under which the clip was recorded, also in an evidence segment.
    pub(crate) class: ClassId,
    /// The first record of its clip.
    pub(crate) first: bool,
    /// The last record of its clip: the clip is complete.
    pub(crate) last: bool,
    /// Its fragment goes on in the clip's next record, without which this one does not count.
    pub(crate) continued: bool,
    /// `Media::code`.
    pub(crate) media: u8,
    /// 0, 1, 2 .. in the clip.
    pub(crate) sequence: u32,
    /// Where the payload stands in the clip's bytes.
    pub(crate) clip_offset: u64,
    pub(crate) payload_bytes: u32,
    /// The time that this fragment covers; `start == end` in a record that only ends a clip.
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    /// Trusted time when it arrived.
    pub(crate) received: Timestamp,
    pub(crate) uncertainty_us: u64,
    /// Where the clip's record before this one is: segment and block; `None` in the first.
    pub(crate) previous: Option<(SegmentId, u32)>,
    /// BLAKE3 of the clip's bytes from its first up to the end of this payload.
    pub(crate) digest: [u8; 32],
    /// All blocks of this segment below this one were durable when this record was made.
    pub(crate) durable_block: u32,
}

impl RecordHeader {
    /// The bytes of header and chunk CRC table: the payload begins right behind them.
    pub(crate) fn header_bytes(&self) -> usize {
        FIELDS_BYTES
            + self.camera.as_str().len().next_multiple_of(CAMERA_UNIT_BYTES)
            + 4 * to_usize(chunk_count(self.payload_bytes))
    }

    /// How many 4 KiB blocks the whole record takes.
    pub(crate) fn blocks(&self) -> u32 {
        blocks(to_u32(self.header_bytes()), self.payload_bytes)
    }

    /// Header and CRC table; `chunk_crcs` are [`chunk_crcs`] of the payload.
    ///
    /// # Panics
    ///
    /// If the payload is too long or the table does not fit it: such a record could never be read.
    pub(crate) fn encode(&self, chunk_crcs: &[u32], key: &SegmentKey, block: u32) -> Vec<u8> {
        assert!(self.payload_bytes <= PAYLOAD_MAX, "payload of {} bytes", self.payload_bytes);
        assert_eq!(chunk_crcs.len(), to_usize(chunk_count(self.payload_bytes)), "chunk CRCs");
        debug_assert_eq!(self.check(block), Ok(()), "{self:?}");
        let header_bytes = self.header_bytes();
        let (previous_segment, previous_block) = self.previous.unwrap_or((SegmentId(0), 0));

        let mut header = Writer::with_capacity(header_bytes);
        header.put_slice(&MAGIC);
        header.put_u32(0); // crc
        header.put_u16(u16::try_from(header_bytes).expect("at most HEADER_BYTES_MAX"));
        header.put_u8(RECORD_VERSION);
        header.put_u8(flags(self.first, self.last, self.continued));
        header.put_u16(self.class.0);
        header.put_u8(self.media);
        header.put_camera_len(&self.camera);
        header.put_clip(self.clip);
        header.put_u32(self.sequence);
        header.put_u32(self.payload_bytes);
        header.put_u64(self.clip_offset);
        header.put_timestamp(self.start);
        header.put_timestamp(self.end);
        header.put_timestamp(self.received);
        header.put_u64(self.uncertainty_us);
        header.put_u32(previous_segment.0);
        header.put_u32(previous_block);
        header.put_u32(self.durable_block);
        header.put_u32(0);
        header.put_slice(&self.digest);
        debug_assert_eq!(header.len(), FIELDS_BYTES);
        header.put_slice(self.camera.as_str().as_bytes());
        header.pad_to(CAMERA_UNIT_BYTES);
        for crc in chunk_crcs {
            header.put_u32(*crc);
        }
        debug_assert_eq!(header.len(), header_bytes);
        let crc = key.crc(block, &header.as_slice()[BODY_OFFSET..]);
        header.patch_u32(CRC_OFFSET, crc);
        header.finish()
    }

    /// What stands around the payload of this record; otherwise as [`RecordHeader::encode`].
    pub(crate) fn ends(&self, chunk_crcs: &[u32], key: &SegmentKey, block: u32) -> RecordEnds {
        let mut bytes = self.encode(chunk_crcs, key, block);
        let header_bytes = bytes.len();
        let blocks = self.blocks();
        let mut ending = Writer::with_capacity(ENDING_BYTES);
        ending.put_slice(&TAIL_MAGIC);
        ending.put_u16(u16::try_from(header_bytes).expect("at most HEADER_BYTES_MAX"));
        ending.put_u16(u16::try_from(blocks).expect("a payload of at most 1 MiB"));
        bytes.extend_from_slice(ending.as_slice());
        let padding_bytes = to_usize(blocks) * BLOCK_LEN
            - header_bytes
            - to_usize(self.payload_bytes)
            - bytes.len();
        RecordEnds { bytes, header_bytes, padding_bytes }
    }

    /// Reads the tail of the record that ends with block `last`; `bytes` are that block. Gives the
    /// block at which the record begins, its header and its chunk CRCs.
    pub(crate) fn decode_tail(
        bytes: &[u8],
        key: &SegmentKey,
        last: u32,
    ) -> Result<(u32, Self, Vec<u32>), Damage> {
        let before_ending = BLOCK_LEN - ENDING_BYTES;
        let mut ending = Reader::new(bytes.get(before_ending..BLOCK_LEN).ok_or(Damage::Short)?);
        if ending.take_array()? != TAIL_MAGIC {
            return Err(Damage::Magic);
        }
        let header_bytes = usize::from(ending.take_u16()?);
        let blocks = u32::from(ending.take_u16()?);
        // Neither is under a CRC: one that leads nowhere is damaged.
        let start = before_ending.checked_sub(header_bytes).ok_or(Damage::Checksum)?;
        let block = last.checked_sub(blocks.wrapping_sub(1)).ok_or(Damage::Checksum)?;
        let header = bytes.get(start..before_ending).ok_or(Damage::Short)?;
        let (header, crcs) = Self::decode(header, key, block).map_err(|damage| match damage {
            // It does not end where the ending says.
            Damage::Short => Damage::Checksum,
            other => other,
        })?;
        if header.header_bytes() != header_bytes || header.blocks() != blocks {
            return Err(Damage::Field("tail"));
        }
        Ok((block, header, crcs))
    }

    /// Reads what stands at block `block`: `bytes` begin there and hold at least the header
    /// (`HEADER_BYTES_MAX` bytes are always enough). Gives the header and its chunk CRCs.
    pub(crate) fn decode(
        bytes: &[u8],
        key: &SegmentKey,
        block: u32,
    ) -> Result<(Self, Vec<u32>), Damage> {
        let mut fields = Reader::new(bytes);
        if fields.take_array()? != MAGIC {
            return Err(Damage::Magic);
        }
        let crc = fields.take_u32()?;
        let header_bytes = usize::from(fields.take_u16()?);
        if !(HEADER_BYTES_MIN..=HEADER_BYTES_MAX).contains(&header_bytes) {
            // Not under a checked CRC yet, so this is damage and not a field that makes no sense.
            return Err(Damage::Checksum);
        }
        let body = bytes.get(BODY_OFFSET..header_bytes).ok_or(Damage::Short)?;
        if !Barrier::RecordHeaderCrc.test(key.crc(block, body) == crc) {
            return Err(Damage::Checksum);
        }
        let mut fields = Reader::new(body);
        fields.take_u16()?;
        let version = fields.take_u8()?;
        if version != RECORD_VERSION {
            return Err(Damage::Version(u16::from(version)));
        }
        // A header that the CRC covers but that ends too early is wrong, not short.
        let (header, crcs) = Self::take(fields).map_err(|damage| match damage {
            Damage::Short => Damage::Field("header_bytes"),
            other => other,
        })?;
        header.check(block)?;
        Ok((header, crcs))
    }

    /// Takes everything behind the version.
    fn take(mut fields: Reader<'_>) -> Result<(Self, Vec<u32>), Damage> {
        let (first, last, continued) = take_flags(&mut fields)?;
        let class = ClassId(fields.take_u16()?);
        let media = fields.take_u8()?;
        let camera_bytes = usize::from(fields.take_u8()?);
        let clip = fields.take_clip()?;
        let sequence = fields.take_u32()?;
        let payload_bytes = fields.take_u32()?;
        let clip_offset = fields.take_u64()?;
        let start = fields.take_timestamp("start")?;
        let end = fields.take_timestamp("end")?;
        let received = fields.take_timestamp("received")?;
        let uncertainty_us = fields.take_u64()?;
        let previous = match (SegmentId(fields.take_u32()?), fields.take_u32()?) {
            (SegmentId(0), 0) => None,
            (_, 0) => return Err(Damage::Field("previous")),
            place => Some(place),
        };
        let durable_block = fields.take_u32()?;
        fields.take_zeros(4, "reserved")?;
        let digest = fields.take_array()?;
        let camera = fields.take_camera(camera_bytes)?;
        let padding = camera_bytes.next_multiple_of(CAMERA_UNIT_BYTES) - camera_bytes;
        fields.take_zeros(padding, "camera")?;
        if payload_bytes > PAYLOAD_MAX {
            return Err(Damage::Field("payload_bytes"));
        }
        let crcs = (0..chunk_count(payload_bytes)).map(|_| fields.take_u32());
        let crcs = crcs.collect::<Result<Vec<u32>, Damage>>()?;
        fields.finish("header_bytes")?;
        let header = Self {
            clip,
            camera,
            class,
            first,
            last,
            continued,
            media,
            sequence,
            clip_offset,
            payload_bytes,
            start,
            end,
            received,
            uncertainty_us,
            previous,
            digest,
            durable_block,
        };
        Ok((header, crcs))
    }

    /// What must be true of the record at block `block`, where it is written and where it is read.
    fn check(&self, block: u32) -> Result<(), Damage> {
        let field = |holds: bool, name| if holds { Ok(()) } else { Err(Damage::Field(name)) };
        field(self.first == (self.sequence == 0), "sequence")?;
        field(!self.first || self.clip_offset == 0, "clip_offset")?;
        field(!self.first || self.previous.is_none(), "previous")?;
        field(self.previous.is_none_or(|(_, block)| block > 0), "previous")?;
        field(!(self.last && self.continued), "flags")?;
        field(self.start <= self.end, "end")?;
        field(
            self.clip_offset.checked_add(u64::from(self.payload_bytes)).is_some(),
            "clip_offset",
        )?;
        field(self.durable_block <= block, "durable_block")
    }
}

/// What stands around the payload of a record.
#[derive(Clone, Debug)]
pub(crate) struct RecordEnds {
    /// The header and the tail's ending, which together are the tail.
    bytes: Vec<u8>,
    header_bytes: usize,
    padding_bytes: usize,
}

impl RecordEnds {
    /// What stands before the payload.
    pub(crate) fn head(&self) -> &[u8] {
        self.bytes.get(..self.header_bytes).unwrap_or_default()
    }

    /// The zeros between the payload and the tail.
    pub(crate) fn padding(&self) -> &'static [u8] {
        ZEROS.get(..self.padding_bytes).unwrap_or_default()
    }

    /// The end of the record.
    pub(crate) fn tail(&self) -> &[u8] {
        &self.bytes
    }
}

/// How many 4 KiB blocks a record with a header of `header_bytes` takes.
pub(crate) fn blocks(header_bytes: u32, payload_bytes: u32) -> u32 {
    let tail_bytes = u64::from(header_bytes) + u64::from(to_u32(ENDING_BYTES));
    let bytes = u64::from(header_bytes) + u64::from(payload_bytes) + tail_bytes;
    u32::try_from(bytes.div_ceil(BLOCK_BYTES)).unwrap_or(u32::MAX)
}

/// The flag byte of a record or a part.
pub(super) const fn flags(first: bool, last: bool, continued: bool) -> u8 {
    (if first { FIRST } else { 0 })
        | (if last { LAST } else { 0 })
        | (if continued { CONTINUED } else { 0 })
}

/// The flags of a record or a part: first, last, continued.
pub(super) fn take_flags(fields: &mut Reader<'_>) -> Result<(bool, bool, bool), Damage> {
    let flags = fields.take_u8()?;
    if are_flags(flags) { Ok(flags_of(flags)) } else { Err(Damage::Field("flags")) }
}

/// Whether there are no other ones in `flags`.
pub(super) const fn are_flags(flags: u8) -> bool {
    flags & !(FIRST | LAST | CONTINUED) == 0
}

/// Which of the three are in `flags`: first, last, continued.
pub(super) const fn flags_of(flags: u8) -> (bool, bool, bool) {
    (flags & FIRST != 0, flags & LAST != 0, flags & CONTINUED != 0)
}

/// The CRC32 of each 64 KiB chunk of `payload`, the last one shorter.
pub(crate) fn chunk_crcs(payload: &[u8]) -> Vec<u32> {
    payload.chunks(CHUNK_BYTES).map(crc32fast::hash).collect()
}

/// How many chunks a payload of `payload_bytes` has.
pub(crate) fn chunk_count(payload_bytes: u32) -> u32 {
    payload_bytes.div_ceil(CHUNK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::arbitrary::{KEY, sample_record};

    #[test]
    fn chunk_table_fits_the_payload() {
        for (bytes, chunks) in [(0, 0), (1, 1), (65_536, 1), (65_537, 2), (1 << 20, 16)] {
            assert_eq!(chunk_count(bytes), chunks);
            assert_eq!(chunk_crcs(&vec![7; to_usize(bytes)]).len(), to_usize(chunks));
        }
    }

    #[test]
    fn blocks_round_up() {
        let mut header = sample_record();
        let most = 4096 - 132 - 140;
        for (payload, blocks) in [(0, 1), (most, 1), (most + 1, 2), (4096, 2), (1 << 20, 257)] {
            // "yard" takes 8 bytes, the only chunk's CRC 4 more; 16 chunks in the last case.
            header.payload_bytes = payload;
            assert_eq!(header.blocks(), blocks, "{payload}");
        }
    }

    #[test]
    fn record_is_valid_at_its_own_block_only() {
        let bytes = sample_record().encode(&[1], &KEY, 9);
        assert!(RecordHeader::decode(&bytes, &KEY, 9).is_ok());
        assert_eq!(RecordHeader::decode(&bytes, &KEY, 8), Err(Damage::Checksum));
        let stale = SegmentKey { salt: [0; 16], ..KEY };
        assert_eq!(RecordHeader::decode(&bytes, &stale, 9), Err(Damage::Checksum));
    }

    /// The last block of the sample record with a payload of `payload_bytes`, and its number.
    fn last_block(payload_bytes: u32) -> (Vec<u8>, u32) {
        let header = RecordHeader { payload_bytes, ..sample_record() };
        let ends = header.ends(&vec![1; to_usize(chunk_count(payload_bytes))], &KEY, 9);
        let payload = vec![7; to_usize(payload_bytes)];
        let record = [ends.head(), &payload, ends.padding(), ends.tail()].concat();
        assert_eq!(record.len(), to_usize(header.blocks()) * BLOCK_LEN);
        (record[record.len() - BLOCK_LEN..].to_vec(), 9 + header.blocks() - 1)
    }

    #[test]
    fn tail_leads_to_its_record() {
        for payload in [0, 1, 1000, 3824, 3825, 4000, 5000, 70_000, 1 << 20] {
            let (bytes, last) = last_block(payload);
            let (block, header, crcs) = RecordHeader::decode_tail(&bytes, &KEY, last).unwrap();
            let written = RecordHeader { payload_bytes: payload, ..sample_record() };
            assert_eq!((block, header), (9, written));
            assert_eq!(crcs.len(), to_usize(chunk_count(payload)));
        }
    }

    #[test]
    fn tail_is_valid_at_its_own_block_only() {
        let (bytes, last) = last_block(70_000);
        let decode = |key, last| RecordHeader::decode_tail(&bytes, key, last).unwrap_err();
        assert_eq!(decode(&KEY, last + 1), Damage::Checksum);
        assert_eq!(decode(&KEY, 3), Damage::Checksum, "it would begin before the file");
        assert_eq!(decode(&SegmentKey { salt: [0; 16], ..KEY }, last), Damage::Checksum);
    }

    #[test]
    fn tail_that_does_not_fit_its_header_is_none() {
        let (bytes, last) = last_block(70_000);
        let put = |offset: usize, value: u16| {
            let mut bytes = bytes.clone();
            bytes[offset..offset + 2].copy_from_slice(&value.to_le_bytes());
            RecordHeader::decode_tail(&bytes, &KEY, last).map(|_| ())
        };
        assert_eq!(put(4092, 136), Ok(()));
        for value in [0, 132, 135, 137, 140, 4088, 4089, u16::MAX] {
            assert!(put(4092, value).is_err(), "{value} bytes");
        }
        assert_eq!(put(4094, 18), Ok(()));
        for value in [0, 1, 17, 19, 27, u16::MAX] {
            assert_eq!(put(4094, value), Err(Damage::Checksum), "{value} blocks");
        }
        // A right CRC, and another number of blocks than the header has.
        let header = RecordHeader { durable_block: 0, ..sample_record() };
        let mut forged = vec![0; BLOCK_LEN];
        let mut ends = header.ends(&[1], &KEY, 9).tail().to_vec();
        let at = ends.len() - 2;
        ends[at..].copy_from_slice(&2_u16.to_le_bytes());
        forged[BLOCK_LEN - ends.len()..].copy_from_slice(&ends);
        assert_eq!(RecordHeader::decode_tail(&forged, &KEY, 10), Err(Damage::Field("tail")));
    }

    /// What `decode` says of the sample record with `bytes` put at `offset` and a right CRC.
    fn forged(offset: usize, bytes: &[u8]) -> Damage {
        let mut header = sample_record().encode(&[1], &KEY, 9);
        header[offset..offset + bytes.len()].copy_from_slice(bytes);
        let crc = KEY.crc(9, &header[BODY_OFFSET..]);
        header[CRC_OFFSET..BODY_OFFSET].copy_from_slice(&crc.to_le_bytes());
        RecordHeader::decode(&header, &KEY, 9).unwrap_err()
    }

    #[test]
    fn fields_that_make_no_sense_are_rejected() {
        assert_eq!(forged(10, &[2]), Damage::Version(2));
        assert_eq!(forged(11, &[7]), Damage::Field("flags"));
        assert_eq!(forged(11, &[2]), Damage::Field("sequence"), "sequence 0 without first");
        assert_eq!(forged(24, &[1]), Damage::Field("sequence"), "first at sequence 1");
        assert_eq!(forged(32, &[1]), Damage::Field("clip_offset"));
        assert_eq!(forged(28, &(PAYLOAD_MAX + 1).to_le_bytes()), Damage::Field("payload_bytes"));
        assert_eq!(forged(28, &PAYLOAD_MAX.to_le_bytes()), Damage::Field("header_bytes"));
        assert_eq!(forged(28, &[0; 4]), Damage::Field("header_bytes"));
        assert_eq!(forged(40, &i64::MAX.to_le_bytes()), Damage::Field("start"));
        assert_eq!(forged(48, &0i64.to_le_bytes()), Damage::Field("end"));
        assert_eq!(forged(72, &[1, 0, 0, 0]), Damage::Field("previous"));
        assert_eq!(forged(72, &[1, 0, 0, 0, 1]), Damage::Field("previous"), "first has none");
        assert_eq!(forged(80, &[10]), Damage::Field("durable_block"));
        assert_eq!(forged(84, &[1]), Damage::Field("reserved"));
        assert_eq!(forged(15, &[0]), Damage::Field("camera"));
        assert_eq!(forged(15, &[65]), Damage::Field("header_bytes"));
        assert_eq!(forged(120, b"/"), Damage::Field("camera"));
        assert_eq!(forged(127, &[1]), Damage::Field("camera"), "padding");
    }

    #[test]
    fn clip_offset_cannot_overflow() {
        let mut header = sample_record();
        (header.first, header.sequence, header.clip_offset) = (false, 1, u64::MAX);
        assert_eq!(header.check(9), Err(Damage::Field("clip_offset")));
    }
}
