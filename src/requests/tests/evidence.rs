//! Bundles: what makes them whole, and that nothing else is.

use std::time::Duration;

use super::street::{Street, agency, whole};
use crate::evidence::{Archive, ArchiveReader, Checkpoint, SigningKey, VerifyingKey};
use crate::requests::evidence::{Class, Report, check};
use crate::requests::{Chosen, HouseholdId, Refusal, RequestId};
use crate::{ClipReader, Window};

fn no_trim(_: &ClipReader, _: Window) -> Result<Vec<u8>, crate::requests::evidence::TrimError> {
    Err("nothing is cut here".into())
}

fn bundle(street: &Street, request: RequestId) -> Vec<u8> {
    let mut bytes = Vec::new();
    street.desk.bundle(&agency(), request, &no_trim, &mut bytes).unwrap();
    bytes
}

/// A street of which the first home shared its clip, and what the agency gets.
fn shared() -> (Street, Vec<u8>, VerifyingKey) {
    let street = Street::of(3);
    let request = street.open();
    street.accept(1, request).unwrap();
    street.desk.deny(HouseholdId(2), request).unwrap();
    let (bytes, key) = (bundle(&street, request), street.desk.verifying_key().unwrap());
    (street, bytes, key)
}

fn members(bundle: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut reader = ArchiveReader::new(bundle);
    let mut members = Vec::new();
    while let Some(member) = reader.next_member(u32::MAX).unwrap() {
        members.push((member.name, member.bytes.unwrap()));
    }
    members
}

/// The bundle made again with one member changed, and its sums made right again.
fn changed(bundle: &[u8], name: &str, change: impl FnOnce(Vec<u8>) -> Option<Vec<u8>>) -> Vec<u8> {
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

fn classes(report: &Report) -> Vec<Class> {
    report.findings.iter().map(|finding| finding.class).collect()
}

#[test]
fn a_whole_bundle_is_whole_and_says_who_asked_for_what() {
    let (street, bytes, key) = shared();
    let report = check(&bytes[..], &[key]);
    assert_eq!((report.exit_code(), classes(&report)), (0, vec![]), "{:?}", report.findings);
    assert_eq!(report.clips, [street.clip(1, 18).id()]);
    assert_eq!(report.request.as_deref(), Some("r1 of springfield-pd"));
    let original = members(&bytes).into_iter().find(|(name, _)| name.starts_with("clips/"));
    assert_eq!(original.unwrap().1, b"<clip of 1 at 18>", "the bytes that were recorded");
}

#[test]
fn every_flipped_bit_of_a_bundle_is_caught() {
    let (_, bytes, key) = shared();
    assert!(bytes.len() > 3_000);
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        let report = check(&flipped[..], std::slice::from_ref(&key));
        assert!((1..=2).contains(&report.exit_code()), "byte {at}: {report:?}");
    }
}

#[test]
fn every_cut_of_a_bundle_is_caught() {
    let (_, bytes, key) = shared();
    for at in (0..bytes.len()).step_by(7) {
        let report = check(&bytes[..at], std::slice::from_ref(&key));
        assert_eq!(report.findings[0].class, Class::Incomplete, "cut at {at}");
    }
}

#[test]
fn what_is_taken_out_or_put_in_is_told_with_its_name() {
    let (street, bytes, key) = shared();
    let clip = format!("clips/{}.bin", street.clip(1, 18).id());
    let keys = [key];
    let without = check(&changed(&bytes, &clip, |_| None)[..], &keys);
    assert_eq!(without.exit_code(), Class::Incomplete.exit_code());
    assert!(without.findings.iter().any(|f| f.clip.is_some() && f.what.contains(&clip)));
    let altered = check(&changed(&bytes, &clip, |_| Some(b"<another>".to_vec()))[..], &keys);
    assert_eq!(altered.exit_code(), Class::Altered.exit_code());
    let without = check(&changed(&bytes, "manifest.json", |_| None)[..], &keys);
    assert_eq!(classes(&without), [Class::Incomplete]);
    let without = check(&changed(&bytes, "proofs/entries.json", |_| None)[..], &keys);
    assert_eq!(without.exit_code(), Class::Incomplete.exit_code());
}

#[test]
fn a_key_that_is_not_trusted_is_told_and_so_is_a_forger() {
    let (_, bytes, key) = shared();
    let report = check(&bytes[..], &[]);
    assert_eq!(report.exit_code(), 3);
    assert_eq!(report.key, Some(key.to_string()), "for asking somebody whether it is theirs");
    let (other, ..) = shared();
    let forged = bundle(&other, RequestId(1));
    // Another store has another key: seeds differ by the disk's randomness or by its id.
    let stranger = SigningKey::new("clipkeep/0000000000000000", &[7; 32]).unwrap();
    let report = check(&forged[..], &[stranger.verifying_key()]);
    assert_eq!(report.exit_code(), 3);
}

#[test]
fn a_witness_that_saw_the_checkpoint_is_named() {
    let (street, ..) = shared();
    let witness = SigningKey::new("phone.example", &[9; 32]).unwrap();
    let note = street.desk.checkpoint().unwrap();
    let note = Checkpoint::cosigned(&note, &witness, 1_764_000_000).unwrap();
    let seen = Checkpoint::cosignatures(&note, &[witness.witness_key()]).unwrap();
    assert_eq!(seen[0].at, 1_764_000_000);
    assert!(Checkpoint::verified(&note, &street.desk.verifying_key().unwrap()).is_ok());
}

#[test]
fn the_same_state_gives_the_same_bytes_and_a_later_one_is_consistent() {
    let (street, bytes, key) = shared();
    assert_eq!(bundle(&street, RequestId(1)), bytes);
    let street = street.reopened();
    street.desk.opt_out(HouseholdId(3)).unwrap();
    let later = bundle(&street, RequestId(1));
    assert_ne!(later, bytes);
    assert!(members(&later).iter().any(|(name, _)| name == "proofs/checkpoint-before.txt"));
    let report = check(&later[..], &[key]);
    assert_eq!(report.exit_code(), 0, "{:?}", report.findings);
}

#[test]
fn a_bundle_names_nobody_who_did_not_share() {
    let (street, bytes, _) = shared();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let decoded: Vec<u8> = {
        // What is inside base64 counts as shown.
        use base64::Engine as _;
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "+/=".contains(c)));
        let engine = base64::engine::general_purpose::STANDARD;
        words.filter_map(|word| engine.decode(word).ok()).flatten().collect()
    };
    let inner = String::from_utf8_lossy(&decoded).into_owned();
    let twice: Vec<u8> = {
        use base64::Engine as _;
        let words = inner.split(|c: char| !(c.is_ascii_alphanumeric() || "+/=".contains(c)));
        let engine = base64::engine::general_purpose::STANDARD;
        words.filter_map(|word| engine.decode(word).ok()).flatten().collect()
    };
    let all = format!("{text}{inner}{}", String::from_utf8_lossy(&twice));
    assert!(all.contains("door-1"), "otherwise this looks at the wrong bytes");
    for other in ["door-2", "door-3", "\"h2\"", "\"h3\""] {
        assert!(!all.contains(other), "{other} is in the bundle");
    }
    drop(street);
}

#[test]
fn nothing_is_handed_out_that_is_not_shared_now() {
    let street = Street::of(2);
    let request = street.open();
    let get = |street: &Street| {
        street.desk.bundle(&agency(), request, &no_trim, &mut Vec::new()).unwrap_err()
    };
    assert!(matches!(get(&street), Refusal::Over(_)));
    street.accept(1, request).unwrap();
    street.desk.revoke(HouseholdId(1), request).unwrap();
    assert!(matches!(get(&street), Refusal::Over(_)), "taken back");
    street.accept(2, request).unwrap();
    street.desk.suspend_agency(&agency()).unwrap();
    assert!(matches!(get(&street), Refusal::NotPartner(_)));
    let stranger = "other-pd".parse().unwrap();
    let refused = street.desk.bundle(&stranger, request, &no_trim, &mut Vec::new());
    assert!(matches!(refused, Err(Refusal::Unknown(_))));
}

#[test]
fn a_part_is_provided_as_a_part_and_never_the_whole() {
    let street = Street::of(1);
    let request = street.open();
    let clip = street.clip(1, 18);
    let half = Window::starting(clip.window().start(), Duration::from_secs(30)).unwrap();
    let chosen = Chosen { part: Some(half.into()), ..whole(&clip) };
    street.desk.accept(HouseholdId(1), request, &[chosen]).unwrap();
    let refused = street.desk.bundle(&agency(), request, &no_trim, &mut Vec::new());
    assert!(matches!(refused, Err(Refusal::Invalid(_))), "what cannot be cut is not provided");
    let mut bytes = Vec::new();
    let trim = |_: &ClipReader, part: Window| {
        assert_eq!(part, half);
        Ok(b"<half>".to_vec())
    };
    street.desk.bundle(&agency(), request, &trim, &mut bytes).unwrap();
    let members = members(&bytes);
    assert!(members.iter().any(|(name, bytes)| name.starts_with("derived/") && bytes == b"<half>"));
    assert!(!members.iter().any(|(name, _)| name.starts_with("clips/")));
    let report = check(&bytes[..], &[street.desk.verifying_key().unwrap()]);
    assert_eq!(report.exit_code(), 0, "{:?}", report.findings);
}

#[test]
fn a_ledger_whose_past_was_changed_gets_no_signature() {
    let (street, ..) = shared();
    {
        let mut inside = street.desk.inside.lock();
        let root = inside.state.checkpoints.values_mut().next().unwrap();
        *root = root.chars().rev().collect();
    }
    let refused = street.desk.checkpoint().unwrap_err();
    assert!(matches!(refused, Refusal::Store(e) if e.kind() == crate::ErrorKind::Corrupt));
}

/// The bundle signed again by the store's own key with another manifest or other proofs: what a
/// careless or dishonest operator could hand out.
fn resigned(
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

#[test]
fn what_is_genuine_and_not_proved_or_not_allowed_is_told_apart() {
    let (street, bytes, key) = shared();
    let keys = [key];
    let code = |bytes: Vec<u8>| {
        let report = check(&bytes[..], &keys);
        (report.exit_code(), report.findings.iter().map(|f| f.what.clone()).collect::<Vec<_>>())
    };
    let same = code(resigned(&street, &bytes, |_| {}, ""));
    assert_eq!(same, (0, vec![]), "the tool of this test changes nothing by itself");
    let (unproved, what) = code(resigned(&street, &bytes, |_| {}, "\"submitted\""));
    assert_eq!(unproved, 4, "{what:?}");
    for (policy, why) in [
        (resigned(&street, &bytes, |_| {}, "\"accepted\""), "nobody agreed"),
        (resigned(&street, &bytes, |_| {}, "agency_joined"), "not shown to be a partner"),
        (
            resigned(&street, &bytes, |m| m["made"] = "2027-01-01T00:00:00Z".into(), ""),
            "consent had run out",
        ),
        (
            resigned(
                &street,
                &bytes,
                |m| {
                    m["window"]["from"] = "2026-11-01T00:00:00Z".into();
                    m["window"]["to"] = "2026-11-01T01:00:00Z".into();
                },
                "",
            ),
            "not of the time that was asked about",
        ),
    ] {
        let (exit, what) = code(policy);
        assert_eq!(exit, 5, "{why}: {what:?}");
        assert!(what.iter().any(|what| what.contains(why)), "{why}: {what:?}");
    }
    // A clip that nobody recorded like this.
    let another = "00".repeat(32);
    let (exit, what) =
        code(resigned(&street, &bytes, |m| m["clips"][0]["blake3"] = another.clone().into(), ""));
    assert_eq!(exit, 1, "{what:?}");
}

#[test]
fn a_clip_that_died_has_a_certificate_and_one_that_lives_has_none() {
    let street = Street::of(2);
    let request = street.open();
    street.desk.deny(HouseholdId(2), request).unwrap();
    let (silent, denied) = (street.clip(1, 18), street.clip(2, 18));
    let alive = street.desk.deletion_certificate(denied.id()).unwrap_err();
    assert!(matches!(alive, Refusal::Over(_)));
    street.desk.store().seal().unwrap();
    street.days(11);
    let bytes = street.desk.deletion_certificate(denied.id()).unwrap();
    let keys = [street.desk.verifying_key().unwrap()];
    let (report, why) = crate::requests::evidence::check_certificate(&bytes, &keys);
    assert_eq!(report.exit_code(), 0, "{:?}", report.findings);
    assert!(why.unwrap().starts_with("expired (due)"));
    assert!(street.desk.deletion_certificate(silent.id()).is_err(), "it is held yet");
    let (stranger, _) = crate::requests::evidence::check_certificate(&bytes, &[]);
    assert_eq!(stranger.exit_code(), 3);
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        let (report, _) = crate::requests::evidence::check_certificate(&flipped, &keys);
        assert_ne!(report.exit_code(), 0, "byte {at}");
    }
    street.days(20);
    let bytes = street.desk.deletion_certificate(silent.id()).unwrap();
    let (report, why) = crate::requests::evidence::check_certificate(&bytes, &keys);
    assert_eq!(report.exit_code(), 0, "moved, and then gone: {:?}", report.findings);
    assert!(why.is_some());
    let erased = street.record(1, 19);
    street.desk.erase(HouseholdId(1), erased.id()).unwrap();
    street.desk.store().seal().unwrap();
    street.days(1);
    let bytes = street.desk.deletion_certificate(erased.id()).unwrap();
    let (_, why) = crate::requests::evidence::check_certificate(&bytes, &keys);
    assert!(why.unwrap().starts_with("deleted (deny and erase)"));
}
