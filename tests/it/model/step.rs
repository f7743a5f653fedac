//! What can happen to a store: one step of a history, and how a person reads it.
//!
//! A step names clips, holds and recordings by a number that is taken modulo how many there are,
//! so that a history from which steps were taken away is still a history. Decides nothing.

use std::fmt;
use std::time::Duration;

use clipkeep::vfs::sim::SimOp;
use clipkeep::{HoldCause, ReleaseCause, WhenFull};

/// The cameras of every history.
pub(crate) const CAMERAS: [&str; 3] = ["porch", "garage", "yard"];

/// What stays the same for a whole history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct House {
    /// In segments; `None` is no quota.
    pub(crate) quota: Option<u8>,
    pub(crate) when_full: WhenFull,
    /// Whether room is kept for held clips on a full disk.
    pub(crate) reserve: bool,
    /// Chooses what the simulated disk keeps at a crash.
    pub(crate) disk_seed: u64,
}

impl fmt::Display for House {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.quota {
            Some(segments) => write!(f, "a quota of {segments} segments, ")?,
            None => f.write_str("no quota, ")?,
        }
        let reserve = if self.reserve { "with" } else { "without" };
        write!(f, "{} when full, {reserve} a reserve for evidence, ", self.when_full)?;
        write!(f, "disk seed {}", self.disk_seed)
    }
}

/// How much time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    Seconds(u8),
    Minutes(u8),
    Hours(u8),
    Days(u8),
}

impl Pause {
    pub(crate) fn duration(self) -> Duration {
        match self {
            Self::Seconds(count) => Duration::from_secs(u64::from(count)),
            Self::Minutes(count) => Duration::from_mins(u64::from(count)),
            Self::Hours(count) => Duration::from_hours(u64::from(count)),
            Self::Days(count) => Duration::from_hours(24 * u64::from(count)),
        }
    }
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds(count) => write!(f, "{count} s"),
            Self::Minutes(count) => write!(f, "{count} min"),
            Self::Hours(count) => write!(f, "{count} h"),
            Self::Days(count) => write!(f, "{count} d"),
        }
    }
}

/// What somebody or something does to the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WallStep {
    Forward(Pause),
    Back(Pause),
    YearsForward(u8),
    YearsBack(u8),
    /// The clock of a board without a battery.
    To1970,
    /// It stands still from here on.
    Freeze,
    /// It shows what it would show if nobody had ever touched it.
    Right,
}

impl fmt::Display for WallStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forward(by) => write!(f, "steps forward by {by}"),
            Self::Back(by) => write!(f, "steps back by {by}"),
            Self::YearsForward(years) => write!(f, "steps forward by {years} years"),
            Self::YearsBack(years) => write!(f, "steps back by {years} years"),
            Self::To1970 => f.write_str("shows 1970"),
            Self::Freeze => f.write_str("stops"),
            Self::Right => f.write_str("is set right"),
        }
    }
}

/// How clip bytes are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    Whole,
    /// From one part in 256 of the clip to another.
    Range(u8, u8),
    Copied,
}

/// What is done while a read fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meanwhile {
    Read { clip: u8, copied: bool },
    Sweep,
    Open,
}

/// How a process ends, and what happens until the next one runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crash {
    /// The power fails, instead of the process being killed.
    pub(crate) power: bool,
    /// The next opening dies too, after this many changes to the disk.
    pub(crate) again_after: Option<u8>,
    /// The disk has no byte left while the store is opened.
    pub(crate) full: bool,
    /// For how long the machine is off.
    pub(crate) off: Pause,
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.power { "the power fails" } else { "the process is killed" })?;
        if self.power {
            write!(f, " for {}", self.off)?;
        }
        if let Some(changes) = self.again_after {
            write!(f, ", and again after {changes} changes of the recovery")?;
        }
        f.write_str(if self.full { ", and the disk is full at opening" } else { "" })
    }
}

/// One step. See [`Step::fmt`] for what each means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Append {
        camera: u8,
        minutes_ago: u16,
        kib: u16,
        unsure: bool,
    },
    Begin {
        camera: u8,
        minutes_ago: u16,
    },
    Write {
        recording: u8,
        kib: u16,
    },
    Finish {
        recording: u8,
    },
    DropRecording {
        recording: u8,
    },
    Query {
        camera: u8,
        minutes_ago: u16,
        minutes: u16,
    },
    /// A window that begins where a clip ends, or ends where it begins.
    QueryBeside {
        clip: u8,
        before: bool,
    },
    Read {
        clip: u8,
        reading: Reading,
    },
    Lease {
        clip: u8,
    },
    EndLease {
        lease: u8,
    },
    Place {
        camera: u8,
        cause: HoldCause,
        minutes_ago: u16,
        minutes: u16,
        key: Option<u8>,
        hours: u8,
    },
    Narrow {
        hold: u8,
        keep_percent: u8,
    },
    Release {
        hold: u8,
        cause: ReleaseCause,
    },
    Renew {
        hold: u8,
        hours: u16,
    },
    Delete {
        clip: u8,
    },
    Erase {
        clip: u8,
    },
    Tick(Pause),
    Wall(WallStep),
    ConfirmClock,
    RemoveCamera {
        camera: u8,
    },
    Retain {
        camera: Option<u8>,
        choice: u8,
        existing: bool,
    },
    Sweep,
    Seal,
    Fill {
        kib: u16,
    },
    Free,
    FlipPayload {
        clip: u8,
        at: u8,
        bit: u8,
    },
    FlipMetadata {
        file: u8,
        at: u16,
        bit: u8,
    },
    FlipLedger {
        second_copy: bool,
        at: u16,
        bit: u8,
    },
    LoseLedger {
        at: u16,
    },
    Fail {
        op: SimOp,
        nth: u8,
    },
    /// One read, or one look at a map, fails while something is done, and none after it.
    FailRead {
        op: SimOp,
        nth: u8,
        meanwhile: Meanwhile,
    },
    Cut {
        after: u8,
        crash: Crash,
    },
    Crash(Crash),
    Reopen,
}

fn camera(number: u8) -> &'static str {
    CAMERAS[usize::from(number) % CAMERAS.len()]
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Append { camera: of, minutes_ago, kib, unsure } => {
                write!(f, "append {kib} KiB of {}, {minutes_ago} min ago", camera(*of))?;
                f.write_str(if *unsure { ", its clock unsure" } else { "" })
            }
            Self::Begin { camera: of, minutes_ago } => {
                write!(f, "begin recording {}, {minutes_ago} min ago", camera(*of))
            }
            Self::Write { recording, kib } => {
                write!(f, "write a fragment of {kib} KiB to recording #{recording}")
            }
            Self::Finish { recording } => write!(f, "finish recording #{recording}"),
            Self::DropRecording { recording } => write!(f, "camera of #{recording} vanishes"),
            Self::Query { camera: of, minutes_ago, minutes } => {
                write!(f, "list {}, {minutes} min from {minutes_ago} min ago", camera(*of))
            }
            Self::QueryBeside { clip, before } => {
                write!(f, "list what is {} clip #{clip}", if *before { "before" } else { "after" })
            }
            Self::Read { clip, reading } => write!(f, "read clip #{clip}, {reading:?}"),
            Self::Lease { clip } => write!(f, "open a reader of clip #{clip} and keep it"),
            Self::EndLease { lease } => write!(f, "close reader #{lease}"),
            Self::Place { camera: of, cause, minutes_ago, minutes, key, hours } => {
                write!(f, "place {cause} hold on {}, {minutes} min ", camera(*of))?;
                write!(f, "from {minutes_ago} min ago, for {hours} h")?;
                key.map_or(Ok(()), |key| write!(f, ", key {key}"))
            }
            Self::Narrow { hold, keep_percent } => {
                write!(f, "narrow hold #{hold} to its first {keep_percent} %")
            }
            Self::Release { hold, cause } => write!(f, "release hold #{hold}: {cause}"),
            Self::Renew { hold, hours } => write!(f, "renew hold #{hold} for {hours} h"),
            Self::Delete { clip } => write!(f, "the owner deletes clip #{clip}"),
            Self::Erase { clip } => write!(f, "the owner denies and erases clip #{clip}"),
            Self::Tick(pause) => write!(f, "{pause} pass"),
            Self::Wall(step) => write!(f, "the wall clock {step}"),
            Self::ConfirmClock => f.write_str("somebody confirms the wall clock"),
            Self::RemoveCamera { camera: of } => write!(f, "camera {} is removed", camera(*of)),
            Self::Retain { camera: of, choice, existing } => {
                let whose = of.map_or("all cameras", camera);
                let which = if *existing { "existing too" } else { "new clips" };
                write!(f, "retention of {whose} becomes choice {choice}, {which}")
            }
            Self::Sweep => f.write_str("sweep"),
            Self::Seal => f.write_str("seal"),
            Self::Fill { kib } => write!(f, "the disk fills up to {kib} KiB"),
            Self::Free => f.write_str("the disk has room again"),
            Self::FlipPayload { clip, at, bit } => {
                write!(f, "bit {bit} flips at {at}/256 of clip #{clip}")
            }
            Self::FlipMetadata { file, at, bit } => {
                write!(f, "bit {bit} flips at {at} of what is no footage in sealed file #{file}")
            }
            Self::FlipLedger { second_copy, at, bit } => {
                let copy = if *second_copy { "b" } else { "a" };
                write!(f, "bit {bit} flips at {at} of copy {copy} of the ledger")
            }
            Self::LoseLedger { at } => write!(f, "both copies of the ledger are damaged at {at}"),
            Self::Fail { op, nth } => write!(f, "{op:?} number {nth} from now on will fail"),
            Self::FailRead { op, nth, meanwhile } => {
                write!(f, "{op:?} number {nth} fails while this is done: {meanwhile:?}")
            }
            Self::Cut { after, crash } => write!(f, "after {after} more changes {crash}"),
            Self::Crash(crash) => write!(f, "{crash}"),
            Self::Reopen => f.write_str("close and open"),
        }
    }
}
