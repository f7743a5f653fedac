//! Threads that append clips all at once, as cameras do: kept from one group to the next, so that
//! what is measured is the store and not the making of threads.

use std::fmt;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use parking_lot::Mutex;

use super::Outcome;
use crate::{NewClip, Result, Store};

/// A clip to append, and whom to tell when it is durable.
type Job = (Store, NewClip, Bytes, Sender<Result<()>>);

/// As many threads as the largest group had clips.
#[derive(Default)]
pub(super) struct Writers(Mutex<Vec<Writer>>);

struct Writer {
    /// `None` only when it ends.
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writers {
    /// Appends all of `clips` to `store`, each by a thread of its own, and waits for all, also when
    /// one of them fails: whoever is told of it may close the store.
    ///
    /// # Errors
    ///
    /// The store's, one of them; when a thread panicked, or there is none to be had.
    pub(super) fn append(
        &self,
        store: &Store,
        clips: impl ExactSizeIterator<Item = (NewClip, Bytes)>,
    ) -> Outcome<()> {
        let mut writers = self.0.lock();
        while writers.len() < clips.len() {
            writers.push(Writer::start()?);
        }
        let count = clips.len();
        let (tell, told) = channel();
        for (writer, (clip, bytes)) in writers.iter().zip(clips) {
            writer.append((store.clone(), clip, bytes, tell.clone()));
        }
        drop(tell);
        let results: Vec<Result<()>> = told.iter().collect();
        // Who panics tells nothing.
        let panicked = results.len() < count;
        results.into_iter().collect::<Result<()>>()?;
        if panicked { Err("a thread that appends panicked".into()) } else { Ok(()) }
    }
}

impl Writer {
    fn start() -> Outcome<Self> {
        let (jobs, mine) = channel::<Job>();
        let thread = thread::Builder::new().name("writer".into()).spawn(move || {
            for (store, clip, bytes, tell) in mine {
                let appended = store.append(clip, bytes).map(drop);
                // Whoever waits may close the store.
                drop(store);
                tell.send(appended).ok();
            }
        })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    fn append(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            jobs.send(job).ok();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        self.thread.take().map(JoinHandle::join);
    }
}

impl fmt::Debug for Writers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writers").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::vfs::sim::SimVfs;
    use crate::{Clock, ErrorKind, ManualClock, Timestamp, Uptime, Window};

    /// Panics once in a thread that appends, when it is told to.
    #[derive(Clone, Debug)]
    struct Panicking {
        clock: ManualClock,
        is_armed: Arc<AtomicBool>,
    }

    impl Clock for Panicking {
        fn wall(&self) -> Timestamp {
            let is_writer = thread::current().name() == Some("writer");
            assert!(!is_writer || !self.is_armed.swap(false, Ordering::Relaxed), "as it should");
            self.clock.wall()
        }

        fn uptime(&self) -> Uptime {
            self.clock.uptime()
        }
    }

    fn store_with(disk: &SimVfs) -> (Store, Panicking) {
        let clock = ManualClock::at(Timestamp::EPOCH);
        let clock = Panicking { clock, is_armed: Arc::default() };
        let options = Store::options().segment_bytes(4 << 20).vfs(disk.clone());
        (options.clock(clock.clone()).open("sim").unwrap(), clock)
    }

    fn all() -> Window {
        Window::starting(Timestamp::EPOCH, Duration::from_mins(1)).unwrap()
    }

    /// Clips of as many bytes each, of a camera each.
    fn clips(lens: &[usize]) -> Vec<(NewClip, Bytes)> {
        let clips = lens.iter().enumerate().map(|(number, len)| {
            let camera = format!("camera-{number}").parse().unwrap();
            (NewClip::new(&camera, all()), Bytes::from(vec![7; *len]))
        });
        clips.collect()
    }

    /// How many clips there are once nobody appends.
    fn count(store: &Store) -> usize {
        let of = |camera| store.clips(camera, all()).unwrap().count();
        store.cameras().iter().map(of).sum()
    }

    #[test]
    fn an_error_of_one_thread_is_told_when_all_the_others_have_appended() {
        let disk = SimVfs::new(1);
        let (store, _) = store_with(&disk);
        let writers = Writers::default();
        // There is no clip without bytes; the others take longer.
        let error =
            writers.append(&store, clips(&[0, 2_000_000, 2_000_000]).into_iter()).unwrap_err();
        let error = error.downcast::<crate::Error>().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(count(&store), 2);
        writers.append(&store, clips(&[9, 9, 9, 9]).into_iter()).unwrap();
        assert_eq!(count(&store), 6, "the same threads go on");
        drop(store);
        assert_eq!(count(&store_with(&disk).0), 6, "none of them has it open");
    }

    #[test]
    fn a_thread_that_panics_is_told_and_nobody_waits_for_it() {
        let disk = SimVfs::new(1);
        let (store, clock) = store_with(&disk);
        let writers = Writers::default();
        writers.append(&store, clips(&[9, 9, 9]).into_iter()).unwrap();
        clock.is_armed.store(true, Ordering::Relaxed);
        for when in ["at once", "nor later, when it is gone"] {
            let error = writers.append(&store, clips(&[9, 9, 9]).into_iter()).unwrap_err();
            assert!(error.to_string().contains("panicked"), "{when}: {error}");
        }
        assert_eq!(count(&store), 3 + 2 + 2, "the others appended");
        drop(writers);
    }
}
