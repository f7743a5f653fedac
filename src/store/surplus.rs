//! Giving back the room of files of dropped segments that are more than are kept.
//!
//! They are zeroed and their drops are on record, like those that are kept: what is left is room.
//! Where the file system discards what it frees, whoever writes waits for each large removal, so it
//! is given back in steps, by the sweeper's thread with pauses, by a sweep that is asked for a
//! number of them. Until then new segments may use these files, and they give way as all do that
//! are kept. Opening knows them by their names and looks into none.

use std::io;
use std::time::Duration;

use crate::vfs::VfsFile;

use super::Inner;
use super::reuse::reuse_path;

/// What is given back in one step.
pub(super) const STEP_BYTES: u64 = 8 << 20;
/// The least that the sweeper's thread waits after a step.
pub(super) const STEP_PAUSE: Duration = Duration::from_millis(10);
/// A sweep that is asked for takes so many steps, and leaves the others to the next.
const STEPS_A_SWEEP_MAX: usize = 64;

impl Inner {
    /// Has the thread give back what there is, or takes as many steps as a sweep takes.
    pub(super) fn give_back(&self) {
        if self.reuse.lock().surplus.is_empty() || self.leftovers.note_surplus() {
            return;
        }
        for _ in 0..STEPS_A_SWEEP_MAX {
            if !self.give_back_step() {
                return;
            }
        }
    }

    /// One step; whether there was anything to give back. Nothing is synced: whatever comes back
    /// after a crash is found again by its name, and is all zeros.
    pub(super) fn give_back_step(&self) -> bool {
        if self.deletion_frozen().is_some() {
            return false;
        }
        let Some((segment, _)) = self.reuse.lock().surplus.pop_last() else { return false };
        let path = reuse_path(segment);
        match self.vfs.open(&path, true).and_then(|file| cut(&*file)) {
            Ok(Some(left)) => drop(self.reuse.lock().surplus.insert(segment, left)),
            // The last step, or whatever it is: the name goes, whoever else may have the file.
            Ok(None) | Err(_) => match self.vfs.remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    self.reuse.lock().note_renamed(segment);
                    self.survived(self.io("remove spare", &path, error));
                }
                _ => {}
            },
        }
        true
    }
}

/// Takes a step off the end of a file; what is left then, if anything is. One that has anything in
/// it is not cut: a crash may have given its name back to the file while that is a segment again.
fn cut(file: &dyn VfsFile) -> io::Result<Option<u64>> {
    let left = file.len()?.saturating_sub(STEP_BYTES);
    if left == 0 || file.written_from(0)?.is_some() {
        return Ok(None);
    }
    file.truncate(left)?;
    Ok(Some(left))
}
