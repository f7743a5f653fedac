//! The held ranges of one camera, for lookups by window.
//!
//! Owns the order of the ranges and the tree over their ends. Knows ids, not holds.
//!
//! Ranges are sorted by start, so those that start before a window's end are a prefix. A tree of
//! the latest end over each stretch of them finds the ones in that prefix that reach into the
//! window: whether there is any in O(log n), all of them in O(log n) for each, however long the
//! longest range is (a running maximum would walk everything behind one long hold).

use std::ops::ControlFlow;
use std::time::Duration;

use crate::types::{HoldId, Timestamp, Window};

/// Invariants, see [`Timeline::check_invariants`]: `ranges` is sorted by (start, hold) without
/// equal keys; `latest` has `2 * leaves` nodes, where leaf `i` is the end of range `i` (or `MIN`
/// behind the last) and each inner node is the later of its two children.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timeline {
    ranges: Vec<Range>,
    latest: Vec<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    start: Timestamp,
    hold: HoldId,
    end: Timestamp,
}

impl Timeline {
    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Adds a range of `hold`; one that starts where another of the same hold does is joined.
    pub(crate) fn insert(&mut self, window: &Window, hold: HoldId) {
        let range = Range { start: window.start(), hold, end: window.end() };
        let at = self.position(range.start, hold);
        match self.ranges.get_mut(at) {
            Some(old) if (old.start, old.hold) == (range.start, hold) => {
                old.end = old.end.max(range.end);
            }
            _ => self.ranges.insert(at, range),
        }
        self.refresh(at);
    }

    /// Removes the range of `hold` that starts where `window` does.
    pub(crate) fn remove(&mut self, window: &Window, hold: HoldId) {
        let at = self.position(window.start(), hold);
        if self.ranges.get(at).is_some_and(|r| (r.start, r.hold) == (window.start(), hold)) {
            self.ranges.remove(at);
            self.refresh(at);
        }
    }

    /// Whether any range meets `window`.
    pub(crate) fn covers(&self, window: &Window) -> bool {
        self.visit(window, &mut |_| ControlFlow::Break(())).is_break()
    }

    /// Whether one range has all of `window` in it.
    pub(crate) fn contains(&self, window: &Window) -> bool {
        let prefix = self.ranges.partition_point(|r| r.start <= window.start());
        let root = Node { index: 1, first: 0, width: self.leaves() };
        let before_end = window.end().saturating_sub(Duration::from_micros(1));
        self.descend(root, prefix, before_end, &mut |_| ControlFlow::Break(())).is_break()
    }

    /// Adds the hold of each range that meets `window`.
    pub(crate) fn collect(&self, window: &Window, holds: &mut Vec<HoldId>) {
        let all: ControlFlow<()> = self.visit(window, &mut |hold| {
            holds.push(hold);
            ControlFlow::Continue(())
        });
        debug_assert!(all.is_continue(), "nothing breaks off this visit");
    }

    fn position(&self, start: Timestamp, hold: HoldId) -> usize {
        self.ranges.partition_point(|r| (r.start, r.hold) < (start, hold))
    }

    fn leaves(&self) -> usize {
        self.latest.len() / 2
    }

    fn visit(
        &self,
        window: &Window,
        found: &mut impl FnMut(HoldId) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        // Most clips that are asked about came before or after all that is held.
        let begins = self.ranges.first().is_some_and(|first| first.start < window.end());
        let reaches = self.latest.get(1).is_some_and(|end| *end > window.start());
        if !begins || !reaches {
            return ControlFlow::Continue(());
        }
        let prefix = self.ranges.partition_point(|r| r.start < window.end());
        let root = Node { index: 1, first: 0, width: self.leaves() };
        self.descend(root, prefix, window.start(), found)
    }

    /// Visits the ranges below `node` that are among the first `prefix` and end after `after`.
    fn descend(
        &self,
        node: Node,
        prefix: usize,
        after: Timestamp,
        found: &mut impl FnMut(HoldId) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let reaches = self.latest.get(node.index).is_some_and(|end| *end > after);
        if node.first >= prefix || !reaches {
            return ControlFlow::Continue(());
        }
        if node.width == 1 {
            return self
                .ranges
                .get(node.first)
                .map_or(ControlFlow::Continue(()), |r| found(r.hold));
        }
        let (left, right) = node.children();
        self.descend(left, prefix, after, found)?;
        self.descend(right, prefix, after, found)
    }

    /// Makes the tree true again after the ranges from `from` on changed. Appending, which is what
    /// replay mostly does, costs O(log n).
    fn refresh(&mut self, from: usize) {
        let mut from = from;
        if self.ranges.len() > self.leaves() {
            let leaves = self.ranges.len().next_power_of_two();
            self.latest = vec![Timestamp::MIN; 2 * leaves];
            from = 0;
        }
        let leaves = self.leaves();
        // A removal leaves one stale leaf behind the last range.
        let mut last = self.ranges.len().min(leaves.saturating_sub(1));
        if leaves == 0 || from > last {
            return;
        }
        for at in from..=last {
            let end = self.ranges.get(at).map_or(Timestamp::MIN, |r| r.end);
            if let Some(leaf) = self.latest.get_mut(leaves + at) {
                *leaf = end;
            }
        }
        (from, last) = (from + leaves, last + leaves);
        while from > 1 {
            (from, last) = (from / 2, last / 2);
            for index in from..=last {
                let later = self.later_child(index);
                if let Some(node) = self.latest.get_mut(index) {
                    *node = later;
                }
            }
        }
    }

    fn later_child(&self, index: usize) -> Timestamp {
        let child = |at: usize| self.latest.get(at).copied().unwrap_or(Timestamp::MIN);
        child(2 * index).max(child(2 * index + 1))
    }

    /// What is broken, if anything is; for tests.
    #[cfg(test)]
    pub(crate) fn check_invariants(&self) -> Result<(), String> {
        for pair in self.ranges.windows(2) {
            if let [a, b] = pair
                && (a.start, a.hold) >= (b.start, b.hold)
            {
                return Err(format!("ranges {a:?} and {b:?} out of order"));
            }
        }
        let leaves = self.leaves();
        if leaves < self.ranges.len() || (leaves != 0 && !leaves.is_power_of_two()) {
            return Err(format!("{leaves} leaves for {} ranges", self.ranges.len()));
        }
        for (at, node) in self.latest.iter().enumerate().skip(1) {
            let want = match at.checked_sub(leaves) {
                Some(leaf) => self.ranges.get(leaf).map_or(Timestamp::MIN, |r| r.end),
                None => self.later_child(at),
            };
            if *node != want {
                return Err(format!("node {at} says {node}, should say {want}"));
            }
        }
        Ok(())
    }
}

/// A node of the tree: where it stands, and the ranges below it.
#[derive(Clone, Copy)]
struct Node {
    index: usize,
    first: usize,
    width: usize,
}

impl Node {
    fn children(self) -> (Self, Self) {
        let width = self.width / 2;
        let left = Self { index: 2 * self.index, first: self.first, width };
        (left, Self { index: left.index + 1, first: self.first + width, width })
    }
}
