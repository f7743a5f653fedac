//! Ed25519 keys by name, as C2SP's signed notes have them.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::Signer as _;
use sha2::{Digest, Sha256};

use super::NoteError;

/// The algorithm byte of a key that signs notes.
pub(super) const ED25519: u8 = 1;
/// The algorithm byte of a witness that cosigns checkpoints.
pub(super) const COSIGNATURE: u8 = 4;

/// A key that signs. Its bytes are shown to nobody.
#[derive(Clone)]
pub struct SigningKey {
    name: String,
    key: ed25519_dalek::SigningKey,
}

/// A key that signatures are checked with; as text `name+hash+base64`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyingKey {
    name: String,
    algorithm: u8,
    key: [u8; 32],
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("name", &self.name).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// The key that follows from 32 secret random bytes, called `name`.
    ///
    /// # Errors
    ///
    /// `Malformed` for a name that is empty or has a `+` or white space.
    pub fn new(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        check_name(name)?;
        Ok(Self { name: name.to_owned(), key: ed25519_dalek::SigningKey::from_bytes(seed) })
    }

    /// What its signatures are checked with.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        let key = self.key.verifying_key().to_bytes();
        VerifyingKey { name: self.name.clone(), algorithm: ED25519, key }
    }

    /// The same as a witness that cosigns checkpoints.
    #[must_use]
    pub fn witness_key(&self) -> VerifyingKey {
        VerifyingKey { algorithm: COSIGNATURE, ..self.verifying_key() }
    }

    /// Signs bytes.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.key.sign(bytes).to_bytes()
    }
}

impl VerifyingKey {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn algorithm(&self) -> u8 {
        self.algorithm
    }

    /// The first four bytes of the hash of name, algorithm and key.
    pub(super) fn id(&self) -> [u8; 4] {
        let mut hasher = Sha256::new();
        hasher.update(self.name.as_bytes());
        hasher.update([b'\n', self.algorithm]);
        hasher.update(self.key);
        let [a, b, c, d, ..] = <[u8; 32]>::from(hasher.finalize());
        [a, b, c, d]
    }

    /// Whether `signature` is one of `bytes` by this key.
    #[must_use]
    pub fn verifies(&self, bytes: &[u8], signature: &[u8]) -> bool {
        let key = ed25519_dalek::VerifyingKey::from_bytes(&self.key);
        let signature = ed25519_dalek::Signature::from_slice(signature);
        key.ok().zip(signature.ok()).is_some_and(|(key, signature)| {
            // Strict: no second signature can be made of a first one.
            key.verify_strict(bytes, &signature).is_ok()
        })
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[self.algorithm][..], &self.key].concat();
        let id = u32::from_be_bytes(self.id());
        write!(f, "{}+{id:08x}+{}", self.name, STANDARD.encode(key))
    }
}

impl FromStr for VerifyingKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let bad = || NoteError::Malformed(format!("key {text:?}: want name+hash+base64"));
        let mut parts = text.splitn(3, '+');
        let (name, id, key) =
            (parts.next(), parts.next().ok_or_else(bad)?, parts.next().ok_or_else(bad)?);
        let name = name.ok_or_else(bad)?;
        check_name(name)?;
        let key = STANDARD.decode(key).ok().ok_or_else(bad)?;
        let (algorithm, key) = key.split_first().ok_or_else(bad)?;
        let key: [u8; 32] = key.try_into().ok().ok_or_else(bad)?;
        let known = [ED25519, COSIGNATURE].contains(algorithm);
        let parsed = Self { name: name.to_owned(), algorithm: *algorithm, key };
        // The hash in the text is there to notice a slip of the pen.
        if known && format!("{:08x}", u32::from_be_bytes(parsed.id())) == id {
            Ok(parsed)
        } else {
            Err(bad())
        }
    }
}

fn check_name(name: &str) -> Result<(), NoteError> {
    if name.is_empty() || name.chars().any(|char| char.is_whitespace() || char == '+') {
        return Err(NoteError::Malformed(format!("key name {name:?}: no '+', no white space")));
    }
    Ok(())
}
