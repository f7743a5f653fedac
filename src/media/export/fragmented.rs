//! The layout of a fragmented MP4: `ftyp moov sidx..` and a `moof mdat` for each group.

use super::groups::{Group, byte_len, place, samples};
use super::movie::{moov, track_id};
use super::plan::Parts;
use super::timeline::{OutSample, OutTrack, Timeline};
use super::writer::BoxWriter;
use crate::media::media_error;
use crate::types::Result;

/// The most entries of one `sidx`: its count has 16 bits.
const SIDX_ENTRIES_MAX: usize = 0xFFFF;
/// The largest stretch that one entry can stand for: its size has 31 bits.
const SIDX_SIZE_MAX: u64 = 0x7FFF_FFFF;
/// Bytes of a `sidx` before its entries, and of each.
const SIDX_HEAD_BYTES: u64 = 40;
const SIDX_ENTRY_BYTES: u64 = 12;
/// Bytes of a box's header.
const HEADER_BYTES: u64 = 8;

/// Flags of a sample that decoding can start at, and of one that needs others.
const SYNC: u32 = 0x200_0000;
const NOT_SYNC: u32 = 0x101_0000;
/// `tfhd`: data offsets count from the `moof`.
const BASE_IS_MOOF: u32 = 0x2_0000;
/// `trun`: data offset, and for each sample its duration, size, flags and composition offset.
const TRUN_FLAGS: u32 = 0xF01;

/// Plans the file.
///
/// # Errors
///
/// `Media` when a single group has more bytes than a fragment can.
pub(super) fn lay_out(timeline: &Timeline, groups: &[Group], parts: &mut Parts) -> Result<()> {
    let mut moofs = Vec::with_capacity(groups.len());
    for (sequence, group) in (1..).zip(groups) {
        moofs.push(moof(timeline, group, sequence)?);
    }
    let mut out = BoxWriter::default();
    out.boxed(*b"ftyp", |out| {
        out.raw(b"iso6");
        out.u32(0);
        out.raw(b"iso6mp41");
    });
    moov(&mut out, timeline, true, |out, _, _| {
        for kind in [*b"stts", *b"stsc", *b"stco"] {
            out.table(kind, 0, |_| 0);
        }
        out.full(*b"stsz", 0, 0, |out| out.zeros(8));
    });
    indexes(&mut out, timeline, groups, &moofs);
    parts.memory(&out.into_bytes());
    for (group, moof) in groups.iter().zip(moofs) {
        parts.memory(&moof.bytes);
        place(timeline, group, parts);
    }
    Ok(())
}

/// A `moof` with the header of its `mdat`.
struct Moof {
    bytes: Vec<u8>,
    data_len: u64,
}

impl Moof {
    /// Bytes of the whole fragment.
    fn len(&self) -> u64 {
        u64::try_from(self.bytes.len()).unwrap_or(u64::MAX).saturating_add(self.data_len)
    }
}

fn moof(timeline: &Timeline, group: &Group, sequence: u32) -> Result<Moof> {
    let mut out = BoxWriter::default();
    let mut data_len = 0;
    // Where to write data offsets, and what each counts from the end of the moof.
    let mut offsets: Vec<(usize, u64)> = Vec::new();
    out.boxed(*b"moof", |out| {
        out.full(*b"mfhd", 0, 0, |out| out.u32(sequence));
        for (index, (track, range)) in timeline.tracks.iter().zip(group).enumerate() {
            if range.is_empty() {
                continue;
            }
            let at = traf(out, index, track, group);
            offsets.push((at, data_len));
            data_len += byte_len(samples(track, range));
        }
    });
    let moof_len = u64::try_from(out.len()).unwrap_or(u64::MAX);
    let too_large = |_| media_error(format!("group of {data_len} bytes: too large for a fragment"));
    let mdat_len = u32::try_from(data_len + HEADER_BYTES).map_err(too_large)?;
    for (at, offset) in offsets {
        let offset = moof_len + HEADER_BYTES + offset;
        let offset = i32::try_from(offset).map_err(too_large)?;
        out.patch(at, offset.cast_unsigned());
    }
    out.u32(mdat_len);
    out.raw(b"mdat");
    Ok(Moof { bytes: out.into_bytes(), data_len })
}

/// Writes one `traf` and says where its data offset is to be written.
fn traf(out: &mut BoxWriter, index: usize, track: &OutTrack, group: &Group) -> usize {
    let samples = group.get(index).map_or(&[][..], |range| samples(track, range));
    let mut data_offset_at = 0;
    out.boxed(*b"traf", |out| {
        out.full(*b"tfhd", 0, BASE_IS_MOOF, |out| out.u32(track_id(index)));
        out.full(*b"tfdt", 1, 0, |out| out.u64(media_time(track, samples)));
        out.full(*b"trun", 1, TRUN_FLAGS, |out| {
            out.u32(u32::try_from(samples.len()).unwrap_or(u32::MAX));
            data_offset_at = out.len();
            out.u32(0);
            for sample in samples {
                out.u32(sample.sample.duration);
                out.u32(sample.sample.size);
                out.u32(if sample.sample.sync { SYNC } else { NOT_SYNC });
                out.i32(sample.sample.composition);
            }
        });
    });
    data_offset_at
}

/// The decode time of the first of `samples` in the file: what is decoded before presentation
/// time 0 shifts the whole track, and the edit list shifts it back.
fn media_time(track: &OutTrack, samples: &[OutSample]) -> u64 {
    let first = samples.first().map_or(0, |first| first.decode_time);
    u64::try_from(first.saturating_sub(track.start().min(0))).unwrap_or(0)
}

/// The index of all fragments, once for each track: with an index for the picture alone, ffmpeg
/// finds the wrong picture after a gap. Left out where it could not be true.
fn indexes(out: &mut BoxWriter, timeline: &Timeline, groups: &[Group], moofs: &[Moof]) {
    let per_entry = groups.len().div_ceil(SIDX_ENTRIES_MAX).max(1);
    let bytes = |moofs: &[Moof]| moofs.iter().map(Moof::len).sum::<u64>();
    if moofs.chunks(per_entry).any(|moofs| bytes(moofs) > SIDX_SIZE_MAX) {
        return;
    }
    let entries = groups.len().div_ceil(per_entry);
    let len = SIDX_HEAD_BYTES + SIDX_ENTRY_BYTES * u64::try_from(entries).unwrap_or(0);
    let mut indexes_after = u64::try_from(timeline.tracks.len()).unwrap_or(0);
    for (index, track) in timeline.tracks.iter().enumerate() {
        indexes_after -= 1;
        out.full(*b"sidx", 1, 0, |out| {
            let composition = track.samples.first().map_or(0, |first| first.sample.composition);
            let shown = track.start().saturating_add(i64::from(composition)).max(0);
            out.u32(track_id(index));
            out.u32(track.track.timescale());
            out.u64(u64::try_from(shown).unwrap_or(0));
            out.u64(indexes_after * len);
            out.u16(0);
            out.u16(u16::try_from(entries).unwrap_or(u16::MAX));
            for (groups, moofs) in groups.chunks(per_entry).zip(moofs.chunks(per_entry)) {
                // The groups of a track follow one another without holes.
                let start = groups.first().and_then(|group| group.get(index)).map(|r| r.start);
                let end = groups.last().and_then(|group| group.get(index)).map(|r| r.end);
                let range = start.unwrap_or(0)..end.unwrap_or(0);
                sidx_entry(out, samples(track, &range), bytes(moofs));
            }
        });
    }
}

fn sidx_entry(out: &mut BoxWriter, samples: &[OutSample], bytes: u64) {
    let ticks: u64 = samples.iter().map(|out| u64::from(out.sample.duration)).sum();
    let key = samples.first().is_some_and(|first| first.sample.sync);
    out.u32(u32::try_from(bytes).unwrap_or(u32::MAX));
    out.u32(u32::try_from(ticks).unwrap_or(u32::MAX));
    // Starts with an access point of type 1 (nothing before it is needed), or with none.
    out.u32(if key { 0x9000_0000 } else { 0 });
}
