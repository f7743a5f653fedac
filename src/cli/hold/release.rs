//! `clipkeep hold release`.

use crate::cli::exit::Exit;
use crate::cli::output::Out;
use crate::cli::store_args::StoreArgs;
use crate::cli::view;
use crate::{HoldId, Release, ReleaseCause};

/// End a hold; its clips go on at their own age, after the grace that its end brings
///
/// Grace: denied 24 h (the resident may think again), withdrawn 72 h, ended as written in the
/// order, rejected, disclosed and owner none.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  clipkeep hold release h7 --dir /srv/clips --because denied --actor resident
  clipkeep hold release h9 --dir /srv/clips --because ended --actor j.doe --second-actor m.roe \\
      --reason \"order 19-CV-12 expired\"")]
pub(super) struct Args {
    #[command(flatten)]
    store: StoreArgs,

    /// The hold
    id: HoldId,

    /// Why: denied, withdrawn, rejected, disclosed, ended or owner
    #[arg(long, value_name = "CAUSE")]
    because: ReleaseCause,

    /// Who releases it
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
    let mut release = Release::new(args.because, args.actor).reason(args.reason);
    if let Some(second) = args.second_actor {
        release = release.second_actor(second);
    }
    let store = args.store.write()?;
    let hold = store.release_hold(args.id, &release)?;
    store.close()?;
    if out.wants_json() {
        out.json(&view::hold(&hold))?;
    } else {
        super::show::print(&hold, out)?;
    }
    Ok(Exit::Done)
}
