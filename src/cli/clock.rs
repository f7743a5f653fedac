//! `clipkeep clock`: the time that decides, and the machine's clock beside it.

use clap::Subcommand;
use serde_json::json;

use super::exit::Exit;
use super::output::Out;
use super::store_args::{Dir, StoreArgs};
use super::view;
use crate::{ClockStatus, Timestamp};

/// Show trusted time, or vouch for the machine's clock
///
/// Expiry goes by the store's own time, which a wrong wall clock cannot move. When the wall clock
/// is far ahead and right (the machine was off for days), confirm it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  clipkeep clock status --dir /srv/clips
  clipkeep clock confirm --dir /srv/clips --actor j.doe")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

/// What can be done with the clock.
#[derive(Debug, Subcommand)]
enum Command {
    /// Show trusted time and how the machine's clock compares
    Status(Dir),
    /// Vouch for the machine's clock: trusted time goes on from it
    Confirm {
        #[command(flatten)]
        store: StoreArgs,

        /// Who vouches for it
        #[arg(long, env = "CLIPKEEP_ACTOR")]
        actor: String,
    },
}

pub(super) fn run(args: &Args, out: &mut Out) -> anyhow::Result<Exit> {
    match &args.command {
        Command::Status(dir) => {
            let store = dir.read()?;
            print(store.now(), store.clock_status(), out)?;
        }
        Command::Confirm { store, actor } => {
            let store = store.write()?;
            let now = store.confirm_clock(actor)?;
            let status = store.clock_status();
            store.close()?;
            print(now, status, out)?;
        }
    }
    Ok(Exit::Done)
}

fn print(now: Timestamp, status: ClockStatus, out: &mut Out) -> anyhow::Result<()> {
    if out.wants_json() {
        return out.json(&json!({"now": now.to_string(), "clock": view::clock(status)}));
    }
    out.line(format_args!("Trusted time is {}; {status}.", out.time(now)))
}
