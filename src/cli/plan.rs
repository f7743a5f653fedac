//! `clipkeep plan`: what a sweep would do, and why.

use serde_json::{Value, json};

use super::exit::Exit;
use super::output::Out;
use super::size;
use super::store_args::StoreArgs;
use crate::{ExpiryReason, KeptItem, KeptReason, PlanAction, PlanItem, SweepPlan};

/// Show what a sweep would delete, what it would keep, and why; deletes nothing
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  clipkeep plan --dir /srv/clips
  clipkeep plan --dir /srv/clips --quota 64GiB --kept")]
pub(super) struct Args {
    #[command(flatten)]
    store: StoreArgs,

    /// Also list every segment that stays, with the reason
    #[arg(long)]
    kept: bool,
}

pub(super) fn run(args: &Args, out: &mut Out) -> anyhow::Result<Exit> {
    let store = args.store.read()?;
    let plan = store.plan_sweep()?;
    if out.wants_json() {
        out.json(&to_json(&plan))?;
    } else {
        print(&plan, args.kept, out)?;
    }
    Ok(Exit::Done)
}

fn print(plan: &SweepPlan, kept: bool, out: &mut Out) -> anyhow::Result<()> {
    out.line(format_args!("At {} (trusted time) a sweep would:", out.time(plan.now())))?;
    for item in plan.items() {
        out.line(format_args!("  {item}"))?;
    }
    if plan.is_empty() {
        out.line("  do nothing: nothing is due, and there is room")?;
    }
    out.line(format_args!("It frees {}.", size::bytes(plan.freed_bytes())))?;
    if plan.deferred() > 0 {
        let segments = size::count(plan.deferred(), "segment");
        out.line(format_args!(
            "{segments} more must wait for the next sweep: one may drop only so much."
        ))?;
    }
    if plan.short_bytes() > 0 {
        let short = size::bytes(plan.short_bytes());
        out.line(format_args!("{short} more are wanted and cannot be had: recording stops."))?;
    }
    if kept {
        for item in plan.kept() {
            out.line(format_args!("  {item}"))?;
        }
    } else {
        let count = size::count(u64::try_from(plan.kept().len())?, "segment");
        out.line(format_args!("It keeps {count} (--kept lists them)."))?;
    }
    Ok(())
}

/// The plan, for scripts.
pub(super) fn to_json(plan: &SweepPlan) -> Value {
    json!({
        "now": plan.now().to_string(),
        "items": plan.items().iter().map(item_json).collect::<Vec<_>>(),
        "kept": plan.kept().iter().map(kept_json).collect::<Vec<_>>(),
        "freed_bytes": plan.freed_bytes(),
        "short_bytes": plan.short_bytes(),
        "deferred_segments": plan.deferred(),
        "deferred_bytes": plan.deferred_bytes(),
    })
}

fn item_json(item: &PlanItem) -> Value {
    json!({
        "segment": item.segment().to_string(),
        "class": item.class().to_string(),
        "action": match item.action() {
            PlanAction::Drop => "drop",
            PlanAction::MoveHeldThenDrop => "move-held-then-drop",
            PlanAction::ExpireClips => "expire-clips",
        },
        "reason": expiry_reason(item.reason()),
        "clips": item.clips(),
        "bytes": item.bytes(),
        "held_clips": item.held_clips(),
        "held_bytes": item.held_bytes(),
        "due": item.due().to_string(),
        "text": item.to_string(),
    })
}

fn kept_json(item: &KeptItem) -> Value {
    json!({
        "segment": item.segment().to_string(),
        "class": item.class().to_string(),
        "reason": match item.reason() {
            KeptReason::NotDue { .. } => "not-due",
            KeptReason::AllHeld => "all-held",
            KeptReason::HoldsTail => "holds-tail",
            KeptReason::BehindOlder => "behind-older",
            KeptReason::ShareLimit => "share-limit",
            KeptReason::PromiseKept => "promise-kept",
            KeptReason::FreesNothing => "frees-nothing",
        },
        "text": item.to_string(),
    })
}

/// A short stable name.
pub(super) fn expiry_reason(reason: ExpiryReason) -> &'static str {
    match reason {
        ExpiryReason::Due => "due",
        ExpiryReason::Space => "space",
        ExpiryReason::Early => "early",
        ExpiryReason::Released => "released",
    }
}
