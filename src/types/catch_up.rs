//! How far trusted time lagged, once it has caught up with the wall clock.
//!
//! After an outage the wall clock is doubted, and what comes meanwhile is stamped with a trusted
//! time that lags. When the wall clock is believed in the end, those stamps lie too far back by the
//! lag. They stay as they are, on disk and on record; who asks how old a thing is corrects them.

use std::time::Duration;

use super::Timestamp;

/// One jump of trusted time to a wall clock that was doubted before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CatchUp {
    /// When the two last agreed: what was stamped from here on lags.
    pub since: Timestamp,
    /// Trusted time after the jump.
    pub trusted: Timestamp,
    /// How far it jumped.
    pub by: Duration,
}

impl CatchUp {
    pub(crate) const fn new(since: Timestamp, trusted: Timestamp, by: Duration) -> Self {
        Self { since, trusted, by }
    }

    /// Whether `stamp` was given while trusted time lagged. One of the moment at which the lag
    /// began counts: what it belongs to is kept rather too long than too short.
    #[must_use]
    pub fn covers(&self, stamp: Timestamp) -> bool {
        self.since <= stamp && stamp < self.trusted
    }

    /// When that was which is stamped `stamp`, by the time after the jump.
    #[must_use]
    pub fn corrected(&self, stamp: Timestamp) -> Timestamp {
        if self.covers(stamp) { stamp.saturating_add(self.by) } else { stamp }
    }
}

/// All jumps of a store, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CatchUps(Vec<CatchUp>);

impl CatchUps {
    /// Takes in the next one, as it counts beside those before: a stamp is corrected once for each
    /// jump that it lived through, also where a jump was put on record twice.
    pub(crate) fn add(&mut self, mut next: CatchUp) -> CatchUp {
        next.since = next.since.max(self.caught_up());
        self.0.push(next);
        next
    }

    /// Where the last jump led.
    pub(crate) fn caught_up(&self) -> Timestamp {
        self.0.last().map_or(Timestamp::MIN, |last| last.trusted)
    }

    /// The jumps behind the first `count` ones.
    pub(crate) fn beyond(&self, count: usize) -> &[CatchUp] {
        self.0.get(count..).unwrap_or_default()
    }

    /// When that was which is stamped `stamp`, by the trusted time of today.
    pub(crate) fn corrected(&self, stamp: Timestamp) -> Timestamp {
        self.0.iter().fold(stamp, |stamp, jump| jump.corrected(stamp))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(us: i64) -> Timestamp {
        Timestamp::from_micros(us)
    }

    fn jump(since: i64, trusted: i64, by: u64) -> CatchUp {
        CatchUp::new(at(since), at(trusted), Duration::from_micros(by))
    }

    #[test]
    fn what_came_during_the_lag_alone_is_corrected() {
        let mut jumps = CatchUps::default();
        assert_eq!(jumps.corrected(at(7)), at(7));
        jumps.add(jump(10, 120, 100));
        for (stamp, corrected) in [(9, 9), (10, 110), (19, 119), (120, 120), (121, 121)] {
            assert_eq!(jumps.corrected(at(stamp)), at(corrected), "{stamp}");
        }
    }

    #[test]
    fn a_jump_that_is_on_record_twice_counts_once() {
        let mut jumps = CatchUps::default();
        jumps.add(jump(10, 120, 100));
        assert_eq!(jumps.add(jump(10, 121, 101)), jump(120, 121, 101));
        assert_eq!(jumps.corrected(at(15)), at(115));
    }

    #[test]
    fn what_lived_through_one_lag_is_not_corrected_for_the_next() {
        let mut jumps = CatchUps::default();
        jumps.add(jump(10, 120, 100));
        jumps.add(jump(200, 420, 200));
        assert_eq!(jumps.corrected(at(15)), at(115));
        assert_eq!(jumps.corrected(at(210)), at(410));
        assert_eq!(jumps.beyond(1).len(), 1);
        assert_eq!(jumps.caught_up(), at(420));
    }
}
