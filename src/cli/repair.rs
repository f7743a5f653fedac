//! `clipkeep repair`: writes a damaged ledger anew.

use serde_json::{Value, json};

use super::exit::Exit;
use super::output::Out;
use super::size;
use super::store_args::Dir;
use crate::{RepairReport, Retention, Store};

/// Make a damaged ledger readable again, holding everything in place of what is lost
///
/// For a store that says "nothing is deleted until this is repaired" when no backup of its ledger
/// has every entry. Everything that is whole in the ledger is kept. Because holds may be among what
/// is lost, all cameras are put under holds for all of time, until you release them: place the
/// holds that you know of again, then release these. The damaged files stay where they are.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  clipkeep repair --dir /srv/clips --dry-run
  clipkeep repair --dir /srv/clips --actor ann --reason \"bad sectors on both disks\"

Run it with the store closed. A ledger that can be read is left alone (exit code 2).")]
pub(super) struct Args {
    #[command(flatten)]
    dir: Dir,

    /// Say what would be kept and what is lost, and change nothing
    #[arg(long)]
    dry_run: bool,

    /// Who does this, for the record
    #[arg(
        long,
        required_unless_present = "dry_run",
        default_value = "",
        hide_default_value = true
    )]
    actor: String,

    /// Why, for the record
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,

    /// How long clips are kept whose retention is lost, like 5d..10d [default: the longest there
    /// is]
    #[arg(long, value_name = "LEAST..MOST")]
    retention: Option<Retention>,
}

pub(super) fn run(args: &Args, out: &mut Out) -> anyhow::Result<Exit> {
    let mut options = Store::options().create(false);
    if let Some(retention) = args.retention {
        options = options.retention(retention);
    }
    let report = if args.dry_run {
        options.plan_ledger_repair(&args.dir.path)?
    } else {
        options.repair_ledger(&args.dir.path, &args.actor, &args.reason)?
    };
    if out.wants_json() {
        out.json(&to_json(&report))?;
    } else {
        print(&report, args.dry_run, out)?;
    }
    Ok(Exit::Done)
}

fn print(report: &RepairReport, dry_run: bool, out: &mut Out) -> anyhow::Result<()> {
    let kept = report.entries_kept + report.entries_found_behind;
    out.line(format_args!(
        "Entries of the ledger that can be kept: {kept}; known to be lost: {}.",
        report.entries_lost
    ))?;
    if report.copies_named > 0 {
        let copies = size::count(report.copies_named, "held clip");
        out.line(format_args!("{copies} whose move is not on record any more: put on record."))?;
    }
    for class in &report.classes_kept_longest {
        out.line(format_args!(
            "How long class {class} is to be kept is lost: the longest there is. --retention says \
             otherwise."
        ))?;
    }
    let (Some(first), Some(last)) = (report.holds_placed.first(), report.holds_placed.last())
    else {
        return Ok(());
    };
    let cameras = size::count(report.cameras, "camera");
    if dry_run {
        return out.line(format_args!(
            "Everything of {cameras} would be held until you release it. Nothing was changed."
        ));
    }
    let holds = if first == last { first.to_string() } else { format!("{first} to {last}") };
    out.line(format_args!("Everything of {cameras} is held now, by {holds}. When the holds that"))?;
    out.line("you know of are placed again, two people end that:")?;
    out.line(format_args!(
        "  clipkeep hold release {first} --because ended --actor NAME --second-actor NAME"
    ))
}

fn to_json(report: &RepairReport) -> Value {
    let names = |ids: &[crate::HoldId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    let classes: Vec<String> =
        report.classes_kept_longest.iter().map(ToString::to_string).collect();
    json!({
        "entries_kept": report.entries_kept,
        "entries_found_behind": report.entries_found_behind,
        "entries_lost": report.entries_lost,
        "holds_placed": names(&report.holds_placed),
        "cameras": report.cameras,
        "copies_named": report.copies_named,
        "classes_kept_longest": classes,
    })
}
