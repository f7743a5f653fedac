//! Answers at set times: how long something took does not say what was found.
//!
//! Taking in a request that matches cameras places holds, and one that matches none does not: the
//! first takes longer. So what an agency is told leaves at a multiple of one step after it asked,
//! whatever it took; the step is longer than taking in takes on a disk that is not in trouble.

use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::super::app::App;

/// Does `work`, and answers at the first step after its end.
pub(super) async fn paced<T>(app: &App, work: impl Future<Output = T>) -> T {
    in_steps(Duration::from_millis(app.config().requests.answer_ms), work).await
}

async fn in_steps<T>(step: Duration, work: impl Future<Output = T>) -> T {
    if step.is_zero() {
        return work.await;
    }
    let mut steps = tokio::time::interval(step);
    steps.set_missed_tick_behavior(MissedTickBehavior::Skip);
    // The first one is now.
    steps.tick().await;
    let answer = work.await;
    // Those that passed meanwhile (skipped, they are one) are over: the next one is to come.
    poll_fn(|context| Poll::Ready(steps.poll_tick(context).is_ready())).await;
    steps.tick().await;
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clock as _, SystemClock};

    /// For how long `work` keeps its asker waiting, at least.
    fn waited(step: Duration, work: Duration) -> Duration {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let before = SystemClock.uptime().since_boot_us;
        runtime.block_on(in_steps(step, async { tokio::time::sleep(work).await }));
        Duration::from_micros(SystemClock.uptime().since_boot_us - before)
    }

    #[test]
    fn no_answer_leaves_before_the_step_after_its_end() {
        let step = Duration::from_millis(40);
        assert!(waited(step, Duration::ZERO) >= step);
        assert!(waited(step, step / 2) >= step);
        assert!(waited(step, step * 3 / 2) >= step * 2);
    }

    #[test]
    fn what_takes_longer_than_a_step_is_done_once_and_answered() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let mut done = 0;
        let answer = runtime.block_on(in_steps(Duration::from_millis(1), async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            done += 1;
            done
        }));
        assert_eq!((answer, done), (1, 1));
    }
}
