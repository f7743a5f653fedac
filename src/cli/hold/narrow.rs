//! `clipkeep hold narrow`.

use crate::cli::exit::Exit;
use crate::cli::output::Out;
use crate::cli::store_args::{StoreArgs, WindowArgs};
use crate::cli::view;
use crate::{CameraId, HoldId, Release, ReleaseCause};

/// Make a hold cover less; what it no longer covers goes at its own time
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  clipkeep hold narrow h7 --dir /srv/clips --camera front-door --from \"2026-11-23 19:00\" \\
      --to \"2026-11-23 20:00\" --because withdrawn --actor desk \\
      --reason \"the hour is known now\"")]
pub(super) struct Args {
    #[command(flatten)]
    store: StoreArgs,

    /// The hold
    id: HoldId,

    /// A camera that stays covered; may be given more than once
    #[arg(long, short, required = true)]
    camera: Vec<CameraId>,

    #[command(flatten)]
    window: WindowArgs,

    /// Why the rest is let go: denied, withdrawn, rejected, disclosed, ended or owner
    #[arg(long, value_name = "CAUSE")]
    because: ReleaseCause,

    /// Who narrows it
    #[arg(long, env = "CLIPKEEP_ACTOR")]
    actor: String,

    /// The second person, whom an order needs
    #[arg(long)]
    second_actor: Option<String>,

    /// Why, in words
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

pub(super) fn run(args: Args, out: &mut Out) -> anyhow::Result<Exit> {
    let window = args.window.window()?;
    let scope = args.camera.into_iter().map(|camera| (camera, window)).collect();
    let mut release = Release::new(args.because, args.actor).reason(args.reason);
    if let Some(second) = args.second_actor {
        release = release.second_actor(second);
    }
    let store = args.store.write()?;
    let hold = store.narrow_hold(args.id, scope, &release)?;
    store.close()?;
    if out.wants_json() {
        out.json(&view::hold(&hold))?;
    } else {
        super::show::print(&hold, out)?;
    }
    Ok(Exit::Done)
}
