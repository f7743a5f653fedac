//! Papers: one signed JSON document each, about something that the ledger says.
//!
//! Owns the envelope, and what every paper is checked for before its own content is: the form, the
//! signature, the checkpoint, and whose key it is.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::evidence::{Checkpoint, VerifyingKey};
use crate::requests::Refusal;

use super::check::{Class, Finding, Report};
use super::manifest::{Envelope, store_id};

/// What every paper says first.
pub(super) struct Head<'a> {
    pub(super) checkpoint: &'a str,
    pub(super) format: &'a str,
    pub(super) key: &'a str,
    pub(super) store: &'a str,
}

/// What a paper says.
pub(super) trait Paper: Serialize + DeserializeOwned {
    /// The version of its content.
    const FORMAT: &'static str;
    /// What the envelope says that it holds.
    const PAYLOAD_TYPE: &'static str;

    fn head(&self) -> Head<'_>;
}

/// A paper whose form and signature are right.
pub(super) struct Opened<T> {
    pub(super) log: Checkpoint,
    /// The id of the store, which salts the checksums of its entries.
    pub(super) store: Option<[u8; 16]>,
    pub(super) paper: T,
}

/// Whether these bytes claim to be a paper of this kind.
pub(super) fn is<T: Paper>(bytes: &[u8]) -> bool {
    let envelope = serde_json::from_slice::<Envelope>(bytes);
    envelope.is_ok_and(|envelope| envelope.payload_type == T::PAYLOAD_TYPE)
}

/// The bytes of a paper that `key` signs.
pub(super) fn sign<T: Paper>(
    paper: &T,
    key: &crate::evidence::SigningKey,
) -> Result<Vec<u8>, Refusal> {
    let json = |error: serde_json::Error| Refusal::Invalid(error.to_string());
    let payload = serde_json::to_vec(paper).map_err(json)?;
    serde_json::to_vec(&Envelope::signed(T::PAYLOAD_TYPE, payload, key)).map_err(json)
}

/// Opens a paper, and puts into `report` what is wrong with it. Nothing is answered when its
/// content says nothing then.
pub(super) fn open<T: Paper>(
    bytes: &[u8],
    keys: &[VerifyingKey],
    report: &mut Report,
) -> Option<Opened<T>> {
    let envelope = serde_json::from_slice::<Envelope>(bytes).ok();
    let same = |read: &Envelope| serde_json::to_vec(read).is_ok_and(|again| again == bytes);
    let envelope = envelope.filter(same).filter(|read| read.payload_type == T::PAYLOAD_TYPE);
    let paper =
        envelope.as_ref().and_then(|read| serde_json::from_slice::<T>(&read.payload.0).ok());
    let Some((envelope, paper)) =
        envelope.zip(paper).filter(|(_, paper)| paper.head().format == T::FORMAT)
    else {
        report.find(Class::Altered, None, "it is no paper of this version");
        return None;
    };
    let head = paper.head();
    let own = head.key.parse::<VerifyingKey>().ok().filter(|key| envelope.is_by(key));
    let Some(own) = own else {
        report.find(Class::Altered, None, "its signature does not match");
        return None;
    };
    let Ok(log) = Checkpoint::verified(head.checkpoint, &own) else {
        report.find(Class::Altered, None, "its checkpoint is not as it was signed");
        return None;
    };
    report.key = Some(head.key.to_owned());
    if !keys.contains(&own) {
        let what = format!("signed by {own}, which is no key that you trust");
        report.findings.push(Finding { class: Class::UnknownKey, clip: None, what });
    }
    match Checkpoint::cosignatures(head.checkpoint, keys) {
        Ok(witnesses) => report.witnesses.extend(witnesses),
        Err(error) => report.find(Class::Unproved, None, format!("its checkpoint: {error}")),
    }
    let store = store_id(head.store);
    Some(Opened { log, store, paper })
}
