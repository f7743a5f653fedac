//! The daemon stands on what the crate shows to everybody: whoever writes another one can do what
//! it does.
//!
//! What `pub(crate)` hides is found by its name: an associated function by that of its type, too, a
//! method by its own. Fields are not, nor are methods of which something public has the name, too.

use std::collections::BTreeSet;

use super::code::has_word;
use super::source::Source;

/// Modules that lib.rs shows, and the daemon's own neighbour, which is under the same rule.
const SHOWN: [&str; 6] = ["daemon", "evidence", "ingest", "media", "requests", "vfs"];
/// Names of methods that the engine hides and that the standard library or a dependency has, too.
const OTHERS_HAVE: [&str; 8] =
    ["all", "collect", "decode", "iter", "notify_all", "observe", "status", "windows"];

fn is_daemon(source: &Source) -> bool {
    matches!(source.layer(), Some("daemon" | "ingest"))
}

/// What the layers below the daemon have that nobody outside of the crate may call.
#[derive(Default)]
pub(super) struct Hidden {
    /// `Type::function`.
    associated: BTreeSet<String>,
    methods: BTreeSet<String>,
}

impl Hidden {
    pub(super) fn of(sources: &[Source]) -> Self {
        let (mut hidden, mut shown) = (Self::default(), BTreeSet::new());
        for source in sources.iter().filter(|source| source.layer().is_some()) {
            let mut of = String::new();
            for (_, line) in source.code() {
                if let Some(name) = line.strip_prefix("impl").and_then(implemented) {
                    name.clone_into(&mut of);
                }
                let Some((words, name)) = declared(line) else { continue };
                if words.contains("pub(crate) ") && !is_daemon(source) {
                    hidden.associated.insert(format!("{of}::{name}"));
                    hidden.methods.insert(name.to_owned());
                } else if words.contains("pub ") || is_daemon(source) {
                    shown.insert(name.to_owned());
                }
            }
        }
        shown.extend(OTHERS_HAVE.map(str::to_owned));
        hidden.methods.retain(|name| !shown.contains(name));
        hidden
    }

    /// The lines of the daemon that call or name what is hidden.
    pub(super) fn named_in(&self, source: &Source) -> Vec<String> {
        if !is_daemon(source) {
            return Vec::new();
        }
        source.faults("the daemon names public items of the crate only", |line| {
            let names = |name: &String| line.contains(name.as_str()) && has_word(line, name);
            let associated = line.contains("::") && self.associated.iter().any(names);
            let method = |part: &str| self.methods.contains(word(part)) && part.contains('(');
            let modules =
                line.split("crate::").skip(1).map(word).any(|module| {
                    module.starts_with(char::is_lowercase) && !SHOWN.contains(&module)
                });
            associated || modules || line.split('.').skip(1).any(method) || climbs(source, line)
        })
    }
}

/// The type that a line behind its `impl` is about.
fn implemented(line: &str) -> Option<&str> {
    let line = line.split(" for ").last()?.trim_end_matches(" {");
    let line = if line.starts_with('<') { line.split_once("> ")?.1 } else { line };
    Some(word(line.trim_start()))
}

/// What stands before the name of a function or constant in the line that declares it, and it.
fn declared(line: &str) -> Option<(&str, &str)> {
    let at = line.find("fn ").or_else(|| line.find("const "))?;
    let (words, rest) = line.split_at_checked(at)?;
    Some((words, word(rest.split_once(' ')?.1)))
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    text.get(..end).unwrap_or(text)
}

/// Whether a path goes up to the crate itself: past all that is private in between.
fn climbs(source: &Source, line: &str) -> bool {
    let folders = source.path.matches('/').count() - 1;
    let depth = folders + usize::from(!source.path.ends_with("/mod.rs"));
    line.contains(&"super::".repeat(depth))
}
