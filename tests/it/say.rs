//! What a test tells whoever ran it, also when it passes: how much it looked at.

use std::io::Write as _;

/// Says a line that the test runner does not hide. Its first word is the kind of test, in capitals:
/// `tests/run` shows these again at its end.
pub(crate) fn say(line: &str) {
    std::io::stderr().write_all(format!("\n{line}\n").as_bytes()).expect("somebody listens");
}
