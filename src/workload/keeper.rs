//! What keeps clips: the store, the raw limit, or a rival, behind one trait.

use crate::{CameraId, Timestamp, Window};

use super::Take;

/// The answer of whatever keeps clips; rivals bring errors of their own.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Something that keeps the clips of a [`super::Street`].
///
/// All promise the same: what `keep` has acknowledged survives power loss, what `read` hands out
/// is what was kept, what `expire` removed is found no more.
pub trait Keeper {
    /// Its name in tables.
    fn name(&self) -> String;

    /// How it was set up, for whoever doubts the figures.
    fn settings(&self) -> String;

    /// Keeps all of `group`; it is durable on return, with as few syncs as the keeper can.
    ///
    /// # Errors
    ///
    /// Its own.
    fn keep(&mut self, group: &[Take]) -> Outcome<()>;

    /// The windows of `camera`'s clips that overlap `window`, oldest first.
    ///
    /// # Errors
    ///
    /// Its own.
    fn find(&mut self, camera: &CameraId, window: Window) -> Outcome<Vec<Window>>;

    /// Hands the bytes of the clip of `camera` that begins at `start` to `each`, in order and in
    /// as many pieces as it likes, checked as far as the keeper checks.
    ///
    /// # Errors
    ///
    /// Its own; when there is no such clip.
    fn read(
        &mut self,
        camera: &CameraId,
        start: Timestamp,
        each: &mut dyn FnMut(&[u8]),
    ) -> Outcome<()>;

    /// Removes the clips that ended before `before`, as far as its way of expiring goes, and makes
    /// their room usable again.
    ///
    /// # Errors
    ///
    /// Its own.
    fn expire(&mut self, before: Timestamp) -> Outcome<()>;

    /// Syncs that it asked for so far, where it can tell.
    fn syncs(&self) -> Option<u64> {
        None
    }

    /// What it takes on the disk.
    ///
    /// # Errors
    ///
    /// Its own.
    fn disk_bytes(&self) -> Outcome<u64>;

    /// What of that is room for what comes, with nothing in it.
    ///
    /// # Errors
    ///
    /// Its own.
    fn kept_bytes(&self) -> Outcome<u64> {
        Ok(0)
    }
}
