//! `clipkeep bench`: what this box and this disk can do, measured here and now.
//!
//! The raw limit of the disk is measured in the same run, in turns with the store: the ratios hold
//! on any machine, the figures on this one alone. Everything happens in a folder that is made for
//! it and removed at the end.

mod answer;
mod chart;
mod growth;
mod html;
mod json;
mod measure;
mod profile;
mod table;

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use self::answer::Answer;
use self::profile::Profile;
use super::exit::Exit;
use super::files;
use super::output::Out;
use super::size;
use crate::types::{Error, ErrorKind};
use crate::workload;

/// Measure what this machine and its disk can do
///
/// Records, finds, reads, expires and reopens clips in a folder that is made in DIR and removed at
/// the end, and measures the raw limit of the same disk in between. Ends with how many cameras the
/// box can take, and for how many days.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  clipkeep bench --profile quick
  clipkeep bench --profile street --dir /srv --html report.html
  clipkeep bench --profile hub --cameras 64
  clipkeep bench --growth 1000000 --html growth.html
  clipkeep bench --growth 1000000 --cameras 500")]
pub(super) struct Args {
    /// How much is measured
    #[arg(long, value_enum, default_value_t = Profile::Quick)]
    profile: Profile,

    /// Record from this many cameras, in place of the profile's own number, or of 16 for growth
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    cameras: Option<u32>,

    /// Instead of a profile: how cost grows, measured from 10,000 clips to this many
    #[arg(long, value_name = "CLIPS", conflicts_with_all = ["profile", "mbit"],
        value_parser = clap::value_parser!(u64).range(10_000..=100_000_000))]
    growth: Option<u64>,

    /// A folder on the disk to measure
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,

    /// What one camera sends, in Mbit/s, for the answer
    #[arg(long, value_name = "MBIT", default_value_t = 2, value_parser = at_most_1000())]
    mbit: u32,

    /// Write a report with charts to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Replace that file
    #[arg(long)]
    force: bool,

    /// Print JSON, for scripts
    #[arg(long)]
    json: bool,
}

fn at_most_1000() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=1000)
}

pub(super) fn run(args: &Args, out: &mut Out) -> anyhow::Result<Exit> {
    if let Some(path) = &args.html {
        files::check_free(path, args.force)?;
    }
    check_room(args)?;
    let made = tempfile::Builder::new().prefix("clipkeep-bench-").tempdir_in(&args.dir);
    let folder = made.map_err(|error| Error::io("make a folder in", &args.dir, error))?;
    if let Some(clips) = args.growth {
        return show_growth(args, clips, folder.path(), out);
    }
    let measured = measure::run(args.profile, &args.profile.plan(args.cameras), folder.path());
    let measured = measured.map_err(anyhow::Error::from_boxed).context("measure")?;
    let answer = Answer::of(&measured, args.mbit);
    if let Some(path) = &args.html {
        let page = html::page(&measured, &answer);
        files::write(path, args.force, |file| Ok(file.write_all(page.as_bytes())?))?;
    }
    if out.wants_json() {
        out.json(&json::of(&measured, &answer))?;
    } else {
        table::print(&measured, &answer, out)?;
    }
    Ok(Exit::Done)
}

/// How cost grows up to `clips`, in place of a profile.
fn show_growth(args: &Args, clips: u64, folder: &Path, out: &mut Out) -> anyhow::Result<Exit> {
    let grown = growth::run(clips, args.cameras, folder);
    let grown = grown.map_err(anyhow::Error::from_boxed).context("measure")?;
    if let Some(path) = &args.html {
        let page = html::growth_page(&grown);
        files::write(path, args.force, |file| Ok(file.write_all(page.as_bytes())?))?;
    }
    if out.wants_json() {
        out.json(&growth::json(&grown))?;
    } else {
        growth::print(&grown, out)?;
    }
    Ok(Exit::Done)
}

/// Better said before than found out after an hour.
fn check_room(args: &Args) -> anyhow::Result<()> {
    let machine = workload::machine(&args.dir);
    let machine = machine.map_err(|error| Error::io("look at", &args.dir, error))?;
    let (what, need) = match args.growth {
        Some(clips) => ("growth", growth::room_bytes(clips)),
        None => (args.profile.name(), args.profile.plan(args.cameras).room_bytes()),
    };
    if machine.free_bytes >= need {
        return Ok(());
    }
    let message = format!(
        "bench {what}: needs {} in {}, which has {} free",
        size::bytes(need),
        args.dir.display(),
        size::bytes(machine.free_bytes)
    );
    Err(Error::new(ErrorKind::Full, message).into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::workload::Ingest;

    #[test]
    fn a_run_measures_everything_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let some = Ingest { rounds: 2, clips: 4, group: 2 };
        let plan = profile::Plan {
            cameras: 4,
            each: some,
            grouped: some,
            small: some,
            large: Ingest { clips: 1, ..some },
            together_clips: 1,
            pace: Duration::from_millis(20),
            paced_fragments: 2,
            steady_kept: 80,
            steady_clips: 160,
            held_percents: vec![1],
            space_clips: 140,
            bulk_clips: 70,
            lookup_clips: 2048,
            lookup_rounds: 8,
            read_clips: 2,
            reopenings: 1,
        };
        let measured = measure::run(Profile::Quick, &plan, dir.path()).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let answer = Answer::of(&measured, 2);
        assert!(answer.sustained > 0);
        let json = json::of(&measured, &answer);
        assert_eq!(json["record"]["each"][0]["name"], "clipkeep");
        assert_eq!(json["record"]["grouped"][0]["bytes"], 16_000_000);
        assert_eq!(json["find"]["clips"], 2048);
        assert_eq!(json["beside_expiry"][0]["held_percent"], 1);
        assert!(json["beside_expiry"][0]["sweeps"].as_u64().unwrap() > 0);
        let fragments = &json["fragments"];
        assert_eq!(fragments["without_a_pause"]["clipkeep"]["commit"]["count"], 2 * 4 * 8);
        for what in ["alone", "beside_sweeps", "beside_readers"] {
            assert_eq!(fragments[what]["clipkeep"]["count"], 2 * 2 * 4, "{what}");
            assert_eq!(fragments[what]["bare"]["count"], 2 * 2 * 4, "{what}");
        }
        assert!(fragments["beside_sweeps"]["segments_dropped"].as_u64().unwrap() > 0);
        assert!(fragments["beside_readers"]["read_bytes"].as_u64().unwrap() > 0);
        assert!(json["space"]["live_bytes"].as_u64().unwrap() > 140 * 2_000_000);
        let page = html::page(&measured, &answer);
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
        assert!(page.contains("raw limit") && !page.contains("http"), "the page stands alone");
    }
}
