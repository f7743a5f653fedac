//! `clipkeep init`: makes a store.

use serde_json::json;

use super::exit::Exit;
use super::output::Out;
use super::store_args::StoreArgs;
use super::view;
use crate::Retention;

/// Make a store
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  clipkeep init --dir /srv/clips --retention 5d..10d
  clipkeep init --dir /srv/clips --retention 12h..5d --quota 64GiB

The retention is part of the store; `clipkeep policy set` changes it. The quota and the other store
options are not: give them again to the commands that write (or set CLIPKEEP_QUOTA and so on).")]
pub(super) struct Args {
    #[command(flatten)]
    store: StoreArgs,

    /// How long clips are kept: at least, and at most
    #[arg(long, default_value = "5d..10d", value_name = "LEAST..MOST")]
    retention: Retention,
}

pub(super) fn run(args: &Args, out: &mut Out) -> anyhow::Result<Exit> {
    let store = args.store.create(args.retention)?;
    let created = store.opening().created;
    let retention = store.retention(None);
    store.close()?;
    let dir = args.store.dir.path.display();
    if out.wants_json() {
        let retention = view::retention(&retention);
        out.json(&json!({"dir": dir.to_string(), "created": created, "retention": retention}))?;
    } else if created {
        out.line(format_args!("Store {dir} keeps clips for {retention}."))?;
    } else {
        out.line(format_args!("Store {dir} was there before; it keeps clips for {retention}."))?;
    }
    Ok(Exit::Done)
}
