//! What a jump of trusted time does to the deadlines that were set while it lagged.

use crate::CatchUp;

use super::RequestId;
use super::state::{Answer, Request, Stage, State};

impl State {
    /// Trusted time jumped to a wall clock that had been doubted. What was set while it lagged
    /// moves with it: nobody gets less time to answer or to fetch for that.
    pub(super) fn catch_up(&mut self, jump: CatchUp) {
        let over = self.over.iter().map(|(_, id)| *id);
        let all: Vec<RequestId> = self.running.keys().copied().chain(over).collect();
        for id in all {
            let Some(request) = self.requests.get_mut(&id) else { continue };
            request.catch_up(jump);
            let changed = jump.corrected(request.changed);
            self.note_running(id, changed);
        }
    }
}

impl Request {
    fn catch_up(&mut self, jump: CatchUp) {
        if jump.covers(self.opened) {
            self.opened = jump.corrected(self.opened);
            match &mut self.stage {
                Stage::Open { deadline } => *deadline = deadline.saturating_add(jump.by),
                _ => self.screened_by = self.screened_by.saturating_add(jump.by),
            }
        }
        for asked in self.asked.values_mut().filter(|asked| jump.covers(asked.answered)) {
            asked.answered = jump.corrected(asked.answered);
            if let Answer::Accepted { until: end, .. } | Answer::Denied { undo_until: end } =
                &mut asked.answer
            {
                *end = end.saturating_add(jump.by);
            }
        }
    }
}
