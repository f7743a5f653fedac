//! A few values that are costly to make, kept within a bound of memory.
//!
//! Owns nothing that cannot be made again: what was not asked for the longest goes first.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// Values by key, the least recently used of which goes when there is no room.
#[derive(Debug)]
pub(in crate::daemon) struct Cache<K, V> {
    bytes_max: usize,
    kept: Mutex<Kept<K, V>>,
}

#[derive(Debug)]
struct Kept<K, V> {
    values: BTreeMap<K, Entry<V>>,
    /// Keys by when they were used last.
    used: BTreeMap<u64, K>,
    uses: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Entry<V> {
    value: Arc<V>,
    used: u64,
    bytes: usize,
}

impl<K: Ord + Copy, V> Cache<K, V> {
    /// An empty cache of at most `bytes_max` bytes.
    pub(in crate::daemon) fn new(bytes_max: usize) -> Self {
        let kept = Kept { values: BTreeMap::new(), used: BTreeMap::new(), uses: 0, bytes: 0 };
        Self { bytes_max, kept: Mutex::new(kept) }
    }

    /// The value of `key`.
    pub(in crate::daemon) fn find(&self, key: K) -> Option<Arc<V>> {
        let mut kept = self.kept.lock();
        let used = kept.next_use();
        let entry = kept.values.get_mut(&key)?;
        let before = std::mem::replace(&mut entry.used, used);
        let value = Arc::clone(&entry.value);
        kept.used.remove(&before);
        kept.used.insert(used, key);
        Some(value)
    }

    /// Keeps `value`, which takes `bytes`, unless it alone is larger than the bound.
    pub(in crate::daemon) fn keep(&self, key: K, value: V, bytes: usize) -> Arc<V> {
        let value = Arc::new(value);
        if bytes > self.bytes_max {
            return value;
        }
        let mut kept = self.kept.lock();
        kept.remove(key);
        while kept.bytes + bytes > self.bytes_max {
            let Some((_, oldest)) = kept.used.first_key_value() else { break };
            let oldest = *oldest;
            kept.remove(oldest);
        }
        let used = kept.next_use();
        kept.used.insert(used, key);
        kept.bytes += bytes;
        kept.values.insert(key, Entry { value: Arc::clone(&value), used, bytes });
        value
    }
}

impl<K: Ord + Copy, V> Kept<K, V> {
    fn next_use(&mut self) -> u64 {
        self.uses += 1;
        self.uses
    }

    fn remove(&mut self, key: K) {
        if let Some(gone) = self.values.remove(&key) {
            self.used.remove(&gone.used);
            self.bytes -= gone.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(cache: &Cache<u8, u8>) -> Vec<u8> {
        (0..10).filter(|key| cache.kept.lock().values.contains_key(key)).collect()
    }

    #[test]
    fn what_was_not_used_for_the_longest_goes_first() {
        let cache = Cache::new(30);
        for key in 0..3 {
            cache.keep(key, key, 10);
        }
        assert_eq!(cache.find(0).as_deref(), Some(&0));
        cache.keep(3, 3, 10);
        assert_eq!(kept(&cache), [0, 2, 3]);
        cache.keep(4, 4, 25);
        assert_eq!(kept(&cache), [4]);
        assert!(cache.find(0).is_none());
    }

    #[test]
    fn the_bound_holds_whatever_is_kept() {
        let cache = Cache::new(30);
        for (key, bytes) in [(0, 31), (1, 30), (1, 10), (2, 20), (2, 5), (3, 15)] {
            assert_eq!(*cache.keep(key, key, bytes), key, "given back also when not kept");
            let inside = cache.kept.lock();
            let sum: usize = inside.values.values().map(|entry| entry.bytes).sum();
            assert_eq!((inside.bytes, inside.used.len()), (sum, inside.values.len()));
            assert!(sum <= 30);
        }
        assert_eq!(kept(&cache), [1, 2, 3]);
    }
}
