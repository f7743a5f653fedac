//! Bundles, and the same with something changed in them.

use super::street::{Street, agency};
use crate::evidence::{Archive, ArchiveReader, VerifyingKey};
use crate::requests::{HouseholdId, RequestId};
use crate::{ClipReader, Window};

pub(super) fn no_trim(
    _: &ClipReader,
    _: Window,
) -> Result<Vec<u8>, crate::requests::evidence::TrimError> {
    Err("nothing is cut here".into())
}

pub(super) fn bundle(street: &Street, request: RequestId) -> Vec<u8> {
    let mut bytes = Vec::new();
    street.desk.bundle(&agency(), request, &no_trim, &mut bytes).unwrap();
    bytes
}

/// A street of which the first home shared its clip, and what the agency gets.
pub(super) fn shared() -> (Street, Vec<u8>, VerifyingKey) {
    let street = Street::of(3);
    let request = street.open();
    street.accept(1, request).unwrap();
    street.desk.deny(HouseholdId(2), request).unwrap();
    let (bytes, key) = (bundle(&street, request), street.desk.verifying_key().unwrap());
    (street, bytes, key)
}

pub(super) fn members(bundle: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut reader = ArchiveReader::new(bundle);
    let mut members = Vec::new();
    while let Some(member) = reader.next_member(u32::MAX).unwrap() {
        members.push((member.name, member.bytes.unwrap()));
    }
    members
}

/// The bundle made again with one member changed, and its sums made right again.
pub(super) fn changed(
    bundle: &[u8],
    name: &str,
    change: impl FnOnce(Vec<u8>) -> Option<Vec<u8>>,
) -> Vec<u8> {
    let mut archive = Archive::default();
    let mut change = Some(change);
    for (member, bytes) in members(bundle) {
        let bytes = if member == name { change.take().unwrap()(bytes) } else { Some(bytes) };
        if let Some(bytes) = bytes.filter(|_| member != "SHA256SUMS") {
            archive.add(&member, bytes).unwrap();
        }
    }
    let line = |(name, hash): (&String, &[u8; 32])| {
        let hex = blake3::Hash::from_bytes(*hash).to_hex();
        format!("{hex}  {name}\n")
    };
    let sums: String = archive.hashes().iter().map(line).collect();
    archive.add("SHA256SUMS", sums.into_bytes()).unwrap();
    let mut bytes = Vec::new();
    archive.write_to(&mut bytes).unwrap();
    bytes
}

/// What the envelope of a bundle holds.
pub(super) fn manifest(bundle: &[u8]) -> serde_json::Value {
    use base64::Engine as _;
    let members = members(bundle);
    let (_, envelope) = members.iter().find(|(name, _)| name == "manifest.json").unwrap();
    let envelope: serde_json::Value = serde_json::from_slice(envelope).unwrap();
    let payload = envelope["payload"].as_str().unwrap();
    let payload = base64::engine::general_purpose::STANDARD.decode(payload).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

/// The bundle with the JSON of one member edited, signed again by the store's own key.
pub(super) fn edited(
    street: &Street,
    bundle: &[u8],
    member: &str,
    edit: impl FnOnce(&mut serde_json::Value),
) -> Vec<u8> {
    let other = changed(bundle, member, |bytes| {
        let mut value = serde_json::from_slice(&bytes).unwrap();
        edit(&mut value);
        Some(serde_json::to_vec(&value).unwrap())
    });
    resigned(street, &other, |_| {}, "")
}

/// The bundle signed again by the store's own key with another manifest or other proofs: what a
/// careless or dishonest operator could hand out.
pub(super) fn resigned(
    street: &Street,
    bundle: &[u8],
    change: impl Fn(&mut serde_json::Value),
    without: &str,
) -> Vec<u8> {
    use base64::Engine as _;
    let engine = base64::engine::general_purpose::STANDARD;
    let key = street.desk.signing_key_for_tests();
    let mut archive = Archive::default();
    let mut payload = serde_json::Value::Null;
    for (name, bytes) in members(bundle) {
        if name == "manifest.json" {
            let envelope: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            let bytes = engine.decode(envelope["payload"].as_str().unwrap()).unwrap();
            payload = serde_json::from_slice(&bytes).unwrap();
        } else if name == "proofs/entries.json" && !without.is_empty() {
            let mut entries: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            entries["entries"].as_array_mut().unwrap().retain(|entry| {
                let entry = engine.decode(entry["entry"].as_str().unwrap()).unwrap();
                !String::from_utf8_lossy(&entry).contains(without)
            });
            archive.add(&name, serde_json::to_vec(&entries).unwrap()).unwrap();
        } else if name != "SHA256SUMS" {
            archive.add(&name, bytes).unwrap();
        }
    }
    change(&mut payload);
    for (name, hash) in archive.hashes() {
        let hex = blake3::Hash::from_bytes(hash).to_hex().to_string();
        payload["files"][&name] = hex.into();
    }
    let payload = serde_json::to_vec(&payload).unwrap();
    let kind = "application/vnd.clipkeep.evidence+json";
    let signed =
        [format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).as_bytes(), &payload].concat();
    let sig = engine.encode(key.sign(&signed));
    let envelope = serde_json::json!({
        "payload": engine.encode(&payload),
        "payloadType": kind,
        "signatures": [{"keyid": key.verifying_key().to_string(), "sig": sig}],
    });
    archive.add("manifest.json", serde_json::to_vec(&envelope).unwrap()).unwrap();
    let mut bytes = Vec::new();
    archive.add("SHA256SUMS", Vec::new()).unwrap();
    archive.write_to(&mut bytes).unwrap();
    changed(&bytes, "manifest.json", Some)
}
