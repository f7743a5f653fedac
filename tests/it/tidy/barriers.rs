//! Rules of the barriers: no sync without a name, and no name anywhere but in its place.

use super::source::Source;

/// Passes on what it is told: whoever asks for the sync has the name.
const PASSED_ON: [&str; 2] = ["src/log/handle.rs", "src/barrier.rs"];
/// Calls of a store's or copy's own `sync`, whose body has the names.
const OWN: [&str; 4] =
    ["self.sync()", "self.inner.sync()", "|| self.sync_dir()", "self.vfs.sync_dir(self.dir)"];

/// Syncs in the engine go through a barrier, so that none can come in which no test would miss.
pub(super) fn syncs_have_names(source: &Source) -> Vec<String> {
    if !source.is_under_a_store()
        || source.path.starts_with("src/vfs/")
        || PASSED_ON.contains(&source.path.as_str())
    {
        return Vec::new();
    }
    source.faults("a sync without a barrier's name: see src/barrier.rs", |line| {
        let named = line.contains(".sync(||");
        let syncs = line.contains(".sync()") || line.contains(".sync_dir(");
        syncs && !named && !OWN.iter().any(|own| line.contains(own))
    })
}

/// Files outside the engine that sync: the sync is handed to them, so that a test can look at what
/// is there by then.
const HANDED: [&str; 3] = ["src/daemon/access/file.rs", "src/daemon/keys.rs", "src/cli/files.rs"];

/// A sync of the system's own, past `vfs`, is one that no test would miss.
pub(super) fn system_syncs_are_seen(source: &Source) -> Vec<String> {
    if !source.path.starts_with("src/") || source.path.starts_with("src/vfs/os/") {
        return Vec::new();
    }
    let handed = HANDED.contains(&source.path.as_str());
    source.faults("a sync that no test sees: hand it in, as src/cli/files.rs does", |line| {
        let called = line.contains(".sync_all(") || line.contains(".sync_data(");
        let named = line.contains("::sync_all") || line.contains("::sync_data");
        called || (named && !handed)
    })
}

/// The name and file that a row of their declaration says.
fn declared(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.trim().strip_suffix("\",")?.split_once(": ")?;
    let (_, file) = rest.split_once(" in \"")?;
    Some((name, file))
}

/// Every barrier stands once, in the file that its row says.
pub(super) fn barriers_stand_in_their_places(sources: &[Source]) -> Vec<String> {
    let Some(home) = sources.iter().find(|source| source.path == "src/barrier.rs") else {
        return vec!["src/barrier.rs:1: it is missing".to_owned()];
    };
    let mut faults = Vec::new();
    for (name, file) in home.text.lines().filter_map(declared) {
        let call = format!("Barrier::{name}");
        let found: Vec<&str> = sources
            .iter()
            .filter(|source| source.is_engine() && source.path != home.path)
            .flat_map(|source| {
                let lines = source.code().into_iter();
                let here = lines.filter(|(_, line)| super::code::has_word(line, &call));
                here.map(|_| source.path.as_str()).collect::<Vec<_>>()
            })
            .collect();
        if found != [file] {
            faults.push(format!("{}: `{name}` is for {file} and stands in {found:?}", home.path));
        }
    }
    faults
}
