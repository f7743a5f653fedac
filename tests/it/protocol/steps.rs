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
    Call, Clips, Content, Disk, Entry, File, HOLDS, History, Job, Memory, Name, PARTS, Phase,
    RECORDED, SEGMENTS, Segments, State, Who, bit, has, members,
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

type Next = Vec<(Step, State)>;

impl Protocol {
    fn keeps(self, rule: Rule) -> bool {
        self.broken != Some(rule)
    }

    fn breaks(self, rule: Rule) -> bool {
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
                self.readers(state, &mut next);
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
    fn append(self, state: &State, who: Who, entries: Vec<Entry>, next: &mut Next) {
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
                self.append(state, Who::Placing(hold), vec![Entry::Placed(hold)], next);
            } else if !has(history.ended, hold) {
                self.append(state, Who::Releasing(hold), vec![Entry::Ended(hold)], next);
            }
        }
        if state.left.deletes > 0 {
            let held = history.covered();
            let checked = self.keeps(Rule::OwnersDeleteAsksTheHolds);
            for clip in members(memory.readable()).filter(|clip| !checked || !has(held, *clip)) {
                let mut state = state.clone();
                state.left.deletes -= 1;
                self.append(&state, Who::Deleting(clip), vec![Entry::Deleted(clip)], next);
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

    fn readers(self, state: &State, next: &mut Next) {
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

    /// The next step of who has `sweeping`; none while he waits for the ledger.
    fn job_steps(self, state: &State, memory: &Memory, next: &mut Next) {
        let job = memory.job;
        if matches!(
            memory.append,
            Some((
                Who::Expiring { .. }
                    | Who::Moving { .. }
                    | Who::Releasable { .. }
                    | Who::Emptying(_)
                    | Who::Flushing,
                _
            ))
        ) {
            return;
        }
        let free = memory.append.is_none();
        match job.phase {
            Phase::Idle => self.begin(state, next),
            Phase::Expire if free => self.expire(state, memory, next),
            Phase::DropWhole | Phase::DropMoved | Phase::Unnamed => {
                self.drop_files(state, memory, next);
            }
            Phase::Move => self.relocate(state, memory, free, next),
            Phase::Mark => next.push((Step::Advance, self.mark(state))),
            Phase::Evidence if free => self.expire_evidence(state, memory, next),
            Phase::Erase => self.erase(state, memory, free, next),
            Phase::Flush if free => {
                if memory.deferred.is_empty() {
                    next.push((Step::Advance, with_job(state, |job| *job = Job::idle())));
                } else {
                    self.append(state, Who::Flushing, Vec::new(), next);
                }
            }
            _ => {}
        }
    }

    /// A sweep begins, or what follows an owner's delete.
    fn begin(self, state: &State, next: &mut Next) {
        let Some(memory) = &state.memory else { return };
        if state.left.sweeps > 0 {
            // Whatever is still recorded, in any choice; evidence that nobody holds goes along.
            for plan in (0..=RECORDED).filter(|plan| plan & memory.segments == *plan) {
                next.push((Step::Plan, self.planned(state, plan)));
            }
        }
        if memory.to_erase.iter().any(|clips| *clips != 0) {
            let job = Job { todo: !0, ..Job::at(Call::Erase, Phase::Erase) };
            next.push((Step::Advance, with_job(state, |at| *at = job)));
        }
    }

    pub(super) fn planned(self, state: &State, plan: Segments) -> State {
        let mut state = state.clone();
        state.left.sweeps = state.left.sweeps.saturating_sub(1);
        let held_then = self.history(&state).covered();
        with_job(&state, |job| {
            *job = Job { plan, held_then, ..Job::at(Call::Sweep, Phase::Expire) };
        })
    }

    /// Plan, check and record, with the ledger in hand.
    fn expire(self, state: &State, memory: &Memory, next: &mut Next) {
        let history = self.history(state);
        let held = if self.breaks(Rule::HeldClipsAreSpared) {
            0
        } else if self.breaks(Rule::HoldsAreCheckedWithTheLedgerInHand) {
            memory.job.held_then
        } else {
            history.covered()
        };
        let mut spared = [None; 2];
        let mut entries = Vec::new();
        let (mut evidence, mut all_held) = (0, 0);
        for segment in members(memory.job.plan & memory.segments) {
            spared[segment] = Some(memory.clips_of(segment, PARTS[segment]) & held);
            entries.push(Entry::Expired(segment));
        }
        for segment in members(memory.segments & !memory.job.plan) {
            let live = memory.clips_of(segment, state.disk.files[segment].parts);
            if live != 0 && live & !history.covered() == 0 {
                all_held |= bit(segment);
            } else if live != 0 && segment >= 2 {
                evidence |= bit(segment);
            }
        }
        let state = with_job(state, |job| (job.todo, job.all_held) = (evidence, all_held));
        if entries.is_empty() {
            next.push((Step::Advance, with_job(&state, |job| job.phase = Phase::DropWhole)));
        } else {
            self.append(&state, Who::Expiring { spared }, entries, next);
        }
    }

    /// The gate: what is in these segments is gone.
    fn whole_gone(self, state: &State, memory: &Memory, segment: usize) -> bool {
        let parts = state.disk.files[segment].parts;
        let parts = if self.breaks(Rule::GateChecksEveryPart) && segment < 2 {
            memory.clips_of(segment, parts)
        } else {
            parts
        };
        members(parts).all(|clip| !memory.is_live(clip, segment))
    }

    /// Check, unlink, sync the folder, note that it is done.
    fn drop_files(self, state: &State, memory: &Memory, next: &mut Next) {
        let job = memory.job;
        let unlinkable = job.proof & !job.unlinked;
        if let Some(segment) = members(unlinkable).next() {
            let mut state = with_job(state, |job| job.unlinked |= bit(segment));
            unlink(&mut state, segment);
            next.push((Step::Unlink(segment), state));
            return;
        }
        if job.unlinked | job.done != 0 {
            next.push(self.forget_unlinked(state));
            return;
        }
        if job.phase == Phase::Unnamed {
            self.drop_unnamed(state, memory, next);
            return;
        }
        let proof: Segments = members(expired_segments(memory))
            .filter(|segment| self.whole_gone(state, memory, *segment))
            .map(bit)
            .sum();
        next.push((
            Step::Advance,
            with_job(state, |job| {
                job.proof = proof;
                if proof == 0 {
                    leave(job);
                }
            }),
        ));
    }

    /// Copies that nothing names, one by one, each with its intent first.
    fn drop_unnamed(self, state: &State, memory: &Memory, next: &mut Next) {
        match members(self.unnamed(state, memory)).next() {
            None => next.push((Step::Advance, with_job(state, leave))),
            Some(segment) if self.breaks(Rule::UnnamedCopiesExpireFirst) => {
                next.push((Step::Advance, with_job(state, |job| job.proof = bit(segment))));
            }
            Some(segment) if memory.append.is_none() => {
                self.append(state, Who::Emptying(segment), vec![Entry::Expired(segment)], next);
            }
            Some(_) => {}
        }
    }

    /// Syncs the folder, and then lets catalog and ledger know, segment by segment.
    fn forget_unlinked(self, state: &State) -> (Step, State) {
        let mut state = state.clone();
        let Some(memory) = &mut state.memory else { return (Step::SyncFolder, state) };
        let job = &mut memory.job;
        if job.unlinked != 0 {
            (job.done, job.unlinked, job.proof) = (job.unlinked, 0, 0);
            if self.keeps(Rule::FolderIsSyncedBeforeDone) {
                sync_folder(&mut state.disk);
                return (Step::SyncFolder, state);
            }
            return (Step::Advance, state);
        }
        if let Some(segment) = members(job.done).next() {
            job.done &= !bit(segment);
            // These two go on with the next segment.
            if job.done == 0 && !matches!(job.phase, Phase::Erase | Phase::Unnamed) {
                leave(job);
            }
            memory.remove_segment(segment);
            memory.deferred.push(Entry::Dropped(segment));
        }
        (Step::Advance, state)
    }

    /// Evidence segments of which no entry names a clip.
    fn unnamed(self, state: &State, memory: &Memory) -> Segments {
        let named = self.history(state).moved;
        let named: Segments = named.iter().flatten().map(|to| bit(*to)).fold(0, |a, b| a | b);
        memory.segments & !RECORDED & !named
    }

    /// Moves held clips: a name, its sync, records and seal, their sync, and the entry.
    fn relocate(self, state: &State, memory: &Memory, free: bool, next: &mut Next) {
        let Some((to, clips)) = memory.job.copy else {
            let clips = members(expired_segments(memory))
                .map(|segment| memory.clips_of(segment, state.disk.files[segment].parts))
                .fold(0, |all, some| all | some);
            if clips == 0 {
                next.push((Step::Advance, with_job(state, |job| job.phase = Phase::Mark)));
                return;
            }
            let to = memory.next;
            let mut without = with_job(state, |job| job.phase = Phase::DropMoved);
            if let Some(memory) = &mut without.memory {
                memory.next += 1;
            }
            next.push((Step::NoRoom, without));
            if to < SEGMENTS {
                let mut state = with_job(state, |job| job.copy = Some((to, clips)));
                let old = state.disk.files[to];
                let before = (old.name == Name::Going).then_some((old.content, old.parts));
                let before = before.or(old.before);
                state.disk.files[to] = File { name: Name::Coming, before, ..File::default() };
                if let Some(memory) = &mut state.memory {
                    memory.next += 1;
                }
                next.push((Step::CopyName(to), state));
            }
            return;
        };
        let file = state.disk.files[to];
        if file.name == Name::Coming && self.keeps(Rule::CopyHasItsNameBeforeTheMove) {
            let mut state = state.clone();
            sync_folder(&mut state.disk);
            next.push((Step::CopyNameSync, state));
        } else if file.content == Content::Empty {
            let mut state = state.clone();
            (state.disk.files[to].content, state.disk.files[to].parts) = (Content::Written, clips);
            if self.breaks(Rule::SourceStaysUntilTheMoveIsOnRecord) {
                let Some(memory) = &mut state.memory else { return };
                members(clips).for_each(|clip| memory.moved[clip] = Some(to));
                memory.segments |= bit(to);
                memory.job.phase = Phase::DropMoved;
                memory.job.copy = None;
            }
            next.push((Step::CopyWrite, state));
        } else if file.content == Content::Written && self.keeps(Rule::CopyIsSyncedBeforeTheMove) {
            let mut state = state.clone();
            state.disk.files[to].content = Content::Whole;
            next.push((Step::CopySync, state));
        } else if free {
            let lost = clips & memory.gone;
            let mut entries = vec![Entry::Sealed(to)];
            if clips & !lost != 0 {
                entries.push(Entry::Moved { to, clips: clips & !lost });
            }
            self.append(state, Who::Moving { lost: self.seen_lost(lost) }, entries, next);
        }
    }

    fn seen_lost(self, lost: Clips) -> Clips {
        if self.breaks(Rule::DeletedClipsAreErasedFromTheCopy) { 0 } else { lost }
    }

    /// What is gone in segments that stay waits to be punched out: expired ones with something held
    /// in them now, those in which all that is left is held after the evidence.
    fn mark(self, state: &State) -> State {
        let mut state = state.clone();
        let Some(memory) = &state.memory else { return state };
        let staying = members(expired_segments(memory))
            .filter(|segment| !self.whole_gone(&state, memory, *segment))
            .map(bit)
            .sum();
        self.mark_around(&mut state, staying);
        with_job(&state, |job| {
            if job.call == Call::Open {
                (job.phase, job.todo) = (Phase::Erase, !0);
            } else {
                job.phase = Phase::Evidence;
            }
        })
    }

    fn mark_around(self, state: &mut State, segments: Segments) {
        let erased = self.history(state).erased;
        let Some(memory) = &mut state.memory else { return };
        for segment in members(segments & memory.segments) {
            let parts = members(state.disk.files[segment].parts);
            let gone: Clips = parts.filter(|c| !memory.is_live(*c, segment)).map(bit).sum();
            memory.to_erase[segment] |= gone & !erased[segment];
        }
    }

    /// Clips in evidence segments that no hold covers any more, a segment an entry.
    fn expire_evidence(self, state: &State, memory: &Memory, next: &mut Next) {
        let Some(segment) = members(memory.job.todo & memory.segments).next() else {
            let mut state = with_job(state, |job| (job.phase, job.todo) = (Phase::Erase, !0));
            self.mark_around(&mut state, memory.job.all_held);
            next.push((Step::Advance, state));
            return;
        };
        let live = memory.clips_of(segment, state.disk.files[segment].parts);
        let clips = live & !self.history(state).covered();
        let state = with_job(state, |job| job.todo &= !bit(segment));
        if clips == 0 {
            next.push((Step::Advance, state));
        } else {
            let who = Who::Releasable { segment, clips };
            self.append(&state, who, vec![Entry::ClipsExpired(clips)], next);
        }
    }

    /// Removes the bytes of gone clips: whole files where nothing is left, else by punching.
    fn erase(self, state: &State, memory: &Memory, free: bool, next: &mut Next) {
        let job = memory.job;
        if job.unlinked | job.done != 0 {
            next.push(self.forget_unlinked(state));
            return;
        }
        if let Some(segment) = members(job.proof).next() {
            let mut state = with_job(state, |job| job.unlinked |= bit(segment));
            unlink(&mut state, segment);
            next.push((Step::Unlink(segment), state));
            return;
        }
        if let Some((segment, synced)) = job.punching {
            next.push(self.punched(state, segment, synced));
            return;
        }
        let waiting = members(job.todo & memory.segments).find(|id| memory.to_erase[*id] != 0);
        let Some(segment) = waiting else {
            let phase = match job.call {
                Call::Open => Phase::Unnamed,
                Call::Sweep => Phase::Flush,
                Call::Erase => Phase::Idle,
            };
            next.push((Step::Advance, with_job(state, |job| (job.phase, job.todo) = (phase, 0))));
            return;
        };
        let state = with_job(state, |job| job.todo &= !bit(segment));
        if self.whole_gone(&state, memory, segment) {
            if self.breaks(Rule::EmptiedFilesExpireFirst) {
                next.push((Step::Advance, with_job(&state, |job| job.proof = bit(segment))));
            } else if free {
                self.append(&state, Who::Emptying(segment), vec![Entry::Expired(segment)], next);
            }
            return;
        }
        let leased = state.leased.filter(|_| self.keeps(Rule::LeasesStopPunching));
        let leased = leased.map_or(0, |(clip, _)| bit(clip));
        let mut clips = memory.to_erase[segment] & !leased;
        if self.breaks(Rule::GateChecksBeforePunching) {
            clips |= state.disk.files[segment].parts & !leased;
        }
        if clips == 0 {
            next.push((Step::Advance, state));
            return;
        }
        let mut state = with_job(&state, |job| job.punching = Some((segment, false)));
        let file = &mut state.disk.files[segment];
        file.punching |= clips & file.parts & !file.punched;
        next.push((Step::Punch(segment), state));
    }

    /// Syncs what was punched, and then lets catalog and ledger know.
    fn punched(self, state: &State, segment: usize, synced: bool) -> (Step, State) {
        if !synced && self.keeps(Rule::PunchIsSyncedBeforeDone) {
            let mut state = with_job(state, |job| job.punching = Some((segment, true)));
            let file = &mut state.disk.files[segment];
            file.punched |= file.punching;
            file.punching = 0;
            return (Step::PunchSync(segment), state);
        }
        let mut state = with_job(state, |job| job.punching = None);
        let file = &state.disk.files[segment];
        if let Some(memory) = &mut state.memory {
            let clips = (file.punching | file.punched) & memory.to_erase[segment];
            memory.to_erase[segment] &= !clips;
            memory.deferred.push(Entry::Erased { segment, clips });
        }
        (Step::Advance, state)
    }
}

/// A job that has no more files to drop goes on with the next phase.
fn leave(job: &mut Job) {
    job.phase = match job.phase {
        Phase::DropWhole => Phase::Move,
        Phase::Unnamed => Phase::Flush,
        _ => Phase::Mark,
    };
}

fn with_job(state: &State, change: impl FnOnce(&mut Job)) -> State {
    let mut state = state.clone();
    if let Some(memory) = &mut state.memory {
        change(&mut memory.job);
    }
    state
}

fn expired_segments(memory: &Memory) -> Segments {
    members(memory.segments).filter(|id| memory.spared[*id].is_some()).map(bit).sum()
}

fn unlink(state: &mut State, segment: usize) {
    let file = &mut state.disk.files[segment];
    match file.name {
        Name::Coming => *file = File::default(),
        Name::Present => file.name = Name::Going,
        Name::Absent | Name::Going => {}
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
