//! The invariants I1 to I14 of the store, each a function with its sentence.
//!
//! They compare what a store shows with the reference. None of them changes either.

use std::collections::{BTreeMap, BTreeSet};

use clipkeep::vfs::Vfs as _;
use clipkeep::{
    CameraId, ClassId, Clip, ClipId, ClipReader, ClipState, ClockStatus, Error, ErrorKind,
    HoldReceipt, MissedReason, OpenReport, PlanAction, SweepPlan, SweepReport, Timestamp,
    VerifyDepth, Window,
};

use super::footage::found_on;
use super::harm::allocated;
use super::reference::{Clip as Expected, Fate, Hold, Span};
use super::run::{Broken, Checked, HOUR, Run, SEGMENT_BYTES, camera, demand};
use super::step::{CAMERAS, Reading};

const CHUNK_BYTES: u64 = 64 << 10;

pub(crate) fn always() -> Window {
    Window::new(Timestamp::MIN, Timestamp::MAX).unwrap()
}

/// I1: acknowledged clips are readable and byte-identical until expirable.
pub(crate) fn acknowledged_is_readable(run: &Run) -> Checked {
    run.reference
        .clips
        .iter()
        .filter(|(_, clip)| clip.is_listed())
        .try_for_each(|(id, _)| reads_as_stored(run, *id, false))
}

/// I1 for one clip; I6 and I12 where bits of it were flipped.
fn reads_as_stored(run: &Run, id: ClipId, mapped: bool) -> Checked {
    let expected = &run.reference.clips[&id];
    let reader = if mapped { run.store().read(id) } else { run.store().read_copied(id) };
    let reader =
        reader.map_err(|error| Broken(format!("I1: clip {id} cannot be read: {error:?}")))?;
    if !expected.flips.is_empty() {
        return damage_is_reported_and_local(id, expected, &reader);
    }
    let bytes = reader.to_vec();
    let bytes =
        bytes.map_err(|error| Broken(format!("I1: clip {id} cannot be read: {error:?}")))?;
    demand(has_bytes(expected, &bytes), || {
        format!("I1: clip {id} changed: {} bytes for {}", bytes.len(), expected.bytes.len())
    })
}

/// Whether `bytes` are those of a clip, of which a part may be unanswered.
fn has_bytes(expected: &Expected, bytes: &[u8]) -> bool {
    match (&expected.unanswered, bytes.strip_prefix(&expected.bytes[..])) {
        (_, None) => false,
        (None, Some(rest)) => rest.is_empty(),
        (Some(unanswered), Some(rest)) => unanswered.bytes.starts_with(rest),
    }
}

/// I1: what is shown of a clip (window, length, digest, state, arrival) is what was acknowledged.
pub(crate) fn clip_is_what_was_stored(run: &Run, found: &Clip) -> Checked {
    let id = found.id();
    let expected = &run.reference.clips[&id];
    let shown = (
        found.camera().clone(),
        Span::of(found.window()),
        found.len(),
        *found.digest(),
        found.received(),
        found.uncertainty(),
    );
    let stored = (
        expected.camera.clone(),
        expected.span,
        u64::try_from(expected.bytes.len()).unwrap(),
        expected.digest,
        expected.received,
        expected.unsure,
    );
    demand(shown == stored, || format!("I1: clip {id} is shown as {shown:?}, not {stored:?}"))?;
    demand(found.state() == expected.state, || {
        format!("I1: clip {id} is {:?}, not {:?}", found.state(), expected.state)
    })
}

/// I2: a held clip is never lost, by any operation, crash, fault or full disk. I3: nothing goes
/// before its time by trusted time.
pub(crate) fn may_be_gone(run: &Run, id: ClipId) -> Checked {
    demand(!run.is_frozen, || format!("I11: clip {id} went while the ledger is unreadable"))?;
    match run.reference.should_be_there(&run.reference.clips[&id], run.pressure()) {
        Some(why) => Err(Broken(format!("clip {id} is gone: {why}"))),
        None => Ok(()),
    }
}

/// I3: trusted time never goes back, and no wall clock moves it further than the uptime vouches
/// for, twice, and an hour.
pub(crate) fn time_goes_forward(run: &mut Run) -> Checked {
    let (before, now) = (run.reference.now, run.store().now());
    demand(now >= before, || format!("I3: trusted time went back from {before} to {now}"))?;
    demand(now <= run.reference.now_max, || {
        format!("I3: it is {now}, and cannot be after {}", run.reference.now_max)
    })?;
    run.reference.now = now;
    Ok(())
}

/// I3: trusted time jumps on record alone, and the record covers all that came while the wall clock
/// was seen to be doubted.
pub(crate) fn jumps_are_on_record(run: &mut Run) -> Checked {
    if run.is_frozen {
        return Ok(());
    }
    let jumps = run.store().catch_ups(run.reference.jumps.len());
    run.tally.add("jumps of trusted time", u64::try_from(jumps.len()).unwrap());
    for jump in jumps {
        let doubted = run.reference.doubted_since.unwrap_or(Timestamp::MAX);
        demand(
            jump.since <= doubted && jump.by > HOUR && jump.trusted <= run.store().now(),
            || format!("I3: {jump:?}, and the wall clock was doubted since {doubted}"),
        )?;
        run.reference.jumped(jump);
        run.reference.doubted_since = None;
    }
    let agrees = run.store().clock_status() == ClockStatus::Agrees;
    let since = run.reference.doubted_since.unwrap_or(run.reference.now);
    run.reference.doubted_since = (!agrees).then_some(since);
    Ok(())
}

/// I3: after a restart it is not earlier than anything that is on record.
pub(crate) fn time_is_not_forgotten(run: &mut Run) -> Checked {
    let now = run.store().now();
    let clips = run.reference.clips.values().filter(|clip| clip.is_listed());
    let received = clips.map(|clip| clip.received).max().unwrap_or(Timestamp::MIN);
    let placed = run.reference.holds.values().map(|hold| hold.placed).max();
    let known = if run.is_frozen { received } else { received.max(placed.unwrap_or(received)) };
    demand(now >= known, || format!("I3: it is {now}, and something came at {known}"))?;
    run.reference.now = now;
    Ok(())
}

/// I4: what is due goes within the bound: one sweep interval plus the span of a segment.
pub(crate) fn due_is_gone(run: &mut Run) -> Checked {
    let (mut held, mut checked) = (0, 0);
    for (id, clip) in &run.reference.clips {
        if clip.is_listed() && run.reference.must_be_gone(clip) {
            return Err(Broken(format!("I4: clip {id} is due, and nothing holds it")));
        }
        let overdue = run.reference.is_overdue(clip);
        held += u64::from(clip.is_listed() && overdue && run.reference.may_be_held(clip));
        checked += u64::from(!clip.is_listed() && run.reference.must_be_gone(clip));
    }
    run.tally.add("held clips that survived their expiry", held);
    run.tally.add("due clips found gone", checked);
    Ok(())
}

/// I5: every query equals the model's.
pub(crate) fn every_query_equals_the_model(run: &Run) -> Checked {
    (0..CAMERAS.len()).try_for_each(|number| {
        query_equals_the_model(run, &camera(u8::try_from(number).unwrap()), always())
    })
}

/// I5 for one query.
pub(crate) fn query_equals_the_model(run: &Run, camera: &CameraId, window: Window) -> Checked {
    let found: Vec<ClipId> = run.list(camera, window)?.iter().map(Clip::id).collect();
    let expected = run.reference.listed(camera, Span::of(window));
    if run.is_frozen {
        // Without the ledger what was expired may be found again; nothing may be missing.
        let missing = expected.iter().find(|id| !found.contains(id));
        return demand(missing.is_none(), || format!("I11: clip {missing:?} is missing"));
    }
    let sorted: BTreeSet<ClipId> = found.iter().copied().collect();
    let same = sorted == expected.iter().copied().collect() && found.len() == expected.len();
    demand(same, || format!("I5: {camera} {window} lists {found:?}, not {expected:?}"))?;
    let starts: Vec<i64> = found.iter().map(|id| run.reference.clips[id].span.start).collect();
    demand(starts.is_sorted(), || format!("I5: {camera} lists {found:?} out of order"))
}

/// I6: damage is reported, never returned as data. I12: one bad sector loses at most 64 KiB of one
/// clip.
fn damage_is_reported_and_local(id: ClipId, expected: &Expected, reader: &ClipReader) -> Checked {
    const STEP: usize = 4096;
    for (index, block) in expected.bytes.chunks(STEP).enumerate() {
        let offset = u64::try_from(index * STEP).unwrap();
        let mut buf = vec![0; block.len()];
        match reader.read_at(offset, &mut buf) {
            Ok(()) => demand(buf == block, || format!("I6: clip {id} at {offset} is not right"))?,
            Err(error) => {
                demand(error.kind() == ErrorKind::Corrupt, || format!("I6: {error:?}"))?;
                let end = offset + u64::try_from(block.len()).unwrap();
                let near = |flip: &&u64| {
                    flip.saturating_sub(CHUNK_BYTES) < end && offset < *flip + CHUNK_BYTES
                };
                demand(expected.flips.iter().any(|flip| near(&flip)), || {
                    format!("I12: clip {id} at {offset} is lost, far from {:?}", expected.flips)
                })?;
            }
        }
    }
    Ok(())
}

/// I1 and I6 while a read fails: right bytes, or an error that says that the disk could not be
/// read; never other bytes. Answers whether it was an error.
pub(crate) fn reads_right_or_not_at_all(run: &Run, id: ClipId, copied: bool) -> Checked<bool> {
    let store = run.store();
    let reader = if copied { store.read_copied(id) } else { store.read(id) };
    match reader.and_then(|reader| reader.to_vec()) {
        Ok(bytes) => {
            let expected = &run.reference.clips[&id];
            let right = has_bytes(expected, &bytes);
            demand(right, || format!("I6: clip {id} is not right while a read fails"))?;
            Ok(false)
        }
        Err(error) => {
            let kinds = [ErrorKind::Io, ErrorKind::Corrupt];
            demand(kinds.contains(&error.kind()), || format!("I6: clip {id}: {error:?}"))?;
            Ok(true)
        }
    }
}

/// What a store shows: ids, lengths and states of all clips.
pub(crate) type Shown = BTreeMap<ClipId, (u64, ClipState)>;

pub(crate) fn shown(run: &Run) -> Checked<Shown> {
    let mut shown = Shown::new();
    for number in 0..CAMERAS.len() {
        let camera = camera(u8::try_from(number).unwrap());
        let clips = run.list(&camera, always())?;
        shown.extend(clips.iter().map(|clip| (clip.id(), (clip.len(), clip.state()))));
    }
    Ok(shown)
}

/// I7: recovery is idempotent and needs no free space.
pub(crate) fn recovery_is_idempotent(run: &Run, first: &Shown, again: &OpenReport) -> Checked {
    let second = shown(run)?;
    demand(*first == second, || format!("I7: {first:?}, then {second:?}"))?;
    // A seal that was cut off is no more than told, until the segment is sealed anew.
    let mut repairs = again.repairs.iter();
    let done = run.is_damaged || run.is_frozen || repairs.all(|told| told.ends_with("scanned it"));
    demand(done, || format!("I7: repaired again: {:?}", again.repairs))
}

/// I7 and I11: opening reports nothing that nobody did, and freezes deletion for nothing less than
/// two damaged copies of the ledger.
pub(crate) fn opening_is_whole(run: &Run, opening: &OpenReport) -> Checked {
    let damaged = run.is_damaged || run.is_frozen;
    // Held clips for which there is no room stay where they are, which is told.
    let free = run.disk.space().map_or(0, |space| space.free);
    let room_wanted = run.pressure().room_wanted || free < SEGMENT_BYTES;
    let mut problems = opening.problems.iter();
    let known = |error: &Error| room_wanted && error.kind() == ErrorKind::Full;
    demand(damaged || problems.all(known), || format!("I7: opening found {:?}", opening.problems))?;
    demand(run.is_frozen == opening.deletion_frozen.is_some(), || {
        format!("I11: deletion is frozen: {:?}", opening.deletion_frozen)
    })
}

/// I8: bytes on disk stay below the quota, mapped ghosts and files kept for new segments counted.
pub(crate) fn quota_is_kept(run: &Run) -> Checked {
    let Some(segments) = run.house.quota else { return Ok(()) };
    let quota = u64::from(segments) * SEGMENT_BYTES;
    let ghosts = run.store().stats().map_or(0, |stats| stats.ghost_bytes);
    let used = allocated(run, "segments/") + allocated(run, "spare/reuse-");
    demand(used + ghosts <= quota, || {
        format!("I8: {used} bytes and {ghosts} of ghosts, above the quota of {quota}")
    })
}

/// I10: opening costs O(partitions + tail). Where a history left no partition, or damaged it:
/// O(segments + tail), and nothing for a clip, but for the chunks of those that it moves.
pub(crate) fn opening_reads_little(run: &mut Run, reads: u64, opening: &OpenReport) -> Checked {
    let sealed = u64::try_from(run.segment_files().len()).unwrap();
    let stored = run.store().stats().map_or(0, |stats| stats.live_bytes + stats.expired_bytes);
    let chunks = stored.div_ceil(CHUNK_BYTES);
    let limit = 64 + 16 * sealed + 2_100 * opening.segments_scanned + 4 * chunks;
    run.tally.count("openings");
    demand(reads <= limit, || {
        format!("I10: {reads} reads for {sealed} segments, {} scanned", opening.segments_scanned)
    })
}

/// I11: an unreadable ledger deletes nothing.
pub(crate) fn unreadable_ledger_deletes_nothing(run: &Run) -> Checked {
    let refused = run.store().sweep().err().map(|error| error.kind());
    demand(refused == Some(ErrorKind::Corrupt), || format!("I11: a sweep gave {refused:?}"))?;
    acknowledged_is_readable(run)
}

/// I13: no expired byte can be read through any interface.
pub(crate) fn gone_is_unreadable(run: &Run) -> Checked {
    if run.is_frozen {
        return Ok(());
    }
    let store = run.store();
    for (id, _) in run.reference.clips.iter().filter(|(_, clip)| !clip.is_listed()) {
        let kinds = [
            store.clip(*id).err().map(|error| error.kind()),
            store.read(*id).err().map(|error| error.kind()),
            store.read_copied(*id).err().map(|error| error.kind()),
            store.explain(*id).err().map(|error| error.kind()),
        ];
        let gone = kinds.iter().all(|kind| *kind == Some(ErrorKind::Expired));
        demand(gone, || format!("I13: gone clip {id} answers {kinds:?}"))?;
    }
    Ok(())
}

/// I13: a search of all files for the bytes of what is gone finds none after the bound.
pub(crate) fn expired_is_on_no_disk(run: &mut Run) -> Checked {
    if run.is_frozen {
        return Ok(());
    }
    let gone = run.reference.clips.iter().filter(|(_, clip)| run.reference.must_be_erased(clip));
    let gone: BTreeMap<u32, ClipId> =
        gone.flat_map(|(id, clip)| clip.footage.iter().map(|number| (*number, *id))).collect();
    if gone.is_empty() {
        return Ok(());
    }
    for (number, path) in found_on(&run.disk) {
        if let Some(id) = gone.get(&number) {
            return Err(Broken(format!("I13: bytes of gone clip {id} are in {path}")));
        }
    }
    run.tally.add("gone clips searched for", u64::try_from(gone.len()).unwrap());
    Ok(())
}

/// I14: the ledger's chain verifies after every history.
pub(crate) fn chain_verifies(run: &Run) -> Checked {
    if run.is_frozen {
        return Ok(());
    }
    let report = run.store().verify(VerifyDepth::Presence, &mut |_| ());
    let report = report.map_err(|error| Broken(format!("I14: verify: {error:?}")))?;
    // A copy that failed is repaired at the next opening, and until then it is told.
    let told = run.is_damaged || run.is_troubled;
    demand(report.faults.is_empty() || told, || format!("I14: {:?}", report.faults))
}

/// I1 and I14, at the end: every byte of every file is what its checksums and the ledger say.
pub(crate) fn whole_store_verifies(run: &Run) -> Checked {
    if run.is_frozen {
        return Ok(());
    }
    let report = run.store().verify(VerifyDepth::Bytes, &mut |_| ());
    let report = report.map_err(|error| Broken(format!("I14: verify: {error:?}")))?;
    demand(report.faults.is_empty() || run.is_damaged, || format!("I1: {:?}", report.faults))?;
    demand(report.ledger_entries > 0, || "I14: no entry of the ledger was checked".to_owned())
}

/// DESIGN 10: bytes handed to a reader stay valid and unchanged while it holds them.
pub(crate) fn leases_are_kept(run: &Run) -> Checked {
    for (id, reader, bytes) in &run.leases {
        if !run.reference.clips[id].flips.is_empty() {
            continue;
        }
        let read = reader.to_vec();
        let read = read.map_err(|error| Broken(format!("the reader of {id}: {error:?}")))?;
        demand(read == *bytes, || format!("the reader of clip {id} reads other bytes"))?;
    }
    Ok(())
}

/// I1 and I13 for one way of reading one clip.
pub(crate) fn reading_is_right(run: &mut Run, id: ClipId, reading: Reading) -> Checked<String> {
    run.tally.count("reads");
    let expected = &run.reference.clips[&id];
    if !expected.is_listed() {
        return Ok(format!("clip {id} is gone"));
    }
    match reading {
        Reading::Whole => reads_as_stored(run, id, true)?,
        Reading::Copied => reads_as_stored(run, id, false)?,
        Reading::Range(..) if !expected.flips.is_empty() || expected.unanswered.is_some() => {}
        Reading::Range(from, to) => {
            let len = expected.bytes.len();
            let (from, to) = (usize::from(from.min(to)), usize::from(from.max(to)));
            let range = from * len / 256..to * len / 256;
            let reader = run.store().read(id);
            let reader = reader.map_err(|error| Broken(format!("I1: clip {id}: {error:?}")))?;
            let mut buf = vec![0; range.len()];
            let read = reader.read_at(u64::try_from(range.start).unwrap(), &mut buf);
            read.map_err(|error| Broken(format!("I1: clip {id} {range:?}: {error:?}")))?;
            demand(buf == expected.bytes[range.clone()], || {
                format!("I1: clip {id} {range:?} is not right")
            })?;
        }
    }
    Ok(format!("clip {id}"))
}

/// A receipt says what a hold covers, and what it missed.
pub(crate) fn receipt_is_right(run: &mut Run, hold: &Hold, receipt: &HoldReceipt) -> Checked {
    let covered = run.reference.covered(hold);
    let bytes: usize = covered.iter().map(|id| run.reference.clips[id].bytes.len()).sum();
    let counts = (receipt.clips, receipt.bytes);
    let expected = (u64::try_from(covered.len()).unwrap(), u64::try_from(bytes).unwrap());
    let in_doubt = run.is_troubled || !receipt.uncounted.is_empty();
    demand(counts == expected || in_doubt, || {
        format!("the receipt counts {counts:?}, and it is {expected:?}")
    })?;
    for (id, clip) in run.reference.clips.iter().filter(|(_, clip)| !clip.is_listed()) {
        let (camera, window) = &hold.scope[0];
        if *camera != clip.camera || !window.meets(clip.span) {
            continue;
        }
        let missed = receipt.missed.iter().filter(|missed| missed.camera == *camera);
        let mut of_clip = missed.filter(|missed| Span::of(missed.window).meets(clip.span));
        let lie = of_clip.clone().find(|missed| missed.reason == MissedReason::NeverRecorded);
        demand(lie.is_none() || in_doubt, || {
            format!("the receipt says that gone clip {id} was never recorded: {lie:?}")
        })?;
        if of_clip.any(|missed| missed.reason == MissedReason::Expired) {
            run.tally.count("holds that came too late");
            break;
        }
    }
    Ok(())
}

/// A sweep does what its plan says, and the plan before it said the same.
pub(crate) fn sweep_did_what_it_planned(
    run: &Run,
    before: Option<&SweepPlan>,
    report: &SweepReport,
    gone: usize,
) -> Checked {
    let Some(plan) = &report.plan else { return Err(Broken("a sweep without plan".to_owned())) };
    let same = before.is_none_or(|before| before.items() == plan.items());
    demand(same || run.is_troubled, || format!("planned {before:?}, and then {plan:?}"))?;
    let clips: u64 = plan.items().iter().map(clipkeep::PlanItem::clips).sum();
    let bytes: u64 = plan.items().iter().map(clipkeep::PlanItem::bytes).sum();
    let done = (report.clips_expired, report.bytes_expired);
    demand(done == (clips, bytes), || format!("planned {clips}, {bytes}, and did {done:?}"))?;
    demand(u64::try_from(gone).unwrap() == clips, || {
        format!("the sweep says that {clips} clips expired, and {gone} are gone")
    })?;
    let moved = plan.items().iter().filter(|item| item.action() == PlanAction::MoveHeldThenDrop);
    let moved: u64 = moved.map(clipkeep::PlanItem::held_clips).sum();
    let all = report.clips_moved >= moved || !report.problems.is_empty();
    demand(all, || format!("{moved} clips were to be moved, {} were", report.clips_moved))
}

/// A policy for existing clips of a camera is for no other camera's clips.
pub(crate) fn policy_is_its_cameras_own(
    run: &Run,
    camera: Option<&CameraId>,
    class: Option<ClassId>,
) -> Checked {
    let Some(class) = class else { return Ok(()) };
    let mut clips = run.reference.clips.iter().filter(|(_, clip)| clip.is_listed());
    let other = clips.find(|(_, clip)| clip.class == class && Some(&clip.camera) != camera);
    demand(other.is_none(), || format!("I3: it changed the retention of {other:?} too"))
}

/// I3: every clip keeps the retention that it was recorded under.
pub(crate) fn policies_are_kept(run: &Run) -> Checked {
    if run.is_frozen {
        // Without the ledger everything is kept for the longest time there is.
        return Ok(());
    }
    for (id, clip) in run.reference.clips.iter().filter(|(_, clip)| clip.is_listed()) {
        let Ok(explained) = run.store().explain(*id) else { continue };
        let Some(known) = run.reference.classes.get(&clip.class) else { continue };
        demand(explained.retention == *known, || {
            format!("I3: clip {id} is kept {}, not {known}", explained.retention)
        })?;
        if clip.unanswered.is_none() && matches!(clip.fate, Fate::Kept) {
            let due = run.reference.came(clip.received).saturating_add(known.at_most());
            demand(explained.own_expiry == due, || {
                format!("I3: clip {id} expires {}, not {due}", explained.own_expiry)
            })?;
        }
    }
    Ok(())
}
