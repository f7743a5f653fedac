//! When a fragment was recorded, from what the stream says and when it came.
//!
//! Owns the rule. Pure: the time of arrival is given. The most trustworthy that there is decides,
//! for the whole stream: the start that somebody gave; media time that counts from 1970; the
//! earlier of the encoder's own time and its arrival, less its duration and what it waited for.

use std::time::Duration;

use crate::Timestamp;
use crate::media::Fragment;

/// How far the stream and the wall clock may part before the stream is placed anew.
const DRIFT_MAX: Duration = Duration::from_secs(1);

/// Follows one stream.
#[derive(Clone, Debug)]
pub(super) struct WallClock {
    given: Option<Timestamp>,
    /// The wall clock at the start of the stream's media.
    anchor: Option<Timestamp>,
}

/// Where a fragment lies in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) start: Timestamp,
    pub(super) uncertainty: Duration,
    /// The stream goes on elsewhere than it left off.
    pub(super) moved: bool,
}

impl WallClock {
    pub(super) fn new(given: Option<Timestamp>) -> Self {
        Self { given, anchor: None }
    }

    /// The stream begins anew, now: a start that was given said nothing of that.
    pub(super) fn restart(&mut self) {
        if self.anchor.take().is_some() {
            self.given = None;
        }
    }

    /// Where `fragment` lies, which arrived, whole, at `arrival`, after it `waited` for footage
    /// behind it that came with it.
    pub(super) fn place(
        &mut self,
        fragment: &Fragment,
        arrival: Timestamp,
        waited: Duration,
    ) -> Place {
        if let Some(given) = self.given {
            self.anchor = Some(given);
            let start = given.saturating_add(fragment.start);
            return Place { start, uncertainty: Duration::ZERO, moved: false };
        }
        if let Some(epoch) = fragment.epoch {
            return self.follow(fragment, epoch, Duration::ZERO, true);
        }
        let before = fragment.duration.saturating_add(waited);
        let arrived = arrival.saturating_sub(before);
        let said = fragment.produced.map_or(arrived, |produced| produced.min(arrived));
        // A fragment comes when it is whole, and then waits for the network.
        let uncertainty = before.saturating_add(DRIFT_MAX);
        self.follow(fragment, said, uncertainty, false)
    }

    /// Keeps to the anchor while `said` is near what it gives, and sets it anew otherwise.
    ///
    /// A stream that comes faster than it plays (a file through a pipe, a camera that sends what it
    /// had kept back) seems ever further behind by its arrival: only a clock of its own may move it
    /// back, or its fragments would lie on top of one another.
    fn follow(
        &mut self,
        fragment: &Fragment,
        said: Timestamp,
        uncertainty: Duration,
        trusted: bool,
    ) -> Place {
        let Some(anchor) = self.anchor else {
            self.anchor = Some(said.saturating_sub(fragment.start));
            return Place { start: said, uncertainty, moved: false };
        };
        let expected = anchor.saturating_add(fragment.start);
        let ahead = said.since(expected) > DRIFT_MAX;
        let behind = trusted && expected.since(said) > DRIFT_MAX;
        if ahead || behind {
            self.anchor = Some(said.saturating_sub(fragment.start));
            return Place { start: said, uncertainty, moved: true };
        }
        Place { start: expected, uncertainty, moved: false }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn seconds(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    /// A fragment of two seconds.
    fn fragment(start_s: u64) -> Fragment {
        Fragment {
            bytes: Bytes::new(),
            start: seconds(start_s),
            duration: seconds(2),
            key: true,
            clock_set: false,
            epoch: None,
            produced: None,
        }
    }

    /// Where a fragment lies that came by itself.
    fn placed(clock: &mut WallClock, fragment: &Fragment, arrival: Timestamp) -> Place {
        clock.place(fragment, arrival, Duration::ZERO)
    }

    fn at(s: u64) -> Timestamp {
        Timestamp::EPOCH.saturating_add(seconds(1_000_000 + s))
    }

    #[test]
    fn a_given_start_is_believed_whatever_else_is_said() {
        let mut clock = WallClock::new(Some(at(0)));
        let place = placed(&mut clock, &Fragment { epoch: Some(at(9)), ..fragment(4) }, at(500));
        assert_eq!(place, Place { start: at(4), uncertainty: Duration::ZERO, moved: false });
    }

    #[test]
    fn arrival_places_the_first_and_small_drift_moves_nothing() {
        let mut clock = WallClock::new(None);
        assert_eq!(placed(&mut clock, &fragment(0), at(12)).start, at(10));
        let second =
            placed(&mut clock, &fragment(2), at(14).saturating_add(Duration::from_millis(900)));
        assert_eq!((second.start, second.moved), (at(12), false));
        assert_eq!(second.uncertainty, seconds(3));
    }

    #[test]
    fn what_came_in_one_file_began_as_much_earlier_as_it_waited_for_the_rest() {
        let mut clock = WallClock::new(None);
        let first = clock.place(&fragment(0), at(16), seconds(4));
        assert_eq!((first.start, first.uncertainty), (at(10), seconds(7)));
        let last = clock.place(&fragment(4), at(16), Duration::ZERO);
        assert_eq!((last.start, last.moved), (at(14), false));
    }

    #[test]
    fn a_pause_moves_what_follows() {
        let mut clock = WallClock::new(None);
        placed(&mut clock, &fragment(0), at(12));
        let late = placed(&mut clock, &fragment(2), at(74));
        assert_eq!((late.start, late.moved), (at(72), true));
        assert_eq!(placed(&mut clock, &fragment(4), at(76)).start, at(74));
    }

    #[test]
    fn a_stream_faster_than_life_does_not_lie_on_top_of_itself() {
        let mut clock = WallClock::new(None);
        for n in 0..10 {
            let place = placed(&mut clock, &fragment(2 * n), at(12));
            assert_eq!((place.start, place.moved), (at(10 + 2 * n), false));
        }
    }

    #[test]
    fn the_encoders_own_time_counts_where_it_is_earlier() {
        let mut clock = WallClock::new(None);
        let late = Fragment { produced: Some(at(7)), ..fragment(0) };
        assert_eq!(placed(&mut clock, &late, at(12)).start, at(7));
        let mut clock = WallClock::new(None);
        let written = Fragment { produced: Some(at(12)), ..fragment(0) };
        assert_eq!(placed(&mut clock, &written, at(12)).start, at(10));
    }

    #[test]
    fn media_time_from_1970_may_step_back() {
        let mut clock = WallClock::new(None);
        placed(&mut clock, &Fragment { epoch: Some(at(100)), ..fragment(0) }, at(500));
        let back = placed(&mut clock, &Fragment { epoch: Some(at(50)), ..fragment(2) }, at(502));
        assert_eq!((back.start, back.moved), (at(50), true));
    }

    #[test]
    fn a_new_stream_does_not_begin_where_the_old_one_was_told_to() {
        let mut clock = WallClock::new(Some(at(0)));
        clock.restart();
        assert_eq!(placed(&mut clock, &fragment(0), at(500)).start, at(0));
        clock.restart();
        assert_eq!(placed(&mut clock, &fragment(0), at(500)).start, at(498));
    }
}
