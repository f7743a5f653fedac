//! Rules of the code: layers, and what each seam alone may touch.

use super::source::Source;

/// The layers from the bottom up. A module names only what stands to the left of it, or itself.
const LAYERS: [&str; 19] = [
    "barrier",
    "sync",
    "types",
    "vfs",
    "format",
    "log",
    "index",
    "ledger",
    "hold",
    "retention",
    "store",
    "stored",
    "evidence",
    "requests",
    "archive",
    "workload",
    "ingest",
    "daemon",
    "cli",
];
/// A leaf beside the engine: it may name `types` alone, and only those above the engine may name
/// it.
const MEDIA: &str = "media";

/// The modules of the crate that a line of code names.
fn named_modules(line: &str) -> impl Iterator<Item = &str> {
    line.split("crate::").skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        rest.get(..end).unwrap_or(rest)
    })
}

fn may_name(layer: &str, other: &str) -> bool {
    let rank = |name: &str| LAYERS.iter().position(|layer| *layer == name);
    if layer == other || (layer == MEDIA && other == "types") {
        return true;
    }
    match (rank(layer), rank(other)) {
        (Some(own), Some(its)) => its < own,
        (Some(_), None) if other == MEDIA => {
            matches!(layer, "stored" | "requests" | "ingest" | "cli" | "daemon")
        }
        // What lib.rs exports: for those above the engine.
        (Some(_), None) => {
            matches!(
                layer,
                "stored" | "evidence" | "requests" | "ingest" | "cli" | "daemon" | "workload"
            )
        }
        (None, _) => false,
    }
}

pub(super) fn layers(source: &Source) -> Vec<String> {
    let Some(layer) = source.layer() else { return Vec::new() };
    let mut faults = Vec::new();
    for (number, line) in source.code() {
        for other in named_modules(line).filter(|other| !may_name(layer, other)) {
            faults.push(source.fault(number, &format!("`{layer}` must not name `{other}`")));
        }
    }
    faults
}

pub(super) fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line.get(at + word.len()..).and_then(|text| text.chars().next());
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

pub(super) fn file_system_only_in_vfs_os(source: &Source) -> Vec<String> {
    const WORDS: [&str; 6] =
        ["std::fs", "rustix::fs", "rustix::mm", "memmap2", "unsafe", "tempfile"];
    // Reads the boot id, which the kernel gives as a file.
    const EXCEPT: [&str; 1] = ["src/types/clock.rs"];
    if !source.is_engine()
        || source.path.starts_with("src/vfs/os/")
        || EXCEPT.contains(&source.path.as_str())
    {
        return Vec::new();
    }
    source.faults("only vfs::os touches the file system, maps and unsafe code", |line| {
        WORDS.iter().any(|word| has_word(line, word))
    })
}

pub(super) fn clock_only_in_types_clock(source: &Source) -> Vec<String> {
    const WORDS: [&str; 6] =
        ["SystemTime", "Instant", "clock_gettime", "Zoned::now", "Timestamp::now", "thread::sleep"];
    if source.path == "src/types/clock.rs" || source.layer().is_none() {
        return Vec::new();
    }
    source.faults("only types::clock reads a clock, and nothing sleeps", |line| {
        WORDS.iter().any(|word| has_word(line, word))
    })
}

/// The order of a hash map differs from run to run, and a simulated run must repeat.
pub(super) fn no_hash_order(source: &Source) -> Vec<String> {
    if !source.is_engine() {
        return Vec::new();
    }
    source.faults("hash maps have no order that repeats: use BTreeMap or BTreeSet", |line| {
        has_word(line, "HashMap") || has_word(line, "HashSet")
    })
}

/// Bytes of stored clips are removed in one place: the gate. Sealing gives back what was never
/// used, and the handle passes on what it is told.
pub(super) fn bytes_removed_only_by_the_gate(source: &Source) -> Vec<String> {
    const MAY: [&str; 3] = ["src/store/gate.rs", "src/log/seal.rs", "src/log/handle.rs"];
    if !source.is_under_a_store()
        || source.path.starts_with("src/vfs/")
        || MAY.contains(&source.path.as_str())
    {
        return Vec::new();
    }
    source.faults("only store::gate removes bytes of clips", |line| line.contains(".punch("))
}

/// What is known of people goes to those who asked for it, and nowhere by the way.
pub(super) fn requests_write_no_log(source: &Source) -> Vec<String> {
    const WORDS: [&str; 5] = ["tracing", "prometheus_client", "println", "eprintln", "dbg"];
    if !matches!(source.layer(), Some("requests" | "evidence")) {
        return Vec::new();
    }
    source.faults("requests and evidence write no log and count no metric", |line| {
        WORDS.iter().any(|word| has_word(line, word))
    })
}
