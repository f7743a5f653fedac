//! `clipkeep get`: a clip as it was received, or a window as one playable file.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use clap::ValueEnum;
use serde_json::{Value, json};

use super::exit::{self, Exit};
use super::files;
use super::output::Out;
use super::size;
use super::store_args::Dir;
use super::when::When;
use crate::media::{Export, ExportClip, Format};
use crate::types::{Error, ErrorKind};
use crate::{CameraId, Clip, ClipId, Result, Store, Timestamp, Window};

/// Write a clip, or all that a camera recorded in a window, to a file
///
/// A clip is written byte for byte as it was received. A window becomes ONE file that plays and
/// seeks over all its clips; the pictures and sounds in it are copied, never made anew. It begins
/// at the key frame before the window, and gaps stay gaps: what it really covers is printed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  clipkeep get --dir /srv/clips 42-7 --output clip.mp4
  clipkeep get --dir /srv/clips --camera front-door --from \"yesterday 18:00\" \\
      --to \"yesterday 22:00\" --output evening.mp4
  clipkeep get --dir /srv/clips --camera garage --from \"1h ago\" --to now --format fmp4 \\
      --output - | ffplay -")]
pub(super) struct Args {
    #[command(flatten)]
    dir: Dir,

    /// The clip, as `ls` names it
    #[arg(
        required_unless_present = "camera",
        conflicts_with_all = ["camera", "from", "to", "format"]
    )]
    id: Option<ClipId>,

    /// The camera of a window
    #[arg(long, short, requires = "from", requires = "to")]
    camera: Option<CameraId>,

    /// The window's start (RFC 3339, local time, or `2h ago`)
    #[arg(long, value_name = "TIME", requires = "camera")]
    from: Option<When>,

    /// The window's end, which is not included
    #[arg(long, value_name = "TIME", requires = "camera")]
    to: Option<When>,

    /// How the file for a window is laid out
    #[arg(long, default_value = "mp4")]
    format: FormatFlag,

    /// The file to write; `-` is standard output
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,

    /// Replace FILE when it exists
    #[arg(long)]
    force: bool,
}

/// [`Format`] as a flag.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatFlag {
    /// For people: one index in front, plays everywhere
    Mp4,
    /// For pipes, browsers, and `clipkeep record` elsewhere
    Fmp4,
}

impl From<FormatFlag> for Format {
    fn from(flag: FormatFlag) -> Self {
        match flag {
            FormatFlag::Mp4 => Self::Mp4,
            FormatFlag::Fmp4 => Self::Fragmented,
        }
    }
}

pub(super) fn run(args: &Args, out: &mut Out) -> anyhow::Result<Exit> {
    if args.output != Path::new("-") {
        // Before the work, not after it.
        files::check_free(&args.output, args.force)?;
    }
    let report = match (&args.id, &args.camera, args.from, args.to) {
        (Some(id), ..) => one_clip(&args.dir.read()?, *id, args, out)?,
        (None, Some(camera), Some(When(from)), Some(When(to))) => {
            let window = Window::new(from, to)?;
            self::window(&args.dir.read()?, camera, window, args, out)?
        }
        // Clap asks for these; this is for a reader of the code.
        _ => return Err(Error::invalid("get: want a clip, or --camera, --from and --to").into()),
    };
    report.tell(args, out)?;
    Ok(Exit::Done)
}

/// What was written.
#[derive(Debug)]
struct Report {
    bytes: u64,
    covered: Window,
    clips: Vec<ClipId>,
    gaps: Vec<Window>,
}

impl Report {
    /// On standard output, or on standard error when the file itself goes there.
    fn tell(&self, args: &Args, out: &mut Out) -> anyhow::Result<()> {
        let to_stdout = args.output == Path::new("-");
        if out.wants_json() {
            if !to_stdout {
                out.json(&self.json(args))?;
            }
            return Ok(());
        }
        let clips = size::count(u64::try_from(self.clips.len())?, "clip");
        let (from, to) = (out.time(self.covered.start()), out.time(self.covered.end()));
        let bytes = size::bytes(self.bytes);
        let mut lines = vec![format!("{bytes} from {clips}: {from} to {to}")];
        for gap in &self.gaps {
            let (from, to) = (out.time(gap.start()), out.time(gap.end()));
            lines.push(format!("nothing from {from} to {to}"));
        }
        for line in lines {
            if to_stdout {
                exit::warn(&line, false);
            } else {
                out.line(format_args!("{}: {line}", args.output.display()))?;
            }
        }
        Ok(())
    }

    fn json(&self, args: &Args) -> Value {
        json!({
            "output": args.output.display().to_string(),
            "bytes": self.bytes,
            "covered": span(&self.covered),
            "clips": self.clips.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "gaps": self.gaps.iter().map(span).collect::<Vec<_>>(),
        })
    }
}

fn span(window: &Window) -> Value {
    json!({"start": window.start().to_string(), "end": window.end().to_string()})
}

fn one_clip(store: &Store, id: ClipId, args: &Args, out: &mut Out) -> anyhow::Result<Report> {
    // Copied, not mapped: what leaves the store is checked as it is read, byte by byte.
    let reader = store.read_copied(id)?;
    let (bytes, covered) = (reader.clip().len(), reader.clip().window());
    put(args, out, |sink| {
        for chunk in reader.chunks(0..bytes)? {
            sink.write_all(&chunk?)?;
        }
        Ok(())
    })?;
    Ok(Report { bytes, covered, clips: vec![id], gaps: Vec::new() })
}

fn window(
    store: &Store,
    camera: &CameraId,
    window: Window,
    args: &Args,
    out: &mut Out,
) -> anyhow::Result<Report> {
    let clips: Vec<Clip> = store.clips(camera, window)?.collect();
    if clips.is_empty() {
        return Err(nothing_there(store, camera, window).into());
    }
    let export = plan_export(store, &clips, Some(window), args.format.into())
        .with_context(|| format!("cannot make one file of {camera} {window}"))?;
    put(args, out, |sink| Ok(export.write_to(sink)?))?;
    Ok(Report {
        bytes: export.len(),
        covered: export.covered(),
        gaps: gaps(&clips, window),
        clips: clips.iter().map(Clip::id).collect(),
    })
}

/// The plan of one file over `clips`.
pub(super) fn plan_export(
    store: &Store,
    clips: &[Clip],
    window: Option<Window>,
    format: Format,
) -> Result<Export> {
    let mut parts = Vec::with_capacity(clips.len());
    for clip in clips {
        let bytes = Arc::new(store.read_copied(clip.id())?);
        parts.push(ExportClip::new(clip.window().start(), clip.id().to_string(), bytes));
    }
    Export::plan(&parts, window, format)
}

/// Where the output goes.
fn put(
    args: &Args,
    out: &mut Out,
    fill: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if args.output == Path::new("-") {
        fill(out)?;
        return out.flush();
    }
    files::write(&args.output, args.force, fill)
}

/// The parts of `window` that none of `clips` (in order of their starts) covers.
fn gaps(clips: &[Clip], window: Window) -> Vec<Window> {
    let mut gaps = Vec::new();
    let mut covered_to = window.start();
    let spans = clips.iter().map(Clip::window).map(|span| (span.start(), span.end()));
    for (start, end) in spans.chain([(window.end(), window.end())]) {
        // Clips that follow one another may be a few ticks apart.
        if start.since(covered_to) > std::time::Duration::from_millis(500) {
            gaps.extend(Window::new(covered_to, start));
        }
        covered_to = covered_to.max(end);
    }
    gaps
}

/// Nothing in the window: says what there is instead.
fn nothing_there(store: &Store, camera: &CameraId, window: Window) -> Error {
    let all = Window::new(Timestamp::MIN, Timestamp::MAX);
    let kept = all.and_then(|all| store.clips(camera, all)).ok().and_then(|mut clips| {
        let first = clips.next()?;
        let end = clips.next_back().map_or(first.window().end(), |last| last.window().end());
        Some((first.window().start(), end))
    });
    let known = match kept {
        Some((from, to)) => format!("what is kept of it lies between {from} and {to}"),
        None => "nothing of it is kept".to_owned(),
    };
    let message = format!("no clip of camera {camera} in {window}; {known}");
    Error::new(ErrorKind::NotFound, message)
}
