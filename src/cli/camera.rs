//! `clipkeep camera`: which cameras there are.

use clap::Subcommand;
use serde_json::{Value, json};

use super::exit::Exit;
use super::output::Out;
use super::size;
use super::store_args::{Dir, StoreArgs};
use super::view;
use crate::{CameraId, CameraStats};

/// List, add and remove cameras
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  clipkeep camera list --dir /srv/clips
  clipkeep camera add front-door --dir /srv/clips
  clipkeep camera remove garden --dir /srv/clips")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

/// What can be done with cameras.
#[derive(Debug, Subcommand)]
enum Command {
    /// List the cameras, with what is kept of each
    List {
        #[command(flatten)]
        dir: Dir,

        /// Also those that were removed
        #[arg(long)]
        all: bool,
    },
    /// Make a camera known before its first clip, or bring a removed one back
    Add {
        #[command(flatten)]
        store: StoreArgs,

        /// The camera's id
        id: CameraId,
    },
    /// Hide a camera; its clips live out their time, and what is held stays
    Remove {
        #[command(flatten)]
        store: StoreArgs,

        /// The camera's id
        id: CameraId,
    },
}

pub(super) fn run(args: &Args, out: &mut Out) -> anyhow::Result<Exit> {
    match &args.command {
        Command::List { dir, all } => {
            let mut cameras = dir.read()?.stats()?.cameras;
            cameras.retain(|camera| *all || !camera.removed);
            list(&cameras, out)?;
        }
        Command::Add { store, id } => {
            let store = store.write()?;
            store.add_camera(id)?;
            store.close()?;
            done(id, "added", out)?;
        }
        Command::Remove { store, id } => {
            let store = store.write()?;
            store.remove_camera(id)?;
            store.close()?;
            done(id, "removed", out)?;
        }
    }
    Ok(Exit::Done)
}

fn done(camera: &CameraId, what: &str, out: &mut Out) -> anyhow::Result<()> {
    if out.wants_json() {
        return out.json(&json!({"camera": camera.as_str(), "done": what}));
    }
    out.line(format_args!("Camera {camera} {what}."))
}

fn list(cameras: &[CameraStats], out: &mut Out) -> anyhow::Result<()> {
    if out.wants_json() {
        return out.json_list("cameras", cameras.iter().map(to_json));
    }
    print(cameras, out)?;
    out.line(size::count(u64::try_from(cameras.len())?, "camera"))
}

/// A table of cameras.
pub(super) fn print(cameras: &[CameraStats], out: &mut Out) -> anyhow::Result<()> {
    let header = ["CAMERA", "KEPT", "CLIPS", "SIZE", "OLDEST", "NEWEST", ""];
    let row = |camera: &CameraStats| {
        vec![
            camera.camera.to_string(),
            camera.retention.to_string(),
            camera.clips.to_string(),
            size::bytes(camera.bytes),
            camera.oldest.map_or_else(String::new, |at| out.time(at)),
            camera.newest.map_or_else(String::new, |at| out.time(at)),
            if camera.removed { "removed".to_owned() } else { String::new() },
        ]
    };
    let rows: Vec<_> = cameras.iter().map(row).collect();
    if rows.is_empty() {
        return Ok(());
    }
    out.table(&header, &[2, 3], rows)
}

/// The figures of a camera, for scripts.
pub(super) fn to_json(camera: &CameraStats) -> Value {
    json!({
        "camera": camera.camera.as_str(),
        "class": camera.class.to_string(),
        "retention": view::retention(&camera.retention),
        "removed": camera.removed,
        "clips": camera.clips,
        "bytes": camera.bytes,
        "oldest": view::time(camera.oldest),
        "newest": view::time(camera.newest),
    })
}
