//! Exit codes, and how errors are shown.
//!
//! Owns the one table from what went wrong to the code a script sees. The codes are a promise: a
//! meaning is never changed, new ones are added behind.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use serde_json::{Value, json};

use super::output::ClosedPipe;
use crate::{Error, ErrorKind};

/// What `--help` says of the codes.
pub(super) const HELP: &str = "\
Exit codes:
  0  done
  1  it ran, and something is wrong: faults found, some of the files or clips failed, I/O errors
  2  the arguments are wrong; nothing was changed
  3  there is no such store, camera, clip or hold; or the clip has expired
  4  a hold protects the clip, the hold budget is spent, or a key was used for something else
  5  another process has the store, or it cannot be written
  6  the disk is full and nothing may be dropped
  7  bytes are damaged, or are not the media they should be, or of a later version

`clipkeep verify FILE` has codes of its own: see its help.

Errors are one line on standard error, then their causes. With --json they are one object:
  {\"error\": {\"kind\": \"held\", \"message\": \"..\", \"causes\": [], \"path\": null, \
\"offset\": null}}

Times may be given as RFC 3339 (2026-11-23T18:30:00Z), as local time (2026-11-23 18:30, 18:30,
yesterday 18:30), or counted back (2h ago, 3 days ago, now). Sizes: 64GiB, 500MB. Durations: 90s,
30m, 12h, 14d.

See it work, without a camera:  clipkeep demo";

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// Done.
    Done,
    /// It ran, and something is wrong.
    Faults,
    /// The arguments are wrong.
    Usage,
    /// The thing asked for does not exist, or not any more.
    Missing,
    /// A hold, a budget or an earlier call stands against it.
    Refused,
    /// Somebody else has the store, or it cannot be written.
    Unavailable,
    /// There is no room.
    Full,
    /// Bytes are not what they should be.
    Damaged,
    /// What was found about a bundle of evidence, which has codes of its own.
    #[cfg(feature = "requests")]
    Evidence(u8),
}

impl Exit {
    /// The number that the process ends with.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Faults => 1,
            Self::Usage => 2,
            Self::Missing => 3,
            Self::Refused => 4,
            Self::Unavailable => 5,
            Self::Full => 6,
            Self::Damaged => 7,
            #[cfg(feature = "requests")]
            Self::Evidence(code) => code,
        }
    }

    /// How a command that failed with `kind` ends.
    pub(super) const fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::InvalidInput => Self::Usage,
            ErrorKind::NotFound | ErrorKind::Expired => Self::Missing,
            ErrorKind::Held | ErrorKind::HoldBudget | ErrorKind::Conflict => Self::Refused,
            ErrorKind::Locked | ErrorKind::ReadOnly | ErrorKind::Poisoned => Self::Unavailable,
            ErrorKind::Full => Self::Full,
            ErrorKind::Corrupt | ErrorKind::Media | ErrorKind::Unsupported => Self::Damaged,
            ErrorKind::Io => Self::Faults,
        }
    }
}

/// Shows why the arguments cannot be used (or the help that was asked for).
pub(super) fn refuse_arguments(error: &clap::Error, wants_json: bool) -> Exit {
    if error.exit_code() == 0 {
        return shown(error.print(), Exit::Done);
    }
    if !wants_json {
        return shown(error.print(), Exit::Usage);
    }
    let text = error.render().to_string();
    let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    let kind = ErrorKind::InvalidInput.name();
    to_stderr(
        &json!({"error": {"kind": kind, "message": message, "causes": [], "path": null,
        "offset": null, "hint": text.lines().last()}})
        .to_string(),
    );
    Exit::Usage
}

/// Shows `error` on standard error and says how the process must end. Whoever stopped reading our
/// output has had enough: that is no error.
pub(super) fn report(error: &anyhow::Error, wants_json: bool) -> Exit {
    if error.chain().any(is_closed_pipe) {
        return Exit::Done;
    }
    let typed = typed(error);
    let exit = typed.map_or(Exit::Faults, |error| Exit::of(error.kind()));
    let text = if wants_json {
        json!({"error": error_json(error)}).to_string()
    } else {
        error_text(error)
    };
    to_stderr(&text);
    exit
}

/// The error as scripts see it, without the `error` key around it.
pub(super) fn error_json(error: &anyhow::Error) -> Value {
    let typed = typed(error);
    let causes: Vec<String> = error.chain().skip(1).map(ToString::to_string).collect();
    json!({
        "kind": typed.map_or("io", |error| error.kind().name()),
        "message": error.to_string(),
        "causes": causes,
        "path": typed.and_then(Error::path).map(|path| path.display().to_string()),
        "offset": typed.and_then(Error::offset),
        "hint": typed.and_then(hint),
    })
}

/// A warning, on standard error, in the shape that was asked for.
pub(super) fn warn(message: &str, wants_json: bool) {
    if wants_json {
        to_stderr(&json!({"warning": {"message": message}}).to_string());
    } else {
        to_stderr(&format!("clipkeep: {message}"));
    }
}

fn error_text(error: &anyhow::Error) -> String {
    let mut text = format!("clipkeep: {error}");
    for cause in error.chain().skip(1) {
        write!(text, "\n  because: {cause}").ok();
    }
    if let Some(hint) = typed(error).and_then(hint) {
        write!(text, "\n  hint: {hint}").ok();
    }
    text
}

/// Whether `cause` is [`ClosedPipe`], or the I/O error that carries it.
fn is_closed_pipe(cause: &(dyn std::error::Error + 'static)) -> bool {
    let carried = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    cause.is::<ClosedPipe>()
        || carried.is_some_and(<dyn std::error::Error + Send + Sync>::is::<ClosedPipe>)
}

/// The store's own error in a chain of causes.
fn typed(error: &anyhow::Error) -> Option<&Error> {
    error.chain().find_map(|cause| cause.downcast_ref::<Error>())
}

/// What to do about it, where that is not plain from the message.
fn hint(error: &Error) -> Option<String> {
    let hint = match error.kind() {
        ErrorKind::Locked => {
            "one process writes a store, and readers wait for it: let it finish, or stop it in an \
             orderly way"
        }
        ErrorKind::Held => {
            "`clipkeep show ID` tells which holds; `clipkeep delete --end-holds` \
                            ends those that are yours to end"
        }
        ErrorKind::HoldBudget => "narrow the window, or raise --hold-budget",
        ErrorKind::Full => "`clipkeep plan` tells what keeps its place and why",
        ErrorKind::Corrupt => "`clipkeep verify` tells the extent of the damage",
        ErrorKind::Poisoned => "run the command again: opening the store recovers it",
        ErrorKind::Unsupported => "a newer clipkeep may know it",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Writes a line to standard error; nobody can be told if that fails.
fn to_stderr(text: &str) {
    writeln!(io::stderr().lock(), "{text}").ok();
}

fn shown(printed: io::Result<()>, exit: Exit) -> Exit {
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Exit::Faults,
        _ => exit,
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn codes_are_as_documented() {
        let expected = [
            (ErrorKind::InvalidInput, 2),
            (ErrorKind::NotFound, 3),
            (ErrorKind::Expired, 3),
            (ErrorKind::Held, 4),
            (ErrorKind::HoldBudget, 4),
            (ErrorKind::Conflict, 4),
            (ErrorKind::Locked, 5),
            (ErrorKind::ReadOnly, 5),
            (ErrorKind::Poisoned, 5),
            (ErrorKind::Full, 6),
            (ErrorKind::Corrupt, 7),
            (ErrorKind::Media, 7),
            (ErrorKind::Unsupported, 7),
            (ErrorKind::Io, 1),
        ];
        for (kind, code) in expected {
            assert_eq!(Exit::of(kind).code(), code, "{kind:?}");
            assert!(HELP.contains(&format!("\n  {code}  ")), "{code}");
        }
    }

    #[test]
    fn the_kind_is_found_below_added_context() {
        let error = Error::new(ErrorKind::Held, "delete clip 1-0: held by h1");
        let error = Err::<(), _>(error).context("delete 1 clip").unwrap_err();
        let value = error_json(&error);
        assert_eq!(value["kind"], "held");
        assert_eq!(value["message"], "delete 1 clip");
        assert_eq!(value["causes"][0], "delete clip 1-0: held by h1");
        assert!(error_text(&error).contains("\n  because: delete clip 1-0"));
        assert!(error_text(&error).contains("--end-holds"));
    }

    #[test]
    fn a_closed_pipe_is_no_error() {
        assert_eq!(report(&ClosedPipe.into(), false), Exit::Done);
        let carried = io::Error::new(io::ErrorKind::BrokenPipe, ClosedPipe);
        let carried = Error::new(ErrorKind::Io, "write an export").caused_by(carried);
        assert_eq!(report(&carried.into(), false), Exit::Done);
    }
}
