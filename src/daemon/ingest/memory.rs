//! The bytes of footage that have come in and are not in the store yet: a bound over all senders.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::problem::Problem;

/// The account.
#[derive(Clone, Debug)]
pub(in crate::daemon) struct Memory {
    used: Arc<AtomicU64>,
    max: u64,
}

impl Memory {
    pub(super) fn new(max: u64) -> Self {
        Self { used: Arc::new(AtomicU64::new(0)), max }
    }

    /// An account of one sender, with nothing in it.
    pub(super) fn share(&self) -> Share {
        Share { of: self.clone(), bytes: 0 }
    }

    /// What all senders have in memory.
    pub(in crate::daemon) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }
}

/// What one sender has in memory. Given back when it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    of: Memory,
    bytes: u64,
}

/// What a sender may always have: two pieces of a stream, so that many small ones never starve.
const FREE_BYTES: u64 = 64 << 10;

impl Share {
    /// What it has.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// States how many bytes this sender has now.
    ///
    /// # Errors
    ///
    /// `unavailable` when all together would have too many. Refusing is better than waiting: those
    /// that wait would hold what the others wait for.
    pub(super) fn set(&mut self, bytes: u64) -> Result<(), Problem> {
        let (before, used) = (self.bytes, &self.of.used);
        self.bytes = bytes;
        if bytes <= before {
            used.fetch_sub(before - bytes, Ordering::Relaxed);
            return Ok(());
        }
        let sum = used.fetch_add(bytes - before, Ordering::Relaxed) + (bytes - before);
        if sum > self.of.max && bytes > FREE_BYTES {
            return Err(Problem::unavailable("too much footage comes in at once", 2).closing());
        }
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_have_together_is_bounded_and_given_back() {
        let memory = Memory::new(1_000_000);
        let (mut a, mut b) = (memory.share(), memory.share());
        a.set(700_000).unwrap();
        assert_eq!(b.set(400_000).unwrap_err().code(), "unavailable");
        b.set(FREE_BYTES).unwrap();
        drop(a);
        b.set(1_000_000).unwrap();
        b.set(5).unwrap();
        assert_eq!(memory.used(), 5);
        drop(b);
        assert_eq!(memory.used(), 0);
    }
}
