//! One camera's parts by start time, in runs.
//!
//! Owns sorted (start, segment) pairs. A run is a pair of arrays of at most [`RUN_MAX`] entries; a
//! search is two binary searches, over the runs' first keys and inside one run. Appending at the
//! end fills the last run to the brim and opens another; an insert elsewhere moves at most half a
//! run and splits a full one in halves. Both are cheap whatever the length of the timeline.

/// A run has at most this many entries.
const RUN_MAX: usize = 2048;
/// A run that has no more than this many entries is merged into its neighbour.
const RUN_MIN: usize = RUN_MAX / 4;
/// Runs grow in steps of this many entries, so that a slow camera costs no full run.
const GROW: usize = 256;

/// The parts of one camera.
///
/// Invariants:
///
/// 1. No run is empty or longer than [`RUN_MAX`]; `starts` and `segments` of a run are as long as
///    each other.
/// 2. Pairs rise strictly, inside runs and from run to run.
/// 3. `firsts` has the first pair of each run, and `len` counts the pairs of all.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    firsts: Vec<(i64, u32)>,
    runs: Vec<Run>,
    len: usize,
}

#[derive(Debug, Default)]
struct Run {
    starts: Vec<i64>,
    segments: Vec<u32>,
}

/// A place in a timeline: the run and the slot in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    run: usize,
    at: usize,
}

impl Timeline {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds a pair, unless it is there; whether it was added.
    pub(super) fn insert(&mut self, start_us: i64, segment: u32) -> bool {
        let pair = (start_us, segment);
        // The last run that begins at or before the pair; the first run when none does.
        let index = self.firsts.partition_point(|first| *first <= pair).saturating_sub(1);
        let last = self.runs.len().saturating_sub(1);
        let Some(run) = self.runs.get_mut(index) else {
            self.open(pair);
            return true;
        };
        let at = run.position(pair);
        if run.get(at) == Some(pair) {
            return false;
        }
        if run.len() == RUN_MAX {
            if index == last && at == RUN_MAX {
                self.open(pair);
                return true;
            }
            self.split(index);
            return self.insert(start_us, segment);
        }
        run.insert(at, pair);
        self.len += 1;
        self.note_first(index);
        true
    }

    /// Takes a pair out; false when it is not there.
    pub(super) fn remove(&mut self, start_us: i64, segment: u32) -> bool {
        let pair = (start_us, segment);
        let index = self.firsts.partition_point(|first| *first <= pair).saturating_sub(1);
        let Some(run) = self.runs.get_mut(index) else { return false };
        let at = run.position(pair);
        if run.get(at) != Some(pair) {
            return false;
        }
        run.starts.remove(at);
        run.segments.remove(at);
        self.len -= 1;
        if run.len() <= RUN_MIN {
            self.merge(index);
        } else {
            self.note_first(index);
        }
        true
    }

    /// The pairs with `from_us <= start < to_us`, in order.
    pub(super) fn range(
        &self,
        from_us: i64,
        to_us: i64,
    ) -> impl DoubleEndedIterator<Item = (i64, u32)> {
        let (from, to) = (self.slot(from_us), self.slot(to_us));
        let behind = if from < to { to.run + 1 } else { from.run };
        (from.run..behind).flat_map(move |index| {
            let run = self.runs.get(index);
            let len = run.map_or(0, Run::len);
            let low = if index == from.run { from.at } else { 0 };
            let high = if index == to.run { to.at } else { len };
            (low..high).filter_map(move |at| run.and_then(|run| run.get(at)))
        })
    }

    #[cfg(test)]
    pub(super) fn first(&self) -> Option<(i64, u32)> {
        self.firsts.first().copied()
    }

    #[cfg(test)]
    pub(super) fn last(&self) -> Option<(i64, u32)> {
        self.runs.last().and_then(|run| run.get(run.len().checked_sub(1)?))
    }

    /// About how many bytes of memory this takes.
    pub(super) fn bytes(&self) -> usize {
        let pairs: usize = self.runs.iter().map(Run::bytes).sum();
        pairs
            + self.runs.capacity() * size_of::<Run>()
            + self.firsts.capacity() * size_of::<(i64, u32)>()
    }

    /// The place of the first pair that starts at or after `start_us`.
    fn slot(&self, start_us: i64) -> Slot {
        let from = (start_us, 0);
        let run = self.firsts.partition_point(|first| *first <= from).saturating_sub(1);
        let at = self.runs.get(run).map_or(0, |found| found.position(from));
        Slot { run, at }
    }

    /// A new last run with `pair`.
    fn open(&mut self, pair: (i64, u32)) {
        if let Some(full) = self.runs.last_mut() {
            full.shrink();
        }
        let mut run = Run::default();
        run.insert(0, pair);
        self.runs.push(run);
        self.firsts.push(pair);
        self.len += 1;
    }

    /// Makes two runs of the full run `index`.
    fn split(&mut self, index: usize) {
        let Some(run) = self.runs.get_mut(index) else { return };
        let half = run.len() / 2;
        let upper =
            Run { starts: run.starts.split_off(half), segments: run.segments.split_off(half) };
        run.shrink();
        let Some(first) = upper.get(0) else { return };
        self.runs.insert(index + 1, upper);
        self.firsts.insert(index + 1, first);
    }

    /// Puts the short run `index` and a neighbour together, if they fit; drops it when empty.
    fn merge(&mut self, index: usize) {
        let len_at = |index: usize| self.runs.get(index).map_or(RUN_MAX, Run::len);
        let own = len_at(index);
        let low = match index.checked_sub(1) {
            _ if own == 0 => None,
            Some(before) if own + len_at(before) <= RUN_MAX / 2 => Some(before),
            _ if own + len_at(index + 1) <= RUN_MAX / 2 => Some(index),
            _ => None,
        };
        if own == 0 {
            self.runs.remove(index);
            self.firsts.remove(index);
        } else if let Some(low) = low {
            let mut upper = self.runs.remove(low + 1);
            self.firsts.remove(low + 1);
            if let Some(run) = self.runs.get_mut(low) {
                run.starts.append(&mut upper.starts);
                run.segments.append(&mut upper.segments);
            }
            self.note_first(low);
        } else {
            self.note_first(index);
        }
    }

    fn note_first(&mut self, index: usize) {
        let first = self.runs.get(index).and_then(|run| run.get(0));
        if let (Some(noted), Some(first)) = (self.firsts.get_mut(index), first) {
            *noted = first;
        }
    }

    /// Panics where an invariant does not hold.
    #[cfg(test)]
    pub(super) fn check_invariants(&self) {
        let mut before = None;
        let mut len = 0;
        assert_eq!(self.firsts.len(), self.runs.len());
        for (run, first) in self.runs.iter().zip(&self.firsts) {
            assert!((1..=RUN_MAX).contains(&run.len()), "run of {}", run.len());
            assert_eq!(run.starts.len(), run.segments.len());
            assert_eq!(run.get(0), Some(*first));
            for at in 0..run.len() {
                let pair = run.get(at);
                assert!(before < pair, "{before:?} before {pair:?}");
                before = pair;
            }
            len += run.len();
        }
        assert_eq!(len, self.len);
    }
}

impl Run {
    fn len(&self) -> usize {
        self.starts.len()
    }

    fn get(&self, at: usize) -> Option<(i64, u32)> {
        Some((*self.starts.get(at)?, *self.segments.get(at)?))
    }

    /// Where `pair` is or belongs.
    fn position(&self, pair: (i64, u32)) -> usize {
        let low = self.starts.partition_point(|start| *start < pair.0);
        // Few parts start at the same instant; no more than a run of them do here.
        let same = self.starts.iter().zip(&self.segments).skip(low);
        low + same.take_while(|(start, segment)| (**start, **segment) < pair).count()
    }

    fn insert(&mut self, at: usize, (start_us, segment): (i64, u32)) {
        if self.starts.len() == self.starts.capacity() {
            self.starts.reserve_exact(GROW);
            self.segments.reserve_exact(GROW);
        }
        self.starts.insert(at, start_us);
        self.segments.insert(at, segment);
    }

    /// Gives back the room for entries that will hardly come.
    fn shrink(&mut self) {
        self.starts.shrink_to_fit();
        self.segments.shrink_to_fit();
    }

    fn bytes(&self) -> usize {
        self.starts.capacity() * size_of::<i64>() + self.segments.capacity() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Append(i64),
        Insert(i64, u32),
        Remove(usize),
        /// Removes up to so many from the front, as expiry does.
        Expire(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0..50_i64).prop_map(Step::Append),
            3 => (-9_000..9_000_i64, 0..4_u32).prop_map(|(start, id)| Step::Insert(start, id)),
            1 => (0..9_000_usize).prop_map(Step::Remove),
            1 => (0..60_usize).prop_map(Step::Expire),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn a_timeline_is_the_sorted_set_of_its_pairs(
            prefill in 0..7_000_i64,
            steps in prop::collection::vec(step(), 0..1_500),
            from in -9_999..9_999_i64,
            span in 0..9_999_i64,
        ) {
            let mut timeline = Timeline::default();
            let mut model = BTreeSet::new();
            for n in 0..prefill {
                timeline.insert(n * 2, 1);
                model.insert((n * 2, 1));
            }
            for step in steps {
                match step {
                    Step::Append(by) => {
                        let start = model.last().map_or(0, |(start, _): &(i64, u32)| start + by);
                        prop_assert_eq!(timeline.insert(start, 2), model.insert((start, 2)));
                    }
                    Step::Insert(start, segment) => {
                        let added = timeline.insert(start, segment);
                        prop_assert_eq!(added, model.insert((start, segment)));
                    }
                    Step::Remove(nth) => {
                        let pair = model.iter().nth(nth).copied().unwrap_or((0, 9));
                        prop_assert_eq!(timeline.remove(pair.0, pair.1), model.remove(&pair));
                    }
                    Step::Expire(count) => {
                        for pair in model.iter().take(count).copied().collect::<Vec<_>>() {
                            prop_assert!(timeline.remove(pair.0, pair.1));
                            model.remove(&pair);
                        }
                    }
                }
            }
            timeline.check_invariants();
            prop_assert_eq!(timeline.first(), model.first().copied());
            prop_assert_eq!(timeline.last(), model.last().copied());
            let found: Vec<_> = timeline.range(from, from + span).collect();
            let expected: Vec<_> = model.range((from, 0)..(from + span, 0)).copied().collect();
            prop_assert_eq!(&found, &expected);
            let mut reversed: Vec<_> = timeline.range(from, from + span).rev().collect();
            reversed.reverse();
            prop_assert_eq!(reversed, expected);
        }
    }

    #[test]
    fn a_million_appended_parts_take_16_bytes_each_at_most() {
        let mut timeline = Timeline::default();
        for n in 0..1_000_000_i64 {
            timeline.insert(n * 30_000_000, 1);
        }
        timeline.check_invariants();
        assert!(timeline.bytes() <= 13_000_000, "{} bytes", timeline.bytes());
    }

    #[test]
    fn late_parts_leave_runs_at_least_half_full() {
        let mut timeline = Timeline::default();
        for n in (0..100_000_i64).rev() {
            timeline.insert(n, 1);
        }
        timeline.check_invariants();
        assert!(timeline.runs.len() <= 2 * 100_000 / RUN_MAX + 1, "{} runs", timeline.runs.len());
    }

    #[test]
    fn the_same_start_in_more_segments_than_a_run_holds_is_found_whole() {
        let mut timeline = Timeline::default();
        let count = u32::try_from(3 * RUN_MAX).unwrap();
        for segment in (0..count).rev() {
            timeline.insert(5, segment);
        }
        timeline.check_invariants();
        assert_eq!(timeline.range(5, 6).count(), 3 * RUN_MAX);
        assert_eq!(timeline.range(4, 5).count() + timeline.range(6, 7).count(), 0);
        assert!((0..count).all(|segment| timeline.remove(5, segment)));
        assert_eq!(timeline.len(), 0);
    }
}
