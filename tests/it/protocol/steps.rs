//! The steps of the model: what can happen next in a state, and what comes of it.
//!
//! Three kinds of actors share one process. Whoever decides something (a holder, an owner who
//! deletes, the sweeper) takes the ledger, writes, syncs, takes what it decided in, and lets the
//! ledger go: `Append`, `Sync`, `TakeIn`. Whoever has `sweeping` goes through the phases of a
//! sweep, one change of the disk a step. Readers take leases. At any point the process may be
//! killed, or the power may fail with any part of what was pending lost.
//!
//! The plan is any choice of segments: the sweep must be safe whatever policy wants.

use super::state::{
    Disk, Entry, File, HOLDS, History, Job, Memory, Name, Phase, RECORDED, State, Who, bit, has,
    members,
};

/// What happened between two states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Step {
    /// The entries of a decision, deferred ones before them, are written behind the ledger.
    Append,
    /// They are synced.
    Sync,
    /// The catalog follows, the ledger is let go, the caller is told.
    TakeIn,
    /// The next phase of a sweep begins; nothing changes on the disk.
    Advance,
    /// A sweep has a plan and not yet the ledger.
    Plan,
    Unlink(usize),
    SyncFolder,
    CopyName(usize),
    CopyNameSync,
    CopyWrite,
    CopySync,
    NoRoom,
    Punch(usize),
    PunchSync(usize),
    Lease,
    LetGo,
    Kill,
    CutPower,
    /// A ledger tail that a killed process left is made durable.
    Resync,
    Open,
}

/// The rules that the protocol stands on. Each can be broken, to see that somebody notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    HoldsAreCheckedWithTheLedgerInHand,
    DecisionsCountOnceSynced,
    IntentIsDurableBeforeRemoval,
    CopyIsSyncedBeforeTheMove,
    CopyHasItsNameBeforeTheMove,
    SourceStaysUntilTheMoveIsOnRecord,
    DeletedClipsAreErasedFromTheCopy,
    GateChecksEveryPart,
    GateChecksBeforePunching,
    FolderIsSyncedBeforeDone,
    PunchIsSyncedBeforeDone,
    LeasesStopPunching,
    EmptiedFilesExpireFirst,
    UnnamedCopiesExpireFirst,
    GoneCountsUntilTheLastFile,
    RecoveryAsksTheHoldsOfTheEntry,
    RecoveryTrustsOnlyNamedCopies,
    RecoverySyncsTheTailOfTheKilled,
    RecoveryFinishesDrops,
    RecoveryErasesTheGone,
    HeldClipsAreSpared,
    OwnersDeleteAsksTheHolds,
}

pub(super) const RULES: [Rule; 22] = [
    Rule::HoldsAreCheckedWithTheLedgerInHand,
    Rule::DecisionsCountOnceSynced,
    Rule::IntentIsDurableBeforeRemoval,
    Rule::CopyIsSyncedBeforeTheMove,
    Rule::CopyHasItsNameBeforeTheMove,
    Rule::SourceStaysUntilTheMoveIsOnRecord,
    Rule::DeletedClipsAreErasedFromTheCopy,
    Rule::GateChecksEveryPart,
    Rule::GateChecksBeforePunching,
    Rule::FolderIsSyncedBeforeDone,
    Rule::PunchIsSyncedBeforeDone,
    Rule::LeasesStopPunching,
    Rule::EmptiedFilesExpireFirst,
    Rule::UnnamedCopiesExpireFirst,
    Rule::GoneCountsUntilTheLastFile,
    Rule::RecoveryAsksTheHoldsOfTheEntry,
    Rule::RecoveryTrustsOnlyNamedCopies,
    Rule::RecoverySyncsTheTailOfTheKilled,
    Rule::RecoveryFinishesDrops,
    Rule::RecoveryErasesTheGone,
    Rule::HeldClipsAreSpared,
    Rule::OwnersDeleteAsksTheHolds,
];

/// The protocol, whole or with one rule broken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Protocol {
    pub(super) broken: Option<Rule>,
}

pub(super) type Next = Vec<(Step, State)>;

impl Protocol {
    pub(super) fn keeps(self, rule: Rule) -> bool {
        self.broken != Some(rule)
    }

    pub(super) fn breaks(self, rule: Rule) -> bool {
        self.broken == Some(rule)
    }

    /// Everything that can happen next.
    pub(super) fn steps(self, state: &State) -> Next {
        let mut next = Vec::new();
        match &state.memory {
            None => self.restart(state, &mut next),
            Some(memory) => {
                self.ledger_steps(state, memory, &mut next);
                self.job_steps(state, memory, &mut next);
                if memory.append.is_none() {
                    self.decisions(state, &mut next);
                }
                Self::readers(state, &mut next);
            }
        }
        self.crashes(state, &mut next);
        for (_, state) in &mut next {
            note_what_is_told(state);
        }
        next
    }

    /// What the engine knows of the ledger: deferred entries count at once.
    pub(super) fn history(self, state: &State) -> History {
        let mut history = state.disk.history.clone();
        let deferred = state.memory.iter().flat_map(|memory| &memory.deferred);
        for entry in state.disk.tail.iter().chain(deferred) {
            history.apply(*entry, self.breaks(Rule::GoneCountsUntilTheLastFile));
        }
        history
    }

    /// Writes a decision behind the ledger, deferred ones before it.
    pub(super) fn append(state: &State, who: Who, entries: Vec<Entry>, next: &mut Next) {
        let mut state = state.clone();
        let Some(memory) = &mut state.memory else { return };
        state.disk.tail.append(&mut memory.deferred);
        state.disk.tail.extend(entries);
        memory.append = Some((who, false));
        if let Who::Releasing(hold) = who {
            state.promised[hold] = 0;
        }
        next.push((Step::Append, state));
    }

    /// Decisions that people make.
    fn decisions(self, state: &State, next: &mut Next) {
        let Some(memory) = state.serving() else { return };
        let history = self.history(state);
        for hold in 0..HOLDS.len() {
            if !has(history.placed, hold) {
                Self::append(state, Who::Placing(hold), vec![Entry::Placed(hold)], next);
            } else if !has(history.ended, hold) {
                Self::append(state, Who::Releasing(hold), vec![Entry::Ended(hold)], next);
            }
        }
        if state.left.deletes > 0 {
            let held = history.covered();
            let checked = self.keeps(Rule::OwnersDeleteAsksTheHolds);
            for clip in members(memory.readable()).filter(|clip| !checked || !has(held, *clip)) {
                let mut state = state.clone();
                state.left.deletes -= 1;
                Self::append(&state, Who::Deleting(clip), vec![Entry::Deleted(clip)], next);
            }
        }
    }

    fn ledger_steps(self, state: &State, memory: &Memory, next: &mut Next) {
        let Some((who, durable)) = memory.append else { return };
        if !durable {
            let mut synced = state.clone();
            self.sync_tail(&mut synced.disk);
            if let Some(memory) = &mut synced.memory {
                memory.append = Some((who, true));
            }
            next.push((Step::Sync, synced));
        }
        let intent = matches!(who, Who::Expiring { .. });
        let early = self.breaks(Rule::DecisionsCountOnceSynced)
            || (intent && self.breaks(Rule::IntentIsDurableBeforeRemoval));
        if durable || early {
            let mut state = state.clone();
            take_in(&mut state, who);
            next.push((Step::TakeIn, state));
        }
    }

    fn sync_tail(self, disk: &mut Disk) {
        for entry in std::mem::take(&mut disk.tail) {
            disk.history.apply(entry, self.breaks(Rule::GoneCountsUntilTheLastFile));
        }
    }

    fn readers(state: &State, next: &mut Next) {
        let Some(memory) = state.serving() else { return };
        // The clip that both holds cover: what is said of one lease is said of any.
        if state.left.leases > 0 && has(memory.readable(), 1) {
            let mut state = state.clone();
            state.left.leases -= 1;
            state.leased = Some((1, memory.moved[1].map_or(RECORDED, bit)));
            next.push((Step::Lease, state));
        }
        if state.leased.is_some() {
            next.push((Step::LetGo, State { leased: None, ..state.clone() }));
        }
    }
}

pub(super) fn sync_folder(disk: &mut Disk) {
    for file in &mut disk.files {
        match file.name {
            Name::Coming => (file.name, file.before) = (Name::Present, None),
            Name::Going => *file = File::default(),
            Name::Absent | Name::Present => {}
        }
    }
}

/// What the one with the ledger does once its decision is durable.
fn take_in(state: &mut State, who: Who) {
    let Some(memory) = &mut state.memory else { return };
    memory.append = None;
    match who {
        Who::Placing(hold) => state.promised[hold] = memory.readable() & HOLDS[hold],
        Who::Releasing(_) => {}
        Who::Deleting(clip) => {
            let at = memory.moved[clip];
            memory.gone |= bit(clip);
            for segment in members(memory.segments) {
                let part = has(state.disk.files[segment].parts, clip);
                if part && (at == Some(segment) || (at.is_none() && segment < 2)) {
                    memory.to_erase[segment] |= bit(clip);
                }
            }
        }
        Who::Expiring { spared } => {
            for (segment, clips) in spared.into_iter().enumerate() {
                if clips.is_some() {
                    memory.spared[segment] = clips;
                }
            }
            memory.job.phase = Phase::DropWhole;
        }
        Who::Moving { lost } => {
            if let Some((to, clips)) = memory.job.copy.take() {
                memory.segments |= bit(to);
                members(clips & !memory.gone).for_each(|clip| memory.moved[clip] = Some(to));
                memory.to_erase[to] |= lost;
            }
            memory.job.phase = Phase::DropMoved;
        }
        Who::Releasable { segment, clips } => {
            memory.gone |= clips;
            memory.to_erase[segment] |= clips;
        }
        Who::Emptying(segment) => memory.job.proof = bit(segment),
        Who::Flushing => memory.job = Job::idle(),
    }
}

/// What is read as gone once is remembered.
fn note_what_is_told(state: &mut State) {
    let Some(memory) = state.serving() else { return };
    state.told_gone |= 0b111 & !memory.readable();
}
