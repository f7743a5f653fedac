//! The end of one process and the beginning of the next: closing, being killed, losing power.
//!
//! What was asked and not answered is settled here, by looking. Nothing acknowledged is given up.

use clipkeep::{HoldState, OpenReport};

use super::check;
use super::reference::{AskedPolicy, Fate, Hold, Span};
use super::run::{Broken, Checked, HOUR, Run, demand};
use super::step::Crash;
use crate::plug::Plug;

impl Run {
    /// Closes the store and opens it again.
    pub(crate) fn reopen(&mut self) -> Checked {
        self.tally.count("clean restarts");
        self.recordings.clear();
        self.leases.clear();
        let store = self.store.take().expect("it is open between steps");
        let closed = store.close();
        demand(closed.is_ok() || self.is_troubled, || format!("close: {closed:?}"))?;
        if self.plug.is_out() {
            let crash = self.armed.expect("a plug is only out when it was to be pulled");
            return self.crash(crash);
        }
        self.start_anew();
        let opening = self.open()?;
        self.settle_doubts(&opening)
    }

    /// The process ends at once, and another one opens the store.
    pub(crate) fn crash(&mut self, crash: Crash) -> Checked {
        self.tally.count(if crash.power { "power cuts" } else { "kills" });
        self.stop(crash);
        if let Some(changes) = crash.again_after {
            self.plug = Plug::new(&self.disk, u64::from(changes));
            self.reference.now_max = self.reference.now_max.saturating_add(HOUR);
            let interrupted = self.options().open("model");
            if interrupted.is_err() || self.plug.is_out() {
                self.tally.count("cut off inside a recovery");
            }
            self.store = interrupted.ok();
            self.stop(crash);
        }
        if crash.full {
            self.disk.set_capacity(self.used());
        }
        self.start_anew();
        let opening = self.open()?;
        let shown = check::shown(self)?;
        self.stop(Crash { power: false, ..crash });
        let again = self.open()?;
        if crash.full {
            self.disk.set_capacity(self.capacity);
        }
        check::recovery_is_idempotent(self, &shown, &again)?;
        self.settle_doubts(&opening)?;
        check::acknowledged_is_readable(self)?;
        check::chain_verifies(self)
    }

    /// Ends the process, and the power with it.
    pub(super) fn stop(&mut self, crash: Crash) {
        self.plug.pull();
        self.recordings.clear();
        self.leases.clear();
        self.store = None;
        self.disk.clear_faults();
        if crash.power {
            self.disk = self.disk.crash();
            self.clock.advance(crash.off.duration());
            self.right_time = self.right_time.saturating_add(crash.off.duration());
            if let Some(wall) = self.wall_stands {
                self.clock.step_wall(wall);
            }
            self.clock.reboot();
        }
        self.plug = Plug::new(&self.disk, u64::MAX);
    }

    /// The faults that were ordered are over.
    fn start_anew(&mut self) {
        self.disk.clear_faults();
        self.plug = Plug::new(&self.disk, u64::MAX);
        self.is_troubled = false;
        self.armed = None;
        self.reference.cut_off_recordings();
    }

    fn open(&mut self) -> Checked<OpenReport> {
        self.reference.now_max = self.reference.now_max.saturating_add(HOUR);
        let before = self.disk.stats().reads;
        let opened = self.options().open("model");
        let store = opened.map_err(|error| Broken(format!("I7: it does not open: {error:?}")))?;
        let opening = store.opening();
        self.store = Some(store);
        check::opening_reads_little(self, self.disk.stats().reads - before, &opening)?;
        check::opening_is_whole(self, &opening)?;
        Ok(opening)
    }

    /// What was asked and not answered is now known.
    fn settle_doubts(&mut self, opening: &OpenReport) -> Checked {
        check::time_is_not_forgotten(self)?;
        check::jumps_are_on_record(self)?;
        self.tally.add("repairs", u64::try_from(opening.repairs.len()).unwrap());
        if !self.is_frozen {
            self.settle_holds()?;
            self.settle_policies()?;
        }
        self.look()?;
        for clip in self.reference.clips.values_mut() {
            clip.unanswered = None;
            if clip.fate == Fate::Asked {
                clip.fate = Fate::Kept;
            }
        }
        self.reference.unstored.clear();
        Ok(())
    }

    fn settle_holds(&mut self) -> Checked {
        for found in self.store().holds() {
            let scope: Vec<_> =
                found.scope().iter().map(|(camera, w)| (camera.clone(), Span::of(*w))).collect();
            let state = found.state();
            let Some(hold) = self.reference.holds.get_mut(&found.id()) else {
                let same = |hold: &Hold| hold.cause == found.cause() && hold.scope == scope;
                let at = self.reference.unplaced.iter().position(same);
                let at = at.ok_or_else(|| Broken(format!("nobody placed hold {}", found.id())))?;
                let hold = self.reference.unplaced.remove(at);
                self.reference.holds.insert(found.id(), hold);
                self.tally.count("unanswered holds that were there");
                continue;
            };
            if let Some(asked) = hold.asked_scope.take()
                && asked == scope
            {
                hold.scope = asked;
            }
            demand(hold.scope == scope, || format!("I2: hold {} covers {scope:?}", found.id()))?;
            if let Some(until) = hold.asked_release.take() {
                let released = hold.released_until.get_or_insert(until);
                match state {
                    HoldState::Active => hold.released_until = None,
                    HoldState::Grace { until } => {
                        (*released, hold.end_set) = (until, hold.asked_at);
                    }
                    HoldState::Ended => {}
                }
            }
            if let Some(deadline) = hold.asked_deadline.take()
                && found.deadline() == deadline
            {
                (hold.deadline, hold.renewals) = (deadline, hold.renewals + 1);
                hold.end_set = hold.asked_at;
            }
            demand(hold.deadline == found.deadline(), || {
                format!("I2: hold {} ends {}", found.id(), found.deadline())
            })?;
        }
        self.reference.unplaced.clear();
        Ok(())
    }

    fn settle_policies(&mut self) -> Checked {
        let asked: Vec<AskedPolicy> = self.reference.asked_policies.drain(..).collect();
        for AskedPolicy { camera, retention, class } in asked {
            if self.store().retention(camera.as_ref()) == retention {
                self.reference.retain(camera, retention, class);
            }
        }
        check::policies_are_kept(self)
    }
}
