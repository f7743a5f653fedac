//! placeholder
use super::exit::Exit;
use super::output::Out;
/// Demo
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  clipkeep demo")]
pub(super) struct Args {}
pub(super) fn run(_: &Args, _: &mut Out) -> anyhow::Result<Exit> {
    Ok(Exit::Done)
}
