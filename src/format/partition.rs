//! A partition of the index: the parts in a number of sealed segments, by camera and time.
//!
//! ```text
//! partition:  0 [ head: rows, links, cameras, firsts ] whole blocks [ page ] .. [ summaries ] ..
//!
//! head
//!  0        8    12 14 16   20   24   28   32   36   40      56      72
//! +--------+----+--+--+----+----+----+----+----+----+-------+-------+------- ... -+----- ... -+
//! |CLIPIDX.|crc |v |0 |blks|rows|link|cams|part| 0  | store | salt  | four tables | 0         |
//! +--------+----+--+--+----+----+----+----+----+----+-------+-------+------- ... -+----- ... -+
//! ```
//!
//! | offset | size | head    | meaning                                                        |
//! |-------:|-----:|---------|----------------------------------------------------------------|
//! |      0 |    8 | magic   | `CLIPIDX\0`                                                    |
//! |      8 |    4 | crc     | CRC32 of bytes 12 to the head's end, not salted                |
//! |     12 |    2 | version | 3                                                              |
//! |     14 |    2 |         | zero                                                           |
//! |     16 |    4 | blocks  | length of the head in blocks of 4 KiB; the pages stand behind  |
//! |     20 |    4 | rows    | how many rows; a row a segment, by segment                     |
//! |     24 |    4 | links   | how many links; those of the first row, of the second, ..      |
//! |     28 |    4 | cameras | how many cameras, by id                                        |
//! |     32 |    4 | parts   | how many parts the pages have: those of the first camera, ..   |
//! |     36 |    4 |         | zero                                                           |
//! |     40 |   16 | store   | id of the store                                                |
//! |     56 |   16 | salt    | random; what the CRCs of the pages are salted with             |
//! |     72 |  176 | row     | each                                                           |
//! |     .. |   20 | link    | each                                                           |
//! |     .. |      | camera  | each: length u8, id, parts u32, starts of its first and last   |
//! |     .. |    8 | first   | each page: the start of its first part, µs since 1970          |
//! |     .. |      |         | zeros to a multiple of 4 KiB                                   |
//!
//! | offset | size | row               | meaning                                              |
//! |-------:|-----:|-------------------|------------------------------------------------------|
//! |      0 |    4 | segment           | its id                                               |
//! |      4 |    2 | class             | retention class                                      |
//! |      6 |    2 |                   | zero                                                 |
//! |      8 |   16 | salt              | these five are of the segment's header               |
//! |     24 |    8 | `segment_bytes`   |                                                      |
//! |     32 |    8 | created           |                                                      |
//! |     40 |   16 | `boot_id`         |                                                      |
//! |     56 |    8 | `since_boot_us`   |                                                      |
//! |     64 |    8 | `footer_offset`   | these eight are of its trailer                       |
//! |     72 |    8 | `footer_bytes`    |                                                      |
//! |     80 |    4 | `footer_crc`      |                                                      |
//! |     84 |    4 | parts             |                                                      |
//! |     88 |   32 | root              | what the ledger must have, or the row does not count |
//! |    120 |    8 | sealed            |                                                      |
//! |    128 |    8 | `newest_received` |                                                      |
//! |    136 |    8 | `payload_bytes`   |                                                      |
//! |    144 |    8 | `file_bytes`      | what the file system had allocated for it            |
//! |    152 |    8 | `reach_us`        | no clip with a part in it is longer                  |
//! |    160 |    8 | `uncertainty_us`  | no part in it has a clock that is less certain       |
//! |    168 |    4 | links             | how many of the links are its own                    |
//! |    172 |    4 |                   | zero                                                 |
//!
//! | offset | size | link     | meaning                                                       |
//! |-------:|-----:|----------|---------------------------------------------------------------|
//! |      0 |    8 | clip     | one that has parts elsewhere, or asks for one: home, ordinal  |
//! |      8 |    8 | received | trusted time when the newest record of its part here came     |
//! |     16 |    4 | flags    | 1: its part here is not the first; 2: its last record here    |
//! |        |      |          | asks for another one                                          |
//!
//! Parts of one camera rise by (start, segment, clip). A reader may skip nothing. It must
//! reject another magic, a wrong CRC, another version, nonzero reserved bytes, tables that are not
//! in order or do not fit their counts, and a row that no sealed segment can have. A partition is
//! derived: whoever finds one damaged reads the footers instead. [`super::page`] has the pages,
//! [`super::page_part`] the parts.

#[cfg(test)]
use std::collections::BTreeMap;

use super::block::Magic;
use super::bytes::{Reader, Writer, to_u32, to_usize};
#[cfg(test)]
use super::page::{self, PAGE_SUMMARIES, Summary};
use super::page::{PAGE_BYTES, PAGE_PARTS};
#[cfg(test)]
use super::page_part::PagePart;
use super::segment::{SegmentHeader, Trailer};
use super::{BLOCK_BYTES, Damage, SegmentKey};
use crate::barrier::Barrier;
use crate::types::{CameraId, ClassId, ClipId, SegmentId, Timestamp};

/// The version that this build writes, and the only one that it reads: an older partition is made
/// again from footers.
const INDEX_VERSION: u16 = 3;
const MAGIC: Magic = *b"CLIPIDX\0";
const CRC_OFFSET: usize = 8;
const BODY_OFFSET: usize = 12;
const ROW_BYTES: usize = 176;
const LINK_BYTES: usize = 20;
/// What stands before the tables.
const HEAD_BYTES: usize = 72;
/// What the table of cameras has of each, beside its id.
const CAMERA_BYTES: usize = 21;
/// The most that a table can have, whatever a damaged count says.
const HEAD_BLOCKS_MAX: u32 = 1 << 16;

/// What stands before the pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartitionHead {
    pub(crate) store: [u8; 16],
    pub(crate) salt: [u8; 16],
    /// By segment.
    pub(crate) rows: Vec<Row>,
    /// By id.
    pub(crate) cameras: Vec<CameraParts>,
    /// When the first part of each page starts, in µs.
    pub(crate) firsts: Vec<i64>,
}

/// How many parts a camera has, and when they start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CameraParts {
    pub(crate) camera: CameraId,
    pub(crate) parts: u32,
    /// The start of its first part and that of its last, in µs.
    pub(crate) starts: (i64, i64),
}

/// What opening a store needs to know of one sealed segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Boxed, because rows are sorted and handed on.
    pub(crate) trailer: Box<Trailer>,
    pub(crate) file_bytes: u64,
    pub(crate) reach_us: u64,
    pub(crate) uncertainty_us: u64,
    pub(crate) links: Vec<Link>,
}

/// A part of a clip that has others elsewhere, or asks for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) clip: ClipId,
    pub(crate) received: Timestamp,
    /// It is not the clip's first part.
    pub(crate) tail: bool,
    /// Its last record asks for another one.
    pub(crate) continued: bool,
}

/// The bytes of a whole partition; `parts` of each camera rise, and none has none. All of it in
/// memory, from the tables above: what [`super::partition_writer`] must write.
#[cfg(test)]
pub(crate) fn encode(
    store: [u8; 16],
    salt: [u8; 16],
    rows: Vec<Row>,
    parts: BTreeMap<CameraId, Vec<PagePart>>,
) -> Vec<u8> {
    let (mut cameras, mut summaries, mut first) = (Vec::new(), Vec::new(), 0);
    for (camera, parts) in &parts {
        let start_of = |part: Option<&PagePart>| part.map_or(0, |part| part.start.as_micros());
        let starts = (start_of(parts.first()), start_of(parts.last()));
        cameras.push(CameraParts { camera: camera.clone(), parts: to_u32(parts.len()), starts });
        // What it has on its first page, behind the camera before it, and on each page then.
        let left_behind = (PAGE_PARTS - first % PAGE_PARTS) % PAGE_PARTS;
        let (begun, whole) = parts.split_at(parts.len().min(left_behind));
        let shares = (!begun.is_empty()).then_some(begun).into_iter();
        summaries.extend(shares.chain(whole.chunks(PAGE_PARTS)).map(Summary::of));
        first += parts.len();
    }
    let all: Vec<PagePart> = parts.into_values().flatten().collect();
    let firsts = all.iter().step_by(PAGE_PARTS).map(|part| part.start.as_micros()).collect();
    let head = PartitionHead { store, salt, rows, cameras, firsts };
    let mut bytes = head.encode();
    let mut pages = 0;
    for (number, parts) in all.chunks(PAGE_PARTS).enumerate() {
        bytes.extend(page::encode_parts(&salt, number, parts));
        pages = number + 1;
    }
    for (more, summaries) in summaries.chunks(PAGE_SUMMARIES).enumerate() {
        bytes.extend(page::encode_summaries(&salt, pages + more, summaries));
    }
    bytes
}

impl PartitionHead {
    /// How many bytes the head has when it has the starts of so many pages.
    pub(super) fn encoded_bytes(&self, pages: usize) -> u64 {
        let links: usize = self.rows.iter().map(|row| row.links.len()).sum();
        let names: usize = self.cameras.iter().map(|of| of.camera.as_str().len()).sum();
        let tables = self.rows.len() * ROW_BYTES
            + links * LINK_BYTES
            + names
            + self.cameras.len() * CAMERA_BYTES
            + pages * size_of::<i64>();
        page_bytes((HEAD_BYTES + tables).div_ceil(PAGE_BYTES))
    }

    /// The head's whole blocks.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let links = self.rows.iter().map(|row| row.links.len()).sum();
        let parts = self.cameras.iter().map(|camera| camera.parts).sum();
        let mut head = Writer::with_capacity(PAGE_BYTES);
        head.put_slice(&MAGIC);
        head.put_u32(0);
        head.put_u16(INDEX_VERSION);
        head.put_u16(0);
        head.put_u32(0);
        head.put_u32(to_u32(self.rows.len()));
        head.put_u32(to_u32(links));
        head.put_u32(to_u32(self.cameras.len()));
        head.put_u32(parts);
        head.put_u32(0);
        head.put_slice(&self.store);
        head.put_slice(&self.salt);
        self.rows.iter().for_each(|row| row.put(&mut head));
        self.rows.iter().flat_map(|row| &row.links).for_each(|link| link.put(&mut head));
        for CameraParts { camera, parts, starts } in &self.cameras {
            head.put_camera_len(camera);
            head.put_slice(camera.as_str().as_bytes());
            head.put_u32(*parts);
            head.put_slice(&starts.0.to_le_bytes());
            head.put_slice(&starts.1.to_le_bytes());
        }
        self.firsts.iter().for_each(|first| head.put_slice(&first.to_le_bytes()));
        head.pad_to(PAGE_BYTES);
        head.patch_u32(16, to_u32(head.len() / PAGE_BYTES));
        let crc = crc32fast::hash(&head.as_slice()[BODY_OFFSET..]);
        head.patch_u32(CRC_OFFSET, crc);
        head.finish()
    }

    /// How many bytes the head has of which `block` is the first; nothing of it is checked yet.
    pub(crate) fn bytes_of(block: &[u8]) -> Result<u64, Damage> {
        let mut fields = Reader::new(block);
        if fields.take_array()? != MAGIC {
            return Err(Damage::Magic);
        }
        fields.take_slice(8)?;
        match fields.take_u32()? {
            blocks @ 1..=HEAD_BLOCKS_MAX => Ok(u64::from(blocks) * BLOCK_BYTES),
            _ => Err(Damage::Field("blocks")),
        }
    }

    /// Reads a whole head.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let len = usize::try_from(Self::bytes_of(bytes)?).unwrap_or(usize::MAX);
        let bytes = bytes.get(..len).ok_or(Damage::Short)?;
        let mut fields = Reader::new(bytes);
        fields.take_slice(CRC_OFFSET)?;
        let crc = fields.take_u32()?;
        let body = bytes.get(BODY_OFFSET..).unwrap_or_default();
        if !Barrier::IndexHeadCrc.test(crc32fast::hash(body) == crc) {
            return Err(Damage::Checksum);
        }
        let version = fields.take_u16()?;
        if version != INDEX_VERSION {
            return Err(Damage::Version(version));
        }
        fields.take_zeros(2, "reserved")?;
        fields.take_u32()?;
        let rows = to_usize(fields.take_u32()?);
        let links = to_usize(fields.take_u32()?);
        let cameras = to_usize(fields.take_u32()?);
        let parts = to_usize(fields.take_u32()?);
        fields.take_zeros(4, "reserved")?;
        let (store, salt) = (fields.take_array()?, fields.take_array()?);
        // From here on every count is bounded by the bytes at hand.
        let rows: Vec<(Row, usize)> =
            (0..rows).map(|_| Row::take(&mut fields, store)).collect::<Result<_, _>>()?;
        let links: Vec<Link> =
            (0..links).map(|_| Link::take(&mut fields)).collect::<Result<_, _>>()?;
        if rows.iter().fold(0, |sum: usize, (_, own)| sum.saturating_add(*own)) != links.len() {
            return Err(Damage::Field("links"));
        }
        let mut links = links.into_iter();
        let rows = rows
            .into_iter()
            .map(|(row, own)| Row { links: links.by_ref().take(own).collect(), ..row })
            .collect();
        let head = Self {
            store,
            salt,
            rows,
            cameras: (0..cameras)
                .map(|_| CameraParts::take(&mut fields))
                .collect::<Result<_, _>>()?,
            firsts: (0..parts.div_ceil(PAGE_PARTS))
                .map(|_| Ok(fields.take_timestamp("first")?.as_micros()))
                .collect::<Result<_, _>>()?,
        };
        if fields.len() >= PAGE_BYTES {
            return Err(Damage::Field("blocks"));
        }
        fields.finish_zeros("padding")?;
        head.check(parts).map(|()| head)
    }

    /// What must be true of tables, whatever their checksum says.
    fn check(&self, parts: usize) -> Result<(), Damage> {
        if !self.rows.is_sorted_by(|a, b| a.segment() < b.segment()) {
            return Err(Damage::Field("rows"));
        }
        let named = self.cameras.is_sorted_by(|a, b| a.camera < b.camera);
        let fits = |of: &CameraParts| of.parts > 0 && of.starts.0 <= of.starts.1;
        if !named || !self.cameras.iter().all(fits) {
            return Err(Damage::Field("cameras"));
        }
        let listed = self.cameras.iter().map(|camera| to_usize(camera.parts));
        let sum = listed.fold(0_usize, usize::saturating_add);
        if sum == parts { Ok(()) } else { Err(Damage::Field("parts")) }
    }
}

/// How many bytes `pages` take.
pub(super) fn page_bytes(pages: usize) -> u64 {
    u64::try_from(pages).unwrap_or(u64::MAX).saturating_mul(BLOCK_BYTES)
}

impl CameraParts {
    fn take(fields: &mut Reader<'_>) -> Result<Self, Damage> {
        let len = usize::from(fields.take_u8()?);
        let (camera, parts) = (fields.take_camera(len)?, fields.take_u32()?);
        let mut start = || fields.take_timestamp("starts").map(Timestamp::as_micros);
        Ok(Self { camera, parts, starts: (start()?, start()?) })
    }
}

impl Row {
    /// The segment that it is about.
    pub(crate) fn segment(&self) -> SegmentId {
        self.trailer.header.key.segment
    }

    fn put(&self, out: &mut Writer) {
        let before = out.len();
        let (header, trailer) = (&self.trailer.header, &self.trailer);
        out.put_u32(header.key.segment.0);
        out.put_u16(header.class.0);
        out.put_u16(0);
        out.put_slice(&header.key.salt);
        out.put_u64(header.segment_bytes);
        out.put_timestamp(header.created);
        out.put_slice(&header.boot_id);
        out.put_u64(header.since_boot_us);
        out.put_u64(trailer.footer_offset);
        out.put_u64(trailer.footer_bytes);
        out.put_u32(trailer.footer_crc);
        out.put_u32(trailer.parts);
        out.put_slice(&trailer.root);
        out.put_timestamp(trailer.sealed);
        out.put_timestamp(trailer.newest_received);
        out.put_u64(trailer.payload_bytes);
        out.put_u64(self.file_bytes);
        out.put_u64(self.reach_us);
        out.put_u64(self.uncertainty_us);
        out.put_u32(to_u32(self.links.len()));
        out.put_u32(0);
        debug_assert_eq!(out.len() - before, ROW_BYTES, "the table above");
    }

    /// A row without its links, and how many they are.
    fn take(fields: &mut Reader<'_>, store: [u8; 16]) -> Result<(Self, usize), Damage> {
        let segment = SegmentId(fields.take_u32()?);
        let class = ClassId(fields.take_u16()?);
        fields.take_zeros(2, "reserved")?;
        let header = SegmentHeader {
            key: SegmentKey { store, segment, salt: fields.take_array()? },
            class,
            segment_bytes: fields.take_u64()?,
            created: fields.take_timestamp("created")?,
            boot_id: fields.take_array()?,
            since_boot_us: fields.take_u64()?,
        };
        let trailer = Box::new(Trailer {
            header,
            footer_offset: fields.take_u64()?,
            footer_bytes: fields.take_u64()?,
            footer_crc: fields.take_u32()?,
            parts: fields.take_u32()?,
            root: fields.take_array()?,
            sealed: fields.take_timestamp("sealed")?,
            newest_received: fields.take_timestamp("newest_received")?,
            payload_bytes: fields.take_u64()?,
        });
        let row = Self {
            trailer,
            file_bytes: fields.take_u64()?,
            reach_us: fields.take_u64()?,
            uncertainty_us: fields.take_u64()?,
            links: Vec::new(),
        };
        let links = to_usize(fields.take_u32()?);
        fields.take_zeros(4, "reserved")?;
        if row.trailer.is_possible() { Ok((row, links)) } else { Err(Damage::Field("row")) }
    }
}

impl Link {
    fn put(&self, out: &mut Writer) {
        let before = out.len();
        out.put_clip(self.clip);
        out.put_timestamp(self.received);
        out.put_u32(u32::from(self.tail) | (u32::from(self.continued) << 1));
        debug_assert_eq!(out.len() - before, LINK_BYTES, "the table above");
    }

    fn take(fields: &mut Reader<'_>) -> Result<Self, Damage> {
        let (clip, received) = (fields.take_clip()?, fields.take_timestamp("received")?);
        match fields.take_u32()? {
            flags @ 0..=3 => {
                Ok(Self { clip, received, tail: flags & 1 != 0, continued: flags & 2 != 0 })
            }
            _ => Err(Damage::Field("flags")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::arbitrary::{STORE, sample_partition, sample_partition_bytes};
    use crate::format::page::Page;

    /// The sample with `bytes` put at `offset` of its head and a right CRC.
    fn head_with(offset: usize, bytes: &[u8]) -> Result<PartitionHead, Damage> {
        let mut file = sample_partition_bytes();
        file[offset..offset + bytes.len()].copy_from_slice(bytes);
        let crc = crc32fast::hash(&file[BODY_OFFSET..PAGE_BYTES]);
        file[CRC_OFFSET..BODY_OFFSET].copy_from_slice(&crc.to_le_bytes());
        PartitionHead::decode(&file)
    }

    #[test]
    fn head_pages_and_summaries_are_what_was_put_in() {
        let (rows, parts) = sample_partition();
        let bytes = sample_partition_bytes();
        let head = PartitionHead::decode(&bytes).unwrap();
        assert_eq!((head.store, &head.rows), (STORE, &rows));
        let mut found = Vec::new();
        let (pages, summaries) = bytes[PAGE_BYTES..].split_at(head.firsts.len() * PAGE_BYTES);
        for (number, page) in pages.chunks(PAGE_BYTES).enumerate() {
            let parts = Page::decode(page, &head.salt, number).unwrap().parts().unwrap();
            assert_eq!(head.firsts[number], parts[0].start.as_micros());
            found.extend(parts);
        }
        assert_eq!(found, parts.values().flatten().copied().collect::<Vec<_>>());
        for (camera, parts) in head.cameras.iter().zip(parts.values()) {
            let starts = (parts[0].start.as_micros(), parts[parts.len() - 1].start.as_micros());
            assert_eq!((to_usize(camera.parts), camera.starts), (parts.len(), starts));
        }
        let summaries = page::Summaries::decode(summaries, &head.salt, head.firsts.len()).unwrap();
        let summaries = summaries.all().unwrap();
        let (gate, yard) = found.split_at(46);
        let shares = [&gate[..PAGE_PARTS], &gate[PAGE_PARTS..], yard];
        assert_eq!(summaries, shares.map(Summary::of), "the second page has two cameras");
        assert_eq!(summaries.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true]);
    }

    #[test]
    fn a_flipped_bit_of_a_head_is_found() {
        for byte in 0..PAGE_BYTES {
            let mut damaged = sample_partition_bytes();
            damaged[byte] ^= 4;
            assert!(PartitionHead::decode(&damaged).is_err(), "head byte {byte}");
        }
    }

    #[test]
    fn counts_beyond_the_bytes_are_refused_before_any_allocation() {
        for count in [20, 24, 28, 32] {
            let error = head_with(count, &[0xff; 4]).unwrap_err();
            assert!(matches!(error, Damage::Short | Damage::Field(_)), "{count}: {error:?}");
        }
        assert_eq!(head_with(16, &[0; 4]), Err(Damage::Field("blocks")));
        assert_eq!(head_with(16, &[0xff; 4]), Err(Damage::Field("blocks")));
    }

    #[test]
    fn another_version_is_told_from_damage() {
        assert_eq!(head_with(12, &[2, 0]), Err(Damage::Version(2)));
        assert_eq!(head_with(12, &[4, 0]), Err(Damage::Version(4)));
        assert_eq!(head_with(14, &[1]), Err(Damage::Field("reserved")));
        assert_eq!(PartitionHead::decode(&[]), Err(Damage::Short));
        assert_eq!(PartitionHead::decode(&[0; 4096]), Err(Damage::Magic));
    }
}
