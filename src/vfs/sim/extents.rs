//! Which blocks of a file are allocated: a set of block numbers, kept as ranges so that a 64 MiB
//! segment costs one entry. Ranges never touch or overlap.

use std::collections::BTreeMap;
use std::ops::Range;

/// A set of numbers as ranges, from start to end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Extents(BTreeMap<u64, u64>);

impl Extents {
    pub(super) fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let mut merged = range.clone();
        // What touches counts too, so that the set has one form only.
        let below = self.0.range(..=range.end).rev().map(|(start, end)| *start..*end);
        let touching: Vec<_> = below.take_while(|old| old.end >= range.start).collect();
        for old in touching {
            self.0.remove(&old.start);
            merged = merged.start.min(old.start)..merged.end.max(old.end);
        }
        self.0.insert(merged.start, merged.end);
    }

    pub(super) fn remove(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let below = self.0.range(..range.end).rev().map(|(start, end)| *start..*end);
        let cut: Vec<_> = below.take_while(|old| old.end > range.start).collect();
        for old in cut {
            self.0.remove(&old.start);
            if old.start < range.start {
                self.0.insert(old.start, range.start);
            }
            if old.end > range.end {
                self.0.insert(range.end, old.end);
            }
        }
    }

    /// How many numbers of `range` are in the set.
    pub(super) fn count_in(&self, range: Range<u64>) -> u64 {
        self.0
            .range(..range.end)
            .rev()
            .take_while(|(_, end)| **end > range.start)
            .map(|(start, end)| (*end).min(range.end) - (*start).max(range.start))
            .sum()
    }

    /// The parts of `range` that are not in the set, in order.
    pub(super) fn gaps(&self, range: &Range<u64>) -> Vec<Range<u64>> {
        let below = self.0.range(..range.end).rev().map(|(start, end)| *start..*end);
        let mut held: Vec<_> = below.take_while(|held| held.end > range.start).collect();
        held.reverse();
        let mut gaps = Vec::new();
        let mut start = range.start;
        for held in held {
            if start < held.start {
                gaps.push(start..held.start);
            }
            start = held.end;
        }
        if start < range.end {
            gaps.push(start..range.end);
        }
        gaps
    }

    /// The ranges in order, as start and end.
    pub(super) fn ranges(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter().map(|(start, end)| (*start, *end))
    }

    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|(start, end)| end - start).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::content::wide;
    use super::super::rng::Rng;
    use super::*;

    #[test]
    fn ranges_agree_with_a_plain_set_after_any_history() {
        for seed in 0..200 {
            let mut rng = Rng::new(seed);
            let (mut extents, mut plain) = (Extents::default(), BTreeSet::new());
            for _ in 0..60 {
                let start = rng.below(40);
                let range = start..start + rng.below(12);
                if rng.coin() {
                    extents.insert(range.clone());
                    plain.extend(range);
                } else {
                    extents.remove(range.clone());
                    plain.retain(|number| !range.contains(number));
                }
                let start = rng.below(40);
                let end = start + rng.below(12);
                let expected = plain.iter().filter(|number| (start..end).contains(*number)).count();
                assert_eq!(extents.count_in(start..end), wide(expected), "seed {seed}");
                let gaps: Vec<u64> = extents.gaps(&(start..end)).into_iter().flatten().collect();
                let absent = (start..end).filter(|number| !plain.contains(number));
                assert_eq!(gaps, absent.collect::<Vec<_>>(), "seed {seed}");
                assert_eq!(extents.count(), wide(plain.len()), "seed {seed}");
                let ends: Vec<_> = extents.0.iter().map(|(start, end)| (*start, *end)).collect();
                assert!(ends.windows(2).all(|pair| pair[0].1 < pair[1].0), "seed {seed}: {ends:?}");
            }
        }
    }
}
