//! Follows a running store in the model: which of its states the store may be in.
//!
//! Each change of the disk must be explained by a step of the model from one of the states that
//! the changes so far leave possible, over steps that change nothing on the disk. Where none is
//! left, the code did what the model says it never does.

use std::collections::{BTreeMap, HashMap};

use super::state::{
    Call, Clips, Content, History, Left, Phase, SEGMENTS, Segments, State, Who, has,
};
use super::steps::{Protocol, Step};
use super::watch::Change;

/// What the store was asked for and has not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Place(usize),
    Release(usize),
    Delete(usize),
    Sweep,
    Open,
}

/// The kinds of steps on the way to a state.
type Kinds = BTreeMap<&'static str, usize>;

pub(super) struct Follower {
    protocol: Protocol,
    /// Where the store may be, with the kinds of steps that are sure to have led there.
    possible: HashMap<State, Kinds>,
    asked: Vec<Asked>,
    /// For a person: what happened so far.
    pub(super) story: Vec<String>,
    /// Why it could not be followed.
    pub(super) lost: Option<String>,
}

const NOTHING: Left = Left { sweeps: 0, deletes: 0, power_cuts: 0, kills: 0, leases: 0 };

impl Follower {
    pub(super) fn new(protocol: Protocol) -> Self {
        let possible = HashMap::from([(State::new(NOTHING), Kinds::new())]);
        Self { protocol, possible, asked: Vec::new(), story: Vec::new(), lost: None }
    }

    /// The store is asked for something.
    pub(super) fn ask(&mut self, what: Asked) {
        self.story.push(format!("{what:?}"));
        self.asked.push(what);
        let grant = |left: &mut Left| match what {
            Asked::Sweep => left.sweeps = 1,
            Asked::Delete(_) => left.deletes = 1,
            _ => {}
        };
        self.possible = std::mem::take(&mut self.possible)
            .into_iter()
            .map(|(mut state, kinds)| {
                grant(&mut state.left);
                (state, kinds)
            })
            .collect();
    }

    /// The store answered; `done` says whether with success.
    pub(super) fn answered(&mut self, what: Asked, done: bool) {
        self.settle();
        self.asked.retain(|asked| *asked != what);
        let busy = self.asked.clone();
        self.keep("the answer", |state| {
            let Some(memory) = &state.memory else { return false };
            let finished = match what {
                Asked::Place(_) | Asked::Release(_) => memory.append.is_none(),
                Asked::Delete(_) => state.left.deletes == 0 || !done,
                Asked::Sweep => state.left.sweeps == 0 && memory.job.phase == Phase::Idle,
                Asked::Open => memory.job.call != Call::Open,
            };
            finished && (!busy.is_empty() || memory.job.phase == Phase::Idle)
        });
        if busy.is_empty() {
            let all = std::mem::take(&mut self.possible).into_iter();
            self.possible =
                all.map(|(state, kinds)| (State { left: NOTHING, ..state }, kinds)).collect();
        }
    }

    /// The disk was changed.
    pub(super) fn see(&mut self, change: Change) {
        self.story.push(format!("  {change:?}"));
        if change == Change::SecondLedgerSync {
            return;
        }
        self.settle();
        let opening = self.asked.contains(&Asked::Open);
        let mut following = HashMap::new();
        for (state, kinds) in &self.possible {
            let mut explained = false;
            for (step, next) in self.protocol.steps(state) {
                if explains(step, change) && self.may(step, &next) {
                    explained = true;
                    insert(&mut following, next, kinds, Some(step));
                }
            }
            // What changes nothing: a second write or sync of the same thing.
            if !explained && changes_nothing(state, change, opening) {
                insert(&mut following, state.clone(), kinds, None);
            }
            if let (Change::SegmentWrite(_), true) = (change, explained) {
                // Perhaps it was not the last write, which makes the copy whole.
                insert(&mut following, state.clone(), kinds, None);
            }
        }
        self.go_to(following, &format!("{change:?}"));
    }

    /// The process was killed, or the power cut.
    pub(super) fn crash(&mut self, step: Step) {
        self.story.push(format!("{step:?}"));
        self.settle();
        self.asked.clear();
        let mut following = HashMap::new();
        for (state, kinds) in &self.possible {
            let mut state = state.clone();
            (state.left.power_cuts, state.left.kills) = (1, 1);
            for (found, mut next) in self.protocol.steps(&state) {
                if found == step {
                    next.left = NOTHING;
                    insert(&mut following, next, kinds, Some(step));
                }
            }
        }
        self.go_to(following, &format!("{step:?}"));
    }

    /// A reader came or went.
    pub(super) fn lease(&mut self, step: Step) {
        self.story.push(format!("{step:?}"));
        let mut following = HashMap::new();
        for (state, kinds) in &self.possible {
            let mut state = state.clone();
            state.left.leases = 1;
            for (found, mut next) in self.protocol.steps(&state) {
                if found == step {
                    next.left.leases = 0;
                    insert(&mut following, next, kinds, Some(step));
                }
            }
        }
        self.go_to(following, &format!("{step:?}"));
    }

    /// What the files in the folder, and the ledger when it is known, say about where it is.
    pub(super) fn look_at_disk(&mut self, there: Segments, ledger: Option<&History>) {
        self.settle();
        self.keep(&format!("files {there:#b}, {ledger:?}"), |state| {
            let mut written = state.disk.history.clone();
            state.disk.tail.iter().for_each(|entry| written.apply(*entry, false));
            state.disk.there() == there && ledger.is_none_or(|ledger| *ledger == written)
        });
    }

    /// What can be read, and which holds protect.
    pub(super) fn look_at_store(&mut self, readable: Clips, protecting: u8) {
        self.settle();
        self.keep(&format!("readable {readable:03b}, holds {protecting:02b}"), |state| {
            let Some(memory) = state.serving() else { return false };
            let history = &state.disk.history;
            let idle = memory.append.is_none();
            let holds = history.placed & !history.ended;
            idle && memory.readable() == readable && holds == protecting
        });
    }

    /// The kinds of steps that every way to where the store is now has.
    pub(super) fn kinds(&self) -> Kinds {
        let mut all = self.possible.values();
        let Some(first) = all.next() else { return Kinds::new() };
        all.fold(first.clone(), |kinds, other| common(&kinds, other))
    }

    /// Adds the states that can be reached without changing the disk.
    fn settle(&mut self) {
        let mut open: Vec<State> = self.possible.keys().cloned().collect();
        while let Some(state) = open.pop() {
            let kinds = self.possible[&state].clone();
            for (step, next) in self.protocol.steps(&state) {
                let quiet = matches!(
                    step,
                    Step::TakeIn | Step::Advance | Step::Plan | Step::NoRoom | Step::Open
                );
                if quiet && self.may(step, &next) && !self.possible.contains_key(&next) {
                    insert(&mut self.possible, next.clone(), &kinds, Some(step));
                    open.push(next);
                }
            }
        }
    }

    /// Whether `step` is one that the store was asked for.
    fn may(&self, step: Step, next: &State) -> bool {
        let asked = |what| self.asked.contains(&what);
        let Some(memory) = &next.memory else { return true };
        match step {
            Step::Plan => asked(Asked::Sweep),
            Step::Open => asked(Asked::Open),
            Step::Append => match memory.append {
                Some((Who::Placing(hold), _)) => asked(Asked::Place(hold)),
                Some((Who::Releasing(hold), _)) => asked(Asked::Release(hold)),
                Some((Who::Deleting(clip), _)) => asked(Asked::Delete(clip)),
                _ => true,
            },
            // What follows a delete belongs to its call.
            Step::Advance if memory.job.call == Call::Erase && memory.job.phase == Phase::Erase => {
                self.asked.iter().any(|asked| matches!(asked, Asked::Delete(_)))
            }
            _ => true,
        }
    }

    fn keep(&mut self, seen: &str, explains: impl Fn(&State) -> bool) {
        let mut kept = std::mem::take(&mut self.possible);
        let before = kept.keys().next().cloned();
        kept.retain(|state, _| explains(state));
        if kept.is_empty() && self.lost.is_none() {
            self.lost = Some(format!("{seen}: no state of the model, one of them was {before:?}"));
        }
        self.possible = kept;
    }

    fn go_to(&mut self, following: HashMap<State, Kinds>, seen: &str) {
        if following.is_empty() && self.lost.is_none() {
            let one = self.possible.keys().next();
            self.lost = Some(format!("{seen}: no step of the model, one state was {one:?}"));
        }
        self.possible = following;
    }
}

fn insert(states: &mut HashMap<State, Kinds>, state: State, kinds: &Kinds, step: Option<Step>) {
    let mut kinds = kinds.clone();
    if let Some(step) = step {
        *kinds.entry(step.kind()).or_default() += 1;
    }
    let known = states.get(&state).map(|known| common(known, &kinds));
    states.insert(state, known.unwrap_or(kinds));
}

fn common(one: &Kinds, other: &Kinds) -> Kinds {
    let both = one
        .iter()
        .filter_map(|(kind, count)| other.get(kind).map(|other| (*kind, *count.min(other))));
    both.collect()
}

fn explains(step: Step, change: Change) -> bool {
    match change {
        Change::LedgerWrite => step == Step::Append,
        Change::LedgerSync => matches!(step, Step::Sync | Step::Resync),
        Change::SecondLedgerSync => false,
        Change::SegmentWrite(_) => step == Step::CopyWrite,
        Change::SegmentSync(segment) => step == Step::CopySync || step == Step::PunchSync(segment),
        Change::SegmentPunch(segment) => step == Step::Punch(segment),
        Change::SegmentNamed(segment) => step == Step::CopyName(segment),
        Change::SegmentRemoved(segment) => step == Step::Unlink(segment),
        Change::FolderSync => matches!(step, Step::SyncFolder | Step::CopyNameSync),
    }
}

/// Whether `change` only repeats what the model has as one step, in this state.
fn changes_nothing(state: &State, change: Change, opening: bool) -> bool {
    let job = state.memory.as_ref().map(|memory| memory.job);
    let content = |segment: usize| state.disk.files[segment].content;
    let copying = |segment| job.is_some_and(|job| job.copy.is_some_and(|copy| copy.0 == segment));
    match change {
        // Records before the seal; and behind its sync, the cut to the copy's length.
        Change::SegmentWrite(segment) if copying(segment) => content(segment) != Content::Written,
        Change::SegmentSync(segment) if copying(segment) => content(segment) == Content::Whole,
        // One clip of many, one stretch of many; zeros where a stretch begins or ends in a block.
        Change::SegmentPunch(segment) | Change::SegmentWrite(segment) => {
            job.is_some_and(|job| job.punching == Some((segment, false)))
        }
        // Before the catalog is built: what was found is made durable.
        Change::SegmentSync(_) | Change::FolderSync | Change::LedgerWrite | Change::LedgerSync => {
            opening && state.memory.is_none()
        }
        _ => false,
    }
}

/// The files that `paths` name.
pub(super) fn there(paths: &[String]) -> Segments {
    let ids = paths.iter().filter_map(|path| super::watch::segment_of(path));
    ids.filter(|id| *id < SEGMENTS).fold(0, |all, id| {
        assert!(!has(all, id), "two files of segment {id}");
        all | super::state::bit(id)
    })
}
