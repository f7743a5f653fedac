//! What a store was heard to promise, and whether it still keeps it.
//!
//! Written from acknowledgements alone, by `World`: nothing here asks the store what it promised.
//! An
//! operation that was cut off is in doubt: it may have happened or not, and from the next opening
//! on it must stay what it turned out to be.
//!
//! The invariants of TESTING.md that `check` asserts: acknowledged clips are readable and
//! byte-identical (I1), held ones too (I2), nothing goes before its time (I3), what is listed is
//! what is readable (I5), no damage is reported where there is none (I6), what expired stays gone
//! (I13), the ledger replays to its end (I14).

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use bytes::Bytes;
use clipkeep::{
    CameraId, Clip, ClipId, ClipState, ErrorKind, HoldId, Retention, Store, Timestamp, Window,
};

use crate::world::always;

/// Why a store does not keep what it promised, in a sentence.
pub(crate) type Broken = String;

/// A clip that was acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Promised {
    pub(crate) camera: CameraId,
    pub(crate) window: Window,
    /// What was acknowledged: all of it, or the beginning of a recording.
    pub(crate) bytes: Bytes,
    pub(crate) whole: bool,
    pub(crate) received: Timestamp,
    pub(crate) retention: Retention,
}

/// A hold that was acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct PromisedHold {
    pub(crate) camera: CameraId,
    /// What it surely covers.
    pub(crate) windows: Vec<Window>,
    /// What it was before it was asked to be narrowed.
    pub(crate) wider: Option<Vec<Window>>,
    /// From when on it may be over.
    pub(crate) until: Timestamp,
    /// It was asked to end at once.
    pub(crate) released: bool,
    pub(crate) release: Released,
}

/// How far the release of a hold has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Released {
    No,
    /// Asked for, without an answer: it may still end when it was to end before.
    InDoubt {
        before: Timestamp,
    },
    Acknowledged,
}

/// An operation without an answer.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    Append {
        camera: CameraId,
        window: Window,
        bytes: Bytes,
    },
    /// To be added to the recording `clip`, or, without one, the beginning of another.
    Fragment {
        clip: Option<ClipId>,
        camera: CameraId,
        bytes: Bytes,
    },
    Hold {
        camera: CameraId,
        windows: Vec<Window>,
        /// From when on it may be over.
        until: Timestamp,
    },
    Delete {
        clip: ClipId,
    },
    Retention {
        camera: CameraId,
        retention: Retention,
    },
    Hide,
}

#[derive(Clone, Debug)]
pub(crate) struct Promises {
    pub(crate) cameras: BTreeSet<CameraId>,
    pub(crate) clips: BTreeMap<ClipId, Promised>,
    /// Acknowledged as gone.
    pub(crate) gone: BTreeSet<ClipId>,
    pub(crate) holds: BTreeMap<HoldId, PromisedHold>,
    pub(crate) retentions: BTreeMap<CameraId, Retention>,
    pub(crate) hidden: BTreeSet<CameraId>,
    pub(crate) asked: Vec<Asked>,
    /// When an operation that may expire clips last began.
    pub(crate) swept: Timestamp,
    /// There was not room for everything, so that clips may go before their longest time.
    pub(crate) tight: bool,
    /// The test has damaged the disk: the store may tell of it, and must lose nothing by it.
    pub(crate) damaged: bool,
    /// Changes with every promise.
    pub(crate) version: u64,
}

/// What a store shows: everything that a person can find in it.
#[derive(Debug)]
pub(crate) struct Seen {
    clips: BTreeMap<ClipId, (Clip, Bytes)>,
    holds: BTreeMap<HoldId, (CameraId, Vec<Window>)>,
    /// Those of them that were released.
    released: BTreeSet<HoldId>,
    retentions: BTreeMap<CameraId, Retention>,
    cameras: BTreeSet<CameraId>,
}

/// Fails with a sentence unless `holds`.
fn require(holds: bool, what: impl FnOnce() -> Broken) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(what()) }
}

impl Promises {
    pub(crate) fn new(start: Timestamp) -> Self {
        Self {
            cameras: BTreeSet::new(),
            clips: BTreeMap::new(),
            gone: BTreeSet::new(),
            holds: BTreeMap::new(),
            retentions: BTreeMap::new(),
            hidden: BTreeSet::new(),
            asked: Vec::new(),
            swept: start,
            tight: false,
            damaged: false,
            version: 0,
        }
    }

    /// Whether `clip` may be gone: its owner asked for that, or it is due, no hold covers it, and
    /// something that expires has run since.
    pub(crate) fn may_go(&self, id: ClipId, clip: &Promised) -> bool {
        let asked = |asked: &Asked| matches!(asked, Asked::Delete { clip } if *clip == id);
        self.asked.iter().any(asked) || (self.is_due(clip, self.swept) && !self.is_held(clip))
    }

    fn is_due(&self, clip: &Promised, now: Timestamp) -> bool {
        let kept = if self.tight { clip.retention.at_least() } else { clip.retention.at_most() };
        clip.received.saturating_add(kept) <= now
    }

    fn is_held(&self, clip: &Promised) -> bool {
        self.holds.values().any(|hold| {
            let meets = hold.windows.iter().any(|window| window.meets(&clip.window));
            hold.camera == clip.camera && meets && self.swept < hold.until
        })
    }

    /// Everything that was promised, compared with what an opened store shows.
    pub(crate) fn check(&self, store: &Store) -> Result<Seen, Broken> {
        let opening = store.opening();
        // That there is no room to go on with something is no damage.
        let damage = opening.problems.iter().any(|error| error.kind() != ErrorKind::Full);
        require(self.damaged || !damage, || {
            format!("opening tells of damage where there is none: {:?}", opening.problems)
        })?;
        require(opening.deletion_frozen.is_none(), || {
            format!("deletion is frozen: {:?}", opening.deletion_frozen)
        })?;
        self.check_reads(store)
    }

    /// The same for a store whose disk may have failed in between.
    pub(crate) fn check_reads(&self, store: &Store) -> Result<Seen, Broken> {
        let seen = Seen::of(store, &self.cameras)?;
        for (id, clip) in &self.clips {
            self.check_clip(store, *id, clip, &seen)?;
        }
        for (id, (clip, bytes)) in &seen.clips {
            if !self.clips.contains_key(id) {
                self.check_unanswered(clip, bytes)?;
            }
        }
        self.check_holds(store, &seen)?;
        self.check_policy(&seen)?;
        Ok(seen)
    }

    fn check_clip(
        &self,
        store: &Store,
        id: ClipId,
        clip: &Promised,
        seen: &Seen,
    ) -> Result<(), Broken> {
        if let Some((shown, bytes)) = seen.clips.get(&id) {
            require(!self.gone.contains(&id), || format!("clip {id} is gone and is shown again"))?;
            require(shown.camera() == &clip.camera, || format!("clip {id} changed its camera"))?;
            if clip.whole {
                require(*bytes == clip.bytes, || format!("acknowledged clip {id} changed"))?;
                return require(shown.window() == clip.window, || {
                    format!("clip {id} changed its window to {:?}", shown.window())
                });
            }
            require(bytes.starts_with(&clip.bytes), || format!("recording {id} lost bytes"))?;
            let with_fragment = self.with_fragment_in_doubt(id, &clip.bytes);
            return require(*bytes == clip.bytes || *bytes == with_fragment, || {
                format!("recording {id} has other bytes")
            });
        }
        let Err(error) = store.read(id).and_then(|reader| reader.to_vec()) else {
            return Err(format!("clip {id} can be read but is not listed"));
        };
        let gone = matches!(error.kind(), ErrorKind::Expired | ErrorKind::NotFound);
        require(gone && (self.gone.contains(&id) || self.may_go(id, clip)), || {
            format!("acknowledged clip {id} is lost: {error}")
        })
    }

    fn with_fragment_in_doubt(&self, id: ClipId, bytes: &[u8]) -> Bytes {
        let more = self.asked.iter().find_map(|asked| match asked {
            Asked::Fragment { clip: Some(clip), bytes, .. } if *clip == id => Some(bytes.clone()),
            _ => None,
        });
        [bytes, more.as_deref().unwrap_or_default()].concat().into()
    }

    /// A clip that nobody was promised must be one that somebody asked for, and whole.
    fn check_unanswered(&self, clip: &Clip, shown: &[u8]) -> Result<(), Broken> {
        let asked = self.asked.iter().any(|asked| match asked {
            Asked::Append { camera, window, bytes } => {
                let complete = clip.state() == ClipState::Complete && clip.window() == *window;
                clip.camera() == camera && *shown == bytes[..] && complete
            }
            Asked::Fragment { clip: None, camera, bytes } => {
                clip.camera() == camera && *shown == bytes[..]
            }
            _ => false,
        });
        require(asked, || {
            format!("clip {} of {} bytes is shown, which nobody stored", clip.id(), shown.len())
        })
    }

    fn check_holds(&self, store: &Store, seen: &Seen) -> Result<(), Broken> {
        for (id, promised) in &self.holds {
            let hold = store.hold(*id).map_err(|error| format!("hold {id} is lost: {error}"))?;
            require(hold.protects() || promised.released || promised.until <= self.swept, || {
                format!("hold {id} ended by itself")
            })?;
            let lost = promised.release == Released::Acknowledged && !seen.released.contains(id);
            require(!lost, || format!("the release of hold {id} is lost"))?;
            let (camera, windows) = &seen.holds[id];
            let same = *windows == promised.windows || Some(windows) == promised.wider.as_ref();
            require(*camera == promised.camera && same, || {
                format!("hold {id} covers something else: {windows:?}")
            })?;
        }
        for (id, (of, shown)) in seen.holds.iter().filter(|(id, _)| !self.holds.contains_key(id)) {
            let asked = self.asked_until(of, shown).is_some();
            require(asked, || format!("hold {id} is there, which nobody placed"))?;
        }
        Ok(())
    }

    /// From when on the hold in doubt over `windows` of `camera` may be over.
    fn asked_until(&self, camera: &CameraId, windows: &[Window]) -> Option<Timestamp> {
        self.asked.iter().find_map(|asked| match asked {
            Asked::Hold { camera: of, windows: asked, until } if of == camera => {
                (asked == windows).then_some(*until)
            }
            _ => None,
        })
    }

    fn check_policy(&self, seen: &Seen) -> Result<(), Broken> {
        for (camera, promised) in &self.retentions {
            let shown = seen.retentions[camera];
            let asked = self.asked.iter().any(|asked| {
                matches!(asked, Asked::Retention { camera: of, retention }
                    if of == camera && *retention == shown)
            });
            require(shown == *promised || asked, || {
                format!("the retention of {camera} is {shown:?}, it was set to {promised:?}")
            })?;
        }
        let shown = self.hidden.iter().find(|camera| seen.cameras.contains(camera));
        require(shown.is_none(), || format!("removed camera {shown:?} is back"))
    }

    /// What a store promises that has shown `seen`: what was in doubt is so no more.
    pub(crate) fn settled(&self, seen: &Seen) -> Self {
        let mut settled = self.clone();
        for (id, (clip, bytes)) in &seen.clips {
            let (camera, window) = (clip.camera().clone(), clip.window());
            let known = self.clips.get(id);
            let promised = Promised {
                camera,
                window,
                bytes: bytes.clone(),
                whole: true,
                received: known.map_or(self.swept, |known| known.received),
                retention: known.map_or_else(usual, |known| known.retention),
            };
            settled.clips.insert(*id, promised);
        }
        let lost = self.clips.keys().filter(|id| !seen.clips.contains_key(id));
        settled.gone.extend(lost.copied());
        for (id, (camera, windows)) in &seen.holds {
            let known = self.holds.get(id);
            let until = known.map(|known| known.until);
            let until = until.or_else(|| self.asked_until(camera, windows));
            let mut until = until.unwrap_or(Timestamp::MAX);
            let mut released = known.is_some_and(|known| known.released);
            let mut release = known.map_or(Released::No, |known| known.release);
            if let Released::InDoubt { before } = release {
                if seen.released.contains(id) {
                    release = Released::Acknowledged;
                } else {
                    (until, released, release) = (before, false, Released::No);
                }
            }
            let (camera, windows) = (camera.clone(), windows.clone());
            let hold = PromisedHold { camera, windows, wider: None, until, released, release };
            settled.holds.insert(*id, hold);
        }
        for (camera, retention) in &mut settled.retentions {
            *retention = seen.retentions[camera];
        }
        settled.asked.clear();
        let mut version = DefaultHasher::new();
        let shown: Vec<_> = settled.clips.iter().map(|(id, clip)| (id, clip.bytes.len())).collect();
        (self.version, shown, &settled.gone).hash(&mut version);
        settled.holds.keys().for_each(|id| id.hash(&mut version));
        settled.version = version.finish();
        settled
    }

    /// Asserts that all is gone that is due by `now` and that nobody holds (I4).
    pub(crate) fn check_expired(&self, now: Timestamp) -> Result<(), Broken> {
        let late = self.clips.iter().find(|(id, clip)| {
            let kept = clip.retention.at_most();
            let due = clip.received.saturating_add(kept) <= now;
            due && !self.gone.contains(id) && !self.is_held(clip)
        });
        require(late.is_none(), || {
            format!(
                "clip {} is due and still there",
                late.map_or(String::new(), |(id, _)| id.to_string())
            )
        })
    }
}

impl Seen {
    fn of(store: &Store, cameras: &BTreeSet<CameraId>) -> Result<Self, Broken> {
        let mut clips = BTreeMap::new();
        for camera in cameras {
            let listed = store.clips(camera, always());
            for clip in listed.map_err(|error| format!("clips cannot be listed: {error}"))? {
                let id = clip.id();
                let bytes = store.read(id).and_then(|reader| reader.to_vec());
                let bytes = bytes.map_err(|error| format!("listed clip {id}: {error}"))?;
                let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                require(clip.len() == len, || format!("clip {id} has {len} bytes, not as listed"))?;
                clips.insert(id, (clip, bytes.into()));
            }
        }
        let holds = store.holds().into_iter().map(|hold| {
            let windows = hold.scope().iter().map(|(_, window)| *window).collect();
            (hold.id(), (hold.scope()[0].0.clone(), windows))
        });
        let ended = store.holds().into_iter().filter(|hold| hold.released_at().is_some());
        let released = ended.map(|hold| hold.id()).collect();
        let known: BTreeSet<CameraId> = store.cameras().into_iter().collect();
        let retention = |camera: &CameraId| (camera.clone(), store.retention(Some(camera)));
        Ok(Self {
            clips,
            holds: holds.collect(),
            released,
            retentions: cameras.iter().map(retention).collect(),
            cameras: known,
        })
    }
}

/// How long a clip is kept when nothing else was said.
pub(crate) fn usual() -> Retention {
    Retention::new(Duration::from_hours(1), Duration::from_hours(2)).expect("in order")
}
