//! `clipkeep hold list`.

use crate::Hold;
use crate::cli::exit::Exit;
use crate::cli::output::Out;
use crate::cli::store_args::Dir;
use crate::cli::{size, view};

/// List the holds that protect something
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  clipkeep hold list --dir /srv/clips
  clipkeep hold list --dir /srv/clips --all --json")]
pub(super) struct Args {
    #[command(flatten)]
    dir: Dir,

    /// Also those that ended
    #[arg(long)]
    all: bool,
}

pub(super) fn run(args: &Args, out: &mut Out) -> anyhow::Result<Exit> {
    let store = args.dir.read()?;
    let mut holds = store.holds();
    holds.retain(|hold| args.all || hold.protects());
    if out.wants_json() {
        out.json_list("holds", holds.iter().map(view::hold))?;
        return Ok(Exit::Done);
    }
    if !holds.is_empty() {
        let header = ["ID", "CAUSE", "STATE", "REFERENCE", "CAMERAS", "FROM", "TO", "UNTIL"];
        let rows = holds.iter().map(|hold| row(hold, out)).collect();
        out.table(&header, &[], rows)?;
    }
    out.line(size::count(u64::try_from(holds.len())?, "hold"))?;
    Ok(Exit::Done)
}

fn row(hold: &Hold, out: &Out) -> Vec<String> {
    let mut cameras: Vec<&str> = hold.scope().iter().map(|(camera, _)| camera.as_str()).collect();
    cameras.dedup();
    let from = hold.scope().iter().map(|(_, window)| window.start()).min();
    let to = hold.scope().iter().map(|(_, window)| window.end()).max();
    let until = match hold.state() {
        crate::HoldState::Grace { until } => until,
        crate::HoldState::Active | crate::HoldState::Ended => hold.deadline(),
    };
    vec![
        hold.id().to_string(),
        hold.cause().name().to_owned(),
        hold.state().name().to_owned(),
        hold.reference().to_owned(),
        cameras.join(" "),
        from.map_or_else(String::new, |at| out.time(at)),
        to.map_or_else(String::new, |at| out.time(at)),
        out.time(until),
    ]
}
