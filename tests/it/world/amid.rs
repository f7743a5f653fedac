//! Something that happens while a call of the store is under way, between two changes of its disk.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use clipkeep::{ClipId, MissedReason, Result, Timestamp, Window};

use super::{World, camera};
use crate::promises::Promises;

/// Segments, and what they are made of. While one of them is changed nobody has the ledger in hand.
const SEGMENTS: [&str; 2] = ["segments", "spare/"];

/// What the hold came to, if its moment came.
type Placed = Arc<Mutex<Option<Result<()>>>>;

impl World {
    /// Sweeps, and places a hold before change number `nth` of a segment that the sweep makes.
    /// Answers whether the sweep made as many.
    pub(crate) fn sweep_with_hold(&mut self, nth: u64, name: &str, window: Window) -> Result<bool> {
        let placed: Placed = Arc::default();
        let (answer, name) = (Arc::clone(&placed), name.to_owned());
        let mut beside = World {
            disk: self.disk.clone(),
            plug: self.plug.clone(),
            record: Arc::clone(&self.record),
            store: Some(self.store().clone()),
        };
        let act = move || *answer.lock().unwrap() = Some(beside.hold_amid(&name, window));
        self.plug.before_change(&SEGMENTS, nth, act);
        let swept = self.sweep();
        // Whether it came or not: what waits has a store open.
        self.plug.forget_change();
        swept?;
        let placed = placed.lock().unwrap().take();
        placed.map_or(Ok(false), |placed| placed.map(|()| true))
    }

    /// Places a hold, and notes as gone what was gone before it: the receipt must say so.
    fn hold_amid(&mut self, name: &str, window: Window) -> Result<()> {
        let before = self.promises();
        let gone = self.gone_in(&before, name, window);
        let hold = clipkeep::NewHold::new([camera(name)], window);
        let receipt = self.place_over(name, vec![window], hold, Timestamp::MAX)?;
        for id in &gone {
            let clip = &before.clips[id];
            assert!(before.may_go(*id, clip), "clip {id} went before its time");
            let missed = receipt.missed.iter().find(|missed| missed.window.meets(&clip.window));
            let reason = missed.map(|missed| missed.reason);
            assert_eq!(reason, Some(MissedReason::Expired), "the receipt does not tell of {id}");
        }
        self.note(|promises| promises.gone.extend(gone));
        Ok(())
    }

    /// The clips of a camera in `window` that cannot be read any more.
    fn gone_in(&self, promises: &Promises, name: &str, window: Window) -> BTreeSet<ClipId> {
        let camera = camera(name);
        let clips = promises.clips.iter();
        let meant = clips.filter(|(_, clip)| clip.camera == camera && clip.window.meets(&window));
        meant.map(|(id, _)| *id).filter(|id| self.store().clip(*id).is_err()).collect()
    }
}
