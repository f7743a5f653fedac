//! What must be true in every state, each by name.

use super::state::{Clips, PARTS, SEGMENTS, State, bit, has, members};

pub(super) type Invariant = (&'static str, fn(&State) -> bool);

pub(super) const ALL: [Invariant; 6] = [
    ("held is kept", held_is_kept),
    ("expired stays gone", expired_stays_gone),
    ("nothing goes without an entry", nothing_goes_without_an_entry),
    ("what is read has its bytes", what_is_read_has_its_bytes),
    ("leased bytes stay", leased_bytes_stay),
    ("opening raises no false alarm", |state| !state.false_alarm),
];

/// What a receipt said is protected can be read, until a release is asked for.
fn held_is_kept(state: &State) -> bool {
    let promised = state.promised.iter().fold(0, |all, one| all | one);
    state.serving().is_none_or(|memory| promised & !memory.readable() == 0)
}

/// What somebody was told is gone can never be read again.
fn expired_stays_gone(state: &State) -> bool {
    state.serving().is_none_or(|memory| state.told_gone & memory.readable() == 0)
}

/// A clip that cannot be read was deleted, or expired while no hold covered it.
fn nothing_goes_without_an_entry(state: &State) -> bool {
    let Some(memory) = state.serving() else { return true };
    let mut history = state.disk.history.clone();
    let waiting = state.disk.tail.iter().chain(&memory.deferred);
    waiting.for_each(|entry| history.apply(*entry, false));
    let kept: Clips = (0..PARTS.len())
        .filter(|segment| has(history.sealed, *segment) && !has(history.expired, *segment))
        .map(|segment| if segment == 0 { 0b011 } else { 0b100 })
        .sum();
    kept & !history.gone & !memory.readable() == 0
}

/// Every part of what can be read is on the disk, synced copy or source.
fn what_is_read_has_its_bytes(state: &State) -> bool {
    let Some(memory) = &state.memory else { return true };
    members(memory.readable()).all(|clip| match memory.moved[clip] {
        Some(to) => has(state.disk.files[to].bytes(), clip),
        None => PARTS
            .iter()
            .enumerate()
            .filter(|(_, parts)| has(**parts, clip))
            .all(|(segment, _)| has(state.disk.files[segment].bytes(), clip)),
    })
}

/// Nobody's bytes are punched out under his eyes. A removed file does not count: the reader has it
/// open.
fn leased_bytes_stay(state: &State) -> bool {
    let Some((clip, segments)) = state.leased else { return true };
    let mut files = members(segments).map(|segment| &state.disk.files[segment]);
    files.all(|file| !has(file.punching | file.punched, clip))
}

/// After a quiet sweep: all that is due and held by nobody is gone.
pub(super) fn nothing_due_is_left(state: &State, covered: Clips) -> Result<(), String> {
    let Some(memory) = state.serving() else { return Err("the store is down".to_owned()) };
    let left = memory.readable() & !covered;
    if left == 0 { Ok(()) } else { Err(format!("clips {left:03b} are held by nobody")) }
}

/// After a quiet sweep: no file has bytes of what is gone, or nothing else.
pub(super) fn no_bytes_are_left(state: &State) -> Result<(), String> {
    let Some(memory) = state.serving() else { return Err("the store is down".to_owned()) };
    for segment in 0..SEGMENTS {
        let file = state.disk.files[segment];
        let live: Clips =
            members(file.parts).filter(|clip| memory.is_live(*clip, segment)).map(bit).sum();
        let gone = file.bytes() & !live;
        if gone != 0 {
            return Err(format!("segment {segment} has bytes of {gone:03b}, which are gone"));
        }
        if file.is_there() && live == 0 {
            return Err(format!("segment {segment} has nothing in it and is still there"));
        }
    }
    Ok(())
}

/// After a quiet sweep with nothing due: no file has bytes of clips that were deleted one by one.
/// The tail of one that expired with an older segment goes with its own.
pub(super) fn no_deleted_bytes_are_left(state: &State) -> Result<(), String> {
    let Some(memory) = state.serving() else { return Err("the store is down".to_owned()) };
    let bytes = state.disk.files.iter().map(|file| file.bytes() & memory.gone);
    match bytes.fold(0, |all, some| all | some) {
        0 => Ok(()),
        left => Err(format!("bytes of {left:03b} are left, which were deleted")),
    }
}
