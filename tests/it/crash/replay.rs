//! One crash state again, step by step, for a person who wants to know what went wrong.
//!
//! `CLIPKEEP_CRASH_CASE` names it, as the failure of a crash test prints it.

use std::sync::{Arc, Mutex, PoisonError};

use super::case::{Case, Fall};
use super::explore::{Run, fallen, is_full, survive};
use crate::scenarios;

/// The history of a case, one line for each thing that happened, and how it ended.
pub(super) fn history(case: &Case) -> (Vec<String>, Result<(), String>) {
    let mut lines = vec![format!("scenario {}, seed {}", case.scenario, case.seed)];
    let ended = tell(case, &mut lines);
    (lines, ended)
}

fn tell(case: &Case, lines: &mut Vec<String>) -> Result<(), String> {
    let mut known = scenarios::ALL.iter().chain(&scenarios::DAMAGED);
    let (_, scenario) = known
        .find(|(name, _)| *name == case.scenario)
        .ok_or_else(|| format!("there is no scenario {:?}", case.scenario))?;
    let run = Run::of(*scenario, case.seed)?;
    let (mut moments, mut changes) = (run.moments, run.changes);
    for (turn, step) in case.steps.iter().enumerate() {
        let done = changes.iter().take(step.changes).enumerate();
        lines.extend(done.map(|(number, change)| format!("  {number:>4}  {change}")));
        let moment = moments
            .get(step.changes)
            .ok_or_else(|| format!("there are only {} changes", moments.len()))?;
        match step.fall {
            Fall::Kill => lines.push("the process is killed".to_owned()),
            Fall::Power(n) => {
                lines.push(format!("the power fails; what was pending goes way {n}:"));
                let fork = moment.killed().disk;
                drop(fork.crash_pattern_telling(n, &mut |item, fate| {
                    lines.push(format!("        {fate:?}: {} {:?}", item.path, item.change));
                }));
            }
        }
        let after = fallen(moment, step.fall);
        let room = if is_full(&after) { "on a full disk" } else { "with the room it had" };
        lines.push(format!("opened again, {room}:"));
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let listener = Arc::clone(&told);
        let last = turn + 1 == case.steps.len();
        let survived = survive(
            after,
            true,
            last,
            Some(Arc::new(move |change| {
                let mut told = listener.lock().unwrap_or_else(PoisonError::into_inner);
                told.push(change.to_owned());
            })),
        );
        changes = told.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if last || survived.is_err() {
            lines.extend(changes.iter().map(|change| format!("        {change}")));
        }
        moments = survived?;
    }
    Ok(())
}

/// Without `CLIPKEEP_CRASH_CASE` a case that is known to be survived, so that this cannot rot.
#[test]
fn replays_a_crash_state_step_by_step() {
    let asked = std::env::var("CLIPKEEP_CRASH_CASE").ok();
    let case = asked.as_deref().unwrap_or("append/0/80:1/2:0");
    let (lines, ended) = history(&case.parse().unwrap());
    for line in &lines {
        println!("{line}");
    }
    match ended {
        Ok(()) => println!("every promise is kept"),
        Err(broken) => panic!("{broken}"),
    }
    if asked.is_none() {
        let has = |part: &str| lines.iter().any(|line| line.contains(part));
        assert!(has("write segments/") && has("sync ledger/a"), "the scenario's changes");
        assert!(has("the power fails") && has("opened again"), "the falls");
    }
}
