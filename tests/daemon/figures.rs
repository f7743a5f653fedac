//! `/metrics` and the table of docs/OPERATING.md: each series that there is has a line that says
//! when to look at it, and each line a series.

use std::collections::BTreeSet;

use crate::kit::{Daemon, START, front_door};

const DOCUMENT: &str = include_str!("../../docs/OPERATING.md");

/// The names in the first column of the table, without what they are told apart by.
fn documented() -> BTreeSet<String> {
    let table = DOCUMENT.split_once("| series | what it says | look when |\n").unwrap().1;
    let rows = table.lines().take_while(|line| line.starts_with('|')).skip(1);
    let mut names = BTreeSet::new();
    for row in rows {
        // `a`, `b` by `label`; `c` (histogram); `d` by `label`
        for part in row.split(" | ").next().unwrap().split(';') {
            let part = part.split(" by ").next().unwrap();
            names.extend(part.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    names
}

/// The names of the series, as a query has them: those of counters end in `_total`.
fn shown(metrics: &str) -> BTreeSet<String> {
    let types = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE clipkeep_"));
    let names = types.map(|line| match line.split_once(' ').unwrap() {
        (name, "counter") => format!("{name}_total"),
        (name, _) => name.to_owned(),
    });
    names.collect()
}

#[test]
fn every_series_is_documented_and_every_documented_series_is_there() {
    let daemon = Daemon::start();
    let path = format!("/v1/cameras/front/stream?start={START}");
    let body = front_door();
    // Counters by camera or code are there once something was counted: bytes at an end that were
    // no whole fragment, a stream that ended with a problem, a route that is none.
    daemon.ask("POST", &path, &[], &body[..body.len() - 10_000]).ok();
    daemon.ask("POST", "/v1/cameras/front/stream", &[], &[7; 4096]).is_problem(400, "media");
    daemon.get("/nowhere").is_problem(404, "no-such-route");
    // Figures of the store are up to a second old.
    let metrics =
        daemon.until("/metrics", |answer| answer.text().contains("clipkeep_camera_bytes"));
    let metrics = metrics.ok().text();
    let (shown, documented) = (shown(&metrics), documented());
    assert!(documented.len() > 30, "{documented:?}");
    let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| -> Vec<String> {
        a.difference(b).cloned().collect()
    };
    assert_eq!(only(&shown, &documented), [""; 0], "docs/OPERATING.md has no line for them");
    assert_eq!(only(&documented, &shown), [""; 0], "{metrics}");
}
