//! Holds: asked for, placed, narrowed and released, and what is promised by each.

use std::time::Duration;

use clipkeep::{
    HoldCause, HoldId, HoldReceipt, NewHold, Release, ReleaseCause, Result, Timestamp, Window,
};

use super::{World, camera, minute};
use crate::promises::{Asked, PromisedHold, Released};

impl World {
    /// The owner's own hold.
    pub(crate) fn hold(&mut self, name: &str, window: Window) -> Result<HoldId> {
        let hold = NewHold::new([camera(name)], window).cause(HoldCause::Keep);
        self.place(name, window, hold, Timestamp::MAX)
    }

    /// The owner's own hold, which ends by itself.
    pub(crate) fn hold_for(
        &mut self,
        name: &str,
        window: Window,
        duration: Duration,
    ) -> Result<HoldId> {
        let hold = NewHold::new([camera(name)], window).cause(HoldCause::Keep);
        let until = self.record().now.saturating_add(duration);
        self.place(name, window, hold.for_duration(duration), until)
    }

    /// A request of the police for what is recorded already.
    pub(crate) fn request(&mut self, name: &str, window: Window) -> Result<HoldId> {
        let hold = NewHold::new([camera(name)], window).cause(HoldCause::Request);
        self.place(name, window, hold.reference("case 19-4471"), Timestamp::MAX)
    }

    fn place(
        &mut self,
        name: &str,
        window: Window,
        hold: NewHold,
        until: Timestamp,
    ) -> Result<HoldId> {
        self.place_over(name, vec![window], hold, until).map(|receipt| receipt.id)
    }

    /// Places `hold`, which covers `windows` of a camera and may be over from `until` on.
    pub(super) fn place_over(
        &mut self,
        name: &str,
        windows: Vec<Window>,
        hold: NewHold,
        until: Timestamp,
    ) -> Result<HoldReceipt> {
        let camera = camera(name);
        self.ask(Asked::Hold { camera: camera.clone(), windows: windows.clone(), until });
        let receipt = self.store().place_hold(hold)?;
        let (wider, released, release) = (None, false, Released::No);
        let promised = PromisedHold { camera, windows, wider, until, released, release };
        self.answered(|promises| promises.holds.insert(receipt.id, promised));
        Ok(receipt)
    }

    /// The owner's hold over all of `windows`, in their order.
    pub(crate) fn hold_all(&mut self, name: &str, windows: Vec<Window>) -> Result<HoldId> {
        let mut hold = NewHold::new([camera(name)], windows[0]).cause(HoldCause::Keep);
        for window in &windows[1..] {
            hold = hold.also(&camera(name), *window);
        }
        self.place_over(name, windows, hold, Timestamp::MAX).map(|receipt| receipt.id)
    }

    /// A hold over many ranges, in which nothing was ever recorded: a long ledger entry.
    pub(crate) fn wide_hold(&mut self, round: u32) -> Result<HoldId> {
        let first = 10_000 + 2_000 * round;
        self.hold_all("porch", (0..900).map(|at| minute(first + 2 * at)).collect())
    }

    /// Narrows a hold of the owner to `window`, a part of it.
    pub(crate) fn narrow(&mut self, hold: HoldId, name: &str, window: Window) -> Result<()> {
        self.note(|promises| {
            let promised = promises.holds.get_mut(&hold).expect("it was placed");
            promised.wider = Some(std::mem::replace(&mut promised.windows, vec![window]));
        });
        let scope = vec![(camera(name), window)];
        self.store().narrow_hold(hold, scope, &Release::new(ReleaseCause::Owner, "Ann"))?;
        self.note(|promises| {
            promises.holds.get_mut(&hold).expect("it was placed").wider = None;
        });
        Ok(())
    }

    /// Releases a hold, whose `grace` begins now.
    pub(crate) fn release(
        &mut self,
        hold: HoldId,
        cause: ReleaseCause,
        grace: Duration,
    ) -> Result<()> {
        let until = self.record().now.saturating_add(grace);
        self.note(|promises| {
            let promised = promises.holds.get_mut(&hold).expect("it was placed");
            promised.release = Released::InDoubt { before: promised.until };
            (promised.until, promised.released) = (until, grace.is_zero());
        });
        self.store().release_hold(hold, &Release::new(cause, "Ann"))?;
        self.note(|promises| {
            promises.holds.get_mut(&hold).expect("it was placed").release = Released::Acknowledged;
        });
        Ok(())
    }
}
