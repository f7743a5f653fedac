//! How the samples of several tracks take turns in the file.
//!
//! A group is about one group of pictures with the sound that belongs to it: one fragment, or one
//! chunk of each track. A player then never has to jump far between picture and sound.

use std::ops::Range;

use super::plan::Parts;
use super::timeline::{OutSample, OutTrack, Timeline};
use crate::media::rescale;

/// The shortest and the longest group, in milliseconds: streams of nothing but key frames do not
/// become a thousand fragments, and streams with few of them can still be played as they arrive.
const GROUP_MS: Range<i64> = 500..5_000;

/// For each track, which of its samples are in the group.
pub(super) type Group = Vec<Range<usize>>;

/// Splits all samples of `timeline` into groups; every sample is in exactly one.
pub(super) fn group(timeline: &Timeline) -> Vec<Group> {
    let Some(reference) = timeline.tracks.get(timeline.reference) else { return Vec::new() };
    let starts = starts(reference);
    let mut groups: Vec<Group> = Vec::with_capacity(starts.len());
    let mut taken = vec![0; timeline.tracks.len()];
    for next in 1..=starts.len() {
        // Samples of the other tracks that begin before the next group does.
        let until = starts.get(next).and_then(|&start| reference.samples.get(start));
        let mut ranges = Vec::with_capacity(taken.len());
        for (track, taken) in timeline.tracks.iter().zip(&mut taken) {
            let rest = track.samples.get(*taken..).unwrap_or(&[]);
            let len = until.map_or(rest.len(), |until| {
                let scale = (reference.track.timescale(), track.track.timescale());
                let until = rescale(until.decode_time, scale.0, scale.1);
                rest.partition_point(|sample| sample.decode_time < until)
            });
            ranges.push(*taken..*taken + len);
            *taken += len;
        }
        groups.push(ranges);
    }
    groups
}

/// Indices of the samples of `track` that begin a group.
fn starts(track: &OutTrack) -> Vec<usize> {
    let mut starts = vec![0];
    let mut group_start = track.start();
    for (index, sample) in track.samples.iter().enumerate().skip(1) {
        let passed = sample.decode_time.saturating_sub(group_start);
        let passed_ms = rescale(passed, track.track.timescale(), 1_000);
        let due = sample.sample.sync && passed_ms >= GROUP_MS.start;
        if due || passed_ms >= GROUP_MS.end {
            starts.push(index);
            group_start = sample.decode_time;
        }
    }
    starts
}

/// The samples of `track` in `range`.
pub(super) fn samples<'a>(track: &'a OutTrack, range: &Range<usize>) -> &'a [OutSample] {
    track.samples.get(range.clone()).unwrap_or(&[])
}

/// How many bytes these samples have.
pub(super) fn byte_len(samples: &[OutSample]) -> u64 {
    samples.iter().map(|out| u64::from(out.sample.size)).sum()
}

/// Puts the bytes of all samples of `group` into `parts`, track by track.
pub(super) fn place(timeline: &Timeline, group: &Group, parts: &mut Parts) {
    for (track, range) in timeline.tracks.iter().zip(group) {
        for out in samples(track, range) {
            parts.clip(out.clip, out.sample.offset, u64::from(out.sample.size));
        }
    }
}
