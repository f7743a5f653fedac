//! `clipkeep verify`: checks a store against its own records, or a bundle of evidence with nothing
//! but the file and a key.

use std::path::PathBuf;
#[cfg(feature = "requests")]
use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
};

use clap::ValueEnum;
use serde_json::{Value, json};

use super::exit::{self, Exit};
#[cfg(feature = "requests")]
use super::files;
use super::output::Out;
use super::progress::Bar;
use super::size;
use super::store_args::Dir;
#[cfg(feature = "requests")]
use crate::Timestamp;
#[cfg(feature = "requests")]
use crate::evidence::VerifyingKey;
#[cfg(feature = "requests")]
use crate::requests::evidence::{
    Finding, RETENTION_PROOF_BYTES_MAX, Report, check, check_certificate, check_retention,
    is_retention_proof,
};
use crate::types::Error;
use crate::{Fault, VerifyDepth, VerifyReport};

/// Check that everything that must exist does, and is as it was written
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  clipkeep verify --dir /srv/clips
  clipkeep verify --dir /srv/clips --depth headers --json

  clipkeep verify evidence.zip --key \"$(cat street.key)\"
  clipkeep verify promise.json --key \"$(cat street.key)\"

Exit code 1 when there are faults. Nothing is changed. For a file: 0 whole, 1 altered, 2
incomplete, 3 signed by a key that you did not name, 4 a proof is missing or wrong, 5 genuine, but
not as it should be (nobody agreed, the consent ran out, no partner, another time; or a promise that
was broken), 7 the file cannot be read.")]
pub(super) struct Args {
    /// A bundle of evidence, a certificate or a proof: checked offline, with no store
    #[cfg(feature = "requests")]
    file: Option<PathBuf>,

    /// A key that you trust, of a store or of a witness: name+hash+base64. Once for each
    #[cfg(feature = "requests")]
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<VerifyingKey>,

    /// The store's folder
    #[arg(long = "dir", env = "CLIPKEEP_DIR", value_name = "DIR", help_heading = "Store")]
    dir: Option<PathBuf>,

    /// Print JSON, for scripts
    #[arg(long, help_heading = "Store")]
    json: bool,

    /// How deep to look
    #[arg(long, default_value = "bytes")]
    depth: Depth,
}

/// [`VerifyDepth`] as a flag.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Depth {
    /// Every file that must exist does, with its length
    Presence,
    /// Also every header, footer and Merkle root
    Headers,
    /// Also every byte of every clip
    Bytes,
}

impl From<Depth> for VerifyDepth {
    fn from(depth: Depth) -> Self {
        match depth {
            Depth::Presence => Self::Presence,
            Depth::Headers => Self::Headers,
            Depth::Bytes => Self::Bytes,
        }
    }
}

pub(super) fn run(args: &Args, out: &mut Out) -> anyhow::Result<Exit> {
    #[cfg(feature = "requests")]
    if let Some(file) = &args.file {
        return bundle(file, &args.keys, out);
    }
    let Some(path) = args.dir.clone() else {
        return Err(Error::invalid("verify: want --dir DIR, or a file").into());
    };
    let store = Dir { path, json: args.json }.read()?;
    let bar = Bar::bytes("verify", 0);
    let mut progress = |at: crate::Progress| bar.at(at.done_bytes, at.total_bytes);
    let report = store.verify(args.depth.into(), &mut progress)?;
    drop(bar);
    if out.wants_json() {
        out.json(&to_json(&report))?;
    } else {
        print(&report, out)?;
    }
    Ok(if report.faults.is_empty() { Exit::Done } else { Exit::Faults })
}

/// Checks a bundle of evidence, or a paper about the ledger.
#[cfg(feature = "requests")]
fn bundle(file: &Path, keys: &[VerifyingKey], out: &mut Out) -> anyhow::Result<Exit> {
    let opened = files::open(file).and_then(|opened| {
        let mut opened = BufReader::new(opened);
        let first = opened.fill_buf().map_err(|error| Error::io("read", file, error))?;
        let is_paper = first.first() == Some(&b'{');
        Ok((opened, is_paper))
    });
    let (mut opened, is_paper) = match opened {
        Ok(opened) => opened,
        // The codes below 6 say something of a bundle.
        Err(error) => {
            exit::report(&error.into(), out.wants_json());
            return Ok(Exit::Damaged);
        }
    };
    let (report, shown) = if is_paper {
        let mut bytes = Vec::new();
        let most = u64::try_from(RETENTION_PROOF_BYTES_MAX)?;
        opened.by_ref().take(most).read_to_end(&mut bytes)?;
        paper(&bytes, keys)
    } else {
        (check(opened, keys), Vec::new())
    };
    if out.wants_json() {
        out.json(&report_json(&report, &shown))?;
        return Ok(Exit::Evidence(report.exit_code()));
    }
    shown.iter().try_for_each(|sentence| out.line(sentence))?;
    if let Some(request) = &report.request {
        out.line(format_args!("Provided for request {request}."))?;
    }
    for clip in report.clips.iter().filter(|_| !is_paper) {
        let faults = report.findings.iter().filter(|found| found.clip == Some(*clip)).count();
        let state = if faults == 0 { "as it was recorded" } else { "NOT in order" };
        out.line(format_args!("clip {clip}: {state}"))?;
    }
    for found in &report.findings {
        let clip = found.clip.map(|id| format!("clip {id}: ")).unwrap_or_default();
        out.line(format_args!("{}: {clip}{}", found.class.to_string().to_uppercase(), found.what))?;
    }
    for witness in &report.witnesses {
        let at = Timestamp::from_micros(i64::try_from(witness.at)?.saturating_mul(1_000_000));
        out.line(format_args!("Witness {} saw this state of the ledger {at}.", witness.name))?;
    }
    if report.findings.is_empty() {
        out.line("Every byte is as it was signed, and every proof holds.")?;
    }
    Ok(Exit::Evidence(report.exit_code()))
}

/// Checks a paper, and says what it shows.
#[cfg(feature = "requests")]
fn paper(bytes: &[u8], keys: &[VerifyingKey]) -> (Report, Vec<String>) {
    if !is_retention_proof(bytes) {
        let (report, why) = check_certificate(bytes, keys);
        let clip = report.clips.first();
        let shown = why
            .zip(clip)
            .map(|(why, clip)| format!("Clip {clip} {why}, and its bytes were removed."));
        return (report, shown.into_iter().collect());
    }
    let (report, shown) = check_retention(bytes, keys);
    let Some((account, whole)) = shown else { return (report, Vec::new()) };
    let mut sentences: Vec<String> = account.to_string().lines().map(str::to_owned).collect();
    sentences.push(if whole {
        "All entries of the ledger up to its checkpoint were looked at.".to_owned()
    } else {
        "That no entry was left out is the word of the store's key; a proof made with --whole \
         shows it."
            .to_owned()
    });
    (report, sentences)
}

#[cfg(feature = "requests")]
fn report_json(report: &Report, shown: &[String]) -> Value {
    let finding = |found: &Finding| {
        json!({
            "class": found.class.to_string(),
            "clip": found.clip.map(|id| id.to_string()),
            "what": found.what,
        })
    };
    json!({
        "exit": report.exit_code(),
        "request": report.request,
        "key": report.key,
        "clips": report.clips.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "witnesses": report.witnesses.iter().map(|w| json!({"name": w.name, "at": w.at}))
            .collect::<Vec<_>>(),
        "shown": shown,
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

fn print(report: &VerifyReport, out: &mut Out) -> anyhow::Result<()> {
    for fault in &report.faults {
        out.line(format_args!("FAULT {}", fault_text(fault)))?;
    }
    let segments = size::count(report.segments, "segment");
    let (clips, bytes) = (size::count(report.clips, "clip"), size::bytes(report.bytes));
    let entries = report.ledger_entries;
    out.line(format_args!("Looked at {segments}, {clips}, {bytes}, {entries} ledger entries."))?;
    match u64::try_from(report.faults.len())? {
        0 => out.line("Everything is as it was written."),
        faults => out.line(format_args!("{} found.", size::count(faults, "fault"))),
    }
}

fn fault_text(fault: &Fault) -> String {
    let segment = fault.segment.map(|id| format!("segment {id}: "));
    let clip = fault.clip.map(|id| format!("clip {id}: "));
    format!("{}{}{}", segment.unwrap_or_default(), clip.unwrap_or_default(), fault.error)
}

fn to_json(report: &VerifyReport) -> Value {
    let fault = |fault: &Fault| {
        json!({
            "segment": fault.segment.map(|id| id.to_string()),
            "clip": fault.clip.map(|id| id.to_string()),
            "error": exit::error_json(&fault.error.clone().into()),
        })
    };
    json!({
        "segments": report.segments,
        "clips": report.clips,
        "bytes": report.bytes,
        "ledger_entries": report.ledger_entries,
        "faults": report.faults.iter().map(fault).collect::<Vec<_>>(),
    })
}
