//! `clipkeep agency`: the departments that may ask.

use clap::Subcommand;
use serde_json::json;

use super::audit;
use super::desk_args::DeskArgs;
use super::exit::Exit;
use super::output::Out;
use crate::requests::{AgencyId, Desk};
use crate::types::Error;

/// Say which departments may ask residents for footage, and show the public list
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  clipkeep agency join springfield-pd --contact desk@springfield.example --dir /srv/clips
  clipkeep agency list --dir /srv/clips
  clipkeep agency suspend springfield-pd --dir /srv/clips")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

/// What can be done with agencies.
#[derive(Debug, Subcommand)]
enum Command {
    /// Everybody who is or was a partner, since when, how often they asked, how that ended: public
    List {
        #[command(flatten)]
        store: DeskArgs,
    },
    /// Make a department a partner from now on
    Join {
        #[command(flatten)]
        store: DeskArgs,

        /// Its name: lower-case letters, digits and '-'
        agency: AgencyId,

        /// How to reach it; kept beside the ledger
        #[arg(long, default_value = "")]
        contact: String,
    },
    /// It may neither ask nor fetch, and what it asked is withdrawn
    Suspend {
        #[command(flatten)]
        store: DeskArgs,

        /// Its name
        agency: AgencyId,
    },
    /// What it asked, and what came of it, the newest first
    Audit {
        #[command(flatten)]
        store: DeskArgs,

        /// Its name
        agency: AgencyId,
    },
    /// It may ask again
    Reinstate {
        #[command(flatten)]
        store: DeskArgs,

        /// Its name
        agency: AgencyId,
    },
}

pub(super) fn run(args: &Args, out: &mut Out) -> anyhow::Result<Exit> {
    match &args.command {
        Command::List { store } => list(&store.desk()?, out)?,
        Command::Join { store, agency, contact } => {
            store.desk()?.join_agency(agency, contact).map_err(Error::from)?;
            done(agency, "joined", out)?;
        }
        Command::Suspend { store, agency } => {
            store.desk()?.suspend_agency(agency).map_err(Error::from)?;
            done(agency, "suspended", out)?;
        }
        Command::Audit { store, agency } => {
            let lines = store.desk()?.audit_of_agency(agency).map_err(Error::from)?;
            audit::show(&lines, out)?;
        }
        Command::Reinstate { store, agency } => {
            store.desk()?.reinstate_agency(agency).map_err(Error::from)?;
            done(agency, "reinstated", out)?;
        }
    }
    Ok(Exit::Done)
}

fn done(agency: &AgencyId, what: &str, out: &mut Out) -> anyhow::Result<()> {
    if out.wants_json() {
        return out.json(&json!({"agency": agency.as_str(), "done": what}));
    }
    out.line(format_args!("Agency {agency} {what}."))
}

fn list(desk: &Desk, out: &mut Out) -> anyhow::Result<()> {
    let partners = desk.partners();
    if out.wants_json() {
        let partners: Result<Vec<_>, _> = partners.iter().map(serde_json::to_value).collect();
        return out.json_list("agencies", partners?.into_iter());
    }
    let row = |partner: &crate::requests::Partner| {
        vec![
            partner.agency.0.to_string(),
            out.time(partner.joined.0),
            partner.requests.to_string(),
            partner.rejected.to_string(),
            partner.withdrawn.to_string(),
            partner.closed.to_string(),
            partner.shared.to_string(),
            if partner.suspended { "suspended".to_owned() } else { String::new() },
        ]
    };
    let rows: Vec<_> = partners.iter().map(row).collect();
    if !rows.is_empty() {
        let names = [
            "AGENCY",
            "PARTNER SINCE",
            "REQUESTS",
            "REJECTED",
            "WITHDRAWN",
            "CLOSED",
            "SHARED",
            "",
        ];
        out.table(&names, &[2, 3, 4, 5, 6], rows)?;
    }
    let count = u64::try_from(partners.len())?;
    out.line(if count == 1 { "1 agency".to_owned() } else { format!("{count} agencies") })
}
