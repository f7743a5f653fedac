//! The outcome as one picture: for each thing that is measured a panel, with a bar for each keeper.

use std::fmt::Write as _;

use clipkeep::workload::Track;

use crate::report;
use crate::run::{Measured, ReadRow};

const COLUMNS: usize = 3;
const PANEL_WIDTH: usize = 330;
const NAMES_WIDTH: usize = 130;
/// The longest bar; behind it stands its figure.
const BAR_WIDTH: f64 = 140.0;
const LINE_HEIGHT: usize = 17;
/// The title of a panel, and air below it.
const TITLE_HEIGHT: usize = 28;

/// One thing that was measured, of each keeper that can be asked for it.
struct Panel {
    title: &'static str,
    decimals: usize,
    bars: Vec<(String, f64)>,
}

impl Panel {
    fn draw(&self, left: usize, top: usize, svg: &mut String) {
        let most = self.bars.iter().map(|(_, value)| *value).fold(f64::MIN_POSITIVE, f64::max);
        let title = escaped(self.title);
        writeln!(svg, "<text class=\"title\" x=\"{left}\" y=\"{}\">{title}</text>", top + 14).ok();
        for (line, (name, value)) in self.bars.iter().enumerate() {
            let (bar, y) = (left + NAMES_WIDTH, top + TITLE_HEIGHT + line * LINE_HEIGHT);
            let width = (value / most * BAR_WIDTH).max(1.0);
            let class = if name == "clipkeep" { "own" } else { "other" };
            writeln!(
                svg,
                "<text class=\"name\" x=\"{}\" y=\"{}\">{}</text>\
                 <rect class=\"{class}\" x=\"{bar}\" y=\"{}\" width=\"{width:.1}\" height=\"12\"/>\
                 <text x=\"{:.1}\" y=\"{}\">{value:.*}</text>",
                bar - 6,
                y + 10,
                escaped(name),
                y,
                f64::from(u32::try_from(bar).unwrap_or_default()) + width + 4.0,
                y + 10,
                self.decimals,
            )
            .ok();
        }
    }
}

/// The picture.
pub fn chart(measured: &Measured) -> String {
    let panels = panels(measured);
    let lines = panels.iter().map(|panel| panel.bars.len()).max().unwrap_or_default();
    let panel_height = TITLE_HEIGHT + lines * LINE_HEIGHT + 16;
    let (width, height) =
        (COLUMNS * PANEL_WIDTH, panels.len().div_ceil(COLUMNS) * panel_height + 8);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-label=\"Clipkeep beside the rivals\">\n\
         <style>text{{font:11px sans-serif;fill:#222}}.title{{font-weight:bold;font-size:12px}}\
         .name{{text-anchor:end}}.own{{fill:#1f6feb}}.other{{fill:#a8b3bf}}</style>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    for (number, panel) in panels.iter().enumerate() {
        let (left, top) = (number % COLUMNS * PANEL_WIDTH, number / COLUMNS * panel_height);
        panel.draw(left + 8, top + 8, &mut svg);
    }
    svg + "</svg>\n"
}

fn panels(measured: &Measured) -> Vec<Panel> {
    let panel = |title, decimals, bars| Panel { title, decimals, bars };
    let (each, grouped) = (&measured.each, &measured.grouped);
    let reads = |value: fn(&ReadRow) -> f64| {
        let names = grouped.iter().map(|track| track.name.clone());
        names.zip(measured.reads.iter().map(value)).collect()
    };
    // Whoever knows no windows has no bar.
    let finds = measured.finds.iter().map(|row| (row.name.clone(), row.lookups.p50.median() * 1e6));
    let finds = finds.filter(|(_, p50)| *p50 > 0.0);
    let bulk = measured.bulk.iter().map(|row| (row.name.clone(), row.ms_per_gib.median()));
    vec![
        panel("a commit a clip, of the limit: more is better", 2, rates(each)),
        panel("16 clips a commit, of the limit: more is better", 2, rates(grouped)),
        panel("a commit a clip, p99 in ms: less is better", 1, bars(each, p99_ms)),
        panel("beside expiry, of the limit: more is better", 2, rates(&measured.steady)),
        panel("beside expiry, p99 in ms: less is better", 1, bars(&measured.steady, p99_ms)),
        panel("CPU seconds a GiB: less is better", 2, bars(grouped, Track::cpu_seconds_per_gib)),
        panel("bytes written a byte of clips: less is better", 2, bars(grouped, written)),
        panel("whole clips, cold, in MB/s: more is better", 0, reads(|row| row.cold.median())),
        panel("whole clips, warm, in MB/s: more is better", 0, reads(|row| row.warm.median())),
        panel("a window of 60 clips, p50 in us: less is better", 1, finds.collect()),
        panel("bulk expiry, ms/GiB: less is better", 0, bulk.collect()),
    ]
}

fn bars(tracks: &[Track], value: impl Fn(&Track) -> f64) -> Vec<(String, f64)> {
    tracks.iter().map(|track| (track.name.clone(), value(track))).collect()
}

fn p99_ms(track: &Track) -> f64 {
    track.latencies.percentile(99.0).as_secs_f64() * 1e3
}

fn written(track: &Track) -> f64 {
    track.written_per_byte().unwrap_or_default()
}

/// What part of the limit each of `tracks` reached.
fn rates(tracks: &[Track]) -> Vec<(String, f64)> {
    let Some(limit) = report::limit_of(tracks) else { return Vec::new() };
    bars(tracks, |track| track.rate_against(limit).0)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_is_of_the_highest_figure() {
        let bars = vec![("clipkeep".into(), 1.0), ("<other>".into(), 4.0)];
        let panel = Panel { title: "MB/s", decimals: 1, bars };
        let mut svg = String::new();
        panel.draw(0, 0, &mut svg);
        assert!(svg.contains("class=\"own\" x=\"130\" y=\"28\" width=\"35.0\""), "{svg}");
        assert!(svg.contains("class=\"other\" x=\"130\" y=\"45\" width=\"140.0\""), "{svg}");
        assert!(svg.contains("&lt;other>") && svg.contains(">4.0<"), "{svg}");
    }
}
