//! Segments and ledger, in words, for a person who looks for what happened.

use crate::format::entry::{Decision, Entry};
use crate::types::{ClipId, Error, ErrorKind, Result, SegmentId};

use super::{LedgerLine, PartReport, SegmentReport, Store};
use crate::format::BLOCK_BYTES;
use crate::hold::HoldCause;

impl Store {
    /// The segments that exist, by id.
    #[must_use]
    pub fn segments(&self) -> Vec<SegmentId> {
        self.inner.catalog.read().segments.keys().copied().collect()
    }

    /// What is in segment `id`, expired clips whose bytes are still there included.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such segment; `Corrupt` or `Io` when its footer cannot be read.
    pub fn inspect_segment(&self, id: SegmentId) -> Result<SegmentReport> {
        let inner = &self.inner;
        let catalog = inner.catalog.read();
        let Some(shelved) = catalog.segments.get(&id) else {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("inspect segment {id}: there is none"),
            ));
        };
        let segment = &shelved.segment;
        let trailer = segment.trailer();
        let mut parts = Vec::new();
        for found in segment.parts(&inner.footers)? {
            let records = segment.part_of(&inner.footers, found.part.clip)?;
            let first = records.and_then(|(_, part)| part.records.first().copied());
            parts.push(PartReport {
                clip: found.part.clip,
                camera: found.camera,
                start: found.part.start,
                end: found.part.end,
                first: found.part.first,
                last: found.part.last,
                records: found.part.records_count,
                bytes: found.part.payload_bytes,
                offset: first.map_or(0, |record| u64::from(record.block) * BLOCK_BYTES),
                gone: !catalog.is_live(found.part.clip, segment),
            });
        }
        Ok(SegmentReport {
            segment: id,
            class: segment.class,
            file: segment.name(),
            file_bytes: shelved.file_bytes,
            sealed: trailer.is_some(),
            created: segment.header.created,
            newest_received: segment.newest_received(),
            root: trailer.map(|trailer| trailer.root),
            parts,
        })
    }

    /// Shows the ledger's entries from position `from` on to `visit`, oldest first, until it
    /// answers false. Entries that are made meanwhile are not among them; `visit` may use the
    /// store.
    ///
    /// # Errors
    ///
    /// `Corrupt` where the ledger is damaged; what stands before was shown.
    pub fn inspect_ledger(
        &self,
        from: u64,
        visit: &mut dyn FnMut(LedgerLine) -> bool,
    ) -> Result<()> {
        /// So many lines are read at a time.
        const PAGE: usize = 1024;
        let inner = &self.inner;
        let mut next = from;
        let mut end = u64::MAX;
        while next < end {
            let mut page = Vec::new();
            let mut ledger = inner.ledger.lock();
            if ledger.unreadable().is_none() {
                if !inner.options.read_only {
                    ledger.flush()?;
                }
                // What is decided while this goes on is not shown: `visit` may be who decides it.
                end = end.min(ledger.position());
            }
            let read = ledger.read(next, &mut |entry, hash| {
                page.push(line(entry, *hash));
                page.len() < PAGE
            });
            // Whatever `visit` does, holds and sweeps need not wait for it.
            drop(ledger);
            let more = page.len() == PAGE;
            for line in page.into_iter().filter(|line| line.position < end) {
                next = line.position.saturating_add(1);
                if !visit(line) {
                    return Ok(());
                }
            }
            read?;
            if !more {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn line(entry: &Entry, hash: [u8; 32]) -> LedgerLine {
    let (kind, text) = words(&entry.decision);
    LedgerLine { position: entry.position, at: entry.at, kind, text, hash }
}

/// The kind of a decision, and the decision in a sentence.
fn words(decision: &Decision) -> (&'static str, String) {
    match decision {
        Decision::StoreMade { .. } => ("store-made", "the store was made".to_owned()),
        Decision::ClassSet { class, at_least_us, at_most_us } => (
            "class-set",
            format!("class {class} keeps clips {} to {}", span(*at_least_us), span(*at_most_us)),
        ),
        Decision::CameraClass { camera: None, class } => {
            ("camera-class", format!("cameras without a class of their own use class {class}"))
        }
        Decision::CameraClass { camera: Some(camera), class } => {
            ("camera-class", format!("camera {camera} uses class {class}"))
        }
        Decision::CameraHidden { camera, hidden: true } => {
            ("camera-removed", format!("camera {camera} was removed"))
        }
        Decision::CameraHidden { camera, hidden: false } => {
            ("camera-added", format!("camera {camera} became known"))
        }
        Decision::LedgerRepaired { lost, actor, reason, .. } => (
            "ledger-repaired",
            format!(
                "the ledger was written anew, {lost} entries are known to be lost{}{}",
                by(actor),
                because(reason)
            ),
        ),
        Decision::ClockConfirmed { trusted, actor } => {
            ("clock-confirmed", format!("the wall clock was vouched for, {trusted}{}", by(actor)))
        }
        Decision::ClockCaughtUp(jump) => (
            "clock-caught-up",
            format!(
                "trusted time caught up by {} s to {}; what came since {} is so much younger",
                jump.by.as_secs(),
                jump.trusted,
                jump.since
            ),
        ),
        Decision::Application { kind, bytes } => {
            ("application", format!("an application's entry of kind {kind}, {} bytes", bytes.len()))
        }
        Decision::HoldPlaced(_)
        | Decision::HoldReleased { .. }
        | Decision::HoldLapsed { .. }
        | Decision::HoldEnded { .. }
        | Decision::HoldNarrowed { .. }
        | Decision::HoldRenewed { .. } => hold_words(decision),
        _ => removal_words(decision),
    }
}

fn hold_words(decision: &Decision) -> (&'static str, String) {
    match decision {
        Decision::HoldPlaced(placed) => {
            let cause = HoldCause::from_code(placed.cause).map_or("unknown", HoldCause::name);
            let scope: Vec<String> =
                placed.scope.iter().map(|(camera, window)| format!("{camera} {window}")).collect();
            let text = format!(
                "hold {} ({cause}) on {} until {}{}{}",
                placed.hold,
                scope.join(", "),
                placed.deadline,
                by(&placed.actor),
                because(&placed.reason)
            );
            ("hold-placed", text)
        }
        Decision::HoldReleased { hold, grace_until, actor, reason } => (
            "hold-released",
            format!(
                "hold {hold} was released, protects until {grace_until}{}{}",
                by(actor),
                because(reason)
            ),
        ),
        Decision::HoldLapsed { hold, grace_until } => (
            "hold-lapsed",
            format!("hold {hold} reached its deadline, protects until {grace_until}"),
        ),
        Decision::HoldEnded { hold } => {
            ("hold-ended", format!("hold {hold} protects nothing more"))
        }
        Decision::HoldNarrowed { hold, scope, actor, reason } => (
            "hold-narrowed",
            format!(
                "hold {hold} was narrowed to {} ranges{}{}",
                scope.len(),
                by(actor),
                because(reason)
            ),
        ),
        Decision::HoldRenewed { hold, deadline, actor, reason } => (
            "hold-renewed",
            format!("hold {hold} now ends {deadline}{}{}", by(actor), because(reason)),
        ),
        _ => removal_words(decision),
    }
}

fn removal_words(decision: &Decision) -> (&'static str, String) {
    match decision {
        Decision::SegmentSealed { segment, class, parts, payload_bytes, .. } => (
            "segment-sealed",
            format!("segment {segment} of class {class}: {parts} parts, {payload_bytes} bytes"),
        ),
        Decision::SegmentSuspect { segment, durable_bytes } => (
            "segment-suspect",
            format!("a write to segment {segment} failed; {durable_bytes} bytes were safe"),
        ),
        Decision::SegmentDurable { segment, durable_bytes } => (
            "segment-durable",
            format!("the first {durable_bytes} bytes of segment {segment} are durable"),
        ),
        Decision::SegmentExpired { segment, reason, clips, bytes, .. } => (
            "segment-expired",
            format!("segment {segment}: {clips} clips, {bytes} bytes expired, {reason}"),
        ),
        Decision::ClipsExpired { reason, clips } => {
            ("clips-expired", format!("clips {} expired, {reason}", list(clips)))
        }
        Decision::ClipDeleted { clip, camera, window, actor, reason, .. } => (
            "clip-deleted",
            format!(
                "clip {clip} of {camera}, {window}, was deleted{}{}",
                by(actor),
                because(reason)
            ),
        ),
        Decision::ClipsMoved { to, clips } => {
            ("clips-moved", format!("held clips {} live in segment {to}", list(clips)))
        }
        Decision::ClipsErased { segment, clips } => (
            "clips-erased",
            format!("the bytes of clips {} are gone from segment {segment}", list(clips)),
        ),
        Decision::SegmentDropped { segment, class } => {
            ("segment-dropped", format!("the file of segment {segment} of class {class} is gone"))
        }
        _ => ("other", String::new()),
    }
}

fn by(actor: &str) -> String {
    if actor.is_empty() { String::new() } else { format!(", by {actor}") }
}

fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}

/// The first of many ids, and how many more.
fn list(clips: &[ClipId]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = clips.iter().take(SHOWN).map(ClipId::to_string).collect();
    match clips.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => format!("{} and {more} more", shown.join(", ")),
        _ => shown.join(", "),
    }
}

fn span(us: u64) -> String {
    let days = us / 86_400_000_000;
    if days > 0 && us.is_multiple_of(86_400_000_000) {
        format!("{days} days")
    } else {
        format!("{} s", us / 1_000_000)
    }
}
