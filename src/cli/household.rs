//! `clipkeep household`: homes, their cameras, and their word on being asked.

use std::str::FromStr;

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::json;

use super::audit;
use super::desk_args::DeskArgs;
use super::exit::Exit;
use super::output::Out;
use crate::CameraId;
use crate::requests::{HouseholdId, NewHousehold, Place, Text};
use crate::types::Error;

/// Register homes with their cameras, opt out in one step, and see what is asked
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  clipkeep household join --camera front-door@40.0123,-75.0456 --dir /srv/clips
  clipkeep household opt-out h3 --dir /srv/clips
  clipkeep household asked h3 --dir /srv/clips
  clipkeep household audit h3 --dir /srv/clips")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

/// What can be done with households.
#[derive(Debug, Subcommand)]
enum Command {
    /// Register a home
    Join {
        #[command(flatten)]
        store: DeskArgs,

        /// A camera and roughly where it is: ID@LATITUDE,LONGITUDE. Once for each camera
        #[arg(long = "camera", value_name = "CAMERA", required = true)]
        cameras: Vec<Placed>,

        /// How to reach the resident; kept beside the ledger
        #[arg(long, default_value = "")]
        contact: String,
    },
    /// Never ask this home again, and let go of what waits for its answer
    OptOut {
        #[command(flatten)]
        store: DeskArgs,

        /// The home
        household: HouseholdId,
    },
    /// Ask this home again from now on
    OptIn {
        #[command(flatten)]
        store: DeskArgs,

        /// The home
        household: HouseholdId,
    },
    /// Remove a home, and destroy what is personal about it
    Leave {
        #[command(flatten)]
        store: DeskArgs,

        /// The home
        household: HouseholdId,
    },
    /// Who asked for, held, shared, fetched and deleted what of a home, the newest first
    Audit {
        #[command(flatten)]
        store: DeskArgs,

        /// The home
        household: HouseholdId,
    },
    /// Everything that a home is or was asked, and what is held of it
    Asked {
        #[command(flatten)]
        store: DeskArgs,

        /// The home
        household: HouseholdId,
    },
}

/// A camera with its place.
#[derive(Clone, Debug)]
struct Placed(CameraId, Place);

impl FromStr for Placed {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (camera, place) = text.split_once('@').context("want ID@LATITUDE,LONGITUDE")?;
        let (lat, lon) = place.split_once(',').context("want ID@LATITUDE,LONGITUDE")?;
        let place = Place { lat: lat.trim().parse()?, lon: lon.trim().parse()? };
        Ok(Self(camera.parse()?, place))
    }
}

pub(super) fn run(args: Args, out: &mut Out) -> anyhow::Result<Exit> {
    match args.command {
        Command::Join { store, cameras, contact } => {
            let cameras = cameras.into_iter().map(|placed| (Text(placed.0), placed.1)).collect();
            let home = NewHousehold { cameras, contact };
            let id = store.desk()?.join_household(&home).map_err(Error::from)?;
            done(id, "joined", out)?;
        }
        Command::OptOut { store, household } => {
            store.desk()?.opt_out(household).map_err(Error::from)?;
            done(household, "opted out", out)?;
        }
        Command::OptIn { store, household } => {
            store.desk()?.opt_in(household).map_err(Error::from)?;
            done(household, "opted in", out)?;
        }
        Command::Leave { store, household } => {
            store.desk()?.leave(household).map_err(Error::from)?;
            done(household, "left", out)?;
        }
        Command::Audit { store, household } => {
            let lines = store.desk()?.audit_of_household(household).map_err(Error::from)?;
            audit::show(&lines, out)?;
        }
        Command::Asked { store, household } => asked(&store, household, out)?,
    }
    Ok(Exit::Done)
}

fn done(household: HouseholdId, what: &str, out: &mut Out) -> anyhow::Result<()> {
    if out.wants_json() {
        return out.json(&json!({"household": household.to_string(), "done": what}));
    }
    out.line(format_args!("Household {household} {what}."))
}

fn asked(store: &DeskArgs, household: HouseholdId, out: &mut Out) -> anyhow::Result<()> {
    let views = store.desk()?.asked(household).map_err(Error::from)?;
    if out.wants_json() {
        let views: Result<Vec<_>, _> = views.iter().map(serde_json::to_value).collect();
        return out.json_list("asked", views?.into_iter());
    }
    for view in &views {
        let window = view.window.window();
        let (from, to) = (out.time(window.start()), out.time(window.end()));
        out.line(format_args!("{} of {}: {}", view.request.0, view.agency.0, view.answer))?;
        out.line(format_args!("  what was recorded from {from} to {to}"))?;
        if let Some(submission) = &view.submission {
            out.line(format_args!("  because of: {}, {}", submission.kind, submission.incident))?;
            if !submission.words.is_empty() {
                out.line(format_args!("  \"{}\"", submission.words))?;
            }
            out.line(format_args!("  ask back: {}", submission.contact))?;
        }
        if let Some(gone) = view.words_gone {
            out.line(format_args!("  its words were destroyed on {}", out.time(gone.0)))?;
        }
        if let Some(until) = view.until {
            out.line(format_args!("  until {}", out.time(until.0)))?;
        }
        let holds: Vec<String> = view.holds.iter().map(|hold| hold.0.to_string()).collect();
        if !holds.is_empty() {
            out.line(format_args!("  kept meanwhile by hold {}", holds.join(", ")))?;
        }
    }
    out.line(match views.len() {
        0 => "Nothing was asked.".to_owned(),
        1 => "1 request".to_owned(),
        count => format!("{count} requests"),
    })
}
