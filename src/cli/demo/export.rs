//! The held evening as one file, and whether it plays.

use std::path::Path;
use std::process::{Command, Stdio};

use super::scenario::{HELD_CAMERA, Scenario, camera, evening};
use super::story::Story;
use crate::Clip;
use crate::cli::get::plan_export;
use crate::cli::{files, size};
use crate::media::{ClipFacts, Format, SeekBytes};

/// Writes the evening to a file in folder `work`, reads that back, and lets ffmpeg decode it where
/// there is one.
pub(super) fn check(scenario: &Scenario, work: &Path, story: &mut Story<'_>) -> anyhow::Result<()> {
    let evening = evening()?;
    let clips: Vec<Clip> = scenario.store().clips(&camera(HELD_CAMERA)?, evening)?.collect();
    let export = plan_export(scenario.store(), &clips, Some(evening), Format::Mp4)?;
    let path = work.join("evening.mp4");
    files::write(&path, true, |file| Ok(export.write_to(file)?))?;
    let facts = ClipFacts::read(&SeekBytes::new(files::open(&path)?)?)?;
    let length = size::duration(facts.duration());
    let video = facts.init().reference().codec().to_owned();
    story.check(
        &format!(
            "it is exported as ONE video file ({video}, {}, {length} with its gaps)",
            size::bytes(export.len())
        ),
        facts.duration() == export.duration()
            && clips.len() == scenario.in_evening(HELD_CAMERA).count(),
    )?;
    match decode(&path) {
        Some(complaints) => story
            .check("ffmpeg decodes every picture of it without a complaint", complaints.is_empty()),
        None => story.detail("(with ffmpeg on the PATH, it would decode the file here)"),
    }
}

/// What ffmpeg complains about in the file at `path`; `None` where there is no ffmpeg.
fn decode(path: &Path) -> Option<String> {
    let decoded = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-xerror", "-i"])
        .arg(path)
        .args(["-f", "null", "-"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output()
        .ok()?;
    let complaints = String::from_utf8_lossy(&decoded.stderr).into_owned();
    let failed = if decoded.status.success() { "" } else { "ffmpeg failed" };
    Some(format!("{complaints}{failed}"))
}
