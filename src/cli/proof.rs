//! `clipkeep proof`: papers for those who ask whether the store does what it promises.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::desk_args::DeskArgs;
use super::exit::Exit;
use super::files;
use super::output::Out;
use super::store_args::WindowArgs;
use crate::CameraId;
use crate::requests::evidence::check_retention;
use crate::types::Error;

/// Prove to somebody else what the store did, so that they can check it without the store
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  clipkeep proof retention --camera front-door --from \"30 days ago\" --to \"20 days ago\" \\
      --output promise.json --dir /srv/clips
  clipkeep verify promise.json --key \"$(cat street.key)\"")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

/// What can be proved.
#[derive(Debug, Subcommand)]
enum Command {
    /// That footage was kept for as long as promised, or what went early and why
    Retention {
        #[command(flatten)]
        store: DeskArgs,

        /// The camera
        #[arg(long, short)]
        camera: CameraId,

        #[command(flatten)]
        period: WindowArgs,

        /// Put every entry of the ledger in, so that nobody has to believe that none was left out.
        /// It says, by ids, what everybody was asked and answered: for a regulator alone
        #[arg(long)]
        whole: bool,

        /// The file
        #[arg(long, short)]
        output: PathBuf,

        /// Replace it
        #[arg(long)]
        force: bool,
    },
}

pub(super) fn run(args: Args, out: &mut Out) -> anyhow::Result<Exit> {
    let Command::Retention { store, camera, period, whole, output, force } = args.command;
    let period = period.window()?;
    let desk = store.desk()?;
    let proof = desk.retention_proof(&camera, period, whole).map_err(Error::from)?;
    let key = desk.verifying_key().map_err(Error::from)?;
    // What it says is read from it as whoever gets it will.
    let (_, shown) = check_retention(&proof, std::slice::from_ref(&key));
    files::write(&output, force, |file| Ok(file.write_all(&proof)?))?;
    let kept = shown.as_ref().is_some_and(|(account, _)| account.is_kept());
    if out.wants_json() {
        out.json(&json!({"camera": camera.to_string(), "kept": kept, "whole": whole}))?;
        return Ok(Exit::Done);
    }
    if let Some((account, _)) = shown {
        out.line(account)?;
    }
    out.line(format_args!("Check it anywhere, without this store:"))?;
    out.line(format_args!("  clipkeep verify {} --key '{key}'", output.display()))?;
    Ok(Exit::Done)
}
