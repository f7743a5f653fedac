//! The walk-through of docs/REQUESTS.md, as it stands there, in a shell.
//!
//! A request is about what happened after its agency joined, so the first commands (a store, a
//! department and a home) run on a store of their own, and the rest on one where that was 50
//! minutes ago. The times of the request and the id of the clip are of that store; nothing else is
//! changed.

use std::path::Path;
use std::process::Command;

use clipkeep::Clock as _;

use crate::inbox::{Ago, street};
use crate::kit::clipkeep;

/// The lines of the first fenced block of `kind` in the document.
fn block(text: &str, kind: &str) -> String {
    let (_, rest) = text.split_once(&format!("```{kind}\n")).unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

/// Runs a line in a shell in `folder`, where `clipkeep` is this binary.
fn run(folder: &Path, store: &Path, line: &str) -> String {
    let binary = Path::new(env!("CARGO_BIN_EXE_clipkeep")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let output = Command::new("sh")
        .args(["-c", line])
        .current_dir(folder)
        .env("PATH", path)
        .env("CLIPKEEP_DIR", store)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_documented_walk_through_goes_as_it_stands_there() {
    let text = std::fs::read_to_string("docs/REQUESTS.md").unwrap();
    let commands = block(&text, "sh");
    let lines: Vec<&str> = commands.lines().filter(|line| !line.trim().is_empty()).collect();
    assert_eq!(lines[0], "export CLIPKEEP_DIR=/srv/clips");
    let (joining, rest) = lines[1..].split_at(3);
    let folder = tempfile::tempdir().unwrap();
    let (fresh, store) = (folder.path().join("fresh"), folder.path().join("store"));
    for line in joining {
        run(folder.path(), &fresh, line);
    }
    street(&store);
    let asked = block(&text, "json");
    let (from, to) = (Ago(45).wall().to_string(), Ago(25).wall().to_string());
    let asked = asked.replace("2026-11-23T17:00:00Z", &from).replace("2026-11-23T20:00:00Z", &to);
    assert!(asked.contains(&from) && asked.contains(&to));
    std::fs::write(folder.path().join("request.json"), asked).unwrap();
    let listed = clipkeep(&["ls", "--json", "--dir", store.to_str().unwrap()]);
    let listed: serde_json::Value = serde_json::from_slice(&listed).unwrap();
    let clip = listed["clips"][0]["id"].as_str().unwrap();
    let mut said = String::new();
    for line in rest {
        said += &run(folder.path(), &store, &line.replace("12-4", clip));
    }
    assert!(rest.len() > 10, "{rest:#?}");
    for part in ["open", "springfield-pd", "1 to tell", "said that it has what was shared"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}
