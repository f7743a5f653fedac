//! `clipkeep man`: the manual pages, for packages.

use std::path::PathBuf;

use clap::CommandFactory as _;

use super::args::Cli;
use super::exit::Exit;
use super::files;
use super::output::Out;

/// Write a manual page for each command into a folder
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(super) struct Args {
    /// The folder
    dir: PathBuf,
}

pub(super) fn run(args: &Args, out: &mut Out) -> anyhow::Result<Exit> {
    files::create_dir(&args.dir)?;
    let mut command = Cli::command();
    command.build();
    write(&command, "clipkeep", args, out)?;
    Ok(Exit::Done)
}

/// The page of `command` and those of the commands below it: `clipkeep-hold-place.1`.
fn write(command: &clap::Command, name: &str, args: &Args, out: &mut Out) -> anyhow::Result<()> {
    let page = clap_mangen::Man::new(command.clone()).title(name);
    let path = args.dir.join(format!("{name}.1"));
    files::write(&path, true, |mut file| Ok(page.render(&mut file)?))?;
    out.line(path.display())?;
    let shown = |inner: &&clap::Command| inner.get_name() != "help" && !inner.is_hide_set();
    for inner in command.get_subcommands().filter(shown) {
        write(inner, &format!("{name}-{}", inner.get_name()), args, out)?;
    }
    Ok(())
}
