//! Who may do what: every role on every route, and tokens that are good no more.

use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};

use crate::kit::{Daemon, PATIENCE, START, clipkeep, front_door};

const ROLES: [&str; 5] = ["camera", "resident", "agency", "operator", "public"];

/// A daemon that asks for tokens, with a clip and a token of each role.
struct Guarded {
    daemon: Daemon,
    tokens: Vec<String>,
}

impl Guarded {
    fn start() -> Self {
        let daemon = Daemon::with(&["access.requests_per_second=0", "requests.answer_ms=0"]);
        let dir = daemon.store();
        let make = |role: &str| {
            let mut args = vec!["--role", role, "--dir", dir.to_str().unwrap()];
            if role == "agency" {
                args.extend(["--agency", "springfield-pd"]);
            }
            made(&args)
        };
        let tokens = ROLES.iter().map(|role| make(role)["token"].as_str().unwrap().to_owned());
        let guarded = Self { tokens: tokens.collect(), daemon };
        let daemon = &guarded.daemon;
        let camera = daemon.hello["tokens"]["camera"].as_str().unwrap();
        let path = format!("/v1/cameras/front/clips?start={START}");
        daemon.ask("PUT", &path, &[&bearer(camera)], &front_door()).ok();
        // The daemon looks at the file of tokens once a second.
        for token in &guarded.tokens {
            let known = |status: u16| status != 401;
            while !known(daemon.ask("GET", "/v1/cameras", &[&bearer(token)], b"").status) {
                std::thread::yield_now();
            }
        }
        guarded
    }

    fn ask(&self, role: &str, method: &str, path: &str, body: &Value) -> crate::kit::Answer {
        let at = ROLES.iter().position(|known| *known == role).unwrap();
        self.with(&self.tokens[at], method, path, body)
    }

    fn with(&self, token: &str, method: &str, path: &str, body: &Value) -> crate::kit::Answer {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        self.daemon.ask(method, path, &[&bearer(token)], &body)
    }
}

fn made(args: &[&str]) -> Value {
    let args: Vec<&str> = ["token", "make", "--json"].iter().chain(args).copied().collect();
    serde_json::from_slice(&clipkeep(&args)).unwrap()
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

/// The rows of the table in docs/HTTP.md: method, path, and a cell for each role.
pub(crate) fn table() -> Vec<(String, String, Vec<String>)> {
    let text = std::fs::read_to_string("docs/HTTP.md").unwrap();
    let rows = text.lines().filter_map(|line| {
        let rest = line.strip_prefix("| `")?;
        let (route, cells) = rest.split_once("` | ")?;
        let (method, path) = route.split_once(' ')?;
        let cells = cells.trim_end_matches(" |").split(" | ").map(str::to_owned).collect();
        Some((method.to_owned(), path.to_owned(), cells))
    });
    let rows: Vec<_> = rows.filter(|(_, _, cells): &(_, _, Vec<_>)| cells.len() == 5).collect();
    assert!(rows.len() > 30, "only {} rows", rows.len());
    rows
}

#[test]
fn every_cell_of_the_documented_table_is_so() {
    let guarded = Guarded::start();
    let mut cells_seen = 0;
    guarded.daemon.until("/v1/agencies", |answer| answer.status == 200);
    guarded.ask("operator", "POST", "/v1/agencies", &json!({"agency": "springfield-pd"})).ok();
    for (method, path, cells) in table() {
        let path = path
            .replace("{camera}", "front")
            .replace("{clip}", "9-9")
            .replace("{hold}", "h99")
            .replace("{token}", "00000000")
            .replace("{agency}", "springfield-pd")
            .replace("{household}", "h9")
            .replace("{request}", "r9")
            .replace("{post}", "p9")
            .replace("{file}", "a.m3u8");
        for (role, cell) in ROLES.iter().zip(&cells) {
            let answer = guarded.ask(role, &method, &path, &Value::Null);
            let refused = answer.status == 403;
            assert_eq!(refused, cell == "-", "{role} {method} {path}: {}", answer.text());
            assert_ne!(answer.status, 401, "{role} {method} {path}");
            assert_ne!(answer.status, 405, "{role} {method} {path}");
            cells_seen += 1;
        }
        let nobody = guarded.daemon.ask(&method, &path, &[], b"");
        assert_eq!(nobody.status == 401, cells[0] != "open", "{method} {path}: {}", nobody.text());
    }
    assert!(cells_seen > 150, "{cells_seen}");
}

#[test]
fn no_token_a_wrong_one_and_one_that_ended_are_told_apart() {
    let guarded = Guarded::start();
    let daemon = &guarded.daemon;
    daemon.get("/v1/cameras").is_problem(401, "token-missing");
    for wrong in ["ck_", "ck_00000000_0", "x"] {
        let answer = daemon.ask("GET", "/v1/cameras", &[&bearer(wrong)], b"");
        answer.is_problem(401, "token-invalid");
        assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"));
    }
    let push = daemon.ask("POST", "/v1/cameras/front/stream", &[], b"");
    push.is_problem(401, "token-missing");
    assert!(push.header("www-authenticate").unwrap().starts_with("Basic"), "as ffmpeg asks for it");
    let id = guarded.tokens[1].split('_').nth(1).unwrap().to_owned();
    guarded.ask("operator", "DELETE", &format!("/v1/tokens/{id}"), &Value::Null).ok();
    guarded.ask("resident", "GET", "/v1/cameras", &Value::Null).is_problem(401, "token-invalid");
}

#[test]
fn a_token_ends_when_it_was_told_to() {
    let guarded = Guarded::start();
    let wanted = json!({"role": "camera", "expires_in_seconds": 0});
    let short = guarded.ask("operator", "POST", "/v1/tokens", &wanted).ok().json();
    let token = short["token"].as_str().unwrap();
    guarded
        .with(token, "PUT", "/v1/cameras/front/hls/a.m3u8", &Value::Null)
        .is_problem(401, "token-invalid");
}

#[test]
fn the_command_line_revokes_a_token_of_a_running_daemon() {
    let guarded = Guarded::start();
    let id = guarded.tokens[1].split('_').nth(1).unwrap().to_owned();
    clipkeep(&["token", "revoke", &id, "--dir", guarded.daemon.store().to_str().unwrap()]);
    loop {
        let answer = guarded.ask("resident", "GET", "/v1/cameras", &Value::Null);
        if answer.status == 401 {
            break;
        }
        answer.ok();
    }
}

#[test]
fn a_token_for_one_camera_reaches_no_other() {
    let guarded = Guarded::start();
    let make = |role: &str| {
        let wanted = json!({"role": role, "cameras": ["garden"]});
        let by = if role == "camera" { "operator" } else { "resident" };
        let made = guarded.ask(by, "POST", "/v1/tokens", &wanted).ok().json();
        made["token"].as_str().unwrap().to_owned()
    };
    let (camera, resident) = (make("camera"), make("resident"));
    let put = |token: &str, to: &str| {
        let path = format!("/v1/cameras/{to}/clips?start={START}");
        guarded.daemon.ask("PUT", &path, &[&bearer(token)], &front_door())
    };
    put(&camera, "front").is_problem(403, "out-of-scope");
    assert_eq!(put(&camera, "garden").status, 201);
    let get = |path: &str| guarded.with(&resident, "GET", path, &Value::Null);
    get("/v1/cameras/front/playlist.m3u8").is_problem(403, "out-of-scope");
    let known = get("/v1/cameras").ok().json();
    assert_eq!(known["cameras"].as_array().unwrap().len(), 1, "{known}");
    let front = guarded.ask(
        "resident",
        "GET",
        "/v1/cameras/front/clips?from=2024-01-01T00:00:00Z&to=2024-01-02T00:00:00Z",
        &Value::Null,
    );
    let id = front.ok().json()["clips"][0]["id"].as_str().unwrap().to_owned();
    for path in [format!("/v1/clips/{id}"), format!("/v1/clips/{id}/media")] {
        assert_eq!(get(&path).status, 403, "{path}");
    }
    guarded
        .with(&resident, "DELETE", &format!("/v1/clips/{id}"), &Value::Null)
        .is_problem(403, "out-of-scope");
}

#[test]
fn nobody_hands_out_more_than_they_have() {
    let guarded = Guarded::start();
    let make =
        |by: &str, role: &str| guarded.ask(by, "POST", "/v1/tokens", &json!({"role": role})).status;
    for (by, role, status) in [
        ("operator", "resident", 403),
        ("operator", "operator", 201),
        ("operator", "camera", 201),
        ("resident", "operator", 403),
        ("resident", "agency", 403),
        ("resident", "resident", 201),
    ] {
        assert_eq!(make(by, role), status, "{by} makes {role}");
    }
    let narrow = json!({"role": "resident", "cameras": ["garden"]});
    let narrow = guarded.ask("resident", "POST", "/v1/tokens", &narrow).ok().json();
    let narrow = narrow["token"].as_str().unwrap();
    let wide = json!({"role": "resident", "cameras": ["front"]});
    guarded.with(narrow, "POST", "/v1/tokens", &wide).is_problem(403, "forbidden");
}

#[test]
fn a_cookie_reads_and_changes_nothing() {
    let guarded = Guarded::start();
    let signed = guarded.ask("resident", "POST", "/v1/session", &Value::Null);
    let cookie = signed.header("set-cookie").unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let cookie = format!("Cookie: other=1; {}", cookie.split(';').next().unwrap());
    let daemon = &guarded.daemon;
    assert_eq!(daemon.ask("GET", "/v1/cameras", &[&cookie], b"").status, 200);
    daemon.ask("DELETE", "/v1/clips/1-0", &[&cookie], b"").is_problem(401, "token-missing");
}

#[test]
fn a_token_that_asks_too_often_is_told_to_wait() {
    let daemon = Daemon::with(&["access.requests_per_second=1"]);
    let token = daemon.hello["tokens"]["operator"].as_str().unwrap();
    let ask = || daemon.ask("GET", "/v1/cameras", &[&bearer(token)], b"");
    let limited = (0..200).map(|_| ask()).find(|answer| answer.status != 200).unwrap();
    limited.is_problem(429, "too-many-requests");
    assert!(limited.header("retry-after").is_some());
}

#[test]
fn looking_at_footage_is_logged_and_no_token_is() {
    let guarded = Guarded::start();
    let day = "from=2024-01-01T00:00:00Z&to=2024-01-02T00:00:00Z";
    let camera = "/v1/cameras/front";
    // Each route that shows footage, whether there is any or not.
    let looks = [
        ("resident", format!("{camera}/clips?{day}")),
        ("resident", format!("{camera}/timeline?{day}")),
        ("resident", format!("{camera}/playlist.m3u8?{day}")),
        ("resident", format!("{camera}/window.mp4?{day}")),
        ("resident", "/v1/clips/9-9".to_owned()),
        ("resident", "/v1/clips/9-9/media".to_owned()),
        ("resident", "/v1/clips/9-9/media.mp4".to_owned()),
        ("resident", "/v1/feed/p9/media".to_owned()),
        ("agency", "/v1/feed/p9/media".to_owned()),
        ("agency", "/v1/agencies/springfield-pd/requests/r9/bundle".to_owned()),
    ];
    guarded.daemon.until("/v1/agencies", |answer| answer.status == 200);
    for (role, path) in &looks {
        guarded.ask(role, "GET", path, &Value::Null);
    }
    guarded.ask("operator", "GET", &looks[0].1, &Value::Null).is_problem(403, "forbidden");
    let log = std::fs::read_to_string(guarded.daemon.folder.path().join("log")).unwrap();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("clipkeep::access")).collect();
    assert_eq!(lines.len(), looks.len(), "{log}");
    for ((role, path), line) in looks.iter().zip(lines) {
        let at = ROLES.iter().position(|known| known == role).unwrap();
        let id = guarded.tokens[at].split('_').nth(1).unwrap();
        let path = path.split('?').next().unwrap();
        assert!(line.contains(id) && line.contains(path), "{role} {path}: {line}");
    }
    for token in &guarded.tokens {
        assert!(!log.contains(token.rsplit('_').next().unwrap()), "a secret is in the log");
    }
}

#[test]
fn ffmpeg_pushes_with_a_token_as_its_password() {
    let guarded = Guarded::start();
    let token = &guarded.tokens[0];
    let url = format!("http://x:{token}@{}/v1/cameras/gate/stream", guarded.daemon.address);
    let ran = Command::new("ffmpeg")
        .args(["-v", "error", "-i", crate::kit::FRONT_DOOR, "-c", "copy", "-f", "mp4"])
        .args(["-movflags", "+frag_keyframe+empty_moov+default_base_moof", "-method", "POST"])
        .args(["-auth_type", "basic", &url])
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    // It ends when it has sent all, without reading the answer: the store may have it later.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let known = guarded.ask("resident", "GET", "/v1/cameras", &Value::Null).ok().json();
        if known["cameras"][1]["id"] == "gate" {
            return;
        }
        assert!(Instant::now() < deadline, "{known}");
        std::thread::yield_now();
    }
}
