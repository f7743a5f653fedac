//! What a full store takes on the disk beyond its clips: what is there once, and what grows with
//! the footage.

use std::time::Duration;

use super::steady::Held;
use super::{Keeper as _, Outcome, Steady, StoreKeeper, Street, ratio};

/// Where the bytes of a store are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// Of clips that can be read, held ones among them.
    pub live_bytes: u64,
    /// Of clips that expired and stay until what is held beside them may go.
    pub expired_bytes: u64,
    /// Headers, checksums, footers, padding, the index.
    pub overhead_bytes: u64,
    /// Set aside whatever is kept: the ledger, the spare files, the rest of open segments.
    pub reserved_bytes: u64,
    /// What the file system has allocated.
    pub disk_bytes: u64,
}

impl Space {
    /// Bytes on the disk for each byte of clips, without what is set aside.
    #[must_use]
    pub fn growing(&self) -> f64 {
        ratio(self.disk_bytes.saturating_sub(self.reserved_bytes), self.live_bytes)
    }

    /// Bytes on the disk for each byte of clips.
    #[must_use]
    pub fn all(&self) -> f64 {
        ratio(self.disk_bytes, self.live_bytes)
    }

    /// Where the bytes of `store` are now.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn of(store: &StoreKeeper) -> Outcome<Self> {
        let stats = store.store()?.stats()?;
        Ok(Self {
            live_bytes: stats.live_bytes,
            expired_bytes: stats.expired_bytes,
            overhead_bytes: stats.overhead_bytes,
            reserved_bytes: stats.reserved_bytes,
            disk_bytes: store.disk_bytes()?,
        })
    }
}

/// Fills the store, which keeps clips for as long as `plan.kept` of them take, and goes on until
/// `plan.clips` more have pushed older ones out, some of them held. Nothing is timed.
///
/// # Errors
///
/// The store's; when a held clip is lost.
pub fn space(
    store: &mut StoreKeeper,
    street: &Street,
    plan: &Steady,
    told: &mut dyn FnMut(u64),
) -> Outcome<Space> {
    let (clips, group) = (plan.kept + plan.clips, plan.group.max(1));
    let mut held = Held::default();
    for first in (0..clips).step_by(usize::try_from(group)?) {
        let takes = street.takes(first, group.min(clips - first))?;
        store.keep(&takes)?;
        for take in &takes {
            held.place_some(store, street, plan, take)?;
        }
        if first >= plan.kept && first % plan.sweep_every.max(1) < group {
            store.sweep()?;
        }
        told(takes.iter().map(|take| take.bytes.len()).sum::<usize>().try_into()?);
    }
    // What the last clips made due goes before it is counted.
    store.turn_to(street.end_of(clips).saturating_add(Duration::from_secs(1)));
    store.sweep()?;
    held.check_kept(store, street)?;
    Space::of(store)
}
