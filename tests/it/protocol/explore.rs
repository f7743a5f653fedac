//! Looks at every state that can be reached, nearest first, so that a counterexample is short.
//!
//! Our own and not the `stateright` crate: what is needed is a queue, a table of states seen and
//! the way back, while the crate brings a web server; and the test that compares the code with the
//! model needs the same labelled steps outside of any checker.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::{self, Write as _};
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};

use super::invariants;
use super::state::State;
use super::steps::{Protocol, Step};

/// A state that must not be, and how it came about.
#[derive(Debug)]
pub(super) struct Counterexample {
    pub(super) broken: String,
    pub(super) trace: String,
    pub(super) steps: usize,
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not true: {}, after {} steps\n{}", self.broken, self.steps, self.trace)
    }
}

#[derive(Debug, Default)]
pub(super) struct Explored {
    pub(super) states: usize,
    pub(super) transitions: usize,
    /// The length of the longest of the shortest ways.
    pub(super) depth: usize,
    /// From how many states a quiet sweep was tried.
    pub(super) quiet_sweeps: usize,
}

/// Where each state came from: by fingerprint, as the states themselves would not fit.
type Parents = HashMap<u64, u64, BuildHasherDefault<DefaultHasher>>;

fn fingerprint(state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

impl Protocol {
    /// Every state from `first` on.
    pub(super) fn explore(self, first: &State) -> Result<Explored, Box<Counterexample>> {
        let mut explored = Explored::default();
        let mut parents = Parents::default();
        parents.insert(fingerprint(first), 0);
        let mut layer = vec![first.clone()];
        while !layer.is_empty() {
            let mut following = Vec::new();
            for state in &layer {
                if let Err(broken) = self.check(state, &mut explored) {
                    return Err(Box::new(self.tell(first, state, broken, &parents)));
                }
                let from = fingerprint(state);
                for (_, next) in self.steps(state) {
                    explored.transitions += 1;
                    if let Entry::Vacant(new) = parents.entry(fingerprint(&next)) {
                        new.insert(from);
                        following.push(next);
                    }
                }
            }
            explored.depth += usize::from(!following.is_empty());
            layer = following;
        }
        explored.states = parents.len();
        Ok(explored)
    }

    fn check(self, state: &State, explored: &mut Explored) -> Result<(), String> {
        for (name, holds) in invariants::ALL {
            if !holds(state) {
                return Err(name.to_owned());
            }
        }
        if let Some(why) = self.quiet_sweep(state) {
            explored.quiet_sweeps += 1;
            why.map_err(|why| format!("a quiet sweep leaves nothing behind: {why}"))?;
        }
        Ok(())
    }

    /// The way from `first` to `last`, found again from the fingerprints.
    fn tell(
        self,
        first: &State,
        last: &State,
        broken: String,
        parents: &Parents,
    ) -> Counterexample {
        let mut way = vec![fingerprint(last)];
        while let Some(parent) = parents.get(&way[way.len() - 1]).filter(|parent| **parent != 0) {
            way.push(*parent);
        }
        let mut state = first.clone();
        let mut trace = String::new();
        for (number, wanted) in way.iter().rev().skip(1).enumerate() {
            let steps = self.steps(&state);
            let found = steps.into_iter().find(|(_, next)| fingerprint(next) == *wanted);
            let (step, next) = found.expect("the way was walked before");
            writeln!(trace, "{:>3}. {}", number + 1, step.tell(&state, &next)).unwrap();
            state = next;
        }
        Counterexample { broken, trace, steps: way.len() - 1 }
    }
}

impl Step {
    /// Its name without what it is about.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Sync => "sync",
            Self::TakeIn => "take in",
            Self::Advance => "advance",
            Self::Plan => "plan",
            Self::Unlink(_) => "unlink",
            Self::SyncFolder => "sync folder",
            Self::CopyName(_) => "copy: name",
            Self::CopyNameSync => "copy: sync name",
            Self::CopyWrite => "copy: write",
            Self::CopySync => "copy: sync",
            Self::NoRoom => "no room",
            Self::Punch(_) => "punch",
            Self::PunchSync(_) => "sync punched",
            Self::Lease => "lease",
            Self::LetGo => "let go",
            Self::Kill => "kill",
            Self::CutPower => "cut power",
            Self::Resync => "resync",
            Self::Open => "open",
        }
    }

    /// A line for a person.
    fn tell(self, before: &State, after: &State) -> String {
        let mut line = format!("{self:?}");
        if let (Self::Append, Some(memory)) = (self, &after.memory) {
            let who = memory.append.map(|(who, _)| who);
            line = format!("Append {:?} by {:?}", after.disk.tail, who.expect("it has the ledger"));
        }
        if self == Self::Plan
            && let Some(memory) = &after.memory
        {
            line = format!("Plan to drop segments {:#04b}", memory.job.plan);
        }
        if self == Self::CutPower {
            let kept = after.disk.history != before.disk.history;
            if !before.disk.tail.is_empty() {
                line += if kept { ", the ledger's tail is kept" } else { ", its tail is lost" };
            }
            for (id, (was, is)) in before.disk.files.iter().zip(&after.disk.files).enumerate() {
                if was != is {
                    write!(line, ", segment {id}: {was:?} becomes {is:?}").unwrap();
                }
            }
        }
        if let Some(memory) = after.serving() {
            write!(line, "; readable {:03b}", memory.readable()).unwrap();
        }
        line
    }
}
