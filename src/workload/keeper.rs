//! What keeps clips: the store, the raw limit, or a rival, behind one trait.

use std::ops::Range;

use crate::{CameraId, Timestamp, Window};

use super::{Lap, Stopwatch, Take};

/// The answer of whatever keeps clips; rivals bring errors of their own.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A sweep that is under way: when it began, by the watch that it was given, and how long it took,
/// if it dropped anything.
pub type Sweeping = std::thread::JoinHandle<Outcome<Option<Lap>>>;

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

    /// The same of `range` of its bytes alone. Whoever cannot do better reads all of them.
    ///
    /// # Errors
    ///
    /// As [`Keeper::read`].
    fn read_range(
        &mut self,
        camera: &CameraId,
        start: Timestamp,
        range: Range<u64>,
        each: &mut dyn FnMut(&[u8]),
    ) -> Outcome<()> {
        let mut at = 0_u64;
        self.read(camera, start, &mut |piece| {
            let len = u64::try_from(piece.len()).unwrap_or(u64::MAX);
            let within = |offset: u64| usize::try_from(offset.clamp(at, at + len) - at);
            if let (Ok(from), Ok(to)) = (within(range.start), within(range.end)) {
                each(piece.get(from..to).unwrap_or_default());
            }
            at += len;
        })
    }

    /// Removes the clips that ended before `before`, as far as its way of expiring goes, and makes
    /// their room usable again.
    ///
    /// # Errors
    ///
    /// Its own.
    fn expire(&mut self, before: Timestamp) -> Outcome<()>;

    /// Begins what [`Keeper::expire`] does on a thread of its own, beside what is recorded next,
    /// and answers that; whoever has no such thread does it at once.
    ///
    /// # Errors
    ///
    /// Its own.
    fn expire_beside(&mut self, before: Timestamp, _watch: Stopwatch) -> Outcome<Option<Sweeping>> {
        self.expire(before).map(|()| None)
    }

    /// Waits until it has done what it does in the background for what it was given, as far as it
    /// can tell: a round counts what it has brought about.
    ///
    /// # Errors
    ///
    /// Its own.
    fn settle(&mut self) -> Outcome<()> {
        Ok(())
    }

    /// Lets go of what it keeps of its files for the next who read, so that
    /// [`super::drop_caches`] can forget that.
    ///
    /// # Errors
    ///
    /// Its own.
    fn let_go(&mut self) -> Outcome<()> {
        Ok(())
    }

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
