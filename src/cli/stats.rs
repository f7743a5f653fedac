//! `clipkeep stats`: bytes by state, and whether the promise is kept.

use serde_json::{Value, json};

use super::exit::Exit;
use super::output::Out;
use super::store_args::Dir;
use super::{camera, size, view};
use crate::Stats;

/// Show what the store holds, where its bytes are, and whether anything stops it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  clipkeep stats --dir /srv/clips
  clipkeep stats --dir /srv/clips --json")]
pub(super) struct Args {
    #[command(flatten)]
    dir: Dir,
}

pub(super) fn run(args: &Args, out: &mut Out) -> anyhow::Result<Exit> {
    let stats = args.dir.read()?.stats()?;
    if out.wants_json() {
        out.json(&to_json(&stats))?;
    } else {
        print(&stats, out)?;
    }
    Ok(Exit::Done)
}

fn print(stats: &Stats, out: &mut Out) -> anyhow::Result<()> {
    if let Some(why) = &stats.deletion_frozen {
        out.line(format_args!("NOTHING IS DELETED until this is repaired: {why}"))?;
    }
    if let Some(why) = &stats.recording_stopped {
        out.line(format_args!("RECORDING HAS STOPPED: {why}"))?;
    }
    out.line(format_args!("Trusted time  {}; {}", out.time(stats.now), stats.clock))?;
    let line = |name: &str, bytes: u64, what: String| {
        format!("{name:<12}  {:>10}  {what}", size::bytes(bytes))
    };
    let held = size::count(stats.held_clips, "clip");
    let clips = size::count(stats.clips, "clip");
    let holds = size::count(stats.holds_active, "hold");
    let (sealed, open) = (stats.segments_sealed, stats.segments_open);
    out.line(line("live", stats.live_bytes, clips))?;
    out.line(line("  held", stats.held_bytes, format!("{held}, by {holds}")))?;
    out.line(line("expired", stats.expired_bytes, "not yet removed".to_owned()))?;
    out.line(line("overhead", stats.overhead_bytes, "headers, padding, footers".to_owned()))?;
    out.line(line("reserved", stats.reserved_bytes, "allocated, not yet used".to_owned()))?;
    out.line(line("  reusable", stats.reusable_bytes, "files for new segments".to_owned()))?;
    out.line(line("files", stats.file_bytes, format!("{sealed} sealed segments, {open} open")))?;
    out.line(line("readers", stats.ghost_bytes, "removed, but still being read".to_owned()))?;
    out.line(line("disk free", stats.free_bytes, String::new()).trim_end())?;
    out.line(line("memory", stats.index_bytes, "for the index".to_owned()))?;
    out.line(format_args!("ledger        {:>10}  entries", stats.ledger_entries))?;
    if stats.promise_broken_clips > 0 {
        let broken = size::count(stats.promise_broken_clips, "clip");
        out.line(format_args!("{broken} went before their promised time, for lack of room"))?;
    }
    out.line("")?;
    camera::print(&stats.cameras, out)
}

fn to_json(stats: &Stats) -> Value {
    json!({
        "now": stats.now.to_string(),
        "clock": view::clock(stats.clock),
        "clips": stats.clips,
        "live_bytes": stats.live_bytes,
        "held_clips": stats.held_clips,
        "held_bytes": stats.held_bytes,
        "expired_bytes": stats.expired_bytes,
        "overhead_bytes": stats.overhead_bytes,
        "reserved_bytes": stats.reserved_bytes,
        "reusable_bytes": stats.reusable_bytes,
        "file_bytes": stats.file_bytes,
        "ghost_bytes": stats.ghost_bytes,
        "free_bytes": stats.free_bytes,
        "segments_sealed": stats.segments_sealed,
        "segments_open": stats.segments_open,
        "ledger_entries": stats.ledger_entries,
        "holds_active": stats.holds_active,
        "index_bytes": stats.index_bytes,
        "promise_broken_clips": stats.promise_broken_clips,
        "deletion_frozen": stats.deletion_frozen,
        "recording_stopped": stats.recording_stopped,
        "cameras": stats.cameras.iter().map(camera::to_json).collect::<Vec<_>>(),
    })
}
