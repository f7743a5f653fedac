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
    clip: Clip,
}

impl Keys {
    /// The clip that was made under `key`, or what `make` makes; whether it is new.
    ///
    /// # Errors
    ///
    /// `conflict` when the key stands for other bytes; those of `make`, which are not remembered.
    pub(super) fn once(
        &self,
        key: &str,
        digest: &[u8; 32],
        make: impl FnOnce() -> Result<(Clip, bool), Problem>,
    ) -> Result<(Clip, bool), Problem> {
        if let Some(done) = self.0.lock().done.get(key) {
            if done.digest != *digest {
                let detail = "the Idempotency-Key was used for another body";
                return Err(Problem::new("conflict", detail));
            }
            return Ok((done.clip.clone(), false));
        }
        let (clip, is_new) = make()?;
        let mut remembered = self.0.lock();
        let number = remembered.next;
        remembered.next += 1;
        remembered.order.insert(number, key.to_owned());
        let done = Done { digest: *digest, clip: clip.clone() };
        remembered.done.insert(key.to_owned(), done);
        if remembered.order.len() > KEYS_MAX
            && let Some((_, oldest)) = remembered.order.pop_first()
        {
            remembered.done.remove(&oldest);
        }
        Ok((clip, is_new))
    }
}
