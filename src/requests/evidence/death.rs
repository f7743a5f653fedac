//! A deletion certificate: that the ledger says how a clip ended, and that its bytes were removed.
//!
//! It claims what the log shows and no more: that the store put on record why the clip ended and
//! that it removed its bytes. The entries are shown to be in the log; that none was left out (one
//! that moved the clip elsewhere, say) is the word of the store's key, which signs the whole. What
//! a disk keeps of overwritten blocks, and what copies somebody made before, no log can show.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::evidence::{Checkpoint, Hash, VerifyingKey, leaf_hash, verify_inclusion};
use crate::format::entry::{Decision, Entry};
use crate::{ClipId, ErrorKind, SegmentId};

use crate::requests::text::Text;
use crate::requests::{Desk, Refusal};

use super::check::{Class, Finding, Report};
use super::make::prove_entry;
use super::manifest::{Envelope, Hex, ProvedEntry};

const FORMAT: &str = "clipkeep-deletion-1";
const PAYLOAD_TYPE: &str = "application/vnd.clipkeep.deletion+json";

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
        let (log, checkpoint, _) = self.sign_log()?;
        let mut end = End::default();
        let mut entries = Vec::new();
        for (index, bytes) in log.entries.iter().enumerate() {
            let (entry, _) = Entry::decode(bytes, &self.store.id())
                .map_err(|damage| crate::Error::corrupt("read ledger").caused_by(damage))?;
            if end.take(&entry, id) {
                entries.push(prove_entry(&log, index));
            }
        }
        if end.why.is_none() || !end.removed {
            let message = format!("clip {id}: its bytes are still to be removed, sweep first");
            return Err(Refusal::Over(message));
        }
        let certificate = Certificate {
            checkpoint,
            clip: Text(id),
            entries,
            format: FORMAT.to_owned(),
            key: self.verifying_key()?.to_string(),
            store: Hex(self.store.id().to_vec()).text(),
        };
        let json = |error: serde_json::Error| Refusal::Invalid(error.to_string());
        let payload = serde_json::to_vec(&certificate).map_err(json)?;
        let envelope = Envelope::signed(PAYLOAD_TYPE, payload, &self.signing_key()?);
        serde_json::to_vec(&envelope).map_err(json)
    }
}

/// Checks a deletion certificate; answers also what it shows, in words.
#[must_use]
pub fn check_certificate(bytes: &[u8], keys: &[VerifyingKey]) -> (Report, Option<String>) {
    let mut report = Report::default();
    let mut find = |class, what: &str| {
        report.findings.push(Finding { class, clip: None, what: what.to_owned() });
    };
    let envelope = serde_json::from_slice::<Envelope>(bytes).ok();
    let same = |read: &Envelope| serde_json::to_vec(read).is_ok_and(|again| again == bytes);
    let envelope = envelope.filter(same).filter(|read| read.payload_type == PAYLOAD_TYPE);
    let certificate = envelope
        .as_ref()
        .and_then(|envelope| serde_json::from_slice::<Certificate>(&envelope.payload.0).ok());
    let Some((envelope, certificate)) =
        envelope.zip(certificate).filter(|(_, read)| read.format == FORMAT)
    else {
        find(Class::Altered, "it is no certificate of this version");
        return (report, None);
    };
    let own = certificate.key.parse::<VerifyingKey>().ok();
    if !own.as_ref().is_some_and(|key| envelope.is_by(key)) {
        find(Class::Altered, "its signature does not match");
        return (report, None);
    }
    let log = own.as_ref().and_then(|key| Checkpoint::verified(&certificate.checkpoint, key).ok());
    let Some(log) = log else {
        find(Class::Altered, "its checkpoint is not as it was signed");
        return (report, None);
    };
    if !own.is_some_and(|key| keys.contains(&key)) {
        let what = format!("signed by {}, which is no key that you trust", certificate.key);
        find(Class::UnknownKey, &what);
    }
    let store = Hex::try_from(certificate.store.clone()).ok();
    let store: Option<[u8; 16]> = store.and_then(|store| store.0.try_into().ok());
    let (mut end, mut newest) = (End::default(), None);
    for proved in &certificate.entries {
        let path: Option<Vec<Hash>> =
            proved.path.iter().map(|hash| hash.0.as_slice().try_into().ok()).collect();
        let leaf = leaf_hash(&proved.entry.0);
        let holds = path
            .is_some_and(|path| verify_inclusion(&leaf, proved.index, log.size, &path, &log.root));
        let in_order = newest.replace(proved.index) < Some(proved.index);
        let entry = store.and_then(|store| Entry::decode(&proved.entry.0, &store).ok());
        match entry.filter(|_| holds && in_order) {
            Some((entry, _)) if end.take(&entry, certificate.clip.0) => {}
            _ => find(Class::Unproved, "an entry is not in the log, or not about this clip"),
        }
    }
    if end.why.is_none() || !end.removed {
        find(Class::Unproved, "its end and the removal of its bytes are not shown");
    }
    report.clips.push(certificate.clip.0);
    report.key = Some(certificate.key);
    (report, end.why.filter(|_| end.removed))
}
