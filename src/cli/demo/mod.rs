//! `clipkeep demo`: twelve days of four cameras in a few seconds, and then a street of twelve homes
//! that the police ask, told to somebody who knows nothing of the project.
//!
//! Real H.264 clips go through the real store on a clock that we turn by hand. Every claim of the
//! story is checked against the store as it is made; a claim that fails ends the demo with an
//! error.
//!
//! The days in between are recorded `Buffered`, because two thousand waits for the disk show
//! nothing. From the moment of the hold on, everything that the story claims is recorded `Synced`
//! and looked at after the store was closed and opened again.

mod export;
mod marks;
#[cfg(feature = "requests")]
mod neighbours;
mod scenario;
mod story;
mod timeline;

use std::path::{Path, PathBuf};

use serde_json::json;

use self::scenario::{Arrived, HELD_CAMERA, Scenario};
use self::story::Story;
use self::timeline::Timeline;
use super::exit::Exit;
use super::files;
use super::output::Out;
use super::size;
use crate::types::Error;
use crate::{ErrorKind, HoldCause, HoldReceipt, HoldState, NewHold, Release, ReleaseCause};

/// See it work: four cameras, twelve days, one police request, in a few seconds
///
/// Needs no camera and no ffmpeg (with ffmpeg on the PATH, it decodes the exported evening, too).
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  clipkeep demo
  clipkeep demo --dir /tmp/demo-store && clipkeep inspect ledger --dir /tmp/demo-store")]
pub(super) struct Args {
    /// Leave the store in this folder, to look at [default: a temporary one, removed at the end]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// A clip every two hours instead of every half
    #[arg(long)]
    fast: bool,

    /// Print JSON: what was checked, and how it came out
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, out: &mut Out) -> anyhow::Result<Exit> {
    let temporary = tempfile::tempdir()?;
    let dir = match &args.dir {
        Some(dir) if files::is_absent_or_empty(dir) => dir.clone(),
        Some(dir) => {
            let message = format!("demo in {}: want a new or empty folder", dir.display());
            return Err(Error::invalid(message).into());
        }
        None => temporary.path().join("store"),
    };
    let mut story = Story::new(out);
    let scenario = Scenario::open(&dir, args.fast)?;
    let timeline = play(scenario, temporary.path(), &mut story)?;
    #[cfg(feature = "requests")]
    neighbours::play(temporary.path(), &mut story)?;
    let (passed, failed) = story.count();
    if args.json {
        let checks = story.into_checks();
        out.json(&json!({"checks": checks, "failed": failed, "timeline": timeline.json(),
            "dir": args.dir.as_ref().map(|dir| dir.display().to_string())}))?;
    } else {
        story.close(passed, failed, args.dir.as_deref())?;
    }
    Ok(if failed == 0 { Exit::Done } else { Exit::Faults })
}

/// The whole story. Answers with the timeline as it is at the end.
fn play(mut scenario: Scenario, work: &Path, story: &mut Story<'_>) -> anyhow::Result<Timeline> {
    prologue(story)?;
    scenario.run_to(6, "09:00")?;
    let count = size::count(scenario.clips(), "clip");
    story.act("Days 1 to 6: the cameras record")?;
    story.say(&format!("{count} have come in so far. Nothing is old enough to go."))?;
    Timeline::of(&scenario)?.tell(story)?;

    story.act("Day 6, in the morning: the police ask for an evening")?;
    let receipt = ask(&scenario, story)?;
    scenario = scenario.restart()?;
    still_held(&scenario, &receipt, story)?;

    scenario.run_to(11, "23:50")?;
    scenario = scenario.restart_synced()?;
    story.act("Day 11, just before midnight: day 1 is more than ten days old")?;
    story.say(
        "Twice a day the store sweeps: whatever is older than ten days goes, and its bytes with \
         it. Nobody has answered the request yet.",
    )?;
    Timeline::of(&scenario)?.tell(story)?;
    look_at_the_evening(&scenario, work, story)?;

    story.act("Day 11: the resident comes home, and says no")?;
    deny(&scenario, &receipt, story)?;

    scenario.run_to(12, "23:45")?;
    let readable = scenario.in_evening(HELD_CAMERA).all(|clip| kind(&scenario, clip).is_none());
    story.check("until that day is over, the evening is still there", readable)?;
    scenario.run_to(12, "23:55")?;
    scenario.sweep()?;
    scenario = scenario.restart_synced()?;
    story.act("Day 12: the no is final")?;
    story.say("The resident's day to think again is over, and the store has swept.")?;
    let timeline = Timeline::of(&scenario)?;
    timeline.tell(story)?;
    look_for_what_is_gone(&scenario, story)?;
    scenario.close()?;
    Ok(timeline)
}

fn prologue(story: &mut Story<'_>) -> anyhow::Result<()> {
    story.say(
        "A house has four cameras. What they record is kept for at least 5 days and at most 10: \
         long enough to be of use, short enough to be nobody's archive. The police may ask the \
         resident for a part of it, and the resident may say yes or no. But what if the answer \
         takes longer than the footage lives?",
    )?;
    story.say("Twelve days follow, on a clock that is turned by hand.")
}

/// The request, and its hold.
fn ask(scenario: &Scenario, story: &mut Story<'_>) -> anyhow::Result<HoldReceipt> {
    let evening = scenario::evening()?;
    let camera = scenario::camera(HELD_CAMERA)?;
    story.say(
        "\"May we see what the front door's camera saw on the evening of day 1, 18:00 to 22:00?\" \
         The resident is away and does not answer. So the store places a hold: until there is an \
         answer, that evening must not go. The police get nothing by it, not even a look.",
    )?;
    let hold = NewHold::new([camera], evening)
        .cause(HoldCause::Request)
        .reference("case 19-4471")
        .agency("Northside PD")
        .actor("request desk");
    let receipt = scenario.store().place_hold(hold)?;
    let clips = size::count(receipt.clips, "clip");
    story.detail(&format!("hold {} covers {clips}, {}", receipt.id, size::bytes(receipt.bytes)))?;
    if let Some(until) = receipt.kept_anyway_until {
        let left = size::duration(until.since(receipt.placed));
        story.detail(&format!("without it, the first of them would go in {left}"))?;
    }
    Ok(receipt)
}

/// After a restart.
fn still_held(
    scenario: &Scenario,
    receipt: &HoldReceipt,
    story: &mut Story<'_>,
) -> anyhow::Result<()> {
    let holds = scenario.store().holds();
    let still = holds.iter().any(|hold| hold.id() == receipt.id && hold.protects());
    story.check("the hold is still there after the store was closed and opened again", still)?;
    let wanted = scenario.in_evening(HELD_CAMERA).count();
    story.check(
        "it covers every clip of that evening, and no other",
        receipt.clips == u64::try_from(wanted)?,
    )
}

/// What must be there, and what must not.
fn look_at_the_evening(
    scenario: &Scenario,
    work: &Path,
    story: &mut Story<'_>,
) -> anyhow::Result<()> {
    let intact = |clip: &Arrived| -> crate::Result<bool> {
        let bytes = scenario.store().read(clip.id)?.to_vec()?;
        Ok(*blake3::hash(&bytes).as_bytes() == clip.digest)
    };
    let evening: Vec<&Arrived> = scenario.in_evening(HELD_CAMERA).collect();
    let whole = evening.iter().filter(|clip| intact(clip).unwrap_or(false)).count();
    story.check(
        &format!("all {} clips of the evening read back as they came, bit for bit", evening.len()),
        whole == evening.len(),
    )?;
    export::check(scenario, work, story)?;
    let gone = |clip: &&Arrived| kind(scenario, clip) == Some(ErrorKind::Expired);
    let neighbours: Vec<&Arrived> = scenario.neighbours().collect();
    let expired = neighbours.iter().copied().filter(gone).count();
    story.check(
        &format!(
            "its {} neighbours of that day are expired: a hold keeps what it covers, nothing else",
            neighbours.len()
        ),
        expired == neighbours.len(),
    )?;
    let marks = marks::find(scenario.dir())?;
    let left = neighbours.iter().filter(|clip| marks.contains(&clip.mark)).count();
    story.check("no file of the store has the neighbours' bytes any more", left == 0)?;
    let refused =
        evening.first().map(|clip| scenario.store().delete_clip(clip.id, "sweeper", "test"));
    let held = refused.and_then(Result::err).map(|error| error.kind());
    story.check(
        "asked to delete a clip of the evening, the store refuses",
        held == Some(ErrorKind::Held),
    )
}

/// The resident's no.
fn deny(scenario: &Scenario, receipt: &HoldReceipt, story: &mut Story<'_>) -> anyhow::Result<()> {
    let release = Release::new(ReleaseCause::Denied, "resident");
    let hold = scenario.store().release_hold(receipt.id, &release)?;
    story.say("The hold ends, after one more day in which the resident may think again.")?;
    let until = match hold.state() {
        HoldState::Grace { until } => until,
        HoldState::Active | HoldState::Ended => hold.deadline(),
    };
    story.detail(&format!("hold {} protects until {until}, and gives nobody access", hold.id()))
}

/// After the end: nothing of the evening is anywhere.
fn look_for_what_is_gone(scenario: &Scenario, story: &mut Story<'_>) -> anyhow::Result<()> {
    let evening: Vec<&Arrived> = scenario.in_evening(HELD_CAMERA).collect();
    let expired =
        evening.iter().filter(|clip| kind(scenario, clip) == Some(ErrorKind::Expired)).count();
    story.check("every clip of the evening is gone from the store", expired == evening.len())?;
    let marks = marks::find(scenario.dir())?;
    let left = evening.iter().filter(|clip| marks.contains(&clip.mark)).count();
    story.check("no file of the store has their bytes any more", left == 0)?;
    let live = scenario.arrived().iter().filter(|clip| kind(scenario, clip).is_none());
    let found = live.clone().filter(|clip| marks.contains(&clip.mark)).count();
    story.check(
        "(the same search does find the bytes of the clips that are kept)",
        found > 0 && found == live.count(),
    )?;
    let mut nothing = |_| {};
    let report = scenario.store().verify(crate::VerifyDepth::Bytes, &mut nothing)?;
    story.check(
        &format!("the store checks its other {} clips and finds no fault", report.clips),
        report.faults.is_empty(),
    )?;
    let entries = scenario.store().stats()?.ledger_entries;
    story.detail(&format!("every decision is on record: {entries} entries, hash by hash"))
}

/// What the store says when asked for `clip`; `None`: here it is.
fn kind(scenario: &Scenario, clip: &Arrived) -> Option<ErrorKind> {
    scenario.store().clip(clip.id).err().map(|error| error.kind())
}
