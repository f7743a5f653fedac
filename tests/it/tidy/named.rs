//! The rules of documents that name tests: a defect in CHANGELOG.md, and a promise or rule in a
//! table whose last column is headed `test` or `tests`, name tests that exist.

use super::source::Source;

/// The defects of the table under Safety whose tests are not there. A test is named by the end of
/// its path: `` `faults::a_failed_write_loses_nothing` ``.
pub(super) fn defects_name_their_tests(changelog: &str, sources: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    for (number, line) in changelog.lines().enumerate() {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        let [_, _, tests] = cells[..] else { continue };
        let names: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        let is_row = line.starts_with("| ") && tests.trim() != "tests";
        let missing = names.iter().find(|name| !is_there(name, sources));
        if is_row && (names.is_empty() || missing.is_some()) {
            faults.push(format!("CHANGELOG.md:{}: no test {missing:?}", number + 1));
        }
    }
    faults
}

/// The rows of tables of tests in a document whose tests are not there. A name may be that of a
/// test (`` `a_held_clip_stays` ``), the beginning of some (`` `bypass_by_` ``), or a module
/// (`` `full::` ``).
pub(super) fn rows_name_their_tests(path: &str, text: &str, sources: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut of_tests = false;
    for (number, line) in text.lines().enumerate() {
        if !line.starts_with('|') {
            of_tests = false;
            continue;
        }
        let last = line.trim_end_matches([' ', '|']).rsplit('|').next().unwrap_or_default().trim();
        if matches!(last, "test" | "tests") {
            of_tests = true;
            continue;
        }
        if !of_tests || last.starts_with("--") {
            continue;
        }
        let names: Vec<&str> = last.split('`').skip(1).step_by(2).collect();
        let missing = names.iter().find(|name| !begins_there(name, sources));
        if names.is_empty() || missing.is_some() {
            faults.push(format!("{path}:{}: no test {missing:?}", number + 1));
        }
    }
    faults
}

/// Whether a test, or a module of tests, begins with this name.
fn begins_there(name: &str, sources: &[Source]) -> bool {
    let (module, test) = name.rsplit_once("::").unwrap_or(("", name));
    let calls = [format!("fn {test}"), format!("    {test}")];
    let has = |source: &&Source| calls.iter().any(|call| source.text.contains(call));
    let mut within = sources.iter().filter(|source| source.path.contains(module));
    if test.is_empty() { within.next().is_some() } else { within.any(|source| has(&source)) }
}

/// Whether a test has this name. Of one that a macro makes, the call has it.
fn is_there(name: &str, sources: &[Source]) -> bool {
    let Some((module, test)) = name.rsplit_once("::").filter(|(_, test)| !test.is_empty()) else {
        return false;
    };
    let module = module.rsplit("::").find(|part| *part != "tests").unwrap_or_default();
    let calls = [format!("fn {test}("), format!("{test} \"")];
    sources.iter().any(|source| {
        source.path.contains(module) && calls.iter().any(|call| source.text.contains(call))
    })
}
