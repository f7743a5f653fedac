//! What goes on by itself: time, the wall clock, the policy, and the sweep.

use std::time::Duration;

use clipkeep::{CameraId, ErrorKind, NewClip, PolicyScope, Retention, Timestamp, Window};

use super::check;
use super::deeds::{MINUTE, minutes};
use super::reference::AskedPolicy;
use super::run::{Checked, HOUR, Run, SEGMENT_AGE, camera, demand};
use super::step::{Pause, WallStep};

const YEAR: Duration = Duration::from_hours(365 * 24);

/// The retentions that `Step::Retain` chooses from, in minutes.
const RETENTIONS: [(u16, u16); 4] = [(60, 120), (120, 480), (1440, 4320), (10, 40)];

impl Run {
    pub(super) fn tick(&mut self, pause: Pause) -> Checked<String> {
        let before = self.store().now();
        self.pass(pause.duration());
        let now = self.store().now();
        demand(now >= before.saturating_add(pause.duration()), || {
            format!("trusted time went from {before} to {now} in {pause}")
        })?;
        Ok(String::new())
    }

    pub(super) fn step_wall(&mut self, step: WallStep) -> String {
        use clipkeep::Clock as _;
        let wall = self.clock.wall();
        let years = |count: u8| YEAR * u32::from(count);
        self.wall_stands = None;
        let to = match step {
            WallStep::Forward(by) => wall.saturating_add(by.duration()),
            WallStep::Back(by) => wall.saturating_sub(by.duration()),
            WallStep::YearsForward(count) => wall.saturating_add(years(count)),
            WallStep::YearsBack(count) => wall.saturating_sub(years(count)),
            WallStep::To1970 => Timestamp::EPOCH,
            WallStep::Freeze => {
                self.wall_stands = Some(wall);
                wall
            }
            WallStep::Right => self.right_time,
        };
        self.clock.step_wall(to);
        self.tally.count("wall clock steps");
        if matches!(self.store().clock_status(), clipkeep::ClockStatus::WallAhead { .. }) {
            self.tally.count("wall clocks not believed");
        }
        to.to_string()
    }

    pub(super) fn confirm_clock(&mut self) -> Checked<String> {
        use clipkeep::Clock as _;
        // Asked for is enough: whether it is on record will be seen.
        let wall = self.clock.wall().saturating_add(HOUR);
        self.reference.now_max = self.reference.now_max.max(wall);
        match self.store().confirm_clock("Ann") {
            Ok(now) => Ok(format!("it is {now}")),
            Err(error) => self.excuse(&error, "confirming the clock"),
        }
    }

    /// A camera goes. It records no more until it is added again; what it recorded, and the holds
    /// on it, stay as they are.
    pub(super) fn remove_camera(&mut self, of: u8) -> Checked<String> {
        let camera = camera(of);
        if self.recordings.iter().any(|recording| recording.camera == camera) {
            return Ok("it is recording".to_owned());
        }
        match self.store().remove_camera(&camera) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let clips = self.reference.clips.values();
                let known = clips.filter(|clip| clip.is_listed()).any(|clip| clip.camera == camera);
                demand(self.is_frozen || !known, || format!("camera {camera} is not known"))?;
                return Ok("nobody knows it".to_owned());
            }
            Err(error) => {
                self.away.insert(camera);
                return self.excuse(&error, "removing a camera");
            }
        }
        self.away.insert(camera.clone());
        self.tally.count("cameras removed");
        demand(!self.store().cameras().contains(&camera), || {
            format!("camera {camera} is removed and listed")
        })?;
        let window = Window::starting(self.reference.now, MINUTE).unwrap();
        let refused = self.store().append(NewClip::new(&camera, window), vec![0]);
        demand(refused.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound), || {
            format!("camera {camera} is removed and records: {refused:?}")
        })?;
        Ok(String::new())
    }

    /// Adds a camera again that may have been removed; an answer if that failed.
    pub(super) fn bring_back(&mut self, camera: &CameraId) -> Checked<Option<String>> {
        if !self.away.contains(camera) {
            return Ok(None);
        }
        match self.store().add_camera(camera) {
            Ok(()) => {
                self.away.remove(camera);
                Ok(None)
            }
            Err(error) => self.excuse(&error, "adding a camera again").map(Some),
        }
    }

    pub(super) fn retain(&mut self, of: Option<u8>, choice: u8, existing: bool) -> Checked<String> {
        let camera = of.map(camera);
        if let Some(camera) = &camera
            && let Some(excuse) = self.bring_back(camera)?
        {
            return Ok(excuse);
        }
        let (least, most) = RETENTIONS[usize::from(choice) % RETENTIONS.len()];
        let retention = Retention::new(minutes(least), minutes(most)).unwrap();
        let scope = if existing { PolicyScope::ExistingToo } else { PolicyScope::NewClips };
        let class = match &camera {
            Some(camera) if existing => self.class_of(camera),
            _ => None,
        };
        if existing && camera.is_none() {
            return Ok("not of all".to_owned());
        }
        match self.store().set_retention(camera.as_ref(), retention, scope) {
            Ok(()) => {
                check::policy_is_its_cameras_own(self, camera.as_ref(), class)?;
                self.reference.retain(camera, retention, class);
                self.tally.count("policies changed");
                if existing {
                    self.tally.count("policies of existing clips changed");
                }
                Ok(retention.to_string())
            }
            Err(error) if existing && error.kind() == ErrorKind::InvalidInput => {
                Ok("others have clips of that class".to_owned())
            }
            Err(error) => {
                self.reference.asked_policies.push(AskedPolicy { camera, retention, class });
                self.excuse(&error, "changing a policy")
            }
        }
    }

    /// The class that new clips of `camera` go to.
    fn class_of(&self, camera: &clipkeep::CameraId) -> Option<clipkeep::ClassId> {
        let stats = self.store().stats().ok()?;
        stats.cameras.into_iter().find(|found| found.camera == *camera).map(|found| found.class)
    }

    /// What is planned is what is done, and then what must be gone is gone.
    pub(super) fn sweep(&mut self) -> Checked<String> {
        self.tally.count("sweeps");
        let planned = self.store().plan_sweep();
        let listed = self.reference.clips.values().filter(|clip| clip.is_listed()).count();
        let segments = self.store().stats().map_or(0, |stats| stats.segments_open);
        let report = match self.store().sweep() {
            Ok(report) => report,
            Err(error) => {
                demand(error.kind() != ErrorKind::Corrupt || self.is_frozen, || {
                    format!("sweep: {error:?}")
                })?;
                if self.is_frozen {
                    self.tally.count("frozen deletions");
                }
                return self.excuse(&error, "sweep");
            }
        };
        demand(!self.is_frozen, || "I11: a sweep on an unreadable ledger".to_owned())?;
        let is_clean = report.problems.is_empty()
            && !self.is_troubled
            && self.armed.is_none()
            && report.segments_deferred == 0
            && report.clips_awaiting_readers == 0;
        demand(report.problems.is_empty() || self.may_have_problems(), || {
            format!("a sweep had problems: {:?}", report.problems)
        })?;
        self.look()?;
        let left = self.reference.clips.values().filter(|clip| clip.is_listed()).count();
        let open = self.store().stats().map_or(0, |stats| stats.segments_open);
        // What it sealed and the holds it ended were not in the plan of before.
        let planned = planned
            .ok()
            .filter(|_| open == segments && report.holds_lapsed == 0 && report.holds_ended == 0);
        check::sweep_did_what_it_planned(self, planned.as_ref(), &report, listed - left)?;
        check::leases_are_kept(self)?;
        self.tally.add("clips relocated", report.clips_moved);
        if is_clean {
            self.tally.count("clean sweeps");
            self.reference.swept(SEGMENT_AGE);
            check::due_is_gone(self)?;
            check::expired_is_on_no_disk(self)?;
        }
        check::chain_verifies(self)?;
        Ok(format!("{} clips expired, {} moved", report.clips_expired, report.clips_moved))
    }

    /// Whether parts of a sweep may fail for no fault of the store.
    pub(crate) fn may_have_problems(&self) -> bool {
        self.is_troubled || self.is_damaged || self.pressure().room_wanted
    }
}
