//! The files that the rules are checked on. Knows Rust only as far as rustfmt writes it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A file of the repository.
pub(super) struct Source {
    pub(super) path: String,
    pub(super) text: String,
}

impl Source {
    /// Whether it is a file of this kind: `rs`, `md`, `toml`.
    pub(super) fn is(&self, ending: &str) -> bool {
        has_ending(&self.path, ending)
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }

    /// The lines that are compiled into the library: no comments, no tests.
    pub(super) fn code(&self) -> Vec<(usize, &str)> {
        let mut code = Vec::new();
        let mut lines = self.lines().peekable();
        while let Some((number, line)) = lines.next() {
            let trimmed = line.trim_start();
            if trimmed.starts_with("//") {
                continue;
            }
            if trimmed != "#[cfg(test)]" {
                code.push((number, line.split(" // ").next().unwrap_or(line)));
                continue;
            }
            // The item ends where rustfmt closes it: at its own indent, or with its first line.
            let indent = line.len() - trimmed.len();
            for (_, line) in lines.by_ref() {
                let inner = line.trim_start();
                let own = line.len() - inner.len() == indent && !inner.starts_with("#[");
                if own && (inner.ends_with(['}', ';'])) {
                    break;
                }
            }
        }
        code
    }

    pub(super) fn fault(&self, line: usize, message: &str) -> String {
        format!("{}:{line}: {message}", self.path)
    }

    /// Each line of code that `is_wrong`.
    pub(super) fn faults(&self, message: &str, is_wrong: impl Fn(&str) -> bool) -> Vec<String> {
        let wrong = self.code().into_iter().filter(|(_, line)| is_wrong(line));
        wrong.map(|(number, _)| self.fault(number, message)).collect()
    }

    /// The layer that a file of `src` belongs to; `None` for `lib.rs` and `main.rs`.
    pub(super) fn layer(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        let first = inside.split_once('/').map_or(inside, |(folder, _)| folder);
        let name = first.strip_suffix(".rs").unwrap_or(first);
        (!matches!(name, "lib" | "main")).then_some(name)
    }

    /// Whether a store stands on it: the workload of the benchmarks drives stores from above.
    pub(super) fn is_under_a_store(&self) -> bool {
        self.is_engine() && self.layer() != Some("workload")
    }

    pub(super) fn is_engine(&self) -> bool {
        self.layer().is_some_and(|layer| !matches!(layer, "cli" | "daemon"))
    }
}

pub(super) fn has_ending(path: &str, ending: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found == ending)
}

pub(super) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every text file of the repository that people write.
pub(super) fn sources() -> Vec<Source> {
    const FOLDERS: [&str; 7] = ["src", "tests", "examples", "benches", "fuzz", "docs", ".ci"];
    let mut files: Vec<PathBuf> = Vec::new();
    let mut folders: Vec<PathBuf> = FOLDERS.iter().map(|folder| root().join(folder)).collect();
    files.extend(fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path()));
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            let built = path.ends_with("target") || path.ends_with("fuzz/corpus");
            if path.is_dir() && !built { folders.push(path) } else { files.push(path) }
        }
    }
    let is_text = |path: &Path| {
        let name = path.file_name().unwrap_or_default();
        let known = path.extension().is_some_and(|end| end == "rs" || end == "md" || end == "toml");
        path.is_file() && (known || name == "run")
    };
    files.retain(|path| is_text(path));
    files.sort();
    let read = |path: PathBuf| Source {
        path: path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(),
        text: fs::read_to_string(&path).unwrap(),
    };
    files.into_iter().map(read).collect()
}

/// The files that are compiled for tests alone, because their `mod` line says so.
pub(super) fn test_only(sources: &[Source]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for source in sources {
        let folder = match source.path.rsplit_once('/') {
            Some((folder, "mod.rs" | "lib.rs" | "main.rs")) => folder.to_owned(),
            _ => source.path.trim_end_matches(".rs").to_owned(),
        };
        let lines: Vec<&str> = source.text.lines().collect();
        for pair in lines.windows(2) {
            let name = pair[1].split_whitespace().last().and_then(|name| name.strip_suffix(';'));
            if let ("#[cfg(test)]", true, Some(name)) = (pair[0], pair[1].contains("mod "), name) {
                found.insert(format!("{folder}/{name}.rs"));
                found.insert(format!("{folder}/{name}/"));
            }
        }
    }
    found
}
