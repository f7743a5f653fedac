//! The retention proof: that what was promised to the footage of a camera was kept, or where not.
//!
//! It has the entries of the ledger that are about this, each with its way to a checkpoint, and
//! whoever checks it counts them again. That no entry was left out is the word of the store's key,
//! unless the proof has the whole ledger: then the root of the checkpoint is made again from it.
//! The whole ledger says what was asked of and answered by everybody, by their ids: it is for a
//! regulator and not for a neighbour.

use serde::{Deserialize, Serialize};

use crate::evidence::{Tree, VerifyingKey};
use crate::format::entry::Entry;
use crate::{CameraId, Window};

use crate::requests::text::{Span, Text};
use crate::requests::{Desk, Refusal};

use super::account::RetentionAccount;
use super::check::{Class, Report, proved_entry};
use super::make::prove_entries;
use super::manifest::{Base64, Hex, ProvedEntry};
use super::paper::{self, Head, Opened, Paper};

/// No proof is longer: whoever checks one holds it in memory.
pub const RETENTION_PROOF_BYTES_MAX: usize = 256 << 20;

/// The proof, as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Proof {
    camera: Text<CameraId>,
    checkpoint: String,
    /// Those that are about it, with their ways; or all there are, without.
    entries: Vec<ProvedEntry>,
    format: String,
    key: String,
    period: Span,
    store: String,
    whole: bool,
}

impl Paper for Proof {
    const FORMAT: &'static str = "clipkeep-retention-1";
    const PAYLOAD_TYPE: &'static str = "application/vnd.clipkeep.retention+json";

    fn head(&self) -> Head<'_> {
        Head {
            checkpoint: &self.checkpoint,
            format: &self.format,
            key: &self.key,
            store: &self.store,
        }
    }
}

impl Desk {
    /// Proves what became of the footage that the store received from `camera` in `period`: JSON,
    /// checked by `clipkeep verify`. With `whole` it has every entry of the ledger, so that whoever
    /// checks it sees that none was left out.
    ///
    /// # Errors
    ///
    /// `Unknown` for a camera that the ledger does not know; `Invalid` for a period that is not
    /// over, or a whole ledger above 256 MiB; `Store` when the ledger cannot be read or signed.
    pub fn retention_proof(
        &self,
        camera: &CameraId,
        period: Window,
        whole: bool,
    ) -> Result<Vec<u8>, Refusal> {
        let now = self.store.trusted_now();
        if period.end() > now {
            let message = format!("period: it ends at {}, and it is {now}", period.end());
            return Err(Refusal::Invalid(message));
        }
        let mut account = RetentionAccount::new(camera.clone(), period);
        let log = self.sign_log(&mut |_, entry| account.take(entry) || whole)?;
        if !account.known && !self.store.cameras().contains(camera) {
            return Err(Refusal::Unknown(format!("camera {camera}: the ledger does not know it")));
        }
        let bytes: usize = log.entries.values().map(Vec::len).sum();
        if bytes > RETENTION_PROOF_BYTES_MAX / 2 {
            return Err(Refusal::Invalid(format!(
                "retention proof: {bytes} bytes of entries are more than one file can have"
            )));
        }
        let entries = if whole {
            let one = |(index, entry): (u64, &Vec<u8>)| ProvedEntry {
                entry: Base64(entry.clone()),
                index,
                path: Vec::new(),
            };
            (0..).zip(log.entries.values()).map(one).collect()
        } else {
            prove_entries(&log)
        };
        let key = self.signing_key()?;
        let proof = Proof {
            camera: Text(camera.clone()),
            checkpoint: log.note,
            entries,
            format: Proof::FORMAT.to_owned(),
            key: key.verifying_key().to_string(),
            period: period.into(),
            store: Hex(self.store.id().to_vec()).text(),
            whole,
        };
        paper::sign(&proof, &key)
    }
}

/// Whether these bytes claim to be a retention proof.
#[must_use]
pub fn is_retention_proof(bytes: &[u8]) -> bool {
    paper::is::<Proof>(bytes)
}

/// Checks a retention proof. Answers also what it shows, when it shows anything, and whether every
/// entry of the ledger was looked at for that. A promise that was not kept is a finding of its own,
/// of class `Policy`.
#[must_use]
pub fn check_retention(
    bytes: &[u8],
    keys: &[VerifyingKey],
) -> (Report, Option<(RetentionAccount, bool)>) {
    let mut report = Report::default();
    let Some(opened) = paper::open::<Proof>(bytes, keys, &mut report) else {
        return (report, None);
    };
    let proof = &opened.paper;
    let mut account = RetentionAccount::new(proof.camera.0.clone(), proof.period.window());
    let shown = if proof.whole {
        take_whole(&opened, &mut account)
    } else {
        take_chosen(&opened, &mut account)
    };
    if let Err(what) = shown {
        report.find(Class::Unproved, None, what);
        return (report, None);
    }
    if !account.is_kept() {
        report.find(Class::Policy, None, "the promise is not shown to have been kept");
    }
    (report, Some((account, proof.whole)))
}

/// Each entry is in the log, and all of them are about this.
fn take_chosen(opened: &Opened<Proof>, account: &mut RetentionAccount) -> Result<(), String> {
    let mut newest = None;
    for proved in &opened.paper.entries {
        let in_order = newest.replace(proved.index) < Some(proved.index);
        let entry = opened.store.and_then(|store| proved_entry(proved, &opened.log, &store));
        let taken = entry.filter(|_| in_order).is_some_and(|entry| account.take(&entry));
        if !taken {
            let index = proved.index;
            return Err(format!("entry {index} is not in the log, or not about this camera"));
        }
    }
    Ok(())
}

/// The entries are all that the log has.
fn take_whole(opened: &Opened<Proof>, account: &mut RetentionAccount) -> Result<(), String> {
    let mut tree = Tree::default();
    for (index, proved) in (0_u64..).zip(&opened.paper.entries) {
        tree.push(&proved.entry.0);
        let decoded = opened.store.map(|store| Entry::decode(&proved.entry.0, &store));
        let Some(Ok((entry, _))) = decoded.filter(|_| proved.index == index) else {
            return Err(format!("entry {index} is not one of this store's ledger"));
        };
        account.take(&entry);
    }
    let size = u64::try_from(tree.len()).ok();
    if size != Some(opened.log.size) || tree.root(tree.len()) != Some(opened.log.root) {
        return Err("these are not all entries of the ledger".to_owned());
    }
    Ok(())
}
