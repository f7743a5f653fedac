//! `clipkeep import`: brings in recordings that are files already.

mod cut;
mod names;
mod store_file;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use self::names::Names;
use self::store_file::{FileReport, Importer, Outcome};
use super::exit::{self, Exit};
use super::files;
use super::output::Out;
use super::progress::Bar;
use super::size;
use super::store_args::{StoreArgs, given};
use super::when::{Span, When};
use crate::media::NamePattern;
use crate::{CameraId, Durability, Result};

/// Store recordings that are files already
///
/// Fragmented MP4 is cut into clips at its fragments, each of them playable by itself; plain MP4,
/// MPEG-TS and JPEG are stored as they are. A file that cannot be stored is reported, and the
/// others go on. A clip that is in the store already (same camera, start and bytes) is skipped, so
/// an import that was cut off can simply be run again.
///
/// Who says when a recording began, the most trustworthy first: --start, --pattern, the recorder's
/// own box in the file, media time that counts from 1970, the file's name in the form of a known
/// recorder, the file's creation time. The time a file was changed is never used.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  clipkeep import --dir /srv/clips --camera garden --start \"2026-11-23 18:30\" garden.mp4
  clipkeep import --dir /srv/clips /mnt/nvr/recordings
  clipkeep import --dir /srv/clips --pattern \"{camera}/%Y-%m-%d/%H-%M-%S\" /mnt/sd --dry-run

Exit code 1 when a file could not be stored.")]
pub(super) struct Args {
    #[command(flatten)]
    store: StoreArgs,

    /// Files, and folders of files
    #[arg(required = true)]
    paths: Vec<PathBuf>,

    /// The camera [default: from the file's name or folder]
    #[arg(long, short)]
    camera: Option<CameraId>,

    /// When the recording began; for one file
    #[arg(long, value_name = "TIME")]
    start: Option<When>,

    /// The form of the file names, like {camera}/%Y%m%dT%H%M%S
    #[arg(long, value_name = "PATTERN", value_parser = NamePattern::new)]
    pattern: Option<NamePattern>,

    /// The zone of times in file names without one, as hours east of UTC [default: UTC]
    #[arg(long, value_name = "+HH:MM", value_parser = names::offset, allow_hyphen_values = true)]
    name_offset: Option<i32>,

    /// The longest clip that fragmented MP4 is cut into
    #[arg(long, default_value = "60s", value_name = "DURATION")]
    split: Span,

    /// How far the camera's clock may have been off, either way
    #[arg(long, value_name = "DURATION")]
    uncertainty: Option<Span>,

    /// Do not look into folders within folders
    #[arg(long)]
    no_recursive: bool,

    /// Say what would be stored, and store nothing
    #[arg(long)]
    dry_run: bool,
}

/// One group commit serves all fragments of this time; a clip's end still waits until it is safe.
const GROUP: Duration = Duration::from_millis(500);

pub(super) fn run(args: &Args, out: &mut Out) -> anyhow::Result<Exit> {
    let found: Vec<(PathBuf, Result<Vec<PathBuf>>)> = args
        .paths
        .iter()
        .map(|path| (path.clone(), files::list(path, !args.no_recursive)))
        .collect();
    let total = found.iter().flat_map(|(_, files)| files.iter().flatten());
    let total_bytes = total.filter_map(|file| files::len(file).ok()).sum();
    let store = match args.dry_run {
        // Nothing is in a store that is yet to be made.
        true if files::is_absent_or_empty(&args.store.dir.path) => None,
        true => Some(args.store.read()?),
        false => Some(args.store.write_or_create(Durability::Grouped(GROUP), None)?),
    };
    let bar = Bar::bytes("import", total_bytes);
    let names = Names {
        camera: args.camera.clone(),
        start: args.start.map(|When(at)| at),
        pattern: args.pattern.clone(),
        offset_seconds: args.name_offset.unwrap_or(0),
    };
    let importer = Importer {
        store: store.as_ref(),
        names: &names,
        split: args.split.0,
        uncertainty: given(args.uncertainty),
        dry_run: args.dry_run,
        bar: &bar,
    };
    let mut reports = Vec::new();
    for (path, files) in found {
        match files {
            Ok(files) => reports.extend(files.iter().map(|file| importer.file(file))),
            Err(error) => reports.push(FileReport::failed(path, error.into())),
        }
    }
    drop(bar);
    if let Some(store) = store {
        store.close()?;
    }
    tell(&reports, args.dry_run, out)
}

fn tell(reports: &[FileReport], dry_run: bool, out: &mut Out) -> anyhow::Result<Exit> {
    let failed = reports.iter().filter(|report| report.error.is_some()).count();
    if out.wants_json() {
        let files: Vec<Value> = reports.iter().map(to_json).collect();
        out.json(&json!({"dry_run": dry_run, "files": files, "failed": failed}))?;
    } else {
        for report in reports {
            print(report, dry_run, out)?;
        }
        let stored: usize = reports.iter().map(|r| r.count(Outcome::Stored)).sum();
        let skipped: usize = reports.iter().map(|r| r.count(Outcome::Skipped)).sum();
        let verb = if dry_run { "would be stored" } else { "stored" };
        let files = size::count(u64::try_from(reports.len())?, "file");
        let clips = size::count(u64::try_from(stored)?, "clip");
        out.line(format_args!("{files}: {clips} {verb}, {skipped} there before, {failed} failed"))?;
    }
    Ok(if failed == 0 { Exit::Done } else { Exit::Faults })
}

fn print(report: &FileReport, dry_run: bool, out: &mut Out) -> anyhow::Result<()> {
    let path = report.path.display();
    let (stored, skipped) = (report.count(Outcome::Stored), report.count(Outcome::Skipped));
    if let Some(from) = &report.from {
        let verb = if dry_run { "would store" } else { "stored" };
        let clips = size::count(u64::try_from(stored)?, "clip");
        let start = out.time(from.start);
        out.line(format_args!(
            "{path}: {verb} {clips} of {} from {start} (by {}){}",
            from.camera,
            names::source_name(from.source),
            if skipped > 0 { format!(", {skipped} there before") } else { String::new() },
        ))?;
    }
    if report.lost_bytes > 0 {
        let lost = size::bytes(report.lost_bytes);
        out.line(format_args!("{path}: its last {lost} are no whole fragment and are left out"))?;
    }
    if let Some(error) = &report.error {
        out.line(format_args!("{path}: FAILED: {error:#}"))?;
    }
    Ok(())
}

fn to_json(report: &FileReport) -> Value {
    let clip = |clip: &store_file::StoredClip| {
        json!({
            "id": clip.id.map(|id| id.to_string()),
            "start": clip.window.start().to_string(),
            "end": clip.window.end().to_string(),
            "bytes": clip.bytes,
            "outcome": match clip.outcome {
                Outcome::Stored => "stored",
                Outcome::Skipped => "skipped",
            },
        })
    };
    json!({
        "path": report.path.display().to_string(),
        "camera": report.from.as_ref().map(|from| from.camera.as_str()),
        "start": report.from.as_ref().map(|from| from.start.to_string()),
        "start_source": report.from.as_ref().map(|from| names::source_name(from.source)),
        "clips": report.clips.iter().map(clip).collect::<Vec<_>>(),
        "lost_bytes": report.lost_bytes,
        "error": report.error.as_ref().map(exit::error_json),
    })
}
