//! `clipkeep completions`: what a shell needs to complete our flags.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::args::Cli;
use super::exit::Exit;
use super::output::Out;

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  clipkeep completions bash > /etc/bash_completion.d/clipkeep
  clipkeep completions zsh > ~/.zfunc/_clipkeep")]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: &Args, out: &mut Out) -> anyhow::Result<Exit> {
    // Made in memory first: the generator panics when its writer fails.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "clipkeep", &mut script);
    out.bytes(&script)?;
    Ok(Exit::Done)
}
