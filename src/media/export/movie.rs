//! The `ftyp moov` of an export: each track's boxes as recorded where they can stay, and what must
//! be said anew of the joined whole.

use super::timeline::{OutTrack, Timeline};
use super::writer::BoxWriter;
use crate::media::boxes::{Fields, find};
use crate::media::init::{SECONDS_1904_TO_1970, TrackKind};
use crate::media::rescale;

/// Ticks a second of the whole file's clock: a multiple of all usual frame rates.
pub(super) const MOVIE_TIMESCALE: u32 = 90_000;
/// The identity transformation of pictures.
const MATRIX: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];
/// Track enabled, in the movie, in its preview.
const TKHD_FLAGS: u32 = 7;
/// Bytes at the end of every `tkhd` that we keep: layer, volume, rotation, size.
const TKHD_TAIL_BYTES: usize = 52;

/// Writes `moov` with the sample tables that `tables` writes for each track. A `fragmented` one
/// has an `mvex`, which says how long everything is; its other durations are of what the `moov`
/// itself indexes: nothing.
pub(super) fn moov(
    out: &mut BoxWriter,
    timeline: &Timeline,
    fragmented: bool,
    tables: impl Fn(&mut BoxWriter, usize, &OutTrack),
) {
    out.boxed(*b"moov", |out| {
        mvhd(out, timeline, fragmented);
        for (index, track) in timeline.tracks.iter().enumerate() {
            out.boxed(*b"trak", |out| {
                tkhd(out, index, track, fragmented);
                edts(out, track, fragmented);
                out.boxed(*b"mdia", |out| {
                    mdhd(out, track, fragmented);
                    out.raw(&track.track.boxes.hdlr);
                    out.boxed(*b"minf", |out| minf(out, index, track, &tables));
                });
            });
        }
        if fragmented {
            mvex(out, timeline);
        }
    });
}

/// The id of the track at `index`.
pub(super) fn track_id(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX - 1) + 1
}

/// How long a track plays, in ticks of the whole file's clock.
fn movie_ticks(track: &OutTrack) -> u64 {
    let ticks = rescale(track.end(), track.track.timescale(), MOVIE_TIMESCALE);
    u64::try_from(ticks).unwrap_or(0)
}

fn longest(timeline: &Timeline) -> u64 {
    timeline.tracks.iter().map(movie_ticks).max().unwrap_or(0)
}

fn mvhd(out: &mut BoxWriter, timeline: &Timeline, fragmented: bool) {
    let unix = timeline.covered.start().as_micros().div_euclid(1_000_000);
    let created = u64::try_from(unix.saturating_add(SECONDS_1904_TO_1970)).unwrap_or(0);
    out.full(*b"mvhd", 1, 0, |out| {
        out.u64(created);
        out.u64(created);
        out.u32(MOVIE_TIMESCALE);
        out.u64(if fragmented { 0 } else { longest(timeline) });
        out.u32(0x1_0000);
        out.u16(0x100);
        out.zeros(10);
        for value in MATRIX {
            out.u32(value);
        }
        out.zeros(24);
        out.u32(track_id(timeline.tracks.len()));
    });
}

fn tkhd(out: &mut BoxWriter, index: usize, track: &OutTrack, fragmented: bool) {
    let recorded = find(&track.track.boxes.tkhd, *b"tkhd").map_or(&[][..], |tkhd| tkhd.body);
    let tail = recorded.len().checked_sub(TKHD_TAIL_BYTES).and_then(|at| recorded.get(at..));
    out.full(*b"tkhd", 1, TKHD_FLAGS, |out| {
        out.zeros(16);
        out.u32(track_id(index));
        out.zeros(4);
        out.u64(if fragmented { 0 } else { movie_ticks(track) });
        out.zeros(8);
        match tail {
            Some(tail) => out.raw(tail),
            None => out.zeros(TKHD_TAIL_BYTES),
        }
    });
}

/// The edit list: skips what is decoded but not shown at the start of a track (priming,
/// composition offset), or waits where a track starts later than the first.
fn edts(out: &mut BoxWriter, track: &OutTrack, fragmented: bool) {
    let start = track.start();
    let delay = rescale(start.max(0), track.track.timescale(), MOVIE_TIMESCALE);
    // Fragments say themselves when they start, and the length of what follows a moov is open.
    let delay = if fragmented { 0 } else { u64::try_from(delay).unwrap_or(0) };
    let shown = if fragmented { 0 } else { movie_ticks(track).saturating_sub(delay) };
    out.boxed(*b"edts", |out| {
        out.table(*b"elst", 1, |out| {
            if delay > 0 {
                out.u64(delay);
                out.i64(-1);
                out.u32(0x1_0000);
            }
            out.u64(shown);
            out.i64(start.min(0).saturating_neg());
            out.u32(0x1_0000);
            if delay > 0 { 2 } else { 1 }
        });
    });
}

fn mdhd(out: &mut BoxWriter, track: &OutTrack, fragmented: bool) {
    let ticks = u64::try_from(track.decode_end().saturating_sub(track.start())).unwrap_or(0);
    out.full(*b"mdhd", 1, 0, |out| {
        out.zeros(16);
        out.u32(track.track.timescale());
        out.u64(if fragmented { 0 } else { ticks });
        out.u16(language(track));
        out.u16(0);
    });
}

/// The packed language code of the recorded track; "undetermined" where there is none.
fn language(track: &OutTrack) -> u16 {
    let read = || {
        let mut fields = Fields::new(find(&track.track.boxes.mdhd, *b"mdhd")?.body);
        let wide = fields.version_flags()?.0 == 1;
        fields.take(if wide { 28 } else { 16 })?;
        fields.u16()
    };
    read().unwrap_or(0x55C4)
}

fn minf(
    out: &mut BoxWriter,
    index: usize,
    track: &OutTrack,
    tables: &impl Fn(&mut BoxWriter, usize, &OutTrack),
) {
    match (track.track.boxes.media_header.as_ref(), track.track.kind()) {
        (recorded, _) if !recorded.is_empty() => out.raw(recorded),
        (_, TrackKind::Video) => out.full(*b"vmhd", 0, 1, |out| out.zeros(8)),
        _ => out.full(*b"smhd", 0, 0, |out| out.zeros(4)),
    }
    out.boxed(*b"dinf", |out| {
        out.table(*b"dref", 0, |out| {
            // The media is in this same file.
            out.full(*b"url ", 0, 1, |_| {});
            1
        });
    });
    out.boxed(*b"stbl", |out| {
        let stbl = find(&track.track.boxes.stbl, *b"stbl");
        if let Some(stsd) = stbl.and_then(|stbl| find(stbl.body, *b"stsd")) {
            out.raw(stsd.whole);
        }
        tables(out, index, track);
    });
}

fn mvex(out: &mut BoxWriter, timeline: &Timeline) {
    out.boxed(*b"mvex", |out| {
        out.full(*b"mehd", 1, 0, |out| {
            out.u64(longest(timeline));
        });
        for index in 0..timeline.tracks.len() {
            out.full(*b"trex", 0, 0, |out| {
                out.u32(track_id(index));
                out.u32(1);
                out.zeros(12);
            });
        }
    });
}
