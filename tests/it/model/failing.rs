//! Reads, maps and looks at folders that fail once: while somebody reads a clip, while a sweep
//! moves and checks, while the store is opened. What could not be looked at is neither data nor a
//! reason to delete.

use std::io;

use clipkeep::ErrorKind;
use clipkeep::vfs::sim::SimOp;

use super::check;
use super::harm::KILLED;
use super::run::{Checked, HOUR, Run, demand};
use super::step::{Meanwhile, Reading};

impl Run {
    pub(super) fn fail_read(
        &mut self,
        op: SimOp,
        nth: u8,
        meanwhile: Meanwhile,
    ) -> Checked<String> {
        if self.is_troubled || self.is_frozen {
            return Ok("not now".to_owned());
        }
        match meanwhile {
            Meanwhile::Read { clip, copied } => self.read_while_it_fails(op, nth, clip, copied),
            Meanwhile::Sweep => self.sweep_while_it_fails(op, nth),
            Meanwhile::Open => self.open_while_it_fails(op, nth),
        }
    }

    fn strike(&self, op: SimOp, nth: u8) {
        self.disk.fail_after(op, u64::from(nth), io::ErrorKind::Other);
    }

    /// A clip is read right or not at all, and right the next time.
    fn read_while_it_fails(
        &mut self,
        op: SimOp,
        nth: u8,
        number: u8,
        copied: bool,
    ) -> Checked<String> {
        let Some(id) = self.listed_clip(number) else { return Ok("there is none".to_owned()) };
        self.strike(op, nth);
        let failed = check::reads_right_or_not_at_all(self, id, copied);
        self.disk.clear_faults();
        let failed = failed?;
        let reading = if copied { Reading::Copied } else { Reading::Whole };
        check::reading_is_right(self, id, reading)?;
        if failed {
            self.tally.count("reads that failed");
        }
        Ok(format!("clip {id} {}", if failed { "could not be read" } else { "was read" }))
    }

    /// A sweep does what it can; what is left it does when nothing fails any more.
    fn sweep_while_it_fails(&mut self, op: SimOp, nth: u8) -> Checked<String> {
        self.strike(op, nth);
        let swept = self.store().sweep();
        self.disk.clear_faults();
        // What it could not read it may not look at again before the next opening.
        self.is_troubled = true;
        let told = match swept {
            Ok(report) if report.problems.is_empty() => "nothing failed".to_owned(),
            Ok(report) => {
                self.tally.count("calls that failed for a read");
                format!("{:?}", report.problems)
            }
            Err(error) => {
                let kinds = [ErrorKind::Io, ErrorKind::Corrupt, ErrorKind::Full];
                demand(kinds.contains(&error.kind()), || format!("sweep: {error:?}"))?;
                self.tally.count("calls that failed for a read");
                format!("{error:?}")
            }
        };
        self.look()?;
        check::leases_are_kept(self)?;
        Ok(told)
    }

    /// A store opens or not; if it does it sweeps. The next process finds everything.
    fn open_while_it_fails(&mut self, op: SimOp, nth: u8) -> Checked<String> {
        self.stop(KILLED);
        self.strike(op, nth);
        self.reference.now_max = self.reference.now_max.saturating_add(HOUR);
        let opened = self.options().open("model");
        let told = match &opened {
            Ok(store) => {
                let problems = store.opening().problems.len();
                if store.sweep().is_err() || problems > 0 {
                    self.tally.count("openings with a read that failed");
                }
                format!("it opened, and told of {problems} problems")
            }
            Err(error) => {
                self.tally.count("openings with a read that failed");
                format!("it did not open: {:?}", error.kind())
            }
        };
        self.store = opened.ok();
        self.crash(KILLED)?;
        Ok(told)
    }
}
