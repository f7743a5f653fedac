//! `clipkeep policy`: how long clips are kept.

use clap::Subcommand;
use serde_json::{Value, json};

use super::exit::Exit;
use super::output::Out;
use super::store_args::{Dir, StoreArgs};
use super::view;
use crate::{CameraId, PolicyScope, Retention, Store};

/// Show or change how long clips are kept
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  clipkeep policy show --dir /srv/clips
  clipkeep policy set 7d..14d --dir /srv/clips
  clipkeep policy set 12h..2d --dir /srv/clips --camera street")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

/// What can be done with the retention.
#[derive(Debug, Subcommand)]
enum Command {
    /// Show the retention of the store and of each camera
    Show(Dir),
    Set(Set),
}

/// Set the retention
///
/// Clips that are already recorded keep theirs, unless --existing is given.
#[derive(Debug, clap::Args)]
struct Set {
    #[command(flatten)]
    store: StoreArgs,

    /// At least, and at most
    #[arg(value_name = "LEAST..MOST")]
    retention: Retention,

    /// Only for this camera [default: for every camera without its own]
    #[arg(long, short)]
    camera: Option<CameraId>,

    /// Also for the clips that are already recorded: may delete some at the next sweep
    #[arg(long)]
    existing: bool,
}

pub(super) fn run(args: &Args, out: &mut Out) -> anyhow::Result<Exit> {
    match &args.command {
        Command::Show(dir) => show(&dir.read()?, out)?,
        Command::Set(args) => {
            let scope =
                if args.existing { PolicyScope::ExistingToo } else { PolicyScope::NewClips };
            let store = args.store.write()?;
            store.set_retention(args.camera.as_ref(), args.retention, scope)?;
            show(&store, out)?;
            store.close()?;
        }
    }
    Ok(Exit::Done)
}

fn show(store: &Store, out: &mut Out) -> anyhow::Result<()> {
    let default = store.retention(None);
    let cameras = store.cameras();
    if out.wants_json() {
        let of = |camera: &CameraId| -> Value {
            let retention = view::retention(&store.retention(Some(camera)));
            json!({"camera": camera.as_str(), "retention": retention})
        };
        let cameras: Vec<Value> = cameras.iter().map(of).collect();
        return out.json(&json!({"default": view::retention(&default), "cameras": cameras}));
    }
    out.line(format_args!("Clips are kept for {default}."))?;
    for camera in &cameras {
        let own = store.retention(Some(camera));
        if own != default {
            out.line(format_args!("  {camera}: {own}"))?;
        }
    }
    Ok(())
}
