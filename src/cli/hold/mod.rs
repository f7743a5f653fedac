//! `clipkeep hold`: promises not to delete.

mod list;
mod narrow;
mod place;
mod release;
mod renew;
mod show;

use clap::Subcommand;

pub(super) use self::place::{Terms, place};
use super::exit::Exit;
use super::output::Out;

/// Place, look at, and end holds: promises not to delete
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  clipkeep hold place --dir /srv/clips --camera front-door --from \"yesterday 18:00\" \\
      --to \"yesterday 22:00\" --cause request --reference \"case 19-4471\" --actor desk --for 14d
  clipkeep hold list --dir /srv/clips
  clipkeep hold release h7 --dir /srv/clips --because denied --actor resident")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

/// What can be done with holds.
#[derive(Debug, Subcommand)]
enum Command {
    Place(place::Args),
    List(list::Args),
    Show(show::Args),
    Narrow(narrow::Args),
    Renew(renew::Args),
    Release(release::Args),
}

pub(super) fn run(args: Args, out: &mut Out) -> anyhow::Result<Exit> {
    match args.command {
        Command::Place(args) => place::run(args, out),
        Command::List(args) => list::run(&args, out),
        Command::Show(args) => show::run(&args, out),
        Command::Narrow(args) => narrow::run(args, out),
        Command::Renew(args) => renew::run(&args, out),
        Command::Release(args) => release::run(args, out),
    }
}
