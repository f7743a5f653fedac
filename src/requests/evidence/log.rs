//! The ledger as a transparency log: its tree, its key, what was signed of it, and who saw that.
//!
//! Every checkpoint is a note in the ledger itself before it is shown, so that the next one is
//! compared with all that were ever signed: a ledger whose past was changed gets no signature. So
//! are the cosignatures of witnesses, which go out with every bundle from then on.

use std::collections::BTreeMap;

use crate::evidence::{Checkpoint, Hash, NoteError, SigningKey, Tree, VerifyingKey};
use crate::format::entry::Entry;
use crate::{Error, ErrorKind, Timestamp};

use crate::requests::event::Event;
use crate::requests::private::Records;
use crate::requests::state::State;
use crate::requests::{Desk, Refusal};

use super::manifest::Hex;

/// At most so many witnesses cosign one checkpoint.
const WITNESSES_MAX: usize = 16;

/// The log at one moment, signed.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) tree: Tree,
    /// How many entries its checkpoint is over.
    pub(super) size: usize,
    /// Those of them that were wanted, byte for byte, by index.
    pub(super) entries: BTreeMap<usize, Vec<u8>>,
    /// Trusted time of the newest of all.
    pub(super) at: Timestamp,
    /// The checkpoint, with the cosignatures of witnesses.
    pub(super) note: String,
    /// One that was signed before, and its size.
    pub(super) before: Option<(usize, String)>,
}

/// The ledger as it was read.
#[derive(Default)]
struct Read {
    tree: Tree,
    entries: BTreeMap<usize, Vec<u8>>,
    /// The trusted time of each entry.
    times: Vec<Timestamp>,
}

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
        Ok(self.sign_log(&mut |_, _| false)?.note)
    }

    /// Takes in `note`, a checkpoint of this store that `witness` cosigned: from now on bundles
    /// show it. The witness's name becomes public: it should be that of a device or a service, and
    /// of nobody. Taking it in twice changes nothing.
    ///
    /// # Errors
    ///
    /// `Invalid` when this store did not sign it, or `witness` did not cosign it; `Unknown` when
    /// the ledger has no such checkpoint; `Over` when enough others have cosigned it.
    pub fn cosigned(&self, note: &str, witness: &VerifyingKey) -> Result<(), Refusal> {
        let invalid = |error: NoteError| Refusal::Invalid(format!("cosigned checkpoint: {error}"));
        let seen = Checkpoint::verified(note, &self.verifying_key()?).map_err(invalid)?;
        let line = Checkpoint::cosignature_line(note, witness).map_err(invalid)?;
        let (size, witness) = (seen.size, witness.to_string());
        self.change(|inside, change| {
            if inside.state.checkpoints.get(&size) != Some(&hex(&seen.root)) {
                return Err(Refusal::Unknown(format!(
                    "checkpoint of {size} entries: this ledger has none like it; was it restored \
                     from an older copy?"
                )));
            }
            let known = inside.state.cosignatures.get(&size);
            if known.is_some_and(|lines| lines.contains_key(&witness)) {
                return Ok(());
            }
            if known.is_some_and(|lines| lines.len() >= WITNESSES_MAX) {
                return Err(Refusal::Over(format!(
                    "checkpoint of {size} entries: {WITNESSES_MAX} witnesses cosigned it already; \
                     cosign the next one"
                )));
            }
            change.note(Event::Cosigned { size, witness, line })
        })
    }

    /// The log with a signed checkpoint over all of it, and those of its entries that are `wanted`,
    /// each shown with its index.
    ///
    /// Where nothing was decided since the last checkpoint it is that one again.
    pub(super) fn sign_log(
        &self,
        wanted: &mut dyn FnMut(usize, &Entry) -> bool,
    ) -> Result<Log, Refusal> {
        let key = self.signing_key()?;
        let Read { tree, mut entries, times } = self.read_log(wanted)?;
        let all = wide(tree.len());
        let root_of = |size: u64| narrow(size).and_then(|size| tree.root(size));
        let text_of = |state: &State, size: u64| {
            let root = root_of(size).unwrap_or_default();
            let origin = key.verifying_key().name().to_owned();
            let note = Checkpoint { origin, size, root }.signed(&key);
            let lines = state.cosignatures.get(&size).into_iter().flat_map(BTreeMap::values);
            lines.fold(note, |note, line| note + line)
        };
        let (size, note, before) = self.change(|inside, change| {
            let state = &inside.state;
            for (size, root) in &state.checkpoints {
                if root_of(*size).map(|root| hex(&root)).as_ref() != Some(root) {
                    let message =
                        format!("sign checkpoint: the ledger is not what was signed at {size}");
                    return Err(Error::new(ErrorKind::Corrupt, message).into());
                }
            }
            let last = state.checkpoints.keys().next_back().copied();
            let size = match last {
                Some(last) if newest_decision(state, all).is_none_or(|at| at < last) => last,
                _ => {
                    let root = root_of(all).map(|root| hex(&root)).unwrap_or_default();
                    change.note(Event::Checkpointed { size: all, root })?;
                    all
                }
            };
            let before = before(state, size).map(|before| (before, text_of(state, before)));
            Ok((size, text_of(state, size), before))
        })?;
        let size = narrow(size).unwrap_or(usize::MAX);
        entries.retain(|index, _| *index < size);
        let at = times.iter().take(size).max().copied().unwrap_or(Timestamp::MIN);
        let before = before.and_then(|(size, note)| Some((narrow(size)?, note)));
        Ok(Log { tree, size, entries, at, note, before })
    }

    fn read_log(&self, wanted: &mut dyn FnMut(usize, &Entry) -> bool) -> Result<Read, Refusal> {
        let store = self.store.id();
        let mut read = Read::default();
        let mut wrong = None;
        self.store.ledger_entries(0, |entry| {
            let index = read.tree.len();
            read.tree.push(&entry.bytes);
            read.times.push(entry.at);
            match Entry::decode(&entry.bytes, &store) {
                Ok((decoded, _)) if wanted(index, &decoded) => {
                    read.entries.insert(index, entry.bytes);
                }
                Ok(_) => {}
                Err(damage) => wrong = Some(damage),
            }
        })?;
        match wrong {
            Some(damage) => Err(Error::corrupt("read ledger").caused_by(damage).into()),
            None => Ok(read),
        }
    }
}

/// The newest of the first `size` entries that is more than a note about the log.
fn newest_decision(state: &State, size: u64) -> Option<u64> {
    (0..size).rev().find(|position| !state.log_notes.contains(position))
}

/// Which checkpoint goes along with the one of `size` entries: the newest that a witness has seen,
/// because it says more than the store's own word; without any, the newest.
fn before(state: &State, size: u64) -> Option<u64> {
    let seen = state.cosignatures.range(..size).next_back().map(|(size, _)| *size);
    seen.or_else(|| state.checkpoints.range(..size).next_back().map(|(size, _)| *size))
}

fn hex(hash: &Hash) -> String {
    Hex(hash.to_vec()).text()
}

fn wide(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

fn narrow(size: u64) -> Option<usize> {
    usize::try_from(size).ok()
}
