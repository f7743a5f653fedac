//! Cameras and the retention of their clips: classes.
//!
//! Cameras with the same retention share a class, and a class its segments, so that a file expires
//! as one. A clip keeps the class it was recorded under.

use std::collections::BTreeSet;

use crate::format::entry::{Decision, TEXT_BYTES_MAX};
use crate::retention::Retention;
use crate::types::{CameraId, ClassId, Error, ErrorKind, Result};

use super::{Inner, Store};

/// The most cameras of one store, removed ones included.
const CAMERAS_MAX: usize = 65_536;
/// The most classes of one store.
const CLASSES_MAX: u16 = 1_024;

/// Which clips a change of retention is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PolicyScope {
    /// Clips that are recorded from now on. What is recorded already keeps its retention.
    NewClips,
    /// Also clips that were recorded before, as far as they are of the class that new clips go to:
    /// a shorter retention may make some of them due at once. This is the confirmation that a
    /// policy change otherwise never shortens their life.
    ExistingToo,
}

impl Store {
    /// How long new clips are kept: of `camera`, or of cameras without a retention of their own.
    #[must_use]
    pub fn retention(&self, camera: Option<&CameraId>) -> Retention {
        let history = self.inner.history.read();
        history.retention_of(history.class_of(camera))
    }

    /// Changes how long clips are kept: of `camera`, or of cameras without a retention of their
    /// own.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when `scope` is `ExistingToo` and cameras that the change is not for record
    /// into the same class or ever did, so that their clips may be in it; `ReadOnly`; `Corrupt`
    /// when the ledger is unreadable.
    ///
    /// # Durability
    ///
    /// On record when this returns.
    pub fn set_retention(
        &self,
        camera: Option<&CameraId>,
        retention: Retention,
        scope: PolicyScope,
    ) -> Result<()> {
        let mut ledger = self.inner.ledger.lock();
        let known = self.inner.known_cameras();
        let decisions = {
            let history = self.inner.history.read();
            let current = history.class_of(camera);
            match scope {
                PolicyScope::ExistingToo => {
                    let others = history.sharing(current, camera);
                    if others > 0 {
                        return Err(Error::invalid(format!(
                            "set retention of existing clips: class {current} has or had \
                             {others} other cameras or defaults; change new clips instead"
                        )));
                    }
                    vec![class_set(current, retention)]
                }
                PolicyScope::NewClips => {
                    let class = history.class_with(retention)?;
                    let assign = Decision::CameraClass { camera: camera.cloned(), class };
                    let mut decisions = vec![class_set(class, retention), assign];
                    if let Some(camera) = camera
                        && known.contains(camera)
                        && !history.cameras.contains(camera)
                    {
                        // A crash lost that it was known, and it has clips of the default class.
                        let camera = camera.clone();
                        decisions.insert(0, Decision::CameraHidden { camera, hidden: false });
                    }
                    decisions
                }
            }
        };
        self.inner.decide_locked(&mut ledger, decisions).map(drop)
    }

    /// The cameras of the store, without removed ones, by id.
    #[must_use]
    pub fn cameras(&self) -> Vec<CameraId> {
        let known = self.inner.known_cameras();
        let history = self.inner.history.read();
        known.into_iter().filter(|camera| !history.hidden.contains(camera)).collect()
    }

    /// Makes a camera known before its first clip, so that holds can name it; brings a removed one
    /// back.
    ///
    /// # Errors
    ///
    /// `InvalidInput` above 65,536 cameras; `ReadOnly`; `Corrupt` when the ledger is unreadable.
    pub fn add_camera(&self, camera: &CameraId) -> Result<()> {
        let known = self.inner.known_cameras();
        let hidden = self.inner.history.read().hidden.contains(camera);
        if known.contains(camera) && !hidden {
            return Ok(());
        }
        check_camera_count(known.len())?;
        let camera = camera.clone();
        self.inner.decide(vec![Decision::CameraHidden { camera, hidden: false }]).map(drop)
    }

    /// Removes a camera: it is listed no more and records no more. Its clips live out their time,
    /// and holds on them stay: a hold binds the camera's id.
    ///
    /// # Errors
    ///
    /// `NotFound` for an unknown camera; `ReadOnly`; `Corrupt` when the ledger is unreadable.
    pub fn remove_camera(&self, camera: &CameraId) -> Result<()> {
        self.inner.check_camera(camera)?;
        let camera = camera.clone();
        self.inner.decide(vec![Decision::CameraHidden { camera, hidden: true }]).map(drop)
    }
}

impl Inner {
    /// Every camera that ever was, by id.
    pub(super) fn known_cameras(&self) -> BTreeSet<CameraId> {
        let mut known = self.history.read().cameras.clone();
        known.extend(self.catalog.read().timelines.cameras().into_iter().cloned());
        known
    }

    /// Refuses cameras that the store does not know.
    pub(super) fn check_camera(&self, camera: &CameraId) -> Result<()> {
        let known = self.history.read().cameras.contains(camera)
            || self.catalog.read().timelines.knows(camera);
        if known {
            return Ok(());
        }
        Err(Error::new(ErrorKind::NotFound, format!("camera {camera}: the store does not know it")))
    }

    /// Called before a clip of `camera` is recorded: a new camera becomes known, a removed one is
    /// refused.
    pub(super) fn welcome_camera(&self, camera: &CameraId) -> Result<()> {
        {
            let history = self.history.read();
            if history.hidden.contains(camera) {
                return Err(Error::new(
                    ErrorKind::NotFound,
                    format!("record camera {camera}: it was removed, add it again first"),
                ));
            }
            if history.cameras.contains(camera) {
                return Ok(());
            }
        }
        check_camera_count(self.known_cameras().len())?;
        // Lost in a crash, it is known again from the clip it is for.
        self.note(Decision::CameraHidden { camera: camera.clone(), hidden: false });
        Ok(())
    }
}

impl super::history::History {
    /// How many cameras besides `camera` may have clips of `class`: all whose new clips ever went
    /// there. The cameras without a class of their own count as one, and are what `None` is for.
    fn sharing(&self, class: ClassId, camera: Option<&CameraId>) -> usize {
        let users = self.past_classes.iter().filter(|(_, past)| past.contains(&class));
        users.filter(|(user, _)| user.as_ref() != camera).count()
    }

    /// The class with this retention, or the number of a new one.
    fn class_with(&self, retention: Retention) -> Result<ClassId> {
        let known = self.classes.iter().find(|(_, known)| **known == retention);
        let next = self.classes.keys().next_back().map_or(0, |class| class.0 + 1);
        match known {
            Some((class, _)) => Ok(*class),
            None if next < CLASSES_MAX => Ok(ClassId(next)),
            None => Err(Error::invalid(format!("set retention: {CLASSES_MAX} classes are in use"))),
        }
    }
}

/// The entry that gives `class` its retention.
pub(super) fn class_set(class: ClassId, retention: Retention) -> Decision {
    let us =
        |duration: std::time::Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let (at_least_us, at_most_us) = (us(retention.at_least()), us(retention.at_most()));
    Decision::ClassSet { class, at_least_us, at_most_us }
}

fn check_camera_count(known: usize) -> Result<()> {
    if known < CAMERAS_MAX {
        return Ok(());
    }
    Err(Error::invalid(format!("add camera: the store has {CAMERAS_MAX}, and takes no more")))
}

/// A text that may go on record.
pub(super) fn checked_text(name: &str, text: &str) -> Result<String> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Error::invalid(format!(
            "{name} of {} bytes: above {TEXT_BYTES_MAX}",
            text.len()
        )));
    }
    if text.chars().any(char::is_control) {
        return Err(Error::invalid(format!("{name} {text:?}: has control characters")));
    }
    Ok(text.to_owned())
}
