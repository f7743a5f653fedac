//! The states of the model: what is on the disk, what the process knows, what was promised.
//!
//! Three clips in two recorded segments, one of them running over the end of the first; two holds
//! that overlap on it; evidence segments as they come. Sets are bits. Says what the engine's words
//! mean (`History`, `Memory::is_live`), as `src/store/history.rs` and `src/store/catalog.rs` do;
//! decides nothing: the steps are in `steps`.

/// A set of clips.
pub(super) type Clips = u8;
/// A set of segments.
pub(super) type Segments = u8;

pub(super) const CLIPS: usize = 3;
/// The first two are recorded, the others are evidence segments.
pub(super) const SEGMENTS: usize = 8;
pub(super) const RECORDED: Segments = 0b11;
/// The segment in which each clip begins.
const HOME: [usize; CLIPS] = [0, 0, 1];
/// What is in the recorded segments: clip 1 runs over the end of the first.
pub(super) const PARTS: [Clips; 2] = [0b011, 0b110];
/// What each hold covers: both have clip 1.
pub(super) const HOLDS: [Clips; 2] = [0b011, 0b110];

pub(super) fn bit(index: usize) -> u8 {
    1 << index
}

pub(super) fn has(set: u8, index: usize) -> bool {
    set & bit(index) != 0
}

/// What is in `set`, lowest first.
pub(super) fn members(set: u8) -> impl Iterator<Item = usize> {
    (0..8).filter(move |index| has(set, *index))
}

/// A ledger entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Entry {
    Placed(usize),
    Ended(usize),
    Sealed(usize),
    Expired(usize),
    Moved { to: usize, clips: Clips },
    ClipsExpired(Clips),
    Deleted(usize),
    Erased { segment: usize, clips: Clips },
    Dropped(usize),
}

/// What the ledger's entries come to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct History {
    pub(super) placed: u8,
    pub(super) ended: u8,
    pub(super) sealed: Segments,
    pub(super) expired: Segments,
    /// For an expired segment: the clips that the holds before every expiry entry cover.
    pub(super) outlive: [Clips; SEGMENTS],
    pub(super) gone: Clips,
    /// The evidence segment that a clip lives in.
    pub(super) moved: [Option<usize>; CLIPS],
    pub(super) erased: [Clips; SEGMENTS],
    pub(super) newest: usize,
}

impl History {
    pub(super) fn new() -> Self {
        Self {
            placed: 0,
            ended: 0,
            sealed: RECORDED,
            expired: 0,
            outlive: [0; SEGMENTS],
            gone: 0,
            moved: [None; CLIPS],
            erased: [0; SEGMENTS],
            newest: 1,
        }
    }

    /// The clips that some hold protects.
    pub(super) fn covered(&self) -> Clips {
        members(self.placed & !self.ended).map(|hold| HOLDS[hold]).fold(0, |all, one| all | one)
    }

    pub(super) fn apply(&mut self, entry: Entry, forgets_early: bool) {
        match entry {
            Entry::Placed(hold) => self.placed |= bit(hold),
            Entry::Ended(hold) => self.ended |= bit(hold),
            Entry::Sealed(segment) => {
                self.sealed |= bit(segment);
                self.newest = self.newest.max(segment);
            }
            Entry::Expired(segment) => {
                let before = if has(self.expired, segment) { self.outlive[segment] } else { !0 };
                self.outlive[segment] = before & self.covered();
                self.expired |= bit(segment);
            }
            Entry::Moved { to, clips } => {
                members(clips).for_each(|clip| self.moved[clip] = Some(to));
                self.newest = self.newest.max(to);
            }
            Entry::ClipsExpired(clips) => self.gone |= clips,
            Entry::Deleted(clip) => self.gone |= bit(clip),
            Entry::Erased { segment, clips } => self.erased[segment] |= clips,
            Entry::Dropped(segment) => self.drop_segment(segment, forgets_early),
        }
    }

    fn drop_segment(&mut self, segment: usize, forgets_early: bool) {
        self.sealed &= !bit(segment);
        self.expired &= !bit(segment);
        (self.outlive[segment], self.erased[segment]) = (0, 0);
        let exists = if forgets_early { 0 } else { self.sealed | self.expired };
        forget(segment, exists, &mut self.gone, &mut self.moved);
    }
}

/// What became of a clip counts until the last file that may have it is gone.
fn forget(dropped: usize, exists: Segments, gone: &mut Clips, moved: &mut [Option<usize>; CLIPS]) {
    for clip in 0..CLIPS {
        let (home, to) = (HOME[clip], moved[clip]);
        let elsewhere = home != dropped && to != Some(dropped);
        if elsewhere || has(exists, home) || to.is_some_and(|to| has(exists, to)) {
            continue;
        }
        *gone &= !bit(clip);
        moved[clip] = None;
    }
}

/// Whether a file has its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Name {
    #[default]
    Absent,
    /// Renamed into the folder, which is not synced.
    Coming,
    Present,
    /// Removed, and the folder is not synced.
    Going,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Content {
    #[default]
    Empty,
    /// Records and seal are written, not synced.
    Written,
    Whole,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct File {
    pub(super) name: Name,
    pub(super) content: Content,
    pub(super) parts: Clips,
    pub(super) punched: Clips,
    /// Punched and not synced.
    pub(super) punching: Clips,
    /// What had this name before and was removed, while the folder is not synced.
    pub(super) before: Option<(Content, Clips)>,
}

impl File {
    pub(super) fn is_there(self) -> bool {
        matches!(self.name, Name::Coming | Name::Present)
    }

    /// The clips whose bytes can be found in it.
    pub(super) fn bytes(self) -> Clips {
        if self.is_there() { self.parts & !self.punched & !self.punching } else { 0 }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Disk {
    /// The durable ledger.
    pub(super) history: History,
    /// Entries behind it that are written and not synced: they count together or not at all.
    pub(super) tail: Vec<Entry>,
    pub(super) files: [File; SEGMENTS],
}

impl Disk {
    pub(super) fn there(&self) -> Segments {
        members(!0).take(SEGMENTS).filter(|id| self.files[*id].is_there()).map(bit).sum()
    }
}

/// Who has the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Who {
    Placing(usize),
    Releasing(usize),
    Deleting(usize),
    Expiring { spared: [Option<Clips>; 2] },
    Moving { lost: Clips },
    Releasable { segment: usize, clips: Clips },
    Emptying(usize),
    Flushing,
}

/// What the one with the `sweeping` lock is about to do, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Phase {
    Idle,
    Expire,
    DropWhole,
    Move,
    DropMoved,
    Mark,
    Evidence,
    Erase,
    Unnamed,
    Flush,
}

/// Which call it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Call {
    Open,
    Sweep,
    /// What follows an owner's delete.
    Erase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Job {
    pub(super) call: Call,
    pub(super) phase: Phase,
    /// What the plan lets go.
    pub(super) plan: Segments,
    /// The holds that were there when it was planned.
    pub(super) held_then: Clips,
    /// Segments that the plan keeps because all that is left in them is held.
    pub(super) all_held: Segments,
    /// Segments with proof that they may be removed.
    pub(super) proof: Segments,
    /// Those whose names are gone, before the folder is synced.
    pub(super) unlinked: Segments,
    /// The evidence segment being made, with what goes in.
    pub(super) copy: Option<(usize, Clips)>,
    /// Segments still to be looked at in this phase.
    pub(super) todo: Segments,
    /// Those whose folder is synced, before catalog and ledger know.
    pub(super) done: Segments,
    /// The segment being punched, and whether that is synced.
    pub(super) punching: Option<(usize, bool)>,
}

impl Job {
    pub(super) fn idle() -> Self {
        Self::at(Call::Erase, Phase::Idle)
    }

    pub(super) fn at(call: Call, phase: Phase) -> Self {
        Self {
            call,
            phase,
            plan: 0,
            held_then: 0,
            all_held: 0,
            proof: 0,
            unlinked: 0,
            done: 0,
            copy: None,
            todo: 0,
            punching: None,
        }
    }
}

/// The open store: the catalog, the deferred entries, and where its threads are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Memory {
    pub(super) deferred: Vec<Entry>,
    pub(super) segments: Segments,
    pub(super) spared: [Option<Clips>; SEGMENTS],
    pub(super) gone: Clips,
    pub(super) moved: [Option<usize>; CLIPS],
    pub(super) to_erase: [Clips; SEGMENTS],
    pub(super) next: usize,
    /// Who has the ledger, and whether what they append is durable.
    pub(super) append: Option<(Who, bool)>,
    pub(super) job: Job,
}

impl Memory {
    /// Whether the part of `clip` in `segment` can be read.
    pub(super) fn is_live(&self, clip: usize, segment: usize) -> bool {
        if has(self.gone, clip) {
            return false;
        }
        let home = HOME[clip];
        match self.moved[clip] {
            Some(to) => to == segment,
            None => {
                segment < 2
                    && has(self.segments, home)
                    && self.spared[home].is_none_or(|spared| has(spared, clip))
            }
        }
    }

    /// The clips that can be read.
    pub(super) fn readable(&self) -> Clips {
        let lives = |clip: &usize| {
            let at = self.moved[*clip].unwrap_or(HOME[*clip]);
            has(self.segments, at) && self.is_live(*clip, at)
        };
        (0..CLIPS).filter(lives).map(bit).sum()
    }

    /// The live clips that began in `segment`, or live there if it is evidence.
    pub(super) fn clips_of(&self, segment: usize, parts: Clips) -> Clips {
        let first = |clip: &usize| segment >= 2 || HOME[*clip] == segment;
        let live = members(parts).filter(first).filter(|clip| self.is_live(*clip, segment));
        live.map(bit).sum()
    }

    pub(super) fn remove_segment(&mut self, segment: usize) {
        self.segments &= !bit(segment);
        self.spared[segment] = None;
        self.to_erase[segment] = 0;
        forget(segment, self.segments, &mut self.gone, &mut self.moved);
    }
}

/// How much may still happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Left {
    pub(super) sweeps: u8,
    pub(super) deletes: u8,
    pub(super) power_cuts: u8,
    pub(super) kills: u8,
    pub(super) leases: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) disk: Disk,
    pub(super) memory: Option<Memory>,
    pub(super) left: Left,
    /// A clip that somebody reads, and the segments he found it in.
    pub(super) leased: Option<(usize, Segments)>,
    /// What the receipt of each hold said is protected, until its release is asked for.
    pub(super) promised: [Clips; 2],
    /// Clips that somebody was told are gone.
    pub(super) told_gone: Clips,
    /// Opening found something missing that nothing on record explains.
    pub(super) false_alarm: bool,
}

impl State {
    /// A store with its clips in two sealed segments, all of them due, and nothing decided.
    pub(super) fn new(left: Left) -> Self {
        let file =
            |parts| File { name: Name::Present, content: Content::Whole, parts, ..File::default() };
        let mut files = [File::default(); SEGMENTS];
        (files[0], files[1]) = (file(PARTS[0]), file(PARTS[1]));
        Self {
            disk: Disk { history: History::new(), tail: Vec::new(), files },
            memory: Some(Memory {
                deferred: Vec::new(),
                segments: RECORDED,
                spared: [None; SEGMENTS],
                gone: 0,
                moved: [None; CLIPS],
                to_erase: [0; SEGMENTS],
                next: 2,
                append: None,
                job: Job::idle(),
            }),
            left,
            leased: None,
            promised: [0; 2],
            told_gone: 0,
            false_alarm: false,
        }
    }

    /// The open store, once opening has returned: before, nobody can ask it anything.
    pub(super) fn serving(&self) -> Option<&Memory> {
        self.memory.as_ref().filter(|memory| memory.job.call != Call::Open)
    }
}
