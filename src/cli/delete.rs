//! `clipkeep delete`: the owner's delete.

use serde_json::{Value, json};

use super::exit::{self, Exit};
use super::output::Out;
use super::store_args::StoreArgs;
use crate::{ClipId, Store};

/// Delete clips for good, before their time
///
/// A clip under a hold is refused. With --end-holds the holds on it that are the owner's to end are
/// ended for that clip; a court order still stands above it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  clipkeep delete --dir /srv/clips 42-7 42-8 --actor resident --reason \"children in view\"
  clipkeep delete --dir /srv/clips 42-7 --actor resident --end-holds

Every clip has its own outcome; exit code 1 when some were deleted and some not, and that of the
first refusal when none was.")]
pub(super) struct Args {
    #[command(flatten)]
    store: StoreArgs,

    /// The clips, as `ls` names them
    #[arg(required = true)]
    ids: Vec<ClipId>,

    /// Who deletes them
    #[arg(long, env = "CLIPKEEP_ACTOR")]
    actor: String,

    /// Why, in words
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,

    /// Also end the holds on them, except an order's
    #[arg(long)]
    end_holds: bool,
}

pub(super) fn run(args: &Args, out: &mut Out) -> anyhow::Result<Exit> {
    let store = args.store.write()?;
    let outcomes = delete(&store, args);
    store.close()?;
    let failed = outcomes.iter().filter(|(_, outcome)| outcome.is_err()).count();
    if out.wants_json() {
        let values: Vec<Value> = outcomes.iter().map(outcome_json).collect();
        out.json(&json!({"outcomes": values}))?;
    } else {
        for (id, outcome) in &outcomes {
            match outcome {
                Ok(()) => out.line(format_args!("{id}: deleted"))?,
                Err(error) => out.line(format_args!("{id}: not deleted: {error}"))?,
            }
        }
    }
    match outcomes.into_iter().find_map(|(_, outcome)| outcome.err()) {
        None => Ok(Exit::Done),
        Some(first) if failed == args.ids.len() => {
            out.flush()?;
            Err(first.into())
        }
        Some(_) => Ok(Exit::Faults),
    }
}

fn delete(store: &Store, args: &Args) -> Vec<(ClipId, crate::Result<()>)> {
    if !args.end_holds {
        return store.delete_clips(&args.ids, &args.actor, &args.reason);
    }
    let erase = |id: &ClipId| (*id, store.erase_clip(*id, &args.actor, &args.reason));
    args.ids.iter().map(erase).collect()
}

fn outcome_json((id, outcome): &(ClipId, crate::Result<()>)) -> Value {
    let error = outcome.as_ref().err().cloned().map(anyhow::Error::from);
    json!({
        "id": id.to_string(),
        "deleted": outcome.is_ok(),
        "error": error.map(|error| exit::error_json(&error)),
    })
}
