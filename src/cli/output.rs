//! Standard output: lines and tables for people, JSON for scripts.
//!
//! Owns the one handle through which anything is printed. A reader that closes its end (`| head`)
//! ends the command quietly: see [`ClosedPipe`].

use std::fmt;
use std::io::{self, BufWriter, IsTerminal as _, StdoutLock, Write};

use comfy_table::{CellAlignment, Table, presets};
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::Timestamp;

/// Whoever read our output has gone.
#[derive(Debug)]
pub(super) struct ClosedPipe;

impl fmt::Display for ClosedPipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("standard output was closed")
    }
}

impl std::error::Error for ClosedPipe {}

/// Standard output in the shape that was asked for.
#[derive(Debug)]
pub(super) struct Out {
    sink: BufWriter<StdoutLock<'static>>,
    wants_json: bool,
    zone: TimeZone,
}

impl Out {
    /// The process's standard output.
    pub(super) fn new(wants_json: bool) -> Self {
        let sink = BufWriter::new(io::stdout().lock());
        Self { sink, wants_json, zone: TimeZone::system() }
    }

    /// Whether a script reads it.
    pub(super) fn wants_json(&self) -> bool {
        self.wants_json
    }

    /// Whether colours may be used: on a terminal, unless `NO_COLOR` is set.
    pub(super) fn wants_colour(&self) -> bool {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        !self.wants_json && !refused && self.sink.get_ref().is_terminal()
    }

    /// Writes one line.
    ///
    /// # Errors
    ///
    /// [`ClosedPipe`], or what the system says.
    pub(super) fn line(&mut self, text: impl fmt::Display) -> anyhow::Result<()> {
        checked(writeln!(self.sink, "{text}"))
    }

    /// Writes `value` over several lines.
    ///
    /// # Errors
    ///
    /// As for [`Out::line`].
    pub(super) fn json(&mut self, value: &Value) -> anyhow::Result<()> {
        self.line(format_args!("{value:#}"))
    }

    /// Writes `{"name": [..]}`, one value a line, without holding them all.
    ///
    /// # Errors
    ///
    /// As for [`Out::line`].
    pub(super) fn json_list(
        &mut self,
        name: &str,
        values: impl Iterator<Item = Value>,
    ) -> anyhow::Result<()> {
        let mut separator = "";
        checked(write!(self.sink, "{{\"{name}\": ["))?;
        for value in values {
            checked(write!(self.sink, "{separator}\n  {value}"))?;
            separator = ",";
        }
        self.line("\n]}")
    }

    /// Writes a table; columns named in `right` (by number) hold figures.
    ///
    /// # Errors
    ///
    /// As for [`Out::line`].
    pub(super) fn table(
        &mut self,
        header: &[&str],
        right: &[usize],
        rows: Vec<Vec<String>>,
    ) -> anyhow::Result<()> {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(header.to_vec());
        table.add_rows(rows);
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        for number in right {
            if let Some(column) = table.column_mut(*number) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        for line in table.to_string().lines() {
            self.line(line.trim_end())?;
        }
        Ok(())
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    ///
    /// As for [`Out::line`].
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        checked(self.sink.write_all(bytes))
    }

    /// Hands everything over to the reader.
    ///
    /// # Errors
    ///
    /// As for [`Out::line`].
    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        checked(self.sink.flush())
    }

    /// `at` on the clock of this machine's time zone, with its offset.
    pub(super) fn time(&self, at: Timestamp) -> String {
        local_time(at, &self.zone)
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sink.write(bytes).map_err(closed)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush().map_err(closed)
    }
}

/// `at` on the clock of `zone`: `2026-11-23 18:30:00+01:00`, or `..Z` in UTC.
pub(super) fn local_time(at: Timestamp, zone: &TimeZone) -> String {
    let Ok(instant) = jiff::Timestamp::from_microsecond(at.as_micros()) else {
        return at.to_string();
    };
    let zoned = instant.to_zoned_datetime(zone.clone());
    let format = match at.as_micros().rem_euclid(1_000_000) {
        0 => "%Y-%m-%d %H:%M:%S%:z",
        _ => "%Y-%m-%d %H:%M:%S%.3f%:z",
    };
    let text = zoned.strftime(format).to_string();
    match text.strip_suffix("+00:00") {
        Some(utc) => format!("{utc}Z"),
        None => text,
    }
}

fn checked(outcome: io::Result<()>) -> anyhow::Result<()> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(ClosedPipe.into()),
        outcome => Ok(outcome?),
    }
}

/// The closed pipe inside an I/O error, where only such errors can be returned.
fn closed(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => io::Error::new(io::ErrorKind::BrokenPipe, ClosedPipe),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_times_name_their_offset_and_can_be_read_back() {
        let at: Timestamp = "2026-11-23T17:30:00.25Z".parse().unwrap();
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        assert_eq!(local_time(at, &berlin), "2026-11-23 18:30:00.250+01:00");
        assert_eq!(local_time(at, &berlin).parse::<Timestamp>().unwrap(), at);
        assert_eq!(local_time(Timestamp::EPOCH, &TimeZone::UTC), "1970-01-01 00:00:00Z");
    }

    #[test]
    fn a_closed_pipe_is_told_from_other_errors() {
        let closed = checked(Err(io::ErrorKind::BrokenPipe.into())).unwrap_err();
        assert!(closed.is::<ClosedPipe>());
        let full = checked(Err(io::ErrorKind::StorageFull.into())).unwrap_err();
        assert!(!full.is::<ClosedPipe>());
    }
}
