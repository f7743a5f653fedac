//! How cost grows with the number of clips: sizes ten times apart, and the slope between them.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::measure::{MINUTE, SEED};
use super::profile::{SLACK_BYTES, TINY_CLIP_BYTES, tiny_clips_bytes};
use super::table::short;
use crate::cli::output::Out;
use crate::cli::progress::Bar;
use crate::cli::size;
use crate::workload::{Bulk, Growth, Machine, Outcome, Street, growth, machine, ratio, slope};

/// What was measured.
#[derive(Clone, Debug)]
pub(super) struct Grown {
    pub(super) machine: Machine,
    pub(super) cameras: u32,
    pub(super) stages: Vec<Growth>,
    /// What it cost to expire all of it at once, when it was largest.
    pub(super) expiry: Bulk,
}

/// One thing that may cost more in a larger store.
pub(super) struct Cost {
    pub(super) what: &'static str,
    name: &'static str,
    of: fn(&Growth) -> Amount,
}

/// How much it costs.
#[derive(Clone, Copy, Debug)]
enum Amount {
    Time(Duration),
    Bytes(u64),
}

/// Cameras among which the clips are shared out evenly, unless somebody wants others.
const CAMERAS: u32 = 16;
/// A size that no disk of a test has room for: what it costs is reckoned.
const FAR_CLIPS: u64 = 100_000_000;
/// The smallest size that is measured.
const CLIPS_MIN: u64 = 10_000;

/// Everything that is measured at each size.
pub(super) const COSTS: [Cost; 11] = [
    Cost { what: "opening after a close", name: "open", of: |stage| Amount::Time(stage.opening) },
    Cost {
        what: "opening after a kill",
        name: "open_killed",
        of: |stage| Amount::Time(stage.opening_killed),
    },
    Cost {
        what: "a window of 10 minutes",
        name: "lookup_10_minutes",
        of: |stage| Amount::Time(stage.lookups[0]),
    },
    Cost {
        what: "10 minutes, in a vector",
        name: "lookup_10_minutes_vector",
        of: |stage| Amount::Time(stage.lookups_vector[0]),
    },
    Cost {
        what: "a window of an hour",
        name: "lookup",
        of: |stage| Amount::Time(stage.lookups[1]),
    },
    Cost {
        what: "an hour, in a vector",
        name: "lookup_vector",
        of: |stage| Amount::Time(stage.lookups_vector[1]),
    },
    Cost {
        what: "a window of a day",
        name: "lookup_day",
        of: |stage| Amount::Time(stage.lookups[2]),
    },
    Cost {
        what: "a day, in a vector",
        name: "lookup_day_vector",
        of: |stage| Amount::Time(stage.lookups_vector[2]),
    },
    Cost { what: "a hold over all", name: "hold", of: |stage| Amount::Time(stage.hold) },
    Cost { what: "a sweep, nothing due", name: "sweep", of: |stage| Amount::Time(stage.sweep) },
    Cost {
        what: "index in memory",
        name: "index_bytes",
        of: |stage| Amount::Bytes(stage.index_bytes),
    },
];

impl Cost {
    /// Of each size, in seconds or bytes.
    pub(super) fn points(&self, grown: &Grown) -> Vec<(u64, f64)> {
        let figure = |stage: &Growth| (stage.clips, (self.of)(stage).figure());
        grown.stages.iter().map(figure).collect()
    }

    pub(super) fn is_time(&self) -> bool {
        matches!((self.of)(&Growth::default()), Amount::Time(_))
    }

    /// Whether it is the time of a lookup.
    pub(super) fn is_window(&self) -> bool {
        self.name.starts_with("lookup")
    }

    /// A cell for each size, and the slope in words.
    pub(super) fn cells(&self, grown: &Grown) -> Vec<String> {
        let mut cells = vec![self.what.to_owned()];
        cells.extend(grown.stages.iter().map(|stage| (self.of)(stage).text()));
        let points = self.points(grown);
        cells.push(slope(&points).map(in_words).unwrap_or_default());
        cells.push(self.reckoned(&points).map(Amount::text).unwrap_or_default());
        cells
    }

    /// What it would cost at [`FAR_CLIPS`], by how it grew between the two largest sizes: what
    /// grows at all grows most there.
    fn reckoned(&self, points: &[(u64, f64)]) -> Option<Amount> {
        let (_, newest) = points.split_at(points.len().saturating_sub(2));
        slope(newest).zip(points.last()).map(|(slope, last)| self.far(slope, *last))
    }

    /// What it would cost at [`FAR_CLIPS`] if it went on to grow as it does, from the largest size
    /// that was measured.
    fn far(&self, slope: f64, (clips, cost): (u64, f64)) -> Amount {
        let cost = cost * (ratio(FAR_CLIPS, 1) / ratio(clips, 1)).powf(slope);
        if self.is_time() {
            Amount::Time(Duration::try_from_secs_f64(cost).unwrap_or(Duration::MAX))
        } else {
            // Of bytes, the seconds of a duration are the whole number.
            Amount::Bytes(Duration::try_from_secs_f64(cost).map_or(u64::MAX, |cost| cost.as_secs()))
        }
    }
}

impl Amount {
    fn figure(self) -> f64 {
        match self {
            Self::Time(took) => took.as_secs_f64(),
            Self::Bytes(bytes) => ratio(bytes, 1),
        }
    }

    fn text(self) -> String {
        match self {
            Self::Time(took) => short(took),
            Self::Bytes(bytes) => size::bytes(bytes),
        }
    }
}

/// A slope as people say it.
fn in_words(slope: f64) -> String {
    let words = match slope {
        slope if slope < 0.1 => "does not grow",
        slope if slope < 0.8 => "grows slower than the clips",
        slope if slope <= 1.1 => "grows as the clips do",
        _ => "grows faster than the clips",
    };
    // Without a sign for what is none.
    format!("{:.2}, {words}", if slope.abs() < 0.005 { 0.0 } else { slope })
}

/// What growing to `clips` takes on the disk.
pub(super) fn room_bytes(clips: u64) -> u64 {
    tiny_clips_bytes(clips) + SLACK_BYTES
}

/// The sizes at which to measure: powers of ten, and `clips` itself.
fn sizes(clips: u64) -> Vec<u64> {
    let powers = std::iter::successors(Some(CLIPS_MIN), |size| size.checked_mul(10));
    let mut sizes: Vec<u64> = powers.take_while(|size| *size < clips).collect();
    sizes.push(clips);
    sizes
}

/// Measures up to `clips`, of so many `cameras`, in the empty folder `dir`.
pub(super) fn run(clips: u64, cameras: Option<u32>, dir: &Path) -> Outcome<Grown> {
    let (machine, cameras) = (machine(dir)?, cameras.unwrap_or(CAMERAS));
    let street = Street::new(SEED, cameras, TINY_CLIP_BYTES).lasting(MINUTE);
    let bar = Bar::bytes("growing", clips * u64::try_from(TINY_CLIP_BYTES)?);
    let (stages, expiry) = growth(dir, &street, &sizes(clips), &mut |bytes| bar.advance(bytes))?;
    Ok(Grown { machine, cameras, stages, expiry })
}

/// What the expiry of all at once was like, in a sentence.
pub(super) fn expiry_in_words(grown: &Grown) -> String {
    let Bulk { took, disk_bytes: (before, after), kept_bytes, given_back, .. } = grown.expiry;
    let gib = ratio(before, 1 << 30).max(1e-9);
    format!(
        "Expiring all of it at once, {} on the disk: {}, {:.0} ms/GiB, and all of it is room for \
         what comes. What is more than is kept was given back in steps, in {} more; left are {}, \
         of which {} are zeroed and kept for new segments.",
        size::bytes(before),
        short(took),
        took.as_secs_f64() * 1e3 / gib,
        given_back.map_or_else(|| "-".to_owned(), short),
        size::bytes(after),
        size::bytes(kept_bytes),
    )
}

/// The header of a table: a column a size.
pub(super) fn header(grown: &Grown) -> Vec<String> {
    let mut header = vec!["Clips".to_owned()];
    header.extend(grown.stages.iter().map(|stage| stage.clips.to_string()));
    header.push("slope".to_owned());
    header.push(format!("{FAR_CLIPS}, reckoned"));
    header
}

/// For people.
pub(super) fn print(grown: &Grown, out: &mut Out) -> anyhow::Result<()> {
    let machine = &grown.machine;
    out.line(format_args!(
        "{} x {}, {} disk, {}; {} cameras, clips of a minute and one block",
        machine.cores, machine.processor, machine.disk, machine.file_system, grown.cameras,
    ))?;
    out.line("")?;
    let header = header(grown);
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let right: Vec<usize> = (1..=grown.stages.len()).collect();
    out.table(&header, &right, COSTS.iter().map(|cost| cost.cells(grown)).collect())?;
    out.line("")?;
    out.line(
        "A slope is the power of the number of clips with which a cost grows. The last column \
         follows from the one between the two largest sizes and was not measured.",
    )?;
    out.line(expiry_in_words(grown))
}

/// For scripts. Durations are seconds, sizes bytes.
pub(super) fn json(grown: &Grown) -> Value {
    let costs = COSTS.iter().map(|cost| {
        let points = cost.points(grown);
        let slope = slope(&points);
        let of = |(clips, cost): (u64, f64)| json!({"clips": clips, "cost": cost});
        let far = cost.reckoned(&points).map(Amount::figure);
        let points: Vec<Value> = points.into_iter().map(of).collect();
        let figures = json!({"slope": slope, "points": points, "reckoned_at_100m": far});
        (cost.name.to_owned(), figures)
    });
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "cameras": grown.cameras,
        "growth": costs.collect::<serde_json::Map<_, _>>(),
        "expiry": {
            "seconds": grown.expiry.took.as_secs_f64(),
            "disk_bytes_before": grown.expiry.disk_bytes.0,
            "disk_bytes_after": grown.expiry.disk_bytes.1,
            "kept_bytes": grown.expiry.kept_bytes,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_ten_up_to_the_wanted_one() {
        assert_eq!(sizes(10_000), [10_000]);
        assert_eq!(sizes(1_000_000), [10_000, 100_000, 1_000_000]);
        assert_eq!(sizes(300_000), [10_000, 100_000, 300_000]);
    }

    #[test]
    fn a_far_size_is_reckoned_with_the_slope() {
        let [open, .., index] = &COSTS;
        // Ten times the clips, twice the cost: at a hundred times the clips, four times.
        let slope = 2.0_f64.log10();
        let Amount::Time(took) = open.far(slope, (1_000_000, 0.010)) else { panic!("a time") };
        assert!((took.as_secs_f64() - 0.040).abs() < 1e-6, "{took:?}");
        let Amount::Bytes(bytes) = index.far(1.0, (1_000_000, 700.0)) else { panic!("bytes") };
        assert_eq!(bytes, 70_000);
        // What went on without growing and then does is reckoned by what it did last.
        let points = [(10_000, 0.001), (100_000, 0.001), (1_000_000, 0.010)];
        let Some(Amount::Time(took)) = open.reckoned(&points) else { panic!("a time") };
        assert!((took.as_secs_f64() - 1.0).abs() < 1e-6, "{took:?}");
        assert!(open.reckoned(&points[..1]).is_none(), "one size has no slope");
    }

    #[test]
    fn a_slope_is_said_in_words() {
        assert_eq!(in_words(-0.001), "0.00, does not grow");
        assert_eq!(in_words(0.5), "0.50, grows slower than the clips");
        assert_eq!(in_words(1.01), "1.01, grows as the clips do");
        assert_eq!(in_words(2.0), "2.00, grows faster than the clips");
    }

    #[test]
    fn the_report_has_each_cost_at_each_size() {
        let dir = tempfile::tempdir().unwrap();
        let street = Street::new(SEED, 2, 100).lasting(MINUTE);
        let (stages, expiry) = growth(dir.path(), &street, &[200, 400], &mut |_| ()).unwrap();
        let machine = machine(dir.path()).unwrap();
        let grown = Grown { machine, cameras: CAMERAS, stages, expiry };
        let json = json(&grown);
        for cost in &COSTS {
            assert_eq!(cost.cells(&grown).len(), header(&grown).len());
            assert_eq!(json["growth"][cost.name]["points"][1]["clips"], 400);
            assert!(json["growth"][cost.name]["slope"].is_f64());
            assert!(json["growth"][cost.name]["reckoned_at_100m"].is_f64());
        }
        let page = super::super::html::growth_page(&grown);
        assert_eq!(page.matches("<polyline").count(), COSTS.len(), "a line a cost");
        assert!(page.contains("Expiring all of it at once") && json["expiry"].is_object());
    }
}
