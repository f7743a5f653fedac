//! Opening again: after a close, and after a kill.

use std::time::Duration;

use super::{Keeper, Outcome, StoreKeeper, Street};

/// How long opening took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reopening {
    /// Whether the store had been left as `kill -9` leaves it.
    pub killed: bool,
    /// The opening alone, without the closing.
    pub took: Duration,
    /// Segments that had to be scanned.
    pub scanned: u64,
}

/// Opens the store `times` times after a close, then as often after a kill, with one more clip
/// recorded before each; `clips` are in it already.
///
/// # Errors
///
/// The store's; when a clip that it acknowledged is not found afterwards.
pub fn reopenings(
    store: &mut StoreKeeper,
    street: &Street,
    clips: u64,
    times: u32,
) -> Outcome<Vec<Reopening>> {
    let mut reopenings = Vec::new();
    let mut next = clips;
    for killed in [false, true] {
        for _ in 0..times {
            let take = street.take(next)?;
            next += 1;
            store.keep(std::slice::from_ref(&take))?;
            let took = store.reopen(killed)?;
            let scanned = store.store()?.opening().segments_scanned;
            reopenings.push(Reopening { killed, took, scanned });
            if store.find(&take.camera, take.window)? != [take.window] {
                return Err("a clip that was acknowledged is not found after opening".into());
            }
        }
    }
    Ok(reopenings)
}
