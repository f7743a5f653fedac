//! What leaders have left over for the sweeper's thread: the seals of full segments.
//!
//! That thread takes them while it waits for its next sweep. While it sweeps it takes none, and
//! leaders do it themselves, as they do where there is no such thread: a sweep waits for the seals
//! of what was full, and would wait for itself.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::log::Leftover;
use crate::types::{ClassId, monotonic};

/// Whoever fills segments faster than they are sealed seals them.
const WAITING_MAX: usize = 2;

#[derive(Debug, Default)]
pub(super) struct Leftovers {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<(ClassId, Leftover)>,
    /// The thread is there, and does not sweep.
    is_taken: bool,
    stops: bool,
}

/// What the thread is to do next.
pub(super) enum Next {
    Finish(ClassId, Leftover),
    Sweep,
    Stop,
}

impl Leftovers {
    /// Leaves `leftover` of a leader of `class` to the thread, or gives it back.
    pub(super) fn put(&self, class: ClassId, leftover: Leftover) -> Option<Leftover> {
        let mut state = self.state.lock();
        if !state.is_taken || state.waiting.len() >= WAITING_MAX {
            return Some(leftover);
        }
        state.waiting.push_back((class, leftover));
        self.changed.notify_all();
        None
    }

    /// Waits until something was left, or it is time for a sweep, `interval` after `slept`.
    pub(super) fn next(&self, slept: Duration, interval: Duration) -> Next {
        let mut state = self.state.lock();
        loop {
            let left = slept.saturating_add(interval).saturating_sub(monotonic());
            // When it is time for a sweep nothing more is taken: there is an end to what waits.
            state.is_taken = !state.stops && !left.is_zero();
            if let Some((class, leftover)) = state.waiting.pop_front() {
                return Next::Finish(class, leftover);
            }
            if state.stops {
                return Next::Stop;
            }
            if left.is_zero() {
                return Next::Sweep;
            }
            self.changed.wait_for(&mut state, left);
        }
    }

    /// The thread ends, and takes nothing more. Answers what it has not done: nothing, unless a bug
    /// of ours ended it.
    pub(super) fn end(&self) -> VecDeque<(ClassId, Leftover)> {
        let mut state = self.state.lock();
        state.is_taken = false;
        std::mem::take(&mut state.waiting)
    }

    /// Has the thread do what was left, and stop.
    pub(super) fn stop(&self) {
        self.state.lock().stops = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn put(leftovers: &Leftovers, class: u16) -> bool {
        leftovers.put(ClassId(class), Leftover::default()).is_none()
    }

    fn class_of(next: &Next) -> Option<u16> {
        if let Next::Finish(class, _) = next { Some(class.0) } else { None }
    }

    /// Those of a thread that waits for its next sweep.
    fn waited_for(leftovers: &Leftovers) {
        leftovers.state.lock().is_taken = true;
    }

    #[test]
    fn nobody_takes_what_is_left_but_a_thread_that_waits() {
        let leftovers = Leftovers::default();
        assert!(!put(&leftovers, 1), "there is no thread");
        waited_for(&leftovers);
        assert!(put(&leftovers, 2));
        assert_eq!(class_of(&leftovers.next(monotonic(), HOUR)), Some(2));
        assert!(put(&leftovers, 3), "it comes back for more");
        assert_eq!(class_of(&leftovers.next(monotonic(), Duration::ZERO)), Some(3));
        assert!(!put(&leftovers, 4), "or sweeps would be put off");
        assert!(matches!(leftovers.next(monotonic(), Duration::ZERO), Next::Sweep));
        assert!(!put(&leftovers, 4), "it sweeps, and would wait for itself");
    }

    #[test]
    fn what_is_left_before_the_end_is_done_and_nothing_is_taken_after_it() {
        let leftovers = Leftovers::default();
        waited_for(&leftovers);
        assert!(put(&leftovers, 1) && put(&leftovers, 2));
        assert!(!put(&leftovers, 3), "too much for one thread");
        leftovers.stop();
        assert_eq!(class_of(&leftovers.next(monotonic(), HOUR)), Some(1));
        assert_eq!(class_of(&leftovers.next(monotonic(), HOUR)), Some(2));
        assert!(matches!(leftovers.next(monotonic(), HOUR), Next::Stop));
        assert!(!put(&leftovers, 4));
        waited_for(&leftovers);
        assert!(put(&leftovers, 5));
        assert_eq!(leftovers.end().len(), 1, "it ended otherwise");
        assert!(!put(&leftovers, 6));
    }

    #[test]
    fn a_thread_that_waits_is_woken_by_what_is_left() {
        let leftovers = Leftovers::default();
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| class_of(&leftovers.next(monotonic(), HOUR)));
            while !put(&leftovers, 7) {
                std::thread::yield_now();
            }
            assert_eq!(thread.join().unwrap(), Some(7));
        });
    }
}
