//! `clipkeep token`: who may use the daemon of a store.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::exit::Exit;
use super::output::Out;
use super::when::Span;
use crate::daemon::{NewToken, Role, TokenFile, TokenLine};
use crate::requests::{AgencyId, HouseholdId};
use crate::types::Clock as _;
use crate::{CameraId, SystemClock};

/// Make, list and revoke the tokens of `clipkeep serve`
///
/// A running daemon knows within a second. It keeps no token, only what is needed to recognise one.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  clipkeep token make --dir /srv/clips --role resident --name \"hall tablet\"
  clipkeep token make --dir /srv/clips --role camera --camera front-door
  clipkeep token make --dir /srv/clips --role agency --agency springfield-pd
  clipkeep token ls --dir /srv/clips
  clipkeep token revoke --dir /srv/clips 0f3a99c1")]
pub(super) struct Args {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token, and print it this once
    Make(Make),
    /// List tokens, without their secrets
    Ls(At),
    /// End a token
    Revoke(Revoke),
}

/// Which store.
#[derive(Debug, clap::Args)]
struct At {
    /// The store's folder
    #[arg(long, env = "CLIPKEEP_DIR", value_name = "DIR")]
    dir: PathBuf,

    /// Print JSON, for scripts
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Make {
    #[command(flatten)]
    at: At,

    /// What it is for: camera, resident, agency, operator or public
    #[arg(long)]
    role: Role,

    /// Only for this camera; can be given several times [default: all]
    #[arg(long = "camera", short, value_name = "CAMERA")]
    cameras: Vec<CameraId>,

    /// For the cameras of this home, those that it gets later too; in place of --camera
    #[arg(long, value_name = "HOUSEHOLD")]
    household: Option<HouseholdId>,

    /// The agency that it is of: for the role agency
    #[arg(long)]
    agency: Option<AgencyId>,

    /// What you call it
    #[arg(long, default_value = "")]
    name: String,

    /// How long it is good [default: until it is revoked]
    #[arg(long, value_name = "DURATION")]
    expires_in: Option<Span>,
}

#[derive(Debug, clap::Args)]
struct Revoke {
    #[command(flatten)]
    at: At,

    /// Its id: the part behind `ck_`
    id: String,
}

pub(super) fn run(args: &Args, out: &mut Out) -> anyhow::Result<Exit> {
    match &args.command {
        TokenCommand::Make(args) => make(args, out),
        TokenCommand::Ls(args) => list(args, out),
        TokenCommand::Revoke(args) => {
            TokenFile::of(&args.at.dir).revoke(&args.id)?;
            if out.wants_json() {
                out.json(&json!({"revoked": args.id}))?;
            } else {
                out.line(format_args!("Token {} is revoked.", args.id))?;
            }
            Ok(Exit::Done)
        }
    }
}

fn make(args: &Make, out: &mut Out) -> anyhow::Result<Exit> {
    let ends = args.expires_in.map(|Span(lasts)| SystemClock.wall().saturating_add(lasts));
    let issued = TokenFile::of(&args.at.dir).add(&NewToken {
        role: args.role,
        cameras: args.cameras.clone(),
        household: args.household,
        agency: args.agency.clone(),
        name: args.name.clone(),
        expires: ends,
    })?;
    if out.wants_json() {
        let role = issued.role.name();
        out.json(&json!({"id": issued.id, "role": role, "token": issued.secret}))?;
    } else {
        out.line(&issued.secret)?;
    }
    Ok(Exit::Done)
}

fn list(args: &At, out: &mut Out) -> anyhow::Result<Exit> {
    let tokens = TokenFile::of(&args.dir).list()?;
    if out.wants_json() {
        let rows = tokens.into_iter().map(|token| {
            json!({"id": token.id, "role": token.role.name(), "cameras": token.cameras,
                "household": token.household, "agency": token.agency, "name": token.name,
                "ends": token.ends})
        });
        out.json_list("tokens", rows)?;
        return Ok(Exit::Done);
    }
    let row = |token: TokenLine| {
        let cameras = match token.agency.or(token.household) {
            Some(of) => of,
            None if token.cameras.is_empty() => "all cameras".to_owned(),
            None => token.cameras.join(" "),
        };
        vec![token.id, token.role.to_string(), cameras, token.name, token.ends.unwrap_or_default()]
    };
    let rows = tokens.into_iter().map(row).collect();
    out.table(&["ID", "ROLE", "FOR", "NAME", "ENDS"], &[], rows)?;
    Ok(Exit::Done)
}
