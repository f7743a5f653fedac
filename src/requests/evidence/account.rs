//! What entries of a ledger say of the promise to keep the footage of one camera.
//!
//! Whoever makes a retention proof picks the entries with it, and whoever checks the proof counts
//! them with the same. It judges by the times in the entries, not by the reasons that they state.
//!
//! Footage is in segments, each of one class: every camera belongs to one class at a time, and a
//! segment is expired as a whole. So a segment that went too early counts, whether it had a clip of
//! this camera or of another one of its class: nobody can tell once it is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use crate::format::entry::{Decision, Entry, ExpiryReason};
use crate::types::CatchUps;
use crate::{CameraId, ClassId, ClipId, Retention, SegmentId, Timestamp, Window};

/// What became of the footage that a store received from one camera in a period.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetentionAccount {
    /// The camera.
    pub camera: CameraId,
    /// When the store received the footage.
    pub period: Window,
    /// Whether the ledger knows the camera.
    pub known: bool,
    /// Segments that can have footage of it, and that were there at the checkpoint.
    pub kept: BTreeSet<SegmentId>,
    /// Those whose clips were expired once the promised time was over.
    pub expired: BTreeSet<SegmentId>,
    /// Those that went before: the promise was broken.
    pub early: Vec<EarlyEviction>,
    /// Clips of the camera that their owner deleted: no promise of the store is broken by that.
    pub deleted: Vec<(ClipId, Timestamp)>,
    /// How many entries the ledger lost before it was repaired: what they said is not known.
    pub lost_entries: u64,
    classes: BTreeSet<ClassId>,
    default_class: Option<ClassId>,
    own_class: Option<ClassId>,
    promises: BTreeMap<ClassId, Vec<(Timestamp, Duration)>>,
    sealed: BTreeMap<SegmentId, ClassId>,
    /// Segments of other classes, or of another time.
    others: BTreeSet<SegmentId>,
    /// Per class: the newest footage in the segment that was sealed last.
    newest: BTreeMap<ClassId, Timestamp>,
    /// How far trusted time lagged, and when.
    catch_ups: CatchUps,
}

/// What an entry says of a segment that was expired.
struct Went {
    segment: SegmentId,
    stated: ExpiryReason,
    clips: u64,
    bytes: u64,
    newest: Timestamp,
}

/// Footage that was expired before its promised time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EarlyEviction {
    /// The segment that had it.
    pub segment: SegmentId,
    /// When that was put on record.
    pub at: Timestamp,
    /// Until when its newest clip was promised to be kept.
    pub promised_until: Timestamp,
    /// How many clips went, of all cameras of the class.
    pub clips: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Why.
    pub reason: EarlyReason,
}

/// Why footage was expired before its promised time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EarlyReason {
    /// The disk was full, and the store was told to drop the oldest then.
    NoRoom,
    /// The retention was shortened after the footage had come.
    Shortened,
}

impl fmt::Display for EarlyReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NoRoom => "there was no room",
            Self::Shortened => "the retention had been shortened",
        })
    }
}

impl RetentionAccount {
    /// An account of nothing yet.
    pub(super) fn new(camera: CameraId, period: Window) -> Self {
        Self {
            camera,
            period,
            known: false,
            kept: BTreeSet::new(),
            expired: BTreeSet::new(),
            early: Vec::new(),
            deleted: Vec::new(),
            lost_entries: 0,
            classes: [ClassId(0)].into(),
            default_class: None,
            own_class: None,
            promises: BTreeMap::new(),
            sealed: BTreeMap::new(),
            others: BTreeSet::new(),
            newest: BTreeMap::new(),
            catch_ups: CatchUps::default(),
        }
    }

    /// Whether everything was kept for as long as promised, as far as the entries say.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.early.is_empty() && self.lost_entries == 0
    }

    /// Takes in the next entry; whether it says anything of this. Those that do not change nothing.
    pub(super) fn take(&mut self, entry: &Entry) -> bool {
        match &entry.decision {
            Decision::ClassSet { class, at_least_us, .. } => {
                let promise = (entry.at, Duration::from_micros(*at_least_us));
                self.promises.entry(*class).or_default().push(promise);
            }
            Decision::CameraClass { camera: None, class } => {
                self.default_class = Some(*class);
                self.note_class(entry.at);
            }
            Decision::CameraClass { camera: Some(camera), class } if *camera == self.camera => {
                (self.own_class, self.known) = (Some(*class), true);
                self.note_class(entry.at);
            }
            Decision::CameraHidden { camera, .. } if *camera == self.camera => self.known = true,
            Decision::SegmentSealed { segment, class, newest_received, .. } => {
                return self.seal(*segment, *class, *newest_received);
            }
            Decision::SegmentExpired { segment, reason, clips, bytes, newest_received } => {
                let went = Went {
                    segment: *segment,
                    stated: *reason,
                    clips: *clips,
                    bytes: *bytes,
                    newest: *newest_received,
                };
                return self.expire(entry.at, &went);
            }
            Decision::ClipDeleted { clip, camera, window, .. }
                if *camera == self.camera && window.meets(&self.period) =>
            {
                self.deleted.push((*clip, entry.at));
            }
            Decision::LedgerRepaired { lost, .. } => {
                // That none is known to be lost does not say that none is.
                self.lost_entries = self.lost_entries.saturating_add((*lost).max(1));
            }
            Decision::ClockCaughtUp(jump) => {
                self.catch_ups.add(*jump);
            }
            _ => return false,
        }
        true
    }

    /// The camera's clips go to another class from `at` on.
    fn note_class(&mut self, at: Timestamp) {
        let class = self.own_class.or(self.default_class).unwrap_or(ClassId(0));
        if at <= self.period.start() {
            self.classes.clear();
        }
        if at < self.period.end() {
            self.classes.insert(class);
        }
    }

    fn seal(&mut self, segment: SegmentId, class: ClassId, newest: Timestamp) -> bool {
        // A segment holds what came after the one before it was full.
        let before = self.newest.get(&class).copied().unwrap_or(Timestamp::MIN);
        let meets = newest >= self.period.start() && before < self.period.end();
        if !self.classes.contains(&class) || !meets {
            self.others.insert(segment);
            return false;
        }
        self.newest.insert(class, newest.max(before));
        self.sealed.insert(segment, class);
        self.kept.insert(segment);
        true
    }

    fn expire(&mut self, at: Timestamp, went: &Went) -> bool {
        let newest = went.newest;
        let promised = match self.sealed.get(&went.segment) {
            Some(class) => self.promise(*class, newest, at),
            // It was never sealed, so nothing says of which class it was: the longest counts.
            None if newest >= self.period.start() && !self.others.contains(&went.segment) => {
                let promises = self.classes.iter().map(|class| self.promise(*class, newest, at));
                promises.max().unwrap_or_default()
            }
            None => return false,
        };
        // What came while trusted time lagged is younger than its stamp.
        let promised_until = self.catch_ups.corrected(newest).saturating_add(promised);
        self.kept.remove(&went.segment);
        if at >= promised_until || went.clips == 0 {
            self.expired.insert(went.segment);
            return true;
        }
        self.early.push(EarlyEviction {
            segment: went.segment,
            at,
            promised_until,
            clips: went.clips,
            bytes: went.bytes,
            reason: match went.stated {
                ExpiryReason::Early => EarlyReason::NoRoom,
                _ => EarlyReason::Shortened,
            },
        });
        true
    }

    /// The longest that was promised to footage of `class` from when it came until it went.
    fn promise(&self, class: ClassId, came: Timestamp, went: Timestamp) -> Duration {
        let Some(promises) = self.promises.get(&class) else {
            // As the store does: what is not known deletes nothing.
            return Retention::longest().at_least();
        };
        let first = promises.iter().rposition(|(at, _)| *at <= came).unwrap_or(0);
        let since = promises.iter().skip(first).filter(|(at, _)| *at <= went.max(came));
        since.map(|(_, promise)| *promise).max().unwrap_or_default()
    }
}

impl fmt::Display for RetentionAccount {
    /// Whole sentences, one a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kept, expired) = (self.kept.len(), self.expired.len());
        writeln!(
            f,
            "Camera {}, footage that came {}: of the segments that can have some, {kept} are kept, \
             {expired} expired after the promised time, {} before.",
            self.camera,
            self.period,
            self.early.len()
        )?;
        for early in &self.early {
            writeln!(
                f,
                "Segment {}: {} clips ({} bytes) expired {}, promised until {}: {}.",
                early.segment,
                early.clips,
                early.bytes,
                early.at,
                early.promised_until,
                early.reason
            )?;
        }
        for (clip, at) in &self.deleted {
            writeln!(f, "Clip {clip}: deleted by its owner {at}.")?;
        }
        if self.lost_entries > 0 {
            writeln!(
                f,
                "The ledger was repaired: {} entries or more are lost.",
                self.lost_entries
            )?;
        }
        f.write_str(if self.is_kept() {
            "The promise was kept."
        } else if self.early.is_empty() {
            "Whether the promise was kept cannot be said."
        } else {
            "The promise was BROKEN."
        })
    }
}
