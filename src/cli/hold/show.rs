//! `clipkeep hold show`.

use serde_json::json;

use crate::cli::exit::Exit;
use crate::cli::output::Out;
use crate::cli::store_args::Dir;
use crate::cli::{size, view};
use crate::{Hold, HoldId};

/// Show one hold and what it covers now
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  clipkeep hold show h7 --dir /srv/clips")]
pub(super) struct Args {
    #[command(flatten)]
    dir: Dir,

    /// The hold, as `hold list` names it
    id: HoldId,
}

pub(super) fn run(args: &Args, out: &mut Out) -> anyhow::Result<Exit> {
    let store = args.dir.read()?;
    let hold = store.hold(args.id)?;
    let receipt = store.hold_receipt(args.id)?;
    if out.wants_json() {
        out.json(&json!({"hold": view::hold(&hold), "covers": view::receipt(&receipt)}))?;
        return Ok(Exit::Done);
    }
    print(&hold, out)?;
    let clips = size::count(receipt.clips, "clip");
    out.line(format_args!("  covers     {clips}, {}", size::bytes(receipt.bytes)))?;
    Ok(Exit::Done)
}

/// A hold, for a person.
pub(super) fn print(hold: &Hold, out: &mut Out) -> anyhow::Result<()> {
    out.line(format_args!("Hold {} ({}), {}", hold.id(), hold.cause(), hold.state().name()))?;
    for (camera, window) in hold.scope() {
        let (from, to) = (out.time(window.start()), out.time(window.end()));
        out.line(format_args!("  on         {camera} {from} to {to}"))?;
    }
    let texts = [
        ("reference", hold.reference()),
        ("reason", hold.reason()),
        ("agency", hold.agency()),
        ("placed by", hold.actor()),
    ];
    for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        out.line(format_args!("  {name:<10} {text}"))?;
    }
    out.line(format_args!("  placed     {}", out.time(hold.placed_at())))?;
    out.line(format_args!("  deadline   {}", out.time(hold.deadline())))?;
    if let Some(at) = hold.released_at() {
        let (by, why) = (hold.released_by(), hold.release_reason());
        out.line(format_args!("  released   {} by {by:?}: {why}", out.time(at)))?;
    }
    if let crate::HoldState::Grace { until } = hold.state() {
        out.line(format_args!("  protects   until {} all the same", out.time(until)))?;
    }
    Ok(())
}
