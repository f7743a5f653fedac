//! The outcome for people: tables and two sentences.

use std::time::Duration;

use super::answer::{Answer, rate};
use super::measure::Measured;
use crate::cli::output::Out;
use crate::cli::size;
use crate::workload::{Latencies, Paced, Space, Track, ratio};

/// Prints everything.
pub(super) fn print(measured: &Measured, answer: &Answer, out: &mut Out) -> anyhow::Result<()> {
    let machine = &measured.machine;
    let memory = machine.memory_bytes.map_or_else(|| "unknown".to_owned(), size::bytes);
    out.line(format_args!(
        "{} x {}, {memory} of memory, {} disk, {}; profile {}, {}",
        machine.cores,
        machine.processor,
        machine.disk,
        machine.file_system,
        measured.profile.name(),
        size::duration(measured.took),
    ))?;
    recording(measured, out)?;
    at_once(measured, out)?;
    expiring(measured, out)?;
    finding(measured, out)?;
    out.line("")?;
    answer.sentences().iter().try_for_each(|sentence| out.line(sentence))
}

fn recording(measured: &Measured, out: &mut Out) -> anyhow::Result<()> {
    let header = [
        "Recording",
        "MB/s",
        "of the limit",
        "CPU s/GiB",
        "written/byte",
        "device/byte",
        "p50",
        "p99",
        "max",
    ];
    let stages = [
        ("2 MB, a commit each", &measured.each),
        ("2 MB, 16 a commit", &measured.grouped),
        ("0.2 MB, 32 a commit", &measured.small),
        ("20 MB, 4 a commit", &measured.large),
    ];
    let mut rows = Vec::new();
    for (what, tracks) in stages {
        let limit = best_limit(tracks);
        for track in tracks {
            let against = limit.map(|limit| against(track, limit)).unwrap_or_default();
            rows.push(recording_row(&format!("{what}: {}", track.name), track, against));
        }
    }
    out.line("")?;
    out.table(&header, &[1, 2, 3, 4, 5, 6, 7, 8], rows)?;
    if let Some(peak) = measured.memory_peak_bytes {
        out.line(format_args!(
            "Peak memory meanwhile: {}, some 20 MiB of it the footage of the benchmark",
            size::bytes(peak)
        ))?;
    }
    for (name, (cached, all)) in &measured.cached {
        let percent = 100.0 * ratio(*cached, *all);
        out.line(format_args!("Still cached of what was recorded, {name}: {percent:.0} %"))?;
    }
    cpu(measured, out)
}

/// What a GiB costs the processor, row by row.
fn cpu(measured: &Measured, out: &mut Out) -> anyhow::Result<()> {
    let rows = budget_rows(measured).map(|(what, seconds)| vec![what.to_owned(), seconds]);
    out.line("")?;
    out.table(&["A GiB of 2 MB clips, a commit each", "CPU s"], &[1], rows.collect())
}

/// The rows of the processor's budget, each measured by itself but for the last two.
pub(super) fn budget_rows(measured: &Measured) -> impl Iterator<Item = (&'static str, String)> {
    let budget = &measured.budget;
    let of = |track: Option<&Track>| track.map_or(0.0, Track::cpu_seconds_per_gib);
    let (all, limit) = (of(measured.each.first()), of(best_limit(&measured.each)));
    let kernel = limit - budget.crc;
    let known = budget.copy + budget.crc + budget.digest + kernel;
    [
        ("a copy", budget.copy),
        ("CRC32", budget.crc),
        ("BLAKE3", budget.digest),
        ("the kernel: the raw limit less its CRC32", kernel),
        ("all else of the store", all - known),
        ("clipkeep", all),
    ]
    .into_iter()
    .map(|(what, seconds)| (what, format!("{seconds:.2}")))
}

/// Fragments: how long each waits until it is durable.
fn at_once(measured: &Measured, out: &mut Out) -> anyhow::Result<()> {
    let rows = fragment_rows(measured).into_iter().map(|(what, latencies)| {
        let mut row = vec![what];
        row.extend(percentiles(latencies));
        row
    });
    out.line("")?;
    out.table(&["Fragments of 256 KiB, until durable", "p50", "p99", "max"], &[1, 2, 3], {
        rows.collect()
    })?;
    out.line(
        "Without a pause a fragment of each is under way all the time, and everybody waits for the \
         bytes of all; at their pace cameras hardly meet.",
    )
}

/// Who waits how long, the store and the bare disk.
pub(super) fn fragment_rows(measured: &Measured) -> Vec<(String, &Latencies)> {
    let crowd = &measured.crowd;
    let (group, all) = (size::bytes(crowd.group_bytes), size::bytes(crowd.all_bytes));
    let mut rows = vec![
        (format!("without a pause: {}", crowd.own.name), &crowd.own.latencies),
        (format!("without a pause: a bare sync of as much, {group}"), &crowd.bare_groups),
        (format!("without a pause: a bare sync of one of each, {all}"), &crowd.bare_all),
        ("without a pause: a bare sync of one fragment".to_owned(), &crowd.bare),
    ];
    for row in &measured.paced {
        let what = format!("{} cameras, one a second, {}", row.plan.cameras, row.beside);
        rows.push((format!("{what}: clipkeep"), &row.tracks.own));
        rows.push((format!("{what}: {}", bare_name(&row.plan)), &row.tracks.bare));
    }
    rows
}

/// The bare disk, with what else it has to do.
pub(super) const fn bare_name(plan: &Paced) -> &'static str {
    if plan.readers > 0 { "bare, beside as many readers" } else { "bare, alone" }
}

fn recording_row(what: &str, track: &Track, against: String) -> Vec<String> {
    let [written, device] = [track.written_per_byte(), track.device_per_byte()]
        .map(|per| per.map(|per| format!("{per:.3}")).unwrap_or_default());
    let mut row = vec![
        what.to_owned(),
        (rate(track) / 1_000_000).to_string(),
        against,
        format!("{:.2}", track.cpu_seconds_per_gib()),
        written,
        device,
    ];
    row.extend(percentiles(&track.latencies));
    row
}

fn expiring(measured: &Measured, out: &mut Out) -> anyhow::Result<()> {
    let header = [
        "Recording beside expiry",
        "MB/s",
        "of the limit",
        "written/byte",
        "p50",
        "p99",
        "max",
        "disk/live",
    ];
    let mut rows = Vec::new();
    for pair in &measured.steady {
        let held = format!("{} % held", pair.held_percent);
        for (name, track) in [("clipkeep", &pair.own), ("raw limit", &pair.limit)] {
            let is_own = name == "clipkeep";
            let space = if is_own { format!("{:.3}", track.space.all()) } else { String::new() };
            let mut row = vec![
                format!("{held}: {name}"),
                (rate(&track.track) / 1_000_000).to_string(),
                if is_own { against(&track.track, &pair.limit.track) } else { String::new() },
            ];
            let written = track.track.written_per_byte();
            row.push(written.map(|per| format!("{per:.3}")).unwrap_or_default());
            row.extend(percentiles(&track.track.latencies));
            row.push(space);
            rows.push(row);
        }
    }
    out.line("")?;
    out.table(&header, &[1, 2, 3, 4, 5, 6, 7], rows)?;
    out.line(in_words(&measured.space))?;
    let header = [
        "Bulk expiry",
        "ms/GiB",
        "bytes",
        "on disk before",
        "after",
        "kept for new",
        "writer p99",
        "max",
    ];
    let rows = measured.bulk.iter().map(|(name, bulk)| {
        let gib = ratio(bulk.bytes, 1 << 30).max(1e-9);
        vec![
            name.clone(),
            format!("{:.0}", bulk.took.as_secs_f64() * 1000.0 / gib),
            size::bytes(bulk.bytes),
            size::bytes(bulk.disk_bytes.0),
            size::bytes(bulk.disk_bytes.1),
            size::bytes(bulk.kept_bytes),
            bulk.beside.map_or_else(String::new, |beside| short(beside.p99)),
            bulk.beside.map_or_else(String::new, |beside| short(beside.max)),
        ]
    });
    out.line("")?;
    out.table(&header, &[1, 2, 3, 4, 5, 6, 7], rows.collect())
}

/// What a full store takes, with one clip in a hundred held.
pub(super) fn in_words(space: &Space) -> String {
    format!(
        "With {} of clips kept, 1 % of them held: {:.3} bytes on the disk for each byte, and {} \
         set aside whatever is kept (ledger, spare files, rest of the open segment): {:.3} in all",
        size::bytes(space.live_bytes),
        space.growing(),
        size::bytes(space.reserved_bytes),
        space.all(),
    )
}

fn finding(measured: &Measured, out: &mut Out) -> anyhow::Result<()> {
    let header = ["Reading 2 MB clips", "MB/s", "first byte p50", "p99", "whole clip p50", "p99"];
    let rows = measured.reads.iter().map(|row| {
        let reads = &row.reads;
        vec![
            row.what(),
            format!("{:.0}", reads.bytes_per_second() / 1e6),
            short(reads.first_byte.percentile(50.0)),
            short(reads.first_byte.percentile(99.0)),
            short(reads.latencies.percentile(50.0)),
            short(reads.latencies.percentile(99.0)),
        ]
    });
    out.line("")?;
    out.table(&header, &[1, 2, 3, 4, 5], rows.collect())?;
    let finds = &measured.finds;
    let title = format!("Among {} clips", finds.clips);
    let header = [title.as_str(), "p50", "p99", "in a vector, p50"];
    let mut rows = Vec::new();
    for ((own, vector), clips) in finds.lookups.iter().zip(&finds.vector).zip([10, 60, 1440]) {
        rows.push(vec![
            format!("a window of {clips} clips"),
            short(own.latencies.percentile(50.0)),
            short(own.latencies.percentile(99.0)),
            short(vector.latencies.percentile(50.0)),
        ]);
    }
    rows.push(vec![
        format!("a hold over {}, {} syncs", finds.hold_clips, finds.hold_syncs),
        short(finds.hold_took),
    ]);
    for killed in [false, true] {
        let what = if killed { "opening after a kill" } else { "opening after a close" };
        rows.push(vec![what.to_owned(), short(median_opening(measured, killed))]);
    }
    out.line("")?;
    out.table(&header, &[1, 2, 3], rows)?;
    out.line(format_args!("Index in memory: {}", size::bytes(finds.index_bytes)))
}

/// The median of the openings of one kind.
pub(super) fn median_opening(measured: &Measured, killed: bool) -> Duration {
    let of_kind = measured.finds.reopenings.iter().filter(|opening| opening.killed == killed);
    let mut took: Vec<Duration> = of_kind.map(|opening| opening.took).collect();
    took.sort_unstable();
    took.get(took.len() / 2).copied().unwrap_or_default()
}

/// The better of the raw limits.
pub(super) fn best_limit(tracks: &[Track]) -> Option<&Track> {
    tracks.iter().skip(1).max_by_key(|track| rate(track))
}

/// A ratio with its spread over the rounds.
fn against(track: &Track, limit: &Track) -> String {
    let (median, least, most) = track.rate_against(limit);
    format!("{median:.2} ({least:.2}..{most:.2})")
}

fn percentiles(latencies: &Latencies) -> [String; 3] {
    [latencies.percentile(50.0), latencies.percentile(99.0), latencies.max()].map(short)
}

/// A latency in the unit that suits it.
pub(super) fn short(took: Duration) -> String {
    let seconds = took.as_secs_f64();
    match took.as_nanos() {
        0..10_000 => format!("{:.2} us", seconds * 1e6),
        10_000..1_000_000 => format!("{:.0} us", seconds * 1e6),
        1_000_000..1_000_000_000 => format!("{:.1} ms", seconds * 1e3),
        _ => format!("{seconds:.2} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_printed_in_their_unit() {
        assert_eq!(short(Duration::from_nanos(1400)), "1.40 us");
        assert_eq!(short(Duration::from_micros(250)), "250 us");
        assert_eq!(short(Duration::from_micros(2500)), "2.5 ms");
        assert_eq!(short(Duration::from_secs(2)), "2.00 s");
    }
}
