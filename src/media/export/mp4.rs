//! The layout of a plain MP4: `ftyp moov mdat`, with the index in front.

use super::groups::{Group, byte_len, place, samples};
use super::movie::moov;
use super::plan::Parts;
use super::timeline::{OutTrack, Timeline};
use super::writer::BoxWriter;

/// Bytes of an `mdat` header with a 64-bit size.
const MDAT_HEADER_BYTES: u64 = 16;

/// Plans the file.
pub(super) fn lay_out(timeline: &Timeline, groups: &[Group], parts: &mut Parts) {
    let media_len: u64 = groups.iter().map(|group| group_len(timeline, group)).sum();
    // Where the media starts depends on the length of the index, which depends on nothing but
    // the width of the offsets in it: write it once to measure and once to keep.
    let measured = head(timeline, groups, 0, media_len);
    let start = u64::try_from(measured.len()).unwrap_or(u64::MAX).saturating_add(MDAT_HEADER_BYTES);
    let mut out = head(timeline, groups, start, media_len);
    out.u32(1);
    out.raw(b"mdat");
    out.u64(media_len.saturating_add(MDAT_HEADER_BYTES));
    parts.memory(&out.into_bytes());
    for group in groups {
        place(timeline, group, parts);
    }
}

fn group_len(timeline: &Timeline, group: &Group) -> u64 {
    let tracks = timeline.tracks.iter().zip(group);
    tracks.map(|(track, range)| byte_len(samples(track, range))).sum()
}

fn head(timeline: &Timeline, groups: &[Group], media_start: u64, media_len: u64) -> BoxWriter {
    let mut out = BoxWriter::default();
    out.boxed(*b"ftyp", |out| {
        out.raw(b"isom");
        out.u32(0x200);
        out.raw(b"isomiso2mp41");
    });
    let wide = media_len > u64::from(u32::MAX / 2);
    moov(&mut out, timeline, false, |out, index, track| {
        durations(out, track);
        compositions(out, track);
        syncs(out, track);
        let chunks = chunks(timeline, groups, media_start, index);
        chunk_runs(out, &chunks);
        sizes(out, track);
        chunk_offsets(out, &chunks, wide);
    });
    out
}

/// One group's samples of one track.
struct Chunk {
    offset: u64,
    samples: u32,
}

fn chunks(timeline: &Timeline, groups: &[Group], media_start: u64, index: usize) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut offset = media_start;
    for group in groups {
        for (at, (track, range)) in timeline.tracks.iter().zip(group).enumerate() {
            if at == index && !range.is_empty() {
                let samples = u32::try_from(range.len()).unwrap_or(u32::MAX);
                chunks.push(Chunk { offset, samples });
            }
            offset = offset.saturating_add(byte_len(samples(track, range)));
        }
    }
    chunks
}

/// Writes `values` as runs of equal ones and says how many runs there are.
fn run_lengths(out: &mut BoxWriter, values: impl Iterator<Item = u32>) -> u32 {
    let mut entries = 0;
    let mut run: Option<(u32, u32)> = None;
    for value in values {
        match &mut run {
            Some((count, last)) if *last == value => *count += 1,
            _ => {
                entries += write_run(out, run);
                run = Some((1, value));
            }
        }
    }
    entries + write_run(out, run)
}

fn write_run(out: &mut BoxWriter, run: Option<(u32, u32)>) -> u32 {
    let Some((count, value)) = run else { return 0 };
    out.u32(count);
    out.u32(value);
    1
}

fn durations(out: &mut BoxWriter, track: &OutTrack) {
    let values = track.samples.iter().map(|out| out.sample.duration);
    out.table(*b"stts", 0, |out| run_lengths(out, values));
}

fn compositions(out: &mut BoxWriter, track: &OutTrack) {
    let values = || track.samples.iter().map(|out| out.sample.composition);
    if values().all(|value| value == 0) {
        return;
    }
    let version = u8::from(values().any(|value| value < 0));
    out.table(*b"ctts", version, |out| run_lengths(out, values().map(i32::cast_unsigned)));
}

fn syncs(out: &mut BoxWriter, track: &OutTrack) {
    if track.samples.iter().all(|out| out.sample.sync) {
        return;
    }
    out.table(*b"stss", 0, |out| {
        let mut entries = 0;
        for (number, sample) in (1..).zip(&track.samples) {
            if sample.sample.sync {
                out.u32(number);
                entries += 1;
            }
        }
        entries
    });
}

fn chunk_runs(out: &mut BoxWriter, chunks: &[Chunk]) {
    out.table(*b"stsc", 0, |out| {
        let (mut entries, mut last) = (0, 0);
        for (number, chunk) in (1..).zip(chunks) {
            if chunk.samples != last {
                last = chunk.samples;
                entries += 1;
                out.u32(number);
                out.u32(chunk.samples);
                out.u32(1);
            }
        }
        entries
    });
}

fn sizes(out: &mut BoxWriter, track: &OutTrack) {
    out.full(*b"stsz", 0, 0, |out| {
        out.u32(0);
        out.u32(u32::try_from(track.samples.len()).unwrap_or(u32::MAX));
        track.samples.iter().for_each(|sample| out.u32(sample.sample.size));
    });
}

fn chunk_offsets(out: &mut BoxWriter, chunks: &[Chunk], wide: bool) {
    let entries = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
    out.table(if wide { *b"co64" } else { *b"stco" }, 0, |out| {
        for chunk in chunks {
            match u32::try_from(chunk.offset) {
                Ok(offset) if !wide => out.u32(offset),
                _ => out.u64(chunk.offset),
            }
        }
        entries
    });
}
