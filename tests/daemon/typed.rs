//! Each line with `curl` in docs/HTTP.md, typed as it stands there: it reaches the route that it is
//! for, with a token that may use it and a body that it takes, and every route has such a line.
//!
//! Words in capitals, the id of a clip and times are filled in, as a reader would. Programs other
//! than curl do nothing here: ffmpeg's lines are run elsewhere.

use std::fmt::Write as _;
use std::process::{Command, Stdio};

use clipkeep::Clock as _;
use serde_json::json;

use crate::access::table;
use crate::inbox::{Ago, street};
use crate::kit::{Daemon, front_door, pieces};

const DOCUMENT: &str = include_str!("../../docs/HTTP.md");
const REQUESTS: &str = include_str!("../../docs/REQUESTS.md");

/// Puts down of each call of curl its method, its URL, the status and the beginning of the answer.
const SHELL: &str = r#"
curl() {
    : >answer
    local said
    said=$(command curl -sS -o answer -w '\n%{method} %{http_code} %{url}' "$@" | tail -n 1)
    echo "$said $(head -c 300 answer | tr -dc '[:print:]')" >>typed
}
clipkeep() { :; }
ffmpeg() { :; }
ffplay() { cat >answer; }
jq() { cat; }
"#;

/// What would mean that a line is wrong, whatever is in the store.
const WRONG: [&str; 6] = [
    "no-such-route",
    "method-not-allowed",
    "invalid-input",
    "token-missing",
    "token-invalid",
    "\"forbidden\"",
];

/// The fenced lines that are no program, file or hook in a language of its own.
fn fenced() -> String {
    let (mut script, mut language) = (String::new(), None);
    for line in DOCUMENT.lines() {
        match line.strip_prefix("```") {
            Some(_) if language.is_some() => language = None,
            Some(of) => language = Some(of),
            None if language == Some("") => writeln!(script, "{line}").unwrap(),
            None => {}
        }
    }
    script
}

/// A line that was typed, and what came of it.
struct Typed {
    method: String,
    status: u16,
    path: String,
    answer: String,
}

impl Typed {
    fn parse(line: &str, daemon: &Daemon) -> Self {
        let mut words = line.splitn(4, ' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        let (method, status, url, answer) = (word(), word(), word(), word());
        let path = url.strip_prefix(&daemon.url("")).unwrap_or_else(|| panic!("{line}"));
        let path = path.split('?').next().unwrap().to_owned();
        Self { method, status: status.parse().unwrap(), path, answer }
    }

    /// Whether it is for the route of this template.
    fn is_for(&self, method: &str, template: &str) -> bool {
        let (path, template) = (self.path.split('/'), template.split('/'));
        let same = |(part, of): (&str, &str)| of.starts_with('{') || part == of;
        self.method == method
            && path.clone().count() == template.clone().count()
            && path.zip(template).all(same)
    }
}

/// A daemon with a partner, a home and footage, and a token of each role in the place of its word.
fn filled_in(daemon: &Daemon) -> String {
    let token = |role: &str| daemon.hello["tokens"][role].as_str().unwrap().to_owned();
    let (resident, operator) = (token("resident"), token("operator"));
    let by = |token: &str| format!("Authorization: Bearer {token}");
    let wanted = json!({"role": "agency", "agency": "springfield-pd"}).to_string();
    let made = daemon.ask("POST", "/v1/tokens", &[&by(&operator)], wanted.as_bytes()).ok().json();
    let clips = daemon.ask("GET", "/v1/cameras/front/clips", &[&by(&resident)], b"").ok().json();
    let digest = "openssl dgst -sha256 -binary clip.mp4 | openssl base64 -A";
    let (from, to) = (Ago(40).wall().to_string(), Ago(39).wall().to_string());
    // Half of the hold that the lines above it place.
    let (narrow_from, narrow_to) = ("2026-11-23T18:00:00Z", "2026-11-23T18:30:00Z");
    let scope = json!([{"camera": "front", "from": narrow_from, "to": narrow_to}]).to_string();
    let mut script = fenced();
    for (word, text) in [
        ("http://127.0.0.1:9300", &*daemon.url("")),
        ("CAMERA-TOKEN", &token("camera")),
        ("RESIDENT-TOKEN", &resident),
        ("OPERATOR-TOKEN", &operator),
        ("AGENCY-TOKEN", made["token"].as_str().unwrap()),
        ("BASE64", &format!("$({digest})")),
        ("=FROM", &format!("={from}")),
        ("=TO", &format!("={to}")),
        ("[..]", &scope),
        ("42-7", clips["clips"][0]["id"].as_str().unwrap()),
    ] {
        assert!(script.contains(word), "{word} is nowhere");
        script = script.replace(word, text);
    }
    script
}

#[test]
fn every_route_has_a_line_to_type_that_it_takes() {
    let daemon = Daemon::over(&["requests.answer_ms=0"], street);
    daemon.until("/v1/agencies", |answer| answer.status == 200);
    let folder = daemon.folder.path();
    for name in ["clip.mp4", "stream.mp4"] {
        std::fs::write(folder.join(name), front_door()).unwrap();
    }
    std::fs::write(folder.join("init.mp4"), &pieces(&front_door())[0]).unwrap();
    let asked = REQUESTS.split_once("```json\n").unwrap().1.split_once("```").unwrap().0;
    let asked = asked.replace("2026-11-23T17:00:00Z", &Ago(45).wall().to_string());
    let asked = asked.replace("2026-11-23T20:00:00Z", &Ago(25).wall().to_string());
    std::fs::write(folder.join("request.json"), asked).unwrap();
    let script = SHELL.to_owned() + &filled_in(&daemon);
    let ran = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && errors.is_empty(), "{errors}");

    let typed = std::fs::read_to_string(folder.join("typed")).unwrap();
    let typed: Vec<Typed> = typed.lines().map(|line| Typed::parse(line, &daemon)).collect();
    assert_eq!(typed.len(), fenced().matches("curl ").count(), "a line was not typed");
    for Typed { method, status, path, answer } in &typed {
        let is_wrong = *status >= 500 || WRONG.iter().any(|code| answer.contains(code));
        assert!(!is_wrong, "{method} {path}: {status} {answer}");
    }
    for (method, template, _) in table() {
        let mut those = typed.iter().filter(|typed| typed.is_for(&method, &template));
        assert!(those.next().is_some(), "no line for {method} {template}");
    }
    let good = typed.iter().filter(|typed| typed.status < 300).count();
    assert!(good > 60, "{good} of {}", typed.len());
}
