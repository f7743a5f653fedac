//! `clipkeep record`: stores a live stream as it comes.

mod wall_clock;

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use self::wall_clock::{Place, WallClock};
use super::exit::{self, Exit};
use super::files;
use super::output::Out;
use super::size;
use super::store_args::StoreArgs;
use super::when::{Span, When};
use crate::media::{Fragment, FragmentParser, InitSegment, Piece};
use crate::types::{Clock as _, Error, ErrorKind, Result};
use crate::{CameraId, Durability, Media, NewClip, Recorder, Store, SystemClock, Timestamp};

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
    let total = finished?;
    if out.wants_json() {
        let (camera, bytes) = (args.camera.as_str(), total.bytes);
        out.json(&json!({"camera": camera, "clips": total.clips, "fragments": total.fragments,
            "bytes": bytes, "lost_bytes": total.lost_bytes,
            "clock_jumps": total.clock_jumps}))?;
    } else {
        let clips = size::count(total.clips, "clip");
        let fragments = size::count(total.fragments, "fragment");
        let bytes = size::bytes(total.bytes);
        out.line(format_args!("Recorded {clips} of {}: {fragments}, {bytes}.", args.camera))?;
        if total.lost_bytes > 0 {
            let lost = size::bytes(total.lost_bytes);
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

/// What was recorded.
#[derive(Clone, Copy, Debug, Default)]
struct Total {
    clips: u64,
    fragments: u64,
    bytes: u64,
    lost_bytes: u64,
    /// How often the stream's own clock was set.
    clock_jumps: u64,
}

/// One recording.
struct Session<'a> {
    args: &'a Args,
    store: &'a Store,
    wall_clock: WallClock,
    init: Option<InitSegment>,
    recorder: Option<Recorder>,
    /// When the clip that is being recorded began.
    clip_start: Timestamp,
    acks: Option<Acks>,
    total: Total,
}

impl<'a> Session<'a> {
    fn new(args: &'a Args, store: &'a Store) -> Result<Self> {
        let acks = args.ack_file.as_deref().map(Acks::open).transpose()?;
        Ok(Self {
            args,
            store,
            wall_clock: WallClock::new(args.start.map(|When(at)| at)),
            init: None,
            recorder: None,
            clip_start: Timestamp::EPOCH,
            acks,
            total: Total::default(),
        })
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
                self.total.lost_bytes = parser.finish();
                return Ok(());
            }
            parser.push(buffer.get(..read).unwrap_or(&[]));
            while let Some(piece) = parser.next()? {
                match piece {
                    Piece::Init(init) => self.init(init)?,
                    Piece::Fragment(fragment) => self.fragment(fragment)?,
                }
            }
        }
    }

    /// Another decoder set-up, or a sender that began anew: what follows is another recording.
    fn init(&mut self, init: InitSegment) -> Result<()> {
        self.end_recording()?;
        self.wall_clock.restart();
        self.init = Some(init);
        Ok(())
    }

    fn fragment(&mut self, fragment: Fragment) -> Result<()> {
        let place = self.wall_clock.place(&fragment, SystemClock.wall());
        self.total.clock_jumps += u64::from(fragment.clock_set);
        if place.moved || fragment.clock_set {
            self.end_recording()?;
        }
        if let Some(recorder) = &mut self.recorder {
            let length = place.start.since(self.clip_start).saturating_add(fragment.duration);
            if fragment.key && length > self.args.split.0 {
                recorder.restart_at(place.start)?;
                self.clip_start = place.start;
            }
        } else {
            self.recorder = Some(self.begin(place)?);
            self.clip_start = place.start;
        }
        let Some(recorder) = &mut self.recorder else { return Ok(()) };
        let bytes = u64::try_from(fragment.bytes.len()).unwrap_or(u64::MAX);
        recorder.write(fragment.bytes, fragment.duration)?;
        self.total.fragments += 1;
        self.total.bytes += bytes;
        if let Some(acks) = &mut self.acks {
            let init = self.init.as_ref().map_or(0, |init| init.bytes().len());
            acks.add(recorder, bytes, u64::try_from(init).unwrap_or(u64::MAX))?;
        }
        Ok(())
    }

    fn begin(&self, place: Place) -> Result<Recorder> {
        // The parser gives no fragment before an init segment.
        let Some(init) = &self.init else {
            return Err(Error::new(ErrorKind::Media, "fragment without an init segment"));
        };
        let clip = NewClip::starting(&self.args.camera, place.start)
            .media(Media::FragmentedMp4)
            .init(init.bytes().clone())
            .uncertainty(place.uncertainty)?;
        self.store.record(clip)
    }

    fn end_recording(&mut self) -> Result<()> {
        if let Some(mut recorder) = self.recorder.take() {
            // Ends the clip as `finish` does, and leaves the recorder to be asked for its clips.
            recorder.restart_at(recorder.position())?;
            self.total.clips += u64::try_from(recorder.clips().len()).unwrap_or(u64::MAX);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Total> {
        self.end_recording()?;
        Ok(self.total)
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

    /// `bytes` more of the newest clip of `recorder` are durable; each clip begins with `init`
    /// bytes of its own.
    fn add(&mut self, recorder: &Recorder, bytes: u64, init: u64) -> Result<()> {
        let Some(clip) = recorder.clips().last().map(ToString::to_string) else { return Ok(()) };
        if clip != self.clip {
            (self.clip, self.bytes) = (clip, init);
        }
        self.bytes += bytes;
        let line = format!("{} {}\n", self.clip, self.bytes);
        // One write, so that a reader sees whole lines.
        self.file.write_all(line.as_bytes()).map_err(|e| Error::io("write", &self.path, e))
    }
}
