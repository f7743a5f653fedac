//! `clipkeep keep`: the owner's own hold.

use super::exit::Exit;
use super::hold::{self, Terms};
use super::output::Out;
use super::store_args::{StoreArgs, WindowArgs};
use crate::{CameraId, HoldCause};

/// Keep footage beyond its time, for yourself
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  clipkeep keep --dir /srv/clips --camera garden --from \"2h ago\" --to now --reason \"first snow\"
  clipkeep keep --dir /srv/clips --camera garden --from 2026-11-23 --to 2026-11-24 --for 30d

`clipkeep hold release ID --because owner --actor NAME` lets it go again.")]
pub(super) struct Args {
    #[command(flatten)]
    store: StoreArgs,

    /// The camera; may be given more than once
    #[arg(long, short, required = true)]
    camera: Vec<CameraId>,

    #[command(flatten)]
    window: WindowArgs,

    #[command(flatten)]
    terms: Terms,
}

pub(super) fn run(args: Args, out: &mut Out) -> anyhow::Result<Exit> {
    let window = args.window.window()?;
    let hold = args.terms.hold(HoldCause::Keep, args.camera, window);
    hold::place(&args.store, hold, out)
}
