//! A deletion certificate: that the ledger says how a clip ended, and that its bytes were removed.
//!
//! It claims what the log shows and no more: that the store put on record why the clip ended and
//! that it removed its bytes. The entries are shown to be in the log; that none was left out (one
//! that moved the clip elsewhere, say) is the word of the store's key, which signs the whole. What
//! a disk keeps of overwritten blocks, and what copies somebody made before, no log can show.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::evidence::VerifyingKey;
use crate::format::entry::{Decision, Entry};
use crate::{ClipId, ErrorKind, SegmentId};

use crate::requests::text::Text;
use crate::requests::{Desk, Refusal};

use super::check::{Class, Report, proved_entry};
use super::make::prove_entries;
use super::manifest::{Hex, ProvedEntry};
use super::paper::{self, Head, Paper};

/// The certificate, as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Certificate {
    checkpoint: String,
    clip: Text<ClipId>,
    entries: Vec<ProvedEntry>,
    format: String,
    key: String,
    store: String,
}

impl Paper for Certificate {
    const FORMAT: &'static str = "clipkeep-deletion-1";
    const PAYLOAD_TYPE: &'static str = "application/vnd.clipkeep.deletion+json";

    fn head(&self) -> Head<'_> {
        Head {
            checkpoint: &self.checkpoint,
            format: &self.format,
            key: &self.key,
            store: &self.store,
        }
    }
}

/// What the entries about a clip come to.
#[derive(Debug, Default, PartialEq, Eq)]
struct End {
    /// Where it lives after it was moved.
    at: Option<SegmentId>,
    /// Why it ended, and when.
    why: Option<String>,
    /// Whether a segment it lived in expired, with the reason.
    expired: BTreeMap<SegmentId, String>,
    /// Whether the bytes where it last lived are gone.
    removed: bool,
}

impl End {
    /// Takes in an entry; whether it says something of `clip`.
    fn take(&mut self, entry: &Entry, clip: ClipId) -> bool {
        let at = self.at.unwrap_or(clip.home);
        match &entry.decision {
            Decision::SegmentExpired { segment, reason, .. } if *segment == at => {
                self.expired.insert(at, format!("expired ({reason}) {}", entry.at));
            }
            Decision::ClipsExpired { reason, clips } if clips.contains(&clip) => {
                self.why = Some(format!("expired ({reason}) {}", entry.at));
            }
            Decision::ClipDeleted { clip: deleted, reason, .. } if *deleted == clip => {
                self.why = Some(format!("deleted ({reason}) {}", entry.at));
            }
            Decision::ClipsMoved { to, clips } if clips.contains(&clip) => self.at = Some(*to),
            Decision::ClipsErased { segment, clips } if clips.contains(&clip) => {
                self.removed |= *segment == at;
            }
            Decision::SegmentDropped { segment, .. } if *segment == at => {
                // What still lived there had been moved: so this one did not.
                self.why = self.why.take().or_else(|| self.expired.get(&at).cloned());
                self.removed = true;
            }
            _ => return false,
        }
        true
    }
}

impl Desk {
    /// The certificate that clip `id` has ended: JSON, checked by `clipkeep verify`.
    ///
    /// # Errors
    ///
    /// `Over` while the clip is there, or its bytes are still to be removed; `Unknown` for a clip
    /// that never was; `Store` when the ledger cannot be read or signed.
    pub fn deletion_certificate(&self, id: ClipId) -> Result<Vec<u8>, Refusal> {
        match self.store.clip(id) {
            Ok(_) => return Err(Refusal::Over(format!("clip {id}: it is there"))),
            Err(error) if error.kind() == ErrorKind::Expired => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(Refusal::Unknown(format!("clip {id}: there never was one")));
            }
            Err(error) => return Err(error.into()),
        }
        let mut end = End::default();
        let log = self.sign_log(&mut |_, entry| end.take(entry, id))?;
        if end.why.is_none() || !end.removed {
            let message = format!("clip {id}: its bytes are still to be removed, sweep first");
            return Err(Refusal::Over(message));
        }
        let key = self.signing_key()?;
        let certificate = Certificate {
            entries: prove_entries(&log),
            checkpoint: log.note,
            clip: Text(id),
            format: Certificate::FORMAT.to_owned(),
            key: key.verifying_key().to_string(),
            store: Hex(self.store.id().to_vec()).text(),
        };
        paper::sign(&certificate, &key)
    }
}

/// Checks a deletion certificate; answers also what it shows, in words.
#[must_use]
pub fn check_certificate(bytes: &[u8], keys: &[VerifyingKey]) -> (Report, Option<String>) {
    let mut report = Report::default();
    let Some(opened) = paper::open::<Certificate>(bytes, keys, &mut report) else {
        return (report, None);
    };
    let certificate = &opened.paper;
    let (mut end, mut newest) = (End::default(), None);
    for proved in &certificate.entries {
        let in_order = newest.replace(proved.index) < Some(proved.index);
        let entry = opened.store.and_then(|store| proved_entry(proved, &opened.log, &store));
        let taken = entry.filter(|_| in_order);
        if !taken.is_some_and(|entry| end.take(&entry, certificate.clip.0)) {
            let what = "an entry is not in the log, or not about this clip";
            report.find(Class::Unproved, None, what);
        }
    }
    if end.why.is_none() || !end.removed {
        let what = "its end and the removal of its bytes are not shown";
        report.find(Class::Unproved, None, what);
    }
    report.clips.push(certificate.clip.0);
    (report, end.why.filter(|_| end.removed))
}
