//! `clipkeep sweep`: expires what is due.

use serde_json::{Value, json};

use super::exit::Exit;
use super::output::Out;
use super::store_args::StoreArgs;
use super::{exit, plan, size};
use crate::SweepReport;

/// Delete what is due; what a hold covers stays
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  clipkeep sweep --dir /srv/clips
  clipkeep sweep --dir /srv/clips --quota 64GiB --json

Exit code 1 when something could not be done.")]
pub(super) struct Args {
    #[command(flatten)]
    store: StoreArgs,
}

pub(super) fn run(args: &Args, out: &mut Out) -> anyhow::Result<Exit> {
    let store = args.store.write()?;
    let report = store.sweep()?;
    store.close()?;
    if out.wants_json() {
        out.json(&to_json(&report))?;
    } else {
        print(&report, out)?;
    }
    Ok(if report.problems.is_empty() { Exit::Done } else { Exit::Faults })
}

fn print(report: &SweepReport, out: &mut Out) -> anyhow::Result<()> {
    let (clips, bytes) =
        (size::count(report.clips_expired, "clip"), size::bytes(report.bytes_expired));
    let segments = size::count(report.segments_dropped, "segment");
    out.line(format_args!("Expired {clips}, {bytes}; removed {segments}."))?;
    let notes = [
        (report.clips_expired_early, "expired before their promised time: the store is full"),
        (report.clips_moved, "held, moved out of the way of their neighbours' expiry"),
        (report.holds_lapsed, "holds passed their deadline and are in their grace"),
        (report.holds_ended, "holds ended"),
        (report.segments_deferred, "segments are due and wait for the next sweep"),
        (report.clips_awaiting_readers, "clips wait for a reader to let go"),
    ];
    for (count, text) in notes.into_iter().filter(|(count, _)| *count > 0) {
        out.line(format_args!("  {count} {text}"))?;
    }
    for problem in &report.problems {
        out.line(format_args!("  problem: {problem}"))?;
    }
    Ok(())
}

fn to_json(report: &SweepReport) -> Value {
    let problems = report.problems.iter().cloned().map(anyhow::Error::from);
    json!({
        "plan": report.plan.as_ref().map(plan::to_json),
        "segments_dropped": report.segments_dropped,
        "clips_expired": report.clips_expired,
        "bytes_expired": report.bytes_expired,
        "clips_expired_early": report.clips_expired_early,
        "clips_moved": report.clips_moved,
        "bytes_moved": report.bytes_moved,
        "holds_lapsed": report.holds_lapsed,
        "holds_ended": report.holds_ended,
        "segments_deferred": report.segments_deferred,
        "clips_awaiting_readers": report.clips_awaiting_readers,
        "problems": problems.map(|error| exit::error_json(&error)).collect::<Vec<_>>(),
    })
}
