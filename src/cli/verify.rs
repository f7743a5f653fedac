//! `clipkeep verify`: checks a store against its own records.

use clap::ValueEnum;
use serde_json::{Value, json};

use super::exit::{self, Exit};
use super::output::Out;
use super::progress::Bar;
use super::size;
use super::store_args::Dir;
use crate::{Fault, VerifyDepth, VerifyReport};

/// Check that everything that must exist does, and is as it was written
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  clipkeep verify --dir /srv/clips
  clipkeep verify --dir /srv/clips --depth headers --json

Exit code 1 when there are faults. Nothing is changed.")]
pub(super) struct Args {
    #[command(flatten)]
    dir: Dir,

    /// How deep to look
    #[arg(long, default_value = "bytes")]
    depth: Depth,
}

/// [`VerifyDepth`] as a flag.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Depth {
    /// Every file that must exist does, with its length
    Presence,
    /// Also every header, footer and Merkle root
    Headers,
    /// Also every byte of every clip
    Bytes,
}

impl From<Depth> for VerifyDepth {
    fn from(depth: Depth) -> Self {
        match depth {
            Depth::Presence => Self::Presence,
            Depth::Headers => Self::Headers,
            Depth::Bytes => Self::Bytes,
        }
    }
}

pub(super) fn run(args: &Args, out: &mut Out) -> anyhow::Result<Exit> {
    let store = args.dir.read()?;
    let bar = Bar::bytes("verify", 0);
    let mut progress = |at: crate::Progress| bar.at(at.done_bytes, at.total_bytes);
    let report = store.verify(args.depth.into(), &mut progress)?;
    drop(bar);
    if out.wants_json() {
        out.json(&to_json(&report))?;
    } else {
        print(&report, out)?;
    }
    Ok(if report.faults.is_empty() { Exit::Done } else { Exit::Faults })
}

fn print(report: &VerifyReport, out: &mut Out) -> anyhow::Result<()> {
    for fault in &report.faults {
        out.line(format_args!("FAULT {}", fault_text(fault)))?;
    }
    let segments = size::count(report.segments, "segment");
    let (clips, bytes) = (size::count(report.clips, "clip"), size::bytes(report.bytes));
    let entries = report.ledger_entries;
    out.line(format_args!("Looked at {segments}, {clips}, {bytes}, {entries} ledger entries."))?;
    match u64::try_from(report.faults.len())? {
        0 => out.line("Everything is as it was written."),
        faults => out.line(format_args!("{} found.", size::count(faults, "fault"))),
    }
}

fn fault_text(fault: &Fault) -> String {
    let segment = fault.segment.map(|id| format!("segment {id}: "));
    let clip = fault.clip.map(|id| format!("clip {id}: "));
    format!("{}{}{}", segment.unwrap_or_default(), clip.unwrap_or_default(), fault.error)
}

fn to_json(report: &VerifyReport) -> Value {
    let fault = |fault: &Fault| {
        json!({
            "segment": fault.segment.map(|id| id.to_string()),
            "clip": fault.clip.map(|id| id.to_string()),
            "error": exit::error_json(&fault.error.clone().into()),
        })
    };
    json!({
        "segments": report.segments,
        "clips": report.clips,
        "bytes": report.bytes,
        "ledger_entries": report.ledger_entries,
        "faults": report.faults.iter().map(fault).collect::<Vec<_>>(),
    })
}
