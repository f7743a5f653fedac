//! `clipkeep request`: a request's life, and the bundle of what was shared.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::json;

use super::audit;
use super::desk_args::DeskArgs;
use super::exit::Exit;
use super::files;
use super::output::Out;
use super::size;
use super::when::{Span as Duration, When};
use crate::evidence::VerifyingKey;
use crate::requests::evidence::Mp4;
use crate::requests::{
    AgencyId, AgencyView, Approval, AskedView, Chosen, HouseholdId, RequestId, Span, Submission,
    Text,
};
use crate::types::{CameraId, ClipId, Error, Window};

/// Take in a request, screen it, answer it, and hand over what was shared
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  clipkeep request submit springfield-pd --file request.json --dir /srv/clips
  clipkeep request screening --dir /srv/clips
  clipkeep request approve r1 --dir /srv/clips
  clipkeep request accept r1 --household h3 --clip 12-4 --dir /srv/clips
  clipkeep request deny r1 --household h4 --dir /srv/clips
  clipkeep request bundle r1 --agency springfield-pd --output evidence.zip --dir /srv/clips
  clipkeep verify evidence.zip --key \"$(cat street.key)\"

FILE of submit is one JSON object: key, window {from, to}, area {circle {center {lat, lon},
radius_m}} or {polygon {corners [..]}}, incident, kind, contact, words.")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

/// What can be done with requests. Who may do what is the daemon's to say; whoever has the store's
/// folder may do all of it.
#[derive(Debug, Subcommand)]
enum Command {
    /// Agency: ask
    Submit {
        #[command(flatten)]
        store: DeskArgs,
        /// Who asks
        agency: AgencyId,
        /// What: a JSON file
        #[arg(long)]
        file: PathBuf,
    },
    /// Agency: see what it asked
    List {
        #[command(flatten)]
        store: DeskArgs,
        /// Who asked
        agency: AgencyId,
    },
    /// Agency: take a request back
    Withdraw(OfAgency),
    /// Agency: give residents more time, once
    Renew(OfAgency),
    /// Agency: write what was shared to one file that can be checked
    Bundle {
        #[command(flatten)]
        of: OfAgency,
        /// The file
        #[arg(long, short)]
        output: PathBuf,
        /// Replace it
        #[arg(long)]
        force: bool,
    },
    /// Agency: say that these clips were fetched
    Acknowledge {
        #[command(flatten)]
        of: OfAgency,
        /// A clip; once for each
        #[arg(long = "clip", required = true)]
        clips: Vec<ClipId>,
    },
    /// Operator: what waits for screening
    Screening {
        #[command(flatten)]
        store: DeskArgs,
    },
    /// Operator: let a request through
    Approve(OfOperator),
    /// Operator: refuse a request
    Reject(OfOperator),
    /// Operator: keep what a court ordered, also against the resident
    Order {
        #[command(flatten)]
        of: OfResident,
        /// A camera that the order names; all that the household is asked about, if none is
        #[arg(long = "camera", short)]
        cameras: Vec<CameraId>,
        /// From this time on; from the beginning of what was asked about, if none is given
        #[arg(long, value_name = "TIME")]
        from: Option<When>,
        /// Up to this time, which is not included
        #[arg(long, value_name = "TIME")]
        to: Option<When>,
        /// For how long
        #[arg(long = "for", value_name = "DURATION")]
        duration: Duration,
    },
    /// Operator: whom to tell of what
    Notices {
        #[command(flatten)]
        store: DeskArgs,
    },
    /// Operator: note that a resident was told, or could not be reached
    Noticed {
        #[command(flatten)]
        of: OfResident,
        /// Could not be reached: that is no answer
        #[arg(long)]
        unreached: bool,
    },
    /// Resident: share clips, or parts of them
    Accept {
        #[command(flatten)]
        of: OfResident,
        /// ID, or ID@FROM/TO for a part; once for each
        #[arg(long = "clip", required = true)]
        clips: Vec<Choice>,
    },
    /// Resident: say no
    Deny(OfResident),
    /// Resident: take the no back, within a day
    Undo(OfResident),
    /// Resident: take back what was shared, before it is fetched
    Revoke(OfResident),
    /// Operator: what everybody did, without saying to which clips
    Audit {
        #[command(flatten)]
        store: DeskArgs,
    },
    /// Print the key that bundles and checkpoints are checked with
    Key {
        #[command(flatten)]
        store: DeskArgs,
    },
    /// Write the certificate that a clip has ended and its bytes were removed
    Certificate {
        #[command(flatten)]
        store: DeskArgs,
        /// The clip
        clip: ClipId,
        /// The file
        #[arg(long, short)]
        output: PathBuf,
    },
    /// Sign what the ledger is now, for witnesses
    Checkpoint {
        #[command(flatten)]
        store: DeskArgs,
    },
    /// Take in a checkpoint that a witness cosigned: bundles show it from then on
    Cosigned {
        #[command(flatten)]
        store: DeskArgs,
        /// The checkpoint with the cosignature
        #[arg(long)]
        file: PathBuf,
        /// The key of the witness: name+hash+base64. Its name becomes public
        #[arg(long)]
        key: VerifyingKey,
    },
}

/// A request and its agency.
#[derive(Debug, clap::Args)]
struct OfAgency {
    #[command(flatten)]
    store: DeskArgs,
    /// The request
    request: RequestId,
    /// Who asked
    #[arg(long)]
    agency: AgencyId,
}

/// A request.
#[derive(Debug, clap::Args)]
struct OfOperator {
    #[command(flatten)]
    store: DeskArgs,
    /// The request
    request: RequestId,
}

/// A request and one household of it.
#[derive(Debug, clap::Args)]
struct OfResident {
    #[command(flatten)]
    store: DeskArgs,
    /// The request
    request: RequestId,
    /// The home
    #[arg(long)]
    household: HouseholdId,
}

/// A clip, or a part of it.
#[derive(Clone, Debug)]
struct Choice(ClipId, Option<Span>);

impl FromStr for Choice {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let Some((clip, part)) = text.split_once('@') else {
            return Ok(Self(text.parse()?, None));
        };
        let (from, to) = part.split_once('/').context("want ID@FROM/TO")?;
        Ok(Self(clip.parse()?, Some(Window::parse(from, to)?.into())))
    }
}

pub(super) fn run(args: Args, out: &mut Out) -> anyhow::Result<Exit> {
    match args.command {
        Command::Submit { store, agency, file } => {
            let text = std::io::read_to_string(files::open(&file)?)?;
            let submission: Submission = serde_json::from_str(&text)
                .map_err(|error| Error::invalid(format!("{}: {error}", file.display())))?;
            let view = store.desk()?.submit(&agency, &submission).map_err(Error::from)?;
            show(&[view], out)?;
        }
        Command::List { store, agency } => {
            show(&store.desk()?.agency_views(&agency).map_err(Error::from)?, out)?;
        }
        Command::Withdraw(of) => {
            let view = of.store.desk()?.withdraw(&of.agency, of.request).map_err(Error::from)?;
            show(&[view], out)?;
        }
        Command::Renew(of) => {
            let view = of.store.desk()?.renew(&of.agency, of.request).map_err(Error::from)?;
            show(&[view], out)?;
        }
        Command::Acknowledge { of, clips } => {
            let desk = of.store.desk()?;
            let view = desk.acknowledge(&of.agency, of.request, &clips).map_err(Error::from)?;
            show(&[view], out)?;
        }
        Command::Bundle { of, output, force } => {
            let desk = of.store.desk()?;
            files::write(&output, force, |file| {
                desk.bundle(&of.agency, of.request, &Mp4, file).map_err(Error::from)?;
                Ok(desk.hand_over(&of.agency, of.request).map_err(Error::from)?)
            })?;
            let key = desk.verifying_key().map_err(Error::from)?;
            done(of.request, "bundled", out)?;
            if !out.wants_json() {
                out.line(format_args!("Check it anywhere, without this store:"))?;
                let file = output.display();
                out.line(format_args!("  clipkeep verify {file} --key '{key}'"))?;
            }
        }
        other => return operator_or_resident(other, out),
    }
    Ok(Exit::Done)
}

fn operator_or_resident(command: Command, out: &mut Out) -> anyhow::Result<Exit> {
    match command {
        Command::Screening { store } => screening(&store, out)?,
        Command::Notices { store } => notices(&store, out)?,
        Command::Audit { store } => {
            audit::show(&store.desk()?.audit().map_err(Error::from)?, out)?;
        }
        Command::Approve(of) => {
            let approval = of.store.desk()?.approve(of.request).map_err(Error::from)?;
            approved(of.request, approval, out)?;
        }
        Command::Reject(of) => {
            of.store.desk()?.reject(of.request).map_err(Error::from)?;
            done(of.request, "rejected", out)?;
        }
        Command::Order { of, cameras, from, to, duration } => {
            let desk = of.store.desk()?;
            let asked = desk.asked(of.household).map_err(Error::from)?;
            let asked = asked.iter().find(|asked| asked.request.0 == of.request);
            let scope = asked.map(|asked| ordered(asked, cameras, from, to)).transpose()?;
            let scope = scope.unwrap_or_default();
            let hold = desk.order_on(of.request, of.household, &scope, duration.0);
            done(of.request, &format!("ordered: hold {}", hold.map_err(Error::from)?), out)?;
        }
        Command::Noticed { of, unreached } => {
            let desk = of.store.desk()?;
            desk.noticed(of.request, of.household, !unreached).map_err(Error::from)?;
            done(of.request, "noted", out)?;
        }
        Command::Accept { of, clips } => {
            let chosen: Vec<Chosen> = clips
                .into_iter()
                .map(|choice| Chosen { clip: Text(choice.0), part: choice.1 })
                .collect();
            of.store.desk()?.accept(of.household, of.request, &chosen).map_err(Error::from)?;
            done(of.request, "accepted", out)?;
        }
        Command::Deny(of) => {
            of.store.desk()?.deny(of.household, of.request).map_err(Error::from)?;
            done(of.request, "denied", out)?;
        }
        Command::Undo(of) => {
            of.store.desk()?.undo_denial(of.household, of.request).map_err(Error::from)?;
            done(of.request, "waiting for an answer again", out)?;
        }
        Command::Revoke(of) => {
            of.store.desk()?.revoke(of.household, of.request).map_err(Error::from)?;
            done(of.request, "not shared any more", out)?;
        }
        other => return about_the_log(other, out),
    }
    Ok(Exit::Done)
}

/// What is signed, for people outside.
fn about_the_log(command: Command, out: &mut Out) -> anyhow::Result<Exit> {
    match command {
        Command::Key { store } => {
            let key = store.desk()?.verifying_key().map_err(Error::from)?.to_string();
            if out.wants_json() {
                out.json(&json!({"key": key}))?;
            } else {
                out.line(key)?;
            }
        }
        Command::Certificate { store, clip, output } => {
            let certificate = store.desk()?.deletion_certificate(clip).map_err(Error::from)?;
            files::write(&output, false, |file| Ok(file.write_all(&certificate)?))?;
            if out.wants_json() {
                out.json(&json!({"clip": clip.to_string(), "done": "certified"}))?;
            } else {
                let file = output.display();
                out.line(format_args!("Clip {clip} has ended: clipkeep verify {file}"))?;
            }
        }
        Command::Checkpoint { store } => {
            let note = store.desk()?.checkpoint().map_err(Error::from)?;
            if out.wants_json() {
                out.json(&json!({"checkpoint": note}))?;
            } else {
                out.line(note.trim_end())?;
            }
        }
        Command::Cosigned { store, file, key } => {
            let note = std::io::read_to_string(files::open(&file)?)?;
            store.desk()?.cosigned(&note, &key).map_err(Error::from)?;
            if out.wants_json() {
                out.json(&json!({"witness": key.name(), "done": "cosigned"}))?;
            } else {
                out.line(format_args!("Witness {} is shown from now on.", key.name()))?;
            }
        }
        _ => {}
    }
    Ok(Exit::Done)
}

/// What an order names of what a household is asked.
fn ordered(
    asked: &AskedView,
    cameras: Vec<CameraId>,
    from: Option<When>,
    to: Option<When>,
) -> anyhow::Result<Vec<(CameraId, Window)>> {
    let window = asked.window.window();
    let from = from.map_or(window.start(), |when| when.0);
    let window = Window::new(from, to.map_or(window.end(), |when| when.0))?;
    let all = || asked.cameras.iter().map(|camera| camera.0.clone()).collect();
    let cameras: Vec<CameraId> = if cameras.is_empty() { all() } else { cameras };
    Ok(cameras.into_iter().map(|camera| (camera, window)).collect())
}

fn done(request: RequestId, what: &str, out: &mut Out) -> anyhow::Result<()> {
    if out.wants_json() {
        return out.json(&json!({"request": request.to_string(), "done": what}));
    }
    out.line(format_args!("Request {request} {what}."))
}

fn approved(request: RequestId, approval: Approval, out: &mut Out) -> anyhow::Result<()> {
    let Approval { asked, not_asked, .. } = approval;
    if out.wants_json() {
        let request = request.to_string();
        return out.json(&json!({"request": request, "done": "approved", "asked": asked,
            "not_asked": not_asked}));
    }
    let homes = |count: usize| Ok::<_, anyhow::Error>(size::count(count.try_into()?, "household"));
    out.line(format_args!("Request {request} approved. Asked: {}.", homes(asked)?))?;
    if not_asked > 0 {
        let homes = homes(not_asked)?;
        out.line(format_args!("NOT HELD: no room for the holds of {homes}, which are not asked."))?;
        out.line("Its agency is not told. Make room, then approve it again.")?;
    }
    Ok(())
}

fn show(views: &[AgencyView], out: &mut Out) -> anyhow::Result<()> {
    if out.wants_json() {
        let views: Result<Vec<_>, _> = views.iter().map(serde_json::to_value).collect();
        return out.json_list("requests", views?.into_iter());
    }
    let row = |view: &AgencyView| {
        let shared: Vec<String> = view.shared.iter().map(|one| one.clip.0.to_string()).collect();
        vec![
            view.request.0.to_string(),
            view.status.to_owned(),
            out.time(view.submitted.0),
            view.deadline.map_or_else(String::new, |at| out.time(at.0)),
            shared.join(" "),
        ]
    };
    let rows: Vec<_> = views.iter().map(row).collect();
    if rows.is_empty() {
        return out.line("0 requests");
    }
    out.table(&["REQUEST", "STATUS", "SUBMITTED", "ANSWERS UNTIL", "SHARED CLIPS"], &[], rows)
}

fn screening(store: &DeskArgs, out: &mut Out) -> anyhow::Result<()> {
    let waiting = store.desk()?.screening().map_err(Error::from)?;
    if out.wants_json() {
        let waiting: Result<Vec<_>, _> = waiting.iter().map(serde_json::to_value).collect();
        return out.json_list("screening", waiting?.into_iter());
    }
    for one in &waiting {
        let (kind, words) = (&one.submission.kind, &one.submission.words);
        out.line(format_args!("{} of {}: {kind}. {words}", one.request.0, one.agency.0))?;
        out.line(format_args!("  would ask {} households", one.households))?;
        if one.open {
            out.line("  NOT HELD: it is open, and there is no room to ask them (make room, then")?;
            out.line("  approve it again)")?;
        } else if one.unheld {
            out.line("  NOT HELD: the hold budget does not suffice (make room, then approve), or")?;
            out.line("  it would ask more than 1,024 cameras (approved, it asks nobody)")?;
        }
    }
    out.line(format_args!("{} waiting for screening", waiting.len()))
}

fn notices(store: &DeskArgs, out: &mut Out) -> anyhow::Result<()> {
    let notices = store.desk()?.notices().map_err(Error::from)?;
    if out.wants_json() {
        let notices: Result<Vec<_>, _> = notices.iter().map(serde_json::to_value).collect();
        return out.json_list("notices", notices?.into_iter());
    }
    for notice in &notices {
        let (request, household) = (notice.request.0, notice.household.0);
        let contact = match notice.contact.as_str() {
            "" => "no contact is known",
            contact => contact,
        };
        out.line(format_args!("{request}: tell {household} ({contact})"))?;
        if let Some(next) = notice.next_try {
            let (failed, next) = (notice.unreached, out.time(next.0));
            out.line(format_args!("  tried {failed} times in vain, next try {next}"))?;
        }
    }
    out.line(format_args!("{} to tell", notices.len()))
}
