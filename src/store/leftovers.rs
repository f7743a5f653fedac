//! What leaders have left over for the sweeper's thread: the seals of full segments, and room that
//! is to be given back (see `surplus`).
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
    thread: Thread,
    /// There is room to give back that the thread has not heard of.
    has_surplus: bool,
    stops: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Thread {
    #[default]
    None,
    /// It sweeps, or is about to, or to stop.
    Sweeps,
    /// It takes what is left.
    Waits,
}

/// What the thread is to do next.
pub(super) enum Next {
    Finish(ClassId, Leftover),
    /// A step of giving room back: see `surplus`.
    GiveBack,
    Sweep,
    Stop,
}

impl Leftovers {
    /// Leaves `leftover` of a leader of `class` to the thread, or gives it back.
    pub(super) fn put(&self, class: ClassId, leftover: Leftover) -> Option<Leftover> {
        let mut state = self.state.lock();
        if state.thread != Thread::Waits || state.waiting.len() >= WAITING_MAX {
            return Some(leftover);
        }
        state.waiting.push_back((class, leftover));
        self.changed.notify_all();
        None
    }

    /// There is a thread from now on, until it ends.
    pub(super) fn begin(&self) {
        self.state.lock().thread = Thread::Sweeps;
    }

    /// Tells the thread that there is room to give back; whether there is a thread.
    pub(super) fn note_surplus(&self) -> bool {
        let mut state = self.state.lock();
        state.has_surplus = true;
        self.changed.notify_all();
        state.thread != Thread::None
    }

    /// Waits while the thread has something to do that `goes_on`; not at all where there is none.
    #[cfg(feature = "bench")]
    pub(super) fn wait_while(&self, goes_on: &dyn Fn() -> bool) {
        const LOOK_EVERY: Duration = Duration::from_millis(20);
        let mut state = self.state.lock();
        while state.thread != Thread::None && goes_on() {
            self.changed.wait_for(&mut state, LOOK_EVERY);
        }
    }

    /// Waits until something was left, or it is time to give room back or for a sweep.
    pub(super) fn next(&self, sweep_at: Duration, step_at: Option<Duration>) -> Next {
        let mut state = self.state.lock();
        loop {
            let now = monotonic();
            let left = sweep_at.saturating_sub(now);
            // When it is time for a sweep nothing more is taken: there is an end to what waits.
            let waits = !state.stops && !left.is_zero();
            state.thread = if waits { Thread::Waits } else { Thread::Sweeps };
            if let Some((class, leftover)) = state.waiting.pop_front() {
                return Next::Finish(class, leftover);
            }
            if state.stops {
                return Next::Stop;
            }
            if left.is_zero() {
                return Next::Sweep;
            }
            let step_in = step_at.map_or(left, |at| at.saturating_sub(now));
            if std::mem::take(&mut state.has_surplus) || step_in.is_zero() {
                return Next::GiveBack;
            }
            self.changed.wait_for(&mut state, left.min(step_in));
        }
    }

    /// The thread ends, and takes nothing more. Answers what it has not done: nothing, unless a bug
    /// of ours ended it.
    pub(super) fn end(&self) -> VecDeque<(ClassId, Leftover)> {
        let mut state = self.state.lock();
        state.thread = Thread::None;
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

    fn next(leftovers: &Leftovers, sweep_in: Duration) -> Next {
        leftovers.next(monotonic() + sweep_in, None)
    }

    fn class_of(next: &Next) -> Option<u16> {
        if let Next::Finish(class, _) = next { Some(class.0) } else { None }
    }

    /// Those of a thread that waits for its next sweep.
    fn waited_for(leftovers: &Leftovers) {
        leftovers.state.lock().thread = Thread::Waits;
    }

    #[test]
    fn nobody_takes_what_is_left_but_a_thread_that_waits() {
        let leftovers = Leftovers::default();
        assert!(!put(&leftovers, 1), "there is no thread");
        waited_for(&leftovers);
        assert!(put(&leftovers, 2));
        assert_eq!(class_of(&next(&leftovers, HOUR)), Some(2));
        assert!(put(&leftovers, 3), "it comes back for more");
        assert_eq!(class_of(&next(&leftovers, Duration::ZERO)), Some(3));
        assert!(!put(&leftovers, 4), "or sweeps would be put off");
        assert!(matches!(next(&leftovers, Duration::ZERO), Next::Sweep));
        assert!(!put(&leftovers, 4), "it sweeps, and would wait for itself");
    }

    #[test]
    fn room_is_given_back_when_there_is_some_and_after_a_pause() {
        let leftovers = Leftovers::default();
        assert!(!leftovers.note_surplus(), "there is no thread");
        leftovers.begin();
        assert!(matches!(next(&leftovers, HOUR), Next::GiveBack), "it was noted");
        assert!(leftovers.note_surplus() && put(&leftovers, 1));
        assert_eq!(class_of(&next(&leftovers, HOUR)), Some(1), "whoever records comes first");
        assert!(matches!(next(&leftovers, Duration::ZERO), Next::Sweep), "and sweeps do");
        assert!(matches!(next(&leftovers, HOUR), Next::GiveBack));
        let (began, pause) = (monotonic(), Duration::from_millis(5));
        let paused = leftovers.next(began + HOUR, Some(began + pause));
        assert!(matches!(paused, Next::GiveBack) && monotonic() >= began + pause);
        leftovers.end();
        assert!(!leftovers.note_surplus());
    }

    #[test]
    fn what_is_left_before_the_end_is_done_and_nothing_is_taken_after_it() {
        let leftovers = Leftovers::default();
        waited_for(&leftovers);
        assert!(put(&leftovers, 1) && put(&leftovers, 2));
        assert!(!put(&leftovers, 3), "too much for one thread");
        leftovers.stop();
        assert_eq!(class_of(&next(&leftovers, HOUR)), Some(1));
        assert_eq!(class_of(&next(&leftovers, HOUR)), Some(2));
        assert!(matches!(next(&leftovers, HOUR), Next::Stop));
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
            let thread = scope.spawn(|| class_of(&next(&leftovers, HOUR)));
            while !put(&leftovers, 7) {
                std::thread::yield_now();
            }
            assert_eq!(thread.join().unwrap(), Some(7));
        });
    }
}
