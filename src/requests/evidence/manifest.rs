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
use crate::{CameraId, ClipId, HoldId, SegmentId, Timestamp, Window};

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
    /// Where nothing is provided of the cameras that something is provided of: it does not say why.
    pub(super) gaps: Vec<Gap>,
    /// The key that signed, so that a stranger can at least tell that one key signed all.
    pub(super) key: String,
    /// Trusted time of the newest entry under the checkpoint.
    pub(super) made: Text<Timestamp>,
    /// Of the day on which the holds on what is provided were placed.
    pub(super) receipts: Vec<HoldReceipt>,
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
    /// Whose clock its window is by.
    pub(super) clock: ClockSource,
    /// As in the `codecs` parameter of RFC 6381; none where the bytes do not say.
    pub(super) codec: Option<String>,
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

/// Whose clock the window of a clip is by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ClockSource {
    /// Whoever recorded it stated the window, and how wrong it may be. The store checks neither; by
    /// its own trusted time is when it had the bytes.
    Recorder,
}

/// A stretch of the window without anything provided.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Gap {
    pub(super) camera: Text<CameraId>,
    pub(super) window: Span,
}

/// The hold on what one household shared, as it was placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HoldReceipt {
    pub(super) bytes: u64,
    pub(super) clips: u64,
    pub(super) deadline: Text<Timestamp>,
    pub(super) hold: Text<HoldId>,
    /// Until when ordinary retention would have kept the first of its clips to expire.
    pub(super) kept_anyway_until: Text<Timestamp>,
    pub(super) placed: Text<Timestamp>,
    /// Where in the ledger it stands.
    pub(super) position: u64,
}

/// What of `window` none of `clips` covers, for each of their cameras, by camera and time.
pub(super) fn gaps(window: Window, clips: &[Provided]) -> Vec<Gap> {
    let mut provided: BTreeMap<&CameraId, Vec<Window>> = BTreeMap::new();
    for clip in clips {
        let covered = clip.part.unwrap_or(clip.window).window();
        provided.entry(&clip.camera.0).or_default().push(covered);
    }
    let mut gaps = Vec::new();
    for (camera, mut windows) in provided {
        windows.sort_unstable();
        let mut covered_to = window.start();
        let ends = windows.iter().map(|covered| (covered.start(), covered.end()));
        for (start, end) in ends.chain([(window.end(), window.end())]) {
            if let Ok(gap) = Window::new(covered_to, start.min(window.end())) {
                gaps.push(Gap { camera: Text(camera.clone()), window: gap.into() });
            }
            covered_to = covered_to.max(end);
        }
    }
    gaps
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

/// The ways from the parts of a clip to the roots of their segments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProvedClip {
    pub(super) clip: Text<ClipId>,
    /// In their order: one, unless it was recorded over the end of a segment.
    pub(super) parts: Vec<ProvedPart>,
}

/// The way from a part of a clip to the root of its segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProvedPart {
    /// What the leaf is the hash of: docs/FORMAT.md has it field by field.
    pub(super) leaf: Base64,
    pub(super) path: Vec<Base64>,
    pub(super) place: (u64, u64),
    pub(super) segment: u32,
}

impl ProvedPart {
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

/// Hashes as they stand in a proof; `None` when one has another length.
pub(super) fn hashes_of(coded: &[Base64]) -> Option<Vec<Hash>> {
    coded.iter().map(|hash| hash.0.as_slice().try_into().ok()).collect()
}

/// Hashes as a proof has them.
pub(super) fn coded(hashes: Vec<Hash>) -> Vec<Base64> {
    hashes.into_iter().map(|hash| Base64(hash.to_vec())).collect()
}

/// The id of a store from its text.
pub(super) fn store_id(text: &str) -> Option<[u8; 16]> {
    Hex::try_from(text.to_owned()).ok()?.0.try_into().ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn window(from: i64, to: i64) -> Window {
        Window::new(Timestamp::from_micros(from), Timestamp::from_micros(to)).unwrap()
    }

    fn provided(camera: &str, covered: Window, part: Option<Window>) -> Provided {
        Provided {
            blake3: Hex(Vec::new()),
            bytes: 1,
            camera: Text(camera.parse().unwrap()),
            clip: Text("1-0".parse().unwrap()),
            clock: ClockSource::Recorder,
            codec: None,
            file: String::new(),
            media: String::new(),
            part: part.map(Span::from),
            received: Text(covered.end()),
            state: String::new(),
            uncertainty_us: 0,
            window: covered.into(),
        }
    }

    #[test]
    fn gaps_are_what_is_not_provided_of_cameras_that_something_is_of() {
        let clips = [
            provided("b", window(90, 120), None),
            provided("a", window(30, 40), None),
            provided("a", window(0, 20), Some(window(10, 20))),
            provided("a", window(35, 50), None),
        ];
        let found = gaps(window(0, 100), &clips);
        let told: Vec<(String, Window)> =
            found.iter().map(|gap| (gap.camera.0.to_string(), gap.window.window())).collect();
        let gap = |camera: &str, from, to| (camera.to_owned(), window(from, to));
        let want = [gap("a", 0, 10), gap("a", 20, 30), gap("a", 50, 100), gap("b", 0, 90)];
        assert_eq!(told, want);
        assert_eq!(gaps(window(35, 36), &clips[1..2]), [], "covered as a whole");
        assert_eq!(gaps(window(0, 100), &[]), []);
    }
}
