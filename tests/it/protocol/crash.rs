//! The end of a process and the beginning of the next: kill, power loss, recovery.
//!
//! Power loss keeps or loses each pending thing by itself: the ledger's unsynced tail (as a whole),
//! each name that came or went, each unsynced copy, each punched clip. A kill keeps them all, and
//! keeps them pending. Recovery is `src/store/open.rs`: steps 2 to 4 at once, as they only read and
//! make durable, and then the phases of a sweep, step by step, each of which may be cut off too.

use super::state::{
    Call, Clips, Content, Disk, Entry, File, History, Job, Memory, Name, Phase, RECORDED, SEGMENTS,
    State, has, members,
};
use super::steps::{Protocol, Rule, Step, sync_folder};

impl Protocol {
    pub(super) fn crashes(self, state: &State, next: &mut Vec<(Step, State)>) {
        let down = |disk| State { disk, memory: None, leased: None, ..state.clone() };
        if state.left.power_cuts > 0 {
            for disk in self.after_power_loss(&state.disk) {
                let mut state = down(disk);
                state.left.power_cuts -= 1;
                next.push((Step::CutPower, state));
            }
        }
        if state.left.kills > 0 && state.memory.is_some() {
            let mut state = down(state.disk.clone());
            state.left.kills -= 1;
            next.push((Step::Kill, state));
        }
    }

    fn after_power_loss(self, disk: &Disk) -> Vec<Disk> {
        let mut lost = disk.clone();
        lost.tail.clear();
        let mut disks = vec![lost];
        if !disk.tail.is_empty() {
            let mut kept = disk.clone();
            for entry in std::mem::take(&mut kept.tail) {
                kept.history.apply(entry, self.broken == Some(Rule::GoneCountsUntilTheLastFile));
            }
            disks.push(kept);
        }
        for segment in 0..SEGMENTS {
            let outcomes = file_after_power_loss(disk.files[segment]);
            disks = disks
                .into_iter()
                .flat_map(|disk| {
                    outcomes.iter().map(move |file| {
                        let mut disk = disk.clone();
                        disk.files[segment] = *file;
                        disk
                    })
                })
                .collect();
        }
        disks
    }

    /// What a machine that starts does to a store that is down.
    pub(super) fn restart(self, state: &State, next: &mut Vec<(Step, State)>) {
        let resync = self.broken != Some(Rule::RecoverySyncsTheTailOfTheKilled);
        if !state.disk.tail.is_empty() && resync {
            let mut state = state.clone();
            for entry in std::mem::take(&mut state.disk.tail) {
                let early = self.broken == Some(Rule::GoneCountsUntilTheLastFile);
                state.disk.history.apply(entry, early);
            }
            next.push((Step::Resync, state));
            return;
        }
        next.push((Step::Open, self.opened(state)));
    }

    fn opened(self, state: &State) -> State {
        let mut state = state.clone();
        let early = self.broken == Some(Rule::GoneCountsUntilTheLastFile);
        let mut history = state.disk.history.clone();
        state.disk.tail.iter().for_each(|entry| history.apply(*entry, early));
        if self.broken == Some(Rule::RecoveryTrustsOnlyNamedCopies) {
            trust_copies(&mut history, &state.disk);
        }
        let segments = state.disk.there();
        let newest = members(segments).last().unwrap_or(0).max(history.newest);
        let mut memory = Memory {
            deferred: Vec::new(),
            segments,
            spared: [None; SEGMENTS],
            gone: history.gone,
            moved: history.moved,
            to_erase: [0; SEGMENTS],
            next: newest + 1,
            append: None,
            job: Job::at(Call::Open, Phase::DropWhole),
        };
        for (clip, to) in history.moved.iter().enumerate() {
            if to.is_some_and(|to| !has(segments, to)) {
                memory.moved[clip] = None;
                state.false_alarm |= !has(history.gone, clip);
            }
        }
        self.spare(&state.disk, &history, &mut memory);
        if self.broken != Some(Rule::RecoveryErasesTheGone) {
            for segment in members(segments) {
                let parts = state.disk.files[segment].parts;
                memory.to_erase[segment] = parts & history.gone & !history.erased[segment];
            }
        }
        put_on_record(&mut state, &history, &mut memory);
        if self.broken == Some(Rule::RecoveryFinishesDrops) {
            memory.job = Job::idle();
        }
        state.memory = Some(memory);
        state
    }

    /// Which clips outlive the expiry of their segment.
    fn spare(self, disk: &Disk, history: &History, memory: &mut Memory) {
        for segment in members(history.expired & memory.segments) {
            let alive = memory.clips_of(segment, disk.files[segment].parts);
            let outlive = if segment >= 2 {
                alive
            } else if self.broken == Some(Rule::RecoveryAsksTheHoldsOfTheEntry) {
                history.covered()
            } else {
                history.outlive[segment]
            };
            memory.spared[segment] = Some(alive & outlive);
        }
    }
}

/// What recovery would believe if it took every sealed copy at its word.
fn trust_copies(history: &mut History, disk: &Disk) {
    for segment in members(disk.there() & !RECORDED) {
        let file = disk.files[segment];
        for clip in members(file.parts).filter(|_| file.content != Content::Empty) {
            history.moved[clip] = Some(segment);
        }
    }
}

/// Step 4: seals that a crash kept from being noted, and files that are gone. Entries are deferred.
fn put_on_record(state: &mut State, history: &History, memory: &mut Memory) {
    let there = memory.segments;
    for segment in members(there & !history.sealed) {
        let file = &mut state.disk.files[segment];
        if file.content != Content::Empty {
            file.content = Content::Whole;
            memory.deferred.push(Entry::Sealed(segment));
        }
    }
    let missing = history.sealed & !there;
    state.false_alarm |= missing & !history.expired != 0;
    for segment in members(missing & history.expired) {
        sync_folder(&mut state.disk);
        memory.deferred.push(Entry::Dropped(segment));
    }
}

fn file_after_power_loss(file: File) -> Vec<File> {
    let absent = File::default();
    let durable = File { name: Name::Present, before: None, ..file };
    let mut outcomes = match file.name {
        Name::Absent => return vec![absent],
        Name::Present => vec![durable],
        Name::Coming | Name::Going => vec![absent, durable],
    };
    if let Some((content, parts)) = file.before {
        outcomes.push(File { name: Name::Present, content, parts, ..absent });
    }
    let outcomes = outcomes.into_iter().flat_map(after_writing);
    outcomes.flat_map(after_punching).collect()
}

/// A copy that was not synced is torn or whole.
fn after_writing(file: File) -> Vec<File> {
    if file.content != Content::Written {
        return vec![file];
    }
    let empty = File { content: Content::Empty, parts: 0, ..file };
    vec![empty, File { content: Content::Whole, ..file }]
}

/// Any of the clips that were being punched out may be back.
fn after_punching(file: File) -> Vec<File> {
    let subsets = (0..=file.punching).filter(|kept| kept & !file.punching == 0);
    let punched = |kept: Clips| File { punched: file.punched | kept, punching: 0, ..file };
    subsets.map(punched).collect()
}
