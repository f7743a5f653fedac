//! The owner's delete of single clips.

use crate::barrier::Barrier;
use crate::format::entry::Decision;
use crate::types::{Clip, ClipId, ClipState, Error, ErrorKind, HoldId, Result};

use super::policy::checked_text;
use super::{Inner, Store, SweepReport};

impl Store {
    /// Deletes a clip on its owner's word: it is gone from every interface when this returns. Its
    /// bytes go at once from a sealed segment that nobody reads it from; otherwise with a later
    /// sweep, at the latest one after the segment is sealed.
    ///
    /// # Errors
    ///
    /// `Held` when any hold covers it; as [`Store::clip`]; `InvalidInput` for a clip that is being
    /// recorded; `ReadOnly`; `Corrupt` when the ledger is unreadable.
    pub fn delete_clip(&self, id: ClipId, actor: &str, reason: &str) -> Result<()> {
        self.inner.delete(id, actor, reason, false)
    }

    /// The same where holds cover the clip ("deny and erase"): on this clip they end, and the
    /// ledger says so. An order does not end: what it covers stays.
    ///
    /// # Errors
    ///
    /// `Held` when an order covers it; otherwise as [`Store::delete_clip`].
    pub fn erase_clip(&self, id: ClipId, actor: &str, reason: &str) -> Result<()> {
        self.inner.delete(id, actor, reason, true)
    }

    /// Deletes several clips, with an outcome for each: one that cannot be deleted does not stop
    /// the others.
    #[must_use = "each clip has an outcome of its own"]
    pub fn delete_clips(
        &self,
        ids: &[ClipId],
        actor: &str,
        reason: &str,
    ) -> Vec<(ClipId, Result<()>)> {
        ids.iter().map(|id| (*id, self.delete_clip(*id, actor, reason))).collect()
    }
}

impl Inner {
    /// Takes the written part of a clip that could not be stored off again. Nobody was promised it,
    /// so no hold covers it. If that cannot be put on record, it is gone until the store is opened
    /// again, and then recovery judges it.
    pub(super) fn discard(&self, id: ClipId) {
        let mut ledger = self.ledger.lock();
        let located = self.locate(id);
        let discarded = located.and_then(|located| {
            let clip = &located.clip;
            self.decide_locked(&mut ledger, vec![never_whole(clip)])?;
            Ok(located)
        });
        let mut catalog = self.catalog.write();
        catalog.gone.insert(id);
        match discarded {
            Ok(located) => catalog.erase_later(&located),
            Err(error) => {
                drop(catalog);
                self.survived(error);
                return;
            }
        }
        drop(catalog);
        drop(ledger);
        self.erase_now();
    }

    fn delete(&self, id: ClipId, actor: &str, reason: &str, end_holds: bool) -> Result<()> {
        let actor = checked_text("actor", actor)?;
        let reason = checked_text("reason", reason)?;
        let mut ledger = self.ledger.lock();
        let located = self.locate(id)?;
        let clip = &located.clip;
        if clip.state == ClipState::Recording {
            let message = format!("delete clip {id}: it is being recorded, finish it first");
            return Err(Error::invalid(message));
        }
        let holds = self.history.read().holds.clone();
        let possible = clip.possible_window();
        let orders = holds.blocks_owner(&clip.camera, &possible);
        let ended_holds = holds.covering(&clip.camera, &possible);
        if !Barrier::DeleteOrders.test(orders.is_empty()) {
            return Err(held(id, &orders, "an order covers it, which its owner cannot end"));
        }
        if !end_holds && !Barrier::DeleteHolds.test(ended_holds.is_empty()) {
            return Err(held(id, &ended_holds, "to erase it all the same, end the holds on it"));
        }
        self.decide_locked(
            &mut ledger,
            vec![Decision::ClipDeleted {
                clip: id,
                camera: clip.camera.clone(),
                window: clip.window,
                ended_holds,
                actor,
                reason,
            }],
        )?;
        let mut catalog = self.catalog.write();
        catalog.gone.insert(id);
        catalog.erase_later(&located);
        drop(catalog);
        drop(ledger);
        self.erase_now();
        Ok(())
    }

    /// Erases what waits for it. The clips are gone; bytes that cannot be removed yet are tried
    /// again by the next sweep.
    fn erase_now(&self) {
        let mut report = SweepReport::default();
        let sweeping = self.sweeping.lock();
        self.erase_waiting(&mut report);
        drop(sweeping);
        report.problems.into_iter().for_each(|error| self.survived(error));
    }
}

/// Says that `clip` is gone because its writing was cut off.
pub(super) fn never_whole(clip: &Clip) -> Decision {
    Decision::ClipDeleted {
        clip: clip.id,
        camera: clip.camera.clone(),
        window: clip.window,
        ended_holds: Vec::new(),
        actor: String::new(),
        reason: "it was never stored whole".into(),
    }
}

fn held(id: ClipId, holds: &[HoldId], what: &str) -> Error {
    let ids: Vec<String> = holds.iter().map(HoldId::to_string).collect();
    Error::new(ErrorKind::Held, format!("delete clip {id}: held by {}; {what}", ids.join(", ")))
}
