//! The steps of a sweep in the model, one change of the disk each: of `Store::sweep`, of what
//! follows an owner's delete, and of opening once the catalog is there. They are those of
//! `src/store/sweep.rs`, `src/store/relocate.rs` and `src/store/gate.rs`.

use super::state::{
    Call, Clips, Content, Entry, File, Job, Memory, Name, PARTS, Phase, RECORDED, SEGMENTS,
    Segments, State, Who, bit, members,
};
use super::steps::{Next, Protocol, Rule, Step, sync_folder};

impl Protocol {
    /// The next step of who has `sweeping`; none while he waits for the ledger.
    pub(super) fn job_steps(self, state: &State, memory: &Memory, next: &mut Next) {
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
                    Self::append(state, Who::Flushing, Vec::new(), next);
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
            Self::append(&state, Who::Expiring { spared }, entries, next);
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
                Self::append(state, Who::Emptying(segment), vec![Entry::Expired(segment)], next);
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
            Self::append(state, Who::Moving { lost: self.seen_lost(lost) }, entries, next);
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
            Self::append(&state, who, vec![Entry::ClipsExpired(clips)], next);
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
                Self::append(&state, Who::Emptying(segment), vec![Entry::Expired(segment)], next);
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
