//! Bundles: what makes them whole, and that nothing else is.

use std::time::Duration;

use super::forge::{bundle, changed, edited, manifest, members, no_trim, resigned, shared};
use super::street::{Street, agency, camera, hours, whole};
use crate::evidence::{Checkpoint, SigningKey, VerifyingKey};
use crate::requests::evidence::{Class, Report, check};
use crate::requests::{Chosen, HouseholdId, Refusal, RequestId};
use crate::{Clip, ClipReader, NewClip, Window};

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

/// Checks `bundle` with each of `places` changed in three ways: none of them may pass, nor be taken
/// for a matter of keys, proofs or policy.
fn changes_are_caught(bundle: &[u8], key: &VerifyingKey, places: impl Iterator<Item = usize>) {
    let mut changed = bundle.to_vec();
    for at in places {
        for change in [0x01, 0x80, 0xff] {
            changed[at] ^= change;
            let report = check(&changed[..], std::slice::from_ref(key));
            assert!((1..=2).contains(&report.exit_code()), "byte {at} ^ {change}: {report:?}");
            changed[at] ^= change;
        }
    }
    assert_eq!(changed, bundle);
}

#[test]
fn every_changed_byte_of_a_bundle_is_caught() {
    let (_, bytes, key) = shared();
    assert!(bytes.len() > 3_000);
    changes_are_caught(&bytes, &key, 0..bytes.len());
}

#[test]
fn sampled_changed_bytes_of_a_large_bundle_are_caught() {
    let street = Street::of(1);
    let clip = long_clip(&street);
    let request = street.open();
    street.desk.accept(HouseholdId(1), request, &[whole(&clip)]).unwrap();
    let (bytes, key) = (bundle(&street, request), street.desk.verifying_key().unwrap());
    assert!(bytes.len() > 5 << 20);
    assert_eq!(check(&bytes[..], std::slice::from_ref(&key)).exit_code(), 0);
    // Evenly over all of it, and what comes before and behind the footage.
    let step = bytes.len() / 64;
    let ends = (0..48).chain(bytes.len() - 48..bytes.len());
    let others = (0..bytes.len()).step_by(step).chain(ends.step_by(3));
    changes_are_caught(&bytes, &key, others);
}

/// A clip of the first home, of 6 MiB: recorded over the end of a segment.
fn long_clip(street: &Street) -> Clip {
    let start = hours(19, 20).start();
    let mut recorder = street.desk.store().record(NewClip::starting(&camera(1), start)).unwrap();
    for number in 0..6_u32 {
        let fragment: Vec<u8> =
            (0..1_u32 << 18).flat_map(|n| (n ^ number << 20).to_le_bytes()).collect();
        recorder.write(fragment, Duration::from_secs(10)).unwrap();
    }
    recorder.finish().unwrap()
}

#[test]
fn a_clip_over_the_end_of_a_segment_is_proved_in_all_its_parts() {
    let street = Street::of(1);
    let clip = long_clip(&street);
    let request = street.open();
    street.desk.accept(HouseholdId(1), request, &[whole(&clip)]).unwrap();
    let (bytes, key) = (bundle(&street, request), street.desk.verifying_key().unwrap());
    let keys = [key];
    let parts = |bundle: &[u8]| {
        let members = members(bundle);
        let (_, clips) = members.iter().find(|(name, _)| name == "proofs/clips.json").unwrap();
        let clips: serde_json::Value = serde_json::from_slice(clips).unwrap();
        clips[0]["parts"].as_array().unwrap().len()
    };
    assert_eq!(parts(&bytes), 2);
    let report = check(&bytes[..], &keys);
    assert_eq!(report.exit_code(), 0, "{:?}", report.findings);
    // Without one of them its beginning, or its end and its digest, are nobody's word.
    for left_out in [0, 1] {
        let edit = |proofs: &mut serde_json::Value| {
            proofs[0]["parts"].as_array_mut().unwrap().remove(left_out);
        };
        let fewer = edited(&street, &bytes, "proofs/clips.json", edit);
        let report = check(&fewer[..], &keys);
        assert_eq!(report.exit_code(), 4, "{left_out}: {:?}", report.findings);
    }
}

#[test]
fn what_is_said_of_a_clip_and_is_not_on_record_is_told() {
    let (street, bytes, key) = shared();
    let keys = [key];
    let at = |text: &str| serde_json::Value::from(text);
    let lies = [
        ("camera", at("door-2"), "camera"),
        (
            "window",
            serde_json::json!({"from": "2026-11-01T18:00:00Z",
            "to": "2026-11-01T18:02:00Z"}),
            "times",
        ),
        (
            "window",
            serde_json::json!({"from": "2026-11-01T17:59:59Z",
            "to": "2026-11-01T18:01:00Z"}),
            "times",
        ),
        ("received", at("2026-11-01T18:00:00Z"), "times"),
        ("uncertainty_us", 1.into(), "times"),
        ("bytes", 1_000.into(), "digest"),
        ("media", at("jpeg"), "kind of clip"),
        ("state", at("truncated"), "kind of clip"),
    ];
    for (field, lie, what) in lies {
        let told = resigned(&street, &bytes, |m| m["clips"][0][field] = lie.clone(), "");
        let report = check(&told[..], &keys);
        let proof = report.findings.iter().find(|f| f.class == Class::Unproved && f.clip.is_some());
        assert!(proof.is_some_and(|f| f.what.contains(what)), "{field}: {:?}", report.findings);
        assert!((4..=5).contains(&report.exit_code()), "{field}: {:?}", report.findings);
    }
    let other = resigned(&street, &bytes, |m| m["clips"][0]["clock"] = at("satellite"), "");
    assert_eq!(check(&other[..], &keys).exit_code(), 1, "no clock that is not known");
}

#[test]
fn receipts_and_gaps_are_stated_and_compared() {
    let (street, bytes, key) = shared();
    let keys = [key];
    let manifest = manifest(&bytes);
    let clip = street.clip(1, 18);
    let receipt = &manifest["receipts"][0];
    assert_eq!((&receipt["clips"], &receipt["bytes"]), (&1.into(), &clip.len().into()));
    assert_eq!(receipt["placed"], "2026-11-02T00:00:00Z", "the day that it was shared");
    assert_eq!(receipt["deadline"], "2026-12-02T00:00:00Z");
    assert_eq!(receipt["kept_anyway_until"], "2026-11-11T00:00:00Z");
    assert_eq!(manifest["receipts"].as_array().unwrap().len(), 1, "of nobody else");
    let gap = |from: &str, to: &str| {
        serde_json::json!({"camera": "door-1", "window":
            {"from": format!("2026-11-01T{from}:00Z"), "to": format!("2026-11-01T{to}:00Z")}})
    };
    assert_eq!(manifest["gaps"], serde_json::json!([gap("17:00", "18:00"), gap("18:01", "20:00")]));
    assert_eq!(manifest["clips"][0]["clock"], "recorder");
    let told = |change: &dyn Fn(&mut serde_json::Value), what: &str| {
        let report = check(&resigned(&street, &bytes, change, "")[..], &keys);
        assert_eq!(report.exit_code(), 4, "{what}: {:?}", report.findings);
        assert!(report.findings.iter().any(|f| f.what.contains(what)), "{:?}", report.findings);
    };
    told(&|m| m["gaps"] = serde_json::json!([]), "gaps");
    told(&|m| m["gaps"][0]["window"]["to"] = "2026-11-01T17:59:00Z".into(), "gaps");
    told(&|m| m["receipts"] = serde_json::json!([]), "receipts");
    told(&|m| m["receipts"][0]["placed"] = "2026-11-01T20:00:00Z".into(), "receipts");
    told(&|m| m["receipts"][0]["bytes"] = 1.into(), "receipts");
}

#[test]
fn an_agency_was_a_partner_and_not_suspended_when_it_asked() {
    let street = Street::of(1);
    street.desk.suspend_agency(&agency()).unwrap();
    street.desk.reinstate_agency(&agency()).unwrap();
    let request = street.open();
    street.accept(1, request).unwrap();
    let (bytes, key) = (bundle(&street, request), street.desk.verifying_key().unwrap());
    let keys = [key];
    let report = check(&bytes[..], &keys);
    assert_eq!(report.exit_code(), 0, "{:?}", report.findings);
    for entry in ["agency_reinstated", "agency_joined"] {
        let report = check(&resigned(&street, &bytes, |_| {}, entry)[..], &keys);
        let partner = report.findings.iter().any(|f| f.what.contains("shown to be a partner"));
        assert_eq!(partner, entry == "agency_reinstated", "{:?}", report.findings);
    }
}

#[test]
fn a_store_that_let_a_suspended_agency_ask_is_told_by_its_own_ledger() {
    use crate::requests::event::{Event, NOTE_KIND};
    let street = Street::of(1);
    let joined = street.desk.inside.lock().state.agencies[&agency()].partner_by;
    // What no desk would do: the suspension is noted beside it, and the request taken in.
    let suspended = Event::AgencySuspended { agency: crate::requests::Text(agency()) };
    let note = |event: &Event| {
        let store = street.desk.store();
        store.transact(|tx| tx.note(NOTE_KIND, event.encode().unwrap())).unwrap()
    };
    note(&suspended);
    let request = street.open();
    street.accept(1, request).unwrap();
    let (bytes, key) = (bundle(&street, request), street.desk.verifying_key().unwrap());
    assert_eq!(street.desk.inside.lock().state.agencies[&agency()].partner_by, joined);
    let report = check(&bytes[..], &[key]);
    assert_eq!(report.exit_code(), 5, "{:?}", report.findings);
    let what = |text: &str| report.findings.iter().any(|found| found.what.contains(text));
    assert!(what("suspended when it asked") && what("suspended when this was made"));
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

/// What witness number `number` makes of the street's checkpoint.
fn cosign(street: &Street, number: u8) -> (String, VerifyingKey) {
    let witness = SigningKey::new(&format!("phone-{number}.example"), &[number; 32]).unwrap();
    let note = street.desk.checkpoint().unwrap();
    let note = Checkpoint::cosigned(&note, &witness, 1_764_000_000).unwrap();
    (note, witness.witness_key())
}

#[test]
fn a_witness_that_saw_the_checkpoint_is_named_by_the_report() {
    let (street, bytes, key) = shared();
    let (note, witness) = cosign(&street, 9);
    street.desk.cosigned(&note, &witness).unwrap();
    street.desk.cosigned(&note, &witness).unwrap();
    // Now, after reopening, and after more was decided and signed since.
    let seen_in = |street: &Street| {
        let bytes = bundle(street, RequestId(1));
        let named = check(&bytes[..], &[key.clone(), witness.clone()]);
        assert_eq!(named.exit_code(), 0, "{:?}", named.findings);
        let without = check(&bytes[..], std::slice::from_ref(&key));
        assert_eq!((without.exit_code(), without.witnesses.len()), (0, 0), "not trusted");
        named.witnesses.iter().map(|seen| (seen.name.clone(), seen.at)).collect::<Vec<_>>()
    };
    let want = [("phone-9.example".to_owned(), 1_764_000_000)];
    assert_eq!(seen_in(&street), want);
    let street = street.reopened();
    assert_eq!(seen_in(&street), want);
    street.desk.opt_out(HouseholdId(3)).unwrap();
    assert_eq!(seen_in(&street), want);
    street.desk.opt_in(HouseholdId(3)).unwrap();
    assert_eq!(seen_in(&street), want, "through two checkpoints that nobody has seen");
    assert!(check(&bytes[..], &[key, witness]).witnesses.is_empty(), "an older bundle has none");
}

#[test]
fn a_cosignature_that_is_forged_or_of_something_else_is_not_taken() {
    let (street, ..) = shared();
    let (note, witness) = cosign(&street, 9);
    let refused = |note: &str, witness: &VerifyingKey| {
        street.desk.cosigned(note, witness).unwrap_err().name()
    };
    let (_, stranger) = cosign(&street, 8);
    assert_eq!(refused(&note, &stranger), "invalid-input", "not by that witness");
    assert_eq!(refused(&note.replace("phone-9", "phone-8"), &witness), "invalid-input");
    assert_eq!(refused("nothing", &witness), "invalid-input");
    // Signed by the store's key, but not on record: a fork.
    let fork = Checkpoint {
        origin: street.desk.verifying_key().unwrap().name().to_owned(),
        size: 3,
        root: [7; 32],
    };
    let fork = fork.signed(&street.desk.signing_key_for_tests());
    let seed = SigningKey::new("phone-9.example", &[9; 32]).unwrap();
    let fork = Checkpoint::cosigned(&fork, &seed, 1).unwrap();
    assert_eq!(refused(&fork, &witness), "not-found");
    for number in 10..26 {
        let (note, witness) = cosign(&street, number);
        street.desk.cosigned(&note, &witness).unwrap();
    }
    assert_eq!(refused(&note, &witness), "over", "enough is enough");
    let bytes = bundle(&street, RequestId(1));
    // A line that is not what the witness signed, in a bundle that is right but for that.
    let forged = changed(&bytes, "proofs/checkpoint.txt", |note| {
        let note = String::from_utf8(note).unwrap();
        let at = note.find("phone-10.example ").unwrap() + 60;
        let digit = if note[at..].starts_with('A') { "B" } else { "A" };
        Some(format!("{}{digit}{}", &note[..at], &note[at + 1..]).into_bytes())
    });
    let forged = resigned(&street, &forged, |_| {}, "");
    let key = street.desk.verifying_key().unwrap();
    let (_, tenth) = cosign(&street, 10);
    assert_eq!(check(&forged[..], std::slice::from_ref(&key)).exit_code(), 0, "nobody asked");
    let report = check(&forged[..], &[key, tenth]);
    assert_eq!((report.exit_code(), report.witnesses.len()), (4, 0), "{:?}", report.findings);
}

#[test]
fn the_same_state_gives_the_same_bytes_and_a_later_one_is_consistent() {
    let (street, bytes, key) = shared();
    assert_eq!(bundle(&street, RequestId(1)), bytes);
    street.clock.advance(Duration::from_mins(1));
    let street = street.reopened();
    assert_eq!(bundle(&street, RequestId(1)), bytes, "time alone changes nothing");
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
                    let gap = serde_json::json!({"camera": "door-1", "window": m["window"]});
                    m["gaps"] = serde_json::json!([gap]);
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
