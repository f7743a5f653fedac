//! What comes after a crash was survived: the store goes on, what is due goes, and nothing of it is
//! left on the disk.

use std::collections::HashMap;
use std::time::Duration;

use clipkeep::{ClipId, ReleaseCause};

use super::{INIT, LONG, World, minute};
use crate::promises::Broken;

impl World {
    /// A store that was opened on a full disk takes a hold, and lets it go again.
    pub(crate) fn decide(&mut self) -> std::result::Result<(), Broken> {
        let Some(camera) = self.store().cameras().pop() else { return Ok(()) };
        let failed = |error: clipkeep::Error| format!("a full disk takes no decision: {error}");
        let hold = self.hold(camera.as_str(), minute(0)).map_err(failed)?;
        self.release(hold, ReleaseCause::Owner, Duration::ZERO).map_err(failed)?;
        let over = self.store().hold(hold).is_ok_and(|hold| !hold.protects());
        if over { Ok(()) } else { Err(format!("hold {hold} is not over")) }
    }

    /// Life afterwards: recording, sweeping, losing power once more; then all that is due is gone,
    /// from the catalog and from the disk.
    pub(crate) fn go_on(&mut self) -> std::result::Result<(), Broken> {
        /// No scenario has so many segments that more sweeps are needed.
        const SWEEPS: usize = 4;
        let failed = |what: &str| {
            let what = what.to_owned();
            move |error: clipkeep::Error| format!("{what} does not go on: {error}")
        };
        self.free_disk();
        // By now a full quota has clips that may go.
        self.wait(LONG);
        self.add("porch", 500, 30_000).map_err(failed("recording"))?;
        self.wait(LONG);
        for _ in 0..SWEEPS {
            self.may_expire();
            self.store().sweep().map_err(failed("sweeping"))?;
            self.try_note_gone()?;
        }
        self.check_quickly()?;
        if !self.promises().damaged {
            let now = self.record().now;
            self.promises().check_expired(now)?;
            self.check_erased()?;
        }
        self.check_deeply()?;
        self.lose_power(u64::MAX);
        self.open().map_err(failed("opening"))?;
        self.check_quickly().map(drop)
    }

    /// That no file has bytes of a clip that is gone (I13): each of its blocks is looked for.
    fn check_erased(&self) -> std::result::Result<(), Broken> {
        const BLOCK: [u8; 4096] = [0; 4096];
        let promises = self.promises();
        let gone = promises.gone.iter().filter_map(|id| Some((id, promises.clips.get(id)?)));
        let marks: HashMap<[u8; 8], ClipId> = gone
            .flat_map(|(id, clip)| {
                // Every recording begins with the same bytes.
                let own = clip.bytes.get(INIT.len()..).unwrap_or_default();
                let starts = own.chunks(4096).filter_map(<[u8]>::first_chunk);
                starts.map(|start| (*start, *id))
            })
            .collect();
        // Most words are none of them: told by their first two bytes, which costs little.
        let first = |word: &[u8]| usize::from(u16::from_le_bytes([word[0], word[1]]));
        let mut known = vec![false; 1 << 16];
        for mark in marks.keys() {
            known[first(mark)] = true;
        }
        for path in self.disk.files().iter().filter(|_| !marks.is_empty()) {
            let bytes = self.disk.contents(path).unwrap_or_default();
            // Most blocks were never written, and most words are no mark.
            let blocks = (0..bytes.len()).step_by(BLOCK.len());
            let blocks = blocks.map(|at| &bytes[at..bytes.len().min(at + BLOCK.len() + 7)]);
            let written = blocks.filter(|block| block[..block.len().min(BLOCK.len())] != BLOCK);
            let mut words =
                written.flat_map(|block| block.windows(8)).filter(|word| known[first(word)]);
            if let Some(id) = words.find_map(|word| marks.get(word)) {
                return Err(format!("{path} still has bytes of clip {id}, which is gone"));
            }
        }
        Ok(())
    }
}
