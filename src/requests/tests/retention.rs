//! The retention proof: what was promised was kept, or the proof says where it was not.

use std::time::Duration;

use super::street::{DAY, HOUR, Street, after, camera, options, whole};
use crate::evidence::VerifyingKey;
use crate::requests::evidence::{
    EarlyReason, RetentionAccount, check_certificate, check_retention, is_retention_proof,
};
use crate::requests::{Desk, HouseholdId, Refusal, Rules};
use crate::store::PolicyScope;
use crate::vfs::sim::SimVfs;
use crate::{ManualClock, NewClip, Retention, StoreOptions, Window};

/// The first `days` days, when the store received what these tests record.
fn first(days: u32) -> Window {
    Window::new(after(Duration::ZERO), after(DAY * days)).unwrap()
}

fn key(street: &Street) -> VerifyingKey {
    street.desk.verifying_key().unwrap()
}

/// What the proof for the first home's camera shows, with every entry of the ledger or without.
fn shown(street: &Street, period: Window, whole: bool) -> (u8, RetentionAccount) {
    let proof = street.desk.retention_proof(&camera(1), period, whole).unwrap();
    let (report, shown) = check_retention(&proof, &[key(street)]);
    let (account, all) = shown.unwrap();
    assert_eq!(all, whole);
    (report.exit_code(), account)
}

/// A street of one home whose store is opened with these options.
fn street_with(change: impl FnOnce(StoreOptions) -> StoreOptions) -> Street {
    let (disk, clock) = (SimVfs::new(3), ManualClock::at(after(Duration::ZERO)));
    let store = change(options(&disk, &clock)).open("store").unwrap();
    Street { disk, clock, desk: Desk::open(store, Rules::default()).unwrap() }
}

/// A clip of the first home that fills a segment, and ends it.
fn fill(street: &Street, hour: u32) {
    let window = Window::starting(after(HOUR * hour), Duration::from_mins(1)).unwrap();
    let store = street.desk.store();
    store.append(NewClip::new(&camera(1), window), vec![7; 3_900_000]).unwrap();
    store.seal().unwrap();
}

#[test]
fn a_promise_that_was_kept_is_shown_to_be_with_some_entries_or_with_all() {
    let street = Street::of(2);
    street.desk.store().seal().unwrap();
    for whole in [false, true] {
        let (code, account) = shown(&street, first(1), whole);
        assert!(account.is_kept() && code == 0, "{account}");
        assert_eq!((account.kept.len(), account.expired.len()), (1, 0));
    }
    street.days(11);
    for whole in [false, true] {
        let (code, account) = shown(&street, first(1), whole);
        assert!(account.is_kept() && code == 0, "{account}");
        assert_eq!((account.kept.len(), account.expired.len()), (0, 1));
        assert!(account.to_string().ends_with("The promise was kept."), "{account}");
        let (_, later) =
            shown(&street, Window::new(after(2 * DAY), after(3 * DAY)).unwrap(), whole);
        assert_eq!((later.kept.len(), later.expired.len()), (0, 0), "nothing came then");
    }
}

#[test]
fn footage_that_went_for_lack_of_room_is_told_with_that_reason() {
    let street = street_with(|options| options.quota(16 << 20).evidence_reserve(0));
    (0..8).for_each(|hour| fill(&street, hour));
    assert!(street.desk.store().stats().unwrap().promise_broken_clips > 0);
    street.clock.advance(DAY);
    for whole in [false, true] {
        let (code, account) = shown(&street, first(1), whole);
        assert_eq!(code, 5, "genuine, and not as it should be");
        let early: u64 = account.early.iter().map(|early| early.clips).sum();
        assert_eq!(early, street.desk.store().stats().unwrap().promise_broken_clips);
        assert!(account.early.iter().all(|early| early.reason == EarlyReason::NoRoom));
        assert!(account.early[0].promised_until >= after(5 * DAY), "{account}");
        let text = account.to_string();
        assert!(text.contains("no room") && text.ends_with("BROKEN."), "{text}");
    }
}

#[test]
fn a_retention_that_was_shortened_afterwards_is_told() {
    let street = street_with(|options| options);
    fill(&street, 1);
    street.clock.advance(HOUR);
    let short = Retention::new(HOUR, HOUR).unwrap();
    // Its camera alone is in its class then, so that the change can be for existing clips too.
    let store = street.desk.store();
    let changed = store.set_retention(None, short, PolicyScope::ExistingToo);
    assert!(changed.is_ok(), "{changed:?}");
    street.clock.advance(2 * HOUR);
    store.sweep().unwrap();
    street.clock.advance(DAY);
    let (code, account) = shown(&street, first(1), false);
    assert_eq!((code, account.early.len()), (5, 1), "{account}");
    assert_eq!(account.early[0].reason, EarlyReason::Shortened);
}

#[test]
fn what_an_owner_deleted_breaks_no_promise_and_is_told() {
    let street = Street::of(1);
    let clip = street.clip(1, 18);
    street.desk.erase(HouseholdId(1), clip.id()).unwrap();
    let (code, account) = shown(&street, first(1), false);
    assert!(account.is_kept() && code == 0, "{account}");
    assert_eq!(account.deleted, [(clip.id(), after(DAY))]);
}

#[test]
fn a_proof_of_some_entries_names_nobody_else() {
    let street = Street::of(3);
    let request = street.open();
    street.desk.deny(HouseholdId(2), request).unwrap();
    street.desk.accept(HouseholdId(3), request, &[whole(&street.clip(3, 18))]).unwrap();
    street.days(20);
    let proof = street.desk.retention_proof(&camera(1), first(1), false).unwrap();
    let text = decoded(&proof);
    for other in ["door-2", "door-3", "\"h1\"", "\"h2\"", "\"h3\"", "springfield", "\"r1\""] {
        assert!(!text.contains(other), "{other}");
    }
    let all = decoded(&street.desk.retention_proof(&camera(1), first(1), true).unwrap());
    assert!(all.contains("door-2"), "this test would find it");
}

/// A paper with everything in base64 in it made readable, as far as two wraps go.
fn decoded(paper: &[u8]) -> String {
    use base64::Engine as _;
    let engine = base64::engine::general_purpose::STANDARD;
    let unwrap = |text: &str| {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "+/=".contains(c)));
        let words: Vec<u8> = words.filter_map(|word| engine.decode(word).ok()).flatten().collect();
        format!("{text}{}", String::from_utf8_lossy(&words))
    };
    unwrap(&unwrap(&String::from_utf8_lossy(paper)))
}

/// The proof with its content changed and signed again by the store's own key.
fn forged(street: &Street, proof: &[u8], change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    use base64::Engine as _;
    let engine = base64::engine::general_purpose::STANDARD;
    let mut envelope: serde_json::Value = serde_json::from_slice(proof).unwrap();
    let payload = engine.decode(envelope["payload"].as_str().unwrap()).unwrap();
    let mut payload = serde_json::from_slice(&payload).unwrap();
    change(&mut payload);
    let payload = serde_json::to_vec(&payload).unwrap();
    let kind = envelope["payloadType"].as_str().unwrap().to_owned();
    let head = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len());
    let signature = street.desk.signing_key_for_tests().sign(&[head.as_bytes(), &payload].concat());
    envelope["payload"] = engine.encode(&payload).into();
    envelope["signatures"][0]["sig"] = engine.encode(signature).into();
    serde_json::to_vec(&envelope).unwrap()
}

#[test]
fn an_entry_left_out_of_the_whole_ledger_is_noticed() {
    let street = street_with(|options| options.quota(16 << 20).evidence_reserve(0));
    (0..8).for_each(|hour| fill(&street, hour));
    street.clock.advance(DAY);
    let keys = [key(&street)];
    let proof = street.desk.retention_proof(&camera(1), first(1), true).unwrap();
    let count = {
        let mut count = 0;
        forged(&street, &proof, |p| count = p["entries"].as_array().unwrap().len());
        count
    };
    assert!(count > 10, "{count} entries");
    for at in 0..count {
        let fewer = forged(&street, &proof, |p| {
            p["entries"].as_array_mut().unwrap().remove(at);
        });
        assert_eq!(check_retention(&fewer, &keys).0.exit_code(), 4, "without entry {at}");
        let renumbered = forged(&street, &proof, |p| {
            let entries = p["entries"].as_array_mut().unwrap();
            entries.remove(at);
            (0..).zip(entries).for_each(|(index, entry): (u64, _)| entry["index"] = index.into());
        });
        assert_eq!(check_retention(&renumbered, &keys).0.exit_code(), 4, "without entry {at}");
    }
    // Of a proof of some entries, that none was left out is the store's word: what docs say.
    let some = street.desk.retention_proof(&camera(1), first(1), false).unwrap();
    let (before, _) = check_retention(&some, &keys);
    assert_eq!(before.exit_code(), 5);
    let moved = forged(&street, &some, |p| {
        let index = p["entries"][0]["index"].as_u64().unwrap();
        p["entries"][0]["index"] = (index + 1).into();
    });
    assert_eq!(check_retention(&moved, &keys).0.exit_code(), 4, "each that is there is proved");
    let twice = forged(&street, &some, |p| {
        let entries = p["entries"].as_array_mut().unwrap();
        let last = entries.last().unwrap().clone();
        entries.push(last);
    });
    assert_eq!(check_retention(&twice, &keys).0.exit_code(), 4);
}

#[test]
fn no_changed_byte_of_a_proof_is_taken_for_the_same_and_no_other_key() {
    let street = Street::of(1);
    street.desk.store().seal().unwrap();
    let proof = street.desk.retention_proof(&camera(1), first(1), false).unwrap();
    assert!(is_retention_proof(&proof));
    let keys = [key(&street)];
    for at in 0..proof.len() {
        let mut changed = proof.clone();
        changed[at] ^= 1;
        assert_ne!(check_retention(&changed, &keys).0.exit_code(), 0, "byte {at}");
    }
    assert_eq!(check_retention(&proof, &[]).0.exit_code(), 3);
    assert_eq!(check_certificate(&proof, &keys).0.exit_code(), 1, "another kind of paper");
    assert_eq!(check_retention(b"{}", &keys).0.exit_code(), 1);
}

#[test]
fn a_camera_that_nobody_knows_and_a_period_that_is_not_over_are_refused() {
    let street = Street::of(1);
    let other = street.desk.retention_proof(&camera(9), first(1), false).unwrap_err();
    assert!(matches!(other, Refusal::Unknown(_)), "{other:?}");
    let future = street.desk.retention_proof(&camera(1), first(9), false).unwrap_err();
    assert!(matches!(future, Refusal::Invalid(_)), "{future:?}");
}
