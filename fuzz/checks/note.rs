//! Signed notes, checkpoints, cosignatures and keys.
//!
//! Asserts that what was signed comes back, that no text is taken for a checkpoint but what its key
//! signed, that a witness is only quoted with what it said, and that a key has one text.

use std::collections::BTreeSet;

use super::choices::Choices;
use super::memory;
use crate::evidence::{Checkpoint, Cosignature, NoteError, SigningKey, VerifyingKey};

/// Input: how; then a note, or a key, as it is; or a checkpoint's fields, and changes of its note.
pub fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    match choices.u8() % 4 {
        0 => any_note(choices.rest()),
        1 => any_key(choices.rest()),
        _ => signed(&mut choices),
    }
}

fn log() -> SigningKey {
    SigningKey::new("log.example", &[1; 32]).unwrap()
}

fn witness() -> SigningKey {
    SigningKey::new("phone.example", &[2; 32]).unwrap()
}

/// Nobody signed it with these keys, so it is never taken.
fn any_note(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let most = memory::for_reading(bytes.len());
    let (log, witness) = (log().verifying_key(), witness().witness_key());
    let taken = memory::within(most, || Checkpoint::verified(text, &log));
    assert!(taken.is_err(), "nobody signed {text:?}");
    let quoted = memory::within(most, || Checkpoint::cosignatures(text, &[witness]));
    assert!(quoted.is_err() || quoted == Ok(Vec::new()), "nobody cosigned {text:?}");
    if let Ok(note) = Checkpoint::cosigned(text, &self::witness(), 7) {
        let seen = Checkpoint::cosignatures(&note, &[self::witness().witness_key()]).unwrap();
        assert_eq!(seen, [Cosignature { name: "phone.example".to_owned(), at: 7 }]);
    }
}

fn any_key(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(key) = text.parse::<VerifyingKey>() {
        assert_eq!(key.to_string(), text, "a key has one text");
        assert!(!key.verifies(b"nothing", &[0; 64]), "a signature that nobody made");
    }
    if let Ok(key) = SigningKey::new(text, &[3; 32]) {
        for key in [key.verifying_key(), key.witness_key()] {
            assert_eq!(key.to_string().parse::<VerifyingKey>(), Ok(key));
        }
        let checkpoint = Checkpoint { origin: text.to_owned(), size: 1, root: [0; 32] };
        let note = checkpoint.signed(&key);
        assert_eq!(Checkpoint::verified(&note, &key.verifying_key()), Ok(checkpoint));
    }
}

/// A checkpoint, signed and witnessed some times; then its note is changed.
fn signed(choices: &mut Choices<'_>) {
    let (log, witness) = (log(), witness());
    let origin = log.verifying_key().name().to_owned();
    let checkpoint = Checkpoint { origin, size: choices.u64(), root: choices.array() };
    let mut note = checkpoint.signed(&log);
    let mut said = BTreeSet::new();
    for _ in 0..choices.below(4) {
        let at = choices.u64();
        note = Checkpoint::cosigned(&note, &witness, at).unwrap();
        said.insert(at);
    }
    assert_eq!(Checkpoint::verified(&note, &log.verifying_key()), Ok(checkpoint.clone()));
    assert_eq!(times(&note, &witness), Ok(said.clone()));
    let Ok(changed) = String::from_utf8(changed(choices, note.as_bytes())) else { return };
    // Signatures of others, or fewer of the witness, may stand under it: the text may not change.
    if let Ok(taken) = Checkpoint::verified(&changed, &log.verifying_key()) {
        assert_eq!(taken, checkpoint, "taken for what was signed: {changed:?}");
        if let Ok(times) = times(&changed, &witness) {
            assert!(times.is_subset(&said), "the witness never said that: {changed:?}");
        }
    }
    let stranger = SigningKey::new("log.example", &[9; 32]).unwrap().verifying_key();
    assert!(Checkpoint::verified(&changed, &stranger).is_err(), "of a key that signed nothing");
}

fn times(note: &str, witness: &SigningKey) -> Result<BTreeSet<u64>, NoteError> {
    let seen = Checkpoint::cosignatures(note, &[witness.witness_key()])?;
    Ok(seen.into_iter().map(|seen| seen.at).collect())
}

/// Bytes with up to eight changes.
fn changed(choices: &mut Choices<'_>, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..8 {
        if choices.is_empty() {
            break;
        }
        choices.change(&mut bytes);
    }
    bytes
}
