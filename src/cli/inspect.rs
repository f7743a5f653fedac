//! `clipkeep inspect`: what is on the disk, for those who want to know.

use clap::Subcommand;
use serde_json::{Value, json};

use super::exit::Exit;
use super::output::Out;
use super::store_args::Dir;
use super::{size, view};
use crate::types::{Error, ErrorKind};
use crate::{LedgerLine, PartReport, SegmentId, SegmentReport, Store};

/// Look into the store's files: a segment, the ledger, or all segments
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  clipkeep inspect store --dir /srv/clips
  clipkeep inspect segment 42 --dir /srv/clips
  clipkeep inspect ledger --dir /srv/clips --from 100")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

/// What can be looked into.
#[derive(Debug, Subcommand)]
enum Command {
    /// List all segments
    Store(Dir),
    /// Show one segment and the clips in it
    Segment {
        #[command(flatten)]
        dir: Dir,

        /// The segment's number
        id: u32,
    },
    /// Print the ledger: every decision, in order
    Ledger {
        #[command(flatten)]
        dir: Dir,

        /// Begin with this entry
        #[arg(long, default_value_t = 0, value_name = "POSITION")]
        from: u64,
    },
}

pub(super) fn run(args: &Args, out: &mut Out) -> anyhow::Result<Exit> {
    match &args.command {
        Command::Store(dir) => store(&dir.read()?, out)?,
        Command::Segment { dir, id } => segment(&dir.read()?, SegmentId(*id), out)?,
        Command::Ledger { dir, from } => ledger(&dir.read()?, *from, out)?,
    }
    Ok(Exit::Done)
}

fn store(store: &Store, out: &mut Out) -> anyhow::Result<()> {
    let ids = store.segments();
    let reports: Vec<_> =
        ids.into_iter().map(|id| store.inspect_segment(id)).collect::<crate::Result<_>>()?;
    if out.wants_json() {
        return out.json_list("segments", reports.iter().map(summary_json));
    }
    let header = ["SEGMENT", "CLASS", "STATE", "FILE", "SIZE", "CLIPS", "BYTES", "CREATED"];
    let row = |report: &SegmentReport| {
        vec![
            report.segment.to_string(),
            report.class.to_string(),
            state(report).to_owned(),
            report.file.clone(),
            size::bytes(report.file_bytes),
            report.parts.len().to_string(),
            size::bytes(payload(report)),
            out.time(report.created),
        ]
    };
    let rows: Vec<_> = reports.iter().map(row).collect();
    if !rows.is_empty() {
        out.table(&header, &[4, 5, 6], rows)?;
    }
    out.line(size::count(u64::try_from(reports.len())?, "segment"))
}

fn segment(store: &Store, id: SegmentId, out: &mut Out) -> anyhow::Result<()> {
    if !store.segments().contains(&id) {
        return Err(Error::new(ErrorKind::NotFound, format!("no segment {id}")).into());
    }
    let report = store.inspect_segment(id)?;
    if out.wants_json() {
        let mut value = summary_json(&report);
        if let Some(fields) = value.as_object_mut() {
            fields.insert("parts".to_owned(), report.parts.iter().map(part_json).collect());
        }
        return out.json(&value);
    }
    out.line(format_args!(
        "Segment {id} (class {}), {}: {}",
        report.class,
        state(&report),
        report.file
    ))?;
    out.line(format_args!("  file      {}", size::bytes(report.file_bytes)))?;
    out.line(format_args!("  created   {}", out.time(report.created)))?;
    out.line(format_args!("  newest    {}", out.time(report.newest_received)))?;
    if let Some(root) = &report.root {
        out.line(format_args!("  root      {}", view::hex(root)))?;
    }
    let header = ["OFFSET", "CLIP", "CAMERA", "START", "BYTES", "RECORDS", "PART", ""];
    let row = |part: &PartReport| {
        vec![
            part.offset.to_string(),
            part.clip.to_string(),
            part.camera.to_string(),
            out.time(part.start),
            part.bytes.to_string(),
            part.records.to_string(),
            part_name(part).to_owned(),
            if part.gone { "gone".to_owned() } else { String::new() },
        ]
    };
    let rows: Vec<_> = report.parts.iter().map(row).collect();
    if rows.is_empty() {
        return out.line("  no clips");
    }
    out.table(&header, &[0, 4, 5], rows)
}

fn ledger(store: &Store, from: u64, out: &mut Out) -> anyhow::Result<()> {
    // The visitor can only answer whether to go on: what went wrong is kept beside it.
    let mut printed = Ok(());
    let mut first = true;
    let json = out.wants_json();
    if json {
        out.line("{\"entries\": [")?;
    }
    store.inspect_ledger(from, &mut |line: LedgerLine| {
        let at = out.time(line.at);
        printed = if json {
            let separator = if first { " " } else { "," };
            out.line(format_args!("{separator} {}", line_json(&line)))
        } else {
            out.line(format_args!("{:>8}  {at}  {:<16}  {}", line.position, line.kind, line.text))
        };
        first = false;
        printed.is_ok()
    })?;
    printed?;
    if json { out.line("]}") } else { Ok(()) }
}

fn line_json(line: &LedgerLine) -> Value {
    json!({
        "position": line.position,
        "at": line.at.to_string(),
        "kind": line.kind,
        "text": line.text,
        "hash": view::hex(&line.hash),
    })
}

fn summary_json(report: &SegmentReport) -> Value {
    json!({
        "segment": report.segment.to_string(),
        "class": report.class.to_string(),
        "state": state(report),
        "file": report.file,
        "file_bytes": report.file_bytes,
        "created": report.created.to_string(),
        "newest_received": report.newest_received.to_string(),
        "root": report.root.map(|root| view::hex(&root)),
        "clips": report.parts.len(),
        "bytes": payload(report),
    })
}

fn part_json(part: &PartReport) -> Value {
    json!({
        "clip": part.clip.to_string(),
        "camera": part.camera.as_str(),
        "start": part.start.to_string(),
        "end": part.end.to_string(),
        "part": part_name(part),
        "records": part.records,
        "bytes": part.bytes,
        "offset": part.offset,
        "gone": part.gone,
    })
}

fn payload(report: &SegmentReport) -> u64 {
    report.parts.iter().map(|part| part.bytes).sum()
}

fn state(report: &SegmentReport) -> &'static str {
    if report.sealed { "sealed" } else { "open" }
}

fn part_name(part: &PartReport) -> &'static str {
    match (part.first, part.last) {
        (true, true) => "whole",
        (true, false) => "first",
        (false, false) => "middle",
        (false, true) => "last",
    }
}
