//! `clipkeep ls`: lists clips.

use super::exit::Exit;
use super::output::Out;
use super::size;
use super::store_args::Dir;
use super::view;
use super::when::When;
use crate::{CameraId, Clip, Hold, Store, Timestamp, Window};

/// List clips, oldest first
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  clipkeep ls --dir /srv/clips
  clipkeep ls --dir /srv/clips --camera front-door \\
      --from \"yesterday 18:00\" --to \"yesterday 22:00\"
  clipkeep ls --dir /srv/clips --from \"2h ago\" --json")]
pub(super) struct Args {
    #[command(flatten)]
    dir: Dir,

    /// Only these cameras (also one that was removed); may be given more than once
    #[arg(long, short)]
    camera: Vec<CameraId>,

    /// Only clips that reach beyond this time
    #[arg(long, value_name = "TIME")]
    from: Option<When>,

    /// Only clips that begin before this time
    #[arg(long, value_name = "TIME")]
    to: Option<When>,
}

/// Rows that a table is made of at a time, so that a long list neither waits nor fills the memory.
const ROWS_AT_A_TIME: usize = 1000;

pub(super) fn run(args: &Args, out: &mut Out) -> anyhow::Result<Exit> {
    let from = args.from.map_or(Timestamp::MIN, |When(at)| at);
    let to = args.to.map_or(Timestamp::MAX, |When(at)| at);
    let window = Window::new(from, to)?;
    let store = args.dir.read()?;
    let holds = store.holds();
    let cameras = if args.camera.is_empty() { store.cameras() } else { args.camera.clone() };
    let clips = all_clips(&store, &cameras, window)?;
    if out.wants_json() {
        out.json_list("clips", clips.map(|clip| view::clip(&clip, &holds)))?;
        return Ok(Exit::Done);
    }
    print(clips, &holds, out)?;
    Ok(Exit::Done)
}

/// The clips of all `cameras`, camera by camera.
fn all_clips(
    store: &Store,
    cameras: &[CameraId],
    window: Window,
) -> crate::Result<impl Iterator<Item = Clip> + use<>> {
    let listed: Vec<_> =
        cameras.iter().map(|camera| store.clips(camera, window)).collect::<crate::Result<_>>()?;
    Ok(listed.into_iter().flatten())
}

fn print(
    mut clips: impl Iterator<Item = Clip>,
    holds: &[Hold],
    out: &mut Out,
) -> anyhow::Result<()> {
    let header = ["ID", "CAMERA", "START", "LENGTH", "SIZE", "STATE", "HOLDS"];
    let (mut count, mut total) = (0, 0);
    loop {
        let page: Vec<Clip> = clips.by_ref().take(ROWS_AT_A_TIME).collect();
        if page.is_empty() {
            break;
        }
        count += u64::try_from(page.len())?;
        total += page.iter().map(Clip::len).sum::<u64>();
        let rows = page.iter().map(|clip| row(clip, holds, out)).collect();
        out.table(&header, &[3, 4], rows)?;
    }
    out.line(format_args!("{}, {}", size::count(count, "clip"), size::bytes(total)))
}

fn row(clip: &Clip, holds: &[Hold], out: &Out) -> Vec<String> {
    let held: Vec<String> = view::holds_on(clip, holds).map(|hold| hold.id().to_string()).collect();
    vec![
        clip.id().to_string(),
        clip.camera().to_string(),
        out.time(clip.window().start()),
        size::duration(clip.window().duration()),
        size::bytes(clip.len()),
        clip.state().name().to_owned(),
        held.join(" "),
    ]
}
