//! The lock of sweeps, which says when somebody waits for it.
//!
//! A sweep brings the index up to date while it has the lock, and that may take a second, for which
//! nobody who records should wait: what can be done later looks whether it is in somebody's way.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::sync::{Mutex, MutexGuard};

/// A lock, and how many wait for it.
#[derive(Debug)]
pub(super) struct Turn {
    lock: Mutex<()>,
    waiting: AtomicUsize,
}

impl Turn {
    pub(super) fn new() -> Self {
        Self { lock: Mutex::new(()), waiting: AtomicUsize::new(0) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, ()> {
        // Nothing hangs on the order: whoever sees the number late gives way a little later.
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let guard = self.lock.lock();
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        guard
    }

    /// Whether somebody waits for it.
    pub(super) fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }
}
