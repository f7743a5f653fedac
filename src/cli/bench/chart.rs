//! Charts as SVG, drawn without any library: points over time, percentiles, bars.

use std::fmt::Write as _;

use crate::cli::bench::table::short;
use crate::workload::{Lap, Latencies, Track, ratio};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 20.0;
const BOTTOM: f64 = 40.0;
/// More points than this tell nothing more: each of the rest stands for its slowest neighbour.
const POINTS_MAX: usize = 1500;

/// The axes of a chart whose heights are latencies, or bytes, on a logarithmic scale.
struct Scale {
    low: f64,
    high: f64,
    name: fn(f64) -> String,
}

impl Scale {
    /// From one power of ten to another, around all of `seconds`.
    fn around(seconds: impl Iterator<Item = f64>) -> Self {
        let (mut low, mut high) = (f64::MAX, 1e-6_f64);
        for one in seconds.filter(|one| *one > 0.0) {
            low = low.min(one);
            high = high.max(one);
        }
        let low = low.min(high).log10().floor();
        Self { low, high: high.log10().ceil().max(low + 1.0), name: unit }
    }

    /// The same around `bytes`.
    fn around_bytes(bytes: impl Iterator<Item = f64>) -> Self {
        Self { name: bytes_unit, ..Self::around(bytes) }
    }

    fn y(&self, seconds: f64) -> f64 {
        let share = (seconds.max(1e-9).log10() - self.low) / (self.high - self.low);
        TOP + (1.0 - share.clamp(0.0, 1.0)) * (HEIGHT - TOP - BOTTOM)
    }

    /// Lines at the powers of ten, named.
    fn grid(&self, svg: &mut String) {
        let mut power = self.low;
        while power <= self.high + 0.5 {
            let seconds = 10_f64.powf(power);
            let y = self.y(seconds);
            let name = (self.name)(seconds);
            write!(
                svg,
                "<line class=grid x1={LEFT} y1={y:.1} x2={:.1} y2={y:.1} />\
                 <text class=label x={:.1} y={:.1} text-anchor=end>{name}</text>",
                WIDTH - RIGHT,
                LEFT - 8.0,
                y + 4.0
            )
            .ok();
            power += 1.0;
        }
    }
}

/// A power of ten of seconds in words.
fn unit(seconds: f64) -> String {
    if seconds >= 0.999 {
        format!("{seconds:.0} s")
    } else if seconds >= 0.000_999 {
        format!("{:.0} ms", seconds * 1e3)
    } else if seconds >= 0.000_000_999 {
        format!("{:.0} us", seconds * 1e6)
    } else {
        format!("{:.0} ns", seconds * 1e9)
    }
}

/// A power of ten of bytes in words.
fn bytes_unit(bytes: f64) -> String {
    match bytes {
        bytes if bytes >= 0.999e9 => format!("{:.0} GB", bytes / 1e9),
        bytes if bytes >= 0.999e6 => format!("{:.0} MB", bytes / 1e6),
        bytes if bytes >= 0.999e3 => format!("{:.0} kB", bytes / 1e3),
        bytes => format!("{bytes:.0} B"),
    }
}

fn begin(title: &str) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=img aria-label=\"{title}\">")
}

/// How long each commit took, over time; sweeps are the bars behind.
pub(super) fn over_time(title: &str, laps: &[Lap], sweeps: &[Lap]) -> String {
    let laps = thinned(laps);
    let scale = Scale::around(laps.iter().map(|lap| lap.took.as_secs_f64()));
    let first = laps.first().map_or(0.0, |lap| lap.at.as_secs_f64());
    let last = laps.last().map_or(1.0, |lap| lap.at.as_secs_f64()).max(first + 1e-3);
    let x = |at: f64| LEFT + (at - first) / (last - first) * (WIDTH - LEFT - RIGHT);
    let mut svg = begin(title);
    for sweep in sweeps {
        let at = x(sweep.at.as_secs_f64()).max(LEFT);
        let end = x((sweep.at + sweep.took).as_secs_f64()).min(WIDTH - RIGHT);
        let (width, height) = ((end - at).max(1.5), HEIGHT - TOP - BOTTOM);
        write!(svg, "<rect class=sweep x={at:.1} y={TOP} width={width:.1} height={height} />").ok();
    }
    scale.grid(&mut svg);
    for lap in &laps {
        let (x, y) = (x(lap.at.as_secs_f64()), scale.y(lap.took.as_secs_f64()));
        write!(svg, "<circle class=own cx={x:.1} cy={y:.1} r=1.8 />").ok();
    }
    axis(&mut svg, "0 s", &format!("{:.1} s", last - first));
    svg + "</svg>"
}

/// The slowest of each run of neighbours, so that no outlier is lost.
fn thinned(laps: &[Lap]) -> Vec<Lap> {
    let run = laps.len().div_ceil(POINTS_MAX).max(1);
    laps.chunks(run).filter_map(|run| run.iter().max_by_key(|lap| lap.took).copied()).collect()
}

fn axis(svg: &mut String, from: &str, to: &str) {
    let y = HEIGHT - BOTTOM + 22.0;
    write!(
        svg,
        "<text class=label x={LEFT} y={y}>{from}</text>\
         <text class=label x={:.1} y={y} text-anchor=end>{to}</text>",
        WIDTH - RIGHT
    )
    .ok();
}

/// What share of operations took how long: one line each, the slowest percents spread out. Their
/// names stand above the grid, where no line runs through them.
pub(super) fn percentiles(title: &str, lines: &[(&str, &Latencies)]) -> String {
    const NAME_HEIGHT: f64 = 16.0;
    const PERCENTS: [f64; 8] = [10.0, 25.0, 50.0, 75.0, 90.0, 99.0, 99.9, 100.0];
    let all = lines.iter().flat_map(|(_, latencies)| {
        PERCENTS.map(|percent| latencies.percentile(percent).as_secs_f64())
    });
    let scale = Scale::around(all);
    let step = (WIDTH - LEFT - RIGHT) / 7.0;
    let names = NAME_HEIGHT * f64::from(u32::try_from(lines.len()).unwrap_or(u32::MAX));
    let height = HEIGHT + names;
    let mut svg =
        format!("<svg viewBox=\"0 -{names} {WIDTH} {height}\" role=img aria-label=\"{title}\">");
    scale.grid(&mut svg);
    for (column, percent) in (0_u32..).zip(PERCENTS) {
        let x = LEFT + f64::from(column) * step;
        let anchor = if column == 7 { "end" } else { "middle" };
        let name = if column == 7 { "max".to_owned() } else { format!("p{percent}") };
        let y = HEIGHT - BOTTOM + 22.0;
        write!(svg, "<text class=label x={x:.1} y={y} text-anchor={anchor}>{name}</text>").ok();
    }
    for (line, (name, latencies)) in (0_u32..).zip(lines) {
        let class = match line {
            0 => "own",
            1 => "limit",
            _ => "other",
        };
        let points: Vec<String> = (0_u32..)
            .zip(PERCENTS)
            .map(|(column, percent)| {
                let y = scale.y(latencies.percentile(percent).as_secs_f64());
                format!("{:.1},{y:.1}", LEFT + f64::from(column) * step)
            })
            .collect();
        write!(svg, "<polyline class={class} points=\"{}\" />", points.join(" ")).ok();
        let y = NAME_HEIGHT * f64::from(line + 1) - names;
        let p50 = short(latencies.percentile(50.0));
        write!(
            svg,
            "<text class=\"name {class}\" x={:.1} y={y:.1}>{name}: p50 {p50}, p99 {}</text>",
            LEFT + 12.0,
            short(latencies.percentile(99.0))
        )
        .ok();
    }
    svg + "</svg>"
}

/// What stores of several sizes cost, in seconds or bytes: a line a cost, both axes logarithmic,
/// each line named where it ends.
pub(super) fn growth(title: &str, lines: &[(&str, Vec<(u64, f64)>)], times: bool) -> String {
    const NAMES: f64 = 170.0;
    const APART: f64 = 15.0;
    let points = || lines.iter().flat_map(|(_, points)| points);
    let costs = points().map(|(_, cost)| *cost);
    let scale = if times { Scale::around(costs) } else { Scale::around_bytes(costs) };
    let decade = |clips: u64| ratio(clips, 1).max(1.0).log10();
    let first = points().map(|(clips, _)| decade(*clips)).fold(f64::MAX, f64::min);
    let last = points().map(|(clips, _)| decade(*clips)).fold(first, f64::max).max(first + 0.1);
    let width = WIDTH - LEFT - RIGHT - NAMES;
    let x = |clips: u64| LEFT + (decade(clips) - first) / (last - first) * width;
    let mut svg = begin(title);
    scale.grid(&mut svg);
    for (clips, _) in lines.first().map_or(&[][..], |(_, points)| points) {
        let (x, y) = (x(*clips), HEIGHT - BOTTOM + 22.0);
        write!(svg, "<text class=label x={x:.1} y={y} text-anchor=middle>{clips}</text>").ok();
    }
    let end = |points: &[(u64, f64)]| points.last().map_or(0.0, |(_, cost)| scale.y(*cost));
    let mut names: Vec<(usize, f64)> =
        lines.iter().map(|(_, points)| end(points)).enumerate().collect();
    names.sort_by(|one, other| one.1.total_cmp(&other.1));
    let mut free = TOP;
    for (line, y) in &mut names {
        *y = y.max(free);
        free = *y + APART;
        if let Some((name, _)) = lines.get(*line) {
            let (x, y) = (WIDTH - RIGHT - NAMES + 10.0, *y + 4.0);
            write!(svg, "<text class=c{line} x={x:.1} y={y:.1}>{name}</text>").ok();
        }
    }
    for (line, (_, points)) in lines.iter().enumerate() {
        let points =
            points.iter().map(|(clips, cost)| format!("{:.1},{:.1}", x(*clips), scale.y(*cost)));
        let points: Vec<String> = points.collect();
        write!(svg, "<polyline class=c{line} points=\"{}\" />", points.join(" ")).ok();
    }
    svg + "</svg>"
}

/// Rates as shares of the limit: a bar each, its spread over the rounds as a line.
pub(super) fn ratios(title: &str, rows: &[(String, &Track, &Track)]) -> String {
    const ROW: f64 = 34.0;
    const NAMES: f64 = 190.0;
    let height = ROW * f64::from(u32::try_from(rows.len()).unwrap_or(u32::MAX)) + 40.0;
    let shares = rows.iter().map(|(_, own, limit)| own.rate_against(limit));
    let most = shares.clone().map(|(_, _, most)| most).fold(1.0, f64::max) * 1.05;
    let scale = (WIDTH - NAMES - 60.0) / most;
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=img aria-label=\"{title}\">");
    let limit = NAMES + scale;
    for (row, ((name, _, _), (median, least, most))) in (0_u32..).zip(rows.iter().zip(shares)) {
        let y = 8.0 + ROW * f64::from(row);
        let middle = y + 11.0;
        write!(
            svg,
            "<text class=label x={:.1} y={:.1} text-anchor=end>{name}</text>\
             <rect class=own x={NAMES} y={y:.1} width={:.1} height=22 rx=2 />\
             <line class=spread x1={:.1} y1={middle:.1} x2={:.1} y2={middle:.1} />\
             <text class=value x={:.1} y={:.1}>{median:.2}</text>",
            NAMES - 10.0,
            y + 16.0,
            median * scale,
            NAMES + least * scale,
            NAMES + most * scale,
            NAMES + median.max(most) * scale + 8.0,
            y + 16.0,
        )
        .ok();
    }
    write!(
        svg,
        "<line class=mark x1={limit:.1} y1=0 x2={limit:.1} y2={:.1} />\
         <text class=label x={limit:.1} y={:.1} text-anchor=middle>the raw limit</text></svg>",
        height - 26.0,
        height - 8.0
    )
    .ok();
    svg
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn thinning_keeps_the_slowest() {
        let lap = |n: u64| Lap { at: Duration::from_millis(n), took: Duration::from_micros(n) };
        let mut laps: Vec<Lap> = (0..10_000).map(lap).collect();
        laps[777].took = Duration::from_secs(9);
        let thin = thinned(&laps);
        assert!(thin.len() <= POINTS_MAX);
        assert!(thin.iter().any(|lap| lap.took == Duration::from_secs(9)));
    }

    #[test]
    fn latencies_stand_inside_their_chart() {
        let scale = Scale::around([0.000_2, 0.03].into_iter());
        assert!((scale.low + 4.0).abs() < 1e-9 && (scale.high + 1.0).abs() < 1e-9);
        assert!(scale.y(0.000_2) > scale.y(0.03));
        assert!(scale.y(0.03) >= TOP && scale.y(0.000_2) <= HEIGHT - BOTTOM);
    }
}
