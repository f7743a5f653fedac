//! The folder of a store: its lock, its STORE file, and making a new one.
//!
//! What comes before recovery. Makes a store only where nothing else is.

use std::io;
use std::sync::Arc;

use crate::barrier::Barrier;
use crate::format::entry::Decision;
use crate::format::name;
use crate::format::slot::{STORE_BYTES, StoreSlot};
use crate::format::{BLOCK_BYTES, Damage};
use crate::ledger::Ledger;
use crate::retention::TrustedTime;
use crate::types::{ClassId, Error, ErrorKind, Result};
use crate::vfs::{Lock, Vfs};

use super::time::TimeKeeper;
use super::{OpenReport, StoreOptions, policy};

/// The STORE file while it is being made.
const STORE_NEW: &str = "STORE.new";

/// Whether a folder with these names has a store: its STORE file comes last.
fn has_store(names: &[String]) -> bool {
    names.iter().any(|name| name == name::STORE)
}

/// Makes the names durable that a process that was killed may have left in memory: STORE, and
/// segments, which come from `spare/`. What is acknowledged from now on must not hang on a name
/// that a power cut takes back, nor may a file that is gone be noted as dropped and then come back.
/// Answers what is in the folder of segments then.
pub(super) fn keep_names(vfs: &dyn Vfs) -> Result<Vec<String>> {
    let dirs = ["", name::SEGMENTS, name::SPARE];
    let synced = Barrier::FoundNamesSync.sync(|| vfs.sync_dirs(&dirs));
    let names = synced.and_then(|()| vfs.list(name::SEGMENTS));
    names.map_err(|error| Error::io("sync or list folders", &vfs.display_path(""), error))
}

/// The first step of opening: before there is a store to speak of.
pub(super) struct Opener<'a> {
    pub(super) options: &'a StoreOptions,
    pub(super) vfs: &'a dyn Vfs,
}

impl Opener<'_> {
    fn io(&self, operation: &str, name: &str, error: io::Error) -> Error {
        Error::io(operation, &self.vfs.display_path(name), error)
    }

    /// Locks the folder, and makes the store if there is none.
    ///
    /// What is there counts only as seen with the lock in hand: until then another process may be
    /// making the store, and be done and gone before the lock is ours.
    pub(super) fn prepare_folder(&self, report: &mut OpenReport) -> Result<Box<dyn Lock>> {
        let names = self.names()?;
        if !has_store(&names) {
            if !self.options.create || self.options.read_only {
                return Err(self.no_store());
            }
            self.check_empty(&names)?;
            self.vfs.create_dir("").map_err(|error| self.io("make store", "", error))?;
        }
        let lock = self.vfs.lock(name::LOCK, !self.options.read_only).map_err(|error| {
            if error.kind() == io::ErrorKind::WouldBlock {
                self.locked()
            } else {
                self.io("lock store", name::LOCK, error)
            }
        })?;
        let names = self.names()?;
        if !has_store(&names) {
            self.check_empty(&names)?;
            self.make_store()?;
            report.created = true;
        }
        Ok(lock)
    }

    /// What is in the folder; nothing, if it is not there.
    fn names(&self) -> Result<Vec<String>> {
        match self.vfs.list("") {
            Ok(names) => Ok(names),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(self.io("open store", "", error)),
        }
    }

    /// There is no store, or it is just being made.
    fn no_store(&self) -> Error {
        if self.vfs.lock_holder(name::LOCK).is_some() {
            return self.locked();
        }
        let error = Error::new(ErrorKind::NotFound, "open store: there is none in this folder");
        error.at(&self.vfs.display_path(""))
    }

    fn locked(&self) -> Error {
        let holder = self.vfs.lock_holder(name::LOCK);
        let message = match holder {
            Some(pid) if pid == std::process::id() => {
                "open store: this process has it open, with a \
                 store, recorder or reader that is not dropped yet"
                    .to_owned()
            }
            Some(pid) => format!("open store: another process has it open (process {pid})"),
            None => "open store: another process has it open".to_owned(),
        };
        Error::new(ErrorKind::Locked, message).at(&self.vfs.display_path(name::LOCK))
    }

    /// A new store is made only where nothing else is, so that a wrong path does no harm.
    fn check_empty(&self, names: &[String]) -> Result<()> {
        const OURS: [&str; 6] = [name::LOCK, STORE_NEW, "index/", "ledger/", "segments/", "spare/"];
        let foreign =
            names.iter().find(|name| !OURS.contains(&name.as_str()) && *name != "lost+found/");
        foreign.map_or(Ok(()), |name| {
            let message = format!("make store: the folder is not empty, it has {name:?}");
            Err(Error::invalid(message).at(&self.vfs.display_path("")))
        })
    }

    /// Makes a store. Its STORE file comes last: a crash before leaves none, and the next opening
    /// begins again.
    fn make_store(&self) -> Result<()> {
        let mut uuid = [0; 16];
        let fail = |error| self.io("make store", "", error);
        self.vfs.random(&mut uuid).map_err(fail)?;
        for dir in [name::SEGMENTS, name::SPARE] {
            let made = self.vfs.create_dir(dir);
            made.and_then(|()| Barrier::FoldersSync.sync(|| self.vfs.sync_dir(dir)))
                .map_err(fail)?;
        }
        let clock = &self.options.clock;
        let (now, uptime) = (clock.wall(), clock.uptime());
        let vfs = self.options.vfs.clone();
        let vfs = vfs.ok_or_else(|| Error::invalid("make store: no file system"))?;
        let class = ClassId(0);
        let retention = self.options.retention.unwrap_or_default();
        let defaults = vec![
            policy::class_set(class, retention),
            Decision::CameraClass { camera: None, class },
        ];
        // One batch with the ledger itself: a crash before STORE is there leaves what the next try
        // knows to be of no store.
        let ledger = Ledger::create(vfs, uuid, now, defaults)?;
        let slot = StoreSlot {
            store: uuid,
            generation: 0,
            created: now,
            high_water: now,
            boot_id: uptime.boot_id,
            since_boot_us: uptime.since_boot_us,
            wall: now,
            ledger_position: ledger.durable_position(),
            ledger_first: 0,
            ledger_repair: 0,
            lag_since: None,
        };
        match self.vfs.remove(STORE_NEW) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail(error)),
            _ => {}
        }
        let file = self.vfs.create(STORE_NEW, STORE_BYTES).map_err(fail)?;
        file.write_at(StoreSlot::offset(slot.generation), &[&slot.encode()])
            .and_then(|()| Barrier::StoreFileSync.sync(|| file.sync()))
            .and_then(|()| self.vfs.rename(STORE_NEW, name::STORE))
            .and_then(|()| Barrier::StoreNameSync.sync(|| self.vfs.sync_dir("")))
            .map_err(fail)
    }

    /// Reads the STORE file and takes trusted time up from it.
    pub(super) fn open_time(&self) -> Result<TimeKeeper> {
        let path = self.vfs.display_path(name::STORE);
        let fail = |error| Error::io("open store", &path, error);
        let file = self.vfs.open(name::STORE, !self.options.read_only).map_err(fail)?;
        let mut slots = Vec::new();
        for generation in 0..2 {
            let mut slot = vec![0; usize::try_from(BLOCK_BYTES).unwrap_or(0)];
            // A slot that cannot be read is like one that was torn: the other one counts.
            if file.read_at(StoreSlot::offset(generation), &mut slot).is_err() {
                slot.fill(0);
            }
            slots.extend(slot);
        }
        let slot = StoreSlot::newest(&slots).map_err(|damage| match damage {
            Damage::Version(version) => Error::new(
                ErrorKind::Unsupported,
                format!("open store: it is of version {version}, which this build does not know"),
            )
            .at(&path),
            damage => {
                Error::corrupt("open store: neither slot can be read").at(&path).caused_by(damage)
            }
        })?;
        let clock = Arc::clone(&self.options.clock);
        let trusted = TrustedTime::resume(
            (slot.high_water, slot.lag_since.unwrap_or(slot.high_water)),
            slot.boot_id,
            slot.since_boot_us,
            slot.wall,
            self.options.clock_step_max,
            clock.wall(),
            clock.uptime(),
        );
        let file = (!self.options.read_only).then_some(file);
        Ok(TimeKeeper { clock, trusted, slot, file })
    }
}
