//! A plain MP4 file: one `moov` that says where every sample lies.

use bytes::Bytes;

use super::boxes::{BoxHeader, Fields, FourCc, HEADER_BYTES_MAX, Mp4Box, boxes, find};
use super::init::Track;
use super::media_error;
use super::moof::Sample;
use super::source::ClipBytes;
use crate::types::Result;

/// The largest `moov` of a plain file, which has a few bytes for each sample.
pub(super) const INDEX_BYTES_MAX: u64 = 64 << 20;

/// The header of the box at `at` and where it ends; `None` at the end of the clip, and where no
/// whole header is left.
pub(super) fn box_at(bytes: &dyn ClipBytes, at: u64) -> Result<Option<(BoxHeader, u64)>> {
    let left = bytes.len().saturating_sub(at);
    if left == 0 {
        return Ok(None);
    }
    let len = usize::try_from(left).unwrap_or(usize::MAX).min(HEADER_BYTES_MAX);
    let mut head = [0; HEADER_BYTES_MAX];
    let Some(head) = head.get_mut(..len) else { return Ok(None) };
    bytes.read_at(at, head)?;
    let parsed = BoxHeader::parse(head).map_err(|error| error.at_offset(at))?;
    Ok(parsed.map(|header| {
        let end = header.len.map_or(bytes.len(), |len| at.saturating_add(len));
        (header, end)
    }))
}

/// The bytes from `start` to `end`, which must not be more than `limit`.
pub(super) fn read_range(bytes: &dyn ClipBytes, start: u64, end: u64, limit: u64) -> Result<Bytes> {
    let len = end.saturating_sub(start);
    if len > limit || end > bytes.len() {
        return Err(media_error(format!("box of {len} bytes: above {limit}")).at_offset(start));
    }
    let len = usize::try_from(len)
        .map_err(|source| media_error("box too large for memory").caused_by(source))?;
    let mut buffer = vec![0; len];
    bytes.read_at(start, &mut buffer)?;
    Ok(Bytes::from(buffer))
}

/// How many samples the tables of `track` claim: none where fragments hold them all.
fn declared(track: &Track) -> Option<u32> {
    let mut fields = Fields::new(find_table(track, *b"stsz")?.body);
    fields.take(8)?;
    fields.u32()
}

fn find_table(track: &Track, kind: FourCc) -> Option<Mp4Box<'_>> {
    let stbl = find(&track.boxes.stbl, *b"stbl")?;
    boxes(stbl.body).map_while(Result::ok).find(|table| table.kind == kind)
}

/// The samples of `track` that lie whole within a file of `file_len` bytes, in decode order: none
/// for the tracks of a stream of fragments. A file that was cut off ends at its first missing
/// sample.
///
/// # Errors
///
/// `Media` when its tables contradict one another, or claim more samples than `room` or than the
/// file has bytes.
pub(super) fn samples(track: &Track, file_len: u64, room: usize) -> Result<Vec<Sample>> {
    if declared(track).unwrap_or(0) == 0 {
        return Ok(Vec::new());
    }
    let tables = Tables::read(track, file_len)
        .ok_or_else(|| media_error("moov: a sample table is missing or cut short"))?;
    if tables.count > room {
        return Err(media_error(format!("moov: {} samples: above {room}", tables.count)));
    }
    tables.samples().ok_or_else(|| media_error("moov: its sample tables contradict one another"))
}

/// The sample tables of one track, each where its entries begin.
struct Tables<'a> {
    file_len: u64,
    count: usize,
    /// The size of every sample; 0: each has its own.
    size: u32,
    sizes: Fields<'a>,
    durations: Fields<'a>,
    compositions: Option<Fields<'a>>,
    chunk_runs: Fields<'a>,
    chunk_offsets: Fields<'a>,
    wide_offsets: bool,
    /// `None`: decoding can start at every sample.
    syncs: Option<Fields<'a>>,
}

impl<'a> Tables<'a> {
    fn read(track: &'a Track, file_len: u64) -> Option<Self> {
        let entries = |kind| {
            let mut fields = Fields::new(find_table(track, kind)?.body);
            fields.version_flags()?;
            fields.u32()?;
            Some(fields)
        };
        let mut sizes = Fields::new(find_table(track, *b"stsz")?.body);
        sizes.version_flags()?;
        let size = sizes.u32()?;
        let count = sizes.u32()?;
        // A lie about the count must not make us allocate: each sample takes an entry or a byte.
        let believable = match size {
            0 => usize::try_from(count).ok()? <= sizes.len() / 4,
            _ => u64::from(count) <= file_len / u64::from(size),
        };
        let wide_offsets = find_table(track, *b"co64").is_some();
        believable.then_some(())?;
        Some(Self {
            file_len,
            count: usize::try_from(count).ok()?,
            size,
            sizes,
            durations: entries(*b"stts")?,
            compositions: entries(*b"ctts"),
            chunk_runs: entries(*b"stsc")?,
            chunk_offsets: entries(if wide_offsets { *b"co64" } else { *b"stco" })?,
            wide_offsets,
            syncs: entries(*b"stss"),
        })
    }

    fn samples(mut self) -> Option<Vec<Sample>> {
        let mut samples = Vec::with_capacity(self.count);
        let mut chunk = Chunks { runs: self.chunk_runs, ..Chunks::default() };
        let mut durations = Runs::new(self.durations);
        let mut compositions = self.compositions.map(Runs::new);
        let mut next_sync = self.syncs.as_mut().map(|syncs| syncs.u32().unwrap_or(u32::MAX));
        let mut offset = 0;
        for number in 1..=u32::try_from(self.count).ok()? {
            if chunk.left == 0 {
                offset = self.chunk_offsets.u32_or_u64(self.wide_offsets)?;
                chunk.next()?;
            }
            chunk.left -= 1;
            let size = if self.size == 0 { self.sizes.u32()? } else { self.size };
            let sync = next_sync.is_none_or(|sync| sync == number);
            if sync && let Some(syncs) = &mut self.syncs {
                next_sync = Some(syncs.u32().unwrap_or(u32::MAX));
            }
            let duration = durations.next()?;
            let composition = match &mut compositions {
                Some(runs) => runs.next().unwrap_or(0).cast_signed(),
                None => 0,
            };
            let end = offset.checked_add(u64::from(size))?;
            if end > self.file_len {
                break;
            }
            samples.push(Sample { offset, size, duration, composition, sync });
            offset = end;
        }
        Some(samples)
    }
}

/// Values that are stored with how often they repeat.
struct Runs<'a> {
    fields: Fields<'a>,
    left: u32,
    value: u32,
}

impl<'a> Runs<'a> {
    fn new(fields: Fields<'a>) -> Self {
        Self { fields, left: 0, value: 0 }
    }

    fn next(&mut self) -> Option<u32> {
        while self.left == 0 {
            self.left = self.fields.u32()?;
            self.value = self.fields.u32()?;
        }
        self.left -= 1;
        Some(self.value)
    }
}

/// How many samples each chunk has.
#[derive(Default)]
struct Chunks<'a> {
    runs: Fields<'a>,
    /// The number of the chunk we are in, from 1.
    number: u32,
    per_chunk: u32,
    /// Samples still to come in this chunk.
    left: u32,
}

impl Chunks<'_> {
    /// Goes on to the next chunk; `None` when it has no samples or another sample description.
    fn next(&mut self) -> Option<()> {
        self.number = self.number.checked_add(1)?;
        let mut peek = self.runs;
        while peek.u32().is_some_and(|first| first <= self.number) {
            self.per_chunk = peek.u32()?;
            if peek.u32()? != 1 {
                return None;
            }
            self.runs = peek;
        }
        self.left = self.per_chunk;
        (self.left > 0).then_some(())
    }
}

#[cfg(test)]
mod tests;
