//! What stands in a bundle, and in which form.
//!
//! ```text
//! SHA256SUMS                  of every other member: `sha256sum -c SHA256SUMS`
//! clips/ID.mp4                the bytes as they were recorded
//! derived/ID.mp4              a part of one, where its resident shared no more than that
//! manifest.json               what is provided: a DSSE envelope, signed with the store's key
//! proofs/checkpoint.txt       what the ledger was when the bundle was made, signed
//! proofs/checkpoint-before.txt  the one signed before, if there is one
//! proofs/clips.json           from each clip to the root of its segment
//! proofs/entries.json         entries of the ledger, each with the way to the checkpoint
//! proofs/request.json         the request as it was submitted, with the salt of its commitment
//! ```
//!
//! Every JSON member is canonical: fields in the order of the alphabet, no white space. Numbers of
//! time are microseconds since 1970 in UTC unless they are RFC 3339 text.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::evidence::{Hash, SigningKey, VerifyingKey};
use crate::{CameraId, ClipId, SegmentId, Timestamp};

use crate::requests::text::{Span, Text};
use crate::requests::{AgencyId, RequestId};

pub(super) const MANIFEST: &str = "manifest.json";
pub(super) const SUMS: &str = "SHA256SUMS";
pub(super) const CHECKPOINT: &str = "proofs/checkpoint.txt";
pub(super) const BEFORE: &str = "proofs/checkpoint-before.txt";
pub(super) const CLIPS: &str = "proofs/clips.json";
pub(super) const ENTRIES: &str = "proofs/entries.json";
pub(super) const REQUEST: &str = "proofs/request.json";
/// What the envelope says that it holds.
pub(super) const PAYLOAD_TYPE: &str = "application/vnd.clipkeep.evidence+json";
/// The version of all of this.
pub(super) const FORMAT: &str = "clipkeep-evidence-1";

/// What is provided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    pub(super) agency: Text<AgencyId>,
    pub(super) clips: Vec<Provided>,
    /// SHA-256 of every other member but SHA256SUMS.
    pub(super) files: BTreeMap<String, Hex>,
    pub(super) format: String,
    /// The key that signed, so that a stranger can at least tell that one key signed all.
    pub(super) key: String,
    pub(super) made: Text<Timestamp>,
    pub(super) request: Text<RequestId>,
    /// The id of the store.
    pub(super) store: String,
    pub(super) window: Span,
}

/// A clip that is provided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Provided {
    /// BLAKE3 of the whole clip, taken when it was recorded.
    pub(super) blake3: Hex,
    /// Length of the whole clip.
    pub(super) bytes: u64,
    pub(super) camera: Text<CameraId>,
    pub(super) clip: Text<ClipId>,
    /// The member that has it.
    pub(super) file: String,
    pub(super) media: String,
    /// The part that is provided; the whole clip where there is none.
    pub(super) part: Option<Span>,
    /// When the store had all of it, by trusted time.
    pub(super) received: Text<Timestamp>,
    /// `complete`, or `truncated` when its camera vanished.
    pub(super) state: String,
    /// How wrong its times may be, either way, in microseconds.
    pub(super) uncertainty_us: u64,
    /// The times of the whole clip, by its camera's clock.
    pub(super) window: Span,
}

/// An entry of the ledger with its proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProvedEntry {
    pub(super) entry: Base64,
    /// Which leaf of the log it is.
    pub(super) index: u64,
    pub(super) path: Vec<Base64>,
}

/// The entries, and how the checkpoint follows from the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entries {
    /// Empty when there is no checkpoint before.
    pub(super) consistency: Vec<Base64>,
    pub(super) entries: Vec<ProvedEntry>,
}

/// The way from a clip to the root of its segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProvedClip {
    pub(super) clip: Text<ClipId>,
    pub(super) leaf: Base64,
    pub(super) path: Vec<Base64>,
    pub(super) place: (u64, u64),
    pub(super) segment: u32,
}

impl ProvedClip {
    pub(super) fn segment(&self) -> SegmentId {
        SegmentId(self.segment)
    }
}

/// A private record that is opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Opened {
    pub(super) salt: String,
    pub(super) value: String,
}

/// A signed payload, as DSSE has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Envelope {
    pub(super) payload: Base64,
    pub(super) payload_type: String,
    pub(super) signatures: Vec<Signed>,
}

/// A signature of an envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Signed {
    pub(super) keyid: String,
    pub(super) sig: Base64,
}

impl Envelope {
    /// The bytes that are signed: the pre-authentication encoding of DSSE.
    fn signed_bytes(payload_type: &str, payload: &[u8]) -> Vec<u8> {
        let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
        [head.as_bytes(), payload].concat()
    }

    /// The payload, signed by `key`.
    pub(super) fn signed(payload_type: &str, payload: Vec<u8>, key: &SigningKey) -> Self {
        let sig = Base64(key.sign(&Self::signed_bytes(payload_type, &payload)).to_vec());
        let signatures = vec![Signed { keyid: key.verifying_key().to_string(), sig }];
        Self { payload: Base64(payload), payload_type: payload_type.to_owned(), signatures }
    }

    /// Whether `key` signed the payload.
    pub(super) fn is_by(&self, key: &VerifyingKey) -> bool {
        let bytes = Self::signed_bytes(&self.payload_type, &self.payload.0);
        let one = self.signatures.first().filter(|_| self.signatures.len() == 1);
        one.is_some_and(|one| one.keyid == key.to_string() && key.verifies(&bytes, &one.sig.0))
    }
}

/// The text of SHA256SUMS over `hashes`.
pub(super) fn sums<'a>(hashes: impl IntoIterator<Item = (&'a String, Hash)>) -> String {
    let line = |(name, hash): (&String, Hash)| format!("{}  {name}\n", Hex(hash.to_vec()).text());
    hashes.into_iter().map(line).collect()
}

/// Bytes that JSON has as lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(super) struct Hex(pub(super) Vec<u8>);

impl Hex {
    pub(super) fn text(&self) -> String {
        use std::fmt::Write as _;
        self.0.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").ok();
            text
        })
    }
}

impl From<Hex> for String {
    fn from(hex: Hex) -> Self {
        hex.text()
    }
}

impl TryFrom<String> for Hex {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digit = |at: usize| text.get(at..at + 2).filter(|two| !two.starts_with('+'));
        let bytes: Option<Vec<u8>> =
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(digit(at)?, 16).ok()).collect();
        let hex = bytes.map(Self).filter(|hex| hex.text() == text);
        hex.ok_or_else(|| format!("{text:?}: want lower-case hexadecimal digits"))
    }
}

/// Bytes that JSON has as base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(super) struct Base64(pub(super) Vec<u8>);

impl From<Base64> for String {
    fn from(bytes: Base64) -> Self {
        STANDARD.encode(bytes.0)
    }
}

impl TryFrom<String> for Base64 {
    type Error = base64::DecodeError;

    fn try_from(text: String) -> Result<Self, base64::DecodeError> {
        STANDARD.decode(text).map(Self)
    }
}
