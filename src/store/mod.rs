//! The store: the public engine over the layers below.
//!
//! Owns the one [`Inner`] that all clones of a [`Store`] share. The work is in the modules, one
//! noun each; this file has what they share, and the order of the locks:
//!
//! 1. `sweeping`: one sweep (or one making of room) at a time.
//! 2. an appender's leadership (see `log::appender`): writing to one class.
//! 3. `ledger`: every decision; a hold and an expiry are ordered by who takes it first.
//! 4. `history`, then `catalog`: short, never across a write or sync.
//! 5. `time`, `slot`, `problems`, `reuse`: leaves.
//!
//! A leader may take `sweeping` to make room; a sweep therefore never waits for a leader while it
//! has `sweeping` (it seals aged segments before it takes it).

mod ahead;
mod begin;
mod catalog;
mod delete;
mod fold;
mod folder;
mod gate;
mod history;
mod holds;
mod host;
mod inspect;
mod leftovers;
mod lookup;
mod missing;
mod new_partition;
mod open;
mod options;
mod partitions;
mod policy;
mod proof;
mod read;
mod receipt;
mod record;
mod relocate;
mod repair;
mod report;
mod reuse;
mod space;
mod stats;
mod surplus;
mod sweep;
mod threads;
mod time;
mod transaction;
mod turn;
mod unfinished;
mod verify;
#[cfg(all(test, loom))]
mod loom_tests;

pub use options::{Durability, StoreOptions};
pub use policy::PolicyScope;
pub use proof::{ClipProof, LedgerEntry};
pub use read::{ClipReader, Clips};
pub use record::Recorder;
pub use report::{
    CameraStats, Explanation, Fault, HoldReceipt, LedgerLine, MissedRange, MissedReason,
    OpenReport, PartReport, RepairReport, SegmentReport, Stats, SweepReport, VerifyDepth,
    VerifyReport,
};
pub use transaction::{Note, Transaction};
pub use verify::Progress;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::format::entry::{Decision, Entry};
use crate::ledger::Ledger;
use crate::log::{Appender, Fetches, FooterCache, Handles, Leases};
use crate::sync::{Mutex, MutexGuard, RwLock};
use crate::types::{ClassId, Clip, ClipId, Error, ErrorKind, Result, SegmentId, Timestamp};
use crate::vfs::{Lock, Vfs};

use catalog::Catalog;
use history::History;
use leftovers::Leftovers;
use reuse::Reuse;
use threads::Threads;
use time::TimeKeeper;
use turn::Turn;

/// A store of clips: an open folder. Clones share it; it closes when the last one is dropped.
///
/// # Example
///
/// ```
/// use clipkeep::{CameraId, Media, NewClip, NewHold, Store, Window};
///
/// let dir = tempfile::tempdir()?;
/// let store = Store::options().open(dir.path())?;
/// let camera: CameraId = "front-door".parse()?;
/// let window = Window::parse("2026-11-23T18:00:00Z", "2026-11-23T18:00:30Z")?;
///
/// let clip = store.append(NewClip::new(&camera, window), &b"bytes of a clip"[..])?;
/// assert_eq!(store.read(clip.id())?.to_vec()?, b"bytes of a clip");
///
/// let receipt = store.place_hold(NewHold::new([camera.clone()], window).reason("show to Ann"))?;
/// assert_eq!(receipt.clips, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
    /// Stops the threads and saves trusted time when the last clone goes.
    _session: Arc<Session>,
}

/// Everything of an open store.
struct Inner {
    options: StoreOptions,
    vfs: Arc<dyn Vfs>,
    handles: Arc<Handles>,
    /// The store's own id.
    uuid: [u8; 16],
    time: Mutex<TimeKeeper>,
    ledger: Mutex<Ledger>,
    history: RwLock<History>,
    catalog: RwLock<Catalog>,
    footers: FooterCache,
    leases: Arc<Leases>,
    fetches: Arc<Fetches>,
    appenders: Mutex<BTreeMap<ClassId, Arc<Appender>>>,
    leftovers: Arc<Leftovers>,
    next_segment: Mutex<SegmentId>,
    /// The files of dropped segments that are kept for new ones.
    reuse: Mutex<Reuse>,
    sweeping: Turn,
    /// Whether what was overdue at opening has been expired.
    swept: AtomicBool,
    opening: Mutex<OpenReport>,
    /// What went wrong since opening and was survived.
    problems: Mutex<Vec<Error>>,
    /// Held for as long as the store is open, and then for as long as somebody reads in it.
    _lock: Arc<dyn Lock>,
}

/// The life of the store as its owner sees it: from opening to the drop of the last clone.
struct Session {
    inner: Arc<Inner>,
    threads: Threads,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.threads.stop();
        if let Err(error) = self.inner.shut_down() {
            // Nobody is left to tell; `Store::close` is for those who want to know.
            drop(error);
        }
    }
}

impl Store {
    /// The options to open a store with.
    #[must_use]
    pub fn options() -> StoreOptions {
        StoreOptions::default()
    }

    /// Makes everything durable, saves trusted time, and closes the store if this is its last
    /// clone. Dropping a store does the same without a word about errors. The folder stays locked
    /// until the last reader and the last chunk of one is dropped: their bytes stay as they are.
    ///
    /// # Errors
    ///
    /// Why something could not be made durable.
    pub fn close(self) -> Result<()> {
        self.inner.shut_down()
    }

    /// Waits until every segment that is full is sealed, also in the background: whoever measures
    /// recording wants to count that.
    #[cfg(feature = "bench")]
    pub(crate) fn settle(&self) {
        self.inner.settle();
    }

    /// Waits until what sweeps dropped, and is more than is kept, is given back: by the sweeper's
    /// thread, or here where there is none.
    #[cfg(feature = "bench")]
    pub(crate) fn wait_for_room(&self) {
        let has_surplus = || !self.inner.reuse.lock().surplus.is_empty();
        while has_surplus() {
            self.inner.give_back();
            self.inner.leftovers.wait_while(&has_surplus);
        }
    }

    /// What opening the store found and did.
    #[must_use]
    pub fn opening(&self) -> OpenReport {
        self.inner.opening.lock().clone()
    }

    /// What went wrong since the store was opened and was survived: a ledger copy that failed, a
    /// segment abandoned after a failed write, space that could not be given back.
    #[must_use]
    pub fn problems(&self) -> Vec<Error> {
        let mut problems = self.inner.problems.lock().clone();
        problems.extend(self.inner.ledger.lock().problems().iter().cloned());
        problems.extend(self.inner.footers.problems());
        problems.extend(self.inner.catalog.read().timelines.problems());
        problems
    }

    /// The readable clip `id`.
    ///
    /// # Errors
    ///
    /// `NotFound` for an id that was never given; `Expired` when it is expired or deleted;
    /// `Corrupt` when its metadata cannot be read, or its segment was taken away. Of a segment that
    /// was dropped nothing is left to tell which ids were given in it, and all of them answer
    /// `Expired`: to know better would take memory for every segment there ever was.
    pub fn clip(&self, id: ClipId) -> Result<Clip> {
        Ok(self.inner.locate(id)?.clip)
    }

    /// Makes everything written so far durable, whatever the durability.
    ///
    /// # Errors
    ///
    /// Why something could not be made durable.
    pub fn sync(&self) -> Result<()> {
        self.inner.sync()
    }

    /// Seals every open segment that has records, as a sweep does with old ones. For moving the
    /// disk elsewhere, and for tests.
    ///
    /// # Errors
    ///
    /// Why a segment could not be sealed; its clips are safe all the same.
    pub fn seal(&self) -> Result<()> {
        self.inner.check_writable()?;
        let inner = &*self.inner;
        inner.for_all_appenders(|appender| appender.seal(inner, Timestamp::MAX))
    }
}

impl Inner {
    /// Puts decisions on record: durable when it returns.
    fn decide(&self, decisions: Vec<Decision>) -> Result<Vec<Entry>> {
        let mut ledger = self.ledger.lock();
        self.decide_locked(&mut ledger, decisions)
    }

    /// The same for a caller who has the ledger, because what it decides depends on what is on
    /// record. Held across the sync on purpose: a hold and an expiry of the same clip must be one
    /// before the other, and both durable in that order.
    fn decide_locked(
        &self,
        ledger: &mut MutexGuard<'_, Ledger>,
        decisions: Vec<Decision>,
    ) -> Result<Vec<Entry>> {
        if decisions.is_empty() {
            return Ok(Vec::new());
        }
        self.check_writable()?;
        // Whether there is room enough, the appending itself will say.
        self.reserve_for_ledger(ledger).ok();
        let entries = ledger.append(self.now(), decisions)?;
        let mut history = self.history.write();
        for entry in &entries {
            history.apply(entry);
        }
        Ok(entries)
    }

    /// Records what may be lost in a crash because opening finds it out again. An unreadable ledger
    /// takes nothing.
    fn note(&self, decision: Decision) {
        let mut ledger = self.ledger.lock();
        if ledger.unreadable().is_some() {
            return;
        }
        let at = self.now();
        let position = ledger.defer(at, decision.clone());
        let entry = Entry {
            position,
            at,
            previous: [0; 32],
            batch_start: position,
            batch_count: 1,
            decision,
        };
        self.history.write().apply(&entry);
    }

    /// Remembers what went wrong and was survived.
    fn survived(&self, error: Error) {
        /// More than this many say nothing new.
        const PROBLEMS_MAX: usize = 256;
        let mut problems = self.problems.lock();
        if problems.len() < PROBLEMS_MAX {
            problems.push(error);
        }
    }

    fn check_writable(&self) -> Result<()> {
        if self.options.read_only {
            return Err(Error::new(ErrorKind::ReadOnly, "change store: it was opened read-only"));
        }
        Ok(())
    }

    /// Why nothing may be deleted, if so.
    fn deletion_frozen(&self) -> Option<String> {
        self.ledger.lock().unreadable().map(str::to_owned)
    }

    fn all_appenders(&self) -> Vec<Arc<Appender>> {
        self.appenders.lock().values().cloned().collect()
    }

    fn appender(&self, class: ClassId) -> Arc<Appender> {
        let mut appenders = self.appenders.lock();
        Arc::clone(appenders.entry(class).or_insert_with(|| Arc::new(Appender::new(class))))
    }

    fn locate(&self, id: ClipId) -> Result<catalog::Located> {
        let newest = self.newest_segment();
        self.catalog.read().clip(&self.footers, id, newest)
    }

    /// The highest segment id ever used.
    fn newest_segment(&self) -> Option<SegmentId> {
        self.next_segment.lock().0.checked_sub(1).map(SegmentId)
    }

    /// Waits until every segment that is full is sealed.
    #[cfg(feature = "bench")]
    fn settle(&self) {
        self.all_appenders().iter().for_each(|appender| appender.settle());
    }

    fn sync(&self) -> Result<()> {
        self.check_writable()?;
        self.for_all_appenders(|appender| appender.sync(self))
    }

    /// Runs `act` for every appender and makes the ledger durable, all of it whatever fails: one
    /// class that cannot be written costs the others nothing. Answers the first error.
    fn for_all_appenders(&self, act: impl Fn(&Appender) -> Result<()>) -> Result<()> {
        let outcomes: Vec<Result<()>> =
            self.all_appenders().iter().map(|appender| act(appender)).collect();
        let flushed = self.flush_ledger();
        outcomes.into_iter().chain([flushed]).collect()
    }

    /// Makes deferred entries durable. An unreadable ledger has none: recording goes on without.
    fn flush_ledger(&self) -> Result<()> {
        let mut ledger = self.ledger.lock();
        if ledger.unreadable().is_some() { Ok(()) } else { ledger.flush() }
    }

    /// What closing does; safe to do twice.
    fn shut_down(&self) -> Result<()> {
        if self.options.read_only {
            return Ok(());
        }
        let synced = self.sync().and_then(|()| {
            self.note_durable();
            self.flush_ledger()
        });
        if synced.is_ok() && self.deletion_frozen().is_none() {
            let sweeping = self.sweeping.lock();
            self.keep_partitions();
            drop(sweeping);
        }
        self.save_time().and(synced)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("vfs", &self.inner.vfs).finish_non_exhaustive()
    }
}
