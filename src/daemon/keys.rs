//! What was done under an `Idempotency-Key`, so that asking twice does it once.
//!
//! In memory and bounded: it covers a client that tries again, not one that comes back next week.
//! What must be remembered for longer (holds) the store remembers itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::Clip;

use super::problem::Problem;

/// How many keys are remembered: the oldest go first.
const KEYS_MAX: usize = 4_096;

/// The keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys(Arc<Mutex<Remembered>>);

#[derive(Debug, Default)]
struct Remembered {
    /// In the order in which they came.
    order: BTreeMap<u64, String>,
    done: BTreeMap<String, Done>,
    next: u64,
}

#[derive(Clone, Debug)]
struct Done {
    digest: [u8; 32],
    /// `None`: it is being made.
    clip: Option<Clip>,
}

impl Keys {
    /// The clip that was made under `key`, or what `make` makes; whether it is new.
    ///
    /// # Errors
    ///
    /// `conflict` when the key stands for other bytes, or is being made by somebody else; those of
    /// `make`, which are not remembered.
    pub(super) fn once(
        &self,
        key: &str,
        digest: &[u8; 32],
        make: impl FnOnce() -> Result<(Clip, bool), Problem>,
    ) -> Result<(Clip, bool), Problem> {
        if let Some(clip) = self.begin(key, digest)? {
            return Ok((clip, false));
        }
        let outcome = make();
        let mut remembered = self.0.lock();
        if let Ok((clip, _)) = &outcome {
            if let Some(done) = remembered.done.get_mut(key) {
                done.clip = Some(clip.clone());
            }
        } else {
            remembered.done.remove(key);
            remembered.order.retain(|_, other| other != key);
        }
        outcome
    }

    /// What is there under `key`; otherwise takes it.
    fn begin(&self, key: &str, digest: &[u8; 32]) -> Result<Option<Clip>, Problem> {
        let mut remembered = self.0.lock();
        if let Some(done) = remembered.done.get(key) {
            if done.digest != *digest {
                let detail = "the Idempotency-Key was used for another body";
                return Err(Problem::new("conflict", detail));
            }
            let busy = || Problem::new("conflict", "the same upload is under way").retry_after(1);
            return done.clip.clone().map(Some).ok_or_else(busy);
        }
        let number = remembered.next;
        remembered.next += 1;
        remembered.order.insert(number, key.to_owned());
        remembered.done.insert(key.to_owned(), Done { digest: *digest, clip: None });
        if remembered.order.len() > KEYS_MAX
            && let Some((_, oldest)) = remembered.order.pop_first()
        {
            remembered.done.remove(&oldest);
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_under_way_is_nobody_elses_and_a_failure_frees_it() {
        let keys = Keys::default();
        let failed = keys.once("a", &[1; 32], || {
            let other = keys.once("a", &[1; 32], || Err(Problem::invalid("never")));
            assert_eq!(other.unwrap_err().code(), "conflict");
            Err(Problem::invalid("the clip is no clip"))
        });
        assert_eq!(failed.unwrap_err().code(), "invalid-input");
        let again = keys.once("a", &[2; 32], || Err(Problem::invalid("again")));
        assert_eq!(again.unwrap_err().detail(), "again");
    }
}
