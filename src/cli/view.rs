//! What clips, holds and receipts look like in JSON, and lines that several commands print.
//!
//! Owns the field names, which scripts rely on: a name is never reused for something else. Times
//! are RFC 3339, durations seconds, sizes bytes, ids and digests strings.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::output::Out;
use super::size;
use crate::{
    Clip, ClockStatus, Hold, HoldReceipt, HoldState, MissedReason, Retention, Timestamp, Window,
};

/// `duration` in seconds: a whole number where it is one.
pub(super) fn seconds(duration: Duration) -> Value {
    match duration.subsec_nanos() {
        0 => json!(duration.as_secs()),
        _ => json!(duration.as_secs_f64()),
    }
}

/// `at` as RFC 3339, or null.
pub(super) fn time(at: Option<Timestamp>) -> Value {
    at.map_or(Value::Null, |at| json!(at.to_string()))
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").ok();
        text
    })
}

/// A clip; `holds` are those of the store.
pub(super) fn clip(clip: &Clip, holds: &[Hold]) -> Value {
    let window = clip.window();
    let on_it: Vec<String> = holds_on(clip, holds).map(|hold| hold.id().to_string()).collect();
    json!({
        "id": clip.id().to_string(),
        "camera": clip.camera().as_str(),
        "start": window.start().to_string(),
        "end": window.end().to_string(),
        "duration_seconds": seconds(window.duration()),
        "uncertainty_seconds": seconds(clip.uncertainty()),
        "received": clip.received().to_string(),
        "bytes": clip.len(),
        "media": clip.media().name(),
        "state": clip.state().name(),
        "fragments": clip.fragments(),
        "class": clip.class().to_string(),
        "digest": hex(clip.digest()),
        "holds": on_it,
    })
}

/// The holds that protect `clip`.
pub(super) fn holds_on<'a>(
    clip: &'a Clip,
    holds: &'a [Hold],
) -> impl Iterator<Item = &'a Hold> + 'a {
    let possible = clip.possible_window();
    holds.iter().filter(move |hold| {
        let covers = |(camera, window): &(crate::CameraId, Window)| {
            camera == clip.camera() && window.meets(&possible)
        };
        hold.protects() && hold.scope().iter().any(covers)
    })
}

/// A hold.
pub(super) fn hold(hold: &Hold) -> Value {
    let grace_until = match hold.state() {
        HoldState::Grace { until } => Some(until),
        HoldState::Active | HoldState::Ended => None,
    };
    json!({
        "id": hold.id().to_string(),
        "cause": hold.cause().name(),
        "state": hold.state().name(),
        "grace_until": time(grace_until),
        "scope": hold.scope().iter().map(range).collect::<Vec<_>>(),
        "reference": hold.reference(),
        "reason": hold.reason(),
        "actor": hold.actor(),
        "agency": hold.agency(),
        "placed": hold.placed_at().to_string(),
        "deadline": hold.deadline().to_string(),
        "renewals": hold.renewals(),
        "position": hold.position(),
        "released": time(hold.released_at()),
        "released_by": hold.released_by(),
        "release_reason": hold.release_reason(),
    })
}

fn range((camera, window): &(crate::CameraId, Window)) -> Value {
    json!({
        "camera": camera.as_str(),
        "start": window.start().to_string(),
        "end": window.end().to_string(),
    })
}

/// A receipt.
pub(super) fn receipt(receipt: &HoldReceipt) -> Value {
    let missed = receipt.missed.iter().map(|missed| {
        let mut value = range(&(missed.camera.clone(), missed.window));
        if let Some(fields) = value.as_object_mut() {
            fields.insert("reason".to_owned(), json!(missed_reason(missed.reason).0));
        }
        value
    });
    json!({
        "id": receipt.id.to_string(),
        "position": receipt.position,
        "placed": receipt.placed.to_string(),
        "deadline": receipt.deadline.to_string(),
        "clips": receipt.clips,
        "bytes": receipt.bytes,
        "newly_pinned_bytes": receipt.newly_pinned_bytes,
        "missed": missed.collect::<Vec<_>>(),
        "kept_anyway_until": time(receipt.kept_anyway_until),
        "placed_before": receipt.placed_before,
        "uncounted": receipt.uncounted.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

/// A receipt, for a person.
pub(super) fn print_receipt(receipt: &HoldReceipt, out: &mut Out) -> anyhow::Result<()> {
    let again = if receipt.placed_before { " (placed before, with the same key)" } else { "" };
    out.line(format_args!("Hold {} is in force{again}.", receipt.id))?;
    let clips = size::count(receipt.clips, "clip");
    let bytes = size::bytes(receipt.bytes);
    out.line(format_args!(
        "  covers   {clips}, {bytes}; clips that arrive later for its window too"
    ))?;
    if receipt.newly_pinned_bytes < receipt.bytes {
        let new = size::bytes(receipt.newly_pinned_bytes);
        out.line(format_args!("  of these {new} were under no hold before"))?;
    }
    out.line(format_args!("  placed   {}", out.time(receipt.placed)))?;
    out.line(format_args!("  ends     {}", out.time(receipt.deadline)))?;
    if let Some(until) = receipt.kept_anyway_until {
        let left = size::duration(until.since(receipt.placed));
        let until = out.time(until);
        out.line(format_args!("  without  it the first of them would go {until} (in {left})"))?;
    }
    for missed in &receipt.missed {
        let (from, to) = (out.time(missed.window.start()), out.time(missed.window.end()));
        let why = missed_reason(missed.reason).1;
        out.line(format_args!("  missing  {} {from} to {to}: {why}", missed.camera))?;
    }
    for error in &receipt.uncounted {
        out.line(format_args!("  uncounted, and held all the same: {error}"))?;
    }
    out.line(format_args!("  ledger   entry {}", receipt.position))
}

/// A short stable name and the words for it.
fn missed_reason(reason: MissedReason) -> (&'static str, &'static str) {
    match reason {
        MissedReason::NeverRecorded => ("never-recorded", "nothing was recorded"),
        MissedReason::Expired => {
            ("expired", "older than what is kept; if there was any, it is gone")
        }
        MissedReason::NotYet => ("not-yet", "in the future"),
        MissedReason::Unreadable => ("unreadable", "cannot be told, what says so is damaged"),
    }
}

/// How long clips are kept.
pub(super) fn retention(retention: &Retention) -> Value {
    json!({
        "at_least_seconds": seconds(retention.at_least()),
        "at_most_seconds": seconds(retention.at_most()),
    })
}

/// How the wall clock compares with trusted time.
pub(super) fn clock(status: ClockStatus) -> Value {
    match status {
        ClockStatus::Agrees => json!({"state": "agrees"}),
        ClockStatus::WallAhead { by, believed_after } => json!({
            "state": "wall-ahead",
            "by_seconds": seconds(by),
            "believed_after_seconds": seconds(believed_after),
        }),
        ClockStatus::WallBehind { by } => {
            json!({"state": "wall-behind", "by_seconds": seconds(by)})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_whole_numbers_where_they_can_be() {
        assert_eq!(seconds(Duration::from_secs(90)).to_string(), "90");
        assert_eq!(seconds(Duration::from_millis(1_500)).to_string(), "1.5");
        assert_eq!(hex(&[0, 0xAB, 0x0C]), "00ab0c");
    }
}
