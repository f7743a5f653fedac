//! `clipkeep record`: stores a live stream as it comes.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::exit::{self, Exit};
use super::files;
use super::output::Out;
use super::size;
use super::store_args::StoreArgs;
use super::when::{Span, When};
use crate::ingest::{Recorded, StreamRecorder};
use crate::media::{FragmentParser, Piece};
use crate::types::{Clock as _, Error, Result};
use crate::{CameraId, Durability, Store, SystemClock};

/// Store fragmented MP4 from standard input, each fragment durable before the next
///
/// When the sender vanishes, everything up to its last whole fragment is there. The clip that was
/// being recorded is finished at the end of the input; if this process is killed instead, that clip
/// ends at its last durable fragment and is called truncated.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ffmpeg -i rtsp://CAMERA/stream -map 0:v -c copy -f mp4 \\
      -movflags +frag_keyframe+empty_moov+default_base_moof+delay_moov - | \\
      clipkeep record --dir /srv/clips --camera front-door
  clipkeep record --dir /srv/clips --camera garage --start \"2026-11-23 18:30\" < garage.mp4

The fragments must come as they are recorded, about a second or two each. Without --start the time
is that of their arrival (or their own, where the sender puts in wall clock time).")]
pub(super) struct Args {
    #[command(flatten)]
    store: StoreArgs,

    /// The camera
    #[arg(long, short)]
    camera: CameraId,

    /// When the stream began [default: by its own clock, or its arrival]
    #[arg(long, value_name = "TIME")]
    start: Option<When>,

    /// Begin another clip, at a key frame, after this long
    #[arg(long, default_value = "60s", value_name = "DURATION")]
    split: Span,

    /// For tests and wrappers: append a line `CLIP BYTES` to FILE after each durable fragment
    ///
    /// BYTES of the clip have been acknowledged and survive whatever comes. The line is written
    /// after that, so a line that is there is never a lie.
    #[arg(long, value_name = "FILE")]
    ack_file: Option<PathBuf>,
}

/// How often the store is swept while it records, so that a long recording keeps its retention.
const SWEEP_INTERVAL: Duration = Duration::from_mins(1);
/// How much of the input is taken at once.
const READ_BYTES: usize = 64 << 10;

pub(super) fn run(args: &Args, out: &mut Out) -> anyhow::Result<Exit> {
    let store = args.store.write_or_create(Durability::Synced, Some(SWEEP_INTERVAL))?;
    if let Err(error) = store.sweep() {
        // Recording goes on: whatever keeps the old from going must not lose the new.
        exit::warn(&format!("cannot sweep: {error}"), out.wants_json());
    }
    let mut session = Session::new(args, &store)?;
    let outcome = session.run(&mut io::stdin().lock());
    let finished = session.finish();
    store.close()?;
    outcome?;
    let (total, lost_bytes) = finished?;
    if out.wants_json() {
        let (camera, bytes) = (args.camera.as_str(), total.bytes);
        out.json(&json!({"camera": camera, "clips": total.clips, "fragments": total.fragments,
            "bytes": bytes, "lost_bytes": lost_bytes,
            "clock_jumps": total.clock_jumps}))?;
    } else {
        let clips = size::count(total.clips, "clip");
        let fragments = size::count(total.fragments, "fragment");
        let bytes = size::bytes(total.bytes);
        out.line(format_args!("Recorded {clips} of {}: {fragments}, {bytes}.", args.camera))?;
        if lost_bytes > 0 {
            let lost = size::bytes(lost_bytes);
            out.line(format_args!("The last {lost} were no whole fragment and are left out."))?;
        }
        if total.clock_jumps > 0 {
            let times = size::count(total.clock_jumps, "time");
            out.line(format_args!(
                "Fragments came out of order, or the sender's clock was set, {times}: what \
                 follows is kept as it came, in a clip of its own."
            ))?;
        }
    }
    Ok(Exit::Done)
}

/// One recording.
struct Session {
    recorder: StreamRecorder,
    acks: Option<Acks>,
    lost_bytes: u64,
}

impl Session {
    fn new(args: &Args, store: &Store) -> Result<Self> {
        let acks = args.ack_file.as_deref().map(Acks::open).transpose()?;
        let start = args.start.map(|When(at)| at);
        let recorder = StreamRecorder::new(store, &args.camera, start, args.split.0);
        Ok(Self { recorder, acks, lost_bytes: 0 })
    }

    /// Takes the input to its end.
    fn run(&mut self, input: &mut impl Read) -> Result<()> {
        let mut parser = FragmentParser::new();
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let read = match input.read(&mut buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::io("read", Path::new("standard input"), error)),
            };
            if read == 0 {
                self.lost_bytes = parser.finish();
                return Ok(());
            }
            parser.push(buffer.get(..read).unwrap_or(&[]));
            while let Some(piece) = parser.next()? {
                self.take(piece)?;
            }
        }
    }

    fn take(&mut self, piece: Piece) -> Result<()> {
        let before = self.recorder.recorded().bytes;
        self.recorder.take(piece, SystemClock.wall(), Duration::ZERO)?;
        let bytes = self.recorder.recorded().bytes - before;
        match &mut self.acks {
            Some(acks) if bytes > 0 => acks.add(&self.recorder, bytes),
            _ => Ok(()),
        }
    }

    fn finish(mut self) -> Result<(Recorded, u64)> {
        self.recorder.finish()?;
        Ok((self.recorder.recorded(), self.lost_bytes))
    }
}

/// The file of acknowledgements.
struct Acks {
    path: PathBuf,
    file: File,
    clip: String,
    bytes: u64,
}

impl Acks {
    fn open(path: &Path) -> Result<Self> {
        let file = files::append_to(path)?;
        Ok(Self { path: path.to_owned(), file, clip: String::new(), bytes: 0 })
    }

    /// `bytes` more of the newest clip of `recorder` are durable.
    fn add(&mut self, recorder: &StreamRecorder, bytes: u64) -> Result<()> {
        let Some((clip, init)) = recorder.newest_clip() else { return Ok(()) };
        let clip = clip.to_string();
        if clip != self.clip {
            (self.clip, self.bytes) = (clip, u64::try_from(init).unwrap_or(u64::MAX));
        }
        self.bytes += bytes;
        let line = format!("{} {}\n", self.clip, self.bytes);
        // One write, so that a reader sees whole lines.
        self.file.write_all(line.as_bytes()).map_err(|e| Error::io("write", &self.path, e))
    }
}
