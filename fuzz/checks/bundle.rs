//! Evidence bundles and deletion certificates, into the verifier that has nothing but the file.
//!
//! Asserts that a file with any byte changed is never called whole, however well the container
//! around it was made again; that footage which is not what was recorded is noticed even where the
//! store's own key signs it; and that nothing in a file becomes memory before it is checked.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::choices::Choices;
use super::{index, memory};
use crate::evidence::{Archive, ArchiveReader, SigningKey, VerifyingKey};
use crate::requests::evidence::{Report, TrimError, check_certificate};
use crate::requests::{AgencyId, Area, Chosen, Desk, NewHousehold, Place, Rules, Submission, Text};
use crate::vfs::sim::SimVfs;
use crate::{ClipReader, ManualClock, NewClip, Retention, Store, Window};

const MANIFEST: &str = "manifest.json";
const SUMS: &str = "SHA256SUMS";
const PAYLOAD_TYPE: &str = "application/vnd.clipkeep.evidence+json";
/// The reader's buffer, and what a finding says.
const BUFFER_BYTES: usize = 1 << 17;

fn cut_nothing(_: &ClipReader, _: Window) -> Result<Vec<u8>, TrimError> {
    Err("nothing is cut".into())
}

/// Input: how; then a file as it is; or changes of a bundle's bytes, of one of its members in a
/// container made again, or of one under the store's own signature; or of a certificate.
pub fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    match choices.u8() % 6 {
        0 => {
            let bytes = choices.rest();
            let report = verified(bytes);
            assert!(report.exit_code() != 0 || bytes == known().bundle, "nobody made this");
        }
        1 => {
            let changed = changes(&mut choices, &known().bundle);
            let same = changed == known().bundle;
            let report = verified(&changed);
            assert_eq!(report.exit_code() == 0, same, "{:?}", report.findings);
        }
        2 => repacked(&mut choices),
        3 => signed_again(&mut choices),
        4 => certificate(choices.rest(), false),
        _ => {
            let changed = changes(&mut choices, &known().certificate);
            certificate(&changed, changed == known().certificate);
        }
    }
}

/// What every input begins with: a bundle, a certificate, and the key under both.
struct Known {
    bundle: Vec<u8>,
    certificate: Vec<u8>,
    signer: SigningKey,
    key: VerifyingKey,
}

fn known() -> &'static Known {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    KNOWN.get_or_init(make)
}

/// Two homes are asked: one shares its clip, the other says no, and its clip dies.
fn make() -> Known {
    let day = Duration::from_hours(24);
    let clock = ManualClock::at("2026-11-01T00:00:00Z".parse().unwrap());
    let store = Store::options()
        .segment_bytes(4 << 20)
        .free_space_floor(0)
        .evidence_reserve(4 << 20)
        .retention(Retention::days(5, 10).unwrap())
        .vfs(SimVfs::new(1))
        .clock(clock.clone())
        .open("store")
        .unwrap();
    let desk = Desk::open(store, Rules::default()).unwrap();
    let agency: AgencyId = "springfield-pd".parse().unwrap();
    desk.join_agency(&agency, "desk@springfield.example").unwrap();
    let place = Place { lat: 40.0, lon: -75.0 };
    let window = Window::parse("2026-11-01T18:00:00Z", "2026-11-01T18:01:00Z").unwrap();
    let homes = ["door-1", "door-2"].map(|name| {
        let camera: crate::CameraId = name.parse().unwrap();
        let cameras = vec![(Text(camera.clone()), place)];
        let contact = "resident@example.org".to_owned();
        let home = desk.join_household(&NewHousehold { cameras, contact }).unwrap();
        let bytes = format!("<footage of {name}>").into_bytes();
        (home, desk.store().append(NewClip::new(&camera, window), bytes).unwrap())
    });
    clock.advance(day);
    let submission = Submission {
        key: "k1".to_owned(),
        window: Window::parse("2026-11-01T17:00:00Z", "2026-11-01T20:00:00Z").unwrap().into(),
        area: Area::Circle { center: place, radius_m: 300.0 },
        incident: "4471".to_owned(),
        kind: "theft".to_owned(),
        contact: "officer@springfield.example".to_owned(),
        words: "A parcel was taken.".to_owned(),
    };
    let request = desk.submit(&agency, &submission).unwrap().request.0;
    desk.approve(request).unwrap();
    let [(sharing, shared), (denying, denied)] = homes;
    let chosen = Chosen { clip: Text(shared.id()), part: None };
    desk.accept(sharing, request, &[chosen]).unwrap();
    desk.deny(denying, request).unwrap();
    let mut bundle = Vec::new();
    desk.bundle(&agency, request, &cut_nothing, &mut bundle).unwrap();
    for _ in 0..11 {
        clock.advance(day);
        desk.settle().unwrap();
        desk.store().sweep().unwrap();
    }
    let certificate = desk.deletion_certificate(denied.id()).unwrap();
    let signer = desk.signing_key_for_tests();
    let key = signer.verifying_key();
    let known = Known { bundle, certificate, signer, key };
    assert_eq!(verify(&known.bundle, &known.key).findings, [], "a whole bundle is whole");
    known
}

fn verify(bytes: &[u8], key: &VerifyingKey) -> Report {
    crate::requests::evidence::check(bytes, std::slice::from_ref(key))
}

/// What the verifier says, which is the same each time and takes no more memory than the file.
fn verified(bytes: &[u8]) -> Report {
    let key = &known().key;
    let most = memory::for_reading(bytes.len()) + BUFFER_BYTES;
    let report = memory::within(most, || verify(bytes, key));
    assert_eq!(verify(bytes, key), report, "another answer for the same file");
    let trusted = report.exit_code();
    assert_ne!(verify(bytes, &stranger()).exit_code(), 0, "by a key that signed nothing");
    assert!(trusted <= 5);
    report
}

fn stranger() -> VerifyingKey {
    SigningKey::new("stranger.example", &[9; 32]).unwrap().verifying_key()
}

fn changes(choices: &mut Choices<'_>, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..16 {
        if choices.is_empty() {
            break;
        }
        choices.change(&mut bytes);
    }
    bytes
}

type Members = BTreeMap<String, Vec<u8>>;

fn members() -> Members {
    let mut reader = ArchiveReader::new(&known().bundle[..]);
    let mut members = Members::new();
    while let Some(member) = reader.next_member(u32::MAX).unwrap() {
        members.insert(member.name, member.bytes.unwrap());
    }
    members
}

/// One of the members, changed, put under another name, or taken out; whether anything is another.
fn meddle(choices: &mut Choices<'_>, members: &mut Members) -> Option<String> {
    let names: Vec<String> = members.keys().filter(|name| *name != SUMS).cloned().collect();
    let name = names[index(choices.u8()) % names.len()].clone();
    let bytes = members.remove(&name).unwrap();
    match choices.u8() % 8 {
        0 => return Some(name),
        1 => drop(members.insert(format!("clips/x{}", choices.u8()), bytes)),
        _ => {
            let changed = changes(choices, &bytes);
            let same = changed == bytes;
            members.insert(name.clone(), changed);
            return (!same).then_some(name);
        }
    }
    Some(name)
}

/// The container of `members`, with sums that match.
fn packed(members: &Members) -> Vec<u8> {
    let mut archive = Archive::default();
    for (name, bytes) in members.iter().filter(|(name, _)| *name != SUMS) {
        archive.add(name, bytes.clone()).unwrap();
    }
    let line = |(name, hash): (&String, &[u8; 32])| format!("{}  {name}\n", hex(hash));
    let sums: String = archive.hashes().iter().map(line).collect();
    archive.add(SUMS, sums.into_bytes()).unwrap();
    let mut bytes = Vec::new();
    archive.write_to(&mut bytes).unwrap();
    bytes
}

fn hex(hash: &[u8; 32]) -> String {
    blake3::Hash::from_bytes(*hash).to_hex().to_string()
}

/// By somebody who can make containers and no signatures.
fn repacked(choices: &mut Choices<'_>) {
    let mut members = members();
    let meddled = meddle(choices, &mut members);
    let report = verified(&packed(&members));
    assert_eq!(report.exit_code() == 0, meddled.is_none(), "{meddled:?}: {:?}", report.findings);
}

/// By the store's own key, which can sign what it likes, and still not make other footage of what
/// the ledger has a digest of.
fn signed_again(choices: &mut Choices<'_>) {
    let mut members = members();
    let envelope: serde_json::Value = serde_json::from_slice(&members[MANIFEST]).unwrap();
    let mut payload = STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap();
    members.remove(MANIFEST);
    let meddled = meddle(choices, &mut members);
    if choices.flag() {
        payload = changes(choices, &payload);
    } else {
        let mut manifest: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        let hashes = members.iter().filter(|(name, _)| *name != SUMS).map(|(name, bytes)| {
            use sha2::Digest as _;
            (name.clone(), hex(&sha2::Sha256::digest(bytes).into()).into())
        });
        manifest["files"] = serde_json::Value::Object(hashes.collect());
        payload = serde_json::to_vec(&manifest).unwrap();
    }
    let head = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len());
    let sig = known().signer.sign(&[head.as_bytes(), &payload].concat());
    let envelope = serde_json::json!({
        "payload": STANDARD.encode(&payload),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": known().key.to_string(), "sig": STANDARD.encode(sig)}],
    });
    members.insert(MANIFEST.to_owned(), serde_json::to_vec(&envelope).unwrap());
    let report = verified(&packed(&members));
    if meddled.is_some_and(|name| name.starts_with("clips/")) {
        assert_ne!(report.exit_code(), 0, "other footage under the store's own signature");
    }
}

/// A certificate is the one that was made, or it shows nothing.
fn certificate(bytes: &[u8], same: bool) {
    let key = std::slice::from_ref(&known().key);
    let most = memory::for_reading(bytes.len());
    let (report, why) = memory::within(most, || check_certificate(bytes, key));
    let same = same || bytes == known().certificate;
    assert_eq!(report.exit_code() == 0, same, "{why:?}: {:?}", report.findings);
}
