//! How many tests of the kernel ran, and which could not and why: said past the test harness,
//! which keeps what a passing test prints to itself.
//!
//! The line that begins with `KERNEL` comes after each test and counts those so far, so the last
//! one is the sum.

use std::io::Write as _;

use parking_lot::Mutex;

/// Set where every test must run: skipping one is then a failure.
const REQUIRED: &str = "CLIPKEEP_KERNEL_REQUIRED";

struct Counts {
    ran: u32,
    skipped: Vec<String>,
}

static COUNTS: Mutex<Counts> = Mutex::new(Counts { ran: 0, skipped: Vec::new() });

/// Runs `test`, unless something that it needs is `missing`.
pub(super) fn unless_missing(missing: Option<String>, name: &str, test: impl FnOnce()) {
    if let Some(why) = missing {
        assert!(std::env::var_os(REQUIRED).is_none(), "{REQUIRED} is set, and {name}: {why}");
        return count(|counts| counts.skipped.push(format!("{name}: {why}")));
    }
    test();
    count(|counts| counts.ran += 1);
}

fn count(change: impl FnOnce(&mut Counts)) {
    let mut counts = COUNTS.lock();
    let before = counts.skipped.len();
    change(&mut counts);
    let mut out = std::io::stderr().lock();
    // The test harness may be in the middle of a line.
    let mut said = writeln!(out);
    if let Some(skipped) = counts.skipped.get(before) {
        said = said.and_then(|()| writeln!(out, "SKIPPED {skipped}"));
    }
    let (ran, skipped) = (counts.ran, counts.skipped.len());
    let why = if skipped == 0 { String::new() } else { format!(": {}", counts.skipped.join("; ")) };
    said.and_then(|()| writeln!(out, "KERNEL tests run {ran}, skipped {skipped}{why}")).unwrap();
}
