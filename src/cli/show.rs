//! `clipkeep show`: everything about one clip.

use serde_json::json;

use super::exit::Exit;
use super::output::Out;
use super::size;
use super::store_args::Dir;
use super::view;
use crate::{Clip, ClipId, Explanation};

/// Show one clip: what it is, when it expires, and why it is kept
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  clipkeep show --dir /srv/clips 42-7
  clipkeep show --dir /srv/clips 42-7 --json")]
pub(super) struct Args {
    #[command(flatten)]
    dir: Dir,

    /// The clip, as `ls` names it
    id: ClipId,
}

pub(super) fn run(args: &Args, out: &mut Out) -> anyhow::Result<Exit> {
    let store = args.dir.read()?;
    let clip = store.clip(args.id)?;
    let why = store.explain(args.id)?;
    if out.wants_json() {
        let holds: Vec<_> = why.holds.iter().map(view::hold).collect();
        let mut value = view::clip(&clip, &why.holds);
        if let Some(fields) = value.as_object_mut() {
            fields.insert("retention".to_owned(), view::retention(&why.retention));
            fields.insert("own_expiry".to_owned(), json!(why.own_expiry.to_string()));
            fields.insert("effective_expiry".to_owned(), json!(why.effective_expiry.to_string()));
            fields.insert("holds".to_owned(), json!(holds));
        }
        out.json(&value)?;
    } else {
        print(&clip, &why, out)?;
    }
    Ok(Exit::Done)
}

fn print(clip: &Clip, why: &Explanation, out: &mut Out) -> anyhow::Result<()> {
    let window = clip.window();
    let length = size::duration(window.duration());
    out.line(format_args!("Clip {} of camera {}", clip.id(), clip.camera()))?;
    out.line(format_args!(
        "  recorded  {} to {}, {length}",
        out.time(window.start()),
        out.time(window.end())
    ))?;
    if !clip.uncertainty().is_zero() {
        let off = size::duration(clip.uncertainty());
        out.line(format_args!("  clock     may be off by {off}; holds bind by that"))?;
    }
    out.line(format_args!("  arrived   {}", out.time(clip.received())))?;
    let (media, state) = (clip.media(), clip.state().name());
    let fragments = size::count(u64::from(clip.fragments()), "fragment");
    let bytes = size::bytes(clip.len());
    out.line(format_args!("  bytes     {bytes} ({}), {media}, {state}, {fragments}", clip.len()))?;
    out.line(format_args!("  digest    blake3:{}", view::hex(clip.digest())))?;
    out.line(format_args!(
        "  kept      {}, by age until {}",
        why.retention,
        out.time(why.own_expiry)
    ))?;
    for hold in &why.holds {
        let (cause, state) = (hold.cause(), hold.state().name());
        let until = out.time(hold.deadline());
        out.line(format_args!("  held by   {} ({cause}, {state}) until {until}", hold.id()))?;
    }
    if why.holds.is_empty() {
        return out.line("  held by   nothing");
    }
    out.line(format_args!("  goes      {} at the earliest", out.time(why.effective_expiry)))
}
