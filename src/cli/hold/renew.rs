//! `clipkeep hold renew`.

use crate::HoldId;
use crate::cli::exit::Exit;
use crate::cli::output::Out;
use crate::cli::store_args::StoreArgs;
use crate::cli::view;
use crate::cli::when::Span;

/// Move a hold's deadline, as far as its cause allows
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  clipkeep hold renew h7 --dir /srv/clips --for 14d --actor desk --reason \"resident away\"")]
pub(super) struct Args {
    #[command(flatten)]
    store: StoreArgs,

    /// The hold
    id: HoldId,

    /// How long from now
    #[arg(long = "for", value_name = "DURATION")]
    duration: Span,

    /// Who renews it
    #[arg(long, env = "CLIPKEEP_ACTOR")]
    actor: String,

    /// Why, in words
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

pub(super) fn run(args: &Args, out: &mut Out) -> anyhow::Result<Exit> {
    let store = args.store.write()?;
    let hold = store.renew_hold(args.id, args.duration.0, &args.actor, &args.reason)?;
    store.close()?;
    if out.wants_json() {
        out.json(&view::hold(&hold))?;
    } else {
        super::show::print(&hold, out)?;
    }
    Ok(Exit::Done)
}
