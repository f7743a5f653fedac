//! The report with charts: one page that needs nothing but itself.

use std::fmt::Write as _;

use super::answer::{Answer, rate};
use super::chart;
use super::growth::{self, Grown};
use super::measure::Measured;
use super::table::{bare_name, best_limit, budget_rows, in_words, median_opening, short};
use crate::cli::size;
use crate::workload::{Track, ratio};

const STYLE: &str = "
:root { color-scheme: light dark; --text: light-dark(#1c2430, #e6e9ee);
  --soft: light-dark(#5d6877, #9aa5b4); --line: light-dark(#d9dee5, #333c48);
  --own: light-dark(#1769aa, #63b1f0); --limit: light-dark(#8a6d1f, #d9b650);
  --sweep: light-dark(#f3dcd6, #51302a); --page: light-dark(#ffffff, #14181e); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 760px; margin: 2.5rem auto; padding: 0 1rem;
  color: var(--text); background: var(--page); }
h1 { font-size: 1.6rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .4rem; }
p.soft, figcaption { color: var(--soft); font-size: .9rem; }
p.answer { font-size: 1.15rem; border-left: 4px solid var(--own); padding-left: 1rem; }
figure { margin: .6rem 0 0; } svg { width: 100%; height: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { text-align: right; padding: .3rem .6rem; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
.grid { stroke: var(--line); } .label { fill: var(--soft); font-size: 12px; }
.value { fill: var(--text); font-size: 13px; font-weight: 600; }
circle.own, rect.own { fill: var(--own); } circle.own { opacity: .7; } rect.own { opacity: .85; }
polyline { fill: none; stroke-width: 2.2; } polyline.own { stroke: var(--own); }
polyline.limit { stroke: var(--limit); stroke-dasharray: 6 4; }
text.name { font-size: 13px; } text.name.own { fill: var(--own); }
text.name.limit { fill: var(--limit); } text.name.other { fill: var(--soft); }
polyline.other { stroke: var(--soft); stroke-dasharray: 2 3; }
.spread { stroke: var(--text); stroke-width: 2; } .sweep { fill: var(--sweep); }
polyline.c0, text.c0 { stroke: light-dark(#1769aa, #63b1f0); }
polyline.c1, text.c1 { stroke: light-dark(#7b4fa3, #c39be6); }
polyline.c2, text.c2 { stroke: light-dark(#1f7a4d, #5fc795); }
polyline.c3, text.c3 { stroke: light-dark(#8a6d1f, #d9b650); }
polyline.c4, text.c4 { stroke: light-dark(#b0442f, #f09480); }
polyline.c5, text.c5 { stroke: light-dark(#4b5563, #aab4c2); }
text.c0, text.c1, text.c2, text.c3, text.c4, text.c5 { stroke-width: .4; fill: var(--text);
  font-size: 13px; }
.mark { stroke: var(--limit); stroke-width: 2; stroke-dasharray: 6 4; }
";

/// A page up to its first heading.
fn begin(title: &str) -> String {
    let mut page = String::from("<!doctype html><html lang=en><meta charset=utf-8>");
    page += "<meta name=viewport content=\"width=device-width\">";
    write!(page, "<title>{title}</title><style>{STYLE}</style><h1>{title}</h1>").ok();
    page
}

/// The page of growth: windows in one chart, other times in another, memory, and the figures.
pub(super) fn growth_page(grown: &Grown) -> String {
    let mut page = begin("How cost grows with the clips");
    let machine = &grown.machine;
    write!(
        page,
        "<p class=soft>{} x {}, {} disk, {}; version {}.</p>",
        machine.cores,
        escaped(&machine.processor),
        machine.disk,
        machine.file_system,
        env!("CARGO_PKG_VERSION"),
    )
    .ok();
    let titles = [("Openings, holds and sweeps", true), ("Windows", true), ("Memory", false)];
    for (title, times) in titles {
        let is_here = |cost: &&growth::Cost| {
            cost.is_time() == times && cost.is_window() == (title == "Windows")
        };
        let lines = growth::COSTS.iter().filter(is_here);
        let lines: Vec<_> = lines.map(|cost| (cost.what, cost.points(grown))).collect();
        let caption = "Both axes are logarithmic: a flat line does not grow, and one that climbs a \
                       decade a decade grows as the clips do.";
        figure(&mut page, title, &chart::growth(title, &lines, times), caption);
    }
    page += "<h2>The figures</h2><table><tr>";
    for name in growth::header(grown) {
        write!(page, "<th>{name}").ok();
    }
    for cost in &growth::COSTS {
        page += "<tr>";
        for cell in cost.cells(grown) {
            write!(page, "<td>{}", escaped(&cell)).ok();
        }
    }
    write!(page, "</table><p>{}</p></html>", escaped(&growth::expiry_in_words(grown))).ok();
    page.push('\n');
    page
}

/// The page.
pub(super) fn page(measured: &Measured, answer: &Answer) -> String {
    let mut page = begin("Clipkeep on this box");
    let machine = &measured.machine;
    let memory = machine.memory_bytes.map_or_else(|| "unknown".to_owned(), size::bytes);
    write!(
        page,
        "<p class=soft>{} x {}, {memory} of memory, {} disk, {}. Profile {}, {}, version {}.</p>",
        machine.cores,
        escaped(&machine.processor),
        machine.disk,
        machine.file_system,
        measured.profile.name(),
        size::duration(measured.took),
        env!("CARGO_PKG_VERSION"),
    )
    .ok();
    write!(page, "<p class=answer>{}</p>", escaped(&answer.sentences().join(" "))).ok();
    against_the_limit(measured, &mut page);
    beside_expiry(measured, &mut page);
    commits(measured, &mut page);
    reading(measured, &mut page);
    many_clips(measured, &mut page);
    page += "</html>\n";
    page
}

fn figure(page: &mut String, title: &str, svg: &str, caption: &str) {
    write!(page, "<h2>{title}</h2><figure>{svg}<figcaption>{caption}</figcaption></figure>").ok();
}

fn against_the_limit(measured: &Measured, page: &mut String) {
    let stages = [
        ("2 MB, a commit each", &measured.each),
        ("2 MB, 16 a commit", &measured.grouped),
        ("0.2 MB, 32 a commit", &measured.small),
        ("20 MB, 4 a commit", &measured.large),
    ];
    let mut rows: Vec<(String, &Track, &Track)> = Vec::new();
    for (name, tracks) in stages {
        let pair = tracks.first().zip(best_limit(tracks));
        rows.extend(pair.map(|(own, limit)| (name.to_owned(), own, limit)));
    }
    for pair in &measured.steady {
        let name = format!("expiring, {} % held", pair.held_percent);
        rows.push((name, &pair.own.track, &pair.limit.track));
    }
    let title = "How much of the disk is left to footage";
    let caption = "Rate of the store over the rate of the bare disk: the same bytes, CRC32 and \
                   syncs, in turns. Bars are medians of the rounds, lines their spread.";
    figure(page, title, &chart::ratios(title, &rows), caption);
    let rows = rows.iter().map(|(name, own, limit)| {
        let per_second = |track: &Track| format!("{} MB/s", rate(track) / 1_000_000);
        let cpu = format!("{:.2}", own.cpu_seconds_per_gib());
        let [written, device] = [own.written_per_byte(), own.device_per_byte()]
            .map(|per| per.map(|per| format!("{per:.3}")).unwrap_or_default());
        [name.clone(), per_second(own), per_second(limit), cpu, written, device]
    });
    let header = ["Recording", "Clipkeep", "Limit", "CPU s/GiB", "Written/byte", "Device/byte"];
    table(page, header, rows);
    if let Some(peak) = measured.memory_peak_bytes {
        let peak = size::bytes(peak);
        write!(page, "<p class=soft>Peak memory with 16 a commit: {peak}, of the benchmark.</p>")
            .ok();
    }
}

fn beside_expiry(measured: &Measured, page: &mut String) {
    let Some(pair) = measured.steady.last() else { return };
    let title = format!("Commits while clips expire, {} % held", pair.held_percent);
    let svg = chart::over_time(&title, &pair.own.track.laps, &pair.own.sweeps);
    let caption = format!(
        "Each point is a commit of four clips; the bands are sweeps that dropped segments, {} of \
         them, beside the commits; in the gaps the bare disk had its turns. {}.",
        pair.own.sweeps.len(),
        in_words(&measured.space),
    );
    figure(page, &title, &svg, &caption);
    let lines =
        [("clipkeep", &pair.own.track.latencies), ("raw limit", &pair.limit.track.latencies)];
    let title = "The same by percentiles";
    figure(
        page,
        title,
        &chart::percentiles(title, &lines),
        "One writer; sweeps run beside it. The raw limit zeroes files in which all is due, and \
         writes to them again.",
    );
}

fn commits(measured: &Measured, page: &mut String) {
    let crowd = &measured.crowd;
    let group = format!("a bare sync of {}", size::bytes(crowd.group_bytes));
    let all = format!("a bare sync of one of each, {}", size::bytes(crowd.all_bytes));
    let lines = [
        (crowd.own.name.as_str(), &crowd.own.latencies),
        (group.as_str(), &crowd.bare_groups),
        (all.as_str(), &crowd.bare_all),
        ("a bare sync of one fragment", &crowd.bare),
    ];
    let title = "All cameras at once without a pause, 256 KiB fragments";
    let caption = "Each write waits until its fragment is durable; those who wait at the same \
                   time share a sync, and wait for the bytes of all. The other lines are one \
                   writer with the disk to itself: with as many bytes a sync, with a fragment of \
                   each, as many as are under way all the time, and with one fragment.";
    figure(page, title, &chart::percentiles(title, &lines), caption);
    for row in &measured.paced {
        let title =
            format!("A fragment a second from {} cameras, {}", row.plan.cameras, row.beside);
        let lines = [("clipkeep", &row.tracks.own), (bare_name(&row.plan), &row.tracks.bare)];
        let caption = "From when a fragment was due until it was durable. The other line is one \
                       writer on the bare disk with the same fragments at the same times.";
        figure(page, &title, &chart::percentiles(&title, &lines), caption);
        if !row.tracks.sweeps.is_empty() {
            let title = "The same over time, sweeps marked";
            let svg = chart::over_time(title, &row.tracks.laps, &row.tracks.sweeps);
            let caption = "Each point is a fragment; the bands are sweeps that dropped segments.";
            figure(page, title, &svg, caption);
        }
    }
    page.push_str("<h2>What a GiB costs the processor</h2>");
    let rows = budget_rows(measured).map(|(what, seconds)| [what.to_owned(), seconds]);
    table(page, ["2 MB clips, a commit each", "CPU s"], rows);
    for (name, (cached, all)) in &measured.cached {
        let percent = 100.0 * ratio(*cached, *all);
        let name = escaped(name);
        write!(
            page,
            "<p class=soft>Still cached of what was recorded, {name}: {percent:.0} %.</p>"
        )
        .ok();
    }
}

fn reading(measured: &Measured, page: &mut String) {
    page.push_str("<h2>Reading whole clips</h2>");
    let rows = measured.reads.iter().map(|row| {
        [
            row.what(),
            format!("{:.0} MB/s", row.reads.bytes_per_second() / 1e6),
            short(row.reads.first_byte.percentile(50.0)),
            short(row.reads.first_byte.percentile(99.0)),
            short(row.reads.latencies.percentile(99.0)),
        ]
    });
    table(page, ["2 MB clips", "Rate", "First byte p50", "p99", "Whole p99"], rows);
}

fn many_clips(measured: &Measured, page: &mut String) {
    let finds = &measured.finds;
    write!(page, "<h2>Among {} clips</h2>", finds.clips).ok();
    let mut rows: Vec<[String; 4]> = Vec::new();
    for ((own, vector), clips) in finds.lookups.iter().zip(&finds.vector).zip([10, 60, 1440]) {
        rows.push([
            format!("a window of {clips} clips"),
            short(own.latencies.percentile(50.0)),
            short(own.latencies.percentile(99.0)),
            short(vector.latencies.percentile(50.0)),
        ]);
    }
    let plain = |what: String, took: String| [what, took, String::new(), String::new()];
    let hold = format!("a hold over all of them, {} syncs", finds.hold_syncs);
    rows.push(plain(hold, short(finds.hold_took)));
    for (what, killed) in [("opening after a close", false), ("opening after a kill", true)] {
        rows.push(plain(what.to_owned(), short(median_opening(measured, killed))));
    }
    rows.push(plain("index in memory".to_owned(), size::bytes(finds.index_bytes)));
    table(page, ["", "p50", "p99", "Vector in memory"], rows.into_iter());
    for (name, bulk) in &measured.bulk {
        let gib = ratio(bulk.bytes, 1 << 30).max(1e-9);
        write!(
            page,
            "<p class=soft>Expiring {} at once, {}: {:.0} ms for each GiB.</p>",
            size::bytes(bulk.bytes),
            escaped(name),
            bulk.took.as_secs_f64() * 1000.0 / gib
        )
        .ok();
    }
}

fn table<const N: usize>(
    page: &mut String,
    header: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) {
    page.push_str("<table><tr>");
    for name in header {
        write!(page, "<th>{}", escaped(name)).ok();
    }
    for row in rows {
        page.push_str("<tr>");
        for cell in &row {
            write!(page, "<td>{}", escaped(cell)).ok();
        }
    }
    page.push_str("</table>");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escaped("<b> & co"), "&lt;b&gt; &amp; co");
    }
}
