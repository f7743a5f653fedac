//! What must be known and must not be kept for ever: names, places, words.
//!
//! Each record is one small file in the store's folder, beside the ledger and never in it. The
//! ledger has a commitment to it: a keyed hash, whose key (the salt) is in the record itself. While
//! the record exists, anybody who is shown it can check that it is what was committed to. Once it
//! is destroyed, the commitment says nothing, not even to somebody who guesses the words.

use std::fmt;
use std::io;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::barrier::Barrier;
use crate::vfs::Vfs;
use crate::{Error, Result};

/// The folder of the records.
const FOLDER: &str = "private";
const SALT_BYTES: usize = 16;
/// The record that the signing key follows from.
const SEED_NAME: &str = "signing-key";
/// No record is longer.
const RECORD_BYTES_MAX: u64 = 64 << 10;

/// A hash that says nothing about what was hashed to whoever does not have the salt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Commitment([u8; 32]);

impl Commitment {
    /// The commitment to the text of a record under its salt in hexadecimal.
    pub(super) fn over(salt: &str, value: &str) -> Option<Self> {
        unhex(salt).map(|salt| Self::of(&salt, value.as_bytes()))
    }

    /// The commitment to `value` under `salt`.
    fn of(salt: &[u8; SALT_BYTES], value: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("clipkeep 2026-11 commitment of a record");
        hasher.update(salt).update(value);
        Self(*hasher.finalize().as_bytes())
    }
}

impl fmt::Display for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl From<Commitment> for String {
    fn from(commitment: Commitment) -> Self {
        commitment.to_string()
    }
}

impl TryFrom<String> for Commitment {
    type Error = blake3::HexError;

    fn try_from(text: String) -> std::result::Result<Self, Self::Error> {
        blake3::Hash::from_str(&text).map(|hash| Self(*hash.as_bytes()))
    }
}

/// The records of one store.
#[derive(Debug)]
pub(super) struct Records<'a> {
    vfs: &'a dyn Vfs,
}

/// A record as it is in its file.
#[derive(Serialize, Deserialize)]
struct Stored {
    salt: String,
    /// JSON, as text: what was committed to is these bytes. Read and written again, a number with a
    /// fraction may come out as another text.
    value: String,
}

impl<'a> Records<'a> {
    /// The records in the folder of `vfs`, which is made if need be.
    pub(super) fn open(vfs: &'a dyn Vfs) -> Result<Self> {
        let records = Self { vfs };
        // Its name becomes durable with that of its first record.
        vfs.create_dir(FOLDER)
            .map_err(|error| records.io("open private records", FOLDER, error))?;
        Ok(records)
    }

    /// Writes a record that is not there yet, and answers the commitment to it.
    ///
    /// # Durability
    ///
    /// On disk when this returns; until the ledger names its commitment it is nobody's, and
    /// [`Records::sweep`] takes it away.
    pub(super) fn write<T: Serialize>(&self, name: &str, value: &T) -> Result<Commitment> {
        let mut salt = [0; SALT_BYTES];
        let fail = |error| self.io("write private record", name, error);
        self.vfs.random(&mut salt).map_err(fail)?;
        let text = |error: serde_json::Error| Error::invalid(format!("private record: {error}"));
        let plain = serde_json::to_string(value).map_err(text)?;
        let commitment = Commitment::of(&salt, plain.as_bytes());
        let stored = Stored { salt: hex(&salt), value: plain };
        let bytes = serde_json::to_vec(&stored).map_err(text)?;
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if len > RECORD_BYTES_MAX {
            let message = format!("private record: {len} bytes, want at most {RECORD_BYTES_MAX}");
            return Err(Error::invalid(message));
        }
        let (path, unfinished) = (path_of(name), format!("{FOLDER}/{name}.new"));
        // What is there was written for a decision that was never made.
        self.remove(&unfinished).and_then(|()| self.remove(&path)).map_err(fail)?;
        let file = self.vfs.create_private(&unfinished, len).map_err(fail)?;
        file.write_at(0, &[&bytes])
            .and_then(|()| Barrier::RecordSync.sync(|| file.sync()))
            .and_then(|()| self.vfs.rename(&unfinished, &path))
            .and_then(|()| Barrier::RecordNameSync.sync(|| self.vfs.sync_dir(FOLDER)))
            .map_err(fail)?;
        Ok(commitment)
    }

    /// The record called `name`, if it is what `commitment` was made of.
    ///
    /// # Errors
    ///
    /// `NotFound` when it was destroyed; `Corrupt` when it is something else.
    pub(super) fn read<T: for<'de> Deserialize<'de>>(
        &self,
        name: &str,
        commitment: Commitment,
    ) -> Result<T> {
        let stored = self.load(name)?;
        let wrong = || Error::corrupt(format!("private record {name}: not what was committed to"));
        let salt = unhex(&stored.salt).ok_or_else(wrong)?;
        let committed = Commitment::of(&salt, stored.value.as_bytes()) == commitment;
        if !Barrier::RecordCommitment.test(committed) {
            return Err(wrong());
        }
        serde_json::from_str(&stored.value).map_err(|error| wrong().caused_by(error))
    }

    /// The text of a record with its salt, in hexadecimal: what it takes to check a commitment.
    pub(super) fn opened(&self, name: &str) -> Result<(String, String)> {
        let stored = self.load(name)?;
        Ok((stored.salt, stored.value))
    }

    fn load(&self, name: &str) -> Result<Stored> {
        let fail = |error| self.io("read private record", name, error);
        let file = self.vfs.open(&path_of(name), false).map_err(fail)?;
        let len = file.len().map_err(fail)?.min(RECORD_BYTES_MAX);
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        file.read_at(0, &mut bytes).map_err(fail)?;
        serde_json::from_slice(&bytes).map_err(|error| {
            Error::corrupt(format!("private record {name}: it cannot be read")).caused_by(error)
        })
    }

    /// Destroys records: with its salt goes what a commitment could be checked against.
    ///
    /// # Durability
    ///
    /// Their names are gone from the disk when this returns.
    pub(super) fn destroy<T: AsRef<str>>(&self, names: &[T]) -> Result<()> {
        let paths: Vec<String> = names.iter().map(|name| path_of(name.as_ref())).collect();
        self.remove_for_good(&paths)
    }

    fn remove_for_good(&self, paths: &[String]) -> Result<()> {
        let fail = |error| self.io("destroy private records", FOLDER, error);
        paths.iter().try_for_each(|path| self.remove(path)).map_err(fail)?;
        Barrier::RecordGoneSync.sync(|| self.vfs.sync_dir(FOLDER)).map_err(fail)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        match self.vfs.remove(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    /// Destroys the records that the ledger does not name, whole or half written: their decision
    /// was never made.
    pub(super) fn sweep(&self, is_named: impl Fn(&str) -> bool) -> Result<()> {
        let names = self
            .vfs
            .list(FOLDER)
            .map_err(|error| self.io("list private records", FOLDER, error))?;
        let left_over = names.into_iter().filter(|name| {
            let unfinished = name.strip_suffix(".new").is_some();
            let orphan = name
                .strip_suffix(".json")
                .is_some_and(|record| record != SEED_NAME && !is_named(record));
            unfinished || orphan
        });
        let paths: Vec<String> = left_over.map(|name| format!("{FOLDER}/{name}")).collect();
        if paths.is_empty() { Ok(()) } else { self.remove_for_good(&paths) }
    }

    /// Makes a key of tokens, and the commitment to it.
    ///
    /// # Durability
    ///
    /// As [`Records::write`].
    pub(super) fn make_key(&self, name: &str) -> Result<(Key, Commitment)> {
        let commitment = self.write(name, &"")?;
        Ok((self.key(name, Some(commitment))?, commitment))
    }

    /// A key of tokens: the salt of its record, if that is what `commitment` was made of.
    ///
    /// # Errors
    ///
    /// As [`Records::read`].
    pub(super) fn key(&self, name: &str, commitment: Option<Commitment>) -> Result<Key> {
        if let Some(commitment) = commitment {
            self.read::<String>(name, commitment)?;
        }
        let key = unhex(&self.load(name)?.salt);
        key.map(Key).ok_or_else(|| Error::corrupt(format!("private {name}: it cannot be read")))
    }

    /// What the key of the log follows from; made when there is none, and never again.
    pub(super) fn seed(&self) -> Result<[u8; 32]> {
        let random = || {
            let mut seed = [0; SALT_BYTES];
            self.vfs.random(&mut seed).map_err(|error| self.io("make key", SEED_NAME, error))?;
            Ok(hex(&seed))
        };
        let stored = self.made_once(SEED_NAME, random)?;
        // The salt is as random as the value: together they are 256 bits.
        let value: String = serde_json::from_str(&stored.value)
            .map_err(|error| Error::corrupt("signing key: it cannot be read").caused_by(error))?;
        let secret = format!("{} {value}", stored.salt);
        Ok(blake3::derive_key("clipkeep 2026-11 key of the log", secret.as_bytes()))
    }

    fn made_once(&self, name: &str, make: impl FnOnce() -> Result<String>) -> Result<Stored> {
        let names = self.vfs.list(FOLDER);
        let names = names.map_err(|error| self.io("list private records", FOLDER, error))?;
        if !names.iter().any(|there| *there == format!("{name}.json")) {
            self.write(name, &make()?)?;
        }
        self.load(name)
    }

    fn io(&self, operation: &str, name: &str, error: io::Error) -> Error {
        if error.kind() == io::ErrorKind::NotFound {
            let message = format!("{operation} {name}: it was destroyed");
            return Error::new(crate::ErrorKind::NotFound, message);
        }
        Error::io(operation, &self.vfs.display_path(&path_of(name)), error)
    }
}

/// What tells incidents and submissions apart without saying what they are.
pub(super) struct Key([u8; SALT_BYTES]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").finish_non_exhaustive()
    }
}

impl Key {
    /// What somebody takes for a key who found it in a file.
    #[cfg(test)]
    pub(super) fn found(bytes: [u8; SALT_BYTES]) -> Self {
        Self(bytes)
    }

    /// The token of `parts`, which only equal parts have.
    pub(super) fn token(&self, parts: &[&str]) -> Commitment {
        let mut value = Vec::new();
        for part in parts {
            value.extend(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            value.extend(part.as_bytes());
        }
        Commitment::of(&self.0, &value)
    }
}

fn path_of(name: &str) -> String {
    format!("{FOLDER}/{name}.json")
}

fn hex(bytes: &[u8; SALT_BYTES]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").ok();
        text
    })
}

fn unhex(text: &str) -> Option<[u8; SALT_BYTES]> {
    if text.len() != 2 * SALT_BYTES || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; SALT_BYTES];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::sim::SimVfs;

    #[test]
    fn a_record_is_what_was_committed_to_or_an_error() {
        let disk = SimVfs::new(1);
        let records = Records::open(&disk).unwrap();
        let commitment = records.write("h1", &"12 Oak Street".to_owned()).unwrap();
        assert_eq!(records.read::<String>("h1", commitment).unwrap(), "12 Oak Street");
        let other = records.write("h2", &"12 Oak Street".to_owned()).unwrap();
        assert_ne!(commitment, other, "the same words say nothing of each other");
        let wrong = records.read::<String>("h2", commitment).unwrap_err();
        assert_eq!(wrong.kind(), crate::ErrorKind::Corrupt);
        records.destroy(&["h1"]).unwrap();
        records.destroy(&["h1"]).unwrap();
        let gone = records.read::<String>("h1", commitment).unwrap_err();
        assert_eq!(gone.kind(), crate::ErrorKind::NotFound);
        records.sweep(|_| false).unwrap();
        assert!(records.read::<String>("h2", other).is_err());
    }

    #[test]
    fn a_number_that_another_text_could_stand_for_is_what_was_committed_to() {
        let disk = SimVfs::new(1);
        let records = Records::open(&disk).unwrap();
        for n in 0..2_000_u32 {
            let place = (40.0 + f64::from(n) * 60.0 / 111_195.0, -75.0 - f64::from(n) / 3.0);
            let commitment = records.write("h1", &place).unwrap();
            records.read::<(f64, f64)>("h1", commitment).unwrap();
        }
    }

    #[test]
    fn a_key_is_the_one_that_was_made_and_tokens_tell_parts_apart() {
        let disk = SimVfs::new(1);
        let records = Records::open(&disk).unwrap();
        let (key, commitment) = records.make_key("key-1").unwrap();
        records.sweep(|name| name == "key-1").unwrap();
        let again = Records::open(&disk).unwrap().key("key-1", Some(commitment)).unwrap();
        assert_eq!(key.token(&["a", "b"]), again.token(&["a", "b"]));
        assert_ne!(key.token(&["a", "b"]), key.token(&["ab", ""]));
        let (other, _) = records.make_key("key-1").unwrap();
        assert_ne!(key.token(&["a", "b"]), other.token(&["a", "b"]));
        let wrong = records.key("key-1", Some(commitment)).unwrap_err();
        assert_eq!(wrong.kind(), crate::ErrorKind::Corrupt);
        records.sweep(|_| false).unwrap();
        let gone = records.key("key-1", Some(commitment)).unwrap_err();
        assert_eq!(gone.kind(), crate::ErrorKind::NotFound);
    }
}
