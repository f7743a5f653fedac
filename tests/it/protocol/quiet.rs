//! What a sweep comes to when nothing else happens: the promise that what is due does go.

use super::invariants;
use super::state::{Left, Memory, Phase, RECORDED, Segments, State, Who};
use super::steps::{Protocol, Step};

impl Protocol {
    /// What is left when nothing else happens but sweeps, where the store is at rest. From every
    /// other state the steps lead to one that is.
    pub(super) fn quiet_sweep(self, state: &State) -> Option<Result<(), String>> {
        let memory = state.serving()?;
        if memory.job.phase != Phase::Idle || memory.append.is_some() {
            return None;
        }
        let quiet = |plan, room| {
            let mut state = State { leased: None, ..state.clone() };
            // One that puts on record and drops; one that erases what was in the copy.
            for _ in 0..2 {
                state = self.sweep_alone(&state, plan, room)?;
            }
            if plan == 0 {
                return invariants::no_deleted_bytes_are_left(&state);
            }
            invariants::nothing_due_is_left(&state, self.history(&state).covered())?;
            invariants::no_bytes_are_left(&state)
        };
        let outcomes = [
            ("with room", quiet(RECORDED, true)),
            ("without room", quiet(RECORDED, false)),
            ("with nothing due", quiet(0, true)),
        ];
        let mut outcomes = outcomes.into_iter();
        Some(outcomes.try_for_each(|(how, end)| end.map_err(|why| format!("{how}: {why}"))))
    }

    /// A whole sweep without anybody else.
    fn sweep_alone(self, state: &State, plan: Segments, room: bool) -> Result<State, String> {
        /// More steps than any sweep has.
        const STEPS_MAX: usize = 200;
        let segments = state.memory.as_ref().map_or(0, |memory| memory.segments);
        let mut state = self.planned(state, segments & plan);
        state.left = Left { sweeps: 0, deletes: 0, power_cuts: 0, kills: 0, leases: 0 };
        for _ in 0..STEPS_MAX {
            let memory = state.memory.as_ref().ok_or("the store is down")?;
            if memory.job.phase == Phase::Idle && memory.append.is_none() {
                return Ok(state);
            }
            let own = |(step, next): &(Step, State)| {
                let waits = next.memory.as_ref().is_some_and(|next| {
                    *step == Step::Append && next.job == memory.job && !is_sweepers(next)
                });
                !waits && (*step != Step::NoRoom || !room)
            };
            let steps = self.steps(&state);
            let step = if room {
                steps.into_iter().rev().find(|step| own(step) && step.0 != Step::Lease)
            } else {
                steps.into_iter().find(|step| own(step) && step.0 != Step::Lease)
            };
            state = step.ok_or("a sweep does not go on")?.1;
        }
        Err("a sweep does not end".to_owned())
    }
}

fn is_sweepers(memory: &Memory) -> bool {
    !matches!(memory.append, Some((Who::Placing(_) | Who::Releasing(_) | Who::Deleting(_), _)))
}
