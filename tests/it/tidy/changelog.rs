//! The rule of CHANGELOG.md: a defect names tests that exist.

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
