//! Opening a store: making a new one, and recovering one that was closed or cut off.
//!
//! Recovery never cuts a file short, needs no new space, and can be cut off itself at any point:
//! what it has done is found done, the rest is done again. Damage is reported and left alone.
//!
//! 1. Lock, STORE slots, trusted time.
//! 2. The ledger is replayed; one damaged copy is repaired from the other.
//! 3. Every segment is opened: sealed ones by their row of the index or else by trailer and footer,
//!    the others by a scan. What the scan found torn does not count, and is told.
//! 4. What the ledger says is gone is taken off the catalog.
//! 5. The newest open segment of each class is written to again, once what is torn in it is wiped,
//!    so that no later scan can find it; the other open ones are sealed. What nothing says is
//!    durable is written again first.
//! 6. Half-done drops are finished: held clips moved, files removed, bytes erased.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;
use std::io;
use std::sync::Arc;

use crate::barrier::Barrier;
use crate::format::name::{self, SpareName};
use crate::ledger::Replay;
use crate::log::{
    FoundSegment, Known, Opened, Scan, Segment, seal_segment, sync_found_seal, wipe_and_sync,
    write_tail_again,
};
use crate::retention::TrustedTime;
use crate::types::{ClassId, ClipId, Error, ErrorKind, Result, SegmentId, Timestamp};
use crate::vfs::Vfs;

use super::ahead::{Ahead, FoundFiles};
use super::folder::Opener;
use super::gate::Removal;
use super::host::sealed_entry;
use super::missing::dropped;
use super::partitions::FoundRows;
use super::sweep::emptied;
use super::threads::Threads;
use super::unfinished::Unfinished;
use super::{Inner, OpenReport, Session, Store, StoreOptions, SweepReport};

impl Store {
    pub(super) fn open_with(options: StoreOptions, vfs: Arc<dyn Vfs>) -> Result<Self> {
        let mut report = OpenReport::default();
        let started = options.clock.uptime();
        let opener = Opener { options: &options, vfs: &*vfs };
        let lock = Arc::from(opener.prepare_folder(&mut report)?);
        let time = opener.open_time()?;
        let is_found = !report.created && !options.read_only;
        let disk = Arc::clone(&vfs);
        let ahead = Ahead::of(&*disk, time.slot.store);
        let (mut parts, mut read) = (Some((options, vfs, lock, time)), None);
        let mut begin = || {
            if let Some((options, vfs, lock, time)) = parts.take() {
                read = Some(Inner::begin(options, vfs, lock, time, &mut report));
            }
            ahead.read_heads();
        };
        let found = if is_found {
            ahead.find(&mut begin)?
        } else {
            begin();
            FoundFiles::default()
        };
        let Some(inner) = read else { unreachable!("it was begun") };
        let inner = inner?;
        let rows = FoundRows::of(ahead.into_heads(), &inner, &mut report)?;
        let recovery = Recovery { inner: &inner, writable: !inner.options.read_only };
        recovery.run(rows, found, &mut report)?;
        report.took = inner.since(started);
        *inner.opening.lock() = report;
        let threads = Threads::start(&inner)?;
        let session = Arc::new(Session { inner: Arc::clone(&inner), threads });
        Ok(Self { inner, _session: session })
    }
}

impl OpenReport {
    pub(super) fn take_replay(&mut self, replay: Replay) {
        self.repairs.extend(replay.repairs);
        self.problems.extend(replay.problems);
        self.deletion_frozen = replay.unreadable;
    }
}

/// Steps 3 to 6.
struct Recovery<'a> {
    inner: &'a Arc<Inner>,
    writable: bool,
}

/// A segment that was found open, with its scan.
pub(super) struct Unsealed {
    pub(super) segment: Arc<Segment>,
    pub(super) scan: Scan,
}

impl Recovery<'_> {
    fn run(
        &self,
        mut rows: FoundRows,
        mut found: FoundFiles,
        report: &mut OpenReport,
    ) -> Result<()> {
        self.forget_unfinished_repair()?;
        let mut unfinished = Unfinished::default();
        let names = found.names.take().map_or_else(|| self.list_segments(), Ok)?;
        let mut unsealed =
            self.open_segments((names, found), &mut rows, &mut unfinished, report)?;
        rows.settle(self.inner);
        self.never_back_in_time();
        self.note_missing(report);
        self.take_off_what_is_gone(&rows, report)?;
        self.inner.drop_unfinished(&unfinished, &mut unsealed, report)?;
        if self.writable {
            // First: no drop is put on record of what is in `spare/` with its bytes.
            self.clean_spare(report)?;
            self.put_on_record(report);
            self.settle_unsealed(unsealed, report)?;
            if self.inner.deletion_frozen().is_none() {
                self.finish(report)?;
            }
            self.inner.keep_reserve();
            self.inner.save_time_at_opening()?;
        } else {
            self.count_scans(&unsealed, report);
        }
        Ok(())
    }

    /// A ledger that can be read again has removed the files of a repair that never counted, and
    /// will use their numbers.
    fn forget_unfinished_repair(&self) -> Result<()> {
        let inner = self.inner;
        let unfinished = inner.time.lock().slot.ledger_repair != 0;
        if unfinished && self.writable && inner.deletion_frozen().is_none() {
            inner.write_slot(|slot| slot.ledger_repair = 0)?;
        }
        Ok(())
    }

    /// A footer that is not what its trailer says is damage only if the seal is on record.
    fn tell_of_footer(&self, segment: SegmentId, error: Error, report: &mut OpenReport) {
        if self.inner.history.read().sealed.contains_key(&segment) {
            report.problems.push(error);
        } else {
            report.repairs.push(format!("segment {segment}: its seal was cut off, scanned it"));
        }
    }

    fn list_segments(&self) -> Result<Vec<String>> {
        let names = self.inner.vfs.list(name::SEGMENTS);
        names.map_err(|error| self.inner.io("list segments", name::SEGMENTS, error))
    }

    /// Opens every file in the segments folder whose name is one of ours, oldest first, and puts
    /// each into the catalog before the next: no more footers are in memory than the cache keeps.
    fn open_segments(
        &self,
        (names, mut files): (Vec<String>, FoundFiles),
        rows: &mut FoundRows,
        unfinished: &mut Unfinished,
        report: &mut OpenReport,
    ) -> Result<Vec<Unsealed>> {
        let inner = self.inner;
        let vfs = &inner.vfs;
        let mut ids = Vec::new();
        for found in names {
            match name::parse_segment(&found) {
                Some((class, id)) => ids.push((id, class)),
                None => report.problems.push(
                    Error::new(ErrorKind::Unsupported, "open store: unknown file, left alone")
                        .at(&vfs.display_path(&format!("{}/{found}", name::SEGMENTS))),
                ),
            }
        }
        ids.sort_unstable();
        let newest = ids.last().map(|(id, _)| *id).max(inner.history.read().newest_segment);
        *inner.next_segment.lock() = inner.segment_after(newest);
        let mut unsealed = Vec::new();
        for (id, class) in ids {
            if rows.shelve(inner, (id, class), unfinished) {
                continue;
            }
            let known = self.known_of(id);
            let found = files.take((class, id)).unwrap_or_else(|| {
                FoundSegment::read(&**vfs, (class, id), &inner.uuid, self.writable)
            });
            match found.and_then(|found| found.open(&inner.handles, known)) {
                Ok(opened) => unsealed.extend(self.take_in(opened, rows, unfinished, report)?),
                Err(error) if error.kind() == ErrorKind::Unsupported => return Err(error),
                // It says nothing of the segment, and would be said of all that follow.
                Err(error) if is_out_of_files(&error) => return Err(error),
                Err(error) => {
                    inner.catalog.write().unopened.insert(id);
                    report.problems.push(error);
                }
            }
        }
        Ok(unsealed)
    }

    /// What the ledger knows of a segment's records.
    fn known_of(&self, segment: SegmentId) -> Known {
        let history = self.inner.history.read();
        let failed_at = history.suspect.get(&segment).copied();
        if history.sealed.contains_key(&segment) {
            return Known { failed_at, ..Known::SEALED };
        }
        let durable_bytes = history.durable.get(&segment).copied().unwrap_or(0);
        Known { durable_bytes, failed_at }
    }

    /// Tells what was found in a segment and puts it into the catalog; answers it if it is not
    /// sealed.
    fn take_in(
        &self,
        opened: Opened,
        rows: &mut FoundRows,
        unfinished: &mut Unfinished,
        report: &mut OpenReport,
    ) -> Result<Option<Unsealed>> {
        let Opened { segment, scan, problems, no_footer } = opened;
        report.problems.extend(scan.iter().flat_map(|scan| scan.mended.iter().cloned()));
        if !problems.is_empty() {
            unfinished.note_damaged(segment.id);
            self.inner.catalog.write().damaged.insert(segment.id);
        }
        report.problems.extend(problems);
        if let Some(error) = no_footer {
            self.tell_of_footer(segment.id, error, report);
        }
        self.shelve(&segment, rows, unfinished, report)?;
        let Some(scan) = scan else { return Ok(None) };
        let mut torn: BTreeMap<ClipId, u32> = BTreeMap::new();
        // A copy that was cut off is removed as a whole: its clips are where they were.
        for record in scan.torn.iter().filter(|_| segment.class != ClassId::EVIDENCE) {
            *torn.entry(record.clip).or_default() += 1;
        }
        report.repairs.extend(torn.into_iter().map(|(clip, records)| {
            format!(
                "segment {}: dropped {records} torn records of clip {clip}; they were never \
                 acknowledged as far as is known",
                segment.id
            )
        }));
        Ok(Some(Unsealed { segment, scan }))
    }

    /// Puts a segment and its parts into the catalog.
    fn shelve(
        &self,
        segment: &Arc<Segment>,
        rows: &mut FoundRows,
        unfinished: &mut Unfinished,
        report: &mut OpenReport,
    ) -> Result<()> {
        let inner = self.inner;
        let file_bytes = inner.room_of(segment);
        let mut parts = segment.parts(&inner.footers)?;
        rows.note_parts(segment.id, &parts);
        if let Some(trailer) = segment.trailer() {
            inner.footers.keep(segment, trailer.footer_bytes);
            let known = inner.history.read().sealed.get(&segment.id).copied();
            let same = known.is_none_or(|(_, root)| root == trailer.root);
            if !Barrier::RootAtOpening.test(same) {
                report.problems.push(
                    Error::corrupt("open segment: its Merkle root is not the one on record")
                        .at(&segment.path()),
                );
            }
        }
        if segment.class == ClassId::EVIDENCE {
            // Copies that no entry names are not part of the store, unless nobody can read the
            // entries.
            let unreadable = inner.deletion_frozen().is_some();
            let history = inner.history.read();
            let named = |clip| history.moved.get(&clip) == Some(&segment.id);
            parts.retain(|found| unreadable || named(found.part.clip));
        } else {
            unfinished.note_parts(segment.id, &parts);
        }
        let mut catalog = inner.catalog.write();
        catalog.add_segment(segment, file_bytes, false);
        catalog.add_parts(segment.id, &parts);
        catalog.reach_over(&inner.footers, &parts);
        Ok(())
    }

    /// Trusted time is at least what any entry or record was stamped with.
    fn never_back_in_time(&self) {
        let inner = self.inner;
        let catalog = inner.catalog.read();
        let received = catalog.segments.values().map(|shelved| shelved.newest_received).max();
        let (newest, caught_up) = {
            let history = inner.history.read();
            (history.newest_at, history.catch_ups.caught_up())
        };
        let newest = newest.max(received.unwrap_or(Timestamp::MIN));
        let mut time = inner.time.lock();
        let (wall, uptime) = (time.clock.wall(), time.clock.uptime());
        if time.trusted.observe(wall, uptime) < newest {
            let bound = inner.options.clock_step_max;
            time.trusted = TrustedTime::resume(
                (newest, time.trusted.in_step().max(caught_up)),
                uptime.boot_id,
                uptime.since_boot_us,
                wall,
                bound,
                wall,
                uptime,
            );
        }
    }

    /// Segments that the ledger names, that are not expired, and that have no file. Whoever took it
    /// may have left the tails of clips elsewhere: those are judged when their time has come.
    fn note_missing(&self, report: &mut OpenReport) {
        let inner = self.inner;
        let history = inner.history.read();
        let mut catalog = inner.catalog.write();
        let expected = history.expected_but(|segment| {
            catalog.segments.contains_key(&segment) || catalog.unopened.contains(&segment)
        });
        for (segment, class) in expected {
            catalog.unopened.insert(segment);
            catalog.missing.insert(segment);
            report.problems.push(inner.missing_error(segment, class, "open store"));
        }
    }

    /// Step 4.
    fn take_off_what_is_gone(&self, rows: &FoundRows, report: &mut OpenReport) -> Result<()> {
        let inner = self.inner;
        let unreadable = inner.deletion_frozen().is_some();
        let history = inner.history.read();
        let mut catalog = inner.catalog.write();
        let catalog = &mut *catalog;
        if unreadable {
            catalog.find_held_copies(&inner.footers)?;
        }
        for (clip, to) in &history.moved {
            let unopened =
                catalog.unopened.contains(to) && !catalog.segments.contains_key(&clip.home);
            if catalog.segments.contains_key(to) || unopened {
                catalog.moved.insert(*clip, *to);
            }
            let lost = !catalog.segments.contains_key(to)
                && (!catalog.unopened.contains(to) || catalog.missing.contains(to));
            if lost && !history.gone.contains(clip) {
                report.problems.push(Error::corrupt(format!(
                    "open store: held clip {clip} was moved to segment {to}, which is missing"
                )));
            }
        }
        catalog.gone.clone_from(&history.gone);
        let mut spared = Vec::new();
        for id in history.expired.keys() {
            let Some(shelved) = catalog.segments.get(id) else { continue };
            let clips = catalog.clips_of(&inner.footers, &shelved.segment)?;
            let alive: BTreeSet<ClipId> = clips
                .into_iter()
                .map(|located| located.clip)
                .filter(|clip| {
                    history.survives_expiry(clip.id, &clip.camera, &clip.possible_window())
                })
                .map(|clip| clip.id)
                .collect();
            spared.push((*id, alive));
        }
        catalog.spared.extend(spared);
        let segments = catalog.segments.iter().filter(|(id, _)| rows.may_have_gone(**id, &history));
        let segments: Vec<Arc<Segment>> =
            segments.map(|(_, shelved)| Arc::clone(&shelved.segment)).collect();
        for segment in segments {
            for found in segment.parts(&inner.footers)? {
                let clip = found.part.clip;
                if history.gone.contains(&clip) && !history.erased.contains(&(segment.id, clip)) {
                    catalog.to_erase.entry(segment.id).or_default().insert(clip);
                }
            }
        }
        Ok(())
    }

    /// What a crash kept from being put on record, because it can be found out again.
    fn put_on_record(&self, report: &mut OpenReport) {
        let inner = self.inner;
        let (mut missing, mut unsynced) = (Vec::new(), Vec::new());
        report.problems.extend(inner.remove_unwanted().err());
        {
            let (history, catalog) = (inner.history.read(), inner.catalog.read());
            let is_known = |id: &SegmentId| history.sealed.contains_key(id);
            for (_, shelved) in catalog.segments.iter().filter(|(id, _)| !is_known(id)) {
                let segment = &shelved.segment;
                // The seal of a copy is on record with its first clip, or it is one that was cut
                // off and goes in step 6: on record it would be missed after another crash there.
                if segment.class == ClassId::EVIDENCE {
                    continue;
                }
                if let Some(trailer) = segment.trailer() {
                    let sealed = sealed_entry(segment, &trailer);
                    unsynced.push((Arc::clone(segment), trailer, sealed));
                }
            }
            for segment in history.expired.keys().copied() {
                // What came to `spare/` and is not zeroed has its bytes still.
                let there = catalog.segments.contains_key(&segment)
                    || catalog.unopened.contains(&segment)
                    || inner.reuse.lock().is_unwanted(segment);
                if !there {
                    let class = history.sealed.get(&segment).map(|(class, _)| *class);
                    missing.push(dropped(segment, class));
                }
            }
        }
        for (segment, trailer, sealed) in unsynced {
            // A process that was killed while sealing may have left it in the page cache.
            match sync_found_seal(&segment, &trailer) {
                Ok(()) => inner.note(sealed),
                Err(error) => report.problems.push(error),
            }
        }
        // That they are gone is durable: the folder was synced before it was looked at, and so is
        // that a file in `spare/` has nothing of them (see `reuse`).
        for decision in missing {
            inner.note(decision);
        }
    }

    /// Step 5: the newest open segment of each class is resumed, the others are sealed.
    fn settle_unsealed(&self, unsealed: Vec<Unsealed>, report: &mut OpenReport) -> Result<()> {
        let inner = self.inner;
        self.count_scans(&unsealed, report);
        let mut resumed = BTreeSet::new();
        for Unsealed { segment, scan } in unsealed.into_iter().rev() {
            if segment.class == ClassId::EVIDENCE {
                // A copy that was cut off: step 6 removes it.
                continue;
            }
            if let Some((_, root)) = inner.history.read().sealed.get(&segment.id) {
                // It was sealed and lost its footer: only the very same one may be written again.
                let found = segment.with_draft(|draft| draft.footer().root());
                if !Barrier::RootAtResealing.test(found == Some(*root)) {
                    continue;
                }
                report.repairs.push(format!("segment {}: wrote its footer again", segment.id));
            }
            let history = inner.history.read();
            let whole = segment.file.len().is_ok_and(|len| len == segment.header.segment_bytes);
            let ours = whole
                && history.classes.contains_key(&segment.class)
                && !history.sealed.contains_key(&segment.id)
                && !history.suspect.contains_key(&segment.id)
                && !scan.has_holes();
            drop(history);
            if ours && !resumed.contains(&segment.class) {
                if let Err(error) = wipe_and_sync(&segment, &scan) {
                    report.problems.push(error);
                    continue;
                }
                resumed.insert(segment.class);
                let next_ordinal = self.next_ordinal(&segment)?;
                inner.catalog.write().writing.insert(segment.id);
                inner.appender(segment.class).resume(segment, scan.end_block, next_ordinal);
                continue;
            }
            let sealed = write_tail_again(&segment, &scan)
                .and_then(|()| seal_segment(&segment, scan.end_block, inner.now()));
            match sealed {
                Ok(trailer) => inner.note(sealed_entry(&segment, &trailer)),
                Err(error) => report.problems.push(error),
            }
        }
        Ok(())
    }

    fn next_ordinal(&self, segment: &Arc<Segment>) -> Result<u32> {
        let parts = segment.parts(&self.inner.footers)?;
        let own = parts.iter().filter(|found| found.part.clip.home == segment.id);
        Ok(own.map(|found| found.part.clip.ordinal.saturating_add(1)).max().unwrap_or(0))
    }

    fn count_scans(&self, unsealed: &[Unsealed], report: &mut OpenReport) {
        report.segments_scanned += u64::try_from(unsealed.len()).unwrap_or(0);
        for Unsealed { segment, .. } in unsealed {
            let parts = segment.parts(&self.inner.footers).unwrap_or_default();
            let cut = parts.iter().filter(|found| !found.part.last).count();
            report.clips_truncated += u64::try_from(cut).unwrap_or(0);
        }
    }

    /// Removes spare segments that a crash left unfinished; nothing in `spare/` was ever promised.
    /// No sync: a name that comes back is removed by the next opening. Files to be used again are
    /// taken over, or removed before the drops of their segments go on record.
    fn clean_spare(&self, report: &mut OpenReport) -> Result<()> {
        let inner = self.inner;
        let fail = |error| inner.io("list spare files", name::SPARE, error);
        let kept_max = inner.disk_space().map_or(0, |space| inner.reuse_files_max(space.total));
        for found in inner.vfs.list(name::SPARE).map_err(fail)? {
            match name::parse_spare(&found) {
                Some(SpareName::Reuse(number)) => inner.keep_found(number, kept_max),
                Some(SpareName::Next) => inner.keep_found_next(kept_max),
                Some(spare @ SpareName::Segment(_)) => {
                    let path = name::spare(spare);
                    inner
                        .vfs
                        .remove(&path)
                        .map_err(|error| inner.io("remove spare", &path, error))?;
                }
                Some(_) => {}
                None => report.problems.push(
                    Error::new(ErrorKind::Unsupported, "open store: unknown file, left alone")
                        .at(&inner.vfs.display_path(&format!("{}/{found}", name::SPARE))),
                ),
            }
        }
        Ok(())
    }

    /// Step 6. Failures are problems: the next sweep tries again.
    fn finish(&self, report: &mut OpenReport) -> Result<()> {
        let inner = self.inner;
        let sweeping = inner.sweeping.lock();
        let mut swept = SweepReport::default();
        inner.finish_expired(&mut swept);
        report.drops_finished += swept.segments_dropped;
        inner.erase_waiting(&mut swept);
        self.remove_unnamed_copies(&mut swept);
        report.problems.append(&mut swept.problems);
        drop(sweeping);
        inner.flush_ledger()
    }

    /// Removes evidence segments of which no entry names a clip: copies that a crash cut off. The
    /// clips are where they were.
    fn remove_unnamed_copies(&self, swept: &mut SweepReport) {
        let inner = self.inner;
        let copies: Vec<Arc<Segment>> = {
            let catalog = inner.catalog.read();
            let named: BTreeSet<SegmentId> = inner.history.read().moved.values().copied().collect();
            let evidence = catalog.segments.values().map(|shelved| &shelved.segment);
            evidence
                .filter(|segment| {
                    segment.class == ClassId::EVIDENCE && !named.contains(&segment.id)
                })
                .cloned()
                .collect()
        };
        for segment in copies {
            // The intent first: its seal may be on record already, and a crash behind the removal
            // would otherwise be told as a loss.
            let intent = emptied(&segment);
            let proof = inner.check_gone(Removal::File(segment));
            let decided = proof.and_then(|proof| inner.decide(vec![intent]).map(|_| proof));
            match decided {
                Ok(proof) => swept.problems.extend(inner.remove(vec![proof]).1),
                Err(error) => swept.problems.push(error),
            }
        }
    }
}

/// Whether the process or the machine has as many files open as it may.
fn is_out_of_files(error: &Error) -> bool {
    /// `ENFILE` and `EMFILE`, the same on every Unix.
    const CODES: [i32; 2] = [23, 24];
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    source.and_then(io::Error::raw_os_error).is_some_and(|code| CODES.contains(&code))
}
