//! A slow disk, in the time of the simulation: nobody sleeps.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::fault::SimOp;

/// Told of each wait, to move a clock.
pub(super) type OnWait = Arc<dyn Fn(Duration) + Send + Sync>;

/// How long each kind of operation takes, and how long all have taken.
#[derive(Clone, Default)]
pub(super) struct Delays {
    each: BTreeMap<SimOp, Duration>,
    pub(super) total: Duration,
    pub(super) on_wait: Option<OnWait>,
}

impl Delays {
    pub(super) fn set(&mut self, op: SimOp, each: Duration) {
        self.each.insert(op, each);
    }

    pub(super) fn wait(&mut self, op: SimOp) {
        let Some(wait) = self.each.get(&op) else { return };
        self.total = self.total.saturating_add(*wait);
        if let Some(on_wait) = &self.on_wait {
            on_wait(*wait);
        }
    }
}

impl fmt::Debug for Delays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delays").field("each", &self.each).finish_non_exhaustive()
    }
}
