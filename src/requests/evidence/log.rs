//! The ledger as a transparency log: its tree, its key, and what was signed of it.
//!
//! Every checkpoint is a note in the ledger itself before it is shown, so that the next one is
//! compared with all that were ever signed: a ledger whose past was changed gets no signature.

use crate::evidence::{Checkpoint, Hash, SigningKey, Tree, VerifyingKey};
use crate::{Error, ErrorKind, Timestamp};

use crate::requests::event::Event;
use crate::requests::private::Records;
use crate::requests::{Desk, Refusal};

use super::manifest::Hex;

/// The log at one moment.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) tree: Tree,
    /// How many entries its checkpoint is over.
    pub(super) size: usize,
    /// These, byte for byte.
    pub(super) entries: Vec<Vec<u8>>,
    /// Trusted time of the newest of them.
    pub(super) at: Timestamp,
}

/// A log, its checkpoint, and the size and text of the one before.
type SignedLog = (Log, String, Option<(u64, String)>);

impl Desk {
    /// The key that the checkpoints and bundles of this store are checked with.
    ///
    /// # Errors
    ///
    /// `Store` when it cannot be read or made.
    pub fn verifying_key(&self) -> Result<VerifyingKey, Refusal> {
        Ok(self.signing_key()?.verifying_key())
    }

    pub(super) fn signing_key(&self) -> Result<SigningKey, Refusal> {
        let seed = Records::open(self.store.vfs())?.seed()?;
        let id = Hex(self.store.id().iter().take(8).copied().collect()).text();
        SigningKey::new(&format!("clipkeep/{id}"), &seed)
            .map_err(|error| Refusal::Invalid(error.to_string()))
    }

    /// The key itself, for tests and fuzz targets that forge.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn signing_key_for_tests(&self) -> SigningKey {
        self.signing_key().expect("a store whose disk does not fail has its key")
    }

    /// Signs what the ledger is now: a checkpoint in the text form of C2SP. What was signed before
    /// is its beginning, or there is no signature.
    ///
    /// # Errors
    ///
    /// `Store` with `Corrupt` when the ledger is not what was signed before; when it cannot be read
    /// or written.
    pub fn checkpoint(&self) -> Result<String, Refusal> {
        Ok(self.sign_log()?.1)
    }

    /// The log, the checkpoint over all of it, and the one that was signed before with its size.
    pub(super) fn sign_log(&self) -> Result<SignedLog, Refusal> {
        let key = self.signing_key()?;
        let log = self.read_log()?;
        let size = u64::try_from(log.tree.len()).unwrap_or(u64::MAX);
        let root_of = |size: u64| {
            usize::try_from(size).ok().and_then(|size| log.tree.root(size)).map(|root| hex(&root))
        };
        let root = root_of(size).unwrap_or_default();
        let (size, before) = self.change(|inside, change| {
            let signed = &inside.state.checkpoints;
            for (size, root) in signed {
                if root_of(*size).as_ref() != Some(root) {
                    let message =
                        format!("sign checkpoint: the ledger is not what was signed at {size}");
                    return Err(Error::new(ErrorKind::Corrupt, message).into());
                }
            }
            let last = signed.last_key_value().map(|(size, _)| *size);
            if last.is_some_and(|last| last.saturating_add(1) == size) {
                // Nothing came since but the note of that checkpoint.
                return Ok((size - 1, signed.keys().rev().nth(1).copied()));
            }
            change.note(Event::Checkpointed { size, root: root.clone() })?;
            Ok((size, last))
        })?;
        let sign = |size: u64| {
            let at = usize::try_from(size).unwrap_or(usize::MAX);
            let root = log.tree.root(at).unwrap_or_default();
            let origin = key.verifying_key().name().to_owned();
            Checkpoint { origin, size, root }.signed(&key)
        };
        let before = before.map(|size| (size, sign(size)));
        let now = sign(size);
        let mut log = log;
        log.size = usize::try_from(size).unwrap_or(usize::MAX);
        log.entries.truncate(log.size);
        Ok((log, now, before))
    }

    fn read_log(&self) -> Result<Log, Refusal> {
        let (tree, entries) = (Tree::default(), Vec::new());
        let mut log = Log { tree, size: 0, entries, at: Timestamp::MIN };
        self.store.ledger_entries(0, |entry| {
            log.tree.push(&entry.bytes);
            log.entries.push(entry.bytes);
            log.at = log.at.max(entry.at);
        })?;
        Ok(log)
    }
}

fn hex(hash: &Hash) -> String {
    Hex(hash.to_vec()).text()
}
