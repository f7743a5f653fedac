//! Checkpoints of the log: what tree its owner says there is, signed.
//!
//! In the text formats of C2SP: tlog-checkpoint (origin, size, root) in a signed note, and
//! tlog-cosignature for witnesses, each of whom says that it saw this checkpoint at a time and
//! never one that contradicts it.
//!
//! ```text
//! clipkeep.example/street      origin: the name of the log's key
//! 42                           entries
//! (base64 of the root)
//!                              an empty line
//! — name base64(key id | signature)
//! ```

use std::error;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::key::{COSIGNATURE, ED25519};
use super::{Hash, SigningKey, VerifyingKey};

/// Why a note, a key or a checkpoint is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoteError {
    /// It is not in the format.
    Malformed(String),
    /// No signature is by a key that is trusted.
    UnknownKey(String),
    /// A signature that claims to be by a trusted key is not.
    BadSignature(String),
}

impl fmt::Display for NoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => write!(f, "malformed: {what}"),
            Self::UnknownKey(what) => write!(f, "no signature by a trusted key: {what}"),
            Self::BadSignature(what) => write!(f, "a signature does not match: {what}"),
        }
    }
}

impl error::Error for NoteError {}

/// What a log is said to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The name of the log.
    pub origin: String,
    /// How many entries it has.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

/// A witness's word that it saw a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosignature {
    /// The witness.
    pub name: String,
    /// When, in seconds since 1970.
    pub at: u64,
}

impl Checkpoint {
    fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// The note, signed by `key`, whose name is the origin.
    #[must_use]
    pub fn signed(&self, key: &SigningKey) -> String {
        let text = self.text();
        let signature = key.sign(text.as_bytes());
        format!("{text}\n{}", line(&key.verifying_key(), &signature))
    }

    /// `note` with the cosignature of witness `key` at `at` seconds since 1970 added.
    ///
    /// # Errors
    ///
    /// `Malformed` when it is no checkpoint.
    pub fn cosigned(note: &str, key: &SigningKey, at: u64) -> Result<String, NoteError> {
        let (text, _) = split(note)?;
        Self::parse(text)?;
        let signature = key.sign(cosigned_bytes(text, at).as_bytes());
        let stamped = [&at.to_be_bytes()[..], &signature].concat();
        Ok(format!("{note}{}", line(&key.witness_key(), &stamped)))
    }

    /// The checkpoint in `note`, if `key` signed it.
    ///
    /// # Errors
    ///
    /// `Malformed`; `UnknownKey` when there is no signature by `key`, or the origin is not its
    /// name; `BadSignature`.
    pub fn verified(note: &str, key: &VerifyingKey) -> Result<Self, NoteError> {
        let (text, signatures) = split(note)?;
        let checkpoint = Self::parse(text)?;
        if checkpoint.origin != key.name() || key.algorithm() != ED25519 {
            return Err(NoteError::UnknownKey(format!("the log is {}", checkpoint.origin)));
        }
        let mut found = false;
        for signature in signatures.iter().filter(|signature| signature.is_by(key)) {
            if !key.verifies(text.as_bytes(), &signature.bytes) {
                return Err(NoteError::BadSignature(key.name().to_owned()));
            }
            found = true;
        }
        if found { Ok(checkpoint) } else { Err(NoteError::UnknownKey(key.to_string())) }
    }

    /// What the witnesses among `keys` say of `note`.
    ///
    /// # Errors
    ///
    /// `Malformed`; `BadSignature` when one of theirs does not match. Those of others are ignored.
    pub fn cosignatures(note: &str, keys: &[VerifyingKey]) -> Result<Vec<Cosignature>, NoteError> {
        let (text, signatures) = split(note)?;
        let mut found = Vec::new();
        for key in keys.iter().filter(|key| key.algorithm() == COSIGNATURE) {
            for signature in signatures.iter().filter(|signature| signature.is_by(key)) {
                let bad = || NoteError::BadSignature(key.name().to_owned());
                let (at, bytes) = signature.bytes.split_first_chunk().ok_or_else(bad)?;
                let at = u64::from_be_bytes(*at);
                if !key.verifies(cosigned_bytes(text, at).as_bytes(), bytes) {
                    return Err(bad());
                }
                found.push(Cosignature { name: key.name().to_owned(), at });
            }
        }
        Ok(found)
    }

    /// The line by which witness `key` cosigned `note`, as it stands under it, with its end.
    ///
    /// # Errors
    ///
    /// `Malformed`; `UnknownKey` when there is none by `key`; `BadSignature`.
    pub fn cosignature_line(note: &str, key: &VerifyingKey) -> Result<String, NoteError> {
        if Self::cosignatures(note, std::slice::from_ref(key))?.is_empty() {
            return Err(NoteError::UnknownKey(format!("it is not cosigned by {key}")));
        }
        let (_, signatures) = split(note)?;
        let own = signatures.iter().find(|signature| signature.is_by(key));
        own.map(|signature| line(key, &signature.bytes))
            .ok_or_else(|| NoteError::UnknownKey(key.to_string()))
    }

    fn parse(text: &str) -> Result<Self, NoteError> {
        let bad = || NoteError::Malformed("a checkpoint is origin, size and root".to_owned());
        let mut lines = text.strip_suffix('\n').ok_or_else(bad)?.split('\n');
        let origin = lines.next().filter(|origin| !origin.is_empty()).ok_or_else(bad)?;
        let size = lines.next().ok_or_else(bad)?;
        let root = lines.next().and_then(|root| STANDARD.decode(root).ok()).ok_or_else(bad)?;
        let checkpoint = Self {
            origin: origin.to_owned(),
            size: size.parse().ok().ok_or_else(bad)?,
            root: root.try_into().ok().ok_or_else(bad)?,
        };
        // One text a checkpoint: no zeros before the size, no lines behind the root.
        if checkpoint.text() == text { Ok(checkpoint) } else { Err(bad()) }
    }
}

fn cosigned_bytes(text: &str, at: u64) -> String {
    format!("cosignature/v1\ntime {at}\n{text}")
}

/// A line under a note.
struct Signature {
    name: String,
    id: [u8; 4],
    bytes: Vec<u8>,
}

impl Signature {
    fn is_by(&self, key: &VerifyingKey) -> bool {
        self.name == key.name() && self.id == key.id()
    }
}

fn line(key: &VerifyingKey, signature: &[u8]) -> String {
    let bytes = [&key.id()[..], signature].concat();
    format!("\u{2014} {} {}\n", key.name(), STANDARD.encode(bytes))
}

/// The text of a note, and the signatures under it.
fn split(note: &str) -> Result<(&str, Vec<Signature>), NoteError> {
    let bad = || NoteError::Malformed("a note is a text, an empty line, and signatures".to_owned());
    let at = note.rfind("\n\n").ok_or_else(bad)?;
    let (text, rest) = note.split_at(at + 1);
    let lines = rest.strip_prefix('\n').and_then(|rest| rest.strip_suffix('\n')).ok_or_else(bad)?;
    let signature = |line: &str| {
        let (name, bytes) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
        let bytes = STANDARD.decode(bytes).ok()?;
        let (id, bytes) = bytes.split_first_chunk()?;
        Some(Signature { name: name.to_owned(), id: *id, bytes: bytes.to_vec() })
    };
    let signatures: Option<Vec<Signature>> = lines.split('\n').map(signature).collect();
    Ok((text, signatures.ok_or_else(bad)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, seed: u8) -> SigningKey {
        SigningKey::new(name, &[seed; 32]).unwrap()
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint { origin: "clipkeep.example/street".into(), size: 42, root: [7; 32] }
    }

    #[test]
    fn a_signed_checkpoint_is_taken_from_its_key_alone() {
        let log = key("clipkeep.example/street", 1);
        let note = checkpoint().signed(&log);
        assert_eq!(Checkpoint::verified(&note, &log.verifying_key()), Ok(checkpoint()));
        let stranger = key("clipkeep.example/street", 2).verifying_key();
        assert!(matches!(Checkpoint::verified(&note, &stranger), Err(NoteError::UnknownKey(_))));
        let named = key("clipkeep.example/lane", 1).verifying_key();
        assert!(matches!(Checkpoint::verified(&note, &named), Err(NoteError::UnknownKey(_))));
    }

    #[test]
    fn no_changed_byte_of_a_note_is_taken_for_the_same() {
        let log = key("clipkeep.example/street", 1);
        let note = checkpoint().signed(&log);
        for at in 0..note.len() {
            for bit in 0..8 {
                let mut bytes = note.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let Ok(changed) = String::from_utf8(bytes) else { continue };
                let taken = Checkpoint::verified(&changed, &log.verifying_key());
                assert!(taken.is_err(), "byte {at}, bit {bit}: {changed}");
            }
        }
    }

    #[test]
    fn a_witness_cosigns_at_a_time() {
        let (log, witness) = (key("clipkeep.example/street", 1), key("phone.example", 3));
        let note = checkpoint().signed(&log);
        let note = Checkpoint::cosigned(&note, &witness, 1_764_000_000).unwrap();
        assert_eq!(Checkpoint::verified(&note, &log.verifying_key()), Ok(checkpoint()));
        let seen = Checkpoint::cosignatures(&note, &[witness.witness_key()]).unwrap();
        assert_eq!(seen, [Cosignature { name: "phone.example".into(), at: 1_764_000_000 }]);
        assert_eq!(Checkpoint::cosignatures(&note, &[log.verifying_key()]).unwrap(), []);
        let line = Checkpoint::cosignature_line(&note, &witness.witness_key()).unwrap();
        assert_eq!(format!("{}{line}", checkpoint().signed(&log)), note);
        let missing = Checkpoint::cosignature_line(&note, &log.witness_key());
        assert!(matches!(missing, Err(NoteError::UnknownKey(_))));
        let other = Checkpoint { size: 43, ..checkpoint() };
        let forged = format!("{}\n{}", other.text(), note.split("\n\n").nth(1).unwrap());
        let seen = Checkpoint::cosignatures(&forged, &[witness.witness_key()]);
        assert!(matches!(seen, Err(NoteError::BadSignature(_))));
    }

    /// The note, the key and the private key that the first implementation of signed notes
    /// published, with the signature that is to come out.
    const PUBLISHED: &str = "If you think cryptography is the answer to your problem,\n\
                             then you don't know what your problem is.\n\
                             \n\
                             \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNI\
                             uGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    const PUBLISHED_KEY: &str =
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const PUBLISHED_PRIVATE: &str = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";

    #[test]
    fn the_published_note_is_taken_and_comes_out_byte_for_byte() {
        let key: VerifyingKey = PUBLISHED_KEY.parse().unwrap();
        assert_eq!(key.to_string(), PUBLISHED_KEY);
        let (text, signatures) = split(PUBLISHED).unwrap();
        assert!(signatures[0].is_by(&key) && signatures.len() == 1);
        assert!(key.verifies(text.as_bytes(), &signatures[0].bytes));
        assert!(!key.verifies(text.trim_end().as_bytes(), &signatures[0].bytes));
        let private = STANDARD.decode(PUBLISHED_PRIVATE).unwrap();
        let seed: [u8; 32] = private[1..].try_into().unwrap();
        let signing = SigningKey::new("PeterNeumann", &seed).unwrap();
        assert_eq!((private[0], signing.verifying_key()), (ED25519, key));
        let signed = line(&signing.verifying_key(), &signing.sign(text.as_bytes()));
        assert_eq!(format!("{text}\n{signed}"), PUBLISHED);
    }

    #[test]
    fn no_part_and_no_neighbour_of_the_published_key_is_taken_for_it() {
        for from in 0..PUBLISHED_KEY.len() {
            for to in from + 1..=PUBLISHED_KEY.len() {
                let part = &PUBLISHED_KEY[from..to];
                let whole = part.len() == PUBLISHED_KEY.len();
                assert_eq!(part.parse::<VerifyingKey>().is_ok(), whole, "{part}");
            }
        }
        for at in 0..PUBLISHED_KEY.len() {
            let mut bytes = PUBLISHED_KEY.as_bytes().to_vec();
            bytes[at] += 1;
            let other = String::from_utf8(bytes).unwrap();
            assert!(other.parse::<VerifyingKey>().is_err(), "{other}");
        }
    }

    #[test]
    fn keys_come_back_from_their_text_and_slips_are_noticed() {
        let log = key("clipkeep.example/street", 1);
        for key in [log.verifying_key(), log.witness_key()] {
            let text = key.to_string();
            assert_eq!(text.parse::<VerifyingKey>().unwrap(), key);
            let slip = text.replacen('+', "+0", 1);
            assert!(slip.parse::<VerifyingKey>().is_err());
        }
        assert_ne!(log.verifying_key().to_string(), log.witness_key().to_string());
        for bad in ["", "a", "a+b", "a+00000000+AAAA", "+12345678+AQ=="] {
            assert!(bad.parse::<VerifyingKey>().is_err(), "{bad}");
        }
        assert!(SigningKey::new("two words", &[0; 32]).is_err());
    }
}
