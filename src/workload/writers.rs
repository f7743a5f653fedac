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
    /// Appends all of `clips` to `store`, each by a thread of its own, and waits for all.
    ///
    /// # Errors
    ///
    /// The store's; when there is no thread to be had.
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
        let mut appended = 0;
        for result in told {
            result?;
            appended += 1;
        }
        // Who panics tells nothing.
        if appended == count { Ok(()) } else { Err("a thread that appends panicked".into()) }
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
