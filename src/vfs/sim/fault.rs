//! Failures to order: the nth operation of a kind fails, once or from then on.

use std::io;

/// A kind of operation that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SimOp {
    /// `read_at`.
    Read,
    /// `write_at`. Any part of the bytes is written.
    Write,
    /// A file's `sync`. Its unsynced bytes are read on, and never become durable.
    Sync,
    /// `sync_dir`. The names stay as they were: a crash decides about them.
    SyncDir,
    /// `create` and `create_dir`.
    Create,
    /// `rename`.
    Rename,
    /// `remove`.
    Remove,
    /// `punch` and `truncate`. Nothing is done.
    Punch,
    /// `map` and `populate`.
    Map,
}

#[derive(Debug)]
struct Fault {
    op: SimOp,
    /// How many operations still succeed before it strikes.
    spared: u64,
    error: io::ErrorKind,
    sticky: bool,
}

/// The failures still to come.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn arm(&mut self, op: SimOp, nth: u64, error: io::ErrorKind, sticky: bool) {
        self.0.push(Fault { op, spared: nth.saturating_sub(1), error, sticky });
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Counts one operation; fails if it is one that was to fail.
    pub(super) fn strike(&mut self, op: SimOp, path: &str) -> io::Result<()> {
        let mut struck = None;
        self.0.retain_mut(|fault| {
            if fault.op != op {
                return true;
            }
            if fault.spared > 0 {
                fault.spared -= 1;
                return true;
            }
            struck = Some(fault.error);
            fault.sticky
        });
        match struck {
            None => Ok(()),
            Some(kind) => Err(io::Error::new(kind, format!("simulated fault: {op:?} of {path}"))),
        }
    }
}
