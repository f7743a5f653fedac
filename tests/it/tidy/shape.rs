//! Rules of the text: how long, how it begins, and documents that name files which exist.

use std::collections::BTreeSet;
use std::path::Path;

use super::code::has_word;
use super::source::{Source, has_ending, root};

const LINE_CHARS_MAX: usize = 100;
const FILE_LINES_MAX: usize = 600;

pub(super) fn no_drawer_modules(source: &Source) -> Vec<String> {
    const NAMES: [&str; 6] = ["util", "utils", "common", "helper", "helpers", "misc"];
    let stem = source.path.strip_suffix(".rs").unwrap_or(&source.path);
    let found = stem.split('/').find(|part| NAMES.contains(part));
    found
        .map(|name| source.fault(1, &format!("`{name}` says nothing of what is inside")))
        .into_iter()
        .collect()
}

/// Code and prose; a row of a table or an address may be longer.
pub(super) fn lines_are_short(source: &Source) -> Vec<String> {
    let prose = source.is("md");
    let long = source.lines().filter(|(_, line)| {
        let free = prose && (line.starts_with('|') || line.contains("://"));
        line.chars().count() > LINE_CHARS_MAX && !free
    });
    long.map(|(number, _)| source.fault(number, "longer than 100 characters")).collect()
}

pub(super) fn files_are_short(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    let long = source.is("rs") && lines > FILE_LINES_MAX;
    if long { vec![source.fault(lines, "longer than 600 lines")] } else { Vec::new() }
}

pub(super) fn nothing_is_left_to_do(source: &Source) -> Vec<String> {
    // Spelled so that this file does not find itself.
    const WORDS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];
    let left = source.lines().filter(|(_, line)| WORDS.iter().any(|word| has_word(line, word)));
    left.map(|(number, _)| source.fault(number, "do it, or say what is not built")).collect()
}

pub(super) fn file_says_what_it_is(source: &Source) -> Vec<String> {
    let said = !source.is("rs") || source.text.starts_with("//!");
    if said { Vec::new() } else { vec![source.fault(1, "begins without `//!`")] }
}

/// No place that exists on one machine only. Spelled so that this file does not find itself.
pub(super) fn no_machine_paths(source: &Source) -> Vec<String> {
    const PLACES: [&str; 5] = [
        concat!("/ho", "me/"),
        concat!("/ro", "ot/"),
        concat!("/Use", "rs/"),
        concat!("/tm", "p/w"),
        concat!("/wo", "rk/"),
    ];
    let named = source.lines().filter(|(_, line)| PLACES.iter().any(|place| line.contains(place)));
    named.map(|(number, _)| source.fault(number, "a path of one machine")).collect()
}

/// Imports stand in three groups: std, other crates, this crate.
pub(super) fn imports_are_grouped(source: &Source) -> Vec<String> {
    if !source.is("rs") {
        return Vec::new();
    }
    let own: BTreeSet<&str> = source
        .text
        .lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'))
        .collect();
    let rank = |line: &str| {
        let path = line.strip_prefix("use ")?;
        let root = path.split([':', ';', ' ']).next().unwrap_or(path);
        Some(match root {
            "std" | "core" | "alloc" => 0,
            "crate" | "self" | "super" => 2,
            root if own.contains(root) => 2,
            _ => 1,
        })
    };
    let mut faults = Vec::new();
    let (mut before, mut blank) = (None, false);
    for (number, line) in source.lines() {
        blank |= line.is_empty();
        let Some(group) = rank(line) else { continue };
        let wrong = match before {
            Some(before) if group < before => Some("imports go std, other crates, this crate"),
            Some(before) if group > before && !blank => Some("a blank line parts import groups"),
            _ => None,
        };
        faults.extend(wrong.map(|message| source.fault(number, message)));
        (before, blank) = (Some(group), false);
    }
    faults
}

/// Paths of the repository in links and code spans of a document.
fn named_paths(line: &str) -> Vec<&str> {
    const ROOTS: [&str; 7] = ["src/", "tests/", "docs/", "examples/", "benches/", "fuzz/", ".ci/"];
    let is_ours = |word: &&str| {
        let in_folder = ROOTS.iter().any(|root| word.starts_with(root));
        let on_top = !word.contains('/')
            && (word.starts_with("LICENSE-") || has_ending(word, "md") || has_ending(word, "toml"));
        (in_folder || on_top) && !word.contains(['*', '<', '{'])
    };
    let links = line.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    let links = links.filter(|link| !link.is_empty() && !link.contains("://"));
    let spans = line.split('`').skip(1).step_by(2).flat_map(str::split_whitespace);
    let spans = spans.map(|word| word.trim_end_matches([',', ';', '.', ':']));
    links.chain(spans.filter(is_ours)).collect()
}

pub(super) fn documents_name_files_that_exist(source: &Source) -> Vec<String> {
    if !source.is("md") {
        return Vec::new();
    }
    let beside = Path::new(&source.path).parent().unwrap_or(Path::new(""));
    let mut faults = Vec::new();
    for (number, line) in source.lines() {
        for path in named_paths(line) {
            if !root().join(path).exists() && !root().join(beside).join(path).exists() {
                faults.push(source.fault(number, &format!("there is no `{path}`")));
            }
        }
    }
    faults
}

pub(super) fn dependencies_say_why(source: &Source) -> Vec<String> {
    if !source.is("toml") {
        return Vec::new();
    }
    let mut faults = Vec::new();
    let (mut inside, mut explained) = (false, false);
    for (number, line) in source.lines() {
        if line.starts_with('[') {
            inside = line.contains("dependencies");
        } else if inside
            && line.contains('=')
            && line.starts_with(char::is_alphabetic)
            && !explained
        {
            faults.push(source.fault(number, "a dependency needs a sentence above it"));
        }
        explained = line.starts_with("# ") && line.ends_with('.');
    }
    faults
}
