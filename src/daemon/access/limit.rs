//! How often one token may ask: so many requests a second, and twice as many at once.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::{Clock as _, SystemClock};

/// The account of every token that asked lately.
#[derive(Debug)]
pub(super) struct Limit {
    per_second: u32,
    /// By token id: the time up to which its requests are used up.
    used_up_to_us: Mutex<BTreeMap<String, u64>>,
}

impl Limit {
    /// `per_second` 0: no limit.
    pub(super) fn new(per_second: u32) -> Self {
        Self { per_second, used_up_to_us: Mutex::default() }
    }

    /// Whether the token may ask now. Its request is counted.
    pub(super) fn lets(&self, id: &str) -> bool {
        self.lets_at(id, SystemClock.uptime().since_boot_us)
    }

    fn lets_at(&self, id: &str, now_us: u64) -> bool {
        let Some(each_us) = 1_000_000_u64.checked_div(u64::from(self.per_second)) else {
            return true;
        };
        let mut used = self.used_up_to_us.lock();
        let up_to = used.get(id).copied().unwrap_or(0).max(now_us);
        // Two seconds' worth at once: a player that starts asks for many things.
        if up_to - now_us > 2_000_000 {
            return false;
        }
        used.insert(id.to_owned(), up_to + each_us.max(1));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_in_and_then_the_rate() {
        let limit = Limit::new(10);
        let burst = (0..100).filter(|_| limit.lets_at("a", 5)).count();
        assert_eq!(burst, 21);
        assert!(limit.lets_at("b", 5), "each token for itself");
        assert!(!limit.lets_at("a", 5));
        let second = (0..100).filter(|_| limit.lets_at("a", 1_000_005)).count();
        assert_eq!(second, 10);
        assert!((0..1_000).all(|_| Limit::new(0).lets_at("a", 5)));
    }
}
